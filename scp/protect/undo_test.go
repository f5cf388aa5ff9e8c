package protect

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/scp/apply"
)

// journalled carries a rollout out with a journal, as the rollout command does.
func journalled(ctx context.Context, t *testing.T, w *sim.World, change func(*Guard)) (plan.Result, journal.Log) {
	t.Helper()
	g, pool, s := look(t, w, nil)
	if change != nil {
		change(g)
	}
	dir := t.TempDir()
	j, err := journal.Create(dir, journal.Header{Command: "rollout", Organization: g.Org.ID}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	tasks, _ := g.Propose(s, nil, pool)
	plan.SortTasks(tasks)
	g.Record(j)
	res := plan.Execute(ctx, j.Tasks(tasks), 8, nil)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := journal.Read(dir, j.Run())
	if err != nil {
		t.Fatal(err)
	}
	return res, l
}

// observe is the policy as a new run sees it.
func observe(t *testing.T, w *sim.World) (*orgs.Organization, *access.Pool, State) {
	t.Helper()
	g, pool, s := look(t, w, nil)
	return g.Org, pool, s
}

func mustDo(t *testing.T, tasks []plan.Task) {
	t.Helper()
	for _, o := range plan.Execute(t.Context(), tasks, 1, nil).Outcomes {
		if o.Err != "" || o.Skipped {
			t.Errorf("%s %s: %q, skipped %v", o.Change.Verb, o.Change.Resource, o.Err, o.Skipped)
		}
	}
}

func TestARolloutGoesInWavesAndTakesAFailedOneBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		deny := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ec2:Purchase*","Resource":"*"}]}`
		w := demo(t, func(s *sim.Spec) {
			enabled(s)
			for _, name := range strings.Fields("a b c d e f g h i") { // with FullAWSAccess there is no room
				s.Policies = append(s.Policies, sim.PolicySpec{Name: name, Content: deny, Attach: []string{"Workloads"}})
			}
		})
		var sandbox, dev string
		res, l := journalled(t.Context(), t, w, func(g *Guard) {
			waves, err := apply.Groups(g.Org, [][]string{{"Sandbox"}, {"Workloads/Dev"}, {"Workloads"}})
			if err != nil {
				t.Fatal(err)
			}
			g.Waves, sandbox, dev = waves, waves[0].Nodes[0], waves[1].Nodes[0]
		})
		if res.Failed() == 0 {
			t.Fatal("the last wave did not fail")
		}
		org, pool, s := observe(t, w)
		if want := []string{sandbox, dev}; !s.Exists || !slices.Equal(s.Targets, slices.Sorted(slices.Values(want))) {
			t.Errorf("attached to %v; the waves before the failed one stay: %v", s.Targets, want)
		}
		if got := apply.VerifiedWaves(l); !slices.Equal(got, []int{1, 2}) {
			t.Errorf("the journal has waves %v as verified", got)
		}
		tasks, left := Undo(org, s, pool, l)
		if len(left) > 0 {
			t.Errorf("left: %+v", left)
		}
		mustDo(t, tasks)
		if _, _, s := observe(t, w); s.Exists {
			t.Errorf("after the undo: %+v", s)
		}
	})
}

func TestUndoOfAnUpdateBringsTheTextBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := demo(t, enabled)
		mustApply(t, w, func(p *spec.ProtectConfig) { p.Strict = false })
		_, _, before := observe(t, w)
		_, l := journalled(t.Context(), t, w, nil)
		org, pool, s := observe(t, w)
		if s.Content == before.Content {
			t.Fatal("nothing was updated")
		}
		tasks, left := Undo(org, s, pool, l)
		if len(left) > 0 || len(tasks) != 1 || tasks[0].Kind == apply.Kind {
			t.Errorf("left %+v, to do %+v", left, plan.Changes(tasks))
		}
		mustDo(t, tasks)
		_, _, after := observe(t, w)
		if after.ID != before.ID || after.Content != before.Content || !slices.Equal(after.Targets, before.Targets) {
			t.Errorf("before %+v, after %+v", before, after)
		}
	})
}

func TestUndoLeavesTheWorkOfOthersAlone(t *testing.T) {
	other := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ec2:*","Resource":"*"}]}`
	cases := []struct {
		name    string
		meddle  func(ctx context.Context, api *organizations.Client, org *orgs.Organization, s State) error
		blocked bool
		reason  string
	}{
		{"the text was edited", func(ctx context.Context, api *organizations.Client, _ *orgs.Organization, s State) error {
			_, err := api.UpdatePolicy(ctx, &organizations.UpdatePolicyInput{PolicyId: aws.String(s.ID), Content: aws.String(other)})
			return err
		}, true, "was edited, or made again, by somebody else since"},
		{"it was attached elsewhere", func(ctx context.Context, api *organizations.Client, org *orgs.Organization, s State) error {
			_, err := api.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: aws.String(s.ID), TargetId: aws.String(string(org.Root))})
			return err
		}, true, "was attached to Root"},
		{"it is gone", func(ctx context.Context, api *organizations.Client, _ *orgs.Organization, s State) error {
			for _, target := range s.Targets {
				if _, err := api.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: aws.String(s.ID), TargetId: aws.String(target)}); err != nil {
					return err
				}
			}
			_, err := api.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: aws.String(s.ID)})
			return err
		}, false, "is as it was before the run already"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := demo(t, enabled)
				_, l := journalled(t.Context(), t, w, nil)
				org, _, s := observe(t, w)
				if err := c.meddle(t.Context(), organizations.NewFromConfig(w.ManagementConfig("us-east-1")), org, s); err != nil {
					t.Fatal(err)
				}
				org, pool, s := observe(t, w)
				tasks, left := Undo(org, s, pool, l)
				if len(tasks) != 0 || len(left) != 1 || left[0].Blocked != c.blocked || !strings.Contains(left[0].Reason, c.reason) {
					t.Errorf("to do %+v, left %+v", plan.Changes(tasks), left)
				}
			})
		})
	}
}

func TestThePolicyTypeStaysOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := demo(t, nil)
		_, l := journalled(t.Context(), t, w, nil)
		org, pool, s := observe(t, w)
		tasks, left := Undo(org, s, pool, l)
		if len(left) != 1 || left[0].Blocked || !strings.Contains(left[0].Reason, "stays on") {
			t.Errorf("left %+v", left)
		}
		mustDo(t, tasks)
		if _, _, s := observe(t, w); s.Exists || !s.TypeEnabled {
			t.Errorf("after the undo: %+v", s)
		}
	})
}

func TestAnUndoOrTeardownThatIsKilledAnywhereCanBeRepeated(t *testing.T) {
	for name, propose := range map[string]func(*orgs.Organization, State, *access.Pool, journal.Log) []plan.Task{
		"undo": func(org *orgs.Organization, s State, pool *access.Pool, l journal.Log) []plan.Task {
			tasks, _ := Undo(org, s, pool, l)
			return tasks
		},
		"teardown": func(org *orgs.Organization, s State, pool *access.Pool, _ journal.Log) []plan.Task {
			return Teardown(org, s, pool)
		},
	} {
		t.Run(name, func(t *testing.T) {
			crashes := 0
			for n := 1; n > 0; n++ {
				inBubble(t, func(t *testing.T) {
					w := demo(t, enabled)
					_, l := journalled(t.Context(), t, w, nil)
					org, pool, s := observe(t, w)
					base := w.Writes()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					crashed := false
					w.SetFaults(sim.Faults{CrashAtWrite: base + n, Crash: func() { crashed = true; cancel() }})
					plan.Execute(ctx, propose(org, s, pool, l), 1, nil)
					w.SetFaults(sim.Faults{})
					if !crashed {
						n = -1
						return
					}
					crashes++
					org, pool, s = observe(t, w)
					mustDo(t, propose(org, s, pool, l))
					if _, _, s := observe(t, w); s.Exists {
						t.Errorf("killed at write %d: %+v", n, s)
					}
				})
				if n < 0 {
					break
				}
			}
			if crashes < len(demoTargets)+1 {
				t.Errorf("only %d writes to crash at", crashes)
			}
		})
	}
}
