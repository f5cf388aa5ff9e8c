package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/baseline/schedule"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/reports/history"
)

func newScheduleStatusCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "how the scheduled audit is: its stack, schedule, last and next run, alarms, failures, version; changes nothing",
		Description: "Exit codes: 0 it is as the configuration wants it and runs; 1 it is not; 2 bad flags or configuration;\n" +
			"3 something could not be looked at. 3 beats 1. What the last audit found makes no difference: audit and report say that.",
		Flags: append([]cli.Flag{formatFlag(reports.ScheduleFormats())}, jobFlagList()...),
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			format, err := formatAmong(c.String("format"), "the scheduled audit", reports.ScheduleFormats())
			if err != nil {
				return err
			}
			f, err := readJobFlags(c)
			if err != nil {
				return err
			}
			return withSession(c.Context, g, s, reads, func(ctx context.Context, s *session) error {
				r, err := s.scheduleStatus(ctx, f)
				if err != nil {
					return err
				}
				if err := reports.WriteSchedule(s.out, format, s.style(), r); err != nil {
					return err
				}
				return status(scheduleCode(r))
			})
		},
	}
}

// scheduleCode is the exit code of the scheduled audit's state.
func scheduleCode(r reports.Schedule) int {
	switch {
	case len(r.Unseen) > 0:
		return exitIncomplete
	case len(r.Problems) > 0:
		return exitDrift
	}
	return exitOK
}

// scheduleStatus looks at the scheduled audit.
func (s *session) scheduleStatus(ctx context.Context, f jobFlags) (reports.Schedule, error) {
	wanted, choice, err := s.wantedJob(f)
	if err != nil {
		return reports.Schedule{}, err
	}
	r := reports.Schedule{GeneratedAt: s.now(), ToolVersion: version, Wanted: choice, Every: s.cfg.Schedule.Every}
	if f.every != "" {
		r.Every = f.every
	}
	every, err := schedule.ParseInterval(r.Every)
	if err != nil {
		return r, badInput(err)
	}
	if r.JobState, err = s.base.LookJobState(ctx, s.pool, wanted); err != nil {
		return r, err
	}
	r.Notes = append(r.Notes, choice.String())
	var last time.Time
	if r.Installed {
		if r.Version != cutVersion(version) {
			r.Notes = append(r.Notes, fmt.Sprintf("it runs orgguard %s and this one is %s: orgguard schedule install brings it up to date", r.Version, version))
		}
		if r.Last, err = s.lastRun(ctx, time.Time{}); err != nil {
			r.Unseen = append(r.Unseen, "history: "+orgs.Reason(err))
		} else if r.Last != nil {
			last = r.Last.GeneratedAt
		}
		if next, err := schedule.Next(r.Expression, r.GeneratedAt); err == nil && r.Enabled {
			r.Next = &next
		}
	}
	if note := r.Untold(); note != "" {
		r.Notes = append(r.Notes, note)
	}
	r.Problems = r.JobState.Problems(r.GeneratedAt, last, every.Duration())
	if r.Installed {
		same, err := s.sameConfiguration(ctx)
		switch {
		case err != nil:
			r.Unseen = append(r.Unseen, "configuration: "+orgs.Reason(err))
		case !same:
			r.Problems = append(r.Problems, "its configuration is another one than "+s.configFile()+": orgguard schedule install")
		}
	}
	if r.Last == nil && len(r.Unseen) > 0 { // nobody knows
		r.Problems = without(r.Problems, "it has not run yet")
	}
	return r, nil
}

// without is a list without what begins with a text.
func without(list []string, start string) []string {
	var out []string
	for _, l := range list {
		if !strings.HasPrefix(l, start) {
			out = append(out, l)
		}
	}
	return out
}

// sameConfiguration says whether the job's configuration is the one of the session.
func (s *session) sameConfiguration(ctx context.Context) (bool, error) {
	want, err := s.configText(ctx)
	if err != nil {
		return false, err
	}
	got, err := s.readAt(ctx, "s3://"+s.base.JobBucket()+"/orgguard.yaml")
	return bytes.Equal(want, got), err
}

// lastRun is the last audit of everything in the job's history that is not older than a
// time; nil where there is none.
func (s *session) lastRun(ctx context.Context, since time.Time) (*reports.Run, error) {
	b, err := s.bucketAt(ctx, "s3://"+s.base.JobBucket()+"/orgguard/history")
	if err != nil {
		return nil, err
	}
	names, err := b.List(ctx)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	h, err := history.OpenExistingRemote(ctx, b)
	if err != nil {
		return nil, err
	}
	runs, err := h.Runs(ctx)
	if cerr := h.Close(); err == nil {
		err = cerr
	}
	var last *reports.Run
	for _, r := range runs {
		if !r.Narrowed && !r.GeneratedAt.Before(since) && (last == nil || r.GeneratedAt.After(last.GeneratedAt)) {
			last = &r
		}
	}
	return last, err
}

func newScheduleRunCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "begin a run of the scheduled audit now, in AWS",
		Description: "Exit codes: 0 it was begun; with --wait, as of an audit: 0 everything is in sync; 1 drift; 3 something was not assessed,\n" +
			"or the run failed; 2 bad flags or configuration.",
		Flags: []cli.Flag{
			formatFlag(reports.ScheduleFormats()),
			&cli.BoolFlag{Name: "wait", Usage: "wait for its end, and print what it found"},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			format, err := formatAmong(c.String("format"), "a run", reports.ScheduleFormats())
			if err != nil {
				return err
			}
			return withSession(c.Context, g, s, writes, func(ctx context.Context, s *session) error {
				return runScheduleRun(ctx, s, format, c.Bool("wait"))
			})
		},
	}
}

// runScheduleRun begins a run and perhaps waits for its audit to be in the history.
func runScheduleRun(ctx context.Context, s *session, format reports.Format, wait bool) error {
	before, err := s.lastRun(ctx, time.Time{})
	if err != nil && wait {
		return err
	}
	begun, err := s.base.RunJob(ctx, s.pool)
	if err != nil {
		return err
	}
	r := reports.JobResult{Engine: begun.Engine, Execution: begun.Execution}
	if !wait {
		return reports.WriteJobResult(s.out, format, s.style(), r)
	}
	if r.Run, err = s.awaitRun(ctx, begun, before); err != nil {
		return err
	}
	if err := reports.WriteJobResult(s.out, format, s.style(), r); err != nil {
		return err
	}
	switch n := r.Run.Summary; {
	case n.NotAssessed > 0 || r.Run.Interrupted:
		return status(exitIncomplete)
	case n.Drift > 0:
		return status(exitDrift)
	}
	return nil
}

// awaitRun waits until the history has an audit that it did not have, or the run failed.
func (s *session) awaitRun(ctx context.Context, begun baseline.Begun, before *reports.Run) (*reports.Run, error) {
	for pause := 100 * time.Millisecond; ; pause = min(pause*3/2, 10*time.Second) {
		now, err := s.lastRun(ctx, time.Time{})
		if err != nil {
			return nil, err
		}
		if now != nil && (before == nil || now.Run > before.Run) {
			return now, nil
		}
		why, err := s.base.RunFailed(ctx, s.pool, begun)
		if err != nil {
			return nil, err
		}
		if why != "" {
			return nil, &orgs.Hinted{Err: fmt.Errorf("the run failed: %s", why), Next: "orgguard schedule status; the function's log is /aws/lambda/" + baseline.JobName}
		}
		if err := orgs.Pause(ctx, pause); err != nil {
			return nil, fmt.Errorf("stopped waiting for the run, which goes on: %w", err)
		}
	}
}
