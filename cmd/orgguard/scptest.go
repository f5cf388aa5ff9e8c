package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/scp"
)

// scpTestOptions are scp test's own flags.
type scpTestOptions struct {
	file    string
	format  reports.Format
	init    bool
	policy  string
	account string
}

func newSCPTestCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "test",
		Usage: "run a file of policy tests; needs no AWS",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Usage: "the tests' `FILE`: JSON Lines, JSON or YAML"},
			formatFlag(reports.CaseFormats()),
			&cli.BoolFlag{Name: "init", Usage: "write a first file of tests instead, to --file or stdout"},
			&cli.StringFlag{Name: "policy", Usage: "with --init: tests for the policy in `FILE`"},
			&cli.StringFlag{Name: "account", Usage: "with --init: for the account with this `NUMBER` in your organization"},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			o := scpTestOptions{file: c.String("file"), init: c.Bool("init"), policy: c.String("policy"), account: c.String("account")}
			if o.format, err = formatAmong(c.String("format"), "policy tests", reports.CaseFormats()); err != nil {
				return err
			}
			switch {
			case o.init:
				return runSCPTestInit(c.Context, g, s, o)
			case o.policy != "" || o.account != "":
				return usage("--policy and --account belong to --init; the tests name their policies themselves")
			case o.file == "":
				return usage("scp test needs --file, or --init to write a first one")
			}
			report, err := runSCPTest(o.file)
			if err != nil {
				return err
			}
			if err := reports.WriteCaseReport(s.out, o.format, report); err != nil {
				return err
			}
			if report.Failed > 0 {
				return status(exitDrift)
			}
			return nil
		},
	}
}

// formatAmong reads a format's name where not all formats apply.
func formatAmong(name, what string, known []reports.Format) (reports.Format, error) {
	f := reports.Format(strings.ToLower(strings.TrimSpace(name)))
	if slices.Contains(known, f) {
		return f, nil
	}
	words := make([]string, len(known))
	for i, k := range known {
		words[i] = string(k)
	}
	return "", usage("unknown format %q for %s; there are %s", name, what, strings.Join(words, ", "))
}

// runSCPTest loads and runs the tests.
func runSCPTest(file string) (scp.CaseReport, error) {
	cases, err := scp.LoadCases(file)
	if err != nil {
		return scp.CaseReport{}, badInput(err)
	}
	return scp.RunCases(cases), nil
}

// runSCPTestInit writes a first file of tests. Only with --account does it look
// at the organization.
func runSCPTestInit(ctx context.Context, g globals, st streams, o scpTestOptions) error {
	var starter scp.Starter
	if o.policy != "" {
		doc, err := readPolicy(o.policy)
		if err != nil {
			return err
		}
		starter.Document = doc
		starter.PolicyName = strings.TrimSuffix(filepath.Base(o.policy), filepath.Ext(o.policy))
		if o.file != "" {
			if starter.PolicyFile, err = relativeTo(o.file, o.policy); err != nil {
				return err
			}
		}
	}
	if o.account != "" {
		err := withSession(ctx, g, st, reads, func(_ context.Context, s *session) error {
			var err error
			starter.Org, err = starterPath(s.org, orgs.AccountID(o.account))
			return err
		})
		if err != nil {
			return err
		}
	}
	src, err := scp.StarterCases(starter)
	if err != nil {
		return err
	}
	if o.file == "" {
		_, err := st.out.Write(src)
		return err
	}
	if exists(o.file) {
		return usage("%s exists already; --init does not write over it", o.file)
	}
	if err := writeFile(o.file, src); err != nil {
		return err
	}
	if !g.quiet {
		_, err = fmt.Fprintln(st.err, "orgguard: "+reports.Safe("wrote "+o.file+"; run it with orgguard scp test --file "+o.file))
	}
	return err
}

// relativeTo is the policy file as seen from the case file.
func relativeTo(file, policy string) (string, error) {
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return "", err
	}
	abs, err := filepath.Abs(policy)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(dir, abs)
	if err != nil {
		return "", usage("--policy %s cannot be reached from %s", policy, file)
	}
	return filepath.ToSlash(rel), nil
}

// starterPath is the way from the root to an account, without policies: the
// starter puts FullAWSAccess where nothing is.
func starterPath(o *orgs.Organization, id orgs.AccountID) (scp.Org, error) {
	a, ok := o.Account(id)
	if !ok {
		return scp.Org{}, usage("no account %s in organization %s", id, o.ID)
	}
	var path []scp.Level
	for _, ou := range o.Path(a.Parent) {
		l := scp.Level{Type: scp.LevelOU, ID: string(ou.ID), Name: ou.Name}
		if ou.ID == o.Root {
			l.Type = scp.LevelRoot
		}
		path = append(path, l)
	}
	path = append(path, scp.Level{Type: scp.LevelAccount, ID: string(a.ID), Name: a.Name})
	return scp.Org{ManagementAccountID: string(o.ManagementAccount), Path: path}, nil
}

// maxPolicyFile is how much of a policy file is read: far more than any policy
// may have, so that the linter can say by how much a file is too long.
const maxPolicyFile = 1 << 20

// readPolicyFile reads a policy file.
func readPolicyFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, usage("no file %s", file)
		}
		return nil, badInput(err)
	}
	defer f.Close() //nolint:errcheck // only read
	src, err := io.ReadAll(io.LimitReader(f, maxPolicyFile+1))
	if err != nil {
		return nil, badInput(fmt.Errorf("read %s: %w", file, err))
	}
	return src, nil
}

func readPolicy(file string) (*scp.Document, error) {
	src, err := readPolicyFile(file)
	if err != nil {
		return nil, err
	}
	doc, err := scp.Parse(file, src)
	return doc, badInput(err)
}
