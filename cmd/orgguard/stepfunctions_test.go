package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/reports"
)

// cloud is a world with the scheduled audit in an account, as schedule render makes it:
// bucket, roles, queue, topic and state machine are what CloudFormation made of the
// template, and so is what they may do. The function is the program's own code.
type cloud struct {
	t       *testing.T
	w       *sim.World
	account string
	region  string
	bucket  string
	machine string
	f       *function
	events  []string // that the function got
	// fails decides whether a call of the function fails; nil for never.
	fails func(event []byte) error
}

func (c *cloud) admin() aws.Config {
	return c.w.Config(c.region, c.w.RolePrincipal(c.account, "Admin", "admin"))
}

// deploy deploys the rendered template of an engine.
func (c *cloud) deploy(config string) {
	t := c.t
	t.Helper()
	cfg, err := spec.Parse("orgguard.yaml", []byte(config), baseline.Known())
	if err != nil {
		t.Fatal(err)
	}
	s := &session{globals: globals{config: "orgguard.yaml", configGiven: true, quiet: true}, streams: streams{out: io.Discard, err: io.Discard}, cfg: cfg, now: time.Now}
	files, err := s.renderSchedule(cfg, scheduleOptions{target: "stepfunctions", every: "6h", name: "orgguard-audit", host: "gitlab.com"})
	if err != nil {
		t.Fatal(err)
	}
	lambda := fmt.Sprintf("arn:aws:lambda:%s:%s:function:orgguard-audit", c.region, c.account)
	c.bucket = "orgguard-audit-" + c.account + "-" + c.region
	ctx, cfn, bucket := t.Context(), cloudformation.NewFromConfig(c.admin()), s3.NewFromConfig(c.admin())
	body := string(files[0].text)
	parameters := func(code string) []cfntypes.Parameter {
		var out []cfntypes.Parameter
		for k, v := range map[string]string{"OrganizationId": c.organization(), "CodeKey": code, "ReservedConcurrency": ""} {
			out = append(out, cfntypes.Parameter{ParameterKey: aws.String(k), ParameterValue: aws.String(v)})
		}
		return out
	}
	named := []cfntypes.Capability{cfntypes.CapabilityCapabilityNamedIam}
	if _, err := cfn.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("orgguard-audit"), TemplateBody: &body, Capabilities: named, Parameters: parameters("")}); err != nil {
		t.Fatal(err)
	}
	c.settled(cfn)
	if _, err := bucket.PutObject(ctx, &s3.PutObjectInput{Bucket: &c.bucket, Key: aws.String("code/x.zip"), Body: strings.NewReader("x")}); err != nil {
		t.Fatal(err)
	}
	if _, err := cfn.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: aws.String("orgguard-audit"), TemplateBody: &body, Capabilities: named, Parameters: parameters("code/x.zip")}); err != nil {
		t.Fatal(err)
	}
	c.settled(cfn)
	c.machine = fmt.Sprintf("arn:aws:states:%s:%s:stateMachine:orgguard-audit", c.region, c.account)
	if _, err := bucket.PutObject(ctx, &s3.PutObjectInput{Bucket: &c.bucket, Key: aws.String("orgguard.yaml"), Body: strings.NewReader(config)}); err != nil {
		t.Fatal(err)
	}
	c.f, err = newFunction(globals{concurrency: 256}, func(name string) string {
		return map[string]string{stateVariable: "s3://" + c.bucket + "/orgguard", "ORGGUARD_KEEP": "400d"}[name]
	}, s.streams)
	if err != nil {
		t.Fatal(err)
	}
	c.f.globals.config, c.f.globals.configGiven, c.f.globals.quiet, c.f.globals.region = "s3://"+c.bucket+"/orgguard.yaml", true, true, c.region
	c.w.SetFunction(lambda, sim.Function{Role: "arn:aws:iam::" + c.account + ":role/orgguard-audit", Code: c.run})
}

// settled waits until CloudFormation is done with the stack, and holds it to success.
func (c *cloud) settled(cfn *cloudformation.Client) {
	c.t.Helper()
	name := aws.String("orgguard-audit")
	var status cfntypes.StackStatus
	for range 1000 { // every look lets the world go on
		out, err := cfn.DescribeStacks(c.t.Context(), &cloudformation.DescribeStacksInput{StackName: name})
		if err != nil {
			c.t.Fatal(err)
		}
		if status = out.Stacks[0].StackStatus; !strings.HasSuffix(string(status), "IN_PROGRESS") {
			break
		}
	}
	if status == cfntypes.StackStatusCreateComplete || status == cfntypes.StackStatusUpdateComplete {
		return
	}
	events, err := cfn.DescribeStackEvents(c.t.Context(), &cloudformation.DescribeStackEventsInput{StackName: name})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range events.StackEvents {
		c.t.Logf("%s %s %s", aws.ToString(e.LogicalResourceId), e.ResourceStatus, aws.ToString(e.ResourceStatusReason))
	}
	c.t.Fatalf("the stack is %s", status)
}

// withIdentity is the function as the world runs it.
func (f function) withIdentity(w *sim.World, role string) *function {
	_, name, _ := strings.Cut(role, "role/")
	f.globals.within = &within{w, w.RolePrincipal(strings.Split(role, ":")[4], name, "orgguard-audit")}
	return &f
}

func (c *cloud) organization() string {
	out, err := organizations.NewFromConfig(c.admin()).DescribeOrganization(c.t.Context(), &organizations.DescribeOrganizationInput{})
	if err != nil {
		c.t.Fatal(err)
	}
	return *out.Organization.Id
}

// run is the function's code, with the identity that it has in the world.
func (c *cloud) run(ctx context.Context, as sim.Principal, event []byte) ([]byte, error) {
	c.events = append(c.events, string(event))
	if c.fails != nil {
		if err := c.fails(event); err != nil {
			return nil, err
		}
	}
	f := *c.f
	f.globals.within = &within{c.w, as}
	d, err := f.handle(ctx, event)
	if err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

// execute runs the state machine once.
func (c *cloud) execute(name string) (done, error) {
	c.t.Helper()
	api := sfn.NewFromConfig(c.admin())
	e, err := api.StartExecution(c.t.Context(), &sfn.StartExecutionInput{StateMachineArn: &c.machine, Name: &name, Input: aws.String("{}")})
	if err != nil {
		c.t.Fatal(err)
	}
	out, err := api.DescribeExecution(c.t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: e.ExecutionArn})
	if err != nil {
		c.t.Fatal(err)
	}
	if out.Error != nil {
		return done{}, errors.New(*out.Error + ": " + aws.ToString(out.Cause))
	}
	var d done
	if err := json.Unmarshal([]byte(*out.Output), &d); err != nil {
		c.t.Fatal(err)
	}
	return d, nil
}

// report is the latest report of the history.
func (c *cloud) report() reports.Audit {
	c.t.Helper()
	s := &session{globals: c.f.globals, streams: c.f.streams, now: time.Now}
	s.within = &within{c.w, c.w.RolePrincipal(c.account, "Admin", "admin")}
	h, err := s.openHistory(c.t.Context(), c.f.state+"/history", reads)
	if err != nil {
		c.t.Fatal(err)
	}
	defer h.Close() //nolint:errcheck // only read
	a, err := h.Audit(c.t.Context(), 0)
	if err != nil {
		c.t.Fatal(err)
	}
	a.Trend, a.Since = nil, nil
	return a
}

func text(t *testing.T, a reports.Audit) string {
	t.Helper()
	a.Findings = slices.Clone(a.Findings)
	for i := range a.Findings { // what only a history knows
		a.Findings[i].FirstSeen, a.Findings[i].Change = time.Time{}, ""
	}
	var b strings.Builder
	if err := reports.Write(&b, reports.JSON, reports.Style{}, a); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const bigConfig = "version: 1\nhome_region: us-east-1\nregions: [us-east-1]\nalerts: {email: [a@example.com]}\nbaseline: {config-change-alert: false}\n"

// The state machine of the rendered template, run by the simulated Step Functions: 500
// accounts in 5 parts, or with ORGGUARD_TEST_ACCOUNTS=5000 in fifty, which takes minutes.
func TestPartsSayWhatOneAuditSays(t *testing.T) {
	accounts, _ := strconv.Atoi(cmp.Or(os.Getenv("ORGGUARD_TEST_ACCOUNTS"), "500")) // 0 fails below
	s := sim.Generate(accounts, 60, 1)
	w, err := sim.New(s)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2027, 3, 31, 6, 0, 0, 0, time.UTC)
	w.SetClock(func() time.Time { return now })
	c := &cloud{t: t, w: w, account: "100000000000", region: "us-east-1"}
	c.deploy(bigConfig)
	d, err := c.execute("first")
	if err != nil {
		t.Fatal(err)
	}
	if d.Accounts != accounts || len(c.events) != accounts/shardAccounts+2 {
		t.Fatalf("%+v by %d calls", d, len(c.events))
	}
	parts := c.report()

	out, err := c.f.withIdentity(w, "arn:aws:iam::100000000000:role/orgguard-audit").handle(t.Context(), []byte(`{"orgguard":"audit","at":"2027-03-31T06:00:00Z"}`))
	if err != nil {
		t.Fatal(err)
	}
	whole := c.report()
	if out.Drift != d.Drift || out.NotAssessed != d.NotAssessed || d.Drift == 0 {
		t.Errorf("in parts %+v, at once %+v", d, out)
	}
	if text(t, parts) != text(t, whole) {
		t.Error("the parts and one audit differ")
	}
}

// A part that keeps dying in the state machine is tried as often as the machine says,
// and then its accounts are not assessed, by name, while the others are as ever.
func TestAPartThatKeepsDyingIsNotAssessed(t *testing.T) {
	w, err := sim.New(sim.Generate(150, 20, 1))
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{t: t, w: w, account: "100000000000", region: "us-east-1"}
	c.deploy(bigConfig)
	if _, err := c.execute("whole"); err != nil {
		t.Fatal(err)
	}
	whole := c.report()
	tries := 0
	c.fails = func(event []byte) error {
		if strings.Contains(string(event), `"shard":2`) {
			tries++
			return &AuditFailed{"died"}
		}
		return nil
	}
	d, err := c.execute("dying")
	if err != nil || tries != 4 || d.Code != exitIncomplete || d.Accounts != 150 {
		t.Fatalf("%+v after %d tries, %v", d, tries, err)
	}
	part := c.report()
	blind, seen := map[string]bool{}, map[string]int{}
	for _, f := range part.Findings {
		if f.Status == finding.NotAssessed {
			blind[f.Account] = true
			if !strings.Contains(f.Reason, "part 2/2 of the audit is missing") {
				t.Errorf("%s is not assessed because %q", f.Account, f.Reason)
			}
		} else if f.Account != "" {
			seen[f.Account]++
		}
	}
	for _, f := range whole.Findings {
		if !blind[f.Account] && f.Account != "" {
			seen[f.Account]--
		}
	}
	for account, n := range seen {
		if n != 0 || blind[account] {
			t.Errorf("account %s: %d findings more or less than in the whole audit, not assessed: %t", account, n, blind[account])
		}
	}
	if len(blind) < 30 || len(blind) > 120 {
		t.Errorf("%d of 150 accounts are not assessed", len(blind))
	}
}

// In the demo organization, from the security account, with the rights of the template
// and no other: the function's own, and the audit role's in the accounts.
func TestTheScheduledAuditNeedsNoMoreThanItHas(t *testing.T) {
	w := demoWorld(t)
	const security = "200000000001"
	management := organizations.NewFromConfig(w.ManagementConfig("us-east-1"))
	if _, err := cloudformation.NewFromConfig(w.ManagementConfig("us-east-1")).ActivateOrganizationsAccess(t.Context(), &cloudformation.ActivateOrganizationsAccessInput{}); err != nil {
		t.Fatal(err)
	}
	if _, err := management.RegisterDelegatedAdministrator(t.Context(), &organizations.RegisterDelegatedAdministratorInput{AccountId: aws.String(security), ServicePrincipal: aws.String("member.org.stacksets.cloudformation.amazonaws.com")}); err != nil {
		t.Fatal(err)
	}
	cfg, err := spec.Parse("test.yaml", []byte(bootstrappedConfig), baseline.Known())
	if err != nil {
		t.Fatal(err)
	}
	// The roles are made from the security account, which they then trust.
	boot := &session{globals: globals{concurrency: 8, quiet: true}, streams: streams{out: io.Discard, err: io.Discard}, cfg: cfg, now: time.Now, world: w}
	if boot.pool, err = boot.newPool(t.Context(), w.Config("ap-northeast-1", w.RolePrincipal(security, "Admin", "admin")), writes); err != nil {
		t.Fatal(err)
	}
	if err := boot.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	// It ends with 3: StackSets makes no roles in the management account.
	if code, err := codeOf(runBootstrap(t.Context(), boot, bootstrapOptions{yes: true, format: "table"})); err != nil || code != exitIncomplete {
		t.Fatal(code, err)
	}
	c := &cloud{t: t, w: w, account: security, region: "ap-northeast-1"}
	c.deploy(bootstrappedConfig)

	d, err := c.execute("whole")
	if err != nil {
		t.Fatal(err)
	}
	blind := func(a reports.Audit) map[string]string {
		out := map[string]string{}
		for _, f := range a.Findings {
			if f.Status == finding.NotAssessed {
				out[f.Account] = f.Reason
			}
		}
		return out
	}
	// StackSets makes no roles in the management account: that is told, not hidden.
	if got := slices.Sorted(maps.Keys(blind(c.report()))); !slices.Equal(got, []string{"100000000001"}) || d.Drift == 0 {
		t.Errorf("%+v, not assessed: %v", d, blind(c.report()))
	}
	// What the function may not do: enter with another role, write elsewhere in the bucket.
	s3api := s3.NewFromConfig(w.Config(c.region, w.RolePrincipal(security, "orgguard-audit", "x")))
	for _, key := range []string{"orgguard.yaml", "code/x.zip"} {
		if _, err := s3api.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &c.bucket, Key: &key, Body: strings.NewReader("x")}); err == nil {
			t.Errorf("the function may write %s", key)
		}
	}
	f := c.f.withIdentity(w, "arn:aws:iam::"+security+":role/orgguard-audit")
	other := &session{globals: f.globals, streams: f.streams, cfg: cfg, now: time.Now}
	if other.pool, err = other.newPool(t.Context(), w.Config(c.region, f.globals.within.as), reads); err != nil {
		t.Fatal(err)
	}
	rollout, err := other.pool.As(t.Context(), rolloutRole, "id-42")
	if err != nil {
		t.Fatal(err)
	}
	if rollout.AssumeError(t.Context(), rollout.In(boot.org.Partition, "300000000001", c.region)) == nil {
		t.Error("the function may enter accounts with the role for rollouts")
	}

	// A part that dies is tried again, and one that keeps dying is not assessed.
	dying := 0
	c.fails = func(event []byte) error {
		if strings.Contains(string(event), `"shard":1`) {
			if dying++; dying == 1 {
				return &AuditFailed{"died"}
			}
		}
		return nil
	}
	again, err := c.execute("again")
	if err != nil || dying != 2 || again.NotAssessed != d.NotAssessed {
		t.Errorf("%+v after %d tries, %v", again, dying, err)
	}
	c.fails = func(event []byte) error {
		if strings.Contains(string(event), `"orgguard":"shards"`) {
			return nil
		}
		if strings.Contains(string(event), `"shard":1`) {
			return &AuditFailed{"died"}
		}
		return nil
	}
	if _, err := c.execute("never"); err == nil {
		t.Error("an audit of which no part came to an end is one")
	}
}
