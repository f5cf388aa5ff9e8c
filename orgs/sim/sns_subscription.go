package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/orgguard/orgguard/orgs/eventpattern"
)

// snsSubscription is a subscription of a topic, confirmed or pending.
type snsSubscription struct {
	ARN        string            `json:"arn"`
	Owner      string            `json:"owner"` // account
	Principal  string            `json:"principal"`
	Protocol   string            `json:"protocol"`
	Endpoint   string            `json:"endpoint"`
	Token      string            `json:"token,omitempty"` // of the confirmation request
	Confirmed  bool              `json:"confirmed"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// snsProtocols says of each protocol whether somebody has to confirm.
var snsProtocols = map[string]bool{
	"email": true, "email-json": true, "http": true, "https": true,
	"sqs": false, "sms": false, "lambda": false, "application": false, "firehose": false,
}

// checkEndpoint refuses endpoints that do not fit their protocol.
func checkEndpoint(protocol, endpoint string) error {
	service, _, _, _, isARN := arnParts(endpoint)
	switch protocol {
	case "email", "email-json":
		name, host, ok := strings.Cut(endpoint, "@")
		if !ok || name == "" || host == "" || strings.ContainsAny(endpoint, " \t\r\n<>") {
			return invalidParameter("Email address")
		}
	case "http", "https":
		if !strings.HasPrefix(endpoint, protocol+"://") {
			return invalidParameter("Endpoint must match the specified protocol")
		}
	case "sms":
		if strings.Trim(endpoint, "+0123456789-() ") != "" || endpoint == "" {
			return invalidParameter("Invalid SMS endpoint: " + endpoint)
		}
	case "sqs":
		if !isARN || service != "sqs" {
			return invalidParameter("SQS endpoint ARN")
		}
	default:
		if !isARN {
			return invalidParameter(protocol + " endpoint ARN")
		}
	}
	return nil
}

// checkSubscriptionAttribute refuses attributes that subscriptions do not have
// or values they cannot take.
func checkSubscriptionAttribute(name, value string) error {
	switch name {
	case "FilterPolicy":
		if value != "" && value != "{}" {
			if _, err := eventpattern.Parse([]byte(value)); err != nil {
				return invalidParameter("FilterPolicy: " + err.Error())
			}
		}
	case "FilterPolicyScope":
		if value != "MessageAttributes" && value != "MessageBody" {
			return invalidParameter("FilterPolicyScope: Invalid value [" + value + "]. Please use either MessageBody or MessageAttributes")
		}
	case "RawMessageDelivery":
		if value != "true" && value != "false" {
			return invalidParameter("Attributes Reason: RawMessageDelivery: Invalid value [" + value + "]. Must be true or false.")
		}
	case "RedrivePolicy", "DeliveryPolicy", "ReplayPolicy":
		if value != "" && !json.Valid([]byte(value)) {
			return invalidParameter(name + ": must be valid JSON")
		}
	case "SubscriptionRoleArn":
	default:
		return invalidParameter("AttributeName")
	}
	return nil
}

// subscribe adds a subscription. People and web servers have to confirm it; a
// queue confirms by itself when its owner subscribes.
//
// https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
func subscribe(c *call, in *sns.SubscribeInput) (*sns.SubscribeOutput, error) {
	t, err := topicFor(c, in.TopicArn)
	if err != nil {
		return nil, err
	}
	protocol, endpoint := aws.ToString(in.Protocol), aws.ToString(in.Endpoint)
	confirm, known := snsProtocols[protocol]
	if !known {
		return nil, invalidParameter("Does not support this protocol string: " + protocol)
	}
	if err := checkEndpoint(protocol, endpoint); err != nil {
		return nil, err
	}
	for _, k := range slices.Sorted(maps.Keys(in.Attributes)) {
		if err := checkSubscriptionAttribute(k, in.Attributes[k]); err != nil {
			return nil, err
		}
	}
	i := slices.IndexFunc(t.Subscriptions, func(s *snsSubscription) bool { return s.Protocol == protocol && s.Endpoint == endpoint })
	var s *snsSubscription
	if i >= 0 {
		s = t.Subscriptions[i]
		for k, v := range in.Attributes {
			if s.Attributes[k] != v {
				return nil, invalidParameter("Attributes Reason: Subscription already exists with different attributes")
			}
		}
	} else {
		if protocol == "sqs" {
			confirm = arnAccount(endpoint) != c.caller.Account
		}
		s = &snsSubscription{
			ARN: *in.TopicArn + ":" + c.w.uuid(), Owner: c.caller.Account, Principal: orDefault(aws.String(c.caller.RoleARN), c.caller.ARN),
			Protocol: protocol, Endpoint: endpoint, Confirmed: !confirm, Attributes: maps.Clone(in.Attributes),
		}
		t.Subscriptions = append(t.Subscriptions, s)
	}
	if !s.Confirmed {
		s.Token = c.w.id(64)
		c.w.askToConfirm(s, *in.TopicArn, c.now)
	}
	out := &sns.SubscribeOutput{SubscriptionArn: aws.String(s.ARN)}
	if !s.Confirmed && !in.ReturnSubscriptionArn {
		out.SubscriptionArn = aws.String("pending confirmation")
	}
	return out, nil
}

// askToConfirm sends the confirmation request.
func (w *World) askToConfirm(s *snsSubscription, topic string, now time.Time) {
	_, region, _, _, _ := arnParts(topic)
	link := "https://sns." + region + ".amazonaws.com/?Action=ConfirmSubscription&TopicArn=" + topic + "&Token=" + s.Token
	text := "You have chosen to subscribe to the topic: \n" + topic +
		"\n\nTo confirm this subscription, click or visit the link below (If this was in error no action is necessary): \n" + link
	if s.Protocol == "email" {
		w.post(Mail{Time: now, Topic: topic, Protocol: s.Protocol, Endpoint: s.Endpoint, Subject: confirmationSubject, Message: text})
		return
	}
	body := envelopeOf("SubscriptionConfirmation", w.uuid(), topic, "", "You have chosen to subscribe to the topic "+topic+".\nTo confirm the subscription, visit the SubscribeURL included in this message.", now)
	body.Token, body.SubscribeURL, body.UnsubscribeURL = s.Token, link, ""
	if s.Protocol == "sqs" {
		w.sendAsService(snsService, arnAccount(topic), topic, s.Endpoint, body.json(), nil, now)
		return
	}
	w.post(Mail{Time: now, Topic: topic, Protocol: s.Protocol, Endpoint: s.Endpoint, Subject: confirmationSubject, Message: body.json()})
}

const confirmationSubject = "AWS Notification - Subscription Confirmation"

func confirmSubscription(c *call, in *sns.ConfirmSubscriptionInput) (*sns.ConfirmSubscriptionOutput, error) {
	t := c.w.topicByARN(aws.ToString(in.TopicArn)) // the token is the permission
	if t == nil {
		return nil, apiError("NotFound", "Topic does not exist")
	}
	for _, s := range t.Subscriptions {
		if s.Token != "" && s.Token == aws.ToString(in.Token) {
			s.Confirmed = true
			return &sns.ConfirmSubscriptionOutput{SubscriptionArn: aws.String(s.ARN)}, nil
		}
	}
	return nil, invalidParameter("Token")
}

// ConfirmSubscriptions confirms every pending subscription of an endpoint, in
// every account and Region, as the person does who clicks the links in the
// confirmation mails. "" confirms those of all endpoints. It returns how many
// there were.
func (w *World) ConfirmSubscriptions(endpoint string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, a := range w.state.Accounts {
		for _, r := range a.Regions {
			for _, t := range r.SNS.Topics {
				for _, s := range t.Subscriptions {
					if !s.Confirmed && (endpoint == "" || s.Endpoint == endpoint) {
						s.Confirmed = true
						n++
					}
				}
			}
		}
	}
	if n > 0 {
		w.dirty()
	}
	return n
}

// describeSubscription is a subscription in a listing.
func describeSubscription(s *snsSubscription, topic string) types.Subscription {
	arn := s.ARN
	if !s.Confirmed {
		arn = "PendingConfirmation"
	}
	return types.Subscription{
		SubscriptionArn: aws.String(arn), TopicArn: aws.String(topic), Owner: aws.String(s.Owner),
		Protocol: aws.String(s.Protocol), Endpoint: aws.String(s.Endpoint),
	}
}

func listSubscriptionsByTopic(c *call, in *sns.ListSubscriptionsByTopicInput) (*sns.ListSubscriptionsByTopicOutput, error) {
	t, err := topicFor(c, in.TopicArn)
	if err != nil {
		return nil, err
	}
	page, next, ok := pageOf(c, t.Subscriptions, 100, in.NextToken)
	if !ok {
		return nil, invalidParameter("NextToken")
	}
	out := &sns.ListSubscriptionsByTopicOutput{NextToken: next, Subscriptions: []types.Subscription{}}
	for _, s := range page {
		out.Subscriptions = append(out.Subscriptions, describeSubscription(s, *in.TopicArn))
	}
	return out, nil
}

// listSubscriptions lists the subscriptions the caller's account owns to the
// topics of its own.
func listSubscriptions(c *call, in *sns.ListSubscriptionsInput) (*sns.ListSubscriptionsOutput, error) {
	var all []types.Subscription
	topics := c.here().SNS.Topics
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		for _, s := range topics[name].Subscriptions {
			all = append(all, describeSubscription(s, c.arn("sns", name)))
		}
	}
	page, next, ok := pageOf(c, all, 100, in.NextToken)
	if !ok {
		return nil, invalidParameter("NextToken")
	}
	return &sns.ListSubscriptionsOutput{NextToken: next, Subscriptions: append([]types.Subscription{}, page...)}, nil
}

// subscriptionFor finds the subscription of a call: its owner and the topic's
// may see and change it.
func subscriptionFor(c *call, arn *string) (*snsTopic, *snsSubscription, error) {
	full := aws.ToString(arn)
	i := strings.LastIndex(full, ":")
	if service, _, _, _, ok := arnParts(full); !ok || service != "sns" || i < 0 || strings.Count(full, ":") != 6 {
		return nil, nil, invalidParameter("SubscriptionArn Reason: An ARN must have at least 6 elements, not " + strconv.Itoa(strings.Count(full, ":")))
	}
	topic := full[:i]
	t := c.w.topicByARN(topic)
	if t == nil {
		return nil, nil, apiError("NotFound", "Subscription does not exist")
	}
	for _, s := range t.Subscriptions {
		if s.ARN != full {
			continue
		}
		if s.Owner != c.caller.Account && arnAccount(topic) != c.caller.Account {
			return nil, nil, notAuthorized(c, "SNS:"+c.op, full, "because no resource-based policy allows the SNS:"+c.op+" action")
		}
		return t, s, nil
	}
	return nil, nil, apiError("NotFound", "Subscription does not exist")
}

// unsubscribe deletes a subscription; one that is gone already is no error.
func unsubscribe(c *call, in *sns.UnsubscribeInput) (*sns.UnsubscribeOutput, error) {
	t, s, err := subscriptionFor(c, in.SubscriptionArn)
	if code, _ := errorParts(err); err != nil && code == "NotFound" {
		return &sns.UnsubscribeOutput{}, nil
	}
	if err != nil {
		return nil, err
	}
	t.Subscriptions = slices.DeleteFunc(t.Subscriptions, func(o *snsSubscription) bool { return o == s })
	t.Deleted++
	return &sns.UnsubscribeOutput{}, nil
}

func getSubscriptionAttributes(c *call, in *sns.GetSubscriptionAttributesInput) (*sns.GetSubscriptionAttributesOutput, error) {
	_, s, err := subscriptionFor(c, in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	out := map[string]string{
		"SubscriptionArn": s.ARN, "TopicArn": s.ARN[:strings.LastIndex(s.ARN, ":")], "Owner": s.Owner, "Protocol": s.Protocol,
		"Endpoint": s.Endpoint, "SubscriptionPrincipal": s.Principal, "PendingConfirmation": strconv.FormatBool(!s.Confirmed),
		"ConfirmationWasAuthenticated": strconv.FormatBool(s.Confirmed && s.Token == ""), "RawMessageDelivery": "false",
	}
	maps.Copy(out, s.Attributes)
	return &sns.GetSubscriptionAttributesOutput{Attributes: out}, nil
}

func setSubscriptionAttributes(c *call, in *sns.SetSubscriptionAttributesInput) (*sns.SetSubscriptionAttributesOutput, error) {
	_, s, err := subscriptionFor(c, in.SubscriptionArn)
	if err != nil {
		return nil, err
	}
	name, value := aws.ToString(in.AttributeName), aws.ToString(in.AttributeValue)
	if err := checkSubscriptionAttribute(name, value); err != nil {
		return nil, err
	}
	if s.Attributes == nil {
		s.Attributes = map[string]string{}
	}
	if value == "" || (name == "FilterPolicy" && value == "{}") {
		delete(s.Attributes, name)
	} else {
		s.Attributes[name] = value
	}
	return &sns.SetSubscriptionAttributesOutput{}, nil
}
