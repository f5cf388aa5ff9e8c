package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/finding"
)

// asffLimits are those of API_AwsSecurityFinding, by the path of a member.
var asffLimits = map[string]int{
	"Id": 512, "ProductArn": 2048, "GeneratorId": 512, "AwsAccountName": 50, "Title": 256, "Description": 1024,
	"Remediation.Recommendation.Text": 512, "Resources.Id": 512, "Resources.Type": 256, "Resources.Region": 16,
}

// asffRequired are the members that every finding has to have.
var asffRequired = []string{
	"SchemaVersion", "Id", "ProductArn", "GeneratorId", "AwsAccountId", "CreatedAt", "UpdatedAt", "Title", "Description", "Resources",
}

// asffEnums are the values that members may have.
var asffEnums = map[string][]string{
	"Severity.Label":                       {"INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"},
	"FindingProviderFields.Severity.Label": {"INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"},
	"Compliance.Status":                    {"PASSED", "WARNING", "FAILED", "NOT_AVAILABLE"},
	"Workflow.Status":                      {"NEW", "NOTIFIED", "RESOLVED", "SUPPRESSED"},
	"RecordState":                          {"ACTIVE", "ARCHIVED"},
	"Resources.Partition":                  {"aws", "aws-cn", "aws-us-gov"},
}

func TestASFFKeepsToTheLimitsOfTheCall(t *testing.T) {
	audits := map[string]Audit{"drift": driftAudit(), "hostile": hostileAudit(), "large": largeAudit(), "all": allAudit(), "empty": {}}
	one := Audit{Organization: testOrganization, GeneratedAt: generated}
	for i := range 450 { // of one account and Region: more than a call takes
		one.Findings = append(one.Findings, finding.Finding{
			Account: "300000000001", Region: "us-east-1", Control: "c", Resource: fmt.Sprint(i), Status: finding.Drift, Severity: finding.High,
			Reason: strings.Repeat("日本語", 500),
		})
	}
	audits["one account"] = one
	for name, a := range audits {
		var b bytes.Buffer
		if err := Write(&b, ASFF, Style{}, a); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var calls []struct{ Findings []map[string]any }
		if err := json.Unmarshal(b.Bytes(), &calls); err != nil {
			t.Fatal(err)
		}
		ids, total := map[string]bool{}, 0
		for i, c := range calls {
			if n := len(c.Findings); n < 1 || n > 100 {
				t.Errorf("%s: call %d has %d findings", name, i, n)
			}
			arn := c.Findings[0]["ProductArn"]
			for _, f := range c.Findings {
				total++
				raw, err := json.Marshal(f)
				if err != nil {
					t.Fatal(err)
				}
				if len(raw) > 240_000 {
					t.Errorf("%s: a finding of %d bytes", name, len(raw))
				}
				for _, m := range asffRequired {
					if f[m] == nil {
						t.Errorf("%s: no %s", name, m)
					}
				}
				if f["ProductArn"] != arn {
					t.Errorf("%s: call %d is for %s and %s", name, i, arn, f["ProductArn"])
				}
				if want := fmt.Sprintf(":%s:product/%[1]s/default", f["AwsAccountId"]); !strings.HasSuffix(arn.(string), want) {
					t.Errorf("%s: %s is not the product of %s", name, arn, f["AwsAccountId"])
				}
				if id := f["Id"].(string); ids[id] {
					t.Errorf("%s: %s twice", name, id)
				} else {
					ids[id] = true
				}
				asffWalk(t, name, "", f)
			}
		}
		if total != len(a.Findings) {
			t.Errorf("%s: %d of %d findings", name, total, len(a.Findings))
		}
	}
}

var asffTimes = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

// asffWalk looks at every text of a finding.
func asffWalk(t *testing.T, name, path string, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for k, w := range v {
			asffWalk(t, name, strings.TrimPrefix(path+"."+k, "."), w)
		}
	case []any:
		if len(v) == 0 {
			t.Errorf("%s: %s is empty", name, path)
		}
		for _, w := range v {
			asffWalk(t, name, path, w)
		}
	case string:
		limit, ok := asffLimits[path]
		if !ok {
			limit = 1024
		}
		if n := len(v); n > limit {
			t.Errorf("%s: %s has %d of %d bytes", name, path, n, limit)
		}
		if strings.TrimSpace(v) == "" {
			t.Errorf("%s: %s is blank", name, path)
		}
		if !utf8.ValidString(v) {
			t.Errorf("%s: %s is cut within a character", name, path)
		}
		if enum := asffEnums[path]; enum != nil && !slices.Contains(enum, v) {
			t.Errorf("%s: %s is %s", name, path, v)
		}
		if path == "AwsAccountId" && !accountNumber.MatchString(v) {
			t.Errorf("%s: the account %q", name, v)
		}
		if strings.HasSuffix(path, "edAt") && !asffTimes.MatchString(v) {
			t.Errorf("%s: %s is %s", name, path, v)
		}
	}
}

func TestASFFSaysWhatBecameOfEachFinding(t *testing.T) {
	for _, tt := range []struct {
		name                        string
		status                      finding.Status
		compliance, label, workflow string
	}{
		{"drift has failed", finding.Drift, "FAILED", "HIGH", "NEW"},
		{"what nobody could look at is a warning as severe", finding.NotAssessed, "WARNING", "HIGH", "NEW"},
		{"what is exempt is suppressed", finding.Exempt, "WARNING", "INFORMATIONAL", "SUPPRESSED"},
		{"what is in sync has passed", finding.InSync, "PASSED", "INFORMATIONAL", "NEW"},
		{"what does not apply is not available", finding.NotApplicable, "NOT_AVAILABLE", "INFORMATIONAL", "NEW"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := asffFindingOf(Audit{}, nil, finding.Finding{Account: "300000000001", Region: "us-east-1", Control: "c", Status: tt.status, Severity: finding.High}, "id")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tt.compliance, tt.label, tt.label, tt.workflow},
				[]string{f.Compliance.Status, f.Severity.Label, f.Provider.Severity.Label, f.Workflow.Status}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestASFFPutsWhatIsGlobalWhereItsPartitionDoes(t *testing.T) {
	for _, tt := range []struct {
		regions []string
		region  string
		want    string
	}{
		{[]string{"ap-northeast-1", "us-east-1"}, finding.Global, "arn:aws:securityhub:us-east-1:300000000001:product/300000000001/default"},
		{[]string{"ap-northeast-1"}, finding.Global, "arn:aws:securityhub:ap-northeast-1:300000000001:product/300000000001/default"},
		{[]string{"cn-north-1", "cn-northwest-1"}, finding.Global, "arn:aws-cn:securityhub:cn-north-1:300000000001:product/300000000001/default"},
		{[]string{"us-gov-east-1", "us-gov-west-1"}, finding.Global, "arn:aws-us-gov:securityhub:us-gov-west-1:300000000001:product/300000000001/default"},
		{nil, finding.Global, "arn:aws:securityhub:us-east-1:300000000001:product/300000000001/default"},
		{[]string{"us-east-1"}, "eu-west-1", "arn:aws:securityhub:eu-west-1:300000000001:product/300000000001/default"},
	} {
		a := Audit{Organization: Organization{Regions: tt.regions}}
		f, err := asffFindingOf(a, nil, finding.Finding{Account: "300000000001", Region: tt.region, Control: "c", Status: finding.Drift}, "id")
		if err != nil || f.ProductArn != tt.want {
			t.Errorf("%v, %s: %s (%v), want %s", tt.regions, tt.region, f.ProductArn, err, tt.want)
		}
	}
}

func TestASFFRefusesAFindingWithoutAnAccount(t *testing.T) {
	a := Audit{Findings: []finding.Finding{{Account: "shop", Region: "us-east-1", Control: "c", Status: finding.Drift}}}
	var b bytes.Buffer
	if err := Write(&b, ASFF, Style{}, a); err == nil || !strings.Contains(err.Error(), "twelve digits") || b.Len() > 0 {
		t.Errorf("%v, and %d bytes", err, b.Len())
	}
}
