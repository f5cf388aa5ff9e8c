package reports

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/orgguard/orgguard/scp"
)

// oddFindings are findings on policies that mean well and on one that does not.
func oddFindings(t *testing.T) []scp.LintFinding {
	t.Helper()
	var out []scp.LintFinding
	for name, src := range map[string]string{
		"policies/a b.json":                 `{"Statement": [{"Effect": "Deny", "Action": "s3:Foo", "Resource": "arn:aws:s3"}]}`,
		"a\n\x1b[31m\u202e<b>%00\\x.json":   `{"Version": "2012-10-17", "Statement": [{"Sid": "\u001b[2J\u202e", "Effect": "Deny", "Action": "s3:\u001b", "Resource": "*"}]}`,
		"/absolute/../bom.json":             "\xef\xbb\xbf{}",
		"./x/../" + strings.Repeat("x", 99): `{"Statement": []}`,
		"not UTF-8 \xff":                    "\xff",
	} {
		out = append(out, scp.LintSource(name, []byte(src), scp.LintOptions{})...)
	}
	return out
}

func writeLint(t *testing.T, f Format, findings []scp.LintFinding) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteLint(&b, f, findings); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestLintAsSARIFIsWhatTheStandardSays holds the findings to the schema that OASIS
// publishes.
func TestLintAsSARIFIsWhatTheStandardSays(t *testing.T) {
	schema := sarifOfficial(t)
	check := func(out string) error {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(doc)
	}
	for name, findings := range map[string][]scp.LintFinding{"findings": oddFindings(t), "none": nil} {
		out := writeLint(t, lintSARIF, findings)
		onlyLines(t, out)
		if err := check(out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if check(strings.Replace(writeLint(t, lintSARIF, oddFindings(t)), `"level": "error"`, `"level": "bad"`, 1)) == nil {
		t.Error("the schema takes anything")
	}
}

func TestLintAsSARIFNamesFilesAsURIs(t *testing.T) {
	for file, want := range map[string]string{
		"policies/a b.json":   "policies/a%20b.json",
		"./x/../y.json":       "y.json",
		"/etc/p.json":         "file:///etc/p.json",
		"a:b.json":            "./a:b.json",
		"a\n<b>%00\\x.json":   "a%0A%3Cb%3E%2500%5Cx.json",
		"stdin":               "stdin",
		"../shared/\u202ep.j": "../shared/%E2%80%AEp.j",
	} {
		if got := fileURI(file); got != want {
			t.Errorf("%q: got %s, want %s", file, got, want)
		}
	}
}

func TestLintAsTable(t *testing.T) {
	findings := oddFindings(t)
	out := writeLint(t, Table, findings)
	onlyLines(t, out)
	errors, warnings := lintCounts(findings)
	if want := "\n" + lintCount(errors, "error") + ", " + lintCount(warnings, "warning") + "\n"; !strings.HasSuffix(out, want) {
		t.Errorf("want %q at the end of\n%s", want, out)
	}
	if !strings.Contains(out, `a\n\x1b[31m\u202e<b>%00\x.json:1:`) {
		t.Errorf("a file name is not made safe:\n%s", out)
	}
	if got := writeLint(t, Table, nil); got != "0 errors, 0 warnings\n" {
		t.Errorf("got %q", got)
	}
}

func TestLintAsJSON(t *testing.T) {
	var got struct {
		Schema   string
		Findings []scp.LintFinding
	}
	findings := oddFindings(t)
	out := writeLint(t, JSON, findings)
	onlyLines(t, out)
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Schema != LintSchema || len(got.Findings) != len(findings) {
		t.Errorf("got %d findings of %s, want %d", len(got.Findings), got.Schema, len(findings))
	}
	if out := writeLint(t, JSON, nil); !strings.Contains(out, `"findings": []`) {
		t.Errorf("no findings are %s", out)
	}
}
