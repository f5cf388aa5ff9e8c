package baseline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
)

// reach is account × Region cells, by account.
type reach map[orgs.AccountID][]string

func (r reach) add(v view) { r[v.account.ID] = append(r[v.account.ID], v.region) }

func (r reach) cells() int {
	n := 0
	for _, regions := range r {
		n += len(regions)
	}
	return n
}

// setWave is what one wave finds to do in a stack set. overridden are the stale ones
// whose parameters of their own are not what the overrides say, and nothing else;
// unwanted are those in accounts where an override has all of the unit off, and barred
// those that can never succeed, since somebody else's recorder is there.
type setWave struct{ missing, stale, overridden, inoperable, unwanted, barred reach }

func newSetWave() *setWave {
	return &setWave{missing: reach{}, stale: reach{}, overridden: reach{}, inoperable: reach{}, unwanted: reach{}, barred: reach{}}
}

func (w setWave) cells() int {
	return w.missing.cells() + w.stale.cells() + w.overridden.cells() + w.inoperable.cells() + w.unwanted.cells() + w.barred.cells()
}

// stackSet proposes what one stack set and its instances need, wave by wave.
func (p *proposer) stackSet(u *composed, views []view) {
	set := p.look.Sets[u.ID]
	shards := set.all()
	for _, s := range shards {
		if s.Err == nil {
			continue
		}
		mgmt, _ := p.Org.Account(p.Org.ManagementAccount)
		p.skip(plan.Skip{Account: string(mgmt.ID), AccountName: mgmt.Name, Region: p.Home, Control: strings.Join(u.controls, ","), Reason: orgs.Reason(s.Err), Blocked: true})
		return
	}
	for i, part := range p.share(u, set, views) {
		one := &StackSet{Instances: map[string]Instance{}}
		if i < len(shards) {
			one = shards[i]
		}
		p.oneSet(u.shard(i+1), one, part)
	}
}

// oneSet proposes what one stack set needs, wave by wave.
func (p *proposer) oneSet(u *composed, set *StackSet, views []view) {
	byWave := map[int]*setWave{}
	seen := 0 // instances of the set that the plan is about
	for _, v := range views {
		n := p.wave(v)
		w := byWave[n]
		if w == nil {
			w = newSetWave()
			byWave[n] = w
		}
		if p.place(w, v, set) {
			seen++
		}
	}
	first := true
	earlier := reach{} // updated by earlier waves
	for _, n := range slices.Sorted(maps.Keys(byWave)) {
		w := byWave[n]
		if w.cells() == 0 {
			continue
		}
		p.setTask(u, set, n, *w, earlier, first, len(byWave) == 1 && seen == len(set.Instances))
		first = false
		for _, done := range []reach{w.stale, w.missing} {
			for id, regions := range done {
				earlier[id] = append(earlier[id], regions...)
			}
		}
	}
	if first && (!set.Exists || !set.matches(u)) && p.look.filter.everything() {
		p.setTask(u, set, 0, *newSetWave(), nil, true, true)
	}
}

// place sorts a view into what is to be done, and says whether it has an instance.
func (p *proposer) place(w *setWave, v view, set *StackSet) bool {
	inst, has := set.Instances[instanceKey(v.account.ID, v.region)]
	if p.empty(v.unit, v.account.ID) {
		if has {
			w.unwanted.add(v)
		}
		return has
	}
	current := has && inst.Status == "CURRENT" && set.matches(v.unit)
	enlist := func() {
		switch {
		case inst.Status == inoperable:
			w.inoperable.add(v)
		case has:
			w.stale.add(v)
		default:
			w.missing.add(v)
		}
	}
	switch {
	case v.err() != nil && current:
		p.blind(v, "")
	case v.err() != nil:
		p.blind(v, "; StackSets deploys there all the same, and nobody can verify it")
		enlist()
	case current && inst.otherOverrides(v.unit):
		w.overridden.add(v)
	case current:
		p.adopt(v) // whoever made what is there by now
	case has && inst.Status != inoperable && v.barred():
		w.barred.add(v)
		p.adopt(v)
	case has:
		enlist()
	case v.present():
		p.adopt(v)
	default:
		enlist()
	}
	return has
}

// setTask proposes one wave's work on a stack set. first says that no earlier wave
// touches the set; all that the wave is all there is of it.
func (p *proposer) setTask(u *composed, set *StackSet, wave int, cells setWave, earlier reach, first, all bool) {
	mgmt, _ := p.Org.Account(p.Org.ManagementAccount)
	w := setWork{
		unit: u, set: set, first: first, exists: set.Exists, differs: set.Exists && !set.matches(u),
		create: p.targetsOf(u, cells.missing), update: p.targetsOf(u, cells.stale), override: p.targetsOf(u, cells.overridden),
		forget: p.named(cells.inoperable), withdraw: append(p.named(cells.unwanted), p.named(cells.barred)...), refresh: p.targets(earlier), wave: cells,
	}
	w.whole = w.differs && all && cells.inoperable.cells() == 0
	c := p.change(u, "stack-set", plan.Create, "stack set "+u.Stack)
	c.Wave = wave
	c.Account, c.AccountName, c.Region = string(mgmt.ID), mgmt.Name, p.Home
	c.Targets = targetKeys(cells.missing, cells.stale, cells.overridden, cells.inoperable, cells.unwanted, cells.barred)
	c.Cells = len(c.Targets)
	c.Why = w.why()
	c.Effort, c.Irreversible = w.effort(p.Baseline), p.irreversibleSet(u)
	c.Undo = fmt.Sprintf("aws cloudformation delete-stack-instances, then delete-stack-set, --stack-set-name %s", u.Stack)
	if set.Exists {
		c.Verb = plan.Update
		c.Before = describe(set.Body, set.Params)
	}
	cloud := p.cloud(p.pool)
	was := setWas{Unit: u.ID, Stack: u.Stack, Existed: set.Exists || !first, Body: set.Body, Params: set.Params, Created: targetKeys(cells.missing), Updated: targetKeys(cells.stale, cells.overridden), Removed: targetKeys(cells.unwanted), Overrides: set.overridesOf(cells)}
	p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: c, Was: was, Apply: func(ctx context.Context) ([]plan.Failure, error) { return w.apply(ctx, cloud, p.Baseline) }})
}

func targetKeys(maps ...reach) []string {
	var out []string
	for _, m := range maps {
		for id, regions := range m {
			for _, r := range regions {
				out = append(out, instanceKey(id, r))
			}
		}
	}
	slices.Sort(out)
	return out
}
