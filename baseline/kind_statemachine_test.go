package baseline

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

func TestCompareStateMachine(t *testing.T) {
	r := templateResource(t, "alert-topic.central.yaml", "AlertStateMachine", "us-east-1")
	definition, role := r.str("DefinitionString"), "arn:aws:iam::"+securityAccount+":role/orgguard-alert"
	if !json.Valid([]byte(definition)) {
		t.Fatalf("the template's definition is not JSON:\n%s", definition)
	}
	good := stateMachineState{Definition: definition, Role: role, Type: "EXPRESS", Status: "ACTIVE"}
	with := func(change func(*stateMachineState)) stateMachineState {
		st := good
		change(&st)
		return st
	}
	testCompare(t, r, []compareCase{
		{"a state machine as the template says is in sync", good, nil},
		{"layout does not matter", with(func(st *stateMachineState) { st.Definition = compact(fromJSON(definition)) }), nil},
		{"another definition differs", with(func(st *stateMachineState) { st.Definition = `{"StartAt":"X"}` }), []Mismatch{
			{Reason: "the state machine's definition differs", Expected: fromJSON(definition), Actual: map[string]any{"StartAt": "X"}},
		}},
		{"another role differs", with(func(st *stateMachineState) { st.Role = "arn:aws:iam::" + securityAccount + ":role/admin" }), []Mismatch{
			{Reason: "the state machine uses another role", Expected: role, Actual: "arn:aws:iam::" + securityAccount + ":role/admin"},
		}},
		{"another type is for a person to change", with(func(st *stateMachineState) { st.Type = "STANDARD" }), []Mismatch{{
			Reason: "the state machine is of another type", Expected: "EXPRESS", Actual: "STANDARD",
			Manual: "delete the state machine orgguard-alert; the next rollout makes it anew",
		}}},
		{"of one that is being deleted nothing else is said", stateMachineState{Status: "DELETING"}, []Mismatch{{
			Reason: "the state machine is being deleted", Expected: "ACTIVE", Actual: "DELETING", Verb: "create",
		}}},
	})
}

func TestDefinitionsAreComparedAsJSON(t *testing.T) {
	for _, c := range []struct {
		name       string
		want, have string
		same       bool
	}{
		{"the order of keys does not matter", `{"a":1,"b":2}`, `{"b": 2, "a": 1}`, true},
		{"the order of a list matters", `{"Catch":["a","b"]}`, `{"Catch":["b","a"]}`, false},
		{"a list of one is not what is in it", `{"a":["b"]}`, `{"a":"b"}`, false},
		{"what is not JSON is compared as text", `x`, `x`, true},
		{"and differs as text", `{}`, ``, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := sameDefinition(c.want, c.have); got != c.same {
				t.Errorf("sameDefinition = %v", got)
			}
		})
	}
}

func TestStateMachineIsRepaired(t *testing.T) {
	s := simSite(t, "us-east-1")
	const file = "alert-topic.central.yaml"
	for _, id := range []string{"AlertKey", "AlertTopic", "DeadLetters", "AlertRole", "StarterRole"} {
		mustRepair(t, s, templateResource(t, file, id, "us-east-1"))
	}
	r := templateResource(t, file, "AlertStateMachine", "us-east-1")
	arn := aws.String(s.attribute(r, "Arn"))
	testLifecycle(t, s, r, []tampering{
		{"the definition is replaced", func(t *testing.T, s site) error {
			_, err := s.StepFunctions.UpdateStateMachine(t.Context(), &sfn.UpdateStateMachineInput{
				StateMachineArn: arn, Definition: aws.String(`{"StartAt":"Nothing","States":{"Nothing":{"Type":"Succeed"}}}`),
			}, s.at.StepFunctions)
			return err
		}, []string{"the state machine's definition differs"}, false},
		{"the state machine is deleted", func(t *testing.T, s site) error {
			_, err := s.StepFunctions.DeleteStateMachine(t.Context(), &sfn.DeleteStateMachineInput{StateMachineArn: arn}, s.at.StepFunctions)
			return err
		}, nil, true},
	})
}
