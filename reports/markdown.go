package reports

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/orgguard/orgguard/orgs/finding"
)

// maxMarkdown bounds a report in bytes: a comment on GitHub holds 65,536
// characters, and what is longer is refused as a whole.
const maxMarkdown = 60_000

// markdownAudit writes an audit for a pull request or a chat: the verdict and the
// counts first, then one table per status. Names that others chose stand in code
// spans or are escaped; nothing in them becomes a link, an image, a mention or
// HTML.
func markdownAudit(w io.Writer, _ Style, a Audit) error {
	var m markdown
	v := judge(a)
	m.line("## orgguard audit: %s", v.word)
	m.line("**%s**", md(v.text))
	m.line("%s", md(strings.Join(scope(a), ", ")))
	var words, numbers []string
	for _, s := range finding.Statuses {
		words = append(words, statusWords[s])
		numbers = append(numbers, thousands(a.Summary.Of(s)))
	}
	m.table(words, [][]string{numbers})
	for _, r := range remarks(a) {
		m.line("%s", md(r))
	}
	if a.Next != "" {
		m.line("Next: %s", code(a.Next))
	}
	for _, s := range auditSections(a) {
		m.line("### %s", s.title())
		m.findings(s)
	}
	return m.flush(w)
}

func (m *markdown) findings(s section) {
	header := []string{"Severity", "Account", "Region", "Control", "Resource", "Reason", "Fix"}
	var rows [][]string
	for _, g := range s.groups {
		for _, r := range g.rows {
			severity := md(string(r.severity))
			if s.status == finding.InSync || s.status == finding.NotApplicable || s.status == finding.Exempt {
				severity = ""
			}
			rows = append(rows, []string{
				severity, mdAccount(g.id, g.name, g.ou), md(r.region), md(r.control), code(r.resource),
				md(r.reason), mdDo(r.fix),
			})
		}
	}
	m.table(header, rows)
}

func mdAccount(id, name, ou string) string {
	var parts []string
	for _, s := range []string{id, name, ou} {
		if s != "" {
			parts = append(parts, code(s))
		}
	}
	return strings.Join(parts, " ")
}

// mdDo writes what to do: a command as code, a sentence as text.
func mdDo(s string) string {
	if isCommand(s) {
		return code(s)
	}
	return md(s)
}

// markdown is a document that is being written. It takes no more than a comment
// holds, and says what it left out.
type markdown struct {
	buf  bytes.Buffer
	left int // rows that were left out
}

// line writes a block of its own. Its arguments are Markdown already.
func (m *markdown) line(format string, args ...any) {
	if m.buf.Len() > 0 {
		m.buf.WriteByte('\n')
	}
	fmt.Fprintf(&m.buf, format+"\n", args...)
}

// table writes a table whose cells are Markdown already. Columns in which no row
// says anything are left out.
func (m *markdown) table(header []string, rows [][]string) {
	var keep []int
	for c := range header {
		for _, r := range rows {
			if r[c] != "" {
				keep = append(keep, c)
				break
			}
		}
	}
	if len(keep) == 0 {
		return
	}
	m.buf.WriteString("\n" + tableLine(header, keep))
	m.buf.WriteString(strings.Repeat("| --- ", len(keep)) + "|\n")
	for i, r := range rows {
		l := tableLine(r, keep)
		if m.buf.Len()+len(l) > maxMarkdown {
			m.left += len(rows) - i
			return
		}
		m.buf.WriteString(l)
	}
}

func tableLine(cells []string, keep []int) string {
	var b strings.Builder
	for _, c := range keep {
		b.WriteString("| " + cells[c] + " ")
	}
	return b.String() + "|\n"
}

func (m *markdown) flush(w io.Writer) error {
	if m.left > 0 {
		m.line("%s left out, because a comment holds no more; `--format json` has them all.",
			count(m.left, "row is", "rows are"))
	}
	_, err := w.Write(m.buf.Bytes())
	return err
}

// noBreak stands between two characters so that they are not taken together, and
// shows nothing. Entities and backslashes do not help against mentions and bare
// links: services look for those in the text as it is shown.
const noBreak = "\u200b"

// md escapes a text so that it shows as it is in a paragraph or a table cell.
func md(s string) string {
	s = Safe(s)
	var b strings.Builder
	runes := []rune(s)
	for i, r := range runes {
		next := rune(0)
		if i+1 < len(runes) {
			next = runes[i+1]
		}
		switch {
		case r == '|':
			b.WriteString("&#124;") // a backslash before it could be escaped itself
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case strings.ContainsRune("\\`*_[]~$!", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '@' && next != ' ' && next != 0:
			b.WriteString("@" + noBreak) // a mention
		case r == '#' && (unicode.IsLetter(next) || unicode.IsDigit(next)):
			b.WriteString("#" + noBreak) // an issue
		case r == ':' && next == '/':
			b.WriteString(":" + noBreak) // a link
		case r == '.' && i >= 3 && strings.EqualFold(string(runes[i-3:i]), "www"):
			b.WriteString(noBreak + ".") // a link without a scheme
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// code writes a name or a command as code, in which nothing is a link or a
// mention. Backticks, and bars in tables, would end it: with those it is HTML.
func code(s string) string {
	if s == "" {
		return ""
	}
	if safe := Safe(s); !strings.ContainsAny(safe, "`|\\") && strings.TrimSpace(safe) == safe {
		return "`" + safe + "`"
	}
	return "<code>" + md(s) + "</code>"
}
