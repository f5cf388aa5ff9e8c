package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/scp/protect"
)

const bootstrappedConfig = `
version: 1
organization: {access_role: OrgGuardRollout, audit_role: OrgGuardAudit, external_id: id-42}
regions: [ap-northeast-1, us-east-1]
home_region: ap-northeast-1
security_account: "200000000001"
alerts: {email: [security@example.com]}
`

// Every role that could stand in is taken away: the OrganizationAccountAccessRole
// of every account.
func TestAfterBootstrapNothingNeedsOrganizationAccountAccessRole(t *testing.T) {
	w := demoWorld(t)
	cfg, err := spec.Parse("test.yaml", []byte(bootstrappedConfig), baseline.Known())
	if err != nil {
		t.Fatal(err)
	}
	open := func(m mode, p sim.Principal) *session {
		t.Helper()
		s := &session{globals: globals{concurrency: 8, quiet: true}, streams: streams{out: io.Discard, err: io.Discard}, cfg: cfg, now: time.Now, world: w}
		if s.pool, err = s.newPool(t.Context(), w.Config("ap-northeast-1", p), m); err != nil {
			t.Fatal(err)
		}
		if err := s.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s
	}
	admin := w.RolePrincipal("100000000001", "OrgAdmin", "orgguard")
	if err := runBootstrap(t.Context(), open(writes, admin), bootstrapOptions{yes: true, format: "table"}); err != nil {
		t.Fatal(err)
	}
	for _, a := range open(reads, admin).org.Accounts {
		if a.State != orgs.StateActive || a.ID == "100000000001" {
			continue
		}
		c := iam.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(string(a.ID), "Admin", "x")))
		role := aws.String("OrganizationAccountAccessRole")
		if _, err := c.DetachRolePolicy(t.Context(), &iam.DetachRolePolicyInput{RoleName: role, PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: role}); err != nil {
			t.Fatal(err)
		}
	}

	s := open(reads, admin)
	p, _, err := makePlan(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if p.Blocked() > 0 || len(p.Changes) == 0 {
		t.Fatalf("%d changes, %d blocked: %+v", len(p.Changes), p.Blocked(), p.Skipped)
	}
	s = open(writes, admin)
	_, tasks, err := makePlan(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range plan.Execute(context.Background(), tasks, 4, nil).Outcomes {
		if o.Err != "" || len(o.Failures) > 0 {
			t.Errorf("%s %s: %s %+v", o.Change.Verb, o.Change.Resource, o.Err, o.Failures)
		}
	}
	a, err := runAudit(t.Context(), open(reads, admin), auditOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Findings {
		if f.Status == "drift" && !strings.Contains(f.Reason, "not confirmed") || f.Status == "not_assessed" {
			t.Errorf("%s %s %s: %s", f.Account, f.Region, f.Control, f.Reason)
		}
	}

	// With the SCP attached, an administrator of a member account can neither
	// change the roles nor be one of them; nor can anybody without the external id.
	member := iam.NewFromConfig(w.Config("us-east-1", w.RolePrincipal("300000000001", "Admin", "mallory")))
	for _, role := range []string{auditRole, rolloutRole} {
		_, err := member.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String(role), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[]}`)})
		if orgs.Code(err) != "AccessDenied" {
			t.Errorf("a member's administrator changes who may be %s: %v", role, err)
		}
		_, err = member.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: aws.String(role), PolicyName: aws.String("more"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)})
		if orgs.Code(err) != "AccessDenied" {
			t.Errorf("a member's administrator changes what %s may do: %v", role, err)
		}
		pool, err := access.New(t.Context(), w.Config("us-east-1", admin), access.Options{Role: role, ExternalID: "guess", NoRateLimits: true})
		if err != nil {
			t.Fatal(err)
		}
		if pool.AssumeError(t.Context(), pool.In(s.org.Partition, "300000000001", "us-east-1")) == nil {
			t.Errorf("%s is assumed with another external id", role)
		}
	}
	if !strings.Contains(strings.Join(protect.DefaultExempt, " "), rolloutRole) {
		t.Errorf("the SCP does not know %s", rolloutRole)
	}
}

func TestTheAuditRoleOnlyReads(t *testing.T) {
	s := &session{cfg: spec.Default(), org: orgs.New("o-1", "100000000001", orgs.PartitionOf("us-east-1"), []orgs.OU{{ID: "r-1"}}, nil), pool: &access.Pool{}}
	for _, r := range s.accessRoles().Roles {
		for _, st := range r.Policy.(policyDocument).Statement {
			for _, action := range st.Action {
				if r.Name == auditRole && (scopeOf(action) != "" || st.Resource != "*") {
					t.Errorf("%s may %s", r.Name, action)
				}
				if r.Name == rolloutRole && strings.HasPrefix(action, "iam:") && !strings.HasPrefix(action, "iam:Get") && !strings.HasPrefix(action, "iam:List") && action != "iam:SimulatePrincipalPolicy" && !slices.Contains(unscoped, action) && st.Resource == "*" {
					t.Errorf("%s may %s on everything", r.Name, action)
				}
			}
		}
	}
}
