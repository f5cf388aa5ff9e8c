package baseline

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/google/go-cmp/cmp"
)

func TestCompareBus(t *testing.T) {
	testCompare(t, templateResource(t, "alert-topic.central.yaml", "AlertBus", "us-east-1"), []compareCase{
		{"a bus that exists is in sync", busState{ARN: "arn"}, nil},
	})
}

func TestCompareBusPolicy(t *testing.T) {
	r := templateResource(t, "alert-topic.central.yaml", "AlertBusPolicy", "us-east-1")
	want := r.busStatement()
	neighbour := map[string]any{"Sid": "neighbour", "Effect": "Allow", "Principal": map[string]any{"AWS": "arn:aws:iam::111122223333:root"}, "Action": "events:PutEvents"}
	everybody := map[string]any{"Sid": "everybody", "Effect": "Allow", "Principal": map[string]any{"AWS": "*"}, "Action": "events:PutEvents"}
	changed := map[string]any{"Sid": "orgguard-organization", "Effect": "Allow", "Principal": "*", "Action": "events:PutEvents"}
	of := func(statements ...map[string]any) busPolicyState { return busPolicyState{Statements: statements} }
	testCompare(t, r, []compareCase{
		{"the statement alone is in sync", of(want), nil},
		{"statements of others are allowed", of(neighbour, want), nil},
		{"a missing statement", of(neighbour), []Mismatch{{Reason: "the bus's policy has no statement orgguard-organization", Expected: want}}},
		{"a changed statement", of(changed), []Mismatch{
			{Reason: "statement orgguard-organization of the bus's policy differs", Expected: want, Actual: changed},
		}},
		{"a statement that lets everybody in", of(want, everybody), []Mismatch{
			{Reason: "statement everybody of the bus's policy lets everybody in", Expected: "a condition on the organization", Actual: everybody},
		}},
	})
}

func TestWhichStatementsAdmitEverybody(t *testing.T) {
	for _, c := range []struct {
		name      string
		statement string
		want      bool
	}{
		{"a star", `{"Effect":"Allow","Principal":"*"}`, true},
		{"a star among AWS principals", `{"Effect":"Allow","Principal":{"AWS":["111122223333","*"]}}`, true},
		{"everybody but one", `{"Effect":"Allow","NotPrincipal":{"AWS":"111122223333"}}`, true},
		{"one account", `{"Effect":"Allow","Principal":{"AWS":"111122223333"}}`, false},
		{"a service", `{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"}}`, false},
		{"a denial", `{"Effect":"Deny","Principal":"*"}`, false},
		{"an organization", `{"Effect":"Allow","Principal":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1234567890"}}}`, false},
		{"an organization in other letters", `{"Effect":"Allow","Principal":"*","Condition":{"StringEquals":{"AWS:principalorgid":["o-1234567890"]}}}`, false},
		{"an OU", `{"Effect":"Allow","Principal":"*","Condition":{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-1234567890/r-ab12/*"}}}`, false},
		{"any organization", `{"Effect":"Allow","Principal":"*","Condition":{"StringLike":{"aws:PrincipalOrgID":"*"}}}`, true},
		{"not an organization", `{"Effect":"Allow","Principal":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1234567890"}}}`, true},
		{"an organization if there is one", `{"Effect":"Allow","Principal":"*","Condition":{"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-1234567890"}}}`, true},
		{"a condition on something else", `{"Effect":"Allow","Principal":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var statement map[string]any
			if err := json.Unmarshal([]byte(c.statement), &statement); err != nil {
				t.Fatal(err)
			}
			if got := admitsEverybody(statement); got != c.want {
				t.Errorf("admitsEverybody = %v", got)
			}
		})
	}
}

func TestBusIsRepaired(t *testing.T) {
	s := simSite(t, "us-east-1")
	r := templateResource(t, "alert-topic.central.yaml", "AlertBus", "us-east-1")
	testLifecycle(t, s, r, []tampering{
		{"the bus is deleted", func(t *testing.T, s site) error {
			_, err := s.Events.DeleteEventBus(t.Context(), &eventbridge.DeleteEventBusInput{Name: aws.String("orgguard-alerts")}, s.at.Events)
			return err
		}, nil, true},
	})
	if err := repairBus(t.Context(), s, r, nil); err != nil {
		t.Errorf("repair of a bus that is there by now: %v", err)
	}
}

func TestBusPolicyIsRepaired(t *testing.T) {
	s := simSite(t, "us-east-1")
	mustRepair(t, s, templateResource(t, "alert-topic.central.yaml", "AlertBus", "us-east-1"))
	r := templateResource(t, "alert-topic.central.yaml", "AlertBusPolicy", "us-east-1")
	bus := aws.String("orgguard-alerts")
	admit := func(id, principal string) func(*testing.T, site) error {
		return func(t *testing.T, s site) error {
			_, err := s.Events.PutPermission(t.Context(), &eventbridge.PutPermissionInput{
				EventBusName: bus, StatementId: aws.String(id), Action: aws.String("events:PutEvents"), Principal: aws.String(principal),
			}, s.at.Events)
			return err
		}
	}
	remove := func(in eventbridge.RemovePermissionInput) func(*testing.T, site) error {
		return func(t *testing.T, s site) error {
			in.EventBusName = bus
			_, err := s.Events.RemovePermission(t.Context(), &in, s.at.Events)
			return err
		}
	}
	testLifecycle(t, s, r, []tampering{
		{"a neighbour is let in", admit("neighbour", "300000000001"), nil, false},
		{"everybody is let in", admit("everybody", "*"), []string{"statement everybody of the bus's policy lets everybody in"}, false},
		{"the statement is taken away", remove(eventbridge.RemovePermissionInput{StatementId: aws.String("orgguard-organization")}),
			[]string{"the bus's policy has no statement orgguard-organization"}, false},
	})
	state, err := observeBusPolicy(t.Context(), s, r)
	if err != nil {
		t.Fatal(err)
	}
	var sids []any
	for _, st := range state.(busPolicyState).Statements {
		sids = append(sids, st["Sid"])
	}
	if diff := cmp.Diff([]any{"orgguard-organization", "neighbour"}, sids); diff != "" {
		t.Errorf("statements (-want +got):\n%s", diff)
	}
	if err := remove(eventbridge.RemovePermissionInput{RemoveAllPermissions: true})(t, s); err != nil {
		t.Fatal(err)
	}
	if state, err := observeBusPolicy(t.Context(), s, r); state != nil || err != nil {
		t.Errorf("observe without a policy = %v, %v", state, err)
	}
	mustRepair(t, s, r)
}
