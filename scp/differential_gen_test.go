package scp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"
)

// Generated policies and requests. Values of policies are made from values of
// requests, slightly changed, so that about half of everything matches. What
// AWS's documentation leaves open is not generated: plain operators on keys with
// several values, wildcards in the part of an ARN that names the resource type,
// wildcards for the whole service of an action, empty values and lists, and
// values with wildcard characters behind a variable.

type genStatement struct {
	Sid         string
	Effect      string
	Action      []string                       `json:",omitempty"`
	NotAction   []string                       `json:",omitempty"`
	Resource    []string                       `json:",omitempty"`
	NotResource []string                       `json:",omitempty"`
	Condition   map[string]map[string][]string `json:",omitempty"`
}

type genDocument struct {
	Version   string `json:",omitempty"`
	Statement []genStatement
}

type genPolicy struct {
	Name   string      `json:"name"`
	Policy genDocument `json:"policy"`
}

type genLevel struct {
	ID       string      `json:"orgIdentifier"`
	Policies []genPolicy `json:"policies"`
}

// genRequest has a string or a list of strings for every context key.
type genRequest struct {
	Action   string         `json:"action"`
	Resource string         `json:"resource"`
	Context  map[string]any `json:"context"`
}

// genBatch is one path with the requests asked of it.
type genBatch struct {
	Levels   []genLevel   `json:"levels"`
	Requests []genRequest `json:"requests"`
}

const genAccount = "111122223333"

// genKey is a condition key with the kind of its values.
type genKey struct {
	name  string
	kind  opKind
	multi bool
}

var genKeys = []genKey{
	{name: "aws:PrincipalTag/Team"}, {name: "aws:RequestTag/Env"}, {name: "aws:userid"}, {name: "aws:RequestedRegion"}, {name: "kms:EncryptionContext:app"},
	{name: "aws:TagKeys", multi: true}, {name: "aws:PrincipalOrgPaths", multi: true},
	{name: "aws:PrincipalAccount"}, {name: "aws:MultiFactorAuthAge", kind: opNumeric}, {name: "s3:max-keys", kind: opNumeric},
	{name: "aws:CurrentTime", kind: opDate}, {name: "aws:TokenIssueTime", kind: opDate},
	{name: "aws:SecureTransport", kind: opBool}, {name: "aws:MultiFactorAuthPresent", kind: opBool},
	{name: "aws:SourceIp", kind: opIP}, {name: "aws:VpcSourceIp", kind: opIP},
	{name: "aws:PrincipalArn", kind: opARN}, {name: "aws:SourceArn", kind: opARN},
	{name: "x:Fingerprint", kind: opBinary},
}

var (
	genWords   = []string{"alpha", "Alpha", "alpha-1", "beta", "be/ta", "gamma:ray", "über", "a", "eu-west-1", "us-east-1", "team/alpha"}
	genNumbers = []string{"0", "5", "5.0", "-3", "10", "10.25", "3600", "0012", "0.5"}
	genDates   = []string{"2026-11-20T12:00:00Z", "2026-11-20T12:00:01Z", "2026-11-20T11:59:59Z", "2027-01-01T00:00:00Z", "2025-06-30T23:59:59Z", "2026-11-20"}
	genHosts   = []string{"10.1.2.3", "10.1.2.4", "203.0.113.77", "192.168.0.1", "2001:db8::1", "2001:db8:0:1::5", "2001:DB8:0::1"}
	genRanges  = []string{"10.0.0.0/8", "10.1.2.0/24", "10.1.2.3/32", "203.0.113.64/26", "192.168.0.0/31", "2001:db8::/32", "2001:db8::/64", "2001:db8:0:1::/64", "0.0.0.0/0", "::/0"}
	genARNs    = []string{"arn:aws:iam::111122223333:role/OrgAdmin", "arn:aws:iam::111122223333:role/path/to/ci", "arn:aws:iam::111122223333:user/alpha", "arn:aws:s3:::alpha", "arn:aws:sns:eu-west-1:111122223333:topic:sub"}
	genBinary  = []string{"AQID", "BBBB", "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}
	genCalls   = []struct{ action, resource string }{
		{"s3:GetObject", "arn:aws:s3:::alpha/team/alpha/report.txt"},
		{"s3:GetObject", "arn:aws:s3:::alpha/Über uns?"},
		{"s3:PutObject", "arn:aws:s3:::beta/a"},
		{"s3:DeleteBucket", "arn:aws:s3:::alpha"},
		{"s3:ListAllMyBuckets", "*"},
		{"ec2:DescribeInstances", "*"},
		{"ec2:TerminateInstances", "arn:aws:ec2:eu-west-1:111122223333:instance/i-0abc"},
		{"config:StopConfigurationRecorder", "arn:aws:config:ap-northeast-1:111122223333:configuration-recorder/default/abcd1234"},
		{"config:PutDeliveryChannel", "*"},
		{"iam:DeleteRole", "arn:aws:iam::111122223333:role/path/to/ci"},
		{"sns:Publish", "arn:aws:sns:eu-west-1:111122223333:topic:sub"},
		{"logs:DeleteLogGroup", "arn:aws:logs:us-east-1:111122223333:log-group:alpha/beta:x"},
	}
)

var genFull = genPolicy{"FullAWSAccess", genDocument{Version2012, []genStatement{{Sid: "All", Effect: "Allow", Action: []string{"*"}, Resource: []string{"*"}}}}}

// generator makes batches from a seed.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 2026))} }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g generator, list []T) T { return list[g.IntN(len(list))] }

// mix changes the case of some letters.
func (g generator) mix(s string) string {
	return strings.Map(func(r rune) rune {
		switch g.IntN(3) {
		case 0:
			return unicode.ToUpper(r)
		case 1:
			return unicode.ToLower(r)
		}
		return r
	}, s)
}

func (g generator) request() genRequest {
	c := pick(g, genCalls)
	r := genRequest{Action: c.action, Resource: c.resource, Context: map[string]any{}}
	for _, k := range genKeys {
		// Requests on * go through a stricter check of the keys: driver.mjs.
		if !g.chance(75) || r.Resource == "*" && !strings.HasPrefix(k.name, "aws:") {
			continue
		}
		name := k.name
		if g.chance(20) {
			name = g.mix(name)
		}
		if !k.multi {
			r.Context[name] = g.known(k.kind)
			continue
		}
		values := []string{}
		for range 1 + g.IntN(3) {
			values = append(values, g.known(k.kind))
		}
		r.Context[name] = values
	}
	return r
}

// known is a value a request may have.
func (g generator) known(k opKind) string {
	switch k {
	case opNumeric:
		return pick(g, genNumbers)
	case opDate:
		if g.chance(15) {
			return pick(g, []string{"1795176000", "1795176001"})
		}
		return pick(g, genDates)
	case opBool:
		return pick(g, []string{"true", "false"})
	case opIP:
		return pick(g, genHosts)
	case opARN:
		if g.chance(3) {
			return pick(g, genWords)
		}
		return pick(g, genARNs)
	case opBinary:
		return pick(g, genBinary)
	}
	return pick(g, genWords)
}

// batch makes a path of one to five levels and the requests asked of it. In a
// narrow batch one statement decides, so that no other hides a mistake in it.
func (g generator) batch(requests int) genBatch {
	var b genBatch
	for range requests {
		b.Requests = append(b.Requests, g.request())
	}
	narrow := g.chance(60)
	levels := 1 + g.IntN(5)
	special := g.IntN(levels)
	for i := range levels {
		l := genLevel{ID: fmt.Sprintf("ou-%d", i), Policies: []genPolicy{genFull}}
		switch {
		case narrow && i == special && g.chance(30):
			l.Policies = []genPolicy{g.policy(b, Allow, 1)}
		case narrow && i == special:
			l.Policies = append(l.Policies, g.policy(b, Deny, 1))
		case !narrow && g.chance(25):
			l.Policies = []genPolicy{g.policy(b, Allow, 1+g.IntN(3))}
			fallthrough
		case !narrow && g.chance(50):
			l.Policies = append(l.Policies, g.policy(b, Deny, 1+g.IntN(2)))
		}
		b.Levels = append(b.Levels, l)
	}
	return b
}

func (g generator) policy(b genBatch, effect Effect, statements int) genPolicy {
	p := genPolicy{Name: fmt.Sprintf("%s-%d", strings.ToLower(string(effect)), g.IntN(1000)), Policy: genDocument{Version: Version2012}}
	if g.chance(6) {
		p.Policy.Version = pick(g, []string{"", Version2008})
	}
	for i := range statements {
		s := g.statement(pick(g, b.Requests))
		s.Sid, s.Effect = fmt.Sprintf("S%d", i), string(effect)
		p.Policy.Statement = append(p.Policy.Statement, s)
	}
	return p
}

// statement makes a statement that has something to do with a request.
func (g generator) statement(like genRequest) genStatement {
	var s genStatement
	actions := g.some(func() string { return g.actionLike(like.Action) })
	switch {
	case g.chance(30):
		s.Action = []string{"*"}
	case g.chance(25):
		s.NotAction = actions
	default:
		s.Action = actions
	}
	resources := g.some(func() string { return g.resourceLike(like.Resource) })
	switch {
	case g.chance(35):
		s.Resource = []string{"*"}
	case g.chance(30):
		s.NotResource = resources
	default:
		s.Resource = resources
	}
	for range pick(g, []int{0, 1, 1, 1, 2, 2, 3}) {
		k := pick(g, genKeys)
		op, values := g.condition(k, like)
		if s.Condition == nil {
			s.Condition = map[string]map[string][]string{}
		}
		if s.Condition[op] == nil {
			s.Condition[op] = map[string][]string{}
		}
		s.Condition[op][k.name] = values
	}
	return s
}

// some makes a short list without repetitions.
func (g generator) some(f func() string) []string {
	var out []string
	for range pick(g, []int{1, 1, 2, 3}) {
		if v := f(); !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func (g generator) actionLike(action string) string {
	if g.chance(25) {
		action = pick(g, genCalls).action
	}
	service, name, _ := strings.Cut(action, ":")
	if g.chance(30) {
		service, name = g.mix(service), g.mix(name)
	}
	return service + ":" + g.wild(name)
}

// wild puts wildcards into a text, or changes it a little.
func (g generator) wild(s string) string {
	if s == "" {
		return s
	}
	r := []rune(s)
	i := g.IntN(len(r))
	j := i + g.IntN(len(r)-i+1)
	switch g.IntN(9) {
	case 0:
		return string(r[:i]) + "*"
	case 1:
		return "*" + string(r[i:])
	case 2:
		return string(r[:i]) + "*" + string(r[j:])
	case 3:
		return string(r[:i]) + "?" + string(r[i+1:])
	case 4:
		return string(r[:i]) + "?*" + string(r[j:])
	case 5:
		return string(r[:i]) + string(r[i+1:]) + "x"
	case 6:
		return "*" + string(r[i:j]) + "*"
	}
	return s
}

func (g generator) resourceLike(resource string) string {
	if resource == "*" || g.chance(20) {
		resource = pick(g, genCalls).resource
	}
	if resource == "*" {
		return pick(g, genARNs)
	}
	return g.arnLike(resource, 12)
}

// arnLike changes an ARN within its segments; the percentage is how often its
// end becomes a variable.
func (g generator) arnLike(arn string, variable int) string {
	parts := strings.SplitN(arn, ":", 6)
	for i, wild := range []int{0, 15, 5, 20, 20} {
		if parts[i] != "" && i > 0 && g.chance(wild) {
			parts[i] = pick(g, []string{"*", parts[i][:1] + "*", g.wild(parts[i])})
		}
	}
	// The name of the resource type is left alone: a wildcard in it is not
	// documented.
	at := 0
	if parts[2] != "s3" {
		at = strings.IndexAny(parts[5], "/:") + 1
	}
	end := parts[5][at:]
	switch {
	case g.chance(variable):
		end = g.variable()
		if g.chance(50) {
			end += "/*"
		}
	case g.chance(80):
		end = g.wild(end)
	}
	if parts[5][:at]+end == "" {
		end = "*"
	}
	if variable > 0 && parts[4] != "" && g.chance(4) {
		parts[4] = "${aws:PrincipalAccount}"
	}
	return strings.Join(parts[:5], ":") + ":" + parts[5][:at] + end
}

func (g generator) variable() string {
	key := pick(g, []string{"aws:PrincipalTag/Team", "aws:RequestTag/Env", "aws:userid", "aws:username", "AWS:PRINCIPALTAG/team"})
	if g.chance(50) {
		return "${" + key + ", '" + pick(g, genWords) + "'}"
	}
	return "${" + key + "}"
}

var genOperators = map[opKind][]string{
	opStringEquals: {"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike"},
	opNumeric:      {"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"},
	opDate:         {"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"},
	opBool:         {"Bool"},
	opBinary:       {"BinaryEquals"},
	opIP:           {"IpAddress", "NotIpAddress"},
	opARN:          {"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "StringEquals", "StringLike", "StringNotLike"},
}

// condition makes an operator for a key, with values like those of a request.
func (g generator) condition(k genKey, like genRequest) (op string, values []string) {
	if g.chance(8) {
		return "Null", []string{pick(g, []string{"true", "false"})}
	}
	op = pick(g, genOperators[k.kind])
	base := op
	if g.chance(20) {
		op += "IfExists"
	}
	if k.multi {
		op = pick(g, []string{"ForAllValues:", "ForAnyValue:"}) + op
	}
	values = g.some(func() string { return g.valueLike(k, base, like) })
	return op, values
}

func (g generator) valueLike(k genKey, op string, like genRequest) string {
	value := g.known(k.kind)
	if g.chance(50) {
		switch v := like.Context[k.name].(type) {
		case string:
			value = v
		case []string:
			value = pick(g, v)
		}
	}
	switch {
	case k.kind == opIP && g.chance(60):
		return pick(g, genRanges)
	case strings.HasPrefix(op, "Arn") && strings.Count(value, ":") >= 5:
		if g.chance(2) {
			return pick(g, genWords)
		}
		return g.arnLike(value, 8)
	case strings.HasPrefix(op, "StringLike") || strings.HasPrefix(op, "StringNotLike"):
		return g.text(g.wild(value))
	case strings.HasSuffix(op, "IgnoreCase"):
		return g.text(g.mix(value))
	case k.kind == opStringEquals:
		return g.text(value)
	}
	return value
}

// text sometimes is a variable instead.
func (g generator) text(s string) string {
	if g.chance(12) {
		return g.variable()
	}
	return s
}
