package sim

import (
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// getAccountAuthorizationDetails gives all of an account's IAM at once: its
// roles with their policies, and the managed policies that are attached to
// something. Users and groups are not modelled, so there are none.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
func getAccountAuthorizationDetails(c *call, in *iam.GetAccountAuthorizationDetailsInput) (*iam.GetAccountAuthorizationDetailsOutput, error) {
	wants := func(t types.EntityType) bool { return len(in.Filter) == 0 || slices.Contains(in.Filter, t) }
	// One listing of both kinds, so that a page may hold some of each, as in AWS.
	type item struct {
		role   *types.RoleDetail
		policy *types.ManagedPolicyDetail
	}
	var items []item
	a := c.account()
	if wants(types.EntityTypeRole) {
		for _, name := range slices.Sorted(maps.Keys(a.IAM.Roles)) {
			items = append(items, item{role: c.roleDetail(a.IAM.Roles[name])})
		}
	}
	for _, arn := range c.attachedPolicies() {
		kind := types.EntityTypeAWSManagedPolicy
		if a.IAM.Policies[arn] != nil {
			kind = types.EntityTypeLocalManagedPolicy
		}
		if wants(kind) {
			items = append(items, item{policy: c.policyDetail(arn)})
		}
	}
	page, marker, err := iamPage(c, items, in.MaxItems, in.Marker)
	if err != nil {
		return nil, err
	}
	out := &iam.GetAccountAuthorizationDetailsOutput{Marker: marker, IsTruncated: marker != nil}
	for _, it := range page {
		if it.role != nil {
			out.RoleDetailList = append(out.RoleDetailList, *it.role)
		} else {
			out.Policies = append(out.Policies, *it.policy)
		}
	}
	return out, nil
}

func (c *call) roleDetail(r *role) *types.RoleDetail {
	out := &types.RoleDetail{
		Arn: aws.String(c.w.roleARN(c.caller.Account, r)), RoleName: aws.String(r.Name), Path: aws.String(r.Path), RoleId: aws.String(r.ID),
		CreateDate: aws.Time(r.Created), AssumeRolePolicyDocument: aws.String(encodePolicy(r.Trust)), Tags: iamTags(r.Tags),
		RoleLastUsed: &types.RoleLastUsed{},
	}
	for _, name := range slices.Sorted(maps.Keys(r.Inline)) {
		out.RolePolicyList = append(out.RolePolicyList, types.PolicyDetail{PolicyName: aws.String(name), PolicyDocument: aws.String(encodePolicy(r.Inline[name]))})
	}
	for _, arn := range r.Attached {
		out.AttachedManagedPolicies = append(out.AttachedManagedPolicies, types.AttachedPolicy{PolicyArn: aws.String(arn), PolicyName: aws.String(lastSegment(arn))})
	}
	if r.Boundary != "" {
		out.PermissionsBoundary = &types.AttachedPermissionsBoundary{
			PermissionsBoundaryArn: aws.String(r.Boundary), PermissionsBoundaryType: types.PermissionsBoundaryAttachmentTypePolicy,
		}
	}
	return out
}

// attachedPolicies are the managed policies in use, and all of the customer's.
func (c *call) attachedPolicies() []string {
	seen := map[string]bool{}
	for arn := range c.account().IAM.Policies {
		seen[arn] = true
	}
	for _, r := range c.account().IAM.Roles {
		for _, arn := range append(slices.Clone(r.Attached), r.Boundary) {
			if c.readPolicy(&arn) != nil {
				seen[arn] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func (c *call) policyDetail(arn string) *types.ManagedPolicyDetail {
	p := c.readPolicy(&arn)
	out := &types.ManagedPolicyDetail{
		Arn: aws.String(p.ARN), PolicyName: aws.String(p.Name), Path: aws.String(p.Path), PolicyId: aws.String(p.ID),
		DefaultVersionId: aws.String(p.Default), IsAttachable: true, CreateDate: aws.Time(p.Created), UpdateDate: aws.Time(p.Updated),
	}
	for _, v := range p.Versions {
		out.PolicyVersionList = append(out.PolicyVersionList, types.PolicyVersion{
			VersionId: aws.String(v.ID), Document: aws.String(encodePolicy(v.Document)), IsDefaultVersion: v.ID == p.Default, CreateDate: aws.Time(v.Created),
		})
	}
	return out
}
