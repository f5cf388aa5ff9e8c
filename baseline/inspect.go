package baseline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/account/types"
	"golang.org/x/sync/errgroup"

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
	New      bool     // those that have joined within audit.grace
	Regions  []string // or "global"
	// DetectDrift has CloudFormation look at the stack sets as well. It narrows
	// nothing.
	DetectDrift bool
	// From says whom an audit asks. It narrows nothing.
	From Source
}

// IsZero says that the filter narrows nothing.
func (f Filter) IsZero() bool {
	return len(f.Controls)+len(f.Regions) == 0 && !f.SomeAccounts()
}

// SomeAccounts says that the filter leaves accounts out.
func (f Filter) SomeAccounts() bool { return len(f.Accounts)+len(f.OUs) > 0 || f.New }

// Chosen are the accounts that the filter leaves. An unknown name is an error.
func (b *Baseline) Chosen(f Filter) ([]orgs.Selected, error) {
	chosen, err := b.Org.Select(orgs.Selector{Accounts: f.Accounts, OUs: f.OUs}, nil)
	if err != nil || !f.New {
		return chosen, err
	}
	return slices.DeleteFunc(chosen, func(a orgs.Selected) bool {
		_, young := b.young(a.Account)
		return !young
	}), nil
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
		if _, ok := controlOf(id); !ok {
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
	if f.SomeAccounts() {
		chosen, err := b.Chosen(f)
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
	return in.unit.rested() || r.reaches(in.Account.ID) && (len(r.controls) == 0 || slices.Contains(r.controls, in.Resource.Control))
}

// serves says whether the unit has a part in one of the controls.
func (r resolved) serves(u *composed) bool {
	return len(r.controls) == 0 || slices.ContainsFunc(u.controls, func(id string) bool { return slices.Contains(r.controls, id) })
}

// covers says whether the filter leaves a resource of a unit in an account.
func (r resolved) covers(u *composed, id orgs.AccountID, res Resource, region string) bool {
	switch {
	case r.whole && u.rested():
		return true
	case r.whole && !u.direct:
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
	// Waived is the reason why the control does not hold there though it does
	// elsewhere: an override has it off. A plan looks all the same, for what is
	// left of it.
	Waived string
	// Swept says who else knows that the resource is in sync, where the account
	// was not asked.
	Swept string

	unit *composed
	how  string // asFound's answer, kept when State is dropped
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
	waived string // see Inspection
	peek   bool   // looked at although it is waived
}

// scope is where the templates of a cell are evaluated.
func (b *Baseline) scope(id orgs.AccountID, region string) scope {
	return scopeOf(b.Org.Partition, id, region)
}

func scopeOf(p orgs.Partition, id orgs.AccountID, region string) scope {
	return scope{account: string(id), region: region, partition: p.ID, suffix: p.DNSSuffix}
}

// cells goes through everything that the baseline wants, account by account. The
// templates of a cell are evaluated when its turn comes: all at once would be most
// of an audit's memory.
func (b *Baseline) cells(f resolved) iter.Seq2[cell, error] {
	return func(yield func(cell, error) bool) {
		for _, a := range b.Accounts {
			if !f.reaches(a.ID) && !f.whole {
				continue
			}
			for _, region := range b.regionsOf(a.ID) {
				c := cell{account: a, region: region}
				if err := b.wanted(a.ID, region, nil, func(u *composed, r Resource, off bool) {
					if !f.covers(u, a.ID, r, region) {
						return
					}
					part := cellPart{unit: u, Resource: r}
					if off {
						part.waived, part.peek = b.waived(a.ID, r.Control), f.whole && !u.direct
					}
					c.parts = append(c.parts, part)
				}); err != nil {
					yield(c, err)
					return
				}
				if len(c.parts) > 0 && !yield(c, nil) {
					return
				}
			}
		}
	}
}

// wanted goes through what the baseline wants in an account × Region, of the units
// that serve; nil means all of them. off are the resources of controls that an
// override has off there.
func (b *Baseline) wanted(id orgs.AccountID, region string, serves func(*composed) bool, visit func(u *composed, r Resource, off bool)) error {
	for _, u := range b.units {
		if serves != nil && !serves(u) || !b.has(u.unit, id) || !slices.Contains(b.unitRegions(u.unit, b.candidates()), region) {
			continue
		}
		rs, err := u.resources(b.scope(id, region))
		if err != nil {
			return err
		}
		without, err := b.without(u, id, region)
		if err != nil {
			return err
		}
		for _, r := range rs {
			if b.waived(id, r.Control) == "" || !u.spread() {
				visit(u, r, false)
			}
		}
		for _, r := range without {
			visit(u, r, true)
		}
	}
	return nil
}

// listed is a list of cells as each takes them.
func listed(cells []cell) iter.Seq2[cell, error] {
	return func(yield func(cell, error) bool) {
		for _, c := range cells {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// regionsOf are the Regions in which the baseline may want something in an
// account, sorted.
func (b *Baseline) regionsOf(id orgs.AccountID) []string {
	var out []string
	for _, u := range b.units {
		if b.has(u.unit, id) {
			out = append(out, b.unitRegions(u.unit, b.candidates())...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// entry is what is known about an account once it was entered.
type entry struct {
	err error
	on  map[string]bool // opt-in Regions that are on; nil when nobody asked
	// regionsErr says why the opt-in Regions are not known.
	regionsErr error
}

// Progress is told how many accounts of how many are done, and how many cells. It
// is called from many goroutines.
type Progress func(accounts, of, cells int)

// Inspect looks at every resource that the filter leaves, in every account ×
// Region, with at most workers of them under way. Accounts that cannot be looked
// at are in the result with the reason; only a broken template or an unknown
// name in the filter is an error.
//
// The result grows with accounts × Regions × resources; Audit's does not.
func (b *Baseline) Inspect(ctx context.Context, pool *access.Pool, f Filter, workers int, progress Progress) ([]Inspection, error) {
	r, err := f.resolve(b)
	if err != nil {
		return nil, err
	}
	return b.inspectCells(ctx, pool, b.cells(r), workers, b.counting(r, progress))
}

// inspectCells looks at cells and keeps what it sees, in their order.
func (b *Baseline) inspectCells(ctx context.Context, pool *access.Pool, cells iter.Seq2[cell, error], workers int, progress func(accounts, cells int)) ([]Inspection, error) {
	var mu sync.Mutex
	var byCell [][]Inspection
	err := b.each(ctx, pool, cells, workers, nil, progress, func(n int, found []Inspection) {
		mu.Lock()
		defer mu.Unlock()
		byCell = append(byCell, make([][]Inspection, max(0, n+1-len(byCell)))...)
		byCell[n] = found
	})
	return slices.Concat(byCell...), err
}

// visit is an account while its cells are looked at.
type visit struct {
	enter func() entry
	left  atomic.Int64 // cells that are not done, and one while more may come
	done  func()
}

func (v *visit) leave() {
	if v.left.Add(-1) == 0 {
		v.done()
	}
}

// shared is sync.OnceValue for work that waits for an API. Whoever comes second waits
// on a channel and not on a lock, so that the clocks of tests go on.
func shared[T any](work func() T) func() T {
	var begun atomic.Bool
	var value T
	done := make(chan struct{})
	return func() T {
		if begun.CompareAndSwap(false, true) {
			defer close(done)
			value = work()
			return value
		}
		<-done
		return value
	}
}

// counting tells how many accounts there are in all, by the filter.
func (b *Baseline) counting(f resolved, progress Progress) func(accounts, cells int) {
	if progress == nil {
		return nil
	}
	total := 0
	for _, a := range b.Accounts {
		if f.reaches(a.ID) || f.whole {
			total++
		}
	}
	return func(accounts, cells int) { progress(accounts, total, cells) }
}

// each looks at every cell and hands it over when it is done, in any order and
// from many goroutines; n is its place in the order of cells. The resources of a
// cell are looked at side by side, but for those that sw answers for.
func (b *Baseline) each(ctx context.Context, pool *access.Pool, list iter.Seq2[cell, error], workers int, sw *sweep, progress func(accounts, cells int), done func(n int, found []Inspection)) error {
	var accounts, cells atomic.Int64
	report := func() {
		if progress != nil {
			progress(int(accounts.Load()), int(cells.Load()))
		}
	}
	var g errgroup.Group
	g.SetLimit(max(1, workers))
	var at *visit
	var current orgs.AccountID
	n := 0
	defer func() { _ = g.Wait() }() // its functions return no error
	for c, err := range list {
		if err != nil {
			return err
		}
		if at == nil || current != c.account.ID {
			if at != nil {
				at.leave()
			}
			current = c.account.ID
			in := pool.In(b.Org.Partition, current, b.Home)
			at = &visit{enter: shared(func() entry { return b.enter(ctx, pool, in) }), done: func() { accounts.Add(1); report() }}
			at.left.Store(1)
		}
		at.left.Add(1)
		here, place := at, n
		n++
		finish := func(found []Inspection) {
			done(place, found)
			cells.Add(1)
			here.leave()
			report()
		}
		if c.account.Excluded != "" || c.account.State != orgs.StateActive {
			finish(c.all(func(in *Inspection) {
				if c.account.Excluded == "" { // that is reported as exempt
					in.Off = fmt.Sprintf("the account is %s", c.account.State)
				}
			}))
			continue
		}
		found := c.all(func(in *Inspection) {
			if in.Waived == "" {
				in.Swept = sw.answers(*in)
			}
		})
		s := b.site(pool, c.account.ID, c.region)
		s.rules = c.listing(ctx, s)
		var left atomic.Int64
		left.Store(1) // until all have been begun
		for i := range found {
			if c.parts[i].waived != "" && !c.parts[i].peek || found[i].Swept != "" {
				continue
			}
			left.Add(1)
			g.Go(func() error {
				b.look(ctx, s, &found[i], here.enter)
				if left.Add(-1) == 0 {
					finish(found)
				}
				return nil
			})
		}
		if left.Add(-1) == 0 {
			finish(found)
		}
	}
	if at != nil {
		at.leave()
	}
	return nil
}

// all gives every part of the cell the same verdict.
func (c cell) all(verdict func(*Inspection)) []Inspection {
	out := make([]Inspection, len(c.parts))
	for i, p := range c.parts {
		out[i] = Inspection{Account: c.account, Region: c.region, Resource: p.Resource, unit: p.unit, Waived: p.waived}
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

// EnabledIn are the baseline's Regions that are on in an account.
func (b *Baseline) EnabledIn(ctx context.Context, pool *access.Pool, id orgs.AccountID) ([]string, error) {
	e := b.enter(ctx, pool, pool.In(b.Org.Partition, id, b.Home))
	if err := errors.Join(e.err, e.regionsErr); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(b.Regions), func(region string) bool {
		return b.Org.Partition.NeedsOptIn(region) && !e.on[region]
	}), nil
}

// look looks at one resource of an account that is open to it.
func (b *Baseline) look(ctx context.Context, s site, in *Inspection, enter func() entry) {
	if err := ctx.Err(); err != nil { // not begun
		in.Err = fmt.Errorf("interrupted: %w", err)
		return
	}
	e := enter()
	if e.err != nil {
		in.Err = e.err
		return
	}
	if b.Org.Partition.NeedsOptIn(in.Region) {
		switch {
		case e.regionsErr != nil:
			in.Err = e.regionsErr
			return
		case e.on != nil && !e.on[in.Region]:
			in.Off = "the Region is not enabled in the account"
			return
		}
	}
	seen := inspect(ctx, s, in.Resource)
	seen.Mismatches = b.roomless(ctx, s, in.unit.unit, seen)
	in.State, in.Err, in.Absent, in.Mismatches = seen.State, seen.Err, seen.Absent, b.foreignness(in.unit.unit, in.Account.ID, in.Resource, seen.State, seen.Mismatches)
	if in.Waived != "" {
		in.Mismatches = nil // nothing is wanted of it
	}
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
