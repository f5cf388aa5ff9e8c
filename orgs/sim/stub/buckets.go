package stub

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/orgguard/orgguard/orgs/access"
)

// rate is a published rate; its operations share a bucket for each account ×
// Region.
type rate struct {
	perSecond, burst float64
}

// rates are by "service:Operation", and by "service:" for what a service shares
// among all its operations. AWS publishes none for AWS Config, CloudFormation and
// IAM.
func rates() map[string]*rate {
	out := map[string]*rate{}
	for _, q := range access.Quotas {
		r := &rate{q.PerSecond, float64(q.Burst)}
		for _, op := range q.Operations {
			out[q.Service+":"+op] = r
		}
	}
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
	out["sts:"] = &rate{600, 600}
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
	out["events:"] = &rate{50, 50}
	// https://docs.aws.amazon.com/accounts/latest/reference/quotas.html
	out["account:"] = &rate{5, 5}
	// https://docs.aws.amazon.com/general/latest/gr/sns.html, the small Regions' figure
	out["sns:GetTopicAttributes"] = &rate{30, 30}
	out["sns:ListSubscriptionsByTopic"] = &rate{30, 30}
	return out
}

// bucketKey is a bucket: the hash of account, Region and service, since the names
// would be most of the memory.
type bucketKey struct {
	place uint64
	rate  *rate
}

// buckets are token buckets that are made when they are needed and forgotten when
// they are full again.
type buckets struct {
	seed  maphash.Seed
	rates map[string]*rate

	mu    sync.Mutex
	left  map[bucketKey]tokens
	swept time.Time
}

type tokens struct {
	n  float64
	at time.Time
}

func newBuckets() *buckets {
	return &buckets{seed: maphash.MakeSeed(), rates: rates(), left: map[bucketKey]tokens{}}
}

// take takes a token; false means that the call is throttled.
func (b *buckets) take(now time.Time, account, region, service, operation string) bool {
	r := b.rates[service+":"+operation]
	if r == nil {
		r = b.rates[service+":"]
	}
	if r == nil {
		return true
	}
	key := bucketKey{maphash.String(b.seed, account+region+service), r}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep(now)
	t, ok := b.left[key]
	if !ok {
		t = tokens{r.burst, now}
	}
	t.n = min(r.burst, t.n+r.perSecond*now.Sub(t.at).Seconds())
	t.at = now
	taken := t.n >= 1
	if taken {
		t.n--
	}
	b.left[key] = t
	return taken
}

// sweep forgets full buckets once a second.
func (b *buckets) sweep(now time.Time) {
	if now.Sub(b.swept) < time.Second {
		return
	}
	b.swept = now
	for key, t := range b.left {
		if t.n+key.rate.perSecond*now.Sub(t.at).Seconds() >= key.rate.burst {
			delete(b.left, key)
		}
	}
}
