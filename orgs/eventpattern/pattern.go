package eventpattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Limits of EventBridge on one pattern.
const (
	// MaxLength is the longest pattern the API takes, in characters. The
	// default quota of an account is lower: see DefaultQuota.
	MaxLength = 4096
	// DefaultQuota is the length of a pattern an account may use unless its
	// quota was raised.
	DefaultQuota = 2048
	// MaxCombinations is how many combinations the $or alternatives of one
	// pattern may multiply to.
	MaxCombinations = 1000
)

// Pattern is a parsed event pattern. It is immutable and safe for concurrent use.
type Pattern struct {
	root         *object
	combinations int
	wildcards    int
}

// object is what a pattern asks of one JSON object: every field, and one
// alternative of every $or.
type object struct {
	fields []field // sorted by name
	ors    [][]*object
	absent bool // some leaf below asks that a field does not exist
}

// field is what a pattern asks of one field: either of the object in it or of
// its value.
type field struct {
	name  string
	sub   *object
	tests []test // one must hold
	// absent: the field may also be missing ({"exists": false}).
	absent bool
}

// Problem is one thing wrong with a pattern.
type Problem struct {
	// Path is where it is, e.g. `detail.eventName[0]`; "" is the whole pattern.
	Path string
	Text string
}

func (p Problem) String() string {
	if p.Path == "" {
		return p.Text
	}
	return p.Path + ": " + p.Text
}

// InvalidError is every problem of a pattern.
type InvalidError struct{ Problems []Problem }

func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return "event pattern is not valid: " + strings.Join(lines, "; ")
}

// Parse reads a pattern. The error is an *InvalidError with every problem found.
func Parse(pattern []byte) (*Pattern, error) {
	p := &parser{}
	if n := len([]rune(string(pattern))); n > MaxLength {
		p.fault("", "%d characters; at most %d are allowed", n, MaxLength)
	}
	v, err := decode(pattern)
	if err != nil {
		p.fault("", "%v", err)
		return nil, &InvalidError{p.problems}
	}
	m, ok := v.(map[string]any)
	if !ok {
		p.fault("", "a pattern is a JSON object, not %s", kindOf(v))
		return nil, &InvalidError{p.problems}
	}
	root := p.object("", m)
	if len(p.problems) > 0 {
		return nil, &InvalidError{p.problems}
	}
	combos := root.combinations()
	if combos > MaxCombinations {
		return nil, &InvalidError{[]Problem{{Text: fmt.Sprintf("the $or alternatives multiply to more than %d combinations", MaxCombinations)}}}
	}
	return &Pattern{root: root, combinations: combos, wildcards: p.wildcards}, nil
}

// Combinations is how many rules without $or the pattern stands for.
func (p *Pattern) Combinations() int { return p.combinations }

// Wildcards is how many wildcard operators the pattern has; EventBridge limits
// the rules of a bus that use any.
func (p *Pattern) Wildcards() int { return p.wildcards }

// decode reads exactly one JSON value, keeping numbers as they are written.
func decode(src []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		var syntax *json.SyntaxError
		switch {
		case errors.As(err, &syntax):
			line, col := position(src, int(syntax.Offset)-1) // Offset is behind the offending byte
			return nil, fmt.Errorf("%d:%d: %w", line, col, err)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errors.New("unexpected end of JSON")
		}
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		line, col := position(src, int(d.InputOffset()))
		return nil, fmt.Errorf("%d:%d: more text after the JSON value", line, col)
	}
	return v, nil
}

// position is the line and column of a byte offset, both from 1.
func position(src []byte, offset int) (line, col int) {
	offset = max(0, min(offset, len(src)))
	before := src[:offset]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}

type parser struct {
	problems  []Problem
	wildcards int
}

func (p *parser) fault(path, format string, args ...any) {
	p.problems = append(p.problems, Problem{path, fmt.Sprintf(format, args...)})
}

func (p *parser) object(path string, m map[string]any) *object {
	o := &object{}
	if len(m) == 0 {
		p.fault(path, "empty objects are not allowed")
		return o
	}
	for _, name := range sortedKeys(m) {
		at := join(path, name)
		if name == "$or" {
			if alternatives, ok := orAlternatives(m[name]); ok {
				o.ors = append(o.ors, p.or(at, alternatives))
				continue
			}
		}
		f := field{name: name}
		switch v := m[name].(type) {
		case map[string]any:
			f.sub = p.object(at, v)
		case []any:
			p.leaf(at, v, &f)
		default:
			p.fault(at, "must be an object or an array, not %s: write [%s]", kindOf(v), literalText(v))
		}
		o.fields = append(o.fields, f)
	}
	for _, f := range o.fields {
		o.absent = o.absent || f.absent || (f.sub != nil && f.sub.absent)
	}
	for _, or := range o.ors {
		for _, alt := range or {
			o.absent = o.absent || alt.absent
		}
	}
	return o
}

// orAlternatives tells the $or operator from a field of that name: EventBridge
// takes it for the operator when it is an array of at least two objects none
// of which has an operator's name as a field.
func orAlternatives(v any) ([]map[string]any, bool) {
	list, ok := v.([]any)
	if !ok || len(list) < 2 {
		return nil, false
	}
	var out []map[string]any
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return nil, false
		}
		for name := range m {
			if slices.Contains(operators, name) {
				return nil, false
			}
		}
		out = append(out, m)
	}
	return out, true
}

func (p *parser) or(path string, alternatives []map[string]any) []*object {
	out := make([]*object, len(alternatives))
	for i, m := range alternatives {
		out[i] = p.object(fmt.Sprintf("%s[%d]", path, i), m)
	}
	return out
}

func (p *parser) leaf(path string, list []any, f *field) {
	if len(list) == 0 {
		p.fault(path, "empty arrays are not allowed")
	}
	for i, e := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch v := e.(type) {
		case []any:
			p.fault(at, "an array inside an array is not allowed")
		case map[string]any:
			p.operator(at, v, f)
		default:
			f.tests = append(f.tests, equals(scalarOf(v)))
		}
	}
}

// combinations counts the rules without $or that the object stands for,
// stopping soon after the limit.
func (o *object) combinations() int {
	n := 1
	for _, f := range o.fields {
		if f.sub != nil {
			n = min(n*f.sub.combinations(), MaxCombinations+1)
		}
	}
	for _, or := range o.ors {
		sum := 0
		for _, alt := range or {
			sum = min(sum+alt.combinations(), MaxCombinations+1)
		}
		n = min(n*sum, MaxCombinations+1)
	}
	return n
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
