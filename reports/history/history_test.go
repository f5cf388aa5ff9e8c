package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/reports"
)

var day = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)

// at is an audit on a day of March 2026. A finding is written as "account resource
// status severity".
func at(d int, findings ...string) reports.Audit {
	a := reports.Audit{
		GeneratedAt: day.AddDate(0, 0, d-1), ToolVersion: "v1", Organization: reports.Organization{ID: "o-1", Accounts: 3, Regions: []string{"us-east-1"}},
		Scope: reports.Scope{Controls: []string{"config-recorder"}},
	}
	for _, text := range findings {
		var account, resource, status, severity string
		if _, err := fmt.Sscan(text, &account, &resource, &status, &severity); err != nil {
			panic(err)
		}
		if resource == "-" {
			resource = ""
		}
		a.Findings = append(a.Findings, finding.Finding{
			Account: strings.Repeat(account, 12), Region: "us-east-1", Control: "config-recorder", Resource: resource,
			Status: finding.Status(status), Severity: finding.Severity(severity), Reason: "it is off", Expected: map[string]any{"on": true},
		})
	}
	a.Summary = finding.Summarize(a.Findings)
	a.Summary.InSync += 10
	return a
}

func openTest(t *testing.T, file string) *Store {
	t.Helper()
	s, err := Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) //nolint:errcheck // a test may close it before
	return s
}

func record(t *testing.T, s History, a reports.Audit) reports.Audit {
	t.Helper()
	out, err := s.Record(t.Context(), a, Keep{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// news is what an audit says about its findings and about those that are gone.
func news(a reports.Audit) []string {
	out := []string{}
	add := func(f finding.Finding) {
		out = append(out, fmt.Sprintf("%s %s %s since March %d", f.Account[:1], f.Resource, f.Change, f.FirstSeen.Day()))
	}
	for _, f := range a.Findings {
		if f.Status != finding.InSync && f.Status != finding.NotApplicable {
			add(f)
		}
	}
	if a.Since != nil {
		for _, f := range a.Since.Gone {
			add(f)
		}
	}
	return out
}

func TestWhatAHistoryKnows(t *testing.T) {
	narrow := at(3, "1 rec drift high")
	narrow.Scope.Narrowed, narrow.Scope.Accounts = true, []string{"111111111111"}
	off := at(3)
	off.Scope.Controls = []string{"alert-topic"}
	excluded := at(3, "1 - exempt high")
	for _, tt := range []struct {
		name string
		runs []reports.Audit
		want []string // of the last run
	}{
		{"the first run has no news", []reports.Audit{at(1, "1 rec drift high")}, []string{"1 rec  since March 1"}},
		{"new", []reports.Audit{at(1), at(2, "1 rec drift high")}, []string{"1 rec new since March 2"}},
		{"still open", []reports.Audit{at(1, "1 rec drift high"), at(2, "1 rec drift high"), at(3, "1 rec drift high")}, []string{"1 rec open since March 1"}},
		{"worse severity", []reports.Audit{at(1, "1 rec drift low"), at(2, "1 rec drift high")}, []string{"1 rec worse since March 1"}},
		{"better severity is still open", []reports.Audit{at(1, "1 rec drift high"), at(2, "1 rec drift low")}, []string{"1 rec open since March 1"}},
		{"resolved", []reports.Audit{at(1, "1 rec drift high"), at(2)}, []string{"1 rec resolved since March 1"}},
		{"resolved, and listed as in sync", []reports.Audit{at(1, "1 rec drift high"), at(2, "1 rec in_sync high")}, []string{}},
		{"resolved once and for all", []reports.Audit{at(1, "1 rec drift high"), at(2), at(3)}, []string{}},
		{"it comes back as new", []reports.Audit{at(1, "1 rec drift high"), at(2), at(3, "1 rec drift high")}, []string{"1 rec new since March 3"}},
		{"accepted", []reports.Audit{at(1, "1 rec drift high"), at(2, "1 rec exempt high")}, []string{"1 rec accepted since March 1"}},
		{"accepted for long", []reports.Audit{at(1, "1 rec exempt high"), at(2, "1 rec exempt high")}, []string{"1 rec  since March 1"}},
		{"an exemption that has ended", []reports.Audit{at(1, "1 rec exempt high"), at(2, "1 rec drift high")}, []string{"1 rec worse since March 1"}},
		{"what was exempt and is gone is no news", []reports.Audit{at(1, "1 rec exempt high"), at(2)}, []string{}},
		{"an account that cannot be entered resolves nothing", []reports.Audit{at(1, "1 rec drift high"), at(2, "1 - not_assessed high")}, []string{"1  new since March 2", "1 rec unseen since March 1"}},
		{"and when it can be again, it is still open", []reports.Audit{at(1, "1 rec drift high"), at(2, "1 - not_assessed high"), at(3, "1 rec drift high")}, []string{"1 rec open since March 1", "1  resolved since March 2"}},
		{"an account that is left out resolves nothing", []reports.Audit{at(1, "1 rec drift high"), excluded}, []string{"1   since March 1", "1 rec unseen since March 1"}},
		{"a narrower audit says nothing about the rest", []reports.Audit{at(1, "1 rec drift high", "2 rec drift high"), narrow}, []string{"1 rec open since March 1"}},
		{"and the rest goes on", []reports.Audit{at(1, "1 rec drift high", "2 rec drift high"), narrow, at(4, "2 rec drift high")}, []string{"2 rec open since March 1", "1 rec resolved since March 1"}},
		{"a control that is off resolves nothing", []reports.Audit{at(1, "1 rec drift high"), off, at(4, "1 rec drift high")}, []string{"1 rec open since March 1"}},
		{"one of two of one resource is resolved", []reports.Audit{at(1, "1 rec drift high", "1 rec drift high"), at(2, "1 rec drift high")}, []string{"1 rec open since March 1", "1 rec resolved since March 1"}},
		{"a slow one that comes in late ends nothing", []reports.Audit{at(2, "1 rec drift high"), at(1), at(3, "1 rec drift high")}, []string{"1 rec open since March 2"}},
		{"but knows more of the past", []reports.Audit{at(2, "1 rec drift high"), at(1, "1 rec drift high"), at(3, "1 rec drift high")}, []string{"1 rec open since March 1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, s := range stores(t) {
				var last reports.Audit
				for _, a := range tt.runs {
					last = record(t, s, a)
				}
				if diff := cmp.Diff(tt.want, news(last)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

func TestLifetimes(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) { lifetimes(t, s) })
	}
}

func lifetimes(t *testing.T, s History) {
	for _, a := range []reports.Audit{
		at(1, "1 rec drift high", "2 rec drift low"), at(2, "2 rec drift low"), at(3, "1 rec drift high", "2 rec drift low"), at(4, "2 rec drift high"),
	} {
		record(t, s, a)
	}
	show := func(all bool) []string {
		ls, err := s.Lifetimes(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, l := range ls {
			out = append(out, fmt.Sprintf("%s %s: March %d to %d, resolved %v, %d times", l.Finding.Account[:1], l.Finding.Severity, l.FirstSeen.Day(), l.LastSeen.Day(), !l.Resolved.IsZero(), l.Times))
		}
		return out
	}
	if diff := cmp.Diff([]string{"2 high: March 1 to 4, resolved false, 1 times"}, show(false)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1 high: March 3 to 3, resolved true, 2 times", "2 high: March 1 to 4, resolved false, 1 times"}, show(true)); diff != "" {
		t.Error(diff)
	}
}

func TestARunIsRenderedAgainAsItWas(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a b?c#d%41.db") // what means something in the address of a database
	s := openTest(t, file)
	record(t, s, at(1, "1 rec drift high"))
	second := record(t, s, at(2, "1 rec drift high", "2 rec drift critical"))
	record(t, s, at(3))
	s.Close() //nolint:errcheck // opened again below
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	s, err := OpenExisting(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // only read
	kept, err := s.Audit(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range reports.Formats() {
		var a, b strings.Builder
		if err := errors.Join(reports.Write(&a, f, reports.Style{}, second), reports.Write(&b, f, reports.Style{}, kept)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a.String(), b.String()); diff != "" {
			t.Errorf("%s differs (-then +now):\n%s", f, diff)
		}
	}
	for run, want := range map[int64]int{0: 3, -1: 2, -2: 1, 1: 1, 3: 3} {
		if a, err := s.Audit(t.Context(), run); err != nil || a.GeneratedAt.Day() != want {
			t.Errorf("run %d is of March %d, want %d (%v)", run, a.GeneratedAt.Day(), want, err)
		}
	}
	for _, run := range []int64{4, -3, 99} {
		if _, err := s.Audit(t.Context(), run); err == nil {
			t.Errorf("there is a run %d", run)
		}
	}
}

func TestKeep(t *testing.T) {
	for text, want := range map[string]Keep{
		"": {}, "90d": {Age: 90 * 24 * time.Hour}, "2w": {Age: 14 * 24 * time.Hour}, "500": {Runs: 500}, "1run": {Runs: 1}, "3 runs": {Runs: 3},
	} {
		if got, err := ParseKeep(text); err != nil || got != want {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"0", "0d", "-1d", "d", "1y", "90 d", "1.5d", "9999999d", "x"} {
		if k, err := ParseKeep(text); err == nil {
			t.Errorf("%q is %v", text, k)
		}
	}
	for _, tt := range []struct {
		keep Keep
		want []int // days
	}{
		{Keep{}, []int{1, 2, 3, 4, 5}}, {Keep{Runs: 2}, []int{4, 5}}, {Keep{Runs: 1}, []int{5}}, {Keep{Age: 48 * time.Hour}, []int{3, 4, 5}},
		{Keep{Age: time.Second}, []int{5}}, {Keep{Age: 48 * time.Hour, Runs: 1}, []int{5}},
	} {
		for _, s := range stores(t) {
			keeps(t, s, tt.keep, tt.want)
		}
	}
}

func keeps(t *testing.T, s History, keep Keep, want []int) {
	t.Helper()
	other := at(1, "1 rec drift high")
	other.Organization.ID = "o-2"
	record(t, s, other)
	record(t, s, at(1, "1 rec drift high"))
	for d := 2; d <= 4; d++ {
		record(t, s, at(d, "2 rec drift high"))
	}
	if _, err := s.Record(t.Context(), at(5, "2 rec drift high"), keep); err != nil {
		t.Fatal(err)
	}
	runs, err := s.Runs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var days []int
	for _, r := range runs {
		if r.Organization == "o-1" {
			days = append(days, r.GeneratedAt.Day())
		}
	}
	if diff := cmp.Diff(want, days); diff != "" || len(runs) != len(days)+1 {
		t.Errorf("%v keeps %v and %d in all, want %v", keep, days, len(runs), want)
	}
	// What is still there keeps its beginning, and the other organization its own.
	ls, err := s.Lifetimes(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	ended := 0
	for _, l := range ls {
		if !l.Resolved.IsZero() {
			ended++
		} else if l.Finding.Account[:1] == "2" && l.FirstSeen.Day() != 2 {
			t.Errorf("%v: first seen on March %d", keep, l.FirstSeen.Day())
		}
	}
	if wantEnded := map[bool]int{true: 1, false: 0}[want[0] <= 2]; ended != wantEnded {
		t.Errorf("%v: %d lifetimes that have ended, want %d", keep, ended, wantEnded)
	}
}

func TestManyWritersLoseNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "h.db")
	const writers, each = 6, 4
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		wg.Go(func() {
			s, err := Open(context.Background(), file) // the first of them make the tables
			if err != nil {
				errs <- err
				return
			}
			for i := range each {
				if _, err := s.Record(context.Background(), at(1+w*each+i, "1 rec drift high"), Keep{}); err != nil {
					errs <- err
				}
			}
			errs <- s.Close()
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	s := openTest(t, file)
	runs, err := s.Runs(t.Context())
	if err != nil || len(runs) != writers*each {
		t.Fatalf("%d runs, want %d (%v)", len(runs), writers*each, err)
	}
	ls, err := s.Lifetimes(t.Context(), true)
	if err != nil || len(ls) != 1 || ls[0].FirstSeen.Day() != 1 || ls[0].LastSeen.Day() != writers*each {
		t.Errorf("%+v (%v)", ls, err)
	}
}

// A process that dies while it writes leaves the file and a log that ends anywhere.
func TestATornWriteLosesNothingThatWasThere(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "h.db")
	s := openTest(t, file)
	record(t, s, at(1, "1 rec drift high"))
	// While it is open, what was committed last stands in the log alone.
	whole := read(t, file+"-wal")
	record(t, s, at(2, "1 rec drift high", "2 rec drift high"))
	log, base := read(t, file+"-wal"), read(t, file)
	if len(log) <= len(whole) {
		t.Fatalf("the log did not grow: %d, %d", len(whole), len(log))
	}
	for _, n := range []int{len(whole), len(whole) + 1, (len(whole) + len(log)) / 2, len(log) - 4096, len(log) - 1, len(log)} {
		torn := filepath.Join(dir, fmt.Sprintf("torn-%d.db", n))
		write(t, torn, base)
		write(t, torn+"-wal", log[:n])
		again, err := Open(t.Context(), torn)
		if err != nil {
			t.Fatalf("torn at %d of %d: %v", n, len(log), err)
		}
		runs, err := again.Runs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := 1
		if n == len(log) {
			want = 2
		}
		if len(runs) != want {
			t.Errorf("torn at %d of %d: %d runs, want %d", n, len(log), len(runs), want)
		}
		var word string
		if err := again.db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&word); err != nil || word != "ok" {
			t.Errorf("torn at %d: %s %v", n, word, err)
		}
		// And it goes on from there.
		if a := record(t, again, at(3, "1 rec drift high")); a.Findings[0].Change != finding.Open || a.Findings[0].FirstSeen.Day() != 1 {
			t.Errorf("torn at %d: %v", n, news(a))
		}
		again.Close() //nolint:errcheck // the next has a file of its own
	}
}

func TestARunIsKeptWholeOrNotAtAll(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "h.db"))
	record(t, s, at(1, "1 rec drift high"))
	bad := at(2, "2 rec drift high")
	bad.Findings[0].Actual = func() {} // cannot be written, after some of it was
	if _, err := s.Record(t.Context(), bad, Keep{}); err == nil {
		t.Fatal("it was kept")
	}
	runs, err := s.Runs(t.Context())
	ls, err2 := s.Lifetimes(t.Context(), true)
	if err := errors.Join(err, err2); err != nil || len(runs) != 1 || len(ls) != 1 || !ls[0].Resolved.IsZero() {
		t.Errorf("%d runs, %+v (%v)", len(runs), ls, err)
	}
}

func TestFilesThatAreNoHistory(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other.db")
	db, err := sql.Open("sqlite", other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE mine (x)"); err != nil {
		t.Fatal(err)
	}
	db.Close() //nolint:errcheck // only made
	before := read(t, other)
	newer := filepath.Join(dir, "newer.db")
	s := openTest(t, newer)
	if _, err := s.db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	s.Close() //nolint:errcheck // only made
	text := filepath.Join(dir, "text.db")
	write(t, text, []byte(strings.Repeat("this is a text and no database\n", 100)))
	for file, want := range map[string]string{
		other: "not a history of orgguard", newer: "version 99", text: "not a database", dir: "open history", filepath.Join(dir, "none", "h.db"): "open history",
	} {
		if _, err := Open(t.Context(), file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
	if diff := cmp.Diff(before[100:], read(t, other)[100:]); diff != "" {
		t.Error("somebody else's database was changed")
	}
	_, err = OpenExisting(t.Context(), filepath.Join(dir, "none.db"))
	var hinted interface{ Hint() string }
	if err == nil || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "audit --history") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
		t.Error("looking at a history made one")
	}
}

// A run that somebody changed in the file is an error, not a report.
func TestARunThatWasChanged(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "h.db"))
	record(t, s, at(1, "1 rec drift high"))
	for _, q := range []string{
		"UPDATE run SET audit = substr(audit, 1, length(audit) - 6)", "UPDATE run SET audit = x'00'", "UPDATE run SET numbers = '{'",
	} {
		if _, err := s.db.Exec(q); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Audit(t.Context(), 0); err == nil {
			t.Errorf("%s: no error", q)
		}
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAMemoChangesWholeOrNotAtAll(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			record(t, s, at(1, "1 rec drift high"))
			read := func() string {
				var got []byte
				if err := s.Memo(t.Context(), func(old []byte) ([]byte, error) { got = old; return old, nil }); err != nil {
					t.Fatal(err)
				}
				return string(got)
			}
			if got := read(); got != "" {
				t.Errorf("there is %q", got)
			}
			for _, text := range []string{"one", "two"} {
				if err := s.Memo(t.Context(), func([]byte) ([]byte, error) { return []byte(text), nil }); err != nil {
					t.Fatal(err)
				}
				record(t, s, at(2)) // the runs do not touch it
				if got := read(); got != text {
					t.Errorf("%q, want %q", got, text)
				}
			}
			no := errors.New("no")
			if err := s.Memo(t.Context(), func([]byte) ([]byte, error) { return []byte("three"), no }); !errors.Is(err, no) || read() != "two" {
				t.Errorf("%v, %q", err, read())
			}
			if runs, err := s.Runs(t.Context()); err != nil || len(runs) != 3 {
				t.Errorf("%d runs, %v", len(runs), err)
			}
			a, err := s.Audit(t.Context(), 2)
			if err != nil || a.Run != 2 {
				t.Errorf("run %d, %v", a.Run, err)
			}
		})
	}
}
