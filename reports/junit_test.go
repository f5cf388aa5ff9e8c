package reports

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/orgguard/orgguard/orgs/finding"
)

func readJUnit(t *testing.T, b []byte) junitSuites {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = true
	var s junitSuites
	if err := d.Decode(&s); err != nil {
		t.Fatalf("%v in\n%s", err, b)
	}
	return s
}

func TestJUnitIsASuitePerAccount(t *testing.T) {
	for _, name := range []string{"audit-drift.junit", "audit-clean.junit", "audit-hostile.junit", "audit-empty.junit", "audit-large.junit"} {
		s := readJUnit(t, mustWrite(t, name, Style{}))
		var tests, failures, errs, skipped int
		names := map[string]bool{}
		for _, suite := range s.Suites {
			tests += suite.Tests
			failures += suite.Failures
			errs += suite.Errors
			skipped += suite.Skipped
			if suite.Tests != len(suite.Cases) {
				t.Errorf("%s: %s counts %d tests of %d", name, suite.Name, suite.Tests, len(suite.Cases))
			}
			for _, c := range suite.Cases {
				if key := c.Class + "\x00" + c.Name; names[key] {
					t.Errorf("%s: two tests %s %s", name, c.Class, c.Name)
				} else {
					names[key] = true
				}
			}
		}
		if s.Tests != tests || s.Failures != failures || s.Errors != errs || s.Skipped != skipped || tests == 0 {
			t.Errorf("%s: counts %d, %d, %d, %d of %d, %d, %d, %d", name, s.Tests, s.Failures, s.Errors, s.Skipped, tests, failures, errs, skipped)
		}
	}
	s := readJUnit(t, mustWrite(t, "audit-drift.junit", Style{}))
	if s.Failures != 3 || s.Errors != 12 || s.Skipped != 2 || s.Tests != 18 {
		t.Errorf("%d failures, %d errors, %d skipped of %d", s.Failures, s.Errors, s.Skipped, s.Tests)
	}
}

func TestJUnitTellsTheWorst(t *testing.T) {
	f := func(s finding.Status) finding.Finding {
		return finding.Finding{Account: "300000000001", Region: "us-east-1", Control: "c", Resource: string(s), Status: s, Severity: finding.High, Reason: "r"}
	}
	for _, tt := range []struct {
		name     string
		statuses []finding.Status
		want     string
	}{
		{"drift is a failure", []finding.Status{finding.InSync, finding.NotAssessed, finding.Drift}, "failure"},
		{"what nobody could look at is an error, never a pass", []finding.Status{finding.InSync, finding.NotAssessed}, "error"},
		{"an unknown status too", []finding.Status{"fine"}, "error"},
		{"what is exempt is skipped", []finding.Status{finding.Exempt}, "skipped"},
		{"what does not apply is skipped", []finding.Status{finding.NotApplicable}, "skipped"},
		{"what is in sync passes", []finding.Status{finding.InSync, finding.NotApplicable}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var fs []finding.Finding
			for _, s := range tt.statuses {
				fs = append(fs, f(s))
			}
			c, err := junitControl("300000000001", fs)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for name, r := range map[string]*junitResult{"failure": c.Failure, "error": c.Error, "skipped": c.Skipped} {
				if r != nil {
					got += name
				}
			}
			if got != tt.want {
				t.Errorf("it is a %q, want %q", got, tt.want)
			}
		})
	}
}

func TestJUnitFailsWhenTheAuditDidNotFinish(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Audit)
		errors int
	}{
		"a clean audit is one test that passes": {func(*Audit) {}, 0},
		"an interrupted one is an error":        {func(a *Audit) { a.Interrupted = true }, 1},
		"one that saw nothing is an error":      {func(a *Audit) { a.Summary = finding.Summary{} }, 1},
	} {
		a := cleanAudit()
		tt.change(&a)
		var b bytes.Buffer
		if err := Write(&b, JUnit, Style{}, a); err != nil {
			t.Fatal(err)
		}
		if s := readJUnit(t, b.Bytes()); s.Tests != 1 || s.Errors != tt.errors {
			t.Errorf("%s: %d tests, %d errors", name, s.Tests, s.Errors)
		}
	}
}

// FuzzJUnit writes any text everywhere and reads it back.
func FuzzJUnit(f *testing.F) {
	for _, h := range hostile {
		f.Add(h)
	}
	f.Add("]]> &amp; <!-- --> <?xml?>")
	f.Fuzz(func(t *testing.T, s string) {
		a := Audit{Organization: Organization{ID: s}, Findings: []finding.Finding{{
			Account: "300000000001", AccountName: s, OUPath: s, Region: "us-east-1", Control: s, Resource: s,
			Status: finding.Drift, Severity: finding.High, Reason: s, Expected: s, Fix: s,
		}}}
		var b bytes.Buffer
		if err := Write(&b, JUnit, Style{}, a); err != nil {
			t.Fatal(err)
		}
		suites := readJUnit(t, b.Bytes())
		if len(suites.Suites) != 2 || len(suites.Suites[1].Cases) != 1 || suites.Suites[1].Cases[0].Failure == nil {
			t.Fatalf("%q makes %d suites", s, len(suites.Suites))
		}
		c := suites.Suites[1].Cases[0]
		if want := visible(s) + " in us-east-1"; c.Name != want {
			t.Errorf("the test is %q, want %q", c.Name, want)
		}
		text := xmlText(t, c.Failure.Text)
		if s != "" && !strings.Contains(text, "\nreason: "+visible(s)+"\n") {
			t.Errorf("%q is not in %q", visible(s), text)
		}
		if lines := strings.Count(text, "\n"); lines > 10 {
			t.Errorf("%q makes %d lines", s, lines)
		}
	})
}

// xmlText is the text of what an element holds. It fails when that is more than text.
func xmlText(t *testing.T, inner string) string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader("<a>" + inner + "</a>"))
	var out strings.Builder
	elements := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			out.Write(token)
		case xml.StartElement:
			elements++
		case xml.Comment, xml.ProcInst, xml.Directive:
			t.Fatalf("%q holds %T", inner, token)
		}
	}
	if elements != 1 {
		t.Fatalf("%q holds elements", inner)
	}
	return out.String()
}
