package baseline

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	trailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/logpattern"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/spec"
)

// trailConfig has the organization's trail and the alert that reads it, and of the rest
// what they need.
const trailConfig = demoConfig + `
baseline:
  cloudtrail: true
  unauthorized-alert: true
`

// trailRig is the demo organization, with its old trail or without any.
func trailRig(t *testing.T, old bool, config string) *rig {
	t.Helper()
	s, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	s.TrailLogging = old
	r := newRig(t, s, config)
	firstControls(r.cfg)
	return r
}

// trails are the organization's trails as they show in the management account.
func (r *rig) trails(t *testing.T) []trailtypes.Trail {
	t.Helper()
	out, err := cloudtrail.NewFromConfig(r.member(management, tokyo)).DescribeTrails(t.Context(), &cloudtrail.DescribeTrailsInput{})
	if err != nil {
		t.Fatal(err)
	}
	return out.TrailList
}

// findings are what an audit finds wrong, in short.
func (r *rig) findings(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, f := range wrong(r.audit(t, Filter{})) {
		out = append(out, f.Account+" "+f.Region+" "+f.Resource+": "+f.Reason)
	}
	return out
}

// From no trail to one that records everywhere, and through all that somebody can do to
// it.
func TestTheTrailFromRolloutToTeardown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := trailRig(t, false, trailConfig)
		r.mustRollout(t)
		r.mustBeClean(t)
		if got := r.trails(t); len(got) != 1 || aws.ToString(got[0].Name) != ownTrail {
			t.Fatalf("there are the trails %+v", got)
		}
		arn := r.trails(t)[0].TrailARN

		c := cloudtrail.NewFromConfig(r.member(management, tokyo))
		l := cloudwatchlogs.NewFromConfig(r.member(management, tokyo))
		w := cloudwatch.NewFromConfig(r.member(management, tokyo))
		const security = "200000000001"
		bucket := aws.String("orgguard-trail-" + security + "-" + tokyo)
		trail, here := management+" "+tokyo+" trail orgguard: ", management+" "+tokyo+" "
		for _, x := range []struct {
			name string
			do   func() error
			want []string
		}{
			{"the trail is stopped", func() error {
				_, err := c.StopLogging(t.Context(), &cloudtrail.StopLoggingInput{Name: arn})
				return err
			}, []string{trail + "the trail is stopped"}},
			{"the trail is changed", func() error {
				_, err := c.UpdateTrail(t.Context(), &cloudtrail.UpdateTrailInput{
					Name: arn, IsMultiRegionTrail: aws.Bool(false), EnableLogFileValidation: aws.Bool(false), KmsKeyId: aws.String(""),
					CloudWatchLogsLogGroupArn: aws.String(""), CloudWatchLogsRoleArn: aws.String(""),
				})
				return err
			}, []string{
				trail + "the trail delivers to no log group", trail + "the trail records one Region only",
				trail + "the trail's log files are not encrypted with a KMS key", trail + "the trail's log files are not validated",
			}},
			{"the trail is not the organization's any more", func() error {
				_, err := c.UpdateTrail(t.Context(), &cloudtrail.UpdateTrailInput{Name: arn, IsOrganizationTrail: aws.Bool(false)})
				return err
			}, []string{trail + "the trail is not the organization's any more"}},
			{"reads and calls of KMS are left out", func() error {
				_, err := c.PutEventSelectors(t.Context(), &cloudtrail.PutEventSelectorsInput{TrailName: arn, EventSelectors: []trailtypes.EventSelector{
					{ReadWriteType: trailtypes.ReadWriteTypeAll, ExcludeManagementEventSources: []string{"kms.amazonaws.com"}}, {ReadWriteType: trailtypes.ReadWriteTypeWriteOnly},
				}})
				return err
			}, []string{trail + "the trail does not record all management events"}},
			{"the trail is deleted", func() error {
				_, err := c.DeleteTrail(t.Context(), &cloudtrail.DeleteTrailInput{Name: arn})
				return err
			}, []string{trail + "missing: trail orgguard"}},
			{"the bucket's policy is opened", func() error {
				_, err := s3.NewFromConfig(r.member(security, tokyo)).PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{
					Bucket: bucket, Policy: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:*","Resource":"arn:aws:s3:::` + *bucket + `/*"}]}`),
				})
				return err
			}, []string{trail + "the trail's log files do not arrive", security + " " + tokyo + " bucket policy " + *bucket + ": the bucket's policy differs"}},
			{"the key is disabled", func() error {
				k := kms.NewFromConfig(r.member(security, tokyo))
				out, err := k.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/orgguard-trail")})
				if err == nil {
					_, err = k.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: out.KeyMetadata.KeyId})
				}
				return err
			}, []string{
				trail + "the trail's log files do not arrive", security + " " + tokyo + " key TrailKey: the key is disabled",
				security + " " + tokyo + " key alias alias/orgguard-trail: the alias points to a key that is disabled",
			}},
			{"the log group keeps events for a day", func() error {
				_, err := l.PutRetentionPolicy(t.Context(), &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: aws.String(ownLogGroup), RetentionInDays: aws.Int32(1)})
				return err
			}, []string{here + "log group orgguard-trail: the log group keeps events for another time"}},
			{"the log group is deleted", func() error {
				_, err := l.DeleteLogGroup(t.Context(), &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: aws.String(ownLogGroup)})
				return err
			}, []string{
				here + "log group orgguard-trail: missing: log group orgguard-trail", trail + "the trail's events do not arrive in the log group",
				here + "metric filter orgguard-unauthorized: missing: metric filter orgguard-unauthorized",
			}},
			{"the metric filter counts nothing", func() error {
				_, err := l.DeleteMetricFilter(t.Context(), &cloudwatchlogs.DeleteMetricFilterInput{LogGroupName: aws.String(ownLogGroup), FilterName: aws.String("orgguard-unauthorized")})
				return err
			}, []string{here + "metric filter orgguard-unauthorized: missing: metric filter orgguard-unauthorized"}},
			{"the alarm is deleted", func() error {
				_, err := w.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{"orgguard-unauthorized"}})
				return err
			}, []string{here + "alarm orgguard-unauthorized: missing: alarm orgguard-unauthorized"}},
			{"the alarm's actions are disabled", func() error {
				_, err := w.DisableAlarmActions(t.Context(), &cloudwatch.DisableAlarmActionsInput{AlarmNames: []string{"orgguard-unauthorized"}})
				return err
			}, []string{here + "alarm orgguard-unauthorized: the alarm's actions are disabled"}},
		} {
			if err := x.do(); err != nil {
				t.Fatalf("%s: %v", x.name, err)
			}
			if diff := cmp.Diff(x.want, r.findings(t)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", x.name, diff)
			}
			r.mustRollout(t)
			r.mustBeClean(t)
		}

		b := r.open(t)
		for _, o := range plan.Execute(t.Context(), b.Teardown(t.Context(), b.pool, KeepHistory, 8).Tasks, 8, nil).Outcomes {
			if o.Err != "" || len(o.Failures) > 0 {
				t.Fatalf("%s: %s %+v", o.Change.Resource, o.Err, o.Failures)
			}
		}
		if got := r.trails(t); len(got) != 0 {
			t.Errorf("after the teardown there are the trails %+v", got)
		}
		if _, err := s3.NewFromConfig(r.member(security, tokyo)).HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: bucket}); err != nil {
			t.Errorf("the trail's bucket is history, and is gone: %v", err)
		}
		r.mustRollout(t)
		r.mustBeClean(t)
	})
}

// Somebody who tries what he may not do is seen: once for each account, whatever
// service refuses.
func TestRefusedCallsAreTold(t *testing.T) {
	for _, config := range []string{trailConfig, strings.Replace(trailConfig, "mode: central", "mode: local", 1)} {
		inBubble(t, func(t *testing.T) {
			r := trailRig(t, false, config)
			r.mustRollout(t)
			try := func(account string, times int) {
				t.Helper()
				c := iam.NewFromConfig(r.w.Config(virginia, r.w.RolePrincipal(account, "orgguard-config-recorder", "mallory")))
				for range times {
					if _, err := c.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String("Admin")}); orgs.Code(err) != "AccessDenied" {
						t.Fatalf("the role may delete roles: %v", err)
					}
				}
			}
			var told []string
			tell := func() []string {
				t.Helper()
				var out []string
				for _, m := range r.w.Outbox() {
					if strings.Contains(m.Message, "Many calls") {
						out = append(out, m.Subject+"\n"+m.Message)
					}
				}
				fresh := out[len(told):]
				told = out
				return fresh
			}
			try(shopProd, 4)
			try(legacy, 4)
			if got := tell(); len(got) != 0 {
				t.Fatalf("four refused calls in each of two accounts are told: %q", got)
			}
			try(shopProd, 3)
			got := tell()
			if len(got) != 1 || !strings.Contains(got[0], shopProd) || strings.Contains(got[0], legacy) {
				t.Fatalf("seven refused calls: told %q", got)
			}
			try(legacy, 1)
			if got := tell(); len(got) != 1 || !strings.Contains(got[0], legacy) {
				t.Fatalf("the other account's fifth refused call: told %q", got)
			}
		})
	}
}

// A trail of somebody else's is adopted and not paid for twice, and gets its settings
// back.
func TestATrailOfSomebodyElseIsAdopted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		adopt := strings.Replace(trailConfig, "cloudtrail: true", "cloudtrail: {region: us-east-1}", 1)
		r := trailRig(t, true, adopt)
		before := r.trails(t)
		r.mustRollout(t)
		trail := management + " us-east-1 trail orgguard: "
		if diff := cmp.Diff([]string{trail + "the trail's log files are not encrypted with a KMS key"}, r.findings(t)); diff != "" {
			t.Errorf("after the rollout (-want +got):\n%s", diff)
		}
		after := r.trails(t)
		if len(after) != 1 || aws.ToString(after[0].Name) != "organization-trail" || aws.ToString(after[0].S3BucketName) != aws.ToString(before[0].S3BucketName) {
			t.Fatalf("there are the trails %+v", after)
		}
		if !aws.ToBool(after[0].LogFileValidationEnabled) || after[0].CloudWatchLogsLogGroupArn == nil {
			t.Errorf("the adopted trail: %+v", after[0])
		}
		p := r.plan(t)
		if len(p.Tasks) != 0 {
			t.Errorf("a second rollout would do %q", summary(p))
		}
	})
}

// The security account makes the trail, as a delegated administrator of CloudTrail, which
// it becomes and is no more in the end.
func TestTheTrailOfADelegatedAdministrator(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := trailRig(t, false, alone(demoConfig, []string{"cloudtrail", "unauthorized-alert"}, "  cloudtrail: {account: security}\n  unauthorized-alert: true\n"))
		r.cfg.Alerts.Email = nil
		ctx := t.Context()
		o := organizations.NewFromConfig(r.w.ManagementConfig(virginia))
		administrators := func() (out []string) {
			t.Helper()
			got, err := o.ListDelegatedAdministrators(ctx, &organizations.ListDelegatedAdministratorsInput{ServicePrincipal: aws.String(trailPrincipal)})
			noError(t, err)
			for _, a := range got.DelegatedAdministrators {
				out = append(out, aws.ToString(a.Id))
			}
			return out
		}
		if got := strings.Join(r.findings(t), "\n"); !strings.Contains(got, "CloudTrail has no delegated administrator") {
			t.Errorf("findings before:\n%s", got)
		}
		records := recorded(t, r.plan(t).Tasks)
		mustDo(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)
		got := r.trails(t)
		if len(got) != 1 || aws.ToString(got[0].TrailARN) != "arn:aws:cloudtrail:"+tokyo+":"+management+":trail/orgguard" ||
			!strings.Contains(aws.ToString(got[0].CloudWatchLogsLogGroupArn), ":"+securityAccount+":log-group:orgguard-trail") {
			t.Fatalf("there are the trails %+v", got)
		}
		if diff := cmp.Diff([]string{securityAccount}, administrators()); diff != "" {
			t.Errorf("administrators (-want +got):\n%s", diff)
		}

		// Whoever takes the appointment away is seen, and it is given again.
		c := cloudtrail.NewFromConfig(r.member(management, tokyo))
		_, err := c.DeregisterOrganizationDelegatedAdmin(ctx, &cloudtrail.DeregisterOrganizationDelegatedAdminInput{DelegatedAdminAccountId: aws.String(securityAccount)})
		noError(t, err)
		_, err = c.StopLogging(ctx, &cloudtrail.StopLoggingInput{Name: got[0].TrailARN})
		noError(t, err)
		want := []string{
			management + " " + tokyo + " organization setting TrailAdministrator: CloudTrail has no delegated administrator",
			securityAccount + " " + tokyo + " trail orgguard: the trail is stopped",
		}
		if diff := cmp.Diff(want, r.findings(t)); diff != "" {
			t.Errorf("after it was taken away (-want +got):\n%s", diff)
		}
		mustDo(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)

		b := r.open(t)
		mustDo(t, b.Undo(ctx, b.pool, records).Tasks)
		r.mustBeGone(t, trailPrincipal, "orgguard:cloudtrail")
		if got := r.trails(t); len(got) != 0 {
			t.Errorf("after the undo there are the trails %+v", got)
		}
		mustDo(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)
		mustDo(t, b.Teardown(ctx, b.pool, KeepHistory, 4).Tasks)
		r.mustBeGone(t, trailPrincipal, "orgguard:cloudtrail")
		if got := r.trails(t); len(got) != 0 {
			t.Errorf("after the teardown there are the trails %+v", got)
		}
	})
}

// Administrators that exist stay, whether there is room for one more or not.
func TestOtherAdministratorsOfCloudTrailStay(t *testing.T) {
	for _, tt := range []struct {
		others []string
		want   string // found before a rollout
		fixed  bool
	}{
		{[]string{shopProd}, "CloudTrail has no delegated administrator", true},
		{[]string{shopProd, "310000000001", legacy}, "CloudTrail has 3 delegated administrators, which is all that AWS allows, and the wanted one is none of them", false},
	} {
		inBubble(t, func(t *testing.T) {
			r := trailRig(t, true, alone(demoConfig, []string{"cloudtrail"}, "  cloudtrail: {account: security, region: us-east-1, existing: keep}\n"))
			c := cloudtrail.NewFromConfig(r.member(management, tokyo))
			for _, id := range tt.others {
				_, err := c.RegisterOrganizationDelegatedAdmin(t.Context(), &cloudtrail.RegisterOrganizationDelegatedAdminInput{MemberAccountId: aws.String(id)})
				noError(t, err)
			}
			setting := management + " " + tokyo + " organization setting TrailAdministrator: " + tt.want
			if got := r.findings(t); !slices.Contains(got, setting) {
				t.Errorf("before: %q", got)
			}
			mustDo(t, r.plan(t).Tasks)
			if got := r.findings(t); slices.Contains(got, setting) == tt.fixed {
				t.Errorf("after: %q", got)
			}
			o := organizations.NewFromConfig(r.w.ManagementConfig(virginia))
			got, err := o.ListDelegatedAdministrators(t.Context(), &organizations.ListDelegatedAdministratorsInput{ServicePrincipal: aws.String(trailPrincipal)})
			noError(t, err)
			ids := map[string]bool{}
			for _, a := range got.DelegatedAdministrators {
				ids[aws.ToString(a.Id)] = true
			}
			for _, id := range tt.others {
				if !ids[id] {
					t.Errorf("%s administers CloudTrail no more: %v", id, ids)
				}
			}
			if ids[securityAccount] != tt.fixed {
				t.Errorf("administrators: %v", ids)
			}
		})
	}
}

// The log group has a key where that is wanted, in whosever account it is; whoever takes
// it off is seen, and switched off again it goes.
func TestTheKeyOfTheTrailsLogGroup(t *testing.T) {
	for account, owner := range map[string]string{"management": management, "security": securityAccount} {
		inBubble(t, func(t *testing.T) {
			config := strings.Replace(trailConfig, "cloudtrail: true", "cloudtrail: {account: "+account+", encrypt_logs: true}", 1)
			r := trailRig(t, false, config)
			ctx := t.Context()
			r.mustRollout(t)
			r.mustBeClean(t)
			logs := cloudwatchlogs.NewFromConfig(r.member(owner, tokyo))
			key := func() string {
				t.Helper()
				out, err := logs.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String(ownLogGroup)})
				if err != nil || len(out.LogGroups) != 1 {
					t.Fatalf("%+v, %v", out, err)
				}
				return aws.ToString(out.LogGroups[0].KmsKeyId)
			}
			made := key()
			if !strings.HasPrefix(made, "arn:aws:kms:"+tokyo+":"+owner+":key/") {
				t.Errorf("the log group has the key %q", made)
			}
			_, err := logs.DisassociateKmsKey(ctx, &cloudwatchlogs.DisassociateKmsKeyInput{LogGroupName: aws.String(ownLogGroup)})
			noError(t, err)
			if got := r.findings(t); !slices.Equal(got, []string{owner + " " + tokyo + " log group orgguard-trail: the log group is not encrypted with its key"}) {
				t.Errorf("without it: %q", got)
			}
			mustDo(t, r.plan(t).Tasks)
			r.mustBeClean(t)
			if key() != made {
				t.Errorf("the log group has the key %q, and had %q", key(), made)
			}
			r.cfg = parseConfig(t, strings.Replace(config, ", encrypt_logs: true", "", 1))
			firstControls(r.cfg)
			mustDo(t, r.plan(t).Tasks)
			r.mustBeClean(t)
			if key() != "" {
				t.Errorf("switched off the log group has the key %q", key())
			}
		})
	}
}

// Where CloudTrail has all the administrators that AWS allows, nothing of a trail in the
// security account is made: the plan says why before anything is written, and so does
// the audit.
func TestThereIsNoRoomForAnotherAdministratorOfCloudTrail(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := trailRig(t, false, alone(demoConfig, []string{"cloudtrail", "unauthorized-alert"}, "  cloudtrail: {account: security}\n  unauthorized-alert: true\n"))
		ctx := t.Context()
		c := cloudtrail.NewFromConfig(r.member(management, tokyo))
		for _, id := range []string{shopProd, "310000000001", legacy} {
			_, err := c.RegisterOrganizationDelegatedAdmin(ctx, &cloudtrail.RegisterOrganizationDelegatedAdminInput{MemberAccountId: aws.String(id)})
			noError(t, err)
		}
		p := r.plan(t)
		for _, task := range p.Tasks {
			if strings.Contains(task.Resource, "orgguard-trail") || task.Resource == "organization setting TrailAdministrator" {
				t.Errorf("the plan has %s %s", task.Verb, task.Resource)
			}
		}
		said := map[string]int{}
		for _, s := range p.Skipped {
			if strings.HasSuffix(s.Reason, makeRoom) {
				said[s.Account]++
			}
		}
		if said[management] != 1 || said[securityAccount] < 1 || said[securityAccount] > 3 {
			t.Errorf("left alone: %+v", p.Skipped)
		}
		mustDo(t, p.Tasks)
		n := 0
		for _, f := range wrong(r.audit(t, Filter{})) {
			if f.Control == cloudtrailID || f.Control == "unauthorized-alert" && strings.HasPrefix(f.Reason, "missing") {
				n++
				if f.Fix != makeRoom {
					t.Errorf("%s: %s; fix: %s", f.Resource, f.Reason, f.Fix)
				}
			}
		}
		if n < 5 {
			t.Errorf("only %d findings", n)
		}

		// When one of them makes room, a rollout does all of it.
		_, err := c.DeregisterOrganizationDelegatedAdmin(ctx, &cloudtrail.DeregisterOrganizationDelegatedAdminInput{DelegatedAdminAccountId: aws.String(legacy)})
		noError(t, err)
		r.mustRollout(t)
		r.mustBeClean(t)
	})
}

// What the organization has once cannot be said of some of its accounts.
func TestTheTrailCannotBeOverridden(t *testing.T) {
	for _, mode := range []spec.AlertMode{spec.Central, spec.Local} {
		for _, c := range controls {
			whole, _ := once(c.ID, mode)
			want := slices.Contains([]string{"cloudtrail", "unauthorized-alert", "guardduty", "access-analyzer", "securityhub-policy", "chat-alert"}, c.ID) || c.ID == "alert-topic" && mode == spec.Central
			if whole != want {
				t.Errorf("%s, %s alerts: one for the organization: %v, want %v", c.ID, mode, whole, want)
			}
		}
	}
}

func TestATrailIsKeptAsItIs(t *testing.T) {
	for _, config := range []string{
		strings.Replace(trailConfig, "cloudtrail: true", "cloudtrail: {existing: keep, region: us-east-1}", 1), trailConfig,
	} {
		inBubble(t, func(t *testing.T) {
			r := trailRig(t, true, config)
			r.mustRollout(t)
			if got := r.trails(t); len(got) != 1 || got[0].CloudWatchLogsLogGroupArn != nil {
				t.Errorf("there are the trails %+v", got)
			}
			got := strings.Join(r.findings(t), "\n")
			if !strings.Contains(got, "the trail delivers to no log group") {
				t.Errorf("findings:\n%s", got)
			}
		})
	}
}

// The log group, the filter and the alarm are in the trail's home Region, the bucket and
// its key in the baseline's.
func TestTheTrailInAnotherRegion(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := trailRig(t, false, strings.Replace(trailConfig, "cloudtrail: true", "cloudtrail: {region: us-east-1}", 1))
		r.mustRollout(t)
		r.mustBeClean(t)
		got := r.trails(t)
		if len(got) != 1 || aws.ToString(got[0].HomeRegion) != virginia || !strings.Contains(aws.ToString(got[0].KmsKeyId), tokyo) {
			t.Errorf("there are the trails %+v", got)
		}
	})
}

// What a rollout deploys of the trail, to be read by people.
func TestRenderedTrail(t *testing.T) {
	for _, mode := range []string{"central", "local"} {
		b, err := resolveSmall(t, "aws", fmt.Sprintf("regions: [eu-west-1, us-east-1]\nhome_region: eu-west-1\nalerts: {mode: %s}\nbaseline: {cloudtrail: true, unauthorized-alert: true}\n", mode))
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for _, tmpl := range b.Templates() {
			if strings.HasPrefix(tmpl.Name, "orgguard-trail") {
				seen++
				golden(t, filepath.Join("testdata", "golden", "trail", mode+"."+tmpl.Name+".yaml"), tmpl.Body)
			}
		}
		if seen != 4 {
			t.Errorf("%d templates; want those of store, logs, trail and alerts", seen)
		}
	}
}

// Which events of the trail count, and which do not.
func TestRefusedCallsThatCount(t *testing.T) {
	s := &UnauthorizedSettings{IgnoreEvents: []string{"HeadBucket"}, IgnoreRoles: []string{"Scanner"}}
	p, err := logpattern.Compile(s.pattern())
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		set  map[string]any
		want bool
	}{
		"a refused call":                              {nil, true},
		"EC2 says it in another way":                  {map[string]any{"errorCode": "Client.UnauthorizedOperation"}, true},
		"with the exception's whole name":             {map[string]any{"errorCode": "AccessDeniedException"}, true},
		"a call that a service makes for somebody":    {map[string]any{"sourceIPAddress": "cloudformation.amazonaws.com"}, true},
		"by a user, who has no role":                  {map[string]any{"userIdentity": map[string]any{"type": "IAMUser", "userName": "alice"}}, true},
		"a call that went well":                       {map[string]any{"errorCode": nil}, false},
		"a call that failed in another way":           {map[string]any{"errorCode": "NoSuchEntity"}, false},
		"a look whether a bucket is there":            {map[string]any{"eventName": "HeadBucket"}, false},
		"the delivery of logs by AWS":                 {map[string]any{"sourceIPAddress": "delivery.logs.amazonaws.com"}, false},
		"a service of AWS by its service-linked role": {map[string]any{"userIdentity": issuedBy("aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig")}, false},
		"a role that is to be ignored":                {map[string]any{"userIdentity": issuedBy("Scanner")}, false},
		"a role that is called nearly like it":        {map[string]any{"userIdentity": issuedBy("NotAScanner")}, true},
	} {
		event := map[string]any{"eventName": "GetRole", "errorCode": "AccessDenied", "sourceIPAddress": "203.0.113.7", "userIdentity": issuedBy("Admin")}
		for k, v := range x.set {
			event[k] = v
		}
		if got := p.MatchValue(event); got != x.want {
			t.Errorf("%s: counts %v, want %v", name, got, x.want)
		}
	}
}

// issuedBy is the identity of a session of a role.
func issuedBy(role string) map[string]any {
	return map[string]any{"type": "AssumedRole", "sessionContext": map[string]any{"sessionIssuer": map[string]any{
		"arn": "arn:aws:iam::300000000001:role/" + role, "userName": role[strings.LastIndexByte(role, '/')+1:],
	}}}
}
