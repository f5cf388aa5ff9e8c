package reports

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs/finding"
)

var (
	//go:embed assets/audit.html
	auditPage string
	//go:embed assets/audit.css
	auditStyle string
	//go:embed assets/audit.js
	auditScript string
)

// maxNoScript is how many findings a reader without scripts sees.
const maxNoScript = 200

// htmlAudit writes an audit as one file that needs nothing else: no network, no
// fonts, no libraries. Open it from a mail or an archive and it works.
//
// The findings stand in the page as JSON, and a script draws the fifty that are asked
// for: a hundred thousand are no problem, because only what is seen is drawn. Without
// scripts the first ones are a plain table.
//
// Whatever others chose is data. In the page html/template escapes it; in the JSON no
// character is left that could end the script element; the script only ever sets it as
// text; and the policy in the head allows this style and this script by their hashes
// and nothing else, so that even what slipped through could neither run nor phone home.
func htmlAudit(w io.Writer, _ Style, a Audit) error {
	order := htmlOrder(a.Findings)
	ids := Identify(a.Findings)
	data, err := htmlData(a, order, ids)
	if err != nil {
		return err
	}
	v := judge(a)
	lines := scope(a)
	for i, l := range lines {
		lines[i] = visible(l)
	}
	page := htmlPage{
		Policy: htmlPolicy(), Style: template.CSS(auditStyle), Script: template.JS(auditScript), Data: data,
		Title: visible("orgguard audit: " + v.word + ", " + cmp.Or(a.Organization.ID, "unknown organization")),
		Word:  v.word, VerdictClass: string(v.status), Text: visible(v.text), Scope: lines,
		Next: visible(a.Next), Counts: htmlCounts(a), Trend: htmlTrendOf(a.Trend),
	}
	for _, r := range remarks(a) {
		page.Remarks = append(page.Remarks, visible(r))
	}
	page.Gone = htmlGone(a)
	for _, i := range order[:min(maxNoScript, len(order))] {
		page.First = append(page.First, htmlFirst(a.Findings[i], ids[i]))
	}
	page.NoScript = "Maps, filters and search need scripts, which are off. These are all findings."
	if n := len(order); n > maxNoScript {
		page.NoScript = fmt.Sprintf("Maps, filters and search need scripts, which are off. These are the first %d of %s findings.",
			maxNoScript, thousands(n))
	}
	t, err := template.New("audit").Parse(auditPage)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, page); err != nil {
		return fmt.Errorf("write HTML: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

type (
	htmlPage struct {
		Policy                          template.HTML
		Style                           template.CSS
		Script, Data                    template.JS
		Title, Word, VerdictClass, Text string
		Scope                           []string
		Counts                          []htmlCount
		Next, NoScript                  string
		First, Gone                     []htmlLine
		Remarks                         []string
		Trend                           *htmlTrend
	}
	htmlCount struct {
		Class, Number, Word, Link string
		Unlisted                  bool
	}
	htmlLine struct {
		ID, Status, Severity, Account, Region, Control, What, Fix string
	}
)

// htmlPolicy allows the page its own style and script, and nothing from anywhere.
func htmlPolicy() template.HTML {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return template.HTML(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src ` + hash(auditScript) +
		`; style-src ` + hash(auditStyle) + `; base-uri 'none'; form-action 'none'">`)
}

func htmlCounts(a Audit) []htmlCount {
	listed := finding.Summarize(a.Findings)
	var out []htmlCount
	for _, s := range finding.Statuses {
		c := htmlCount{Class: string(s), Number: thousands(a.Summary.Of(s)), Word: statusWords[s]}
		if listed.Of(s) > 0 {
			c.Link = "#status=" + string(s)
		}
		c.Unlisted = a.Summary.Of(s) > 0 && c.Link == ""
		out = append(out, c)
	}
	return out
}

func htmlFirst(f finding.Finding, id string) htmlLine {
	what := f.Told()
	if f.Resource != "" {
		what = strings.TrimPrefix(what+" ("+f.Resource+")", " ")
	}
	return htmlLine{
		ID: id, Status: statusWords[statusOf(f)], Severity: visible(string(f.Severity)),
		Account: visible(strings.TrimSpace(cmp.Or(f.Account, "organization") + " " + f.AccountName)),
		Region:  visible(f.Region), Control: visible(f.Control), What: visible(what), Fix: visible(f.Fix),
	}
}

// htmlGone are the findings that were open before and are not among the findings now.
// Beyond what anybody reads, their number stands in the remarks.
func htmlGone(a Audit) []htmlLine {
	if a.Since == nil {
		return nil
	}
	var out []htmlLine
	for _, f := range a.Since.Gone[:min(maxNoScript, len(a.Since.Gone))] {
		l := htmlFirst(f, "")
		l.Status = sinceWords[f.Change]
		out = append(out, l)
	}
	return out
}

// htmlOrder is the order in which people read: what drifted, then what could not be
// looked at, then the rest; in each the worst first, by account.
func htmlOrder(fs []finding.Finding) []int {
	order := make([]int, len(fs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(
			cmp.Compare(slices.Index(finding.Statuses, statusOf(fs[i])), slices.Index(finding.Statuses, statusOf(fs[j]))),
			cmp.Compare(fs[i].Severity.Rank(), fs[j].Severity.Rank()),
		)
	})
	return order
}

// htmlSeverities names the severities by rank.
var htmlSeverities = []string{string(finding.Critical), string(finding.High), string(finding.Medium), string(finding.Low), "none"}

// htmlRows is what the script reads. A row holds places in the lists: texts repeat, and
// a report of a hundred thousand findings has to open.
type htmlRows struct {
	Audited    int         `json:"audited"`
	Statuses   [][2]string `json:"statuses"`
	Severities []string    `json:"severities"`
	Accounts   [][3]string `json:"accounts"`
	Regions    []string    `json:"regions"`
	Controls   [][2]string `json:"controls"`
	Changes    [][2]string `json:"changes"`
	Texts      []string    `json:"texts"`
	Rows       [][]any     `json:"rows"`
}

func htmlData(a Audit, order []int, ids []string) (template.JS, error) {
	d := htmlRows{
		Audited: a.Organization.Accounts, Severities: htmlSeverities,
		Accounts: [][3]string{}, Regions: []string{}, Controls: [][2]string{}, Texts: []string{""}, Rows: [][]any{},
		Changes: [][2]string{},
	}
	for _, c := range finding.Changes {
		d.Changes = append(d.Changes, [2]string{string(c), sinceWords[c]})
	}
	for _, s := range finding.Statuses {
		d.Statuses = append(d.Statuses, [2]string{string(s), statusWords[s]})
	}
	title := titles(a)
	accounts, regions, controls := map[[3]string]int{}, map[string]int{}, map[string]int{}
	texts := map[string]int{"": 0}
	text := func(s string) int { return place(texts, &d.Texts, s, s) }
	for _, r := range a.Organization.Regions {
		r = visible(r)
		place(regions, &d.Regions, r, r)
	}
	for _, id := range controlsOf(a.Findings) {
		place(controls, &d.Controls, id, [2]string{visible(id), visible(title[id])})
	}
	for _, i := range order {
		f := a.Findings[i]
		expected, err1 := htmlJSON(f.Expected)
		actual, err2 := htmlJSON(f.Actual)
		if err := errors.Join(err1, err2); err != nil {
			return "", fmt.Errorf("finding %s %s %s: %w", f.Account, f.Region, f.Control, err)
		}
		account := [3]string{visible(f.Account), visible(f.AccountName), visible(f.OUPath)}
		region := visible(f.Region)
		d.Rows = append(d.Rows, []any{
			ids[i],
			place(accounts, &d.Accounts, account, account),
			place(regions, &d.Regions, region, region),
			controls[f.Control],
			slices.Index(finding.Statuses, statusOf(f)),
			f.Severity.Rank(),
			text(visible(f.Resource)), text(visible(f.Told())), text(expected), text(actual), text(visible(f.Fix)),
			slices.Index(finding.Changes, f.Change), text(rfc3339(f.FirstSeen)),
		})
	}
	b, err := marshal(d, "")
	if err != nil {
		return "", err
	}
	// In JSON these stand only in strings. Without them nothing in the data can end
	// the element that holds it, or begin a comment.
	b = bytes.ReplaceAll(bytes.TrimSpace(b), []byte("<"), []byte(`\u003c`))
	b = bytes.ReplaceAll(b, []byte(">"), []byte(`\u003e`))
	b = bytes.ReplaceAll(b, []byte("&"), []byte(`\u0026`))
	return template.JS(b), nil
}

// place is where a value stands in a list. One that is new is put at its end.
func place[K comparable, V any](at map[K]int, list *[]V, key K, value V) int {
	i, ok := at[key]
	if !ok {
		i = len(*list)
		at[key] = i
		*list = append(*list, value)
	}
	return i
}

func controlsOf(fs []finding.Finding) []string {
	seen := map[string]bool{}
	for _, f := range fs {
		seen[f.Control] = true
	}
	return sortedKeys(seen)
}

// htmlJSON writes a value as people read it: a line for each member.
func htmlJSON(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	b, err := marshal(v, "  ")
	return string(bytes.TrimSpace(b)), err
}
