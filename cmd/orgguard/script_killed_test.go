package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/sim"
)

// killable is a command that writes, and how it is begun again after it was killed.
type killable struct {
	name   string
	before []string                             // carried out once, to set the scene up
	args   func(p place, first string) []string // first is the run of the scene
	again  func(p place, first, cut string) []string
	writes int // at least so many places to be killed at
	// until is the last of them that is tried; 0 tries all.
	until int
}

var killables = []killable{
	{
		name: "undo", before: []string{"rollout", "--yes"}, writes: 4, until: 4,
		args:  func(_ place, first string) []string { return []string{"undo", "--run", first, "--yes"} },
		again: func(_ place, first, _ string) []string { return []string{"undo", "--run", first, "--yes"} },
	},
	{
		name: "teardown", before: []string{"rollout", "--yes"}, writes: 4, until: 4,
		args:  func(place, string) []string { return []string{"teardown", "--yes", "--delete-history"} },
		again: func(place, string, string) []string { return []string{"teardown", "--yes", "--delete-history"} },
	},
	{
		name: "scp apply", before: []string{"rollout", "--yes"}, writes: 3,
		args: func(place, string) []string { return applyDemo },
		again: func(_ place, _, cut string) []string {
			return []string{"scp", "apply", "--resume", cut, "--yes", "--no-iam", "--no-cloudtrail"}
		},
	},
	{
		name: "scp remove", before: applyDemo, writes: 1,
		args: func(place, string) []string { return removeDemo },
		again: func(_ place, _, cut string) []string {
			return []string{"scp", "remove", "--resume", cut, "--yes", "--no-iam", "--no-cloudtrail"}
		},
	},
}

var (
	applyDemo  = []string{"scp", "apply", "--policy", "p.json", "--target", "ou-0000", "--wave", "account-00001", "--yes", "--no-iam", "--no-cloudtrail"}
	removeDemo = []string{"scp", "remove", "--name", "p", "--target", "ou-0000", "--yes", "--no-iam", "--no-cloudtrail"}
)

const killableConfig = `
version: 1
regions: [us-east-1]
home_region: us-east-1
baseline: {config-change-alert: false, alert-topic: false}
scp: {protect-config: {attach: [ou-0000]}}
`

// TestKilledAtAnyWriteItIsBegunAgain kills the process at every single write of scp
// apply and scp remove, and at those of an undo and of a teardown up to the one after
// the SCP's part: the lock, the policy, and the first of the baseline. (Every write of
// the baseline's part has a test without processes in package baseline.) The next one is told who holds the
// lock; with the lock broken it ends where an undisturbed one ends.
func TestKilledAtAnyWriteItIsBegunAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("it is about processes, and a short run is one with the race detector")
	}
	t.Parallel()
	for _, k := range killables {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			scene := newPlace(t, "--accounts", "3")
			scene.write(".orgguard/orgguard.yaml", killableConfig)
			scene.write("p.json", `{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Deny","Action":"ec2:PurchaseReservedInstancesOffering","Resource":"*"}]}`)
			if k.name == "scp remove" {
				scene.ends("rollout", "--yes")
			}
			scene.ends(k.before...)
			first := scene.newest()
			undisturbed := scene.clone(t)
			undisturbed.ends(k.args(undisturbed, first)...)
			want := undisturbed.holds()
			if same := scene.holds(); cmp.Equal(want, same) {
				t.Fatalf("the command changes nothing: %v", same)
			}
			n := 0
			for more := true; more && !t.Failed() && (n < k.until || k.until == 0); {
				if more = k.killedAt(t, scene, first, n+1, want); more {
					n++
				}
			}
			if n < k.writes {
				t.Errorf("only %d writes to be killed at", n)
			}
		})
	}
}

// killedAt kills the command at its n-th write and begins it again; false when it has
// fewer writes.
func (k killable) killedAt(t *testing.T, scene place, first string, n int, want world) bool {
	t.Helper()
	p := scene.clone(t)
	p.faults(fmt.Sprintf(`{"crash_at_write":%d}`, n))
	c := p.start(append([]string{"--sandbox"}, k.args(p, first)...)...)
	code, _ := c.ends()
	p.faults(`{}`)
	if code != 137 {
		if diff := cmp.Diff(want, p.holds()); code < 0 || diff != "" {
			t.Errorf("not killed: exit code %d (-undisturbed +this):\n%s%s", code, diff, c.errs.String())
		}
		return false
	}
	args := k.args(p, first)
	if cut := p.newest(); cut != first {
		args = k.again(p, first, cut)
	}
	c = p.start(append([]string{"--sandbox"}, args...)...)
	code, _ = c.ends()
	if m := breaksLock.FindStringSubmatch(c.errs.String()); m != nil {
		if want := "another orgguard " + k.holder(first) + " is under way: lock " + m[1] + " is held by arn:"; code != exitIncomplete || !strings.Contains(c.errs.String(), want) {
			t.Errorf("killed at write %d: exit code %d, and stderr does not say %q: %s", n, code, want, c.errs.String())
		}
		c = p.start(append([]string{"--sandbox"}, append(args, "--break-lock", m[1])...)...)
		code, _ = c.ends()
	}
	// Who dies after all is done and told leaves nothing to go on with.
	over := code == exitUsage && strings.Contains(c.errs.String(), "has ended (done): there is nothing to go on with")
	if code < 0 || code > exitDrift && !over {
		t.Errorf("killed at write %d, and begun again: exit code %d\n%s%s", n, code, c.out.String(), c.errs.String())
	}
	if diff := cmp.Diff(want, p.holds()); diff != "" {
		t.Errorf("killed at write %d, and begun again (-undisturbed +this):\n%s", n, diff)
	}
	return true
}

// holder is what the command calls itself in the lock.
func (k killable) holder(first string) string {
	if k.name == "undo" {
		return "undo of " + first
	}
	return k.name
}

// ends runs orgguard on the sandbox and fails the test when it does not come to its
// end.
func (p place) ends(args ...string) {
	p.t.Helper()
	c := p.start(append([]string{"--sandbox"}, args...)...)
	if code, _ := c.ends(); code < 0 || code > exitDrift {
		p.t.Fatalf("orgguard %s: exit code %d\n%s%s", strings.Join(args, " "), code, c.out.String(), c.errs.String())
	}
}

func (p place) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// clone is another folder with the same in it.
func (p place) clone(t *testing.T) place {
	t.Helper()
	q := place{t: t, dir: t.TempDir(), env: p.env}
	if err := os.CopyFS(q.dir, os.DirFS(p.dir)); err != nil {
		t.Fatal(err)
	}
	return q
}

// newest is the newest run of which there is a journal; "" when there is none.
func (p place) newest() string {
	p.t.Helper()
	runs, err := journal.List(filepath.Join(p.dir, ".orgguard", "journal"))
	if err != nil {
		p.t.Fatal(err)
	}
	if len(runs) == 0 {
		return ""
	}
	// Two runs of one second have no order in their names.
	return slices.MaxFunc(runs, func(a, b journal.Summary) int { return a.Began.Compare(b.Began) }).Run
}

// world is what an organization holds of what orgguard makes.
type world struct {
	Policies  map[string][]string // targets by name
	StackSets []string
	Plan      []string // what a rollout would change
}

func (p place) holds() world {
	p.t.Helper()
	out := world{Policies: map[string][]string{}}
	w, err := sim.Open(p.sandbox())
	if err != nil {
		p.t.Fatal(err)
	}
	ctx := p.t.Context()
	org := organizations.NewFromConfig(w.ManagementConfig("us-east-1"))
	policies, err := org.ListPolicies(ctx, &organizations.ListPoliciesInput{Filter: types.PolicyTypeServiceControlPolicy})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, pol := range policies.Policies {
		targets, err := org.ListTargetsForPolicy(ctx, &organizations.ListTargetsForPolicyInput{PolicyId: pol.Id})
		if err != nil {
			p.t.Fatal(err)
		}
		out.Policies[*pol.Name] = []string{}
		for _, x := range targets.Targets {
			out.Policies[*pol.Name] = append(out.Policies[*pol.Name], aws.ToString(x.Name))
		}
		slices.Sort(out.Policies[*pol.Name])
	}
	sets, err := cloudformation.NewFromConfig(w.ManagementConfig("us-east-1")).ListStackSets(ctx, &cloudformation.ListStackSetsInput{Status: "ACTIVE"})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, s := range sets.Summaries {
		out.StackSets = append(out.StackSets, *s.StackSetName)
	}
	slices.Sort(out.StackSets)
	if err := w.Close(); err != nil {
		p.t.Fatal(err)
	}
	c := p.start("--sandbox", "plan", "--format", "json")
	if code, _ := c.ends(); code < 0 || code > exitDrift {
		p.t.Fatalf("plan: exit code %d\n%s", code, c.errs.String())
	}
	var doc struct {
		Changes []struct{ Verb, Resource, Account, Region string }
	}
	if err := json.Unmarshal(c.out.Bytes(), &doc); err != nil {
		p.t.Fatal(err)
	}
	for _, c := range doc.Changes {
		out.Plan = append(out.Plan, fmt.Sprint(c))
	}
	return out
}
