package baseline

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/orgguard/orgguard/orgs"
)

// ruleState is an EventBridge rule with its targets.
type ruleState struct {
	State   string
	Pattern string
	Targets []ruleTarget // by id
}

// ruleTarget is a target as far as templates of orgguard use targets.
type ruleTarget struct {
	ID         string            `json:"id"`
	ARN        string            `json:"arn"`
	Role       string            `json:"role,omitempty"`
	DeadLetter string            `json:"dead_letter,omitempty"`
	Paths      map[string]string `json:"input_paths,omitempty"`
	Template   string            `json:"input_template,omitempty"`
}

func (t ruleTarget) equal(u ruleTarget) bool {
	return t.ID == u.ID && t.ARN == u.ARN && t.Role == u.Role && t.DeadLetter == u.DeadLetter && t.Template == u.Template && maps.Equal(t.Paths, u.Paths)
}

// Rules have no attributes: they depend on the bus ("bus|rule"), and no template
// refers to one.
var ruleKind = kind{
	noun:     "rule",
	nameProp: "Name",
	observe:  observeRule,
	compare:  compareRule,
	item:     &itemReader{property: "configuration.Name", read: readRuleItem},
	repair:   repairRule,
}

// bus returns the rule's bus; nil for the default bus.
func (r Resource) bus() *string {
	if b := r.str("EventBusName"); b != "" {
		return aws.String(b)
	}
	return nil
}

// rule is what EventBridge says of a rule without its targets.
type rule struct{ state, pattern string }

// listing lists the rules of a cell's default bus once for all that the cell wants
// there; nil when it wants one at most, which is one call as well.
func (c cell) listing(ctx context.Context, s site) func() orgs.Outcome[map[string]rule] {
	wanted := 0
	for _, p := range c.parts {
		if p.Type == "AWS::Events::Rule" && p.bus() == nil {
			wanted++
		}
	}
	if wanted < 2 {
		return nil
	}
	return shared(func() orgs.Outcome[map[string]rule] {
		rules, err := s.listRules(ctx)
		return orgs.Outcome[map[string]rule]{Value: rules, Err: err}
	})
}

// listRules lists orgguard's rules of the default bus.
func (s site) listRules(ctx context.Context) (map[string]rule, error) {
	out := map[string]rule{}
	in := &eventbridge.ListRulesInput{NamePrefix: aws.String(ownName)}
	for {
		page, err := s.Events.ListRules(ctx, in, s.at.Events)
		if err != nil {
			return nil, fmt.Errorf("list rules: %w", err)
		}
		for _, r := range page.Rules {
			out[aws.ToString(r.Name)] = rule{string(r.State), aws.ToString(r.EventPattern)}
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return out, nil
		}
	}
}

// rule asks for one rule; nil when there is none.
func (s site) rule(ctx context.Context, name string, bus *string) (*rule, error) {
	if s.rules != nil && bus == nil && strings.HasPrefix(name, ownName) {
		all := s.rules()
		if found, ok := all.Value[name]; ok {
			return &found, nil
		}
		return nil, all.Err
	}
	out, err := s.Events.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: aws.String(name), EventBusName: bus}, s.at.Events)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("describe rule %s: %w", name, err)
	}
	return &rule{string(out.State), aws.ToString(out.EventPattern)}, nil
}

func observeRule(ctx context.Context, s site, r Resource) (any, error) {
	name := r.str("Name")
	found, err := s.rule(ctx, name, r.bus())
	if found == nil || err != nil {
		return nil, err
	}
	st := ruleState{State: found.state, Pattern: found.pattern}
	in := &eventbridge.ListTargetsByRuleInput{Rule: aws.String(name), EventBusName: r.bus()}
	for {
		page, err := s.Events.ListTargetsByRule(ctx, in, s.at.Events)
		if err != nil {
			return nil, fmt.Errorf("list targets of rule %s: %w", name, err)
		}
		for _, t := range page.Targets {
			st.Targets = append(st.Targets, targetOf(t))
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			break
		}
	}
	sortTargets(st.Targets)
	return st, nil
}

// ruleItem is an item of AWS Config of a rule, which has the form of CloudFormation's
// resource type.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-rule.html
type ruleItem struct {
	Name, EventBusName, State string
	EventPattern              json.RawMessage
	Targets                   []types.Target
}

func readRuleItem(configuration string) (string, func(Resource) any) {
	var item ruleItem
	if err := json.Unmarshal([]byte(configuration), &item); err != nil || item.EventBusName != "" && item.EventBusName != "default" && !strings.HasSuffix(item.EventBusName, ":event-bus/default") {
		return "", nil
	}
	st := ruleState{State: item.State, Pattern: string(item.EventPattern)}
	var text string // a pattern that is kept as text
	if json.Unmarshal(item.EventPattern, &text) == nil {
		st.Pattern = text
	}
	for _, t := range item.Targets {
		st.Targets = append(st.Targets, targetOf(t))
	}
	sortTargets(st.Targets)
	return item.Name, func(Resource) any { return st }
}

// sortTargets puts targets in the order of their ids.
func sortTargets(targets []ruleTarget) {
	slices.SortFunc(targets, func(a, b ruleTarget) int { return strings.Compare(a.ID, b.ID) })
}

func targetOf(t types.Target) ruleTarget {
	out := ruleTarget{ID: aws.ToString(t.Id), ARN: aws.ToString(t.Arn), Role: aws.ToString(t.RoleArn)}
	if t.DeadLetterConfig != nil {
		out.DeadLetter = aws.ToString(t.DeadLetterConfig.Arn)
	}
	if t.InputTransformer != nil {
		out.Paths, out.Template = t.InputTransformer.InputPathsMap, aws.ToString(t.InputTransformer.InputTemplate)
	}
	return out
}

// wantTargets are the targets of the template's rule.
func (r Resource) wantTargets() []ruleTarget {
	var out []ruleTarget
	for _, v := range r.list("Targets") {
		t := Resource{Props: v.(map[string]any)}
		want := ruleTarget{ID: t.str("Id"), ARN: t.str("Arn"), Role: t.str("RoleArn")}
		if d := t.object("DeadLetterConfig"); d != nil {
			want.DeadLetter = fmt.Sprint(d["Arn"])
		}
		if x := t.object("InputTransformer"); x != nil {
			want.Template = fmt.Sprint(x["InputTemplate"])
			want.Paths = map[string]string{}
			for k, p := range x["InputPathsMap"].(map[string]any) {
				want.Paths[k] = fmt.Sprint(p)
			}
		}
		out = append(out, want)
	}
	sortTargets(out)
	return out
}

func compareRule(r Resource, state any) []Mismatch {
	st := state.(ruleState)
	var out []Mismatch
	if want := r.str("State"); want != st.State {
		out = append(out, Mismatch{
			Reason: "the rule is disabled", Verb: "enable",
			Expected: map[string]any{"state": want}, Actual: map[string]any{"state": st.State},
		})
	}
	if !sameJSON(r.Props["EventPattern"], st.Pattern) {
		out = append(out, Mismatch{Reason: "the event pattern differs", Expected: r.Props["EventPattern"], Actual: fromJSON(st.Pattern)})
	}
	want := r.wantTargets()
	for _, w := range want {
		i := slices.IndexFunc(st.Targets, func(t ruleTarget) bool { return t.ID == w.ID })
		switch {
		case i < 0:
			out = append(out, Mismatch{Reason: "the rule has no target: nobody is told", Expected: w, Actual: st.Targets})
		case !w.equal(st.Targets[i]):
			out = append(out, Mismatch{Reason: "the rule's target differs", Expected: w, Actual: st.Targets[i]})
		}
	}
	for _, t := range st.Targets {
		if !slices.ContainsFunc(want, func(w ruleTarget) bool { return w.ID == t.ID }) {
			out = append(out, Mismatch{Reason: "the rule has a target that orgguard did not give it", Expected: nil, Actual: t,
				Manual: "remove the target, or move it to a rule of its own: orgguard does not delete what it did not make"})
		}
	}
	return out
}

func repairRule(ctx context.Context, s site, r Resource, _ any) error {
	name := aws.String(r.str("Name"))
	if _, err := s.Events.PutRule(ctx, &eventbridge.PutRuleInput{
		Name: name, EventBusName: r.bus(), Description: aws.String(r.str("Description")),
		EventPattern: aws.String(compact(r.Props["EventPattern"])), State: types.RuleState(r.str("State")),
	}, s.at.Events); err != nil {
		return fmt.Errorf("put rule %s: %w", *name, err)
	}
	in := &eventbridge.PutTargetsInput{Rule: name, EventBusName: r.bus()}
	for _, w := range r.wantTargets() {
		t := types.Target{Id: aws.String(w.ID), Arn: aws.String(w.ARN)}
		if w.Role != "" {
			t.RoleArn = aws.String(w.Role)
		}
		if w.DeadLetter != "" {
			t.DeadLetterConfig = &types.DeadLetterConfig{Arn: aws.String(w.DeadLetter)}
		}
		if w.Template != "" {
			t.InputTransformer = &types.InputTransformer{InputPathsMap: w.Paths, InputTemplate: aws.String(w.Template)}
		}
		in.Targets = append(in.Targets, t)
	}
	out, err := s.Events.PutTargets(ctx, in, s.at.Events)
	if err != nil {
		return fmt.Errorf("put targets of rule %s: %w", *name, err)
	}
	for _, f := range out.FailedEntries { // PutTargets succeeds as a call when targets fail
		return fmt.Errorf("put target %s of rule %s: %s: %s", aws.ToString(f.TargetId), *name, aws.ToString(f.ErrorCode), aws.ToString(f.ErrorMessage))
	}
	return nil
}
