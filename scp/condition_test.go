package scp

import (
	"encoding/json"
	"fmt"
	"testing"
)

// ctx builds a context from key, value, key, value...; a key followed by
// another []string has several values.
func ctx(pairs ...any) map[string][]string {
	m := map[string][]string{}
	for i := 0; i < len(pairs); i += 2 {
		switch v := pairs[i+1].(type) {
		case string:
			m[pairs[i].(string)] = []string{v}
		case []string:
			m[pairs[i].(string)] = v
		}
	}
	return m
}

// conditionMatches says whether a condition holds, by way of a Deny statement.
func conditionMatches(t *testing.T, version, condition string, context map[string][]string) bool {
	t.Helper()
	if version != "" {
		version = fmt.Sprintf(`"Version":%q,`, version)
	}
	d := mustParse(t, `{`+version+`"Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":`+condition+`},{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	e := mustCompile(t, Org{Path: []Level{{Type: LevelOU, ID: "ou", Policies: []Policy{{Name: "p", Document: d}}}}})
	r := &Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Context: context}
	got := e.Evaluate(r)
	if d := e.Decide(r); d != got.Decision || d == DecisionUnknown {
		t.Fatalf("%s: Evaluate says %s, Decide %s", condition, got.Decision, d)
	}
	return got.Kind == KindExplicitDeny
}

func TestConditions(t *testing.T) {
	tests := []struct {
		condition string
		context   map[string][]string
		want      bool
	}{
		// Strings.
		{`{"StringEquals":{"k:a":"x"}}`, ctx("k:a", "x"), true},
		{`{"StringEquals":{"k:a":"x"}}`, ctx("k:a", "X"), false},
		{`{"StringEquals":{"k:a":"x*"}}`, ctx("k:a", "x*"), true},
		{`{"StringEquals":{"k:a":"x*"}}`, ctx("k:a", "xy"), false},
		{`{"StringEquals":{"k:a":"x?"}}`, ctx("k:a", "xy"), false},
		{`{"StringEquals":{"k:a":""}}`, ctx("k:a", ""), true},
		{`{"StringEquals":{"k:a":["x","y"]}}`, ctx("k:a", "y"), true},
		{`{"StringEquals":{"k:a":[]}}`, ctx("k:a", "y"), false},
		{`{"StringNotEquals":{"k:a":[]}}`, ctx("k:a", "y"), true},
		{`{"StringEquals":{"k:a":"x"}}`, ctx(), false},
		{`{"StringNotEquals":{"k:a":["x","y"]}}`, ctx("k:a", "z"), true},
		{`{"StringNotEquals":{"k:a":["x","y"]}}`, ctx("k:a", "y"), false},
		{`{"StringNotEquals":{"k:a":"x"}}`, ctx(), true},
		{`{"StringEqualsIgnoreCase":{"k:a":"Straße"}}`, ctx("k:a", "sTRAßE"), true},
		{`{"StringNotEqualsIgnoreCase":{"k:a":"X"}}`, ctx("k:a", "x"), false},
		{`{"StringLike":{"k:a":"a*c"}}`, ctx("k:a", "abbc"), true},
		{`{"StringLike":{"k:a":"a*c"}}`, ctx("k:a", "abbcd"), false},
		{`{"StringLike":{"k:a":"*"}}`, ctx("k:a", ""), true},
		{`{"StringLike":{"k:a":"?"}}`, ctx("k:a", ""), false},
		{`{"StringLike":{"k:a":"?"}}`, ctx("k:a", "ü"), true},
		{`{"StringLike":{"k:a":"*?b"}}`, ctx("k:a", "üüb"), true},
		{`{"StringLike":{"k:a":"A*"}}`, ctx("k:a", "ab"), false},
		{`{"StringLike":{"k:a":"arn:*:role/x"}}`, ctx("k:a", "arn:aws:iam::1:role/x"), true},
		{`{"StringLike":{"k:a":"a**b"}}`, ctx("k:a", "ab"), true},
		{`{"StringLike":{"k:a":"*a*b*a*"}}`, ctx("k:a", "xaybzaw"), true},
		{`{"StringNotLike":{"k:a":"a*"}}`, ctx("k:a", "ba"), true},
		{`{"StringNotLike":{"k:a":"a*"}}`, ctx("k:a", "ab"), false},

		// Letter case of keys, tag keys and operators.
		{`{"StringEquals":{"AWS:PRINCIPALTAG/TEAM":"x"}}`, ctx("aws:PrincipalTag/team", "x"), true},
		{`{"stringequals":{"aws:principalarn":"x"}}`, ctx("aws:PrincipalArn", "x"), true},
		{`{"STRINGEQUALSIFEXISTS":{"k:a":"x"}}`, ctx(), true},
		{`{"FORANYVALUE:STRINGLIKE":{"aws:tagkeys":"x*"}}`, ctx("AWS:TAGKEYS", "xy"), true},

		// Numbers.
		{`{"NumericEquals":{"k:n":"10"}}`, ctx("k:n", "10.00"), true},
		{`{"NumericEquals":{"k:n":10}}`, ctx("k:n", "010"), true},
		{`{"NumericEquals":{"k:n":"0"}}`, ctx("k:n", "-0.0"), true},
		{`{"NumericEquals":{"k:n":"1e1"}}`, ctx("k:n", "10"), true},
		{`{"NumericEquals":{"k:n":"0.1"}}`, ctx("k:n", ".1"), true},
		{`{"NumericEquals":{"k:n":"9007199254740993"}}`, ctx("k:n", "9007199254740992"), false},
		{`{"NumericNotEquals":{"k:n":"10"}}`, ctx("k:n", "11"), true},
		{`{"NumericNotEquals":{"k:n":"10"}}`, ctx("k:n", "ten"), true},
		{`{"NumericNotEquals":{"k:n":"10"}}`, ctx(), true},
		{`{"NumericLessThan":{"k:n":"10"}}`, ctx("k:n", "9.99"), true},
		{`{"NumericLessThan":{"k:n":"10"}}`, ctx("k:n", "10"), false},
		{`{"NumericLessThan":{"k:n":"10"}}`, ctx("k:n", "-11"), true},
		{`{"NumericLessThan":{"k:n":"-10"}}`, ctx("k:n", "-9"), false},
		{`{"NumericLessThan":{"k:n":"10"}}`, ctx("k:n", "x"), false},
		{`{"NumericLessThan":{"k:n":"x"}}`, ctx("k:n", "1"), false},
		{`{"NumericLessThanEquals":{"k:n":"10"}}`, ctx("k:n", "10.0"), true},
		{`{"NumericGreaterThan":{"k:n":"10"}}`, ctx("k:n", "10.000000001"), true},
		{`{"NumericGreaterThan":{"k:n":"9"}}`, ctx("k:n", "10"), true},
		{`{"NumericGreaterThanEquals":{"k:n":["10","20"]}}`, ctx("k:n", "15"), true},
		{`{"NumericEquals":{"k:n":"NaN"}}`, ctx("k:n", "NaN"), false},
		{`{"NumericEquals":{"k:n":"0x10"}}`, ctx("k:n", "16"), false},
		{`{"NumericEquals":{"k:n":"${k:m}"}}`, ctx("k:n", "16", "k:m", "16"), false},

		// Dates.
		{`{"DateEquals":{"aws:CurrentTime":"2026-11-20T12:00:00Z"}}`, ctx("aws:CurrentTime", "2026-11-20T13:00:00+01:00"), true},
		{`{"DateEquals":{"aws:CurrentTime":"2026-11-20T12:00:00Z"}}`, ctx("aws:CurrentTime", "1795176000"), true},
		{`{"DateEquals":{"aws:CurrentTime":"2026-11-20T12:00:00Z"}}`, ctx("aws:CurrentTime", "2026-11-20T12:00:00.001Z"), false},
		{`{"DateEquals":{"aws:CurrentTime":"2026-11-20"}}`, ctx("aws:CurrentTime", "2026-11-20T00:00Z"), true},
		{`{"DateLessThan":{"aws:CurrentTime":"2027"}}`, ctx("aws:CurrentTime", "2026-12-31T23:59:59Z"), true},
		{`{"DateLessThan":{"aws:CurrentTime":"2027-01"}}`, ctx("aws:CurrentTime", "2027-01-01T00:00:00Z"), false},
		{`{"DateLessThanEquals":{"aws:EpochTime":"1735689600"}}`, ctx("aws:EpochTime", "1735689600"), true},
		{`{"DateGreaterThan":{"aws:EpochTime":1735689600}}`, ctx("aws:EpochTime", "1735689601"), true},
		{`{"DateGreaterThanEquals":{"aws:EpochTime":"2025-01-01T00:00:00Z"}}`, ctx("aws:EpochTime", "1735689600"), true},
		{`{"DateGreaterThan":{"aws:CurrentTime":"2026-02-30T00:00:00Z"}}`, ctx("aws:CurrentTime", "2027-01-01T00:00:00Z"), false},
		{`{"DateNotEquals":{"aws:CurrentTime":"soon"}}`, ctx("aws:CurrentTime", "2027-01-01T00:00:00Z"), true},
		{`{"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}}`, ctx("aws:CurrentTime", "tomorrow"), false},
		{`{"DateLessThan":{"aws:TokenIssueTime":"2026-01-01T00:00:00Z"}}`, ctx(), false},
		{`{"DateLessThanIfExists":{"aws:TokenIssueTime":"2026-01-01T00:00:00Z"}}`, ctx(), true},

		// Booleans.
		{`{"Bool":{"aws:SecureTransport":"true"}}`, ctx("aws:SecureTransport", "true"), true},
		{`{"Bool":{"aws:SecureTransport":true}}`, ctx("aws:SecureTransport", "TRUE"), true},
		{`{"Bool":{"aws:SecureTransport":"false"}}`, ctx(), false},
		{`{"BoolIfExists":{"aws:SecureTransport":"false"}}`, ctx(), true},
		{`{"Bool":{"aws:SecureTransport":"1"}}`, ctx("aws:SecureTransport", "1"), false},
		{`{"Bool":{"aws:SecureTransport":["true","false"]}}`, ctx("aws:SecureTransport", "false"), true},
		{`{"Bool":{"k:a":"${aws:ViaAWSService}"}}`, ctx("k:a", "true", "aws:ViaAWSService", "true"), true},

		// Binary.
		{`{"BinaryEquals":{"k:b":"QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}`, ctx("k:b", "QmluYXJ5VmFsdWVJbkJhc2U2NA=="), true},
		{`{"BinaryEquals":{"k:b":"QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}`, ctx("k:b", "QmluYXJ5VmFsdWVJbkJhc2U2NA"), true},
		{`{"BinaryEquals":{"k:b":"QUJD"}}`, ctx("k:b", "QUJE"), false},
		{`{"BinaryEquals":{"k:b":"!"}}`, ctx("k:b", "!"), false},
		{`{"BinaryEqualsIfExists":{"k:b":"QUJD"}}`, ctx(), true},

		// Addresses.
		{`{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}`, ctx("aws:SourceIp", "203.0.113.9"), true},
		{`{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}`, ctx("aws:SourceIp", "2001:db8::1"), false},
		{`{"IpAddress":{"aws:SourceIp":"::/0"}}`, ctx("aws:SourceIp", "203.0.113.9"), false},
		{`{"IpAddress":{"aws:SourceIp":"203.0.113.9"}}`, ctx("aws:SourceIp", "203.0.113.9"), true},
		{`{"IpAddress":{"aws:SourceIp":"203.0.113.77/24"}}`, ctx("aws:SourceIp", "203.0.113.9"), true},
		{`{"IpAddress":{"aws:SourceIp":"2001:DB8:1234:5678::/64"}}`, ctx("aws:SourceIp", "2001:db8:1234:5678:0:0:0:1"), true},
		{`{"IpAddress":{"aws:SourceIp":"2001:db8::1"}}`, ctx("aws:SourceIp", "2001:0db8:0:0:0:0:0:1"), true},
		{`{"IpAddress":{"aws:SourceIp":"203.0.113.0/33"}}`, ctx("aws:SourceIp", "203.0.113.9"), false},
		{`{"NotIpAddress":{"aws:SourceIp":"203.0.113.9"}}`, ctx("aws:SourceIp", "2001:db8::1"), true},
		{`{"NotIpAddress":{"aws:SourceIp":["203.0.113.0/24","198.51.100.0/24"]}}`, ctx("aws:SourceIp", "198.51.100.1"), false},
		{`{"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, ctx(), true},
		{`{"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, ctx("aws:SourceIp", "cloudformation.amazonaws.com"), true},
		{`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, ctx("aws:SourceIp", "AWS Internal"), false},

		// ARNs.
		{`{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:*:*:t*"}}`, ctx("aws:SourceArn", "arn:aws:sns:eu-west-1:1:topic"), true},
		{`{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:topic"}}`, ctx("aws:SourceArn", "arn:aws:sns:eu-west-1:1:topic"), false},
		{`{"ArnLike":{"aws:SourceArn":"arn:*:sns:*:*:topic"}}`, ctx("aws:SourceArn", "arn:aws-cn:sns:cn-north-1:1:topic"), true},
		{`{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:topic"}}`, ctx("aws:SourceArn", "arn:aws-cn:sns:cn-north-1:1:topic"), false},
		{`{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:TOPIC"}}`, ctx("aws:SourceArn", "arn:aws:sns:eu-west-1:1:topic"), false},
		{`{"ArnLike":{"aws:SourceArn":"arn:aws:logs:*:*:log-group:*"}}`, ctx("aws:SourceArn", "arn:aws:logs:eu-west-1:1:log-group:/a:b"), true},
		{`{"ArnLike":{"aws:SourceArn":"*"}}`, ctx("aws:SourceArn", "arn:aws:sns:eu-west-1:1:topic"), true},
		{`{"ArnNotLike":{"aws:SourceArn":["not-an-arn","arn:aws:sns:*:*:x"]}}`, ctx("aws:SourceArn", "arn:aws:sns:eu-west-1:1:topic"), true},
		{`{"ArnNotLike":{"aws:SourceArn":["not-an-arn","arn:aws:sns:*:*:topic"]}}`, ctx("aws:SourceArn", "arn:aws:sns:eu-west-1:1:topic"), false},
		{`{"ArnNotEquals":{"aws:SourceArn":"arn:aws:sns:*:*:x"}}`, ctx("aws:SourceArn", "no arn"), true},
		{`{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:x"}}`, ctx("aws:SourceArn", "no arn"), false},
		{`{"ArnNotLike":{"aws:SourceArn":"arn:aws:sns:*:*:x"}}`, ctx(), true},
		{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::${aws:PrincipalAccount}:role/x"}}`, ctx("aws:PrincipalArn", "arn:aws:iam::123456789012:role/x", "aws:PrincipalAccount", "123456789012"), true},
		{`{"ArnLike":{"aws:SourceArn":"${aws:PrincipalArn}"}}`, ctx("aws:PrincipalArn", "arn:aws:iam::1:role/x", "aws:SourceArn", "arn:aws:iam::1:role/x"), true},

		// Null.
		{`{"Null":{"k:a":"true"}}`, ctx(), true},
		{`{"Null":{"k:a":"true"}}`, ctx("k:a", "x"), false},
		{`{"Null":{"k:a":false}}`, ctx("k:a", ""), true},
		{`{"Null":{"k:a":"true"}}`, ctx("k:a", []string{}), true},
		{`{"Null":{"k:a":["true","false"]}}`, ctx(), true},
		{`{"Null":{"k:a":"maybe"}}`, ctx(), false},

		// Sets.
		{`{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`, ctx("aws:TagKeys", []string{"a", "b"}), true},
		{`{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`, ctx("aws:TagKeys", []string{"a", "c"}), false},
		{`{"ForAllValues:StringEquals":{"aws:TagKeys":["a"]}}`, ctx(), true},
		{`{"ForAllValues:StringEquals":{"aws:TagKeys":["a"]}}`, ctx("aws:TagKeys", []string{}), true},
		{`{"ForAllValues:StringEquals":{"aws:TagKeys":["a"]}}`, ctx("aws:TagKeys", ""), true},
		{`{"ForAllValues:StringNotEquals":{"aws:TagKeys":["a"]}}`, ctx("aws:TagKeys", []string{"a", "b"}), false},
		{`{"ForAllValues:StringNotEquals":{"aws:TagKeys":["a"]}}`, ctx(), true},
		{`{"ForAllValues:StringEqualsIfExists":{"aws:TagKeys":["a"]}}`, ctx(), true},
		{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["a"]}}`, ctx("aws:TagKeys", []string{"b", "a"}), true},
		{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["a"]}}`, ctx(), false},
		{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["a"]}}`, ctx("aws:TagKeys", []string{}), false},
		{`{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["a"]}}`, ctx(), false},
		{`{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["a"]}}`, ctx("aws:TagKeys", []string{"a", "b"}), true},
		{`{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["a"]}}`, ctx("aws:TagKeys", []string{"a"}), false},
		{`{"ForAnyValue:StringEqualsIfExists":{"aws:TagKeys":["a"]}}`, ctx(), false},
		{`{"ForAnyValue:ArnLike":{"k:a":["arn:aws:s3:::b*"]}}`, ctx("k:a", []string{"x", "arn:aws:s3:::bb"}), true},
		{`{"ForAllValues:NumericLessThan":{"k:n":"5"}}`, ctx("k:n", []string{"1", "9"}), false},
		{`{"ForAnyValue:IpAddress":{"k:i":"10.0.0.0/8"}}`, ctx("k:i", []string{"9.9.9.9", "10.1.1.1"}), true},
		{`{"ForAnyValue:Bool":{"k:b":"true"}}`, ctx("k:b", []string{"false", "true"}), true},

		// AND over operators and keys.
		{`{"StringEquals":{"k:a":"x","k:b":"y"}}`, ctx("k:a", "x", "k:b", "z"), false},
		{`{"StringEquals":{"k:a":"x"},"StringNotEquals":{"k:b":"y"}}`, ctx("k:a", "x", "k:b", "z"), true},
		{`{}`, ctx(), true},

		// Variables.
		{`{"StringEquals":{"k:a":"${k:b}"}}`, ctx("k:a", "x", "k:b", "x"), true},
		{`{"StringEquals":{"k:a":"${k:b}"}}`, ctx("k:a", "x"), false},
		{`{"StringNotEquals":{"k:a":"${k:b}"}}`, ctx("k:a", "x"), true},
		{`{"StringNotEquals":{"k:a":["${k:b}","x"]}}`, ctx("k:a", "x"), false},
		{`{"StringEquals":{"k:a":["${k:b}","x"]}}`, ctx("k:a", "x"), true},
		{`{"StringEquals":{"k:a":"${k:b, 'd'}"}}`, ctx("k:a", "d"), true},
		{`{"StringEquals":{"k:a":"${k:b,'d'}"}}`, ctx("k:a", "d"), true},
		{`{"StringEquals":{"k:a":"${k:b, 'd'}"}}`, ctx("k:a", "d", "k:b", "x"), false},
		{`{"StringEquals":{"k:a":"${k:b, ''}"}}`, ctx("k:a", ""), true},
		{`{"StringEquals":{"k:a":"${k:b, 'a}b'}"}}`, ctx("k:a", "a}b"), true},
		{`{"StringEquals":{"k:a":"${k:b}"}}`, ctx("k:a", "", "k:b", ""), true},
		{`{"StringLike":{"k:a":"${k:b}*"}}`, ctx("k:a", "xyz", "k:b", "xy"), true},
		{`{"StringLike":{"k:a":"${k:b}"}}`, ctx("k:a", "xyz", "k:b", "x*"), false},
		{`{"StringLike":{"k:a":"${k:b}"}}`, ctx("k:a", "x*", "k:b", "x*"), true},
		{`{"StringLike":{"k:a":"${k:b}"}}`, ctx("k:a", "x", "k:b", []string{"x", "y"}), false},
		{`{"StringEquals":{"k:a":"${*}${?}${$}"}}`, ctx("k:a", "*?$"), true},
		{`{"StringLike":{"k:a":"a${*}"}}`, ctx("k:a", "abc"), false},
		{`{"StringLike":{"k:a":"a${*}*"}}`, ctx("k:a", "a*bc"), true},
		{`{"StringEquals":{"k:a":"${"}}`, ctx("k:a", "${"), true},
		{`{"StringEquals":{"k:a":"$x"}}`, ctx("k:a", "$x"), true},
		{`{"StringEquals":{"k:a":"${K:B}"}}`, ctx("k:a", "x", "k:b", "x"), true},
	}
	for _, tc := range tests {
		if got := conditionMatches(t, Version2012, tc.condition, tc.context); got != tc.want {
			t.Errorf("%s with %v: got %v, want %v", tc.condition, tc.context, got, tc.want)
		}
	}
}

// TestVersions checks that only the newer version has policy variables.
func TestVersions(t *testing.T) {
	for _, version := range []string{Version2008, ""} {
		if conditionMatches(t, version, `{"StringEquals":{"k:a":"${k:b}"}}`, ctx("k:a", "x", "k:b", "x")) {
			t.Errorf("version %q expands variables", version)
		}
		if !conditionMatches(t, version, `{"StringEquals":{"k:a":"${k:b}"}}`, ctx("k:a", "${k:b}")) {
			t.Errorf("version %q does not keep ${ as text", version)
		}
		if !conditionMatches(t, version, `{"StringLike":{"k:a":"${*}"}}`, ctx("k:a", "${xyz}")) {
			t.Errorf("version %q escapes the wildcard", version)
		}
	}
}

// TestMatching covers actions and resources, with the same shape of statement.
func TestMatching(t *testing.T) {
	arn := "arn:aws:s3:::b/k"
	tests := []struct {
		statement, action, resource string
		want                        bool
	}{
		{`"Action":"*","Resource":"*"`, "s3:GetObject", arn, true},
		{`"Action":"S3:getOBJECT","Resource":"*"`, "s3:GetObject", arn, true},
		{`"Action":"s3:Get*","Resource":"*"`, "S3:GETOBJECT", arn, true},
		{`"Action":"s3:GetObject*","Resource":"*"`, "s3:GetObject", arn, true},
		{`"Action":"s3:GetObject?","Resource":"*"`, "s3:GetObject", arn, false},
		{`"Action":"s?:*","Resource":"*"`, "s3:GetObject", arn, true},
		{`"Action":"*:GetObject","Resource":"*"`, "s3:GetObject", arn, true},
		{`"Action":"*:*","Resource":"*"`, "s3:GetObject", arn, true},
		{`"Action":"s3:*","Resource":"*"`, "s3express:GetObject", arn, false},
		{`"Action":["ec2:*","s3:Put*"],"Resource":"*"`, "s3:GetObject", arn, false},
		{`"Action":[],"Resource":"*"`, "s3:GetObject", arn, false},
		{`"NotAction":["ec2:*"],"Resource":"*"`, "s3:GetObject", arn, true},
		{`"NotAction":["ec2:*","s3:g*"],"Resource":"*"`, "s3:GetObject", arn, false},
		{`"NotAction":"*","Resource":"*"`, "s3:GetObject", arn, false},
		{`"Action":"*","Resource":"arn:aws:s3:::b/*"`, "s3:GetObject", arn, true},
		{`"Action":"*","Resource":"arn:aws:s3:::B/*"`, "s3:GetObject", arn, false},
		{`"Action":"*","Resource":"arn:aws:s3:::b"`, "s3:GetObject", arn, false},
		{`"Action":"*","Resource":"arn:*:s3:::b/?"`, "s3:GetObject", arn, true},
		{`"Action":"*","Resource":"arn:aws-cn:s3:::b/k"`, "s3:GetObject", arn, false},
		{`"Action":"*","Resource":"arn:aws:s3:*b/k"`, "s3:GetObject", arn, false},
		{`"Action":"*","Resource":"arn:aws:*"`, "s3:GetObject", arn, false},
		{`"Action":"*","Resource":"arn:aws:logs:*:*:log-group:*"`, "logs:PutLogEvents", "arn:aws:logs:eu-west-1:1:log-group:a:log-stream:b", true},
		{`"Action":"*","Resource":"arn:aws:ec2:*:*:*/i-*"`, "ec2:StopInstances", "arn:aws:ec2:eu-west-1:1:instance/i-1", true},
		{`"Action":"*","Resource":["arn:aws:s3:::x","arn:aws:s3:::b/k"]`, "s3:GetObject", arn, true},
		{`"Action":"*","Resource":[]`, "s3:GetObject", arn, false},
		{`"Action":"*","Resource":"*"`, "s3:ListAllMyBuckets", "", true},
		{`"Action":"*","Resource":"**"`, "s3:ListAllMyBuckets", "", true},
		{`"Action":"*","Resource":"arn:aws:s3:::*"`, "s3:ListAllMyBuckets", "", false},
		{`"Action":"*","Resource":"arn:*:*:*:*:*"`, "s3:ListAllMyBuckets", "*", false},
		{`"Action":"*","NotResource":"arn:aws:s3:::*"`, "s3:ListAllMyBuckets", "", true},
		{`"Action":"*","NotResource":"*"`, "s3:ListAllMyBuckets", "", false},
		{`"Action":"*","NotResource":["arn:aws:s3:::x","arn:aws:s3:::b/*"]`, "s3:GetObject", arn, false},
		{`"Action":"*","Resource":"arn:aws:s3:::${k:tag}/*"`, "s3:GetObject", arn, true},
		{`"Action":"*","Resource":"arn:aws:s3:::${k:none}/*"`, "s3:GetObject", arn, false},
		{`"Action":"*","NotResource":"arn:aws:s3:::${k:none}/*"`, "s3:GetObject", arn, true},
		{`"Action":"*","Resource":"arn:aws:s3:::${k:none, 'b'}/*"`, "s3:GetObject", arn, true},
		{`"Action":"*","Resource":"arn:aws:s3::${k:none, ''}:b/*"`, "s3:GetObject", arn, false},
		{`"Action":"*","NotResource":"arn:aws:s3::${k:none, ''}:b/*"`, "s3:GetObject", arn, true},
		{`"Action":"*","Resource":"arn:aws:s3:::b/${*}"`, "s3:GetObject", arn, false},
	}
	for _, tc := range tests {
		d := mustParse(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny",`+tc.statement+`}]}`)
		e := mustCompile(t, Org{Path: []Level{{Type: LevelOU, ID: "ou", Policies: []Policy{{Name: "p", Document: d}}}}})
		r := &Request{Action: tc.action, Resource: tc.resource, Context: ctx("k:tag", "b")}
		if got := e.Evaluate(r).Kind == KindExplicitDeny; got != tc.want {
			t.Errorf("%s for %s on %q: got %v, want %v", tc.statement, tc.action, tc.resource, got, tc.want)
		}
	}
}

func TestSeveralResources(t *testing.T) {
	policy := func(statements string) Org {
		d := mustParse(t, `{"Version":"2012-10-17","Statement":[`+statements+`]}`)
		return Org{Path: []Level{{Type: LevelOU, ID: "ou", Policies: []Policy{{Name: "p", Document: d}}}}}
	}
	all := `{"Effect":"Allow","Action":"*","Resource":"*"}`
	image, instance := "arn:aws:ec2:eu-west-1::image/ami-1", "arn:aws:ec2:eu-west-1:1:instance/*"
	for _, tc := range []struct {
		statements string
		resource   string
		resources  []string
		want       Kind
	}{
		{all + `,{"Effect":"Deny","Action":"*","Resource":"arn:aws:ec2:*::image/*"}`, instance, []string{image}, KindExplicitDeny},
		{all + `,{"Effect":"Deny","Action":"*","Resource":"arn:aws:ec2:*::image/*"}`, instance, nil, KindAllowed},
		{all + `,{"Effect":"Deny","Action":"*","NotResource":"arn:aws:ec2:*:*:*"}`, "", []string{instance, image}, KindAllowed},
		{`{"Effect":"Allow","Action":"*","Resource":"arn:aws:ec2:*:*:instance/*"}`, instance, []string{image}, KindImplicitDeny},
		{`{"Effect":"Allow","Action":"*","Resource":"arn:aws:ec2:*:*:instance/*"},{"Effect":"Allow","Action":"*","Resource":"arn:aws:ec2:*::image/*"}`, instance, []string{image}, KindAllowed},
	} {
		e := mustCompile(t, policy(tc.statements))
		r := &Request{Action: "ec2:RunInstances", Resource: tc.resource, Resources: tc.resources}
		if got := e.Evaluate(r).Kind; got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.statements, got, tc.want)
		}
	}
}

func TestContextSpelledTwice(t *testing.T) {
	for range 50 {
		if !conditionMatches(t, Version2012, `{"StringEquals":{"aws:principalarn":"right"}}`, ctx("AWS:PRINCIPALARN", "wrong", "aws:PrincipalArn", "right", "aws:principalarn", "wrong")) {
			t.Fatal("the documented spelling does not win")
		}
		if !conditionMatches(t, Version2012, `{"StringEquals":{"x:key":"right"}}`, ctx("x:Key", "wrong", "X:key", "right")) {
			t.Fatal("the first spelling in byte order does not win")
		}
	}
}

func TestResultJSONHasNoNulls(t *testing.T) {
	e := mustCompile(t, defaultPath(t))
	out, err := json.Marshal(e.Evaluate(defaultRequest("s3:GetObject", "x")))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"decision":"ALLOW","kind":"ALLOWED","exemption":"","decidingStatements":[],"levelsWithoutAllow":[],"dependsOn":[],`
	if len(out) < len(want) || string(out[:len(want)]) != want {
		t.Errorf("got %s", out)
	}
}
