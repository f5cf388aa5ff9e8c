package baseline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
)

// Proposal is a plan's part that concerns the baseline.
type Proposal struct {
	Tasks   []plan.Task
	Skipped []plan.Skip
	Notes   []string
}

// view is one unit in one account × Region, as it was found.
type view struct {
	unit    *composed
	account orgs.Selected
	region  string
	ins     []Inspection
	// waived are the resources of controls that are off there.
	waived []Inspection
}

// off is the reason why there is nothing to look at; "" where there is.
func (v view) off() string { return slices.Concat(v.ins, v.waived)[0].Off }

// remains says whether something is there of a control that is off.
func (v view) remains() bool {
	return slices.ContainsFunc(v.waived, func(in Inspection) bool { return in.Err == nil && !in.Absent })
}

// present says whether anything of the unit exists there.
func (v view) present() bool {
	return slices.ContainsFunc(v.ins, func(in Inspection) bool { return in.Err == nil && !in.Absent })
}

// broken returns the inspections that a rollout can put right.
func (v view) broken() []Inspection {
	var out []Inspection
	for _, in := range v.ins {
		if mendable(in.Mismatches) {
			out = append(out, in)
		}
	}
	return out
}

// unmakeable is what people have to do before what is missing can be made; "" where a
// rollout makes it. It is said of a trail, see roomless.
func (v view) unmakeable() string {
	todo := "" // of what nobody has looked at, as before a bootstrap, nothing
	for _, in := range v.ins {
		if mendable(in.Mismatches) || len(in.Mismatches) == 0 {
			return ""
		}
		todo = in.Mismatches[0].Manual
	}
	return todo
}

// err is why somebody could not look; nil when everything was seen.
func (v view) err() error {
	for _, in := range v.ins {
		if in.Err != nil {
			return in.Err
		}
	}
	return nil
}

// foreign is the recorder or channel that somebody else made there, if any.
func (v view) foreign() (name string, controlTower, yes bool) {
	for _, in := range v.ins {
		if n, ct, ok := foreign(in.State); ok {
			return n, ct, true
		}
	}
	return "", false, false
}

// barred says that somebody else's recorder is there. A Region has one: a stack that
// makes ours fails there, and went to where nobody could look.
func (v view) barred() bool {
	return slices.ContainsFunc(v.ins, func(in Inspection) bool {
		st, ok := in.State.(recorderState)
		_, _, other := foreign(in.State)
		return ok && in.Err == nil && !in.Absent && st.Name != "" && other
	})
}

// foreignNoun is what foreign speaks of.
func (v view) foreignNoun() string {
	if v.unit.ID == trailUnit {
		return "trail"
	}
	return "recorder"
}

// Propose compares what was seen with what should be and says what to do. It
// reads nothing: the tasks it returns hold the pool only to be carried out.
func (b *Baseline) Propose(l *Look, pool *access.Pool) Proposal {
	p := &proposer{Baseline: b, look: l, pool: pool, skipped: map[plan.Skip]bool{}}
	p.access()
	p.govern()
	for _, u := range b.units {
		if !u.everywhere() || l.filter.serves(u) {
			p.unit(u, viewsOf(u, l.Inspected))
		}
	}
	p.Proposal.Notes = append(p.Proposal.Notes, b.Notes...)
	p.warn()
	plan.SortTasks(p.Proposal.Tasks)
	p.rests()
	return p.Proposal
}

// govern notes in which accounts Control Tower has the recorder.
func (p *proposer) govern() {
	p.governed = map[orgs.AccountID]bool{}
	for _, in := range p.look.Inspected {
		if st, ok := in.State.(recorderState); ok && st.Name == controlTowerRecorder {
			p.governed[in.Account.ID] = true
		}
	}
	if n := len(p.governed); n > 0 {
		p.Proposal.Notes = append(p.Proposal.Notes, fmt.Sprintf("Control Tower governs %d accounts: its recorders, channels, aggregator and delegated administrator stay as they are, and only what it lacks is deployed there; its guardrails (aws-guardrails-…) take a place or two of the policies of each OU, which `orgguard doctor` counts", n))
	}
}

// ungoverned says that Control Tower has the account and not this Region of it, where
// there is no recorder and none can be made, and notes it.
func (p *proposer) ungoverned(v view) bool {
	if v.unit.ID != "recorder" || !p.governed[v.account.ID] || v.err() != nil || v.present() {
		return false
	}
	p.skip(skipOf(v.account, v.region, strings.Join(v.unit.controls, ","), "nothing records there: Control Tower governs the account but not the Region, and its guardrail (GRCONFIGENABLED) lets nobody else make a recorder; let it govern "+v.region+", or take the Region out of regions", false))
	return true
}

// warn says loudly that things of others are deleted.
func (p *proposer) warn() {
	n := 0
	for _, t := range p.Proposal.Tasks {
		if t.Kind == replaceKind {
			n++
		}
	}
	if n > 0 {
		p.Proposal.Notes = append(p.Proposal.Notes, fmt.Sprintf("existing: replace: recorders and delivery channels that somebody else made are DELETED in %d account × Region; there nothing is recorded until orgguard's have started", n))
	}
}

// rests drops what lives once from a plan that was narrowed and has nothing else
// to do: it is in it only for what rests on it.
func (p *proposer) rests() {
	if p.look.filter.everything() {
		return
	}
	asked := func(t plan.Task) bool {
		return t.Stage != plan.Prerequisites && p.look.filter.reaches(orgs.AccountID(t.Account)) || t.Kind == "stack-set"
	}
	if !slices.ContainsFunc(p.Proposal.Tasks, asked) {
		p.Proposal.Tasks = nil
		return
	}
	for _, t := range p.Proposal.Tasks {
		if !asked(t) {
			p.Proposal.Notes = append(p.Proposal.Notes, "the plan is narrowed, and has besides what lives once and is not in place yet: what was asked for rests on it")
			return
		}
	}
}

// viewsOf groups what was inspected by account × Region, in the order of the
// inspection.
func viewsOf(u *composed, inspected []Inspection) []view {
	var out []view
	index := map[string]int{}
	for _, in := range inspected {
		if in.unit != u {
			continue
		}
		k := instanceKey(in.Account.ID, in.Region)
		i, ok := index[k]
		if !ok {
			i = len(out)
			index[k] = i
			out = append(out, view{unit: u, account: in.Account, region: in.Region})
		}
		if in.Waived != "" {
			out[i].waived = append(out[i].waived, in)
			continue
		}
		out[i].ins = append(out[i].ins, in)
	}
	return out
}

type proposer struct {
	*Baseline
	Proposal Proposal
	look     *Look
	pool     *access.Pool
	skipped  map[plan.Skip]bool
	// governed are the accounts with a recorder of Control Tower's, whose guardrail
	// lets nobody else make one there, in no Region.
	governed map[orgs.AccountID]bool
}

// skip reports something left alone, once.
func (p *proposer) skip(s plan.Skip) {
	if !p.skipped[s] {
		p.skipped[s] = true
		p.Proposal.Skipped = append(p.Proposal.Skipped, s)
	}
}

func skipOf(a orgs.Selected, region, control, reason string, blocked bool) plan.Skip {
	return plan.Skip{Account: string(a.ID), AccountName: a.Name, Region: region, Control: control, Reason: reason, Blocked: blocked}
}

// access proposes the trusted access that stack sets need.
func (p *proposer) access() {
	mgmt, _ := p.Org.Account(p.Org.ManagementAccount)
	switch {
	case p.look.TrustedAccessErr != nil:
		p.skip(plan.Skip{Account: string(mgmt.ID), AccountName: mgmt.Name, Region: finding.Global, Control: "all", Reason: orgs.Reason(p.look.TrustedAccessErr), Blocked: true})
	case !p.look.TrustedAccess:
		c := p.cloud(p.pool)
		p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{
			Change: plan.Change{
				Kind: "trusted-access", Stage: plan.Prerequisites, Verb: plan.Enable, Control: "all",
				Account: string(mgmt.ID), AccountName: mgmt.Name, Region: finding.Global, Resource: "trusted access of CloudFormation StackSets",
				Why: "service-managed stack sets need it", Cells: 1, Before: "DISABLED", After: "ENABLED",
				Undo: "aws cloudformation deactivate-organizations-access", Effort: plan.Effort{Writes: 1},
			},
			Apply: func(ctx context.Context) ([]plan.Failure, error) { return nil, c.activate(ctx) },
		})
	}
}

// unit proposes what one unit needs.
func (p *proposer) unit(u *composed, views []view) {
	var members []view
	for _, v := range views {
		switch {
		case v.account.Excluded != "":
			p.skip(skipOf(v.account, finding.Global, "all", "excluded by the configuration: "+v.account.Excluded, false))
			p.deployedAnyway(u, v)
		case v.account.State != orgs.StateActive:
			p.skip(skipOf(v.account, finding.Global, "all", v.off(), false))
		case v.off() != "":
			p.skip(skipOf(v.account, v.region, "all", v.off(), false))
		case p.ungoverned(v):
		case u.direct:
			p.settings(v)
		case u.everywhere() && v.account.ID != p.Org.ManagementAccount:
			members = append(members, v)
		default:
			p.plainStack(v)
		}
	}
	if len(members) > 0 {
		p.stackSet(u, members)
	}
}

// deployedAnyway names the stack instance of an account that is left out: it was there
// before, or the account moved into an OU of the stack set, whose auto-deployment knows
// no exclusions. It may be somebody's wish, so nothing is taken away.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-orgs-manage-auto-deployment.html
func (p *proposer) deployedAnyway(u *composed, v view) {
	set := p.look.Sets[u.ID]
	if set == nil {
		return // it is in no stack set
	}
	for i, s := range set.all() {
		if _, has := s.Instances[instanceKey(v.account.ID, v.region)]; has {
			name := shardName(u.Stack, i+1)
			p.skip(skipOf(v.account, v.region, strings.Join(u.controls, ","), "excluded, and stack set "+name+" is deployed there all the same: auto-deployment knows no exclusions; `aws cloudformation delete-stack-instances --stack-set-name "+name+"` takes it away", false))
		}
	}
}

// blind reports an account that could not be looked at.
func (p *proposer) blind(v view, also string) {
	err := v.err()
	region, what := v.region, orgs.Reason(err)
	if role := (*access.RoleError)(nil); errors.As(err, &role) {
		region = finding.Global
	}
	p.skip(skipOf(v.account, region, "all", what+also, true))
}

// plainStack proposes what one plain stack needs.
func (p *proposer) plainStack(v view) {
	if v.err() != nil {
		p.blind(v, "")
		return
	}
	unit := v.unit.in(v.account.ID)
	o := p.look.stacks[stackKey(v.unit, v.account.ID, v.region)]
	st := o.Value
	switch {
	case o.Err != nil:
		p.skip(skipOf(v.account, v.region, strings.Join(v.unit.controls, ","), orgs.Reason(o.Err), true))
	case v.unit.everywhere() && p.empty(v.unit, v.account.ID):
		p.withdraw(v, st)
	case st.is(unit) && !st.failedCreation() && !st.inProgress():
		p.adopt(v) // whoever made what is there by now
	case !st.Exists && v.present():
		p.adopt(v)
	case !st.Exists && v.unmakeable() != "":
		p.skip(skipOf(v.account, v.region, strings.Join(v.unit.controls, ","), "nothing of the trail is made: "+v.unmakeable(), false))
	default:
		c := p.change(unit, "stack", plan.Create, "stack "+v.unit.Stack)
		c.Account, c.AccountName, c.Region, c.Cells = string(v.account.ID), v.account.Name, v.region, 1
		c.Targets = []string{instanceKey(v.account.ID, v.region)}
		c.Wave = p.wave(v)
		c.Why = "does not exist"
		c.Effort, c.Irreversible = oneStack, irreversible(v.broken())
		if st.failedCreation() {
			c.Effort.Add(plan.Effort{Writes: 1, Rounds: 1}) // it is deleted first
		}
		if st.Exists {
			c.Verb, c.Why = plan.Update, "template or parameters differ"
			c.Before = describe(st.Body, st.Params)
			switch {
			case st.inProgress():
				c.Why = "CloudFormation is at work on it (" + st.Status + "): waits for that first"
			case st.failedCreation():
				c.Why = "its creation failed before (" + st.Status + "): it is deleted and made anew"
			}
		}
		c.Undo = fmt.Sprintf("aws cloudformation delete-stack --region %s --stack-name %s", v.region, v.unit.Stack)
		s := p.site(p.pool, v.account.ID, v.region)
		was := stackWas{Unit: v.unit.ID, Existed: st.Exists && !st.failedCreation(), Body: st.Body, Params: st.Params}
		p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: c, Was: was, Apply: func(ctx context.Context) ([]plan.Failure, error) {
			return nil, putStack(ctx, s, unit, st)
		}})
	}
}

// withdraw proposes to take away a plain stack of which an override has switched
// everything off.
func (p *proposer) withdraw(v view, st stackState) {
	if !st.Exists || !st.Ours {
		return
	}
	c := p.change(v.unit, "stack", plan.Delete, "stack "+v.unit.Stack)
	c.Account, c.AccountName, c.Region, c.Cells = string(v.account.ID), v.account.Name, v.region, 1
	c.Targets, c.Wave = []string{instanceKey(v.account.ID, v.region)}, p.wave(v)
	c.Why = "every control of it is switched off here; what holds history stays"
	c.Before, c.After = c.After, nil
	c.Undo = "take the override out of the configuration and run a rollout"
	s := p.site(p.pool, v.account.ID, v.region)
	was := stackWas{Unit: v.unit.ID, Existed: true, Deleted: true, Body: st.Body, Params: st.Params}
	p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: c, Was: was, Apply: func(ctx context.Context) ([]plan.Failure, error) {
		return nil, dropStack(ctx, s, v.unit.Stack)
	}})
}

// settings proposes the API calls that a unit without a stack needs: a change for
// each resource, which can fail, and be taken back, by itself.
func (p *proposer) settings(v view) {
	for _, in := range v.ins {
		one := view{unit: v.unit, account: v.account, region: v.region, ins: []Inspection{in}}
		if in.Err != nil {
			p.blind(one, "")
			continue
		}
		p.repair(one)
	}
}

// change is what all changes of a unit have in common.
func (p *proposer) change(u *composed, kind string, verb plan.Verb, resource string) plan.Change {
	return plan.Change{
		Kind: kind, Stage: u.stage, Verb: verb, Control: strings.Join(u.controls, ","), Resource: resource,
		After: describe(u.body, u.params),
	}
}

// describe is a template in a plan: its digest and its parameters. The template
// itself is what `orgguard render` prints.
func describe(body string, params map[string]string) map[string]any {
	sum := sha256.Sum256([]byte(strings.TrimSpace(body)))
	shown := maps.Clone(params)
	delete(shown, externalIDParam) // plans go to pull requests and mails
	return map[string]any{"template_sha256": hex.EncodeToString(sum[:8]), "parameters": shown}
}

// wave is the wave in which an account is reached; 0 for what lives once, which
// all waves rest on.
func (p *proposer) wave(v view) int {
	if !v.unit.everywhere() && (v.unit.place != trailOwner || v.unit.stage == plan.Central) {
		return 0
	}
	return p.waves.of[v.account.ID]
}
