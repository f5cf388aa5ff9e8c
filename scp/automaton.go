package scp

import (
	"slices"
	"strings"
	"unicode"
)

// The classes of text values are found by running all patterns at once, as
// automata, over every text: each set of patterns that some text matches is a
// class, and the shortest such text stands for it.

const (
	maxStates   = 4000 // visited combinations of automaton states
	maxTokens   = 1500 // length of all patterns together
	maxAlphabet = 200
	maxTexts    = 64 // classes
)

type tokenKind uint8

const (
	tokenRune tokenKind = iota
	tokenAny
	tokenStar
)

type token struct {
	kind    tokenKind
	r       rune
	fold    bool // any letter case
	noColon bool // a wildcard that does not match a colon
}

func (t token) matches(c rune) bool {
	if t.kind != tokenRune {
		return !t.noColon || c != ':'
	}
	return t.r == c || t.fold && foldsTo(t.r, c)
}

func foldsTo(a, b rune) bool {
	for r := unicode.SimpleFold(a); r != a; r = unicode.SimpleFold(r) {
		if r == b {
			return true
		}
	}
	return false
}

// tokens returns a matcher's pattern as an automaton; not ok if it matches
// nothing.
func (m *matcher) tokens() (out []token, ok bool) {
	p := m.pattern
	switch m.kind {
	case opStringEquals, opStringEqualsIgnoreCase, opBool:
		if _, valid := parseBool(p); m.kind == opBool && !valid {
			return nil, false
		}
		for _, r := range p {
			out = append(out, token{r: r, fold: m.kind != opStringEquals})
		}
		return out, true
	}
	colons := 5
	if m.kind == opARN {
		if onlyStars(p) {
			return []token{{kind: tokenStar}}, true
		}
		if strings.Count(p, ":") < 5 {
			return nil, false
		}
		colons = 0
	}
	for i := 0; i < len(p); {
		switch c := p[i]; c {
		case starByte:
			out = append(out, token{kind: tokenStar, noColon: colons < 5})
			i++
		case anyByte:
			out = append(out, token{kind: tokenAny, noColon: colons < 5})
			i++
		default:
			if c == ':' {
				colons++
			}
			n := runeLen(p[i:])
			out = append(out, token{r: []rune(p[i : i+n])[0]})
			i += n
		}
	}
	return out, true
}

// machine runs several automata side by side. A state of the machine is one
// bit for each position in each pattern, kept as a string to be a map key.
type machine struct {
	tokens []token // all patterns, each followed by an end marker
	ends   []int   // index of each end marker
	starts []int
	words  int
}

const endMarker = rune(-1)

// textClasses returns one text for every class; not ok if there are too many.
func textClasses(ms []matcher) ([]string, bool) {
	var m machine
	seen := map[string]bool{}
	for i := range ms {
		id := string(rune(ms[i].kind)) + ms[i].pattern
		toks, ok := ms[i].tokens()
		if !ok || seen[id] {
			continue
		}
		seen[id] = true
		m.starts = append(m.starts, len(m.tokens))
		m.tokens = append(m.tokens, toks...)
		m.ends = append(m.ends, len(m.tokens))
		m.tokens = append(m.tokens, token{r: endMarker})
	}
	alphabet := m.alphabet()
	if len(m.tokens) > maxTokens || len(alphabet) > maxAlphabet {
		return nil, false
	}
	m.words = (len(m.tokens) + 7) / 8
	return m.explore(alphabet)
}

// alphabet returns the characters the patterns tell apart, and one more that
// stands for all others.
func (m *machine) alphabet() []rune {
	out := []rune{':'}
	for _, t := range m.tokens {
		if t.kind != tokenRune || t.r == endMarker {
			continue
		}
		out = append(out, t.r)
		if t.fold {
			for r := unicode.SimpleFold(t.r); r != t.r; r = unicode.SimpleFold(r) {
				out = append(out, r)
			}
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	for _, other := range "xyzqjw_0~" {
		if _, found := slices.BinarySearch(out, other); !found {
			return append(out, other)
		}
	}
	other := rune(0xE000) // a character without meaning
	for slices.Contains(out, other) {
		other++
	}
	return append(out, other)
}

func (m *machine) explore(alphabet []rune) ([]string, bool) {
	type visit struct {
		state  string
		parent int
		c      rune
	}
	start := make([]byte, m.words)
	for _, s := range m.starts {
		m.enter(start, s)
	}
	queue := []visit{{state: string(start), parent: -1}}
	visited := map[string]bool{queue[0].state: true}
	classes := map[string]bool{}
	var out []string
	for i := 0; i < len(queue); i++ {
		v := queue[i]
		class := m.accepted(v.state)
		if i == 0 {
			class += " empty" // ForAllValues singles out the empty text
		}
		if !classes[class] {
			classes[class] = true
			var text []rune
			for j := i; queue[j].parent >= 0; j = queue[j].parent {
				text = append(text, queue[j].c)
			}
			slices.Reverse(text)
			out = append(out, string(text))
			if len(out) > maxTexts {
				return nil, false
			}
		}
		for _, c := range alphabet {
			next := m.step(v.state, c)
			if visited[next] {
				continue
			}
			if len(queue) >= maxStates {
				return nil, false
			}
			visited[next] = true
			queue = append(queue, visit{state: next, parent: i, c: c})
		}
	}
	return out, true
}

// enter sets a position, and those after it that a star lets be reached
// without a character.
func (m *machine) enter(state []byte, pos int) {
	for {
		state[pos/8] |= 1 << (pos % 8)
		if m.tokens[pos].kind != tokenStar {
			return
		}
		pos++
	}
}

func (m *machine) step(state string, c rune) string {
	next := make([]byte, m.words)
	for w := range len(state) {
		for bits := state[w]; bits != 0; bits &= bits - 1 {
			pos := w * 8
			for b := bits; b&1 == 0; b >>= 1 {
				pos++
			}
			t := m.tokens[pos]
			if t.r == endMarker || !t.matches(c) {
				continue
			}
			if t.kind == tokenStar {
				m.enter(next, pos)
			} else {
				m.enter(next, pos+1)
			}
		}
	}
	return string(next)
}

func (m *machine) accepted(state string) string {
	out := make([]byte, len(m.ends))
	for i, e := range m.ends {
		out[i] = '0'
		if state[e/8]&(1<<(e%8)) != 0 {
			out[i] = '1'
		}
	}
	return string(out)
}
