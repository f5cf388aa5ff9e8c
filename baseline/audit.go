package baseline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// Audit is what looking at the accounts brought.
type Audit struct {
	// Findings are those that a report lists, sorted: without all, what is in
	// sync or does not apply is only counted.
	Findings []finding.Finding
	// Counted are the findings that are not in Findings.
	Counted finding.Summary
	// Accounts are those that any finding is about, counted ones too.
	Accounts map[string]bool
	// Notes say what else was asked than the accounts, and what that cannot see.
	Notes []string
}

// Audit looks at every resource that the filter leaves, as Inspect does, and at
// what CloudFormation says of the stack sets, and turns it into findings as it
// comes in: what is as it should be is counted and forgotten. An unknown name in
// the filter and a broken template are errors; whatever else cannot be looked at
// is a finding.
func (b *Baseline) Audit(ctx context.Context, pool *access.Pool, f Filter, workers int, all bool, progress Progress) (Audit, error) {
	r, err := f.resolve(b)
	if err != nil {
		return Audit{}, err
	}
	out := Audit{Accounts: map[string]bool{}}
	var mu sync.Mutex
	var sets StackSets
	var loaded bool
	var waiting [][]Inspection // cells that were done before CloudFormation had answered
	var sw *sweep
	take := func(found []Inspection) {
		for _, f := range b.Findings(found, sets) {
			out.Accounts[f.Account] = true
			if all || !f.Settled() {
				out.Findings = append(out.Findings, f)
			} else {
				out.Counted.Add(f.Status, 1)
			}
		}
		for _, in := range found {
			if f, ok := b.disagreement(sw, in); ok {
				out.Findings = append(out.Findings, f)
			}
		}
	}
	var g errgroup.Group
	answered := make(chan struct{})
	g.Go(func() error {
		defer close(answered)
		asked := b.auditStackSets(ctx, pool, f)
		if f.DetectDrift {
			b.DetectDrift(ctx, pool, asked)
		}
		mu.Lock()
		defer mu.Unlock()
		sets, loaded = asked, true
		for _, found := range waiting {
			take(found)
		}
		waiting = nil
		return nil
	})
	var note string
	g.Go(func() error {
		swept, why, err := b.sweepFor(ctx, pool, f, r)
		if err != nil {
			return err
		}
		if swept != nil {
			<-answered // cells that nobody needs to ask are done at once, and would all wait
		}
		mu.Lock()
		sw, note = swept, why
		mu.Unlock()
		return b.each(ctx, pool, b.cells(r), workers, swept, b.counting(r, progress), func(_ int, found []Inspection) {
			mu.Lock()
			defer mu.Unlock()
			if loaded {
				take(found)
			} else {
				for i := range found {
					found[i].slim(all)
				}
				waiting = append(waiting, found)
			}
		})
	})
	if err := g.Wait(); err != nil {
		return Audit{}, err
	}
	for _, f := range b.undetected(sets) {
		out.Accounts[f.Account] = true
		out.Findings = append(out.Findings, f)
	}
	out.Notes = slices.DeleteFunc([]string{note, sw.note(), sets.DriftNote()}, func(text string) bool { return text == "" })
	finding.Sort(out.Findings)
	return out, nil
}

// slim drops what no finding needs of a resource that is in sync, for as long as it
// waits. named keeps its name.
func (in *Inspection) slim(named bool) {
	if in.Err != nil || len(in.Mismatches) > 0 {
		return
	}
	in.how = in.asFound()
	in.State = nil
	props := in.Resource.Props
	in.Resource.Props = nil
	if k := kinds[in.Resource.Type]; named && props[k.nameProp] != nil {
		in.Resource.Props = map[string]any{k.nameProp: props[k.nameProp]}
	}
}

// Findings turns what was inspected into findings. sets is what CloudFormation
// says of the stack sets, nil when nobody asked; where it disagrees with the
// accounts, the findings say so.
func (b *Baseline) Findings(inspected []Inspection, sets StackSets) []finding.Finding {
	var out []finding.Finding
	seen := map[string]bool{}
	for _, in := range inspected {
		for _, f := range b.findingsOf(in, sets) {
			// A cell that could not be looked at has one reason, not one for
			// each resource of a control.
			if f.Resource == "" {
				key := strings.Join([]string{f.Account, f.Region, f.Control, string(f.Status), f.Reason}, "\x00")
				if seen[key] {
					continue
				}
				seen[key] = true
			}
			out = append(out, f)
		}
	}
	out = append(out, b.disagreements(inspected, sets)...)
	out = append(out, b.driftFindings(inspected, sets)...)
	finding.Sort(out)
	return out
}

// findingsOf turns one inspection into its findings.
func (b *Baseline) findingsOf(in Inspection, sets StackSets) []finding.Finding {
	c := b.control(in.Resource.Control)
	base := finding.Finding{
		Account: string(in.Account.ID), AccountName: in.Account.Name, OUPath: in.Account.OUPath,
		Region: label(in.Resource, in.Region), Control: c.ID, Severity: c.Severity,
	}
	one := func(status finding.Status, reason string) []finding.Finding {
		base.Status, base.Reason = status, reason
		return []finding.Finding{base}
	}
	switch {
	case in.Account.Excluded != "":
		return one(finding.Exempt, "excluded by the configuration: "+in.Account.Excluded)
	case in.Off != "":
		return one(finding.NotApplicable, in.Off)
	case in.Waived != "":
		return one(finding.NotApplicable, in.Waived)
	case in.Err != nil:
		base.Fix = b.whyNot(in)
		return one(finding.NotAssessed, orgs.Reason(in.Err))
	case len(in.Mismatches) == 0:
		base.Resource = in.Resource.label()
		return one(finding.InSync, cmp.Or(in.Swept, in.how, in.asFound()))
	}
	base.Resource = in.Resource.label()
	against := sets.against(in)
	out := make([]finding.Finding, len(in.Mismatches))
	for i, m := range in.Mismatches {
		f := base
		f.Status, f.Reason, f.Expected, f.Actual = finding.Drift, m.Reason, m.Expected, m.Actual
		f.Fix = b.fixOf(in, m)
		f.CloudFormation = against
		a := b.about(in.Account, m)
		f.Account, f.AccountName, f.OUPath = string(a.ID), a.Name, a.OUPath
		if age, young := b.young(a.Account); young && !b.Strict && in.awaits(m) {
			f.Status = finding.Exempt
			f.Reason += fmt.Sprintf(": the account joined %s ago, and audit.grace gives it %s", age, b.Config.Audit.Grace)
		}
		out[i] = f
	}
	return out
}

// asFound says how what is in order came to be so.
func (in Inspection) asFound() string {
	if name, controlTower, yes := foreign(in.State); yes && controlTower {
		return name + " is in order, as Control Tower has set it up"
	}
	return "as configured"
}

// young says that an account joined the organization so short a time ago that what it
// lacks is no drift yet, and how long ago.
func (b *Baseline) young(a orgs.Account) (age time.Duration, young bool) {
	if b.At.IsZero() || a.Joined.IsZero() {
		return 0, false
	}
	age = max(b.At.Sub(a.Joined), 0).Truncate(time.Second)
	return age, age < b.Config.Audit.Grace
}

// awaits says that a mismatch is of what a rollout or a stack set has not brought
// yet, and not of what somebody made otherwise.
func (in Inspection) awaits(m Mismatch) bool {
	return in.Absent || in.unit != nil && in.unit.direct && (m.Verb == "create" || m.Verb == "enable")
}

// fixOf is the next step for a mismatch. A rollout mends most; it leaves recorders
// alone that it was told to keep, and those of Control Tower.
func (b *Baseline) fixOf(in Inspection, m Mismatch) string {
	name, controlTower, foreign := foreign(in.State)
	switch {
	case m.Manual != "":
		return m.Manual
	case foreign && controlTower:
		return "mend " + name + " in Control Tower: a rollout leaves it alone"
	case foreign && b.replaces(in.unit.unit, in.Account.ID):
		return "orgguard rollout   # which deletes " + name
	case foreign && !b.adopts(in.unit.unit, in.Account.ID):
		return "mend " + name + " by hand, or let a rollout adopt it: existing: adopt"
	}
	return "orgguard rollout"
}

// whyNot is the next step when an account could not be looked at.
func (b *Baseline) whyNot(in Inspection) string {
	var role *access.RoleError
	age, young := b.young(in.Account.Account)
	switch {
	case errors.Is(in.Err, context.Canceled) || errors.Is(in.Err, context.DeadlineExceeded):
		return "run the audit again"
	case young:
		return fmt.Sprintf("the account joined %s ago, and AWS may still be setting it up: run the audit again in an hour", age)
	case errors.As(in.Err, &role):
		return fmt.Sprintf("check that role %s exists in account %s and trusts this caller, or exclude the account with a reason", role.Role, role.Account)
	case orgs.Denied(in.Err):
		return "let the access role do this; `orgguard permissions` prints what an audit needs"
	}
	return "run the audit again; if it stays, see the reason"
}

// disagreements are stack instances of which CloudFormation does not say CURRENT
// although the account holds everything they deploy, so that the accounts' own
// findings do not show them.
func (b *Baseline) disagreements(inspected []Inspection, sets StackSets) []finding.Finding {
	if sets == nil {
		return nil
	}
	type key struct {
		unit    string
		account orgs.AccountID
		region  string
	}
	clean := map[key]bool{}
	at := map[key]Inspection{}
	var order []key
	for _, in := range inspected {
		if in.unit == nil || !in.unit.everywhere() || in.Account.Excluded != "" || in.Off != "" || in.Waived != "" || in.Err != nil {
			continue
		}
		k := key{in.unit.ID, in.Account.ID, in.Region}
		if _, ok := at[k]; !ok {
			at[k], clean[k] = in, true
			order = append(order, k)
		}
		clean[k] = clean[k] && len(in.Mismatches) == 0
	}
	var out []finding.Finding
	for _, k := range order {
		in := at[k]
		status := sets.says(in)
		if !clean[k] || status == "" || status == "CURRENT" {
			continue
		}
		inst, _ := sets[in.unit.ID].instance(in.Account.ID, in.Region)
		out = append(out, finding.Finding{
			Account: string(in.Account.ID), AccountName: in.Account.Name, OUPath: in.Account.OUPath,
			Region: in.Region, Control: in.Resource.Control, Severity: finding.Low, Status: finding.Drift,
			Resource: "stack instance of " + in.unit.Stack,
			Reason:   "CloudFormation says " + status + " although everything it deploys is in place",
			Expected: "CURRENT", Actual: strings.TrimSpace(status + " " + inst.Reason), Fix: "orgguard rollout",
			CloudFormation: status,
		})
	}
	return out
}

// Exempt marks drift that the configuration accepts. An exemption that has ended
// leaves the drift as it is and says so; of several, the one that ended last. It
// returns the exemptions that have ended and cover no drift, which may go.
func Exempt(exemptions []spec.Exemption, org *orgs.Organization, fs []finding.Finding, now time.Time) (spent []spec.Exemption) {
	aims := make([]aim, len(exemptions))
	for i, e := range exemptions {
		aims[i], _ = aimOf(e, org)
	}
	used := make([]bool, len(exemptions))
	for i := range fs {
		f := &fs[i]
		if f.Status != finding.Drift {
			continue
		}
		for j, e := range exemptions {
			if !covers(e, aims[j], org, *f) {
				continue
			}
			used[j] = true
			x := &finding.Exemption{Reason: e.Reason, Owner: e.Owner, Until: e.Until.String(), Expired: e.Until.Over(now)}
			if !x.Expired {
				f.Status, f.Exemption, f.Fix = finding.Exempt, x, ""
				break
			}
			if f.Exemption == nil || f.Exemption.Until < x.Until {
				f.Exemption = x
			}
		}
	}
	for j, e := range exemptions {
		if e.Until.Over(now) && !used[j] {
			spent = append(spent, e)
		}
	}
	return spent
}

// aim is what an exemption names: an OU, an account, or all accounts; nothing where
// there is no such thing.
type aim struct {
	ou      orgs.NodeID
	account orgs.AccountID
	all     bool
}

// aimOf looks up what an exemption names. A number is an account's own, whatever others
// are called: the administrator of an account may name it as another one.
func aimOf(e spec.Exemption, org *orgs.Organization) (aim, error) {
	switch {
	case e.OU != "":
		ou, err := org.FindOU(e.OU)
		return aim{ou: ou.ID}, err
	case e.Account == "*":
		return aim{all: true}, nil
	}
	a, err := org.FindAccount(e.Account)
	return aim{account: a.ID}, err
}

// Aimless says of which exemptions nobody can tell whom they mean, and why: they accept
// nothing.
func Aimless(exemptions []spec.Exemption, org *orgs.Organization) (problems []error) {
	for _, e := range exemptions {
		if _, err := aimOf(e, org); err != nil {
			problems = append(problems, fmt.Errorf("the exemption from %s (%s) accepts nothing: %w", e.Control, e.Reason, err))
		}
	}
	return problems
}

// covers says whether an exemption, which names to, is about the finding.
func covers(e spec.Exemption, to aim, org *orgs.Organization, f finding.Finding) bool {
	any := func(want, have string) bool { return want == "*" || want == have }
	if !any(e.Control, f.Control) || !any(e.Region, f.Region) {
		return false
	}
	if to.ou != "" {
		a, ok := org.Account(orgs.AccountID(f.Account))
		return ok && org.Under(a.Parent, to.ou)
	}
	return to.all || to.account != "" && f.Account == string(to.account)
}
