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
	}{
		{
			name: "of an organization in sync asks no account about its recorder", from: FromAggregator,
			note: "recorders by aggregator organization of account 200000000001 in ap-northeast-1: 26 are as configured there, 0 were asked in their accounts. ",
		},
		{
			name: "sees a recorder that was stopped, and makes sure", from: FromAggregator, prepare: stop,
			drift: []string{"shop-prod|ap-northeast-1|recorder orgguard|the recorder is stopped"},
			note:  "25 are as configured there, 1 were asked in their accounts (1 different there)", asked: 1,
		},
		{
			name: "that is behind shows nothing: the stop has not arrived", from: FromAggregator,
			prepare: func(t *testing.T, r *rig) {
				stop(t, r)
				r.w.SetFaults(sim.Faults{Aggregation: sim.Aggregation{Lag: time.Hour}})
			},
			note: "26 are as configured there",
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
			note: "26 are as configured there; every account was asked as well", asked: 24,
		},
		{
			name: "asks about what is missing, and says that it is", from: FromAggregator,
			prepare: func(_ *testing.T, r *rig) {
				r.w.SetFaults(sim.Faults{Aggregation: sim.Aggregation{Missing: []string{pay + "/" + virginia}}})
			},
			drift: []string{"pay-prod|us-east-1|aggregator organization|the aggregator says something else of the recorder than the account itself"},
			note:  "25 are as configured there, 1 were asked in their accounts (1 not in the aggregator)", asked: 1,
		},
		{
			name: "does not trust data that AWS Config calls failed", from: FromAggregator,
			prepare: func(_ *testing.T, r *rig) {
				r.w.SetFaults(sim.Faults{Aggregation: sim.Aggregation{Failed: []string{pay + "/" + virginia}}})
			},
			note: "25 are as configured there, 1 were asked in their accounts (1 in data that AWS Config calls failed or outdated)", asked: 1,
		},
		{
			name: "asks in the Regions that the aggregator does not cover", from: FromAggregator, regions: []string{tokyo},
			note: "13 are as configured there, 13 were asked in their accounts (13 in Regions that the aggregator does not cover)", asked: 12, // and one that nobody can enter
		},
		{name: "is not made of so few accounts unless somebody wants it", from: FromEither, asked: 24},
		{name: "is not made when every account is to be asked", from: FromAccounts, asked: 24},
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
			})
		})
	}
}

// A sweep answers for the recorders alone: what else is wrong in the account is
// still found there.
func TestASweepDoesNotAnswerForAlertRules(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := sweptRig(t)
		c := eventbridge.NewFromConfig(r.member("300000000001", tokyo))
		if _, err := c.DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String("orgguard-config-change")}); err != nil {
			t.Fatal(err)
		}
		b := r.open(t)
		a, err := b.Audit(t.Context(), b.pool, Filter{From: FromAggregator}, r.workers, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		drift, _ := told(a)
		if want := []string{"shop-prod|ap-northeast-1|rule orgguard-config-change|the rule is disabled"}; !slices.Equal(drift, want) {
			t.Errorf("drift %q, want %q", drift, want)
		}
		swept := 0
		for _, f := range a.Findings {
			if strings.HasPrefix(f.Reason, "as configured, says aggregator organization: unchanged since ") {
				swept++
			}
		}
		if swept != 26 {
			t.Errorf("%d findings say that they are the aggregator's, want 26", swept)
		}
	})
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
