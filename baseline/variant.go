package baseline

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs"
)

// A stack set has one template, and auto-deployment gives an account that joins the
// stack set's own parameters. So what overrides make different is in that one
// template: under a condition what is not everywhere, by Fn::If what is not the same
// everywhere, and parameters say which. The stack set's parameters are what the
// baseline section says, and instances of other accounts override them. An account
// never changes the stack set that it belongs to, which would take its alerts down
// while they are moved, and only what differs costs anything.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stackinstances-override.html

// overridesParam tells, in stack sets with overrides, which values an instance has: it
// is "none", or a digest. It is an output of the stack too, for people.
const overridesParam = "Overrides"

const noOverrides = "none"

// gateOff is a gate's value where the control is off.
const gateOff = "off"

// gateOf is the parameter that says whether, and in which of its variants, a control
// is on.
func gateOf(control string) string {
	var b strings.Builder
	b.WriteString("Control")
	for word := range strings.SplitSeq(control, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// variants is a control's part of a unit for all profiles. It sets, in the values of
// each, the gate that says which one is meant.
func (b *Baseline) variants(c Control, p part, values []map[string]string) (fragment, error) {
	var distinct []fragment
	var gates []string
	which := make([]int, len(b.profiles)) // -1: off
	for i, prof := range b.profiles {
		if which[i] = -1; !prof.on[c.ID] {
			continue
		}
		f, err := prof.view.fragment(c, p)
		if err != nil {
			return f, err
		}
		body := f.body()
		sum := sha256.Sum256([]byte(body))
		gate := "on-" + hex.EncodeToString(sum[:4])
		if which[i] = slices.Index(gates, gate); which[i] < 0 {
			which[i] = len(distinct)
			distinct, gates = append(distinct, f), append(gates, gate)
		}
	}
	out := distinct[0]
	u, _ := unitOf(p.unit)
	if !u.spread() {
		return out, anyOf(distinct)
	}
	missing := slices.Contains(which, -1) && !p.stays
	if !missing && len(distinct) == 1 {
		return out, nil
	}
	gates[0] = "on" // as readable as the rest is exact
	name := gateOf(c.ID)
	for i := range b.profiles {
		values[i][name] = gateOff
		if which[i] >= 0 {
			values[i][name] = gates[which[i]]
		}
	}
	return out, out.vary(c.ID, distinct[1:], gates[1:], missing)
}

// anyOf makes the first variant of a rule that exists once match what any of them
// matches: it gets only what the accounts forward.
func anyOf(variants []fragment) error {
	first := get(variants[0].root, "Resources")
	for i := 0; i+1 < len(first.Content); i += 2 {
		props := get(first.Content[i+1], "Properties")
		if props == nil {
			continue
		}
		mine := get(props, "EventPattern")
		if mine == nil {
			continue
		}
		patterns := []*yaml.Node{mine}
		for _, v := range variants[1:] {
			pattern := v.at("Resources", first.Content[i].Value, "Properties", "EventPattern")
			if !slices.ContainsFunc(patterns, func(n *yaml.Node) bool { return same(n, pattern) }) {
				patterns = append(patterns, pattern)
			}
		}
		if len(patterns) == 1 {
			continue
		}
		either := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		set(either, "$or", &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: patterns})
		replace(props, "EventPattern", either)
	}
	return nil
}

// vary puts the other variants into a fragment.
func (f *fragment) vary(control string, others []fragment, gates []string, missing bool) error {
	name := gateOf(control)
	param, err := parseNode(fmt.Sprintf("%s: {Type: String, Description: %q}", name, "Whether, and in which form, "+control+" is on in the account"))
	if err != nil {
		return err
	}
	param.Content[1].Style = 0
	f.add("Parameters", param)
	is := func(gate string) string { return name + "Is" + strings.ToUpper(gate[len("on-"):]) }
	conditions := ""
	if missing {
		conditions += fmt.Sprintf("%sHolds: !Not [!Equals [!Ref %s, %q]]\n", name, name, gateOff)
	}
	for _, gate := range gates {
		conditions += fmt.Sprintf("%s: !Equals [!Ref %s, %s]\n", is(gate), name, gate)
	}
	resources := get(f.root, "Resources")
	for i := 0; i+1 < len(resources.Content); i += 2 {
		id, body := resources.Content[i].Value, resources.Content[i+1]
		for j, other := range others {
			if err := varyResource(body, other.at("Resources", id), is(gates[j])); err != nil {
				return fmt.Errorf("template of %s: %s: %w", control, id, err)
			}
		}
		if !missing {
			continue
		}
		holds := name + "Holds"
		if own := get(body, "Condition"); own != nil {
			both := holds + "And" + own.Value
			conditions += fmt.Sprintf("%s: !And [!Condition %s, !Condition %s]\n", both, holds, own.Value)
			own.Value = both
			continue
		}
		insertAfter(body, "Type", "Condition", text("!!str", holds))
	}
	node, err := parseNode(conditions)
	if err != nil {
		return err
	}
	f.add("Conditions", node)
	return nil
}

// varyResource gives a resource, under a condition, the properties that another
// variant of it has.
func varyResource(body, other *yaml.Node, condition string) error {
	if other == nil {
		return fmt.Errorf("one variant has it and another one has not")
	}
	for i := 0; i+1 < len(other.Content); i += 2 {
		if key := other.Content[i].Value; key != "Properties" && (get(body, key) == nil || !same(get(body, key), other.Content[i+1])) {
			return fmt.Errorf("%s differs between variants", key)
		}
	}
	mine, theirs := get(body, "Properties"), get(other, "Properties")
	if mine == nil || theirs == nil {
		return nil
	}
	nothing := text("!Ref", "AWS::NoValue")
	choose := func(then, otherwise *yaml.Node) *yaml.Node {
		return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!If", Content: []*yaml.Node{text("!!str", condition), then, otherwise}}
	}
	for i := 0; i+1 < len(theirs.Content); i += 2 {
		key, value := theirs.Content[i].Value, theirs.Content[i+1]
		switch have := get(mine, key); {
		case have == nil:
			set(mine, key, choose(value, nothing))
		case !same(have, value):
			replace(mine, key, choose(value, have))
		}
	}
	for i := 0; i+1 < len(mine.Content); i += 2 {
		if get(theirs, mine.Content[i].Value) == nil {
			mine.Content[i+1] = choose(nothing, mine.Content[i+1])
		}
	}
	return nil
}

// add puts entries into a section of a template, which gets the section if it has
// none.
func (t template) add(section string, entries *yaml.Node) {
	m := get(t.root, section)
	if m == nil {
		m = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		set(t.root, section, m)
	}
	m.Content = append(m.Content, entries.Content...)
}

// replace gives a key of a mapping another value.
func replace(m *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content[i+1] = value
		}
	}
}

// composeUnit composes a unit with the parameters that it has in each profile.
func (b *Baseline) composeUnit(u unit, fragments []fragment, values []map[string]string) (*composed, error) {
	own := maps.Clone(values[0])
	for _, v := range values[1:] { // of controls that the organization as a whole has not
		for k, x := range v {
			if _, ok := own[k]; !ok {
				own[k] = x
			}
		}
	}
	c, err := compose(u, fragments, own)
	if c == nil || err != nil {
		return c, err
	}
	if !u.spread() {
		return c, c.fits()
	}
	c.profileOf, c.empty = b.profileOf, b.emptyIn(u)
	c.byProfile = make([]map[string]string, len(b.profiles))
	varies := false
	for i, v := range values {
		params := maps.Clone(c.params)
		for k := range params {
			if x, ok := v[k]; ok {
				params[k] = x
			}
		}
		if maps.Equal(params, c.params) {
			c.byProfile[i] = c.params
			continue
		}
		sum := sha256.Sum256([]byte(compact(params)))
		params[overridesParam] = hex.EncodeToString(sum[:4])
		c.byProfile[i], varies = params, true
	}
	if !varies || u.direct {
		return c, c.fits()
	}
	c.params[overridesParam] = noOverrides
	declared, err := parseNode(fmt.Sprintf(`
Parameters:
  %s: {Type: String, Description: Which overrides of the configuration the account has}
Outputs:
  %[1]s: {Description: Which overrides of the configuration the account has, Value: !Ref %[1]s}
`, overridesParam))
	if err != nil {
		return nil, err
	}
	if get(c.root, "Parameters") == nil {
		insertAfter(c.root, "Description", "Parameters", &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
	}
	c.add("Parameters", get(declared, "Parameters"))
	c.add("Outputs", get(declared, "Outputs"))
	c.body = c.template.body()
	return c, c.fits()
}

// maxTemplate is how long a template may be in a request, in bytes.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const maxTemplate = 51_200

// fits refuses a template that CloudFormation would refuse.
func (c *composed) fits() error {
	if n := len(c.body); n > maxTemplate && !c.direct {
		return &orgs.Hinted{
			Err:  fmt.Errorf("the template of %s would have %d bytes, and CloudFormation takes %d", c.Stack, n, maxTemplate),
			Next: "name fewer mail addresses (a list has one), or tune fewer controls apart in overrides: " + strings.Join(c.controls, ", "),
		}
	}
	return nil
}

// paramsOf are the unit's parameters in an account.
func (c *composed) paramsOf(id orgs.AccountID) map[string]string {
	if i := c.profileOf[id]; i < len(c.byProfile) {
		return c.byProfile[i]
	}
	return c.params
}

// in is the unit as it is in an account: what a plain stack there is made of.
func (c *composed) in(id orgs.AccountID) *composed {
	one := *c
	one.params = c.paramsOf(id)
	return &one
}

// varies says whether overrides change anything about the unit.
func (c *composed) varies() bool { return c.params[overridesParam] != "" }

// overridden are the parameters of the account that are not the stack set's.
func (c *composed) overridden(id orgs.AccountID) map[string]string {
	out := map[string]string{}
	for k, v := range c.paramsOf(id) {
		if c.params[k] != v {
			out[k] = v
		}
	}
	return out
}

// without are the resources that the unit would have in an account and Region if all
// of its controls were on there.
func (b *Baseline) without(u *composed, id orgs.AccountID, region string) ([]Resource, error) {
	if len(b.profiles) == 1 {
		return nil, nil
	}
	var out []Resource
	p := b.at(id)
	for _, control := range u.controls {
		if p.on[control] {
			continue
		}
		i := slices.IndexFunc(b.profiles, func(p *profile) bool { return p.on[control] })
		if i >= len(u.byProfile) {
			continue
		}
		s := b.scope(id, region)
		s.params = u.byProfile[i]
		rs, err := u.template.resources(s)
		if err != nil {
			return nil, fmt.Errorf("unit %s: %w", u.ID, err)
		}
		for _, r := range rs {
			if r.Control = u.owner[r.LogicalID]; r.Control == control {
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// empty says whether everything of the unit is off in an account.
func (b *Baseline) empty(u *composed, id orgs.AccountID) bool {
	i := b.profileOf[id]
	return i < len(u.empty) && u.empty[i]
}

// emptyIn says for each profile whether everything of the unit is off.
func (b *Baseline) emptyIn(u unit) []bool {
	out := make([]bool, len(b.profiles))
	for i, profile := range b.profiles {
		out[i] = !slices.ContainsFunc(b.controls, func(c Control) bool {
			return slices.ContainsFunc(c.parts, func(p part) bool {
				return p.unit == u.ID && (p.mode == "" || p.mode == b.Config.Alerts.Mode) && (p.stays || profile.on[c.ID])
			})
		})
	}
	return out
}
