package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/reports/history"
)

// Events about accounts come in bursts: a script that stops twelve recorders is twelve
// events of one account, and an administrator's mistake a thousand of a thousand. So
// their audits take turns. One invocation at a time audits; the others write down which
// account they were told of, and are done. Whoever audits takes all accounts that wait,
// and looks again when it is done: what happens while an account is audited is audited
// after it. A burst is two or three audits, whatever its length, and nothing that happens
// is left out.
//
// What is written down is one object beside the history, replaced only where it still is
// what was read. That takes no queue, no table and no rights that the job has not got.

// turns is that object.
type turns struct {
	// Running is the invocation that audits; nil for none.
	Running *turn `json:"running,omitempty"`
	// Waiting are the accounts that are to be audited.
	Waiting []string `json:"waiting,omitempty"`
	// Audited is when the last audit of an account began that came to its end. What
	// happened before that needs no other.
	Audited map[string]time.Time `json:"audited,omitempty"`
}

// turn is an invocation at work.
type turn struct {
	Owner    string    `json:"owner"`
	Began    time.Time `json:"began"`
	Until    time.Time `json:"until"` // the invocation is dead by then
	Accounts []string  `json:"accounts"`
}

const (
	turnsObject = "turns.json"
	// settleTime is how long after something happened an audit may begin and see it: the
	// times of CloudTrail have no fractions of a second, and what AWS answers lags behind.
	// It also makes one audit of what happens at once.
	settleTime = 5 * time.Second
	// turnMemory is how long it is kept when accounts were audited: events are not late
	// by more, and Lambda gives up on those that are.
	turnMemory = 2 * time.Hour
	// turnLength is how long an invocation lasts at most, where Lambda does not say.
	turnLength = 15 * time.Minute
)

func readTurns(b []byte) (t turns, err error) {
	if len(b) > 0 {
		if err = json.Unmarshal(b, &t); err != nil {
			return t, fmt.Errorf("%s is no JSON: %w", turnsObject, err)
		}
	}
	if t.Audited == nil {
		t.Audited = map[string]time.Time{}
	}
	return t, nil
}

// told takes down accounts in which something happened, but for those that were audited,
// or are being audited, by an audit that began when it could be seen.
func (t *turns) told(accounts []string, seen, now time.Time) {
	began := t.Audited
	if r := t.Running; r != nil && now.Before(r.Until) {
		began = maps.Clone(began)
		for _, a := range r.Accounts {
			began[a] = r.Began
		}
	}
	for _, a := range accounts {
		if began[a].Before(seen) {
			t.wait(a)
		}
	}
}

func (t *turns) wait(accounts ...string) {
	t.Waiting = append(t.Waiting, accounts...)
	slices.Sort(t.Waiting)
	t.Waiting = slices.Compact(t.Waiting)
}

// take gives an invocation the accounts that it is to audit now: none while another one
// is at work, or where nothing is to be done. One that did not come back leaves its
// accounts to the next, and one that is tried again goes on with its own.
func (t *turns) take(owner string, now, until time.Time) []string {
	if r := t.Running; r != nil {
		if r.Owner != owner && now.Before(r.Until) {
			return nil
		}
		t.wait(r.Accounts...)
		t.Running = nil
	}
	maps.DeleteFunc(t.Audited, func(_ string, at time.Time) bool { return now.Sub(at) > turnMemory })
	n := min(len(t.Waiting), maxJobAccounts)
	if n == 0 {
		return nil
	}
	t.Running = &turn{Owner: owner, Began: now, Until: until, Accounts: slices.Clone(t.Waiting[:n])}
	t.Waiting = slices.Clone(t.Waiting[n:])
	return t.Running.Accounts
}

// done ends an invocation's turn. Accounts that could not be audited wait on, unless
// trying again would not help.
func (t *turns) done(owner string, audited, again []string) {
	if t.Running == nil || t.Running.Owner != owner {
		return // it took too long, and another one does it
	}
	for _, a := range audited {
		t.Audited[a] = t.Running.Began
	}
	t.Running = nil
	t.wait(again...)
}

// turnKeeper keeps the turns.
type turnKeeper struct {
	objects history.Objects
	now     func() time.Time
}

func (k turnKeeper) change(ctx context.Context, fn func(*turns, time.Time)) error {
	return history.Update(context.WithoutCancel(ctx), k.objects, turnsObject, func(old []byte) ([]byte, error) {
		t, err := readTurns(old)
		if err != nil {
			return nil, err
		}
		fn(&t, k.now().UTC())
		b, err := json.Marshal(t)
		return b, err
	})
}

// inTurn audits the accounts of a job that an event began, when it is its turn, and
// those of the others that come meanwhile.
func (f *function) inTurn(ctx context.Context, j job, audit func(context.Context, []string) (done, error)) (out done, err error) {
	s := &session{globals: f.globals, streams: f.streams, now: time.Now}
	defer func() { err = errors.Join(err, s.close()) }()
	objects, err := s.bucketAt(ctx, f.state)
	if err != nil {
		return done{}, failed(err)
	}
	k := turnKeeper{objects, time.Now}
	owner := rand.Text()
	if lc, ok := lambdacontext.FromContext(ctx); ok && lc.AwsRequestID != "" {
		owner = lc.AwsRequestID // the same when Lambda tries an event again
	}
	after, _ := time.Parse(time.RFC3339, j.After) // checked
	seen, told := after.Add(f.settle), j.Accounts
	if err := orgs.Pause(ctx, min(f.settle, max(0, time.Until(seen)))); err != nil {
		return done{}, failed(err)
	}
	for round := 0; ; round++ {
		var mine []string
		err := k.change(ctx, func(t *turns, now time.Time) {
			until := now.Add(turnLength)
			if deadline, ok := ctx.Deadline(); ok {
				until = deadline.Add(2 * f.margin)
			}
			t.told(told, seen, now)
			mine = t.take(owner, now, until)
		})
		told = nil // it stands there now
		switch {
		case err != nil:
			return done{}, failed(err)
		case len(mine) == 0 && round == 0:
			out.Skipped = "another audit sees it, or is to"
			return out, nil
		case len(mine) == 0:
			return out, nil
		}
		if err := f.round(ctx, k, owner, mine, &out, audit); err != nil {
			return done{}, err
		}
		if ctx.Err() != nil {
			return done{}, &AuditFailed{"the time is up, and accounts may wait: the next event goes on with them"}
		}
	}
}

// round audits accounts together; where one of them makes that impossible, each by
// itself.
func (f *function) round(ctx context.Context, k turnKeeper, owner string, mine []string, out *done, audit func(context.Context, []string) (done, error)) error {
	groups := [][]string{mine}
	var audited, again []string
	var problems []error
	for len(groups) > 0 {
		group := groups[0]
		groups = groups[1:]
		d, err := audit(ctx, group)
		var bad *BadConfiguration
		switch {
		case err == nil:
			audited = append(audited, group...)
			out.add(d)
		case errors.As(err, &bad) && len(group) > 1:
			for _, a := range group {
				groups = append(groups, []string{a})
			}
		case errors.As(err, &bad):
			problems = append(problems, err) // not again: it would be the same
		default:
			again = append(again, group...)
			problems = append(problems, err)
		}
	}
	if err := k.change(ctx, func(t *turns, _ time.Time) { t.done(owner, audited, again) }); err != nil {
		problems = append(problems, failed(err))
	}
	if len(problems) < 2 {
		return errors.Join(problems...) //nolint:wrapcheck // one or none
	}
	return failed(errors.Join(problems...))
}

// add puts the answer of another audit to that of those before. One of accounts in which
// nothing holds is none.
func (d *done) add(o done) {
	if o.Skipped != "" {
		if d.Audits == 0 {
			d.Skipped = o.Skipped
		}
		return
	}
	d.Skipped = ""
	d.Code = max(d.Code, o.Code)
	d.Drift += o.Drift
	d.NotAssessed += o.NotAssessed
	d.Accounts += o.Accounts
	d.Interrupted = d.Interrupted || o.Interrupted
	d.Audits++
	d.Changes = cmp.Or(o.Changes, d.Changes)
}

// afterOf is the time of an event of EventBridge, as it says; now where it says none.
func afterOf(text string) string {
	if _, err := time.Parse(time.RFC3339, text); err != nil {
		return time.Now().UTC().Format(time.RFC3339)
	}
	return text
}
