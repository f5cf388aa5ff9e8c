package preview

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
)

// Basis is what a change was judged on: the part of the organization that it
// reaches, small enough to be kept with the preview. Comparing two of them names
// what is different, which a digest alone cannot.
type Basis struct {
	Organization string `json:"organization"`
	SCPStatus    string `json:"scp_status"`
	// Tops are the nodes at or below which it looks: the targets of the change,
	// and what the policy was attached to.
	Tops []string `json:"tops"`
	// Nodes are the nodes on the paths to the accounts that are reached, by id.
	Nodes map[string]BasisNode `json:"nodes"`
	// Policies are the policies on these nodes, by id.
	Policies map[string]BasisPolicy `json:"policies"`
}

// BasisNode is a root, OU or account.
type BasisNode struct {
	Name     string   `json:"name"`
	Parent   string   `json:"parent,omitempty"`
	State    string   `json:"state,omitempty"` // of an account
	Policies []string `json:"policies"`
}

// BasisPolicy is a policy's name and a digest of its text; "" for a policy that
// could not be read.
type BasisPolicy struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

// BasisOf is what the change of an input is judged on.
func BasisOf(in Input) Basis {
	tops := slices.Clone(in.Change.Targets)
	for node, ids := range in.Attached.On {
		if in.Change.Existing != "" && slices.Contains(ids, in.Change.Existing) {
			tops = append(tops, node)
		}
	}
	return BasisAt(in, slices.Compact(sorted(tops)))
}

// BasisAt is the basis at and below some nodes: to look again at what another one
// has looked at.
func BasisAt(in Input, tops []string) Basis {
	w := &world{in: &in}
	b := Basis{Organization: in.Org.ID, SCPStatus: string(in.Org.SCPStatus), Tops: orEmpty(tops), Nodes: map[string]BasisNode{}, Policies: map[string]BasisPolicy{}}
	keep := func(id string, n BasisNode) {
		n.Policies = orEmpty(in.Attached.On[id])
		b.Nodes[id] = n
		for _, p := range n.Policies {
			known := in.Attached.Policies[p]
			policy := BasisPolicy{Name: known.Name}
			if known.Content != "" {
				sum := sha256.Sum256([]byte(known.Content))
				policy.Digest = hex.EncodeToString(sum[:])
			}
			b.Policies[p] = policy
		}
	}
	path := func(id orgs.NodeID) {
		for _, ou := range in.Org.Path(id) {
			keep(string(ou.ID), BasisNode{Name: ou.Name, Parent: string(ou.Parent)})
		}
	}
	for _, a := range in.Org.Accounts {
		if slices.ContainsFunc(w.pathIDs(a), func(id string) bool { return slices.Contains(tops, id) }) {
			keep(string(a.ID), BasisNode{Name: a.Name, Parent: string(a.Parent), State: string(a.State)})
			path(a.Parent)
		}
	}
	for _, id := range tops { // an OU without accounts
		path(orgs.NodeID(id))
	}
	return b
}

// Since says what is different in b from what it was, in words; nothing when
// all is as it was. The policy of that id or name is left out: whoever goes on with
// a change has changed it.
func (b Basis) Since(was Basis, but string) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if b.Organization != was.Organization {
		return []string{fmt.Sprintf("it was organization %s and is %s", was.Organization, b.Organization)}
	}
	if b.SCPStatus != was.SCPStatus {
		say("service control policies were %s and are %s", was.SCPStatus, b.SCPStatus)
	}
	name := func(p string) string { return firstOf(firstOf(b.Policies[p].Name, was.Policies[p].Name), p) }
	skip := func(p string) bool { return but != "" && (p == but || name(p) == but) }
	for _, id := range both(was.Nodes, b.Nodes) {
		before, wasThere := was.Nodes[id]
		after, isThere := b.Nodes[id]
		switch {
		case !isThere:
			say("%s (%s) is not there any more, or not below the targets", before.Name, id)
			continue
		case !wasThere:
			say("%s (%s) is new, or came below the targets", after.Name, id)
			continue
		case before.Parent != after.Parent:
			say("%s (%s) was moved", after.Name, id)
		case before.State != after.State:
			say("%s (%s) was %s and is %s", after.Name, id, before.State, after.State)
		}
		for _, p := range slices.Compact(sorted(slices.Concat(before.Policies, after.Policies))) {
			had, has := slices.Contains(before.Policies, p), slices.Contains(after.Policies, p)
			switch {
			case skip(p) || had == has:
			case has:
				say("policy %s was attached to %s (%s)", name(p), after.Name, id)
			default:
				say("policy %s was detached from %s (%s)", name(p), after.Name, id)
			}
		}
	}
	for _, p := range both(was.Policies, b.Policies) {
		before, wasThere := was.Policies[p]
		after, isThere := b.Policies[p]
		if wasThere && isThere && before.Digest != after.Digest && !skip(p) {
			say("policy %s (%s) has another text", after.Name, p)
		}
	}
	return out
}

func both[V any](a, b map[string]V) []string {
	return slices.Compact(sorted(slices.Concat(sortedKeys(a), sortedKeys(b))))
}

// Digest is a short name of the basis: two that say the same have the same.
func (b Basis) Digest() string {
	h := sha256.New()
	line := func(words ...string) { _, _ = h.Write([]byte(strings.Join(words, "\x00") + "\n")) } // a hash takes every write
	line(b.Organization, b.SCPStatus)
	for _, id := range sortedKeys(b.Nodes) {
		n := b.Nodes[id]
		line(append([]string{id, n.Parent, n.State}, n.Policies...)...)
	}
	for _, id := range sortedKeys(b.Policies) {
		line(id, b.Policies[id].Digest)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
