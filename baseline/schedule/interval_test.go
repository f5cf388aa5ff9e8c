package schedule

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/robfig/cron/v3"

	"github.com/orgguard/orgguard/orgs/spec"
)

func TestParseInterval(t *testing.T) {
	for text, want := range map[string]string{
		"6h": "6h", "360m": "6h", "1d": "1d", "24h": "1d", "7d": "7d", "168h": "7d", "30m": "30m", "1h": "1h", "60m": "1h", "01d": "1d",
	} {
		got, err := ParseInterval(text)
		if err != nil || got.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	names := make([]string, len(Intervals))
	for i, v := range Intervals {
		names[i] = v.String()
	}
	if diff := cmp.Diff(spec.Intervals, names); diff != "" {
		t.Errorf("the configuration takes others (-configuration +engines):\n%s", diff)
	}
	for _, text := range []string{"", "0", "0s", "0d", "5m", "7h", "90m", "-6h", "d", "xd", "2d", "999d", "6", "6h ", "1e3d", "every day"} {
		if got, err := ParseInterval(text); err == nil {
			t.Errorf("%q was taken for %s", text, got)
		}
	}
}

// What cron makes of an interval really is that far apart, at every minute that
// spreading may give.
func TestCronKeepsTheInterval(t *testing.T) {
	for _, v := range Intervals {
		for _, minute := range []int{0, 1, 7, 23, 24, 29, 44, 59} {
			line := v.Cron(minute)
			s, err := cron.ParseStandard(line)
			if err != nil {
				t.Fatalf("%s at %d: %q: %v", v, minute, line, err)
			}
			at := s.Next(time.Date(2026, 1, 31, 22, 30, 0, 0, time.UTC))
			for range 40 {
				next := s.Next(at)
				if next.Sub(at) != v.Duration() {
					t.Fatalf("%s at %d: %q runs at %s and then at %s", v, minute, line, at, next)
				}
				at = next
			}
		}
	}
}

func TestSpreadSpreads(t *testing.T) {
	for range 3 {
		if m := Spread("o-a"); m != 12 {
			t.Errorf("minute %d: a name keeps its minute from version to version", m)
		}
	}
	seen := map[int]bool{}
	for i := range 600 {
		m := Spread(time.Duration(i).String())
		if m < 0 || m > 59 {
			t.Fatalf("minute %d", m)
		}
		seen[m] = true
	}
	if len(seen) < 50 {
		t.Errorf("600 names share %d minutes", len(seen))
	}
}
