package baseline

import (
	"errors"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// AlertTopicSettings are the settings of alert-topic.
type AlertTopicSettings struct {
	Encrypt bool `yaml:"encrypt" doc:"local alerts: a KMS key for the topic of each account × Region; central alerts have one in any case"`
}

// keyPrice is what a customer managed key costs in a month, in USD.
// https://aws.amazon.com/kms/pricing/
const keyPrice = 1

// alertTopic: alerts have a way to people. With local alerts EventBridge itself
// publishes. The key that AWS manages for SNS (alias/aws/sns) does not let it, and its
// policy cannot be changed, so a topic that is encrypted with KMS needs a customer
// managed key. It is a key for each topic: KMS policies cannot say "of this
// organization" to EventBridge, so one key for many accounts would be open to topics
// of that name anywhere. They are made by default, since nothing that rests without a
// key is what a baseline promises and what AWS's own checks ask for (SNS.1), and what
// they cost is said before they are made.
// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
var alertTopic = Control{
	ID: "alert-topic", Title: "Alerts have a way to people", Severity: finding.High,
	Default: true,
	about: About{
		Why: "An alert that reaches nobody is none. What cannot be delivered waits two weeks in a dead-letter queue.",
		Cost: "with central alerts one KMS key, USD 1 a month; with local alerts one for each account × Region, " +
			"USD 1 a month each, since EventBridge may not use the key that AWS manages for SNS: encrypt: false makes none",
		Example: `alert-topic: {encrypt: true}`,
	},
	parts: []part{
		{unit: "central", mode: spec.Central}, {unit: "management", mode: spec.Central}, {unit: "roles", mode: spec.Central},
		{unit: "topic", mode: spec.Local},
	},
	settings: func() any { return &AlertTopicSettings{Encrypt: true} },
	params: func(s any, _ *Baseline) map[string]string {
		return map[string]string{"AlertTopicEncrypted": strconv.FormatBool(s.(*AlertTopicSettings).Encrypt)}
	},
	extend:  subscribe,
	central: true,
}

// checkTopic refuses to leave out the key that central alerts always have, and notes
// what the keys of local alerts cost where nobody has said that they are wanted.
func (b *Baseline) checkTopic() error {
	s, ok := b.settings[alertTopic.ID].(*AlertTopicSettings)
	switch {
	case !ok:
		return nil
	case b.Config.Alerts.Mode == spec.Central:
		if !s.Encrypt {
			return errors.New("baseline: alert-topic: encrypt: false is for local alerts; the one topic of central alerts always has its key, for USD 1 a month")
		}
	case s.Encrypt && !b.Config.Baseline[alertTopic.ID].Says("encrypt"):
		b.Notes = append(b.Notes, fmt.Sprintf("the configuration has local alerts and says nothing of encrypt in alert-topic: "+
			"every account × Region gets a KMS key for its topic, USD %d a month each; encrypt: false saves that", keyPrice))
	}
	return nil
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
