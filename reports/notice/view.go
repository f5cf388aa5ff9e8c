package notice

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/reports"
)

// View is a notice as templates see it. Every text is short, on one line, and defused
// for the channel that it goes to.
type View struct {
	Organization       string
	Run                int64 // the number of the newest run in the history
	Runs               int   // that are summed up
	Skipped            int   // older runs that are not, because there were too many
	At, Since          string
	Accounts           int
	Part               bool // only a part of the organization was looked at
	Interrupted        bool
	Test               bool
	Counts             Counts
	Drift, NotAssessed int // now
	// The lines that fit, the worst first.
	New, Worse, Resolved []Line
	// How many lines did not fit.
	MoreNew, MoreWorse, MoreResolved int
	Report                           string // where the report is
	Unreached                        []string
}

// Line is a finding of a View, or several of one account and one cause.
type Line struct {
	Severity    string `json:"severity"` // critical, high, medium or low; in a text as people read it
	Account     string `json:"account"`
	AccountName string `json:"account_name"`
	OUPath      string `json:"ou_path"`
	Region      string `json:"region"`
	Control     string `json:"control"`
	Resource    string `json:"resource,omitempty"`
	Reason      string `json:"reason"`
	Fix         string `json:"fix,omitempty"`
	Findings    int    `json:"findings"`
}

// The lengths of texts in a message, in characters.
const (
	maxName   = 100
	maxReason = 400
)

// severityWords are the severities as messages have them.
var severityWords = map[string]map[finding.Severity]string{
	"en": {finding.Critical: "CRITICAL", finding.High: "HIGH", finding.Medium: "MEDIUM", finding.Low: "LOW"},
	"ja": {finding.Critical: "緊急", finding.High: "高", finding.Medium: "中", finding.Low: "低"},
}

// defuse makes a text harmless for a channel.
type defuse func(string) string

// viewOf is a notice with at most so many lines of each kind.
func (n Notice) viewOf(lang string, safe defuse, limit int) View {
	short := func(s string, characters int) string { return safe(clip(s, characters)) }
	v := View{
		Organization: short(n.Organization, maxName), Run: n.Run, Runs: n.Runs, Skipped: n.Skipped, At: minute(n.GeneratedAt), Since: minute(n.Since), Accounts: n.Accounts,
		Part: n.Narrowed, Interrupted: n.Interrupted, Test: n.Test, Counts: n.Counts(), Drift: n.Drift, NotAssessed: n.NotAssessed,
		Report: n.Report,
	}
	if !strings.HasPrefix(n.Report, "https://") { // an address is the configuration's own
		v.Report = short(n.Report, maxReason)
	}
	for _, u := range n.Unreached {
		v.Unreached = append(v.Unreached, short(u, maxReason))
	}
	lines := func(c finding.Change, more *int) []Line {
		var out []Line
		all := reports.Lines(n.findings(c))
		*more = max(0, len(all)-limit)
		for _, l := range all[:min(len(all), limit)] {
			word := severityWords[lang][l.Severity]
			if word == "" {
				word = short(string(l.Severity), maxName)
			}
			if c == finding.Resolved {
				l.Fix = "" // nothing is left to do
			}
			out = append(out, Line{
				word, short(l.Account, maxName), short(l.AccountName, maxName), short(l.OUPath, maxName), short(l.Region, maxName), short(l.Control, maxName),
				short(l.Resource, maxName), short(said(lang, l.Reason), maxReason), short(l.Fix, maxReason), l.Findings,
			})
		}
		return out
	}
	v.New, v.Worse, v.Resolved = lines(finding.New, &v.MoreNew), lines(finding.Worse, &v.MoreWorse), lines(finding.Resolved, &v.MoreResolved)
	return v
}

// clip cuts a text to a number of characters.
func clip(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

func minute(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// chatActs are what Slack, Teams or Amazon Q act on: links, mentions, entities, the end
// of a block.
var chatActs = strings.NewReplacer("<", "‹", ">", "›", "`", "'", "](", "] (", "://", ": //", "&lt;", "& lt;", "&gt;", "& gt;", "&#", "& #", "&amp;", "& amp;")

// forMail makes a text harmless in a mail, which is plain text.
func forMail(s string) string { return reports.Safe(s) }

// forChat makes a text harmless in a channel.
func forChat(s string) string { return chatActs.Replace(reports.Safe(s)) }

// subject is a text as SNS takes it for the subject of a mail: ASCII without control
// characters, with a letter, a number or a punctuation mark first, and shorter than a
// hundred characters.
// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
func subject(s string) string {
	var b strings.Builder
	for _, r := range strings.TrimSpace(s) {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			r = ' '
		case r < ' ' || r > '~':
			r = '?'
		}
		b.WriteRune(r)
		if b.Len() == maxSubject {
			break
		}
	}
	if b.Len() == 0 {
		return "orgguard"
	}
	return b.String()
}

const maxSubject = 99

// headline is a notice in one line of ASCII.
func (n Notice) headline() string {
	if n.Test {
		return "a test message"
	}
	var parts []string
	c := n.Counts()
	for _, x := range []struct {
		n    int
		word string
	}{{c.New, "new"}, {c.Worse, "worse"}, {c.Resolved, "resolved"}} {
		if x.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", x.n, x.word))
		}
	}
	if len(parts) == 0 {
		return "nothing changed"
	}
	return strings.Join(parts, ", ")
}
