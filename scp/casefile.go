package scp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
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
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxCaseFile {
		return nil, fmt.Errorf("%s: %d bytes; at most %d are read", path, info.Size(), maxCaseFile)
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseCases(path, src, func(name string) ([]byte, error) {
		return os.ReadFile(filepath.Join(filepath.Dir(path), filepath.FromSlash(name)))
	})
}

// parseCases is LoadCases on bytes; readFile reads a policy file named in a
// case, relative to the case file.
func parseCases(path string, src []byte, readFile func(string) ([]byte, error)) ([]Case, error) {
	l := &caseLoader{path: path, src: newSource(src), readFile: readFile, policies: map[string]*loadedPolicy{}}
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
	if len(l.problems) > 0 {
		d := Document{name: path, source: l.src}
		return nil, d.parseError(l.problems)
	}
	return cases, nil
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
	if len(l.problems) < maxProblems {
		l.problems = append(l.problems, offsetProblem{off: off, msg: fmt.Sprintf(format, args...)})
	}
}

func (l *caseLoader) add(problems []offsetProblem) {
	l.problems = append(l.problems, problems...)
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
	file, err := parser.ParseBytes(src, 0)
	if err != nil {
		at, msg := l.yamlError(err)
		l.fail(at, "%s", msg)
		return nil
	}
	y := yamlReader{loader: l, anchors: map[string]*node{}}
	var out []*node
	for _, d := range file.Docs {
		if d.Body != nil {
			out = append(out, y.node(d.Body, 0))
		}
	}
	return out
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

type yamlReader struct {
	loader  *caseLoader
	anchors map[string]*node
	nodes   int
}

func (y *yamlReader) at(t *yamltoken.Token) int {
	if t == nil || t.Position == nil {
		return 0
	}
	return y.loader.offset(t.Position.Line, t.Position.Column)
}

func (y *yamlReader) node(n ast.Node, depth int) *node {
	out := &node{off: y.at(n.GetToken())}
	if y.nodes++; depth > maxDepth || y.nodes > 5_000_000 {
		y.loader.fail(out.off, "nested too deeply")
		return out
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		out.kind = nodeObject
		for _, v := range n.Values {
			y.member(out, v, depth)
		}
		if len(n.Values) > 0 {
			out.off = y.at(n.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		out.kind = nodeObject
		y.member(out, n, depth)
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
		y.anchors[n.Name.GetToken().Value] = out
	case *ast.AliasNode:
		if a := y.anchors[n.Value.GetToken().Value]; a != nil {
			return a
		}
		y.loader.fail(out.off, "unknown alias %s", show(n.Value.GetToken().Value))
	case *ast.TagNode:
		return y.node(n.Value, depth+1)
	default:
		y.loader.fail(out.off, "%s is not understood here", show(n.String()))
	}
	return out
}

func (y *yamlReader) member(out *node, v *ast.MappingValueNode, depth int) {
	if _, ok := v.Key.(*ast.MergeKeyNode); ok {
		if merged := y.node(v.Value, depth+1); merged.kind == nodeObject {
			out.members = append(out.members, merged.members...)
		}
		return
	}
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
