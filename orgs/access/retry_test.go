package access

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/organizations"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/sim"
)

func TestThrottlingLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := demo(t)
		p := newPool(t, w.ManagementConfig("us-east-1"))
		w.SetFaults(sim.Faults{ThrottlePercent: 20})
		type place struct {
			id     orgs.AccountID
			region string
		}
		var places []place
		for _, id := range []orgs.AccountID{management, "200000000001", shopProd, "310000000001", legacyLab} {
			for _, region := range partition.Default {
				places = append(places, place{id, region})
			}
		}
		begin := time.Now()
		out := orgs.ForEach(t.Context(), places, 32, func(ctx context.Context, at place) (n int, err error) {
			for range 10 {
				names, err := recorders(ctx, p, p.In(partition, at.id, at.region))
				if err != nil {
					return n, err
				}
				n += len(names)
			}
			return n, nil
		})
		for i, o := range out {
			want := 0
			if places[i] == (place{legacyLab, "ap-northeast-1"}) {
				want = 10
			}
			if o.Err != nil || o.Value != want {
				t.Errorf("%v: got %d, %v, want %d", places[i], o.Value, o.Err, want)
			}
		}
		attempts, throttled := p.Traffic()
		if calls := int64(len(places) * 10); attempts-throttled != calls+1+4 { // and one who-am-I and four roles
			t.Errorf("%d attempts of which %d were throttled for %d calls", attempts, throttled, calls)
		}
		if share := 100 * throttled / attempts; share < 15 || share > 25 {
			t.Errorf("%d%% were throttled, want about 20%%", share)
		}
		if got := int64(w.Calls()["config:DescribeConfigurationRecorders"] + w.Calls()["sts:AssumeRole"] + w.Calls()["sts:GetCallerIdentity"]); got != attempts {
			t.Errorf("%d attempts were counted and %d arrived", attempts, got)
		}
		// 850 calls of which a fifth waits 40 ms, 32 side by side, take
		// a quarter of a second and the longest chain of waits.
		if took := time.Since(begin); took > 4*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestBackoffIsShortAndBounded(t *testing.T) {
	r := newRetryer()
	if r.MaxAttempts() != 8 {
		t.Errorf("%d attempts", r.MaxAttempts())
	}
	var most time.Duration
	for attempt, want := range []time.Duration{ // in milliseconds
		1: 50, 2: 100, 3: 200, 4: 400, 5: 800, 6: 1600, 7: 2000, 8: 2000, 60: 2000, 64: 2000, 100: 2000, 1000: 2000,
	} {
		if want *= time.Millisecond; want == 0 {
			continue
		}
		lo, hi := time.Hour, time.Duration(0)
		for range 200 {
			d, err := r.RetryDelay(attempt, errors.New("e"))
			if err != nil {
				t.Fatal(err)
			}
			lo, hi = min(lo, d), max(hi, d)
		}
		if lo < want/2 || hi > want {
			t.Errorf("attempt %d waits for %s to %s, want %s to %s", attempt, lo, hi, want/2, want)
		}
		if hi-lo < want/4 {
			t.Errorf("attempt %d always waits for about %s: many that were throttled together come back together", attempt, lo)
		}
		if attempt < r.MaxAttempts() {
			most += want
		}
	}
	if most > 6*time.Second {
		t.Errorf("a call may wait for %s in all", most)
	}
}

func TestACallThatIsAlwaysThrottledEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := demo(t)
		p := newPool(t, w.ManagementConfig("us-east-1"))
		w.SetFaults(sim.Faults{Errors: []sim.Fault{{Service: "config", Code: "ThrottlingException", Message: "Rate exceeded"}}})
		begin := time.Now()
		_, err := recorders(t.Context(), p, p.Home("us-east-1"))
		if code(err) != "ThrottlingException" {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took < 2*time.Second || took > 6*time.Second {
			t.Errorf("took %s", took)
		}
		if n := w.Calls()["config:DescribeConfigurationRecorders"]; n != 8 {
			t.Errorf("%d attempts, want 8", n)
		}
		if attempts, throttled := p.Traffic(); attempts != 9 || throttled != 8 {
			t.Errorf("%d attempts, %d throttled, want 9 and 8", attempts, throttled)
		}
	})
}

func TestWhatIsRetried(t *testing.T) {
	for _, tc := range []struct {
		service, code string
		retried       bool
	}{
		{"organizations", "ConcurrentModificationException", true},
		{"organizations", "PolicyChangesInProgressException", true},
		{"organizations", "TooManyRequestsException", true},
		{"config", "ThrottlingException", true},
		{"config", "Throttling", true},
		{"config", "RequestLimitExceeded", true},
		{"organizations", "AccessDeniedException", false},
		{"organizations", "AWSOrganizationsNotInUseException", false},
		{"organizations", "ConstraintViolationException", false},
		{"config", "AccessDeniedException", false},
		{"config", "AccessDenied", false},
		{"config", "UnrecognizedClientException", false},
		{"config", "NoSuchConfigurationRecorderException", false},
		{"config", "ValidationException", false},
	} {
		t.Run(tc.service+" "+tc.code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := demo(t)
				p := newPool(t, w.ManagementConfig("us-east-1"))
				w.SetFaults(sim.Faults{Errors: []sim.Fault{{Service: tc.service, Code: tc.code, Message: "m", Times: 2}}})
				op := "config:DescribeConfigurationRecorders"
				var err error
				if tc.service == "organizations" {
					op = "organizations:ListRoots"
					_, err = p.Organizations.ListRoots(t.Context(), &organizations.ListRootsInput{}, p.Home("us-east-1").Organizations)
				} else {
					_, err = recorders(t.Context(), p, p.Home("us-east-1"))
				}
				want, wantCode := 1, tc.code
				if tc.retried {
					want, wantCode = 3, ""
				}
				if n := w.Calls()[op]; n != want || code(err) != wantCode {
					t.Errorf("%d attempts, %v; want %d", n, err, want)
				}
				if n := p.Used()[op]; n != 1 {
					t.Errorf("a call with retries counts %d times", n)
				}
			})
		})
	}
}

func TestServerErrorsAreRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		p := newPool(t, wire{func(context.Context, string, string) (int, string) {
			switch n.Add(1) {
			case 1:
				return http.StatusServiceUnavailable, `{}`
			case 2:
				return http.StatusInternalServerError, `{"__type":"InternalFailure"}`
			}
			return http.StatusOK, `{}`
		}}.config())
		if _, err := recorders(t.Context(), p, p.Home("us-east-1")); err != nil || n.Load() != 3 {
			t.Errorf("%d attempts, %v", n.Load(), err)
		}
	})
}

// One place only, and one account throttled for as long as the other's call is
// not through: if the wait for the retry held the place, neither would end well.
func TestAWaitingRetryHoldsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var through atomic.Bool
		waiting := make(chan struct{})
		var once sync.Once
		p := newPool(t, wire{func(_ context.Context, account, _ string) (int, string) {
			if account == string(shopProd) && !through.Load() {
				once.Do(func() { close(waiting) })
				return http.StatusBadRequest, `{"__type":"ThrottlingException","message":"Rate exceeded"}`
			}
			return http.StatusOK, `{}`
		}}.config(), func(o *Options) { o.InFlight = 1 })
		var g sync.WaitGroup
		g.Go(func() {
			if _, err := recorders(t.Context(), p, p.In(partition, shopProd, "us-east-1")); err != nil {
				t.Errorf("the throttled call: %v", err)
			}
		})
		<-waiting
		synctest.Wait() // the throttled call is in its backoff
		begin := time.Now()
		if _, err := recorders(t.Context(), p, p.In(partition, legacyLab, "us-east-1")); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("the other call waited for %s", took)
		}
		through.Store(true)
		g.Wait()
		if _, throttled := p.Traffic(); throttled != 1 {
			t.Errorf("%d attempts were throttled, want 1", throttled)
		}
	})
}

func TestCancelEndsACallAtOnce(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options func(*Options)
		prepare func(*sim.World)
		before  func(context.Context, *Pool) // what is under way
	}{
		{"on the wire", nil, func(w *sim.World) { w.SetFaults(sim.Faults{Latency: time.Hour}) }, nil},
		{"waiting for its retry", nil, func(w *sim.World) {
			w.SetFaults(sim.Faults{Errors: []sim.Fault{{Code: "ThrottlingException"}}})
		}, nil},
		{"waiting for a place", func(o *Options) { o.InFlight = 1 }, func(w *sim.World) { w.SetFaults(sim.Faults{Latency: time.Hour}) }, func(ctx context.Context, p *Pool) {
			_, _ = p.Organizations.ListRoots(ctx, &organizations.ListRootsInput{}, p.Home("us-east-1").Organizations) // holds the only place to the end
		}},
		{"waiting for the API's rate", func(o *Options) { o.NoRateLimits = false }, func(*sim.World) {}, func(ctx context.Context, p *Pool) {
			for range 2 { // the bucket of ListRoots
				_, _ = p.Organizations.ListRoots(ctx, &organizations.ListRootsInput{}, p.Home("us-east-1").Organizations) // only to empty it
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := demo(t)
				p := newPool(t, w.ManagementConfig("us-east-1"), func(o *Options) {
					if tc.options != nil {
						tc.options(o)
					}
				})
				tc.prepare(w)
				ctx, cancel := context.WithCancel(t.Context())
				others, end := context.WithCancel(t.Context())
				var g, other sync.WaitGroup
				defer other.Wait()
				defer end()
				if tc.before != nil {
					other.Go(func() { tc.before(others, p) })
					synctest.Wait()
				}
				var err error
				ended := false
				begin := time.Now()
				g.Go(func() {
					_, err = p.Organizations.ListRoots(ctx, &organizations.ListRootsInput{}, p.Home("us-east-1").Organizations)
					ended = true
				})
				synctest.Wait()
				if ended {
					t.Fatalf("the call did not wait: %v", err)
				}
				cancel()
				g.Wait()
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(begin); took != 0 {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

func TestADeadlineThatTheRateCannotKeepEndsTheCallAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := demo(t)
		p := newPool(t, w.ManagementConfig("us-east-1"), func(o *Options) { o.NoRateLimits = false })
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // ListRoots: two, then one a second
		defer cancel()
		begin := time.Now()
		var err error
		for range 3 {
			_, err = p.Organizations.ListRoots(ctx, &organizations.ListRootsInput{}, p.Home("us-east-1").Organizations)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want an error that counts as a timeout", err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("waited for %s in vain", took)
		}
		if n := w.Calls()["organizations:ListRoots"]; n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
	})
}

// The SDK's retryer would share a budget of 500 among all calls, which 100 retries
// in a row use up.
func TestThrottlingInOneAccountLeavesOthersTheirRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := demo(t)
		p := newPool(t, w.ManagementConfig("us-east-1"))
		w.SetFaults(sim.Faults{Errors: []sim.Fault{
			{Service: "config", Account: string(shopProd), Code: "ThrottlingException", Message: "Rate exceeded"},
			{Service: "config", Account: string(legacyLab), Code: "ThrottlingException", Message: "Rate exceeded", Times: 3},
		}})
		out := orgs.ForEach(t.Context(), make([]int, 50), 50, func(ctx context.Context, _ int) ([]string, error) {
			return recorders(ctx, p, p.In(partition, shopProd, "us-east-1"))
		})
		for _, o := range out {
			if code(o.Err) != "ThrottlingException" {
				t.Errorf("got %v", o.Err)
			}
		}
		if n := w.Calls()["config:DescribeConfigurationRecorders"]; n != 50*8 {
			t.Errorf("%d attempts, want every call's 8", n)
		}
		if _, err := recorders(t.Context(), p, p.In(partition, legacyLab, "us-east-1")); err != nil {
			t.Errorf("the other account: %v", err)
		}
	})
}
