package reports

import (
	"bytes"
	"cmp"
	"html/template"
	"io"

	"github.com/orgguard/orgguard/scp/preview"
)

// previewPage is the page. html/template escapes every text for its place;
// Safe goes before it, so that nothing invisible hides in a name. The page
// loads nothing, and its policy says so to the browser.
var previewPage = template.Must(template.New("preview").Funcs(template.FuncMap{
	"safe": Safe, "who": previewWho, "use": previewUse, "actions": previewActions, "refs": previewRefs, "guard": previewGuardText,
	"check": previewCheck, "word": func(s preview.CheckStatus) string { return previewCheckWords[s] }, "redundant": previewRedundant,
	"label":     func(d preview.DiffLine) string { return cmp.Or(d.Sid, "statement") },
	"exemption": func(x preview.Exemption) string { text, _ := previewExemption(x); return text },
	"warns":     func(x preview.Exemption) bool { _, warn := previewExemption(x); return warn },
}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>SCP preview: {{safe .P.Change.Policy}}</title>
<style>
:root{color-scheme:light dark;--fg:#1a1a1a;--bg:#fff;--soft:#666;--line:#ddd;--bad:#a4001d;--warn:#7a5200;--card:#f6f6f6}
@media (prefers-color-scheme:dark){:root{--fg:#eaeaea;--bg:#161616;--soft:#aaa;--line:#3a3a3a;--bad:#ff8a96;--warn:#f0c060;--card:#222}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.3rem;margin-bottom:.2rem}h2{font-size:1.05rem;margin-top:2rem}p{margin:.3rem 0}
.verdict{border-left:.4rem solid var(--soft);background:var(--card);padding:.7rem 1rem;margin:1rem 0}
.x1{border-color:var(--bad)}.x1 b,.error,.loses{color:var(--bad)}.x3{border-color:var(--warn)}.warning,.depends{color:var(--warn)}
.soft{color:var(--soft)}code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.35rem .6rem .35rem 0;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{color:var(--soft);font-weight:normal}.tree td:first-child{white-space:nowrap}.wide{overflow-x:auto}
</style></head><body>
<h1>SCP preview</h1><p>{{safe .Title}}</p><p class="soft">read-only, nothing was changed</p>
<div class="verdict x{{.P.Verdict.ExitCode}}"><b>{{.P.Verdict.Word}}</b> {{safe .P.Verdict.Text}}
{{if .P.Verdict.Reasons}}<ul>{{range .P.Verdict.Reasons}}<li>{{safe .}}</li>{{end}}</ul>{{end}}</div>
<h2>Reaches {{.P.Reach.Accounts}} of {{.P.Reach.Total}} accounts</h2>
<div class="wide"><table class="tree">{{range .Tree}}<tr><td style="padding-left:{{.Indent}}em">{{safe .Name}} {{.Mark}}</td><td class="soft">{{safe .Note}}</td></tr>{{end}}</table></div>
<h2>Change to the policy</h2>
<div class="wide"><table><tr><th></th><th>Statement</th><th>Says</th><th>Condition</th></tr>
{{range .P.Diff}}<tr><td><code>{{safe .Sign}}</code></td><td>{{safe (label .)}}</td><td>{{safe .Summary}}</td><td>{{range .Condition}}{{safe .}}<br>{{end}}</td></tr>{{end}}</table></div>
{{range .P.Redundant}}<p>Already: {{safe (redundant .)}}</p>{{end}}
{{range .Sections}}<h2>{{.Title}}</h2><div class="wide"><table><tr><th>Principal</th><th>Actions</th><th>Evidence</th><th>Depends</th><th>Decided by</th></tr>
{{range .Effects}}<tr><td>{{safe (who . 5)}}</td><td>{{safe (actions .Actions)}}{{range .Resources}}<br><code>{{safe .}}</code>{{end}}</td>
<td>{{range .Uses}}{{safe .Account}} {{safe (use .)}}<br>{{end}}{{if .IAM}}IAM {{safe .IAM}} it{{end}}</td><td>{{range .Depends}}{{safe .}}<br>{{end}}</td><td>{{safe (refs .Deciding)}}</td></tr>{{end}}</table></div>{{end}}
<h2>Who must go on working</h2><table>{{range .P.Guards}}<tr><td class="{{.Status}}">{{.Status}}</td><td>{{safe (guard .)}}</td></tr>{{end}}</table>
<h2>Checks</h2><table>
{{range .P.Exemptions}}<tr>{{if warns .}}<td class="warning">WARN</td>{{else}}<td>ok</td>{{end}}<td>exempt {{safe (exemption .)}}</td></tr>{{end}}
{{if .Gaps}}<tr><td class="warning">WARN</td><td>AWS Config can still be silenced: {{safe .Gaps}}</td></tr>{{end}}
{{range .P.Checks}}<tr><td class="{{.Status}}">{{word .Status}}</td><td>{{safe (check .)}}{{if ne (word .Status) "ok"}}{{if .Fix}}<br><span class="soft">fix: {{safe .Fix}}</span>{{end}}{{end}}</td></tr>{{end}}</table>
<h2>Evidence</h2><ul>{{range .Evidence}}<li>{{safe .}}</li>{{end}}{{range .Missing}}<li class="warning">missing: {{safe .}}</li>{{end}}{{range .P.Notes}}<li class="soft">{{safe .}}</li>{{end}}</ul>
<p class="soft">tree and policies as of {{.P.Organization.SnapshotAt.Format "2006-01-02 15:04:05Z"}}; <code>{{safe .P.Fingerprint}}</code></p>
{{if .P.Next}}<h2>Next</h2><p><code>{{safe .P.Next}}</code></p>{{end}}
{{if .P.Undo}}<h2>Undo</h2>{{range .P.Undo}}<p><code>{{safe .}}</code></p>{{end}}{{end}}
</body></html>
`))

// htmlPreview writes a preview as one page, light or dark as the reader's
// system is.
func htmlPreview(w io.Writer, o PreviewOptions, p preview.Preview) error {
	type line struct {
		Indent           int
		Name, Mark, Note string
	}
	type section struct {
		Title   string
		Effects []preview.Effect
	}
	data := struct {
		P                 preview.Preview
		Title, Gaps       string
		Tree              []line
		Sections          []section
		Evidence, Missing []string
	}{P: p, Title: previewTitle(p), Gaps: previewGaps(p), Evidence: previewEvidence(p), Missing: previewMissing(p)}
	for _, l := range previewTree(p, o) {
		data.Tree = append(data.Tree, line{2 * l.depth, l.name, l.mark, l.note})
	}
	for _, s := range previewSections(p) {
		data.Sections = append(data.Sections, section{s.title, s.effects})
	}
	var b bytes.Buffer
	if err := previewPage.Execute(&b, data); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}
