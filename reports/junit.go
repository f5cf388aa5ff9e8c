package reports

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs/finding"
)

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		ID         int              `xml:"id,attr"`
		Name       string           `xml:"name,attr"`
		Tests      int              `xml:"tests,attr"`
		Failures   int              `xml:"failures,attr"`
		Errors     int              `xml:"errors,attr"`
		Skipped    int              `xml:"skipped,attr"`
		Time       string           `xml:"time,attr"`
		Timestamp  string           `xml:"timestamp,attr,omitempty"`
		Properties *junitProperties `xml:"properties"`
		Cases      []junitCase      `xml:"testcase"`
	}
	junitProperties struct {
		Properties []junitProperty `xml:"property"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name    string       `xml:"name,attr"`
		Class   string       `xml:"classname,attr"`
		Time    string       `xml:"time,attr"`
		Failure *junitResult `xml:"failure"`
		Error   *junitResult `xml:"error"`
		Skipped *junitResult `xml:"skipped"`
		Output  *junitText   `xml:"system-out"`
	}
	junitResult struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",innerxml"`
	}
	junitText struct {
		Text string `xml:",innerxml"`
	}
)

// junitAudit writes an audit as the tests of a CI system: an account is a suite, a
// control in a Region is a test. Drift is a failure; what nobody could look at is an
// error, never a pass; what is exempt or does not apply is skipped. Names are made of
// account numbers, so that a test keeps its history when an account is renamed.
//
// The first suite is the audit itself. A clean audit has no findings, and most CI
// systems take a file without a test for a broken one; an interrupted audit has to
// fail even where all that it saw was well.
func junitAudit(w io.Writer, _ Style, a Audit) error {
	suites := []junitSuite{junitVerdict(a)}
	for _, g := range groupBy(a.Findings, func(f finding.Finding) string { return f.Account }) {
		s, err := junitAccount(g)
		if err != nil {
			return err
		}
		suites = append(suites, s)
	}
	return writeJUnit(w, "orgguard audit", a.GeneratedAt, suites)
}

// writeJUnit counts the suites and writes them.
func writeJUnit(w io.Writer, name string, at time.Time, suites []junitSuite) error {
	out := junitSuites{Name: name, Time: "0"}
	for i := range suites {
		s := &suites[i]
		s.ID, s.Time, s.Timestamp = i, "0", strings.TrimSuffix(rfc3339(at), "Z")
		s.count()
		out.Tests += s.Tests
		out.Failures += s.Failures
		out.Errors += s.Errors
		out.Skipped += s.Skipped
	}
	out.Suites = suites
	var b bytes.Buffer
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(&b)
	enc.Indent("", "  ")
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("write JUnit: %w", err)
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

func (s *junitSuite) count() {
	s.Tests = len(s.Cases)
	for _, c := range s.Cases {
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
}

// junitVerdict is whether the audit came to its end, having looked at something.
func junitVerdict(a Audit) junitSuite {
	v := judge(a)
	c := junitCase{Name: "the audit came to its end", Class: "orgguard.audit", Time: "0"}
	text := []string{v.word + ": " + Safe(v.text)}
	for _, l := range scope(a) {
		text = append(text, Safe(l))
	}
	text = append(text, countLine(a.Summary))
	for _, r := range remarks(a) {
		text = append(text, Safe(r))
	}
	switch {
	case a.Interrupted:
		c.Error = &junitResult{Message: "the audit was stopped before the end", Type: "interrupted"}
	case a.Summary == finding.Summary{}:
		c.Error = &junitResult{Message: "no account, Region or control was looked at", Type: "nothing-checked"}
	}
	c.Output = &junitText{junitLines(text)}
	return junitSuite{Name: "organization " + visible(cmp.Or(a.Organization.ID, "unknown")), Cases: []junitCase{c}}
}

func junitAccount(fs []finding.Finding) (junitSuite, error) {
	first := fs[0]
	account := cmp.Or(first.Account, "organization")
	s := junitSuite{
		Name:       strings.TrimSpace(visible(account) + " " + visible(first.AccountName)),
		Properties: &junitProperties{},
	}
	for _, p := range []junitProperty{{"account", account}, {"account_name", first.AccountName}, {"ou_path", first.OUPath}} {
		if p.Value != "" {
			s.Properties.Properties = append(s.Properties.Properties, junitProperty{p.Name, visible(p.Value)})
		}
	}
	for _, g := range groupBy(fs, func(f finding.Finding) string { return f.Region + "\x00" + f.Control }) {
		c, err := junitControl(account, g)
		if err != nil {
			return s, err
		}
		s.Cases = append(s.Cases, c)
	}
	return s, nil
}

// junitControl is one test: the findings of a control in a Region. The worst decides.
func junitControl(account string, fs []finding.Finding) (junitCase, error) {
	c := junitCase{
		Name:  visible(fs[0].Control) + " in " + visible(fs[0].Region),
		Class: "orgguard." + visible(account), Time: "0",
	}
	by := map[finding.Status][]finding.Finding{}
	for _, f := range fs {
		by[statusOf(f)] = append(by[statusOf(f)], f)
	}
	told := by[finding.Drift]
	told = append(told, by[finding.NotAssessed]...)
	if len(told) == 0 && len(by[finding.InSync]) > 0 {
		return c, nil
	}
	told = append(told, by[finding.Exempt]...)
	told = append(told, by[finding.NotApplicable]...)
	text, err := junitDetails(told)
	if err != nil {
		return c, err
	}
	r := &junitResult{Message: Safe(sentence(told[0])), Text: text}
	if more := len(told) - 1; more > 0 {
		r.Message += " (and " + thousands(more) + " more)"
	}
	switch statusOf(told[0]) {
	case finding.Drift:
		r.Type = visible(string(worst(by[finding.Drift])))
		c.Failure = r
	case finding.NotAssessed:
		r.Type = string(finding.NotAssessed)
		c.Error = r
	default:
		c.Skipped = r // the schemas know no type of these
	}
	return c, nil
}

func worst(fs []finding.Finding) finding.Severity {
	s := fs[0].Severity
	for _, f := range fs {
		if f.Severity.Rank() < s.Rank() {
			s = f.Severity
		}
	}
	return s
}

func junitDetails(fs []finding.Finding) (string, error) {
	var lines []string
	for i, f := range fs {
		if i > 0 {
			lines = append(lines, "")
		}
		expected, err := csvJSON(f.Expected)
		if err != nil {
			return "", fmt.Errorf("finding %s %s %s: %w", f.Account, f.Region, f.Control, err)
		}
		actual, err := csvJSON(f.Actual)
		if err != nil {
			return "", fmt.Errorf("finding %s %s %s: %w", f.Account, f.Region, f.Control, err)
		}
		for _, l := range [][2]string{
			{"status", statusWords[statusOf(f)]}, {"severity", string(f.Severity)}, {"resource", f.Resource},
			{"reason", f.Told()}, {"expected", expected}, {"actual", actual}, {"fix", f.Fix},
		} {
			if l[1] != "" {
				lines = append(lines, l[0]+": "+visible(l[1]))
			}
		}
	}
	return junitLines(lines), nil
}

// junitLines writes lines as the text of an element. Whatever XML cannot hold has
// been made visible before.
func junitLines(lines []string) string {
	return "\n" + strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(strings.Join(lines, "\n")) + "\n"
}
