package access

import (
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

const (
	maxAttempts = 8
	baseBackoff = 50 * time.Millisecond
	maxBackoff  = 2 * time.Second
)

// retryCodes are errors that go away by themselves and that the SDK does not
// retry on its own.
var retryCodes = map[string]struct{}{
	"ConcurrentModificationException":  {}, // Organizations: another write is being carried out
	"PolicyChangesInProgressException": {},
	"OptimisticLockException":          {},
	"ConditionalRequestConflict":       {}, // S3: another conditional write of the object is under way
}

// newRetryer is the SDK's standard retryer with a backoff for a fan-out. Each
// account has its own quota at AWS, so a throttled call soon finds room again:
// a short base and a low cap. The SDK's own backoff waits for up to 20 s, and its
// retry quota, shared by all calls of a client, would let throttling in some
// accounts fail calls to others.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
		o.Backoff = retry.BackoffDelayerFunc(backoff)
		o.RateLimiter = ratelimit.None
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: retryCodes})
	})
}

// backoff is exponential with full jitter above half: attempt 1 waits for 25 to
// 50 ms, attempt 7 and later for 1 to 2 s.
func backoff(attempt int, _ error) (time.Duration, error) {
	d := min(maxBackoff, baseBackoff<<min(max(attempt-1, 0), 10))
	return d/2 + rand.N(d/2+1), nil //nolint:gosec // jitter needs no secrecy
}
