package baseline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/account/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
)

// Filter narrows what is looked at; then only the calls that this needs are
// sent. The zero Filter means everything. Several values of one field widen it,
// several fields narrow it.
type Filter struct {
	Controls []string
	Accounts []string // numbers or names
	OUs      []string // ids, names or paths
	Regions  []string // or "global"
}

// IsZero says that the filter narrows nothing.
func (f Filter) IsZero() bool {
	return len(f.Controls)+len(f.Accounts)+len(f.OUs)+len(f.Regions) == 0
}

// resolved is a filter whose names have been looked up.
type resolved struct {
	controls, regions []string
	accounts          map[orgs.AccountID]bool // nil: all
	// whole takes units for what they are, deployed as one: all of a unit that
	// has one of the controls, and every unit that lives once, on which the
	// others rest. It is for plans.
	whole bool
}

// resolve looks the filter's names up and reports every unknown one.
func (f Filter) resolve(b *Baseline) (resolved, error) {
	r := resolved{controls: f.Controls, regions: f.Regions}
	var problems []error
	for _, id := range f.Controls {
		if !slices.ContainsFunc(controls, func(c Control) bool { return c.ID == id }) {
			var ids []string
			for _, c := range controls {
				ids = append(ids, c.ID)
			}
			problems = append(problems, &orgs.UnknownError{Kind: "control", Name: id, Near: orgs.Nearest(id, ids)})
		}
	}
	for _, region := range f.Regions {
		if known := append(b.candidates(), b.Org.Partition.GlobalRegion, b.Home, finding.Global); !slices.Contains(known, region) {
			problems = append(problems, fmt.Errorf("region %q is not part of the baseline (%s, or global)", region, joinAnd(b.Regions)))
		}
	}
	if len(f.Accounts)+len(f.OUs) > 0 {
		chosen, err := b.Org.Select(orgs.Selector{Accounts: f.Accounts, OUs: f.OUs}, nil)
		if err != nil {
			problems = append(problems, err)
		}
		r.accounts = make(map[orgs.AccountID]bool, len(chosen))
		for _, a := range chosen {
			r.accounts[a.ID] = true
		}
	}
	return r, errors.Join(problems...)
}

// reaches says whether the account is meant.
func (r resolved) reaches(id orgs.AccountID) bool { return r.accounts == nil || r.accounts[id] }

// everything says whether the filter leaves nothing out.
func (r resolved) everything() bool {
	return r.accounts == nil && len(r.controls) == 0 && len(r.regions) == 0
}

// asks says whether what was inspected is what was asked for, and not only looked
// at as a part of its unit.
func (r resolved) asks(in Inspection) bool {
	return !in.unit.everywhere() || r.reaches(in.Account.ID) && (len(r.controls) == 0 || slices.Contains(r.controls, in.Resource.Control))
}

// serves says whether the unit has a part in one of the controls.
func (r resolved) serves(u *composed) bool {
	return len(r.controls) == 0 || slices.ContainsFunc(u.controls, func(id string) bool { return slices.Contains(r.controls, id) })
}

// covers says whether the filter leaves a resource of a unit in an account.
func (r resolved) covers(u *composed, id orgs.AccountID, res Resource, region string) bool {
	switch {
	case r.whole && !u.everywhere():
		return true
	case r.whole:
		return r.reaches(id) && r.serves(u)
	}
	return r.reaches(id) && r.wants(res, region)
}

func (r resolved) wants(res Resource, region string) bool {
	return (len(r.controls) == 0 || slices.Contains(r.controls, res.Control)) &&
		(len(r.regions) == 0 || slices.Contains(r.regions, label(res, region)))
}

// label is the Region under which a resource is reported.
func label(r Resource, region string) string {
	if kinds[r.Type].global {
		return finding.Global
	}
	return region
}

// candidates are the Regions in which the baseline may live in some account.
func (b *Baseline) candidates() []string {
	if b.AllEnabled {
		return b.Org.Partition.All()
	}
	return b.Regions
}

// Inspection is one resource of the baseline as it was found.
type Inspection struct {
	Account  orgs.Selected
	Region   string // where it was looked at
	Resource Resource
	State    any // as the kind observed it; nil when it does not exist or is in sync
	// Mismatches are empty for a resource in sync.
	Mismatches []Mismatch
	// Absent says that the resource does not exist.
	Absent bool
	// Err says why nobody could look.
	Err error
	// Off is the reason why there is nothing to look at.
	Off string

	unit *composed
}

// cell is what one account × Region holds: the resources of all units there.
type cell struct {
	account orgs.Selected
	region  string
	parts   []cellPart
}

type cellPart struct {
	unit *composed
	Resource
}

// scope is where the templates of a cell are evaluated.
func (b *Baseline) scope(id orgs.AccountID, region string) scope {
	return scopeOf(b.Org.Partition, id, region)
}

func scopeOf(p orgs.Partition, id orgs.AccountID, region string) scope {
	return scope{account: string(id), region: region, partition: p.ID, suffix: p.DNSSuffix}
}

// cells lists everything that the baseline wants, account by account.
func (b *Baseline) cells(f resolved) ([]cell, error) {
	var out []cell
	for _, a := range b.Accounts {
		if !f.reaches(a.ID) && !f.whole {
			continue
		}
		byRegion := map[string]*cell{}
		for _, u := range b.units {
			if !b.has(u.unit, a.ID) {
				continue
			}
			for _, region := range b.unitRegions(u.unit, b.candidates()) {
				rs, err := u.resources(b.scope(a.ID, region))
				if err != nil {
					return nil, err
				}
				for _, r := range rs {
					if !f.covers(u, a.ID, r, region) {
						continue
					}
					c := byRegion[region]
					if c == nil {
						c = &cell{account: a, region: region}
						byRegion[region] = c
					}
					c.parts = append(c.parts, cellPart{unit: u, Resource: r})
				}
			}
		}
		for _, region := range sortedKeys(byRegion) {
			out = append(out, *byRegion[region])
		}
	}
	return out, nil
}

// entry is what is known about an account once it was entered.
type entry struct {
	err error
	on  map[string]bool // opt-in Regions that are on; nil when nobody asked
	// regionsErr says why the opt-in Regions are not known.
	regionsErr error
}

// Progress is told how many account × Region cells are done. It is called from
// many goroutines.
type Progress func(done, total int)

// Inspect looks at every resource that the filter leaves, in every account ×
// Region, with at most workers cells under way. Accounts that cannot be looked
// at are in the result with the reason; only a broken template or an unknown
// name in the filter is an error.
func (b *Baseline) Inspect(ctx context.Context, pool *access.Pool, f Filter, workers int, progress Progress) ([]Inspection, error) {
	r, err := f.resolve(b)
	if err != nil {
		return nil, err
	}
	cells, err := b.cells(r)
	if err != nil {
		return nil, err
	}
	return b.inspectCells(ctx, pool, cells, workers, progress), nil
}

// inspectCells looks at cells.
func (b *Baseline) inspectCells(ctx context.Context, pool *access.Pool, cells []cell, workers int, progress Progress) []Inspection {
	enter := map[orgs.AccountID]func() entry{}
	for _, c := range cells {
		if _, ok := enter[c.account.ID]; !ok {
			at := pool.In(b.Org.Partition, c.account.ID, b.Home)
			enter[c.account.ID] = sync.OnceValue(func() entry { return b.enter(ctx, pool, at) })
		}
	}
	var done atomic.Int64
	found := orgs.ForEach(ctx, cells, workers, func(ctx context.Context, c cell) ([]Inspection, error) {
		defer func() {
			if n := done.Add(1); progress != nil {
				progress(int(n), len(cells))
			}
		}()
		return b.inspectCell(ctx, pool, c, enter[c.account.ID]), nil
	})
	var out []Inspection
	for i, o := range found {
		if o.Err != nil { // not begun: interrupted
			out = append(out, cells[i].all(func(in *Inspection) { in.Err = fmt.Errorf("interrupted: %w", o.Err) })...)
			continue
		}
		out = append(out, o.Value...)
	}
	return out
}

// all gives every part of the cell the same verdict.
func (c cell) all(verdict func(*Inspection)) []Inspection {
	out := make([]Inspection, len(c.parts))
	for i, p := range c.parts {
		out[i] = Inspection{Account: c.account, Region: c.region, Resource: p.Resource, unit: p.unit}
		verdict(&out[i])
	}
	return out
}

// enter assumes the role in an account and asks which opt-in Regions are on
// there, if the baseline is interested in any.
func (b *Baseline) enter(ctx context.Context, pool *access.Pool, at access.At) entry {
	if err := pool.AssumeError(ctx, at); err != nil {
		return entry{err: err}
	}
	if !slices.ContainsFunc(b.candidates(), b.Org.Partition.NeedsOptIn) {
		return entry{}
	}
	e := entry{on: map[string]bool{}}
	p := account.NewListRegionsPaginator(pool.Account, &account.ListRegionsInput{
		RegionOptStatusContains: []types.RegionOptStatus{types.RegionOptStatusEnabled, types.RegionOptStatusEnabledByDefault},
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, at.InRegion(b.Org.Partition.GlobalRegion).AccountManagement)
		if err != nil {
			return entry{regionsErr: fmt.Errorf("list the account's Regions: %w", err)}
		}
		for _, region := range page.Regions {
			e.on[aws.ToString(region.RegionName)] = true
		}
	}
	return e
}

// inspectCell looks at one account × Region.
func (b *Baseline) inspectCell(ctx context.Context, pool *access.Pool, c cell, enter func() entry) []Inspection {
	if c.account.Excluded != "" {
		return c.all(func(*Inspection) {}) // reported as exempt
	}
	if c.account.State != orgs.StateActive {
		return c.all(func(in *Inspection) { in.Off = fmt.Sprintf("the account is %s", c.account.State) })
	}
	e := enter()
	if e.err != nil {
		return c.all(func(in *Inspection) { in.Err = e.err })
	}
	if b.Org.Partition.NeedsOptIn(c.region) {
		switch {
		case e.regionsErr != nil:
			return c.all(func(in *Inspection) { in.Err = e.regionsErr })
		case e.on != nil && !e.on[c.region]:
			return c.all(func(in *Inspection) { in.Off = "the Region is not enabled in the account" })
		}
	}
	s := site{Pool: pool, at: pool.In(b.Org.Partition, c.account.ID, c.region)}
	out := make([]Inspection, len(c.parts))
	for i, p := range c.parts {
		out[i] = inspect(ctx, s, p.Resource)
		out[i].Account, out[i].Region, out[i].unit = c.account, c.region, p.unit
	}
	return out
}

// inspect looks at one resource.
func inspect(ctx context.Context, s site, r Resource) Inspection {
	k := kinds[r.Type]
	state, err := k.observe(ctx, s, r)
	in := Inspection{Resource: r, State: state, Err: err}
	switch {
	case err != nil:
	case state == nil:
		in.Absent = true
		in.Mismatches = []Mismatch{{Reason: "missing: " + r.label(), Expected: "present", Actual: "absent", Verb: "create"}}
	default:
		in.Mismatches = k.compare(r, state)
	}
	return in
}
