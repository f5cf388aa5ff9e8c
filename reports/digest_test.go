package reports

import (
	"fmt"
	"strings"
	"testing"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
)

func TestVerdict(t *testing.T) {
	unassessed := []finding.Finding{{Account: "1", Status: finding.NotAssessed}, {Account: "1", Region: "r", Status: finding.NotAssessed}}
	for _, tt := range []struct {
		name string
		a    Audit
		want string
	}{
		{"drift comes first", driftAudit(), "DRIFT: 4 findings in 3 of 14 accounts; 1 account could not be fully assessed"},
		{"no drift", cleanAudit(), "IN SYNC: 144 checks in 14 accounts, no drift"},
		{
			"what nobody looked at is never clean",
			Audit{Organization: testOrganization, Findings: unassessed, Summary: finding.Summary{InSync: 9, NotAssessed: 2}},
			"INCOMPLETE: no drift found in what could be looked at; 1 account could not be fully assessed",
		},
		{
			"a report of changes does not count accounts that it does not list",
			Audit{Organization: testOrganization, Findings: []finding.Finding{{Account: "1", Status: finding.Drift}}, Summary: finding.Summary{Drift: 2, NotAssessed: 22}},
			"DRIFT: 2 findings; 22 not assessed",
		},
		{"nor is an empty audit", Audit{}, "NOTHING CHECKED: no account, Region or control was looked at"},
		{
			"nor is one that was stopped",
			Audit{Interrupted: true, Organization: testOrganization, Summary: finding.Summary{InSync: 9}},
			"INCOMPLETE: no drift found in what could be looked at; stopped before the end",
		},
		{
			"exemptions are counted",
			Audit{Organization: testOrganization, Summary: finding.Summary{InSync: 1, Exempt: 2}},
			"IN SYNC: 1 check in 14 accounts, no drift; 2 exempt",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := judge(tt.a)
			if got := v.word + ": " + v.text; got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestWhatCouldNotBeLookedAtForOneCauseIsOneRow(t *testing.T) {
	parts := sections(driftAudit().Findings)
	if len(parts) != 3 || parts[1].status != finding.NotAssessed {
		t.Fatalf("%d sections", len(parts))
	}
	rows := parts[1].groups[0].rows
	if len(rows) != 1 || rows[0].control != "4 controls" || rows[0].region != "global, 2 Regions" || rows[0].findings != 12 {
		t.Errorf("%+v", rows)
	}
}

func TestAnUnknownStatusIsNotAssessed(t *testing.T) {
	parts := sections([]finding.Finding{{Account: "1", Status: "wonderful"}})
	if len(parts) != 1 || parts[0].status != finding.NotAssessed {
		t.Errorf("%+v", parts)
	}
}

func TestTheWorstAccountComesFirst(t *testing.T) {
	var fs []finding.Finding
	for i, s := range []finding.Severity{finding.Low, finding.Critical, finding.High} {
		fs = append(fs, finding.Finding{Account: fmt.Sprint(i), Status: finding.Drift, Severity: s})
	}
	var got string
	for _, g := range sections(fs)[0].groups {
		got += g.id
	}
	if got != "120" {
		t.Errorf("accounts in the order %s", got)
	}
}

func TestDifference(t *testing.T) {
	type recorder struct {
		Recording bool `json:"recording"`
	}
	for _, tt := range []struct {
		name          string
		before, after any
		want          string
	}{
		{"members that change", map[string]any{"a": 1, "b": 2}, map[string]any{"a": 1, "b": 3}, "b: 2 → 3"},
		{"members that come and go", map[string]any{"a": 1}, map[string]any{"b": "x"}, `a: 1 → (absent); b: (absent) → x`},
		{"Go types", recorder{false}, recorder{true}, "recording: false → true"},
		{"plain values", "DISABLED", "ENABLED", "DISABLED → ENABLED"},
		{"nothing to compare", nil, "x", ""},
		{"equal", map[string]any{"a": []int{1}}, map[string]any{"a": []int{1}}, ""},
		{
			"many", map[string]any{}, map[string]any{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1},
			"a: (absent) → 1; b: (absent) → 1; c: (absent) → 1; d: (absent) → 1; and 2 more",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := difference(plan.Change{Before: tt.before, After: tt.after}); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAVeryLargePlanIsSummedUp(t *testing.T) {
	p := testPlan()
	for i := range 700 {
		c := p.Changes[3]
		c.Account, c.Stage = fmt.Sprintf("8%011d", i), plan.Repairs
		p.Changes = append(p.Changes, c)
	}
	var b strings.Builder
	if err := WritePlan(&b, Table, Style{}, p); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(b.String(), "\n"); lines > 40 || !strings.Contains(b.String(), "--format json") {
		t.Errorf("%d lines:\n%s", lines, b.String())
	}
	if !strings.Contains(b.String(), "705 changes to make: 1 enable, 2 create, 701 repair, 1 attach") {
		t.Errorf("it does not count:\n%s", b.String())
	}
}

func TestWhatCannotBeReachedIsCountedOncePerAccountAndRegion(t *testing.T) {
	p := plan.Plan{Accounts: 3, Regions: []string{"us-east-1"}}
	for _, control := range []string{"a", "b"} {
		p.Skipped = append(p.Skipped, plan.Skip{Account: "1", Region: "us-east-1", Control: control, Blocked: true})
	}
	if got, want := planVerdict(p), "Nothing to change in what can be reached; 1 account × Region cannot be reached"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
