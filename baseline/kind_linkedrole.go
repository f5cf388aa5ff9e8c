package baseline

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
)

// linkedRoleKind is the role of an AWS service in an account. Nobody but AWS can change
// what it may do, so that it exists is all there is to see.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html
var linkedRoleKind = kind{
	noun: "service-linked role", nameProp: "RoleName", global: true,
	observe: observeLinkedRole,
	compare: func(Resource, any) []Mismatch { return nil },
	repair: func(ctx context.Context, s site, r Resource, _ any) error {
		return makeLinkedRole(ctx, s.Pool, s.at, r.str("Service"))
	},
	undo: func(_ scope, r Resource, _ any) string {
		return fmt.Sprintf("aws iam delete-service-linked-role --role-name %s (when nothing uses it)", r.str("RoleName"))
	},
}

func observeLinkedRole(ctx context.Context, s site, r Resource) (any, error) {
	out, err := s.IAM.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String(r.str("RoleName"))}, s.at.IAM)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get role %s: %w", r.str("RoleName"), err)
	}
	return aws.ToString(out.Role.Arn), nil
}

// makeLinkedRole makes the service-linked role of a service, unless it is there.
func makeLinkedRole(ctx context.Context, pool *access.Pool, at access.At, service string) error {
	_, err := pool.IAM.CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: aws.String(service)}, at.IAM)
	if err != nil && orgs.Code(err) != "InvalidInput" { // which is what IAM says of a role that is there
		return fmt.Errorf("make the service-linked role of %s: %w", service, err)
	}
	return nil
}
