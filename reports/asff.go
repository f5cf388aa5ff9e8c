package reports

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/orgguard/orgguard/orgs/finding"
)

// The limits of BatchImportFindings, in characters where AWS says so. AWS measures
// some of them in bytes, so texts are cut by bytes: what fits so fits either way.
// https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_AwsSecurityFinding.html
// https://docs.aws.amazon.com/securityhub/latest/partnerguide/guidelines-batchimportfindings.html
const (
	asffSchema         = "2018-10-08"
	asffBatch          = 100       // findings in a call
	asffBatchBytes     = 5_000_000 // of 6 MB, with room for how the caller writes JSON
	asffTitle          = 256
	asffDescription    = 1024
	asffRecommendation = 512
	asffGenerator      = 512
	asffAccountName    = 50
	asffResource       = 512
	asffField          = 1023 // "fewer than 1,024"
)

type (
	// asffCall is the input of one call of BatchImportFindings.
	asffCall struct {
		Findings []asffFinding `json:"Findings"`
	}
	asffFinding struct {
		SchemaVersion  string   `json:"SchemaVersion"`
		ID             string   `json:"Id"`
		ProductArn     string   `json:"ProductArn"`
		GeneratorID    string   `json:"GeneratorId"`
		AwsAccountID   string   `json:"AwsAccountId"`
		AwsAccountName string   `json:"AwsAccountName,omitempty"`
		Types          []string `json:"Types"`
		CreatedAt      string   `json:"CreatedAt"`
		UpdatedAt      string   `json:"UpdatedAt"`
		// When it was first and last seen; unknown without a history.
		FirstObservedAt string `json:"FirstObservedAt,omitempty"`
		LastObservedAt  string `json:"LastObservedAt,omitempty"`

		Severity      asffSeverity       `json:"Severity"`
		Title         string             `json:"Title"`
		Description   string             `json:"Description"`
		Remediation   *asffRemediation   `json:"Remediation,omitempty"`
		ProductFields map[string]string  `json:"ProductFields"`
		Resources     []asffThing        `json:"Resources"`
		Compliance    asffCompliance     `json:"Compliance"`
		Workflow      asffWorkflow       `json:"Workflow"`
		RecordState   string             `json:"RecordState"`
		Provider      asffProviderFields `json:"FindingProviderFields"`
	}
	asffSeverity struct {
		Label    string `json:"Label"`
		Original string `json:"Original"`
	}
	asffRemediation struct {
		Recommendation asffRecommend `json:"Recommendation"`
	}
	asffRecommend struct {
		Text string `json:"Text"`
	}
	asffThing struct {
		Type      string      `json:"Type"`
		ID        string      `json:"Id"`
		Partition string      `json:"Partition"`
		Region    string      `json:"Region"`
		Details   asffDetails `json:"Details"`
	}
	asffDetails struct {
		Other map[string]string `json:"Other"`
	}
	asffCompliance struct {
		Status  string       `json:"Status"`
		Reasons []asffReason `json:"StatusReasons"`
	}
	asffReason struct {
		Code        string `json:"ReasonCode"`
		Description string `json:"Description"`
	}
	asffWorkflow struct {
		Status string `json:"Status"`
	}
	asffProviderFields struct {
		Severity asffSeverity `json:"Severity"`
		Types    []string     `json:"Types"`
	}
)

// asffAudit writes an audit for AWS Security Hub: a list of calls of
// BatchImportFindings, each of which is what "aws securityhub batch-import-findings
// --cli-input-json" takes. A call is for one account and Region, because the default
// product may be written to only there and only by that account, and holds no more
// than a call may.
//
// Ids are those of the things that were looked at, so that the next audit's findings
// replace these; with --all, what has been repaired is imported as PASSED.
func asffAudit(w io.Writer, _ Style, a Audit) error {
	ids, title := Identify(a.Findings), titles(a)
	var fs []asffFinding
	for _, i := range asffOrder(a) {
		f, err := asffFindingOf(a, title, a.Findings[i], ids[i])
		if err != nil {
			return err
		}
		fs = append(fs, f)
	}
	calls := []asffCall{}
	err := asffBatches(fs, func(f asffFinding, _ []byte, begins bool) {
		if begins {
			calls = append(calls, asffCall{})
		}
		n := len(calls) - 1
		calls[n].Findings = append(calls[n].Findings, f)
	})
	if err != nil {
		return err
	}
	return writeJSON(w, calls)
}

// asffBatches deals findings out to calls: each is for one product, and holds no more
// than a call may.
func asffBatches(fs []asffFinding, deal func(f asffFinding, text []byte, begins bool)) error {
	place, size, n := "", 0, 0
	for _, f := range fs {
		b, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("write ASFF: %w", err)
		}
		begins := n == 0 || place != f.ProductArn || n == asffBatch || size+len(b) > asffBatchBytes
		if begins {
			place, size, n = f.ProductArn, 0, 0
		}
		size, n = size+len(b), n+1
		deal(f, b, begins)
	}
	return nil
}

// Hub is the Security Hub of one account and Region that keeps the findings of a whole
// organization. The default product takes findings of no other account than the one
// that imports them; so they are that account's, and say in their fields whose they
// are about.
type Hub struct{ Account, Region string }

// HubFinding is a finding as a Hub keeps it.
type HubFinding struct {
	ID      string // as Identify has it
	Finding finding.Finding
	// Over says that it is not open any more: it is archived.
	Over bool
}

// Batches are findings as calls of BatchImportFindings take them, each a finding as
// JSON.
func (h Hub) Batches(a Audit, fs []HubFinding) ([][]json.RawMessage, error) {
	title := titles(a)
	var all []asffFinding
	for _, x := range fs {
		if x.Over && x.Finding.Opens() {
			x.Finding.Status = finding.InSync
		}
		f, err := asffFindingOf(a, title, x.Finding, x.ID)
		if err != nil {
			return nil, err
		}
		about, name := f.AwsAccountID, f.AwsAccountName
		f.AwsAccountID, f.AwsAccountName = h.Account, ""
		f.ProductArn = asffProduct(h.Account, h.Region)
		f.ProductFields["orgguard/Account"] = about
		if name != "" {
			f.ProductFields["orgguard/AccountName"] = name
		}
		if f.Resources[0].Details.Other["Account"] == "" {
			f.Resources[0].Details.Other["Account"] = about
		}
		if x.Over {
			f.RecordState = "ARCHIVED"
		}
		all = append(all, f)
	}
	var out [][]json.RawMessage
	err := asffBatches(all, func(_ asffFinding, text []byte, begins bool) {
		if begins {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], text)
	})
	return out, err
}

// asffProduct is an account's default product.
func asffProduct(account, region string) string {
	return fmt.Sprintf("arn:%s:securityhub:%s:%s:product/%s/default", partitionOf(region), visible(region), account, account)
}

// asffOrder is the order of the findings in which those of one call stand together:
// what is global is imported into a Region that has findings of its own.
func asffOrder(a Audit) []int {
	order := make([]int, len(a.Findings))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		f, g := a.Findings[i], a.Findings[j]
		return cmp.Or(
			cmp.Compare(asffAccount(a, f), asffAccount(a, g)),
			cmp.Compare(asffRegion(a, f), asffRegion(a, g)),
		)
	})
	return order
}

var accountNumber = regexp.MustCompile(`^[0-9]{12}$`)

// asffAccount is the account that a finding is imported into. What is about the
// organization is the management account's.
func asffAccount(a Audit, f finding.Finding) string {
	return cmp.Or(f.Account, a.Organization.ManagementAccount)
}

// asffRegion is the Region that a finding is imported into: for what has none, the
// one where AWS keeps what is global, if the audit covers it, else the first.
func asffRegion(a Audit, f finding.Finding) string {
	if f.Region != finding.Global && f.Region != "" {
		return f.Region
	}
	regions := a.Organization.Regions
	first := "us-east-1"
	if len(regions) > 0 {
		first = regions[0]
	}
	home := map[string]string{"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}[partitionOf(first)]
	if slices.Contains(regions, home) {
		return home
	}
	return first
}

// partitionOf is the partition of a Region.
func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func asffFindingOf(a Audit, title map[string]string, f finding.Finding, id string) (asffFinding, error) {
	account, region := asffAccount(a, f), asffRegion(a, f)
	if !accountNumber.MatchString(account) {
		return asffFinding{}, fmt.Errorf("write ASFF: the account of a finding of %s is %q, and Security Hub takes only numbers of twelve digits",
			f.Control, account)
	}
	expected, err1 := csvJSON(f.Expected)
	actual, err2 := csvJSON(f.Actual)
	if err := errors.Join(err1, err2); err != nil {
		return asffFinding{}, fmt.Errorf("finding %s %s %s: %w", f.Account, f.Region, f.Control, err)
	}
	partition := partitionOf(region)
	status := statusOf(f)
	severity := asffSeverity{Label: "INFORMATIONAL", Original: asffText(cmp.Or(string(f.Severity), "none"), asffField)}
	if status == finding.Drift || status == finding.NotAssessed {
		severity.Label = asffLabel(f.Severity)
	}
	types := []string{"Software and Configuration Checks/AWS Security Best Practices"}
	out := asffFinding{
		SchemaVersion: asffSchema,
		ID:            "orgguard/" + id,
		ProductArn:    asffProduct(account, region),
		GeneratorID:   asffText("orgguard/"+f.Control, asffGenerator),
		AwsAccountID:  account, AwsAccountName: asffText(f.AccountName, asffAccountName),
		Types:     types,
		CreatedAt: asffTime(a.GeneratedAt), UpdatedAt: asffTime(a.GeneratedAt),
		Severity:    severity,
		Title:       asffText(asffHeadline(title, f), asffTitle),
		Description: asffText(cmp.Or(f.Told(), statusWords[status]), asffDescription),
		Compliance: asffCompliance{asffStatus(status), []asffReason{{
			"ORGGUARD_" + strings.ToUpper(string(status)), asffText(cmp.Or(f.Told(), statusWords[status]), asffDescription),
		}}},
		Workflow:    asffWorkflow{"NEW"},
		RecordState: "ACTIVE",
		Provider:    asffProviderFields{severity, types},
		ProductFields: asffFields(map[string]string{
			"orgguard/Control": f.Control, "orgguard/Status": string(status), "orgguard/OUPath": f.OUPath,
			"orgguard/Region": f.Region, "orgguard/Organization": a.Organization.ID, "orgguard/Version": a.ToolVersion,
			"orgguard/CloudFormation": f.CloudFormation, "orgguard/Change": string(f.Change),
		}),
		Resources: []asffThing{{
			Type: "Other", Partition: partition, Region: visible(region),
			ID: asffText(strings.Join([]string{account, region, f.Control, f.Resource}, "/"), asffResource),
			Details: asffDetails{asffFields(map[string]string{
				"AccountName": f.AccountName, "Control": f.Control, "Resource": f.Resource, "Region": f.Region,
				"Expected": expected, "Actual": actual,
			})},
		}},
	}
	if strings.HasPrefix(f.Resource, "arn:") {
		out.Resources[0].ID = asffText(f.Resource, asffResource)
	}
	if !f.FirstSeen.IsZero() {
		out.CreatedAt, out.FirstObservedAt, out.LastObservedAt = asffTime(f.FirstSeen), asffTime(f.FirstSeen), asffTime(a.GeneratedAt)
	}
	if e := f.Exemption; e != nil {
		for k, v := range asffFields(map[string]string{
			"orgguard/ExemptionReason": e.Reason, "orgguard/ExemptionOwner": e.Owner, "orgguard/ExemptionUntil": e.Until,
			"orgguard/ExemptionExpired": strconv.FormatBool(e.Expired),
		}) {
			out.ProductFields[k] = v
		}
	}
	if status == finding.Exempt {
		out.Workflow.Status = "SUPPRESSED"
	}
	if fix := asffText(f.Fix, asffRecommendation); fix != "" {
		out.Remediation = &asffRemediation{asffRecommend{fix}}
	}
	return out, nil
}

// asffHeadline says what has to hold and what it is about.
func asffHeadline(title map[string]string, f finding.Finding) string {
	what := cmp.Or(title[f.Control], f.Control)
	if f.Resource != "" {
		what += ": " + f.Resource
	}
	return what
}

func asffLabel(s finding.Severity) string {
	switch s {
	case finding.Critical, finding.High, finding.Medium, finding.Low:
		return strings.ToUpper(string(s))
	}
	return "INFORMATIONAL"
}

// asffStatus is a status in Security Hub's words: WARNING is for what it could not be
// told enough about.
func asffStatus(s finding.Status) string {
	switch s {
	case finding.Drift:
		return "FAILED"
	case finding.InSync:
		return "PASSED"
	case finding.NotApplicable:
		return "NOT_AVAILABLE"
	}
	return "WARNING"
}

func asffTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// asffFields are fields without those that are empty, which the call refuses.
func asffFields(m map[string]string) map[string]string {
	for k, v := range m {
		if m[k] = asffText(v, asffField); m[k] == "" {
			delete(m, k)
		}
	}
	return m
}

// asffText cuts a text to a number of bytes, between two characters. What is blank
// is empty: the call takes no text without a character that shows.
func asffText(s string, limit int) string {
	s = strings.TrimSpace(visible(s))
	if len(s) <= limit {
		return s
	}
	const note = "…"
	keep := limit - len(note)
	for keep > 0 && !utf8.RuneStart(s[keep]) {
		keep--
	}
	return s[:keep] + note
}
