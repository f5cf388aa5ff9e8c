package access

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

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
	slots  chan struct{}
	limits map[string]*rate.Limiter // by action; only Organizations and friends

	attempts, throttles atomic.Int64

	mu   sync.Mutex
	used map[string]int
}

func newMeter(opts Options) *meter {
	m := &meter{slots: make(chan struct{}, opts.InFlight), used: map[string]int{}}
	if !opts.NoRateLimits {
		m.limits = map[string]*rate.Limiter{}
		for _, q := range Quotas {
			l := rate.NewLimiter(rate.Limit(q.PerSecond), q.Burst)
			for _, op := range q.Operations {
				m.limits[q.Service+":"+op] = l // operations of one row share one bucket
			}
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
	if l := m.limits[action(ctx)]; l != nil {
		if err := l.Wait(ctx); err != nil {
			return out, meta, err
		}
	}
	select {
	case m.slots <- struct{}{}:
	case <-ctx.Done():
		return out, meta, ctx.Err()
	}
	defer func() { <-m.slots }()
	m.attempts.Add(1)
	out, meta, err = next.HandleFinalize(ctx, in)
	if err != nil && isThrottle(err) {
		m.throttles.Add(1)
	}
	return out, meta, err
}

// throttle recognises throttling by the SDK's own list of codes.
var throttle = retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}

func isThrottle(err error) bool { return throttle.IsErrorThrottle(err).Bool() }

// servicePrefixes are IAM's action prefixes by the SDK's service ids.
var servicePrefixes = map[string]string{
	"Organizations": "organizations", "STS": "sts", "Account": "account", "CloudFormation": "cloudformation",
	"Config Service": "config", "EventBridge": "events", "SNS": "sns", "SQS": "sqs", "S3": "s3", "IAM": "iam",
	"KMS": "kms", "SFN": "states",
}

// s3Actions are S3 operations whose action has another name.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
var s3Actions = map[string]string{
	"HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket", "GetBucketEncryption": "GetEncryptionConfiguration",
	"PutBucketEncryption": "PutEncryptionConfiguration", "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
	"PutPublicAccessBlock": "PutBucketPublicAccessBlock", "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
	"PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
}

// action is the IAM action of the operation in ctx.
func action(ctx context.Context) string {
	prefix, op := servicePrefixes[awsmiddleware.GetServiceID(ctx)], awsmiddleware.GetOperationName(ctx)
	if prefix == "s3" && s3Actions[op] != "" {
		op = s3Actions[op]
	}
	return prefix + ":" + op
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
