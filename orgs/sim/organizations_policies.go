package sim

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgguard/orgguard/scp"
)

// Limits of policies. SCPs were doubled in May 2026, to these.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
const (
	maxPolicies        = 10_000 // of one type
	maxPolicyTags      = 50
	maxDescription     = 512
	maxAttachedSCPs    = 10
	maxAttachedRCPs    = 5
	maxAttachedOthers  = 10
	maxSCPCharacters   = 10_240
	maxRCPCharacters   = 5_120
	maxOtherCharacters = 10_000
)

// fullAccess is the policies that AWS maintains and attaches everywhere when
// their type is enabled.
var fullAccess = map[types.PolicyType]orgPolicy{
	types.PolicyTypeServiceControlPolicy: {
		ID: "p-FullAWSAccess", Name: "FullAWSAccess", Description: "Allows access to every operation",
		Type: types.PolicyTypeServiceControlPolicy, AWSManaged: true,
		Content: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
	},
	types.PolicyTypeResourceControlPolicy: {
		ID: "p-RCPFullAWSAccess", Name: "RCPFullAWSAccess", Description: "Allows access to every resource",
		Type: types.PolicyTypeResourceControlPolicy, AWSManaged: true,
		Content: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`,
	},
}

// attachDefaults gives a new root, OU or account the policies that every one
// starts with.
func (w *World) attachDefaults(target string) {
	o := &w.state.Org
	for t, p := range fullAccess {
		if o.typeEnabled(t) {
			o.attach(p.ID, target)
		}
	}
	w.orgChanged()
}

// knownPolicyType says whether a type is one of the API's.
func knownPolicyType(t types.PolicyType) bool { return slices.Contains(t.Values(), t) }

func badPolicyType() error {
	return invalidInput(types.InvalidInputExceptionReasonInvalidEnumPolicyType, "You specified an invalid policy type string.")
}

// policyNotFound is the answer about a policy that is not there.
func policyNotFound() error {
	return &types.PolicyNotFoundException{Message: aws.String("You specified a policy that doesn't exist.")}
}

// targetNotFound is the answer about a root, OU or account that is not there.
func targetNotFound() error {
	return &types.TargetNotFoundException{Message: aws.String("You specified a target that doesn't exist.")}
}

// apiPolicy is a policy's summary as the API shows it.
func (w *World) apiPolicy(id string) types.PolicySummary {
	p := w.state.Org.Policies[id]
	return types.PolicySummary{
		Id: aws.String(p.ID), Arn: aws.String(w.policyARN(p)), Name: aws.String(p.Name),
		Description: aws.String(p.Description), Type: p.Type, AwsManaged: p.AWSManaged,
	}
}

func (w *World) apiPolicies(ids []string) []types.PolicySummary {
	out := make([]types.PolicySummary, len(ids))
	for i, id := range ids {
		out[i] = w.apiPolicy(id)
	}
	return out
}

func listPolicies(c *call, in *organizations.ListPoliciesInput) (*organizations.ListPoliciesOutput, error) {
	if !knownPolicyType(in.Filter) {
		return nil, badPolicyType()
	}
	o := &c.w.state.Org
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(o.Policies)) {
		if o.Policies[id].Type == in.Filter {
			ids = append(ids, id)
		}
	}
	page, next, err := orgPage(c, ids, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &organizations.ListPoliciesOutput{Policies: c.w.apiPolicies(page), NextToken: next}, nil
}

func describePolicy(c *call, in *organizations.DescribePolicyInput) (*organizations.DescribePolicyOutput, error) {
	p := c.w.state.Org.Policies[aws.ToString(in.PolicyId)]
	if p == nil {
		return nil, policyNotFound()
	}
	s := c.w.apiPolicy(p.ID)
	return &organizations.DescribePolicyOutput{Policy: &types.Policy{PolicySummary: &s, Content: aws.String(p.Content)}}, nil
}

func listPoliciesForTarget(c *call, in *organizations.ListPoliciesForTargetInput) (*organizations.ListPoliciesForTargetOutput, error) {
	o, target := &c.w.state.Org, aws.ToString(in.TargetId)
	if !knownPolicyType(in.Filter) {
		return nil, badPolicyType()
	}
	if !o.targetExists(target) {
		return nil, targetNotFound()
	}
	page, next, err := orgPage(c, o.attachedOf(target, in.Filter), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &organizations.ListPoliciesForTargetOutput{Policies: c.w.apiPolicies(page), NextToken: next}, nil
}

func listTargetsForPolicy(c *call, in *organizations.ListTargetsForPolicyInput) (*organizations.ListTargetsForPolicyOutput, error) {
	o, id := &c.w.state.Org, aws.ToString(in.PolicyId)
	if o.Policies[id] == nil {
		return nil, policyNotFound()
	}
	page, next, err := orgPage(c, c.w.orgIndex().targets[id], in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &organizations.ListTargetsForPolicyOutput{NextToken: next, Targets: []types.PolicyTargetSummary{}}
	for _, target := range page {
		t := types.PolicyTargetSummary{TargetId: aws.String(target)}
		switch {
		case target == o.RootID:
			t.Type, t.Name, t.Arn = types.TargetTypeRoot, aws.String("Root"), aws.String(c.w.orgARN("root", target))
		case o.Units[target] != nil:
			t.Type, t.Name, t.Arn = types.TargetTypeOrganizationalUnit, aws.String(o.Units[target].Name), aws.String(c.w.orgARN("ou", target))
		default:
			t.Type, t.Name, t.Arn = types.TargetTypeAccount, aws.String(o.Accounts[target].Name), aws.String(c.w.orgARN("account", target))
		}
		out.Targets = append(out.Targets, t)
	}
	return out, nil
}

// checkContent checks a policy's text. SCPs, RCPs and Security Hub policies have a
// grammar of their own; of the other types, which this world only keeps, it is enough
// that they are JSON objects.
func checkContent(t types.PolicyType, name, content string) error {
	limit := maxOtherCharacters
	switch t {
	case types.PolicyTypeServiceControlPolicy:
		limit = maxSCPCharacters
	case types.PolicyTypeResourceControlPolicy:
		limit = maxRCPCharacters
	}
	// White space counts: only the console removes it.
	if utf8.RuneCountInString(content) > limit {
		return constraint(types.ConstraintViolationExceptionReasonPolicyContentLimitExceeded, "You have exceeded the number of characters (%d) that a policy of type %s can have.", limit, t)
	}
	malformed := &types.MalformedPolicyDocumentException{Message: aws.String("The provided policy document does not meet the requirements of the specified policy type.")}
	if t == types.PolicyTypeServiceControlPolicy {
		if _, err := scp.Parse(name, []byte(content)); err != nil {
			return malformed
		}
		return nil
	}
	if !isJSONObject(content) || t == types.PolicyTypeSecurityhubPolicy && !isHubPolicy(content) {
		return malformed
	}
	return nil
}

// checkDescription checks a policy's description, which may be empty.
func checkDescription(s string) error {
	if utf8.RuneCountInString(s) > maxDescription {
		return invalidInput(types.InvalidInputExceptionReasonMaxLengthExceeded, "You provided a description that is longer than %d characters.", maxDescription)
	}
	return nil
}

// policyNamed says whether a policy other than one id has a name; names are
// unique among the policies of a type.
func (o *orgState) policyNamed(t types.PolicyType, name, except string) bool {
	for _, p := range o.Policies {
		if p.Type == t && p.Name == name && p.ID != except {
			return true
		}
	}
	return false
}

func duplicatePolicy() error {
	return &types.DuplicatePolicyException{Message: aws.String("A policy with the same name already exists.")}
}

func createPolicy(c *call, in *organizations.CreatePolicyInput) (*organizations.CreatePolicyOutput, error) {
	o, name := &c.w.state.Org, aws.ToString(in.Name)
	if !knownPolicyType(in.Type) {
		return nil, badPolicyType()
	}
	if o.FeatureSet != types.OrganizationFeatureSetAll {
		return nil, typeNotAvailable()
	}
	for _, err := range []error{checkName(name), checkDescription(aws.ToString(in.Description)), checkContent(in.Type, name, aws.ToString(in.Content)), checkTags(in.Tags, nil)} {
		if err != nil {
			return nil, err
		}
	}
	if o.policyNamed(in.Type, name, "") {
		return nil, duplicatePolicy()
	}
	count := 0
	for _, p := range o.Policies {
		if p.Type == in.Type {
			count++
		}
	}
	if count >= maxPolicies {
		return nil, constraint(types.ConstraintViolationExceptionReasonPolicyNumberLimitExceeded, "You have exceeded the number of policies that you can have in an organization.")
	}
	p := &orgPolicy{ID: "p-" + c.w.id(8), Name: name, Description: aws.ToString(in.Description), Type: in.Type, Content: aws.ToString(in.Content)}
	o.putPolicy(p)
	if err := c.w.setOrgTags(p.ID, in.Tags); err != nil {
		return nil, err
	}
	s := c.w.apiPolicy(p.ID)
	return &organizations.CreatePolicyOutput{Policy: &types.Policy{PolicySummary: &s, Content: aws.String(p.Content)}}, nil
}

func (o *orgState) putPolicy(p *orgPolicy) {
	if o.Policies == nil {
		o.Policies = map[string]*orgPolicy{}
	}
	o.Policies[p.ID] = p
}

func typeNotAvailable() error {
	return &types.PolicyTypeNotAvailableForOrganizationException{Message: aws.String("You can't use the specified policy type with the feature set currently enabled for this organization.")}
}

func updatePolicy(c *call, in *organizations.UpdatePolicyInput) (*organizations.UpdatePolicyOutput, error) {
	o := &c.w.state.Org
	p := o.Policies[aws.ToString(in.PolicyId)]
	if p == nil {
		return nil, policyNotFound()
	}
	if p.AWSManaged {
		return nil, immutablePolicy()
	}
	next := *p
	if in.Name != nil {
		next.Name = *in.Name
	}
	if in.Description != nil {
		next.Description = *in.Description
	}
	if in.Content != nil {
		next.Content = *in.Content
	}
	for _, err := range []error{checkName(next.Name), checkDescription(next.Description), checkContent(p.Type, next.Name, next.Content)} {
		if err != nil {
			return nil, err
		}
	}
	if o.policyNamed(p.Type, next.Name, p.ID) {
		return nil, duplicatePolicy()
	}
	c.settleHubs(p.Type)
	*p = next
	s := c.w.apiPolicy(p.ID)
	return &organizations.UpdatePolicyOutput{Policy: &types.Policy{PolicySummary: &s, Content: aws.String(p.Content)}}, nil
}

func immutablePolicy() error {
	return invalidInput(types.InvalidInputExceptionReasonImmutablePolicy, "You can't modify or delete a policy that is managed by AWS.")
}

func deletePolicy(c *call, in *organizations.DeletePolicyInput) (*organizations.DeletePolicyOutput, error) {
	o, id := &c.w.state.Org, aws.ToString(in.PolicyId)
	switch p := o.Policies[id]; {
	case p == nil:
		return nil, policyNotFound()
	case p.AWSManaged:
		return nil, immutablePolicy()
	case len(c.w.orgIndex().targets[id]) > 0:
		return nil, &types.PolicyInUseException{Message: aws.String("The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts before performing this operation.")}
	}
	delete(o.Policies, id)
	delete(o.Tags, id)
	return &organizations.DeletePolicyOutput{}, nil
}

func attachPolicy(c *call, in *organizations.AttachPolicyInput) (*organizations.AttachPolicyOutput, error) {
	o, target := &c.w.state.Org, aws.ToString(in.TargetId)
	p := o.Policies[aws.ToString(in.PolicyId)]
	switch {
	case p == nil:
		return nil, policyNotFound()
	case !o.targetExists(target):
		return nil, targetNotFound()
	case !o.typeEnabled(p.Type):
		return nil, typeNotEnabled()
	case slices.Contains(o.Attached[target], p.ID):
		return nil, &types.DuplicatePolicyAttachmentException{Message: aws.String("The selected policy is already attached to the specified target.")}
	}
	limit := maxAttachedOthers
	switch p.Type {
	case types.PolicyTypeServiceControlPolicy:
		limit = maxAttachedSCPs
	case types.PolicyTypeResourceControlPolicy:
		limit = maxAttachedRCPs
	}
	if len(o.attachedOf(target, p.Type)) >= limit {
		return nil, constraint(types.ConstraintViolationExceptionReasonMaxPolicyTypeAttachmentLimitExceeded, "You have exceeded the number of policies (%d) of type %s that can be attached to the target.", limit, p.Type)
	}
	c.settleHubs(p.Type)
	o.attach(p.ID, target)
	return &organizations.AttachPolicyOutput{}, nil
}

func typeNotEnabled() error {
	return &types.PolicyTypeNotEnabledException{Message: aws.String("This operation can be performed only for enabled policy types.")}
}

func detachPolicy(c *call, in *organizations.DetachPolicyInput) (*organizations.DetachPolicyOutput, error) {
	o, target := &c.w.state.Org, aws.ToString(in.TargetId)
	p := o.Policies[aws.ToString(in.PolicyId)]
	switch {
	case p == nil:
		return nil, policyNotFound()
	case !o.targetExists(target):
		return nil, targetNotFound()
	case !slices.Contains(o.Attached[target], p.ID):
		return nil, &types.PolicyNotAttachedException{Message: aws.String("The policy isn't attached to the specified target in the specified root.")}
	case p.ID == "p-RCPFullAWSAccess":
		return nil, invalidInput(types.InvalidInputExceptionReasonNonDetachablePolicy, "You can't detach this policy.")
	case p.Type == types.PolicyTypeServiceControlPolicy && len(o.attachedOf(target, p.Type)) == 1:
		return nil, constraint(types.ConstraintViolationExceptionReasonMinPolicyTypeAttachmentLimitExceeded, "You can't remove the last policy attached to the specified target. You must have at least one attached at all times.")
	}
	c.settleHubs(p.Type)
	o.detach(p.ID, target)
	return &organizations.DetachPolicyOutput{}, nil
}

func enablePolicyType(c *call, in *organizations.EnablePolicyTypeInput) (*organizations.EnablePolicyTypeOutput, error) {
	o := &c.w.state.Org
	switch {
	case aws.ToString(in.RootId) != o.RootID:
		return nil, rootNotFound()
	case !knownPolicyType(in.PolicyType):
		return nil, badPolicyType()
	case o.FeatureSet != types.OrganizationFeatureSetAll:
		return nil, typeNotAvailable()
	case o.Types[in.PolicyType] != nil && o.Types[in.PolicyType].Status == types.PolicyTypeStatusPendingDisable:
		return nil, &types.PolicyChangesInProgressException{Message: aws.String("Changes to the policy type are in progress. Try again later.")}
	case o.Types[in.PolicyType] != nil:
		return nil, &types.PolicyTypeAlreadyEnabledException{Message: aws.String("The specified policy type is already enabled.")}
	}
	if o.Types == nil {
		o.Types = map[types.PolicyType]*policyTypeState{}
	}
	o.Types[in.PolicyType] = &policyTypeState{Status: types.PolicyTypeStatusPendingEnable, Ready: c.now.Add(c.w.timing.PolicyType)}
	c.w.settlePolicyTypes(c)
	r := c.w.root()
	return &organizations.EnablePolicyTypeOutput{Root: &r}, nil
}

func rootNotFound() error {
	return &types.RootNotFoundException{Message: aws.String("You specified a root that doesn't exist.")}
}

func disablePolicyType(c *call, in *organizations.DisablePolicyTypeInput) (*organizations.DisablePolicyTypeOutput, error) {
	o := &c.w.state.Org
	switch {
	case aws.ToString(in.RootId) != o.RootID:
		return nil, rootNotFound()
	case !knownPolicyType(in.PolicyType):
		return nil, badPolicyType()
	case o.Types[in.PolicyType] == nil:
		return nil, typeNotEnabled()
	case o.Types[in.PolicyType].Status != types.PolicyTypeStatusEnabled:
		return nil, &types.PolicyChangesInProgressException{Message: aws.String("Changes to the policy type are in progress. Try again later.")}
	}
	o.Types[in.PolicyType] = &policyTypeState{Status: types.PolicyTypeStatusPendingDisable, Ready: c.now.Add(c.w.timing.PolicyType)}
	c.w.settlePolicyTypes(c)
	r := c.w.root()
	return &organizations.DisablePolicyTypeOutput{Root: &r}, nil
}

// settlePolicyTypes finishes what enabling and disabling began. Enabling
// attaches the full-access policy everywhere; disabling detaches all policies
// of the type, for good: enabling it again starts from full access.
// https://docs.aws.amazon.com/organizations/latest/userguide/disable-policy-type.html
func (w *World) settlePolicyTypes(c *call) {
	o := &w.state.Org
	for _, t := range slices.Sorted(maps.Keys(o.Types)) {
		s := o.Types[t]
		if s.Status == types.PolicyTypeStatusEnabled || c.now.Before(s.Ready) {
			continue
		}
		if s.Status == types.PolicyTypeStatusPendingEnable {
			w.finishEnabling(t)
		} else {
			w.finishDisabling(t)
		}
		w.orgChanged()
		w.dirty()
	}
}

func (w *World) finishEnabling(t types.PolicyType) {
	o := &w.state.Org
	o.Types[t] = &policyTypeState{Status: types.PolicyTypeStatusEnabled}
	p, ok := fullAccess[t]
	if !ok {
		return
	}
	o.putPolicy(&p)
	o.attach(p.ID, o.RootID)
	for id := range o.Units {
		o.attach(p.ID, id)
	}
	for id := range o.Accounts {
		o.attach(p.ID, id)
	}
}

func (w *World) finishDisabling(t types.PolicyType) {
	o := &w.state.Org
	delete(o.Types, t)
	for _, target := range slices.Collect(maps.Keys(o.Attached)) {
		for _, id := range o.attachedOf(target, t) {
			o.detach(id, target)
		}
	}
}

// isJSONObject says whether a text is one JSON object.
func isJSONObject(s string) bool {
	return strings.HasPrefix(strings.TrimSpace(s), "{") && validJSON(s)
}
