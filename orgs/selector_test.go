package orgs_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
)

func TestSelect(t *testing.T) {
	tags := func(id orgs.AccountID) map[string]string {
		return map[orgs.AccountID]map[string]string{
			"300000000001": {"team": "shop", "stage": "prod"},
			"310000000001": {"team": "shop", "stage": "dev"},
			"310000000002": {"team": "pay", "stage": "dev", "empty": ""},
		}[id]
	}
	workloads := []string{"300000000001", "300000000002", "300000000003", "310000000001", "310000000002"}
	for _, tc := range []struct {
		name string
		s    orgs.Selector
		want []string // "number", or "number: reason"
		err  []string // lines
	}{
		{
			name: "the zero selector means all, suspended accounts too",
			want: append(append([]string{"100000000001", "200000000001", "200000000002"}, workloads...),
				"400000000001", "400000000002", "500000000001", "500000000002", "500000000003", "900000000001"),
		},
		{name: "an account by number", s: orgs.Selector{Accounts: []string{"300000000001"}}, want: []string{"300000000001"}},
		{name: "accounts by name, each once, in the order of numbers", s: orgs.Selector{Accounts: []string{"shop-prod", "security", "300000000001"}}, want: []string{"200000000001", "300000000001"}},
		{name: "an OU with everything below", s: orgs.Selector{OUs: []string{"Workloads"}}, want: workloads},
		{name: "an OU by path", s: orgs.Selector{OUs: []string{"Root/Workloads/Dev"}}, want: []string{"310000000001", "310000000002"}},
		{name: "an OU in another", s: orgs.Selector{OUs: []string{"Workloads", "Workloads/Dev"}}, want: workloads},
		{name: "accounts and OUs together", s: orgs.Selector{Accounts: []string{"security"}, OUs: []string{"Dev"}}, want: []string{"200000000001", "310000000001", "310000000002"}},
		{name: "a tag", s: orgs.Selector{Tags: []orgs.Tag{{Key: "team", Value: "shop"}}}, want: []string{"300000000001", "310000000001"}},
		{name: "all tags", s: orgs.Selector{Tags: []orgs.Tag{{Key: "team", Value: "shop"}, {Key: "stage", Value: "dev"}}}, want: []string{"310000000001"}},
		{name: "a tag of any value", s: orgs.Selector{Tags: []orgs.Tag{{Key: "empty"}}}, want: []string{"310000000002"}},
		{name: "a tag within an OU", s: orgs.Selector{OUs: []string{"Prod"}, Tags: []orgs.Tag{{Key: "team"}}}, want: []string{"300000000001"}},
		{name: "a tag that nobody has", s: orgs.Selector{Tags: []orgs.Tag{{Key: "none"}}}},
		{
			name: "an excluded account is reported with its reason",
			s:    orgs.Selector{OUs: []string{"Dev"}, Exclude: []orgs.Exclusion{{Account: "shop-dev", Reason: "closed next month"}}},
			want: []string{"310000000001: closed next month", "310000000002"},
		},
		{
			name: "an excluded OU takes everything below with it",
			s:    orgs.Selector{OUs: []string{"Workloads"}, Exclude: []orgs.Exclusion{{OU: "Workloads", Reason: "later"}}},
			want: []string{"300000000001: later", "300000000002: later", "300000000003: later", "310000000001: later", "310000000002: later"},
		},
		{
			name: "an account's own reason counts before its OU's, whichever is first",
			s: orgs.Selector{OUs: []string{"Dev"}, Exclude: []orgs.Exclusion{
				{Account: "310000000001", Reason: "mine"}, {OU: "Dev", Reason: "ours"}, {Account: "310000000002", Reason: "mine too"},
			}},
			want: []string{"310000000001: mine", "310000000002: mine too"},
		},
		{
			name: "an exclusion of what is not selected does nothing",
			s:    orgs.Selector{Accounts: []string{"security"}, Exclude: []orgs.Exclusion{{OU: "Dev", Reason: "later"}}},
			want: []string{"200000000001"},
		},
		{
			name: "an exclusion excludes even without a reason",
			s:    orgs.Selector{OUs: []string{"Dev"}, Exclude: []orgs.Exclusion{{Account: "shop-dev"}, {OU: "Dev"}}},
			want: []string{"310000000001: excluded", "310000000002: excluded"},
		},
		{
			name: "every unknown name is reported at once",
			s: orgs.Selector{
				Accounts: []string{"shop-prd", "security"}, OUs: []string{"Work"},
				Exclude: []orgs.Exclusion{{Account: "000000000000", Reason: "r"}, {OU: "Sandboxes", Reason: "r"}},
			},
			err: []string{
				`no account "shop-prd" in the organization; nearest: shop-prod, `,
				`no OU "Work" in the organization; nearest: Root/Workloads`,
				`exclude: no account "000000000000" in the organization`,
				`exclude: no OU "Sandboxes" in the organization; nearest: Root/Sandbox`,
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := load(t, scenario(t, "demo"))
			asked := 0
			got, err := o.Select(tc.s, func(id orgs.AccountID) map[string]string { asked++; return tags(id) })
			if tc.err != nil {
				if err == nil || got != nil {
					t.Fatalf("got %v, %v", got, err)
				}
				lines := strings.Split(err.Error(), "\n")
				if len(lines) != len(tc.err) {
					t.Fatalf("got %d problems, want %d:\n%v", len(lines), len(tc.err), err)
				}
				for i, want := range tc.err {
					if !strings.HasPrefix(lines[i], want) {
						t.Errorf("got  %s\nwant %s", lines[i], want)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, s := range got {
				text := string(s.ID)
				if s.Excluded != "" {
					text += ": " + s.Excluded
				}
				names = append(names, text)
				if s.OUPath != o.PathName(s.Parent) {
					t.Errorf("%s: path %q", s.ID, s.OUPath)
				}
			}
			if diff := cmp.Diff(tc.want, names); diff != "" {
				t.Error(diff)
			}
			if len(tc.s.Tags) == 0 && asked > 0 {
				t.Errorf("tags were asked for %d times and not needed", asked)
			}
		})
	}
}

// randomOrganization is a tree of up to 16 OUs with up to 40 accounts.
func randomOrganization(r *rand.Rand) *orgs.Organization {
	ous := []orgs.OU{{ID: "r-1", Name: "Root"}}
	for i := range r.IntN(16) {
		ous = append(ous, orgs.OU{ID: orgs.NodeID(fmt.Sprintf("ou-1-%02d", i)), Name: fmt.Sprint(i % 3), Parent: ous[r.IntN(len(ous))].ID})
	}
	var accounts []orgs.Account
	for i := range r.IntN(40) {
		accounts = append(accounts, orgs.Account{ID: orgs.AccountID(fmt.Sprintf("%012d", i)), Parent: ous[r.IntN(len(ous))].ID})
	}
	return orgs.New("o-random", "", orgs.PartitionOf("aws"), ous, accounts)
}

func TestCoverMeansExactlyTheWantedAccounts(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 0))
		o := randomOrganization(r)
		wanted, barred := map[orgs.AccountID]bool{}, map[orgs.NodeID]bool{}
		wish, bar := r.IntN(101), r.IntN(30)
		for _, a := range o.Accounts {
			wanted[a.ID] = r.IntN(100) < wish
		}
		for _, id := range nodesOf(o) {
			barred[id] = r.IntN(100) < bar
		}
		targets := o.Cover(func(a orgs.Account) bool { return wanted[a.ID] }, func(n orgs.NodeID) bool { return barred[n] })
		problem := func(format string, args ...any) {
			t.Fatalf("seed %d: %s\ntargets %v\nwanted %v\nbarred %v", seed, fmt.Sprintf(format, args...), targets, wanted, barred)
		}
		below := func(n orgs.NodeID) bool { // a barred OU at or above n
			return slices.ContainsFunc(o.Path(n), func(ou orgs.OU) bool { return barred[ou.ID] })
		}
		clean := func(n orgs.NodeID) bool { // no barred OU at or below n
			return !slices.ContainsFunc(nodesOf(o), func(id orgs.NodeID) bool { return barred[id] && o.Under(id, n) })
		}
		for _, a := range o.Accounts {
			times := 0
			for _, target := range targets {
				if target.Contains(o, a) {
					times++
				}
			}
			want := 0
			if wanted[a.ID] && !below(a.Parent) {
				want = 1
			}
			if times != want {
				problem("account %s in %s is in %d targets, want %d", a.ID, a.Parent, times, want)
			}
		}
		for _, target := range targets {
			if below(target.Node) {
				problem("%s is barred or in what is", target.Node)
			}
			if len(target.Only) > 0 {
				if clean(target.Node) || len(target.Except) > 0 {
					problem("%s could be a target as a whole", target.Node)
				}
				for _, id := range target.Only {
					if a, _ := o.Account(id); a.Parent != target.Node {
						problem("%s is not directly in %s", id, target.Node)
					}
				}
				continue
			}
			if !clean(target.Node) {
				problem("%s has a barred OU below it", target.Node)
			}
			// The fewest: what is above is no target because it cannot be.
			if parent := o.OUs[target.Node].Parent; parent != "" && clean(parent) {
				problem("%s could be covered by %s", target.Node, parent)
			}
			if !slices.IsSorted(target.Except) {
				problem("the exceptions of %s are not in order", target.Node)
			}
			for _, id := range target.Except {
				if a, _ := o.Account(id); wanted[id] || !o.Under(a.Parent, target.Node) {
					problem("%s is no exception of %s", id, target.Node)
				}
			}
		}
		if again := o.Cover(func(a orgs.Account) bool { return wanted[a.ID] }, func(n orgs.NodeID) bool { return barred[n] }); !cmp.Equal(targets, again) {
			problem("and the second time %v", again)
		}
	}
}

func nodesOf(o *orgs.Organization) []orgs.NodeID {
	var out []orgs.NodeID
	for id := range o.OUs {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func TestCover(t *testing.T) {
	o := twins()
	none := func(orgs.NodeID) bool { return false }
	all := func(orgs.Account) bool { return true }
	for _, tc := range []struct {
		name   string
		want   func(orgs.Account) bool
		barred func(orgs.NodeID) bool
		out    []orgs.Target
	}{
		{"all accounts are the root", all, none, []orgs.Target{{Node: "r-1"}}},
		{"all but one are the root but one", func(a orgs.Account) bool { return a.ID != "100000000001" }, none, []orgs.Target{{Node: "r-1", Except: []orgs.AccountID{"100000000001"}}}},
		{"no account needs no target", func(orgs.Account) bool { return false }, none, []orgs.Target{}},
		{"a barred root leaves nothing", all, func(n orgs.NodeID) bool { return n == "r-1" }, nil},
		{
			"around a barred OU",
			all, func(n orgs.NodeID) bool { return n == "ou-1-prod" },
			[]orgs.Target{{Node: "ou-1-sandbox"}, {Node: "ou-1-workloads", Only: []orgs.AccountID{"300000000004", "300000000005"}}, {Node: "r-1", Only: []orgs.AccountID{"100000000001"}}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.out, o.Cover(tc.want, tc.barred)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// BenchmarkCover is the worst of large organizations: one OU in ten is barred
// and half of the accounts are wanted, so that there are many targets.
func BenchmarkCover(b *testing.B) {
	ous := []orgs.OU{{ID: "r-1", Name: "Root"}}
	for i := range 1000 {
		ous = append(ous, orgs.OU{ID: orgs.NodeID(fmt.Sprintf("ou-1-%04d", i)), Name: fmt.Sprint(i), Parent: ous[i/4].ID})
	}
	var accounts []orgs.Account
	for i := range 10_000 {
		accounts = append(accounts, orgs.Account{ID: orgs.AccountID(fmt.Sprintf("%012d", i)), Parent: ous[i%len(ous)].ID})
	}
	o := orgs.New("o-large", "", orgs.PartitionOf("aws"), ous, accounts)
	want := func(a orgs.Account) bool { return a.ID[len(a.ID)-1]%2 == 0 }
	barred := func(n orgs.NodeID) bool { return n != "r-1" && n > "ou-1-0500" && n[len(n)-1] == '7' }
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n = len(o.Cover(want, barred))
	}
	b.ReportMetric(float64(n), "targets")
}
