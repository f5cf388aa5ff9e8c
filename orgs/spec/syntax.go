package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	// maxBytes bounds the file. A configuration for 10,000 accounts names OUs,
	// not accounts, and is far below it.
	maxBytes = 1 << 20
	// maxDepth bounds the nesting; settings of controls are about 5 deep.
	maxDepth = 32
)

// parse reads the bytes as exactly one YAML document. A document without any
// content is an empty mapping.
func parse(file string, data []byte) (*yaml.Node, Problems) {
	if len(data) > maxBytes {
		return nil, Problems{{File: file, Message: fmt.Sprintf("larger than %d bytes: not a configuration of orgguard", maxBytes)}}
	}
	if p, ok := badText(data); ok {
		p.File = file
		return nil, Problems{p}
	}
	empty := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1, Column: 1}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	doc, err := next(dec)
	switch {
	case errors.Is(err, io.EOF):
		return empty, nil
	case err != nil:
		return nil, Problems{syntaxProblem(file, data, err)}
	}
	switch second, err := next(dec); {
	case err == nil:
		return nil, Problems{{File: file, Line: second.Line, Col: second.Column, Message: "a second YAML document begins here; want one document"}}
	case !errors.Is(err, io.EOF):
		return nil, Problems{syntaxProblem(file, data, err)}
	}
	root := doc.Content[0]
	if isNull(root) {
		return empty, nil
	}
	return root, nil
}

// next reads one document.
func next(dec *yaml.Decoder) (doc *yaml.Node, err error) {
	// The parser panics on what it takes for its own bugs. No file may do that
	// to us.
	defer func() {
		if r := recover(); r != nil {
			doc, err = nil, fmt.Errorf("yaml: %v", r)
		}
	}()
	doc = new(yaml.Node)
	if err := dec.Decode(doc); err != nil {
		return nil, err
	}
	return doc, nil
}

// badText finds the first byte that is not text. The YAML parser would refuse
// most of them too, but without saying where.
func badText(data []byte) (Problem, bool) {
	line, col := 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return Problem{Line: line, Col: col, Message: fmt.Sprintf("byte 0x%02x is not UTF-8; save the file as UTF-8", data[i])}, true
		case r == '\n':
			line, col = line+1, 0
		case r == '\ufeff' && i == 0:
			col = 0
		case isControl(r) && r != '\r', r == '\ufeff', r == '\ufffe', r == '\uffff':
			return Problem{Line: line, Col: col, Message: fmt.Sprintf("character %U does not belong in a text file", r)}, true
		}
		i += size
		col++
	}
	return Problem{}, false
}

// isControl says whether the rune is a control character that has no place in
// a value. Line breaks and tabs have: in a folded reason, for instance.
func isControl(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }

var (
	yamlError    = regexp.MustCompile(`(?s)^yaml: (?:line ([0-9]+): )?(.*)$`)
	unknownAlias = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// parserMessages are the errors of the YAML parser, as opposed to its scanner,
// for which it reports a line counted from 0.
var parserMessages = []string{
	"did not find expected <stream-start>", "did not find expected <document start>", "did not find expected node content",
	"did not find expected '-' indicator", "did not find expected key", "did not find expected ',' or ']'",
	"did not find expected ',' or '}'", "found undefined tag handle", "found duplicate %YAML directive",
	"found incompatible YAML document", "found duplicate %TAG directive",
}

// syntaxProblem places an error of the YAML library and says what usually
// causes it.
func syntaxProblem(file string, data []byte, err error) Problem {
	line, message := errorLine(err)
	if name := unknownAlias.FindStringSubmatch(message); name != nil {
		p := Problem{File: file, Message: aliasMessage(name[1])}
		p.Line, p.Col = findAlias(data, "*"+name[1])
		return p
	}
	if message == "did not find expected key" {
		line = blockLine(data, line)
	}
	line = min(line, lines(data)) // the end of the file is beyond its last line
	p := Problem{File: file, Line: line, Message: "not valid YAML: " + clip(message)}
	switch {
	case strings.HasPrefix(message, "did not find expected alphabetic"):
		p.Message += `; a value that begins with * or & needs quotes, as in "*"`
	case strings.HasPrefix(message, "found character that cannot start any token") && indentedByTab(data, line):
		p.Message += "; indent with spaces, not tabs"
	}
	return p
}

// errorLine takes an error of the library apart. It leaves out the line when
// that would be its line 0.
func errorLine(err error) (line int, message string) {
	m := yamlError.FindStringSubmatch(err.Error())
	if m == nil {
		return 1, err.Error()
	}
	line, _ = strconv.Atoi(m[1]) // "" and nonsense are 0
	if slices.Contains(parserMessages, m[2]) {
		line++
	}
	return max(1, line), m[2]
}

// blockLine is a better line for a key that is indented wrongly: for that the
// library names the line where the block began, unless that is the first line
// of all. So the block is made to begin there.
func blockLine(data []byte, line int) int {
	skipped := 0
	for row := range bytes.Lines(data) {
		if text := bytes.TrimSpace(row); len(text) > 0 && text[0] != '#' && !bytes.Equal(text, []byte("---")) {
			break
		}
		skipped++
		data = data[len(row):]
	}
	if skipped == 0 {
		return line
	}
	_, err := next(yaml.NewDecoder(bytes.NewReader(data)))
	if err == nil {
		return line
	}
	again, _ := errorLine(err)
	return again + skipped
}

// findAlias looks for an alias in the text, since the library does not say
// where it met it. Comments are passed over.
func findAlias(data []byte, alias string) (line, col int) {
	for row := range bytes.Lines(data) {
		line++
		text, _, _ := bytes.Cut(row, []byte(" #"))
		if i := bytes.Index(text, []byte(alias)); i >= 0 && !bytes.HasPrefix(bytes.TrimSpace(text), []byte("#")) {
			return line, utf8.RuneCount(text[:i]) + 1
		}
	}
	return 0, 0
}

// lines is the number of the last line.
func lines(data []byte) int {
	return 1 + bytes.Count(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
}

func aliasMessage(name string) string {
	return fmt.Sprintf("YAML aliases are not supported; if %s is meant as text, put it in quotes", quote("*"+name))
}

func indentedByTab(data []byte, line int) bool {
	for row := range bytes.Lines(data) {
		if line--; line == 0 {
			return bytes.HasPrefix(bytes.TrimLeft(row, " "), []byte("\t"))
		}
	}
	return false
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }
