package protect

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/spec"
)

// anyPool is a pool for code that is proposed and not carried out.
func anyPool(t *testing.T) *access.Pool {
	t.Helper()
	w, err := sim.New(sim.Spec{Management: sim.AccountSpec{ID: "100000000000", Name: "management"}})
	if err != nil {
		t.Fatal(err)
	}
	return poolOf(t, w.ManagementConfig("us-east-1"))
}

func poolOf(t *testing.T, cfg aws.Config) *access.Pool {
	t.Helper()
	pool, err := access.New(t.Context(), cfg, access.Options{Role: "OrganizationAccountAccessRole", NoRateLimits: true})
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// inBubble runs a test with a clock of its own, in which waiting takes no time.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)))
		test(t)
	})
}

var demoTargets = []string{"Workloads", "Sandbox"}

func demo(t *testing.T, change func(*sim.Spec)) *sim.World {
	t.Helper()
	s, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&s)
	}
	w, err := sim.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func enabled(s *sim.Spec) { s.Organization.PolicyTypes = []string{"SERVICE_CONTROL_POLICY"} }

// look is a new run's view: the guard, and what a rollout would do.
func look(t *testing.T, w *sim.World, change func(*spec.ProtectConfig)) (*Guard, *access.Pool, State) {
	t.Helper()
	pool := poolOf(t, w.ManagementConfig("ap-northeast-1"))
	org, err := orgs.Load(t.Context(), pool.Organizations)
	if err != nil {
		t.Fatal(err)
	}
	cfg := spec.Default()
	cfg.SCP.ProtectConfig.Attach = demoTargets
	if change != nil {
		change(&cfg.SCP.ProtectConfig)
	}
	g, err := New(cfg, org)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Observe(t.Context(), pool, org)
	if err != nil {
		t.Fatal(err)
	}
	return g, pool, s
}

func carryOut(t *testing.T, g *Guard, s State, pool *access.Pool) plan.Result {
	t.Helper()
	tasks, _ := g.Propose(s, nil, pool)
	plan.SortTasks(tasks)
	return plan.Execute(t.Context(), tasks, 8, nil)
}

func mustApply(t *testing.T, w *sim.World, change func(*spec.ProtectConfig)) {
	t.Helper()
	g, pool, s := look(t, w, change)
	for _, o := range carryOut(t, g, s, pool).Outcomes {
		if o.Err != "" || o.Skipped {
			t.Fatalf("%s %s: %q, skipped %v", o.Change.Verb, o.Change.Resource, o.Err, o.Skipped)
		}
	}
}

func mustProtect(t *testing.T, w *sim.World, change func(*spec.ProtectConfig)) {
	t.Helper()
	g, pool, s := look(t, w, change)
	for _, f := range g.Findings(s, nil, selection(t, g)) {
		if f.Status != finding.InSync && f.Status != finding.NotApplicable {
			t.Errorf("finding %+v", f)
		}
	}
	if tasks, _ := g.Propose(s, nil, pool); len(tasks) != 0 {
		t.Errorf("there is still to be done: %+v", plan.Changes(tasks))
	}
}

// stop is what an administrator of an account gets for stopping the recorder.
func stop(t *testing.T, w *sim.World, account, role string) string {
	t.Helper()
	c := configservice.NewFromConfig(w.Config("ap-northeast-1", w.RolePrincipal(account, role, "alice")))
	_, err := c.StopConfigurationRecorder(t.Context(), &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String("legacy-recorder")})
	if err == nil {
		return ""
	}
	return orgs.Code(err)
}

func TestARolloutPutsThePolicyInPlace(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := demo(t, func(s *sim.Spec) {
			for i := range s.OUs {
				for j := range s.OUs[i].Accounts {
					s.OUs[i].Accounts[j].Roles = []sim.RoleSpec{{Name: "Admin"}}
				}
			}
		})
		w.SetTiming(sim.Timing{PolicyType: 3 * time.Minute})
		mustApply(t, w, nil)
		mustProtect(t, w, nil)
		if got := stop(t, w, "500000000003", "Admin"); got != "AccessDeniedException" {
			t.Errorf("an administrator of an account below gets %q", got)
		}
		if got := stop(t, w, "500000000003", "OrganizationAccountAccessRole"); got != "" {
			t.Errorf("the access role gets %q", got)
		}
		if got := stop(t, w, "400000000002", "Admin"); got != "NoSuchConfigurationRecorderException" {
			t.Errorf("an administrator of an account elsewhere gets %q", got)
		}
	})
}

func TestASecondRolloutWritesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := demo(t, enabled)
		mustApply(t, w, nil)
		writes := w.Writes()
		mustApply(t, w, nil)
		if n := w.Writes() - writes; n != 0 {
			t.Errorf("%d writes", n)
		}
	})
}

func TestAnUpdateReachesAllTargets(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := demo(t, enabled)
		loose := func(p *spec.ProtectConfig) { p.Strict = false }
		mustApply(t, w, loose)
		_, _, before := look(t, w, loose)
		mustApply(t, w, nil)
		mustProtect(t, w, nil)
		_, _, after := look(t, w, nil)
		if before.ID != after.ID || before.Content == after.Content || !slices.Equal(before.Targets, after.Targets) || len(after.Targets) != len(demoTargets) {
			t.Errorf("before %+v, after %+v", before, after)
		}
	})
}

// Somebody else attached the policy, or enabled the type, between the plan and its
// execution.
func TestWhatIsAlreadyDoneIsDone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := demo(t, nil)
		g, pool, s := look(t, w, nil)
		api := organizations.NewFromConfig(w.ManagementConfig("us-east-1"))
		if _, err := api.EnablePolicyType(t.Context(), &organizations.EnablePolicyTypeInput{RootId: aws.String(string(g.Org.Root)), PolicyType: types.PolicyTypeServiceControlPolicy}); err != nil {
			t.Fatal(err)
		}
		tasks, _ := g.Propose(s, nil, pool)
		plan.SortTasks(tasks)
		for _, task := range tasks {
			for range 2 {
				if _, err := task.Apply(t.Context()); err != nil && !strings.Contains(err.Error(), "DuplicatePolicyException") {
					t.Errorf("%s %s: %v", task.Verb, task.Resource, err)
				}
			}
		}
		mustProtect(t, w, nil)
	})
}

func TestTroubleWithAttaching(t *testing.T) {
	deny := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ec2:Purchase*","Resource":"*"}]}`
	cases := []struct {
		name       string
		change     func(*sim.Spec)
		faults     []sim.Fault
		err, hint  string
		skippedToo bool // what comes after it is not begun
	}{
		{"ten policies are on the OU", func(s *sim.Spec) {
			enabled(s)
			for i := range 9 {
				s.Policies = append(s.Policies, sim.PolicySpec{Name: fmt.Sprintf("p%d", i), Content: deny, Attach: []string{"Sandbox"}})
			}
		}, nil, "ConstraintViolationException", "this node has as many SCPs as AWS allows", false},
		{"the caller may not", enabled, []sim.Fault{{Service: "organizations", Operation: "AttachPolicy", Code: "AccessDeniedException", Message: "no"}}, "AccessDeniedException", "SCPs are written from the management account", false},
		{"the policy cannot be made", enabled, []sim.Fault{{Service: "organizations", Operation: "CreatePolicy", Code: "AccessDeniedException", Message: "no"}}, "AccessDeniedException", "SCPs are written from the management account", false},
		{"the policy type cannot be enabled", nil, []sim.Fault{{Service: "organizations", Operation: "EnablePolicyType", Code: "AccessDeniedException", Message: "no"}}, "enable service control policies", "SCPs are written from the management account", true},
		{"another write is being made", enabled, []sim.Fault{{Service: "organizations", Operation: "AttachPolicy", Code: "ConcurrentModificationException", Message: "busy", Times: 3}}, "", "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := demo(t, c.change)
				g, pool, s := look(t, w, nil)
				w.SetFaults(sim.Faults{Errors: c.faults})
				res := carryOut(t, g, s, pool)
				var first plan.Outcome
				skipped := 0
				for _, o := range res.Outcomes {
					if o.Skipped {
						skipped++
					}
					if o.Err != "" && first.Err == "" {
						first = o
					}
				}
				if !strings.Contains(first.Err, c.err) || (first.Err == "") != (c.err == "") || !strings.Contains(first.Hint, c.hint) {
					t.Errorf("error %q, hint %q; want %q, %q", first.Err, first.Hint, c.err, c.hint)
				}
				if c.name == "the policy cannot be made" && !strings.HasSuffix(res.Outcomes[len(res.Outcomes)-1].Err, "wave 1, all at once, failed") {
					t.Errorf("attaching ends with %q", res.Outcomes[len(res.Outcomes)-1].Err)
				}
				if c.skippedToo && skipped != len(res.Outcomes)-1 {
					t.Errorf("%d of %d changes were not begun", skipped, len(res.Outcomes))
				}
				if c.err == "" {
					mustProtect(t, w, nil)
				}
			})
		})
	}
}

func TestARolloutThatIsKilledAnywhereCanBeRepeated(t *testing.T) {
	crashes := 0
	for n := 1; n > 0; n++ {
		inBubble(t, func(t *testing.T) {
			w := demo(t, nil)
			g, pool, s := look(t, w, nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			crashed := false
			w.SetFaults(sim.Faults{CrashAtWrite: n, Crash: func() { crashed = true; cancel() }})
			tasks, _ := g.Propose(s, nil, pool)
			plan.SortTasks(tasks)
			plan.Execute(ctx, tasks, 1, nil)
			w.SetFaults(sim.Faults{})
			if !crashed {
				n = -1
				return
			}
			crashes++
			mustApply(t, w, nil)
			mustProtect(t, w, nil)
			api := organizations.NewFromConfig(w.ManagementConfig("us-east-1"))
			list, err := api.ListPolicies(t.Context(), &organizations.ListPoliciesInput{Filter: types.PolicyTypeServiceControlPolicy})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range list.Policies {
				names = append(names, aws.ToString(p.Name))
			}
			slices.Sort(names)
			if diff := cmp.Diff([]string{"FullAWSAccess", PolicyName}, names); diff != "" {
				t.Errorf("killed after write %d: policies (-want +got):\n%s", n, diff)
			}
		})
		if n < 0 {
			break
		}
	}
	if crashes < 4 {
		t.Errorf("only %d writes to crash after", crashes)
	}
}

// A delegated administrator of something else cannot read the policies: that is
// said, and nothing is taken for in place.
func TestObserveFromAnAccountThatMayNot(t *testing.T) {
	w := demo(t, enabled)
	pool := poolOf(t, w.Config("us-east-1", w.RolePrincipal("200000000001", "OrganizationAccountAccessRole", "alice")))
	g := guard(t)
	if _, err := Observe(t.Context(), pool, g.Org); err == nil || !strings.Contains(err.Error(), "list service control policies") {
		t.Errorf("error %v", err)
	}
}

func TestObserveReadsAllPages(t *testing.T) {
	w := demo(t, func(s *sim.Spec) {
		enabled(s)
		for i := range 45 {
			s.Policies = append(s.Policies, sim.PolicySpec{Name: fmt.Sprintf("p%02d", i), Content: `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ec2:Purchase*","Resource":"*"}]}`})
		}
	})
	mustApply(t, w, nil)
	mustProtect(t, w, nil)
}
