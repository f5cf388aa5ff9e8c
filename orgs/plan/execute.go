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
	// Was is what the change finds in place, in full: what the journal keeps
	// and an undo puts back. The plan's own Before is what people read.
	Was any
}

// Changes are the changes of tasks, in their order.
func Changes(tasks []Task) []Change {
	out := make([]Change, len(tasks))
	for i, t := range tasks {
		out[i] = t.Change
	}
	return out
}

// SortTasks puts tasks into the order in which a rollout carries them out: what
// comes before the waves, wave after wave in the order of the stages, what comes
// after them. The order inside a stage stays.
func SortTasks(tasks []Task) {
	slices.SortStableFunc(tasks, func(a, b Task) int {
		return cmp.Or(cmp.Compare(a.epoch(), b.epoch()), cmp.Compare(a.Wave, b.Wave), cmp.Compare(a.Stage, b.Stage))
	})
}

// epoch is before the waves, in them, or after them.
func (c Change) epoch() int {
	switch c.Stage {
	case Prerequisites, Central:
		return 0
	case Guardrail:
		return 2
	}
	return 1
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

// Execution says how tasks are carried out.
type Execution struct {
	// Limit is how many changes are under way at once inside a stage.
	Limit int
	// Observe is called for every event, one at a time; may be nil.
	Observe func(Event)
	// AfterWave is called when the changes of a wave are made, with what became
	// of them, and says how the wave ended. A status other than WaveVerified
	// ends the rollout there. left is how many changes are still to come. nil
	// takes every wave for verified.
	AfterWave func(ctx context.Context, wave int, outcomes []Outcome, left int) WaveOutcome
}

// Execute carries tasks out, stage by stage, at most limit at once inside a
// stage. A stage in which a task ends with an error is the last one; the tasks
// after it are reported as not begun. So are those that ctx ends. observe is
// called for every event, one at a time.
func Execute(ctx context.Context, tasks []Task, limit int, observe func(Event)) Result {
	return Execution{Limit: limit, Observe: observe}.Run(ctx, tasks)
}

// Run carries tasks out in their order: those of one wave and stage side by side,
// and nothing of the next before all of them have ended. An error ends the run
// after its stage, and so does a wave that does not end well.
func (e Execution) Run(ctx context.Context, tasks []Task) Result {
	r := runner{Execution: e, tasks: tasks, res: Result{Outcomes: make([]Outcome, len(tasks))}}
	waveFrom := 0
	for from := 0; from < len(tasks); {
		to := from
		for to < len(tasks) && tasks[to].Stage == tasks[from].Stage && tasks[to].Wave == tasks[from].Wave {
			to++
		}
		if from == 0 || tasks[from].Wave != tasks[from-1].Wave {
			waveFrom = from
		}
		r.stage(ctx, from, to)
		if wave := tasks[from].Wave; wave > 0 && (to == len(tasks) || tasks[to].Wave != wave) {
			r.endWave(ctx, wave, waveFrom, to)
		}
		from = to
	}
	return r.res
}

type runner struct {
	Execution
	tasks []Task
	res   Result

	mu      sync.Mutex
	done    int
	stopped bool
}

// tell reports an event.
func (r *runner) tell(i int, o *Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o != nil {
		r.done++
	}
	if r.Observe != nil {
		r.Observe(Event{Change: r.tasks[i].Change, Outcome: o, Done: r.done, Total: len(r.tasks)})
	}
}

// stage carries out tasks that may run side by side.
func (r *runner) stage(ctx context.Context, from, to int) {
	var g errgroup.Group
	g.SetLimit(max(1, r.Limit))
	if serial[r.tasks[from].Stage] {
		g.SetLimit(1)
	}
	for i := from; i < to; i++ {
		r.res.Outcomes[i] = Outcome{Change: r.tasks[i].Change, Skipped: true}
		if r.stopped || ctx.Err() != nil {
			continue
		}
		g.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			r.tell(i, nil)
			o := run(ctx, r.tasks[i])
			r.res.Outcomes[i] = o
			r.tell(i, &o)
			if o.Err != "" {
				return errors.New(o.Err)
			}
			return nil
		})
	}
	if g.Wait() != nil {
		r.stopped = true
	}
}

// endWave says how a wave ended.
func (r *runner) endWave(ctx context.Context, wave, from, to int) {
	outcomes := r.res.Outcomes[from:to]
	w := WaveOutcome{Number: wave, Status: WaveVerified}
	switch {
	case !slices.ContainsFunc(outcomes, func(o Outcome) bool { return !o.Skipped }):
		w.Status = WaveNotBegun
	case r.stopped:
		w.Status, w.Reason = WaveFailed, "one of its changes failed"
	case ctx.Err() != nil:
		w.Status, w.Reason = WaveFailed, "interrupted before it was verified"
	case r.AfterWave != nil:
		w = r.AfterWave(ctx, wave, outcomes, len(r.tasks)-to)
	}
	r.res.Waves = append(r.res.Waves, w)
	if w.Status != WaveVerified {
		r.stopped = true
	}
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
