package scp

import (
	"encoding/base64"
	"net/netip"
	"strings"
)

// condition is one key under one operator, compiled.
type condition struct {
	op     operator
	key    *keyRef
	values []test
	// places for lint and messages
	opText  text
	keyText text
	written []text
}

// test is one policy value of a condition. Which field counts depends on the
// operator; a value the operator cannot read is invalid and matches nothing,
// which makes the negated operators match.
type test struct {
	invalid bool
	tmpl    template
	number  decimal
	time    instant
	prefix  netip.Prefix
	flag    bool
	binary  string
}

// compileTest prepares a policy value for an operator.
func compileTest(o operator, value string, vars bool) test {
	var t test
	ok := true
	switch o.kind {
	case opNumeric:
		t.number, ok = parseDecimal(value)
	case opDate:
		t.time, ok = parseInstant(value)
	case opIP:
		t.prefix, ok = parsePrefix(value)
	case opNull:
		t.flag, ok = parseBool(value)
	case opBinary:
		t.binary, ok = decodeBinary(value)
	default:
		t.tmpl = parseTemplate(value, templateMode{
			wild: o.kind == opStringLike || o.kind == opARN,
			vars: vars && o.variables(),
		})
	}
	t.invalid = !ok
	return t
}

// decodeBinary decodes base64, the form binary values have in policies and in
// requests, with or without padding.
func decodeBinary(s string) (string, bool) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	return string(b), err == nil
}

// eval says whether the condition holds for a request. The rules for a key
// that is not in the request: a positive operator does not match, a negated
// one does, IfExists does; ForAllValues matches and ForAnyValue does not,
// whatever the rest of the operator says.
func (c *condition) eval(r *Request) truth {
	values, known := c.key.lookup(r)
	if c.op.kind == opNull {
		return c.evalNull(values, known)
	}
	if known == keyUnknown {
		return maybe
	}
	switch {
	case known == keyAbsent && c.op.set == noQualifier:
		return truthOf(c.op.ifExists || c.op.negated)
	case c.op.set == forAllValues:
		// An empty set, or one that resolves to nothing but empty strings,
		// passes: "a null dataset, such as an empty string".
		result, null := yes, true
		for _, v := range values {
			null = null && v == ""
			result = min(result, c.one(v, r))
		}
		if null {
			return yes
		}
		return result
	case c.op.set == forAnyValue:
		result := no
		for _, v := range values {
			result = max(result, c.one(v, r))
		}
		return result
	}
	// A plain operator on a key with several values is not documented; taken
	// as one value that is any of them.
	result := no
	for _, v := range values {
		result = max(result, c.any(v, r))
	}
	if c.op.negated {
		return result.not()
	}
	return result
}

// evalNull is the Null operator: "true" asks for the key to be absent.
// A key without any value counts as absent.
func (c *condition) evalNull(values []string, known knowledge) truth {
	wantNull, wantValue := false, false
	for i := range c.values {
		if !c.values[i].invalid {
			wantNull = wantNull || c.values[i].flag
			wantValue = wantValue || !c.values[i].flag
		}
	}
	switch {
	case wantNull == wantValue:
		return truthOf(wantNull)
	case known == keyUnknown:
		return maybe
	default:
		return truthOf(wantNull == (len(values) == 0))
	}
}

// one says whether one value of the request satisfies the operator.
func (c *condition) one(v string, r *Request) truth {
	if c.op.negated {
		return c.any(v, r).not()
	}
	return c.any(v, r)
}

// any says whether one value of the request matches any value of the policy.
func (c *condition) any(v string, r *Request) truth {
	switch c.op.kind {
	case opNumeric:
		n, ok := parseDecimal(v)
		for i := range c.values {
			if t := &c.values[i]; ok && !t.invalid && c.op.cmp.holds(n.compare(t.number)) {
				return yes
			}
		}
		return no
	case opDate:
		n, ok := parseInstant(v)
		for i := range c.values {
			if t := &c.values[i]; ok && !t.invalid && c.op.cmp.holds(n.compare(t.time)) {
				return yes
			}
		}
		return no
	case opIP:
		a, err := netip.ParseAddr(v)
		for i := range c.values {
			// Contains is false across the two families: a v4 range never
			// holds a v6 address.
			if t := &c.values[i]; err == nil && !t.invalid && t.prefix.Contains(a.WithZone("")) {
				return yes
			}
		}
		return no
	case opBinary:
		b, ok := decodeBinary(v)
		for i := range c.values {
			if t := &c.values[i]; ok && !t.invalid && t.binary == b {
				return yes
			}
		}
		return no
	}
	result := no
	for i := range c.values {
		if result = max(result, c.text(&c.values[i], v, r)); result == yes {
			break
		}
	}
	return result
}

// text matches one value of the request against one pattern of the policy.
func (c *condition) text(t *test, v string, r *Request) truth {
	if t.tmpl.parts == nil {
		return truthOf(c.matchText(t.tmpl.text, v))
	}
	var room [256]byte
	pattern, e, open := t.tmpl.expand(room[:0], r)
	switch e {
	case valueless:
		return no
	case uncertain:
		return c.possible(pattern, v, open)
	}
	return truthOf(c.matchText(string(pattern), v))
}

func (c *condition) matchText(pattern, v string) bool {
	switch c.op.kind {
	case opStringEquals:
		return pattern == v
	case opStringEqualsIgnoreCase:
		return strings.EqualFold(pattern, v)
	case opStringLike:
		return globMatch(pattern, v, exactCase)
	case opARN:
		return arnMatch(pattern, v)
	case opBool:
		p, ok := parseBool(pattern)
		b, valid := parseBool(v)
		return ok && valid && p == b
	}
	return false
}

// possible says whether a pattern with an unknown variable could match: maybe,
// or no when nothing put in the variable's place would do.
func (c *condition) possible(pattern []byte, v string, open int) truth {
	switch c.op.kind {
	case opStringEquals, opStringLike:
		return maybeIf(globMatch(string(pattern), v, exactCase))
	case opARN:
		return possibleARN(pattern, v, open)
	case opBool:
		if _, ok := parseBool(v); !ok {
			return no
		}
	}
	return maybe
}

// possibleARN is possible for ARN patterns. An unknown value before the fifth
// colon may hold colons itself, so segments mean nothing there.
func possibleARN(pattern []byte, v string, open int) truth {
	if strings.Count(string(pattern[:open]), ":") >= 5 {
		return maybeIf(arnMatch(string(pattern), v))
	}
	return maybeIf(globMatch(string(pattern), v, exactCase))
}
