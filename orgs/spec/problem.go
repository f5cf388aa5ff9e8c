package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/orgguard/orgguard/orgs"
)

// Problem is one thing that is wrong with a configuration file.
type Problem struct {
	File string
	// Line and Col count from 1. Line is 0 when the file as a whole is meant;
	// Col is 0 when the parser knows only the line.
	Line, Col int
	Message   string
}

func (p Problem) String() string {
	switch {
	case p.Line == 0:
		return fmt.Sprintf("%s: %s", p.File, p.Message)
	case p.Col == 0:
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, p.Message)
}

// Problems is everything that is wrong with a configuration file, in the order
// of the file. As an error it prints one problem a line.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns the problems as an error: nil when there are none. (A nil
// Problems put into an error directly would not be a nil error.)
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// sorted puts the problems into the order of the file and drops repetitions.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return slices.Compact(p)
}

// NotOneOf is the message for a value that is none of the good ones: it quotes
// the value, says which good ones look like it, and lists them unless they are
// many and one of them is near. kind is what the value was taken for ("key",
// "Region").
func NotOneOf(kind, value string, good []string) string {
	const few = 12
	near := orgs.Nearest(value, good)
	msg := fmt.Sprintf("unknown %s %s", kind, quote(value))
	if len(near) > 0 {
		quoted := make([]string, len(near))
		for i, n := range near {
			quoted[i] = quote(n)
		}
		msg += "; did you mean " + either(quoted) + "?"
	}
	if len(good) > 0 && (len(near) == 0 || len(good) <= few) {
		msg += " (good: " + strings.Join(good, ", ") + ")"
	}
	return msg
}

// either is "a", "a or b", "a, b or c".
func either(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// quote quotes a value of the file for a message: control characters are
// escaped and a long value is cut, so that a message stays one line.
func quote(s string) string { return fmt.Sprintf("%q", clip(s)) }

func clip(s string) string {
	const longest = 60
	if utf8.RuneCountInString(s) <= longest {
		return s
	}
	return string([]rune(s)[:longest]) + "…"
}
