package sim

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

// iamOps is Identity and Access Management.
var iamOps = map[string]operation{
	"CreateRole":             on(op(write, createRole), func(c *call, in *iam.CreateRoleInput) string { return newRoleARN(c, in.Path, in.RoleName) }),
	"GetRole":                on(op(read, getRole), func(c *call, in *iam.GetRoleInput) string { return roleResource(c, in.RoleName) }),
	"ListRoles":              op(read, listRoles),
	"UpdateRole":             on(op(write, updateRole), func(c *call, in *iam.UpdateRoleInput) string { return roleResource(c, in.RoleName) }),
	"DeleteRole":             on(op(write, deleteRole), func(c *call, in *iam.DeleteRoleInput) string { return roleResource(c, in.RoleName) }),
	"UpdateAssumeRolePolicy": on(op(write, updateAssumeRolePolicy), func(c *call, in *iam.UpdateAssumeRolePolicyInput) string { return roleResource(c, in.RoleName) }),
	"TagRole":                on(op(write, tagRole), func(c *call, in *iam.TagRoleInput) string { return roleResource(c, in.RoleName) }),
	"UntagRole":              on(op(write, untagRole), func(c *call, in *iam.UntagRoleInput) string { return roleResource(c, in.RoleName) }),
	"ListRoleTags":           on(op(read, listRoleTags), func(c *call, in *iam.ListRoleTagsInput) string { return roleResource(c, in.RoleName) }),
	"PutRolePermissionsBoundary": on(op(write, putRoleBoundary), func(c *call, in *iam.PutRolePermissionsBoundaryInput) string {
		return roleResource(c, in.RoleName)
	}),
	"DeleteRolePermissionsBoundary": on(op(write, deleteRoleBoundary), func(c *call, in *iam.DeleteRolePermissionsBoundaryInput) string {
		return roleResource(c, in.RoleName)
	}),

	"PutRolePolicy":            on(op(write, putRolePolicy), func(c *call, in *iam.PutRolePolicyInput) string { return roleResource(c, in.RoleName) }),
	"GetRolePolicy":            on(op(read, getRolePolicy), func(c *call, in *iam.GetRolePolicyInput) string { return roleResource(c, in.RoleName) }),
	"ListRolePolicies":         on(op(read, listRolePolicies), func(c *call, in *iam.ListRolePoliciesInput) string { return roleResource(c, in.RoleName) }),
	"DeleteRolePolicy":         on(op(write, deleteRolePolicy), func(c *call, in *iam.DeleteRolePolicyInput) string { return roleResource(c, in.RoleName) }),
	"AttachRolePolicy":         on(op(write, attachRolePolicy), func(c *call, in *iam.AttachRolePolicyInput) string { return roleResource(c, in.RoleName) }),
	"DetachRolePolicy":         on(op(write, detachRolePolicy), func(c *call, in *iam.DetachRolePolicyInput) string { return roleResource(c, in.RoleName) }),
	"ListAttachedRolePolicies": on(op(read, listAttachedRolePolicies), func(c *call, in *iam.ListAttachedRolePoliciesInput) string { return roleResource(c, in.RoleName) }),

	"CreateServiceLinkedRole": on(op(write, createServiceLinkedRole), func(c *call, in *iam.CreateServiceLinkedRoleInput) string {
		return "arn:" + c.w.state.Partition + ":iam::" + c.caller.Account + ":role/aws-service-role/" + aws.ToString(in.AWSServiceName) + "/*"
	}),
	"DeleteServiceLinkedRole": on(op(write, deleteServiceLinkedRole), func(c *call, in *iam.DeleteServiceLinkedRoleInput) string {
		return roleResource(c, in.RoleName)
	}),
	"GetServiceLinkedRoleDeletionStatus": op(read, getServiceLinkedRoleDeletionStatus),

	"CreatePolicy": on(op(write, createManagedPolicy), func(c *call, in *iam.CreatePolicyInput) string {
		return managedPolicyARN(c, in.Path, in.PolicyName)
	}),
	"GetPolicy":               on(op(read, getManagedPolicy), func(_ *call, in *iam.GetPolicyInput) string { return aws.ToString(in.PolicyArn) }),
	"ListPolicies":            op(read, listManagedPolicies),
	"DeletePolicy":            on(op(write, deleteManagedPolicy), func(_ *call, in *iam.DeletePolicyInput) string { return aws.ToString(in.PolicyArn) }),
	"CreatePolicyVersion":     on(op(write, createPolicyVersion), func(_ *call, in *iam.CreatePolicyVersionInput) string { return aws.ToString(in.PolicyArn) }),
	"GetPolicyVersion":        on(op(read, getPolicyVersion), func(_ *call, in *iam.GetPolicyVersionInput) string { return aws.ToString(in.PolicyArn) }),
	"ListPolicyVersions":      on(op(read, listPolicyVersions), func(_ *call, in *iam.ListPolicyVersionsInput) string { return aws.ToString(in.PolicyArn) }),
	"DeletePolicyVersion":     on(op(write, deletePolicyVersion), func(_ *call, in *iam.DeletePolicyVersionInput) string { return aws.ToString(in.PolicyArn) }),
	"SetDefaultPolicyVersion": on(op(write, setDefaultPolicyVersion), func(_ *call, in *iam.SetDefaultPolicyVersionInput) string { return aws.ToString(in.PolicyArn) }),
	"ListEntitiesForPolicy":   on(op(read, listEntitiesForPolicy), func(_ *call, in *iam.ListEntitiesForPolicyInput) string { return aws.ToString(in.PolicyArn) }),
	"TagPolicy":               on(op(write, tagManagedPolicy), func(_ *call, in *iam.TagPolicyInput) string { return aws.ToString(in.PolicyArn) }),
	"UntagPolicy":             on(op(write, untagManagedPolicy), func(_ *call, in *iam.UntagPolicyInput) string { return aws.ToString(in.PolicyArn) }),
	"ListPolicyTags":          on(op(read, listPolicyTags), func(_ *call, in *iam.ListPolicyTagsInput) string { return aws.ToString(in.PolicyArn) }),

	"CreateAccountAlias": op(write, createAccountAlias),
	"ListAccountAliases": op(read, listAccountAliases),
	"GetAccountSummary":  op(read, getAccountSummary),

	"GetAccountPasswordPolicy":    op(read, getPasswordPolicy),
	"UpdateAccountPasswordPolicy": op(write, updatePasswordPolicy),
	"DeleteAccountPasswordPolicy": op(write, deletePasswordPolicy),

	"GetAccountAuthorizationDetails": op(read, getAccountAuthorizationDetails),
	"SimulateCustomPolicy":           op(read, simulateCustomPolicy),
	"SimulatePrincipalPolicy": on(op(read, simulatePrincipalPolicy), func(_ *call, in *iam.SimulatePrincipalPolicyInput) string {
		return aws.ToString(in.PolicySourceArn)
	}),
}

// Quotas of IAM.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const (
	maxRoles          = 1000
	maxRolePolicies   = 20 // managed ones attached to a role
	maxInlinePolicies = 10_240
	maxManagedPolicy  = 6_144
	maxTrustPolicy    = 4_096 // 2,048 by default, this is the most one can ask for
	maxVersions       = 5
	maxIAMTags        = 50
)

// newRoleARN is the ARN a role will have; roleResource that of one by name.
func newRoleARN(c *call, path, name *string) string {
	return "arn:" + c.w.state.Partition + ":iam::" + c.caller.Account + ":role" + iamPath(path) + aws.ToString(name)
}

func roleResource(c *call, name *string) string {
	if r := c.account().IAM.Roles[aws.ToString(name)]; r != nil {
		return c.w.roleARN(c.caller.Account, r)
	}
	return newRoleARN(c, nil, name)
}

// boundaryKey is the value of iam:PermissionsBoundary: the boundary that a role is
// to have, or that of the role whose policies are changed. Other actions do not have
// the key.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
func (c *call) boundaryKey(in any) string {
	of := func(name *string) string {
		if r := c.account().IAM.Roles[aws.ToString(name)]; r != nil {
			return r.Boundary
		}
		return ""
	}
	switch in := in.(type) {
	case *iam.CreateRoleInput:
		return aws.ToString(in.PermissionsBoundary)
	case *iam.PutRolePermissionsBoundaryInput:
		return aws.ToString(in.PermissionsBoundary)
	case *iam.DeleteRolePermissionsBoundaryInput:
		return of(in.RoleName)
	case *iam.AttachRolePolicyInput:
		return of(in.RoleName)
	case *iam.DetachRolePolicyInput:
		return of(in.RoleName)
	case *iam.PutRolePolicyInput:
		return of(in.RoleName)
	case *iam.DeleteRolePolicyInput:
		return of(in.RoleName)
	}
	return ""
}

// iamPath is a path with its default.
func iamPath(path *string) string {
	if p := aws.ToString(path); p != "" {
		return p
	}
	return "/"
}

func noSuchEntity(format string, args ...any) error {
	return &types.NoSuchEntityException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func deleteConflict(format string, args ...any) error {
	return &types.DeleteConflictException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func entityExists(format string, args ...any) error {
	return &types.EntityAlreadyExistsException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func iamLimit(format string, args ...any) error {
	return &types.LimitExceededException{Message: aws.String(fmt.Sprintf(format, args...))}
}

func iamValidation(format string, args ...any) error {
	return apiError("ValidationError", format, args...)
}

// role finds a role of the caller's account.
func (c *call) role(name *string) (*role, error) {
	r := c.account().IAM.Roles[aws.ToString(name)]
	if r == nil {
		return nil, noSuchEntity("The role with name %s cannot be found.", aws.ToString(name))
	}
	return r, nil
}

// ownRole is role for changes: only its service may change a service-linked role.
func (c *call) ownRole(name *string) (*role, error) {
	r, err := c.role(name)
	if err != nil {
		return nil, err
	}
	if r.serviceLinked() && c.caller.Type != principalService {
		return nil, &types.UnmodifiableEntityException{Message: aws.String(fmt.Sprintf("Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", r.Name))}
	}
	return r, nil
}

// apiRole is a role as GetRole shows it. Policy documents in IAM's answers are
// URL-encoded, whatever was sent.
func (w *World) apiRole(account string, r *role) *types.Role {
	out := &types.Role{
		Arn: aws.String(w.roleARN(account, r)), RoleName: aws.String(r.Name), Path: aws.String(r.Path), RoleId: aws.String(r.ID),
		CreateDate: aws.Time(r.Created), AssumeRolePolicyDocument: aws.String(encodePolicy(r.Trust)),
		MaxSessionDuration: aws.Int32(r.MaxSession), RoleLastUsed: &types.RoleLastUsed{}, Tags: iamTags(r.Tags),
	}
	if r.Description != "" {
		out.Description = aws.String(r.Description)
	}
	if r.Boundary != "" {
		out.PermissionsBoundary = &types.AttachedPermissionsBoundary{
			PermissionsBoundaryArn: aws.String(r.Boundary), PermissionsBoundaryType: types.PermissionsBoundaryAttachmentTypePolicy,
		}
	}
	return out
}

// encodePolicy encodes a document as RFC 3986 has it.
func encodePolicy(doc string) string { return strings.ReplaceAll(url.QueryEscape(doc), "+", "%20") }

func iamTags(tags map[string]string) []types.Tag {
	var out []types.Tag
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return out
}

var (
	iamNamePattern = orgs.NewPattern(`^[\w+=,.@-]+$`)
	iamPathPattern = orgs.NewPattern(`^(/|/[\x21-\x7e]+/)$`)
)

// checkIAMName checks the name and path of a role (64 characters) or policy (128).
func checkIAMName(member, name, path string, length int) error {
	switch {
	case !iamNamePattern.MatchString(name):
		return iamValidation("The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", member)
	case len(name) > length:
		return iamValidation("1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have length less than or equal to %d", member, length)
	case !iamPathPattern.MatchString(path) || len(path) > 512:
		return iamValidation("The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return nil
}

// checkIAMTags merges tags into those a resource has.
func checkIAMTags(have map[string]string, tags []types.Tag) (map[string]string, error) {
	out := maps.Clone(have)
	if out == nil && len(tags) > 0 {
		out = map[string]string{}
	}
	seen := map[string]bool{}
	for _, t := range tags {
		key := aws.ToString(t.Key)
		if fold := strings.ToLower(key); seen[fold] {
			return nil, &types.InvalidInputException{Message: aws.String("Duplicate tag keys found. Please note that Tag keys are case insensitive.")}
		} else if seen[fold] = true; strings.HasPrefix(fold, "aws:") && !strings.HasPrefix(fold, "aws:cloudformation:") {
			return nil, &types.InvalidInputException{Message: aws.String("System tags cannot be added, modified or deleted.")}
		}
		out[key] = aws.ToString(t.Value)
	}
	if len(out) > maxIAMTags {
		return nil, iamLimit("The number of tags has reached the maximum limit.")
	}
	return out, nil
}

// checkTrust checks a trust policy: its grammar, and that the roles it names
// exist where this world can know.
func (c *call) checkTrust(doc string) error {
	malformed := func(text string) error {
		return &types.MalformedPolicyDocumentException{Message: aws.String(text)}
	}
	if _, err := parseResourcePolicy(doc); err != nil {
		return malformed("This policy contains invalid Json")
	}
	if strings.Contains(doc, `"Resource"`) {
		return malformed("Has prohibited field Resource")
	}
	if who := c.w.strangePrincipal(doc); who != "" {
		return malformed(fmt.Sprintf("Invalid principal in policy: \"AWS\":\"%s\"", who))
	}
	if len(doc) > maxTrustPolicy {
		return iamLimit("Cannot exceed quota for ACLSizePerRole: %d", maxTrustPolicy)
	}
	return nil
}

// checkIdentityPolicy checks an identity-based policy.
func checkIdentityPolicy(doc string) error {
	if _, err := scp.Parse("policy", []byte(doc)); err != nil {
		return &types.MalformedPolicyDocumentException{Message: aws.String("Syntax errors in policy.")}
	}
	return nil
}

func createRole(c *call, in *iam.CreateRoleInput) (*iam.CreateRoleOutput, error) {
	name, path := aws.ToString(in.RoleName), iamPath(in.Path)
	if err := checkIAMName("roleName", name, path, 64); err != nil {
		return nil, err
	}
	if strings.HasPrefix(path, "/aws-service-role/") && c.caller.Type != principalService {
		return nil, iamValidation("The path /aws-service-role/ is reserved for service-linked roles.")
	}
	roles := c.account().IAM.Roles
	for other := range roles {
		if strings.EqualFold(other, name) { // names differ by more than letter case
			return nil, entityExists("Role with name %s already exists.", name)
		}
	}
	if len(roles) >= maxRoles {
		return nil, iamLimit("Cannot exceed quota for RolesPerAccount: %d", maxRoles)
	}
	if err := c.checkTrust(aws.ToString(in.AssumeRolePolicyDocument)); err != nil {
		return nil, err
	}
	duration, err := checkMaxSession(in.MaxSessionDuration)
	if err != nil {
		return nil, err
	}
	tags, err := checkIAMTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	boundary := aws.ToString(in.PermissionsBoundary)
	if err := c.checkBoundary(boundary); err != nil {
		return nil, err
	}
	r := &role{
		Name: name, Path: path, Trust: aws.ToString(in.AssumeRolePolicyDocument), Description: aws.ToString(in.Description),
		MaxSession: duration, Boundary: boundary, Tags: tags, Created: c.now,
	}
	c.w.putRole(c.caller.Account, r)
	return &iam.CreateRoleOutput{Role: c.w.apiRole(c.caller.Account, r)}, nil
}

func checkMaxSession(d *int32) (int32, error) {
	if d == nil {
		return defaultSession, nil
	}
	if *d < defaultSession || *d > maxSession {
		return 0, iamValidation("1 validation error detected: Value '%d' at 'maxSessionDuration' failed to satisfy constraint: Member must have value between %d and %d", *d, defaultSession, maxSession)
	}
	return *d, nil
}

// checkBoundary checks that a permissions boundary exists; "" is none.
func (c *call) checkBoundary(arn string) error {
	if arn == "" {
		return nil
	}
	if _, ok := c.w.policyDocument(c.caller.Account, arn); !ok {
		return noSuchEntity("Scope ARN: %s does not exist or is not attachable.", arn)
	}
	return nil
}

func getRole(c *call, in *iam.GetRoleInput) (*iam.GetRoleOutput, error) {
	r, err := c.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	return &iam.GetRoleOutput{Role: c.w.apiRole(c.caller.Account, r)}, nil
}

// listRoles lists roles in the order of their names. Tags, the boundary and
// the last use are for GetRole alone.
func listRoles(c *call, in *iam.ListRolesInput) (*iam.ListRolesOutput, error) {
	prefix := iamPath(in.PathPrefix)
	var all []types.Role
	for _, name := range slices.Sorted(maps.Keys(c.account().IAM.Roles)) {
		if r := c.account().IAM.Roles[name]; strings.HasPrefix(r.Path, prefix) {
			shown := c.w.apiRole(c.caller.Account, r)
			shown.Tags, shown.PermissionsBoundary, shown.RoleLastUsed = nil, nil, nil
			all = append(all, *shown)
		}
	}
	page, marker, err := iamPage(c, all, in.MaxItems, in.Marker)
	if err != nil {
		return nil, err
	}
	return &iam.ListRolesOutput{Roles: page, Marker: marker, IsTruncated: marker != nil}, nil
}

// iamPage cuts a page of IAM: 100 unless told otherwise, 1,000 at most.
func iamPage[T any](c *call, items []T, limit *int32, marker *string) ([]T, *string, error) {
	n := int32(100)
	if limit != nil {
		n = *limit
	}
	if n < 1 || n > 1000 {
		return nil, nil, iamValidation("1 validation error detected: Value '%d' at 'maxItems' failed to satisfy constraint: Member must have value between 1 and 1000", n)
	}
	page, next, ok := pageOf(c, items, int(n), marker)
	if !ok {
		return nil, nil, iamValidation("Invalid Marker: %s", aws.ToString(marker))
	}
	if page == nil {
		page = []T{}
	}
	return page, next, nil
}

func updateRole(c *call, in *iam.UpdateRoleInput) (*iam.UpdateRoleOutput, error) {
	r, err := c.ownRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	duration, err := checkMaxSession(in.MaxSessionDuration)
	if err != nil {
		return nil, err
	}
	if in.Description != nil {
		r.Description = *in.Description
	}
	if in.MaxSessionDuration != nil {
		r.MaxSession = duration
	}
	return &iam.UpdateRoleOutput{}, nil
}

func deleteRole(c *call, in *iam.DeleteRoleInput) (*iam.DeleteRoleOutput, error) {
	r, err := c.ownRole(in.RoleName)
	switch {
	case err != nil:
		return nil, err
	case len(r.Attached) > 0:
		return nil, deleteConflict("Cannot delete entity, must detach all policies first.")
	case len(r.Inline) > 0:
		return nil, deleteConflict("Cannot delete entity, must delete policies first.")
	}
	delete(c.account().IAM.Roles, r.Name)
	return &iam.DeleteRoleOutput{}, nil
}

func updateAssumeRolePolicy(c *call, in *iam.UpdateAssumeRolePolicyInput) (*iam.UpdateAssumeRolePolicyOutput, error) {
	r, err := c.ownRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	if err := c.checkTrust(aws.ToString(in.PolicyDocument)); err != nil {
		return nil, err
	}
	r.Trust = *in.PolicyDocument
	return &iam.UpdateAssumeRolePolicyOutput{}, nil
}

func tagRole(c *call, in *iam.TagRoleInput) (*iam.TagRoleOutput, error) {
	r, err := c.ownRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	if r.Tags, err = mergeTags(r.Tags, in.Tags); err != nil {
		return nil, err
	}
	return &iam.TagRoleOutput{}, nil
}

// mergeTags is checkIAMTags that keeps the old tags when there is an error.
func mergeTags(have map[string]string, tags []types.Tag) (map[string]string, error) {
	merged, err := checkIAMTags(have, tags)
	if err != nil {
		return have, err
	}
	return merged, nil
}

func untagRole(c *call, in *iam.UntagRoleInput) (*iam.UntagRoleOutput, error) {
	r, err := c.ownRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(r.Tags, k)
	}
	return &iam.UntagRoleOutput{}, nil
}

func listRoleTags(c *call, in *iam.ListRoleTagsInput) (*iam.ListRoleTagsOutput, error) {
	r, err := c.role(in.RoleName)
	if err != nil {
		return nil, err
	}
	page, marker, err := iamPage(c, iamTags(r.Tags), in.MaxItems, in.Marker)
	if err != nil {
		return nil, err
	}
	return &iam.ListRoleTagsOutput{Tags: page, Marker: marker, IsTruncated: marker != nil}, nil
}

func putRoleBoundary(c *call, in *iam.PutRolePermissionsBoundaryInput) (*iam.PutRolePermissionsBoundaryOutput, error) {
	r, err := c.ownRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	if err := c.checkBoundary(aws.ToString(in.PermissionsBoundary)); err != nil {
		return nil, err
	}
	r.Boundary = aws.ToString(in.PermissionsBoundary)
	return &iam.PutRolePermissionsBoundaryOutput{}, nil
}

func deleteRoleBoundary(c *call, in *iam.DeleteRolePermissionsBoundaryInput) (*iam.DeleteRolePermissionsBoundaryOutput, error) {
	r, err := c.ownRole(in.RoleName)
	if err != nil {
		return nil, err
	}
	r.Boundary = ""
	return &iam.DeleteRolePermissionsBoundaryOutput{}, nil
}
