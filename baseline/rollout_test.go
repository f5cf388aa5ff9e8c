package baseline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
)

func TestAuditIsCleanAfterARollout(t *testing.T) {
	config := func(lines string) string { return "version: 1\n" + lines }
	cases := []struct{ name, config string }{
		{"central alerts", demoConfig},
		{"local alerts", localConfig},
		{"daily recording and IAM types in another Region", demoConfig + "baseline: {config-recorder: {recording: daily, global_types_region: us-east-1}, config-delivery: {bucket: another-name, snapshot: One_Hour}}\n"},
		{"without the alerts", demoConfig + "baseline: {alert-topic: false}\n"},
		{"a single Region that is not the global one", config("regions: [eu-west-1]\nhome_region: eu-west-1\nsecurity_account: \"200000000001\"\norganization: {exclude: [{account: data-prod, reason: x}]}\n")},
		{"a single Region that is not the global one, with local alerts", config("regions: [eu-west-1]\nalerts: {mode: local}\nsecurity_account: \"200000000001\"\norganization: {exclude: [{account: data-prod, reason: x}]}\n")},
		{"the management account as security account", config("home_region: us-east-1\norganization: {exclude: [{account: data-prod, reason: x}]}\n")},
		{"an excluded OU", config("home_region: us-east-1\nsecurity_account: \"200000000001\"\norganization: {exclude: [{ou: Workloads/Prod, reason: x}]}\n")},
		{"more than 26 mail addresses", config("alerts: {email: [" + addresses(60) + "]}\nsecurity_account: \"200000000001\"\norganization: {exclude: [{account: data-prod, reason: x}]}\n")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, c.config)
				r.mustRollout(t)
				r.mustBeClean(t)
			})
		})
	}
}

func addresses(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("person-%02d@example.com", i))
	}
	return strings.Join(out, ", ")
}

func TestASecondRolloutChangesNothing(t *testing.T) {
	for name, config := range map[string]string{"central alerts": demoConfig, "local alerts": localConfig, "with an account that nobody can enter": everyoneConfig} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, config)
				r.mustRollout(t)
				writes, calls := r.w.Writes(), r.w.Calls()
				if writes == 0 {
					t.Fatal("the first rollout wrote nothing")
				}
				if res := r.rollout(t); len(res.Outcomes) != 0 {
					t.Errorf("the second rollout has changes: %+v", res.Outcomes)
				}
				if n := r.w.Writes() - writes; n != 0 {
					t.Errorf("the second rollout sent %d writes", n)
				}
				for op, n := range r.w.Calls() {
					_, name, _ := strings.Cut(op, ":")
					reads := slices.ContainsFunc([]string{"Describe", "List", "Get", "AssumeRole"}, func(p string) bool { return strings.HasPrefix(name, p) })
					if n > calls[op] && !reads {
						t.Errorf("the second rollout called %s %d times", op, n-calls[op])
					}
				}
			})
		})
	}
}

// An interrupted rollout and the one that follows it end where one undisturbed
// rollout ends, wherever the first was killed.
func TestARolloutThatIsKilledAnywhereCanBeRepeated(t *testing.T) {
	// In the slow world stack set operations go on when the process is dead, and
	// the next rollout meets them.
	slow := sim.Timing{StackInstance: 10 * time.Second, Queue: time.Second, Recorder: time.Second}
	cases := []struct {
		name, config string
		timing       sim.Timing
	}{
		{"central alerts", everyoneConfig, sim.Timing{}},
		{"central alerts in a slow world", everyoneConfig, slow},
		{"local alerts", strings.Replace(everyoneConfig, "mode: central", "mode: local", 1), sim.Timing{}},
		{"central alerts in waves", everyoneConfig + "rollout: {waves: [[Sandbox], [root]]}\n", sim.Timing{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var want []finding.Finding
			var wantThings []string
			inBubble(t, func(t *testing.T) {
				r := newRig(t, handful(t), c.config)
				r.mustRollout(t)
				want, wantThings = r.audit(t, Filter{}), r.inventory(t)
			})
			crashes := 0
			for n := 1; n > 0 && !t.Failed(); crashes++ {
				inBubble(t, func(t *testing.T) {
					r := newRig(t, handful(t), c.config)
					r.w.SetTiming(c.timing)
					after := n
					if n = r.crashAt(t, n); n == 0 {
						return
					}
					n += everyCrash() - 1
					r.mustRollout(t)
					r.w.SetTiming(sim.Timing{})
					if diff := cmp.Diff(want, r.audit(t, Filter{})); diff != "" {
						t.Errorf("killed after write %d: findings of an undisturbed rollout and of this (-want +got):\n%s", after, diff)
					}
					if diff := cmp.Diff(wantThings, r.inventory(t)); diff != "" {
						t.Errorf("killed after write %d: what an undisturbed rollout made and what this (-want +got):\n%s", after, diff)
					}
					if p := r.plan(t); len(p.Tasks) != 0 {
						t.Errorf("killed after write %d: there is still to be done: %+v", after, plan.Changes(p.Tasks))
					}
				})
			}
			if crashes*everyCrash() < 15 {
				t.Errorf("only %d writes to crash after", crashes)
			}
		})
	}
}

// everyCrash is how many writes one crash test goes on after a crash. A short run is
// one with the race detector: one write in twenty shows as many races.
func everyCrash() int {
	if testing.Short() {
		return 20
	}
	return 1
}

// handful is the demo organization with one account of each sort: a rollout is
// killed and repeated many times in it.
func handful(t *testing.T) sim.Spec {
	t.Helper()
	s, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	var thin func(ous []sim.OUSpec) []sim.OUSpec
	thin = func(ous []sim.OUSpec) []sim.OUSpec {
		ous = slices.Clone(ous)
		for i := range ous {
			ous[i].Accounts = slices.DeleteFunc(slices.Clone(ous[i].Accounts), func(a sim.AccountSpec) bool {
				return !slices.Contains([]string{securityAccount, shopProd, legacy, "900000000001"}, a.ID)
			})
			ous[i].OUs = thin(ous[i].OUs)
		}
		return ous
	}
	s.OUs = thin(s.OUs)
	return s
}

// crashAt runs a rollout that is killed by its n-th write. It returns the number
// of the write that comes next: one call to CloudFormation may make many. It is 0
// for a rollout that has no n-th write.
func (r *rig) crashAt(t *testing.T, n int) int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg, kill := r.mortal(cancel)
	crashed := false
	r.w.SetFaults(sim.Faults{CrashAtWrite: n, Crash: func() { crashed = true; kill() }})
	defer r.w.SetFaults(sim.Faults{})
	b, err := r.tryOpen(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.propose(ctx)
	if err != nil {
		t.Fatal(err)
	}
	plan.Execute(ctx, p.Tasks, 1, nil)
	if !crashed {
		return 0
	}
	return r.w.Writes() + 1
}

// inventory names everything that orgguard makes, wherever it is. What has a name
// of its own making (a stack of a stack set, a key) is counted.
func (r *rig) inventory(t *testing.T) []string {
	t.Helper()
	b := r.open(t)
	count := map[string]int{}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range b.Accounts {
		if a.State != orgs.StateActive {
			continue
		}
		for _, region := range b.Regions {
			cfg := r.member(string(a.ID), region)
			note := func(what string, name *string) {
				n := aws.ToString(name)
				if i := strings.LastIndexAny(n, ":/"); i >= 0 {
					n = n[i+1:]
				}
				if rest, ok := strings.CutPrefix(n, "StackSet-orgguard-"); ok {
					rest, _, _ = strings.Cut(rest, "-")
					n = "StackSet-orgguard-" + rest
				}
				count[string(a.ID)+" "+region+" "+what+" "+n]++
			}
			stacks, err := cloudformation.NewFromConfig(cfg).DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{})
			must(err)
			for _, s := range stacks.Stacks {
				note("stack", s.StackName)
			}
			events := eventbridge.NewFromConfig(cfg)
			buses, err := events.ListEventBuses(t.Context(), &eventbridge.ListEventBusesInput{})
			must(err)
			for _, bus := range buses.EventBuses {
				note("bus", bus.Name)
				rules, err := events.ListRules(t.Context(), &eventbridge.ListRulesInput{EventBusName: bus.Name})
				must(err)
				for _, rule := range rules.Rules {
					note("rule on "+*bus.Name, rule.Name)
				}
			}
			subs, err := sns.NewFromConfig(cfg).ListSubscriptions(t.Context(), &sns.ListSubscriptionsInput{})
			must(err)
			for _, s := range subs.Subscriptions {
				note("subscription", s.Endpoint)
			}
			topics, err := sns.NewFromConfig(cfg).ListTopics(t.Context(), &sns.ListTopicsInput{})
			must(err)
			for _, x := range topics.Topics {
				note("topic", x.TopicArn)
			}
			queues, err := sqs.NewFromConfig(cfg).ListQueues(t.Context(), &sqs.ListQueuesInput{})
			must(err)
			for _, url := range queues.QueueUrls {
				note("queue", &url)
			}
			recorders, err := configservice.NewFromConfig(cfg).DescribeConfigurationRecorders(t.Context(), &configservice.DescribeConfigurationRecordersInput{})
			must(err)
			for _, x := range recorders.ConfigurationRecorders {
				note("recorder", x.Name)
			}
			keys := kms.NewFromConfig(cfg)
			list, err := keys.ListKeys(t.Context(), &kms.ListKeysInput{})
			must(err)
			for _, k := range list.Keys {
				desc, err := keys.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: k.KeyId})
				must(err)
				if desc.KeyMetadata.KeyState == kmstypes.KeyStateEnabled {
					note("key", nil)
				}
			}
			machines, err := sfn.NewFromConfig(cfg).ListStateMachines(t.Context(), &sfn.ListStateMachinesInput{})
			must(err)
			for _, m := range machines.StateMachines {
				note("state machine", m.Name)
			}
			if region == b.Home {
				roles, err := iam.NewFromConfig(cfg).ListRoles(t.Context(), &iam.ListRolesInput{})
				must(err)
				for _, x := range roles.Roles {
					note("role", x.RoleName)
				}
			}
		}
	}
	var out []string
	for k, n := range count {
		out = append(out, fmt.Sprintf("%s × %d", k, n))
	}
	for id, s := range b.LoadStackSets(t.Context(), b.pool, Filter{}) {
		for k, i := range s.Instances {
			out = append(out, fmt.Sprintf("instance %s %s %s", id, k, i.Status))
		}
	}
	slices.Sort(out)
	return out
}

func TestThrottlingChangesNothingButTheTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		calm := demoRig(t, demoConfig)
		calm.mustRollout(t)
		r := demoRig(t, demoConfig)
		r.workers = 1
		r.w.SetFaults(sim.Faults{ThrottlePercent: 20})
		r.mustRollout(t)
		got := r.audit(t, Filter{})
		if diff := cmp.Diff(calm.audit(t, Filter{}), got); diff != "" {
			t.Errorf("findings without and with throttling (-want +got):\n%s", diff)
		}
		r.w.SetFaults(sim.Faults{})
		if diff := cmp.Diff(calm.inventory(t), r.inventory(t)); diff != "" {
			t.Errorf("what was made without and with throttling (-want +got):\n%s", diff)
		}
	})
}

// canary is a task of the last stage: it tells whether a rollout came so far.
func canary(reached *bool) plan.Task {
	return plan.Task{
		Change: plan.Change{Kind: "test", Stage: plan.Guardrail, Verb: plan.Attach, Resource: "canary"},
		Apply:  func(context.Context) ([]plan.Failure, error) { *reached = true; return nil, nil },
	}
}

func TestPartialFailures(t *testing.T) {
	failure := func(account, region string) string {
		return account + " " + region + ": service control policy: exempt stacksets-exec-*"
	}
	one := []string{failure("300000000001 shop-prod", tokyo), failure("300000000001 shop-prod", virginia)}
	two := append(slices.Clone(one), failure("300000000002 pay-prod", tokyo), failure("300000000002 pay-prod", virginia))
	cases := []struct {
		name, tolerance string
		deniedIn        string   // where an SCP stops StackSets
		failures        []string // account, Region, the sign in AWS's reason, the sign in the advice
		wantErr         string   // of the stack set; "" when the failures are tolerated
	}{
		{"one account fails and that is tolerated", "1", "shop-prod", one, ""},
		{"one account fails and nothing is tolerated", "0", "shop-prod", one, "ended FAILED (2 instances failed)"},
		{"an OU fails and its share is tolerated", "50%", "Workloads/Prod", two, ""},
		{"an OU fails and that is more than tolerated", "5%", "Workloads/Prod", two, "ended FAILED (4 instances failed)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s, err := sim.Scenario("demo")
				if err != nil {
					t.Fatal(err)
				}
				s.Organization.PolicyTypes = []string{"SERVICE_CONTROL_POLICY"}
				s.Policies = []sim.PolicySpec{{
					Name: "nobody-touches-config", Attach: []string{c.deniedIn},
					Content: `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"config:PutConfigurationRecorder","Resource":"*"}]}`,
				}}
				r := newRig(t, s, demoConfig+"rollout: {failure_tolerance: "+c.tolerance+"}\n")
				reached := false
				res := plan.Execute(t.Context(), append(r.plan(t).Tasks, canary(&reached)), 8, nil)
				var set plan.Outcome
				for _, o := range res.Outcomes {
					switch {
					case o.Change.Resource == "stack set orgguard-recorder":
						set = o
					case o.Change.Stage < plan.Baseline && (o.Err != "" || o.Skipped):
						t.Errorf("%s: %s", o.Change.Resource, o.Err)
					}
				}
				checkFailures(t, c.failures, set.Failures)
				if c.wantErr == "" && set.Err != "" || !strings.Contains(set.Err, c.wantErr) {
					t.Errorf("error %q; want %q", set.Err, c.wantErr)
				}
				if wantReached := c.wantErr == ""; reached != wantReached {
					t.Errorf("the last stage was begun: %v; want %v", reached, wantReached)
				}
				if c.wantErr != "" && set.Hint == "" {
					t.Error("no hint what to do")
				}
				if res.Failed() == 0 {
					t.Error("a rollout with failed instances counts as done")
				}

				// When the cause is gone the next rollout mends what failed.
				detachAll(t, r, "nobody-touches-config")
				r.mustRollout(t)
				r.mustBeClean(t)
			})
		})
	}
}

// detachAll detaches an SCP from wherever it is.
func detachAll(t *testing.T, r *rig, name string) {
	t.Helper()
	c := organizations.NewFromConfig(r.w.ManagementConfig(virginia))
	list, err := c.ListPolicies(t.Context(), &organizations.ListPoliciesInput{Filter: orgtypes.PolicyTypeServiceControlPolicy})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list.Policies {
		if aws.ToString(p.Name) != name {
			continue
		}
		targets, err := c.ListTargetsForPolicy(t.Context(), &organizations.ListTargetsForPolicyInput{PolicyId: p.Id})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range targets.Targets {
			if _, err := c.DetachPolicy(t.Context(), &organizations.DetachPolicyInput{PolicyId: p.Id, TargetId: x.TargetId}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func checkFailures(t *testing.T, want []string, got []plan.Failure) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d failures; want %d: %+v", len(got), len(want), got)
	}
	slices.SortFunc(got, func(a, b plan.Failure) int {
		return strings.Compare(a.Account+a.Region, b.Account+b.Region)
	})
	for i, f := range got {
		parts := strings.SplitN(want[i], ": ", 3)
		if where := f.Account + " " + f.AccountName + " " + f.Region; where != parts[0] || !strings.Contains(f.Reason, parts[1]) || !strings.HasPrefix(f.Fix, parts[2]) && !strings.Contains(f.Fix, parts[2]) || f.Status != "FAILED" {
			t.Errorf("failure %+v; want %q", f, want[i])
		}
	}
}

// A stack set's administrator who is not the management account has to say so in
// every call that lets them.
func TestADelegatedAdministratorSaysSo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, err := sim.Scenario("demo")
		if err != nil {
			t.Fatal(err)
		}
		stackSets := "member.org.stacksets.cloudformation.amazonaws.com"
		s.Organization.TrustedAccess = append(s.Organization.TrustedAccess, stackSets)
		s.DelegatedAdministrators = []sim.DelegateSpec{{Account: "security", Services: []string{stackSets, "account.amazonaws.com", "config.amazonaws.com"}}}
		for i := range s.OUs {
			trust(&s.OUs[i], securityAccount)
		}
		s.Management.Roles = append(s.Management.Roles, sim.RoleSpec{Name: "Audit", Trusts: securityAccount})
		r := newRig(t, s, demoConfig+"  \n")
		r.role = "Audit"
		r.aws = r.w.Config(tokyo, r.w.RolePrincipal(securityAccount, "Audit", "orgguard"))
		var said atomic.Int64
		r.aws.APIOptions = append(slices.Clone(r.aws.APIOptions), func(st *middleware.Stack) error {
			return st.Initialize.Add(middleware.InitializeMiddlewareFunc("CallAs",
				func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
					if as, has := callAs(in.Parameters); has {
						said.Add(1)
						if as != "DELEGATED_ADMIN" {
							t.Errorf("%T says it is called as %q", in.Parameters, as)
						}
					}
					return next.HandleInitialize(ctx, in)
				}), middleware.After)
		})
		// The management account activates trusted access; the rest is the
		// delegate's.
		if _, err := cloudformation.NewFromConfig(r.w.ManagementConfig(tokyo)).ActivateOrganizationsAccess(t.Context(), &cloudformation.ActivateOrganizationsAccessInput{}); err != nil {
			t.Fatal(err)
		}
		r.mustRollout(t)
		r.mustBeClean(t)
		if n := said.Load(); n < 10 {
			t.Errorf("CallAs was looked at in %d calls only", n)
		}
	})
}

// trust gives all accounts of an OU a role that an account may assume.
func trust(ou *sim.OUSpec, account string) {
	ou.Accounts = slices.Clone(ou.Accounts)
	for i := range ou.Accounts {
		ou.Accounts[i].Roles = append(slices.Clone(ou.Accounts[i].Roles), sim.RoleSpec{Name: "Audit", Trusts: account})
	}
	ou.OUs = slices.Clone(ou.OUs)
	for i := range ou.OUs {
		trust(&ou.OUs[i], account)
	}
}

func TestRolloutInEveryPartition(t *testing.T) {
	cases := []struct{ partition, regions, home, global, suffix string }{
		{"aws-cn", "cn-north-1, cn-northwest-1", "cn-northwest-1", "cn-north-1", "amazonaws.com.cn"},
		{"aws-us-gov", "us-gov-east-1, us-gov-west-1", "us-gov-east-1", "us-gov-west-1", "amazonaws.com"},
	}
	for _, c := range cases {
		for _, mode := range []string{"central", "local"} {
			t.Run(c.partition+", "+mode+" alerts", func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					s := sim.Spec{
						Partition: c.partition, Seed: c.partition, TrailLogging: true, Regions: strings.Split(c.regions, ", "),
						Management: sim.AccountSpec{ID: management, Name: "management"},
						OUs:        []sim.OUSpec{{Name: "Security", Accounts: []sim.AccountSpec{{ID: securityAccount, Name: "security"}}}, {Name: "Workloads", Accounts: []sim.AccountSpec{{ID: shopProd, Name: "shop-prod"}}}},
					}
					r := newRig(t, s, fmt.Sprintf("version: 1\nregions: [%s]\nhome_region: %s\nsecurity_account: \"200000000001\"\nalerts: {mode: %s, email: [a@example.com]}\n", c.regions, c.home, mode))
					r.mustRollout(t)
					r.mustBeClean(t)
					for _, f := range r.audit(t, Filter{Controls: []string{"root-signin-alert"}, Accounts: []string{"shop-prod"}}) {
						if f.Region != c.global {
							t.Errorf("root sign-ins are looked for in %s; they show in %s", f.Region, c.global)
						}
					}
					for _, tmpl := range r.open(t).Templates() {
						if strings.Contains(tmpl.Body, "arn:aws:") {
							t.Errorf("%s has ARNs of another partition", tmpl.Name)
						}
					}
					before := len(r.w.Outbox())
					stopRecorder(t, r, shopProd, c.home)
					mails := alerts(r.w.Outbox()[before:])
					if len(mails) != 1 {
						t.Fatalf("%d mails: %+v", len(mails), mails)
					}
				})
			})
		}
	}
}

func TestAllEnabledRegionsFollowTheAccounts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := sim.Spec{
			Seed: "regions", TrailLogging: true, Regions: []string{virginia},
			Management: sim.AccountSpec{ID: management, Name: "management"},
			OUs: []sim.OUSpec{{Name: "Workloads", Accounts: []sim.AccountSpec{
				{ID: shopProd, Name: "shop-prod", Regions: []string{"af-south-1"}}, {ID: securityAccount, Name: "security"},
			}}},
		}
		r := newRig(t, s, "version: 1\nregions: all-enabled\nhome_region: us-east-1\nsecurity_account: \"200000000001\"\n")
		b := r.open(t)
		p := r.plan(t)
		targets := map[string]bool{}
		for _, task := range p.Tasks {
			for _, k := range task.Targets {
				targets[k] = true
			}
		}
		if !targets[shopProd+"/af-south-1"] || targets[securityAccount+"/af-south-1"] {
			t.Errorf("Region af-south-1 is on in one account only; targets %v", slices.Sorted(maps.Keys(targets)))
		}
		if n := len(b.Regions); n != len(b.Org.Partition.Default) {
			t.Errorf("%d Regions; want the %d that are always on", n, len(b.Org.Partition.Default))
		}
	})
}

// Another run may have made a stack set, or a stack, after this one looked.
func TestWhatAnotherRunMadeIsTakenForMade(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), everyoneConfig)
		late := r.plan(t)
		r.mustRollout(t)
		for _, o := range plan.Execute(t.Context(), late.Tasks, 1, nil).Outcomes {
			if o.Err != "" || o.Skipped || len(o.Failures) > 0 {
				t.Errorf("%s %s: %q, skipped %v, failures %+v", o.Change.Verb, o.Change.Resource, o.Err, o.Skipped, o.Failures)
			}
		}
		r.mustBeClean(t)
	})
}
