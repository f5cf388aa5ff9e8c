package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs/proposal"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/orgs/survey"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/scp/protect"
)

// initOptions are init's own flags.
type initOptions struct {
	out        string
	yes, force bool
	given      proposal.Given
}

func newInitCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "init",
		Usage: "look at the organization and write a configuration that fits it; changes nothing in AWS",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "write to `FILE`; - for stdout", Value: "orgguard.yaml"},
			&cli.BoolFlag{Name: "force", Usage: "replace a file that exists"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask (for scripts)", EnvVars: []string{"ORGGUARD_YES"}},
			&cli.StringSliceFlag{Name: "email", Usage: "send alerts to this `ADDRESS`; repeatable"},
			&cli.StringFlag{Name: "access-role", Usage: "enter the accounts with this `ROLE`", Value: spec.Default().Organization.AccessRole},
			&cli.StringFlag{Name: "external-id", Usage: "hand this `ID` to the role's trust policy"},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			o := initOptions{out: c.String("out"), yes: c.Bool("yes") || c.String("out") == "-", force: c.Bool("force"), given: proposal.Given{
				Home: g.region, AccessRole: c.String("access-role"), ExternalID: c.String("external-id"), Email: c.StringSlice("email"),
			}}
			if err := o.check(s); err != nil {
				return err
			}
			cfg := spec.Default()
			cfg.Organization.AccessRole, cfg.Organization.ExternalID = o.given.AccessRole, o.given.ExternalID
			open := func(ctx context.Context) (*session, error) { return openWith(ctx, g, s, reads, cfg) }
			return withOpened(c.Context, g, open, func(ctx context.Context, s *session) error { return runInit(ctx, s, o) })
		},
	}
}

// check refuses what would end badly before AWS is asked anything.
func (o initOptions) check(s streams) error {
	if !o.yes && !s.inTTY {
		return usage("init writes %s and nobody can be asked here: give --yes, or --out - to see it", o.out)
	}
	if o.out == "-" {
		return nil
	}
	if _, err := os.Lstat(o.out); err == nil && !o.force {
		return usage("%s exists: --force replaces it, --out FILE writes somewhere else", o.out)
	}
	return checkFolder("out", o.out)
}

// runInit surveys the organization and writes the proposal.
func runInit(ctx context.Context, s *session, o initOptions) error {
	if os.Getenv("AWS_REGION") != "" || os.Getenv("AWS_DEFAULT_REGION") != "" || s.profile != "" {
		o.given.Fallback = s.pool.Region()
	}
	look := s.surveyOptions()
	look.Regions, look.Trails, look.Caller, look.Role = nil, true, nil, nil // wherever a Region is on
	progress := newProgress(s)
	look.Progress = progress.accounts
	found := survey.Look(ctx, s.pool, s.org, look)
	progress.clear()
	if ctx.Err() != nil {
		return ctx.Err() // half a survey would propose half of the Regions
	}
	p := proposal.Propose(found, o.given)
	text := p.YAML()
	if err := s.fits(text); err != nil {
		return err
	}
	if o.out == "-" {
		_, err := s.out.Write(text)
		return err
	}
	for _, line := range p.Summary(found) {
		s.note("%s", line)
	}
	if !o.yes {
		if ok, err := s.ask(fmt.Sprintf("Write %s?", reports.Safe(o.out))); err != nil || !ok {
			s.note("nothing was written")
			return status(exitDrift)
		}
	}
	if err := writeFile(o.out, text); err != nil {
		return err
	}
	s.note("wrote %s; next: orgguard --config %s doctor", o.out, o.out)
	return nil
}

// fits proves that the proposal loads and fits the organization.
func (s *session) fits(text []byte) error {
	known := baseline.Known()
	known.Elsewhere = []string{protect.Control}
	cfg, err := spec.Parse("the proposal", text, known)
	if err == nil {
		_, err = baseline.Resolve(cfg, s.org, s.pool.Region())
	}
	if err != nil {
		return &exitError{code: exitUsage, err: errors.Join(errors.New("what was found makes no valid configuration"), err)}
	}
	return nil
}
