package schedule

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/orgguard/orgguard/orgs"
)

//go:embed templates/*.tmpl
var templateFiles embed.FS

// Target is an engine that can run the job.
type Target struct {
	Name  string // as people type it
	files []file
	// needs reports what the job lacks for this engine; nil where it lacks
	// nothing.
	needs func(Job) error
	parts bool // it audits in parts
	// function says that what audits is a function of AWS Lambda.
	function bool
}

type file struct {
	name string // of the file that is written; {name} stands for the job's
	from string // template below templates/
}

// File is a rendered file.
type File struct {
	Name string
	Text []byte
}

var errImage = errors.New("a container image with orgguard in it is needed (--image)")

func wantsImage(j Job) error {
	if j.Image == "" {
		return errImage
	}
	return nil
}

// Targets are all engines.
var Targets = []Target{
	{
		Name:  "systemd", // a service on a Linux machine, in a sandbox of systemd's
		files: []file{{"{name}.service", "systemd.service.tmpl"}},
	},
	{
		Name:  "cron", // a line for /etc/cron.d
		files: []file{{"{name}.cron", "cron.tmpl"}},
	},
	{
		Name:  "github-actions", // a workflow, and the role it assumes by OpenID Connect
		files: []file{{"{name}.workflow.yml", "github.workflow.tmpl"}, {"{name}-github-role.yaml", "github.role.tmpl"}},
	},
	{
		Name:  "gitlab", // a pipeline, and the role it assumes by OpenID Connect
		files: []file{{"{name}.gitlab-ci.yml", "gitlab.ci.tmpl"}, {"{name}-gitlab-role.yaml", "gitlab.role.tmpl"}},
	},
	{
		Name:  "kubernetes", // a CronJob with a volume for its history
		needs: wantsImage,
		files: []file{{"{name}.k8s.yaml", "kubernetes.tmpl"}},
	},
	{
		Name:     "lambda", // a function in the security account
		function: true,
		files:    []file{{"{name}-lambda.yaml", "lambda.tmpl"}, {"{name}-events.yaml", "events.tmpl"}},
	},
	{
		Name:  "stepfunctions", // the same function for each part, and a state machine
		parts: true, function: true,
		files: []file{{"{name}-stepfunctions.yaml", "stepfunctions.tmpl"}, {"{name}-events.yaml", "events.tmpl"}},
	},
	{
		Name:  "batch", // an array job of AWS Batch on Fargate, and one that puts the parts together
		parts: true,
		needs: wantsImage,
		files: []file{{"{name}-batch.yaml", "batch.tmpl"}},
	},
}

// Names are the targets' names.
func Names() []string {
	out := make([]string, len(Targets))
	for i, t := range Targets {
		out[i] = t.Name
	}
	return out
}

// IsFunction says whether what audits for a target is a function of AWS Lambda, which
// events can begin too.
func IsFunction(target string) bool {
	return slices.ContainsFunc(Targets, func(t Target) bool { return t.Name == target && t.function })
}

// view is what a template sees.
type view struct {
	Job
	Parts bool
	// Function says that the audit is a function of AWS Lambda, which counts its audits.
	Function bool
}

// Render writes the files with which a target runs the job.
func Render(target string, j Job) ([]File, error) {
	for _, t := range Targets {
		if t.Name != target {
			continue
		}
		err := j.Validate()
		if t.needs != nil {
			err = errors.Join(err, t.needs(j))
		}
		if err != nil {
			return nil, err
		}
		return t.render(j)
	}
	return nil, &orgs.UnknownError{Kind: "engine", Name: target, Near: Names()}
}

func (t Target) render(j Job) ([]File, error) {
	out := make([]File, len(t.files))
	for i, f := range t.files {
		tmpl, err := template.New(f.from).Delims("[[", "]]").Option("missingkey=error").Funcs(template.FuncMap{
			"quote": quote,
		}).ParseFS(templateFiles, "templates/policy.tmpl", "templates/aws.tmpl", "templates/"+f.from)
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", f.from, err)
		}
		var b bytes.Buffer
		if err := tmpl.ExecuteTemplate(&b, f.from, view{j, t.parts, t.function}); err != nil {
			return nil, fmt.Errorf("template %s: %w", f.from, err)
		}
		out[i] = File{Name: strings.ReplaceAll(f.name, "{name}", j.Name), Text: b.Bytes()}
	}
	return out, nil
}
