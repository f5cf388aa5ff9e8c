package schedule

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs"
)

var update = flag.Bool("update", false, "write the golden files anew")

func job() Job {
	return Job{
		Name: "orgguard-audit", Every: Intervals[7], Minute: 17, Config: "/etc/orgguard/orgguard.yaml", Partition: "aws", Region: "ap-northeast-1",
		AuditRole: "OrgGuardAudit", Actions: []string{"config:DescribeConfigurationRecorders", "organizations:ListAccounts"},
		Emails: []string{"security@example.com"}, Host: "gitlab.com", Image: "registry.example.com/orgguard:1.2.3", Shards: 8, Version: "v1.2.3",
	}
}

func TestRendered(t *testing.T) {
	for _, target := range Targets {
		files, err := Render(target.Name, job())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			golden := filepath.Join("testdata", f.Name)
			if *update {
				if err := os.WriteFile(golden, f.Text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v; write it with go test -update", err)
			}
			if diff := cmp.Diff(string(want), string(f.Text)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", golden, diff)
			}
			if strings.Contains(string(f.Text), "[[") || strings.Contains(string(f.Text), "<no value>") {
				t.Errorf("%s has something left of its template", golden)
			}
		}
	}
}

// A job that tells people is another one only in its flag and in its role's rights.
func TestJobsThatTellPeople(t *testing.T) {
	j := job()
	j.Notify = true
	j.NotifyRights = []Right{
		{Sid: "TellTopics", Actions: []string{"sns:Publish"}, Resources: []string{"arn:aws:sns:us-east-1:222222222222:a", "arn:aws:sns:us-east-1:222222222222:b"}},
		{Sid: "EncryptForTopics", Actions: []string{"kms:Decrypt", "kms:GenerateDataKey"}, Resources: []string{"arn:aws:kms:us-east-1:222222222222:key/*"}, ViaService: "sns.*"},
	}
	for _, target := range Targets {
		files, err := Render(target.Name, j)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			before, err := os.ReadFile(filepath.Join("testdata", f.Name))
			if err != nil {
				t.Fatal(err)
			}
			role := strings.Contains(string(before), "PolicyName: audit")
			without := strings.NewReplacer(" --notify,", "", " --notify", "").Replace(string(f.Text))
			// What runs an audit by its command line has the flag; others have neither. On
			// Batch a template has both, the command and its role.
			if runs := strings.Contains(string(before), "--history"); runs != (without != string(f.Text)) || runs && role && target.Name != "batch" {
				t.Errorf("%s: runs an audit %v, flag %v", f.Name, runs, without != string(f.Text))
			}
			if !role {
				if diff := cmp.Diff(string(before), without); diff != "" {
					t.Errorf("%s: %s", f.Name, diff)
				}
				continue
			}
			var doc yaml.Node
			if err := yaml.Unmarshal(f.Text, &doc); err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
			const rights = `
              - Sid: EncryptForTopics
                Effect: Allow
                Action:
                  - kms:Decrypt
                  - kms:GenerateDataKey
                Resource:
                  - "arn:aws:kms:us-east-1:222222222222:key/*"
                Condition:
                  StringLike: {"kms:ViaService": "sns.*"}
`
			if text := string(f.Text); strings.Count(text, rights) != 1 || strings.Count(text, "- Sid: TellTopics\n") != 1 {
				t.Errorf("%s: %s", f.Name, text)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		change func(*Job)
		want   string
	}{
		"an engine that nobody knows": {"airflow", func(*Job) {}, `unknown engine "airflow"`},
		"no image on a cluster":       {"kubernetes", func(j *Job) { j.Image = "" }, "--image"},
		"a name that is a command":    {"cron", func(j *Job) { j.Name = "x; rm -rf /" }, "name"},
		"a path with a line break":    {"cron", func(j *Job) { j.Config = "/etc/x\n* * * * * root id" }, "configuration file"},
		"a path with a specifier":     {"systemd", func(j *Job) { j.Config = "/etc/%H.yaml" }, "configuration file"},
		"a path that climbs":          {"systemd", func(j *Job) { j.Config = "/etc/../root/x" }, "configuration file"},
		"an expression for a path":    {"github-actions", func(j *Job) { j.Config = "${{secrets.X}}" }, "configuration file"},
		"an array of one part":        {"batch", func(j *Job) { j.Shards = 1 }, "shards"},
		"an image that ends a string": {"kubernetes", func(j *Job) { j.Image = "x\"\nhostNetwork: true" }, "image"},
		"a Region that is none":       {"systemd", func(j *Job) { j.Region = "mars" }, "region"},
		"a role with a quote":         {"gitlab", func(j *Job) { j.AuditRole = `x"` }, "role"},
		"a host with a slash":         {"gitlab", func(j *Job) { j.Host = "gitlab.com/x" }, "host"},
	} {
		t.Run(name, func(t *testing.T) {
			j := job()
			c.change(&j)
			_, err := Render(c.target, j)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want an error with %q", err, c.want)
			}
		})
	}
	var unknown *orgs.UnknownError
	if _, err := Render("cronn", job()); !errors.As(err, &unknown) || !slices.Contains(unknown.Near, "cron") {
		t.Errorf("the engines are not named: %v", err)
	}
}

func render(t *testing.T, target string, j Job, n int) File {
	t.Helper()
	files, err := Render(target, j)
	if err != nil {
		t.Fatal(err)
	}
	return files[n]
}

func TestWorkflowIsOneForActionlint(t *testing.T) {
	f := render(t, "github-actions", job(), 0)
	l, err := actionlint.NewLinter(os.Stderr, &actionlint.LinterOptions{Shellcheck: "", Pyflakes: ""})
	if err != nil {
		t.Fatal(err)
	}
	errs, err := l.Lint(f.Name, f.Text, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range errs {
		t.Errorf("%s:%d:%d: %s", f.Name, e.Line, e.Column, e.Message)
	}
}

// need is a program that a test cannot do without; where CI is set it has to be
// there.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") != "":
		t.Fatalf("%s is not installed, and CI does not go without it", program)
	}
	t.Skipf("SKIPPED: %s is not installed", program)
	return ""
}

func TestUnitIsOneForSystemd(t *testing.T) {
	analyze := need(t, "systemd-analyze")
	f := render(t, "systemd", job(), 0)
	// It must find the program that it starts.
	text := strings.ReplaceAll(string(f.Text), "/usr/local/bin/orgguard", "/bin/true")
	file := filepath.Join(t.TempDir(), f.Name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", "--recursive-errors=no", file).CombinedOutput(); err != nil || strings.Contains(string(out), f.Name) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// Its own measure of how much a service may do: 10 is everything.
	if out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=yes", "--threshold=15", "--no-pager", file).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

func TestPipelineIsYAML(t *testing.T) {
	f := render(t, "gitlab", job(), 0)
	var doc map[string]struct {
		Script   []string
		IDTokens map[string]map[string]string `yaml:"id_tokens"`
	}
	if err := yaml.Unmarshal(f.Text, &doc); err != nil {
		t.Fatal(err)
	}
	j := doc["orgguard-audit"]
	if len(j.Script) != 3 || j.IDTokens["ORGGUARD_TOKEN"]["aud"] != "sts.amazonaws.com" {
		t.Errorf("pipeline %+v", j)
	}
}
