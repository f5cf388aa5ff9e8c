package schedule

import (
	"testing"
	"time"
)

func TestNextIsOneIntervalAfterTheLast(t *testing.T) {
	for _, v := range Intervals {
		j := Job{Every: v, Minute: 44}
		at, err := Next(j.SchedulerCron(), time.Date(2026, 1, 31, 22, 30, 0, 0, time.UTC))
		if err != nil {
			t.Fatalf("%s: %v", v, err)
		}
		next, err := Next(j.SchedulerCron(), at)
		if err != nil || next.Sub(at) != v.Duration() || at.Minute()%15 != 44%15 {
			t.Errorf("%s: %s and then %s, %v", v, at, next, err)
		}
	}
	for _, bad := range []string{"", "rate(6 hours)", "cron(1 2 3)", "cron(* * * * ? 2027)", "cron(99 * * * ? *)"} {
		if at, err := Next(bad, time.Now()); err == nil {
			t.Errorf("%q begins at %s", bad, at)
		}
	}
}
