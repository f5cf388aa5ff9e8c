package sim

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func topics(ctx context.Context, s *script) {
	cfg := s.in("shop", "eu-west-1")
	c, q := sns.NewFromConfig(cfg), sqs.NewFromConfig(cfg)
	arn := "arn:aws:sns:eu-west-1:" + s.ids["shop"] + ":alerts"
	nowhere := arn + "-none"
	attributes := func(step, topic string, keys ...string) {
		see(s, step, func(o *sns.GetTopicAttributesOutput) any {
			m := map[string]any{}
			for _, k := range keys {
				m[k] = o.Attributes[k]
				if k == "Policy" {
					m[k] = document(aws.String(o.Attributes[k]))
				}
			}
			return m
		})(c.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &topic}))
	}
	set := func(step, topic, key, value string) {
		s.did(step)(c.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: &topic, AttributeName: &key, AttributeValue: &value}))
	}
	subscriptions := func(step string) {
		see(s, step, func(o *sns.ListSubscriptionsByTopicOutput) any {
			list := []string{}
			for _, sub := range o.Subscriptions {
				confirmed := "confirmed"
				if *sub.SubscriptionArn == "PendingConfirmation" {
					confirmed = "pending"
				}
				list = append(list, *sub.Protocol+" "+*sub.Endpoint+" "+confirmed)
			}
			slices.Sort(list)
			return list
		})(c.ListSubscriptionsByTopic(ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: &arn}))
	}

	see(s, "a topic", func(o *sns.CreateTopicOutput) any { return o.TopicArn })(c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("alerts"), Attributes: map[string]string{"DisplayName": "Alerts"}}))
	see(s, "it is made twice", func(o *sns.CreateTopicOutput) any { return o.TopicArn })(c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("alerts")}))
	attributes("what it is", arn, "TopicArn", "Owner", "DisplayName", "SubscriptionsConfirmed", "SubscriptionsPending")
	attributes("a topic that does not exist", nowhere)
	set("another name for people", arn, "DisplayName", "Warnings")
	attributes("it has that", arn, "DisplayName")
	set("an attribute that is none", arn, "Colour", "red")
	policy := `{"Version":"2012-10-17","Statement":[{"Sid":"events","Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sns:Publish","Resource":"` + arn +
		`","Condition":{"StringEquals":{"aws:SourceOrgID":"` + s.ids["organization"] + `"}}}]}`
	set("its policy", arn, "Policy", policy)
	attributes("the policy is there", arn, "Policy")

	url := must(q.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("inbox"), Attributes: map[string]string{
		"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}`,
	}}))(s.t).QueueUrl
	inbox := "arn:aws:sqs:eu-west-1:" + s.ids["shop"] + ":inbox"
	receive := func(step string, part func(string) any) {
		out := must(q.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10}))(s.t)
		list := []any{}
		for _, m := range out.Messages {
			list = append(list, part(*m.Body))
			must(q.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}))(s.t)
		}
		s.note(step, list, nil)
	}
	subscription := must(c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: &arn, Protocol: aws.String("sqs"), Endpoint: &inbox, ReturnSubscriptionArn: true}))(s.t).SubscriptionArn
	subscriptions("a queue of the same account is subscribed")
	see(s, "a mailbox subscribes and is asked", func(o *sns.SubscribeOutput) any { return *o.SubscriptionArn == "pending confirmation" })(
		c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: &arn, Protocol: aws.String("email"), Endpoint: aws.String("you@example.com")}))
	subscriptions("the mailbox has yet to agree")
	attributes("both are counted", arn, "SubscriptionsConfirmed", "SubscriptionsPending")
	s.did("subscribe to no topic")(c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: &nowhere, Protocol: aws.String("email"), Endpoint: aws.String("you@example.com")}))

	s.did("publish")(c.Publish(ctx, &sns.PublishInput{TopicArn: &arn, Message: aws.String("it happened"), Subject: aws.String("alert")}))
	receive("what comes with an envelope", func(body string) any {
		var m map[string]any
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			return body
		}
		return []any{m["Type"], m["TopicArn"], m["Subject"], m["Message"]}
	})
	s.did("deliver without the envelope")(c.SetSubscriptionAttributes(ctx, &sns.SetSubscriptionAttributesInput{SubscriptionArn: subscription, AttributeName: aws.String("RawMessageDelivery"), AttributeValue: aws.String("true")}))
	s.did("publish again")(c.Publish(ctx, &sns.PublishInput{TopicArn: &arn, Message: aws.String("again")}))
	receive("what comes without one", func(body string) any { return body })
	s.did("publish to no topic")(c.Publish(ctx, &sns.PublishInput{TopicArn: &nowhere, Message: aws.String("x")}))
	s.did("publish nothing")(c.Publish(ctx, &sns.PublishInput{TopicArn: &arn, Message: aws.String("")}))
	s.did("publish too much")(c.Publish(ctx, &sns.PublishInput{TopicArn: &arn, Message: aws.String(strings.Repeat("x", 262_145))}))

	s.did("unsubscribe")(c.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: subscription}))
	subscriptions("the mailbox is left")
	s.did("attributes of no subscription")(c.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: subscription}))
	s.did("subscribe by pigeon")(c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: &arn, Protocol: aws.String("pigeon"), Endpoint: aws.String("roof")}))
	s.did("delete the topic")(c.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: &arn}))
	s.did("delete it again")(c.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: &arn}))
	attributes("it is gone", arn)
	s.did("a name that is none")(c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("not a name")}))
	must(c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("last")}))(s.t)
	set("a policy that is no JSON", "arn:aws:sns:eu-west-1:"+s.ids["shop"]+":last", "Policy", "garbage")
}

func queues(ctx context.Context, s *script) {
	c := sqs.NewFromConfig(s.in("shop", "eu-west-1"))
	create := func(step, name string, attributes map[string]string) *string {
		out, err := c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		s.note(step, "done", err)
		if err != nil {
			return nil
		}
		return out.QueueUrl
	}
	attributes := func(step string, url *string, keys ...sqstypes.QueueAttributeName) {
		see(s, step, func(o *sqs.GetQueueAttributesOutput) any {
			m := map[string]any{}
			for k, v := range o.Attributes {
				m[k] = v
				if k == "Policy" || k == "RedrivePolicy" {
					m[k] = document(&v)
				}
			}
			return m
		})(c.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: keys}))
	}
	arn := "arn:aws:sqs:eu-west-1:" + s.ids["shop"] + ":"
	dead := create("a queue", "dead", map[string]string{"MessageRetentionPeriod": "1209600"})
	create("the same again", "dead", map[string]string{"MessageRetentionPeriod": "1209600"})
	create("the same name, another retention", "dead", map[string]string{"MessageRetentionPeriod": "60"})
	create("a name that is none", "not a name", nil)
	attributes("some of its attributes", dead, "QueueArn", "MessageRetentionPeriod", "VisibilityTimeout")
	s.did("where it is")(c.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("dead")}))
	s.did("where nothing is")(c.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("none")}))
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + arn + `dead"}]}`
	s.did("its policy")(c.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: dead, Attributes: map[string]string{"Policy": policy}}))
	attributes("the policy is there", dead, "Policy")
	work := create("a queue with a dead-letter queue", "work", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `dead","maxReceiveCount":3}`})
	attributes("it has one", work, "RedrivePolicy")
	s.did("an attribute that is none")(c.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: dead, Attributes: map[string]string{"Colour": "red"}}))

	s.did("send")(c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: dead, MessageBody: aws.String("one")}))
	attributes("one message waits", dead, "ApproximateNumberOfMessages")
	got := must(c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: dead}))(s.t)
	s.note("it comes", len(got.Messages), nil)
	see(s, "and not twice", func(o *sqs.ReceiveMessageOutput) any { return len(o.Messages) })(c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: dead}))
	if len(got.Messages) > 0 {
		s.did("it is deleted")(c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: dead, ReceiptHandle: got.Messages[0].ReceiptHandle}))
	}
	s.did("eleven at once")(c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: dead, MaxNumberOfMessages: 11}))
	s.did("delete the queue")(c.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: work}))
	s.did("send to a queue that is gone")(c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: work, MessageBody: aws.String("x")}))
	s.did("a policy that is no JSON")(c.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: dead, Attributes: map[string]string{"Policy": "garbage"}}))
}
