package access

import (
	"context"
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

// send sends calls through a gate, again when they are throttled.
func send(t *testing.T, g *gate, api *backend, calls, workers int) {
	t.Helper()
	for _, o := range orgs.ForEach(t.Context(), make([]struct{}, calls), workers, func(ctx context.Context, _ struct{}) (int, error) {
		for status := 0; status != http.StatusOK; {
			if err := g.enter(ctx); err != nil {
				return 0, err
			}
			begin := time.Now()
			status = api.answer(ctx)
			g.leave(time.Now(), time.Since(begin), status == http.StatusOK)
		}
		return 0, nil
	}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
}

// backend is an API with a latency and, if it has one, a rate: what is over it
// waits, as behind a busy processor.
type backend struct {
	latency time.Duration
	every   time.Duration // between two answers; 0 for none
	fifth   bool          // every fifth call is throttled

	mu      sync.Mutex
	free    time.Time // when the next answer can be begun
	now     atomic.Int64
	calls   atomic.Int64
	highest atomic.Int64 // most requests at once
}

func (s *backend) answer(ctx context.Context) (status int) {
	s.highest.Store(max(s.highest.Load(), s.now.Add(1)))
	defer s.now.Add(-1)
	if s.fifth && s.calls.Add(1)%5 == 0 {
		return http.StatusTooManyRequests
	}
	wait := s.latency
	if s.every > 0 {
		s.mu.Lock()
		at := time.Now()
		if s.free.Before(at) {
			s.free = at
		}
		s.free = s.free.Add(s.every)
		wait += s.free.Sub(at)
		s.mu.Unlock()
	}
	if err := orgs.Pause(ctx, wait); err != nil {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

func TestHowManyAreLetIn(t *testing.T) {
	for _, tc := range []struct {
		name         string
		api          *backend
		most         int
		calls        int
		least, limit int // where the limit must be in the end
	}{
		{"an API without limits gets all that is allowed", &backend{latency: 40 * time.Millisecond}, 512, 20_000, 512, 512},
		{"the cap holds", &backend{latency: 40 * time.Millisecond}, 100, 5_000, 100, 100},
		{"a cap below the beginning holds", &backend{latency: 40 * time.Millisecond}, 10, 1_000, 10, 10},
		// 2,000 a second × 40 ms keep 80 busy: more only queue up.
		{"throttled accounts do not slow the others", &backend{latency: 40 * time.Millisecond, fifth: true}, 256, 10_000, 256, 256},
		{"a machine that is at its limit is not flooded", &backend{latency: 40 * time.Millisecond, every: 500 * time.Microsecond}, 1024, 60_000, fewPlaces, 450},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate(tc.most)
				send(t, g, tc.api, tc.calls, 2*tc.most)
				if got := g.limit; got < tc.least || got > tc.limit {
					t.Errorf("the limit is %d, want %d to %d", got, tc.least, tc.limit)
				}
				if got := tc.api.highest.Load(); got > int64(tc.most) {
					t.Errorf("%d were on the wire at once, the cap is %d", got, tc.most)
				}
			})
		})
	}
}

func TestPlacesThatWereTakenBackAreTakenBack(t *testing.T) {
	g := newGate(128)
	for range 64 {
		if err := g.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	g.set(32) // while 64 are inside
	now := time.Now()
	inside := 64
	for ; inside > 31; inside-- {
		g.leave(now, time.Millisecond, true)
	}
	if !g.places.TryAcquire(1) {
		t.Error("31 inside, and a 32nd is not let in")
	}
	if g.places.TryAcquire(1) {
		t.Error("33 were let in")
	}
	g.set(40)
	n := 0
	for g.places.TryAcquire(1) {
		n++
	}
	if n != 8 {
		t.Errorf("%d more were let in, want 8", n)
	}
}

func TestAnEndpointThatThrottlesHasRatesAfterAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := demo(t)
		p := newPool(t, w.ManagementConfig("us-east-1"))
		ask := func(n int) time.Duration {
			begin := time.Now()
			for range n {
				if _, err := listRoots(t.Context(), p); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(begin)
		}
		if took := ask(20); took > time.Second {
			t.Errorf("took %s without rates", took)
		}
		throttleOnce(w)
		ask(1)
		if took := ask(20); took < 10*time.Second { // one a second
			t.Errorf("took %s although the endpoint throttles", took)
		}
	})
}

func listRoots(ctx context.Context, p *Pool) (*organizations.ListRootsOutput, error) {
	return p.Organizations.ListRoots(ctx, &organizations.ListRootsInput{}, p.Home("us-east-1").Organizations)
}

func throttleOnce(w *sim.World) {
	w.SetFaults(sim.Faults{Errors: []sim.Fault{{Service: "organizations", Code: "TooManyRequestsException", Message: "m", Times: 1}}})
}
