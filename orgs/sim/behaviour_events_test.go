package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

func eventRules(ctx context.Context, s *script) {
	c := eventbridge.NewFromConfig(s.in("shop", "eu-west-1"))
	const pattern = `{"source":["aws.config"],"detail":{"eventName":[{"anything-but":"PutEvaluations"}]}}`
	queue := func(n int) types.Target {
		return types.Target{Id: aws.String(fmt.Sprintf("t%d", n)), Arn: aws.String(fmt.Sprintf("arn:aws:sqs:eu-west-1:%s:q%d", s.ids["shop"], n))}
	}
	put := func(step, name, pattern string, change ...func(*eventbridge.PutRuleInput)) {
		in := &eventbridge.PutRuleInput{Name: &name, EventPattern: optional(pattern)}
		for _, f := range change {
			f(in)
		}
		see(s, step, func(o *eventbridge.PutRuleOutput) any { return o.RuleArn })(c.PutRule(ctx, in))
	}
	list := func(step string, prefix *string) {
		see(s, step, func(o *eventbridge.ListRulesOutput) any {
			names := []string{}
			for _, r := range o.Rules {
				names = append(names, *r.Name+" "+string(r.State))
			}
			return names
		})(c.ListRules(ctx, &eventbridge.ListRulesInput{NamePrefix: prefix}))
	}
	targets := func(step, rule string, list ...types.Target) {
		see(s, step, func(o *eventbridge.PutTargetsOutput) any { return o.FailedEntryCount })(
			c.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &rule, Targets: list}))
	}
	has := func(step, rule string) {
		see(s, step, func(o *eventbridge.ListTargetsByRuleOutput) any {
			ids := []string{}
			for _, t := range o.Targets {
				ids = append(ids, *t.Id+" "+s.name(*t.Arn))
			}
			slices.Sort(ids)
			return ids
		})(c.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: &rule}))
	}
	list("no rules", nil)
	put("a rule", "guard-config", pattern, func(in *eventbridge.PutRuleInput) { in.Description = aws.String("told") })
	see(s, "what it is", func(o *eventbridge.DescribeRuleOutput) any {
		return []any{o.Name, o.State, o.EventPattern, o.Description, o.EventBusName}
	})(c.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: aws.String("guard-config")}))
	put("a second one", "other", `{"source":["x"]}`, func(in *eventbridge.PutRuleInput) { in.State = types.RuleStateDisabled })
	list("both", nil)
	list("by prefix", aws.String("guard"))
	s.did("disable the first")(c.DisableRule(ctx, &eventbridge.DisableRuleInput{Name: aws.String("guard-config")}))
	list("it is disabled", aws.String("guard"))
	s.did("enable it")(c.EnableRule(ctx, &eventbridge.EnableRuleInput{Name: aws.String("guard-config")}))
	list("it is enabled", aws.String("guard"))
	s.did("a rule that does not exist")(c.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: aws.String("none")}))
	s.did("disable what does not exist")(c.DisableRule(ctx, &eventbridge.DisableRuleInput{Name: aws.String("none")}))
	s.did("enable what does not exist")(c.EnableRule(ctx, &eventbridge.EnableRuleInput{Name: aws.String("none")}))

	targets("two targets", "guard-config", queue(1), queue(2))
	has("they are there", "guard-config")
	see(s, "rules of a target", func(o *eventbridge.ListRuleNamesByTargetOutput) any { return o.RuleNames })(
		c.ListRuleNamesByTarget(ctx, &eventbridge.ListRuleNamesByTargetInput{TargetArn: queue(1).Arn}))
	targets("a target of no rule", "none", queue(1))
	s.did("targets of no rule")(c.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: aws.String("none")}))
	s.did("delete a rule that has targets")(c.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: aws.String("guard-config")}))
	see(s, "take one away", func(o *eventbridge.RemoveTargetsOutput) any { return o.FailedEntryCount })(
		c.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: aws.String("guard-config"), Ids: []string{"t1"}}))
	has("one is left", "guard-config")
	targets("a sixth target", "other", queue(1), queue(2), queue(3), queue(4), queue(5), queue(6))
	s.did("take the other away")(c.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: aws.String("guard-config"), Ids: []string{"t2"}}))
	s.did("delete the rule")(c.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: aws.String("guard-config")}))
	s.did("delete it again")(c.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: aws.String("guard-config")}))
	list("it is gone", aws.String("guard"))

	put("neither a pattern nor a schedule", "empty", "")
	put("a pattern that is no JSON", "bad", "garbage")
	put("a pattern with a value that is no list", "bad", `{"source":"aws.config"}`)
	put("a pattern with an operator that is none", "bad", `{"source":[{"sounds-like":"x"}]}`)
	put("a rule of a bus that does not exist", "bad", pattern, func(in *eventbridge.PutRuleInput) { in.EventBusName = aws.String("none") })

	see(s, "the default bus", func(o *eventbridge.DescribeEventBusOutput) any { return []any{o.Name, o.Arn} })(c.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{}))
	see(s, "another bus", func(o *eventbridge.CreateEventBusOutput) any { return o.EventBusArn })(c.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: aws.String("alerts")}))
	s.did("it is made twice")(c.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: aws.String("alerts")}))
	put("a rule of that bus", "central", pattern, func(in *eventbridge.PutRuleInput) { in.EventBusName = aws.String("alerts") })
	policy := `{"Version":"2012-10-17","Statement":[{"Sid":"org","Effect":"Allow","Principal":"*","Action":"events:PutEvents","Resource":"arn:aws:events:eu-west-1:` + s.ids["shop"] +
		`:event-bus/alerts","Condition":{"StringEquals":{"aws:PrincipalOrgID":"` + s.ids["organization"] + `"}}}]}`
	s.did("its policy")(c.PutPermission(ctx, &eventbridge.PutPermissionInput{EventBusName: aws.String("alerts"), Policy: &policy}))
	see(s, "the policy is there", func(o *eventbridge.DescribeEventBusOutput) any { return document(o.Policy) })(
		c.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: aws.String("alerts")}))
	s.did("a bus that does not exist")(c.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: aws.String("none")}))
	s.did("delete a bus that has rules")(c.DeleteEventBus(ctx, &eventbridge.DeleteEventBusInput{Name: aws.String("alerts")}))
	s.did("delete the default bus")(c.DeleteEventBus(ctx, &eventbridge.DeleteEventBusInput{Name: aws.String("default")}))
}

// document is a JSON document as plain data, so that its spelling does not matter.
func document(doc *string) any {
	var v any
	if doc == nil || json.Unmarshal([]byte(*doc), &v) != nil {
		return doc
	}
	return v
}

// bus is the default bus of an account × Region with queues behind its rules.
type bus struct {
	*script
	events  *eventbridge.Client
	queues  *sqs.Client
	account string
}

func newBus(s *script) bus {
	cfg := s.in("shop", "eu-west-1")
	return bus{s, eventbridge.NewFromConfig(cfg), sqs.NewFromConfig(cfg), s.ids["shop"]}
}

// rule makes a rule with a queue of its name behind it.
func (b bus) rule(ctx context.Context, name, pattern string, change func(*types.Target)) *string {
	url := b.queue(ctx, name)
	must(b.events.PutRule(ctx, &eventbridge.PutRuleInput{Name: &name, EventPattern: &pattern}))(b.t)
	target := types.Target{Id: aws.String("queue"), Arn: aws.String("arn:aws:sqs:eu-west-1:" + b.account + ":" + name)}
	change(&target)
	must(b.events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &name, Targets: []types.Target{target}}))(b.t)
	return url
}

// queue makes a queue that admits EventBridge.
func (b bus) queue(ctx context.Context, name string) *string {
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}`
	return must(b.queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"Policy": policy}}))(b.t).QueueUrl
}

func (b bus) send(ctx context.Context, source, detailType, detail string) (*eventbridge.PutEventsOutput, error) {
	return b.events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		Source: &source, DetailType: optional(detailType), Detail: &detail,
	}}})
}

// received is what lies in a queue, sorted.
func (b bus) received(ctx context.Context, url *string) []string {
	bodies := []string{}
	for {
		out := must(b.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10}))(b.t)
		if len(out.Messages) == 0 {
			slices.Sort(bodies)
			return bodies
		}
		for _, m := range out.Messages {
			bodies = append(bodies, *m.Body)
		}
	}
}

// Which events reach a rule, by pattern.
func eventPatterns(ctx context.Context, s *script) {
	b := newBus(s)
	events := []struct{ id, source, kind, detail string }{
		{"stop", "guard.config", "Call", `{"eventName":"StopConfigurationRecorder","count":1,"who":{"type":"Root","ip":"10.0.0.7"}}`},
		{"delete", "guard.config", "Call", `{"eventName":"DeleteDeliveryChannel","count":5,"readOnly":false}`},
		{"evaluate", "guard.config", "Call", `{"eventName":"PutEvaluations","count":5.0,"errorCode":null}`},
		{"other", "guard.other", "Call", `{"eventName":"Stop","who":{"type":"IAMUser","ip":"192.0.2.9"},"tags":["red","blue"]}`},
		{"sign-in", "guard.signin", "Sign-in", `{"eventName":"ConsoleLogin","who":{"type":"Root"},"errorCode":"AccessDenied"}`},
	}
	patterns := []struct{ name, pattern string }{
		{"exact", `{"source":["guard.config"],"detail":{"eventName":["StopConfigurationRecorder","DeleteDeliveryChannel"]}}`},
		{"source-prefix", `{"source":[{"prefix":"guard.c"}]}`},
		{"anything-but", `{"source":["guard.config"],"detail":{"eventName":[{"anything-but":"PutEvaluations"}]}}`},
		{"anything-but-list", `{"detail":{"eventName":[{"anything-but":["PutEvaluations","Stop"]}]}}`},
		{"anything-but-prefix", `{"detail":{"eventName":[{"anything-but":{"prefix":"Stop"}}]}}`},
		{"prefix", `{"detail":{"eventName":[{"prefix":"Stop"}]}}`},
		{"suffix", `{"detail":{"eventName":[{"suffix":"Channel"}]}}`},
		{"wildcard", `{"detail":{"eventName":[{"wildcard":"*Recorder"}]}}`},
		{"ignore-case", `{"detail":{"eventName":[{"equals-ignore-case":"consolelogin"}]}}`},
		{"exists", `{"detail":{"errorCode":[{"exists":true}]}}`},
		{"exists-not", `{"detail":{"errorCode":[{"exists":false}]}}`},
		{"null", `{"detail":{"errorCode":[null]}}`},
		{"boolean", `{"detail":{"readOnly":[false]}}`},
		{"number", `{"detail":{"count":[5]}}`},
		{"numeric", `{"detail":{"count":[{"numeric":[">",0,"<",5]}]}}`},
		{"cidr", `{"detail":{"who":{"ip":[{"cidr":"10.0.0.0/24"}]}}}`},
		{"nested", `{"detail-type":["Sign-in"],"detail":{"who":{"type":["Root"]}}}`},
		{"in-a-list", `{"detail":{"tags":["blue","green"]}}`},
		{"or", `{"$or":[{"source":["guard.signin"]},{"detail":{"count":[1]}}]}`},
		{"account", `{"account":["` + b.account + `"],"region":["eu-west-1"],"source":["guard.signin"]}`},
	}
	urls := map[string]*string{}
	for _, p := range patterns {
		// Every message is the event's name, so that one can see who came.
		urls[p.name] = b.rule(ctx, p.name, p.pattern, func(t *types.Target) {
			t.InputTransformer = &types.InputTransformer{InputPathsMap: map[string]string{"name": "$.detail.eventName"}, InputTemplate: aws.String(`"<name>"`)}
		})
	}
	for _, e := range events {
		see(s, "send "+e.id, func(o *eventbridge.PutEventsOutput) any { return o.FailedEntryCount })(b.send(ctx, e.source, e.kind, e.detail))
	}
	for _, p := range patterns {
		s.note(p.name, b.received(ctx, urls[p.name]), nil)
	}
}

// What a rule's target gets of an event.
func eventInputs(ctx context.Context, s *script) {
	b := newBus(s)
	const detail = `{"eventName":"StopConfigurationRecorder","count":2,"who":{"arn":"arn:aws:iam::1:user/eve","mfa":false},"list":["a","b"]}`
	paths := map[string]string{"event": "$.detail.eventName", "who": "$.detail.who.arn", "region": "$.region", "count": "$.detail.count", "lost": "$.detail.nothing", "object": "$.detail.who"}
	transform := func(template string) func(*types.Target) {
		return func(t *types.Target) {
			t.InputTransformer = &types.InputTransformer{InputPathsMap: paths, InputTemplate: &template}
		}
	}
	inputs := []struct {
		name   string
		change func(*types.Target)
	}{
		{"words", transform(`"AWS Config: <event> in <region> by <who>"`)},
		{"document", transform(`{"event":"<event>","where":"<region>"}`)},
		{"document-unquoted", transform(`{"event":<event>,"count":<count>}`)},
		{"number-in-words", transform(`"<count> times"`)},
		{"lines", transform("\"first <event>\"\n\"second <region>\"")},
		{"nothing-there", transform(`"lost: <lost>."`)},
		{"object", transform(`{"who":<object>}`)},
		{"rule-name", transform(`"by rule <aws.events.rule-name>"`)},
		{"constant", func(t *types.Target) { t.Input = aws.String(`{"always":"the same"}`) }},
		{"part", func(t *types.Target) { t.InputPath = aws.String("$.detail.who") }},
	}
	for _, in := range inputs {
		url := b.rule(ctx, in.name, `{"source":["guard.`+in.name+`"]}`, in.change)
		_, err := b.send(ctx, "guard."+in.name, "Call", detail)
		got := []any{}
		for _, body := range b.received(ctx, url) {
			v := document(&body)
			if m, ok := v.(map[string]any); ok && m["detail-type"] != nil {
				v = "the whole event" // with an id and a time
			}
			got = append(got, v)
		}
		s.note(in.name, got, err)
	}

	url := b.rule(ctx, "envelope", `{"source":["guard.envelope"]}`, func(*types.Target) {})
	_, err := b.send(ctx, "guard.envelope", "Call", detail)
	var got map[string]any
	if bodies := b.received(ctx, url); len(bodies) == 1 {
		if err := json.Unmarshal([]byte(bodies[0]), &got); err != nil {
			s.t.Fatal(err)
		}
	}
	keys := []string{}
	for k := range got {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	s.note("keys of the whole event", strings.Join(keys, " "), err)
	s.note("the whole event", []any{got["version"], got["source"], got["detail-type"], got["region"], got["detail"]}, err)
	s.note("where the whole event is from", got["account"], nil)

	url = b.rule(ctx, "off", `{"source":["guard.off"]}`, func(*types.Target) {})
	must(b.events.DisableRule(ctx, &eventbridge.DisableRuleInput{Name: aws.String("off")}))(s.t)
	must(b.send(ctx, "guard.off", "Call", "{}"))(s.t)
	s.note("a rule that is disabled", len(b.received(ctx, url)), nil)

	failed := func(o *eventbridge.PutEventsOutput) any { return []any{o.FailedEntryCount, o.Entries[0].ErrorCode} }
	see(s, "an event in the name of AWS", failed)(b.send(ctx, "aws.config", "Call", "{}"))
	see(s, "an event without a type", failed)(b.send(ctx, "guard.x", "", "{}"))
	see(s, "a detail that is no JSON", failed)(b.send(ctx, "guard.x", "Call", "garbage"))
	event := `{"id":"1","source":"guard.x","detail-type":"Call","account":"` + b.account + `","region":"eu-west-1","time":"2026-11-22T00:00:00Z","resources":[],"detail":{}}`
	see(s, "test a pattern", func(o *eventbridge.TestEventPatternOutput) any { return o.Result })(
		b.events.TestEventPattern(ctx, &eventbridge.TestEventPatternInput{Event: &event, EventPattern: aws.String(`{"source":["guard.x"]}`)}))
}

// An event goes from a member's rule to the bus of another account, and from a rule
// there to a queue.
func eventForwarding(ctx context.Context, s *script) {
	central, member := s.in("security", "eu-west-1"), s.in("shop", "eu-west-1")
	arn := "arn:aws:events:eu-west-1:" + s.ids["security"] + ":event-bus/alerts"
	there := bus{s, eventbridge.NewFromConfig(central), sqs.NewFromConfig(central), s.ids["security"]}
	must(there.events.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: aws.String("alerts")}))(s.t)
	policy := `{"Version":"2012-10-17","Statement":[{"Sid":"org","Effect":"Allow","Principal":"*","Action":"events:PutEvents","Resource":"` + arn +
		`","Condition":{"StringEquals":{"aws:PrincipalOrgID":"` + s.ids["organization"] + `"}}}]}`
	must(there.events.PutPermission(ctx, &eventbridge.PutPermissionInput{EventBusName: aws.String("alerts"), Policy: &policy}))(s.t)
	url := there.queue(ctx, "inbox")
	must(there.events.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("central"), EventBusName: aws.String("alerts"), EventPattern: aws.String(`{"source":["guard.config"]}`)}))(s.t)
	must(there.events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("central"), EventBusName: aws.String("alerts"), Targets: []types.Target{{
		Id: aws.String("queue"), Arn: aws.String("arn:aws:sqs:eu-west-1:" + there.account + ":inbox"),
	}}}))(s.t)

	roles := iam.NewFromConfig(member)
	role := must(roles.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("forward"), AssumeRolePolicyDocument: aws.String(trusting("events.amazonaws.com"))}))(s.t).Role.Arn
	must(roles.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String("forward"), PolicyName: aws.String("forward"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"events:PutEvents","Resource":"` + arn + `"}]}`)}))(s.t)
	here := bus{s, eventbridge.NewFromConfig(member), sqs.NewFromConfig(member), s.ids["shop"]}
	must(here.events.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("forward"), EventPattern: aws.String(`{"source":["guard.config"],"detail":{"eventName":[{"prefix":"Stop"}]}}`)}))(s.t)
	see(s, "a bus of another account as the target", func(o *eventbridge.PutTargetsOutput) any { return o.FailedEntryCount })(
		here.events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("forward"), Targets: []types.Target{{Id: aws.String("bus"), Arn: &arn, RoleArn: role}}}))

	for _, name := range []string{"StopConfigurationRecorder", "PutEvaluations"} {
		must(here.send(ctx, "guard.config", "Call", `{"eventName":"`+name+`"}`))(s.t)
	}
	var events []map[string]any
	for _, body := range there.received(ctx, url) {
		var e map[string]any
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			s.t.Fatal(err)
		}
		events = append(events, e)
	}
	s.note("how many events arrive", len(events), nil)
	if len(events) == 1 {
		s.note("what arrives", []any{events[0]["source"], events[0]["detail-type"], events[0]["region"], events[0]["detail"]}, nil)
		s.note("the account it names", events[0]["account"], nil)
	}
}
