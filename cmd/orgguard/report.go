package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/bucket"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/reports/history"
)

func newReportCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "report",
		Usage: "list, show, compare and merge audits that were kept",
		Subcommands: []*cli.Command{
			newReportListCommand(s), newReportShowCommand(s), newReportDiffCommand(s), newReportTrendCommand(s), newReportMergeCommand(s),
		},
	}
}

func historyFlag() *cli.StringFlag {
	return &cli.StringFlag{Name: "history", Usage: "the history `FILE`, as audit --history keeps it, or s3://BUCKET/PREFIX"}
}

// withHistory opens the history that a command names.
func (s *session) withHistory(c *cli.Context, fn func(context.Context, history.History) error) error {
	name := c.String("history")
	if name == "" {
		return usage("%s needs --history FILE", shortName(c.Command))
	}
	h, err := s.openHistory(c.Context, name, reads)
	if err != nil {
		return err
	}
	defer h.Close() //nolint:errcheck // nothing was written
	return fn(c.Context, h)
}

// talking is an action with a session that looks at no organization: it has streams, a
// style, and the caller's credentials where something is in S3.
func talking(s streams, fn func(*cli.Context, *session) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		g, err := readGlobals(c)
		if err != nil {
			return err
		}
		t := &session{globals: g, streams: s, now: time.Now}
		err = fn(c, t)
		return errors.Join(err, t.close())
	}
}

func newReportListCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list the runs of a history, or its findings with when they were there",
		Flags: []cli.Flag{
			formatFlag(reports.ListFormats()), historyFlag(),
			&cli.BoolFlag{Name: "findings", Usage: "list findings: first seen, last seen, resolved"},
			&cli.BoolFlag{Name: "all", Usage: "with --findings, those that are resolved as well"},
		},
		Action: talking(s, func(c *cli.Context, t *session) error {
			format, err := reports.ParseFormat(c.String("format"))
			if err != nil {
				return badInput(err)
			}
			return t.withHistory(c, func(ctx context.Context, h history.History) error {
				if !c.Bool("findings") {
					runs, err := h.Runs(ctx)
					if err != nil {
						return err
					}
					return badInput(reports.WriteRuns(s.out, format, t.style(), runs))
				}
				found, err := h.Lifetimes(ctx, c.Bool("all"))
				if err != nil {
					return err
				}
				return badInput(reports.WriteLifetimes(s.out, format, t.style(), found))
			})
		}),
	}
}

func newReportTrendCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "trend",
		Usage: "show how drift went over the runs of a history (as html: with the latest run)",
		Flags: []cli.Flag{formatFlag(append(reports.ListFormats(), reports.HTML)), historyFlag()},
		Action: talking(s, func(c *cli.Context, t *session) error {
			format, err := reports.ParseFormat(c.String("format"))
			if err != nil {
				return badInput(err)
			}
			return t.withHistory(c, func(ctx context.Context, h history.History) error {
				a, err := h.Audit(ctx, 0)
				if err != nil {
					return badInput(err)
				}
				if format == reports.HTML {
					a.Controls = catalogue()
					return reports.Write(s.out, format, t.style(), a)
				}
				return badInput(reports.WriteTrend(s.out, format, t.style(), a.Trend))
			})
		}),
	}
}

func newReportShowCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show a saved audit, or a run of a history, in any format",
		ArgsUsage: "[FILE]",
		Flags: []cli.Flag{
			formatFlag(reports.Formats()), outputFlag(), historyFlag(),
			&cli.StringFlag{Name: "run", Usage: "the `RUN` of the history: a number, or 0 for the latest, -1 for the one before", Value: "0"},
		},
		Action: talking(s, func(c *cli.Context, t *session) error {
			o := auditOptions{outputs: c.StringSlice("output")}
			var err error
			if o.format, err = reports.ParseFormat(c.String("format")); err != nil {
				return badInput(err)
			}
			if _, err := outputFormats(o.outputs); err != nil {
				return err
			}
			if c.NArg() > 1 {
				return usage("report show takes one file")
			}
			a, _, err := t.oneAudit(c, c.Args().First(), c.String("run"))
			if err != nil {
				return err
			}
			return t.deliver(c.Context, a, o, len(o.outputs) == 0 || c.IsSet("format"))
		}),
	}
}

// oneAudit is a saved audit, or a run of the history when no file is named, and what to
// call it.
func (s *session) oneAudit(c *cli.Context, file, run string) (a reports.Audit, name string, err error) {
	if file != "" {
		a, err = s.readAudit(c.Context, file)
		return a, file, err
	}
	n, err := strconv.ParseInt(run, 10, 64)
	if err != nil {
		return a, "", usage("%q is no run: want a number, or 0 for the latest, -1 for the one before", run)
	}
	err = s.withHistory(c, func(ctx context.Context, h history.History) error {
		a, err = h.Audit(ctx, n)
		return badInput(err)
	})
	a.Controls = catalogue()
	return a, runName(n), err
}

// runName is a run as --run and the like name it.
func runName(n int64) string {
	switch {
	case n == 0:
		return "the latest run"
	case n < 0:
		return fmt.Sprintf("run %d before the latest", -n)
	}
	return fmt.Sprintf("run %d", n)
}

// readAudit reads a saved audit; "-" is standard input.
func (s *session) readAudit(ctx context.Context, file string) (reports.Audit, error) {
	in := s.in
	switch {
	case bucket.IsURL(file):
		body, err := s.readAt(ctx, file)
		if err != nil {
			return reports.Audit{}, err
		}
		in = bytes.NewReader(body)
	case file != "-":
		f, err := os.Open(file)
		if err != nil {
			return reports.Audit{}, badInput(err)
		}
		defer f.Close() //nolint:errcheck // only read
		in = f
	}
	return parseAudit(file, in)
}

// parseAudit reads the text of a saved audit; name is what to call it.
func parseAudit(name string, in io.Reader) (reports.Audit, error) {
	a, err := reports.ReadAudit(in)
	if err != nil {
		return a, badInput(&orgs.Hinted{Err: fmt.Errorf("%s: %w", name, err), Next: "orgguard audit --output audit.json writes one"})
	}
	a.Controls = catalogue()
	return a, nil
}

func newReportDiffCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "compare two saved audits, or two runs of a history: new, got worse, resolved, still open",
		ArgsUsage: "[BEFORE AFTER]",
		Flags: []cli.Flag{
			formatFlag(reports.DiffFormats()), historyFlag(),
			&cli.StringFlag{Name: "from", Usage: "the `RUN` before: a number, or -1 for the one before the latest", Value: "-1"},
			&cli.StringFlag{Name: "to", Usage: "the `RUN` after: a number, or 0 for the latest", Value: "0"},
		},
		Action: talking(s, func(c *cli.Context, t *session) error {
			format, err := reports.ParseFormat(c.String("format"))
			if err != nil {
				return badInput(err)
			}
			if n := c.NArg(); n != 0 && n != 2 {
				return usage("report diff takes two files, the one before and the one after, or --history FILE")
			}
			before, name, err := t.oneAudit(c, c.Args().Get(0), c.String("from"))
			if err != nil {
				return err
			}
			after, to, err := t.oneAudit(c, c.Args().Get(1), c.String("to"))
			if err != nil {
				return err
			}
			if err := reports.CheckComparable(before, after); err != nil {
				return badInput(err)
			}
			if part := func(a reports.Audit) bool { return a.Scope.Narrowed || a.Shard != nil }; part(before) && !part(after) {
				t.note("%s is of a part of the organization or of its controls: what lies outside it is new here", name)
			}
			d := reports.Compare(before, after)
			d.Before.Name, d.After.Name = name, to
			if err := reports.WriteDiff(s.out, format, t.style(), d); err != nil {
				return badInput(err)
			}
			if d.Changes.New+d.Changes.Worse > 0 {
				return status(exitDrift)
			}
			return nil
		}),
	}
}

func newReportMergeCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:      "merge",
		Usage:     "put the parts of an audit together, as one audit of everything would have written them",
		ArgsUsage: "FILE...",
		Flags: append([]cli.Flag{
			formatFlag(reports.Formats()), outputFlag(),
			&cli.BoolFlag{Name: "allow-missing", Usage: "report accounts that no part looked at as not assessed, instead of refusing"},
			generatedAtFlag(),
		}, keepingFlags()...),
		Action: talking(s, func(c *cli.Context, t *session) error {
			o, err := readDelivery(c)
			if err != nil {
				return err
			}
			if c.NArg() == 0 {
				return usage("report merge takes the files of the parts")
			}
			_, err = t.merge(c.Context, c.Args().Slice(), c.Bool("allow-missing"), o)
			return err
		}),
	}
}

// merge puts the parts of an audit together and concludes it.
func (s *session) merge(ctx context.Context, names []string, allowMissing bool, o auditOptions) (reports.Audit, error) {
	if o.notify != tellNobody { // nothing else of the configuration matters here
		var err error
		if s.cfg, err = s.loadConfig(ctx); err == nil {
			err = s.checkNotices(o)
		}
		if err != nil {
			return reports.Audit{}, err
		}
	}
	var parts []reports.Part
	for _, name := range names {
		read, err := s.readParts(ctx, name)
		if err != nil {
			return reports.Audit{}, err
		}
		parts = append(parts, read...)
	}
	a, err := reports.Merge(parts, allowMissing, catalogue())
	if err != nil {
		return a, badInput(err)
	}
	if !o.at.IsZero() {
		a.GeneratedAt = o.at
	}
	a.Controls, a.Next = catalogue(), s.next(a)
	return s.conclude(ctx, a, o)
}
