package baseline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/plan"
)

// StackSet is a stack set as CloudFormation describes it.
type StackSet struct {
	Exists    bool
	Ours      bool // has the tag of what orgguard makes
	Body      string
	Params    map[string]string
	Instances map[string]Instance // by instanceKey; in an audit without those of settled
	Drift     *Drift              // what drift detection says; nil when nobody asked it
	Err       error               // why it could not be read
	// More are further stack sets of the same unit, where one cannot hold all of
	// its instances.
	More []*StackSet

	// settled are the instances of which there is nothing to say: CURRENT, and
	// nothing failed. Only an audit puts them here: there are as many as there
	// are accounts × Regions.
	settled map[settledKey]struct{}
}

// settledKey is an account × Region in sixteen bytes and a pointer.
type settledKey struct {
	account uint64
	region  string
}

func settledKeyOf(id orgs.AccountID, region string) (settledKey, bool) {
	n, err := strconv.ParseUint(string(id), 10, 64)
	return settledKey{n, region}, err == nil
}

// instance is what CloudFormation says of the instance in an account × Region, in
// whichever shard has it.
func (s *StackSet) instance(id orgs.AccountID, region string) (Instance, bool) {
	for _, shard := range s.all() {
		if inst, ok := shard.own(id, region); ok {
			return inst, true
		}
	}
	return Instance{}, false
}

// own is instance without the further shards.
func (s *StackSet) own(id orgs.AccountID, region string) (Instance, bool) {
	if k, ok := settledKeyOf(id, region); ok {
		if _, ok := s.settled[k]; ok {
			return Instance{Account: id, Region: region, Status: string(types.StackInstanceStatusCurrent), Detailed: string(types.StackInstanceDetailedStatusSucceeded)}, true
		}
	}
	i, ok := s.Instances[instanceKey(id, region)]
	return i, ok
}

// empty says that the set, without its further shards, has no instance.
func (s *StackSet) empty() bool { return len(s.Instances)+len(s.settled) == 0 }

// Instance is a stack instance as CloudFormation describes it.
type Instance struct {
	Account  orgs.AccountID
	Region   string
	Status   string // CURRENT, OUTDATED, INOPERABLE
	Detailed string // SUCCEEDED, FAILED, SKIPPED_SUSPENDED_ACCOUNT, …
	Reason   string
	Stack    string // ARN of its stack; "" when none was ever made
	// Overrides are its own parameters; nil when nobody asked for them: no listing
	// has them.
	Overrides map[string]string
}

// otherOverrides says whether the instance's parameters of its own are known not to be
// what the configuration says.
func (i Instance) otherOverrides(u *composed) bool {
	return i.Overrides != nil && !maps.Equal(i.Overrides, u.overridden(i.Account)) &&
		// What an account had before its override was taken back; see setOverrides.
		(len(u.overridden(i.Account)) > 0 || !maps.Equal(i.Overrides, map[string]string{overridesParam: noOverrides}))
}

// overridesOf are the parameters that instances had of their own, as far as anybody
// asked, for an undo to put back.
func (s *StackSet) overridesOf(w setWave) map[string]map[string]string {
	out := map[string]map[string]string{}
	for _, key := range targetKeys(w.stale, w.overridden, w.unwanted) {
		if o := s.Instances[key].Overrides; o != nil {
			out[key] = o
		}
	}
	return out
}

// StackSets are the baseline's stack sets by unit id.
type StackSets map[string]*StackSet

func instanceKey(id orgs.AccountID, region string) string { return string(id) + "/" + region }

// says is what CloudFormation says of the instance that should hold what was
// inspected; "" when there is none.
func (s StackSets) says(in Inspection) string {
	if in.unit == nil || s[in.unit.ID] == nil {
		return ""
	}
	inst, _ := s[in.unit.ID].instance(in.Account.ID, in.Region)
	return inst.Status
}

// cloud is CloudFormation as the stack sets' administrator sees it.
type cloud struct {
	pool *access.Pool
	at   access.At
	as   types.CallAs
}

// cloud returns the administrator's view: of the management account, or of a
// delegated administrator, who must say so in every call.
func (b *Baseline) cloud(pool *access.Pool) cloud {
	c := cloud{pool: pool, at: pool.Home(b.Home), as: types.CallAsSelf}
	if pool.Caller().Account != b.Org.ManagementAccount {
		c.as = types.CallAsDelegatedAdmin
	}
	return c
}

// LoadStackSets reads the stack sets of the baseline with their instances. A
// stack set that cannot be read carries its error. For one account alone, only its
// instances are asked for: all of them are a page for each hundred.
func (b *Baseline) LoadStackSets(ctx context.Context, pool *access.Pool, f Filter) StackSets {
	return b.loadStackSets(ctx, pool, f, func(ctx context.Context, c cloud, u *composed, account *string) (*StackSet, error) {
		if b.size(u) > b.most() {
			account = nil // which shard has room is seen of all
		}
		load := func(account *string) (*StackSet, error) {
			return loadShards(u.Stack, func(name string) (*StackSet, error) { return c.load(ctx, name, account) }, b.lacks(u, account))
		}
		s, err := load(account)
		if err == nil && account != nil && len(s.More) > 0 {
			return load(nil)
		}
		return s, err
	})
}

// auditStackSets is LoadStackSets for an audit: it looks at the Regions of the
// baseline alone, and remembers of most instances only that they are as they
// should be.
func (b *Baseline) auditStackSets(ctx context.Context, pool *access.Pool, f Filter) StackSets {
	return b.loadStackSets(ctx, pool, f, func(ctx context.Context, c cloud, u *composed, account *string) (*StackSet, error) {
		var regions []string
		if all := b.unitRegions(u.unit, b.candidates()); account == nil && len(all) > 1 && len(all)*len(b.Accounts) > manyInstances {
			regions = all
		}
		return loadShards(u.Stack, func(name string) (*StackSet, error) { return c.loadSettled(ctx, name, account, regions) }, b.lacks(u, account))
	})
}

// manyInstances is from how many instances on a set is listed Region by Region,
// side by side. A listing is one page of a hundred after the other.
const manyInstances = 1000

func (b *Baseline) loadStackSets(ctx context.Context, pool *access.Pool, f Filter, load func(context.Context, cloud, *composed, *string) (*StackSet, error)) StackSets {
	c := b.cloud(pool)
	var wanted []*composed
	for _, u := range b.units {
		relevant := len(f.Controls) == 0 || slices.ContainsFunc(u.controls, func(id string) bool { return slices.Contains(f.Controls, id) })
		if u.everywhere() && relevant {
			wanted = append(wanted, u)
		}
	}
	r, err := f.resolve(b)
	if err != nil {
		return nil // Inspect says which name is unknown
	}
	var account *string
	if len(r.accounts) == 1 {
		for id := range r.accounts {
			account = aws.String(string(id))
		}
	}
	loaded := orgs.ForEach(ctx, wanted, 8, func(ctx context.Context, u *composed) (*StackSet, error) { return load(ctx, c, u, account) })
	out := StackSets{}
	for i, o := range loaded {
		s := o.Value
		if s == nil {
			s = &StackSet{}
		}
		s.Err = o.Err
		out[wanted[i].ID] = s
	}
	return out
}

// load reads a stack set with its instances: all of them, or an account's.
func (c cloud) load(ctx context.Context, name string, account *string) (*StackSet, error) {
	s, err := c.describe(ctx, name)
	if err != nil || s.Instances == nil {
		return s, err
	}
	if err := c.eachInstance(ctx, name, account, nil, func(i Instance) { s.Instances[instanceKey(i.Account, i.Region)] = i }); err != nil {
		return nil, err
	}
	return s, nil
}

// loadSettled is load for an audit. regions are those to be listed one by one, nil
// for a listing of all of them.
func (c cloud) loadSettled(ctx context.Context, name string, account *string, regions []string) (*StackSet, error) {
	s, err := c.describe(ctx, name)
	if err != nil || s.Instances == nil {
		return s, err
	}
	var mu sync.Mutex
	s.settled = map[settledKey]struct{}{}
	spelled := map[string]string{} // one string for each Region, and not one for each instance
	take := func(i Instance) {
		mu.Lock()
		defer mu.Unlock()
		region, ok := spelled[i.Region]
		if !ok {
			region = strings.Clone(i.Region)
			spelled[region] = region
		}
		k, ok := settledKeyOf(i.Account, region)
		fine := i.Status == string(types.StackInstanceStatusCurrent) && i.Reason == "" && slices.Contains([]string{"", string(types.StackInstanceDetailedStatusSucceeded)}, i.Detailed)
		if ok && fine {
			s.settled[k] = struct{}{}
		} else {
			s.Instances[instanceKey(i.Account, i.Region)] = i
		}
	}
	each := []*string{nil}
	if len(regions) > 0 {
		each = aws.StringSlice(regions)
	}
	for _, o := range orgs.ForEach(ctx, each, 8, func(ctx context.Context, region *string) (struct{}, error) {
		return struct{}{}, c.eachInstance(ctx, name, account, region, take)
	}) {
		if o.Err != nil {
			return nil, o.Err
		}
	}
	return s, nil
}

// describe reads a stack set without its instances. Instances is nil when there is
// no such set.
func (c cloud) describe(ctx context.Context, name string) (*StackSet, error) {
	desc, err := c.pool.CloudFormation.DescribeStackSet(ctx, &cloudformation.DescribeStackSetInput{StackSetName: aws.String(name), CallAs: c.as}, c.at.CloudFormation)
	if notFound(err) {
		return &StackSet{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("describe stack set %s: %w", name, err)
	}
	s := &StackSet{Exists: desc.StackSet.Status != types.StackSetStatusDeleted, Body: aws.ToString(desc.StackSet.TemplateBody), Params: map[string]string{}, Instances: map[string]Instance{}}
	s.Ours = ours(desc.StackSet.Tags)
	for _, p := range desc.StackSet.Parameters {
		s.Params[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	return s, nil
}

// eachInstance goes through the instances of a stack set, of one account or Region
// if they are given.
func (c cloud) eachInstance(ctx context.Context, name string, account, region *string, take func(Instance)) error {
	p := cloudformation.NewListStackInstancesPaginator(c.pool.CloudFormation, &cloudformation.ListStackInstancesInput{
		StackSetName: aws.String(name), StackInstanceAccount: account, StackInstanceRegion: region, CallAs: c.as, MaxResults: aws.Int32(100),
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, c.at.CloudFormation)
		if err != nil {
			return fmt.Errorf("list instances of stack set %s: %w", name, err)
		}
		for _, i := range page.Summaries {
			inst := Instance{Account: orgs.AccountID(aws.ToString(i.Account)), Region: aws.ToString(i.Region), Status: string(i.Status), Reason: aws.ToString(i.StatusReason), Stack: aws.ToString(i.StackId)}
			if i.StackInstanceStatus != nil {
				inst.Detailed = string(i.StackInstanceStatus.DetailedStatus)
			}
			take(inst)
		}
	}
	return nil
}

// matches says whether the stack set has the unit's template and parameters.
func (s *StackSet) matches(u *composed) bool {
	return strings.TrimSpace(s.Body) == strings.TrimSpace(u.body) && equalParams(s.Params, u.params)
}

func equalParams(have, want map[string]string) bool {
	if len(have) != len(want) {
		return false
	}
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}

// tags are on everything that CloudFormation makes for orgguard.
var tags = []types.Tag{{Key: aws.String("managed-by"), Value: aws.String("orgguard")}}

// ours says whether orgguard's tag is among the tags.
func ours(have []types.Tag) bool {
	return slices.ContainsFunc(have, func(t types.Tag) bool {
		return aws.ToString(t.Key) == "managed-by" && aws.ToString(t.Value) == "orgguard"
	})
}

var capabilities = []types.Capability{types.CapabilityCapabilityNamedIam}

func (u *composed) parameterList() []types.Parameter { return parameters(u.params) }

func parameters(values map[string]string) []types.Parameter {
	var out []types.Parameter
	for _, k := range sortedKeys(values) {
		out = append(out, types.Parameter{ParameterKey: aws.String(k), ParameterValue: aws.String(values[k])})
	}
	return out
}

// create makes an empty stack set. One that is there already is what was wanted:
// an earlier run made it and was stopped.
func (c cloud) create(ctx context.Context, b *Baseline, u *composed) error {
	in := &cloudformation.CreateStackSetInput{
		StackSetName: aws.String(u.Stack), Description: aws.String(u.Description), TemplateBody: aws.String(u.body),
		Parameters: u.parameterList(), Capabilities: capabilities, Tags: tags, CallAs: c.as,
		PermissionModel:  types.PermissionModelsServiceManaged,
		ManagedExecution: &types.ManagedExecution{Active: aws.Bool(true)},
		AutoDeployment: &types.AutoDeployment{
			Enabled: aws.Bool(true),
			// An account that leaves the organization keeps its recorder.
			RetainStacksOnAccountRemoval: aws.Bool(true),
			DependsOn:                    c.dependencies(ctx, b, u),
		},
	}
	if _, err := c.pool.CloudFormation.CreateStackSet(ctx, in, c.at.CloudFormation); err != nil && orgs.Code(err) != "NameAlreadyExistsException" {
		return fmt.Errorf("create stack set %s: %w", u.Stack, err)
	}
	return nil
}

// dependencies are the ARNs of the stack sets that auto-deployment must finish
// first in an account that joins.
func (c cloud) dependencies(ctx context.Context, b *Baseline, u *composed) []string {
	var arns []string
	for _, other := range b.units {
		if !slices.Contains(u.after, other.ID) {
			continue
		}
		for n := 1; ; n++ {
			desc, err := c.pool.CloudFormation.DescribeStackSet(ctx, &cloudformation.DescribeStackSetInput{StackSetName: aws.String(shardName(other.Stack, n)), CallAs: c.as}, c.at.CloudFormation)
			if err != nil {
				break
			}
			arns = append(arns, aws.ToString(desc.StackSet.StackSetARN))
		}
	}
	return arns
}

// preferences are how operations run: all Regions at once, and with as many
// accounts as allowed however many fail, up to the tolerance.
func (b *Baseline) preferences() *types.StackSetOperationPreferences {
	p := &types.StackSetOperationPreferences{RegionConcurrencyType: types.RegionConcurrencyTypeParallel, ConcurrencyMode: types.ConcurrencyModeSoftFailureTolerance}
	p.FailureToleranceCount, p.FailureTolerancePercentage = share(b.Config.Rollout.FailureTolerance)
	p.MaxConcurrentCount, p.MaxConcurrentPercentage = share(b.Config.Rollout.MaxConcurrent)
	return p
}

// share reads "5%" or "3"; the configuration has checked it.
func share(s string) (count, percent *int32) {
	digits, isPercent := strings.CutSuffix(s, "%")
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return nil, nil
	}
	if isPercent {
		return nil, aws.Int32(int32(n))
	}
	return aws.Int32(int32(n)), nil
}

// deploy creates the stack instances of a target and waits for the operation.
func (c cloud) deploy(ctx context.Context, b *Baseline, u *composed, t target) ([]plan.Failure, error) {
	id, err := c.submit(ctx, u.Stack, func() (*string, error) {
		out, err := c.pool.CloudFormation.CreateStackInstances(ctx, &cloudformation.CreateStackInstancesInput{
			StackSetName: aws.String(u.Stack), DeploymentTargets: t.deployment(), Regions: t.regions,
			ParameterOverrides: parameters(t.overrides), OperationPreferences: b.preferences(), CallAs: c.as,
		}, c.at.CloudFormation)
		if err != nil {
			return nil, err
		}
		return out.OperationId, nil
	})
	if err != nil {
		return nil, fmt.Errorf("create instances of stack set %s: %w", u.Stack, err)
	}
	return c.wait(ctx, b, u.Stack, id)
}

// update gives the stack set the unit's template and parameters, and with a
// target brings only that part of its instances up to date.
func (c cloud) update(ctx context.Context, b *Baseline, u *composed, t *target) ([]plan.Failure, error) {
	in := &cloudformation.UpdateStackSetInput{
		StackSetName: aws.String(u.Stack), Description: aws.String(u.Description), TemplateBody: aws.String(u.body),
		Parameters: u.parameterList(), Capabilities: capabilities, Tags: tags, CallAs: c.as, OperationPreferences: b.preferences(),
	}
	if t != nil {
		in.DeploymentTargets, in.Regions = t.deployment(), t.regions
	}
	id, err := c.submit(ctx, u.Stack, func() (*string, error) {
		out, err := c.pool.CloudFormation.UpdateStackSet(ctx, in, c.at.CloudFormation)
		if err != nil {
			return nil, err
		}
		return out.OperationId, nil
	})
	if err != nil {
		return nil, fmt.Errorf("update stack set %s: %w", u.Stack, err)
	}
	return c.wait(ctx, b, u.Stack, id)
}

// setOverrides gives a target's instances their parameters, and the stack set's template
// and other parameters with them. A list takes the place of the one that was there,
// and an empty one means that there is none: who shall have no parameters of their own
// gets the one that says so.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_UpdateStackInstances.html
func (c cloud) setOverrides(ctx context.Context, b *Baseline, name string, t target) ([]plan.Failure, error) {
	overrides := t.overrides
	if len(overrides) == 0 {
		overrides = map[string]string{overridesParam: noOverrides}
	}
	id, err := c.submit(ctx, name, func() (*string, error) {
		out, err := c.pool.CloudFormation.UpdateStackInstances(ctx, &cloudformation.UpdateStackInstancesInput{
			StackSetName: aws.String(name), DeploymentTargets: t.deployment(), Regions: t.regions,
			ParameterOverrides: parameters(overrides), OperationPreferences: b.preferences(), CallAs: c.as,
		}, c.at.CloudFormation)
		if err != nil {
			return nil, err
		}
		return out.OperationId, nil
	})
	if err != nil {
		return nil, fmt.Errorf("set the parameters of instances of stack set %s: %w", name, err)
	}
	return c.wait(ctx, b, name, id)
}

// askOverrides asks for the parameters of one instance: there is no listing of them.
func (c cloud) askOverrides(ctx context.Context, name string, inst Instance) (map[string]string, error) {
	out, err := c.pool.CloudFormation.DescribeStackInstance(ctx, &cloudformation.DescribeStackInstanceInput{
		StackSetName: aws.String(name), StackInstanceAccount: aws.String(string(inst.Account)), StackInstanceRegion: aws.String(inst.Region), CallAs: c.as,
	}, c.at.CloudFormation)
	if err != nil {
		return nil, fmt.Errorf("describe the instance of stack set %s in %s, %s: %w", name, inst.Account, inst.Region, err)
	}
	have := map[string]string{}
	for _, p := range out.StackInstance.ParameterOverrides {
		have[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	return have, nil
}

// wait waits for an operation and returns the instances that failed. An operation
// that SUCCEEDED may have failed instances: AWS means that they were within the
// tolerance.
func (c cloud) wait(ctx context.Context, b *Baseline, name, operation string) ([]plan.Failure, error) {
	o, err := c.ended(ctx, name, operation)
	if err != nil {
		return nil, err
	}
	failed, err := c.failures(ctx, b, name, operation)
	if err != nil || o.Status == types.StackSetOperationStatusSucceeded {
		return failed, err
	}
	return failed, &orgs.Hinted{
		Err:  fmt.Errorf("operation %s of stack set %s ended %s (%d instances failed) %s", operation, name, o.Status, len(failed), aws.ToString(o.StatusReason)),
		Next: "mend the causes above and run the rollout again: it goes on where this one stopped",
	}
}

// ended waits until an operation has ended, however it does.
func (c cloud) ended(ctx context.Context, name, operation string) (*types.StackSetOperation, error) {
	for pause := 100 * time.Millisecond; ; pause = min(pause*3/2, 5*time.Second) {
		out, err := c.pool.CloudFormation.DescribeStackSetOperation(ctx, &cloudformation.DescribeStackSetOperationInput{
			StackSetName: aws.String(name), OperationId: aws.String(operation), CallAs: c.as,
		}, c.at.CloudFormation)
		if err != nil {
			return nil, fmt.Errorf("describe operation %s of stack set %s: %w", operation, name, err)
		}
		if over(out.StackSetOperation.Status) {
			return out.StackSetOperation, nil
		}
		if err := orgs.Pause(ctx, pause); err != nil {
			return nil, fmt.Errorf("stopped waiting for operation %s of stack set %s, which goes on: %w", operation, name, err)
		}
	}
}

// failures lists the instances that an operation did not bring where they should
// be. Suspended accounts are skipped by AWS and are no failure.
func (c cloud) failures(ctx context.Context, b *Baseline, name, operation string) ([]plan.Failure, error) {
	var out []plan.Failure
	p := cloudformation.NewListStackSetOperationResultsPaginator(c.pool.CloudFormation, &cloudformation.ListStackSetOperationResultsInput{
		StackSetName: aws.String(name), OperationId: aws.String(operation), CallAs: c.as, MaxResults: aws.Int32(100),
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, c.at.CloudFormation)
		if err != nil {
			return nil, fmt.Errorf("list results of operation %s of stack set %s: %w", operation, name, err)
		}
		for _, r := range page.Summaries {
			if r.Status == types.StackSetOperationResultStatusSucceeded || strings.Contains(strings.ToLower(aws.ToString(r.StatusReason)), "suspended") {
				continue
			}
			f := plan.Failure{Account: aws.ToString(r.Account), Region: aws.ToString(r.Region), Status: string(r.Status), Reason: aws.ToString(r.StatusReason)}
			if a, ok := b.Org.Account(orgs.AccountID(f.Account)); ok {
				f.AccountName = a.Name
			}
			f.Fix = advice(f.Reason)
			out = append(out, f)
		}
	}
	return out, nil
}

// newcomer is the advice where AWS has not yet activated a service.
const newcomer = "AWS is still activating the account's services, as in the first hours of a new one: run the rollout again in an hour, `--only new`"

// advice is what to do about a failed instance, by AWS's reason.
func advice(reason string) string {
	for _, a := range []struct{ sign, do string }{
		{"MaxNumberOfConfigurationRecorders", "a recorder was there that the plan could not see: let the access role in, and run the rollout again to adopt it"},
		{"MaxNumberOfDeliveryChannels", "a delivery channel was there that the plan could not see: let the access role in, and run the rollout again to adopt it"},
		{"service control policy", "an SCP stops StackSets there: exempt stacksets-exec-* in it, or exclude the account with a reason"},
		{"already exists", "something of that name is there and not orgguard's: remove or rename it, then run the rollout again"},
		{"OptInRequired", newcomer},
		{"SubscriptionRequired", newcomer},
		{"not subscribed", newcomer},
		{"not enabled", "enable the Region in the account (and in the management account), or take it out of regions"},
		{"InsufficientDeliveryPolicy", "the log bucket's policy does not let the account in: run `orgguard audit --control config-delivery`"},
		{"Cancelled", "AWS stopped before this one because others failed: mend those, and run the rollout again"},
	} {
		if strings.Contains(reason, a.sign) {
			return a.do
		}
	}
	return "look at the stack's events in that account and Region, then run the rollout again"
}
