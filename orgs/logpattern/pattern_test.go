package logpattern

import (
	"strings"
	"testing"
)

// event is a log event with a property of every kind.
const event = `{"eventName": "StopLogging", "errorCode": "AccessDenied", "n": 7, "yes": true, "no": false, "nothing": null,
"who": {"type": "Root", "odd key": "x"}, "list": [{"id": "a"}, {"id": "b"}], "text": "say \"hi\""}`

func TestMatch(t *testing.T) {
	for pattern, want := range map[string]bool{
		`{ $.eventName = "StopLogging" }`:            true,
		`{$.eventName=StopLogging}`:                  true,
		`{ $.eventName = "stoplogging" }`:            false,
		`{ $.eventName = "Stop*" }`:                  true,
		`{ $.eventName = "*Logging" }`:               true,
		`{ $.eventName = "*pLog*" }`:                 true,
		`{ $.eventName = "*" }`:                      true,
		`{ $.eventName = "S*g" }`:                    false, // an asterisk inside stands for itself
		`{ $.eventName != "Stop*" }`:                 false,
		`{ $.eventName != "DeleteTrail" }`:           true,
		`{ $.absent = "x" }`:                         false,
		`{ $.absent != "x" }`:                        false,
		`{ $.absent NOT EXISTS }`:                    true,
		`{ $.eventName NOT EXISTS }`:                 false,
		`{ $.nothing IS NULL }`:                      true,
		`{ $.absent IS NULL }`:                       false,
		`{ $.nothing != "x" }`:                       false,
		`{ $.who = "Root" }`:                         false,
		`{ $.who.type = "Root" }`:                    true,
		`{ $.who["odd key"] = "x" }`:                 true,
		`{ $.list[1].id = "b" }`:                     true,
		`{ $.list[2].id = "b" }`:                     false,
		`{ $.list.id = "b" }`:                        false,
		`{ $.n = 7 }`:                                true,
		`{ $.n != 7 }`:                               false,
		`{ $.n > 6 && $.n < 8 }`:                     true,
		`{ $.n >= 7.5 }`:                             false,
		`{ $.n <= 7 }`:                               true,
		`{ $.eventName > 6 }`:                        false,
		`{ $.yes IS TRUE }`:                          true,
		`{ $.no IS FALSE }`:                          true,
		`{ $.yes = true }`:                           true,
		`{ $.text = "say \"hi\"" }`:                  true,
		`{ $.n = 1 || $.n = 7 && $.yes IS TRUE }`:    true,
		`{ ($.n = 7 || $.n = 1) && $.yes IS FALSE }`: false,
		`{ $.n = 7 || $.n = 1 && $.yes IS FALSE }`:   true, // && binds closer
		`{ ($.errorCode = "*Unauthorized*") || ($.errorCode="Acc*")}`: true,
	} {
		p, err := Compile(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		if got := p.Match(event); got != want {
			t.Errorf("%s: %v, want %v", pattern, got, want)
		}
		if p.Match("no JSON") || p.Match(`["a list"]`) {
			t.Errorf("%s matches what is no object", pattern)
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		``:                             `at 1: want "{"`,
		`ERROR`:                        `at 1: want "{"`,
		`{ }`:                          `want "$"`,
		`{ $ = 1 }`:                    "want a property",
		`{ $. = 1 }`:                   "want a property's name",
		`{ $.a }`:                      "want an operator",
		`{ $.a = }`:                    "want a value",
		`{ $.a = "x }`:                 "does not end",
		`{ $.a = %x% }`:                "want a value",
		`{ $.a > "x" }`:                "compares numbers",
		`{ $.a IS MAYBE }`:             "want IS TRUE",
		`{ $.a NOT THERE }`:            "want NOT EXISTS",
		`{ $.a[x] = 1 }`:               "want an index",
		`{ ($.a = 1 }`:                 `want ")"`,
		`{ $.a = 1 } x`:                "follows the pattern",
		`{ $.a = 1 &| $.b = 1 }`:       `want "}"`,
		strings.Repeat("x", 1025):      "more than 1024",
		"{" + strings.Repeat("(", 200): "too many parentheses",
	} {
		if _, err := Compile(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", pattern, err, want)
		}
	}
}

func TestSelect(t *testing.T) {
	event := map[string]any{"recipientAccountId": "111111111111", "n": 7.0, "o": map[string]any{}}
	for selector, want := range map[string]string{"$.recipientAccountId": "111111111111", "$.n": "7", "$.o": "", "$.x": "", "n": "", "$.n x": ""} {
		if got, ok := Select(selector, event); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", selector, got, ok)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(`{ ($.a[0]["b"] = "x*" || $.c NOT EXISTS) && $.d >= 1.5 }`, event)
	f.Add(`{ $.yes IS TRUE && $.n != -1 }`, `{"n":1}`)
	f.Fuzz(func(_ *testing.T, pattern, event string) {
		if p, err := Compile(pattern); err == nil {
			p.Match(event)
		}
	})
}
