package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orgguard/orgguard/baseline/schedule"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/reports"
)

const hour = schedule.Interval(time.Hour)

func quiet(string, ...any) {}

func TestAuditsAreAnIntervalApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var began []time.Duration
		start := time.Now()
		takes := []time.Duration{10 * time.Minute, 90 * time.Minute, 0, 5 * time.Minute}
		s := newService(hour, func(context.Context) (*reports.Audit, error) {
			began = append(began, time.Since(start))
			if len(began) > len(takes) {
				stop()
				return nil, nil
			}
			time.Sleep(takes[len(began)-1])
			return &reports.Audit{}, nil
		}, quiet)
		s.jitter = func(time.Duration) time.Duration { return 0 }
		if err := s.loop(ctx); err != nil {
			t.Fatal(err)
		}
		// The second run takes longer than the interval: the third begins at its
		// end, and never beside it.
		want := []time.Duration{0, time.Hour, 150 * time.Minute, 210 * time.Minute, 270 * time.Minute}
		if fmt.Sprint(began) != fmt.Sprint(want) {
			t.Errorf("began at %v; want %v", began, want)
		}
	})
}

func TestJitterOnlyShortensAPause(t *testing.T) {
	s := newService(hour, nil, quiet)
	seen := map[time.Duration]bool{}
	for range 100 {
		d := s.jitter(time.Hour)
		if d < 0 || d > 6*time.Minute {
			t.Fatalf("jitter of %s", d)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Error("the jitter is hardly any")
	}
}

func TestAServiceOutlivesAuditsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		n, said := 0, ""
		s := newService(hour, func(context.Context) (*reports.Audit, error) {
			if n++; n == 3 {
				stop()
			}
			return nil, errors.New("STS is not there")
		}, func(format string, args ...any) { said += fmt.Sprintf(format, args...) + "\n" })
		if err := s.loop(ctx); err != nil || n != 3 {
			t.Fatalf("%d runs, %v", n, err)
		}
		if strings.Count(said, "STS is not there") != 3 {
			t.Errorf("said %q", said)
		}
	})
}

func TestAServiceStopsBetweenAudits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 30*time.Minute)
		defer stop()
		n := 0
		s := newService(hour, func(context.Context) (*reports.Audit, error) { n++; return &reports.Audit{}, nil }, quiet)
		begun := time.Now()
		if err := s.loop(ctx); err != nil || n != 1 || time.Since(begun) != 30*time.Minute {
			t.Errorf("%d runs in %s, %v", n, time.Since(begun), err)
		}
	})
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(hour, func(context.Context) (*reports.Audit, error) { return &reports.Audit{}, nil }, quiet)
		s.begun = time.Now()
		check := func(want bool, what string) {
			t.Helper()
			if err := s.healthy(); (err == nil) != want {
				t.Errorf("%s: %v", what, err)
			}
		}
		check(true, "before the first audit")
		time.Sleep(121 * time.Minute)
		check(false, "when the first audit hangs")
		s.once(t.Context())
		check(true, "after an audit")
		time.Sleep(119 * time.Minute)
		check(true, "one interval late")
		time.Sleep(2 * time.Minute)
		check(false, "two intervals late")
		s.run = func(context.Context) (*reports.Audit, error) { return &reports.Audit{Interrupted: true}, nil }
		s.once(t.Context())
		check(false, "an audit that was interrupted is none")
	})
}

func TestWhatIsServed(t *testing.T) {
	drifted := reports.Audit{
		Organization: reports.Organization{Accounts: 14}, Summary: finding.Summary{Drift: 2, InSync: 7},
		Findings: []finding.Finding{
			{Control: "config-recorder", Severity: finding.High, Status: finding.Drift}, {Control: "config-recorder", Severity: finding.High, Status: finding.Drift},
			{Control: "evil\"}\n", Severity: finding.Low, Status: finding.Drift},
		},
	}
	s := newService(hour, func(context.Context) (*reports.Audit, error) { return &drifted, status(exitDrift) }, quiet)
	s.begun = time.Now() // before anything is served
	ctx, stop := context.WithCancel(t.Context())
	addr, err := s.listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.once(ctx)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		t.Helper()
		r, err := client.Get("http://" + addr.String() + path) //nolint:noctx // a test's own server
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(b)
	}
	if code, body := get("/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("/healthz: %d %q", code, body)
	}
	code, body := get("/metrics")
	for _, line := range []string{
		`orgguard_findings{status="drift"} 2`, `orgguard_findings{status="in_sync"} 7`, `orgguard_drift{control="config-recorder",severity="high"} 2`,
		`orgguard_drift{control="evil\"}\n",severity="low"} 1`, `orgguard_audits_total{result="drift"} 1`, `orgguard_audits_total{result="failed"} 0`, `orgguard_accounts 14`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("/metrics (%d) has no line %s:\n%s", code, line, body)
		}
	}
	if code, _ := get("/"); code != 404 {
		t.Errorf("/: %d", code)
	}
	stop()
}

func TestOnlyLoopbackIsServed(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:9464": true, "localhost:0": true, "[::1]:9464": true, "127.8.9.1:1": true,
		"0.0.0.0:9464": false, ":9464": false, "192.0.2.1:80": false, "9464": false, "[::]:9464": false, "example.com:80": false, "": false,
	} {
		if err := loopback(addr); (err == nil) != ok {
			t.Errorf("%q: %v", addr, err)
		}
	}
}
