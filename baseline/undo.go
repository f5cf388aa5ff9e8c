package baseline

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
)

// setWas is what a change of a stack set found.
type setWas struct {
	Unit    string            `json:"unit"`
	Stack   string            `json:"stack,omitempty"` // the shard's; "" in journals of before there were any
	Existed bool              `json:"existed"`
	Body    string            `json:"body,omitempty"`
	Params  map[string]string `json:"params,omitempty"`
	Created []string          `json:"created,omitempty"` // account × Region that had no instance
	Updated []string          `json:"updated,omitempty"` // that had one
	Removed []string          `json:"removed,omitempty"` // that had one, and an override has all of it off
	// Overrides are the parameters that instances had of their own.
	Overrides map[string]map[string]string `json:"overrides,omitempty"`
}

// stackWas is what a change of a plain stack found.
type stackWas struct {
	Unit    string            `json:"unit"`
	Existed bool              `json:"existed"`
	Deleted bool              `json:"deleted,omitempty"` // an override has all of it off
	Body    string            `json:"body,omitempty"`
	Params  map[string]string `json:"params,omitempty"`
}

// recorderWas is a recorder and a channel of somebody else's as they were before
// they were adopted. Settings are the API's own, in JSON; "" for what there was
// not.
type recorderWas struct {
	Recorder  string `json:"recorder,omitempty"`
	Recording bool   `json:"recording,omitempty"`
	Channel   string `json:"channel,omitempty"`
	// Trail is a trail that was adopted, by itself.
	Trail *trailWas `json:"trail,omitempty"`
}

// adopted is what an undo of an adoption puts back; nil for repairs of orgguard's
// own, which nobody wants undone: it would bring the drift back.
func adopted(broken []Inspection) any {
	var was recorderWas
	yes := false
	for _, in := range broken {
		_, _, other := foreign(in.State)
		yes = yes || other
		switch st := in.State.(type) {
		case recorderState:
			was.Recorder, was.Recording = st.Settings, st.Recording
		case channelState:
			was.Channel = st.Settings
		case trailState:
			was.Trail = st.was()
		}
	}
	if !yes {
		return nil
	}
	return was
}

// Undo says how to take back what a run did, the last change first. What has been
// changed since by somebody else is refused, and what needs no undoing is left
// out; both are told. It reads CloudFormation and the recorders to find out.
func (b *Baseline) Undo(ctx context.Context, pool *access.Pool, records []journal.Record) Proposal {
	u := &undoer{proposer: proposer{Baseline: b, pool: pool, skipped: map[plan.Skip]bool{}}, cloud: b.cloud(pool)}
	for i, r := range slices.Backward(records) {
		switch {
		case r.Change.Kind == settingChange:
			u.setting(ctx, r)
		case r.Was == nil && r.Change.Kind == "repair":
			u.leave(r, "put back what had drifted from what orgguard deployed: undoing it would bring the drift back", false)
		case r.Change.Kind == "trusted-access":
			u.leave(r, "stays on: stack sets of others may need it; "+r.Change.Undo, false)
		case r.Change.Kind == "stack-set":
			u.set(ctx, r)
		case slices.Contains([]string{"stack", jobStack, jobEvents, jobTamper}, r.Change.Kind):
			u.stack(ctx, records, i)
		case r.Change.Kind == "repair":
			u.recorder(ctx, r)
		case r.Change.Kind == replaceKind:
			u.replaced(ctx, r)
		case strings.HasPrefix(r.Change.Kind, "job-"):
			u.job(ctx, r)
		}
	}
	return u.Proposal
}

type undoer struct {
	proposer
	cloud cloud
}

// leave reports a change that is not undone.
func (u *undoer) leave(r journal.Record, reason string, blocked bool) {
	u.skip(plan.Skip{Account: r.Change.Account, AccountName: r.Change.AccountName, Region: r.Change.Region, Control: r.Change.Control, Reason: r.Change.Resource + ": " + reason, Blocked: blocked})
}

// task proposes to undo a change.
func (u *undoer) task(r journal.Record, verb plan.Verb, why string, apply func(context.Context) ([]plan.Failure, error)) {
	c := r.Change
	c.Kind, c.Verb, c.Why, c.Undo = "undo", verb, why, "orgguard rollout makes it again"
	c.Before, c.After = r.Change.After, r.Change.Before
	if c.Irreversible = ""; c.Effort.Stacks > 0 {
		c.Effort = oneStack
	} else {
		c.Effort = plan.Effort{Writes: 1}
	}
	u.Proposal.Tasks = append(u.Proposal.Tasks, plan.Task{Change: c, Apply: apply})
}

// takes says what the last change that was proposed takes, where that is more than one
// write, or one stack.
func (p *proposer) takes(e plan.Effort) {
	p.Proposal.Tasks[len(p.Proposal.Tasks)-1].Effort = e
}

// asMade says whether a template and its parameters are what a change made of them.
func asMade(body string, params map[string]string, after any) bool {
	var want map[string]any
	return journal.Decode(after, &want) == nil && compact(normal(want)) == compact(normal(fromJSON(compact(describe(body, params)))))
}

// cellsOf are account × Region keys as cells, those of accounts that are not in
// the organization left out and named.
func (b *Baseline) cellsOf(keys []string) (cells reach, unknown []string) {
	cells = reach{}
	for _, k := range keys {
		id, region, _ := strings.Cut(k, "/")
		if a, ok := b.Org.Account(orgs.AccountID(id)); !ok || a.State != orgs.StateActive {
			unknown = append(unknown, k)
			continue
		}
		cells[orgs.AccountID(id)] = append(cells[orgs.AccountID(id)], region)
	}
	return cells, unknown
}

// unit reads what a change of a unit found in place into was, and finds the unit that
// it names. ok is false, and the change left, where either is not possible.
func (u *undoer) unit(r journal.Record, was any, id *string) (kind unit, ok bool) {
	if err := journal.Decode(r.Was, was); err != nil {
		u.leave(r, err.Error(), true)
		return unit{}, false
	}
	if kind, ok = unitOf(*id); !ok {
		u.leave(r, "this orgguard knows no unit "+*id, true)
	}
	return kind, ok
}

// asLeft says whether a stack or stack set is as the run left it, and leaves the change
// where it is not.
func (u *undoer) asLeft(r journal.Record, err error, exists, ours bool, body string, params map[string]string) bool {
	switch {
	case err != nil:
		u.leave(r, orgs.Reason(err), true)
	case !exists:
		u.leave(r, "is gone already", false)
	case !ours:
		u.leave(r, "is not orgguard's any more: its tag is gone", true)
	case !asMade(body, params, r.Change.After):
		u.leave(r, "its template or parameters were changed since", true)
	default:
		return true
	}
	return false
}

func (u *undoer) set(ctx context.Context, r journal.Record) {
	var was setWas
	kind, ok := u.unit(r, &was, &was.Unit)
	if !ok {
		return
	}
	if was.Stack != "" {
		if !isShard(kind.Stack, was.Stack) {
			u.leave(r, was.Stack+" is no stack set of the unit "+was.Unit, true)
			return
		}
		kind.Stack = was.Stack
	}
	now, err := u.cloud.load(ctx, kind.Stack, nil)
	if err != nil {
		now = &StackSet{}
	}
	if !u.asLeft(r, err, now.Exists, now.Ours, now.Body, now.Params) {
		return
	}
	there := func(keys []string) []string {
		return slices.DeleteFunc(slices.Clone(keys), func(k string) bool { _, has := now.Instances[k]; return !has })
	}
	created, lost := u.cellsOf(there(was.Created))
	for _, k := range lost {
		u.leave(r, "the account of "+k+" is not an active one of the organization: its instance stays", true)
	}
	updated, _ := u.cellsOf(there(was.Updated))
	removed, _ := u.cellsOf(was.Removed)
	old := &composed{unit: kind, body: was.Body, params: was.Params}
	why := fmt.Sprintf("%d instances that were made are deleted; recorders and delivery channels stay", created.cells())
	verb := plan.Delete
	if was.Existed && was.Body != "" && updated.cells() > 0 {
		verb, why = plan.Update, why+fmt.Sprintf("; %d instances get their template of before", updated.cells())
	}
	if n := removed.cells(); n > 0 {
		verb, why = plan.Update, why+fmt.Sprintf("; %d instances that were deleted are made again", n)
	}
	u.task(r, verb, why, func(ctx context.Context) ([]plan.Failure, error) {
		failed, err := u.cloud.removeAll(ctx, u.Baseline, kind.Stack, created, deleteStacks)
		if err != nil || len(failed) > 0 {
			return failed, err
		}
		if was.Existed {
			err := u.backTo(ctx, old, was, now, updated, removed, func(f []plan.Failure, err error) error {
				failed = append(failed, f...)
				return err
			})
			return failed, err
		}
		return nil, u.cloud.drop(ctx, kind.Stack)
	})
	e := u.removal(created)
	if was.Existed {
		e.Add(u.backEffort(was, now, updated, removed))
	} else {
		e.Add(plan.Effort{Writes: 1})
	}
	u.takes(e)
}

// backEffort is what backTo takes.
func (u *undoer) backEffort(was setWas, now *StackSet, updated, removed reach) plan.Effort {
	var e plan.Effort
	operate := func(ts []target, times int) {
		for _, t := range ts {
			for range times {
				e.Add(u.operation(t.cells/len(t.regions), t.cells))
			}
		}
	}
	operate(u.targets(updated), 1)
	if _, has := now.Params[overridesParam]; has {
		operate(u.targets(updated), 1)
	}
	operate(slices.DeleteFunc(u.before(was, updated), func(t target) bool { return len(t.overrides) == 0 }), 1)
	operate(u.before(was, removed), 2)
	return e
}

// backTo gives a stack set's instances the template and the parameters of before, and
// makes those again that were deleted.
func (u *undoer) backTo(ctx context.Context, old *composed, was setWas, now *StackSet, updated, removed reach, run func([]plan.Failure, error) error) error {
	if _, has := now.Params[overridesParam]; has {
		for _, t := range u.targets(updated) {
			if err := run(u.cloud.setOverrides(ctx, u.Baseline, old.Stack, t)); err != nil { // none
				return err
			}
		}
	}
	for _, t := range u.targets(updated) {
		if err := run(u.cloud.update(ctx, u.Baseline, old, &t)); err != nil {
			return err
		}
	}
	for _, t := range u.before(was, updated) {
		if len(t.overrides) == 0 {
			continue
		}
		if err := run(u.cloud.setOverrides(ctx, u.Baseline, old.Stack, t)); err != nil {
			return err
		}
	}
	for _, t := range u.before(was, removed) {
		if err := run(u.cloud.deploy(ctx, u.Baseline, old, t)); err != nil {
			return err
		}
		if err := run(u.cloud.update(ctx, u.Baseline, old, &t)); err != nil {
			return err
		}
	}
	return nil
}

// before are the cells with the parameters of their own that they had, as far as that is
// known.
func (u *undoer) before(was setWas, cells reach) []target {
	return u.targetsBy(cells, func(id orgs.AccountID) func(string) map[string]string {
		return func(region string) map[string]string { return was.Overrides[instanceKey(id, region)] }
	})
}

// maxNamed is how many accounts one operation names: a request has its limits.
const maxNamed = 1000

// named are operations that reach just the cells. A removal names every account it
// means: one that leaves out those it does not would reach accounts that the
// organization's listing failed to show.
func (b *Baseline) named(cells reach) []target {
	groups := map[string][]string{}
	for id, regions := range cells {
		slices.Sort(regions)
		key := strings.Join(regions, ",")
		groups[key] = append(groups[key], string(id))
	}
	var out []target
	for _, key := range sortedKeys(groups) {
		slices.Sort(groups[key])
		regions := strings.Split(key, ",")
		for accounts := range slices.Chunk(groups[key], maxNamed) {
			out = append(out, target{nodes: []string{string(b.Org.Root)}, filter: cfntypes.AccountFilterTypeIntersection, accounts: accounts, regions: regions, cells: len(accounts) * len(regions)})
		}
	}
	return out
}

// removal is what removeAll takes.
func (b *Baseline) removal(cells reach) plan.Effort {
	var e plan.Effort
	for _, t := range b.named(cells) {
		e.Add(b.operation(len(t.accounts), t.cells))
	}
	return e
}

// removeAll takes cells out of a stack set.
func (c cloud) removeAll(ctx context.Context, b *Baseline, name string, cells reach, keep retention) ([]plan.Failure, error) {
	var failed []plan.Failure
	for _, t := range b.named(cells) {
		f, err := c.remove(ctx, b, name, t, keep)
		failed = append(failed, f...)
		if err != nil {
			return failed, err
		}
	}
	return failed, nil
}

// drop deletes an empty stack set; one that still has instances stays.
func (c cloud) drop(ctx context.Context, name string) error {
	_, err := c.pool.CloudFormation.DeleteStackSet(ctx, &cloudformation.DeleteStackSetInput{StackSetName: aws.String(name), CallAs: c.as}, c.at.CloudFormation)
	if err != nil && !notFound(err) && orgs.Code(err) != "StackSetNotEmptyException" {
		return fmt.Errorf("delete stack set %s: %w", name, err)
	}
	return nil
}

// stack proposes to give a plain stack its template of before the run, to make it again or
// to delete it. A run may have made a stack twice, as that of the scheduled audit is, first
// for its bucket alone: the last change is undone to what the first one found.
func (u *undoer) stack(ctx context.Context, records []journal.Record, i int) {
	r := records[i]
	same := func(o journal.Record) bool {
		c := o.Change
		return c.Kind == r.Change.Kind && c.Account == r.Change.Account && c.Region == r.Change.Region && c.Resource == r.Change.Resource
	}
	if slices.ContainsFunc(records[i+1:], same) {
		return // undone with the last one
	}
	var was stackWas
	kind, ok := u.unit(records[slices.IndexFunc(records, same)], &was, &was.Unit)
	if !ok {
		return
	}
	s := u.site(u.pool, orgs.AccountID(r.Change.Account), r.Change.Region)
	now, err := observeStack(ctx, s, kind.Stack)
	old := &composed{unit: kind, body: was.Body, params: was.Params}
	put := func(ctx context.Context) ([]plan.Failure, error) { return nil, putStack(ctx, s, old, now) }
	switch {
	case err == nil && was.Deleted && now.Exists:
		u.leave(r, "is there again already", false)
	case err == nil && was.Deleted:
		if _, has := old.params[originParam]; has {
			old.params[originParam] = bucketKept // it stayed
		}
		u.task(r, plan.Create, "is made again as it was before, with what stayed of it", put)
	case !u.asLeft(r, err, now.Exists, now.Ours, now.Body, now.Params):
	case was.Existed:
		u.task(r, plan.Update, "gets its template and parameters of before", put)
	default:
		u.task(r, plan.Delete, "did not exist before; what holds history stays", func(ctx context.Context) ([]plan.Failure, error) { return nil, dropStack(ctx, s, kind.Stack) })
	}
}

// recorderWas reads what a change of somebody else's recorder found, and where. ok is
// false, and the change left, where that is not possible.
func (u *undoer) recorderWas(r journal.Record) (was recorderWas, s site, ok bool) {
	if err := journal.Decode(r.Was, &was); err != nil {
		u.leave(r, err.Error(), true)
		return was, s, false
	}
	if len(r.Change.Targets) != 1 {
		u.leave(r, "the journal does not say where it was", true)
		return was, s, false
	}
	id, region, _ := strings.Cut(r.Change.Targets[0], "/")
	return was, u.site(u.pool, orgs.AccountID(id), region), true
}

// recorder proposes to give a recorder of somebody else's its settings of before.
func (u *undoer) recorder(ctx context.Context, r journal.Record) {
	was, s, ok := u.recorderWas(r)
	if !ok {
		return
	}
	if was.Trail != nil {
		u.trail(ctx, r, s, was.Trail)
		return
	}
	rec, err := observeRecorder(ctx, s, Resource{})
	if err != nil {
		u.leave(r, orgs.Reason(err), true)
		return
	}
	var old types.ConfigurationRecorder
	if was.Recorder != "" {
		if err := json.Unmarshal([]byte(was.Recorder), &old); err != nil {
			u.leave(r, "the journal's settings cannot be read: "+err.Error(), true)
			return
		}
	}
	now, ok := rec.(recorderState)
	switch {
	case was.Recorder == "":
	case !ok:
		u.leave(r, "the recorder "+aws.ToString(old.Name)+" is gone", true)
		return
	case now.Name != aws.ToString(old.Name):
		u.leave(r, "there is another recorder now: "+now.Name, true)
		return
	case now.Settings == was.Recorder:
		u.leave(r, "has its settings of before already", false)
		return
	case !u.asAdopted(s, now):
		u.leave(r, "the recorder "+now.Name+" was changed since", true)
		return
	}
	u.task(r, plan.Repair, "recorder and delivery channel get the settings they had before they were adopted", func(ctx context.Context) ([]plan.Failure, error) {
		return nil, was.restore(ctx, s, old)
	})
	u.takes(was.effort())
}

// trail proposes to give a trail of somebody else's its settings of before.
func (u *undoer) trail(ctx context.Context, r journal.Record, s site, was *trailWas) {
	want := u.resource(trailUnit, "AWS::CloudTrail::Trail", s)
	state, err := observeTrail(ctx, s, want)
	now, ok := state.(trailState)
	var old struct{ TrailARN string }
	bad := json.Unmarshal([]byte(was.Settings), &old)
	switch {
	case err != nil:
		u.leave(r, orgs.Reason(err), true)
	case bad != nil:
		u.leave(r, "the journal's settings cannot be read: "+bad.Error(), true)
	case !ok || now.ARN != old.TrailARN:
		u.leave(r, "the trail "+old.TrailARN+" is gone, or there is another one", true)
	case was.same(now):
		u.leave(r, "has its settings of before already", false)
	case want.Type != "" && mendable(compareTrail(want, now)):
		u.leave(r, "the trail "+now.Name+" was changed since", true)
	default:
		u.task(r, plan.Repair, "the trail gets the settings it had before it was adopted", func(ctx context.Context) ([]plan.Failure, error) {
			return nil, was.restore(ctx, s, now)
		})
	}
}

// resource is a unit's resource of a type as the baseline wants it at a site; one
// without a type where there is none.
func (u *undoer) resource(unitID, typ string, s site) Resource {
	for _, c := range u.units {
		if c.ID != unitID {
			continue
		}
		rs, err := c.resources(u.scope(s.at.Account, s.at.Region))
		if err != nil {
			return Resource{}
		}
		for _, r := range rs {
			if r.Type == typ {
				return r
			}
		}
	}
	return Resource{}
}

// asAdopted says whether a recorder is still as the baseline made it.
func (u *undoer) asAdopted(s site, now recorderState) bool {
	want := u.resource("recorder", "AWS::Config::ConfigurationRecorder", s)
	return want.Type != "" && !mendable(compareRecorder(want, now))
}

// effort is what restore takes.
func (w recorderWas) effort() plan.Effort {
	var e plan.Effort
	if w.Channel != "" {
		e.Writes++
	}
	if w.Recorder != "" {
		if e.Writes++; !w.Recording {
			e.Writes++
		}
	}
	return e
}

// restore puts settings back without a gap in recording, unless the recorder did
// not record before.
func (w recorderWas) restore(ctx context.Context, s site, old types.ConfigurationRecorder) error {
	if w.Channel != "" {
		var ch types.DeliveryChannel
		if err := json.Unmarshal([]byte(w.Channel), &ch); err != nil {
			return fmt.Errorf("restore the delivery channel: %w", err)
		}
		if _, err := s.Config.PutDeliveryChannel(ctx, &configservice.PutDeliveryChannelInput{DeliveryChannel: &ch}, s.at.Config); err != nil {
			return fmt.Errorf("restore delivery channel %s: %w", aws.ToString(ch.Name), err)
		}
	}
	if w.Recorder == "" {
		return nil
	}
	old.Arn = nil // AWS gives it and does not take it
	if _, err := s.Config.PutConfigurationRecorder(ctx, &configservice.PutConfigurationRecorderInput{ConfigurationRecorder: &old}, s.at.Config); err != nil {
		return fmt.Errorf("restore recorder %s: %w", aws.ToString(old.Name), err)
	}
	if !w.Recording {
		if _, err := s.Config.StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: old.Name}, s.at.Config); err != nil {
			return fmt.Errorf("stop recorder %s, as it was before: %w", aws.ToString(old.Name), err)
		}
	}
	return nil
}
