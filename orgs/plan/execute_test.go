package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
)

// log is what tasks did, in the order in which they did it.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

// task is a task that is known by its resource.
func (l *log) task(stage Stage, name string, failures []Failure, err error) Task {
	return Task{
		Change: Change{Stage: stage, Resource: name},
		Apply: func(context.Context) ([]Failure, error) {
			l.add(name)
			return failures, err
		},
	}
}

func TestStagesRunInOrderAndStopAtAnError(t *testing.T) {
	broken, failed := errors.New("broken"), []Failure{{Account: "1", Region: "eu-west-1", Status: "FAILED", Reason: "no"}}
	type step struct {
		stage    Stage
		name     string
		failures []Failure
		err      error
	}
	cases := []struct {
		name  string
		steps []step
		want  []string // resource: what became of it
		bad   int      // Failed
	}{
		{"nothing", nil, []string{}, 0},
		{"all goes well", []step{{Prerequisites, "a", nil, nil}, {Central, "b", nil, nil}, {Guardrail, "c", nil, nil}}, []string{"a: done", "b: done", "c: done"}, 0},
		{"an error ends with its stage", []step{{Central, "a", nil, broken}, {Central, "b", nil, nil}, {Roles, "c", nil, nil}, {Guardrail, "d", nil, nil}}, []string{"a: broken", "b: done", "c: not begun", "d: not begun"}, 3},
		{"failures that are tolerated end nothing", []step{{Baseline, "a", failed, nil}, {Guardrail, "b", nil, nil}}, []string{"a: 1 failed", "b: done"}, 1},
		{"failures with an error end it", []step{{Baseline, "a", failed, broken}, {Guardrail, "b", nil, nil}}, []string{"a: broken, 1 failed", "b: not begun"}, 2},
		{"one after the other goes on after an error", []step{{Guardrail, "a", nil, broken}, {Guardrail, "b", nil, nil}}, []string{"a: broken", "b: done"}, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			var l log
			var tasks []Task
			for _, s := range c.steps {
				tasks = append(tasks, l.task(s.stage, s.name, s.failures, s.err))
			}
			res := Execute(t.Context(), tasks, 4, nil)
			got := []string{}
			ran := 0
			for _, o := range res.Outcomes {
				line := o.Change.Resource + ": "
				switch {
				case o.Skipped:
					line += "not begun"
				case o.Err != "" && len(o.Failures) > 0:
					line += fmt.Sprintf("%s, %d failed", o.Err, len(o.Failures))
				case o.Err != "":
					line += o.Err
				case len(o.Failures) > 0:
					line += fmt.Sprintf("%d failed", len(o.Failures))
				default:
					line += "done"
				}
				if !o.Skipped {
					ran++
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
			if res.Failed() != c.bad {
				t.Errorf("%d count as failed; want %d", res.Failed(), c.bad)
			}
			if len(l.lines) != ran {
				t.Errorf("ran %q; %d were to run", l.lines, ran)
			}
		})
	}
}

func TestHowManyRunAtOnce(t *testing.T) {
	cases := []struct {
		stage       Stage
		limit, want int32
	}{
		{Baseline, 3, 3}, {Baseline, 100, 6}, {Baseline, 0, 1}, {Central, 2, 2}, {Prerequisites, 4, 1}, {Guardrail, 4, 1}, {Repairs, 2, 2},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s with a limit of %d", c.stage, c.limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var now, most atomic.Int32
				tasks := make([]Task, 6)
				for i := range tasks {
					tasks[i] = Task{Change: Change{Stage: c.stage}, Apply: func(context.Context) ([]Failure, error) {
						n := now.Add(1)
						for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
						}
						<-time.After(time.Second) // of the bubble's clock
						now.Add(-1)
						return nil, nil
					}}
				}
				res := Execute(t.Context(), tasks, int(c.limit), nil)
				if most.Load() != c.want {
					t.Errorf("%d at once; want %d", most.Load(), c.want)
				}
				for _, o := range res.Outcomes {
					if o.Took != time.Second {
						t.Errorf("took %s", o.Took)
					}
				}
			})
		})
	}
}

// The SCP is the last thing of all: nothing of an earlier stage may still be under
// way.
func TestAStageWaitsForTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		slow := l.task(Baseline, "slow", nil, nil)
		run := slow.Apply
		slow.Apply = func(ctx context.Context) ([]Failure, error) {
			<-time.After(time.Hour) // of the bubble's clock
			return run(ctx)
		}
		Execute(t.Context(), []Task{slow, l.task(Baseline, "quick", nil, nil), l.task(Guardrail, "last", nil, nil)}, 8, nil)
		if diff := cmp.Diff([]string{"quick", "slow", "last"}, l.lines); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	})
}

func TestAnInterruptedExecutionBeginsNothingMore(t *testing.T) {
	var l log
	ctx, cancel := context.WithCancel(t.Context())
	stopping := Task{Change: Change{Stage: Central, Resource: "stops"}, Apply: func(ctx context.Context) ([]Failure, error) {
		cancel()
		return nil, ctx.Err()
	}}
	res := Execute(ctx, []Task{stopping, l.task(Central, "same stage", nil, nil), l.task(Roles, "next stage", nil, nil)}, 1, nil)
	if len(l.lines) != 0 {
		t.Errorf("%q ran after the interruption", l.lines)
	}
	for i, o := range res.Outcomes {
		if i > 0 && !o.Skipped {
			t.Errorf("%s is not reported as not begun", o.Change.Resource)
		}
	}
	if res.Outcomes[0].Err == "" || res.Failed() != 3 {
		t.Errorf("outcomes %+v", res.Outcomes)
	}
}

type hinted struct{ error }

func (hinted) Hint() string { return "try again" }

func TestHintsTravelWithTheOutcome(t *testing.T) {
	err := fmt.Errorf("deploy: %w", hinted{errors.New("no")})
	res := Execute(t.Context(), []Task{{Apply: func(context.Context) ([]Failure, error) { return nil, err }}}, 1, nil)
	if diff := cmp.Diff([]Outcome{{Err: "deploy: no", Hint: "try again"}}, res.Outcomes, cmpopts.IgnoreFields(Outcome{}, "Took")); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

// Events come one at a time and count up, whatever runs side by side.
func TestEventsTellTheProgress(t *testing.T) {
	var l log
	var tasks []Task
	for i := range 20 {
		tasks = append(tasks, l.task(Baseline, fmt.Sprint(i), nil, nil))
	}
	tasks = append(tasks, l.task(Repairs, "broken", nil, errors.New("no")), l.task(Guardrail, "never", nil, nil))
	begun, ended := map[string]bool{}, []int{}
	busy := false
	Execute(t.Context(), tasks, 8, func(e Event) {
		if busy {
			t.Error("two events at once")
		}
		busy = true
		defer func() { busy = false }()
		if e.Total != len(tasks) {
			t.Errorf("%d in all; want %d", e.Total, len(tasks))
		}
		if e.Outcome == nil {
			begun[e.Change.Resource] = true
			return
		}
		if !begun[e.Change.Resource] {
			t.Errorf("%s ended before it began", e.Change.Resource)
		}
		ended = append(ended, e.Done)
	})
	want := make([]int, 21)
	for i := range want {
		want[i] = i + 1
	}
	if diff := cmp.Diff(want, ended); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
	if begun["never"] {
		t.Error("a stage after an error was begun")
	}
}

func TestSortTasksKeepsTheOrderInsideAStage(t *testing.T) {
	var l log
	tasks := []Task{l.task(Guardrail, "e", nil, nil), l.task(Roles, "b", nil, nil), l.task(Prerequisites, "a", nil, nil), l.task(Roles, "c", nil, nil), l.task(Repairs, "d", nil, nil)}
	SortTasks(tasks)
	var got []string
	for _, c := range Changes(tasks) {
		got = append(got, c.Resource)
	}
	if want := []string{"a", "b", "c", "d", "e"}; !slices.Equal(want, got) {
		t.Errorf("order %q; want %q", got, want)
	}
}

func TestStagesHaveNames(t *testing.T) {
	for s := Prerequisites; s <= Guardrail; s++ {
		if s.String() == "" {
			t.Errorf("stage %d has no name", int(s))
		}
	}
}

func TestBlocked(t *testing.T) {
	p := Plan{Skipped: []Skip{{Blocked: true}, {}, {Blocked: true}}}
	if n := p.Blocked(); n != 2 {
		t.Errorf("%d; want 2", n)
	}
}
