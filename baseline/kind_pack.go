package baseline

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"

	"github.com/orgguard/orgguard/orgs"
)

// packState is a conformance pack. AWS Config gives no pack's template back, so it
// is known by the rules it made.
type packState struct {
	State  string     `json:"state"`
	Reason string     `json:"reason,omitempty"` // why it failed
	Rules  []packRule `json:"rules"`
}

// packRule is a rule of a conformance pack. Its name is made of the one in the
// template and the pack's id.
type packRule struct {
	Identifier string   `json:"identifier"`
	Types      []string `json:"types,omitempty"`
	Parameters string   `json:"parameters,omitempty"` // JSON
}

// unsaid stands for the reason of a failure where AWS Config gives none.
const unsaid = "AWS Config does not say why"

var packKind = kind{
	noun: "conformance pack", nameProp: "ConformancePackName",
	attributes: map[string]string{"Ref": "{name}"},
	observe:    observePack, compare: comparePack, repair: repairPack,
}

func observePack(ctx context.Context, s site, r Resource) (any, error) {
	name := aws.String(r.str("ConformancePackName"))
	status, err := s.packStatus(ctx, name)
	if err != nil || status == nil {
		return nil, err
	}
	st := packState{State: string(status.ConformancePackState), Reason: aws.ToString(status.ConformancePackStatusReason), Rules: []packRule{}}
	var rules []string
	pages := configservice.NewDescribeConformancePackCompliancePaginator(s.Config, &configservice.DescribeConformancePackComplianceInput{ConformancePackName: name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, s.at.Config)
		if err != nil {
			return nil, fmt.Errorf("describe the rules of conformance pack %s: %w", *name, err)
		}
		for _, c := range page.ConformancePackRuleComplianceList {
			rules = append(rules, aws.ToString(c.ConfigRuleName))
		}
	}
	for names := range slices.Chunk(rules, 25) { // as many as one call takes
		out, err := s.Config.DescribeConfigRules(ctx, &configservice.DescribeConfigRulesInput{ConfigRuleNames: names}, s.at.Config)
		if err != nil && !notFound(err) {
			return nil, fmt.Errorf("describe the rules of conformance pack %s: %w", *name, err)
		}
		if out == nil {
			continue // one of them has just been deleted
		}
		for _, rule := range out.ConfigRules {
			st.Rules = append(st.Rules, packRuleOf(rule))
		}
	}
	sortRules(st.Rules)
	return st, nil
}

// packStatus is how a pack is; nil when there is none.
func (s site) packStatus(ctx context.Context, name *string) (*types.ConformancePackStatusDetail, error) {
	out, err := s.Config.DescribeConformancePackStatus(ctx, &configservice.DescribeConformancePackStatusInput{ConformancePackNames: []string{*name}}, s.at.Config)
	if notFound(err) || err == nil && len(out.ConformancePackStatusDetails) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("describe conformance pack %s: %w", *name, err)
	}
	return &out.ConformancePackStatusDetails[0], nil
}

func packRuleOf(rule types.ConfigRule) packRule {
	var out packRule
	if rule.Source != nil {
		out.Identifier = aws.ToString(rule.Source.SourceIdentifier)
	}
	if rule.Scope != nil {
		out.Types = slices.Sorted(slices.Values(rule.Scope.ComplianceResourceTypes))
	}
	if p := aws.ToString(rule.InputParameters); p != "" && p != "{}" {
		out.Parameters = compact(fromJSON(p))
	}
	return out
}

func sortRules(rules []packRule) {
	slices.SortFunc(rules, func(a, b packRule) int {
		return cmp.Or(cmp.Compare(a.Identifier, b.Identifier), cmp.Compare(a.Parameters, b.Parameters))
	})
}

// wantPack are the rules of a pack's template.
func wantPack(r Resource) ([]packRule, error) {
	t, err := parseTemplate(r.str("ConformancePackName"), []byte(r.str("TemplateBody")))
	if err != nil {
		return nil, err
	}
	rs, err := t.resources(scope{})
	if err != nil {
		return nil, err
	}
	var out []packRule
	for _, rule := range rs {
		want := wantConfigRule(rule)
		p := packRule{Identifier: want.Identifier, Types: want.Types}
		if want.Parameters != nil {
			p.Parameters = compact(want.Parameters)
		}
		out = append(out, p)
	}
	sortRules(out)
	return out, nil
}

// comparePack looks at the rules. What a rule finds is no drift: the resource has to
// change, not the baseline.
func comparePack(r Resource, state any) []Mismatch {
	st := state.(packState)
	switch types.ConformancePackState(st.State) {
	case types.ConformancePackStateCreateInProgress:
		return []Mismatch{{Reason: "AWS Config is deploying the pack", Expected: "CREATE_COMPLETE", Actual: st.State, Waits: true, Manual: "wait a few minutes and audit again"}}
	case types.ConformancePackStateCreateFailed, types.ConformancePackStateDeleteInProgress, types.ConformancePackStateDeleteFailed:
		return []Mismatch{{Reason: "the pack is " + st.State + ": " + cmp.Or(st.Reason, unsaid), Expected: "CREATE_COMPLETE", Actual: st.State}}
	}
	want, err := wantPack(r)
	if err != nil {
		return []Mismatch{{Reason: err.Error(), Expected: "a pack's template", Actual: st}}
	}
	name := func(rules, other []packRule) (out []string) {
		for _, x := range rules {
			if !slices.ContainsFunc(other, func(y packRule) bool { return compact(x) == compact(y) }) {
				out = append(out, x.Identifier)
			}
		}
		return out
	}
	var out []Mismatch
	if lacks := name(want, st.Rules); len(lacks) > 0 {
		out = append(out, Mismatch{Reason: "the pack has not, or otherwise, " + joinAnd(lacks), Expected: want, Actual: st.Rules})
	}
	if more := name(st.Rules, want); len(more) > 0 {
		out = append(out, Mismatch{Reason: "the pack has besides, or otherwise, " + joinAnd(more), Expected: want, Actual: st.Rules})
	}
	return out
}

// repairPack deploys the pack and waits until AWS Config has done so.
func repairPack(ctx context.Context, s site, r Resource, _ any) error {
	name := aws.String(r.str("ConformancePackName"))
	_, err := s.Config.PutConformancePack(ctx, &configservice.PutConformancePackInput{
		ConformancePackName: name, TemplateBody: aws.String(r.str("TemplateBody")),
	}, s.at.Config)
	if err != nil {
		return fmt.Errorf("put conformance pack %s: %w", *name, err)
	}
	for pause := 200 * time.Millisecond; ; pause = min(pause*3/2, 10*time.Second) {
		status, err := s.packStatus(ctx, name)
		switch {
		case err != nil:
			return err
		case status == nil:
			return fmt.Errorf("conformance pack %s is gone again", *name)
		case status.ConformancePackState == types.ConformancePackStateCreateComplete:
			return nil
		case status.ConformancePackState != types.ConformancePackStateCreateInProgress:
			return fmt.Errorf("conformance pack %s is %s: %s", *name, status.ConformancePackState, cmp.Or(aws.ToString(status.ConformancePackStatusReason), unsaid))
		}
		if err := orgs.Pause(ctx, pause); err != nil {
			return fmt.Errorf("stopped waiting for conformance pack %s, which goes on: %w", *name, err)
		}
	}
}
