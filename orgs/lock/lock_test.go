package lock_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/orgguard/orgguard/orgs/lock"
	"github.com/orgguard/orgguard/orgs/sim"
)

func store(t *testing.T) (lock.Store, *ssm.Client) {
	t.Helper()
	s, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	w, err := sim.New(s)
	if err != nil {
		t.Fatal(err)
	}
	c := ssm.NewFromConfig(w.ManagementConfig("eu-west-1"))
	return lock.Store{API: c, At: func(*ssm.Options) {}}, c
}

var alice = lock.Holder{Who: "arn:aws:sts::1:assumed-role/a/alice", Command: "rollout", Host: "laptop", Since: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}

func TestOneOfManyGetsTheLock(t *testing.T) {
	s, _ := store(t)
	var wg sync.WaitGroup
	errs := make([]error, 20)
	for i := range errs {
		wg.Go(func() { _, errs[i] = s.Acquire(t.Context(), alice) })
	}
	wg.Wait()
	got := 0
	for _, err := range errs {
		var held *lock.HeldError
		switch {
		case err == nil:
			got++
		case !errors.As(err, &held) || held.Holder.Who != alice.Who:
			t.Errorf("%v", err)
		}
	}
	if got != 1 {
		t.Errorf("%d got it", got)
	}
}

func TestTheSecondIsToldWhoHoldsTheLockAndHowToBreakIt(t *testing.T) {
	s, _ := store(t)
	first, err := s.Acquire(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Acquire(t.Context(), lock.Holder{Who: "bob"})
	var held *lock.HeldError
	if !errors.As(err, &held) {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{first.ID, alice.Who, "laptop", "2026-11-22T12:00:00Z", "rollout"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if !strings.Contains(held.Hint(), "--break-lock "+first.ID) {
		t.Errorf("hint %q", held.Hint())
	}
	if err := s.Break(t.Context(), "00000000"); err == nil {
		t.Error("a lock of another id was broken")
	}
	if err := s.Break(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	second, err := s.Acquire(t.Context(), lock.Holder{Who: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	// Whose lock was broken does not let the other's go.
	if err := s.Release(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if h, err := s.Held(t.Context()); err != nil || h == nil || h.ID != second.ID {
		t.Errorf("held by %+v, %v", h, err)
	}
	if err := s.Release(t.Context(), second.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Break(t.Context(), second.ID); err != nil {
		t.Errorf("a lock that nobody holds: %v", err)
	}
}

func TestALockThatOrgguardDidNotWriteIsNotTouched(t *testing.T) {
	s, c := store(t)
	if _, err := c.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String(lock.Name), Value: aws.String("mine"), Type: "String"}); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"check": s.Check(t.Context()), "release": s.Release(t.Context(), "x"), "break": s.Break(t.Context(), "x")} {
		if err == nil || !strings.Contains(err.Error(), "did not write") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
