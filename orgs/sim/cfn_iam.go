package sim

import (
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

var cfnRole = resourceType{
	name: "RoleName", nameLength: 64,
	required:   []string{"AssumeRolePolicyDocument"},
	properties: []string{"Description", "ManagedPolicyArns", "MaxSessionDuration", "Path", "PermissionsBoundary", "Policies"},
	replace:    []string{"RoleName", "Path"},
	attrs:      []string{"Arn", "RoleId"},
	tagged:     true,
	iam:        true,
	create:     createCFNRole,
	update:     updateCFNRole,
	delete:     deleteCFNRole,
	read:       readCFNRole,
}

func roleTags(tags map[string]string) []types.Tag {
	return tagsOf(tags, func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} })
}

func createCFNRole(p *provision) error {
	name := p.generateName()
	in := &iam.CreateRoleInput{
		RoleName: &name, AssumeRolePolicyDocument: aws.String(p.props.document("AssumeRolePolicyDocument")),
		Description: p.props.opt("Description"), Path: p.props.opt("Path"), PermissionsBoundary: p.props.opt("PermissionsBoundary"), Tags: roleTags(p.tags()),
	}
	if err := bind(p.props["MaxSessionDuration"], &in.MaxSessionDuration); err != nil {
		return err
	}
	out, err := perform[iam.CreateRoleOutput](p, "IAM", "CreateRole", in)
	if err != nil {
		return err
	}
	p.res.Physical = name
	p.set("Arn", aws.ToString(out.Role.Arn))
	p.set("RoleId", aws.ToString(out.Role.RoleId))
	return putRolePolicies(p)
}

// putRolePolicies makes the role's inline and attached policies those of the
// template; policies that something else gave the role stay.
func putRolePolicies(p *provision) error {
	role := &p.res.Physical
	now := map[string]bool{}
	for _, e := range p.props.list("Policies") {
		policy := asProps(e)
		now[policy.text("PolicyName")] = true
		in := &iam.PutRolePolicyInput{RoleName: role, PolicyName: policy.opt("PolicyName"), PolicyDocument: aws.String(policy.document("PolicyDocument"))}
		if err := try(p, "IAM", "PutRolePolicy", in); err != nil {
			return err
		}
	}
	for _, e := range p.old.list("Policies") {
		if name := asProps(e).text("PolicyName"); !now[name] {
			if err := try(p, "IAM", "DeleteRolePolicy", &iam.DeleteRolePolicyInput{RoleName: role, PolicyName: &name}); ignore(err, "NoSuchEntity") != nil {
				return err
			}
		}
	}
	arns, before := p.props.texts("ManagedPolicyArns"), p.old.texts("ManagedPolicyArns")
	for _, arn := range arns {
		if err := try(p, "IAM", "AttachRolePolicy", &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: &arn}); err != nil {
			return err
		}
	}
	for _, arn := range before {
		if !slices.Contains(arns, arn) {
			if err := try(p, "IAM", "DetachRolePolicy", &iam.DetachRolePolicyInput{RoleName: role, PolicyArn: &arn}); ignore(err, "NoSuchEntity") != nil {
				return err
			}
		}
	}
	return nil
}

func updateCFNRole(p *provision) error {
	role := &p.res.Physical
	if p.changed("AssumeRolePolicyDocument") {
		in := &iam.UpdateAssumeRolePolicyInput{RoleName: role, PolicyDocument: aws.String(p.props.document("AssumeRolePolicyDocument"))}
		if err := try(p, "IAM", "UpdateAssumeRolePolicy", in); err != nil {
			return err
		}
	}
	if p.changed("Description") || p.changed("MaxSessionDuration") {
		in := &iam.UpdateRoleInput{RoleName: role, Description: p.props.opt("Description")}
		if err := bind(p.props["MaxSessionDuration"], &in.MaxSessionDuration); err != nil {
			return err
		}
		if err := try(p, "IAM", "UpdateRole", in); err != nil {
			return err
		}
	}
	if p.changed("PermissionsBoundary") {
		var err error
		if p.props.has("PermissionsBoundary") {
			err = try(p, "IAM", "PutRolePermissionsBoundary", &iam.PutRolePermissionsBoundaryInput{RoleName: role, PermissionsBoundary: p.props.opt("PermissionsBoundary")})
		} else {
			err = try(p, "IAM", "DeleteRolePermissionsBoundary", &iam.DeleteRolePermissionsBoundaryInput{RoleName: role})
		}
		if err != nil {
			return err
		}
	}
	if err := putRolePolicies(p); err != nil {
		return err
	}
	if gone := p.goneTags(); len(gone) > 0 {
		if err := try(p, "IAM", "UntagRole", &iam.UntagRoleInput{RoleName: role, TagKeys: gone}); err != nil {
			return err
		}
	}
	return try(p, "IAM", "TagRole", &iam.TagRoleInput{RoleName: role, Tags: roleTags(p.tags())})
}

// changed says whether a property differs from what it was.
func (p *provision) changed(property string) bool {
	return jsonText(p.old[property]) != jsonText(p.props[property])
}

// deleteCFNRole takes away the role's policies first, as IAM wants it. What
// somebody added outside the template makes IAM refuse the deletion.
func deleteCFNRole(p *provision) error {
	role := &p.res.Physical
	for _, e := range p.props.list("Policies") {
		err := try(p, "IAM", "DeleteRolePolicy", &iam.DeleteRolePolicyInput{RoleName: role, PolicyName: asProps(e).opt("PolicyName")})
		if ignore(err, "NoSuchEntity") != nil {
			return err
		}
	}
	for _, arn := range p.props.texts("ManagedPolicyArns") {
		err := try(p, "IAM", "DetachRolePolicy", &iam.DetachRolePolicyInput{RoleName: role, PolicyArn: &arn})
		if ignore(err, "NoSuchEntity") != nil {
			return err
		}
	}
	return ignore(try(p, "IAM", "DeleteRole", &iam.DeleteRoleInput{RoleName: role}), "NoSuchEntity")
}

func readCFNRole(p *provision) (map[string]any, error) {
	role := &p.res.Physical
	out, err := perform[iam.GetRoleOutput](p, "IAM", "GetRole", &iam.GetRoleInput{RoleName: role})
	if err != nil {
		return nil, err
	}
	attached, err := perform[iam.ListAttachedRolePoliciesOutput](p, "IAM", "ListAttachedRolePolicies", &iam.ListAttachedRolePoliciesInput{RoleName: role})
	if err != nil {
		return nil, err
	}
	// What a managed policy of the same stack attached is no drift of the role.
	others := map[string]bool{}
	for _, r := range p.stack.Resources {
		others[r.Physical] = r.Type == "AWS::IAM::ManagedPolicy"
	}
	arns := []any{}
	for _, a := range attached.AttachedPolicies {
		if arn := aws.ToString(a.PolicyArn); !others[arn] || slices.Contains(p.props.texts("ManagedPolicyArns"), arn) {
			arns = append(arns, arn)
		}
	}
	policies := []any{}
	for _, e := range p.props.list("Policies") {
		name := asProps(e).text("PolicyName")
		one, err := perform[iam.GetRolePolicyOutput](p, "IAM", "GetRolePolicy", &iam.GetRolePolicyInput{RoleName: role, PolicyName: &name})
		if hasCode(err, "NoSuchEntity") {
			continue
		}
		if err != nil {
			return nil, err
		}
		policies = append(policies, map[string]any{"PolicyName": name, "PolicyDocument": iamDocument(one.PolicyDocument)})
	}
	live := map[string]any{
		"AssumeRolePolicyDocument": iamDocument(out.Role.AssumeRolePolicyDocument),
		"Description":              aws.ToString(out.Role.Description),
		"ManagedPolicyArns":        arns, "Policies": policies, "PermissionsBoundary": "",
	}
	if b := out.Role.PermissionsBoundary; b != nil {
		live["PermissionsBoundary"] = aws.ToString(b.PermissionsBoundaryArn)
	}
	return live, nil
}

// iamDocument is a policy document as IAM returns it: percent-encoded.
func iamDocument(s *string) string {
	if text, err := url.PathUnescape(aws.ToString(s)); err == nil {
		return text
	}
	return aws.ToString(s)
}

var cfnRolePolicy = resourceType{
	required:   []string{"PolicyName", "RoleName"},
	properties: []string{"PolicyDocument"},
	replace:    []string{"PolicyName", "RoleName"},
	iam:        true,
	create: func(p *provision) error {
		if err := putOneRolePolicy(p); err != nil {
			return err
		}
		p.res.Physical = p.props.text("PolicyName") + "|" + p.props.text("RoleName")
		p.res.Ref = p.props.text("PolicyName")
		return nil
	},
	update: putOneRolePolicy,
	delete: func(p *provision) error {
		err := try(p, "IAM", "DeleteRolePolicy", &iam.DeleteRolePolicyInput{RoleName: p.props.opt("RoleName"), PolicyName: p.props.opt("PolicyName")})
		return ignore(err, "NoSuchEntity")
	},
	read: func(p *provision) (map[string]any, error) {
		out, err := perform[iam.GetRolePolicyOutput](p, "IAM", "GetRolePolicy", &iam.GetRolePolicyInput{RoleName: p.props.opt("RoleName"), PolicyName: p.props.opt("PolicyName")})
		if err != nil {
			return nil, err
		}
		return map[string]any{"PolicyDocument": iamDocument(out.PolicyDocument)}, nil
	},
}

func putOneRolePolicy(p *provision) error {
	return try(p, "IAM", "PutRolePolicy", &iam.PutRolePolicyInput{
		RoleName: p.props.opt("RoleName"), PolicyName: p.props.opt("PolicyName"), PolicyDocument: aws.String(p.props.document("PolicyDocument"))})
}

var cfnManagedPolicy = resourceType{
	name: "ManagedPolicyName", nameLength: 128,
	required:   []string{"PolicyDocument"},
	properties: []string{"Description", "Path", "Roles"},
	replace:    []string{"ManagedPolicyName", "Description", "Path"},
	attrs:      []string{"PolicyArn"},
	iam:        true,
	create:     createCFNManagedPolicy,
	update:     updateCFNManagedPolicy,
	delete:     deleteCFNManagedPolicy,
	read: func(p *provision) (map[string]any, error) {
		policy, err := perform[iam.GetPolicyOutput](p, "IAM", "GetPolicy", &iam.GetPolicyInput{PolicyArn: &p.res.Physical})
		if err != nil {
			return nil, err
		}
		version, err := perform[iam.GetPolicyVersionOutput](p, "IAM", "GetPolicyVersion", &iam.GetPolicyVersionInput{PolicyArn: &p.res.Physical, VersionId: policy.Policy.DefaultVersionId})
		if err != nil {
			return nil, err
		}
		return map[string]any{"PolicyDocument": iamDocument(version.PolicyVersion.Document)}, nil
	},
}

func createCFNManagedPolicy(p *provision) error {
	name := p.generateName()
	out, err := perform[iam.CreatePolicyOutput](p, "IAM", "CreatePolicy", &iam.CreatePolicyInput{
		PolicyName: &name, PolicyDocument: aws.String(p.props.document("PolicyDocument")), Description: p.props.opt("Description"), Path: p.props.opt("Path")})
	if err != nil {
		return err
	}
	p.res.Physical = aws.ToString(out.Policy.Arn)
	p.set("PolicyArn", p.res.Physical)
	return attachToRoles(p)
}

func attachToRoles(p *provision) error {
	for _, role := range p.props.texts("Roles") {
		if err := try(p, "IAM", "AttachRolePolicy", &iam.AttachRolePolicyInput{RoleName: &role, PolicyArn: &p.res.Physical}); err != nil {
			return err
		}
	}
	return nil
}

func updateCFNManagedPolicy(p *provision) error {
	if p.changed("PolicyDocument") {
		in := &iam.CreatePolicyVersionInput{PolicyArn: &p.res.Physical, PolicyDocument: aws.String(p.props.document("PolicyDocument")), SetAsDefault: true}
		if err := try(p, "IAM", "CreatePolicyVersion", in); err != nil {
			return err
		}
		// Only five versions fit; CloudFormation keeps the one it made.
		if err := deletePolicyVersions(p); err != nil {
			return err
		}
	}
	for _, role := range p.old.texts("Roles") {
		if slices.Contains(p.props.texts("Roles"), role) {
			continue
		}
		err := try(p, "IAM", "DetachRolePolicy", &iam.DetachRolePolicyInput{RoleName: &role, PolicyArn: &p.res.Physical})
		if ignore(err, "NoSuchEntity") != nil {
			return err
		}
	}
	return attachToRoles(p)
}

func deletePolicyVersions(p *provision) error {
	out, err := perform[iam.ListPolicyVersionsOutput](p, "IAM", "ListPolicyVersions", &iam.ListPolicyVersionsInput{PolicyArn: &p.res.Physical})
	if err != nil {
		return err
	}
	for _, v := range out.Versions {
		if v.IsDefaultVersion {
			continue
		}
		if err := try(p, "IAM", "DeletePolicyVersion", &iam.DeletePolicyVersionInput{PolicyArn: &p.res.Physical, VersionId: v.VersionId}); err != nil {
			return err
		}
	}
	return nil
}

func deleteCFNManagedPolicy(p *provision) error {
	for _, role := range p.props.texts("Roles") {
		err := try(p, "IAM", "DetachRolePolicy", &iam.DetachRolePolicyInput{RoleName: &role, PolicyArn: &p.res.Physical})
		if ignore(err, "NoSuchEntity") != nil {
			return err
		}
	}
	if err := deletePolicyVersions(p); err != nil {
		return ignore(err, "NoSuchEntity")
	}
	return ignore(try(p, "IAM", "DeletePolicy", &iam.DeletePolicyInput{PolicyArn: &p.res.Physical}), "NoSuchEntity")
}

var cfnServiceLinkedRole = resourceType{
	required:   []string{"AWSServiceName"},
	properties: []string{"CustomSuffix", "Description"},
	replace:    []string{"AWSServiceName", "CustomSuffix"},
	attrs:      []string{"RoleName"},
	iam:        true,
	create: func(p *provision) error {
		out, err := perform[iam.CreateServiceLinkedRoleOutput](p, "IAM", "CreateServiceLinkedRole", &iam.CreateServiceLinkedRoleInput{
			AWSServiceName: p.props.opt("AWSServiceName"), CustomSuffix: p.props.opt("CustomSuffix"), Description: p.props.opt("Description")})
		if err != nil {
			return err
		}
		p.res.Physical = aws.ToString(out.Role.RoleName)
		p.set("RoleName", p.res.Physical)
		return nil
	},
	update: func(p *provision) error {
		return try(p, "IAM", "UpdateRole", &iam.UpdateRoleInput{RoleName: &p.res.Physical, Description: p.props.opt("Description")})
	},
	delete: func(p *provision) error {
		name := p.res.Physical[strings.LastIndex(p.res.Physical, "/")+1:]
		return ignore(try(p, "IAM", "DeleteServiceLinkedRole", &iam.DeleteServiceLinkedRoleInput{RoleName: &name}), "NoSuchEntity")
	},
}
