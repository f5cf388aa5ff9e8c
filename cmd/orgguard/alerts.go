package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/reports"
)

func newAlertsCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "alerts",
		Usage:       "try the alerts",
		Subcommands: []*cli.Command{newAlertsTestCommand(s)},
	}
}

func newAlertsTestCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "test",
		Usage: "run samples of events through the configured alert rules: what must be told, what must not, and with which words; needs no AWS",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "control", Usage: "the samples of this control alone, by `ID`; repeatable"},
			&cli.StringFlag{Name: "event", Usage: "instead, say which rules the event in `FILE` would fire and what the message would be; - for stdin"},
			&cli.BoolFlag{Name: "live", Usage: "instead, send a harmless event from every account × Region and see whether it comes out of the topic"},
			&cli.StringSliceFlag{Name: "account", Usage: "with --live: from this account alone, by number or `NAME`; repeatable"},
			&cli.StringSliceFlag{Name: "ou", Usage: "with --live: from the accounts below this OU, by id, name or `PATH`; repeatable"},
			&cli.StringSliceFlag{Name: "region", Usage: "with --live: from this `REGION` alone; repeatable"},
			&cli.DurationFlag{Name: "wait", Value: time.Minute, Usage: "with --live: how long to wait for what was sent"},
			&cli.BoolFlag{Name: "yes", Usage: "with --live: do not ask (for scripts)", EnvVars: []string{"ORGGUARD_YES"}},
			formatFlag(reports.CaseFormats()),
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			if c.Bool("live") {
				return alertsLive(c, g, s)
			}
			for _, flag := range []string{"account", "ou", "region", "wait"} {
				if c.IsSet(flag) {
					return usage("--%s is for --live", flag)
				}
			}
			session := &session{globals: g, streams: s}
			if file := c.String("event"); file != "" {
				if len(c.StringSlice("control")) > 0 {
					return usage("--control and --event exclude each other: an event is shown to every rule")
				}
				format, err := formatAmong(c.String("format"), "one event", reports.ToldFormats())
				if err != nil {
					return err
				}
				told, err := runAlertsEvent(c.Context, session, file)
				if err != nil {
					return err
				}
				return reports.WriteTold(s.out, format, told)
			}
			format, err := formatAmong(c.String("format"), "alert samples", reports.CaseFormats())
			if err != nil {
				return err
			}
			results, err := runAlertsTest(c.Context, session, c.StringSlice("control"))
			if err != nil {
				return err
			}
			if err := reports.WriteAlertSamples(s.out, format, results); err != nil {
				return err
			}
			return status(alertsCode(results))
		},
	}
}

// alertsLive reads what `alerts test --live` is told, and does it.
func alertsLive(c *cli.Context, g globals, s streams) error {
	if c.IsSet("control") || c.IsSet("event") {
		return usage("--live sends an event of its own: --control and --event are about samples")
	}
	format, err := formatAmong(c.String("format"), "live tests", reports.LiveFormats())
	if err != nil {
		return err
	}
	o := liveOptions{
		filter: baseline.Filter{Accounts: c.StringSlice("account"), OUs: c.StringSlice("ou"), Regions: c.StringSlice("region")},
		wait:   c.Duration("wait"), yes: c.Bool("yes"), format: format,
	}
	if o.wait <= 0 {
		return usage("--wait %s: want more than nothing", o.wait)
	}
	return withSession(c.Context, g, s, writes, func(ctx context.Context, s *session) error { return runAlertsLive(ctx, s, o) })
}

// alertsCode is the exit code of a run of samples.
func alertsCode(results []baseline.SampleResult) int {
	code := exitOK
	for _, r := range results {
		switch {
		case r.Err != nil:
			return exitIncomplete
		case r.Skipped == "" && !r.Passed():
			code = exitDrift
		}
	}
	return code
}

// runAlertsTest runs the samples through the rules of the configuration.
func runAlertsTest(ctx context.Context, s *session, only []string) ([]baseline.SampleResult, error) {
	base, err := s.offline(ctx)
	if err != nil {
		return nil, err
	}
	results, err := base.TrySamples(only)
	return results, badInput(err)
}

// runAlertsEvent says what the configured rules make of the event in a file.
func runAlertsEvent(ctx context.Context, s *session, file string) ([]baseline.Told, error) {
	base, err := s.offline(ctx)
	if err != nil {
		return nil, err
	}
	src, err := readEvent(file, s.in)
	if err != nil {
		return nil, err
	}
	event, err := baseline.ParseEvent(src)
	if err != nil {
		return nil, badInput(fmt.Errorf("%s: %w", file, err))
	}
	return base.Tell(event)
}

// maxEventFile is how much of an event's file is read: more than EventBridge takes,
// so that what is too long is called so.
const maxEventFile = 2 << 20

func readEvent(file string, stdin io.Reader) ([]byte, error) {
	r := stdin
	if file != stdinName {
		f, err := os.Open(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage("no file %s", file)
		}
		if err != nil {
			return nil, badInput(err)
		}
		defer f.Close() //nolint:errcheck // only read
		r = f
	}
	src, err := io.ReadAll(io.LimitReader(r, maxEventFile))
	return src, badInput(err)
}
