package orgs

import (
	"regexp"
	"sync"
)

// Pattern is a regular expression that is compiled when it is first asked. Names in
// AWS may have hundreds of characters, and a bounded repetition is compiled into as
// many copies: all of them together took every start of the program longer than
// reading the configuration does. It is safe for concurrent use.
type Pattern struct {
	text    string
	compile sync.Once
	regexp  *regexp.Regexp
}

// NewPattern gives the pattern of a regular expression in Go's syntax
// (https://pkg.go.dev/regexp/syntax). One that does not compile panics at its first
// use.
func NewPattern(text string) *Pattern { return &Pattern{text: text} }

// MatchString reports whether the text contains a match.
func (p *Pattern) MatchString(s string) bool {
	p.compile.Do(func() { p.regexp = regexp.MustCompile(p.text) })
	return p.regexp.MatchString(s)
}

// String is the regular expression.
func (p *Pattern) String() string { return p.text }
