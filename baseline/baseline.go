package baseline

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
)

// Baseline is the configuration applied to one organization: which units there
// are, with which templates and parameters, for which accounts and Regions.
type Baseline struct {
	Config   *spec.Config
	Org      *orgs.Organization
	Home     string         // home Region
	Security orgs.AccountID // security account
	// Regions of the baseline, sorted; with AllEnabled those that are on in
	// every account, to which each account adds what it has enabled.
	Regions    []string
	AllEnabled bool
	// Accounts is every account of the organization, those left out with
	// their reason.
	Accounts []orgs.Selected
	// At is when the accounts are looked at: it decides which have only just joined.
	// Without it none has.
	At time.Time
	// Strict says that what new accounts lack is drift all the same: a rollout has
	// just been there.
	Strict bool
	// Notes are choices that were made because the configuration is silent.
	Notes []string

	waves    waves
	units    []*composed
	controls []Control      // those that are on, in any account
	settings map[string]any // by control id; of the organization where it has them
	bucket   string         // the log bucket that the configuration names
	// profiles are what holds in different accounts; the first one is what the
	// baseline section says. profileOf is an account's.
	profiles  []*profile
	profileOf map[orgs.AccountID]int
	hubs      *hubLookups
	policies  *hubPolicyLookup
	limit     int // instances of a stack set; 0 is AWS's own
}

// Resolve applies a configuration to an organization. fallbackRegion is the
// Region of the AWS configuration, for a configuration that names none. Every
// problem is reported at once.
func Resolve(cfg *spec.Config, org *orgs.Organization, fallbackRegion string) (*Baseline, error) {
	b := &Baseline{Config: cfg, Org: org, bucket: BucketSetting(cfg), hubs: &hubLookups{all: map[string]func() orgs.Outcome[securityHubState]{}}, policies: &hubPolicyLookup{}}
	var problems []error
	problems = append(problems, b.resolveRegions(fallbackRegion), b.resolveSecurity(), b.resolveAccounts())
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if err := errors.Join(b.resolveControls(), b.checkTrail(), b.checkHubPolicy(), b.resolveWaves()); err != nil {
		return nil, err
	}
	return b, b.compose()
}

func (b *Baseline) resolveRegions(fallback string) error {
	cfg, part := b.Config, b.Org.Partition
	b.AllEnabled = cfg.Regions.AllEnabled
	b.Home = cfg.HomeRegion
	if b.Home == "" {
		b.Home = fallback
	}
	switch {
	case b.AllEnabled:
		b.Regions = slices.Clone(part.Default)
		if b.Home == "" {
			b.Home = part.GlobalRegion
		}
	case len(cfg.Regions.List) > 0:
		b.Regions = slices.Clone(cfg.Regions.List)
		if b.Home == "" || !slices.Contains(b.Regions, b.Home) {
			b.Home = b.Regions[0]
		}
	default:
		if b.Home == "" {
			b.Home = part.GlobalRegion
		}
		b.Regions = []string{b.Home}
		if b.Home != part.GlobalRegion {
			b.Regions = append(b.Regions, part.GlobalRegion)
		}
		b.Notes = append(b.Notes, fmt.Sprintf("the configuration names no Regions: taking %s", joinAnd(b.Regions)))
	}
	slices.Sort(b.Regions)
	b.Regions = slices.Compact(b.Regions)
	for _, r := range append(slices.Clone(b.Regions), b.Home) {
		if orgs.PartitionOf(r).ID != part.ID {
			return fmt.Errorf("region %s is not in the organization's partition %s", r, part.ID)
		}
	}
	return nil
}

func (b *Baseline) resolveSecurity() error {
	if b.Config.SecurityAccount == "" {
		b.Security = b.Org.ManagementAccount
		b.Notes = append(b.Notes, fmt.Sprintf("the configuration names no security_account: the log bucket and the alerts go to the management account %s", b.Security))
		return nil
	}
	a, err := b.Org.FindAccount(b.Config.SecurityAccount)
	if err != nil {
		return fmt.Errorf("security_account: %w", err)
	}
	if a.State != orgs.StateActive {
		return fmt.Errorf("security_account: account %s (%s) is %s", a.ID, a.Name, a.State)
	}
	b.Security = a.ID
	return nil
}

func (b *Baseline) resolveAccounts() error {
	sel := orgs.Selector{}
	for _, e := range b.Config.Organization.Exclude {
		sel.Exclude = append(sel.Exclude, orgs.Exclusion{Account: e.Account, OU: e.OU, Reason: e.Reason})
	}
	var err error
	if b.Accounts, err = b.Org.Select(sel, nil); err != nil {
		return fmt.Errorf("organization: %w", err)
	}
	for _, a := range b.Accounts {
		if a.ID == b.Security && a.Excluded != "" {
			return fmt.Errorf("organization: the security account %s is excluded (%s), but the alerts and the log bucket live in it", a.ID, a.Excluded)
		}
	}
	return nil
}

func (b *Baseline) resolveControls() error {
	l := b.layersOf(nil)
	var quiet []string
	for _, c := range controls {
		if c.alert != nil && c.Default && !l.on(c) && !b.says(c.ID) {
			quiet = append(quiet, c.ID)
		}
	}
	if len(quiet) > 0 {
		b.Notes = append(b.Notes, fmt.Sprintf("the configuration has alert-topic off: so are %s", joinAnd(quiet)))
	}
	if err := errors.Join(b.turn(l), b.checkChat(), b.checkTopic()); err != nil {
		return err
	}
	b.noteRecorderRole()
	return b.resolveOverrides()
}

// turn switches controls on and gives them their settings.
func (b *Baseline) turn(l layers) error {
	b.controls, b.settings = nil, map[string]any{}
	for _, c := range controls {
		if !l.on(c) {
			continue
		}
		s, err := l.settings(c)
		if err != nil {
			return err
		}
		if s != nil {
			b.settings[c.ID] = s
		}
		b.controls = append(b.controls, c)
	}
	return b.checkNeeds()
}

// says whether the configuration names a control.
func (b *Baseline) says(id string) bool {
	_, given := b.Config.Baseline[id]
	return given
}

// checkNeeds reports every control that is on without one that it needs.
func (b *Baseline) checkNeeds() error {
	on := b.Controls()
	var problems []error
	for _, c := range b.controls {
		for _, id := range c.needs {
			if !slices.Contains(on, id) {
				problems = append(problems, fmt.Errorf("baseline: %s needs %s: turn both on, or both off", c.ID, id))
			}
		}
	}
	return errors.Join(problems...)
}

// values are the parameters of all templates.
func (b *Baseline) values() map[string]string {
	part := b.Org.Partition
	v := map[string]string{
		"OrganizationId":      b.Org.ID,
		"ManagementAccountId": string(b.Org.ManagementAccount),
		"SecurityAccountId":   string(b.Security),
		"HomeRegion":          b.Home,
		"LogBucketName":       b.LogBucket(),
		"AlertBusArn":         fmt.Sprintf("arn:%s:events:%s:%s:event-bus/orgguard-alerts", part.ID, b.Home, b.Security),
	}
	for _, c := range b.controls {
		if c.params != nil {
			for k, x := range c.params(b.settings[c.ID], b) {
				v[k] = x
			}
		}
	}
	return v
}

// LogBucket is the name of the organization's log bucket.
func (b *Baseline) LogBucket() string {
	if b.bucket != "" {
		return b.bucket
	}
	return fmt.Sprintf("orgguard-config-%s-%s", b.Security, b.Home)
}

// adopts says whether what others made of the unit in an account, recorders or a trail,
// is brought in line.
func (b *Baseline) adopts(u unit, id orgs.AccountID) bool {
	if u.ID == trailUnit {
		return b.trailSettings().Existing == "adopt"
	}
	s, ok := b.at(id).view.settings["config-recorder"].(*RecorderSettings)
	return ok && s.Existing == "adopt"
}

// fragment is a control's part of a unit as the configuration has it.
func (b *Baseline) fragment(c Control, p part) (fragment, error) {
	name := p.unit
	if p.rule != nil {
		name = "rule"
	}
	f, err := loadFragment(c.ID, p.unit, name)
	if err != nil {
		return f, err
	}
	if c.extend != nil {
		c.extend(&f, b)
	}
	if p.rule != nil {
		err = b.ownRule(c, p, &f)
	}
	return f, err
}

func (b *Baseline) compose() error {
	mode := b.Config.Alerts.Mode
	values := make([]map[string]string, len(b.profiles))
	for i, p := range b.profiles {
		values[i] = p.view.values()
	}
	var fragments []fragment
	for _, c := range b.controls {
		for _, p := range c.parts {
			if p.mode != "" && p.mode != mode {
				continue
			}
			f, err := b.variants(c, p, values)
			if err != nil {
				return err
			}
			fragments = append(fragments, f)
		}
	}
	for _, u := range units {
		if u.mode != "" && u.mode != mode {
			continue
		}
		c, err := b.composeUnit(u, fragments, values)
		if err != nil {
			return err
		}
		if c != nil {
			b.units = append(b.units, c)
		}
	}
	return nil
}

// Controls returns the ids of the controls that are on in any account.
func (b *Baseline) Controls() []string {
	ids := make([]string, len(b.controls))
	for i, c := range b.controls {
		ids[i] = c.ID
	}
	return ids
}

// control returns a control by id.
func (b *Baseline) control(id string) Control {
	return b.controls[slices.IndexFunc(b.controls, func(c Control) bool { return c.ID == id })]
}

// Template is a rendered template of the baseline.
type Template struct {
	Name       string            // of the stack or stack set
	Body       string            // YAML
	Parameters map[string]string // what it is deployed with
	Controls   []string          // that have a part in it
	// Overrides are the parameters with which it is deployed in accounts that
	// overrides reach.
	Overrides map[orgs.AccountID]map[string]string `json:",omitempty"`
}

// Templates returns every template that a rollout would deploy. Settings that it
// makes by API calls have none.
func (b *Baseline) Templates() []Template {
	var out []Template
	for _, u := range b.units {
		if u.direct {
			continue
		}
		t := Template{Name: u.Stack, Body: u.body, Parameters: u.params, Controls: u.controls}
		for id := range b.profileOf {
			if o := u.overridden(id); len(o) > 0 {
				if t.Overrides == nil {
					t.Overrides = map[orgs.AccountID]map[string]string{}
				}
				t.Overrides[id] = o
			}
		}
		out = append(out, t)
	}
	return out
}

// unitRegions are the Regions in which a unit lives in an account where the
// given Regions are on.
func (b *Baseline) unitRegions(u unit, on []string) []string {
	switch u.place {
	case everyRegion, managementEach, securityEach:
		return on
	case globalOfEach:
		return []string{b.Org.Partition.GlobalRegion}
	case trailOwner:
		return []string{b.trailRegion()}
	case alertsOfEach:
		all := append(slices.Clone(on), b.Org.Partition.GlobalRegion)
		slices.Sort(all)
		return slices.Compact(all)
	}
	return []string{b.Home}
}

// has says whether the unit lives in the account at all.
func (b *Baseline) has(u unit, id orgs.AccountID) bool {
	switch u.place {
	case securityOnly, securityEach:
		return id == b.Security
	case managementOnly, managementEach:
		return id == b.Org.ManagementAccount
	case trailOwner:
		return id == b.trailAccount()
	}
	return true
}

func joinAnd(list []string) string {
	switch len(list) {
	case 0:
		return "none"
	case 1:
		return list[0]
	}
	out := list[0]
	for _, s := range list[1 : len(list)-1] {
		out += ", " + s
	}
	return out + " and " + list[len(list)-1]
}

// Fragments returns a control's own parts: as YAML, named control.unit.
func (b *Baseline) Fragments(control string) ([]Template, error) {
	var out []Template
	for _, c := range b.controls {
		if c.ID != control {
			continue
		}
		for _, p := range c.parts {
			if p.mode != "" && p.mode != b.Config.Alerts.Mode {
				continue
			}
			f, err := b.fragment(c, p)
			if err != nil {
				return nil, err
			}
			out = append(out, Template{Name: c.ID + "." + p.unit, Body: f.body(), Controls: []string{c.ID}})
		}
	}
	return out, nil
}
