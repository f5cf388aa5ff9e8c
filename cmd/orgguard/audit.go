package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/bucket"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/reports/history"
	"github.com/orgguard/orgguard/scp/protect"
)

// auditOptions are audit's own flags.
type auditOptions struct {
	format  reports.Format
	outputs []string
	all     bool
	filter  baseline.Filter
	tags    []orgs.Tag // accounts must have all of them
	shard   shard      // the part of the accounts to look at

	toStdout bool
	failOn   failOn
	history  string // file; "" for none
	keep     history.Keep
	at       time.Time // of the report; zero for now
	notify   notifying

	// idle is told of accounts of the filter in which nothing can be found, with the
	// reason, and they are left out; there is no audit of none. nil looks at them all the
	// same, which whoever names one himself may want to see.
	idle func(a orgs.Selected, why string)
}

func newAuditCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "audit",
		Usage: "compare every account × Region with the baseline and the SCP, and print the drift report",
		Flags: append([]cli.Flag{
			formatFlag(reports.Formats()), outputFlag(),
			&cli.BoolFlag{Name: "all", Usage: "list what is in sync and what does not apply as well"},
			&cli.StringSliceFlag{Name: "control", Usage: "only this control, by `ID`; repeatable"},
			&cli.StringSliceFlag{Name: "account", Usage: "only this account, by number or `NAME`; repeatable"},
			&cli.StringSliceFlag{Name: "ou", Usage: "only accounts below this OU, by id, name or `PATH`; repeatable"},
			&cli.StringSliceFlag{Name: "tag", Usage: "only accounts with this tag, as `KEY=VALUE` or KEY; several must all match"},
			&cli.StringSliceFlag{Name: "region", Usage: "only this `REGION`, or global; repeatable"},
			&cli.StringFlag{Name: "every", Usage: "audit again and again, once in this `TIME` (30m, 6h, 1d, …), until stopped"},
			&cli.StringFlag{Name: "listen", Usage: "with --every: serve /healthz and /metrics on this loopback `ADDRESS`, e.g. 127.0.0.1:9464"},
			&cli.StringFlag{Name: "shard", Usage: "look at part `I/N` of the accounts; orgguard report merge puts the parts together"},
			&cli.BoolFlag{Name: "stackset-drift", Usage: "have CloudFormation detect drift of the stack sets as well; that leaves an operation in each set's list"},
			&cli.BoolFlag{Name: "sweep", Usage: "ask the organization's AWS Config aggregator about recorders, alert rules and their roles, and the accounts only where it is not sure"},
			&cli.BoolFlag{Name: "direct", Usage: "ask every account; with --sweep both, to find where they disagree"},
			generatedAtFlag(),
		}, keepingFlags()...),
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			o, err := readDelivery(c)
			if err != nil {
				return err
			}
			o.all = c.Bool("all")
			o.filter = baseline.Filter{
				Controls: c.StringSlice("control"), Accounts: c.StringSlice("account"), OUs: c.StringSlice("ou"), Regions: c.StringSlice("region"),
			}
			if o.shard, err = parseShard(c.String("shard")); err != nil {
				return err
			}
			if o.filter.DetectDrift = c.Bool("stackset-drift"); o.filter.DetectDrift && o.shard.of > 0 {
				return usage("--stackset-drift is about whole stack sets, and each part would begin it again: audit without --shard for it")
			}
			if o.filter.From, err = sourceOf(c.Bool("sweep"), c.Bool("direct"), o.shard); err != nil {
				return err
			}
			if o.shard.of > 0 && o.history != "" {
				return usage("--shard looks at a part, and a history wants whole audits: give --history to orgguard report merge")
			}
			for _, text := range c.StringSlice("tag") {
				tag, err := orgs.ParseTag(text)
				if err != nil {
					return badInput(err)
				}
				o.tags = append(o.tags, tag)
			}
			once := func(ctx context.Context) (*reports.Audit, error) { return auditOnce(ctx, g, s, o) }
			if c.String("every") != "" || c.String("listen") != "" {
				return serve(c.Context, g, s, c.String("every"), c.String("listen"), o, once)
			}
			_, err = once(c.Context)
			return err
		},
	}
}

// sourceOf is whom the recorders are asked of. The parts of an audit ask their
// accounts: each would read the aggregator to its end.
func sourceOf(sweep, direct bool, part shard) (baseline.Source, error) {
	switch {
	case sweep && part.of > 0:
		return 0, usage("--sweep asks about all accounts at once, and each part would do so again: audit without --shard for it")
	case sweep && direct:
		return baseline.FromBoth, nil
	case sweep:
		return baseline.FromAggregator, nil
	case direct || part.of > 0:
		return baseline.FromAccounts, nil
	}
	return baseline.FromEither, nil
}

// auditOnce makes one audit and delivers it; nil where there was nothing to look at. The
// error may be no more than the exit code of what was found.
func auditOnce(ctx context.Context, g globals, st streams, o auditOptions) (*reports.Audit, error) {
	var made *reports.Audit
	err := withSession(ctx, g, st, reads, func(ctx context.Context, s *session) error {
		if !o.at.IsZero() {
			s.now = func() time.Time { return o.at }
		}
		if o.idle != nil {
			var err error
			if o.filter.Accounts, err = s.lively(o.filter, o.idle); err != nil || len(o.filter.Accounts) == 0 {
				return err
			}
		}
		if err := s.checkNotices(o); err != nil {
			return err
		}
		a, err := runAudit(ctx, s, o)
		if err != nil {
			return err
		}
		made = &a
		a, err = s.conclude(ctx, a, o)
		return err
	})
	return made, err
}

// formatFlag is --format for a command that knows the formats.
func formatFlag(formats []reports.Format) *cli.StringFlag {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = string(f)
	}
	return &cli.StringFlag{Name: "format", Usage: "print as `" + strings.Join(names, "|") + "`", Value: names[0], EnvVars: []string{"ORGGUARD_FORMAT"}}
}

// auditCode is the exit code of a report.
func auditCode(a reports.Audit, f failOn) int {
	switch {
	case a.Interrupted || a.Summary.NotAssessed > 0:
		return exitIncomplete
	case f.fails(a):
		return exitDrift
	}
	return exitOK
}

// runAudit looks at the organization and makes the report. An interrupted run
// still reports what it saw.
func runAudit(ctx context.Context, s *session, o auditOptions) (reports.Audit, error) {
	var err error
	if o.filter, err = s.withTags(ctx, o.filter, o.tags); err != nil {
		return reports.Audit{}, err
	}
	cut, err := s.cut(o.shard, o.filter)
	if err != nil {
		return reports.Audit{}, badInput(err)
	}
	base, scpToo, err := splitControls(s, cut.narrow(o.filter))
	if err != nil {
		return reports.Audit{}, badInput(err)
	}
	if cut.empty() {
		base = nil
	}
	if o.filter.DetectDrift {
		s.note("CloudFormation detects drift of the stack sets: it keeps a record of that in each, and nothing else is written")
	}
	looked, err := s.look(ctx, o, cut, base, scpToo)
	var sweep *baseline.SweepError
	if errors.As(err, &sweep) {
		return reports.Audit{}, err
	}
	if err != nil {
		return reports.Audit{}, badInput(err)
	}
	for _, err := range baseline.Aimless(s.cfg.Audit.Exemptions, s.org) {
		s.note("%s", err)
	}
	spent := baseline.Exempt(s.cfg.Audit.Exemptions, s.org, looked.Findings, s.now())
	if !o.filter.IsZero() || o.shard.of > 0 {
		spent = nil // they may cover drift elsewhere
	}
	for _, e := range spent {
		s.note("the exemption from %s ended on %s and covers no drift: take it out of the configuration (%s)", e.Control, e.Until, e.Reason)
	}
	finding.Sort(looked.Findings)
	for _, n := range s.base.Notes {
		s.note("%s", n)
	}
	a := s.auditOf(looked, o, ctx.Err() != nil)
	a.Shard = cut.report()
	a.Notes = append(a.Notes, looked.Notes...)
	return a, nil
}

// look looks at the accounts and at the SCP, side by side. base is nil when no
// control of the baseline is asked for.
func (s *session) look(ctx context.Context, o auditOptions, c cut, base *baseline.Filter, scpToo bool) (baseline.Audit, error) {
	var looked baseline.Audit
	var guarded []finding.Finding
	var g errgroup.Group
	if base != nil {
		g.Go(func() (err error) {
			progress := newProgress(s)
			defer progress.clear()
			looked, err = s.base.Audit(ctx, s.pool, *base, s.workers(), o.all, progress.cells)
			return err
		})
	}
	if scpToo {
		g.Go(func() (err error) {
			guarded, err = s.guardFindings(ctx, o.filter)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return looked, err
	}
	// It is told for all accounts together, as it is without parts.
	guarded = slices.DeleteFunc(guarded, func(f finding.Finding) bool { return !c.holds(f.Account) })
	looked.Findings = append(looked.Findings, guarded...)
	return looked, nil
}

// withTags narrows a filter to the accounts that have the tags.
func (s *session) withTags(ctx context.Context, f baseline.Filter, tags []orgs.Tag) (baseline.Filter, error) {
	if len(tags) == 0 {
		return f, nil
	}
	sel := orgs.Selector{Accounts: f.Accounts, OUs: f.OUs}
	candidates, err := s.org.Select(sel, nil)
	if err != nil {
		return f, badInput(err)
	}
	ids := make([]orgs.AccountID, len(candidates))
	for i, a := range candidates {
		ids[i] = a.ID
	}
	have, err := orgs.LoadTags(ctx, s.pool.Organizations, ids)
	if err != nil {
		return f, err
	}
	sel.Tags = tags
	chosen, err := s.org.Select(sel, func(id orgs.AccountID) map[string]string { return have[id] })
	if err != nil {
		return f, err
	}
	if len(chosen) == 0 {
		return f, usage("no account has the tags asked for")
	}
	f.Accounts, f.OUs = nil, nil
	for _, a := range chosen {
		f.Accounts = append(f.Accounts, string(a.ID))
	}
	return f, nil
}

// splitControls separates the baseline's controls from the SCP's. base is nil
// when no control of the baseline is asked for.
func splitControls(s *session, f baseline.Filter) (base *baseline.Filter, scpToo bool, err error) {
	if len(f.Controls) == 0 {
		return &f, s.guard != nil, nil
	}
	rest := f
	rest.Controls = slices.DeleteFunc(slices.Clone(f.Controls), func(id string) bool { return id == protect.Control })
	scpToo = len(rest.Controls) < len(f.Controls)
	var ids []string
	for _, c := range baseline.Controls() {
		ids = append(ids, c.ID)
	}
	for _, id := range rest.Controls {
		if !slices.Contains(ids, id) {
			ids = append(ids, protect.Control)
			return nil, false, &orgs.UnknownError{Kind: "control", Name: id, Near: orgs.Nearest(id, ids)}
		}
	}
	if scpToo && s.guard == nil {
		return nil, false, fmt.Errorf("control %s is off in the configuration (scp.protect-config.enabled)", protect.Control)
	}
	for _, id := range rest.Controls {
		if !slices.Contains(s.base.Controls(), id) {
			return nil, false, fmt.Errorf("control %s is off in the configuration (baseline.%s)", id, id)
		}
	}
	if len(rest.Controls) == 0 {
		return nil, true, nil
	}
	return &rest, scpToo, nil
}

// accountsOf are the accounts of the baseline that a filter leaves.
func (s *session) accountsOf(f baseline.Filter) ([]orgs.Selected, error) {
	if !f.SomeAccounts() {
		return s.base.Accounts, nil
	}
	chosen, err := s.base.Chosen(f)
	if err != nil {
		return nil, err
	}
	wanted := make(map[orgs.AccountID]bool, len(chosen))
	for _, a := range chosen {
		wanted[a.ID] = true
	}
	return slices.DeleteFunc(slices.Clone(s.base.Accounts), func(a orgs.Selected) bool { return !wanted[a.ID] }), nil
}

// lively are the accounts of a filter in which something holds, and so can be missing. The
// others are told: an audit of those would find that all of it is exempt or does not apply.
func (s *session) lively(f baseline.Filter, idle func(orgs.Selected, string)) ([]string, error) {
	accounts, err := s.accountsOf(f)
	var out []string
	for _, a := range accounts {
		switch {
		case a.Excluded != "":
			idle(a, "excluded by the configuration: "+a.Excluded)
		case a.State != orgs.StateActive:
			idle(a, fmt.Sprintf("the account is %s", a.State))
		default:
			out = append(out, string(a.ID))
		}
	}
	return out, err
}

// guardFindings audits the SCP for the accounts of the filter.
func (s *session) guardFindings(ctx context.Context, f baseline.Filter) ([]finding.Finding, error) {
	if len(f.Regions) > 0 && !slices.Contains(f.Regions, finding.Global) {
		return nil, nil
	}
	accounts, err := s.accountsOf(f)
	if err != nil {
		return nil, err
	}
	state, err := protect.Observe(ctx, s.pool, s.org)
	return s.guard.Findings(state, err, accounts), nil
}

// auditOf makes the report of what was looked at.
func (s *session) auditOf(looked baseline.Audit, o auditOptions, interrupted bool) reports.Audit {
	accounts := map[string]bool{} // that this audit is about
	maps.Copy(accounts, looked.Accounts)
	summary := finding.Summarize(looked.Findings)
	for _, status := range finding.Statuses {
		summary.Add(status, looked.Counted.Of(status))
	}
	for _, f := range looked.Findings {
		accounts[f.Account] = true
	}
	a := reports.Audit{
		Schema: reports.AuditSchema, GeneratedAt: s.now().UTC(), ToolVersion: version, Interrupted: interrupted,
		ConfigDigest: s.configDigest(), Scope: s.scopeOf(o.filter),
		Organization: reports.Organization{
			ID: s.org.ID, ManagementAccount: string(s.org.ManagementAccount), Accounts: len(accounts), Regions: s.base.Regions,
		},
		Summary: summary, Findings: []finding.Finding{}, Controls: catalogue(),
	}
	for _, f := range looked.Findings {
		if o.all || !f.Settled() {
			a.Findings = append(a.Findings, f)
		}
	}
	a.Next = s.next(a)
	return a
}

// scopeOf is what a filter leaves to be looked at.
func (s *session) scopeOf(f baseline.Filter) reports.Scope {
	scope := reports.Scope{Narrowed: !f.IsZero(), Controls: f.Controls, Regions: f.Regions}
	if len(f.Controls) == 0 {
		scope.Controls = s.base.Controls()
		if s.guard != nil {
			scope.Controls = append(scope.Controls, protect.Control)
		}
	}
	scope.Controls, scope.Regions = sorted(scope.Controls), sorted(scope.Regions)
	if f.SomeAccounts() {
		// The names have been looked up before.
		chosen, _ := s.base.Chosen(f)
		for _, a := range chosen {
			scope.Accounts = append(scope.Accounts, string(a.ID))
		}
		scope.Accounts = sorted(scope.Accounts)
	}
	return scope
}

// configDigest is a digest of the configuration as it applies to the organization:
// what would be deployed and where, and what is accepted. Comments and order of the
// file do not matter to it.
func (s *session) configDigest() string {
	effective := map[string]any{
		"templates": s.base.Templates(), "regions": s.base.Regions, "all_enabled": s.base.AllEnabled, "home": s.base.Home,
		"security": s.base.Security, "controls": s.base.Controls(), "organization": s.cfg.Organization, "exemptions": s.cfg.Audit.Exemptions,
	}
	if s.guard != nil {
		effective["policy"], effective["attach"] = string(s.guard.Policy), s.guard.Attach
	}
	b, err := json.Marshal(effective)
	if err != nil {
		return "" // plain data: cannot happen
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// next is what to type after reading the report.
func (s *session) next(a reports.Audit) string {
	prefix := s.program()
	switch {
	case a.Interrupted:
		return prefix + " audit"
	case a.Summary.Drift > 0:
		return prefix + " plan"
	case a.Summary.NotAssessed > 0:
		return prefix + " audit, when the accounts can be looked at"
	}
	return prefix + " audit --all shows what was checked"
}

// deliver writes the report wherever it was asked for.
func (s *session) deliver(ctx context.Context, a reports.Audit, o auditOptions, toStdout bool) error {
	formats, err := outputFormats(o.outputs)
	if err != nil {
		return err
	}
	if o.failOn != "" && o.failOn != "any" && a.Summary.Drift > 0 && !o.failOn.fails(a) {
		s.note("there is drift, and none that fails: --fail-on %s", o.failOn)
	}
	var problems []error
	for i, file := range o.outputs {
		var b bytes.Buffer
		if err := reports.Write(&b, formats[i], reports.Style{}, a); err != nil {
			return fmt.Errorf("write the report as %s: %w", formats[i], err)
		}
		if err := s.writeAt(context.WithoutCancel(ctx), file, b.Bytes()); err != nil {
			problems = append(problems, err)
			continue
		}
		s.note("wrote %s", file)
	}
	// A report that could not be written to a file is not lost.
	if toStdout || len(problems) > 0 {
		something := true
		if s.quiet {
			a, something = onlyChanges(a)
		}
		people := o.format == reports.Table || o.format == reports.Markdown
		if something || !people {
			problems = append(problems, reports.Write(s.out, o.format, s.style(), a))
		}
	}
	return errors.Join(problems...)
}

// endings say the format of an output file. Of several that fit, the first holds:
// the longer stand before the shorter.
var endings = []struct {
	ending string
	format reports.Format
}{
	{".sarif.json", reports.SARIF},
	{".asff.json", reports.ASFF},
	{".ocsf.json", reports.OCSF},
	{".json", reports.JSON},
	{".csv", reports.CSV},
	{".md", reports.Markdown},
	{".html", reports.HTML},
	{".sarif", reports.SARIF},
	{".junit.xml", reports.JUnit},
	{".xml", reports.JUnit},
	{".txt", reports.Table},
}

// listEndings names them all, with a word before the last.
func listEndings(last string) string {
	names := make([]string, len(endings))
	for i, e := range endings {
		names[i] = e.ending
	}
	n := len(names) - 1
	return strings.Join(names[:n], ", ") + last + names[n]
}

// formatOf is the format that the ending of a file says.
func formatOf(file string) (reports.Format, bool) {
	name := strings.ToLower(filepath.Base(file))
	for _, e := range endings {
		if strings.HasSuffix(name, e.ending) {
			return e.format, true
		}
	}
	return "", false
}

// outputFormats are the formats of output files, by their endings.
func outputFormats(files []string) ([]reports.Format, error) {
	out := make([]reports.Format, len(files))
	for i, f := range files {
		format, ok := formatOf(f)
		if !ok {
			return nil, usage("--output %s: the ending says no format; use %s", f, listEndings(" or "))
		}
		if err := checkFolder("output", f); err != nil {
			return nil, err
		}
		out[i] = format
	}
	return out, nil
}

// checkFolder refuses a file that cannot be written for want of a folder: better
// before the work than after it.
func checkFolder(flag, file string) error {
	if bucket.IsURL(file) {
		_, err := bucket.ParseURL(file)
		return badInput(err)
	}
	if file == "" {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
		return usage("--%s %s: there is no folder %s", flag, file, filepath.Dir(file))
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return usage("--%s %s: that is a folder", flag, file)
	}
	return nil
}

// writeFile writes a file whole or not at all.
func writeFile(name string, data []byte) error {
	mode := os.FileMode(0o600)
	if to, err := filepath.EvalSymlinks(name); err == nil {
		name = to // what a link names is replaced, and not the link
		if info, err := os.Stat(name); err == nil {
			mode = info.Mode().Perm()
		}
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".orgguard-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // gone after the rename
	if _, err := tmp.Write(data); err != nil {
		_ = tmp.Close()
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Chmod(tmp.Name(), mode); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
