package baseline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
)

const adminConfig = demoConfig + `
baseline:
  admin-roles: {trusted: ["200000000001"], trusted_roles: ["arn:aws:iam::200000000001:role/Admin*"]}
scp: {protect-config: {enabled: false}}
`

const (
	boundaryPolicy = "arn:aws:iam::" + shopProd + ":policy/orgguard-admin-boundary"
	ownTrust       = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + shopProd + `:root"},"Action":"sts:AssumeRole"}]}`
)

// What the four roles can and cannot do, by the simulated organization's
// evaluation of their policies: nobody gets around the boundary.
func TestAdministratorsStayWithinTheirBoundary(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, adminConfig)
		r.mustRollout(t)
		r.mustBeClean(t)
		as := func(role string) aws.Config { return r.w.Config(tokyo, r.w.RolePrincipal(shopProd, role, "ann")) }
		client := func(role string) *iam.Client { return iam.NewFromConfig(as(role)) }
		ctx := t.Context()
		create := func(role, name, path, boundary string) func() error {
			return func() error {
				in := &iam.CreateRoleInput{RoleName: aws.String(name), Path: aws.String(path), AssumeRolePolicyDocument: aws.String(ownTrust)}
				if boundary != "" {
					in.PermissionsBoundary = aws.String(boundary)
				}
				_, err := client(role).CreateRole(ctx, in)
				return err
			}
		}
		stop := func(role string) func() error {
			return func() error {
				_, err := configservice.NewFromConfig(as(role)).StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String("orgguard")})
				return err
			}
		}
		cases := []struct {
			name string
			may  bool
			do   func() error
		}{
			{"SysAdmin makes a topic", true, func() error {
				_, err := sns.NewFromConfig(as("orgguard-SysAdmin")).CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("builds")})
				return err
			}},
			{"SysAdmin stops the recorder", false, stop("orgguard-SysAdmin")},
			{"IAMAdmin stops the recorder", false, stop("orgguard-IAMAdmin")},
			{"SysAdmin disables an alert rule", false, func() error {
				_, err := eventbridge.NewFromConfig(as("orgguard-SysAdmin")).DisableRule(ctx, &eventbridge.DisableRuleInput{Name: aws.String("orgguard-config-change")})
				return err
			}},
			{"SysAdmin makes a role", false, create("orgguard-SysAdmin", "a", "/delegated/", boundaryPolicy)},
			{"InstanceOps makes a topic", false, func() error {
				_, err := sns.NewFromConfig(as("orgguard-InstanceOps")).CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("ops")})
				return err
			}},
			{"ReadOnlyAdmin makes a role", false, create("orgguard-ReadOnlyAdmin", "a", "/delegated/", boundaryPolicy)},
			{"ReadOnlyAdmin reads a role", true, func() error {
				_, err := client("orgguard-ReadOnlyAdmin").GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("orgguard-SysAdmin")})
				return err
			}},
			{"IAMAdmin makes a role without the boundary", false, create("orgguard-IAMAdmin", "b", "/delegated/", "")},
			{"IAMAdmin makes a role with another boundary", false, create("orgguard-IAMAdmin", "b", "/delegated/", adminPolicy)},
			{"IAMAdmin makes a role elsewhere", false, create("orgguard-IAMAdmin", "b", "/", boundaryPolicy)},
			{"IAMAdmin makes a role as it should", true, create("orgguard-IAMAdmin", "helper", "/delegated/", boundaryPolicy)},
			{"IAMAdmin gives that role everything", true, func() error {
				_, err := client("orgguard-IAMAdmin").AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("helper"), PolicyArn: aws.String(adminPolicy)})
				return err
			}},
			{"that role stops the recorder", false, stop("helper")},
			{"that role makes a role without the boundary", false, create("helper", "c", "/delegated/", "")},
			{"IAMAdmin takes the boundary off that role", false, func() error {
				_, err := client("orgguard-IAMAdmin").DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: aws.String("helper")})
				return err
			}},
			{"IAMAdmin gives that role another boundary", false, func() error {
				_, err := client("orgguard-IAMAdmin").PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: aws.String("helper"), PermissionsBoundary: aws.String(adminPolicy)})
				return err
			}},
			{"IAMAdmin takes the boundary off itself", false, func() error {
				_, err := client("orgguard-IAMAdmin").DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: aws.String("orgguard-IAMAdmin")})
				return err
			}},
			{"IAMAdmin changes the boundary", false, func() error {
				_, err := client("orgguard-IAMAdmin").CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: aws.String(boundaryPolicy), SetAsDefault: true,
					PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)})
				return err
			}},
			{"IAMAdmin lets itself into a role that has no boundary", false, func() error {
				_, err := client("orgguard-IAMAdmin").UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("Admin"), PolicyDocument: aws.String(ownTrust)})
				return err
			}},
			{"IAMAdmin changes a role of the baseline", false, func() error {
				_, err := client("orgguard-IAMAdmin").DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: aws.String("orgguard-config-recorder"), PolicyArn: aws.String(configPolicy)})
				return err
			}},
		}
		for _, c := range cases {
			err := c.do()
			if denied := orgs.Code(err) == "AccessDenied" || orgs.Code(err) == "AccessDeniedException" || orgs.Code(err) == "AuthorizationError"; denied == c.may || c.may && err != nil {
				t.Errorf("%s: %v; want it allowed: %v", c.name, err, c.may)
			}
		}

		// Who may be them. Without MFA there is no way in for an account's own.
		into := func(account, role string) error {
			_, err := sts.NewFromConfig(r.w.Config(tokyo, r.w.RolePrincipal(account, role, "ann"))).AssumeRole(ctx, &sts.AssumeRoleInput{
				RoleArn: aws.String("arn:aws:iam::" + shopProd + ":role/orgguard-SysAdmin"), RoleSessionName: aws.String("ann")})
			return err
		}
		if err := into(securityAccount, "Admin"); err != nil {
			t.Errorf("a role that is trusted: %v", err)
		}
		if into(securityAccount, "OrganizationAccountAccessRole") == nil || into(shopProd, "Admin") == nil {
			t.Error("a role that is not trusted got in, without MFA")
		}
	})
}

// Tampering with the roles and their boundary is found, and a rollout repairs it.
func TestAdminRolesAreAuditedAndRepaired(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, adminConfig)
		r.mustRollout(t)
		c := iam.NewFromConfig(r.member(shopProd, virginia))
		ctx := t.Context()
		do := func(_ any, failed error) {
			t.Helper()
			if failed != nil {
				t.Fatal(failed)
			}
		}
		name := aws.String("orgguard-IAMAdmin")
		do(c.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: name}))
		do(c.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: name, MaxSessionDuration: aws.Int32(43200)}))
		everything := aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
		for range 4 { // the most there can be
			do(c.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: aws.String(boundaryPolicy), PolicyDocument: everything, SetAsDefault: true}))
		}
		do(c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: mustBeEmptied(t, c, "orgguard-ReadOnlyAdmin")}))
		var got []string
		for _, f := range wrong(r.audit(t, Filter{})) {
			reason, _, _ := strings.Cut(f.Reason, "; ")
			got = append(got, fmt.Sprintf("%s %s %s: %s", f.Account, f.Control, f.Resource, reason))
			if f.Fix == "" || f.Expected == nil {
				t.Errorf("%s has no fix or nothing expected", f.Resource)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff([]string{
			shopProd + " admin-roles policy orgguard-admin-boundary: the policy says something else",
			shopProd + " admin-roles role orgguard-IAMAdmin: the role has not the permissions boundary orgguard-admin-boundary",
			shopProd + " admin-roles role orgguard-IAMAdmin: the role's sessions last longer or shorter",
			shopProd + " admin-roles role orgguard-ReadOnlyAdmin: missing: role orgguard-ReadOnlyAdmin",
		}, got); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
		r.mustRollout(t)
		r.mustBeClean(t)
	})
}

// mustBeEmptied takes a role's managed policies from it, as IAM wants it before it
// deletes the role.
func mustBeEmptied(t *testing.T, c *iam.Client, name string) *string {
	t.Helper()
	out, err := c.ListAttachedRolePolicies(t.Context(), &iam.ListAttachedRolePoliciesInput{RoleName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range out.AttachedPolicies {
		if _, err := c.DetachRolePolicy(t.Context(), &iam.DetachRolePolicyInput{RoleName: aws.String(name), PolicyArn: p.PolicyArn}); err != nil {
			t.Fatal(err)
		}
	}
	return aws.String(name)
}

func TestSettingsOfAdminRoles(t *testing.T) {
	cases := []struct{ name, settings, want string }{
		{"a role among those with MFA", `{trusted: ["arn:aws:iam::111111111111:role/Admin"]}`, "name roles under trusted_roles"},
		{"a name", `{trusted: [security]}`, "want an account's number or the ARN of an IAM user"},
		{"everybody", `{trusted_roles: ["*"]}`, "want the ARN of a role"},
		{"no role", `{roles: []}`, "want at least one of SysAdmin"},
		{"another role", `{roles: [SysAdmn]}`, `did you mean "SysAdmin"`},
		{"too long", `{session_hours: 13}`, "want 1 to 12"},
		{"more than fits", `{trusted: [` + strings.TrimSuffix(strings.Repeat(`"111111111111", `, 40), ", ") + `]}`, "more than a role's trust policy holds"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := spec.Parse("orgguard.yaml", []byte("version: 1\nbaseline: {admin-roles: "+c.settings+"}\n"), Known())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v; want %q", err, c.want)
			}
		})
	}
}

// The boundary and the trust policies fit into what IAM takes: 6,144 characters
// without spaces of a managed policy, and 2,048 of a trust policy.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
func TestAdminRolesFitIntoIAM(t *testing.T) {
	long := make([]string, 10)
	for i := range long {
		long[i] = fmt.Sprintf("arn:aws-us-gov:iam::%012d:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Administrator*", i)
	}
	b, err := resolveSmall(t, "aws-us-gov", `baseline: {admin-roles: {trusted_roles: ["`+strings.Join(long, `", "`)+`"]}}`+"\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range b.units {
		rs, err := u.resources(b.scope(securityAccount, b.Home))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if n := len(compact(r.Props["PolicyDocument"])); r.Type == "AWS::IAM::ManagedPolicy" && n > 6144 {
				t.Errorf("%s has %d characters", r.LogicalID, n)
			}
			if n := len(compact(r.Props["AssumeRolePolicyDocument"])); r.Control == "admin-roles" && n > 2048 {
				t.Errorf("the trust policy of %s has %d characters", r.LogicalID, n)
			}
		}
	}
}
