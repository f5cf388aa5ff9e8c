package sim

import (
	"context"
	"fmt"
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/go-cmp/cmp"
)

func iamClient(w *World, account string) *iam.Client {
	return iam.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(account, "Admin", "alice")))
}

func TestRoleLifecycle(t *testing.T) {
	w := newTestWorld(t, "demo")
	ctx, c := t.Context(), iamClient(w, shopProd)
	trust, inline := w.trustOf(shopProd), `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sns:Publish","Resource":"*"}]}`
	steps := []struct {
		name string
		do   func() error
		want string
	}{
		{"create", func() error {
			_, err := c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("R"), Path: aws.String("/ops/"), AssumeRolePolicyDocument: &trust, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
			return err
		}, ""},
		{"create again, in other letters", func() error {
			_, err := c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("r"), AssumeRolePolicyDocument: &trust})
			return err
		}, "EntityAlreadyExists"},
		{"create with a trust policy that is none", func() error {
			_, err := c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("X"), AssumeRolePolicyDocument: aws.String("{}")})
			return err
		}, "MalformedPolicyDocument"},
		{"put an inline policy", func() error {
			_, err := c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String("R"), PolicyName: aws.String("p"), PolicyDocument: &inline})
			return err
		}, ""},
		{"attach a policy", func() error {
			_, err := c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("R"), PolicyArn: aws.String("arn:aws:iam::aws:policy/service-role/AWS_ConfigRole")})
			return err
		}, ""},
		{"attach a policy that does not exist", func() error {
			_, err := c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("R"), PolicyArn: aws.String("arn:aws:iam::aws:policy/AWS_ConfigRole")})
			return err
		}, "NoSuchEntity"},
		{"delete with an attached policy", func() error {
			_, err := c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("R")})
			return err
		}, "DeleteConflict"},
		{"detach", func() error {
			_, err := c.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: aws.String("R"), PolicyArn: aws.String("arn:aws:iam::aws:policy/service-role/AWS_ConfigRole")})
			return err
		}, ""},
		{"delete with an inline policy", func() error {
			_, err := c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("R")})
			return err
		}, "DeleteConflict"},
		{"delete the inline policy", func() error {
			_, err := c.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String("R"), PolicyName: aws.String("p")})
			return err
		}, ""},
		{"delete", func() error {
			_, err := c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("R")})
			return err
		}, ""},
		{"get what was deleted", func() error {
			_, err := c.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("R")})
			return err
		}, "NoSuchEntity"},
	}
	for _, s := range steps {
		if got := errorCode(s.do()); got != s.want {
			t.Errorf("%s: got %q, want %q", s.name, got, s.want)
		}
	}
}

func TestPolicyDocumentsComeBackEncoded(t *testing.T) {
	w := newTestWorld(t, "demo")
	out, err := iamClient(w, shopProd).GetRole(t.Context(), &iam.GetRoleInput{RoleName: aws.String(accessRole)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := url.QueryUnescape(*out.Role.AssumeRolePolicyDocument)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w.trustOf("100000000001"), got); diff != "" || got == *out.Role.AssumeRolePolicyDocument {
		t.Errorf("got %s", *out.Role.AssumeRolePolicyDocument)
	}
}

func TestServiceLinkedRoles(t *testing.T) {
	w := newTestWorld(t, "demo")
	ctx, c := t.Context(), iamClient(w, legacyLab)
	roles, err := c.ListRoles(ctx, &iam.ListRolesInput{PathPrefix: aws.String("/aws-service-role/")})
	if err != nil {
		t.Fatal(err)
	}
	if len(roles.Roles) != 1 || *roles.Roles[0].Arn != "arn:aws:iam::500000000003:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig" {
		t.Fatalf("the old recorder's role: %v", roles.Roles)
	}
	_, err = c.CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: aws.String("config.amazonaws.com")})
	if got := errorCode(err); got != "InvalidInput" {
		t.Errorf("created twice: %q", got)
	}
	_, err = c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("AWSServiceRoleForConfig"), PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")})
	if got := errorCode(err); got != "UnmodifiableEntity" {
		t.Errorf("changed by a person: %q", got)
	}
	task, err := c.DeleteServiceLinkedRole(ctx, &iam.DeleteServiceLinkedRoleInput{RoleName: aws.String("AWSServiceRoleForConfig")})
	if err != nil {
		t.Fatal(err)
	}
	status, err := c.GetServiceLinkedRoleDeletionStatus(ctx, &iam.GetServiceLinkedRoleDeletionStatusInput{DeletionTaskId: task.DeletionTaskId})
	if err != nil || status.Status != types.DeletionTaskStatusTypeFailed {
		t.Errorf("deleted while the recorder uses it: %v, %v", status, err)
	}
}

func TestManagedPolicyVersions(t *testing.T) {
	w := newTestWorld(t, "demo")
	ctx, c := t.Context(), iamClient(w, shopProd)
	doc := func(action string) *string {
		return aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"*"}]}`)
	}
	p, err := c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("P"), PolicyDocument: doc("sns:*")})
	if err != nil {
		t.Fatal(err)
	}
	arn := p.Policy.Arn
	for i := range 4 {
		if _, err := c.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: doc("iam:List*"), SetAsDefault: i == 3}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: doc("sns:*")})
	if got := errorCode(err); got != "LimitExceeded" {
		t.Errorf("a sixth version: %q", got)
	}
	w.putRole(shopProd, &role{Name: "R", Trust: w.trustOf(shopProd), Attached: []string{*arn}})
	if _, err := iam.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(shopProd, "R", "s"))).ListRoles(ctx, &iam.ListRolesInput{}); err != nil {
		t.Errorf("the default version counts: %v", err)
	}
	_, err = c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: arn})
	if got := errorCode(err); got != "DeleteConflict" {
		t.Errorf("deleted while attached: %q", got)
	}
	_, err = c.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v5")})
	if got := errorCode(err); got != "DeleteConflict" {
		t.Errorf("the default version deleted: %q", got)
	}
}

func TestRolesComeInPages(t *testing.T) {
	w := newTestWorld(t, "demo")
	for i := range 130 {
		w.putRole(shopProd, &role{Name: fmt.Sprintf("role-%03d", i), Trust: w.trustOf(shopProd)})
	}
	var sizes []int
	p := iam.NewListRolesPaginator(iamClient(w, shopProd), &iam.ListRolesInput{})
	for p.HasMorePages() {
		page, err := p.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(page.Roles))
	}
	if diff := cmp.Diff([]int{100, 32}, sizes); diff != "" {
		t.Error(diff)
	}
}
