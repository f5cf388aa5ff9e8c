package baseline

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
)

const hubPolicyOnly = "securityhub-policy: true"

// v2 says whether Security Hub V2 is on in an account × Region.
func (r *rig) v2(t *testing.T, account, region string) bool {
	t.Helper()
	_, err := r.hub(account, region).DescribeSecurityHubV2(t.Context(), &securityhub.DescribeSecurityHubV2Input{})
	if err != nil && orgs.Code(err) != "ResourceNotFoundException" {
		t.Fatal(err)
	}
	return err == nil
}

// hubPoliciesOn are the names of the Security Hub policies of a root, OU or account.
func (r *rig) hubPoliciesOn(t *testing.T, target string) []string {
	t.Helper()
	out, err := organizations.NewFromConfig(r.w.ManagementConfig(virginia)).ListPoliciesForTarget(t.Context(), &organizations.ListPoliciesForTargetInput{
		TargetId: aws.String(target), Filter: orgtypes.PolicyTypeSecurityhubPolicy,
	})
	noError(t, err)
	var names []string
	for _, p := range out.Policies {
		names = append(names, aws.ToString(p.Name))
	}
	return names
}

// settingChanges are the changes of settings that a plan makes, in short.
func settingChanges(p Proposal) []string {
	var out []string
	for _, task := range p.Tasks {
		if task.Kind == settingChange {
			out = append(out, string(task.Verb)+" "+task.Resource)
		}
	}
	return out
}

// withPolicy is the demo with a Security Hub policy of somebody else's.
func withPolicy(t *testing.T, attach, enable, disable string) sim.Spec {
	t.Helper()
	s, err := sim.Scenario("demo")
	noError(t, err)
	s.Organization.PolicyTypes = append(s.Organization.PolicyTypes, string(orgtypes.PolicyTypeSecurityhubPolicy))
	s.Organization.TrustedAccess = append(s.Organization.TrustedAccess, securityHubPrincipal)
	list := func(regions string) string { return `["` + strings.Join(strings.Fields(regions), `","`) + `"]` }
	if disable == "" {
		disable = "@"
	}
	s.Policies = append(s.Policies, sim.PolicySpec{
		Name: "SecurityTeam", Type: string(orgtypes.PolicyTypeSecurityhubPolicy), Attach: []string{attach},
		Content: strings.ReplaceAll(`{"securityhub":{"enable_in_regions":{"@@assign":`+list(enable)+`},"disable_in_regions":{"@@assign":`+list(disable)+`}}}`, `"@"`, ""),
	})
	return s
}

func TestHubPolicyFromAuditToTeardown(t *testing.T) {
	for name, lag := range map[string]time.Duration{"the policy acts at once": 0, "the policy takes its time": time.Hour} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, only(hubPolicyOnly))
				r.w.SetTiming(sim.Timing{HubPolicy: lag, PolicyType: time.Minute})
				ctx := t.Context()
				before := lines(r.audit(t, Filter{}))
				for _, want := range []string{
					"100000000001 global securityhub.amazonaws.com may not act in the organization: none, want trusted access",
					"100000000001 global the root does not have the policy type SECURITYHUB_POLICY: NONE, want ENABLED",
					"100000000001 ap-northeast-1 Security Hub V2 has no delegated administrator: none, want 200000000001",
					"300000000001 us-east-1 Security Hub V2 is off: off, want on",
				} {
					if !slices.Contains(before, want) {
						t.Errorf("no finding %q among\n%s", want, strings.Join(before, "\n"))
					}
				}
				first := r.plan(t)
				records := recorded(t, first.Tasks)
				r.mustBeQuiet(t)
				if again := r.plan(t); len(again.Tasks) > 0 {
					t.Errorf("after a rollout a plan has %d changes, e.g. %s", len(again.Tasks), again.Tasks[0].Resource)
				}
				for _, account := range []string{management, securityAccount, shopProd} {
					if !r.v2(t, account, tokyo) || !r.v2(t, account, virginia) {
						t.Errorf("Security Hub V2 is off in %s", account)
					}
				}
				if _, err := r.hub(shopProd, tokyo).DisableSecurityHubV2(ctx, &securityhub.DisableSecurityHubV2Input{}); err == nil {
					t.Error("a member account switches off what the policy enables")
				}

				// Somebody edits the policy and takes it off.
				o := organizations.NewFromConfig(r.w.ManagementConfig(virginia))
				b := r.open(t)
				p, err := b.site(b.pool, management, tokyo).hubPolicies().Read(ctx, "orgguard-security-hub")
				noError(t, err)
				_, err = o.UpdatePolicy(ctx, &organizations.UpdatePolicyInput{PolicyId: aws.String(p.ID), Content: aws.String(`{"securityhub":{"enable_in_regions":{"@@assign":[]},"disable_in_regions":{"@@assign":["us-east-1"]}}}`)})
				noError(t, err)
				_, err = o.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: aws.String(p.ID), TargetId: aws.String(p.Targets[0])})
				noError(t, err)
				got := lines(r.audit(t, Filter{Controls: []string{"securityhub-policy"}}))
				if !strings.Contains(strings.Join(got, "\n"), "policy orgguard-security-hub says something else") || !strings.Contains(strings.Join(got, "\n"), "is not attached to "+p.Targets[0]) {
					t.Errorf("after tampering:\n%s", strings.Join(got, "\n"))
				}
				mustDo(t, r.plan(t).Tasks)
				r.mustBeQuiet(t)

				b = r.open(t)
				undo := b.Undo(ctx, b.pool, records)
				for _, task := range undo.Tasks { // it shows what it does, and not what stays on
					shown := compact([]any{task.Before, task.After})
					if strings.Contains(shown, "SECURITYHUB_POLICY") || strings.Contains(shown, "trusted access") {
						t.Errorf("the undo of %s shows %s", task.Resource, shown)
					}
					if strings.HasPrefix(task.Resource, "Security Hub policy") && !strings.Contains(shown, "is not attached to "+p.Targets[0]) {
						t.Errorf("the undo of %s does not show what it takes off: %s", task.Resource, shown)
					}
				}
				mustDo(t, undo.Tasks)
				r.mustBeGone(t, securityHubPrincipal, "orgguard:securityhub-v2")
				if left := r.hubPoliciesOn(t, string(b.Org.Root)); len(left) > 0 || !r.v2(t, shopProd, tokyo) {
					t.Errorf("after an undo there are %v, and Security Hub V2 stays on: %t", left, r.v2(t, shopProd, tokyo))
				}
				mustDo(t, r.plan(t).Tasks)
				r.mustBeQuiet(t)
				b = r.open(t)
				mustDo(t, b.Teardown(ctx, b.pool, KeepHistory, 4).Tasks)
				r.mustBeGone(t, securityHubPrincipal, "orgguard:securityhub-v2")
				if left := r.hubPoliciesOn(t, string(b.Org.Root)); len(left) > 0 {
					t.Errorf("after a teardown there are %v", left)
				}
				if left := b.Remains(ctx, b.pool, KeepHistory, 4); len(left) > 0 {
					t.Errorf("left: %+v", left)
				}
			})
		})
	}
}

// What others wrote is respected: adopted where it does what is wanted, and named where
// it decides otherwise.
func TestHubPoliciesOfOthersAreRespected(t *testing.T) {
	t.Run("one that enables it everywhere is enough", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			r := newRig(t, withPolicy(t, "root", "ALL_SUPPORTED", ""), only(hubPolicyOnly))
			p := r.plan(t)
			if diff := cmp.Diff([]string{"enable organization setting SecurityHubV2Administrator"}, settingChanges(p)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			mustDo(t, p.Tasks)
			r.mustBeQuiet(t)
			b := r.open(t)
			mustDo(t, b.Teardown(t.Context(), b.pool, KeepHistory, 4).Tasks)
			if got := r.hubPoliciesOn(t, string(b.Org.Root)); !slices.Equal(got, []string{"SecurityTeam"}) {
				t.Errorf("the root has %v", got)
			}
		})
	})
	t.Run("one that leaves a Region out decides", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			r := newRig(t, withPolicy(t, "root", virginia, ""), only(hubPolicyOnly))
			p := r.plan(t)
			if slices.ContainsFunc(p.Tasks, func(task plan.Task) bool {
				return strings.Contains(task.Resource, "policy") || task.Region == tokyo && task.Account == shopProd
			}) {
				t.Errorf("changes %v", settingChanges(p))
			}
			if !slices.ContainsFunc(p.Skipped, func(s plan.Skip) bool { return strings.Contains(s.Reason, "(SecurityTeam): it decides here") }) {
				t.Errorf("nothing is told: %+v", p.Skipped)
			}
			mustDo(t, p.Tasks)
			b := r.open(t)
			if got := r.hubPoliciesOn(t, string(b.Org.Root)); !slices.Equal(got, []string{"SecurityTeam"}) || r.v2(t, shopProd, tokyo) || !r.v2(t, shopProd, virginia) {
				t.Errorf("the root has %v", got)
			}
		})
	})
	t.Run("one on an OU decides there alone", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			r := newRig(t, withPolicy(t, "Sandbox", virginia, tokyo), only(hubPolicyOnly))
			mustDo(t, r.plan(t).Tasks)
			found := wrong(r.audit(t, Filter{}))
			if len(found) == 0 || slices.ContainsFunc(found, func(f finding.Finding) bool {
				return !strings.Contains(f.Fix, "SecurityTeam") || f.OUPath != "Root/Sandbox"
			}) {
				t.Errorf("findings %+v", found)
			}
			if !r.v2(t, shopProd, tokyo) {
				t.Error("it is off where the policy of the OU decides nothing")
			}
			if p := r.plan(t); len(p.Tasks) > 0 {
				t.Errorf("%d changes against the policy of the OU", len(p.Tasks))
			}
		})
	})
	t.Run("one of orgguard's name without its tag is not written", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			s := withPolicy(t, "Sandbox", virginia, "")
			s.Policies[len(s.Policies)-1].Name = "orgguard-security-hub"
			r := newRig(t, s, only(hubPolicyOnly))
			p := r.plan(t)
			if slices.ContainsFunc(p.Tasks, func(task plan.Task) bool { return strings.Contains(task.Resource, "policy") }) {
				t.Errorf("changes %v", settingChanges(p))
			}
			b := r.open(t)
			if tasks := b.Teardown(t.Context(), b.pool, KeepHistory, 4).Tasks; slices.ContainsFunc(tasks, func(task plan.Task) bool { return strings.Contains(task.Resource, "policy") }) {
				t.Errorf("a teardown takes it: %+v", tasks)
			}
		})
	})
}

// The administrator is another account's affair in three ways.
func TestHubV2AdministratorOfOthersIsRespected(t *testing.T) {
	appoint := func(t *testing.T, r *rig, account string, feature types.SecurityHubFeature) {
		t.Helper()
		_, err := securityhub.NewFromConfig(r.w.ManagementConfig(virginia)).EnableOrganizationAdminAccount(t.Context(), &securityhub.EnableOrganizationAdminAccountInput{AdminAccountId: aws.String(account), Feature: feature})
		noError(t, err)
	}
	about := func(t *testing.T, r *rig) []string {
		t.Helper()
		var out []string
		for _, f := range wrong(r.audit(t, Filter{Regions: []string{tokyo}})) {
			if strings.Contains(f.Reason, "administ") {
				out = append(out, f.Reason+": "+f.Fix)
			}
		}
		return out
	}
	for name, feature := range map[string]types.SecurityHubFeature{"of Security Hub CSPM": types.SecurityHubFeatureSecurityHub, "of Security Hub V2": types.SecurityHubFeatureSecurityHubV2} {
		t.Run("another account is the administrator "+name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, only(hubPolicyOnly))
				appoint(t, r, "200000000002", feature)
				if got := about(t, r); len(got) != 1 || !strings.HasPrefix(got[0], "Security Hub V2 is administered by another account: account 200000000002 administers Security Hub V2 already") {
					t.Errorf("findings %v", got)
				}
				if p := r.plan(t); slices.Contains(settingChanges(p), "enable organization setting SecurityHubV2Administrator") {
					t.Error("it is replaced")
				}
			})
		})
	}
	t.Run("the management account cannot be it", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			r := demoRig(t, strings.Replace(only(hubPolicyOnly), `security_account: "200000000001"`, `security_account: "100000000001"`, 1))
			if got := about(t, r); len(got) != 1 || !strings.Contains(got[0], "AWS does not let the management account administer Security Hub V2") {
				t.Errorf("findings %v", got)
			}
		})
	})
	t.Run("that of Security Hub CSPM stays its administrator when V2 goes", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			r := demoRig(t, only(hubPolicyOnly))
			mustDo(t, r.plan(t).Tasks)
			appoint(t, r, securityAccount, types.SecurityHubFeatureSecurityHub) // by somebody, later
			b := r.open(t)
			mustDo(t, b.Teardown(t.Context(), b.pool, KeepHistory, 4).Tasks)
			out, err := securityhub.NewFromConfig(r.w.ManagementConfig(virginia)).ListOrganizationAdminAccounts(t.Context(), &securityhub.ListOrganizationAdminAccountsInput{})
			if err != nil || len(out.AdminAccounts) != 1 {
				t.Errorf("administrators of Security Hub CSPM: %+v, %v", out, err)
			}
		})
	})
	t.Run("both go together", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			r := demoRig(t, alone(demoConfig, []string{"securityhub", "securityhub-policy"}, "  securityhub: true\n  "+hubPolicyOnly+"\n"))
			records := recorded(t, r.plan(t).Tasks)
			r.mustBeQuiet(t)
			b := r.open(t)
			mustDo(t, b.Undo(t.Context(), b.pool, records).Tasks)
			r.mustBeGone(t, securityHubPrincipal, "orgguard:securityhub-v2")
			mustDo(t, r.plan(t).Tasks)
			b = r.open(t)
			mustDo(t, b.Teardown(t.Context(), b.pool, KeepHistory, 4).Tasks)
			r.mustBeGone(t, securityHubPrincipal, "orgguard:securityhub-v2")
			r.mustBeGone(t, securityHubPrincipal, "orgguard:securityhub")
			if left := b.Remains(t.Context(), b.pool, KeepHistory, 4); slices.ContainsFunc(left, func(s plan.Skip) bool { return strings.Contains(s.Reason, "setting") }) {
				t.Errorf("left: %+v", left)
			}
		})
	})
}

func TestCompareHubPolicy(t *testing.T) {
	r := Resource{Type: "OrgGuard::Organizations::SecurityHubPolicy", Props: map[string]any{"Name": "orgguard-security-hub", "Attach": "r-root", "Regions": tokyo + "," + virginia}}
	text := `{"securityhub":{"disable_in_regions":{"@@assign":[]},"enable_in_regions":{"@@assign":["ap-northeast-1","us-east-1"]}}}`
	if got := hubPolicyText(r); got != text {
		t.Errorf("the policy says %s", got)
	}
	good := func(change func(*hubPolicyState)) hubPolicyState {
		st := hubPolicyState{Trusted: true, Type: "ENABLED", ID: "p-1", Ours: true, Text: text, Targets: []string{"r-root"}, Reach: map[string]string{"r-root": "Root, 3 accounts"}}
		change(&st)
		return st
	}
	gap := hubPolicyGap{Account: blind, Regions: []string{tokyo}, Path: []string{blind, "r-root"}}
	const want = "Security Hub V2 on in ap-northeast-1 and us-east-1"
	testCompare(t, r, []compareCase{
		{"all as wanted", good(func(*hubPolicyState) {}), nil},
		{"others have seen to it", hubPolicyState{Trusted: true, Type: "ENABLED", Others: []hubPolicyOf{{"theirs", []string{"r-root"}}}}, nil},
		{"the type is on its way", good(func(s *hubPolicyState) { s.Type = "PENDING_ENABLE" }), []Mismatch{
			{Reason: "the root does not have the policy type SECURITYHUB_POLICY", Expected: "ENABLED", Actual: "PENDING_ENABLE", Verb: "enable", Stays: true},
		}},
		{"it is attached to nothing", good(func(s *hubPolicyState) { s.Targets, s.Left = nil, []hubPolicyGap{gap} }), []Mismatch{
			{Reason: "policy orgguard-security-hub is not attached to r-root", Expected: want + " (Root, 3 accounts)", Actual: "not attached", Verb: "attach"},
		}},
		{"AWS has not taken it over yet", good(func(s *hubPolicyState) { s.Left = []hubPolicyGap{gap} }), []Mismatch{
			{Reason: "the policy is not effective in the account", Account: blind, Expected: want, Actual: "not in ap-northeast-1", Verb: "update"},
		}},
		{"somebody else's policy is on the account", good(func(s *hubPolicyState) {
			g := gap
			g.By = []string{"theirs"}
			s.Others, s.Left = []hubPolicyOf{{"theirs", []string{blind}}}, []hubPolicyGap{g}
		}), []Mismatch{
			{Reason: "a policy nearer to the account does not enable Security Hub V2", Account: blind, Expected: want, Actual: "not in ap-northeast-1", Manual: leave([]string{"theirs"})},
		}},
	})
}

func TestRegionsOfEffectivePolicies(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		wanted []string
		want   []string
	}{
		"none":                           {"", []string{tokyo}, []string{tokyo}},
		"both are named":                 {`{"securityhub":{"enable_in_regions":["ap-northeast-1","us-east-1"],"disable_in_regions":[]}}`, []string{tokyo, virginia}, nil},
		"one is in both lists":           {`{"securityhub":{"enable_in_regions":["ap-northeast-1","us-east-1"],"disable_in_regions":["us-east-1"]}}`, []string{tokyo, virginia}, []string{virginia}},
		"all but one":                    {`{"securityhub":{"enable_in_regions":["ALL_SUPPORTED"],"disable_in_regions":["us-east-1"]}}`, []string{tokyo, virginia}, []string{virginia}},
		"all are disabled":               {`{"securityhub":{"enable_in_regions":["us-east-1"],"disable_in_regions":["ALL_SUPPORTED"]}}`, []string{virginia}, []string{virginia}},
		"all are wanted, and one is off": {`{"securityhub":{"enable_in_regions":["ALL_SUPPORTED"],"disable_in_regions":["us-east-1"]}}`, []string{allSupported}, []string{allSupported}},
		"all are wanted, and some named": {`{"securityhub":{"enable_in_regions":["us-east-1"],"disable_in_regions":[]}}`, []string{allSupported}, []string{allSupported}},
		"features besides":               {`{"securityhub":{"enable_in_regions":["us-east-1"],"disable_in_regions":[],"features":{"x":{}}}}`, []string{virginia}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := hubRegionsIn(c.text)
			noError(t, err)
			if diff := cmp.Diff(c.want, got.lacks(c.wanted)); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := hubRegionsIn("nonsense"); err == nil {
		t.Error("an effective policy that nobody can read is no policy")
	}
}

func TestTargetsOfTheHubPolicy(t *testing.T) {
	org := newBaseline(t, demoConfig).Org
	id := func(ref string) string {
		ou, err := org.FindOU(ref)
		noError(t, err)
		return string(ou.ID)
	}
	for name, c := range map[string]struct{ attach, want []string }{
		"the root":             {[]string{"root"}, []string{id("root")}},
		"twice":                {[]string{"Sandbox", "Root/Sandbox"}, []string{id("Sandbox")}},
		"one below another":    {[]string{"Workloads/Prod", "Workloads"}, []string{id("Workloads")}},
		"all of it, and an OU": {[]string{"Sandbox", "root"}, []string{id("root")}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := hubPolicyTargets(&HubPolicySettings{Attach: c.attach}, org)
			noError(t, err)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := hubPolicyTargets(&HubPolicySettings{Attach: []string{"Elsewhere"}}, org); err == nil {
		t.Error("an OU that is not there is a target")
	}
}
