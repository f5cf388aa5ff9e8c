package preview

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

// engine makes one preview.
type engine struct {
	in     *Input
	world  *world
	ref    *scp.Reference
	iam    *entitlements
	tried  []trial
	arns   map[string][]string // resource ARNs by action
	scopes map[string][]string // resource patterns by action
	used   map[string]bool     // account, principal and action that were seen
	every  bool                // all needs of guarded roles are asked about, and not only those the change is about

	alreadyDenied int
}

// New says what a change would do. It is pure: the same input gives the same
// preview. An *InputError is a mistake in the change itself; any other error
// means that the policies as they are attached cannot be evaluated.
func New(in Input) (Preview, error) {
	w, err := newWorld(&in)
	if err != nil {
		return Preview{}, err
	}
	ref, err := scp.LoadReference()
	if err != nil {
		return Preview{}, err
	}
	e := &engine{in: &in, world: w, ref: ref, iam: newEntitlements(), arns: map[string][]string{}, scopes: map[string][]string{}, used: map[string]bool{}}
	if len(w.changed) > 0 {
		e.tried = e.trials()
	}
	rows := e.events()
	rows = append(rows, e.permitted()...)
	p := Preview{
		Schema: Schema, GeneratedAt: in.GeneratedAt.UTC(), ToolVersion: in.ToolVersion,
		Organization: Organization{
			ID: in.Org.ID, ManagementAccount: string(in.Org.ManagementAccount), Accounts: len(in.Org.Accounts), SnapshotAt: in.Attached.TakenAt.UTC(),
		},
		Change: e.summary(), Reach: e.reach(), Diff: w.diff(), Effects: e.effects(rows), Guards: e.guards(), Exemptions: e.exemptions(),
		Redundant: e.redundant(), Gaps: e.gaps(), Checks: e.checks(), Evidence: e.evidence(), AlreadyDenied: e.alreadyDenied,
		Notes: e.notes(), Fingerprint: e.fingerprint(),
	}
	p.Undo = e.undo()
	p.Settle()
	p.Next = e.next(p)
	return p, nil
}

// LookupActions are the actions whose use tells what a change would break: those
// that the changed statements are about. CloudTrail is asked for them.
func LookupActions(in Input) ([]string, error) {
	w, err := newWorld(&in)
	if err != nil {
		return nil, err
	}
	ref, err := scp.LoadReference()
	if err != nil {
		return nil, err
	}
	e := &engine{in: &in, world: w, ref: ref}
	if len(w.changed) == 0 {
		return nil, nil
	}
	var out []string
	for _, s := range w.changedStatements() {
		out = append(out, e.expand(s.Statement)...)
	}
	return slices.Compact(sorted(out)), nil
}

// Reached are the accounts that a change arrives at and that SCPs bind.
func Reached(in Input) ([]orgs.Account, error) {
	w, err := newWorld(&in)
	if err != nil {
		return nil, err
	}
	var out []orgs.Account
	for _, g := range w.groups {
		out = append(out, g.accounts...)
	}
	slices.SortFunc(out, func(a, b orgs.Account) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out, nil
}

func (e *engine) summary() Summary {
	c := e.in.Change
	s := Summary{Kind: c.Kind, Policy: c.Name, ID: c.Existing, File: c.File, Targets: []Node{}}
	for _, id := range e.targets() {
		if n, ok := e.world.node(id); ok {
			s.Targets = append(s.Targets, n)
		}
	}
	return s
}

// targets are the nodes that a change names, or changes.
func (e *engine) targets() []string {
	all := slices.Clone(e.in.Change.Targets)
	for id := range e.world.changed {
		all = append(all, id)
	}
	return slices.Compact(sorted(all))
}

// reach walks the tree.
func (e *engine) reach() Reach {
	o := e.in.Org
	r := Reach{Total: len(o.Accounts), Groups: len(e.world.groups), Tree: []ReachNode{}}
	below := map[orgs.NodeID]int{}
	children := map[orgs.NodeID][]orgs.Account{}
	for _, a := range o.Accounts {
		children[a.Parent] = append(children[a.Parent], a)
		if !e.world.reached(a) {
			continue
		}
		switch {
		case a.ID == o.ManagementAccount:
			r.Management = true
		case a.State != orgs.StateActive:
			r.Suspended++
		default:
			r.Accounts++
			for _, ou := range o.Path(a.Parent) {
				below[ou.ID]++
			}
		}
	}
	limit := limitsOf(e.in.Limits).PoliciesPerNode.Value
	line := func(id string, depth, accounts int, above bool) ReachNode {
		n, _ := e.world.node(id)
		return ReachNode{
			Node: n, Depth: depth, Policies: e.policyNames(id), Before: len(e.world.before.on[id]), After: len(e.world.after.on[id]), Limit: limit,
			Target: e.world.changed[id], Reached: above || e.world.changed[id], Accounts: accounts,
		}
	}
	var walk func(ou orgs.OU, depth int, above bool)
	walk = func(ou orgs.OU, depth int, above bool) {
		n := line(string(ou.ID), depth, below[ou.ID], above)
		r.Tree = append(r.Tree, n)
		for _, a := range children[ou.ID] {
			l := line(string(a.ID), depth+1, 0, n.Reached)
			switch {
			case a.ID == o.ManagementAccount:
				l.State, l.Reached = "management", false
			case a.State != orgs.StateActive:
				l.State, l.Reached = string(a.State), false
			case l.Reached:
				l.Accounts = 1
			}
			r.Tree = append(r.Tree, l)
		}
		for _, child := range o.Children(ou.ID) {
			walk(child, depth+1, n.Reached)
		}
	}
	walk(o.OUs[o.Root], 0, false)
	return r
}

// policyNames are the policies attached to a node now.
func (e *engine) policyNames(id string) []string {
	out := []string{}
	for _, p := range e.world.before.on[id] {
		out = append(out, firstOf(e.in.Attached.Policies[p].Name, firstOf(e.world.before.docs[p].Name, p)))
	}
	return sorted(out)
}

func (e *engine) evidence() Evidence {
	ev := e.in.Evidence
	ev.CloudTrail.Missing, ev.IAM.Missing = orEmpty(ev.CloudTrail.Missing), orEmpty(ev.IAM.Missing)
	if ev.CloudTrail.Asked {
		for _, t := range e.tried {
			for _, a := range t.actions {
				if why := invisible(a); why != "" {
					ev.CloudTrail.Invisible = append(ev.CloudTrail.Invisible, a+" ("+why+")")
				}
			}
		}
		ev.CloudTrail.Invisible = slices.Compact(sorted(ev.CloudTrail.Invisible))
	}
	return ev
}

func (e *engine) notes() []string {
	out := append([]string{}, e.in.Notes...)
	for _, t := range e.tried {
		if t.matched > len(t.actions) {
			name := firstOf(t.statement.Sid, fmt.Sprintf("statement %d", t.statement.Index))
			out = append(out, fmt.Sprintf("%s matches %s actions; it was tried with one of each service (%d), and with every action that CloudTrail shows", name, thousands(t.matched), len(t.actions)))
		}
	}
	if g := e.guardrails(); len(g) > 0 {
		out = append(out, "AWS Control Tower's guardrails apply on these paths: "+strings.Join(g, ", "))
	}
	if e.world.doc != nil && strings.Contains(string(e.world.doc.Source()), "config:") {
		out = append(out, "resource control policies do not matter here: they do not cover AWS Config")
	}
	return out
}

// Settle works out the verdict from what the preview holds. Call it again when
// something was added to it, such as an answer of AWS.
func (p *Preview) Settle() {
	lockouts, broken, principals := 0, map[string]bool{}, map[string]bool{}
	var reasons []string
	for _, g := range p.Guards {
		if g.Status == GuardLoses {
			lockouts++
			by := "no Allow is left"
			if len(g.Deciding) > 0 {
				by = g.Deciding[0].String()
			}
			reasons = append(reasons, fmt.Sprintf("%s would lose %s in %s, by %s", g.Role, fewOf(g.Lost, 3), plural(len(g.Accounts), "account"), by))
		}
	}
	for _, f := range p.Effects {
		if f.Direction == Loses && f.Strength == Used && f.Certain() {
			for _, a := range f.Accounts {
				broken[a.ID] = true
				principals[a.ID+" "+f.Principal] = true
			}
		}
	}
	failed := 0
	for _, c := range p.Checks {
		if c.Status == CheckError {
			failed++
			reasons = append(reasons, c.Text)
		}
	}
	incomplete := p.missing()
	v := Verdict{Reasons: orEmpty(reasons)}
	uses := fmt.Sprintf("%s in %s did this lately and would be denied", plural(len(principals), "principal"), plural(len(broken), "account"))
	switch {
	case lockouts > 0:
		v.Word, v.ExitCode = Refused, 1
		v.Text = fmt.Sprintf("%s that must go on working would be locked out", plural(lockouts, "role"))
		if len(principals) > 0 {
			v.Text += "; " + uses
		}
	case len(principals) > 0:
		v.Word, v.ExitCode, v.Text = WouldBreak, 1, uses
	case failed > 0:
		v.Word, v.ExitCode, v.Text = NotValid, 1, plural(failed, "check")+" failed"
	case len(incomplete) > 0:
		v.Word, v.ExitCode, v.Text = Incomplete, 3, "nothing seen would break, but not all was seen: "+strings.Join(incomplete, "; ")
	case len(p.Effects) == 0:
		v.Word, v.Text = NoChange, "no answer to any request changes"
	default:
		v.Word, v.Text = NoneSeen, p.unseen()
	}
	p.Verdict = v
}

// unseen says what the good news rests on.
func (p *Preview) unseen() string {
	if !p.Evidence.CloudTrail.Asked {
		return "CloudTrail was not asked, so nobody knows what was used"
	}
	days := int(p.Evidence.CloudTrail.To.Sub(p.Evidence.CloudTrail.From).Hours() / 24)
	return fmt.Sprintf("nothing that was done in the last %d days would be denied; rarer jobs are not in it", days)
}

// missing is what could not be looked at.
func (p *Preview) missing() []string {
	var out []string
	if c := p.Evidence.CloudTrail; !c.Complete() {
		out = append(out, fmt.Sprintf("CloudTrail of %d of %d accounts × Regions", c.Read, c.Wanted))
	}
	if c := p.Evidence.IAM; !c.Complete() {
		out = append(out, fmt.Sprintf("IAM of %d of %d accounts", c.Read, c.Wanted))
	}
	return out
}

// undo are the commands that take the change back.
func (e *engine) undo() []string {
	c := e.in.Change
	id := firstOf(c.Existing, "<policy-id>")
	var out []string
	each := func(verb string) {
		nodes := e.changedNodes()
		for _, n := range nodes[:min(len(nodes), 10)] {
			out = append(out, fmt.Sprintf("aws organizations %s --policy-id %s --target-id %s", verb, id, n))
		}
		if more := len(nodes) - 10; more > 0 {
			out = append(out, fmt.Sprintf("and the same for %d more targets", more))
		}
	}
	switch {
	case len(e.world.changed) == 0:
	case c.Kind == Detach:
		each("attach-policy")
	case c.Existing != "" && e.world.old != e.world.doc:
		out = append(out,
			fmt.Sprintf("aws organizations describe-policy --policy-id %s --query Policy.Content --output text > before.json", id),
			fmt.Sprintf("aws organizations update-policy --policy-id %s --content file://before.json", id))
	default:
		each("detach-policy")
	}
	return orEmpty(out)
}

// next is the command to type after reading.
func (e *engine) next(p Preview) string {
	if p.Verdict.Word == NoChange || e.in.Command == "" || e.in.Change.Kind != Attach || p.Reach.Accounts < 2 {
		return ""
	}
	// The OU with the fewest accounts that are reached is the canary.
	var canary *ReachNode
	for i := range p.Reach.Tree {
		n := &p.Reach.Tree[i]
		if n.Kind == "ou" && n.Reached && !n.Target && n.Accounts > 0 && n.Accounts < p.Reach.Accounts && (canary == nil || n.Accounts < canary.Accounts) {
			canary = n
		}
	}
	if canary == nil {
		return ""
	}
	return e.in.Command + " --target " + canary.ID
}

// fingerprint digests what was judged.
func (e *engine) fingerprint() string {
	w := e.world
	type level struct {
		Node     string
		Policies []string
	}
	var paths []any
	seen := map[string]bool{}
	contents := map[string]string{}
	for _, g := range w.groups {
		for _, a := range g.accounts {
			for _, id := range w.pathIDs(a) {
				if !seen[id] {
					seen[id] = true
					paths = append(paths, level{id, w.before.on[id]})
				}
				for _, p := range w.before.on[id] {
					contents[p] = string(w.before.docs[p].Document.Minified())
				}
			}
			paths = append(paths, []string{string(a.Parent), string(a.ID)})
		}
	}
	b, err := json.Marshal([]any{e.in.Org.ID, e.in.Org.SCPStatus, e.in.Change.Kind, e.in.Change.Name, e.in.Change.Existing, e.targets(), e.in.Change.Source, paths, contents})
	if err != nil {
		return "" // strings always marshal
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return thousands(n) + " " + word + "s"
}

func fewOf(list []string, limit int) string {
	if len(list) <= limit {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:limit], ", ") + fmt.Sprintf(" and %d more", len(list)-limit)
}
