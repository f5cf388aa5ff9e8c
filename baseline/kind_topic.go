package baseline

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/orgguard/orgguard/orgs"
)

// attribute is what !Ref and !GetAtt give in templates, for code that calls AWS
// about the resource itself.
func (s site) attribute(r Resource, attr string) string {
	k := kinds[r.Type]
	return scopeOf(orgs.PartitionOf(s.at.Region), s.at.Account, s.at.Region).attribute(k, r.str(k.nameProp), attr)
}

// tagsAs gives the template's tags in a service's own type. They are set when
// the resource is made and not looked at later: people tag as they need to.
func tagsAs[T any](r Resource, tag func(key, value *string) T) []T {
	var out []T
	for _, v := range r.list("Tags") {
		t := Resource{Props: v.(map[string]any)}
		out = append(out, tag(aws.String(t.str("Key")), aws.String(t.str("Value"))))
	}
	return out
}

// topicState is an SNS topic without its policy, which is a resource of its own.
type topicState struct {
	DisplayName *string // nil when the API does not tell
	Key         string  // as it was set: alias, key id or ARN; "" when not encrypted
	SameKey     bool    // Key is the template's key by another name
}

var topicKind = kind{
	noun:     "topic",
	nameProp: "TopicName",
	attributes: map[string]string{
		"Ref":       "arn:{partition}:sns:{region}:{account}:{name}",
		"TopicArn":  "arn:{partition}:sns:{region}:{account}:{name}",
		"TopicName": "{name}",
	},
	observe: observeTopic,
	compare: compareTopic,
	repair:  repairTopic,
}

func observeTopic(ctx context.Context, s site, r Resource) (any, error) {
	attrs, err := s.topicAttributes(ctx, s.attribute(r, "Ref"))
	if attrs == nil || err != nil {
		return nil, err
	}
	st := topicState{Key: attrs["KmsMasterKeyId"]}
	if name, ok := attrs["DisplayName"]; ok {
		st.DisplayName = &name
	}
	if want := r.str("KmsMasterKeyId"); st.Key != "" && want != "" && st.Key != want {
		if st.SameKey, err = s.sameKey(ctx, want, st.Key); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// topicAttributes returns nil for a topic that does not exist.
func (s site) topicAttributes(ctx context.Context, arn string) (map[string]string, error) {
	out, err := s.SNS.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(arn)}, s.at.SNS)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get attributes of topic %s: %w", arn, err)
	}
	return out.Attributes, nil
}

// sameKey says whether two ways to name a KMS key, one of which may be an alias,
// mean the same key.
func (s site) sameKey(ctx context.Context, want, have string) (bool, error) {
	if strings.HasPrefix(have, "arn:") && strings.HasSuffix(have, ":"+string(s.at.Account)+":"+want) {
		return true, nil // the alias, by its ARN
	}
	out, err := s.KMS.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(want)}, s.at.KMS)
	if notFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("describe key %s: %w", want, err)
	}
	return have == aws.ToString(out.KeyMetadata.KeyId) || have == aws.ToString(out.KeyMetadata.Arn), nil
}

func compareTopic(r Resource, state any) []Mismatch {
	st := state.(topicState)
	var out []Mismatch
	if want := r.str("KmsMasterKeyId"); want != "" && st.Key != want && !st.SameKey {
		m := Mismatch{Reason: "the topic is encrypted with another key", Expected: want, Actual: st.Key}
		if st.Key == "" {
			m.Reason, m.Actual = "the topic is not encrypted", nil
		}
		out = append(out, m)
	}
	// Emulators do not all have display names.
	if want := r.str("DisplayName"); want != "" && st.DisplayName != nil && *st.DisplayName != want {
		out = append(out, Mismatch{Reason: "the topic's display name differs", Expected: want, Actual: *st.DisplayName})
	}
	return out
}

func repairTopic(ctx context.Context, s site, r Resource, state any) error {
	name := r.str("TopicName")
	if state == nil {
		// Without attributes: CreateTopic takes a topic that is there for
		// success only if it has the same ones.
		_, err := s.SNS.CreateTopic(ctx, &sns.CreateTopicInput{
			Name: aws.String(name),
			Tags: tagsAs(r, func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} }),
		}, s.at.SNS)
		if err != nil {
			return fmt.Errorf("create topic %s: %w", name, err)
		}
	}
	for _, attr := range []string{"KmsMasterKeyId", "DisplayName"} {
		if r.str(attr) == "" {
			continue
		}
		if err := s.setTopicAttribute(ctx, s.attribute(r, "Ref"), attr, r.str(attr)); err != nil {
			return err
		}
	}
	return nil
}

func (s site) setTopicAttribute(ctx context.Context, arn, attr, value string) error {
	_, err := s.SNS.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{
		TopicArn: aws.String(arn), AttributeName: aws.String(attr), AttributeValue: aws.String(value),
	}, s.at.SNS)
	if err != nil {
		return fmt.Errorf("set %s of topic %s: %w", attr, arn, err)
	}
	return nil
}

// attachedPolicies are the policy documents of topics or queues, by ARN or URL.
// Those that do not exist are not in it.
type attachedPolicies map[string]string

// compareAttached compares the policies of the resources that a property names.
func compareAttached(r Resource, prop, noun string, have attachedPolicies) []Mismatch {
	var out []Mismatch
	for _, target := range toStrings(r.list(prop)) {
		want := r.Props["PolicyDocument"]
		doc, ok := have[target]
		switch {
		case !ok:
			out = append(out, Mismatch{Reason: "there is no " + noun + " " + target, Expected: want})
		case doc == "":
			out = append(out, Mismatch{Reason: "the " + noun + " has no policy", Expected: want})
		case !sameJSON(want, doc):
			out = append(out, Mismatch{Reason: "the " + noun + "'s policy differs", Expected: want, Actual: fromJSON(doc)})
		}
	}
	return out
}

var topicPolicyKind = kind{
	noun:    "topic policy",
	observe: observeTopicPolicy,
	compare: func(r Resource, state any) []Mismatch {
		return compareAttached(r, "Topics", "topic", state.(attachedPolicies))
	},
	repair: repairTopicPolicy,
}

func observeTopicPolicy(ctx context.Context, s site, r Resource) (any, error) {
	st := attachedPolicies{}
	for _, arn := range toStrings(r.list("Topics")) {
		attrs, err := s.topicAttributes(ctx, arn)
		if err != nil {
			return nil, err
		}
		if attrs != nil {
			st[arn] = attrs["Policy"] // every topic has one; by default it is the owner's
		}
	}
	if len(st) == 0 {
		return nil, nil
	}
	return st, nil
}

func repairTopicPolicy(ctx context.Context, s site, r Resource, _ any) error {
	for _, arn := range toStrings(r.list("Topics")) {
		if err := s.setTopicAttribute(ctx, arn, "Policy", compact(r.Props["PolicyDocument"])); err != nil {
			return err
		}
	}
	return nil
}

// subscriptionState is a subscription of a topic.
type subscriptionState struct {
	Confirmed bool
}

// A subscription is known by protocol and endpoint: its ARN comes into being
// with it, and only when the endpoint confirms.
var subscriptionKind = kind{
	noun:     "subscription",
	nameProp: "Endpoint",
	observe:  observeSubscription,
	compare:  compareSubscription,
	repair:   repairSubscription,
	final: func(Resource) string {
		return "whoever in alerts.email is not subscribed yet gets a mail from AWS"
	},
}

func observeSubscription(ctx context.Context, s site, r Resource) (any, error) {
	in := &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(r.str("TopicArn"))}
	for {
		page, err := s.SNS.ListSubscriptionsByTopic(ctx, in, s.at.SNS)
		if notFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list subscriptions of topic %s: %w", r.str("TopicArn"), err)
		}
		for _, sub := range page.Subscriptions {
			if aws.ToString(sub.Protocol) != r.str("Protocol") || aws.ToString(sub.Endpoint) != r.str("Endpoint") {
				continue
			}
			// Instead of an ARN there may be a word: "PendingConfirmation",
			// or for some days "Deleted" after somebody unsubscribed.
			switch arn := aws.ToString(sub.SubscriptionArn); {
			case strings.HasPrefix(arn, "arn:"):
				return subscriptionState{Confirmed: true}, nil
			case !strings.EqualFold(arn, "Deleted"):
				return subscriptionState{}, nil
			}
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return nil, nil
		}
	}
}

func compareSubscription(r Resource, state any) []Mismatch {
	if state.(subscriptionState).Confirmed {
		return nil
	}
	return []Mismatch{{
		Reason:   "the subscription of " + r.str("Endpoint") + " is not confirmed",
		Expected: "confirmed", Actual: "pending confirmation",
		Manual: "ask " + r.str("Endpoint") + " to click the link in the mail that SNS sent", Waits: true,
	}}
}

// repairSubscription subscribes. One that is pending is left alone, or every
// rollout would send the mail again; SNS forgets it after some days, and then
// there is a new mail.
func repairSubscription(ctx context.Context, s site, r Resource, state any) error {
	if state != nil {
		return nil
	}
	_, err := s.SNS.Subscribe(ctx, &sns.SubscribeInput{
		TopicArn: aws.String(r.str("TopicArn")), Protocol: aws.String(r.str("Protocol")), Endpoint: aws.String(r.str("Endpoint")),
	}, s.at.SNS)
	if err != nil {
		return fmt.Errorf("subscribe %s to %s: %w", r.str("Endpoint"), r.str("TopicArn"), err)
	}
	return nil
}
