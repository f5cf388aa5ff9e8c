package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/orgguard/orgguard/orgs"
)

// maxDelegates is how many delegated administrators a service may have.
// Services without a row may have any number, which is true of few of them.
var maxDelegates = map[string]int{
	"access-analyzer.amazonaws.com":                     1,
	"account.amazonaws.com":                             1,
	"cloudtrail.amazonaws.com":                          3,
	"config.amazonaws.com":                              3,
	"config-multiaccountsetup.amazonaws.com":            3,
	"guardduty.amazonaws.com":                           1,
	"iam.amazonaws.com":                                 1,
	"member.org.stacksets.cloudformation.amazonaws.com": 5,
	"securityhub.amazonaws.com":                         1,
	"sso.amazonaws.com":                                 1,
	"stacksets.cloudformation.amazonaws.com":            5,
}

// servicePattern is what a service principal looks like.
var servicePattern = orgs.NewPattern(`^[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com(\.cn)?$`)

// checkService checks a service principal. AWS has a list of those it knows;
// ours would be out of date, so only the form is checked.
func checkService(name string) error {
	if !servicePattern.MatchString(name) {
		return invalidInput(types.InvalidInputExceptionReasonUnrecognizedServicePrincipal, "You specified an unrecognized service principal.")
	}
	return nil
}

// allFeatures refuses what consolidated billing does not have.
func allFeatures(c *call) error {
	if c.w.state.Org.FeatureSet != types.OrganizationFeatureSetAll {
		return constraint(types.ConstraintViolationExceptionReasonOrganizationNotInAllFeaturesMode, "Your organization must have all features enabled to perform this operation.")
	}
	return nil
}

func enableAWSServiceAccess(c *call, in *organizations.EnableAWSServiceAccessInput) (*organizations.EnableAWSServiceAccessOutput, error) {
	name := aws.ToString(in.ServicePrincipal)
	if err := allFeatures(c); err != nil {
		return nil, err
	}
	if err := checkService(name); err != nil {
		return nil, err
	}
	c.w.setTrustedAccess(name, true, c.now)
	return &organizations.EnableAWSServiceAccessOutput{}, nil
}

func disableAWSServiceAccess(c *call, in *organizations.DisableAWSServiceAccessInput) (*organizations.DisableAWSServiceAccessOutput, error) {
	name := aws.ToString(in.ServicePrincipal)
	if err := checkService(name); err != nil {
		return nil, err
	}
	for _, account := range slices.Sorted(maps.Keys(c.w.state.Org.Delegated)) {
		if c.w.isDelegatedAdmin(account, name) {
			return nil, constraint(types.ConstraintViolationExceptionReasonDelegatedAdministratorExistsForThisService, "There are delegated administrators for this service. Deregister them first.")
		}
	}
	c.w.setTrustedAccess(name, false, c.now)
	return &organizations.DisableAWSServiceAccessOutput{}, nil
}

func listAWSServiceAccess(c *call, in *organizations.ListAWSServiceAccessForOrganizationInput) (*organizations.ListAWSServiceAccessForOrganizationOutput, error) {
	o := &c.w.state.Org
	all := []types.EnabledServicePrincipal{}
	for _, name := range slices.Sorted(maps.Keys(o.Services)) {
		all = append(all, types.EnabledServicePrincipal{ServicePrincipal: aws.String(name), DateEnabled: aws.Time(o.Services[name])})
	}
	page, next, err := orgPage(c, all, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &organizations.ListAWSServiceAccessForOrganizationOutput{EnabledServicePrincipals: page, NextToken: next}, nil
}

func registerDelegatedAdministrator(c *call, in *organizations.RegisterDelegatedAdministratorInput) (*organizations.RegisterDelegatedAdministratorOutput, error) {
	o, id, service := &c.w.state.Org, aws.ToString(in.AccountId), aws.ToString(in.ServicePrincipal)
	if err := allFeatures(c); err != nil {
		return nil, err
	}
	if err := checkService(service); err != nil {
		return nil, err
	}
	a := o.Accounts[id]
	switch {
	case a == nil:
		return nil, accountNotFound()
	case id == o.ManagementAccount:
		return nil, constraint(types.ConstraintViolationExceptionReasonCannotRegisterMasterAsDelegatedAdministrator, "You can't register the management account as a delegated administrator.")
	case a.State != types.AccountStateActive:
		return nil, constraint(types.ConstraintViolationExceptionReasonCannotRegisterSuspendedAccountAsDelegatedAdministrator, "You can't register a suspended account as a delegated administrator.")
	case !c.w.trustedAccess(service):
		return nil, constraint(types.ConstraintViolationExceptionReasonServiceAccessNotEnabled, "You must enable trusted access for the service before you register a delegated administrator.")
	case c.w.isDelegatedAdmin(id, service):
		return nil, &types.AccountAlreadyRegisteredException{Message: aws.String("The provided account is already a delegated administrator for your organization.")}
	}
	if limit, ok := maxDelegates[service]; ok && c.w.delegates(service) >= limit {
		return nil, constraint(types.ConstraintViolationExceptionReasonMaxDelegatedAdministratorsForServiceLimitExceeded, "You have exceeded the number of delegated administrators (%d) for the service.", limit)
	}
	if o.Delegated == nil {
		o.Delegated = map[string]map[string]time.Time{}
	}
	if o.Delegated[id] == nil {
		o.Delegated[id] = map[string]time.Time{}
	}
	o.Delegated[id][service] = c.now
	return &organizations.RegisterDelegatedAdministratorOutput{}, nil
}

// delegates counts the delegated administrators of a service.
func (w *World) delegates(service string) int {
	n := 0
	for account := range w.state.Org.Delegated {
		if w.isDelegatedAdmin(account, service) {
			n++
		}
	}
	return n
}

func deregisterDelegatedAdministrator(c *call, in *organizations.DeregisterDelegatedAdministratorInput) (*organizations.DeregisterDelegatedAdministratorOutput, error) {
	o, id, service := &c.w.state.Org, aws.ToString(in.AccountId), aws.ToString(in.ServicePrincipal)
	if err := checkService(service); err != nil {
		return nil, err
	}
	if o.Accounts[id] == nil {
		return nil, accountNotFound()
	}
	if !c.w.isDelegatedAdmin(id, service) {
		return nil, notRegistered()
	}
	if delete(o.Delegated[id], service); len(o.Delegated[id]) == 0 {
		delete(o.Delegated, id)
	}
	if service == securityHubPrincipal {
		c.w.forgetHubAdmin(id)
	}
	return &organizations.DeregisterDelegatedAdministratorOutput{}, nil
}

func notRegistered() error {
	return &types.AccountNotRegisteredException{Message: aws.String("The provided account is not a registered delegated administrator for your organization.")}
}

func listDelegatedAdministrators(c *call, in *organizations.ListDelegatedAdministratorsInput) (*organizations.ListDelegatedAdministratorsOutput, error) {
	o, service := &c.w.state.Org, aws.ToString(in.ServicePrincipal)
	if service != "" {
		if err := checkService(service); err != nil {
			return nil, err
		}
	}
	all := []types.DelegatedAdministrator{}
	for _, id := range slices.Sorted(maps.Keys(o.Delegated)) {
		if service != "" && !c.w.isDelegatedAdmin(id, service) {
			continue
		}
		a, first := c.w.apiAccount(id), time.Time{}
		for s, at := range o.Delegated[id] {
			if (service == "" || s == service) && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
		all = append(all, types.DelegatedAdministrator{
			Id: a.Id, Arn: a.Arn, Name: a.Name, Email: a.Email, State: a.State, Status: a.Status,
			JoinedMethod: a.JoinedMethod, JoinedTimestamp: a.JoinedTimestamp, DelegationEnabledDate: aws.Time(first),
		})
	}
	page, next, err := orgPage(c, all, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &organizations.ListDelegatedAdministratorsOutput{DelegatedAdministrators: page, NextToken: next}, nil
}

func listDelegatedServicesForAccount(c *call, in *organizations.ListDelegatedServicesForAccountInput) (*organizations.ListDelegatedServicesForAccountOutput, error) {
	o, id := &c.w.state.Org, aws.ToString(in.AccountId)
	if o.Accounts[id] == nil {
		return nil, accountNotFound()
	}
	if len(o.Delegated[id]) == 0 {
		return nil, notRegistered()
	}
	all := []types.DelegatedService{}
	for _, s := range slices.Sorted(maps.Keys(o.Delegated[id])) {
		all = append(all, types.DelegatedService{ServicePrincipal: aws.String(s), DelegationEnabledDate: aws.Time(o.Delegated[id][s])})
	}
	page, next, err := orgPage(c, all, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &organizations.ListDelegatedServicesForAccountOutput{DelegatedServices: page, NextToken: next}, nil
}

// organizationDelegates says whether the organization's resource policy lets a
// member account make a call that is otherwise the management account's.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_delegate_policies.html
func (w *World) organizationDelegates(c *call) bool {
	doc := w.state.Org.ResourcePolicy
	if doc == "" {
		return false
	}
	r := policyRequest{c.caller, "organizations:" + c.op, "*", w.requestContext(c, "*")}
	return w.judge(doc, r) == allows
}

// resourcePolicyARN is the ARN of the organization's one resource policy.
func (w *World) resourcePolicyARN() string {
	return w.orgARN("resourcepolicy", "rp-"+w.state.Org.ID[2:])
}

func (w *World) apiResourcePolicy() *types.ResourcePolicy {
	return &types.ResourcePolicy{
		Content: aws.String(w.state.Org.ResourcePolicy),
		ResourcePolicySummary: &types.ResourcePolicySummary{
			Arn: aws.String(w.resourcePolicyARN()), Id: aws.String(lastSegment(w.resourcePolicyARN())),
		},
	}
}

func putResourcePolicy(c *call, in *organizations.PutResourcePolicyInput) (*organizations.PutResourcePolicyOutput, error) {
	content := aws.ToString(in.Content)
	if _, err := parseResourcePolicy(content); err != nil {
		return nil, invalidInput(types.InvalidInputExceptionReasonInvalidResourcePolicyJson, "You provided an invalid resource policy.")
	}
	c.w.state.Org.ResourcePolicy = content
	return &organizations.PutResourcePolicyOutput{ResourcePolicy: c.w.apiResourcePolicy()}, nil
}

func describeResourcePolicy(c *call, _ *organizations.DescribeResourcePolicyInput) (*organizations.DescribeResourcePolicyOutput, error) {
	if c.w.state.Org.ResourcePolicy == "" {
		return nil, noResourcePolicy()
	}
	return &organizations.DescribeResourcePolicyOutput{ResourcePolicy: c.w.apiResourcePolicy()}, nil
}

func deleteResourcePolicy(c *call, _ *organizations.DeleteResourcePolicyInput) (*organizations.DeleteResourcePolicyOutput, error) {
	if c.w.state.Org.ResourcePolicy == "" {
		return nil, noResourcePolicy()
	}
	c.w.state.Org.ResourcePolicy = ""
	return &organizations.DeleteResourcePolicyOutput{}, nil
}

func noResourcePolicy() error {
	return &types.ResourcePolicyNotFoundException{Message: aws.String("We can't find a resource policy request with the parameter that you specified.")}
}

func validJSON(s string) bool { return json.Valid([]byte(s)) }
