package baseline

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
)

var replaceConfig = everyoneConfig + "baseline: {config-recorder: {existing: replace}}\n"

// recorders are the names of an account's recorders in tokyo, those of AWS services
// among them, and what its own customer managed one and its channel are.
func recorders(t *testing.T, r *rig, account string) (names []string, theirs recorderWas) {
	t.Helper()
	c := configservice.NewFromConfig(r.member(account, tokyo))
	all, err := c.ListConfigurationRecorders(t.Context(), &configservice.ListConfigurationRecordersInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range all.ConfigurationRecorderSummaries {
		names = append(names, aws.ToString(rec.Name))
	}
	slices.Sort(names)
	b := r.open(t)
	theirs, err = observeWas(t.Context(), b.site(b.pool, legacy, tokyo))
	if err != nil {
		t.Fatal(err)
	}
	return names, theirs
}

// link makes a recorder of an AWS service beside the account's own.
func link(t *testing.T, r *rig) string {
	t.Helper()
	out, err := configservice.NewFromConfig(r.member(legacy, tokyo)).PutServiceLinkedConfigurationRecorder(t.Context(),
		&configservice.PutServiceLinkedConfigurationRecorderInput{ServicePrincipal: aws.String("observabilityadmin.amazonaws.com")})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.Name)
}

// replacements are the tasks of a proposal that replace a recorder.
func replacements(p Proposal) []plan.Task {
	return slices.DeleteFunc(slices.Clone(p.Tasks), func(t plan.Task) bool { return t.Kind != replaceKind })
}

func TestARecorderOfOthersIsReplacedAndAnUndoBringsItBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), replaceConfig)
		linked := link(t, r)
		_, theirs := recorders(t, r, legacy)
		b := r.open(t)
		p, err := b.propose(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// The plan says it, and loudly.
		tasks := replacements(p)
		if len(tasks) != 1 || tasks[0].Verb != plan.Replace || tasks[0].Resource != "recorder legacy-recorder, delivery channel legacy-recorder" || tasks[0].Irreversible == "" || tasks[0].Account != legacy {
			t.Fatalf("the plan: %+v", tasks)
		}
		if !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, "DELETED in 1 account × Region") }) {
			t.Errorf("notes: %q", p.Notes)
		}
		mustDo(t, slices.DeleteFunc(slices.Clone(p.Tasks), func(t plan.Task) bool { return t.Kind == replaceKind }))
		before := b.pool.Used()
		records := journalled(t, t.TempDir(), tasks)
		// As few calls as it takes lie between the stop and the start.
		for action, n := range b.pool.Used() {
			_, name, _ := strings.Cut(action, ":")
			if n -= before[action]; n > 0 && !strings.HasPrefix(name, "Describe") {
				if want := []string{"StopConfigurationRecorder", "DeleteConfigurationRecorder", "DeleteDeliveryChannel", "PutConfigurationRecorder", "PutDeliveryChannel", "StartConfigurationRecorder"}; n != 1 || !slices.Contains(want, name) {
					t.Errorf("%d × %s", n, action)
				}
			}
		}
		r.mustRollout(t) // the rest
		r.mustBeClean(t)
		names, ours := recorders(t, r, legacy)
		if diff := cmp.Diff([]string{linked, ownName}, names); diff != "" {
			t.Errorf("recorders (-want +got):\n%s", diff)
		}
		if !ours.Recording {
			t.Error("orgguard's recorder does not record")
		}
		if p := r.plan(t); len(p.Tasks) > 0 {
			t.Errorf("there is still to be done: %+v", plan.Changes(p.Tasks))
		}
		b = r.open(t)
		mustDo(t, b.Undo(t.Context(), b.pool, records).Tasks)
		if _, again := recorders(t, r, legacy); !again.like(theirs) {
			t.Errorf("brought back %+v; was %+v", again, theirs)
		}
		b = r.open(t)
		if p := b.Undo(t.Context(), b.pool, records); len(p.Tasks) > 0 {
			t.Errorf("still to be undone: %+v", plan.Changes(p.Tasks))
		}
	})
}

func TestAnUndoOfAReplacementRefusesWhatChangedSince(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), replaceConfig)
		mustDo(t, slices.DeleteFunc(r.plan(t).Tasks, func(t plan.Task) bool { return t.Kind == replaceKind }))
		records := journalled(t, t.TempDir(), replacements(r.plan(t)))
		c := configservice.NewFromConfig(r.member(legacy, tokyo))
		if _, err := c.StopConfigurationRecorder(t.Context(), &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String(ownName)}); err != nil {
			t.Fatal(err)
		}
		b := r.open(t)
		p := b.Undo(t.Context(), b.pool, records)
		if len(p.Tasks) > 0 || len(p.Skipped) != 1 || !p.Skipped[0].Blocked || !strings.Contains(p.Skipped[0].Reason, "was changed since") {
			t.Errorf("%+v, %+v", plan.Changes(p.Tasks), p.Skipped)
		}
	})
}

// A replacement that cannot be made leaves the account with the recorder that it had.
func TestAReplacementThatFailsMakesTheOldRecorderAgain(t *testing.T) {
	for _, operation := range []string{"StopConfigurationRecorder", "DeleteConfigurationRecorder", "DeleteDeliveryChannel", "PutConfigurationRecorder", "PutDeliveryChannel", "StartConfigurationRecorder"} {
		t.Run(operation, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t, handful(t), replaceConfig)
				mustDo(t, slices.DeleteFunc(r.plan(t).Tasks, func(t plan.Task) bool { return t.Kind == replaceKind }))
				_, theirs := recorders(t, r, legacy)
				tasks := replacements(r.plan(t))
				r.w.SetFaults(sim.Faults{Errors: []sim.Fault{{Service: "config", Operation: operation, Account: legacy, Code: "AccessDeniedException", Message: "no", Times: 1}}})
				failures, err := tasks[0].Apply(t.Context())
				if err != nil || len(failures) != 1 || !strings.Contains(failures[0].Reason, "what was there was made again") {
					t.Errorf("%+v, %v", failures, err)
				}
				r.w.SetFaults(sim.Faults{})
				if _, now := recorders(t, r, legacy); !now.like(theirs) {
					t.Errorf("left with %+v; was %+v", now, theirs)
				}
				r.mustRollout(t)
				r.mustBeClean(t)
			})
		})
	}
}

// What somebody changed since the plan is not replaced.
func TestAReplacementThatIsStaleIsNotMade(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), replaceConfig)
		tasks := replacements(r.plan(t))
		c := configservice.NewFromConfig(r.member(legacy, tokyo))
		if _, err := c.DeleteConfigurationRecorder(t.Context(), &configservice.DeleteConfigurationRecorderInput{ConfigurationRecorderName: aws.String("legacy-recorder")}); err != nil {
			t.Fatal(err)
		}
		writes := r.w.Writes()
		failures, err := tasks[0].Apply(t.Context())
		if err != nil || len(failures) != 1 || !strings.Contains(failures[0].Reason, "changed since the plan") || r.w.Writes() != writes {
			t.Errorf("%+v, %v, %d writes", failures, err, r.w.Writes()-writes)
		}
	})
}

func TestAReplacementThatIsKilledAnywhereCanBeRepeated(t *testing.T) {
	crashes := 0
	for n := 1; n > 0 && !t.Failed(); crashes++ {
		inBubble(t, func(t *testing.T) {
			r := newRig(t, handful(t), replaceConfig)
			mustDo(t, slices.DeleteFunc(r.plan(t).Tasks, func(t plan.Task) bool { return t.Kind == replaceKind }))
			r.w.ConfirmSubscriptions("")
			linked := link(t, r)
			first := r.w.Writes()
			if n = r.crashAt(t, first+n); n == 0 {
				return
			}
			n -= first
			r.mustRollout(t)
			r.mustBeClean(t)
			if names, _ := recorders(t, r, legacy); !slices.Equal(names, []string{linked, ownName}) {
				t.Errorf("recorders %q", names)
			}
			if p := r.plan(t); len(p.Tasks) > 0 {
				t.Errorf("there is still to be done: %+v", plan.Changes(p.Tasks))
			}
		})
	}
	if crashes < 6 {
		t.Errorf("only %d writes to crash after", crashes)
	}
}
