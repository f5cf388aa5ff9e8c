package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs"
)

// Copy is a second place for journals, where other machines find them. Nothing in it
// is ever replaced or deleted.
type Copy interface {
	// Where names the place, for people.
	Where() string
	// Put adds an entry of a run, a whole line with its end. It returns when the
	// place has it for good, and it is an error when another entry of that number
	// is there already.
	Put(ctx context.Context, run string, seq int, line []byte) error
	// Get returns the entries of a run, one after the other; nothing when there is
	// no such run.
	Get(ctx context.Context, run string) ([]byte, error)
	// Runs returns every run with its first and its last entry.
	Runs(ctx context.Context) ([]Copied, error)
}

// Copied is a run of which there is a copy.
type Copied struct {
	Run         string
	First, Last []byte // lines with their ends
	Entries     int    // the number of the last one
}

// patience is how long an entry may take to reach the copy, retries included. It is
// not cut short by Ctrl-C: a write that was made is to be on record.
const patience = 2 * time.Minute

// Keeper is where the journals of an organization are kept: in a directory and, if
// there is a copy, there as well. Each entry is in the directory first and then in
// the copy, and what it announces begins only after both have it. So the copy knows
// of every write that was begun; what the directory alone can have is one entry, of
// a run that died between the two, and Continue makes up for it.
type Keeper struct {
	Dir  string
	Copy Copy // nil: there is only the directory
	Now  func() time.Time
}

// Create is the function of that name, with a copy.
func (k Keeper) Create(ctx context.Context, h Header) (*Journal, error) {
	if err := os.MkdirAll(k.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	lock, err := lockOrganization(k.Dir, h.Organization)
	if err != nil {
		return nil, err
	}
	j := k.journal(ctx, newRun(k.Now()), h)
	j.lock = lock
	name, err := file(k.Dir, j.run)
	if err == nil {
		j.f, err = os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	if err == nil {
		err = syncDir(k.Dir)
	}
	if err == nil {
		err = j.append(Entry{Phase: Open, Header: &h})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("journal: %w", err), j.Close())
	}
	return j, nil
}

func (k Keeper) journal(ctx context.Context, run string, h Header) *Journal {
	return &Journal{dir: k.Dir, copy: k.Copy, ctx: context.WithoutCancel(ctx), header: h, run: run, now: k.Now}
}

// Continue is the function of that name, with a copy: what one of the two places
// lacks is brought there first.
func (k Keeper) Continue(ctx context.Context, run string, h Header) (*Journal, Log, error) {
	name, err := file(k.Dir, run)
	if err != nil {
		return nil, Log{}, err
	}
	if err := os.MkdirAll(k.Dir, 0o700); err != nil {
		return nil, Log{}, fmt.Errorf("journal: %w", err)
	}
	lock, err := lockOrganization(k.Dir, h.Organization)
	if err != nil {
		return nil, Log{}, err
	}
	j := k.journal(ctx, run, h)
	j.lock = lock
	l, has, err := k.merged(ctx, run)
	if err == nil && l.Header().Organization != h.Organization {
		err = fmt.Errorf("run %s wrote to organization %s and this is %s", run, l.Header().Organization, h.Organization)
	}
	if err == nil {
		j.f, err = os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	text := ""
	if err == nil && l.Torn != "" {
		text = "taken off: " + l.Torn
		err = j.f.Truncate(int64(has.local))
	}
	if err == nil {
		err = k.even(j, has)
	}
	if err == nil {
		last := l.Entries[len(l.Entries)-1]
		j.seq, j.prev = last.Seq, last.Hash
		err = j.append(Entry{Phase: Reopen, Header: &h, Text: text})
	}
	if err != nil {
		return nil, l, errors.Join(err, j.Close())
	}
	return j, l, nil
}

// even brings what one of the two places lacks there.
func (k Keeper) even(j *Journal, has held) error {
	if missing := has.all[has.local:]; len(missing) > 0 {
		if _, err := j.f.Write(missing); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	if k.Copy == nil {
		return nil
	}
	seq := bytes.Count(has.all[:has.copied], []byte("\n"))
	for line := range bytes.Lines(has.all[has.copied:]) {
		seq++
		if err := j.put(seq, line); err != nil {
			return err
		}
	}
	return nil
}

// held is a journal as the two places have it.
type held struct {
	all           []byte // without a torn line
	local, copied int    // how much of it each of them has
}

// Read reads the journal of a run from wherever more of it is and verifies it, as
// the function of that name does. It is an error when the two places do not agree.
func (k Keeper) Read(ctx context.Context, run string) (Log, error) {
	l, _, err := k.merged(ctx, run)
	return l, err
}

func (k Keeper) merged(ctx context.Context, run string) (Log, held, error) {
	l, text, err := read(k.Dir, run)
	if k.Copy == nil || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, held{all: text, local: len(text)}, err
	}
	copied, cerr := k.Copy.Get(ctx, run)
	switch {
	case cerr != nil:
		return l, held{}, fmt.Errorf("journal of run %s in %s: %w", run, k.Copy.Where(), cerr)
	case err != nil && len(copied) == 0:
		return l, held{}, &orgs.Hinted{
			Err:  fmt.Errorf("there is no journal of run %s, neither in %s nor in %s", run, k.Dir, k.Copy.Where()),
			Next: "orgguard undo without --run lists the runs",
		}
	}
	has := held{all: text, local: len(text), copied: len(copied)}
	if len(copied) > len(text) {
		has.all = copied
	}
	if short := min(len(copied), len(text)); !bytes.Equal(copied[:short], text[:short]) {
		return l, held{}, &orgs.Hinted{
			Err:  fmt.Errorf("journal of run %s: %s and %s do not agree from line %d on", run, k.Dir, k.Copy.Where(), agree(copied, text)+1),
			Next: "one of them was changed, or another machine went on with the run: look at both; if the copy is right, move the local file away",
		}
	}
	if len(copied) <= len(text) {
		return l, has, nil
	}
	torn := l.Torn
	if l, err = parseRun(run, copied); err != nil {
		return l, has, fmt.Errorf("journal of run %s in %s: %w", run, k.Copy.Where(), err)
	}
	l.Torn = torn
	return l, has, nil
}

// agree is how many lines two texts have in common.
func agree(a, b []byte) int {
	n := 0
	for i := 0; i < min(len(a), len(b)) && a[i] == b[i]; i++ {
		if a[i] == '\n' {
			n++
		}
	}
	return n
}

// List lists the runs of both places, the newest first. Those that only the copy has
// are told by their first and last entries: how many of their writes failed is not
// known. With an error comes what is known all the same.
func (k Keeper) List(ctx context.Context) ([]Summary, error) {
	out, err := List(k.Dir)
	if err != nil || k.Copy == nil {
		return out, err
	}
	copied, err := k.Copy.Runs(ctx)
	for _, c := range copied {
		if slices.ContainsFunc(out, func(s Summary) bool { return s.Run == c.Run }) {
			continue
		}
		out = append(out, k.summary(c))
	}
	slices.SortStableFunc(out, func(a, b Summary) int { return strings.Compare(b.Run, a.Run) })
	if err != nil {
		err = fmt.Errorf("journals in %s: %w", k.Copy.Where(), err)
	}
	return out, err
}

// summary is a run of which only the copy knows.
func (k Keeper) summary(c Copied) Summary {
	s := Summary{Run: c.Run, Place: k.Copy.Where(), Entries: c.Entries}
	first, err := parseLine(bytes.TrimSuffix(c.First, []byte("\n")))
	if err == nil && first.Header == nil {
		err = errors.New("a journal begins with an open entry")
	}
	last, lerr := parseLine(bytes.TrimSuffix(c.Last, []byte("\n")))
	switch {
	case err != nil:
		s.Problem = (&DamageError{1, err}).Error()
		return s
	case lerr != nil:
		s.Problem = (&DamageError{c.Entries, lerr}).Error()
		return s
	}
	s.Began, s.Last, s.Command, s.Who, s.Organization = first.Time, last.Time, first.Command, first.Who, first.Header.Organization
	if last.Phase == End {
		s.Outcome = last.Text
	}
	return s
}
