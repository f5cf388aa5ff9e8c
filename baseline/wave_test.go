package baseline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
)

// wavesConfig is demoConfig with a canary OU, another one, and the rest.
const wavesConfig = demoConfig + "rollout: {waves: [[Sandbox], [Workloads/Dev], [root]], failure_tolerance: 0}\n"

const sandbox = "500000000001" // of the canary wave

// inWaves carries a plan out as the command does: every wave is verified.
func (r *rig) inWaves(t *testing.T, f Filter) (plan.Result, *run) {
	t.Helper()
	b := r.open(t)
	l, err := b.LookAt(t.Context(), b.pool, f, r.workers, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := plan.Execution{Limit: 8, AfterWave: func(ctx context.Context, wave int, outcomes []plan.Outcome, _ int) plan.WaveOutcome {
		w := plan.WaveOutcome{Number: wave, Status: plan.WaveVerified}
		w.Problems, w.NotAssessed = b.VerifyWave(ctx, b.pool, l, outcomes, r.workers)
		if w.Reason = b.Tolerates(outcomes, w.Problems, w.NotAssessed, WithinTolerance); w.Reason != "" {
			w.Status = plan.WaveFailed
		}
		return w
	}}
	return e.Run(t.Context(), b.Propose(l, b.pool).Tasks), b
}

func statuses(res plan.Result) []string {
	out := []string{}
	for _, w := range res.Waves {
		out = append(out, fmt.Sprintf("%d %s", w.Number, w.Status))
	}
	return out
}

func TestEveryAccountIsInTheFirstWaveThatNamesAnOUAboveIt(t *testing.T) {
	cases := []struct {
		name, waves string
		want        map[string]int // account by name: wave
		list        []string
	}{
		{"canary, then the rest", "[[Sandbox], [Workloads/Dev], [root]]",
			map[string]int{"sandbox-1": 1, "shop-dev": 2, "shop-prod": 3, "security": 3, "management": 3}, []string{"Sandbox", "Workloads/Dev", "root"}},
		{"what no wave names comes last", "[[Sandbox], [Workloads]]",
			map[string]int{"sandbox-1": 1, "shop-dev": 2, "shop-prod": 2, "security": 3, "management": 3}, []string{"Sandbox", "Workloads", rest}},
		{"the management account is in the last wave that covers it", "[[root], [Sandbox], [root]]",
			map[string]int{"sandbox-1": 1, "shop-prod": 1, "management": 3}, []string{"root", "Sandbox", "root"}},
		{"no waves", "[]", map[string]int{"sandbox-1": 0, "management": 0}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBaseline(t, demoConfig+"rollout: {waves: "+c.waves+"}\n")
			for _, a := range b.Accounts {
				if want, ok := c.want[a.Name]; ok && b.waves.of[a.ID] != want {
					t.Errorf("%s is in wave %d; want %d", a.Name, b.waves.of[a.ID], want)
				}
			}
			var list []string
			for _, w := range b.Waves() {
				list = append(list, w.Name)
			}
			if diff := cmp.Diff(c.list, list); diff != "" {
				t.Errorf("waves (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARolloutInWavesEndsWhereOneWithoutEnds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		without := demoRig(t, demoConfig)
		without.mustRollout(t)
		r := demoRig(t, wavesConfig)
		res, _ := r.inWaves(t, Filter{})
		if diff := cmp.Diff([]string{"1 verified", "2 verified", "3 verified"}, statuses(res)); diff != "" {
			t.Errorf("waves (-want +got):\n%s", diff)
		}
		r.w.ConfirmSubscriptions("")
		r.mustBeClean(t)
		if diff := cmp.Diff(without.inventory(t), r.inventory(t)); diff != "" {
			t.Errorf("what was made without waves and with (-want +got):\n%s", diff)
		}
		calls, writes := r.w.Calls(), r.w.Writes()
		if res, _ := r.inWaves(t, Filter{}); len(res.Outcomes) != 0 || r.w.Writes() != writes {
			t.Errorf("a second rollout has %d changes and %d writes", len(res.Outcomes), r.w.Writes()-writes)
		}
		for _, op := range []string{"cloudformation:UpdateStackSet", "cloudformation:CreateStackInstances", "cloudformation:DeleteStackInstances"} {
			if n := r.w.Calls()[op] - calls[op]; n != 0 {
				t.Errorf("a second rollout called %s %d times", op, n)
			}
		}
	})
}

// A wave reaches nobody else's accounts, and comes after the one before.
func TestAWaveReachesItsAccountsAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, wavesConfig)
		b := r.open(t)
		last := 0
		for _, task := range r.plan(t).Tasks {
			if task.Wave > 0 && task.Wave < last {
				t.Errorf("%s of wave %d comes after wave %d", task.Resource, task.Wave, last)
			}
			last = max(last, task.Wave)
			if task.Wave == 0 && task.Stage >= plan.Roles {
				t.Errorf("%s of stage %s is in no wave", task.Resource, task.Stage)
			}
			for _, k := range task.Targets {
				id, _, _ := strings.Cut(k, "/")
				if w := b.waves.of[orgs.AccountID(id)]; task.Wave > 0 && w != task.Wave {
					t.Errorf("%s of wave %d reaches %s, of wave %d", task.Resource, task.Wave, k, w)
				}
			}
		}
		if last != 3 {
			t.Errorf("%d waves", last)
		}
	})
}

// forbid attaches an SCP that stops StackSets and access roles at the recorder.
func forbid(s sim.Spec, target string) sim.Spec {
	s.Organization.PolicyTypes = []string{"SERVICE_CONTROL_POLICY"}
	s.Policies = append(slices.Clone(s.Policies), sim.PolicySpec{
		Name: "nobody-touches-config", Attach: []string{target},
		Content: `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["config:PutConfigurationRecorder","config:StartConfigurationRecorder"],"Resource":"*"}]}`,
	})
	return s
}

func TestAWaveThatFailsStopsTheRestAndTheNextRunGoesOnThere(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, err := sim.Scenario("demo")
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, forbid(s, "Workloads/Dev"), wavesConfig)
		res, b := r.inWaves(t, Filter{})
		if diff := cmp.Diff([]string{"1 verified", "2 failed", "3 not_begun"}, statuses(res)); diff != "" {
			t.Fatalf("waves (-want +got):\n%s", diff)
		}
		for k, i := range b.LoadStackSets(t.Context(), b.pool, Filter{})["recorder"].Instances {
			if w := b.waves.of[i.Account]; w > 2 || w == 1 && i.Status != "CURRENT" {
				t.Errorf("instance %s of wave %d is %s", k, w, i.Status)
			}
		}
		detachAll(t, r, "nobody-touches-config")
		first := r.plan(t).Tasks
		if i := slices.IndexFunc(first, func(t plan.Task) bool { return t.Wave > 0 }); first[i].Wave != 2 {
			t.Errorf("the next run begins with wave %d", first[i].Wave)
		}
		res, _ = r.inWaves(t, Filter{})
		if diff := cmp.Diff([]string{"2 verified", "3 verified"}, statuses(res)); diff != "" {
			t.Fatalf("waves of the second run (-want +got):\n%s", diff)
		}
		r.w.ConfirmSubscriptions("")
		r.mustBeClean(t)
	})
}

// What CloudFormation calls done and the account does not hold fails the wave.
func TestAWaveIsVerifiedInTheAccounts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, wavesConfig)
		b := r.open(t)
		l, err := b.LookAt(t.Context(), b.pool, Filter{}, r.workers, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []plan.Failure
		e := plan.Execution{Limit: 8, AfterWave: func(ctx context.Context, wave int, outcomes []plan.Outcome, _ int) plan.WaveOutcome {
			stopRecorder(t, r, sandbox, tokyo)

			w := plan.WaveOutcome{Number: wave, Status: plan.WaveVerified}
			var blind []plan.Failure
			got, blind = b.VerifyWave(ctx, b.pool, l, outcomes, r.workers)
			if b.Tolerates(outcomes, got, blind, Accepted) != "" {
				w.Status = plan.WaveFailed
			}
			return w
		}}
		res := e.Run(t.Context(), b.Propose(l, b.pool).Tasks)
		if diff := cmp.Diff([]string{"1 failed", "2 not_begun", "3 not_begun"}, statuses(res)); diff != "" {
			t.Errorf("waves (-want +got):\n%s", diff)
		}
		if len(got) != 1 || got[0].Account != sandbox || !strings.Contains(got[0].Reason, "the recorder is stopped") {
			t.Errorf("problems %+v", got)
		}
	})
}

// An update of a stack set leaves the instances of later waves OUTDATED, with what
// they had.
func TestAnUpdateGoesInWaves(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, wavesConfig)
		r.inWaves(t, Filter{})
		r.w.ConfirmSubscriptions("")
		r.cfg = parseConfig(t, wavesConfig+"baseline: {config-delivery: {snapshot: One_Hour}}\n")
		b := r.open(t)
		p := r.plan(t)
		var why []string
		for _, task := range p.Tasks {
			if task.Kind == "stack-set" {
				why = append(why, fmt.Sprintf("%d %s: %s", task.Wave, task.Resource, task.Why))
			}
		}
		if len(why) != 3 || !strings.Contains(why[0], "1 stack set orgguard-recorder: template or parameters differ: 5 of its") {
			t.Errorf("the plan says %q", why)
		}
		stop := plan.Execution{Limit: 8, AfterWave: func(context.Context, int, []plan.Outcome, int) plan.WaveOutcome {
			return plan.WaveOutcome{Number: 1, Status: plan.WaveStopped}
		}}
		stop.Run(t.Context(), p.Tasks)
		for k, i := range b.LoadStackSets(t.Context(), b.pool, Filter{})["recorder"].Instances {
			if want := map[bool]string{true: "CURRENT", false: "OUTDATED"}[b.waves.of[i.Account] == 1]; i.Status != want {
				t.Errorf("after the first wave instance %s is %s; want %s", k, i.Status, want)
			}
		}
		res, _ := r.inWaves(t, Filter{})
		if diff := cmp.Diff([]string{"2 verified", "3 verified"}, statuses(res)); diff != "" {
			t.Errorf("waves (-want +got):\n%s", diff)
		}
		r.mustBeClean(t)
	})
}

func TestANarrowedPlanReachesWhatWasAskedFor(t *testing.T) {
	cases := []struct {
		name   string
		before bool // everything is rolled out, and then taken away from two accounts
		filter Filter
		want   func(plan.Task) bool
	}{
		{"an account, with what it rests on", false, Filter{Accounts: []string{"shop-prod"}}, func(t plan.Task) bool {
			return t.Stage <= plan.Central || !slices.ContainsFunc(t.Targets, func(k string) bool { return !strings.HasPrefix(k, shopProd) })
		}},
		{"an OU", false, Filter{OUs: []string{"Sandbox"}}, func(t plan.Task) bool {
			return t.Stage <= plan.Central || !slices.ContainsFunc(t.Targets, func(k string) bool { return !strings.HasPrefix(k, "5") })
		}},
		{"a control", false, Filter{Controls: []string{"root-signin-alert"}}, func(t plan.Task) bool {
			return t.Stage <= plan.Central || strings.Contains(t.Control, "root-signin-alert")
		}},
		{"an account that is in order", true, Filter{Accounts: []string{"shop-dev"}}, func(plan.Task) bool { return false }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, demoConfig)
				if c.before {
					r.mustRollout(t)
					stopRecorder(t, r, shopProd, tokyo)
				}
				b := r.open(t)
				l, err := b.LookAt(t.Context(), b.pool, c.filter, r.workers, nil)
				if err != nil {
					t.Fatal(err)
				}
				tasks := b.Propose(l, b.pool).Tasks
				if len(tasks) == 0 && !c.before {
					t.Fatal("nothing to do")
				}
				for _, task := range tasks {
					if !c.want(task) {
						t.Errorf("%s %s of stage %s reaches %v", task.Verb, task.Resource, task.Stage, task.Targets)
					}
				}
				for _, o := range plan.Execute(t.Context(), tasks, 8, nil).Outcomes {
					if o.Err != "" || o.Skipped || len(o.Failures) > 0 {
						t.Errorf("%s: %q %+v", o.Change.Resource, o.Err, o.Failures)
					}
				}
				r.w.ConfirmSubscriptions("")
				if bad := wrong(r.audit(t, c.filter)); len(bad) > 0 {
					t.Errorf("what was asked for is not clean: %+v", bad)
				}
				if l, err = b.LookAt(t.Context(), b.pool, c.filter, r.workers, nil); err != nil {
					t.Fatal(err)
				}
				if again := b.Propose(l, b.pool).Tasks; len(again) > 0 {
					t.Errorf("there is still to be done: %+v", plan.Changes(again))
				}
			})
		})
	}
}

func TestTheToleranceOfAWave(t *testing.T) {
	outcome := func(targets ...string) []plan.Outcome {
		return []plan.Outcome{{Change: plan.Change{Targets: targets}, Failures: []plan.Failure{{Account: "1", Region: "x"}}}}
	}
	cases := []struct {
		tolerance string
		outcomes  []plan.Outcome
		problems  []plan.Failure
		want      bool
	}{
		{"0", nil, nil, true},
		{"0", outcome("1/x", "2/x"), nil, false},
		{"1", outcome("1/x", "2/x"), nil, true},
		{"1", outcome("1/x", "2/x"), []plan.Failure{{Account: "1", Region: "x"}}, true}, // the same account
		{"1", outcome("1/x", "2/x"), []plan.Failure{{Account: "2", Region: "x"}}, false},
		{"1", outcome("1/x", "2/y"), []plan.Failure{{Account: "2", Region: "y"}}, true}, // another Region
		{"50%", outcome("1/x", "2/x"), nil, true},
		{"49%", outcome("1/x", "2/x"), nil, false},
	}
	for i, c := range cases {
		b := newBaseline(t, demoConfig+"rollout: {failure_tolerance: "+c.tolerance+"}\n")
		if got := b.Tolerates(c.outcomes, c.problems, nil, WithinTolerance); (got == "") != c.want {
			t.Errorf("case %d: %q; want %v", i, got, c.want)
		}
	}
}

func TestAccountsInWhichNobodyCanLookCountAgainstTheTolerance(t *testing.T) {
	reached := func(n int) []plan.Outcome {
		var targets []string
		for i := range n {
			targets = append(targets, fmt.Sprintf("%d/x", i))
		}
		return []plan.Outcome{{Change: plan.Change{Targets: targets}}}
	}
	those := func(accounts ...string) []plan.Failure {
		var out []plan.Failure
		for _, a := range accounts {
			out = append(out, plan.Failure{Account: a, Region: "x"})
		}
		return out
	}
	for name, c := range map[string]struct {
		tolerance       string
		of              int
		problems, blind []plan.Failure
		choice          Blind
		want            string
	}{
		"a share is rounded up for one":             {"5%", 12, nil, those("3"), WithinTolerance, ""},
		"and for two it is not enough":              {"5%", 12, nil, those("3", "4"), WithinTolerance, "2 of 12 accounts in x, and rollout.failure_tolerance (5%) excuses 1"},
		"0 excuses none":                            {"0", 12, nil, those("3"), WithinTolerance, "excuses 0"},
		"0% excuses none":                           {"0%", 12, nil, those("3"), WithinTolerance, "excuses 0"},
		"a number is what it is":                    {"2", 12, nil, those("3", "4"), WithinTolerance, ""},
		"with one that failed they are too many":    {"1", 12, those("5"), those("3"), WithinTolerance, "excuses 1"},
		"one that failed and was not seen counts 1": {"1", 12, those("3"), those("3"), WithinTolerance, ""},
		"somebody accepts them":                     {"0", 12, nil, those("3", "4"), Accepted, ""},
		"but not those that failed":                 {"0", 12, those("5"), those("3"), Accepted, "more accounts failed"},
		"of a wave something must be seen":          {"100%", 2, nil, those("0", "1"), WithinTolerance, "nobody could look into any of the 2 accounts in x"},
		"unless that is accepted":                   {"0", 2, nil, those("0", "1"), Accepted, ""},
	} {
		b := newBaseline(t, demoConfig+"rollout: {failure_tolerance: "+c.tolerance+"}\n")
		if got := b.Tolerates(reached(c.of), c.problems, c.blind, c.choice); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
	}
}

// The SCP needs nobody to enter an account, and the baseline of one that lets nobody in
// is StackSets' word. So many are excused as the tolerance says, and not one more.
func TestThePolicyIsNotForAccountsInWhichTooManyHaveNotBeenSeen(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, demoConfig)
		everywhere := func(orgs.Account) bool { return true }
		b := r.open(t)
		l, err := b.Look(t.Context(), b.pool, r.workers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if why, named := r.open(t).Unprotectable(l, everywhere); why != "" || len(named) > 0 {
			t.Fatalf("%q %v", why, named)
		}
		// shop-prod and shop-dev close their doors.
		for i := range l.Inspected {
			if strings.HasPrefix(l.Inspected[i].Account.Name, "shop-") {
				l.Inspected[i].Err = &access.RoleError{Role: "x", Account: l.Inspected[i].Account.ID, Err: errors.New("no")}
			}
		}
		why, named := r.open(t).Unprotectable(l, everywhere)
		if !strings.Contains(why, "accounts that the policy reaches, and rollout.failure_tolerance (5%) excuses 1") || len(named) != 2 {
			t.Errorf("%q %v", why, named)
		}
		// Where the policy does not go they do not matter.
		if why, _ := r.open(t).Unprotectable(l, func(a orgs.Account) bool { return strings.HasPrefix(a.Name, "sandbox") }); why != "" {
			t.Errorf("%q", why)
		}
		if why, _ := r.open(t).Unprotectable(l, func(a orgs.Account) bool { return strings.HasPrefix(a.Name, "shop-") }); !strings.Contains(why, "any of the 2 accounts") {
			t.Errorf("%q", why)
		}
	})
}
