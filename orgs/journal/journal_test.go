package journal

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/plan"
)

var (
	noon   = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	header = Header{Command: "scp apply --yes", Who: "arn:aws:sts::100000000001:assumed-role/OrgAdmin/alice", Organization: "o-demo0guard", ToolVersion: "test"}
	attach = plan.Change{Kind: "scp", Stage: plan.Guardrail, Verb: plan.Attach, Account: "100000000001", Region: "global", Resource: "policy x to Sandbox", Before: "not attached", After: "attached"}
	update = plan.Change{Kind: "scp", Stage: plan.Guardrail, Verb: plan.Update, Account: "100000000001", Region: "global", Resource: "policy x", Before: map[string]any{"Version": "2012-10-17"}, After: map[string]any{}}
)

func clock() time.Time { return noon }

func create(t *testing.T) (*Journal, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "journal")
	j, err := Create(dir, header, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() }) //nolint:errcheck // some tests close it themselves
	return j, dir
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// sample is a journal with a write that was done, one that failed, and one of
// which nobody knows.
func sample(t *testing.T) (dir, run string, text []byte) {
	t.Helper()
	j, dir := create(t)
	a, err := j.Begin(update)
	must(t, err, a.Done(map[string]string{"id": "p-1"}))
	b, err := j.Begin(attach)
	must(t, err, b.Failed(errors.New("no")))
	_, err = j.Begin(attach)
	must(t, err, j.Close())
	text, err = os.ReadFile(filepath.Join(dir, j.Run()+suffix))
	must(t, err)
	return dir, j.Run(), text
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	dir, run, _ := sample(t)
	l, err := Read(dir, run)
	must(t, err)
	want := []Record{
		{Seq: 2, Change: update, Phase: Done, Result: map[string]any{"id": "p-1"}},
		{Seq: 4, Change: attach, Phase: Failed, Text: "no"},
		{Seq: 6, Change: attach, Phase: Begin},
	}
	if diff := cmp.Diff(want, l.Steps()); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(header, l.Header()); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if l.Torn != "" || l.Outcome() != "" {
		t.Errorf("torn %q, outcome %q", l.Torn, l.Outcome())
	}
	for _, e := range l.Entries {
		if e.Who != header.Who || e.Command != header.Command || !e.Time.Equal(noon) || e.Run != run {
			t.Errorf("entry %d says %q %q %s", e.Seq, e.Who, e.Command, e.Time)
		}
	}
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such modes")
	}
	dir, run, _ := sample(t)
	info, err := os.Stat(filepath.Join(dir, run+suffix))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
}

func TestDamageIsFound(t *testing.T) {
	_, _, text := sample(t)
	lines := bytes.SplitAfter(text, []byte("\n"))
	lines = lines[:len(lines)-1] // nothing follows the last line's end
	_, _, otherText := sample(t)
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"a value that was changed":          {bytes.Replace(text, []byte("Sandbox"), []byte("Workload"), 1), "it was changed"},
		"a hash that was changed":           {bytes.Replace(text, []byte(`"hash":"`), []byte(`"hash":"0`), 1), "no hash"},
		"an entry taken out":                {bytes.Join(slices.Delete(slices.Clone(lines), 2, 3), nil), "entry 4 after entry 2: something is missing"},
		"the first entry taken out":         {bytes.Join(lines[1:], nil), "it is entry 2: the entries before it are missing"},
		"an entry twice":                    {bytes.Join(append(slices.Clone(lines), lines[5]), nil), "entry 6 after entry 6: it was put in or moved"},
		"two entries that changed places":   {bytes.Join([][]byte{lines[0], lines[2], lines[1]}, nil), "entry 3 after entry 1"},
		"the rest of another run":           {append(slices.Clone(lines[0]), bytes.SplitAfterN(otherText, []byte("\n"), 2)[1]...), "it is of run"},
		"nothing":                           {nil, "it is empty"},
		"an only line that is half written": {lines[0][:40], "half written"},
		"something else":                    {[]byte("{}\n"), "its schema is"},
		"a line without JSON":               {[]byte("hello\n"), "not an entry"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(bytes.NewReader(c.text))
			var damage *DamageError
			if !errors.As(err, &damage) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %q", err, c.want)
			}
		})
	}
}

// One line signed anew by somebody who knows the format does not join the chain.
func TestAForgedEntryBreaksTheChain(t *testing.T) {
	_, _, text := sample(t)
	lines := bytes.SplitAfter(text, []byte("\n"))
	e, err := parseLine(bytes.TrimSuffix(lines[1], []byte("\n")))
	must(t, err)
	e.Change.Resource = "another policy"
	lines[1], _, err = e.line()
	must(t, err)
	if _, err := Parse(bytes.NewReader(bytes.Join(lines, nil))); err == nil || !strings.Contains(err.Error(), "the chain is broken") {
		t.Errorf("got %v", err)
	}
}

// A crash may cut the last line anywhere. All entries before it are good.
func TestATornLastLineIsNamedAndLeftOut(t *testing.T) {
	_, _, text := sample(t)
	whole, err := Parse(bytes.NewReader(text))
	must(t, err)
	start := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	for cut := start + 1; cut < len(text); cut++ {
		l, err := Parse(bytes.NewReader(text[:cut]))
		if err != nil || !strings.Contains(l.Torn, "line 6 is half written") || len(l.Entries) != len(whole.Entries)-1 {
			t.Fatalf("cut at %d: %v, torn %q, %d entries", cut, err, l.Torn, len(l.Entries))
		}
	}
	if l, err := Parse(bytes.NewReader(append(slices.Clone(text), make([]byte, 512)...))); err != nil || l.Torn == "" {
		t.Errorf("zeros after a power cut: %v, torn %q", err, l.Torn)
	}
}

func TestContinueTakesTheTornLineOffAndSaysSo(t *testing.T) {
	dir, run, text := sample(t)
	must(t, os.WriteFile(filepath.Join(dir, run+suffix), text[:len(text)-10], 0o600))
	j, before, err := Continue(dir, run, header, clock)
	must(t, err)
	if before.Torn == "" || len(before.Steps()) != 2 {
		t.Errorf("before: torn %q, %d steps", before.Torn, len(before.Steps()))
	}
	step, err := j.Begin(attach)
	must(t, err, step.Done(nil), j.End("done"), j.Close())
	after, err := Read(dir, run)
	must(t, err)
	if reopened := after.Entries[5]; reopened.Phase != Reopen || !strings.Contains(reopened.Text, "half written") {
		t.Errorf("reopened with %+v", reopened)
	}
	if after.Outcome() != "done" || after.Torn != "" {
		t.Errorf("outcome %q, torn %q", after.Outcome(), after.Torn)
	}
}

func TestContinueRefuses(t *testing.T) {
	dir, run, text := sample(t)
	elsewhere := header
	elsewhere.Organization = "o-other"
	must(t, os.WriteFile(filepath.Join(dir, "20261128-000000-000000.jsonl"), bytes.Replace(text, []byte("Sandbox"), []byte("x"), 1), 0o600))
	for name, c := range map[string]struct {
		run    string
		header Header
		want   string
	}{
		"another organization":   {run, elsewhere, "wrote to organization o-demo0guard"},
		"a run that is not":      {"20261128-000000-ffffff", header, "there is no journal"},
		"a path":                 {"../../etc/passwd", header, "is not the id of a run"},
		"a damaged one":          {"20261128-000000-000000", header, "it was changed"},
		"an organization's path": {run, Header{Organization: "../x"}, "is not an organization's id"},
	} {
		t.Run(name, func(t *testing.T) {
			j, _, err := Continue(dir, c.run, c.header, clock)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %q", err, c.want)
			}
			if j != nil {
				t.Error("a journal all the same")
			}
		})
	}
}

func TestOneRunAtATimeWritesToAnOrganization(t *testing.T) {
	j, dir := create(t)
	if _, err := Create(dir, header, clock); err == nil || !strings.Contains(err.Error(), "another run is writing") {
		t.Errorf("got %v", err)
	}
	elsewhere := header
	elsewhere.Organization = "o-other"
	other, err := Create(dir, elsewhere, clock)
	must(t, err, other.Close(), j.Close())
	again, err := Create(dir, header, clock)
	must(t, err, again.Close())
}

func TestTasksJournalThemselves(t *testing.T) {
	j, dir := create(t)
	ran := []string{}
	task := func(name string, err error, failures ...plan.Failure) plan.Task {
		return plan.Task{Change: plan.Change{Stage: plan.Guardrail, Resource: name}, Apply: func(context.Context) ([]plan.Failure, error) {
			l, readErr := Read(dir, j.Run())
			must(t, readErr)
			if s := l.Steps(); s[len(s)-1].Change.Resource != name || s[len(s)-1].Phase != Begin {
				t.Errorf("%s runs before the journal has it: %+v", name, s)
			}
			ran = append(ran, name)
			return failures, err
		}}
	}
	tasks := j.Tasks([]plan.Task{task("a", nil), task("b", nil, plan.Failure{Account: "1"}), task("c", errors.New("no")), task("d", nil)})
	res := plan.Execute(t.Context(), tasks, 1, nil)
	if res.Outcomes[2].Err != "no" {
		t.Errorf("outcome %+v", res.Outcomes[2])
	}
	must(t, j.Close())
	l, err := Read(dir, j.Run())
	must(t, err)
	var got []string
	for _, s := range l.Steps() {
		got = append(got, s.Change.Resource+" "+string(s.Phase))
	}
	if diff := cmp.Diff([]string{"a done", "b done", "c failed", "d done"}, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if n := len(l.Steps()[1].Failures); n != 1 {
		t.Errorf("%d failures of b", n)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d"}, ran); diff != "" {
		t.Errorf("ran (-want +got):\n%s", diff)
	}
}

// What cannot be written down is not done.
func TestATaskDoesNotRunWithoutItsEntry(t *testing.T) {
	j, _ := create(t)
	must(t, j.f.Close())
	tasks := j.Tasks([]plan.Task{{Apply: func(context.Context) ([]plan.Failure, error) {
		t.Error("it ran")
		return nil, nil
	}}})
	_, err := tasks[0].Apply(t.Context())
	var hinted interface{ Hint() string }
	if !errors.As(err, &hinted) || !strings.Contains(err.Error(), "write the journal") {
		t.Errorf("got %v", err)
	}
}

func TestSecretsAreTakenOut(t *testing.T) {
	j, dir := create(t)
	c := attach
	c.Before = map[string]any{"password": `pa"ss`, "sessionToken": "tok", "Condition": map[string]any{"StringEquals": "secret-santa"}}
	step, err := j.Begin(c)
	must(t, err, step.Failed(errors.New("Get https://x/?X-Amz-Signature=sigxyz1&X-Amz-Security-Token=t0k by ASIAABCDEFGHIJKLMNOP, Authorization: AWS4-HMAC-SHA256 Credential=AKIAABCDEFGHIJKLMNOP/x, Signature=sigxyz2")), j.Close())
	text, err := os.ReadFile(filepath.Join(dir, j.Run()+suffix))
	must(t, err)
	// None of them can be a part of the run's name or of a line's hash.
	for _, secret := range []string{`pa\"ss`, `"tok"`, "sigxyz1", "t0k", "ASIAABC", "AKIAABC", "sigxyz2"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s is in the journal", secret)
		}
	}
	if !bytes.Contains(text, []byte("secret-santa")) {
		t.Error("more was taken out than secrets")
	}
	l, err := Read(dir, j.Run())
	must(t, err)
	if err := Decode(l.Steps()[0].Change.Before, new(any)); err == nil {
		t.Error("an undo would write what was taken out")
	}
}

func TestListHasTheNewestFirstAndTheDamagedToo(t *testing.T) {
	dir := t.TempDir()
	var runs []string
	for i := range 3 {
		j, err := Create(dir, header, func() time.Time { return noon.Add(time.Duration(i) * time.Hour) })
		must(t, err)
		step, err := j.Begin(attach)
		must(t, err, step.Done(nil))
		if i > 0 {
			must(t, j.End("done"))
		}
		must(t, j.Close())
		runs = append(runs, j.Run())
	}
	bad := filepath.Join(dir, runs[1]+suffix)
	text, err := os.ReadFile(bad)
	must(t, err, os.WriteFile(bad, bytes.Replace(text, []byte("Sandbox"), []byte("x"), 1), 0o600), os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	got, err := List(dir)
	must(t, err)
	if len(got) != 3 || got[0].Run != runs[2] || got[2].Run != runs[0] {
		t.Fatalf("list %+v", got)
	}
	if got[0].Outcome != "done" || got[0].Problem != "" || got[0].Writes != 1 {
		t.Errorf("the newest: %+v", got[0])
	}
	if !strings.Contains(got[1].Problem, "it was changed") {
		t.Errorf("the damaged: %+v", got[1])
	}
	if got[2].Outcome != "" || got[2].Unknown != 0 {
		t.Errorf("the unfinished: %+v", got[2])
	}
	if none, err := List(filepath.Join(dir, "nowhere")); none != nil || err != nil {
		t.Errorf("nowhere: %v, %v", none, err)
	}
}

func TestConcurrentWritesAreOneChain(t *testing.T) {
	j, dir := create(t)
	done := make(chan error)
	for range 8 {
		go func() {
			step, err := j.Begin(attach)
			if err == nil {
				err = step.Done(nil)
			}
			done <- err
		}()
	}
	for range 8 {
		must(t, <-done)
	}
	must(t, j.Close())
	l, err := Read(dir, j.Run())
	must(t, err)
	if len(l.Steps()) != 8 || len(l.Entries) != 17 {
		t.Errorf("%d steps, %d entries", len(l.Steps()), len(l.Entries))
	}
}

// Whatever the bytes are, a journal is read or refused; one that is read says of
// itself what its lines say, and survives being read again.
func FuzzParse(f *testing.F) {
	dir := f.TempDir()
	j, err := Create(dir, header, clock)
	if err != nil {
		f.Fatal(err)
	}
	step, err := j.Begin(attach)
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(step.Done(nil), j.End("done"), j.Close()); err != nil {
		f.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, j.Run()+suffix))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(text[:len(text)-5])
	f.Add([]byte("{}\n"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse(bytes.NewReader(data))
		Summarize(l)
		if err != nil {
			return
		}
		if l.size > int64(len(data)) || (l.Torn == "") != (l.size == int64(len(data))) {
			t.Fatalf("%d of %d bytes, torn %q", l.size, len(data), l.Torn)
		}
		again, err := Parse(bytes.NewReader(data[:l.size]))
		if err != nil || len(again.Entries) != len(l.Entries) {
			t.Fatalf("without the torn line: %v", err)
		}
	})
}
