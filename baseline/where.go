package baseline

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs/spec"
)

// whereabouts is where a resource lives, in words: in whose account, and in which of
// its Regions. One that has no Region has no words for it.
type whereabouts struct{ who, regions string }

func (w whereabouts) String() string { return w.who + w.regions }

// The words that are compared.
const (
	everyAccount = "every account"
	homeWords    = ", home Region"
)

// places are the words for where a unit lives.
var places = map[place]whereabouts{
	everyRegion: {everyAccount, " × Region"}, homeOfEach: {everyAccount, homeWords}, globalOfEach: {everyAccount, ", global Region"},
	alertsOfEach: {everyAccount, " × Region with alerts"}, securityOnly: {"security account", homeWords}, managementOnly: {"management account", homeWords},
	trailOwner:   {"the trail's account", " and Region"},
	securityEach: {"security account", ", every Region"}, managementEach: {"management account", ", every Region"},
}

// all says whether it is every Region of the account.
func (w whereabouts) all() bool {
	return w.regions == places[everyRegion].regions || w.regions == places[securityEach].regions
}

// boundRegions are the words for the one Region that a parameter names.
var boundRegions = map[string]string{"HomeRegion": homeWords, "GlobalTypesRegion": ", the Region that records IAM"}

// bound is the parameter that names the one Region in which a resource of the template
// is made, as its condition says; "" where there is none.
func (t template) bound(id string) string {
	body := get(get(t.root, "Resources"), id)
	c := get(body, "Condition")
	if c == nil {
		return ""
	}
	return t.boundBy(&yaml.Node{Tag: "!Condition", Value: c.Value})
}

func (t template) boundBy(n *yaml.Node) string {
	switch {
	case n == nil:
		return ""
	case n.Tag == "!Condition":
		if conditions := get(t.root, "Conditions"); conditions != nil {
			return t.boundBy(get(conditions, n.Value))
		}
	case n.Tag == "!And":
		for _, c := range n.Content {
			if p := t.boundBy(c); p != "" {
				return p
			}
		}
	case n.Tag == "!Equals" && len(n.Content) == 2 && n.Content[0].Tag == "!Ref" && n.Content[0].Value == "AWS::Region" && n.Content[1].Tag == "!Ref":
		return n.Content[1].Value
	}
	return ""
}

// whereOf says where a resource of a unit lives.
func whereOf(u unit, t template, id, kind string) whereabouts {
	w := places[u.place]
	if p := t.bound(id); p != "" {
		w.regions = boundRegions[p]
	}
	if kinds[kind].global {
		w.regions = ""
	}
	return w
}

// Catalogue returns what this package's controls are, as Controls does, and besides
// where they live, which takes reading their templates.
func Catalogue() []Control {
	out := Controls()
	for i := range out {
		scope, err := out[i].where()
		if err != nil {
			scope = err.Error() // of a template that is a part of the program: a test reads them all
		}
		out[i].Scope = scope
	}
	return out
}

// where says in words where the control lives whatever the configuration is: what its
// units and the conditions of its resources say.
func (c Control) where() (string, error) {
	type spot struct {
		whereabouts
		mode spec.AlertMode // "" for both
	}
	var spots []spot
	direct := true
	for _, p := range c.parts {
		u, _ := unitOf(p.unit)
		direct = direct && u.direct
		file := p.unit
		if p.rule != nil {
			file = "rule"
		}
		f, err := loadFragment(c.ID, p.unit, file)
		if err != nil {
			return "", err
		}
		m := get(f.root, "Resources")
		for i := 0; i+1 < len(m.Content); i += 2 {
			spots = append(spots, spot{whereOf(u, f.template, m.Content[i].Value, get(m.Content[i+1], "Type").Value), cmp.Or(p.mode, u.mode)})
		}
	}
	// What is in both modes is in neither alone, and who has every Region has each of them.
	for i, s := range spots {
		if slices.ContainsFunc(spots, func(o spot) bool { return o.whereabouts == s.whereabouts && o.mode != s.mode }) {
			spots[i].mode = ""
		}
	}
	covered := func(s spot) bool {
		return slices.ContainsFunc(spots, func(o spot) bool {
			wider := o.all() && !s.all() || o.regions != "" && s.regions == ""
			return o.who == s.who && wider && (o.mode == "" || o.mode == s.mode)
		})
	}
	var everywhere, once []string
	for _, s := range spots {
		if covered(s) {
			continue
		}
		words := s.String()
		if s.mode != "" {
			words += " (" + string(s.mode) + " alerts)"
		}
		into := &once
		if s.who == everyAccount {
			into = &everywhere
		}
		if !slices.Contains(*into, words) {
			*into = append(*into, words)
		}
	}
	all := append(everywhere, once...)
	out := strings.Join(all, "; ")
	switch {
	case direct && len(all) > 1:
		out += "; all by API"
	case direct:
		out += ", by API"
	}
	return out, nil
}
