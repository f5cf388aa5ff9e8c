package baseline

import (
	"context"
	"fmt"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/plan"
)

// The kinds of a change of a stack that stands beside the scheduled audit's own.
const (
	jobEvents = "job-events"
	jobTamper = "job-tamper"
)

// The names of those stacks.
const (
	jobEventsStack = JobName + "-events"
	tamperSuffix   = "-tamper"
	jobTamperStack = JobName + tamperSuffix
)

// jobUnits are the stacks of the scheduled audit, which no rollout deploys.
var jobUnits = []unit{
	{ID: jobControl, Stack: JobName, Description: "orgguard: the scheduled audit", place: securityOnly, stage: plan.Job},
	{ID: jobEvents, Stack: jobEventsStack, Description: "orgguard: tells the scheduled audit of accounts", place: managementOnly, stage: plan.Job},
	{ID: jobTamper, Stack: jobTamperStack, Description: tamperDescription, place: securityOnly, stage: plan.Triggers},
}

// jobUnit is a stack of the scheduled audit, without its template.
func jobUnit(id string, params map[string]string) composed {
	u, _ := unitOf(id)
	return composed{unit: u, params: params, controls: []string{jobControl}}
}

// beside is a stack of the scheduled audit that its own cannot hold: it is in another
// account, or stands on something that a teardown takes away.
type beside struct {
	composed
	kind    string
	account orgs.AccountID
	region  string
	why     string // it is there
	without string // what begins no audit where it is not
}

// besides are those stacks, without their templates.
func (b *Baseline) besides() map[string]beside {
	return map[string]beside{
		// AWS Organizations records its calls in the management account, in the partition's
		// global Region: a rule sends those about accounts to the job's bus.
		jobEvents: {
			composed: jobUnit(jobEvents, map[string]string{
				"BusArn": fmt.Sprintf("arn:%s:events:%s:%s:event-bus/%s", b.Org.Partition.ID, b.Home, b.Security, JobName),
			}),
			kind: jobEvents, account: b.Org.ManagementAccount, region: b.Org.Partition.GlobalRegion,
			why: "accounts that are created, join or move are audited at once", without: "accounts that join or move",
		},
		// The alerts' bus has the calls that touch AWS Config and CloudTrail, of all
		// accounts: rules on it begin the job's function.
		jobTamper: {
			composed: jobUnit(jobTamper, b.tamperParams()),
			kind:     jobTamper, account: b.Security, region: b.Home,
			why: "an account in which somebody touches AWS Config or CloudTrail is audited at once", without: "accounts that are tampered with",
		},
	}
}

func (b *Baseline) besideSite(pool *access.Pool, x beside) site {
	return b.site(pool, x.account, x.region)
}

// lookBeside reads such a stack, where the caller may.
func (b *Baseline) lookBeside(ctx context.Context, pool *access.Pool, kind string) (stackState, error) {
	x := b.besides()[kind]
	if x.account == b.Org.ManagementAccount && !b.ownsManagement(pool) {
		return stackState{}, nil
	}
	return observeStack(ctx, b.besideSite(pool, x), x.Stack)
}

// Trigger is whether something that happens in an account, or to it, begins an audit of
// it.
type Trigger struct {
	On bool `json:"on"`
	// Why not, with what would make it so; "" where it does.
	Why string `json:"why,omitempty"`
	// Wanted says that it would, if the job was installed as it should be.
	Wanted bool `json:"wanted"`
}

// lookTrigger says whether such a stack is as it should be, and what it made. A stack does
// not know that somebody switched its rules off, or sends their events elsewhere.
func (b *Baseline) lookTrigger(ctx context.Context, pool *access.Pool, kind, body string) (Trigger, error) {
	x := b.besides()[kind]
	x.body = body
	s := b.besideSite(pool, x)
	st, err := observeStack(ctx, s, x.Stack)
	if err != nil {
		return Trigger{}, err
	}
	install := "orgguard schedule install"
	if x.account == b.Org.ManagementAccount && !b.ownsManagement(pool) {
		install += ", from the management account"
	}
	off := func(format string, args ...any) (Trigger, error) {
		return Trigger{Wanted: true, Why: fmt.Sprintf(format, args...) + ": " + install}, nil
	}
	switch {
	case !st.Exists:
		return off("there is no stack %s", x.Stack)
	case !st.Ours:
		return off("stack %s does not carry orgguard's tag, so somebody else made it; when it is gone", x.Stack)
	case st.inProgress():
		return off("CloudFormation is at work on stack %s (%s); when it is done", x.Stack, st.Status)
	case !sound[st.Status]:
		return off("stack %s is %s, and its events say why", x.Stack, st.Status)
	case !st.is(&x.composed):
		return off("stack %s is not as it should be (%s)", x.Stack, differing(st, &x.composed))
	}
	rules, err := b.rulesOf(x)
	if err != nil {
		return Trigger{}, err
	}
	for _, r := range rules {
		state, err := observeRule(ctx, s, r)
		if err != nil {
			return Trigger{}, err
		}
		why := "is gone"
		if state != nil {
			wrong := compareRule(r, state)
			if len(wrong) == 0 {
				continue
			}
			why = "is not as its stack made it (" + wrong[0].Reason + ")"
		}
		return Trigger{Wanted: true, Why: fmt.Sprintf("rule %s %s: orgguard schedule remove, then install, or put it right by hand", r.str("Name"), why)}, nil
	}
	return Trigger{On: true, Wanted: true}, nil
}

// rulesOf are the rules that such a stack makes.
func (b *Baseline) rulesOf(x beside) ([]Resource, error) {
	t, err := parseTemplate(x.Stack, []byte(x.body))
	if err != nil {
		return nil, err
	}
	at := b.scope(x.account, x.region)
	at.params = x.params
	return t.resources(at, "AWS::Events::Rule")
}

// besideChange is a change of such a stack.
func (p *proposer) besideChange(x beside, c plan.Change) plan.Change {
	a, _ := p.Org.Account(x.account)
	c.Kind, c.Stage, c.Control, c.Account, c.AccountName, c.Region, c.Cells = x.kind, x.stage, jobControl, string(a.ID), a.Name, x.region, 1
	c.Targets = []string{instanceKey(a.ID, c.Region)}
	c.Resource, c.Effort = "stack "+x.Stack, oneStack
	return c
}

// putBeside proposes such a stack, where the caller may make it.
func (p *proposer) putBeside(kind string, st stackState, body string) {
	x := p.besides()[kind]
	x.body = body
	switch u := &x.composed; {
	case x.account == p.Org.ManagementAccount && !p.ownsManagement(p.pool):
		a, _ := p.Org.Account(x.account)
		p.skip(plan.Skip{Account: string(a.ID), AccountName: a.Name, Region: x.region, Control: jobControl,
			Reason: "stack " + x.Stack + ": only the management account itself can deploy there: " + x.without + " are audited with the next run of the schedule"})
	case st.Exists && !st.Ours:
		p.skipForeign(x)
	case !st.is(u) || st.failedCreation() || st.inProgress():
		c := p.change(u, kind, plan.Create, "")
		c.Why, c.Undo = x.why, fmt.Sprintf("aws cloudformation delete-stack --region %s --stack-name %s", x.region, x.Stack)
		if st.Exists {
			c.Verb, c.Before, c.Why = plan.Update, describe(st.Body, st.Params), "template or parameters differ: "+differing(st, u)
		}
		s := p.besideSite(p.pool, x)
		was := stackWas{Unit: kind, Existed: st.Exists && !st.failedCreation(), Body: st.Body, Params: st.Params}
		p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: p.besideChange(x, c), Was: was, Apply: func(ctx context.Context) ([]plan.Failure, error) {
			return nil, putStack(ctx, s, u, st)
		}})
	}
}

func (p *proposer) skipForeign(x beside) {
	a, _ := p.Org.Account(x.account)
	p.skip(plan.Skip{Account: string(a.ID), AccountName: a.Name, Region: x.region, Control: jobControl, Blocked: true,
		Reason: "stack " + x.Stack + ": does not carry orgguard's tag: somebody else made it"})
}

// dropBeside proposes to delete such a stack.
func (p *proposer) dropBeside(kind string, st stackState, why string) {
	x := p.besides()[kind]
	switch {
	case !st.Exists:
	case !st.Ours:
		p.skipForeign(x)
	default:
		c := p.besideChange(x, plan.Change{Verb: plan.Delete, Why: why, Before: describe(st.Body, st.Params), Undo: "orgguard schedule install makes it again"})
		s := p.besideSite(p.pool, x)
		was := stackWas{Unit: kind, Existed: true, Deleted: true, Body: st.Body, Params: st.Params}
		p.Proposal.Tasks = append(p.Proposal.Tasks, plan.Task{Change: c, Was: was, Apply: func(ctx context.Context) ([]plan.Failure, error) {
			return nil, dropStack(ctx, s, x.Stack)
		}})
	}
}
