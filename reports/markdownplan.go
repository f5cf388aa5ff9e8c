package reports

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs/plan"
)

// markdownPlan writes a plan for the pull request that asks for it.
func markdownPlan(w io.Writer, _ Style, p plan.Plan) error {
	var m markdown
	m.line("## orgguard plan")
	m.line("**%s**", md(planVerdict(p)+"."))
	m.line("%s", md(strings.Join(planScope(p), ", ")))
	m.reach(p)
	for _, stage := range byStage(p) {
		var rows [][]string
		for _, c := range stage.changes {
			diff := ""
			if c.Verb == plan.Repair || c.Verb == plan.Update {
				diff = difference(c)
			}
			row := append(mdChange(c), md(c.Why), md(diff))
			if c.Verb == plan.Replace || c.Verb == plan.Delete {
				row[0] = "**" + row[0] + "**" // it takes something away
			}
			rows = append(rows, row)
		}
		m.line("### %s", md(stage.title()))
		m.table([]string{"Verb", "What", "Account", "Region", "Account × Region", "Why", "Was → will be"}, rows)
	}
	if groups := skipped(p.Skipped); len(groups) > 0 {
		var rows [][]string
		for _, s := range groups {
			how := "left alone"
			if s.blocked {
				how = "**cannot reach**"
			}
			rows = append(rows, []string{
				how, mdAccount(s.account, s.name, ""), md(s.regions), md(s.controls), md(s.reason),
			})
		}
		m.line("### Skipped")
		m.table([]string{"Skipped", "Account", "Region", "Control", "Reason"}, rows)
	}
	if len(p.Notes) > 0 {
		m.line("### Notes")
		for _, n := range p.Notes {
			m.line("- %s", md(n))
		}
	}
	return m.flush(w)
}

func mdChange(c plan.Change) []string {
	return []string{
		md(string(c.Verb)), code(cmp.Or(c.Resource, c.Control)), mdAccount(c.Account, c.AccountName, ""),
		md(c.Region), cells(c.Cells),
	}
}

// markdownResult writes what a rollout did, what failed first.
func markdownResult(w io.Writer, _ Style, r plan.Result) error {
	var m markdown
	groups := groupOutcomes(r)
	word, text := groups.verdict()
	m.line("## orgguard rollout: %s", word)
	m.line("**%s**", md(text))
	for _, w := range r.Waves {
		m.line("%s", md(waveLine(w)))
		m.failures(slices.Concat(w.Problems, w.NotAssessed))
	}
	for _, o := range groups.failed {
		m.line("### Failed: %s", md(changeWords(o.Change)))
		if o.Err != "" {
			m.line("Error: %s", md(o.Err))
		}
		if o.Hint != "" {
			m.line("Do: %s", mdDo(o.Hint))
		}
		m.failures(o.Failures)
	}
	m.outcomes("Not begun, because an earlier stage failed", groups.notBegun)
	m.outcomes("Done", groups.done)
	return m.flush(w)
}

func (m *markdown) failures(failures []plan.Failure) {
	if len(failures) == 0 {
		return
	}
	var rows [][]string
	for _, f := range failures {
		rows = append(rows, []string{
			mdAccount(f.Account, f.AccountName, ""), md(f.Region), md(f.Status), md(f.Reason), mdDo(f.Fix),
		})
	}
	m.table([]string{"Account", "Region", "Status", "Reason", "Fix"}, rows)
}

func (m *markdown) outcomes(title string, outcomes []plan.Outcome) {
	if len(outcomes) == 0 {
		return
	}
	var rows [][]string
	for _, o := range outcomes {
		rows = append(rows, mdChange(o.Change))
	}
	m.line("### %s", title)
	m.table([]string{"Verb", "What", "Account", "Region", "Account × Region"}, rows)
}
