package scp

import (
	"strings"
	"unicode/utf8"
)

// A compiled pattern is a string in which two bytes that never occur in UTF-8
// stand for the wildcards, so that the literal characters written ${*} and
// ${?} need no escaping and matching needs no allocation.
const (
	starByte = 0xff // any characters, also none
	anyByte  = 0xfe // exactly one character
)

// letterCase says whether letters must match in their case.
type letterCase uint8

const (
	exactCase letterCase = iota
	foldCase             // ASCII letters only: what action names are made of
)

// wildcards turns * and ? into the wildcard bytes.
func wildcards(s string) string {
	if !strings.ContainsAny(s, "*?") {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		switch c {
		case '*':
			b[i] = starByte
		case '?':
			b[i] = anyByte
		}
	}
	return string(b)
}

// onlyStars reports whether the pattern is one or more * and nothing else.
func onlyStars(p string) bool {
	for i := range len(p) {
		if p[i] != starByte {
			return false
		}
	}
	return p != ""
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// globMatch reports whether s matches the whole pattern. With foldCase the
// pattern must be lower case already. A later * makes earlier ones final, so
// the time is at most len(p)*len(s).
func globMatch(p, s string, lc letterCase) bool {
	pi, si := 0, 0
	starP, starS := -1, 0
	for si < len(s) {
		if pi < len(p) {
			switch c := p[pi]; c {
			case starByte:
				starP, starS = pi, si
				pi++
				continue
			case anyByte:
				si += runeLen(s[si:])
				pi++
				continue
			default:
				if c == s[si] || lc == foldCase && c == lowerByte(s[si]) {
					pi++
					si++
					continue
				}
			}
		}
		if starP < 0 {
			return false
		}
		// Whole characters, or a ? could match half of one.
		starS += runeLen(s[starS:])
		pi, si = starP+1, starS
	}
	for pi < len(p) && p[pi] == starByte {
		pi++
	}
	return pi == len(p)
}

func runeLen(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// arnMatch matches an ARN pattern segment by segment: a wildcard never crosses
// one of the first five colons, and the sixth part takes the rest, colons and
// slashes included. A pattern or a value that is not an ARN matches nothing;
// the pattern * alone matches everything.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_ARN
func arnMatch(p, s string) bool {
	if onlyStars(p) {
		return true
	}
	for range 5 {
		pc := strings.IndexByte(p, ':')
		sc := strings.IndexByte(s, ':')
		if pc < 0 || sc < 0 || !globMatch(p[:pc], s[:sc], exactCase) {
			return false
		}
		p, s = p[pc+1:], s[sc+1:]
	}
	return globMatch(p, s, exactCase)
}

// resourceMatch is arnMatch for the Resource element, where the resource of an
// action without resource-level permissions is the single character *, and
// only the pattern * matches it.
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
func resourceMatch(p, s string) bool {
	if onlyStars(p) {
		return true
	}
	return s != "*" && arnMatch(p, s)
}
