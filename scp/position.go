package scp

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// Position is a place in a source file. Line and Column count from one, and
// Column counts characters, not bytes, as editors do.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

// String returns "line:column".
func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// Problem is one thing wrong with a policy document.
type Problem struct {
	Position
	Message string
	// Rule is the id of the lint rule that describes the problem, so that a
	// document that cannot be parsed is reported like one that can.
	Rule string
}

// ParseError lists everything wrong with one document, in source order.
type ParseError struct {
	Name     string
	Problems []Problem
}

// Error returns one line for each problem: name:line:column: message.
func (e *ParseError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s", e.Name, p.Line, p.Column, p.Message)
	}
	return b.String()
}

// source turns byte offsets into positions.
type source struct {
	text  []byte
	lines []int // offset of the first byte of every line
	// marks holds, for every markEvery bytes, the characters before them: a
	// large file may be a single line, and have a problem on every byte of it.
	marks []int
}

const markEvery = 1024

func newSource(text []byte) *source {
	s := &source{text: text, lines: []int{0}}
	characters := 0
	for i, c := range text {
		if i%markEvery == 0 {
			s.marks = append(s.marks, characters)
		}
		// Counted are the bytes that begin a character. In what is not UTF-8
		// the columns are only about right.
		if utf8.RuneStart(c) {
			characters++
		}
		if c == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

func (s *source) position(off int) Position {
	off = min(max(off, 0), len(s.text))
	line := sort.SearchInts(s.lines, off+1) - 1
	return Position{Line: line + 1, Column: s.characters(off) - s.characters(s.lines[line]) + 1}
}

// characters is the number of characters that begin before an offset.
func (s *source) characters(off int) int {
	if len(s.marks) == 0 {
		return 0
	}
	mark := min(off/markEvery, len(s.marks)-1)
	n := s.marks[mark]
	for _, c := range s.text[mark*markEvery : off] {
		if utf8.RuneStart(c) {
			n++
		}
	}
	return n
}
