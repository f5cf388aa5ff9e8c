package baseline

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/sim"
)

// sweptRig is the demo organization, rolled out, with an aggregator in the security
// account. data-prod lets nobody in, and the aggregator knows its recorders all the
// same.
func sweptRig(t *testing.T, regions ...string) *rig {
	t.Helper()
	s, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	s.DelegatedAdministrators = append(s.DelegatedAdministrators, sim.DelegateSpec{Account: "security", Services: []string{"config.amazonaws.com"}})
	s.Aggregators = append(s.Aggregators, sim.AggregatorSpec{Account: "security", Region: tokyo, Name: "organization", Regions: regions})
	r := newRig(t, s, everyoneConfig)
	r.mustRollout(t)
	return r
}

// told is an audit's drift in one line each, with the notes.
func told(a Audit) (drift []string, notes string) {
	for _, f := range a.Findings {
		if f.Status == finding.Drift {
			drift = append(drift, strings.Join([]string{f.AccountName, f.Region, f.Resource, f.Reason}, "|"))
		}
	}
	return drift, strings.Join(a.Notes, "\n")
}

// central is how many rules live once; no aggregator is asked about those.
const central = 9

func TestASweep(t *testing.T) {
	const shop, pay = "300000000001", "300000000002"
	stop := func(t *testing.T, r *rig) {
		t.Helper()
		c := configservice.NewFromConfig(r.member(shop, tokyo))
		if _, err := c.StopConfigurationRecorder(t.Context(), &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String(ownName)}); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name    string
		from    Source
		regions []string // of the aggregator; all unless given
		prepare func(*testing.T, *rig)
		drift   []string
		note    string // a part of it
		asked   int    // recorders that were described in their accounts
		rules   int    // rules whose targets were listed there
	}{
		{
			name: "of an organization in sync asks no account about its recorder", from: FromAggregator,
			note: "aggregator organization of account 200000000001 in ap-northeast-1 has 26 recorders, 208 rules and 26 roles as configured; asked in the accounts: none. ",
		},
		{
			name: "sees a recorder that was stopped, and makes sure", from: FromAggregator, prepare: stop,
			drift: []string{"shop-prod|ap-northeast-1|recorder orgguard|the recorder is stopped"},
			note:  "has 25 recorders, 201 rules and 24 roles as configured; asked in the accounts: 1 recorder, 7 rules and 2 roles (1 different there, 9 recorded by a recorder that is not known to be as configured)", asked: 1, rules: 7,
		},
		{
			name: "that is behind shows nothing: the stop has not arrived", from: FromAggregator,
			prepare: func(t *testing.T, r *rig) {
				stop(t, r)
				r.w.SetFaults(sim.Faults{Aggregation: sim.Aggregation{Lag: time.Hour}})
			},
			note: "has 26 recorders, 208 rules and 26 roles as configured; asked in the accounts: none",
		},
		{
			name: "with --direct finds what the aggregator does not know yet", from: FromBoth,
			prepare: func(t *testing.T, r *rig) {
				stop(t, r)
				r.w.SetFaults(sim.Faults{Aggregation: sim.Aggregation{Lag: time.Hour}})
			},
			drift: []string{
				"shop-prod|ap-northeast-1|aggregator organization|the aggregator says something else of the recorder than the account itself",
				"shop-prod|ap-northeast-1|recorder orgguard|the recorder is stopped",
			},
			note: "has 26 recorders, 208 rules and 26 roles as configured; every account was asked as well", asked: 24, rules: 192,
		},
		{
			name: "asks about what is missing, and says that it is", from: FromAggregator,
			prepare: func(_ *testing.T, r *rig) {
				r.w.SetFaults(sim.Faults{Aggregation: sim.Aggregation{Missing: []string{pay + "/" + virginia}}})
			},
			drift: []string{"pay-prod|us-east-1|aggregator organization|the aggregator says something else of the recorder than the account itself"},
			note:  "asked in the accounts: 1 recorder and 9 rules (1 not in the aggregator, 9 recorded by a recorder that is not known to be as configured)", asked: 1, rules: 9,
		},
		{
			name: "does not trust data that AWS Config calls failed", from: FromAggregator,
			prepare: func(_ *testing.T, r *rig) {
				r.w.SetFaults(sim.Faults{Aggregation: sim.Aggregation{Failed: []string{pay + "/" + virginia}}})
			},
			note: "asked in the accounts: 1 recorder and 9 rules (10 in data that AWS Config calls failed or outdated)", asked: 1, rules: 9,
		},
		{
			name: "asks in the Regions that the aggregator does not cover", from: FromAggregator, regions: []string{tokyo},
			note: "has 13 recorders, 91 rules and 26 roles as configured; asked in the accounts: 13 recorders and 117 rules (130 in Regions that the aggregator does not cover)", asked: 12, rules: 108, // and those that nobody can get at
		},
		{name: "is not made of so few accounts unless somebody wants it", from: FromEither, asked: 24, rules: 192},
		{name: "is not made when every account is to be asked", from: FromAccounts, asked: 24, rules: 192},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := sweptRig(t, c.regions...)
				time.Sleep(2 * time.Minute) // in the bubble: starts and stops have arrived
				if c.prepare != nil {
					c.prepare(t, r)
				}
				b := r.open(t)
				before := maps.Clone(b.pool.Used())
				a, err := b.Audit(t.Context(), b.pool, Filter{From: c.from}, r.workers, false, nil)
				if err != nil {
					t.Fatal(err)
				}
				drift, notes := told(a)
				if !slices.Equal(drift, c.drift) {
					t.Errorf("drift %q, want %q", drift, c.drift)
				}
				if c.note == "" != (notes == "") || !strings.Contains(notes, c.note) {
					t.Errorf("note %q, want %q in it", notes, c.note)
				}
				if n := b.pool.Used()["config:DescribeConfigurationRecorders"] - before["config:DescribeConfigurationRecorders"]; n != c.asked {
					t.Errorf("%d recorders were asked for, want %d", n, c.asked)
				}
				if n := b.pool.Used()["events:ListTargetsByRule"] - before["events:ListTargetsByRule"] - central; n != c.rules {
					t.Errorf("%d rules were asked for, want %d", n, c.rules)
				}
			})
		})
	}
}

// What an aggregator has of rules and roles is compared with the baseline, and what
// is not exactly that is asked in the account.
func TestASweepOfRulesAndRoles(t *testing.T) {
	const (
		shop         = "300000000001"
		changeRule   = "orgguard-config-change"
		recorderRole = "orgguard-config-recorder"
	)
	events := func(r *rig) *eventbridge.Client { return eventbridge.NewFromConfig(r.member(shop, tokyo)) }
	disable := func(t *testing.T, r *rig) {
		t.Helper()
		if _, err := events(r).DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String(changeRule)}); err != nil {
			t.Fatal(err)
		}
	}
	record := func(t *testing.T, r *rig, on bool) {
		t.Helper()
		c := configservice.NewFromConfig(r.member(shop, tokyo))
		var err error
		if on {
			_, err = c.StartConfigurationRecorder(t.Context(), &configservice.StartConfigurationRecorderInput{ConfigurationRecorderName: aws.String(ownName)})
		} else {
			_, err = c.StopConfigurationRecorder(t.Context(), &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String(ownName)})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	late := func(r *rig) { r.w.SetFaults(sim.Faults{Aggregation: sim.Aggregation{Lag: time.Hour}}) }
	cases := []struct {
		name    string
		from    Source
		filter  Filter
		prepare func(*testing.T, *rig)
		drift   []string
		note    string
		swept   int // findings that are the aggregator's
	}{
		{
			name: "says whose word each finding is", note: "has 26 recorders, 208 rules and 26 roles as configured; asked in the accounts: none", swept: 260,
		},
		{
			name: "sees a rule that was disabled", prepare: disable,
			drift: []string{"shop-prod|ap-northeast-1|rule " + changeRule + "|the rule is disabled"},
			note:  "asked in the accounts: 1 rule (1 different there)", swept: 259,
		},
		{
			name: "sees where the message of a rule goes", prepare: func(t *testing.T, r *rig) {
				if _, err := events(r).RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: aws.String(changeRule), Ids: []string{ownName}}); err != nil {
					t.Fatal(err)
				}
			},
			drift: []string{"shop-prod|ap-northeast-1|rule " + changeRule + "|the rule has no target: nobody is told"},
			note:  "asked in the accounts: 1 rule (1 different there)", swept: 259,
		},
		{
			name: "sees a rule that is gone", prepare: func(t *testing.T, r *rig) {
				c := events(r)
				if _, err := c.RemoveTargets(t.Context(), &eventbridge.RemoveTargetsInput{Rule: aws.String(changeRule), Ids: []string{ownName}}); err != nil {
					t.Fatal(err)
				}
				if _, err := c.DeleteRule(t.Context(), &eventbridge.DeleteRuleInput{Name: aws.String(changeRule)}); err != nil {
					t.Fatal(err)
				}
			},
			drift: []string{"shop-prod|ap-northeast-1|rule " + changeRule + "|missing: rule " + changeRule},
			note:  "asked in the accounts: 1 rule (1 not in the aggregator)", swept: 259,
		},
		{
			name: "sees what a role may do", prepare: func(t *testing.T, r *rig) {
				_, err := iam.NewFromConfig(r.member(shop, tokyo)).AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{
					RoleName: aws.String(recorderRole), PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess"),
				})
				if err != nil {
					t.Fatal(err)
				}
			},
			drift: []string{"shop-prod|global|role " + recorderRole + "|the role has the additional managed policy AdministratorAccess"},
			note:  "asked in the accounts: 1 role (1 different there)", swept: 259,
		},
		{
			name: "does not trust what a recorder kept that was stopped", prepare: func(t *testing.T, r *rig) {
				record(t, r, false)
				disable(t, r)
			},
			drift: []string{
				"shop-prod|ap-northeast-1|rule " + changeRule + "|the rule is disabled",
				"shop-prod|ap-northeast-1|recorder orgguard|the recorder is stopped",
			},
			note: "(1 different there, 9 recorded by a recorder that is not known to be as configured)", swept: 250,
		},
		{
			name: "trusts a recorder again that was started: it has looked at everything", prepare: func(t *testing.T, r *rig) {
				record(t, r, false)
				disable(t, r)
				record(t, r, true)
				time.Sleep(time.Minute)
			},
			drift: []string{"shop-prod|ap-northeast-1|rule " + changeRule + "|the rule is disabled"},
			note:  "asked in the accounts: 1 rule (1 different there)", swept: 259,
		},
		{
			name: "is behind", prepare: func(t *testing.T, r *rig) { late(r); disable(t, r) },
			note: "asked in the accounts: none", swept: 260,
		},
		{
			name: "with --direct finds what has not arrived", from: FromBoth, prepare: func(t *testing.T, r *rig) { late(r); disable(t, r) },
			drift: []string{
				"shop-prod|ap-northeast-1|aggregator organization|the aggregator says something else of the rule than the account itself",
				"shop-prod|ap-northeast-1|rule " + changeRule + "|the rule is disabled",
			},
			note: "every account was asked as well",
		},
		{
			name: "asks every account when the aggregator does not hand out items", prepare: func(t *testing.T, r *rig) {
				r.w.SetFaults(sim.Faults{Errors: []sim.Fault{{Operation: "BatchGetAggregateResourceConfig", Code: "AccessDeniedException", Message: "no"}}})
				disable(t, r)
			},
			drift: []string{"shop-prod|ap-northeast-1|rule " + changeRule + "|the rule is disabled"},
			note:  "it did not say what is recorded of rules and roles: ", swept: 26,
		},
		{
			name: "of one control asks about what that has", filter: Filter{Controls: []string{configChangeAlert.ID}}, prepare: disable,
			drift: []string{"shop-prod|ap-northeast-1|rule " + changeRule + "|the rule is disabled"},
			note:  "has 25 rules as configured; asked in the accounts: 1 rule (1 different there)", swept: 25,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := sweptRig(t)
				time.Sleep(2 * time.Minute)
				if c.prepare != nil {
					c.prepare(t, r)
				}
				if c.filter.From = c.from; c.from == FromEither {
					c.filter.From = FromAggregator
				}
				b := r.open(t)
				a, err := b.Audit(t.Context(), b.pool, c.filter, r.workers, true, nil)
				if err != nil {
					t.Fatal(err)
				}
				drift, notes := told(a)
				if !slices.Equal(drift, c.drift) {
					t.Errorf("drift %q, want %q", drift, c.drift)
				}
				if !strings.Contains(notes, c.note) {
					t.Errorf("note %q, want %q in it", notes, c.note)
				}
				swept := 0
				for _, f := range a.Findings {
					if strings.HasPrefix(f.Reason, "as configured, says aggregator organization: unchanged since ") {
						swept++
					}
				}
				if swept != c.swept {
					t.Errorf("%d findings are the aggregator's, want %d", swept, c.swept)
				}
			})
		})
	}
}

func TestASweepWithoutAnAggregator(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, demoConfig)
		b := r.open(t)
		_, err := b.Audit(t.Context(), b.pool, Filter{From: FromAggregator}, r.workers, false, nil)
		var sweep *SweepError
		if !errors.As(err, &sweep) || !strings.Contains(err.Error(), "account 200000000001 has no aggregator of the organization in ap-northeast-1") {
			t.Errorf("error %v", err)
		}
		// One that is named and not there is as bad.
		b.Config.Audit.Aggregator.Name = "elsewhere"
		if _, err = b.Audit(t.Context(), b.pool, Filter{From: FromBoth}, r.workers, false, nil); err == nil || !strings.Contains(err.Error(), "called elsewhere") {
			t.Errorf("error %v", err)
		}
	})
}
