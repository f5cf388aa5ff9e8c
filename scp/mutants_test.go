package scp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The tests of this file exist because a small mistake in the evaluator got past
// all others: see testdata/mutate.

func TestMutantsConditions(t *testing.T) {
	const noon = "2026-11-20T12:00:00Z"
	for _, tc := range []struct {
		condition string
		context   map[string][]string
		want      bool
	}{
		// Values that cannot be read match nothing, also when both sides cannot.
		{`{"BinaryEquals":{"k:a":""}}`, ctx("k:a", "!"), false},
		{`{"BinaryEquals":{"k:a":"!"}}`, ctx("k:a", ""), false},
		{`{"BinaryEquals":{"k:a":""}}`, ctx("k:a", ""), true},
		{`{"NumericEquals":{"k:a":"0"}}`, ctx("k:a", "zero"), false},
		{`{"NumericEquals":{"k:a":"zero"}}`, ctx("k:a", "0"), false},
		{`{"NumericEquals":{"k:a":"0"}}`, ctx("k:a", ""), false},
		{`{"NumericEquals":{"k:a":"0"}}`, ctx("k:a", "."), false},
		{`{"NumericEquals":{"k:a":"0"}}`, ctx("k:a", "-"), false},
		{`{"DateEquals":{"k:a":"1970-01-01"}}`, ctx("k:a", "never"), false},
		{`{"DateEquals":{"k:a":"never"}}`, ctx("k:a", "1970-01-01"), false},
		{`{"IpAddress":{"k:a":"10.0.0.0/x"}}`, ctx("k:a", "10.0.0.0"), false},
		{`{"IpAddress":{"k:a":" 10.0.0.0/8 "}}`, ctx("k:a", "10.1.2.3"), true},
		{`{"IpAddress":{"k:a":" 10.1.2.3 "}}`, ctx("k:a", "10.1.2.3"), true},
		{`{"IpAddress":{"k:a":"fe80::1%eth0"}}`, ctx("k:a", "fe80::1"), false},
		{`{"IpAddress":{"k:a":"fe80::/64"}}`, ctx("k:a", "fe80::1%eth0"), true},
		{`{"Bool":{"k:a":"no"}}`, ctx("k:a", "false"), false},
		{`{"Bool":{"k:a":"false"}}`, ctx("k:a", "no"), false},

		// Numbers.
		{`{"NumericEquals":{"k:a":" 7 "}}`, ctx("k:a", "7"), true},
		{`{"NumericEquals":{"k:a":"+7"}}`, ctx("k:a", "7"), true},
		{`{"NumericEquals":{"k:a":"7."}}`, ctx("k:a", "7"), true},
		{`{"NumericEquals":{"k:a":"-7"}}`, ctx("k:a", "7"), false},
		{`{"NumericEquals":{"k:a":"7.5"}}`, ctx("k:a", "7.50"), true},
		{`{"NumericEquals":{"k:a":"7.5"}}`, ctx("k:a", "7.05"), false},
		{`{"NumericEquals":{"k:a":"1.2.3"}}`, ctx("k:a", "1.2.3"), false},
		{`{"NumericEquals":{"k:a":"25E-1"}}`, ctx("k:a", "2.5"), true},
		{`{"NumericEquals":{"k:a":"1e"}}`, ctx("k:a", "1"), false},
		{`{"NumericEquals":{"k:a":"Infinity"}}`, ctx("k:a", "Infinity"), false},
		{`{"NumericEquals":{"k:a":"0x1e"}}`, ctx("k:a", "30"), false},
		{`{"NumericEquals":{"k:a":"1_0e0"}}`, ctx("k:a", "10"), false},
		{`{"NumericGreaterThan":{"k:a":"-0.5"}}`, ctx("k:a", "-0.25"), true},
		{`{"NumericGreaterThan":{"k:a":"-1"}}`, ctx("k:a", "1"), true},
		{`{"NumericLessThan":{"k:a":"1"}}`, ctx("k:a", "-1"), true},
		{`{"NumericLessThan":{"k:a":"1"}}`, ctx("k:a", "1"), false},
		{`{"NumericLessThanEquals":{"k:a":"1"}}`, ctx("k:a", "1"), true},
		{`{"NumericGreaterThan":{"k:a":"1"}}`, ctx("k:a", "1"), false},
		{`{"NumericGreaterThanEquals":{"k:a":"1"}}`, ctx("k:a", "1"), true},
		{`{"NumericLessThan":{"k:a":"100"}}`, ctx("k:a", "99"), true},
		{`{"NumericGreaterThan":{"k:a":"-100"}}`, ctx("k:a", "-99"), true},

		// Dates: every field at its limits.
		{`{"DateEquals":{"k:a":" 2026-11-20T12:00:00Z "}}`, ctx("k:a", noon), true},
		{`{"DateEquals":{"k:a":"2026-11-20T12:00Z"}}`, ctx("k:a", noon), true},
		{`{"DateEquals":{"k:a":"2026-11-20t12:00:00z"}}`, ctx("k:a", noon), true},
		{`{"DateEquals":{"k:a":"2026-11-20 12:00:00"}}`, ctx("k:a", noon), true},
		{`{"DateEquals":{"k:a":"2026-11-20T13:00:00+01"}}`, ctx("k:a", noon), true},
		{`{"DateEquals":{"k:a":"2026-11-20T13:30:00+0130"}}`, ctx("k:a", noon), true},
		{`{"DateEquals":{"k:a":"2026-11-20T13:59:00+01:59"}}`, ctx("k:a", noon), true},
		{`{"DateEquals":{"k:a":"2026-11-20T11:00:00-01:00"}}`, ctx("k:a", noon), true},
		{`{"DateEquals":{"k:a":"2026-11-21T11:00:00+23:00"}}`, ctx("k:a", noon), true},
		{`{"DateEquals":{"k:a":"2026-11-20T12:00:00.5Z"}}`, ctx("k:a", "1795176000.5"), true},
		{`{"DateEquals":{"k:a":"2026-11-20T12:00:00,5Z"}}`, ctx("k:a", "1795176000.500"), true},
		{`{"DateEquals":{"k:a":"2026-11-20T12:00:00.1234567891Z"}}`, ctx("k:a", "2026-11-20T12:00:00.123456789Z"), true},
		{`{"DateEquals":{"k:a":"1969-12-31T23:59:58.5Z"}}`, ctx("k:a", "-1.5"), true},
		{`{"DateEquals":{"k:a":"1969-12-31T23:59:58.999999999Z"}}`, ctx("k:a", "-1.000000001"), true},
		{`{"DateEquals":{"k:a":"1969-12-31T23:59:59Z"}}`, ctx("k:a", "-1"), true},
		{`{"DateEquals":{"k:a":"1969-12-31T23:59:59Z"}}`, ctx("k:a", "-1.0"), true},
		{`{"DateEquals":{"k:a":"1970-01-01T00:00:01Z"}}`, ctx("k:a", "1."), true},
		{`{"DateEquals":{"k:a":"2027-01-01T00:00:00Z"}}`, ctx("k:a", "2026-12-31T23:59:60Z"), true},
		{`{"DateEquals":{"k:a":"2028-02-29"}}`, ctx("k:a", "2028-02-29T00:00:00Z"), true},
		{`{"DateEquals":{"k:a":"2026-12-31T23:59:59Z"}}`, ctx("k:a", "2026-12-31T23:59:59Z"), true},
		{`{"DateEquals":{"k:a":"2026-01-01T00:00:00Z"}}`, ctx("k:a", "2026"), true},
		{`{"DateEquals":{"k:a":"0999-01-01T00:00:00Z"}}`, ctx("k:a", "0999"), true},
		{`{"DateEquals":{"k:a":"1970-01-01T00:16:39Z"}}`, ctx("k:a", "999"), true},
		{`{"DateEquals":{"k:a":"1970-01-01T02:46:40Z"}}`, ctx("k:a", "10000"), true},
		{`{"DateGreaterThan":{"k:a":"2026-01-01"}}`, ctx("k:a", "99999999999999999"), true},
		{`{"DateGreaterThan":{"k:a":"2026-01-01"}}`, ctx("k:a", "999999999999999999"), false},
		{`{"DateLessThan":{"k:a":"2026-11-20T12:00:00.5Z"}}`, ctx("k:a", "2026-11-20T12:00:00.4Z"), true},
		{`{"DateLessThan":{"k:a":"2026-11-20T12:00:00.5Z"}}`, ctx("k:a", "2026-11-20T12:00:00.5Z"), false},
		{`{"DateLessThan":{"k:a":"2026-11-20T12:00:00.5Z"}}`, ctx("k:a", "2026-11-20T12:00:01.4Z"), false},
		{`{"DateGreaterThanEquals":{"k:a":"2026-11-20T12:00:00Z"}}`, ctx("k:a", noon), true},

		// Variables.
		{`{"StringEquals":{"k:a":"${ k:b }"}}`, ctx("k:a", "x", "k:b", "x"), true},
		{`{"StringEquals":{"k:a":"${k:b ,'d'}"}}`, ctx("k:a", "x", "k:b", "x"), true},
		{`{"StringEquals":{"k:a":"${k:b, 'x}"}}`, ctx("k:a", "x"), false},
		{`{"StringEquals":{"k:a":"${k:b, x'}"}}`, ctx("k:a", "x"), false},
		{`{"StringEquals":{"k:a":"${k:b, '}"}}`, ctx("k:a", ""), false},
		{`{"StringEquals":{"k:a":"${k:b, x}"}}`, ctx("k:a", "x"), false},
		{`{"StringEquals":{"k:a":"<${k:b}-${k:c}>"}}`, ctx("k:a", "<x-y>", "k:b", "x", "k:c", "y"), true},
		{`{"StringEquals":{"k:a":"${k:b}${k:b}"}}`, ctx("k:a", "xx", "k:b", "x"), true},
		{`{"StringEquals":{"k:a":"a${"}}`, ctx("k:a", "a${"), true},
		{`{"StringLike":{"k:a":"${k:b}${"}}`, ctx("k:a", "x${", "k:b", "x"), true},
		{`{"StringEquals":{"k:a":"${k:b}"}}`, ctx("k:a", "\xff", "k:b", "\xff"), false},

		// Wildcards.
		{`{"StringLike":{"k:a":"a?c"}}`, ctx("k:a", "abc"), true},
		{`{"StringLike":{"k:a":"a?c"}}`, ctx("k:a", "ac"), false},
		{`{"StringLike":{"k:a":"*b?"}}`, ctx("k:a", "abbc"), true},
		{`{"StringLike":{"k:a":"*ü?"}}`, ctx("k:a", "üüé"), true},
		{`{"StringLike":{"k:a":"?"}}`, ctx("k:a", "üé"), false},
		{`{"StringLike":{"k:a":""}}`, ctx("k:a", "a"), false},
		{`{"StringLike":{"k:a":""}}`, ctx("k:a", ""), true},
		{`{"StringLike":{"k:a":"***"}}`, ctx("k:a", ""), true},

		// ARNs: every segment is compared in its letter case.
		{`{"ArnLike":{"k:a":"arn:aws:s3:eu:1:b"}}`, ctx("k:a", "arn:aws:s3:eu:1:b"), true},
		{`{"ArnLike":{"k:a":"arn:aws:s3:eu:1:b"}}`, ctx("k:a", "ARN:aws:s3:eu:1:b"), false},
		{`{"ArnLike":{"k:a":"arn:aws:s3:eu:1:b"}}`, ctx("k:a", "arn:AWS:s3:eu:1:b"), false},
		{`{"ArnLike":{"k:a":"arn:aws:s3:eu:1:b"}}`, ctx("k:a", "arn:aws:s3:EU:1:b"), false},
		{`{"ArnLike":{"k:a":"arn:aws:s3:eu:1:b"}}`, ctx("k:a", "arn:aws:s3:eu:1:B"), false},
		{`{"ArnLike":{"k:a":"arn:aws:s3::"}}`, ctx("k:a", "arn:aws:s3::"), false},
		{`{"ArnLike":{"k:a":"arn:aws:s3:::"}}`, ctx("k:a", "arn:aws:s3:::"), true},
	} {
		if got := conditionMatches(t, Version2012, tc.condition, tc.context); got != tc.want {
			t.Errorf("%s with %v: got %v, want %v", tc.condition, tc.context, got, tc.want)
		}
	}
}

// TestMutantsBadDates checks dates that look like one.
func TestMutantsBadDates(t *testing.T) {
	for _, bad := range []string{
		"2026-13-01", "2026-00-01", "2026-01-00", "2026-01-32", "2026-02-30", "2026-1-01", "2026-01-1", "20260-01-01", "026-01-01", "2026-01-01T",
		"2026-01-01T24:00Z", "2026-01-01T12Z", "2026-01-01T12:60Z", "2026-01-01T12:60:00Z", "2026-01-01T12:00:61Z", "2026-01-01T12:00:00.Z", "2026-01-01T12:00:00+24:00",
		"2026-01-01T12:00:00+01:60", "2026-01-01T12:00:00*01:00", "2026-01-01T12:00:00+1", "2026-01-01T12:00:00Zx", "2026-01-01T12:00:00+01:00x", "2026-01-01x", "2026-01-01T12:00:0aZ",
		"-", ".", "", " ", "1.x", "x.1", "--1", "+1", "1e3", "-999999999999999999",
	} {
		if got, ok := parseInstant(bad); ok {
			t.Errorf("%q is taken for %v", bad, got)
		}
	}
}

// openPath makes a path of one level for each list of statements.
func openPath(t *testing.T, levels ...string) *Evaluator {
	t.Helper()
	var org Org
	for i, statements := range levels {
		d := mustParse(t, `{"Version":"2012-10-17","Statement":[`+statements+`]}`)
		org.Path = append(org.Path, Level{Type: LevelOU, ID: fmt.Sprint("ou-", i), Policies: []Policy{{Name: "p", Document: d}}})
	}
	return mustCompile(t, org)
}

// TestMutantsUnknown asks with every key unknown that is not in the context.
// BinaryEquals stands for what cannot be refined.
func TestMutantsUnknown(t *testing.T) {
	const (
		full   = `{"Effect":"Allow","Action":"*","Resource":"*"}`
		object = `"Action":"s3:*","Resource":"*"`
	)
	deny := func(condition string) string {
		return full + `,{"Sid":"D","Effect":"Deny",` + object + `,"Condition":` + condition + `}`
	}
	for name, tc := range map[string]struct {
		levels  []string
		context map[string][]string
		want    Kind
		lack    []string
		depends []string
	}{
		"a boolean that no value of a variable matches": {
			levels: []string{deny(`{"Bool":{"k:a":"${k:b}"}}`)}, context: ctx("k:a", "x"), want: KindAllowed},
		"a boolean that some value of a variable matches": {
			levels: []string{deny(`{"Bool":{"k:a":"${k:b}"}}`)}, context: ctx("k:a", "true"), want: KindUnknown, depends: []string{"k:b"}},
		"an ARN whose text before two variables differs in letter case": {
			levels: []string{deny(`{"ArnLike":{"k:a":"arn:${k:b}:${k:c}:::b"}}`)}, context: ctx("k:a", "ARN:aws:s3:::b"), want: KindAllowed},
		"an ARN with two variables before the fifth colon": {
			levels: []string{deny(`{"ArnLike":{"k:a":"arn:${k:b}:${k:c}:::b"}}`)}, context: ctx("k:a", "arn:aws:s3:::b"), want: KindUnknown, depends: []string{"k:b", "k:c"}},
		"an ARN with two variables after the fifth colon, and other segments": {
			levels: []string{deny(`{"ArnLike":{"k:a":"arn:*:s3:::${k:b}${k:c}"}}`)}, context: ctx("k:a", "arn:a:b:s3:::x"), want: KindAllowed},
		"an ARN with two variables after the fifth colon": {
			levels: []string{deny(`{"ArnLike":{"k:a":"arn:*:s3:::${k:b}${k:c}"}}`)}, context: ctx("k:a", "arn:a:s3:::x"), want: KindUnknown, depends: []string{"k:b", "k:c"}},
		"an ARN with variables on both sides of the colons": {
			levels: []string{deny(`{"ArnLike":{"k:a":"${k:b}:aws:s3:::${k:c}"}}`)}, context: ctx("k:a", "arn:x:aws:s3:::q"), want: KindUnknown, depends: []string{"k:b", "k:c"}},
		"an ARN that is too long to try all pieces of, with other segments": {
			levels: []string{deny(`{"ArnLike":{"k:a":"arn:*:s3:::${k:b}"}}`)}, context: ctx("k:a", "arn:a:b:s3:::"+strings.Repeat("x", 100)), want: KindAllowed},
		"an ARN that is too long to try all pieces of": {
			levels: []string{deny(`{"ArnLike":{"k:a":"arn:*:s3:::${k:b}"}}`)}, context: ctx("k:a", "arn:a:s3:::"+strings.Repeat("x", 100)), want: KindUnknown, depends: []string{"k:b"}},
		"a condition that fails after one that is open": {
			levels: []string{deny(`{"BinaryEquals":{"k:a":"QUJD"},"StringEquals":{"k:b":"x"}}`)}, context: ctx("k:b", "y"), want: KindAllowed},
		"a condition that fails before one that is open": {
			levels: []string{deny(`{"StringEquals":{"k:b":"x"},"BinaryEquals":{"k:a":"QUJD"}}`)}, context: ctx("k:b", "y"), want: KindAllowed},
		"an Allow that matches after one that is open": {
			levels: []string{`{"Effect":"Allow",` + object + `,"Condition":{"BinaryEquals":{"k:a":"QUJD"}}},{"Effect":"Allow",` + object + `}`}, want: KindAllowed},
		"a level without Allow after one that is open": {
			levels: []string{`{"Effect":"Allow",` + object + `,"Condition":{"BinaryEquals":{"k:a":"QUJD"}}}`, `{"Effect":"Allow","Action":"ec2:*","Resource":"*"}`},
			want:   KindImplicitDeny, lack: []string{"ou-1"}},
		"a Deny that matches after one that is open": {
			levels: []string{deny(`{"BinaryEquals":{"k:a":"QUJD"}}`) + `,{"Effect":"Deny",` + object + `}`}, want: KindExplicitDeny},
		"two levels that no value satisfies": {
			levels: []string{`{"Effect":"Allow",` + object + `,"Condition":{"StringEquals":{"k:a":"x"}}}`, `{"Effect":"Allow",` + object + `,"Condition":{"StringEquals":{"k:a":"y"}}}`},
			want:   KindImplicitDeny, lack: []string{"ou-0", "ou-1"}},
		"denied if it is and if it is not": {
			levels: []string{deny(`{"StringEquals":{"k:a":"x"}}`) + `,{"Effect":"Deny",` + object + `,"Condition":{"StringNotEquals":{"k:a":"x"}}}`}, want: KindExplicitDeny},
		"denied if it is and if it is not, beside what cannot be refined": {
			levels: []string{deny(`{"BinaryEquals":{"k:b":"QUJD"}}`) + `,{"Effect":"Deny",` + object + `,"Condition":{"StringEquals":{"k:a":"x"}}},{"Effect":"Deny",` + object + `,"Condition":{"StringNotEquals":{"k:a":"x"}}}`},
			want:   KindExplicitDeny},
		"impossible beside what cannot be refined": {
			levels: []string{deny(`{"StringEquals":{"k:a":"x"},"StringLike":{"k:a":"y"}}`) + `,{"Effect":"Deny",` + object + `,"Condition":{"BinaryEquals":{"k:b":"QUJD"}}}`},
			want:   KindUnknown, depends: []string{"k:a", "k:a", "k:b"}},
		"denied or not allowed, whatever the value": {
			levels: []string{`{"Effect":"Allow",` + object + `,"Condition":{"StringEquals":{"k:a":"x"}}},{"Sid":"D","Effect":"Deny",` + object + `,"Condition":{"StringEquals":{"k:a":"x"}}}`},
			want:   KindImplicitDeny, lack: []string{"ou-0"}},
		"a number with a fraction": {levels: []string{deny(`{"NumericEquals":{"k:a":"10.5"}}`)}, want: KindUnknown, depends: []string{"k:a"}},
		"a negative number":        {levels: []string{deny(`{"NumericEquals":{"k:a":"-0.5"}}`)}, want: KindUnknown, depends: []string{"k:a"}},
		"between two numbers": {
			levels: []string{deny(`{"NumericGreaterThan":{"k:a":"10.5"},"NumericLessThan":{"k:a":"10.6"}}`)}, want: KindUnknown, depends: []string{"k:a", "k:a"}},
		"between no two numbers": {
			levels: []string{deny(`{"NumericGreaterThan":{"k:a":"10.6"},"NumericLessThan":{"k:a":"10.5"}}`)}, want: KindAllowed},
		"between two instants": {
			levels: []string{deny(`{"DateGreaterThan":{"k:a":"2026-01-01"},"DateLessThan":{"k:a":"2026-01-01T00:00:00.000000002Z"}}`)}, want: KindUnknown, depends: []string{"k:a", "k:a"}},
		"an instant after the year 9999": {
			levels: []string{deny(`{"DateEquals":{"k:a":"99999999999999"}}`)}, want: KindUnknown, depends: []string{"k:a"}},
		"an address in one range and not in a part of it": {
			levels: []string{deny(`{"IpAddress":{"k:a":"10.0.0.0/9"},"NotIpAddress":{"k:a":"10.0.0.0/10"}}`)}, want: KindUnknown, depends: []string{"k:a", "k:a"}},
		"an address in one range and not in the half of it": {
			levels: []string{deny(`{"IpAddress":{"k:a":"10.0.0.0/7"},"NotIpAddress":{"k:a":"10.0.0.0/8"}}`)}, want: KindUnknown, depends: []string{"k:a", "k:a"}},
		"an instant in the first second of the year 10000": {
			levels: []string{deny(`{"DateEquals":{"k:a":"253402300800"}}`)}, want: KindUnknown, depends: []string{"k:a"}},
		"an unknown variable after a known one": {
			levels: []string{deny(`{"StringEquals":{"k:a":"ab${k:b}${k:c}"}}`)}, context: ctx("k:a", "abxy", "k:b", "x"), want: KindUnknown, depends: []string{"k:c"}},
		"denied on a resource with a variable and on all others": {
			levels: []string{full + `,{"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::${k:b}"},{"Effect":"Deny","Action":"*","NotResource":"arn:aws:s3:::${k:b}"}`}, want: KindExplicitDeny},
		"text before two variables in another letter case": {
			levels: []string{deny(`{"StringLike":{"k:a":"a${k:b}${k:c}"}}`)}, context: ctx("k:a", "Axx"), want: KindAllowed},
		"an address in one range and not in all of it": {
			levels: []string{deny(`{"IpAddress":{"k:a":"10.0.0.0/10"},"NotIpAddress":{"k:a":"10.0.0.0/9"}}`)}, want: KindAllowed},
		"an ARN with a colon in its resource": {
			levels: []string{deny(`{"ArnLike":{"k:a":"arn:aws:sns:::a*"},"StringLike":{"k:a":"*:*:*:*:*:*:*"}}`)}, want: KindUnknown, depends: []string{"k:a", "k:a"}},
		"an ARN with a colon where a wildcard does not cross it": {
			levels: []string{deny(`{"ArnLike":{"k:a":"arn:aws:*:::a"},"StringEquals":{"k:a":"arn:aws:x:y:::a"}}`)}, want: KindAllowed},
		"a variable after a wildcard": {
			levels: []string{deny(`{"StringLike":{"k:a":"*-${k:b}"}}`)}, context: ctx("k:a", "abc-x"), want: KindUnknown, depends: []string{"k:b"}},
		"a variable after a character that may be any": {
			levels: []string{deny(`{"StringLike":{"k:a":"?-${k:b}"}}`)}, context: ctx("k:a", "a-x"), want: KindUnknown, depends: []string{"k:b"}},
		"a variable after plain text": {
			levels: []string{deny(`{"StringLike":{"k:a":"ab${k:b}*"}}`)}, context: ctx("k:a", "abcd"), want: KindUnknown, depends: []string{"k:b"}},
		"a variable after plain text that is too long": {
			levels: []string{deny(`{"StringEquals":{"k:a":"abcd${k:b}"}}`)}, context: ctx("k:a", "abc"), want: KindAllowed},
		"a variable that must have no text": {
			levels: []string{deny(`{"StringEquals":{"k:a":"abc${k:b}"}}`)}, context: ctx("k:a", "abc"), want: KindUnknown, depends: []string{"k:b"}},
		"a variable in two values is one dependency": {
			levels: []string{deny(`{"StringEquals":{"k:a":["${k:b}","${k:b}x"]}}`)}, context: ctx("k:a", "xx"), want: KindUnknown, depends: []string{"k:b"}},
		"a variable whose own key is asked about": {
			levels: []string{deny(`{"StringEquals":{"k:a":"${k:b}"},"StringNotEquals":{"k:b":"x"}}`)}, context: ctx("k:a", "x"), want: KindAllowed},
		"an unknown key against a known variable": {
			levels: []string{deny(`{"StringEquals":{"k:a":"${k:b}"},"StringNotEquals":{"k:a":"x"}}`)}, context: ctx("k:b", "x"), want: KindAllowed},
		"an unknown key against an unknown variable": {
			levels: []string{deny(`{"StringEquals":{"k:a":"${k:b}"}}`)}, want: KindUnknown, depends: []string{"k:a"}},
		"a key of two families": {
			levels: []string{deny(`{"StringEquals":{"k:a":"x"},"NumericEquals":{"k:a":"1"}}`)}, want: KindUnknown, depends: []string{"k:a", "k:a"}},
		"a key asked for its presence only": {
			levels: []string{deny(`{"Null":{"k:a":"true"}}`) + `,{"Effect":"Deny",` + object + `,"Condition":{"Null":{"k:a":"false"}}}`}, want: KindExplicitDeny},
		"a character that no pattern names": {
			levels: []string{deny(`{"StringLike":{"k:a":"?"},"StringNotEquals":{"k:a":["x",":","y"]}}`)}, want: KindUnknown, depends: []string{"k:a", "k:a"}},
		"letter case that only one pattern minds": {
			levels: []string{deny(`{"StringEqualsIgnoreCase":{"k:a":"x"},"StringNotEquals":{"k:a":"x"}}`)}, want: KindUnknown, depends: []string{"k:a", "k:a"}},
	} {
		e := openPath(t, tc.levels...)
		r := &Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Context: tc.context, Unknown: func(string) bool { return true }}
		got := e.Evaluate(r)
		if got.Kind != tc.want {
			t.Errorf("%s: got %s, want %s", name, got.Kind, tc.want)
		}
		if d := e.Decide(r); d != got.Decision {
			t.Errorf("%s: Decide says %s, Evaluate %s", name, d, got.Decision)
		}
		if !slices.Equal(got.LevelsWithoutAllow, tc.lack) {
			t.Errorf("%s: levels without Allow %v, want %v", name, got.LevelsWithoutAllow, tc.lack)
		}
		var depends []string
		for _, d := range got.DependsOn {
			depends = append(depends, d.Key)
		}
		if !slices.Equal(depends, tc.depends) {
			t.Errorf("%s: depends on %v, want %v", name, depends, tc.depends)
		}
	}
}

// TestMutantsARNSegments: a wildcard before the fifth colon of an ARN does not
// cross a colon, and one behind it does, also when values are tried out.
func TestMutantsARNSegments(t *testing.T) {
	deny := func(condition string) string {
		return `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{` + condition + `}}`
	}
	for pattern, want := range map[string]Decision{
		"arn:*:s3:eu:1:a": DecisionUnknown, "arn:aws:*:eu:1:a": DecisionUnknown, "arn:aws:s3:*:1:a": DecisionUnknown, "arn:aws:s3:eu:*:a": DecisionUnknown,
		"*:aws:s3:eu:1:a": DecisionUnknown, "arn:?:s3:eu:1:a": DecisionUnknown, "arn:aws:s3:eu:?:a": DecisionUnknown,
		"arn:aws:s3:eu:1:*": DecisionAllow, "arn:aws:s3:eu:1:?": DecisionAllow, "arn:aws:s3:eu:1:a:*:b": DecisionAllow,
	} {
		e := openPath(t, deny(`"StringLike":{"k:a":"`+pattern+`"},"ArnNotLike":{"k:a":"`+pattern+`"}`))
		if got := e.Decide(&Request{Action: "s3:GetObject", Unknown: func(string) bool { return true }}); got != want {
			t.Errorf("%s as text and not as ARN: got %s, want %s", pattern, got, want)
		}
	}
	for pattern, like := range map[string]string{"arn:aws:s3:::?a": "*:a", "arn:aws:s3:::*a": "*s3::::a", "arn:aws:s3:::b:*a": "*:b::a", "arn:aws:s3:::b:?a": "*:b::a"} {
		e := openPath(t, deny(`"StringLike":{"k:a":"`+like+`"},"ArnLike":{"k:a":"`+pattern+`"}`))
		if got := e.Decide(&Request{Action: "s3:GetObject", Unknown: func(string) bool { return true }}); got != DecisionUnknown {
			t.Errorf("%s and %s: got %s", pattern, like, got)
		}
	}
}

// TestMutantsSeveralValues: a key that AWS documents as multivalued can have two
// values that a condition needs, any other key cannot.
func TestMutantsSeveralValues(t *testing.T) {
	for key, want := range map[string]Decision{
		"aws:CalledVia": DecisionUnknown, "aws:PrincipalOrgPaths": DecisionUnknown, "aws:PrincipalServiceNamesList": DecisionUnknown, "aws:ResourceOrgPaths": DecisionUnknown,
		"aws:SourceOrgPaths": DecisionUnknown, "aws:TagKeys": DecisionUnknown, "aws:VpceOrgPaths": DecisionUnknown,
		"aws:PrincipalTag/Team": DecisionAllow, "aws:SourceVpc": DecisionAllow, "s3:prefix": DecisionAllow,
	} {
		e := openPath(t, `{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"`+key+`":"x"},"StringLike":{"`+key+`":"y"}}}`)
		if got := e.Decide(&Request{Action: "s3:GetObject", Unknown: func(k string) bool { return k == key }}); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
}

func TestMutantsStatementRef(t *testing.T) {
	for want, ref := range map[string]StatementRef{
		"ou / p / Sid":         {Level: "ou", Policy: "p", Sid: "Sid", Index: 2},
		"ou / p / statement 2": {Level: "ou", Policy: "p", Index: 2},
	} {
		if got := ref.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestMutantsPrefixes(t *testing.T) {
	for _, tc := range []struct {
		s, prefix string
		want      bool
	}{{"AB:c", "ab:", true}, {"ab:", "ab:", true}, {"ab", "ab:", false}, {"xab:", "ab:", false}, {"", "", true}} {
		if got := hasPrefixFold(tc.s, tc.prefix); got != tc.want {
			t.Errorf("%q begins with %q: got %v", tc.s, tc.prefix, got)
		}
	}
}

func TestMutantsResources(t *testing.T) {
	e := openPath(t, `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::a"}`)
	for _, tc := range []struct {
		resource  string
		resources []string
		want      Decision
	}{
		{"", []string{"arn:aws:s3:::a"}, DecisionAllow},
		{"", []string{"arn:aws:s3:::a", "arn:aws:s3:::b"}, DecisionDeny},
		{"arn:aws:s3:::a", []string{"arn:aws:s3:::a"}, DecisionAllow},
		{"arn:aws:s3:::a", []string{"arn:aws:s3:::b"}, DecisionDeny},
		{"arn:aws:s3:::b", []string{"arn:aws:s3:::a"}, DecisionDeny},
		{"", nil, DecisionDeny},
		{"", []string{}, DecisionDeny},
	} {
		if got := e.Decide(&Request{Action: "s3:GetObject", Resource: tc.resource, Resources: tc.resources}); got != tc.want {
			t.Errorf("%q and %q: got %s, want %s", tc.resource, tc.resources, got, tc.want)
		}
	}
}

func TestMutantsPrincipalContext(t *testing.T) {
	const role, session = "arn:aws:iam::111122223333:role/x", "arn:aws:sts::111122223333:assumed-role/x/s"
	for name, tc := range map[string]struct {
		p    Principal
		want map[string][]string
	}{
		"role session":  {Principal{Type: PrincipalRole, ARN: session, RoleARN: role}, ctx("aws:PrincipalArn", role, "aws:PrincipalAccount", "111122223333", "aws:PrincipalType", "AssumedRole")},
		"account given": {Principal{Type: PrincipalUser, ARN: "arn:aws:iam::111122223333:user/x", AccountID: "444455556666"}, ctx("aws:PrincipalArn", "arn:aws:iam::111122223333:user/x", "aws:PrincipalAccount", "444455556666", "aws:PrincipalType", "User")},
		"without ARN":   {Principal{Type: PrincipalRoot, AccountID: "111122223333"}, ctx("aws:PrincipalAccount", "111122223333", "aws:PrincipalType", "Account")},
		"service":       {Principal{Type: PrincipalAWSService, ARN: "config.amazonaws.com"}, ctx()},
		"anonymous":     {Principal{Type: PrincipalAnonymous, ARN: "arn:aws:iam::111122223333:user/x"}, ctx("aws:PrincipalAccount", "111122223333", "aws:PrincipalType", "Anonymous")},
		"nobody":        {Principal{}, ctx()},
		"service role":  {Principal{Type: PrincipalServiceLinkedRole, RoleARN: role}, ctx("aws:PrincipalArn", role, "aws:PrincipalAccount", "111122223333", "aws:PrincipalType", "AssumedRole")},
		"federated":     {Principal{Type: PrincipalFederatedUser, ARN: "arn:aws:sts::111122223333:federated-user/x"}, ctx("aws:PrincipalArn", "arn:aws:sts::111122223333:federated-user/x", "aws:PrincipalAccount", "111122223333", "aws:PrincipalType", "FederatedUser")},
		"no real ARN":   {Principal{Type: PrincipalUser, ARN: "x:aws:iam::111122223333:user/x"}, ctx("aws:PrincipalArn", "x:aws:iam::111122223333:user/x", "aws:PrincipalType", "User")},
	} {
		if diff := cmp.Diff(tc.want, tc.p.Context()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestMutantsParse(t *testing.T) {
	for src, want := range map[string][]string{
		`{"Statement":{"Effect":"Deny","Action":["*","s3"],"Resource":"*"}}`:                                                    {`Action "s3" is not`},
		`{"Statement":{"Effect":"Deny","Action":["s3:Get?","s3:"],"Resource":"*"}}`:                                             {`Action "s3:" is not`},
		`{"Statement":{"Effect":"Deny","Action":[":Get",""],"Resource":"*"}}`:                                                   {`Action ":Get" is not`, `Action "" is not`},
		`{"Statement":{"Effect":"Deny","Action":"s3:Get*","Resource":"*","Condition":{"ForAllValues:StringEqals":{"a:b":""}}}}`: {`did you mean StringEquals?`},
		`{"Statement":{"Effect":"Deny","Action":"s3:Get*","Resource":"*","Condition":{"ForAnyValue:Bol":{"a:b":""}}}}`:          {`did you mean Bool?`},
		`{"Statement":{"Effect":"Deny","Action":"s3:Get*","Resource":"*","Condition":{"Boool":{"a:b":""}}}}`:                    {`did you mean Bool?`},
		`{"Statement":{"Effect":"Deny","Action":"s3:Get*","Resource":"*","Condition":{"NumericEqualIfExists":{"a:b":""}}}}`:     {`did you mean NumericEquals?`},
	} {
		_, err := Parse("p", []byte(src))
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: missing %q in %v", src, w, err)
			}
		}
	}
	for _, good := range []string{
		`{"Statement":{"Effect":"Deny","Action":["**","s3:*","execute-api:Invoke","a4b:X_y.z-1","azAZ09:azAZ09"],"Resource":"*"}}`,
	} {
		if _, err := Parse("p", []byte(good)); err != nil {
			t.Error(err)
		}
	}
}

// classesOf returns which matchers match a value, for each of the values.
func classesOf(values []string, kinds []matcher) map[string]bool {
	out := map[string]bool{}
	for _, v := range values {
		out[classOf(v, kinds)] = true
	}
	return out
}

func classOf(value string, kinds []matcher) string {
	var b strings.Builder
	for i := range kinds {
		m := &kinds[i]
		c := condition{op: operator{kind: m.kind}, values: []test{{tmpl: template{text: m.pattern}, number: m.number, time: m.time, prefix: m.prefix}}}
		fmt.Fprint(&b, c.any(value, &Request{}), " ")
	}
	return b.String()
}

// TestMutantsTextClasses: whatever a text is, one of the texts that stand for all
// is matched by the same patterns; and there is only one for each set of patterns,
// but that the empty text stands alone.
func TestMutantsTextClasses(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	pieces := []string{"x", "arn", ":", "aws", ":::", "*", "?", "a", "B", "b", "ü", "true", ":s3:"}
	arns := []string{"arn:aws:*:::a", "arn:*:s3:::a*", "arn:aws:s3:::?:b", "arn:aws:s*:eu-?::*", "arn:aws:s3:::*", "*", "arn:aws", "arn:*:*:*:*:*"}
	text := func() string {
		var b strings.Builder
		for range rng.IntN(6) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		return b.String()
	}
	for round := range 400 {
		var ms []matcher
		for range 1 + rng.IntN(3) {
			kind := []opKind{opStringEquals, opStringEqualsIgnoreCase, opStringLike, opARN, opBool}[rng.IntN(5)]
			pattern := text()
			switch kind {
			case opStringLike:
				pattern = wildcards(pattern)
			case opARN:
				pattern = wildcards(arns[rng.IntN(len(arns))])
			case opBool:
				pattern = []string{"true", "FALSE", "x"}[rng.IntN(3)]
			}
			ms = append(ms, matcher{kind: kind, pattern: pattern})
		}
		values, ok := textClasses(ms)
		if !ok {
			continue
		}
		have := classesOf(values, ms)
		if len(values) > len(have)+1 {
			t.Errorf("round %d: %q stand for %d classes of %+v", round, values, len(have), ms)
		}
		for range 200 {
			v := text()
			if rng.IntN(2) == 0 { // something like one of the patterns
				v = strings.Map(func(r rune) rune {
					if r == '*' || r == '?' {
						return []rune("ab:B~")[rng.IntN(5)]
					}
					return r
				}, strings.NewReplacer("\xff", "*", "\xfe", "?").Replace(ms[rng.IntN(len(ms))].pattern))
			}
			if !have[classOf(v, ms)] {
				t.Errorf("round %d: nothing stands for %q among %q of %+v", round, v, values, ms)
			}
		}
	}
}

// TestMutantsTextClassesBounded: patterns that would take too much work have no list
// of classes, each bound on its own.
func TestMutantsTextClassesBounded(t *testing.T) {
	var many strings.Builder
	for r := range rune(maxAlphabet + 10) {
		many.WriteRune('一' + r)
	}
	like := func(patterns ...string) (ms []matcher) {
		for _, p := range patterns {
			ms = append(ms, matcher{kind: opStringLike, pattern: wildcards(p)})
		}
		return ms
	}
	for name, ms := range map[string][]matcher{
		"a pattern that is too long":            {{kind: opStringEquals, pattern: strings.Repeat("a", maxTokens+1)}},
		"too many different characters":         {{kind: opStringEquals, pattern: many.String()}},
		"patterns that come in too many sets":   like("*a*", "*b*", "*c*", "*d*", "*e*", "*f*", "*g*"),
		"a pattern with too many ways to match": like("*a" + strings.Repeat("?", 14)),
	} {
		if texts, ok := textClasses(ms); ok || texts != nil {
			t.Errorf("%s: %q, %v", name, texts, ok)
		}
	}
	if texts, ok := textClasses(like("*a*", "*b*", "*a??")); !ok || len(texts) < 6 {
		t.Errorf("few patterns: %q, %v", texts, ok)
	}
}

// TestMutantsTextClassesFold: a text that only a pattern of any letter case matches
// is a class of its own beside the pattern's own spelling.
func TestMutantsTextClassesFold(t *testing.T) {
	for _, word := range []string{"a", "k", "ſ", "BC"} {
		values, ok := textClasses([]matcher{{kind: opStringEqualsIgnoreCase, pattern: word}, {kind: opStringEquals, pattern: word}})
		if !ok || !slices.Contains(values, word) {
			t.Fatalf("%q: %q, %v", word, values, ok)
		}
		if !slices.ContainsFunc(values, func(v string) bool { return v != word && strings.EqualFold(v, word) }) {
			t.Errorf("%q: nothing in another letter case among %q", word, values)
		}
	}
}

func sign(n int) string {
	switch {
	case n < 0:
		return "<"
	case n > 0:
		return ">"
	}
	return "="
}

// TestMutantsValueClasses is the same for numbers, instants and addresses.
func TestMutantsValueClasses(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	numbers := []string{"0", "-1", "1", "10", "10.5", "10.55", "-0.25", "11", "100000000000000000000", "0.000001"}
	instants := []string{"2026-01-01", "2026-01-01T00:00:00.000000001Z", "1970-01-01", "1969-12-31T23:59:59.999999999Z", "1767225600", "99999999999999", "-99999999999999", "0000-01-01"}
	ranges := []string{"10.0.0.0/8", "10.0.0.0/9", "10.0.0.0/10", "10.128.0.0/9", "10.1.2.3", "0.0.0.0/0", "255.255.255.255", "2001:db8::/32", "2001:db8::/47", "::/0", "::1", "0.0.0.0/1"}
	hosts := []string{"9.255.255.255", "10.0.0.0", "10.63.255.255", "10.64.0.0", "10.127.255.255", "10.128.0.0", "11.0.0.0", "10.1.2.3", "127.255.255.255", "128.0.0.0", "2001:db7:ffff::", "2001:db8:1::", "2001:db8:2::", "2001:db9::", "::", "::2", "x"}
	for round := range 300 {
		var numeric, dates, addresses []matcher
		for range 1 + rng.IntN(3) {
			d, _ := parseDecimal(numbers[rng.IntN(len(numbers))])
			numeric = append(numeric, matcher{kind: opNumeric, number: d})
			i, ok := parseInstant(instants[rng.IntN(len(instants))])
			if !ok {
				t.Fatal("an instant is none")
			}
			dates = append(dates, matcher{kind: opDate, time: i})
			p, _ := parsePrefix(ranges[rng.IntN(len(ranges))])
			addresses = append(addresses, matcher{kind: opIP, prefix: p})
		}
		check := func(what string, values, others []string, class func(string) string) {
			have := map[string]bool{}
			for _, v := range values {
				have[class(v)] = true
			}
			for _, v := range others {
				if !have[class(v)] {
					t.Errorf("round %d: nothing stands for %s %q among %q", round, what, v, values)
				}
			}
		}
		check("the number", numberClasses(numeric), append(slices.Clone(numbers), "5", "-2", "10.52", "x", "1e30"), func(s string) string {
			out := ""
			for _, m := range numeric {
				if d, ok := parseDecimal(s); ok {
					out += sign(d.compare(m.number))
				}
			}
			return out
		})
		check("the instant", timeClasses(dates), append(slices.Clone(instants), "x", "2026-06-01", "1999-01-01", time.Unix(1767225600, 2).UTC().Format(time.RFC3339Nano)), func(s string) string {
			out := ""
			for _, m := range dates {
				if d, ok := parseInstant(s); ok {
					out += sign(d.compare(m.time))
				}
			}
			return out
		})
		check("the address", addressClasses(addresses), hosts, func(s string) string {
			out := ""
			for _, m := range addresses {
				if a, err := netip.ParseAddr(s); err == nil {
					out += fmt.Sprint(m.prefix.Contains(a), " ")
				}
			}
			return out
		})
	}
}
