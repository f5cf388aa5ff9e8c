package baseline

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhatIsWrongWithAJob(t *testing.T) {
	now := time.Date(2027, 3, 31, 12, 0, 0, 0, time.UTC)
	well := func() JobState {
		return JobState{Installed: true, StackStatus: "UPDATE_COMPLETE", Enabled: true, Alarms: []JobAlarm{{Name: "orgguard-audit-failing", State: "OK"}, {Name: "orgguard-audit-silent", State: "OK"}}}
	}
	for _, c := range []struct {
		name   string
		change func(*JobState)
		last   time.Time
		want   string // what the only problem says; "" for none
	}{
		{"nothing", func(*JobState) {}, now.Add(-time.Hour), ""},
		{"two intervals are no reason yet", func(*JobState) {}, now.Add(-12 * time.Hour), ""},
		{"more than two intervals are", func(*JobState) {}, now.Add(-13 * time.Hour), "more than two intervals ago"},
		{"no stack", func(j *JobState) { *j = JobState{} }, now, "orgguard schedule install"},
		{"a stack that failed", func(j *JobState) { j.StackStatus = "UPDATE_ROLLBACK_COMPLETE" }, now, "UPDATE_ROLLBACK_COMPLETE"},
		{"another template", func(j *JobState) { j.Differs = "the template" }, now, "(the template)"},
		{"a schedule that is off", func(j *JobState) { j.Enabled = false }, now, "schedule is off"},
		{"one that nobody could look at", func(j *JobState) { j.Enabled, j.Unseen = false, []string{"schedule: AccessDenied"} }, now, ""},
		{"a function that may not run", func(j *JobState) { j.Paused = true }, now, "may not run"},
		{"another program", func(j *JobState) { j.Foreign = true }, now, "another package"},
		{"an alarm that is gone", func(j *JobState) { j.Alarms = j.Alarms[:1] }, now, "is gone"},
		{"an alarm", func(j *JobState) { j.Alarms[0].State = "ALARM" }, now, "orgguard-audit-failing is in ALARM"},
		{"an alarm that tells nobody", func(j *JobState) { j.Alarms[1].Muted = true }, now, "its actions are off"},
		{"no rules about accounts", func(j *JobState) { j.Joining = Trigger{Wanted: true, Why: "there is no stack"} }, now, "accounts that are created, join or move begin no audit: there is no stack"},
		{"no rules about tampering, which nobody wants", func(j *JobState) { j.Tamper = Trigger{Why: "alerts are local"} }, now, ""},
		{"events that failed", func(j *JobState) { j.Dead = 2 }, now, "2 of its events"},
		{"no run yet, of which the silence is no news", func(j *JobState) { j.Alarms[1].State = "ALARM" }, time.Time{}, "it has not run yet"},
	} {
		j := well()
		c.change(&j)
		got := j.Problems(now, c.last, 6*time.Hour)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if !slices.ContainsFunc(JobState{Installed: true}.Problems(now, now, time.Hour), func(s string) bool { return strings.Contains(s, "alarm") }) {
		t.Error("alarms that are gone are no problem")
	}
}
