package scp

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "{", fullAccess, examplePolicy, protectPolicy, `{"Statement":{"Effect":"Deny","Action":"a:b","Resource":"${x","Condition":{"ForAllValues:ArnLikeIfExists":{"k:a":["${a:b, 'c}'}",1,true]}}}}`,
		"\xef\xbb\xbf{}", `{"a":"\ud800\u12`, `[[[[`, `{"a":1,}`, "{//x\n}", `{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NumericEquals":{"a:b":"1e400"}}}]}`} {
		f.Add([]byte(s))
	}
	file, err := os.Open("testdata/cases.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan() && n < 40; n++ {
		if i := strings.Index(lines.Text(), `"document":`); i >= 0 {
			f.Add([]byte(lines.Text()[i+11:]))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		d, err := Parse("f", src)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without text")
			}
			return
		}
		again, err := Parse("f", d.Minified())
		if err != nil {
			t.Fatalf("minifying broke the document: %v", err)
		}
		if string(again.Minified()) != string(d.Minified()) || again.Len() != d.Len() {
			t.Error("minifying twice differs")
		}
		Lint(d, LintOptions{})
	})
}

func FuzzEvaluate(f *testing.F) {
	f.Add(`"Action":"s3:*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team, 'x'}*"`, `"StringLike":{"k:a":"a*?${k:b}"}`, "s3:GetObject", "arn:aws:s3:::b", "k:a", "ab", uint8(0))
	f.Add(`"NotAction":"*","NotResource":"*"`, `"ForAnyValue:ArnNotLikeIfExists":{"k:a":["arn:aws:*","*"]}`, "", "*", "K:A", "arn:aws:iam::1:role/\xff", uint8(1))
	f.Add(`"Action":"a:b*","Resource":"*"`, `"NumericLessThan":{"k:a":["1e9","-0.5"]},"Null":{"k:a":"true"}`, "a:bc", "", "k:a", "-1", uint8(2))
	f.Add(`"Action":"a:b*","Resource":"*"`, `"DateGreaterThan":{"k:a":"2026-01-01T00:00:00+02:00"}`, "a:bc", "", "k:a", "99999999999999999", uint8(3))
	f.Add(`"Action":"a:b*","Resource":"*"`, `"NotIpAddress":{"k:a":["::/0","10.0.0.0/8","1.2.3.4"]}`, "a:bc", "", "k:a", "fe80::1%eth0", uint8(7))
	f.Fuzz(func(t *testing.T, match, condition, action, resource, key, value string, mode uint8) {
		if len(match)+len(condition)+len(value)+len(resource) > 4000 {
			return
		}
		d, err := Parse("f", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny",`+match+`,"Condition":{`+condition+`}},{"Effect":"Allow","Action":"*","Resource":"*"}]}`))
		if err != nil {
			return
		}
		e, err := Compile(Org{Path: []Level{{Type: LevelOU, ID: "ou", Policies: []Policy{{Name: "p", Document: d}}}}})
		if err != nil {
			t.Fatal(err)
		}
		r := &Request{Action: action, Resource: resource, Context: map[string][]string{key: {value}}}
		known := e.Evaluate(r)
		if known.Decision == DecisionUnknown {
			t.Error("unknown although all keys are known")
		}
		if mode&1 != 0 {
			r.Resources = []string{resource, value}
		}
		if mode&2 != 0 {
			r.Context[key] = []string{}
		}
		if got := e.Evaluate(r); got.Decision != e.Decide(r) {
			t.Errorf("Decide and Evaluate differ: %+v", got)
		}
		// With the key unknown, a firm answer must be the answer for a value.
		r = &Request{Action: action, Resource: resource, Unknown: func(string) bool { return true }}
		open := e.Evaluate(r)
		if open.Decision != e.Decide(r) {
			t.Errorf("Decide and Evaluate differ: %+v", open)
		}
		if open.Decision != DecisionUnknown && open.Decision != known.Decision {
			t.Errorf("%s although %q=%q gives %s", open.Decision, key, value, known.Decision)
		}
	})
}
