package reports

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/orgguard/orgguard/scp"
	"github.com/orgguard/orgguard/scp/preview"
)

// PreviewFormats lists the formats a preview of a policy can be written in.
func PreviewFormats() []Format { return []Format{Table, JSON, Markdown, HTML} }

// PreviewOptions say how much of a preview is shown to people.
type PreviewOptions struct {
	// All lists every account; without it long lists are counted.
	All bool
}

// WritePreview writes a preview of a policy.
func WritePreview(w io.Writer, f Format, s Style, o PreviewOptions, p preview.Preview) error {
	p.GeneratedAt, p.Organization.SnapshotAt = utcSecond(p.GeneratedAt), utcSecond(p.Organization.SnapshotAt)
	switch f {
	case Table:
		return tablePreview(w, s, o, p)
	case JSON:
		return writeJSON(w, p)
	case Markdown:
		return markdownPreview(w, o, p)
	case HTML:
		return htmlPreview(w, o, p)
	}
	return fmt.Errorf("cannot write a preview as %q: it can be written as %s", string(f), enumerate(names(PreviewFormats())))
}

// The bounds of lists that people read.
const (
	maxPreviewAccounts = 12 // of the tree
	maxPreviewUses     = 10 // of one effect
	maxPreviewEffects  = 30 // of one section
	maxPreviewMissing  = 5
)

// previewTitle says what is previewed.
func previewTitle(p preview.Preview) string {
	c := p.Change
	switch c.Kind {
	case preview.Detach:
		return c.Policy + "  detached from  " + previewTargets(p)
	case preview.Replace:
		return c.Policy + "  edited, on  " + previewTargets(p)
	}
	return c.Policy + "  ->  " + previewTargets(p)
}

func previewTargets(p preview.Preview) string {
	var out []string
	for _, t := range p.Change.Targets {
		out = append(out, previewNode(t))
	}
	if len(out) == 0 {
		return "nothing"
	}
	if len(out) > 3 {
		return strings.Join(out[:3], ", ") + fmt.Sprintf(" and %d more", len(out)-3)
	}
	return strings.Join(out, ", ")
}

func previewNode(n preview.Node) string {
	kind := map[string]string{"root": "root", "ou": "OU", "account": "account"}[n.Kind]
	return fmt.Sprintf("%s %s (%s)", kind, n.Path, n.ID)
}

// previewSection is one part of the effects.
type previewSection struct {
	title   string
	effects []preview.Effect
}

// previewSections splits the effects by what they mean for somebody: first what
// was done and would be denied, last what would be allowed again.
func previewSections(p preview.Preview) []previewSection {
	pick := func(keep func(preview.Effect) bool) []preview.Effect {
		var out []preview.Effect
		for _, f := range p.Effects {
			if keep(f) {
				out = append(out, f)
			}
		}
		return out
	}
	loses := func(s preview.Strength, certain bool) []preview.Effect {
		return pick(func(f preview.Effect) bool {
			return f.Direction == preview.Loses && f.Strength == s && f.Certain() == certain
		})
	}
	all := []previewSection{
		{"Allowed today, denied after: was used", loses(preview.Used, true)},
		{"Was used, and depends on what is not recorded", loses(preview.Used, false)},
		{"Allowed today, denied after: IAM permits it, no use seen", loses(preview.Permitted, true)},
		{"IAM permits it, no use seen, and depends on what is not known", loses(preview.Permitted, false)},
		{"Denied after, if IAM permits it: IAM could not be read", pick(func(f preview.Effect) bool {
			return f.Direction == preview.Loses && f.Strength == preview.Possible
		})},
		{"Denied today, ALLOWED after", pick(func(f preview.Effect) bool { return f.Direction == preview.Gains })},
	}
	return slices.DeleteFunc(all, func(s previewSection) bool { return len(s.effects) == 0 })
}

// previewWho is the principal with its accounts.
func previewWho(f preview.Effect, limit int) string {
	if len(f.Accounts) > limit {
		return fmt.Sprintf("%s in %s", f.Principal, count(len(f.Accounts), "account", "accounts"))
	}
	var in []string
	for _, a := range f.Accounts {
		in = append(in, a.ID+" "+a.Name)
	}
	return f.Principal + " in " + strings.Join(in, ", ")
}

// previewUse is one line of evidence.
func previewUse(u preview.Use) string {
	s := fmt.Sprintf("%s %dx, last %s %s", u.Action, u.Count, utcSecond(u.Last).Format("2006-01-02 15:04"), u.Region)
	if u.Session != "" {
		s += ", session " + u.Session
	}
	if u.SourceIP != "" {
		s += ", from " + u.SourceIP
	}
	if u.UserAgent != "" {
		s += " (" + shorten(Safe(u.UserAgent), 40) + ")"
	}
	return s
}

// previewActions are actions in short.
func previewActions(list []string) string {
	if len(list) > 8 {
		services := map[string]bool{}
		for _, a := range list {
			service, _, _ := strings.Cut(a, ":")
			services[service] = true
		}
		return fmt.Sprintf("%s of %s, such as %s", count(len(list), "action", "actions"), count(len(services), "service", "services"), strings.Join(list[:3], ", "))
	}
	return strings.Join(list, ", ")
}

// previewRefs names statements; one that is on several levels is named once.
func previewRefs(refs []scp.StatementRef) string {
	levels := map[string]int{}
	var out []string
	for _, r := range refs {
		key := fmt.Sprintf("%s\x00%s\x00%d", r.Policy, r.Sid, r.Index)
		if levels[key]++; levels[key] == 1 {
			out = append(out, key)
		}
	}
	for i, key := range out {
		for _, r := range refs {
			if fmt.Sprintf("%s\x00%s\x00%d", r.Policy, r.Sid, r.Index) != key {
				continue
			}
			if n := levels[key]; n > 1 && r.Index >= 0 {
				r.Level = fmt.Sprintf("%d levels", n)
			}
			out[i] = previewRef(r)
			break
		}
	}
	if n := len(out); n > 3 {
		out = append(out[:3], fmt.Sprintf("and %d more", n-3))
	}
	return strings.Join(out, "; ")
}

func previewRef(r scp.StatementRef) string {
	if r.Index < 0 {
		return r.Level + ": " + r.Policy
	}
	return r.String()
}

// previewGuards are the guarded roles, those that lose something first.
func previewGuards(p preview.Preview) (bad, fine []preview.GuardCheck) {
	for _, g := range p.Guards {
		if g.Status == preview.GuardLoses || g.Status == preview.GuardDepends {
			bad = append(bad, g)
		} else {
			fine = append(fine, g)
		}
	}
	return bad, fine
}

func previewGuardText(g preview.GuardCheck) string {
	switch g.Status {
	case preview.GuardLoses:
		return fmt.Sprintf("%s (%s) would lose %s in %s, by %s", g.Role, g.Why, previewActions(g.Lost), count(len(g.Accounts), "account", "accounts"), previewRefs(g.Deciding))
	case preview.GuardDepends:
		return fmt.Sprintf("%s (%s) may lose what it needs: %s", g.Role, g.Why, strings.Join(g.Depends, "; "))
	case preview.GuardAbsent:
		return g.Role + " is in none of the accounts"
	}
	return fmt.Sprintf("%s keeps what it needs (%s, %s)", g.Role, count(g.Needs, "action", "actions"), count(g.Checked, "account", "accounts"))
}

// previewExemption is the audit of an exemption in one sentence, and whether it
// is a warning.
func previewExemption(x preview.Exemption) (text string, warn bool) {
	name := x.Pattern
	if i := strings.Index(name, ":role/"); i >= 0 {
		name = name[i+1:]
	}
	var parts []string
	if x.TooWide != "" {
		return name + " " + x.TooWide, true
	}
	switch {
	case !x.Known:
		parts = append(parts, "not known whether it exists (IAM was not read)")
	case x.Present == 0:
		parts = append(parts, fmt.Sprintf("exists in none of %s", count(x.Looked, "account", "accounts")))
	default:
		parts = append(parts, fmt.Sprintf("exists in %d of %s", x.Present, count(x.Looked, "account", "accounts")))
	}
	if n := len(x.Missing); n > 0 && x.Present > 0 {
		var ids []string
		for _, m := range x.Missing[:min(n, 3)] {
			ids = append(ids, m.ID)
		}
		text := "MISSING in " + strings.Join(ids, ", ")
		if n > 3 {
			text += fmt.Sprintf(" and %d more", n-3)
		}
		parts = append(parts, text)
	}
	switch {
	case len(x.Forgeable) > 0:
		parts = append(parts, fmt.Sprintf("account administrators can become it in %s (%s): protect the name, or use a path they cannot write to",
			count(len(x.Forgeable), "account", "accounts"), strings.Join(x.ForgedBy, ", ")))
		warn = true
	case len(x.ProtectedBy) > 0:
		parts = append(parts, "its name is protected by "+x.ProtectedBy[0].Policy+" / "+cmp.Or(x.ProtectedBy[0].Sid, "a statement"))
	}
	return name + ": " + strings.Join(parts, "; "), warn
}

func previewRedundant(r preview.Redundancy) string {
	who := "for everybody"
	if len(r.Except) > 0 {
		who = "but for some"
	}
	text := fmt.Sprintf("%s: %s denied already in %d of %s, %s, by %s", cmp.Or(r.Sid, fmt.Sprintf("statement %d", r.Index)), previewActions(r.Actions),
		r.Accounts, count(r.Of, "account", "accounts"), who, previewRefs(r.By))
	if len(r.Except) > 0 {
		text += " (" + strings.Join(r.Except, "; ") + ")"
	}
	return text
}

func previewGaps(p preview.Preview) string {
	var out []string
	for _, g := range p.Gaps {
		text := g.Action + " " + g.Does
		if g.Accounts < g.Of {
			text += fmt.Sprintf(" (%d of %d accounts)", g.Accounts, g.Of)
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// previewEvidence are the sources with how much of them was read.
func previewEvidence(p preview.Preview) []string {
	var out []string
	c := p.Evidence.CloudTrail
	switch {
	case !c.Asked:
		out = append(out, "CloudTrail was not asked (--no-cloudtrail)")
	case c.Wanted == 0:
		out = append(out, "CloudTrail has nothing to say: no action of this change has events of its own there")
	default:
		out = append(out, fmt.Sprintf("CloudTrail %s of %s, %s of %s account × Regions (%s), %s..%s, %s", thousands(c.AccountsRead), count(c.Accounts, "account", "accounts"),
			thousands(c.Read), thousands(c.Wanted), regionList(c.Regions), day(c.From), day(c.To), count(c.Records, "call", "calls")))
	}
	if i := p.Evidence.IAM; i.Asked {
		out = append(out, fmt.Sprintf("IAM %s of %s, %s", thousands(i.Read), count(i.Wanted, "account", "accounts"), count(i.Records, "principal", "principals")))
	} else {
		out = append(out, "IAM was not asked (--no-iam)")
	}
	return append(out, "what resource-based policies grant was not looked at")
}

// previewMissing are what could not be read, told once for each reason and
// account.
func previewMissing(p preview.Preview) []string {
	type cause struct{ account, reason string }
	regions := map[cause][]string{}
	var order []cause
	add := func(source string, gaps []preview.Gap) {
		for _, g := range gaps {
			k := cause{fmt.Sprintf("%s of %s %s", source, g.Account, g.AccountName), g.Reason}
			if g.Region != "" {
				k.reason = strings.ReplaceAll(k.reason, " in "+g.Region, "")
			}
			if _, ok := regions[k]; !ok {
				order = append(order, k)
			}
			regions[k] = append(regions[k], g.Region)
		}
	}
	add("CloudTrail", p.Evidence.CloudTrail.Missing)
	add("IAM", p.Evidence.IAM.Missing)
	var out []string
	for _, k := range order {
		where := ""
		if rs := regions[k]; rs[0] != "" {
			where = " in " + regionList(rs)
		}
		out = append(out, k.account+where+": "+k.reason)
	}
	return out
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// previewQuota appends where a quota was read.
func previewCheck(c preview.Check) string {
	text := c.Text
	if strings.HasPrefix(c.ID, "SCP") {
		text = c.ID + " " + text
	}
	if c.Date != "" {
		text += " (quota of " + c.Date + ")"
	}
	return text
}

var previewCheckWords = map[preview.CheckStatus]string{preview.CheckOK: "ok", preview.CheckWarning: "WARN", preview.CheckError: "ERROR"}
