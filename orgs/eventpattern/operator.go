package eventpattern

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// operators are the comparison operators by name. Their names cannot be
// fields of a $or alternative.
var operators = []string{"anything-but", "cidr", "equals-ignore-case", "exists", "numeric", "prefix", "suffix", "wildcard"}

// maxNumber bounds numeric comparison: values beyond ±5e9 neither parse in a
// pattern nor match in an event.
const maxNumber = 5e9

// test judges one scalar of an event.
type test func(scalar) bool

// operator reads one {"operator": operand}.
func (p *parser) operator(path string, m map[string]any, f *field) {
	if len(m) != 1 {
		p.fault(path, "one operator in each object, not %d", len(m))
		return
	}
	name := sortedKeys(m)[0]
	operand := m[name]
	at := join(path, name)
	switch name {
	case "exists":
		b, ok := operand.(bool)
		if !ok {
			p.fault(at, "must be true or false, not %s", kindOf(operand))
			return
		}
		if b {
			f.tests = append(f.tests, func(scalar) bool { return true })
		} else {
			f.absent = true
		}
	case "prefix", "suffix":
		if t := p.affix(at, name, operand, true); t != nil {
			f.tests = append(f.tests, t)
		}
	case "equals-ignore-case":
		s, ok := operand.(string)
		if !ok {
			p.fault(at, "must be a string, not %s", kindOf(operand))
			return
		}
		f.tests = append(f.tests, ignoreCase(s))
	case "wildcard":
		if t := p.wildcard(at, operand); t != nil {
			f.tests = append(f.tests, t)
		}
	case "cidr":
		if t := p.cidr(at, operand); t != nil {
			f.tests = append(f.tests, t)
		}
	case "numeric":
		if t := p.numeric(at, operand); t != nil {
			f.tests = append(f.tests, t)
		}
	case "anything-but":
		if t := p.anythingBut(at, operand); t != nil {
			f.tests = append(f.tests, t)
		}
	default:
		p.fault(path, "unknown operator %q; the operators are %s", name, strings.Join(operators, ", "))
	}
}

func equals(want scalar) test {
	return func(v scalar) bool { return v.kind == want.kind && v.text == want.text }
}

func ignoreCase(want string) test {
	return func(v scalar) bool { return v.kind == stringKind && strings.EqualFold(v.text, want) }
}

// affix reads the operand of prefix or suffix: a string, or
// {"equals-ignore-case": string}.
func (p *parser) affix(path, name string, operand any, emptyAllowed bool) test {
	fold := false
	if m, ok := operand.(map[string]any); ok {
		inner, has := m["equals-ignore-case"]
		if len(m) != 1 || !has {
			p.fault(path, "must be a string or {\"equals-ignore-case\": string}")
			return nil
		}
		operand, fold = inner, true
		path = join(path, "equals-ignore-case")
	}
	want, ok := operand.(string)
	if !ok {
		p.fault(path, "must be a string, not %s", kindOf(operand))
		return nil
	}
	if want == "" && !emptyAllowed {
		p.fault(path, "must not be empty")
		return nil
	}
	return func(v scalar) bool {
		if v.kind != stringKind {
			return false
		}
		switch {
		case !fold && name == "prefix":
			return strings.HasPrefix(v.text, want)
		case !fold:
			return strings.HasSuffix(v.text, want)
		}
		// Letters of different case may differ in bytes: compare by letters.
		have, n := []rune(v.text), len([]rune(want))
		if len(have) < n {
			return false
		}
		if name == "prefix" {
			return strings.EqualFold(string(have[:n]), want)
		}
		return strings.EqualFold(string(have[len(have)-n:]), want)
	}
}

// wildcard reads a string in which * stands for any characters, \* for an
// asterisk and \\ for a backslash.
func (p *parser) wildcard(path string, operand any) test {
	s, ok := operand.(string)
	if !ok {
		p.fault(path, "must be a string, not %s", kindOf(operand))
		return nil
	}
	p.wildcards++
	parts := []string{""} // literal parts; between two of them stands a *
	star := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i+1 >= len(s) || (s[i+1] != '*' && s[i+1] != '\\') {
				p.fault(path, `a backslash must be followed by * or \`)
				return nil
			}
			i++
			parts[len(parts)-1] += s[i : i+1]
			star = false
		case '*':
			if star {
				p.fault(path, "consecutive wildcard characters are not allowed")
				return nil
			}
			parts = append(parts, "")
			star = true
		default:
			parts[len(parts)-1] += s[i : i+1]
			star = false
		}
	}
	return func(v scalar) bool { return v.kind == stringKind && globMatch(parts, v.text) }
}

// globMatch says whether s is the parts with anything between them.
func globMatch(parts []string, s string) bool {
	if len(parts) == 1 {
		return s == parts[0]
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part) // the leftmost occurrence leaves most for the rest
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, last)
}

func (p *parser) cidr(path string, operand any) test {
	s, ok := operand.(string)
	if !ok {
		p.fault(path, "must be a string such as \"10.0.0.0/24\", not %s", kindOf(operand))
		return nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		p.fault(path, "%q is not a CIDR block such as 10.0.0.0/24 or 2001:db8::/32", s)
		return nil
	}
	prefix = prefix.Masked()
	return func(v scalar) bool {
		if v.kind != stringKind {
			return false
		}
		addr, err := netip.ParseAddr(v.text)
		return err == nil && addr.Zone() == "" && prefix.Contains(addr)
	}
}

// numeric reads ["=", 5], [">", 0] or [">", 0, "<=", 5].
func (p *parser) numeric(path string, operand any) test {
	list, ok := operand.([]any)
	if !ok || (len(list) != 2 && len(list) != 4) {
		p.fault(path, `must be an array such as ["=", 5] or [">", 0, "<=", 5]`)
		return nil
	}
	var ops []string
	var nums []float64
	for i := 0; i < len(list); i += 2 {
		op, ok := list[i].(string)
		if !ok || !strings.Contains(" = < <= > >= ", " "+op+" ") {
			p.fault(fmt.Sprintf("%s[%d]", path, i), "must be one of \"=\", \"<\", \"<=\", \">\", \">=\", not %s", literalText(list[i]))
			return nil
		}
		n, ok := number(list[i+1])
		if !ok {
			p.fault(fmt.Sprintf("%s[%d]", path, i+1), "must be a number between -5e9 and 5e9, not %s", literalText(list[i+1]))
			return nil
		}
		ops, nums = append(ops, op), append(nums, n)
	}
	if len(ops) == 2 {
		switch {
		case ops[0][0] != '>' || ops[1][0] != '<':
			p.fault(path, "a range is a lower bound (> or >=) followed by an upper bound (< or <=)")
			return nil
		case nums[0] >= nums[1]:
			p.fault(path, "the lower bound must be less than the upper bound")
			return nil
		}
	}
	return func(v scalar) bool {
		have, ok := v.number()
		if !ok {
			return false
		}
		for i, op := range ops {
			if !compare(have, op, nums[i]) {
				return false
			}
		}
		return true
	}
}

func compare(a float64, op string, b float64) bool {
	switch op {
	case "=":
		return a == b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	default:
		return a >= b
	}
}

// number reads a number within the range of numeric comparison.
func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(n.String(), 64)
	return f, err == nil && f >= -maxNumber && f <= maxNumber
}

// anythingBut reads a string, a number, a list of either, or one of prefix,
// suffix, equals-ignore-case and wildcard with a string or a list of strings.
// The field must be there: a missing field does not match.
func (p *parser) anythingBut(path string, operand any) test {
	var refused []test
	switch v := operand.(type) {
	case string:
		refused = append(refused, equals(scalarOf(v)))
	case json.Number:
		if t := p.sameNumber(path, v); t != nil {
			refused = append(refused, t)
		}
	case []any:
		refused = p.anythingButList(path, v)
	case map[string]any:
		refused = p.anythingButOperator(path, v)
	default:
		p.fault(path, "must be a string, a number, a list of either, or an operator, not %s", kindOf(operand))
	}
	if len(refused) == 0 {
		return nil
	}
	return func(v scalar) bool {
		for _, t := range refused {
			if t(v) {
				return false
			}
		}
		return true
	}
}

func (p *parser) sameNumber(path string, v json.Number) test {
	want, ok := number(v)
	if !ok {
		p.fault(path, "must be a number between -5e9 and 5e9, not %s", v)
		return nil
	}
	return func(v scalar) bool {
		have, ok := v.number()
		return ok && have == want
	}
}

func (p *parser) anythingButList(path string, list []any) (refused []test) {
	if len(list) == 0 {
		p.fault(path, "empty lists are not allowed")
	}
	kinds := map[kind]bool{}
	for i, e := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch v := e.(type) {
		case string:
			kinds[stringKind] = true
			refused = append(refused, equals(scalarOf(v)))
		case json.Number:
			kinds[numberKind] = true
			if t := p.sameNumber(at, v); t != nil {
				refused = append(refused, t)
			}
		default:
			p.fault(at, "must be a string or a number, not %s", kindOf(e))
		}
	}
	if len(kinds) > 1 {
		p.fault(path, "the values must be all strings or all numbers")
	}
	return refused
}

func (p *parser) anythingButOperator(path string, m map[string]any) (refused []test) {
	if len(m) != 1 {
		p.fault(path, "one operator, not %d", len(m))
		return nil
	}
	name := sortedKeys(m)[0]
	at := join(path, name)
	operands, isList := m[name].([]any)
	if !isList {
		operands = []any{m[name]}
	} else if len(operands) == 0 {
		p.fault(at, "empty lists are not allowed")
	}
	for i, operand := range operands {
		here := at
		if isList {
			here = fmt.Sprintf("%s[%d]", at, i)
		}
		var t test
		switch name {
		case "prefix", "suffix":
			t = p.affix(here, name, operand, false)
		case "equals-ignore-case":
			if s, ok := operand.(string); ok {
				t = ignoreCase(s)
			} else {
				p.fault(here, "must be a string, not %s", kindOf(operand))
			}
		case "wildcard":
			t = p.wildcard(here, operand)
		default:
			p.fault(path, "unknown operator %q inside anything-but; it takes prefix, suffix, equals-ignore-case and wildcard", name)
			return nil
		}
		if t != nil {
			refused = append(refused, t)
		}
	}
	return refused
}
