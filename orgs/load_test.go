package orgs_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/sim"
)

// scenario returns an embedded specification, changed.
func scenario(t testing.TB, name string, change ...func(*sim.Spec)) sim.Spec {
	t.Helper()
	s, err := sim.Scenario(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&s)
	}
	return s
}

func newWorld(t testing.TB, s sim.Spec) *sim.World {
	t.Helper()
	w, err := sim.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// client is the management account's.
func client(w *sim.World) *organizations.Client {
	return organizations.NewFromConfig(w.ManagementConfig("us-east-1"))
}

// clientOf is that of an administrator of another account.
func clientOf(w *sim.World, account string) *organizations.Client {
	return organizations.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(account, "Admin", "a")))
}

func load(t testing.TB, s sim.Spec) *orgs.Organization {
	t.Helper()
	o, err := orgs.Load(t.Context(), client(newWorld(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func noPaths(s *sim.Spec)    { s.Organization.NoPaths = true }
func statusOnly(s *sim.Spec) { s.Organization.StatusOnly = true }

// places are the accounts as "number name state path".
func places(o *orgs.Organization) []string {
	var out []string
	for _, a := range o.Accounts {
		out = append(out, fmt.Sprintf("%s %s %s %s", a.ID, a.Name, a.State, o.PathName(a.Parent)))
	}
	return out
}

var demoPlaces = []string{
	"100000000001 management ACTIVE Root",
	"200000000001 security ACTIVE Root/Security",
	"200000000002 log-archive ACTIVE Root/Security",
	"300000000001 shop-prod ACTIVE Root/Workloads/Prod",
	"300000000002 pay-prod ACTIVE Root/Workloads/Prod",
	"300000000003 data-prod ACTIVE Root/Workloads/Prod",
	"310000000001 shop-dev ACTIVE Root/Workloads/Dev",
	"310000000002 pay-dev ACTIVE Root/Workloads/Dev",
	"400000000001 network ACTIVE Root/Infrastructure/Network",
	"400000000002 shared-services ACTIVE Root/Infrastructure",
	"500000000001 sandbox-1 ACTIVE Root/Sandbox",
	"500000000002 sandbox-2 ACTIVE Root/Sandbox",
	"500000000003 legacy-lab ACTIVE Root/Sandbox",
	"900000000001 old-project SUSPENDED Root/Suspended",
}

func TestLoadReadsTheOrganization(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change []func(*sim.Spec)
	}{
		{"as the API is", nil},
		{"without accounts' paths", []func(*sim.Spec){noPaths}},
		{"with the retired Status alone", []func(*sim.Spec){statusOnly}},
		{"with neither", []func(*sim.Spec){noPaths, statusOnly}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := load(t, scenario(t, "demo", tc.change...))
			if diff := cmp.Diff(demoPlaces, places(o)); diff != "" {
				t.Error(diff)
			}
			if o.ID != "o-demo0guard" || o.Root != "r-demo" || o.ManagementAccount != "100000000001" || !o.AllFeatures || o.Partition.ID != "aws" {
				t.Errorf("got %s, root %s, management account %s, all features %v, partition %s", o.ID, o.Root, o.ManagementAccount, o.AllFeatures, o.Partition.ID)
			}
			if len(o.OUs) != 9 {
				t.Errorf("got %d nodes, want the root and 8 OUs", len(o.OUs))
			}
			a, ok := o.Account("300000000001")
			want := orgs.Account{
				ID: "300000000001", Name: "shop-prod", Email: "aws+shop-prod@example.com", State: orgs.StateActive,
				ARN:    "arn:aws:organizations::100000000001:account/o-demo0guard/300000000001",
				Joined: time.Date(2025, 1, 5, 9, 0, 0, 0, time.UTC), Parent: a.Parent,
			}
			if diff := cmp.Diff(want, a); !ok || diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLoadTellsWhetherPoliciesAreOn(t *testing.T) {
	if got := load(t, scenario(t, "demo")).SCPStatus; got != "" {
		t.Errorf("got %q, want that they are off", got)
	}
	if got := load(t, scenario(t, "hostile")).SCPStatus; got != orgs.PolicyTypeEnabled {
		t.Errorf("got %q", got)
	}
	billing := load(t, scenario(t, "demo", func(s *sim.Spec) { s.Organization.FeatureSet = "CONSOLIDATED_BILLING" }))
	if billing.AllFeatures {
		t.Error("consolidated billing is not all features")
	}
}

func TestLoadKnowsThePartition(t *testing.T) {
	for _, partition := range []string{"aws", "aws-cn", "aws-us-gov"} {
		o := load(t, sim.Spec{Partition: partition, Management: sim.AccountSpec{Name: "management"}})
		if o.Partition.ID != partition {
			t.Errorf("got %s, want %s", o.Partition.ID, partition)
		}
	}
}

// Nothing is asked per account, and nothing twice: the whole map of calls is
// compared, so that a call of any other operation shows.
func TestLoadCallsNoMoreThanItMust(t *testing.T) {
	for _, tc := range []struct {
		name string
		spec sim.Spec
		want map[string]int
	}{
		{
			"14 accounts in 8 OUs", scenario(t, "demo"),
			map[string]int{"ListAccounts": 1, "ListOrganizationalUnitsForParent": 9},
		},
		{
			"the same without paths", scenario(t, "demo", noPaths),
			map[string]int{"ListAccounts": 1, "ListOrganizationalUnitsForParent": 9, "ListAccountsForParent": 9},
		},
		{
			"1,000 accounts in 60 OUs", sim.Generate(1000, 60, 2),
			map[string]int{"ListAccounts": 50, "ListOrganizationalUnitsForParent": 61},
		},
		{
			// 999 accounts over 60 OUs are 17 or 16 each: a page for each node.
			"the same without paths", func() sim.Spec { s := sim.Generate(1000, 60, 2); noPaths(&s); return s }(),
			map[string]int{"ListAccounts": 50, "ListOrganizationalUnitsForParent": 61, "ListAccountsForParent": 61},
		},
		{
			"20 accounts are one page", sim.Generate(20, 0, 1),
			map[string]int{"ListAccounts": 1, "ListOrganizationalUnitsForParent": 1},
		},
		{
			"21 accounts are two", sim.Generate(21, 0, 1),
			map[string]int{"ListAccounts": 2, "ListOrganizationalUnitsForParent": 1},
		},
		{
			"30 OUs side by side are two pages", func() sim.Spec {
				s := sim.Spec{Management: sim.AccountSpec{Name: "management"}}
				for i := range 30 {
					s.OUs = append(s.OUs, sim.OUSpec{Name: fmt.Sprint(i)})
				}
				return s
			}(),
			map[string]int{"ListAccounts": 1, "ListOrganizationalUnitsForParent": 32},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.spec)
			o, err := orgs.Load(t.Context(), client(w))
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]int{"organizations:DescribeOrganization": 1, "organizations:ListRoots": 1}
			for op, n := range tc.want {
				want["organizations:"+op] = n
			}
			if diff := cmp.Diff(want, w.Calls()); diff != "" {
				t.Error(diff)
			}
			if w.Writes() != 0 {
				t.Errorf("%d writes", w.Writes())
			}
			for _, a := range o.Accounts {
				if len(o.Path(a.Parent)) == 0 {
					t.Errorf("%s has no place", a.ID)
				}
			}
		})
	}
}

func TestLoadReadsEveryAccountOnce(t *testing.T) {
	s := sim.Generate(1000, 60, 2)
	with := load(t, s)
	noPaths(&s)
	without := load(t, s)
	if diff := cmp.Diff(places(with), places(without)); diff != "" {
		t.Errorf("with and without paths: %s", diff)
	}
	if len(with.Accounts) != 1000 {
		t.Errorf("%d accounts", len(with.Accounts))
	}
	if !slices.IsSortedFunc(with.Accounts, func(a, b orgs.Account) int { return strings.Compare(string(a.ID), string(b.ID)) }) {
		t.Error("accounts are not in the order of their numbers")
	}
}

func TestLoadFromElsewhereThanTheManagementAccount(t *testing.T) {
	delegated := scenario(t, "demo", func(s *sim.Spec) {
		s.DelegatedAdministrators = []sim.DelegateSpec{{Account: "security", Services: []string{"config.amazonaws.com"}}}
	})
	t.Run("a delegated administrator sees what the management account sees", func(t *testing.T) {
		o, err := orgs.Load(t.Context(), clientOf(newWorld(t, delegated), "200000000001"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(demoPlaces, places(o)); diff != "" {
			t.Error(diff)
		}
	})
	for _, tc := range []struct{ name, account, text, hint string }{
		{"a plain member may not list", "300000000001", "list the root: ", "only the management account and delegated administrators may list the organization"},
		{"an account outside has no organization", "300000000003", "this account is not in an organization: ", "credentials of the organization's management account"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, delegated)
			if _, err := client(w).RemoveAccountFromOrganization(t.Context(), &organizations.RemoveAccountFromOrganizationInput{AccountId: aws.String("300000000003")}); err != nil {
				t.Fatal(err)
			}
			o, err := orgs.Load(t.Context(), clientOf(w, tc.account))
			wantHint(t, err, tc.text, tc.hint)
			var api smithy.APIError
			if !errors.As(err, &api) {
				t.Error("AWS's own error is lost")
			}
			if o != nil {
				t.Error("half an organization came with the error")
			}
		})
	}
}

// wantHint checks the beginning of an error and what its hint says.
func wantHint(t *testing.T, err error, text, hint string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), text) {
		t.Errorf("got error %v, want %q", err, text)
	}
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), hint) || strings.HasSuffix(hinted.Hint(), ".") {
		t.Errorf("%v does not hint at %q", err, hint)
	}
}

func TestLoadFailsWhereAWSFails(t *testing.T) {
	for _, tc := range []struct{ op, code, text, hint string }{
		{"DescribeOrganization", "AccessDeniedException", "read the organization: ", "orgguard permissions"},
		{"DescribeOrganization", "ServiceException", "read the organization: ", ""},
		{"ListRoots", "AccessDeniedException", "list the root: ", "only the management account"},
		{"ListAccounts", "AccessDeniedException", "list accounts: ", "only the management account"},
		{"ListAccounts", "ServiceException", "list accounts: ", ""},
		{"ListOrganizationalUnitsForParent", "AccessDeniedException", "list OUs of r-demo: ", "only the management account"},
		{"ListAccountsForParent", "AccessDeniedException", "list accounts of ou-", "only the management account"},
	} {
		t.Run(tc.op+" "+tc.code, func(t *testing.T) {
			w := newWorld(t, scenario(t, "demo", noPaths))
			w.SetFaults(sim.Faults{Errors: []sim.Fault{{Service: "organizations", Operation: tc.op, Code: tc.code, Message: "no"}}})
			_, err := orgs.Load(t.Context(), organizations.NewFromConfig(w.ManagementConfig("us-east-1"), func(o *organizations.Options) { o.RetryMaxAttempts = 1 }))
			if tc.hint != "" {
				wantHint(t, err, tc.text, tc.hint)
			}
			if err == nil || !strings.HasPrefix(err.Error(), tc.text) || !strings.Contains(err.Error(), tc.code) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := newWorld(t, scenario(t, "demo"))
	if _, err := orgs.Load(ctx, client(w)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestAnOrganizationWithoutActiveAccountsIsAnError(t *testing.T) {
	for _, tc := range []struct {
		name     string
		accounts []types.Account
		text     string
	}{
		{"no account at all", nil, "organization o-fake lists 0 accounts and none of them is ACTIVE"},
		{"none that is active", []types.Account{
			member("000000000001", "o-fake/r-1/", types.AccountStateSuspended), member("000000000002", "o-fake/r-1/", types.AccountStatePendingActivation),
		}, "organization o-fake lists 2 accounts and none of them is ACTIVE"},
		{"neither State nor Status", []types.Account{member("000000000001", "o-fake/r-1/", "")}, "organization o-fake lists 1 accounts and none of them is ACTIVE"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := orgs.Load(t.Context(), &fakeAPI{roots: []types.Root{{Id: aws.String("r-1")}}, accounts: tc.accounts})
			wantHint(t, err, tc.text, "aws organizations list-accounts")
			if o != nil {
				t.Error("an empty organization came with the error")
			}
		})
	}
	// The simulated organization without active members still has its
	// management account, and that is no error.
	o := load(t, scenario(t, "empty"))
	if diff := cmp.Diff([]string{"100000000001 management ACTIVE Root", "900000000001 closed-long-ago SUSPENDED Root/Suspended"}, places(o)); diff != "" {
		t.Error(diff)
	}
}

// fakeAPI is an organization of one page each, for answers that the simulated
// organization does not give.
type fakeAPI struct {
	arn      string
	roots    []types.Root
	accounts []types.Account
	children map[string][]types.OrganizationalUnit
	members  map[string][]string
	asked    map[string]int
}

func (f *fakeAPI) DescribeOrganization(context.Context, *organizations.DescribeOrganizationInput, ...func(*organizations.Options)) (*organizations.DescribeOrganizationOutput, error) {
	return &organizations.DescribeOrganizationOutput{Organization: &types.Organization{Id: aws.String("o-fake"), Arn: aws.String(f.arn)}}, nil
}

func (f *fakeAPI) ListRoots(context.Context, *organizations.ListRootsInput, ...func(*organizations.Options)) (*organizations.ListRootsOutput, error) {
	return &organizations.ListRootsOutput{Roots: f.roots}, nil
}

// ListAccounts gives a page for each account and an empty one between them: a
// page may be empty and not be the last.
func (f *fakeAPI) ListAccounts(_ context.Context, in *organizations.ListAccountsInput, _ ...func(*organizations.Options)) (*organizations.ListAccountsOutput, error) {
	i := len(aws.ToString(in.NextToken))
	out := &organizations.ListAccountsOutput{}
	if i%2 == 1 && i/2 < len(f.accounts) {
		out.Accounts = f.accounts[i/2 : i/2+1]
	}
	if i < 2*len(f.accounts) {
		out.NextToken = aws.String(strings.Repeat("x", i+1))
	}
	return out, nil
}

func (f *fakeAPI) ListAccountsForParent(_ context.Context, in *organizations.ListAccountsForParentInput, _ ...func(*organizations.Options)) (*organizations.ListAccountsForParentOutput, error) {
	out := &organizations.ListAccountsForParentOutput{}
	for _, id := range f.members[aws.ToString(in.ParentId)] {
		out.Accounts = append(out.Accounts, types.Account{Id: aws.String(id)})
	}
	return out, nil
}

func (f *fakeAPI) ListOrganizationalUnitsForParent(_ context.Context, in *organizations.ListOrganizationalUnitsForParentInput, _ ...func(*organizations.Options)) (*organizations.ListOrganizationalUnitsForParentOutput, error) {
	if f.asked == nil {
		f.asked = map[string]int{}
	}
	f.asked[aws.ToString(in.ParentId)]++
	return &organizations.ListOrganizationalUnitsForParentOutput{OrganizationalUnits: f.children[aws.ToString(in.ParentId)]}, nil
}

func unit(id string) types.OrganizationalUnit {
	return types.OrganizationalUnit{Id: aws.String(id), Name: aws.String("name of " + id)}
}

// member is an account with its path; "" for none.
func member(id, path string, state types.AccountState) types.Account {
	a := types.Account{Id: aws.String(id), State: state}
	if path != "" {
		a.Paths = []string{path}
	}
	return a
}

func TestLoadCopesWithOddAnswers(t *testing.T) {
	root := []types.Root{{Id: aws.String("r-1"), Name: aws.String("Root")}}
	const active = types.AccountStateActive
	for _, tc := range []struct {
		name string
		api  fakeAPI
		want map[orgs.AccountID]orgs.NodeID // parents
		err  string
	}{
		{
			name: "paths with and without the account at their end, and slashes",
			api: fakeAPI{roots: root, children: map[string][]types.OrganizationalUnit{"r-1": {unit("ou-1-a")}, "ou-1-a": {unit("ou-1-b")}}, accounts: []types.Account{
				member("000000000001", "o-fake/r-1/ou-1-a/ou-1-b/000000000001/", active),
				member("000000000002", "o-fake/r-1/ou-1-a/ou-1-b", active),
				member("000000000003", "o-fake/r-1/", active),
			}},
			want: map[orgs.AccountID]orgs.NodeID{"000000000001": "ou-1-b", "000000000002": "ou-1-b", "000000000003": "r-1"},
		},
		{
			name: "an account listed twice, having slipped over a page's end",
			api: fakeAPI{roots: root, accounts: []types.Account{
				member("000000000001", "o-fake/r-1/", active), member("000000000002", "o-fake/r-1/", active), member("000000000001", "o-fake/r-1/", active),
			}},
			want: map[orgs.AccountID]orgs.NodeID{"000000000001": "r-1", "000000000002": "r-1"},
		},
		{
			name: "one account without its path",
			api: fakeAPI{
				roots: root, children: map[string][]types.OrganizationalUnit{"r-1": {unit("ou-1-a")}}, members: map[string][]string{"ou-1-a": {"000000000002", "000000000009"}},
				accounts: []types.Account{member("000000000001", "o-fake/r-1/", active), member("000000000002", "", active)},
			},
			want: map[orgs.AccountID]orgs.NodeID{"000000000001": "r-1", "000000000002": "ou-1-a"},
		},
		{
			name: "a tree that bites its tail",
			api: fakeAPI{roots: root, children: map[string][]types.OrganizationalUnit{
				"r-1": {unit("ou-1-a")}, "ou-1-a": {unit("ou-1-b")}, "ou-1-b": {unit("ou-1-a"), unit("r-1")},
			}, accounts: []types.Account{member("000000000001", "o-fake/r-1/ou-1-a/ou-1-b/", active)}},
			want: map[orgs.AccountID]orgs.NodeID{"000000000001": "ou-1-b"},
		},
		{
			name: "a closed account that is nowhere",
			api:  fakeAPI{roots: root, accounts: []types.Account{member("000000000001", "o-fake/r-1/", active), member("000000000002", "", types.AccountStateClosed)}},
			want: map[orgs.AccountID]orgs.NodeID{"000000000001": "r-1", "000000000002": ""},
		},
		{
			name: "an active account that is nowhere would be left out of every OU",
			api:  fakeAPI{roots: root, accounts: []types.Account{member("000000000001", "o-fake/r-1/ou-1-new/", active)}},
			err:  "account 000000000001 is in no OU that was listed",
		},
		{name: "no root", api: fakeAPI{}, err: "organization o-fake shows no root to this caller"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := orgs.Load(t.Context(), &tc.api)
			if tc.err != "" {
				wantHint(t, err, tc.err, "")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := map[orgs.AccountID]orgs.NodeID{}
			for _, a := range o.Accounts {
				if _, twice := got[a.ID]; twice {
					t.Errorf("%s is there twice", a.ID)
				}
				got[a.ID] = a.Parent
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			for _, id := range slices.Sorted(maps.Keys(tc.api.asked)) {
				if tc.api.asked[id] != 1 {
					t.Errorf("%s was asked for its OUs %d times", id, tc.api.asked[id])
				}
			}
		})
	}
}

func TestStateCountsBeforeStatus(t *testing.T) {
	api := &fakeAPI{roots: []types.Root{{Id: aws.String("r-1")}}}
	for _, a := range []struct {
		state  types.AccountState
		status types.AccountStatus
	}{
		{"ACTIVE", ""},
		{"", "ACTIVE"},
		{"CLOSED", "ACTIVE"},
		{"", "SUSPENDED"},
		{"", ""},
	} {
		m := member(fmt.Sprintf("%012d", len(api.accounts)), "o-fake/r-1/", a.state)
		m.Status = a.status
		api.accounts = append(api.accounts, m)
	}
	o, err := orgs.Load(t.Context(), api)
	if err != nil {
		t.Fatal(err)
	}
	var got []orgs.AccountState
	for _, a := range o.Accounts {
		got = append(got, a.State)
	}
	if diff := cmp.Diff([]orgs.AccountState{"ACTIVE", "ACTIVE", "CLOSED", "SUSPENDED", ""}, got); diff != "" {
		t.Error(diff)
	}
}
