package baseline

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
)

// Look is everything that a plan is made of: what the accounts hold and what
// CloudFormation says.
type Look struct {
	Inspected []Inspection
	Sets      StackSets
	// TrustedAccess says whether StackSets may act in the organization.
	TrustedAccess    bool
	TrustedAccessErr error

	stacks map[string]orgs.Outcome[stackState] // by stackKey
	filter resolved                            // what was looked at
}

func stackKey(u *composed, id orgs.AccountID, region string) string {
	return u.ID + "/" + instanceKey(id, region)
}

// stackPlace is a plain stack's account × Region.
type stackPlace struct {
	unit    *composed
	account orgs.AccountID
	region  string
}

// stackPlaces are all plain stacks of the baseline: the units that live once,
// and in the management account, which stack sets never reach, those that live
// everywhere.
func (b *Baseline) stackPlaces(f resolved) []stackPlace {
	var out []stackPlace
	for _, a := range b.Accounts {
		if a.Excluded != "" || a.State != orgs.StateActive {
			continue
		}
		for _, u := range b.units {
			if u.direct || !b.has(u.unit, a.ID) || u.everywhere() && (a.ID != b.Org.ManagementAccount || !f.reaches(a.ID) || !f.serves(u)) {
				continue
			}
			for _, region := range b.unitRegions(u.unit, b.candidates()) {
				out = append(out, stackPlace{u, a.ID, region})
			}
		}
	}
	return out
}

// Look reads what a plan needs. Accounts and stacks that cannot be read carry
// their error; only a broken template is an error of Look itself.
func (b *Baseline) Look(ctx context.Context, pool *access.Pool, workers int, progress Progress) (*Look, error) {
	return b.LookAt(ctx, pool, Filter{}, workers, progress)
}

// LookAt is Look for a plan that is narrowed to some accounts and controls. Units
// are looked at as a whole, since they are deployed so, and those that live once
// always: what is asked for rests on them.
func (b *Baseline) LookAt(ctx context.Context, pool *access.Pool, f Filter, workers int, progress Progress) (*Look, error) {
	r, err := f.resolve(b)
	if err != nil {
		return nil, err
	}
	r.whole = true
	l := &Look{stacks: map[string]orgs.Outcome[stackState]{}, filter: r}
	// CloudFormation is asked first. Work that an earlier run left behind may
	// end at any moment: seen in this order it is at worst waited for, while a
	// stack that is complete only after its resources were found missing would
	// be mended by hand.
	l.Sets = b.LoadStackSets(ctx, pool, f)
	places := b.stackPlaces(r)
	states := orgs.ForEach(ctx, places, workers, func(ctx context.Context, p stackPlace) (stackState, error) {
		return observeStack(ctx, b.site(pool, p.account, p.region), p.unit.Stack)
	})
	for i, p := range places {
		l.stacks[stackKey(p.unit, p.account, p.region)] = states[i]
	}
	c := b.cloud(pool)
	desc, err := pool.CloudFormation.DescribeOrganizationsAccess(ctx, &cloudformation.DescribeOrganizationsAccessInput{CallAs: c.as}, c.at.CloudFormation)
	switch {
	case err != nil:
		l.TrustedAccessErr = fmt.Errorf("ask whether StackSets may act in the organization: %w", err)
	default:
		l.TrustedAccess = desc.Status == types.OrganizationStatusEnabled
	}
	if l.Inspected, err = b.inspectCells(ctx, pool, b.cells(r), workers, b.counting(r, progress)); err != nil {
		return nil, err
	}
	b.askOverrides(ctx, c, l, workers)
	return l, nil
}

// askOverrides asks which parameters of their own instances have, where it matters and
// nothing else tells: what CloudFormation calls CURRENT is not what the overrides say,
// or is about to get a new template. It is one call for each such instance, and none
// in an organization where all is well.
func (b *Baseline) askOverrides(ctx context.Context, c cloud, l *Look, workers int) {
	type asked struct {
		set  *StackSet
		name string
		inst Instance
	}
	var doubtful []asked
	for _, u := range b.units {
		set := l.Sets[u.ID]
		if set == nil || !set.Exists || set.Err != nil {
			continue
		}
		had := func(s *StackSet) bool { return s.Params[overridesParam] != "" }
		if !u.varies() && !slices.ContainsFunc(set.all(), had) {
			continue // as in an organization without overrides
		}
		for _, v := range viewsOf(u, l.Inspected) {
			for i, shard := range set.all() {
				if !u.varies() && !had(shard) {
					continue
				}
				inst, has := shard.Instances[instanceKey(v.account.ID, v.region)]
				if has && (v.remains() || len(v.broken()) > 0 || !shard.matches(u) && len(u.overridden(v.account.ID)) > 0) {
					doubtful = append(doubtful, asked{shard, shardName(u.Stack, i+1), inst})
				}
			}
		}
	}
	answers := orgs.ForEach(ctx, doubtful, workers, func(ctx context.Context, a asked) (map[string]string, error) {
		return c.askOverrides(ctx, a.name, a.inst)
	})
	for i, a := range doubtful {
		if answers[i].Err != nil {
			a.set.Err = answers[i].Err
			continue
		}
		a.inst.Overrides = answers[i].Value
		a.set.Instances[instanceKey(a.inst.Account, a.inst.Region)] = a.inst
	}
}

// activate lets StackSets act in the organization.
func (c cloud) activate(ctx context.Context) error {
	if _, err := c.pool.CloudFormation.ActivateOrganizationsAccess(ctx, &cloudformation.ActivateOrganizationsAccessInput{}, c.at.CloudFormation); err != nil {
		return &orgs.Hinted{
			Err:  fmt.Errorf("activate trusted access of CloudFormation StackSets: %w", err),
			Next: "only the management account can do this: run the rollout there, or activate it once in the CloudFormation console",
		}
	}
	desc, err := c.pool.CloudFormation.DescribeOrganizationsAccess(ctx, &cloudformation.DescribeOrganizationsAccessInput{CallAs: c.as}, c.at.CloudFormation)
	if err != nil {
		return fmt.Errorf("verify trusted access of CloudFormation StackSets: %w", err)
	}
	if desc.Status != types.OrganizationStatusEnabled {
		return fmt.Errorf("trusted access of CloudFormation StackSets is %s after it was activated", aws.ToString((*string)(&desc.Status)))
	}
	return nil
}
