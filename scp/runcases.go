package scp

import (
	"fmt"
	"slices"
	"strings"
)

// CaseReport is the outcome of a run of cases. It is plain data: nothing in it
// depends on time or on the machine.
type CaseReport struct {
	Passed  int          `json:"passed"`
	Failed  int          `json:"failed"`
	Results []CaseResult `json:"results"`
}

// CaseResult is the outcome of one case, in the order of the file.
type CaseResult struct {
	ID         string     `json:"id"`
	Note       string     `json:"note,omitempty"`
	File       string     `json:"file"`
	Position   Position   `json:"position"`
	Action     string     `json:"action"`
	Resource   string     `json:"resource"`
	Principal  string     `json:"principal"`
	Passed     bool       `json:"passed"`
	Mismatches []Mismatch `json:"mismatches,omitempty"`
	Got        Result     `json:"got"`
}

// Mismatch is one expectation that was not met.
type Mismatch struct {
	Field string `json:"field"`
	Got   string `json:"got"`
	Want  string `json:"want"`
}

// RunCases evaluates cases. It does no I/O.
func RunCases(cases []Case) CaseReport {
	report := CaseReport{Results: make([]CaseResult, 0, len(cases))}
	for i := range cases {
		r := cases[i].run()
		if r.Passed {
			report.Passed++
		} else {
			report.Failed++
		}
		report.Results = append(report.Results, r)
	}
	return report
}

func (c *Case) run() CaseResult {
	res := CaseResult{
		ID: c.ID, Note: c.Note, File: c.File, Position: c.Position,
		Action: c.Request.Action, Resource: c.Request.resource(0), Principal: firstOf(c.Request.Principal.RoleARN, c.Request.Principal.ARN),
	}
	e, err := Compile(c.Org)
	if err != nil {
		res.Mismatches = []Mismatch{{Field: "org", Got: err.Error(), Want: "a valid path"}}
		return res
	}
	r := c.Request
	if len(c.UnknownKeys) > 0 {
		r.Unknown = func(key string) bool {
			return slices.ContainsFunc(c.UnknownKeys, func(k string) bool { return k == "*" || strings.EqualFold(k, key) })
		}
	}
	res.Got = e.Evaluate(&r)
	res.Mismatches = c.Expected.compare(res.Got)
	res.Passed = len(res.Mismatches) == 0
	return res
}

// compare lists how a result differs from what is expected.
func (x *Expected) compare(got Result) []Mismatch {
	var out []Mismatch
	differ := func(field, g, w string) {
		if g != w {
			out = append(out, Mismatch{Field: field, Got: g, Want: w})
		}
	}
	differ("decision", string(got.Decision), string(x.Decision))
	if x.Kind != nil {
		differ("kind", string(got.Kind), string(*x.Kind))
	}
	if x.Exemption != nil {
		differ("exemption", orNone(got.Exemption), orNone(*x.Exemption))
	}
	if x.LevelsWithoutAllow != nil {
		differ("levelsWithoutAllow", joined(got.LevelsWithoutAllow), joined(*x.LevelsWithoutAllow))
	}
	if x.Deciding != nil && !sameStatements(got.Deciding, *x.Deciding) {
		var g, w []string
		for _, s := range got.Deciding {
			g = append(g, s.String())
		}
		for _, s := range *x.Deciding {
			w = append(w, s.String())
		}
		out = append(out, Mismatch{Field: "decidingStatements", Got: joined(g), Want: joined(w)})
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// joined writes a list in sorted order, since the order says nothing.
func joined(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// sameStatements reports whether the statements can be paired off. Exact
// expectations are paired before vague ones, which a greedy search needs.
func sameStatements(got []StatementRef, want []ExpectedStatement) bool {
	if len(got) != len(want) {
		return false
	}
	want = slices.Clone(want)
	slices.SortStableFunc(want, func(a, b ExpectedStatement) int { return b.given() - a.given() })
	left := slices.Clone(got)
	for _, w := range want {
		i := slices.IndexFunc(left, w.matches)
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return true
}

func (x ExpectedStatement) given() int {
	n := 0
	for _, s := range []*string{x.Level, x.Policy, x.Sid} {
		if s != nil {
			n++
		}
	}
	if x.Index != nil {
		n++
	}
	return n
}

// Summary is the closing line of a report.
func (r CaseReport) Summary() string { return fmt.Sprintf("%d passed, %d failed", r.Passed, r.Failed) }
