package baseline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/plan"
)

// rest is what the wave is called that takes the accounts of no other one.
const rest = "everything else"

// waves are the rollout's waves and the wave of every account.
type waves struct {
	list []plan.Wave
	of   map[orgs.AccountID]int // from 1; absent: 0, no waves
}

// resolveWaves puts every account that the baseline is for into the first wave
// that names an OU above it; those that no wave names come last. The management
// account comes in the last wave that covers it: what is tried out is tried out
// where it does the least harm.
func (b *Baseline) resolveWaves() error {
	b.waves = waves{of: map[orgs.AccountID]int{}}
	if len(b.Config.Rollout.Waves) == 0 {
		return nil
	}
	var problems []error
	nodes := make([][]orgs.NodeID, len(b.Config.Rollout.Waves))
	for i, wave := range b.Config.Rollout.Waves {
		for _, ref := range wave {
			ou, err := b.Org.FindOU(ref)
			if err != nil {
				problems = append(problems, fmt.Errorf("rollout.waves[%d]: %w", i, err))
				continue
			}
			nodes[i] = append(nodes[i], ou.ID)
		}
		b.waves.list = append(b.waves.list, plan.Wave{Number: i + 1, Name: strings.Join(wave, ", "), Accounts: []string{}})
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	b.waves.list = append(b.waves.list, plan.Wave{Number: len(nodes) + 1, Name: rest, Accounts: []string{}})
	for _, a := range b.Accounts {
		if a.Excluded != "" || a.State != orgs.StateActive {
			continue
		}
		covers := func(nodes []orgs.NodeID) bool {
			return slices.ContainsFunc(nodes, func(n orgs.NodeID) bool { return b.Org.Under(a.Parent, n) })
		}
		i := slices.IndexFunc(nodes, covers)
		if a.ID == b.Org.ManagementAccount {
			for j := range nodes {
				if covers(nodes[j]) {
					i = j
				}
			}
		}
		if i < 0 {
			i = len(nodes)
		}
		b.waves.of[a.ID] = i + 1
		b.waves.list[i].Accounts = append(b.waves.list[i].Accounts, string(a.ID))
	}
	if last := len(b.waves.list) - 1; len(b.waves.list[last].Accounts) == 0 {
		b.waves.list = b.waves.list[:last]
	}
	return nil
}

// Waves are the rollout's waves; none when the configuration has none.
func (b *Baseline) Waves() []plan.Wave { return b.waves.list }

// settling is how long a wave's verification waits for what AWS shows late, look
// by look.
var settling = []time.Duration{time.Second, 3 * time.Second}

// VerifyWave audits, in the accounts themselves, just what the changes of a wave
// reached, and says what is not as it should be. What was wrong before and is for
// people to mend (see Look) is no sign that the wave went wrong.
func (b *Baseline) VerifyWave(ctx context.Context, pool *access.Pool, before *Look, outcomes []plan.Outcome, workers int) []plan.Failure {
	cells := b.changedCells(outcomes)
	known := map[string]bool{}
	for _, in := range before.Inspected {
		for _, m := range in.Mismatches {
			known[in.problem(m)] = true
		}
	}
	var problems []plan.Failure
	for i := 0; ; i++ {
		problems, cells = b.verifyCells(ctx, pool, cells, known, workers)
		if len(problems) == 0 || i >= len(settling) || orgs.Pause(ctx, settling[i]) != nil {
			return problems
		}
	}
}

// problem names a mismatch.
func (in Inspection) problem(m Mismatch) string {
	return strings.Join([]string{string(in.Account.ID), in.Region, in.Resource.label(), m.Reason}, "\x00")
}

// changedCells are what the changes reached: their account × Region, with the
// resources of the controls they serve.
func (b *Baseline) changedCells(outcomes []plan.Outcome) []cell {
	controls := map[string][]string{} // by instanceKey
	for _, o := range outcomes {
		if o.Skipped {
			continue
		}
		failed := map[string]bool{} // told already
		for _, f := range o.Failures {
			failed[f.Account+"/"+f.Region] = true
		}
		for _, k := range o.Change.Targets {
			if !failed[k] {
				controls[k] = append(controls[k], strings.Split(o.Change.Control, ",")...)
			}
		}
	}
	var out []cell
	for c, err := range b.cells(resolved{}) {
		if err != nil {
			return nil // the plan was made of the same templates
		}
		wanted := controls[instanceKey(c.account.ID, c.region)]
		c.parts = slices.DeleteFunc(c.parts, func(p cellPart) bool { return !slices.Contains(wanted, p.Control) })
		if len(c.parts) > 0 {
			out = append(out, c)
		}
	}
	return out
}

// verifyCells looks at cells and returns what is wrong in them, and the cells in
// which something is.
func (b *Baseline) verifyCells(ctx context.Context, pool *access.Pool, cells []cell, known map[string]bool, workers int) (problems []plan.Failure, again []cell) {
	bad := map[string]bool{}
	found, _ := b.inspectCells(ctx, pool, listed(cells), workers, nil) // their templates have been evaluated
	for _, in := range found {
		f := plan.Failure{Account: string(in.Account.ID), AccountName: in.Account.Name, Region: in.Region}
		if in.Err != nil {
			f.Status, f.Reason, f.Fix = "NOT_VERIFIED", orgs.Reason(in.Err), b.whyNot(in)
			if !bad[instanceKey(in.Account.ID, in.Region)] {
				problems = append(problems, f)
			}
			bad[instanceKey(in.Account.ID, in.Region)] = true
			continue
		}
		for _, m := range in.Mismatches {
			if m.Manual != "" && (m.Waits || known[in.problem(m)]) {
				continue
			}
			f.Status, f.Reason, f.Fix = "NOT_VERIFIED", in.Resource.label()+": "+m.Reason, m.Manual
			problems = append(problems, f)
			bad[instanceKey(in.Account.ID, in.Region)] = true
		}
	}
	for _, c := range cells {
		if bad[instanceKey(c.account.ID, c.region)] {
			again = append(again, c)
		}
	}
	return problems, again
}

// Tolerates says whether the accounts that failed in a wave, by an operation or in
// its verification, are as few as rollout.failure_tolerance allows: in every
// Region for itself, a share being one of the accounts that the wave reached
// there, rounded down as StackSets does.
func (b *Baseline) Tolerates(outcomes []plan.Outcome, problems []plan.Failure) bool {
	reached, failed := map[string]map[string]bool{}, map[string]map[string]bool{}
	note := func(m map[string]map[string]bool, account, region string) {
		if m[region] == nil {
			m[region] = map[string]bool{}
		}
		m[region][account] = true
	}
	for _, o := range outcomes {
		for _, k := range o.Change.Targets {
			account, region, _ := strings.Cut(k, "/")
			note(reached, account, region)
		}
		for _, f := range o.Failures {
			note(failed, f.Account, f.Region)
		}
	}
	for _, f := range problems {
		note(failed, f.Account, f.Region)
	}
	count, percent := share(b.Config.Rollout.FailureTolerance)
	for region, accounts := range failed {
		allowed := 0
		switch {
		case count != nil:
			allowed = int(*count)
		case percent != nil:
			allowed = len(reached[region]) * int(*percent) / 100
		}
		if len(accounts) > allowed {
			return false
		}
	}
	return true
}
