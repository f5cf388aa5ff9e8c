package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/doctor"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/orgs/survey"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/scp/preview"
)

// limited is a role that exists in every account with just the rights of a grant.
const limited = "OrgGuardLimited"

const permissionsConfig = `
version: 1
organization: {access_role: OrgGuardLimited}
regions: [ap-northeast-1, us-east-1, ap-east-1]
home_region: ap-northeast-1
security_account: "200000000001"
alerts: {mode: %s, email: [security@example.com]}
# Who sets the scene up goes on working when the SCP is attached.
scp: {protect-config: {break_glass_roles: [OrganizationAccountAccessRole]}}
`

// limitedWorld is the demo organization with the limited role in every account
// that can be entered, and a way to change its rights.
type limitedWorld struct {
	t        *testing.T
	w        *sim.World
	cfg      *spec.Config
	accounts []string
	last     string // folder of the journal of the last scp command
}

func newLimitedWorld(t *testing.T, alerts string, change ...func(*sim.Spec)) *limitedWorld {
	t.Helper()
	noPaths := func(scenario *sim.Spec) { scenario.Organization.NoPaths = true } // the API that needs the most calls
	w := demoWorld(t, append([]func(*sim.Spec){noPaths}, change...)...)
	text := fmt.Appendf(nil, permissionsConfig, alerts)
	text = append(text, "baseline:\n"...)
	for _, c := range baseline.Controls() {
		// Without a channel nothing of chat-alert is looked at.
		text = fmt.Appendf(text, "  %s: %t\n", c.ID, c.ID != "chat-alert")
	}
	cfg, err := spec.Parse("test.yaml", text, baseline.Known())
	if err != nil {
		t.Fatal(err)
	}
	lw := &limitedWorld{t: t, w: w, cfg: cfg}
	lw.accounts = []string{
		"100000000001", "200000000001", "200000000002", "300000000001", "300000000002", "300000000003", "310000000001", "310000000002",
		"400000000001", "400000000002", "500000000001", "500000000002", "500000000003",
	}
	for _, id := range lw.accounts {
		_, err := lw.iam(id).CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String(limited), AssumeRolePolicyDocument: aws.String(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::100000000001:root"},"Action":"sts:AssumeRole"}]}`)})
		if err != nil {
			t.Fatal(err)
		}
	}
	return lw
}

// iam is IAM in an account, as somebody who may do everything there.
func (lw *limitedWorld) iam(account string) *iam.Client {
	role := "OrganizationAccountAccessRole"
	if account == "100000000001" {
		role = "OrgAdmin"
	}
	return iam.NewFromConfig(lw.w.Config("us-east-1", lw.w.RolePrincipal(account, role, "setup")))
}

// grant gives the limited roles exactly these rights.
func (lw *limitedWorld) grant(g grant) {
	lw.t.Helper()
	for _, id := range lw.accounts {
		doc := g.memberPolicy(lw.cfg, orgs.PartitionOf("us-east-1"))
		if id == "100000000001" {
			doc = g.callerPolicy(lw.cfg, orgs.PartitionOf("us-east-1"))
		}
		b, err := json.Marshal(doc)
		if err != nil {
			lw.t.Fatal(err)
		}
		if _, err := lw.iam(id).PutRolePolicy(lw.t.Context(), &iam.PutRolePolicyInput{
			RoleName: aws.String(limited), PolicyName: aws.String("rights"), PolicyDocument: aws.String(string(b)),
		}); err != nil {
			lw.t.Fatal(err)
		}
	}
}

// need is what a command needs with every control turned on.
func (lw *limitedWorld) need(command string) grant {
	lw.t.Helper()
	g, ok := grantFor(command, lw.cfg)
	if !ok {
		lw.t.Fatalf("there is no command %s", command)
	}
	return g
}

// session is a session of the limited role.
func (lw *limitedWorld) session(m mode) *session {
	lw.t.Helper()
	pool, err := access.New(lw.t.Context(), lw.w.Config("ap-northeast-1", lw.w.RolePrincipal("100000000001", limited, "orgguard")),
		access.Options{Role: limited, ReadOnly: m == reads, NoRateLimits: true})
	if err != nil {
		lw.t.Fatal(err)
	}
	s := &session{
		globals: globals{concurrency: 8, quiet: true}, streams: streams{out: io.Discard, err: io.Discard}, cfg: lw.cfg, pool: pool, now: time.Now,
	}
	if err := s.load(lw.t.Context()); err != nil {
		lw.t.Fatal(err)
	}
	return s
}

var refusal = regexp.MustCompile(`User: arn:aws:sts::(\d+):assumed-role/\S+ is not authorized to perform: (\S+)`)

// audit runs an audit and returns every refusal it met.
func (lw *limitedWorld) audit(tags ...orgs.Tag) (refused []string, used map[string]int) {
	s := lw.session(reads)
	a, err := runAudit(lw.t.Context(), s, auditOptions{all: true, tags: tags})
	if err != nil {
		lw.t.Fatal(err)
	}
	for _, f := range a.Findings {
		refused = append(refused, refusals(f.Reason)...)
	}
	return refused, s.pool.Used()
}

// plan makes a plan and returns every refusal it met.
func (lw *limitedWorld) plan() (refused []string, used map[string]int) {
	s := lw.session(reads)
	p, _, err := makePlan(lw.t.Context(), s)
	if err != nil {
		lw.t.Fatal(err)
	}
	for _, skip := range p.Skipped {
		refused = append(refused, refusals(skip.Reason)...)
	}
	return refused, s.pool.Used()
}

// rollout carries a plan out and returns every refusal it met.
func (lw *limitedWorld) rollout() (refused []string, used map[string]int) {
	s := lw.session(writes)
	p, tasks, err := makePlan(lw.t.Context(), s)
	if err != nil {
		lw.t.Fatal(err)
	}
	for _, skip := range p.Skipped {
		refused = append(refused, refusals(skip.Reason)...)
	}
	for _, o := range plan.Execute(context.Background(), tasks, 4, nil).Outcomes {
		refused = append(refused, refusals(o.Err)...)
		if o.Err != "" && len(refusals(o.Err)) == 0 {
			lw.t.Errorf("%s %s: %s", o.Change.Verb, o.Change.Resource, o.Err)
		}
		for _, f := range o.Failures {
			refused = append(refused, refusals(f.Reason)...)
		}
	}
	return refused, s.pool.Used()
}

func refusals(text string) []string {
	var out []string
	for _, m := range refusal.FindAllStringSubmatch(text, -1) {
		side := "member"
		if m[1] == "100000000001" {
			side = "caller"
		}
		out = append(out, side+" "+m[2])
	}
	return out
}

// everything is what the limited role gets to set a scene up.
var everything = grant{caller: []string{"*"}, member: []string{"*"}}

func TestAuditAndPlanNeedExactlyTheRightsTheyPrint(t *testing.T) {
	used := map[string]map[string]int{"audit": {}, "plan": {}}
	needed := map[string]grant{}
	for _, alerts := range []string{"central", "local"} {
		lw := newLimitedWorld(t, alerts)
		for _, when := range []string{"before", "after"} {
			for command, run := range map[string]func() ([]string, map[string]int){
				"audit":         func() ([]string, map[string]int) { return lw.audit() },
				"audit (--tag)": func() ([]string, map[string]int) { return lw.audit(orgs.Tag{Key: "team"}) },
				"plan":          lw.plan,
			} {
				command, _, _ := strings.Cut(command, " ")
				needed[command] = lw.need(command)
				lw.grant(needed[command])
				refused, calls := run()
				if len(refused) > 0 {
					t.Errorf("%s %s a rollout with %s alerts was refused %v", command, when, alerts, refused)
				}
				maps.Copy(used[command], calls)
			}
			lw.grant(everything)
			if refused, _ := lw.rollout(); len(refused) > 0 {
				t.Fatalf("setting up: %v", refused)
			}
		}
	}
	for command, calls := range used {
		for _, action := range slices.Concat(needed[command].caller, needed[command].member) {
			if calls[action] == 0 {
				t.Errorf("%s prints %s and never uses it", command, action)
			}
		}
	}
}

func TestDetectingDriftNeedsExactlyTheRightsItPrints(t *testing.T) {
	lw := newLimitedWorld(t, "central")
	lw.grant(everything)
	if refused, _ := lw.rollout(); len(refused) > 0 {
		t.Fatalf("setting up: %v", refused)
	}
	somebody := lw.w.Config("us-east-1", lw.w.RolePrincipal("300000000001", "OrganizationAccountAccessRole", "somebody"))
	if _, err := eventbridge.NewFromConfig(somebody).DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String("orgguard-config-change")}); err != nil {
		t.Fatal(err)
	}
	const command = "audit --stackset-drift"
	detect := auditOptions{filter: baseline.Filter{DetectDrift: true}}
	lw.grant(lw.need(command))
	s := lw.session(reads)
	a, err := runAudit(t.Context(), s, detect)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Findings {
		if len(refusals(f.Reason)) > 0 {
			t.Errorf("%s: %s", f.Resource, f.Reason)
		}
		// CloudFormation sees this one itself, and so does not disagree.
		if f.Account == "300000000001" && f.Control == "config-change-alert" && f.CloudFormation != "" {
			t.Errorf("%s: %s", f.Resource, f.Told())
		}
	}
	if len(a.Notes) != 1 || !strings.Contains(a.Notes[0], "StackSet drift detection: 1 of ") || !strings.Contains(a.Notes[0], "AWS::Config::ConfigurationRecorder") {
		t.Errorf("notes: %v", a.Notes)
	}
	for _, action := range grants[command].caller {
		if _, plain := slices.BinarySearch(grants["audit"].caller, action); !plain && s.pool.Used()[action] == 0 {
			t.Errorf("it prints %s and never uses it", action)
		}
	}
	// Without the rights it is said, and nothing else suffers.
	lw.grant(lw.need("audit"))
	if a, err = runAudit(t.Context(), lw.session(reads), detect); err != nil || a.Summary.NotAssessed == 0 {
		t.Fatalf("%+v %v", a.Summary, err)
	}
	for _, f := range a.Findings {
		if f.Status == finding.NotAssessed && !strings.HasPrefix(f.Resource, "drift detection of orgguard-") {
			t.Errorf("%+v", f)
		}
	}
}

func TestASweepNeedsExactlyTheRightsItPrints(t *testing.T) {
	lw := newLimitedWorld(t, "central", func(s *sim.Spec) {
		s.DelegatedAdministrators = append(s.DelegatedAdministrators, sim.DelegateSpec{Account: "security", Services: []string{"config.amazonaws.com"}})
		s.Aggregators = append(s.Aggregators, sim.AggregatorSpec{Account: "security", Region: "ap-northeast-1", Name: "organization"})
	})
	const command = "audit --sweep"
	sweep := auditOptions{filter: baseline.Filter{From: baseline.FromBoth}}
	lw.grant(lw.need("rollout"))
	lw.rollout() // there is nothing recorded of what is not there
	lw.grant(lw.need(command))
	s := lw.session(reads)
	a, err := runAudit(t.Context(), s, sweep)
	if err != nil || len(a.Notes) != 1 || !strings.HasPrefix(a.Notes[0], "aggregator organization of account 200000000001") {
		t.Fatalf("notes %v, error %v", a.Notes, err)
	}
	for _, action := range readAggregator {
		if s.pool.Used()[action] == 0 {
			t.Errorf("it prints %s and never uses it", action)
		}
	}
	// Without the rights it says so, and which one is wanted.
	lw.grant(lw.need("audit"))
	if _, err := runAudit(t.Context(), lw.session(reads), sweep); len(refusals(fmt.Sprint(err))) == 0 {
		t.Errorf("error %v", err)
	}
}

func TestTheDoctorNeedsExactlyTheRightsItPrints(t *testing.T) {
	lw := newLimitedWorld(t, "central", func(s *sim.Spec) {
		s.ControlTower = &sim.LandingZoneSpec{HomeRegion: "us-east-1", Regions: []string{"us-east-1"}, LogArchive: "log-archive", Audit: "security", Enrolled: []string{"Infrastructure/Network"}}
		s.DelegatedAdministrators = []sim.DelegateSpec{{Account: "security", Services: []string{"guardduty.amazonaws.com"}}}
	})
	lw.cfg.Notices = spec.Notices{
		Language:  "en",
		MailTopic: "arn:aws:sns:us-east-1:100000000001:nowhere", EventBus: "default", SecurityHub: true,
		Webhooks: []spec.Webhook{{Name: "pager", URLFrom: "ssm:/orgguard/pager", SecretFrom: "secretsmanager:orgguard/key"}},
	}
	lw.grant(lw.need("doctor"))
	s := lw.session(reads)
	s.aws = lw.w.Config("ap-northeast-1", lw.w.RolePrincipal("100000000001", limited, "orgguard"))
	in := s.intent("doctor")
	for _, d := range s.base.Decisions(t.Context(), s.pool, 4) {
		in.Services = append(in.Services, doctor.Service(d))
	}
	in.Sweep = doctor.Sweep(s.base.Sweeping(t.Context(), s.pool))
	checks := doctor.Diagnose(s.survey(t.Context(), "doctor"), in)
	job, sender := s.jobChecks(t.Context())
	if sender != "100000000001" {
		t.Errorf("without a job account %s tells people", sender)
	}
	for _, c := range slices.Concat(checks, job, s.noticeChecks(t.Context(), sender), s.noticeChecks(t.Context(), s.base.Security)) {
		switch {
		case c.ID == "account-access" && c.Account == "300000000003": // nobody's rights are enough there
		case len(refusals(c.What)) > 0 || c.Severity == doctor.Unknown:
			t.Errorf("%s %s", c.ID, c.What)
		case c.ID == "permissions" && c.Severity == doctor.Blocker:
			t.Errorf("by the simulator: %s", c.What)
		}
	}
	// What is asked where a job is installed is tried with schedule status.
	status := join(grants["schedule status"].caller, grants["schedule status"].member)
	for _, action := range slices.Concat(grants["doctor"].caller, grants["doctor"].member) {
		if s.pool.Used()[action] == 0 && !slices.Contains(status, action) && !slices.Contains(readSecrets, action) {
			t.Errorf("doctor prints %s and never uses it", action)
		}
	}
}

func TestInitNeedsExactlyTheRightsItPrints(t *testing.T) {
	lw := newLimitedWorld(t, "central", func(s *sim.Spec) {
		s.ControlTower = &sim.LandingZoneSpec{HomeRegion: "us-east-1", Regions: []string{"us-east-1"}, LogArchive: "log-archive", Audit: "security", Enrolled: []string{"Infrastructure/Network"}}
		s.DelegatedAdministrators = []sim.DelegateSpec{{Account: "security", Services: []string{"guardduty.amazonaws.com"}}}
	})
	lw.grant(grants["init"])
	s := lw.session(reads)
	o := s.surveyOptions()
	o.Trails = true
	found := survey.Look(t.Context(), s.pool, s.org, o)
	for _, err := range []error{found.Delegates.Err, found.LandingZone.Err, found.Services.Err, found.Policies.Err, found.StackSets.Err, found.Trails.Err} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, a := range found.Accounts {
		for _, c := range a.Cells {
			if c.Recorders.Err != nil || c.Channel.Err != nil || a.Regions.Err != nil {
				t.Errorf("%s %s: %v %v %v", a.ID, c.Region, c.Recorders.Err, c.Channel.Err, a.Regions.Err)
			}
		}
	}
	for _, action := range slices.Concat(grants["init"].caller, grants["init"].member) {
		if s.pool.Used()[action] == 0 {
			t.Errorf("init prints %s and never uses it", action)
		}
	}
}

func TestBootstrapGetsByWithTheRightsItPrints(t *testing.T) {
	lw := newLimitedWorld(t, "central")
	lw.grant(grants["bootstrap"])
	used := map[string]int{}
	for _, id := range []string{"one", "two"} { // made, then changed
		s := lw.session(writes)
		if err := runBootstrap(t.Context(), s, bootstrapOptions{yes: true, format: "table", externalID: "external-" + id}); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		maps.Copy(used, s.pool.Used())
	}
	for _, action := range grants["bootstrap"].caller {
		service, _, _ := strings.Cut(action, ":")
		// CloudFormation makes the others with the caller's rights, or when something fails.
		if used[action] == 0 && service == "cloudformation" && !slices.Contains([]string{"cloudformation:TagResource", "cloudformation:DeleteStack", "cloudformation:DescribeStackEvents"}, action) {
			t.Errorf("bootstrap prints %s and never uses it", action)
		}
	}
}

func TestWhatTheDoctorCouldNotLookAtBeatsWhatItFound(t *testing.T) {
	for _, tc := range []struct {
		summary     doctor.Summary
		interrupted bool
		want        int
	}{
		{doctor.Summary{OK: 5, Warning: 1, Info: 2}, false, exitOK},
		{doctor.Summary{Blocker: 1}, false, exitDrift},
		{doctor.Summary{Blocker: 1, Unknown: 1}, false, exitIncomplete},
		{doctor.Summary{OK: 5}, true, exitIncomplete},
	} {
		if got := doctorCode(tc.summary, tc.interrupted); got != tc.want {
			t.Errorf("%+v: %d, want %d", tc.summary, got, tc.want)
		}
	}
}

func TestARolloutGetsByWithTheRightsItPrints(t *testing.T) {
	for _, alerts := range []string{"central", "local"} {
		lw := newLimitedWorld(t, alerts)
		lw.grant(lw.need("rollout"))
		if refused, _ := lw.rollout(); len(refused) > 0 {
			t.Errorf("the first rollout with %s alerts was refused %v", alerts, refused)
		}
		lw.cfg.Alerts.Email = append(lw.cfg.Alerts.Email, "second@example.com") // templates change
		if refused, _ := lw.rollout(); len(refused) > 0 {
			t.Errorf("an update with %s alerts was refused %v", alerts, refused)
		}
		if refused, _ := lw.audit(); len(refused) > 0 {
			t.Errorf("the audit after it was refused %v", refused)
		}
	}
}

// Only a trail that the security account makes needs the rights to appoint it, from the
// audit to the teardown.
func TestADelegatedTrailGetsByWithTheRightsItPrints(t *testing.T) {
	lw := newLimitedWorld(t, "central", func(s *sim.Spec) { s.TrailLogging = false })
	const appoints = "cloudtrail:RegisterOrganizationDelegatedAdmin"
	if slices.Contains(lw.need("rollout").caller, appoints) {
		t.Errorf("a trail of the management account needs %s", appoints)
	}
	text := fmt.Appendf(nil, permissionsConfig, "central")
	text = append(text, "baseline:\n"...)
	for _, c := range baseline.Controls() {
		if c.ID != "cloudtrail" {
			text = fmt.Appendf(text, "  %s: false\n", c.ID)
		}
	}
	cfg, err := spec.Parse("test.yaml", append(text, "  cloudtrail: {account: security, encrypt_logs: true}\n"...), baseline.Known())
	if err != nil {
		t.Fatal(err)
	}
	lw.cfg = cfg
	for _, step := range []struct {
		command string
		run     func() ([]string, map[string]int)
		uses    string
	}{
		{"audit", func() ([]string, map[string]int) { return lw.audit() }, "organizations:ListDelegatedAdministrators"},
		{"rollout", lw.rollout, appoints},
		{"audit", func() ([]string, map[string]int) { return lw.audit() }, "cloudtrail:GetTrailStatus"},
		{"teardown", lw.teardown, "cloudtrail:DeregisterOrganizationDelegatedAdmin"},
	} {
		lw.grant(lw.need(step.command))
		refused, used := step.run()
		if len(refused) > 0 || used[step.uses] == 0 {
			t.Errorf("%s was refused %v, and used %s %d times", step.command, refused, step.uses, used[step.uses])
		}
	}
}

// teardown takes everything away and returns every refusal it met.
func (lw *limitedWorld) teardown() (refused []string, used map[string]int) {
	s := lw.session(writes)
	p := s.base.Teardown(lw.t.Context(), s.pool, baseline.KeepHistory, 4)
	for _, skip := range p.Skipped {
		refused = append(refused, refusals(skip.Reason)...)
	}
	for _, o := range plan.Execute(context.Background(), p.Tasks, 4, nil).Outcomes {
		refused = append(refused, refusals(o.Err)...)
		if o.Err != "" && len(refusals(o.Err)) == 0 {
			lw.t.Errorf("%s: %s", o.Change.Resource, o.Err)
		}
	}
	return refused, s.pool.Used()
}

// scpPolicy denies what the limited role does not need, and spares those that do.
const scpPolicy = `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Deny","Action":"config:StopConfigurationRecorder","Resource":"*",` +
	`"Condition":{"ArnNotLike":{"aws:PrincipalArn":["arn:aws:iam::*:role/stacksets-exec-*","arn:aws:iam::*:role/OrganizationAccountAccessRole"]}}}]}`

// scpRun carries a command on policies out and returns every refusal it met.
func (lw *limitedWorld) scpRun(command string, args ...string) (refused []string, used map[string]int) {
	lw.t.Helper()
	m := writes
	if command == "scp preview" {
		m = reads
	}
	s := lw.session(m)
	s.cfg.Organization.AccessRole = limited
	var out strings.Builder
	s.out, s.err = &out, &out
	dir := lw.t.TempDir()
	file := filepath.Join(dir, "limit.json")
	if err := os.WriteFile(file, []byte(scpPolicy), 0o600); err != nil {
		lw.t.Fatal(err)
	}
	c := scpPreviewOptions{since: time.Hour, maxPages: 1, targets: []string{"Sandbox"}, policy: file, verify: true, validate: true, format: reports.Table}
	if command == "scp remove" {
		c.policy, c.detach, c.verify, c.validate = "", "limit", false, false
	}
	var err error
	if command == "scp preview" {
		var p preview.Preview
		p, _, err = runSCPPreview(lw.t.Context(), s, c)
		for _, check := range p.Checks {
			refused = append(refused, refusals(check.Text)...)
		}
		for _, gap := range slices.Concat(p.Evidence.CloudTrail.Missing, p.Evidence.IAM.Missing) {
			refused = append(refused, refusals(gap.Reason)...)
		}
	} else {
		c.verify, c.validate = false, false
		o := scpApplyOptions{change: c, accept: acceptable, yes: true, format: reports.Table, journal: filepath.Join(dir, "journal"), probe: command == "scp apply"}
		if len(args) > 0 {
			o.undo, o.journal = args[0], args[1]
		}
		err = runSCPApply(lw.t.Context(), s, o)
		lw.last = o.journal
	}
	if err != nil || command == "scp apply" && len(args) == 0 && !strings.Contains(out.String(), "was denied by a service control policy") {
		lw.t.Errorf("%s: %v\n%s", command, err, out.String())
	}
	return append(refused, refusals(out.String())...), s.pool.Used()
}

func TestSCPCommandsNeedTheRightsTheyPrint(t *testing.T) {
	lw := newLimitedWorld(t, "central")
	lw.grant(everything)
	if refused, _ := lw.rollout(); len(refused) > 0 { // it enables the policies
		t.Fatalf("setting up: %v", refused)
	}
	used := map[string]map[string]int{"scp preview": {}, "scp apply": {}, "scp remove": {}}
	run := func(command string, args ...string) {
		t.Helper()
		lw.grant(grants[command])
		refused, calls := lw.scpRun(command, args...)
		if len(refused) > 0 {
			t.Errorf("%s was refused %v", command, refused)
		}
		for action, n := range calls {
			used[command][action] += n
		}
	}
	undo := func(command string) {
		t.Helper()
		runs, err := journal.List(lw.last)
		if err != nil || len(runs) == 0 {
			t.Fatalf("journals in %s: %v, %v", lw.last, runs, err)
		}
		run(command, runs[0].Run, lw.last)
	}
	run("scp preview")
	run("scp apply")
	undo("scp apply")
	run("scp apply")
	run("scp remove")
	undo("scp remove")
	// An edit is another change; the simulated organization does not ask for the
	// right to tag when something is made with tags.
	for command, rarely := range map[string][]string{
		"scp preview": nil, "scp remove": nil,
		"scp apply": {"organizations:TagResource", "organizations:UpdatePolicy"},
	} {
		for _, action := range slices.Concat(grants[command].caller, grants[command].member) {
			if used[command][action] == 0 && !slices.Contains(rarely, action) {
				t.Errorf("%s prints %s and never uses it", command, action)
			}
		}
	}
}

func TestALiveTestNeedsExactlyTheRightsItPrints(t *testing.T) {
	lw := newLimitedWorld(t, "central")
	lw.grant(lw.need("rollout"))
	lw.rollout()
	lw.grant(lw.need("alerts test --live"))
	s := lw.session(writes)
	var out bytes.Buffer
	s.out = &out
	o := liveOptions{filter: baseline.Filter{Accounts: []string{"shop-prod"}}, wait: time.Second, yes: true, format: reports.JSON}
	if err := runAlertsLive(t.Context(), s, o); err != nil {
		t.Errorf("%v: %s", err, out.String())
	}
	// Of what does not arrive it reads the dead letters.
	topics := sns.NewFromConfig(lw.w.Config("ap-northeast-1", lw.w.RolePrincipal("200000000001", "OrganizationAccountAccessRole", "somebody")))
	const topic = "arn:aws:sns:ap-northeast-1:200000000001:orgguard-alerts"
	if _, err := topics.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{
		TopicArn: aws.String(topic), AttributeName: aws.String("Policy"),
		AttributeValue: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sns:Publish","Resource":"` + topic + `"}]}`),
	}); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	o.wait = time.Millisecond
	if code, err := codeOf(runAlertsLive(t.Context(), s, o)); code != exitDrift || !strings.Contains(out.String(), `"undelivered": "the state machine could not publish`) {
		t.Errorf("%d %v: %s", code, err, out.String())
	}
	for _, action := range sendLiveTest {
		// The simulated organization does not ask for the right to tag when something
		// is made with tags.
		if s.pool.Used()[action] == 0 && action != "sqs:TagQueue" {
			t.Errorf("it prints %s and never uses it", action)
		}
	}
}

func TestAJournalInABucketNeedsExactlyTheRightsThatAreSaid(t *testing.T) {
	lw := newLimitedWorld(t, "central")
	somebody := s3.NewFromConfig(lw.w.Config("ap-northeast-1", lw.w.RolePrincipal("200000000001", "OrganizationAccountAccessRole", "somebody")))
	if _, err := somebody.CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket: aws.String("acme-journal"), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: "ap-northeast-1"},
	}); err != nil {
		t.Fatal(err)
	}
	without := map[string]grant{}
	for command := range journals {
		without[command] = lw.need(command)
	}
	lw.cfg.Journal = spec.Journal{Bucket: "acme-journal", Prefix: "x/"}
	keep := func(command string, g *grant) (map[string]int, error) {
		if g != nil {
			lw.grant(*g)
		}
		s := lw.session(writes)
		k := s.keeper(t.TempDir())
		j, err := k.Create(t.Context(), journal.Header{Command: command, Organization: s.org.ID})
		if err == nil {
			_, err = k.Read(t.Context(), j.Run())
			err = errors.Join(err, j.Close())
		}
		return s.pool.Used(), err
	}
	bucket := lw.cfg.Journal
	for command := range journals {
		// Some have a right to buckets of orgguard's own without one.
		lw.cfg.Journal = spec.Journal{}
		lw.grant(without[command])
		lw.cfg.Journal = bucket
		if _, err := keep(command, nil); len(refusals(fmt.Sprint(err))) == 0 {
			t.Errorf("%s: the rights without a bucket are enough: %v", command, err)
		}
		g := lw.need(command)
		used, err := keep(command, &g)
		if err != nil {
			t.Errorf("%s: %v", command, err)
		}
		for _, action := range keepJournal {
			if used[action] == 0 || !slices.Contains(g.member, action) {
				t.Errorf("%s: %s was used %d times; it says %v", command, action, used[action], g.member)
			}
		}
	}
	// What is in a bucket is read where it is a journal, and nowhere else.
	for _, st := range lw.need("undo").memberPolicy(lw.cfg, orgs.PartitionOf("us-east-1")).Statement {
		if slices.Contains(st.Action, "s3:GetObject") && st.Sid != "OrgguardS3" {
			t.Errorf("%+v", st)
		}
	}
}

// Only a configuration that names protection plans for everybody asks about those of
// members.
func TestProtectionPlansNeedTheRightToLookAtMembers(t *testing.T) {
	for settings, want := range map[string]bool{"true": false, "{new_plans: [s3-data-events]}": false, "{plans: [s3-data-events]}": true} {
		cfg, err := spec.Parse("test.yaml", []byte("version: 1\nbaseline: {guardduty: "+settings+"}\n"), baseline.Known())
		if err != nil {
			t.Fatal(err)
		}
		for command, writes := range map[string]bool{"rollout": want, "audit": false} {
			g, _ := grantFor(command, cfg)
			if slices.Contains(g.member, "guardduty:GetMemberDetectors") != want || slices.Contains(g.member, "guardduty:UpdateMemberDetectors") != writes {
				t.Errorf("guardduty: %s, %s: %v", settings, command, g.member)
			}
		}
	}
}

// Only a configuration that has recorders of others replaced needs the right to delete
// them.
func TestReplacingRecordersNeedsTheRightToDeleteThem(t *testing.T) {
	for existing, want := range map[string]bool{"adopt": false, "keep": false, "replace": true} {
		cfg, err := spec.Parse("test.yaml", []byte("version: 1\nbaseline: {config-recorder: {existing: "+existing+"}}\n"), baseline.Known())
		if err != nil {
			t.Fatal(err)
		}
		for command, needs := range map[string]bool{"rollout": want, "plan": false, "audit": false} {
			g, _ := grantFor(command, cfg)
			for _, action := range []string{"config:DeleteConfigurationRecorder", "config:DeleteDeliveryChannel", "config:StopConfigurationRecorder"} {
				if slices.Contains(g.member, action) != needs {
					t.Errorf("existing: %s, %s, %s: %v", existing, command, action, !needs)
				}
			}
		}
	}
}
