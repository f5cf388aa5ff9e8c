package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/baseline/schedule"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/bucket"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/spec"
)

// installOptions are the flags of schedule install.
type installOptions struct {
	reverseOptions
	jobFlags
	binary string
}

// jobFlags say what the job is to be, over what the configuration says.
type jobFlags struct {
	every, engine string
	reserved      string
}

func jobFlagList() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "every", Usage: "run once in this `TIME`: 15m to 7d (default: the configuration's, else 6h)"},
		&cli.StringFlag{Name: "engine", Usage: "`auto|lambda|stepfunctions` (default: the configuration's, else by the size of the organization)"},
		&cli.StringFlag{Name: "reserved-concurrency", Usage: "most functions at once, `N` or none (default: 3, and 20 with stepfunctions)"},
	}
}

func readJobFlags(c *cli.Context) (jobFlags, error) {
	f := jobFlags{every: c.String("every"), engine: c.String("engine"), reserved: c.String("reserved-concurrency")}
	if n, err := strconv.Atoi(f.reserved); f.reserved != "" && f.reserved != "none" && (err != nil || n < 1 || n > 999) {
		return f, usage("--reserved-concurrency %q: want 1 to 999, or none", f.reserved)
	}
	if f.engine != "" && !slices.Contains(spec.Engines, f.engine) {
		return f, usage("--engine: %s", spec.NotOneOf("engine", f.engine, spec.Engines))
	}
	return f, nil
}

func newScheduleInstallCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "install",
		Usage: "make the audit run by itself in the security account: plan, ask, deploy one stack, verify",
		Description: "Exit codes: 0 installed, or nothing to do; 1 not agreed to, or with --dry-run something to do; 2 bad flags or configuration;\n" +
			"3 could not finish, or the audit could not enter the accounts. 3 beats 1.",
		Flags: append(append(reverseFlags(), jobFlagList()...),
			&cli.StringFlag{Name: "binary", Usage: "the orgguard that the function runs, built for Linux, as `FILE` (default: this one)"}),
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			o := installOptions{binary: c.String("binary")}
			if o.reverseOptions, err = readReverse(c, s); err != nil {
				return err
			}
			if o.jobFlags, err = readJobFlags(c); err != nil {
				return err
			}
			return withSession(c.Context, g, s, writes, func(ctx context.Context, s *session) error { return runScheduleInstall(ctx, s, o) })
		},
	}
}

// runScheduleInstall shows the plan, carries it out and verifies it.
func runScheduleInstall(ctx context.Context, s *session, o installOptions) error {
	if !s.org.AllFeatures {
		return errConsolidated
	}
	if err := s.mayWrite(ctx, o.reverseOptions); err != nil {
		return err
	}
	job, notes, err := s.job(ctx, o)
	if err != nil {
		return err
	}
	look, err := s.base.LookJob(ctx, s.pool, job)
	if err != nil {
		return err
	}
	proposal := s.base.ProposeJob(look, job, s.pool)
	proposal.Skipped = append(proposal.Skipped, s.cannotEnter(ctx)...)
	p := s.planFor(proposal.Tasks, proposal.Skipped, append(notes, proposal.Notes...))
	p.Regions = []string{s.base.Home}
	done, err := s.reverse(ctx, "schedule install", p, proposal.Tasks, o.reverseOptions)
	if err != nil || !done {
		return err
	}
	if look, err = s.base.LookJob(ctx, s.pool, job); err != nil {
		return err
	}
	if left := s.base.ProposeJob(look, job, s.pool).Tasks; len(left) > 0 {
		return fmt.Errorf("verify: %d changes are still to be made, the first of %s (%s): somebody else is at work", len(left), left[0].Resource, left[0].Why)
	}
	s.note("verified: the stack, the package and the configuration in the bucket are as planned\nnext: %s schedule run --wait, then %s schedule status", s.program(), s.program())
	return nil
}

// job is the job as the configuration and the flags want it, and what to say about it.
func (s *session) job(ctx context.Context, o installOptions) (baseline.Job, []string, error) {
	p, err := packProgram(o.binary)
	if err != nil {
		return baseline.Job{}, nil, err
	}
	text, err := s.configText(ctx)
	if err != nil {
		return baseline.Job{}, nil, err
	}
	job, choice, err := s.wantedJob(o.jobFlags)
	if err != nil {
		return baseline.Job{}, nil, err
	}
	job.Params["CodeVersion"], job.Params["Architecture"] = p.version, p.architecture
	job.Code = p.key()
	job.Objects = []baseline.JobObject{{Key: "orgguard.yaml", What: "the configuration", Body: text}, {Key: job.Code, What: "the function's package", Body: p.zip}}
	notes := append([]string{choice.String() + " (schedule.engine of the configuration and --engine override it)"}, p.notes...)
	return job, append(notes, fmt.Sprintf("the function runs orgguard %s, built for %s", p.version, p.architecture)), nil
}

// wantedJob is the job without what its function runs, and the engine's choice.
func (s *session) wantedJob(f jobFlags) (baseline.Job, schedule.Choice, error) {
	every, engine := s.cfg.Schedule.Every, s.cfg.Schedule.Engine
	if f.every != "" {
		every = f.every
	}
	if f.engine != "" {
		engine = f.engine
	}
	choice := schedule.Choose(engine, covered(s.base), len(s.base.Regions))
	files, err := s.renderSchedule(s.cfg, scheduleOptions{target: choice.Engine, every: every, name: baseline.JobName, host: "gitlab.com"})
	if err != nil {
		return baseline.Job{}, choice, badInput(err)
	}
	reserved := map[string]string{"lambda": "3", "stepfunctions": "20"}[choice.Engine]
	switch f.reserved {
	case "":
	case "none":
		reserved = ""
	default:
		reserved = f.reserved
	}
	return baseline.Job{Body: string(files[0].text), Events: string(files[1].text), Params: map[string]string{
		"OrganizationId": s.org.ID, "ReaderAccount": s.reader(), "ReservedConcurrency": reserved,
	}}, choice, nil
}

// reader is the account beside the security account whose principals may read the
// history: the one from where orgguard is run; "" for none.
func (s *session) reader() string {
	if s.base.Security == s.org.ManagementAccount {
		return ""
	}
	return string(s.org.ManagementAccount)
}

// configText is the configuration as it is written, which the function is given.
func (s *session) configText(ctx context.Context) ([]byte, error) {
	file := s.configFile()
	if bucket.IsURL(file) {
		return s.readAt(ctx, file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, badInput(&orgs.Hinted{Err: fmt.Errorf("the function needs a configuration: %w", err), Next: "orgguard init writes one"})
	}
	return text, nil
}

// cannotEnter says why the job could not enter the accounts, as far as that can be told
// without asking every account: the roles that bootstrap makes are one stack set.
func (s *session) cannotEnter(ctx context.Context) []plan.Skip {
	if s.base.Security == s.org.ManagementAccount {
		return nil // whoever may enter from there may be let by it
	}
	skip := func(why string) []plan.Skip {
		a, _ := s.org.Account(s.base.Security)
		return []plan.Skip{{Account: string(a.ID), AccountName: a.Name, Region: s.base.Home, Control: "schedule", Reason: why, Blocked: true}}
	}
	role := s.roleFor("audit")
	switch role {
	case auditRole:
	case spec.Default().Organization.AccessRole:
		return skip("role " + role + " lets in the management account alone, and may do everything: " + s.program() + " bootstrap --for-schedule makes one for audits, which the configuration then names as organization.audit_role")
	default:
		s.note("whether role %s of the accounts lets in arn:%s:iam::%s:role/%s is for you to see to: orgguard did not make it", role, s.org.Partition.ID, s.base.Security, baseline.JobName)
		return nil
	}
	look, err := s.base.LookAccess(ctx, s.pool)
	switch {
	case err != nil:
		return skip("whether the audit can enter the accounts cannot be told: " + orgs.Reason(err))
	case look.Trusted() == s.base.Security || look.JobAccount() == s.base.Security:
		return nil
	case look.Trusted() == "":
		return skip("there is no role " + auditRole + " that bootstrap made, so the audit cannot enter the accounts: " + s.program() + " bootstrap --for-schedule")
	}
	return skip("role " + auditRole + " lets nobody of this account in, so the audit could not enter the accounts: " + s.program() + " bootstrap --for-schedule")
}

func newScheduleRemoveCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "remove",
		Usage: "take the scheduled audit away, and keep its bucket with the history: plan, ask, delete",
		Flags: append(reverseFlags(), &cli.BoolFlag{Name: "delete-history", Usage: "delete the bucket with the history, too"}),
		Action: func(c *cli.Context) error {
			return inReverse(c, s, func(ctx context.Context, s *session, o reverseOptions) error {
				return runScheduleRemove(ctx, s, o, baseline.History(c.Bool("delete-history")))
			})
		},
	}
}

func runScheduleRemove(ctx context.Context, s *session, o reverseOptions, h baseline.History) error {
	if err := s.mayWrite(ctx, o); err != nil {
		return err
	}
	proposal, err := s.base.RemoveJob(ctx, s.pool, h)
	if err != nil {
		return err
	}
	if s.base.Security != s.org.ManagementAccount {
		proposal.Notes = append(proposal.Notes, "the security account stays a delegated administrator for StackSets: others may need it")
	}
	p := s.planFor(proposal.Tasks, proposal.Skipped, proposal.Notes)
	p.Regions = []string{s.base.Home}
	done, err := s.reverse(ctx, "schedule remove", p, proposal.Tasks, o)
	if err != nil || !done {
		return err
	}
	left, err := s.base.RemoveJob(ctx, s.pool, h)
	if err != nil {
		return err
	}
	if len(left.Tasks) > 0 {
		return errors.New("verify: " + left.Tasks[0].Resource + " is still there")
	}
	return nil
}
