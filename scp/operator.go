package scp

import "strings"

// opKind is what a condition operator compares.
type opKind uint8

const (
	opStringEquals opKind = iota
	opStringEqualsIgnoreCase
	opStringLike
	opNumeric
	opDate
	opBool
	opBinary
	opIP
	opARN
	opNull
)

// comparison is how numbers and dates are compared.
type comparison uint8

const (
	cmpEqual comparison = iota
	cmpLess
	cmpLessEqual
	cmpGreater
	cmpGreaterEqual
)

func (c comparison) holds(order int) bool {
	switch c {
	case cmpLess:
		return order < 0
	case cmpLessEqual:
		return order <= 0
	case cmpGreater:
		return order > 0
	case cmpGreaterEqual:
		return order >= 0
	default:
		return order == 0
	}
}

// setQualifier is the prefix of an operator for keys with several values.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
type setQualifier uint8

const (
	noQualifier setQualifier = iota
	forAllValues
	forAnyValue
)

// operator is a parsed condition operator.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
type operator struct {
	name     string // in AWS's spelling, prefix and suffix included
	base     string // in AWS's spelling, without them
	kind     opKind
	cmp      comparison
	negated  bool
	ifExists bool
	set      setQualifier
}

// operators are the base operators, in the order of AWS's documentation.
var operators = []operator{
	{base: "StringEquals", kind: opStringEquals},
	{base: "StringNotEquals", kind: opStringEquals, negated: true},
	{base: "StringEqualsIgnoreCase", kind: opStringEqualsIgnoreCase},
	{base: "StringNotEqualsIgnoreCase", kind: opStringEqualsIgnoreCase, negated: true},
	{base: "StringLike", kind: opStringLike},
	{base: "StringNotLike", kind: opStringLike, negated: true},
	{base: "NumericEquals", kind: opNumeric},
	{base: "NumericNotEquals", kind: opNumeric, negated: true},
	{base: "NumericLessThan", kind: opNumeric, cmp: cmpLess},
	{base: "NumericLessThanEquals", kind: opNumeric, cmp: cmpLessEqual},
	{base: "NumericGreaterThan", kind: opNumeric, cmp: cmpGreater},
	{base: "NumericGreaterThanEquals", kind: opNumeric, cmp: cmpGreaterEqual},
	{base: "DateEquals", kind: opDate},
	{base: "DateNotEquals", kind: opDate, negated: true},
	{base: "DateLessThan", kind: opDate, cmp: cmpLess},
	{base: "DateLessThanEquals", kind: opDate, cmp: cmpLessEqual},
	{base: "DateGreaterThan", kind: opDate, cmp: cmpGreater},
	{base: "DateGreaterThanEquals", kind: opDate, cmp: cmpGreaterEqual},
	{base: "Bool", kind: opBool},
	{base: "BinaryEquals", kind: opBinary},
	{base: "IpAddress", kind: opIP},
	{base: "NotIpAddress", kind: opIP, negated: true},
	{base: "ArnEquals", kind: opARN},
	{base: "ArnLike", kind: opARN},
	{base: "ArnNotEquals", kind: opARN, negated: true},
	{base: "ArnNotLike", kind: opARN, negated: true},
	{base: "Null", kind: opNull},
}

var operatorsByName = func() map[string]operator {
	m := make(map[string]operator, len(operators))
	for _, o := range operators {
		m[strings.ToLower(o.base)] = o
	}
	return m
}()

// parseOperator parses an operator name, in any letter case.
func parseOperator(name string) (operator, bool) {
	s := strings.ToLower(name)
	set, prefix, suffix := noQualifier, "", ""
	if rest, ok := strings.CutPrefix(s, "forallvalues:"); ok {
		s, set, prefix = rest, forAllValues, "ForAllValues:"
	} else if rest, ok := strings.CutPrefix(s, "foranyvalue:"); ok {
		s, set, prefix = rest, forAnyValue, "ForAnyValue:"
	}
	ifExists := false
	if rest, ok := strings.CutSuffix(s, "ifexists"); ok {
		s, ifExists, suffix = rest, true, "IfExists"
	}
	o, ok := operatorsByName[s]
	if !ok || ifExists && o.kind == opNull {
		return operator{}, false
	}
	o.set, o.ifExists = set, ifExists
	o.name = prefix + o.base + suffix
	return o, true
}

// variables reports whether the operator's values may hold policy variables:
// only strings, ARNs and booleans may.
func (o operator) variables() bool {
	switch o.kind {
	case opStringEquals, opStringEqualsIgnoreCase, opStringLike, opARN, opBool:
		return true
	}
	return false
}
