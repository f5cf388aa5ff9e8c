package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/orgguard/orgguard/reports"
)

// These tests are about what only a process of its own shows: signals, death,
// locks, slow networks. orgguard is on PATH, see TestMain.

// patience is far more than a process needs that does what it should, so that a
// busy machine fails no test.
const patience = time.Minute

// place is a folder with a sandbox in it.
type place struct {
	t   *testing.T
	dir string
	env []string
}

func newPlace(t *testing.T, create ...string) place {
	t.Helper()
	p := place{t: t, dir: t.TempDir(), env: []string{"PATH=" + os.Getenv("PATH"), "HOME=/nowhere", "TMPDIR=" + os.TempDir()}}
	if create != nil {
		p.run(0, append([]string{"sandbox", "create"}, create...)...)
	}
	return p
}

func (p place) sandbox() string { return filepath.Join(p.dir, ".orgguard", "sandbox.json") }

// faults puts faults into the sandbox file.
func (p place) faults(json string) {
	p.t.Helper()
	if err := setFaults(p.sandbox(), json); err != nil {
		p.t.Fatal(err)
	}
}

// process is orgguard under way.
type process struct {
	*exec.Cmd
	t      *testing.T
	out    bytes.Buffer
	errs   bytes.Buffer
	stderr *bufio.Reader
	began  time.Time // or was sent its last signal
}

func (p place) start(args ...string) *process {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	p.t.Cleanup(cancel)
	c := &process{Cmd: exec.CommandContext(ctx, "orgguard", args...), t: p.t, began: time.Now()}
	c.Dir, c.Env, c.Stdout = p.dir, p.env, &c.out
	pipe, err := c.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	c.stderr = bufio.NewReader(pipe)
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	return c
}

// says waits for a line on stderr that holds a text.
func (c *process) says(text string) {
	c.t.Helper()
	for {
		line, err := c.stderr.ReadString('\n')
		c.errs.WriteString(line)
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			_ = c.Wait() // the test fails anyway
			c.t.Fatalf("orgguard ended without saying %q:\n%s%s", text, c.out.String(), c.errs.String())
		}
	}
}

func (c *process) signal(s os.Signal) {
	c.t.Helper()
	if err := c.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
	c.began = time.Now()
}

// ends waits for the end and returns the exit code, -1 for a signal, and how long
// it took since the beginning or the last signal.
func (c *process) ends() (int, time.Duration) {
	c.t.Helper()
	if _, err := io.Copy(&c.errs, c.stderr); err != nil {
		c.t.Fatal(err)
	}
	return exitCode(c.Wait()), time.Since(c.began)
}

// run runs orgguard to its end and returns its streams.
func (p place) run(want int, args ...string) (stdout, stderr string) {
	p.t.Helper()
	c := p.start(args...)
	if got, _ := c.ends(); got != want {
		p.t.Fatalf("orgguard %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, want, c.out.String(), c.errs.String())
	}
	return c.out.String(), c.errs.String()
}

func TestInterruptedAuditTellsWhatItKnows(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "--accounts", "60")
	p.faults(`{"latency":150000000}`)
	c := p.start("--sandbox", "audit", "--concurrency", "8", "--format", "json", "--all", "--verbose")
	// Nothing is said while an audit runs without a terminal, so the time must
	// tell: the organization is read in a few calls of 150 ms, the accounts take
	// 60 × 2 cells × several calls, 8 at a time. That is well over 10 s.
	<-time.NewTimer(4 * time.Second).C
	c.signal(os.Interrupt)
	code, took := c.ends()
	if code != exitIncomplete {
		t.Errorf("exit code %d, want %d\n%s", code, exitIncomplete, c.errs.String())
	}
	if took > 5*time.Second {
		t.Errorf("the audit took another %s to end", took)
	}
	if err := checkDocument(c.out.Bytes(), reports.AuditSchema); err != nil {
		t.Fatalf("what was printed is no report: %v\n%s", err, c.errs.String())
	}
	var a reports.Audit
	if err := json.Unmarshal(c.out.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if !a.Interrupted {
		t.Error("the report does not say that it was interrupted")
	}
	if a.Summary.NotAssessed == 0 || a.Summary.Drift == 0 {
		t.Errorf("want something seen and something not: %+v", a.Summary)
	}
	if n := a.Summary.Drift + a.Summary.NotAssessed; n < 60 {
		t.Errorf("an account that was not looked at is missing in the report: %+v", a.Summary)
	}
}

func TestInterruptedBeforeAnythingIsKnown(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "--accounts", "3")
	p.faults(`{"latency":20000000000}`)
	c := p.start("--sandbox", "audit")
	p.heldBy(c)
	c.signal(syscall.SIGTERM)
	code, took := c.ends()
	if code != exitIncomplete || took > 5*time.Second {
		t.Errorf("exit code %d after %s, want %d at once", code, took, exitIncomplete)
	}
	if c.out.Len() > 0 {
		t.Errorf("stdout: %s", c.out.String())
	}
	if s := c.errs.String(); !strings.Contains(s, "interrupted: ") || strings.Contains(s, "credentials") {
		t.Errorf("stderr: %s", s)
	}
}

func TestInterruptedRolloutTellsWhatItDidAndGoesOnLater(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "--accounts", "6")
	p.faults(`{"latency":30000000}`)
	c := p.start("--sandbox", "rollout", "--yes")
	c.says("[3/") // three changes are made
	c.signal(os.Interrupt)
	if code, took := c.ends(); code != exitIncomplete || took > 10*time.Second {
		t.Errorf("exit code %d after %s, want %d soon", code, took, exitIncomplete)
	}
	for _, want := range []string{"Done", "Not begun", "orgguard-protect-config"} {
		if !strings.Contains(c.out.String(), want) {
			t.Errorf("stdout does not say %q:\n%s", want, c.out.String())
		}
	}
	if !strings.Contains(c.errs.String(), "interrupted: what was done is above") {
		t.Errorf("stderr: %s", c.errs.String())
	}
	p.goesOn()
}

func TestKilledRolloutGoesOnWhereItWas(t *testing.T) {
	if testing.Short() {
		t.Skip("other processes do the work")
	}
	t.Parallel()
	for _, when := range []string{"[1/", "[4/", "[9/", "[14/"} {
		t.Run("killed at "+when, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, "--accounts", "6")
			p.faults(`{"latency":5000000}`)
			c := p.start("--sandbox", "rollout", "--yes")
			c.says(when)
			c.signal(syscall.SIGKILL)
			if code, _ := c.ends(); code != -1 {
				t.Errorf("exit code %d of a process that was killed", code)
			}
			p.goesOn()
		})
	}
}

// TestCrashAfterAnyWrite kills a rollout after its n-th write and not between two
// of them, for a few n.
func TestCrashAfterAnyWrite(t *testing.T) {
	if testing.Short() {
		t.Skip("other processes do the work")
	}
	t.Parallel()
	for _, n := range []int{1, 2, 3, 5, 8, 13, 17, 21} {
		t.Run(fmt.Sprintf("write %d", n), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, "--accounts", "4")
			p.faults(fmt.Sprintf(`{"crash_at_write":%d}`, n))
			p.run(137, "--sandbox", "rollout", "--yes")
			p.goesOn()
		})
	}
}

var breaksLock = regexp.MustCompile(`--break-lock ([0-9a-f]{8})`)

// goesOn runs the rollout that a signal ended to its end, and holds the result to
// what an undisturbed one leaves.
func (p place) goesOn() {
	p.t.Helper()
	p.faults(`{}`)
	// 1: the subscription waits for its confirmation; that is not always left to do.
	c := p.start("--sandbox", "rollout", "--yes")
	code, _ := c.ends()
	if m := breaksLock.FindStringSubmatch(c.errs.String()); code == exitIncomplete && m != nil {
		// Who was killed let nothing go, and the next one is told how.
		if !strings.Contains(c.errs.String(), "another orgguard rollout is under way") {
			p.t.Errorf("stderr: %s", c.errs.String())
		}
		c = p.start("--sandbox", "rollout", "--yes", "--break-lock", m[1])
		code, _ = c.ends()
	}
	if code > exitDrift || code < 0 {
		p.t.Fatalf("the rollout after it: exit code %d\n%s%s", code, c.out.String(), c.errs.String())
	}
	p.run(0, "sandbox", "confirm")
	p.run(0, "--sandbox", "audit")
	out, _ := p.run(0, "--sandbox", "rollout", "--yes")
	if !strings.Contains(out, "Nothing to change") {
		p.t.Errorf("there is still something to do:\n%s", out)
	}
}

func TestTwoAtOnceOnOneSandbox(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "--accounts", "3")
	p.faults(`{"latency":5000000}`)
	first := p.start("--sandbox", "rollout", "--yes")
	first.says("[1/")
	// It waits for the first to end and then finds everything done.
	second := p.start("--sandbox", "plan")
	if code, _ := first.ends(); code != exitDrift {
		t.Errorf("the first: exit code %d\n%s", code, first.errs.String())
	}
	if code, _ := second.ends(); code != exitOK || !strings.Contains(second.out.String(), "Nothing to change") {
		t.Errorf("the second: exit code %d\n%s%s", code, second.out.String(), second.errs.String())
	}
}

// heldBy waits until a process holds the sandbox: the note in the lock file names
// it.
func (p place) heldBy(c *process) {
	p.t.Helper()
	want := fmt.Sprintf("process %d,", c.Process.Pid)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; {
		note, err := os.ReadFile(p.sandbox() + ".lock")
		if err == nil && strings.Contains(string(note), want) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the lock file does not name process %d: %q, %v", c.Process.Pid, note, err)
		}
		<-tick.C
	}
}

func TestSecondIsToldWhoHoldsTheSandbox(t *testing.T) {
	if testing.Short() {
		t.Skip("other processes do the work")
	}
	t.Parallel()
	p := newPlace(t, "--accounts", "3")
	p.faults(`{"latency":60000000000}`)
	first := p.start("audit", "--sandbox")
	p.heldBy(first)
	_, stderr := p.run(exitIncomplete, "--sandbox", "plan")
	for _, want := range []string{"in use by orgguard audit (process " + fmt.Sprint(first.Process.Pid), "--sandbox-file"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr does not say %q: %s", want, stderr)
		}
	}
	first.signal(os.Interrupt)
	if code, _ := first.ends(); code != exitIncomplete {
		t.Errorf("the first: exit code %d, want %d\n%s", code, exitIncomplete, first.errs.String())
	}
}

// TestSilentMetadataService is a laptop behind a network that swallows what is
// sent to the metadata service: credentials that are nowhere must not take long.
func TestSilentMetadataService(t *testing.T) {
	if testing.Short() {
		t.Skip("other processes do the work")
	}
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, by the kernel, and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := newPlace(t)
	p.env = append(p.env, "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://"+l.Addr().String())
	c := p.start("audit")
	code, took := c.ends()
	if code != exitIncomplete || took > 15*time.Second {
		t.Errorf("exit code %d after %s, want %d within seconds", code, took, exitIncomplete)
	}
	if s := c.errs.String(); !strings.Contains(s, "next: give AWS credentials") || strings.Contains(s, "SDK ") {
		t.Errorf("stderr: %s", s)
	}
}

func TestClosedStdoutIsAnError(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here to write to")
	}
	defer full.Close() //nolint:errcheck // nothing can be written to it
	p := newPlace(t, "--accounts", "2")
	for _, args := range [][]string{
		{"--sandbox", "audit"}, {"--sandbox", "audit", "--format", "json"}, {"--sandbox", "plan"}, {"render", "--all"}, {"controls"}, {"permissions"},
		{"sandbox", "show"},
	} {
		cmd := exec.CommandContext(t.Context(), "orgguard", args...)
		cmd.Dir, cmd.Env, cmd.Stdout = p.dir, p.env, full
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if code := exitCode(cmd.Run()); code != exitIncomplete || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("orgguard %s: exit code %d, want %d: a report that is lost is no success\n%s", strings.Join(args, " "), code, exitIncomplete, stderr.String())
		}
	}
}

func TestColourIsForPeopleWhoWantIt(t *testing.T) {
	p := newPlace(t, "--accounts", "2")
	audit := func(tty bool, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		args = append([]string{"orgguard", "--sandbox", "--sandbox-file", p.sandbox(), "audit"}, args...)
		if code := run(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &errs, outTTY: tty}); code != exitDrift {
			t.Fatalf("exit code %d: %s", code, errs.String())
		}
		return out.String()
	}
	t.Setenv("NO_COLOR", "")
	if !strings.Contains(audit(true), "\x1b[") {
		t.Error("no colour on a terminal")
	}
	for name, out := range map[string]string{
		"not a terminal": audit(false), "--no-color": audit(true, "--no-color"), "JSON": audit(true, "--format", "json"), "CSV": audit(true, "--format", "csv"),
	} {
		if strings.Contains(out, "\x1b") {
			t.Errorf("%s: colour", name)
		}
	}
	t.Setenv("NO_COLOR", "yes")
	if strings.Contains(audit(true), "\x1b") {
		t.Error("NO_COLOR: colour")
	}
}
