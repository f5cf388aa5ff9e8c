package baseline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/google/go-cmp/cmp"
)

const guardrailConfig = demoConfig + `
baseline:
  detective-guardrails: {guidance: [mandatory, strongly-recommended, elective]}
scp: {protect-config: {enabled: false}}
`

func TestGuardrailsOfTheSettings(t *testing.T) {
	cases := []struct {
		name     string
		settings GuardrailSettings
		want     int
		without  string // a rule that must not be there
	}{
		{"all, each rule once", GuardrailSettings{Guidance: guidances}, 14, ""},
		{"mandatory ones", GuardrailSettings{Guidance: guidances[:1]}, 2, "ENCRYPTED_VOLUMES"},
		{"by default", *detectiveGuardrails.settings().(*GuardrailSettings), 11, "IAM_USER_MFA_ENABLED"},
		{"one is skipped", GuardrailSettings{Guidance: guidances[1:2], Skip: []string{"AWS-GR_RESTRICTED_SSH"}}, 10, "INCOMING_SSH_DISABLED"},
		{"the other name of a rule that is skipped", GuardrailSettings{Guidance: guidances, Skip: []string{"AWS-GR_S3_BUCKET_PUBLIC_READ_PROHIBITED"}}, 14, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := c.settings.wanted()
			if len(got) != c.want || slices.ContainsFunc(got, func(g guardrail) bool { return g.rule == c.without }) {
				t.Errorf("%d guardrails, want %d without %q: %+v", len(got), c.want, c.without, got)
			}
		})
	}
}

// A pack that somebody deletes, or puts other rules into, is found and deployed anew.
func TestGuardrailsAreAuditedAndRepaired(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, guardrailConfig)
		r.mustRollout(t)
		r.mustBeClean(t)
		c := configservice.NewFromConfig(r.member(shopProd, tokyo))
		rules, err := c.DescribeConfigRules(t.Context(), &configservice.DescribeConfigRulesInput{})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(rules.ConfigRules); n != 14 { // tokyo is the home Region: IAM is recorded there
			t.Errorf("%d rules in the home Region", n)
		}
		elsewhere, err := configservice.NewFromConfig(r.member(shopProd, virginia)).DescribeConfigRules(t.Context(), &configservice.DescribeConfigRulesInput{})
		if err != nil || len(elsewhere.ConfigRules) != 11 {
			t.Errorf("%d rules elsewhere, %v; want those that are not about the account", len(elsewhere.ConfigRules), err)
		}
		if _, err := c.DeleteConfigRule(t.Context(), &configservice.DeleteConfigRuleInput{ConfigRuleName: rules.ConfigRules[0].ConfigRuleName}); err == nil {
			t.Error("a rule of a pack could be deleted by itself")
		}
		other := packTemplate([]guardrail{{id: "AWS-GR_ENCRYPTED_VOLUMES", rule: "ENCRYPTED_VOLUMES"}, {id: "AWS-GR_X", rule: "S3_BUCKET_VERSIONING_ENABLED", types: []string{"AWS::S3::Bucket"}}})
		if _, err := c.PutConformancePack(t.Context(), &configservice.PutConformancePackInput{ConformancePackName: aws.String("orgguard-account-guardrails"), TemplateBody: aws.String(other)}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.DeleteConformancePack(t.Context(), &configservice.DeleteConformancePackInput{ConformancePackName: aws.String("orgguard-guardrails")}); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range wrong(r.audit(t, Filter{})) {
			reason, _, _ := strings.Cut(f.Reason, "; ")
			got = append(got, fmt.Sprintf("%s %s %s: %s", f.Account, f.Region, f.Resource, reason))
		}
		slices.Sort(got)
		at := shopProd + " " + tokyo + " conformance pack "
		if diff := cmp.Diff([]string{
			at + "orgguard-account-guardrails: the pack has besides, or otherwise, ENCRYPTED_VOLUMES and S3_BUCKET_VERSIONING_ENABLED",
			at + "orgguard-account-guardrails: the pack has not, or otherwise, IAM_USER_MFA_ENABLED, MFA_ENABLED_FOR_IAM_CONSOLE_ACCESS and ROOT_ACCOUNT_MFA_ENABLED",
			at + "orgguard-guardrails: missing: conformance pack orgguard-guardrails",
		}, got); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
		r.mustRollout(t)
		r.mustBeClean(t)
	})
}

func TestComparePack(t *testing.T) {
	r := Resource{Type: "AWS::Config::ConformancePack", Props: map[string]any{
		"ConformancePackName": "p", "TemplateBody": packTemplate(guardrails[3:5]),
	}}
	want, err := wantPack(r)
	if err != nil || len(want) != 2 || want[0].Parameters != `{"deleteOnTermination":"true"}` {
		t.Fatalf("the template's rules are %+v, %v", want, err)
	}
	changed := slices.Clone(want)
	changed[0].Parameters = ""
	testCompare(t, r, []compareCase{
		{"in sync", packState{State: "CREATE_COMPLETE", Rules: want}, nil},
		{"under way", packState{State: "CREATE_IN_PROGRESS"}, []Mismatch{{Reason: "AWS Config is deploying the pack", Expected: "CREATE_COMPLETE", Actual: "CREATE_IN_PROGRESS", Waits: true, Manual: "wait a few minutes and audit again"}}},
		{"failed", packState{State: "CREATE_FAILED", Reason: "no such rule in this Region"}, []Mismatch{{Reason: "the pack is CREATE_FAILED: no such rule in this Region", Expected: "CREATE_COMPLETE", Actual: "CREATE_FAILED"}}},
		{"other parameters", packState{State: "CREATE_COMPLETE", Rules: changed}, []Mismatch{
			{Reason: "the pack has not, or otherwise, EC2_VOLUME_INUSE_CHECK", Expected: want, Actual: changed},
			{Reason: "the pack has besides, or otherwise, EC2_VOLUME_INUSE_CHECK", Expected: want, Actual: changed},
		}},
	})
}
