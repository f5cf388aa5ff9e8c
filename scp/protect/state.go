package protect

import (
	"context"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/scp/apply"
)

// State is what AWS Organizations holds of the policy.
type State struct {
	TypeEnabled bool
	Exists      bool
	ID, Content string
	// Targets are the roots, OUs and accounts it is attached to.
	Targets []string
}

// Observe reads the policy and its attachments.
func Observe(ctx context.Context, pool *access.Pool, org *orgs.Organization) (State, error) {
	p, err := apply.ReadPolicy(ctx, pool, org, PolicyName)
	return State{
		TypeEnabled: org.SCPStatus == orgs.PolicyTypeEnabled, Exists: p.ID != "", ID: p.ID, Content: p.Content, Targets: p.Targets,
	}, err
}

// policy is the policy as package apply has it.
func (s State) policy() apply.Policy {
	return apply.Policy{Name: PolicyName, ID: s.ID, Content: s.Content, Targets: s.Targets}
}
