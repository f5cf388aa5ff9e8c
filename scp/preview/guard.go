package preview

import (
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

// guards checks that the roles without which nobody could repair or deploy keep
// what they need, in every account that is reached and every Region in use. Only
// what they have today can be lost: a need that is denied already is not this
// change's doing.
func (e *engine) guards() []GuardCheck {
	out := []GuardCheck{}
	for _, guard := range e.in.Guards {
		out = append(out, e.guard(guard))
	}
	return out
}

func (e *engine) guard(guard Guard) GuardCheck {
	c := GuardCheck{Role: guard.Role, Why: guard.Why, Status: GuardKeeps, Lost: []string{}, Accounts: []AccountRef{}, Deciding: []scp.StatementRef{}, Depends: []string{}}
	needs := e.needs(guard)
	c.Needs = len(needs)
	present, looked := 0, 0
	for _, g := range e.world.groups {
		for _, a := range g.accounts {
			role, there, known := e.roleLike(a, guard.Role)
			if known {
				looked++
			}
			if there {
				present++
			}
			if known && !there && !guard.Standing {
				continue
			}
			c.Checked++
			e.guardIn(&c, g, a, role, needs)
		}
	}
	switch {
	case len(c.Lost) > 0:
		c.Status = GuardLoses
	case len(c.Depends) > 0:
		c.Status = GuardDepends
	case c.Checked == 0 && present == 0:
		c.Status = GuardAbsent
	}
	slices.Sort(c.Lost)
	c.Lost = slices.Compact(c.Lost)
	slices.Sort(c.Depends)
	c.Depends = slices.Compact(c.Depends)
	return c
}

// needs are what a guarded role needs; for one that needs all, whatever is denied.
func (e *engine) needs(guard Guard) []Need {
	if !guard.All {
		return guard.Needs
	}
	var out []Need
	for _, t := range e.tried {
		for _, a := range t.actions {
			for _, p := range append([]string{}, t.scope...) {
				out = append(out, Need{Action: a, Resource: p})
			}
			if t.scope == nil {
				out = append(out, Need{Action: a})
			}
		}
	}
	return out
}

// guardIn tries the needs of a role in one account.
func (e *engine) guardIn(c *GuardCheck, g *group, a orgs.Account, role Identity, needs []Need) {
	lost := false
	for _, need := range needs {
		if !e.touches(need.Action) {
			continue
		}
		for _, region := range e.regionsFor(need.Action) {
			r := requestOf(e.in.Org, a, role, need.Action, e.needResource(need, a, region))
			r.Context["aws:RequestedRegion"] = []string{region}
			d := e.world.delta(g, r)
			if d.direction != Loses {
				continue
			}
			if len(d.depends) > 0 {
				c.Depends = append(c.Depends, d.depends...)
				continue
			}
			lost = true
			c.Lost = append(c.Lost, need.Action)
			for _, ref := range d.deciding {
				if !slices.Contains(c.Deciding, ref) {
					c.Deciding = append(c.Deciding, ref)
				}
			}
		}
	}
	if lost {
		c.Accounts = append(c.Accounts, AccountRef{string(a.ID), a.Name})
	}
}

// touches says whether any changed statement is about an action.
func (e *engine) touches(action string) bool {
	return e.every || slices.ContainsFunc(e.tried, func(t trial) bool { return t.about(action) })
}

// globalServices are those whose requests all go to one Region of the partition.
var globalServices = []string{"iam:", "organizations:", "cloudfront:", "route53:", "account:"}

func (e *engine) regionsFor(action string) []string {
	if len(e.in.Regions) == 0 || slices.ContainsFunc(globalServices, func(p string) bool { return strings.HasPrefix(action, p) }) {
		return []string{e.in.Org.Partition.GlobalRegion}
	}
	return e.in.Regions
}

func (e *engine) needResource(n Need, a orgs.Account, region string) string {
	if n.Resource != "" {
		filled := strings.NewReplacer("${Account}", string(a.ID), "${Partition}", e.in.Org.Partition.ID, "${Region}", region).Replace(n.Resource)
		return instance(filled, e.in.Org.Partition.ID, a.ID, region)
	}
	if arns := e.arnsOf(n.Action); len(arns) > 0 {
		return instance(arns[0], e.in.Org.Partition.ID, a.ID, region)
	}
	return "*"
}

// roleLike finds a role by a pattern of its name in an account. When there is
// none it makes one up: the role that somebody would make.
func (e *engine) roleLike(a orgs.Account, pattern string) (role Identity, there, known bool) {
	prefix := "arn:" + e.in.Org.Partition.ID + ":iam::" + string(a.ID) + ":role/"
	inv, known := e.in.Inventory[a.ID]
	for _, id := range inv.Identities {
		rest, ok := strings.CutPrefix(id.ARN, prefix)
		if ok && like(strings.TrimPrefix(pattern, "/"), rest) {
			return id, true, known
		}
	}
	name := strings.NewReplacer("*", unknownPart, "?", "x").Replace(strings.TrimPrefix(pattern, "/"))
	return Identity{ARN: prefix + name, Type: scp.PrincipalRole}, false, known
}

// like matches a name with a pattern with * and ?.
func like(pattern, name string) bool {
	for len(pattern) > 0 {
		switch pattern[0] {
		case '*':
			for i := 0; i <= len(name); i++ {
				if like(pattern[1:], name[i:]) {
					return true
				}
			}
			return false
		case '?':
			if name == "" {
				return false
			}
		default:
			if name == "" || name[0] != pattern[0] {
				return false
			}
		}
		pattern, name = pattern[1:], name[1:]
	}
	return name == ""
}
