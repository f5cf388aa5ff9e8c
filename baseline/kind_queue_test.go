package baseline

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

func TestCompareQueue(t *testing.T) {
	r := templateResource(t, "alert-topic.central.yaml", "DeadLetters", "us-east-1")
	sse := func(on bool) map[string]any { return map[string]any{"sqs_managed_sse": on} }
	seconds := func(n float64) map[string]any { return map[string]any{"seconds": n} }
	testCompare(t, r, []compareCase{
		{"a queue as the template says is in sync", queueState{Retention: "1209600", Managed: true}, nil},
		{"a shorter time differs", queueState{Retention: "345600", Managed: true}, []Mismatch{
			{Reason: "the queue keeps messages for another time", Expected: seconds(1209600), Actual: seconds(345600)},
		}},
		{"a queue without encryption differs", queueState{Retention: "1209600"}, []Mismatch{
			{Reason: "the queue is not encrypted", Expected: sse(true), Actual: sse(false)},
		}},
		{"a queue with a KMS key differs", queueState{Retention: "1209600", Key: "alias/aws/sqs"}, []Mismatch{{
			Reason: "the queue is encrypted with a KMS key instead of SQS's own", Expected: sse(true),
			Actual: map[string]any{"sqs_managed_sse": false, "kms_key": "alias/aws/sqs"},
		}}},
		{"settings that the API does not tell are not taken for granted", queueState{}, []Mismatch{
			{Reason: "the queue keeps messages for another time", Expected: seconds(1209600), Actual: map[string]any{"seconds": ""}},
			{Reason: "the queue is not encrypted", Expected: sse(true), Actual: sse(false)},
		}},
	})
}

func TestCompareQueuePolicy(t *testing.T) {
	r := templateResource(t, "alert-topic.central.yaml", "DeadLettersPolicy", "us-east-1")
	url, want := "https://sqs.us-east-1.amazonaws.com/"+securityAccount+"/orgguard-alerts-dlq", r.Props["PolicyDocument"]
	testCompare(t, r, []compareCase{
		{"the template's policy is in sync", attachedPolicies{url: compact(want)}, nil},
		{"another policy differs", attachedPolicies{url: "{}"}, []Mismatch{
			{Reason: "the queue's policy differs", Expected: want, Actual: map[string]any{}},
		}},
	})
}

func TestQueueIsRepaired(t *testing.T) {
	s := simSite(t, "us-east-1")
	r := templateResource(t, "alert-topic.topic.yaml", "DeadLetters", "us-east-1")
	url := s.attribute(r, "Ref")
	set := func(attrs map[string]string) func(*testing.T, site) error {
		return func(t *testing.T, s site) error { return s.setQueueAttributes(t.Context(), url, attrs) }
	}
	testLifecycle(t, s, r, []tampering{
		{"messages are kept for a minute", set(map[string]string{queueRetention: "60"}), []string{"the queue keeps messages for another time"}, false},
		{"the encryption is switched off", set(map[string]string{queueManaged: "false"}), []string{"the queue is not encrypted"}, false},
		{"a KMS key is used", set(map[string]string{queueManaged: "false", queueKey: "alias/aws/sqs"}),
			[]string{"the queue is encrypted with a KMS key instead of SQS's own"}, false},
	})
}

func TestQueuePolicyIsRepaired(t *testing.T) {
	s := simSite(t, "us-east-1")
	r := templateResource(t, "alert-topic.topic.yaml", "DeadLettersPolicy", "us-east-1")
	queue := templateResource(t, "alert-topic.topic.yaml", "DeadLetters", "us-east-1")
	mustRepair(t, s, queue)
	url := s.attribute(queue, "Ref")
	testLifecycle(t, s, r, []tampering{
		{"the policy is opened", func(t *testing.T, s site) error {
			return s.setQueueAttributes(t.Context(), url, map[string]string{queuePolicy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}]}`})
		}, []string{"the queue's policy differs"}, false},
		{"the policy is taken away", func(t *testing.T, s site) error {
			_, err := s.SQS.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: aws.String(url), Attributes: map[string]string{queuePolicy: ""}}, s.at.SQS)
			return err
		}, nil, true},
	})
}
