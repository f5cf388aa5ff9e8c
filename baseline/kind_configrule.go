package baseline

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
)

// configRuleState is an AWS Config rule.
type configRuleState struct {
	Owner      string   `json:"owner"`
	Identifier string   `json:"identifier"`
	Types      []string `json:"types,omitempty"` // of the resources it looks at
	Parameters any      `json:"parameters,omitempty"`
	State      string   `json:"-"`
}

var configRuleKind = kind{
	noun: "Config rule", nameProp: "ConfigRuleName",
	attributes: map[string]string{"Ref": "{name}"},
	observe:    observeConfigRule, compare: compareConfigRule, repair: repairConfigRule,
}

func observeConfigRule(ctx context.Context, s site, r Resource) (any, error) {
	name := r.str("ConfigRuleName")
	out, err := s.Config.DescribeConfigRules(ctx, &configservice.DescribeConfigRulesInput{ConfigRuleNames: []string{name}}, s.at.Config)
	if notFound(err) || err == nil && len(out.ConfigRules) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("describe Config rule %s: %w", name, err)
	}
	got := out.ConfigRules[0]
	st := configRuleState{State: string(got.ConfigRuleState)}
	if got.Source != nil {
		st.Owner, st.Identifier = string(got.Source.Owner), aws.ToString(got.Source.SourceIdentifier)
	}
	if got.Scope != nil {
		st.Types = slices.Sorted(slices.Values(got.Scope.ComplianceResourceTypes))
	}
	if p := aws.ToString(got.InputParameters); p != "" && p != "{}" {
		st.Parameters = fromJSON(p)
	}
	return st, nil
}

// wantConfigRule is the rule of a template.
func wantConfigRule(r Resource) configRuleState {
	source, scope := Resource{Props: r.object("Source")}, Resource{Props: r.object("Scope")}
	return configRuleState{
		Owner: source.str("Owner"), Identifier: source.str("SourceIdentifier"),
		Types: slices.Sorted(slices.Values(toStrings(scope.list("ComplianceResourceTypes")))), Parameters: r.Props["InputParameters"],
	}
}

func compareConfigRule(r Resource, state any) []Mismatch {
	have, want := state.(configRuleState), wantConfigRule(r)
	var out []Mismatch
	if have.Owner != want.Owner || have.Identifier != want.Identifier {
		out = append(out, Mismatch{Reason: "the rule checks something else", Expected: want, Actual: have})
	}
	if !slices.Equal(have.Types, want.Types) {
		out = append(out, Mismatch{Reason: "the rule looks at other types of resources", Expected: want.Types, Actual: have.Types})
	}
	if compact(have.Parameters) != compact(want.Parameters) {
		out = append(out, Mismatch{Reason: "the rule's parameters differ", Expected: want.Parameters, Actual: have.Parameters})
	}
	if have.State == string(types.ConfigRuleStateDeleting) {
		out = append(out, Mismatch{Reason: "the rule is being deleted", Expected: "ACTIVE", Actual: have.State})
	}
	return out
}

func repairConfigRule(ctx context.Context, s site, r Resource, _ any) error {
	want := wantConfigRule(r)
	in := &types.ConfigRule{
		ConfigRuleName: aws.String(r.str("ConfigRuleName")),
		Source:         &types.Source{Owner: types.Owner(want.Owner), SourceIdentifier: aws.String(want.Identifier)},
	}
	if d := r.str("Description"); d != "" {
		in.Description = aws.String(d)
	}
	if len(want.Types) > 0 {
		in.Scope = &types.Scope{ComplianceResourceTypes: want.Types}
	}
	if want.Parameters != nil {
		in.InputParameters = aws.String(compact(want.Parameters))
	}
	if _, err := s.Config.PutConfigRule(ctx, &configservice.PutConfigRuleInput{ConfigRule: in}, s.at.Config); err != nil {
		return fmt.Errorf("put Config rule %s: %w", r.str("ConfigRuleName"), err)
	}
	return nil
}

// remediationState is what is done about resources that a Config rule finds.
type remediationState struct {
	Runbook    string         `json:"runbook"`
	Automatic  bool           `json:"automatic"`
	Attempts   int            `json:"attempts,omitempty"`
	Retry      int            `json:"retry_seconds,omitempty"`
	Parameters map[string]any `json:"parameters"`
}

var remediationKind = kind{
	noun: "remediation of rule", nameProp: "ConfigRuleName",
	observe: observeRemediation, compare: compareRemediation, repair: repairRemediation,
	final: func(r Resource) string {
		if r.Props["Automatic"] != true {
			return ""
		}
		return "what the automatic remediation of rule " + r.str("ConfigRuleName") + " takes away from then on, no undo puts back"
	},
}

func observeRemediation(ctx context.Context, s site, r Resource) (any, error) {
	name := r.str("ConfigRuleName")
	out, err := s.Config.DescribeRemediationConfigurations(ctx, &configservice.DescribeRemediationConfigurationsInput{ConfigRuleNames: []string{name}}, s.at.Config)
	if notFound(err) || err == nil && len(out.RemediationConfigurations) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("describe the remediation of Config rule %s: %w", name, err)
	}
	got := out.RemediationConfigurations[0]
	st := remediationState{Runbook: aws.ToString(got.TargetId), Automatic: got.Automatic, Parameters: map[string]any{}}
	if got.Automatic {
		st.Attempts, st.Retry = int(aws.ToInt32(got.MaximumAutomaticAttempts)), int(aws.ToInt64(got.RetryAttemptSeconds))
	}
	for k, v := range got.Parameters {
		switch {
		case v.StaticValue != nil:
			st.Parameters[k] = v.StaticValue.Values
		case v.ResourceValue != nil:
			st.Parameters[k] = string(v.ResourceValue.Value)
		}
	}
	return st, nil
}

// wantRemediation is the remediation of a template.
func wantRemediation(r Resource) remediationState {
	st := remediationState{Runbook: r.str("TargetId"), Automatic: r.Props["Automatic"] == true, Parameters: map[string]any{}}
	if st.Automatic {
		st.Attempts, st.Retry = r.number("MaximumAutomaticAttempts"), r.number("RetryAttemptSeconds")
	}
	for k, v := range r.object("Parameters") {
		p := Resource{Props: v.(map[string]any)}
		if static := p.object("StaticValue"); static != nil {
			st.Parameters[k] = toStrings(Resource{Props: static}.list("Values"))
			continue
		}
		st.Parameters[k] = Resource{Props: p.object("ResourceValue")}.str("Value")
	}
	return st
}

func compareRemediation(r Resource, state any) []Mismatch {
	have, want := state.(remediationState), wantRemediation(r)
	var out []Mismatch
	if have.Automatic != want.Automatic {
		words := map[bool]string{true: "automatic", false: "manual"}
		out = append(out, Mismatch{Reason: "the remediation is " + words[have.Automatic] + ", not " + words[want.Automatic], Expected: words[want.Automatic], Actual: words[have.Automatic]})
		have.Automatic, have.Attempts, have.Retry = want.Automatic, want.Attempts, want.Retry
	}
	if compact(have) != compact(want) {
		out = append(out, Mismatch{Reason: "the remediation does something else", Expected: want, Actual: have})
	}
	return out
}

func repairRemediation(ctx context.Context, s site, r Resource, _ any) error {
	want := wantRemediation(r)
	in := types.RemediationConfiguration{
		ConfigRuleName: aws.String(r.str("ConfigRuleName")), TargetType: types.RemediationTargetTypeSsmDocument, TargetId: aws.String(want.Runbook),
		Automatic: want.Automatic, Parameters: map[string]types.RemediationParameterValue{},
	}
	if want.Automatic {
		in.MaximumAutomaticAttempts, in.RetryAttemptSeconds = small(want.Attempts), aws.Int64(int64(want.Retry))
	}
	for k, v := range want.Parameters {
		if values, ok := v.([]string); ok {
			in.Parameters[k] = types.RemediationParameterValue{StaticValue: &types.StaticValue{Values: values}}
			continue
		}
		in.Parameters[k] = types.RemediationParameterValue{ResourceValue: &types.ResourceValue{Value: types.ResourceValueType(fmt.Sprint(v))}}
	}
	out, err := s.Config.PutRemediationConfigurations(ctx, &configservice.PutRemediationConfigurationsInput{RemediationConfigurations: []types.RemediationConfiguration{in}}, s.at.Config)
	if err != nil {
		return fmt.Errorf("put the remediation of Config rule %s: %w", r.str("ConfigRuleName"), err)
	}
	for _, f := range out.FailedBatches {
		return fmt.Errorf("put the remediation of Config rule %s: %s", r.str("ConfigRuleName"), aws.ToString(f.FailureMessage))
	}
	return nil
}
