package baseline

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
)

// About is what people want to know of a control before they turn it on.
type About struct {
	Why  string `json:"why"`
	Cost string `json:"cost"` // in a month, by the published prices
	// Example is a line of the baseline section of orgguard.yaml.
	Example string `json:"example"`
}

// Setting is a setting of a control.
type Setting struct {
	Key     string `json:"key"`
	Default string `json:"default"`
	Doc     string `json:"doc"`
}

// Piece is a resource that a control deploys.
type Piece struct {
	Stack string `json:"stack"` // stack or stack set; "" for what is set by API
	Where string `json:"where"`
	Type  string `json:"type"`
	Name  string `json:"name"`
}

// Explained is everything there is to say about a control.
type Explained struct {
	Control
	About
	Needs    []string  `json:"needs"`
	Settings []Setting `json:"settings"`
	Deploys  []Piece   `json:"deploys"` // in the configured alert mode
	Off      string    `json:"off"`
	Removal  string    `json:"removal"`
}

// Explain says what there is to say about a control, in the alert mode of the
// configuration and whether it is on there or not.
func Explain(cfg *spec.Config, org *orgs.Organization, id, fallbackRegion string) (Explained, error) {
	c, ok := controlOf(id)
	if !ok {
		return Explained{}, &orgs.UnknownError{Kind: "control", Name: id}
	}
	var err error
	if c.Scope, err = c.where(); err != nil {
		return Explained{}, err
	}
	out := Explained{Control: c, About: c.about, Needs: append([]string{}, c.needs...), Settings: settingsOf(c), Deploys: []Piece{}}
	b, err := Resolve(TurnedOn(cfg, id), org, fallbackRegion)
	if err != nil {
		return out, err
	}
	for _, u := range b.units {
		pieces, err := b.pieces(u, id)
		if err != nil {
			return out, err
		}
		out.Deploys = append(out.Deploys, pieces...)
	}
	out.Off = fmt.Sprintf("baseline: {%s: false}", id)
	out.Removal = "switch it off and run a rollout: CloudFormation takes it out of its stacks; a stack of which nothing else is left stays as it is"
	if !slices.ContainsFunc(out.Deploys, func(p Piece) bool { return p.Stack != "" }) {
		out.Removal = "switch it off: the settings stay as they are in the accounts"
	}
	if slices.ContainsFunc(out.Deploys, func(p Piece) bool { return kinds[p.Type].revert != nil }) {
		out.Removal = "while it is on, undo takes a run back, and teardown what orgguard appointed; switched off, everything stays as it is"
	}
	return out, nil
}

// pieces are what the control makes by the unit, each where it lives.
func (b *Baseline) pieces(u *composed, id string) ([]Piece, error) {
	account, whose := orgs.AccountID("111111111111"), ""
	switch u.place {
	case securityOnly, securityEach:
		account = b.Security
	case managementOnly, managementEach:
		account = b.Org.ManagementAccount
	case trailOwner:
		account, whose = b.Org.ManagementAccount, places[managementOnly].who
		if owner := b.trailAccount(); owner != account {
			account, whose = owner, places[securityOnly].who
		}
	}
	// A resource that is made in one Region is looked for there.
	regions := []string{b.Home}
	for _, p := range sortedKeys(boundRegions) {
		if region := u.params[p]; region != "" && !slices.Contains(regions, region) {
			regions = append(regions, region)
		}
	}
	var out []Piece
	seen := map[string]bool{}
	for _, region := range regions {
		rs, err := u.resources(b.scope(account, region))
		if err != nil {
			return nil, err
		}
		for _, r := range rs {
			if r.Control != id || seen[r.LogicalID] {
				continue
			}
			seen[r.LogicalID] = true
			w := whereOf(u.unit, u.template, r.LogicalID, r.Type)
			if whose != "" {
				w.who = whose
				if w.regions != "" {
					w.regions = ", the trail's Region"
				}
			}
			out = append(out, Piece{Stack: u.Stack, Where: w.String(), Type: r.Type, Name: strings.TrimPrefix(r.label(), kinds[r.Type].noun+" ")})
		}
	}
	return out, nil
}

// TurnedOn is a configuration in which a control is on, with all that it needs. One that
// was on keeps its settings.
func TurnedOn(cfg *spec.Config, id string) *spec.Config {
	turned := *cfg
	turned.Baseline = maps.Clone(cfg.Baseline)
	if turned.Baseline == nil {
		turned.Baseline = map[string]spec.Control{}
	}
	for _, need := range needed(id) {
		if entry := turned.Baseline[need]; !entry.Enabled {
			entry.Enabled = true
			turned.Baseline[need] = entry
		}
	}
	return &turned
}

// settingsOf lists a control's settings with their defaults.
func settingsOf(c Control) []Setting {
	if c.settings == nil {
		return []Setting{}
	}
	return settingsIn(c.settings())
}

// settingsIn lists settings with their values.
func settingsIn(settings any) []Setting {
	out := []Setting{}
	v := reflect.Indirect(reflect.ValueOf(settings))
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		key, _, _ := strings.Cut(tag.Get("yaml"), ",")
		if key == "" {
			continue
		}
		text := fmt.Sprint(v.Field(i).Interface())
		if list, ok := v.Field(i).Interface().([]string); ok {
			text = "[" + strings.Join(list, ", ") + "]"
		}
		out = append(out, Setting{Key: key, Default: text, Doc: tag.Get("doc")})
	}
	return out
}
