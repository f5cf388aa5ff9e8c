package reports

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/orgguard/orgguard/scp/preview"
)

// previewLabel is how wide the labels at the left of a preview are.
const previewLabel = 14

// tablePreview writes a preview for a terminal, in the order in which it is
// read: the result first, where it arrives, what it changes, what was checked,
// what all that rests on, and what to type next.
func tablePreview(w io.Writer, s Style, o PreviewOptions, p preview.Preview) error {
	t := previewTable{newGrid(s), o}
	t.item("SCP preview", previewTitle(p), t.g.pens.strong)
	t.item("", "read-only, nothing was changed", t.g.pens.faint)
	t.item("Result", string(p.Verdict.Word)+": "+p.Verdict.Text, t.verdict(p))
	for _, r := range p.Verdict.Reasons[:min(len(p.Verdict.Reasons), 5)] {
		t.item("", "- "+r, nil)
	}
	t.reach(p)
	t.diff(p)
	for _, sec := range previewSections(p) {
		t.effects(sec)
	}
	if p.AlreadyDenied > 0 {
		t.g.blank()
		t.item("Not counted", count(p.AlreadyDenied, "call", "calls")+" in the history that were refused then and are denied after as well", nil)
	}
	t.guards(p)
	t.checks(p)
	t.evidence(p)
	t.next(p)
	return t.g.flush(w)
}

// previewTable draws a preview on a grid. Every text passes Safe in item and
// bullet, and nowhere else.
type previewTable struct {
	g grid
	o PreviewOptions
}

func (t previewTable) verdict(p preview.Preview) paint {
	switch p.Verdict.ExitCode {
	case 1:
		return t.g.pens.bad
	case 3:
		return t.g.pens.warn
	}
	return t.g.pens.strong
}

// item writes a label and a text beside it.
func (t previewTable) item(label, text string, p paint) {
	t.g.hang(label+strings.Repeat(" ", max(1, previewLabel-displayWidth(label))), Safe(text), p)
}

// bullet writes an indented text after a mark.
func (t previewTable) bullet(mark, text string, p paint) {
	mark = Safe(mark)
	t.g.lead("  "+mark+strings.Repeat(" ", max(1, 6-displayWidth(mark))), p, Safe(text), nil)
}

// fix writes what to do, on a line that can be copied when it is a command.
func (t previewTable) fix(text string) { t.g.hang(strings.Repeat(" ", 8)+"fix: ", Safe(text), nil) }

func (t previewTable) title(text string) {
	t.g.blank()
	t.g.line(Safe(text), 0, t.g.pens.strong)
}

func (t previewTable) reach(p preview.Preview) {
	r := p.Reach
	head := fmt.Sprintf("Reaches %s of %s", thousands(r.Accounts), count(r.Total, "account", "accounts"))
	var more []string
	if r.Suspended > 0 {
		more = append(more, fmt.Sprintf("%d below it not active", r.Suspended))
	}
	if r.Management {
		more = append(more, "never the management account")
	}
	if r.Groups > 0 {
		more = append(more, count(r.Groups, "different path", "different paths"))
	}
	if len(more) > 0 {
		head += "; " + strings.Join(more, ", ")
	}
	t.title(head)
	for _, l := range previewTree(p, t.o) {
		t.treeLine(l)
	}
	t.g.line("accounts that are moved in or created below later are reached too", 2, t.g.pens.faint)
}

// treeLine writes a node with what is attached at the right.
func (t previewTable) treeLine(l previewLine) {
	const at = 50
	left := "  " + strings.Repeat("   ", l.depth) + Safe(l.name)
	if l.mark != "" {
		left += "  " + l.mark
	}
	right := Safe(l.note)
	if displayWidth(left) >= at {
		t.g.line(strings.TrimLeft(left, " "), displayWidth(left)-displayWidth(strings.TrimLeft(left, " ")), nil)
		if right != "" {
			t.g.hang(strings.Repeat(" ", at), right, nil)
		}
		return
	}
	t.g.hang(left+strings.Repeat(" ", at-displayWidth(left)), right, nil)
}

// previewLine is a line of the tree.
type previewLine struct {
	depth      int
	name, mark string
	note       string
}

// previewTree shows the way to the targets and what lies below them. Branches
// that are not reached are one line, and many accounts are counted.
func previewTree(p preview.Preview, o PreviewOptions) []previewLine {
	accounts := 0
	for _, n := range p.Reach.Tree {
		if n.Kind == "account" && (n.Reached || n.State != "") {
			accounts++
		}
	}
	list := o.All || accounts <= maxPreviewAccounts
	var out []previewLine
	skipBelow := -1
	for _, n := range p.Reach.Tree {
		if skipBelow >= 0 && n.Depth > skipBelow {
			continue
		}
		skipBelow = -1
		l := previewLine{depth: n.Depth, name: n.Name + " " + n.ID}
		attached := strings.Join(n.Policies, ", ")
		if n.Before != n.After {
			attached += fmt.Sprintf("; %d -> %d of %d attached", n.Before, n.After, n.Limit)
		}
		switch {
		case n.Kind == "account":
			l.name = n.ID + " " + n.Name
			switch {
			case n.State == "management":
				l.note = "management account: never affected by SCPs"
			case !n.Reached && n.State == "":
				continue
			case n.Target:
				l.mark, l.note = "<== target", attached
			case !list:
				continue
			case n.State != "":
				l.note = n.State + ", not counted"
			default:
				l.note = "reached"
			}
		case n.Target:
			l.mark, l.note = "<== target", attached
		case n.Reached:
			l.note = attached
			if !list && n.Accounts > 0 {
				l.note = fmt.Sprintf("%s; %s reached", attached, count(n.Accounts, "account", "accounts"))
			}
		case n.Accounts > 0:
			l.note = attached // on the way to a target
		case n.Depth > 0:
			l.note = "(not reached)"
			skipBelow = n.Depth
		default:
			l.note = attached
		}
		out = append(out, l)
	}
	if !list {
		out = append(out, previewLine{note: fmt.Sprintf("(--all lists the %s)", count(accounts, "account", "accounts"))})
	}
	return out
}

func (t previewTable) diff(p preview.Preview) {
	if len(p.Diff) == 0 {
		return
	}
	t.title("Change to the policy  (+ added, - removed, ~ edited, = as it is)")
	said := map[string]string{} // the first statement with a condition
	for _, d := range p.Diff {
		name := cmp.Or(d.Sid, fmt.Sprintf("statement %d", d.Index))
		t.bullet(d.Sign, name+": "+d.Summary, nil)
		all := strings.Join(d.Condition, "\n")
		if first := said[all]; first != "" && len(all) > 60 {
			t.bullet("", "on the same condition as "+first, nil)
			continue
		}
		said[all] = name
		for _, c := range d.Condition {
			t.bullet("", c, nil)
		}
	}
	for _, r := range p.Redundant {
		t.bullet("=", previewRedundant(r), nil)
	}
}

func (t previewTable) effects(sec previewSection) {
	t.title(sec.title)
	before := ""
	for i, f := range sec.effects {
		if i == maxPreviewEffects && !t.o.All {
			t.bullet("", fmt.Sprintf("and %s (--all lists them)", count(len(sec.effects)-i, "more", "more")), nil)
			break
		}
		limit := 3
		if t.o.All {
			limit = len(f.Accounts)
		}
		if who := previewWho(f, limit); who != before {
			t.bullet("", who, nil)
			before = who
		}
		more := func(text string) {
			indent := len(text) - len(strings.TrimLeft(text, " "))
			t.g.hang(strings.Repeat(" ", 12+indent), Safe(text[indent:]), nil)
		}
		what := previewActions(f.Actions)
		if len(f.Resources) > 0 {
			what += " on " + strings.Join(f.Resources[:min(3, len(f.Resources))], ", ")
			if n := len(f.Resources) - 3; n > 0 {
				what += fmt.Sprintf(" and %d more", n)
			}
		}
		if f.IAM != "" {
			what += " (IAM " + f.IAM + " it)"
		}
		if f.Strength != preview.Used {
			more(what)
		}
		for i, u := range f.Uses {
			if i == maxPreviewUses && !t.o.All {
				more(fmt.Sprintf("and %d more", len(f.Uses)-i))
				break
			}
			line := previewUse(u)
			if len(f.Accounts) > 1 {
				line = u.Account + "  " + line
			}
			more(line)
		}
		for _, d := range f.Depends {
			more("depends: " + d)
		}
		if len(f.Deciding) > 0 {
			more("  decided by " + previewRefs(f.Deciding))
		}
	}
}

func (t previewTable) guards(p preview.Preview) {
	bad, fine := previewGuards(p)
	if len(bad)+len(fine) == 0 {
		return
	}
	t.title("Who must go on working")
	for _, g := range bad {
		mark, pen := "LOSES", t.g.pens.bad
		if g.Status == preview.GuardDepends {
			mark, pen = "WARN", t.g.pens.warn
		}
		t.bullet(mark, previewGuardText(g), pen)
	}
	for _, g := range fine {
		mark := "ok"
		if g.Status == preview.GuardAbsent {
			mark = "-"
		}
		t.bullet(mark, previewGuardText(g), nil)
	}
}

func (t previewTable) checks(p preview.Preview) {
	t.title("Checks")
	for _, x := range p.Exemptions {
		text, warn := previewExemption(x)
		if warn {
			t.bullet("WARN", "exempt "+text, t.g.pens.warn)
		} else {
			t.bullet("ok", "exempt "+text, nil)
		}
	}
	if len(p.Gaps) > 0 {
		t.bullet("WARN", "AWS Config can still be silenced: "+previewGaps(p), t.g.pens.warn)
	}
	for _, status := range []preview.CheckStatus{preview.CheckError, preview.CheckWarning, preview.CheckOK} {
		for _, c := range p.Checks {
			if c.Status != status {
				continue
			}
			pen := map[preview.CheckStatus]paint{preview.CheckError: t.g.pens.bad, preview.CheckWarning: t.g.pens.warn}[status]
			t.bullet(previewCheckWords[status], previewCheck(c), pen)
			if c.Fix != "" && status != preview.CheckOK {
				t.fix(c.Fix)
			}
		}
	}
}

func (t previewTable) evidence(p preview.Preview) {
	t.title("Evidence")
	for _, l := range previewEvidence(p) {
		t.bullet("", l, nil)
	}
	missing := previewMissing(p)
	for i, l := range missing {
		if i == maxPreviewMissing && !t.o.All {
			t.bullet("", fmt.Sprintf("and %d more (--all lists them)", len(missing)-i), nil)
			break
		}
		t.bullet("MISS", l, t.g.pens.warn)
	}
	if v := p.Evidence.CloudTrail.Invisible; len(v) > 0 {
		t.bullet("", "never in the event history: "+strings.Join(v[:min(len(v), 8)], ", "), nil)
	}
	t.bullet("", fmt.Sprintf("tree and policies as of %s; %s", p.Organization.SnapshotAt.Format("2006-01-02 15:04:05Z"), p.Fingerprint), nil)
	for _, n := range p.Notes {
		t.bullet("note", n, nil)
	}
}

func (t previewTable) next(p preview.Preview) {
	t.g.blank()
	if p.Next != "" {
		t.item("Next", p.Next, t.g.pens.strong)
		t.item("", "tries a smaller target first", nil)
	}
	for i, u := range p.Undo {
		label := ""
		if i == 0 {
			label = "Undo"
		}
		t.item(label, u, nil)
	}
}
