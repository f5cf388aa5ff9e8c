package sim

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgguard/orgguard/scp"
)

// simulateCustomPolicy evaluates policies that need not exist anywhere:
// identity policies, and since July 2026 SCPs, one element for each level from
// the root to the account. A context key that is not given counts as absent,
// and for SCPs AWS does not even name it in MissingContextValues; nor does this.
// Boundaries and resource policies are not modelled and refused.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html
func simulateCustomPolicy(c *call, in *iam.SimulateCustomPolicyInput) (*iam.SimulateCustomPolicyOutput, error) {
	if len(in.PermissionsBoundaryPolicyInputList) > 0 || in.ResourcePolicy != nil {
		return nil, iamInvalid("the sandbox simulates identity policies and service control policies only")
	}
	if caller := aws.ToString(in.CallerArn); strings.Contains(caller, ":assumed-role/") {
		return nil, iamInvalid("Invalid Entity Arn: %s does not clearly define entity type and name.", caller)
	}
	identity, err := simulatedLevels([][]string{in.PolicyInputList})
	if err != nil {
		return nil, err
	}
	var organization *scp.Evaluator
	if len(in.OrderedOrganizationPolicyInputList) > 0 {
		var levels [][]string
		for _, l := range in.OrderedOrganizationPolicyInputList {
			levels = append(levels, l.ServiceControlPolicyInputList)
		}
		if organization, err = simulatedLevels(levels); err != nil {
			return nil, err
		}
	}
	context := map[string][]string{}
	for _, e := range in.ContextEntries {
		context[aws.ToString(e.ContextKeyName)] = e.ContextKeyValues
	}
	if caller := aws.ToString(in.CallerArn); caller != "" {
		context["aws:PrincipalArn"] = []string{caller}
	}
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	var results []types.EvaluationResult
	for _, action := range in.ActionNames {
		for _, resource := range resources {
			results = append(results, simulateOne(identity, organization, &scp.Request{
				// A principal of no account: the simulation has no accounts that could be exempt.
				Principal: scp.Principal{Type: scp.PrincipalRole}, Action: action, Resource: resource, Context: context,
			}))
		}
	}
	page, marker, err := iamPage(c, results, in.MaxItems, in.Marker)
	if err != nil {
		return nil, err
	}
	return &iam.SimulateCustomPolicyOutput{EvaluationResults: page, Marker: marker, IsTruncated: marker != nil}, nil
}

func iamInvalid(format string, args ...any) error {
	return &types.InvalidInputException{Message: aws.String(fmt.Sprintf(format, args...))}
}

// simulatePrincipalPolicy evaluates what a role may do: its own policies and,
// in a member account, the SCPs that bind it. Unlike a call, the simulation does
// not know who the principal is for conditions: aws:PrincipalArn counts only when
// it is given. Users are not modelled.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
func simulatePrincipalPolicy(c *call, in *iam.SimulatePrincipalPolicyInput) (*iam.SimulatePrincipalPolicyOutput, error) {
	source := aws.ToString(in.PolicySourceArn)
	switch {
	case len(in.PolicyInputList)+len(in.PermissionsBoundaryPolicyInputList)+len(in.PolicyExclusionList) > 0 || in.ResourcePolicy != nil:
		return nil, iamInvalid("the sandbox simulates a role's own policies only")
	case strings.Contains(source, ":assumed-role/"):
		return nil, iamInvalid("Invalid Entity Arn: %s does not clearly define entity type and name.", source)
	}
	account, r := c.w.roleByARN(source)
	if r == nil || account != c.caller.Account {
		return nil, noSuchEntity("The entity %s cannot be found.", source)
	}
	context := map[string][]string{}
	for _, e := range in.ContextEntries {
		context[aws.ToString(e.ContextKeyName)] = e.ContextKeyValues
	}
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	identity, err := c.w.layerEvaluator(c.w.identityPolicies(account, r))
	if err != nil {
		return nil, err
	}
	organization, err := c.w.boundBy(account)
	if err != nil {
		return nil, err
	}
	var results []types.EvaluationResult
	for _, action := range in.ActionNames {
		if strings.Contains(action, "*") {
			return nil, iamInvalid("Invalid action name: %s", action)
		}
		for _, resource := range resources {
			req := &scp.Request{
				Principal: scp.Principal{Type: scp.PrincipalRole, ARN: source, RoleARN: source, AccountID: account}, Action: action, Resource: resource, Context: context,
			}
			if identity == nil { // a role without policies
				results = append(results, types.EvaluationResult{
					EvalActionName: aws.String(action), EvalResourceName: aws.String(resource), EvalDecision: types.PolicyEvaluationDecisionTypeImplicitDeny,
				})
				continue
			}
			results = append(results, simulateOne(identity, organization, req))
		}
	}
	page, marker, err := iamPage(c, results, in.MaxItems, in.Marker)
	if err != nil {
		return nil, err
	}
	return &iam.SimulatePrincipalPolicyOutput{EvaluationResults: page, Marker: marker, IsTruncated: marker != nil}, nil
}

// boundBy is the evaluator of the SCPs that bind an account's roles; nil where
// none do.
func (w *World) boundBy(account string) (*scp.Evaluator, error) {
	o := &w.state.Org
	if account == o.ManagementAccount || o.Accounts[account] == nil || !o.typeEnabled(orgtypes.PolicyTypeServiceControlPolicy) {
		return nil, nil
	}
	return w.evaluator(account)
}

// simulatedLevels compiles levels of policy documents.
func simulatedLevels(levels [][]string) (*scp.Evaluator, error) {
	org := scp.Org{ManagementAccountID: noAccount}
	for i, docs := range levels {
		l := scp.Level{Type: scp.LevelOU, ID: fmt.Sprintf("level-%d", i)}
		for j, text := range docs {
			doc, err := scp.Parse(fmt.Sprintf("policy-%d", j+1), []byte(text))
			if err != nil {
				return nil, iamInvalid("%v", err)
			}
			l.Policies = append(l.Policies, scp.Policy{Name: doc.Name(), Document: doc})
		}
		org.Path = append(org.Path, l)
	}
	return scp.Compile(org)
}

// simulateOne is one action on one resource.
func simulateOne(identity, organization *scp.Evaluator, req *scp.Request) types.EvaluationResult {
	out := types.EvaluationResult{
		EvalActionName: aws.String(req.Action), EvalResourceName: aws.String(req.Resource), EvalDecision: types.PolicyEvaluationDecisionTypeAllowed,
	}
	if organization != nil {
		result := organization.Evaluate(req)
		out.OrganizationsDecisionDetail = &types.OrganizationsDecisionDetail{AllowedByOrganizations: result.Decision == scp.DecisionAllow}
		out.EvalDecision = simulatedDecision(result)
	}
	if out.EvalDecision == types.PolicyEvaluationDecisionTypeAllowed {
		out.EvalDecision = simulatedDecision(identity.Evaluate(req))
	}
	return out
}

func simulatedDecision(r scp.Result) types.PolicyEvaluationDecisionType {
	switch {
	case r.Decision == scp.DecisionAllow:
		return types.PolicyEvaluationDecisionTypeAllowed
	case r.Kind == scp.KindExplicitDeny:
		return types.PolicyEvaluationDecisionTypeExplicitDeny
	}
	return types.PolicyEvaluationDecisionTypeImplicitDeny
}
