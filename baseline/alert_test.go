package baseline

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	configtypes "github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/eventpattern"
	"github.com/orgguard/orgguard/orgs/sim"
)

// callAs is the CallAs member of an SDK input, of those that have one.
func callAs(in any) (value string, has bool) {
	v := reflect.Indirect(reflect.ValueOf(in))
	if f := v.FieldByName("CallAs"); f.IsValid() {
		return f.String(), true
	}
	return "", false
}

// stopRecorder is somebody stopping a recorder, whatever its name.
func stopRecorder(t *testing.T, r *rig, account, region string) {
	t.Helper()
	c := configservice.NewFromConfig(r.member(account, region))
	out, err := c.DescribeConfigurationRecorders(t.Context(), &configservice.DescribeConfigurationRecordersInput{})
	if err != nil || len(out.ConfigurationRecorders) != 1 {
		t.Fatalf("recorders of %s in %s: %+v, %v", account, region, out, err)
	}
	if _, err := c.StopConfigurationRecorder(t.Context(), &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: out.ConfigurationRecorders[0].Name}); err != nil {
		t.Fatal(err)
	}
}

// alerts leaves the mails that are not about subscriptions.
func alerts(box []sim.Mail) []sim.Mail {
	return slices.DeleteFunc(slices.Clone(box), func(m sim.Mail) bool { return strings.Contains(m.Subject, "Subscription") })
}

// alertRules are the rules of the two alerts that came first, by how they are
// deployed: control.unit of central or local alerts.
var alertRules = []string{
	"config-change-alert.central", "config-change-alert.alerts", "config-change-alert.alerts-local",
	"root-signin-alert.central", "root-signin-alert.signin", "root-signin-alert.signin-local",
}

// alertRule is a rule as it is deployed.
func alertRule(t *testing.T, name string) Resource {
	t.Helper()
	control, unit, _ := strings.Cut(name, ".")
	config, account := demoConfig, orgs.AccountID(shopProd)
	if rest, local := strings.CutSuffix(unit, "-local"); local {
		config, unit = localConfig, rest
	}
	if unit == "central" {
		account = securityAccount
	}
	b := newBaseline(t, config)
	for _, u := range b.units {
		if u.ID != unit {
			continue
		}
		rs, err := u.resources(b.scope(account, tokyo))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if r.Control == control && r.Type == "AWS::Events::Rule" {
				return r
			}
		}
	}
	t.Fatalf("no rule %s", name)
	return Resource{}
}

// What CloudTrail and EventBridge make of calls to AWS Config, from
// https://docs.aws.amazon.com/config/latest/developerguide/log-api-calls.html.
func configEvent(change func(event, detail map[string]any)) map[string]any {
	var e map[string]any
	if err := json.Unmarshal([]byte(`{
		"version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
		"detail-type": "AWS API Call via CloudTrail", "source": "aws.config", "account": "300000000001",
		"time": "2026-11-22T12:34:56Z", "region": "ap-northeast-1", "resources": [],
		"detail": {
			"eventVersion": "1.11",
			"userIdentity": {
				"type": "AssumedRole", "principalId": "AROAEXAMPLE:alice", "arn": "arn:aws:sts::300000000001:assumed-role/Admin/alice",
				"accountId": "300000000001", "accessKeyId": "ASIAEXAMPLE",
				"sessionContext": {"attributes": {"mfaAuthenticated": "false", "creationDate": "2026-11-22T12:00:00Z"},
					"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::300000000001:role/Admin", "accountId": "300000000001", "userName": "Admin"}}
			},
			"eventTime": "2026-11-22T12:34:50Z", "eventSource": "config.amazonaws.com", "eventName": "StopConfigurationRecorder",
			"awsRegion": "ap-northeast-1", "sourceIPAddress": "203.0.113.7", "userAgent": "aws-cli/2.31.0",
			"requestParameters": {"configurationRecorderName": "orgguard"}, "responseElements": null,
			"requestID": "cdf1a0c9-0000-11f0-8000-000000000000", "eventID": "4ddbb9c9-0000-4000-8000-000000000000",
			"readOnly": false, "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "300000000001", "eventCategory": "Management"
		}
	}`), &e); err != nil {
		panic(err)
	}
	if change != nil {
		change(e, e["detail"].(map[string]any))
	}
	return e
}

// rootEvent is a sign-in of the root user, from
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-aws-console-sign-in-events.html.
func rootEvent(change func(event, detail map[string]any)) map[string]any {
	var e map[string]any
	if err := json.Unmarshal([]byte(`{
		"version": "0", "id": "8a9e8feb-b491-4cf7-a9f1-bf3703467718",
		"detail-type": "AWS Console Sign In via CloudTrail", "source": "aws.signin", "account": "300000000001",
		"time": "2026-11-22T12:34:56Z", "region": "us-east-1", "resources": [],
		"detail": {
			"eventVersion": "1.11",
			"userIdentity": {"type": "Root", "principalId": "300000000001", "arn": "arn:aws:iam::300000000001:root", "accountId": "300000000001", "accessKeyId": ""},
			"eventTime": "2026-11-22T12:34:50Z", "eventSource": "signin.amazonaws.com", "eventName": "ConsoleLogin",
			"awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.7", "userAgent": "Mozilla/5.0",
			"requestParameters": null, "responseElements": {"ConsoleLogin": "Success"},
			"additionalEventData": {"LoginTo": "https://console.aws.amazon.com/", "MobileVersion": "No", "MFAUsed": "Yes"},
			"eventID": "4ddbb9c9-0000-4000-8000-000000000001", "readOnly": false, "eventType": "AwsConsoleSignIn",
			"managementEvent": true, "recipientAccountId": "300000000001", "eventCategory": "Management"
		}
	}`), &e); err != nil {
		panic(err)
	}
	if change != nil {
		change(e, e["detail"].(map[string]any))
	}
	return e
}

func named(name string) map[string]any {
	return configEvent(func(_, d map[string]any) { d["eventName"] = name })
}

func TestWhichEventsTheRulesCatch(t *testing.T) {
	denied := configEvent(func(_, d map[string]any) {
		d["errorCode"], d["errorMessage"] = "AccessDenied", "User: … is not authorized … with an explicit deny in a service control policy"
	})
	readOnly := configEvent(func(_, d map[string]any) { d["eventName"], d["readOnly"] = "DescribeConfigurationRecorders", true })
	otherService := configEvent(func(e, d map[string]any) {
		e["source"], d["eventSource"], d["eventName"] = "aws.s3", "s3.amazonaws.com", "DeleteBucket"
	})
	failed := rootEvent(func(_, d map[string]any) {
		d["responseElements"], d["errorMessage"] = map[string]any{"ConsoleLogin": "Failure"}, "Failed authentication"
	})
	user := rootEvent(func(_, d map[string]any) {
		d["userIdentity"] = map[string]any{"type": "IAMUser", "arn": "arn:aws:iam::300000000001:user/alice", "userName": "alice", "accountId": "300000000001"}
	})
	role := rootEvent(func(_, d map[string]any) {
		d["eventName"] = "SwitchRole"
		d["userIdentity"] = map[string]any{"type": "AssumedRole", "arn": "arn:aws:sts::300000000001:assumed-role/Admin/alice", "accountId": "300000000001"}
	})
	rootCall := rootEvent(func(e, d map[string]any) {
		e["detail-type"], e["source"] = "AWS API Call via CloudTrail", "aws.iam"
		d["eventName"], d["eventSource"] = "CreateUser", "iam.amazonaws.com"
	})
	compliance := configEvent(func(e, _ map[string]any) { e["detail-type"] = "Config Rules Compliance Change" })
	cases := []struct {
		name         string
		event        map[string]any
		change, root bool // which kind of rule catches it
	}{
		{"StopConfigurationRecorder", named("StopConfigurationRecorder"), true, false},
		{"DeleteConfigurationRecorder", named("DeleteConfigurationRecorder"), true, false},
		{"PutConfigurationRecorder", named("PutConfigurationRecorder"), true, false},
		{"DeleteDeliveryChannel", named("DeleteDeliveryChannel"), true, false},
		{"PutDeliveryChannel", named("PutDeliveryChannel"), true, false},
		{"StartConfigurationRecorder", named("StartConfigurationRecorder"), true, false},
		{"PutRetentionConfiguration", named("PutRetentionConfiguration"), true, false},
		{"DeleteConfigRule", named("DeleteConfigRule"), true, false},
		{"an action that does not exist yet", named("SilenceEverything"), true, false},
		{"a refused attempt", denied, true, false},
		{"PutEvaluations, which rules send all day long", named("PutEvaluations"), false, false},
		{"a read", readOnly, false, false},
		{"another service", otherService, false, false},
		{"another kind of event of AWS Config", compliance, false, false},
		{"the root user signs in", rootEvent(nil), false, true},
		{"the root user fails to sign in", failed, false, true},
		{"an IAM user signs in", user, false, false},
		{"somebody switches roles", role, false, false},
		{"the root user calls an API", rootCall, false, false},
	}
	for _, file := range alertRules {
		r := alertRule(t, file)
		p, err := eventpattern.Parse([]byte(compact(r.Props["EventPattern"])))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range cases {
			t.Run(file+": "+c.name, func(t *testing.T) {
				want := c.change
				if strings.HasPrefix(file, "root") {
					want = c.root
				}
				if got := p.MatchValue(c.event); got != want {
					t.Errorf("caught: %v; want %v", got, want)
				}
			})
		}
	}
}

func TestWhatTheTransformersMake(t *testing.T) {
	denied := configEvent(func(_, d map[string]any) { d["errorCode"] = "AccessDenied" })
	failed := rootEvent(func(_, d map[string]any) {
		d["responseElements"] = map[string]any{"ConsoleLogin": "Failure"}
		d["additionalEventData"].(map[string]any)["MFAUsed"] = "No"
	})
	cases := []struct {
		name, file string
		event      map[string]any
		want       string
	}{
		{"a stopped recorder, told locally", "config-change-alert.alerts-local", configEvent(nil), `"AWS Config itself was changed."
"Event:     StopConfigurationRecorder"
"Time:      2026-11-22T12:34:50Z"
"Account:   300000000001"
"Region:    ap-northeast-1"
"Source IP: 203.0.113.7"
"By:        arn:aws:sts::300000000001:assumed-role/Admin/alice"
"Refused:   "`},
		{"a refused attempt, told locally", "config-change-alert.alerts-local", denied, `"AWS Config itself was changed."
"Event:     StopConfigurationRecorder"
"Time:      2026-11-22T12:34:50Z"
"Account:   300000000001"
"Region:    ap-northeast-1"
"Source IP: 203.0.113.7"
"By:        arn:aws:sts::300000000001:assumed-role/Admin/alice"
"Refused:   AccessDenied"`},
		{"a failed sign-in, told locally", "root-signin-alert.signin-local", failed, `"The root user signed in."
"Event:     ConsoleLogin"
"Time:      2026-11-22T12:34:50Z"
"Account:   300000000001"
"Region:    us-east-1"
"Source IP: 203.0.113.7"
"By:        arn:aws:iam::300000000001:root"
"Result:    Failure, MFA used: No"`},
		{"a stopped recorder, for the state machine", "config-change-alert.central", configEvent(nil),
			`{"title":"AWS Config itself was changed.","subject":"StopConfigurationRecorder","event":"StopConfigurationRecorder","time":"2026-11-22T12:34:50Z","account":"300000000001","region":"ap-northeast-1","more":"Source IP: 203.0.113.7\nBy:        arn:aws:sts::300000000001:assumed-role/Admin/alice\nRefused:   ","label":"","resource":"","text":""}`},
		{"a sign-in, for the state machine", "root-signin-alert.central", rootEvent(nil),
			`{"title":"The root user signed in.","subject":"ConsoleLogin","event":"ConsoleLogin","time":"2026-11-22T12:34:50Z","account":"300000000001","region":"us-east-1","more":"Source IP: 203.0.113.7\nBy:        arn:aws:iam::300000000001:root\nResult:    Success, MFA used: Yes","label":"","resource":"","text":""}`},
		{"a call by a service, which has no ARN", "config-change-alert.central", configEvent(func(_, d map[string]any) {
			d["userIdentity"] = map[string]any{"type": "AWSService", "invokedBy": "config.amazonaws.com"}
		}),
			`{"title":"AWS Config itself was changed.","subject":"StopConfigurationRecorder","event":"StopConfigurationRecorder","time":"2026-11-22T12:34:50Z","account":"300000000001","region":"ap-northeast-1","more":"Source IP: 203.0.113.7\nBy:        \nRefused:   ","label":"","resource":"","text":""}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			targets := alertRule(t, c.file).wantTargets()
			if len(targets) != 1 {
				t.Fatalf("%d targets", len(targets))
			}
			if err := eventpattern.CheckTransformer(targets[0].Paths, targets[0].Template); err != nil {
				t.Fatalf("PutTargets would refuse this transformer: %v", err)
			}
			got, err := eventpattern.Transform(targets[0].Paths, targets[0].Template, c.event, eventpattern.Meta{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

// From what somebody does in an account to the mail that says so.
func TestAlertsReachPeople(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	stopIn := func(account, region string) func(*testing.T, *rig) {
		return func(t *testing.T, r *rig) { stopRecorder(t, r, account, region) }
	}
	signIn := func(account string, mfa, success bool) func(*testing.T, *rig) {
		return func(_ *testing.T, r *rig) { r.w.SignIn(account, true, mfa, success) }
	}
	asAdmin := func(account string) string {
		if account == management {
			return "arn:aws:sts::" + account + ":assumed-role/OrgAdmin/alice"
		}
		return "arn:aws:sts::" + account + ":assumed-role/OrganizationAccountAccessRole/alice"
	}
	cases := []struct {
		name, config string
		do           func(*testing.T, *rig)
		subject      string
		want         string
		topic        string
	}{
		{
			"a recorder is stopped in a member account", demoConfig, stopIn(shopProd, virginia),
			"[orgguard] StopConfigurationRecorder in account 300000000001",
			mail("AWS Config itself was changed.", "StopConfigurationRecorder", "shop-prod (300000000001)", virginia, asAdmin(shopProd), "Refused:   "),
			"arn:aws:sns:ap-northeast-1:200000000001:orgguard-alerts",
		},
		{
			"the adopted recorder is stopped in the home Region", demoConfig, stopIn(legacy, tokyo),
			"[orgguard] StopConfigurationRecorder in account 500000000003",
			mail("AWS Config itself was changed.", "StopConfigurationRecorder", "legacy-lab (500000000003)", tokyo, asAdmin(legacy), "Refused:   "),
			"arn:aws:sns:ap-northeast-1:200000000001:orgguard-alerts",
		},
		{
			"a recorder is stopped in the management account", demoConfig, stopIn(management, tokyo),
			"[orgguard] StopConfigurationRecorder in account 100000000001",
			mail("AWS Config itself was changed.", "StopConfigurationRecorder", "management (100000000001)", tokyo, asAdmin(management), "Refused:   "),
			"arn:aws:sns:ap-northeast-1:200000000001:orgguard-alerts",
		},
		{
			"a recorder is stopped in the security account itself", demoConfig, stopIn(securityAccount, tokyo),
			"[orgguard] StopConfigurationRecorder in account 200000000001",
			mail("AWS Config itself was changed.", "StopConfigurationRecorder", "security (200000000001)", tokyo, asAdmin(securityAccount), "Refused:   "),
			"arn:aws:sns:ap-northeast-1:200000000001:orgguard-alerts",
		},
		{
			"a recorder is stopped in the security account, in another Region", demoConfig, stopIn(securityAccount, virginia),
			"[orgguard] StopConfigurationRecorder in account 200000000001",
			mail("AWS Config itself was changed.", "StopConfigurationRecorder", "security (200000000001)", virginia, asAdmin(securityAccount), "Refused:   "),
			"arn:aws:sns:ap-northeast-1:200000000001:orgguard-alerts",
		},
		{
			"the root user of a member account signs in", demoConfig, signIn(shopProd, false, true),
			"[orgguard] ConsoleLogin in account 300000000001",
			mail("The root user signed in.", "ConsoleLogin", "shop-prod (300000000001)", virginia, "arn:aws:iam::300000000001:root", "Result:    Success, MFA used: No"),
			"arn:aws:sns:ap-northeast-1:200000000001:orgguard-alerts",
		},
		{
			"the root user of the management account fails to sign in", demoConfig, signIn(management, true, false),
			"[orgguard] ConsoleLogin in account 100000000001",
			mail("The root user signed in.", "ConsoleLogin", "management (100000000001)", virginia, "arn:aws:iam::100000000001:root", "Result:    Failure, MFA used: Yes"),
			"arn:aws:sns:ap-northeast-1:200000000001:orgguard-alerts",
		},
		{
			"the root user of the security account signs in", demoConfig, signIn(securityAccount, true, true),
			"[orgguard] ConsoleLogin in account 200000000001",
			mail("The root user signed in.", "ConsoleLogin", "security (200000000001)", virginia, "arn:aws:iam::200000000001:root", "Result:    Success, MFA used: Yes"),
			"arn:aws:sns:ap-northeast-1:200000000001:orgguard-alerts",
		},
		{
			"a recorder is stopped where the management account is the security account",
			"version: 1\nregions: [us-east-1]\nalerts: {email: [security@example.com]}\norganization: {exclude: [{account: data-prod, reason: x}]}\n", stopIn(shopProd, virginia),
			"[orgguard] StopConfigurationRecorder in account 300000000001",
			mail("AWS Config itself was changed.", "StopConfigurationRecorder", "shop-prod (300000000001)", virginia, asAdmin(shopProd), "Refused:   "),
			"arn:aws:sns:us-east-1:100000000001:orgguard-alerts",
		},
		{
			"a recorder is stopped in a member account, told locally", localConfig, stopIn(shopProd, tokyo), "AWS Notification Message",
			`"AWS Config itself was changed."
"Event:     StopConfigurationRecorder"
"Time:      2026-11-22T12:34:56Z"
"Account:   300000000001"
"Region:    ap-northeast-1"
"Source IP: 203.0.113.17"
"By:        ` + asAdmin(shopProd) + `"
"Refused:   "`,
			"arn:aws:sns:ap-northeast-1:300000000001:orgguard-alerts",
		},
		{
			"the root user of the management account signs in, told locally", localConfig, signIn(management, false, true), "AWS Notification Message",
			`"The root user signed in."
"Event:     ConsoleLogin"
"Time:      2026-11-22T12:34:56Z"
"Account:   100000000001"
"Region:    us-east-1"
"Source IP: 203.0.113.17"
"By:        arn:aws:iam::100000000001:root"
"Result:    Success, MFA used: No"`,
			"arn:aws:sns:us-east-1:100000000001:orgguard-alerts",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, c.config)
				r.mustRollout(t)
				r.w.SetClock(func() time.Time { return noon.Add(34*time.Minute + 56*time.Second) })
				before := len(r.w.Outbox())
				c.do(t, r)
				mails := alerts(r.w.Outbox()[before:])
				if len(mails) != 1 {
					t.Fatalf("%d mails; want one: %+v; dead letters: %q", len(mails), mails, deadLetters(t, r))
				}
				m := mails[0]
				if diff := cmp.Diff([]string{c.subject, c.want, c.topic, "email", "security@example.com"}, []string{m.Subject, m.Message, m.Topic, m.Protocol, m.Endpoint}); diff != "" {
					t.Errorf("mail (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// mail is the text that the alert state machine sends at 12:34:56.
func mail(title, event, account, region, who, more string) string {
	return title + "\n\nEvent:     " + event + "\nTime:      2026-11-22T12:34:56Z\nAccount:   " + account + "\nRegion:    " + region +
		"\nSource IP: 203.0.113.17\nBy:        " + who + "\n" + more + "\n"
}

// deadLetters is what the central queue holds, with why it came there.
func deadLetters(t *testing.T, r *rig) []string {
	t.Helper()
	c := sqs.NewFromConfig(r.member(securityAccount, tokyo))
	url, err := c.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("orgguard-alerts-dlq")})
	if err != nil {
		return nil
	}
	out, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range out.Messages {
		text := aws.ToString(m.Body)
		for _, k := range slices.Sorted(maps.Keys(m.MessageAttributes)) {
			text += " " + k + "=" + aws.ToString(m.MessageAttributes[k].StringValue)
		}
		all = append(all, text)
	}
	return all
}

func TestAnAlertComesWithoutANameWhenTheLookUpFails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, demoConfig)
		r.mustRollout(t)
		r.w.SetFaults(sim.Faults{Errors: []sim.Fault{{Service: "organizations", Operation: "DescribeAccount", Code: "AccessDeniedException", Message: "no"}}})
		before := len(r.w.Outbox())
		deleteNamesRole(t, r)
		stopRecorder(t, r, shopProd, tokyo)
		mails := alerts(r.w.Outbox()[before:])
		if len(mails) != 1 || !strings.Contains(mails[0].Message, "\nAccount:   name not found (300000000001)\n") {
			t.Errorf("mails %+v; dead letters %q", mails, deadLetters(t, r))
		}
	})
}

func TestWhatNobodyNeedsToKnowMakesNoMail(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, demoConfig)
		r.mustRollout(t)
		before := len(r.w.Outbox())
		c := configservice.NewFromConfig(r.member(shopProd, tokyo))
		_, err := c.DescribeConfigurationRecorders(t.Context(), &configservice.DescribeConfigurationRecordersInput{})
		_, more := c.PutEvaluations(t.Context(), &configservice.PutEvaluationsInput{
			ResultToken: aws.String("token"), Evaluations: []configtypes.Evaluation{{
				ComplianceResourceId: aws.String("i-1"), ComplianceResourceType: aws.String("AWS::EC2::Instance"),
				ComplianceType: configtypes.ComplianceTypeCompliant, OrderingTimestamp: aws.Time(time.Now()),
			}},
		})
		if err := errors.Join(err, more); err != nil && !strings.Contains(err.Error(), "the sandbox has no operation") {
			t.Fatal(err)
		}
		r.w.SignIn(shopProd, false, true, true)
		if mails := alerts(r.w.Outbox()[before:]); len(mails) != 0 {
			t.Errorf("mails: %+v", mails)
		}
		if letters := deadLetters(t, r); len(letters) != 0 {
			t.Errorf("dead letters: %q", letters)
		}
	})
}

// Nobody is told when the rule is disabled: the audit has to find it.
func TestADisabledRuleIsSilentAndFound(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, demoConfig)
		r.mustRollout(t)
		if _, err := eventbridge.NewFromConfig(r.member(shopProd, tokyo)).DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String("orgguard-config-change")}); err != nil {
			t.Fatal(err)
		}
		before := len(r.w.Outbox())
		stopRecorder(t, r, shopProd, tokyo)
		if mails := alerts(r.w.Outbox()[before:]); len(mails) != 0 {
			t.Errorf("mails: %+v", mails)
		}
		if n := len(wrong(r.audit(t, Filter{}))); n != 2 {
			t.Errorf("%d findings; want the rule and the recorder", n)
		}
	})
}
