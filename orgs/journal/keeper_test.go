package journal

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shelf is a copy in memory. It fails from entry failAt on.
type shelf struct {
	lines  map[string][][]byte
	failAt int
}

func (s *shelf) Where() string { return "the shelf" }

func (s *shelf) Put(ctx context.Context, run string, seq int, line []byte) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.failAt > 0 && seq >= s.failAt:
		return errors.New("no room")
	case len(s.lines[run]) != seq-1:
		return errors.New("not the next one")
	}
	s.lines[run] = append(s.lines[run], bytes.Clone(line))
	return nil
}

func (s *shelf) Get(_ context.Context, run string) ([]byte, error) {
	return bytes.Join(s.lines[run], nil), nil
}

func (s *shelf) Runs(context.Context) ([]Copied, error) {
	var out []Copied
	for run, lines := range s.lines {
		out = append(out, Copied{Run: run, First: lines[0], Last: lines[len(lines)-1], Entries: len(lines)})
	}
	return out, nil
}

func keeper(t *testing.T) (Keeper, *shelf) {
	t.Helper()
	s := &shelf{lines: map[string][][]byte{}}
	return Keeper{Dir: filepath.Join(t.TempDir(), "journal"), Copy: s, Now: clock}, s
}

func TestTheCopyHasEveryEntryAndIsReadFromAnotherMachine(t *testing.T) {
	k, _ := keeper(t)
	ctx, cancel := context.WithCancel(t.Context())
	j, err := k.Create(ctx, header)
	must(t, err)
	step, err := j.Begin(update)
	must(t, err)
	cancel() // Ctrl-C: what was made is recorded all the same
	must(t, step.Done(nil), j.End("done"), j.Close())
	here, err := k.Read(t.Context(), j.Run())
	must(t, err)
	there := Keeper{Dir: filepath.Join(t.TempDir(), "elsewhere"), Copy: k.Copy, Now: clock}
	l, err := there.Read(t.Context(), j.Run())
	must(t, err)
	if diff := cmp.Diff(here.Entries, l.Entries); diff != "" || len(l.Entries) != 4 {
		t.Errorf("%d entries (-here +there):\n%s", len(l.Entries), diff)
	}
	runs, err := there.List(t.Context())
	must(t, err)
	if len(runs) != 1 || runs[0].Outcome != "done" || runs[0].Place != "the shelf" || runs[0].Entries != 4 || runs[0].Organization != header.Organization {
		t.Errorf("%+v", runs)
	}
	if runs, err = k.List(t.Context()); err != nil || len(runs) != 1 || runs[0].Place != "" || runs[0].Writes != 1 {
		t.Errorf("%+v %v", runs, err)
	}
}

func TestNothingBeginsThatTheCopyDoesNotHave(t *testing.T) {
	for failAt, want := range map[int]string{1: "create", 2: "begin", 3: "done"} {
		k, s := keeper(t)
		s.failAt = failAt
		var hint interface{ Hint() string }
		j, err := k.Create(t.Context(), header)
		at := "create"
		var step *Step
		if err == nil {
			at = "begin"
			if step, err = j.Begin(update); err == nil {
				at = "done"
				err = step.Done(nil)
			}
			// The journal is over: a later write is not begun, room or no room.
			s.failAt = 0
			if _, again := j.Begin(attach); again == nil {
				t.Errorf("entry %d: a change began after the copy had failed", failAt)
			}
			must(t, j.Close())
		}
		if at != want || err == nil || !errors.As(err, &hint) || !strings.Contains(err.Error(), "no room") || !strings.Contains(hint.Hint(), "take journal out of the configuration") {
			t.Errorf("entry %d: %s gave %v; want an error of %s", failAt, at, err, want)
		}
	}
}

// A run that died after the directory had an entry and before the copy did.
func TestARunIsContinuedFromWhicheverPlaceHasMore(t *testing.T) {
	k, s := keeper(t)
	j, err := k.Create(t.Context(), header)
	must(t, err)
	_, err = j.Begin(update)
	must(t, err)
	s.failAt = 3
	_, err = j.Begin(attach)
	if err == nil {
		t.Fatal("the copy took it")
	}
	must(t, j.Close())
	s.failAt = 0
	again, l, err := k.Continue(t.Context(), j.Run(), header)
	must(t, err)
	must(t, again.End("done"), again.Close())
	if len(l.Entries) != 3 || len(s.lines[j.Run()]) != 5 {
		t.Errorf("%d entries before, %d copied", len(l.Entries), len(s.lines[j.Run()]))
	}
	// From a machine that never saw it.
	there := Keeper{Dir: filepath.Join(t.TempDir(), "elsewhere"), Copy: s, Now: clock}
	j2, _, err := there.Continue(t.Context(), j.Run(), header)
	must(t, err)
	must(t, j2.End("done again"), j2.Close())
	local, err := Read(there.Dir, j.Run())
	must(t, err)
	if local.Outcome() != "done again" || len(s.lines[j.Run()]) != 7 {
		t.Errorf("%q, %d copied", local.Outcome(), len(s.lines[j.Run()]))
	}
	// The first machine goes on with what the other one did.
	l, err = k.Read(t.Context(), j.Run())
	if err != nil || l.Outcome() != "done again" {
		t.Errorf("%q %v", l.Outcome(), err)
	}
}

func TestPlacesThatDoNotAgreeAreRefused(t *testing.T) {
	k, s := keeper(t)
	j, err := k.Create(t.Context(), header)
	must(t, err)
	_, err = j.Begin(update)
	must(t, err, j.Close())
	// Somebody replaces the last entry of the copy by one that is as good by itself.
	name, _ := file(k.Dir, j.Run())
	text, err := os.ReadFile(name)
	must(t, err)
	other := Keeper{Dir: filepath.Join(t.TempDir(), "other"), Now: clock}
	must(t, os.MkdirAll(other.Dir, 0o700), os.WriteFile(filepath.Join(other.Dir, j.Run()+suffix), text[:bytes.IndexByte(text, '\n')+1], 0o600))
	j2, _, err := other.Continue(t.Context(), j.Run(), header)
	must(t, err, j2.Close())
	forged, err := os.ReadFile(filepath.Join(other.Dir, j.Run()+suffix))
	must(t, err)
	s.lines[j.Run()][1] = forged[bytes.IndexByte(forged, '\n')+1:]
	for name, err := range map[string]error{
		"read":     func() error { _, err := k.Read(t.Context(), j.Run()); return err }(),
		"continue": func() error { _, _, err := k.Continue(t.Context(), j.Run(), header); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "do not agree from line 2 on") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// An entry that is missing in the copy is damage there.
	s.lines[j.Run()] = [][]byte{s.lines[j.Run()][1]}
	if _, err := (Keeper{Dir: t.TempDir(), Copy: s, Now: clock}).Read(t.Context(), j.Run()); err == nil || !strings.Contains(err.Error(), "the entries before it are missing") {
		t.Errorf("%v", err)
	}
	if _, err := k.Read(t.Context(), "20261128-073537-1a2b3c"); err == nil || !strings.Contains(err.Error(), "neither in") {
		t.Errorf("%v", err)
	}
}
