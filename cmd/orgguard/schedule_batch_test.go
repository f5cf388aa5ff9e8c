package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/spec"
)

// The rendered state machine, run with the rights of its role, submits the array job and
// the job after it. Their commands, run as Batch runs them but in the simulated
// organization, make one audit of its parts.
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
				Definition any `yaml:"Definition"`
				Policies   []struct {
					PolicyDocument any `yaml:"PolicyDocument"`
				} `yaml:"Policies"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(files[0].text, &doc); err != nil {
		t.Fatal(err)
	}
	job := func(resource, index string, parameters map[string]string) {
		t.Helper()
		var args []string
		for _, a := range doc.Resources[resource].Properties.ContainerProperties.Command {
			if name, ok := strings.CutPrefix(a, "Ref::"); ok {
				a = parameters[name]
			}
			if strings.HasPrefix(a, "s3://") {
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
	// The machine runs in a world of its own: the jobs open the other one's file.
	const account, arn = "200000000001", "arn:aws:batch:ap-northeast-1:200000000001:"
	filled := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return strings.NewReplacer("${AWS::Partition}", "aws", "${AWS::Region}", "ap-northeast-1", "${AWS::AccountId}", account,
			"${queue}", arn+"job-queue/orgguard-audit", `"Queue"`, `"`+arn+`job-queue/orgguard-audit"`,
			"${part}", arn+"job-definition/orgguard-audit-part:1", "${merge}", arn+"job-definition/orgguard-audit-merge:1").Replace(string(text))
	}
	w := demoWorld(t)
	var submitted []string
	w.SetBatch(func(_ context.Context, j sim.BatchJob) error {
		submitted = append(submitted, j.JobName)
		if j.JobName == "orgguard-audit-merge" {
			job("Merge", "", j.Parameters)
			return nil
		}
		for i := range j.ArrayProperties.Size {
			job("Part", strconv.Itoa(i), j.Parameters)
		}
		return errors.New("a part died after it was done") // and the others are put together all the same
	})
	admin := w.Config("ap-northeast-1", w.RolePrincipal(account, "Admin", "admin"))
	role, err := iam.NewFromConfig(admin).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String("orgguard-audit-machine"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"states.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := iam.NewFromConfig(admin).PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: role.Role.RoleName, PolicyName: aws.String("jobs"),
		PolicyDocument: aws.String(filled(doc.Resources["MachineRole"].Properties.Policies[0].PolicyDocument))}); err != nil {
		t.Fatal(err)
	}
	machine, err := sfn.NewFromConfig(admin).CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{Name: aws.String("orgguard-audit"), RoleArn: role.Role.Arn,
		Definition: aws.String(filled(doc.Resources["Machine"].Properties.Definition))})
	if err != nil {
		t.Fatal(err)
	}
	begun, err := sfn.NewFromConfig(admin).StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: machine.StateMachineArn, Name: aws.String("run-1"), Input: aws.String("{}")})
	if err != nil {
		t.Fatal(err)
	}
	ended, err := sfn.NewFromConfig(admin).DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: begun.ExecutionArn})
	if err != nil || ended.Status != "SUCCEEDED" || !slices.Equal(submitted, []string{"orgguard-audit-parts", "orgguard-audit-merge"}) {
		t.Fatalf("%v: %s %s %s", submitted, ended.Status, aws.ToString(ended.Cause), err)
	}
	out, _ := sh.run(exitOK, "report", "list", "--format", "json", "--history", "s3://org-state/orgguard/history")
	if strings.Count(out, `"run":`) != 1 || strings.Contains(out, "narrowed") || !strings.Contains(out, begun.StartDate.UTC().Format("2006-01-02T15:04:05Z")) {
		t.Errorf("the history: %s", out)
	}
}
