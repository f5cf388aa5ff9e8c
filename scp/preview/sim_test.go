package preview_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/scp"
	"github.com/orgguard/orgguard/scp/preview"
)

const (
	legacyLab = "500000000003"
	sandbox1  = "500000000001"
	shopProd  = "300000000001"
	dataProd  = "300000000003" // cannot be entered
	region    = "ap-northeast-1"
)

// bench is the demo organization, seen as orgguard sees it.
type bench struct {
	t    *testing.T
	w    *sim.World
	pool *access.Pool
	org  *orgs.Organization
	now  time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	spec, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	spec.Organization.PolicyTypes = []string{"SERVICE_CONTROL_POLICY"}
	more := []sim.RoleSpec{{Name: "OrgAdmin"}, {Name: "tuner", Path: "/ops/"}}
	var walk func([]sim.OUSpec)
	walk = func(ous []sim.OUSpec) {
		for i := range ous {
			for j := range ous[i].Accounts {
				ous[i].Accounts[j].Roles = more
			}
			walk(ous[i].OUs)
		}
	}
	walk(spec.OUs)
	w, err := sim.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, w: w, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	w.SetClock(func() time.Time { return b.now })
	if b.pool, err = access.New(t.Context(), w.ManagementConfig("us-east-1"), access.Options{Role: "OrganizationAccountAccessRole", ReadOnly: true, NoRateLimits: true}); err != nil {
		t.Fatal(err)
	}
	if b.org, err = orgs.Load(t.Context(), b.pool.Organizations); err != nil {
		t.Fatal(err)
	}
	return b
}

// input reads everything a preview needs.
func (b *bench) input(c preview.Change, days int) preview.Input {
	b.t.Helper()
	ctx := b.t.Context()
	at := b.now
	in := preview.Input{Org: b.org, Change: c, GeneratedAt: at, Regions: []string{region, "us-east-1"}}
	var err error
	if in.Attached, err = preview.ReadAttachments(ctx, b.pool, b.org, at); err != nil {
		b.t.Fatal(err)
	}
	if err := in.Attached.ReadDocuments(ctx, b.pool, b.org, c); err != nil {
		b.t.Fatal(err)
	}
	accounts, err := preview.Reached(in)
	if err != nil {
		b.t.Fatal(err)
	}
	actions, err := preview.LookupActions(in)
	if err != nil {
		b.t.Fatal(err)
	}
	in.Inventory, in.Evidence.IAM = preview.ReadInventory(ctx, b.pool, b.org, accounts, 8, func() {})
	in.Events, in.Evidence.CloudTrail = preview.ReadEvents(ctx, b.pool, b.org, preview.Lookup{
		Accounts: accounts, Regions: []string{region, "us-east-1"}, Actions: actions, From: at.AddDate(0, 0, -days), To: at, Workers: 8, Done: func() {},
	})
	return in
}

func (b *bench) preview(in preview.Input) preview.Preview {
	b.t.Helper()
	p, err := preview.New(in)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// deed is a call that somebody makes.
type deed struct {
	account, role, action string
	do                    func(context.Context, aws.Config) error
}

func (d deed) String() string { return d.account + " " + d.role + " " + d.action }

// deeds are calls of several services on several kinds of resources, by several
// roles in several accounts.
func deeds() []deed {
	calls := map[string]func(context.Context, aws.Config) error{
		"config:StopConfigurationRecorder": func(ctx context.Context, c aws.Config) error {
			_, err := configservice.NewFromConfig(c).StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String("legacy-recorder")})
			return err
		},
		"config:DeleteDeliveryChannel": func(ctx context.Context, c aws.Config) error {
			_, err := configservice.NewFromConfig(c).DeleteDeliveryChannel(ctx, &configservice.DeleteDeliveryChannelInput{DeliveryChannelName: aws.String("none")})
			return err
		},
		"iam:DeleteRole": func(ctx context.Context, c aws.Config) error {
			_, err := iam.NewFromConfig(c).DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("tuner-none")})
			return err
		},
		"iam:UpdateAssumeRolePolicy": func(ctx context.Context, c aws.Config) error {
			_, err := iam.NewFromConfig(c).UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("tuner"), PolicyDocument: aws.String(
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::100000000001:root"},"Action":"sts:AssumeRole"}]}`)})
			return err
		},
		"sns:CreateTopic": func(ctx context.Context, c aws.Config) error {
			_, err := sns.NewFromConfig(c).CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("orgguard-x")})
			return err
		},
		"events:PutRule": func(ctx context.Context, c aws.Config) error {
			_, err := eventbridge.NewFromConfig(c).PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("mine"), EventPattern: aws.String(`{"source":["aws.config"]}`)})
			return err
		},
	}
	var out []deed
	for _, account := range []string{legacyLab, sandbox1, shopProd} {
		for _, role := range []string{"Admin", "OrgAdmin", "tuner"} {
			for _, action := range slices.Sorted(maps.Keys(calls)) {
				out = append(out, deed{account, role, action, calls[action]})
			}
		}
	}
	return out
}

// refused makes the calls and says which of them policies refused.
func (b *bench) refused() map[string]bool {
	b.t.Helper()
	out := map[string]bool{}
	for _, d := range deeds() {
		b.now = b.now.Add(time.Second)
		err := d.do(b.t.Context(), b.w.Config(region, b.w.RolePrincipal(d.account, d.role, "alice")))
		var api smithy.APIError
		if err != nil && !errors.As(err, &api) {
			b.t.Fatalf("%s: %v", d, err)
		}
		out[d.String()] = api != nil && (strings.Contains(api.ErrorCode(), "AccessDenied") || api.ErrorCode() == "AuthorizationError")
	}
	return out
}

func (b *bench) ou(name string) string {
	b.t.Helper()
	ou, err := b.org.FindOU(name)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(ou.ID)
}

func (b *bench) create(name, content string) string {
	b.t.Helper()
	out, err := b.pool.Organizations.CreatePolicy(b.t.Context(), &organizations.CreatePolicyInput{
		Name: &name, Description: aws.String(""), Content: &content, Type: types.PolicyTypeServiceControlPolicy,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return *out.Policy.PolicySummary.Id
}

func (b *bench) attach(id string, targets ...string) {
	b.t.Helper()
	for _, target := range targets {
		if _, err := b.pool.Organizations.AttachPolicy(b.t.Context(), &organizations.AttachPolicyInput{PolicyId: &id, TargetId: aws.String(target)}); err != nil {
			b.t.Fatal(err)
		}
	}
}

const (
	unlessOrgAdmin = `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Deny","Action":["config:Stop*","config:Delete*"],"Resource":"*",` +
		`"Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/OrgAdmin"}}}]}`
	onNames = `{"Version":"2012-10-17","Statement":[` +
		`{"Sid":"R","Effect":"Deny","Action":["iam:DeleteRole","iam:UpdateAssumeRolePolicy"],"Resource":"arn:aws:iam::*:role/ops/*"},` +
		`{"Sid":"N","Effect":"Deny","Action":["sns:*","events:*"],"Resource":["arn:aws:sns:*:*:orgguard-*","arn:aws:events:*:*:rule/orgguard-*"]}]}`
	inTokyo = `{"Version":"2012-10-17","Statement":[{"Sid":"T","Effect":"Deny","Action":["config:StopConfigurationRecorder","iam:UpdateAssumeRolePolicy"],"Resource":"*",` +
		`"Condition":{"StringEquals":{"aws:RequestedRegion":"ap-northeast-1"}}}]}`
	pathOnly = `{"Version":"2012-10-17","Statement":[{"Sid":"P","Effect":"Deny","Action":["config:*","sns:CreateTopic"],"Resource":"*",` +
		`"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/ops/*"},"Bool":{"aws:ViaAWSService":"false"},"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}}]}`
	denyAllOfConfig = `{"Version":"2012-10-17","Statement":[{"Sid":"C","Effect":"Deny","Action":"config:*","Resource":"*"}]}`
)

// The point of a preview: what it says will be refused is what is refused when
// the policy is really there, call by call, and nothing else is.
func TestThePredictionIsWhatHappens(t *testing.T) {
	tests := map[string]struct {
		policy  string
		targets []string
		there   string // attached to the same targets before
	}{
		"one role is spared":  {unlessOrgAdmin, []string{"Sandbox"}, ""},
		"on the root":         {unlessOrgAdmin, []string{"Root"}, ""},
		"on two OUs":          {unlessOrgAdmin, []string{"Sandbox", "Workloads/Prod"}, ""},
		"some resources only": {onNames, []string{"Sandbox"}, ""},
		"a Region":            {inTokyo, []string{"Root"}, ""},
		"roles by their path, addresses, no proxy": {pathOnly, []string{"Workloads"}, ""},
		"part of it is denied already":             {denyAllOfConfig, []string{"Sandbox"}, unlessOrgAdmin},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			var targets []string
			for _, ref := range tt.targets {
				targets = append(targets, b.ou(ref))
			}
			if tt.there != "" {
				b.attach(b.create("there", tt.there), targets...)
			}
			before := b.refused()
			p := b.preview(b.input(preview.Change{Kind: preview.Attach, Name: "new", File: "new.json", Source: []byte(tt.policy), Targets: targets}, 90))
			want, open := maps.Clone(before), map[string]bool{}
			for _, f := range p.Effects {
				if f.Strength != preview.Used || f.Direction != preview.Loses {
					continue
				}
				for _, u := range f.Uses {
					d := fmt.Sprintf("%s %s %s", u.Account, f.Principal[strings.LastIndex(f.Principal, "/")+1:], u.Action)
					want[d] = true
					if !f.Certain() {
						open[d] = true
					}
				}
			}
			b.attach(b.create("new", tt.policy), targets...)
			got := b.refused()
			for d := range open {
				// The role is not there, so nobody knows under which path it was.
				if !strings.HasSuffix(d, "iam:DeleteRole") {
					t.Errorf("all is known of %s, and it is said to depend on something", d)
				}
				delete(want, d)
				delete(got, d)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("predicted and real refusals differ:\n%s", diff)
			}
			if maps.Equal(before, got) {
				t.Error("the policy changed nothing, so the comparison says nothing")
			}
		})
	}
}

// And the other way round: what a detachment gives back.
func TestADetachmentGivesBackWhatItSays(t *testing.T) {
	b := newBench(t)
	sandbox := b.ou("Sandbox")
	id := b.create("deny", unlessOrgAdmin)
	b.attach(id, sandbox)
	before := b.refused()
	p := b.preview(b.input(preview.Change{Kind: preview.Detach, Name: "deny", Existing: id, Targets: []string{sandbox}}, 90))
	want := maps.Clone(before)
	for _, f := range p.Effects {
		for _, u := range f.Uses {
			if f.Direction == preview.Gains {
				want[fmt.Sprintf("%s %s %s", u.Account, f.Principal[strings.LastIndex(f.Principal, "/")+1:], u.Action)] = false
			}
		}
	}
	if _, err := b.pool.Organizations.DetachPolicy(t.Context(), &organizations.DetachPolicyInput{PolicyId: &id, TargetId: &sandbox}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.refused()); diff != "" {
		t.Error(diff)
	}
	if maps.Equal(before, want) {
		t.Error("nothing was given back")
	}
}

func TestEvidenceNamesWhatCouldNotBeRead(t *testing.T) {
	b := newBench(t)
	b.refused()
	p := b.preview(b.input(preview.Change{Kind: preview.Attach, Name: "new", Source: []byte(unlessOrgAdmin), Targets: []string{b.ou("Prod")}}, 90))
	for name, c := range map[string]preview.Coverage{"CloudTrail": p.Evidence.CloudTrail, "IAM": p.Evidence.IAM} {
		if c.Complete() || c.Accounts != 3 || c.AccountsRead != 2 {
			t.Errorf("%s: %d of %d accounts", name, c.AccountsRead, c.Accounts)
		}
		for _, m := range c.Missing {
			if m.Account != dataProd || !strings.Contains(m.Reason, "assume role") {
				t.Errorf("%s: %+v", name, m)
			}
		}
	}
	// What was found stands.
	if p.Verdict.Word != preview.WouldBreak || p.Verdict.ExitCode != 1 {
		t.Errorf("verdict %+v", p.Verdict)
	}
	// Nothing found is not nothing there.
	b.now = b.now.AddDate(0, 0, 20)
	p = b.preview(b.input(preview.Change{Kind: preview.Attach, Name: "new", Source: []byte(unlessOrgAdmin), Targets: []string{b.ou("Prod")}}, 10))
	if p.Verdict.Word != preview.Incomplete || p.Verdict.ExitCode != 3 {
		t.Errorf("verdict %+v", p.Verdict)
	}
}

// A preview only reads.
func TestAPreviewWritesNothing(t *testing.T) {
	b := newBench(t)
	writes := b.w.Writes()
	in := b.input(preview.Change{Kind: preview.Attach, Name: "new", Source: []byte(unlessOrgAdmin), Targets: []string{b.ou("Root")}}, 90)
	b.preview(in)
	questions, err := preview.Questions(in)
	if err != nil {
		t.Fatal(err)
	}
	preview.VerifyAWS(t.Context(), b.pool, b.org, questions)
	preview.ValidateAWS(t.Context(), b.pool, "us-east-1", in.Change.Source)
	// Entering an account is a call that CloudTrail counts as no read.
	for op, n := range b.w.Calls() {
		if !slices.ContainsFunc([]string{":Get", ":List", ":Describe", ":Lookup", ":Simulate", ":Validate", "sts:AssumeRole"}, func(p string) bool { return strings.Contains(op, p) }) {
			t.Errorf("%s was called %d times", op, n)
		}
	}
	if got := b.w.Writes() - b.w.Calls()["sts:AssumeRole"]; got > writes {
		t.Errorf("%d writes", got-writes)
	}
}

func TestAWSAgreesWithTheEvaluator(t *testing.T) {
	for name, policy := range map[string]string{"unless": unlessOrgAdmin, "names": onNames, "region": inTokyo, "path": pathOnly, "all": denyAllOfConfig} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			in := b.input(preview.Change{Kind: preview.Attach, Name: "new", Source: []byte(policy), Targets: []string{b.ou("Sandbox")}}, 1)
			questions, err := preview.Questions(in)
			if err != nil {
				t.Fatal(err)
			}
			c := preview.VerifyAWS(t.Context(), b.pool, b.org, questions)
			if c.Status != preview.CheckOK || len(questions) < 2 {
				t.Errorf("%d questions: %+v", len(questions), c)
			}
			// A wrong prediction is found.
			q := questions[0]
			q.Want = map[scp.Decision]scp.Decision{scp.DecisionAllow: scp.DecisionDeny, scp.DecisionDeny: scp.DecisionAllow}[q.Want]
			if c := preview.VerifyAWS(t.Context(), b.pool, b.org, []preview.Question{q}); c.Status != preview.CheckWarning || !strings.Contains(c.Text, "agrees on 0 of 1") {
				t.Errorf("%+v", c)
			}
		})
	}
}
