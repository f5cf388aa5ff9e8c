package preview

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

// delta is how the answer to a request changes.
type delta struct {
	direction Direction // "" when it does not
	depends   []string
	deciding  []scp.StatementRef
}

// delta compares the answers before and after.
func (w *world) delta(g *group, r *scp.Request) delta {
	before, after := g.before.Decide(r), g.after.Decide(r)
	if before == after && before != scp.DecisionUnknown {
		return delta{}
	}
	was, is := g.before.Evaluate(r), g.after.Evaluate(r)
	d := delta{}
	switch {
	case before == scp.DecisionAllow && after == scp.DecisionDeny:
		d.direction, d.deciding = Loses, decidingOf(is)
	case before == scp.DecisionDeny && after == scp.DecisionAllow:
		d.direction, d.deciding = Gains, decidingOf(was)
	case before == scp.DecisionUnknown && after == scp.DecisionUnknown:
		return w.bothUnknown(was, is)
	case after == scp.DecisionUnknown:
		d.direction, d.deciding, d.depends = Loses, is.Deciding, w.dependsText(is.DependsOn)
		if before == scp.DecisionDeny {
			d.direction, d.deciding = Gains, decidingOf(was)
		}
	default: // it was unknown
		d.direction, d.deciding, d.depends = Loses, decidingOf(is), w.dependsText(was.DependsOn)
		if after == scp.DecisionAllow {
			d.direction, d.deciding = Gains, was.Deciding
		}
		for i, text := range d.depends {
			d.depends[i] = "already " + text
		}
	}
	if before == scp.DecisionUnknown || after == scp.DecisionUnknown {
		d.depends = atLeast(d.depends)
	}
	return d
}

// atLeast keeps an effect that turns on something from looking certain.
func atLeast(depends []string) []string {
	if len(depends) == 0 {
		return []string{"depends on keys that are not known"}
	}
	return depends
}

// bothUnknown compares what two unknown answers turn on.
func (w *world) bothUnknown(was, is scp.Result) delta {
	old, now := w.dependsText(was.DependsOn), w.dependsText(is.DependsOn)
	without := func(list, other []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
	}
	if more := without(now, old); len(more) > 0 {
		return delta{direction: Loses, depends: more, deciding: is.Deciding}
	}
	if fewer := without(old, now); len(fewer) > 0 {
		return delta{direction: Gains, depends: fewer, deciding: was.Deciding}
	}
	return delta{}
}

// decidingOf names what denies: the statements, or the levels that allow nothing.
func decidingOf(r scp.Result) []scp.StatementRef {
	if len(r.Deciding) > 0 {
		return r.Deciding
	}
	var out []scp.StatementRef
	for _, l := range r.LevelsWithoutAllow {
		out = append(out, scp.StatementRef{Level: l, Policy: "no Allow matches", Index: -1})
	}
	return out
}

// deltaOver is delta for a call whose resource may be any of several: certain
// only when all of them agree.
func (w *world) deltaOver(g *group, r *scp.Request, resources []string, scope []string) delta {
	var out delta
	changed := 0
	for _, resource := range resources {
		req := *r
		req.Resource = resource
		d := w.delta(g, &req)
		if d.direction == "" {
			continue
		}
		changed++
		if out.direction == "" || out.direction == Gains && d.direction == Loses {
			depends := out.depends
			out = d
			out.depends = slices.Concat(depends, d.depends)
		} else {
			out.depends = slices.Concat(out.depends, d.depends)
		}
	}
	if changed > 0 && changed < len(resources) {
		out.depends = append(out.depends, "denied if the resource is one of "+strings.Join(scope, ", "))
		if out.direction == Gains {
			out.depends[len(out.depends)-1] = "if the resource is one of " + strings.Join(scope, ", ")
		}
	}
	out.depends = slices.Compact(sorted(out.depends))
	return out
}

// row is an effect on one principal of one account, before rows are put
// together.
type row struct {
	account   orgs.Account
	principal string
	strength  Strength
	iam       string
	delta     delta
	action    string
	scope     []string
	uses      []Use
}

// events judges the calls that were seen.
func (e *engine) events() []row {
	w := e.world
	groups := map[string]*group{}
	for _, g := range w.groups {
		for _, a := range g.accounts {
			groups[string(a.ID)] = g
		}
	}
	var rows []row
	for _, ev := range e.in.Events {
		g := groups[ev.Account]
		account, ok := e.in.Org.Account(orgs.AccountID(ev.Account))
		if g == nil || !ok {
			continue
		}
		r := ev.request(e.in.Org, account, e.identity(ev.Account, ev.arn()))
		scope := e.scopeOf(r.Action)
		resources, known := ev.resources(e.in.Org.Partition.ID, e.roleARNs(ev.Account))
		if !known {
			resources = e.possibleResources(r.Action, account, ev.Region)
		}
		d := w.deltaOver(g, r, resources, scope)
		r.Resource = resources[0]
		if ev.refused() && d.direction != Gains {
			if d.direction == "" && g.after.Decide(r) == scp.DecisionDeny {
				e.alreadyDenied += ev.Count
			}
			continue // it is not taken away from anybody who never had it
		}
		if d.direction == "" {
			continue
		}
		rows = append(rows, row{
			account: account, principal: labelOf(ev.arn()), strength: Used, delta: d, action: r.Action, scope: scope,
			uses: []Use{{
				Account: ev.Account, Region: ev.Region, Action: r.Action, Count: ev.Count, First: ev.First, Last: ev.Last,
				SourceIP: firstOf(ev.Via, ev.SourceIP), UserAgent: ev.UserAgent, Session: sessionOf(ev.ARN), EventID: ev.ID,
			}},
		})
		e.used[usedKey(ev.Account, labelOf(ev.arn()), r.Action)] = true
	}
	return rows
}

func usedKey(account, principal, action string) string {
	return account + " " + principal + " " + strings.ToLower(action)
}

// sessionOf is the name of a role's session, which tells who it was.
func sessionOf(arn string) string {
	if _, rest, ok := strings.Cut(arn, ":assumed-role/"); ok {
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			return rest[i+1:]
		}
	}
	return ""
}

// scopeOf are the resource patterns of the changed statements on an action;
// none when one of them is about every resource.
func (e *engine) scopeOf(action string) []string {
	if have, ok := e.scopes[action]; ok {
		return have
	}
	var out []string
	for _, t := range e.tried {
		if !t.about(action) {
			continue
		}
		if t.scope == nil {
			out = nil
			break
		}
		out = append(out, t.scope...)
	}
	out = slices.Compact(sorted(out))
	e.scopes[action] = out
	return out
}

// possibleResources are resources that stand for all that a call whose resource
// is not known may have acted on: one for each pattern the changed statements
// tell apart, and one that none of them names.
func (e *engine) possibleResources(action string, account orgs.Account, region string) []string {
	scope := e.scopeOf(action)
	if len(scope) == 0 {
		if arns := e.arnsOf(action); len(arns) > 0 {
			return []string{instance(arns[0], e.in.Org.Partition.ID, account.ID, region)}
		}
		return []string{"*"}
	}
	var out []string
	for _, p := range scope {
		out = append(out, instance(p, e.in.Org.Partition.ID, account.ID, region))
	}
	for _, p := range e.arnsOf(action) {
		out = append(out, instance(p, e.in.Org.Partition.ID, account.ID, region))
	}
	if len(e.arnsOf(action)) == 0 {
		out = append(out, "*")
	}
	return out
}

// permitted tries every identity whose policies permit a denied action, and
// where IAM could not be read anybody.
func (e *engine) permitted() []row {
	region := e.in.Org.Partition.GlobalRegion
	var rows []row
	for _, g := range e.world.groups {
		for _, a := range g.accounts {
			inv, ok := e.in.Inventory[a.ID]
			if !ok {
				rows = append(rows, e.anybody(g, a, region)...)
				continue
			}
			root := Identity{ARN: fmt.Sprintf("arn:%s:iam::%s:root", e.in.Org.Partition.ID, a.ID), Type: scp.PrincipalRoot}
			for _, id := range append(slices.Clone(inv.Identities), root) {
				if id.Type == scp.PrincipalServiceLinkedRole {
					continue // no policy binds it
				}
				rows = append(rows, e.identityRows(g, a, id, region)...)
			}
		}
	}
	return rows
}

// identityRows are the effects on one identity.
func (e *engine) identityRows(g *group, a orgs.Account, id Identity, region string) []row {
	var rows []row
	seen := map[string]bool{}
	for _, t := range e.tried {
		scope := strings.Join(t.scope, " ")
		for _, action := range t.actions {
			if k := action + " " + scope; seen[k] || e.used[usedKey(string(a.ID), id.label(), action)] {
				continue
			} else {
				seen[k] = true
			}
			resources := e.resources(t, action, a, region)
			may := e.iam.permits(id, e.in.Org, a, action, resources, scope)
			if may == forbids {
				continue
			}
			d := e.world.deltaOver(g, requestOf(e.in.Org, a, id, action, ""), resources, t.scope)
			if d.direction == "" {
				continue
			}
			word := "permits"
			if may == mayPermit {
				word = "may permit"
			}
			rows = append(rows, row{account: a, principal: id.label(), strength: Permitted, iam: word, delta: d, action: action, scope: t.scope})
		}
	}
	return rows
}

// anybody are the effects on whoever IAM may permit the action in an account
// whose IAM is not known.
func (e *engine) anybody(g *group, a orgs.Account, region string) []row {
	var rows []row
	for _, t := range e.tried {
		for _, action := range t.actions {
			d := e.world.deltaOver(g, anybody(e.in.Org, a, action, ""), e.resources(t, action, a, region), t.scope)
			if d.direction != "" {
				rows = append(rows, row{account: a, principal: "whoever IAM permits it", strength: Possible, delta: d, action: action, scope: t.scope})
			}
		}
	}
	return rows
}

// effects puts rows together: one effect for all that befalls the same
// principal in the same way, in however many accounts.
func (e *engine) effects(rows []row) []Effect {
	// First the actions of one principal in one account, then the accounts.
	perAccount := map[string]*Effect{}
	var order []string
	for _, r := range rows {
		k := strings.Join([]string{
			string(r.account.ID), string(r.delta.direction), string(r.strength), r.principal, r.iam,
			strings.Join(r.delta.depends, "|"), refsText(r.delta.deciding), strings.Join(r.scope, "|"),
		}, "\x00")
		f := perAccount[k]
		if f == nil {
			f = &Effect{
				Direction: r.delta.direction, Strength: r.strength, Depends: orEmpty(r.delta.depends), Principal: r.principal, IAM: r.iam,
				Accounts: []AccountRef{{string(r.account.ID), r.account.Name}}, Resources: orEmpty(r.scope), Deciding: orEmpty(r.delta.deciding), Uses: []Use{},
			}
			perAccount[k] = f
			order = append(order, k)
		}
		if !slices.Contains(f.Actions, r.action) {
			f.Actions = append(f.Actions, r.action)
		}
		f.Uses = append(f.Uses, r.uses...)
	}
	merged := map[string]*Effect{}
	var out []*Effect
	for _, k := range order {
		f := perAccount[k]
		slices.Sort(f.Actions)
		_, rest, _ := strings.Cut(k, "\x00")
		key := rest + "\x00" + strings.Join(f.Actions, "|")
		have := merged[key]
		if have == nil {
			merged[key] = f
			out = append(out, f)
			continue
		}
		have.Accounts = append(have.Accounts, f.Accounts...)
		have.Uses = append(have.Uses, f.Uses...)
		for _, ref := range f.Deciding { // the same policy on another level
			if !slices.Contains(have.Deciding, ref) {
				have.Deciding = append(have.Deciding, ref)
			}
		}
	}
	effects := make([]Effect, len(out))
	for i, f := range out {
		slices.SortFunc(f.Accounts, func(a, b AccountRef) int { return cmp.Compare(a.ID, b.ID) })
		f.Uses = mergeUses(f.Uses)
		effects[i] = *f
	}
	slices.SortStableFunc(effects, compareEffects)
	return effects
}

// mergeUses adds up uses of one account, Region and action.
func mergeUses(uses []Use) []Use {
	slices.SortStableFunc(uses, func(a, b Use) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.Action, b.Action), b.Last.Compare(a.Last), cmp.Compare(a.EventID, b.EventID))
	})
	out := []Use{}
	for _, u := range uses {
		if n := len(out); n > 0 && out[n-1].Account == u.Account && out[n-1].Region == u.Region && out[n-1].Action == u.Action {
			out[n-1].Count += u.Count
			if u.First.Before(out[n-1].First) {
				out[n-1].First = u.First
			}
			continue
		}
		out = append(out, u)
	}
	return out
}

var (
	strengthRank  = []Strength{Used, Permitted, Possible}
	directionRank = []Direction{Loses, Gains}
)

// compareEffects puts what hurts most first.
func compareEffects(a, b Effect) int {
	rank := func(f Effect) int {
		n := slices.Index(directionRank, f.Direction)*100 + slices.Index(strengthRank, f.Strength)*10
		if !f.Certain() {
			n++
		}
		return n
	}
	return cmp.Or(
		cmp.Compare(rank(a), rank(b)),
		cmp.Compare(len(b.Accounts), len(a.Accounts)),
		cmp.Compare(a.Principal, b.Principal),
		slices.Compare(a.Actions, b.Actions),
		slices.Compare(a.Resources, b.Resources),
		cmp.Compare(a.Accounts[0].ID, b.Accounts[0].ID),
		slices.Compare(a.Depends, b.Depends),
	)
}

// refsText names statements without their levels.
func refsText(refs []scp.StatementRef) string {
	var b strings.Builder
	for _, r := range refs {
		fmt.Fprintf(&b, "%s/%d/%s|", r.Policy, r.Index, r.Sid)
	}
	return b.String()
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// identity finds a principal in an account's inventory by its ARN.
func (e *engine) identity(account, arn string) *Identity {
	inv, ok := e.in.Inventory[orgs.AccountID(account)]
	if !ok {
		return nil
	}
	for i := range inv.Identities {
		if inv.Identities[i].ARN == arn {
			return &inv.Identities[i]
		}
	}
	return nil
}

// roleARNs are the ARNs of an account's roles by name, paths included.
func (e *engine) roleARNs(account string) map[string]string {
	out := map[string]string{}
	for _, id := range e.in.Inventory[orgs.AccountID(account)].Identities {
		if id.Type != scp.PrincipalUser {
			out[id.ARN[strings.LastIndexByte(id.ARN, '/')+1:]] = id.ARN
		}
	}
	return out
}
