package baseline

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/orgguard/orgguard/orgs"
)

// policyState is the document of a managed policy's default version.
type policyState string

var policyKind = kind{
	noun: "policy", nameProp: "ManagedPolicyName", global: true,
	attributes: map[string]string{"Ref": policyRef},
	observe:    observePolicy, compare: comparePolicy, repair: repairPolicy,
}

// policyRef is what a reference to a managed policy gives.
const policyRef = "arn:{partition}:iam::{account}:policy/{name}"

// policyARN is the ARN of a template's managed policy.
func (s site) policyARN(r Resource) *string {
	in := scope{account: string(s.at.Account), partition: orgs.PartitionOf(s.at.Region).ID}
	return aws.String(in.attribute(kind{attributes: map[string]string{"Ref": policyRef}}, r.str("ManagedPolicyName"), "Ref"))
}

func observePolicy(ctx context.Context, s site, r Resource) (any, error) {
	arn := s.policyARN(r)
	policy, err := s.IAM.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: arn}, s.at.IAM)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get policy %s: %w", *arn, err)
	}
	version, err := s.IAM.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: policy.Policy.DefaultVersionId}, s.at.IAM)
	if err != nil {
		return nil, fmt.Errorf("get version %s of policy %s: %w", aws.ToString(policy.Policy.DefaultVersionId), *arn, err)
	}
	return policyState(decodeDocument(aws.ToString(version.PolicyVersion.Document))), nil
}

func comparePolicy(r Resource, state any) []Mismatch {
	want, have := r.Props["PolicyDocument"], string(state.(policyState))
	if sameJSON(want, have) {
		return nil
	}
	return []Mismatch{{Reason: "the policy says something else", Expected: want, Actual: fromJSON(have)}}
}

// repairPolicy makes the policy, or a version of it that is the default one.
func repairPolicy(ctx context.Context, s site, r Resource, state any) error {
	arn, doc := s.policyARN(r), aws.String(compact(r.Props["PolicyDocument"]))
	if state == nil {
		_, err := s.IAM.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String(r.str("ManagedPolicyName")), PolicyDocument: doc, Description: aws.String(r.str("Description"))}, s.at.IAM)
		if err == nil {
			return nil
		}
		if !alreadyThere(err) {
			return fmt.Errorf("create policy %s: %w", *arn, err)
		}
	}
	if err := s.makeRoom(ctx, arn); err != nil {
		return err
	}
	if _, err := s.IAM.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: doc, SetAsDefault: true}, s.at.IAM); err != nil {
		return fmt.Errorf("create a version of policy %s: %w", *arn, err)
	}
	return nil
}

// maxVersions is how many versions a managed policy holds.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const maxVersions = 5

// makeRoom deletes the oldest version of a policy that has as many as it can.
func (s site) makeRoom(ctx context.Context, arn *string) error {
	var versions []types.PolicyVersion
	pages := iam.NewListPolicyVersionsPaginator(s.IAM, &iam.ListPolicyVersionsInput{PolicyArn: arn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, s.at.IAM)
		if err != nil {
			return fmt.Errorf("list versions of policy %s: %w", *arn, err)
		}
		versions = append(versions, page.Versions...)
	}
	if len(versions) < maxVersions {
		return nil
	}
	var oldest *types.PolicyVersion
	for i, v := range versions {
		if !v.IsDefaultVersion && (oldest == nil || aws.ToTime(v.CreateDate).Before(aws.ToTime(oldest.CreateDate))) {
			oldest = &versions[i]
		}
	}
	if _, err := s.IAM.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: oldest.VersionId}, s.at.IAM); err != nil {
		return fmt.Errorf("delete version %s of policy %s: %w", aws.ToString(oldest.VersionId), *arn, err)
	}
	return nil
}
