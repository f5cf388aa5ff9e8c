package baseline

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/plan"
)

// sharded is a rig whose stack sets hold so few instances that several are needed.
func (r *rig) sharded(t *testing.T, limit int) *run {
	t.Helper()
	b := r.open(t)
	b.limit = limit
	return b
}

// shardsOf are the instances of a unit by stack set.
func shardsOf(set *StackSet) map[string][]string {
	out := map[string][]string{}
	for i, s := range set.all() {
		out[shardName("orgguard-recorder", i+1)] = sortedKeys(s.Instances)
	}
	return out
}

func TestAUnitThatIsTooLargeHasSeveralStackSets(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, demoConfig)
		const limit = 15 // a Region of the demo has 11 or 12 accounts
		rollout := func() Proposal {
			b := r.sharded(t, limit)
			p, err := b.propose(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			mustDo(t, p.Tasks)
			return p
		}
		rollout()
		r.w.ConfirmSubscriptions("")
		b := r.sharded(t, limit)
		first := shardsOf(b.LoadStackSets(t.Context(), b.pool, Filter{})["recorder"])
		if len(first) != 2 {
			t.Fatalf("stack sets %v", sortedKeys(first))
		}
		regions := map[string]string{}
		for name, keys := range first {
			if len(keys) > limit {
				t.Errorf("%s has %d instances", name, len(keys))
			}
			for _, k := range keys {
				_, region, _ := strings.Cut(k, "/")
				if other := regions[region]; other != "" && other != name {
					t.Errorf("%s is in %s and in %s: auto-deployment would bring it into both", region, other, name)
				}
				regions[region] = name
			}
		}
		// Nothing changed: nothing to do, and the audit knows every shard.
		if p := rollout(); len(p.Tasks) > 0 {
			t.Errorf("there is still to do: %v", p.Tasks[0].Change)
		}
		r.mustBeClean(t)
		// An audit of one account finds its instances in whichever shard.
		one := b.LoadStackSets(t.Context(), b.pool, Filter{Accounts: []string{sandbox}})["recorder"]
		for _, region := range b.Regions {
			if inst, ok := one.instance(sandbox, region); !ok || inst.Status != "CURRENT" {
				t.Errorf("%s: %+v %v", region, inst, ok)
			}
		}
		for _, f := range []Filter{{}, {Accounts: []string{sandbox}}} {
			audited := b.auditStackSets(t.Context(), b.pool, f)["recorder"]
			for _, region := range b.Regions {
				if inst, ok := audited.instance(sandbox, region); !ok || inst.Status != "CURRENT" {
					t.Errorf("audit %v, %s: %+v %v", f, region, inst, ok)
				}
			}
			if len(audited.More) != 1 || audited.More[0].empty() {
				t.Errorf("audit %v: %+v", f, audited.More)
			}
		}
		// With room for all, nobody moves.
		wide := r.sharded(t, 1000)
		if p, err := wide.propose(t.Context()); err != nil || len(p.Tasks) > 0 {
			t.Errorf("%v, %v", p.Tasks, err)
		}
		if diff := cmp.Diff(first, shardsOf(wide.LoadStackSets(t.Context(), wide.pool, Filter{})["recorder"])); diff != "" {
			t.Errorf("somebody moved (-before +after):\n%s", diff)
		}
		// Drift detection asks each of them.
		sets := wide.LoadStackSets(t.Context(), wide.pool, Filter{})
		wide.DetectDrift(t.Context(), wide.pool, sets)
		if d := sets["recorder"].Drift; d == nil || d.Err != nil || d.Instances != len(slices.Concat(first["orgguard-recorder"], first["orgguard-recorder-2"])) {
			t.Errorf("drift %+v", d)
		}
		// A teardown takes all of them away.
		td := r.sharded(t, limit)
		p := td.Teardown(t.Context(), td.pool, DeleteHistory, 4)
		if !slices.ContainsFunc(p.Tasks, func(x plan.Task) bool { return strings.Contains(x.Resource, "orgguard-recorder-2") }) {
			t.Error("the plan does not name the second one")
		}
		mustDo(t, p.Tasks)
		if _, err := td.cloud(td.pool).load(t.Context(), "orgguard-recorder-2", nil); err != nil {
			t.Fatal(err)
		}
		for _, s := range td.Remains(t.Context(), td.pool, DeleteHistory, 4) {
			if strings.Contains(s.Reason, "stack set") {
				t.Errorf("left: %s", s.Reason)
			}
		}
		// And so does an undo.
		records := journalled(t, t.TempDir(), func() Proposal {
			p, err := r.sharded(t, limit).propose(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return p
		}().Tasks)
		if n := len(shardsOf(td.LoadStackSets(t.Context(), td.pool, Filter{})["recorder"])); n != 2 {
			t.Errorf("%d stack sets after the second rollout", n)
		}
		u := r.sharded(t, limit)
		mustDo(t, u.Undo(t.Context(), u.pool, records).Tasks)
		for id, s := range u.LoadStackSets(t.Context(), u.pool, Filter{}) {
			if s.Exists || len(s.More) > 0 {
				t.Errorf("%s is still there", id)
			}
		}
	})
}

// A plan for one account places Regions as one for all would: later they cannot move.
func TestOneAccountFirstLeavesRoomInTheShardsForAll(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, demoConfig)
		regions := func(f Filter) map[string][]string {
			b := r.sharded(t, 15)
			l, err := b.LookAt(t.Context(), b.pool, f, b.workers, nil)
			if err != nil {
				t.Fatal(err)
			}
			p := b.Propose(l, b.pool)
			for _, s := range p.Skipped {
				if strings.Contains(s.Reason, "AWS Support") {
					t.Errorf("%v: %s", f, s.Reason)
				}
			}
			mustDo(t, p.Tasks)
			out := map[string][]string{}
			for name, keys := range shardsOf(b.LoadStackSets(t.Context(), b.pool, Filter{})["recorder"]) {
				for _, k := range keys {
					_, region, _ := strings.Cut(k, "/")
					out[name] = append(out[name], region)
				}
				slices.Sort(out[name])
				out[name] = slices.Compact(out[name])
			}
			return out
		}
		one := regions(Filter{Accounts: []string{sandbox}})
		if len(one) != 2 {
			t.Fatalf("stack sets %v", one)
		}
		if diff := cmp.Diff(one, regions(Filter{})); diff != "" {
			t.Errorf("(-one account +all)\n%s", diff)
		}
	})
}

func TestOverridesReachTheShardThatHasTheInstance(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, demoConfig)
		rollout := func() []plan.Task {
			p, err := r.sharded(t, 15).propose(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			mustDo(t, p.Tasks)
			return p.Tasks
		}
		rollout()
		r.w.ConfirmSubscriptions("")
		r.cfg = parseConfig(t, tuned)
		rollout()
		b := r.sharded(t, 15)
		set := b.LoadStackSets(t.Context(), b.pool, Filter{})["recorder"]
		i := slices.IndexFunc(b.units, func(u *composed) bool { return u.ID == "recorder" })
		seen := map[string]int{} // stack sets with instances that have parameters of their own
		for n, s := range set.all() {
			name := shardName("orgguard-recorder", n+1)
			for _, key := range sortedKeys(s.Instances) {
				inst := s.Instances[key]
				have, err := b.cloud(b.pool).askOverrides(t.Context(), name, inst)
				if err != nil {
					t.Fatal(err)
				}
				inst.Overrides = have
				if inst.otherOverrides(b.units[i]) {
					t.Errorf("%s %s has %v, want %v", name, key, have, b.units[i].overridden(inst.Account))
				}
				if len(b.units[i].overridden(inst.Account)) > 0 {
					seen[name]++
				}
			}
		}
		if len(seen) != 2 {
			t.Errorf("overrides in %v", seen)
		}
		if tasks := rollout(); len(tasks) > 0 {
			t.Errorf("there is still to do: %v", tasks[0].Change)
		}
		r.mustBeClean(t)
	})
}

func TestTheNamesOfShards(t *testing.T) {
	for name, want := range map[string]bool{
		"orgguard-trail": true, "orgguard-trail-2": true, "orgguard-trail-17": true,
		"orgguard-trail-1": false, "orgguard-trail-02": false, "orgguard-trail-logs": false, "orgguard-trail-": false, "-2": false, "orgguard-trail--2": false,
	} {
		if got := isShard("orgguard-trail", name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
