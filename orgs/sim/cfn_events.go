package sim

import (
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

var cfnEventRule = resourceType{
	name: "Name", nameLength: 64,
	properties: []string{"Description", "EventBusName", "EventPattern", "RoleArn", "ScheduleExpression", "State", "Targets"},
	replace:    []string{"Name", "EventBusName"},
	attrs:      []string{"Arn"},
	tagged:     true,
	create:     createEventRule,
	update:     updateEventRule,
	delete:     deleteEventRule,
	read:       readEventRule,
}

// ruleID splits a rule's physical id: its name, or bus|name on another bus
// than the default one.
func ruleID(physical string) (bus *string, name string) {
	if b, n, ok := strings.Cut(physical, "|"); ok {
		return &b, n
	}
	return nil, physical
}

func createEventRule(p *provision) error {
	name := p.generateName()
	bus := p.props.opt("EventBusName")
	if p.named() {
		_, err := perform[eventbridge.DescribeRuleOutput](p, "EventBridge", "DescribeRule", &eventbridge.DescribeRuleInput{Name: &name, EventBusName: bus})
		if err == nil {
			return p.alreadyExists(name)
		}
		if !hasCode(err, "ResourceNotFoundException") {
			return err
		}
	}
	physical := name
	if bus != nil && (*bus)[strings.LastIndex(*bus, "/")+1:] != "default" {
		physical = *bus + "|" + name
	}
	if err := putEventRule(p, physical, true); err != nil {
		return err
	}
	p.res.Physical = physical
	return putEventTargets(p)
}

func putEventRule(p *provision, physical string, fresh bool) error {
	bus, name := ruleID(physical)
	in := &eventbridge.PutRuleInput{
		Name: &name, EventBusName: bus,
		Description:        p.props.opt("Description"),
		RoleArn:            p.props.opt("RoleArn"),
		ScheduleExpression: p.props.opt("ScheduleExpression"),
		State:              types.RuleState(p.props.text("State")),
	}
	if p.props.has("EventPattern") {
		in.EventPattern = aws.String(p.props.document("EventPattern"))
	}
	if fresh {
		in.Tags = eventTags(p.tags())
	}
	out, err := perform[eventbridge.PutRuleOutput](p, "EventBridge", "PutRule", in)
	if err != nil {
		return err
	}
	p.set("Arn", aws.ToString(out.RuleArn))
	return nil
}

func eventTags(tags map[string]string) []types.Tag {
	return tagsOf(tags, func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} })
}

// putEventTargets makes the rule's targets those of the template.
func putEventTargets(p *provision) error {
	bus, name := ruleID(p.res.Physical)
	var targets []types.Target
	if err := bind(p.props["Targets"], &targets); err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, t := range targets {
		keep[aws.ToString(t.Id)] = true
	}
	var gone []string
	for _, t := range p.old.list("Targets") {
		if id := asProps(t).text("Id"); !keep[id] {
			gone = append(gone, id)
		}
	}
	if len(gone) > 0 {
		err := try(p, "EventBridge", "RemoveTargets", &eventbridge.RemoveTargetsInput{Rule: &name, EventBusName: bus, Ids: gone})
		if ignore(err, "ResourceNotFoundException") != nil {
			return err
		}
	}
	if len(targets) == 0 {
		return nil
	}
	out, err := perform[eventbridge.PutTargetsOutput](p, "EventBridge", "PutTargets", &eventbridge.PutTargetsInput{Rule: &name, EventBusName: bus, Targets: targets})
	if err != nil {
		return err
	}
	for _, f := range out.FailedEntries {
		return &resourceCallError{service: "EventBridge", err: apiError(aws.ToString(f.ErrorCode), "%s", aws.ToString(f.ErrorMessage))}
	}
	return nil
}

func updateEventRule(p *provision) error {
	if err := putEventRule(p, p.res.Physical, false); err != nil {
		return err
	}
	if err := putEventTargets(p); err != nil {
		return err
	}
	return tagEvents(p, p.res.Attrs["Arn"])
}

func tagEvents(p *provision, arn string) error {
	if gone := p.goneTags(); len(gone) > 0 {
		if err := try(p, "EventBridge", "UntagResource", &eventbridge.UntagResourceInput{ResourceARN: &arn, TagKeys: gone}); err != nil {
			return err
		}
	}
	return try(p, "EventBridge", "TagResource", &eventbridge.TagResourceInput{ResourceARN: &arn, Tags: eventTags(p.tags())})
}

func deleteEventRule(p *provision) error {
	bus, name := ruleID(p.res.Physical)
	out, err := perform[eventbridge.ListTargetsByRuleOutput](p, "EventBridge", "ListTargetsByRule", &eventbridge.ListTargetsByRuleInput{Rule: &name, EventBusName: bus})
	if err != nil {
		return ignore(err, "ResourceNotFoundException")
	}
	var ids []string
	for _, t := range out.Targets {
		ids = append(ids, aws.ToString(t.Id))
	}
	if len(ids) > 0 {
		if err := try(p, "EventBridge", "RemoveTargets", &eventbridge.RemoveTargetsInput{Rule: &name, EventBusName: bus, Ids: ids}); err != nil {
			return ignore(err, "ResourceNotFoundException")
		}
	}
	err = try(p, "EventBridge", "DeleteRule", &eventbridge.DeleteRuleInput{Name: &name, EventBusName: bus})
	return ignore(err, "ResourceNotFoundException")
}

func readEventRule(p *provision) (map[string]any, error) {
	bus, name := ruleID(p.res.Physical)
	rule, err := perform[eventbridge.DescribeRuleOutput](p, "EventBridge", "DescribeRule", &eventbridge.DescribeRuleInput{Name: &name, EventBusName: bus})
	if err != nil {
		return nil, err
	}
	targets, err := perform[eventbridge.ListTargetsByRuleOutput](p, "EventBridge", "ListTargetsByRule", &eventbridge.ListTargetsByRuleInput{Rule: &name, EventBusName: bus})
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"Description": aws.ToString(rule.Description), "EventPattern": aws.ToString(rule.EventPattern),
		"RoleArn": aws.ToString(rule.RoleArn), "ScheduleExpression": aws.ToString(rule.ScheduleExpression),
		"State": string(rule.State), "Targets": plain(targets.Targets),
	}, nil
}

var cfnEventBus = resourceType{
	required:   []string{"Name"},
	properties: []string{"DeadLetterConfig", "Description", "EventSourceName", "KmsKeyIdentifier", "LogConfig", "Policy"},
	replace:    []string{"Name", "EventSourceName"},
	attrs:      []string{"Arn", "Name", "Policy"},
	tagged:     true,
	create:     createCFNEventBus,
	update:     updateCFNEventBus,
	delete: func(p *provision) error {
		return try(p, "EventBridge", "DeleteEventBus", &eventbridge.DeleteEventBusInput{Name: &p.res.Physical})
	},
	read: func(p *provision) (map[string]any, error) {
		out, err := perform[eventbridge.DescribeEventBusOutput](p, "EventBridge", "DescribeEventBus", &eventbridge.DescribeEventBusInput{Name: &p.res.Physical})
		if err != nil {
			return nil, err
		}
		return map[string]any{"Description": aws.ToString(out.Description), "KmsKeyIdentifier": aws.ToString(out.KmsKeyIdentifier), "Policy": aws.ToString(out.Policy)}, nil
	},
}

func createCFNEventBus(p *provision) error {
	in := &eventbridge.CreateEventBusInput{
		Name: p.props.opt("Name"), Description: p.props.opt("Description"), KmsKeyIdentifier: p.props.opt("KmsKeyIdentifier"),
		EventSourceName: p.props.opt("EventSourceName"), Tags: eventTags(p.tags()),
	}
	if err := bind(p.props["DeadLetterConfig"], &in.DeadLetterConfig); err != nil {
		return err
	}
	out, err := perform[eventbridge.CreateEventBusOutput](p, "EventBridge", "CreateEventBus", in)
	if err != nil {
		return err
	}
	p.res.Physical = p.props.text("Name")
	p.set("Arn", aws.ToString(out.EventBusArn))
	p.set("Name", p.res.Physical)
	return putBusPolicy(p)
}

func putBusPolicy(p *provision) error {
	p.set("Policy", p.props.document("Policy"))
	if !p.props.has("Policy") {
		return nil
	}
	return try(p, "EventBridge", "PutPermission", &eventbridge.PutPermissionInput{EventBusName: &p.res.Physical, Policy: aws.String(p.props.document("Policy"))})
}

func updateCFNEventBus(p *provision) error {
	in := &eventbridge.UpdateEventBusInput{Name: &p.res.Physical, Description: p.props.opt("Description"), KmsKeyIdentifier: p.props.opt("KmsKeyIdentifier")}
	if err := bind(p.props["DeadLetterConfig"], &in.DeadLetterConfig); err != nil {
		return err
	}
	if err := try(p, "EventBridge", "UpdateEventBus", in); err != nil {
		return err
	}
	if !p.props.has("Policy") && p.old.has("Policy") {
		if err := try(p, "EventBridge", "RemovePermission", &eventbridge.RemovePermissionInput{EventBusName: &p.res.Physical, RemoveAllPermissions: true}); err != nil {
			return err
		}
	}
	if err := putBusPolicy(p); err != nil {
		return err
	}
	return tagEvents(p, p.res.Attrs["Arn"])
}

// cfnEventBusPolicy is one statement of a bus's policy. With Statement it
// replaces the statement of that Sid and leaves the others alone.
var cfnEventBusPolicy = resourceType{
	required:   []string{"StatementId"},
	properties: []string{"Action", "Condition", "EventBusName", "Principal", "Statement"},
	replace:    []string{"EventBusName", "StatementId"},
	create: func(p *provision) error {
		if err := putBusStatement(p); err != nil {
			return err
		}
		p.res.Physical = p.bus() + "|" + p.props.text("StatementId")
		return nil
	},
	update: putBusStatement,
	delete: func(p *provision) error {
		bus, id := ruleID(p.res.Physical)
		err := try(p, "EventBridge", "RemovePermission", &eventbridge.RemovePermissionInput{EventBusName: bus, StatementId: &id})
		return ignore(err, "ResourceNotFoundException")
	},
	read: readBusStatement,
}

func (p *provision) bus() string {
	if b := p.props.text("EventBusName"); b != "" {
		return b
	}
	return "default"
}

func putBusStatement(p *provision) error {
	bus, id := p.bus(), p.props.text("StatementId")
	if !p.props.has("Statement") {
		in := &eventbridge.PutPermissionInput{EventBusName: &bus, StatementId: &id, Action: p.props.opt("Action"), Principal: p.props.opt("Principal")}
		if err := bind(p.props["Condition"], &in.Condition); err != nil {
			return err
		}
		return try(p, "EventBridge", "PutPermission", in)
	}
	statements, err := busStatements(p, bus)
	if err != nil {
		return err
	}
	statement := map[string]any{"Sid": id}
	for k, v := range p.props.obj("Statement") {
		statement[k] = v
	}
	kept := []any{}
	for _, s := range statements {
		if asProps(s).text("Sid") != id {
			kept = append(kept, s)
		}
	}
	policy := jsonText(map[string]any{"Version": "2012-10-17", "Statement": append(kept, statement)})
	return try(p, "EventBridge", "PutPermission", &eventbridge.PutPermissionInput{EventBusName: &bus, Policy: &policy})
}

// busStatements is the statements a bus's policy has now.
func busStatements(p *provision, bus string) ([]any, error) {
	out, err := perform[eventbridge.DescribeEventBusOutput](p, "EventBridge", "DescribeEventBus", &eventbridge.DescribeEventBusInput{Name: &bus})
	if err != nil || aws.ToString(out.Policy) == "" {
		return nil, err
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(*out.Policy), &doc); err != nil {
		return nil, err
	}
	return asProps(doc).list("Statement"), nil
}

func readBusStatement(p *provision) (map[string]any, error) {
	bus, id := ruleID(p.res.Physical)
	statements, err := busStatements(p, aws.ToString(bus))
	if err != nil {
		return nil, err
	}
	for _, s := range statements {
		if m := asProps(s); m.text("Sid") == id {
			return map[string]any{"Statement": map[string]any(m), "Action": m["Action"]}, nil
		}
	}
	return nil, apiError("ResourceNotFoundException", "Statement with the provided id does not exist.")
}
