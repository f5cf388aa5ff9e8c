package baseline

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
)

const twoStandards = "securityhub: {standards: [aws-foundational-security-best-practices/v/1.0.0, cis-aws-foundations-benchmark/v/3.0.0]}"

// hub is Security Hub of an account × Region.
func (r *rig) hub(account, region string) *securityhub.Client {
	return securityhub.NewFromConfig(r.member(account, region))
}

// ofHub are the findings about securityhub that are not in sync, in short.
func ofHub(fs []finding.Finding) []string {
	return lines(slices.DeleteFunc(slices.Clone(fs), func(f finding.Finding) bool { return f.Control != "securityhub" }))
}

// standardsOf are the names of an account's standards with their status.
func (r *rig) standardsOf(t *testing.T, account, region string) []string {
	t.Helper()
	out, err := r.hub(account, region).GetEnabledStandards(t.Context(), &securityhub.GetEnabledStandardsInput{})
	noError(t, err)
	names := []string{}
	for _, s := range out.StandardsSubscriptions {
		names = append(names, standardName(aws.ToString(s.StandardsArn))+" "+string(s.StandardsStatus))
	}
	slices.Sort(names)
	return names
}

func TestSecurityHubFromAuditToTeardown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, only(twoStandards))
		ctx := t.Context()
		before := ofHub(r.audit(t, Filter{}))
		for _, want := range []string{
			"100000000001 us-east-1 Security Hub has no delegated administrator: none, want 200000000001",
			"200000000001 ap-northeast-1 Security Hub does not watch the organization: no administrator, want an administrator, and auto-enable",
			"200000000001 ap-northeast-1 findings of Security Hub are not gathered in one Region: no aggregator, want us-east-1",
			"300000000001 us-east-1 Security Hub is off: off, want on",
		} {
			if !slices.Contains(before, want) {
				t.Errorf("no finding %q among\n%s", want, strings.Join(before, "\n"))
			}
		}
		records := recorded(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)
		want := []string{"aws-foundational-security-best-practices/v/1.0.0 READY", "cis-aws-foundations-benchmark/v/3.0.0 READY"}
		for _, account := range []string{management, securityAccount, shopProd} {
			if got := r.standardsOf(t, account, tokyo); !slices.Equal(got, want) {
				t.Errorf("%s is checked by %v", account, got)
			}
		}

		// Somebody ends auto-enable and the gathering, lets one account go, and another
		// one switches a standard off and AWS Config.
		admin := r.hub(securityAccount, tokyo)
		_, err := admin.UpdateOrganizationConfiguration(ctx, &securityhub.UpdateOrganizationConfigurationInput{AutoEnable: aws.Bool(false)})
		noError(t, err)
		_, err = admin.DisassociateMembers(ctx, &securityhub.DisassociateMembersInput{AccountIds: []string{shopProd}})
		noError(t, err)
		list, err := admin.ListFindingAggregators(ctx, &securityhub.ListFindingAggregatorsInput{})
		noError(t, err)
		_, err = admin.DeleteFindingAggregator(ctx, &securityhub.DeleteFindingAggregatorInput{FindingAggregatorArn: list.FindingAggregators[0].FindingAggregatorArn})
		noError(t, err)
		_, err = r.hub(legacy, virginia).BatchDisableStandards(ctx, &securityhub.BatchDisableStandardsInput{StandardsSubscriptionArns: []string{
			"arn:aws:securityhub:us-east-1:" + legacy + ":subscription/cis-aws-foundations-benchmark/v/3.0.0",
		}})
		noError(t, err)
		recorders := configservice.NewFromConfig(r.member(legacy, virginia))
		names, err := recorders.DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{})
		noError(t, err)
		_, err = recorders.StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: names.ConfigurationRecorders[0].Name})
		noError(t, err)
		if diff := cmp.Diff([]string{
			"200000000001 ap-northeast-1 findings of Security Hub are not gathered in one Region: no aggregator, want us-east-1",
			"200000000001 ap-northeast-1 Security Hub does not enable new accounts by itself: false, want true",
			"300000000001 ap-northeast-1 Security Hub of the account does not report to the administrator: removed, want an enabled member",
			"500000000003 us-east-1 standard aws-foundational-security-best-practices/v/1.0.0 cannot check: AWS Config does not record: INCOMPLETE, want READY",
			"500000000003 us-east-1 standard cis-aws-foundations-benchmark/v/3.0.0 is off: none, want on",
		}, ofHub(r.audit(t, Filter{}))); diff != "" {
			t.Errorf("after tampering (-want +got):\n%s", diff)
		}
		mustDo(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)

		b := r.open(t)
		mustDo(t, b.Undo(ctx, b.pool, records).Tasks)
		r.mustBeGone(t, securityHubPrincipal, "orgguard:securityhub")
		if got := r.standardsOf(t, shopProd, tokyo); len(got) != 2 {
			t.Errorf("an undo takes nobody's checks away: %v", got)
		}
		mustDo(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)
		mustDo(t, b.Teardown(ctx, b.pool, KeepHistory, 4).Tasks)
		r.mustBeGone(t, securityHubPrincipal, "orgguard:securityhub")
		left, err := r.hub(securityAccount, tokyo).ListFindingAggregators(ctx, &securityhub.ListFindingAggregatorsInput{})
		if err != nil || len(left.FindingAggregators) > 0 {
			t.Errorf("aggregators %+v, %v", left, err)
		}
	})
}

// Another delegated administrator, central configuration and an aggregator that somebody
// made are respected, by everything.
func TestSecurityHubOfOthersIsRespected(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, err := sim.Scenario("demo")
		noError(t, err)
		s.DelegatedAdministrators = []sim.DelegateSpec{{Account: "log-archive", Services: []string{securityHubPrincipal}}}
		r := newRig(t, s, only(twoStandards))
		found := r.audit(t, Filter{Regions: []string{tokyo}})
		if got := ofHub(found); !slices.Contains(got, "100000000001 ap-northeast-1 Security Hub is administered by another account: 200000000002, want 200000000001") {
			t.Errorf("findings:\n%s", strings.Join(got, "\n"))
		}
		for _, task := range r.plan(t).Tasks {
			if task.Kind == settingChange {
				t.Errorf("%s %s: somebody else's", task.Verb, task.Resource)
			}
		}
	})
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, only(twoStandards))
		ctx := t.Context()
		mustDo(t, r.plan(t).Tasks)
		admin := r.hub(securityAccount, tokyo)
		_, err := r.hub(shopProd, tokyo).BatchDisableStandards(ctx, &securityhub.BatchDisableStandardsInput{StandardsSubscriptionArns: []string{
			"arn:aws:securityhub:ap-northeast-1:" + shopProd + ":subscription/cis-aws-foundations-benchmark/v/3.0.0",
		}})
		noError(t, err)
		_, err = admin.UpdateOrganizationConfiguration(ctx, &securityhub.UpdateOrganizationConfigurationInput{
			AutoEnable: aws.Bool(false), AutoEnableStandards: types.AutoEnableStandardsNone,
			OrganizationConfiguration: &types.OrganizationConfiguration{ConfigurationType: types.OrganizationConfigurationConfigurationTypeCentral},
		})
		noError(t, err)
		found := slices.DeleteFunc(wrong(r.audit(t, Filter{})), func(f finding.Finding) bool { return f.Control != "securityhub" })
		if len(found) != 1 || found[0].Account != shopProd || !strings.Contains(found[0].Fix, "configuration policies in account 200000000001") {
			t.Errorf("%+v", found)
		}
		for _, task := range r.plan(t).Tasks {
			t.Errorf("%s %s: policies decide", task.Verb, task.Resource)
		}
		b := r.open(t)
		if got := b.Decisions(ctx, b.pool, 4); len(got) != 1 || got[0].What != "Security Hub is configured centrally" || !slices.Equal(got[0].Regions, []string{tokyo}) {
			t.Errorf("what is told beforehand: %+v", got)
		}
	})
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, only(twoStandards))
		ctx := t.Context()
		other := r.hub(securityAccount, virginia)
		_, err := other.EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{EnableDefaultStandards: aws.Bool(false)})
		noError(t, err)
		made, err := other.CreateFindingAggregator(ctx, &securityhub.CreateFindingAggregatorInput{RegionLinkingMode: aws.String("ALL_REGIONS")})
		noError(t, err)
		mustDo(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)
		b := r.open(t)
		mustDo(t, b.Teardown(ctx, b.pool, KeepHistory, 4).Tasks)
		got, err := other.GetFindingAggregator(ctx, &securityhub.GetFindingAggregatorInput{FindingAggregatorArn: made.FindingAggregatorArn})
		if err != nil || aws.ToString(got.RegionLinkingMode) != "ALL_REGIONS" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestCompareSecurityHub(t *testing.T) {
	r := Resource{Type: "OrgGuard::SecurityHub::Organization", Props: map[string]any{"Account": securityAccount, "NewAccounts": "DEFAULT"}}
	good := func(change func(*securityHubState)) securityHubState {
		st := securityHubState{appointment: appointment{Admin: securityAccount}, On: true, AutoEnable: true, NewAccounts: "DEFAULT"}
		change(&st)
		return st
	}
	testCompare(t, r, []compareCase{
		{"all as wanted", good(func(*securityHubState) {}), nil},
		{"off at home", good(func(s *securityHubState) { s.On = false }), []Mismatch{
			{Reason: "the administrator's own Security Hub is off", Expected: "on", Actual: "off", Verb: "enable", Stays: true},
		}},
		{"new accounts get nothing", good(func(s *securityHubState) { s.AutoEnable, s.NewAccounts = false, "NONE" }), []Mismatch{
			{Reason: "Security Hub does not enable new accounts by itself", Expected: true, Actual: false, Verb: "update"},
			{Reason: "new accounts do not get the default standards", Expected: "DEFAULT", Actual: "NONE", Verb: "update"},
		}},
		{"policies decide", good(func(s *securityHubState) { s.AutoEnable, s.NewAccounts, s.Central = false, "NONE", true }), nil},
		{"policies decide, and an account is missing", good(func(s *securityHubState) { s.Central, s.Missing = true, []absentee{{Account: blind}} }), []Mismatch{{
			Reason: "Security Hub of the account does not report to the administrator", Account: blind, Expected: "an enabled member", Actual: "no member",
			Verb: "enable", Manual: centrally(securityAccount), Stays: true,
		}}},
	})
}

func TestCompareStandardsAndAggregators(t *testing.T) {
	const fsbp = "arn:aws:securityhub:ap-northeast-1::standards/aws-foundational-security-best-practices/v/1.0.0"
	st := func(s standard) hubStandardsState {
		return hubStandardsState{On: true, Standards: map[string]standard{fsbp: s}}
	}
	testCompare(t, Resource{Type: "OrgGuard::SecurityHub::Standards"}, []compareCase{
		{"ready", st(standard{Status: "READY"}), nil},
		{"new controls are on their way", st(standard{Status: "PENDING"}), nil},
		{"off", st(standard{}), []Mismatch{{Reason: "standard " + bestPractices + " is off", Expected: "on", Actual: "none", Verb: "enable"}}},
		{"too many rules", st(standard{"INCOMPLETE", "MAXIMUM_NUMBER_OF_CONFIG_RULES_EXCEEDED"}), []Mismatch{{
			Reason: "standard " + bestPractices + " is not complete", Expected: "READY", Actual: "INCOMPLETE MAXIMUM_NUMBER_OF_CONFIG_RULES_EXCEEDED",
			Manual: "look at the standard in Security Hub's console of the account",
		}}},
		{"off, where policies decide", hubStandardsState{Decides: securityAccount}, []Mismatch{{
			Reason: "Security Hub is off", Expected: "on", Actual: "off", Verb: "enable", Manual: centrally(securityAccount),
		}}},
	})
	r := Resource{Type: "OrgGuard::SecurityHub::FindingAggregator", Props: map[string]any{"Account": securityAccount, "Regions": "eu-west-1,us-east-1"}}
	agg := func(mode string, regions ...string) aggregatorState {
		return aggregatorState{appointment: appointment{Admin: securityAccount}, ARN: "a", Region: tokyo, Mode: mode, Regions: regions}
	}
	lacks := Mismatch{Reason: "findings of eu-west-1 are not gathered in ap-northeast-1", Expected: "eu-west-1,us-east-1", Verb: "update"}
	update, chosen := lacks, lacks
	update.Actual = "SPECIFIED_REGIONS us-east-1"
	chosen.Actual = "ALL_REGIONS_EXCEPT_SPECIFIED eu-west-1"
	chosen.Manual = "somebody chose so: change the aggregator in account 200000000001, ap-northeast-1, or say aggregate: false"
	elsewhere := agg("SPECIFIED_REGIONS", "ap-northeast-1", "eu-west-1")
	elsewhere.Region = virginia
	testCompare(t, r, []compareCase{
		{"both", agg("SPECIFIED_REGIONS", "eu-west-1", "us-east-1"), nil},
		{"all", agg("ALL_REGIONS"), nil},
		{"gathered in another Region", elsewhere, nil},
		{"one lacks", agg("SPECIFIED_REGIONS", "us-east-1"), []Mismatch{update}},
		{"one is left out", agg("ALL_REGIONS_EXCEPT_SPECIFIED", "eu-west-1"), []Mismatch{chosen}},
	})
}

// An account that nobody can enter is left to people: no plan promises it, and a rollout
// that had to leave it out says so. GuardDuty's administrator needs nobody to enter it.
func TestMembersThatNobodyCanEnterAreForPeople(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, alone(everyoneConfig, []string{"securityhub", "guardduty"}, "  securityhub: true\n  guardduty: {plans: [s3-data-events]}\n"))
		ctx := t.Context()
		var left []string
		for _, o := range plan.Execute(ctx, r.plan(t).Tasks, 8, nil).Outcomes {
			if o.Err != "" {
				t.Errorf("%s: %s", o.Change.Resource, o.Err)
			}
			for _, f := range o.Failures {
				left = append(left, o.Change.Resource+": "+f.Account+" "+f.AccountName+" "+f.Region+" "+f.Status)
				if !strings.Contains(f.Reason, "AccessDenied") || !strings.Contains(f.Fix, "let it in and run a rollout; or make it a member without (aws securityhub create-members --account-details AccountId="+blind) {
					t.Errorf("left out: %s; fix: %s", f.Reason, f.Fix)
				}
			}
		}
		slices.Sort(left)
		if diff := cmp.Diff([]string{
			"organization setting SecurityHubOrganization: 300000000003 data-prod ap-northeast-1 LEFT OUT",
			"organization setting SecurityHubOrganization: 300000000003 data-prod us-east-1 LEFT OUT",
		}, left); diff != "" {
			t.Errorf("the first rollout left out (-want +got):\n%s", diff)
		}

		// The next plan has nothing that it cannot do, and says who has to do what.
		asks := func(p Proposal) (n int) {
			for _, s := range p.Skipped {
				if s.Account == blind && s.Control == "securityhub" && strings.Contains(s.Reason, "orgguard may not enter the account: let it in") {
					n++
				}
			}
			return n
		}
		p := r.plan(t)
		if len(p.Tasks) > 0 || asks(p) != 2 {
			t.Errorf("the next plan has %v, and left alone %+v", p.Tasks, p.Skipped)
		}
		var fixes []string
		for _, f := range r.audit(t, Filter{}) {
			if f.Account == blind && f.Status == finding.Drift {
				fixes = append(fixes, f.Control+" "+f.Region+" "+f.Reason+": "+f.Fix)
			}
		}
		for _, f := range fixes {
			if !strings.HasPrefix(f, "securityhub ") || !strings.Contains(f, "may not enter the account") {
				t.Errorf("finding %s", f)
			}
		}
		if len(fixes) != 2 {
			t.Errorf("%d findings about the account", len(fixes))
		}
		b := r.open(t)
		if got := b.Decisions(ctx, b.pool, 4); len(got) > 0 {
			t.Errorf("nobody else decides: %+v", got)
		}

		// With something else to do it is as clear, and the rollout does what it can.
		_, err := r.hub(securityAccount, tokyo).UpdateOrganizationConfiguration(ctx, &securityhub.UpdateOrganizationConfigurationInput{AutoEnable: aws.Bool(false)})
		noError(t, err)
		_, err = r.hub(securityAccount, tokyo).DisassociateMembers(ctx, &securityhub.DisassociateMembersInput{AccountIds: []string{shopProd}})
		noError(t, err)
		p = r.plan(t)
		if len(p.Tasks) != 1 || asks(p) != 2 || strings.Contains(compact(p.Tasks[0].Change), `"`+blind+`"`) {
			t.Errorf("the plan has %v, and left alone %+v", p.Tasks, p.Skipped)
		}
		mustDo(t, p.Tasks)

		// Once it may be entered, a rollout makes it a member.
		_, err = iam.NewFromConfig(r.member(blind, virginia)).UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{
			RoleName: aws.String(r.role), PolicyDocument: aws.String(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::` + management + `:root"}}}`),
		})
		noError(t, err)
		mustDo(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)
	})
}
