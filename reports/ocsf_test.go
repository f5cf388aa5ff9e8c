package reports

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/orgguard/orgguard/orgs/finding"
)

// What https://schema.ocsf.io/1.3.0/classes/compliance_finding?profiles=cloud asks for:
// the required members of the class and of the objects in it, by path.
var ocsfRequired = []string{
	"activity_id", "category_uid", "class_uid", "type_uid", "time", "severity_id",
	"metadata", "metadata.version", "metadata.product", "metadata.product.vendor_name", "metadata.product.name",
	"cloud", "cloud.provider", "compliance", "compliance.standards", "finding_info", "finding_info.title", "finding_info.uid",
}

// ocsfKnown are all the members of the class and its objects that may be there.
var ocsfKnown = map[string][]string{
	"": {
		"activity_id", "activity_name", "category_uid", "category_name", "class_uid", "class_name", "type_uid", "type_name", "time",
		"severity_id", "severity", "status_id", "status", "message", "metadata", "cloud", "finding_info", "compliance", "resources",
		"remediation", "unmapped",
	},
	"metadata": {"version", "profiles", "product"}, "metadata.product": {"name", "vendor_name", "uid", "version"},
	"cloud": {"provider", "region", "account", "org"}, "cloud.account": {"uid", "name", "type_id", "type"}, "cloud.org": {"uid", "ou_name"},
	"finding_info": {"uid", "title", "desc", "created_time", "first_seen_time", "types"},
	"compliance":   {"control", "standards", "status_id", "status", "status_code", "status_detail"},
	"resources":    {"uid", "name", "type", "region", "cloud_partition"}, "remediation": {"desc"},
}

// ocsfEnums are the captions that the class gives the values of its enumerations.
var ocsfEnums = map[string]map[int]string{
	"severity":          {0: "Unknown", 1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical", 6: "Fatal"},
	"status":            {0: "Unknown", 1: "New", 2: "In Progress", 3: "Suppressed", 4: "Resolved"},
	"compliance.status": {0: "Unknown", 1: "Pass", 2: "Warning", 3: "Fail"},
	"activity":          {0: "Unknown", 1: "Create", 2: "Update", 3: "Close"},
}

func TestOCSFIsOfItsClass(t *testing.T) {
	for _, name := range []string{"audit-drift.ocsf", "audit-hostile.ocsf", "audit-empty.ocsf", "audit-large.ocsf", "audit-clean.ocsf", "audit-since.ocsf"} {
		var events []map[string]any
		if err := json.Unmarshal(mustWrite(t, name, Style{}), &events); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ids := map[string]bool{}
		for _, e := range events {
			for _, path := range ocsfRequired {
				if v := ocsfAt(e, path); v == nil || v == "" {
					t.Fatalf("%s: no %s", name, path)
				}
			}
			ocsfWalk(t, name, "", e)
			if e["class_uid"] != 2003.0 || e["category_uid"] != 2.0 || e["type_uid"] != 200301.0 || e["activity_id"] != 1.0 {
				t.Errorf("%s: class %v, category %v, type %v, activity %v", name, e["class_uid"], e["category_uid"], e["type_uid"], e["activity_id"])
			}
			for path, captions := range ocsfEnums {
				id, caption := ocsfAt(e, path+"_id").(float64), ocsfAt(e, path)
				if path == "activity" {
					caption = e["activity_name"]
				}
				if want, ok := captions[int(id)]; id != ocsfOther && (!ok || caption != want) {
					t.Errorf("%s: %s %v is %v", name, path, id, caption)
				}
			}
			if id := ocsfAt(e, "finding_info.uid").(string); ids[id] {
				t.Errorf("%s: %s twice", name, id)
			} else {
				ids[id] = true
			}
		}
	}
}

func ocsfAt(v any, path string) any {
	for step := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[step]
	}
	return v
}

func ocsfWalk(t *testing.T, name, path string, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		known := ocsfKnown[path]
		for k, w := range v {
			if !slices.Contains(known, k) {
				t.Errorf("%s: the class has no %s.%s", name, path, k)
			}
			if k != "unmapped" {
				ocsfWalk(t, name, strings.TrimPrefix(path+"."+k, "."), w)
			}
		}
	case []any:
		for _, w := range v {
			ocsfWalk(t, name, path, w)
		}
	case string:
		if v == "" {
			t.Errorf("%s: %s is empty", name, path)
		}
	}
}

func TestOCSFSaysWhatBecameOfEachFinding(t *testing.T) {
	for _, tt := range []struct {
		name                        string
		status                      finding.Status
		severity, state, compliance int
	}{
		{"drift fails", finding.Drift, 5, 1, 3},
		{"what nobody could look at is a warning", finding.NotAssessed, 5, 1, 2},
		{"what is exempt is suppressed", finding.Exempt, 1, 3, 99},
		{"what is in sync passes", finding.InSync, 1, 4, 1},
		{"what does not apply is other", finding.NotApplicable, 1, 99, 99},
		{"an unknown status is no pass", "fine", 5, 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := ocsfFindingOf(Audit{}, finding.Finding{Account: "300000000001", Region: "us-east-1", Control: "c", Status: tt.status, Severity: finding.Critical}, "id", "c")
			if e.SeverityID != tt.severity || e.StatusID != tt.state || e.Compliance.StatusID != tt.compliance {
				t.Errorf("severity %d, status %d, compliance %d", e.SeverityID, e.StatusID, e.Compliance.StatusID)
			}
		})
	}
}
