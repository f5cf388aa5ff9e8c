package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
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
	only   []string   // what it is narrowed to
	// pause asks before every wave but the first one; stopAfter ends the run
	// after that wave, 0 after the last one.
	pause     bool
	stopAfter int
	breakLock string
}

func newRolloutCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "rollout",
		Usage: "plan, ask, put the baseline and the SCP in place, and verify",
		Flags: []cli.Flag{
			formatFlag(reports.PlanFormats()),
			onlyFlag(),
			&cli.BoolFlag{Name: "pause", Usage: "ask between the waves whether to go on"},
			&cli.IntFlag{Name: "stop-after", Usage: "stop after wave `N`; the next rollout goes on there"},
			acceptBlindFlag(),
			breakLockFlag(),
			&cli.StringFlag{Name: "plan", Usage: "carry out the plan saved in `FILE`, and nothing if anything is different by now"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask (for scripts)", EnvVars: []string{"ORGGUARD_YES"}},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			o := rolloutOptions{yes: c.Bool("yes"), only: c.StringSlice("only"), pause: c.Bool("pause"), stopAfter: c.Int("stop-after"), breakLock: c.String("break-lock")}
			if err := o.check(c.IsSet("stop-after"), s); err != nil {
				return err
			}
			if o.format, err = parsePlanFormat(c.String("format")); err != nil {
				return err
			}
			blind, err := readBlind(c)
			if err != nil {
				return err
			}
			if o.plan, err = readPlan(c.String("plan")); err != nil {
				return badInput(err)
			}
			if o.plan != nil {
				if len(o.only) > 0 {
					return usage("--plan and --only exclude each other: a saved plan says itself what it is narrowed to")
				}
				o.only = o.plan.Only
			}
			if !o.yes && !s.inTTY {
				return usage("rollout changes AWS and nobody can be asked here: read `orgguard plan`, then give --yes")
			}
			return withSession(c.Context, g, s, writes, func(ctx context.Context, s *session) error {
				s.blind = blind
				return runRollout(ctx, s, o)
			})
		},
	}
}

// check reports flags that make no sense.
func (o rolloutOptions) check(stops bool, s streams) error {
	if _, err := parseOnly(o.only); err != nil {
		return err
	}
	switch {
	case stops && o.stopAfter < 1:
		return usage("--stop-after %d: want the number of a wave, from 1; orgguard plan shows them", o.stopAfter)
	case o.pause && !s.inTTY:
		return usage("--pause asks between the waves and nobody can be asked here: use --stop-after N, and run the rollout again to go on")
	}
	return nil
}

// readPlan reads a saved plan; nil when no file is named.
func readPlan(file string) (*plan.Plan, error) {
	if file == "" {
		return nil, nil
	}
	return readSaved("plan", file, plan.Read)
}

// readSaved reads what a command has saved earlier; what is how people call it.
func readSaved[T any](what, file string, read func(io.Reader) (T, error)) (*T, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the saved %s: %w", what, err)
	}
	defer f.Close() //nolint:errcheck // only read
	v, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("read the saved %s %s: %w", what, file, err)
	}
	return &v, nil
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
	if err := s.unlocked(ctx, o.breakLock); err != nil {
		return err
	}
	made, err := planOf(ctx, s, o.only)
	if err != nil {
		return err
	}
	p, tasks := made.Plan, made.tasks
	if n := len(p.Waves); o.stopAfter > n {
		if n == 0 {
			return usage("--stop-after %d: the configuration has no waves (rollout.waves)", o.stopAfter)
		}
		return usage("--stop-after %d: there are %d waves", o.stopAfter, n)
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
	shown, format := s.shown(o.format)
	if err := reports.WritePlan(shown, format, s.style(), p); err != nil {
		return err
	}
	if err := s.confirm(o.yes, len(p.Changes)); err != nil {
		return err
	}
	run := plan.Execution{Limit: s.concurrency, Observe: s.say, AfterWave: s.afterWave(made, o)}
	if o.stopAfter > 0 {
		tasks = stopBefore(tasks, o.stopAfter)
	}
	res, err := s.execute(ctx, "rollout", tasks, run)
	if err != nil {
		return err
	}
	for i, w := range res.Waves {
		res.Waves[i].Name = made.Waves[w.Number-1].Name
	}
	if err := reports.WriteResult(s.out, o.format, s.style(), res); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return &exitError{code: exitIncomplete, err: errors.New("interrupted: what was done is above; run the rollout again to go on")}
	}
	return s.verify(ctx, made, res, o)
}

// afterWave verifies a wave by a live audit of what it changed, and asks whether to
// go on if that is wanted.
func (s *session) afterWave(made madePlan, o rolloutOptions) func(context.Context, int, []plan.Outcome, int) plan.WaveOutcome {
	return func(ctx context.Context, wave int, outcomes []plan.Outcome, left int) plan.WaveOutcome {
		w := plan.WaveOutcome{Number: wave, Status: plan.WaveVerified}
		if made.look != nil {
			w.Problems, w.NotAssessed = s.base.VerifyWave(ctx, s.pool, made.look, outcomes, s.workers())
		}
		why := s.base.Tolerates(outcomes, w.Problems, w.NotAssessed, s.blind)
		switch {
		case ctx.Err() != nil:
			w.Status, w.Reason = plan.WaveFailed, "interrupted while it was verified"
		case why != "":
			w.Status, w.Reason = plan.WaveFailed, why
		case o.pause && left > 0:
			ok, err := s.ask(fmt.Sprintf("%s is done and verified. Go on with the other %d changes?", waveName(made.Waves, wave), left))
			if err != nil || !ok {
				w.Status, w.Reason = plan.WaveStopped, "as asked for"
			}
		}
		if w.Status == plan.WaveVerified {
			s.note("%s: done and verified", waveName(made.Waves, wave))
			if n := len(w.NotAssessed); n > 0 {
				s.note("%s: NOT ASSESSED in %d account × Region: nobody could look there", waveName(made.Waves, wave), n)
			}
		}
		return w
	}
}

// waveName is how people call a wave.
func waveName(waves []plan.Wave, number int) string {
	for _, w := range waves {
		if w.Number == number {
			return fmt.Sprintf("wave %d of %d (%s)", number, len(waves), w.Name)
		}
	}
	return fmt.Sprintf("wave %d", number)
}

// verify audits the organization after a rollout: what AWS accepted is not yet
// what is there. A rollout that did not come to its last wave was verified wave by
// wave, and an audit would only list what is still to come.
func (s *session) verify(ctx context.Context, made madePlan, res plan.Result, o rolloutOptions) error {
	failed := made.Blocked() > 0 || res.NotAssessed() > 0 || res.Failed() > 0 && !halted(res)
	if left := len(made.Changes) - len(res.Outcomes); left > 0 || halted(res) || waveFailed(res) {
		s.note("not all waves are done: run the rollout again to go on where it stopped")
		if failed {
			return status(exitIncomplete)
		}
		return status(exitDrift)
	}
	filter, err := parseOnly(o.only)
	if err != nil {
		return err
	}
	if len(filter.Controls) == 0 && filter.SomeAccounts() {
		filter.Controls = s.base.Controls() // the SCP was not asked for
	}
	if err := s.load(ctx); err != nil { // the rollout may have changed it
		return fmt.Errorf("verify the rollout: %w", err)
	}
	s.base.Strict = true
	a, err := runAudit(ctx, s, auditOptions{filter: filter})
	if err != nil {
		return fmt.Errorf("verify the rollout: %w", err)
	}
	out, format := s.shown(o.format)
	what := "all accounts"
	if len(o.only) > 0 {
		what = "what it was narrowed to"
	}
	if _, err := fmt.Fprintln(out, "\nVerified by an audit of "+what+":"); err != nil {
		return err
	}
	if err := reports.Write(out, format, s.style(), a); err != nil {
		return err
	}
	code := auditCode(a, "any")
	if failed {
		code = exitIncomplete
	}
	return status(code)
}

// halted says whether all that a rollout did not do is what somebody held back
// between two waves.
func halted(res plan.Result) bool {
	return slices.ContainsFunc(res.Waves, func(w plan.WaveOutcome) bool { return w.Status == plan.WaveStopped }) &&
		!slices.ContainsFunc(res.Outcomes, func(o plan.Outcome) bool { return o.Err != "" || len(o.Failures) > 0 })
}

// waveFailed says whether a wave did not stand its verification.
func waveFailed(res plan.Result) bool {
	return slices.ContainsFunc(res.Waves, func(w plan.WaveOutcome) bool { return w.Status == plan.WaveFailed })
}

// ask asks a yes-or-no question on the terminal.
func (s *session) ask(question string) (bool, error) {
	fmt.Fprintf(s.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil && line == "" {
		fmt.Fprintln(s.err) // nobody ended the line
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
