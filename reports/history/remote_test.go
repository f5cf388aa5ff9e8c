package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/orgguard/orgguard/reports"
)

// shelf is a bucket in memory, with S3's conditional writes.
type shelf struct {
	mu      sync.Mutex
	objects map[string][]byte
	tags    map[string]int
	written int
	// before is called before a write, and fails it. after is called when it is done:
	// what it returns is told instead of the success.
	before, after func(name string) error
}

func newShelf() *shelf { return &shelf{objects: map[string][]byte{}, tags: map[string]int{}} }

func (s *shelf) String() string { return "s3://shelf/history" }

func (s *shelf) Get(_ context.Context, name string) ([]byte, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.objects[name]
	if !ok {
		return nil, "", fmt.Errorf("read %s: %w", name, fs.ErrNotExist)
	}
	return bytes.Clone(b), fmt.Sprint(s.tags[name]), nil
}

func (s *shelf) put(name string, body []byte, may func(tag string, there bool) bool) error {
	if s.before != nil {
		if err := s.before(name); err != nil {
			return err
		}
	}
	s.mu.Lock()
	_, there := s.objects[name]
	if !may(fmt.Sprint(s.tags[name]), there) {
		s.mu.Unlock()
		return fmt.Errorf("write %s: %w", name, fs.ErrExist)
	}
	s.written++
	s.objects[name], s.tags[name] = bytes.Clone(body), s.written
	s.mu.Unlock()
	if s.after != nil {
		return s.after(name)
	}
	return nil
}

func (s *shelf) Create(_ context.Context, name string, body []byte) error {
	return s.put(name, body, func(_ string, there bool) bool { return !there })
}

func (s *shelf) Replace(_ context.Context, name string, body []byte, tag string) error {
	return s.put(name, body, func(have string, there bool) bool { return there && have == tag })
}

func (s *shelf) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, name)
	return nil
}

// audits are the names of the audits that are there.
func (s *shelf) audits() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.objects)), func(n string) bool { return n == indexName })
}

func openShelf(t *testing.T, s *shelf) *Remote {
	t.Helper()
	r, err := OpenRemote(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	r.pause = func(context.Context, int) error { return nil }
	t.Cleanup(func() { r.Close() }) //nolint:errcheck // a test may close it before
	return r
}

// stores are both kinds of histories, empty.
func stores(t *testing.T) map[string]History {
	return map[string]History{"file": openTest(t, filepath.Join(t.TempDir(), "h.db")), "bucket": openShelf(t, newShelf())}
}

func TestAHistoryInABucketIsReadAgain(t *testing.T) {
	s := newShelf()
	if _, err := OpenExistingRemote(t.Context(), s); err == nil {
		t.Error("there was a history in an empty bucket")
	}
	r := openShelf(t, s)
	record(t, r, at(1, "1 rec drift high"))
	second := record(t, r, at(2, "1 rec drift high", "2 rec drift critical"))
	again, err := OpenExistingRemote(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close() //nolint:errcheck // only read
	kept, err := again.Audit(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var a, b strings.Builder
	if err := errors.Join(reports.Write(&a, reports.JSON, reports.Style{}, second), reports.Write(&b, reports.JSON, reports.Style{}, kept)); err != nil {
		t.Fatal(err)
	}
	if a.String() != b.String() {
		t.Errorf("it was\n%s\nand is\n%s", a.String(), b.String())
	}
	runs, err := again.Runs(t.Context())
	if err != nil || len(runs) != 2 || len(s.audits()) != 2 {
		t.Errorf("%d runs, audits %v (%v)", len(runs), s.audits(), err)
	}
	if _, err := again.Audit(t.Context(), 3); err == nil || !strings.Contains(err.Error(), "s3://shelf/history has no run 3") {
		t.Errorf("run 3: %v", err)
	}
	s.objects[s.audits()[1]] = []byte("something else")
	if _, err := again.Audit(t.Context(), 2); err == nil {
		t.Error("an audit that was overwritten was read")
	}
}

// Two that compare with the same run cannot both be the next one.
func TestManyWritersToABucketLoseNothing(t *testing.T) {
	s := newShelf()
	const writers, each = 4, 3
	var wg sync.WaitGroup
	errs := make(chan error, writers*each)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				r, err := OpenRemote(context.Background(), s)
				if err == nil {
					r.pause = func(context.Context, int) error { return nil }
					_, err = r.Record(context.Background(), at(1+w*each+i, "1 rec drift high"), Keep{})
					err = errors.Join(err, r.Close())
				}
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	r := openShelf(t, s)
	runs, err := r.Runs(t.Context())
	if err != nil || len(runs) != writers*each || len(s.audits()) != writers*each {
		t.Fatalf("%d runs and %d audits, want %d (%v)", len(runs), len(s.audits()), writers*each, err)
	}
	ls, err := r.Lifetimes(t.Context(), true)
	if err != nil || len(ls) != 1 || ls[0].FirstSeen.Day() != 1 || ls[0].LastSeen.Day() != writers*each {
		t.Errorf("%+v (%v)", ls, err)
	}
}

func TestAWriteThatWasAnsweredWrongly(t *testing.T) {
	exists := func(names ...string) func(string) error {
		return func(name string) error {
			if slices.Contains(names, strings.SplitN(name, "/", 2)[0]) {
				return fs.ErrExist
			}
			return nil
		}
	}
	down := errors.New("the bucket is down")
	for name, c := range map[string]struct {
		before, after func(string) error
		fails         bool
		runs, audits  int
	}{
		"the answers got lost and the requests were sent again": {after: exists("runs", indexName), runs: 2, audits: 2},
		"the audit cannot be written": {before: func(n string) error {
			if n != indexName {
				return down
			}
			return nil
		}, fails: true, runs: 1, audits: 1},
		"the index cannot be written": {before: func(n string) error {
			if n == indexName {
				return down
			}
			return nil
		}, fails: true, runs: 1, audits: 2},
		"others are always faster": {before: exists(indexName), fails: true, runs: 1, audits: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf()
			r := openShelf(t, s)
			record(t, r, at(1, "1 rec drift high"))
			s.before, s.after = c.before, c.after
			kept, err := r.Record(t.Context(), at(2, "1 rec drift high"), Keep{})
			if (err != nil) != c.fails || c.fails && kept.Since != nil || !c.fails && kept.Since == nil {
				t.Errorf("%v, since %v", err, kept.Since)
			}
			s.before, s.after = nil, nil
			runs, err := r.Runs(t.Context())
			if err != nil || len(runs) != c.runs || len(s.audits()) != c.audits {
				t.Errorf("%d runs (%v), audits %v", len(runs), err, s.audits())
			}
			// The next one goes on from what is there.
			if next := record(t, r, at(3)); next.Since == nil || next.Since.Run != int64(c.runs) {
				t.Errorf("the next run compares with %+v", next.Since)
			}
		})
	}
}

func TestIndexesThatAreNone(t *testing.T) {
	for name, body := range map[string][]byte{"empty": {}, "text": []byte("hello"), "half": nil} {
		s := newShelf()
		if name == "half" {
			record(t, openShelf(t, s), at(1, "1 rec drift high"))
			body = s.objects[indexName][:len(s.objects[indexName])/2]
		}
		s.objects[indexName], s.tags[indexName] = body, 1
		if r, err := OpenRemote(t.Context(), s); err == nil || !strings.Contains(err.Error(), "s3://shelf/history") {
			t.Errorf("%s: opened, %v", name, err)
			r.Close() //nolint:errcheck // it failed already
		}
	}
}
