package reports

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/orgguard/orgguard/scp/preview"
)

// markdownPreview writes a preview for a pull request: what the table says, as
// tables. Names and policy texts that others chose stand in code spans or are
// escaped, as in an audit.
func markdownPreview(w io.Writer, o PreviewOptions, p preview.Preview) error {
	var m markdown
	m.line("## SCP preview: %s", md(string(p.Verdict.Word)))
	m.line("**%s**", md(p.Verdict.Text))
	for _, r := range p.Verdict.Reasons {
		m.line("- %s", md(r))
	}
	m.line("%s (read-only, nothing was changed)", md(previewTitle(p)))
	m.line("Reaches %s of %s.", thousands(p.Reach.Accounts), count(p.Reach.Total, "account", "accounts"))
	var rows [][]string
	for _, d := range p.Diff {
		rows = append(rows, []string{code(d.Sign), md(cmp.Or(d.Sid, fmt.Sprintf("statement %d", d.Index))), md(d.Summary), md(strings.Join(d.Condition, "; "))})
	}
	m.line("### Change to the policy")
	m.table([]string{"", "Statement", "Says", "Condition"}, rows)
	for _, r := range p.Redundant {
		m.line("- already: %s", md(previewRedundant(r)))
	}
	for _, sec := range previewSections(p) {
		m.line("### %s", md(sec.title))
		m.table([]string{"Principal", "Actions", "On", "Used", "Depends", "Decided by"}, previewMarkdownRows(sec, o))
	}
	m.line("### Who must go on working")
	rows = nil
	bad, fine := previewGuards(p)
	for _, g := range append(bad, fine...) {
		rows = append(rows, []string{md(string(g.Status)), md(previewGuardText(g))})
	}
	m.table([]string{"", "Role"}, rows)
	m.line("### Checks")
	rows = nil
	for _, x := range p.Exemptions {
		text, warn := previewExemption(x)
		word := "ok"
		if warn {
			word = "WARN"
		}
		rows = append(rows, []string{word, md("exempt " + text), ""})
	}
	if len(p.Gaps) > 0 {
		rows = append(rows, []string{"WARN", md("AWS Config can still be silenced: " + previewGaps(p)), ""})
	}
	for _, c := range p.Checks {
		fix := ""
		if c.Status != preview.CheckOK {
			fix = mdDo(c.Fix)
		}
		rows = append(rows, []string{previewCheckWords[c.Status], md(previewCheck(c)), fix})
	}
	m.table([]string{"", "Check", "Fix"}, rows)
	m.line("### Evidence")
	for _, l := range previewEvidence(p) {
		m.line("- %s", md(l))
	}
	for _, l := range previewMissing(p) {
		m.line("- missing: %s", md(l))
	}
	for _, n := range p.Notes {
		m.line("- note: %s", md(n))
	}
	m.line("Tree and policies as of %s; %s", p.Organization.SnapshotAt.Format("2006-01-02 15:04:05Z"), code(p.Fingerprint))
	if p.Next != "" {
		m.line("Next: %s", code(p.Next))
	}
	for _, u := range p.Undo {
		m.line("Undo: %s", code(u))
	}
	return m.flush(w)
}

func previewMarkdownRows(sec previewSection, o PreviewOptions) [][]string {
	var rows [][]string
	for _, f := range sec.effects {
		limit := 3
		if o.All {
			limit = len(f.Accounts)
		}
		var uses []string
		for i, u := range f.Uses {
			if i == maxPreviewUses && !o.All {
				uses = append(uses, fmt.Sprintf("and %d more", len(f.Uses)-i))
				break
			}
			uses = append(uses, md(u.Account+" "+previewUse(u)))
		}
		rows = append(rows, []string{
			md(previewWho(f, limit)), md(previewActions(f.Actions)), md(strings.Join(f.Resources, ", ")), strings.Join(uses, "<br>"),
			md(strings.Join(f.Depends, "; ")), md(previewRefs(f.Deciding)),
		})
	}
	return rows
}
