package orgs

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// AccountID is a 12-digit AWS account number.
type AccountID string

// NodeID names a root ("r-…") or an organizational unit ("ou-…").
type NodeID string

// AccountState is where an account is in its life; see
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_Account.html.
type AccountState string

// The states of an account. Only an ACTIVE account can be entered.
const (
	StatePendingActivation AccountState = "PENDING_ACTIVATION"
	StateActive            AccountState = "ACTIVE"
	StateSuspended         AccountState = "SUSPENDED"
	StatePendingClosure    AccountState = "PENDING_CLOSURE"
	StateClosed            AccountState = "CLOSED"
)

// Account is one account of the organization.
type Account struct {
	ID     AccountID
	Name   string // chosen by people: hostile input
	Email  string
	ARN    string
	State  AccountState
	Joined time.Time
	Parent NodeID // the root or OU that holds it
}

// OU is an organizational unit or the root.
type OU struct {
	ID     NodeID
	Name   string // chosen by people: hostile input
	Parent NodeID // empty for the root
}

// PolicyTypeStatus is the state of a policy type on the root.
type PolicyTypeStatus string

// The states of a policy type; absent means disabled.
const (
	PolicyTypeEnabled        PolicyTypeStatus = "ENABLED"
	PolicyTypePendingEnable  PolicyTypeStatus = "PENDING_ENABLE"
	PolicyTypePendingDisable PolicyTypeStatus = "PENDING_DISABLE"
)

// Organization is a snapshot of an AWS organization.
type Organization struct {
	ID                string
	ManagementAccount AccountID
	AllFeatures       bool
	Root              NodeID
	SCPStatus         PolicyTypeStatus // of SERVICE_CONTROL_POLICY; "" when disabled
	Accounts          []Account        // by account number
	OUs               map[NodeID]OU    // the root included
	Partition         Partition

	byID map[AccountID]int
}

// Account returns the account with the given number.
func (o *Organization) Account(id AccountID) (Account, bool) {
	i, ok := o.byID[id]
	if !ok {
		return Account{}, false
	}
	return o.Accounts[i], true
}

// index sorts the accounts and makes them findable. An account may be listed twice
// when others come and go between two pages.
func (o *Organization) index() {
	slices.SortStableFunc(o.Accounts, func(a, b Account) int { return strings.Compare(string(a.ID), string(b.ID)) })
	o.Accounts = slices.CompactFunc(o.Accounts, func(a, b Account) bool { return a.ID == b.ID })
	o.byID = make(map[AccountID]int, len(o.Accounts))
	for i, a := range o.Accounts {
		o.byID[a.ID] = i
	}
}

// Path returns the nodes from the root down to n, both included. It is empty
// when n is not in the tree.
func (o *Organization) Path(n NodeID) []OU {
	var path []OU
	for range len(o.OUs) { // bounded: a cycle in bad data ends
		ou, ok := o.OUs[n]
		if !ok {
			break
		}
		path = append(path, ou)
		n = ou.Parent
	}
	slices.Reverse(path)
	return path
}

// PathName is Path as people read it: "Root/Workloads/Prod".
func (o *Organization) PathName(n NodeID) string {
	path := o.Path(n)
	names := make([]string, len(path))
	for i, ou := range path {
		names[i] = ou.Name
	}
	return strings.Join(names, "/")
}

// Children returns the OUs directly below n, by name and id.
func (o *Organization) Children(n NodeID) []OU {
	var out []OU
	for _, ou := range o.OUs {
		if ou.Parent == n && ou.ID != n {
			out = append(out, ou)
		}
	}
	slices.SortFunc(out, func(a, b OU) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return out
}

// Under says whether account or OU parent n lies at or below node top.
func (o *Organization) Under(n, top NodeID) bool {
	return slices.ContainsFunc(o.Path(n), func(ou OU) bool { return ou.ID == top })
}

// FindOU resolves an OU given as an id, a name that is unique, or a path of
// names ("Root/Workloads/Prod", with or without the root's name). The error
// names the nearest OUs.
func (o *Organization) FindOU(ref string) (OU, error) {
	if ou, ok := o.OUs[NodeID(ref)]; ok {
		return ou, nil
	}
	if strings.EqualFold(ref, "root") {
		return o.OUs[o.Root], nil
	}
	want := strings.Trim(ref, "/")
	var byPath, byName []OU
	names := make([]string, 0, len(o.OUs))
	for id, ou := range o.OUs {
		full := o.PathName(id)
		_, below, _ := strings.Cut(full, "/")
		names = append(names, full)
		switch {
		case full == want || below == want && want != "":
			byPath = append(byPath, ou)
		case ou.Name == want || ou.Name == ref:
			byName = append(byName, ou)
		}
	}
	found := byPath
	if len(found) == 0 {
		found = byName
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return OU{}, &UnknownError{Kind: "OU", Name: ref, Near: Nearest(ref, names)}
	}
	ids := make([]string, len(found))
	for i, ou := range found {
		ids[i] = fmt.Sprintf("%s (%s)", ou.ID, o.PathName(ou.ID))
	}
	slices.Sort(ids)
	return OU{}, fmt.Errorf("%d OUs are called %q: give one of %s", len(found), ref, strings.Join(ids, ", "))
}

// UnknownError is a name that the organization does not have.
type UnknownError struct {
	Kind string // "OU", "account", …
	Name string
	Near []string // names that look like it
}

func (e *UnknownError) Error() string {
	msg := fmt.Sprintf("no %s %q in the organization", e.Kind, e.Name)
	if e.Kind != "account" && e.Kind != "OU" {
		msg = fmt.Sprintf("unknown %s %q", e.Kind, e.Name)
	}
	if len(e.Near) > 0 {
		msg += "; nearest: " + strings.Join(e.Near, ", ")
	}
	return msg
}

// New makes an organization of its parts: the first OU is the root. It is what
// Load does with what AWS says.
func New(id string, management AccountID, partition Partition, ous []OU, accounts []Account) *Organization {
	o := &Organization{
		ID: id, ManagementAccount: management, AllFeatures: true, Partition: partition, SCPStatus: PolicyTypeEnabled,
		OUs: make(map[NodeID]OU, len(ous)), Accounts: accounts,
	}
	for i, ou := range ous {
		if i == 0 {
			o.Root = ou.ID
		}
		o.OUs[ou.ID] = ou
	}
	o.index()
	return o
}
