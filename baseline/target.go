package baseline

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/orgguard/orgguard/orgs"
)

// target is one operation's reach: OUs, perhaps narrowed to accounts, × Regions.
type target struct {
	nodes    []string
	filter   types.AccountFilterType
	accounts []string
	regions  []string
	cells    int
	// overrides are the parameters that the target's instances have of their own.
	overrides map[string]string
}

func (t target) deployment() *types.DeploymentTargets {
	d := &types.DeploymentTargets{OrganizationalUnitIds: t.nodes, AccountFilterType: t.filter}
	if len(t.accounts) > 0 {
		d.Accounts = t.accounts
	}
	return d
}

// maxNodes is how many OUs one operation takes.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStackInstances.html
const maxNodes = 50

// targets turns the account × Region cells to be reached into as few operations
// as the API allows: accounts with the same Regions go together, and are named by
// OU, leaving out or picking accounts, whichever list is shorter.
func (b *Baseline) targets(cells reach) []target {
	groups := map[string][]orgs.AccountID{}
	for id, regions := range cells {
		slices.Sort(regions)
		key := strings.Join(regions, ",")
		groups[key] = append(groups[key], id)
	}
	wanted := make(map[orgs.AccountID]bool, len(b.Accounts))
	for _, a := range b.Accounts {
		wanted[a.ID] = b.reached(a)
	}
	barred := b.barred()
	cover := b.Org.Cover(func(a orgs.Account) bool { return wanted[a.ID] }, func(n orgs.NodeID) bool { return barred[n] })
	var out []target
	for _, key := range sortedKeys(groups) {
		regions := strings.Split(key, ",")
		in := groups[key]
		slices.Sort(in)
		var whole []orgs.Target
		for _, t := range cover {
			if len(t.Only) == 0 {
				whole = append(whole, t)
				continue
			}
			picked := intersect(t.Only, in)
			if len(picked) > 0 {
				out = append(out, target{nodes: []string{string(t.Node)}, filter: types.AccountFilterTypeIntersection, accounts: picked, regions: regions, cells: len(picked) * len(regions)})
			}
		}
		for part := range slices.Chunk(whole, maxNodes) {
			if t, ok := b.wholeTarget(part, in, regions); ok {
				out = append(out, t)
			}
		}
	}
	return out
}

// targetsOf are targets whose instances have the same parameters of their own: one
// operation sets them.
func (b *Baseline) targetsOf(u *composed, cells reach) []target {
	return b.targetsBy(cells, func(id orgs.AccountID) func(string) map[string]string {
		own := u.overridden(id)
		return func(string) map[string]string { return own }
	})
}

// targetsBy are targets whose instances have the same parameters of their own, by
// account and Region.
func (b *Baseline) targetsBy(cells reach, overrides func(orgs.AccountID) func(region string) map[string]string) []target {
	type group struct {
		cells     reach
		overrides map[string]string
	}
	groups := map[string]group{}
	for id, regions := range cells {
		of := overrides(id)
		for _, region := range regions {
			own := of(region)
			key := compact(own)
			if _, has := groups[key]; !has {
				groups[key] = group{reach{}, own}
			}
			groups[key].cells[id] = append(groups[key].cells[id], region)
		}
	}
	var out []target
	for _, key := range sortedKeys(groups) {
		for _, t := range b.targets(groups[key].cells) {
			t.overrides = groups[key].overrides
			out = append(out, t)
		}
	}
	return out
}

// reached says whether stack sets reach an account.
func (b *Baseline) reached(a orgs.Selected) bool {
	return a.Excluded == "" && a.State == orgs.StateActive && a.ID != b.Org.ManagementAccount
}

// wholeTarget is one operation on whole nodes, narrowed to the accounts, which
// are sorted.
func (b *Baseline) wholeTarget(nodes []orgs.Target, in []orgs.AccountID, regions []string) (target, bool) {
	t := target{regions: regions, filter: types.AccountFilterTypeNone}
	var pick, leave []string
	for _, a := range b.Org.Accounts {
		if a.ID == b.Org.ManagementAccount || !slices.ContainsFunc(nodes, func(n orgs.Target) bool { return b.Org.Under(a.Parent, n.Node) }) {
			continue
		}
		if _, ok := slices.BinarySearch(in, a.ID); ok {
			pick = append(pick, string(a.ID))
		} else {
			leave = append(leave, string(a.ID))
		}
	}
	if len(pick) == 0 {
		return t, false
	}
	for _, n := range nodes {
		t.nodes = append(t.nodes, string(n.Node))
	}
	switch {
	case len(leave) > 0 && len(leave) <= len(pick):
		t.filter, t.accounts = types.AccountFilterTypeDifference, leave
	case len(leave) > 0:
		t.filter, t.accounts = types.AccountFilterTypeIntersection, pick
	}
	t.cells = len(pick) * len(regions)
	return t, true
}

// barred are the OUs that the configuration excludes as a whole, so that no stack
// set may name them or a node above them: auto-deployment would reach their new
// accounts.
func (b *Baseline) barred() map[orgs.NodeID]bool {
	out := map[orgs.NodeID]bool{}
	for _, e := range b.Config.Organization.Exclude {
		if e.OU == "" {
			continue
		}
		if ou, err := b.Org.FindOU(e.OU); err == nil {
			out[ou.ID] = true
		}
	}
	return out
}

// intersect picks those of a that are in b, which is sorted.
func intersect(a, b []orgs.AccountID) []string {
	var out []string
	for _, x := range a {
		if _, ok := slices.BinarySearch(b, x); ok {
			out = append(out, string(x))
		}
	}
	return out
}
