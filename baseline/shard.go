package baseline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
)

// maxInstances is how many stack instances AWS puts into one stack set.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const maxInstances = 100_000

// A unit that needs more than one stack set has them as shards: orgguard-recorder,
// orgguard-recorder-2, and so on. What is shared out are Regions. Auto-deployment brings
// an account that joins into every stack set that names its OU, in the Regions where
// that one is there: two shards must never have the same OU in the same Region, and an
// operation may name many OUs. A Region that has instances stays where they are,
// however it grows, so that nobody ever moves.

// shardName is the stack set of a shard, counted from 1.
func shardName(stack string, n int) string {
	if n < 2 {
		return stack
	}
	return fmt.Sprintf("%s-%d", stack, n)
}

// isShard says whether name is the stack set of a shard.
func isShard(stack, name string) bool {
	n, err := strconv.Atoi(strings.TrimPrefix(name, stack+"-"))
	return name == stack || err == nil && name == shardName(stack, n)
}

// shard is the unit as a shard's stack set has it.
func (c *composed) shard(shard int) *composed {
	s := *c
	s.Stack = shardName(c.Stack, shard)
	return &s
}

// all is the stack set with its further shards.
func (s *StackSet) all() []*StackSet { return append([]*StackSet{s}, s.More...) }

// loadShards reads a unit's stack set, and further ones for as long as those that were
// read lack something. The first one is the last to go (see teardown), so those that
// there are have no gaps.
func loadShards(stack string, load func(name string) (*StackSet, error), lacks func(*StackSet) bool) (*StackSet, error) {
	first, err := load(stack)
	if err != nil || !first.Exists {
		return first, err
	}
	for n := 2; lacks(first); n++ {
		more, err := load(shardName(stack, n))
		if err != nil {
			return nil, err
		}
		if !more.Exists {
			break
		}
		first.More = append(first.More, more)
	}
	return first, nil
}

// lacks says whether the stack sets of a unit have not all the instances that there may
// be, of all accounts or of one. Where they have, nobody needs to ask whether there is
// a further one: that would be a call for each unit in every organization, and nearly
// all have one stack set for each.
func (b *Baseline) lacks(u *composed, account *string) func(*StackSet) bool {
	regions := b.unitRegions(u.unit, b.candidates())
	return func(s *StackSet) bool {
		return slices.ContainsFunc(b.Accounts, func(a orgs.Selected) bool {
			if !b.reached(a) || b.empty(u, a.ID) || account != nil && *account != string(a.ID) {
				return false
			}
			return slices.ContainsFunc(regions, func(region string) bool { _, has := s.instance(a.ID, region); return !has })
		})
	}
}

// most is how many instances one stack set may have.
func (b *Baseline) most() int {
	if b.limit > 0 {
		return b.limit
	}
	return maxInstances
}

// roomy is up to where a stack set takes new Regions: the rest is for those that it has,
// which grow.
func (b *Baseline) roomy() int { return b.most() * 9 / 10 }

// share says which of the views belong into which shard of a unit's stack set.
func (p *proposer) share(u *composed, set *StackSet, views []view) [][]view {
	// A plan may be about one account, or a canary: a Region takes the room that all
	// of its accounts will need.
	whole := p.sizeOfRegion()
	shards := set.all()
	load := make([]int, len(shards))  // instances that there will be after this plan
	taken := make([]int, len(shards)) // room
	home := map[string]int{}          // shard of a Region
	for n, s := range shards {
		load[n] = len(s.Instances)
		have := map[string]int{}
		for _, inst := range s.Instances {
			have[inst.Region]++
			if _, known := home[inst.Region]; !known {
				home[inst.Region] = n
			}
		}
		for _, count := range have {
			taken[n] += max(count, whole)
		}
	}
	need := map[string]int{}
	missing := 0
	for _, v := range views {
		if p.lacking(set, v) {
			need[v.region]++
			missing++
		}
	}
	if len(shards) == 1 && max(load[0]+missing, p.size(u)) <= p.most() {
		return [][]view{views}
	}
	for _, region := range sortedKeys(need) {
		n, known := home[region]
		if !known {
			n = slices.IndexFunc(taken, func(t int) bool { return t == 0 || t+whole <= p.roomy() })
			if n < 0 {
				n = len(taken)
				taken, load = append(taken, 0), append(load, 0)
			}
			taken[n] += whole
			home[region] = n
		}
		load[n] += need[region]
	}
	p.overfull(u, load)
	out := make([][]view, len(load))
	for _, v := range views {
		n := slices.IndexFunc(shards, func(s *StackSet) bool { _, has := s.own(v.account.ID, v.region); return has })
		if n < 0 {
			n = home[v.region]
		}
		out[n] = append(out[n], v)
	}
	return out
}

// lacking says whether a view will need an instance that no shard has.
func (p *proposer) lacking(set *StackSet, v view) bool {
	_, has := set.instance(v.account.ID, v.region)
	return !has && !p.empty(v.unit, v.account.ID) && (v.err() != nil || !v.present())
}

// overfull reports shards that grow past what AWS takes: their accounts cannot move.
func (p *proposer) overfull(u *composed, load []int) {
	for i, n := range load {
		if n <= p.most() {
			continue
		}
		mgmt, _ := p.Org.Account(p.Org.ManagementAccount)
		p.skip(plan.Skip{
			Account: string(mgmt.ID), AccountName: mgmt.Name, Region: p.Home, Control: strings.Join(u.controls, ","), Blocked: true,
			Reason: fmt.Sprintf("stack set %s would have %d instances, and AWS takes %d: ask AWS Support for more", shardName(u.Stack, i+1), n, p.most()),
		})
	}
}
