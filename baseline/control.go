package baseline

import (
	"slices"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// Control is one thing that must hold in the organization.
type Control struct {
	ID       string           `json:"id"`
	Title    string           `json:"title"`
	Severity finding.Severity `json:"severity"` // of its drift
	Scope    string           `json:"scope"`    // where it lives, in words; Catalogue and Explain say it
	Default  bool             `json:"default"`  // on when the configuration is silent

	// Reads and Writes are the IAM actions that an audit and a rollout need for
	// this control in every account, beyond those that any configuration needs.
	Reads  []string `json:"-"`
	Writes []string `json:"-"`
	// Undoes are those that an undo and a teardown need; nil when they are the
	// Writes.
	Undoes []string `json:"-"`
	// more are those that only some settings need besides; nil for most.
	more func(settings any) actions

	about About

	// parts are the units the control contributes to. A part's template is
	// templates/<control>.<unit>.yaml.
	parts []part
	// needs are the controls without which this one cannot hold.
	needs []string
	// settings returns the control's settings with their defaults, to be
	// decoded into; nil when it takes none.
	settings func() any
	// params turns settings into template parameters.
	params func(settings any, b *Baseline) map[string]string
	// central says that the control is one for the organization where alerts are
	// central: no override switches it. whole says so in both modes, of a control whose
	// parts in the accounts follow from what it sets once. once are settings that the
	// organization has once.
	central bool
	whole   bool
	once    []string
	// extend adds to a fragment what no template can say; nil for most.
	extend func(f *fragment, b *Baseline)
	// alert is how people are told, of a control that is an alert rule; its
	// template is templates/<control>.rule.yaml.
	alert *alert
}

// actions are IAM actions: what an audit, a rollout, and an undo or a teardown need.
type actions struct{ reads, writes, undoes []string }

// part is a control's contribution to a unit.
type part struct {
	unit string
	mode spec.AlertMode // "" when the same in both modes
	// stays says that the part stays in accounts where an override switches the
	// control off.
	stays bool
	// rule makes the part of an alert's bare rule; nil for parts that have a
	// template of their own.
	rule derive
}

// controls is every control of this package, in the order of reports that are
// not sorted by account. Each has a file of its own: control_<id>.go.
var controls = []Control{
	configRecorder,
	configDelivery,
	alertTopic,
	chatAlert,
	configChangeAlert,
	rootSigninAlert,
	rootActivityAlert,
	trailChangeAlert,
	networkChangeAlert,
	accessKeyAlert,
	iamPolicyAlert,
	guarddutyAlert,
	securityhubAlert,
	healthAlert,
	complianceAlert,
	sshRestricted,
	defaultSGClosed,
	detectiveGuardrails,
	adminRoles,
	s3PublicAccess,
	ebsEncryption,
	imdsV2,
	passwordPolicy,
	defaultVpc,
	cloudtrailControl,
	unauthorizedAlert,
	guardDuty,
	accessAnalyzer,
	securityHubControl,
	hubPolicyControl,
	liveTestAlert,
}

// Actions are the IAM actions that the controls which are on need in every account,
// beyond those that every configuration needs: for an audit, and besides them for a
// rollout, and for an undo or a teardown. All are sorted.
func Actions(cfg *spec.Config) (reads, writes, undoes []string) {
	for _, c := range controls {
		if c.on(cfg) {
			reads, writes, undoes = append(reads, c.Reads...), append(writes, c.Writes...), append(undoes, c.undoes()...)
			for _, some := range c.given(cfg) {
				m := c.more(some)
				reads, writes, undoes = append(reads, m.reads...), append(writes, m.writes...), append(undoes, m.undoes...)
			}
		}
	}
	for _, list := range []*[]string{&reads, &writes, &undoes} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return reads, writes, undoes
}

// ServiceReads are the IAM actions with which Decisions looks, sorted.
func ServiceReads(cfg *spec.Config) []string {
	var reads []string
	for _, c := range controls {
		if c.on(cfg) && slices.ContainsFunc(c.parts, func(p part) bool { return slices.Contains(organizationUnits, p.unit) }) {
			reads = append(reads, c.Reads...)
		}
	}
	slices.Sort(reads)
	return slices.Compact(reads)
}

// given are the settings of a control that has more rights with some of them, as the
// baseline and each override give them.
func (c Control) given(cfg *spec.Config) []any {
	if c.more == nil {
		return nil
	}
	var out []any
	add := func(of map[string]spec.Control) {
		entry, given := of[c.ID]
		if some := c.settings(); given && entry.Decode(some).Err() == nil { // Resolve says what is wrong
			out = append(out, some)
		}
	}
	add(cfg.Baseline)
	for _, o := range cfg.Overrides {
		add(o.Baseline)
	}
	return out
}

func (c Control) undoes() []string {
	if c.Undoes == nil {
		return c.Writes
	}
	return c.Undoes
}

// on says whether the control is on in any account.
func (c Control) on(cfg *spec.Config) bool {
	return layersIn(cfg).on(c) || slices.ContainsFunc(cfg.Overrides, func(o spec.Override) bool { return o.Baseline[c.ID].Enabled })
}

// controlOf finds a control by its id, also one that is off.
func controlOf(id string) (Control, bool) {
	i := slices.IndexFunc(controls, func(c Control) bool { return c.ID == id })
	if i < 0 {
		return Control{}, false
	}
	return controls[i], true
}

// Controls returns what this package's controls are, without what they do, and where.
func Controls() []Control { return slices.Clone(controls) }

// Known tells the configuration what it may say about controls.
func Known() spec.Known {
	k := spec.Known{Once: once, Settings: func(id string) any {
		c, ok := controlOf(id)
		if !ok || c.settings == nil {
			return nil
		}
		return c.settings()
	}}
	for _, c := range controls {
		k.Controls = append(k.Controls, c.ID)
	}
	return k
}
