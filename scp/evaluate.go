package scp

import (
	"errors"
	"fmt"
	"sync"
)

// LevelType is the kind of a node in an organization's tree.
type LevelType string

// The kinds of nodes.
const (
	LevelRoot    LevelType = "ROOT"
	LevelOU      LevelType = "ORGANIZATIONAL_UNIT"
	LevelAccount LevelType = "ACCOUNT"
)

// Policy is a service control policy as it is attached.
type Policy struct {
	ID, Name string
	Document *Document
}

// Level is one node on the way from the root to an account, with the policies
// attached to the node itself.
type Level struct {
	Type     LevelType
	ID, Name string
	Policies []Policy
}

// Org is what decides about one account: the path from the root, first, to the
// account, last. A path may end above an account, to ask about an OU.
type Org struct {
	ManagementAccountID string
	Path                []Level
}

// PrincipalType is the kind of caller.
type PrincipalType string

// The kinds of callers.
const (
	PrincipalRoot              PrincipalType = "root"
	PrincipalUser              PrincipalType = "user"
	PrincipalRole              PrincipalType = "role"
	PrincipalServiceLinkedRole PrincipalType = "service-linked-role"
	PrincipalAWSService        PrincipalType = "aws-service"
	PrincipalFederatedUser     PrincipalType = "federated-user"
	PrincipalAnonymous         PrincipalType = "anonymous"
)

// Principal is who makes a request. ARN is the caller's own, for a role the
// ARN of the session; RoleARN is the role's.
type Principal struct {
	Type                    PrincipalType
	ARN, RoleARN, AccountID string
}

// Request is one call to judge.
type Request struct {
	Principal Principal
	Action    string
	// Resource is the ARN of the resource; "" means "*", the resource of an
	// action without resource-level permissions.
	Resource string
	// Resources are the further resources of an action that touches several,
	// such as ec2:RunInstances. All of them must be allowed. When Resource is
	// "" and there are Resources, only these count.
	Resources []string
	// Context holds the condition keys of the request, in any letter case. A
	// key with no values is present and empty. Nothing is added to it: see
	// [Principal.Context] for the keys that follow from the principal.
	Context map[string][]string
	// Unknown says of a key that is not in Context whether its value is not
	// known; without it such a key is known to be absent. It is given the key
	// in the spelling of AWS's documentation, or of the policy for keys that
	// are not global, and must be safe for concurrent use.
	Unknown func(key string) bool
}

// Decision is the answer to a request.
type Decision string

// The answers.
const (
	DecisionAllow   Decision = "ALLOW"
	DecisionDeny    Decision = "DENY"
	DecisionUnknown Decision = "UNKNOWN"
)

// Kind says why a decision is what it is.
type Kind string

// The reasons.
const (
	KindAllowed      Kind = "ALLOWED"
	KindExplicitDeny Kind = "EXPLICIT_DENY" // a Deny statement matches
	KindImplicitDeny Kind = "IMPLICIT_DENY" // a level has no Allow that matches
	KindExempt       Kind = "EXEMPT"        // service control policies do not apply
	KindUnknown      Kind = "UNKNOWN"
)

// StatementRef names a statement on the path.
type StatementRef struct {
	Level  string `json:"level"`
	Policy string `json:"policy"`
	Sid    string `json:"sid"`
	Index  int    `json:"index"`
}

// String returns level / policy / Sid, or the index for want of a Sid.
func (s StatementRef) String() string {
	if s.Sid != "" {
		return s.Level + " / " + s.Policy + " / " + s.Sid
	}
	return fmt.Sprintf("%s / %s / statement %d", s.Level, s.Policy, s.Index)
}

// Dependency is a condition, or a variable in a resource, that could not be
// decided because a key is not known.
type Dependency struct {
	Key       string       `json:"key"`
	Operator  string       `json:"operator"` // "Resource" or "NotResource" for a variable there
	Values    []string     `json:"values"`
	Statement StatementRef `json:"statement"`
}

// Result is a decision with its reasons.
type Result struct {
	Decision Decision `json:"decision"`
	Kind     Kind     `json:"kind"`
	// Exemption says why the policies do not apply; see the Exempt constants.
	Exemption string `json:"exemption"`
	// Deciding are the Deny statements that match, in path order; when the
	// decision is unknown, those that might.
	Deciding []StatementRef `json:"decidingStatements"`
	// LevelsWithoutAllow are the ids of the levels where no Allow matches.
	LevelsWithoutAllow []string `json:"levelsWithoutAllow"`
	// DependsOn are the conditions an unknown decision turns on.
	DependsOn []Dependency `json:"dependsOn"`
	// MatchedAllow are the Allow statements that match.
	MatchedAllow []StatementRef `json:"matchedAllowStatements"`
	// Policies is the kind the policies alone give, exemptions aside, and
	// WouldMatchDeny the Deny statements that match for an exempt caller.
	Policies       Kind           `json:"rawScpVerdict"`
	WouldMatchDeny []StatementRef `json:"wouldMatchDeny,omitempty"`
}

// Evaluator answers requests for one path. It never changes and is safe for
// concurrent use.
type Evaluator struct {
	org     Org
	account string // the account at the end of the path, if any
	levels  []level
	// classes remembers candidateValues, which is costly and depends on the
	// policies alone.
	classes *sync.Map
}

type level struct {
	id      string
	entries []entry
	// free marks a level whose policies hold an Allow of everything.
	free bool
}

// entry is a statement with what is needed to name it.
type entry struct {
	*statement
	policy string
}

// Compile prepares a path for evaluation. Documents are shared, not copied, so
// compiling the paths of ten thousand accounts is cheap.
func Compile(org Org) (*Evaluator, error) {
	e := &Evaluator{org: org, classes: new(sync.Map)}
	e.org.Path = append([]Level(nil), org.Path...)
	var errs []error
	for i, l := range org.Path {
		switch l.Type {
		case LevelRoot, LevelOU:
		case LevelAccount:
			if i != len(org.Path)-1 {
				errs = append(errs, fmt.Errorf("level %d (%s) is an account, but only the last level of a path can be one", i, l.ID))
			}
			e.account = l.ID
		default:
			errs = append(errs, fmt.Errorf("level %d (%s): unknown type %q; use ROOT, ORGANIZATIONAL_UNIT or ACCOUNT", i, l.ID, l.Type))
		}
		compiled := level{id: l.ID}
		for _, p := range l.Policies {
			if p.Document == nil {
				errs = append(errs, fmt.Errorf("policy %s of %s has no document", firstOf(p.Name, p.ID), l.ID))
				continue
			}
			for _, s := range p.Document.statements {
				compiled.entries = append(compiled.entries, entry{statement: s, policy: firstOf(p.Name, p.ID)})
				compiled.free = compiled.free || s.effect == Allow && s.anyAction && s.anyResource && len(s.conditions) == 0
			}
		}
		e.levels = append(e.levels, compiled)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return e, nil
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// resources returns how many resources a request has.
func (r *Request) resources() int {
	if r.Resource == "" && len(r.Resources) > 0 {
		return len(r.Resources)
	}
	return len(r.Resources) + 1
}

func (r *Request) resource(i int) string {
	if r.Resource == "" && len(r.Resources) > 0 {
		return r.Resources[i]
	}
	if i > 0 {
		return r.Resources[i-1]
	}
	if r.Resource == "" {
		return "*"
	}
	return r.Resource
}

// matchSome says whether a statement matches for at least one resource.
func (s *statement) matchSome(r *Request) truth {
	if !s.matchAction(r.Action) {
		return no
	}
	result := no
	for i := range r.resources() {
		if result = max(result, s.matchResource(r.resource(i), r)); result == yes {
			break
		}
	}
	if result == no {
		return no
	}
	return min(result, s.matchConditions(r))
}

// allows says whether the Allow statements of a level cover every resource.
func (l *level) allows(r *Request) truth {
	if l.free {
		return yes
	}
	all := yes
	for i := range r.resources() {
		resource, covered := r.resource(i), no
		for j := range l.entries {
			s := l.entries[j].statement
			if s.effect != Allow || !s.matchAction(r.Action) {
				continue
			}
			if m := s.matchResource(resource, r); m != no {
				covered = max(covered, min(m, s.matchConditions(r)))
			}
			if covered == yes {
				break
			}
		}
		if all = min(all, covered); all == no {
			break
		}
	}
	return all
}

// decide is the combination rule: allowed if every level has an Allow that
// matches and no level a Deny that does.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
func (e *Evaluator) decide(r *Request) truth {
	if len(e.levels) == 0 {
		return maybe
	}
	allowed := yes
	for i := range e.levels {
		l := &e.levels[i]
		for j := range l.entries {
			s := l.entries[j].statement
			if s.effect != Deny {
				continue
			}
			if allowed = min(allowed, s.matchSome(r).not()); allowed == no {
				return no
			}
		}
		if allowed = min(allowed, l.allows(r)); allowed == no {
			return no
		}
	}
	return allowed
}

// Decide answers a request without saying why. It does not allocate unless the
// answer turns on an unknown key.
func (e *Evaluator) Decide(r *Request) Decision {
	if e.exemption(r) != "" {
		return DecisionAllow
	}
	d := e.decide(r)
	if d == maybe && len(e.levels) > 0 {
		d = e.refine(r).decision
	}
	return decisionOf(d)
}

func decisionOf(t truth) Decision {
	switch t {
	case yes:
		return DecisionAllow
	case no:
		return DecisionDeny
	default:
		return DecisionUnknown
	}
}
