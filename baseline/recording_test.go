package baseline

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// What AWS Config costs is what is recorded and how often: both are as configured in
// every account and Region, IAM's types are recorded in one Region alone, and a recorder
// that somebody makes dearer is drift.
func TestWhatIsRecordedAndHowOftenIsAsConfigured(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), everyoneConfig+"baseline: {config-recorder: {recording: daily, global_types_region: us-east-1}}\n"+
			"overrides: [{account: shop-prod, reason: auditors want every change, baseline: {config-recorder: {recording: continuous, global_types_region: us-east-1}}}]\n")
		shown := false
		for _, task := range r.plan(t).Tasks {
			after, _ := task.After.(map[string]any)
			params, _ := after["parameters"].(map[string]string)
			shown = shown || task.Resource == "stack set orgguard-recorder" && params["RecordingFrequency"] == "DAILY"
		}
		if !shown {
			t.Error("the plan does not show how often is recorded")
		}
		r.mustRollout(t)
		r.mustBeClean(t)
		recorder := func(account, region string) types.ConfigurationRecorder {
			t.Helper()
			out, err := configservice.NewFromConfig(r.member(account, region)).DescribeConfigurationRecorders(t.Context(), &configservice.DescribeConfigurationRecordersInput{})
			if err != nil || len(out.ConfigurationRecorders) != 1 {
				t.Fatalf("%s %s: %+v, %v", account, region, out, err)
			}
			return out.ConfigurationRecorders[0]
		}
		for _, c := range []struct {
			account, region string
			often           types.RecordingFrequency
			global          bool
		}{
			{legacy, tokyo, types.RecordingFrequencyDaily, false},
			{legacy, virginia, types.RecordingFrequencyDaily, true},
			{shopProd, tokyo, types.RecordingFrequencyContinuous, false},
			{management, virginia, types.RecordingFrequencyDaily, true},
		} {
			rec := recorder(c.account, c.region)
			if rec.RecordingMode.RecordingFrequency != c.often || rec.RecordingGroup.IncludeGlobalResourceTypes != c.global {
				t.Errorf("%s %s: %s, global types %v; want %s, %v", c.account, c.region, rec.RecordingMode.RecordingFrequency, rec.RecordingGroup.IncludeGlobalResourceTypes, c.often, c.global)
			}
		}

		dearer := recorder(securityAccount, tokyo)
		if _, err := configservice.NewFromConfig(r.member(securityAccount, tokyo)).PutConfigurationRecorder(t.Context(), &configservice.PutConfigurationRecorderInput{
			ConfigurationRecorder: &types.ConfigurationRecorder{
				Name: dearer.Name, RoleARN: dearer.RoleARN, RecordingGroup: dearer.RecordingGroup,
				RecordingMode: &types.RecordingMode{RecordingFrequency: types.RecordingFrequencyContinuous},
			},
		}); err != nil {
			t.Fatal(err)
		}
		found := wrong(r.audit(t, Filter{}))
		if len(found) != 1 || !strings.Contains(found[0].Reason, "frequency differs") {
			t.Errorf("%+v", found)
		}
	})
}

// Security Hub wants recorders to use AWS Config's own role. It is made where it is
// missing before recorders use it, one that somebody chose stays, and recording goes on
// through the change.
func TestRecordersUseTheRoleThatIsConfigured(t *testing.T) {
	const linked = "role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"
	const own = "role/orgguard-config-recorder"
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), everyoneConfig)
		config := func(account string) *configservice.Client {
			return configservice.NewFromConfig(r.member(account, tokyo))
		}
		recorder := func(account string) types.ConfigurationRecorder {
			t.Helper()
			out, err := config(account).DescribeConfigurationRecorders(t.Context(), &configservice.DescribeConfigurationRecordersInput{})
			if err != nil || len(out.ConfigurationRecorders) != 1 {
				t.Fatalf("%s: %+v, %v", account, out, err)
			}
			return out.ConfigurationRecorders[0]
		}
		mustUse := func(account, role string) {
			t.Helper()
			if got := *recorder(account).RoleARN; got != "arn:aws:iam::"+account+":"+role {
				t.Errorf("%s records with %s, want %s", account, got, role)
			}
			status, err := config(account).DescribeConfigurationRecorderStatus(t.Context(), &configservice.DescribeConfigurationRecorderStatusInput{})
			if err != nil || !status.ConfigurationRecordersStatus[0].Recording || status.ConfigurationRecordersStatus[0].LastStatus == types.RecorderStatusFailure {
				t.Errorf("%s: %+v, %v", account, status, err)
			}
		}
		r.mustRollout(t)
		mustUse(shopProd, own)
		mustUse(legacy, linked) // as somebody has set it up

		r.cfg = parseConfig(t, everyoneConfig+"baseline: {config-recorder: {role: service-linked}}\n"+
			"overrides: [{account: \""+securityAccount+"\", reason: its own role is written into contracts, baseline: {config-recorder: {role: orgguard}}}]\n")
		var made []string
		for _, task := range r.plan(t).Tasks {
			if strings.Contains(task.Resource, "AWSServiceRoleForConfig") {
				made = append(made, task.Account)
			}
		}
		if !slices.Contains(made, shopProd) || slices.Contains(made, securityAccount) {
			t.Errorf("the plan makes the role in %q", made)
		}
		r.mustRollout(t)
		r.mustBeClean(t)
		for _, account := range []string{shopProd, management, legacy} {
			mustUse(account, linked)
		}
		mustUse(securityAccount, own)

		_, err := iam.NewFromConfig(r.member(shopProd, virginia)).DeleteServiceLinkedRole(t.Context(), &iam.DeleteServiceLinkedRoleInput{RoleName: aws.String("AWSServiceRoleForConfig")})
		noError(t, err) // it is in use, and stays
		r.mustBeClean(t)

		// Back at the default, a recorder that has the role keeps it when it is mended.
		r.cfg = parseConfig(t, everyoneConfig)
		r.mustRollout(t)
		mustUse(shopProd, own)
		rec := recorder(shopProd)
		rec.RoleARN, rec.RecordingGroup = aws.String("arn:aws:iam::"+shopProd+":"+linked), &types.RecordingGroup{AllSupported: true}
		_, err = config(shopProd).PutConfigurationRecorder(t.Context(), &configservice.PutConfigurationRecorderInput{ConfigurationRecorder: &rec})
		noError(t, err)
		r.mustRollout(t)
		r.mustBeClean(t)
		mustUse(shopProd, linked)
	})
}

func TestWhatSecurityHubWantsOfRecordersIsNoted(t *testing.T) {
	for config, want := range map[string]bool{
		"baseline: {securityhub: true}\n":                                          true,
		"baseline: {securityhub: true, config-recorder: {role: service-linked}}\n": false,
		"baseline: {securityhub: true, securityhub-policy: true}\n":                false,
		"": false,
	} {
		b := newBaseline(t, demoConfig+config)
		if got := slices.ContainsFunc(b.Notes, func(n string) bool { return strings.Contains(n, "Config.1") }); got != want {
			t.Errorf("%q: noted %v, want %v: %q", config, got, want, b.Notes)
		}
	}
}
