package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	analyzertypes "github.com/aws/aws-sdk-go-v2/service/accessanalyzer/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
)

// analyzers are IAM Access Analyzer's of accounts and of the organization.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-delegated-administrator.html
func analyzers(ctx context.Context, s *script) {
	const region, service = "eu-west-1", "access-analyzer.amazonaws.com"
	client := func(account string) *accessanalyzer.Client {
		return accessanalyzer.NewFromConfig(s.in(account, region))
	}
	create := func(step, account, name string, kind analyzertypes.Type) {
		s.did(step)(client(account).CreateAnalyzer(ctx, &accessanalyzer.CreateAnalyzerInput{AnalyzerName: &name, Type: kind}))
	}
	list := func(step, account string, kind analyzertypes.Type) {
		see(s, step, func(o *accessanalyzer.ListAnalyzersOutput) any {
			all := []string{}
			for _, a := range o.Analyzers {
				all = append(all, fmt.Sprintf("%s %s %s", aws.ToString(a.Name), a.Type, a.Status))
			}
			return all
		})(client(account).ListAnalyzers(ctx, &accessanalyzer.ListAnalyzersInput{Type: kind}))
	}
	list("none at the beginning", "shop", "")

	// An account's own: one of a type in a Region.
	create("a name that begins with a digit", "shop", "1st", analyzertypes.TypeAccount)
	create("an account's own", "shop", "own", analyzertypes.TypeAccount)
	create("of the same name", "shop", "own", analyzertypes.TypeAccount)
	create("another of the type", "shop", "more", analyzertypes.TypeAccount)
	create("of another type", "shop", "unused", analyzertypes.TypeAccountUnusedAccess)
	list("both are active", "shop", "")
	list("one of a type", "shop", analyzertypes.TypeAccountUnusedAccess)
	see(s, "unused access is ninety days", func(o *accessanalyzer.GetAnalyzerOutput) any {
		c, _ := o.Analyzer.Configuration.(*analyzertypes.AnalyzerConfigurationMemberUnusedAccess)
		return aws.ToInt32(c.Value.UnusedAccessAge)
	})(client("shop").GetAnalyzer(ctx, &accessanalyzer.GetAnalyzerInput{AnalyzerName: aws.String("unused")}))
	s.did("one that is not there")(client("shop").GetAnalyzer(ctx, &accessanalyzer.GetAnalyzerInput{AnalyzerName: aws.String("none")}))
	s.did("more than a year")(client("pay").CreateAnalyzer(ctx, &accessanalyzer.CreateAnalyzerInput{
		AnalyzerName: aws.String("old"), Type: analyzertypes.TypeAccountUnusedAccess,
		Configuration: &analyzertypes.AnalyzerConfigurationMemberUnusedAccess{Value: analyzertypes.UnusedAccessConfiguration{UnusedAccessAge: aws.Int32(366)}},
	}))
	see(s, "one a page", func(o *accessanalyzer.ListAnalyzersOutput) any { return []any{len(o.Analyzers), o.NextToken != nil} })(
		client("shop").ListAnalyzers(ctx, &accessanalyzer.ListAnalyzersInput{MaxResults: aws.Int32(1)}))

	// The organization's: who may, and how many.
	create("of the organization, by a member", "security", "org", analyzertypes.TypeOrganization)
	create("of the organization, without trusted access", "management", "org", analyzertypes.TypeOrganization)
	o := organizations.NewFromConfig(s.management)
	s.did("trusted access")(o.EnableAWSServiceAccess(ctx, &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(service)}))
	s.did("an administrator")(o.RegisterDelegatedAdministrator(ctx, &organizations.RegisterDelegatedAdministratorInput{AccountId: aws.String(s.ids["security"]), ServicePrincipal: aws.String(service)}))
	s.did("a second one")(o.RegisterDelegatedAdministrator(ctx, &organizations.RegisterDelegatedAdministratorInput{AccountId: aws.String(s.ids["shop"]), ServicePrincipal: aws.String(service)}))
	create("of the organization, by the administrator", "security", "org-1", analyzertypes.TypeOrganization)
	create("of the organization, by the management account", "management", "org", analyzertypes.TypeOrganization)
	for i := 2; i <= 5; i++ {
		create(fmt.Sprintf("of the organization, number %d", i), "security", fmt.Sprintf("org-%d", i), analyzertypes.TypeOrganization)
	}
	create("a sixth of the type", "security", "org-6", analyzertypes.TypeOrganization)
	create("a sixth of another type", "security", "org-unused", analyzertypes.TypeOrganizationUnusedAccess)

	// Without its administrator an analyzer of the organization is disabled, and stays.
	s.did("the administrator goes")(o.DeregisterDelegatedAdministrator(ctx, &organizations.DeregisterDelegatedAdministratorInput{AccountId: aws.String(s.ids["security"]), ServicePrincipal: aws.String(service)}))
	list("its analyzers are disabled", "security", analyzertypes.TypeOrganizationUnusedAccess)
	list("not the management account's", "management", "")
	s.did("delete one")(client("security").DeleteAnalyzer(ctx, &accessanalyzer.DeleteAnalyzerInput{AnalyzerName: aws.String("org-unused")}))
	s.did("delete it again")(client("security").DeleteAnalyzer(ctx, &accessanalyzer.DeleteAnalyzerInput{AnalyzerName: aws.String("org-unused")}))
}

// memberStates are members with their states.
func memberStates(s *script, members []types.Member) []string {
	out := []string{}
	for _, m := range members {
		out = append(out, s.name(aws.ToString(m.AccountId))+" "+aws.ToString(m.MemberStatus))
	}
	slices.Sort(out)
	return out
}

// securityHub is Security Hub CSPM of an organization, as far as moto has it.
// https://docs.aws.amazon.com/securityhub/latest/userguide/designate-orgs-admin-account.html
func securityHub(ctx context.Context, s *script) {
	const region = "eu-west-1"
	client := func(account string) *securityhub.Client { return securityhub.NewFromConfig(s.in(account, region)) }
	mgmt, admin, shop := client("management"), client("security"), client("shop")
	appoint := func(step string, c *securityhub.Client, account string) {
		s.did(step)(c.EnableOrganizationAdminAccount(ctx, &securityhub.EnableOrganizationAdminAccountInput{AdminAccountId: aws.String(s.ids[account])}))
	}
	settings := func(step string, c *securityhub.Client) {
		see(s, step, func(o *securityhub.DescribeOrganizationConfigurationOutput) any {
			return []any{aws.ToBool(o.AutoEnable), o.AutoEnableStandards}
		})(c.DescribeOrganizationConfiguration(ctx, &securityhub.DescribeOrganizationConfigurationInput{}))
	}
	members := func(step string, all bool) {
		see(s, step, func(o *securityhub.ListMembersOutput) any { return memberStates(s, o.Members) })(admin.ListMembers(ctx, &securityhub.ListMembersInput{OnlyAssociated: aws.Bool(!all)}))
	}
	details := func(names ...string) []types.AccountDetails {
		var out []types.AccountDetails
		for _, name := range names {
			out = append(out, types.AccountDetails{AccountId: aws.String(s.ids[name]), Email: aws.String(name + "@example.com")})
		}
		return out
	}

	settings("an account where it is off", shop)
	s.did("switch it on")(shop.EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{EnableDefaultStandards: aws.Bool(false)}))
	s.did("switch it on again")(shop.EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{EnableDefaultStandards: aws.Bool(false)}))
	settings("an account that administers nothing", shop)

	appoint("a member appoints itself", shop, "shop")
	appoint("the management account appoints one", mgmt, "security")
	appoint("the same again", mgmt, "security")
	appoint("another one", mgmt, "pay")
	settings("the administrator's own is off", admin)
	s.did("the administrator switches its own on")(admin.EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{EnableDefaultStandards: aws.Bool(false)}))
	settings("by default", admin)

	s.did("new accounts are enabled")(admin.UpdateOrganizationConfiguration(ctx, &securityhub.UpdateOrganizationConfigurationInput{AutoEnable: aws.Bool(true), AutoEnableStandards: types.AutoEnableStandardsNone}))
	settings("so it says", admin)
	s.did("central configuration without an aggregator")(admin.UpdateOrganizationConfiguration(ctx, &securityhub.UpdateOrganizationConfigurationInput{
		AutoEnable: aws.Bool(false), AutoEnableStandards: types.AutoEnableStandardsNone,
		OrganizationConfiguration: &types.OrganizationConfiguration{ConfigurationType: types.OrganizationConfigurationConfigurationTypeCentral},
	}))
	s.did("by a member")(shop.UpdateOrganizationConfiguration(ctx, &securityhub.UpdateOrganizationConfigurationInput{AutoEnable: aws.Bool(true)}))

	members("nobody yet", true)
	see(s, "two members", func(o *securityhub.CreateMembersOutput) any { return len(o.UnprocessedAccounts) })(
		admin.CreateMembers(ctx, &securityhub.CreateMembersInput{AccountDetails: details("shop", "pay")}))
	see(s, "the same again, and the administrator itself", func(o *securityhub.CreateMembersOutput) any { return len(o.UnprocessedAccounts) })(
		admin.CreateMembers(ctx, &securityhub.CreateMembersInput{AccountDetails: details("shop", "security")}))
	s.did("fifty-one at once")(admin.CreateMembers(ctx, &securityhub.CreateMembersInput{AccountDetails: details(slices.Repeat([]string{"pay"}, 51)...)}))
	members("they are enabled", false)
	s.did("a member switches it off")(shop.DisableSecurityHub(ctx, &securityhub.DisableSecurityHubInput{}))
	s.did("the administrator switches it off")(admin.DisableSecurityHub(ctx, &securityhub.DisableSecurityHubInput{}))
}

// securityHubRules is what of Security Hub CSPM moto does not have.
// https://docs.aws.amazon.com/securityhub/latest/userguide/central-configuration-intro.html
func securityHubRules(ctx context.Context, s *script) {
	const region = "eu-west-1"
	client := func(account string) *securityhub.Client { return securityhub.NewFromConfig(s.in(account, region)) }
	mgmt, admin, shop := client("management"), client("security"), client("shop")
	s.did("an administrator")(mgmt.EnableOrganizationAdminAccount(ctx, &securityhub.EnableOrganizationAdminAccountInput{AdminAccountId: aws.String(s.ids["security"])}))
	see(s, "who administers it", func(o *securityhub.ListOrganizationAdminAccountsOutput) any { return len(o.AdminAccounts) })(
		mgmt.ListOrganizationAdminAccounts(ctx, &securityhub.ListOrganizationAdminAccountsInput{}))
	s.did("asked by a member")(shop.ListOrganizationAdminAccounts(ctx, &securityhub.ListOrganizationAdminAccountsInput{}))
	s.did("it switches its own on")(admin.EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{EnableDefaultStandards: aws.Bool(false)}))
	for _, name := range []string{"shop", "pay"} {
		s.did(name + " switches it on")(client(name).EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{EnableDefaultStandards: aws.Bool(false)}))
		s.did(name + " is a member")(admin.CreateMembers(ctx, &securityhub.CreateMembersInput{AccountDetails: []types.AccountDetails{{AccountId: aws.String(s.ids[name])}}}))
	}
	members := func(step string, all bool) {
		see(s, step, func(o *securityhub.ListMembersOutput) any { return memberStates(s, o.Members) })(
			admin.ListMembers(ctx, &securityhub.ListMembersInput{OnlyAssociated: aws.Bool(!all)}))
	}
	s.did("let one go")(admin.DisassociateMembers(ctx, &securityhub.DisassociateMembersInput{AccountIds: []string{s.ids["pay"]}}))
	members("one is left", false)
	members("and one was removed", true)

	standards := func(step string) {
		see(s, step, func(o *securityhub.GetEnabledStandardsOutput) any { return len(o.StandardsSubscriptions) })(shop.GetEnabledStandards(ctx, &securityhub.GetEnabledStandardsInput{}))
	}
	standards("no standard yet")
	want := []types.StandardsSubscriptionRequest{{StandardsArn: aws.String("arn:aws:securityhub:" + region + "::standards/aws-foundational-security-best-practices/v/1.0.0")}}
	s.did("a standard")(shop.BatchEnableStandards(ctx, &securityhub.BatchEnableStandardsInput{StandardsSubscriptionRequests: want}))
	s.did("the standard again")(shop.BatchEnableStandards(ctx, &securityhub.BatchEnableStandardsInput{StandardsSubscriptionRequests: want}))
	s.did("a standard that there is not")(shop.BatchEnableStandards(ctx, &securityhub.BatchEnableStandardsInput{StandardsSubscriptionRequests: []types.StandardsSubscriptionRequest{
		{StandardsArn: aws.String("arn:aws:securityhub:" + region + "::standards/none/v/1.0.0")},
	}}))
	standards("one standard")

	s.did("findings are gathered")(admin.CreateFindingAggregator(ctx, &securityhub.CreateFindingAggregatorInput{RegionLinkingMode: aws.String("ALL_REGIONS")}))
	s.did("gathered twice")(admin.CreateFindingAggregator(ctx, &securityhub.CreateFindingAggregatorInput{RegionLinkingMode: aws.String("ALL_REGIONS")}))
	s.did("by a member, too")(shop.CreateFindingAggregator(ctx, &securityhub.CreateFindingAggregatorInput{RegionLinkingMode: aws.String("ALL_REGIONS")}))
	s.did("central configuration")(admin.UpdateOrganizationConfiguration(ctx, &securityhub.UpdateOrganizationConfigurationInput{
		AutoEnable: aws.Bool(false), AutoEnableStandards: types.AutoEnableStandardsNone,
		OrganizationConfiguration: &types.OrganizationConfiguration{ConfigurationType: types.OrganizationConfigurationConfigurationTypeCentral},
	}))
	s.did("a standard where policies decide")(shop.BatchEnableStandards(ctx, &securityhub.BatchEnableStandardsInput{StandardsSubscriptionRequests: want}))
	dismiss := func(step string) {
		s.did(step)(mgmt.DisableOrganizationAdminAccount(ctx, &securityhub.DisableOrganizationAdminAccountInput{AdminAccountId: aws.String(s.ids["security"])}))
	}
	dismiss("the administrator goes while policies decide")
	s.did("local configuration")(admin.UpdateOrganizationConfiguration(ctx, &securityhub.UpdateOrganizationConfigurationInput{
		AutoEnable: aws.Bool(false), OrganizationConfiguration: &types.OrganizationConfiguration{ConfigurationType: types.OrganizationConfigurationConfigurationTypeLocal},
	}))
	dismiss("the administrator goes")
	dismiss("it goes again")
	standards("the member keeps its standard")
	s.did("and may switch it off now")(shop.DisableSecurityHub(ctx, &securityhub.DisableSecurityHubInput{}))
	standards("it is off")
}

// securityHubV2 is the newer Security Hub, its administrator and its policies.
// https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-v2-set-da.html
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_security_hub_syntax.html
func securityHubV2(ctx context.Context, s *script) {
	const region = "eu-west-1"
	client := func(account string) *securityhub.Client { return securityhub.NewFromConfig(s.in(account, region)) }
	mgmt := client("management")
	state := func(step, account string) {
		s.did(step)(client(account).DescribeSecurityHubV2(ctx, &securityhub.DescribeSecurityHubV2Input{}))
	}
	appoint := func(step string, c *securityhub.Client, account string, feature types.SecurityHubFeature) {
		s.did(step)(c.EnableOrganizationAdminAccount(ctx, &securityhub.EnableOrganizationAdminAccountInput{AdminAccountId: aws.String(s.ids[account]), Feature: feature}))
	}
	admins := func(step string, feature types.SecurityHubFeature) {
		see(s, step, func(o *securityhub.ListOrganizationAdminAccountsOutput) any {
			out := []string{}
			for _, a := range o.AdminAccounts {
				out = append(out, s.name(aws.ToString(a.AccountId)))
			}
			return out
		})(mgmt.ListOrganizationAdminAccounts(ctx, &securityhub.ListOrganizationAdminAccountsInput{Feature: feature}))
	}
	const cspm, v2 = types.SecurityHubFeatureSecurityHub, types.SecurityHubFeatureSecurityHubV2

	// In one account.
	state("off at the beginning", "lab")
	s.did("switch it on")(client("lab").EnableSecurityHubV2(ctx, &securityhub.EnableSecurityHubV2Input{}))
	state("it is on", "lab")
	s.did("switch it on again")(client("lab").EnableSecurityHubV2(ctx, &securityhub.EnableSecurityHubV2Input{}))
	s.did("without Security Hub CSPM")(client("lab").GetEnabledStandards(ctx, &securityhub.GetEnabledStandardsInput{}))
	s.did("switch it off")(client("lab").DisableSecurityHubV2(ctx, &securityhub.DisableSecurityHubV2Input{}))
	state("off again", "lab")

	// Its administrator.
	appoint("the management account cannot be it", mgmt, "management", v2)
	appoint("a member appoints itself", client("shop"), "shop", v2)
	appoint("one of its own", mgmt, "security", v2)
	appoint("another", mgmt, "shop", v2)
	admins("it is one", v2)
	admins("Security Hub CSPM has none by that", cspm)
	appoint("Security Hub CSPM takes no other", mgmt, "shop", cspm)
	appoint("Security Hub CSPM takes the same", mgmt, "security", cspm)
	s.did("both end")(mgmt.DisableOrganizationAdminAccount(ctx, &securityhub.DisableOrganizationAdminAccountInput{AdminAccountId: aws.String(s.ids["security"]), Feature: v2}))
	admins("V2's is gone", v2)
	admins("and Security Hub CSPM's", cspm)
	o := organizations.NewFromConfig(s.management)
	s.did("it is registered still")(o.DeregisterDelegatedAdministrator(ctx, &organizations.DeregisterDelegatedAdministratorInput{AccountId: aws.String(s.ids["security"]), ServicePrincipal: aws.String(securityHubPrincipal)}))
	appoint("Security Hub CSPM first", mgmt, "shop", cspm)
	admins("then it is V2's, too", v2)
	appoint("and no other can be", mgmt, "security", v2)

	// Policies.
	text := func(enable, disable []string, more ...string) string {
		lists := map[string]any{}
		if enable != nil {
			lists["enable_in_regions"] = map[string]any{"@@assign": enable}
		}
		if disable != nil {
			lists["disable_in_regions"] = map[string]any{"@@assign": disable}
		}
		for _, key := range more {
			lists[key] = map[string]any{}
		}
		b, err := json.Marshal(map[string]any{"securityhub": lists})
		if err != nil {
			s.t.Fatal(err)
		}
		return string(b)
	}
	create := func(step, name, content string) (id string) {
		see(s, step, func(o *organizations.CreatePolicyOutput) any {
			id = aws.ToString(o.Policy.PolicySummary.Id)
			return o.Policy.PolicySummary.Type
		})(o.CreatePolicy(ctx, &organizations.CreatePolicyInput{Name: &name, Description: aws.String(""), Type: orgtypes.PolicyTypeSecurityhubPolicy, Content: &content}))
		return id
	}
	create("one list is missing", "half", text([]string{region}, nil))
	create("a key that is none", "odd", text([]string{region}, []string{}, "regions"))
	create("a Region that is none", "mars", text([]string{"mars"}, []string{}))
	everywhere := create("a policy", "everywhere", text([]string{"ALL_SUPPORTED"}, []string{"us-east-1"}))
	create("its name is taken", "everywhere", text([]string{region}, []string{}))
	attach := func(step, policy, target string) {
		s.did(step)(o.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: &policy, TargetId: aws.String(s.ids[target])}))
	}
	effective := func(step, account string) {
		see(s, step, func(o *organizations.DescribeEffectivePolicyOutput) any {
			return json.RawMessage(aws.ToString(o.EffectivePolicy.PolicyContent))
		})(o.DescribeEffectivePolicy(ctx, &organizations.DescribeEffectivePolicyInput{PolicyType: orgtypes.EffectivePolicyTypeSecurityhubPolicy, TargetId: aws.String(s.ids[account])}))
	}
	attach("while the type is off", everywhere, "root")
	s.did("the type is enabled")(o.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: aws.String(s.ids["root"]), PolicyType: orgtypes.PolicyTypeSecurityhubPolicy}))
	s.did("it is enabled twice")(o.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: aws.String(s.ids["root"]), PolicyType: orgtypes.PolicyTypeSecurityhubPolicy}))
	effective("nothing is effective", "shop")
	attach("to the root", everywhere, "root")
	attach("to the root again", everywhere, "root")
	effective("effective in an account", "shop")
	effective("in the management account", "management")
	effective("of an OU there is none", "Prod")
	state("it is on by the policy", "shop")
	s.did("not where the policy disables it")(securityhub.NewFromConfig(s.in("shop", "us-east-1")).DescribeSecurityHubV2(ctx, &securityhub.DescribeSecurityHubV2Input{}))
	s.did("nor can it be switched on there")(securityhub.NewFromConfig(s.in("shop", "us-east-1")).EnableSecurityHubV2(ctx, &securityhub.EnableSecurityHubV2Input{}))
	s.did("a member cannot switch it off")(client("shop").DisableSecurityHubV2(ctx, &securityhub.DisableSecurityHubV2Input{}))
	more := create("a policy that adds and takes", "more", `{"securityhub":{"enable_in_regions":{"@@append":["eu-west-1"]},"disable_in_regions":{"@@remove":["us-east-1"]}}}`)
	attach("to an OU", more, "Dev")
	effective("both together", "lab")
	other := create("a policy that says otherwise", "other", text([]string{}, []string{region}))
	attach("to an account", other, "lab")
	effective("the nearest assigns", "lab")
	state("and switches it off", "lab")
	s.did("a policy in use is deleted")(o.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: &everywhere}))
	s.did("taken off the root")(o.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: &everywhere, TargetId: aws.String(s.ids["root"])}))
	effective("nothing is effective any more", "shop")
	state("and it stays on", "shop")
	s.did("where a member can switch it off now")(client("shop").DisableSecurityHubV2(ctx, &securityhub.DisableSecurityHubV2Input{}))
}
