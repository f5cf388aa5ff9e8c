package logpattern

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxLength is how many characters a filter pattern may have.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutMetricFilter.html
const MaxLength = 1024

// maxDepth bounds parentheses inside parentheses.
const maxDepth = 64

// Pattern is a compiled filter pattern.
type Pattern struct {
	match expression
}

// Match says whether a log event matches: no JSON object never does.
func (p *Pattern) Match(event string) bool {
	var v any
	if json.Unmarshal([]byte(event), &v) != nil {
		return false
	}
	return p.MatchValue(v)
}

// MatchValue is Match for an event that was decoded.
func (p *Pattern) MatchValue(v any) bool {
	root, ok := v.(map[string]any)
	return ok && p.match(root)
}

// expression is a part of a pattern.
type expression func(root map[string]any) bool

// Compile reads a pattern. Errors name the place, counted in bytes from 1.
func Compile(pattern string) (*Pattern, error) {
	if n := utf8.RuneCountInString(pattern); n > MaxLength {
		return nil, fmt.Errorf("the filter pattern has %d characters, more than %d", n, MaxLength)
	}
	p := &parser{src: pattern}
	p.expect("{")
	match := p.or(0)
	p.expect("}")
	p.space()
	if p.err == nil && p.at < len(p.src) {
		p.fail("%q follows the pattern", p.src[p.at:])
	}
	if p.err != nil {
		return nil, p.err
	}
	return &Pattern{match: match}, nil
}

// parser reads a pattern from left to right. The first problem is kept, and
// everything after it is moot.
type parser struct {
	src string
	at  int
	err error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("filter pattern, at %d: %s", p.at+1, fmt.Sprintf(format, args...))
	}
}

func (p *parser) space() {
	for p.at < len(p.src) && strings.ContainsRune(" \t\r\n", rune(p.src[p.at])) {
		p.at++
	}
}

// take skips a token if it is next.
func (p *parser) take(token string) bool {
	p.space()
	if !strings.HasPrefix(p.src[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

func (p *parser) expect(token string) {
	if !p.take(token) {
		p.fail("want %q", token)
	}
}

func (p *parser) or(depth int) expression {
	left := p.and(depth)
	for p.err == nil && p.take("||") {
		a, b := left, p.and(depth)
		left = func(root map[string]any) bool { return a(root) || b(root) }
	}
	return left
}

func (p *parser) and(depth int) expression {
	left := p.term(depth)
	for p.err == nil && p.take("&&") {
		a, b := left, p.term(depth)
		left = func(root map[string]any) bool { return a(root) && b(root) }
	}
	return left
}

func (p *parser) term(depth int) expression {
	if depth > maxDepth {
		p.fail("too many parentheses")
		return nil
	}
	if p.take("(") {
		inner := p.or(depth + 1)
		p.expect(")")
		return inner
	}
	return p.comparison()
}

// word skips a keyword, which must end there.
func (p *parser) word(keyword string) bool {
	p.space()
	end := p.at + len(keyword)
	if end > len(p.src) || !strings.EqualFold(p.src[p.at:end], keyword) || end < len(p.src) && isWord(p.src[end]) {
		return false
	}
	p.at = end
	return true
}

func isWord(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

func (p *parser) comparison() expression {
	path := p.selector()
	switch {
	case p.err != nil:
		return nil
	case p.word("NOT"):
		if !p.word("EXISTS") {
			p.fail("want NOT EXISTS")
		}
		return func(root map[string]any) bool { _, ok := find(root, path); return !ok }
	case p.word("IS"):
		return p.state(path)
	}
	for _, operator := range []string{"!=", "<=", ">=", "=", "<", ">"} { // the longer ones first
		if p.take(operator) {
			return p.compare(path, operator)
		}
	}
	p.fail("want an operator: =, !=, <, <=, >, >=, IS or NOT EXISTS")
	return nil
}

// state is IS TRUE, IS FALSE or IS NULL.
func (p *parser) state(path []step) expression {
	for keyword, want := range map[string]any{"TRUE": true, "FALSE": false, "NULL": nil} {
		if p.word(keyword) {
			return func(root map[string]any) bool { v, ok := find(root, path); return ok && v == want }
		}
	}
	p.fail("want IS TRUE, IS FALSE or IS NULL")
	return nil
}

func (p *parser) compare(path []step, operator string) expression {
	text, quoted := p.value()
	if p.err != nil {
		return nil
	}
	number, err := strconv.ParseFloat(text, 64)
	numeric := err == nil && !quoted
	if operator == "=" || operator == "!=" {
		equal := func(v any) bool {
			switch v := v.(type) {
			case string:
				return matchText(text, v)
			case float64:
				return numeric && v == number
			case bool:
				return text == strconv.FormatBool(v)
			}
			return false
		}
		return func(root map[string]any) bool {
			v, ok := find(root, path)
			return ok && scalar(v) && equal(v) == (operator == "=")
		}
	}
	if !numeric {
		p.fail("%s compares numbers, not %q", operator, text)
		return nil
	}
	return func(root map[string]any) bool {
		v, _ := find(root, path)
		f, ok := v.(float64)
		if !ok {
			return false
		}
		switch operator {
		case "<":
			return f < number
		case "<=":
			return f <= number
		case ">":
			return f > number
		}
		return f >= number
	}
}

// scalar says whether a value is one that = and != look at.
func scalar(v any) bool {
	switch v.(type) {
	case string, float64, bool:
		return true
	}
	return false
}

// matchText compares a text with one that may have an asterisk at its ends.
func matchText(pattern, s string) bool {
	tail, before := strings.CutPrefix(pattern, "*")
	core, after := strings.CutSuffix(tail, "*")
	switch {
	case before && after:
		return strings.Contains(s, core)
	case before:
		return strings.HasSuffix(s, tail)
	case after:
		return strings.HasPrefix(s, core)
	}
	return s == pattern
}

// value reads what a property is compared with: a text in quotes, or a number or a word
// without.
func (p *parser) value() (text string, quoted bool) {
	p.space()
	if p.at < len(p.src) && p.src[p.at] == '"' {
		return p.quoted(), true
	}
	start := p.at
	for p.at < len(p.src) && (isWord(p.src[p.at]) || strings.IndexByte("*.-+:/", p.src[p.at]) >= 0) {
		p.at++
	}
	if p.at == start {
		p.fail("want a value: a text in double quotes, or a number")
	}
	return p.src[start:p.at], false
}

// quoted reads a text in double quotes.
func (p *parser) quoted() string {
	p.at++
	var b strings.Builder
	for ; p.at < len(p.src); p.at++ {
		switch ch := p.src[p.at]; {
		case ch == '"':
			p.at++
			return b.String()
		case ch == '\\' && p.at+1 < len(p.src):
			p.at++
			b.WriteByte(p.src[p.at])
		default:
			b.WriteByte(ch)
		}
	}
	p.fail("the text does not end")
	return ""
}

// step is a step of a selector: a key, or an index where key is "".
type step struct {
	key   string
	index int
}

// selector reads $.a.b[0]["c d"].
func (p *parser) selector() []step {
	p.expect("$")
	var path []step
	for p.err == nil && p.at < len(p.src) {
		switch p.src[p.at] {
		case '.':
			p.at++
			start := p.at
			for p.at < len(p.src) && (isWord(p.src[p.at]) || p.src[p.at] == '-') {
				p.at++
			}
			if p.at == start {
				p.fail("want a property's name")
			}
			path = append(path, step{key: p.src[start:p.at]})
		case '[':
			p.at++
			path = append(path, p.bracket())
		default:
			if len(path) == 0 {
				p.fail("want a property: $.name")
			}
			return path
		}
	}
	if len(path) == 0 {
		p.fail("want a property: $.name")
	}
	return path
}

func (p *parser) bracket() step {
	text, quoted := p.value()
	if p.err != nil {
		return step{}
	}
	p.expect("]")
	if quoted {
		return step{key: text}
	}
	i, err := strconv.Atoi(text)
	if err != nil || i < 0 {
		p.fail("want an index or a name in quotes, not %q", text)
	}
	return step{index: i}
}

// find follows a selector.
func find(root map[string]any, path []step) (any, bool) {
	var v any = root
	for _, s := range path {
		switch at := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = at[s.key]; !ok || s.key == "" {
				return nil, false
			}
		case []any:
			if s.key != "" || s.index >= len(at) {
				return nil, false
			}
			v = at[s.index]
		default:
			return nil, false
		}
	}
	return v, true
}

// Select returns the text of a property, as a metric filter's dimension has it; false
// where there is none.
func Select(selector string, v any) (string, bool) {
	p := &parser{src: selector}
	path := p.selector()
	root, ok := v.(map[string]any)
	if p.err != nil || p.at < len(p.src) || !ok {
		return "", false
	}
	found, ok := find(root, path)
	if !ok || !scalar(found) {
		return "", false
	}
	return fmt.Sprint(found), true
}
