package baseline

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// stateMachineState is a Step Functions state machine.
type stateMachineState struct {
	Definition string
	Role       string
	Type       string // "STANDARD" or "EXPRESS"
	Status     string // "ACTIVE" or "DELETING"
}

var stateMachineKind = kind{
	noun:     "state machine",
	nameProp: "StateMachineName",
	attributes: map[string]string{
		"Ref":  "arn:{partition}:states:{region}:{account}:stateMachine:{name}",
		"Arn":  "arn:{partition}:states:{region}:{account}:stateMachine:{name}",
		"Name": "{name}",
	},
	observe: observeStateMachine,
	compare: compareStateMachine,
	repair:  repairStateMachine,
}

func observeStateMachine(ctx context.Context, s site, r Resource) (any, error) {
	arn := s.attribute(r, "Arn")
	out, err := s.StepFunctions.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: aws.String(arn)}, s.at.StepFunctions)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("describe state machine %s: %w", arn, err)
	}
	return stateMachineState{
		Definition: aws.ToString(out.Definition), Role: aws.ToString(out.RoleArn), Type: string(out.Type), Status: string(out.Status),
	}, nil
}

func compareStateMachine(r Resource, state any) []Mismatch {
	st := state.(stateMachineState)
	if st.Status == string(types.StateMachineStatusDeleting) {
		return []Mismatch{{
			Reason: "the state machine is being deleted", Expected: string(types.StateMachineStatusActive), Actual: st.Status,
			Verb: "create",
		}}
	}
	var out []Mismatch
	if want := r.str("DefinitionString"); !sameDefinition(want, st.Definition) {
		out = append(out, Mismatch{Reason: "the state machine's definition differs", Expected: fromJSON(want), Actual: fromJSON(st.Definition)})
	}
	if want := r.str("RoleArn"); want != st.Role {
		out = append(out, Mismatch{Reason: "the state machine uses another role", Expected: want, Actual: st.Role})
	}
	if want := r.stateMachineType(); want != st.Type {
		out = append(out, Mismatch{
			Reason: "the state machine is of another type", Expected: want, Actual: st.Type,
			// AWS cannot change it, and takes its time to delete.
			Manual: "delete the state machine " + r.str("StateMachineName") + "; the next rollout makes it anew",
		})
	}
	return out
}

// stateMachineType is the type a template asks for; AWS has a default.
func (r Resource) stateMachineType() string {
	if t := r.str("StateMachineType"); t != "" {
		return t
	}
	return string(types.StateMachineTypeStandard)
}

// sameDefinition compares definitions as JSON. Unlike in policies, the order of
// a list matters: catchers and retriers are tried from the first on.
func sameDefinition(want, have string) bool {
	var a, b any
	if json.Unmarshal([]byte(want), &a) != nil || json.Unmarshal([]byte(have), &b) != nil {
		return want == have
	}
	return reflect.DeepEqual(a, b)
}

// repairStateMachine makes the state machine or changes it. While one of its
// name is being deleted AWS refuses both, and says so.
func repairStateMachine(ctx context.Context, s site, r Resource, state any) error {
	arn, name := s.attribute(r, "Arn"), r.str("StateMachineName")
	if st, ok := state.(stateMachineState); !ok || st.Status == string(types.StateMachineStatusDeleting) {
		_, err := s.StepFunctions.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
			Name: aws.String(name), Type: types.StateMachineType(r.stateMachineType()),
			Definition: aws.String(r.str("DefinitionString")), RoleArn: aws.String(r.str("RoleArn")),
			Tags: tagsAs(r, func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} }),
		}, s.at.StepFunctions)
		if err == nil {
			return nil
		}
		if !alreadyThere(err) {
			return fmt.Errorf("create state machine %s: %w", name, err)
		}
	}
	_, err := s.StepFunctions.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{
		StateMachineArn: aws.String(arn), Definition: aws.String(r.str("DefinitionString")), RoleArn: aws.String(r.str("RoleArn")),
	}, s.at.StepFunctions)
	if err != nil {
		return fmt.Errorf("update state machine %s: %w", name, err)
	}
	return nil
}
