package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// pages are all commands, those below others too, by what one types.
func pages(name string, commands []*cli.Command) map[string]*cli.Command {
	all := map[string]*cli.Command{}
	for _, c := range commands {
		all[name+" "+c.Name] = c
		for n, sub := range pages(name+" "+c.Name, c.Subcommands) {
			all[n] = sub
		}
	}
	return all
}

func TestHelpFitsATerminal(t *testing.T) {
	app := newApp(streams{})
	all := pages("orgguard", app.Commands)
	all["orgguard"] = &cli.Command{CustomHelpTemplate: app.CustomAppHelpTemplate}
	for name := range all {
		var out strings.Builder
		args := append(strings.Fields(name), "--help")
		if code := run(t.Context(), args, streams{out: &out, err: &out}); code != exitOK {
			t.Errorf("%s --help: exit code %d", name, code)
		}
		if !strings.HasPrefix(out.String(), name+": ") {
			t.Errorf("%s --help begins with %.40q", name, out.String())
		}
		for line := range strings.Lines(out.String()) {
			if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) > helpWidth {
				t.Errorf("%s --help: %d columns: %s", name, utf8.RuneCountInString(line), line)
			}
			if strings.Contains(line, `\n`) || strings.Contains(line, "`") {
				t.Errorf("%s --help: what is meant for the program is shown: %s", name, line)
			}
		}
	}
}

func TestExamplesOfHelpAreCommands(t *testing.T) {
	app := newApp(streams{})
	all := pages("orgguard", app.Commands)
	all["orgguard"] = &cli.Command{}
	for name, lines := range examples {
		if all[name] == nil {
			t.Errorf("there is no command %q to have examples", name)
		}
		for _, line := range lines {
			for part := range strings.SplitSeq(line, " && ") {
				words := strings.Fields(part)
				typed, at := "orgguard", app.Flags
				for _, w := range words[1:] {
					if c := all[typed+" "+w]; c != nil {
						typed, at = typed+" "+w, append(slices.Clone(app.Flags), c.Flags...)
						continue
					}
					if flag, ok := strings.CutPrefix(w, "--"); ok && !slices.ContainsFunc(at, func(f cli.Flag) bool { return slices.Contains(f.Names(), flag) }) {
						t.Errorf("%s: %s has no flag %s", line, typed, w)
					}
				}
				if name != "orgguard" && typed != name {
					t.Errorf("%s: an example of %s", line, name)
				}
			}
		}
	}
}

func TestEveryFlagReadsAVariable(t *testing.T) {
	app := newApp(streams{})
	var global []string
	for _, f := range app.Flags {
		global = append(global, f.Names()...)
	}
	for name, c := range pages("orgguard", app.Commands) {
		for _, f := range c.Flags {
			flag := f.Names()[0]
			documented, ok := f.(cli.DocGenerationFlag)
			if !ok || slices.Contains(global, flag) {
				continue // what stands before the command reads it
			}
			if !slices.Contains(documented.GetEnvVars(), "ORGGUARD_"+variableOf(flag)) {
				t.Errorf("%s --%s reads %q", name, flag, documented.GetEnvVars())
			}
		}
	}
}
