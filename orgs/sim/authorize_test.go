package sim

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// legacyLab has a recorder of its own in ap-northeast-1.
const legacyLab = "500000000003"

// stopRecorder stops a recorder as a principal. Where there is no recorder the
// call gets past the policies if it fails with NoSuchConfigurationRecorderException.
func stopRecorder(ctx context.Context, w *World, p Principal, name string) error {
	_, err := configservice.NewFromConfig(w.Config("ap-northeast-1", p)).StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: &name})
	return err
}

func TestServiceControlPoliciesBindMembers(t *testing.T) {
	ctx := t.Context()
	setUp := func(t *testing.T) (*World, *organizations.Client, string) {
		w := newTestWorld(t, "demo")
		c := orgClient(w)
		if err := enableSCPs(ctx, c); err != nil {
			t.Fatal(err)
		}
		p := createSCP(ctx, c, "deny-stop", testDenyStop)
		if p.err != nil {
			t.Fatal(p.err)
		}
		if err := attachTo(ctx, c, p.id, "r-demo"); err != nil {
			t.Fatal(err)
		}
		return w, c, p.id
	}
	t.Run("the member's administrator is refused, in AWS's words", func(t *testing.T) {
		w, _, id := setUp(t)
		err := stopRecorder(ctx, w, w.RolePrincipal(legacyLab, "Admin", "mallory"), "legacy-recorder")
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "AccessDeniedException" {
			t.Fatalf("got %v", err)
		}
		text := api.ErrorMessage()
		if want := "User: arn:aws:sts::500000000003:assumed-role/Admin/mallory is not authorized to perform: config:StopConfigurationRecorder"; !strings.HasPrefix(text, want) {
			t.Errorf("got %q", text)
		}
		if want := "with an explicit deny in a service control policy: arn:aws:organizations::100000000001:policy/o-demo0guard/service_control_policy/" + id; !strings.HasSuffix(text, want) {
			t.Errorf("got %q, want it to end with %q", text, want)
		}
	})
	t.Run("an exempt role is not", func(t *testing.T) {
		w, _, _ := setUp(t)
		createAdmin(t, w, legacyLab, "Exempt")
		if err := stopRecorder(ctx, w, w.RolePrincipal(legacyLab, "Exempt", "alice"), "legacy-recorder"); err != nil {
			t.Error(err)
		}
	})
	t.Run("the root user is refused too", func(t *testing.T) {
		w, _, _ := setUp(t)
		root := Principal{Type: principalRoot, Account: legacyLab, ARN: "arn:aws:iam::" + legacyLab + ":root"}
		if got := errorCode(stopRecorder(ctx, w, root, "legacy-recorder")); got != "AccessDeniedException" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("the management account is not affected", func(t *testing.T) {
		w, _, _ := setUp(t)
		if got := errorCode(stopRecorder(ctx, w, w.RolePrincipal("100000000001", "OrgAdmin", "alice"), "default")); got != "NoSuchConfigurationRecorderException" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("detaching the policy lifts it", func(t *testing.T) {
		w, c, id := setUp(t)
		if _, err := c.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: &id, TargetId: aws.String("r-demo")}); err != nil {
			t.Fatal(err)
		}
		if err := stopRecorder(ctx, w, w.RolePrincipal(legacyLab, "Admin", "mallory"), "legacy-recorder"); err != nil {
			t.Error(err)
		}
	})
	t.Run("an OU without FullAWSAccess allows nothing more than it says", func(t *testing.T) {
		w, c, _ := setUp(t)
		sandbox := unitID(w, "Sandbox")
		only := createSCP(ctx, c, "iam-only", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}`)
		if err := attachTo(ctx, c, only.id, sandbox); err != nil {
			t.Fatal(err)
		}
		if _, err := c.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: aws.String("p-FullAWSAccess"), TargetId: &sandbox}); err != nil {
			t.Fatal(err)
		}
		cfg := w.Config("ap-northeast-1", w.RolePrincipal(legacyLab, "Admin", "alice"))
		_, err := configservice.NewFromConfig(cfg).DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{})
		if err == nil || !strings.Contains(err.Error(), "because no service control policy allows the config:DescribeConfigurationRecorders action") {
			t.Errorf("got %v", err)
		}
		if _, err := iam.NewFromConfig(cfg).ListRoles(ctx, &iam.ListRolesInput{}); err != nil {
			t.Error(err)
		}
		if _, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil {
			t.Errorf("nothing denies GetCallerIdentity: %v", err)
		}
	})
}

// createAdmin gives an account a further administrator role.
func createAdmin(t *testing.T, w *World, account, name string) {
	t.Helper()
	c := iam.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(account, "Admin", "setup")))
	if _, err := c.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String(w.trustOf(account))}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: &name, PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")}); err != nil {
		t.Fatal(err)
	}
}

func TestIdentityPoliciesDecide(t *testing.T) {
	const (
		reader  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:List*","Resource":"*"}]}`
		denier  = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"iam:ListRoles","Resource":"*"}]}`
		noRoles = "because no identity-based policy allows the iam:ListRoles action"
	)
	tests := map[string]struct {
		inline   map[string]string
		attached []string
		boundary string
		want     string // part of the error; "" for none
	}{
		"a role without policies may do nothing": {want: noRoles},
		"an inline policy allows":                {inline: map[string]string{"a": reader}},
		"a managed policy allows":                {attached: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}},
		"a managed policy of something else":     {attached: []string{"arn:aws:iam::aws:policy/AmazonSNSFullAccess"}, want: noRoles},
		"a deny beats an allow": {inline: map[string]string{"a": reader, "b": denier},
			want: "with an explicit deny in an identity-based policy"},
		"AWSDenyAll is named": {inline: map[string]string{"a": reader}, attached: []string{"arn:aws:iam::aws:policy/AWSDenyAll"},
			want: "with an explicit deny in an identity-based policy: arn:aws:iam::aws:policy/AWSDenyAll"},
		"a boundary has to allow too": {inline: map[string]string{"a": reader}, boundary: "arn:aws:iam::aws:policy/AmazonSNSFullAccess",
			want: "because no permissions boundary allows the iam:ListRoles action"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newTestWorld(t, "demo")
			w.putRole(shopProd, &role{Name: "R", Trust: w.trustOf(shopProd), Inline: tt.inline, Attached: tt.attached, Boundary: tt.boundary})
			_, err := iam.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(shopProd, "R", "s"))).ListRoles(t.Context(), &iam.ListRolesInput{})
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// assume assumes a role and asks who one is then.
func assume(t *testing.T, w *World, from aws.Config, arn string, options ...func(*stscreds.AssumeRoleOptions)) error {
	t.Helper()
	cfg := from.Copy()
	cfg.Credentials = stscreds.NewAssumeRoleProvider(sts.NewFromConfig(from), arn, options...)
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err == nil && *out.Account != arnAccount(arn) {
		t.Errorf("assumed %s and got into %s", arn, *out.Account)
	}
	return err
}

func TestAssumeRole(t *testing.T) {
	s, err := Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	audit := RoleSpec{Name: "Audit", Path: "/security/", Trusts: "100000000001", ExternalID: "s3cret"}
	s.OUs[0].Accounts[0].Roles = []RoleSpec{audit}
	w, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	mgmt := w.ManagementConfig("ap-northeast-1")
	member := w.Config("ap-northeast-1", w.RolePrincipal(shopProd, "Admin", "mallory"))
	hours := func(h float64) func(*stscreds.AssumeRoleOptions) {
		return func(o *stscreds.AssumeRoleOptions) { o.Duration = time.Duration(h * float64(time.Hour)) }
	}
	external := func(id string) func(*stscreds.AssumeRoleOptions) {
		return func(o *stscreds.AssumeRoleOptions) { o.ExternalID = &id }
	}
	role := func(account string) string { return "arn:aws:iam::" + account + ":role/" + accessRole }
	tests := map[string]struct {
		from    aws.Config
		arn     string
		options []func(*stscreds.AssumeRoleOptions)
		want    string
	}{
		"the management account enters a member":         {from: mgmt, arn: role(shopProd)},
		"a member does not enter another":                {from: member, arn: role(security), want: "AccessDenied"},
		"a role that is not there":                       {from: mgmt, arn: "arn:aws:iam::300000000001:role/Nobody", want: "AccessDenied"},
		"an account that is not there":                   {from: mgmt, arn: role("123456789012"), want: "AccessDenied"},
		"a role that trusts strangers":                   {from: mgmt, arn: role("300000000003"), want: "AccessDenied"},
		"a role of a suspended account":                  {from: mgmt, arn: role("900000000001"), want: "AccessDenied"},
		"the right external id":                          {from: mgmt, arn: "arn:aws:iam::200000000001:role/security/Audit", options: []func(*stscreds.AssumeRoleOptions){external("s3cret")}},
		"the wrong external id":                          {from: mgmt, arn: "arn:aws:iam::200000000001:role/security/Audit", options: []func(*stscreds.AssumeRoleOptions){external("guess")}, want: "AccessDenied"},
		"no external id":                                 {from: mgmt, arn: "arn:aws:iam::200000000001:role/security/Audit", want: "AccessDenied"},
		"the path is part of the name":                   {from: mgmt, arn: "arn:aws:iam::200000000001:role/Audit", options: []func(*stscreds.AssumeRoleOptions){external("s3cret")}, want: "AccessDenied"},
		"fourteen minutes are too short":                 {from: mgmt, arn: role(shopProd), options: []func(*stscreds.AssumeRoleOptions){hours(14.0 / 60)}, want: "ValidationError"},
		"thirteen hours are too long":                    {from: mgmt, arn: role(shopProd), options: []func(*stscreds.AssumeRoleOptions){hours(13)}, want: "ValidationError"},
		"a role gets another role for one hour, no more": {from: mgmt, arn: role(shopProd), options: []func(*stscreds.AssumeRoleOptions){hours(2)}, want: "ValidationError"},
		"a Region that is off":                           {from: w.Config("ap-east-1", w.RolePrincipal("100000000001", "OrgAdmin", "alice")), arn: role(shopProd), want: "InvalidClientTokenId"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := errorCode(assume(t, w, tt.from, tt.arn, tt.options...)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSessionsExpireAndKeepTheirPolicy(t *testing.T) {
	w := newTestWorld(t, "demo")
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	w.SetClock(func() time.Time { return now })
	ctx := t.Context()
	out, err := sts.NewFromConfig(w.ManagementConfig("us-east-1")).AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::300000000001:role/" + accessRole), RoleSessionName: aws.String("audit"),
		Policy: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:List*"],"Resource":"*"}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("arn:aws:sts::300000000001:assumed-role/"+accessRole+"/audit", *out.AssumedRoleUser.Arn); diff != "" {
		t.Error(diff)
	}
	cfg := w.ManagementConfig("us-east-1")
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: "x", SessionToken: "x"}, nil
	})
	c := iam.NewFromConfig(cfg)
	if _, err := c.ListRoles(ctx, &iam.ListRolesInput{}); err != nil {
		t.Errorf("the session policy allows reading: %v", err)
	}
	_, err = c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("Admin")})
	if err == nil || !strings.Contains(err.Error(), "because no session policy allows the iam:DeleteRole action") {
		t.Errorf("and nothing else: %v", err)
	}
	now = now.Add(time.Hour + time.Second)
	_, err = c.ListRoles(ctx, &iam.ListRolesInput{})
	if got := errorCode(err); got != "ExpiredToken" {
		t.Errorf("after an hour: %q", got)
	}
}

func TestRegionsAreOnPerAccount(t *testing.T) {
	w := newTestWorld(t, "demo")
	ctx := t.Context()
	mgmt := account.NewFromConfig(w.ManagementConfig("us-east-1"))
	status := func() string {
		out, err := mgmt.GetRegionOptStatus(ctx, &account.GetRegionOptStatusInput{AccountId: aws.String(shopProd), RegionName: aws.String("ap-east-1")})
		if err != nil {
			t.Fatal(err)
		}
		return string(out.RegionOptStatus)
	}
	call := func() string {
		_, err := configservice.NewFromConfig(w.Config("ap-east-1", w.RolePrincipal(shopProd, "Admin", "alice"))).DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{})
		return errorCode(err)
	}
	if s, e := status(), call(); s != "DISABLED" || e != "UnrecognizedClientException" {
		t.Errorf("at first: %s, %q", s, e)
	}
	if _, err := mgmt.EnableRegion(ctx, &account.EnableRegionInput{AccountId: aws.String(shopProd), RegionName: aws.String("ap-east-1")}); err != nil {
		t.Fatal(err)
	}
	if s, e := status(), call(); s != "ENABLED" || e != "" {
		t.Errorf("turned on: %s, %q", s, e)
	}
	all, err := mgmt.ListRegions(ctx, &account.ListRegionsInput{})
	if err != nil || len(all.Regions) != 34 || all.NextToken != nil {
		t.Errorf("%d Regions, %v", len(all.Regions), err)
	}
	_, err = mgmt.GetAccountInformation(ctx, &account.GetAccountInformationInput{AccountId: aws.String("100000000001")})
	if got := errorCode(err); got != "AccessDeniedException" {
		t.Errorf("the management account names itself: %q", got)
	}
	_, err = configservice.NewFromConfig(w.Config("mars-1", w.RolePrincipal(shopProd, "Admin", "alice"))).DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{})
	if err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("a Region that does not exist: %v", err)
	}
}
