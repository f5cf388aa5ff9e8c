package baseline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
)

// inoperable is the status of an instance that no operation but a deletion
// touches any more.
const inoperable = string(types.StackInstanceStatusInoperable)

// setWork is what one wave does to one stack set.
type setWork struct {
	unit            *composed
	set             *StackSet // as the plan saw it
	exists, differs bool
	first           bool // no earlier wave touches the set
	whole           bool // one update without targets reaches just what is meant
	wave            setWave

	create, update, override, forget, withdraw []target // as operations
	// refresh is what earlier waves have brought up to date.
	refresh []target
}

func (w setWork) why() string {
	var parts []string
	stale := w.wave.stale.cells()
	switch {
	case !w.exists && w.first:
		parts = append(parts, "does not exist")
	case w.differs && w.whole:
		parts = append(parts, fmt.Sprintf("template or parameters differ: %d instances are updated", len(w.set.Instances)))
	case w.differs:
		parts = append(parts, fmt.Sprintf("template or parameters differ: %d of its %d instances are updated, the others are OUTDATED until their turn", stale, len(w.set.Instances)))
	case stale > 0:
		parts = append(parts, fmt.Sprintf("%d instances are not CURRENT", stale))
	}
	if n := w.wave.overridden.cells(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d instances do not have the parameters that the overrides say", n))
	}
	if n := w.wave.unwanted.cells(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d instances are deleted, where overrides have all of it off; what holds history stays", n))
	}
	if n := w.wave.barred.cells(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d account × Region lose an instance that cannot succeed: a recorder that somebody else made is there, and stays", n))
	}
	if n := w.wave.missing.cells(); n > 0 && (w.exists || !w.first) {
		parts = append(parts, fmt.Sprintf("%d account × Region have no instance", n))
	}
	if n := w.wave.inoperable.cells(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d instances are INOPERABLE: StackSets forgets them and keeps their stacks, what is left of these is removed, and they are made anew", n))
	}
	return strings.Join(parts, "; ")
}

// apply does the work. An operation that is still running, of an earlier run or of
// somebody else's, is waited for first, and what it has done is not done again.
func (w setWork) apply(ctx context.Context, c cloud, b *Baseline) ([]plan.Failure, error) {
	if w.exists || !w.first {
		waited, err := c.attach(ctx, w.unit.Stack)
		if err != nil {
			return nil, err
		}
		if waited {
			if w, err = w.again(ctx, c, b); err != nil {
				return nil, err
			}
		}
	}
	var failed []plan.Failure
	run := func(f []plan.Failure, err error) error {
		failed = append(failed, f...)
		return err
	}
	if !w.exists && w.first {
		if err := c.create(ctx, b, w.unit); err != nil {
			return nil, err
		}
	}
	for _, t := range w.forget {
		if err := run(c.revive(ctx, b, w, t)); err != nil {
			return failed, err
		}
	}
	for _, t := range w.withdraw {
		if err := run(c.remove(ctx, b, w.unit.Stack, t, deleteStacks)); err != nil {
			return failed, err
		}
	}
	introduced, err := w.pin(ctx, c, b, run)
	if err != nil {
		return failed, err
	}
	switch {
	case w.whole, w.differs && w.first && len(w.set.Instances) == 0:
		if err := run(c.update(ctx, b, w.unit, nil)); err != nil {
			return failed, err
		}
	default:
		// What pin did to the stack set has left the others OUTDATED.
		if introduced {
			w.update = append(w.update, w.refresh...)
		}
		for _, t := range w.update {
			if err := run(c.update(ctx, b, w.unit, &t)); err != nil {
				return failed, err
			}
		}
	}
	told := !w.updatesAfterCreating() // of the new template
	for _, t := range w.create {
		if told {
			if err := run(c.deploy(ctx, b, w.unit, t)); err != nil {
				return failed, err
			}
			continue
		}
		told = true
		bare := t
		bare.overrides = nil // the old template may not have them
		if err := run(c.deploy(ctx, b, w.unit, bare)); err != nil {
			return failed, err
		}
		if _, err := w.pinOne(ctx, c, b, t, run); err != nil {
			return failed, err
		}
		if err := run(c.update(ctx, b, w.unit, &t)); err != nil {
			return failed, err
		}
	}
	return failed, nil
}

// updatesAfterCreating says that nothing before has given the set its new template,
// and that without naming instances an update would reach those of later waves.
func (w setWork) updatesAfterCreating() bool {
	return w.differs && w.first && !w.whole && len(w.update) == 0 && len(w.set.Instances) > 0
}

// pin gives instances the parameters that the overrides say, before the stack set gets
// its own: no account is for a moment what the rest of the organization is. An
// instance can only be given parameters that its template has. Where the old template
// has them not, the stack set takes the values of the account for as long as its
// instances are updated, which introduced reports. What instances have of their own
// stays theirs until it is taken from them, whatever becomes of the stack set, and no
// listing tells who has any: where there were overrides, all that have none now are
// told so.
func (w setWork) pin(ctx context.Context, c cloud, b *Baseline, run func([]plan.Failure, error) error) (introduced bool, err error) {
	for _, t := range w.override {
		if err := run(c.setOverrides(ctx, b, w.unit.Stack, t)); err != nil {
			return introduced, err
		}
	}
	if !w.exists {
		return false, nil
	}
	for _, t := range w.update {
		first, err := w.pinOne(ctx, c, b, t, run)
		if introduced = introduced || first; err != nil {
			return introduced, err
		}
	}
	return introduced, nil
}

// pins says whether a target's instances are told which parameters are theirs: who has
// none only where there were any before.
func (w setWork) pins(t target) bool {
	_, had := w.set.Params[overridesParam]
	return len(t.overrides) > 0 || had && w.differs
}

// introduces says whether the old template lacks parameters of a target's instances.
func (w setWork) introduces(t target) bool {
	return slices.ContainsFunc(sortedKeys(t.overrides), func(k string) bool { _, has := w.set.Params[k]; return !has })
}

// pinOne is pin for one target.
func (w setWork) pinOne(ctx context.Context, c cloud, b *Baseline, t target, run func([]plan.Failure, error) error) (introduced bool, err error) {
	if !w.pins(t) {
		return false, nil
	}
	if introduced = w.introduces(t); introduced {
		asThere := *w.unit
		asThere.params = maps.Clone(w.unit.params)
		maps.Copy(asThere.params, t.overrides)
		if err := run(c.update(ctx, b, &asThere, &t)); err != nil {
			return introduced, err
		}
	}
	return introduced, run(c.setOverrides(ctx, b, w.unit.Stack, t))
}

// again is the work that is left after somebody else's operation.
func (w setWork) again(ctx context.Context, c cloud, b *Baseline) (setWork, error) {
	set, err := c.load(ctx, w.unit.Stack, nil)
	if err != nil {
		return w, err
	}
	w.set, w.exists, w.differs = set, set.Exists, set.Exists && !set.matches(w.unit)
	w.whole = w.whole && w.differs
	left := *newSetWave()
	left.inoperable, left.overridden, left.unwanted, left.barred = w.wave.inoperable, w.wave.overridden, w.wave.unwanted, w.wave.barred
	for _, cells := range []reach{w.wave.missing, w.wave.stale} {
		for id, regions := range cells {
			for _, region := range regions {
				inst, has := set.Instances[instanceKey(id, region)]
				switch {
				case !has:
					left.missing[id] = append(left.missing[id], region)
				case inst.Status != "CURRENT" || w.differs:
					left.stale[id] = append(left.stale[id], region)
				}
			}
		}
	}
	w.wave, w.create, w.update = left, b.targetsOf(w.unit, left.missing), b.targetsOf(w.unit, left.stale)
	return w, nil
}

// attach waits for the operations of a stack set that have not ended, and says
// whether there were any. Whether they succeed is the business of whoever began
// them.
func (c cloud) attach(ctx context.Context, name string) (waited bool, err error) {
	for {
		active, err := c.active(ctx, name)
		if err != nil || len(active) == 0 {
			return waited, err
		}
		waited = true
		if _, err := c.ended(ctx, name, active[len(active)-1]); err != nil {
			return waited, err
		}
	}
}

// active are the operations of a stack set that have not ended.
func (c cloud) active(ctx context.Context, name string) ([]string, error) {
	var out []string
	p := cloudformation.NewListStackSetOperationsPaginator(c.pool.CloudFormation, &cloudformation.ListStackSetOperationsInput{
		StackSetName: aws.String(name), CallAs: c.as, MaxResults: aws.Int32(100),
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, c.at.CloudFormation)
		if notFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list the operations of stack set %s: %w", name, err)
		}
		for _, o := range page.Summaries {
			if !over(o.Status) {
				out = append(out, aws.ToString(o.OperationId))
			}
		}
	}
	return out, nil
}

// over says whether an operation has ended. QUEUED has not even begun, and a
// status nobody knows is taken for one that goes on.
func over(s types.StackSetOperationStatus) bool {
	return slices.Contains([]types.StackSetOperationStatus{
		types.StackSetOperationStatusSucceeded, types.StackSetOperationStatusFailed, types.StackSetOperationStatusStopped,
	}, s)
}

// submit begins an operation. Where a stack set takes one at a time, it waits for
// the one that is running instead of failing.
func (c cloud) submit(ctx context.Context, name string, begin func() (*string, error)) (string, error) {
	for {
		id, err := begin()
		if orgs.Code(err) != "OperationInProgressException" {
			return aws.ToString(id), err
		}
		if waited, werr := c.attach(ctx, name); werr != nil || !waited {
			return "", err // it has ended meanwhile, or nobody may look
		}
	}
}

// revive takes INOPERABLE instances out of a stack set, removes what is left of
// their stacks, and makes them anew. What a stack keeps when it is deleted, like a
// recorder, stays: the next plan adopts it.
func (c cloud) revive(ctx context.Context, b *Baseline, w setWork, t target) ([]plan.Failure, error) {
	failed, err := c.remove(ctx, b, w.unit.Stack, t, keepStacks)
	if err != nil {
		return failed, err
	}
	again := reach{}
	for _, account := range t.meant(b) {
		for _, region := range t.regions {
			inst, has := w.set.Instances[instanceKey(account, region)]
			if !has || inst.Status != inoperable {
				continue
			}
			if err := c.sweep(ctx, b, inst); err != nil {
				f := plan.Failure{Account: string(account), Region: region, Status: inoperable, Reason: orgs.Reason(err), Fix: "delete the stack " + inst.Stack + " there, then run the rollout again"}
				if a, ok := b.Org.Account(account); ok {
					f.AccountName = a.Name
				}
				failed = append(failed, f)
				continue
			}
			if !w.unit.keeps() {
				again[account] = append(again[account], region)
			}
		}
	}
	for _, t := range b.targetsOf(w.unit, again) {
		f, err := c.deploy(ctx, b, w.unit, t)
		failed = append(failed, f...)
		if err != nil {
			return failed, err
		}
	}
	return failed, nil
}

// sweep deletes the stack that an instance left in its account.
func (c cloud) sweep(ctx context.Context, b *Baseline, inst Instance) error {
	if inst.Stack == "" {
		return nil
	}
	return dropStack(ctx, b.site(c.pool, inst.Account, inst.Region), inst.Stack)
}

// retention says what becomes of the stacks of instances that are removed.
type retention bool

const (
	keepStacks   retention = true
	deleteStacks retention = false
)

// remove takes instances out of a stack set and waits for the operation.
func (c cloud) remove(ctx context.Context, b *Baseline, name string, t target, keep retention) ([]plan.Failure, error) {
	id, err := c.submit(ctx, name, func() (*string, error) {
		out, err := c.pool.CloudFormation.DeleteStackInstances(ctx, &cloudformation.DeleteStackInstancesInput{
			StackSetName: aws.String(name), DeploymentTargets: t.deployment(), Regions: t.regions, RetainStacks: aws.Bool(bool(keep)),
			OperationPreferences: b.preferences(), CallAs: c.as,
		}, c.at.CloudFormation)
		if err != nil {
			return nil, err
		}
		return out.OperationId, nil
	})
	if err != nil {
		return nil, fmt.Errorf("delete instances of stack set %s: %w", name, err)
	}
	return c.wait(ctx, b, name, id)
}

// meant are the accounts that a target reaches.
func (t target) meant(b *Baseline) []orgs.AccountID {
	var out []orgs.AccountID
	for _, a := range b.Org.Accounts {
		listed := slices.Contains(t.accounts, string(a.ID))
		if a.ID == b.Org.ManagementAccount || t.filter == types.AccountFilterTypeIntersection && !listed || t.filter == types.AccountFilterTypeDifference && listed {
			continue
		}
		if slices.ContainsFunc(t.nodes, func(n string) bool { return b.Org.Under(a.Parent, orgs.NodeID(n)) }) {
			out = append(out, a.ID)
		}
	}
	return out
}
