package scp

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// decimal is a number as the Numeric operators compare it: exactly, so that
// 10 equals 10.0 and an account id of 2^60 is not rounded. The digits are kept
// as text because no policy needs arithmetic.
type decimal struct {
	negative bool
	whole    string // without leading zeros
	fraction string // without trailing zeros
}

func parseDecimal(s string) (decimal, bool) {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, "eE") {
		return parseExponent(s)
	}
	var d decimal
	if s != "" && (s[0] == '-' || s[0] == '+') {
		d.negative = s[0] == '-'
		s = s[1:]
	}
	d.whole, d.fraction, _ = strings.Cut(s, ".")
	if d.whole == "" && d.fraction == "" || !digitsOnly(d.whole) || !digitsOnly(d.fraction) {
		return decimal{}, false
	}
	d.whole = strings.TrimLeft(d.whole, "0")
	d.fraction = strings.TrimRight(d.fraction, "0")
	if d.whole == "" && d.fraction == "" {
		d.negative = false
	}
	return d, true
}

// parseExponent reads 1e3. It is not documented for policies, but it is a JSON
// number, and a number is what the author meant.
func parseExponent(s string) (decimal, bool) {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && !strings.ContainsRune("+-.eE", rune(c)) {
			return decimal{}, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return decimal{}, false
	}
	return parseDecimal(strconv.FormatFloat(f, 'f', -1, 64))
}

func digitsOnly(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func (d decimal) compare(o decimal) int {
	if d.negative != o.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	order := len(d.whole) - len(o.whole)
	if order == 0 {
		order = strings.Compare(d.whole, o.whole)
	}
	if order == 0 {
		// Without trailing zeros a longer fraction with the same start is larger.
		order = strings.Compare(d.fraction, o.fraction)
	}
	if d.negative {
		return -order
	}
	return order
}

// instant is a point in time: seconds since 1970 and nanoseconds.
type instant struct {
	sec  int64
	nsec int64
}

func (i instant) compare(o instant) int {
	switch {
	case i.sec < o.sec || i.sec == o.sec && i.nsec < o.nsec:
		return -1
	case i == o:
		return 0
	default:
		return 1
	}
}

// parseInstant reads what the Date operators take: ISO 8601 in the forms of
// the W3C note, or seconds since 1970. Four digits are a year, as the note
// says. A time without zone is taken as UTC.
// https://www.w3.org/TR/NOTE-datetime
func parseInstant(s string) (instant, bool) {
	s = strings.TrimSpace(s)
	if len(s) != 4 || !digitsOnly(s) {
		if i, ok := parseEpoch(s); ok {
			return i, true
		}
	}
	p := dateParser{s: s}
	year := p.number(4)
	month, day := 1, 1
	if p.accept('-') {
		month = p.number(2)
		if p.accept('-') {
			day = p.number(2)
		}
	}
	var hour, minute, sec int
	var nsec, offset int64
	if p.accept('T') || p.accept('t') || p.accept(' ') {
		hour = p.number(2)
		if !p.accept(':') {
			return instant{}, false
		}
		minute = p.number(2)
		if p.accept(':') {
			sec = p.number(2)
			if p.accept('.') || p.accept(',') {
				nsec = p.fraction()
			}
		}
		offset = p.zone()
	}
	if p.bad || p.s != "" || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || sec > 60 {
		return instant{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, sec, 0, time.UTC)
	if sec < 60 && t.Day() != day && hour < 24 { // 31 February
		return instant{}, false
	}
	return instant{sec: t.Unix() - offset, nsec: nsec}, true
}

func parseEpoch(s string) (instant, bool) {
	whole, frac, _ := strings.Cut(s, ".")
	digits := strings.TrimPrefix(whole, "-")
	if digits == "" || len(digits) > 17 || !digitsOnly(digits) || !digitsOnly(frac) {
		return instant{}, false
	}
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return instant{}, false
	}
	p := dateParser{s: frac}
	nsec := int64(0)
	if frac != "" {
		nsec = p.fraction()
	}
	if whole[0] == '-' && nsec > 0 {
		sec, nsec = sec-1, 1e9-nsec
	}
	return instant{sec: sec, nsec: nsec}, true
}

type dateParser struct {
	s   string
	bad bool
}

func (p *dateParser) accept(c byte) bool {
	if p.bad || p.s == "" || p.s[0] != c {
		return false
	}
	p.s = p.s[1:]
	return true
}

func (p *dateParser) number(n int) int {
	if len(p.s) < n || !digitsOnly(p.s[:n]) {
		p.bad = true
		return 0
	}
	v := 0
	for _, c := range []byte(p.s[:n]) {
		v = v*10 + int(c-'0')
	}
	p.s = p.s[n:]
	return v
}

func (p *dateParser) fraction() int64 {
	v, scale, n := int64(0), int64(1e9), 0
	for n < len(p.s) && p.s[n] >= '0' && p.s[n] <= '9' {
		if scale > 1 {
			scale /= 10
			v += int64(p.s[n]-'0') * scale
		}
		n++
	}
	p.bad = p.bad || n == 0
	p.s = p.s[n:]
	return v
}

// zone reads Z, +hh:mm, +hhmm or +hh and returns seconds east of UTC.
func (p *dateParser) zone() int64 {
	if p.s == "" || p.accept('Z') || p.accept('z') {
		return 0
	}
	sign := int64(1)
	if p.accept('-') {
		sign = -1
	} else if !p.accept('+') {
		p.bad = true
		return 0
	}
	h, m := p.number(2), 0
	if p.accept(':') || p.s != "" {
		m = p.number(2)
	}
	p.bad = p.bad || h > 23 || m > 59
	return sign * int64(h*3600+m*60)
}

// parsePrefix reads an address range of the IpAddress operators; an address
// without length is that one host.
func parsePrefix(s string) (netip.Prefix, bool) {
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	return p.Masked(), true
}

// parseBool reads the two booleans. AWS writes them in lower case; other
// letter case is accepted because AWS accepts it.
func parseBool(s string) (value, ok bool) {
	switch {
	case strings.EqualFold(s, "true"):
		return true, true
	case strings.EqualFold(s, "false"):
		return false, true
	}
	return false, false
}
