package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/scp"
	"github.com/orgguard/orgguard/scp/preview"
	"github.com/orgguard/orgguard/scp/protect"
)

// builtinPolicy names the policy that the configuration makes.
const builtinPolicy = "scp-protect-config"

// scpPreviewOptions are scp preview's own flags.
type scpPreviewOptions struct {
	policy, builtin, name string
	replace, detach       string
	targets               []string
	since                 time.Duration
	noCloudTrail, noIAM   bool
	regions               []string
	cache                 string
	maxPages              int
	breakGlass            []string
	verify, validate      bool
	limits                scp.Limits
	disable               []string
	format                reports.Format
	outputs               []string
	out                   string
	show                  reports.PreviewOptions
}

func newSCPPreviewCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "preview",
		Usage: "show what attaching, editing or detaching a policy would do, before anybody does it; changes nothing",
		Description: "Exit codes: 0 nothing observed would break; 1 observed use would break, a role that must go on working\n" +
			"would be locked out, or AWS would not take the policy; 2 bad input; 3 nothing found, but not all could be looked at.\n" +
			"1 beats 3 here: what was found stands, whatever could not be read.",
		Flags: append(evidenceFlags(),
			&cli.StringFlag{Name: "policy", Usage: "the policy's `FILE`"},
			&cli.StringFlag{Name: "builtin", Usage: "the policy that the configuration makes: `" + builtinPolicy + "`"},
			&cli.StringSliceFlag{Name: "target", Usage: "attach to, or detach from, this root, OU or account, by id, name or `PATH`; repeatable"},
			&cli.StringFlag{Name: "replace", Usage: "the policy of this `NAME`, edited: --policy is its new text"},
			&cli.StringFlag{Name: "detach", Usage: "the policy of this `NAME`, detached from --target"},
			&cli.StringFlag{Name: "name", Usage: "what a new policy will be called (`NAME`; the file's otherwise)"},
			&cli.BoolFlag{Name: "verify-aws", Usage: "ask AWS's own policy simulator the same questions"},
			&cli.BoolFlag{Name: "validate-aws", Usage: "let IAM Access Analyzer check the policy"},
			formatFlag(reports.PreviewFormats()),
			&cli.StringSliceFlag{Name: "output", Usage: "write the preview to `FILE` too, in the format of its ending (.json, .md, .html, .txt); repeatable"},
			&cli.StringFlag{Name: "out", Usage: "save the preview to `FILE`, for scp apply --preview or scp remove --preview"},
			&cli.BoolFlag{Name: "all", Usage: "list every account"},
		),
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			o, err := readPreviewOptions(c)
			if err != nil {
				return err
			}
			toStdout := len(o.outputs) == 0 || c.IsSet("format")
			return withSession(c.Context, g, s, reads, func(ctx context.Context, s *session) error {
				p, in, err := runSCPPreview(ctx, s, o)
				if err != nil {
					return err
				}
				if err := s.savePreview(in, p, o.out); err != nil {
					return err
				}
				if err := s.deliverPreview(p, o, toStdout); err != nil {
					return err
				}
				return status(p.Verdict.ExitCode)
			})
		},
	}
}

// evidenceFlags say what a change to a policy is judged by.
func evidenceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "since", Usage: "how far back to look for use, e.g. 30d or 12h; AWS keeps 90d", Value: "90d"},
		&cli.StringSliceFlag{Name: "region", Usage: "look for use in this `REGION` (the configuration's otherwise); repeatable"},
		&cli.BoolFlag{Name: "no-cloudtrail", Usage: "do not look for use"},
		&cli.BoolFlag{Name: "no-iam", Usage: "do not look at what IAM permits"},
		&cli.StringFlag{Name: "cache", Usage: "keep what was read of CloudTrail in `FILE`, to go on after a stop and to read only what is new"},
		&cli.IntFlag{Name: "max-pages", Usage: "read at most `N` pages of 50 events of one lookup", Value: 200},
		&cli.StringSliceFlag{Name: "break-glass", Usage: "this `ROLE` must not lose anything; repeatable (those of the configuration are known)"},
		&cli.IntFlag{Name: "max-characters", Usage: "the size quota, where yours is not the known one"},
		&cli.IntFlag{Name: "max-attached", Usage: "the quota of policies on one target, where yours is not the known one"},
		&cli.StringSliceFlag{Name: "disable", Usage: "leave this lint `RULE` out; repeatable"},
	}
}

// readPreviewOptions reads and checks the flags.
func readPreviewOptions(c *cli.Context) (scpPreviewOptions, error) {
	o := scpPreviewOptions{
		policy: c.String("policy"), builtin: c.String("builtin"), name: c.String("name"), replace: c.String("replace"), detach: c.String("detach"),
		targets: c.StringSlice("target"), verify: c.Bool("verify-aws"), validate: c.Bool("validate-aws"),
		outputs: c.StringSlice("output"), out: c.String("out"), show: reports.PreviewOptions{All: c.Bool("all")},
	}
	var err error
	if o.format, err = formatAmong(c.String("format"), "a preview", reports.PreviewFormats()); err != nil {
		return o, err
	}
	if _, err := previewOutputs(o.outputs); err != nil {
		return o, err
	}
	if err := checkFolder("out", o.out); err != nil {
		return o, err
	}
	if err := readEvidenceOptions(c, &o); err != nil {
		return o, err
	}
	return o, o.check()
}

// readEvidenceOptions reads the flags of evidenceFlags.
func readEvidenceOptions(c *cli.Context, o *scpPreviewOptions) error {
	o.noCloudTrail, o.noIAM, o.regions, o.cache = c.Bool("no-cloudtrail"), c.Bool("no-iam"), c.StringSlice("region"), c.String("cache")
	o.maxPages, o.breakGlass = c.Int("max-pages"), c.StringSlice("break-glass")
	var err error
	if o.since, err = parseSince(c.String("since")); err != nil {
		return err
	}
	lint, err := lintOptions(c.StringSlice("disable"), c.Int("max-characters"))
	if err != nil {
		return err
	}
	o.disable, o.limits = lint.Disable, lint.Limits
	switch n := c.Int("max-attached"); {
	case n < 0:
		return usage("--max-attached %d: want a positive number", n)
	case n > 0:
		o.limits.PoliciesPerNode = scp.Limit{Value: n, Source: "--max-attached", Date: "as given"}
	}
	if o.maxPages < 1 {
		return usage("--max-pages %d: want a positive number", o.maxPages)
	}
	return nil
}

// check refuses combinations that mean nothing.
func (o scpPreviewOptions) check() error {
	switch {
	case o.builtin != "" && o.builtin != builtinPolicy:
		return usage("unknown --builtin %q; there is %s", o.builtin, builtinPolicy)
	case o.detach != "" && (o.policy != "" || o.builtin != "" || o.replace != ""):
		return usage("--detach goes with --target alone")
	case o.policy != "" && o.builtin != "":
		return usage("--policy and --builtin exclude each other")
	case o.replace != "" && o.policy == "":
		return usage("--replace needs --policy: the policy's new text")
	case o.detach == "" && o.policy == "" && o.builtin == "":
		return usage("scp preview needs --policy, --builtin or --detach")
	case o.detach != "" && len(o.targets) == 0:
		return usage("--detach needs --target: what to detach it from")
	case o.policy != "" && o.replace == "" && len(o.targets) == 0:
		return usage("scp preview needs --target: a root, an OU or an account")
	}
	return nil
}

// historyDays is how long AWS keeps the event history.
const historyDays = 90

// parseSince reads a duration that may be in days.
func parseSince(text string) (time.Duration, error) {
	var d time.Duration
	var err error
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(n) * 24 * time.Hour
		if n > 10*historyDays || n < 0 {
			err = errors.New("out of range")
		}
	} else {
		d, err = time.ParseDuration(text)
	}
	if err != nil || d <= 0 {
		return 0, usage("--since %s: want a time such as 90d or 12h", text)
	}
	return d, nil
}

// runSCPPreview reads what the preview needs and makes it.
func runSCPPreview(ctx context.Context, s *session, o scpPreviewOptions) (preview.Preview, preview.Input, error) {
	in, err := s.previewInput(ctx, o)
	if err != nil {
		return preview.Preview{}, in, previewError(err)
	}
	accounts, err := preview.Reached(in)
	if err != nil {
		return preview.Preview{}, in, previewError(err)
	}
	if !o.noIAM {
		s.readIAM(ctx, &in, accounts)
	}
	if !o.noCloudTrail {
		if err := s.readUse(ctx, &in, accounts, o); err != nil {
			return preview.Preview{}, in, err
		}
	}
	if err := ctx.Err(); err != nil {
		return preview.Preview{}, in, err
	}
	p, err := preview.New(in)
	if err != nil {
		return preview.Preview{}, in, previewError(err)
	}
	if o.verify {
		questions, err := preview.Questions(in)
		if err != nil {
			return preview.Preview{}, in, previewError(err)
		}
		p.Checks = append(p.Checks, preview.VerifyAWS(ctx, s.pool, s.org, questions))
	}
	if o.validate && in.Change.Source != nil {
		p.Checks = append(p.Checks, preview.ValidateAWS(ctx, s.pool, s.org.Partition.GlobalRegion, in.Change.Source)...)
	}
	p.Settle()
	return p, in, nil
}

// savePreview keeps a preview to be carried out as it is.
func (s *session) savePreview(in preview.Input, p preview.Preview, file string) error {
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(preview.Save(in, p), "", "  ")
	if err != nil {
		return fmt.Errorf("save the preview: %w", err)
	}
	if err := writeFile(file, append(b, '\n')); err != nil {
		return err
	}
	s.note("wrote %s", file)
	return nil
}

// previewError tells a mistake of the person who typed from trouble with AWS.
func previewError(err error) error {
	var input *preview.InputError
	var parse *scp.ParseError
	var unknown *orgs.UnknownError
	if errors.As(err, &input) || errors.As(err, &parse) || errors.As(err, &unknown) {
		return badInput(err)
	}
	return err
}

// previewInput reads the tree's policies and makes the change of the flags.
func (s *session) previewInput(ctx context.Context, o scpPreviewOptions) (preview.Input, error) {
	in := s.emptyInput(o)
	source, err := s.previewSource(o)
	if err != nil {
		return in, err
	}
	if in.Attached, err = preview.ReadAttachments(ctx, s.pool, s.org, in.GeneratedAt); err != nil {
		return in, err
	}
	if in.Change, err = s.previewChange(in.Attached, o, source); err != nil {
		return in, err
	}
	if err := in.Attached.ReadDocuments(ctx, s.pool, s.org, in.Change); err != nil {
		return in, err
	}
	if in.Change.Kind == preview.Attach && in.Change.Existing != "" && in.Change.Source != nil {
		// The built-in policy is there already: the same text is attached to
		// more, another one is an edit.
		if same, err := sameJSON(in.Change.Source, []byte(in.Attached.Policies[in.Change.Existing].Content)); err == nil && same {
			in.Change.Source = nil
		} else {
			in.Change.Kind = preview.Replace
			in.Notes = append(in.Notes, "the policy is there already with another text: this edits it, on all its targets at once")
		}
	}
	return in, nil
}

// emptyInput is an input before anything was read.
func (s *session) emptyInput(o scpPreviewOptions) preview.Input {
	return preview.Input{
		Org: s.org, Limits: o.limits, Lint: scp.LintOptions{Disable: o.disable}, GeneratedAt: s.now().UTC(), ToolVersion: version,
		Regions: s.base.Regions, Command: s.previewCommand(o), Notes: []string{}, Guards: s.guards(o.breakGlass),
	}
}

// guards are the roles that must go on working.
func (s *session) guards(breakGlass []string) []preview.Guard {
	all := slices.Concat(s.cfg.SCP.ProtectConfig.BreakGlassRoles, breakGlass)
	return preview.DefaultGuards(s.cfg.Organization.AccessRole, grants["rollout"].member, all)
}

// inputOf reads the tree's policies for a change that is known already.
func (s *session) inputOf(ctx context.Context, o scpPreviewOptions, c preview.Change) (preview.Input, error) {
	in := s.emptyInput(o)
	in.Change = c
	var err error
	if in.Attached, err = preview.ReadAttachments(ctx, s.pool, s.org, in.GeneratedAt); err != nil {
		return in, err
	}
	return in, in.Attached.ReadDocuments(ctx, s.pool, s.org, c)
}

// sameJSON compares two documents by what they say.
func sameJSON(a, b []byte) (bool, error) {
	x, err := scp.Parse("a", a)
	if err != nil {
		return false, err
	}
	y, err := scp.Parse("b", b)
	if err != nil {
		return false, err
	}
	return bytes.Equal(x.Minified(), y.Minified()), nil
}

// previewSource is the policy's text.
func (s *session) previewSource(o scpPreviewOptions) ([]byte, error) {
	switch {
	case o.policy != "":
		src, err := readPolicyFile(o.policy)
		if err != nil {
			return nil, err
		}
		_, err = scp.Parse(o.policy, src)
		return src, err
	case o.builtin != "":
		if s.guard == nil {
			return nil, usage("--builtin %s: it is off in the configuration (scp.protect-config.enabled)", builtinPolicy)
		}
		return s.guard.Policy, nil
	}
	return nil, nil
}

// previewChange makes the change of the flags.
func (s *session) previewChange(have preview.Attachments, o scpPreviewOptions, source []byte) (preview.Change, error) {
	c := preview.Change{Kind: preview.Attach, Source: source, File: o.policy, Name: o.name}
	var problems []error
	for _, ref := range o.targets {
		n, err := preview.FindTarget(s.org, ref)
		problems = append(problems, err)
		if err == nil && !slices.Contains(c.Targets, n.ID) {
			c.Targets = append(c.Targets, n.ID)
		}
	}
	switch ref := firstOf(o.replace, o.detach); {
	case ref != "":
		p, err := have.FindPolicy(ref)
		problems = append(problems, err)
		c.Name, c.Existing, c.Kind = p.Name, p.ID, preview.Replace
		if o.detach != "" {
			c.Kind = preview.Detach
		}
	case o.builtin != "":
		c.Name, c.File = protect.PolicyName, protect.PolicyName
		if p, err := have.FindPolicy(protect.PolicyName); err == nil {
			c.Existing = p.ID
		}
		if len(o.targets) == 0 {
			for _, ou := range s.guard.Attach {
				c.Targets = append(c.Targets, string(ou.ID))
			}
		}
	case c.Name == "":
		c.Name = strings.TrimSuffix(filepath.Base(o.policy), filepath.Ext(o.policy))
	}
	return c, errors.Join(problems...)
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// previewCommand is the command without its targets, for the next one.
func (s *session) previewCommand(o scpPreviewOptions) string {
	words := []string{"orgguard"}
	if s.sandbox {
		words = append(words, "--sandbox")
	}
	words = append(words, "scp", "preview")
	if o.policy != "" {
		words = append(words, "--policy", shellWord(o.policy))
	}
	if o.builtin != "" {
		words = append(words, "--builtin", o.builtin)
	}
	return strings.Join(words, " ")
}

// shellWord quotes a word for a shell when it needs to be.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=+@", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// readIAM reads what IAM permits in the accounts.
func (s *session) readIAM(ctx context.Context, in *preview.Input, accounts []orgs.Account) {
	progress := newProgress(s)
	var done atomic.Int64
	in.Inventory, in.Evidence.IAM = preview.ReadInventory(ctx, s.pool, s.org, accounts, s.workers(), func() {
		progress.accounts(int(done.Add(1)), len(accounts))
	})
	progress.clear()
}

// readUse reads who did lately what would be denied.
func (s *session) readUse(ctx context.Context, in *preview.Input, accounts []orgs.Account, o scpPreviewOptions) error {
	actions, err := preview.LookupActions(*in)
	if err != nil {
		return previewError(err)
	}
	since := min(o.since, historyDays*24*time.Hour)
	if since < o.since {
		in.Notes = append(in.Notes, fmt.Sprintf("AWS keeps events for %d days, and so --since goes back no further", historyDays))
	}
	l := preview.Lookup{
		Accounts: accounts, Regions: s.base.Regions, Actions: actions, From: in.GeneratedAt.Add(-since), To: in.GeneratedAt,
		Workers: s.workers(), MaxPages: o.maxPages,
	}
	if len(o.regions) > 0 {
		for _, r := range o.regions {
			if err := knownRegion(s.org, r); err != nil {
				return err
			}
		}
		l.Regions = o.regions
	}
	if o.cache != "" {
		if l.Cache, err = preview.OpenCache(o.cache, s.org.ID); err != nil {
			return badInput(err)
		}
	}
	in.Notes = append(in.Notes, "use was looked for in "+strings.Join(l.Regions, ", ")+"; other Regions were not (--region)")
	progress := newProgress(s)
	total := l.Cells(s.org)
	var done atomic.Int64
	l.Done = func() { progress.accounts(int(done.Add(1)), total) }
	in.Events, in.Evidence.CloudTrail = preview.ReadEvents(ctx, s.pool, s.org, l)
	progress.clear()
	return nil
}

// deliverPreview writes the preview wherever it was asked for.
func (s *session) deliverPreview(p preview.Preview, o scpPreviewOptions, toStdout bool) error {
	formats, err := previewOutputs(o.outputs)
	if err != nil {
		return err
	}
	var problems []error
	for i, file := range o.outputs {
		var b bytes.Buffer
		if err := reports.WritePreview(&b, formats[i], reports.Style{}, o.show, p); err != nil {
			return fmt.Errorf("write the preview as %s: %w", formats[i], err)
		}
		if err := writeFile(file, b.Bytes()); err != nil {
			problems = append(problems, err)
			continue
		}
		s.note("wrote %s", file)
	}
	// A preview that could not be written to a file is not lost.
	if toStdout || len(problems) > 0 {
		problems = append(problems, reports.WritePreview(s.out, o.format, s.style(), o.show, p))
	}
	return errors.Join(problems...)
}

// previewOutputs are the formats of output files, by their endings.
func previewOutputs(files []string) ([]reports.Format, error) {
	endings := map[string]reports.Format{".json": reports.JSON, ".md": reports.Markdown, ".html": reports.HTML, ".txt": reports.Table}
	out := make([]reports.Format, len(files))
	for i, f := range files {
		format, ok := endings[strings.ToLower(filepath.Ext(f))]
		if !ok {
			return nil, usage("--output %s: the ending says no format; use .json, .md, .html or .txt", f)
		}
		if err := checkFolder("output", f); err != nil {
			return nil, err
		}
		out[i] = format
	}
	return out, nil
}
