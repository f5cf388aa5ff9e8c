package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// snsState is Amazon SNS in one account × Region.
type snsState struct {
	Topics map[string]*snsTopic `json:"topics,omitempty"` // by name
}

// snsTopic is a topic with its subscriptions.
type snsTopic struct {
	Name string `json:"name"`
	// Attributes holds what was set; attributes with defaults are filled in
	// when they are read.
	Attributes    map[string]string  `json:"attributes,omitempty"`
	Subscriptions []*snsSubscription `json:"subscriptions,omitempty"` // oldest first
	Deleted       int                `json:"deleted,omitempty"`       // subscriptions deleted, as GetTopicAttributes counts them
	Tags          map[string]string  `json:"tags,omitempty"`
}

// onTopic gives an operation the topic it acts on as its resource.
func onTopic[I any](o operation, arn func(*I) *string) operation {
	return on(o, func(_ *call, in *I) string { return aws.ToString(arn(in)) })
}

// snsOps are the operations of SNS. Those on a subscription have no resource
// in IAM. Publishing is a data event, which CloudTrail does not record by
// default, and so is no write here.
//
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
var snsOps = map[string]operation{
	"CreateTopic": on(op(write, createTopic), func(c *call, in *sns.CreateTopicInput) string {
		return c.arn("sns", aws.ToString(in.Name))
	}),
	"DeleteTopic":               onTopic(op(write, deleteTopic), func(in *sns.DeleteTopicInput) *string { return in.TopicArn }),
	"ListTopics":                op(read, listTopics),
	"GetTopicAttributes":        onTopic(op(read, getTopicAttributes), func(in *sns.GetTopicAttributesInput) *string { return in.TopicArn }),
	"SetTopicAttributes":        onTopic(op(write, setTopicAttributes), func(in *sns.SetTopicAttributesInput) *string { return in.TopicArn }),
	"Subscribe":                 onTopic(op(write, subscribe), func(in *sns.SubscribeInput) *string { return in.TopicArn }),
	"ConfirmSubscription":       onTopic(op(write, confirmSubscription), func(in *sns.ConfirmSubscriptionInput) *string { return in.TopicArn }),
	"ListSubscriptionsByTopic":  onTopic(op(read, listSubscriptionsByTopic), func(in *sns.ListSubscriptionsByTopicInput) *string { return in.TopicArn }),
	"ListSubscriptions":         op(read, listSubscriptions),
	"Unsubscribe":               op(write, unsubscribe),
	"GetSubscriptionAttributes": op(read, getSubscriptionAttributes),
	"SetSubscriptionAttributes": op(write, setSubscriptionAttributes),
	"Publish": on(op(read, publish), func(_ *call, in *sns.PublishInput) string {
		return orDefault(in.TopicArn, aws.ToString(in.TargetArn))
	}),
	"TagResource":         onTopic(op(write, snsTagResource), func(in *sns.TagResourceInput) *string { return in.ResourceArn }),
	"UntagResource":       onTopic(op(write, snsUntagResource), func(in *sns.UntagResourceInput) *string { return in.ResourceArn }),
	"ListTagsForResource": onTopic(op(read, snsListTags), func(in *sns.ListTagsForResourceInput) *string { return in.ResourceArn }),
}

func invalidParameter(what string) error {
	return apiError("InvalidParameter", "Invalid parameter: %s", what)
}

// topicByARN finds a topic by its ARN, in any account; nil when there is none.
func (w *World) topicByARN(arn string) *snsTopic {
	service, region, account, name, ok := arnParts(arn)
	if !ok || service != "sns" || w.account(account) == nil {
		return nil
	}
	return w.region(account, region).SNS.Topics[name]
}

// topicFor finds the topic of a call and asks its policy.
func topicFor(c *call, arn *string) (*snsTopic, error) {
	service, region, owner, name, ok := arnParts(aws.ToString(arn))
	if !ok || service != "sns" || name == "" || region != c.region {
		return nil, invalidParameter("TopicArn")
	}
	t := c.w.topicByARN(*arn)
	if t == nil {
		return nil, apiError("NotFound", "Topic does not exist")
	}
	action := "SNS:" + c.op
	if !c.admitted(c.w.topicPolicy(t, *arn), owner, action, *arn) {
		return nil, notAuthorized(c, action, *arn, "because no resource-based policy allows the "+action+" action")
	}
	return t, nil
}

// topicPolicy is a topic's policy: what was set, or the one SNS gives a topic,
// which admits the owner's principals and no service.
//
// https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html
func (w *World) topicPolicy(t *snsTopic, arn string) string {
	if p := t.Attributes["Policy"]; p != "" {
		return p
	}
	resource, _ := json.Marshal(arn) // a string always encodes
	return `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID","Effect":"Allow",` +
		`"Principal":{"AWS":"*"},"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission","SNS:RemovePermission",` +
		`"SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic","SNS:Publish"],"Resource":` + string(resource) +
		`,"Condition":{"StringEquals":{"AWS:SourceOwner":"` + arnAccount(arn) + `"}}}]}`
}

// topicDeliveryPolicy is the EffectiveDeliveryPolicy of a topic without one.
const topicDeliveryPolicy = `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,` +
	`"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},` +
	`"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}`

// checkTopicAttribute refuses attributes that topics do not have or values
// they cannot take.
func (w *World) checkTopicAttribute(name, value string) error {
	switch name {
	case "Policy":
		if value == "" {
			return nil
		}
		if err := checkResourcePolicy(value); err != nil {
			return invalidParameter("Policy Error: null")
		}
		if w.strangePrincipal(value) != "" {
			return invalidParameter("Policy Error: PrincipalNotFound")
		}
	case "DisplayName":
		if len(value) > 100 {
			return invalidParameter("DisplayName Reason: must be at most 100 characters")
		}
	case "DeliveryPolicy", "ArchivePolicy", "DataProtectionPolicy":
		if value != "" && !json.Valid([]byte(value)) {
			return invalidParameter(name + " Reason: must be valid JSON")
		}
	case "FifoTopic", "ContentBasedDeduplication":
		if value != "true" && value != "false" {
			return invalidParameter(name)
		}
	case "KmsMasterKeyId", "TracingConfig", "SignatureVersion", "FifoThroughputScope":
	default:
		if !strings.HasSuffix(name, "FeedbackRoleArn") && !strings.HasSuffix(name, "FeedbackSampleRate") {
			return invalidParameter("AttributeName")
		}
	}
	return nil
}

func createTopic(c *call, in *sns.CreateTopicInput) (*sns.CreateTopicOutput, error) {
	name := aws.ToString(in.Name)
	base := strings.TrimSuffix(name, ".fifo")
	if base == "" || len(name) > 256 || strings.Trim(base, nameLetters) != "" {
		return nil, invalidParameter("Topic Name")
	}
	if (in.Attributes["FifoTopic"] == "true") != strings.HasSuffix(name, ".fifo") {
		return nil, invalidParameter("Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long.")
	}
	for _, k := range slices.Sorted(maps.Keys(in.Attributes)) {
		if err := c.w.checkTopicAttribute(k, in.Attributes[k]); err != nil {
			return nil, err
		}
	}
	s := &c.here().SNS
	out := &sns.CreateTopicOutput{TopicArn: aws.String(c.arn("sns", name))}
	if t := s.Topics[name]; t != nil { // the same topic again is no error, a different one is
		for k, v := range in.Attributes {
			if t.Attributes[k] != v {
				return nil, invalidParameter("Attributes Reason: Topic already exists with different attributes")
			}
		}
		for _, tag := range in.Tags {
			if v, has := t.Tags[aws.ToString(tag.Key)]; !has || v != aws.ToString(tag.Value) {
				return nil, invalidParameter("Tags Reason: Topic already exists with different tags")
			}
		}
		return out, nil
	}
	t := &snsTopic{Name: name, Attributes: map[string]string{}, Tags: map[string]string{}}
	maps.Copy(t.Attributes, in.Attributes)
	for _, tag := range in.Tags {
		t.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	if s.Topics == nil {
		s.Topics = map[string]*snsTopic{}
	}
	s.Topics[name] = t
	return out, nil
}

// deleteTopic deletes a topic with its subscriptions. A topic that does not
// exist is no error.
func deleteTopic(c *call, in *sns.DeleteTopicInput) (*sns.DeleteTopicOutput, error) {
	t, err := topicFor(c, in.TopicArn)
	if code, _ := errorParts(err); err != nil && code == "NotFound" {
		return &sns.DeleteTopicOutput{}, nil
	}
	if err != nil {
		return nil, err
	}
	delete(c.w.region(arnAccount(*in.TopicArn), c.region).SNS.Topics, t.Name)
	return &sns.DeleteTopicOutput{}, nil
}

func listTopics(c *call, in *sns.ListTopicsInput) (*sns.ListTopicsOutput, error) {
	page, next, ok := pageOf(c, slices.Sorted(maps.Keys(c.here().SNS.Topics)), 100, in.NextToken)
	if !ok {
		return nil, invalidParameter("NextToken")
	}
	out := &sns.ListTopicsOutput{NextToken: next, Topics: []types.Topic{}}
	for _, name := range page {
		out.Topics = append(out.Topics, types.Topic{TopicArn: aws.String(c.arn("sns", name))})
	}
	return out, nil
}

func getTopicAttributes(c *call, in *sns.GetTopicAttributesInput) (*sns.GetTopicAttributesOutput, error) {
	t, err := topicFor(c, in.TopicArn)
	if err != nil {
		return nil, err
	}
	confirmed, pending := 0, 0
	for _, s := range t.Subscriptions {
		if s.Confirmed {
			confirmed++
		} else {
			pending++
		}
	}
	out := map[string]string{
		"TopicArn":                *in.TopicArn,
		"Owner":                   arnAccount(*in.TopicArn),
		"DisplayName":             "",
		"Policy":                  c.w.topicPolicy(t, *in.TopicArn),
		"EffectiveDeliveryPolicy": topicDeliveryPolicy,
		"SubscriptionsConfirmed":  strconv.Itoa(confirmed),
		"SubscriptionsPending":    strconv.Itoa(pending),
		"SubscriptionsDeleted":    strconv.Itoa(t.Deleted),
	}
	for k, v := range t.Attributes {
		if v != "" {
			out[k] = v
		}
	}
	return &sns.GetTopicAttributesOutput{Attributes: out}, nil
}

func setTopicAttributes(c *call, in *sns.SetTopicAttributesInput) (*sns.SetTopicAttributesOutput, error) {
	t, err := topicFor(c, in.TopicArn)
	if err != nil {
		return nil, err
	}
	name, value := aws.ToString(in.AttributeName), aws.ToString(in.AttributeValue)
	if name == "FifoTopic" {
		return nil, invalidParameter("AttributeName")
	}
	if err := c.w.checkTopicAttribute(name, value); err != nil {
		return nil, err
	}
	if t.Attributes == nil {
		t.Attributes = map[string]string{}
	}
	if value == "" {
		delete(t.Attributes, name)
	} else {
		t.Attributes[name] = value
	}
	return &sns.SetTopicAttributesOutput{}, nil
}

// taggedTopic finds the topic of a tag operation, which has an error of its own
// for a topic that does not exist.
func taggedTopic(c *call, arn *string) (*snsTopic, error) {
	t := c.w.topicByARN(aws.ToString(arn))
	if t == nil || arnAccount(*arn) != c.caller.Account {
		return nil, apiError("ResourceNotFound", "Resource does not exist")
	}
	return t, nil
}

func snsTagResource(c *call, in *sns.TagResourceInput) (*sns.TagResourceOutput, error) {
	t, err := taggedTopic(c, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags := maps.Clone(t.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	for _, tag := range in.Tags {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	if len(tags) > maxTags {
		return nil, apiError("TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded")
	}
	t.Tags = tags
	return &sns.TagResourceOutput{}, nil
}

func snsUntagResource(c *call, in *sns.UntagResourceInput) (*sns.UntagResourceOutput, error) {
	t, err := taggedTopic(c, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(t.Tags, k)
	}
	return &sns.UntagResourceOutput{}, nil
}

func snsListTags(c *call, in *sns.ListTagsForResourceInput) (*sns.ListTagsForResourceOutput, error) {
	t, err := taggedTopic(c, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out := &sns.ListTagsForResourceOutput{Tags: []types.Tag{}}
	for _, k := range slices.Sorted(maps.Keys(t.Tags)) {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(k), Value: aws.String(t.Tags[k])})
	}
	return out, nil
}
