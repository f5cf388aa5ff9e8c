package baseline

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
)

// journalled carries tasks out with a journal, as the command does, and returns
// what it says, read back from the disk.
func journalled(t *testing.T, dir string, tasks []plan.Task) []journal.Record {
	t.Helper()
	j, err := journal.Create(dir, journal.Header{Command: "test", Organization: "o-demo0guard"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	mustDo(t, j.Tasks(tasks))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := journal.Read(dir, j.Run())
	if err != nil {
		t.Fatal(err)
	}
	return l.Steps()
}

func mustDo(t *testing.T, tasks []plan.Task) {
	t.Helper()
	for _, o := range plan.Execute(t.Context(), tasks, 8, nil).Outcomes {
		if o.Err != "" || o.Skipped || len(o.Failures) > 0 {
			t.Fatalf("%s %s in %s %s: error %q, skipped %v, failures %+v", o.Change.Verb, o.Change.Resource, o.Change.Account, o.Change.Region, o.Err, o.Skipped, o.Failures)
		}
	}
}

// settings is the recorder of an account as AWS gives it.
func settings(t *testing.T, r *rig, account string) string {
	t.Helper()
	out, err := configservice.NewFromConfig(r.member(account, tokyo)).DescribeConfigurationRecorders(t.Context(), &configservice.DescribeConfigurationRecordersInput{})
	if err != nil || len(out.ConfigurationRecorders) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	return compact(out.ConfigurationRecorders[0])
}

// held leaves of an inventory what a removal may leave: what holds history, and
// what was there before.
func held(before, after []string) []string {
	return slices.DeleteFunc(slices.Clone(after), func(line string) bool {
		return slices.Contains(before, line) || strings.Contains(line, " recorder ") || awsOwn(line)
	})
}

// awsOwn says whether a line of an inventory is a role that StackSets makes for
// itself and keeps.
func awsOwn(line string) bool {
	return strings.Contains(line, "AWSServiceRoleForCloudFormation") || strings.Contains(line, "stacksets-exec-")
}

func TestUndoTakesARolloutBack(t *testing.T) {
	for name, config := range map[string]string{"at once": everyoneConfig, "in waves": everyoneConfig + "rollout: {waves: [[Sandbox], [root]]}\n"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t, handful(t), config)
				before, theirs := r.inventory(t), settings(t, r, legacy)
				records := journalled(t, t.TempDir(), r.plan(t).Tasks)
				if settings(t, r, legacy) == theirs {
					t.Fatal("the recorder was not adopted")
				}
				b := r.open(t)
				p := b.Undo(t.Context(), b.pool, records)
				mustDo(t, p.Tasks)
				if got := held(before, r.inventory(t)); len(got) > 0 {
					t.Errorf("left: %q", got)
				}
				if got := settings(t, r, legacy); got != theirs {
					t.Errorf("the adopted recorder is %s; was %s", got, theirs)
				}
				// A second undo finds nothing to do.
				b = r.open(t)
				if p := b.Undo(t.Context(), b.pool, records); len(p.Tasks) > 0 {
					t.Errorf("still to be undone: %+v", plan.Changes(p.Tasks))
				}
				r.mustRollout(t)
			})
		})
	}
}

func TestUndoOfAnUpdateGivesTheTemplateOfBefore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), everyoneConfig)
		r.mustRollout(t)
		want := r.audit(t, Filter{})
		r.cfg = parseConfig(t, everyoneConfig+"baseline: {config-delivery: {snapshot: One_Hour}}\n")
		records := journalled(t, t.TempDir(), r.plan(t).Tasks)
		b := r.open(t)
		mustDo(t, b.Undo(t.Context(), b.pool, records).Tasks)
		r.cfg = parseConfig(t, everyoneConfig)
		// The adopted channel goes back to what it was given by the first rollout.
		if diff := cmp.Diff(want, r.audit(t, Filter{})); diff != "" {
			t.Errorf("before the update and after its undo (-want +got):\n%s", diff)
		}
	})
}

// A stack set that nobody lets the caller look at is left, and told.
func TestUndoLeavesAStackSetThatCannotBeRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), everyoneConfig)
		records := journalled(t, t.TempDir(), r.plan(t).Tasks)
		b := r.open(t)
		b.pool.CloudFormation = cloudformation.New(b.pool.CloudFormation.Options(), func(o *cloudformation.Options) {
			o.APIOptions = append(slices.Clone(o.APIOptions), func(st *middleware.Stack) error {
				return st.Initialize.Add(middleware.InitializeMiddlewareFunc("Refused",
					func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
						if _, yes := in.Parameters.(*cloudformation.DescribeStackSetInput); yes {
							return middleware.InitializeOutput{}, middleware.Metadata{}, &smithy.GenericAPIError{Code: "AccessDenied", Message: "no"}
						}
						return next.HandleInitialize(ctx, in)
					}), middleware.Before)
			})
		})
		p := b.Undo(t.Context(), b.pool, records)
		if !slices.ContainsFunc(p.Skipped, func(s plan.Skip) bool {
			return s.Blocked && strings.HasPrefix(s.Reason, "stack set orgguard-recorder: ") && strings.Contains(s.Reason, "AccessDenied")
		}) {
			t.Errorf("skipped %+v", p.Skipped)
		}
		if slices.ContainsFunc(p.Tasks, func(x plan.Task) bool { return strings.HasPrefix(x.Resource, "stack set ") }) {
			t.Error("a stack set is taken back that nobody could look at")
		}
	})
}

func TestUndoRefusesWhatChangedSince(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), everyoneConfig)
		records := journalled(t, t.TempDir(), r.plan(t).Tasks)
		r.cfg = parseConfig(t, everyoneConfig+"baseline: {config-delivery: {snapshot: One_Hour}}\n")
		r.mustRollout(t)
		r.cfg = parseConfig(t, everyoneConfig)
		c := configservice.NewFromConfig(r.member(legacy, tokyo))
		if _, err := c.PutConfigurationRecorder(t.Context(), &configservice.PutConfigurationRecorderInput{ConfigurationRecorder: &types.ConfigurationRecorder{
			Name: aws.String("legacy-recorder"), RoleARN: aws.String("arn:aws:iam::" + legacy + ":role/orgguard-config-recorder"), RecordingGroup: &types.RecordingGroup{AllSupported: true},
			RecordingMode: &types.RecordingMode{RecordingFrequency: types.RecordingFrequencyDaily},
		}}); err != nil {
			t.Fatal(err)
		}
		b := r.open(t)
		p := b.Undo(t.Context(), b.pool, records)
		var refused []string
		for _, s := range p.Skipped {
			if s.Blocked && strings.Contains(s.Reason, "changed since") {
				what, _, _ := strings.Cut(s.Reason, ":")
				refused = append(refused, what)
			}
		}
		for _, want := range []string{"stack set orgguard-recorder", "stack orgguard-recorder", "recorder orgguard"} {
			if !slices.ContainsFunc(refused, func(s string) bool { return strings.HasPrefix(s, want) }) {
				t.Errorf("%s is not refused: %q", want, refused)
			}
		}
		for _, task := range p.Tasks {
			if strings.Contains(task.Resource, "orgguard-recorder") {
				t.Errorf("%s %s is undone although it changed since", task.Verb, task.Resource)
			}
		}
	})
}

func TestATeardownTakesAllAndKeepsWhatHoldsHistory(t *testing.T) {
	cases := []struct {
		name, config string
		history      History
		keeps        []string // what the inventory may still have
	}{
		{"history is kept", everyoneConfig, KeepHistory, []string{" recorder ", "orgguard-recorder", "orgguard-roles", " role "}},
		{"history is deleted", everyoneConfig, DeleteHistory, nil},
		{"local alerts", strings.Replace(everyoneConfig, "mode: central", "mode: local", 1), DeleteHistory, nil},
		{"waves", everyoneConfig + "rollout: {waves: [[Sandbox], [root]]}\n", DeleteHistory, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t, handful(t), c.config)
				before := r.inventory(t)
				r.mustRollout(t)
				b := r.open(t)
				mustDo(t, b.Teardown(t.Context(), b.pool, c.history, r.workers).Tasks)
				got := slices.DeleteFunc(r.inventory(t), func(line string) bool {
					return slices.Contains(before, line) || awsOwn(line) || slices.ContainsFunc(c.keeps, func(s string) bool { return strings.Contains(line, s) })
				})
				if len(got) > 0 {
					t.Errorf("left: %q", got)
				}
				for _, name := range []string{"orgguard-recorder", "orgguard-alerts", "orgguard-roles", "orgguard-signin"} {
					if set, err := b.cloud(b.pool).load(t.Context(), name, nil); err != nil || set.Exists {
						t.Errorf("stack set %s: %+v, %v", name, set, err)
					}
				}
				if c.history == KeepHistory {
					for _, f := range r.audit(t, Filter{Controls: []string{"config-recorder"}}) {
						if f.Status == "drift" {
							t.Errorf("what was to be kept does not record: %+v", f)
						}
					}
				}
				again := r.open(t)
				if p := again.Teardown(t.Context(), again.pool, c.history, r.workers); len(p.Tasks) > 0 {
					t.Errorf("still to be torn down: %+v", plan.Changes(p.Tasks))
				}
				if c.history == DeleteHistory {
					if left := again.Remains(t.Context(), again.pool, c.history, r.workers); len(left) > 0 {
						t.Errorf("the inventory is not empty: %+v", left)
					}
				}
				r.mustRollout(t) // and all can be made again
			})
		})
	}
}

// Nothing is deleted that does not carry the tag, or because an account has
// stopped resolving.
func TestATeardownTakesNothingThatIsNotItsOwn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), everyoneConfig)
		r.mustRollout(t)
		b := r.open(t)
		// As if a listing had come back shorter.
		accounts := slices.DeleteFunc(slices.Clone(b.Org.Accounts), func(a orgs.Account) bool { return a.ID == shopProd })
		ous := []orgs.OU{b.Org.OUs[b.Org.Root]}
		for id, ou := range b.Org.OUs {
			if id != b.Org.Root {
				ous = append(ous, ou)
			}
		}
		b.Org = orgs.New(b.Org.ID, b.Org.ManagementAccount, b.Org.Partition, ous, accounts)
		b.Accounts = slices.DeleteFunc(b.Accounts, func(a orgs.Selected) bool { return a.ID == shopProd })
		p := b.Teardown(t.Context(), b.pool, KeepHistory, r.workers)
		told := 0
		for _, s := range p.Skipped {
			if s.Account == shopProd && s.Blocked && strings.Contains(s.Reason, "not in the organization any more") {
				told++
			}
		}
		if told == 0 {
			t.Errorf("nobody is told of %s: %+v", shopProd, p.Skipped)
		}
		mustDo(t, p.Tasks)
		set, err := b.cloud(b.pool).load(t.Context(), "orgguard-alerts", nil)
		if err != nil || !set.Exists || len(set.Instances) != 2 {
			t.Fatalf("%+v, %v", set, err)
		}
		for k := range set.Instances {
			if !strings.HasPrefix(k, shopProd) {
				t.Errorf("instance %s is still there", k)
			}
		}
	})
}

// A teardown, and an undo, that are killed at any write and begun again end where
// undisturbed ones end.
func TestAnUndoOrTeardownThatIsKilledAnywhereCanBeRepeated(t *testing.T) {
	for name, propose := range map[string]func(context.Context, *run, []journal.Record) Proposal{
		"teardown": func(ctx context.Context, b *run, _ []journal.Record) Proposal {
			return b.Teardown(ctx, b.pool, DeleteHistory, 1)
		},
		"undo": func(ctx context.Context, b *run, records []journal.Record) Proposal {
			return b.Undo(ctx, b.pool, records)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			inBubble(t, func(t *testing.T) {
				r := newRig(t, handful(t), everyoneConfig)
				records := journalled(t, t.TempDir(), r.plan(t).Tasks)
				mustDo(t, propose(t.Context(), r.open(t), records).Tasks)
				want = r.inventory(t)
			})
			crashes := 0
			for n := 1; n > 0 && !t.Failed(); crashes++ {
				inBubble(t, func(t *testing.T) {
					r := newRig(t, handful(t), everyoneConfig)
					records := journalled(t, t.TempDir(), r.plan(t).Tasks)
					base := r.w.Writes()
					at := n
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					cfg, kill := r.mortal(cancel)
					crashed := false
					r.w.SetFaults(sim.Faults{CrashAtWrite: base + n, Crash: func() { crashed = true; kill() }})
					b, err := r.tryOpen(ctx, cfg)
					if err != nil {
						t.Fatal(err)
					}
					plan.Execute(ctx, propose(ctx, b, records).Tasks, 1, nil)
					r.w.SetFaults(sim.Faults{})
					if n = r.w.Writes() - base + everyCrash(); !crashed {
						n = 0
						return
					}
					mustDo(t, propose(t.Context(), r.open(t), records).Tasks)
					if diff := cmp.Diff(want, r.inventory(t)); diff != "" {
						t.Errorf("killed at write %d: undisturbed and this (-want +got):\n%s", at, diff)
					}
				})
			}
			if crashes*everyCrash() < 8 {
				t.Errorf("only %d writes to crash at", crashes)
			}
		})
	}
}
