package preview

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/scp"
)

// ReadInventory reads the IAM of accounts. An account that cannot be read is
// missing from the inventories and named in the coverage.
func ReadInventory(ctx context.Context, pool *access.Pool, org *orgs.Organization, accounts []orgs.Account, workers int, done func()) (map[orgs.AccountID]Inventory, Coverage) {
	texts := &intern{seen: map[string]string{}}
	read := orgs.ForEach(ctx, accounts, workers, func(ctx context.Context, a orgs.Account) (Inventory, error) {
		defer done()
		at := pool.In(org.Partition, a.ID, org.Partition.GlobalRegion)
		if err := pool.AssumeError(ctx, at); err != nil {
			return Inventory{}, err
		}
		return readInventory(ctx, pool, at, texts)
	})
	c := Coverage{Asked: true, Wanted: len(accounts), Accounts: len(accounts), Missing: []Gap{}}
	out := map[orgs.AccountID]Inventory{}
	for i, o := range read {
		if o.Err != nil {
			c.Missing = append(c.Missing, Gap{Account: string(accounts[i].ID), AccountName: accounts[i].Name, Reason: o.Err.Error()})
			continue
		}
		out[accounts[i].ID] = o.Value
		c.Read++
		c.Records += len(o.Value.Identities)
	}
	c.AccountsRead = c.Read
	return out, c
}

// intern keeps one copy of every text: the same policies are in every account.
type intern struct {
	mu   sync.Mutex
	seen map[string]string
}

func (i *intern) of(s string) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if have, ok := i.seen[s]; ok {
		return have
	}
	i.seen[s] = s
	return s
}

func readInventory(ctx context.Context, pool *access.Pool, at access.At, texts *intern) (Inventory, error) {
	var roles []types.RoleDetail
	var users []types.UserDetail
	groups := map[string][]string{}
	managed := map[string]string{}
	attached := func(list []types.AttachedPolicy) []string {
		var out []string
		for _, p := range list {
			out = append(out, aws.ToString(p.PolicyArn))
		}
		return out
	}
	groupAttached := map[string][]string{}
	p := iam.NewGetAccountAuthorizationDetailsPaginator(pool.IAM, &iam.GetAccountAuthorizationDetailsInput{MaxItems: aws.Int32(1000)})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, at.IAM)
		if err != nil {
			return Inventory{}, err
		}
		roles, users = append(roles, page.RoleDetailList...), append(users, page.UserDetailList...)
		for _, g := range page.GroupDetailList {
			name := aws.ToString(g.GroupName)
			groups[name] = inline(g.GroupPolicyList, texts)
			groupAttached[name] = attached(g.AttachedManagedPolicies)
		}
		for _, m := range page.Policies {
			for _, v := range m.PolicyVersionList {
				if v.IsDefaultVersion {
					managed[aws.ToString(m.Arn)] = texts.of(decoded(v.Document))
				}
			}
		}
	}
	documents := func(arns []string) []string {
		var out []string
		for _, a := range arns {
			if text, ok := managed[a]; ok {
				out = append(out, text)
			} else {
				out = append(out, "") // unreadable: what it permits is not known
			}
		}
		return out
	}
	var inv Inventory
	for _, r := range roles {
		id := Identity{
			ARN: aws.ToString(r.Arn), Type: scp.PrincipalRole, Tags: tagMap(r.Tags), TagsFixed: !admitsTags(decoded(r.AssumeRolePolicyDocument)),
			Policies: append(inline(r.RolePolicyList, texts), documents(attached(r.AttachedManagedPolicies))...),
		}
		if strings.HasPrefix(aws.ToString(r.Path), "/aws-service-role/") {
			id.Type = scp.PrincipalServiceLinkedRole
		}
		id.bound(r.PermissionsBoundary, managed)
		inv.Identities = append(inv.Identities, id)
	}
	for _, u := range users {
		id := Identity{
			ARN: aws.ToString(u.Arn), Type: scp.PrincipalUser, Tags: tagMap(u.Tags), TagsFixed: true,
			Policies: append(inline(u.UserPolicyList, texts), documents(attached(u.AttachedManagedPolicies))...),
		}
		for _, g := range u.GroupList {
			id.Policies = append(append(id.Policies, groups[g]...), documents(groupAttached[g])...)
		}
		id.bound(u.PermissionsBoundary, managed)
		inv.Identities = append(inv.Identities, id)
	}
	slices.SortFunc(inv.Identities, func(a, b Identity) int { return strings.Compare(a.ARN, b.ARN) })
	return inv, nil
}

// bound gives an identity its permissions boundary.
func (i *Identity) bound(b *types.AttachedPermissionsBoundary, managed map[string]string) {
	if b != nil {
		i.Bounded, i.Boundary = true, managed[aws.ToString(b.PermissionsBoundaryArn)]
	}
}

func inline(list []types.PolicyDetail, texts *intern) []string {
	var out []string
	for _, p := range list {
		out = append(out, texts.of(decoded(p.PolicyDocument)))
	}
	return out
}

// decoded is a policy document out of IAM's answers, where it is URL-encoded.
func decoded(s *string) string {
	text, err := url.PathUnescape(aws.ToString(s))
	if err != nil {
		return aws.ToString(s)
	}
	return text
}

func tagMap(tags []types.Tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	out := map[string]string{}
	for _, t := range tags {
		out[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return out
}

// admitsTags says whether a trust policy may let sessions bring tags of their
// own, which would hide the role's. A wildcard counts as yes.
func admitsTags(trust string) bool {
	lower := strings.ToLower(trust)
	return strings.Contains(lower, "tagsession") || strings.Contains(lower, "sts:*") || strings.Contains(lower, `"action":"*"`) || strings.Contains(lower, `"action": "*"`)
}
