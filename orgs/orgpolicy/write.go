package orgpolicy

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgguard/orgguard/orgs"
)

// Create makes a policy with orgguard's tag and returns its id.
func (s Service) Create(ctx context.Context, name, description, content string) (string, error) {
	out, err := s.pool.Organizations.CreatePolicy(ctx, &organizations.CreatePolicyInput{
		Name: aws.String(name), Description: aws.String(description), Type: s.kind,
		Content: aws.String(content), Tags: []types.Tag{{Key: aws.String(tagKey), Value: aws.String(tagValue)}},
	}, s.at.Organizations)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Policy.PolicySummary.Id), nil
}

// Update gives a policy another text, which changes all its targets at once.
func (s Service) Update(ctx context.Context, id, content string) error {
	_, err := s.pool.Organizations.UpdatePolicy(ctx, &organizations.UpdatePolicyInput{PolicyId: aws.String(id), Content: aws.String(content)}, s.at.Organizations)
	return err
}

// Attach attaches a policy to a root, OU or account; already says that it was.
func (s Service) Attach(ctx context.Context, id, target string) (already bool, err error) {
	_, err = s.pool.Organizations.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: aws.String(id), TargetId: aws.String(target)}, s.at.Organizations)
	return unless(err, "DuplicatePolicyAttachmentException")
}

// Detach takes a policy off; already says that it was not attached.
func (s Service) Detach(ctx context.Context, id, target string) (already bool, err error) {
	_, err = s.pool.Organizations.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: aws.String(id), TargetId: aws.String(target)}, s.at.Organizations)
	return unless(err, "PolicyNotAttachedException")
}

// Delete deletes a policy that is attached to nothing.
func (s Service) Delete(ctx context.Context, id string) error {
	_, err := s.pool.Organizations.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: aws.String(id)}, s.at.Organizations)
	return err
}

// unless says whether an error means that there was nothing to do, and is none then.
func unless(err error, code string) (bool, error) {
	if orgs.Code(err) == code {
		return true, nil
	}
	return false, err
}

// Explain puts AWS's constraint into words and says what to do.
func (s Service) Explain(what string, err error) error {
	wrapped := fmt.Errorf("%s: %w", what, err)
	if next := s.next(err); next != "" {
		return &orgs.Hinted{Err: wrapped, Next: next}
	}
	return wrapped
}

// next is what to do about an error of a write; "" when that is not known.
func (s Service) next(err error) string {
	isSCP := s.kind == types.PolicyTypeServiceControlPolicy
	var limit *types.ConstraintViolationException
	if errors.As(err, &limit) {
		switch limit.Reason {
		case types.ConstraintViolationExceptionReasonMaxPolicyTypeAttachmentLimitExceeded:
			if isSCP {
				return "this node has as many SCPs as AWS allows, FullAWSAccess and Control Tower's included: detach or merge one, or attach higher up (of the built-in policy: scp.protect-config.attach)"
			}
			return "this node has as many policies of the type as AWS allows: detach or merge one, or attach higher up"
		case types.ConstraintViolationExceptionReasonMinPolicyTypeAttachmentLimitExceeded:
			return "a node keeps at least one SCP: attach FullAWSAccess first"
		case types.ConstraintViolationExceptionReasonPolicyContentLimitExceeded:
			return "shorten the policy (of the built-in one: fewer exempt_roles or extra_actions)"
		case types.ConstraintViolationExceptionReasonPolicyNumberLimitExceeded:
			return "the organization has as many policies as AWS allows: delete one that is not attached"
		}
	}
	switch orgs.Code(err) {
	case "AccessDeniedException":
		if isSCP {
			return "SCPs are written from the management account, or from an account that the organization's resource policy lets"
		}
		return "the organization's policies are written from the management account, or from an account that the organization's resource policy lets"
	case "PolicyTypeNotEnabledException":
		if isSCP {
			return "enable service control policies first: orgguard rollout does, or aws organizations enable-policy-type"
		}
		return "enable the policy type first: orgguard rollout does, or aws organizations enable-policy-type --policy-type " + string(s.kind)
	}
	return ""
}
