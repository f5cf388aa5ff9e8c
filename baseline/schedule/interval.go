package schedule

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// Interval is the time between two audits: one of Intervals, so that every engine
// can say it, whatever its way of writing schedules.
type Interval time.Duration

// Intervals are those that a line of cron can say.
var Intervals = []Interval{
	Interval(15 * time.Minute), Interval(20 * time.Minute), Interval(30 * time.Minute),
	Interval(1 * time.Hour), Interval(2 * time.Hour), Interval(3 * time.Hour), Interval(4 * time.Hour),
	Interval(6 * time.Hour), Interval(8 * time.Hour), Interval(12 * time.Hour), Interval(24 * time.Hour), Interval(7 * 24 * time.Hour),
}

// ParseInterval reads an interval such as "30m", "6h", "1d" or "7d".
func ParseInterval(text string) (Interval, error) {
	s := text
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n := strings.Trim(days, "0123456789"); n == "" && len(days) > 0 && len(days) < 3 {
			var d int
			if _, err := fmt.Sscan(days, &d); err == nil {
				s = fmt.Sprintf("%dh", 24*d)
			}
		}
	}
	if d, err := time.ParseDuration(s); err == nil && slices.Contains(Intervals, Interval(d)) {
		return Interval(d), nil
	}
	names := make([]string, len(Intervals))
	for i, v := range Intervals {
		names[i] = v.String()
	}
	return 0, fmt.Errorf("every %q: want one of %s", text, strings.Join(names, ", "))
}

// String is the interval as ParseInterval reads it.
func (v Interval) String() string {
	switch d := time.Duration(v); {
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
}

// Duration is the interval as time.
func (v Interval) Duration() time.Duration { return time.Duration(v) }

// Spread is a minute of the hour, the same every time for the same name. Audits
// that all begin on the hour would meet at the APIs, and at the CI systems.
func Spread(name string) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32() % 60)
}

// Cron is the interval in cron's five fields, beginning at a minute of the hour,
// in UTC.
func (v Interval) Cron(minute int) string {
	d := time.Duration(v)
	hour := minute % 24 // days begin at an hour that is as arbitrary
	switch {
	case d < time.Hour:
		step := int(d / time.Minute)
		var at []string
		for m := minute % step; m < 60; m += step {
			at = append(at, fmt.Sprint(m))
		}
		return strings.Join(at, ",") + " * * * *"
	case d == time.Hour:
		return fmt.Sprintf("%d * * * *", minute)
	case d < 24*time.Hour:
		step := int(d / time.Hour)
		var at []string
		for h := hour % step; h < 24; h += step {
			at = append(at, fmt.Sprint(h))
		}
		return fmt.Sprintf("%d %s * * *", minute, strings.Join(at, ","))
	case d == 24*time.Hour:
		return fmt.Sprintf("%d %d * * *", minute, hour)
	default:
		return fmt.Sprintf("%d %d * * 1", minute, hour)
	}
}

// Rate is the interval as EventBridge Scheduler writes it.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
func (v Interval) Rate() string {
	n, unit := int(time.Duration(v)/time.Minute), "minute"
	switch {
	case n%(24*60) == 0:
		n, unit = n/(24*60), "day"
	case n%60 == 0:
		n, unit = n/60, "hour"
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("rate(%d %s)", n, unit)
}
