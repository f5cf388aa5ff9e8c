package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/survey"
)

// simulatorPage says what the simulation knows and what it does not.
const simulatorPage = "https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html"

// guardedByTower is what Control Tower's guardrail GRCONFIGENABLED denies to everybody
// but itself in the accounts that it governs. No command does it there.
// https://docs.aws.amazon.com/controltower/latest/controlreference/mandatory-controls.html
var guardedByTower = []string{
	"config:DeleteConfigurationRecorder", "config:DeleteDeliveryChannel", "config:DeleteRetentionConfiguration", "config:PutConfigurationRecorder",
	"config:PutDeliveryChannel", "config:PutRetentionConfiguration", "config:StopConfigurationRecorder",
}

// permissions tells, command by command, what the caller and the access role may
// not do. Accounts whose role lacks the same rights are told together.
func (d *diagnosis) permissions() {
	if len(d.in.Commands) == 0 {
		return
	}
	type lack struct{ principal, actions string }
	accounts := map[lack][]survey.Account{}
	var blind []string
	var blindErr error
	simulated := 0
	for _, a := range d.s.Accounts {
		home := a.ID == d.s.Caller.Account
		switch {
		case !a.Rights.Asked:
			continue
		case a.Rights.Err != nil:
			if home {
				d.add("permissions", Info, "the caller's own rights were not simulated: %s", orgs.Reason(a.Rights.Err))
				continue
			}
			if blind = append(blind, string(a.ID)); blindErr == nil {
				blindErr = a.Rights.Err
			}
			continue
		}
		simulated++
		for _, cmd := range d.in.Commands {
			need, who := cmd.Member, "the access role"
			if home {
				need, who = cmd.Caller, "the caller"
			}
			if a.Governed() {
				need = slices.DeleteFunc(slices.Clone(need), func(action string) bool { return slices.Contains(guardedByTower, action) })
			}
			if missing := lacking(a.Rights.Value, need); missing != "" {
				k := lack{who + " lacks rights for " + cmd.Name, missing}
				accounts[k] = append(accounts[k], a)
			}
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(accounts), func(a, b lack) int { return strings.Compare(a.principal+a.actions, b.principal+b.actions) }) {
		severity, command := Info, k.principal[strings.LastIndexByte(k.principal, ' ')+1:]
		if command == d.in.Command {
			severity = Blocker
		}
		what := fmt.Sprintf("%s: %s", k.principal, k.actions)
		in := accounts[k]
		var c *Check
		if len(in) == 1 {
			c = d.at("permissions", severity, in[0].Account, "%s", what)
		} else {
			c = d.add("permissions", severity, "%s, in %d accounts", what, len(in))
		}
		c.Fix, c.Source = "orgguard permissions --command "+command, simulatorPage
	}
	if len(blind) > 0 {
		d.add("permissions", Info, "the access role's rights were not simulated in %d accounts: %s", len(blind), orgs.Reason(blindErr))
	}
	if simulated > 0 && len(accounts) == 0 {
		d.add("permissions", OK, "by IAM's simulator, nobody lacks a right in %d accounts, for any command", simulated).Source = simulatorPage
	}
}

// lacking names the needed actions that are denied, a few of them, and by whom.
func lacking(r survey.Rights, need []string) string {
	var names []string
	organization := false
	for _, denial := range r.Denied {
		if slices.Contains(need, denial.Action) {
			names = append(names, denial.Action)
			organization = organization || denial.Organization
		}
	}
	if len(names) == 0 {
		return ""
	}
	out := list(names, 5)
	if organization {
		out += " (by a service control policy)"
	}
	return out
}
