package reports

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/orgguard/orgguard/scp"
)

func caseReport() scp.CaseReport {
	deciding := []scp.StatementRef{{Level: "ou-1", Policy: "p\x1b[31m</testcase>\u202e", Sid: "S&\"<", Index: 0}}
	return scp.CaseReport{Passed: 1, Failed: 1, Results: []scp.CaseResult{
		{ID: "ok-1", Passed: true, Action: "s3:GetObject", Resource: "*", Got: scp.Result{Decision: scp.DecisionAllow, Kind: scp.KindAllowed}},
		{
			ID: "bad-1\x00]]>", Note: "hostile\nnote", File: "a\x1b[2J.yaml", Position: scp.Position{Line: 7, Column: 3}, Action: "s3:PutObject", Resource: "arn:aws:s3:::b", Principal: "arn:aws:iam::1:role/x",
			Mismatches: []scp.Mismatch{{Field: "decision", Got: "DENY", Want: "ALLOW"}, {Field: "decidingStatements", Got: deciding[0].String(), Want: "none"}},
			Got: scp.Result{Decision: scp.DecisionDeny, Kind: scp.KindExplicitDeny, Deciding: deciding, LevelsWithoutAllow: []string{"r-1"},
				DependsOn: []scp.Dependency{{Key: "aws:PrincipalTag/x", Operator: "StringEquals", Values: []string{"a\x07"}}}},
		},
	}}
}

func writeCases(t *testing.T, f Format, r scp.CaseReport) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteCaseReport(&b, f, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// onlyLines fails on characters that act on a terminal.
func onlyLines(t *testing.T, s string) {
	t.Helper()
	for _, r := range s {
		if r != '\n' && (r < ' ' || r == 0x7f || r == 0x202e) {
			t.Errorf("%q reaches the terminal", r)
		}
	}
}

func TestCasesAsTable(t *testing.T) {
	got := writeCases(t, Table, caseReport())
	onlyLines(t, got)
	if !strings.HasSuffix(got, "\n1 passed, 1 failed\n") {
		t.Errorf("the last line is wrong:\n%s", got)
	}
	for _, want := range []string{"ok    ok-1", `FAIL  bad-1\x00]]>`, "got      DENY", "want     ALLOW", `denied by ou-1 / p\x1b[31m</testcase>\u202e / S&"<`, `case at    a\x1b[2J.yaml:7:3`, "no Allow matches at r-1"} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q in\n%s", want, got)
		}
	}
	if got := writeCases(t, Table, scp.CaseReport{}); got != "0 passed, 0 failed\n" {
		t.Errorf("got %q", got)
	}
}

func TestManyCasesAsTable(t *testing.T) {
	r := caseReport()
	for range maxRows {
		r.Results = append(r.Results, r.Results[0])
		r.Passed++
	}
	if got := writeCases(t, Table, r); strings.Contains(got, "ok-1") || !strings.Contains(got, "FAIL  bad-1") {
		t.Errorf("got %s", got)
	}
}

func TestCasesAsJSON(t *testing.T) {
	var got struct {
		Schema         string
		Passed, Failed int
		Results        []scp.CaseResult
	}
	if err := json.Unmarshal([]byte(writeCases(t, JSON, caseReport())), &got); err != nil {
		t.Fatal(err)
	}
	if got.Schema != CaseSchema || got.Failed != 1 || len(got.Results) != 2 || got.Results[1].Got.Deciding[0].Sid != `S&"<` {
		t.Errorf("got %+v", got)
	}
}

func TestCasesAsJUnit(t *testing.T) {
	out := writeCases(t, caseJUnit, caseReport())
	onlyLines(t, out)
	var got caseJUnitSuites
	if err := xml.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got.Tests != 2 || got.Failures != 1 || len(got.Suite.Cases) != 2 || got.Suite.Cases[0].Failure != nil {
		t.Fatalf("got %+v", got)
	}
	f := got.Suite.Cases[1]
	if f.Name != `bad-1\x00]]>` || f.Failure.Message != "decision: got DENY, want ALLOW" || !strings.Contains(f.Failure.Text, `p\x1b[31m</testcase>\u202e / S&"<`) {
		t.Errorf("got %+v", f)
	}
}

func lintFindings(t *testing.T) []scp.LintFinding {
	t.Helper()
	return scp.LintSource("policies/a b.json", []byte("{\"Version\":\"2012-10-17\",\n\"Statement\":[{\"Effect\":\"Deny\",\"Action\":\"s3:Zap\\u001bb\",\"Resource\":\"*\"},{\"Sid\":\"\\u202e\",\"Effect\":\"Deny\",\"Action\":\"s3:Nothing\",\"Resource\":\"arn:x\\u0007\"}]}"), scp.LintOptions{})
}

func TestLintFormats(t *testing.T) {
	bad := lintFindings(t)
	findings := scp.LintSource("policies/a b.json", []byte(`{"Version":"2012-10-17",
"Statement":[{"Sid":"\u202e","Effect":"Deny","Action":"s3:Nothing","Resource":"arn:x\u0007"}]}`), scp.LintOptions{})
	if len(bad) == 0 || len(findings) < 3 {
		t.Fatalf("%d and %d findings", len(bad), len(findings))
	}
	for _, fs := range [][]scp.LintFinding{nil, bad, findings} {
		for _, f := range LintFormats() {
			var b bytes.Buffer
			if err := WriteLint(&b, f, fs); err != nil {
				t.Fatal(err)
			}
			onlyLines(t, b.String())
			if f != Table && !json.Valid(b.Bytes()) {
				t.Errorf("%s is not JSON", f)
			}
		}
	}
	var b bytes.Buffer
	if err := WriteLint(&b, Table, findings); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"policies/a b.json:2:", `error SCP111: the resource "arn:x\a" has 2 of the 6 parts`, "warning SCP202: s3 has no action \"Nothing\"", "    fix: ", "\n1 error, "} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("missing %q in\n%s", want, b.String())
		}
	}
}

func TestLintAsSARIF(t *testing.T) {
	var b bytes.Buffer
	if err := WriteLint(&b, lintSARIF, lintFindings(t)); err != nil {
		t.Fatal(err)
	}
	var got lintSarifLog
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	run := got.Runs[0]
	if got.Version != "2.1.0" || len(run.Tool.Driver.Rules) != len(scp.Rules()) || len(run.Results) == 0 {
		t.Fatalf("got %+v", got)
	}
	for _, r := range run.Results {
		at := r.Locations[0].Physical
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID || at.Artifact.URI != "policies/a%20b.json" || at.Region.StartLine < 1 {
			t.Errorf("got %+v", r)
		}
	}
}

func TestSCPFormatsAreNamed(t *testing.T) {
	if err := WriteCaseReport(nil, "sarif", scp.CaseReport{}); err == nil || !strings.Contains(err.Error(), "junit") {
		t.Errorf("got %v", err)
	}
	if err := WriteLint(nil, "junit", nil); err == nil || !strings.Contains(err.Error(), "sarif") {
		t.Errorf("got %v", err)
	}
}
