package sim

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// topicAttributes is the properties of a topic that are attributes of the same name.
var topicAttributes = []string{"ArchivePolicy", "ContentBasedDeduplication", "DisplayName", "FifoThroughputScope", "KmsMasterKeyId", "SignatureVersion", "TracingConfig"}

var cfnTopic = resourceType{
	name: "TopicName", nameLength: 256,
	properties: append([]string{"FifoTopic", "Subscription"}, topicAttributes...),
	replace:    []string{"TopicName", "FifoTopic"},
	attrs:      []string{"TopicArn", "TopicName"},
	tagged:     true,
	create:     createCFNTopic,
	update:     updateCFNTopic,
	delete: func(p *provision) error {
		return try(p, "SNS", "DeleteTopic", &sns.DeleteTopicInput{TopicArn: &p.res.Physical})
	},
	read: func(p *provision) (map[string]any, error) {
		out, err := perform[sns.GetTopicAttributesOutput](p, "SNS", "GetTopicAttributes", &sns.GetTopicAttributesInput{TopicArn: &p.res.Physical})
		if err != nil {
			return nil, err
		}
		return attributeProps(out.Attributes, topicAttributes), nil
	},
}

// attributeProps is service attributes as properties: every listed one, with
// "" for those the service does not have.
func attributeProps(attributes map[string]string, names []string) map[string]any {
	live := make(map[string]any, len(names))
	for _, n := range names {
		live[n] = attributes[n]
	}
	return live
}

func createCFNTopic(p *provision) error {
	name := p.generateName()
	if p.props.boolean("FifoTopic") && !strings.HasSuffix(name, ".fifo") {
		name += ".fifo"
	}
	arn := p.arn("sns", name)
	if p.named() {
		// CreateTopic would hand over an existing topic; the registry asks first.
		_, err := perform[sns.GetTopicAttributesOutput](p, "SNS", "GetTopicAttributes", &sns.GetTopicAttributesInput{TopicArn: &arn})
		if err == nil {
			return p.alreadyExists(name)
		}
		if !hasCode(err, "NotFound") {
			return err
		}
	}
	in := &sns.CreateTopicInput{Name: &name, Tags: topicTags(p.tags()), Attributes: map[string]string{}}
	for _, a := range topicAttributes {
		if p.props.has(a) {
			in.Attributes[a] = p.props.document(a)
		}
	}
	if p.props.boolean("FifoTopic") {
		in.Attributes["FifoTopic"] = "true"
	}
	out, err := perform[sns.CreateTopicOutput](p, "SNS", "CreateTopic", in)
	if err != nil {
		return err
	}
	p.res.Physical = aws.ToString(out.TopicArn)
	p.set("TopicArn", p.res.Physical)
	p.set("TopicName", name)
	return subscribeAll(p, p.props.list("Subscription"))
}

func topicTags(tags map[string]string) []snstypes.Tag {
	return tagsOf(tags, func(k, v *string) snstypes.Tag { return snstypes.Tag{Key: k, Value: v} })
}

func subscribeAll(p *provision, subscriptions []any) error {
	for _, s := range subscriptions {
		in := &sns.SubscribeInput{TopicArn: &p.res.Physical, Protocol: asProps(s).opt("Protocol"), Endpoint: asProps(s).opt("Endpoint")}
		if err := try(p, "SNS", "Subscribe", in); err != nil {
			return err
		}
	}
	return nil
}

func updateCFNTopic(p *provision) error {
	for _, a := range topicAttributes {
		if jsonText(p.old[a]) == jsonText(p.props[a]) {
			continue
		}
		if err := try(p, "SNS", "SetTopicAttributes", &sns.SetTopicAttributesInput{TopicArn: &p.res.Physical, AttributeName: &a, AttributeValue: aws.String(p.props.document(a))}); err != nil {
			return err
		}
	}
	if err := changeSubscriptions(p); err != nil {
		return err
	}
	if gone := p.goneTags(); len(gone) > 0 {
		if err := try(p, "SNS", "UntagResource", &sns.UntagResourceInput{ResourceArn: &p.res.Physical, TagKeys: gone}); err != nil {
			return err
		}
	}
	return try(p, "SNS", "TagResource", &sns.TagResourceInput{ResourceArn: &p.res.Physical, Tags: topicTags(p.tags())})
}

// changeSubscriptions unsubscribes the inline subscriptions an update takes
// away and adds the new ones.
func changeSubscriptions(p *provision) error {
	key := func(s any) string { return asProps(s).text("Protocol") + " " + asProps(s).text("Endpoint") }
	now, before := map[string]bool{}, map[string]bool{}
	for _, s := range p.props.list("Subscription") {
		now[key(s)] = true
	}
	gone := map[string]bool{}
	for _, s := range p.old.list("Subscription") {
		before[key(s)] = true
		if !now[key(s)] {
			gone[key(s)] = true
		}
	}
	var added []any
	for _, s := range p.props.list("Subscription") {
		if !before[key(s)] {
			added = append(added, s)
		}
	}
	if len(gone) > 0 {
		out, err := perform[sns.ListSubscriptionsByTopicOutput](p, "SNS", "ListSubscriptionsByTopic", &sns.ListSubscriptionsByTopicInput{TopicArn: &p.res.Physical})
		if err != nil {
			return err
		}
		for _, s := range out.Subscriptions {
			arn := aws.ToString(s.SubscriptionArn)
			if !gone[aws.ToString(s.Protocol)+" "+aws.ToString(s.Endpoint)] || !strings.HasPrefix(arn, "arn:") {
				continue // a pending subscription cannot be removed; it expires
			}
			if err := try(p, "SNS", "Unsubscribe", &sns.UnsubscribeInput{SubscriptionArn: &arn}); err != nil {
				return err
			}
		}
	}
	return subscribeAll(p, added)
}

// cfnTopicPolicy sets the policy of topics. SNS topics always have one, so
// deleting the resource brings back the default policy.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sns-topicpolicy.html
var cfnTopicPolicy = resourceType{
	required: []string{"PolicyDocument", "Topics"},
	attrs:    []string{"Id"},
	create: func(p *provision) error {
		p.res.Physical = p.generateName()
		p.set("Id", p.res.Physical)
		return putTopicPolicies(p)
	},
	update: func(p *provision) error {
		for _, arn := range p.old.texts("Topics") {
			if !slices.Contains(p.props.texts("Topics"), arn) {
				if err := resetTopicPolicy(p, arn); err != nil {
					return err
				}
			}
		}
		return putTopicPolicies(p)
	},
	delete: func(p *provision) error {
		for _, arn := range p.props.texts("Topics") {
			if err := resetTopicPolicy(p, arn); ignore(err, "NotFound") != nil {
				return err
			}
		}
		return nil
	},
	read: func(p *provision) (map[string]any, error) {
		var policy string
		for i, arn := range p.props.texts("Topics") {
			out, err := perform[sns.GetTopicAttributesOutput](p, "SNS", "GetTopicAttributes", &sns.GetTopicAttributesInput{TopicArn: &arn})
			if err != nil {
				return nil, err
			}
			if one := out.Attributes["Policy"]; i == 0 || !sameProperty(p.props["PolicyDocument"], one) {
				policy = one
			}
		}
		return map[string]any{"PolicyDocument": policy}, nil
	},
}

func putTopicPolicies(p *provision) error {
	for _, arn := range p.props.texts("Topics") {
		if err := putTopicPolicy(p, arn, p.props.document("PolicyDocument")); err != nil {
			return err
		}
	}
	return nil
}

func putTopicPolicy(p *provision, arn, policy string) error {
	return try(p, "SNS", "SetTopicAttributes", &sns.SetTopicAttributesInput{TopicArn: &arn, AttributeName: aws.String("Policy"), AttributeValue: &policy})
}

func resetTopicPolicy(p *provision, arn string) error {
	actions := []any{}
	for _, a := range []string{"GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic", "Subscribe", "ListSubscriptionsByTopic", "Publish"} {
		actions = append(actions, "SNS:"+a)
	}
	return putTopicPolicy(p, arn, jsonText(map[string]any{
		"Version": "2008-10-17", "Id": "__default_policy_ID",
		"Statement": []any{map[string]any{
			"Sid": "__default_statement_ID", "Effect": "Allow", "Principal": map[string]any{"AWS": "*"},
			"Action": actions, "Resource": arn,
			"Condition": map[string]any{"StringEquals": map[string]any{"AWS:SourceOwner": p.c.caller.Account}},
		}},
	}))
}

// subscriptionAttributes is the properties of a subscription that are
// attributes of the same name.
var subscriptionAttributes = []string{"DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy", "ReplayPolicy", "SubscriptionRoleArn"}

var cfnSubscription = resourceType{
	required:   []string{"Protocol", "TopicArn"},
	properties: append([]string{"Endpoint", "Region"}, subscriptionAttributes...),
	replace:    []string{"Endpoint", "Protocol", "TopicArn"},
	attrs:      []string{"Arn"},
	create:     createSubscription,
	update: func(p *provision) error {
		for _, a := range subscriptionAttributes {
			if jsonText(p.old[a]) == jsonText(p.props[a]) {
				continue
			}
			in := &sns.SetSubscriptionAttributesInput{SubscriptionArn: &p.res.Physical, AttributeName: &a, AttributeValue: aws.String(p.props.document(a))}
			if err := try(p, "SNS", "SetSubscriptionAttributes", in); err != nil {
				return err
			}
		}
		return nil
	},
	delete: func(p *provision) error {
		// A subscription nobody confirmed cannot be removed; SNS forgets it by itself.
		err := try(p, "SNS", "Unsubscribe", &sns.UnsubscribeInput{SubscriptionArn: &p.res.Physical})
		return ignore(err, "NotFound", "InvalidParameter")
	},
	read: func(p *provision) (map[string]any, error) {
		out, err := perform[sns.GetSubscriptionAttributesOutput](p, "SNS", "GetSubscriptionAttributes", &sns.GetSubscriptionAttributesInput{SubscriptionArn: &p.res.Physical})
		if err != nil {
			return nil, err
		}
		return attributeProps(out.Attributes, subscriptionAttributes), nil
	},
}

func createSubscription(p *provision) error {
	in := &sns.SubscribeInput{
		TopicArn: p.props.opt("TopicArn"), Protocol: p.props.opt("Protocol"), Endpoint: p.props.opt("Endpoint"),
		Attributes: map[string]string{}, ReturnSubscriptionArn: true,
	}
	for _, a := range subscriptionAttributes {
		if p.props.has(a) {
			in.Attributes[a] = p.props.document(a)
		}
	}
	// The topic may live in another Region than the stack.
	region := p.region
	if parts := strings.Split(p.props.text("TopicArn"), ":"); len(parts) > 3 && parts[3] != "" {
		region = parts[3]
	}
	out, err := performIn[sns.SubscribeOutput](p, region, "SNS", "Subscribe", in)
	if err != nil {
		return err
	}
	p.res.Physical = aws.ToString(out.SubscriptionArn)
	p.set("Arn", p.res.Physical)
	return nil
}

// queueAttributes is the properties of a queue, all of which are attributes.
var queueAttributes = []string{"ContentBasedDeduplication", "DeduplicationScope", "DelaySeconds", "FifoQueue", "FifoThroughputLimit", "KmsDataKeyReusePeriodSeconds",
	"KmsMasterKeyId", "MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "RedriveAllowPolicy", "RedrivePolicy", "SqsManagedSseEnabled", "VisibilityTimeout"}

var cfnQueue = resourceType{
	name: "QueueName", nameLength: 80,
	properties: queueAttributes,
	replace:    []string{"QueueName", "FifoQueue"},
	attrs:      []string{"Arn", "QueueName", "QueueUrl"},
	tagged:     true,
	create:     createCFNQueue,
	update:     updateCFNQueue,
	delete: func(p *provision) error {
		err := try(p, "SQS", "DeleteQueue", &sqs.DeleteQueueInput{QueueUrl: &p.res.Physical})
		return ignore(err, cfnNoQueue...)
	},
	read: func(p *provision) (map[string]any, error) {
		out, err := perform[sqs.GetQueueAttributesOutput](p, "SQS", "GetQueueAttributes", &sqs.GetQueueAttributesInput{QueueUrl: &p.res.Physical, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
		if err != nil {
			return nil, err
		}
		return attributeProps(out.Attributes, queueAttributes), nil
	},
}

// cfnNoQueue is how SQS says that a queue does not exist: the code of the query
// protocol, which its JSON protocol still sends along, and the new one.
var cfnNoQueue = []string{"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}

func createCFNQueue(p *provision) error {
	name := p.generateName()
	if p.props.boolean("FifoQueue") && !strings.HasSuffix(name, ".fifo") {
		name += ".fifo"
	}
	if p.named() {
		_, err := perform[sqs.GetQueueUrlOutput](p, "SQS", "GetQueueUrl", &sqs.GetQueueUrlInput{QueueName: &name})
		if err == nil {
			return p.alreadyExists(name)
		}
		if !hasCode(err, cfnNoQueue...) {
			return err
		}
	}
	in := &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{}, Tags: p.tags()}
	for _, a := range queueAttributes {
		if p.props.has(a) {
			in.Attributes[a] = p.props.document(a)
		}
	}
	out, err := perform[sqs.CreateQueueOutput](p, "SQS", "CreateQueue", in)
	if err != nil {
		return err
	}
	p.res.Physical = aws.ToString(out.QueueUrl)
	p.set("Arn", p.arn("sqs", name))
	p.set("QueueName", name)
	p.set("QueueUrl", p.res.Physical)
	return nil
}

func updateCFNQueue(p *provision) error {
	changed := map[string]string{}
	for _, a := range queueAttributes {
		if jsonText(p.old[a]) != jsonText(p.props[a]) {
			changed[a] = p.props.document(a)
			if !p.props.has(a) {
				changed[a] = queueDefaults[a] // "" empties those without a default
			}
		}
	}
	if len(changed) > 0 {
		if err := try(p, "SQS", "SetQueueAttributes", &sqs.SetQueueAttributesInput{QueueUrl: &p.res.Physical, Attributes: changed}); err != nil {
			return err
		}
	}
	if gone := p.goneTags(); len(gone) > 0 {
		if err := try(p, "SQS", "UntagQueue", &sqs.UntagQueueInput{QueueUrl: &p.res.Physical, TagKeys: gone}); err != nil {
			return err
		}
	}
	return try(p, "SQS", "TagQueue", &sqs.TagQueueInput{QueueUrl: &p.res.Physical, Tags: p.tags()})
}

var cfnQueuePolicy = resourceType{
	required: []string{"PolicyDocument", "Queues"},
	attrs:    []string{"Id"},
	create: func(p *provision) error {
		p.res.Physical = p.generateName()
		p.set("Id", p.res.Physical)
		return putQueuePolicies(p, p.props.texts("Queues"), p.props.document("PolicyDocument"))
	},
	update: func(p *provision) error {
		for _, url := range p.old.texts("Queues") {
			if !slices.Contains(p.props.texts("Queues"), url) {
				if err := putQueuePolicies(p, []string{url}, ""); err != nil {
					return err
				}
			}
		}
		return putQueuePolicies(p, p.props.texts("Queues"), p.props.document("PolicyDocument"))
	},
	delete: func(p *provision) error {
		return ignore(putQueuePolicies(p, p.props.texts("Queues"), ""), cfnNoQueue...)
	},
	read: func(p *provision) (map[string]any, error) {
		var policy string
		for i, url := range p.props.texts("Queues") {
			out, err := perform[sqs.GetQueueAttributesOutput](p, "SQS", "GetQueueAttributes", &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{"Policy"}})
			if err != nil {
				return nil, err
			}
			if one := out.Attributes["Policy"]; i == 0 || !sameProperty(p.props["PolicyDocument"], one) {
				policy = one
			}
		}
		return map[string]any{"PolicyDocument": policy}, nil
	},
}

func putQueuePolicies(p *provision, urls []string, policy string) error {
	for _, url := range urls {
		if err := try(p, "SQS", "SetQueueAttributes", &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"Policy": policy}}); err != nil {
			return err
		}
	}
	return nil
}
