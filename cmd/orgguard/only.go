package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp/protect"
)

// onlyFlag narrows what a plan is about.
func onlyFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "only", Usage: "narrow to `control:ID, ou:OU, account:ACCOUNT or new` (accounts that have only just joined, see audit.grace); repeatable: several of one kind widen, several kinds narrow"}
}

// acceptBlind is what --accept of plan and rollout takes.
const acceptBlind = "not-assessed"

func acceptBlindFlag() cli.Flag {
	return &cli.StringFlag{Name: "accept", Usage: "`" + acceptBlind + "`: go on, and attach the SCP, however many accounts nobody can look into"}
}

func readBlind(c *cli.Context) (baseline.Blind, error) {
	switch a := c.String("accept"); a {
	case "":
		return baseline.WithinTolerance, nil
	case acceptBlind:
		return baseline.Accepted, nil
	default:
		return baseline.WithinTolerance, usage("unknown --accept %q; there is %s", a, acceptBlind)
	}
}

// parseOnly reads --only.
func parseOnly(list []string) (baseline.Filter, error) {
	var f baseline.Filter
	kinds := []string{"account", "control", "ou"}
	for _, item := range list {
		if item == "new" {
			f.New = true
			continue
		}
		kind, value, _ := strings.Cut(item, ":")
		value = strings.TrimSpace(value)
		if value == "" || !slices.Contains(kinds, kind) {
			err := usage("--only %q: want control:ID, ou:OU, account:ACCOUNT or new", item)
			if near := orgs.Nearest(kind, kinds); len(near) > 0 && !slices.Contains(kinds, kind) {
				err = usage("--only %q: want control:ID, ou:OU, account:ACCOUNT or new; did you mean %s:?", item, near[0])
			}
			return f, err
		}
		switch kind {
		case "account":
			f.Accounts = append(f.Accounts, value)
		case "control":
			f.Controls = append(f.Controls, value)
		case "ou":
			f.OUs = append(f.OUs, value)
		}
	}
	return f, nil
}

// narrowing is a plan's filter, split into what the baseline and the SCP are asked.
type narrowing struct {
	only     []string // as given
	base     *baseline.Filter
	guardToo bool
}

// narrow splits a filter. The SCP reaches whole OUs: a plan for some accounts
// leaves it alone.
func (s *session) narrow(only []string) (narrowing, error) {
	f, err := parseOnly(only)
	if err != nil {
		return narrowing{}, err
	}
	n := narrowing{only: only}
	if n.base, n.guardToo, err = splitControls(s, f); err != nil {
		return n, badInput(err)
	}
	narrow := f.SomeAccounts()
	if n.base == nil && narrow {
		return n, usage("--only: %s is attached to OUs as a whole; it cannot be narrowed to accounts", protect.Control)
	}
	n.guardToo = n.guardToo && !narrow
	return n, nil
}

// stopBefore drops the tasks of the waves after the last wanted one, and what
// comes after all waves.
func stopBefore(tasks []plan.Task, last int) []plan.Task {
	return slices.DeleteFunc(slices.Clone(tasks), func(t plan.Task) bool { return t.Wave > last || t.Stage == plan.Guardrail })
}
