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
	files   []string
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
			&cli.StringSliceFlag{Name: "file", Usage: "the tests' `FILE`: JSON Lines, JSON or YAML, - for stdin; repeatable"},
			formatFlag(reports.CaseFormats()),
			&cli.BoolFlag{Name: "init", Usage: "write a first file of tests instead, to --file or stdout"},
			&cli.StringFlag{Name: "policy", Usage: "with --init: tests for the policy in `FILE`, - for stdin"},
			&cli.StringFlag{Name: "account", Usage: "with --init: for the account with this `NUMBER` in your organization"},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			o := scpTestOptions{files: c.StringSlice("file"), init: c.Bool("init"), policy: c.String("policy"), account: c.String("account")}
			if o.format, err = formatAmong(c.String("format"), "policy tests", reports.CaseFormats()); err != nil {
				return err
			}
			switch {
			case o.init:
				return runSCPTestInit(c.Context, g, s, o)
			case o.policy != "" || o.account != "":
				return usage("--policy and --account belong to --init; the tests name their policies themselves")
			case len(o.files) == 0:
				return usage("scp test needs --file, or --init to write a first one")
			}
			report, err := runSCPTest(o.files, s.in)
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

// runSCPTest loads the tests and runs them, in the order the files were named.
// Mistakes of all files are reported at once.
func runSCPTest(files []string, stdin io.Reader) (scp.CaseReport, error) {
	if err := oneStdin("--file", files); err != nil {
		return scp.CaseReport{}, err
	}
	var cases []scp.Case
	var errs []error
	for _, file := range files {
		some, err := loadCases(file, stdin)
		if err != nil {
			errs = append(errs, err)
		}
		cases = append(cases, some...)
	}
	if err := errors.Join(errs...); err != nil {
		return scp.CaseReport{}, badInput(err)
	}
	return scp.RunCases(cases), nil
}

func loadCases(file string, stdin io.Reader) ([]scp.Case, error) {
	if file == stdinName {
		return scp.ReadCases("stdin", stdin, ".")
	}
	cases, err := scp.LoadCases(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no file %s", file)
	}
	return cases, err
}

// stdinName is the file name that means stdin, as everywhere.
const stdinName = "-"

// oneStdin refuses to read stdin twice: the second time it is empty.
func oneStdin(flag string, files []string) error {
	first := slices.Index(files, stdinName)
	if first >= 0 && slices.Contains(files[first+1:], stdinName) {
		return usage("%s - can be given once only", flag)
	}
	return nil
}

// runSCPTestInit writes a first file of tests. Only with --account does it look
// at the organization.
func runSCPTestInit(ctx context.Context, g globals, st streams, o scpTestOptions) error {
	file := ""
	switch {
	case len(o.files) > 1:
		return usage("--init writes one --file")
	case len(o.files) == 1 && o.files[0] != stdinName: // which would be stdout
		file = o.files[0]
	}
	starter, err := starterPolicy(o.policy, file, st.in)
	if err != nil {
		return err
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
	if file == "" {
		_, err := st.out.Write(src)
		return err
	}
	if exists(file) {
		return usage("%s exists already; --init does not write over it", file)
	}
	if err := writeFile(file, src); err != nil {
		return err
	}
	if !g.quiet {
		_, err = fmt.Fprintln(st.err, "orgguard: "+reports.Safe("wrote "+file+"; run it with orgguard scp test --file "+shellWord(file)))
	}
	return err
}

// starterPolicy is the policy a first case file is about: named in it when both
// are files, else written out in it.
func starterPolicy(policy, file string, stdin io.Reader) (scp.Starter, error) {
	var starter scp.Starter
	if policy == "" {
		return starter, nil
	}
	name, src, err := readPolicyOrStdin(policy, stdin)
	if err != nil {
		return starter, err
	}
	if starter.Document, err = scp.Parse(name, src); err != nil || policy == stdinName {
		return starter, badInput(err)
	}
	starter.PolicyName = strings.TrimSuffix(filepath.Base(policy), filepath.Ext(policy))
	if file != "" {
		starter.PolicyFile, err = relativeTo(file, policy)
	}
	return starter, err
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
	_, src, err := readPolicyOrStdin(file, nil)
	return src, err
}

// readPolicyOrStdin reads a policy file, or stdin where - and a stdin are given,
// and says how to call it.
func readPolicyOrStdin(file string, stdin io.Reader) (name string, src []byte, err error) {
	r, name := stdin, "stdin"
	if file != stdinName || stdin == nil {
		f, err := os.Open(file)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return "", nil, usage("no file %s", file)
			}
			return "", nil, badInput(err)
		}
		defer f.Close() //nolint:errcheck // only read
		r, name = f, file
	}
	src, err = io.ReadAll(io.LimitReader(r, maxPolicyFile+1))
	var bad *fs.PathError
	switch {
	case errors.As(err, &bad):
		return "", nil, badInput(bad) // says which file
	case err != nil:
		return "", nil, badInput(fmt.Errorf("read %s: %w", name, err))
	}
	return name, src, nil
}
