package reports

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/finding"
)

func TestCSVCell(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain text stays", "shop-prod", "shop-prod"},
		{"a formula does not run", "=1+1", "'=1+1"},
		{"plus, minus and at begin one too", "+1", "'+1"},
		{"a negative number looks like one", "-5", "'-5"},
		{"Lotus functions too", "@SUM(A1)", "'@SUM(A1)"},
		{"the wide forms too", "＝1+1", "'＝1+1"},
		{"blanks before it do not hide it", "  =1", "'  =1"},
		{"nor do quotes", `"=1`, `'"=1`},
		{"nor does a tab, which is shown", "\t=1", `\t=1`},
		{"nor does a line break, which is shown", "\r\n=1", `\r\n=1`},
		{"a semicolon may begin a cell", "a;=1+1;b;-2", "a;'=1+1;b;'-2"},
		{"an escape sequence is shown", "\x1b[2J", `\x1b[2J`},
		{"long texts are whole", strings.Repeat("x", 5000), strings.Repeat("x", 5000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := csvCell(tt.in); got != tt.want {
				t.Errorf("csvCell(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestCSVIsOneLinePerFinding(t *testing.T) {
	a := hostileAudit()
	b := mustWrite(t, "audit-hostile.csv", Style{})
	records, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(csvHeader, records[0]); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if got, want := len(records)-1, len(a.Findings); got != want {
		t.Errorf("%d records for %d findings", got, want)
	}
	if got, want := bytes.Count(b, []byte("\n")), len(a.Findings)+1; got != want || bytes.Count(b, []byte("\r\n")) != want {
		t.Errorf("%d lines for %d findings and a header", got, len(a.Findings))
	}
}

func FuzzCSV(f *testing.F) {
	for _, h := range hostile {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := Audit{Findings: []finding.Finding{{
			Account: "300000000001", AccountName: s, OUPath: s, Region: "us-east-1", Control: s, Resource: s,
			Status: finding.Drift, Severity: finding.High, Reason: s, Expected: s, Actual: []any{s, -1}, Fix: s,
		}}}
		var b bytes.Buffer
		if err := Write(&b, CSV, Style{}, a); err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(&b).ReadAll()
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if len(records) != 2 || len(records[1]) != len(csvHeader) {
			t.Fatalf("%q makes %q", s, records)
		}
		for i, cell := range records[1] {
			for _, part := range strings.Split(cell, ";") {
				if startsFormula(part) {
					t.Errorf("%s: %q begins a formula", csvHeader[i], cell)
				}
			}
			for _, r := range cell {
				if !isVisible(r) {
					t.Errorf("%s: %q holds %U", csvHeader[i], cell, r)
				}
			}
		}
		if want := csvCell(s); records[1][3] != want {
			t.Errorf("account_name is %q, want %q", records[1][3], want)
		}
	})
}
