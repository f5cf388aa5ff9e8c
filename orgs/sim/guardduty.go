package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/guardduty/types"
)

const guardDutyPrincipal = "guardduty.amazonaws.com"

// guardDutyState is GuardDuty in one account × Region. Findings are not modelled.
type guardDutyState struct {
	Detector *detector `json:"detector,omitempty"`
	// Org is what a delegated administrator set here.
	Org *guardDutyOrg `json:"org,omitempty"`
}

// detector is an account's one detector in a Region.
type detector struct {
	ID       string            `json:"id"`
	Enabled  bool              `json:"enabled"`
	Features map[string]bool   `json:"features"`
	Tags     map[string]string `json:"tags,omitempty"`
	// Administrator manages the detector; "" for an account on its own.
	Administrator string `json:"administrator,omitempty"`
}

// guardDutyOrg is a delegated administrator's settings for the organization.
type guardDutyOrg struct {
	AutoEnable types.AutoEnableMembers           `json:"auto_enable"`
	Features   map[string]types.OrgFeatureStatus `json:"features"`
	// Members are the accounts that were ever associated and not deleted, by
	// number: Enabled, Paused or Removed.
	Members map[string]string `json:"members,omitempty"`
	// Since is when AutoEnable was set.
	Since time.Time `json:"since"`
}

// enrolling is how long it may take until auto-enable ALL has reached accounts
// that are in the organization already.
// https://docs.aws.amazon.com/guardduty/latest/APIReference/API_UpdateOrganizationConfiguration.html
const enrolling = 24 * time.Hour

// The statuses of a member.
const (
	memberEnabled = "Enabled"
	memberPaused  = "Paused"
	memberRemoved = "Removed"
)

// guarddutyOps are the operations of GuardDuty about detectors and organizations.
// https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Operations.html
var guarddutyOps = map[string]operation{
	"EnableOrganizationAdminAccount":    op(write, enableGuardDutyAdmin),
	"DisableOrganizationAdminAccount":   op(write, disableGuardDutyAdmin),
	"ListOrganizationAdminAccounts":     op(read, listGuardDutyAdmins),
	"CreateDetector":                    op(write, createDetector),
	"DeleteDetector":                    op(write, deleteDetector),
	"GetDetector":                       op(read, getDetector),
	"ListDetectors":                     op(read, listDetectors),
	"UpdateDetector":                    op(write, updateDetector),
	"DescribeOrganizationConfiguration": op(read, describeGuardDutyOrg),
	"UpdateOrganizationConfiguration":   op(write, updateGuardDutyOrg),
	"CreateMembers":                     op(write, createGuardDutyMembers),
	"DeleteMembers":                     op(write, deleteGuardDutyMembers),
	"DisassociateMembers":               op(write, disassociateGuardDutyMembers),
	"ListMembers":                       op(read, listGuardDutyMembers),
	"GetMemberDetectors":                op(read, getMemberDetectors),
	"UpdateMemberDetectors":             op(write, updateMemberDetectors),
	"StartMonitoringMembers":            op(write, startGuardDutyMembers),
	"StopMonitoringMembers":             op(write, stopGuardDutyMembers),
}

func badGuardDuty(message string) error {
	return &types.BadRequestException{Message: aws.String("The request is rejected because " + message)}
}

func enableGuardDutyAdmin(c *call, in *guardduty.EnableOrganizationAdminAccountInput) (*guardduty.EnableOrganizationAdminAccountOutput, error) {
	account := aws.ToString(in.AdminAccountId)
	if err := c.appoint(guardDutyPrincipal, account, badGuardDuty); err != nil {
		return nil, err
	}
	g := c.w.guardDuty(account, c.region)
	if g.Detector == nil {
		g.Detector = c.newDetector(account, nil)
	}
	g.Detector.Enabled = true
	if g.Org == nil {
		g.Org = newGuardDutyOrg(c.now)
	}
	return &guardduty.EnableOrganizationAdminAccountOutput{}, nil
}

// newGuardDutyOrg are the settings of a new delegated administrator: new accounts
// are enabled, those that are there are not.
func newGuardDutyOrg(now time.Time) *guardDutyOrg {
	return &guardDutyOrg{AutoEnable: types.AutoEnableMembersNew, Features: map[string]types.OrgFeatureStatus{}, Members: map[string]string{}, Since: now}
}

// disableGuardDutyAdmin is refused while there are members.
// https://docs.aws.amazon.com/guardduty/latest/ug/change-guardduty-delegated-admin.html
func disableGuardDutyAdmin(c *call, in *guardduty.DisableOrganizationAdminAccountInput) (*guardduty.DisableOrganizationAdminAccountOutput, error) {
	account := aws.ToString(in.AdminAccountId)
	switch {
	case c.caller.Account != c.w.state.Org.ManagementAccount:
		return nil, accessDenied("You are not authorized: only the organization's management account may remove a delegated administrator.")
	case c.w.admin(guardDutyPrincipal, c.region) != account:
		return nil, badGuardDuty("the account is not the delegated administrator of the organization.")
	}
	g := c.w.guardDuty(account, c.region)
	if g.Org != nil && len(g.Org.Members) > 0 {
		return nil, badGuardDuty("the administrator account still has members.")
	}
	c.w.setAdmin(guardDutyPrincipal, c.region, "")
	g.Org = nil
	return &guardduty.DisableOrganizationAdminAccountOutput{}, nil
}

func listGuardDutyAdmins(c *call, _ *guardduty.ListOrganizationAdminAccountsInput) (*guardduty.ListOrganizationAdminAccountsOutput, error) {
	if c.caller.Account != c.w.state.Org.ManagementAccount {
		return nil, badGuardDuty("the caller is not the organization's management account.")
	}
	out := &guardduty.ListOrganizationAdminAccountsOutput{AdminAccounts: []types.AdminAccount{}}
	if id := c.w.admin(guardDutyPrincipal, c.region); id != "" {
		out.AdminAccounts = append(out.AdminAccounts, types.AdminAccount{AdminAccountId: aws.String(id), AdminStatus: types.AdminStatusEnabled})
	}
	return out, nil
}

func (w *World) guardDuty(account, region string) *guardDutyState {
	return &w.region(account, region).GuardDuty
}

// newDetector is a detector as it is made: with every protection plan on but
// runtime monitoring, unless the call says otherwise, and with the service's role.
func (c *call) newDetector(account string, features []types.DetectorFeatureConfiguration) *detector {
	c.w.ensureLinkedRole(c, account, guardDutyPrincipal)
	d := &detector{ID: c.w.id(32), Enabled: true, Features: map[string]bool{}}
	for _, f := range types.OrgFeature("").Values() {
		d.Features[string(f)] = f != types.OrgFeatureRuntimeMonitoring && f != types.OrgFeatureEksRuntimeMonitoring
	}
	for _, f := range features {
		d.Features[string(f.Name)] = f.Status == types.FeatureStatusEnabled
	}
	return d
}

// detector is GuardDuty of the caller, by the id of its detector.
func (c *call) detector(id *string) (*guardDutyState, error) {
	g := c.w.guardDuty(c.caller.Account, c.region)
	if g.Detector == nil || g.Detector.ID != aws.ToString(id) {
		return nil, badGuardDuty("the input detectorId is not owned by the current account.")
	}
	return g, nil
}

func createDetector(c *call, in *guardduty.CreateDetectorInput) (*guardduty.CreateDetectorOutput, error) {
	g := c.w.guardDuty(c.caller.Account, c.region)
	if g.Detector != nil {
		return nil, badGuardDuty("a detector already exists for the current account.")
	}
	g.Detector = c.newDetector(c.caller.Account, in.Features)
	g.Detector.Enabled, g.Detector.Tags = aws.ToBool(in.Enable), maps.Clone(in.Tags)
	return &guardduty.CreateDetectorOutput{DetectorId: aws.String(g.Detector.ID)}, nil
}

// free says whether the account may switch its detector off: members may not, and
// an administrator not before it has let its members go.
func (g *guardDutyState) free() error {
	switch {
	case g.Detector.Administrator != "":
		return badGuardDuty("the account is a member that an administrator account manages.")
	case g.Org != nil && len(g.Org.Members) > 0:
		return badGuardDuty("the administrator account still has members.")
	}
	return nil
}

func deleteDetector(c *call, in *guardduty.DeleteDetectorInput) (*guardduty.DeleteDetectorOutput, error) {
	g, err := c.detector(in.DetectorId)
	if err != nil {
		return nil, err
	}
	if err := g.free(); err != nil {
		return nil, err
	}
	g.Detector = nil
	return &guardduty.DeleteDetectorOutput{}, nil
}

func featureStatus(on bool) types.FeatureStatus {
	if on {
		return types.FeatureStatusEnabled
	}
	return types.FeatureStatusDisabled
}

func getDetector(c *call, in *guardduty.GetDetectorInput) (*guardduty.GetDetectorOutput, error) {
	g, err := c.detector(in.DetectorId)
	if err != nil {
		return nil, err
	}
	d := g.Detector
	out := &guardduty.GetDetectorOutput{
		ServiceRole: aws.String(c.w.roleARN(c.caller.Account, c.w.linkedRole(guardDutyPrincipal, ""))), Status: types.DetectorStatusDisabled, Tags: maps.Clone(d.Tags),
		FindingPublishingFrequency: types.FindingPublishingFrequencySixHours,
	}
	if d.Enabled {
		out.Status = types.DetectorStatusEnabled
	}
	for _, name := range slices.Sorted(maps.Keys(d.Features)) {
		out.Features = append(out.Features, types.DetectorFeatureConfigurationResult{Name: types.DetectorFeatureResult(name), Status: featureStatus(d.Features[name])})
	}
	return out, nil
}

func listDetectors(c *call, _ *guardduty.ListDetectorsInput) (*guardduty.ListDetectorsOutput, error) {
	out := &guardduty.ListDetectorsOutput{DetectorIds: []string{}}
	if d := c.w.guardDuty(c.caller.Account, c.region).Detector; d != nil {
		out.DetectorIds = append(out.DetectorIds, d.ID)
	}
	return out, nil
}

// updateDetector changes an account's own detector. A member cannot change its protection
// plans, whatever auto-enable says: the user guide says so of each plan. The
// administrator's call for members (UpdateMemberDetectors) is the only way.
// https://docs.aws.amazon.com/guardduty/latest/ug/s3-multiaccount.html
func updateDetector(c *call, in *guardduty.UpdateDetectorInput) (*guardduty.UpdateDetectorOutput, error) {
	g, err := c.detector(in.DetectorId)
	if err != nil {
		return nil, err
	}
	if in.Enable != nil && !*in.Enable {
		if err := g.free(); err != nil {
			return nil, err
		}
	}
	if len(in.Features) > 0 && g.Detector.Administrator != "" {
		return nil, badGuardDuty("the protection plans of a member account are configured by its administrator account alone.")
	}
	if in.Enable != nil {
		g.Detector.Enabled = *in.Enable
	}
	for _, f := range in.Features {
		g.Detector.Features[string(f.Name)] = f.Status == types.FeatureStatusEnabled
	}
	return &guardduty.UpdateDetectorOutput{}, nil
}

// administers is the caller's settings for the organization, which only the
// delegated administrator of the Region has. Accounts that auto-enable has reached
// by now are members.
func (c *call) administers(id *string) (*guardDutyState, error) {
	g, err := c.detector(id)
	if err != nil {
		return nil, err
	}
	if g.Org == nil || c.w.admin(guardDutyPrincipal, c.region) != c.caller.Account {
		return nil, badGuardDuty("the current account is not the delegated administrator of the organization.")
	}
	for _, account := range slices.Sorted(maps.Keys(c.w.state.Org.Accounts)) {
		a := c.w.state.Org.Accounts[account]
		switch joined := a.Joined.After(g.Org.Since); {
		case g.Org.Members[account] == memberEnabled:
		case g.Org.AutoEnable == types.AutoEnableMembersAll && (joined || c.now.Sub(g.Org.Since) >= enrolling),
			g.Org.AutoEnable == types.AutoEnableMembersNew && joined && g.Org.Members[account] == "":
			c.enrol(g, account)
		}
	}
	return g, nil
}

// enrol makes an account a member with GuardDuty on; it says why not where it
// cannot.
func (c *call) enrol(g *guardDutyState, account string) string {
	a := c.w.state.Org.Accounts[account]
	member := c.w.guardDuty(account, c.region)
	switch {
	case a == nil:
		return "The request failed because the input accountId is not a part of the organization."
	case account == c.caller.Account:
		return "The request failed because the input accountId is that of the administrator account."
	case a.State != "ACTIVE", !c.w.regionIsOn(account, c.region):
		return "The request failed because GuardDuty cannot be enabled in the account."
	case account == c.w.state.Org.ManagementAccount && member.Detector == nil:
		return "The request failed because the management account of the organization must enable GuardDuty before it can be added as a member."
	case member.Detector != nil && member.Detector.Administrator != "" && member.Detector.Administrator != c.caller.Account:
		return "The request failed because the account is a member of another administrator account."
	}
	if member.Detector == nil {
		member.Detector = c.newDetector(account, nil)
	}
	member.Detector.Enabled, member.Detector.Administrator = true, c.caller.Account
	for name, status := range g.Org.Features {
		if status != types.OrgFeatureStatusNone {
			member.Detector.Features[name] = true
		}
	}
	g.Org.Members[account] = memberEnabled
	return ""
}

func describeGuardDutyOrg(c *call, in *guardduty.DescribeOrganizationConfigurationInput) (*guardduty.DescribeOrganizationConfigurationOutput, error) {
	g, err := c.administers(in.DetectorId)
	if err != nil {
		return nil, err
	}
	out := &guardduty.DescribeOrganizationConfigurationOutput{
		AutoEnableOrganizationMembers: g.Org.AutoEnable, MemberAccountLimitReached: aws.Bool(false),
	}
	for _, f := range types.OrgFeature("").Values() {
		status := g.Org.Features[string(f)]
		if status == "" {
			status = types.OrgFeatureStatusNone
		}
		out.Features = append(out.Features, types.OrganizationFeatureConfigurationResult{Name: f, AutoEnable: status})
	}
	return out, nil
}

func updateGuardDutyOrg(c *call, in *guardduty.UpdateOrganizationConfigurationInput) (*guardduty.UpdateOrganizationConfigurationOutput, error) {
	g, err := c.administers(in.DetectorId)
	if err != nil {
		return nil, err
	}
	if (in.AutoEnable == nil) == (in.AutoEnableOrganizationMembers == "") { //nolint:staticcheck // the old form is still the API's
		return nil, badGuardDuty("one of autoEnable and autoEnableOrganizationMembers must be given.")
	}
	auto := in.AutoEnableOrganizationMembers
	if in.AutoEnable != nil { //nolint:staticcheck // the old form is still the API's
		auto = types.AutoEnableMembersNone
		if *in.AutoEnable { //nolint:staticcheck // the old form is still the API's
			auto = types.AutoEnableMembersNew
		}
	}
	if auto != g.Org.AutoEnable {
		g.Org.AutoEnable, g.Org.Since = auto, c.now
	}
	for _, f := range in.Features {
		g.Org.Features[string(f.Name)] = f.AutoEnable
		if f.AutoEnable != types.OrgFeatureStatusAll {
			continue
		}
		for account, status := range g.Org.Members {
			if status == memberEnabled {
				c.w.guardDuty(account, c.region).Detector.Features[string(f.Name)] = true
			}
		}
	}
	return &guardduty.UpdateOrganizationConfigurationOutput{}, nil
}

func createGuardDutyMembers(c *call, in *guardduty.CreateMembersInput) (*guardduty.CreateMembersOutput, error) {
	var accounts []string
	for _, d := range in.AccountDetails {
		accounts = append(accounts, aws.ToString(d.AccountId))
	}
	left, err := c.eachAccount(in.DetectorId, accounts, c.enrol)
	return &guardduty.CreateMembersOutput{UnprocessedAccounts: left}, err
}

// eachAccount does something to accounts of the organization, one after the other; do
// says why not where it cannot.
func (c *call) eachAccount(id *string, accounts []string, do func(g *guardDutyState, account string) string) ([]types.UnprocessedAccount, error) {
	g, err := c.administers(id)
	if err != nil {
		return nil, err
	}
	if n := len(accounts); n < 1 || n > 50 {
		return nil, badGuardDuty("the number of accounts is not between 1 and 50.")
	}
	left := []types.UnprocessedAccount{}
	for _, account := range accounts {
		if why := do(g, account); why != "" {
			left = append(left, types.UnprocessedAccount{AccountId: aws.String(account), Result: aws.String(why)})
		}
	}
	return left, nil
}

// notAssociated is why nothing is done to an account that is no member.
const notAssociated = "The request was rejected because the account is not associated with the administrator account."

// members is eachAccount for members.
func (c *call) members(id *string, accounts []string, do func(g *guardDutyState, account, status string) string) ([]types.UnprocessedAccount, error) {
	return c.eachAccount(id, accounts, func(g *guardDutyState, account string) string {
		status, known := g.Org.Members[account]
		if !known {
			return notAssociated
		}
		return do(g, account, status)
	})
}

// whileAll refuses what is not done while auto-enable is ALL.
func whileAll(g *guardDutyState) string {
	if g.Org.AutoEnable == types.AutoEnableMembersAll {
		return "The request was rejected because autoEnableOrganizationMembers is ALL."
	}
	return ""
}

func deleteGuardDutyMembers(c *call, in *guardduty.DeleteMembersInput) (*guardduty.DeleteMembersOutput, error) {
	left, err := c.members(in.DetectorId, in.AccountIds, func(g *guardDutyState, account, status string) string {
		if why := whileAll(g); why != "" {
			return why
		}
		if status != memberRemoved {
			return "The request was rejected because the account must be disassociated first."
		}
		delete(g.Org.Members, account)
		return ""
	})
	return &guardduty.DeleteMembersOutput{UnprocessedAccounts: left}, err
}

func disassociateGuardDutyMembers(c *call, in *guardduty.DisassociateMembersInput) (*guardduty.DisassociateMembersOutput, error) {
	left, err := c.members(in.DetectorId, in.AccountIds, func(g *guardDutyState, account, _ string) string {
		if why := whileAll(g); why != "" {
			return why
		}
		g.Org.Members[account] = memberRemoved
		c.w.guardDuty(account, c.region).Detector.Administrator = ""
		return ""
	})
	return &guardduty.DisassociateMembersOutput{UnprocessedAccounts: left}, err
}

func stopGuardDutyMembers(c *call, in *guardduty.StopMonitoringMembersInput) (*guardduty.StopMonitoringMembersOutput, error) {
	left, err := c.members(in.DetectorId, in.AccountIds, func(g *guardDutyState, account, status string) string {
		if why := whileAll(g); why != "" {
			return why
		}
		if status == memberRemoved {
			return notAssociated
		}
		g.Org.Members[account] = memberPaused
		c.w.guardDuty(account, c.region).Detector.Enabled = false
		return ""
	})
	return &guardduty.StopMonitoringMembersOutput{UnprocessedAccounts: left}, err
}

func startGuardDutyMembers(c *call, in *guardduty.StartMonitoringMembersInput) (*guardduty.StartMonitoringMembersOutput, error) {
	left, err := c.members(in.DetectorId, in.AccountIds, func(g *guardDutyState, account, status string) string {
		if status == memberRemoved {
			return notAssociated
		}
		g.Org.Members[account] = memberEnabled
		c.w.guardDuty(account, c.region).Detector.Enabled = true
		return ""
	})
	return &guardduty.StartMonitoringMembersOutput{UnprocessedAccounts: left}, err
}

func listGuardDutyMembers(c *call, in *guardduty.ListMembersInput) (*guardduty.ListMembersOutput, error) {
	g, err := c.administers(in.DetectorId)
	if err != nil {
		return nil, err
	}
	all := []types.Member{}
	for _, account := range slices.Sorted(maps.Keys(g.Org.Members)) {
		status := g.Org.Members[account]
		if status == memberRemoved && aws.ToString(in.OnlyAssociated) != "false" {
			continue
		}
		m := types.Member{
			AccountId: aws.String(account), AdministratorId: aws.String(c.caller.Account), MasterId: aws.String(c.caller.Account),
			RelationshipStatus: aws.String(status), UpdatedAt: aws.String(c.now.Format(time.RFC3339)),
		}
		if a := c.w.state.Org.Accounts[account]; a != nil {
			m.Email = aws.String(a.Email)
		}
		all = append(all, m)
	}
	limit := 50
	if in.MaxResults != nil {
		limit = min(limit, int(*in.MaxResults))
	}
	page, next, ok := pageOf(c, all, limit, in.NextToken)
	if !ok {
		return nil, badGuardDuty("the nextToken is invalid.")
	}
	return &guardduty.ListMembersOutput{Members: page, NextToken: next}, nil
}

// getMemberDetectors tells which protection plans are on in members.
// https://docs.aws.amazon.com/guardduty/latest/APIReference/API_GetMemberDetectors.html
func getMemberDetectors(c *call, in *guardduty.GetMemberDetectorsInput) (*guardduty.GetMemberDetectorsOutput, error) {
	out := &guardduty.GetMemberDetectorsOutput{}
	left, err := c.members(in.DetectorId, in.AccountIds, func(_ *guardDutyState, account, status string) string {
		if status == memberRemoved {
			return notAssociated
		}
		m := types.MemberDataSourceConfiguration{AccountId: aws.String(account)}
		features := c.w.guardDuty(account, c.region).Detector.Features
		for _, name := range slices.Sorted(maps.Keys(features)) {
			m.Features = append(m.Features, types.MemberFeaturesConfigurationResult{Name: types.OrgFeature(name), Status: featureStatus(features[name])})
		}
		out.MemberDataSourceConfigurations = append(out.MemberDataSourceConfigurations, m)
		return ""
	})
	out.UnprocessedAccounts = left
	return out, err
}

// updateMemberDetectors turns protection plans on and off in members.
// https://docs.aws.amazon.com/guardduty/latest/APIReference/API_UpdateMemberDetectors.html
func updateMemberDetectors(c *call, in *guardduty.UpdateMemberDetectorsInput) (*guardduty.UpdateMemberDetectorsOutput, error) {
	left, err := c.members(in.DetectorId, in.AccountIds, func(_ *guardDutyState, account, status string) string {
		if status == memberRemoved {
			return notAssociated
		}
		for _, f := range in.Features {
			c.w.guardDuty(account, c.region).Detector.Features[string(f.Name)] = f.Status == types.FeatureStatusEnabled
		}
		return ""
	})
	return &guardduty.UpdateMemberDetectorsOutput{UnprocessedAccounts: left}, err
}
