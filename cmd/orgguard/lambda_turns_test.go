package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgguard/orgguard/orgs/sim"
)

func TestTurns(t *testing.T) {
	start := time.Date(2027, 3, 31, 12, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	var now turns
	fresh := func() { now = turns{Audited: map[string]time.Time{}} }
	take := func(owner string, s int) string { return strings.Join(now.take(owner, at(s), at(s+900)), ",") }
	told := func(accounts string, happened, s int) {
		now.told(strings.Split(accounts, ","), at(happened).Add(settleTime), at(s))
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: audits %q, want %q", what, got, want)
		}
	}

	fresh()
	told("b", 0, 10)
	want("the first one told", take("1", 10), "b")
	told("b", 1, 11)
	want("told what the one at work sees", take("2", 11), "")
	told("b,a", 9, 12)
	want("told what the one at work may have missed", take("3", 12), "")
	now.done("1", []string{"b"}, nil)
	want("the one at work, when it is done", take("1", 40), "a,b")
	now.done("1", []string{"a", "b"}, nil)
	told("a", 34, 41)
	want("late for what was audited", take("4", 41), "")
	told("a", 36, 42)
	want("what happened while it was audited", take("4", 42), "a")

	fresh()
	told("a,b", 0, 1)
	want("one that dies", take("1", 1), "a,b")
	told("c", 10, 10)
	want("another one, while it may be at work", take("2", 10), "")
	want("the same one, tried again", take("1", 60), "a,b,c")
	want("another one, after its time", take("3", 961), "a,b,c")
	now.done("1", []string{"a", "b", "c"}, nil)
	if now.Running == nil || now.Running.Owner != "3" || len(now.Audited) > 0 {
		t.Errorf("one that came back late ended the turn of another: %+v", now)
	}
	now.done("3", []string{"a"}, []string{"b"})
	want("what could not be audited", take("4", 1000), "b")

	fresh()
	for i := range 250 {
		told(fmt.Sprintf("%012d", i), 0, 1)
	}
	var sizes []int
	for s := 1; ; s++ {
		mine := now.take("1", at(s), at(900))
		if len(mine) == 0 {
			break
		}
		sizes = append(sizes, len(mine))
		now.done("1", mine, nil)
	}
	if !slices.Equal(sizes, []int{100, 100, 50}) {
		t.Errorf("a mistake in 250 accounts is audited in %v", sizes)
	}
	now.take("1", at(1).Add(turnMemory+time.Minute), at(900))
	if len(now.Audited) > 0 {
		t.Errorf("%d audits are remembered for ever", len(now.Audited))
	}
}

// A burst of events of some accounts is one audit and perhaps a second one, and a bad
// account does not keep the others from being audited.
func TestABurstOfEventsIsFewAudits(t *testing.T) {
	sh := newShell(t)
	sh.put("org-state", "orgguard.yaml", "version: 1\n")
	var names []string
	var audits [][]string
	sh.world(func(w *sim.World) {
		f := &function{globals: globals{quiet: true, within: &within{w, w.RolePrincipal("100000000001", "OrgAdmin", "orgguard")}}, state: "s3://org-state/orgguard", margin: time.Second}
		var event func(account string, after time.Time) (done, error)
		inner := 0
		audit := func(_ context.Context, accounts []string) (done, error) {
			audits = append(audits, slices.Clone(accounts))
			if slices.Contains(accounts, "999999999999") {
				return done{}, &BadConfiguration{"no account 999999999999"}
			}
			for ; inner < 50; inner++ { // while it works, more happens
				d, err := event(names[inner%2], time.Now().Add(time.Minute))
				if err != nil || d.Skipped == "" {
					t.Errorf("an event while an audit is at work: %+v %v", d, err)
				}
			}
			return done{Accounts: len(accounts), Drift: 1}, nil
		}
		event = func(account string, after time.Time) (done, error) {
			return f.inTurn(t.Context(), job{Orgguard: jobAudit, Accounts: []string{account}, After: after.UTC().Format(time.RFC3339)}, audit)
		}
		names = []string{"300000000001", "300000000002"}
		d, err := event(names[0], time.Now())
		if err != nil || d.Audits != 2 || d.Accounts != 3 || d.Skipped != "" {
			t.Errorf("%+v %v", d, err)
		}
		if len(audits) != 2 || !slices.Equal(audits[0], names[:1]) || !slices.Equal(audits[1], names) {
			t.Errorf("51 events are the audits %v", audits)
		}
		// Late news of long ago.
		if d, err := event(names[1], time.Now().Add(-time.Hour)); err != nil || d.Skipped == "" || len(audits) != 2 {
			t.Errorf("%+v %v, %v", d, err, audits)
		}
		// A bad one among others.
		audits = nil
		d, err = f.inTurn(t.Context(), job{Orgguard: jobAudit, Accounts: []string{"999999999999", names[0]}, After: time.Now().Add(time.Minute).UTC().Format(time.RFC3339)}, audit)
		var bad *BadConfiguration
		if !errors.As(err, &bad) || len(audits) != 3 {
			t.Errorf("%+v %v, %v", d, err, audits)
		}
		if d, err := event(names[1], time.Now().Add(time.Minute)); err != nil || d.Accounts != 1 {
			t.Errorf("the bad one is in the way: %+v %v, %v", d, err, audits)
		}
	})
}

// Somebody tampers with accounts in which nothing of the baseline holds: nobody is told
// that all is well there, and the log says why nothing was looked at.
func TestAnAccountInWhichNothingHoldsBeginsNoAudit(t *testing.T) {
	sh := newShell(t)
	sh.put("org-state", "orgguard.yaml", `version: 1
home_region: ap-northeast-1
regions: [ap-northeast-1]
alerts: {email: [a@example.com]}
organization: {exclude: [{ou: Sandbox, reason: "for trying\nthings"}, {account: "300000000003", reason: belongs to another company}]}
`)
	sh.world(func(w *sim.World) {
		var log strings.Builder
		f := &function{
			globals: globals{config: "s3://org-state/orgguard.yaml", configGiven: true, concurrency: 8, quiet: true, within: &within{w, w.RolePrincipal("100000000001", "OrgAdmin", "orgguard")}},
			streams: streams{out: io.Discard, err: io.Discard}, state: "s3://org-state/orgguard", margin: time.Second, log: &log,
		}
		event := func(accounts ...string) done {
			t.Helper()
			text := `{"orgguard":"audit","accounts":["` + strings.Join(accounts, `","`) + `"],"after":"` + time.Now().Add(time.Minute).UTC().Format(time.RFC3339) + `"}`
			d, err := f.handle(t.Context(), []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		s := &session{globals: f.globals, streams: f.streams, now: time.Now}
		objects, err := s.bucketAt(t.Context(), f.state)
		if err != nil {
			t.Fatal(err)
		}
		kept := func() (n int) {
			t.Helper()
			names, err := objects.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if strings.Contains(name, "history") {
					n++
				}
			}
			return n
		}
		for account, why := range map[string]string{
			"300000000003": "no audit of account 300000000003 (data-prod), in which something happened: excluded by the configuration: belongs to another company\n",
			"500000000001": `excluded by the configuration: for trying`,
			"900000000001": "no audit of account 900000000001 (old-project), in which something happened: the account is SUSPENDED\n",
		} {
			log.Reset()
			if d := event(account); d.Audits != 0 || d.Accounts != 0 || d.Skipped == "" || strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), why) {
				t.Errorf("%s: %+v, and the log says %q", account, d, log.String())
			}
		}
		if n := kept(); n > 0 {
			t.Errorf("the history has %d objects of audits of nothing", n)
		}
		// Among others it is left out, and they are audited.
		log.Reset()
		if d := event("900000000001", "300000000002"); d.Audits != 1 || d.Accounts != 1 || d.Skipped != "" || !strings.Contains(log.String(), "900000000001") {
			t.Errorf("beside another one: %+v, and the log says %q", d, log.String())
		}
		if kept() == 0 {
			t.Error("the audit of the other one is not in the history")
		}
		// Whoever names it himself sees what it is.
		log.Reset()
		if d, err := f.handle(t.Context(), []byte(`{"orgguard":"audit","accounts":["300000000003"]}`)); err != nil || d.Accounts != 1 || log.String() != "" {
			t.Errorf("asked for by hand: %+v %v %q", d, err, log.String())
		}
	})
}
