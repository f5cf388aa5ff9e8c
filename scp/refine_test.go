package scp

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
)

// unknownKeys are the keys the random policies ask about, with every value a
// completion may give them. The values reach every class of the patterns used.
var unknownKeys = []struct {
	key      string
	multi    bool
	ops      []string
	patterns []string
	domain   []string
}{
	{key: "aws:PrincipalTag/team",
		ops:      []string{"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringEqualsIfExists", "StringNotLikeIfExists", "Null", "Bool"},
		patterns: []string{"a", "b", "a*", "?b", "*", "A", "true", "false"},
		domain:   []string{"", "a", "A", "b", "B", "ab", "AB", "Ab", "bb", "zz", "z", "az", "true", "TRUE", "True", "false", "FALSE", "a*", "A*", "aB", "?b", "?B", "*"}},
	{key: "aws:TagKeys", multi: true,
		ops:      []string{"ForAllValues:StringEquals", "ForAnyValue:StringEquals", "ForAllValues:StringNotEquals", "ForAnyValue:StringNotEquals", "ForAnyValue:StringLikeIfExists", "ForAllValues:StringLike", "Null"},
		patterns: []string{"env", "team", "e*", "*"},
		domain:   []string{"", "env", "team", "ex", "zz", "e*", "*"}},
	{key: "s3:max-keys",
		ops:      []string{"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals", "NumericLessThanEqualsIfExists", "NumericGreaterThan", "Null"},
		patterns: []string{"10", "10.0", "20", "-1"},
		domain:   []string{"x", "-2", "-1", "0", "10", "15", "20", "21"}},
	{key: "aws:SourceIp",
		ops:      []string{"IpAddress", "NotIpAddress", "NotIpAddressIfExists", "Null"},
		patterns: []string{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32", "0.0.0.0/0", "::/0"},
		domain:   []string{"x", "9.9.9.9", "10.9.9.9", "10.1.9.9", "10.1.2.3", "2001:db8::1", "2001:db9::1"}},
	{key: "aws:CurrentTime",
		ops:      []string{"DateEquals", "DateNotEquals", "DateLessThan", "DateGreaterThanEquals", "DateGreaterThanIfExists", "Null"},
		patterns: []string{"2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "1767225600"},
		domain:   []string{"x", "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-06-01T00:00:00Z", "2027-01-01T00:00:00Z"}},
	{key: "aws:SourceArn",
		ops:      []string{"ArnLike", "ArnNotLike", "ArnEquals", "ArnNotEqualsIfExists", "StringLike", "Null"},
		patterns: []string{"arn:aws:s3:::a", "arn:aws:s3:::*", "arn:*:s3:::a*", "arn:aws:*:eu-?::a", "x", "*"},
		domain: []string{"", "x", "y", "arn:aws:s3:::a", "arn:aws:s3:::b", "arn:aws:s3:::ab", "arn:cn:s3:::a", "arn:cn:s3:::ab", "arn:cn:s3:::b", "arn:aws:q:eu-1::a",
			"arn:aws:s3:eu-1::a", "arn:aws:q:eu-1:::a", "arn:a:b:s3:::a", "arn:a:b:s3:::b", "arn:aws:a:b:eu-1::a", "arn:aws:s3:eu-1::a:a", "arn:aws:s3:::x:eu-1::a", "arn:aws:s3:::x:s3:::a", "arn:aws:s3:::x:s3:::a:eu-1::a", "arn:aws:s3:::a:eu-1::a", "arn:aws:*:eu-?::a", "arn:aws:s3:::*"}},
}

type completionKey struct {
	key    string
	values [][]string // nil is absent
}

// randomCase makes a path of one or two levels with statements that ask about
// some unknown keys, and a request.
func randomCase(t *testing.T, rng *rand.Rand) (*Evaluator, *Request, []completionKey, string) {
	var used []completionKey
	picked := rng.Perm(len(unknownKeys))[:1+rng.IntN(2)]
	for _, i := range picked {
		k := unknownKeys[i]
		c := completionKey{key: k.key, values: [][]string{nil}}
		if k.multi {
			for set := range 1 << len(k.domain) {
				v := []string{}
				for j, d := range k.domain {
					if set&(1<<j) != 0 {
						v = append(v, d)
					}
				}
				c.values = append(c.values, v)
			}
		} else {
			for _, d := range k.domain {
				c.values = append(c.values, []string{d})
			}
		}
		used = append(used, c)
	}
	cond := func() map[string]map[string]any {
		out := map[string]map[string]any{}
		for range 1 + rng.IntN(2) {
			k := unknownKeys[picked[rng.IntN(len(picked))]]
			op := k.ops[rng.IntN(len(k.ops))]
			var vs []string
			for range 1 + rng.IntN(2) {
				vs = append(vs, k.patterns[rng.IntN(len(k.patterns))])
			}
			if op == "Null" {
				vs = []string{[]string{"true", "false"}[rng.IntN(2)]}
			}
			if out[op] == nil {
				out[op] = map[string]any{}
			}
			out[op][k.key] = vs
		}
		return out
	}
	statement := func(effect string) map[string]any {
		s := map[string]any{"Effect": effect, "Action": "s3:*", "Resource": "*"}
		if rng.IntN(8) > 0 {
			s["Condition"] = cond()
		}
		if picked[0] == 0 && rng.IntN(6) == 0 {
			s["Resource"] = "arn:aws:s3:::${aws:PrincipalTag/team}*"
		}
		if picked[0] == 0 && rng.IntN(6) == 0 {
			s["Condition"] = map[string]any{[]string{"StringEquals", "StringNotEquals"}[rng.IntN(2)]: map[string]any{"aws:ResourceTag/team": []string{"${aws:PrincipalTag/team}", "z"}[:1+rng.IntN(2)]}}
		}
		return s
	}
	org := Org{Path: []Level{}}
	var shown []string
	for i := range 1 + rng.IntN(2) {
		var sts []any
		for range rng.IntN(3) {
			sts = append(sts, statement("Deny"))
		}
		if rng.IntN(3) > 0 {
			sts = append(sts, map[string]any{"Effect": "Allow", "Action": "*", "Resource": "*"})
		} else {
			for range 1 + rng.IntN(2) {
				sts = append(sts, statement("Allow"))
			}
		}
		src, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": sts})
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, string(src))
		org.Path = append(org.Path, Level{Type: LevelOU, ID: fmt.Sprint("ou-", i), Policies: []Policy{{Name: "p", Document: mustParse(t, string(src))}}})
	}
	r := &Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::a", Context: map[string][]string{"aws:ResourceTag/team": {"a"}}}
	return mustCompile(t, org), r, used, strings.Join(shown, "\n")
}

// TestUnknownIffCompletionsDiffer compares the answer for a context with
// unknown keys with the answers for every completion of it.
func TestUnknownIffCompletionsDiffer(t *testing.T) {
	rounds := 6000
	if testing.Short() {
		rounds = 500
	}
	rng := rand.New(rand.NewPCG(1, 2))
	counts := map[Decision]int{}
	for round := range rounds {
		e, r, keys, shown := randomCase(t, rng)
		want, explicit := bruteForce(t, e, r, keys, shown)
		open := *r
		open.Unknown = func(key string) bool {
			for _, k := range keys {
				if strings.EqualFold(k.key, key) {
					return true
				}
			}
			return false
		}
		got := e.Evaluate(&open)
		counts[got.Decision]++
		if got.Decision != want {
			t.Errorf("round %d: got %s, completions say %s\n%s", round, got.Decision, want, shown)
		}
		if d := e.Decide(&open); d != got.Decision {
			t.Errorf("round %d: Decide says %s, Evaluate %s\n%s", round, d, got.Decision, shown)
		}
		if got.Kind == KindExplicitDeny && want == DecisionDeny && !explicit {
			t.Errorf("round %d: explicit deny, but some completions have none\n%s", round, shown)
		}
		if (got.Decision == DecisionUnknown) != (len(got.DependsOn) > 0) {
			t.Errorf("round %d: %s with %d dependencies\n%s", round, got.Decision, len(got.DependsOn), shown)
		}
	}
	t.Log(counts)
	for _, d := range []Decision{DecisionAllow, DecisionDeny, DecisionUnknown} {
		if counts[d] < rounds/20 {
			t.Errorf("only %d of %d rounds were %s", counts[d], rounds, d)
		}
	}
}

// bruteForce evaluates every completion of a context and says what they agree
// on, and whether all of them meet a Deny.
func bruteForce(t *testing.T, e *Evaluator, r *Request, keys []completionKey, shown string) (want Decision, explicit bool) {
	explicit = true
	full := *r
	var try func(i int)
	try = func(i int) {
		if i < len(keys) {
			for _, v := range keys[i].values {
				if want == DecisionUnknown {
					return
				}
				outer := full.Context
				full.Context = maps.Clone(outer)
				if v != nil {
					full.Context[keys[i].key] = v
				}
				try(i + 1)
				full.Context = outer
			}
			return
		}
		res := e.Evaluate(&full)
		switch {
		case res.Decision == DecisionUnknown:
			t.Fatalf("a complete context is unknown\n%s\n%v", shown, full.Context)
		case want == "":
			want = res.Decision
		case want != res.Decision:
			want = DecisionUnknown
		}
		explicit = explicit && res.Kind == KindExplicitDeny
	}
	try(0)
	return want, explicit
}
