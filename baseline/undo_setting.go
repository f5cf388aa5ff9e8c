package baseline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
)

// settingChange is the kind of changes of settings that can be taken back.
const settingChange = "setting"

// settingWas is what a change of a setting found.
type settingWas struct {
	Resource Resource `json:"resource"`
	State    any      `json:"state"`
}

// setting proposes to take back a change of a setting of the organization.
func (u *undoer) setting(ctx context.Context, r journal.Record) {
	var was settingWas
	if err := journal.Decode(r.Was, &was); err != nil {
		u.leave(r, err.Error(), true)
		return
	}
	k, ok := kinds[was.Resource.Type]
	if !ok || k.revert == nil || len(r.Change.Targets) != 1 {
		u.leave(r, "this orgguard does not know how to take it back", true)
		return
	}
	before, err := k.revert.decode(was.State)
	if err != nil {
		u.leave(r, "the journal's state cannot be read: "+err.Error(), true)
		return
	}
	_, region, _ := strings.Cut(r.Change.Targets[0], "/") // where it was looked at: a change may be about no Region
	s := u.site(u.pool, orgs.AccountID(r.Change.Account), region)
	now, err := k.observe(ctx, s, was.Resource)
	if err != nil {
		u.leave(r, orgs.Reason(err), true)
		return
	}
	why, not := k.revert.says(was.Resource, before, now)
	if not != "" {
		u.leave(r, not, false)
		return
	}
	u.task(r, plan.Update, why, func(ctx context.Context) ([]plan.Failure, error) {
		return nil, k.revert.apply(ctx, s, was.Resource, before)
	})
	c := &u.Proposal.Tasks[len(u.Proposal.Tasks)-1].Change
	for _, m := range k.compare(was.Resource, before) {
		if m.Stays {
			c.Before, c.After = without(c.Before, mismatchKey(was.Resource, m)), without(c.After, mismatchKey(was.Resource, m))
		}
	}
}

// without is a change's before or after but for one thing that stays as it is.
func without(shown any, key string) any {
	all, ok := shown.(map[string]any)
	if !ok {
		return shown
	}
	rest := maps.Clone(all) // the journal's own stays
	delete(rest, key)
	return rest
}

// organization proposes to take back the settings of a unit that are about the
// organization, of the controls that are on: asking every service in every Region
// needs rights that others have no use for.
func (t *teardown) organization(ctx context.Context, u unit, workers int) {
	for _, c := range t.units {
		if c.ID != u.ID || !slices.ContainsFunc(t.Accounts, func(a orgs.Selected) bool { return t.has(u, a.ID) }) {
			continue
		}
		var ins []Inspection
		for cell, err := range t.cells(resolved{}) {
			if err != nil {
				return // its templates were composed
			}
			for _, p := range cell.parts {
				if p.unit == c && kinds[p.Type].revert != nil {
					ins = append(ins, Inspection{Account: cell.account, Region: cell.region, Resource: p.Resource, unit: c})
				}
			}
		}
		type verdict struct {
			was, now any
			mine     bool
		}
		found := orgs.ForEach(ctx, ins, workers, func(ctx context.Context, in Inspection) (verdict, error) {
			s := t.site(t.pool, in.Account.ID, in.Region)
			if t.Org.Partition.NeedsOptIn(in.Region) {
				if e := t.enter(ctx, t.pool, s.at); e.err != nil || e.regionsErr != nil || !e.on[in.Region] {
					return verdict{}, nil
				}
			}
			k := kinds[in.Resource.Type]
			now, err := k.observe(ctx, s, in.Resource)
			if err != nil {
				return verdict{}, err
			}
			was, mine, err := k.revert.mine(ctx, s, in.Resource, now)
			return verdict{was, now, mine}, err
		})
		for i, in := range ins {
			t.takeBack(in, found[i].Value.was, found[i].Value.now, found[i].Value.mine, found[i].Err)
		}
	}
}

// takeBack proposes to take back one setting of the organization that is orgguard's.
func (t *teardown) takeBack(in Inspection, was, now any, mine bool, err error) {
	k, what := kinds[in.Resource.Type], in.Resource.label()
	if err != nil {
		t.left(in.Account.ID, in.Region, what, orgs.Reason(err), true)
		return
	}
	if !mine {
		return // there is none, or somebody else made it
	}
	why, not := k.revert.says(in.Resource, was, now)
	if not != "" {
		return
	}
	s := t.site(t.pool, in.Account.ID, in.Region)
	t.add(plan.Change{
		Stage: in.unit.stage, Account: string(in.Account.ID), Region: in.Region, Resource: what, Why: why, Targets: []string{instanceKey(in.Account.ID, in.Region)},
		Before: map[string]any{"state": now},
	}, func(ctx context.Context) ([]plan.Failure, error) {
		if err := k.revert.apply(ctx, s, in.Resource, was); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		return nil, nil
	})
}
