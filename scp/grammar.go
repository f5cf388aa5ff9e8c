package scp

import (
	"fmt"
	"strings"
)

// builder turns JSON into statements and notes every breach of the grammar.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
type builder struct {
	doc      *Document
	problems []offsetProblem
}

func (b *builder) fail(off int, rule, format string, args ...any) {
	if len(b.problems) < maxProblems {
		b.problems = append(b.problems, offsetProblem{off: off, msg: fmt.Sprintf(format, args...), rule: rule})
	}
}

var (
	documentElements  = []string{"Version", "Id", "Statement"}
	statementElements = []string{"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition", "Principal", "NotPrincipal"}
)

func (b *builder) unknownElement(m member, where string, known []string) {
	for _, k := range known {
		if strings.EqualFold(k, m.key) {
			b.fail(m.keyOff, ruleElement, "unknown element %s in %s; element names have fixed letter case: %s", show(m.key), where, k)
			return
		}
	}
	hint := ""
	if n := nearest(m.key, known); n != "" {
		hint = "; did you mean " + n + "?"
	}
	b.fail(m.keyOff, ruleElement, "unknown element %s in %s%s", show(m.key), where, hint)
}

func (b *builder) document(root *node) {
	found := false
	for _, m := range root.members {
		switch m.key {
		case "Version":
			b.doc.version = text{m.value.text, m.value.off}
			b.doc.hasVersion = true
			if m.value.kind != nodeString || m.value.text != Version2012 && m.value.text != Version2008 {
				b.fail(m.value.off, ruleVersion, "Version must be %q or %q; it names the policy language, not your policy", Version2012, Version2008)
			}
		case "Id":
			b.doc.id = b.string(m, "Id")
		case "Statement":
			found = true
			b.statements(m.value)
		default:
			b.unknownElement(m, "the policy", documentElements)
		}
	}
	if !found {
		b.fail(root.off, ruleMissing, "Statement is missing")
	}
}

func (b *builder) string(m member, what string) string {
	if m.value.kind != nodeString {
		b.fail(m.value.off, ruleElement, "%s must be a string, this is %s", what, m.value.kind)
	}
	return m.value.text
}

func (b *builder) statements(n *node) {
	list := []*node{n}
	if n.kind == nodeArray {
		list = n.elems
	}
	for i, e := range list {
		if e.kind != nodeObject {
			b.fail(e.off, ruleElement, "a statement is an object, this is %s", e.kind)
			continue
		}
		b.statement(e, i)
	}
}

func (b *builder) statement(n *node, index int) {
	s := &statement{index: index, off: n.off, effectOff: -1, actionOff: -1, resourceOff: -1, conditionOff: -1}
	for _, m := range n.members {
		switch m.key {
		case "Sid":
			s.sid, s.hasSid = text{b.string(m, "Sid"), m.value.off}, true
		case "Effect":
			s.effectOff = m.value.off
			s.effect = Effect(m.value.text)
			if m.value.kind != nodeString || s.effect != Allow && s.effect != Deny {
				b.fail(m.value.off, ruleElement, `Effect must be "Allow" or "Deny", in this letter case`)
			}
		case "Action", "NotAction":
			b.once(&s.actionOff, m, "Action", "NotAction")
			s.actions, s.notAction = b.strings(m), m.key == "NotAction"
			b.actions(m.key, s.actions)
		case "Resource", "NotResource":
			b.once(&s.resourceOff, m, "Resource", "NotResource")
			s.resources, s.notResource = b.strings(m), m.key == "NotResource"
		case "Condition":
			s.conditionOff = m.keyOff
			s.conditions = b.conditions(m.value)
		case "Principal", "NotPrincipal":
			b.fail(m.keyOff, rulePrincipal, "%s is not allowed in a service control policy; use a condition on aws:PrincipalArn", m.key)
		default:
			b.unknownElement(m, "the statement", statementElements)
		}
	}
	if s.effectOff < 0 {
		b.fail(n.off, ruleMissing, "the statement has no Effect")
	}
	if s.actionOff < 0 {
		b.fail(n.off, ruleMissing, "the statement has neither Action nor NotAction")
	}
	if s.resourceOff < 0 {
		b.fail(n.off, ruleMissing, `the statement has neither Resource nor NotResource; write "Resource": "*" to mean all`)
	}
	b.doc.statements = append(b.doc.statements, s)
}

// once refuses both an element and its negation in one statement.
func (b *builder) once(off *int, m member, element, negation string) {
	if *off >= 0 {
		b.fail(m.keyOff, ruleElement, "a statement takes one of %s and %s, not both", element, negation)
	}
	*off = m.keyOff
}

// strings reads a string or a list of strings.
func (b *builder) strings(m member) []text {
	list := []*node{m.value}
	if m.value.kind == nodeArray {
		list = m.value.elems
	}
	out := make([]text, 0, len(list))
	for _, e := range list {
		if e.kind != nodeString {
			b.fail(e.off, ruleElement, "%s takes strings, this is %s", m.key, e.kind)
			continue
		}
		out = append(out, text{e.text, e.off})
	}
	return out
}

// actions checks the form service:name. Wildcards may stand anywhere in it.
func (b *builder) actions(element string, list []text) {
	for _, a := range list {
		if a.value != "" && strings.Trim(a.value, "*") == "" {
			continue
		}
		service, name, ok := strings.Cut(a.value, ":")
		if !ok || service == "" || name == "" || !actionCharacters(service, "-_.") || !actionCharacters(name, "-_.") {
			b.fail(a.off, ruleAction, `%s %s is not of the form service:name, such as "s3:GetObject" or "s3:*"`, element, show(a.value))
		}
	}
}

func actionCharacters(s, extra string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '*' && c != '?' && !strings.ContainsRune(extra, c) {
			return false
		}
	}
	return true
}

func (b *builder) conditions(n *node) []condition {
	if n.kind != nodeObject {
		b.fail(n.off, ruleElement, "Condition must be an object, this is %s", n.kind)
		return nil
	}
	var out []condition
	for _, m := range n.members {
		op, ok := parseOperator(m.key)
		if !ok {
			b.unknownOperator(m)
		}
		if m.value.kind != nodeObject {
			b.fail(m.value.off, ruleElement, "the operator %s takes an object of condition keys, this is %s", show(m.key), m.value.kind)
			continue
		}
		for _, k := range m.value.members {
			if k.key == "" || !strings.Contains(k.key, ":") {
				b.fail(k.keyOff, ruleKeyFormat, "%s is not a condition key; keys have the form aws:Name or service:Name", show(k.key))
			}
			out = append(out, condition{
				op: op, key: newKeyRef(k.key), written: b.conditionValues(k),
				opText: text{m.key, m.keyOff}, keyText: text{k.key, k.keyOff},
			})
		}
	}
	return out
}

func (b *builder) unknownOperator(m member) {
	if s := strings.ToLower(m.key); strings.HasSuffix(s, "nullifexists") {
		b.fail(m.keyOff, ruleOperator, "Null cannot take IfExists; Null asks whether the key exists")
		return
	}
	names := make([]string, len(operators))
	for i, o := range operators {
		names[i] = o.base
	}
	base := m.key
	if i := strings.IndexByte(base, ':'); i >= 0 {
		base = base[i+1:]
	}
	base = strings.TrimSuffix(base, "IfExists")
	hint := ""
	if n := nearest(base, names); n != "" {
		hint = "; did you mean " + n + "?"
	}
	b.fail(m.keyOff, ruleOperator, "unknown condition operator %s%s", show(m.key), hint)
}

// conditionValues reads a value or a list of values. Numbers and booleans may
// be written without quotation marks and are compared as written.
func (b *builder) conditionValues(m member) []text {
	list := []*node{m.value}
	if m.value.kind == nodeArray {
		list = m.value.elems
	}
	out := make([]text, 0, len(list))
	for _, e := range list {
		switch e.kind {
		case nodeString, nodeNumber, nodeBool:
			out = append(out, text{e.text, e.off})
		default:
			b.fail(e.off, ruleElement, "the condition key %s takes strings, this is %s", show(m.key), e.kind)
		}
	}
	return out
}
