package baseline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/guardduty/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
)

// only is demoConfig with nothing on but one control, and what that needs.
func only(entry string) string {
	name, _, _ := strings.Cut(entry, ":")
	return alone(demoConfig, []string{name}, "  "+entry+"\n")
}

// alone is a configuration with nothing on but the named controls, which the entries
// are of, and what they need.
func alone(config string, names []string, entries string) string {
	text := config + "\nbaseline:\n"
	for _, c := range controls {
		if !slices.Contains(names, c.ID) {
			text += fmt.Sprintf("  %s: %t\n", c.ID, slices.ContainsFunc(names, func(name string) bool { return slices.Contains(needed(name), c.ID) }))
		}
	}
	return text + entries
}

// onlyServices is everyoneConfig with nothing on but what is set for the whole
// organization.
func onlyServices() string {
	return alone(everyoneConfig, []string{"guardduty", "access-analyzer", "securityhub", "securityhub-policy"}, organizationSettings)
}

// organizationSettings turns on what is set for the whole organization.
const organizationSettings = "  guardduty: true\n  access-analyzer: {unused_access_days: 90}\n  securityhub: true\n  securityhub-policy: true\n"

const guardDutyOnly = "guardduty: {plans: [s3-data-events, runtime-monitoring]}"

// lines are findings, or what a plan does and leaves alone, in short.
func lines(fs []finding.Finding) []string {
	var out []string
	for _, f := range wrong(fs) {
		out = append(out, fmt.Sprintf("%s %s %s: %v, want %v", f.Account, f.Region, f.Reason, f.Actual, f.Expected))
	}
	return out
}

// recorded carries tasks out and returns what a journal would have of it.
func recorded(t *testing.T, tasks []plan.Task) []journal.Record {
	t.Helper()
	mustDo(t, tasks)
	var out []journal.Record
	for _, task := range tasks {
		out = append(out, journal.Record{Change: task.Change, Was: task.Was})
	}
	return out
}

// watcher is GuardDuty of an account with its detector.
func (r *rig) watcher(t *testing.T, account, region string) (*guardduty.Client, *string) {
	t.Helper()
	c := guardduty.NewFromConfig(r.member(account, region))
	out, err := c.ListDetectors(t.Context(), &guardduty.ListDetectorsInput{})
	if err != nil || len(out.DetectorIds) != 1 {
		t.Fatalf("detectors of %s: %+v, %v", account, out, err)
	}
	return c, &out.DetectorIds[0]
}

func TestGuardDutyFromAuditToTeardown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, only(guardDutyOnly))
		if diff := cmp.Diff([]string{
			"100000000001 ap-northeast-1 GuardDuty has no delegated administrator: none, want 200000000001",
			"100000000001 us-east-1 GuardDuty has no delegated administrator: none, want 200000000001",
			"200000000001 ap-northeast-1 GuardDuty does not watch the organization: no administrator, want an administrator, and auto-enable ALL",
			"200000000001 us-east-1 GuardDuty does not watch the organization: no administrator, want an administrator, and auto-enable ALL",
		}, lines(r.audit(t, Filter{}))); diff != "" {
			t.Errorf("before (-want +got):\n%s", diff)
		}
		var order []string
		tasks := r.plan(t).Tasks
		for _, task := range tasks {
			if task.Kind == settingChange {
				order = append(order, fmt.Sprintf("%s %s %s %s", task.Stage, task.Verb, task.Account, task.Region))
			}
			if task.Before == nil || task.After == nil || task.Undo == "" {
				t.Errorf("%s has no before, after or undo", task.Resource)
			}
		}
		if diff := cmp.Diff([]string{
			"prerequisites enable 100000000001 ap-northeast-1", "prerequisites enable 100000000001 us-east-1",
			"central enable 200000000001 ap-northeast-1", "central enable 200000000001 us-east-1",
		}, order); diff != "" {
			t.Errorf("the plan (-want +got):\n%s", diff)
		}
		records := recorded(t, tasks)
		r.mustBeQuiet(t)
		if p := r.plan(t); slices.ContainsFunc(p.Tasks, func(t plan.Task) bool { return t.Kind == settingChange }) {
			t.Errorf("a second rollout would change %+v", p.Tasks)
		}

		// Somebody ends auto-enable, and lets one account go and another one sleep.
		c, detector := r.watcher(t, securityAccount, tokyo)
		ctx := t.Context()
		_, err := c.UpdateOrganizationConfiguration(ctx, &guardduty.UpdateOrganizationConfigurationInput{DetectorId: detector, AutoEnableOrganizationMembers: types.AutoEnableMembersNone})
		noError(t, err)
		_, err = c.DisassociateMembers(ctx, &guardduty.DisassociateMembersInput{DetectorId: detector, AccountIds: []string{shopProd}})
		noError(t, err)
		_, err = c.StopMonitoringMembers(ctx, &guardduty.StopMonitoringMembersInput{DetectorId: detector, AccountIds: []string{legacy}})
		noError(t, err)
		own, mine := r.watcher(t, shopProd, tokyo)
		_, err = own.DeleteDetector(ctx, &guardduty.DeleteDetectorInput{DetectorId: mine})
		noError(t, err)
		found := r.audit(t, Filter{})
		if diff := cmp.Diff([]string{
			"200000000001 ap-northeast-1 GuardDuty does not enable every account by itself: NONE, want ALL",
			"300000000001 ap-northeast-1 GuardDuty is not on in the account: removed, want an enabled member",
			"500000000003 ap-northeast-1 GuardDuty is not on in the account: paused, want an enabled member",
		}, lines(found)); diff != "" {
			t.Errorf("after tampering (-want +got):\n%s", diff)
		}
		for _, f := range wrong(found) {
			if f.Fix != "orgguard rollout" || f.Account == shopProd && f.AccountName != "shop-prod" {
				t.Errorf("%+v", f)
			}
		}
		again := recorded(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)

		// What put the drift back is not undone; what enabled GuardDuty is.
		b := r.open(t)
		if p := b.Undo(ctx, b.pool, again); len(p.Tasks) != 1 || p.Tasks[0].Why != "auto-enable becomes NONE again; accounts that were enabled stay so" {
			t.Errorf("undo of the second run: %+v", p)
		}
		undo := b.Undo(ctx, b.pool, records)
		mustDo(t, undo.Tasks)
		r.mustBeGone(t, guardDutyPrincipal, "orgguard:guardduty")
		if _, on := r.watcher(t, shopProd, virginia); on == nil {
			t.Error("an undo takes no detector away")
		}
		mustDo(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)
		mustDo(t, b.Teardown(ctx, b.pool, KeepHistory, 4).Tasks)
		r.mustBeGone(t, guardDutyPrincipal, "orgguard:guardduty")
		if left := b.Remains(ctx, b.pool, KeepHistory, 4); len(left) > 0 {
			t.Errorf("left: %+v", left)
		}
	})
}

// A protection plan that is off in one account is found and turned on again; one that
// nobody named stays as the account has it.
func TestProtectionPlansOfMembers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, only("guardduty: {plans: [s3-data-events], new_plans: [runtime-monitoring]}"))
		ctx := t.Context()
		records := recorded(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)
		admin, detector := r.watcher(t, securityAccount, tokyo)
		auto := func() map[types.OrgFeature]types.OrgFeatureStatus {
			t.Helper()
			out, err := admin.DescribeOrganizationConfiguration(ctx, &guardduty.DescribeOrganizationConfigurationInput{DetectorId: detector})
			noError(t, err)
			m := map[types.OrgFeature]types.OrgFeatureStatus{}
			for _, f := range out.Features {
				m[f.Name] = f.AutoEnable
			}
			return m
		}
		if got := auto(); got[types.OrgFeatureS3DataEvents] != "ALL" || got[types.OrgFeatureRuntimeMonitoring] != "NEW" || got[types.OrgFeatureRdsLoginEvents] != "NONE" {
			t.Errorf("auto-enable by plan: %v", got)
		}

		// A member cannot; whoever is in the administrator's account can.
		own, mine := r.watcher(t, shopProd, tokyo)
		_, err := own.UpdateDetector(ctx, &guardduty.UpdateDetectorInput{DetectorId: mine, Features: []types.DetectorFeatureConfiguration{
			{Name: types.DetectorFeatureS3DataEvents, Status: types.FeatureStatusDisabled},
		}})
		if orgs.Code(err) != "BadRequestException" {
			t.Errorf("a member that turns its own plan off: %v", err)
		}
		_, err = admin.UpdateMemberDetectors(ctx, &guardduty.UpdateMemberDetectorsInput{DetectorId: detector, AccountIds: []string{legacy, shopProd}, Features: []types.MemberFeaturesConfiguration{
			{Name: types.OrgFeatureS3DataEvents, Status: types.FeatureStatusDisabled}, {Name: types.OrgFeatureRdsLoginEvents, Status: types.FeatureStatusDisabled},
		}})
		noError(t, err)
		found := r.audit(t, Filter{})
		if diff := cmp.Diff([]string{
			"300000000001 ap-northeast-1 protection plan S3_DATA_EVENTS is off in the account: off, want on",
			"500000000003 ap-northeast-1 protection plan S3_DATA_EVENTS is off in the account: off, want on",
		}, lines(found)); diff != "" {
			t.Errorf("after it was turned off in two accounts (-want +got):\n%s", diff)
		}
		again := recorded(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)
		got, err := own.GetDetector(ctx, &guardduty.GetDetectorInput{DetectorId: mine})
		noError(t, err)
		for _, f := range got.Features {
			if want := map[types.DetectorFeatureResult]types.FeatureStatus{"S3_DATA_EVENTS": "ENABLED", "RDS_LOGIN_EVENTS": "DISABLED"}[f.Name]; want != "" && f.Status != want {
				t.Errorf("%s is %s in the account, want %s", f.Name, f.Status, want)
			}
		}

		// More than what was asked for is nobody's drift, less is.
		set := func(status types.OrgFeatureStatus) {
			t.Helper()
			_, err := admin.UpdateOrganizationConfiguration(ctx, &guardduty.UpdateOrganizationConfigurationInput{
				DetectorId: detector, AutoEnableOrganizationMembers: types.AutoEnableMembersAll,
				Features: []types.OrganizationFeatureConfiguration{{Name: types.OrgFeatureRuntimeMonitoring, AutoEnable: status}},
			})
			noError(t, err)
		}
		set(types.OrgFeatureStatusAll)
		r.mustBeQuiet(t)
		set(types.OrgFeatureStatusNone)
		if diff := cmp.Diff([]string{
			"200000000001 ap-northeast-1 protection plan RUNTIME_MONITORING is not enabled in accounts that join: NONE, want NEW",
		}, lines(r.audit(t, Filter{}))); diff != "" {
			t.Errorf("after auto-enable ended (-want +got):\n%s", diff)
		}
		mustDo(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)

		// What put the drift back is not undone, what enabled GuardDuty is.
		b := r.open(t)
		if p := b.Undo(ctx, b.pool, again); len(p.Tasks) > 0 {
			t.Errorf("undo of the second run: %+v", p.Tasks[0])
		}
		mustDo(t, b.Undo(ctx, b.pool, records).Tasks)
		r.mustBeGone(t, guardDutyPrincipal, "orgguard:guardduty")
	})
}

// mustBeQuiet is mustBeClean where few resources are looked at.
func (r *rig) mustBeQuiet(t *testing.T) {
	t.Helper()
	fs := r.audit(t, Filter{})
	if diff := cmp.Diff([]string(nil), lines(fs)); diff != "" {
		t.Fatalf("the audit is not clean (-want +got):\n%s", diff)
	}
	if n := finding.Summarize(fs).InSync; n < 3 {
		t.Fatalf("only %d things were looked at", n)
	}
}

// mustBeGone says whether nothing is left of an appointment.
func (r *rig) mustBeGone(t *testing.T, service, mark string) {
	t.Helper()
	o := organizations.NewFromConfig(r.w.ManagementConfig(virginia))
	out, err := o.ListDelegatedAdministrators(t.Context(), &organizations.ListDelegatedAdministratorsInput{ServicePrincipal: aws.String(service)})
	if err != nil || len(out.DelegatedAdministrators) > 0 {
		t.Errorf("%s is delegated still: %+v, %v", service, out.DelegatedAdministrators, err)
	}
	tags, err := o.ListTagsForResource(t.Context(), &organizations.ListTagsForResourceInput{ResourceId: aws.String(securityAccount)})
	if err != nil || slices.ContainsFunc(tags.Tags, func(tag orgtypes.Tag) bool { return aws.ToString(tag.Key) == mark }) {
		t.Errorf("tags %+v, %v", tags, err)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Another delegated administrator is audited and left alone, by everything.
func TestAnotherAdministratorOfGuardDutyIsRespected(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, err := sim.Scenario("demo")
		noError(t, err)
		s.DelegatedAdministrators = []sim.DelegateSpec{{Account: "log-archive", Services: []string{guardDutyPrincipal}}}
		r := newRig(t, s, only(guardDutyOnly))
		before := r.w.Writes()
		found := wrong(r.audit(t, Filter{Regions: []string{tokyo}}))
		got := lines(found)
		if !slices.Contains(got, "100000000001 ap-northeast-1 GuardDuty is administered by another account: 200000000002, want 200000000001") ||
			!slices.Contains(got, "200000000001 ap-northeast-1 GuardDuty does not enable every account by itself: NEW, want ALL") ||
			!slices.Contains(got, "300000000001 ap-northeast-1 GuardDuty is not on in the account: no member, want an enabled member") {
			t.Errorf("findings:\n%s", strings.Join(got, "\n"))
		}
		for _, f := range found {
			if !strings.Contains(f.Fix, "account 200000000002 administers GuardDuty already") {
				t.Errorf("%s: fix %q", f.Reason, f.Fix)
			}
		}
		p := r.plan(t)
		for _, task := range p.Tasks {
			if task.Kind != "trusted-access" {
				t.Errorf("%s %s: somebody else's", task.Verb, task.Resource)
			}
		}
		if len(p.Skipped) < 10 {
			t.Errorf("skipped: %+v", p.Skipped)
		}
		b := r.open(t)
		if td := b.Teardown(t.Context(), b.pool, KeepHistory, 4); len(td.Tasks) > 0 {
			t.Errorf("a teardown would %+v", td.Tasks)
		}
		if n := r.w.Writes() - before; n > 0 {
			t.Errorf("%d writes", n)
		}

		// Appointed between the plan and the rollout: the same.
		r = demoRig(t, only(guardDutyOnly))
		tasks := r.plan(t).Tasks
		other := guardduty.NewFromConfig(r.w.ManagementConfig(tokyo))
		_, err = other.EnableOrganizationAdminAccount(t.Context(), &guardduty.EnableOrganizationAdminAccountInput{AdminAccountId: aws.String("200000000002")})
		noError(t, err)
		for _, task := range tasks {
			if task.Kind != settingChange {
				continue
			}
			failed, err := task.Apply(t.Context())
			if err != nil || len(failed) != 1 || !strings.Contains(failed[0].Reason, "200000000002 meanwhile") {
				t.Errorf("%s in %s: %+v, %v", task.Resource, task.Region, failed, err)
			}
		}
	})
}

// An administrator that was there before orgguard stays when it goes.
func TestWhatWasDelegatedBeforeStaysDelegated(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, err := sim.Scenario("demo")
		noError(t, err)
		s.DelegatedAdministrators = []sim.DelegateSpec{{Account: "security", Services: []string{guardDutyPrincipal}}}
		r := newRig(t, s, only(guardDutyOnly))
		records := recorded(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)
		b := r.open(t)
		if p := b.Teardown(t.Context(), b.pool, KeepHistory, 4); len(p.Tasks) > 0 {
			t.Errorf("a teardown would %s", p.Tasks[0].Resource)
		}
		mustDo(t, b.Undo(t.Context(), b.pool, records).Tasks)
		c, detector := r.watcher(t, securityAccount, tokyo)
		out, err := c.DescribeOrganizationConfiguration(t.Context(), &guardduty.DescribeOrganizationConfigurationInput{DetectorId: detector})
		if err != nil || out.AutoEnableOrganizationMembers != types.AutoEnableMembersNew {
			t.Errorf("auto-enable is %+v, %v; it was NEW", out, err)
		}
	})
}

func TestCompareGuardDuty(t *testing.T) {
	r := Resource{Type: "OrgGuard::GuardDuty::Organization", Props: map[string]any{"Account": securityAccount, "AutoEnable": "ALL", "Plans": "S3_DATA_EVENTS"}}
	good := func(change func(*guardDutyState)) guardDutyState {
		st := guardDutyState{
			appointment: appointment{Admin: securityAccount}, Detector: "d", On: true, AutoEnable: "ALL",
			Plans: map[string]string{"S3_DATA_EVENTS": "ALL"}, Own: map[string]bool{"S3_DATA_EVENTS": true},
		}
		change(&st)
		return st
	}
	policy := "change the organization's GuardDuty policy (gd): it decides here, and orgguard does not work against it"
	testCompare(t, r, []compareCase{
		{"all as wanted", good(func(*guardDutyState) {}), nil},
		{"no detector", good(func(s *guardDutyState) { s.Detector, s.On = "", false }), []Mismatch{
			{Reason: "the administrator's own detector is off", Expected: "on", Actual: "no detector", Verb: "enable", Stays: true},
		}},
		{"a plan is for new accounts only, and off at home", good(func(s *guardDutyState) { s.Plans, s.Own = map[string]string{"S3_DATA_EVENTS": "NEW"}, nil }), []Mismatch{
			{Reason: "protection plan S3_DATA_EVENTS is not enabled in every account", Expected: "ALL", Actual: "NEW", Verb: "update"},
			{Reason: "protection plan S3_DATA_EVENTS is off in the administrator's account", Expected: true, Actual: false, Verb: "enable", Stays: true},
		}},
		{"a plan is off in one member, and nobody tells of another one", good(func(s *guardDutyState) {
			s.Lacking = []lacking{{Account: shopProd, Plan: "S3_DATA_EVENTS"}, {Account: blind, Unknown: "no access"}}
		}), []Mismatch{
			{Reason: "protection plan S3_DATA_EVENTS is off in the account", Account: shopProd, Expected: "on", Actual: "off", Verb: "enable", Stays: true},
			{Reason: "nobody knows which protection plans are on in the account", Account: blind, Expected: "on", Actual: "unknown", Verb: "enable", Manual: "ask GuardDuty's administrator: no access", Stays: true},
		}},
		{"a policy of the organization decides", good(func(s *guardDutyState) { s.AutoEnable, s.Policies = "NONE", []string{"gd"} }), []Mismatch{
			{Reason: "GuardDuty does not enable every account by itself", Expected: "ALL", Actual: "NONE", Verb: "update", Manual: policy},
		}},
		{"nobody knows whether the Region is on", good(func(s *guardDutyState) { s.Missing = []absentee{{Account: blind, Unknown: "denied"}} }), []Mismatch{{
			Reason: "GuardDuty is not on in the account", Account: blind, Expected: "an enabled member", Actual: "no member", Verb: "enable",
			Manual: "find out whether the Region is on in the account: denied", Stays: true, Shut: true,
		}}},
	})
}

// Where a policy of the organization decides, nothing is worked against it.
func TestAGuardDutyPolicyDecides(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, only("guardduty: true"))
		mustDo(t, r.plan(t).Tasks)
		o := organizations.NewFromConfig(r.w.ManagementConfig(virginia))
		ctx := context.Background()
		roots, err := o.ListRoots(ctx, &organizations.ListRootsInput{})
		noError(t, err)
		_, err = o.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: roots.Roots[0].Id, PolicyType: orgtypes.PolicyTypeGuarddutyPolicy})
		noError(t, err)
		p, err := o.CreatePolicy(ctx, &organizations.CreatePolicyInput{
			Name: aws.String("watch"), Description: aws.String(""), Type: orgtypes.PolicyTypeGuarddutyPolicy, Content: aws.String(`{"guardduty":{"default":{}}}`),
		})
		noError(t, err)
		_, err = o.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: p.Policy.PolicySummary.Id, TargetId: roots.Roots[0].Id})
		noError(t, err)
		r.mustBeQuiet(t)
		c, detector := r.watcher(t, securityAccount, tokyo)
		_, err = c.UpdateOrganizationConfiguration(ctx, &guardduty.UpdateOrganizationConfigurationInput{DetectorId: detector, AutoEnableOrganizationMembers: types.AutoEnableMembersNew})
		noError(t, err)
		found := wrong(r.audit(t, Filter{}))
		if len(found) != 1 || !strings.Contains(found[0].Fix, "GuardDuty policy (watch)") {
			t.Errorf("%+v", found)
		}
		for _, task := range r.plan(t).Tasks {
			if task.Kind == settingChange {
				t.Errorf("%s %s", task.Verb, task.Resource)
			}
		}
	})
}
