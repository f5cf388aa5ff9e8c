package scp

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// matcher is one test of a value of an unknown key.
type matcher struct {
	kind    opKind
	pattern string
	number  decimal
	time    instant
	prefix  netip.Prefix
}

// family groups the operators whose classes of values are found together. A
// key asked about in two families is left unknown.
type family uint8

const (
	familyNone family = iota // Null asks about presence only
	familyText
	familyNumber
	familyTime
	familyAddress
	familyOther // no list of classes
	familyCount = iota
)

func familyOf(k opKind) family {
	switch k {
	case opNull:
		return familyNone
	case opNumeric:
		return familyNumber
	case opDate:
		return familyTime
	case opIP:
		return familyAddress
	case opBinary:
		return familyOther
	default:
		return familyText
	}
}

// chooseValues lists the completions of a key; false if it cannot.
func (e *Evaluator) chooseValues(k *keyUse) bool {
	id := ""
	if !k.dynamic {
		id = k.id()
		if have, ok := e.classes.Load(id); ok {
			k.choices = have.([][]string)
			return k.choices != nil
		}
	}
	k.choices = k.completions()
	if id != "" {
		e.classes.Store(id, k.choices)
	}
	return k.choices != nil
}

func (k *keyUse) id() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %v %v", k.multi, k.forAll, k.families)
	for _, m := range k.matchers {
		fmt.Fprintf(&b, "|%d %q %v %v %v", m.kind, m.pattern, m.number, m.time, m.prefix)
	}
	return b.String()
}

func (k *keyUse) completions() [][]string {
	values, ok := k.candidateValues()
	if !ok {
		return nil
	}
	if k.forAll && !slices.Contains(values, "") {
		values = append(values, "") // ForAllValues singles out the empty string
	}
	out := [][]string{absent}
	if !k.multi {
		for _, v := range values {
			out = append(out, []string{v})
		}
		return out
	}
	if len(values) > maxClasses {
		return nil
	}
	for set := range 1 << len(values) {
		c := []string{}
		for i, v := range values {
			if set&(1<<i) != 0 {
				c = append(c, v)
			}
		}
		out = append(out, c)
	}
	return out
}

// candidateValues returns at least one value of every class that the matchers
// treat alike.
func (k *keyUse) candidateValues() ([]string, bool) {
	found := familyNone
	for f := familyText; f < familyCount; f++ {
		if !k.families[f] {
			continue
		}
		if found != familyNone {
			return nil, false
		}
		found = f
	}
	switch found {
	case familyNone:
		return []string{"x"}, true
	case familyText:
		return textClasses(k.matchers)
	case familyNumber:
		return numberClasses(k.matchers), true
	case familyTime:
		return timeClasses(k.matchers), true
	case familyAddress:
		return addressClasses(k.matchers), true
	default:
		return nil, false
	}
}

// numberClasses returns every number asked about, one number between each two
// neighbours, one below and one above all, and something that is no number.
func numberClasses(ms []matcher) []string {
	out := []string{"x"}
	var points []*big.Rat
	for _, m := range ms {
		r, ok := new(big.Rat).SetString(m.number.String())
		if !ok {
			continue
		}
		points = append(points, r)
	}
	slices.SortFunc(points, (*big.Rat).Cmp)
	points = slices.CompactFunc(points, func(a, b *big.Rat) bool { return a.Cmp(b) == 0 })
	one, half := big.NewRat(1, 1), big.NewRat(1, 2)
	add := func(r *big.Rat) {
		// Halves of decimals are decimals with one digit more.
		n, _ := r.FloatPrec()
		out = append(out, r.FloatString(n))
	}
	for i, p := range points {
		if i == 0 {
			add(new(big.Rat).Sub(p, one))
		} else {
			mid := new(big.Rat).Add(points[i-1], p)
			add(mid.Mul(mid, half))
		}
		add(p)
		if i == len(points)-1 {
			add(new(big.Rat).Add(p, one))
		}
	}
	return out
}

// String writes the number in plain digits.
func (d decimal) String() string {
	s := d.whole
	if s == "" {
		s = "0"
	}
	if d.fraction != "" {
		s += "." + d.fraction
	}
	if d.negative {
		s = "-" + s
	}
	return s
}

// timeClasses returns every instant asked about, the instants a nanosecond
// before and after, and something that is no date.
func timeClasses(ms []matcher) []string {
	out := []string{"x"}
	for _, m := range ms {
		for d := int64(-1); d <= 1; d++ {
			t := time.Unix(m.time.sec, m.time.nsec+d).UTC()
			if y := t.Year(); y >= 0 && y <= 9999 {
				out = append(out, t.Format("2006-01-02T15:04:05.000000000Z"))
			} else {
				out = append(out, fmt.Sprintf("%d", m.time.sec+d))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// addressClasses returns the addresses at and next to both ends of every range
// asked about: ranges nest or are disjoint, so every class has one of them.
func addressClasses(ms []matcher) []string {
	out := []string{"x", "0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}
	for _, m := range ms {
		first, last := m.prefix.Addr(), lastOf(m.prefix)
		for _, a := range []netip.Addr{first.Prev(), first, last, last.Next()} {
			if a.IsValid() {
				out = append(out, a.String())
			}
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	// Keep one address of each class.
	seen := map[string]bool{}
	return slices.DeleteFunc(out, func(s string) bool {
		var in strings.Builder
		if a, err := netip.ParseAddr(s); err == nil {
			for _, m := range ms {
				fmt.Fprint(&in, m.prefix.Contains(a), " ")
			}
		} else {
			in.WriteString("none")
		}
		dup := seen[in.String()]
		seen[in.String()] = true
		return dup
	})
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
