package sim

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
)

const tokyo = "ap-northeast-1"

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// adminConfig is the administrator of an account.
func adminConfig(w *World, account, region string) aws.Config {
	return w.Config(region, w.RolePrincipal(account, "Admin", "alice"))
}

// must fails a test on an error of a call whose result is not wanted.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// makeQueue makes a queue that admits EventBridge for rules of its account.
func makeQueue(t *testing.T, w *World, account, name string) {
	t.Helper()
	policy := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*",` +
		`"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:events:*:` + account + `:rule/*"}}}}`
	must(sqs.NewFromConfig(adminConfig(w, account, tokyo)).CreateQueue(t.Context(), &sqs.CreateQueueInput{
		QueueName: &name, Attributes: map[string]string{"Policy": policy},
	}))(t)
}

// errorsIn receives everything from a queue and returns the error codes that
// EventBridge wrote on the messages.
func errorsIn(t *testing.T, w *World, account, queue string) []string {
	t.Helper()
	c := sqs.NewFromConfig(adminConfig(w, account, tokyo))
	url := must(c.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &queue}))(t).QueueUrl
	out := must(c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}}))(t)
	codes := []string{}
	for _, m := range out.Messages {
		codes = append(codes, aws.ToString(m.MessageAttributes["ERROR_CODE"].StringValue))
	}
	return codes
}

func makeRole(t *testing.T, w *World, account, name, service, policy string) string {
	t.Helper()
	c := iam.NewFromConfig(adminConfig(w, account, "us-east-1"))
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`
	r := must(c.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust}))(t)
	must(c.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: aws.String("p"), PolicyDocument: &policy}))(t)
	return *r.Role.Arn
}

const (
	centralBus   = "arn:aws:events:ap-northeast-1:" + security + ":event-bus/orgguard"
	centralRule  = "arn:aws:events:ap-northeast-1:" + security + ":rule/orgguard/config-changes"
	centralTopic = "arn:aws:sns:ap-northeast-1:" + security + ":alerts"
	memberRule   = "orgguard-config-changes"
	mailbox      = "security@example.com"

	orgBusPolicy = `{"Version":"2012-10-17","Statement":[{"Sid":"org","Effect":"Allow","Principal":"*","Action":"events:PutEvents",` +
		`"Resource":"` + centralBus + `","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-demo0guard"}}}]}`
	eventsTopicPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sns:Publish",` +
		`"Resource":"` + centralTopic + `","Condition":{"ArnEquals":{"aws:SourceArn":"` + centralRule + `"},"StringEquals":{"aws:SourceAccount":"` + security + `"}}}]}`
)

// alertingWorld has the whole way of an alert: a rule in a member account that
// forwards changes of AWS Config to a bus in the security account, and a rule
// there that rewrites them for a topic with a confirmed mail subscription.
func alertingWorld(t *testing.T) *World {
	t.Helper()
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	w.SetClock(func() time.Time { return noon })

	central := adminConfig(w, security, tokyo)
	eb, topics := eventbridge.NewFromConfig(central), sns.NewFromConfig(central)
	must(eb.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: aws.String("orgguard")}))(t)
	must(eb.PutPermission(ctx, &eventbridge.PutPermissionInput{EventBusName: aws.String("orgguard"), Policy: aws.String(orgBusPolicy)}))(t)
	must(topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("alerts"), Attributes: map[string]string{"Policy": eventsTopicPolicy}}))(t)
	must(topics.Subscribe(ctx, &sns.SubscribeInput{TopicArn: aws.String(centralTopic), Protocol: aws.String("email"), Endpoint: aws.String(mailbox)}))(t)
	makeQueue(t, w, security, "dead")
	must(eb.PutRule(ctx, &eventbridge.PutRuleInput{
		Name: aws.String("config-changes"), EventBusName: aws.String("orgguard"),
		EventPattern: aws.String(`{"source":["aws.config"],"detail-type":["AWS API Call via CloudTrail"],"detail":{"eventName":[{"anything-but":"PutEvaluations"}]}}`),
	}))(t)
	must(eb.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("config-changes"), EventBusName: aws.String("orgguard"), Targets: []ebtypes.Target{{
		Id: aws.String("topic"), Arn: aws.String(centralTopic), DeadLetterConfig: &ebtypes.DeadLetterConfig{Arn: aws.String("arn:aws:sqs:ap-northeast-1:" + security + ":dead")},
		InputTransformer: &ebtypes.InputTransformer{
			InputPathsMap: map[string]string{
				"account": "$.account", "region": "$.region", "time": "$.time", "event": "$.detail.eventName",
				"who": "$.detail.userIdentity.arn", "ip": "$.detail.sourceIPAddress", "error": "$.detail.errorCode",
			},
			InputTemplate: aws.String("\"AWS Config: <event> in <account> (<region>) at <time>\"\n\"by <who> from <ip> <error>\"\n\"rule <aws.events.rule-name>\""),
		},
	}}}))(t)

	role := makeRole(t, w, legacyLab, "forward", "events.amazonaws.com",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"events:PutEvents","Resource":"`+centralBus+`"}]}`)
	makeQueue(t, w, legacyLab, "dead")
	member := eventbridge.NewFromConfig(adminConfig(w, legacyLab, tokyo))
	must(member.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String(memberRule), EventPattern: aws.String(`{"source":["aws.config"]}`)}))(t)
	must(member.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String(memberRule), Targets: []ebtypes.Target{{
		Id: aws.String("central"), Arn: aws.String(centralBus), RoleArn: &role,
		DeadLetterConfig: &ebtypes.DeadLetterConfig{Arn: aws.String("arn:aws:sqs:ap-northeast-1:" + legacyLab + ":dead")},
	}}}))(t)

	if n := w.ConfirmSubscriptions(mailbox); n != 1 {
		t.Fatalf("%d subscriptions to confirm, want 1", n)
	}
	return w
}

// alerts are the mails without the confirmation request.
func alerts(w *World) []Mail {
	return slices.DeleteFunc(w.Outbox(), func(m Mail) bool { return m.Subject == confirmationSubject })
}

func stopLegacy(t *testing.T, w *World) {
	t.Helper()
	c := configservice.NewFromConfig(adminConfig(w, legacyLab, tokyo))
	must(c.StopConfigurationRecorder(t.Context(), &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String("legacy-recorder")}))(t)
}

func TestStoppingARecorderSendsAMail(t *testing.T) {
	w := alertingWorld(t)
	stopLegacy(t, w)
	want := []Mail{{
		Time: noon, Topic: centralTopic, Protocol: "email", Endpoint: mailbox, Subject: "AWS Notification Message",
		Message: "\"AWS Config: StopConfigurationRecorder in 500000000003 (ap-northeast-1) at 2026-11-22T12:00:00Z\"\n" +
			"\"by arn:aws:sts::500000000003:assumed-role/Admin/alice from 203.0.113.17 \"\n\"rule config-changes\"",
	}}
	if diff := cmp.Diff(want, alerts(w)); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
	for _, account := range []string{legacyLab, security} {
		if codes := errorsIn(t, w, account, "dead"); len(codes) > 0 {
			t.Errorf("dead letters in %s: %v", account, codes)
		}
	}
}

func TestAlertsWorkAfterTheWorldWasSaved(t *testing.T) {
	w := alertingWorld(t)
	text := must(json.Marshal(w.state))(t)
	var loaded State
	if err := json.Unmarshal(text, &loaded); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(must(json.Marshal(&loaded))(t))); diff != "" {
		t.Errorf("the state changed in its file (-saved +loaded):\n%s", diff)
	}
	again := newWorld(&loaded)
	again.SetClock(func() time.Time { return noon })
	stopLegacy(t, again)
	if got := alerts(again); len(got) != 1 {
		t.Errorf("%d mails, want 1", len(got))
	}
}

func TestAlertsThatGetLost(t *testing.T) {
	setTopic := func(name, value string) func(*testing.T, *World) {
		return func(t *testing.T, w *World) {
			must(sns.NewFromConfig(adminConfig(w, security, tokyo)).SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{
				TopicArn: aws.String(centralTopic), AttributeName: &name, AttributeValue: &value,
			}))(t)
		}
	}
	setBus := func(policy string) func(*testing.T, *World) {
		return func(t *testing.T, w *World) {
			must(eventbridge.NewFromConfig(adminConfig(w, security, tokyo)).PutPermission(t.Context(), &eventbridge.PutPermissionInput{
				EventBusName: aws.String("orgguard"), Policy: &policy,
			}))(t)
		}
	}
	key := func(policy func(string) string) func(*testing.T, *World) {
		return func(t *testing.T, w *World) {
			c := kms.NewFromConfig(adminConfig(w, security, tokyo))
			k := must(c.CreateKey(t.Context(), &kms.CreateKeyInput{Policy: aws.String(policy(security))}))(t)
			setTopic("KmsMasterKeyId", *k.KeyMetadata.Arn)(t, w)
		}
	}
	root := func(a string) string {
		return `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + a + `:root"},"Action":"kms:*","Resource":"*"}`
	}
	tests := []struct {
		name            string
		change          func(*testing.T, *World)
		mails           int
		member, central []string // error codes of dead letters
	}{
		{"nothing changed", func(*testing.T, *World) {}, 1, nil, nil},
		{"the member's rule is disabled", func(t *testing.T, w *World) {
			must(eventbridge.NewFromConfig(adminConfig(w, legacyLab, tokyo)).DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String(memberRule)}))(t)
		}, 0, nil, nil},
		{"the bus admits another organization", setBus(strings.Replace(orgBusPolicy, "o-demo0guard", "o-otherorgan", 1)), 0, []string{failNoPermission}, nil},
		{"the bus denies the member", setBus(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"events:PutEvents","Resource":"*"},` +
			`{"Effect":"Deny","Principal":{"AWS":"` + legacyLab + `"},"Action":"events:*","Resource":"*"}]}`), 0, []string{failNoPermission}, nil},
		{"the bus is gone", func(t *testing.T, w *World) {
			c := eventbridge.NewFromConfig(adminConfig(w, security, tokyo))
			bus := aws.String("orgguard")
			must(c.RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: aws.String("config-changes"), EventBusName: bus, Ids: []string{"topic"}}))(t)
			must(c.DeleteRule(t.Context(), &eventbridge.DeleteRuleInput{Name: aws.String("config-changes"), EventBusName: bus}))(t)
			must(c.DeleteEventBus(t.Context(), &eventbridge.DeleteEventBusInput{Name: bus}))(t)
		}, 0, []string{failNoResource}, nil},
		{"the role is gone", func(t *testing.T, w *World) {
			c := iam.NewFromConfig(adminConfig(w, legacyLab, "us-east-1"))
			must(c.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: aws.String("forward"), PolicyName: aws.String("p")}))(t)
			must(c.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String("forward")}))(t)
		}, 0, []string{failNoPermission}, nil},
		{"the role may not put events", func(t *testing.T, w *World) {
			must(iam.NewFromConfig(adminConfig(w, legacyLab, "us-east-1")).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
				RoleName: aws.String("forward"), PolicyName: aws.String("p"),
				PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"events:PutRule","Resource":"*"}]}`),
			}))(t)
		}, 0, []string{failNoPermission}, nil},
		{"the role does not trust EventBridge", func(t *testing.T, w *World) {
			must(iam.NewFromConfig(adminConfig(w, legacyLab, "us-east-1")).UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{
				RoleName:       aws.String("forward"),
				PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
			}))(t)
		}, 0, []string{failNoPermission}, nil},
		{"an SCP denies the role", func(t *testing.T, w *World) {
			c := orgClient(w)
			if err := enableSCPs(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			p := createSCP(t.Context(), c, "no-events", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"events:PutEvents","Resource":"*"}]}`)
			if err := attachTo(t.Context(), c, p.id, legacyLab); err != nil {
				t.Fatal(err)
			}
		}, 0, []string{failNoPermission}, nil},
		{"the topic's policy is the default one", setTopic("Policy", ""), 0, nil, []string{failNoPermission}},
		{"the topic admits another rule", setTopic("Policy", strings.Replace(eventsTopicPolicy, "rule/orgguard/config-changes", "rule/other", 1)), 0, nil, []string{failNoPermission}},
		{"the topic is gone", func(t *testing.T, w *World) {
			must(sns.NewFromConfig(adminConfig(w, security, tokyo)).DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: aws.String(centralTopic)}))(t)
		}, 0, nil, []string{failNoResource}},
		{"the topic is encrypted with a key of AWS", setTopic("KmsMasterKeyId", "alias/aws/sns"), 0, nil, []string{failNoPermission}},
		{"the key of the topic does not admit EventBridge", key(func(a string) string {
			return `{"Version":"2012-10-17","Statement":[` + root(a) + `]}`
		}), 0, nil, []string{failNoPermission}},
		{"the key of the topic admits EventBridge", key(func(a string) string {
			return `{"Version":"2012-10-17","Statement":[` + root(a) + `,{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":["kms:GenerateDataKey*","kms:Decrypt"],"Resource":"*"}]}`
		}), 1, nil, nil},
		{"the key of the topic admits EventBridge for this topic", key(func(a string) string {
			return `{"Version":"2012-10-17","Statement":[` + root(a) + `,{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:aws:sns:topicArn":"` + centralTopic + `"}}}]}`
		}), 1, nil, nil},
		{"the key of the topic admits EventBridge for another topic", key(func(a string) string {
			return `{"Version":"2012-10-17","Statement":[` + root(a) + `,{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"*","Condition":{"StringEquals":{"kms:EncryptionContext:aws:sns:topicArn":"` + centralTopic + `-other"}}}]}`
		}), 0, nil, []string{failNoPermission}},
		{"the key of the topic asks EventBridge for the account that it acts for, which AWS does not support", key(func(a string) string {
			return `{"Version":"2012-10-17","Statement":[` + root(a) + `,{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"*","Condition":{"StringEquals":{"aws:SourceAccount":"` + a + `"}}}]}`
		}), 0, nil, []string{failNoPermission}},
		{"the subscription is gone", func(t *testing.T, w *World) {
			c := sns.NewFromConfig(adminConfig(w, security, tokyo))
			subs := must(c.ListSubscriptionsByTopic(t.Context(), &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(centralTopic)}))(t)
			must(c.Unsubscribe(t.Context(), &sns.UnsubscribeInput{SubscriptionArn: subs.Subscriptions[0].SubscriptionArn}))(t)
		}, 0, nil, nil},
		{"a second mailbox has not confirmed", func(t *testing.T, w *World) {
			must(sns.NewFromConfig(adminConfig(w, security, tokyo)).Subscribe(t.Context(), &sns.SubscribeInput{
				TopicArn: aws.String(centralTopic), Protocol: aws.String("email"), Endpoint: aws.String("late@example.com"),
			}))(t)
		}, 1, nil, nil},
		{"no trail is logging", func(_ *testing.T, w *World) {
			w.mu.Lock()
			w.state.Trails = nil
			w.mu.Unlock()
		}, 0, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := alertingWorld(t)
			tt.change(t, w)
			stopLegacy(t, w)
			if got := alerts(w); len(got) != tt.mails {
				t.Errorf("%d mails, want %d: %v", len(got), tt.mails, got)
			}
			if diff := cmp.Diff(append([]string{}, tt.member...), errorsIn(t, w, legacyLab, "dead")); diff != "" {
				t.Errorf("dead letters of the member (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(append([]string{}, tt.central...), errorsIn(t, w, security, "dead")); diff != "" {
				t.Errorf("dead letters of the security account (-want +got):\n%s", diff)
			}
		})
	}
}

func TestForwardingToAThirdAccountIsRefused(t *testing.T) {
	w := alertingWorld(t)
	ctx := t.Context()
	third := eventbridge.NewFromConfig(adminConfig(w, shopProd, tokyo))
	must(third.PutPermission(ctx, &eventbridge.PutPermissionInput{Action: aws.String("events:PutEvents"), Principal: aws.String(security), StatementId: aws.String("s")}))(t)
	role := makeRole(t, w, security, "onward", "events.amazonaws.com", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"events:PutEvents","Resource":"*"}]}`)
	central := eventbridge.NewFromConfig(adminConfig(w, security, tokyo))
	must(central.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("config-changes"), EventBusName: aws.String("orgguard"), Targets: []ebtypes.Target{{
		Id: aws.String("onward"), Arn: aws.String("arn:aws:events:ap-northeast-1:" + shopProd + ":event-bus/default"), RoleArn: &role,
		DeadLetterConfig: &ebtypes.DeadLetterConfig{Arn: aws.String("arn:aws:sqs:ap-northeast-1:" + security + ":dead")},
	}}}))(t)
	stopLegacy(t, w)
	if diff := cmp.Diff([]string{failThirdAccount}, errorsIn(t, w, security, "dead")); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	if got := alerts(w); len(got) != 1 {
		t.Errorf("%d mails, want 1", len(got))
	}
}

func TestTargetsGetWhatTheyAskFor(t *testing.T) {
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	w.SetClock(func() time.Time { return noon })
	c := eventbridge.NewFromConfig(adminConfig(w, shopProd, tokyo))
	queues := sqs.NewFromConfig(adminConfig(w, shopProd, tokyo))
	makeQueue(t, w, shopProd, "q")
	must(c.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"source":["my.app"]}`)}))(t)
	queue := aws.String("arn:aws:sqs:ap-northeast-1:" + shopProd + ":q")
	must(c.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: []ebtypes.Target{
		{Id: aws.String("1-input"), Arn: queue, Input: aws.String(`{"fixed":true}`)},
		{Id: aws.String("2-path"), Arn: queue, InputPath: aws.String("$.detail.n")},
		{Id: aws.String("3-json"), Arn: queue, InputTransformer: &ebtypes.InputTransformer{InputPathsMap: map[string]string{"n": "$.detail.n"}, InputTemplate: aws.String("{ \"n\": <n> }")}},
		{Id: aws.String("4-event"), Arn: queue},
	}}))(t)
	must(c.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{
		{Source: aws.String("my.app"), DetailType: aws.String("x"), Detail: aws.String(`{"n": 12345678901234567890}`)},
	}}))(t)
	url := must(queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("q")}))(t).QueueUrl
	got := must(queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10}))(t)
	var bodies []string
	for _, m := range got.Messages {
		bodies = append(bodies, *m.Body)
	}
	if len(bodies) != 4 {
		t.Fatalf("%d messages, want 4: %v", len(bodies), bodies)
	}
	if diff := cmp.Diff([]string{`{"fixed":true}`, `12345678901234567890`, `{"n":12345678901234567890}`}, bodies[:3]); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	var event struct {
		Version, Source, Account, Region, Time string
		DetailType                             string `json:"detail-type"`
	}
	if err := json.Unmarshal([]byte(bodies[3]), &event); err != nil {
		t.Fatal(err)
	}
	if event.Version != "0" || event.Account != shopProd || event.Region != tokyo || event.Time != "2026-11-22T12:00:00Z" || event.DetailType != "x" {
		t.Errorf("event %s", bodies[3])
	}
}

func TestReadOnlyCallsNeedARuleForAllManagementEvents(t *testing.T) {
	event := map[string]any{
		"source": "aws.config", "detail-type": "AWS API Call via CloudTrail", "account": shopProd, "region": tokyo,
		"detail": map[string]any{"eventName": "DescribeConfigurationRecorders", "readOnly": true},
	}
	for _, tt := range []struct {
		state ebtypes.RuleState
		want  int
	}{
		{ebtypes.RuleStateEnabled, 0},
		{ebtypes.RuleStateEnabledWithAllCloudtrailManagementEvents, 1},
		{ebtypes.RuleStateDisabled, 0},
	} {
		t.Run(string(tt.state), func(t *testing.T) {
			w := newTestWorld(t, "demo")
			makeQueue(t, w, shopProd, "q")
			c := eventbridge.NewFromConfig(adminConfig(w, shopProd, tokyo))
			must(c.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"source":["aws.config"]}`), State: tt.state}))(t)
			must(c.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: []ebtypes.Target{{Id: aws.String("q"), Arn: aws.String("arn:aws:sqs:ap-northeast-1:" + shopProd + ":q")}}}))(t)
			w.mu.Lock()
			w.deliver(shopProd, tokyo, event)
			w.mu.Unlock()
			queues := sqs.NewFromConfig(adminConfig(w, shopProd, tokyo))
			url := must(queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("q")}))(t).QueueUrl
			got := must(queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []sqstypes.QueueAttributeName{"ApproximateNumberOfMessages"}}))(t)
			if n := got.Attributes["ApproximateNumberOfMessages"]; n != []string{"0", "1"}[tt.want] {
				t.Errorf("%s messages, want %d", n, tt.want)
			}
		})
	}
}
