package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/baseline"
)

// AlertSchema names the JSON format of a run of alert samples, and ToldSchema that
// of what the alert rules make of one event.
const (
	AlertSchema = "orgguard.dev/alerts-test/v1"
	ToldSchema  = "orgguard.dev/alerts-event/v1"
)

// alertCase is a sample's result in JSON.
type alertCase struct {
	Control string `json:"control"`
	Sample  string `json:"sample"`
	Status  string `json:"status"` // passed, failed, skipped, error
	Want    bool   `json:"must_fire"`
	Got     bool   `json:"fires"`
	// WantMail is left out where nobody wrote the message down.
	WantMail string `json:"expected_message,omitempty"`
	GotMail  string `json:"message,omitempty"`
	Note     string `json:"note,omitempty"`
}

func alertCases(results []baseline.SampleResult) (cases []alertCase, counts map[string]int) {
	cases, counts = []alertCase{}, map[string]int{}
	for _, r := range results {
		c := alertCase{Control: r.Control, Sample: r.Name, Want: r.Want, Got: r.Got, WantMail: r.WantMail, GotMail: r.GotMail, Note: r.Skipped}
		switch {
		case r.Err != nil:
			c.Status, c.Note = "error", r.Err.Error()
		case r.Skipped != "":
			c.Status = "skipped"
		case r.Passed():
			c.Status = "passed"
		case r.Want != r.Got && r.Want:
			c.Status, c.Note = "failed", "the rule must fire and does not"
		case r.Want != r.Got:
			c.Status, c.Note = "failed", "the rule fires and must not"
		default:
			c.Status, c.Note = "failed", "the message is another one"
		}
		counts[c.Status]++
		cases = append(cases, c)
	}
	return cases, counts
}

// WriteAlertSamples writes how the samples of the alerts went.
func WriteAlertSamples(w io.Writer, f Format, results []baseline.SampleResult) error {
	cases, counts := alertCases(results)
	switch f {
	case Table:
		return tableAlerts(w, cases, counts)
	case JSON:
		return writeJSON(w, struct {
			Schema  string      `json:"schema"`
			Passed  int         `json:"passed"`
			Failed  int         `json:"failed"`
			Skipped int         `json:"skipped"`
			Errors  int         `json:"errors"`
			Samples []alertCase `json:"samples"`
		}{AlertSchema, counts["passed"], counts["failed"], counts["skipped"], counts["error"], cases})
	case caseJUnit:
		return junitOfAlerts(w, cases, counts)
	}
	return fmt.Errorf("cannot write alert samples as %q: they can be written as %s", string(f), enumerate(names(CaseFormats())))
}

func tableAlerts(w io.Writer, cases []alertCase, counts map[string]int) error {
	var b strings.Builder
	last := ""
	for _, c := range cases {
		if c.Control != last {
			if last != "" {
				b.WriteByte('\n')
			}
			last = c.Control
			b.WriteString(Safe(c.Control) + "\n")
		}
		word := map[string]string{"passed": "ok  ", "failed": "FAIL", "skipped": "skip", "error": "ERR "}[c.Status]
		does := "silent"
		if c.Want {
			does = "told"
		}
		fmt.Fprintf(&b, "  %s  %-6s  %s\n", word, does, Safe(c.Sample))
		if c.Note != "" {
			fmt.Fprintf(&b, "                %s\n", Safe(c.Note))
		}
		if c.Status == "failed" && c.WantMail != "" && c.Got {
			indented(&b, "want", c.WantMail)
			indented(&b, "got", c.GotMail)
		}
	}
	if len(cases) > 0 {
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%s: %d passed, %d failed, %d skipped, %d could not be tried\n", count(len(cases), "sample", "samples"), counts["passed"], counts["failed"], counts["skipped"], counts["error"])
	_, err := io.WriteString(w, b.String())
	return err
}

func indented(b *strings.Builder, title, text string) {
	fmt.Fprintf(b, "                %s:\n", title)
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString(strings.TrimRight("                  "+Safe(line), " ") + "\n")
	}
}

func junitOfAlerts(w io.Writer, cases []alertCase, counts map[string]int) error {
	suite := caseJUnitSuite{Name: "alerts", Tests: len(cases), Failures: counts["failed"], Errors: counts["error"], Skipped: counts["skipped"]}
	for _, c := range cases {
		jc := caseJUnitCase{Class: visible(c.Control), Name: visible(c.Sample)}
		verdict := &caseJUnitFailure{Message: visible(c.Note), Type: c.Status}
		switch c.Status {
		case "failed":
			if c.Got && c.WantMail != "" {
				verdict.Text = visibleLines("want:\n" + c.WantMail + "\ngot:\n" + c.GotMail)
			}
			jc.Failure = verdict
		case "error":
			jc.Error = verdict
		case "skipped":
			jc.Skipped = verdict
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

// visibleLines is visible for a text whose line breaks are ours.
func visibleLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = visible(l)
	}
	return strings.Join(lines, "\n")
}

// ToldFormats lists the formats in which the alerts of one event can be written.
func ToldFormats() []Format { return []Format{Table, JSON} }

// WriteTold writes what the alert rules make of one event.
func WriteTold(w io.Writer, f Format, told []baseline.Told) error {
	type rule struct {
		Control string         `json:"control"`
		Rule    string         `json:"rule"`
		Fires   bool           `json:"fires"`
		Message *baseline.Mail `json:"message,omitempty"`
		// Chat is what a chat channel gets, where there is one.
		Chat *baseline.ChatMessage `json:"chat,omitempty"`
		// Lost says why no message could be made.
		Lost string `json:"lost,omitempty"`
	}
	if f == JSON {
		rules := make([]rule, len(told))
		for i, t := range told {
			rules[i] = rule{Control: t.Control, Rule: t.Rule, Fires: t.Fires}
			if rules[i].Lost = t.Lost; t.Fires && t.Lost == "" {
				rules[i].Message, rules[i].Chat = &t.Mail, t.Chat
			}
		}
		return writeJSON(w, struct {
			Schema string `json:"schema"`
			Rules  []rule `json:"rules"`
		}{ToldSchema, rules})
	}
	if f != Table {
		return fmt.Errorf("cannot write alerts as %q: they can be written as %s", string(f), enumerate(names(ToldFormats())))
	}
	var b strings.Builder
	fired := 0
	for _, t := range told {
		if !t.Fires {
			continue
		}
		fired++
		fmt.Fprintf(&b, "%s: rule %s fires\n\n", Safe(t.Control), Safe(t.Rule))
		if t.Lost != "" {
			fmt.Fprintf(&b, "  no message, the event goes to the dead-letter queue: %s\n\n", Safe(t.Lost))
			continue
		}
		for line := range strings.SplitSeq(t.Mail.String(), "\n") {
			b.WriteString(strings.TrimRight("  "+Safe(line), " ") + "\n")
		}
		b.WriteByte('\n')
		if t.Chat == nil {
			continue
		}
		for line := range strings.SplitSeq("Chat: "+t.Chat.Content.Title+"\n\n"+t.Chat.Content.Description, "\n") {
			b.WriteString(strings.TrimRight("  "+Safe(line), " ") + "\n")
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d of %s would tell somebody of this event\n", fired, count(len(told), "alert rule", "alert rules"))
	_, err := io.WriteString(w, b.String())
	return err
}
