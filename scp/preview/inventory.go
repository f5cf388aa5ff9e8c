package preview

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

// Inventory is an account's IAM.
type Inventory struct {
	Identities []Identity
}

// Identity is a role or a user with what its policies permit.
type Identity struct {
	ARN  string
	Type scp.PrincipalType
	// Tags are the principal's own. TagsFixed says that no session can add to
	// them: users have none, and a role's trust policy may forbid it.
	Tags      map[string]string
	TagsFixed bool
	Policies  []string // documents; shared strings, one for each text
	Boundary  string   // document of the permissions boundary
	Bounded   bool
}

// label is the principal without its account: "role/ops/Admin".
func (i Identity) label() string { return labelOf(i.ARN) }

func labelOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return arn
	}
	if parts[5] == "root" {
		return rootLabel
	}
	return parts[5]
}

const rootLabel = "root user"

// permission is what IAM policies say about an action.
type permission uint8

// The permissions.
const (
	forbids permission = iota
	mayPermit
	permits
)

// entitlements answers what identities may do, and remembers it by the text of their
// policies: the roles of ten thousand accounts are mostly copies of each other.
type entitlements struct {
	mu       sync.Mutex
	compiled map[string]*permissions
}

func newEntitlements() *entitlements { return &entitlements{compiled: map[string]*permissions{}} }

// permissions are compiled identity policies.
type permissions struct {
	// exact has the policies as they are; blind has their Allow statements on
	// all resources, to find what is permitted on some resource.
	exact, blind, boundary *scp.Evaluator
	broken                 bool
	known                  map[string]permission
}

func (i *entitlements) of(id Identity) *permissions {
	h := sha256.New()
	for _, p := range append([]string{id.Boundary}, id.Policies...) {
		_, _ = h.Write([]byte(p)) // a hash takes every write
		_, _ = h.Write([]byte{0})
	}
	key := hex.EncodeToString(h.Sum(nil))
	i.mu.Lock()
	defer i.mu.Unlock()
	if p := i.compiled[key]; p != nil {
		return p
	}
	p := &permissions{known: map[string]permission{}}
	p.exact, p.broken = compileIdentity(id.Policies)
	p.blind, _ = compileIdentity(blinded(id.Policies))
	if id.Bounded {
		var broken bool
		p.boundary, broken = compileIdentity([]string{id.Boundary})
		p.broken = p.broken || broken
	}
	i.compiled[key] = p
	return p
}

// compileIdentity makes an evaluator of identity policies: they have the
// grammar of SCPs, and one level of them decides as one level of SCPs does.
func compileIdentity(docs []string) (e *scp.Evaluator, broken bool) {
	level := scp.Level{Type: scp.LevelOU, ID: "identity"}
	for _, text := range docs {
		doc, err := scp.Parse("identity", []byte(text))
		if err != nil {
			broken = true
			continue
		}
		level.Policies = append(level.Policies, scp.Policy{Name: "identity", Document: doc})
	}
	e, err := scp.Compile(scp.Org{Path: []scp.Level{level}})
	return e, broken || err != nil
}

// blinded keeps the Allow statements and widens them to every resource and
// every condition.
func blinded(docs []string) []string {
	type plain struct {
		Effect    string
		Action    []string `json:",omitempty"`
		NotAction []string `json:",omitempty"`
		Resource  string
	}
	var out []string
	for _, text := range docs {
		doc, err := scp.Parse("identity", []byte(text))
		if err != nil {
			continue
		}
		var statements []plain
		for _, s := range doc.Statements() {
			if s.Effect == scp.Allow {
				statements = append(statements, plain{"Allow", s.Actions, s.NotActions, "*"})
			}
		}
		if b, err := json.Marshal(map[string]any{"Version": scp.Version2012, "Statement": statements}); err == nil && len(statements) > 0 {
			out = append(out, string(b))
		}
	}
	return out
}

// permits says whether an identity's policies permit an action on one of the
// resources. What resource-based policies grant is not looked at.
func (i *entitlements) permits(id Identity, org *orgs.Organization, account orgs.Account, action string, resources []string, scope string) permission {
	if id.Type == scp.PrincipalRoot {
		return permits
	}
	p := i.of(id)
	key := action + " " + scope
	i.mu.Lock()
	known, ok := p.known[key]
	i.mu.Unlock()
	if ok {
		return known
	}
	answer := p.decide(requestOf(org, account, id, action, ""), resources)
	i.mu.Lock()
	p.known[key] = answer
	i.mu.Unlock()
	return answer
}

func (p *permissions) decide(r *scp.Request, resources []string) permission {
	best := forbids
	for _, resource := range resources {
		req := *r
		req.Resource = resource
		if p.boundary != nil && p.boundary.Decide(&req) == scp.DecisionDeny {
			continue
		}
		switch p.exact.Decide(&req) {
		case scp.DecisionAllow:
			if p.boundary == nil || p.boundary.Decide(&req) == scp.DecisionAllow {
				return permits
			}
			best = mayPermit
		case scp.DecisionUnknown:
			best = mayPermit
		default:
			// An explicit Deny on this resource stands; a missing Allow may be
			// there for resources whose names nobody here knows.
			if p.exact.Evaluate(&req).Kind == scp.KindImplicitDeny && p.blind.Decide(&req) == scp.DecisionAllow {
				best = mayPermit
			}
		}
	}
	if best == forbids && p.broken {
		return mayPermit
	}
	return best
}
