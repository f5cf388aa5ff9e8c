package preview

import (
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

// requestOf is a call by an identity of which nothing is known but who makes
// it: every key that does not follow from that is unknown.
func requestOf(org *orgs.Organization, account orgs.Account, id Identity, action, resource string) *scp.Request {
	p := scp.Principal{Type: id.Type, ARN: id.ARN, AccountID: string(account.ID)}
	if id.Type == scp.PrincipalRole || id.Type == scp.PrincipalServiceLinkedRole {
		p.RoleARN = id.ARN
	}
	r := &scp.Request{Principal: p, Action: action, Resource: resource, Context: p.Context()}
	principalContext(r.Context, org, account)
	absent := absentFor(id.Type)
	for k, v := range id.Tags {
		if id.TagsFixed {
			r.Context["aws:PrincipalTag/"+k] = []string{v}
		}
	}
	r.Unknown = func(key string) bool {
		if id.TagsFixed && hasPrefixFold(key, "aws:PrincipalTag/") {
			return false
		}
		return !slices.Contains(absent, key)
	}
	return r
}

// principalContext adds the keys that follow from the account.
func principalContext(ctx map[string][]string, org *orgs.Organization, account orgs.Account) {
	ctx["aws:PrincipalIsAWSService"] = []string{"false"}
	ctx["aws:PrincipalOrgID"] = []string{org.ID}
	path := org.ID + "/"
	for _, ou := range org.Path(account.Parent) {
		path += string(ou.ID) + "/"
	}
	ctx["aws:PrincipalOrgPaths"] = []string{path}
}

// absentFor are the keys that requests of a kind of principal never carry.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
func absentFor(t scp.PrincipalType) []string {
	always := []string{"aws:PrincipalServiceName", "aws:PrincipalServiceNamesList", "aws:SourceArn", "aws:SourceAccount", "aws:SourceOrgID", "aws:SourceOrgPaths", "aws:SourceOwner"}
	if t == scp.PrincipalRole {
		return append(always, "aws:username")
	}
	return always
}

// anybody is a principal of whom nothing is known: for accounts whose IAM was
// not read.
func anybody(org *orgs.Organization, account orgs.Account, action, resource string) *scp.Request {
	r := &scp.Request{
		Principal: scp.Principal{Type: scp.PrincipalRole, AccountID: string(account.ID)}, Action: action, Resource: resource,
		Context: map[string][]string{"aws:PrincipalAccount": {string(account.ID)}},
	}
	principalContext(r.Context, org, account)
	r.Unknown = func(string) bool { return true }
	return r
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// unknownPart stands for the parts of an ARN that nobody knows.
const unknownPart = "orgguard-probe"

// instance makes an ARN that a resource pattern matches, in an account.
func instance(pattern, partition string, account orgs.AccountID, region string) string {
	if pattern == "*" {
		return "*"
	}
	parts := strings.SplitN(pattern, ":", 6)
	if len(parts) != 6 {
		return strings.ReplaceAll(pattern, "*", unknownPart)
	}
	fill := []string{"arn", partition, "", region, string(account), unknownPart}
	for i, p := range parts {
		switch {
		case i == 5:
			parts[i] = strings.NewReplacer("*", unknownPart, "?", "x").Replace(withoutVariables(p))
		case strings.ContainsAny(p, "*?$"):
			parts[i] = fill[i]
			if fill[i] == "" {
				parts[i] = strings.NewReplacer("*", "x", "?", "x").Replace(p)
			}
		}
	}
	return strings.Join(parts, ":")
}

// withoutVariables fills policy variables and the placeholders of the reference
// data, both ${…}, with the unknown part.
func withoutVariables(s string) string {
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			return s
		}
		j := strings.IndexByte(s[i:], '}')
		if j < 0 {
			return s
		}
		s = s[:i] + unknownPart + s[i+j+1:]
	}
}

// trial is what a changed statement is tried with: its actions, and for every
// action resources it covers.
type trial struct {
	statement statement
	actions   []string
	// matched is how many actions the statement matches; more than are tried
	// when it is very broad.
	matched int
	scope   []string // the statement's resource patterns; none for all
	set     map[string]bool
}

// about says whether the statement matches a known action.
func (t trial) about(action string) bool { return t.set[strings.ToLower(action)] }

// maxTried is how many actions of a statement are tried each; a broader one is
// tried with one action of every service.
const maxTried = 400

// trials are what the changed statements are tried with.
func (e *engine) trials() []trial {
	var out []trial
	for _, s := range e.world.changedStatements() {
		t := trial{statement: s, set: map[string]bool{}}
		actions := e.expand(s.Statement)
		for _, a := range actions {
			t.set[strings.ToLower(a)] = true
		}
		t.matched = len(actions)
		t.actions = e.sample(actions)
		if s.Resources != nil && !slices.Contains(s.Resources, "*") {
			t.scope = s.Resources
		}
		out = append(out, t)
	}
	return out
}

// expand lists the actions a statement is about. A pattern that matches no
// known action stands for itself when it has no wildcard: the reference data
// are older than the newest action.
func (e *engine) expand(s scp.Statement) []string {
	match := func(patterns []string) map[string]bool {
		out := map[string]bool{}
		for _, p := range patterns {
			known := e.ref.Expand(p)
			for _, a := range known {
				out[a] = true
			}
			if len(known) == 0 && strings.Contains(p, ":") && !strings.ContainsAny(p, "*?") {
				out[p] = true
			}
		}
		return out
	}
	var out []string
	if s.NotActions != nil {
		not := match(s.NotActions)
		for _, a := range e.ref.Expand("*") {
			if !not[a] {
				out = append(out, a)
			}
		}
		return out
	}
	for a := range match(s.Actions) {
		out = append(out, a)
	}
	slices.Sort(out)
	return out
}

// sample keeps all of a few actions, and of many one of each service: one that
// changes something, since those hurt most.
func (e *engine) sample(actions []string) []string {
	if len(actions) <= maxTried {
		return actions
	}
	best := map[string]string{}
	var services []string
	for _, a := range actions {
		service, _, _ := strings.Cut(a, ":")
		have, ok := best[service]
		if !ok {
			services = append(services, service)
		}
		if !ok || e.ref.AccessLevel(have) != "Write" && e.ref.AccessLevel(a) == "Write" {
			best[service] = a
		}
	}
	out := make([]string, 0, len(services))
	for _, s := range services {
		out = append(out, best[s])
	}
	return sorted(out)
}

// resources are ARNs on which an action of a statement is tried.
func (e *engine) resources(t trial, action string, account orgs.Account, region string) []string {
	partition := e.in.Org.Partition.ID
	patterns := t.scope
	if patterns == nil {
		patterns = e.arnsOf(action)
	}
	out := make([]string, 0, len(patterns)+1)
	for _, p := range patterns {
		out = append(out, instance(p, partition, account.ID, region))
	}
	if len(out) == 0 {
		return []string{"*"}
	}
	return out
}

// arnsOf is Reference.ResourceARNs, remembered: finding an action walks
// through all services.
func (e *engine) arnsOf(action string) []string {
	if have, ok := e.arns[action]; ok {
		return have
	}
	arns := slices.Compact(sorted(e.ref.ResourceARNs(action)))
	e.arns[action] = arns
	return arns
}
