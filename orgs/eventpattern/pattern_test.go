package eventpattern

import (
	"errors"
	"strings"
	"testing"
)

// stopped is a CloudTrail event as EventBridge delivers it.
const stopped = `{
  "version": "0", "id": "7bf73129-1428-4cd3-a780-95db273d1602",
  "detail-type": "AWS API Call via CloudTrail", "source": "aws.config",
  "account": "111122223333", "time": "2026-11-11T21:29:54Z", "region": "ap-northeast-1", "resources": [],
  "detail": {
    "eventSource": "config.amazonaws.com", "eventName": "StopConfigurationRecorder",
    "sourceIPAddress": "203.0.113.7", "readOnly": false, "sessions": 300, "ratio": 3.018e2, "none": null, "empty": "",
    "tags": ["blue", "green", 7], "userIdentity": {"arn": "arn:aws:iam::111122223333:user/Zoe", "type": "IAMUser"},
    "items": [{"name": "a", "size": 1}, {"name": "b", "size": 2}]
  }
}`

func TestMatch(t *testing.T) {
	tests := []struct {
		name, pattern string
		want          bool
	}{
		{"exact value of one field", `{"source":["aws.config"]}`, true},
		{"one of several values", `{"source":["aws.s3","aws.config"]}`, true},
		{"a value of another field", `{"source":["config.amazonaws.com"]}`, false},
		{"every field must match", `{"source":["aws.config"],"region":["us-east-1"]}`, false},
		{"nested fields", `{"detail":{"eventName":["StopConfigurationRecorder"]}}`, true},
		{"case matters", `{"detail":{"eventName":["stopconfigurationrecorder"]}}`, false},
		{"boolean", `{"detail":{"readOnly":[false]}}`, true},
		{"boolean is not the string of the same letters", `{"detail":{"readOnly":["false"]}}`, false},
		{"null", `{"detail":{"none":[null]}}`, true},
		{"null is not a missing field", `{"detail":{"absent":[null]}}`, false},
		{"empty string", `{"detail":{"empty":[""]}}`, true},
		{"number as it is written", `{"detail":{"sessions":[300]}}`, true},
		{"an equal number written differently", `{"detail":{"sessions":[300.0]}}`, false},
		{"number is not the string of the same digits", `{"detail":{"sessions":["300"]}}`, false},
		{"value among those of an array", `{"detail":{"tags":["red","green"]}}`, true},
		{"no value among those of an array", `{"detail":{"tags":["red"]}}`, false},
		{"empty array of the event matches nothing", `{"resources":[{"prefix":""}]}`, false},

		{"prefix", `{"time":[{"prefix":"2026-11-"}]}`, true},
		{"prefix elsewhere", `{"time":[{"prefix":"11-"}]}`, false},
		{"prefix of a number", `{"detail":{"sessions":[{"prefix":"3"}]}}`, false},
		{"prefix ignoring case", `{"detail":{"eventName":[{"prefix":{"equals-ignore-case":"STOP"}}]}}`, true},
		{"suffix", `{"detail":{"eventName":[{"suffix":"Recorder"}]}}`, true},
		{"suffix ignoring case", `{"detail":{"eventName":[{"suffix":{"equals-ignore-case":"RECORDER"}}]}}`, true},
		{"equals ignoring case", `{"detail":{"eventName":[{"equals-ignore-case":"stopCONFIGURATIONrecorder"}]}}`, true},
		{"equals ignoring case is not a prefix", `{"detail":{"eventName":[{"equals-ignore-case":"stop"}]}}`, false},

		{"anything but a string", `{"region":[{"anything-but":"us-east-1"}]}`, true},
		{"anything but that string", `{"region":[{"anything-but":"ap-northeast-1"}]}`, false},
		{"anything but one of a list", `{"region":[{"anything-but":["us-east-1","ap-northeast-1"]}]}`, false},
		{"anything but a number", `{"detail":{"sessions":[{"anything-but":300.0}]}}`, false},
		{"anything but numbers", `{"detail":{"sessions":[{"anything-but":[1,2]}]}}`, true},
		{"anything but asks that the field exists", `{"detail":{"absent":[{"anything-but":"x"}]}}`, false},
		{"anything but is true of an array with another value", `{"detail":{"tags":[{"anything-but":"blue"}]}}`, true},
		{"anything but a prefix", `{"detail":{"eventName":[{"anything-but":{"prefix":"Put"}}]}}`, true},
		{"anything but that prefix", `{"detail":{"eventName":[{"anything-but":{"prefix":"Stop"}}]}}`, false},
		{"anything but one of the prefixes", `{"detail":{"eventName":[{"anything-but":{"prefix":["Put","Stop"]}}]}}`, false},
		{"anything but a suffix", `{"detail":{"eventName":[{"anything-but":{"suffix":"Channel"}}]}}`, true},
		{"anything but ignoring case", `{"detail":{"eventName":[{"anything-but":{"equals-ignore-case":["STOPCONFIGURATIONRECORDER"]}}]}}`, false},
		{"anything but a wildcard", `{"detail":{"eventName":[{"anything-but":{"wildcard":"Stop*er"}}]}}`, false},

		{"numeric equality by value", `{"detail":{"ratio":[{"numeric":["=",301.8]}]}}`, true},
		{"numeric range", `{"detail":{"sessions":[{"numeric":[">",0,"<=",300]}]}}`, true},
		{"numeric range excluding its end", `{"detail":{"sessions":[{"numeric":[">=",0,"<",300]}]}}`, false},
		{"numeric of a string", `{"account":[{"numeric":[">",0]}]}`, false},

		{"address in a block", `{"detail":{"sourceIPAddress":[{"cidr":"203.0.113.0/24"}]}}`, true},
		{"address outside a block", `{"detail":{"sourceIPAddress":[{"cidr":"10.0.0.0/8"}]}}`, false},
		{"version 4 address in a version 6 block", `{"detail":{"sourceIPAddress":[{"cidr":"::/0"}]}}`, false},

		{"exists", `{"detail":{"eventName":[{"exists":true}]}}`, true},
		{"exists is false for a missing field", `{"detail":{"errorCode":[{"exists":true}]}}`, false},
		{"does not exist", `{"detail":{"errorCode":[{"exists":false}]}}`, true},
		{"does not exist but does", `{"detail":{"eventName":[{"exists":false}]}}`, false},
		{"exists does not work on an object", `{"detail":{"userIdentity":[{"exists":true}]}}`, false},
		{"an object is no leaf, so the leaf does not exist", `{"detail":{"userIdentity":[{"exists":false}]}}`, true},
		{"does not exist below a missing object", `{"detail":{"additional":{"mfa":[{"exists":false}]}}}`, true},
		{"missing or a value", `{"detail":{"errorCode":["AccessDenied",{"exists":false}]}}`, true},
		{"null exists", `{"detail":{"none":[{"exists":true}]}}`, true},

		{"wildcard in the middle", `{"detail":{"eventName":[{"wildcard":"Stop*Recorder"}]}}`, true},
		{"several wildcards", `{"detail":{"userIdentity":{"arn":[{"wildcard":"arn:*:iam::*:user/*"}]}}}`, true},
		{"wildcard that must end elsewhere", `{"detail":{"eventName":[{"wildcard":"Stop*Channel"}]}}`, false},
		{"wildcard parts may not overlap", `{"detail":{"empty":[{"wildcard":"a*a"}]}}`, false},
		{"escaped asterisk is a letter", `{"detail":{"eventName":[{"wildcard":"Stop\\*"}]}}`, false},

		{"or: one alternative", `{"source":["aws.config"],"$or":[{"region":["us-east-1"]},{"account":["111122223333"]}]}`, true},
		{"or: no alternative", `{"$or":[{"region":["us-east-1"]},{"account":["444455556666"]}]}`, false},
		{"or: nested, with and", `{"detail":{"$or":[{"errorCode":[{"exists":true}]},{"readOnly":[false],"$or":[{"sessions":[1]},{"sessions":[300]}]}]}}`, true},
		{"or of one alternative is a field name", `{"$or":[{"exists":false}]}`, true},

		{"fields of one array element", `{"detail":{"items":{"name":["b"],"size":[2]}}}`, true},
		{"fields of different array elements", `{"detail":{"items":{"name":["a"],"size":[2]}}}`, false},
		{"no element has the field", `{"detail":{"items":{"colour":[{"exists":false}]}}}`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse([]byte(tt.pattern))
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Match([]byte(stopped)); got != tt.want {
				t.Errorf("Match = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestMatchValueOfGoNumbers(t *testing.T) {
	p, err := Parse([]byte(`{"n":[5],"m":[{"numeric":["<",2]}],"s":["x"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if !p.MatchValue(map[string]any{"n": 5, "m": 1.5, "s": []string{"w", "x"}}) {
		t.Error("does not match")
	}
}

func TestParseReportsEveryProblem(t *testing.T) {
	tests := []struct {
		name, pattern string
		want          []string
	}{
		{"not JSON", `{"source":`, []string{"unexpected end of JSON"}},
		{"bad JSON has a position", "{\n  \"a\": [x]}", []string{"2:9: invalid character 'x'"}},
		{"text after the pattern", `{"a":["b"]} {}`, []string{"more text after the JSON value"}},
		{"not an object", `["a"]`, []string{"a pattern is a JSON object, not an array"}},
		{"empty pattern", `{}`, []string{"empty objects are not allowed"}},
		{"value without brackets", `{"source":"aws.config"}`, []string{`source: must be an object or an array, not a string: write ["aws.config"]`}},
		{"empty array and empty object", `{"a":[],"b":{}}`, []string{"a: empty arrays are not allowed", "b: empty objects are not allowed"}},
		{"array in an array", `{"a":[["b"]]}`, []string{"a[0]: an array inside an array"}},
		{"unknown operator", `{"a":[{"prefx":"x"}]}`, []string{`a[0]: unknown operator "prefx"; the operators are anything-but, cidr`}},
		{"two operators in one object", `{"a":[{"prefix":"x","suffix":"y"}]}`, []string{"a[0]: one operator in each object, not 2"}},
		{"wrong operands", `{"a":[{"prefix":1}],"b":[{"exists":"yes"}],"c":[{"cidr":"10.0.0.1"}],"d":[{"equals-ignore-case":[]}]}`, []string{
			"a[0].prefix: must be a string, not a number", "b[0].exists: must be true or false, not a string",
			`c[0].cidr: "10.0.0.1" is not a CIDR block`, "d[0].equals-ignore-case: must be a string, not an array"}},
		{"numeric", `{"a":[{"numeric":["=="]}],"b":[{"numeric":["<",1,">",2]}],"c":[{"numeric":[">",2,"<",1]}],"d":[{"numeric":["=",6e9]}],"e":[{"numeric":["!=",1]}]}`, []string{
			"a[0].numeric: must be an array", "b[0].numeric: a range is a lower bound", "c[0].numeric: the lower bound must be less",
			"d[0].numeric[1]: must be a number between -5e9 and 5e9, not 6e9", `e[0].numeric[0]: must be one of`}},
		{"anything-but", `{"a":[{"anything-but":["x",1]}],"b":[{"anything-but":{"prefix":""}}],"c":[{"anything-but":{"cidr":"::/0"}}],"d":[{"anything-but":true}],"e":[{"anything-but":[]}]}`, []string{
			"a[0].anything-but: the values must be all strings or all numbers", "b[0].anything-but.prefix: must not be empty",
			`c[0].anything-but: unknown operator "cidr" inside anything-but`, "d[0].anything-but: must be a string", "e[0].anything-but: empty lists"}},
		{"wildcards", `{"a":[{"wildcard":"a**b"}],"b":[{"wildcard":"a\\b"}]}`, []string{"a[0].wildcard: consecutive wildcard", "b[0].wildcard: a backslash must be followed"}},
		{"too long", `{"a":["` + strings.Repeat("x", MaxLength) + `"]}`, []string{"characters; at most 4096 are allowed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.pattern))
			var invalid *InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("error %v, want an InvalidError", err)
			}
			if len(invalid.Problems) != len(tt.want) {
				t.Errorf("%d problems, want %d: %v", len(invalid.Problems), len(tt.want), err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q: %v", want, err)
				}
			}
		})
	}
}

func TestCombinations(t *testing.T) {
	or := func(n int, name string) string {
		return `"$or":[` + strings.TrimSuffix(strings.Repeat(`{"`+name+`":["v"]},`, n), ",") + `]`
	}
	tests := []struct {
		name, pattern string
		want          int
	}{
		{"without $or", `{"a":["b","c"]}`, 1},
		{"one $or", `{` + or(3, "a") + `}`, 3},
		{"two multiply", `{` + or(3, "a") + `,"d":{` + or(4, "b") + `}}`, 12},
		{"too many", `{` + or(40, "a") + `,"d":{` + or(40, "b") + `}}`, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse([]byte(tt.pattern))
			switch {
			case tt.want == 0 && err == nil:
				t.Error("no error")
			case tt.want > 0 && err != nil:
				t.Error(err)
			case tt.want > 0 && p.Combinations() != tt.want:
				t.Errorf("%d combinations, want %d", p.Combinations(), tt.want)
			}
		})
	}
}

func FuzzMatch(f *testing.F) {
	f.Add([]byte(`{"source":["aws.config"]}`), []byte(stopped))
	f.Add([]byte(`{"detail":{"$or":[{"a":[{"wildcard":"*x"}]},{"b":[{"exists":false}]}]}}`), []byte(`{"detail":[{"a":"xx"}]}`))
	f.Add([]byte(`{"a":[{"prefix":{"equals-ignore-case":"ſ"}}]}`), []byte(`{"a":"S"}`))
	f.Fuzz(func(t *testing.T, pattern, event []byte) {
		p, err := Parse(pattern)
		if err != nil {
			return
		}
		first := p.Match(event)
		if second := p.Match(event); first != second {
			t.Errorf("matched %v, then %v", first, second)
		}
	})
}
