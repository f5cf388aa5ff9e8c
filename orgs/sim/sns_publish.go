package sim

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/orgguard/orgguard/orgs/eventpattern"
)

const snsService = "sns.amazonaws.com"

// maxOutbox bounds the outbox: the oldest messages go first.
const maxOutbox = 3000

// post puts a message into the outbox.
func (w *World) post(m Mail) {
	w.state.Outbox = append(w.state.Outbox, m)
	if extra := len(w.state.Outbox) - maxOutbox; extra > 0 {
		w.state.Outbox = slices.Clone(w.state.Outbox[extra:])
	}
}

// Outbox returns every message that a topic delivered to a mailbox, a web
// server or a telephone, oldest first.
func (w *World) Outbox() []Mail {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.state.Outbox)
}

// message is what is published to a topic.
type message struct {
	text, subject string
	attributes    map[string]sqsAttribute
	perProtocol   map[string]string // of MessageStructure json
}

// forProtocol is the text that endpoints of a protocol get.
func (m message) forProtocol(protocol string) string {
	if text, ok := m.perProtocol[protocol]; ok {
		return text
	}
	if text, ok := m.perProtocol["default"]; ok {
		return text
	}
	return m.text
}

// snsEnvelope is a message as web servers, queues and email-json endpoints get
// it. The signature is not modelled.
//
// https://docs.aws.amazon.com/sns/latest/dg/http-notification-json.html
type snsEnvelope struct {
	Type              string
	MessageID         string `json:"MessageId"`
	Token             string `json:",omitempty"`
	TopicARN          string `json:"TopicArn"`
	Subject           string `json:",omitempty"`
	Message           string
	SubscribeURL      string `json:",omitempty"`
	Timestamp         string
	SignatureVersion  string
	Signature         string
	SigningCertURL    string
	UnsubscribeURL    string                       `json:",omitempty"`
	MessageAttributes map[string]map[string]string `json:",omitempty"`
}

func envelopeOf(kind, id, topic, subject, text string, now time.Time) snsEnvelope {
	_, region, _, _, _ := arnParts(topic)
	host := "https://sns." + region + ".amazonaws.com/"
	return snsEnvelope{
		Type: kind, MessageID: id, TopicARN: topic, Subject: subject, Message: text,
		Timestamp: now.UTC().Format("2006-01-02T15:04:05.000Z"), SignatureVersion: "1", Signature: "simulated",
		SigningCertURL: host + "SimpleNotificationService-simulated.pem", UnsubscribeURL: host + "?Action=Unsubscribe",
	}
}

func (e snsEnvelope) json() string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func publish(c *call, in *sns.PublishInput) (*sns.PublishOutput, error) {
	arn := orDefault(in.TopicArn, aws.ToString(in.TargetArn))
	if arn == "" {
		return nil, invalidParameter("TopicArn or TargetArn Reason: no value for required parameter")
	}
	t, err := topicFor(c, &arn)
	if err != nil {
		return nil, err
	}
	m := message{text: aws.ToString(in.Message), subject: aws.ToString(in.Subject)}
	switch {
	case m.text == "":
		return nil, invalidParameter("Empty message")
	case len(m.text) > 256*1024:
		return nil, invalidParameter("Message too long")
	case len(m.subject) > 100 || strings.ContainsAny(m.subject, "\r\n"):
		return nil, invalidParameter("Subject")
	}
	if aws.ToString(in.MessageStructure) == "json" {
		if err := json.Unmarshal([]byte(m.text), &m.perProtocol); err != nil {
			return nil, invalidParameter("Message Structure - JSON message body failed to parse")
		}
		if m.perProtocol["default"] == "" {
			return nil, invalidParameter("Message Structure - No default entry in JSON message body")
		}
	}
	for name, a := range in.MessageAttributes {
		if m.attributes == nil {
			m.attributes = map[string]sqsAttribute{}
		}
		m.attributes[name] = sqsAttribute{Type: aws.ToString(a.DataType), Value: aws.ToString(a.StringValue), Binary: slices.Clone(a.BinaryValue)}
	}
	refuse := func(key string) error {
		return apiError("KMSAccessDenied", "User: %s is not authorized to perform: kms:GenerateDataKey on resource: %s", c.caller.ARN, key)
	}
	if err := c.useKey(arnAccount(arn), t.Attributes["KmsMasterKeyId"], refuse); err != nil {
		return nil, err
	}
	return &sns.PublishOutput{MessageId: aws.String(c.w.fanOut(t, arn, m, c.now))}, nil
}

// topicAdmitsService says why a service may not publish to a topic: the error
// code of the refusal; "" when it may. Both the topic's policy and the policy
// of its key, if it has one, have to allow it.
func (w *World) topicAdmitsService(t *snsTopic, arn, service, account, sourceARN string, now time.Time) string {
	ctx := w.serviceContext(service, account, sourceARN, now)
	if w.judge(w.topicPolicy(t, arn), policyRequest{servicePrincipal(service, account), "sns:Publish", arn, ctx}) != allows {
		return "NO_PERMISSIONS"
	}
	_, region, owner, _, _ := arnParts(arn)
	if key := t.Attributes["KmsMasterKeyId"]; key != "" && !w.keyAdmitsPublisher(w.keyARN(owner, region, key), arn, service, account, sourceARN, now) {
		return "NO_PERMISSIONS"
	}
	return ""
}

// publishAsService publishes for an AWS service. It returns the error code of
// the refusal; "" when the message was accepted.
func (w *World) publishAsService(service, account, sourceARN, topicARN, text string, now time.Time) string {
	t := w.topicByARN(topicARN)
	if t == nil {
		return "NO_RESOURCE"
	}
	if code := w.topicAdmitsService(t, topicARN, service, account, sourceARN, now); code != "" {
		return code
	}
	w.fanOut(t, topicARN, message{text: text}, now)
	return ""
}

// fanOut delivers a message to the confirmed subscriptions of a topic.
func (w *World) fanOut(t *snsTopic, arn string, m message, now time.Time) (id string) {
	id = w.uuid()
	// The service subscribes itself, under an address of its own.
	w.toChat(arn, m.forProtocol("https"), now)
	for _, s := range t.Subscriptions {
		if !s.Confirmed || !m.passes(s) {
			continue
		}
		text := m.forProtocol(s.Protocol)
		envelope := envelopeOf("Notification", id, arn, m.subject, text, now)
		envelope.UnsubscribeURL += "&SubscriptionArn=" + s.ARN
		for name, a := range m.attributes {
			if envelope.MessageAttributes == nil {
				envelope.MessageAttributes = map[string]map[string]string{}
			}
			envelope.MessageAttributes[name] = map[string]string{"Type": a.Type, "Value": a.Value}
		}
		raw := s.Attributes["RawMessageDelivery"] == "true"
		switch s.Protocol {
		case "email":
			subject := m.subject
			if subject == "" {
				subject = "AWS Notification Message"
			}
			w.post(Mail{Time: now, Topic: arn, Protocol: s.Protocol, Endpoint: s.Endpoint, Subject: subject, Message: text})
		case "sms":
			w.post(Mail{Time: now, Topic: arn, Protocol: s.Protocol, Endpoint: s.Endpoint, Message: text})
		case "email-json", "http", "https":
			if !raw {
				text = envelope.json()
			}
			w.post(Mail{Time: now, Topic: arn, Protocol: s.Protocol, Endpoint: s.Endpoint, Subject: m.subject, Message: text})
		case "sqs":
			body, attributes := envelope.json(), map[string]sqsAttribute(nil)
			if raw {
				body, attributes = text, m.attributes
			}
			if w.sendAsService(snsService, arnAccount(arn), arn, s.Endpoint, body, attributes, now) != "" {
				if dead := redriveOf(s.Attributes["RedrivePolicy"]).Target; dead != "" {
					w.sendAsService(snsService, arnAccount(arn), arn, dead, body, attributes, now)
				}
			}
		}
	}
	w.dirty()
	return id
}

// passes applies a subscription's filter policy, whose grammar is that of an
// event pattern, to the attributes or the body of a message.
//
// https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
func (m message) passes(s *snsSubscription) bool {
	policy := s.Attributes["FilterPolicy"]
	if policy == "" {
		return true
	}
	p, err := eventpattern.Parse([]byte(policy))
	if err != nil {
		return false
	}
	if s.Attributes["FilterPolicyScope"] == "MessageBody" {
		return p.Match([]byte(m.text))
	}
	event := map[string]any{}
	for name, a := range m.attributes {
		switch a.Type {
		case "Number":
			event[name] = json.Number(a.Value)
		case "String.Array":
			var list []any
			if json.Unmarshal([]byte(a.Value), &list) == nil {
				event[name] = list
			}
		default:
			event[name] = a.Value
		}
	}
	return p.MatchValue(event)
}
