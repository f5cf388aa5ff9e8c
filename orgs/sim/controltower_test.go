package sim

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/controltower"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/orgguard/orgguard/orgs"
)

// towered is the demo organization with Control Tower in its Prod OU.
func towered(t *testing.T) *World {
	t.Helper()
	spec, err := Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	spec.ControlTower = &LandingZoneSpec{
		Version: "3.3", Latest: "4.0", Regions: []string{"ap-northeast-1", "us-east-1"},
		LogArchive: "log-archive", Audit: "security", Enrolled: []string{"Workloads/Prod"},
	}
	w, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestALandingZoneIsKnownInItsHomeRegionOnly(t *testing.T) {
	w := towered(t)
	for region, want := range map[string]int{"ap-northeast-1": 1, "us-east-1": 0} {
		c := controltower.NewFromConfig(w.ManagementConfig(region))
		out := must(c.ListLandingZones(t.Context(), &controltower.ListLandingZonesInput{}))(t)
		if len(out.LandingZones) != want {
			t.Fatalf("%s lists %d landing zones, want %d", region, len(out.LandingZones), want)
		}
		base := must(c.ListEnabledBaselines(t.Context(), &controltower.ListEnabledBaselinesInput{}))(t)
		if len(base.EnabledBaselines) != want {
			t.Errorf("%s lists %d baselines, want %d", region, len(base.EnabledBaselines), want)
		}
		if want == 0 {
			continue
		}
		got := must(c.GetLandingZone(t.Context(), &controltower.GetLandingZoneInput{LandingZoneIdentifier: out.LandingZones[0].Arn}))(t)
		if b, err := got.LandingZone.Manifest.MarshalSmithyDocument(); err != nil || !strings.Contains(string(b), `"governedRegions":["ap-northeast-1","us-east-1"]`) {
			t.Errorf("the manifest is %s (%v)", b, err)
		}
	}
	_, err := controltower.NewFromConfig(w.Config("ap-northeast-1", w.RolePrincipal("300000000001", "OrganizationAccountAccessRole", "x"))).ListLandingZones(t.Context(), &controltower.ListLandingZonesInput{})
	if orgs.Code(err) != "AccessDeniedException" {
		t.Errorf("a member account asks Control Tower: %v", err)
	}
}

func TestAnEnrolledAccountHasControlTowersRecorderAndMayNotChangeIt(t *testing.T) {
	w := towered(t)
	c := configservice.NewFromConfig(w.Config("us-east-1", w.RolePrincipal("300000000001", "OrganizationAccountAccessRole", "x")))
	rec := must(c.DescribeConfigurationRecorders(t.Context(), &configservice.DescribeConfigurationRecordersInput{}))(t)
	if len(rec.ConfigurationRecorders) != 1 || aws.ToString(rec.ConfigurationRecorders[0].Name) != controlTowerRecorder {
		t.Fatalf("recorders: %v", rec.ConfigurationRecorders)
	}
	_, err := c.StopConfigurationRecorder(t.Context(), &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String(controlTowerRecorder)})
	if orgs.Code(err) != "AccessDeniedException" {
		t.Errorf("an administrator stops Control Tower's recorder: %v", err)
	}
	tower := configservice.NewFromConfig(w.Config("us-east-1", w.RolePrincipal("300000000001", controlTowerRole, "x")))
	must(tower.StopConfigurationRecorder(t.Context(), &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String(controlTowerRecorder)}))(t)
}

func TestSimulatePrincipalPolicyKnowsTheRoleAndTheSCPs(t *testing.T) {
	w := towered(t)
	const stop, read = "config:StopConfigurationRecorder", "config:DescribeConfigurationRecorders"
	for _, tc := range []struct {
		name, account, role string
		arn                 bool // aws:PrincipalArn is given
		denied              []string
	}{
		{"an administrator under the guardrail", "300000000001", "OrganizationAccountAccessRole", true, []string{stop}},
		{"an exempt role whose ARN is given", "300000000001", controlTowerRole, true, nil},
		{"an exempt role whose ARN is not given is refused", "300000000001", controlTowerRole, false, []string{stop}},
		{"an account outside the enrolled OU", "400000000001", "OrganizationAccountAccessRole", true, nil},
		{"the management account, which no SCP reaches", "100000000001", "OrgAdmin", true, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			arn := "arn:aws:iam::" + tc.account + ":role/" + tc.role
			in := &iam.SimulatePrincipalPolicyInput{PolicySourceArn: aws.String(arn), ActionNames: []string{stop, read}}
			if tc.arn {
				in.ContextEntries = []types.ContextEntry{{ContextKeyName: aws.String("aws:PrincipalArn"), ContextKeyType: types.ContextKeyTypeEnumString, ContextKeyValues: []string{arn}}}
			}
			out := must(iam.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(tc.account, tc.role, "x"))).SimulatePrincipalPolicy(t.Context(), in))(t)
			var denied []string
			for _, r := range out.EvaluationResults {
				if r.EvalDecision != types.PolicyEvaluationDecisionTypeAllowed {
					denied = append(denied, aws.ToString(r.EvalActionName))
				}
			}
			if !slices.Equal(denied, tc.denied) {
				t.Errorf("denied %v, want %v", denied, tc.denied)
			}
		})
	}
	for source, want := range map[string]string{
		"arn:aws:sts::100000000001:assumed-role/OrgAdmin/x": "InvalidInput",
		"arn:aws:iam::100000000001:role/Nobody":             "NoSuchEntity",
	} {
		_, err := iam.NewFromConfig(w.ManagementConfig("us-east-1")).SimulatePrincipalPolicy(t.Context(), &iam.SimulatePrincipalPolicyInput{PolicySourceArn: aws.String(source), ActionNames: []string{read}})
		if orgs.Code(err) != want {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
	}
}
