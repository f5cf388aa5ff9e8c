package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/orgguard/orgguard/baseline/schedule"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/reports"
)

// serve is audit --every.
func serve(ctx context.Context, g globals, st streams, every, listen string, o auditOptions, once func(context.Context) (*reports.Audit, error)) error {
	switch {
	case every == "":
		return usage("--listen goes with --every")
	case o.shard.of > 0:
		return usage("--every audits everything again and again: it takes no --shard")
	case !o.at.IsZero():
		return usage("--every takes the time of each run: give no --generated-at")
	}
	v, err := schedule.ParseInterval(every)
	if err != nil {
		return badInput(fmt.Errorf("--%w", err))
	}
	say := (&session{globals: g, streams: st}).note
	s := newService(v, once, say)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if listen != "" {
		addr, err := s.listen(ctx, listen)
		if err != nil {
			return err
		}
		say("/healthz and /metrics on http://%s", addr)
	}
	return s.loop(ctx)
}

// service is an audit that runs again and again in one process.
type service struct {
	every schedule.Interval
	// run makes one audit and delivers it. The report is nil when there is none.
	run func(context.Context) (*reports.Audit, error)
	// say tells people what happens.
	say func(format string, args ...any)
	// jitter takes a little time off a pause, so that services which were
	// started together do not stay together.
	jitter func(time.Duration) time.Duration

	mu    sync.Mutex
	last  time.Time // end of the last run that made a report
	begun time.Time // of the service

	metrics *serviceMetrics
}

func newService(v schedule.Interval, run func(context.Context) (*reports.Audit, error), say func(string, ...any)) *service {
	return &service{every: v, run: run, say: say, metrics: newServiceMetrics(), jitter: func(d time.Duration) time.Duration {
		return rand.N(d/10 + 1) //nolint:gosec // jitter needs no secrecy
	}}
}

// loop audits until ctx ends: at once, and then every interval counted from the
// beginning of a run. A run that takes longer than the interval is followed by the
// next one at its end: two never overlap. A run that fails is told and counted, and
// does not end the service.
func (s *service) loop(ctx context.Context) error {
	s.mu.Lock()
	s.begun = time.Now()
	s.mu.Unlock()
	for {
		began := time.Now()
		s.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		pause := time.Until(began.Add(s.every.Duration()))
		pause = max(0, pause-s.jitter(s.every.Duration()))
		s.say("next audit in %s", pause.Round(time.Second))
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			s.say("asked to stop: done")
			return nil
		case <-timer.C:
		}
	}
}

// once makes one audit. When the service is asked to stop meanwhile, the audit
// ends with what it knows.
func (s *service) once(ctx context.Context) {
	began := time.Now()
	a, err := s.run(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	took := time.Since(began)
	if a != nil && !a.Interrupted {
		s.last = time.Now()
	}
	code, err := codeOf(err)
	s.metrics.note(a, code, err, took)
	if err != nil {
		s.say("this audit did not come to its end: %v", err)
	}
}

// codeOf separates the exit code of what an audit found from an error.
func codeOf(err error) (int, error) {
	var status *exitError
	if errors.As(err, &status) && status.err == nil {
		return status.code, nil
	}
	return exitOK, err
}

// healthy says why the service is not well; nil while it is: an audit came to its
// end within the last two intervals, or has not had the time to.
func (s *service) healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := s.last
	if since.IsZero() {
		since = s.begun
	}
	if late := time.Since(since); late > 2*s.every.Duration() {
		return fmt.Errorf("no audit came to its end for %s", late.Round(time.Second))
	}
	return nil
}

// listen serves /healthz and /metrics on a loopback address until ctx ends.
func (s *service) listen(ctx context.Context, addr string) (net.Addr, error) {
	if err := loopback(addr); err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, badInput(fmt.Errorf("--listen: %w", err))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := s.healthy(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.say("--listen %s: %v", addr, err)
		}
	}()
	return l.Addr(), nil
}

// loopback refuses an address that others could reach: what is served names
// accounts' states and asks for no password.
func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return usage("--listen %s: want an address such as 127.0.0.1:9464", addr)
	}
	if !ownMachine(host) {
		return usage("--listen %s: only a loopback address, such as 127.0.0.1:9464; put a proxy that asks for credentials before it", addr)
	}
	return nil
}

// ownMachine says whether a host is this machine.
func ownMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// serviceMetrics is what Prometheus may ask for.
// https://prometheus.io/docs/practices/naming/
type serviceMetrics struct {
	registry *prometheus.Registry
	findings *prometheus.GaugeVec
	drift    *prometheus.GaugeVec
	accounts prometheus.Gauge
	lastRun  prometheus.Gauge
	lastGood prometheus.Gauge
	duration prometheus.Gauge
	runs     *prometheus.CounterVec
}

func newServiceMetrics() *serviceMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "orgguard", Name: name, Help: help})
	}
	m := &serviceMetrics{
		registry: prometheus.NewRegistry(),
		findings: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "orgguard", Name: "findings", Help: "Findings of the last audit by status."}, []string{"status"}),
		drift:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "orgguard", Name: "drift", Help: "Drift found by the last audit by control and severity."}, []string{"control", "severity"}),
		accounts: gauge("accounts", "Accounts that the last audit was about."),
		lastRun:  gauge("last_audit_timestamp_seconds", "End of the last audit, whatever came of it."),
		lastGood: gauge("last_complete_audit_timestamp_seconds", "End of the last audit that looked at everything."),
		duration: gauge("audit_duration_seconds", "Time that the last audit took."),
		runs:     prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "orgguard", Name: "audits_total", Help: "Audits by what came of them."}, []string{"result"}),
	}
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "orgguard", Name: "build_info", Help: "The version that runs."}, []string{"version"})
	info.WithLabelValues(version).Set(1)
	m.registry.MustRegister(m.findings, m.drift, m.accounts, m.lastRun, m.lastGood, m.duration, m.runs, info)
	for _, r := range []string{"clean", "drift", "incomplete", "failed"} {
		m.runs.WithLabelValues(r) // so that a rate can be told from nothing
	}
	return m
}

// note writes down what came of an audit.
func (m *serviceMetrics) note(a *reports.Audit, code int, err error, took time.Duration) {
	now := float64(time.Now().Unix())
	m.lastRun.Set(now)
	m.duration.Set(took.Seconds())
	if a == nil || err != nil {
		m.runs.WithLabelValues("failed").Inc()
	}
	if a == nil {
		return
	}
	if err == nil {
		switch code {
		case exitOK:
			m.runs.WithLabelValues("clean").Inc()
			m.lastGood.Set(now)
		case exitDrift:
			m.runs.WithLabelValues("drift").Inc()
			m.lastGood.Set(now)
		default:
			m.runs.WithLabelValues("incomplete").Inc()
		}
	}
	m.accounts.Set(float64(a.Organization.Accounts))
	for _, s := range finding.Statuses {
		m.findings.WithLabelValues(string(s)).Set(float64(a.Summary.Of(s)))
	}
	m.drift.Reset()
	for _, f := range a.Findings {
		if f.Status == finding.Drift {
			m.drift.WithLabelValues(f.Control, string(f.Severity)).Inc()
		}
	}
}
