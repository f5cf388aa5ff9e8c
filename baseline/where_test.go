package baseline

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
)

// What is said of where a resource lives is where an audit looks for it, and what is
// said of the control is the same in fewer words.
func TestWhatLivesWhere(t *testing.T) {
	const home, global, iam = "eu-west-1", "us-east-1", "us-west-2"
	small := smallOrg("aws")
	org := orgs.New(small.ID, management, small.Partition, []orgs.OU{{ID: "r-small", Name: "Root"}, {ID: "ou-small-sec00000", Name: "Security", Parent: "r-small"}},
		append(small.Accounts, orgs.Account{ID: shopProd, Name: "shop", State: orgs.StateActive, Parent: "r-small"}))
	accounts := map[string][]orgs.AccountID{
		everyAccount: {management, securityAccount, shopProd}, "security account": {securityAccount}, "management account": {management},
	}
	regions := map[string][]string{
		" × Region": {home, global, iam, "ap-northeast-1"}, " × Region with alerts": {home, global, iam, "ap-northeast-1"}, ", every Region": {home, global, iam, "ap-northeast-1"},
		", home Region": {home}, ", the trail's Region": {home}, ", global Region": {global}, ", the Region that records IAM": {iam},
	}
	scopes := map[string]string{}
	for _, c := range Catalogue() {
		scopes[c.ID] = c.Scope
	}
	for _, mode := range []string{"central", "local"} {
		cfg := parseConfig(t, "version: 1\nregions: [ap-northeast-1, eu-west-1, us-east-1, us-west-2]\nhome_region: eu-west-1\nsecurity_account: \"200000000001\"\n"+
			"alerts: {mode: "+mode+"}\nbaseline: {config-recorder: {global_types_region: us-west-2}, access-analyzer: {enabled: false, unused_access_days: 90}, cloudtrail: {enabled: false, account: security}}\n")
		for _, c := range controls {
			e, err := Explain(cfg, org, c.ID, home)
			noError(t, err)
			if e.Scope != scopes[c.ID] || e.Scope == "" {
				t.Errorf("%s: lives in %q, and the catalogue has %q", c.ID, e.Scope, scopes[c.ID])
			}
			b, err := Resolve(TurnedOn(cfg, c.ID), org, home)
			noError(t, err)
			found := map[string][]string{} // account/Region, by piece
			for _, a := range b.Accounts {
				for _, region := range b.regionsOf(a.ID) {
					noError(t, b.wanted(a.ID, region, nil, func(u *composed, r Resource, _ bool) {
						if r.Control == c.ID {
							key := u.Stack + " " + r.LogicalID
							found[key] = append(found[key], instanceKey(a.ID, region))
						}
					}))
				}
			}
			words := map[string]string{}
			for _, u := range b.units {
				pieces, err := b.pieces(u, c.ID)
				noError(t, err)
				for i, id := range idsOf(t, b, u, c.ID) {
					words[u.Stack+" "+id] = pieces[i].Where
				}
			}
			for _, key := range sortedKeys(found) {
				want := []string{}
				for who, ids := range accounts {
					in, ok := strings.CutPrefix(words[key], who)
					for _, id := range ids {
						switch {
						case ok && in == "": // it has no Region, and is looked for in one
							at := slices.IndexFunc(found[key], func(k string) bool { return strings.HasPrefix(k, string(id)+"/") })
							want = append(want, found[key][max(0, at)])
						case ok:
							for _, region := range regions[in] {
								want = append(want, instanceKey(id, region))
							}
						}
					}
				}
				slices.Sort(want)
				slices.Sort(found[key])
				if diff := cmp.Diff(want, found[key]); diff != "" {
					t.Errorf("%s, %s alerts: %s is in %q (-said +looked for):\n%s", c.ID, mode, key, words[key], diff)
				}
				who, _, _ := strings.Cut(words[key], ",")
				who, _, _ = strings.Cut(who, " ×")
				if !strings.Contains(scopes[c.ID], who) && !strings.Contains(scopes[c.ID], "the trail's account") {
					t.Errorf("%s: %s is in %q, of which %q does not speak", c.ID, key, words[key], scopes[c.ID])
				}
			}
		}
	}
}

// idsOf are the logical ids of the pieces of a control in a unit, in their order.
func idsOf(t *testing.T, b *Baseline, u *composed, control string) []string {
	t.Helper()
	var ids []string
	for _, region := range []string{b.Home, u.params["GlobalTypesRegion"]} {
		if region == "" {
			continue
		}
		rs, err := u.resources(b.scope(management, region))
		noError(t, err)
		for _, r := range rs {
			if r.Control == control && !slices.Contains(ids, r.LogicalID) {
				ids = append(ids, r.LogicalID)
			}
		}
	}
	return ids
}

func TestScopes(t *testing.T) {
	want := map[string]string{
		"config-recorder":      "every account × Region",
		"config-delivery":      "every account × Region; security account, home Region",
		"root-signin-alert":    "every account, global Region; security account, home Region (central alerts)",
		"password-policy":      "every account, by API",
		"cloudtrail":           "management account, home Region; security account, home Region; the trail's account and Region",
		"guardduty":            "management account, every Region; security account, every Region; all by API",
		"securityhub-policy":   "every account × Region; management account, home Region; all by API",
		"detective-guardrails": "every account × Region",
	}
	for _, c := range Catalogue() {
		if w := want[c.ID]; w != "" && w != c.Scope {
			t.Errorf("%s lives in %q, want %q", c.ID, c.Scope, w)
		}
	}
}

// Every parameter that binds a resource to one Region has its words.
func TestBoundRegionsHaveWords(t *testing.T) {
	n := 0
	for _, c := range controls {
		for _, p := range c.parts {
			file := p.unit
			if p.rule != nil {
				file = "rule"
			}
			f, err := loadFragment(c.ID, p.unit, file)
			noError(t, err)
			m := get(f.root, "Resources")
			for i := 0; i+1 < len(m.Content); i += 2 {
				if by := f.bound(m.Content[i].Value); by != "" {
					n++
					if boundRegions[by] == "" {
						t.Errorf("%s: nothing is said of the Region %s", c.ID, by)
					}
				}
			}
		}
	}
	if n < 5 {
		t.Errorf("only %d resources are bound to a Region", n)
	}
}
