package apply

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
)

// tree is Root/{Work/{Prod, Dev}, Sandbox} with two accounts in each leaf, and the
// management account at the root.
func tree() *orgs.Organization {
	var accounts []orgs.Account
	for _, x := range []struct{ id, parent string }{
		{"100000000000", "r-root"}, {"200000000001", "ou-prod"}, {"200000000002", "ou-prod"}, {"300000000001", "ou-dev"}, {"300000000002", "ou-dev"},
		{"400000000001", "ou-sand"}, {"400000000002", "ou-sand"},
	} {
		accounts = append(accounts, orgs.Account{ID: orgs.AccountID(x.id), Name: "a" + x.id[:1], Parent: orgs.NodeID(x.parent), State: orgs.StateActive})
	}
	accounts[6].State = orgs.StateSuspended
	return orgs.New("o-test", "100000000000", orgs.PartitionOf("us-east-1"), []orgs.OU{
		{ID: "r-root", Name: "Root"}, {ID: "ou-work", Name: "Work", Parent: "r-root"}, {ID: "ou-prod", Name: "Prod", Parent: "ou-work"},
		{ID: "ou-dev", Name: "Dev", Parent: "ou-work"}, {ID: "ou-sand", Name: "Sandbox", Parent: "r-root"},
	}, accounts)
}

const (
	textA = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ec2:*","Resource":"*"}]}`
	textB = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"rds:*","Resource":"*"}]}`
)

// words are the waves in short: the verb, and the node or nothing.
func words(waves []Wave) []string {
	var out []string
	for _, w := range waves {
		var changes []string
		for _, c := range w.Changes {
			before, _, err := sides(c)
			if err != nil {
				return []string{err.Error()}
			}
			changes = append(changes, strings.TrimSpace(string(c.Verb)+" "+before.Target))
		}
		out = append(out, w.Name+": "+strings.Join(changes, ", "))
	}
	return out
}

func groupsOf(lists ...string) []Group {
	var out []Group
	for _, l := range lists {
		out = append(out, Group{Name: l, Nodes: strings.Fields(l)})
	}
	return out
}

func TestPlan(t *testing.T) {
	there := func(text string, targets ...string) Policy {
		return Policy{Name: "p", ID: "p-1", Content: text, Targets: targets}
	}
	for name, c := range map[string]struct {
		have   Policy
		wish   Wish
		groups []Group
		want   []string
	}{
		"without waves all is one":                {Policy{Name: "p"}, Wish{Content: textA, Attach: []string{"ou-work", "ou-sand"}}, nil, []string{"all at once: create, attach ou-work, attach ou-sand"}},
		"what is there is not done again":         {there(textA, "ou-work"), Wish{Content: textA, Attach: []string{"ou-work"}}, groupsOf("ou-sand"), nil},
		"the text is compared by what it says":    {there(strings.ReplaceAll(textA, ",", ", "), "ou-work"), Wish{Content: textA, Attach: []string{"ou-work"}}, nil, nil},
		"a target in a wave is attached in it":    {Policy{Name: "p"}, Wish{Content: textA, Attach: []string{"ou-prod", "ou-sand"}}, groupsOf("ou-sand", "ou-work"), []string{"ou-sand: create, attach ou-sand", "ou-work: attach ou-prod"}},
		"a target above is reached by the canary": {Policy{Name: "p"}, Wish{Content: textA, Attach: []string{"r-root"}}, groupsOf("ou-sand", "ou-dev"), []string{"ou-sand: create, attach ou-sand", "ou-dev: attach ou-dev", "everything else: attach r-root", "attachments that became redundant: detach ou-sand, detach ou-dev"}},
		"an account can be a canary":              {there(textA), Wish{Attach: []string{"ou-sand"}}, groupsOf("400000000001"), []string{"400000000001: attach 400000000001", "everything else: attach ou-sand", "attachments that became redundant: detach 400000000001"}},
		"a canary that is a target stays":         {Policy{Name: "p"}, Wish{Content: textA, Attach: []string{"r-root", "ou-sand"}}, groupsOf("ou-sand"), []string{"ou-sand: create, attach ou-sand", "everything else: attach r-root"}},
		"what was attached before stays":          {there(textA, "ou-sand"), Wish{Attach: []string{"r-root"}}, groupsOf("ou-sand"), []string{"all at once: attach r-root"}},
		"a canary below one that is attached":     {there(textA, "ou-work"), Wish{Attach: []string{"r-root"}}, groupsOf("ou-dev", "ou-sand"), []string{"ou-sand: attach ou-sand", "everything else: attach r-root", "attachments that became redundant: detach ou-sand"}},
		"the root in the last wave":               {there(textA), Wish{Attach: []string{"r-root"}}, groupsOf("ou-sand", "r-root"), []string{"ou-sand: attach ou-sand", "r-root: attach r-root", "attachments that became redundant: detach ou-sand"}},
		"waves elsewhere do not matter":           {there(textA), Wish{Attach: []string{"ou-prod"}}, groupsOf("ou-sand"), []string{"all at once: attach ou-prod"}},
		"an edit comes first, and everywhere":     {there(textA, "ou-prod", "ou-dev"), Wish{Content: textB, Attach: []string{"ou-sand"}}, groupsOf("ou-dev"), []string{"the edit, on all targets at once: update", "everything else: attach ou-sand"}},
		"an edit of what is nowhere":              {there(textA), Wish{Content: textB, Attach: []string{"ou-sand"}}, groupsOf("400000000001"), []string{"400000000001: update, attach 400000000001", "everything else: attach ou-sand", "attachments that became redundant: detach 400000000001"}},
		"a removal goes by the waves":             {there(textA, "ou-prod", "ou-dev", "ou-sand", "r-root"), Wish{Detach: []string{"ou-prod", "ou-dev", "ou-sand", "r-root"}}, groupsOf("ou-sand", "ou-work"), []string{"ou-sand: detach ou-sand", "ou-work: detach ou-prod, detach ou-dev", "everything else: detach r-root"}},
		"a removal of what is not there":          {there(textA, "ou-prod"), Wish{Detach: []string{"ou-dev"}}, nil, nil},
		"one to be deleted goes at the end":       {there(textA, "ou-prod", "ou-sand"), Wish{Detach: []string{"ou-prod", "ou-sand"}, Delete: true}, groupsOf("ou-sand"), []string{"ou-sand: detach ou-sand", "everything else: detach ou-prod, delete"}},
		"one that is nowhere is deleted":          {there(textA), Wish{Delete: true}, groupsOf("ou-sand"), []string{"all at once: delete"}},
		"what is not there is not deleted":        {Policy{Name: "p"}, Wish{Delete: true}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := Plan(tree(), c.have, c.wish, c.groups)
			if diff := cmp.Diff(c.want, words(got)); diff != "" {
				t.Errorf("waves (-want +got):\n%s", diff)
			}
			for i, w := range got {
				if w.Number != i+1 {
					t.Errorf("wave %d has the number %d", i+1, w.Number)
				}
			}
		})
	}
}

func TestAWaveCountsTheAccountsItIsTheFirstToReach(t *testing.T) {
	var got []int
	for _, w := range Plan(tree(), Policy{Name: "p"}, Wish{Content: textA, Attach: []string{"r-root"}}, groupsOf("200000000001", "ou-prod", "ou-sand")) {
		got = append(got, w.Accounts)
	}
	// The management account and the suspended one are never bound.
	if diff := cmp.Diff([]int{1, 1, 1, 2, 0}, got); diff != "" {
		t.Error(diff)
	}
}

// Whatever the waves are, at the end the policy is attached to the targets and to
// what it was attached to before, and every change can be taken back.
func TestEveryPlanEndsWhereItShould(t *testing.T) {
	nodes := []string{"r-root", "ou-work", "ou-prod", "ou-dev", "ou-sand", "200000000001", "300000000001", "400000000001"}
	org := tree()
	for mask := range 1 << len(nodes) {
		var targets []string
		for i, n := range nodes {
			if mask&(1<<i) != 0 {
				targets = append(targets, n)
			}
		}
		for _, groups := range [][]Group{nil, groupsOf("ou-dev", "ou-work"), groupsOf("400000000001 300000000001", "ou-sand"), groupsOf("ou-prod ou-sand", "r-root")} {
			for _, before := range [][]string{nil, {"ou-prod"}, {"ou-work", "400000000001"}} {
				on := map[string]bool{}
				for _, b := range before {
					on[b] = true
				}
				have := Policy{Name: "p", ID: "p-1", Content: textA, Targets: before}
				m := maker{org: org, policy: "p"}
				for _, c := range Changes(Plan(org, have, Wish{Attach: targets}, groups)) {
					b, a, err := sides(c)
					if err != nil || b.Attached != on[b.Target] || a.Attached == b.Attached {
						t.Fatalf("%v %v: %s %s does not begin where things are (%v)", targets, before, c.Verb, c.Resource, err)
					}
					on[a.Target] = a.Attached
					back, err := m.inverse(c)
					x, y, err2 := sides(back)
					if err != nil || err2 != nil || x != a || y != b {
						t.Fatalf("%s %s is not taken back by %s %s", c.Verb, c.Resource, back.Verb, back.Resource)
					}
				}
				for n, is := range on {
					want := false
					for _, x := range append(append([]string{}, targets...), before...) {
						want = want || x == n
					}
					if is != want {
						t.Fatalf("targets %v, before %v, groups %v: %s attached %v", targets, before, groups, n, is)
					}
				}
				for _, x := range targets {
					if !on[x] {
						t.Fatalf("targets %v: %s is not attached", targets, x)
					}
				}
			}
		}
	}
}

func TestAChangeSurvivesAFile(t *testing.T) {
	m := maker{org: tree(), policy: "p"}
	for _, c := range []plan.Change{m.attach("ou-prod", ""), m.detach("r-root", ""), m.create(textA, ""), m.update(textA, textB, "", 3), m.remove(textB, "")} {
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var read plan.Change
		if err := json.Unmarshal(b, &read); err != nil {
			t.Fatal(err)
		}
		b1, a1, err1 := sides(c)
		b2, a2, err2 := sides(read)
		if err := errors.Join(err1, err2); err != nil || b1 != b2 || a1 != a2 {
			t.Errorf("%s %s: %+v %+v, then %+v %+v (%v)", c.Verb, c.Resource, b1, a1, b2, a2, err)
		}
		back, err := m.inverse(read)
		if err != nil {
			t.Fatal(err)
		}
		again, err := m.inverse(back)
		if err != nil || again.Verb != c.Verb || again.Resource != c.Resource {
			t.Errorf("%s %s, twice taken back, is %s %s (%v)", c.Verb, c.Resource, again.Verb, again.Resource, err)
		}
	}
	if _, err := m.inverse(plan.Change{Verb: plan.Enable, Before: Side{}, After: Side{}}); err == nil {
		t.Error("an inverse of what is none of ours")
	}
}

func TestFullNamesTheCanariesWithoutRoom(t *testing.T) {
	waves := Plan(tree(), Policy{Name: "p"}, Wish{Content: textA, Attach: []string{"r-root"}}, groupsOf("ou-dev", "ou-sand"))
	got := Full(tree(), waves, map[string][]string{"ou-dev": make([]string, 10), "ou-sand": make([]string, 9)}, 10)
	if diff := cmp.Diff([]string{"Root/Work/Dev (ou-dev) has 10 of 10 policies"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestOutcomeOf(t *testing.T) {
	for name, c := range map[string]struct {
		waves []WaveStatus
		want  Outcome
	}{
		"nothing":              {nil, NothingToDo},
		"all verified":         {[]WaveStatus{Verified, Verified}, Done},
		"one taken back":       {[]WaveStatus{Verified, RolledBack, NotBegun}, TakenBack},
		"one left as it is":    {[]WaveStatus{WaveFailed, NotBegun}, Broken},
		"stopped between":      {[]WaveStatus{Verified, NotBegun}, Cut},
		"stopped in a wave":    {[]WaveStatus{Verified, Interrupted, NotBegun}, Cut},
		"something unheard of": {[]WaveStatus{"?"}, Broken},
	} {
		var waves []WaveResult
		for _, s := range c.waves {
			waves = append(waves, WaveResult{Status: s})
		}
		if got := OutcomeOf(waves); got != c.want {
			t.Errorf("%s: %s; want %s", name, got, c.want)
		}
	}
}

func TestGroupsNamesWhatIsNotThere(t *testing.T) {
	if _, err := Groups(tree(), [][]string{{"Sandbox"}, {"Work/Prd", "nobody"}}); err == nil || !strings.Contains(err.Error(), "Work/Prd") || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("got %v", err)
	}
}
