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
// people to mend (see Look) is no sign that the wave went wrong. Where it cannot look,
// because the account does not let it in, nothing is known: that is neither right nor
// wrong, and blind.
func (b *Baseline) VerifyWave(ctx context.Context, pool *access.Pool, before *Look, outcomes []plan.Outcome, workers int) (problems, blind []plan.Failure) {
	cells := b.changedCells(outcomes)
	known := map[string]bool{}
	for _, in := range before.Inspected {
		for _, m := range in.Mismatches {
			known[in.problem(m)] = true
		}
	}
	for i := 0; ; i++ {
		v := b.verifyCells(ctx, pool, cells, known, workers)
		if i == 0 {
			blind = v.closed
		}
		problems, cells = v.wrong, v.again
		if len(problems)+len(v.unseen) == 0 || i >= len(settling) || orgs.Pause(ctx, settling[i]) != nil {
			return problems, slices.Concat(blind, v.unseen)
		}
	}
}

// sight is what a look at cells gave.
type sight struct {
	wrong  []plan.Failure
	unseen []plan.Failure // an API refused or failed; it may answer later
	closed []plan.Failure // the account cannot be entered; asking again is of no use
	again  []cell         // to be looked at once more
}

// problem names a mismatch.
func (in Inspection) problem(m Mismatch) string {
	return strings.Join([]string{string(in.Account.ID), in.Region, in.Resource.label(), m.Reason, string(m.Account)}, "\x00")
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

// verifyCells looks at cells.
func (b *Baseline) verifyCells(ctx context.Context, pool *access.Pool, cells []cell, known map[string]bool, workers int) sight {
	var v sight
	bad := map[string]bool{}
	found, _ := b.inspectCells(ctx, pool, listed(cells), workers, nil) // their templates have been evaluated
	unseen := map[string]bool{}
	for _, in := range found {
		f := plan.Failure{Account: string(in.Account.ID), AccountName: in.Account.Name, Region: in.Region}
		key := instanceKey(in.Account.ID, in.Region)
		if in.Err != nil {
			if f.Status, f.Reason, f.Fix = notAssessed, orgs.Reason(in.Err), b.whyNot(in); unseen[key] {
				continue
			}
			unseen[key] = true
			if closed(in.Err) {
				v.closed = append(v.closed, f)
				continue
			}
			v.unseen, bad[key] = append(v.unseen, f), true
			continue
		}
		for _, m := range in.Mismatches {
			if m.Manual != "" && (m.Waits || known[in.problem(m)]) {
				continue
			}
			f.Status, f.Reason, f.Fix = "NOT_VERIFIED", in.Resource.label()+": "+m.Reason, m.Manual
			if a := b.about(in.Account, m); m.Account != "" {
				f.Account, f.AccountName = string(a.ID), a.Name
			}
			v.wrong = append(v.wrong, f)
			bad[key] = true
		}
	}
	for _, c := range cells {
		if bad[instanceKey(c.account.ID, c.region)] {
			v.again = append(v.again, c)
		}
	}
	return v
}

// notAssessed is the status of an account × Region in which nobody could look.
const notAssessed = "NOT_ASSESSED"

// closed says whether an account does not let anybody in.
func closed(err error) bool {
	role := (*access.RoleError)(nil)
	return errors.As(err, &role)
}

// Blind says what becomes of accounts in which nobody can look.
type Blind bool

// The choices.
const (
	// WithinTolerance takes as many of them as rollout.failure_tolerance allows.
	WithinTolerance Blind = false
	// Accepted takes all of them: somebody said so.
	Accepted Blind = true
)

// Tolerates says why a wave may not count as done: "" when it may. Accounts that
// failed, by an operation or in the wave's verification, must be as few as
// rollout.failure_tolerance allows: in every Region for itself, a share being one of
// the accounts that the wave reached there, rounded down as StackSets does.
//
// Accounts in which nobody could look count as well, unless they are accepted. There
// AWS says that the changes were made, and so a share is rounded up for them: 5% of
// twelve accounts excuses one that does not let anybody in, and 0 excuses none. But a
// wave is not verified when nobody could look at anything of it in a Region.
func (b *Baseline) Tolerates(outcomes []plan.Outcome, problems, blind []plan.Failure, choice Blind) string {
	reached, failed, unseen := cellSet{}, cellSet{}, cellSet{}
	for _, o := range outcomes {
		for _, k := range o.Change.Targets {
			account, region, _ := strings.Cut(k, "/")
			reached.add(region, account)
		}
		for _, f := range o.Failures {
			failed.add(f.Region, f.Account)
		}
	}
	for _, f := range problems {
		failed.add(f.Region, f.Account)
	}
	for region, accounts := range failed {
		if len(accounts) > b.tolerance(len(reached[region]), down) {
			return "more accounts failed than rollout.failure_tolerance (" + b.Config.Rollout.FailureTolerance + ") allows"
		}
	}
	if choice == Accepted {
		return ""
	}
	for _, f := range blind {
		if !failed[f.Region][f.Account] {
			unseen.add(f.Region, f.Account)
		}
	}
	for _, region := range sortedKeys(unseen) {
		if why := b.excuses(len(unseen[region]), len(failed[region]), len(reached[region]), "in "+region); why != "" {
			return why
		}
	}
	return ""
}

// cellSet is accounts by Region.
type cellSet map[string]map[string]bool

func (s cellSet) add(region, account string) {
	if s[region] == nil {
		s[region] = map[string]bool{}
	}
	s[region][account] = true
}

// rounding is how a share becomes a number of accounts.
type rounding bool

const (
	down rounding = false
	up   rounding = true
)

// tolerance is how many of so many accounts rollout.failure_tolerance allows.
func (b *Baseline) tolerance(of int, r rounding) int {
	count, percent := share(b.Config.Rollout.FailureTolerance)
	switch {
	case count != nil:
		return int(*count)
	case percent == nil:
		return 0
	case r == up:
		return (of*int(*percent) + 99) / 100
	}
	return of * int(*percent) / 100
}

// excuses says why so many accounts in which nobody could look are too many: "" when
// they are not.
func (b *Baseline) excuses(blind, failed, of int, where string) string {
	const say = "let the access role in, exclude them with a reason, or say --accept not-assessed"
	switch {
	case blind == 0:
		return ""
	case blind >= of:
		return fmt.Sprintf("nobody could look into any of the %d accounts %s: %s", of, where, say)
	case blind+failed > b.tolerance(of, up):
		return fmt.Sprintf("nobody could look into %d of %d accounts %s, and rollout.failure_tolerance (%s) excuses %d: %s", blind, of, where, b.Config.Rollout.FailureTolerance, b.tolerance(of, up), say)
	}
	return ""
}

// Unprotectable says why a policy that protects the baseline may not be attached above
// the accounts that are under some nodes: "" when it may. It is for accounts where the
// baseline stands. Where nobody can look, AWS has said so at best, and as many of these
// are excused as Tolerates excuses. named are those accounts.
func (b *Baseline) Unprotectable(l *Look, under func(orgs.Account) bool) (why string, named []string) {
	of := 0
	blind := map[orgs.AccountID]bool{}
	for _, in := range l.Inspected {
		if in.Err != nil {
			blind[in.Account.ID] = true
		}
	}
	n := 0
	for _, a := range b.Accounts {
		if a.Excluded != "" || a.State != orgs.StateActive || a.ID == b.Org.ManagementAccount || !under(a.Account) {
			continue
		}
		of++
		if blind[a.ID] {
			n++
			named = append(named, strings.TrimSpace(string(a.ID)+" "+a.Name))
		}
	}
	return b.excuses(n, 0, of, "that the policy reaches"), named
}
