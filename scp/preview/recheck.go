package preview

import (
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

// Recheck asks, after a part of a change was made, whether the roles that must go
// on working still can, over the policies that are attached now. in is what the
// preview was made of; now is read anew. It looks at every node whose policies are
// different by now, whoever changed them.
func Recheck(in Input, now Attachments) ([]GuardCheck, error) {
	w, err := newWorld(&in)
	if err != nil {
		return nil, err
	}
	ref, err := scp.LoadReference()
	if err != nil {
		return nil, err
	}
	e := &engine{in: &in, world: w, ref: ref, iam: newEntitlements(), arns: map[string][]string{}, scopes: map[string][]string{}, used: map[string]bool{}, every: true}
	w.widened = true
	e.tried = e.trials()
	if err := w.replace(now); err != nil {
		return nil, err
	}
	return e.guards(), nil
}

// replace makes what was read anew the side after the change.
func (w *world) replace(now Attachments) error {
	old := w.in.Attached
	w.in.Attached.Policies = map[string]Policy{}
	for id, p := range old.Policies {
		w.in.Attached.Policies[id] = p
	}
	w.after = sideOf(now)
	for id, p := range now.Policies {
		w.in.Attached.Policies[id] = p // names and problems, for errors
		if w.after.docs[id].Document == nil && p.Content == "" && w.before.docs[id].Document != nil {
			w.after.docs[id] = w.before.docs[id] // not read again
		}
	}
	w.changed, w.groups = map[string]bool{}, nil
	differ := func(node string) bool {
		before, after := w.before.on[node], w.after.on[node]
		return !slices.Equal(before, after) || slices.ContainsFunc(after, func(id string) bool {
			return !sameStatements(w.before.docs[id].Document, w.after.docs[id].Document)
		})
	}
	for _, on := range []map[string][]string{w.before.on, w.after.on} {
		for node := range on {
			if differ(node) {
				w.changed[node] = true
			}
		}
	}
	return w.compile()
}

// Answer is what the policies attached now say to a role's call.
func Answer(in Input, now Attachments, a orgs.Account, role, action, resource, region string) (scp.Result, error) {
	in.Attached = now
	w := &world{in: &in}
	e, err := w.evaluator(sideOf(now), a)
	if err != nil {
		return scp.Result{}, err
	}
	arn := "arn:" + in.Org.Partition.ID + ":iam::" + string(a.ID) + ":role/" + strings.TrimPrefix(role, "/")
	r := requestOf(in.Org, a, Identity{ARN: arn, Type: scp.PrincipalRole}, action, resource)
	r.Context["aws:RequestedRegion"] = []string{region}
	return e.Evaluate(r), nil
}
