package baseline

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/orgguard/orgguard/orgs"
)

// wantedRule is a rule as a template has it, and what AWS Config has of it.
func wantedRule(t *testing.T) (Resource, map[string]any) {
	t.Helper()
	target := map[string]any{
		"Id": "orgguard", "Arn": "arn:aws:events:us-east-1:200000000001:event-bus/alerts", "RoleArn": "arn:aws:iam::300000000001:role/forward",
		"DeadLetterConfig": map[string]any{"Arn": "arn:aws:sqs:us-east-1:300000000001:dlq"},
		"InputTransformer": map[string]any{"InputPathsMap": map[string]any{"account": "$.account"}, "InputTemplate": `"in <account>"`},
	}
	props := map[string]any{
		"Name": "orgguard-config-change", "State": "ENABLED", "EventPattern": map[string]any{"source": []any{"aws.config"}}, "Targets": []any{target},
	}
	item := map[string]any{"Arn": "arn:aws:events:us-east-1:300000000001:rule/orgguard-config-change", "EventBusName": "default"}
	for k, v := range props {
		item[k] = v
	}
	return Resource{Type: "AWS::Events::Rule", Props: props}, item
}

// What an item says otherwise, and what it does not say, is not as configured.
func TestReadRuleItem(t *testing.T) {
	cases := []struct {
		name   string
		change func(item map[string]any)
		want   string // the mismatch; "none" is another rule's
	}{
		{name: "as configured", change: func(map[string]any) {}},
		{name: "a pattern that is kept as text", change: func(item map[string]any) { item["EventPattern"] = `{"source":["aws.config"]}` }},
		{name: "the default bus by its ARN", change: func(item map[string]any) {
			item["EventBusName"] = "arn:aws:events:us-east-1:300000000001:event-bus/default"
		}},
		{name: "a rule of another bus", change: func(item map[string]any) { item["EventBusName"] = "alerts" }, want: "none"},
		{name: "disabled", change: func(item map[string]any) { item["State"] = "DISABLED" }, want: "the rule is disabled"},
		{name: "no pattern", change: func(item map[string]any) { delete(item, "EventPattern") }, want: "the event pattern differs"},
		{name: "no targets", change: func(item map[string]any) { delete(item, "Targets") }, want: "the rule has no target: nobody is told"},
		{name: "no message", change: func(item map[string]any) {
			target := item["Targets"].([]any)[0].(map[string]any)
			delete(target, "InputTransformer")
		}, want: "the rule's target differs"},
		{name: "no dead-letter queue", change: func(item map[string]any) {
			delete(item["Targets"].([]any)[0].(map[string]any), "DeadLetterConfig")
		}, want: "the rule's target differs"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want, _ := wantedRule(t)
			_, item := wantedRule(t)
			c.change(item)
			name, state := readRuleItem(compact(item))
			got := "none"
			if name == want.str("Name") {
				got = firstReason(compareRule(want, state(want)))
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestReadRoleItem(t *testing.T) {
	trust := map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Principal": map[string]any{"Service": "config.amazonaws.com"}, "Action": "sts:AssumeRole"}}}
	rights := map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::logs/a+b/*"}}}
	const managed = "arn:aws:iam::aws:policy/service-role/AWS_ConfigRole"
	want := Resource{Type: "AWS::IAM::Role", Props: map[string]any{
		"RoleName": "orgguard-config-recorder", "AssumeRolePolicyDocument": trust, "ManagedPolicyArns": []any{managed},
		"Policies": []any{map[string]any{"PolicyName": "deliver", "PolicyDocument": rights}},
	}}
	encoded := func(v any) string {
		return strings.NewReplacer("{", "%7B", "}", "%7D", `"`, "%22", ",", "%2C", ":", "%3A", " ", "%20", "+", "%2B").Replace(compact(v))
	}
	item := func() map[string]any {
		return map[string]any{
			"roleName": "orgguard-config-recorder", "assumeRolePolicyDocument": encoded(trust), "permissionsBoundary": nil,
			"rolePolicyList":          []any{map[string]any{"policyName": "deliver", "policyDocument": encoded(rights)}},
			"attachedManagedPolicies": []any{map[string]any{"policyName": "AWS_ConfigRole", "policyArn": managed}},
		}
	}
	cases := []struct {
		name   string
		change func(item map[string]any)
		want   string
	}{
		{name: "as configured", change: func(map[string]any) {}},
		{name: "another trust policy", change: func(i map[string]any) { i["assumeRolePolicyDocument"] = encoded(rights) }, want: "the role's trust policy differs"},
		{name: "no trust policy", change: func(i map[string]any) { delete(i, "assumeRolePolicyDocument") }, want: "the role's trust policy differs"},
		{name: "names of policies without documents", change: func(i map[string]any) {
			i["rolePolicyList"] = []any{map[string]any{"policyName": "deliver"}}
		}, want: "the role's inline policy deliver differs"},
		{name: "one policy more", change: func(i map[string]any) {
			i["rolePolicyList"] = append(i["rolePolicyList"].([]any), map[string]any{"policyName": "more", "policyDocument": encoded(rights)})
		}, want: "the role has the additional inline policy more"},
		{name: "no managed policy", change: func(i map[string]any) { delete(i, "attachedManagedPolicies") }, want: "the role lacks the managed policy AWS_ConfigRole"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			i := item()
			c.change(i)
			name, state := readRoleItem(compact(i))
			if name != "orgguard-config-recorder" {
				t.Fatalf("name %q", name)
			}
			if got := firstReason(compareRole(want, state(want))); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	limited := Resource{Type: want.Type, Props: maps.Clone(want.Props)}
	limited.Props["MaxSessionDuration"] = 3600
	_, state := readRoleItem(compact(item()))
	if got := firstReason(compareRole(limited, state(limited))); got != "the role's sessions last longer or shorter" {
		t.Errorf("an item does not say how long sessions last, and the role is %q", got)
	}
}

// Items are other people's words.
func FuzzReadItem(f *testing.F) {
	rule := Resource{Type: "AWS::Events::Rule", Props: map[string]any{"Name": "a", "State": "ENABLED", "EventPattern": map[string]any{}, "Targets": []any{}}}
	role := Resource{Type: "AWS::IAM::Role", Props: map[string]any{"RoleName": "a", "AssumeRolePolicyDocument": map[string]any{}}}
	for _, seed := range []string{``, `{}`, `{"Name":"a","EventPattern":"{","Targets":[{"Id":"x","InputTransformer":{}}]}`, `{"roleName":"a","rolePolicyList":[{}],"assumeRolePolicyDocument":"%zz"}`, `[1]`, `{"Targets":null,"EventPattern":null}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range []Resource{rule, role} {
			k := kinds[r.Type]
			name, state := k.item.read(text)
			if state == nil {
				if name != "" {
					t.Errorf("%s: a name and no state", r.Type)
				}
				continue
			}
			if !json.Valid([]byte(text)) {
				t.Errorf("%s: %q was taken", r.Type, text)
			}
			k.compare(r, state(r))
		}
	})
}

func TestIdentifiers(t *testing.T) {
	known := map[string]orgs.AccountID{"300000000001": "300000000001"}
	row := func(account, region, id string) string {
		return compact(map[string]string{"accountId": account, "awsRegion": region, "resourceId": id})
	}
	rows := []string{
		row("300000000001", "global", "AROA1"), row("300000000001", "global", "AROA1"), row("300000000001", "global", "AROA2"),
		row("999999999999", "global", "AROA1"), row("300000000001", "", "AROA1"), row("300000000001", "global", ""), "{", "",
	}
	var got []string
	for _, id := range identifiers("AWS::IAM::Role", rows, known) {
		got = append(got, *id.SourceAccountId+" "+*id.SourceRegion+" "+*id.ResourceId+" "+string(id.ResourceType))
	}
	want := []string{"300000000001 global AROA1 AWS::IAM::Role", "300000000001 global AROA2 AWS::IAM::Role"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
