package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// iamState is IAM in one account. Users, groups and instance profiles are not
// modelled: people come as role sessions.
type iamState struct {
	Roles    map[string]*role          `json:"roles,omitempty"`    // by name; names are unique whatever the path
	Policies map[string]*managedPolicy `json:"policies,omitempty"` // customer managed, by ARN
	Alias    string                    `json:"alias,omitempty"`
	// Passwords is the account's password policy; nil for AWS's default.
	Passwords *iamtypes.PasswordPolicy `json:"passwords,omitempty"`
}

// role is an IAM role.
type role struct {
	Name        string            `json:"name"`
	Path        string            `json:"path"` // "/" or "/a/b/"
	ID          string            `json:"id"`   // AROA...
	Trust       string            `json:"trust"`
	Description string            `json:"description,omitempty"`
	MaxSession  int32             `json:"max_session"` // seconds
	Boundary    string            `json:"boundary,omitempty"`
	Inline      map[string]string `json:"inline,omitempty"` // documents by policy name
	Attached    []string          `json:"attached,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Created     time.Time         `json:"created"`
	Changed     time.Time         `json:"changed,omitzero"`
}

// managedPolicy is a customer managed policy with its versions.
type managedPolicy struct {
	ARN         string            `json:"arn"`
	Name        string            `json:"name"`
	Path        string            `json:"path"`
	ID          string            `json:"id"` // ANPA...
	Description string            `json:"description,omitempty"`
	Default     string            `json:"default"` // "v1"
	Versions    []policyVersion   `json:"versions"`
	NextVersion int               `json:"next_version"`
	Tags        map[string]string `json:"tags,omitempty"`
	Created     time.Time         `json:"created"`
	Updated     time.Time         `json:"updated"`
}

// policyVersion is one version of a managed policy.
type policyVersion struct {
	ID       string    `json:"id"`
	Document string    `json:"document"`
	Created  time.Time `json:"created"`
}

// version returns a version of the policy; nil when there is none.
func (p *managedPolicy) version(id string) *policyVersion {
	for i := range p.Versions {
		if p.Versions[i].ID == id {
			return &p.Versions[i]
		}
	}
	return nil
}

// serviceLinked says whether a role is service-linked, which AWS tells by its
// path and not by its name.
func (r *role) serviceLinked() bool { return strings.HasPrefix(r.Path, "/aws-service-role/") }

// roleARN is the ARN of a role in an account.
func (w *World) roleARN(account string, r *role) string {
	return "arn:" + w.state.Partition + ":iam::" + account + ":role" + r.Path + r.Name
}

// roleByARN finds a role by its ARN, in any account; nil when the ARN names
// none. The path is part of the ARN and has to be right.
func (w *World) roleByARN(arn string) (account string, r *role) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || !strings.HasPrefix(parts[5], "role/") {
		return "", nil
	}
	a := w.account(parts[4])
	if a == nil {
		return parts[4], nil
	}
	r = a.IAM.Roles[parts[5][strings.LastIndex(parts[5], "/")+1:]]
	if r == nil || w.roleARN(a.ID, r) != arn {
		return a.ID, nil
	}
	return a.ID, r
}

// putRole adds or replaces a role of an account, without asking anybody.
// Services that make roles in member accounts through their service-linked
// role use it, as do new accounts.
func (w *World) putRole(account string, r *role) {
	s := &w.account(account).IAM
	if s.Roles == nil {
		s.Roles = map[string]*role{}
	}
	if r.Path == "" {
		r.Path = "/"
	}
	if r.MaxSession == 0 {
		r.MaxSession = 3600
	}
	if r.ID == "" {
		r.ID = w.uniqueID("AROA")
	}
	s.Roles[r.Name] = r
}

// uniqueID makes an IAM unique id: a prefix and 17 capital letters and digits.
func (w *World) uniqueID(prefix string) string {
	return prefix + strings.ToUpper(w.id(17))
}

// identityPolicies returns the documents of a role's policies that grant:
// inline ones and attached ones, in a fixed order.
func (w *World) identityPolicies(account string, r *role) []identityPolicy {
	var out []identityPolicy
	for _, name := range slices.Sorted(maps.Keys(r.Inline)) {
		out = append(out, identityPolicy{name: name, document: r.Inline[name]})
	}
	for _, arn := range r.Attached {
		if doc, ok := w.policyDocument(account, arn); ok {
			out = append(out, identityPolicy{name: arn, document: doc})
		}
	}
	return out
}

// identityPolicy is one policy of a principal; name is its ARN when it is a
// managed one.
type identityPolicy struct{ name, document string }

// policyDocument returns the document of a managed policy: the default version
// of a customer managed one, or what we know of an AWS managed one.
func (w *World) policyDocument(account, arn string) (string, bool) {
	if doc, ok := awsManagedDocument(w.state.Partition, arn); ok {
		return doc, true
	}
	a := w.account(account)
	if a == nil {
		return "", false
	}
	p := a.IAM.Policies[arn]
	if p == nil {
		return "", false
	}
	v := p.version(p.Default)
	if v == nil {
		return "", false
	}
	return v.Document, true
}
