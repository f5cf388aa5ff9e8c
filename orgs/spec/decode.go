package spec

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxProblems bounds the report: a file that is something else altogether has
// a problem in every line.
const maxProblems = 1000

// node is a place in a configuration file.
type node struct {
	file  string
	value *yaml.Node
}

// Validator is a settings struct that checks itself after it was decoded. It
// reports each problem with the key it is about, as written in the block:
// "recording", "rules[1].name", or "" for the block as a whole. A key that the
// file does not have stands for the block around it.
type Validator interface {
	Validate(report func(key, message string))
}

// Decode decodes the control's settings into a pointer to a struct with
// `yaml:"key"` tags. What the file does not say keeps the value it has there;
// a list replaces the one it finds. Then, if the control is enabled, the
// struct's own Validate is asked.
//
// Load has done all this already for the settings that Known gave it, so a
// control that decodes its block again finds no problems.
func (c Control) Decode(into any) Problems {
	if c.node == nil {
		return nil
	}
	d := &decoder{file: c.node.file}
	d.inspect(c.node.value, 0)
	d.settings(c, into, func(string) bool { return true })
	return d.problems.sorted()
}

// Says says whether the control's block names a setting.
func (c Control) Says(key string) bool {
	return c.node != nil && c.node.value.Kind == yaml.MappingNode && child(c.node.value, key) != nil
}

// decodeNode reads true, false, or a mapping, which may hold "enabled" beside
// the settings: so a control can be switched off and keep them.
func (c *Control) decodeNode(d *decoder, n *yaml.Node, what string) {
	switch {
	case n.Kind == yaml.MappingNode:
		c.Enabled = true
		if v := child(n, enabledKey); v != nil {
			d.value(v, reflect.ValueOf(&c.Enabled).Elem(), fieldOf(what, enabledKey))
		}
	case n.Tag == "!!bool":
		c.Enabled = isTrue(n)
	default:
		d.fail(n, "%s: want true, false or a mapping of its settings, found %s", what, found(n))
		return
	}
	c.node = &node{file: d.file, value: n}
}

const enabledKey = "enabled"

// settings decodes a control's block and has it checked, as far as somebody wants to
// know about a key.
func (d *decoder) settings(c Control, into any, about func(key string) bool) {
	n := c.node.value
	if n.Kind == yaml.MappingNode {
		d.structure(n, reflect.ValueOf(into).Elem(), "", enabledKey)
	}
	if v, ok := into.(Validator); ok && c.Enabled {
		v.Validate(func(key, message string) {
			if about(key) {
				d.report(n, key, message)
			}
		})
	}
}

// nodeDecoder is a type that reads its node itself. what names the place in
// messages.
type nodeDecoder interface {
	decodeNode(d *decoder, n *yaml.Node, what string)
}

// defaulter is the element of a list that does not start as its zero value.
type defaulter interface{ setDefaults() }

// decoder reads nodes into values and collects what is wrong.
type decoder struct {
	file     string
	problems Problems
	// bad are the nodes that were reported and not read: what a check finds
	// wrong with the value that stands in their place is no news.
	bad map[*yaml.Node]bool
}

// note reports a problem at n, whose value can be used all the same.
func (d *decoder) note(n *yaml.Node, format string, args ...any) {
	switch {
	case len(d.problems) < maxProblems:
		d.problems = append(d.problems, Problem{File: d.file, Line: n.Line, Col: n.Column, Message: fmt.Sprintf(format, args...)})
	case len(d.problems) == maxProblems:
		d.problems = append(d.problems, Problem{File: d.file, Message: fmt.Sprintf("more than %d problems; the rest is left out", maxProblems)})
	}
}

// full says whether further problems are left out. Loops end then: what they
// would find is not shown, and the configuration is refused already.
func (d *decoder) full() bool { return len(d.problems) > maxProblems }

// fail reports a problem at n, whose value cannot be used.
func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	d.note(n, format, args...)
	if d.bad == nil {
		d.bad = map[*yaml.Node]bool{}
	}
	d.bad[n] = true
}

// report reports a problem with the value at a path below n.
func (d *decoder) report(n *yaml.Node, path, message string) {
	at, _ := lookup(n, path)
	if !d.bad[at] {
		d.note(at, "%s", message)
	}
}

// inspect refuses what no value of the file may be made of, at every depth,
// whether or not somebody will read that part.
func (d *decoder) inspect(n *yaml.Node, depth int) {
	if n.Anchor != "" {
		d.note(n, "YAML anchors are not supported; if %s is meant as text, put it in quotes", quote("&"+n.Anchor))
	}
	switch {
	case depth > maxDepth:
		d.fail(n, "nested more than %d deep", maxDepth)
		return
	case n.Kind == yaml.AliasNode:
		d.fail(n, "%s", aliasMessage(n.Value))
		return
	case n.Style&yaml.TaggedStyle != 0:
		d.fail(n, "YAML tags are not supported; found %s", quote(n.Tag))
		return
	case n.Kind == yaml.ScalarNode && strings.ContainsFunc(n.Value, isControl):
		d.fail(n, "%s has a control character", quote(n.Value))
		return
	case n.Kind == yaml.MappingNode:
		d.inspectKeys(n)
	}
	for _, c := range n.Content {
		if d.full() {
			return
		}
		d.inspect(c, depth+1)
	}
}

func (d *decoder) inspectKeys(n *yaml.Node) {
	first := map[string]*yaml.Node{}
	for k := range pairs(n) {
		switch earlier := first[k.Value]; {
		case k.Kind == yaml.ScalarNode && k.Tag == "!!merge":
			d.fail(k, "YAML merge keys (<<) are not supported; write the keys out")
		case k.Kind != yaml.ScalarNode && k.Kind != yaml.AliasNode:
			d.fail(k, "want a word as key, found %s", found(k))
		case earlier != nil:
			d.fail(k, "key %s is here twice; it is in line %d already", quote(k.Value), earlier.Line)
		default:
			first[k.Value] = k
		}
	}
}

// value decodes n into v.
func (d *decoder) value(n *yaml.Node, v reflect.Value, what string) {
	if d.bad[n] {
		return
	}
	if v.CanAddr() {
		switch t := v.Addr().Interface().(type) {
		case nodeDecoder:
			t.decodeNode(d, n, what)
			return
		case *time.Duration:
			d.duration(n, t, what)
			return
		case encoding.TextUnmarshaler:
			d.text(n, t, what)
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(n, p.Elem(), what)
		v.Set(p)
	case reflect.Struct:
		d.structure(n, v, what)
	case reflect.Map:
		d.mapping(n, v, what)
	case reflect.Slice:
		d.list(n, v, what)
	default:
		d.scalar(n, v, what)
	}
}

// field is a key of a struct.
type field struct {
	key   string
	index int
	// number: a string that may be written as a bare whole number.
	number bool
}

// fields are the keys of a struct type, in their order.
func fields(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if f.IsExported() && key != "" && key != "-" {
			out = append(out, field{key: key, index: i, number: option == "number"})
		}
	}
	return out
}

// structure decodes a mapping into a struct. The reserved keys are somebody
// else's: known, and passed over.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, what string, reserved ...string) {
	if n.Kind != yaml.MappingNode {
		d.wrongType(n, what, "a mapping")
		return
	}
	known := fields(v.Type())
	for k, val := range pairs(n) {
		if d.full() {
			return
		}
		if d.bad[k] || slices.Contains(reserved, k.Value) {
			continue
		}
		i := slices.IndexFunc(known, func(f field) bool { return f.key == k.Value })
		if i < 0 {
			d.note(k, "%s", NotOneOf("key", k.Value, goodKeys(known, reserved)))
			continue
		}
		into := v.Field(known[i].index)
		if known[i].number && val.Tag == "!!int" && isDecimal(val.Value) && !d.bad[val] {
			into.SetString(val.Value)
			continue
		}
		d.value(val, into, fieldOf(what, k.Value))
	}
}

func goodKeys(known []field, reserved []string) []string {
	keys := slices.Clone(reserved)
	for _, f := range known {
		keys = append(keys, f.key)
	}
	return keys
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, what string) {
	if n.Kind != yaml.MappingNode {
		d.wrongType(n, what, "a mapping")
		return
	}
	if v.Type().Key().Kind() != reflect.String {
		d.fail(n, "%s: orgguard cannot decode a %s", what, v.Type())
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for k, val := range pairs(n) {
		if d.full() {
			return
		}
		if d.bad[k] {
			continue
		}
		key := reflect.ValueOf(k.Value).Convert(v.Type().Key())
		item := reflect.New(v.Type().Elem()).Elem()
		if old := v.MapIndex(key); old.IsValid() {
			item.Set(old)
		}
		d.value(val, item, fieldOf(what, clip(k.Value)))
		v.SetMapIndex(key, item)
	}
}

// list decodes a sequence. An item that cannot be read keeps its place, so that
// the list's indexes are those of the file.
func (d *decoder) list(n *yaml.Node, v reflect.Value, what string) {
	if n.Kind != yaml.SequenceNode {
		d.wrongType(n, what, "a list")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		if d.full() {
			break
		}
		item := out.Index(i)
		if t, ok := item.Addr().Interface().(defaulter); ok {
			t.setDefaults()
		}
		d.value(c, item, fmt.Sprintf("%s[%d]", what, i))
	}
	v.Set(out)
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, what string) {
	switch kind := v.Kind(); {
	case kind == reflect.String:
		if n.Tag != "!!str" {
			d.wrongType(n, what, "a string")
			return
		}
		v.SetString(n.Value)
	case kind == reflect.Bool:
		if n.Tag != "!!bool" {
			d.wrongType(n, what, "true or false")
			return
		}
		v.SetBool(isTrue(n))
	case v.CanInt(), v.CanUint():
		d.integer(n, v, what)
	default:
		// Somebody gave a settings struct a field of a type that no
		// configuration has. It is not the file's fault, but better said
		// than read wrongly.
		d.fail(n, "%s: orgguard cannot decode a %s", what, v.Type())
	}
}

// integer reads decimal numbers only: 010 is 8 to one YAML parser and 10 to
// another.
func (d *decoder) integer(n *yaml.Node, v reflect.Value, what string) {
	if n.Tag != "!!int" || !isDecimal(strings.TrimPrefix(n.Value, "-")) {
		d.wrongType(n, what, "a whole number")
		return
	}
	if v.CanInt() {
		if i, err := strconv.ParseInt(n.Value, 10, 64); err == nil && !v.OverflowInt(i) {
			v.SetInt(i)
			return
		}
	} else if i, err := strconv.ParseUint(n.Value, 10, 64); err == nil && !v.OverflowUint(i) {
		v.SetUint(i)
		return
	}
	d.fail(n, "%s: %s is out of range", what, clip(n.Value))
}

func (d *decoder) duration(n *yaml.Node, into *time.Duration, what string) {
	parsed, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || err != nil || !durationShape.MatchString(n.Value) {
		d.wrongType(n, what, `a duration such as "90m" or "24h"`)
		return
	}
	*into = parsed
}

func (d *decoder) text(n *yaml.Node, into encoding.TextUnmarshaler, what string) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		d.wrongType(n, what, "a string")
		return
	}
	if err := into.UnmarshalText([]byte(n.Value)); err != nil {
		d.fail(n, "%s: %s: %v", what, quote(n.Value), err)
	}
}

// wrongType reports that n is of the wrong type, and the usual way out.
func (d *decoder) wrongType(n *yaml.Node, what, want string) {
	msg := fmt.Sprintf("want %s, found %s", want, found(n))
	if what != "" {
		msg = what + ": " + msg
	}
	if n.Kind == yaml.ScalarNode {
		switch {
		case isNull(n):
			msg += "; write a value or leave the key out"
		case want == "a string":
			msg += "; put it in quotes"
		case want == "a list":
			msg += "; put it in [ ]"
		}
	}
	d.fail(n, "%s", msg)
}

// found says what a node is.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!bool":
		return n.Value
	case "!!int", "!!float":
		return "the number " + clip(n.Value)
	case "!!timestamp":
		return "the date " + clip(n.Value)
	}
	return "the string " + quote(n.Value)
}

// pairs yields the keys and values of a mapping.
func pairs(n *yaml.Node) func(yield func(k, v *yaml.Node) bool) {
	return func(yield func(k, v *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// child is the value of a key, nil without one. Of a key that is there twice
// the first counts.
func child(n *yaml.Node, key string) *yaml.Node {
	for k, v := range pairs(n) {
		if k.Kind == yaml.ScalarNode && k.Value == key {
			return v
		}
	}
	return nil
}

// lookup follows a path of keys and indexes ("exclude[0].account"). Where the
// path ends early it returns the last node there is, and false.
func lookup(n *yaml.Node, path string) (*yaml.Node, bool) {
	for path != "" {
		var next *yaml.Node
		if rest, ok := strings.CutPrefix(path, "["); ok {
			number, after, _ := strings.Cut(rest, "]")
			i, err := strconv.Atoi(number)
			if err == nil && n.Kind == yaml.SequenceNode && i >= 0 && i < len(n.Content) {
				next = n.Content[i]
			}
			path = after
		} else {
			key := strings.TrimPrefix(path, ".")
			path = ""
			if end := strings.IndexAny(key, ".["); end >= 0 {
				key, path = key[:end], key[end:]
			}
			next = child(n, key)
		}
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, true
}

// fieldOf names a key below a place: the path to it, as lookup reads it.
func fieldOf(what, key string) string {
	if what == "" {
		return key
	}
	return what + "." + key
}

func isTrue(n *yaml.Node) bool { return strings.EqualFold(n.Value, "true") }

// isDecimal says whether s is a whole number as everybody reads it.
func isDecimal(s string) bool {
	return s == "0" || s != "" && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}
