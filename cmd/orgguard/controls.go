package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/scp/protect"
)

// catalogue is every control there is.
func catalogue() []reports.Control {
	var out []reports.Control
	for _, c := range baseline.Catalogue() {
		out = append(out, reports.Control{ID: c.ID, Title: c.Title, Severity: c.Severity, Scope: c.Scope, Default: c.Default})
	}
	return append(out, reports.Control{
		ID: protect.Control, Title: "No member account can switch AWS Config off", Severity: finding.Critical,
		Scope: "the roots and OUs it is attached to", Default: true,
	})
}

func newControlsCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "controls",
		Usage: "list what orgguard can hold in place",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "id", Usage: "explain the control with this `ID`: why, settings, what it deploys and costs, how to switch it off"},
			&cli.StringFlag{Name: "account", Usage: "with --id: what holds of it in the account with this `NUMBER` or name, and which part of the configuration says so"},
			&cli.StringFlag{Name: "format", Usage: "print as `table|json`", Value: "table", EnvVars: []string{"ORGGUARD_FORMAT"}},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			if account := c.String("account"); account != "" {
				if c.String("id") == "" {
					return usage("--account needs --id: which control?")
				}
				return withSession(c.Context, g, s, reads, func(_ context.Context, s *session) error {
					return explainIn(s, c.String("id"), account, c.String("format"))
				})
			}
			if id := c.String("id"); id != "" {
				return explain(c.Context, &session{globals: g, streams: s}, id, c.String("format"))
			}
			switch format := c.String("format"); format {
			case "table":
				return reports.WriteControls(s.out, styleOf(g, s), catalogue())
			case "json":
				b, err := json.MarshalIndent(catalogue(), "", "  ")
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(s.out, string(b))
				return err
			default:
				return usage("unknown format %q for controls; there are table and json", format)
			}
		},
	}
}

// explain prints what there is to say about one control.
func explain(ctx context.Context, s *session, id, format string) error {
	if id == protect.Control {
		e := explainedSCP()
		return s.writeControl(format, e, func() error { return reports.WriteControl(s.out, s.style(), e) })
	}
	if err := ofBaseline(id); err != nil {
		return err
	}
	cfg, err := s.offlineConfig(ctx)
	if err != nil {
		return err
	}
	e, err := baseline.Explain(cfg, placeholder(cfg), id, s.region)
	if err != nil {
		return badInput(err)
	}
	return s.writeControl(format, e, func() error { return reports.WriteControl(s.out, s.style(), e) })
}

// explainedSCP is what there is to say about the policy, which is a section of the
// configuration of its own.
func explainedSCP() baseline.Explained {
	all := catalogue()
	c := all[len(all)-1]
	return baseline.Explained{
		Control: baseline.Control{ID: c.ID, Title: c.Title, Severity: c.Severity, Scope: c.Scope, Default: c.Default},
		About: baseline.About{
			Why: "Whoever administers a member account can stop the recorder and the alerts about it, and nobody would hear of it. A service control policy forbids it to everybody there, " +
				"the root user included, but to the roles that keep the baseline. Before it is sent, an evaluator proves that those roles keep what they need, and after each wave that it is so.",
			Cost:    "nothing: policies of AWS Organizations are free",
			Example: "scp: {protect-config: {attach: [Workloads], break_glass_roles: [BreakGlass]}}",
		},
		Needs: []string{},
		Settings: []baseline.Setting{
			{Key: "attach", Default: "[root]", Doc: "roots and OUs, by id, name or path"},
			{Key: "strict", Default: "true", Doc: "deny all that silences AWS Config and the alerts, and not only stopping and deleting the recorder"},
			{Key: "exempt_roles", Default: "[]", Doc: "automation that must go on working, beside the roles of orgguard, StackSets and Control Tower"},
			{Key: "break_glass_roles", Default: "[]", Doc: "roles that people use in an emergency"},
			{Key: "extra_actions", Default: "[]", Doc: "denied as well"},
		},
		Deploys: []baseline.Piece{{Where: "management account", Type: "service control policy", Name: protect.PolicyName}},
		Off:     "scp: {protect-config: {enabled: false}}",
		Removal: "`orgguard scp remove --name " + protect.PolicyName + "` takes it off wave by wave, and `orgguard teardown` with the rest; switched off, it stays as it is",
	}
}

// ofBaseline reports what is no control of the baseline.
func ofBaseline(id string) error {
	if !slices.Contains(controlIDs(), id) {
		return badInput(&orgs.UnknownError{Kind: "control", Name: id, Near: orgs.Nearest(id, controlIDs())})
	}
	if id == protect.Control {
		return usage("%s is no part of the baseline; `orgguard render --control %s` prints the policy, and `orgguard scp preview` whom it reaches", id, id)
	}
	return nil
}

// explainIn prints what holds of one control in one account, and why.
func explainIn(s *session, id, account, format string) error {
	if err := ofBaseline(id); err != nil {
		return err
	}
	e, err := s.base.EffectiveIn(id, account)
	if err != nil {
		return badInput(err)
	}
	return s.writeControl(format, e, func() error { return reports.WriteEffective(s.out, s.style(), e) })
}

// writeControl prints what is said of a control.
func (s *session) writeControl(format string, v any, table func() error) error {
	switch format {
	case "table":
		return table()
	case "json":
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(s.out, string(b))
		return err
	}
	return usage("unknown format %q for controls; there are table and json", format)
}

// controlIDs are the ids of all controls, sorted.
func controlIDs() []string {
	ids := []string{protect.Control}
	for _, c := range baseline.Controls() {
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return ids
}
