package sim

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer/types"

	"github.com/orgguard/orgguard/scp"
)

// accessanalyzerOps is IAM Access Analyzer's check of policies, and its analyzers.
var accessanalyzerOps = map[string]operation{
	"ValidatePolicy": op(read, validatePolicy),
	"CreateAnalyzer": op(write, createAnalyzer),
	"DeleteAnalyzer": op(write, deleteAnalyzer),
	"GetAnalyzer":    op(read, getAnalyzer),
	"ListAnalyzers":  op(read, listAnalyzers),
}

// validatePolicy checks a policy by this project's linter, whose findings are
// in its own words: issue codes are its rule ids, not those of AWS.
// https://docs.aws.amazon.com/access-analyzer/latest/APIReference/API_ValidatePolicy.html
func validatePolicy(c *call, in *accessanalyzer.ValidatePolicyInput) (*accessanalyzer.ValidatePolicyOutput, error) {
	if in.PolicyType != types.PolicyTypeServiceControlPolicy {
		return nil, &types.ValidationException{Message: aws.String(fmt.Sprintf("the sandbox validates %s only, not %s", types.PolicyTypeServiceControlPolicy, in.PolicyType))}
	}
	findings := []types.ValidatePolicyFinding{}
	for _, f := range scp.LintSource("policy", []byte(aws.ToString(in.PolicyDocument)), scp.LintOptions{}) {
		kind := types.ValidatePolicyFindingTypeWarning
		if f.Severity == scp.SeverityError {
			kind = types.ValidatePolicyFindingTypeError
		}
		at := &types.Position{Line: aws.Int32(int32(f.Line)), Column: aws.Int32(int32(f.Column)), Offset: aws.Int32(0)} //nolint:gosec // a policy is short
		findings = append(findings, types.ValidatePolicyFinding{
			FindingType: kind, IssueCode: aws.String(f.Rule), FindingDetails: aws.String(strings.TrimSpace(f.Message + ". " + f.Fix)),
			LearnMoreLink: aws.String("https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html"),
			Locations:     []types.Location{{Path: []types.PathElement{}, Span: &types.Span{Start: at, End: at}}},
		})
	}
	limit := 100
	if in.MaxResults != nil {
		limit = int(*in.MaxResults)
	}
	page, next, ok := pageOf(c, findings, limit, in.NextToken)
	if !ok {
		return nil, &types.ValidationException{Message: aws.String("Invalid NextToken")}
	}
	return &accessanalyzer.ValidatePolicyOutput{Findings: page, NextToken: next}, nil
}
