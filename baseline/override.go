package baseline

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
)

// layers are what the configuration says of each control, from the organization
// down to an account.
type layers map[string][]spec.Control

// layersIn are what a configuration says of the organization. To name a chat channel
// is to say that alerts go there.
func layersIn(cfg *spec.Config) layers {
	l := layers{}
	for id, c := range cfg.Baseline {
		l[id] = []spec.Control{c}
	}
	if cfg.Alerts.Chat() && len(l[chatAlert.ID]) == 0 {
		topic := l[alertTopic.ID]
		on := cfg.Alerts.Mode == spec.Central && (len(topic) == 0 || topic[0].Enabled)
		l[chatAlert.ID] = []spec.Control{{Enabled: on}}
	}
	return l
}

// on says whether a control is on: the last word counts.
func (l layers) on(c Control) bool {
	if said := l[c.ID]; len(said) > 0 {
		return said[len(said)-1].Enabled
	}
	if topic := l[alertTopic.ID]; c.alert != nil && len(topic) > 0 && !topic[len(topic)-1].Enabled {
		return false // and not an error for each alert there is
	}
	return c.Default
}

// settings are a control's settings: each layer changes what it names; nil for a
// control that takes none.
func (l layers) settings(c Control) (any, error) {
	if c.settings == nil {
		return nil, nil
	}
	s := c.settings()
	for _, said := range l[c.ID] {
		if err := said.Decode(s).Err(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// profile is what holds in the accounts that the same overrides reach.
type profile struct {
	overrides []int // of the configuration, the ones that count more last
	// view is the baseline as if the profile were the whole organization's.
	view *Baseline
	on   map[string]bool // by control id
}

func newProfile(overrides []int, view *Baseline) *profile {
	p := &profile{overrides: overrides, view: view, on: map[string]bool{}}
	for _, c := range view.controls {
		p.on[c.ID] = true
	}
	return p
}

// resolveOverrides finds out which overrides reach which accounts. profiles[0] is
// what the baseline section says; that is what accounts get that no override
// reaches, those too that join the organization later: StackSets deploys into them
// by itself, without the parameters of overrides.
func (b *Baseline) resolveOverrides() error {
	own := *b
	b.profiles = []*profile{newProfile(nil, &own)}
	b.profileOf = map[orgs.AccountID]int{}
	targets, err := b.overrideTargets()
	if err != nil {
		return err
	}
	known := map[string]int{"[]": 0}
	var problems []error
	for _, a := range b.Accounts {
		list := b.overridesOf(a.Account, targets)
		key := fmt.Sprint(list)
		i, seen := known[key]
		if !seen {
			p, err := b.profile(list)
			if err != nil {
				problems = append(problems, fmt.Errorf("account %s (%s): %w", a.ID, a.Name, err))
				known[key] = 0
				continue
			}
			i = len(b.profiles)
			b.profiles, known[key] = append(b.profiles, p), i
		}
		b.profileOf[a.ID] = i
	}
	b.unite()
	return errors.Join(problems...)
}

// overrideTarget is what an override names.
type overrideTarget struct {
	account orgs.AccountID
	ou      orgs.NodeID
}

// overrideTargets looks up the names of the overrides. Two that say something of one
// control for the same account or OU contradict each other.
func (b *Baseline) overrideTargets() ([]overrideTarget, error) {
	var problems []error
	out := make([]overrideTarget, len(b.Config.Overrides))
	said := map[string]int{}
	for i, o := range b.Config.Overrides {
		if o.Account != "" {
			a, err := b.Org.FindAccount(o.Account)
			if err != nil {
				problems = append(problems, fmt.Errorf("overrides[%d]: %w", i, err))
				continue
			}
			out[i].account = a.ID
		} else {
			ou, err := b.Org.FindOU(o.OU)
			if err != nil {
				problems = append(problems, fmt.Errorf("overrides[%d]: %w", i, err))
				continue
			}
			out[i].ou = ou.ID
		}
		for _, id := range sortedKeys(o.Baseline) {
			key := fmt.Sprint(out[i], id)
			if first, twice := said[key]; twice {
				problems = append(problems, fmt.Errorf("overrides[%d]: overrides[%d] says something of %s for the same accounts already", i, first, id))
			}
			said[key] = i
		}
	}
	return out, errors.Join(problems...)
}

// overridesOf are the overrides that reach an account, those of OUs further up first
// and those of the account itself last.
func (b *Baseline) overridesOf(a orgs.Account, targets []overrideTarget) []int {
	path := b.Org.Path(a.Parent)
	depth := func(i int) int {
		if targets[i].account == a.ID {
			return len(path) + 1
		}
		return 1 + slices.IndexFunc(path, func(ou orgs.OU) bool { return ou.ID == targets[i].ou })
	}
	out := []int{}
	for i := range targets {
		if depth(i) > 0 {
			out = append(out, i)
		}
	}
	slices.SortStableFunc(out, func(x, y int) int { return cmp.Compare(depth(x), depth(y)) })
	return out
}

// layersOf are what the configuration says where the overrides reach.
func (b *Baseline) layersOf(overrides []int) layers {
	l := layersIn(b.Config)
	for _, i := range overrides {
		for id, c := range b.Config.Overrides[i].Baseline {
			l[id] = append(l[id], c)
		}
	}
	return l
}

func (b *Baseline) profile(overrides []int) (*profile, error) {
	view := *b
	if err := view.turn(b.layersOf(overrides)); err != nil {
		return nil, err
	}
	return newProfile(overrides, &view), nil
}

// unite makes the baseline's controls those that are on in any account. What exists
// once in the organization, such as the rules of the central bus, serves them all.
func (b *Baseline) unite() {
	if len(b.profiles) == 1 {
		return
	}
	settings := map[string]any{}
	var on []Control
	for _, c := range controls {
		i := slices.IndexFunc(b.profiles, func(p *profile) bool { return p.on[c.ID] })
		if i < 0 {
			continue
		}
		on = append(on, c)
		if s, ok := b.profiles[i].view.settings[c.ID]; ok {
			settings[c.ID] = s
		}
	}
	b.controls, b.settings = on, settings
}

// at is what holds in an account.
func (b *Baseline) at(id orgs.AccountID) *profile { return b.profiles[b.profileOf[id]] }

// waived is why a control that is on elsewhere is off in an account; "" where it is
// on.
func (b *Baseline) waived(id orgs.AccountID, control string) string {
	p := b.at(id)
	if p.on[control] {
		return ""
	}
	for _, i := range slices.Backward(p.overrides) {
		o := b.Config.Overrides[i]
		for _, said := range []string{control, alertTopic.ID} {
			if _, ok := o.Baseline[said]; ok {
				return fmt.Sprintf("switched off here by %s: %s", b.overrideName(i), o.Reason)
			}
		}
	}
	return "off in this account: the configuration has it on only where an override says so"
}

// overrideName is how people find an override in their configuration.
func (b *Baseline) overrideName(i int) string {
	o := b.Config.Overrides[i]
	if o.Account != "" {
		return fmt.Sprintf("overrides[%d] (account %s)", i, o.Account)
	}
	return fmt.Sprintf("overrides[%d] (OU %s)", i, o.OU)
}

// once says what an override cannot change about a control: the whole of it, where
// all that it deploys exists once in the organization, or some settings.
func once(id string, mode spec.AlertMode) (whole bool, settings []string) {
	c, ok := controlOf(id)
	if !ok {
		return false, nil
	}
	if c.whole || c.central && mode == spec.Central {
		return true, nil
	}
	spread := slices.ContainsFunc(c.parts, func(p part) bool {
		u, _ := unitOf(p.unit)
		return (p.mode == "" || p.mode == mode) && u.spread()
	})
	return !spread, c.once
}

// Layer is what one place of the configuration says of a control.
type Layer struct {
	Where   string `json:"where"` // the default, the baseline section, or an override
	Enabled bool   `json:"enabled"`
	Reason  string `json:"reason,omitempty"` // of an override
}

// Effective is what holds of a control in one account, and why.
type Effective struct {
	Control     string    `json:"control"`
	Account     string    `json:"account"`
	AccountName string    `json:"account_name"`
	OUPath      string    `json:"ou_path"`
	Enabled     bool      `json:"enabled"`
	Excluded    string    `json:"excluded,omitempty"` // why nothing holds there
	Settings    []Setting `json:"settings"`           // with the values that hold there
	Layers      []Layer   `json:"layers"`             // the last one counts
}

// EffectiveIn says what holds of a control in an account, and what the configuration
// says about it from the organization down.
func (b *Baseline) EffectiveIn(control, account string) (Effective, error) {
	c, ok := controlOf(control)
	if !ok {
		return Effective{}, &orgs.UnknownError{Kind: "control", Name: control}
	}
	a, err := b.Org.FindAccount(account)
	if err != nil {
		return Effective{}, err
	}
	p := b.at(a.ID)
	out := Effective{
		Control: c.ID, Account: string(a.ID), AccountName: a.Name, OUPath: b.Org.PathName(a.Parent), Enabled: p.on[c.ID],
		Settings: []Setting{}, Layers: []Layer{{Where: "default", Enabled: c.Default}},
	}
	if j := slices.IndexFunc(b.Accounts, func(s orgs.Selected) bool { return s.ID == a.ID }); j >= 0 {
		out.Excluded = b.Accounts[j].Excluded
	}
	if said, ok := b.Config.Baseline[c.ID]; ok {
		out.Layers = append(out.Layers, Layer{Where: "baseline", Enabled: said.Enabled})
	}
	for _, n := range p.overrides {
		if said, ok := b.Config.Overrides[n].Baseline[c.ID]; ok {
			out.Layers = append(out.Layers, Layer{Where: b.overrideName(n), Enabled: said.Enabled, Reason: b.Config.Overrides[n].Reason})
		}
	}
	s, err := b.layersOf(p.overrides).settings(c)
	if err != nil {
		return out, err
	}
	if s != nil {
		out.Settings = settingsIn(s)
	}
	return out, nil
}
