package reports

import (
	"bytes"
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/finding"
)

const (
	dataStart = `<script type="application/json" id="data">`
	dataEnd   = `</script>`
)

// htmlParts are the page without its data, style and script, and the data.
func htmlParts(t *testing.T, b []byte) (shell string, data htmlRows) {
	t.Helper()
	before, rest, ok := strings.Cut(string(b), dataStart)
	if !ok {
		t.Fatalf("no data in\n%.2000s", b)
	}
	text, after, _ := strings.Cut(rest, dataEnd)
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		t.Fatalf("%v in %.500s", err, text)
	}
	for name, asset := range map[string]string{"style": auditStyle, "script": auditScript} {
		before = strings.Replace(before, "<"+name+">"+asset+"</"+name+">", "", 1)
		after = strings.Replace(after, "<"+name+">"+asset+"</"+name+">", "", 1)
	}
	return before + after, data
}

var tag = regexp.MustCompile(`</?([a-zA-Z][a-zA-Z0-9-]*)`)

// tags counts the elements of a page.
func tags(s string) map[string]int {
	n := map[string]int{}
	for _, m := range tag.FindAllStringSubmatch(s, -1) {
		n[strings.ToLower(m[1])]++
	}
	return n
}

func TestHTMLGolden(t *testing.T) {
	b := mustWrite(t, "audit-drift.html", Style{})
	s := strings.Replace(string(b), auditStyle, "(audit.css)", 1)
	s = strings.Replace(s, auditScript, "(audit.js)", 1)
	s = regexp.MustCompile(`'sha256-[^']+'`).ReplaceAllString(s, "'sha256-(hash)'")
	golden(t, "audit-drift.html", []byte(s))
}

func TestHTMLNeedsNothingElse(t *testing.T) {
	for _, name := range []string{"audit-drift.html", "audit-hostile.html", "audit-empty.html"} {
		shell, _ := htmlParts(t, mustWrite(t, name, Style{}))
		if !strings.Contains(shell, `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-`) {
			t.Errorf("%s has no policy", name)
		}
		for _, bad := range []string{"<link", "<img", "<iframe", " src=", " onclick", " onerror", " style=", "unsafe-inline", "@import", "url("} {
			// As markup: what is escaped is text.
			if strings.Contains(shell+auditStyle, bad) && !onlyAsText(shell, bad) {
				t.Errorf("%s holds %s", name, bad)
			}
		}
		if n := tags(shell)["script"]; n != 0 {
			t.Errorf("%s has %d more script tags", name, n)
		}
	}
}

// onlyAsText says that a page holds something between its tags only.
func onlyAsText(shell, s string) bool {
	for _, t := range regexp.MustCompile(`<[^>]*>`).FindAllString(shell, -1) {
		if strings.Contains(t, s) {
			return false
		}
	}
	return true
}

func TestHTMLHoldsEveryFinding(t *testing.T) {
	for name, a := range map[string]Audit{"drift": driftAudit(), "hostile": hostileAudit(), "large": largeAudit(), "empty": {}} {
		a = normalizeAudit(a)
		_, data := htmlParts(t, mustWrite(t, "audit-"+name+".html", Style{}))
		if len(data.Rows) != len(a.Findings) {
			t.Fatalf("%s: %d rows for %d findings", name, len(data.Rows), len(a.Findings))
		}
		ids, byID := Identify(a.Findings), map[string]finding.Finding{}
		for i, f := range a.Findings {
			byID[ids[i]] = f
		}
		for _, r := range data.Rows {
			f, ok := byID[r[0].(string)]
			if !ok {
				t.Fatalf("%s: no finding %s, or twice", name, r[0])
			}
			delete(byID, r[0].(string))
			at := func(i int) int { return int(r[i].(float64)) }
			got := []string{
				data.Accounts[at(1)][0], data.Accounts[at(1)][1], data.Accounts[at(1)][2], data.Regions[at(2)], data.Controls[at(3)][0],
				data.Statuses[at(4)][0], data.Texts[at(6)], data.Texts[at(7)], data.Texts[at(10)],
			}
			want := []string{f.Account, f.AccountName, f.OUPath, f.Region, f.Control, string(f.Status), f.Resource, f.Told(), f.Fix}
			for i := range want {
				want[i] = visible(want[i])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			if r[9].(float64) != 0 != (f.Actual != nil) {
				t.Errorf("%s: actual %v is %q", name, f.Actual, data.Texts[at(9)])
			}
		}
	}
}

// The script takes the first status for drift, and the last severity for none.
func TestTheScriptKnowsTheOrderOfStatuses(t *testing.T) {
	if finding.Statuses[0] != finding.Drift {
		t.Errorf("the first status is %s: change audit.js", finding.Statuses[0])
	}
	for i, s := range htmlSeverities {
		if got := finding.Severity(s).Rank(); got != i {
			t.Errorf("%s has the rank %d and the place %d", s, got, i)
		}
	}
}

// FuzzHTML writes any text everywhere: the page keeps its elements, and the data comes
// back as it was.
func FuzzHTML(f *testing.F) {
	for _, h := range hostile {
		f.Add(h)
	}
	f.Add("</script><script>alert(1)</script>")
	f.Add("<!--<script>")
	f.Add("]]>{{.}}`${alert(1)}")
	audit := func(s string) Audit {
		return Audit{Organization: Organization{ID: s}, ToolVersion: s, Next: s, Findings: []finding.Finding{{
			Account: s, AccountName: s, OUPath: s, Region: "r" + s, Control: s, Resource: s, Status: finding.Drift, Severity: finding.Severity(s),
			Reason: s, Expected: s, Actual: map[string]any{s: s}, Fix: s,
		}}, Controls: []Control{{ID: s, Title: s}}}
	}
	write := func(t *testing.T, s string) []byte {
		var b bytes.Buffer
		if err := Write(&b, HTML, Style{}, audit(s)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.TrimSpace(visible(s)) == "" {
			return // parts without a text are left out
		}
		plainShell, _ := htmlParts(t, write(t, "x"))
		b := write(t, s)
		shell, data := htmlParts(t, b)
		if diff := cmp.Diff(tags(plainShell), tags(shell)); diff != "" {
			t.Fatalf("%q changes the page (-plain +got):\n%s", s, diff)
		}
		_, rest, _ := strings.Cut(string(b), dataStart)
		text, _, _ := strings.Cut(rest, dataEnd)
		if strings.ContainsAny(text, "<>&") {
			t.Fatalf("%q leaves markup in the data", s)
		}
		if got, want := data.Accounts[0], ([3]string{visible(s), visible(s), visible(s)}); got != want {
			t.Errorf("%q is %q", want, got)
		}
		if !strings.Contains(html.UnescapeString(shell), "<code>"+visible(s)+"</code>") {
			t.Errorf("%q is not in the page as it is", visible(s))
		}
	})
}
