package scp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	yamltoken "github.com/goccy/go-yaml/token"
)

// maxCaseFile bounds a case file; a thousand cases take about three megabytes.
const maxCaseFile = 256 << 20

// LoadCases reads a file of test cases: JSON Lines, JSON (a list, a single
// case, or an object with the list under "cases") or YAML (likewise, also as
// several documents). The error lists every problem with its place.
func LoadCases(path string) ([]Case, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return ReadCases(path, f, filepath.Dir(path))
}

// ReadCases is LoadCases for a file that is open already, or has no name of its
// own. Policy files named in the cases are looked for from dir.
func ReadCases(name string, r io.Reader, dir string) ([]Case, error) {
	src, err := readAtMost(r, maxCaseFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return parseCases(name, src, func(file string) ([]byte, error) {
		path := filepath.FromSlash(file)
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // only read
		src, err := readAtMost(f, maxSource)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return src, nil
	})
}

// readAtMost reads what need not have an end, such as a device.
func readAtMost(r io.Reader, most int64) ([]byte, error) {
	src, err := io.ReadAll(io.LimitReader(r, most+1))
	var bad *fs.PathError
	switch {
	case errors.As(err, &bad):
		return nil, bad.Err // the caller names the file
	case err != nil:
		return nil, err
	case int64(len(src)) > most:
		return nil, fmt.Errorf("more than %d bytes", most)
	}
	return src, nil
}

// parseCases is LoadCases on bytes; readFile reads a policy file named in a
// case, relative to the case file.
func parseCases(path string, src []byte, readFile func(string) ([]byte, error)) ([]Case, error) {
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")) // some editors begin every file with it
	l := &caseLoader{path: path, src: newSource(src), readFile: readFile, policies: map[string]*loadedPolicy{}}
	if !utf8.Valid(src) {
		l.fail(invalidUTF8(src), "this is not UTF-8")
		return nil, l.err()
	}
	var roots []*node
	switch format(path, src) {
	case "yaml":
		roots = l.yaml(src)
	case "jsonl":
		roots = l.lines(src)
	default:
		n, problems := decodeLarge(src, 0)
		l.add(problems)
		roots = []*node{n}
	}
	var cases []Case
	for _, n := range roots {
		for _, c := range caseNodes(n) {
			cases = append(cases, l.caseOf(c))
		}
	}
	if len(cases) == 0 && len(l.problems) == 0 {
		l.fail(0, "the file holds no cases")
	}
	l.duplicates(cases)
	if err := l.err(); err != nil {
		return nil, err
	}
	return cases, nil
}

// err is everything that is wrong with the file, or nil.
func (l *caseLoader) err() error {
	if len(l.problems) == 0 {
		return nil
	}
	d := Document{name: l.path, source: l.src}
	return d.parseError(l.problems)
}

// invalidUTF8 is the offset of the first byte that is not UTF-8.
func invalidUTF8(src []byte) int {
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(src)
}

// decodeLarge decodes JSON that may be larger than a policy and that begins
// after the given number of lines.
func decodeLarge(src []byte, line int) (*node, []offsetProblem) {
	d := &decoder{src: src, line: line}
	d.space()
	n := d.value()
	d.space()
	if !d.stopped && d.pos < len(d.src) {
		d.fail(d.pos, ruleSyntax, "unexpected %s after the end of the document", d.here())
	}
	return n, d.problems
}

// format goes by the file name, and for .json and unknown names by content:
// several objects one after another are JSON Lines.
func format(path string, src []byte) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml":
		return "yaml"
	case ".jsonl", ".ndjson":
		return "jsonl"
	}
	trimmed := bytes.TrimSpace(src)
	switch {
	case bytes.HasPrefix(trimmed, []byte("[")):
		return "json"
	case !bytes.HasPrefix(trimmed, []byte("{")):
		return "yaml"
	}
	first, rest, _ := bytes.Cut(trimmed, []byte("\n"))
	if json.Valid(first) && len(bytes.TrimSpace(rest)) > 0 {
		return "jsonl"
	}
	return "json"
}

// caseNodes finds the cases in a document.
func caseNodes(n *node) []*node {
	switch {
	case n == nil:
		return nil
	case n.kind == nodeArray:
		return n.elems
	case n.kind == nodeObject:
		for _, m := range n.members {
			if m.key == "cases" && m.value.kind == nodeArray {
				return m.value.elems
			}
		}
	}
	return []*node{n}
}

type caseLoader struct {
	path     string
	src      *source
	readFile func(string) ([]byte, error)
	problems []offsetProblem
	policies map[string]*loadedPolicy // by file name
}

type loadedPolicy struct {
	doc *Document
	err error
}

func (l *caseLoader) fail(off int, format string, args ...any) {
	l.add([]offsetProblem{{off: off, msg: fmt.Sprintf(format, args...)}})
}

func (l *caseLoader) add(problems []offsetProblem) {
	room := max(maxProblems-len(l.problems), 0)
	l.problems = append(l.problems, problems[:min(room, len(problems))]...)
}

// lines decodes JSON Lines. Blank lines are allowed.
func (l *caseLoader) lines(src []byte) []*node {
	var out []*node
	for i, start := range l.src.lines {
		end := len(src)
		if i+1 < len(l.src.lines) {
			end = l.src.lines[i+1]
		}
		line := src[start:end]
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		n, problems := decodeLarge(line, i)
		for j := range problems {
			problems[j].off += start
		}
		l.add(problems)
		if len(problems) == 0 {
			n.shift(start)
			out = append(out, n)
		}
	}
	return out
}

// shift moves a tree by the offset of the line it was decoded from.
func (n *node) shift(by int) {
	n.off += by
	for _, e := range n.elems {
		e.shift(by)
	}
	for i := range n.members {
		n.members[i].keyOff += by
		n.members[i].value.shift(by)
	}
}

// yaml decodes YAML into the same tree as JSON. Scalars keep the text they
// were written with, so an account id is not turned into a number.
func (l *caseLoader) yaml(src []byte) []*node {
	tokens := lexer.Tokenize(string(src))
	if t := tooDeep(tokens); t != nil {
		l.fail(l.offset(t.Position.Line, t.Position.Column), "nested too deeply")
		return nil
	}
	if t := looseTag(tokens); t != nil {
		l.fail(l.offset(t.Position.Line, t.Position.Column), "a tag such as %s stands before its value, on the same line", shortTag(t.Value))
		return nil
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		at, msg := l.yamlError(err)
		l.fail(at, "%s", msg)
		return nil
	}
	y := yamlReader{loader: l, anchors: map[string]*anchor{}}
	var out []*node
	for _, d := range file.Docs {
		if d.Body != nil {
			out = append(out, y.node(d.Body, 0))
		}
	}
	return out
}

// looseTag returns a tag that has no value on its line. It is asked before parsing:
// for each of them the parser goes through all that is left of the file, so that a
// hundred kilobytes would keep it busy for minutes. A case needs no tags at all.
func looseTag(tokens yamltoken.Tokens) *yamltoken.Token {
	for i, t := range tokens {
		if t.Type != yamltoken.TagType {
			continue
		}
		if i+1 == len(tokens) {
			return t
		}
		switch next := tokens[i+1]; {
		case next.Type == yamltoken.TagType, next.Type == yamltoken.CommentType, next.Position.Line != t.Position.Line:
			return t
		}
	}
	return nil
}

// shortTag is a tag as a message can quote it.
func shortTag(tag string) string {
	const most = 40
	if len(tag) > most {
		return strings.ToValidUTF8(tag[:most], "") + "..."
	}
	return tag
}

func (l *caseLoader) yamlError(err error) (int, string) {
	msg := err.Error()
	if i := strings.IndexByte(msg, '\n'); i >= 0 {
		msg = msg[:i]
	}
	// The library begins its messages with [line:column].
	if place, rest, ok := strings.Cut(strings.TrimPrefix(msg, "["), "] "); ok {
		line, column, _ := strings.Cut(place, ":")
		n, err1 := strconv.Atoi(line)
		c, err2 := strconv.Atoi(column)
		if err1 == nil && err2 == nil {
			return l.offset(n, c), rest
		}
	}
	return 0, msg
}

// offset is the inverse of position, as near as line and column allow.
func (l *caseLoader) offset(line, column int) int {
	if line < 1 || line > len(l.src.lines) {
		return 0
	}
	return min(l.src.lines[line-1]+max(column-1, 0), len(l.src.text))
}

// tooDeep returns the token at which a document is nested deeper than a case can
// be. It is asked before parsing, because the parser takes memory by the square of
// the depth.
func tooDeep(tokens yamltoken.Tokens) *yamltoken.Token {
	const most = 2 * maxDepth // the case, and a policy in it
	var blocks []int          // columns at which the open blocks begin
	flow := 0
	for _, t := range tokens {
		begins := 0
		switch t.Type {
		case yamltoken.MappingStartType, yamltoken.SequenceStartType:
			flow++
		case yamltoken.MappingEndType, yamltoken.SequenceEndType:
			flow--
		case yamltoken.SequenceEntryType, yamltoken.MappingKeyType:
			begins = t.Position.Column
		case yamltoken.MappingValueType:
			if t.Prev != nil {
				begins = t.Prev.Position.Column
			}
		}
		if begins > 0 && flow == 0 {
			for len(blocks) > 0 && blocks[len(blocks)-1] > begins {
				blocks = blocks[:len(blocks)-1]
			}
			if len(blocks) == 0 || blocks[len(blocks)-1] < begins {
				blocks = append(blocks, begins)
			}
		}
		if len(blocks)+flow > most {
			return t
		}
	}
	return nil
}

// maxExpanded bounds a YAML file once its aliases are written out, in pieces of
// text and values: a few lines of aliases of aliases can stand for a terabyte.
const maxExpanded = 20_000_000

type yamlReader struct {
	loader   *caseLoader
	anchors  map[string]*anchor
	expanded int
}

// anchor is a value that aliases stand for, and how much it is written out.
type anchor struct {
	node *node
	size int
}

func (y *yamlReader) at(t *yamltoken.Token) int {
	if t == nil || t.Position == nil {
		return 0
	}
	return y.loader.offset(t.Position.Line, t.Position.Column)
}

func (y *yamlReader) node(n ast.Node, depth int) *node {
	out := &node{off: y.at(n.GetToken())}
	if depth > maxDepth {
		y.loader.fail(out.off, "nested too deeply")
		return out
	}
	before := y.expanded
	if !y.grow(1, out.off) {
		return out
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		out.kind = nodeObject
		y.members(out, n.Values, depth)
		if len(n.Values) > 0 {
			out.off = y.at(n.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		out.kind = nodeObject
		y.members(out, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		out.kind = nodeArray
		for _, v := range n.Values {
			out.elems = append(out.elems, y.node(v, depth+1))
		}
	case *ast.NullNode:
	case *ast.BoolNode:
		out.kind, out.text = nodeBool, strings.ToLower(n.GetToken().Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = nodeNumber, n.GetToken().Value
	case *ast.StringNode:
		out.kind, out.text = nodeString, n.Value
	case *ast.LiteralNode:
		out.kind, out.text = nodeString, n.Value.Value
	case *ast.AnchorNode:
		out = y.node(n.Value, depth+1)
		y.anchors[n.Name.GetToken().Value] = &anchor{node: out, size: y.expanded - before}
	case *ast.AliasNode:
		if a := y.anchors[n.Value.GetToken().Value]; a != nil {
			if !y.grow(a.size, out.off) {
				return out
			}
			return a.node
		}
		y.loader.fail(out.off, "unknown alias %s", show(n.Value.GetToken().Value))
	case *ast.TagNode:
		return y.node(n.Value, depth+1)
	default:
		y.loader.fail(out.off, "%s is not understood here", show(n.String()))
	}
	y.grow(len(out.text)/16, out.off)
	return out
}

// grow counts what a value adds to the file once aliases are written out, and
// reports, once, when that is too much.
func (y *yamlReader) grow(by, off int) bool {
	if y.expanded > maxExpanded {
		return false
	}
	if y.expanded += by; y.expanded > maxExpanded {
		y.loader.fail(off, "the file is too large once its aliases are written out")
		return false
	}
	return true
}

// merge adds the members of a merge key (<<). What the mapping says itself counts
// more, and of several merged mappings the first.
func (y *yamlReader) merge(out *node, merges []*ast.MappingValueNode, depth int) {
	for _, v := range merges {
		from := []*node{y.node(v.Value, depth+1)}
		if from[0].kind == nodeArray {
			from = from[0].elems
		}
		for _, n := range from {
			if n.kind != nodeObject {
				y.loader.fail(y.at(v.Key.GetToken()), "<< takes an alias of an object, this is %s", n.kind)
				continue
			}
			for _, m := range n.members {
				if !slices.ContainsFunc(out.members, func(h member) bool { return h.key == m.key }) {
					out.members = append(out.members, m)
				}
			}
		}
	}
}

func (y *yamlReader) member(out *node, v *ast.MappingValueNode, depth int) {
	m := member{key: v.Key.GetToken().Value, keyOff: y.at(v.Key.GetToken())}
	if y.splitKey(v) {
		y.loader.fail(m.keyOff, "between braces a key with a colon needs quotation marks")
		return
	}
	if i := slices.IndexFunc(out.members, func(h member) bool { return h.key == m.key }); i >= 0 {
		y.loader.fail(m.keyOff, "the key %s appears twice", show(m.key))
	}
	m.value = y.node(v.Value, depth+1)
	out.members = append(out.members, m)
}

// members reads the members of a mapping, those it merges last.
func (y *yamlReader) members(out *node, list []*ast.MappingValueNode, depth int) {
	var merges []*ast.MappingValueNode
	for _, v := range list {
		if _, ok := v.Key.(*ast.MergeKeyNode); ok {
			merges = append(merges, v)
			continue
		}
		y.member(out, v, depth)
	}
	y.merge(out, merges, depth)
}

// splitKey reports a key such as aws:SourceIp between braces, which the YAML
// library takes for the key aws with the rest as its value.
func (y *yamlReader) splitKey(v *ast.MappingValueNode) bool {
	key, colon := v.Key.GetToken(), v.Start
	if colon == nil || key.Type == yamltoken.DoubleQuoteType || key.Type == yamltoken.SingleQuoteType {
		return false
	}
	at := y.at(colon)
	return at+1 < len(y.loader.src.text) && y.loader.src.text[at] == ':' && !strings.ContainsRune(" \t\r\n", rune(y.loader.src.text[at+1]))
}

// json writes a tree as JSON without white space. Repeated keys stay.
func (n *node) json(b *bytes.Buffer) {
	switch n.kind {
	case nodeObject:
		b.WriteByte('{')
		for i, m := range n.members {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, m.key)
			b.WriteByte(':')
			m.value.json(b)
		}
		b.WriteByte('}')
	case nodeArray:
		b.WriteByte('[')
		for i, e := range n.elems {
			if i > 0 {
				b.WriteByte(',')
			}
			e.json(b)
		}
		b.WriteByte(']')
	case nodeString:
		writeString(b, n.text)
	case nodeNull:
		b.WriteString("null")
	default:
		b.WriteString(n.text)
	}
}

func writeString(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err == nil {
		b.Truncate(b.Len() - 1) // Encode ends with a line break
	}
}

// policyFile loads a policy named by a case, once.
func (l *caseLoader) policyFile(name string) (*Document, error) {
	if have := l.policies[name]; have != nil {
		return have.doc, have.err
	}
	p := &loadedPolicy{}
	l.policies[name] = p
	if !fs.ValidPath(name) && strings.Contains(name, "\x00") {
		p.err = fmt.Errorf("%s is not a file name", show(name))
		return nil, p.err
	}
	src, err := l.readFile(name)
	if err != nil {
		p.err = err
		return nil, err
	}
	p.doc, p.err = Parse(name, src)
	return p.doc, p.err
}
