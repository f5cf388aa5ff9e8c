package reports

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/orgguard/orgguard/orgs/plan"
)

func TestGolden(t *testing.T) {
	for _, name := range []string{
		"audit-drift.table", "audit-drift.json", "audit-drift.csv", "audit-drift.markdown",
		"audit-clean.table", "audit-clean.json", "audit-large.table", "audit-empty.table",
		"plan.table", "plan.json", "plan.markdown", "plan-empty.table",
		"result.table", "result.json", "result.markdown",
		"audit-hostile.markdown", "audit-hostile.csv",
		"audit-drift.sarif", "audit-drift.junit", "audit-drift.asff", "audit-drift.ocsf", "audit-clean.junit", "audit-hostile.junit",
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, mustWrite(t, name, Style{})) })
	}
}

func TestTheSameInputGivesTheSameBytes(t *testing.T) {
	for name, write := range writings() {
		first, err := write(Style{Width: 90})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for range 3 {
			again, err := write(Style{Width: 90})
			if err != nil || !bytes.Equal(first, again) {
				t.Errorf("%s differs from one time to the next (%v)", name, err)
			}
		}
	}
}

func TestTheOrderOfFindingsDoesNotMatter(t *testing.T) {
	a := driftAudit()
	slices.Reverse(a.Findings)
	before := slices.Clone(a.Findings)
	for _, f := range Formats() {
		var got, want bytes.Buffer
		if err := Write(&got, f, Style{}, a); err != nil {
			t.Fatal(err)
		}
		if err := Write(&want, f, Style{}, driftAudit()); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Errorf("%s depends on the order in which findings came", f)
		}
	}
	for i := range before {
		if before[i].Reason != a.Findings[i].Reason {
			t.Fatal("Write changed the order of the caller's findings")
		}
	}
}

// What is written for people and for programs holds nothing that acts on a
// terminal, whatever was in it.
func TestNothingWrittenActsOnATerminal(t *testing.T) {
	for name, write := range writings() {
		b, err := write(Style{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !utf8.Valid(b) {
			t.Errorf("%s is not UTF-8", name)
		}
		s := strings.ReplaceAll(string(b), "\r\n", "\n") // CSV's line breaks
		if strings.HasSuffix(name, "."+string(Markdown)) {
			s = strings.ReplaceAll(s, noBreak, "")
		}
		for _, r := range s {
			if r != '\n' && !isVisible(r) {
				t.Errorf("%s holds %U", name, r)
				break
			}
		}
	}
}

var ansi = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestTablesKeepToTheirWidth(t *testing.T) {
	for name, write := range writings() {
		if !strings.HasSuffix(name, "."+string(Table)) {
			continue
		}
		for _, width := range []int{1, 60, 72, 80, 100, 133, 240} {
			for _, color := range []bool{false, true} {
				b, err := write(Style{Width: width, Color: color})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for line := range strings.Lines(ansi.ReplaceAllString(string(b), "")) {
					line = strings.TrimSuffix(line, "\n")
					if w := displayWidth(strings.TrimRight(line, " ")); w > max(width, minWidth) {
						t.Errorf("%s at %d columns has a line of %d: %q", name, width, w, line)
					}
				}
			}
		}
	}
}

func TestColourIsNeverTheOnlyCarrierOfMeaning(t *testing.T) {
	trim := regexp.MustCompile(`(?m) +$`)
	for name, write := range writings() {
		for _, width := range []int{60, 100} {
			plain, err := write(Style{Width: width})
			if err != nil {
				t.Fatal(err)
			}
			coloured, err := write(Style{Width: width, Color: true})
			if err != nil {
				t.Fatal(err)
			}
			got := trim.ReplaceAllString(ansi.ReplaceAllString(string(coloured), ""), "")
			if want := trim.ReplaceAllString(string(plain), ""); got != want {
				t.Errorf("%s at %d columns says something else with colour", name, width)
			}
			isTable := strings.HasSuffix(name, "."+string(Table))
			if isTable != bytes.Contains(coloured, []byte("\x1b[")) {
				t.Errorf("%s: colour is for tables", name)
			}
		}
	}
}

func TestParseFormat(t *testing.T) {
	for _, f := range Formats() {
		for _, s := range []string{string(f), strings.ToUpper(string(f)), " " + string(f) + " "} {
			if got, err := ParseFormat(s); err != nil || got != f {
				t.Errorf("ParseFormat(%q) = %q, %v", s, got, err)
			}
		}
	}
	for in, want := range map[string][]string{
		"jsno":  {`unknown format "jsno"`, "did you mean json", "table, json, csv, markdown, html, sarif, junit, asff and ocsf"},
		"tabel": {"did you mean table"},
		"":      {`unknown format ""`, "there are table, json, csv, markdown, html, sarif, junit, asff and ocsf"},
		"qqqqq": {"there are table, json, csv, markdown, html, sarif, junit, asff and ocsf"},
	} {
		_, err := ParseFormat(in)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("ParseFormat(%q) = %v, want %q in it", in, err, w)
			}
		}
	}
}

func TestAFormatThatCannotIsAnError(t *testing.T) {
	var b bytes.Buffer
	for name, err := range map[string]error{
		"audit":  Write(&b, "yaml", Style{}, Audit{}),
		"plan":   WritePlan(&b, CSV, Style{}, plan.Plan{}),
		"result": WriteResult(&b, CSV, Style{}, plan.Result{}),
	} {
		if err == nil || !strings.Contains(err.Error(), "can be written as table, json") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b.Len() > 0 {
		t.Errorf("wrote %q all the same", b.String())
	}
}

// Every entry of the list of formats is whole, and named once.
func TestRenderers(t *testing.T) {
	seen := map[Format]bool{}
	for _, r := range renderers {
		if r.format == "" || seen[r.format] || r.audit == nil && r.plan == nil && r.result == nil {
			t.Errorf("bad entry %q", r.format)
		}
		if (r.plan == nil) != (r.result == nil) {
			t.Errorf("%s writes a plan or its result, but not both", r.format)
		}
		seen[r.format] = true
	}
	if len(slices.Collect(maps.Keys(seen))) == 0 {
		t.Error("no format")
	}
}
