package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func eventsClient(t *testing.T) *eventbridge.Client {
	t.Helper()
	w := newTestWorld(t, "demo")
	w.SetClock(func() time.Time { return noon })
	return eventbridge.NewFromConfig(adminConfig(w, shopProd, tokyo))
}

func TestRuleValidation(t *testing.T) {
	tests := []struct {
		name string
		in   eventbridge.PutRuleInput
		want string
	}{
		{"a pattern", eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"source":["aws.config"]}`)}, ""},
		{"a schedule", eventbridge.PutRuleInput{Name: aws.String("r"), ScheduleExpression: aws.String("rate(5 minutes)")}, ""},
		{"a cron schedule", eventbridge.PutRuleInput{Name: aws.String("r"), ScheduleExpression: aws.String("cron(0 9 ? * MON *)")}, ""},
		{"neither", eventbridge.PutRuleInput{Name: aws.String("r")}, "ValidationException"},
		{"a bad schedule", eventbridge.PutRuleInput{Name: aws.String("r"), ScheduleExpression: aws.String("rate(1 minutes)")}, "ValidationException"},
		{"a bad name", eventbridge.PutRuleInput{Name: aws.String("a b"), EventPattern: aws.String(`{"a":["b"]}`)}, "ValidationException"},
		{"a bad pattern", eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"source":"aws.config"}`)}, "InvalidEventPatternException"},
		{"a pattern over the quota", eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"a":["` + strings.Repeat("x", 2100) + `"]}`)}, "LimitExceededException"},
		{"a bus that does not exist", eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"a":["b"]}`), EventBusName: aws.String("none")}, "ResourceNotFoundException"},
		{"a bad state", eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"a":["b"]}`), State: "ON"}, "ValidationException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := eventsClient(t).PutRule(t.Context(), &tt.in)
			if got := errorCode(err); got != tt.want {
				t.Errorf("error %q, want %q (%v)", got, tt.want, err)
			}
		})
	}
}

func TestRuleLifeCycle(t *testing.T) {
	ctx := t.Context()
	c := eventsClient(t)
	name := aws.String("r")
	put := must(c.PutRule(ctx, &eventbridge.PutRuleInput{
		Name: name, EventPattern: aws.String(`{"source":["aws.config"]}`), Description: aws.String("d"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
	}))(t)
	must(c.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: name, Targets: []types.Target{{Id: aws.String("t"), Arn: aws.String("arn:aws:sns:ap-northeast-1:" + shopProd + ":x")}}}))(t)
	// A replaced rule keeps its targets and tags and loses its description.
	must(c.PutRule(ctx, &eventbridge.PutRuleInput{Name: name, EventPattern: aws.String(`{"source":["aws.s3"]}`), Tags: []types.Tag{{Key: aws.String("other"), Value: aws.String("v")}}}))(t)
	got := must(c.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: name}))(t)
	want := &eventbridge.DescribeRuleOutput{
		Arn: aws.String("arn:aws:events:ap-northeast-1:" + shopProd + ":rule/r"), Name: name, EventBusName: aws.String("default"), State: types.RuleStateEnabled,
		EventPattern: aws.String(`{"source":["aws.s3"]}`), CreatedBy: aws.String(shopProd),
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(eventbridge.DescribeRuleOutput{}), cmpopts.IgnoreFields(eventbridge.DescribeRuleOutput{}, "ResultMetadata")); diff != "" {
		t.Errorf("rule (-want +got):\n%s", diff)
	}
	tags := must(c.ListTagsForResource(ctx, &eventbridge.ListTagsForResourceInput{ResourceARN: put.RuleArn}))(t).Tags
	if len(tags) != 1 || *tags[0].Key != "k" {
		t.Errorf("tags %v", tags)
	}
	must(c.DisableRule(ctx, &eventbridge.DisableRuleInput{Name: name}))(t)
	if s := must(c.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: name}))(t).State; s != types.RuleStateDisabled {
		t.Errorf("state %s", s)
	}
	_, err := c.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: name})
	if errorCode(err) != "ValidationException" {
		t.Errorf("deleting a rule with targets: %v", err)
	}
	must(c.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: name, Ids: []string{"t", "never was"}}))(t)
	must(c.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: name}))(t)
	must(c.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: name}))(t)
	if _, err := c.EnableRule(ctx, &eventbridge.EnableRuleInput{Name: name}); errorCode(err) != "ResourceNotFoundException" {
		t.Errorf("enabling a rule that is gone: %v", err)
	}
}

func TestTargetValidation(t *testing.T) {
	topic, role := aws.String("arn:aws:sns:ap-northeast-1:"+shopProd+":x"), aws.String("arn:aws:iam::"+shopProd+":role/Admin")
	tests := []struct {
		name    string
		targets []types.Target
		want    string
	}{
		{"five targets", targetsNamed(5, *topic), ""},
		{"six targets", targetsNamed(6, *topic), "LimitExceededException"},
		{"an ARN that is none", []types.Target{{Id: aws.String("t"), Arn: aws.String("x")}}, "ValidationException"},
		{"a topic in another Region", []types.Target{{Id: aws.String("t"), Arn: aws.String("arn:aws:sns:us-east-1:" + shopProd + ":x")}}, "ValidationException"},
		{"a topic in another account without a role", []types.Target{{Id: aws.String("t"), Arn: aws.String("arn:aws:sns:ap-northeast-1:" + security + ":x")}}, "ValidationException"},
		{"a bus in another account without a role", []types.Target{{Id: aws.String("t"), Arn: aws.String(centralBus)}}, "ValidationException"},
		{"a bus in another account with a role", []types.Target{{Id: aws.String("t"), Arn: aws.String(centralBus), RoleArn: role}}, ""},
		{"the rule's own bus", []types.Target{{Id: aws.String("t"), Arn: aws.String("arn:aws:events:ap-northeast-1:" + shopProd + ":event-bus/default")}}, "ValidationException"},
		{"a state machine without a role", []types.Target{{Id: aws.String("t"), Arn: aws.String("arn:aws:states:ap-northeast-1:" + shopProd + ":stateMachine:m")}}, "ValidationException"},
		{"input twice", []types.Target{{Id: aws.String("t"), Arn: topic, Input: aws.String("1"), InputPath: aws.String("$")}}, "ValidationException"},
		{"input that is not JSON", []types.Target{{Id: aws.String("t"), Arn: topic, Input: aws.String("hello")}}, "ValidationException"},
		{"a template without quotes", []types.Target{{Id: aws.String("t"), Arn: topic, InputTransformer: &types.InputTransformer{InputTemplate: aws.String("hello <x>")}}}, "ValidationException"},
		{"too many retries", []types.Target{{Id: aws.String("t"), Arn: topic, RetryPolicy: &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(200)}}}, "ValidationException"},
		{"a dead-letter queue that is a topic", []types.Target{{Id: aws.String("t"), Arn: topic, DeadLetterConfig: &types.DeadLetterConfig{Arn: topic}}}, "ValidationException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := eventsClient(t)
			must(c.PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"a":["b"]}`)}))(t)
			_, err := c.PutTargets(t.Context(), &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: tt.targets})
			if got := errorCode(err); got != tt.want {
				t.Errorf("error %q, want %q (%v)", got, tt.want, err)
			}
		})
	}
}

func targetsNamed(n int, arn string) []types.Target {
	var out []types.Target
	for i := range n {
		out = append(out, types.Target{Id: aws.String(fmt.Sprint("t", i)), Arn: aws.String(arn)})
	}
	return out
}

func TestRulesPageByHundred(t *testing.T) {
	ctx := t.Context()
	c := eventsClient(t)
	for i := range 101 {
		must(c.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String(fmt.Sprintf("r%03d", i)), EventPattern: aws.String(`{"a":["b"]}`)}))(t)
	}
	first := must(c.ListRules(ctx, &eventbridge.ListRulesInput{}))(t)
	second := must(c.ListRules(ctx, &eventbridge.ListRulesInput{NextToken: first.NextToken}))(t)
	if len(first.Rules) != 100 || len(second.Rules) != 1 || second.NextToken != nil || *second.Rules[0].Name != "r100" {
		t.Errorf("pages of %d and %d", len(first.Rules), len(second.Rules))
	}
	if _, err := c.ListRules(ctx, &eventbridge.ListRulesInput{NextToken: aws.String("x")}); errorCode(err) != "ValidationException" {
		t.Errorf("bad token: %v", err)
	}
}

func TestBusPermissions(t *testing.T) {
	ctx := t.Context()
	c := eventsClient(t)
	policy := func() string {
		return aws.ToString(must(c.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{}))(t).Policy)
	}
	put := func(id, principal string, condition *types.Condition) error {
		_, err := c.PutPermission(ctx, &eventbridge.PutPermissionInput{Action: aws.String("events:PutEvents"), Principal: &principal, StatementId: &id, Condition: condition})
		return err
	}
	if err := put("one", security, nil); err != nil {
		t.Fatal(err)
	}
	if err := put("org", "*", &types.Condition{Type: aws.String("StringEquals"), Key: aws.String("aws:PrincipalOrgID"), Value: aws.String("o-demo0guard")}); err != nil {
		t.Fatal(err)
	}
	bus := `"arn:aws:events:ap-northeast-1:` + shopProd + `:event-bus/default"`
	want := `{"Version":"2012-10-17","Statement":[{"Action":"events:PutEvents","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + security + `:root"},"Resource":` + bus + `,"Sid":"one"},` +
		`{"Action":"events:PutEvents","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-demo0guard"}},"Effect":"Allow","Principal":"*","Resource":` + bus + `,"Sid":"org"}]}`
	if got := policy(); got != want {
		t.Errorf("policy %s\nwant   %s", got, want)
	}
	if err := put("bad", "everybody", nil); errorCode(err) != "ValidationException" {
		t.Errorf("a principal that is none: %v", err)
	}
	must(c.RemovePermission(ctx, &eventbridge.RemovePermissionInput{StatementId: aws.String("one")}))(t)
	if _, err := c.RemovePermission(ctx, &eventbridge.RemovePermissionInput{StatementId: aws.String("one")}); errorCode(err) != "ResourceNotFoundException" {
		t.Errorf("removing it again: %v", err)
	}
	must(c.RemovePermission(ctx, &eventbridge.RemovePermissionInput{StatementId: aws.String("org")}))(t)
	if got := policy(); got != "" {
		t.Errorf("policy %s, want none", got)
	}
	must(c.PutPermission(ctx, &eventbridge.PutPermissionInput{Policy: aws.String(orgBusPolicy)}))(t)
	if got := policy(); got != orgBusPolicy {
		t.Errorf("whole policy %s", got)
	}
	for name, text := range map[string]string{"not JSON": "{", "without principal": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`} {
		if _, err := c.PutPermission(ctx, &eventbridge.PutPermissionInput{Policy: aws.String(text)}); errorCode(err) != "ValidationException" {
			t.Errorf("%s: %v", name, err)
		}
	}
	long := strings.Replace(orgBusPolicy, `"org"`, `"`+strings.Repeat("x", maxBusPolicy)+`"`, 1)
	if _, err := c.PutPermission(ctx, &eventbridge.PutPermissionInput{Policy: aws.String(long)}); errorCode(err) != "PolicyLengthExceededException" {
		t.Errorf("too long: %v", err)
	}
}

func TestEventBuses(t *testing.T) {
	ctx := t.Context()
	c := eventsClient(t)
	name := aws.String("orgguard")
	must(c.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: name, Description: aws.String("d"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}))(t)
	for _, again := range []string{"orgguard", "default"} {
		if _, err := c.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: &again}); errorCode(err) != "ResourceAlreadyExistsException" {
			t.Errorf("creating %s again: %v", again, err)
		}
	}
	must(c.UpdateEventBus(ctx, &eventbridge.UpdateEventBusInput{Name: name}))(t)
	got := must(c.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: name}))(t)
	if got.Description != nil || *got.Arn != "arn:aws:events:ap-northeast-1:"+shopProd+":event-bus/orgguard" {
		t.Errorf("bus %+v", got)
	}
	must(c.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("r"), EventBusName: name, EventPattern: aws.String(`{"a":["b"]}`)}))(t)
	if _, err := c.DeleteEventBus(ctx, &eventbridge.DeleteEventBusInput{Name: name}); errorCode(err) != "ValidationException" {
		t.Errorf("deleting a bus with rules: %v", err)
	}
	must(c.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: aws.String("r"), EventBusName: name}))(t)
	must(c.DeleteEventBus(ctx, &eventbridge.DeleteEventBusInput{Name: name}))(t)
	if _, err := c.DeleteEventBus(ctx, &eventbridge.DeleteEventBusInput{Name: aws.String("default")}); errorCode(err) != "ValidationException" {
		t.Errorf("deleting the default bus: %v", err)
	}
	buses := must(c.ListEventBuses(ctx, &eventbridge.ListEventBusesInput{}))(t).EventBuses
	if len(buses) != 1 || *buses[0].Name != "default" {
		t.Errorf("buses %v", buses)
	}
}

func TestPutEventsAndTestEventPattern(t *testing.T) {
	ctx := t.Context()
	c := eventsClient(t)
	out := must(c.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{
		{Source: aws.String("my.app"), DetailType: aws.String("x"), Detail: aws.String(`{}`)},
		{Source: aws.String("aws.config"), DetailType: aws.String("x"), Detail: aws.String(`{}`)},
		{Source: aws.String("my.app"), DetailType: aws.String("x"), Detail: aws.String(`[]`)},
		{Source: aws.String("my.app"), Detail: aws.String(`{}`)},
		{Source: aws.String("my.app"), DetailType: aws.String("x"), Detail: aws.String(`{}`), EventBusName: aws.String("none")},
	}}))(t)
	var codes []string
	for _, e := range out.Entries {
		codes = append(codes, aws.ToString(e.ErrorCode))
	}
	if diff := cmp.Diff([]string{"", "NotAuthorizedForSourceException", "MalformedDetail", "InvalidArgument", "ResourceNotFoundException"}, codes); diff != "" || out.FailedEntryCount != 4 {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	event := `{"id":"1","account":"1","source":"aws.config","time":"t","region":"r","resources":[],"detail-type":"x","detail":{}}`
	for pattern, want := range map[string]string{`{"source":["aws.config"]}`: "true", `{"source":["aws.s3"]}`: "false", `{"source":"x"}`: "InvalidEventPatternException"} {
		out, err := c.TestEventPattern(ctx, &eventbridge.TestEventPatternInput{Event: &event, EventPattern: &pattern})
		got := errorCode(err)
		if err == nil {
			got = fmt.Sprint(out.Result)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", pattern, got, want)
		}
	}
	if _, err := c.TestEventPattern(ctx, &eventbridge.TestEventPatternInput{Event: aws.String(`{"id":"1"}`), EventPattern: aws.String(`{"a":["b"]}`)}); errorCode(err) != "ValidationException" {
		t.Errorf("event without its fields: %v", err)
	}
}
