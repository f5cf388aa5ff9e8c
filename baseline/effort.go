package baseline

import (
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
)

// effortOf is what the repair of one resource takes.
func effortOf(in Inspection) plan.Effort {
	k := kinds[in.Resource.Type]
	if k.writes != nil && in.State != nil {
		return plan.Effort{Writes: k.writes(in.Resource, in.State)}
	}
	return plan.Effort{Writes: 1}
}

// oneStack is what making, updating or deleting a plain stack takes.
var oneStack = plan.Effort{Writes: 1, Stacks: 1, Rounds: 1}

// effort is what apply takes when nobody else is at work on the stack set.
func (w setWork) effort(b *Baseline) plan.Effort {
	var e plan.Effort
	operate := func(t target) { e.Add(b.operation(t.cells/len(t.regions), t.cells)) }
	if !w.exists && w.first {
		e.Writes++ // the stack set itself
	}
	for _, t := range w.forget {
		e.Add(plan.Effort{Writes: 1, Operations: 1}) // which keeps the stacks
		again := reach{}
		for _, account := range t.meant(b) {
			for _, region := range t.regions {
				inst, has := w.set.Instances[instanceKey(account, region)]
				if !has || inst.Status != inoperable {
					continue
				}
				if inst.Stack != "" {
					e.Add(oneStack) // swept one after the other
				}
				if !w.unit.keeps() {
					again[account] = append(again[account], region)
				}
			}
		}
		for _, t := range b.targets(again) {
			operate(t)
		}
	}
	for _, t := range slices.Concat(w.withdraw, w.override) {
		operate(t)
	}
	pin := func(t target) (introduced bool) { // as pinOne does
		if w.pins(t) {
			if operate(t); w.introduces(t) {
				operate(t)
				return true
			}
		}
		return false
	}
	introduced := false
	if w.exists {
		for _, t := range w.update {
			introduced = pin(t) || introduced
		}
	}
	if w.whole || w.differs && w.first && len(w.set.Instances) == 0 {
		accounts := map[orgs.AccountID]bool{}
		for _, i := range w.set.Instances {
			accounts[i.Account] = true
		}
		e.Add(b.operation(len(accounts), len(w.set.Instances)))
	} else {
		for _, t := range w.update {
			operate(t)
		}
		if introduced {
			for _, t := range w.refresh {
				operate(t)
			}
		}
	}
	for i, t := range w.create {
		operate(t)
		if i == 0 && w.updatesAfterCreating() {
			pin(t)
			operate(t)
		}
	}
	return e
}

// operation is what one operation takes that works on the stacks of so many accounts.
func (b *Baseline) operation(accounts, stacks int) plan.Effort {
	e := plan.Effort{Writes: 1, Operations: 1, Stacks: stacks}
	if accounts == 0 {
		return e
	}
	at := accounts
	// A share is rounded down, but not below one account.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackSetOperationPreferences.html
	switch count, percent := share(b.Config.Rollout.MaxConcurrent); {
	case count != nil:
		at = int(*count)
	case percent != nil:
		at = accounts * int(*percent) / 100
	}
	at = min(max(at, 1), accounts, plan.MaxAtOnce)
	e.Rounds = (accounts + at - 1) / at
	return e
}

// irreversible is what nothing takes back of putting right what was inspected.
func irreversible(broken []Inspection) string {
	rs := make([]Resource, len(broken))
	for i, in := range broken {
		rs[i] = in.Resource
	}
	return finalOf(rs)
}

// irreversibleSet is what nothing takes back of a stack set's stacks. As far as it
// matters here they are the same everywhere.
func (b *Baseline) irreversibleSet(u *composed) string {
	if u.root == nil {
		return "" // orgguard's own roles, which are no unit of the baseline
	}
	rs, err := u.resources(b.scope(b.Security, b.Home))
	if err != nil {
		return "" // the plan was made of the same templates
	}
	return finalOf(rs)
}

func finalOf(rs []Resource) string {
	var out []string
	for _, r := range rs {
		if final := kinds[r.Type].final; final != nil {
			if text := final(r); text != "" && !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return strings.Join(out, "; ")
}
