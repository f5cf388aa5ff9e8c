package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/scp/apply"
	"github.com/orgguard/orgguard/scp/protect"
)

// reverseOptions are the flags of the commands that take something back.
type reverseOptions struct {
	format    reports.Format
	yes       bool
	dryRun    bool
	breakLock string
}

func reverseFlags() []cli.Flag {
	return []cli.Flag{
		formatFlag(reports.PlanFormats()),
		&cli.BoolFlag{Name: "yes", Usage: "do not ask (for scripts)", EnvVars: []string{"ORGGUARD_YES"}},
		&cli.BoolFlag{Name: "dry-run", Usage: "show the plan and do nothing; exit code 1 when there is something to do"},
		breakLockFlag(),
	}
}

func readReverse(c *cli.Context, s streams) (o reverseOptions, err error) {
	o = reverseOptions{yes: c.Bool("yes"), dryRun: c.Bool("dry-run"), breakLock: c.String("break-lock")}
	if o.format, err = parsePlanFormat(c.String("format")); err != nil {
		return o, err
	}
	// Whoever types both contradicts himself. CI systems have ORGGUARD_YES set for
	// everything that they run, and a dry run among that asks nobody anyway.
	typed := o.yes && c.Count("yes") > 0
	switch {
	case o.dryRun && (typed || o.breakLock != ""):
		err = usage("--dry-run changes nothing: --yes and --break-lock do not go with it")
	case !o.dryRun && !o.yes && !s.inTTY:
		err = usage("%s changes AWS and nobody can be asked here: read `%s --dry-run`, then give --yes", c.Command.Name, c.Command.HelpName)
	}
	return o, err
}

// inReverse runs a command that takes something back.
func inReverse(c *cli.Context, st streams, do func(context.Context, *session, reverseOptions) error) error {
	g, err := readGlobals(c)
	if err != nil {
		return err
	}
	o, err := readReverse(c, st)
	if err != nil {
		return err
	}
	return withSession(c.Context, g, st, writes, func(ctx context.Context, s *session) error { return do(ctx, s, o) })
}

func newUndoCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "undo",
		Usage: "take back what a run changed, in reverse order; without --run list the runs",
		Flags: append(reverseFlags(), &cli.StringFlag{Name: "run", Usage: "the run's `ID`"}),
		Action: func(c *cli.Context) error {
			if c.String("run") == "" {
				g, err := readGlobals(c)
				if err != nil {
					return err
				}
				return listAllRuns(c.Context, g, s)
			}
			return inReverse(c, s, func(ctx context.Context, s *session, o reverseOptions) error {
				l, err := s.keeper(s.journalDir()).Read(ctx, c.String("run"))
				if err != nil {
					return badInput(err)
				}
				if org := l.Header().Organization; org != s.org.ID {
					return usage("run %s wrote to organization %s and this is %s", c.String("run"), org, s.org.ID)
				}
				if readRun(l, new(scpRun)) == nil {
					return usage("run %s was one of scp apply or scp remove: orgguard scp apply --undo %s takes it back", l.Run(), l.Run())
				}
				if err := s.mayWrite(ctx, o); err != nil {
					return err
				}
				p, tasks, err := s.undoOf(ctx, l)
				if err != nil {
					return err
				}
				_, err = s.reverse(ctx, "undo of "+l.Run(), p, tasks, o)
				return err
			})
		},
	}
}

// listAllRuns lists the runs of the directory, and with journal.bucket those of the
// bucket, for which the organization must be known.
func listAllRuns(ctx context.Context, g globals, st streams) error {
	s, err := connectable(ctx, g, st)
	if err != nil {
		return err
	}
	if s.cfg.Journal.Bucket == "" {
		return listRuns(ctx, journal.Keeper{Dir: s.journalDir()}, st)
	}
	return withSession(ctx, g, st, writes, func(ctx context.Context, s *session) error {
		return listRuns(ctx, s.keeper(s.journalDir()), st)
	})
}

// listRuns prints the runs that have a journal, the newest first.
func listRuns(ctx context.Context, k journal.Keeper, s streams) error {
	runs, lerr := k.List(ctx)
	for _, r := range runs {
		outcome := r.Outcome
		switch {
		case r.Problem != "":
			outcome = "damaged: " + r.Problem
		case outcome == "":
			outcome = "cut short, or under way"
		}
		size := fmt.Sprintf("%d writes", r.Writes)
		if r.Place != "" {
			size, outcome = fmt.Sprintf("%d entries", r.Entries), outcome+"  in "+r.Place
		}
		if _, err := fmt.Fprintf(s.out, "%s  %s  %s  %s\n", r.Run, reports.Safe(r.Command), size, reports.Safe(outcome)); err != nil {
			return err
		}
	}
	if lerr != nil || len(runs) > 0 {
		return lerr
	}
	where := k.Dir
	if k.Copy != nil {
		where += " or " + k.Copy.Where()
	}
	_, err := fmt.Fprintf(s.out, "no runs in %s\n", reports.Safe(where))
	return err
}

// undoOf is the plan that takes back what a run did.
func (s *session) undoOf(ctx context.Context, l journal.Log) (plan.Plan, []plan.Task, error) {
	proposal, records := baseline.Proposal{}, l.Steps()
	if slices.ContainsFunc(records, func(r journal.Record) bool { return r.Change.Kind == apply.Kind }) {
		state, err := protect.Observe(ctx, s.pool, s.org)
		if err != nil {
			return plan.Plan{}, nil, err
		}
		proposal.Tasks, proposal.Skipped = protect.Undo(s.org, state, s.pool, l)
	}
	base := s.base.Undo(ctx, s.pool, records)
	tasks := append(proposal.Tasks, base.Tasks...)
	return s.planFor(tasks, append(proposal.Skipped, base.Skipped...), base.Notes), tasks, nil
}

// planFor is the plan of tasks that are already in their order.
func (s *session) planFor(tasks []plan.Task, skipped []plan.Skip, notes []string) plan.Plan {
	return plan.Plan{
		Schema: plan.Schema, GeneratedAt: s.now().UTC(), ToolVersion: version, Organization: s.org.ID,
		Accounts: covered(s.base), Regions: s.base.Regions, Changes: plan.Changes(tasks), Skipped: skipped, Notes: notes,
	}
}

// mayWrite says whether the command may go on; one that only shows may always.
func (s *session) mayWrite(ctx context.Context, o reverseOptions) error {
	if o.dryRun {
		return nil
	}
	return s.unlocked(ctx, o.breakLock)
}

// reverse shows a plan that takes something back, asks, and carries it out. It says
// whether it was carried out.
func (s *session) reverse(ctx context.Context, command string, p plan.Plan, tasks []plan.Task, o reverseOptions) (bool, error) {
	out, format := s.shown(o.format)
	if o.dryRun {
		out, format = s.out, o.format
	}
	s.measure(&p, nil)
	if err := reports.WritePlan(out, format, s.style(), p); err != nil {
		return false, err
	}
	if len(tasks) == 0 || o.dryRun {
		return false, status(planCode(p, ctx.Err() != nil))
	}
	if err := s.confirm(o.yes, len(tasks)); err != nil {
		return false, err
	}
	res, err := s.execute(ctx, command, tasks, plan.Execution{Limit: s.concurrency, Observe: s.say})
	if err != nil {
		return false, err
	}
	if err := reports.WriteResult(s.out, o.format, s.style(), res); err != nil {
		return true, err
	}
	switch {
	case ctx.Err() != nil:
		return true, &exitError{code: exitIncomplete, err: errors.New("interrupted: what was done is above; run it again to go on")}
	case res.Failed() > 0 || p.Blocked() > 0:
		return true, status(exitIncomplete)
	}
	return true, nil
}

func newTeardownCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "teardown",
		Usage: "take away what rollouts made, the SCP first, and keep what holds history; ends with what is left",
		Flags: append(reverseFlags(),
			&cli.BoolFlag{Name: "delete-history", Usage: "delete orgguard's recorders, and the log bucket if it is empty, too"},
			&cli.BoolFlag{Name: "restore-recorders", Usage: "give adopted and replaced recorders, and adopted trails, back as they were before, from the journals"}),
		Action: func(c *cli.Context) error {
			return inReverse(c, s, func(ctx context.Context, s *session, o reverseOptions) error {
				return runTeardown(ctx, s, o, baseline.History(c.Bool("delete-history")), c.Bool("restore-recorders"))
			})
		},
	}
}

func runTeardown(ctx context.Context, s *session, o reverseOptions, h baseline.History, restore bool) error {
	if err := s.mayWrite(ctx, o); err != nil {
		return err
	}
	state, err := protect.Observe(ctx, s.pool, s.org)
	if err != nil {
		return err
	}
	tasks := protect.Teardown(s.org, state, s.pool)
	proposal := s.base.Teardown(ctx, s.pool, h, s.workers())
	if restore {
		records, err := s.adoptions(ctx)
		if err != nil {
			return err
		}
		back := s.base.Undo(ctx, s.pool, records)
		tasks = append(tasks, back.Tasks...)
		proposal.Skipped = append(proposal.Skipped, back.Skipped...)
	}
	tasks = append(tasks, proposal.Tasks...)
	proposal.Notes = append(proposal.Notes, "trusted access of StackSets and the policy type stay on: others may need them")
	p := s.planFor(tasks, proposal.Skipped, proposal.Notes)
	done, err := s.reverse(ctx, "teardown", p, tasks, o)
	var said *exitError
	if err != nil && (!errors.As(err, &said) || said.err != nil) {
		return err
	}
	if !done && len(tasks) > 0 {
		return err
	}
	left := s.base.Remains(ctx, s.pool, h, s.workers())
	out, _ := s.shown(o.format)
	if len(left) == 0 {
		_, werr := fmt.Fprintln(out, "\nNothing is left of what orgguard makes.")
		return errors.Join(err, werr)
	}
	fmt.Fprintf(out, "\nLeft (%d):\n", len(left))
	for _, l := range left {
		fmt.Fprintf(out, "  %s %s: %s\n", l.Account, l.Region, reports.Safe(l.Reason))
	}
	return err
}

// adoptions are the adoptions of recorders in all journals of the organization:
// of each recorder the first, which has what there was before orgguard came.
func (s *session) adoptions(ctx context.Context) ([]journal.Record, error) {
	runs, err := s.keeper(s.journalDir()).List(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var out []journal.Record
	for _, r := range slices.Backward(runs) { // the oldest first
		if r.Organization != s.org.ID {
			continue
		}
		l, err := s.keeper(s.journalDir()).Read(ctx, r.Run)
		if err != nil {
			return nil, &orgs.Hinted{Err: fmt.Errorf("journal of run %s: %w", r.Run, err), Next: "without --restore-recorders the adopted recorders stay as they are"}
		}
		for _, step := range l.Steps() {
			if (step.Change.Kind == "repair" || step.Change.Kind == "replace") && step.Was != nil && len(step.Change.Targets) == 1 {
				key := step.Change.Targets[0]
				if strings.HasPrefix(step.Change.Resource, "trail ") {
					key += " trail" // a recorder may be there too
				}
				if seen[key] {
					continue
				}
				seen[key] = true
				out = append(out, step)
			}
		}
	}
	return out, nil
}
