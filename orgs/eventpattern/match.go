package eventpattern

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// kind is the JSON type of a scalar.
type kind int

const (
	nullKind kind = iota
	boolKind
	numberKind
	stringKind
)

// scalar is a leaf of an event. Numbers are compared as they are written: to
// EventBridge 300, 300.0 and 3.0e2 are different values, except to the
// numeric operator.
type scalar struct {
	kind kind
	text string
}

func (s scalar) number() (float64, bool) {
	if s.kind != numberKind {
		return 0, false
	}
	return number(json.Number(s.text))
}

// scalarOf makes a scalar of a value as encoding/json decodes it; Go's own
// numbers are written as encoding/json writes them.
func scalarOf(v any) scalar {
	switch v := v.(type) {
	case nil:
		return scalar{nullKind, "null"}
	case bool:
		return scalar{boolKind, strconv.FormatBool(v)}
	case string:
		return scalar{stringKind, v}
	case json.Number:
		return scalar{numberKind, v.String()}
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return scalar{nullKind, "null"}
		}
		if len(text) > 0 && text[0] == '"' { // a named string type, a time
			var s string
			if json.Unmarshal(text, &s) == nil {
				return scalar{stringKind, s}
			}
		}
		return scalar{numberKind, string(text)}
	}
}

// Match says whether an event, as JSON, matches the pattern. Text that is not
// a JSON object matches nothing.
func (p *Pattern) Match(event []byte) bool {
	v, err := decode(event)
	if err != nil {
		return false
	}
	m, ok := v.(map[string]any)
	return ok && p.MatchValue(m)
}

// MatchValue is Match for a decoded event. Numbers should be json.Number to be
// compared as they were written.
func (p *Pattern) MatchValue(event map[string]any) bool {
	return p.root.match(event, []map[string]any{event})
}

// match judges one object. all is every object the event has at this place:
// more than one when arrays lie on the way. Fields are asked of one element of
// an array together, but {"exists": false} asks that no element has the field.
func (o *object) match(one map[string]any, all []map[string]any) bool {
	for _, f := range o.fields {
		if !f.match(one, all) {
			return false
		}
	}
	for _, or := range o.ors {
		matched := false
		for _, alt := range or {
			if alt.match(one, all) {
				matched = true
				break
			}
		}
		if !matched {
			return false
		}
	}
	return true
}

func (f field) match(one map[string]any, all []map[string]any) bool {
	if f.sub != nil {
		below, belowAll := objects(one[f.name], nil), []map[string]any(nil)
		if f.sub.absent {
			for _, m := range all {
				belowAll = objects(m[f.name], belowAll)
			}
		}
		if len(below) == 0 {
			// Only fields that must not exist can match here.
			return f.sub.match(map[string]any{}, belowAll)
		}
		for _, m := range below {
			if f.sub.match(m, belowAll) {
				return true
			}
		}
		return false
	}
	for _, v := range scalars(one[f.name], has(one, f.name), nil) {
		for _, t := range f.tests {
			if t(v) {
				return true
			}
		}
	}
	if !f.absent {
		return false
	}
	for _, m := range all {
		if len(scalars(m[f.name], has(m, f.name), nil)) > 0 {
			return false
		}
	}
	return true
}

func has(m map[string]any, name string) bool {
	_, ok := m[name]
	return ok
}

// objects appends the objects of a value: itself, or those in an array.
func objects(v any, out []map[string]any) []map[string]any {
	switch v := v.(type) {
	case map[string]any:
		out = append(out, v)
	case []any:
		for _, e := range v {
			out = objects(e, out)
		}
	}
	return out
}

// scalars appends the leaves of a value: itself, or those in an array. An
// object has none: exists works on leaves only.
func scalars(v any, present bool, out []scalar) []scalar {
	if !present {
		return out
	}
	switch v := v.(type) {
	case map[string]any:
	case []any:
		for _, e := range v {
			out = scalars(e, true, out)
		}
	case []string:
		for _, e := range v {
			out = append(out, scalar{stringKind, e})
		}
	default:
		out = append(out, scalarOf(v))
	}
	return out
}

// kindOf names a JSON type for messages.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	default:
		return fmt.Sprintf("a %T", v)
	}
}

// literalText is a value as JSON, for messages.
func literalText(v any) string {
	text, err := encode(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// encode is json.Marshal without HTML escaping, which AWS does not do.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
