package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/reports"
)

const (
	helpWidth = 80 // columns: help is read in the narrowest terminal there is
	helpNames = 25 // columns of a name, before what it is for
)

// examples are what one types, by command. They stand in its help.
var examples = map[string][]string{
	"orgguard":                  {"orgguard sandbox create && orgguard --sandbox plan", "orgguard audit"},
	"orgguard init":             {"orgguard init --out -", "orgguard init --email security@example.com"},
	"orgguard doctor":           {"orgguard doctor", "orgguard doctor --command audit --format json"},
	"orgguard bootstrap":        {"orgguard bootstrap --show", "orgguard bootstrap"},
	"orgguard audit":            {"orgguard audit", "orgguard audit --output drift.html --output drift.json", "orgguard audit --history audits.db --fail-on new --quiet", "orgguard audit --control config-recorder --ou Workloads/Prod --format csv"},
	"orgguard report list":      {"orgguard report list --history audits.db", "orgguard report list --history audits.db --findings"},
	"orgguard report show":      {"orgguard report show --format markdown drift.json", "orgguard report show --history audits.db --run 12 --output twelve.html"},
	"orgguard report diff":      {"orgguard report diff before.json after.json", "orgguard report diff --history audits.db --from -7"},
	"orgguard report trend":     {"orgguard report trend --history audits.db", "orgguard report trend --history audits.db --format html > trend.html"},
	"orgguard report merge":     {"orgguard report merge --output whole.json part-*.json"},
	"orgguard plan":             {"orgguard plan", "orgguard plan --out plan.json", "orgguard plan --only ou:Sandbox --only control:config-recorder"},
	"orgguard rollout":          {"orgguard rollout", "orgguard rollout --plan plan.json", "orgguard rollout --stop-after 1"},
	"orgguard undo":             {"orgguard undo", "orgguard undo --run 20261128-081333-aeb240"},
	"orgguard teardown":         {"orgguard teardown --dry-run"},
	"orgguard controls":         {"orgguard controls", "orgguard controls --id config-recorder", "orgguard controls --id config-recorder --account shop-prod"},
	"orgguard alerts test":      {"orgguard alerts test", "orgguard alerts test --event event.json", "orgguard alerts test --live --ou Sandbox"},
	"orgguard render":           {"orgguard render --all --output-dir templates", "orgguard render --control scp-protect-config", "orgguard render --control config-change-alert --single-account"},
	"orgguard scp preview":      {"orgguard scp preview --policy deny.json --target Workloads", "orgguard scp preview --policy deny.json --target Workloads --out preview.json"},
	"orgguard scp apply":        {"orgguard scp apply --policy deny.json --target Workloads --wave Sandbox", "orgguard scp apply --preview preview.json", "orgguard scp apply --undo 20261128-081333-aeb240"},
	"orgguard scp remove":       {"orgguard scp remove --name deny-regions --target Workloads"},
	"orgguard scp test":         {"orgguard scp test --file scp-tests.yaml", "orgguard scp test --init --policy deny.json --file scp-tests.yaml"},
	"orgguard scp lint":         {"orgguard scp lint --policy deny.json --strict", "orgguard scp lint --rules"},
	"orgguard schedule install": {"orgguard schedule install --dry-run", "orgguard schedule install --every 6h"},
	"orgguard schedule run":     {"orgguard schedule run --wait"},
	"orgguard schedule remove":  {"orgguard schedule remove"},
	"orgguard schedule render":  {"orgguard schedule render --for systemd --every 6h", "orgguard schedule render --for github-actions --output-dir ."},
	"orgguard notices show":     {"orgguard notices show --history audits.db"},
	"orgguard notices test":     {"orgguard notices test --channel mail"},
	"orgguard notices status":   {"orgguard notices status --history audits.db"},
	"orgguard permissions":      {"orgguard permissions --command audit", `orgguard permissions --command "scp apply"`},
	"orgguard sandbox create":   {"orgguard sandbox create", "orgguard sandbox create --accounts 1000 --force"},
	"orgguard sandbox tamper":   {"orgguard sandbox tamper --what recorder-stopped --account shop-prod --region us-east-1", "orgguard sandbox tamper --what scp-detached --ou Sandbox"},
	"orgguard sandbox try":      {"orgguard sandbox try --account shop-prod --region us-east-1"},
	"orgguard completion":       {"orgguard completion --shell zsh"},
	"orgguard sandbox signin":   {"orgguard sandbox signin --account shop-prod --mfa"},
}

// helpPage is what --help says. The library puts names and what they are for side by
// side in columns as wide as the longest name, which no terminal is.
type helpPage struct {
	name, usage, description, args string
	commands                       []*cli.Command
	flags, globals                 []cli.Flag
}

// helpOfApp is the page of the program itself.
func helpOfApp(app *cli.App) helpPage {
	return helpPage{name: app.Name, usage: app.Usage, description: app.Description, commands: app.Commands, globals: app.Flags}
}

// template is the page as the library takes it: text with nothing to fill in.
func (p helpPage) template() string { return fmt.Sprintf("{{print %q}}", p.text()) }

func (p helpPage) text() string {
	var b strings.Builder
	b.WriteString(strings.Join(reports.Wrap(p.name+": "+p.usage, helpWidth), "\n") + "\n")
	what := " [flags]"
	if len(p.commands) > 0 {
		what = " COMMAND [flags]"
	}
	if p.args != "" {
		what += " " + p.args
	}
	b.WriteString("\nUsage: " + p.name + what + "\n")
	if p.description != "" {
		b.WriteString("\n" + strings.Join(reports.Wrap(strings.ReplaceAll(p.description, "\n", " "), helpWidth), "\n") + "\n")
	}
	if len(p.commands) > 0 {
		b.WriteString("\nCommands:\n")
		for _, c := range p.commands {
			helpRow(&b, c.Name, c.Usage)
		}
	}
	if len(p.flags) > 0 {
		b.WriteString("\nFlags:\n")
		helpFlags(&b, p.flags)
	}
	if len(p.globals) > 0 {
		b.WriteString("\nGlobal flags, before or after the command:\n")
		helpFlags(&b, p.globals)
		helpRow(&b, "--help, -h", "show help; so does orgguard help COMMAND")
		helpRow(&b, "--version, -v", "print the version")
	}
	if lines := examples[p.name]; len(lines) > 0 {
		b.WriteString("\nExamples:\n")
		for _, l := range lines {
			b.WriteString("  " + strings.Join(reports.WrapCommand(l, helpWidth-2), "\n  ") + "\n")
		}
	}
	b.WriteString("\n" + strings.Join(reports.Wrap(p.footer(), helpWidth), "\n") + "\n")
	return b.String()
}

// footer is what there is to know besides.
func (p helpPage) footer() string {
	const variable = "Each flag reads a variable, too: --%s is ORGGUARD_%s."
	switch {
	case len(p.globals) > 0:
		return fmt.Sprintf(variable+" orgguard COMMAND --help says more of a command.", "home-region", "HOME_REGION")
	case len(p.commands) > 0:
		return p.name + " COMMAND --help says more of each; orgguard --help has the global flags."
	case len(p.flags) > 0:
		name := p.flags[0].Names()[0]
		return fmt.Sprintf(variable+" orgguard --help has the global flags, such as --config and --sandbox.", name, variableOf(name))
	}
	return "orgguard --help has the global flags, such as --config and --sandbox."
}

// variableOf is the part of a flag's variable that is its own.
func variableOf(flag string) string {
	return strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func helpFlags(b *strings.Builder, flags []cli.Flag) {
	for _, f := range flags {
		f, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		name := "--" + f.Names()[0]
		usage := f.GetUsage()
		before, rest, quoted := strings.Cut(usage, "`")
		if of, after, closed := strings.Cut(rest, "`"); quoted && closed {
			value, said := of, of
			// Many values read better as a sentence, and break where it does.
			if len(value) > helpNames-len(name)-2 && strings.ContainsAny(value, "|, ") {
				value, said = strings.ToUpper(f.Names()[0]), strings.ReplaceAll(of, "|", ", ")
			}
			name, usage = name+" "+value, before+said+after
		} else if f.TakesValue() {
			name += " VALUE"
		}
		// What is false, none or empty by itself needs no words.
		if def := strings.Trim(f.GetDefaultText(), `"`); !slices.Contains([]string{"", "false", "0", "0s"}, def) {
			usage += " (default: " + def + ")"
		}
		helpRow(b, name, usage)
	}
}

func helpRow(b *strings.Builder, name, usage string) {
	lines := reports.Wrap(usage, helpWidth-2-helpNames)
	if len(name) >= helpNames {
		b.WriteString("  " + name + "\n")
		name = ""
	}
	for _, l := range lines {
		fmt.Fprintf(b, "  %-*s%s\n", helpNames, name, l)
		name = ""
	}
}

// showHelp is `orgguard help COMMAND`, which is `orgguard COMMAND --help`.
func showHelp(c *cli.Context, parent, page string, commands []*cli.Command, words []string) error {
	for _, w := range words {
		if len(commands) == 0 {
			return usage("%s has no commands: %q", strings.TrimPrefix(parent, "orgguard "), w)
		}
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == w })
		if i < 0 {
			return unknownCommand(parent, w, commands)
		}
		parent, page, commands = parent+" "+w, commands[i].CustomHelpTemplate, commands[i].Subcommands
	}
	cli.HelpPrinter(c.App.Writer, page, nil)
	return nil
}
