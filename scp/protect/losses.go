package protect

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp"
	"github.com/orgguard/orgguard/scp/apply"
)

// Losses are the statements that begin, or end, to bind accounts when the policy is
// put in place: what principals there can no longer do, or can do again. It is what
// the policy's text says; `orgguard scp preview` asks besides who has used what it
// denies.
func (g *Guard) Losses(s State) ([]plan.Loss, error) {
	now, err := bindings(s.Content)
	if err != nil {
		return nil, fmt.Errorf("policy %s as it is: %w", PolicyName, err)
	}
	then, err := bindings(string(g.Policy))
	if err != nil {
		return nil, err
	}
	targets := slices.Clone(s.Targets)
	for _, ou := range g.Attach {
		targets = append(targets, string(ou.ID))
	}
	was, is := g.bound(s.Targets), g.bound(targets) // a rollout attaches, and detaches nothing
	var out []plan.Loss
	compare := func(these, others []plan.Loss, accounts, before []string, returned bool) {
		for _, l := range these {
			l.Returned, l.Accounts = returned, accounts
			if slices.ContainsFunc(others, func(o plan.Loss) bool { return sameRule(o, l) }) {
				l.Accounts = slices.DeleteFunc(slices.Clone(accounts), func(a string) bool { return slices.Contains(before, a) })
			}
			if len(l.Accounts) > 0 {
				out = append(out, l)
			}
		}
	}
	compare(then, now, is, was, false)
	compare(now, then, was, is, true)
	return out, nil
}

// bound are the accounts that attachments bind.
func (g *Guard) bound(targets []string) []string {
	var out []string
	for _, t := range targets {
		for _, a := range apply.Affected(g.Org, t) {
			out = append(out, string(a.ID))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// sameRule says whether two statements deny the same, whatever they are called.
func sameRule(a, b plan.Loss) bool {
	a.Statement, a.Accounts, a.Returned = b.Statement, b.Accounts, b.Returned
	return reflect.DeepEqual(a, b)
}

// bindings are the statements of a policy's text that deny something; none of no
// text.
func bindings(text string) ([]plan.Loss, error) {
	if text == "" {
		return nil, nil
	}
	doc, err := scp.Parse(PolicyName, []byte(text))
	if err != nil {
		return nil, err
	}
	var out []plan.Loss
	for _, s := range doc.Statements() {
		if s.Effect != scp.Deny {
			continue
		}
		l := plan.Loss{Policy: PolicyName, Statement: s.Sid, Actions: words(s.Actions, s.NotActions), Resources: words(s.Resources, s.NotResources)}
		if l.Statement == "" {
			l.Statement = fmt.Sprintf("statement %d", s.Index+1)
		}
		for _, c := range s.Conditions {
			if strings.EqualFold(c.Key, "aws:PrincipalArn") && (c.Operator == "ArnNotLike" || c.Operator == "StringNotLike" || c.Operator == "ArnNotEquals") {
				l.Except = append(l.Except, c.Values...)
				continue
			}
			l.Conditions = append(l.Conditions, fmt.Sprintf("%s of %s: %s", c.Operator, c.Key, strings.Join(c.Values, ", ")))
		}
		slices.Sort(l.Except)
		out = append(out, l)
	}
	return out, nil
}

// words are a statement's actions or resources, sorted; those that it means by
// leaving others out are named so.
func words(list, not []string) []string {
	out := []string{}
	out = append(out, list...)
	for _, n := range not {
		out = append(out, "all but "+n)
	}
	slices.Sort(out)
	return out
}
