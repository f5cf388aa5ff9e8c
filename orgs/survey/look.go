package survey

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/account"
	accounttypes "github.com/aws/aws-sdk-go-v2/service/account/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"golang.org/x/sync/errgroup"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/orgpolicy"
)

// Options say what to look at.
type Options struct {
	// Home is the Region of stack sets, and where a landing zone is looked for
	// first.
	Home string
	// Regions are looked at in every account; nil: those that are on there.
	Regions []string
	// Accounts are the accounts to look into; the others are left alone.
	Accounts []orgs.AccountID
	// Caller and Role are what the simulator is asked about the caller and the
	// access role; nothing: no simulation.
	Caller, Role []Question
	// RoleName is the role that is asked about, where it is not the one that the
	// accounts are entered with.
	RoleName string
	// Trails asks for the organization's trails.
	Trails bool
	// Workers is how many accounts × Regions are under way at once.
	Workers int
	// Progress is told how many accounts are done.
	Progress func(done, total int)
}

// Question asks the simulator about actions on a resource. ${Account} in it stands
// for the account that is looked at.
type Question struct {
	Actions  []string
	Resource string // "*" for all
}

// Look surveys an organization that has been read.
func Look(ctx context.Context, pool *access.Pool, org *orgs.Organization, o Options) *Survey {
	s := &Survey{Caller: pool.Caller(), Org: org, Position: Member}
	if skew, ok := pool.ClockSkew(); ok {
		s.Skew = answer(skew, nil)
	}
	v := viewer{pool: pool, org: org, o: o, global: pool.Home(org.Partition.GlobalRegion)}
	var g errgroup.Group
	g.Go(func() error { s.Services = answer(v.services(ctx)); return nil })
	g.Go(func() error { s.Delegates = answer(v.delegates(ctx)); return nil })
	g.Go(func() error { s.Policies = answer(v.policies(ctx)); return nil })
	g.Go(func() error { s.Accounts = v.accounts(ctx); return nil })
	_ = g.Wait() // errors are in the answers
	switch _, delegated := s.Delegates.Value[s.Caller.Account]; {
	case s.Caller.Account == org.ManagementAccount:
		s.Position = Management
	case delegated:
		s.Position = Delegated
	}
	s.StackSets = answer(v.stackSets(ctx, s.Position))
	if s.Position == Management { // AWS Control Tower answers nobody else
		s.LandingZone = answer(v.landingZone(ctx, slices.Contains(s.Services.Value, towerService)))
	}
	if o.Trails {
		s.Trails = answer(v.trails(ctx))
	}
	return s
}

// viewer looks.
type viewer struct {
	pool   *access.Pool
	org    *orgs.Organization
	o      Options
	global access.At
}

func (v viewer) services(ctx context.Context) ([]string, error) {
	var out []string
	p := organizations.NewListAWSServiceAccessForOrganizationPaginator(v.pool.Organizations, &organizations.ListAWSServiceAccessForOrganizationInput{})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, v.global.Organizations)
		if err != nil {
			return nil, fmt.Errorf("list the services with trusted access: %w", err)
		}
		for _, s := range page.EnabledServicePrincipals {
			out = append(out, aws.ToString(s.ServicePrincipal))
		}
	}
	slices.Sort(out)
	return out, nil
}

func (v viewer) delegates(ctx context.Context) (map[orgs.AccountID][]string, error) {
	out := map[orgs.AccountID][]string{}
	p := organizations.NewListDelegatedAdministratorsPaginator(v.pool.Organizations, &organizations.ListDelegatedAdministratorsInput{})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, v.global.Organizations)
		if err != nil {
			return nil, fmt.Errorf("list the delegated administrators: %w", err)
		}
		for _, a := range page.DelegatedAdministrators {
			out[orgs.AccountID(aws.ToString(a.Id))] = nil
		}
	}
	for id := range out {
		p := organizations.NewListDelegatedServicesForAccountPaginator(v.pool.Organizations, &organizations.ListDelegatedServicesForAccountInput{AccountId: aws.String(string(id))})
		for p.HasMorePages() {
			page, err := p.NextPage(ctx, v.global.Organizations)
			if err != nil {
				return nil, fmt.Errorf("list what account %s is a delegated administrator for: %w", id, err)
			}
			for _, s := range page.DelegatedServices {
				out[id] = append(out[id], aws.ToString(s.ServicePrincipal))
			}
		}
		slices.Sort(out[id])
	}
	return out, nil
}

// policies lists the service control policies and their targets.
func (v viewer) policies(ctx context.Context) ([]Policy, error) {
	all, err := orgpolicy.Of(v.pool, v.global, types.PolicyTypeServiceControlPolicy).Attached(ctx)
	out := make([]Policy, len(all))
	for i, p := range all {
		out[i] = Policy{ID: p.ID, Name: p.Name, Targets: p.Targets}
	}
	return out, err
}

func (v viewer) stackSets(ctx context.Context, p Position) (bool, error) {
	as := cfntypes.CallAsSelf
	if p == Delegated {
		as = cfntypes.CallAsDelegatedAdmin
	}
	out, err := v.pool.CloudFormation.DescribeOrganizationsAccess(ctx, &cloudformation.DescribeOrganizationsAccessInput{CallAs: as}, v.pool.Home(v.o.Home).CloudFormation)
	if err != nil {
		return false, fmt.Errorf("ask whether StackSets may act in the organization: %w", err)
	}
	return out.Status == cfntypes.OrganizationStatusEnabled, nil
}

// accounts looks into the accounts, side by side.
func (v viewer) accounts(ctx context.Context) []Account {
	var todo []orgs.Account
	for _, id := range v.o.Accounts {
		if a, ok := v.org.Account(id); ok {
			todo = append(todo, a)
		}
	}
	var done counter
	found := orgs.ForEach(ctx, todo, max(1, v.o.Workers), func(ctx context.Context, a orgs.Account) (Account, error) {
		defer func() {
			if v.o.Progress != nil {
				v.o.Progress(done.next(), len(todo))
			}
		}()
		return v.account(ctx, a), nil
	})
	out := make([]Account, len(todo))
	for i, o := range found {
		if out[i] = o.Value; o.Err != nil { // not begun: interrupted
			out[i] = Account{Account: todo[i], Enter: o.Err}
		}
	}
	return out
}

// account looks into one account.
func (v viewer) account(ctx context.Context, a orgs.Account) Account {
	out := Account{Account: a}
	at := v.pool.In(v.org.Partition, a.ID, v.org.Partition.GlobalRegion)
	if out.Enter = v.pool.AssumeError(ctx, at); out.Enter != nil {
		return out
	}
	out.Regions = answer(v.regions(ctx, at))
	look := v.o.Regions
	if look == nil {
		look = out.Regions.Value
	}
	for _, region := range look {
		if out.Regions.Known() && !slices.Contains(out.Regions.Value, region) {
			continue // there is nothing where the Region is off
		}
		out.Cells = append(out.Cells, v.cell(ctx, at.InRegion(region)))
	}
	out.Rights = v.rights(ctx, at, a)
	return out
}

func (v viewer) regions(ctx context.Context, at access.At) ([]string, error) {
	var out []string
	p := account.NewListRegionsPaginator(v.pool.Account, &account.ListRegionsInput{
		RegionOptStatusContains: []accounttypes.RegionOptStatus{accounttypes.RegionOptStatusEnabled, accounttypes.RegionOptStatusEnabledByDefault},
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, at.AccountManagement)
		if err != nil {
			return nil, fmt.Errorf("list the account's Regions: %w", err)
		}
		for _, r := range page.Regions {
			out = append(out, aws.ToString(r.RegionName))
		}
	}
	slices.Sort(out)
	return out, nil
}

// cell lists all recorders of an account × Region, service-linked ones too, which
// DescribeConfigurationRecorders leaves out, and the delivery channel.
func (v viewer) cell(ctx context.Context, at access.At) Cell {
	c := Cell{Region: at.Region}
	var recorders []Recorder
	p := configservice.NewListConfigurationRecordersPaginator(v.pool.Config, &configservice.ListConfigurationRecordersInput{})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, at.Config)
		if err != nil {
			c.Recorders = answer[[]Recorder](nil, fmt.Errorf("list the recorders: %w", err))
			return c
		}
		for _, r := range page.ConfigurationRecorderSummaries {
			recorders = append(recorders, Recorder{Name: aws.ToString(r.Name), Service: aws.ToString(r.ServicePrincipal)})
		}
	}
	c.Recorders = answer(recorders, nil)
	out, err := v.pool.Config.DescribeDeliveryChannels(ctx, &configservice.DescribeDeliveryChannelsInput{}, at.Config)
	if err != nil {
		c.Channel = answer("", fmt.Errorf("describe the delivery channel: %w", err))
		return c
	}
	name := ""
	if len(out.DeliveryChannels) > 0 {
		name = aws.ToString(out.DeliveryChannels[0].Name)
	}
	c.Channel = answer(name, nil)
	return c
}

// rights simulates what the access role may do in an account; in the caller's
// own account, what the caller may do.
func (v viewer) rights(ctx context.Context, at access.At, a orgs.Account) Answer[Rights] {
	ask := v.o.Role
	principal := fmt.Sprintf("arn:%s:iam::%s:role/%s", v.org.Partition.ID, a.ID, strings.TrimPrefix(cmp.Or(v.o.RoleName, v.pool.Role()), "/"))
	if a.ID == v.pool.Caller().Account {
		ask = v.o.Caller
		var err error
		if principal, err = v.caller(ctx, at); err != nil {
			return answer(Rights{}, err)
		}
	}
	if len(ask) == 0 {
		return Answer[Rights]{}
	}
	return answer(v.simulate(ctx, at, principal, ask))
}

// caller is the role or user behind the caller, as the simulator wants it: the
// ARN of a session lacks the role's path.
func (v viewer) caller(ctx context.Context, at access.At) (string, error) {
	arn := v.pool.Caller().ARN
	_, rest, ok := strings.Cut(arn, ":assumed-role/")
	if !ok {
		return arn, nil
	}
	name, _, _ := strings.Cut(rest, "/")
	out, err := v.pool.IAM.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String(name)}, at.IAM)
	if err != nil {
		return "", fmt.Errorf("look up the caller's role %s: %w", name, err)
	}
	return aws.ToString(out.Role.Arn), nil
}

// perSimulation keeps a request well below what the API takes.
const perSimulation = 100

// simulate asks which of the actions a principal may not do. The simulator fills
// in most keys of a request by itself but not aws:PrincipalArn, on which the
// exemptions of SCPs hang: without it they would never apply.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
func (v viewer) simulate(ctx context.Context, at access.At, principal string, ask []Question) (Rights, error) {
	r := Rights{Principal: principal}
	for _, q := range ask {
		resource := strings.ReplaceAll(q.Resource, "${Account}", string(at.Account))
		for chunk := range slices.Chunk(q.Actions, perSimulation) {
			denied, err := v.denied(ctx, at, principal, chunk, resource)
			if err != nil {
				return r, fmt.Errorf("simulate what %s may do: %w", principal, err)
			}
			r.Denied = append(r.Denied, denied...)
		}
	}
	slices.SortFunc(r.Denied, func(a, b Denial) int { return strings.Compare(a.Action, b.Action) })
	return r, nil
}

// denied asks which actions on one resource a principal may not do.
func (v viewer) denied(ctx context.Context, at access.At, principal string, actions []string, resource string) ([]Denial, error) {
	var out []Denial
	p := iam.NewSimulatePrincipalPolicyPaginator(v.pool.IAM, &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: aws.String(principal), ActionNames: actions, ResourceArns: []string{resource}, MaxItems: aws.Int32(1000),
		ContextEntries: []iamtypes.ContextEntry{{
			ContextKeyName: aws.String("aws:PrincipalArn"), ContextKeyType: iamtypes.ContextKeyTypeEnumString, ContextKeyValues: []string{principal},
		}},
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, at.IAM)
		if err != nil {
			return nil, err
		}
		for _, res := range page.EvaluationResults {
			if res.EvalDecision == iamtypes.PolicyEvaluationDecisionTypeAllowed {
				continue
			}
			out = append(out, Denial{
				Action: aws.ToString(res.EvalActionName), Explicit: res.EvalDecision == iamtypes.PolicyEvaluationDecisionTypeExplicitDeny,
				Organization: res.OrganizationsDecisionDetail != nil && !res.OrganizationsDecisionDetail.AllowedByOrganizations,
			})
		}
	}
	return out, nil
}

// skewTolerance: see ClockSkew.
const skewTolerance = 5 * time.Minute

// Tolerable says whether AWS takes requests that are signed by a clock so far off.
func Tolerable(skew time.Duration) bool { return skew.Abs() < skewTolerance }
