package baseline

import (
	"context"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
)

// organizationUnits hold what is set once for the whole organization.
var organizationUnits = []string{"delegation", "services"}

// Decision is something about a service of the organization that is somebody else's to
// decide: another administrator, a policy, a choice that a person made.
type Decision struct {
	Control string
	Account orgs.AccountID
	Regions []string // where it was found
	What    string
	Next    string // what a person does about it
	Err     error  // why nobody could look
}

// Decisions looks, before anything is rolled out, for what orgguard will leave to others
// of the services that are on. It changes nothing, and enters the management account and
// the services' administrators alone.
func (b *Baseline) Decisions(ctx context.Context, pool *access.Pool, workers int) []Decision {
	type place struct {
		account orgs.Selected
		region  string
		res     Resource
	}
	var places []place
	for c, err := range b.cells(resolved{accounts: map[orgs.AccountID]bool{b.Org.ManagementAccount: true, b.Security: true}}) {
		if err != nil {
			return []Decision{{Err: err}}
		}
		for _, part := range c.parts {
			if slices.Contains(organizationUnits, part.unit.ID) && c.account.Excluded == "" && c.account.State == orgs.StateActive {
				places = append(places, place{c.account, c.region, part.Resource})
			}
		}
	}
	found := orgs.ForEach(ctx, places, workers, func(ctx context.Context, p place) ([]Decision, error) {
		s := b.site(pool, p.account.ID, p.region)
		if b.Org.Partition.NeedsOptIn(p.region) {
			if e := b.enter(ctx, pool, s.at); e.err == nil && e.regionsErr == nil && !e.on[p.region] {
				return nil, nil
			}
		}
		return decisionsOf(inspect(ctx, s, p.res)), nil
	})
	var out []Decision
	for i, o := range found {
		if o.Err != nil {
			o.Value = []Decision{{Control: places[i].res.Control, Err: o.Err}}
		}
		for _, d := range o.Value {
			d.Account = places[i].account.ID
			same := slices.IndexFunc(out, func(x Decision) bool {
				return x.Control == d.Control && x.What == d.What && x.Next == d.Next && (x.Err == nil) == (d.Err == nil)
			})
			if same < 0 {
				out, same = append(out, d), len(out)
			}
			if region := label(places[i].res, places[i].region); !slices.Contains(out[same].Regions, region) {
				out[same].Regions = append(out[same].Regions, region)
			}
		}
	}
	return out
}

// decisionsOf are what others decide about a resource. What of many accounts is the
// same is told once.
func decisionsOf(in Inspection) []Decision {
	if in.Err != nil {
		return []Decision{{Control: in.Resource.Control, Err: in.Err}}
	}
	var out []Decision
	for _, m := range in.Mismatches {
		if m.Manual != "" && !m.Shut && !slices.ContainsFunc(out, func(d Decision) bool { return d.Next == m.Manual }) {
			out = append(out, Decision{Control: in.Resource.Control, What: strings.TrimSuffix(m.Reason, "."), Next: m.Manual})
		}
	}
	if st, ok := in.State.(securityHubState); ok && st.Central && len(out) == 0 {
		out = append(out, Decision{Control: in.Resource.Control, What: "Security Hub is configured centrally", Next: centrally(st.Admin)})
	}
	return out
}
