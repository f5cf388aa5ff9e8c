package preview

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/orgpolicy"
	"github.com/orgguard/orgguard/scp"
)

// SCPs is the API for service control policies, as the caller's account calls it.
func SCPs(pool *access.Pool, org *orgs.Organization) orgpolicy.Service {
	return orgpolicy.Of(pool, pool.Home(org.Partition.GlobalRegion), types.PolicyTypeServiceControlPolicy)
}

// ReadAttachments reads which policies there are and what they are attached to:
// one listing for the policies and one for each policy's targets, never one for
// each account.
func ReadAttachments(ctx context.Context, pool *access.Pool, org *orgs.Organization, now time.Time) (Attachments, error) {
	out := Attachments{TakenAt: now, Policies: map[string]Policy{}, On: map[string][]string{}}
	all, err := SCPs(pool, org).Attached(ctx)
	for _, p := range all {
		out.Policies[p.ID] = Policy{ID: p.ID, Name: p.Name, AWSManaged: p.AWSManaged}
		for _, target := range p.Targets {
			out.On[target] = append(out.On[target], p.ID) // in the order of ids, which is sorted
		}
	}
	return out, err
}

// ReadDocuments reads the documents of the policies that a change is judged
// with: those on the paths through its targets, and the changed policy's own.
func (a *Attachments) ReadDocuments(ctx context.Context, pool *access.Pool, org *orgs.Organization, c Change) error {
	nodes := slices.Clone(c.Targets)
	for node, ids := range a.On {
		if c.Existing != "" && slices.Contains(ids, c.Existing) {
			nodes = append(nodes, node)
		}
	}
	want := map[string]bool{}
	if c.Existing != "" {
		want[c.Existing] = true
	}
	for node, ids := range a.On {
		if slices.ContainsFunc(nodes, func(n string) bool { return samePath(org, node, n) }) {
			for _, id := range ids {
				want[id] = true
			}
		}
	}
	ids := slices.DeleteFunc(sortedKeys(want), func(id string) bool { return a.Policies[id].Document != nil })
	scps := SCPs(pool, org)
	read := orgs.ForEach(ctx, ids, 4, func(ctx context.Context, id string) (string, error) {
		return scps.Text(ctx, orgpolicy.Policy{ID: id, Name: a.Policies[id].Name})
	})
	var problems []error
	for i, o := range read {
		if o.Err != nil {
			problems = append(problems, o.Err)
			continue
		}
		p := a.Policies[ids[i]]
		p.Content = o.Value
		var err error
		if p.Document, err = scp.Parse(p.Name, []byte(o.Value)); err != nil {
			p.Problem = err.Error()
		}
		a.Policies[ids[i]] = p
	}
	return errors.Join(problems...)
}

// samePath says whether two nodes lie on a path from the root to an account.
func samePath(org *orgs.Organization, a, b string) bool {
	return a == b || below(org, a, b) || below(org, b, a)
}

// below says whether node a lies below node b.
func below(org *orgs.Organization, a, b string) bool {
	if account, ok := org.Account(orgs.AccountID(a)); ok {
		return org.Under(account.Parent, orgs.NodeID(b))
	}
	return org.Under(orgs.NodeID(a), orgs.NodeID(b))
}

// FindPolicy finds a policy by its name or id. The error names the nearest.
func (a *Attachments) FindPolicy(ref string) (Policy, error) {
	if p, ok := a.Policies[ref]; ok {
		return p, nil
	}
	names := make([]string, 0, len(a.Policies))
	for _, id := range sortedKeys(a.Policies) {
		p := a.Policies[id]
		if p.Name == ref {
			return p, nil // names are unique
		}
		names = append(names, p.Name)
	}
	return Policy{}, &orgs.UnknownError{Kind: "policy", Name: ref, Near: orgs.Nearest(ref, names)}
}

// FindTarget resolves a root, OU or account given as an id, a name or a path.
func FindTarget(org *orgs.Organization, ref string) (Node, error) {
	if n, ok := nodeOf(org, ref); ok {
		return n, nil
	}
	ou, ouErr := org.FindOU(ref)
	account, accountErr := org.FindAccount(ref)
	switch {
	case ouErr == nil && accountErr == nil:
		return Node{}, badInput("%q is the name of an OU (%s) and of an account (%s): give the id", ref, ou.ID, account.ID)
	case ouErr == nil:
		n, _ := nodeOf(org, string(ou.ID))
		return n, nil
	case accountErr == nil:
		n, _ := nodeOf(org, string(account.ID))
		return n, nil
	}
	var unknown *orgs.UnknownError
	if !errors.As(ouErr, &unknown) {
		return Node{}, ouErr // several OUs of that name
	}
	var unknownAccount *orgs.UnknownError
	if !errors.As(accountErr, &unknownAccount) {
		return Node{}, accountErr
	}
	return Node{}, &orgs.UnknownError{Kind: "root, OU or account", Name: ref, Near: append(unknown.Near, unknownAccount.Near...)}
}
