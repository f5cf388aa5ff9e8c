package scp

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding/json cannot be used for policies: it keeps the last of two equal
// keys without a word, so of two Condition blocks one is lost, and it keeps no
// positions. This decoder keeps both, and where the mistake is a common one (a
// comment, a trailing comma, a raw line break in a string) it reports it and
// carries on, so that one run shows every mistake.

const (
	// maxDepth is far above what a policy can need (Statement, Condition,
	// operator, key, values make six) and far below what would hurt.
	maxDepth = 32
	// maxSource bounds the work on one document; the largest SCP is 10,240
	// characters and the largest policy of any kind 20,480.
	maxSource = 1 << 20
	// maxProblems bounds the report on a file that is not a policy at all.
	maxProblems = 100
)

type nodeKind uint8

const (
	nodeNull nodeKind = iota
	nodeBool
	nodeNumber
	nodeString
	nodeArray
	nodeObject
)

func (k nodeKind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}[k]
}

// node is a JSON value with its place. text holds a string's value, or the
// literal of a number or boolean as it was written.
type node struct {
	kind    nodeKind
	off     int
	text    string
	elems   []*node
	members []member
}

type member struct {
	key    string
	keyOff int
	value  *node
}

type decoder struct {
	src      []byte
	pos      int
	line     int // lines before src in its file, for messages
	depth    int
	problems []offsetProblem
	stopped  bool
}

type offsetProblem struct {
	off       int
	msg, rule string
}

// decodeJSON decodes one JSON document. The node is nil only when nothing
// could be read.
func decodeJSON(src []byte) (*node, []offsetProblem) {
	d := &decoder{src: src}
	if len(src) > maxSource {
		d.fail(0, ruleSyntax, "the document has more than %d bytes, far more than any policy may have", maxSource)
		return nil, d.problems
	}
	if bytes.HasPrefix(src, []byte("\xef\xbb\xbf")) {
		d.fail(0, ruleSyntax, "the file starts with a byte order mark, which AWS refuses; save it as UTF-8 without BOM")
		d.pos = 3
	}
	d.space()
	if d.pos == len(d.src) {
		d.fail(d.pos, ruleSyntax, "the document is empty")
		return nil, d.problems
	}
	n := d.value()
	d.space()
	if !d.stopped && d.pos < len(d.src) {
		d.fail(d.pos, ruleSyntax, "unexpected %s after the end of the document", d.here())
	}
	return n, d.problems
}

func (d *decoder) fail(off int, rule, format string, args ...any) {
	if len(d.problems) >= maxProblems {
		d.stopped = true
		return
	}
	d.problems = append(d.problems, offsetProblem{off: off, msg: fmt.Sprintf(format, args...), rule: rule})
}

// stop reports a mistake after which nothing can be made of the rest.
func (d *decoder) stop(off int, format string, args ...any) {
	if !d.stopped {
		d.fail(off, ruleSyntax, format, args...)
	}
	d.stopped = true
	d.pos = len(d.src)
}

func (d *decoder) here() string {
	if d.pos >= len(d.src) {
		return "end of file"
	}
	r, _ := utf8.DecodeRune(d.src[d.pos:])
	return strconv.QuoteRune(r)
}

func (d *decoder) peek() byte {
	if d.pos < len(d.src) {
		return d.src[d.pos]
	}
	return 0
}

// space skips white space, and comments after reporting them.
func (d *decoder) space() {
	for d.pos < len(d.src) {
		switch c := d.src[d.pos]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			d.pos++
		case c == '#' || c == '/' && bytes.HasPrefix(d.src[d.pos:], []byte("//")):
			d.fail(d.pos, ruleSyntax, "comments are not JSON; AWS refuses them")
			if i := bytes.IndexByte(d.src[d.pos:], '\n'); i >= 0 {
				d.pos += i
			} else {
				d.pos = len(d.src)
			}
		case c == '/' && bytes.HasPrefix(d.src[d.pos:], []byte("/*")):
			d.fail(d.pos, ruleSyntax, "comments are not JSON; AWS refuses them")
			if i := bytes.Index(d.src[d.pos+2:], []byte("*/")); i >= 0 {
				d.pos += i + 4
			} else {
				d.pos = len(d.src)
			}
		default:
			return
		}
	}
}

func (d *decoder) value() *node {
	if d.depth >= maxDepth {
		d.stop(d.pos, "nested more than %d levels deep", maxDepth)
		return &node{off: d.pos}
	}
	d.depth++
	defer func() { d.depth-- }()
	n := &node{off: d.pos}
	switch c := d.peek(); {
	case c == '{':
		n.kind = nodeObject
		d.object(n)
	case c == '[':
		n.kind = nodeArray
		d.array(n)
	case c == '"':
		n.kind = nodeString
		n.text = d.str()
	case c == '-' || c >= '0' && c <= '9':
		n.kind = nodeNumber
		n.text = d.number()
	case c == '\'':
		d.stop(d.pos, "strings take double quotes, not single quotes")
	default:
		d.word(n)
	}
	return n
}

func (d *decoder) word(n *node) {
	start := d.pos
	for d.pos < len(d.src) && (d.src[d.pos] >= 'a' && d.src[d.pos] <= 'z' || d.src[d.pos] >= 'A' && d.src[d.pos] <= 'Z') {
		d.pos++
	}
	switch w := string(d.src[start:d.pos]); w {
	case "true", "false":
		n.kind, n.text = nodeBool, w
	case "null":
		n.kind = nodeNull
	case "":
		d.stop(start, "expected a value, found %s", d.here())
	default:
		if len(w) > 40 {
			w = w[:40] + "..."
		}
		d.fail(start, ruleSyntax, "%s is not a JSON value; strings need double quotes", w)
	}
}

// number scans a JSON number and returns it as written: a policy may hold a
// bare number where AWS expects a string, and its digits must not be changed.
func (d *decoder) number() string {
	start := d.pos
	digits := func() bool {
		from := d.pos
		for d.pos < len(d.src) && d.src[d.pos] >= '0' && d.src[d.pos] <= '9' {
			d.pos++
		}
		return d.pos > from
	}
	if d.peek() == '-' {
		d.pos++
	}
	intStart := d.pos
	ok := digits() && (d.src[intStart] != '0' || d.pos == intStart+1)
	if d.peek() == '.' {
		d.pos++
		ok = digits() && ok
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		d.pos++
		if c := d.peek(); c == '+' || c == '-' {
			d.pos++
		}
		ok = digits() && ok
	}
	if !ok {
		d.fail(start, ruleSyntax, "%s is not a JSON number", d.src[start:d.pos])
	}
	return string(d.src[start:d.pos])
}

func (d *decoder) array(n *node) {
	d.pos++
	for {
		d.space()
		if d.pos >= len(d.src) {
			d.stop(n.off, "this list is never closed with ]")
			return
		}
		if d.peek() == ']' {
			d.pos++
			return
		}
		n.elems = append(n.elems, d.value())
		if d.next(']', n.off, "list") {
			return
		}
	}
}

func (d *decoder) object(n *node) {
	d.pos++
	seen := map[string]int{}
	for {
		d.space()
		if d.pos >= len(d.src) {
			d.stop(n.off, "this object is never closed with }")
			return
		}
		if d.peek() == '}' {
			d.pos++
			return
		}
		if d.peek() != '"' {
			d.stop(d.pos, "expected a key in double quotes, found %s", d.here())
			return
		}
		m := member{keyOff: d.pos}
		m.key = d.str()
		d.space()
		if d.peek() != ':' {
			d.stop(d.pos, "expected ':' after the key %s, found %s", show(m.key), d.here())
			return
		}
		d.pos++
		d.space()
		m.value = d.value()
		if first, dup := seen[m.key]; dup && !d.stopped {
			d.fail(m.keyOff, ruleDuplicateKey, "the key %s appears twice in the same object (first on line %d); only one of them would count",
				show(m.key), bytes.Count(d.src[:first], []byte("\n"))+1+d.line)
		} else {
			seen[m.key] = m.keyOff
		}
		n.members = append(n.members, m)
		if d.next('}', n.off, "object") {
			return
		}
	}
}

// next moves past the comma between two elements, or past the closing bracket,
// and reports whether the list or object has ended.
func (d *decoder) next(closing byte, open int, what string) (ended bool) {
	d.space()
	if d.stopped {
		return true
	}
	switch c := d.peek(); {
	case d.pos >= len(d.src):
		d.stop(open, "this %s is never closed with %c", what, closing)
		return true
	case c == closing:
		d.pos++
		return true
	case c == ',':
		comma := d.pos
		d.pos++
		d.space()
		if d.peek() == closing {
			d.fail(comma, ruleSyntax, "a comma before %c is not JSON", closing)
			d.pos++
			return true
		}
		return false
	case c == '"' || c == '{' || c == '[':
		d.fail(d.pos, ruleSyntax, "a comma is missing before this %s", map[byte]string{'"': "string", '{': "object", '[': "list"}[c])
		return false
	default:
		d.stop(d.pos, "expected ',' or '%c', found %s", closing, d.here())
		return true
	}
}

func (d *decoder) str() string {
	start := d.pos
	d.pos++
	var b strings.Builder
	for d.pos < len(d.src) {
		c := d.src[d.pos]
		switch {
		case c == '"':
			d.pos++
			return b.String()
		case c == '\\':
			d.escape(&b)
		case c < 0x20:
			d.fail(d.pos, ruleSyntax, "a string may not hold the raw character %#02x; write it as an escape", c)
			b.WriteByte(c)
			d.pos++
		case c < utf8.RuneSelf:
			b.WriteByte(c)
			d.pos++
		default:
			r, n := utf8.DecodeRune(d.src[d.pos:])
			if r == utf8.RuneError && n == 1 {
				d.fail(d.pos, ruleSyntax, "the byte %#02x is not UTF-8", c)
			}
			b.WriteRune(r)
			d.pos += n
		}
		if d.stopped {
			break
		}
	}
	d.stop(start, "this string is never closed with a double quote")
	return b.String()
}

func (d *decoder) escape(b *strings.Builder) {
	at := d.pos
	d.pos++
	c := d.peek()
	d.pos++
	switch c {
	case '"', '\\', '/':
		b.WriteByte(c)
	case 'b':
		b.WriteByte('\b')
	case 'f':
		b.WriteByte('\f')
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case 'u':
		r := d.hex4()
		bad := r < 0
		if utf16.IsSurrogate(r) {
			low := rune(-1)
			if bytes.HasPrefix(d.src[min(d.pos, len(d.src)):], []byte(`\u`)) {
				d.pos += 2
				low = d.hex4()
			}
			r = utf16.DecodeRune(r, low)
			bad = r == utf8.RuneError
		}
		if bad {
			d.fail(at, ruleSyntax, `this \u escape is not a character`)
			r = utf8.RuneError
		}
		b.WriteRune(r)
	default:
		d.pos = at + 1
		d.fail(at, ruleSyntax, "a backslash must be written as two")
		b.WriteByte('\\')
	}
}

// hex4 reads four hexadecimal digits; -1 if they are not there.
func (d *decoder) hex4() rune {
	if d.pos+4 > len(d.src) {
		d.pos = len(d.src)
		return -1
	}
	v, err := strconv.ParseUint(string(d.src[d.pos:d.pos+4]), 16, 32)
	if err != nil {
		return -1
	}
	d.pos += 4
	return rune(v)
}

// show quotes a string from a document for a message: control characters and
// bidirectional marks are escaped, and long values are cut.
func show(s string) string {
	const most = 80
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "..."
	}
	return strconv.Quote(s)
}
