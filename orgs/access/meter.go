package access

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// meter stands at two places of every call: where the operation begins, to
// record its action, and right before an attempt is signed, to hold it to the
// API's rate and to the limit of requests on the wire. An attempt gives its place
// back before the retryer waits, so throttled calls do not slow others. The
// credentials have been found by then: an AssumeRole that a call waits for needs
// a place of its own.
type meter struct {
	gate   *gate
	limits map[string]*limit // by action; only Organizations and friends

	attempts, throttles atomic.Int64

	mu   sync.Mutex
	used map[string]int
}

// limit is a published rate. An endpoint that is said to have none gets its calls
// unhindered until it throttles one: then it has.
type limit struct {
	*rate.Limiter
	kept atomic.Bool
}

func newMeter(opts Options) *meter {
	m := &meter{gate: newGate(opts.InFlight), limits: map[string]*limit{}, used: map[string]int{}}
	for _, q := range Quotas {
		l := &limit{Limiter: rate.NewLimiter(rate.Limit(q.PerSecond), q.Burst)}
		l.kept.Store(!opts.NoRateLimits)
		for _, op := range q.Operations {
			m.limits[q.Service+":"+op] = l // operations of one row share one bucket
		}
	}
	return m
}

// addTo adds the meter to an operation's stack.
func (m *meter) addTo(s *middleware.Stack) error {
	if err := s.Initialize.Add(middleware.InitializeMiddlewareFunc("OrgguardUsed", m.record), middleware.After); err != nil {
		return err
	}
	return s.Finalize.Insert(middleware.FinalizeMiddlewareFunc("OrgguardSlot", m.attempt), "Signing", middleware.Before)
}

func (m *meter) record(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	m.mu.Lock()
	m.used[action(ctx)]++
	m.mu.Unlock()
	return next.HandleInitialize(ctx, in)
}

func (m *meter) attempt(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (out middleware.FinalizeOutput, meta middleware.Metadata, err error) {
	l := m.limits[action(ctx)]
	if l != nil && l.kept.Load() {
		if err := l.Wait(ctx); err != nil {
			return out, meta, canceled(ctx)
		}
	}
	if err := m.gate.enter(ctx); err != nil {
		return out, meta, canceled(ctx)
	}
	m.attempts.Add(1)
	begin := time.Now()
	throttled := false
	defer func() {
		now := time.Now()
		m.gate.leave(now, now.Sub(begin), !throttled)
	}()
	out, meta, err = next.HandleFinalize(ctx, in)
	if err != nil && isThrottle(err) {
		throttled = true
		m.throttles.Add(1)
		if l != nil {
			l.kept.Store(true)
		}
	}
	return out, meta, err
}

// canceled is the error of a call that cannot wait any longer: ctx has ended, or
// its deadline comes before its turn, which the limiter knows beforehand and says
// in an error of its own. It is not retried.
func canceled(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		err = context.DeadlineExceeded
	}
	return &aws.RequestCanceledError{Err: err}
}

// throttle recognises throttling by the SDK's own list of codes.
var throttle = retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}

func isThrottle(err error) bool { return throttle.IsErrorThrottle(err).Bool() }

// servicePrefixes are IAM's action prefixes by the SDK's service ids.
var servicePrefixes = map[string]string{
	"Organizations": "organizations", "STS": "sts", "Account": "account", "CloudFormation": "cloudformation",
	"Config Service": "config", "EventBridge": "events", "SNS": "sns", "SQS": "sqs", "S3": "s3", "IAM": "iam",
	"KMS": "kms", "SFN": "states", "CloudTrail": "cloudtrail", "AccessAnalyzer": "access-analyzer",
	"GuardDuty": "guardduty", "SecurityHub": "securityhub", "CloudWatch": "cloudwatch", "CloudWatch Logs": "logs", "chatbot": "chatbot",
	"ControlTower": "controltower", "SSM": "ssm", "Lambda": "lambda", "Scheduler": "scheduler",
	"EC2": "ec2", "S3 Control": "s3-control", // see actionNames
}

// actionNames are the actions of operations that are called otherwise: most of
// them S3's, and batches, for which IAM asks for the single action.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
var actionNames = map[string]string{
	"s3:HeadBucket": "s3:ListBucket", "s3:ListObjects": "s3:ListBucket", "s3:ListObjectsV2": "s3:ListBucket",
	"s3:ListObjectVersions": "s3:ListBucketVersions", "s3:ListBuckets": "s3:ListAllMyBuckets",
	"s3:HeadObject": "s3:GetObject", "s3:DeleteObjects": "s3:DeleteObject",
	"s3:GetBucketEncryption": "s3:GetEncryptionConfiguration", "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
	"s3:DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
	"s3:GetPublicAccessBlock":   "s3:GetBucketPublicAccessBlock", "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
	"s3:DeletePublicAccessBlock":         "s3:PutBucketPublicAccessBlock",
	"s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration", "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
	"s3:DeleteBucketLifecycle":         "s3:PutLifecycleConfiguration",
	"s3:DeleteBucketOwnershipControls": "s3:PutBucketOwnershipControls", "s3:DeleteBucketTagging": "s3:PutBucketTagging",
	"s3:GetBucketReplication": "s3:GetReplicationConfiguration", "s3:PutBucketReplication": "s3:PutReplicationConfiguration",
	"s3:DeleteBucketReplication":            "s3:PutReplicationConfiguration",
	"s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification", "s3:PutBucketNotificationConfiguration": "s3:PutBucketNotification",
	"s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration", "s3:PutObjectLockConfiguration": "s3:PutBucketObjectLockConfiguration",
	"sns:PublishBatch": "sns:Publish", "sqs:SendMessageBatch": "sqs:SendMessage", "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
	"sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
	"s3-control:GetPublicAccessBlock":  "s3:GetAccountPublicAccessBlock", "s3-control:PutPublicAccessBlock": "s3:PutAccountPublicAccessBlock",
	"s3-control:DeletePublicAccessBlock": "s3:PutAccountPublicAccessBlock",
	"lambda:Invoke":                      "lambda:InvokeFunction",
	"access-analyzer:GetFindingV2":       "access-analyzer:GetFinding", "access-analyzer:ListFindingsV2": "access-analyzer:ListFindings",
}

// action is the IAM action of the operation in ctx.
func action(ctx context.Context) string {
	name := servicePrefixes[awsmiddleware.GetServiceID(ctx)] + ":" + awsmiddleware.GetOperationName(ctx)
	if other, ok := actionNames[name]; ok {
		return other
	}
	return name
}

// Used returns the IAM actions of all calls so far and how often each was
// called, retries not counted.
func (p *Pool) Used() map[string]int {
	p.meter.mu.Lock()
	defer p.meter.mu.Unlock()
	return maps.Clone(p.meter.used)
}

// UsedActions returns the IAM actions of all calls so far, sorted.
func (p *Pool) UsedActions() []string { return slices.Sorted(maps.Keys(p.Used())) }

// Traffic is the number of attempts sent so far, and how many of them AWS
// throttled.
func (p *Pool) Traffic() (attempts, throttled int64) {
	return p.meter.attempts.Load(), p.meter.throttles.Load()
}
