package reports

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/orgguard/orgguard/orgs/finding"
)

// sarifOfficial is the schema that OASIS publishes at sarifSchema, as it is there.
func sarifOfficial(t *testing.T) *jsonschema.Schema {
	t.Helper()
	b, err := os.ReadFile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(sarifSchema, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(sarifSchema)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSARIFIsWhatTheStandardSays(t *testing.T) {
	official := sarifOfficial(t)
	for _, name := range []string{"audit-drift.sarif", "audit-clean.sarif", "audit-hostile.sarif", "audit-empty.sarif", "audit-large.sarif"} {
		b := mustWrite(t, name, Style{})
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := official.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var log sarifLog
		if err := json.Unmarshal(b, &log); err != nil {
			t.Fatal(err)
		}
		run := log.Runs[0]
		seen := map[string]bool{}
		for _, r := range run.Results {
			// What the schema does not say and the text of the standard does.
			if r.Kind != "fail" && r.Level != "none" {
				t.Errorf("%s: a result of kind %s has the level %s", name, r.Kind, r.Level)
			}
			if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
				t.Errorf("%s: %s has the rule %s", name, r.RuleID, run.Tool.Driver.Rules[r.RuleIndex].ID)
			}
			if fp := r.Fingerprints[sarifFingerprint]; fp == "" || seen[fp] {
				t.Errorf("%s: fingerprint %q is not one", name, fp)
			} else {
				seen[fp] = true
			}
		}
	}
	bad, err := jsonschema.UnmarshalJSON(strings.NewReader(
		strings.Replace(string(mustWrite(t, "audit-drift.sarif", Style{})), `"level": "error"`, `"level": "worst"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if official.Validate(bad) == nil {
		t.Error("the schema takes any level")
	}
}

func TestSARIFSaysWhatBecameOfEachFinding(t *testing.T) {
	for _, tt := range []struct {
		name         string
		status       finding.Status
		severity     finding.Severity
		kind, level  string
		suppressions int
	}{
		{"drift fails", finding.Drift, finding.Critical, "fail", "error", 0},
		{"its level is its severity", finding.Drift, finding.Medium, "fail", "warning", 0},
		{"and low is a note", finding.Drift, finding.Low, "fail", "note", 0},
		{"what is exempt is suppressed", finding.Exempt, finding.High, "fail", "error", 1},
		{"what nobody could look at is open", finding.NotAssessed, finding.High, "open", "none", 0},
		{"what is in sync passes", finding.InSync, finding.High, "pass", "none", 0},
		{"what does not apply does not", finding.NotApplicable, finding.High, "notApplicable", "none", 0},
		{"an unknown status is no pass", "fine", finding.High, "open", "none", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := sarifResultOf(Audit{}, finding.Finding{Control: "c", Region: "r", Status: tt.status, Severity: tt.severity, Reason: "why"}, "id")
			if r.Kind != tt.kind || r.Level != tt.level || len(r.Suppressions) != tt.suppressions {
				t.Errorf("kind %s, level %s, %d suppressions", r.Kind, r.Level, len(r.Suppressions))
			}
		})
	}
}

func TestSARIFTellsWhatCouldNotBeLookedAtOncePerCause(t *testing.T) {
	var log sarifLog
	if err := json.Unmarshal(mustWrite(t, "audit-drift.sarif", Style{}), &log); err != nil {
		t.Fatal(err)
	}
	i := log.Runs[0].Invocations[0]
	if i.ExecutionSuccessful || len(i.Notifications) != 1 || i.Notifications[0].Level != "error" ||
		!strings.Contains(i.Notifications[0].Message.Text, "cannot be assumed") {
		t.Errorf("%+v", i)
	}
	if err := json.Unmarshal(mustWrite(t, "audit-clean.sarif", Style{}), &log); err != nil {
		t.Fatal(err)
	}
	if i := log.Runs[0].Invocations[0]; !i.ExecutionSuccessful || len(i.Notifications) != 0 {
		t.Errorf("%+v", i)
	}
}

func TestSARIFMessages(t *testing.T) {
	for in, want := range map[string]string{
		"the recorder is stopped":      "the recorder is stopped",
		"[a](http://evil.example)":     `\[a\](http://evil.example)`,
		"arn [x] stays":                "arn [x] stays",
		"{0} is no argument":           "{{0}} is no argument",
		`{"a":1} is text`:              `{"a":1} is text`,
		"a\x1b[2J\nb":                  `a\x1b[2J\nb`,
		`already \[escaped](http://x)`: `already \\\[escaped\](http://x)`,
	} {
		if got := sarifMessage(in); got != want {
			t.Errorf("sarifMessage(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSARIFRulesAreTheControls(t *testing.T) {
	a := driftAudit()
	a.Controls = []Control{{ID: "config-recorder", Title: "AWS Config records", Severity: finding.Critical, Scope: "every account and Region"}}
	a.Findings = slices.Clone(a.Findings)
	rules, _ := sarifRules(normalizeAudit(a))
	var ids []string
	for _, r := range rules {
		ids = append(ids, r.ID)
	}
	if diff := cmp.Diff([]string{"config-change-alert", "config-delivery", "config-recorder", "root-signin-alert", "scp-protect-config"}, ids); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := rules[2].FullDescription.Text, "AWS Config records. It lives in every account and Region."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if rules[2].Configuration.Level != "error" || rules[2].Properties["security-severity"] != "9.5" {
		t.Errorf("%+v", rules[2])
	}
}

func TestIdentities(t *testing.T) {
	f := finding.Finding{Account: "300000000001", Region: "us-east-1", Control: "config-recorder", Resource: "default", Status: finding.Drift, Reason: "stopped"}
	repaired, other, second := f, f, f
	repaired.Status, repaired.Reason, repaired.AccountName = finding.InSync, "as configured", "renamed"
	other.Resource = "another"
	second.Reason = "CloudFormation says otherwise"
	ids := Identify([]finding.Finding{f, other, second})
	if len(unique(ids)) != 3 {
		t.Errorf("%q are not three", ids)
	}
	if again := Identify([]finding.Finding{repaired}); again[0] != ids[0] {
		t.Errorf("repaired, %s has become %s", ids[0], again[0])
	}
	if identity("a", "bc") == identity("ab", "c") || identity("a\x00", "b") == identity("a", "\x00b") {
		t.Error("different things have one name")
	}
}
