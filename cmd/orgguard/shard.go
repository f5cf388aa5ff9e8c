package main

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/reports"
)

// maxShards bounds the number of parts.
const maxShards = 10_000

// shard is part index, from 1, of so many; the zero shard is everything.
type shard struct{ index, of int }

var shardPattern = regexp.MustCompile(`^([0-9]{1,5})/([0-9]{1,5})$`)

// parseShard reads what a user types: 2/8.
func parseShard(s string) (shard, error) {
	if s == "" {
		return shard{}, nil
	}
	m := shardPattern.FindStringSubmatch(s)
	if m == nil {
		return shard{}, usage("--shard %q: want a part and the number of parts, such as 2/8", s)
	}
	index, _ := strconv.Atoi(m[1]) // five digits
	of, _ := strconv.Atoi(m[2])
	if of < 1 || of > maxShards || index < 1 || index > of {
		return shard{}, usage("--shard %s: want a part from 1 to the number of parts, and at most %d parts", s, maxShards)
	}
	return shard{index, of}, nil
}

// cut is an audit's accounts by part. The zero cut is an audit of everything.
type cut struct {
	shard
	accounts []reports.ShardAccount // of all parts, by number
	mine     map[string]bool
}

// cut deals the accounts that a filter leaves out to the parts in turn: those that are
// looked at first, so that each part has its share of the work, then the others. Who
// has which follows from the accounts alone.
func (s *session) cut(sh shard, f baseline.Filter) (cut, error) {
	c := cut{shard: sh}
	if sh.of == 0 {
		return c, nil
	}
	accounts, err := s.accountsOf(f)
	if err != nil {
		return c, err
	}
	c.accounts, c.mine = deal(accounts, sh)
	return c, nil
}

// deal is cut's arithmetic.
func deal(accounts []orgs.Selected, sh shard) (all []reports.ShardAccount, mine map[string]bool) {
	idle := func(a orgs.Selected) int {
		if a.Excluded == "" && a.State == orgs.StateActive {
			return 0
		}
		return 1
	}
	accounts = slices.Clone(accounts)
	slices.SortFunc(accounts, func(a, b orgs.Selected) int { return cmp.Or(idle(a)-idle(b), cmp.Compare(a.ID, b.ID)) })
	mine = map[string]bool{}
	for i, a := range accounts {
		part := i%sh.of + 1
		all = append(all, reports.ShardAccount{ID: string(a.ID), Name: a.Name, OUPath: a.OUPath, Shard: part})
		if part == sh.index {
			mine[string(a.ID)] = true
		}
	}
	slices.SortFunc(all, func(a, b reports.ShardAccount) int { return cmp.Compare(a.ID, b.ID) })
	return all, mine
}

// holds says whether the part looks at an account.
func (c cut) holds(account string) bool { return c.of == 0 || c.mine[account] }

// empty says that there are more parts than accounts, and this is one too many.
func (c cut) empty() bool { return c.of > 0 && len(c.mine) == 0 }

// narrow leaves the part's accounts of what a filter leaves.
func (c cut) narrow(f baseline.Filter) baseline.Filter {
	if c.of == 0 || c.empty() {
		return f
	}
	f.Accounts, f.OUs = sortedKeys(c.mine), nil
	return f
}

// report is what the report says about the part.
func (c cut) report() *reports.Shard {
	if c.of == 0 {
		return nil
	}
	return &reports.Shard{Index: c.index, Of: c.of, Accounts: c.accounts}
}
