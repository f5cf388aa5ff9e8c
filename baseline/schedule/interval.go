package schedule

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
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
	if days, ok := strings.CutSuffix(text, "d"); ok && len(days) < 3 {
		if d, err := strconv.ParseUint(days, 10, 8); err == nil {
			s = fmt.Sprintf("%dh", 24*d)
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
		return every(int(d/time.Minute), minute, 60) + " * * * *"
	case d == time.Hour:
		return fmt.Sprintf("%d * * * *", minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d %s * * *", minute, every(int(d/time.Hour), hour, 24))
	case d == 24*time.Hour:
		return fmt.Sprintf("%d %d * * *", minute, hour)
	default:
		return fmt.Sprintf("%d %d * * 1", minute, hour)
	}
}

// every is a field of cron: the numbers below end that are step apart, one of them
// through.
func every(step, through, end int) string {
	var at []string
	for n := through % step; n < end; n += step {
		at = append(at, strconv.Itoa(n))
	}
	return strings.Join(at, ",")
}
