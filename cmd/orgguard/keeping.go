package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/reports/history"
)

// failOn is what makes an audit fail: "any", "new" or a severity, which means that and
// worse.
type failOn string

var failOns = []string{"any", "new", string(finding.Critical), string(finding.High), string(finding.Medium), string(finding.Low)}

// fails says whether the drift of a report is such. What was accepted until it ended
// always is: somebody promised to have mended it by then.
func (f failOn) fails(a reports.Audit) bool {
	return slices.ContainsFunc(a.Findings, func(x finding.Finding) bool {
		switch {
		case x.Status != finding.Drift:
			return false
		case f == "any" || f == "" || x.Expired():
			return true
		case f == "new":
			return a.Since == nil || x.Change == finding.New || x.Change == finding.Worse
		}
		return x.Severity.Rank() <= finding.Severity(f).Rank()
	})
}

// keepingFlags are the flags of commands whose audits may go into a history.
func keepingFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "history", Usage: "keep the audit in `FILE`, or in S3 at s3://BUCKET/PREFIX, and say what is new since the run before"},
		&cli.StringFlag{Name: "keep", Usage: "drop runs from the history that are older than `90d` or 26w, or all but the newest 500"},
		&cli.BoolFlag{Name: "notify", Usage: "with --history: tell the channels of the configuration's notices what changed since they were last told"},
		&cli.StringFlag{Name: "fail-on", Usage: "exit with 1 for `any|new|SEVERITY` of drift; critical, high, medium and low mean that and worse", Value: "any"},
	}
}

func outputFlag() *cli.StringSliceFlag {
	return &cli.StringSliceFlag{Name: "output", Usage: "write the report to `FILE` too, in the format of its ending (" + listEndings(", ") + "); repeatable"}
}

func generatedAtFlag() *cli.StringFlag {
	return &cli.StringFlag{Name: "generated-at", Usage: "the `TIME` of the report, such as 2027-03-31T06:00:00Z, instead of now; the same for all parts of one audit"}
}

// readDelivery reads where a report goes and what it makes of the exit code.
func readDelivery(c *cli.Context) (auditOptions, error) {
	o := auditOptions{
		outputs: c.StringSlice("output"), history: c.String("history"), failOn: failOn(strings.ToLower(c.String("fail-on"))),
	}
	if c.Bool("notify") {
		o.notify = tellAsked
	}
	o.toStdout = len(o.outputs) == 0 || c.IsSet("format")
	var err error
	if o.format, err = reports.ParseFormat(c.String("format")); err != nil {
		return o, badInput(err)
	}
	if _, err := outputFormats(o.outputs); err != nil {
		return o, err
	}
	if o.keep, err = history.ParseKeep(c.String("keep")); err != nil {
		return o, usage("--keep: %w", err)
	}
	if text := c.String("generated-at"); text != "" {
		if o.at, err = time.Parse(time.RFC3339, text); err != nil {
			return o, usage("--generated-at %q: want a time such as 2027-03-31T06:00:00Z", text)
		}
	}
	switch {
	case !slices.Contains(failOns, string(o.failOn)):
		return o, usage("--fail-on %q: want %s", c.String("fail-on"), strings.Join(failOns, ", "))
	case o.history == "" && o.failOn == "new":
		return o, usage("--fail-on new needs --history FILE, which says what is new")
	case o.history == "" && o.notify == tellAsked:
		return o, usage("--notify needs --history FILE, which says what changed and who has been told")
	case o.history == "" && o.keep != (history.Keep{}):
		return o, usage("--keep needs --history FILE")
	}
	return o, checkFolder("history", o.history)
}

// conclude keeps the report, writes it wherever it was asked for, and ends the command
// with its code. Every audit and every merge comes through here: the report that it
// returns says in Since what changed since the last run, where there is a history.
func (s *session) conclude(ctx context.Context, a reports.Audit, o auditOptions) (reports.Audit, error) {
	h, kept, err := s.record(ctx, a, o)
	if err == nil {
		a = kept
	}
	// A report that could not be kept is not lost.
	problems := []error{err, s.deliver(ctx, a, o, o.toStdout)}
	if h != nil {
		if err == nil {
			problems = append(problems, s.announce(ctx, h, a, o))
		}
		problems = append(problems, h.Close())
	}
	if err := errors.Join(problems...); err != nil {
		return a, err
	}
	return a, status(auditCode(a, o.failOn))
}

// record keeps the report in the history, if there is one, and leaves that open. An
// interrupted audit is kept too.
func (s *session) record(ctx context.Context, a reports.Audit, o auditOptions) (history.History, reports.Audit, error) {
	if o.history == "" {
		return nil, a, nil
	}
	ctx = context.WithoutCancel(ctx)
	h, err := s.openHistory(ctx, o.history, writes)
	if err != nil {
		return nil, a, err
	}
	kept, err := h.Record(ctx, a, o.keep)
	return h, kept, err
}

// checkNotices refuses --notify where the configuration names nobody, and says so where
// somebody is named and --notify is missing.
func (s *session) checkNotices(o auditOptions) error {
	switch any := s.cfg.Notices.Any(); {
	case o.notify == tellAsked && !any:
		return badInput(&orgs.Hinted{Err: errors.New("--notify: the configuration names nobody to tell"), Next: "give it a block notices; orgguard notices test tries it"})
	case o.notify == tellNobody && o.history != "" && any:
		s.note("the configuration has notices, and none is sent without --notify")
	}
	return nil
}

// onlyChanges is what --quiet leaves of a report with a history: what is new, got worse,
// was accepted or is resolved. ok is false when that is nothing.
func onlyChanges(a reports.Audit) (_ reports.Audit, ok bool) {
	if a.Since == nil {
		return a, true
	}
	all := a.Findings
	a.Findings = []finding.Finding{}
	for _, f := range all {
		if f.Change == finding.New || f.Change == finding.Worse || f.Change == finding.Accepted {
			a.Findings = append(a.Findings, f)
		}
	}
	since := *a.Since
	since.Gone = slices.DeleteFunc(slices.Clone(since.Gone), func(f finding.Finding) bool { return f.Change != finding.Resolved })
	a.Since = &since
	return a, len(a.Findings)+len(since.Gone) > 0
}
