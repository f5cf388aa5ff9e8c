package baseline

import (
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

const (
	configPolicy = "arn:aws:iam::aws:policy/service-role/AWS_ConfigRole"
	adminPolicy  = "arn:aws:iam::aws:policy/AdministratorAccess"
)

func TestCompareRole(t *testing.T) {
	r := templateResource(t, "config-recorder.roles.yaml", "RecorderRole", "us-east-1")
	trust, deliver := r.Props["AssumeRolePolicyDocument"], r.inlinePolicies()["deliver"]
	good := func() roleState {
		return roleState{Trust: compact(trust), Inline: map[string]string{"deliver": compact(deliver)}, Managed: []string{configPolicy}}
	}
	with := func(change func(*roleState)) roleState {
		st := good()
		change(&st)
		return st
	}
	testCompare(t, r, []compareCase{
		{"a role as the template says is in sync", good(), nil},
		{"another trust policy differs", with(func(st *roleState) { st.Trust = "{}" }), []Mismatch{
			{Reason: "the role's trust policy differs", Expected: trust, Actual: map[string]any{}},
		}},
		{"an inline policy is missing", with(func(st *roleState) { st.Inline = nil }), []Mismatch{
			{Reason: "the role has no inline policy deliver", Expected: deliver},
		}},
		{"an inline policy was changed", with(func(st *roleState) { st.Inline["deliver"] = "{}" }), []Mismatch{
			{Reason: "the role's inline policy deliver differs", Expected: deliver, Actual: map[string]any{}},
		}},
		{"a further inline policy is drift", with(func(st *roleState) { st.Others = []string{"more"} }), []Mismatch{
			{Reason: "the role has the additional inline policy more", Expected: []string{"deliver"}, Actual: "more"},
		}},
		{"one managed policy instead of another is two mismatches", with(func(st *roleState) { st.Managed = []string{adminPolicy} }), []Mismatch{
			{Reason: "the role lacks the managed policy AWS_ConfigRole", Expected: configPolicy},
			{Reason: "the role has the additional managed policy AdministratorAccess", Expected: []string{configPolicy}, Actual: adminPolicy},
		}},
	})
}

func TestDocumentsOfIAMAreDecoded(t *testing.T) {
	doc := `{"Resource":"arn:aws:s3:::b/a+b c%20"}`
	for name, in := range map[string]string{"encoded": url.PathEscape(doc), "as it is": doc} {
		if got := decodeDocument(in); got != doc {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := decodeDocument("%zz"); got != "%zz" {
		t.Errorf("what is not URL-encoded became %q", got)
	}
}

func TestRoleIsRepaired(t *testing.T) {
	s := simSite(t, "us-east-1")
	r := templateResource(t, "config-recorder.roles.yaml", "RecorderRole", "us-east-1")
	name := aws.String("orgguard-config-recorder")
	everything := aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	testLifecycle(t, s, r, []tampering{
		{"the role trusts somebody else", func(t *testing.T, s site) error {
			_, err := s.IAM.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: aws.String(
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)}, s.at.IAM)
			return err
		}, []string{"the role's trust policy differs"}, false},
		{"a policy is changed", func(t *testing.T, s site) error {
			_, err := s.IAM.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("deliver"), PolicyDocument: everything}, s.at.IAM)
			return err
		}, []string{"the role's inline policy deliver differs"}, false},
		{"the role is given more", func(t *testing.T, s site) error {
			if _, err := s.IAM.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("more"), PolicyDocument: everything}, s.at.IAM); err != nil {
				return err
			}
			_, err := s.IAM.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: aws.String(adminPolicy)}, s.at.IAM)
			return err
		}, []string{"the role has the additional inline policy more", "the role has the additional managed policy AdministratorAccess"}, false},
		{"the role is given less", func(t *testing.T, s site) error {
			if _, err := s.IAM.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("deliver")}, s.at.IAM); err != nil {
				return err
			}
			_, err := s.IAM.DetachRolePolicy(t.Context(), &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: aws.String(configPolicy)}, s.at.IAM)
			return err
		}, []string{"the role has no inline policy deliver", "the role lacks the managed policy AWS_ConfigRole"}, false},
	})
	// A role that was made since it was looked at is no reason to give up.
	if err := repairRole(t.Context(), s, r, nil); err != nil {
		t.Errorf("repair of a role that is there by now: %v", err)
	}
}
