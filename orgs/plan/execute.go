package plan

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Task is a change together with the code that carries it out. The change is what
// is shown, saved and compared; the code never leaves the process.
type Task struct {
	Change
	// Apply makes the change and checks that it took. Failures are accounts ×
	// Regions where it did not, while the rest went well; the error means
	// that what follows must not begin.
	Apply func(ctx context.Context) ([]Failure, error)
}

// Changes are the changes of tasks, in their order.
func Changes(tasks []Task) []Change {
	out := make([]Change, len(tasks))
	for i, t := range tasks {
		out[i] = t.Change
	}
	return out
}

// SortTasks puts tasks into the order of their stages, keeping the order inside
// a stage.
func SortTasks(tasks []Task) {
	slices.SortStableFunc(tasks, func(a, b Task) int { return cmp.Compare(a.Stage, b.Stage) })
}

// serial are the stages whose tasks run one after the other: AWS Organizations
// takes one write at a time.
var serial = map[Stage]bool{Prerequisites: true, Guardrail: true}

// Event tells what an execution is doing.
type Event struct {
	Change  Change
	Outcome *Outcome // nil: begins
	Done    int      // changes ended so far, this one included
	Total   int
}

// Execute carries tasks out, stage by stage, at most limit at once inside a
// stage. A stage in which a task ends with an error is the last one; the tasks
// after it are reported as not begun. So are those that ctx ends. observe is
// called for every event, one at a time.
func Execute(ctx context.Context, tasks []Task, limit int, observe func(Event)) Result {
	res := Result{Outcomes: make([]Outcome, len(tasks))}
	var mu sync.Mutex
	done := 0
	tell := func(i int, o *Outcome) {
		mu.Lock()
		defer mu.Unlock()
		if o != nil {
			done++
		}
		if observe != nil {
			observe(Event{Change: tasks[i].Change, Outcome: o, Done: done, Total: len(tasks)})
		}
	}
	stopped := false
	for from := 0; from < len(tasks); {
		to := from
		for to < len(tasks) && tasks[to].Stage == tasks[from].Stage {
			to++
		}
		var g errgroup.Group
		g.SetLimit(max(1, limit))
		if serial[tasks[from].Stage] {
			g.SetLimit(1)
		}
		for i := from; i < to; i++ {
			res.Outcomes[i] = Outcome{Change: tasks[i].Change, Skipped: true}
			if stopped || ctx.Err() != nil {
				continue
			}
			g.Go(func() error {
				if ctx.Err() != nil {
					return nil
				}
				tell(i, nil)
				o := run(ctx, tasks[i])
				res.Outcomes[i] = o
				tell(i, &o)
				if o.Err != "" {
					return errors.New(o.Err)
				}
				return nil
			})
		}
		if g.Wait() != nil {
			stopped = true
		}
		from = to
	}
	return res
}

// run carries one task out.
func run(ctx context.Context, t Task) Outcome {
	start := time.Now()
	failures, err := t.Apply(ctx)
	o := Outcome{Change: t.Change, Failures: failures, Took: time.Since(start)}
	if err != nil {
		o.Err = err.Error()
		var hinted interface{ Hint() string }
		if errors.As(err, &hinted) {
			o.Hint = hinted.Hint()
		}
	}
	return o
}
