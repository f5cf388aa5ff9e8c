package main

import (
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs/spec"
)

// The commands of the rendered array job and of the job after it, run as Batch runs them
// but in the simulated organization, make one audit of its parts.
func TestTheJobsOfBatchMakeAnAudit(t *testing.T) {
	const config = "version: 1\nhome_region: ap-northeast-1\nregions: [ap-northeast-1]\nalerts: {email: [a@example.com]}\n"
	sh := newShell(t)
	sh.put("org-state", "orgguard.yaml", config)
	cfg, err := spec.Parse("orgguard.yaml", []byte(config), baseline.Known())
	if err != nil {
		t.Fatal(err)
	}
	s := &session{globals: globals{quiet: true}, streams: streams{out: io.Discard, err: io.Discard}, cfg: cfg, now: time.Now}
	files, err := s.renderSchedule(cfg, scheduleOptions{target: "batch", every: "6h", name: "orgguard-audit", image: "x", host: "gitlab.com", shards: 2})
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Resources map[string]struct {
			Properties struct {
				ContainerProperties struct {
					Command []string `yaml:"Command"`
				} `yaml:"ContainerProperties"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(files[0].text, &doc); err != nil {
		t.Fatal(err)
	}
	job := func(resource, index string) {
		t.Helper()
		var args []string
		for _, a := range doc.Resources[resource].Properties.ContainerProperties.Command {
			switch {
			case a == "Ref::run":
				a = "run-1"
			case a == "Ref::at":
				a = "2027-03-31T06:00:00.123Z"
			case strings.HasPrefix(a, "s3://"):
				a = "s3://org-state/orgguard"
			}
			args = append(args, a)
		}
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...) //nolint:gosec // the rendered command is what is tested
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_BATCH_JOB_ARRAY_INDEX=" + index}
		for k, v := range lambdaEnv(sh) {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", resource, index, err, out)
		}
	}
	for i := range 2 {
		job("Part", strconv.Itoa(i))
	}
	job("Merge", "")
	out, _ := sh.run(exitOK, "report", "list", "--format", "json", "--history", "s3://org-state/orgguard/history")
	if strings.Count(out, `"run":`) != 1 || strings.Contains(out, "narrowed") || !strings.Contains(out, `"generated_at": "2027-03-31T06:00:00Z"`) {
		t.Errorf("the history: %s", out)
	}
}
