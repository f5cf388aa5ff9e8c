package eventpattern

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestTransform(t *testing.T) {
	const event = `{
	  "version": "0", "id": "7bf73129", "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
	  "account": "123456789012", "time": "2015-11-11T21:29:54Z", "region": "us-east-1",
	  "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],
	  "detail": {"instance-id": "i-0123456789", "state": "RUNNING", "count": 3, "ok": true, "nothing": null,
	             "message": "he said \"no\"", "volumes": [{"id": "v1"}, {"id": "v2"}]}
	}`
	paths := map[string]string{
		"timestamp": "$.time", "instance": "$.detail.instance-id", "state": "$.detail.state", "count": "$.detail.count",
		"ok": "$.detail.ok", "nothing": "$.detail.nothing", "message": "$.detail.message", "resource": "$.resources[0]", "gone": "$.detail.absent.deeper",
		"volumes": "$.detail.volumes[*].id", "first": "$.detail.volumes[0]", "second": "$.detail.volumes[1].id", "quoted": "$['detail-type']",
	}
	meta := Meta{RuleName: "example", RuleARN: "arn:aws:events:us-east-2:123456789012:rule/example", Ingested: time.Date(2015, 11, 11, 21, 29, 55, 0, time.UTC)}
	tests := []struct{ name, template, want string }{
		{"simple string keeps its quotes", `"instance <instance> is in <state>"`, `"instance i-0123456789 is in RUNNING"`},
		{"escaped quotes stay escaped", `"instance \"<instance>\" is in <state>"`, `"instance \"i-0123456789\" is in RUNNING"`},
		{"simple JSON", "{\n  \"instance\" : <instance>,\n  \"state\": <state>\n}", `{"instance":"i-0123456789","state":"RUNNING"}`},
		{"JSON with strings and variables", `{"instance": <instance>, "state": "<state>", "instanceStatus": "instance \"<instance>\" is in <state>"}`,
			`{"instance":"i-0123456789","state":"RUNNING","instanceStatus":"instance \"i-0123456789\" is in RUNNING"}`},
		{"JSON with static information", `{"state": [9, <state>, true], "Transformed": "Yes"}`, `{"state":[9,"RUNNING",true],"Transformed":"Yes"}`},
		{"reserved variables in JSON", `{"ruleArn": <aws.events.rule-arn>, "ruleName": <aws.events.rule-name>, "at": <aws.events.event.ingestion-time>}`,
			`{"ruleArn":"arn:aws:events:us-east-2:123456789012:rule/example","ruleName":"example","at":"2015-11-11T21:29:55Z"}`},
		{"reserved variable in a string", `"<aws.events.rule-name> triggered"`, `"example triggered"`},
		{"several lines", "\"<instance>\"\n\n  \"is <state>\"\n", "\"i-0123456789\"\n\n  \"is RUNNING\""},
		{"missing path in a string is empty", `"by <gone>."`, `"by ."`},
		{"missing path in JSON is an empty string", `{"a": <gone>, "b": "<gone>"}`, `{"a":"","b":""}`},
		{"unknown variable is empty", `"<nobody>"`, `""`},
		{"numbers, booleans and null outside quotes", `{"n": <count>, "b": <ok>, "z": <nothing>}`, `{"n":3,"b":true,"z":null}`},
		{"numbers and booleans in quotes", `"<count> <ok>"`, `"3 true"`},
		{"array element and bracket notation", `"<resource> <second> <quoted>"`, `"arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111 v2 EC2 Instance State-change Notification"`},
		{"wildcard path gives an array", `{"v": <volumes>}`, `{"v":["v1","v2"]}`},
		{"object outside quotes", `{"v": <first>}`, `{"v":{"id":"v1"}}`},
		{"object inside quotes loses its quotes", `"volume <first>"`, `"volume {id:v1}"`},
		{"quotes of a value are escaped outside quotes", `{"m": <message>}`, `{"m":"he said \"no\""}`},
		{"quotes of a value are not escaped in a text", `"<message>"`, `"he said "no""`},
		{"event without detail", `{"e": <aws.events.event>}`, `{"e":{"version":"0","id":"7bf73129","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","account":"123456789012","time":"2015-11-11T21:29:54Z","region":"us-east-1","resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"]}}`},
		{"angle brackets that are no variable stay", `"a < b, <not a name>, <"`, `"a < b, <not a name>, <"`},
	}
	var e map[string]any
	if err := json.Unmarshal([]byte(event), &e); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := CheckTransformer(paths, tt.template); err != nil {
				t.Errorf("CheckTransformer: %v", err)
			}
			got, err := Transform(paths, tt.template, e, meta)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	t.Run("the whole event", func(t *testing.T) {
		got, err := Transform(nil, `<aws.events.event.json>`, e, meta)
		if err != nil || got != string(Marshal(e)) || !strings.Contains(got, `"detail":{`) {
			t.Errorf("got %s, %v", got, err)
		}
	})
	t.Run("a quote that breaks a JSON template fails the delivery", func(t *testing.T) {
		if got, err := Transform(paths, `{"m": "<message>"}`, e, meta); err == nil {
			t.Errorf("no error, got %s", got)
		}
	})
}

func TestCheckTransformer(t *testing.T) {
	many := map[string]string{}
	for i := range MaxPaths + 1 {
		many["p"+string(rune('a'+i/26))+string(rune('a'+i%26))] = "$.id"
	}
	tests := []struct {
		name     string
		paths    map[string]string
		template string
		want     string
	}{
		{"text without quotes", nil, `hello <x>`, "not JSON"},
		{"one line without quotes", nil, "\"a\"\nb", "line 2"},
		{"broken JSON", nil, `{"a": <x>`, "not JSON"},
		{"empty template", nil, " ", "empty"},
		{"reserved name", map[string]string{"AWSx": "$.id"}, `"x"`, "reserved"},
		{"bad name", map[string]string{"a b": "$.id"}, `"x"`, "only letters"},
		{"bad path", map[string]string{"a": "id"}, `"x"`, "must start with $"},
		{"bad index", map[string]string{"a": "$.a[x]"}, `"x"`, "not an array index"},
		{"too many paths", many, `"x"`, "at most 100"},
		{"too long", nil, `"` + strings.Repeat("x", MaxTemplate) + `"`, "at most 8192"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckTransformer(tt.paths, tt.template)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func FuzzTransform(f *testing.F) {
	f.Add("$.detail.a", `"<x> and <y>"`, `{"detail":{"a":"b"}}`)
	f.Add("$.a[0].b", `{"x":<x>}`, `{"a":[{"b":1}]}`)
	f.Add("$.*", `{"x":"<aws.events.event>"}`, `{"a":null}`)
	f.Fuzz(func(t *testing.T, path, template, event string) {
		var e map[string]any
		if json.Unmarshal([]byte(event), &e) != nil {
			return
		}
		paths := map[string]string{"x": path}
		first, err := Transform(paths, template, e, Meta{})
		if err != nil {
			return
		}
		if second, err := Transform(paths, template, e, Meta{}); err != nil || second != first {
			t.Errorf("%q, then %q (%v)", first, second, err)
		}
		if !isText(template) && !json.Valid([]byte(first)) {
			t.Errorf("not JSON: %q", first)
		}
	})
}
