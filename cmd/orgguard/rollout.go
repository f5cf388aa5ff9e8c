package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/reports"
)

var errConsolidated = errors.New("the organization has consolidated billing only: neither StackSets nor service control policies work in it")

// rolloutOptions are rollout's own flags.
type rolloutOptions struct {
	format reports.Format
	yes    bool
	plan   *plan.Plan // carry out exactly this; nil: what is due now
}

func newRolloutCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "rollout",
		Usage: "plan, ask, put the baseline and the SCP in place, and verify",
		Flags: []cli.Flag{
			formatFlag(reports.PlanFormats()),
			&cli.StringFlag{Name: "plan", Usage: "carry out the plan saved in `FILE`, and nothing if anything is different by now"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask (for scripts)", EnvVars: []string{"ORGGUARD_YES"}},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			o := rolloutOptions{yes: c.Bool("yes")}
			if o.format, err = parsePlanFormat(c.String("format")); err != nil {
				return err
			}
			if o.plan, err = readPlan(c.String("plan")); err != nil {
				return badInput(err)
			}
			if !o.yes && !s.inTTY {
				return usage("rollout changes AWS and nobody can be asked here: read `orgguard plan`, then give --yes")
			}
			return withSession(c.Context, g, s, writes, func(ctx context.Context, s *session) error { return runRollout(ctx, s, o) })
		},
	}
}

// readPlan reads a saved plan; nil when no file is named.
func readPlan(file string) (*plan.Plan, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the saved plan: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	p, err := plan.Read(f)
	if err != nil {
		return nil, fmt.Errorf("read the saved plan %s: %w", file, err)
	}
	return &p, nil
}

// upToDate refuses a saved plan when the organization is not as it was when the
// plan was made.
func upToDate(saved, now plan.Plan) error {
	if saved.Organization != now.Organization {
		return usage("the saved plan is for organization %s and this is %s", saved.Organization, now.Organization)
	}
	if stale := plan.Stale(saved.Changes, now.Changes); len(stale) > 0 {
		return &exitError{code: exitDrift, err: &orgs.Hinted{
			Err:  fmt.Errorf("the saved plan is stale, nothing was changed:\n%s", strings.Join(stale, "\n")),
			Next: "make a new one: orgguard plan --out FILE",
		}}
	}
	return nil
}

// runRollout shows the plan, carries it out and verifies it.
func runRollout(ctx context.Context, s *session, o rolloutOptions) error {
	p, tasks, err := makePlan(ctx, s)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return &exitError{code: exitIncomplete, err: fmt.Errorf("interrupted before anything was changed: %w", ctx.Err())}
	}
	if o.plan != nil {
		if err := upToDate(*o.plan, p); err != nil {
			return err
		}
	}
	if len(p.Changes) == 0 {
		if err := reports.WritePlan(s.out, o.format, s.style(), p); err != nil {
			return err
		}
		return status(planCode(p, false))
	}
	shown := s.out
	if o.format == reports.JSON {
		shown = s.err // stdout carries the result alone
	}
	planFormat := o.format
	if planFormat == reports.JSON {
		planFormat = reports.Table
	}
	if err := reports.WritePlan(shown, planFormat, s.style(), p); err != nil {
		return err
	}
	if !o.yes {
		if ok, err := s.ask(fmt.Sprintf("Make these %d changes?", len(p.Changes))); err != nil || !ok {
			s.note("nothing was changed")
			return status(exitDrift)
		}
	}
	res := plan.Execute(ctx, tasks, s.concurrency, s.say)
	if err := reports.WriteResult(s.out, o.format, s.style(), res); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return &exitError{code: exitIncomplete, err: errors.New("interrupted: what was done is above; run the rollout again to go on")}
	}
	return s.verify(ctx, p, res, o)
}

// verify audits the organization after a rollout: what AWS accepted is not yet
// what is there.
func (s *session) verify(ctx context.Context, p plan.Plan, res plan.Result, o rolloutOptions) error {
	if err := s.load(ctx); err != nil { // the rollout may have changed it
		return fmt.Errorf("verify the rollout: %w", err)
	}
	a, err := runAudit(ctx, s, auditOptions{})
	if err != nil {
		return fmt.Errorf("verify the rollout: %w", err)
	}
	out := s.out
	if o.format == reports.JSON {
		out = s.err
	}
	if _, err := fmt.Fprintln(out, "\nVerified by an audit of all accounts:"); err != nil {
		return err
	}
	format := o.format
	if format == reports.JSON {
		format = reports.Table
	}
	if err := reports.Write(out, format, s.style(), a); err != nil {
		return err
	}
	code := auditCode(a)
	if res.Failed() > 0 || p.Blocked() > 0 {
		code = exitIncomplete
	}
	return status(code)
}

// ask asks a yes-or-no question on the terminal.
func (s *session) ask(question string) (bool, error) {
	fmt.Fprintf(s.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil && line == "" {
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

// say tells on stderr what a rollout is doing.
func (s *session) say(e plan.Event) {
	if s.quiet {
		return
	}
	where := e.Change.Account
	if e.Change.AccountName != "" {
		where += " " + reports.Safe(e.Change.AccountName)
	}
	what := fmt.Sprintf("%s %s (%s, %s)", e.Change.Verb, reports.Safe(e.Change.Resource), where, e.Change.Region)
	switch {
	case e.Outcome == nil:
		if s.verbose {
			fmt.Fprintf(s.err, "       %s …\n", what)
		}
	case e.Outcome.Err != "":
		fmt.Fprintf(s.err, "[%d/%d] FAILED %s\n", e.Done, e.Total, what)
	case len(e.Outcome.Failures) > 0:
		fmt.Fprintf(s.err, "[%d/%d] done, %d failed: %s\n", e.Done, e.Total, len(e.Outcome.Failures), what)
	default:
		fmt.Fprintf(s.err, "[%d/%d] %s in %s\n", e.Done, e.Total, what, e.Outcome.Took.Round(time.Millisecond))
	}
}
