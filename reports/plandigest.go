package reports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs/plan"
)

// stageGroup is the changes of one wave and stage, in the order in which they are
// made.
type stageGroup struct {
	stage   plan.Stage
	wave    string // in words; "" when the plan has no waves
	number  int
	changes []plan.Change
}

// byStage splits changes where the wave or the stage changes. A plan is in order
// already.
func byStage(p plan.Plan) []stageGroup {
	var groups []stageGroup
	for _, c := range p.Changes {
		if n := len(groups); n == 0 || groups[n-1].stage != c.Stage || groups[n-1].number != c.Wave {
			groups = append(groups, stageGroup{stage: c.Stage, number: c.Wave, wave: waveWords(p.Waves, c.Wave)})
		}
		last := &groups[len(groups)-1]
		last.changes = append(last.changes, c)
	}
	return groups
}

// stageWords say what a stage is for.
var stageWords = map[plan.Stage]string{
	plan.Prerequisites: "what the rollout itself needs",
	plan.Central:       "what lives once, in the security account",
	plan.Roles:         "IAM roles",
	plan.Baseline:      "recorders and rules, everywhere",
	plan.Repairs:       "drift that CloudFormation does not see",
	plan.Rules:         "Config rules, which need the recorders",
	plan.Guardrail:     "the SCP, last, so that it stands in nobody's way",
	plan.Package:       "what the function of the scheduled audit runs, and its configuration",
	plan.Job:           "the scheduled audit",
	plan.Retirement:    "what is left of it",
	plan.Triggers:      "what begins it between its times",
}

func (g stageGroup) title() string {
	name := cmp.Or(g.stage.String(), fmt.Sprintf("stage %d", g.stage))
	title := strings.ToUpper(name[:1]) + name[1:]
	if words := stageWords[g.stage]; words != "" {
		title += ": " + words
	}
	if g.wave != "" {
		title = g.wave + " · " + title
	}
	return title
}

// waveWords names a wave: "Wave 1 of 3 (Sandbox, 4 accounts)".
func waveWords(waves []plan.Wave, number int) string {
	for _, w := range waves {
		if w.Number == number {
			return fmt.Sprintf("Wave %d of %d (%s, %s)", number, len(waves), shorten(w.Name, maxValue), count(len(w.Accounts), "account", "accounts"))
		}
	}
	return ""
}

// waveStatusWords say how a wave ended.
var waveStatusWords = map[plan.WaveStatus]string{
	plan.WaveVerified: "done and verified",
	plan.WaveFailed:   "failed",
	plan.WaveStopped:  "done and verified; stopped after it",
	plan.WaveNotBegun: "not begun",
}

// waveLine is what became of a wave, in a line.
func waveLine(w plan.WaveOutcome) string {
	s := fmt.Sprintf("Wave %d", w.Number)
	if w.Name != "" {
		s += " (" + shorten(w.Name, maxValue) + ")"
	}
	s += ": " + cmp.Or(waveStatusWords[w.Status], string(w.Status))
	if w.Reason != "" {
		s += ", " + w.Reason
	}
	if n := len(w.Problems); n > 0 {
		s += "; its audit found " + count(n, "problem", "problems")
	}
	if n := len(w.NotAssessed); n > 0 {
		s += "; NOT ASSESSED: " + count(n, "account × Region", "account × Regions")
	}
	return s
}

// cells writes how many account × Region a change reaches.
func cells(n int) string {
	if n <= 1 {
		return ""
	}
	return thousands(n)
}

// planScope says what a plan covers, on two lines.
func planScope(p plan.Plan) []string {
	scope := []string{
		"organization " + cmp.Or(p.Organization, "unknown"),
		count(p.Accounts, "account", "accounts"), regionList(p.Regions),
	}
	if len(p.Waves) > 0 {
		scope = append(scope, count(len(p.Waves), "wave", "waves"))
	}
	if len(p.Only) > 0 {
		scope = append(scope, "only "+strings.Join(p.Only, " "))
	}
	return []string{
		strings.Join(scope, ", "),
		madeBy(p.GeneratedAt, p.ToolVersion),
	}
}

// planVerdict is the line that says whether there is anything to do.
func planVerdict(p plan.Plan) string {
	blocked := ""
	if n := blockedCells(p); n > 0 {
		blocked = count(n, "account × Region", "account × Regions") + " cannot be reached"
	}
	if len(p.Changes) == 0 {
		if blocked != "" {
			return "Nothing to change in what can be reached; " + blocked
		}
		return fmt.Sprintf("Nothing to change: %s and %s are as the configuration wants them",
			count(p.Accounts, "account", "accounts"), count(len(p.Regions), "Region", "Regions"))
	}
	s := count(len(p.Changes), "change", "changes") + " to make: " + verbCounts(p.Changes)
	if blocked != "" {
		s += "; " + blocked
	}
	return s
}

// blockedCells counts the account × Region that cannot be reached, each once
// however many controls would have gone there.
func blockedCells(p plan.Plan) int {
	seen := map[[2]string]bool{}
	for _, s := range p.Skipped {
		if s.Blocked {
			seen[[2]string{s.Account, s.Region}] = true
		}
	}
	return len(seen)
}

// verbOrder is the order in which verbs are counted.
var verbOrder = []plan.Verb{
	plan.Enable, plan.Create, plan.Update, plan.Repair, plan.Replace, plan.Start, plan.Attach, plan.Detach, plan.Delete,
}

func verbCounts(changes []plan.Change) string {
	counts := map[plan.Verb]int{}
	for _, c := range changes {
		counts[c.Verb]++
	}
	var parts []string
	for _, v := range append(slices.Clone(verbOrder), slices.Sorted(maps.Keys(counts))...) {
		if n := counts[v]; n > 0 {
			parts = append(parts, thousands(n)+" "+string(v))
			delete(counts, v)
		}
	}
	return strings.Join(parts, ", ")
}

// skipGroup is what a plan leaves alone for one reason in one account.
type skipGroup struct {
	account, name     string
	controls, regions string
	reason            string
	blocked           bool
}

// skipped collapses what is left alone, what cannot be reached first.
func skipped(skips []plan.Skip) []skipGroup {
	type key struct {
		account, reason string
		blocked         bool
	}
	var order []key
	members := map[key][]plan.Skip{}
	for _, s := range skips {
		k := key{s.Account, s.Reason, s.Blocked}
		if members[k] == nil {
			order = append(order, k)
		}
		members[k] = append(members[k], s)
	}
	slices.SortStableFunc(order, func(a, b key) int {
		if a.blocked == b.blocked {
			return 0
		}
		if a.blocked {
			return -1
		}
		return 1
	})
	var out []skipGroup
	for _, k := range order {
		var controls, regions []string
		for _, s := range members[k] {
			controls = append(controls, s.Control)
			regions = append(regions, s.Region)
		}
		out = append(out, skipGroup{
			account: k.account, name: members[k][0].AccountName,
			controls: few(unique(controls), 1, "control", "controls"),
			regions:  few(unique(regions), 1, "Region", "Regions"),
			reason:   k.reason, blocked: k.blocked,
		})
	}
	return out
}

// changeTally counts the changes of one stage, verb and control, for the summary
// that replaces too many rows.
type changeTally struct {
	stage          plan.Stage
	verb           plan.Verb
	control        string
	changes, cells int
}

func changeTallies(changes []plan.Change) []changeTally {
	var out []changeTally
	for _, c := range changes {
		i := slices.IndexFunc(out, func(t changeTally) bool {
			return t.stage == c.Stage && t.verb == c.Verb && t.control == c.Control
		})
		if i < 0 {
			i = len(out)
			out = append(out, changeTally{stage: c.Stage, verb: c.Verb, control: c.Control})
		}
		out[i].changes++
		out[i].cells += max(1, c.Cells)
	}
	return out
}

const (
	maxDifferences = 4  // members of an object that are told before they are counted
	maxValue       = 48 // columns of a value
)

// difference tells in short what a change turns into what, for those that
// change what is there. It is "" when there is nothing to compare.
func difference(c plan.Change) string {
	if c.Before == nil || c.After == nil {
		return ""
	}
	before, after := plainData(c.Before), plainData(c.After)
	b, okB := before.(map[string]any)
	a, okA := after.(map[string]any)
	if equalJSON(before, after) {
		return ""
	}
	if !okB || !okA {
		return shortValue(before) + " → " + shortValue(after)
	}
	var parts []string
	for _, k := range unique(append(slices.Collect(maps.Keys(b)), slices.Collect(maps.Keys(a))...)) {
		was, wasThere := b[k]
		is, isThere := a[k]
		from, to := "(absent)", "(absent)"
		if wasThere {
			from = shortValue(was)
		}
		if isThere {
			to = shortValue(is)
		}
		if wasThere == isThere && equalJSON(was, is) {
			continue
		}
		parts = append(parts, shorten(Safe(k), maxValue)+": "+from+" → "+to)
	}
	if more := len(parts) - maxDifferences; more > 0 {
		parts = append(parts[:maxDifferences], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// plainData is a value as JSON has it, whatever Go type it came in: the plan may
// be fresh, with structs, or read from a file, with maps.
func plainData(v any) any {
	s, err := compactJSON(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	var out any
	if err := json.Unmarshal([]byte(s), &out); err != nil {
		return s
	}
	return out
}

func equalJSON(a, b any) bool {
	x, errX := compactJSON(a)
	y, errY := compactJSON(b)
	return errX == nil && errY == nil && x == y
}

func shortValue(v any) string {
	if s, ok := v.(string); ok && s != "" && !strings.ContainsAny(s, " ;") {
		return shorten(Safe(s), maxValue)
	}
	s, err := compactJSON(v)
	if err != nil {
		s = fmt.Sprint(v)
	}
	return shorten(Safe(s), maxValue)
}

// resultGroups are the outcomes of a rollout by what became of them.
type resultGroups struct {
	failed, notBegun, done []plan.Outcome
	unverified             bool // a wave did not stand its verification
}

func groupOutcomes(r plan.Result) resultGroups {
	var g resultGroups
	g.unverified = slices.ContainsFunc(r.Waves, func(w plan.WaveOutcome) bool { return w.Status == plan.WaveFailed })
	for _, o := range r.Outcomes {
		switch {
		case o.Skipped:
			g.notBegun = append(g.notBegun, o)
		case o.Err != "" || len(o.Failures) > 0:
			g.failed = append(g.failed, o)
		default:
			g.done = append(g.done, o)
		}
	}
	return g
}

// verdict is the result in one word and one line.
func (g resultGroups) verdict() (word, text string) {
	all := len(g.failed) + len(g.notBegun) + len(g.done)
	if all == 0 {
		return "DONE", "there was nothing to change"
	}
	if len(g.failed) == 0 && len(g.notBegun) == 0 && !g.unverified {
		return "DONE", count(all, "change", "changes") + " made"
	}
	text = fmt.Sprintf("%s of %s failed", thousands(len(g.failed)), count(all, "change", "changes"))
	failures := 0
	for _, o := range g.failed {
		failures += len(o.Failures)
	}
	if failures > 0 {
		text += " (" + count(failures, "account × Region", "account × Regions") + ")"
	}
	if n := len(g.notBegun); n > 0 {
		text += fmt.Sprintf(", %s not begun", thousands(n))
	}
	if n := len(g.done); n > 0 {
		text += fmt.Sprintf(", %s done", thousands(n))
	}
	if len(g.failed) == 0 && !g.unverified {
		return "STOPPED", text
	}
	return "FAILED", text
}

// changeWords names a change in a sentence: verb, resource, where.
func changeWords(c plan.Change) string {
	return fmt.Sprintf("%s %s in %s", c.Verb, cmp.Or(c.Resource, c.Control), where(c.Account, c.AccountName, c.Region))
}

func where(account, name, region string) string {
	return strings.TrimSpace(strings.Join(slices.DeleteFunc([]string{account, name, region},
		func(s string) bool { return s == "" }), " "))
}
