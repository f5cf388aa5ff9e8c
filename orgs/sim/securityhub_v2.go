package sim

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
)

// hubV2 is the newer Security Hub where it is on. It is another thing than Security
// Hub CSPM: either can be on without the other.
// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-v2-enable.html
type hubV2 struct {
	Since time.Time         `json:"since"`
	Tags  map[string]string `json:"tags,omitempty"`
}

// hubV2Admins is where the newer Security Hub's administrator is kept, which is one
// for all Regions.
const hubV2Admins = securityHubPrincipal + "/v2"

// hubV2Admin is the newer Security Hub's administrator: that of Security Hub CSPM,
// unless it is the management account, and else the one that was appointed.
// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-v2-set-da.html
func (w *World) hubV2Admin() string {
	if id := w.cspmAdmin(); id != "" && id != w.state.Org.ManagementAccount {
		return id
	}
	return w.admin(hubV2Admins, "")
}

// cspmAdmin is the administrator of Security Hub CSPM in any Region.
func (w *World) cspmAdmin() string {
	for _, id := range w.state.Org.Admins[securityHubPrincipal] {
		return id // it is the same in all
	}
	return ""
}

// enableHubV2Admin appoints the newer Security Hub's administrator. The management
// account cannot be it, and no other than Security Hub CSPM's can, where a member
// account is that one.
func enableHubV2Admin(c *call, account string) error {
	o := &c.w.state.Org
	cspm, now := c.w.cspmAdmin(), c.w.hubV2Admin()
	switch {
	case c.caller.Account != o.ManagementAccount:
		return accessDenied("You are not authorized: only the organization's management account may designate a delegated administrator.")
	case account == o.ManagementAccount:
		return badHub("the organization's management account cannot be the delegated administrator of Security Hub.")
	case o.Accounts[account] == nil:
		return badHub("the account is not a member of the organization.")
	case cspm != "" && cspm != o.ManagementAccount && cspm != account, now != "" && now != account:
		return badHub("another account is already the delegated administrator of the organization.")
	}
	if err := c.trust(securityHubPrincipal, account); err != nil {
		return err
	}
	c.w.setAdmin(hubV2Admins, "", account)
	return nil
}

// disableHubV2Admin takes the appointment back, and with it that of Security Hub CSPM
// in every Region, where it is the same account.
func disableHubV2Admin(c *call, account string) error {
	switch {
	case c.caller.Account != c.w.state.Org.ManagementAccount:
		return noHubAccess("Only the organization's management account may remove a delegated administrator.")
	case c.w.hubV2Admin() != account:
		return badHub("The account is not the delegated administrator of the organization.")
	}
	c.w.forgetHubAdmin(account)
	return nil
}

// forgetHubAdmin ends an account's administration of both in every Region, as
// deregistering it with Organizations does.
// https://docs.aws.amazon.com/securityhub/latest/userguide/remove-admin-overview.html
func (w *World) forgetHubAdmin(account string) {
	for _, region := range slices.Collect(maps.Keys(w.state.Org.Admins[securityHubPrincipal])) {
		if w.admin(securityHubPrincipal, region) == account {
			w.endHubAdmin(account, region)
		}
	}
	if w.admin(hubV2Admins, "") == account {
		w.setAdmin(hubV2Admins, "", "")
	}
}

// The newer Security Hub in an account × Region ------------------------------

// allSupported stands for every Region, those to come included.
const allSupported = "ALL_SUPPORTED"

// hubPolicy is what the Security Hub policies come to in an account.
type hubPolicy struct {
	Enable  []string `json:"enable_in_regions"`
	Disable []string `json:"disable_in_regions"`
}

// in says what the policy does in a Region: enable, disable or, where it names the
// Region in neither list, nothing.
func (p hubPolicy) in(region string) (enable, disable bool) {
	names := func(list []string) bool { return slices.Contains(list, region) || slices.Contains(list, allSupported) }
	if names(p.Disable) {
		return false, true
	}
	return names(p.Enable), false
}

func (w *World) hubPolicy(account string) hubPolicy {
	var policy struct {
		SecurityHub hubPolicy `json:"securityhub"`
	}
	text, err := json.Marshal(w.effective(account, orgtypes.PolicyTypeSecurityhubPolicy))
	if err != nil || json.Unmarshal(text, &policy) != nil {
		return hubPolicy{}
	}
	return policy.SecurityHub
}

// settleHub does in an account × Region what its policy says, once that has had its
// time. It needs trusted access. What it switched on stays on when the policy goes.
func (c *call) settleHub(account, region string, policy hubPolicy) {
	o := &c.w.state.Org
	enable, disable := policy.in(region)
	if !enable && !disable || !c.w.trustedAccess(securityHubPrincipal) || c.now.Before(o.HubPolicySince.Add(c.w.timing.HubPolicy)) ||
		!c.w.regionIsOn(account, region) || o.Accounts[account].State != orgtypes.AccountStateActive {
		return
	}
	switch h := c.w.securityHub(account, region); {
	case disable && h.V2 != nil:
		h.V2 = nil
		c.w.dirty()
	case enable && h.V2 == nil:
		h.V2 = &hubV2{Since: c.now}
		c.w.dirty()
	}
}

// settleHubs is settleHub everywhere, before a policy of the type changes.
func (c *call) settleHubs(t orgtypes.PolicyType) {
	if t != orgtypes.PolicyTypeSecurityhubPolicy {
		return
	}
	for id := range c.w.state.Org.Accounts {
		policy := c.w.hubPolicy(id)
		for region := range partitionRegions[c.w.state.Partition] {
			c.settleHub(id, region, policy)
		}
	}
	c.w.state.Org.HubPolicySince = c.now
}

func describeHubV2(c *call, _ *securityhub.DescribeSecurityHubV2Input) (*securityhub.DescribeSecurityHubV2Output, error) {
	c.settleHub(c.caller.Account, c.region, c.w.hubPolicy(c.caller.Account))
	h := c.w.securityHub(c.caller.Account, c.region).V2
	if h == nil {
		return nil, &types.ResourceNotFoundException{Message: aws.String("Security Hub is not enabled for the account in the Region.")}
	}
	return &securityhub.DescribeSecurityHubV2Output{HubV2Arn: aws.String(c.hubV2ARN()), SubscribedAt: aws.String(h.Since.Format(time.RFC3339))}, nil
}

func (c *call) hubV2ARN() string {
	return "arn:" + c.w.state.Partition + ":securityhub:" + c.region + ":" + c.caller.Account + ":hubv2/default"
}

// enableHubV2 leaves one that is on as it is. A policy that disables it decides.
func enableHubV2(c *call, in *securityhub.EnableSecurityHubV2Input) (*securityhub.EnableSecurityHubV2Output, error) {
	h := c.w.securityHub(c.caller.Account, c.region)
	if _, disable := c.w.hubPolicy(c.caller.Account).in(c.region); disable {
		return nil, hubByPolicy()
	}
	if h.V2 == nil {
		h.V2 = &hubV2{Since: c.now, Tags: maps.Clone(in.Tags)}
	}
	return &securityhub.EnableSecurityHubV2Output{HubV2Arn: aws.String(c.hubV2ARN())}, nil
}

// disableHubV2 is refused where a policy enables it: members cannot change what the
// organization decides.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_security_hub.html
func disableHubV2(c *call, _ *securityhub.DisableSecurityHubV2Input) (*securityhub.DisableSecurityHubV2Output, error) {
	if enable, _ := c.w.hubPolicy(c.caller.Account).in(c.region); enable {
		return nil, hubByPolicy()
	}
	c.w.securityHub(c.caller.Account, c.region).V2 = nil
	return &securityhub.DisableSecurityHubV2Output{}, nil
}

func hubByPolicy() error {
	return &types.AccessDeniedException{Message: aws.String("A Security Hub policy of the organization decides about the account.")}
}

var regionForm = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)

// isHubPolicy says whether a text is a Security Hub policy: both lists are there,
// with operators, and name Regions.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_security_hub_syntax.html
func isHubPolicy(text string) bool {
	var policy map[string]map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &policy) != nil || len(policy) != 1 {
		return false
	}
	hub := policy["securityhub"]
	for key := range hub {
		if key != "enable_in_regions" && key != "disable_in_regions" && key != "features" {
			return false
		}
	}
	for _, key := range []string{"enable_in_regions", "disable_in_regions"} {
		var operators map[string][]string
		if hub[key] == nil || json.Unmarshal(hub[key], &operators) != nil {
			return false
		}
		for operator, values := range operators {
			switch operator {
			case "@@assign", "@@append", "@@remove":
				if slices.ContainsFunc(values, func(v string) bool { return v != allSupported && !regionForm.MatchString(v) }) {
					return false
				}
			case "@@operators_allowed_for_child_policies":
			default:
				return false
			}
		}
	}
	return true
}
