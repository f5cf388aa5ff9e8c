package sim

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/orgguard/orgguard/orgs"
)

// Limits of the tree.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
const (
	maxUnits     = 2000
	maxUnitDepth = 5 // OUs below the root
	maxAccounts  = 50_000
)

func createOrganizationalUnit(c *call, in *organizations.CreateOrganizationalUnitInput) (*organizations.CreateOrganizationalUnitOutput, error) {
	o, name, parent := &c.w.state.Org, aws.ToString(in.Name), aws.ToString(in.ParentId)
	if !o.nodeExists(parent) {
		return nil, parentNotFound()
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	if c.w.unitNamed(parent, name) != "" {
		return nil, duplicateUnit()
	}
	if len(o.Units) >= maxUnits {
		return nil, constraint(types.ConstraintViolationExceptionReasonOuNumberLimitExceeded, "You have exceeded the number of organizational units that you can have in an organization.")
	}
	// The path of an OU is as long as the OU is deep, counting the root for itself.
	if len(c.w.orgPath(parent)) >= maxUnitDepth {
		return nil, constraint(types.ConstraintViolationExceptionReasonOuDepthLimitExceeded, "You have exceeded the depth of organizational units below the root.")
	}
	id := c.w.addUnit(name, parent)
	if err := c.w.setOrgTags(id, in.Tags); err != nil {
		delete(o.Units, id)
		return nil, err
	}
	u := c.w.apiUnit(id)
	return &organizations.CreateOrganizationalUnitOutput{OrganizationalUnit: &u}, nil
}

// addUnit adds an OU and gives it the policies every OU starts with.
func (w *World) addUnit(name, parent string) string {
	o := &w.state.Org
	id := "ou-" + strings.TrimPrefix(o.RootID, "r-") + "-" + w.id(8)
	if o.Units == nil {
		o.Units = map[string]*orgUnit{}
	}
	o.Units[id] = &orgUnit{ID: id, Name: name, Parent: parent}
	w.attachDefaults(id)
	return id
}

// unitNamed returns the id of the OU with a name directly under a parent; ""
// when there is none. Names of siblings differ.
func (w *World) unitNamed(parent, name string) string {
	for _, id := range w.orgIndex().units[parent] {
		if w.state.Org.Units[id].Name == name {
			return id
		}
	}
	return ""
}

func duplicateUnit() error {
	return &types.DuplicateOrganizationalUnitException{Message: aws.String("An organizational unit with the same name already exists.")}
}

// checkName checks the name of an OU, account or policy.
func checkName(name string) error {
	switch n := utf8.RuneCountInString(name); {
	case n < 1:
		return invalidInput(types.InvalidInputExceptionReasonMinLengthExceeded, "You provided a name that is too short.")
	case n > 128:
		return invalidInput(types.InvalidInputExceptionReasonMaxLengthExceeded, "You provided a name that is longer than 128 characters.")
	}
	return nil
}

func updateOrganizationalUnit(c *call, in *organizations.UpdateOrganizationalUnitInput) (*organizations.UpdateOrganizationalUnitOutput, error) {
	u := c.w.state.Org.Units[aws.ToString(in.OrganizationalUnitId)]
	if u == nil {
		return nil, unitNotFound()
	}
	if in.Name != nil && *in.Name != u.Name {
		if err := checkName(*in.Name); err != nil {
			return nil, err
		}
		if c.w.unitNamed(u.Parent, *in.Name) != "" {
			return nil, duplicateUnit()
		}
		u.Name = *in.Name
	}
	out := c.w.apiUnit(u.ID)
	return &organizations.UpdateOrganizationalUnitOutput{OrganizationalUnit: &out}, nil
}

func deleteOrganizationalUnit(c *call, in *organizations.DeleteOrganizationalUnitInput) (*organizations.DeleteOrganizationalUnitOutput, error) {
	o, id := &c.w.state.Org, aws.ToString(in.OrganizationalUnitId)
	if o.Units[id] == nil {
		return nil, unitNotFound()
	}
	if x := c.w.orgIndex(); len(x.children[id])+len(x.units[id]) > 0 {
		return nil, &types.OrganizationalUnitNotEmptyException{Message: aws.String("The organizational unit isn't empty. Move all accounts to another root or OU, and remove all child OUs.")}
	}
	delete(o.Units, id)
	delete(o.Attached, id)
	delete(o.Tags, id)
	return &organizations.DeleteOrganizationalUnitOutput{}, nil
}

var emailPattern = orgs.NewPattern(`^[^\s@]+@[^\s@]+\.[^\s@]+$`)

// createAccount creates an account under the root. It is asynchronous: what
// fails is found out in the background, and DescribeCreateAccountStatus says
// so. The request says IN_PROGRESS even though the account is there at once.
func createAccount(c *call, in *organizations.CreateAccountInput) (*organizations.CreateAccountOutput, error) {
	o, name, email := &c.w.state.Org, aws.ToString(in.AccountName), aws.ToString(in.Email)
	if err := checkName(name); err != nil {
		return nil, err
	}
	if len(email) < 6 || len(email) > 64 || !emailPattern.MatchString(email) {
		return nil, invalidInput(types.InvalidInputExceptionReasonInvalidPattern, "You provided an email address that doesn't match the required pattern.")
	}
	if err := checkTags(in.Tags, nil); err != nil {
		return nil, err
	}
	r := &accountCreation{ID: "car-" + c.w.id(32), Name: name, Requested: c.now}
	switch {
	case c.w.emailTaken(email):
		r.Failure = types.CreateAccountFailureReasonEmailAlreadyExists
	case len(o.Accounts) >= maxAccounts:
		r.Failure = types.CreateAccountFailureReasonAccountLimitExceeded
	default:
		r.AccountID = c.w.newAccountID()
		c.w.addAccount(&orgAccount{
			ID: r.AccountID, Name: name, Email: email, Parent: o.RootID, State: types.AccountStateActive,
			Method: types.AccountJoinedMethodCreated, Joined: c.now,
		}, cmp.Or(aws.ToString(in.RoleName), accessRole), c.now)
		if err := c.w.setOrgTags(r.AccountID, in.Tags); err != nil {
			return nil, err
		}
		c.w.orgChanged()
		c.w.accountMoved(c, r.AccountID, "", o.RootID)
	}
	if o.Created == nil {
		o.Created = map[string]*accountCreation{}
	}
	o.Created[r.ID] = r
	c.w.tellCreation(r, c.now)
	if r.AccountID != "" {
		c.w.tellJoined(r.AccountID, "Created", c.now)
	}
	return &organizations.CreateAccountOutput{CreateAccountStatus: &types.CreateAccountStatus{
		Id: aws.String(r.ID), AccountName: aws.String(name), RequestedTimestamp: aws.Time(c.now), State: types.CreateAccountStateInProgress,
	}}, nil
}

// tellCreation is the event that tells what became of CreateAccount.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_cloudtrail-integration.html
func (w *World) tellCreation(r *accountCreation, now time.Time) {
	const layout = "Jan 2, 2006 3:04:05 PM" // as CloudTrail shows it
	status := map[string]any{"id": r.ID, "state": string(types.CreateAccountStateSucceeded), "accountName": "****",
		"requestedTimestamp": r.Requested.UTC().Format(layout), "completedTimestamp": now.UTC().Format(layout)}
	if r.Failure != "" {
		status["state"], status["failureReason"] = string(types.CreateAccountStateFailed), string(r.Failure)
	} else {
		status["accountId"] = r.AccountID
	}
	w.serviceEvent(w.state.Org.ManagementAccount, w.globalRegion(), "organizations", "CreateAccountResult", map[string]any{"createAccountStatus": status}, now)
}

// tellJoined is the event of an account that came into the organization. AWS documents the
// fields joinedMethod and joinedTime; where the account stands is an assumption.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateAccount.html
func (w *World) tellJoined(account, method string, now time.Time) {
	w.serviceEvent(w.state.Org.ManagementAccount, w.globalRegion(), "organizations", "AccountJoinedOrganization",
		map[string]any{"accountId": account, "joinedMethod": method, "joinedTime": now.UTC().Format(time.RFC3339)}, now)
}

// Invite lets an account that had a life of its own accept an invitation: it joins below
// the root, and brings no role that lets the management account in. The handshakes
// themselves are not modelled.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_invites.html
func (w *World) Invite(name, email string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := checkName(name); err != nil {
		return "", err
	}
	if w.emailTaken(email) {
		return "", &types.DuplicateHandshakeException{Message: aws.String("An account with this address is in the organization.")}
	}
	o, now, id := &w.state.Org, w.now(), w.newAccountID()
	w.addAccount(&orgAccount{ID: id, Name: name, Email: email, Parent: o.RootID, State: types.AccountStateActive, Method: types.AccountJoinedMethodInvited, Joined: now}, "", now)
	w.orgChanged()
	w.dirty()
	c := &call{ctx: context.Background(), w: w, service: "Organizations", caller: servicePrincipal("organizations.amazonaws.com", o.ManagementAccount), region: w.globalRegion(), now: now}
	w.accountMoved(c, id, "", o.RootID)
	w.tellJoined(id, "Invited", now)
	return id, nil
}

// emailTaken says whether an account has an address; addresses are unique in
// all of AWS.
func (w *World) emailTaken(email string) bool {
	for _, a := range w.state.Org.Accounts {
		if strings.EqualFold(a.Email, email) {
			return true
		}
	}
	return false
}

// newAccountID makes a 12-digit account id that is free.
func (w *World) newAccountID() string {
	for {
		digits := strings.Map(func(r rune) rune {
			if r >= 'a' {
				return r - 'a' + '1'
			}
			return r
		}, w.id(12))
		if digits[0] != '0' && w.state.Accounts[digits] == nil {
			return digits
		}
	}
}

// accessRole is the role that Organizations makes in accounts it creates, for
// the management account to assume.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html
const accessRole = "OrganizationAccountAccessRole"

// addAccount adds an account with what every account starts with: in a member
// the access role and an administrator of its own, in the management account
// the organization's administrator.
func (w *World) addAccount(a *orgAccount, access string, created time.Time) {
	o := &w.state.Org
	if o.Accounts == nil {
		o.Accounts = map[string]*orgAccount{}
	}
	if w.state.Accounts == nil {
		w.state.Accounts = map[string]*accountState{}
	}
	o.Accounts[a.ID] = a
	w.state.Accounts[a.ID] = &accountState{ID: a.ID}
	w.attachDefaults(a.ID)

	admin := []string{"arn:" + w.state.Partition + ":iam::aws:policy/AdministratorAccess"}
	w.putRole(a.ID, &role{Name: "Admin", Trust: w.trustOf(a.ID), Attached: slices.Clone(admin), Created: created, Description: "The account's own administrators"})
	if a.ID == o.ManagementAccount {
		w.putRole(a.ID, &role{Name: "OrgAdmin", Trust: w.trustOf(a.ID), Attached: slices.Clone(admin), Created: created, Description: "Administrators of the organization"})
	} else if access != "" {
		w.putRole(a.ID, &role{Name: access, Trust: w.trustOf(o.ManagementAccount), Attached: slices.Clone(admin), Created: created})
	}
}

// trustOf is a trust policy that leaves it to an account who of it may assume
// the role.
func (w *World) trustOf(account string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:` + w.state.Partition + `:iam::` + account +
		`:root"},"Action":"sts:AssumeRole"}]}`
}

// apiCreation is a CreateAccount request as the API shows it.
func apiCreation(r *accountCreation) types.CreateAccountStatus {
	out := types.CreateAccountStatus{
		Id: aws.String(r.ID), AccountName: aws.String(r.Name),
		RequestedTimestamp: aws.Time(r.Requested), CompletedTimestamp: aws.Time(r.Requested),
		State: types.CreateAccountStateSucceeded,
	}
	if r.Failure != "" {
		out.State, out.FailureReason = types.CreateAccountStateFailed, r.Failure
	} else {
		out.AccountId = aws.String(r.AccountID)
	}
	return out
}

func describeCreateAccountStatus(c *call, in *organizations.DescribeCreateAccountStatusInput) (*organizations.DescribeCreateAccountStatusOutput, error) {
	r := c.w.state.Org.Created[aws.ToString(in.CreateAccountRequestId)]
	if r == nil {
		return nil, &types.CreateAccountStatusNotFoundException{Message: aws.String("You specified a create account request that doesn't exist.")}
	}
	out := apiCreation(r)
	return &organizations.DescribeCreateAccountStatusOutput{CreateAccountStatus: &out}, nil
}

func listCreateAccountStatus(c *call, in *organizations.ListCreateAccountStatusInput) (*organizations.ListCreateAccountStatusOutput, error) {
	var all []types.CreateAccountStatus
	for _, id := range slices.Sorted(maps.Keys(c.w.state.Org.Created)) {
		s := apiCreation(c.w.state.Org.Created[id])
		if len(in.States) == 0 || slices.Contains(in.States, s.State) {
			all = append(all, s)
		}
	}
	page, next, err := orgPage(c, all, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &organizations.ListCreateAccountStatusOutput{CreateAccountStatuses: page, NextToken: next}, nil
}

func moveAccount(c *call, in *organizations.MoveAccountInput) (*organizations.MoveAccountOutput, error) {
	o, from, to := &c.w.state.Org, aws.ToString(in.SourceParentId), aws.ToString(in.DestinationParentId)
	a := o.Accounts[aws.ToString(in.AccountId)]
	switch {
	case a == nil:
		return nil, accountNotFound()
	case !o.nodeExists(from) || a.Parent != from:
		return nil, &types.SourceParentNotFoundException{Message: aws.String("You specified a source parent that doesn't exist or doesn't contain the account.")}
	case !o.nodeExists(to):
		return nil, &types.DestinationParentNotFoundException{Message: aws.String("You specified a destination parent that doesn't exist.")}
	case from == to:
		return nil, &types.DuplicateAccountException{Message: aws.String("The account is already in the destination.")}
	}
	a.Parent = to
	c.w.orgChanged()
	c.w.accountMoved(c, a.ID, from, to)
	return &organizations.MoveAccountOutput{}, nil
}

// closeAccount closes a member account. It is SUSPENDED for 90 days and stays
// where it is in the organization. AWS takes minutes, in PENDING_CLOSURE; here
// it is done at once. The quota is of a rolling month in AWS and is not
// modelled.
func closeAccount(c *call, in *organizations.CloseAccountInput) (*organizations.CloseAccountOutput, error) {
	o := &c.w.state.Org
	a := o.Accounts[aws.ToString(in.AccountId)]
	switch {
	case a == nil:
		return nil, accountNotFound()
	case a.ID == o.ManagementAccount:
		return nil, constraint(types.ConstraintViolationExceptionReasonCannotCloseManagementAccount, "You can't close the management account.")
	case a.State != types.AccountStateActive:
		return nil, &types.AccountAlreadyClosedException{Message: aws.String("You attempted to close an account that is already closed.")}
	case len(o.Delegated[a.ID]) > 0:
		return nil, constraint(types.ConstraintViolationExceptionReasonCannotRemoveDelegatedAdministratorFromOrg, "You can't close an account that is a delegated administrator.")
	}
	a.State = types.AccountStateSuspended
	c.w.orgChanged()
	c.w.accountMoved(c, a.ID, a.Parent, "")
	return &organizations.CloseAccountOutput{}, nil
}

func removeAccount(c *call, in *organizations.RemoveAccountFromOrganizationInput) (*organizations.RemoveAccountFromOrganizationOutput, error) {
	if err := c.depart(aws.ToString(in.AccountId)); err != nil {
		return nil, err
	}
	return &organizations.RemoveAccountFromOrganizationOutput{}, nil
}

func leaveOrganization(c *call, _ *organizations.LeaveOrganizationInput) (*organizations.LeaveOrganizationOutput, error) {
	if err := c.depart(c.caller.Account); err != nil {
		return nil, err
	}
	return &organizations.LeaveOrganizationOutput{}, nil
}

// depart takes an account out of the organization; it lives on, outside. An
// account that was created here cannot, because nobody entered a means of
// payment for it; one that was invited had its own before.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_account_migration.html
func (c *call) depart(id string) error {
	o := &c.w.state.Org
	a := o.Accounts[id]
	switch {
	case a == nil:
		return accountNotFound()
	case id == o.ManagementAccount:
		return &types.MasterCannotLeaveOrganizationException{Message: aws.String("You can't remove the management account from the organization.")}
	case len(o.Delegated[id]) > 0:
		return constraint(types.ConstraintViolationExceptionReasonCannotRemoveDelegatedAdministratorFromOrg, "You can't remove an account that is a delegated administrator.")
	case a.Method == types.AccountJoinedMethodCreated:
		return constraint(types.ConstraintViolationExceptionReasonMemberAccountPaymentInstrumentRequired, "The account is missing a valid payment method.")
	}
	delete(o.Accounts, id)
	delete(o.Attached, id)
	delete(o.Tags, id)
	c.w.orgChanged()
	c.w.accountMoved(c, id, a.Parent, "")
	return nil
}
