package baseline

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	configtypes "github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/spec"
)

func TestEachKindOfRecorderDriftIsOneMismatch(t *testing.T) {
	r := templateResource(t, "config-recorder.recorder.yaml", "Recorder", virginia) // where the IAM types are recorded
	good := recorderState{
		Name: "orgguard", Role: "arn:aws:iam::200000000001:role/orgguard-config-recorder", All: true, GlobalTypes: true,
		Frequency: "CONTINUOUS", Recording: true, LastStatus: "SUCCESS",
	}
	with := func(change func(*recorderState)) recorderState {
		st := good
		change(&st)
		return st
	}
	group := func(all, global bool, more map[string]any) map[string]any {
		m := map[string]any{"all_supported": all, "global_types": global}
		maps.Copy(m, more)
		return m
	}
	testCompare(t, r, []compareCase{
		{"in sync", good, nil},
		{"by another name", with(func(s *recorderState) { s.Name = "default" }), nil},
		{"stopped", with(func(s *recorderState) { s.Recording = false }), []Mismatch{{
			Reason: "the recorder is stopped", Verb: "start", Expected: map[string]any{"recording": true}, Actual: map[string]any{"recording": false},
		}}},
		{"two types only", with(func(s *recorderState) { s.All, s.GlobalTypes, s.Only = false, false, []string{"AWS::EC2::Instance"} }), []Mismatch{{
			Reason: "the recorder does not record all resource types", Expected: group(true, true, nil), Actual: group(false, false, map[string]any{"only": []string{"AWS::EC2::Instance"}}),
		}}},
		{"all but some types", with(func(s *recorderState) { s.All, s.GlobalTypes, s.Except = false, false, []string{"AWS::IAM::Role"} }), []Mismatch{{
			Reason: "the recorder does not record all resource types", Expected: group(true, true, nil), Actual: group(false, false, map[string]any{"except": []string{"AWS::IAM::Role"}}),
		}}},
		{"without the IAM types", with(func(s *recorderState) { s.GlobalTypes = false }), []Mismatch{{
			Reason: "the recorder does not record the global IAM types", Expected: group(true, true, nil), Actual: group(true, false, nil),
		}}},
		{"daily", with(func(s *recorderState) { s.Frequency = "DAILY" }), []Mismatch{{
			Reason: "the recording frequency differs", Expected: map[string]any{"frequency": "CONTINUOUS"}, Actual: map[string]any{"frequency": "DAILY", "types_with_their_own": 0},
		}}},
		{"some types have a frequency of their own", with(func(s *recorderState) { s.Overrides = 2 }), []Mismatch{{
			Reason: "the recording frequency differs", Expected: map[string]any{"frequency": "CONTINUOUS"}, Actual: map[string]any{"frequency": "CONTINUOUS", "types_with_their_own": 2},
		}}},
		{"another role", with(func(s *recorderState) { s.Role = "arn:aws:iam::200000000001:role/other" }), []Mismatch{{
			Reason: "the recorder uses another role", Expected: "arn:aws:iam::200000000001:role/orgguard-config-recorder", Actual: "arn:aws:iam::200000000001:role/other",
		}}},
		{"the last attempt failed", with(func(s *recorderState) { s.LastStatus, s.LastError = "FAILURE", "AccessDenied no" }), []Mismatch{{
			Reason: "the recorder's last attempt failed", Expected: "Success", Actual: "FAILURE AccessDenied no",
			Manual: "look at the recorder's role and at what the error says; recording goes on by itself when the cause is gone",
		}}},
		{"stopped, and failed before that", with(func(s *recorderState) { s.Recording, s.LastStatus = false, "FAILURE" }), []Mismatch{{
			Reason: "the recorder is stopped", Verb: "start", Expected: map[string]any{"recording": true}, Actual: map[string]any{"recording": false},
		}}},
	})
	r = templateResource(t, "config-recorder.recorder.yaml", "Recorder", tokyo)
	testCompare(t, r, []compareCase{{"IAM types in a second Region", good, []Mismatch{{
		Reason: "the recorder should not record the global IAM types here", Expected: group(true, false, nil), Actual: group(true, true, nil),
	}}}})
}

func TestEachKindOfChannelDriftIsOneMismatch(t *testing.T) {
	r := templateResource(t, "config-delivery.recorder.yaml", "DeliveryChannel", tokyo)
	testCompare(t, r, []compareCase{
		{"in sync", channelState{Name: "x", Bucket: "orgguard-logs-test", Frequency: "TwentyFour_Hours", HistoryStatus: "SUCCESS"}, nil},
		{"never delivered yet", channelState{Name: "x", Bucket: "orgguard-logs-test", Frequency: "TwentyFour_Hours"}, nil},
		{"another bucket", channelState{Name: "x", Bucket: "theirs", Frequency: "TwentyFour_Hours"}, []Mismatch{{
			Reason: "the channel delivers to another bucket", Expected: "orgguard-logs-test", Actual: "theirs",
		}}},
		{"another frequency", channelState{Name: "x", Bucket: "orgguard-logs-test", Frequency: "One_Hour"}, []Mismatch{{
			Reason: "the snapshot frequency differs", Expected: "TwentyFour_Hours", Actual: "One_Hour",
		}}},
		{"no snapshots", channelState{Name: "x", Bucket: "orgguard-logs-test"}, []Mismatch{{
			Reason: "the snapshot frequency differs", Expected: "TwentyFour_Hours", Actual: "no snapshots",
		}}},
		{"the last delivery failed", channelState{Name: "x", Bucket: "orgguard-logs-test", Frequency: "TwentyFour_Hours", HistoryStatus: "FAILURE", HistoryError: "NoSuchBucket gone"}, []Mismatch{{
			Reason: "the last delivery failed", Expected: "Success", Actual: "FAILURE NoSuchBucket gone",
			Manual: "check the log bucket and its policy in the security account (control config-delivery there); delivery is tried again by itself",
		}}},
	})
}

func TestEachKindOfRuleDriftIsOneMismatch(t *testing.T) {
	r := alertRule(t, "config-change-alert.alerts")
	want := r.wantTargets()
	if len(want) != 1 {
		t.Fatalf("targets %+v", want)
	}
	pattern := compact(r.Props["EventPattern"])
	other := want[0]
	other.ARN = "arn:aws:events:us-east-1:666666666666:event-bus/theirs"
	extra := ruleTarget{ID: "theirs", ARN: other.ARN}
	testCompare(t, r, []compareCase{
		{"in sync", ruleState{State: "ENABLED", Pattern: pattern, Targets: want}, nil},
		{"the pattern in another order", ruleState{State: "ENABLED", Pattern: `{"detail":{"readOnly":[false],"eventName":[{"anything-but":["PutEvaluations"]}],"eventSource":["config.amazonaws.com"],"userIdentity":{"$or":[{"type":[{"anything-but":["Root"]}]},{"invokedBy":[{"exists":true}]}]}},"source":["aws.config"],"detail-type":["AWS API Call via CloudTrail"]}`, Targets: want}, nil},
		{"disabled", ruleState{State: "DISABLED", Pattern: pattern, Targets: want}, []Mismatch{{
			Reason: "the rule is disabled", Verb: "enable", Expected: map[string]any{"state": "ENABLED"}, Actual: map[string]any{"state": "DISABLED"},
		}}},
		{"a pattern that never matches", ruleState{State: "ENABLED", Pattern: `{"source":["nobody"]}`, Targets: want}, []Mismatch{{
			Reason: "the event pattern differs", Expected: r.Props["EventPattern"], Actual: map[string]any{"source": []any{"nobody"}},
		}}},
		{"no target", ruleState{State: "ENABLED", Pattern: pattern}, []Mismatch{{
			Reason: "the rule has no target: nobody is told", Expected: want[0], Actual: []ruleTarget(nil),
		}}},
		{"the target is another", ruleState{State: "ENABLED", Pattern: pattern, Targets: []ruleTarget{other}}, []Mismatch{{
			Reason: "the rule's target differs", Expected: want[0], Actual: other,
		}}},
		{"a target too many", ruleState{State: "ENABLED", Pattern: pattern, Targets: []ruleTarget{want[0], extra}}, []Mismatch{{
			Reason: "the rule has a target that orgguard did not give it", Actual: extra,
			Manual: "remove the target, or move it to a rule of its own: orgguard does not delete what it did not make",
		}}},
	})
	local := alertRule(t, "config-change-alert.alerts-local")
	target := local.wantTargets()[0]
	changed := target
	changed.Template = `"nothing happened"`
	testCompare(t, local, []compareCase{{"another message", ruleState{State: "ENABLED", Pattern: pattern, Targets: []ruleTarget{changed}}, []Mismatch{{
		Reason: "the rule's target differs", Expected: target, Actual: changed,
	}}}})
}

// What somebody does in an account shows as exactly one finding, and one rollout
// takes it back.
func TestDriftIsFoundAndTakenBack(t *testing.T) {
	config := func(t *testing.T, r *rig, account, region string) *configservice.Client {
		return configservice.NewFromConfig(r.member(account, region))
	}
	cases := []struct {
		name, config string
		tamper       func(t *testing.T, r *rig) error
		want         string
	}{
		{"a recorder is stopped", demoConfig, func(t *testing.T, r *rig) error {
			stopRecorder(t, r, shopProd, tokyo)
			return nil
		}, "300000000001 ap-northeast-1 config-recorder recorder orgguard: the recorder is stopped; CloudFormation says CURRENT"},
		{"the adopted recorder is stopped", demoConfig, func(t *testing.T, r *rig) error {
			stopRecorder(t, r, legacy, tokyo)
			return nil
		}, "500000000003 ap-northeast-1 config-recorder recorder orgguard: the recorder is stopped"},
		{"a recorder is stopped in the management account", demoConfig, func(t *testing.T, r *rig) error {
			stopRecorder(t, r, management, virginia)
			return nil
		}, "100000000001 us-east-1 config-recorder recorder orgguard: the recorder is stopped"},
		{"a recorder records daily", demoConfig, func(t *testing.T, r *rig) error {
			_, err := config(t, r, shopProd, tokyo).PutConfigurationRecorder(t.Context(), &configservice.PutConfigurationRecorderInput{ConfigurationRecorder: &configtypes.ConfigurationRecorder{
				Name: aws.String("orgguard"), RoleARN: aws.String("arn:aws:iam::300000000001:role/orgguard-config-recorder"),
				RecordingGroup: &configtypes.RecordingGroup{AllSupported: true, IncludeGlobalResourceTypes: true},
				RecordingMode:  &configtypes.RecordingMode{RecordingFrequency: configtypes.RecordingFrequencyDaily},
			}})
			return err
		}, "300000000001 ap-northeast-1 config-recorder recorder orgguard: the recording frequency differs; CloudFormation says CURRENT"},
		{"a channel delivers elsewhere", demoConfig, func(t *testing.T, r *rig) error {
			c := config(t, r, shopProd, tokyo)
			_, err := c.PutDeliveryChannel(t.Context(), &configservice.PutDeliveryChannelInput{DeliveryChannel: &configtypes.DeliveryChannel{
				Name: aws.String("orgguard"), S3BucketName: aws.String("orgguard-config-200000000001-ap-northeast-1"),
				ConfigSnapshotDeliveryProperties: &configtypes.ConfigSnapshotDeliveryProperties{DeliveryFrequency: configtypes.MaximumExecutionFrequencyOneHour},
			}})
			return err
		}, "300000000001 ap-northeast-1 config-delivery delivery channel orgguard: the snapshot frequency differs; CloudFormation says CURRENT"},
		{"a rule is disabled", demoConfig, func(t *testing.T, r *rig) error {
			_, err := eventbridge.NewFromConfig(r.member(shopProd, virginia)).DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String("orgguard-config-change")})
			return err
		}, "300000000001 us-east-1 config-change-alert rule orgguard-config-change: the rule is disabled; CloudFormation says CURRENT"},
		{"a rule is deleted", localConfig, func(t *testing.T, r *rig) error {
			c := eventbridge.NewFromConfig(r.member(shopProd, virginia))
			_, err := c.RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: aws.String("orgguard-root-signin"), Ids: []string{"orgguard"}})
			if err == nil {
				_, err = c.DeleteRule(t.Context(), &eventbridge.DeleteRuleInput{Name: aws.String("orgguard-root-signin")})
			}
			return err
		}, "300000000001 us-east-1 root-signin-alert rule orgguard-root-signin: missing: rule orgguard-root-signin; CloudFormation says CURRENT"},
		{"the central rule loses its target", demoConfig, func(t *testing.T, r *rig) error {
			_, err := eventbridge.NewFromConfig(r.member(securityAccount, tokyo)).RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{
				Rule: aws.String("orgguard-config-change"), EventBusName: aws.String("orgguard-alerts"), Ids: []string{"orgguard"},
			})
			return err
		}, "200000000001 ap-northeast-1 config-change-alert rule orgguard-config-change: the rule has no target: nobody is told"},
		{"the central rule catches nothing", demoConfig, func(t *testing.T, r *rig) error {
			_, err := eventbridge.NewFromConfig(r.member(securityAccount, tokyo)).PutRule(t.Context(), &eventbridge.PutRuleInput{
				Name: aws.String("orgguard-root-signin"), EventBusName: aws.String("orgguard-alerts"), EventPattern: aws.String(`{"source":["nobody"]}`), State: eventtypes.RuleStateEnabled,
			})
			return err
		}, "200000000001 ap-northeast-1 root-signin-alert rule orgguard-root-signin: the event pattern differs"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, c.config)
				r.mustRollout(t)
				if err := c.tamper(t, r); err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, f := range wrong(r.audit(t, Filter{})) {
					got = append(got, fmt.Sprintf("%s %s %s %s: %s", f.Account, f.Region, f.Control, f.Resource, f.Told()))
					if f.Status != finding.Drift || f.Severity != finding.High || f.Expected == nil || f.Actual == nil && !strings.Contains(f.Reason, "no target") || f.Fix == "" || f.AccountName == "" || f.OUPath == "" {
						t.Errorf("something is missing in %+v", f)
					}
				}
				if diff := cmp.Diff([]string{c.want}, got); diff != "" {
					t.Errorf("findings (-want +got):\n%s", diff)
				}
				before := r.w.Writes()
				r.mustRollout(t)
				if n := r.w.Writes() - before; n == 0 || n > 4 {
					t.Errorf("the rollout sent %d writes to mend it", n)
				}
				r.mustBeClean(t)
			})
		})
	}
}

func TestExempt(t *testing.T) {
	org := proposeOrg()
	day := func(s string) spec.Date {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return spec.Date{Time: d}
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	drift := finding.Finding{Account: "300000000000", AccountName: "shop", Region: "eu-west-1", Control: "config-recorder", Status: finding.Drift, Reason: "stopped", Fix: "orgguard rollout"}
	accepted := func(reason, owner, until string) finding.Finding {
		f := drift
		f.Status, f.Fix, f.Exemption = finding.Exempt, "", &finding.Exemption{Reason: reason, Owner: owner, Until: until}
		return f
	}
	ended := func(reason, owner, until string) finding.Finding {
		f := drift
		f.Exemption = &finding.Exemption{Reason: reason, Owner: owner, Until: until, Expired: true}
		return f
	}
	cases := []struct {
		name       string
		exemptions []spec.Exemption
		want       finding.Finding
	}{
		{"no exemption", nil, drift},
		{"by number", []spec.Exemption{{Account: "300000000000", Region: "*", Control: "config-recorder", Reason: "lab", Until: day("2026-12-31")}}, accepted("lab", "", "2026-12-31")},
		{"by name, with an owner", []spec.Exemption{{Account: "shop", Region: "eu-west-1", Control: "*", Reason: "lab", Owner: "alice", Until: day("2026-12-31")}}, accepted("lab", "alice", "2026-12-31")},
		{"everybody", []spec.Exemption{{Account: "*", Region: "*", Control: "*", Reason: "lab", Until: day("2026-12-31")}}, accepted("lab", "", "2026-12-31")},
		{"by OU", []spec.Exemption{{OU: "B", Region: "*", Control: "*", Reason: "lab", Until: day("2026-12-31")}}, accepted("lab", "", "2026-12-31")},
		{"another OU", []spec.Exemption{{OU: "A", Region: "*", Control: "*", Reason: "lab", Until: day("2026-12-31")}}, drift},
		{"an OU that is gone", []spec.Exemption{{OU: "gone", Region: "*", Control: "*", Reason: "lab", Until: day("2026-12-31")}}, drift},
		{"another account", []spec.Exemption{{Account: "200000000000", Region: "*", Control: "*", Reason: "lab", Until: day("2026-12-31")}}, drift},
		{"another Region", []spec.Exemption{{Account: "*", Region: "us-east-1", Control: "*", Reason: "lab", Until: day("2026-12-31")}}, drift},
		{"another control", []spec.Exemption{{Account: "*", Region: "*", Control: "alert-topic", Reason: "lab", Until: day("2026-12-31")}}, drift},
		{"until today", []spec.Exemption{{Account: "*", Region: "*", Control: "*", Reason: "lab", Until: day("2026-11-22")}}, accepted("lab", "", "2026-11-22")},
		{"until yesterday", []spec.Exemption{{Account: "*", Region: "*", Control: "*", Reason: "lab", Owner: "alice", Until: day("2026-11-21")}}, ended("lab", "alice", "2026-11-21")},
		{
			"two that have ended: the later one",
			[]spec.Exemption{{Account: "*", Region: "*", Control: "*", Reason: "new", Until: day("2026-11-21")}, {Account: "*", Region: "*", Control: "*", Reason: "old", Until: day("2026-11-20")}},
			ended("new", "", "2026-11-21"),
		},
		{
			"one that has ended and one that has not",
			[]spec.Exemption{{Account: "*", Region: "*", Control: "*", Reason: "old", Until: day("2026-11-21")}, {Account: "*", Region: "*", Control: "*", Reason: "new", Until: day("2026-12-31")}},
			accepted("new", "", "2026-12-31"),
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			other := finding.Finding{Account: "300000000000", Region: "eu-west-1", Control: "config-recorder", Status: finding.NotAssessed, Reason: "no way in"}
			fs := []finding.Finding{drift, other}
			if spent := Exempt(c.exemptions, org, fs, now); len(spent) != 0 {
				t.Errorf("spent: %v", spent)
			}
			if diff := cmp.Diff([]finding.Finding{c.want, other}, fs); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// Whoever administers an account may name it as they like.
func TestNoAccountNamesItselfIntoAnExemption(t *testing.T) {
	until := spec.Date{Time: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)}
	for _, c := range []struct{ name, called, exempt, problem string }{
		{"as another account's number", "200000000000", "200000000000", ""},
		{"as the number of an account that is gone", "400000000000", "400000000000", `the exemption from config-recorder (lab) accepts nothing: no account "400000000000" in the organization`},
		{"as another account is called", "security", "security", `the exemption from config-recorder (lab) accepts nothing: 2 accounts are called "security": give the account number`},
		{"as a typo, which means nobody", "shop", "shpo", `the exemption from config-recorder (lab) accepts nothing: no account "shpo" in the organization; nearest: shop`},
	} {
		t.Run(c.name, func(t *testing.T) {
			org := proposeOrg()
			for i := range org.Accounts {
				if org.Accounts[i].ID == "300000000000" {
					org.Accounts[i].Name = c.called
				}
			}
			fs := []finding.Finding{{Account: "300000000000", AccountName: c.called, Region: "eu-west-1", Control: "config-recorder", Status: finding.Drift}}
			exemptions := []spec.Exemption{{Account: c.exempt, Region: "*", Control: "config-recorder", Reason: "lab", Until: until}}
			if Exempt(exemptions, org, fs, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)); fs[0].Status != finding.Drift {
				t.Errorf("an account called %q is %s", c.called, fs[0].Status)
			}
			var problems []string
			for _, err := range Aimless(exemptions, org) {
				problems = append(problems, err.Error())
			}
			if got := strings.Join(problems, "\n"); got != c.problem {
				t.Errorf("said %q, want %q", got, c.problem)
			}
		})
	}
}

func TestExemptNamesThoseThatHaveEndedAndCoverNothing(t *testing.T) {
	day := func(d int) spec.Date { return spec.Date{Time: time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC)} }
	fs := []finding.Finding{
		{Account: "300000000000", Region: "eu-west-1", Control: "config-recorder", Status: finding.Drift},
		{Account: "300000000000", Region: "eu-west-1", Control: "alert-topic", Status: finding.InSync},
	}
	all := []spec.Exemption{
		{Account: "*", Region: "*", Control: "alert-topic", Reason: "over, and mended", Until: day(1)},
		{Account: "*", Region: "*", Control: "config-recorder", Reason: "over, and still there", Until: day(1)},
		{Account: "*", Region: "*", Control: "alert-topic", Reason: "goes on", Until: day(30)},
	}
	spent := Exempt(all, proposeOrg(), fs, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))
	if diff := cmp.Diff(all[:1], spent); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s := finding.Summarize(fs); s.Expired != 1 || s.Drift != 1 {
		t.Errorf("%+v", s)
	}
}

func mustResolve(t *testing.T) *Baseline {
	t.Helper()
	b, err := Resolve(parseConfig(t, proposeConfig), proposeOrg(), "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDisagreementsBetweenCloudFormationAndTheAccounts(t *testing.T) {
	stopped := func(l *Look) {
		l.where("recorder", "300000000000", "us-east-1", func(in *Inspection) {
			if in.Resource.Type == "AWS::Config::ConfigurationRecorder" {
				in.State, in.Mismatches = recorderState{Name: ownName}, []Mismatch{{Reason: "the recorder is stopped", Expected: 1, Actual: 2}}
			}
		})
	}
	says := func(status, reason string) func(*Look) {
		return func(l *Look) {
			l.Sets["recorder"].Instances["300000000000/us-east-1"] = Instance{Account: "300000000000", Region: "us-east-1", Status: status, Reason: reason}
		}
	}
	rule := ""
	for _, in := range clean(t, mustResolve(t)).Inspected {
		if in.Resource.label() == "rule orgguard-config-change" {
			rule = in.Resource.LogicalID
		}
	}
	disabled := func(l *Look) {
		l.where("alerts", "300000000000", "us-east-1", func(in *Inspection) {
			if in.Resource.LogicalID == rule {
				in.Mismatches = []Mismatch{{Reason: "the rule is disabled", Expected: 1, Actual: 2}}
			}
		})
	}
	detected := func(resources map[string]string) func(*Look) {
		return func(l *Look) {
			for _, s := range l.Sets {
				s.Drift = &Drift{}
			}
			l.Sets["alerts"].Drift.Resources = map[string]map[string]string{"300000000000/us-east-1": resources}
		}
	}
	both := func(changes ...func(*Look)) func(*Look) {
		return func(l *Look) {
			for _, c := range changes {
				c(l)
			}
		}
	}
	cases := []struct {
		name   string
		change func(*Look)
		want   []string
	}{
		{"both say that all is well", func(*Look) {}, nil},
		{"the account is wrong and CloudFormation does not know", stopped, []string{"high recorder orgguard: the recorder is stopped; CloudFormation says CURRENT"}},
		{"both know that something is wrong", both(stopped, says("OUTDATED", "failed")), []string{"high recorder orgguard: the recorder is stopped"}},
		{"the account is right and CloudFormation does not know", says("OUTDATED", "failed"), []string{"low stack instance of orgguard-recorder: CloudFormation says OUTDATED although everything it deploys is in place"}},
		{"no instance, and everything is there", func(l *Look) { l.forget("recorder", "300000000000", "us-east-1") }, nil},
		{"drift detection cannot see recorders", both(stopped, detected(nil)), []string{"high recorder orgguard: the recorder is stopped; CloudFormation says CURRENT, drift detection NOT_CHECKED"}},
		{"drift detection does not see it", both(disabled, detected(nil)), []string{"high rule orgguard-config-change: the rule is disabled; CloudFormation says CURRENT, drift detection IN_SYNC"}},
		{"drift detection sees it too, and contradicts nobody", both(disabled, detected(map[string]string{rule: "MODIFIED"})), []string{"high rule orgguard-config-change: the rule is disabled"}},
		{"drift detection sees what is not there", detected(map[string]string{rule: "MODIFIED"}), []string{
			"low rule orgguard-config-change: CloudFormation's drift detection says MODIFIED although it is as the baseline wants it"}},
		{"nobody could look into the account", both(says("OUTDATED", "failed"), func(l *Look) {
			l.where("", "300000000000", "", func(in *Inspection) { in.Err = fmt.Errorf("no way in") })
		}), []string{"high : no way in"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, err := Resolve(firstControls(parseConfig(t, proposeConfig)), proposeOrg(), "us-east-1")
			if err != nil {
				t.Fatal(err)
			}
			l := clean(t, b)
			c.change(l)
			var got []string
			for _, f := range wrong(b.Findings(l.Inspected, l.Sets)) {
				if line := fmt.Sprintf("%s %s: %s", f.Severity, f.Resource, f.Told()); !slices.Contains(got, line) {
					got = append(got, line)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if fs := wrong(b.Findings(l.Inspected, nil)); slices.ContainsFunc(fs, func(f finding.Finding) bool { return strings.Contains(f.Told(), "CloudFormation") }) {
				t.Errorf("nobody asked CloudFormation, and it is quoted: %+v", fs)
			}
		})
	}
}

// A stack instance that vanished from CloudFormation's books, and one that it
// takes for failed.
func TestDisagreementsInTheWorld(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, demoConfig)
		r.mustRollout(t)
		c := cloudformation.NewFromConfig(r.w.ManagementConfig(tokyo))
		b := r.open(t)
		ou, err := b.Org.FindOU("Workloads/Dev")
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.DeleteStackInstances(t.Context(), &cloudformation.DeleteStackInstancesInput{
			StackSetName: aws.String("orgguard-recorder"), Regions: []string{virginia}, RetainStacks: aws.Bool(true),
			DeploymentTargets: &cftypes.DeploymentTargets{OrganizationalUnitIds: []string{string(ou.ID)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		r.mustBeClean(t)
		if p := r.plan(t); len(p.Tasks) != 0 {
			t.Errorf("what the stacks made is there, and a rollout would collide with it: %q", summary(p))
		}
	})
}

func TestAFilterSendsOnlyTheCallsItNeeds(t *testing.T) {
	cases := []struct {
		name     string
		filter   Filter
		services []string // that are called, besides sts
		accounts int      // that are entered
	}{
		{"one control", Filter{Controls: []string{"config-change-alert"}, Accounts: []string{"shop-prod"}}, []string{"cloudformation", "events"}, 1},
		{"one account", Filter{Accounts: []string{"shop-prod"}}, []string{"cloudformation", "config", "events", "iam"}, 1},
		{"one OU", Filter{OUs: []string{"Workloads/Dev"}}, []string{"cloudformation", "config", "events", "iam"}, 2},
		{"global things only", Filter{Regions: []string{"global"}, Accounts: []string{"shop-prod"}}, []string{"cloudformation", "iam"}, 1},
		{"one Region and one control", Filter{Regions: []string{virginia}, Controls: []string{"root-signin-alert"}, OUs: []string{"Workloads/Dev"}}, []string{"cloudformation", "events"}, 2},
		{"the log bucket", Filter{Controls: []string{"config-delivery"}, Accounts: []string{"security"}}, []string{"cloudformation", "config", "s3"}, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, demoConfig)
				r.mustRollout(t)
				b := r.open(t)
				before := r.w.Calls()
				in, err := b.Inspect(t.Context(), b.pool, c.filter, 16, nil)
				if err != nil {
					t.Fatal(err)
				}
				fs := b.Findings(in, b.LoadStackSets(t.Context(), b.pool, c.filter))
				services := map[string]bool{}
				entered := 0
				for op, n := range r.w.Calls() {
					if n -= before[op]; n == 0 {
						continue
					}
					service, name, _ := strings.Cut(op, ":")
					if service == "sts" {
						entered += n
						continue
					}
					services[service] = true
					if !strings.HasPrefix(name, "Describe") && !strings.HasPrefix(name, "List") && !strings.HasPrefix(name, "Get") && !strings.HasPrefix(name, "Head") {
						t.Errorf("an audit called %s", op)
					}
				}
				if diff := cmp.Diff(c.services, slices.Sorted(maps.Keys(services))); diff != "" {
					t.Errorf("services (-want +got):\n%s", diff)
				}
				if entered != c.accounts {
					t.Errorf("%d accounts were entered; want %d", entered, c.accounts)
				}
				if len(fs) == 0 || len(wrong(fs)) > 0 {
					t.Errorf("findings %+v", fs)
				}
				for _, f := range fs {
					if len(c.filter.Controls) > 0 && !slices.Contains(c.filter.Controls, f.Control) || len(c.filter.Regions) > 0 && !slices.Contains(c.filter.Regions, f.Region) {
						t.Errorf("nobody asked for %+v", f)
					}
				}
			})
		})
	}
}

func TestAFilterWithUnknownNames(t *testing.T) {
	b, err := Resolve(firstControls(parseConfig(t, proposeConfig)), proposeOrg(), "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Filter{Controls: []string{"config-recoder"}, Accounts: []string{"shopp"}, OUs: []string{"C"}, Regions: []string{"mars-1"}}.resolve(b)
	for _, want := range []string{`unknown control "config-recoder"; nearest: config-recorder`, `no account "shopp"`, `nearest: shop`, `no OU "C"`, `region "mars-1" is not part of the baseline (eu-west-1 and us-east-1, or global)`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %q", err, want)
		}
	}
}

// One account's trouble is told once for each control and hides nothing else.
func TestAnAccountThatNobodyCanEnterIsNotAssessed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, everyoneConfig)
		r.mustRollout(t)
		fs := wrong(r.audit(t, Filter{}))
		for _, f := range fs {
			if f.Account != blind || f.Status != finding.NotAssessed || !strings.HasPrefix(f.Reason, "assume role OrganizationAccountAccessRole in 300000000003: AccessDenied: ") || !strings.Contains(f.Fix, "trusts this caller") {
				t.Errorf("finding %+v", f)
			}
		}
		if len(fs) == 0 {
			t.Error("the account that nobody can enter is missing")
		}
	})
}

func TestOneRegionsTroubleIsNotAnothers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, demoConfig)
		r.mustRollout(t)
		r.w.SetFaults(sim.Faults{Errors: []sim.Fault{{Service: "config", Account: shopProd, Region: tokyo, Code: "AccessDeniedException", Message: "not you"}}})
		var got []string
		for _, f := range wrong(r.audit(t, Filter{})) {
			got = append(got, fmt.Sprintf("%s %s %s %s: %s: %s", f.Account, f.Region, f.Control, f.Status, f.Reason, f.Fix))
		}
		want := []string{
			"300000000001 ap-northeast-1 config-delivery not_assessed: describe the delivery channel: AccessDeniedException: not you: let the access role do this; `orgguard permissions` prints what an audit needs",
			"300000000001 ap-northeast-1 config-recorder not_assessed: describe the recorder: AccessDeniedException: not you: let the access role do this; `orgguard permissions` prints what an audit needs",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
	})
}
