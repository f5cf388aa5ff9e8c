package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp/preview"
)

// DefaultPatience is enough for AWS Organizations to show a change: it takes
// seconds, and promises nothing.
const DefaultPatience = 30 * time.Second

// Options say how a Runner works.
type Options struct {
	Pool        *access.Pool
	Org         *orgs.Organization
	Policy      Policy // as it is before the run
	Description string // of a policy that is made
	Control     string
	// Judge is what guarded roles are judged by after every wave. Without
	// Guards only the policy itself is looked at. Its Attached is read before the
	// first write when it is empty.
	Judge preview.Input
	// Patience is how long a wave may take to show; AWS Organizations is
	// eventually consistent.
	Patience time.Duration
	// Probe makes a harmless call in an account of each wave; nil makes none.
	Probe *Probe
	// Keep leaves a wave that does not stand up to the look as it is: an undo
	// is not to bring back what it undoes.
	Keep bool
	// Say is told what is going on; may be nil.
	Say func(string)
}

// Runner carries waves out.
type Runner struct {
	opts    Options
	w       writer
	maker   maker
	journal *journal.Journal // nil: nothing is recorded
	want    Policy           // what the writes so far should have made
	off     map[string]bool  // what the run took the policy off
	begun   bool
	failed  error
	waves   []WaveResult
	made    []plan.Change // of the wave under way, by this run
	skip    map[int]bool  // waves that are done and verified
	before  []plan.Change // what the run made before it was cut short
}

// NewRunner makes a runner.
func NewRunner(o Options) *Runner {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	r := &Runner{
		opts:  o,
		maker: maker{org: o.Org, policy: o.Policy.Name, control: o.Control},
		w:     writer{scps: preview.SCPs(o.Pool, o.Org), policy: o.Policy.Name, description: o.Description, id: o.Policy.ID},
		want:  o.Policy,
		skip:  map[int]bool{}, off: map[string]bool{},
	}
	r.want.Targets = slices.Clone(r.want.Targets)
	return r
}

// Record sets the journal into which the runner writes what it does beside its
// tasks: the writes of a rollback, and how waves ended. The tasks themselves are
// journaled by whoever runs them.
func (r *Runner) Record(j *journal.Journal) { r.journal = j }

// WaveStatus is how a wave ended.
type WaveStatus string

// The statuses of a wave.
const (
	Verified    WaveStatus = "verified"
	RolledBack  WaveStatus = "rolled_back"
	WaveFailed  WaveStatus = "failed"      // and it could not, or was not to, be rolled back
	Interrupted WaveStatus = "interrupted" // as it is, to go on with or to undo
	NotBegun    WaveStatus = "not_begun"
	Unknown     WaveStatus = "" // under way
)

// WaveResult is what became of a wave.
type WaveResult struct {
	Number   int             `json:"number"`
	Name     string          `json:"name"`
	Accounts int             `json:"accounts"`
	Status   WaveStatus      `json:"status"`
	Outcomes []plan.Outcome  `json:"outcomes"`
	Checks   []preview.Check `json:"checks"`
	// Back is what was taken back.
	Back []plan.Outcome `json:"rolled_back"`
}

// Resume goes on with a run that was cut short: waves that it has verified are left
// out, and a wave under way is rolled back with what the run made of it before.
func (r *Runner) Resume(l journal.Log) {
	r.before = Made(l)
	for _, n := range VerifiedWaves(l) {
		r.skip[n] = true
	}
}

// earlier are the changes of a wave that the run made before it was cut short.
func (r *Runner) earlier(w Wave) []plan.Change {
	var out []plan.Change
	for _, c := range r.before {
		if slices.ContainsFunc(w.Changes, func(x plan.Change) bool { return nameOf(x) == nameOf(c) }) {
			out = append(out, c)
		}
	}
	return out
}

// Tasks are the tasks that carry the waves out, one for each change. They must run
// one after the other, in this order. After one has failed the others say that they
// were not begun.
func (r *Runner) Tasks(waves []Wave) []plan.Task {
	r.waves = make([]WaveResult, len(waves))
	var out []plan.Task
	for i, w := range waves {
		r.waves[i] = notBegun(w)
		if r.skip[w.Number] {
			r.waves[i].Status = Verified
			for _, c := range w.Changes {
				r.expect(c)
			}
			continue
		}
		for k, c := range w.Changes {
			last := k == len(w.Changes)-1
			out = append(out, plan.Task{Change: c, Apply: func(ctx context.Context) ([]plan.Failure, error) {
				return nil, r.step(ctx, &r.waves[i], w, c, last)
			}})
		}
	}
	return out
}

// NotBegunError is why a change was not begun.
type NotBegunError struct{ Cause error }

func (e *NotBegunError) Error() string { return "not begun: " + e.Cause.Error() }
func (e *NotBegunError) Unwrap() error { return e.Cause }

// step makes one change, and after the last one of a wave looks at the wave.
func (r *Runner) step(ctx context.Context, res *WaveResult, w Wave, c plan.Change, last bool) error {
	if r.failed != nil {
		return &NotBegunError{r.failed}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if res.Status == NotBegun {
		r.opts.Say(fmt.Sprintf("%s, wave %d, %s", r.want.Name, w.Number, w.Name))
		res.Status, r.made = Unknown, r.earlier(w)
	}
	if err := r.begin(ctx); err != nil {
		return r.fail(ctx, res, w, err)
	}
	already, err := r.w.make(ctx, r.opts.Org, c)
	if already {
		err = r.note(alreadyNote, nameOf(c))
	} else {
		// One that failed may have been made all the same.
		r.made = append(r.made, c)
	}
	if err != nil {
		return r.fail(ctx, res, w, err)
	}
	r.expect(c)
	if !last {
		return nil
	}
	checks, err := r.verify(ctx, w)
	res.Checks = checks
	if err != nil {
		return r.fail(ctx, res, w, fmt.Errorf("verify wave %d, %s: %w", w.Number, w.Name, err))
	}
	res.Status = Verified
	r.opts.Say(fmt.Sprintf("%s, wave %d, %s: done and verified", r.want.Name, w.Number, w.Name))
	return r.note(verifiedNote, w.Number)
}

// verifiedNote is what the journal says of a wave that stood up to the look.
const verifiedNote = "wave verified"

func (r *Runner) note(text string, data any) error {
	if r.journal == nil {
		return nil
	}
	return r.journal.Note(text, data)
}

// begin reads what guarded roles are compared with, once.
func (r *Runner) begin(ctx context.Context) error {
	if r.begun || len(r.opts.Judge.Guards) == 0 || r.opts.Judge.Attached.Policies != nil {
		r.begun = true
		return nil
	}
	in := &r.opts.Judge
	var err error
	if in.Attached, err = preview.ReadAttachments(ctx, r.opts.Pool, r.opts.Org, in.GeneratedAt); err == nil {
		err = in.Attached.ReadDocuments(ctx, r.opts.Pool, r.opts.Org, in.Change)
	}
	if err != nil {
		in.Attached.Policies = nil
		return fmt.Errorf("read what is attached before the first write: %w", err)
	}
	r.begun = true
	return nil
}

// expect notes what a change should have made.
func (r *Runner) expect(c plan.Change) {
	before, after, err := sides(c)
	if err != nil {
		return // it could not have been made
	}
	switch c.Verb {
	case plan.Attach:
		r.want.Targets = sorted(append(r.want.Targets, after.Target))
		delete(r.off, after.Target)
	case plan.Detach:
		r.want.Targets = slices.DeleteFunc(r.want.Targets, func(t string) bool { return t == before.Target })
		r.off[before.Target] = true
	default:
		r.want.Content = after.Content
	}
}

// fail ends the run: the wave is rolled back, unless the run was interrupted.
func (r *Runner) fail(ctx context.Context, res *WaveResult, w Wave, cause error) error {
	r.failed = fmt.Errorf("wave %d, %s, failed", w.Number, w.Name)
	switch {
	case ctx.Err() != nil:
		res.Status = Interrupted
		return cause
	case r.opts.Keep:
		res.Status = WaveFailed
		return cause
	}
	res.Status = RolledBack
	r.opts.Say(fmt.Sprintf("%s, wave %d, %s: it failed and is rolled back", r.want.Name, w.Number, w.Name))
	problems := []error{cause}
	for _, c := range slices.Backward(r.made) {
		back, err := r.maker.inverse(c)
		if err == nil {
			err = r.takeBack(ctx, res, back)
		}
		if err != nil {
			res.Status = WaveFailed
			problems = append(problems, fmt.Errorf("roll back: %w", err))
		}
	}
	if res.Status == RolledBack {
		problems = append(problems, r.note("wave rolled back", w.Number))
	}
	return errors.Join(problems...)
}

// takeBack makes a change of a rollback, in the journal like any other.
func (r *Runner) takeBack(ctx context.Context, res *WaveResult, c plan.Change) error {
	start := time.Now()
	var already bool
	var err error
	apply := func(ctx context.Context) ([]plan.Failure, error) {
		already, err = r.w.make(ctx, r.opts.Org, c)
		return nil, err
	}
	if r.journal != nil {
		apply = r.journal.Tasks([]plan.Task{{Change: c, Apply: apply}})[0].Apply
	}
	_, err = apply(ctx)
	if already && err == nil {
		return r.note(alreadyNote, nameOf(c)) // it had not been made
	}
	o := plan.Outcome{Change: c, Took: time.Since(start)}
	if err != nil {
		o.Err = err.Error()
	} else {
		r.expect(c)
	}
	res.Back = append(res.Back, o)
	return err
}

// Result puts what a run did together, from what became of its tasks.
func (r *Runner) Result(waves []Wave, res plan.Result) []WaveResult {
	k := 0
	for i, w := range waves {
		if r.skip[w.Number] {
			continue
		}
		for range w.Changes {
			if k < len(res.Outcomes) {
				r.waves[i].Outcomes = append(r.waves[i].Outcomes, res.Outcomes[k])
				k++
			}
		}
		if r.waves[i].Status == Unknown {
			r.waves[i].Status = Interrupted // between two of its writes
		}
	}
	return r.waves
}
