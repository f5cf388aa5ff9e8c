package sim

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
)

// Who may call an operation of Organizations, whatever IAM says.
type orgCaller uint8

const (
	anyMember  orgCaller = iota // every account of the organization
	reader                      // the management account and delegated administrators of any service
	delegate                    // the management account and whom the organization's resource policy names
	management                  // the management account only
)

// organizationsOps is AWS Organizations.
var organizationsOps = map[string]operation{
	"DescribeOrganization":             orgOp(anyMember, read, describeOrganization),
	"ListRoots":                        orgOp(reader, read, listRoots),
	"ListAccounts":                     orgOp(reader, read, listAccounts),
	"ListAccountsForParent":            orgOp(reader, read, listAccountsForParent),
	"ListOrganizationalUnitsForParent": orgOp(reader, read, listOrganizationalUnitsForParent),
	"ListChildren":                     orgOp(reader, read, listChildren),
	"ListParents":                      orgOp(reader, read, listParents),
	"DescribeAccount": on(orgOp(reader, read, describeAccount), func(c *call, in *organizations.DescribeAccountInput) string {
		return c.w.orgARN("account", aws.ToString(in.AccountId))
	}),
	"DescribeOrganizationalUnit": orgOp(reader, read, describeOrganizationalUnit),

	"CreateOrganizationalUnit":    orgOp(management, write, createOrganizationalUnit),
	"UpdateOrganizationalUnit":    orgOp(management, write, updateOrganizationalUnit),
	"DeleteOrganizationalUnit":    orgOp(management, write, deleteOrganizationalUnit),
	"CreateAccount":               orgOp(management, write, createAccount),
	"DescribeCreateAccountStatus": orgOp(reader, read, describeCreateAccountStatus),
	"ListCreateAccountStatus":     orgOp(reader, read, listCreateAccountStatus),
	"MoveAccount": on(orgOp(management, write, moveAccount), func(c *call, in *organizations.MoveAccountInput) string {
		return c.w.orgARN("account", aws.ToString(in.AccountId))
	}),
	"CloseAccount": on(orgOp(management, write, closeAccount), func(c *call, in *organizations.CloseAccountInput) string {
		return c.w.orgARN("account", aws.ToString(in.AccountId))
	}),

	"RemoveAccountFromOrganization": on(orgOp(management, write, removeAccount), func(c *call, in *organizations.RemoveAccountFromOrganizationInput) string {
		return c.w.orgARN("account", aws.ToString(in.AccountId))
	}),
	"LeaveOrganization": orgOp(anyMember, write, leaveOrganization),

	"ListPolicies": orgOp(reader, read, listPolicies),
	"DescribePolicy": on(orgOp(reader, read, describePolicy), func(c *call, in *organizations.DescribePolicyInput) string {
		return policyResource(c, in.PolicyId)
	}),
	"DescribeEffectivePolicy": orgOp(anyMember, read, describeEffectivePolicy),
	"ListPoliciesForTarget":   orgOp(reader, read, listPoliciesForTarget),
	"ListTargetsForPolicy": on(orgOp(reader, read, listTargetsForPolicy), func(c *call, in *organizations.ListTargetsForPolicyInput) string {
		return policyResource(c, in.PolicyId)
	}),
	"CreatePolicy": orgOp(delegate, write, createPolicy),
	"UpdatePolicy": on(orgOp(delegate, write, updatePolicy), func(c *call, in *organizations.UpdatePolicyInput) string {
		return policyResource(c, in.PolicyId)
	}),
	"DeletePolicy": on(orgOp(delegate, write, deletePolicy), func(c *call, in *organizations.DeletePolicyInput) string {
		return policyResource(c, in.PolicyId)
	}),
	"AttachPolicy": on(orgOp(delegate, write, attachPolicy), func(c *call, in *organizations.AttachPolicyInput) string {
		return policyResource(c, in.PolicyId)
	}),
	"DetachPolicy": on(orgOp(delegate, write, detachPolicy), func(c *call, in *organizations.DetachPolicyInput) string {
		return policyResource(c, in.PolicyId)
	}),
	"EnablePolicyType":  orgOp(delegate, write, enablePolicyType),
	"DisablePolicyType": orgOp(delegate, write, disablePolicyType),

	"EnableAWSServiceAccess":              orgOp(management, write, enableAWSServiceAccess),
	"DisableAWSServiceAccess":             orgOp(management, write, disableAWSServiceAccess),
	"ListAWSServiceAccessForOrganization": orgOp(reader, read, listAWSServiceAccess),
	"RegisterDelegatedAdministrator":      orgOp(management, write, registerDelegatedAdministrator),
	"DeregisterDelegatedAdministrator":    orgOp(management, write, deregisterDelegatedAdministrator),
	"ListDelegatedAdministrators":         orgOp(reader, read, listDelegatedAdministrators),
	"ListDelegatedServicesForAccount":     orgOp(reader, read, listDelegatedServicesForAccount),

	"PutResourcePolicy":      orgOp(management, write, putResourcePolicy),
	"DescribeResourcePolicy": orgOp(reader, read, describeResourcePolicy),
	"DeleteResourcePolicy":   orgOp(management, write, deleteResourcePolicy),

	"TagResource":         orgOp(delegate, write, tagOrgResource),
	"UntagResource":       orgOp(delegate, write, untagOrgResource),
	"ListTagsForResource": orgOp(reader, read, listOrgTags),
}

// orgOp makes an operation that some accounts only may call.
func orgOp[I, O any](who orgCaller, a access, run func(*call, *I) (*O, error)) operation {
	return op(a, func(c *call, in *I) (*O, error) {
		if c.w.state.Org.Accounts[c.caller.Account] == nil {
			return nil, &types.AWSOrganizationsNotInUseException{Message: aws.String("Your account is not a member of an organization.")}
		}
		if !c.mayAskOrganizations(who) {
			// Organizations does not say more than this.
			return nil, denied(c.service, "You don't have permissions to access this resource.")
		}
		out, err := run(c, in)
		if a == write && err == nil {
			c.w.orgChanged()
		}
		return out, err
	})
}

// mayAskOrganizations says whether the caller's account is one of those that
// may call an operation.
func (c *call) mayAskOrganizations(who orgCaller) bool {
	o := &c.w.state.Org
	switch {
	case c.caller.Account == o.ManagementAccount || c.caller.Type == principalService:
		return true
	case who == anyMember:
		return true
	case who == reader && c.w.isDelegatedAdmin(c.caller.Account, ""):
		return true
	case who == reader || who == delegate:
		return c.w.organizationDelegates(c)
	default:
		return false
	}
}

// policyResource is the ARN of a policy for IAM.
func policyResource(c *call, id *string) string {
	if p := c.w.state.Org.Policies[aws.ToString(id)]; p != nil {
		return c.w.policyARN(p)
	}
	return c.w.orgARN("policy", "*/"+aws.ToString(id))
}

// constraint is a limit or rule that a request would break.
func constraint(reason types.ConstraintViolationExceptionReason, format string, args ...any) error {
	return &types.ConstraintViolationException{Message: aws.String(fmt.Sprintf(format, args...)), Reason: reason}
}

// invalidInput is a request that is wrong in itself.
func invalidInput(reason types.InvalidInputExceptionReason, format string, args ...any) error {
	return &types.InvalidInputException{Message: aws.String(fmt.Sprintf(format, args...)), Reason: reason}
}

// orgPage cuts a page of Organizations: 20 at most, and 20 unless fewer are
// asked for.
func orgPage[T any](c *call, items []T, limit *int32, token *string) (page []T, next *string, err error) {
	n := int32(20)
	if limit != nil {
		n = *limit
	}
	switch {
	case n < 1:
		return nil, nil, invalidInput(types.InvalidInputExceptionReasonMinValueExceeded, "You specified an invalid value: MaxResults must be 1 or more.")
	case n > 20:
		return nil, nil, invalidInput(types.InvalidInputExceptionReasonMaxValueExceeded, "You specified an invalid value: MaxResults must be 20 or less.")
	}
	page, next, ok := pageOf(c, items, int(n), token)
	if !ok {
		return nil, nil, invalidInput(types.InvalidInputExceptionReasonInvalidPaginationToken, "You specified an invalid value for NextToken.")
	}
	return page, next, nil
}

func describeOrganization(c *call, _ *organizations.DescribeOrganizationInput) (*organizations.DescribeOrganizationOutput, error) {
	o := &c.w.state.Org
	m := o.Accounts[o.ManagementAccount]
	out := &types.Organization{
		Id:                 aws.String(o.ID),
		Arn:                aws.String(c.w.orgARN("organization", "")),
		FeatureSet:         o.FeatureSet,
		MasterAccountId:    aws.String(o.ManagementAccount),
		MasterAccountArn:   aws.String(c.w.orgARN("account", m.ID)),
		MasterAccountEmail: aws.String(m.Email),
	}
	if o.FeatureSet == types.OrganizationFeatureSetAll {
		// Documented as useless: it says ENABLED whatever ListRoots says.
		out.AvailablePolicyTypes = []types.PolicyTypeSummary{
			{Type: types.PolicyTypeServiceControlPolicy, Status: types.PolicyTypeStatusEnabled},
		}
	}
	return &organizations.DescribeOrganizationOutput{Organization: out}, nil
}

func listRoots(c *call, in *organizations.ListRootsInput) (*organizations.ListRootsOutput, error) {
	page, next, err := orgPage(c, []types.Root{c.w.root()}, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &organizations.ListRootsOutput{Roots: page, NextToken: next}, nil
}

// root is the one root as the API shows it.
func (w *World) root() types.Root {
	o := &w.state.Org
	r := types.Root{
		Id:          aws.String(o.RootID),
		Arn:         aws.String(w.orgARN("root", o.RootID)),
		Name:        aws.String("Root"),
		PolicyTypes: []types.PolicyTypeSummary{},
	}
	for t, s := range o.Types {
		r.PolicyTypes = append(r.PolicyTypes, types.PolicyTypeSummary{Type: t, Status: s.Status})
	}
	sortedBy(r.PolicyTypes, func(s types.PolicyTypeSummary) string { return string(s.Type) })
	return r
}

// apiAccount is an account as the API shows it.
func (w *World) apiAccount(id string) types.Account {
	o := &w.state.Org
	a := o.Accounts[id]
	out := types.Account{
		Id:              aws.String(a.ID),
		Arn:             aws.String(w.orgARN("account", a.ID)),
		Name:            aws.String(a.Name),
		Email:           aws.String(a.Email),
		JoinedMethod:    a.Method,
		JoinedTimestamp: aws.Time(a.Joined),
	}
	if !o.NoPaths {
		out.Paths = []string{w.organizationPath(id)}
	}
	if !o.StatusOnly {
		out.State = a.State
	}
	out.Status = accountStatus(a.State)
	return out
}

// accountStatus is the older and coarser of an account's two states.
func accountStatus(s types.AccountState) types.AccountStatus {
	switch s {
	case types.AccountStateActive, types.AccountStatePendingActivation:
		return types.AccountStatusActive
	case types.AccountStatePendingClosure:
		return types.AccountStatusPendingClosure
	default:
		return types.AccountStatusSuspended
	}
}

// apiUnit is an OU as the API shows it.
func (w *World) apiUnit(id string) types.OrganizationalUnit {
	o := &w.state.Org
	out := types.OrganizationalUnit{
		Id:   aws.String(id),
		Arn:  aws.String(w.orgARN("ou", id)),
		Name: aws.String(o.Units[id].Name),
	}
	if !o.NoPaths {
		out.Path = aws.String(w.organizationPath(id))
	}
	return out
}

func (w *World) apiAccounts(ids []string) []types.Account {
	out := make([]types.Account, len(ids))
	for i, id := range ids {
		out[i] = w.apiAccount(id)
	}
	return out
}

func listAccounts(c *call, in *organizations.ListAccountsInput) (*organizations.ListAccountsOutput, error) {
	page, next, err := orgPage(c, c.w.orgIndex().accounts, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &organizations.ListAccountsOutput{Accounts: c.w.apiAccounts(page), NextToken: next}, nil
}

// parentNotFound is the answer about a root or OU that is not there.
func parentNotFound() error {
	return &types.ParentNotFoundException{Message: aws.String("You specified parent that doesn't exist.")}
}

func listAccountsForParent(c *call, in *organizations.ListAccountsForParentInput) (*organizations.ListAccountsForParentOutput, error) {
	parent := aws.ToString(in.ParentId)
	if !c.w.state.Org.nodeExists(parent) {
		return nil, parentNotFound()
	}
	page, next, err := orgPage(c, c.w.orgIndex().children[parent], in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &organizations.ListAccountsForParentOutput{Accounts: c.w.apiAccounts(page), NextToken: next}, nil
}

func listOrganizationalUnitsForParent(c *call, in *organizations.ListOrganizationalUnitsForParentInput) (*organizations.ListOrganizationalUnitsForParentOutput, error) {
	parent := aws.ToString(in.ParentId)
	if !c.w.state.Org.nodeExists(parent) {
		return nil, parentNotFound()
	}
	page, next, err := orgPage(c, c.w.orgIndex().units[parent], in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &organizations.ListOrganizationalUnitsForParentOutput{NextToken: next, OrganizationalUnits: []types.OrganizationalUnit{}}
	for _, id := range page {
		out.OrganizationalUnits = append(out.OrganizationalUnits, c.w.apiUnit(id))
	}
	return out, nil
}

func listChildren(c *call, in *organizations.ListChildrenInput) (*organizations.ListChildrenOutput, error) {
	parent := aws.ToString(in.ParentId)
	if !c.w.state.Org.nodeExists(parent) {
		return nil, parentNotFound()
	}
	ids := c.w.orgIndex().children[parent]
	if in.ChildType == types.ChildTypeOrganizationalUnit {
		ids = c.w.orgIndex().units[parent]
	} else if in.ChildType != types.ChildTypeAccount {
		return nil, invalidInput(types.InvalidInputExceptionReasonInvalidEnum, "You specified an invalid child type.")
	}
	page, next, err := orgPage(c, ids, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &organizations.ListChildrenOutput{NextToken: next, Children: []types.Child{}}
	for _, id := range page {
		out.Children = append(out.Children, types.Child{Id: aws.String(id), Type: in.ChildType})
	}
	return out, nil
}

func listParents(c *call, in *organizations.ListParentsInput) (*organizations.ListParentsOutput, error) {
	parent := c.w.orgParent(aws.ToString(in.ChildId))
	if parent == "" {
		return nil, &types.ChildNotFoundException{Message: aws.String("You specified a child that doesn't exist.")}
	}
	p := types.Parent{Id: aws.String(parent), Type: types.ParentTypeOrganizationalUnit}
	if parent == c.w.state.Org.RootID {
		p.Type = types.ParentTypeRoot
	}
	page, next, err := orgPage(c, []types.Parent{p}, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &organizations.ListParentsOutput{Parents: page, NextToken: next}, nil
}

// accountNotFound is the answer about an account that is not a member.
func accountNotFound() error {
	return &types.AccountNotFoundException{Message: aws.String("You specified an account that doesn't exist.")}
}

func describeAccount(c *call, in *organizations.DescribeAccountInput) (*organizations.DescribeAccountOutput, error) {
	id := aws.ToString(in.AccountId)
	if c.w.state.Org.Accounts[id] == nil {
		return nil, accountNotFound()
	}
	a := c.w.apiAccount(id)
	return &organizations.DescribeAccountOutput{Account: &a}, nil
}

func describeOrganizationalUnit(c *call, in *organizations.DescribeOrganizationalUnitInput) (*organizations.DescribeOrganizationalUnitOutput, error) {
	id := aws.ToString(in.OrganizationalUnitId)
	if c.w.state.Org.Units[id] == nil {
		return nil, unitNotFound()
	}
	u := c.w.apiUnit(id)
	return &organizations.DescribeOrganizationalUnitOutput{OrganizationalUnit: &u}, nil
}

// unitNotFound is the answer about an OU that is not there.
func unitNotFound() error {
	return &types.OrganizationalUnitNotFoundException{Message: aws.String("You specified an organizational unit that doesn't exist.")}
}
