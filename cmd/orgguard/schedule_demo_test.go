package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The demo of the scheduled audit holds each of its steps to its exit code. Here it
// packs a small program: what the simulated organization runs is this one anyway.
func TestTheDemoOfTheScheduledAudit(t *testing.T) {
	if testing.Short() {
		t.Skip("other processes do the work")
	}
	dir := t.TempDir()
	script, err := filepath.Abs("testdata/demo_schedule.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", script)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "NO_COLOR=1", "ORGGUARD_BINARY=" + fakeProgram(t, dir, "program", "1")}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"IN SYNC  0 in drift, 0 not assessed", "DRIFT  2 in drift", "since the run before: 1 new", "  part", "WELL  the audit runs by itself", "since the run before: 0 new, 2 resolved", "NOT INSTALLED"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}
