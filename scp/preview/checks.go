package preview

import (
	"fmt"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

// maxPolicies is the quota of service control policies in an organization.
const (
	maxPolicies     = 10_000
	maxPoliciesDate = "2026-05-15"
)

// Lint rules that the checks below tell better, for they know the tree.
var ownRules = []string{"SCP114", "SCP115", "SCP116"}

// checks are the quotas, the linter's findings, and what AWS would refuse.
func (e *engine) checks() []Check {
	out := []Check{}
	limits := limitsOf(e.in.Limits)
	c := e.in.Change
	if e.in.Org.SCPStatus != orgs.PolicyTypeEnabled {
		out = append(out, Check{
			ID: "policy-type", Status: CheckWarning, Text: "service control policies are off on the root: nothing applies until they are enabled",
			Fix: fmt.Sprintf("aws organizations enable-policy-type --root-id %s --policy-type SERVICE_CONTROL_POLICY", e.in.Org.Root),
		})
	}
	out = append(out, e.names()...)
	if e.world.doc != nil && c.Kind != Detach {
		n, limit := e.world.doc.Size().Counted(), limits.PolicyCharacters
		check := Check{ID: "quota-size", Status: CheckOK, Text: fmt.Sprintf("size %s of %s characters as sent", thousands(n), thousands(limit.Value)), Source: limit.Source, Date: limit.Date}
		if n > limit.Value {
			check.Status, check.Fix = CheckError, fmt.Sprintf("without white space it has %s", thousands(e.world.doc.MinifiedSize().Counted()))
		}
		out = append(out, check)
	}
	out = append(out, e.attachedChecks(limits)...)
	out = append(out, e.allowChecks())
	if e.world.doc != nil && c.Kind != Detach {
		out = append(out, e.lint()...)
	}
	return out
}

// limitsOf fills the limits that were not overridden.
func limitsOf(l scp.Limits) scp.Limits {
	d := scp.DefaultLimits()
	if l.PolicyCharacters.Value <= 0 {
		l.PolicyCharacters = d.PolicyCharacters
	}
	if l.PoliciesPerNode.Value <= 0 {
		l.PoliciesPerNode = d.PoliciesPerNode
	}
	return l
}

// names checks what Organizations would say about the policy as an object.
func (e *engine) names() []Check {
	var out []Check
	c := e.in.Change
	if c.Existing == "" {
		for _, id := range sortedKeys(e.in.Attached.Policies) {
			if p := e.in.Attached.Policies[id]; p.Name == c.Name {
				out = append(out, Check{
					ID: "name", Status: CheckError, Text: fmt.Sprintf("there is a policy called %s already (%s), and names are unique", c.Name, id),
					Fix: "edit that one (--replace " + c.Name + "), or give yours another name (--name)",
				})
			}
		}
		n := len(e.in.Attached.Policies) + 1
		check := Check{ID: "quota-policies", Status: CheckOK, Text: fmt.Sprintf("%s of %s policies in the organization", thousands(n), thousands(maxPolicies)), Source: scp.DefaultLimits().PolicyCharacters.Source, Date: maxPoliciesDate}
		if n > maxPolicies {
			check.Status, check.Fix = CheckError, "delete a policy that is attached to nothing"
		}
		return append(out, check)
	}
	if e.in.Attached.Policies[c.Existing].AWSManaged && c.Kind == Replace && e.world.old != e.world.doc {
		out = append(out, Check{ID: "aws-managed", Status: CheckError, Text: c.Name + " is AWS's own policy and cannot be edited", Fix: "attach one of your own beside it, then detach it"})
	}
	return out
}

// attachedChecks counts the policies of every node that changes.
func (e *engine) attachedChecks(limits scp.Limits) []Check {
	var out []Check
	limit := limits.PoliciesPerNode
	for _, id := range e.changedNodes() {
		before, after := len(e.world.before.on[id]), len(e.world.after.on[id])
		if before == after {
			continue
		}
		check := Check{
			ID: "quota-attached", Status: CheckOK, Source: limit.Source, Date: limit.Date,
			Text: fmt.Sprintf("%d of %d policies attached to %s (%d now)", after, limit.Value, e.world.nameOf(id), before),
		}
		switch {
		case after > limit.Value:
			check.Status, check.Fix = CheckError, "merge two policies, or attach this one a level higher"
		case after == 0:
			check.Status, check.Text = CheckError, fmt.Sprintf("the last policy of %s cannot be detached: AWS keeps one on every root, OU and account", e.world.nameOf(id))
			check.Fix = "attach FullAWSAccess first"
		}
		out = append(out, check)
	}
	return out
}

func (e *engine) changedNodes() []string { return sortedKeys(e.world.changed) }

// allowChecks looks for levels on which nothing is allowed: everything below
// such a level is denied.
func (e *engine) allowChecks() Check {
	var bare []string
	for _, id := range e.changedNodes() {
		allows := slices.ContainsFunc(e.world.after.on[id], func(policy string) bool {
			doc := e.world.after.docs[policy].Document
			return doc != nil && slices.ContainsFunc(doc.Statements(), func(s scp.Statement) bool { return s.Effect == scp.Allow })
		})
		if !allows {
			bare = append(bare, id)
		}
	}
	if len(bare) == 0 {
		return Check{ID: "allow", Status: CheckOK, Text: "every level that changes keeps an Allow"}
	}
	return Check{
		ID: "allow", Status: CheckError, Text: "no Allow is left on " + e.world.listed(bare) + ": everything below is denied",
		Fix: "keep FullAWSAccess attached; a child's Allow does not undo a level without one",
	}
}

func (e *engine) lint() []Check {
	opts := e.in.Lint
	opts.Limits = e.in.Limits
	opts.Disable = append(slices.Clone(opts.Disable), ownRules...)
	var out []Check
	for _, f := range scp.Lint(e.world.doc, opts) {
		status := CheckWarning
		if f.Severity == scp.SeverityError {
			status = CheckError
		}
		out = append(out, Check{ID: f.Rule, Status: status, Text: fmt.Sprintf("%s:%d:%d %s", f.File, f.Line, f.Column, f.Message), Fix: f.Fix})
	}
	if len(out) == 0 {
		out = append(out, Check{ID: "lint", Status: CheckOK, Text: fmt.Sprintf("nothing found by %d lint rules", len(scp.Rules()))})
	}
	return out
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// guardrails are the policies of AWS Control Tower on the paths that are
// reached.
func (e *engine) guardrails() []string {
	seen := map[string]bool{}
	for _, g := range e.world.groups {
		for _, node := range e.world.pathIDs(g.accounts[0]) {
			for _, id := range e.world.before.on[node] {
				if p := e.in.Attached.Policies[id]; strings.HasPrefix(p.Name, "aws-guardrails-") {
					seen[p.Name] = true
				}
			}
		}
	}
	return sortedKeys(seen)
}

// PoliciesPerNode is how many policies AWS lets attach to one target.
func PoliciesPerNode(l scp.Limits) int { return limitsOf(l).PoliciesPerNode.Value }
