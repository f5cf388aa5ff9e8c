package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/orgguard/orgguard/scp"
)

// CaseSchema names the JSON format of a run of policy tests.
const CaseSchema = "orgguard.dev/scp-test/v1"

// caseJUnit is the XML that continuous integration reads test results from.
const caseJUnit Format = "junit"

// CaseFormats lists the formats the results of policy tests can be written in.
func CaseFormats() []Format { return []Format{Table, JSON, caseJUnit} }

// WriteCaseReport writes the results of policy tests.
func WriteCaseReport(w io.Writer, f Format, r scp.CaseReport) error {
	switch f {
	case Table:
		return tableCases(w, r)
	case JSON:
		return jsonCases(w, r)
	case caseJUnit:
		return junitOfCases(w, r)
	}
	return fmt.Errorf("cannot write policy tests as %q: they can be written as %s", string(f), enumerate(names(CaseFormats())))
}

func jsonCases(w io.Writer, r scp.CaseReport) error {
	if r.Results == nil {
		r.Results = []scp.CaseResult{}
	}
	return writeJSON(w, struct {
		Schema string `json:"schema"`
		scp.CaseReport
	}{CaseSchema, r})
}

// tableCases writes one line for each case and, beneath a failed one, what was
// got and wanted. Above maxRows only the failures are listed. The last line is
// the count. Ids, policy names and Sids are others' words: all pass Safe.
func tableCases(w io.Writer, r scp.CaseReport) error {
	var b strings.Builder
	width := 0
	for _, c := range r.Results {
		width = max(width, min(displayWidth(Safe(c.ID)), 40))
	}
	listed := 0
	for _, c := range r.Results {
		if c.Passed && len(r.Results) > maxRows {
			continue
		}
		listed++
		word := "ok  "
		if !c.Passed {
			word = "FAIL"
		}
		id := Safe(c.ID)
		fmt.Fprintf(&b, "%s  %s%s  %s\n", word, id, strings.Repeat(" ", max(0, width-displayWidth(id))), caseVerdict(c))
		if c.Passed {
			continue
		}
		if c.Note != "" {
			fmt.Fprintf(&b, "      note       %s\n", Safe(c.Note))
		}
		fmt.Fprintf(&b, "      request    %s on %s\n", Safe(c.Action), Safe(c.Resource))
		if c.Principal != "" {
			fmt.Fprintf(&b, "      principal  %s\n", Safe(c.Principal))
		}
		for _, m := range c.Mismatches {
			fmt.Fprintf(&b, "      %s\n        got      %s\n        want     %s\n", Safe(m.Field), Safe(m.Got), Safe(m.Want))
		}
		for _, why := range caseReasons(c) {
			fmt.Fprintf(&b, "      because    %s\n", Safe(why))
		}
		fmt.Fprintf(&b, "      case at    %s:%d:%d\n", Safe(c.File), c.Position.Line, c.Position.Column)
	}
	if listed > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(r.Summary() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// caseVerdict is the decision with its kind, and the statement behind it.
func caseVerdict(c scp.CaseResult) string {
	if c.Got.Decision == "" {
		return "not evaluated"
	}
	out := string(c.Got.Decision) + " " + string(c.Got.Kind)
	switch {
	case c.Got.Exemption != "":
		out += ": " + c.Got.Exemption
	case len(c.Got.Deciding) > 0:
		out += ": " + c.Got.Deciding[0].String()
		if more := len(c.Got.Deciding) - 1; more > 0 {
			out += " and " + strconv.Itoa(more) + " more"
		}
	case len(c.Got.LevelsWithoutAllow) > 0:
		out += ": no Allow at " + c.Got.LevelsWithoutAllow[0]
	}
	return Safe(out)
}

// caseReasons says what decided, in sentences.
func caseReasons(c scp.CaseResult) []string {
	var out []string
	if c.Got.Exemption != "" {
		out = append(out, "service control policies do not apply: "+c.Got.Exemption)
	}
	for _, s := range c.Got.Deciding {
		if c.Got.Decision == scp.DecisionUnknown {
			out = append(out, "might be denied by "+s.String())
			continue
		}
		out = append(out, "denied by "+s.String())
	}
	for _, l := range c.Got.LevelsWithoutAllow {
		out = append(out, "no Allow matches at "+l)
	}
	for _, d := range c.Got.DependsOn {
		out = append(out, fmt.Sprintf("depends on %s %s %s, which is not known", d.Key, d.Operator, strings.Join(d.Values, ", ")))
	}
	return out
}

type caseJUnitSuites struct {
	XMLName  xml.Name       `xml:"testsuites"`
	Tests    int            `xml:"tests,attr"`
	Failures int            `xml:"failures,attr"`
	Suite    caseJUnitSuite `xml:"testsuite"`
}

type caseJUnitSuite struct {
	Name     string          `xml:"name,attr"`
	Tests    int             `xml:"tests,attr"`
	Failures int             `xml:"failures,attr"`
	Errors   int             `xml:"errors,attr"`
	Skipped  int             `xml:"skipped,attr"`
	Cases    []caseJUnitCase `xml:"testcase"`
}

type caseJUnitCase struct {
	Class   string            `xml:"classname,attr"`
	Name    string            `xml:"name,attr"`
	File    string            `xml:"file,attr,omitempty"`
	Line    int               `xml:"line,attr,omitempty"`
	Failure *caseJUnitFailure `xml:"failure,omitempty"`
	Error   *caseJUnitFailure `xml:"error,omitempty"`
	Skipped *caseJUnitFailure `xml:"skipped,omitempty"`
}

type caseJUnitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// junitOfCases writes JUnit's XML. encoding/xml escapes what is special in XML;
// visible spells out the control characters XML cannot hold at all.
func junitOfCases(w io.Writer, r scp.CaseReport) error {
	suite := caseJUnitSuite{Name: "scp", Tests: len(r.Results), Failures: r.Failed}
	for _, c := range r.Results {
		jc := caseJUnitCase{Class: "scp", Name: visible(c.ID), File: visible(c.File), Line: c.Position.Line}
		if !c.Passed {
			jc.Failure = &caseJUnitFailure{Type: "mismatch"}
			var lines []string
			for i, m := range c.Mismatches {
				line := fmt.Sprintf("%s: got %s, want %s", visible(m.Field), visible(m.Got), visible(m.Want))
				if i == 0 {
					jc.Failure.Message = line
				}
				lines = append(lines, line)
			}
			for _, why := range caseReasons(c) {
				lines = append(lines, visible(why))
			}
			lines = append(lines, fmt.Sprintf("request: %s on %s", visible(c.Action), visible(c.Resource)))
			jc.Failure.Text = strings.Join(lines, "\n")
		}
		suite.Cases = append(suite.Cases, jc)
	}
	out, err := xml.MarshalIndent(caseJUnitSuites{Tests: suite.Tests, Failures: suite.Failures, Suite: suite}, "", "  ")
	if err != nil {
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	_, err = w.Write(slices.Concat([]byte(xml.Header), out, []byte("\n")))
	return err
}
