package main

import (
	"github.com/urfave/cli/v2"
)

func newSCPCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "scp",
		Usage:       "service control policies",
		Subcommands: []*cli.Command{},
	}
}
