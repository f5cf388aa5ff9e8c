package baseline

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

func TestCompareTopic(t *testing.T) {
	r := templateResource(t, "alert-topic.central.yaml", "AlertTopic", "us-east-1")
	testCompare(t, r, []compareCase{
		{"a topic as the template says is in sync", topicState{DisplayName: aws.String("orgguard"), Key: "alias/orgguard-alerts"}, nil},
		{"the alias' key is as good as the alias", topicState{DisplayName: aws.String("orgguard"), Key: "1234", SameKey: true}, nil},
		{"an API without display names is no drift", topicState{Key: "alias/orgguard-alerts"}, nil},
		{"a topic without a key is not encrypted", topicState{DisplayName: aws.String("orgguard")}, []Mismatch{
			{Reason: "the topic is not encrypted", Expected: "alias/orgguard-alerts"},
		}},
		{"another key and another name are two mismatches", topicState{DisplayName: aws.String("other"), Key: "alias/aws/sns"}, []Mismatch{
			{Reason: "the topic is encrypted with another key", Expected: "alias/orgguard-alerts", Actual: "alias/aws/sns"},
			{Reason: "the topic's display name differs", Expected: "orgguard", Actual: "other"},
		}},
	})
	local := templateResource(t, "alert-topic.topic.yaml", "AlertTopic", "us-east-1")
	testCompare(t, local, []compareCase{
		{"encryption that the template does not ask for is no drift", topicState{DisplayName: aws.String("orgguard"), Key: "alias/aws/sns"}, nil},
	})
}

func TestCompareTopicPolicy(t *testing.T) {
	r := templateResource(t, "alert-topic.central.yaml", "AlertTopicPolicy", "us-east-1")
	arn, want := toStrings(r.list("Topics"))[0], r.Props["PolicyDocument"]
	testCompare(t, r, []compareCase{
		{"the template's policy is in sync", attachedPolicies{arn: compact(want)}, nil},
		{"another policy differs", attachedPolicies{arn: `{"Statement":[]}`}, []Mismatch{
			{Reason: "the topic's policy differs", Expected: want, Actual: map[string]any{"Statement": []any{}}},
		}},
		{"a policy that is not JSON is shown as it is", attachedPolicies{arn: "oops"}, []Mismatch{
			{Reason: "the topic's policy differs", Expected: want, Actual: "oops"},
		}},
		{"no policy at all", attachedPolicies{arn: ""}, []Mismatch{{Reason: "the topic has no policy", Expected: want}}},
		{"a topic that is not there", attachedPolicies{}, []Mismatch{{Reason: "there is no topic " + arn, Expected: want}}},
	})
}

func mailSubscription() Resource {
	return Resource{Type: "AWS::SNS::Subscription", LogicalID: "Mail", Props: map[string]any{
		"TopicArn": "arn:aws:sns:us-east-1:" + securityAccount + ":orgguard-alerts", "Protocol": "email", "Endpoint": "security@example.com",
	}}
}

func TestCompareSubscription(t *testing.T) {
	testCompare(t, mailSubscription(), []compareCase{
		{"a confirmed subscription is in sync", subscriptionState{Confirmed: true}, nil},
		{"a pending one is for a person to confirm", subscriptionState{}, []Mismatch{{
			Reason:   "the subscription of security@example.com is not confirmed",
			Expected: "confirmed", Actual: "pending confirmation",
			Manual: "ask security@example.com to click the link in the mail that SNS sent", Waits: true,
		}}},
	})
}

func TestTopicIsRepaired(t *testing.T) {
	s := simSite(t, "us-east-1")
	mustRepair(t, s, templateResource(t, "alert-topic.central.yaml", "AlertKey", "us-east-1"))
	r := templateResource(t, "alert-topic.central.yaml", "AlertTopic", "us-east-1")
	arn := aws.String(s.attribute(r, "Ref"))
	set := func(attr, value string) func(*testing.T, site) error {
		return func(t *testing.T, s site) error {
			_, err := s.SNS.SetTopicAttributes(t.Context(), &sns.SetTopicAttributesInput{TopicArn: arn, AttributeName: &attr, AttributeValue: &value}, s.at.SNS)
			return err
		}
	}
	testLifecycle(t, s, r, []tampering{
		{"the encryption is switched off", set("KmsMasterKeyId", ""), []string{"the topic is not encrypted"}, false},
		{"the display name is changed", set("DisplayName", "other"), []string{"the topic's display name differs"}, false},
		{"the key is named by its id", func(t *testing.T, s site) error {
			key, err := s.KMS.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String(alertKeyAlias)}, s.at.KMS)
			if err != nil {
				return err
			}
			return set("KmsMasterKeyId", *key.KeyMetadata.KeyId)(t, s)
		}, nil, false},
		{"the topic is deleted", func(t *testing.T, s site) error {
			_, err := s.SNS.DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: arn}, s.at.SNS)
			return err
		}, nil, true},
	})
}

func TestTopicPolicyIsRepaired(t *testing.T) {
	s := simSite(t, "us-east-1")
	topic := templateResource(t, "alert-topic.topic.yaml", "AlertTopic", "us-east-1")
	r := templateResource(t, "alert-topic.topic.yaml", "AlertTopicPolicy", "us-east-1")
	if state, err := observeTopicPolicy(t.Context(), s, r); state != nil || err != nil {
		t.Fatalf("observe without a topic = %v, %v", state, err)
	}
	mustRepair(t, s, topic)
	// A new topic has a policy already, which lets its owner do everything.
	state, err := observeTopicPolicy(t.Context(), s, r)
	if err != nil {
		t.Fatal(err)
	}
	if got := reasons(topicPolicyKind.compare(r, state)); len(got) != 1 {
		t.Errorf("a new topic's policy: %v", got)
	}
	mustRepair(t, s, r)
}

func TestSubscriptionIsRepaired(t *testing.T) {
	s := simSite(t, "us-east-1")
	mustRepair(t, s, templateResource(t, "alert-topic.topic.yaml", "AlertTopic", "us-east-1"))
	r := mailSubscription()
	state, err := observeSubscription(t.Context(), s, r)
	if state != nil || err != nil {
		t.Fatalf("observe before = %v, %v", state, err)
	}
	for range 2 { // the second time it is pending
		if err := repairSubscription(t.Context(), s, r, state); err != nil {
			t.Fatal(err)
		}
		if state, err = observeSubscription(t.Context(), s, r); state != (subscriptionState{}) || err != nil {
			t.Fatalf("observe after = %v, %v", state, err)
		}
	}
}
