package baseline

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/orgguard/orgguard/orgs"
)

// roleState is an IAM role with everything that says who may use it and for what.
type roleState struct {
	Trust   string            // document
	Inline  map[string]string // documents of the policies the template names, by name
	Others  []string          // names of further inline policies
	Managed []string          // ARNs
	// Boundary is the ARN of the permissions boundary; "" is none.
	Boundary string
	Session  int // seconds
}

var roleKind = kind{
	noun:     "role",
	nameProp: "RoleName",
	attributes: map[string]string{
		"Ref": "{name}",
		"Arn": "arn:{partition}:iam::{account}:role/{name}",
	},
	global:  true,
	observe: observeRole,
	compare: compareRole,
	item:    &itemReader{property: "configuration.roleName", read: readRoleItem},
	repair:  repairRole,
}

// inlinePolicies are the documents of the role's inline policies, by name.
func (r Resource) inlinePolicies() map[string]any {
	out := map[string]any{}
	for _, v := range r.list("Policies") {
		p := Resource{Props: v.(map[string]any)}
		out[p.str("PolicyName")] = p.Props["PolicyDocument"]
	}
	return out
}

func observeRole(ctx context.Context, s site, r Resource) (any, error) {
	name := aws.String(r.str("RoleName"))
	out, err := s.IAM.GetRole(ctx, &iam.GetRoleInput{RoleName: name}, s.at.IAM)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get role %s: %w", *name, err)
	}
	st := roleState{Trust: decodeDocument(aws.ToString(out.Role.AssumeRolePolicyDocument)), Inline: map[string]string{}, Session: int(aws.ToInt32(out.Role.MaxSessionDuration))}
	if b := out.Role.PermissionsBoundary; b != nil {
		st.Boundary = aws.ToString(b.PermissionsBoundaryArn)
	}
	if st.Managed, err = s.attachedTo(ctx, name); err != nil {
		return nil, err
	}
	names, err := s.inlineOf(ctx, name)
	if err != nil {
		return nil, err
	}
	want := r.inlinePolicies()
	for _, policy := range names {
		if _, ok := want[policy]; !ok {
			st.Others = append(st.Others, policy) // it should not be there whatever it says
			continue
		}
		p, err := s.IAM.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: name, PolicyName: aws.String(policy)}, s.at.IAM)
		if err != nil {
			return nil, fmt.Errorf("get policy %s of role %s: %w", policy, *name, err)
		}
		st.Inline[policy] = decodeDocument(aws.ToString(p.PolicyDocument))
	}
	return st, nil
}

// roleItem is an item of AWS Config of a role. How long its sessions last is not in
// it: accounts are asked about roles whose template says that.
type roleItem struct {
	RoleName, AssumeRolePolicyDocument string
	RolePolicyList                     []struct{ PolicyName, PolicyDocument string }
	AttachedManagedPolicies            []struct{ PolicyARN string }
	PermissionsBoundary                *struct{ PermissionsBoundaryARN string }
}

func readRoleItem(configuration string) (string, func(Resource) any) {
	var item roleItem
	if err := json.Unmarshal([]byte(configuration), &item); err != nil {
		return "", nil
	}
	return item.RoleName, func(r Resource) any {
		st := roleState{Trust: decodeDocument(item.AssumeRolePolicyDocument), Inline: map[string]string{}}
		want := r.inlinePolicies()
		for _, p := range item.RolePolicyList {
			if _, ok := want[p.PolicyName]; ok {
				st.Inline[p.PolicyName] = decodeDocument(p.PolicyDocument)
			} else {
				st.Others = append(st.Others, p.PolicyName)
			}
		}
		for _, p := range item.AttachedManagedPolicies {
			st.Managed = append(st.Managed, p.PolicyARN)
		}
		if item.PermissionsBoundary != nil {
			st.Boundary = item.PermissionsBoundary.PermissionsBoundaryARN
		}
		slices.Sort(st.Others)
		slices.Sort(st.Managed)
		return st
	}
}

// attachedTo returns the ARNs of a role's managed policies, sorted.
func (s site) attachedTo(ctx context.Context, role *string) ([]string, error) {
	var arns []string
	pages := iam.NewListAttachedRolePoliciesPaginator(s.IAM, &iam.ListAttachedRolePoliciesInput{RoleName: role})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, s.at.IAM)
		if err != nil {
			return nil, fmt.Errorf("list managed policies of role %s: %w", *role, err)
		}
		for _, p := range page.AttachedPolicies {
			arns = append(arns, aws.ToString(p.PolicyArn))
		}
	}
	slices.Sort(arns)
	return arns, nil
}

// inlineOf returns the names of a role's inline policies, sorted.
func (s site) inlineOf(ctx context.Context, role *string) ([]string, error) {
	var names []string
	pages := iam.NewListRolePoliciesPaginator(s.IAM, &iam.ListRolePoliciesInput{RoleName: role})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, s.at.IAM)
		if err != nil {
			return nil, fmt.Errorf("list inline policies of role %s: %w", *role, err)
		}
		names = append(names, page.PolicyNames...)
	}
	slices.Sort(names)
	return names, nil
}

// decodeDocument undoes the URL encoding in which IAM returns documents. A "+"
// stands for itself there, and some emulators do not encode at all.
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRolePolicy.html
func decodeDocument(doc string) string {
	if strings.HasPrefix(strings.TrimSpace(doc), "{") {
		return doc
	}
	plain, err := url.PathUnescape(doc)
	if err != nil {
		return doc
	}
	return plain
}

// compareRole takes more rights than the template gives for drift too: these are
// roles of the security baseline, and what they may do is what people agreed to.
func compareRole(r Resource, state any) []Mismatch {
	st := state.(roleState)
	var out []Mismatch
	if want := r.Props["AssumeRolePolicyDocument"]; !sameJSON(want, st.Trust) {
		out = append(out, Mismatch{Reason: "the role's trust policy differs", Expected: want, Actual: fromJSON(st.Trust)})
	}
	if want := r.str("PermissionsBoundary"); want != "" && want != st.Boundary {
		out = append(out, Mismatch{Reason: "the role has not the permissions boundary " + policyName(want), Expected: want, Actual: cmp.Or(st.Boundary, "none")})
	}
	if want := r.number("MaxSessionDuration"); want > 0 && want != st.Session {
		out = append(out, Mismatch{Reason: "the role's sessions last longer or shorter", Expected: want, Actual: st.Session})
	}
	inline := r.inlinePolicies()
	for _, name := range sortedKeys(inline) {
		doc, ok := st.Inline[name]
		switch {
		case !ok:
			out = append(out, Mismatch{Reason: "the role has no inline policy " + name, Expected: inline[name]})
		case !sameJSON(inline[name], doc):
			out = append(out, Mismatch{Reason: "the role's inline policy " + name + " differs", Expected: inline[name], Actual: fromJSON(doc)})
		}
	}
	for _, name := range st.Others {
		out = append(out, Mismatch{Reason: "the role has the additional inline policy " + name, Expected: sortedKeys(inline), Actual: name})
	}
	managed := toStrings(r.list("ManagedPolicyArns"))
	for _, arn := range managed {
		if !slices.Contains(st.Managed, arn) {
			out = append(out, Mismatch{Reason: "the role lacks the managed policy " + policyName(arn), Expected: arn})
		}
	}
	for _, arn := range st.Managed {
		if !slices.Contains(managed, arn) {
			out = append(out, Mismatch{Reason: "the role has the additional managed policy " + policyName(arn), Expected: managed, Actual: arn})
		}
	}
	return out
}

// policyName is the name in a managed policy's ARN.
func policyName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// repairRole takes rights away before it gives any.
func repairRole(ctx context.Context, s site, r Resource, state any) error {
	name := aws.String(r.str("RoleName"))
	if err := putRole(ctx, s, r, state); err != nil {
		return err
	}
	st, _ := state.(roleState)
	managed := toStrings(r.list("ManagedPolicyArns"))
	for _, arn := range st.Managed {
		if slices.Contains(managed, arn) {
			continue
		}
		_, err := s.IAM.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: aws.String(arn)}, s.at.IAM)
		if err != nil && !notFound(err) {
			return fmt.Errorf("detach %s from role %s: %w", arn, *name, err)
		}
	}
	for _, policy := range st.Others {
		_, err := s.IAM.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String(policy)}, s.at.IAM)
		if err != nil && !notFound(err) {
			return fmt.Errorf("delete policy %s of role %s: %w", policy, *name, err)
		}
	}
	inline := r.inlinePolicies()
	for _, policy := range sortedKeys(inline) {
		_, err := s.IAM.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
			RoleName: name, PolicyName: aws.String(policy), PolicyDocument: aws.String(compact(inline[policy])),
		}, s.at.IAM)
		if err != nil {
			return fmt.Errorf("put policy %s of role %s: %w", policy, *name, err)
		}
	}
	for _, arn := range managed {
		_, err := s.IAM.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: aws.String(arn)}, s.at.IAM)
		if err != nil {
			return fmt.Errorf("attach %s to role %s: %w", arn, *name, err)
		}
	}
	return nil
}

// putRole makes the role, or gives the one there is the template's trust policy.
func putRole(ctx context.Context, s site, r Resource, state any) error {
	name, trust := aws.String(r.str("RoleName")), aws.String(compact(r.Props["AssumeRolePolicyDocument"]))
	if state == nil {
		in := &iam.CreateRoleInput{
			RoleName: name, AssumeRolePolicyDocument: trust,
			Tags: tagsAs(r, func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} }),
		}
		if d := r.str("Description"); d != "" {
			in.Description = aws.String(d)
		}
		if boundary := r.str("PermissionsBoundary"); boundary != "" {
			in.PermissionsBoundary = aws.String(boundary)
		}
		in.MaxSessionDuration = small(r.number("MaxSessionDuration"))
		_, err := s.IAM.CreateRole(ctx, in, s.at.IAM)
		if err == nil {
			return nil
		}
		if !alreadyThere(err) {
			return fmt.Errorf("create role %s: %w", *name, err)
		}
	}
	_, err := s.IAM.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: trust}, s.at.IAM)
	if err != nil {
		return fmt.Errorf("update trust policy of role %s: %w", *name, err)
	}
	return limitRole(ctx, s, r, state)
}

// limitRole gives a role that is there the template's permissions boundary and
// length of sessions.
func limitRole(ctx context.Context, s site, r Resource, state any) error {
	st, _ := state.(roleState)
	name := aws.String(r.str("RoleName"))
	if boundary := r.str("PermissionsBoundary"); boundary != "" && boundary != st.Boundary {
		_, err := s.IAM.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: aws.String(boundary)}, s.at.IAM)
		if err != nil {
			return fmt.Errorf("put the permissions boundary of role %s: %w", *name, err)
		}
	}
	if session := r.number("MaxSessionDuration"); session > 0 && session != st.Session {
		// A description that is left out is taken away.
		_, err := s.IAM.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: name, MaxSessionDuration: small(session), Description: aws.String(r.str("Description"))}, s.at.IAM)
		if err != nil {
			return fmt.Errorf("update role %s: %w", *name, err)
		}
	}
	return nil
}

// alreadyThere says whether making a thing was refused because it exists by now:
// somebody, or an earlier attempt, was faster. Services have a code each.
func alreadyThere(err error) bool {
	switch orgs.Code(err) {
	case "EntityAlreadyExists", "EntityAlreadyExistsException", "ResourceAlreadyExistsException", "BucketAlreadyOwnedByYou", "StateMachineAlreadyExists":
		return true
	}
	return false
}
