package stub

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/smithy-go"

	"github.com/orgguard/orgguard/orgs/sim"
)

// Options describe the organization and how its endpoint behaves.
type Options struct {
	// Management, Security and Model are accounts of the world: Model is the
	// member that all others are like.
	Management, Security, Model string
	// Accounts is how many the organization has, those three included.
	Accounts int
	// Denied members do not let the access role in; Suspended members are
	// suspended. Both are the last of the members.
	Denied, Suspended int
	// Latency is how long every answer takes.
	Latency time.Duration
	// Throttle is the share of calls that are answered with a throttling
	// error, from 0 to 1, whatever the rates say.
	Throttle float64
	// Rates keeps the published rates of each account × Region × service.
	Rates bool
}

// Stub is the endpoint. It is an http.Handler.
type Stub struct {
	opts  Options
	world *sim.World
	rates *buckets
	model modelAccount

	answers sync.Map // by account's class, service, Region, operation and input: *prepared

	mu    sync.Mutex
	stats Stats
	dials atomic.Int64
}

// Stats is what the endpoint has seen since it was started or Reset.
type Stats struct {
	Calls     map[string]int64 `json:"calls"` // by action, throttled ones included
	Total     int64            `json:"total"`
	Throttled int64            `json:"throttled"`
	Failed    int64            `json:"failed"` // answered with another error
	Received  int64            `json:"received_bytes"`
	Sent      int64            `json:"sent_bytes"`
	Dials     int64            `json:"dials"` // connections opened
}

// New puts a wire in front of a world that has been rolled out.
func New(ctx context.Context, w *sim.World, o Options) (*Stub, error) {
	s := &Stub{opts: o, world: w, rates: newBuckets(), stats: Stats{Calls: map[string]int64{}}}
	if err := s.readModel(ctx); err != nil {
		return nil, err
	}
	if o.Accounts < 3 || o.Denied+o.Suspended > o.Accounts-3 {
		return nil, fmt.Errorf("%d accounts are not enough: three are the world's, %d denied, %d suspended", o.Accounts, o.Denied, o.Suspended)
	}
	return s, nil
}

// Stats returns what was seen.
func (s *Stub) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Calls = map[string]int64{}
	for k, n := range s.stats.Calls {
		out.Calls[k] = n
	}
	out.Dials = s.dials.Load()
	return out
}

// Reset counts from nothing again.
func (s *Stub) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats = Stats{Calls: map[string]int64{}}
	s.dials.Store(0)
}

// StatsPath gives the Stats as JSON; no bucket can be called so.
const StatsPath = "/_stub/stats"

// Serve answers on l until ctx ends.
func (s *Stub) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.dials.Add(1)
		}
	}}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		err := srv.Close()
		<-done //nolint:errcheck // it says that the server was closed
		return err
	}
}

// ServeHTTP answers one call.
func (s *Stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == StatsPath {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Stats()) // whoever asked is gone
		return
	}
	begin := time.Now()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	q, err := readRequest(r, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a := s.answer(r.Context(), begin, q)
	if wait := s.opts.Latency - time.Since(begin); wait > 0 {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-r.Context().Done():
			t.Stop()
			return
		}
	}
	h := w.Header()
	h["Content-Type"] = []string{a.kind}
	h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	h["X-Amzn-Requestid"] = []string{"stub"}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a caller that is gone needs no answer
	s.count(q, len(body), a)
}

func (s *Stub) count(q request, received int, a answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Calls[sim.ActionPrefix(q.service.id)+":"+q.operation]++
	s.stats.Total++
	s.stats.Received += int64(received)
	s.stats.Sent += int64(len(a.body))
	if a.status != http.StatusOK {
		if bytes.Contains(a.body, []byte(q.service.throttled)) {
			s.stats.Throttled++
		} else {
			s.stats.Failed++
		}
	}
}

// answer works out what to say.
func (s *Stub) answer(ctx context.Context, now time.Time, q request) answer {
	prefix := sim.ActionPrefix(q.service.id)
	if s.opts.Throttle > 0 && rand.Float64() < s.opts.Throttle || //nolint:gosec // lots, not secrets
		s.opts.Rates && !s.rates.take(now, q.account, q.region, prefix, q.operation) {
		return q.service.failure(&smithy.GenericAPIError{Code: q.service.throttled, Message: "Rate exceeded"})
	}
	if a, ok, err := s.generated(ctx, q); ok || err != nil {
		if err != nil {
			return q.service.failure(err)
		}
		return a
	}
	class := q.account
	if s.isMember(q.account) && q.account != s.opts.Model {
		class = s.opts.Model
		if own := []byte(q.account); bytes.Contains(q.body, own) { // a member may name itself in what it asks
			q.body = bytes.ReplaceAll(q.body, own, []byte(class))
			for _, values := range q.form {
				for i := range values {
					values[i] = strings.ReplaceAll(values[i], q.account, class)
				}
			}
		}
	}
	key := strings.Join([]string{class, q.service.id, q.region, q.operation, q.bucket, string(q.body)}, "\x00")
	p, ok := s.answers.Load(key)
	if !ok {
		p = s.prepare(ctx, q, class)
		s.answers.Store(key, p)
	}
	return p.(*prepared).about(q.account)
}

// prepared is an answer with gaps for the account's number.
type prepared struct {
	status int
	kind   string
	pieces [][]byte
}

func (p *prepared) about(account string) answer {
	if len(p.pieces) == 1 {
		return answer{p.status, p.kind, p.pieces[0]}
	}
	return answer{p.status, p.kind, bytes.Join(p.pieces, []byte(account))}
}

// prepare asks the world, as class.
func (s *Stub) prepare(ctx context.Context, q request, class string) *prepared {
	a, err := s.ask(ctx, class, q)
	if err != nil {
		a = q.service.failure(err)
	}
	return &prepared{a.status, a.kind, bytes.Split(a.body, []byte(class))}
}

func (s *Stub) ask(ctx context.Context, account string, q request) (answer, error) {
	out, err := s.world.Ask(context.WithoutCancel(ctx), account, q.region, q.service.id, q.operation, q.decode)
	if err != nil {
		return answer{}, err
	}
	return q.success(out)
}
