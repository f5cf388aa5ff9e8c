package sim

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
)

func TestImportedFindings(t *testing.T) {
	scenario, err := Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	w, err := New(scenario)
	if err != nil {
		t.Fatal(err)
	}
	c := securityhub.NewFromConfig(w.ManagementConfig("us-east-1"))
	ctx := t.Context()
	finding := func(change func(*types.AwsSecurityFinding)) types.AwsSecurityFinding {
		f := types.AwsSecurityFinding{
			SchemaVersion: aws.String("2018-10-08"), Id: aws.String("a"), ProductArn: aws.String("arn:aws:securityhub:us-east-1:100000000001:product/100000000001/default"),
			GeneratorId: aws.String("g"), AwsAccountId: aws.String("100000000001"), CreatedAt: aws.String("2027-03-31T06:00:00Z"), UpdatedAt: aws.String("2027-03-31T06:00:00Z"),
			Title: aws.String("t"), Description: aws.String("d"), Resources: []types.Resource{{Id: aws.String("r"), Type: aws.String("Other")}},
			Severity: &types.Severity{Label: types.SeverityLabelHigh}, Workflow: &types.Workflow{Status: types.WorkflowStatusNew},
		}
		if change != nil {
			change(&f)
		}
		return f
	}
	send := func(fs ...types.AwsSecurityFinding) (*securityhub.BatchImportFindingsOutput, error) {
		return c.BatchImportFindings(ctx, &securityhub.BatchImportFindingsInput{Findings: fs})
	}
	if _, err := send(finding(nil)); err == nil || !strings.Contains(err.Error(), "InvalidAccess") {
		t.Errorf("it is off: %v", err)
	}
	must(c.EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{}))(t)
	for name, change := range map[string]func(*types.AwsSecurityFinding){
		"of another account": func(f *types.AwsSecurityFinding) { f.AwsAccountId = aws.String("200000000001") },
		"into another product": func(f *types.AwsSecurityFinding) {
			f.ProductArn = aws.String("arn:aws:securityhub:us-east-1::product/aws/guardduty")
		},
		"larger than 240 KB": func(f *types.AwsSecurityFinding) {
			f.ProductFields = map[string]string{"x": strings.Repeat("x", 250_000)}
		},
		"with too long a title":     func(f *types.AwsSecurityFinding) { f.Title = aws.String(strings.Repeat("x", 257)) },
		"without a resource's type": func(f *types.AwsSecurityFinding) { f.Resources[0].Type = aws.String("") },
		"at no time":                func(f *types.AwsSecurityFinding) { f.UpdatedAt = aws.String("yesterday") },
	} {
		out, err := send(finding(change), finding(func(f *types.AwsSecurityFinding) { f.Id = aws.String("good") }))
		if err != nil || *out.FailedCount != 1 || *out.SuccessCount != 1 || *out.FailedFindings[0].Id != "a" {
			t.Errorf("%s: %+v %v", name, out, err)
		}
	}
	if _, err := send(make([]types.AwsSecurityFinding, 101)...); err == nil {
		t.Error("more than 100 at once")
	}
	get := func() types.AwsSecurityFinding {
		t.Helper()
		out := must(c.GetFindings(ctx, &securityhub.GetFindingsInput{Filters: &types.AwsSecurityFindingFilters{Id: []types.StringFilter{{Value: aws.String("a"), Comparison: types.StringFilterComparisonEquals}}}}))(t)
		if len(out.Findings) != 1 {
			t.Fatalf("%d findings", len(out.Findings))
		}
		return out.Findings[0]
	}
	must(send(finding(nil)))(t)
	// An older update changes nothing; a newer one does, but for what belongs to the
	// customer.
	must(send(finding(func(f *types.AwsSecurityFinding) {
		f.UpdatedAt, f.Title = aws.String("2027-03-30T06:00:00Z"), aws.String("older")
	})))(t)
	if f := get(); *f.Title != "t" || f.RecordState != types.RecordStateActive {
		t.Errorf("%+v", f)
	}
	must(send(finding(func(f *types.AwsSecurityFinding) {
		f.UpdatedAt, f.CreatedAt, f.RecordState, f.Workflow = aws.String("2027-04-01T06:00:00Z"), f.UpdatedAt, types.RecordStateArchived, &types.Workflow{Status: types.WorkflowStatusResolved}
	})))(t)
	if f := get(); f.RecordState != types.RecordStateArchived || f.Workflow.Status != types.WorkflowStatusNew || *f.CreatedAt != "2027-03-31T06:00:00Z" {
		t.Errorf("%+v %+v", f, f.Workflow)
	}
	out := must(c.GetFindings(ctx, &securityhub.GetFindingsInput{MaxResults: aws.Int32(1)}))(t)
	next := must(c.GetFindings(ctx, &securityhub.GetFindingsInput{MaxResults: aws.Int32(1), NextToken: out.NextToken}))(t)
	if len(out.Findings)+len(next.Findings) != 2 || next.NextToken != nil {
		t.Errorf("%d and %d findings", len(out.Findings), len(next.Findings))
	}
}
