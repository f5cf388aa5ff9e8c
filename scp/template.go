package scp

import (
	"strings"
	"unicode/utf8"
)

// A template is a policy string with its policy variables found.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
type template struct {
	text  string // the pattern when there are no variables
	parts []templatePart
}

type templatePart struct {
	lit string // a piece of pattern, if key is nil
	key *keyRef
	def string // the value of ${key, 'def'} for a request without the key
	has bool   // a default was given, perhaps an empty one
}

// templateMode says what the characters of the policy string mean.
type templateMode struct {
	wild bool // * and ? are wildcards
	vars bool // ${ } is a variable; only since version 2012-10-17
}

func (m templateMode) literal(s string) string {
	if m.wild {
		return wildcards(s)
	}
	return s
}

func parseTemplate(s string, m templateMode) template {
	if !m.vars || !strings.Contains(s, "${") {
		return template{text: m.literal(s)}
	}
	var t template
	var lit strings.Builder
	variables := false
	for s != "" {
		i := strings.Index(s, "${")
		end := -1
		if i >= 0 {
			end = variableEnd(s[i:])
		}
		if end < 0 {
			lit.WriteString(m.literal(s))
			break
		}
		lit.WriteString(m.literal(s[:i]))
		body := s[i+2 : i+end]
		s = s[i+end+1:]
		switch body {
		case "*", "?", "$":
			lit.WriteString(body)
			continue
		}
		variables = true
		if lit.Len() > 0 {
			t.parts = append(t.parts, templatePart{lit: lit.String()})
			lit.Reset()
		}
		t.parts = append(t.parts, parseVariable(body))
	}
	if !variables {
		return template{text: lit.String()}
	}
	if lit.Len() > 0 {
		t.parts = append(t.parts, templatePart{lit: lit.String()})
	}
	return t
}

// variableEnd returns the index of the } that closes the ${ at the start of s,
// or -1. A brace inside a quoted default does not close it.
func variableEnd(s string) int {
	quoted := false
	for i := 2; i < len(s); i++ {
		switch s[i] {
		case '\'':
			quoted = !quoted
		case '}':
			if !quoted {
				return i
			}
		}
	}
	return strings.IndexByte(s, '}')
}

func parseVariable(body string) templatePart {
	name, def, has := strings.Cut(body, ",")
	p := templatePart{key: newKeyRef(strings.TrimSpace(name))}
	if has {
		def = strings.TrimSpace(def)
		if len(def) >= 2 && def[0] == '\'' && def[len(def)-1] == '\'' {
			p.def, p.has = def[1:len(def)-1], true
		}
	}
	return p
}

// expansion says what became of the variables of a template.
type expansion uint8

const (
	expanded  expansion = iota
	valueless           // a variable has no value: the string matches nothing
	uncertain           // a variable's value is not known
)

// expand appends the pattern for one request to buf. Where a variable is not
// known its place is taken by a *, so that the pattern matches at least what
// any value would; open is the length of the pattern before the first of them.
// A substituted value is literal: a * inside a tag is a character, or whoever
// sets tags could widen the policy.
func (t *template) expand(buf []byte, r *Request) (out []byte, e expansion, open int) {
	for i := range t.parts {
		p := &t.parts[i]
		if p.key == nil {
			buf = append(buf, p.lit...)
			continue
		}
		values, known := p.key.lookup(r)
		switch {
		case known == keyUnknown:
			if e != uncertain {
				open = len(buf)
			}
			e = uncertain
			buf = append(buf, starByte)
			continue
		case known == keyPresent && len(values) == 1 && utf8.ValidString(values[0]):
			buf = append(buf, values[0]...)
		case known == keyAbsent && p.has:
			buf = append(buf, p.def...)
		default:
			// No value; a key with several is not allowed in a variable.
			return buf, valueless, 0
		}
	}
	return buf, e, open
}

// variables calls f for the key of every variable.
func (t *template) variables(f func(*keyRef)) {
	for i := range t.parts {
		if t.parts[i].key != nil {
			f(t.parts[i].key)
		}
	}
}
