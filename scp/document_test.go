package scp

import (
	"strings"
	"testing"
)

func TestParseAccepts(t *testing.T) {
	for name, src := range map[string]string{
		"one statement, no list": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`,
		"no version":             `{"Statement":[{"Effect":"Allow","Action":["*"],"Resource":["*"]}]}`,
		"old version and id":     `{"Version":"2008-10-17","Id":"x","Statement":[{"Sid":"","Effect":"Deny","NotAction":"s3:*","NotResource":"*"}]}`,
		"empty lists":            `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":[],"Resource":[],"Condition":{}}]}`,
		"no statements":          `{"Version":"2012-10-17","Statement":[]}`,
		"bare scalars":           `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":false},"NumericLessThan":{"aws:MultiFactorAuthAge":[1,2.5e1]}}}]}`,
		"escapes":                `{"Version":"2012-10-17","Statement":[{"Sid":"a\u00e9\ud83d\ude00\n\ufffd","Effect":"Deny","Action":"\u002a","Resource":"\/*"}]}`,
		"odd resource":           `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s?:G*t","Resource":"anything"}]}`,
	} {
		if _, err := Parse("p.json", []byte(src)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	statement := func(s string) string { return `{"Version":"2012-10-17","Statement":[{` + s + `}]}` }
	for name, tc := range map[string]struct {
		src  string
		want []string
	}{
		"nothing":              {"", []string{`p:1:1: the document is empty`}},
		"not an object":        {`[]`, []string{`p:1:1: a policy is an object, this is a list`}},
		"byte order mark":      {"\xef\xbb\xbf" + statement(`"Effect":"Deny","Action":"*","Resource":"*"`), []string{`byte order mark`}},
		"comments":             {"{ // x\n/* y */\"Statement\": [] # z\n}", []string{`p:1:3: comments`, `p:2:1: comments`, `p:2:24: comments`}},
		"trailing comma":       {`{"Statement":[],}`, []string{`p:1:16: a comma before }`}},
		"missing comma":        {`{"Statement":[] "Id":"x"}`, []string{`p:1:17: a comma is missing`}},
		"single quotes":        {`{'Statement':[]}`, []string{`p:1:2: expected a key in double quotes`}},
		"open string":          {`{"Statement":"x`, []string{`p:1:14: this string is never closed`}},
		"open object":          {`{"Statement":[{`, []string{`p:1:15: this object is never closed`}},
		"raw line break":       {"{\"Statement\":[],\"Id\":\"a\nb\"}", []string{`may not hold the raw character 0x0a`}},
		"bad escape":           {`{"Statement":[],"Id":"\d\ud800x\u12"}`, []string{`a backslash must be written as two`, `not a character`}},
		"bad UTF-8":            {"{\"Statement\":[],\"Id\":\"\xff\"}", []string{`not UTF-8`}},
		"text after":           {`{"Statement":[]} {}`, []string{`p:1:18: unexpected '{' after the end`}},
		"bad word":             {`{"Statement":True}`, []string{`True is not a JSON value`}},
		"bad number":           {`{"Statement":01}`, []string{`01 is not a JSON number`}},
		"too deep":             {`{"Statement":` + strings.Repeat("[", 5000), []string{`nested more than 32 levels`}},
		"duplicate key":        {"{\"Statement\":[],\n\"Statement\":[]}", []string{`p:2:1: the key "Statement" appears twice in the same object (first on line 1)`}},
		"duplicate operator":   {statement(`"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"a:b":"true"},"Bool":{"a:c":"true"}}`), []string{`the key "Bool" appears twice`}},
		"no statement":         {`{"Version":"2012-10-17"}`, []string{`Statement is missing`}},
		"wrong version":        {`{"Version":"2025-01-01","Statement":[]}`, []string{`p:1:12: Version must be`}},
		"unknown element":      {`{"Statemen":[],"Statement":[]}`, []string{`did you mean Statement?`}},
		"element letter case":  {statement(`"effect":"Deny","Action":"*","Resource":"*"`), []string{`element names have fixed letter case: Effect`, `the statement has no Effect`}},
		"effect letter case":   {statement(`"Effect":"deny","Action":"*","Resource":"*"`), []string{`Effect must be "Allow" or "Deny"`}},
		"principal":            {statement(`"Effect":"Deny","Principal":"*","NotPrincipal":{},"Action":"*","Resource":"*"`), []string{`Principal is not allowed`, `NotPrincipal is not allowed`}},
		"all missing":          {statement(``), []string{`no Effect`, `neither Action`, `neither Resource`}},
		"both actions":         {statement(`"Effect":"Deny","Action":"*","NotAction":"*","Resource":"*","NotResource":"*"`), []string{`one of Action and NotAction`, `one of Resource and NotResource`}},
		"action without colon": {statement(`"Effect":"Deny","Action":["s3","s3:","s3:Get Object",":x",""],"Resource":"*"`), []string{`"s3" is not of the form`, `"s3:" is not`, `"s3:Get Object"`, `":x"`, `""`}},
		"action not a string":  {statement(`"Effect":"Deny","Action":[5,{}],"Resource":null`), []string{`Action takes strings, this is a number`, `this is an object`, `Resource takes strings, this is null`}},
		"unknown operator":     {statement(`"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEqual":{"a:b":"x"}}`), []string{`unknown condition operator "StringEqual"; did you mean StringEquals?`}},
		"null if exists":       {statement(`"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NullIfExists":{"a:b":"true"}}`), []string{`Null cannot take IfExists`}},
		"condition shapes":     {statement(`"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":"x","Null":{"nokey":null}}`), []string{`takes an object of condition keys`, `"nokey" is not a condition key`, `takes strings, this is null`}},
		"condition no object":  {statement(`"Effect":"Deny","Action":"*","Resource":"*","Condition":[]`), []string{`Condition must be an object, this is a list`}},
		"statement no object":  {`{"Statement":["x"]}`, []string{`a statement is an object, this is a string`}},
		"hostile text":         {statement("\"Effect\":\"Deny\",\"Action\":\"\\u001b[31m\\u202e\",\"Resource\":\"*\""), []string{`"\x1b[31m\u202e"`}},
	} {
		_, err := Parse("p", []byte(tc.src))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: missing %q in\n%v", name, want, err)
			}
		}
	}
}

func TestParseSizeLimit(t *testing.T) {
	if _, err := Parse("p", []byte(`{"Statement":[]}`+strings.Repeat(" ", maxSource))); err == nil {
		t.Error("an overlong document is accepted")
	}
}

func TestPositionsCountCharacters(t *testing.T) {
	_, err := Parse("p", []byte("{\"Id\": \"äöü\", \"x\": 1,\n\t\"Statement\": [] , \"é\": 2}"))
	for _, want := range []string{"p:1:15: unknown element \"x\"", "p:2:20: unknown element \"é\""} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("missing %q in %v", want, err)
		}
	}
}

func TestMinified(t *testing.T) {
	const indented = "{\n  \"Version\": \"2012-10-17\",\r\n\t\"Statement\": [ { \"Sid\": \"a b\\\" \\\\\", \"Effect\": \"Allow\", \"Action\": \"*\", \"Resource\": \"*\" } ]\n}\n"
	const want = `{"Version":"2012-10-17","Statement":[{"Sid":"a b\" \\","Effect":"Allow","Action":"*","Resource":"*"}]}`
	d := mustParse(t, indented)
	if got := string(d.Minified()); got != want {
		t.Errorf("got %s", got)
	}
	if got := d.MinifiedSize(); got != (Size{Characters: len(want), Bytes: len(want)}) {
		t.Errorf("got %+v", got)
	}
	if got := d.Size().Bytes; got != len(indented) {
		t.Errorf("got %d", got)
	}
	if s := mustParse(t, `{"Id":"ä","Statement":[]}`).Size(); s.Counted() != s.Characters+1 {
		t.Errorf("got %+v", s)
	}
}

func TestDocumentIsImmutable(t *testing.T) {
	src := []byte(`{"Version":"2012-10-17","Id":"i","Statement":[{"Sid":"S","Effect":"Deny","NotAction":["s3:*"],"NotResource":["arn:aws:s3:::b"],"Condition":{"bool":{"aws:securetransport":["false"]}}}]}`)
	d := mustParse(t, string(src))
	for i := range src {
		src[i] = 'x'
	}
	clear(d.Minified())
	clear(d.Source())
	s := d.Statements()
	s[0].NotActions[0], s[0].NotResources[0], s[0].Conditions[0].Values[0] = "x", "x", "x"
	got := d.Statements()[0]
	if got.NotActions[0] != "s3:*" || got.NotResources[0] != "arn:aws:s3:::b" || got.Conditions[0].Values[0] != "false" || d.Minified()[0] != '{' || d.Source()[0] != '{' {
		t.Errorf("a caller changed the document: %+v", got)
	}
	if got.Conditions[0].Operator != "Bool" || got.Conditions[0].Key != "aws:SecureTransport" || got.Actions != nil || d.ID() != "i" || d.Len() != 1 {
		t.Errorf("got %+v", got)
	}
}
