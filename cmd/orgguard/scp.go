package main

import (
	"github.com/urfave/cli/v2"
)

func newSCPCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "scp",
		Usage:       "service control policies: test them like code, find what is wrong with them",
		Subcommands: []*cli.Command{newSCPTestCommand(s), newSCPLintCommand(s)},
	}
}
