package baseline

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/eventpattern"
	"github.com/orgguard/orgguard/orgs/finding"
)

// tuned is demoConfig with overrides of three depths.
var tuned = demoConfig + `
baseline:
  ssh-restricted: {remediation: manual}
  imds-v2: {hop_limit: 1}
overrides:
  - ou: Workloads
    reason: workloads are watched closely
    baseline:
      config-recorder: {recording: daily}
      guardduty-alert: {minimum_severity: 1}
      ssh-restricted: {attempts: 7}
  - ou: Workloads/Dev
    reason: developers come in by SSH
    baseline: {ssh-restricted: false, ebs-encryption: true}
  - account: "300000000001"
    reason: the shop mends by itself
    baseline: {ssh-restricted: {remediation: automatic}, network-change-alert: true, imds-v2: false, trail-change-alert: false}
`

func accountIn(t *testing.T, b *Baseline, path string) orgs.AccountID {
	t.Helper()
	for _, a := range b.Accounts {
		if a.OUPath == path && a.State == orgs.StateActive && a.Excluded == "" {
			return a.ID
		}
	}
	t.Fatalf("no account in %s", path)
	return ""
}

func TestTheNearestOverrideCounts(t *testing.T) {
	b := demoRig(t, tuned).open(t).Baseline
	dev := accountIn(t, b, "Root/Workloads/Dev")
	for _, tt := range []struct {
		name, control string
		account       orgs.AccountID
		on            bool
		setting, want string
		layers        int // beside the default
	}{
		{"what no override reaches is as the baseline says", "ssh-restricted", management, true, "remediation", "manual", 1},
		{"what an OU leaves out comes from further up", "ssh-restricted", shopProd, true, "attempts", "7", 3},
		{"an account counts more than its OU", "ssh-restricted", shopProd, true, "remediation", "automatic", 3},
		{"the nearer OU counts more", "ssh-restricted", dev, false, "attempts", "7", 3},
		{"an OU reaches what is below it", "config-recorder", dev, true, "recording", "daily", 1},
		{"an override turns on what is off", "ebs-encryption", dev, true, "", "", 1},
		{"and only there", "ebs-encryption", shopProd, false, "", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := b.EffectiveIn(tt.control, string(tt.account))
			if err != nil {
				t.Fatal(err)
			}
			if got.Enabled != tt.on || len(got.Layers) != 1+tt.layers {
				t.Errorf("%+v", got)
			}
			for _, s := range got.Settings {
				if s.Key == tt.setting && s.Default != tt.want {
					t.Errorf("%s is %s, want %s", s.Key, s.Default, tt.want)
				}
			}
		})
	}
}

func TestOverridesThatCannotBe(t *testing.T) {
	for _, tt := range []struct{ name, overrides, want string }{
		{"an account that is not there", `{account: "999999999999", reason: r, baseline: {imds-v2: true}}`, `overrides[0]: no account "999999999999" in the organization`},
		{"an OU that is not there", `{ou: Nowhere, reason: r, baseline: {imds-v2: true}}`, `overrides[0]: no OU "Nowhere" in the organization`},
		{"two that contradict each other", `{ou: Workloads, reason: r, baseline: {imds-v2: true}}, {ou: Root/Workloads, reason: r, baseline: {imds-v2: false}}`, `overrides[1]: overrides[0] says something of imds-v2 for the same accounts already`},
		{"a control without one that it needs", `{account: "300000000001", reason: r, baseline: {config-recorder: false}}`, `account 300000000001 (shop-prod): baseline: config-delivery needs config-recorder`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := demoRig(t, demoConfig+"overrides: ["+tt.overrides+"]\n")
			if _, err := r.tryOpen(t.Context(), r.aws); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// One template serves every account: what is deployed there is what the baseline would
// deploy if the account's configuration were everybody's.
func TestAnAccountGetsWhatItsOwnConfigurationWouldDeploy(t *testing.T) {
	b := demoRig(t, tuned).open(t).Baseline
	for _, a := range []orgs.AccountID{management, shopProd, accountIn(t, b, "Root/Workloads/Dev")} {
		p := b.at(a)
		alone := *p.view
		alone.units, alone.profiles, alone.profileOf = nil, []*profile{newProfile(nil, p.view)}, nil
		if err := alone.compose(); err != nil {
			t.Fatal(err)
		}
		for _, region := range b.Regions {
			got, want := map[string]Resource{}, map[string]Resource{}
			for _, of := range []struct {
				b    *Baseline
				into map[string]Resource
			}{{b, got}, {&alone, want}} {
				for _, u := range of.b.units {
					if !u.spread() {
						continue
					}
					rs, err := u.resources(of.b.scope(a, region))
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range rs {
						of.into[u.ID+"/"+r.LogicalID] = r
					}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s: (-alone +with overrides)\n%s", a, region, diff)
			}
		}
	}
}

func TestTheCentralRuleHearsWhatAnyAccountForwards(t *testing.T) {
	b := demoRig(t, tuned).open(t).Baseline
	for _, tt := range []struct {
		severity int
		want     bool
	}{{1, true}, {8, true}, {0, false}} {
		event := map[string]any{
			"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "account": shopProd, "region": tokyo, "time": "2026-11-22T12:00:00Z", "id": "1",
			"detail": map[string]any{"severity": float64(tt.severity), "type": "x", "id": "1", "description": "d", "accountId": shopProd, "region": tokyo, "resource": map[string]any{"resourceType": "Instance"}},
		}
		for _, u := range b.units {
			if u.ID != "central" {
				continue
			}
			rs, err := u.resources(b.scope(b.Security, b.Home))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rs {
				if r.LogicalID != "GuardDutyRule" {
					continue
				}
				p, err := eventpattern.Parse([]byte(compact(r.Props["EventPattern"])))
				if err != nil {
					t.Fatal(err)
				}
				if got := p.MatchValue(event); got != tt.want {
					t.Errorf("severity %d: %v, want %v", tt.severity, got, tt.want)
				}
			}
		}
	}
}

// settle rolls a configuration out and fails if a second rollout would change
// anything.
func (r *rig) settle(t *testing.T, config string) {
	t.Helper()
	r.cfg = parseConfig(t, config)
	r.mustRollout(t)
	for _, task := range r.plan(t).Tasks {
		t.Errorf("a second rollout would change: %s in %s %s: %s", task.Resource, task.Account, task.Region, task.Why)
	}
}

func TestARolloutHonoursOverridesAndEndsClean(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, tuned)
		r.settle(t, tuned)
		r.mustBeClean(t)
		b := r.open(t).Baseline
		dev := accountIn(t, b, "Root/Workloads/Dev")
		waived := 0
		for _, f := range r.audit(t, Filter{}) {
			if f.Status == finding.NotApplicable && f.Account == string(dev) && f.Control == "ssh-restricted" {
				waived++
				if want := "switched off here by overrides[1] (OU Workloads/Dev): developers come in by SSH"; f.Reason != want {
					t.Errorf("got %q, want %q", f.Reason, want)
				}
			}
		}
		if waived != len(b.Regions)+1 { // the role is global
			t.Errorf("%d findings say that ssh-restricted is off in %s", waived, dev)
		}
	})
}

// The configuration changes; every state on the way there is one that some
// configuration asked for.
func TestOverridesComeAndGo(t *testing.T) {
	for _, tt := range []struct{ name, before, after string }{
		{"overrides come", demoConfig + "baseline: {ssh-restricted: {remediation: manual}}\n", tuned},
		{"overrides go", tuned, demoConfig},
		{"everything of a unit goes off in an account", demoConfig + "baseline: {ssh-restricted: true}\n",
			demoConfig + "baseline: {ssh-restricted: true}\noverrides: [{ou: Workloads, reason: r, baseline: {ssh-restricted: false}}]\n"},
		{"and comes back", demoConfig + "baseline: {ssh-restricted: true}\noverrides: [{ou: Workloads, reason: r, baseline: {ssh-restricted: false}}]\n",
			demoConfig + "baseline: {ssh-restricted: true}\n"},
		{"the recorder of an account is left alone", demoConfig, demoConfig + recorderOff},
		{"and taken back", demoConfig + recorderOff, demoConfig},
		{"in waves", demoConfig, strings.Replace(tuned, "alerts:", "rollout: {waves: [[Workloads/Dev], [Workloads]], failure_tolerance: 0}\nalerts:", 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, tt.before)
				r.mustRollout(t)
				r.settle(t, tt.after)
				r.mustBeClean(t)
			})
		})
	}
}

const recorderOff = `
overrides:
  - {account: "300000000001", reason: a vendor records, baseline: {config-recorder: false, config-delivery: false}}
`

// A control that an account must not have is not there for a moment, either.
func TestNoAccountHasForAMomentWhatItsOverrideForbids(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, demoConfig+"baseline: {default-sg-closed: {remediation: manual}}\n")
		r.mustRollout(t)
		r.settle(t, demoConfig+`
baseline: {default-sg-closed: {remediation: manual}, ssh-restricted: true}
overrides: [{account: "300000000001", reason: r, baseline: {ssh-restricted: false}}]
`)
		for _, tt := range []struct {
			account string
			want    bool
		}{{shopProd, false}, {sandbox, true}} {
			out, err := cloudtrail.NewFromConfig(r.member(tt.account, tokyo)).LookupEvents(t.Context(), &cloudtrail.LookupEventsInput{
				LookupAttributes: []types.LookupAttribute{{AttributeKey: types.LookupAttributeKeyEventName, AttributeValue: aws.String("PutConfigRule")}},
			})
			if err != nil {
				t.Fatal(err)
			}
			had := slices.ContainsFunc(out.Events, func(e types.Event) bool {
				return strings.Contains(aws.ToString(e.CloudTrailEvent), "orgguard-ssh-restricted")
			})
			if had != tt.want {
				t.Errorf("account %s got the rule: %v, want %v", tt.account, had, tt.want)
			}
		}
	})
}

func TestAnAuditAsksNothingMoreForOverrides(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		used := func(config string) map[string]int {
			r := demoRig(t, config)
			r.mustRollout(t)
			b := r.open(t)
			before := b.pool.Used()
			if _, err := b.Audit(t.Context(), b.pool, Filter{}, r.workers, false, nil); err != nil {
				t.Fatal(err)
			}
			got := b.pool.Used()
			for action, n := range before {
				got[action] -= n
			}
			return got
		}
		const base = demoConfig + "baseline: {ssh-restricted: true, ebs-encryption: true}\n"
		plain := used(base)
		for action, n := range used(base + "overrides: [{ou: Workloads, reason: r, baseline: {ssh-restricted: false, ebs-encryption: false, guardduty-alert: {minimum_severity: 1}}}]\n") {
			if n > plain[action] {
				t.Errorf("%s: %d calls, without overrides %d", action, n, plain[action])
			}
		}
	})
}

// An undo takes an account back to the parameters that it had.
func TestUndoOfOverrides(t *testing.T) {
	for _, tt := range []struct{ name, before, after string }{
		{"overrides came", demoConfig + "baseline: {ssh-restricted: {remediation: manual}}\n", tuned},
		{"overrides changed", tuned, strings.NewReplacer("attempts: 7", "attempts: 9", "{remediation: automatic}", "false").Replace(tuned)},
		{"all of a unit went off", demoConfig + "baseline: {ssh-restricted: true}\n",
			demoConfig + "baseline: {ssh-restricted: true}\noverrides: [{ou: root, reason: r, baseline: {ssh-restricted: false}}]\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, tt.before)
				r.mustRollout(t)
				r.cfg = parseConfig(t, tt.after)
				records := journalled(t, t.TempDir(), r.plan(t).Tasks)
				if len(records) == 0 {
					t.Fatal("the rollout changed nothing")
				}
				b := r.open(t)
				p := b.Undo(t.Context(), b.pool, records)
				for _, s := range p.Skipped {
					if s.Blocked {
						t.Errorf("not undone: %s", s.Reason)
					}
				}
				mustDo(t, p.Tasks)
				r.cfg = parseConfig(t, tt.before)
				for _, task := range r.plan(t).Tasks {
					t.Errorf("the undo left something else: %s in %s %s: %s", task.Resource, task.Account, task.Region, task.Why)
				}
				r.mustBeClean(t)
			})
		})
	}
}
