package reports

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs/plan"
)

// reachLine says what a plan touches.
func reachLine(r plan.Reach) string {
	s := thousands(r.Accounts) + " of " + count(r.Of, "account", "accounts")
	if r.Of > 0 {
		s += fmt.Sprintf(" (%d %%)", r.Accounts*100/r.Of)
	}
	if r.Cells > 0 {
		s += ", " + count(r.Cells, "account × Region", "account × Regions")
	}
	if len(r.Regions) > 0 {
		s += ", " + regionList(r.Regions)
	}
	if n := len(r.OUs); n > 0 {
		s += ", " + count(n, "OU", "OUs") + ": " + someOf(r.OUs, maxNamedOUs)
	}
	return s
}

// How many of something are named before the rest is counted.
const (
	maxNamedOUs = 8
	maxNamed    = 12
)

// someOf names a few of a list and counts the rest.
func someOf(list []string, most int) string {
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %s more", strings.Join(list[:most], ", "), thousands(len(list)-most))
}

// lossWho says who can no longer do something, or can again.
func lossWho(l plan.Loss, most int) string {
	s := "everybody in " + count(len(l.Accounts), "account", "accounts") + ", the root user included, but service-linked roles"
	if len(l.Except) > 0 {
		roles := make([]string, len(l.Except))
		for i, arn := range l.Except {
			roles[i] = arn
			if _, name, ok := strings.Cut(arn, ":role/"); ok && strings.HasPrefix(arn, "arn:") && strings.Contains(arn, ":iam::*:") {
				roles[i] = name
			}
		}
		s += " and " + someOf(roles, most)
	}
	return s
}

// lossWhat says what that is.
func lossWhat(l plan.Loss, most int) string {
	s := someOf(l.Actions, most)
	if len(l.Resources) != 1 || l.Resources[0] != "*" {
		s += " on " + someOf(l.Resources, most)
	}
	if len(l.Conditions) > 0 {
		s += " where " + strings.Join(l.Conditions, " and ")
	}
	return s
}

// lossGroup is what the same principals lose, or get back.
type lossGroup struct {
	title string
	what  []string // a line for each statement
}

// lossGroups puts together what the same principals lose. most is how many actions
// and roles are named.
func lossGroups(losses []plan.Loss, most int) []lossGroup {
	var out []lossGroup
	for _, l := range losses {
		title := "Denied by " + l.Policy + " to "
		if l.Returned {
			title = "No longer denied by " + l.Policy + " to "
		}
		title += lossWho(l, most)
		what := l.Statement + ": " + lossWhat(l, most)
		if n := len(out); n > 0 && out[n-1].title == title {
			out[n-1].what = append(out[n-1].what, what)
			continue
		}
		out = append(out, lossGroup{title, []string{what}})
	}
	return out
}

// finalLine says what no undo brings back.
func finalLine(f plan.Final) string {
	return f.Why + " (" + count(f.Changes, "change", "changes") + ")"
}

// estimateLine says what carrying a plan out takes.
func estimateLine(e plan.Estimate) string {
	var parts []string
	if e.Operations > 0 {
		parts = append(parts, count(e.Operations, "StackSet operation", "StackSet operations"))
	}
	if e.Stacks > 0 {
		parts = append(parts, count(e.Stacks, "stack", "stacks"))
	}
	parts = append(parts, count(e.Writes, "call that writes", "calls that write"))
	if e.Waves > 0 {
		parts = append(parts, count(e.Waves, "wave", "waves"))
	}
	about := span(e.LeastSeconds)
	if most := span(e.MostSeconds); most != about {
		about += " to " + most
	}
	return strings.Join(parts, ", ") + "; about " + about
}

// span is a number of seconds as people say it.
func span(seconds int) string {
	d := time.Duration(seconds) * time.Second
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", seconds)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", (seconds+59)/60)
	}
	return fmt.Sprintf("%d h %d min", seconds/3600, seconds%3600/60)
}

// planReach writes what a plan touches and takes, for a terminal.
func planReach(g grid, p plan.Plan) {
	if r := p.Reach; r != nil {
		g.blank()
		g.line("Blast radius", 0, g.pens.strong)
		g.hang("  touches: ", Safe(reachLine(*r)), nil)
		for _, l := range lossGroups(r.Losses, maxNamed) {
			g.hang("  ", Safe(l.title), nil)
			for _, what := range l.what {
				g.hang("    - ", Safe(what), nil)
			}
		}
		for _, f := range r.Irreversible {
			g.hang("  not to be undone: ", Safe(finalLine(f)), g.pens.warn)
		}
	}
	if e := p.Estimate; e != nil {
		g.blank()
		g.line("Estimate", 0, g.pens.strong)
		g.hang("  ", Safe(estimateLine(*e)), nil)
		g.hang("  rests on: ", Safe(strings.Join(e.Basis, "; ")), g.pens.faint)
	}
}

// reach writes the same for a pull request.
func (m *markdown) reach(p plan.Plan) {
	if r := p.Reach; r != nil {
		m.line("### Blast radius")
		m.line("Touches %s", md(reachLine(*r)))
		for _, l := range lossGroups(r.Losses, math.MaxInt) {
			m.line("%s:", md(l.title))
			for _, what := range l.what {
				m.line("- %s", md(what))
			}
		}
		for _, f := range r.Irreversible {
			m.line("- **Not to be undone:** %s", md(finalLine(f)))
		}
	}
	if e := p.Estimate; e != nil {
		m.line("### Estimate")
		m.line("%s. It rests on:", md(estimateLine(*e)))
		for _, b := range e.Basis {
			m.line("- %s", md(b))
		}
	}
}
