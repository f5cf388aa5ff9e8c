package reports

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/olekukonko/tablewriter/tw"

	"github.com/orgguard/orgguard/orgs/plan"
)

// tablePlan writes a plan for a terminal, stage by stage in the order in which it
// is carried out: what it covers first, and what it does in all last, where the
// question stands whether to do it.
func tablePlan(w io.Writer, s Style, p plan.Plan) error {
	g := newGrid(s)
	scope := planScope(p)
	g.hang("PLAN  ", Safe(scope[0]), g.pens.strong)
	for _, l := range scope[1:] {
		g.line(Safe(l), 0, g.pens.faint)
	}

	if len(p.Changes) > maxRows {
		if err := planSummary(g, p); err != nil {
			return err
		}
	} else if err := planStages(g, p); err != nil {
		return err
	}
	if err := planSkips(g, p); err != nil {
		return err
	}
	if len(p.Notes) > 0 {
		g.blank()
		g.line("Notes", 0, g.pens.strong)
		for _, n := range p.Notes {
			g.hang("  - ", Safe(n), nil)
		}
	}
	planReach(g, p)
	g.blank()
	g.line(planVerdict(p)+".", 0, g.pens.strong)
	return g.flush(w)
}

func planStages(g grid, p plan.Plan) error {
	var rows []gridRow
	for _, stage := range byStage(p) {
		heading := Safe(stage.title())
		for _, c := range stage.changes {
			r := changeRow(c)
			if c.Verb == plan.Replace || c.Verb == plan.Delete {
				r.paint = map[int]paint{0: g.pens.warn} // it takes something away
			}
			r.heading, heading = heading, ""
			if c.Why != "" {
				r.notes = append(r.notes, note{"why", Safe(c.Why)})
			}
			if d := difference(c); d != "" && (c.Verb == plan.Repair || c.Verb == plan.Update) {
				r.notes = append(r.notes, note{"was → will be", d})
			}
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	g.blank()
	return g.with(changeColumns()...).draw(rows)
}

func changeColumns() []column {
	return []column{
		{title: "verb", min: 6},
		{title: "what", min: 14},
		{title: "account", min: 14},
		{title: "Region", min: 9},
		{title: "acct × Region", min: 7, align: tw.AlignRight},
	}
}

func changeRow(c plan.Change) gridRow {
	what := c.Resource
	if what == "" {
		what = c.Control
	}
	return gridRow{cells: []string{
		Safe(string(c.Verb)), Safe(what), Safe(where(c.Account, c.AccountName, "")), Safe(c.Region), cells(c.Cells),
	}}
}

// planSummary stands in for more changes than anybody reads.
func planSummary(g grid, p plan.Plan) error {
	g.blank()
	g.line(fmt.Sprintf("%s changes are too many for a table, so this is a summary. --format json "+
		"(with --out FILE to keep the plan) has them all.", thousands(len(p.Changes))), 0, g.pens.strong)
	g.blank()
	var rows []gridRow
	for _, t := range changeTallies(p.Changes) {
		rows = append(rows, gridRow{cells: []string{
			t.stage.String(), Safe(string(t.verb)), Safe(t.control), thousands(t.changes), thousands(t.cells),
		}})
	}
	return g.with(
		column{title: "stage", min: 9},
		column{title: "verb", min: 6},
		column{title: "control", min: 11},
		column{title: "changes", min: 7, align: tw.AlignRight},
		column{title: "acct × Region", min: 7, align: tw.AlignRight},
	).draw(rows)
}

func planSkips(g grid, p plan.Plan) error {
	groups := skipped(p.Skipped)
	if len(groups) == 0 {
		return nil
	}
	var rows []gridRow
	for _, s := range groups[:min(maxRows, len(groups))] {
		r := gridRow{cells: []string{
			"left alone", Safe(where(s.account, s.name, "")), Safe(s.regions), Safe(s.controls), Safe(s.reason),
		}}
		if s.blocked {
			r.cells[0] = "cannot reach"
			r.paint = map[int]paint{0: g.pens.warn}
		}
		rows = append(rows, r)
	}
	g.blank()
	g.line("Skipped", 0, g.pens.strong)
	err := g.with(
		column{min: 6},
		column{title: "account", min: 14},
		column{title: "Region", min: 9},
		column{title: "control", min: 10},
		column{title: "reason", min: 11, spills: true},
	).draw(rows)
	if more := len(groups) - len(rows); more > 0 {
		g.line("and "+thousands(more)+" more, which --format json has", gridIndent, nil)
	}
	return err
}

// tableResult writes what a rollout did: what failed, account by account with
// AWS's own words, then what was not begun, then what is done.
func tableResult(w io.Writer, s Style, r plan.Result) error {
	g := newGrid(s)
	groups := groupOutcomes(r)
	word, text := groups.verdict()
	p := g.pens.good
	if word != "DONE" {
		p = g.pens.bad
	}
	g.lead(word+"  ", p, text, g.pens.strong)

	if err := waveOutcomes(g, r.Waves); err != nil {
		return err
	}
	for _, o := range groups.failed {
		if err := failedOutcome(g, o); err != nil {
			return err
		}
	}
	if err := outcomeList(g, "Not begun, because an earlier stage failed", groups.notBegun); err != nil {
		return err
	}
	if err := outcomeList(g, "Done", groups.done); err != nil {
		return err
	}
	return g.flush(w)
}

func failedOutcome(g grid, o plan.Outcome) error {
	g.blank()
	g.line("Failed: "+Safe(changeWords(o.Change)), 0, g.pens.strong)
	if o.Err != "" {
		g.hang("  ", Safe(o.Err), g.pens.bad)
	}
	if o.Hint != "" {
		g.hang("  do: ", Safe(o.Hint), nil)
	}
	return failureRows(g, o.Failures)
}

// waveOutcomes writes how each wave ended, and what its audit found.
func waveOutcomes(g grid, waves []plan.WaveOutcome) error {
	if len(waves) > 0 {
		g.blank()
	}
	for _, w := range waves {
		p := g.pens.good
		if w.Status == plan.WaveFailed || len(w.NotAssessed) > 0 {
			p = g.pens.bad
		}
		g.line(Safe(waveLine(w)), 0, p)
		if all := slices.Concat(w.Problems, w.NotAssessed); len(all) > 0 {
			if err := failureRows(g, all); err != nil {
				return err
			}
		}
	}
	return nil
}

func failureRows(g grid, failures []plan.Failure) error {
	var rows []gridRow
	for _, f := range failures[:min(maxRows, len(failures))] {
		row := gridRow{cells: []string{
			Safe(where(f.Account, f.AccountName, "")), Safe(f.Region), Safe(f.Status), Safe(f.Reason),
		}}
		if f.Fix != "" {
			row.shared = note{"fix", Safe(f.Fix)}
		}
		rows = append(rows, row)
	}
	err := g.with(
		column{title: "account", min: 14},
		column{title: "Region", min: 9},
		column{title: "status", min: 8},
		column{title: "reason", min: 16, spills: true},
	).draw(rows)
	if more := len(failures) - len(rows); more > 0 {
		g.line("and "+thousands(more)+" more, which --format json has", gridIndent, nil)
	}
	return err
}

func outcomeList(g grid, title string, outcomes []plan.Outcome) error {
	if len(outcomes) == 0 {
		return nil
	}
	var rows []gridRow
	for _, o := range outcomes[:min(maxRows, len(outcomes))] {
		r := changeRow(o.Change)
		took := ""
		if o.Took > 0 {
			took = o.Took.Round(100 * time.Millisecond).String()
		}
		r.cells = append(r.cells, took)
		rows = append(rows, r)
	}
	g.blank()
	g.line(title, 0, g.pens.strong)
	err := g.with(append(changeColumns(), column{title: "took", min: 4, align: tw.AlignRight})...).draw(rows)
	if more := len(outcomes) - len(rows); more > 0 {
		g.line("and "+thousands(more)+" more, which --format json has", gridIndent, nil)
	}
	return err
}
