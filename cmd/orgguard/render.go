package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/scp/protect"
)

// renderOptions are render's own flags.
type renderOptions struct {
	all       bool
	control   string
	stack     string
	outputDir string
	single    bool
}

func newRenderCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "render",
		Usage: "print the CloudFormation templates and policies that a rollout would deploy; needs no credentials",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "everything"},
			&cli.StringFlag{Name: "control", Usage: "what this control deploys, by `ID`"},
			&cli.StringFlag{Name: "stack", Usage: "the template of this stack or stack set, by `NAME`"},
			&cli.BoolFlag{Name: "single-account", Usage: "with --control: as one template for an account without an organization"},
			&cli.StringFlag{Name: "output-dir", Usage: "write files into `DIR` instead"},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			o := renderOptions{all: c.Bool("all"), control: c.String("control"), stack: c.String("stack"), outputDir: c.String("output-dir"), single: c.Bool("single-account")}
			chosen := 0
			for _, given := range []bool{o.all, o.control != "", o.stack != ""} {
				if given {
					chosen++
				}
			}
			if chosen != 1 {
				return usage("render needs one of --all, --control and --stack")
			}
			if o.single && o.control == "" {
				return usage("--single-account needs --control")
			}
			files, err := runRender(c.Context, &session{globals: g, streams: s}, o)
			if err != nil {
				return err
			}
			return writeRendered(s.out, o.outputDir, files)
		},
	}
}

// rendered is a file that render makes.
type rendered struct {
	name string
	text []byte
}

// runRender renders what was asked for. It looks at no organization: what a
// template takes from one are parameters, and placeholders stand for them.
func runRender(ctx context.Context, s *session, o renderOptions) ([]rendered, error) {
	if o.single {
		return s.renderSingle(ctx, o.control)
	}
	base, err := s.offline(ctx)
	if err != nil {
		return nil, err
	}
	cfg, org := base.Config, base.Org
	cfg.SCP.ProtectConfig.Attach = []string{"root"}
	guard, err := protect.New(cfg, org)
	if err != nil {
		return nil, badInput(err)
	}
	var out []rendered
	var names []string
	for _, t := range base.Templates() {
		names = append(names, t.Name)
		if o.all || t.Name == o.stack {
			out = append(out, rendered{t.Name + ".yaml", []byte(t.Body)})
		}
	}
	if o.control != "" {
		if slices.ContainsFunc(baseline.Controls(), func(c baseline.Control) bool { return c.ID == o.control }) && !slices.Contains(base.Controls(), o.control) {
			if base, err = baseline.Resolve(baseline.TurnedOn(cfg, o.control), org, s.region); err != nil {
				return nil, badInput(err)
			}
			s.note("control %s is off in the configuration: this is what it would deploy if it were on", o.control)
		}
		parts, err := base.Fragments(o.control)
		if err != nil {
			return nil, badInput(err)
		}
		for _, p := range parts {
			out = append(out, rendered{p.Name + ".yaml", []byte(p.Body)})
		}
	}
	if guard != nil && (o.all || o.control == protect.Control) {
		var b bytes.Buffer
		if err := json.Indent(&b, guard.Policy, "", "  "); err != nil {
			return nil, err
		}
		b.WriteByte('\n')
		out = append(out, rendered{protect.PolicyName + ".json", b.Bytes()})
	}
	switch {
	case len(out) > 0:
		return out, nil
	case o.stack != "":
		if near := orgs.Nearest(o.stack, names); len(near) > 0 {
			names = near
		}
		return nil, badInput(&orgs.UnknownError{Kind: "stack", Name: o.stack, Near: names})
	case o.control == protect.Control:
		return nil, usage("control %s is off in the configuration", o.control)
	case slices.Contains(controlIDs(), o.control):
		return nil, usage("control %s deploys nothing with %s alerts", o.control, cfg.Alerts.Mode)
	}
	return nil, badInput(&orgs.UnknownError{Kind: "control", Name: o.control, Near: orgs.Nearest(o.control, controlIDs())})
}

// renderSingle renders a control for an account without an organization. Values
// that depend on the account are parameters without a default.
func (s *session) renderSingle(ctx context.Context, control string) ([]rendered, error) {
	if control == protect.Control {
		return nil, usage("%s is a policy of an organization: an account without one cannot have it", control)
	}
	cfg, err := s.offlineConfig(ctx)
	if err != nil {
		return nil, err
	}
	t, err := baseline.SingleAccount(cfg, placeholder(cfg), control, s.region)
	if err != nil {
		return nil, badInput(err)
	}
	return []rendered{{t.Name + ".yaml", []byte(t.Body)}}, nil
}

// offlineConfig is the configuration without the names of accounts and OUs, for
// commands that look nobody up.
func (s *session) offlineConfig(ctx context.Context) (*spec.Config, error) {
	cfg, err := s.loadConfig(ctx)
	if err != nil {
		return nil, err
	}
	cfg.Organization.Exclude, cfg.Rollout.Waves = nil, nil
	return cfg, nil
}

// offline is the baseline of the configuration for an organization that nobody
// looks at.
func (s *session) offline(ctx context.Context) (*baseline.Baseline, error) {
	cfg, err := s.offlineConfig(ctx)
	if err != nil {
		return nil, err
	}
	base, err := baseline.Resolve(cfg, placeholder(cfg), s.region)
	return base, badInput(err)
}

// placeholder is an organization that has just the accounts and OUs a configuration
// needs: with overrides, an account for each of them.
func placeholder(cfg *spec.Config) *orgs.Organization {
	const management = "111111111111"
	region := cfg.HomeRegion
	if region == "" && len(cfg.Regions.List) > 0 {
		region = cfg.Regions.List[0]
	}
	accounts := []orgs.Account{{ID: management, Name: "management", State: orgs.StateActive, Parent: "r-root"}}
	if id := cfg.SecurityAccount; id != "" && id != management {
		a := orgs.Account{ID: orgs.AccountID(id), Name: "security", State: orgs.StateActive, Parent: "r-root"}
		if strings.Trim(id, "0123456789") != "" { // given by its name
			a.ID, a.Name = "222222222222", id
		}
		accounts = append(accounts, a)
	}
	ous := []orgs.OU{{ID: "r-root", Name: "Root"}}
	for i, o := range cfg.Overrides {
		if o.Account != "" {
			accounts = placeholderAccount(accounts, i, o.Account, "r-root")
			continue
		}
		var at orgs.NodeID
		if ous, at = placeholderOU(ous, o.OU); at != "" {
			accounts = placeholderAccount(accounts, i, fmt.Sprintf("in overrides[%d]", i), at)
		}
	}
	for _, ref := range baseline.AttachedTo(cfg) {
		ous, _ = placeholderOU(ous, ref)
	}
	return orgs.New("o-exampleorgid", management, orgs.PartitionOf(region), ous, accounts)
}

// placeholderAccount adds the account that an override names, or one for its OU.
func placeholderAccount(accounts []orgs.Account, i int, ref string, parent orgs.NodeID) []orgs.Account {
	if slices.ContainsFunc(accounts, func(a orgs.Account) bool { return string(a.ID) == ref || a.Name == ref }) {
		return accounts
	}
	a := orgs.Account{ID: orgs.AccountID(ref), Name: ref, State: orgs.StateActive, Parent: parent}
	if strings.Trim(ref, "0123456789") != "" {
		a.ID = orgs.AccountID(fmt.Sprintf("9%011d", i))
	}
	return append(accounts, a)
}

// placeholderOU adds the OU that an override names by id, name or path, with those
// above it.
func placeholderOU(ous []orgs.OU, ref string) ([]orgs.OU, orgs.NodeID) {
	at := orgs.NodeID("r-root")
	if strings.EqualFold(ref, "root") || strings.HasPrefix(ref, "r-") {
		return ous, at
	}
	for name := range strings.SplitSeq(strings.TrimPrefix(strings.Trim(ref, "/"), "Root/"), "/") {
		i := slices.IndexFunc(ous, func(o orgs.OU) bool { return o.Name == name && o.Parent == at })
		if i < 0 {
			i = len(ous)
			id := orgs.NodeID(fmt.Sprintf("ou-placeholder-%d", i))
			if strings.HasPrefix(name, "ou-") {
				id = orgs.NodeID(name)
			}
			ous = append(ous, orgs.OU{ID: id, Name: name, Parent: at})
		}
		at = ous[i].ID
	}
	return ous, at
}

// writeRendered prints files, or writes them into a folder.
func writeRendered(w io.Writer, dir string, files []rendered) error {
	if dir == "" {
		for i, f := range files {
			if len(files) > 1 {
				sep := "# " + f.name
				if i > 0 {
					sep = "---\n" + sep
				}
				if _, err := fmt.Fprintln(w, sep); err != nil {
					return err
				}
			}
			if _, err := w.Write(f.text); err != nil {
				return err
			}
		}
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // templates are no secret
		return badInput(fmt.Errorf("--output-dir: %w", err))
	}
	for _, f := range files {
		if err := writeFile(filepath.Join(dir, f.name), f.text); err != nil {
			return err
		}
	}
	return nil
}
