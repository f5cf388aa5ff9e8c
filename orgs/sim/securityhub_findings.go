package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"
)

// The limits of BatchImportFindings.
// https://docs.aws.amazon.com/securityhub/latest/partnerguide/guidelines-batchimportfindings.html
const (
	maxHubBatch      = 100
	maxHubFinding    = 240 << 10
	maxHubBatchBytes = 6 << 20
)

// hubFinding is what Security Hub keeps of an imported finding, as far as anybody asks.
type hubFinding struct {
	ID            string            `json:"id"`
	ProductARN    string            `json:"product_arn"`
	GeneratorID   string            `json:"generator_id"`
	Title         string            `json:"title"`
	Description   string            `json:"description"`
	Severity      string            `json:"severity"`
	Compliance    string            `json:"compliance,omitempty"`
	RecordState   string            `json:"record_state"`
	Workflow      string            `json:"workflow"`
	Created       string            `json:"created"`
	Updated       string            `json:"updated"`
	ProductFields map[string]string `json:"product_fields,omitempty"`
	Resources     []string          `json:"resources"`
}

// hubProduct is the account's own product, for what has no integration.
// https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html
func hubProduct(c *call) string { return c.arn("securityhub", "product/"+c.caller.Account+"/default") }

func batchImportFindings(c *call, in *securityhub.BatchImportFindingsInput) (*securityhub.BatchImportFindingsOutput, error) {
	if _, err := c.hub(); err != nil {
		return nil, err
	}
	if n := len(in.Findings); n == 0 || n > maxHubBatch {
		return nil, apiError("InvalidInputException", "Invalid parameter 'findings': size must be between 1 and %d", maxHubBatch)
	}
	out := &securityhub.BatchImportFindingsOutput{SuccessCount: aws.Int32(0), FailedCount: aws.Int32(0)}
	total := 0
	for _, f := range in.Findings {
		size, why := c.importFinding(f)
		if total += size; total > maxHubBatchBytes {
			return nil, apiError("InvalidInputException", "The request is larger than %d bytes", maxHubBatchBytes)
		}
		if why != "" {
			*out.FailedCount++
			out.FailedFindings = append(out.FailedFindings, types.ImportFindingsError{Id: f.Id, ErrorCode: aws.String("InvalidInput"), ErrorMessage: aws.String(why)})
			continue
		}
		*out.SuccessCount++
	}
	return out, nil
}

// importFinding imports one finding. It returns its size in bytes and why it was not
// taken.
func (c *call) importFinding(f types.AwsSecurityFinding) (size int, why string) {
	size = sizeOf(f)
	if size > maxHubFinding {
		return size, "Finding exceeds the maximum size of 240 KB"
	}
	for _, x := range []struct {
		name  string
		value *string
		limit int
	}{
		{"AwsAccountId", f.AwsAccountId, 12}, {"CreatedAt", f.CreatedAt, 64}, {"UpdatedAt", f.UpdatedAt, 64}, {"Description", f.Description, 1024}, {"GeneratorId", f.GeneratorId, 512},
		{"Id", f.Id, 512}, {"ProductArn", f.ProductArn, 2048}, {"SchemaVersion", f.SchemaVersion, 32}, {"Title", f.Title, 256},
	} {
		if v := aws.ToString(x.value); strings.TrimSpace(v) == "" || len(v) > x.limit {
			return size, "Invalid parameter '" + x.name + "'"
		}
	}
	updated, err := time.Parse(time.RFC3339, *f.UpdatedAt)
	switch {
	case err != nil:
		return size, "Invalid parameter 'UpdatedAt'"
	case len(f.Resources) == 0 || len(f.Resources) > 32 || aws.ToString(f.Resources[0].Id) == "" || aws.ToString(f.Resources[0].Type) == "":
		return size, "Invalid parameter 'Resources'"
	case *f.ProductArn != hubProduct(c) || *f.AwsAccountId != c.caller.Account:
		return size, "Account " + c.caller.Account + " may only import its own findings into its default product"
	}
	kept := hubFinding{
		ID: *f.Id, ProductARN: *f.ProductArn, GeneratorID: *f.GeneratorId, Title: *f.Title, Description: *f.Description, RecordState: string(f.RecordState), Workflow: "NEW",
		Created: *f.CreatedAt, Updated: *f.UpdatedAt, ProductFields: f.ProductFields,
	}
	if f.RecordState == "" {
		kept.RecordState = string(types.RecordStateActive)
	}
	if f.FindingProviderFields != nil && f.FindingProviderFields.Severity != nil {
		kept.Severity = string(f.FindingProviderFields.Severity.Label)
	} else if f.Severity != nil {
		kept.Severity = string(f.Severity.Label)
	}
	if f.Compliance != nil {
		kept.Compliance = string(f.Compliance.Status)
	}
	if f.Workflow != nil && f.Workflow.Status != "" {
		kept.Workflow = string(f.Workflow.Status)
	}
	for _, r := range f.Resources {
		kept.Resources = append(kept.Resources, aws.ToString(r.Id))
	}
	here := c.here()
	key := kept.ProductARN + " " + kept.ID
	if old, ok := here.HubFindings[key]; ok {
		if before, err := time.Parse(time.RFC3339, old.Updated); err == nil && !updated.After(before) {
			return size, "" // an older update changes nothing
		}
		kept.Created, kept.Workflow = old.Created, old.Workflow // the customer's
	}
	if here.HubFindings == nil {
		here.HubFindings = map[string]hubFinding{}
	}
	here.HubFindings[key] = kept
	return size, ""
}

// sizeOf is the size of a finding as it is sent: without what it does not say.
func sizeOf(f types.AwsSecurityFinding) int {
	b, err := json.Marshal(f)
	if err != nil {
		return 0 // plain data
	}
	var v any
	if json.Unmarshal(b, &v) != nil {
		return len(b)
	}
	b, err = json.Marshal(said(v))
	if err != nil {
		return 0
	}
	return len(b)
}

// said is a value without nulls and empty texts.
func said(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if x != nil && x != "" {
				out[k] = said(x)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = said(x)
		}
		return out
	}
	return v
}

// getHubFindings knows the filters by id, generator, record state and workflow.
func getHubFindings(c *call, in *securityhub.GetFindingsInput) (*securityhub.GetFindingsOutput, error) {
	if _, err := c.hub(); err != nil {
		return nil, err
	}
	var found []types.AwsSecurityFinding
	all := c.here().HubFindings
	for _, key := range slices.Sorted(maps.Keys(all)) {
		f := all[key]
		if fs := in.Filters; fs != nil && (!hubPasses(fs.Id, f.ID) || !hubPasses(fs.GeneratorId, f.GeneratorID) || !hubPasses(fs.RecordState, f.RecordState) || !hubPasses(fs.WorkflowStatus, f.Workflow)) {
			continue
		}
		api := types.AwsSecurityFinding{
			SchemaVersion: aws.String("2018-10-08"), Id: &f.ID, ProductArn: &f.ProductARN, GeneratorId: &f.GeneratorID, AwsAccountId: &c.caller.Account,
			CreatedAt: &f.Created, UpdatedAt: &f.Updated, Title: &f.Title, Description: &f.Description, RecordState: types.RecordState(f.RecordState),
			Severity: &types.Severity{Label: types.SeverityLabel(f.Severity)}, Workflow: &types.Workflow{Status: types.WorkflowStatus(f.Workflow)}, ProductFields: f.ProductFields,
		}
		if f.Compliance != "" {
			api.Compliance = &types.Compliance{Status: types.ComplianceStatus(f.Compliance)}
		}
		for _, id := range f.Resources {
			api.Resources = append(api.Resources, types.Resource{Id: aws.String(id), Type: aws.String("Other")})
		}
		found = append(found, api)
	}
	limit := 100
	if n := aws.ToInt32(in.MaxResults); n > 0 && n < 100 {
		limit = int(n)
	}
	page, next, ok := pageOf(c, found, limit, in.NextToken)
	if !ok {
		return nil, apiError("InvalidInputException", "Invalid parameter 'NextToken'")
	}
	return &securityhub.GetFindingsOutput{Findings: page, NextToken: next}, nil
}

// hubPasses applies the filters of one attribute: one of them has to fit.
// https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_StringFilter.html
func hubPasses(filters []types.StringFilter, value string) bool {
	if len(filters) == 0 {
		return true
	}
	return slices.ContainsFunc(filters, func(f types.StringFilter) bool {
		if f.Comparison == types.StringFilterComparisonPrefix {
			return strings.HasPrefix(value, aws.ToString(f.Value))
		}
		return value == aws.ToString(f.Value)
	})
}
