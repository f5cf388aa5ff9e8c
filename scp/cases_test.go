package scp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCases runs the checked cases, with deciding statements and levels.
func TestCases(t *testing.T) {
	cases, err := LoadCases("testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < 298 {
		t.Fatalf("only %d cases", len(cases))
	}
	report := RunCases(cases)
	for _, r := range report.Results {
		for _, m := range r.Mismatches {
			t.Errorf("line %d %s: %s: got %s, want %s", r.Position.Line, r.ID, m.Field, m.Got, m.Want)
		}
	}
	t.Log(report.Summary())
}

// TestCasesInFull checks the fields that a case file's user does not check.
func TestCasesInFull(t *testing.T) {
	cases, err := LoadCases("testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		n, problems := decodeLarge([]byte(line), i)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		l := &caseLoader{src: newSource([]byte(line))}
		want := l.fields(fields{n: n, l: l}.get("expected"), "expected")
		e := mustCompile(t, cases[i].Org)
		got := e.Evaluate(&cases[i].Request)
		if d := e.Decide(&cases[i].Request); d != got.Decision {
			t.Errorf("%s: Decide says %s, Evaluate %s", cases[i].ID, d, got.Decision)
		}
		if w := want.str("rawScpVerdict"); string(got.Policies) != w {
			t.Errorf("%s: policies alone say %s, want %s", cases[i].ID, got.Policies, w)
		}
		for field, refs := range map[string][]StatementRef{"matchedAllowStatements": got.MatchedAllow, "wouldMatchDeny": got.WouldMatchDeny} {
			if !want.has(field) {
				continue
			}
			var list []ExpectedStatement
			for _, x := range want.list(field) {
				list = append(list, l.expectedStatement(x))
			}
			if !sameStatements(refs, list) {
				t.Errorf("%s: %s: got %v, want %v", cases[i].ID, field, refs, list)
			}
		}
	}
}

func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const yamlCases = `# cases
cases:
  - id: stop-denied
    note: anybody in the account
    org:
      managementAccountId: 999988887777
      path:
        - {type: ROOT, id: r-ab12, policies: [FullAWSAccess]}
        - type: ACCOUNT
          id: 012345678901
          policies:
            - FullAWSAccess
            - name: protect
              file: policy.json
            - name: inline
              document:
                Version: 2012-10-17
                Statement:
                  Sid: NoTrailStop
                  Effect: Deny
                  Action: cloudtrail:StopLogging
                  Resource: "*"
                  Condition:
                    Bool: {"aws:ViaAWSService": false}
    principal: {type: role, roleArn: "arn:aws:iam::012345678901:role/ci", accountId: 012345678901}
    request: {action: "config:StopConfigurationRecorder", context: {"aws:ViaAWSService": false}}
    expected:
      decision: DENY
      kind: EXPLICIT_DENY
      exemption: null
      decidingStatements: [{policy: protect, sid: Protect}]
      levelsWithoutAllow: []
  - id: exempt-role
    org: &org
      managementAccountId: "999988887777"
      path:
        - type: ACCOUNT
          id: "012345678901"
          policies: [FullAWSAccess, {name: protect, file: policy.json}]
    principal: {type: role, roleArn: "arn:aws:iam::012345678901:role/OrgAdmin", accountId: "012345678901"}
    request: {action: "config:StopConfigurationRecorder"}
    expected: {decision: ALLOW}
  - id: open-arn
    org: *org
    principal: {type: role, accountId: "012345678901"}
    request: {action: "config:StopConfigurationRecorder", unknown: ["aws:principalarn"]}
    expected: {decision: UNKNOWN, kind: UNKNOWN}
`

const protectPolicy = `{"Version":"2012-10-17","Statement":[{"Sid":"Protect","Effect":"Deny","Action":"config:*","Resource":"*",
	"Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/OrgAdmin"}}}]}`

func TestLoadCasesYAML(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "policy.json", protectPolicy)
	cases, err := LoadCases(writeFile(t, dir, "cases.yaml", yamlCases))
	if err != nil {
		t.Fatal(err)
	}
	if got := RunCases(cases); got.Passed != 3 || got.Failed != 0 {
		t.Errorf("%s: %+v", got.Summary(), got.Results)
	}
	if id := cases[0].Org.Path[1].ID; id != "012345678901" {
		t.Errorf("an account id lost its zero: %s", id)
	}
	if line := cases[1].Position.Line; line != 33 {
		t.Errorf("the second case is on line %d", line)
	}
}

func TestLoadCasesFormats(t *testing.T) {
	one := `{"id":"%","org":{"managementAccountId":"999988887777","path":[{"type":"ACCOUNT","id":"1","policies":[{"name":"FullAWSAccess"}]}]},"principal":{"type":"user","accountId":"1"},"request":{"action":"s3:GetObject"},"expected":{"decision":"ALLOW"}}`
	a, b := strings.Replace(one, "%", "a", 1), strings.Replace(one, "%", "b", 1)
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		content string
		want    int
	}{
		"list.json":     {"[" + a + ",\n" + b + "]", 2},
		"one.json":      {a, 1},
		"object.json":   {`{"cases":[` + a + "," + b + "]}", 2},
		"lines.json":    {a + "\n" + b + "\n", 2},
		"lines.jsonl":   {a + "\n\n" + b, 2},
		"unnamed":       {a + "\n" + b, 2},
		"several.yaml":  {a + "\n---\n" + b + "\n", 2},
		"flow.yml":      {"- " + a + "\n- " + b, 2},
		"unnamed-yaml":  {"- " + a, 1},
		"object.ndjson": {`{"cases":[` + a + "]}", 1},
	} {
		cases, err := LoadCases(writeFile(t, dir, name, tc.content))
		if err != nil || len(cases) != tc.want || RunCases(cases).Failed != 0 {
			t.Errorf("%s: %d cases, %v", name, len(cases), err)
		}
	}
}

func TestLoadCasesReportsEveryProblem(t *testing.T) {
	dir := t.TempDir()
	path := writeFile(t, dir, "bad.json", `[
  {"id": "a",
   "org": {"managementAccountId": "1", "path": [
     {"type": "OU", "id": "ou-1", "polices": []},
     {"type": "ACCOUNT", "policies": [
        {"name": "p", "document": {"Statement": [{"Effect": "deny", "Action": "s3", "Resource": "*"}]}},
        {"name": "q", "file": "missing.json"},
        {"name": "r"}]}]},
   "principal": {"type": "robot"},
   "request": {"action": "nonsense", "context": {"aws:TagKeys": [["x"]]}},
   "expected": {"decision": "maybe", "kind": "SURE", "decidingStatements": [{"index": "one"}]}},
  {"id": "a", "org": 5}
]`)
	_, err := LoadCases(path)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`bad.json:4:6: unknown level type "OU"`,
		`bad.json:4:35: unknown key "polices" in the level; did you mean policies?`,
		`bad.json:5:6: the level has no id`,
		`bad.json:6:61: policy "p": Effect must be`,
		`bad.json:6:79: policy "p": Action "s3" is not of the form`,
		`bad.json:7:9: policy "q": `,
		`bad.json:8:9: the policy "r" has neither document nor file`,
		`bad.json:9:17: unknown principal type "robot"`,
		`bad.json:10:15: the request's action "nonsense"`,
		`bad.json:10:66: the context key "aws:TagKeys" takes strings`,
		`bad.json:11:16: expected.decision is "maybe"`,
		`bad.json:11:46: unknown kind "SURE"`,
		`index must be a number from zero`,
		`bad.json:12:3: the id "a" is already used on line 2`,
		`bad.json:12:3: the case has no principal`,
		`bad.json:12:22: org must be an object`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in\n%v", want, err)
		}
	}
}

func TestRunCasesExplainsFailures(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "policy.json", protectPolicy)
	content := strings.ReplaceAll(yamlCases, "decision: DENY", "decision: ALLOW")
	content = strings.ReplaceAll(content, "sid: Protect}", "sid: Other, index: 3}")
	cases, err := LoadCases(writeFile(t, dir, "cases.yaml", content))
	if err != nil {
		t.Fatal(err)
	}
	got := RunCases(cases)
	if got.Summary() != "2 passed, 1 failed" {
		t.Errorf("got %s", got.Summary())
	}
	want := []Mismatch{
		{"decision", "DENY", "ALLOW"},
		{"decidingStatements", "012345678901 / protect / Protect", "(any) / protect / Other"},
	}
	for i, m := range got.Results[0].Mismatches {
		if i >= len(want) || m != want[i] {
			t.Errorf("mismatch %d: %+v", i, m)
		}
	}
}

func TestLoadCasesYAMLKeyBetweenBraces(t *testing.T) {
	content := strings.Replace(yamlCases, `context: {"aws:ViaAWSService": false}}`, `context: {aws:ViaAWSService: false}}`, 1)
	_, err := parseCases("c.yaml", []byte(content), func(string) ([]byte, error) { return []byte(protectPolicy), nil })
	if err == nil || !strings.Contains(err.Error(), "c.yaml:26:69: between braces") {
		t.Errorf("got %v", err)
	}
}
