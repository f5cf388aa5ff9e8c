package sim

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/orgguard/orgguard/orgs/eventpattern"
)

const eventsService = "events.amazonaws.com"

// maxHops ends a loop of rules that forward an event from bus to bus. AWS has
// no documented number; its users get a bill instead.
const maxHops = 8

// Error codes of failed deliveries, as messages in dead-letter queues show them.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
const (
	failNoPermission = "NO_PERMISSIONS"
	failNoResource   = "NO_RESOURCE"
	failThirdAccount = "THIRD_ACCOUNT_HOP_DETECTED"
	failInput        = "INVALID_PARAMETER"
	failService      = "SDK_CLIENT_ERROR"
)

// deliver is an event of an AWS service: it arrives at the default bus of the
// account and Region where it happened. w.mu is held.
func (w *World) deliver(account, region string, event map[string]any) {
	w.route(account, region, defaultName, event, journey{})
}

// journey is where an event has been before it came to a bus.
type journey struct {
	hops int
	// foreign: it came from the bus of another account, and may not be
	// forwarded to a third one.
	foreign bool
}

// route passes an event to the rules of a bus. Everything happens at once and
// is tried once: the retries of EventBridge are not modelled.
func (w *World) route(account, region, bus string, event map[string]any, j journey) {
	a := w.account(account)
	if a == nil || a.Regions[region] == nil || j.hops > maxHops {
		return // and make nothing: most accounts have most Regions empty
	}
	b := a.Regions[region].Events.Buses[bus]
	if b == nil {
		return
	}
	for _, name := range sortedNames(b.Rules) {
		r := b.Rules[name]
		if r == nil || !r.wants(event) {
			continue
		}
		for _, id := range sortedNames(r.Targets) {
			w.send(delivery{
				account: account, region: region, rule: r.Name, ruleARN: w.ruleARN(account, region, bus, r.Name),
				target: r.Targets[id], event: event, journey: j, now: w.now(),
			})
		}
	}
}

// wants says whether a rule sends an event to its targets. Read-only calls
// that CloudTrail records reach only rules that ask for all management events.
//
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
func (r *eventRule) wants(event map[string]any) bool {
	p := r.pattern()
	if r.State == types.RuleStateDisabled || p == nil || !p.MatchValue(event) {
		return false
	}
	detailType, _ := event["detail-type"].(string)
	if detail, ok := event["detail"].(map[string]any); ok && strings.HasSuffix(detailType, " via CloudTrail") && detail["readOnly"] == true {
		return r.State == types.RuleStateEnabledWithAllCloudtrailManagementEvents || strings.HasPrefix(detailType, "AWS Console Sign In")
	}
	return true
}

// delivery is one event on its way to one target.
type delivery struct {
	account, region string // of the rule
	rule, ruleARN   string
	target          types.Target
	event           map[string]any
	journey         journey
	now             time.Time
}

// send delivers to one target and puts what could not be delivered into the
// target's dead-letter queue.
func (w *World) send(d delivery) {
	code, why := w.try(d)
	if code == "" {
		return
	}
	if d.target.DeadLetterConfig == nil || aws.ToString(d.target.DeadLetterConfig.Arn) == "" {
		return
	}
	attributes := map[string]sqsAttribute{}
	for name, value := range map[string]string{
		"RULE_ARN": d.ruleARN, "TARGET_ARN": aws.ToString(d.target.Arn), "ERROR_CODE": code, "ERROR_MESSAGE": why,
	} {
		attributes[name] = sqsAttribute{Type: "String", Value: value}
	}
	attributes["RETRY_ATTEMPTS"] = sqsAttribute{Type: "Number", Value: "0"}
	w.sendAsService(eventsService, d.account, d.ruleARN, *d.target.DeadLetterConfig.Arn, string(eventpattern.Marshal(d.event)), attributes, d.now)
}

// try delivers to one target. It returns the error code and message of the
// failure; "" when there was none. Targets of kinds the world does not have accept
// everything.
func (w *World) try(d delivery) (code, why string) {
	arn := aws.ToString(d.target.Arn)
	service, region, account, resource, _ := arnParts(arn)
	if service == "events" {
		return w.forward(d, account, region, strings.TrimPrefix(resource, "event-bus/"))
	}
	payload, err := d.payload()
	if err != nil {
		return failInput, err.Error()
	}
	role := aws.ToString(d.target.RoleArn)
	switch {
	case service == "sns" && role == "":
		return w.publishAsService(eventsService, d.account, d.ruleARN, arn, payload, d.now), "EventBridge may not publish to " + arn
	case service == "sqs" && role == "":
		return w.sendAsService(eventsService, d.account, d.ruleARN, arn, payload, nil, d.now), "EventBridge may not send to " + arn
	case service == "sns":
		return w.asRole(d, region, "SNS", "Publish", &sns.PublishInput{TopicArn: &arn, Message: &payload})
	case service == "sqs":
		url := w.queueURL(account, region, resource)
		in := &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &payload}
		if p := d.target.SqsParameters; p != nil {
			in.MessageGroupId = p.MessageGroupId
		}
		return w.asRole(d, region, "SQS", "SendMessage", in)
	case service == "lambda":
		return w.invokeLater(d, arn, payload)
	case service == "states":
		return w.asRole(d, region, "SFN", "StartExecution", &sfn.StartExecutionInput{StateMachineArn: &arn, Input: &payload})
	}
	return "", ""
}

// payload is what the target gets: a constant, a part of the event, the event
// rewritten, or the event.
func (d delivery) payload() (string, error) {
	t := d.target
	switch {
	case t.Input != nil:
		return *t.Input, nil
	case t.InputPath != nil:
		return eventpattern.Select(*t.InputPath, d.event)
	case t.InputTransformer != nil:
		return eventpattern.Transform(t.InputTransformer.InputPathsMap, aws.ToString(t.InputTransformer.InputTemplate), d.event,
			eventpattern.Meta{RuleName: d.rule, RuleARN: d.ruleARN, Ingested: d.now})
	}
	return string(eventpattern.Marshal(d.event)), nil
}

// asTargetRole is a call by the target's role, which must trust EventBridge.
// SCPs apply to it, unlike to EventBridge itself.
func (w *World) asTargetRole(d delivery, region, service, op string) (c *call, why string) {
	role := aws.ToString(d.target.RoleArn)
	if why := w.assumable(role, eventsService, d.account, d.ruleARN, d.now); why != "" {
		return nil, why
	}
	return &call{
		ctx: context.Background(), w: w, service: service, op: op, caller: w.sessionOf(role, "EventBridge"), region: region, now: d.now,
	}, ""
}

// asRole makes a call as the target's role.
func (w *World) asRole(d delivery, region, service, op string, in any) (code, why string) {
	c, why := w.asTargetRole(d, region, service, op)
	if why != "" {
		return failNoPermission, why
	}
	if _, err := w.invoke(c, in); err != nil {
		code, message := errorParts(err)
		switch {
		case code == codesOf(service).denied:
			code = failNoPermission
		case strings.Contains(code, "NotFound"), strings.Contains(code, "DoesNotExist"), strings.Contains(code, "NonExistent"):
			code = failNoResource
		default:
			code = failService
		}
		return code, message
	}
	return "", ""
}

// forward sends an event to another bus. To another account or Region this
// takes a role that may put events there, and from another account also a bus
// policy that admits the role. An event from another account is not forwarded
// to a third one. The event keeps its own account, Region and time.
//
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html
func (w *World) forward(d delivery, account, region, bus string) (code, why string) {
	b := w.bus(account, region, bus)
	if b == nil {
		return failNoResource, "the event bus " + aws.ToString(d.target.Arn) + " does not exist"
	}
	foreign := account != d.account
	if foreign && d.journey.foreign {
		return failThirdAccount, "an event from another account cannot be sent to a third account"
	}
	if aws.ToString(d.target.RoleArn) != "" {
		c, why := w.asTargetRole(d, region, "EventBridge", "PutEvents")
		if why != "" {
			return failNoPermission, why
		}
		arn := w.busARN(account, region, bus)
		if err := w.authorize(c, "events:PutEvents", arn); err != nil {
			_, message := errorParts(err)
			return failNoPermission, message
		}
		if !c.admitted(b.Policy, account, "events:PutEvents", arn) {
			return failNoPermission, "the policy of the event bus does not admit " + c.caller.RoleARN
		}
	} else if foreign || region != d.region {
		return failNoPermission, "a target in another account or Region needs a role"
	}
	w.route(account, region, bus, d.event, journey{hops: d.journey.hops + 1, foreign: foreign || d.journey.foreign})
	return "", ""
}
