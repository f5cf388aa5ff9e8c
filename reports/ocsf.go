package reports

import (
	"cmp"
	"io"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs/finding"
)

// OCSF's class Compliance Finding: https://schema.ocsf.io/1.3.0/classes/compliance_finding.
// 1.3.0 is the first version with "resources"; later versions of 1 take it too.
const (
	ocsfVersion  = "1.3.0"
	ocsfCategory = 2    // Findings
	ocsfClass    = 2003 // Compliance Finding
	ocsfCreate   = 1    // the activity
	ocsfOther    = 99   // of any enumeration
	ocsfAWS      = 10   // type of account
)

type (
	ocsfFinding struct {
		ActivityID   int              `json:"activity_id"`
		ActivityName string           `json:"activity_name"`
		CategoryUID  int              `json:"category_uid"`
		CategoryName string           `json:"category_name"`
		ClassUID     int              `json:"class_uid"`
		ClassName    string           `json:"class_name"`
		TypeUID      int              `json:"type_uid"`
		TypeName     string           `json:"type_name"`
		Time         int64            `json:"time"`
		SeverityID   int              `json:"severity_id"`
		Severity     string           `json:"severity"`
		StatusID     int              `json:"status_id"`
		Status       string           `json:"status"`
		Message      string           `json:"message"`
		Metadata     ocsfMetadata     `json:"metadata"`
		Cloud        ocsfCloud        `json:"cloud"`
		Info         ocsfInfo         `json:"finding_info"`
		Compliance   ocsfCompliance   `json:"compliance"`
		Resources    []ocsfResource   `json:"resources"`
		Remediation  *ocsfRemediation `json:"remediation,omitempty"`
		Unmapped     map[string]any   `json:"unmapped,omitempty"`
	}
	ocsfMetadata struct {
		Version  string      `json:"version"`
		Profiles []string    `json:"profiles"`
		Product  ocsfProduct `json:"product"`
	}
	ocsfProduct struct {
		Name    string `json:"name"`
		Vendor  string `json:"vendor_name"`
		UID     string `json:"uid"`
		Version string `json:"version,omitempty"`
	}
	ocsfCloud struct {
		Provider string      `json:"provider"`
		Region   string      `json:"region"`
		Account  ocsfAccount `json:"account"`
		Org      *ocsfOrg    `json:"org,omitempty"`
	}
	ocsfAccount struct {
		UID    string `json:"uid"`
		Name   string `json:"name,omitempty"`
		TypeID int    `json:"type_id"`
		Type   string `json:"type"`
	}
	ocsfOrg struct {
		UID string `json:"uid,omitempty"`
		OU  string `json:"ou_name,omitempty"`
	}
	ocsfInfo struct {
		UID     string   `json:"uid"`
		Title   string   `json:"title"`
		Desc    string   `json:"desc,omitempty"`
		Created int64    `json:"created_time"`
		First   int64    `json:"first_seen_time,omitempty"`
		Types   []string `json:"types"`
	}
	ocsfCompliance struct {
		Control   string   `json:"control"`
		Standards []string `json:"standards"`
		StatusID  int      `json:"status_id"`
		Status    string   `json:"status"`
		Code      string   `json:"status_code"`
		Detail    string   `json:"status_detail,omitempty"`
	}
	ocsfResource struct {
		UID       string `json:"uid"`
		Name      string `json:"name"`
		Type      string `json:"type"`
		Region    string `json:"region"`
		Partition string `json:"cloud_partition"`
	}
	ocsfRemediation struct {
		Desc string `json:"desc"`
	}
)

// ocsfAudit writes an audit as a list of OCSF events of the class Compliance
// Finding, one per finding, for data lakes and SIEMs. What the class has no place
// for, expected and actual values, stands under "unmapped".
func ocsfAudit(w io.Writer, _ Style, a Audit) error {
	ids, title := Identify(a.Findings), titles(a)
	out := make([]ocsfFinding, len(a.Findings))
	for i, f := range a.Findings {
		out[i] = ocsfFindingOf(a, f, ids[i], cmp.Or(title[f.Control], f.Control))
	}
	return writeJSON(w, out)
}

func ocsfFindingOf(a Audit, f finding.Finding, id, title string) ocsfFinding {
	status := statusOf(f)
	account := visible(cmp.Or(f.Account, a.Organization.ManagementAccount, "organization"))
	region := visible(cmp.Or(f.Region, finding.Global))
	e := ocsfFinding{
		ActivityID: ocsfCreate, ActivityName: "Create",
		CategoryUID: ocsfCategory, CategoryName: "Findings",
		ClassUID: ocsfClass, ClassName: "Compliance Finding",
		TypeUID: ocsfClass*100 + ocsfCreate, TypeName: "Compliance Finding: Create",
		Time:    ocsfTime(a.GeneratedAt),
		Message: Safe(sentence(f)),
		Metadata: ocsfMetadata{ocsfVersion, []string{"cloud"}, ocsfProduct{
			Name: "orgguard", Vendor: "orgguard", UID: "orgguard", Version: a.ToolVersion,
		}},
		Cloud: ocsfCloud{"AWS", region, ocsfAccount{account, visible(f.AccountName), ocsfAWS, "AWS Account"}, nil},
		Info: ocsfInfo{
			UID: id, Title: Safe(title), Desc: visible(f.Told()), Created: ocsfTime(a.GeneratedAt),
			Types: []string{"Software and Configuration Checks"},
		},
		Compliance: ocsfCompliance{
			Control: visible(f.Control), Standards: []string{"orgguard baseline"},
			Code: string(status), Detail: visible(f.Told()),
		},
		Resources: []ocsfResource{{
			UID:  visible(strings.Join([]string{account, region, f.Control, f.Resource}, "/")),
			Name: visible(cmp.Or(f.Resource, f.Control)), Type: "AWS", Region: region,
			Partition: partitionOf(asffRegion(a, f)),
		}},
	}
	e.SeverityID, e.Severity = ocsfSeverity(status, f.Severity)
	e.StatusID, e.Status = ocsfStatus(status)
	e.Compliance.StatusID, e.Compliance.Status = ocsfVerdict(status)
	if a.Organization.ID != "" || f.OUPath != "" {
		e.Cloud.Org = &ocsfOrg{visible(a.Organization.ID), visible(f.OUPath)}
	}
	if f.Fix != "" {
		e.Remediation = &ocsfRemediation{visible(f.Fix)}
	}
	if !f.FirstSeen.IsZero() {
		e.Info.First = ocsfTime(f.FirstSeen)
	}
	e.Unmapped = ocsfUnmapped(f)
	return e
}

// ocsfUnmapped is what the class has no place for; nil when there is nothing.
func ocsfUnmapped(f finding.Finding) map[string]any {
	out := map[string]any{}
	if f.Expected != nil || f.Actual != nil {
		out["expected"], out["actual"] = f.Expected, f.Actual
	}
	if f.CloudFormation != "" {
		out["cloudformation"] = f.CloudFormation
	}
	if f.Exemption != nil {
		out["exemption"] = f.Exemption
	}
	if f.Change != "" {
		out["change"] = f.Change
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// ocsfTime is in milliseconds. A report without a date has none before 1970.
func ocsfTime(t time.Time) int64 { return max(0, t.UnixMilli()) }

// ocsfSeverity is how much it matters; what is as it should be is for information.
func ocsfSeverity(status finding.Status, s finding.Severity) (int, string) {
	if status != finding.Drift && status != finding.NotAssessed {
		return 1, "Informational"
	}
	switch s {
	case finding.Low:
		return 2, "Low"
	case finding.Medium:
		return 3, "Medium"
	case finding.High:
		return 4, "High"
	case finding.Critical:
		return 5, "Critical"
	}
	return 0, "Unknown"
}

// ocsfStatus is what has become of the finding.
func ocsfStatus(s finding.Status) (int, string) {
	switch s {
	case finding.Exempt:
		return 3, "Suppressed"
	case finding.InSync:
		return 4, "Resolved"
	case finding.NotApplicable:
		return ocsfOther, "Not Applicable"
	}
	return 1, "New"
}

// ocsfVerdict is what the check came to. Warning is the class's word for a check
// that had too little to go by.
func ocsfVerdict(s finding.Status) (int, string) {
	switch s {
	case finding.Drift:
		return 3, "Fail"
	case finding.NotAssessed:
		return 2, "Warning"
	case finding.InSync:
		return 1, "Pass"
	case finding.Exempt:
		return ocsfOther, "Exempt"
	}
	return ocsfOther, "Not Applicable"
}
