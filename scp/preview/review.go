package preview

import (
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

// redundant finds what other policies on the path deny already. Where they
// spare somebody, that is said: it is the only thing the new statement changes
// there.
func (e *engine) redundant() []Redundancy {
	out := []Redundancy{}
	for _, t := range e.tried {
		if !t.statement.added || t.statement.Effect != scp.Deny {
			continue
		}
		r := Redundancy{Sid: t.statement.Sid, Index: t.statement.Index, Actions: []string{}, By: []scp.StatementRef{}, Except: []string{}}
		covered := map[orgs.AccountID]bool{}
		for _, g := range e.world.groups {
			r.Of += len(g.accounts)
			e.coveredIn(&r, g, t, covered)
		}
		r.Accounts = len(covered)
		if len(r.Actions) > 0 {
			slices.Sort(r.Actions)
			slices.Sort(r.Except)
			out = append(out, r)
		}
	}
	return out
}

func (e *engine) coveredIn(r *Redundancy, g *group, t trial, covered map[orgs.AccountID]bool) {
	a := g.accounts[0]
	for _, action := range t.actions {
		all := true
		var results []scp.Result
		for _, resource := range e.resources(t, action, a, e.in.Org.Partition.GlobalRegion) {
			was := g.before.Evaluate(anybody(e.in.Org, a, action, resource))
			all = all && len(was.Deciding) > 0
			results = append(results, was)
		}
		if !all {
			continue
		}
		for _, was := range results {
			for _, ref := range was.Deciding {
				if !slices.Contains(r.By, ref) {
					r.By = append(r.By, ref)
				}
			}
			if was.Decision == scp.DecisionUnknown {
				for _, text := range e.world.dependsText(was.DependsOn) {
					if !slices.Contains(r.Except, text) {
						r.Except = append(r.Except, text)
					}
				}
			}
		}
		if !slices.Contains(r.Actions, action) {
			r.Actions = append(r.Actions, action)
		}
		for _, a := range g.accounts {
			covered[a.ID] = true
		}
	}
}

// silencers are the actions that make AWS Config record less, or nothing, and
// what each does. Each exists in the service's model.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsconfig.html
var silencers = []struct{ action, does string }{
	{"config:StopConfigurationRecorder", "stops recording"},
	{"config:DeleteConfigurationRecorder", "deletes the recorder"},
	{"config:PutConfigurationRecorder", "can leave the recorder on with nothing to record"},
	{"config:DisassociateResourceTypes", "takes resource types out of recording"},
	{"config:DeleteDeliveryChannel", "ends delivery of what was recorded"},
	{"config:PutDeliveryChannel", "can deliver to somebody else's bucket"},
	{"config:DeleteServiceLinkedConfigurationRecorder", "deletes the recorder of an AWS service"},
	{"config:PutRetentionConfiguration", "can shorten how long history is kept"},
	{"config:DeleteRetentionConfiguration", "resets how long history is kept"},
}

// probeAdmin is an administrator whom no policy names.
func (e *engine) probeAdmin(a orgs.Account) Identity {
	return Identity{ARN: "arn:" + e.in.Org.Partition.ID + ":iam::" + string(a.ID) + ":role/orgguard-probe-admin", Type: scp.PrincipalRole, TagsFixed: true}
}

// gaps are the ways to silence AWS Config that would remain. They are only told
// of a policy that is about AWS Config.
func (e *engine) gaps() []SilentGap {
	out := []SilentGap{}
	if !slices.ContainsFunc(silencers, func(s struct{ action, does string }) bool { return e.touches(s.action) }) {
		return out
	}
	for _, s := range silencers {
		gap := SilentGap{Action: s.action, Does: s.does}
		for _, g := range e.world.groups {
			a := g.accounts[0]
			gap.Of += len(g.accounts)
			resource := e.needResource(Need{Action: s.action}, a, e.in.Org.Partition.GlobalRegion)
			if g.after.Decide(requestOf(e.in.Org, a, e.probeAdmin(a), s.action, resource)) != scp.DecisionDeny {
				gap.Accounts += len(g.accounts)
			}
		}
		if gap.Accounts > 0 {
			out = append(out, gap)
		}
	}
	return out
}

// exemptions audits every principal that a Deny statement spares by its ARN: a
// name is all that such an exemption looks at, so the role has to be there, and
// nobody else may be able to make one of that name.
func (e *engine) exemptions() []Exemption {
	out := []Exemption{}
	if e.world.doc == nil {
		return out
	}
	var patterns []string
	for _, s := range e.world.doc.Statements() {
		if s.Effect != scp.Deny {
			continue
		}
		for _, c := range s.Conditions {
			op := c.Operator[strings.IndexByte(c.Operator, ':')+1:]
			if strings.EqualFold(c.Key, "aws:PrincipalArn") && (strings.HasPrefix(op, "ArnNot") || strings.HasPrefix(op, "StringNot")) {
				patterns = append(patterns, c.Values...)
			}
		}
	}
	for _, p := range slices.Compact(sorted(patterns)) {
		out = append(out, e.exemption(p))
	}
	return out
}

func (e *engine) exemption(pattern string) Exemption {
	x := Exemption{Pattern: pattern, Missing: []AccountRef{}, Forgeable: []AccountRef{}, ForgedBy: []string{}, ProtectedBy: []scp.StatementRef{}}
	account, name, ok := rolePattern(pattern)
	if !ok {
		x.TooWide = tooWide(pattern)
		return x
	}
	if strings.Trim(name, "*/") == "" {
		x.TooWide = "spares every role"
	}
	for _, g := range e.world.groups {
		forged := ""
		for i, a := range g.accounts {
			if !like(account, string(a.ID)) {
				continue
			}
			role, there, known := e.roleLike(a, name)
			if known {
				x.Known = true
				x.Looked++
				if there {
					x.Present++
				} else {
					x.Missing = append(x.Missing, AccountRef{string(a.ID), a.Name})
				}
			}
			if i == 0 || forged == "" { // the group's policies are the same for all its accounts
				forged = e.forge(&x, g, a, role, there)
			}
			if forged == "yes" {
				x.Forgeable = append(x.Forgeable, AccountRef{string(a.ID), a.Name})
			}
		}
	}
	slices.Sort(x.ForgedBy)
	return x
}

// rolePattern takes the account and the name, with its path, out of the pattern
// of a role's ARN.
func rolePattern(pattern string) (account, name string, ok bool) {
	parts := strings.SplitN(pattern, ":", 6)
	if len(parts) != 6 || !strings.HasPrefix(parts[5], "role/") {
		return "", "", false
	}
	return parts[4], strings.TrimPrefix(parts[5], "role/"), true
}

func tooWide(pattern string) string {
	if strings.Trim(pattern, "*") == "" || strings.HasSuffix(pattern, ":*") {
		return "spares everybody"
	}
	return ""
}

// reservedPaths are those under which members cannot make roles.
var reservedPaths = []string{"aws-reserved/", "aws-service-role/"}

// forgeries are the calls by which an administrator of an account becomes the
// exempt role: making one of its name, or letting oneself assume it.
var forgeries = []string{"iam:CreateRole", "iam:UpdateAssumeRolePolicy"}

// forge says whether members could become the exempt role.
func (e *engine) forge(x *Exemption, g *group, a orgs.Account, role Identity, there bool) string {
	name := role.ARN[strings.Index(role.ARN, ":role/")+len(":role/"):]
	if slices.ContainsFunc(reservedPaths, func(p string) bool { return strings.HasPrefix(name, p) }) {
		return "no"
	}
	answer := "no"
	for _, action := range forgeries {
		r := requestOf(e.in.Org, a, e.probeAdmin(a), action, role.ARN)
		result := g.after.Evaluate(r)
		if result.Decision == scp.DecisionDeny {
			for _, ref := range result.Deciding {
				if !slices.Contains(x.ProtectedBy, ref) {
					x.ProtectedBy = append(x.ProtectedBy, ref)
				}
			}
			continue
		}
		if action == "iam:UpdateAssumeRolePolicy" && !there {
			continue // there is nothing to change
		}
		answer = "yes"
		if !slices.Contains(x.ForgedBy, action) {
			x.ForgedBy = append(x.ForgedBy, action)
		}
	}
	return answer
}
