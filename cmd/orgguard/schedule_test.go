package main

import (
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/orgguard/orgguard/baseline/schedule"
)

// What engines are told to run are flags that the audit has.
func TestScheduledCommandsHaveTheFlagsOfAnAudit(t *testing.T) {
	var known []string
	for _, f := range newApp(streams{out: io.Discard, err: io.Discard}).Command("audit").Flags {
		known = append(known, f.Names()...)
	}
	j := schedule.Job{
		Name: "x", Every: schedule.Intervals[0], Config: "orgguard.yaml", Partition: "aws", Region: "us-east-1", AuditRole: "A",
		Host: "gitlab.com", Image: "x", Version: "v1",
	}
	long := regexp.MustCompile(`--([a-z][a-z-]*)`)
	for _, target := range schedule.Names() {
		if target == "lambda" || target == "stepfunctions" {
			continue // events begin what they run, not commands
		}
		files, err := schedule.Render(target, j)
		if err != nil {
			t.Fatal(err)
		}
		// A command may go on over lines; it ends with the next key or an empty line.
		_, command, found := strings.Cut(strings.ReplaceAll(string(files[0].Text), "args: [audit,", "orgguard audit"), "orgguard audit ")
		if !found {
			t.Errorf("%s runs no audit", target)
			continue
		}
		command = regexp.MustCompile(`\n\s*\n|\n\s*[A-Za-z-]+[=:]|\n\s*- |>>|\]`).Split(command, 2)[0]
		flags := long.FindAllStringSubmatch(command, -1)
		if len(flags) < 3 {
			t.Errorf("%s: only %d flags in %q", target, len(flags), command)
		}
		for _, f := range flags {
			if !slices.Contains(known, f[1]) {
				t.Errorf("%s: orgguard audit has no --%s", target, f[1])
			}
		}
	}
}
