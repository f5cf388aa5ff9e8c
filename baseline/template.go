package baseline

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// template is one CloudFormation template: a fragment of a control, or the whole
// of a unit that fragments were merged into.
type template struct {
	root *yaml.Node // the mapping at the top
}

// parseTemplate reads a template. The templates are our own, so anything odd in
// one is an error.
func parseTemplate(name string, src []byte) (template, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil {
		return template{}, fmt.Errorf("template %s: %w", name, err)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return template{}, fmt.Errorf("template %s: not a mapping", name)
	}
	return template{root: doc.Content[0]}, nil
}

// sections are merged key by key; the same key twice is an error unless both
// say the same.
var sections = []string{"Parameters", "Conditions", "Resources", "Outputs"}

// mergeTemplates makes one template of fragments, in their order.
func mergeTemplates(description string, fragments []template) (template, error) {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	set(out, "AWSTemplateFormatVersion", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "2010-09-09", Style: yaml.DoubleQuotedStyle})
	set(out, "Description", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: description, Style: yaml.DoubleQuotedStyle})
	for _, section := range sections {
		merged := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, f := range fragments {
			part := get(f.root, section)
			if part == nil {
				continue
			}
			for i := 0; i+1 < len(part.Content); i += 2 {
				key, value := part.Content[i].Value, part.Content[i+1]
				if have := get(merged, key); have != nil {
					if !same(have, value) {
						return template{}, fmt.Errorf("two fragments define %s.%s differently", section, key)
					}
					continue
				}
				merged.Content = append(merged.Content, part.Content[i], value)
			}
		}
		if len(merged.Content) > 0 {
			set(out, section, merged)
		}
	}
	return template{root: out}, nil
}

// get returns the value of a key of a mapping; nil when there is none.
func get(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

func set(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
}

// same compares nodes by what they say.
func same(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Tag == b.Tag && a.Value == b.Value && slices.EqualFunc(a.Content, b.Content, same)
}

// body returns the template as CloudFormation gets it. Comments go with it: people
// read templates in the console too.
func (t template) body() string {
	var b strings.Builder
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(t.root); err != nil {
		return "" // nodes that were parsed can be written
	}
	return b.String()
}

// parameters returns the names of the template's parameters, sorted.
func (t template) parameters() []string {
	m := get(t.root, "Parameters")
	if m == nil {
		return nil
	}
	var names []string
	for i := 0; i+1 < len(m.Content); i += 2 {
		names = append(names, m.Content[i].Value)
	}
	slices.Sort(names)
	return names
}

// Resource is one resource of a template as it must be in one account × Region.
type Resource struct {
	Control   string
	LogicalID string
	Type      string         // e.g. "AWS::Events::Rule"
	Props     map[string]any // evaluated: maps, slices, strings, bools, numbers
}

// scope is where a template is evaluated.
type scope struct {
	account, region   string
	partition, suffix string
	params            map[string]string
}

// resources evaluates the template for one account × Region, in its order; with types,
// only what is of these.
func (t template) resources(s scope, types ...string) ([]Resource, error) {
	e := &evaluator{t: t, scope: s}
	m := get(t.root, "Resources")
	if m == nil {
		return nil, nil
	}
	var out []Resource
	for i := 0; i+1 < len(m.Content); i += 2 {
		id, body := m.Content[i].Value, m.Content[i+1]
		if c := get(body, "Condition"); c != nil && !e.condition(c.Value) {
			continue
		}
		r := Resource{LogicalID: id, Type: get(body, "Type").Value, Props: map[string]any{}}
		if len(types) > 0 && !slices.Contains(types, r.Type) {
			continue
		}
		if props := get(body, "Properties"); props != nil {
			v := e.eval(props)
			r.Props, _ = v.(map[string]any)
		}
		out = append(out, r)
	}
	if e.err != nil {
		return nil, e.err
	}
	return out, nil
}

// evaluator evaluates the intrinsic functions that our templates use. The first
// problem is kept and everything after it is moot.
type evaluator struct {
	t     template
	scope scope
	err   error
	depth int
}

func (e *evaluator) fail(format string, args ...any) any {
	if e.err == nil {
		e.err = fmt.Errorf("evaluate template: "+format, args...)
	}
	return nil
}

// noValue stands for AWS::NoValue until its property is dropped.
type noValue struct{}

func (e *evaluator) eval(n *yaml.Node) any {
	if e.depth++; e.depth > 100 {
		return e.fail("references go round in a circle")
	}
	defer func() { e.depth-- }()
	if fn, ok := strings.CutPrefix(n.Tag, "!"); ok && !strings.HasPrefix(fn, "!") {
		return e.call(fn, n)
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if v := e.eval(n.Content[i+1]); v != (noValue{}) {
				out[n.Content[i].Value] = v
			}
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			if v := e.eval(c); v != (noValue{}) {
				out = append(out, v)
			}
		}
		return out
	case yaml.ScalarNode:
		return scalar(n)
	}
	return e.fail("line %d: anchors and aliases are not used in templates", n.Line)
}

func scalar(n *yaml.Node) any {
	switch n.Tag {
	case "!!bool":
		return n.Value == "true"
	case "!!int":
		if i, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			return float64(i) // as JSON has it
		}
	case "!!null":
		return nil
	}
	return n.Value
}

// call evaluates an intrinsic function in its short form.
func (e *evaluator) call(fn string, n *yaml.Node) any {
	args := n.Content
	switch {
	case fn == "Ref" && n.Kind == yaml.ScalarNode:
		return e.ref(n.Value)
	case fn == "Sub" && n.Kind == yaml.ScalarNode:
		return e.sub(n.Value)
	case fn == "GetAtt" && n.Kind == yaml.ScalarNode:
		id, attr, _ := strings.Cut(n.Value, ".")
		return e.attribute(id, attr)
	case fn == "If" && len(args) == 3:
		if e.condition(args[0].Value) {
			return e.eval(args[1])
		}
		return e.eval(args[2])
	case fn == "Join" && len(args) == 2:
		items, _ := e.eval(args[1]).([]any)
		parts := make([]string, len(items))
		for i, it := range items {
			parts[i] = fmt.Sprint(it)
		}
		return strings.Join(parts, args[0].Value)
	}
	return e.fail("line %d: the audit does not know !%s in this form", n.Line, fn)
}

func (e *evaluator) condition(name string) bool {
	conditions := get(e.t.root, "Conditions")
	if conditions == nil || get(conditions, name) == nil {
		e.fail("no condition %s", name)
		return false
	}
	return e.truth(get(conditions, name))
}

func (e *evaluator) truth(n *yaml.Node) bool {
	switch {
	case n.Tag == "!Equals" && len(n.Content) == 2:
		return fmt.Sprint(e.eval(n.Content[0])) == fmt.Sprint(e.eval(n.Content[1]))
	case n.Tag == "!Not" && len(n.Content) == 1:
		return !e.truth(n.Content[0])
	case n.Tag == "!Condition":
		return e.condition(n.Value)
	case n.Tag == "!And":
		return !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return !e.truth(c) })
	case n.Tag == "!Or":
		return slices.ContainsFunc(n.Content, e.truth)
	}
	e.fail("line %d: the audit does not know %s in a condition", n.Line, n.Tag)
	return false
}

func (e *evaluator) ref(name string) any {
	switch name {
	case "AWS::AccountId":
		return e.scope.account
	case "AWS::Region":
		return e.scope.region
	case "AWS::Partition":
		return e.scope.partition
	case "AWS::URLSuffix":
		return e.scope.suffix
	case "AWS::NoValue":
		return noValue{}
	}
	if ps := get(e.t.root, "Parameters"); ps != nil {
		if p := get(ps, name); p != nil {
			if v, ok := e.scope.params[name]; ok {
				return v
			}
			if d := get(p, "Default"); d != nil {
				return scalar(d)
			}
			return e.fail("parameter %s has no value", name)
		}
	}
	return e.attribute(name, "Ref")
}

var subVariable = regexp.MustCompile(`\$\{([^}]+)\}`)

func (e *evaluator) sub(s string) any {
	return subVariable.ReplaceAllStringFunc(s, func(m string) string {
		name := m[2 : len(m)-1]
		if lit, ok := strings.CutPrefix(name, "!"); ok {
			return "${" + lit + "}"
		}
		if id, attr, ok := strings.Cut(name, "."); ok {
			return fmt.Sprint(e.attribute(id, attr))
		}
		return fmt.Sprint(e.ref(name))
	})
}

// attribute gives Ref or an attribute of another resource of the template. All
// of ours have names we choose, so it is known before the resource exists; only a
// KMS key's id is not, and the audit knows keys by their alias.
func (e *evaluator) attribute(id, attr string) any {
	resources := get(e.t.root, "Resources")
	if resources == nil || get(resources, id) == nil {
		return e.fail("no resource or parameter %s", id)
	}
	body := get(resources, id)
	typ := get(body, "Type").Value
	k, ok := kinds[typ]
	if !ok {
		return e.fail("the audit does not know resource type %s", typ)
	}
	name := ""
	if k.nameProp != "" {
		props := get(body, "Properties")
		if props == nil || get(props, k.nameProp) == nil {
			return e.fail("%s needs an explicit %s", id, k.nameProp)
		}
		name = fmt.Sprint(e.eval(get(props, k.nameProp)))
	}
	if _, ok := k.attributes[attr]; !ok {
		return e.fail("the audit does not know attribute %s of %s", attr, typ)
	}
	return e.scope.attribute(k, name, attr)
}

// attribute is Ref or an attribute of a resource of the kind in the scope.
func (s scope) attribute(k kind, name, attr string) string {
	return strings.NewReplacer("{name}", name, "{account}", s.account, "{region}", s.region,
		"{partition}", s.partition, "{suffix}", s.suffix).Replace(k.attributes[attr])
}

// values of a resource's properties -----------------------------------------

// str returns a string property; "" when absent.
func (r Resource) str(key string) string {
	switch v := r.Props[key].(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// names returns a string property that is a list with commas between.
func (r Resource) names(key string) []string {
	return slices.DeleteFunc(strings.Split(r.str(key), ","), func(s string) bool { return s == "" })
}

// list returns a list property; a single value counts as a list of one.
func (r Resource) list(key string) []any {
	switch v := r.Props[key].(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

// object returns a mapping property.
func (r Resource) object(key string) map[string]any {
	m, _ := r.Props[key].(map[string]any)
	return m
}

// sole returns the one mapping of a list property.
func (r Resource) sole(key string) Resource {
	for _, v := range r.list(key) {
		if m, ok := v.(map[string]any); ok {
			return Resource{Props: m}
		}
	}
	return Resource{}
}

// strings of a list of anything.
func toStrings(list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = fmt.Sprint(v)
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
