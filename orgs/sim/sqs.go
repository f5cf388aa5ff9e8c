package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// sqsState is Amazon SQS in one account × Region.
type sqsState struct {
	Queues map[string]*sqsQueue `json:"queues,omitempty"` // by name
}

// sqsQueue is a queue with its messages.
type sqsQueue struct {
	Name string `json:"name"`
	// Attributes holds what was set; attributes with defaults are filled in
	// when they are read.
	Attributes map[string]string `json:"attributes,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Messages   []*sqsMessage     `json:"messages,omitempty"` // oldest first
	Created    time.Time         `json:"created"`
	Modified   time.Time         `json:"modified"`
}

// onQueue gives an operation the queue it acts on as its resource.
func onQueue[I any](o operation, url func(*I) *string) operation {
	return on(o, func(c *call, in *I) string {
		account, region, name := queueOfURL(aws.ToString(url(in)))
		return c.w.queueARN(account, region, name)
	})
}

// queueNamed gives an operation the queue of a name as its resource.
func queueNamed[I any](o operation, name func(*I) *string) operation {
	return on(o, func(c *call, in *I) string { return c.arn("sqs", aws.ToString(name(in))) })
}

var sqsOps = map[string]operation{
	"CreateQueue":        queueNamed(op(write, createQueue), func(in *sqs.CreateQueueInput) *string { return in.QueueName }),
	"GetQueueUrl":        queueNamed(op(read, getQueueURL), func(in *sqs.GetQueueUrlInput) *string { return in.QueueName }),
	"ListQueues":         op(read, listQueues),
	"GetQueueAttributes": onQueue(op(read, getQueueAttributes), func(in *sqs.GetQueueAttributesInput) *string { return in.QueueUrl }),
	"SetQueueAttributes": onQueue(op(write, setQueueAttributes), func(in *sqs.SetQueueAttributesInput) *string { return in.QueueUrl }),
	"DeleteQueue":        onQueue(op(write, deleteQueue), func(in *sqs.DeleteQueueInput) *string { return in.QueueUrl }),
	"PurgeQueue":         onQueue(op(write, purgeQueue), func(in *sqs.PurgeQueueInput) *string { return in.QueueUrl }),
	"TagQueue":           onQueue(op(write, tagQueue), func(in *sqs.TagQueueInput) *string { return in.QueueUrl }),
	"UntagQueue":         onQueue(op(write, untagQueue), func(in *sqs.UntagQueueInput) *string { return in.QueueUrl }),
	"ListQueueTags":      onQueue(op(read, listQueueTags), func(in *sqs.ListQueueTagsInput) *string { return in.QueueUrl }),

	// Messages are data events, which CloudTrail does not record by default,
	// and so are no writes here.
	"SendMessage":    onQueue(op(read, sendMessage), func(in *sqs.SendMessageInput) *string { return in.QueueUrl }),
	"ReceiveMessage": onQueue(op(read, receiveMessage), func(in *sqs.ReceiveMessageInput) *string { return in.QueueUrl }),
	"DeleteMessage":  onQueue(op(read, deleteMessage), func(in *sqs.DeleteMessageInput) *string { return in.QueueUrl }),
}

// queueDefaults are the attributes a queue has without being told.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
var queueDefaults = map[string]string{
	"DelaySeconds":                  "0",
	"MaximumMessageSize":            "1048576",
	"MessageRetentionPeriod":        "345600",
	"ReceiveMessageWaitTimeSeconds": "0",
	"VisibilityTimeout":             "30",
}

// queueRanges are the attributes that are numbers, with their limits.
var queueRanges = map[string][2]int{
	"DelaySeconds":                  {0, 900},
	"MaximumMessageSize":            {1024, 1048576},
	"MessageRetentionPeriod":        {60, 1209600},
	"ReceiveMessageWaitTimeSeconds": {0, 20},
	"VisibilityTimeout":             {0, 43200},
	"KmsDataKeyReusePeriodSeconds":  {60, 86400},
}

func (w *World) queueARN(account, region, name string) string {
	return "arn:" + w.state.Partition + ":sqs:" + region + ":" + account + ":" + name
}

func (w *World) queueURL(account, region, name string) string {
	suffix := "amazonaws.com"
	if w.state.Partition == "aws-cn" {
		suffix = "amazonaws.com.cn"
	}
	return "https://sqs." + region + "." + suffix + "/" + account + "/" + name
}

// queueOfURL takes a queue's URL apart.
func queueOfURL(url string) (account, region, name string) {
	rest, ok := strings.CutPrefix(url, "https://sqs.")
	if !ok {
		return "", "", ""
	}
	host, path, _ := strings.Cut(rest, "/")
	region, _, _ = strings.Cut(host, ".")
	account, name, _ = strings.Cut(path, "/")
	return account, region, name
}

// queueByARN finds a queue by its ARN, in any account; nil when there is none.
func (w *World) queueByARN(arn string) *sqsQueue {
	service, region, account, name, ok := arnParts(arn)
	if !ok || service != "sqs" || w.account(account) == nil {
		return nil
	}
	return w.region(account, region).SQS.Queues[name]
}

// noQueue carries the code that SQS kept from the days of its query API, next
// to the type the SDK decodes.
func noQueue() error {
	return &types.QueueDoesNotExist{
		Message:           aws.String("The specified queue does not exist."),
		ErrorCodeOverride: aws.String("AWS.SimpleQueueService.NonExistentQueue"),
	}
}

// queueFor finds the queue of a call and asks its policy.
func queueFor(c *call, url *string) (q *sqsQueue, arn string, err error) {
	account, region, name := queueOfURL(aws.ToString(url))
	arn = c.w.queueARN(account, region, name)
	q = c.w.queueByARN(arn)
	if q == nil || region != c.region { // a queue is known at its own Region's endpoint only
		return nil, "", noQueue()
	}
	action := "sqs:" + c.op
	if !c.admitted(q.Attributes["Policy"], account, action, arn) {
		return nil, "", notAuthorized(c, action, arn, "because no resource-based policy allows the "+action+" action")
	}
	return q, arn, nil
}

func invalidQueueValue(name string) error {
	return apiError("InvalidAttributeValue", "Invalid value for the parameter %s.", name)
}

// checkQueueAttributes refuses attributes that SQS does not have or values
// they cannot take.
func (w *World) checkQueueAttributes(attributes map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		value := attributes[name]
		if limits, isNumber := queueRanges[name]; isNumber {
			if n, err := strconv.Atoi(value); err != nil || n < limits[0] || n > limits[1] {
				return invalidQueueValue(name)
			}
			continue
		}
		switch name {
		case "Policy":
			if value != "" && (checkResourcePolicy(value) != nil || w.strangePrincipal(value) != "") {
				return invalidQueueValue(name)
			}
		case "RedrivePolicy":
			if value != "" && redriveOf(value).Target == "" {
				return invalidQueueValue(name)
			}
		case "RedriveAllowPolicy":
			if value != "" && !json.Valid([]byte(value)) {
				return invalidQueueValue(name)
			}
		case "KmsMasterKeyId":
		case "FifoQueue", "ContentBasedDeduplication", "SqsManagedSseEnabled":
			if value != "true" && value != "false" {
				return invalidQueueValue(name)
			}
		case "DeduplicationScope", "FifoThroughputLimit":
		default:
			return apiError("InvalidAttributeName", "Unknown Attribute %s.", name)
		}
	}
	return nil
}

func createQueue(c *call, in *sqs.CreateQueueInput) (*sqs.CreateQueueOutput, error) {
	name := aws.ToString(in.QueueName)
	base := strings.TrimSuffix(name, ".fifo")
	if base == "" || len(name) > 80 || strings.Trim(base, nameLetters) != "" {
		return nil, apiError("InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	if fifo := in.Attributes["FifoQueue"] == "true"; fifo != strings.HasSuffix(name, ".fifo") {
		return nil, apiError("InvalidParameterValue", "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.")
	}
	if err := c.w.checkQueueAttributes(in.Attributes); err != nil {
		return nil, err
	}
	s := &c.here().SQS
	out := &sqs.CreateQueueOutput{QueueUrl: aws.String(c.w.queueURL(c.caller.Account, c.region, name))}
	if q := s.Queues[name]; q != nil {
		have := c.w.queueAttributes(q, c.arn("sqs", name))
		for _, k := range sortedNames(in.Attributes) {
			if have[k] != in.Attributes[k] {
				return nil, &types.QueueNameExists{
					Message:           aws.String("A queue already exists with the same name and a different value for attribute " + k),
					ErrorCodeOverride: aws.String("QueueAlreadyExists"),
				}
			}
		}
		return out, nil
	}
	q := &sqsQueue{Name: name, Attributes: map[string]string{}, Tags: maps.Clone(in.Tags), Created: c.now, Modified: c.now}
	q.set(in.Attributes)
	if s.Queues == nil {
		s.Queues = map[string]*sqsQueue{}
	}
	s.Queues[name] = q
	return out, nil
}

// nameLetters are the characters of most names in SQS and SNS.
const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// set changes attributes. An empty policy takes it away, and of the two kinds
// of encryption the one that was set last is in force.
func (q *sqsQueue) set(attributes map[string]string) {
	if q.Attributes == nil {
		q.Attributes = map[string]string{}
	}
	for k, v := range attributes {
		switch {
		case v == "" && (strings.HasSuffix(k, "Policy") || k == "KmsMasterKeyId"):
			delete(q.Attributes, k)
			continue
		case k == "KmsMasterKeyId":
			q.Attributes["SqsManagedSseEnabled"] = "false"
		case k == "SqsManagedSseEnabled" && v == "true":
			delete(q.Attributes, "KmsMasterKeyId")
		}
		q.Attributes[k] = v
	}
}

// queueAttributes is every attribute of a queue as it is read.
func (w *World) queueAttributes(q *sqsQueue, arn string) map[string]string {
	out := maps.Clone(queueDefaults)
	out["SqsManagedSseEnabled"] = "true" // since late 2022 for every queue without a KMS key
	for k, v := range q.Attributes {
		out[k] = v
	}
	if out["KmsMasterKeyId"] != "" && out["KmsDataKeyReusePeriodSeconds"] == "" {
		out["KmsDataKeyReusePeriodSeconds"] = "300"
	}
	if out["FifoQueue"] == "false" {
		delete(out, "FifoQueue")
	}
	visible, hidden := 0, 0
	for _, m := range q.Messages {
		if m.Visible.After(w.now()) {
			hidden++
		} else {
			visible++
		}
	}
	out["ApproximateNumberOfMessages"] = strconv.Itoa(visible)
	out["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(hidden)
	out["ApproximateNumberOfMessagesDelayed"] = "0"
	out["CreatedTimestamp"] = strconv.FormatInt(q.Created.Unix(), 10)
	out["LastModifiedTimestamp"] = strconv.FormatInt(q.Modified.Unix(), 10)
	out["QueueArn"] = arn
	return out
}

func getQueueURL(c *call, in *sqs.GetQueueUrlInput) (*sqs.GetQueueUrlOutput, error) {
	owner := orDefault(in.QueueOwnerAWSAccountId, c.caller.Account)
	url := c.w.queueURL(owner, c.region, aws.ToString(in.QueueName))
	if _, _, err := queueFor(c, &url); err != nil {
		return nil, err
	}
	return &sqs.GetQueueUrlOutput{QueueUrl: aws.String(url)}, nil
}

func getQueueAttributes(c *call, in *sqs.GetQueueAttributesInput) (*sqs.GetQueueAttributesOutput, error) {
	q, arn, err := queueFor(c, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	all := c.w.queueAttributes(q, arn)
	out := map[string]string{}
	for _, name := range in.AttributeNames {
		if name == types.QueueAttributeNameAll {
			out = all
			break
		}
		if !slices.Contains(name.Values(), name) {
			return nil, apiError("InvalidAttributeName", "Unknown Attribute %s.", name)
		}
		if v, ok := all[string(name)]; ok {
			out[string(name)] = v
		}
	}
	return &sqs.GetQueueAttributesOutput{Attributes: out}, nil
}

func setQueueAttributes(c *call, in *sqs.SetQueueAttributesInput) (*sqs.SetQueueAttributesOutput, error) {
	q, _, err := queueFor(c, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := c.w.checkQueueAttributes(in.Attributes); err != nil {
		return nil, err
	}
	if _, has := in.Attributes["FifoQueue"]; has {
		return nil, apiError("InvalidAttributeName", "You cannot change the FifoQueue attribute of a queue.")
	}
	q.set(in.Attributes)
	q.Modified = c.now
	return &sqs.SetQueueAttributesOutput{}, nil
}

func deleteQueue(c *call, in *sqs.DeleteQueueInput) (*sqs.DeleteQueueOutput, error) {
	q, arn, err := queueFor(c, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	delete(c.w.region(arnAccount(arn), c.region).SQS.Queues, q.Name)
	return &sqs.DeleteQueueOutput{}, nil
}

func purgeQueue(c *call, in *sqs.PurgeQueueInput) (*sqs.PurgeQueueOutput, error) {
	q, _, err := queueFor(c, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	q.Messages = nil
	return &sqs.PurgeQueueOutput{}, nil
}

func listQueues(c *call, in *sqs.ListQueuesInput) (*sqs.ListQueuesOutput, error) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(c.here().SQS.Queues)), func(n string) bool {
		return !strings.HasPrefix(n, aws.ToString(in.QueueNamePrefix))
	})
	limit := 1000
	if n := int(aws.ToInt32(in.MaxResults)); n > 0 {
		limit = min(n, limit)
	}
	page, next, ok := pageOf(c, names, limit, in.NextToken)
	if !ok {
		return nil, apiError("InvalidParameterValue", "Invalid or expired next token.")
	}
	out := &sqs.ListQueuesOutput{QueueUrls: []string{}}
	if in.MaxResults != nil { // without it there is one page and no token
		out.NextToken = next
	}
	for _, n := range page {
		out.QueueUrls = append(out.QueueUrls, c.w.queueURL(c.caller.Account, c.region, n))
	}
	return out, nil
}

func tagQueue(c *call, in *sqs.TagQueueInput) (*sqs.TagQueueOutput, error) {
	q, _, err := queueFor(c, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if q.Tags == nil {
		q.Tags = map[string]string{}
	}
	maps.Copy(q.Tags, in.Tags)
	return &sqs.TagQueueOutput{}, nil
}

func untagQueue(c *call, in *sqs.UntagQueueInput) (*sqs.UntagQueueOutput, error) {
	q, _, err := queueFor(c, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(q.Tags, k)
	}
	return &sqs.UntagQueueOutput{}, nil
}

func listQueueTags(c *call, in *sqs.ListQueueTagsInput) (*sqs.ListQueueTagsOutput, error) {
	q, _, err := queueFor(c, in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return &sqs.ListQueueTagsOutput{Tags: maps.Clone(q.Tags)}, nil
}
