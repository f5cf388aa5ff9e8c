package reports

import (
	"cmp"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs/finding"
)

// SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/.
const (
	sarifVersion = "2.1.0"
	sarifSchema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	homePage     = "https://github.com/orgguard/orgguard"

	// sarifFile is where a result is shown in services that know only files,
	// GitHub's code scanning among them, which refuse a result without one: the
	// file that asks for what was not found. Where a thing really is stands in the
	// logical locations.
	sarifFile = "orgguard.yaml"
	// sarifFingerprint names how fingerprints are made; see identities.
	sarifFingerprint = "orgguardFinding/v1"
)

type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Automation  sarifAutomation   `json:"automationDetails"`
		Results     []sarifResult     `json:"results"`
		Properties  map[string]any    `json:"properties"`
	}
	sarifAutomation struct {
		ID string `json:"id"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string         `json:"id"`
		ShortDescription sarifText      `json:"shortDescription"`
		FullDescription  sarifText      `json:"fullDescription"`
		Help             sarifText      `json:"help"`
		Configuration    sarifLevel     `json:"defaultConfiguration"`
		Properties       map[string]any `json:"properties"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifInvocation struct {
		ExecutionSuccessful bool                `json:"executionSuccessful"`
		EndTimeUTC          string              `json:"endTimeUtc,omitempty"`
		Notifications       []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Kind         string             `json:"kind"`
		Level        string             `json:"level"`
		Baseline     string             `json:"baselineState,omitempty"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
		Properties   map[string]any     `json:"properties"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification,omitempty"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name string `json:"name"`
		Path string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
)

// sarifAudit writes an audit for services that show what tools found, among them
// GitHub's code scanning. Controls are its rules. A drift is a result that fails, an
// exemption one that is suppressed, and what nobody could look at an open one; that
// is said a second time as a notification, once per cause, because services show
// only what fails.
func sarifAudit(w io.Writer, _ Style, a Audit) error {
	rules, index := sarifRules(a)
	ids := Identify(a.Findings)
	results := make([]sarifResult, len(a.Findings))
	for i, f := range a.Findings {
		results[i] = sarifResultOf(a, f, ids[i])
		results[i].RuleIndex = index[f.Control]
		if a.Since != nil {
			results[i].Baseline = sarifBaseline(f)
		}
	}
	return writeJSON(w, sarifLog{sarifSchema, sarifVersion, []sarifRun{{
		Tool: sarifTool{sarifDriver{
			Name: "orgguard", Version: a.ToolVersion, InformationURI: homePage, Rules: rules,
		}},
		Invocations: []sarifInvocation{{
			ExecutionSuccessful: !a.Interrupted && a.Summary.NotAssessed == 0,
			EndTimeUTC:          rfc3339(a.GeneratedAt),
			Notifications:       sarifNotifications(a),
		}},
		// A service replaces the results of the last run of the same id.
		Automation: sarifAutomation{"orgguard/audit/" + visible(a.Organization.ID) + "/"},
		Results:    results,
		Properties: sarifRunProperties(a),
	}}})
}

func sarifRunProperties(a Audit) map[string]any {
	p := map[string]any{"organization": a.Organization, "summary": a.Summary}
	if len(a.Notes) > 0 {
		p["notes"] = a.Notes
	}
	if a.Since != nil {
		p["since"] = map[string]any{"generated_at": a.Since.GeneratedAt, "changes": a.Since.Changes}
	}
	return p
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// sarifRules are the controls that the findings are about, and where each stands.
func sarifRules(a Audit) ([]sarifRule, map[string]int) {
	title := titles(a)
	severity := map[string]finding.Severity{}
	for _, f := range a.Findings {
		if worst, ok := severity[f.Control]; !ok || f.Severity.Rank() < worst.Rank() {
			severity[f.Control] = f.Severity
		}
	}
	scopes := map[string]string{}
	for _, c := range a.Controls {
		scopes[c.ID] = c.Scope
		if _, found := severity[c.ID]; found {
			severity[c.ID] = c.Severity
		}
	}
	rules, index := []sarifRule{}, map[string]int{}
	for _, f := range a.Findings {
		if _, ok := index[f.Control]; ok {
			continue
		}
		index[f.Control] = -1
	}
	for _, id := range sortedKeys(index) {
		index[id] = len(rules)
		what := cmp.Or(title[id], "the control "+id)
		full := what + "."
		if s := scopes[id]; s != "" {
			full = what + ". It lives in " + s + "."
		}
		help := "What is wrong stands in each result, with what to type. To see and to make all the changes: orgguard plan, then orgguard rollout."
		rules = append(rules, sarifRule{
			ID:               visible(id),
			ShortDescription: sarifText{Text: Safe(what)},
			FullDescription:  sarifText{Text: Safe(full)},
			Help: sarifText{
				Text:     Safe(full) + " " + help,
				Markdown: "**" + md(full) + "** " + md(help),
			},
			Configuration: sarifLevel{sarifSeverity(severity[id])},
			Properties: map[string]any{
				"tags": []string{"security", "aws", "compliance"}, "precision": "very-high",
				"security-severity": securitySeverity(severity[id]),
			},
		})
	}
	return rules, index
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func sarifResultOf(a Audit, f finding.Finding, id string) sarifResult {
	r := sarifResult{
		RuleID: visible(f.Control), Level: "none",
		Message:      sarifText{Text: sarifMessage(sentence(f))},
		Locations:    []sarifLocation{sarifWhere(a, f)},
		Fingerprints: map[string]string{sarifFingerprint: id},
		Properties:   sarifProperties(f),
	}
	switch statusOf(f) {
	case finding.Drift:
		r.Kind, r.Level = "fail", sarifSeverity(f.Severity)
	case finding.Exempt:
		r.Kind, r.Level = "fail", sarifSeverity(f.Severity)
		r.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: visible(f.Told())}}
	case finding.InSync:
		r.Kind = "pass"
	case finding.NotApplicable:
		r.Kind = "notApplicable"
	default:
		r.Kind = "open" // the standard's word for: could not be decided
	}
	return r
}

// sarifBaseline is how a result stands to the run before. The standard wants it of
// all results of a run or of none (3.27.24).
func sarifBaseline(f finding.Finding) string {
	switch f.Change {
	case finding.New:
		return "new"
	case finding.Worse, finding.Accepted:
		return "updated"
	}
	return "unchanged"
}

func sarifProperties(f finding.Finding) map[string]any {
	p := map[string]any{
		"account": f.Account, "accountName": f.AccountName, "ouPath": f.OUPath, "region": f.Region,
		"resource": f.Resource, "status": f.Status, "severity": f.Severity, "reason": f.Reason,
	}
	if f.Expected != nil {
		p["expected"] = f.Expected
	}
	if f.Actual != nil {
		p["actual"] = f.Actual
	}
	if f.Fix != "" {
		p["fix"] = f.Fix
	}
	if f.CloudFormation != "" {
		p["cloudformation"] = f.CloudFormation
	}
	if f.Exemption != nil {
		p["exemption"] = f.Exemption
	}
	if !f.FirstSeen.IsZero() {
		p["firstSeen"] = rfc3339(f.FirstSeen)
	}
	return p
}

// sarifWhere is the resource, the Region and the account, the nearest first.
func sarifWhere(a Audit, f finding.Finding) sarifLocation {
	account := cmp.Or(f.Account, "organization")
	path := strings.Join([]string{cmp.Or(a.Organization.ID, "organization"), account}, "/")
	logical := []sarifLogical{
		{cmp.Or(f.Resource, f.Control), path + "/" + f.Region + "/" + f.Control + "/" + f.Resource, "resource"},
		{f.Region, path + "/" + f.Region, "region"},
		{cmp.Or(f.AccountName, account), path, "account"},
	}
	for i := range logical {
		logical[i].Name, logical[i].Path = visible(logical[i].Name), visible(logical[i].Path)
	}
	return sarifLocation{
		Physical: &sarifPhysical{sarifArtifact{sarifFile}, sarifRegion{1}},
		Logical:  logical,
	}
}

// sarifNotifications say what could not be looked at, once per account and cause.
func sarifNotifications(a Audit) []sarifNotification {
	out := []sarifNotification{}
	if a.Interrupted {
		out = append(out, sarifNotification{Level: "error", Message: sarifText{Text: "the audit was stopped before the end"}})
	}
	for _, s := range sections(a.Findings) {
		if s.status != finding.NotAssessed {
			continue
		}
		for _, g := range s.groups {
			for _, r := range g.rows {
				text := groupHeading(g) + ", " + r.region + ", " + r.control + ": not assessed: " + r.reason
				if r.fix != "" {
					text += ". " + r.fix
				}
				account := visible(cmp.Or(g.id, "organization"))
				out = append(out, sarifNotification{
					Level: "error", Message: sarifText{Text: sarifMessage(text)},
					Locations: []sarifLocation{{Logical: []sarifLogical{{
						visible(cmp.Or(g.name, account)), visible(cmp.Or(a.Organization.ID, "organization")) + "/" + account, "account",
					}}}},
				})
			}
		}
	}
	return out
}

func sarifSeverity(s finding.Severity) string {
	switch s {
	case finding.Critical, finding.High:
		return "error"
	case finding.Medium:
		return "warning"
	}
	return "note"
}

// securitySeverity is a severity on the scale of GitHub's code scanning: above 9.0
// critical, from 7.0 high, from 4.0 medium.
// https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
func securitySeverity(s finding.Severity) string {
	switch s {
	case finding.Critical:
		return "9.5"
	case finding.High:
		return "8.0"
	case finding.Medium:
		return "5.5"
	}
	return "2.0"
}

var sarifPlaceholder = regexp.MustCompile(`\{(\d+)\}`)

// sarifMessage writes a text as a message. In messages, "[text](address)" is a link
// and "{0}" stands for an argument (3.11.5 and 3.11.6 of the standard), so what looks
// like one is escaped; what does not is left alone, because not every viewer takes
// the escapes away again.
func sarifMessage(s string) string {
	s = sarifPlaceholder.ReplaceAllString(Safe(s), `{{$1}}`)
	if strings.Contains(s, "](") {
		s = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`).Replace(s)
	}
	return s
}
