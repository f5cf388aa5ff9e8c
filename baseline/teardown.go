package baseline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
)

// History says what becomes of what holds history: the log bucket, the recorders
// and their delivery channels, and the role with which they go on recording.
type History bool

// The choices.
const (
	KeepHistory   History = false
	DeleteHistory History = true
)

// history are the units that go on recording when they are kept.
var history = []string{"recorder", "roles"}

// Teardown says how to take away what a rollout made, the last stage first: what
// the units of this package deploy, wherever it is, whether or not the
// configuration has it switched on. It takes nothing that does not carry
// orgguard's tag, and nothing because an account has stopped resolving: what lies
// in an account that is not an active one of the organization is reported.
func (b *Baseline) Teardown(ctx context.Context, pool *access.Pool, h History, workers int) Proposal {
	t := &teardown{undoer: undoer{proposer: proposer{Baseline: b, pool: pool, skipped: map[plan.Skip]bool{}}, cloud: b.cloud(pool)}, history: h}
	for _, u := range slices.Backward(units) {
		if u.everywhere() {
			t.set(ctx, u)
		}
		t.stacks(ctx, u, workers)
		if u.direct {
			t.organization(ctx, u, workers)
		}
	}
	t.job(ctx, pool)
	if h == DeleteHistory {
		t.recorders(ctx, workers)
		t.bucket(ctx)
	}
	slices.SortStableFunc(t.Proposal.Tasks, func(a, b plan.Task) int { return int(b.Stage) - int(a.Stage) })
	return t.Proposal
}

type teardown struct {
	undoer
	history History
}

// job proposes to delete the rules with which the scheduled audit listens on the alerts'
// bus: a bus that has rules cannot be deleted. The job itself is no rollout's, and stays.
func (t *teardown) job(ctx context.Context, pool *access.Pool) {
	x := t.besides()[jobTamper]
	st, err := t.lookBeside(ctx, pool, jobTamper)
	switch {
	case err != nil:
		t.left(x.account, x.region, "stack "+x.Stack, orgs.Reason(err), true)
	case st.Exists && !st.Ours:
		t.left(x.account, x.region, "stack "+x.Stack, "does not carry orgguard's tag: somebody else made it, and the alerts' bus cannot go while its rules are there", true)
	case st.Exists:
		t.add(plan.Change{
			Stage: x.stage, Account: string(x.account), Region: x.region, Resource: "stack " + x.Stack, Why: "its rules are on the alerts' bus, which goes; tampering begins no audit any more", Effort: oneStack,
			Targets: []string{instanceKey(x.account, x.region)}, Before: describe(st.Body, st.Params),
		}, func(ctx context.Context) ([]plan.Failure, error) {
			return nil, dropStack(ctx, t.besideSite(pool, x), x.Stack)
		})
		made := &t.Proposal.Tasks[len(t.Proposal.Tasks)-1]
		made.Undo = "orgguard schedule install makes it again, after a rollout"
	}
	switch st, err = observeStack(ctx, t.jobSite(pool), JobName); {
	case err != nil:
		t.left(t.Security, t.Home, "stack "+JobName, orgs.Reason(err), true)
	case st.Exists:
		t.left(t.Security, t.Home, "stack "+JobName, "the scheduled audit stays, and so does what it tells people: orgguard schedule remove takes it away (--delete-history with its history, and who was told what)", false)
	}
}

// keeps says whether the stacks of a unit stay, because they go on recording.
func (t *teardown) keeps(u unit) bool {
	return t.history == KeepHistory && slices.Contains(history, u.ID)
}

func (t *teardown) left(account orgs.AccountID, region, what, why string, blocked bool) {
	a, _ := t.Org.Account(account)
	t.skip(plan.Skip{Account: string(account), AccountName: a.Name, Region: region, Control: "all", Reason: what + ": " + why, Blocked: blocked})
}

func (t *teardown) add(c plan.Change, apply func(context.Context) ([]plan.Failure, error)) {
	if a, ok := t.Org.Account(orgs.AccountID(c.Account)); ok {
		c.AccountName = a.Name
	}
	c.Kind, c.Verb, c.Control = "teardown", plan.Delete, "all"
	c.Cells = max(1, len(c.Targets))
	if c.Effort == (plan.Effort{}) {
		c.Effort = plan.Effort{Writes: 1}
	}
	c.Undo = "orgguard rollout makes it again"
	t.Proposal.Tasks = append(t.Proposal.Tasks, plan.Task{Change: c, Apply: apply})
}

// set proposes to delete a unit's stack sets with their instances: the last shard first,
// so that a teardown that ends in between leaves no gap in their numbers.
func (t *teardown) set(ctx context.Context, u unit) {
	all, err := loadShards(u.Stack, func(name string) (*StackSet, error) { return t.cloud.load(ctx, name, nil) }, func(*StackSet) bool { return true })
	if err != nil {
		t.left(t.Org.ManagementAccount, t.Home, "stack set "+u.Stack, orgs.Reason(err), true)
		return
	}
	from := len(t.Proposal.Tasks)
	for i, s := range slices.Backward(all.all()) {
		one := u
		one.Stack = shardName(u.Stack, i+1)
		t.oneSet(one, s)
	}
	if made := t.Proposal.Tasks[from:]; len(made) > 1 {
		one := made[len(made)-1]
		for _, other := range made[:len(made)-1] {
			one.Resource += ", " + strings.TrimPrefix(other.Resource, "stack set ")
			one.Why = other.Why + "; " + one.Why
			one.Targets = append(one.Targets, other.Targets...)
			one.Effort.Add(other.Effort)
		}
		one.Cells = max(1, len(one.Targets))
		one.Apply = func(ctx context.Context) ([]plan.Failure, error) {
			for _, task := range made {
				if failed, err := task.Apply(ctx); err != nil || len(failed) > 0 {
					return failed, err
				}
			}
			return nil, nil
		}
		made = slices.Clone(made)
		t.Proposal.Tasks = append(t.Proposal.Tasks[:from], one)
	}
}

// oneSet proposes to delete a stack set with its instances.
func (t *teardown) oneSet(u unit, set *StackSet) {
	mgmt := t.Org.ManagementAccount
	switch {
	case !set.Exists:
		return
	case !set.Ours:
		t.left(mgmt, t.Home, "stack set "+u.Stack, "does not carry orgguard's tag: somebody else made it", false)
		return
	}
	live, closed := reach{}, reach{}
	var keys []string
	stays := 0
	for _, k := range sortedKeys(set.Instances) {
		inst := set.Instances[k]
		a, known := t.Org.Account(inst.Account)
		switch {
		case !known:
			stays++
			t.left(inst.Account, inst.Region, "stack instance of "+u.Stack, "the account is not in the organization any more: its instance is not deleted, and so the stack set stays", true)
			continue
		case a.State != orgs.StateActive:
			closed[a.ID] = append(closed[a.ID], inst.Region) // out of reach: forgotten, its stack goes with the account
		default:
			live[a.ID] = append(live[a.ID], inst.Region)
		}
		keys = append(keys, k)
	}
	keep, why := deleteStacks, fmt.Sprintf("%d instances and their stacks; what holds history stays", live.cells())
	if t.keeps(u) {
		keep, why = keepStacks, fmt.Sprintf("%d instances are let go; their stacks stay, and go on recording (--delete-history takes them too)", live.cells())
	}
	if n := closed.cells(); n > 0 {
		why += fmt.Sprintf("; %d instances in suspended accounts are let go", n)
	}
	e := t.removal(live)
	if t.keeps(u) {
		e.Stacks, e.Rounds = 0, 0
	}
	gone := t.removal(closed)
	e.Add(plan.Effort{Writes: gone.Writes, Operations: gone.Operations})
	if stays == 0 {
		e.Writes++ // the stack set itself
	}
	t.add(plan.Change{Stage: u.stage, Account: string(mgmt), Region: t.Home, Resource: "stack set " + u.Stack, Why: why, Targets: keys, Before: describe(set.Body, set.Params), Effort: e},
		func(ctx context.Context) ([]plan.Failure, error) {
			failed, err := t.cloud.removeAll(ctx, t.Baseline, u.Stack, live, keep)
			if err != nil {
				return failed, err
			}
			f, err := t.cloud.removeAll(ctx, t.Baseline, u.Stack, closed, keepStacks)
			failed = append(failed, f...)
			if err != nil || len(failed) > 0 || stays > 0 {
				return failed, err
			}
			return nil, t.cloud.drop(ctx, u.Stack)
		})
}

// stacks proposes to delete the plain stacks of a unit.
func (t *teardown) stacks(ctx context.Context, u unit, workers int) {
	if u.direct {
		return // settings of the accounts: they are in no stack
	}
	var places []stackPlace
	for _, a := range t.Accounts {
		if a.State != orgs.StateActive || !t.has(u, a.ID) || u.everywhere() && a.ID != t.Org.ManagementAccount {
			continue
		}
		for _, region := range t.unitRegions(u, t.candidates()) {
			places = append(places, stackPlace{account: a.ID, region: region})
		}
	}
	found := orgs.ForEach(ctx, places, workers, func(ctx context.Context, p stackPlace) (stackState, error) {
		return observeStack(ctx, t.site(t.pool, p.account, p.region), u.Stack)
	})
	for i, p := range places {
		st, err := found[i].Value, found[i].Err
		switch {
		case err != nil:
			t.left(p.account, p.region, "stack "+u.Stack, orgs.Reason(err), true)
		case !st.Exists:
		case !st.Ours:
			t.left(p.account, p.region, "stack "+u.Stack, "does not carry orgguard's tag: somebody else made it", false)
		case t.keeps(u):
			t.left(p.account, p.region, "stack "+u.Stack, "kept: the recorder goes on recording with it (--delete-history takes it too)", false)
		default:
			t.add(plan.Change{
				Stage: u.stage, Account: string(p.account), Region: p.region, Resource: "stack " + u.Stack, Why: "what holds history in it stays", Effort: oneStack,
				Targets: []string{instanceKey(p.account, p.region)}, Before: describe(st.Body, st.Params),
			}, func(ctx context.Context) ([]plan.Failure, error) {
				return nil, dropStack(ctx, t.site(t.pool, p.account, p.region), u.Stack)
			})
		}
	}
}

// recorders proposes to delete orgguard's own recorders and channels, which outlive
// their stacks. Those of others are none of them, adopted or not.
func (t *teardown) recorders(ctx context.Context, workers int) {
	type own struct{ recorder, channel bool }
	var places []stackPlace
	for _, a := range t.Accounts {
		if a.State == orgs.StateActive && a.Excluded == "" {
			for _, region := range t.Regions {
				places = append(places, stackPlace{account: a.ID, region: region})
			}
		}
	}
	found := orgs.ForEach(ctx, places, workers, func(ctx context.Context, p stackPlace) (own, error) {
		s := t.site(t.pool, p.account, p.region)
		rec, err := observeRecorder(ctx, s, Resource{})
		if err != nil {
			return own{}, err
		}
		ch, err := observeChannel(ctx, s, Resource{})
		if err != nil {
			return own{}, err
		}
		r, _ := rec.(recorderState)
		c, _ := ch.(channelState)
		return own{r.Name == ownName, c.Name == ownName && (rec == nil || r.Name == ownName)}, nil
	})
	for i, p := range places {
		o, err := found[i].Value, found[i].Err
		if err != nil {
			t.left(p.account, p.region, "recorder", orgs.Reason(err), true)
			continue
		}
		if !o.recorder && !o.channel {
			continue
		}
		t.add(plan.Change{
			Stage: plan.Repairs, Account: string(p.account), Region: p.region, Resource: "recorder and delivery channel " + ownName,
			Why: "as asked for: nothing is recorded there any more", Targets: []string{instanceKey(p.account, p.region)},
			Effort: deleteEffort(o.recorder, o.channel),
		}, func(ctx context.Context) ([]plan.Failure, error) {
			return nil, deleteRecorder(ctx, t.site(t.pool, p.account, p.region), ownName, ownName)
		})
	}
}

// deleteEffort is what deleting a recorder and a channel takes.
func deleteEffort(recorder, channel bool) plan.Effort {
	var e plan.Effort
	if recorder {
		e.Writes += 2 // it is stopped first
	}
	if channel {
		e.Writes++
	}
	return e
}

// deleteRecorder stops and deletes a recorder and its channel; what is not there
// is what was wanted.
func deleteRecorder(ctx context.Context, s site, recorder, channel string) error {
	gone := func(err error) bool { return err == nil || notFound(err) }
	if recorder != "" {
		if _, err := s.Config.StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String(recorder)}, s.at.Config); !gone(err) {
			return fmt.Errorf("stop recorder %s: %w", recorder, err)
		}
		if _, err := s.Config.DeleteConfigurationRecorder(ctx, &configservice.DeleteConfigurationRecorderInput{ConfigurationRecorderName: aws.String(recorder)}, s.at.Config); !gone(err) {
			return fmt.Errorf("delete recorder %s: %w", recorder, err)
		}
	}
	if channel != "" {
		if _, err := s.Config.DeleteDeliveryChannel(ctx, &configservice.DeleteDeliveryChannelInput{DeliveryChannelName: aws.String(channel)}, s.at.Config); !gone(err) {
			return fmt.Errorf("delete delivery channel %s: %w", channel, err)
		}
	}
	return nil
}

// bucket proposes to delete the log bucket when it is empty. What was delivered is
// for people to delete: there may be laws about it.
func (t *teardown) bucket(ctx context.Context) {
	s := t.site(t.pool, t.Security, t.Home)
	name := t.LogBucket()
	out, err := s.S3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(name), MaxKeys: aws.Int32(1)}, s.at.S3)
	switch {
	case notFound(err):
	case err != nil:
		t.left(t.Security, t.Home, "bucket "+name, orgs.Reason(err), true)
	case len(out.Contents) > 0:
		t.left(t.Security, t.Home, "bucket "+name, fmt.Sprintf("is not empty: look at it, then empty and delete it yourself (aws s3 rb --force s3://%s)", name), false)
	default:
		t.add(plan.Change{Stage: plan.Central, Account: string(t.Security), Region: t.Home, Resource: "bucket " + name, Why: "is empty", Targets: []string{instanceKey(t.Security, t.Home)}},
			func(ctx context.Context) ([]plan.Failure, error) {
				if _, err := s.S3.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String(name)}, s.at.S3); err != nil && !notFound(err) {
					return nil, fmt.Errorf("delete bucket %s: %w", name, err)
				}
				return nil, nil
			})
	}
}

// Remains are what is left in the organization of what orgguard makes, with the
// reason: what a teardown ends with.
func (b *Baseline) Remains(ctx context.Context, pool *access.Pool, h History, workers int) []plan.Skip {
	t := &teardown{undoer: undoer{proposer: proposer{Baseline: b, pool: pool, skipped: map[plan.Skip]bool{}}, cloud: b.cloud(pool)}, history: h}
	for _, u := range slices.Backward(units) {
		if u.everywhere() {
			t.set(ctx, u)
		}
		t.stacks(ctx, u, workers)
		if u.direct {
			t.organization(ctx, u, workers)
		}
	}
	t.job(ctx, pool)
	t.recorders(ctx, workers)
	t.bucket(ctx)
	for _, task := range t.Proposal.Tasks {
		why := "still there: run teardown again"
		if h == KeepHistory && (task.Stage == plan.Repairs || strings.HasPrefix(task.Resource, "bucket ")) {
			why = "kept: it holds history (--delete-history)"
		}
		region := task.Region
		if region == "" {
			region = finding.Global
		}
		t.left(orgs.AccountID(task.Account), region, task.Resource, why, false)
	}
	return t.Proposal.Skipped
}
