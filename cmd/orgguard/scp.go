package main

import (
	"github.com/urfave/cli/v2"
)

func newSCPCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "scp",
		Usage:       "service control policies: see what one would do, attach them in waves, test them like code, find what is wrong with them",
		Subcommands: []*cli.Command{newSCPPreviewCommand(s), newSCPApplyCommand(s), newSCPRemoveCommand(s), newSCPTestCommand(s), newSCPLintCommand(s)},
	}
}
