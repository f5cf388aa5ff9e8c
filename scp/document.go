package scp

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"unicode/utf8"
)

// Document is a parsed service control policy. It never changes: evaluators,
// the linter and the preview share it between goroutines.
type Document struct {
	name       string
	raw        []byte  // the policy as it would be sent
	source     *source // the file it stands in, for positions
	version    text
	hasVersion bool
	id         string
	statements []*statement
	minified   []byte
}

// Version2012 is the version of the policy language that has policy variables.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
const (
	Version2012 = "2012-10-17"
	Version2008 = "2008-10-17"
)

// Statement is a statement of a document, for reading.
type Statement struct {
	Index        int // from zero, as CloudTrail and the case files count
	Sid          string
	Effect       Effect
	Actions      []string // one of Actions and NotActions is nil
	NotActions   []string
	Resources    []string // one of Resources and NotResources is nil
	NotResources []string
	Conditions   []Condition
	Position     Position
}

// Condition is one key under one operator.
type Condition struct {
	Operator string // in AWS's spelling
	Key      string // in AWS's spelling where that is known
	Values   []string
}

// Name is the name the document was parsed under, often a file name.
func (d *Document) Name() string { return d.name }

// Version is the policy language version; a document without one has the old
// version, in which ${ is literal text.
func (d *Document) Version() string {
	if d.hasVersion {
		return d.version.value
	}
	return Version2008
}

// ID is the optional Id element.
func (d *Document) ID() string { return d.id }

// Source returns a copy of the text the document was parsed from.
func (d *Document) Source() []byte { return bytes.Clone(d.raw) }

// Minified returns the document without white space between its elements. Only
// the console removes it by itself: the API, the CLI and infrastructure tools
// send, and are charged for, every space.
func (d *Document) Minified() []byte { return bytes.Clone(d.minified) }

// Size is the length of a policy as it is counted against a quota.
type Size struct {
	Characters int `json:"characters"`
	Bytes      int `json:"bytes"`
}

// Counted is the larger of the two. Sources differ on which of them AWS
// counts, and for a policy in ASCII they are equal.
func (s Size) Counted() int { return max(s.Characters, s.Bytes) }

// Size is the size of the document as written.
func (d *Document) Size() Size { return sizeOf(d.raw) }

// MinifiedSize is the size of the document without needless white space.
func (d *Document) MinifiedSize() Size { return sizeOf(d.minified) }

func sizeOf(b []byte) Size { return Size{Characters: utf8.RuneCount(b), Bytes: len(b)} }

// Len is the number of statements.
func (d *Document) Len() int { return len(d.statements) }

// Statements returns the statements, as copies.
func (d *Document) Statements() []Statement {
	out := make([]Statement, len(d.statements))
	for i, s := range d.statements {
		out[i] = Statement{Index: s.index, Sid: s.sid.value, Effect: s.effect, Position: d.source.position(s.off)}
		if s.notAction {
			out[i].NotActions = values(s.actions)
		} else {
			out[i].Actions = values(s.actions)
		}
		if s.notResource {
			out[i].NotResources = values(s.resources)
		} else {
			out[i].Resources = values(s.resources)
		}
		for _, c := range s.conditions {
			out[i].Conditions = append(out[i].Conditions, Condition{Operator: c.op.name, Key: c.key.name, Values: values(c.written)})
		}
	}
	return out
}

func values(ts []text) []string {
	out := make([]string, len(ts))
	for i, t := range ts {
		out[i] = t.value
	}
	return out
}

// Parse reads a policy document. It accepts what AWS accepts, and the error is
// a *ParseError that lists everything AWS would refuse; what is accepted and
// yet looks wrong is for [Lint].
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_syntax.html
func Parse(name string, src []byte) (*Document, error) {
	src = bytes.Clone(src)
	root, problems := decodeJSON(src)
	d := &Document{name: name, raw: src, source: newSource(src)}
	if err := d.build(root, problems); err != nil {
		return nil, err
	}
	return d, nil
}

// build fills the document from its JSON.
func (d *Document) build(root *node, problems []offsetProblem) error {
	b := &builder{doc: d, problems: problems}
	if root != nil && root.kind == nodeObject {
		b.document(root)
	} else if root != nil && len(problems) == 0 {
		b.fail(root.off, ruleElement, "a policy is an object, this is %s", root.kind)
	}
	if len(b.problems) > 0 {
		return d.parseError(b.problems)
	}
	for _, s := range d.statements {
		s.compile(d.Version() == Version2012)
	}
	d.minified = minify(d.raw)
	return nil
}

func (d *Document) parseError(problems []offsetProblem) *ParseError {
	full := len(problems) >= maxProblems
	sort.SliceStable(problems, func(i, j int) bool { return problems[i].off < problems[j].off })
	problems = slices.CompactFunc(problems, func(a, b offsetProblem) bool { return a.off == b.off && a.msg == b.msg })
	e := &ParseError{Name: d.name}
	for _, p := range problems {
		e.Problems = append(e.Problems, Problem{Position: d.source.position(p.off), Message: p.msg, Rule: p.rule})
	}
	if full {
		last := e.Problems[len(e.Problems)-1]
		last.Message = fmt.Sprintf("%d problems are listed; there may be more", maxProblems)
		e.Problems = append(e.Problems, last)
	}
	return e
}

// minify removes the white space outside strings of valid JSON.
func minify(src []byte) []byte {
	out := make([]byte, 0, len(src))
	inString, escaped := false, false
	for _, c := range src {
		switch {
		case inString:
			if escaped {
				escaped = false
			} else if c == '\\' {
				escaped = true
			} else if c == '"' {
				inString = false
			}
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			continue
		case c == '"':
			inString = true
		}
		out = append(out, c)
	}
	return slices.Clip(out)
}
