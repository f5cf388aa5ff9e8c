package orgs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"golang.org/x/sync/errgroup"
)

// API is what Load asks of AWS Organizations.
type API interface {
	DescribeOrganization(context.Context, *organizations.DescribeOrganizationInput, ...func(*organizations.Options)) (*organizations.DescribeOrganizationOutput, error)
	ListRoots(context.Context, *organizations.ListRootsInput, ...func(*organizations.Options)) (*organizations.ListRootsOutput, error)
	ListAccounts(context.Context, *organizations.ListAccountsInput, ...func(*organizations.Options)) (*organizations.ListAccountsOutput, error)
	ListAccountsForParent(context.Context, *organizations.ListAccountsForParentInput, ...func(*organizations.Options)) (*organizations.ListAccountsForParentOutput, error)
	ListOrganizationalUnitsForParent(context.Context, *organizations.ListOrganizationalUnitsForParentInput, ...func(*organizations.Options)) (*organizations.ListOrganizationalUnitsForParentOutput, error)
}

// pageSize is the largest page the Organizations API gives.
const pageSize = 20

// Hinted is an error that knows what to do next.
type Hinted struct {
	Err  error
	Next string // one line, without a full stop
}

func (e *Hinted) Error() string { return e.Err.Error() }
func (e *Hinted) Unwrap() error { return e.Err }

// Hint is what to do next.
func (e *Hinted) Hint() string { return e.Next }

// Load reads the organization: its tree and all its accounts, suspended ones
// too. Where the API gives every account's path, that is one call for each 20
// accounts and one for each OU; otherwise the accounts are read OU by OU, which
// is one call more for each OU, and never one for each account.
//
// An organization without an ACTIVE account is an error: software that reads a
// retired field sees exactly that, and would report success over nothing.
func Load(ctx context.Context, api API) (*Organization, error) {
	o := &Organization{OUs: map[NodeID]OU{}}
	// The three are asked at once: their operations have rates of their own.
	// Where several fail, the first of them says best what is wrong, and there is
	// no use in listing accounts any further.
	var accounts []Account
	var errs [3]error
	listing, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group
	for i, read := range []func() error{
		func() error { return o.describe(ctx, api) },
		func() error { return o.loadTree(ctx, api) },
		func() (err error) { accounts, err = listAccounts(listing, api); return err },
	} {
		g.Go(func() error {
			if errs[i] = read(); errs[i] != nil {
				stop()
			}
			return nil
		})
	}
	_ = g.Wait() // the errors are in errs
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	if o.Root == "" {
		return nil, &Hinted{Err: fmt.Errorf("organization %s shows no root to this caller", o.ID), Next: "run from the management account or a delegated administrator"}
	}
	pathless := false
	for _, a := range accounts {
		if _, ok := o.OUs[a.Parent]; !ok {
			a.Parent, pathless = "", true
		}
		o.Accounts = append(o.Accounts, a)
	}
	o.index()
	if pathless {
		if err := o.loadParents(ctx, api); err != nil {
			return nil, err
		}
	}
	for _, a := range o.Accounts {
		// Selecting by OU would leave it out and say nothing.
		if a.State == StateActive && a.Parent == "" {
			return nil, &Hinted{
				Err:  fmt.Errorf("account %s is in no OU that was listed: the organization changed while it was read", a.ID),
				Next: "run the command again",
			}
		}
	}
	if !slices.ContainsFunc(o.Accounts, func(a Account) bool { return a.State == StateActive }) {
		return nil, &Hinted{
			Err:  fmt.Errorf("organization %s lists %d accounts and none of them is ACTIVE", o.ID, len(o.Accounts)),
			Next: "check with `aws organizations list-accounts`: a caller that is neither the management account nor a delegated administrator may see an empty list",
		}
	}
	return o, nil
}

// describe reads what the organization is.
func (o *Organization) describe(ctx context.Context, api API) error {
	desc, err := api.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	if err != nil {
		return describeError(err)
	}
	o.ID = aws.ToString(desc.Organization.Id)
	o.ManagementAccount = AccountID(aws.ToString(desc.Organization.MasterAccountId))
	o.AllFeatures = desc.Organization.FeatureSet == types.OrganizationFeatureSetAll
	o.Partition = PartitionOf(aws.ToString(desc.Organization.Arn))
	return nil
}

// describeError says what a refused DescribeOrganization means.
func describeError(err error) error {
	wrapped := fmt.Errorf("read the organization: %w", err)
	switch Code(err) {
	case "AWSOrganizationsNotInUseException":
		return &Hinted{
			Err:  fmt.Errorf("this account is not in an organization: %w", err),
			Next: "run orgguard with credentials of the organization's management account (or of a delegated administrator)",
		}
	case "AccessDeniedException":
		return &Hinted{Err: wrapped, Next: "orgguard reads the organization from the management account or a delegated administrator; `orgguard permissions` prints the policy it needs"}
	}
	return wrapped
}

// loadTree reads the root and the OUs below it. That there is no root is for Load to
// say: the organization's number is read meanwhile.
func (o *Organization) loadTree(ctx context.Context, api API) error {
	if err := o.loadRoot(ctx, api); err != nil || o.Root == "" {
		return err
	}
	return o.loadOUs(ctx, api)
}

func (o *Organization) loadRoot(ctx context.Context, api API) error {
	p := organizations.NewListRootsPaginator(api, &organizations.ListRootsInput{})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return listError("the root", err)
		}
		for _, r := range page.Roots {
			o.Root = NodeID(aws.ToString(r.Id))
			o.OUs[o.Root] = OU{ID: o.Root, Name: aws.ToString(r.Name)}
			for _, t := range r.PolicyTypes {
				if t.Type == types.PolicyTypeServiceControlPolicy {
					o.SCPStatus = PolicyTypeStatus(t.Status)
				}
			}
		}
	}
	return nil
}

// listError is an error of a listing, with the usual reason named.
func listError(what string, err error) error {
	wrapped := fmt.Errorf("list %s: %w", what, err)
	if Code(err) == "AccessDeniedException" {
		return &Hinted{
			Err:  wrapped,
			Next: "only the management account and delegated administrators may list the organization: use --profile with one of them",
		}
	}
	return wrapped
}

// perLevel is how many OUs' children are asked for at once.
const perLevel = 8

// loadOUs reads the tree breadth-first, the OUs of a level side by side.
func (o *Organization) loadOUs(ctx context.Context, api API) error {
	for level := []NodeID{o.Root}; len(level) > 0; {
		var next []NodeID
		for i, found := range ForEach(ctx, level, perLevel, func(ctx context.Context, n NodeID) ([]OU, error) { return listOUs(ctx, api, n) }) {
			if found.Err != nil {
				return listError("OUs of "+string(level[i]), found.Err)
			}
			for _, ou := range found.Value {
				if _, seen := o.OUs[ou.ID]; seen {
					continue
				}
				o.OUs[ou.ID] = ou
				next = append(next, ou.ID)
			}
		}
		level = next
	}
	return nil
}

// listOUs lists the OUs directly below a node.
func listOUs(ctx context.Context, api API, parent NodeID) ([]OU, error) {
	var out []OU
	p := organizations.NewListOrganizationalUnitsForParentPaginator(api, &organizations.ListOrganizationalUnitsForParentInput{
		ParentId: aws.String(string(parent)), MaxResults: aws.Int32(pageSize),
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, u := range page.OrganizationalUnits {
			out = append(out, OU{ID: NodeID(aws.ToString(u.Id)), Name: aws.ToString(u.Name), Parent: parent})
		}
	}
	return out, nil
}

// listAccounts lists all accounts; those whose path AWS gives have their parent.
func listAccounts(ctx context.Context, api API) ([]Account, error) {
	var out []Account
	p := organizations.NewListAccountsPaginator(api, &organizations.ListAccountsInput{MaxResults: aws.Int32(pageSize)})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, listError("accounts", err)
		}
		for _, a := range page.Accounts {
			out = append(out, accountOf(a))
		}
	}
	return out, nil
}

// accountOf converts an account. AWS retired Status in favour of State in
// September 2026; an emulator or an old endpoint may still give Status alone.
func accountOf(a types.Account) Account {
	state := AccountState(a.State)
	if state == "" {
		state = AccountState(a.Status)
	}
	acct := Account{
		ID: AccountID(aws.ToString(a.Id)), Name: aws.ToString(a.Name), Email: aws.ToString(a.Email),
		ARN: aws.ToString(a.Arn), State: state,
	}
	if a.JoinedTimestamp != nil {
		acct.Joined = a.JoinedTimestamp.UTC()
	}
	for _, path := range a.Paths { // "o-…/r-…/ou-…/ou-…/", with or without the account at the end
		for part := range strings.SplitSeq(path, "/") {
			if strings.HasPrefix(part, "r-") || strings.HasPrefix(part, "ou-") {
				acct.Parent = NodeID(part)
			}
		}
	}
	return acct
}

// loadParents finds the parents of accounts that came without a path, OU by OU.
func (o *Organization) loadParents(ctx context.Context, api API) error {
	nodes := o.nodes()
	for i, found := range ForEach(ctx, nodes, perLevel, func(ctx context.Context, n NodeID) ([]AccountID, error) { return listChildren(ctx, api, n) }) {
		if found.Err != nil {
			return listError("accounts of "+string(nodes[i]), found.Err)
		}
		for _, id := range found.Value {
			if j, ok := o.byID[id]; ok {
				o.Accounts[j].Parent = nodes[i]
			}
		}
	}
	return nil
}

// listChildren lists the accounts directly below a node.
func listChildren(ctx context.Context, api API, parent NodeID) ([]AccountID, error) {
	var out []AccountID
	p := organizations.NewListAccountsForParentPaginator(api, &organizations.ListAccountsForParentInput{
		ParentId: aws.String(string(parent)), MaxResults: aws.Int32(pageSize),
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, a := range page.Accounts {
			out = append(out, AccountID(aws.ToString(a.Id)))
		}
	}
	return out, nil
}

// nodes returns the root and all OUs by id.
func (o *Organization) nodes() []NodeID {
	ids := make([]NodeID, 0, len(o.OUs))
	for id := range o.OUs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
