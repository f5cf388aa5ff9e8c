package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/orgguard/orgguard/orgs/sim"
)

// shell runs commands on one simulated organization.
type shell struct {
	t    *testing.T
	file string
}

func newShell(t *testing.T) shell {
	t.Helper()
	sh := shell{t, filepath.Join(t.TempDir(), "sandbox.json")}
	sh.run(exitOK, "sandbox", "create", "--quiet")
	return sh
}

// run runs a command, which must end with a code, and returns what it printed.
func (sh shell) run(code int, args ...string) (stdout, stderr string) {
	sh.t.Helper()
	var out, err bytes.Buffer
	args = append([]string{"orgguard", "--sandbox", "--sandbox-file", sh.file}, args...)
	if got := run(sh.t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &err}); got != code {
		sh.t.Fatalf("%v ended with %d, want %d\n%s\n%s", args, got, code, out.String(), err.String())
	}
	return out.String(), err.String()
}

// world changes the organization between commands.
func (sh shell) world(fn func(*sim.World)) {
	sh.t.Helper()
	w, err := sim.Open(sh.file)
	if err != nil {
		sh.t.Fatal(err)
	}
	fn(w)
	if err := w.Close(); err != nil {
		sh.t.Fatal(err)
	}
}

// put makes a bucket in us-east-1, if there is none, and puts an object into it.
func (sh shell) put(name, key, body string) {
	sh.world(func(w *sim.World) {
		c := s3.NewFromConfig(w.ManagementConfig("us-east-1"))
		if _, err := c.CreateBucket(sh.t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
			sh.t.Fatal(err)
		}
		if _, err := c.PutObject(sh.t.Context(), &s3.PutObjectInput{Bucket: &name, Key: aws.String(key), Body: strings.NewReader(body)}); err != nil {
			sh.t.Fatal(err)
		}
	})
}

// The bucket is in another Region than the rest.
func TestAHistoryInS3SaysWhatTheFileSays(t *testing.T) {
	sh := newShell(t)
	sh.put("org-state", "orgguard.yaml", "version: 1\nhome_region: ap-northeast-1\nregions: [ap-northeast-1]\nalerts: {email: [a@example.com]}\n")
	file := filepath.Join(t.TempDir(), "h.db")
	const there = "s3://org-state/audits"
	audit := func(at string) {
		for _, h := range []string{file, there} {
			sh.run(exitIncomplete, "audit", "--config", "s3://org-state/orgguard.yaml", "--history", h, "--generated-at", at, "--format", "json", "--quiet")
		}
	}
	audit("2027-03-30T06:00:00Z")
	sh.put("org-state", "orgguard.yaml", "version: 1\nhome_region: ap-northeast-1\nregions: [ap-northeast-1, us-east-1]\nalerts: {email: [a@example.com]}\n")
	audit("2027-03-31T06:00:00Z")
	same := func(code int, args ...string) string {
		t.Helper()
		a, _ := sh.run(code, append(args, "--history", file)...)
		b, _ := sh.run(code, append(args, "--history", there)...)
		if a != b || a == "" {
			t.Errorf("%v: of the file\n%s\nof the bucket\n%s", args, a, b)
		}
		return a
	}
	if out := same(exitOK, "report", "list", "--format", "json"); strings.Count(out, `"run":`) != 2 {
		t.Errorf("runs: %s", out)
	}
	same(exitOK, "report", "list", "--findings", "--all")
	if out := same(exitOK, "report", "show", "--format", "json"); !strings.Contains(out, `"since"`) || !strings.Contains(out, "2027-03-31") {
		t.Errorf("the latest run: %s", out)
	}
	same(exitOK, "report", "trend", "--format", "json")
	same(exitDrift, "report", "diff", "--format", "json")
	if _, said := sh.run(exitIncomplete, "report", "list", "--history", "s3://org-state/elsewhere"); !strings.Contains(said, "there is no history s3://org-state/elsewhere") {
		t.Errorf("a history that is not there: %s", said)
	}
	if _, said := sh.run(exitUsage, "audit", "--history", "s3://Org_State"); !strings.Contains(said, "want s3://BUCKET/PREFIX") {
		t.Errorf("a bad URL: %s", said)
	}
}

// Parts that are written to S3 by several machines are merged from there.
func TestPartsInS3AreMerged(t *testing.T) {
	sh := newShell(t)
	sh.put("org-state", "x", "")
	const at = "2027-03-30T06:00:00Z"
	whole, _ := sh.run(exitIncomplete, "audit", "--generated-at", at, "--format", "json")
	for _, part := range []string{"1", "2", "3"} {
		code := map[string]int{"1": exitDrift, "2": exitDrift, "3": exitIncomplete}[part] // the suspended accounts are not assessed
		sh.run(code, "audit", "--shard", part+"/3", "--generated-at", at, "--output", "s3://org-state/runs/1/"+part+".json")
	}
	merged, _ := sh.run(exitIncomplete, "report", "merge", "--format", "json", "s3://org-state/runs/1")
	if merged != whole {
		t.Error("the parts together differ from the whole")
	}
	out := filepath.Join(t.TempDir(), "one.json")
	sh.run(exitIncomplete, "report", "merge", "--allow-missing", "--output", out, "s3://org-state/runs/1/1.json", "s3://org-state/runs/1/3.json")
	if b, err := os.ReadFile(out); err != nil || !bytes.Contains(b, []byte("part 2/3 of the audit is missing")) {
		t.Errorf("without part 2: %v", err)
	}
	if _, said := sh.run(exitUsage, "report", "merge", "s3://org-state/runs/2"); !strings.Contains(said, "no audit below") {
		t.Errorf("no parts: %s", said)
	}
}
