package sim

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

func putRolePolicy(c *call, in *iam.PutRolePolicyInput) (*iam.PutRolePolicyOutput, error) {
	r, err := c.ownRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	name, doc := aws.ToString(in.PolicyName), aws.ToString(in.PolicyDocument)
	if err := checkIAMName("policyName", name, "/", 128); err != nil {
		return nil, err
	}
	if err := checkIdentityPolicy(doc); err != nil {
		return nil, err
	}
	size := len(doc)
	for other, text := range r.Inline {
		if other != name {
			size += len(text)
		}
	}
	if size > maxInlinePolicies {
		return nil, iamLimit("Maximum policy size of %d bytes exceeded for role %s", maxInlinePolicies, r.Name)
	}
	if r.Inline == nil {
		r.Inline = map[string]string{}
	}
	r.Inline[name] = doc
	return &iam.PutRolePolicyOutput{}, nil
}

func getRolePolicy(c *call, in *iam.GetRolePolicyInput) (*iam.GetRolePolicyOutput, error) {
	r, err := c.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	doc, ok := r.Inline[aws.ToString(in.PolicyName)]
	if !ok {
		return nil, noSuchRolePolicy(in.PolicyName)
	}
	return &iam.GetRolePolicyOutput{RoleName: aws.String(r.Name), PolicyName: aws.String(*in.PolicyName), PolicyDocument: aws.String(encodePolicy(doc))}, nil
}

func noSuchRolePolicy(name *string) error {
	return noSuchEntity("The role policy with name %s cannot be found.", aws.ToString(name))
}

func listRolePolicies(c *call, in *iam.ListRolePoliciesInput) (*iam.ListRolePoliciesOutput, error) {
	r, err := c.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	page, marker, err := iamPage(c, slices.Sorted(maps.Keys(r.Inline)), in.MaxItems, in.Marker)
	if err != nil {
		return nil, err
	}
	return &iam.ListRolePoliciesOutput{PolicyNames: page, Marker: marker, IsTruncated: marker != nil}, nil
}

func deleteRolePolicy(c *call, in *iam.DeleteRolePolicyInput) (*iam.DeleteRolePolicyOutput, error) {
	r, err := c.ownRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	if _, ok := r.Inline[aws.ToString(in.PolicyName)]; !ok {
		return nil, noSuchRolePolicy(in.PolicyName)
	}
	delete(r.Inline, *in.PolicyName)
	return &iam.DeleteRolePolicyOutput{}, nil
}

// attachRolePolicy attaches a managed policy; once more does nothing.
func attachRolePolicy(c *call, in *iam.AttachRolePolicyInput) (*iam.AttachRolePolicyOutput, error) {
	r, err := c.ownRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	arn := aws.ToString(in.PolicyArn)
	if _, ok := c.w.policyDocument(c.caller.Account, arn); !ok {
		return nil, noSuchEntity("Policy %s does not exist or is not attachable.", arn)
	}
	if slices.Contains(r.Attached, arn) {
		return &iam.AttachRolePolicyOutput{}, nil
	}
	if len(r.Attached) >= maxRolePolicies {
		return nil, iamLimit("Cannot exceed quota for PoliciesPerRole: %d", maxRolePolicies)
	}
	r.Attached = append(r.Attached, arn)
	slices.Sort(r.Attached)
	return &iam.AttachRolePolicyOutput{}, nil
}

func detachRolePolicy(c *call, in *iam.DetachRolePolicyInput) (*iam.DetachRolePolicyOutput, error) {
	r, err := c.ownRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	i := slices.Index(r.Attached, aws.ToString(in.PolicyArn))
	if i < 0 {
		return nil, noSuchEntity("Policy %s was not found.", aws.ToString(in.PolicyArn))
	}
	r.Attached = slices.Delete(r.Attached, i, i+1)
	return &iam.DetachRolePolicyOutput{}, nil
}

func listAttachedRolePolicies(c *call, in *iam.ListAttachedRolePoliciesInput) (*iam.ListAttachedRolePoliciesOutput, error) {
	r, err := c.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	var all []types.AttachedPolicy
	for _, arn := range r.Attached {
		all = append(all, types.AttachedPolicy{PolicyArn: aws.String(arn), PolicyName: aws.String(lastSegment(arn))})
	}
	page, marker, err := iamPage(c, all, in.MaxItems, in.Marker)
	if err != nil {
		return nil, err
	}
	return &iam.ListAttachedRolePoliciesOutput{AttachedPolicies: page, Marker: marker, IsTruncated: marker != nil}, nil
}

func managedPolicyARN(c *call, path, name *string) string {
	return "arn:" + c.w.state.Partition + ":iam::" + c.caller.Account + ":policy" + iamPath(path) + aws.ToString(name)
}

// managedPolicy finds a customer managed policy of the caller's account. AWS
// managed ones can be read but never changed.
func (c *call) managedPolicy(arn *string) (*managedPolicy, error) {
	if p := c.account().IAM.Policies[aws.ToString(arn)]; p != nil {
		return p, nil
	}
	if _, ok := awsManagedDocument(c.w.state.Partition, aws.ToString(arn)); ok {
		return nil, denied(c.service, "User: %s is not authorized to perform: iam:%s on resource: policy %s", c.caller.ARN, c.op, aws.ToString(arn))
	}
	return nil, noSuchPolicy(arn)
}

func noSuchPolicy(arn *string) error {
	return noSuchEntity("Policy %s was not found.", aws.ToString(arn))
}

// awsPolicyTime stands for the creation of AWS managed policies.
var awsPolicyTime = time.Date(2015, 2, 6, 18, 39, 46, 0, time.UTC)

// readPolicy is a managed policy of either kind, for reading; nil when there
// is none.
func (c *call) readPolicy(arn *string) *managedPolicy {
	if p := c.account().IAM.Policies[aws.ToString(arn)]; p != nil {
		return p
	}
	doc, ok := awsManagedDocument(c.w.state.Partition, aws.ToString(arn))
	if !ok {
		return nil
	}
	name := lastSegment(*arn)
	_, path, _ := strings.Cut(*arn, ":policy")
	return &managedPolicy{
		ARN: *arn, Name: name, Path: strings.TrimSuffix(path, name), ID: "ANPA" + strings.ToUpper(name), Default: "v1",
		Versions: []policyVersion{{ID: "v1", Document: doc, Created: awsPolicyTime}}, Created: awsPolicyTime, Updated: awsPolicyTime,
	}
}

// apiManagedPolicy is a managed policy as GetPolicy shows it.
func (c *call) apiManagedPolicy(p *managedPolicy) *types.Policy {
	out := &types.Policy{
		Arn: aws.String(p.ARN), PolicyName: aws.String(p.Name), Path: aws.String(p.Path), PolicyId: aws.String(p.ID),
		DefaultVersionId: aws.String(p.Default), IsAttachable: true, AttachmentCount: aws.Int32(0), PermissionsBoundaryUsageCount: aws.Int32(0),
		CreateDate: aws.Time(p.Created), UpdateDate: aws.Time(p.Updated), Tags: iamTags(p.Tags),
	}
	if p.Description != "" {
		out.Description = aws.String(p.Description)
	}
	for _, r := range c.account().IAM.Roles {
		if slices.Contains(r.Attached, p.ARN) {
			*out.AttachmentCount++
		}
		if r.Boundary == p.ARN {
			*out.PermissionsBoundaryUsageCount++
		}
	}
	return out
}

func createManagedPolicy(c *call, in *iam.CreatePolicyInput) (*iam.CreatePolicyOutput, error) {
	name, doc := aws.ToString(in.PolicyName), aws.ToString(in.PolicyDocument)
	if err := checkIAMName("policyName", name, iamPath(in.Path), 128); err != nil {
		return nil, err
	}
	s := &c.account().IAM
	for _, p := range s.Policies {
		if strings.EqualFold(p.Name, name) {
			return nil, entityExists("A policy called %s already exists. Duplicate names are not allowed.", name)
		}
	}
	if err := checkManagedDocument(doc); err != nil {
		return nil, err
	}
	tags, err := checkIAMTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	p := &managedPolicy{
		ARN: managedPolicyARN(c, in.Path, in.PolicyName), Name: name, Path: iamPath(in.Path), ID: c.w.uniqueID("ANPA"),
		Description: aws.ToString(in.Description), Default: "v1", NextVersion: 2,
		Versions: []policyVersion{{ID: "v1", Document: doc, Created: c.now}}, Tags: tags, Created: c.now, Updated: c.now,
	}
	if s.Policies == nil {
		s.Policies = map[string]*managedPolicy{}
	}
	s.Policies[p.ARN] = p
	return &iam.CreatePolicyOutput{Policy: c.apiManagedPolicy(p)}, nil
}

// checkManagedDocument checks a managed policy; white space does not count.
func checkManagedDocument(doc string) error {
	if err := checkIdentityPolicy(doc); err != nil {
		return err
	}
	if len(strings.Join(strings.Fields(doc), "")) > maxManagedPolicy {
		return iamLimit("Cannot exceed quota for PolicySize: %d", maxManagedPolicy)
	}
	return nil
}

func getManagedPolicy(c *call, in *iam.GetPolicyInput) (*iam.GetPolicyOutput, error) {
	p := c.readPolicy(in.PolicyArn)
	if p == nil {
		return nil, noSuchPolicy(in.PolicyArn)
	}
	return &iam.GetPolicyOutput{Policy: c.apiManagedPolicy(p)}, nil
}

func listManagedPolicies(c *call, in *iam.ListPoliciesInput) (*iam.ListPoliciesOutput, error) {
	var arns []string
	if in.Scope != types.PolicyScopeTypeAws {
		arns = slices.Sorted(maps.Keys(c.account().IAM.Policies))
	}
	if in.Scope != types.PolicyScopeTypeLocal {
		arns = append(arns, awsManagedARNs(c.w.state.Partition)...)
	}
	var all []types.Policy
	for _, arn := range arns {
		p := c.apiManagedPolicy(c.readPolicy(&arn))
		if !strings.HasPrefix(*p.Path, iamPath(in.PathPrefix)) || in.OnlyAttached && *p.AttachmentCount == 0 {
			continue
		}
		p.Tags = nil
		all = append(all, *p)
	}
	page, marker, err := iamPage(c, all, in.MaxItems, in.Marker)
	if err != nil {
		return nil, err
	}
	return &iam.ListPoliciesOutput{Policies: page, Marker: marker, IsTruncated: marker != nil}, nil
}

func deleteManagedPolicy(c *call, in *iam.DeletePolicyInput) (*iam.DeletePolicyOutput, error) {
	p, err := c.managedPolicy(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	switch shown := c.apiManagedPolicy(p); {
	case *shown.AttachmentCount+*shown.PermissionsBoundaryUsageCount > 0:
		return nil, deleteConflict("Cannot delete a policy attached to entities.")
	case len(p.Versions) > 1:
		return nil, deleteConflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
	}
	delete(c.account().IAM.Policies, p.ARN)
	return &iam.DeletePolicyOutput{}, nil
}

func apiVersion(p *managedPolicy, v *policyVersion, document bool) *types.PolicyVersion {
	out := &types.PolicyVersion{VersionId: aws.String(v.ID), IsDefaultVersion: v.ID == p.Default, CreateDate: aws.Time(v.Created)}
	if document {
		out.Document = aws.String(encodePolicy(v.Document))
	}
	return out
}

func createPolicyVersion(c *call, in *iam.CreatePolicyVersionInput) (*iam.CreatePolicyVersionOutput, error) {
	p, err := c.managedPolicy(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	if err := checkManagedDocument(aws.ToString(in.PolicyDocument)); err != nil {
		return nil, err
	}
	if len(p.Versions) >= maxVersions {
		return nil, iamLimit("A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
	}
	v := policyVersion{ID: "v" + strconv.Itoa(p.NextVersion), Document: *in.PolicyDocument, Created: c.now}
	p.NextVersion++
	p.Versions, p.Updated = append(p.Versions, v), c.now
	if in.SetAsDefault {
		p.Default = v.ID
	}
	return &iam.CreatePolicyVersionOutput{PolicyVersion: apiVersion(p, &v, false)}, nil
}

// version finds a version of a policy.
func (c *call) version(p *managedPolicy, arn, id *string) (*policyVersion, error) {
	if v := p.version(aws.ToString(id)); v != nil {
		return v, nil
	}
	return nil, noSuchEntity("Policy %s version %s does not exist or is not attachable.", aws.ToString(arn), aws.ToString(id))
}

func getPolicyVersion(c *call, in *iam.GetPolicyVersionInput) (*iam.GetPolicyVersionOutput, error) {
	p := c.readPolicy(in.PolicyArn)
	if p == nil {
		return nil, noSuchPolicy(in.PolicyArn)
	}
	v, err := c.version(p, in.PolicyArn, in.VersionId)
	if err != nil {
		return nil, err
	}
	return &iam.GetPolicyVersionOutput{PolicyVersion: apiVersion(p, v, true)}, nil
}

// listPolicyVersions lists the newest first.
func listPolicyVersions(c *call, in *iam.ListPolicyVersionsInput) (*iam.ListPolicyVersionsOutput, error) {
	p := c.readPolicy(in.PolicyArn)
	if p == nil {
		return nil, noSuchPolicy(in.PolicyArn)
	}
	var all []types.PolicyVersion
	for i := range slices.Backward(p.Versions) {
		all = append(all, *apiVersion(p, &p.Versions[i], false))
	}
	page, marker, err := iamPage(c, all, in.MaxItems, in.Marker)
	if err != nil {
		return nil, err
	}
	return &iam.ListPolicyVersionsOutput{Versions: page, Marker: marker, IsTruncated: marker != nil}, nil
}

func deletePolicyVersion(c *call, in *iam.DeletePolicyVersionInput) (*iam.DeletePolicyVersionOutput, error) {
	p, err := c.managedPolicy(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	v, err := c.version(p, in.PolicyArn, in.VersionId)
	if err != nil {
		return nil, err
	}
	if v.ID == p.Default {
		return nil, deleteConflict("Cannot delete the default version of a policy.")
	}
	id := v.ID
	p.Versions = slices.DeleteFunc(p.Versions, func(v policyVersion) bool { return v.ID == id })
	p.Updated = c.now
	return &iam.DeletePolicyVersionOutput{}, nil
}

func setDefaultPolicyVersion(c *call, in *iam.SetDefaultPolicyVersionInput) (*iam.SetDefaultPolicyVersionOutput, error) {
	p, err := c.managedPolicy(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	v, err := c.version(p, in.PolicyArn, in.VersionId)
	if err != nil {
		return nil, err
	}
	p.Default, p.Updated = v.ID, c.now
	return &iam.SetDefaultPolicyVersionOutput{}, nil
}

func listEntitiesForPolicy(c *call, in *iam.ListEntitiesForPolicyInput) (*iam.ListEntitiesForPolicyOutput, error) {
	p := c.readPolicy(in.PolicyArn)
	if p == nil {
		return nil, noSuchPolicy(in.PolicyArn)
	}
	var all []types.PolicyRole
	for _, name := range slices.Sorted(maps.Keys(c.account().IAM.Roles)) {
		r := c.account().IAM.Roles[name]
		used := slices.Contains(r.Attached, p.ARN) && in.PolicyUsageFilter != types.PolicyUsageTypePermissionsBoundary ||
			r.Boundary == p.ARN && in.PolicyUsageFilter != types.PolicyUsageTypePermissionsPolicy
		if used && strings.HasPrefix(r.Path, iamPath(in.PathPrefix)) {
			all = append(all, types.PolicyRole{RoleName: aws.String(r.Name), RoleId: aws.String(r.ID)})
		}
	}
	page, marker, err := iamPage(c, all, in.MaxItems, in.Marker)
	if err != nil {
		return nil, err
	}
	return &iam.ListEntitiesForPolicyOutput{PolicyRoles: page, Marker: marker, IsTruncated: marker != nil}, nil
}

func tagManagedPolicy(c *call, in *iam.TagPolicyInput) (*iam.TagPolicyOutput, error) {
	p, err := c.managedPolicy(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	if p.Tags, err = mergeTags(p.Tags, in.Tags); err != nil {
		return nil, err
	}
	return &iam.TagPolicyOutput{}, nil
}

func untagManagedPolicy(c *call, in *iam.UntagPolicyInput) (*iam.UntagPolicyOutput, error) {
	p, err := c.managedPolicy(in.PolicyArn)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(p.Tags, k)
	}
	return &iam.UntagPolicyOutput{}, nil
}

func listPolicyTags(c *call, in *iam.ListPolicyTagsInput) (*iam.ListPolicyTagsOutput, error) {
	p := c.readPolicy(in.PolicyArn)
	if p == nil {
		return nil, noSuchPolicy(in.PolicyArn)
	}
	page, marker, err := iamPage(c, iamTags(p.Tags), in.MaxItems, in.Marker)
	if err != nil {
		return nil, err
	}
	return &iam.ListPolicyTagsOutput{Tags: page, Marker: marker, IsTruncated: marker != nil}, nil
}
