package reports

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp/apply"
	"github.com/orgguard/orgguard/scp/preview"
)

// ApplyFormats lists the formats in which waves of a policy can be written, before
// and after they are carried out.
func ApplyFormats() []Format { return []Format{Table, JSON, Markdown} }

// WriteApply writes what a run over a policy is to do, or did.
func WriteApply(w io.Writer, f Format, s Style, r apply.Report) error {
	r.GeneratedAt = utcSecond(r.GeneratedAt)
	if r.Notes == nil {
		r.Notes = []string{}
	}
	if r.Waves == nil {
		r.Waves = []apply.WaveResult{}
	}
	switch f {
	case Table:
		return tableApply(w, s, r)
	case JSON:
		return writeJSON(w, r)
	case Markdown:
		return markdownApply(w, r)
	}
	return fmt.Errorf("cannot write a run over a policy as %q: it can be written as %s", string(f), enumerate(names(ApplyFormats())))
}

// outcomeWords say how a run ended.
var outcomeWords = map[apply.Outcome]string{
	apply.ToDo:        "nothing was changed yet",
	apply.Done:        "DONE: every wave is in place and verified",
	apply.NothingToDo: "NOTHING TO DO: all is as it should be",
	apply.TakenBack:   "ROLLED BACK: a wave failed and was taken back; the waves before it stand",
	apply.Broken:      "FAILED: a wave failed and is not as it was before",
	apply.Cut:         "INTERRUPTED: what was made stands; go on with it, or undo it",
}

// waveEndings say how a wave ended.
var waveEndings = map[apply.WaveStatus]string{
	apply.Verified: "verified", apply.RolledBack: "ROLLED BACK", apply.WaveFailed: "FAILED", apply.Interrupted: "INTERRUPTED", apply.NotBegun: "not begun",
}

func applyTitle(r apply.Report) string {
	verb := map[preview.ChangeKind]string{preview.Attach: "attach", preview.Replace: "edit", preview.Detach: "detach"}[r.Kind]
	return strings.TrimSpace(verb + " " + r.Policy)
}

// waveTitle names a wave; its status is left out of a plan.
func waveTitle(r apply.Report, w apply.WaveResult) string {
	t := fmt.Sprintf("Wave %d of %d: %s, %s", w.Number, len(r.Waves), w.Name, count(w.Accounts, "account", "accounts"))
	if r.Outcome != apply.ToDo {
		t += ": " + waveEndings[w.Status]
	}
	return t
}

// outcomeWord is what became of a change, in a word.
func outcomeWord(o plan.Outcome) string {
	switch {
	case o.Skipped:
		return "not begun"
	case o.Err != "":
		return "failed"
	}
	return "done"
}

func tableApply(w io.Writer, s Style, r apply.Report) error {
	t := previewTable{newGrid(s), PreviewOptions{}}
	p := t.g.pens.strong
	if r.Outcome == apply.TakenBack || r.Outcome == apply.Broken || r.Outcome == apply.Cut {
		p = t.g.pens.bad
	}
	t.item("SCP", applyTitle(r), t.g.pens.strong)
	t.item("Result", outcomeWords[r.Outcome], p)
	if r.Run != "" {
		t.item("Run", r.Run, t.g.pens.faint)
	}
	for _, wave := range r.Waves {
		t.title(waveTitle(r, wave))
		for _, o := range wave.Outcomes {
			t.applied(r, o)
		}
		for _, o := range wave.Back {
			o.Change.Verb = "taken back: " + o.Change.Verb
			t.applied(r, o)
		}
		for _, c := range wave.Checks {
			t.check(c)
		}
	}
	if len(r.Notes) > 0 {
		t.g.blank()
		for _, n := range r.Notes {
			t.item("Note", n, nil)
		}
	}
	if r.Undo != "" || r.Next != "" {
		t.g.blank()
	}
	if r.Next != "" {
		t.item("Next", r.Next, t.g.pens.strong)
	}
	if r.Undo != "" {
		t.item("Undo", r.Undo, nil)
	}
	return t.g.flush(w)
}

// applied writes a change and what became of it.
func (t previewTable) applied(r apply.Report, o plan.Outcome) {
	c := o.Change
	mark, p := outcomeWord(o), t.g.pens.strong
	if r.Outcome == apply.ToDo {
		mark = "-"
	}
	if mark == "failed" {
		p = t.g.pens.bad
	}
	text := string(c.Verb) + " " + c.Resource
	if c.Why != "" && r.Outcome == apply.ToDo {
		text += ": " + c.Why
	}
	t.bullet(mark, text, p)
	if o.Err != "" {
		t.g.hang(strings.Repeat(" ", 8), Safe(o.Err), t.g.pens.bad)
	}
	if o.Hint != "" {
		t.fix(o.Hint)
	}
}

// check writes a look at a wave.
func (t previewTable) check(c preview.Check) {
	mark, p := "ok", t.g.pens.good
	switch c.Status {
	case preview.CheckWarning:
		mark, p = "WARN", t.g.pens.warn
	case preview.CheckError:
		mark, p = "FAIL", t.g.pens.bad
	}
	t.bullet(mark, c.Text, p)
	if c.Fix != "" {
		t.fix(c.Fix)
	}
}

func markdownApply(w io.Writer, r apply.Report) error {
	var m markdown
	m.line("## SCP: %s", md(applyTitle(r)))
	m.line("**%s**", md(outcomeWords[r.Outcome]))
	if r.Run != "" {
		m.line("Run %s", code(r.Run))
	}
	for _, wave := range r.Waves {
		m.line("### %s", md(waveTitle(r, wave)))
		var rows [][]string
		row := func(o plan.Outcome, mark string) {
			if r.Outcome == apply.ToDo {
				mark = ""
			}
			rows = append(rows, []string{md(mark), md(string(o.Change.Verb)), code(o.Change.Resource), md(cmp.Or(o.Err, o.Change.Why))})
		}
		for _, o := range wave.Outcomes {
			row(o, outcomeWord(o))
		}
		for _, o := range wave.Back {
			row(o, "taken back: "+outcomeWord(o))
		}
		m.table([]string{"", "Verb", "What", "Why"}, rows)
		rows = nil
		for _, c := range wave.Checks {
			rows = append(rows, []string{md(string(c.Status)), md(c.Text), mdDo(c.Fix)})
		}
		m.table([]string{"Look", "Found", "Fix"}, rows)
	}
	for _, n := range r.Notes {
		m.line("- %s", md(n))
	}
	if r.Next != "" {
		m.line("Next: %s", code(r.Next))
	}
	if r.Undo != "" {
		m.line("Undo: %s", code(r.Undo))
	}
	return m.flush(w)
}
