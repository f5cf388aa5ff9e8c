package scp

import (
	"maps"
	"strings"
)

// Kleene's logic forgets that the same key is asked about twice: "denied if
// the tag is a" beside "denied if the tag is not a" is a denial whatever the
// tag is, and each half alone is unknown. So an unknown answer is tried again
// with every completion of the context that the policies can tell apart: each
// unknown key absent, and present with one value of every class of values that
// the conditions on it treat alike. Only if all completions agree is their
// answer given. A key whose classes cannot be listed stays unknown, and with
// it the answer, unless the rest decides.

const (
	// maxCompletions bounds the work on one request; beyond it, keys stay
	// unknown, which is always correct.
	maxCompletions = 4096
	// maxClasses is how many classes of values of a multivalued key are
	// combined; every subset of them is a completion.
	maxClasses = 8
)

// refinement is what all completions agree on: maybe if they do not.
type refinement struct {
	decision truth
	kind     Kind
}

var unrefined = refinement{decision: maybe, kind: KindUnknown}

// keyUse is how the undecided statements use one unknown key.
type keyUse struct {
	key      *keyRef
	multi    bool
	forAll   bool
	free     bool // its classes cannot be listed
	matchers []matcher
	families [familyCount]bool
	dynamic  bool // depends on the request, so not worth remembering
	choices  [][]string
}

// absent is the completion without the key; it is told from a key without
// values by being nil.
var absent []string

func (e *Evaluator) refine(r *Request) refinement {
	u := usage{r: r, byKey: map[string]*keyUse{}}
	for i := range e.levels {
		for j := range e.levels[i].entries {
			if s := e.levels[i].entries[j].statement; s.matchSome(r) == maybe {
				u.statement(s)
			}
		}
	}
	var keys []*keyUse
	total := 1
	for _, k := range u.order {
		if k.free || !e.chooseValues(k) || total*len(k.choices) > maxCompletions {
			continue
		}
		total *= len(k.choices)
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return unrefined
	}
	return e.tryAll(r, keys, total)
}

// tryAll decides every completion and reports what they agree on.
func (e *Evaluator) tryAll(r *Request, keys []*keyUse, total int) refinement {
	completion := *r
	completion.Context = maps.Clone(r.Context)
	if completion.Context == nil {
		completion.Context = map[string][]string{}
	}
	completion.Unknown = func(key string) bool {
		for _, k := range keys {
			if strings.EqualFold(k.key.lower, key) {
				return false
			}
		}
		return r.Unknown != nil && r.Unknown(key)
	}
	agreed := refinement{decision: maybe, kind: KindExplicitDeny}
	for n := range total {
		rest := n
		for _, k := range keys {
			c := k.choices[rest%len(k.choices)]
			rest /= len(k.choices)
			if c == nil {
				delete(completion.Context, k.key.name)
			} else {
				completion.Context[k.key.name] = c
			}
		}
		d := e.decide(&completion)
		if d == maybe || n > 0 && d != agreed.decision {
			return unrefined
		}
		agreed.decision = d
		if d == no && !e.denies(&completion) {
			agreed.kind = KindImplicitDeny
		}
	}
	if agreed.decision == yes {
		agreed.kind = KindAllowed
	}
	return agreed
}

// denies reports whether a Deny statement certainly matches.
func (e *Evaluator) denies(r *Request) bool {
	for i := range e.levels {
		for j := range e.levels[i].entries {
			if s := e.levels[i].entries[j].statement; s.effect == Deny && s.matchSome(r) == yes {
				return true
			}
		}
	}
	return false
}

// usage collects how unknown keys are used.
type usage struct {
	r     *Request
	byKey map[string]*keyUse
	order []*keyUse
}

func (u *usage) key(k *keyRef) *keyUse {
	if have := u.byKey[k.lower]; have != nil {
		return have
	}
	have := &keyUse{key: k, multi: k.multi}
	u.byKey[k.lower] = have
	u.order = append(u.order, have)
	return have
}

func (u *usage) unknown(k *keyRef) bool {
	_, known := k.lookup(u.r)
	return known == keyUnknown
}

func (u *usage) statement(s *statement) {
	for i := range s.resourcePatterns {
		p := &s.resourcePatterns[i]
		if p.dead || p.tmpl.parts == nil {
			continue
		}
		for n := range u.r.resources() {
			resource := u.r.resource(n)
			u.variable(&p.tmpl, resource, opARN, func(r *Request) bool { return p.match(resource, r) == yes })
		}
	}
	for i := range s.conditions {
		if c := &s.conditions[i]; c.eval(u.r) == maybe {
			u.condition(c)
		}
	}
}

func (u *usage) condition(c *condition) {
	if !u.unknown(c.key) {
		// The key is known, so a variable among the policy's values is not.
		values, _ := c.key.lookup(u.r)
		for i := range c.values {
			for _, v := range values {
				u.variable(&c.values[i].tmpl, v, c.op.kind, func(r *Request) bool { return c.text(&c.values[i], v, r) == yes })
			}
		}
		return
	}
	k := u.key(c.key)
	k.multi = k.multi || c.op.set != noQualifier
	k.forAll = k.forAll || c.op.set == forAllValues
	f := familyOf(c.op.kind)
	k.families[f] = true
	for i := range c.values {
		t := &c.values[i]
		if t.invalid || f == familyNone {
			continue
		}
		m := matcher{kind: c.op.kind, pattern: t.tmpl.text, number: t.number, time: t.time, prefix: t.prefix}
		if t.tmpl.parts != nil {
			k.dynamic = true
			p, e, _ := t.tmpl.expand(nil, u.r)
			switch e {
			case valueless:
				continue
			case uncertain:
				k.free = true
				t.tmpl.variables(func(v *keyRef) {
					if u.unknown(v) {
						u.key(v).free = true
					}
				})
				continue
			}
			m.pattern = string(p)
		}
		k.matchers = append(k.matchers, m)
	}
}

// variable notes the values of an unknown variable that make a template match
// a known text. A substituted value is literal, so it can only be a piece of
// the text, and the pieces that match become values to tell apart.
func (u *usage) variable(t *template, subject string, kind opKind, matches func(*Request) bool) {
	var k *keyRef
	count := 0
	t.variables(func(v *keyRef) {
		if u.unknown(v) && (k == nil || k.lower != v.lower) {
			k = v
			count++
		}
	})
	if count == 0 {
		return
	}
	use := u.key(k)
	pieces, ok := u.pieces(t, k, subject, kind, matches)
	if count > 1 || !ok || kind == opBool {
		t.variables(func(v *keyRef) {
			if u.unknown(v) {
				u.key(v).free = true
			}
		})
		return
	}
	use.dynamic = true
	use.families[familyText] = true
	literal := opStringEquals
	if kind == opStringEqualsIgnoreCase {
		literal = opStringEqualsIgnoreCase
	}
	for _, p := range pieces {
		use.matchers = append(use.matchers, matcher{kind: literal, pattern: p})
	}
}

// pieces returns the pieces of subject that make the template match it when
// put in the place of k; not ok if there would be too many to try or to tell
// apart.
func (u *usage) pieces(t *template, k *keyRef, subject string, kind opKind, matches func(*Request) bool) ([]string, bool) {
	const maxTries, maxPieces = 4000, 32
	// A template that begins with plain text pins the start of the piece.
	starts := len(subject) + 1
	first := 0
	if lit := t.parts[0].lit; t.parts[0].key == nil && strings.IndexByte(lit, starByte) < 0 && strings.IndexByte(lit, anyByte) < 0 && len(t.parts) > 1 && t.parts[1].key.lower == k.lower {
		if len(lit) > len(subject) {
			return nil, true
		}
		first, starts = len(lit), len(lit)+1
	}
	if (starts-first)*(len(subject)+1) > maxTries {
		return nil, false
	}
	probe := *u.r
	probe.Context = maps.Clone(u.r.Context)
	if probe.Context == nil {
		probe.Context = map[string][]string{}
	}
	seen := map[string]bool{}
	var out []string
	for i := first; i < starts; i++ {
		for j := i; j <= len(subject); j++ {
			p := subject[i:j]
			if seen[p] {
				continue
			}
			seen[p] = true
			probe.Context[k.name] = []string{p}
			if matches(&probe) {
				out = append(out, p)
			}
			if len(out) > maxPieces {
				return nil, false
			}
		}
	}
	return out, true
}
