package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/reports"
)

// globals are the flags that every command takes, before or after its name.
type globals struct {
	config      string
	configGiven bool
	profile     string
	region      string
	sandbox     bool
	sandboxFile string
	concurrency int
	timeout     time.Duration
	verbose     bool
	quiet       bool
	noColor     bool
	within      *within // where not the process but something in it has an identity
}

// within is code that runs in the simulated organization, as a function of Lambda's
// does: with the function's role, beside whoever has opened the organization.
type within struct {
	world *sim.World
	as    sim.Principal
}

// globalFlags makes a new set: the library keeps a flag's state in it.
func globalFlags() []cli.Flag {
	env := func(name string) []string { return []string{"ORGGUARD_" + name} }
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "read the configuration from `FILE`", Value: "orgguard.yaml", EnvVars: env("CONFIG")},
		&cli.StringFlag{Name: "profile", Usage: "use this AWS `PROFILE`", EnvVars: env("PROFILE")},
		&cli.StringFlag{Name: "home-region", Usage: "AWS `REGION` where neither the configuration nor AWS's own settings name one", EnvVars: env("HOME_REGION")},
		&cli.BoolFlag{Name: "sandbox", Usage: "work on the simulated organization (orgguard sandbox makes one)", EnvVars: env("SANDBOX")},
		&cli.StringFlag{Name: "sandbox-file", Usage: "the simulated organization's `FILE`", Value: ".orgguard/sandbox.json", EnvVars: env("SANDBOX_FILE")},
		&cli.IntFlag{Name: "concurrency", Usage: "send at most `N` requests at once; fewer are sent where more bring nothing", Value: access.DefaultInFlight, EnvVars: env("CONCURRENCY")},
		&cli.DurationFlag{Name: "timeout", Usage: "give up after this long, e.g. 30m (0: never)", EnvVars: env("TIMEOUT")},
		&cli.BoolFlag{Name: "verbose", Usage: "say on stderr what is being done", EnvVars: env("VERBOSE")},
		&cli.BoolFlag{Name: "quiet", Usage: "say nothing on stderr but errors", EnvVars: env("QUIET")},
		&cli.BoolFlag{Name: "no-color", Usage: "no colour (NO_COLOR is obeyed too)", EnvVars: env("NO_COLOR")},
	}
}

// readGlobals reads the global flags from wherever they stood: the nearest
// context in which a flag was set wins over those around it.
func readGlobals(c *cli.Context) (globals, error) {
	at := func(name string) *cli.Context {
		for _, l := range c.Lineage() {
			if l.IsSet(name) {
				return l
			}
		}
		return c
	}
	g := globals{
		config: at("config").String("config"), configGiven: at("config").IsSet("config"),
		profile: at("profile").String("profile"), region: at("home-region").String("home-region"),
		sandbox: at("sandbox").Bool("sandbox"), sandboxFile: at("sandbox-file").String("sandbox-file"),
		concurrency: at("concurrency").Int("concurrency"), timeout: at("timeout").Duration("timeout"),
		verbose: at("verbose").Bool("verbose"), quiet: at("quiet").Bool("quiet"), noColor: at("no-color").Bool("no-color"),
	}
	switch {
	case g.concurrency < 1 || g.concurrency > 4096:
		return g, usage("--concurrency %d: want 1 to 4096", g.concurrency)
	case g.timeout < 0:
		return g, usage("--timeout %s: want a positive duration such as 30m", g.timeout)
	case g.sandbox && g.profile != "":
		return g, usage("--sandbox and --profile exclude each other: the simulated organization needs no AWS credentials")
	}
	return g, nil
}

// newApp wires the commands.
func newApp(s streams) *cli.App {
	commands := []*cli.Command{
		newInitCommand(s), newDoctorCommand(s), newBootstrapCommand(s), newAuditCommand(s), newReportCommand(s), newPlanCommand(s), newRolloutCommand(s),
		newUndoCommand(s), newTeardownCommand(s), newControlsCommand(s), newAlertsCommand(s), newRenderCommand(s),
		newSCPCommand(s), newScheduleCommand(s), newNoticesCommand(s), newPermissionsCommand(s), newSandboxCommand(s), newCompletionCommand(s),
	}
	for _, c := range commands {
		finish("orgguard", c)
	}
	app := &cli.App{
		Name:            "orgguard",
		Usage:           "roll a security baseline out to every account of an AWS Organization, keep it on, and report drift",
		Version:         version,
		Flags:           globalFlags(),
		Commands:        commands,
		HideHelpCommand: true,
		// Shells ask how a word goes on; see completion.go.
		EnableBashCompletion: true,
		// Names of accounts and OUs may have commas; the flags are repeatable.
		DisableSliceFlagSeparator: true,
		Writer:                    s.out,
		ErrWriter:                 s.err,
		ExitErrHandler:            func(*cli.Context, error) {}, // main decides
		OnUsageError:              onUsageError,
		Action: func(c *cli.Context) error {
			return groupAction(c, "orgguard", c.App.CustomAppHelpTemplate, c.App.Commands)
		},
		Description: "Exit codes: 0 in sync or done; 1 drift, pending changes or failed tests; 2 bad flags or configuration; 3 could not finish (an account not assessed, an API that kept failing). 3 beats 1.",
	}
	app.CustomAppHelpTemplate = helpOfApp(app).template()
	return app
}

// groupAction is what a command does that has others below it and was given none of them.
func groupAction(c *cli.Context, name, page string, commands []*cli.Command) error {
	if c.NArg() == 0 {
		return showHelp(c, name, page, commands, nil)
	}
	if c.Args().First() == "help" {
		words := c.Args().Tail()
		if len(words) == 1 && words[0] == "help" {
			words = nil
		}
		return showHelp(c, name, page, commands, words)
	}
	return unknownCommand(name, c.Args().First(), commands)
}

// finish gives a command, and those below it, what all commands have.
func finish(parent string, c *cli.Command) {
	name := parent + " " + c.Name
	c.HideHelpCommand = true
	c.OnUsageError = onUsageError
	for _, sub := range c.Subcommands {
		finish(name, sub)
	}
	page := helpPage{name: name, usage: c.Usage, description: c.Description, args: c.ArgsUsage, commands: c.Subcommands, flags: c.Flags}
	c.CustomHelpTemplate = page.template()
	if len(c.Subcommands) > 0 {
		c.Action = func(ctx *cli.Context) error {
			return groupAction(ctx, name, c.CustomHelpTemplate, c.Subcommands)
		}
		return
	}
	needed := settle(c.Flags)
	c.Flags = append(c.Flags, repeated(globalFlags())...)
	action := c.Action
	c.Action = func(ctx *cli.Context) error {
		// The flag library silently ignores flags after a positional
		// argument. So no command takes one, but those that take files, and
		// they take nothing after them that looks like a flag.
		for _, arg := range ctx.Args().Slice() {
			if c.ArgsUsage != "" && strings.HasPrefix(arg, "-") && arg != "-" {
				return usage("%s: flags go before the files: %q (it would have been ignored; a file of that name is ./%s)", shortName(c), arg, arg)
			}
		}
		if ctx.NArg() > 0 && c.ArgsUsage == "" {
			return usage("%s takes no arguments, only flags: %q (what follows it would have been ignored)", shortName(c), ctx.Args().First())
		}
		for _, name := range needed {
			if ctx.String(name) == "" {
				return usage("%s needs --%s", shortName(c), name)
			}
		}
		return action(ctx)
	}
}

// repeated are global flags as they may be given after a command, too. They read no
// variable there, which the flags before the command do: it would win over one that
// was typed before the command.
func repeated(flags []cli.Flag) []cli.Flag {
	for _, f := range flags {
		if vars := variablesOf(f); vars != nil {
			*vars = nil
		}
	}
	return flags
}

// variablesOf are the environment's variables that a flag reads; nil for kinds of flags
// that orgguard does not have.
func variablesOf(f cli.Flag) *[]string {
	switch f := f.(type) {
	case *cli.StringFlag:
		return &f.EnvVars
	case *cli.StringSliceFlag:
		return &f.EnvVars
	case *cli.BoolFlag:
		return &f.EnvVars
	case *cli.IntFlag:
		return &f.EnvVars
	case *cli.DurationFlag:
		return &f.EnvVars
	}
	return nil
}

// settle lets a command's own flags read ORGGUARD_* as the global ones do, and
// returns those that are required. The library's own check for these prints the
// help on stdout, where data belongs.
func settle(flags []cli.Flag) (needed []string) {
	for _, f := range flags {
		if text, ok := f.(*cli.StringFlag); ok && text.Required {
			text.Required = false
			needed = append(needed, text.Name)
		}
		if vars := variablesOf(f); vars != nil && *vars == nil {
			*vars = []string{"ORGGUARD_" + variableOf(f.Names()[0])}
		}
	}
	return needed
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	msg := err.Error()
	if name, ok := strings.CutPrefix(msg, "flag provided but not defined: -"); ok {
		var known []string
		flags := c.App.Flags
		if c.Command != nil && len(c.Command.Flags) > 0 {
			flags = c.Command.Flags
		}
		for _, f := range flags {
			known = append(known, f.Names()...)
		}
		msg = "unknown flag --" + strings.TrimLeft(name, "-")
		if near := orgs.Nearest(strings.TrimLeft(name, "-"), known); len(near) > 0 {
			msg += "; did you mean --" + near[0] + "?"
		}
	}
	// The library writes flags with one dash, which nobody types.
	msg = strings.Replace(msg, "flag needs an argument: -", "flag needs an argument: --", 1)
	msg = strings.Replace(msg, " for flag -", " for flag --", 1)
	return &exitError{code: exitUsage, err: &orgs.Hinted{Err: fmt.Errorf("%s", msg), Next: "orgguard " + helpOf(c) + "--help shows the flags"}}
}

func helpOf(c *cli.Context) string {
	if c.Command == nil || c.Command.Name == "" || c.Command.Name == "orgguard" {
		return ""
	}
	return shortName(c.Command) + " "
}

// shortName is a command as messages call it, which begin with the program's name.
func shortName(c *cli.Command) string { return strings.TrimPrefix(c.HelpName, "orgguard ") }

func unknownCommand(parent, name string, commands []*cli.Command) error {
	var names []string
	for _, c := range commands {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	err := fmt.Errorf("unknown command %q", parent+" "+name)
	next := "there are: " + strings.Join(names, ", ")
	if near := orgs.Nearest(name, names); len(near) > 0 {
		next = "did you mean " + near[0] + "? " + next
	}
	return &exitError{code: exitUsage, err: &orgs.Hinted{Err: err, Next: next}}
}

// safeLines is reports.Safe line by line: the line breaks of an error that lists
// many problems are ours.
func safeLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = reports.Safe(l)
	}
	return strings.Join(lines, "\n  ")
}
