package baseline

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
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
