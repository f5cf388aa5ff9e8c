package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

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
			formatFlag(reports.CaseFormats()),
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
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
