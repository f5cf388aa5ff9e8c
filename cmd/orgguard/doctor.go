package main

import (
	"context"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline/schedule"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/doctor"
	"github.com/orgguard/orgguard/orgs/survey"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/scp"
	"github.com/orgguard/orgguard/scp/protect"
)

// doctorOptions are doctor's own flags.
type doctorOptions struct {
	format  reports.Format
	command string // whose rights must not lack
}

func newDoctorCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "look for everything that would make a rollout fail, and say what to type about it; changes nothing",
		Description: "Exit codes: 0 nothing would make a rollout fail; 1 something would; 2 bad flags or configuration;\n" +
			"3 something could not be looked at. 3 beats 1.",
		Flags: []cli.Flag{
			formatFlag(reports.DoctorFormats()),
			&cli.StringFlag{Name: "command", Usage: "the `COMMAND` whose rights must not lack: audit, plan, rollout, …", Value: "rollout"},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			o := doctorOptions{command: c.String("command")}
			if o.format, err = formatAmong(c.String("format"), "what the doctor says", reports.DoctorFormats()); err != nil {
				return err
			}
			if _, ok := grants[o.command]; !ok {
				return noGrant(o.command)
			}
			var checks []doctor.Check
			open := func(ctx context.Context) (s2 *session, err error) {
				s2, checks, err = examine(ctx, g, s)
				return s2, err
			}
			return withOpened(c.Context, g, open, func(ctx context.Context, s *session) error {
				if checks == nil {
					in := s.intent(o.command)
					if s.cfg.Journal.Bucket != "" {
						to := s.journalCopy()
						in.Journal = doctor.Journal{Bucket: to.Where(), Err: to.Reach(ctx)}
					}
					for _, d := range s.base.Decisions(ctx, s.pool, s.workers()) {
						in.Services = append(in.Services, doctor.Service(d))
					}
					in.Sweep = doctor.Sweep(s.base.Sweeping(ctx, s.pool))
					checks = doctor.Diagnose(s.survey(ctx, o.command), in)
					job, sender := s.jobChecks(ctx)
					checks = slices.Concat(checks, job, s.noticeChecks(ctx, sender))
					doctor.Sort(checks)
				}
				return s.tell(ctx, checks, o)
			})
		},
	}
}

// examine opens a session as far as that goes. What stops it on AWS's side comes
// back as checks: telling these is what the doctor is for.
func examine(ctx context.Context, g globals, st streams) (*session, []doctor.Check, error) {
	s, err := connectable(ctx, g, st)
	if err != nil {
		return s, nil, err
	}
	cfg, err := s.awsConfig(ctx)
	if err != nil {
		return s, nil, err
	}
	pool, err := s.newPool(ctx, cfg, reads)
	if err != nil {
		return s, doctor.NoCredentials(err, hintOf(err)), ctx.Err()
	}
	s.pool = pool
	if s.org, err = orgs.Load(ctx, pool.Organizations); err != nil {
		return s, doctor.NoOrganization(pool.Caller().ARN, err, hintOf(err)), ctx.Err()
	}
	if err = s.resolve(); err != nil {
		return s, doctor.NoFit(pool.Caller().ARN, s.org, err), nil
	}
	return s, nil, nil
}

// survey looks at the organization for the doctor, in the Regions of the baseline.
func (s *session) survey(ctx context.Context, command string) *survey.Survey {
	o := s.surveyOptions()
	o.RoleName = s.roleFor(command)
	if !s.base.AllEnabled {
		o.Regions = s.base.Regions
	}
	var all grant
	for name := range grants {
		need, _ := grantFor(name, s.cfg)
		all.caller, all.member = join(all.caller, need.caller), join(all.member, need.member)
	}
	o.Caller = []survey.Question{{Actions: all.caller, Resource: "*"}}
	o.Role = questions(all.member, s.org.Partition, s.base.Home)
	progress := newProgress(s)
	defer progress.clear()
	o.Progress = progress.accounts
	return survey.Look(ctx, s.pool, s.org, o)
}

// roleFor is the role with which a command enters the accounts.
func (s *session) roleFor(command string) string {
	return s.roleIn(mode(readCommands[command])) // reads is true
}

// surveyOptions are for a look into every active account that the configuration
// does not leave out, in all Regions that are on there.
func (s *session) surveyOptions() survey.Options {
	o := survey.Options{Home: s.base.Home, Workers: s.workers()}
	for _, a := range s.base.Accounts {
		if a.Excluded == "" && a.State == orgs.StateActive {
			o.Accounts = append(o.Accounts, a.ID)
		}
	}
	return o
}

// intent is what a rollout would do here, as far as the doctor judges it.
func (s *session) intent(command string) doctor.Intent {
	in := doctor.Intent{
		Home: s.base.Home, Security: s.base.Security, Regions: s.base.Regions, AllEnabled: s.base.AllEnabled,
		Role: s.pool.Role(), Existing: s.base.Existing(), Command: command,
	}
	choice := schedule.Choose(s.cfg.Schedule.Engine, covered(s.base), len(s.base.Regions))
	in.Schedule, in.Overdone = choice.String(), choice.Engine == "lambda" && choice.Cells > choice.Limit
	limits := scp.DefaultLimits()
	in.PerNode, in.Size = quota(limits.PoliciesPerNode), quota(limits.PolicyCharacters)
	if s.guard != nil {
		in.Policy = doctor.Policy{Name: protect.PolicyName, Characters: len(s.guard.Policy)}
		for _, ou := range s.guard.Attach {
			in.Policy.Nodes = append(in.Policy.Nodes, ou.ID)
		}
	}
	for _, size := range s.base.Sizes() {
		in.StackSets = append(in.StackSets, doctor.StackSet{Name: size.Stack, Instances: size.Instances})
	}
	for _, name := range sortedKeys(grants) {
		if s.roleFor(name) != s.roleFor(command) {
			continue // another role's affair
		}
		need, _ := grantFor(name, s.cfg)
		in.Commands = append(in.Commands, doctor.Command{Name: name, Caller: need.caller, Member: need.member})
	}
	return in
}

func quota(l scp.Limit) doctor.Quota {
	return doctor.Quota{Value: l.Value, Source: l.Source, Date: l.Date}
}

// tell writes what the doctor found.
func (s *session) tell(ctx context.Context, checks []doctor.Check, o doctorOptions) error {
	r := doctor.Report{GeneratedAt: s.now(), ToolVersion: version, Command: o.command, Checks: checks, Summary: doctor.Summarize(checks)}
	if s.pool != nil {
		r.Caller = s.pool.Caller().ARN
	}
	if s.org != nil {
		r.Organization = s.org.ID
	}
	if err := reports.WriteDoctor(s.out, o.format, s.style(), r); err != nil {
		return err
	}
	return status(doctorCode(r.Summary, ctx.Err() != nil))
}

// doctorCode is the exit code of what the doctor says.
func doctorCode(n doctor.Summary, interrupted bool) int {
	switch {
	case interrupted || n.Unknown > 0:
		return exitIncomplete
	case n.Blocker > 0:
		return exitDrift
	}
	return exitOK
}
