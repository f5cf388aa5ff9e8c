package proposal

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/survey"
)

// Choice is a value with the reason for it.
type Choice[T any] struct {
	Value T
	Why   string
}

// Proposal is what a configuration for an organization should say.
type Proposal struct {
	Organization string
	Management   orgs.AccountID
	AccessRole   string
	ExternalID   string
	Regions      Choice[[]string]
	Home         Choice[string]
	// Security is the security account; "" leaves it to the management account.
	Security Choice[orgs.AccountID]
	Email    []string
	// Unreachable are the accounts that cannot be entered, with the reason.
	Unreachable []Account
	// Foreign are the recorders that somebody else made, Tower the accounts
	// whose recorder is AWS Control Tower's.
	Foreign []Recorder
	Tower   []Account
	Zone    *survey.LandingZone
	// Guardrails are the policies that Control Tower made, by name.
	Guardrails []string
	Trails     []survey.Trail
	// TrailsErr says why nobody knows the trails.
	TrailsErr error
	// Waves are references to OUs, the canary first.
	Waves Choice[[]string]
}

// Account is an account and something about it.
type Account struct {
	orgs.Account
	Why string
}

// Recorder is a recorder that was there before.
type Recorder struct {
	Account orgs.Account
	Name    string
	Regions []string
}

// Given is what the person who asks decides.
type Given struct {
	Home       string // "" lets the survey decide
	Fallback   string // the AWS configuration's Region
	AccessRole string
	ExternalID string
	Email      []string
}

// Propose makes a proposal.
func Propose(s *survey.Survey, g Given) Proposal {
	p := Proposal{
		Management: s.Org.ManagementAccount, Organization: s.Org.ID, AccessRole: g.AccessRole, ExternalID: g.ExternalID, Email: g.Email,
		Zone: s.LandingZone.Value, Trails: s.Trails.Value, TrailsErr: s.Trails.Err,
	}
	seen := map[string]int{} // Regions with customer managed recorders
	for _, a := range s.Accounts {
		if a.Enter != nil {
			p.Unreachable = append(p.Unreachable, Account{a.Account, orgs.Reason(a.Enter)})
			continue
		}
		p.recorders(a, seen)
	}
	p.Home = home(s, g, seen)
	p.Regions = regions(s, p.Home.Value, seen)
	p.Security = security(s)
	p.Waves = waves(s.Org)
	for _, policy := range s.Policies.Value {
		if policy.Guardrail() {
			p.Guardrails = append(p.Guardrails, policy.Name)
		}
	}
	slices.Sort(p.Guardrails)
	return p
}

// recorders notes what an account has.
func (p *Proposal) recorders(a survey.Account, seen map[string]int) {
	foreign := map[string][]string{}
	for _, c := range a.Cells {
		switch r := c.Customer(); r.Owner() {
		case survey.Foreign:
			foreign[r.Name] = append(foreign[r.Name], c.Region)
			seen[c.Region]++
		case survey.ControlTower, survey.Ours:
			seen[c.Region]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(foreign)) {
		p.Foreign = append(p.Foreign, Recorder{a.Account, name, foreign[name]})
	}
	if a.Governed() {
		p.Tower = append(p.Tower, Account{Account: a.Account})
	}
}

// home is where what exists once goes: where AWS Control Tower is, or most
// recorders are.
func home(s *survey.Survey, g Given, seen map[string]int) Choice[string] {
	switch zone := s.LandingZone.Value; {
	case g.Home != "":
		return Choice[string]{g.Home, "as asked for (--home-region)"}
	case zone != nil && zone.Home != "":
		return Choice[string]{zone.Home, "AWS Control Tower's home Region"}
	case g.Fallback != "":
		return Choice[string]{g.Fallback, "the Region of the AWS configuration"}
	}
	best := s.Org.Partition.GlobalRegion
	why := "the partition's global Region, as nothing speaks for another"
	for _, r := range slices.Sorted(maps.Keys(seen)) {
		if seen[r] > seen[best] {
			best, why = r, "where most recorders are"
		}
	}
	return Choice[string]{best, why}
}

// regions are those in use, as far as recorders and AWS Control Tower tell: that a
// Region is on says nothing, as most are on everywhere.
func regions(s *survey.Survey, home string, seen map[string]int) Choice[[]string] {
	all := map[string]bool{home: true, s.Org.Partition.GlobalRegion: true}
	why := []string{"the home Region", "the partition's global Region, where events of global services are"}
	if zone := s.LandingZone.Value; zone != nil && len(zone.Regions) > 0 {
		for _, r := range zone.Regions {
			all[r] = true
		}
		why = append(why, "those that AWS Control Tower governs")
	}
	if len(seen) > 0 {
		for r := range seen {
			all[r] = true
		}
		why = append(why, "those in which recorders were found")
	}
	return Choice[[]string]{slices.Sorted(maps.Keys(all)), strings.Join(why, "; ")}
}

// enabledEverywhere counts the Regions that are on in every account that could
// be entered.
func enabledEverywhere(s *survey.Survey) []string {
	count, accounts := map[string]int{}, 0
	for _, a := range s.Accounts {
		if a.Regions.Known() {
			accounts++
			for _, r := range a.Regions.Value {
				count[r]++
			}
		}
	}
	var out []string
	for _, r := range slices.Sorted(maps.Keys(count)) {
		if count[r] == accounts {
			out = append(out, r)
		}
	}
	return out
}

// securityServices are the services whose delegated administrator is the account
// of the security team, the most telling first.
var securityServices = []string{
	"securityhub.amazonaws.com", "guardduty.amazonaws.com", "config.amazonaws.com", "access-analyzer.amazonaws.com",
	"config-multiaccountsetup.amazonaws.com", "detective.amazonaws.com", "inspector2.amazonaws.com", "macie.amazonaws.com",
}

// securityNames are what such accounts are called, the most telling first.
var securityNames = []string{"security-tooling", "security", "audit", "sec-tooling", "secops", "infosec"}

// security guesses the security account, and says why.
func security(s *survey.Survey) Choice[orgs.AccountID] {
	usable := func(id orgs.AccountID) bool {
		i := slices.IndexFunc(s.Accounts, func(a survey.Account) bool { return a.ID == id })
		return i >= 0 && s.Accounts[i].Enter == nil && id != s.Org.ManagementAccount
	}
	if zone := s.LandingZone.Value; zone != nil && usable(zone.Audit) {
		return Choice[orgs.AccountID]{zone.Audit, "AWS Control Tower's audit account"}
	}
	for _, service := range securityServices {
		for _, id := range slices.Sorted(maps.Keys(s.Delegates.Value)) {
			if slices.Contains(s.Delegates.Value[id], service) && usable(id) {
				return Choice[orgs.AccountID]{id, "the delegated administrator for " + service}
			}
		}
	}
	for _, name := range securityNames {
		for _, exact := range []bool{true, false} {
			for _, a := range s.Accounts {
				have := strings.ToLower(a.Name)
				if usable(a.ID) && (have == name || !exact && strings.Contains(have, name)) {
					return Choice[orgs.AccountID]{a.ID, fmt.Sprintf("it is called %q", a.Name)}
				}
			}
		}
	}
	return Choice[orgs.AccountID]{Why: "no account is a delegated administrator for a security service or called like one"}
}

// canaryNames are what OUs are called in which trouble does least harm.
var canaryNames = []string{"sandbox", "playground", "experiment", "lab", "test", "dev", "staging", "nonprod", "non-prod"}

// waves proposes a canary OU: by its name, and of several the smallest.
func waves(org *orgs.Organization) Choice[[]string] {
	type candidate struct {
		ou         orgs.OU
		rank, size int
	}
	var found []candidate
	for id, ou := range org.OUs {
		rank := slices.IndexFunc(canaryNames, func(n string) bool { return strings.Contains(strings.ToLower(ou.Name), n) })
		size := 0
		for _, a := range org.Accounts {
			if a.State == orgs.StateActive && org.Under(a.Parent, id) {
				size++
			}
		}
		if id != org.Root && rank >= 0 && size > 0 {
			found = append(found, candidate{ou, rank, size})
		}
	}
	if len(found) == 0 {
		return Choice[[]string]{Why: "no OU is called like one for trials"}
	}
	best := slices.MinFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.size, b.size), cmp.Compare(a.ou.ID, b.ou.ID))
	})
	return Choice[[]string]{[]string{reference(org, best.ou), "root"}, fmt.Sprintf("%q with %d accounts goes first, by its name; then all the others", org.PathName(best.ou.ID), best.size)}
}

// reference names an OU in a configuration: by its path where that is plain and
// leads to it, otherwise by its id.
func reference(org *orgs.Organization, ou orgs.OU) string {
	path := org.PathName(ou.ID)
	if found, err := org.FindOU(path); err != nil || found.ID != ou.ID || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r > '~' }) {
		return string(ou.ID)
	}
	return path
}
