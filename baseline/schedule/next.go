package schedule

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Next is when a schedule of EventBridge Scheduler begins its next run after a time:
// one of those that SchedulerCron writes, in UTC.
func Next(expression string, after time.Time) (time.Time, error) {
	inner, ok := strings.CutPrefix(expression, "cron(")
	f := strings.Fields(strings.TrimSuffix(inner, ")"))
	if !ok || len(f) != 6 || f[5] != "*" {
		return time.Time{}, fmt.Errorf("schedule %q: want cron(…) of every year", expression)
	}
	for i := range f {
		if f[i] == "?" {
			f[i] = "*"
		}
	}
	if f[4] == "2" { // days of the week count from Sunday, 1
		f[4] = "1"
	}
	s, err := cron.ParseStandard(strings.Join(f[:5], " "))
	if err != nil {
		return time.Time{}, fmt.Errorf("schedule %q: %w", expression, err)
	}
	return s.Next(after.UTC()), nil
}
