package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/scp/apply"
	"github.com/orgguard/orgguard/scp/preview"
	"github.com/orgguard/orgguard/scp/protect"
)

// What a preview found that may be accepted. A lock-out and a policy that AWS would
// not take may not.
const (
	acceptUse      = "observed-use"
	acceptEvidence = "incomplete-evidence"
	acceptEdit     = "all-targets"
)

var acceptable = []string{acceptUse, acceptEvidence, acceptEdit}

// scpApplyOptions are the flags of scp apply and scp remove.
type scpApplyOptions struct {
	change    scpPreviewOptions // what to do, and what it is judged by
	saved     *preview.Saved    // carry out exactly this; nil: what the flags say
	waves     []string
	noWaves   bool
	accept    []string
	probe     bool
	probeRole string
	resume    string
	undo      string
	journal   string // folder; "" is the usual one
	command   string // as it was typed, for the journal
	name      string // of the command, for the lock
	breakLock string
	yes       bool
	format    reports.Format
}

// applyFlags are what both commands have.
func applyFlags() []cli.Flag {
	return append(evidenceFlags(),
		&cli.StringSliceFlag{Name: "target", Usage: "this root, OU or account, by id, name or `PATH`; repeatable"},
		&cli.StringFlag{Name: "preview", Usage: "carry out the preview saved in `FILE`, and nothing if the organization has changed since"},
		&cli.StringSliceFlag{Name: "wave", Usage: "begin with this `OU` or account, by id, name or path; each is a wave of its own, in this order (rollout.waves of the configuration otherwise)"},
		&cli.BoolFlag{Name: "no-waves", Usage: "all at once"},
		&cli.StringSliceFlag{Name: "accept", Usage: "go on although the preview found `" + strings.Join(acceptable, "|") + "`; repeatable"},
		&cli.BoolFlag{Name: "probe", Usage: "after each wave make a call that must be denied, on a name that nobody has; alerts on such calls tell of it"},
		&cli.StringFlag{Name: "probe-role", Usage: "make it as this `ROLE` of the account (the access role otherwise, which the built-in policy spares)"},
		&cli.StringFlag{Name: "resume", Usage: "go on with the `RUN` that was cut short"},
		&cli.StringFlag{Name: "undo", Usage: "take back what the `RUN` did"},
		&cli.StringFlag{Name: "journal", Usage: "keep the journals of runs in `FOLDER` (" + journal.Dir + " otherwise)"},
		breakLockFlag(),
		&cli.BoolFlag{Name: "yes", Usage: "do not ask (for scripts)", EnvVars: []string{"ORGGUARD_YES"}},
		formatFlag(reports.ApplyFormats()),
	)
}

const applyCodes = "Exit codes: 0 done and verified, or nothing to do; 1 the preview refuses, the organization has changed since, or\n" +
	"the answer was no: nothing was changed; 2 bad input; 3 a wave failed and was rolled back, or the run was cut short."

func newSCPApplyCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "apply",
		Usage:       "preview, ask, attach or edit a policy in waves, verify each wave, roll it back when it fails",
		Description: applyCodes,
		Flags: append(applyFlags(),
			&cli.StringFlag{Name: "policy", Usage: "the policy's `FILE`"},
			&cli.StringFlag{Name: "builtin", Usage: "the policy that the configuration makes: `" + builtinPolicy + "`"},
			&cli.StringFlag{Name: "replace", Usage: "the policy of this `NAME`, edited: --policy is its new text"},
			&cli.StringFlag{Name: "name", Usage: "what a new policy will be called (`NAME`; the file's otherwise)"},
		),
		Action: applyAction(s, func(c *cli.Context, o *scpPreviewOptions) {
			o.policy, o.builtin, o.replace, o.name = c.String("policy"), c.String("builtin"), c.String("replace"), c.String("name")
		}),
	}
}

func newSCPRemoveCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "remove",
		Usage:       "preview, ask, detach a policy in waves, verify each wave, roll it back when it fails",
		Description: applyCodes,
		Flags: append(applyFlags(),
			&cli.StringFlag{Name: "name", Usage: "detach the policy of this `NAME` or id from --target"},
		),
		Action: applyAction(s, func(c *cli.Context, o *scpPreviewOptions) { o.detach = c.String("name") }),
	}
}

// applyAction reads the flags and runs.
func applyAction(s streams, what func(*cli.Context, *scpPreviewOptions)) cli.ActionFunc {
	return func(c *cli.Context) error {
		g, err := readGlobals(c)
		if err != nil {
			return err
		}
		o, err := readApplyOptions(c, what)
		if err != nil {
			return err
		}
		if !o.yes && !s.inTTY {
			return usage("%s changes AWS and nobody can be asked here: read `orgguard scp preview`, then give --yes", shortName(c.Command))
		}
		return withSession(c.Context, g, s, writes, func(ctx context.Context, s *session) error { return runSCPApply(ctx, s, o) })
	}
}

func readApplyOptions(c *cli.Context, what func(*cli.Context, *scpPreviewOptions)) (scpApplyOptions, error) {
	o := scpApplyOptions{
		waves: c.StringSlice("wave"), noWaves: c.Bool("no-waves"), accept: c.StringSlice("accept"), probe: c.Bool("probe"), probeRole: c.String("probe-role"),
		resume: c.String("resume"), undo: c.String("undo"), journal: c.String("journal"), yes: c.Bool("yes"), command: commandLine(os.Args),
		name: "scp " + c.Command.Name, breakLock: c.String("break-lock"),
	}
	o.change.targets = c.StringSlice("target")
	what(c, &o.change)
	var err error
	if o.format, err = formatAmong(c.String("format"), "a run over a policy", reports.ApplyFormats()); err != nil {
		return o, err
	}
	if err := readEvidenceOptions(c, &o.change); err != nil {
		return o, err
	}
	if err := o.check(c.Command.Name); err != nil {
		return o, err
	}
	if file := c.String("preview"); file != "" {
		if o.said() {
			return o, usage("--preview says itself what is to be done: leave --policy, --builtin, --replace, --name and --target out")
		}
		o.saved, err = readSaved("preview", file, preview.ReadSaved)
		return o, badInput(err)
	}
	if o.resume == "" && o.undo == "" {
		if c.Command.Name == "remove" && o.change.detach == "" {
			return o, usage("scp remove needs --name: the policy to detach")
		}
		return o, o.change.check()
	}
	return o, nil
}

// said says that flags tell what is to be done.
func (o scpApplyOptions) said() bool {
	c := o.change
	return c.policy != "" || c.builtin != "" || c.replace != "" || c.name != "" || c.detach != "" || len(c.targets) > 0
}

// check refuses combinations that mean nothing.
func (o scpApplyOptions) check(command string) error {
	for _, a := range o.accept {
		if !slices.Contains(acceptable, a) {
			return usage("unknown --accept %q; there are %s", a, strings.Join(acceptable, ", "))
		}
	}
	switch {
	case o.noWaves && len(o.waves) > 0:
		return usage("--wave and --no-waves exclude each other")
	case o.resume != "" && o.undo != "":
		return usage("--resume and --undo exclude each other")
	case (o.resume != "" || o.undo != "") && (o.said() || len(o.waves) > 0 || o.noWaves):
		return usage("--resume and --undo take what is to be done from the run's journal: scp %s --resume RUN", command)
	case o.probeRole != "" && !o.probe:
		return usage("--probe-role goes with --probe")
	}
	return nil
}

// commandLine is what was typed, for the journal.
func commandLine(args []string) string {
	words := []string{"orgguard"}
	for _, a := range args[min(1, len(args)):] {
		words = append(words, shellWord(a))
	}
	return strings.Join(words, " ")
}

// folder is where the journals of runs are.
func (o scpApplyOptions) folder(s *session) string {
	if o.journal != "" {
		return o.journal
	}
	return s.journalDir()
}

// scpRun is what the journal keeps of a run, to go on with it.
type scpRun struct {
	Kind   preview.ChangeKind  `json:"kind"`
	Change preview.SavedChange `json:"change"`
	Before apply.Policy        `json:"before"` // the policy before the run
	Basis  *preview.Basis      `json:"basis,omitempty"`
	Waves  []apply.Wave        `json:"waves"`
	// Undoes is the run that this one takes back.
	Undoes string `json:"undoes,omitempty"`
}

// scpWork is a run that is ready to be carried out.
type scpWork struct {
	scpRun
	judge preview.Input
	log   *journal.Log // of the run that is gone on with; nil for a new one
	notes []string
}

// runSCPApply works out what to do, shows it, asks, and does it.
func runSCPApply(ctx context.Context, s *session, o scpApplyOptions) error {
	if s.org.SCPStatus != orgs.PolicyTypeEnabled {
		return &exitError{code: exitDrift, err: &orgs.Hinted{
			Err:  errors.New("service control policies are not enabled in this organization, so none can be attached"),
			Next: fmt.Sprintf("orgguard rollout enables them, or: aws organizations enable-policy-type --root-id %s --policy-type SERVICE_CONTROL_POLICY", s.org.Root),
		}}
	}
	if err := s.unlocked(ctx, o.breakLock); err != nil {
		return err
	}
	var work scpWork
	var err error
	switch {
	case o.resume != "":
		work, err = s.resumeSCP(ctx, o)
	case o.undo != "":
		work, err = s.undoSCP(ctx, o)
	default:
		work, err = s.newSCP(ctx, o)
	}
	if err != nil {
		return err
	}
	report := apply.Report{
		Schema: apply.Schema, GeneratedAt: s.now(), ToolVersion: version, Organization: s.org.ID, Kind: work.Kind, Policy: work.Before.Name, PolicyID: work.Before.ID,
		Outcome: apply.ToDo, Waves: apply.Planned(work.Waves), Notes: work.notes,
	}
	if len(work.Waves) == 0 {
		report.Outcome = apply.NothingToDo
		return reports.WriteApply(s.out, o.format, s.style(), report)
	}
	shown, format := s.shown(o.format)
	if err := reports.WriteApply(shown, format, s.style(), report); err != nil {
		return err
	}
	if err := s.agreed(work, o); err != nil {
		return err
	}
	// The last look is under the lock: nobody of orgguard's own can come between it
	// and the first write.
	return s.locked(ctx, o.name, func() error {
		if err := s.unchanged(ctx, work, o); err != nil {
			return err
		}
		return s.carryOut(ctx, work, o, report)
	})
}

// newSCP previews a change and works out its waves.
func (s *session) newSCP(ctx context.Context, o scpApplyOptions) (scpWork, error) {
	groups, err := s.groups(o)
	if err != nil {
		return scpWork{}, badInput(err)
	}
	p, in, err := s.judged(ctx, o)
	if err != nil {
		return scpWork{}, err
	}
	shown, format := s.shown(o.format)
	if err := reports.WritePreview(shown, format, s.style(), o.change.show, p); err != nil {
		return scpWork{}, err
	}
	if _, err := fmt.Fprintln(shown); err != nil {
		return scpWork{}, err
	}
	if err := accepted(p.Verdict, o.accept); err != nil {
		return scpWork{}, err
	}
	have := policyOf(in)
	wish := apply.Wish{Content: string(in.Change.Source), Attach: in.Change.Targets, Control: controlOf(have.Name)}
	if in.Change.Kind == preview.Detach {
		wish = apply.Wish{Detach: in.Change.Targets, Control: wish.Control}
	}
	basis := preview.BasisOf(in)
	w := scpWork{judge: in, scpRun: scpRun{
		Kind: in.Change.Kind, Change: preview.Save(in, p).Change, Before: have, Basis: &basis, Waves: apply.Plan(s.org, have, wish, groups),
	}}
	limit := preview.PoliciesPerNode(in.Limits)
	if full := apply.Full(s.org, w.Waves, in.Attached.On, limit); len(full) > 0 {
		return w, &exitError{code: exitDrift, err: &orgs.Hinted{
			Err:  fmt.Errorf("there is no room for one policy more on the way: %s", strings.Join(full, "; ")),
			Next: "choose other canaries (--wave), or attach all at once (--no-waves)",
		}}
	}
	return w, nil
}

// judged is the preview of the change and what it is made of: of a saved one what
// it found then, and its checks anew.
func (s *session) judged(ctx context.Context, o scpApplyOptions) (preview.Preview, preview.Input, error) {
	if o.saved == nil {
		return runSCPPreview(ctx, s, o.change)
	}
	in, err := s.inputOf(ctx, o.change, o.saved.Change.Plain())
	if err != nil {
		return preview.Preview{}, in, previewError(err)
	}
	if err := changedSince(preview.BasisAt(in, o.saved.Basis.Tops), o.saved.Basis, "", "make a new one: orgguard scp preview --out FILE"); err != nil {
		return preview.Preview{}, in, err
	}
	now, err := preview.New(in)
	if err != nil {
		return preview.Preview{}, in, previewError(err)
	}
	p := o.saved.Preview
	if now.Verdict.Word == preview.Refused || now.Verdict.Word == preview.NotValid {
		p = now
	}
	return p, in, nil
}

// accepted refuses what the preview refuses, but for what was accepted.
func accepted(v preview.Verdict, accept []string) error {
	over := map[preview.VerdictWord]string{preview.WouldBreak: acceptUse, preview.Incomplete: acceptEvidence}
	refuse := func(next string) error {
		return &exitError{code: v.ExitCode, err: &orgs.Hinted{Err: fmt.Errorf("nothing was changed: %s: %s", v.Word, v.Text), Next: next}}
	}
	switch a := over[v.Word]; {
	case v.ExitCode == exitOK || a != "" && slices.Contains(accept, a):
		return nil
	case a != "":
		return refuse("read the preview above; if that is what you want, say so: --accept " + a)
	}
	return refuse("change the policy or its target; this cannot be overridden")
}

// changedSince refuses when the organization is not as it was.
func changedSince(now, was preview.Basis, but, next string) error {
	diff := now.Since(was, but)
	if len(diff) == 0 {
		return nil
	}
	const most = 20
	if more := len(diff) - most; more > 0 {
		diff = append(diff[:most], fmt.Sprintf("and %d more", more))
	}
	return &exitError{code: exitDrift, err: &orgs.Hinted{
		Err: fmt.Errorf("the organization has changed since, nothing was changed now:\n%s", strings.Join(diff, "\n")), Next: next,
	}}
}

// groups are the waves of the flags, or of the configuration.
func (s *session) groups(o scpApplyOptions) ([]apply.Group, error) {
	refs := s.cfg.Rollout.Waves
	switch {
	case o.noWaves:
		return nil, nil
	case len(o.waves) > 0:
		refs = nil
		for _, w := range o.waves {
			refs = append(refs, []string{w})
		}
	}
	return apply.Groups(s.org, refs)
}

// policyOf is the changed policy as the snapshot has it.
func policyOf(in preview.Input) apply.Policy {
	p := apply.Policy{Name: in.Change.Name}
	if in.Change.Existing == "" {
		return p
	}
	known := in.Attached.Policies[in.Change.Existing]
	p.Name, p.ID, p.Content = known.Name, known.ID, known.Content
	for node, ids := range in.Attached.On {
		if slices.Contains(ids, p.ID) {
			p.Targets = append(p.Targets, node)
		}
	}
	slices.Sort(p.Targets)
	return p
}

// controlOf is the control that a policy serves, if any.
func controlOf(policy string) string {
	if policy == protect.PolicyName {
		return protect.Control
	}
	return ""
}

// agreed asks; an error is no. An edit that reaches several targets at once is asked
// about by itself.
func (s *session) agreed(w scpWork, o scpApplyOptions) error {
	for _, c := range apply.Changes(w.Waves) {
		if c.Verb != plan.Update || len(w.Before.Targets) < 2 || slices.Contains(o.accept, acceptEdit) {
			continue
		}
		what := fmt.Sprintf("the edit of %s changes %d accounts at %d targets at once, without waves", w.Before.Name, c.Cells, len(w.Before.Targets))
		if o.yes {
			return &exitError{code: exitDrift, err: &orgs.Hinted{
				Err: errors.New("nothing was changed: " + what), Next: "if that is what you want, say so: --accept " + acceptEdit + "; to go in waves attach the new text under another name, then remove the old one",
			}}
		}
		if err := s.agree(strings.ToUpper(what[:1]) + what[1:] + ". Is that meant?"); err != nil {
			return err
		}
	}
	return s.confirm(o.yes, len(apply.Changes(w.Waves)))
}

// unchanged looks at the organization once more right before the first write:
// somebody has read the plan in the meantime, or an hour has passed.
func (s *session) unchanged(ctx context.Context, w scpWork, o scpApplyOptions) error {
	if w.Basis == nil {
		return nil
	}
	if err := s.load(ctx); err != nil {
		return fmt.Errorf("look once more before the first write: %w", err)
	}
	in, err := s.inputOf(ctx, o.change, w.Change.Plain())
	if err != nil {
		return fmt.Errorf("look once more before the first write: %w", err)
	}
	but := ""
	if w.log != nil {
		but = w.Before.Name
	}
	return changedSince(preview.BasisAt(in, w.Basis.Tops), *w.Basis, but, "run it again: it looks at what is there now")
}

// carryOut carries the waves out and says how they ended.
func (s *session) carryOut(ctx context.Context, w scpWork, o scpApplyOptions, report apply.Report) error {
	opts := apply.Options{
		Pool: s.pool, Org: s.org, Policy: w.Before, Control: controlOf(w.Before.Name), Judge: w.judge, Patience: apply.DefaultPatience,
		Keep: w.Undoes != "", Say: func(text string) { s.note("%s", text) },
	}
	if w.Before.Name == protect.PolicyName {
		opts.Description = protect.Description
	}
	if o.probe {
		pool, err := s.probePool(ctx, o.probeRole)
		if err != nil {
			return err
		}
		// The one Region that is on in every account.
		opts.Probe = &apply.Probe{Pool: pool, Role: pool.Role(), Region: s.org.Partition.GlobalRegion}
	}
	j, err := s.openJournal(ctx, w, o)
	if err != nil {
		return err
	}
	r := apply.NewRunner(opts)
	r.Record(j)
	if w.log != nil {
		r.Resume(*w.log)
	}
	res := plan.Execute(ctx, j.Tasks(r.Tasks(w.Waves)), 1, s.say)
	report.Run, report.Waves = j.Run(), r.Result(w.Waves, res)
	report.Outcome = apply.OutcomeOf(report.Waves)
	if report.Outcome != apply.Cut {
		err = j.End(string(report.Outcome))
	}
	err = errors.Join(err, j.Close())
	s.further(&report, o)
	if err := errors.Join(err, reports.WriteApply(s.out, o.format, s.style(), report)); err != nil {
		return err
	}
	if report.Outcome != apply.Done {
		return status(exitIncomplete)
	}
	return nil
}

// further says what can be done after a run.
func (s *session) further(r *apply.Report, o scpApplyOptions) {
	command := s.program() + " scp apply "
	folder := ""
	if o.journal != "" {
		folder = " --journal " + shellWord(o.journal)
	}
	r.Undo = command + "--undo " + r.Run + folder
	if r.Outcome == apply.Cut || r.Outcome == apply.TakenBack {
		r.Next = command + "--resume " + r.Run + folder
	}
}

// openJournal begins a journal, or goes on with one.
func (s *session) openJournal(ctx context.Context, w scpWork, o scpApplyOptions) (*journal.Journal, error) {
	h := journal.Header{Command: o.command, Who: s.pool.Caller().ARN, Organization: s.org.ID, ToolVersion: version, Details: w.scpRun}
	k := s.keeper(o.folder(s))
	if w.log == nil {
		return k.Create(ctx, h)
	}
	h.Details = nil // those it began with hold
	j, _, err := k.Continue(ctx, w.log.Run(), h)
	return j, err
}

// probePool assumes the role of probes.
func (s *session) probePool(ctx context.Context, role string) (*access.Pool, error) {
	if role == "" {
		return s.pool, nil
	}
	return s.poolOf(ctx, role)
}

// resumeSCP goes on with a run.
func (s *session) resumeSCP(ctx context.Context, o scpApplyOptions) (scpWork, error) {
	l, err := s.keeper(o.folder(s)).Read(ctx, o.resume)
	if err != nil {
		return scpWork{}, badInput(err)
	}
	w := scpWork{log: &l, notes: torn(l)}
	if err := readRun(l, &w.scpRun); err != nil {
		return w, err
	}
	switch out := apply.Outcome(l.Outcome()); out {
	case apply.Done, apply.Broken:
		return w, usage("run %s has ended (%s): there is nothing to go on with; orgguard scp apply --undo %s takes it back", o.resume, out, o.resume)
	}
	if w.Undoes != "" {
		return w, nil
	}
	change := w.Change.Plain()
	in, err := s.inputOf(ctx, o.change, change)
	if err != nil {
		return w, previewError(err)
	}
	if err := changedSince(preview.BasisAt(in, w.Basis.Tops), *w.Basis, w.Before.Name, "take the run back and begin anew: orgguard scp apply --undo "+o.resume); err != nil {
		return w, err
	}
	if in.Attached, err = apply.Rewind(in.Attached, w.Before); err != nil {
		return w, err
	}
	if !o.change.noIAM {
		accounts, err := preview.Reached(in)
		if err != nil {
			return w, previewError(err)
		}
		s.readIAM(ctx, &in, accounts)
	}
	w.judge = in
	return w, nil
}

// undoSCP takes a run back.
func (s *session) undoSCP(ctx context.Context, o scpApplyOptions) (scpWork, error) {
	l, err := s.keeper(o.folder(s)).Read(ctx, o.undo)
	if err != nil {
		return scpWork{}, badInput(err)
	}
	w := scpWork{notes: torn(l)}
	var was scpRun
	if err := readRun(l, &was); err != nil {
		return w, err
	}
	have, err := apply.ReadPolicy(ctx, s.pool, s.org, was.Before.Name)
	if err != nil {
		return w, err
	}
	w.Kind, w.Change, w.Before, w.Undoes = was.Kind, was.Change, have, o.undo
	w.Waves, err = apply.Undo(s.org, l, have, controlOf(have.Name))
	var conflict *apply.ConflictError
	if errors.As(err, &conflict) {
		return w, &exitError{code: exitDrift, err: &orgs.Hinted{Err: fmt.Errorf("nothing was changed: %w", err), Next: "look at both, and change by hand what is to change: aws organizations describe-policy"}}
	}
	w.judge = preview.Input{Org: s.org}
	return w, err
}

// readRun reads what a run keeps of itself.
func readRun(l journal.Log, into *scpRun) error {
	err := journal.Decode(l.Header().Details, into)
	if err != nil || len(into.Waves) == 0 {
		return &exitError{code: exitUsage, err: &orgs.Hinted{
			Err:  fmt.Errorf("run %s was not one of scp apply or scp remove, but: %s", l.Run(), l.Header().Command),
			Next: "a rollout is repeated by running it again, and orgguard undo takes it back",
		}}
	}
	return nil
}

// torn says that a journal's last line was lost.
func torn(l journal.Log) []string {
	if l.Torn == "" {
		return nil
	}
	return []string{"of the journal " + l.Torn + "; the write that it was about counts as one that may have been made"}
}
