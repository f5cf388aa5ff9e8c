package baseline

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	queueRetention = string(types.QueueAttributeNameMessageRetentionPeriod)
	queueManaged   = string(types.QueueAttributeNameSqsManagedSseEnabled)
	queueKey       = string(types.QueueAttributeNameKmsMasterKeyId)
	queuePolicy    = string(types.QueueAttributeNamePolicy)
)

// queueState is an SQS queue without its policy.
type queueState struct {
	Retention string // seconds
	Managed   bool   // encrypted with a key of SQS
	Key       string // encrypted with this key; "" when not
}

var queueKind = kind{
	noun:     "queue",
	nameProp: "QueueName",
	attributes: map[string]string{
		"Ref":       "https://sqs.{region}.{suffix}/{account}/{name}",
		"QueueUrl":  "https://sqs.{region}.{suffix}/{account}/{name}",
		"Arn":       "arn:{partition}:sqs:{region}:{account}:{name}",
		"QueueName": "{name}",
	},
	observe: observeQueue,
	compare: compareQueue,
	repair:  repairQueue,
}

func observeQueue(ctx context.Context, s site, r Resource) (any, error) {
	attrs, err := s.queueAttributes(ctx, s.attribute(r, "Ref"), queueRetention, queueManaged, queueKey)
	if attrs == nil || err != nil {
		return nil, err
	}
	return queueState{Retention: attrs[queueRetention], Managed: attrs[queueManaged] == "true", Key: attrs[queueKey]}, nil
}

// queueAttributes returns nil for a queue that does not exist.
func (s site) queueAttributes(ctx context.Context, url string, names ...string) (map[string]string, error) {
	in := &sqs.GetQueueAttributesInput{QueueUrl: aws.String(url)}
	for _, n := range names {
		in.AttributeNames = append(in.AttributeNames, types.QueueAttributeName(n))
	}
	out, err := s.SQS.GetQueueAttributes(ctx, in, s.at.SQS)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get attributes of queue %s: %w", url, err)
	}
	if out.Attributes == nil { // a queue of which nothing is known is still one
		return map[string]string{}, nil
	}
	return out.Attributes, nil
}

func compareQueue(r Resource, state any) []Mismatch {
	st := state.(queueState)
	var out []Mismatch
	if want, ok := r.Props[queueRetention]; ok && compact(want) != st.Retention {
		out = append(out, Mismatch{
			Reason:   "the queue keeps messages for another time",
			Expected: map[string]any{"seconds": want}, Actual: map[string]any{"seconds": fromJSON(st.Retention)},
		})
	}
	if want, ok := r.Props[queueManaged].(bool); ok && want != st.Managed {
		m := Mismatch{
			Reason:   "the queue is not encrypted",
			Expected: map[string]any{"sqs_managed_sse": want}, Actual: map[string]any{"sqs_managed_sse": st.Managed},
		}
		switch {
		case st.Key != "":
			// A key of one's own keeps out who may not use it, and that
			// EventBridge may is not said by our templates.
			m.Reason = "the queue is encrypted with a KMS key instead of SQS's own"
			m.Actual = map[string]any{"sqs_managed_sse": st.Managed, "kms_key": st.Key}
		case !want:
			m.Reason = "the queue is encrypted with SQS's own key"
		}
		out = append(out, m)
	}
	return out
}

func repairQueue(ctx context.Context, s site, r Resource, state any) error {
	attrs := map[string]string{}
	for _, name := range []string{queueRetention, queueManaged} {
		if v, ok := r.Props[name]; ok {
			attrs[name] = compact(v)
		}
	}
	st, exists := state.(queueState)
	if !exists {
		tags := map[string]string{}
		tagsAs(r, func(k, v *string) struct{} { tags[*k] = *v; return struct{}{} })
		name := r.str("QueueName")
		_, err := s.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attrs, Tags: tags}, s.at.SQS)
		if err != nil {
			return fmt.Errorf("create queue %s: %w", name, err)
		}
		return nil
	}
	if st.Key != "" && attrs[queueManaged] == "true" {
		attrs[queueKey] = "" // a queue has one kind of encryption at a time
	}
	return s.setQueueAttributes(ctx, s.attribute(r, "Ref"), attrs)
}

func (s site) setQueueAttributes(ctx context.Context, url string, attrs map[string]string) error {
	_, err := s.SQS.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: aws.String(url), Attributes: attrs}, s.at.SQS)
	if err != nil {
		return fmt.Errorf("set attributes of queue %s: %w", url, err)
	}
	return nil
}

var queuePolicyKind = kind{
	noun:    "queue policy",
	observe: observeQueuePolicy,
	compare: func(r Resource, state any) []Mismatch {
		return compareAttached(r, "Queues", "queue", state.(attachedPolicies))
	},
	repair: repairQueuePolicy,
}

func observeQueuePolicy(ctx context.Context, s site, r Resource) (any, error) {
	st := attachedPolicies{}
	exists := false
	for _, url := range toStrings(r.list("Queues")) {
		attrs, err := s.queueAttributes(ctx, url, queuePolicy)
		if err != nil {
			return nil, err
		}
		if attrs != nil {
			st[url] = attrs[queuePolicy]
			exists = exists || st[url] != ""
		}
	}
	if !exists {
		return nil, nil
	}
	return st, nil
}

func repairQueuePolicy(ctx context.Context, s site, r Resource, _ any) error {
	for _, url := range toStrings(r.list("Queues")) {
		if err := s.setQueueAttributes(ctx, url, map[string]string{queuePolicy: compact(r.Props["PolicyDocument"])}); err != nil {
			return err
		}
	}
	return nil
}
