package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
)

const securityHubPrincipal = "securityhub.amazonaws.com"

// securityHubState is Security Hub in one account × Region.
type securityHubState struct {
	Hub *hub `json:"hub,omitempty"` // nil while Security Hub is off
	// V2 is the newer Security Hub; nil while that is off.
	V2 *hubV2 `json:"v2,omitempty"`
	// Org is what a delegated administrator set here.
	Org *hubOrg `json:"org,omitempty"`
	// Aggregator gathers findings of other Regions here.
	Aggregator *findingAggregator `json:"aggregator,omitempty"`
}

// hub is Security Hub where it is on.
type hub struct {
	Since     time.Time         `json:"since"`
	Standards []string          `json:"standards,omitempty"` // ARNs
	Tags      map[string]string `json:"tags,omitempty"`
	// Administrator is the account that it reports to; "" for none.
	Administrator string `json:"administrator,omitempty"`
}

// hubOrg is a delegated administrator's settings for the organization.
type hubOrg struct {
	AutoEnable bool                      `json:"auto_enable"`
	Standards  types.AutoEnableStandards `json:"standards"`
	// Central says that configuration policies decide, which are not modelled.
	Central bool `json:"central,omitempty"`
	// Members are accounts by number: Enabled or Removed.
	Members map[string]string `json:"members,omitempty"`
	Since   time.Time         `json:"since"` // when AutoEnable was set
}

type findingAggregator struct {
	ID      string   `json:"id"`
	Mode    string   `json:"mode"`
	Regions []string `json:"regions,omitempty"`
}

// securityhubOps are the operations of Security Hub, of what AWS calls Security Hub CSPM:
// about the service itself and the organization, and about findings.
// https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_Operations.html
var securityhubOps = map[string]operation{
	"EnableOrganizationAdminAccount":    op(write, enableHubAdmin),
	"DisableOrganizationAdminAccount":   op(write, disableHubAdmin),
	"ListOrganizationAdminAccounts":     op(read, listHubAdmins),
	"EnableSecurityHub":                 op(write, enableSecurityHub),
	"DisableSecurityHub":                op(write, disableSecurityHub),
	"DescribeOrganizationConfiguration": op(read, describeHubOrg),
	"UpdateOrganizationConfiguration":   op(write, updateHubOrg),
	"CreateMembers":                     op(write, createHubMembers),
	"DisassociateMembers":               op(write, disassociateHubMembers),
	"ListMembers":                       op(read, listHubMembers),
	"GetEnabledStandards":               op(read, getEnabledStandards),
	"BatchEnableStandards":              op(write, batchEnableStandards),
	"BatchDisableStandards":             op(write, batchDisableStandards),
	"CreateFindingAggregator":           op(write, createFindingAggregator),
	"UpdateFindingAggregator":           op(write, updateFindingAggregator),
	"DeleteFindingAggregator":           op(write, deleteFindingAggregator),
	"GetFindingAggregator":              op(read, getFindingAggregator),
	"ListFindingAggregators":            op(read, listFindingAggregators),
	// The newer Security Hub.
	"EnableSecurityHubV2":   op(write, enableHubV2),
	"DisableSecurityHubV2":  op(write, disableHubV2),
	"DescribeSecurityHubV2": op(read, describeHubV2),
	// Findings that are imported into an account's default product.
	"BatchImportFindings": on(op(write, batchImportFindings), func(c *call, _ *securityhub.BatchImportFindingsInput) string { return hubProduct(c) }),
	"GetFindings":         op(read, getHubFindings),
}

func badHub(message string) error { return &types.InvalidInputException{Message: aws.String(message)} }

func noHubAccess(message string) error {
	return &types.InvalidAccessException{Message: aws.String(message)}
}

func (w *World) securityHub(account, region string) *securityHubState {
	return &w.region(account, region).SecurityHub
}

// hub is Security Hub of the caller, where it is on.
func (c *call) hub() (*securityHubState, error) {
	h := c.w.securityHub(c.caller.Account, c.region)
	if h.Hub == nil {
		return nil, noHubAccess("Account " + c.caller.Account + " is not subscribed to AWS Security Hub")
	}
	return h, nil
}

// enableHubAdmin appoints the administrator and leaves its own Security Hub as it is:
// the API reference does not say that it is switched on.
func enableHubAdmin(c *call, in *securityhub.EnableOrganizationAdminAccountInput) (*securityhub.EnableOrganizationAdminAccountOutput, error) {
	account := aws.ToString(in.AdminAccountId)
	if in.Feature == types.SecurityHubFeatureSecurityHubV2 {
		if err := enableHubV2Admin(c, account); err != nil {
			return nil, err
		}
		return &securityhub.EnableOrganizationAdminAccountOutput{AdminAccountId: in.AdminAccountId, Feature: in.Feature}, nil
	}
	if err := c.appoint(securityHubPrincipal, account, badHub); err != nil {
		return nil, err
	}
	if h := c.w.securityHub(account, c.region); h.Org == nil {
		h.Org = &hubOrg{Standards: types.AutoEnableStandardsDefault, Members: map[string]string{}, Since: c.now}
	}
	return &securityhub.EnableOrganizationAdminAccountOutput{AdminAccountId: in.AdminAccountId, Feature: in.Feature}, nil
}

// disableHubAdmin lets the members go, whose Security Hub stays on. It is refused while
// configuration policies decide.
// https://docs.aws.amazon.com/securityhub/latest/userguide/remove-admin-overview.html
func disableHubAdmin(c *call, in *securityhub.DisableOrganizationAdminAccountInput) (*securityhub.DisableOrganizationAdminAccountOutput, error) {
	account := aws.ToString(in.AdminAccountId)
	if in.Feature == types.SecurityHubFeatureSecurityHubV2 {
		if err := disableHubV2Admin(c, account); err != nil {
			return nil, err
		}
		return &securityhub.DisableOrganizationAdminAccountOutput{}, nil
	}
	h := c.w.securityHub(account, c.region)
	switch {
	case c.caller.Account != c.w.state.Org.ManagementAccount:
		return nil, noHubAccess("Only the organization's management account may remove a delegated administrator.")
	case c.w.admin(securityHubPrincipal, c.region) != account:
		return nil, badHub("The account is not the delegated administrator of the organization.")
	case h.Org != nil && h.Org.Central:
		return nil, noHubAccess("The delegated administrator cannot be removed while central configuration is used.")
	}
	c.w.endHubAdmin(account, c.region)
	if c.w.cspmAdmin() == "" {
		c.w.forgetHubAdmin(account) // of the newer Security Hub, too
	}
	return &securityhub.DisableOrganizationAdminAccountOutput{}, nil
}

// endHubAdmin lets the members of a Region's administrator go.
func (w *World) endHubAdmin(account, region string) {
	if h := w.securityHub(account, region); h.Org != nil {
		for member := range h.Org.Members {
			if own := w.securityHub(member, region).Hub; own != nil {
				own.Administrator = ""
			}
		}
		h.Org = nil
	}
	w.setAdmin(securityHubPrincipal, region, "")
}

func listHubAdmins(c *call, in *securityhub.ListOrganizationAdminAccountsInput) (*securityhub.ListOrganizationAdminAccountsOutput, error) {
	if c.caller.Account != c.w.state.Org.ManagementAccount {
		return nil, noHubAccess("The caller is not the organization's management account.")
	}
	out := &securityhub.ListOrganizationAdminAccountsOutput{AdminAccounts: []types.AdminAccount{}, Feature: in.Feature}
	id := c.w.admin(securityHubPrincipal, c.region)
	if in.Feature == types.SecurityHubFeatureSecurityHubV2 {
		id = c.w.hubV2Admin()
	}
	if id != "" {
		out.AdminAccounts = append(out.AdminAccounts, types.AdminAccount{AccountId: aws.String(id), Status: types.AdminStatusEnabled})
	}
	return out, nil
}

// hubStandard is the ARN of a standard in a Region. The oldest one has no Region.
// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-standards-enable-disable.html
func (w *World) hubStandard(region, name string) string {
	if name == "cis-aws-foundations-benchmark/v/1.2.0" {
		return "arn:" + w.state.Partition + ":securityhub:::ruleset/" + name
	}
	return "arn:" + w.state.Partition + ":securityhub:" + region + "::standards/" + name
}

// hubStandards are those there are; the first two are enabled by default.
var hubStandards = []string{
	"aws-foundational-security-best-practices/v/1.0.0", "cis-aws-foundations-benchmark/v/1.2.0",
	"aws-resource-tagging-standard/v/1.0.0", "cis-aws-foundations-benchmark/v/1.4.0", "cis-aws-foundations-benchmark/v/3.0.0",
	"cis-aws-foundations-benchmark/v/5.0.0", "nist-800-171/v/2.0.0", "nist-800-53/v/5.0.0", "pci-dss/v/3.2.1", "pci-dss/v/4.0.1",
}

// newHub switches Security Hub on in an account, with its role.
func (c *call) newHub(account string, standards bool) *hub {
	c.w.ensureLinkedRole(c, account, securityHubPrincipal)
	h := &hub{Since: c.now}
	if standards {
		h.Standards = []string{c.w.hubStandard(c.region, hubStandards[0]), c.w.hubStandard(c.region, hubStandards[1])}
	}
	return h
}

func enableSecurityHub(c *call, in *securityhub.EnableSecurityHubInput) (*securityhub.EnableSecurityHubOutput, error) {
	h := c.w.securityHub(c.caller.Account, c.region)
	if h.Hub != nil {
		return nil, &types.ResourceConflictException{Message: aws.String("Account is already subscribed to Security Hub")}
	}
	h.Hub = c.newHub(c.caller.Account, in.EnableDefaultStandards == nil || *in.EnableDefaultStandards)
	h.Hub.Tags = maps.Clone(in.Tags)
	return &securityhub.EnableSecurityHubOutput{}, nil
}

func disableSecurityHub(c *call, _ *securityhub.DisableSecurityHubInput) (*securityhub.DisableSecurityHubOutput, error) {
	h, err := c.hub()
	switch {
	case err != nil:
		return nil, err
	case h.Hub.Administrator != "" || h.Org != nil:
		return nil, noHubAccess("Member and administrator accounts cannot disable Security Hub")
	}
	h.Hub, h.Aggregator = nil, nil
	return &securityhub.DisableSecurityHubOutput{}, nil
}

// hubOrganization is the caller's settings for the organization, which only the
// delegated administrator of the Region has. Accounts that joined since auto-enable
// is on are members.
func (c *call) hubOrganization() (*hubOrg, error) {
	h, err := c.hub()
	if err != nil {
		return nil, err
	}
	if h.Org == nil || c.w.admin(securityHubPrincipal, c.region) != c.caller.Account {
		return nil, noHubAccess("Account " + c.caller.Account + " is not an administrator for this organization")
	}
	for _, account := range slices.Sorted(maps.Keys(c.w.state.Org.Accounts)) {
		if h.Org.AutoEnable && h.Org.Members[account] == "" && c.w.state.Org.Accounts[account].Joined.After(h.Org.Since) {
			c.enlist(h.Org, account, h.Org.Standards == types.AutoEnableStandardsDefault)
		}
	}
	return h.Org, nil
}

// enlist makes an account a member, with Security Hub on; it says why not where it
// cannot.
func (c *call) enlist(o *hubOrg, account string, standards bool) string {
	a := c.w.state.Org.Accounts[account]
	member := c.w.securityHub(account, c.region)
	switch {
	case a == nil:
		return "Account is not a member of the organization"
	case account == c.caller.Account:
		return "Account is the administrator itself"
	case a.State != "ACTIVE", !c.w.regionIsOn(account, c.region):
		return "Security Hub cannot be enabled in the account"
	case account == c.w.state.Org.ManagementAccount && member.Hub == nil:
		return "The management account must enable Security Hub first"
	}
	if member.Hub == nil {
		member.Hub = c.newHub(account, standards)
	}
	member.Hub.Administrator = c.caller.Account
	o.Members[account] = memberEnabled
	return ""
}

func describeHubOrg(c *call, _ *securityhub.DescribeOrganizationConfigurationInput) (*securityhub.DescribeOrganizationConfigurationOutput, error) {
	o, err := c.hubOrganization()
	if err != nil {
		return nil, err
	}
	out := &securityhub.DescribeOrganizationConfigurationOutput{
		AutoEnable: aws.Bool(o.AutoEnable), AutoEnableStandards: o.Standards, MemberAccountLimitReached: aws.Bool(false),
		OrganizationConfiguration: &types.OrganizationConfiguration{
			ConfigurationType: types.OrganizationConfigurationConfigurationTypeLocal, Status: types.OrganizationConfigurationStatusEnabled,
		},
	}
	if o.Central {
		out.AutoEnable, out.AutoEnableStandards = aws.Bool(false), types.AutoEnableStandardsNone
		out.OrganizationConfiguration.ConfigurationType = types.OrganizationConfigurationConfigurationTypeCentral
	}
	return out, nil
}

// updateHubOrg refuses to set by hand what configuration policies decide, and central
// configuration where findings are not gathered.
// https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_UpdateOrganizationConfiguration.html
func updateHubOrg(c *call, in *securityhub.UpdateOrganizationConfigurationInput) (*securityhub.UpdateOrganizationConfigurationOutput, error) {
	o, err := c.hubOrganization()
	if err != nil {
		return nil, err
	}
	if in.AutoEnable == nil {
		return nil, badHub("AutoEnable is required")
	}
	central := o.Central
	if in.OrganizationConfiguration != nil {
		central = in.OrganizationConfiguration.ConfigurationType == types.OrganizationConfigurationConfigurationTypeCentral
	}
	switch {
	case central && (*in.AutoEnable || in.AutoEnableStandards != types.AutoEnableStandardsNone):
		return nil, badHub("AutoEnable must be false and AutoEnableStandards NONE with central configuration")
	case central && c.w.securityHub(c.caller.Account, c.region).Aggregator == nil:
		return nil, badHub("Central configuration needs a finding aggregator in this Region")
	}
	if *in.AutoEnable != o.AutoEnable {
		o.AutoEnable, o.Since = *in.AutoEnable, c.now
	}
	if o.Central = central; in.AutoEnableStandards != "" {
		o.Standards = in.AutoEnableStandards
	}
	return &securityhub.UpdateOrganizationConfigurationOutput{}, nil
}

// eachHubAccount does something to accounts of the organization, one after the other; do
// says why not where it cannot.
func eachHubAccount(accounts []string, do func(account string) string) ([]types.Result, error) {
	if n := len(accounts); n < 1 || n > 50 {
		return nil, badHub("the number of accounts is not between 1 and 50.")
	}
	left := []types.Result{}
	for _, account := range accounts {
		if why := do(account); why != "" {
			left = append(left, types.Result{AccountId: aws.String(account), ProcessingResult: aws.String(why)})
		}
	}
	return left, nil
}

func createHubMembers(c *call, in *securityhub.CreateMembersInput) (*securityhub.CreateMembersOutput, error) {
	o, err := c.hubOrganization()
	if err != nil {
		return nil, err
	}
	var accounts []string
	for _, d := range in.AccountDetails {
		accounts = append(accounts, aws.ToString(d.AccountId))
	}
	left, err := eachHubAccount(accounts, func(account string) string { return c.enlist(o, account, true) })
	return &securityhub.CreateMembersOutput{UnprocessedAccounts: left}, err
}

func disassociateHubMembers(c *call, in *securityhub.DisassociateMembersInput) (*securityhub.DisassociateMembersOutput, error) {
	o, err := c.hubOrganization()
	if err != nil {
		return nil, err
	}
	_, err = eachHubAccount(in.AccountIds, func(account string) string {
		if o.Members[account] == memberEnabled {
			o.Members[account] = memberRemoved
			c.w.securityHub(account, c.region).Hub.Administrator = ""
		}
		return ""
	})
	return &securityhub.DisassociateMembersOutput{}, err
}

func listHubMembers(c *call, in *securityhub.ListMembersInput) (*securityhub.ListMembersOutput, error) {
	o, err := c.hubOrganization()
	if err != nil {
		return nil, err
	}
	all := []types.Member{}
	for _, account := range slices.Sorted(maps.Keys(o.Members)) {
		status := o.Members[account]
		if status != memberEnabled && (in.OnlyAssociated == nil || *in.OnlyAssociated) {
			continue
		}
		m := types.Member{AccountId: aws.String(account), AdministratorId: aws.String(c.caller.Account), MemberStatus: aws.String(status), UpdatedAt: aws.Time(c.now)}
		if a := c.w.state.Org.Accounts[account]; a != nil {
			m.Email = aws.String(a.Email)
		}
		all = append(all, m)
	}
	page, next, err := hubPage(c, all, 50, in.MaxResults, in.NextToken)
	return &securityhub.ListMembersOutput{Members: page, NextToken: next}, err
}

// hubPage is a page of a list.
func hubPage[T any](c *call, all []T, limit int, wanted *int32, token *string) ([]T, *string, error) {
	if wanted != nil {
		limit = min(limit, int(*wanted))
	}
	page, next, ok := pageOf(c, all, limit, token)
	if !ok {
		return nil, nil, badHub("The NextToken is invalid.")
	}
	return page, next, nil
}

// centrally says whether a configuration policy decides about an account, which may
// not change its standards then.
func (c *call) centrally(h *securityHubState) bool {
	admin := c.w.admin(securityHubPrincipal, c.region)
	if admin == "" || (h.Hub.Administrator != admin && c.caller.Account != admin) {
		return false
	}
	o := c.w.securityHub(admin, c.region).Org
	return o != nil && o.Central
}

// subscription is a standard that is enabled. Without a recorder of AWS Config it
// cannot check.
func (c *call) subscription(arn string) types.StandardsSubscription {
	name := arn[strings.LastIndex(arn, "::")+2:]
	name = name[strings.Index(name, "/")+1:]
	s := types.StandardsSubscription{
		StandardsArn: aws.String(arn), StandardsInput: map[string]string{}, StandardsStatus: types.StandardsStatusReady,
		StandardsSubscriptionArn: aws.String(c.arn("securityhub", "subscription/"+name)), StandardsControlsUpdatable: types.StandardsControlsUpdatableReadyForUpdates,
	}
	recording := false
	for _, r := range c.here().Config.Recorders {
		recording = recording || r.Recording
	}
	if !recording {
		s.StandardsStatus = types.StandardsStatusIncomplete
		s.StandardsStatusReason = &types.StandardsStatusReason{StatusReasonCode: types.StatusReasonCodeNoAvailableConfigurationRecorder}
	}
	return s
}

func getEnabledStandards(c *call, in *securityhub.GetEnabledStandardsInput) (*securityhub.GetEnabledStandardsOutput, error) {
	h, err := c.hub()
	if err != nil {
		return nil, err
	}
	all := []types.StandardsSubscription{}
	for _, arn := range h.Hub.Standards {
		s := c.subscription(arn)
		if len(in.StandardsSubscriptionArns) == 0 || slices.Contains(in.StandardsSubscriptionArns, *s.StandardsSubscriptionArn) {
			all = append(all, s)
		}
	}
	page, next, err := hubPage(c, all, 100, in.MaxResults, in.NextToken)
	return &securityhub.GetEnabledStandardsOutput{StandardsSubscriptions: page, NextToken: next}, err
}

func batchEnableStandards(c *call, in *securityhub.BatchEnableStandardsInput) (*securityhub.BatchEnableStandardsOutput, error) {
	h, err := c.hub()
	if err != nil {
		return nil, err
	}
	if c.centrally(h) {
		return nil, noHubAccess("The account is centrally managed by the delegated administrator")
	}
	if n := len(in.StandardsSubscriptionRequests); n < 1 || n > 25 {
		return nil, badHub("the number of standards is not between 1 and 25.")
	}
	out := &securityhub.BatchEnableStandardsOutput{}
	for _, r := range in.StandardsSubscriptionRequests {
		arn := aws.ToString(r.StandardsArn)
		if !slices.ContainsFunc(hubStandards, func(name string) bool { return c.w.hubStandard(c.region, name) == arn }) {
			return nil, badHub("There is no standard " + arn)
		}
		if !slices.Contains(h.Hub.Standards, arn) {
			h.Hub.Standards = append(h.Hub.Standards, arn)
		}
		s := c.subscription(arn)
		s.StandardsStatus, s.StandardsStatusReason = types.StandardsStatusPending, nil
		out.StandardsSubscriptions = append(out.StandardsSubscriptions, s)
	}
	return out, nil
}

func batchDisableStandards(c *call, in *securityhub.BatchDisableStandardsInput) (*securityhub.BatchDisableStandardsOutput, error) {
	h, err := c.hub()
	if err != nil {
		return nil, err
	}
	if c.centrally(h) {
		return nil, noHubAccess("The account is centrally managed by the delegated administrator")
	}
	out := &securityhub.BatchDisableStandardsOutput{}
	h.Hub.Standards = slices.DeleteFunc(h.Hub.Standards, func(arn string) bool {
		s := c.subscription(arn)
		if !slices.Contains(in.StandardsSubscriptionArns, *s.StandardsSubscriptionArn) {
			return false
		}
		s.StandardsStatus = types.StandardsStatusDeleting
		out.StandardsSubscriptions = append(out.StandardsSubscriptions, s)
		return true
	})
	return out, nil
}

// The ways in which an aggregator takes Regions.
const (
	linkAll       = "ALL_REGIONS"
	linkAllBut    = "ALL_REGIONS_EXCEPT_SPECIFIED"
	linkSpecified = "SPECIFIED_REGIONS"
	linkNone      = "NO_REGIONS"
)

// linked checks what an aggregator is to link.
func (c *call) linked(mode *string, regions []string) error {
	m := aws.ToString(mode)
	switch {
	case !slices.Contains([]string{linkAll, linkAllBut, linkSpecified, linkNone}, m):
		return badHub("RegionLinkingMode is not valid")
	case (m == linkAll || m == linkNone) != (len(regions) == 0):
		return badHub("Regions do not go with this RegionLinkingMode")
	case slices.Contains(regions, c.region):
		return badHub("The home Region cannot be linked to itself")
	}
	return nil
}

// aggregatorOf is the account's one aggregator, in whatever Region it is.
func (c *call) aggregatorOf() (region string, a *findingAggregator) {
	for _, region := range slices.Sorted(maps.Keys(c.account().Regions)) {
		if a := c.account().Regions[region].SecurityHub.Aggregator; a != nil {
			return region, a
		}
	}
	return "", nil
}

func (c *call) aggregatorARN(region string, a *findingAggregator) string {
	return strings.Replace(c.arn("securityhub", "finding-aggregator/"+a.ID), ":"+c.region+":", ":"+region+":", 1)
}

// createFindingAggregator makes the account's one aggregator, in the home Region. A
// member has none: its administrator's gathers its findings.
func createFindingAggregator(c *call, in *securityhub.CreateFindingAggregatorInput) (*securityhub.CreateFindingAggregatorOutput, error) {
	h, err := c.hub()
	if err != nil {
		return nil, err
	}
	if err := c.linked(in.RegionLinkingMode, in.Regions); err != nil {
		return nil, err
	}
	switch _, there := c.aggregatorOf(); {
	case there != nil:
		return nil, badHub("The account has a finding aggregator already")
	case h.Hub.Administrator != "":
		return nil, noHubAccess("The account is a member")
	}
	h.Aggregator = &findingAggregator{ID: c.w.uuid(), Mode: *in.RegionLinkingMode, Regions: slices.Clone(in.Regions)}
	return &securityhub.CreateFindingAggregatorOutput{
		FindingAggregatorArn: aws.String(c.aggregatorARN(c.region, h.Aggregator)), FindingAggregationRegion: aws.String(c.region),
		RegionLinkingMode: in.RegionLinkingMode, Regions: in.Regions,
	}, nil
}

// aggregator is the account's, by its ARN.
func (c *call) aggregator(arn *string) (string, *findingAggregator, error) {
	region, a := c.aggregatorOf()
	if a == nil || c.aggregatorARN(region, a) != aws.ToString(arn) {
		return "", nil, &types.ResourceNotFoundException{Message: aws.String("There is no such finding aggregator")}
	}
	return region, a, nil
}

func updateFindingAggregator(c *call, in *securityhub.UpdateFindingAggregatorInput) (*securityhub.UpdateFindingAggregatorOutput, error) {
	region, a, err := c.aggregator(in.FindingAggregatorArn)
	if err != nil {
		return nil, err
	}
	if region != c.region {
		return nil, noHubAccess("The finding aggregator can be changed in its home Region only")
	}
	if err := c.linked(in.RegionLinkingMode, in.Regions); err != nil {
		return nil, err
	}
	a.Mode, a.Regions = *in.RegionLinkingMode, slices.Clone(in.Regions)
	return &securityhub.UpdateFindingAggregatorOutput{
		FindingAggregatorArn: in.FindingAggregatorArn, FindingAggregationRegion: aws.String(region), RegionLinkingMode: in.RegionLinkingMode, Regions: in.Regions,
	}, nil
}

func deleteFindingAggregator(c *call, in *securityhub.DeleteFindingAggregatorInput) (*securityhub.DeleteFindingAggregatorOutput, error) {
	region, _, err := c.aggregator(in.FindingAggregatorArn)
	if err != nil {
		return nil, err
	}
	if o := c.w.securityHub(c.caller.Account, region).Org; o != nil && o.Central {
		return nil, noHubAccess("Central configuration needs the finding aggregator")
	}
	c.w.securityHub(c.caller.Account, region).Aggregator = nil
	return &securityhub.DeleteFindingAggregatorOutput{}, nil
}

func getFindingAggregator(c *call, in *securityhub.GetFindingAggregatorInput) (*securityhub.GetFindingAggregatorOutput, error) {
	region, a, err := c.aggregator(in.FindingAggregatorArn)
	if err != nil {
		return nil, err
	}
	return &securityhub.GetFindingAggregatorOutput{
		FindingAggregatorArn: in.FindingAggregatorArn, FindingAggregationRegion: aws.String(region), RegionLinkingMode: aws.String(a.Mode), Regions: slices.Clone(a.Regions),
	}, nil
}

func listFindingAggregators(c *call, _ *securityhub.ListFindingAggregatorsInput) (*securityhub.ListFindingAggregatorsOutput, error) {
	if _, err := c.hub(); err != nil {
		return nil, err
	}
	out := &securityhub.ListFindingAggregatorsOutput{FindingAggregators: []types.FindingAggregator{}}
	if region, a := c.aggregatorOf(); a != nil {
		out.FindingAggregators = append(out.FindingAggregators, types.FindingAggregator{FindingAggregatorArn: aws.String(c.aggregatorARN(region, a))})
	}
	return out, nil
}
