package sim

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
)

func TestQueues(t *testing.T) {
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	w.SetClock(func() time.Time { return noon })
	c := sqs.NewFromConfig(adminConfig(w, shopProd, tokyo))
	url := must(c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("q"), Tags: map[string]string{"k": "v"}, Attributes: map[string]string{"VisibilityTimeout": "60"}}))(t).QueueUrl
	if *url != "https://sqs.ap-northeast-1.amazonaws.com/"+shopProd+"/q" {
		t.Errorf("URL %s", *url)
	}
	must(c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{"VisibilityTimeout": "60"}}))(t)
	for name, tt := range map[string]struct {
		in   sqs.CreateQueueInput
		want string
	}{
		"different attributes":  {sqs.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{"VisibilityTimeout": "30"}}, "QueueAlreadyExists"},
		"a bad name":            {sqs.CreateQueueInput{QueueName: aws.String("a b")}, "InvalidParameterValue"},
		"a FIFO queue's name":   {sqs.CreateQueueInput{QueueName: aws.String("q.fifo")}, "InvalidParameterValue"},
		"a value out of range":  {sqs.CreateQueueInput{QueueName: aws.String("r"), Attributes: map[string]string{"DelaySeconds": "901"}}, "InvalidAttributeValue"},
		"an unknown attribute":  {sqs.CreateQueueInput{QueueName: aws.String("r"), Attributes: map[string]string{"Colour": "red"}}, "InvalidAttributeName"},
		"a policy that is none": {sqs.CreateQueueInput{QueueName: aws.String("r"), Attributes: map[string]string{"Policy": "{}"}}, "InvalidAttributeValue"},
	} {
		if _, err := c.CreateQueue(ctx, &tt.in); errorCode(err) != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	got := must(c.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}}))(t).Attributes
	want := map[string]string{
		"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesDelayed": "0", "ApproximateNumberOfMessagesNotVisible": "0",
		"CreatedTimestamp": "1795348800", "LastModifiedTimestamp": "1795348800", "DelaySeconds": "0", "MaximumMessageSize": "1048576",
		"MessageRetentionPeriod": "345600", "ReceiveMessageWaitTimeSeconds": "0", "VisibilityTimeout": "60", "SqsManagedSseEnabled": "true",
		"QueueArn": "arn:aws:sqs:ap-northeast-1:" + shopProd + ":q",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	must(c.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: url}))(t)
	_, err := c.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("q")})
	var gone *types.QueueDoesNotExist
	if !errors.As(err, &gone) || gone.ErrorCode() != "AWS.SimpleQueueService.NonExistentQueue" {
		t.Errorf("a queue that is gone: %v", err)
	}
}

func TestMessages(t *testing.T) {
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	now := noon
	w.SetClock(func() time.Time { return now })
	c := sqs.NewFromConfig(adminConfig(w, shopProd, tokyo))
	must(c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("dead")}))(t)
	url := must(c.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:ap-northeast-1:` + shopProd + `:dead","maxReceiveCount":"2"}`,
	}}))(t).QueueUrl
	must(c.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("hello")}))(t)
	receive := func(queue *string) []types.Message {
		return must(c.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"ApproximateReceiveCount"}}))(t).Messages
	}
	if got := receive(url); len(got) != 1 || *got[0].Body != "hello" || got[0].Attributes["ApproximateReceiveCount"] != "1" {
		t.Fatalf("first receipt %+v", got)
	}
	if got := receive(url); len(got) != 0 {
		t.Errorf("a message that somebody works on was given away: %+v", got)
	}
	now = now.Add(time.Minute)
	again := receive(url)
	if len(again) != 1 || again[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Fatalf("second receipt %+v", again)
	}
	now = now.Add(time.Minute)
	if got := receive(url); len(got) != 0 {
		t.Errorf("third receipt %+v", got)
	}
	dead := must(c.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("dead")}))(t).QueueUrl
	got := receive(dead)
	if len(got) != 1 {
		t.Fatalf("dead letters %+v", got)
	}
	must(c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: dead, ReceiptHandle: got[0].ReceiptHandle}))(t)
	if _, err := c.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: dead, ReceiptHandle: aws.String("x")}); errorCode(err) != "ReceiptHandleIsInvalid" {
		t.Errorf("a bad handle: %v", err)
	}
	other := sqs.NewFromConfig(adminConfig(w, security, tokyo))
	if _, err := other.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("x")}); errorCode(err) != "AccessDenied" {
		t.Errorf("another account: %v", err)
	}
}
