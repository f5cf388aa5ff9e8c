package plan

import (
	"maps"
	"slices"
	"strings"
)

// Reach is a plan's blast radius: what it touches, what it takes from whom, and what
// no undo brings back.
type Reach struct {
	Accounts int      `json:"accounts"` // that it touches
	Of       int      `json:"of"`       // active accounts of the organization
	Cells    int      `json:"cells"`    // account × Region that it touches
	OUs      []string `json:"ous"`      // their OUs, as paths
	Regions  []string `json:"regions"`  // theirs
	// Losses are what principals can no longer do, or can do again.
	Losses []Loss `json:"losses,omitempty"`
	// Irreversible is what no undo brings back.
	Irreversible []Final `json:"irreversible,omitempty"`
}

// Loss is a statement of a service control policy that begins, or ends, to bind
// accounts.
type Loss struct {
	Policy    string `json:"policy"`
	Statement string `json:"statement"` // its Sid
	// Returned says that the statement ends to bind the accounts: what it denied
	// is allowed again.
	Returned bool `json:"returned,omitempty"`
	// Accounts that it binds from then on, or no longer; every principal of
	// theirs but service-linked roles and those in Except, the root user
	// included.
	Accounts  []string `json:"accounts"`
	Actions   []string `json:"actions"`
	Resources []string `json:"resources"`
	// Except are the ARNs, with *, of the principals that it spares.
	Except []string `json:"except,omitempty"`
	// Conditions are what else it depends on, in words.
	Conditions []string `json:"conditions,omitempty"`
}

// Final is a reason why a change cannot be taken back as a whole, and how many
// changes have it.
type Final struct {
	Why     string `json:"why"`
	Changes int    `json:"changes"`
}

// ReachOf works out what changes touch. of is the number of active accounts of the
// organization; ou gives an account's OU, "" for one that it does not know.
func ReachOf(changes []Change, losses []Loss, of int, ou func(account string) string) Reach {
	r := Reach{Of: of, Losses: losses}
	accounts, cells, ous, regions := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	touch := func(account, region string) {
		accounts[account] = true
		if path := ou(account); path != "" {
			ous[path] = true
		}
		if region != "" && region != global {
			regions[region] = true
			cells[account+"/"+region] = true
		}
	}
	why := map[string]int{}
	for _, c := range changes {
		if c.Irreversible != "" {
			why[c.Irreversible]++
		}
		switch {
		case len(c.Targets) > 0:
			for _, t := range c.Targets {
				account, region, _ := strings.Cut(t, "/")
				touch(account, region)
			}
		case c.Stage != Guardrail: // whose accounts are those of the losses
			touch(c.Account, c.Region)
		}
	}
	for _, l := range losses {
		for _, a := range l.Accounts {
			touch(a, "")
		}
	}
	r.Accounts, r.Cells = len(accounts), len(cells)
	r.OUs, r.Regions = keys(ous), keys(regions)
	for _, text := range slices.Sorted(maps.Keys(why)) {
		r.Irreversible = append(r.Irreversible, Final{Why: text, Changes: why[text]})
	}
	return r
}

// global is the Region of what has none.
const global = "global"

func keys(m map[string]bool) []string {
	out := slices.Sorted(maps.Keys(m))
	if out == nil {
		return []string{}
	}
	return out
}
