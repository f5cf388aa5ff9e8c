package protect

import (
	"errors"
	"fmt"
	"slices"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/scp/apply"
	"github.com/orgguard/orgguard/scp/preview"
)

// Guard is the policy as the configuration wants it in one organization.
type Guard struct {
	Org    *orgs.Organization
	Policy []byte
	// Attach are the roots and OUs to attach it to.
	Attach []orgs.OU
	Exempt []string
	// Limits are AWS's quotas.
	Limits Limits
	// Waves are the groups in which the targets are reached, the canaries first.
	Waves []apply.Group
	// Judge has the roles that must go on working after every wave, and the
	// Regions they work in; without guards only the policy is looked at.
	Judge preview.Input
	// Say is told what goes on while waves are carried out; may be nil.
	Say func(string)

	runner *apply.Runner // of the last Propose
}

// Limits are the quotas of service control policies.
type Limits struct {
	Size int // characters of a policy
}

// DefaultLimits hold since 2026-05-15; before it was 5,120 characters.
var DefaultLimits = Limits{Size: 10_240}

// New applies the configuration to an organization; nil when the control is off.
func New(cfg *spec.Config, org *orgs.Organization) (*Guard, error) {
	p := cfg.SCP.ProtectConfig
	if !p.Enabled {
		return nil, nil
	}
	g := &Guard{Org: org, Limits: DefaultLimits}
	var problems []error
	for _, ref := range p.Attach {
		ou, err := org.FindOU(ref)
		if err != nil {
			problems = append(problems, fmt.Errorf("scp.protect-config.attach: %w", err))
			continue
		}
		if !slices.Contains(g.Attach, ou) {
			g.Attach = append(g.Attach, ou)
		}
	}
	waves, err := apply.Groups(org, cfg.Rollout.Waves)
	if err != nil {
		problems = append(problems, fmt.Errorf("rollout.waves: %w", err))
	}
	g.Waves = waves
	g.Exempt = slices.Concat(DefaultExempt, []string{cfg.Organization.AccessRole}, p.ExemptRoles, p.BreakGlassRoles)
	slices.Sort(g.Exempt)
	g.Exempt = slices.Compact(g.Exempt)
	g.Policy, err = Policy(Options{Partition: org.Partition.ID, Strict: p.Strict, ExtraActions: p.ExtraActions, Exempt: g.Exempt})
	if err != nil {
		problems = append(problems, err)
	}
	if n := len(g.Policy); n > g.Limits.Size {
		problems = append(problems, &orgs.Hinted{
			Err:  fmt.Errorf("policy %s has %d characters and AWS takes %d", PolicyName, n, g.Limits.Size),
			Next: "name fewer exempt_roles, or cover several with one pattern",
		})
	}
	return g, errors.Join(problems...)
}

// wants says whether the configuration attaches the policy on the account's path,
// and where.
func (g *Guard) wants(a orgs.Account) (orgs.OU, bool) {
	for _, ou := range g.Org.Path(a.Parent) {
		if slices.Contains(g.Attach, ou) {
			return ou, true
		}
	}
	return orgs.OU{}, false
}

// name is a node as people read it.
func (g *Guard) name(ou orgs.OU) string {
	return fmt.Sprintf("%s (%s)", g.Org.PathName(ou.ID), ou.ID)
}
