package protect

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
)

func TestLosses(t *testing.T) {
	org := orgs.New("o-1", "100000000000", orgs.PartitionOf("us-east-1"),
		[]orgs.OU{{ID: "r-1", Name: "Root"}, {ID: "ou-a", Name: "A", Parent: "r-1"}, {ID: "ou-b", Name: "B", Parent: "r-1"}},
		[]orgs.Account{
			{ID: "100000000000", Name: "management", State: orgs.StateActive, Parent: "r-1"}, {ID: "200000000000", State: orgs.StateActive, Parent: "ou-a"},
			{ID: "300000000000", State: orgs.StateActive, Parent: "ou-b"}, {ID: "400000000000", State: orgs.StateSuspended, Parent: "ou-a"},
		})
	policy := func(statements ...string) string {
		return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	}
	const (
		stop    = `{"Sid":"Stop","Effect":"Deny","Action":["config:StopConfigurationRecorder","config:DeleteConfigurationRecorder"],"Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":["arn:aws:iam::*:role/B","arn:aws:iam::*:role/A"]}}}`
		renamed = `{"Sid":"Other","Effect":"Deny","Action":["config:DeleteConfigurationRecorder","config:StopConfigurationRecorder"],"Resource":["*"],"Condition":{"ArnNotLike":{"aws:PrincipalArn":["arn:aws:iam::*:role/A","arn:aws:iam::*:role/B"]}}}`
		topic   = `{"Effect":"Deny","NotAction":"sns:Get*","Resource":"arn:aws:sns:*:*:x","Condition":{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}}`
		allow   = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	)
	for _, tc := range []struct {
		name         string
		have, wanted string
		on, attach   []string
		want         []string
	}{
		{"a new policy binds every member account that is active", "", policy(stop, topic, allow), nil, []string{"r-1"}, []string{
			"Stop denied to 200000000000 300000000000: config:DeleteConfigurationRecorder config:StopConfigurationRecorder on * but arn:aws:iam::*:role/A arn:aws:iam::*:role/B []",
			"statement 2 denied to 200000000000 300000000000: all but sns:Get* on arn:aws:sns:*:*:x but  [StringEquals of aws:RequestedRegion: us-east-1]",
		}},
		{"one that is in place takes nothing", policy(stop), policy(stop), []string{"r-1"}, []string{"r-1"}, nil},
		{"nor does one that was merely written otherwise", policy(stop), policy(renamed), []string{"ou-a", "ou-b"}, []string{"r-1"}, nil},
		{"a further attachment takes from the accounts that it adds", policy(stop), policy(stop), []string{"ou-a"}, []string{"ou-b"}, []string{
			"Stop denied to 300000000000: config:DeleteConfigurationRecorder config:StopConfigurationRecorder on * but arn:aws:iam::*:role/A arn:aws:iam::*:role/B []",
		}},
		{"another text takes and gives back", policy(topic), policy(stop), []string{"ou-a"}, []string{"ou-a"}, []string{
			"Stop denied to 200000000000: config:DeleteConfigurationRecorder config:StopConfigurationRecorder on * but arn:aws:iam::*:role/A arn:aws:iam::*:role/B []",
			"statement 1 returned to 200000000000: all but sns:Get* on arn:aws:sns:*:*:x but  [StringEquals of aws:RequestedRegion: us-east-1]",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := &Guard{Org: org, Policy: []byte(tc.wanted)}
			for _, id := range tc.attach {
				g.Attach = append(g.Attach, org.OUs[orgs.NodeID(id)])
			}
			losses, err := g.Losses(State{Exists: tc.have != "", ID: "p-1", Content: tc.have, Targets: tc.on})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range losses {
				got = append(got, inALine(l))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := (&Guard{Org: org, Policy: []byte(policy(stop))}).Losses(State{Content: "{"}); err == nil {
		t.Error("a text that is no policy is read")
	}
}

// inALine is a loss in a line.
func inALine(l plan.Loss) string {
	verb := "denied"
	if l.Returned {
		verb = "returned"
	}
	j := func(s []string) string { return strings.Join(s, " ") }
	return fmt.Sprintf("%s %s to %s: %s on %s but %s %v", l.Statement, verb, j(l.Accounts), j(l.Actions), j(l.Resources), j(l.Except), l.Conditions)
}
