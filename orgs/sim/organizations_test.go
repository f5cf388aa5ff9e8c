package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// newTestWorld makes a world of an embedded scenario.
func newTestWorld(t *testing.T, scenario string) *World {
	t.Helper()
	s, err := Scenario(scenario)
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// errorCode is the AWS code of an error with the reason of those that have
// one; "" for none.
func errorCode(err error) string {
	var cv *types.ConstraintViolationException
	var ii *types.InvalidInputException
	var api smithy.APIError
	switch {
	case errors.As(err, &cv):
		return cv.ErrorCode() + " " + string(cv.Reason)
	case errors.As(err, &ii):
		return ii.ErrorCode() + " " + string(ii.Reason)
	case errors.As(err, &api):
		return api.ErrorCode()
	case err != nil:
		return err.Error()
	}
	return ""
}

const (
	testDenyStop = `{"Version":"2012-10-17","Statement":[{"Sid":"NoStop","Effect":"Deny","Action":"config:StopConfigurationRecorder","Resource":"*",` +
		`"Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/Exempt"}}}]}`
	shopProd = "300000000001"
	security = "200000000001"
)

func orgClient(w *World) *organizations.Client {
	return organizations.NewFromConfig(w.ManagementConfig("us-east-1"))
}

func TestListAccountsPagesByTwenty(t *testing.T) {
	w, err := New(Generate(47, 4, 2))
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	seen := map[string]bool{}
	p := organizations.NewListAccountsPaginator(orgClient(w), &organizations.ListAccountsInput{})
	for p.HasMorePages() {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.Accounts))
		for _, a := range page.Accounts {
			seen[*a.Id] = true
		}
	}
	if diff := cmp.Diff([]int{20, 20, 7}, sizes); diff != "" {
		t.Error(diff)
	}
	if len(seen) != 47 {
		t.Errorf("%d different accounts, want 47", len(seen))
	}
}

func TestOrganizationsRefuses(t *testing.T) {
	const root, workloads = "r-demo", "Workloads"
	tests := map[string]struct {
		do   func(ctx context.Context, w *World, c *organizations.Client) error
		want string
	}{
		"a page of 21": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			_, err := c.ListAccounts(ctx, &organizations.ListAccountsInput{MaxResults: aws.Int32(21)})
			return err
		}, "InvalidInputException MAX_VALUE_EXCEEDED"},
		"a token of its own making": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			_, err := c.ListAccounts(ctx, &organizations.ListAccountsInput{NextToken: aws.String("2")})
			return err
		}, "InvalidInputException INVALID_NEXT_TOKEN"},
		"a token of another operation": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			out, err := c.ListAccounts(ctx, &organizations.ListAccountsInput{MaxResults: aws.Int32(1)})
			if err != nil {
				return err
			}
			_, err = c.ListPolicies(ctx, &organizations.ListPoliciesInput{Filter: types.PolicyTypeServiceControlPolicy, NextToken: out.NextToken})
			return err
		}, "InvalidInputException INVALID_NEXT_TOKEN"},
		"an OU with a sibling's name": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			_, err := c.CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{Name: aws.String(workloads), ParentId: aws.String(root)})
			return err
		}, "DuplicateOrganizationalUnitException"},
		"an OU below five others": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			parent := root
			for {
				out, err := c.CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{Name: aws.String("deep"), ParentId: aws.String(parent)})
				if err != nil {
					return err
				}
				parent = *out.OrganizationalUnit.Id
			}
		}, "ConstraintViolationException OU_DEPTH_LIMIT_EXCEEDED"},
		"deleting an OU that is not empty": {func(ctx context.Context, w *World, c *organizations.Client) error {
			_, err := c.DeleteOrganizationalUnit(ctx, &organizations.DeleteOrganizationalUnitInput{OrganizationalUnitId: aws.String(unitID(w, "Sandbox"))})
			return err
		}, "OrganizationalUnitNotEmptyException"},
		"moving from where the account is not": {func(ctx context.Context, w *World, c *organizations.Client) error {
			_, err := c.MoveAccount(ctx, &organizations.MoveAccountInput{AccountId: aws.String(shopProd), SourceParentId: aws.String(root), DestinationParentId: aws.String(unitID(w, "Sandbox"))})
			return err
		}, "SourceParentNotFoundException"},
		"moving to nowhere": {func(ctx context.Context, w *World, c *organizations.Client) error {
			_, err := c.MoveAccount(ctx, &organizations.MoveAccountInput{AccountId: aws.String(shopProd), SourceParentId: aws.String(unitID(w, "Prod")), DestinationParentId: aws.String("ou-demo-00000000")})
			return err
		}, "DestinationParentNotFoundException"},
		"closing the management account": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			_, err := c.CloseAccount(ctx, &organizations.CloseAccountInput{AccountId: aws.String("100000000001")})
			return err
		}, "ConstraintViolationException CANNOT_CLOSE_MANAGEMENT_ACCOUNT"},
		"closing a closed account": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			_, err := c.CloseAccount(ctx, &organizations.CloseAccountInput{AccountId: aws.String("900000000001")})
			return err
		}, "AccountAlreadyClosedException"},
		"a policy that is not JSON": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			return createSCP(ctx, c, "x", "{oops").err
		}, "MalformedPolicyDocumentException"},
		"a policy with a principal": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			return createSCP(ctx, c, "x", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`).err
		}, "MalformedPolicyDocumentException"},
		"a policy of 10,241 characters": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			return createSCP(ctx, c, "x", testDenyStop+strings.Repeat(" ", 10_241-len(testDenyStop))).err
		}, "ConstraintViolationException POLICY_CONTENT_LIMIT_EXCEEDED"},
		"attaching while the type is off": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			return attachTo(ctx, c, createSCP(ctx, c, "x", testDenyStop).id, root)
		}, "PolicyTypeNotEnabledException"},
		"attaching twice": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			if err := enableSCPs(ctx, c); err != nil {
				return err
			}
			return attachTo(ctx, c, "p-FullAWSAccess", root)
		}, "DuplicatePolicyAttachmentException"},
		"an eleventh SCP": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			if err := enableSCPs(ctx, c); err != nil {
				return err
			}
			for i := range 9 {
				if err := attachTo(ctx, c, createSCP(ctx, c, fmt.Sprint("p", i), testDenyStop).id, root); err != nil {
					return err
				}
			}
			return attachTo(ctx, c, createSCP(ctx, c, "one more", testDenyStop).id, root)
		}, "ConstraintViolationException MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED"},
		"detaching the last SCP": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			if err := enableSCPs(ctx, c); err != nil {
				return err
			}
			_, err := c.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: aws.String("p-FullAWSAccess"), TargetId: aws.String(root)})
			return err
		}, "ConstraintViolationException MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED"},
		"detaching what is not attached": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			if err := enableSCPs(ctx, c); err != nil {
				return err
			}
			_, err := c.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: aws.String(createSCP(ctx, c, "x", testDenyStop).id), TargetId: aws.String(root)})
			return err
		}, "PolicyNotAttachedException"},
		"deleting a policy in use": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			if err := enableSCPs(ctx, c); err != nil {
				return err
			}
			id := createSCP(ctx, c, "x", testDenyStop).id
			if err := attachTo(ctx, c, id, root); err != nil {
				return err
			}
			_, err := c.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: &id})
			return err
		}, "PolicyInUseException"},
		"two policies with one name": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			createSCP(ctx, c, "x", testDenyStop)
			return createSCP(ctx, c, "x", testDenyStop).err
		}, "DuplicatePolicyException"},
		"changing FullAWSAccess": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			_, err := c.UpdatePolicy(ctx, &organizations.UpdatePolicyInput{PolicyId: aws.String("p-FullAWSAccess"), Description: aws.String("mine")})
			return err
		}, "InvalidInputException IMMUTABLE_POLICY"},
		"enabling a type twice": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			if err := enableSCPs(ctx, c); err != nil {
				return err
			}
			return enableSCPs(ctx, c)
		}, "PolicyTypeAlreadyEnabledException"},
		"delegating to the management account": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			_, err := c.RegisterDelegatedAdministrator(ctx, &organizations.RegisterDelegatedAdministratorInput{AccountId: aws.String("100000000001"), ServicePrincipal: aws.String("cloudtrail.amazonaws.com")})
			return err
		}, "ConstraintViolationException CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR"},
		"delegating a service without trusted access": {func(ctx context.Context, _ *World, c *organizations.Client) error {
			_, err := c.RegisterDelegatedAdministrator(ctx, &organizations.RegisterDelegatedAdministratorInput{AccountId: aws.String(security), ServicePrincipal: aws.String("config.amazonaws.com")})
			return err
		}, "ConstraintViolationException SERVICE_ACCESS_NOT_ENABLED"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newTestWorld(t, "demo")
			if got := errorCode(tt.do(t.Context(), w, orgClient(w))); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// unitID finds an OU by name.
func unitID(w *World, name string) string {
	for id, u := range w.state.Org.Units {
		if u.Name == name {
			return id
		}
	}
	return ""
}

type madePolicy struct {
	id  string
	err error
}

func createSCP(ctx context.Context, c *organizations.Client, name, content string) madePolicy {
	out, err := c.CreatePolicy(ctx, &organizations.CreatePolicyInput{
		Name: &name, Content: &content, Description: aws.String(""), Type: types.PolicyTypeServiceControlPolicy,
	})
	if err != nil {
		return madePolicy{err: err}
	}
	return madePolicy{id: *out.Policy.PolicySummary.Id}
}

func attachTo(ctx context.Context, c *organizations.Client, policy, target string) error {
	_, err := c.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: &policy, TargetId: &target})
	return err
}

func enableSCPs(ctx context.Context, c *organizations.Client) error {
	_, err := c.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: aws.String("r-demo"), PolicyType: types.PolicyTypeServiceControlPolicy})
	return err
}

func TestPolicyTypesAreEnabledInTheBackground(t *testing.T) {
	w := newTestWorld(t, "demo")
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	w.SetClock(func() time.Time { return now })
	w.SetTiming(Timing{PolicyType: time.Minute})
	ctx, c := t.Context(), orgClient(w)
	status := func() string {
		out, err := c.ListRoots(ctx, &organizations.ListRootsInput{})
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, p := range out.Roots[0].PolicyTypes {
			s = append(s, string(p.Status))
		}
		return strings.Join(s, " ")
	}
	attached := func() int {
		out, err := c.ListPoliciesForTarget(ctx, &organizations.ListPoliciesForTargetInput{TargetId: aws.String(shopProd), Filter: types.PolicyTypeServiceControlPolicy})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Policies)
	}
	if got := status(); got != "" {
		t.Errorf("at first: %q", got)
	}
	if err := enableSCPs(ctx, c); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != "PENDING_ENABLE" || attached() != 0 {
		t.Errorf("right after enabling: %q, %d policies", got, attached())
	}
	now = now.Add(time.Minute)
	if got := status(); got != "ENABLED" || attached() != 1 {
		t.Errorf("a minute later: %q, %d policies", got, attached())
	}
	if err := attachTo(ctx, c, createSCP(ctx, c, "x", testDenyStop).id, shopProd); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DisablePolicyType(ctx, &organizations.DisablePolicyTypeInput{RootId: aws.String("r-demo"), PolicyType: types.PolicyTypeServiceControlPolicy}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if got := status(); got != "" || attached() != 0 {
		t.Errorf("disabled: %q, %d policies", got, attached())
	}
	if err := enableSCPs(ctx, c); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if got := status(); got != "ENABLED" || attached() != 1 {
		t.Errorf("enabled again: %q, %d policies; want FullAWSAccess alone", got, attached())
	}
}

func TestWhoMayCallOrganizations(t *testing.T) {
	w := newTestWorld(t, "demo")
	ctx, mgmt := t.Context(), orgClient(w)
	member := organizations.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(security, "Admin", "alice")))
	read := func() error {
		_, err := member.ListAccounts(ctx, &organizations.ListAccountsInput{})
		return err
	}
	change := func() error { return createSCP(ctx, member, "x", testDenyStop).err }
	if _, err := member.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{}); err != nil {
		t.Errorf("a member may describe its organization: %v", err)
	}
	if got := errorCode(read()); got != "AccessDeniedException" {
		t.Errorf("a member reads: %q", got)
	}
	if _, err := mgmt.RegisterDelegatedAdministrator(ctx, &organizations.RegisterDelegatedAdministratorInput{AccountId: aws.String(security), ServicePrincipal: aws.String("cloudtrail.amazonaws.com")}); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil {
		t.Errorf("a delegated administrator reads: %v", err)
	}
	var denied *types.AccessDeniedException
	if err := change(); !errors.As(err, &denied) {
		t.Errorf("a delegated administrator writes: %v", err)
	}
	if _, err := mgmt.PutResourcePolicy(ctx, &organizations.PutResourcePolicyInput{Content: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + security + `:root"},"Action":["organizations:CreatePolicy","organizations:AttachPolicy"],"Resource":"*"}]}`)}); err != nil {
		t.Fatal(err)
	}
	if err := change(); err != nil {
		t.Errorf("the resource policy delegates writing: %v", err)
	}
	if err := enableSCPs(ctx, member); !errors.As(err, &denied) {
		t.Errorf("and nothing more than it says: %v", err)
	}
}

func TestAccountsShowWhereTheyAre(t *testing.T) {
	tests := map[string]struct {
		change func(*Spec)
		want   types.Account
	}{
		"today": {func(*Spec) {}, types.Account{State: "ACTIVE", Status: "ACTIVE", Paths: []string{"o-demo0guard/r-demo/WORKLOADS/PROD/300000000001/"}}},
		"before paths": {func(s *Spec) { s.Organization.NoPaths = true },
			types.Account{State: "ACTIVE", Status: "ACTIVE"}},
		"before states": {func(s *Spec) { s.Organization.NoPaths, s.Organization.StatusOnly = true, true },
			types.Account{Status: "ACTIVE"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := Scenario("demo")
			if err != nil {
				t.Fatal(err)
			}
			tt.change(&s)
			w, err := New(s)
			if err != nil {
				t.Fatal(err)
			}
			out, err := orgClient(w).DescribeAccount(t.Context(), &organizations.DescribeAccountInput{AccountId: aws.String(shopProd)})
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range out.Account.Paths {
				p = strings.Replace(p, unitID(w, "Workloads"), "WORKLOADS", 1)
				out.Account.Paths[i] = strings.Replace(p, unitID(w, "Prod"), "PROD", 1)
			}
			got := types.Account{State: out.Account.State, Status: out.Account.Status, Paths: out.Account.Paths}
			if diff := cmp.Diff(tt.want.Paths, got.Paths); diff != "" || got.State != tt.want.State || got.Status != tt.want.Status {
				t.Errorf("state %q, status %q, paths %v", got.State, got.Status, got.Paths)
			}
		})
	}
}

func TestLeavingTheOrganization(t *testing.T) {
	const dataProd = "300000000003" // was invited
	w := newTestWorld(t, "demo")
	ctx, c := t.Context(), orgClient(w)
	if err := enableSCPs(ctx, c); err != nil {
		t.Fatal(err)
	}
	stay := createSCP(ctx, c, "stay", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"organizations:LeaveOrganization","Resource":"*"}]}`)
	if err := attachTo(ctx, c, stay.id, dataProd); err != nil {
		t.Fatal(err)
	}
	leave := func(account string) string {
		_, err := organizations.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(account, "Admin", "mallory"))).LeaveOrganization(ctx, &organizations.LeaveOrganizationInput{})
		return errorCode(err)
	}
	if got := leave(shopProd); got != "ConstraintViolationException MEMBER_ACCOUNT_PAYMENT_INSTRUMENT_REQUIRED" {
		t.Errorf("an account that was created here: %q", got)
	}
	if got := leave(dataProd); got != "AccessDeniedException" {
		t.Errorf("an SCP forbids it: %q", got)
	}
	if _, err := c.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: &stay.id, TargetId: aws.String(dataProd)}); err != nil {
		t.Fatal(err)
	}
	if got := leave(dataProd); got != "" {
		t.Errorf("nothing forbids it: %q", got)
	}
	if got := leave(dataProd); got != "AWSOrganizationsNotInUseException" {
		t.Errorf("once more: %q", got)
	}
	_, err := c.DescribeAccount(ctx, &organizations.DescribeAccountInput{AccountId: aws.String(dataProd)})
	if got := errorCode(err); got != "AccountNotFoundException" {
		t.Errorf("the organization still has it: %q", got)
	}
}

func TestNewAccountsCanBeEntered(t *testing.T) {
	w := newTestWorld(t, "demo")
	ctx, c := t.Context(), orgClient(w)
	out, err := c.CreateAccount(ctx, &organizations.CreateAccountInput{AccountName: aws.String("new"), Email: aws.String("aws+new@example.com")})
	if err != nil {
		t.Fatal(err)
	}
	if out.CreateAccountStatus.State != types.CreateAccountStateInProgress {
		t.Errorf("state %s at first", out.CreateAccountStatus.State)
	}
	done, err := c.DescribeCreateAccountStatus(ctx, &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: out.CreateAccountStatus.Id})
	if err != nil {
		t.Fatal(err)
	}
	id := aws.ToString(done.CreateAccountStatus.AccountId)
	if done.CreateAccountStatus.State != types.CreateAccountStateSucceeded || len(id) != 12 {
		t.Fatalf("state %s, account %q", done.CreateAccountStatus.State, id)
	}
	if err := assume(t, w, w.ManagementConfig("us-east-1"), "arn:aws:iam::"+id+":role/"+accessRole); err != nil {
		t.Error(err)
	}
	again, err := c.CreateAccount(ctx, &organizations.CreateAccountInput{AccountName: aws.String("again"), Email: aws.String("AWS+new@example.com")})
	if err != nil {
		t.Fatal(err)
	}
	failed, err := c.DescribeCreateAccountStatus(ctx, &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: again.CreateAccountStatus.Id})
	if err != nil {
		t.Fatal(err)
	}
	if got := failed.CreateAccountStatus.FailureReason; got != types.CreateAccountFailureReasonEmailAlreadyExists {
		t.Errorf("an address that is taken: %q", got)
	}
}

func TestTheTreeCanBeWalked(t *testing.T) {
	w := newTestWorld(t, "demo")
	ctx, c := t.Context(), orgClient(w)
	var lines []string
	var walk func(parent, indent string)
	walk = func(parent, indent string) {
		accounts, err := c.ListAccountsForParent(ctx, &organizations.ListAccountsForParentInput{ParentId: &parent})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range accounts.Accounts {
			lines = append(lines, indent+*a.Name)
		}
		units, err := c.ListOrganizationalUnitsForParent(ctx, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &parent})
		if err != nil {
			t.Fatal(err)
		}
		sortedBy(units.OrganizationalUnits, func(u types.OrganizationalUnit) string { return *u.Name })
		for _, u := range units.OrganizationalUnits {
			lines = append(lines, indent+*u.Name+"/")
			walk(*u.Id, indent+"  ")
		}
	}
	walk("r-demo", "")
	want := `management
Infrastructure/
  shared-services
  Network/
    network
Sandbox/
  sandbox-1
  sandbox-2
  legacy-lab
Security/
  security
  log-archive
Suspended/
  old-project
Workloads/
  Dev/
    shop-dev
    pay-dev
  Prod/
    shop-prod
    pay-prod
    data-prod`
	if diff := cmp.Diff(want, strings.Join(lines, "\n")); diff != "" {
		t.Error(diff)
	}
	parents, err := c.ListParents(ctx, &organizations.ListParentsInput{ChildId: aws.String(shopProd)})
	if err != nil || *parents.Parents[0].Id != unitID(w, "Prod") || parents.Parents[0].Type != types.ParentTypeOrganizationalUnit {
		t.Errorf("parents %v, %v", parents, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if diff := cmp.Diff([]string{"300000000001", "300000000002", "300000000003", "310000000001", "310000000002"}, w.accountsUnder(unitID(w, "Workloads"))); diff != "" {
		t.Error(diff)
	}
}
