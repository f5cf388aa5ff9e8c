package sim

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// sqsMessage is a message in a queue.
type sqsMessage struct {
	ID         string                  `json:"id"`
	Body       string                  `json:"body"`
	Attributes map[string]sqsAttribute `json:"attributes,omitempty"`
	Sender     string                  `json:"sender,omitempty"`
	Group      string                  `json:"group,omitempty"` // of a FIFO queue
	Sent       time.Time               `json:"sent"`
	Received   int                     `json:"received,omitempty"`
	FirstSeen  time.Time               `json:"first_seen,omitzero"`
	Visible    time.Time               `json:"visible,omitzero"` // hidden from receivers until then
	Receipt    string                  `json:"receipt,omitempty"`
}

// sqsAttribute is a message attribute.
type sqsAttribute struct {
	Type   string `json:"type"`
	Value  string `json:"value,omitempty"`
	Binary []byte `json:"binary,omitempty"`
}

// redrive is a queue's RedrivePolicy: after MaxReceives a message moves to the
// dead-letter queue. Both spellings of the number are accepted.
type redrive struct {
	Target      string      `json:"deadLetterTargetArn"`
	MaxReceives json.Number `json:"maxReceiveCount"`
}

func redriveOf(policy string) redrive {
	var r redrive
	if json.Unmarshal([]byte(policy), &r) != nil {
		return redrive{}
	}
	return r
}

// md5Hex is the checksum that SQS returns and the SDK verifies.
func md5Hex(body string) *string {
	h := md5.Sum([]byte(body))
	return aws.String(hex.EncodeToString(h[:]))
}

func sendMessage(c *call, in *sqs.SendMessageInput) (*sqs.SendMessageOutput, error) {
	q, arn, err := queueFor(c, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	attributes := c.w.queueAttributes(q, arn)
	body := aws.ToString(in.MessageBody)
	if most, err := strconv.Atoi(attributes["MaximumMessageSize"]); err == nil && len(body) > most {
		return nil, apiError("InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", most)
	}
	if body == "" {
		return nil, apiError("MissingParameter", "The request must contain the parameter MessageBody.")
	}
	fifo := attributes["FifoQueue"] == "true"
	if fifo && aws.ToString(in.MessageGroupId) == "" {
		return nil, apiError("MissingParameter", "The request must contain the parameter MessageGroupId.")
	}
	refuse := func(key string) error {
		return apiError("KMS.AccessDeniedException", "User: %s is not authorized to perform: kms:GenerateDataKey on resource: %s", c.caller.ARN, key)
	}
	if err := c.useKey(arnAccount(arn), q.Attributes["KmsMasterKeyId"], refuse); err != nil {
		return nil, err
	}
	m := &sqsMessage{ID: c.w.uuid(), Body: body, Sender: c.caller.ARN, Group: aws.ToString(in.MessageGroupId), Sent: c.now}
	delay := in.DelaySeconds
	if delay == 0 {
		n, _ := strconv.Atoi(attributes["DelaySeconds"]) // was checked when it was set
		delay = int32(n)
	}
	if delay > 0 {
		m.Visible = c.now.Add(time.Duration(delay) * time.Second)
	}
	for name, a := range in.MessageAttributes {
		if m.Attributes == nil {
			m.Attributes = map[string]sqsAttribute{}
		}
		m.Attributes[name] = sqsAttribute{Type: aws.ToString(a.DataType), Value: aws.ToString(a.StringValue), Binary: slices.Clone(a.BinaryValue)}
	}
	q.Messages = append(q.Messages, m)
	c.w.dirty()
	out := &sqs.SendMessageOutput{MessageId: aws.String(m.ID), MD5OfMessageBody: md5Hex(body)}
	if fifo {
		out.SequenceNumber = aws.String(strconv.Itoa(len(q.Messages)))
	}
	return out, nil
}

// sendAsService puts a message into a queue for an AWS service. It returns the
// error code of the refusal; "" when the message is in the queue.
func (w *World) sendAsService(service, account, sourceARN, queueARN, body string, attributes map[string]sqsAttribute, now time.Time) string {
	q := w.queueByARN(queueARN)
	if q == nil {
		return "NO_RESOURCE"
	}
	ctx := w.serviceContext(service, account, sourceARN, now)
	if w.judge(q.Attributes["Policy"], policyRequest{servicePrincipal(service, account), "sqs:SendMessage", queueARN, ctx}) != allows {
		return "NO_PERMISSIONS"
	}
	_, region, owner, _, _ := arnParts(queueARN)
	if key := q.Attributes["KmsMasterKeyId"]; key != "" && !w.keyAdmitsService(w.keyARN(owner, region, key), service, account, sourceARN, now) {
		return "NO_PERMISSIONS"
	}
	q.Messages = append(q.Messages, &sqsMessage{ID: w.uuid(), Body: body, Attributes: attributes, Sender: service, Sent: now})
	if extra := len(q.Messages) - maxQueueLength; extra > 0 {
		q.Messages = slices.Clone(q.Messages[extra:])
	}
	w.dirty()
	return ""
}

// maxQueueLength bounds what nobody receives: a queue of AWS drops messages
// after days, and a sandbox may live longer.
const maxQueueLength = 5000

func receiveMessage(c *call, in *sqs.ReceiveMessageInput) (*sqs.ReceiveMessageOutput, error) {
	q, arn, err := queueFor(c, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	most := int(in.MaxNumberOfMessages)
	switch {
	case most == 0:
		most = 1
	case most < 0 || most > 10:
		return nil, apiError("InvalidParameterValue", "Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", most)
	}
	attributes := c.w.queueAttributes(q, arn)
	hide, _ := strconv.Atoi(attributes["VisibilityTimeout"]) // was checked when it was set
	if in.VisibilityTimeout > 0 {
		hide = int(in.VisibilityTimeout)
	}
	keep, _ := strconv.Atoi(attributes["MessageRetentionPeriod"])
	expired := c.now.Add(-time.Duration(keep) * time.Second)
	q.Messages = slices.DeleteFunc(q.Messages, func(m *sqsMessage) bool { return m.Sent.Before(expired) })
	c.w.redriveMessages(q, c.now)

	out := &sqs.ReceiveMessageOutput{}
	for _, m := range q.Messages {
		if len(out.Messages) == most {
			break
		}
		if m.Visible.After(c.now) {
			continue
		}
		m.Received++
		if m.FirstSeen.IsZero() {
			m.FirstSeen = c.now
		}
		m.Visible = c.now.Add(time.Duration(hide) * time.Second)
		m.Receipt = c.w.id(40)
		out.Messages = append(out.Messages, m.received(in))
	}
	if len(out.Messages) > 0 {
		c.w.dirty()
	}
	return out, nil
}

// redriveMessages moves what was received too often to the dead-letter queue.
func (w *World) redriveMessages(q *sqsQueue, now time.Time) {
	policy := redriveOf(q.Attributes["RedrivePolicy"])
	most, err := strconv.Atoi(policy.MaxReceives.String())
	dead := w.queueByARN(policy.Target)
	if err != nil || dead == nil {
		return
	}
	q.Messages = slices.DeleteFunc(q.Messages, func(m *sqsMessage) bool {
		if m.Received < most || m.Visible.After(now) {
			return false
		}
		dead.Messages = append(dead.Messages, m)
		return true
	})
}

// received is a message as its receiver asked for it.
func (m *sqsMessage) received(in *sqs.ReceiveMessageInput) types.Message {
	out := types.Message{MessageId: aws.String(m.ID), Body: aws.String(m.Body), MD5OfBody: md5Hex(m.Body), ReceiptHandle: aws.String(m.Receipt)}
	system := map[string]string{
		"SentTimestamp":                    strconv.FormatInt(m.Sent.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.Received),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.FirstSeen.UnixMilli(), 10),
		"SenderId":                         m.Sender,
	}
	if m.Group != "" {
		system["MessageGroupId"] = m.Group
	}
	var asked []string
	for _, n := range in.AttributeNames { //nolint:staticcheck // the older name of the next field; SQS still takes it
		asked = append(asked, string(n))
	}
	for _, n := range in.MessageSystemAttributeNames {
		asked = append(asked, string(n))
	}
	for name, value := range system {
		if slices.Contains(asked, "All") || slices.Contains(asked, name) {
			if out.Attributes == nil {
				out.Attributes = map[string]string{}
			}
			out.Attributes[name] = value
		}
	}
	for name, a := range m.Attributes {
		if slices.Contains(in.MessageAttributeNames, "All") || slices.Contains(in.MessageAttributeNames, ".*") || slices.Contains(in.MessageAttributeNames, name) {
			if out.MessageAttributes == nil {
				out.MessageAttributes = map[string]types.MessageAttributeValue{}
			}
			v := types.MessageAttributeValue{DataType: aws.String(a.Type)}
			if a.Binary != nil {
				v.BinaryValue = slices.Clone(a.Binary)
			} else {
				v.StringValue = aws.String(a.Value)
			}
			out.MessageAttributes[name] = v
		}
	}
	return out
}

func deleteMessage(c *call, in *sqs.DeleteMessageInput) (*sqs.DeleteMessageOutput, error) {
	q, _, err := queueFor(c, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	receipt := aws.ToString(in.ReceiptHandle)
	if len(receipt) != 40 {
		return nil, apiError("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
	}
	// A handle of an earlier receipt, or of a message that is gone, deletes
	// nothing and is no error.
	q.Messages = slices.DeleteFunc(q.Messages, func(m *sqsMessage) bool { return m.Receipt == receipt })
	c.w.dirty()
	return &sqs.DeleteMessageOutput{}, nil
}
