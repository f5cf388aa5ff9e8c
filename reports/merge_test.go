package reports

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/finding"
)

// cutAudit is an audit in parts, as written and read again. The accounts are dealt in
// turn.
func cutAudit(t *testing.T, a Audit, of int) []Part {
	t.Helper()
	a = normalizeAudit(a)
	var accounts []ShardAccount
	at := map[string]int{}
	for _, f := range a.Findings {
		if _, ok := at[f.Account]; !ok {
			at[f.Account] = len(accounts)%of + 1
			accounts = append(accounts, ShardAccount{ID: f.Account, Name: f.AccountName, OUPath: f.OUPath, Shard: at[f.Account]})
		}
	}
	var parts []Part
	for i := 1; i <= of; i++ {
		p := a
		p.Findings, p.Organization.Accounts = nil, 0
		for _, f := range a.Findings {
			if at[f.Account] == i {
				p.Findings = append(p.Findings, f)
			}
		}
		for _, x := range accounts {
			if x.Shard == i {
				p.Organization.Accounts++
			}
		}
		p.Summary = finding.Summarize(p.Findings)
		if i == 1 { // what is not listed
			p.Organization.Accounts += a.Organization.Accounts - len(accounts)
			p.Summary.InSync, p.Summary.NotApplicable = a.Summary.InSync, a.Summary.NotApplicable
		}
		p.Shard = &Shard{Index: i, Of: of, Accounts: accounts}
		parts = append(parts, Part{Name: fmt.Sprintf("part-%d.json", i), Audit: reread(t, p)})
	}
	return parts
}

// reread is an audit that was written as JSON and read again.
func reread(t *testing.T, a Audit) Audit {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, JSON, Style{}, a); err != nil {
		t.Fatal(err)
	}
	out, err := ReadAudit(&b)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return out
}

func wholeAudit() Audit {
	a := driftAudit()
	a.ConfigDigest = "sha256:1"
	a.Scope = Scope{Controls: []string{"config-change-alert", "config-recorder"}}
	a.Notes = []string{"a note"}
	return a
}

func TestMergedPartsAreTheBytesOfOneAudit(t *testing.T) {
	want := written(t, wholeAudit())
	for _, of := range []int{1, 2, 3, 5, 40} {
		parts := cutAudit(t, wholeAudit(), of)
		for i := range parts { // the last part is the last to end; the order of the files does not matter
			if i > 0 {
				parts[i].Audit.GeneratedAt = parts[i].Audit.GeneratedAt.AddDate(0, 0, -1)
			}
		}
		parts = append(parts[1:], parts[0])
		merged, err := Merge(parts, false, nil)
		if err != nil {
			t.Fatalf("%d parts: %v", of, err)
		}
		if diff := cmp.Diff(want, written(t, merged)); diff != "" {
			t.Errorf("%d parts (-one audit +merged):\n%s", of, diff)
		}
	}
}

func written(t *testing.T, a Audit) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, JSON, Style{}, a); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What was expected and found is written again as it was, whatever its type was once.
func TestASavedAuditIsWrittenAgainToTheByte(t *testing.T) {
	for _, a := range []Audit{driftAudit(), cleanAudit(), sinceAudit(), hostileAudit(), allAudit(), {}} {
		type ordered struct {
			Zebra int     `json:"zebra"`
			Apple float64 `json:"apple"`
		}
		if len(a.Findings) > 0 {
			a.Findings[0].Expected, a.Findings[0].Actual = ordered{12345678901234567, 1e21}, []any{"<&>", nil, map[string]any{}}
		}
		if a.Since == nil {
			want := written(t, a)
			// Bytes that are no UTF-8 are lost once, when they are written first.
			want = strings.ReplaceAll(want, `\ufffd`, "\ufffd")
			if diff := cmp.Diff(want, strings.ReplaceAll(written(t, reread(t, a)), `\ufffd`, "\ufffd")); diff != "" {
				t.Errorf("(-once +twice):\n%s", diff)
			}
		}
	}
}

func TestMergeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func([]Part) []Part
		allow  bool
		want   string
	}{
		{"nothing", func(p []Part) []Part { return nil }, false, "nothing to merge"},
		{"a missing part", func(p []Part) []Part { return p[:2] }, false, "of 3 parts, one is missing: 3"},
		{"missing parts", func(p []Part) []Part { return p[1:2] }, false, "of 3 parts, 2 are missing: 1 and 3"},
		{"a part twice", func(p []Part) []Part { return append(p, p[0]) }, false, "part-1.json and part-1.json are both part 1"},
		{"a part twice, with one missing", func(p []Part) []Part { return []Part{p[0], p[0]} }, true, "are both part 1"},
		{"a whole audit", func(p []Part) []Part { p[0].Audit.Shard = nil; return p }, false, "part-1.json is a whole audit"},
		{"another organization", func(p []Part) []Part { p[1].Audit.Organization.ID = "o-2"; return p }, true, `part-2.json has another organization than part-1.json: "o-2", not "o-a1b2c3d4e5"`},
		{"another version", func(p []Part) []Part { p[2].Audit.ToolVersion = "v9"; return p }, true, `another version of orgguard than part-1.json: "v9"`},
		{"another configuration", func(p []Part) []Part { p[2].Audit.ConfigDigest = "sha256:2"; return p }, true, "another configuration"},
		{"another scope", func(p []Part) []Part { p[2].Audit.Scope.Regions = []string{"us-east-1"}; return p }, true, "another scope"},
		{"other Regions", func(p []Part) []Part { p[2].Audit.Organization.Regions = []string{"us-east-1"}; return p }, true, "another list of Regions"},
		{"another number of parts", func(p []Part) []Part { p[1].Audit.Shard.Of = 4; return p }, true, "another number of parts than part-1.json: 4, not 3"},
		{"other accounts", func(p []Part) []Part {
			p[1].Audit.Shard.Accounts = append([]ShardAccount{{ID: "999999999999", Shard: 1}}, p[1].Audit.Shard.Accounts...)
			return p
		}, false, "part-2.json saw other accounts than part-1.json"},
		{"an account that two looked at", func(p []Part) []Part {
			moved := append([]ShardAccount(nil), p[1].Audit.Shard.Accounts...)
			moved[0].Shard = 2
			p[1].Audit.Shard.Accounts = moved
			return p
		}, true, "both looked at account"},
		{"a finding of somebody else's account", func(p []Part) []Part {
			p[1].Audit.Findings[0].Account = "999999999999"
			return p
		}, false, "which is not among its accounts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Merge(tt.change(cutAudit(t, wholeAudit(), 3)), tt.allow, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestAMissingPartThatWasDeclaredIsNotAssessed(t *testing.T) {
	parts := cutAudit(t, wholeAudit(), 3)
	a, err := Merge(parts[:2], true, []Control{{ID: "config-recorder", Severity: finding.Critical}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range a.Findings {
		if strings.Contains(f.Reason, "is missing") {
			got = append(got, strings.Join([]string{f.Account, f.AccountName, f.Control, string(f.Severity), string(f.Status), f.Reason, f.Fix}, "|"))
		}
	}
	want := []string{
		"300000000004|shop-dev|config-change-alert|high|not_assessed|part 3/3 of the audit is missing|orgguard audit --shard 3/3 --output FILE.json, then merge again",
		"300000000004|shop-dev|config-recorder|critical|not_assessed|part 3/3 of the audit is missing|orgguard audit --shard 3/3 --output FILE.json, then merge again",
	}
	if diff := cmp.Diff(want, got[:2]); diff != "" || len(got) != 2*len(missingOf(parts, 3)) {
		t.Errorf("%d findings (-want +got):\n%s", len(got), diff)
	}
	if a.Organization.Accounts != 14 || a.Summary.NotAssessed < len(got) || a.Shard != nil {
		t.Errorf("%d accounts, %+v", a.Organization.Accounts, a.Summary)
	}
	if _, err := ReadAudit(strings.NewReader(written(t, a))); err != nil {
		t.Error(err)
	}
}

func missingOf(parts []Part, shard int) (out []string) {
	for _, a := range parts[0].Audit.Shard.Accounts {
		if a.Shard == shard {
			out = append(out, a.ID)
		}
	}
	return out
}

func TestReadAuditRefuses(t *testing.T) {
	good := written(t, wholeAudit())
	if _, err := ReadAudit(strings.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ doc, want string }{
		"nothing":                  {"", "not an audit"},
		"another document":         {`{"schema":"orgguard.dev/plan/v1"}`, `its schema is "orgguard.dev/plan/v1"`},
		"a newer one":              {strings.Replace(good, "audit/v1", "audit/v2", 1), "audit/v2"},
		"half of one":              {good[:len(good)/2], "not an audit"},
		"two of them":              {good + good, "something follows"},
		"a list":                   {"[]", "not an audit"},
		"counts that hide drift":   {strings.Replace(good, `"drift": 4`, `"drift": 0`, 1), "it has been changed"},
		"counts that invent drift": {strings.Replace(good, `"drift": 4`, `"drift": 5`, 1), "it has been changed"},
		"an account that is none":  {strings.Replace(good, `"account": "300000000001"`, `"account": "../../x"`, 1), "want twelve digits"},
		"a number for a text":      {strings.Replace(good, `"control": "config-recorder"`, `"control": 1`, 1), "not an audit"},
	} {
		if _, err := ReadAudit(strings.NewReader(tt.doc)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	// What a newer version adds is no reason to refuse.
	if _, err := ReadAudit(strings.NewReader(strings.Replace(good, `"schema"`, `"novelty": [1], "schema"`, 1))); err != nil {
		t.Error(err)
	}
}

func FuzzReadAudit(f *testing.F) {
	f.Add([]byte(`{"schema":"orgguard.dev/audit/v1","findings":[{"account":"300000000001","expected":{"a":[1,"\u0000"]}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ReadAudit(bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, format := range Formats() {
			var out bytes.Buffer
			if err := Write(&out, format, Style{}, a); err != nil && !strings.Contains(err.Error(), "write ") {
				t.Errorf("%s: %v", format, err)
			}
		}
	})
}
