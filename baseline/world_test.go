package baseline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/spec"
)

// The accounts of the demo organization that tests are about.
const (
	management = "100000000001"
	shopProd   = "300000000001"
	blind      = "300000000003" // its access role trusts somebody else
	legacy     = "500000000003" // has a recorder of its own in tokyo
)

const (
	tokyo    = "ap-northeast-1"
	virginia = "us-east-1"
)

// demoConfig fits the demo organization. The account that nobody can enter is
// left out: tests that are about it take it back in.
const demoConfig = `
version: 1
regions: [ap-northeast-1, us-east-1]
home_region: ap-northeast-1
security_account: "200000000001"
organization:
  exclude: [{account: "300000000003", reason: belongs to another company}]
alerts: {mode: central, email: [security@example.com]}
`

// localConfig is demoConfig with an alert topic in every account × Region.
var localConfig = strings.Replace(demoConfig, "mode: central", "mode: local", 1)

// everyoneConfig is demoConfig without exclusions.
var everyoneConfig = strings.Replace(demoConfig, `
organization:
  exclude: [{account: "300000000003", reason: belongs to another company}]`, "", 1)

// inBubble runs a test with a clock of its own, in which waiting takes no time.
// It begins in the year in which the simulated organizations live.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)))
		test(t)
	})
}

// rig is a simulated organization with a configuration.
type rig struct {
	w   *sim.World
	cfg *spec.Config
	// aws is what each run begins with.
	aws  aws.Config
	role string
	// workers is how many cells are looked at side by side. It must be one
	// where calls are retried: in a bubble time stands still while a cell
	// waits for another one's mutex.
	workers int
}

func parseConfig(t *testing.T, text string) *spec.Config {
	t.Helper()
	known := Known()
	known.Elsewhere = []string{"scp-protect-config"}
	cfg, err := spec.Parse("orgguard.yaml", []byte(text), known)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// firstControls leaves on what there was first, of what the configuration does not
// name: tests that spell everything out need not change with each new control.
func firstControls(cfg *spec.Config) *spec.Config {
	first := []string{"config-recorder", "config-delivery", "alert-topic", "config-change-alert", "root-signin-alert"}
	for _, c := range controls {
		if _, named := cfg.Baseline[c.ID]; !named && !slices.Contains(first, c.ID) {
			cfg.Baseline[c.ID] = spec.Control{}
		}
	}
	return cfg
}

func newRig(t *testing.T, s sim.Spec, config string) *rig {
	t.Helper()
	w, err := sim.New(s)
	if err != nil {
		t.Fatal(err)
	}
	cfg := parseConfig(t, config)
	home := cfg.HomeRegion
	if home == "" {
		home = virginia
	}
	return &rig{w: w, cfg: cfg, aws: w.ManagementConfig(home), role: cfg.Organization.AccessRole, workers: 16}
}

func demoRig(t *testing.T, config string) *rig {
	t.Helper()
	s, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, s, config)
}

// run is one run of the tool: a pool and what it read.
type run struct {
	*Baseline
	pool    *access.Pool
	workers int
}

// open begins a run, as a command does.
func (r *rig) open(t *testing.T) *run {
	t.Helper()
	b, err := r.tryOpen(t.Context(), r.aws)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (r *rig) tryOpen(ctx context.Context, cfg aws.Config) (*run, error) {
	pool, err := access.New(ctx, cfg, access.Options{Role: r.role, NoRateLimits: true})
	if err != nil {
		return nil, err
	}
	org, err := orgs.Load(ctx, pool.Organizations)
	if err != nil {
		return nil, err
	}
	b, err := Resolve(r.cfg, org, pool.Region())
	return &run{b, pool, r.workers}, err
}

// propose looks and says what to do.
func (r *run) propose(ctx context.Context) (Proposal, error) {
	l, err := r.Look(ctx, r.pool, r.workers, nil)
	if err != nil {
		return Proposal{}, err
	}
	return r.Propose(l, r.pool), nil
}

// rollout is a whole rollout, of which the result is wanted.
func (r *rig) rollout(t *testing.T) plan.Result {
	t.Helper()
	return plan.Execute(t.Context(), r.plan(t).Tasks, 8, nil)
}

func (r *rig) plan(t *testing.T) Proposal {
	t.Helper()
	p, err := r.open(t).propose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// mustRollout is a rollout that has to succeed, followed by somebody who confirms
// the subscriptions.
func (r *rig) mustRollout(t *testing.T) {
	t.Helper()
	for _, o := range r.rollout(t).Outcomes {
		if o.Err != "" || o.Skipped || len(o.Failures) > 0 {
			t.Fatalf("%s %s in %s %s: error %q, skipped %v, failures %+v", o.Change.Verb, o.Change.Resource, o.Change.Account, o.Change.Region, o.Err, o.Skipped, o.Failures)
		}
	}
	r.w.ConfirmSubscriptions("")
}

// audit is a whole audit.
func (r *rig) audit(t *testing.T, f Filter) []finding.Finding {
	t.Helper()
	b := r.open(t)
	a, err := b.Audit(t.Context(), b.pool, f, r.workers, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a.Findings
}

// wrong leaves the findings that are neither in sync nor explained.
func wrong(fs []finding.Finding) []finding.Finding {
	return slices.DeleteFunc(slices.Clone(fs), func(f finding.Finding) bool {
		return f.Status == finding.InSync || f.Status == finding.NotApplicable || f.Status == finding.Exempt
	})
}

func (r *rig) mustBeClean(t *testing.T) {
	t.Helper()
	fs := r.audit(t, Filter{})
	if diff := cmp.Diff([]finding.Finding{}, wrong(fs)); diff != "" {
		t.Fatalf("the audit is not clean (-want +got):\n%s", diff)
	}
	if n := finding.Summarize(fs).InSync; n < 20 {
		t.Fatalf("only %d things were looked at", n)
	}
}

// member is the SDK configuration of an administrator of an account.
func (r *rig) member(account, region string) aws.Config {
	role := r.role
	if account == management {
		role = "OrgAdmin"
	}
	return r.w.Config(region, r.w.RolePrincipal(account, role, "alice"))
}

// errKilled is what calls of a killed process come to in tests: nobody reads it.
var errKilled = errors.New("the process was killed")

// mortal returns the rig's SDK configuration for a process that can be killed:
// from then on none of its calls goes out, and no answer comes in.
func (r *rig) mortal(cancel func()) (cfg aws.Config, kill func()) {
	var dead atomic.Bool
	kill = func() { dead.Store(true); cancel() }
	cfg = r.aws.Copy()
	// In front of the world's own option, that is outside of it.
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), func(s *middleware.Stack) error {
		return s.Initialize.Add(middleware.InitializeMiddlewareFunc("Killed",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (out middleware.InitializeOutput, md middleware.Metadata, err error) {
				if dead.Load() {
					return out, md, errKilled
				}
				out, md, err = next.HandleInitialize(ctx, in)
				if dead.Load() {
					return middleware.InitializeOutput{}, md, errKilled
				}
				return out, md, err
			}), middleware.Before)
	})
	return cfg, kill
}

// newBaseline is a configuration applied to the demo organization.
func newBaseline(t *testing.T, config string) *Baseline {
	t.Helper()
	return demoRig(t, config).open(t).Baseline
}

// deleteNamesRole takes away the role with which account names are looked up.
func deleteNamesRole(t *testing.T, r *rig) {
	t.Helper()
	c := iam.NewFromConfig(r.member(management, virginia))
	_, err := c.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: aws.String("orgguard-account-names"), PolicyName: aws.String("names")})
	if err == nil {
		_, err = c.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String("orgguard-account-names")})
	}
	if err != nil {
		t.Fatal(err)
	}
}
