package reports

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
)

// beforeAudit is the audit before driftAudit.
func beforeAudit() Audit {
	a := driftAudit()
	a.GeneratedAt, a.ConfigDigest = generated.Add(-24*time.Hour), "sha256:1"
	var fs []finding.Finding
	for _, f := range a.Findings {
		switch {
		case f.Reason == "the recorder is stopped":
			continue // new
		case f.Control == "scp-protect-config":
			f.Severity, f.Exemption = finding.Low, nil // gets worse
		case f.Control == "config-delivery" && f.Status == finding.Exempt:
			f.Status, f.Exemption = finding.Drift, nil // is accepted
		}
		fs = append(fs, f)
	}
	gone := finding.Finding{
		Account: "300000000001", AccountName: "shop-prod", OUPath: "Root/Workloads/Prod", Region: "us-east-1", Control: "config-delivery",
		Resource: "default", Status: finding.Drift, Severity: finding.High, Reason: "the channel is missing", Fix: "orgguard rollout",
	}
	blind := gone
	blind.Account, blind.AccountName = "300000000003", "data-prod"
	a.Findings = append(fs, gone, blind)
	finding.Sort(a.Findings)
	a.Summary = finding.Summarize(a.Findings)
	return a
}

func testDiff() Diff {
	after := driftAudit()
	after.ConfigDigest = "sha256:2"
	d := Compare(beforeAudit(), after)
	d.Before.Name, d.After.Name = "monday.json", "tuesday.json"
	return d
}

func hostileDiff() Diff {
	d := Compare(Audit{}, hostileAudit())
	d.Before.Name, d.After.Name = hostile[0], hostile[14]
	return d
}

func testRuns() []Run { return sinceAudit().Trend }

func testLifetimes(a Audit) []Lifetime {
	var out []Lifetime
	for i, id := range Identify(normalizeAudit(a).Findings) {
		f := normalizeAudit(a).Findings[i]
		l := Lifetime{ID: id, FirstSeen: utcSecond(generated).Add(-time.Hour * 100), LastSeen: utcSecond(generated), Times: 1 + i%2, Finding: f}
		if i%3 == 0 {
			l.Resolved = utcSecond(generated)
		}
		out = append(out, l)
	}
	SortLifetimes(out)
	return out
}

func rendered(t *testing.T, write func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestListsGolden(t *testing.T) {
	for name, write := range map[string]func(io.Writer) error{
		"diff.table":      func(w io.Writer) error { return WriteDiff(w, Table, Style{}, testDiff()) },
		"diff.markdown":   func(w io.Writer) error { return WriteDiff(w, Markdown, Style{}, testDiff()) },
		"runs.table":      func(w io.Writer) error { return WriteRuns(w, Table, Style{}, testRuns()) },
		"trend.table":     func(w io.Writer) error { return WriteTrend(w, Table, Style{}, testRuns()) },
		"lifetimes.table": func(w io.Writer) error { return WriteLifetimes(w, Table, Style{}, testLifetimes(driftAudit())) },
		"since.table":     func(w io.Writer) error { return Write(w, Table, Style{}, sinceAudit()) },
		"since.markdown":  func(w io.Writer) error { return Write(w, Markdown, Style{}, sinceAudit()) },
	} {
		golden(t, name, rendered(t, write))
	}
}

func TestListsFitANarrowTerminal(t *testing.T) {
	runs := testRuns()
	for i := range runs {
		runs[i].Interrupted, runs[i].Narrowed = true, true
	}
	controls := []Control{
		{ID: "detective-guardrails", Title: "Detective guardrails of AWS Control Tower look at every account", Severity: "medium", Scope: "every account × Region, and the log bucket in the security account"},
		{ID: "root-activity-alert", Title: "Somebody is told", Severity: "critical", Scope: "every account"},
	}
	narrow := Style{Width: 80}
	for name, c := range map[string]struct {
		write func(io.Writer) error
		whole []string
	}{
		"runs":     {func(w io.Writer) error { return WriteRuns(w, Table, narrow, runs) }, []string{"DRIFT", "BLIND", "WORSE", "part, interrupted"}},
		"trend":    {func(w io.Writer) error { return WriteTrend(w, Table, narrow, runs) }, []string{"DRIFT", "BLIND", "WORSE", "TREND", strings.Repeat("#", trendBar)}},
		"controls": {func(w io.Writer) error { return WriteControls(w, narrow, controls) }, []string{"detective-guardrails", "root-activity-alert", "SEVERITY"}},
	} {
		text := string(rendered(t, c.write))
		for line := range strings.Lines(text) {
			if got := displayWidth(strings.TrimSuffix(line, "\n")); got > narrow.Width {
				t.Errorf("%s: %d columns: %s", name, got, line)
			}
		}
		for _, want := range c.whole {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q in one piece:\n%s", name, want, text)
			}
		}
	}
}

func TestAnEstimateSaysASpanOfTimeOnlyOfOne(t *testing.T) {
	for _, c := range []struct {
		least, most int
		want        string
	}{{1, 1, "1 call that writes; about 1 s"}, {1, 90, "1 call that writes; about 1 s to 90 s"}} {
		if got := estimateLine(plan.Estimate{Writes: 1, LeastSeconds: c.least, MostSeconds: c.most}); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestListsAreWhatTheSchemasSay(t *testing.T) {
	for _, tt := range []struct {
		schema string
		write  func(io.Writer) error
	}{
		{DiffSchema, func(w io.Writer) error { return WriteDiff(w, JSON, Style{}, testDiff()) }},
		{DiffSchema, func(w io.Writer) error { return WriteDiff(w, JSON, Style{}, hostileDiff()) }},
		{RunsSchema, func(w io.Writer) error { return WriteRuns(w, JSON, Style{}, normalRuns()) }},
		{RunsSchema, func(w io.Writer) error { return WriteRuns(w, JSON, Style{}, nil) }},
		{TrendSchema, func(w io.Writer) error { return WriteTrend(w, JSON, Style{}, normalRuns()) }},
		{LifetimesSchema, func(w io.Writer) error { return WriteLifetimes(w, JSON, Style{}, testLifetimes(hostileAudit())) }},
		{LifetimesSchema, func(w io.Writer) error { return WriteLifetimes(w, JSON, Style{}, nil) }},
	} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(rendered(t, tt.write)))
		if err != nil {
			t.Fatal(err)
		}
		if err := compileSchema(t, tt.schema).Validate(doc); err != nil {
			t.Errorf("%s: %v", tt.schema, err)
		}
	}
	for schema, typ := range map[string]reflect.Type{
		DiffSchema: reflect.TypeFor[Diff](), RunsSchema: reflect.TypeFor[runsDocument](), TrendSchema: reflect.TypeFor[runsDocument](),
		LifetimesSchema: reflect.TypeFor[lifetimesDocument](),
	} {
		memberTest(t, schema, nil, typ, nil)
	}
	memberTest(t, DiffSchema, []string{"$defs", "side"}, reflect.TypeFor[DiffSide](), nil)
	memberTest(t, DiffSchema, []string{"$defs", "changed"}, reflect.TypeFor[Changed](), nil)
	memberTest(t, DiffSchema, []string{"$defs", "finding"}, reflect.TypeFor[finding.Finding](), nil)
	memberTest(t, RunsSchema, []string{"$defs", "run"}, reflect.TypeFor[Run](), nil)
	memberTest(t, RunsSchema, []string{"$defs", "run", "properties", "drift"}, reflect.TypeFor[Severities](), nil)
	memberTest(t, LifetimesSchema, []string{"$defs", "lifetime"}, reflect.TypeFor[Lifetime](), nil)
}

// normalRuns are as a history has them: in UTC.
func normalRuns() []Run {
	runs := testRuns()
	for i := range runs {
		runs[i].GeneratedAt = utcSecond(runs[i].GeneratedAt)
	}
	return runs
}

func TestListsDefuseHostileTexts(t *testing.T) {
	for name, write := range map[string]func(io.Writer) error{
		"diff.table":      func(w io.Writer) error { return WriteDiff(w, Table, Style{}, hostileDiff()) },
		"diff.json":       func(w io.Writer) error { return WriteDiff(w, JSON, Style{}, hostileDiff()) },
		"lifetimes.table": func(w io.Writer) error { return WriteLifetimes(w, Table, Style{}, testLifetimes(hostileAudit())) },
	} {
		for _, r := range string(rendered(t, write)) {
			if r != '\n' && !isVisible(r) {
				t.Errorf("%s holds %U", name, r)
				break
			}
		}
	}
}

func TestListFormats(t *testing.T) {
	for _, f := range Formats() {
		err := WriteDiff(io.Discard, f, Style{}, Diff{})
		if (err == nil) != (f == Table || f == JSON || f == Markdown) {
			t.Errorf("a comparison as %s: %v", f, err)
		}
		err = WriteRuns(io.Discard, f, Style{}, nil)
		if (err == nil) != (f == Table || f == JSON) {
			t.Errorf("runs as %s: %v", f, err)
		}
	}
	if CheckComparable(Audit{Organization: Organization{ID: "o-1"}}, Audit{Organization: Organization{ID: "o-2"}}) == nil {
		t.Error("audits of two organizations are compared")
	}
}

func TestCompareThereAndBack(t *testing.T) {
	a, b := beforeAudit(), driftAudit()
	there, back := Compare(a, b), Compare(b, a)
	// What was accepted counts again on the way back, and what got worse is still open.
	if want := (Tally{New: 2, Worse: 1, Resolved: 1, Open: 15}); back.Changes != want {
		t.Errorf("back: %+v, want %+v", back.Changes, want)
	}
	if d := Compare(b, b); d.Changes != (Tally{Open: b.Summary.Drift + b.Summary.NotAssessed}) {
		t.Errorf("with itself: %+v", d.Changes)
	}
	if b, err := json.Marshal(there.Changes); err != nil || string(b) != `{"new":1,"worse":1,"resolved":1,"accepted":1,"open":14,"unseen":1}` {
		t.Errorf("%s %v", b, err)
	}
}
