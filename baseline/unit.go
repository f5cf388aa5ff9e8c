package baseline

import (
	"embed"
	"fmt"
	"slices"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/spec"
)

//go:embed templates/*.yaml settings/*.yaml
var templateFiles embed.FS

// place says in which accounts and Regions a unit lives.
type place int

const (
	everyRegion    place = iota // every account, every Region of the baseline
	homeOfEach                  // every account, the home Region
	globalOfEach                // every account, the partition's global Region
	alertsOfEach                // every account, the Regions that have an alert rule
	securityOnly                // the security account, the home Region
	managementOnly              // the management account, the home Region
	trailOwner                  // the account and the Region of the organization's trail
	managementEach              // the management account, every Region of the baseline
	securityEach                // the security account, every Region of the baseline
)

// unit is what CloudFormation deploys as one: a stack set for units that live in
// every account (and in the management account, which stack sets never reach, a
// plain stack of the same name), a plain stack for the others.
type unit struct {
	ID          string // as in template file names
	Stack       string // name of the stack or stack set
	Description string
	place       place
	stage       plan.Stage
	// direct says that the unit is set by API calls in each account: its
	// resources are of types that CloudFormation does not have ("OrgGuard::…"),
	// and no stack is made of them. They are evaluated, compared and repaired
	// as all others are. Its fragments are in settings/.
	direct bool
	// inOrder says that what drifted of the unit is put right when its turn comes:
	// other units rest on it, and it on others.
	inOrder bool
	// mode limits the unit to one alert mode; "" means both.
	mode spec.AlertMode
	// after are units that must be there first; stack sets hand it to
	// auto-deployment as DependsOn.
	after []string
}

// trailUnit is the unit of the organization's trail, which somebody else may have made.
const trailUnit = "trail"

// units is every unit, in the order in which they are deployed.
var units = []unit{
	{ID: "delegation", Description: "orgguard: delegated administrators of AWS services", place: managementEach, stage: plan.Prerequisites, direct: true},
	{ID: "central", Stack: "orgguard-central", Description: "orgguard: log bucket and alerts of the organization", place: securityOnly, stage: plan.Central},
	{ID: "services", Description: "orgguard: AWS services for the whole organization", place: securityEach, stage: plan.Central, direct: true},
	{ID: "management", Stack: "orgguard-management", Description: "orgguard: what the management account lends to the security account", place: managementOnly, stage: plan.Central, mode: spec.Central},
	{ID: "trail-access", Description: "orgguard: lets CloudTrail into the organization", place: managementOnly, stage: plan.Prerequisites, direct: true},
	{ID: "trail-store", Stack: "orgguard-trail-store", Description: "orgguard: where the organization's trail is kept", place: securityOnly, inOrder: true, stage: plan.Central},
	{ID: "trail-logs", Stack: "orgguard-trail-logs", Description: "orgguard: the log group of the organization's trail", place: trailOwner, inOrder: true, stage: plan.Central},
	{ID: "roles", Stack: "orgguard-roles", Description: "orgguard: roles of AWS Config and EventBridge", place: homeOfEach, stage: plan.Roles},
	{ID: "linked-role", Description: "orgguard: the service-linked role of AWS Config", place: homeOfEach, stage: plan.Roles, direct: true},
	// By itself: one of somebody else's is adopted, and then there is no such stack.
	{ID: trailUnit, Stack: "orgguard-trail", Description: "orgguard: the organization's trail", place: trailOwner, inOrder: true, stage: plan.Baseline, after: []string{"trail-store", "trail-logs"}},
	{ID: "topic", Stack: "orgguard-topic", Description: "orgguard: the account's own alert topic", place: alertsOfEach, stage: plan.Roles, mode: spec.Local},
	{ID: "recorder", Stack: "orgguard-recorder", Description: "orgguard: AWS Config recorder and delivery channel", place: everyRegion, stage: plan.Baseline, after: []string{"roles"}},
	{ID: "alerts", Stack: "orgguard-alerts", Description: "orgguard: alert rules", place: everyRegion, stage: plan.Baseline, after: []string{"roles", "topic"}},
	{ID: "trail-alerts", Stack: "orgguard-trail-alerts", Description: "orgguard: alerts on what the organization's trail records", place: trailOwner, inOrder: true, stage: plan.Baseline, after: []string{"roles", "topic", "trail"}},
	{ID: "signin", Stack: "orgguard-signin", Description: "orgguard: alert rules on events of the global Region", place: globalOfEach, stage: plan.Baseline, after: []string{"roles", "topic"}},
	{ID: "rules", Stack: "orgguard-rules", Description: "orgguard: AWS Config rules", place: everyRegion, stage: plan.Rules, after: []string{"roles", "recorder"}},
	{ID: "guardrails", Stack: "orgguard-guardrails", Description: "orgguard: Control Tower's detective guardrails", place: everyRegion, stage: plan.Rules, after: []string{"recorder"}},
	{ID: "admins", Stack: "orgguard-admin-roles", Description: "orgguard: roles for people who administer the account, and their boundary", place: homeOfEach, stage: plan.Baseline},
	{ID: "account", Description: "orgguard: settings of the account", place: homeOfEach, stage: plan.Repairs, direct: true},
	{ID: "region", Description: "orgguard: settings of the account in a Region", place: everyRegion, stage: plan.Repairs, direct: true},
}

// repairs is the stage in which what drifted of the unit is put right. The parts of the
// organization's trail rest on each other, and so do settings.
func (u unit) repairs() plan.Stage {
	if u.direct || u.inOrder {
		return u.stage
	}
	return plan.Repairs
}

// everywhere says whether the unit is a stack set.
func (u unit) everywhere() bool {
	return !u.direct && u.place != securityOnly && u.place != managementOnly && u.place != trailOwner
}

// spread says whether the unit lives in every account: what an override can change.
func (u unit) spread() bool {
	return u.everywhere() || u.direct && !slices.Contains([]place{managementOnly, managementEach, securityEach}, u.place)
}

// rested says whether the unit is a stack that lives once, on which others rest.
func (u unit) rested() bool { return !u.direct && !u.everywhere() }

// keeps says whether something of the unit outlives its stack: what holds history
// has the deletion policy Retain.
func (c *composed) keeps() bool {
	m := get(c.root, "Resources")
	if m == nil {
		return false
	}
	for i := 1; i < len(m.Content); i += 2 {
		if p := get(m.Content[i], "DeletionPolicy"); p != nil && p.Value != "Delete" {
			return true
		}
	}
	return false
}

// fragment is one control's part of a unit.
type fragment struct {
	control string
	unit    string
	template
}

// composed is a unit with the fragments of the controls that are on.
type composed struct {
	unit
	template
	body   string
	params map[string]string
	// byProfile are the parameters of each profile of the baseline, and profileOf is
	// an account's; see variant.go.
	byProfile []map[string]string
	profileOf map[orgs.AccountID]int
	empty     []bool // by profile: everything of it is off
	// owner is the control of each resource, by logical id.
	owner map[string]string
	// controls that have a part in the unit, in table order.
	controls []string
}

// resources evaluates the unit for one account × Region.
func (c *composed) resources(s scope) ([]Resource, error) {
	s.params = c.paramsOf(orgs.AccountID(s.account))
	rs, err := c.template.resources(s)
	if err != nil {
		return nil, fmt.Errorf("unit %s: %w", c.ID, err)
	}
	for i := range rs {
		rs[i].Control = c.owner[rs[i].LogicalID]
	}
	return rs, nil
}

// unitOf finds a unit by its id, also one that the configuration has switched off, and
// those of the scheduled audit.
func unitOf(id string) (unit, bool) {
	for _, list := range [][]unit{units, jobUnits} {
		if i := slices.IndexFunc(list, func(u unit) bool { return u.ID == id }); i >= 0 {
			return list[i], true
		}
	}
	return unit{}, false
}

// loadFragment reads one of a control's templates, which becomes a part of a unit.
func loadFragment(control, unitID, file string) (fragment, error) {
	folder := "templates"
	if u, ok := unitOf(unitID); ok && u.direct {
		folder = "settings"
	}
	name := fmt.Sprintf("%s/%s.%s.yaml", folder, control, file)
	src, err := templateFiles.ReadFile(name)
	if err != nil {
		return fragment{}, err
	}
	t, err := parseTemplate(name, src)
	if err != nil {
		return fragment{}, err
	}
	return fragment{control: control, unit: unitID, template: t}, nil
}

// compose merges the fragments of one unit. values holds a value for every
// parameter that any template of orgguard has; the unit gets those it declares.
func compose(u unit, fragments []fragment, values map[string]string) (*composed, error) {
	c := &composed{unit: u, owner: map[string]string{}, params: map[string]string{}}
	var parts []template
	for _, f := range fragments {
		if f.unit != u.ID {
			continue
		}
		parts = append(parts, f.template)
		if !slices.Contains(c.controls, f.control) {
			c.controls = append(c.controls, f.control)
		}
		if m := get(f.root, "Resources"); m != nil {
			for i := 0; i+1 < len(m.Content); i += 2 {
				id := m.Content[i].Value
				if other, taken := c.owner[id]; taken {
					return nil, fmt.Errorf("unit %s: %s and %s both define %s", u.ID, other, f.control, id)
				}
				c.owner[id] = f.control
			}
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	var err error
	if c.template, err = mergeTemplates(u.Description, parts); err != nil {
		return nil, fmt.Errorf("unit %s: %w", u.ID, err)
	}
	for _, name := range c.parameters() {
		if by, taken := c.owner[name]; taken && !u.direct {
			return nil, fmt.Errorf("unit %s: a resource of %s has the name of parameter %s, which CloudFormation refuses", u.ID, by, name)
		}
		v, ok := values[name]
		if !ok {
			return nil, fmt.Errorf("unit %s: nobody gives parameter %s a value", u.ID, name)
		}
		c.params[name] = v
	}
	c.body = c.template.body()
	return c, nil
}
