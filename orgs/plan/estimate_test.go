package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestEstimateOf(t *testing.T) {
	stacks := func(stage Stage, wave, n, rounds int) Change {
		return Change{Stage: stage, Wave: wave, Effort: Effort{Writes: 1, Operations: 1, Stacks: n, Rounds: rounds}}
	}
	write := func(stage Stage) Change { return Change{Stage: stage, Effort: Effort{Writes: 1}} }
	for _, tc := range []struct {
		name    string
		changes []Change
		limit   int
		want    Estimate
	}{
		{"nothing", nil, 8, Estimate{}},
		{"an operation takes as long as its rounds", []Change{stacks(Baseline, 0, 100, 2)}, 8, Estimate{Operations: 1, Stacks: 100, Writes: 1, LeastSeconds: 61, MostSeconds: 361}},
		{"what runs side by side takes as long as the longest", []Change{stacks(Baseline, 0, 10, 1), stacks(Baseline, 0, 20, 3)}, 8, Estimate{Operations: 2, Stacks: 30, Writes: 2, LeastSeconds: 91, MostSeconds: 541}},
		{"unless too much would run at once", []Change{stacks(Baseline, 0, 1, 1), stacks(Baseline, 0, 1, 1), stacks(Baseline, 0, 1, 1)}, 1, Estimate{Operations: 3, Stacks: 3, Writes: 3, LeastSeconds: 91, MostSeconds: 543}},
		{"stages come one after the other", []Change{stacks(Roles, 0, 1, 1), stacks(Baseline, 0, 1, 1)}, 8, Estimate{Operations: 2, Stacks: 2, Writes: 2, LeastSeconds: 61, MostSeconds: 362}},
		{"and so do waves", []Change{stacks(Baseline, 1, 1, 1), stacks(Baseline, 2, 1, 1)}, 8, Estimate{Operations: 2, Stacks: 2, Writes: 2, Waves: 2, LeastSeconds: 61, MostSeconds: 362}},
		{"the SCP is written one write at a time", []Change{write(Guardrail), write(Guardrail)}, 8, Estimate{Writes: 2, LeastSeconds: 1, MostSeconds: 60}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := EstimateOf(tc.changes, tc.limit)
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(Estimate{}, "Basis")); diff != "" {
				t.Error(diff)
			}
			if len(got.Basis) == 0 {
				t.Error("it does not say what it rests on")
			}
		})
	}
}

func TestReachOf(t *testing.T) {
	changes := []Change{
		{Stage: Prerequisites, Account: "1", Region: "global", Irreversible: "stays"},
		{Stage: Baseline, Account: "1", Region: "eu-west-1", Targets: []string{"2/eu-west-1", "2/eu-west-2", "3/eu-west-1"}},
		{Stage: Repairs, Account: "2", Region: "eu-west-1", Targets: []string{"2/eu-west-1"}, Irreversible: "is gone"},
		{Stage: Repairs, Account: "2", Region: "eu-west-2", Irreversible: "is gone"},
		{Stage: Guardrail, Account: "9", Region: "global"},
	}
	losses := []Loss{{Statement: "S", Accounts: []string{"3", "4", "5"}}}
	ous := map[string]string{"1": "Root", "2": "Root/A", "3": "Root/A", "4": "Root/B"}
	got := ReachOf(changes, losses, 12, func(a string) string { return ous[a] })
	want := Reach{
		Accounts: 5, Of: 12, Cells: 3, OUs: []string{"Root", "Root/A", "Root/B"}, Regions: []string{"eu-west-1", "eu-west-2"}, Losses: losses,
		Irreversible: []Final{{Why: "is gone", Changes: 2}, {Why: "stays", Changes: 1}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Reach{OUs: []string{}, Regions: []string{}}, ReachOf(nil, nil, 0, nil)); diff != "" {
		t.Error(diff)
	}
}
