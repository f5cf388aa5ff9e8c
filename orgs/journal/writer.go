package journal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
)

// Dir is where journals are kept unless told otherwise.
const Dir = ".orgguard/journal"

const suffix = ".jsonl"

// runName is what a run's id looks like; it is a part of a file name.
var runName = orgs.NewPattern(`^[0-9]{8}-[0-9]{6}-[0-9a-f]{6}$`)

// organizationName keeps the name of a lock file harmless.
var organizationName = orgs.NewPattern(`^[A-Za-z0-9-]{1,64}$`)

// file is where the journal of a run is, or why there can be none.
func file(dir, run string) (string, error) {
	if !runName.MatchString(run) {
		return "", &orgs.Hinted{Err: fmt.Errorf("%q is not the id of a run", run), Next: "ids look like 20261128-073537-1a2b3c: ls " + dir}
	}
	return filepath.Join(dir, run+suffix), nil
}

// Journal is the journal of a run that is under way. It is safe for concurrent
// use.
type Journal struct {
	mu     sync.Mutex
	f      *os.File
	lock   *flock.Flock
	dir    string
	copy   Copy            // nil: there is none
	ctx    context.Context // for calls to the copy; never canceled
	run    string
	header Header
	seq    int
	prev   string
	broken error // why nothing can be written any more
	now    func() time.Time
}

// Create begins the journal of a new run. In an organization one run writes at a
// time: another journal of it that is open, by another process too, is an error.
func Create(dir string, h Header, now func() time.Time) (*Journal, error) {
	return Keeper{Dir: dir, Now: now}.Create(context.Background(), h)
}

// Continue goes on with the journal of a run that was cut short, and returns what
// is in it. A half-written last line is taken off and said so in the new entry.
func Continue(dir, run string, h Header, now func() time.Time) (*Journal, Log, error) {
	return Keeper{Dir: dir, Now: now}.Continue(context.Background(), run, h)
}

// newRun names a run by its time, so that names sort, and a few random digits.
func newRun(now time.Time) string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails
	return now.UTC().Format("20060102-150405-") + hex.EncodeToString(b[:])
}

// lockOrganization makes sure that one run at a time writes to an organization
// from this directory.
func lockOrganization(dir, organization string) (*flock.Flock, error) {
	if !organizationName.MatchString(organization) {
		return nil, fmt.Errorf("journal: %q is not an organization's id", organization)
	}
	lock := flock.New(filepath.Join(dir, organization+".lock"), flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("journal: lock: %w", err)
	}
	if !ok {
		return nil, &orgs.Hinted{
			Err:  fmt.Errorf("another run is writing to organization %s: %s is locked", organization, lock.Path()),
			Next: "wait until it is done; the newest journal in " + dir + " is its",
		}
	}
	return lock, nil
}

// syncDir makes the name of a new file survive a crash. Windows cannot, and need
// not, sync a directory.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Run is the run's id.
func (j *Journal) Run() string { return j.run }

// Dir is the folder it is in.
func (j *Journal) Dir() string { return j.dir }

// append writes an entry and waits until the disk has it.
func (j *Journal) append(e Entry) error {
	_, err := j.write(e)
	return err
}

func (j *Journal) write(e Entry) (seq int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return 0, j.broken
	}
	e.Schema, e.Run, e.Seq, e.Time, e.Prev = Schema, j.run, j.seq+1, j.now().UTC(), j.prev
	e.Command, e.Who = j.header.Command, j.header.Who
	text, hash, err := e.line()
	if err != nil {
		return 0, err
	}
	if _, err = j.f.Write(text); err == nil {
		err = j.f.Sync()
	}
	if err != nil {
		// The line may be there in part: what would follow it could not be read.
		j.broken = &orgs.Hinted{Err: fmt.Errorf("write the journal: %w", err), Next: "nothing more was changed, for it could not be undone: make room on the disk, then run it again"}
		return 0, j.broken
	}
	j.seq, j.prev = e.Seq, hash
	if err := j.put(e.Seq, text); err != nil {
		j.broken = err
		return 0, err
	}
	return e.Seq, nil
}

// put brings an entry into the copy, if there is one. A run that cannot keep the
// journal it was told to keep does not go on: whoever relies on the copy would look
// in vain for what was changed.
func (j *Journal) put(seq int, line []byte) error {
	if j.copy == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(j.ctx, patience)
	defer cancel()
	if err := j.copy.Put(ctx, j.run, seq, line); err != nil {
		next := "let it be written"
		var known interface{ Hint() string }
		if errors.As(err, &known) {
			next = known.Hint()
		}
		return &orgs.Hinted{
			Err:  fmt.Errorf("write entry %d of the journal of run %s to %s, nothing more was changed: %w", seq, j.run, j.copy.Where(), err),
			Next: next + "; or take journal out of the configuration; then run it again (what was written is in " + j.dir + " as well)",
		}
	}
	return nil
}

// Step is a write that has begun.
type Step struct {
	j  *Journal
	of int
}

// Begin records that a change is about to be made. When it returns an error the
// change must not be made.
func (j *Journal) Begin(c plan.Change) (*Step, error) { return j.begin(c, nil) }

func (j *Journal) begin(c plan.Change, was any) (*Step, error) {
	seq, err := j.write(Entry{Phase: Begin, Change: &c, Was: was})
	if err != nil {
		return nil, err
	}
	return &Step{j: j, of: seq}, nil
}

// Done records that the change was made. Result is what was not known before,
// such as the id of something new; nil for nothing. Failures are where it did not
// succeed while the rest did.
func (s *Step) Done(result any, failures ...plan.Failure) error {
	return s.j.append(Entry{Phase: Done, Of: s.of, Result: result, Failures: failures})
}

// Failed records that the change failed, or that nobody knows.
func (s *Step) Failed(cause error, failures ...plan.Failure) error {
	return s.j.append(Entry{Phase: Failed, Of: s.of, Text: cause.Error(), Failures: failures})
}

// Note records something about the run that is not a write: a wave begins, a
// verification failed. Result is its data, or nil.
func (j *Journal) Note(text string, result any) error {
	return j.append(Entry{Phase: Note, Text: text, Result: result})
}

// End records that the run is over, and how.
func (j *Journal) End(outcome string) error { return j.append(Entry{Phase: End, Text: outcome}) }

// Close closes the journal and lets the next run begin.
func (j *Journal) Close() error {
	var err error
	if j.f != nil {
		err = j.f.Close()
	}
	return errors.Join(err, j.lock.Unlock())
}

// Tasks are tasks that journal themselves: each before and after it runs.
func (j *Journal) Tasks(tasks []plan.Task) []plan.Task {
	out := make([]plan.Task, len(tasks))
	for i, t := range tasks {
		out[i] = j.task(t)
	}
	return out
}

func (j *Journal) task(t plan.Task) plan.Task {
	apply := t.Apply
	t.Apply = func(ctx context.Context) ([]plan.Failure, error) {
		step, err := j.begin(t.Change, t.Was)
		if err != nil {
			return nil, err
		}
		failures, err := apply(ctx)
		if err != nil {
			return failures, errors.Join(err, step.Failed(err, failures...))
		}
		// Made but not recorded is as bad as failed: nothing may follow.
		return failures, step.Done(nil, failures...)
	}
	return t
}
