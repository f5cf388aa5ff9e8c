package baseline

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/sim"
)

// budgetConfig is a rollout over four Regions, of which one has the global rules.
const budgetConfig = `
version: 1
regions: [us-east-1, us-west-2, eu-west-1, ap-northeast-1]
home_region: us-east-1
security_account: "200000000001"
alerts: {mode: central, email: [security@example.com]}
`

// mainJob are the controls of the main job: AWS Config records and delivers
// everywhere, and somebody is told of changes to it and of root users' sign-ins.
var mainJob = Filter{Controls: []string{"config-recorder", "config-delivery", "alert-topic", "config-change-alert", "root-signin-alert"}}

// The calls of an audit are what it costs: this is the budget. A change that makes
// it larger has to say why; one that makes it smaller changes the numbers here.
func TestTheCallsOfAnAuditAreABudget(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := sim.Generate(24, 4, 4)
		s.Regions = []string{"us-east-1", "us-west-2", "eu-west-1", "ap-northeast-1"}
		security := s.OUs[0].Accounts[0].ID
		s.DelegatedAdministrators = append(s.DelegatedAdministrators, sim.DelegateSpec{Account: security, Services: []string{"config.amazonaws.com"}})
		s.Aggregators = append(s.Aggregators, sim.AggregatorSpec{Account: security, Region: "us-east-1", Name: "organization"})
		r := newRig(t, s, strings.Replace(budgetConfig, "200000000001", security, 1))
		r.mustRollout(t)
		const accounts, regions, cells = 24, 4, 24 * 4
		once := map[string]int{
			// What lives once, of which two rules and three roles.
			"events:DescribeEventBus": 2, "kms:DescribeKey": 2, "kms:GetKeyPolicy": 1, "kms:GetKeyRotationStatus": 1,
			"sns:GetTopicAttributes": 2, "sns:ListSubscriptionsByTopic": 1, "sqs:GetQueueAttributes": 2, "states:DescribeStateMachine": 1,
			"s3:GetBucketOwnershipControls": 1, "s3:GetBucketPolicy": 1, "s3:GetBucketPublicAccessBlock": 1, "s3:GetBucketVersioning": 1, "s3:GetEncryptionConfiguration": 1,
			"events:DescribeRule": 2, "events:ListTargetsByRule": 2,
			"iam:GetRole": 3, "iam:ListAttachedRolePolicies": 3, "iam:ListRolePolicies": 3, "iam:GetRolePolicy": 3,
			// Four stack sets, and a page for each hundred instances.
			"cloudformation:DescribeStackSet": 4, "cloudformation:ListStackInstances": 4,
			// Each account but the caller's own, once for all its Regions.
			"sts:AssumeRole": accounts - 1,
		}
		for _, c := range []struct {
			name string
			from Source
			want map[string]int // beside once
		}{
			{"asking the accounts", FromAccounts, map[string]int{
				// Each account × Region.
				"config:DescribeConfigurationRecorders": cells, "config:DescribeConfigurationRecorderStatus": cells,
				"config:DescribeDeliveryChannels": cells, "config:DescribeDeliveryChannelStatus": cells,
				// The same, and one rule more in the global Region of each account,
				// where one listing serves for both.
				"events:DescribeRule": cells - accounts, "events:ListRules": accounts, "events:ListTargetsByRule": cells + accounts,
				// Two roles in each account.
				"iam:GetRole": 2 * accounts, "iam:ListAttachedRolePolicies": 2 * accounts, "iam:ListRolePolicies": 2 * accounts, "iam:GetRolePolicy": 2 * accounts,
			}},
			{"asking the aggregator", FromAggregator, map[string]int{
				"config:DescribeDeliveryChannels": cells, "config:DescribeDeliveryChannelStatus": cells,
				"config:DescribeConfigurationAggregators": 1, "config:DescribeConfigurationAggregatorSourcesStatus": 1,
				// A page for each hundred recorders and rules of a Region, and for each
				// hundred roles; rules and roles are got whole after that.
				"config:SelectAggregateResourceConfig": 2*regions + 1, "config:BatchGetAggregateResourceConfig": regions + 1,
			}},
		} {
			b := r.open(t)
			before := b.pool.Used()
			f := mainJob
			f.From = c.from
			a, err := b.Audit(t.Context(), b.pool, f, r.workers, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Findings) > 0 || a.Counted.InSync == 0 || len(a.Accounts) != accounts {
				t.Fatalf("%s: not clean: %d findings, %+v, %d accounts", c.name, len(a.Findings), a.Counted, len(a.Accounts))
			}
			got := b.pool.Used()
			for action, n := range before {
				got[action] -= n
			}
			maps.DeleteFunc(got, func(_ string, n int) bool { return n == 0 })
			want := maps.Clone(once)
			for action, n := range c.want {
				want[action] += n
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: calls (-budget +sent):\n%s", c.name, diff)
			}
		}
	})
}

func TestAnAuditThatCountsSaysTheSameAsOneThatLists(t *testing.T) {
	r := demoRig(t, everyoneConfig)
	b := r.open(t)
	in, err := b.Inspect(t.Context(), b.pool, Filter{}, r.workers, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole := b.Findings(in, b.LoadStackSets(t.Context(), b.pool, Filter{}))
	for _, all := range []bool{true, false} {
		a, err := b.Audit(t.Context(), b.pool, Filter{}, r.workers, all, nil)
		if err != nil {
			t.Fatal(err)
		}
		var want []finding.Finding
		var counted finding.Summary
		accounts := map[string]bool{}
		for _, f := range whole {
			accounts[f.Account] = true
			if all || f.Status != finding.InSync && f.Status != finding.NotApplicable {
				want = append(want, f)
			} else {
				counted.Add(f.Status, 1)
			}
		}
		if diff := cmp.Diff(want, a.Findings); diff != "" {
			t.Errorf("all %v, findings: %s", all, diff)
		}
		if a.Counted != counted || !maps.Equal(accounts, a.Accounts) {
			t.Errorf("all %v: counted %+v of %v, want %+v of %v", all, a.Counted, a.Accounts, counted, accounts)
		}
	}
}
