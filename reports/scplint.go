package reports

import (
	"fmt"
	"io"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/scp"
)

// LintSchema names the JSON format of the findings of the policy linter.
const LintSchema = "orgguard.dev/scp-lint/v1"

// lintSARIF is the format in which code hosts show findings beside the code.
const lintSARIF Format = "sarif"

// LintFormats lists the formats the findings of the policy linter can be
// written in.
func LintFormats() []Format { return []Format{Table, JSON, lintSARIF} }

// WriteLint writes the findings of the policy linter.
func WriteLint(w io.Writer, f Format, findings []scp.LintFinding) error {
	switch f {
	case Table:
		return tableLint(w, findings)
	case JSON:
		return jsonLint(w, findings)
	case lintSARIF:
		return sarifOfLint(w, findings)
	}
	return fmt.Errorf("cannot write lint findings as %q: they can be written as %s", string(f), enumerate(names(LintFormats())))
}

// lintCounts counts the errors and the warnings.
func lintCounts(findings []scp.LintFinding) (errors, warnings int) {
	for _, f := range findings {
		if f.Severity == scp.SeverityError {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}

func jsonLint(w io.Writer, findings []scp.LintFinding) error {
	if findings == nil {
		findings = []scp.LintFinding{}
	}
	errors, warnings := lintCounts(findings)
	return writeJSON(w, struct {
		Schema   string            `json:"schema"`
		Errors   int               `json:"errors"`
		Warnings int               `json:"warnings"`
		Findings []scp.LintFinding `json:"findings"`
	}{LintSchema, errors, warnings, findings})
}

// tableLint writes findings as compilers do, so that editors find the places,
// with the fix beneath. Names and values from policies pass Safe.
func tableLint(w io.Writer, findings []scp.LintFinding) error {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s:%d:%d: %s %s: %s\n", Safe(f.File), f.Line, f.Column, f.Severity, Safe(f.Rule), Safe(f.Message))
		if f.Fix != "" {
			fmt.Fprintf(&b, "    fix: %s\n", Safe(f.Fix))
		}
	}
	if len(findings) > 0 {
		b.WriteByte('\n')
	}
	errors, warnings := lintCounts(findings)
	fmt.Fprintf(&b, "%s, %s\n", lintCount(errors, "error"), lintCount(warnings, "warning"))
	_, err := io.WriteString(w, b.String())
	return err
}

func lintCount(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// The parts of SARIF 2.1.0 that code hosts read.
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type (
	lintSarifLog struct {
		Schema  string         `json:"$schema"`
		Version string         `json:"version"`
		Runs    []lintSarifRun `json:"runs"`
	}
	lintSarifRun struct {
		Tool       lintSarifTool     `json:"tool"`
		ColumnKind string            `json:"columnKind"`
		Results    []lintSarifResult `json:"results"`
	}
	lintSarifTool struct {
		Driver lintSarifDriver `json:"driver"`
	}
	lintSarifDriver struct {
		Name  string          `json:"name"`
		Rules []lintSarifRule `json:"rules"`
	}
	lintSarifRule struct {
		ID      string          `json:"id"`
		Short   lintSarifText   `json:"shortDescription"`
		Full    lintSarifText   `json:"fullDescription"`
		Help    lintSarifText   `json:"help"`
		HelpURI string          `json:"helpUri"`
		Config  lintSarifConfig `json:"defaultConfiguration"`
	}
	lintSarifConfig struct {
		Level string `json:"level"`
	}
	lintSarifText struct {
		Text string `json:"text"`
	}
	lintSarifResult struct {
		RuleID    string              `json:"ruleId"`
		RuleIndex int                 `json:"ruleIndex"`
		Level     string              `json:"level"`
		Message   lintSarifText       `json:"message"`
		Locations []lintSarifLocation `json:"locations"`
	}
	lintSarifLocation struct {
		Physical lintSarifPhysical `json:"physicalLocation"`
	}
	lintSarifPhysical struct {
		Artifact lintSarifArtifact `json:"artifactLocation"`
		Region   lintSarifRegion   `json:"region"`
	}
	lintSarifArtifact struct {
		URI string `json:"uri"`
	}
	lintSarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
)

func sarifOfLint(w io.Writer, findings []scp.LintFinding) error {
	run := lintSarifRun{ColumnKind: "unicodeCodePoints", Results: []lintSarifResult{}}
	run.Tool.Driver.Name = "orgguard"
	rules := scp.Rules()
	for _, r := range rules {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, lintSarifRule{
			ID: r.ID, Short: lintSarifText{r.Title}, Full: lintSarifText{r.Why}, HelpURI: r.Link, Config: lintSarifConfig{lintSarifLevel(r.Severity)},
			Help: lintSarifText{r.Why + "\nFix: " + r.Fix + "\nInstead of: " + r.Bad + "\nWrite: " + r.Good},
		})
	}
	for _, f := range findings {
		text := visible(f.Message)
		if f.Fix != "" {
			text += " (fix: " + visible(f.Fix) + ")"
		}
		run.Results = append(run.Results, lintSarifResult{
			RuleID: f.Rule, RuleIndex: slices.IndexFunc(rules, func(r scp.Rule) bool { return r.ID == f.Rule }),
			Level: lintSarifLevel(f.Severity), Message: lintSarifText{text},
			Locations: []lintSarifLocation{{lintSarifPhysical{lintSarifArtifact{fileURI(f.File)}, lintSarifRegion{max(f.Line, 1), max(f.Column, 1)}}}},
		})
	}
	return writeJSON(w, lintSarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []lintSarifRun{run},
	})
}

func lintSarifLevel(s scp.Severity) string {
	if s == scp.SeverityError {
		return "error"
	}
	return "warning"
}

// fileURI makes the reference to a file that SARIF asks for: relative paths
// stay relative to the repository.
func fileURI(file string) string {
	file = path.Clean(filepath.ToSlash(file))
	u := url.URL{Path: file}
	if strings.HasPrefix(file, "/") {
		u.Scheme = "file"
	}
	return u.String()
}
