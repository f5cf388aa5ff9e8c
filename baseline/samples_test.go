package baseline

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/eventpattern"
)

// everyAlert turns on what is off by default.
const everyAlert = "baseline: {network-change-alert: true, iam-policy-alert: true, cloudtrail: true, unauthorized-alert: true, live-test-alert: true}\n"

// Every alert control has samples that must fire and samples that must not, and
// they do what they must in both modes and in every partition.
func TestSamples(t *testing.T) {
	for _, mode := range []string{"central", "local"} {
		b, err := resolveSmall(t, "aws", "alerts: {mode: "+mode+", email: [one@example.com]}\n"+everyAlert)
		if err != nil {
			t.Fatal(err)
		}
		results, err := b.TrySamples(nil)
		if err != nil {
			t.Fatal(err)
		}
		fire, still, written := map[string]int{}, map[string]int{}, map[string]int{}
		for _, r := range results {
			if r.Want {
				fire[r.Control]++
			} else {
				still[r.Control]++
			}
			if r.WantMail != "" {
				written[r.Control]++
			}
			switch {
			case r.Err != nil || r.Skipped != "":
				t.Errorf("%s, %s: %s: error %v, skipped %q", mode, r.Control, r.Name, r.Err, r.Skipped)
			case r.Want != r.Got:
				t.Errorf("%s, %s: %s: fires %v; want %v", mode, r.Control, r.Name, r.Got, r.Want)
			case !r.Passed():
				t.Errorf("%s, %s: %s (-want +got):\n%s", mode, r.Control, r.Name, cmp.Diff(r.WantMail, r.GotMail))
			}
		}
		for _, c := range controls {
			if c.alert == nil {
				continue
			}
			if fire[c.ID] == 0 || still[c.ID] < 3 || written[c.ID] == 0 {
				t.Errorf("%s, %s: %d samples fire, %d do not, %d messages are written down", mode, c.ID, fire[c.ID], still[c.ID], written[c.ID])
			}
		}
	}
}

// An event is told once: no two rules that are on by default forward it, or two
// rules of the central bus would tell of two copies each.
func TestAnEventIsToldOnce(t *testing.T) {
	for _, mode := range []string{"central", "local"} {
		for _, regions := range []string{"[eu-west-1, us-east-1]", "[eu-west-1]"} {
			b, err := resolveSmall(t, "aws", "regions: "+regions+"\nhome_region: eu-west-1\nalerts: {mode: "+mode+"}\n"+everyAlert)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range b.controls {
				if c.alert == nil {
					continue
				}
				samples, err := samplesOf(c.ID)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range samples {
					told, err := b.Tell(s.Event)
					if err != nil {
						t.Fatal(err)
					}
					var by []string
					for _, x := range told {
						if x.Fires {
							by = append(by, x.Control)
						}
					}
					if len(by) > 1 || len(by) == 0 && s.Fires && b.livesIn(c, s.Event["region"].(string)) {
						t.Errorf("%s, %s: %s: %s: told by %v", mode, regions, c.ID, s.Name, by)
					}
				}
			}
		}
	}
}

// Limits of EventBridge and SNS that the messages and patterns must keep.
func TestAlertsKeepWithinLimits(t *testing.T) {
	const maxSubject = 100
	for _, mode := range []string{"central", "local"} {
		b, err := resolveSmall(t, "aws", "alerts: {mode: "+mode+", email: [one@example.com]}\n"+everyAlert)
		if err != nil {
			t.Fatal(err)
		}
		rules := 0
		for _, u := range b.units {
			rs, err := u.resources(b.scope(securityAccount, "us-east-1"))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rs {
				if r.Type != "AWS::Events::Rule" {
					continue
				}
				rules++
				if n := len(compact(r.Props["EventPattern"])); n > eventpattern.DefaultQuota {
					t.Errorf("%s: a pattern of %d characters", r.str("Name"), n)
				}
				targets := r.wantTargets()
				if len(targets) != 1 {
					t.Errorf("%s has %d targets", r.str("Name"), len(targets))
				}
				if targets[0].Template != "" {
					if err := eventpattern.CheckTransformer(targets[0].Paths, targets[0].Template); err != nil {
						t.Errorf("%s: PutTargets would refuse the transformer: %v", r.str("Name"), err)
					}
				}
			}
		}
		if rules < len(b.controls)-4 { // which have none: recorder, delivery, topic and trail
			t.Errorf("only %d rules", rules)
		}
		results, err := b.TrySamples(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			subject, _, _ := strings.Cut(strings.TrimPrefix(r.GotMail, "Subject: "), "\n")
			if mode == "central" && (len(subject) > maxSubject || strings.ContainsFunc(subject, func(c rune) bool { return c < ' ' || c > '~' })) {
				t.Errorf("%s: %s: SNS refuses the subject %q", r.Control, r.Name, subject)
			}
		}
	}
}

func TestSettingsOfAlerts(t *testing.T) {
	cases := []struct {
		name, config, control, sample string
		set                           map[string]any
		want                          bool
	}{
		{"GuardDuty from High up, Medium", "guardduty-alert: {minimum_severity: 7}", "guardduty-alert", "", nil, false},
		{"GuardDuty from High up, High", "guardduty-alert: {minimum_severity: 7}", "guardduty-alert", "", map[string]any{"detail.severity": 7}, true},
		{"Security Hub CRITICAL alone", "securityhub-alert: {severities: [CRITICAL]}", "securityhub-alert", "", nil, false},
		{"Security Hub MEDIUM too", "securityhub-alert: {severities: [CRITICAL, HIGH, MEDIUM]}", "securityhub-alert", "", map[string]any{"detail.findings.0.Severity.Label": "MEDIUM"}, true},
		{"what GuardDuty found, from GuardDuty", "securityhub-alert: true", "securityhub-alert", "", map[string]any{"detail.findings.0.ProductName": "GuardDuty"}, false},
		{"what GuardDuty found, where its own alert is off", "guardduty-alert: false", "securityhub-alert", "", map[string]any{"detail.findings.0.ProductName": "GuardDuty"}, true},
		{"planned changes", "health-alert: {categories: [scheduledChange]}", "health-alert", "", map[string]any{"detail.eventTypeCategory": "scheduledChange"}, true},
		{"an AWS Config rule by its name", "compliance-alert: {rules: [team-rule]}", "compliance-alert", "", map[string]any{"detail.configRuleName": "team-rule"}, true},
		{"another one whose name begins like it", "compliance-alert: {rules: [team-rule]}", "compliance-alert", "", map[string]any{"detail.configRuleName": "team-rule-2"}, false},
		{"every AWS Config rule", "compliance-alert: {rules: ['*']}", "compliance-alert", "", map[string]any{"detail.configRuleName": "anything"}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, err := resolveSmall(t, "aws", "baseline: {"+c.config+"}\n")
			if err != nil {
				t.Fatal(err)
			}
			samples, err := samplesOf(c.control)
			if err != nil {
				t.Fatal(err)
			}
			event := samples[0].Event
			for path, v := range c.set {
				if err := setPath(event, strings.Split(path, "."), v); err != nil {
					t.Fatal(err)
				}
			}
			got, err := b.tell(b.control(c.control), event)
			if err != nil || got.Fires != c.want {
				t.Errorf("fires %v, %v; want %v", got.Fires, err, c.want)
			}
		})
	}
}

// What the offline test says arrives is what arrives, from every alert rule, to the
// letter.
func TestEverySampleReachesPeople(t *testing.T) {
	for _, mode := range []string{"central", "local"} {
		inBubble(t, func(t *testing.T) {
			config := demoConfig
			if mode == "local" {
				config = localConfig
			}
			r := demoRig(t, config+everyAlert)
			r.mustRollout(t)
			b := r.open(t)
			n := 0
			for _, c := range b.controls {
				if c.alert == nil {
					continue
				}
				samples, err := samplesOf(c.ID)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range samples {
					if s.Event["region"] == "eu-west-1" {
						moveTo(s.Event, tokyo)
					}
					told, err := b.tell(c, s.Event)
					if err != nil {
						t.Fatal(err)
					}
					before := len(r.w.Outbox())
					r.w.Happen(s.Event)
					got, want := []string{}, []string{}
					for _, m := range alerts(r.w.Outbox()[before:]) {
						if mode == "local" {
							m.Subject = "" // SNS's own
						}
						got = append(got, Mail{m.Subject, m.Message}.String())
					}
					if told.Fires {
						want = []string{told.Mail.String()}
						n++
					}
					if told.Fires != s.Fires {
						t.Errorf("%s: %s: fires %v", c.ID, s.Name, told.Fires)
					}
					if !s.Fires {
						// Another alert may be about it.
						got = slices.DeleteFunc(got, func(m string) bool { return !strings.Contains(m, c.alert.title) })
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s, %s: %s: mails (-want +got):\n%s\ndead letters: %q", mode, c.ID, s.Name, diff, deadLetters(t, r))
					}
				}
			}
			if letters := deadLetters(t, r); n < 25 || len(letters) > 0 {
				t.Errorf("%d mails; dead letters: %q", n, letters)
			}
		})
	}
}

// moveTo lets an event have happened in another Region.
func moveTo(event map[string]any, region string) {
	old := event["region"]
	var move func(v any) any
	move = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k := range v {
				v[k] = move(v[k])
			}
		case []any:
			for i := range v {
				v[i] = move(v[i])
			}
		case string:
			if v == old {
				return region
			}
		}
		return v
	}
	move(event)
}
