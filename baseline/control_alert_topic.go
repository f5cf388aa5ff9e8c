package baseline

import (
	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// alertTopic: alerts have a way to people.
var alertTopic = Control{
	ID: "alert-topic", Title: "Alerts have a way to people", Severity: finding.High,
	Scope: "the security account (central alerts) or every account × Region (local alerts)", Default: true,
	about: About{
		Why:     "An alert that reaches nobody is none. What cannot be delivered waits two weeks in a dead-letter queue.",
		Cost:    "with central alerts one KMS key, USD 1 a month; else next to nothing",
		Example: `alert-topic: true`,
	},
	parts: []part{
		{unit: "central", mode: spec.Central}, {unit: "management", mode: spec.Central}, {unit: "roles", mode: spec.Central},
		{unit: "topic", mode: spec.Local},
	},
	extend:  subscribe,
	central: true,
}

// subscribe adds a subscription for each mail address: CloudFormation templates
// have no loops.
func subscribe(f *fragment, b *Baseline) {
	resources := get(f.root, "Resources")
	if resources == nil || get(resources, "AlertTopic") == nil {
		return
	}
	if b.chats() {
		startChat(f)
	}
	for i, address := range b.Config.Alerts.Email {
		props := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		set(props, "TopicArn", text("!Ref", "AlertTopic"))
		set(props, "Protocol", text("!!str", "email"))
		set(props, "Endpoint", text("!!str", address))
		body := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		set(body, "Type", text("!!str", "AWS::SNS::Subscription"))
		set(body, "Properties", props)
		set(resources, "EmailSubscription"+string(rune('A'+i%26))+suffix(i/26), body)
	}
}

// suffix keeps logical ids apart when there are more than 26 addresses.
func suffix(n int) string {
	if n == 0 {
		return ""
	}
	return string(rune('A' + (n-1)%26))
}
