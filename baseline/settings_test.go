package baseline

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	s3controltypes "github.com/aws/aws-sdk-go-v2/service/s3control/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
)

// settingsConfig has nothing on but the settings that are made by API calls.
const settingsConfig = demoConfig + `
baseline:
  config-recorder: false
  config-delivery: false
  config-change-alert: false
  root-signin-alert: false
  alert-topic: false
  s3-public-access: true
  ebs-encryption: true
  imds-v2: {hop_limit: 2}
  password-policy: {max_age: 90}
  default-vpc: true
`

// setting is a resource of settings/, as it must be in shop-prod.
func setting(t *testing.T, file, logicalID string, params map[string]string) Resource {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("settings", file))
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := parseTemplate(file, src)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := tmpl.resources(scope{account: shopProd, region: tokyo, partition: "aws", params: params})
	if err != nil || len(rs) != 1 || rs[0].LogicalID != logicalID {
		t.Fatalf("%s holds %v, %v; want %s", file, rs, err, logicalID)
	}
	return rs[0]
}

func TestCompareSettings(t *testing.T) {
	block := setting(t, "s3-public-access.account.yaml", "S3PublicAccessBlock", nil)
	on := publicBlockState{"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true}
	half := publicBlockState{"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": false, "RestrictPublicBuckets": false}
	testCompare(t, block, []compareCase{
		{"everything is blocked", on, nil},
		{"policies are not", half, []Mismatch{{
			Reason: "S3 may be opened to the public: BlockPublicPolicy and RestrictPublicBuckets off", Expected: block.Props, Actual: half, Verb: "enable",
		}}},
		{"there is no block", publicBlockState{}, []Mismatch{{
			Reason:   "S3 may be opened to the public: BlockPublicAcls, BlockPublicPolicy, IgnorePublicAcls and RestrictPublicBuckets off",
			Expected: block.Props, Actual: "no public access block", Verb: "enable",
		}}},
	})

	ebs := setting(t, "ebs-encryption.region.yaml", "EbsEncryptionByDefault", nil)
	testCompare(t, ebs, []compareCase{
		{"volumes are encrypted", ebsState(true), nil},
		{"volumes are not encrypted", ebsState(false), []Mismatch{{Reason: "new EBS volumes are not encrypted by default", Expected: true, Actual: false, Verb: "enable"}}},
	})

	free := setting(t, "imds-v2.region.yaml", "InstanceMetadataDefaults", map[string]string{"MetadataHopLimit": "0", "MetadataEnforced": ""})
	strict := setting(t, "imds-v2.region.yaml", "InstanceMetadataDefaults", map[string]string{"MetadataHopLimit": "1", "MetadataEnforced": "enabled"})
	declared := "change the organization's declarative policy for EC2: it decides here, and no account can"
	testCompare(t, free, []compareCase{
		{"tokens are required, the rest does not matter", metadataState{Tokens: "required", Hops: 5}, nil},
		{"no preference", metadataState{}, []Mismatch{{Reason: "new instances may answer IMDSv1", Expected: "required", Actual: "no preference", Verb: "update"}}},
		{"a declarative policy decides", metadataState{Tokens: "optional", Declared: true}, []Mismatch{{
			Reason: "new instances may answer IMDSv1", Expected: "required", Actual: "optional", Verb: "update", Manual: declared,
		}}},
	})
	testCompare(t, strict, []compareCase{
		{"all as set", metadataState{Tokens: "required", Enforced: "enabled", Hops: 1}, nil},
		{"only tokens", metadataState{Tokens: "required", Hops: 3}, []Mismatch{
			{Reason: "launches with IMDSv1 are not refused", Expected: "enabled", Actual: "no preference", Verb: "update"},
			{Reason: "the hop limit of new instances differs", Expected: 1, Actual: 3, Verb: "update"},
		}},
	})

	passwords := setting(t, "password-policy.account.yaml", "PasswordPolicy",
		map[string]string{"PasswordMinimumLength": "14", "PasswordReusePrevention": "24", "PasswordMaxAge": "90"})
	good := func(change func(*passwordState)) passwordState {
		st := passwordState{Set: true, Length: 14, Reuse: 24, MaxAge: 90, Character: map[string]bool{}}
		for _, f := range passwordFlags {
			st.Character[f] = true
		}
		change(&st)
		return st
	}
	testCompare(t, passwords, []compareCase{
		{"as the template says", good(func(*passwordState) {}), nil},
		{"stricter", good(func(s *passwordState) { s.Length, s.MaxAge, s.Hard = 20, 30, true }), nil},
		{"no policy", passwordState{}, []Mismatch{{Reason: "the account has no password policy of its own", Expected: passwords.Props, Actual: "AWS's default policy", Verb: "create"}}},
		{"weaker in every way", good(func(s *passwordState) { s.Length, s.Reuse, s.MaxAge, s.Character["RequireSymbols"] = 8, 0, 0, false }), []Mismatch{
			{Reason: "passwords may be shorter", Expected: 14, Actual: 8, Verb: "update"},
			{Reason: "passwords may be used again sooner", Expected: 24, Actual: 0, Verb: "update"},
			{Reason: "passwords expire later or never", Expected: 90, Actual: 0, Verb: "update"},
			{Reason: "the password policy's RequireSymbols is off", Expected: true, Actual: false, Verb: "update"},
		}},
	})

	vpc := setting(t, "default-vpc.region.yaml", "DefaultVpc", nil)
	empty := &defaultVPC{ID: "vpc-1"}
	busy := &defaultVPC{ID: "vpc-1", InUse: []string{"interface eni-1", "instance i-1", "endpoint vpce-1", "endpoint vpce-2"}}
	testCompare(t, vpc, []compareCase{
		{"there is none", vpcState{}, nil},
		{"an empty one", vpcState{empty}, []Mismatch{{Reason: "default VPC vpc-1 is there and empty", Expected: "no default VPC", Actual: empty, Verb: "delete"}}},
		{"one in use", vpcState{busy}, []Mismatch{{
			Reason: "default VPC vpc-1 is in use: interface eni-1, instance i-1, endpoint vpce-1 and more", Expected: "no default VPC", Actual: busy, Verb: "delete",
			Manual: "move what uses it to a VPC of its own; a rollout removes the default VPC once it is empty",
		}}},
	})
}

// Settings are audited, planned with before, after and undo, rolled out without
// CloudFormation, and found again when somebody changes them back.
func TestSettingsFromAuditToRollout(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, settingsConfig)
		for _, f := range wrong(r.audit(t, Filter{})) {
			if f.Status != finding.Drift || f.Expected == nil || f.Actual == nil || f.Fix != "orgguard rollout" {
				t.Fatalf("an organization without settings gives %+v", f)
			}
		}
		undo := map[string]string{}
		for _, task := range r.plan(t).Tasks {
			if task.Kind == "stack" || task.Kind == "stack-set" {
				t.Errorf("%s %s: settings need no stack", task.Verb, task.Resource)
			}
			if task.Account == shopProd && (task.Region == tokyo || task.Region == finding.Global) {
				undo[fmt.Sprintf("%s %s: %s", task.Verb, task.Control, task.Resource)] = task.Undo
				if task.Before == nil || task.After == nil {
					t.Errorf("%s has no before or no after", task.Resource)
				}
			}
		}
		want := map[string]string{
			"create password-policy: account setting PasswordPolicy":       "in account 300000000001: aws iam delete-account-password-policy",
			"enable s3-public-access: account setting S3PublicAccessBlock": "in account 300000000001: aws s3control delete-public-access-block --account-id 300000000001",
			"enable ebs-encryption: Region setting EbsEncryptionByDefault": "in account 300000000001: aws ec2 disable-ebs-encryption-by-default --region ap-northeast-1",
			"update imds-v2: Region setting InstanceMetadataDefaults":      "in account 300000000001: aws ec2 modify-instance-metadata-defaults --region ap-northeast-1 --http-put-response-hop-limit -1 --http-tokens no-preference",
			"delete default-vpc: network DefaultVpc":                       "in account 300000000001: aws ec2 create-default-vpc --region ap-northeast-1 (the ids are new; what there was is in this plan under before)",
		}
		if diff := cmp.Diff(want, undo); diff != "" {
			t.Errorf("the plan for shop-prod (-want +got):\n%s", diff)
		}
		r.mustRollout(t)
		r.mustBeClean(t)
		if p := r.plan(t); len(p.Tasks) > 0 && p.Tasks[0].Kind != "trusted-access" {
			t.Errorf("a second rollout would %s %s", p.Tasks[0].Verb, p.Tasks[0].Resource)
		}

		_, err := ec2.NewFromConfig(r.member(shopProd, virginia)).DisableEbsEncryptionByDefault(t.Context(), &ec2.DisableEbsEncryptionByDefaultInput{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s3control.NewFromConfig(r.member(management, tokyo)).PutPublicAccessBlock(t.Context(), &s3control.PutPublicAccessBlockInput{
			AccountId: aws.String(management), PublicAccessBlockConfiguration: &s3controltypes.PublicAccessBlockConfiguration{BlockPublicAcls: aws.Bool(true)},
		})
		if err != nil {
			t.Fatal(err)
		}
		// Stricter in one way, weaker in another.
		_, err = iam.NewFromConfig(r.member(shopProd, virginia)).UpdateAccountPasswordPolicy(t.Context(), &iam.UpdateAccountPasswordPolicyInput{
			MinimumPasswordLength: aws.Int32(30), PasswordReusePrevention: aws.Int32(24), MaxPasswordAge: aws.Int32(90), AllowUsersToChangePassword: true,
			RequireLowercaseCharacters: true, RequireUppercaseCharacters: true, RequireNumbers: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range wrong(r.audit(t, Filter{})) {
			got = append(got, fmt.Sprintf("%s %s %s: %s", f.Account, f.Region, f.Control, f.Reason))
		}
		if diff := cmp.Diff([]string{
			"100000000001 global s3-public-access: S3 may be opened to the public: BlockPublicPolicy, IgnorePublicAcls and RestrictPublicBuckets off",
			"300000000001 global password-policy: the password policy's RequireSymbols is off",
			"300000000001 us-east-1 ebs-encryption: new EBS volumes are not encrypted by default",
		}, got); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
		before := r.w.Writes()
		r.mustRollout(t)
		if n := r.w.Writes() - before; n != 3 {
			t.Errorf("mending three settings took %d writes", n)
		}
		r.mustBeClean(t)
		out, err := iam.NewFromConfig(r.member(shopProd, virginia)).GetAccountPasswordPolicy(t.Context(), &iam.GetAccountPasswordPolicyInput{})
		if err != nil || *out.PasswordPolicy.MinimumPasswordLength != 30 {
			t.Errorf("what was stricter became %+v, %v", out, err)
		}
	})
}

// A default VPC that anything is in stays, and one that is taken into use between
// the plan and the rollout stays whole.
func TestADefaultVPCInUseStays(t *testing.T) {
	subnetOf := func(t *testing.T, c *ec2.Client) (vpc, subnet string) {
		t.Helper()
		out, err := c.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
		if err != nil || len(out.Subnets) != 3 {
			t.Fatalf("subnets %+v, %v", out, err)
		}
		return *out.Subnets[0].VpcId, *out.Subnets[0].SubnetId
	}
	uses := []struct {
		name, word string
		use        func(t *testing.T, c *ec2.Client, vpc, subnet string) error
	}{
		{"an instance", "instance i-", func(t *testing.T, c *ec2.Client, _, subnet string) error {
			_, err := c.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: aws.String("ami-1"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: aws.String(subnet)})
			return err
		}},
		{"an interface alone", "interface eni-", func(t *testing.T, c *ec2.Client, _, subnet string) error {
			_, err := c.CreateNetworkInterface(t.Context(), &ec2.CreateNetworkInterfaceInput{SubnetId: aws.String(subnet)})
			return err
		}},
		{"an endpoint", "endpoint vpce-", func(t *testing.T, c *ec2.Client, vpc, _ string) error {
			_, err := c.CreateVpcEndpoint(t.Context(), &ec2.CreateVpcEndpointInput{VpcId: aws.String(vpc), ServiceName: aws.String("com.amazonaws.ap-northeast-1.s3"), VpcEndpointType: ec2types.VpcEndpointTypeGateway})
			return err
		}},
		{"a peering connection", "peering connection pcx-", func(t *testing.T, c *ec2.Client, vpc, _ string) error {
			_, err := c.CreateVpcPeeringConnection(t.Context(), &ec2.CreateVpcPeeringConnectionInput{VpcId: aws.String(vpc), PeerVpcId: aws.String("vpc-theirs")})
			return err
		}},
		{"a security group", "security group sg-", func(t *testing.T, c *ec2.Client, vpc, _ string) error {
			_, err := c.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{VpcId: aws.String(vpc), GroupName: aws.String("web"), Description: aws.String("web")})
			return err
		}},
	}
	for _, u := range uses {
		t.Run(u.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := demoRig(t, settingsConfig)
				c := ec2.NewFromConfig(r.member(shopProd, tokyo))
				vpc, subnet := subnetOf(t, c)
				p := r.plan(t) // made while it is empty
				if err := u.use(t, c, vpc, subnet); err != nil {
					t.Fatal(err)
				}
				var failed []string
				for _, o := range plan.Execute(t.Context(), p.Tasks, 8, nil).Outcomes {
					for _, f := range o.Failures {
						failed = append(failed, f.Account+" "+f.Region+": "+f.Reason)
					}
				}
				if len(failed) != 1 || !strings.HasPrefix(failed[0], shopProd+" "+tokyo) || !strings.Contains(failed[0], "taken into use meanwhile: ") || !strings.Contains(failed[0], u.word) {
					t.Errorf("failures %q; want one about %s", failed, u.word)
				}
				subnetOf(t, c) // all three are there
				if n := len(r.plan(t).Tasks); n != 0 {
					t.Errorf("the next plan has %d tasks", n)
				}
				fs := wrong(r.audit(t, Filter{}))
				if len(fs) != 1 || !strings.Contains(fs[0].Reason, u.word) || strings.Contains(fs[0].Fix, "orgguard rollout") {
					t.Errorf("findings %+v; want one about %s that no rollout mends", fs, u.word)
				}
			})
		})
	}
}

// Every setting says how it is taken back, and nothing of it is sent to
// CloudFormation.
func TestSettingsAreNotTemplates(t *testing.T) {
	files, err := filepath.Glob("settings/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("settings %v, %v", files, err)
	}
	recorders := "  config-recorder: true\n  config-delivery: true\n" // which some need
	text := strings.NewReplacer("  config-recorder: false\n", "", "  config-delivery: false\n", recorders).Replace(settingsConfig)
	b := newBaseline(t, text+organizationSettings)
	for _, u := range b.units {
		if !u.direct {
			if strings.Contains(u.body, "OrgGuard::") {
				t.Errorf("unit %s is sent to CloudFormation with a type of our own", u.ID)
			}
			continue
		}
		rs, err := u.resources(b.scope(shopProd, tokyo))
		if err != nil {
			t.Fatal(err)
		}
		for _, res := range rs {
			if !strings.HasPrefix(res.Type, "OrgGuard::") || kinds[res.Type].undo == nil {
				t.Errorf("%s in unit %s: a setting needs a type of our own and an undo", res.Type, u.ID)
			}
		}
	}
	for _, f := range files {
		control, _, _ := strings.Cut(filepath.Base(f), ".")
		// What cloudtrail sets is a part of something that has templates too; see its
		// own tests.
		if control != cloudtrailID && !slices.Contains(b.Controls(), control) {
			t.Errorf("%s belongs to no control of the test's configuration", f)
		}
	}
}
