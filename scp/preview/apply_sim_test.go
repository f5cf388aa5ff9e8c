package preview_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/scp/apply"
	"github.com/orgguard/orgguard/scp/preview"
)

// These tests carry changes out with package apply, on the organization whose SCPs
// are enforced, and hold what happens then to what the preview said.

// writing is a pool whose sessions in accounts may do what the role may.
func (b *bench) writing() *access.Pool {
	b.t.Helper()
	p, err := access.New(b.t.Context(), b.w.ManagementConfig("us-east-1"), access.Options{Role: "OrganizationAccountAccessRole", NoRateLimits: true})
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// run is a change on its way.
type run struct {
	in     preview.Input
	have   apply.Policy
	waves  []apply.Wave
	runner *apply.Runner
}

// newRun plans a change in waves.
func (b *bench) newRun(in preview.Input, have apply.Policy, groups ...apply.Group) run {
	b.t.Helper()
	wish := apply.Wish{Content: string(in.Change.Source), Attach: in.Change.Targets}
	if in.Change.Kind == preview.Detach {
		wish = apply.Wish{Detach: in.Change.Targets}
	}
	return b.runOf(in, have, apply.Plan(b.org, have, wish, groups))
}

func (b *bench) runOf(in preview.Input, have apply.Policy, waves []apply.Wave) run {
	return run{in, have, waves, apply.NewRunner(apply.Options{Pool: b.pool, Org: b.org, Policy: have, Judge: in})}
}

// carryOut runs all waves, or as many as n says, with a journal or without.
func (b *bench) carryOut(ctx context.Context, r run, j *journal.Journal) []apply.WaveResult {
	b.t.Helper()
	tasks := r.runner.Tasks(r.waves)
	if j != nil {
		r.runner.Record(j)
		tasks = j.Tasks(tasks)
	}
	return r.runner.Result(r.waves, plan.Execute(ctx, tasks, 1, nil))
}

func (b *bench) policy(name string) apply.Policy {
	b.t.Helper()
	p, err := apply.ReadPolicy(b.t.Context(), b.pool, b.org, name)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// attached is who has which policies, by name, with the texts.
func (b *bench) attached() map[string]string {
	b.t.Helper()
	a, err := preview.ReadAttachments(b.t.Context(), b.pool, b.org, b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[string]string{}
	for node, ids := range a.On {
		var names []string
		for _, id := range ids {
			names = append(names, a.Policies[id].Name)
		}
		slices.Sort(names)
		out[node] = strings.Join(names, ",")
	}
	for _, p := range a.Policies {
		if !p.AWSManaged {
			out["text of "+p.Name] = b.policy(p.Name).Content
		}
	}
	return out
}

// predicted is what the preview says will be refused, on top of what is.
func predicted(before map[string]bool, p preview.Preview) map[string]bool {
	want := maps.Clone(before)
	for _, f := range p.Effects {
		for _, u := range f.Uses {
			want[fmt.Sprintf("%s %s %s", u.Account, f.Principal[strings.LastIndex(f.Principal, "/")+1:], u.Action)] = f.Direction == preview.Loses
		}
	}
	return want
}

// within keeps a prediction where it has come into force.
func within(before, want map[string]bool, accounts ...string) map[string]bool {
	out := maps.Clone(before)
	for d, refused := range want {
		if slices.Contains(accounts, d[:12]) {
			out[d] = refused
		}
	}
	return out
}

func group(nodes ...string) apply.Group {
	return apply.Group{Name: strings.Join(nodes, ", "), Nodes: nodes}
}

// Wave by wave, what is refused is what the preview said of the accounts that the
// waves so far have reached; and a removal gives all of it back.
func TestEveryWaveRefusesWhatWasPredicted(t *testing.T) {
	for name, policy := range map[string]string{"one role is spared": unlessOrgAdmin, "a Region": inTokyo} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			root := string(b.org.Root)
			before, there := b.refused(), b.attached()
			in := b.input(preview.Change{Kind: preview.Attach, Name: "new", File: "new", Source: []byte(policy), Targets: []string{root}}, 90)
			want := predicted(before, b.preview(in))
			r := b.newRun(in, apply.Policy{Name: "new"}, group(sandbox1), group(b.ou("Sandbox")), group(b.ou("Workloads/Prod")))
			reached := []string{sandbox1}
			then := map[int][]string{2: {legacyLab}, 3: {shopProd}}
			seen := 0
			tasks := r.runner.Tasks(r.waves)
			for _, w := range r.waves {
				for range w.Changes {
					if _, err := tasks[0].Apply(t.Context()); err != nil {
						t.Fatalf("wave %d: %v", w.Number, err)
					}
					tasks = tasks[1:]
				}
				reached = append(reached, then[w.Number]...)
				got := b.refused()
				if diff := cmp.Diff(within(before, want, reached...), got); diff != "" {
					t.Errorf("after wave %d, %s (-predicted +real):\n%s", w.Number, w.Name, diff)
				}
				if !maps.Equal(before, got) {
					seen++
				}
			}
			if len(r.waves) != 5 || seen != 5 {
				t.Errorf("%d waves, and %d in which something was refused", len(r.waves), seen)
			}
			if got := b.policy("new").Targets; !slices.Equal(got, []string{root}) {
				t.Errorf("at the end it is attached to %v", got)
			}

			have := b.policy("new")
			out := b.input(preview.Change{Kind: preview.Detach, Name: "new", Existing: have.ID, Targets: []string{root}}, 90)
			for _, w := range b.carryOut(t.Context(), b.newRun(out, have), nil) {
				if w.Status != apply.Verified {
					t.Errorf("removal: %+v", w)
				}
			}
			if diff := cmp.Diff(before, b.refused()); diff != "" {
				t.Errorf("after the removal (-before +now):\n%s", diff)
			}
			delete(there, "text of new")
			now := b.attached()
			delete(now, "text of new")
			if diff := cmp.Diff(there, now); diff != "" {
				t.Errorf("attachments after the removal (-before +now):\n%s", diff)
			}
		})
	}
}

// An edit is predicted as well, and comes in one wave.
func TestAnEditRefusesWhatWasPredicted(t *testing.T) {
	b := newBench(t)
	id := b.create("deny", inTokyo)
	b.attach(id, b.ou("Sandbox"), shopProd)
	before := b.refused()
	in := b.input(preview.Change{Kind: preview.Replace, Name: "deny", File: "deny", Existing: id, Source: []byte(unlessOrgAdmin)}, 90)
	want := predicted(before, b.preview(in))
	r := b.newRun(in, b.policy("deny"), group(b.ou("Sandbox")))
	if len(r.waves) != 1 || r.waves[0].Changes[0].Verb != plan.Update || r.waves[0].Accounts != 4 {
		t.Errorf("waves %v", r.waves)
	}
	b.carryOut(t.Context(), r, nil)
	// What the history has of calls that were refused is no breakage, and of calls
	// that would be given back only those that are in it are known.
	if diff := cmp.Diff(want, b.refused()); diff != "" {
		t.Errorf("(-predicted +real):\n%s", diff)
	}
}

// When the second wave fails, whatever of it was made is taken back and the first
// stands: what is refused is what was predicted for the first.
func TestAWaveThatFailsIsTakenBack(t *testing.T) {
	for name, fault := range map[string]sim.Fault{
		"its write is refused":          {Service: "organizations", Operation: "AttachPolicy", Code: "AccessDeniedException", Message: "no"},
		"it cannot be looked at after":  {Service: "organizations", Operation: "ListTargetsForPolicy", Code: "AccessDeniedException", Message: "no"},
		"its text cannot be read after": {Service: "organizations", Operation: "DescribePolicy", Code: "AccessDeniedException", Message: "no"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			before := b.refused()
			in := b.input(preview.Change{Kind: preview.Attach, Name: "new", File: "new", Source: []byte(unlessOrgAdmin), Targets: []string{b.ou("Workloads"), b.ou("Sandbox")}}, 90)
			want := predicted(before, b.preview(in))
			r := b.newRun(in, apply.Policy{Name: "new"}, group(b.ou("Sandbox")), group(b.ou("Workloads/Prod"), b.ou("Workloads/Dev")))
			tasks := r.runner.Tasks(r.waves)
			second := tasks[2].Apply
			tasks[2].Apply = func(ctx context.Context) ([]plan.Failure, error) {
				b.w.SetFaults(sim.Faults{Errors: []sim.Fault{fault}})
				return second(ctx)
			}
			j := b.journal()
			r.runner.Record(j)
			res := plan.Execute(t.Context(), j.Tasks(tasks), 1, nil)
			b.w.SetFaults(sim.Faults{})
			waves := r.runner.Result(r.waves, res)
			var got []apply.WaveStatus
			for _, w := range waves {
				got = append(got, w.Status)
			}
			if diff := cmp.Diff([]apply.WaveStatus{apply.Verified, apply.RolledBack, apply.NotBegun, apply.NotBegun}, got); diff != "" {
				t.Errorf("waves (-want +got):\n%s\n%+v", diff, res)
			}
			if apply.OutcomeOf(waves) != apply.TakenBack {
				t.Errorf("outcome %s", apply.OutcomeOf(waves))
			}
			if got := b.policy("new").Targets; !slices.Equal(got, []string{b.ou("Sandbox")}) {
				t.Errorf("attached to %v", got)
			}
			if diff := cmp.Diff(within(before, want, legacyLab, sandbox1), b.refused()); diff != "" {
				t.Errorf("(-predicted of the first wave +real):\n%s", diff)
			}
			for _, o := range res.Outcomes[4:] {
				if !strings.HasPrefix(o.Err, "not begun") {
					t.Errorf("%s %s: %q", o.Change.Verb, o.Change.Resource, o.Err)
				}
			}
		})
	}
}

// A role that must go on working is locked out by the policy together with what
// somebody attached after the preview: the wave does not stand.
func TestALockOutIsTakenBack(t *testing.T) {
	b := newBench(t)
	before, there := b.refused(), b.attached()
	in := b.input(preview.Change{Kind: preview.Attach, Name: "new", File: "new", Source: []byte(unlessOrgAdmin), Targets: []string{b.ou("Sandbox")}}, 90)
	in.Guards = []preview.Guard{{Role: "Admin", Why: "test", Standing: true, Needs: []preview.Need{{Action: "config:StopConfigurationRecorder"}}}}
	r := b.newRun(in, apply.Policy{Name: "new"})
	waves := b.carryOut(t.Context(), r, nil)
	if waves[0].Status != apply.RolledBack || !strings.Contains(waves[0].Outcomes[1].Err, "Admin cannot do config:StopConfigurationRecorder in 3 accounts, by ") {
		t.Errorf("%+v", waves[0])
	}
	if diff := cmp.Diff(there, b.attached()); diff != "" {
		t.Errorf("attached (-before +now):\n%s", diff)
	}
	if diff := cmp.Diff(before, b.refused()); diff != "" {
		t.Errorf("(-before +now):\n%s", diff)
	}
	// The policy of somebody else, attached meanwhile, is found the same way.
	in.Change.Source = []byte(onNames)
	r = b.newRun(in, apply.Policy{Name: "other"})
	tasks := r.runner.Tasks(r.waves)
	if _, err := tasks[0].Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.attach(b.create("theirs", denyAllOfConfig), sandbox1)
	if _, err := tasks[1].Apply(t.Context()); err == nil || !strings.Contains(err.Error(), "theirs") {
		t.Errorf("got %v", err)
	}
}

// snapshot is input without use and without IAM: for tests that are not about the
// prediction.
func (b *bench) snapshot(c preview.Change) preview.Input {
	b.t.Helper()
	in := preview.Input{Org: b.org, Change: c, GeneratedAt: b.now, Regions: []string{region}}
	var err error
	if in.Attached, err = preview.ReadAttachments(b.t.Context(), b.pool, b.org, b.now); err == nil {
		err = in.Attached.ReadDocuments(b.t.Context(), b.pool, b.org, c)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return in
}

func (b *bench) journal() *journal.Journal {
	b.t.Helper()
	j, err := journal.Create(filepath.Join(b.t.TempDir(), "journal"), journal.Header{Organization: b.org.ID, Command: "test"}, func() time.Time { return b.now })
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { j.Close() }) //nolint:errcheck // most are closed by then
	return j
}

// scenes are changes that consist of several kinds of writes.
func scenes() map[string]func(b *bench) (preview.Change, apply.Policy, []apply.Group) {
	return map[string]func(b *bench) (preview.Change, apply.Policy, []apply.Group){
		"a new policy in waves": func(b *bench) (preview.Change, apply.Policy, []apply.Group) {
			return preview.Change{Kind: preview.Attach, Name: "new", File: "new", Source: []byte(unlessOrgAdmin), Targets: []string{b.ou("Workloads"), b.ou("Sandbox")}},
				apply.Policy{Name: "new"}, []apply.Group{group(sandbox1), group(b.ou("Workloads/Prod"))}
		},
		"an edit and a new target": func(b *bench) (preview.Change, apply.Policy, []apply.Group) {
			id := b.create("old", inTokyo)
			b.attach(id, b.ou("Sandbox"))
			return preview.Change{Kind: preview.Replace, Name: "old", File: "old", Existing: id, Source: []byte(unlessOrgAdmin), Targets: []string{b.ou("Workloads")}},
				b.policy("old"), []apply.Group{group(b.ou("Workloads/Dev"))}
		},
		"a removal": func(b *bench) (preview.Change, apply.Policy, []apply.Group) {
			id := b.create("old", inTokyo)
			b.attach(id, b.ou("Sandbox"), b.ou("Workloads"), shopProd)
			return preview.Change{Kind: preview.Detach, Name: "old", Existing: id, Targets: []string{b.ou("Sandbox"), b.ou("Workloads"), shopProd}},
				b.policy("old"), []apply.Group{group(b.ou("Sandbox"))}
		},
	}
}

// Killed after any of its writes, a run that is gone on with ends where an
// undisturbed one ends, and one that is undone ends where it began; whatever the
// journal had been told by then.
func TestARunThatIsKilledAnywhereGoesOnOrBack(t *testing.T) {
	for name, scene := range scenes() {
		t.Run(name, func(t *testing.T) {
			undisturbed := newBench(t)
			change, have, groups := scene(undisturbed)
			in := undisturbed.snapshot(change)
			for _, w := range undisturbed.carryOut(t.Context(), undisturbed.newRun(in, have, groups...), nil) {
				if w.Status != apply.Verified {
					t.Fatalf("undisturbed: %+v", w)
				}
			}
			end := undisturbed.attached()
			for _, way := range []string{"on", "back"} {
				for n := 1; ; n++ {
					b := newBench(t)
					change, have, groups := scene(b)
					start := b.attached()
					in := b.snapshot(change)
					r := b.newRun(in, have, groups...)
					j := b.journal()
					ctx, cancel := context.WithCancel(t.Context())
					killed := false
					before := b.w.Writes()
					b.w.SetFaults(sim.Faults{CrashAtWrite: before + n, Crash: func() { killed = true; cancel() }})
					b.carryOut(ctx, r, j)
					b.w.SetFaults(sim.Faults{})
					cancel()
					if !killed {
						if n < 4 {
							t.Errorf("only %d writes", n-1)
						}
						break
					}
					where := fmt.Sprintf("killed after write %d, gone %s", n, way)
					l := b.reread(j)
					if way == "on" {
						b.goesOn(where, in, have, r.waves, l)
						if diff := cmp.Diff(end, b.attached()); diff != "" {
							t.Errorf("%s (-undisturbed +got):\n%s", where, diff)
						}
						continue
					}
					b.goesBack(where, in, have.Name, l)
					if diff := cmp.Diff(start, b.attached()); diff != "" {
						t.Errorf("%s (-before +got):\n%s", where, diff)
					}
				}
			}
		})
	}
}

// reread closes a journal and reads it.
func (b *bench) reread(j *journal.Journal) journal.Log {
	b.t.Helper()
	if err := j.Close(); err != nil {
		b.t.Fatal(err)
	}
	l, err := journal.Read(j.Dir(), j.Run())
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

func (b *bench) goesOn(where string, in preview.Input, have apply.Policy, waves []apply.Wave, l journal.Log) {
	b.t.Helper()
	r := b.runOf(in, have, waves)
	r.runner.Resume(l)
	for _, w := range b.carryOut(b.t.Context(), r, nil) {
		if w.Status != apply.Verified {
			b.t.Errorf("%s: %+v", where, w)
		}
	}
}

func (b *bench) goesBack(where string, in preview.Input, name string, l journal.Log) {
	b.t.Helper()
	have := b.policy(name)
	waves, err := apply.Undo(b.org, l, have, "")
	if err != nil {
		b.t.Fatalf("%s: %v", where, err)
	}
	r := b.runOf(preview.Input{Org: in.Org}, have, waves)
	for _, w := range b.carryOut(b.t.Context(), r, nil) {
		if w.Status != apply.Verified {
			b.t.Errorf("%s: %+v", where, w)
		}
	}
	// A second one finds nothing to do.
	again, err := apply.Undo(b.org, l, b.policy(name), "")
	if err != nil || len(again) > 0 {
		b.t.Errorf("%s: undone, and still to undo: %v, %v", where, again, err)
	}
}

// Killed while a wave is rolled back, the run is still undone to where it began.
func TestARollbackThatIsKilledCanBeUndone(t *testing.T) {
	for n := 3; ; n++ {
		b := newBench(t)
		start := b.attached()
		change, have, groups := scenes()["a new policy in waves"](b)
		in := b.snapshot(change)
		in.Guards = []preview.Guard{{Role: "Admin", Why: "test", Standing: true, Needs: []preview.Need{{Action: "config:StopConfigurationRecorder"}}}}
		r, j := b.newRun(in, have, groups...), b.journal()
		ctx, cancel := context.WithCancel(t.Context())
		killed := false
		b.w.SetFaults(sim.Faults{CrashAtWrite: b.w.Writes() + n, Crash: func() { killed = true; cancel() }})
		b.carryOut(ctx, r, j)
		b.w.SetFaults(sim.Faults{})
		cancel()
		if !killed {
			if n < 5 {
				t.Errorf("only %d writes", n-1)
			}
			return
		}
		b.goesBack(fmt.Sprintf("killed after write %d", n), in, "new", b.reread(j))
		if diff := cmp.Diff(start, b.attached()); diff != "" {
			t.Errorf("killed after write %d (-before +got):\n%s", n, diff)
		}
	}
}

// What somebody else did since is not undone with it.
func TestAnUndoLeavesTheWorkOfOthersAlone(t *testing.T) {
	done := func(t *testing.T) (*bench, journal.Log) {
		b := newBench(t)
		change, have, groups := scenes()["a new policy in waves"](b)
		r, j := b.newRun(b.snapshot(change), have, groups...), b.journal()
		b.carryOut(t.Context(), r, j)
		return b, b.reread(j)
	}
	t.Run("an edit", func(t *testing.T) {
		b, l := done(t)
		if _, err := b.pool.Organizations.UpdatePolicy(t.Context(), &organizations.UpdatePolicyInput{PolicyId: aws.String(b.policy("new").ID), Content: aws.String(inTokyo)}); err != nil {
			t.Fatal(err)
		}
		var conflict *apply.ConflictError
		if _, err := apply.Undo(b.org, l, b.policy("new"), ""); !errors.As(err, &conflict) || !strings.Contains(err.Error(), "was edited") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another attachment of what is to be deleted", func(t *testing.T) {
		b, l := done(t)
		b.attach(b.policy("new").ID, b.ou("Security"))
		var conflict *apply.ConflictError
		if _, err := apply.Undo(b.org, l, b.policy("new"), ""); !errors.As(err, &conflict) || !strings.Contains(err.Error(), "was attached to Root/Security") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an attachment that was there when the run came to it", func(t *testing.T) {
		b := newBench(t)
		id := b.create("old", inTokyo)
		in := b.input(preview.Change{Kind: preview.Attach, Name: "old", File: "old", Existing: id, Targets: []string{b.ou("Sandbox"), shopProd}}, 1)
		r, j := b.newRun(in, b.policy("old")), b.journal()
		b.attach(id, shopProd)
		b.carryOut(t.Context(), r, j)
		b.goesBack("", in, "old", b.reread(j))
		if got := b.policy("old").Targets; !slices.Equal(got, []string{shopProd}) {
			t.Errorf("attached to %v", got)
		}
	})
}

// The probe really asks: it is denied where the policy is, and a policy that does
// not come into force is found.
func TestTheProbeAsksAWS(t *testing.T) {
	b := newBench(t)
	if _, err := b.pool.Organizations.EnablePolicyType(t.Context(), &organizations.EnablePolicyTypeInput{RootId: aws.String(string(b.org.Root)), PolicyType: types.PolicyTypeServiceControlPolicy}); err == nil {
		t.Fatal("it was enabled already")
	}
	spare := strings.Replace(unlessOrgAdmin, "role/OrgAdmin", "role/nobody", 1)
	in := b.input(preview.Change{Kind: preview.Attach, Name: "new", File: "new", Source: []byte(spare), Targets: []string{b.ou("Sandbox")}}, 1)
	probe := &apply.Probe{Pool: b.writing(), Role: "OrganizationAccountAccessRole", Region: region}
	try := func(name string) []apply.WaveResult {
		waves := apply.Plan(b.org, apply.Policy{Name: name}, apply.Wish{Content: spare, Attach: in.Change.Targets}, nil)
		r := apply.NewRunner(apply.Options{Pool: b.pool, Org: b.org, Policy: apply.Policy{Name: name}, Judge: in, Probe: probe})
		return r.Result(waves, plan.Execute(t.Context(), r.Tasks(waves), 1, nil))
	}
	w := try("new")[0]
	check := w.Checks[len(w.Checks)-1]
	if w.Status != apply.Verified || check.ID != "probe" || check.Status != preview.CheckOK || !strings.Contains(check.Text, "config:StopConfigurationRecorder") || !strings.Contains(check.Text, "was denied by a service control policy") {
		t.Errorf("%+v", w)
	}
	// AWS answers as if there were no policy.
	b.w.SetFaults(sim.Faults{Errors: []sim.Fault{{Service: "config", Operation: "StopConfigurationRecorder", Code: "NoSuchConfigurationRecorderException", Message: "there is none"}}})
	if w := try("second")[0]; w.Status != apply.RolledBack || !strings.Contains(w.Outcomes[1].Err, "was not denied") {
		t.Errorf("%+v", w)
	}
}
