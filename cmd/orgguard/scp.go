package main

import (
	"github.com/urfave/cli/v2"
)

func newSCPCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "scp",
		Usage:       "service control policies: see what one would do, test them like code, find what is wrong with them",
		Subcommands: []*cli.Command{newSCPPreviewCommand(s), newSCPTestCommand(s), newSCPLintCommand(s)},
	}
}
