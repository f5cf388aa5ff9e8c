package apply

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/orgpolicy"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp/preview"
)

// Policy is a policy as AWS Organizations has it; without an ID it is not there.
type Policy = orgpolicy.Policy

// Wish is what there is to be.
type Wish struct {
	Content string // the policy's text; "" leaves it as it is
	Attach  []string
	Detach  []string
	Delete  bool   // delete it, when it is attached nowhere any more
	Control string // the control that the changes serve, if any
}

// Group is a wave as it was asked for: nodes that are reached together.
type Group struct {
	Name  string
	Nodes []string
}

// Groups resolves the waves of a configuration: roots, OUs and accounts by id, name
// or path.
func Groups(org *orgs.Organization, waves [][]string) ([]Group, error) {
	var out []Group
	var problems []error
	for _, refs := range waves {
		g := Group{Name: strings.Join(refs, ", ")}
		for _, ref := range refs {
			n, err := preview.FindTarget(org, ref)
			problems = append(problems, err)
			g.Nodes = append(g.Nodes, n.ID)
		}
		out = append(out, g)
	}
	return out, errors.Join(problems...)
}

// Wave is changes that are verified, and if need be rolled back, together.
type Wave struct {
	Number int    `json:"number"` // from 1
	Name   string `json:"name"`
	// Accounts is how many accounts the wave is the first to reach; of an edit
	// all that the policy is on, of a detachment those it is taken off.
	Accounts int           `json:"accounts"`
	Changes  []plan.Change `json:"changes"`
}

// everythingElse is the wave of what no group covers.
const everythingElse = "everything else"

// allAtOnce is the one wave where there are no groups.
const allAtOnce = "all at once"

// redundant is the last wave, where attachments are taken off that the target's
// own has made redundant.
const redundant = "attachments that became redundant"

// Plan works out the waves from what is there to what is to be. It is pure; the
// same input gives the same waves, and what is there already makes none.
func Plan(org *orgs.Organization, have Policy, wish Wish, groups []Group) []Wave {
	p := planner{org: org, maker: maker{org: org, policy: have.Name, control: wish.Control}, groups: groups, on: map[string]bool{}, reached: map[orgs.AccountID]bool{}}
	for _, t := range have.Targets {
		p.on[t] = true
		p.reach(t)
	}
	p.text(have, wish)
	p.attach(wish.Attach)
	p.detach(wish.Detach)
	if wish.Delete && have.ID != "" {
		p.remove(have.Content)
	}
	for i := range p.waves {
		p.waves[i].Number = i + 1
	}
	return p.waves
}

type planner struct {
	org     *orgs.Organization
	maker   maker
	groups  []Group
	waves   []Wave
	on      map[string]bool // where the policy is attached by then
	reached map[orgs.AccountID]bool
	first   []plan.Change // to be made before the first attachment
}

// reach notes the accounts that a node's attachment binds, and counts those that
// none did before.
func (p *planner) reach(node string) int {
	n := 0
	for _, a := range Affected(p.org, node) {
		if !p.reached[a.ID] {
			p.reached[a.ID] = true
			n++
		}
	}
	return n
}

// reaches says how many accounts an attachment binds, and how many of them none did
// before.
func (p *planner) reaches(node string, first int) string {
	all := len(Affected(p.org, node))
	if first == all {
		return fmt.Sprintf("; reaches %d accounts", all)
	}
	return fmt.Sprintf("; reaches %d accounts, %d of them for the first time", all, first)
}

func (p *planner) add(name string, accounts int, changes ...plan.Change) {
	if len(changes) > 0 {
		p.waves = append(p.waves, Wave{Name: name, Accounts: accounts, Changes: changes})
	}
}

// text makes the policy, or edits it. One that is not attached anywhere can be
// edited together with the first wave.
func (p *planner) text(have Policy, wish Wish) {
	switch {
	case wish.Content == "" || have.ID != "" && Same([]byte(have.Content), []byte(wish.Content)):
	case have.ID == "":
		p.first = append(p.first, p.maker.create(wish.Content, "does not exist"))
	default:
		n := len(p.reached)
		why := fmt.Sprintf("another text; the edit changes all its %d targets (%d accounts) at once", len(have.Targets), n)
		c := p.maker.update(have.Content, wish.Content, why, n)
		if len(have.Targets) == 0 {
			p.first = append(p.first, c)
			return
		}
		p.add("the edit, on all targets at once", n, c)
	}
}

// attach attaches to the targets by way of the groups.
func (p *planner) attach(targets []string) {
	pending := slices.DeleteFunc(slices.Clone(targets), func(t string) bool { return p.on[t] })
	var between []string // attached on the way to a target above
	for _, g := range p.groups {
		changes, accounts := slices.Clone(p.first), 0
		put := func(node, why string) {
			n := p.reach(node)
			accounts += n
			changes = append(changes, p.maker.attach(node, why+p.reaches(node, n)))
			p.on[node] = true
		}
		for _, node := range g.Nodes {
			pending = slices.DeleteFunc(pending, func(t string) bool {
				if !covers(p.org, node, t) {
					return false
				}
				put(t, "not attached")
				return true
			})
			above := slices.IndexFunc(pending, func(t string) bool { return covers(p.org, t, node) })
			if above >= 0 && !p.covered(node) {
				put(node, "on the way to "+NodeName(p.org, pending[above]))
				between = append(between, node)
			}
		}
		if len(changes) > len(p.first) {
			p.add(g.Name, accounts, changes...)
			p.first = nil
		}
	}
	changes, accounts := slices.Clone(p.first), 0
	for _, t := range pending {
		n := p.reach(t)
		accounts += n
		p.on[t] = true
		changes = append(changes, p.maker.attach(t, "not attached"+p.reaches(t, n)))
	}
	name := everythingElse
	if len(p.waves) == 0 {
		name = allAtOnce
	}
	p.add(name, accounts, changes...)
	p.first = nil
	p.tidy(between, targets)
}

// covered says whether the policy is attached to a node, or above it.
func (p *planner) covered(node string) bool {
	for on := range p.on {
		if covers(p.org, on, node) {
			return true
		}
	}
	return false
}

// tidy takes off what was attached on the way and is no target itself.
func (p *planner) tidy(between, targets []string) {
	var changes []plan.Change
	for _, node := range between {
		if slices.Contains(targets, node) {
			continue
		}
		for _, t := range targets {
			if covers(p.org, t, node) {
				changes = append(changes, p.maker.detach(node, "attached above, to "+NodeName(p.org, t)))
				delete(p.on, node)
				break
			}
		}
	}
	p.add(redundant, 0, changes...)
}

// detach takes the policy off the targets, each in the first group that covers it.
func (p *planner) detach(targets []string) {
	pending := slices.DeleteFunc(slices.Clone(targets), func(t string) bool { return !p.on[t] })
	wave := func(name string, of []string) {
		var changes []plan.Change
		accounts := 0
		for _, t := range of {
			n := len(Affected(p.org, t))
			accounts += n
			changes = append(changes, p.maker.detach(t, fmt.Sprintf("is to go; %d accounts are at or below", n)))
		}
		p.add(name, accounts, changes...)
	}
	for _, g := range p.groups {
		var now []string
		pending = slices.DeleteFunc(pending, func(t string) bool {
			in := slices.ContainsFunc(g.Nodes, func(n string) bool { return covers(p.org, n, t) })
			if in {
				now = append(now, t)
			}
			return in
		})
		wave(g.Name, now)
	}
	name := everythingElse
	if len(p.waves) == 0 {
		name = allAtOnce
	}
	wave(name, pending)
}

// remove deletes the policy, at the end of the last wave.
func (p *planner) remove(content string) {
	c := p.maker.remove(content, "is attached nowhere by then")
	if len(p.waves) == 0 {
		p.add(allAtOnce, 0, c)
		return
	}
	last := &p.waves[len(p.waves)-1]
	last.Changes = append(last.Changes, c)
}

// Changes are the changes of all waves, in their order.
func Changes(waves []Wave) []plan.Change {
	var out []plan.Change
	for _, w := range waves {
		out = append(out, w.Changes...)
	}
	return out
}

// Full names the nodes on the way that have no room for one policy more; on gives
// the policies attached to a node.
func Full(org *orgs.Organization, waves []Wave, on map[string][]string, limit int) []string {
	var out []string
	for _, c := range Changes(waves) {
		_, after, err := sides(c)
		if err == nil && c.Verb == plan.Attach && len(on[after.Target]) >= limit {
			out = append(out, fmt.Sprintf("%s has %d of %d policies", NodeName(org, after.Target), len(on[after.Target]), limit))
		}
	}
	return out
}
