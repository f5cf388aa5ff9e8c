package baseline

import (
	"context"
	"fmt"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
)

// jobEvents is the kind of a change of the second stack of the scheduled audit, which
// lives in the management account: AWS Organizations records its calls there, in the
// partition's global Region, and a rule sends those about accounts to the job's bus.
const jobEvents = "job-events"

// jobEventsStack is that stack's name.
const jobEventsStack = JobName + "-events"

func (b *Baseline) eventsSite(pool *access.Pool) site {
	return b.site(pool, b.Org.ManagementAccount, b.Org.Partition.GlobalRegion)
}

// eventsUnit is the stack as it is to be.
func (b *Baseline) eventsUnit(body string) *composed {
	return &composed{
		unit: unit{ID: jobEvents, Stack: jobEventsStack, Description: "orgguard: tells the scheduled audit of accounts", place: managementOnly, stage: plan.Job},
		body: body, controls: []string{jobControl},
		params: map[string]string{"BusArn": fmt.Sprintf("arn:%s:events:%s:%s:event-bus/%s", b.Org.Partition.ID, b.Home, b.Security, JobName)},
	}
}

// eventsChange is a change in the management account.
func (p *proposer) eventsChange(c plan.Change) plan.Change {
	a, _ := p.Org.Account(p.Org.ManagementAccount)
	c.Kind, c.Control, c.Account, c.AccountName, c.Region, c.Cells = jobEvents, jobControl, string(a.ID), a.Name, p.Org.Partition.GlobalRegion, 1
	c.Targets = []string{instanceKey(a.ID, c.Region)}
	c.Resource, c.Effort = "stack "+jobEventsStack, plan.Effort{Writes: 1, Stacks: 1, Rounds: 1}
	return c
}

// events proposes the stack of the management account, where the caller may make it.
func (p *proposer) events(st stackState, body string) {
	switch u := p.eventsUnit(body); {
	case body == "":
	case !p.ownsManagement(p.pool):
		a, _ := p.Org.Account(p.Org.ManagementAccount)
		p.skip(plan.Skip{Account: string(a.ID), AccountName: a.Name, Region: p.Org.Partition.GlobalRegion, Control: jobControl,
			Reason: "stack " + jobEventsStack + ": only the management account itself can deploy there: accounts that join or move are audited with the next run of the schedule"})
	case st.Exists && !st.Ours:
		p.skipJob("stack "+jobEventsStack+" of the management account", "does not carry orgguard's tag: somebody else made it", true)
	case !st.is(u) || st.failedCreation() || st.inProgress():
		c := p.change(u, jobEvents, plan.Create, "")
		c.Why, c.Undo = "accounts that join or move are audited at once", fmt.Sprintf("aws cloudformation delete-stack --region %s --stack-name %s", p.Org.Partition.GlobalRegion, jobEventsStack)
		if st.Exists {
			c.Verb, c.Before, c.Why = plan.Update, describe(st.Body, st.Params), "template or parameters differ: "+differing(st, u)
		}
		s := p.eventsSite(p.pool)
		was := stackWas{Unit: jobEvents, Existed: st.Exists && !st.failedCreation(), Body: st.Body, Params: st.Params}
		p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: p.eventsChange(c), Was: was, Apply: func(ctx context.Context) ([]plan.Failure, error) {
			return nil, putStack(ctx, s, u, st)
		}})
	}
}

// dropEvents proposes to delete the stack of the management account.
func (p *proposer) dropEvents(ctx context.Context) error {
	if !p.ownsManagement(p.pool) {
		return nil
	}
	s := p.eventsSite(p.pool)
	st, err := observeStack(ctx, s, jobEventsStack)
	switch {
	case err != nil:
		return err
	case !st.Exists:
	case !st.Ours:
		p.skipJob("stack "+jobEventsStack+" of the management account", "does not carry orgguard's tag: somebody else made it", true)
	default:
		c := p.eventsChange(plan.Change{Stage: plan.Job, Verb: plan.Delete, Why: "nobody is to be told any more", Before: describe(st.Body, st.Params), Undo: "orgguard schedule install makes it again"})
		was := stackWas{Unit: jobEvents, Existed: true, Deleted: true, Body: st.Body, Params: st.Params}
		p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: c, Was: was, Apply: func(ctx context.Context) ([]plan.Failure, error) {
			return nil, dropStack(ctx, s, jobEventsStack)
		}})
	}
	return nil
}

// eventsBack undoes a change of the stack of the management account.
func (u *undoer) eventsBack(ctx context.Context, r journal.Record) {
	var was stackWas
	if err := journal.Decode(r.Was, &was); err != nil {
		u.leave(r, err.Error(), true)
		return
	}
	s := u.site(u.pool, orgs.AccountID(r.Change.Account), r.Change.Region)
	old := u.eventsUnit(was.Body)
	if was.Params != nil {
		old.params = was.Params
	}
	now, err := observeStack(ctx, s, jobEventsStack)
	switch {
	case err == nil && was.Deleted && now.Exists:
		u.leave(r, "is there again already", false)
	case err == nil && was.Deleted:
		u.task(r, plan.Create, "is made again", func(ctx context.Context) ([]plan.Failure, error) { return nil, putStack(ctx, s, old, now) })
	case !u.asLeft(r, err, now.Exists, now.Ours, now.Body, now.Params):
	case was.Existed:
		u.task(r, plan.Update, "gets its template and parameters of before", func(ctx context.Context) ([]plan.Failure, error) { return nil, putStack(ctx, s, old, now) })
	default:
		u.task(r, plan.Delete, "did not exist before", func(ctx context.Context) ([]plan.Failure, error) { return nil, dropStack(ctx, s, jobEventsStack) })
	}
}
