package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/survey"
)

var refused = &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"}

func known[T any](v T) survey.Answer[T]        { return survey.Answer[T]{Value: v, Asked: true} }
func failed[T any](err error) survey.Answer[T] { return survey.Answer[T]{Err: err, Asked: true} }
func cell(region string, recorders ...survey.Recorder) survey.Cell {
	channel := ""
	for _, r := range recorders {
		if r.Service == "" {
			channel = r.Name
		}
	}
	return survey.Cell{Region: region, Recorders: known(recorders), Channel: known(channel)}
}

// healthy is an organization in which nothing is wrong, and what is meant for it.
func healthy() (*survey.Survey, Intent) {
	org := orgs.New("o-test", "100000000000", orgs.PartitionOf("us-east-1"), []orgs.OU{{ID: "r-1", Name: "Root"}, {ID: "ou-1", Name: "Prod", Parent: "r-1"}}, []orgs.Account{
		{ID: "100000000000", Name: "management", State: orgs.StateActive, Parent: "r-1"}, {ID: "200000000000", Name: "shop", State: orgs.StateActive, Parent: "ou-1"},
	})
	s := &survey.Survey{
		Caller: access.Caller{Account: "100000000000", ARN: "arn:aws:sts::100000000000:assumed-role/Admin/x"}, Position: survey.Management, Org: org,
		Skew: known(time.Second), Services: known([]string{}), Delegates: known(map[orgs.AccountID][]string{}), StackSets: known(true),
		Policies:    known([]survey.Policy{{ID: "p-1", Name: "FullAWSAccess", Targets: []string{"r-1", "ou-1"}}}),
		LandingZone: known[*survey.LandingZone](nil),
	}
	for _, a := range org.Accounts {
		s.Accounts = append(s.Accounts, survey.Account{Account: a, Regions: known([]string{"eu-west-1", "us-east-1"}), Cells: []survey.Cell{cell("us-east-1")}, Rights: known(survey.Rights{})})
	}
	return s, Intent{
		Home: "us-east-1", Regions: []string{"us-east-1"}, Role: "Access", Existing: "adopt", Policy: Policy{"guard", 3000, []orgs.NodeID{"r-1"}},
		PerNode: Quota{3, "page", "2026-05-15"}, Size: Quota{10240, "page", "2026-05-15"}, StackSets: []StackSet{{"set", 10}}, Command: "rollout", Schedule: "engine lambda",
		Sweep:    Sweep{Cells: 10, From: 10_000},
		Commands: []Command{{"audit", []string{"a:Read"}, []string{"m:Read"}}, {"rollout", []string{"a:Write"}, []string{"m:Write"}}},
	}
}

func TestNothingIsWrongWithAHealthyOrganization(t *testing.T) {
	checks := Diagnose(healthy())
	for _, c := range checks {
		if c.Severity != OK {
			t.Errorf("%s %s: %s", c.ID, c.Severity, c.What)
		}
	}
	elsewhere := []string{"configuration", "scheduled-audit", "notices"} // asked by the command itself
	for _, q := range questions {
		if !slices.Contains(elsewhere, q.ID) && !slices.ContainsFunc(checks, func(c Check) bool { return c.ID == q.ID }) {
			t.Errorf("%s was not asked", q.ID)
		}
	}
}

func TestEachTroubleIsNamedWithItsFix(t *testing.T) {
	member := func(s *survey.Survey) *survey.Account { return &s.Accounts[1] }
	for _, tc := range []struct {
		name      string
		change    func(*survey.Survey, *Intent)
		id        string
		severity  Severity
		what, fix string
	}{
		{"a wrong clock", func(s *survey.Survey, _ *Intent) { s.Skew = known(-6 * time.Minute) }, "clock", Warning, "6m0s", "set the clock"},
		{"consolidated billing", func(s *survey.Survey, _ *Intent) { s.Org.AllFeatures = false }, "features", Blocker, "consolidated", "enable-all-features"},
		{"a member account", func(s *survey.Survey, _ *Intent) { s.Position = survey.Member }, "position", Blocker, "ordinary member", "100000000000"},
		{"a delegated administrator for something else", func(s *survey.Survey, _ *Intent) {
			s.Position, s.Delegates = survey.Delegated, known(map[orgs.AccountID][]string{"100000000000": {"guardduty.amazonaws.com"}})
		}, "position", Blocker, "not for StackSets", "register-delegated-administrator"},
		{"a delegated administrator for StackSets", func(s *survey.Survey, _ *Intent) {
			s.Position, s.Delegates = survey.Delegated, known(map[orgs.AccountID][]string{"100000000000": {stackSetsService}})
		}, "position", Info, "need the management account", ""},
		{"StackSets without trusted access", func(s *survey.Survey, _ *Intent) { s.StackSets = known(false) }, "trusted-access", Info, "a rollout activates it", "orgguard rollout"},
		{"StackSets without trusted access, and we cannot give it", func(s *survey.Survey, _ *Intent) { s.StackSets, s.Position = known(false), survey.Delegated }, "trusted-access", Blocker, "only the management account", activate},
		{"trusted access that nobody could ask for", func(s *survey.Survey, _ *Intent) { s.StackSets = failed[bool](refused) }, "trusted-access", Unknown, "AccessDenied", "orgguard permissions --command doctor"},
		{"SCPs off", func(s *survey.Survey, _ *Intent) { s.Org.SCPStatus = "" }, "scp-type", Info, "a rollout enables", "orgguard rollout"},
		{"SCPs being switched off", func(s *survey.Survey, _ *Intent) { s.Org.SCPStatus = orgs.PolicyTypePendingDisable }, "scp-type", Blocker, "right now", "enable-policy-type"},
		{"a node without room", func(s *survey.Survey, _ *Intent) {
			s.Policies = known([]survey.Policy{{Name: "FullAWSAccess", Targets: []string{"r-1"}}, {Name: "aws-guardrails-x", Targets: []string{"r-1"}}, {Name: "own", Targets: []string{"r-1"}}})
		}, "scp-quota", Blocker, "Root (r-1): 3 of 3 policies, 1 of them AWS Control Tower's", "detach-policy --target-id r-1"},
		{"a full node where our policy is one of them", func(s *survey.Survey, _ *Intent) {
			s.Policies = known([]survey.Policy{{Name: "FullAWSAccess", Targets: []string{"r-1"}}, {Name: "guard", Targets: []string{"r-1"}}, {Name: "own", Targets: []string{"r-1"}}})
		}, "scp-quota", OK, "ours among them", ""},
		{"a policy that is too long", func(_ *survey.Survey, in *Intent) { in.Policy.Characters = 10241 }, "scp-size", Blocker, "10241", "exempt_roles"},
		{"a landing zone", func(s *survey.Survey, _ *Intent) {
			s.LandingZone = known(&survey.LandingZone{Home: "us-east-1", Version: "3.3", Latest: "3.3", Status: "ACTIVE", Regions: []string{"us-east-1"}, Enrolled: []orgs.NodeID{"ou-1"}})
		}, "control-tower", Info, "governs Root/Prod in us-east-1", ""},
		{"a landing zone that drifted", func(s *survey.Survey, _ *Intent) {
			s.LandingZone = known(&survey.LandingZone{Drifted: true})
		}, "control-tower", Warning, "drifted", "reset-landing-zone"},
		{"Control Tower refuses to answer", func(s *survey.Survey, _ *Intent) { s.LandingZone = failed[*survey.LandingZone](refused) }, "control-tower", Unknown, "AccessDenied", "--command doctor"},
		{"an account that cannot be entered", func(s *survey.Survey, _ *Intent) { member(s).Enter = refused }, "account-access", Blocker, "AccessDenied", "orgguard bootstrap"},
		{"a Region that is off", func(s *survey.Survey, in *Intent) { in.Regions = []string{"ap-east-1", "us-east-1"} }, "regions", Info, "ap-east-1 is off", ""},
		{"the home Region that is off", func(s *survey.Survey, _ *Intent) { member(s).Regions = known([]string{"eu-west-1"}) }, "regions", Blocker, "home Region us-east-1 is off", "enable-region --account-id 200000000000"},
		{"a Region that the management account lacks", func(s *survey.Survey, in *Intent) {
			in.Regions = []string{"ap-east-1", "us-east-1"}
			member(s).Regions = known([]string{"ap-east-1", "us-east-1"})
		}, "regions", Blocker, "ap-east-1 is enabled in 1 member accounts and not in the management account", "enable-region --region-name ap-east-1"},
		{"Regions that nobody could list", func(s *survey.Survey, _ *Intent) { member(s).Regions = failed[[]string](refused) }, "regions", Unknown, "AccessDenied", "--command doctor"},
		{"a recorder of somebody else", func(s *survey.Survey, _ *Intent) {
			member(s).Cells = []survey.Cell{cell("us-east-1", survey.Recorder{Name: "default"})}
		}, "recorders", Warning, "recorder default in us-east-1 was there before: a rollout adopts it", "orgguard plan"},
		{"a recorder of somebody else that is kept", func(s *survey.Survey, in *Intent) {
			in.Existing = "keep"
			member(s).Cells = []survey.Cell{cell("us-east-1", survey.Recorder{Name: "default"})}
		}, "recorders", Info, "left alone", ""},
		{"Control Tower's recorder", func(s *survey.Survey, _ *Intent) {
			member(s).Cells = []survey.Cell{cell("us-east-1", survey.Recorder{Name: "aws-controltower-BaselineConfigRecorder"})}
		}, "recorders", Info, "audited, not touched", ""},
		{"a service-linked recorder is nobody's trouble", func(s *survey.Survey, _ *Intent) {
			member(s).Cells = []survey.Cell{cell("us-east-1", survey.Recorder{Name: "AWSConfigurationRecorderForX", Service: "x.amazonaws.com"})}
		}, "recorders", OK, "1 service-linked", ""},
		{"a channel without a recorder", func(s *survey.Survey, _ *Intent) {
			member(s).Cells = []survey.Cell{{Region: "us-east-1", Recorders: known([]survey.Recorder{}), Channel: known("left-over")}}
		}, "recorders", Warning, "delivery channel left-over without a recorder", "orgguard plan"},
		{"recorders that nobody could list", func(s *survey.Survey, _ *Intent) {
			member(s).Cells = []survey.Cell{{Region: "us-east-1", Recorders: failed[[]survey.Recorder](refused)}}
		}, "recorders", Unknown, "AccessDenied", "--command doctor"},
		{"a stack set that is too large", func(_ *survey.Survey, in *Intent) { in.StackSets = []StackSet{{"set", 170_000}} }, "stackset-size", Info, "170000 of 100000 instances: a rollout shares them out among at least 2 stack sets, set-2", ""},
		{"a schedule that one function keeps", func(_ *survey.Survey, in *Intent) { in.Schedule = "engine lambda: 26" }, "schedule", OK, "engine lambda: 26", ""},
		{"a schedule that is too much for it", func(_ *survey.Survey, in *Intent) { in.Schedule, in.Overdone = "engine lambda, but", true }, "schedule", Warning, "but", "stepfunctions"},
		{"an aggregator that is not needed yet", func(_ *survey.Survey, in *Intent) { in.Sweep.Aggregator = "aggregator x" }, "aggregator", OK, "with --sweep", ""},
		{"an aggregator of a large organization", func(_ *survey.Survey, in *Intent) { in.Sweep = Sweep{20_000, 10_000, "aggregator x", nil} }, "aggregator", OK, "these 20000 accounts × Regions ask aggregator x", ""},
		{"a large organization without one", func(_ *survey.Survey, in *Intent) { in.Sweep.Cells = 20_000 }, "aggregator", Warning, "ask each of 20000", "put-configuration-aggregator"},
		{"a large organization that does not say", func(_ *survey.Survey, in *Intent) { in.Sweep = Sweep{20_000, 10_000, "", refused} }, "aggregator", Unknown, "AccessDenied", "--command doctor"},
		{"a small one that does not say", func(_ *survey.Survey, in *Intent) { in.Sweep.Err = refused }, "aggregator", OK, "ask the accounts", ""},
		{"a stack set that is nearly too large", func(_ *survey.Survey, in *Intent) { in.StackSets = []StackSet{{"set", 95_000}} }, "stackset-size", Warning, "95000", "Support"},
		{"a service that others decide about", func(_ *survey.Survey, in *Intent) {
			in.Services = []Service{{Control: "securityhub", Account: "200000000000", Regions: []string{"us-east-1"}, What: "Security Hub is configured centrally", Next: "change the policies"}}
		}, "services", Warning, "securityhub: Security Hub is configured centrally", "change the policies"},
		{"a service that nobody could ask", func(_ *survey.Survey, in *Intent) {
			in.Services = []Service{{Control: "securityhub", Account: "200000000000", Err: refused}}
		}, "services", Unknown, "AccessDenied", "--command doctor"},
		{"a right that the command lacks", func(s *survey.Survey, _ *Intent) {
			member(s).Rights = known(survey.Rights{Denied: []survey.Denial{{Action: "m:Write", Organization: true}}})
		}, "permissions", Blocker, "the access role lacks rights for rollout: m:Write (by a service control policy)", "orgguard permissions --command rollout"},
		{"a right that another command lacks", func(s *survey.Survey, _ *Intent) {
			s.Accounts[0].Rights = known(survey.Rights{Denied: []survey.Denial{{Action: "a:Read"}}})
		}, "permissions", Info, "the caller lacks rights for audit: a:Read", "orgguard permissions --command audit"},
		{"rights that could not be simulated", func(s *survey.Survey, _ *Intent) { member(s).Rights = failed[survey.Rights](refused) }, "permissions", Info, "not simulated in 1 accounts", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, in := healthy()
			tc.change(s, &in)
			checks := Diagnose(s, in)
			i := slices.IndexFunc(checks, func(c Check) bool {
				return c.ID == tc.id && c.Severity == tc.severity && strings.Contains(c.What, tc.what)
			})
			if i < 0 {
				for _, c := range checks {
					t.Logf("%s %s: %s", c.Severity, c.ID, c.What)
				}
				t.Fatalf("no %s %s that says %q", tc.severity, tc.id, tc.what)
			}
			if !strings.Contains(checks[i].Fix, tc.fix) || tc.fix == "" && checks[i].Fix != "" {
				t.Errorf("the fix is %q, want %q", checks[i].Fix, tc.fix)
			}
			if checks[i].Why == "" {
				t.Error("nobody knows why it matters")
			}
			if !slices.IsSortedFunc(checks, func(a, b Check) int {
				return slices.Index(Severities, a.Severity) - slices.Index(Severities, b.Severity)
			}) {
				t.Error("the worst does not come first")
			}
		})
	}
}

func TestManyAccountsThatLackTheSameAreOneCheck(t *testing.T) {
	s, in := healthy()
	for i := range 5 {
		a := s.Accounts[1]
		a.ID = orgs.AccountID(fmt.Sprintf("30000000000%d", i))
		a.Rights = known(survey.Rights{Denied: []survey.Denial{{Action: "m:Write"}}})
		s.Accounts = append(s.Accounts, a)
	}
	n := 0
	for _, c := range Diagnose(s, in) {
		if c.ID == "permissions" && c.Severity == Blocker {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d checks, want 1", n)
	}
}

func TestWhatStopsTheDoctorIsACheckToo(t *testing.T) {
	for _, tc := range []struct {
		name   string
		checks []Check
		want   Severity
	}{
		{"no credentials", NoCredentials(errors.New("none"), "set AWS_PROFILE"), Unknown},
		{"no organization", NoOrganization("arn", &smithy.GenericAPIError{Code: "AWSOrganizationsNotInUseException"}, "x"), Blocker},
		{"an organization that did not answer", NoOrganization("arn", errors.New("timeout"), "x"), Unknown},
		{"a configuration that does not fit", NoFit("arn", &orgs.Organization{ID: "o-1"}, errors.New("no OU")), Blocker},
	} {
		t.Run(tc.name, func(t *testing.T) {
			Sort(tc.checks)
			if c := tc.checks[0]; c.Severity != tc.want || c.Fix == "" || c.Why == "" {
				t.Errorf("%+v", c)
			}
		})
	}
}
