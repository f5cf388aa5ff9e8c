package orgs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Exclusion leaves an account or an OU out, always with a reason.
type Exclusion struct {
	Account string // number or name; or
	OU      string // id, name or path
	Reason  string
}

// Selector says which accounts are meant. The zero Selector means all.
type Selector struct {
	Accounts []string // numbers or names
	OUs      []string // ids, names or paths; everything below is meant too
	Tags     []Tag    // all must match; needs the tags given to Select
	Exclude  []Exclusion
}

// Tag is a tag of an account. An empty Value matches any value.
type Tag struct{ Key, Value string }

// Selected is an account that was considered, with why it is left out if it is.
type Selected struct {
	Account
	// OUPath is the account's place as people read it: "Root/Workloads".
	OUPath string
	// Excluded is the reason for leaving the account out; "" when it is in.
	Excluded string
}

// Select resolves the selector. The result has every account that is selected,
// by number; those that an exclusion covers are in it with their reason, since
// what is left out is reported too. All unknown names are reported at once.
// tags gives an account's tags and is called only when the selector has tags.
func (o *Organization) Select(s Selector, tags func(AccountID) map[string]string) ([]Selected, error) {
	var problems []error
	wantAccounts := map[AccountID]bool{}
	for _, ref := range s.Accounts {
		a, err := o.FindAccount(ref)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		wantAccounts[a.ID] = true
	}
	var wantOUs []NodeID
	for _, ref := range s.OUs {
		ou, err := o.FindOU(ref)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		wantOUs = append(wantOUs, ou.ID)
	}
	reason := make(map[AccountID]string)
	for _, e := range s.Exclude {
		if err := o.exclude(e, reason); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	var out []Selected
	for _, a := range o.Accounts {
		byName := len(wantAccounts) == 0 && len(wantOUs) == 0 || wantAccounts[a.ID] ||
			slices.ContainsFunc(wantOUs, func(n NodeID) bool { return o.Under(a.Parent, n) })
		if !byName || len(s.Tags) > 0 && !hasTags(tags(a.ID), s.Tags) {
			continue
		}
		out = append(out, Selected{Account: a, OUPath: o.PathName(a.Parent), Excluded: reason[a.ID]})
	}
	return out, nil
}

// exclude notes the reason for every account that e covers.
func (o *Organization) exclude(e Exclusion, reason map[AccountID]string) error {
	why := cmp.Or(e.Reason, "excluded") // an empty reason would mean that it is in
	if e.Account != "" {
		a, err := o.FindAccount(e.Account)
		if err != nil {
			return fmt.Errorf("exclude: %w", err)
		}
		reason[a.ID] = why
		return nil
	}
	ou, err := o.FindOU(e.OU)
	if err != nil {
		return fmt.Errorf("exclude: %w", err)
	}
	for _, a := range o.Accounts {
		if _, done := reason[a.ID]; !done && o.Under(a.Parent, ou.ID) {
			reason[a.ID] = why
		}
	}
	return nil
}

// isNumber says whether a text can be an account's number.
func isNumber(s string) bool {
	return len(s) == 12 && strings.Trim(s, "0123456789") == ""
}

// FindAccount resolves an account given as its number or its unique name. Twelve digits
// are a number: whoever administers an account may give it the number of one that is gone
// as a name.
func (o *Organization) FindAccount(ref string) (Account, error) {
	if a, ok := o.Account(AccountID(ref)); ok {
		return a, nil
	}
	if isNumber(ref) {
		return Account{}, &UnknownError{Kind: "account", Name: ref}
	}
	var found []Account
	names := make([]string, 0, len(o.Accounts))
	for _, a := range o.Accounts {
		names = append(names, a.Name)
		if a.Name == ref {
			found = append(found, a)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Account{}, &UnknownError{Kind: "account", Name: ref, Near: Nearest(ref, names)}
	}
	return Account{}, fmt.Errorf("%d accounts are called %q: give the account number", len(found), ref)
}

func hasTags(have map[string]string, want []Tag) bool {
	for _, t := range want {
		v, ok := have[t.Key]
		if !ok || t.Value != "" && v != t.Value {
			return false
		}
	}
	return true
}

// Cover returns the fewest nodes under which exactly the wanted accounts lie,
// as far as nodes can say it: each node with the accounts below it that are
// not wanted, and for nodes of which only some direct accounts are wanted those
// accounts. It is what a stack set's deployment targets are made of.
func (o *Organization) Cover(want func(Account) bool, barred func(NodeID) bool) []Target {
	below := map[NodeID][]Account{}
	for _, a := range o.Accounts {
		below[a.Parent] = append(below[a.Parent], a)
	}
	var walk func(n NodeID) (targets []Target, whole bool)
	walk = func(n NodeID) ([]Target, bool) {
		if barred(n) {
			return nil, false
		}
		whole := true
		var parts []Target
		var in, out []AccountID
		for _, a := range below[n] {
			if want(a) {
				in = append(in, a.ID)
			} else {
				out = append(out, a.ID)
			}
		}
		for _, child := range o.Children(n) {
			t, ok := walk(child.ID)
			whole = whole && ok
			parts = append(parts, t...)
		}
		if whole {
			merged := Target{Node: n, Except: out}
			for _, p := range parts {
				merged.Except = append(merged.Except, p.Except...)
			}
			slices.Sort(merged.Except)
			return []Target{merged}, true
		}
		if len(in) > 0 {
			parts = append(parts, Target{Node: n, Only: in})
		}
		return parts, false
	}
	targets, _ := walk(o.Root)
	return slices.DeleteFunc(targets, func(t Target) bool { return !o.reaches(t, want) })
}

// reaches says whether any wanted account lies in the target.
func (o *Organization) reaches(t Target, want func(Account) bool) bool {
	return slices.ContainsFunc(o.Accounts, func(a Account) bool { return want(a) && t.Contains(o, a) })
}

// Target is a node of the tree, with all accounts below it but Except, or with
// Only the named accounts directly in it.
type Target struct {
	Node   NodeID
	Except []AccountID
	Only   []AccountID
}

// Contains says whether the account is meant by the target.
func (t Target) Contains(o *Organization, a Account) bool {
	if len(t.Only) > 0 {
		return slices.Contains(t.Only, a.ID)
	}
	return o.Under(a.Parent, t.Node) && !slices.Contains(t.Except, a.ID)
}
