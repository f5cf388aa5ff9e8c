package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/sim"
)

// executable is one for Linux on arm64 that says no more than that.
func executable(body string) []byte {
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")
	for at, v := range map[int]uint16{16: 2, 18: 183, 52: 64, 54: 56, 58: 64} {
		binary.LittleEndian.PutUint16(head[at:], v)
	}
	binary.LittleEndian.PutUint32(head[20:], 1)
	return append(head, body...)
}

// fakeProgram writes such a file.
func fakeProgram(t *testing.T, dir, name, body string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, executable(body), 0o755); err != nil { //nolint:gosec // an executable
		t.Fatal(err)
	}
	return file
}

// jobRun runs a command about the scheduled audit with the rights that it prints, and
// returns what it said and which actions it used.
func (lw *limitedWorld) jobRun(command, dir string, run func(*session) error) map[string]int {
	lw.t.Helper()
	lw.grant(lw.need(command))
	s := lw.session(writes)
	var out strings.Builder
	s.out, s.err = &out, &out
	s.aws = lw.w.Config("ap-northeast-1", lw.w.RolePrincipal("100000000001", limited, "orgguard"))
	s.sandbox, s.sandboxFile = true, filepath.Join(dir, "sandbox.json") // for the journal
	s.config, s.configGiven = filepath.Join(dir, "orgguard.yaml"), true
	defer func() {
		if lw.t.Failed() {
			lw.t.Fatalf("%s: %s", command, out.String())
		}
	}()
	// Whether the audit may enter the accounts is none of these commands' business.
	if code, err := codeOf(run(s)); err != nil || code == exitUsage {
		lw.t.Errorf("%s: %d %v\n%s", command, code, err, out.String())
	}
	if strings.Contains(out.String(), "Failed: ") {
		lw.t.Errorf("%s failed", command)
	}
	if r := refusals(strings.Join(strings.Fields(out.String()), " ")); len(r) > 0 {
		lw.t.Errorf("%s was refused %v", command, r)
	}
	return s.pool.Used()
}

// tamperJob does to the job what CloudFormation does not see.
func (lw *limitedWorld) tamperJob() {
	lw.t.Helper()
	cfg, ctx := lw.w.Config("ap-northeast-1", lw.w.RolePrincipal("200000000001", "OrganizationAccountAccessRole", "somebody")), lw.t.Context()
	clock, functions, name := scheduler.NewFromConfig(cfg), lambda.NewFromConfig(cfg), aws.String(baseline.JobName)
	was, err := clock.GetSchedule(ctx, &scheduler.GetScheduleInput{Name: name})
	if err != nil {
		lw.t.Fatal(err)
	}
	bucket := aws.String("orgguard-audit-200000000001-ap-northeast-1")
	_, err = clock.UpdateSchedule(ctx, &scheduler.UpdateScheduleInput{Name: name, ScheduleExpression: was.ScheduleExpression, FlexibleTimeWindow: was.FlexibleTimeWindow, Target: was.Target, State: "DISABLED"})
	_, err2 := functions.PutFunctionConcurrency(ctx, &lambda.PutFunctionConcurrencyInput{FunctionName: name, ReservedConcurrentExecutions: aws.Int32(0)})
	_, err3 := s3.NewFromConfig(cfg).PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("other.zip"), Body: strings.NewReader("mine")})
	_, err4 := functions.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{FunctionName: name, S3Bucket: bucket, S3Key: aws.String("other.zip")})
	if err := errors.Join(err, err2, err3, err4); err != nil {
		lw.t.Fatal(err)
	}
}

// tamperBeside does to the job's stack in the management account what can be done to it,
// and looks after each.
func (lw *limitedWorld) tamperBeside(look func(want string)) {
	lw.t.Helper()
	ctx, cfg := lw.t.Context(), lw.w.Config("us-east-1", lw.w.RolePrincipal("100000000001", "OrgAdmin", "somebody"))
	rules, stacks, name := eventbridge.NewFromConfig(cfg), cloudformation.NewFromConfig(cfg), aws.String(baseline.JobName+"-events")
	is, err := stacks.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: name, TemplateStage: cfntypes.TemplateStageOriginal})
	if err != nil {
		lw.t.Fatal(err)
	}
	bus := []cfntypes.Parameter{{ParameterKey: aws.String("BusArn"), ParameterValue: aws.String("arn:aws:events:ap-northeast-1:200000000001:event-bus/orgguard-audit")}}
	able, ours := []cfntypes.Capability{cfntypes.CapabilityCapabilityNamedIam}, []cfntypes.Tag{{Key: aws.String("managed-by"), Value: aws.String("orgguard")}}
	drop := func() error {
		_, err := stacks.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: name})
		return err
	}
	for _, c := range []struct {
		do   func() error
		want string
	}{
		{func() error {
			_, err := rules.DisableRule(ctx, &eventbridge.DisableRuleInput{Name: aws.String("orgguard-audit-moved")})
			return err
		}, "rule orgguard-audit-moved is not as its stack made it (the rule is disabled)"},
		{func() error {
			_, err := rules.EnableRule(ctx, &eventbridge.EnableRuleInput{Name: aws.String("orgguard-audit-moved")})
			_, err2 := rules.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: aws.String("orgguard-audit-joined"), Ids: []string{"audit"}})
			return errors.Join(err, err2)
		}, "rule orgguard-audit-joined is not as its stack made it (the rule has no target"},
		{func() error {
			_, err := stacks.UpdateStack(ctx, &cloudformation.UpdateStackInput{
				StackName: name, Capabilities: able, Parameters: bus, Tags: ours, TemplateBody: aws.String(strings.Replace(*is.TemplateBody, "MoveAccount, ", "", 1)),
			})
			return err
		}, "stack orgguard-audit-events is not as it should be (the template): orgguard schedule install"},
		{drop, "there is no stack orgguard-audit-events: orgguard schedule install"},
		{func() error {
			_, err := stacks.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: name, Capabilities: able, Parameters: bus, TemplateBody: is.TemplateBody})
			return err
		}, "somebody else made it"},
		{func() error {
			_, err := lw.iam("100000000001").CreateRole(ctx, &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)})
			if err != nil {
				return err
			}
			_, err = stacks.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: name, Capabilities: able, Parameters: bus, Tags: ours, TemplateBody: is.TemplateBody})
			_, err2 := lw.iam("100000000001").DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: name})
			return errors.Join(err, err2)
		}, "stack orgguard-audit-events is ROLLBACK_COMPLETE, and its events say why: orgguard schedule install"},
	} {
		if strings.Contains(c.want, "ROLLBACK") {
			if err := drop(); err != nil {
				lw.t.Fatal(err)
			}
		}
		if err := c.do(); err != nil {
			lw.t.Fatalf("%s: %v", c.want, err)
		}
		look(c.want)
	}
}

// fromOutside looks at the job from the security account, whom nobody lets into the
// management account: what cannot be seen there is no problem, and is not well either.
func (lw *limitedWorld) fromOutside(dir string) {
	lw.t.Helper()
	s := lw.session(reads)
	s.aws = lw.w.Config("ap-northeast-1", lw.w.RolePrincipal("200000000001", "OrganizationAccountAccessRole", "somebody"))
	s.config, s.configGiven = filepath.Join(dir, "orgguard.yaml"), true
	var err error
	if s.pool, err = access.New(lw.t.Context(), s.aws, access.Options{Role: limited, ReadOnly: true, NoRateLimits: true}); err != nil {
		lw.t.Fatal(err)
	}
	r, err := s.scheduleStatus(lw.t.Context(), jobFlags{})
	if err != nil || len(r.Unseen) != 1 || !strings.HasPrefix(r.Unseen[0], "accounts that join or move: ") || scheduleCode(r) != exitIncomplete {
		lw.t.Errorf("from the security account: unseen %q, %v, exit code %d", r.Unseen, err, scheduleCode(r))
	}
}

func TestTheScheduledAuditGetsByWithTheRightsItPrints(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "orgguard.yaml"), []byte("version: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	first, second := fakeProgram(t, dir, "first", "1"), fakeProgram(t, dir, "second", "2")
	lw := newLimitedWorld(t, "central", func(*sim.Spec) {})
	used := map[string]map[string]int{}
	note := func(command string, calls map[string]int) {
		if used[command] == nil {
			used[command] = map[string]int{}
		}
		for action, n := range calls {
			used[command][action] += n
		}
	}
	install := func(binary string, f jobFlags) {
		note("schedule install", lw.jobRun("schedule install", dir, func(s *session) error {
			return runScheduleInstall(t.Context(), s, installOptions{reverseOptions: reverseOptions{yes: true, format: "table"}, jobFlags: f, binary: binary})
		}))
	}
	undo := func(command string) {
		runs, err := journal.List(filepath.Join(dir, "journal"))
		slices.SortFunc(runs, func(a, b journal.Summary) int { return b.Began.Compare(a.Began) })
		if err != nil || len(runs) == 0 || runs[0].Command != command {
			t.Fatalf("%+v %v", runs, err)
		}
		note("undo", lw.jobRun("undo", dir, func(s *session) error {
			l, err := s.keeper(s.journalDir()).Read(t.Context(), runs[0].Run)
			if err != nil {
				return err
			}
			p, tasks, err := s.undoOf(t.Context(), l)
			if err != nil || len(tasks) == 0 {
				t.Errorf("nothing to undo of %s: %v %+v", command, err, p.Skipped)
				return err
			}
			_, err = s.reverse(t.Context(), "undo of "+l.Run(), p, tasks, reverseOptions{yes: true, format: "table"})
			return err
		}))
	}
	remove := func(h baseline.History) {
		note("schedule remove", lw.jobRun("schedule remove", dir, func(s *session) error {
			return runScheduleRemove(t.Context(), s, reverseOptions{yes: true, format: "table"}, h)
		}))
	}
	// As a rollout makes it: the job's rules are on it.
	security := lw.w.Config("ap-northeast-1", lw.w.RolePrincipal("200000000001", "OrganizationAccountAccessRole", "somebody"))
	if _, err := eventbridge.NewFromConfig(security).CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("orgguard-alerts")}); err != nil {
		t.Fatal(err)
	}
	install(first, jobFlags{})
	undo("schedule install")
	install(first, jobFlags{})
	look := func(want ...string) {
		t.Helper()
		note("schedule status", lw.jobRun("schedule status", dir, func(s *session) error {
			r, err := s.scheduleStatus(t.Context(), jobFlags{})
			if err != nil || len(r.Unseen) > 0 || len(r.Problems) != len(want) {
				t.Errorf("unseen %q, problems %q, %v", r.Unseen, r.Problems, err)
			}
			for i := range min(len(want), len(r.Problems)) {
				if !strings.Contains(r.Problems[i], want[i]) {
					t.Errorf("problem %q, want %q", r.Problems[i], want[i])
				}
			}
			return err
		}))
	}
	begin := func() {
		t.Helper()
		note("schedule run", lw.jobRun("schedule run", dir, func(s *session) error {
			begun, err := s.base.RunJob(t.Context(), s.pool)
			if err != nil {
				return err
			}
			_, err = s.lastRun(t.Context(), time.Time{})
			_, ferr := s.base.RunFailed(t.Context(), s.pool, begun)
			return errors.Join(err, ferr)
		}))
	}
	lw.w.SetProgram(func(context.Context, sim.Principal, map[string]string, []byte, io.Writer) ([]byte, error) {
		return []byte("{}"), nil
	})
	look("it has not run yet")
	lw.tamperBeside(func(want string) {
		t.Helper()
		look(want, "it has not run yet")
	})
	install(first, jobFlags{})
	look("it has not run yet")
	lw.fromOutside(dir)
	begin()
	lw.tamperJob()
	look("its schedule is off", "its function is gone, or may not run", "its function runs another package", "it has not run yet")
	remove(baseline.KeepHistory)
	install(first, jobFlags{})
	install(second, jobFlags{every: "1h", engine: "stepfunctions", reserved: "none"})
	begin()
	undo("schedule install")
	remove(baseline.KeepHistory)
	undo("schedule remove")
	remove(baseline.DeleteHistory)

	// CloudFormation uses the others with the rights of whoever asks it to. Of these, some
	// are for when something fails, and some where the roles are those that bootstrap makes.
	rare := []string{"organizations:EnableAWSServiceAccess", "cloudformation:DeleteStack", "cloudformation:DescribeStackEvents", "cloudformation:DescribeStackSet", "cloudformation:ListStackInstances"}
	for _, command := range []string{"schedule install", "schedule remove", "schedule status", "schedule run"} {
		for _, action := range slices.Concat(lw.need(command).caller, lw.need(command).member) {
			service, _, _ := strings.Cut(action, ":")
			if used[command][action] == 0 && (slices.Contains([]string{"cloudformation", "organizations", "ssm"}, service) || (command == "schedule status" || command == "schedule run") && service != "s3") && !slices.Contains(rare, action) {
				t.Errorf("%s prints %s and never uses it", command, action)
			}
		}
	}
}
