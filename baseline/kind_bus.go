package baseline

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// busState is an event bus that exists; our templates ask no more of it.
type busState struct {
	ARN string
}

var busKind = kind{
	noun:     "event bus",
	nameProp: "Name",
	attributes: map[string]string{
		"Ref":  "{name}",
		"Name": "{name}",
		"Arn":  "arn:{partition}:events:{region}:{account}:event-bus/{name}",
	},
	observe: observeBus,
	compare: func(Resource, any) []Mismatch { return nil },
	repair:  repairBus,
}

func observeBus(ctx context.Context, s site, r Resource) (any, error) {
	out, err := s.describeBus(ctx, aws.String(r.str("Name")))
	if out == nil || err != nil {
		return nil, err
	}
	return busState{ARN: aws.ToString(out.Arn)}, nil
}

// describeBus returns nil for a bus that does not exist; nil is the default bus.
func (s site) describeBus(ctx context.Context, name *string) (*eventbridge.DescribeEventBusOutput, error) {
	out, err := s.Events.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: name}, s.at.Events)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("describe event bus %s: %w", aws.ToString(name), err)
	}
	return out, nil
}

func repairBus(ctx context.Context, s site, r Resource, state any) error {
	if state != nil {
		return nil
	}
	_, err := s.Events.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{
		Name: aws.String(r.str("Name")),
		Tags: tagsAs(r, func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} }),
	}, s.at.Events)
	if err != nil && !alreadyThere(err) {
		return fmt.Errorf("create event bus %s: %w", r.str("Name"), err)
	}
	return nil
}

// busPolicyState is the resource policy of a bus, of which a template's policy
// is one statement.
type busPolicyState struct {
	Statements []map[string]any
}

var busPolicyKind = kind{
	noun:     "event bus policy",
	nameProp: "StatementId",
	observe:  observeBusPolicy,
	compare:  compareBusPolicy,
	repair:   repairBusPolicy,
}

func observeBusPolicy(ctx context.Context, s site, r Resource) (any, error) {
	out, err := s.describeBus(ctx, r.bus())
	if out == nil || err != nil || aws.ToString(out.Policy) == "" {
		return nil, err
	}
	statements, err := policyStatements(*out.Policy)
	if err != nil {
		return nil, fmt.Errorf("read the policy of event bus %s: %w", r.str("EventBusName"), err)
	}
	return busPolicyState{Statements: statements}, nil
}

// policyStatements are the statements of a policy, of which a single one may
// come without a list.
func policyStatements(doc string) ([]map[string]any, error) {
	var policy struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(doc), &policy); err != nil {
		return nil, err
	}
	var one map[string]any
	if json.Unmarshal(policy.Statement, &one) == nil {
		return []map[string]any{one}, nil
	}
	var many []map[string]any
	if err := json.Unmarshal(policy.Statement, &many); err != nil {
		return nil, err
	}
	return many, nil
}

// busStatement is the statement of the template as it is in the bus's policy.
func (r Resource) busStatement() map[string]any {
	want := maps.Clone(r.object("Statement"))
	if want == nil {
		want = map[string]any{}
	}
	want["Sid"] = r.str("StatementId")
	return want
}

// compareBusPolicy leaves other people's statements alone unless they let
// everybody in: alerts that anybody can put on the bus are worth nothing.
func compareBusPolicy(r Resource, state any) []Mismatch {
	want, found := r.busStatement(), false
	var out []Mismatch
	for _, have := range state.(busPolicyState).Statements {
		switch {
		case have["Sid"] == want["Sid"]:
			found = true
			if !reflect.DeepEqual(normal(want), normal(have)) {
				out = append(out, Mismatch{Reason: fmt.Sprintf("statement %s of the bus's policy differs", want["Sid"]), Expected: want, Actual: have})
			}
		case admitsEverybody(have):
			out = append(out, Mismatch{
				Reason:   fmt.Sprintf("statement %s of the bus's policy lets everybody in", orUnnamed(have["Sid"])),
				Expected: "a condition on the organization", Actual: have,
			})
		}
	}
	if !found {
		out = append(out, Mismatch{Reason: fmt.Sprintf("the bus's policy has no statement %s", want["Sid"]), Expected: want})
	}
	return out
}

func orUnnamed(sid any) any {
	if sid == nil || sid == "" {
		return "without a Sid"
	}
	return sid
}

// admitsEverybody says whether a statement lets any AWS account in.
func admitsEverybody(statement map[string]any) bool {
	if statement["Effect"] != "Allow" || limitedByCondition(statement["Condition"]) {
		return false
	}
	if _, ok := statement["NotPrincipal"]; ok {
		return true // everybody but some
	}
	principal := statement["Principal"]
	if m, ok := principal.(map[string]any); ok {
		principal = m["AWS"]
	}
	return slices.Contains(toStrings(Resource{Props: map[string]any{"P": principal}}.list("P")), "*")
}

// limitedByCondition says whether a condition keeps a statement to organizations
// or accounts that it names. Operators that hold when the key is absent
// (…IfExists, ForAllValues) or that say who is left out do not.
func limitedByCondition(condition any) bool {
	operators, _ := condition.(map[string]any)
	for operator, keys := range operators {
		switch strings.ToLower(strings.TrimPrefix(operator, "ForAnyValue:")) {
		case "stringequals", "stringequalsignorecase", "stringlike":
		default:
			continue
		}
		byKey, _ := keys.(map[string]any)
		for key, values := range byKey {
			switch strings.ToLower(key) {
			case "aws:principalorgid", "aws:principalorgpaths", "aws:principalaccount", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceaccount":
			default:
				continue
			}
			names := toStrings(Resource{Props: map[string]any{"V": values}}.list("V"))
			if len(names) > 0 && !slices.ContainsFunc(names, func(v string) bool { return strings.Trim(v, "*?") == "" }) {
				return true
			}
		}
	}
	return false
}

// repairBusPolicy writes the whole policy: the template's statement, and those
// of others that do not let everybody in.
func repairBusPolicy(ctx context.Context, s site, r Resource, state any) error {
	want := r.busStatement()
	st, _ := state.(busPolicyState)
	statements := []map[string]any{want}
	for _, have := range st.Statements {
		if have["Sid"] != want["Sid"] && !admitsEverybody(have) {
			statements = append(statements, have)
		}
	}
	_, err := s.Events.PutPermission(ctx, &eventbridge.PutPermissionInput{
		EventBusName: r.bus(),
		Policy:       aws.String(compact(map[string]any{"Version": "2012-10-17", "Statement": statements})),
	}, s.at.Events)
	if err != nil {
		return fmt.Errorf("put statement %s of event bus %s: %w", want["Sid"], r.str("EventBusName"), err)
	}
	return nil
}
