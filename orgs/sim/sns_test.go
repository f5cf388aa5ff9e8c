package sim

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
)

func snsClient(t *testing.T) (*World, *sns.Client) {
	t.Helper()
	w := newTestWorld(t, "demo")
	w.SetClock(func() time.Time { return noon })
	return w, sns.NewFromConfig(adminConfig(w, shopProd, tokyo))
}

func TestTopics(t *testing.T) {
	ctx := t.Context()
	_, c := snsClient(t)
	tags := []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}
	arn := must(c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("alerts"), Tags: tags, Attributes: map[string]string{"DisplayName": "A"}}))(t).TopicArn
	if want := "arn:aws:sns:ap-northeast-1:" + shopProd + ":alerts"; *arn != want {
		t.Fatalf("ARN %s, want %s", *arn, want)
	}
	must(c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("alerts"), Tags: tags}))(t)
	for name, in := range map[string]sns.CreateTopicInput{
		"other attributes": {Name: aws.String("alerts"), Attributes: map[string]string{"DisplayName": "B"}},
		"other tags":       {Name: aws.String("alerts"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("w")}}},
		"a bad name":       {Name: aws.String("a b")},
		"a FIFO name":      {Name: aws.String("a.fifo")},
		"a bad policy":     {Name: aws.String("b"), Attributes: map[string]string{"Policy": "{"}},
		"a policy naming a role that does not exist": {Name: aws.String("b"), Attributes: map[string]string{
			"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + security + `:role/nobody"},"Action":"sns:Publish","Resource":"*"}]}`}},
		"an unknown attribute": {Name: aws.String("b"), Attributes: map[string]string{"Colour": "red"}},
	} {
		if _, err := c.CreateTopic(ctx, &in); errorCode(err) != "InvalidParameter" {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(c.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: arn, AttributeName: aws.String("KmsMasterKeyId"), AttributeValue: aws.String("alias/aws/sns")}))(t)
	got := must(c.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: arn}))(t).Attributes
	if got["DisplayName"] != "A" || got["KmsMasterKeyId"] != "alias/aws/sns" || got["Owner"] != shopProd || got["SubscriptionsConfirmed"] != "0" {
		t.Errorf("attributes %v", got)
	}
	if !json.Valid([]byte(got["Policy"])) || !strings.Contains(got["Policy"], `"AWS:SourceOwner":"`+shopProd+`"`) {
		t.Errorf("default policy %s", got["Policy"])
	}
	must(c.UntagResource(ctx, &sns.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"k"}}))(t)
	if left := must(c.ListTagsForResource(ctx, &sns.ListTagsForResourceInput{ResourceArn: arn}))(t).Tags; len(left) != 0 {
		t.Errorf("tags %v", left)
	}
	must(c.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: arn}))(t)
	must(c.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: arn}))(t)
	if _, err := c.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: arn}); errorCode(err) != "NotFound" {
		t.Errorf("a topic that is gone: %v", err)
	}
}

func TestMailSubscriptionsMustBeConfirmed(t *testing.T) {
	ctx := t.Context()
	w, c := snsClient(t)
	arn := must(c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("alerts")}))(t).TopicArn
	subscribe := &sns.SubscribeInput{TopicArn: arn, Protocol: aws.String("email"), Endpoint: aws.String("a@example.com")}
	if got := *must(c.Subscribe(ctx, subscribe))(t).SubscriptionArn; got != "pending confirmation" {
		t.Errorf("subscription %q", got)
	}
	list := func() []types.Subscription {
		return must(c.ListSubscriptionsByTopic(ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: arn}))(t).Subscriptions
	}
	if got := *list()[0].SubscriptionArn; got != "PendingConfirmation" {
		t.Errorf("listed as %q", got)
	}
	must(c.Publish(ctx, &sns.PublishInput{TopicArn: arn, Message: aws.String("one")}))(t)
	mails := w.Outbox()
	if len(mails) != 1 || mails[0].Subject != "AWS Notification - Subscription Confirmation" || mails[0].Endpoint != "a@example.com" {
		t.Fatalf("outbox %+v", mails)
	}
	token := regexp.MustCompile(`Token=([0-9a-f]+)`).FindStringSubmatch(mails[0].Message)
	if token == nil {
		t.Fatalf("no token in %q", mails[0].Message)
	}
	if _, err := c.ConfirmSubscription(ctx, &sns.ConfirmSubscriptionInput{TopicArn: arn, Token: aws.String("wrong")}); errorCode(err) != "InvalidParameter" {
		t.Errorf("a wrong token: %v", err)
	}
	confirmed := must(c.ConfirmSubscription(ctx, &sns.ConfirmSubscriptionInput{TopicArn: arn, Token: &token[1]}))(t)
	if got := *list()[0].SubscriptionArn; got != *confirmed.SubscriptionArn {
		t.Errorf("listed as %q", got)
	}
	must(c.Publish(ctx, &sns.PublishInput{TopicArn: arn, Message: aws.String("two"), Subject: aws.String("S")}))(t)
	want := Mail{Time: noon, Topic: *arn, Protocol: "email", Endpoint: "a@example.com", Subject: "S", Message: "two"}
	if diff := cmp.Diff(want, w.Outbox()[1]); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
	if got := *must(c.Subscribe(ctx, subscribe))(t).SubscriptionArn; got != *confirmed.SubscriptionArn {
		t.Errorf("subscribing again gives %q", got)
	}
	counts := must(c.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: arn}))(t).Attributes
	if counts["SubscriptionsConfirmed"] != "1" || counts["SubscriptionsPending"] != "0" {
		t.Errorf("counts %v", counts)
	}
	must(c.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: confirmed.SubscriptionArn}))(t)
	must(c.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: confirmed.SubscriptionArn}))(t)
	if n := len(list()); n != 0 {
		t.Errorf("%d subscriptions left", n)
	}
}

func TestSubscribeRefusals(t *testing.T) {
	_, c := snsClient(t)
	arn := must(c.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String("alerts")}))(t).TopicArn
	for name, in := range map[string]sns.SubscribeInput{
		"a bad mail address":       {TopicArn: arn, Protocol: aws.String("email"), Endpoint: aws.String("nobody")},
		"a queue that is no ARN":   {TopicArn: arn, Protocol: aws.String("sqs"), Endpoint: aws.String("q")},
		"an address of http":       {TopicArn: arn, Protocol: aws.String("https"), Endpoint: aws.String("http://example.com")},
		"an unknown protocol":      {TopicArn: arn, Protocol: aws.String("fax"), Endpoint: aws.String("1")},
		"a bad filter policy":      {TopicArn: arn, Protocol: aws.String("email"), Endpoint: aws.String("a@example.com"), Attributes: map[string]string{"FilterPolicy": `{"a":"b"}`}},
		"an unknown attribute":     {TopicArn: arn, Protocol: aws.String("email"), Endpoint: aws.String("a@example.com"), Attributes: map[string]string{"Colour": "red"}},
		"a topic in another place": {TopicArn: aws.String("arn:aws:sns:us-east-1:" + shopProd + ":alerts"), Protocol: aws.String("email"), Endpoint: aws.String("a@example.com")},
	} {
		if _, err := c.Subscribe(t.Context(), &in); errorCode(err) != "InvalidParameter" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSubscriptionsPageByHundred(t *testing.T) {
	ctx := t.Context()
	w, c := snsClient(t)
	arn := must(c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("alerts")}))(t).TopicArn
	for i := range 120 {
		must(c.Subscribe(ctx, &sns.SubscribeInput{TopicArn: arn, Protocol: aws.String("email"), Endpoint: aws.String(fmt.Sprintf("a%d@example.com", i))}))(t)
	}
	var sizes []int
	for p := sns.NewListSubscriptionsByTopicPaginator(c, &sns.ListSubscriptionsByTopicInput{TopicArn: arn}); p.HasMorePages(); {
		sizes = append(sizes, len(must(p.NextPage(ctx))(t).Subscriptions))
	}
	if diff := cmp.Diff([]int{100, 20}, sizes); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	if n := w.ConfirmSubscriptions(""); n != 120 {
		t.Errorf("confirmed %d", n)
	}
}

func TestTopicPoliciesBetweenAccounts(t *testing.T) {
	ctx := t.Context()
	w, c := snsClient(t)
	arn := must(c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("alerts")}))(t).TopicArn
	other := sns.NewFromConfig(adminConfig(w, security, tokyo))
	if _, err := other.Publish(ctx, &sns.PublishInput{TopicArn: arn, Message: aws.String("x")}); errorCode(err) != "AuthorizationError" {
		t.Errorf("the default policy: %v", err)
	}
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sns:Publish","Resource":"` + *arn + `","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-demo0guard"}}}]}`
	must(c.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: arn, AttributeName: aws.String("Policy"), AttributeValue: &policy}))(t)
	must(other.Publish(ctx, &sns.PublishInput{TopicArn: arn, Message: aws.String("x")}))(t)
	if _, err := other.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: arn}); errorCode(err) != "AuthorizationError" {
		t.Errorf("an action the policy does not allow: %v", err)
	}
	deny := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"sns:DeleteTopic","Resource":"*"}]}`
	must(c.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: arn, AttributeName: aws.String("Policy"), AttributeValue: &deny}))(t)
	if _, err := c.DeleteTopic(ctx, &sns.DeleteTopicInput{TopicArn: arn}); errorCode(err) != "AuthorizationError" {
		t.Errorf("the owner under an explicit deny: %v", err)
	}
}

func TestTopicToQueue(t *testing.T) {
	ctx := t.Context()
	w, c := snsClient(t)
	arn := must(c.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("alerts")}))(t).TopicArn
	queues := sqs.NewFromConfig(adminConfig(w, shopProd, tokyo))
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":"` + *arn + `"}}}]}`
	url := must(queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{"Policy": policy}}))(t).QueueUrl
	sub := must(c.Subscribe(ctx, &sns.SubscribeInput{
		TopicArn: arn, Protocol: aws.String("sqs"), Endpoint: aws.String("arn:aws:sqs:ap-northeast-1:" + shopProd + ":q"),
		Attributes: map[string]string{"FilterPolicy": `{"kind":["alarm"]}`},
	}))(t).SubscriptionArn
	alarm := map[string]types.MessageAttributeValue{"kind": {DataType: aws.String("String"), StringValue: aws.String("alarm")}}
	receive := func() []string {
		var out []string
		for _, m := range must(queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10}))(t).Messages {
			out = append(out, *m.Body)
		}
		return out
	}
	must(c.Publish(ctx, &sns.PublishInput{TopicArn: arn, Message: aws.String("filtered out")}))(t)
	must(c.Publish(ctx, &sns.PublishInput{TopicArn: arn, Message: aws.String("<hello>"), MessageAttributes: alarm}))(t)
	got := receive()
	if len(got) != 1 {
		t.Fatalf("messages %v", got)
	}
	var envelope struct{ Type, TopicArn, Message, Timestamp string }
	if err := json.Unmarshal([]byte(got[0]), &envelope); err != nil || envelope.Type != "Notification" || envelope.Message != "<hello>" || envelope.Timestamp != "2026-11-22T12:00:00.000Z" {
		t.Errorf("envelope %s (%v)", got[0], err)
	}
	must(c.SetSubscriptionAttributes(ctx, &sns.SetSubscriptionAttributesInput{SubscriptionArn: sub, AttributeName: aws.String("RawMessageDelivery"), AttributeValue: aws.String("true")}))(t)
	must(c.Publish(ctx, &sns.PublishInput{TopicArn: arn, Message: aws.String("raw"), MessageAttributes: alarm}))(t)
	if got := receive(); len(got) != 1 || got[0] != "raw" {
		t.Errorf("raw delivery %v", got)
	}
	must(queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{"Policy": ""}}))(t)
	must(c.Publish(ctx, &sns.PublishInput{TopicArn: arn, Message: aws.String("lost"), MessageAttributes: alarm}))(t)
	if got := receive(); len(got) != 0 {
		t.Errorf("a queue without a policy received %v", got)
	}
}

func TestOutboxIsBounded(t *testing.T) {
	w := newTestWorld(t, "demo")
	w.mu.Lock()
	for i := range maxOutbox + 10 {
		w.post(Mail{Message: fmt.Sprint(i)})
	}
	w.mu.Unlock()
	if got := w.Outbox(); len(got) != maxOutbox || got[0].Message != "10" {
		t.Errorf("%d mails, the first is %q", len(got), got[0].Message)
	}
}
