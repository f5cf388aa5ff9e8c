package baseline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
)

// adopt proposes to bring in line what exists without being CloudFormation's: a
// stack would collide with it.
func (p *proposer) adopt(v view) {
	if name, controlTower, yes := v.foreign(); yes {
		switch {
		case controlTower:
			p.skip(skipOf(v.account, v.region, strings.Join(v.unit.controls, ","), v.foreignNoun()+" "+name+" belongs to Control Tower: audited, not touched", false))
			return
		case p.replaces(v.unit.unit, v.account.ID):
			p.replace(v)
			return
		case !p.adopts(v.unit.unit, v.account.ID):
			p.skip(skipOf(v.account, v.region, strings.Join(v.unit.controls, ","), v.foreignNoun()+" "+name+" is kept as it is (existing: keep): audited, not touched", false))
			return
		}
	}
	p.repair(v)
}

// repair proposes to put back, by API, what drifted in one account × Region.
func (p *proposer) repair(v view) {
	for _, in := range v.ins {
		for _, m := range in.Mismatches {
			if m.Manual != "" && p.look.filter.asks(in) {
				p.skip(skipOf(p.about(v.account, m), label(in.Resource, v.region), in.Resource.Control, in.Resource.label()+": "+m.Reason+"; "+m.Manual, false))
			}
		}
	}
	broken := slices.DeleteFunc(v.broken(), func(in Inspection) bool { return !p.look.filter.asks(in) })
	if len(broken) == 0 {
		return
	}
	c := plan.Change{
		Kind: "repair", Wave: p.wave(v), Stage: v.unit.repairs(), Verb: plan.Repair, Account: string(v.account.ID), AccountName: v.account.Name,
		Region: label(broken[0].Resource, v.region), Cells: 1, Targets: []string{instanceKey(v.account.ID, v.region)},
		Undo: p.undoOf(v, broken),
	}
	before, after := map[string]any{}, map[string]any{}
	var controls, names, why, verbs []string
	for _, in := range broken {
		c.Effort.Add(effortOf(in))
		name := in.Resource.label()
		controls, names = append(controls, in.Resource.Control), append(names, name)
		for _, m := range in.Mismatches {
			if m.Manual != "" {
				continue
			}
			if verbs = append(verbs, m.Verb); !slices.Contains(why, m.Reason) {
				why = append(why, m.Reason)
			}
			key := mismatchKey(in.Resource, m)
			if m.Account == "" {
				before[key], after[key] = m.Actual, m.Expected
				continue
			}
			accounts, _ := before[key].(map[string]any)
			if accounts == nil {
				accounts = map[string]any{}
			}
			accounts[string(m.Account)] = m.Actual
			before[key], after[key] = accounts, m.Expected
		}
	}
	slices.Sort(controls)
	c.Control = strings.Join(slices.Compact(controls), ",")
	c.Irreversible = irreversible(broken)
	c.Resource, c.Why, c.Before, c.After = strings.Join(names, ", "), strings.Join(why, "; "), before, after
	if slices.Sort(verbs); len(slices.Compact(verbs)) == 1 && verbs[0] != "" {
		c.Verb = plan.Verb(verbs[0])
	}
	if name, _, yes := v.foreign(); yes {
		c.Why = "adopts " + v.foreignNoun() + " " + name + ": " + c.Why
	}
	was := adopted(broken)
	if v.unit.direct {
		c.Stage = v.unit.stage
		if in := broken[0]; kinds[in.Resource.Type].revert != nil {
			c.Kind, was = settingChange, settingWas{Resource: in.Resource, State: in.State}
		}
	}
	s := p.site(p.pool, v.account.ID, v.region)
	p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: c, Was: was, Apply: func(ctx context.Context) ([]plan.Failure, error) {
		if err := repairAll(ctx, s, broken); err != nil {
			return p.failed(v.account, v.region, err), ctx.Err()
		}
		return nil, nil
	}})
}

// leftBehind is the error of a change that was made, but for some accounts: which, why,
// and what to do about it where that is more than usual.
type leftBehind []plan.Failure

func (l leftBehind) Error() string {
	texts := make([]string, len(l))
	for i, f := range l {
		texts[i] = f.Account + ": " + f.Reason
	}
	return leftOut(texts).Error()
}

func (l leftBehind) orNil() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// failed is what a repair in an account did not do.
func (b *Baseline) failed(where orgs.Selected, region string, err error) []plan.Failure {
	const fix = "let the access role do this, or mend it by hand; then run the rollout again"
	var left leftBehind
	if !errors.As(err, &left) {
		return []plan.Failure{{Account: string(where.ID), AccountName: where.Name, Region: region, Status: "FAILED", Reason: orgs.Reason(err), Fix: fix}}
	}
	out := slices.Clone(left)
	for i := range out {
		account, _ := b.Org.Account(orgs.AccountID(out[i].Account))
		out[i].AccountName, out[i].Region, out[i].Status, out[i].Fix = account.Name, region, "LEFT OUT", cmp.Or(out[i].Fix, fix)
	}
	return out
}

// mismatchKey is what a change's before and after call a mismatch.
func mismatchKey(r Resource, m Mismatch) string { return r.label() + ": " + m.Reason }

// about is the account that a mismatch is about.
func (b *Baseline) about(looked orgs.Selected, m Mismatch) orgs.Selected {
	if a, ok := b.Org.Account(m.Account); ok {
		return orgs.Selected{Account: a, OUPath: b.Org.PathName(a.Parent)}
	}
	return looked
}

// undoOf says how a repair is taken back: by the commands that the kinds know,
// which are run in the account itself.
func (p *proposer) undoOf(v view, broken []Inspection) string {
	var commands []string
	for _, in := range broken {
		if undo := kinds[in.Resource.Type].undo; undo != nil {
			commands = append(commands, undo(p.scope(v.account.ID, v.region), in.Resource, in.State))
		}
	}
	if len(commands) == 0 {
		return "what was there is in this plan under before"
	}
	return fmt.Sprintf("in account %s: %s", v.account.ID, strings.Join(commands, "; "))
}

// repairAll puts resources right in their order, finishes those that wait for the
// others, and looks again whether it took.
func repairAll(ctx context.Context, s site, broken []Inspection) error {
	if err := mend(ctx, s, broken); err != nil {
		return err
	}
	return verified(ctx, s, broken)
}

// mend puts resources right in their order, and finishes those that wait for the
// others.
func mend(ctx context.Context, s site, broken []Inspection) error {
	for _, in := range broken {
		if err := kinds[in.Resource.Type].repair(ctx, s, in.Resource, in.State); err != nil {
			return err
		}
	}
	for _, in := range broken {
		if finish := kinds[in.Resource.Type].finish; finish != nil {
			if err := finish(ctx, s, in.Resource); err != nil {
				return err
			}
		}
	}
	return nil
}

// verified looks again whether putting right took.
func verified(ctx context.Context, s site, broken []Inspection) error {
	for _, in := range broken {
		again := inspect(ctx, s, in.Resource)
		if again.Err != nil {
			return fmt.Errorf("verify: %w", again.Err)
		}
		for _, m := range again.Mismatches {
			if m.Manual == "" {
				return fmt.Errorf("verify: %s was put right, and still %s", in.Resource.label(), m.Reason)
			}
		}
	}
	return nil
}
