package protect

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/scp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// usual is what a configuration that says nothing comes to, with a break-glass
// role.
func usual(partition string, strict bool) Options {
	return Options{Partition: partition, Strict: strict, Exempt: append(slices.Clone(DefaultExempt), "OrganizationAccountAccessRole", "ops/BreakGlass")}
}

func mustPolicy(t *testing.T, o Options) []byte {
	t.Helper()
	b, err := Policy(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPolicyText(t *testing.T) {
	extra := usual("aws", false)
	extra.ExtraActions = []string{"config:DeleteConfigRule", "config:StopConfigurationRecorder"}
	for name, o := range map[string]Options{
		"strict": usual("aws", true), "loose": usual("aws", false), "strict-aws-cn": usual("aws-cn", true), "strict-aws-us-gov": usual("aws-us-gov", true), "loose-extra": extra,
	} {
		t.Run(name, func(t *testing.T) {
			policy := mustPolicy(t, o)
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, policy, "", "  "); err != nil {
				t.Fatal(err)
			}
			pretty.WriteByte('\n')
			file := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(file, pretty.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v; write it with go test -update", err)
			}
			if diff := cmp.Diff(string(want), pretty.String()); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, policy); err != nil || compact.String() != string(policy) {
				t.Error("the policy has spaces that AWS would count")
			}
			if len(policy) > DefaultLimits.Size {
				t.Errorf("%d characters", len(policy))
			}
			doc, err := scp.Parse(name, policy)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range scp.Lint(doc, scp.LintOptions{}) {
				if f.Severity == scp.SeverityError {
					t.Errorf("lint: %+v", f)
				}
			}
			if strings.HasPrefix(o.Partition, "aws-") && bytes.Contains(policy, []byte("arn:aws:")) {
				t.Error("ARNs of another partition")
			}
		})
	}
}

func TestTheSamePolicyEveryTime(t *testing.T) {
	first := mustPolicy(t, usual("aws", true))
	for range 5 {
		if !bytes.Equal(first, mustPolicy(t, usual("aws", true))) {
			t.Fatal("two policies of the same options differ")
		}
	}
}

func TestExemptionsThatAreTooWide(t *testing.T) {
	cases := []struct {
		exempt string
		ok     bool
	}{
		{"*", false}, {"**", false}, {"A*", false}, {"*min", false}, {"Ad*n", false}, {"Admin", false}, {"?dmin", false}, {"/*", false},
		{"BreakGlass", true}, {"ops/BreakGlass*", true}, {"/ops/BreakGlass", true}, {"cdk-*-deploy-role", true},
	}
	for _, c := range cases {
		for _, strict := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, strict %v", c.exempt, strict), func(t *testing.T) {
				o := usual("aws", strict)
				o.Exempt = append(o.Exempt, c.exempt)
				_, err := Policy(o)
				if got := err == nil; got != c.ok {
					t.Errorf("accepted: %v (%v); want %v", got, err, c.ok)
				}
				if err != nil && !strings.Contains(err.Error(), "too wide") {
					t.Errorf("error %v", err)
				}
			})
		}
	}
}

// samples are resources that the statements about the action's service cover.
var samples = map[string][]string{
	"config": {"*"},
	"events": {"arn:aws:events:eu-west-1:123456789012:rule/orgguard-config-change", "arn:aws:events:eu-west-1:123456789012:rule/orgguard-alerts/orgguard-root-signin", "arn:aws:events:eu-west-1:123456789012:event-bus/orgguard-alerts"},
	"sns":    {"arn:aws:sns:eu-west-1:123456789012:orgguard-alerts"},
	"sqs":    {"arn:aws:sqs:eu-west-1:123456789012:orgguard-alerts-dlq"},
	"states": {"arn:aws:states:eu-west-1:123456789012:stateMachine:orgguard-alert"},
	"s3":     {"arn:aws:s3:::orgguard-config-200000000001-eu-west-1"},
	"cloudformation": {
		"arn:aws:cloudformation:eu-west-1:123456789012:stack/StackSet-orgguard-recorder-0b1c2d3e/4f5a6b7c",
		"arn:aws:cloudformation:eu-west-1:123456789012:stack/orgguard-central/4f5a6b7c",
	},
	"iam": {
		"arn:aws:iam::123456789012:role/stacksets-exec-0123456789abcdef", "arn:aws:iam::123456789012:role/AWSControlTowerExecution", "arn:aws:iam::123456789012:role/OrgGuardRollout",
		"arn:aws:iam::123456789012:role/OrganizationAccountAccessRole", "arn:aws:iam::123456789012:role/ops/BreakGlass", "arn:aws:iam::123456789012:role/orgguard-config-recorder",
		"arn:aws:iam::123456789012:role/stacksets-exec-as-a-path/innocent",
	},
}

func principal(typ scp.PrincipalType, resource string) scp.Principal {
	arn := "arn:aws:iam::123456789012:" + resource
	p := scp.Principal{Type: typ, ARN: arn, AccountID: "123456789012"}
	if typ == scp.PrincipalRole || typ == scp.PrincipalServiceLinkedRole {
		p.RoleARN = arn
		p.ARN = "arn:aws:sts::123456789012:assumed-role/" + resource[strings.LastIndex(resource, "/")+1:] + "/session"
	}
	return p
}

func decide(t *testing.T, policy []byte, p scp.Principal, action, resource string) scp.Decision {
	t.Helper()
	e, err := compile(policy)
	if err != nil {
		t.Fatal(err)
	}
	return e.Decide(&scp.Request{Principal: p, Action: action, Resource: resource, Context: p.Context()})
}

func TestWhoCanSilenceAWSConfig(t *testing.T) {
	policy := mustPolicy(t, usual("aws", true))
	principals := []struct {
		name   string
		p      scp.Principal
		exempt bool
	}{
		{"an administrator", principal(scp.PrincipalRole, "role/Admin"), false},
		{"a power user of IAM Identity Center", principal(scp.PrincipalRole, "role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_PowerUserAccess_0123456789abcdef"), false},
		{"the root user", principal(scp.PrincipalRoot, "root"), false},
		{"an IAM user", principal(scp.PrincipalUser, "user/alice"), false},
		{"an IAM user who is called like an exempt role", principal(scp.PrincipalUser, "user/OrgGuardRollout"), false},
		{"a role under another path that is called like an exempt one", principal(scp.PrincipalRole, "role/team/OrgGuardRollout"), false},
		{"a role whose name goes on", principal(scp.PrincipalRole, "role/OrganizationAccountAccessRole2"), false},
		{"a role whose name begins with something else", principal(scp.PrincipalRole, "role/my-stacksets-exec-1"), false},
		{"a break-glass role without its path", principal(scp.PrincipalRole, "role/BreakGlass"), false},
		{"orgguard's own recorder role", principal(scp.PrincipalRole, "role/orgguard-config-recorder"), false},
		{"StackSets", principal(scp.PrincipalRole, "role/stacksets-exec-0123456789abcdef0123456789abcdef"), true},
		{"the access role", principal(scp.PrincipalRole, "role/OrganizationAccountAccessRole"), true},
		{"Control Tower", principal(scp.PrincipalRole, "role/AWSControlTowerExecution"), true},
		{"orgguard", principal(scp.PrincipalRole, "role/OrgGuardRollout"), true},
		{"the break-glass role", principal(scp.PrincipalRole, "role/ops/BreakGlass"), true},
		{"a service-linked role", principal(scp.PrincipalServiceLinkedRole, "role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"), true},
		{"StackSets' service-linked role", principal(scp.PrincipalServiceLinkedRole, "role/aws-service-role/member.org.stacksets.cloudformation.amazonaws.com/AWSServiceRoleForCloudFormationStackSetsOrgMember"), true},
	}
	for _, who := range principals {
		t.Run(who.name, func(t *testing.T) {
			want := scp.DecisionDeny
			if who.exempt {
				want = scp.DecisionAllow
			}
			asked := 0
			for _, action := range slices.Concat(stopActions, silentActions, alertActions, stackActions, bucketActions, roleActions) {
				service, _, _ := strings.Cut(action, ":")
				for _, resource := range samples[service] {
					asked++
					if got := decide(t, policy, who.p, action, resource); got != want {
						t.Errorf("%s on %s: %s; want %s", action, resource, got, want)
					}
				}
			}
			if asked < 100 {
				t.Errorf("only %d questions", asked)
			}
		})
	}
}

func TestWhatAnAdministratorKeeps(t *testing.T) {
	admin := principal(scp.PrincipalRole, "role/Admin")
	cases := []struct {
		name             string
		action, resource string
		loose, strict    scp.Decision
	}{
		{"stopping the recorder", "config:StopConfigurationRecorder", "*", scp.DecisionDeny, scp.DecisionDeny},
		{"deleting the recorder", "config:DeleteConfigurationRecorder", "*", scp.DecisionDeny, scp.DecisionDeny},
		{"changing the recorder", "config:PutConfigurationRecorder", "*", scp.DecisionAllow, scp.DecisionDeny},
		{"deleting the channel", "config:DeleteDeliveryChannel", "*", scp.DecisionAllow, scp.DecisionDeny},
		{"starting the recorder", "config:StartConfigurationRecorder", "*", scp.DecisionAllow, scp.DecisionAllow},
		{"looking at the recorder", "config:DescribeConfigurationRecorders", "*", scp.DecisionAllow, scp.DecisionAllow},
		{"making a Config rule", "config:PutConfigRule", "*", scp.DecisionAllow, scp.DecisionAllow},
		{"reporting evaluations", "config:PutEvaluations", "*", scp.DecisionAllow, scp.DecisionAllow},
		{"disabling the alert rule", "events:DisableRule", "arn:aws:events:eu-west-1:123456789012:rule/orgguard-config-change", scp.DecisionAllow, scp.DecisionDeny},
		{"disabling a rule of one's own", "events:DisableRule", "arn:aws:events:eu-west-1:123456789012:rule/nightly", scp.DecisionAllow, scp.DecisionAllow},
		{"making a topic of one's own quiet", "sns:DeleteTopic", "arn:aws:sns:eu-west-1:123456789012:builds", scp.DecisionAllow, scp.DecisionAllow},
		{"updating a stack of one's own", "cloudformation:UpdateStack", "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/1", scp.DecisionAllow, scp.DecisionAllow},
		{"deleting a bucket of one's own", "s3:DeleteBucket", "arn:aws:s3:::shop-images", scp.DecisionAllow, scp.DecisionAllow},
		{"reading the log bucket", "s3:GetObject", "arn:aws:s3:::orgguard-config-1/AWSLogs/x", scp.DecisionAllow, scp.DecisionAllow},
		{"making a role", "iam:CreateRole", "arn:aws:iam::123456789012:role/shop", scp.DecisionAllow, scp.DecisionAllow},
		{"making a role with an exempt name", "iam:CreateRole", "arn:aws:iam::123456789012:role/stacksets-exec-mine", scp.DecisionDeny, scp.DecisionDeny},
		{"making a role with the break-glass name", "iam:CreateRole", "arn:aws:iam::123456789012:role/ops/BreakGlass", scp.DecisionDeny, scp.DecisionDeny},
		{"letting oneself into an exempt role", "iam:UpdateAssumeRolePolicy", "arn:aws:iam::123456789012:role/OrganizationAccountAccessRole", scp.DecisionDeny, scp.DecisionDeny},
		{"changing the recorder's role", "iam:DeleteRolePolicy", "arn:aws:iam::123456789012:role/orgguard-config-recorder", scp.DecisionAllow, scp.DecisionDeny},
		{"making an IAM user", "iam:CreateUser", "arn:aws:iam::123456789012:user/OrgGuardRollout", scp.DecisionAllow, scp.DecisionAllow},
		{"something else", "ec2:RunInstances", "arn:aws:ec2:eu-west-1:123456789012:instance/*", scp.DecisionAllow, scp.DecisionAllow},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for strict, want := range map[bool]scp.Decision{false: c.loose, true: c.strict} {
				if got := decide(t, mustPolicy(t, usual("aws", strict)), admin, c.action, c.resource); got != want {
					t.Errorf("strict %v: %s; want %s", strict, got, want)
				}
			}
		})
	}
}

func TestExtraActionsAreDenied(t *testing.T) {
	o := usual("aws", false)
	o.ExtraActions = []string{"config:DeleteConfigRule"}
	p := mustPolicy(t, o)
	if got := decide(t, p, principal(scp.PrincipalRole, "role/Admin"), "config:DeleteConfigRule", "*"); got != scp.DecisionDeny {
		t.Errorf("an administrator: %s", got)
	}
	if got := decide(t, p, principal(scp.PrincipalRole, "role/OrgGuardRollout"), "config:DeleteConfigRule", "*"); got != scp.DecisionAllow {
		t.Errorf("an exempt role: %s", got)
	}
}

// testOrg has two OUs, one of them empty but for a suspended account, and an
// account at the root.
func testOrg(partition string) *orgs.Organization {
	return orgs.New("o-guard00000", "100000000000", orgs.PartitionOf("arn:"+partition+":"),
		[]orgs.OU{
			{ID: "r-root", Name: "Root"}, {ID: "ou-root-work", Name: "Work", Parent: "r-root"}, {ID: "ou-root-prod", Name: "Prod", Parent: "ou-root-work"},
			{ID: "ou-root-none", Name: "None", Parent: "r-root"},
		},
		[]orgs.Account{
			{ID: "100000000000", Name: "management", State: orgs.StateActive, Parent: "r-root"},
			{ID: "200000000000", Name: "shop", State: orgs.StateActive, Parent: "ou-root-prod"},
			{ID: "300000000000", Name: "lab", State: orgs.StateActive, Parent: "ou-root-work"},
			{ID: "400000000000", Name: "loose", State: orgs.StateActive, Parent: "r-root"},
			{ID: "900000000000", Name: "old", State: orgs.StateSuspended, Parent: "ou-root-none"},
		})
}

func TestNew(t *testing.T) {
	many := make([]string, 200)
	for i := range many {
		many[i] = fmt.Sprintf("some-quite-long-name-of-a-role-%03d", i)
	}
	cases := []struct {
		name   string
		change func(*spec.ProtectConfig)
		attach []orgs.NodeID
		errs   []string
	}{
		{"the defaults", func(*spec.ProtectConfig) {}, []orgs.NodeID{"r-root"}, nil},
		{"OUs by name, path and id, one of them twice", func(p *spec.ProtectConfig) {
			p.Attach = []string{"Work", "Root/Work/Prod", "ou-root-none", "Work/Prod"}
		}, []orgs.NodeID{"ou-root-work", "ou-root-prod", "ou-root-none"}, nil},
		{"unknown OUs and a wide exemption, all at once", func(p *spec.ProtectConfig) {
			p.Attach, p.ExemptRoles = []string{"Worq", "Nowhere"}, []string{"*"}
		}, nil, []string{`no OU "Worq"`, "nearest: Root/Work", `no OU "Nowhere"`, "too wide"}},
		{"a break-glass role that is too wide", func(p *spec.ProtectConfig) { p.BreakGlassRoles = []string{"*"} }, nil, []string{"too wide"}},
		{"more than AWS takes", func(p *spec.ProtectConfig) { p.ExemptRoles = many }, nil, []string{"characters and AWS takes 10240"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := spec.Default()
			c.change(&cfg.SCP.ProtectConfig)
			g, err := New(cfg, testOrg("aws"))
			for _, want := range c.errs {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v; want %q", err, want)
				}
			}
			if len(c.errs) > 0 {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var attach []orgs.NodeID
			for _, ou := range g.Attach {
				attach = append(attach, ou.ID)
			}
			if diff := cmp.Diff(c.attach, attach); diff != "" {
				t.Errorf("attached to (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("turned off", func(t *testing.T) {
		cfg := spec.Default()
		cfg.SCP.ProtectConfig.Enabled = false
		if g, err := New(cfg, testOrg("aws")); g != nil || err != nil {
			t.Errorf("%v, %v; want nothing", g, err)
		}
	})
	t.Run("a role with a path is exempt with its path", func(t *testing.T) {
		cfg := spec.Default()
		cfg.Organization.AccessRole = "orgguard/OrgGuardAudit"
		g, err := New(cfg, testOrg("aws"))
		if err != nil || !strings.Contains(string(g.Policy), `"arn:aws:iam::*:role/orgguard/OrgGuardAudit"`) {
			t.Errorf("%v: %s", err, g.Policy)
		}
	})
}
