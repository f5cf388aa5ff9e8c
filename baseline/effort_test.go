package baseline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/orgguard/orgguard/orgs/plan"
)

// written counts the calls of a run that changed something, and those of them that
// began an operation on a stack set.
func written(r *run) (writes, operations int) {
	for call, times := range r.pool.Used() {
		_, name, _ := strings.Cut(call, ":")
		reads := slices.ContainsFunc([]string{"Describe", "Get", "List", "Head", "Assume", "Select"}, func(verb string) bool { return strings.HasPrefix(name, verb) })
		if !reads {
			writes += times
		}
		switch name {
		case "CreateStackInstances", "UpdateStackInstances", "DeleteStackInstances", "UpdateStackSet":
			operations += times
		}
	}
	return writes, operations
}

// What a plan says that it takes is what a rollout does.
func TestTheEstimateIsWhatIsDone(t *testing.T) {
	const hourly = "baseline: {config-delivery: {snapshot: One_Hour}}\n"
	for _, tc := range []struct {
		name, config string
		before       func(t *testing.T, r *rig)
		operations   int  // 0: any
		atMost       bool // repairs make fewer writes where little has drifted
	}{
		{name: "a first rollout", config: demoConfig},
		{name: "in waves", config: demoConfig + "rollout: {waves: [[Sandbox], [Workloads]]}\n"},
		{name: "few accounts at once", config: demoConfig + "rollout: {max_concurrent: 2}\n"},
		{name: "nothing to do", config: demoConfig, before: func(t *testing.T, r *rig) { r.mustRollout(t) }},
		{name: "another template", config: demoConfig, operations: 1, before: func(t *testing.T, r *rig) {
			r.mustRollout(t)
			r.cfg = parseConfig(t, demoConfig+hourly)
		}},
		{name: "another template, in waves", config: demoConfig, before: func(t *testing.T, r *rig) {
			r.mustRollout(t)
			r.cfg = parseConfig(t, demoConfig+hourly+"rollout: {waves: [[Sandbox]]}\n")
		}},
		{name: "account settings", config: demoConfig + "baseline: {s3-public-access: true, default-vpc: true, ebs-encryption: true}\n", atMost: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, tc.config)
				if tc.before != nil {
					tc.before(t, r)
				}
				b := r.open(t)
				p, err := b.propose(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				want := plan.EstimateOf(plan.Changes(p.Tasks), 8)
				for _, o := range plan.Execute(t.Context(), p.Tasks, 8, nil).Outcomes {
					if o.Err != "" || o.Skipped {
						t.Fatalf("%s: %s", o.Change.Resource, o.Err)
					}
				}
				writes, operations := written(b)
				if operations != want.Operations || tc.operations > 0 && operations != tc.operations {
					t.Errorf("%d operations; the estimate was %d", operations, want.Operations)
				}
				if writes != want.Writes && (!tc.atMost || writes > want.Writes) {
					t.Errorf("%d writes; the estimate was %d: %v", writes, want.Writes, b.pool.Used())
				}
			})
		})
	}
}

// And what the plans of an undo and of a teardown say is what they do.
func TestTheEstimateOfTakingBackIsWhatIsDone(t *testing.T) {
	const overridden = demoConfig + "overrides: [{account: shop-prod, reason: a test, baseline: {config-delivery: {snapshot: One_Hour}}}]\n"
	for _, tc := range []struct {
		name, config, later string // later is what a second run, the one that is undone, rolls out
		history             *bool
	}{
		{name: "an undo of the first rollout", config: demoConfig},
		{name: "an undo of another template", config: demoConfig, later: demoConfig + "baseline: {config-delivery: {snapshot: One_Hour}}\n"},
		{name: "an undo of overrides", config: demoConfig, later: overridden},
		{name: "an undo of what took overrides away", config: overridden, later: demoConfig},
		{name: "an undo of a control that was switched off in an account", config: demoConfig, later: demoConfig +
			"overrides: [{account: shop-prod, reason: a test, baseline: {root-signin-alert: false}}]\n"},
		{name: "a teardown", config: demoConfig, history: aws.Bool(bool(KeepHistory))},
		{name: "a teardown with the history", config: demoConfig, history: aws.Bool(bool(DeleteHistory))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, tc.config)
				records := journalled(t, t.TempDir(), r.plan(t).Tasks)
				if tc.later != "" {
					r.cfg = parseConfig(t, tc.later)
					records = journalled(t, t.TempDir(), r.plan(t).Tasks)
				}
				b := r.open(t)
				p := Proposal{}
				if tc.history == nil {
					p = b.Undo(t.Context(), b.pool, records)
				} else {
					p = b.Teardown(t.Context(), b.pool, History(*tc.history), r.workers)
				}
				if len(p.Tasks) == 0 {
					t.Fatalf("nothing to take back: %+v", p.Skipped)
				}
				want := plan.EstimateOf(plan.Changes(p.Tasks), 8)
				mustDo(t, p.Tasks)
				if writes, operations := written(b); writes != want.Writes || operations != want.Operations {
					t.Errorf("%d writes, %d operations; the estimate was %d, %d: %v", writes, operations, want.Writes, want.Operations, b.pool.Used())
				}
			})
		})
	}
}

func TestHowManyStacksComeOneAfterTheOther(t *testing.T) {
	for _, tc := range []struct {
		concurrent       string
		accounts, rounds int
	}{
		{"100%", 500, 1}, {"50%", 500, 2}, {"30%", 10, 4}, {"1%", 10, 10}, {"7", 500, 72}, {"1000", 500, 1}, {"100%", 50_000, 5}, {"20000", 50_000, 5}, {"100%", 0, 0},
	} {
		t.Run(fmt.Sprintf("%d accounts, %s at once", tc.accounts, tc.concurrent), func(t *testing.T) {
			b := newBaseline(t, demoConfig+"rollout: {max_concurrent: "+tc.concurrent+"}\n")
			if got := b.operation(tc.accounts, 2*tc.accounts); got.Rounds != tc.rounds || got.Stacks != 2*tc.accounts || got.Operations != 1 {
				t.Errorf("%+v; want %d rounds", got, tc.rounds)
			}
		})
	}
}

func TestWhatNoUndoBringsBackIsInThePlan(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, demoConfig+"baseline: {default-vpc: true, ssh-restricted: true, default-sg-closed: {remediation: manual}}\n")
		said := map[string]bool{}
		for _, task := range r.plan(t).Tasks {
			if task.Irreversible != "" {
				said[task.Kind+": "+task.Irreversible] = true
			}
		}
		for _, want := range []string{
			"repair: a default VPC that is made again has other ids, as have its subnets and its gateway",
			"stack-set: what the automatic remediation of rule orgguard-ssh-restricted takes away from then on, no undo puts back",
			"stack: whoever in alerts.email is not subscribed yet gets a mail from AWS",
		} {
			if !said[want] {
				t.Errorf("no change says %q: %v", want, said)
			}
		}
		for text := range said {
			if strings.Contains(text, "default-sg") {
				t.Errorf("a remediation by hand: %s", text)
			}
		}
	})
}
