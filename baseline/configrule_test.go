package baseline

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	configtypes "github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
)

// rulesConfig has the Config rules with their remediation.
const rulesConfig = demoConfig + `
baseline:
  ssh-restricted: true
  default-sg-closed: {remediation: manual}
`

func TestCompareConfigRule(t *testing.T) {
	r := Resource{Type: "AWS::Config::ConfigRule", Props: map[string]any{
		"ConfigRuleName": "x", "Source": map[string]any{"Owner": "AWS", "SourceIdentifier": "INCOMING_SSH_DISABLED"},
		"Scope": map[string]any{"ComplianceResourceTypes": []any{"AWS::EC2::SecurityGroup"}},
	}}
	good := configRuleState{Owner: "AWS", Identifier: "INCOMING_SSH_DISABLED", Types: []string{"AWS::EC2::SecurityGroup"}, State: "ACTIVE"}
	with := func(change func(*configRuleState)) configRuleState { st := good; change(&st); return st }
	other := with(func(s *configRuleState) {
		s.Owner, s.Identifier = "CUSTOM_LAMBDA", "arn:aws:lambda:us-east-1:200000000001:function:nothing"
	})
	testCompare(t, r, []compareCase{
		{"in sync", good, nil},
		{"another source", other, []Mismatch{{Reason: "the rule checks something else", Expected: wantConfigRule(r), Actual: other}}},
		{"another scope", with(func(s *configRuleState) { s.Types = []string{"AWS::S3::Bucket"} }), []Mismatch{
			{Reason: "the rule looks at other types of resources", Expected: []string{"AWS::EC2::SecurityGroup"}, Actual: []string{"AWS::S3::Bucket"}},
		}},
		{"parameters", with(func(s *configRuleState) { s.Parameters = map[string]any{"a": "b"} }), []Mismatch{
			{Reason: "the rule's parameters differ", Actual: map[string]any{"a": "b"}},
		}},
		{"on its way out", with(func(s *configRuleState) { s.State = "DELETING" }), []Mismatch{{Reason: "the rule is being deleted", Expected: "ACTIVE", Actual: "DELETING"}}},
	})
}

func TestCompareRemediation(t *testing.T) {
	r := Resource{Type: "AWS::Config::RemediationConfiguration", Props: map[string]any{
		"ConfigRuleName": "x", "TargetId": "AWS-DisableIncomingSSHOnPort22", "Automatic": true, "MaximumAutomaticAttempts": "5", "RetryAttemptSeconds": "60",
		"Parameters": map[string]any{
			"AutomationAssumeRole": map[string]any{"StaticValue": map[string]any{"Values": []any{"arn:role"}}},
			"SecurityGroupIds":     map[string]any{"ResourceValue": map[string]any{"Value": "RESOURCE_ID"}},
		},
	}}
	good := func(change func(*remediationState)) remediationState {
		st := remediationState{
			Runbook: "AWS-DisableIncomingSSHOnPort22", Automatic: true, Attempts: 5, Retry: 60,
			Parameters: map[string]any{"AutomationAssumeRole": []string{"arn:role"}, "SecurityGroupIds": "RESOURCE_ID"},
		}
		change(&st)
		return st
	}
	other := good(func(s *remediationState) { s.Parameters["AutomationAssumeRole"] = []string{"arn:admin"} })
	testCompare(t, r, []compareCase{
		{"in sync", good(func(*remediationState) {}), nil},
		{"manual", good(func(s *remediationState) { s.Automatic, s.Attempts, s.Retry = false, 0, 0 }), []Mismatch{
			{Reason: "the remediation is manual, not automatic", Expected: "automatic", Actual: "manual"},
		}},
		{"another role", other, []Mismatch{{Reason: "the remediation does something else", Expected: wantRemediation(r), Actual: other}}},
	})
}

// From nothing to a port that is closed by itself, and through all that somebody can
// do to it.
func TestConfigRulesFromRolloutToRemediation(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, rulesConfig)
		r.mustRollout(t)
		r.mustBeClean(t)

		e := ec2.NewFromConfig(r.member(shopProd, tokyo))
		made, err := e.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String("web"), Description: aws.String("web")})
		if err != nil {
			t.Fatal(err)
		}
		open := func(port int32, cidr string) ec2types.IpPermission {
			return ec2types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(port), ToPort: aws.Int32(port), IpRanges: []ec2types.IpRange{{CidrIp: aws.String(cidr)}}}
		}
		_, err = e.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: made.GroupId, IpPermissions: []ec2types.IpPermission{
			open(22, "0.0.0.0/0"), open(22, "10.0.0.0/8"), open(443, "0.0.0.0/0"),
		}})
		if err != nil {
			t.Fatal(err)
		}
		out, err := e.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{*made.GroupId}})
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, p := range out.SecurityGroups[0].IpPermissions {
			for _, x := range p.IpRanges {
				left = append(left, fmt.Sprintf("%d %s", *p.FromPort, *x.CidrIp))
			}
		}
		if diff := cmp.Diff([]string{"22 10.0.0.0/8", "443 0.0.0.0/0"}, left); diff != "" {
			t.Errorf("what is open after port 22 was opened to the internet (-want +got):\n%s", diff)
		}

		c := configservice.NewFromConfig(r.member(shopProd, tokyo))
		results, err := c.GetComplianceDetailsByConfigRule(t.Context(), &configservice.GetComplianceDetailsByConfigRuleInput{
			ConfigRuleName: aws.String("orgguard-default-sg-closed"), ComplianceTypes: []configtypes.ComplianceType{configtypes.ComplianceTypeNonCompliant},
		})
		if err != nil || len(results.EvaluationResults) != 1 {
			t.Errorf("with a manual remediation, the default security group stays as it is: %+v, %v", results, err)
		}

		tamper := []struct {
			name string
			do   func() error
			want string
		}{
			{"the remediation is made manual", func() error {
				got, err := c.DescribeRemediationConfigurations(t.Context(), &configservice.DescribeRemediationConfigurationsInput{ConfigRuleNames: []string{"orgguard-ssh-restricted"}})
				if err != nil {
					return err
				}
				m := got.RemediationConfigurations[0]
				m.Automatic = false
				_, err = c.PutRemediationConfigurations(t.Context(), &configservice.PutRemediationConfigurationsInput{RemediationConfigurations: []configtypes.RemediationConfiguration{m}})
				return err
			}, "remediation of rule orgguard-ssh-restricted: the remediation is manual, not automatic"},
			{"the remediation is deleted", func() error {
				_, err := c.DeleteRemediationConfiguration(t.Context(), &configservice.DeleteRemediationConfigurationInput{ConfigRuleName: aws.String("orgguard-ssh-restricted")})
				return err
			}, "remediation of rule orgguard-ssh-restricted: missing: remediation of rule orgguard-ssh-restricted"},
			{"the rule checks something else", func() error {
				_, err := c.PutConfigRule(t.Context(), &configservice.PutConfigRuleInput{ConfigRule: &configtypes.ConfigRule{
					ConfigRuleName: aws.String("orgguard-default-sg-closed"), Scope: &configtypes.Scope{ComplianceResourceTypes: []string{"AWS::EC2::SecurityGroup"}},
					Source: &configtypes.Source{Owner: configtypes.OwnerAws, SourceIdentifier: aws.String("ENCRYPTED_VOLUMES")},
				}})
				return err
			}, "Config rule orgguard-default-sg-closed: the rule checks something else"},
		}
		for _, x := range tamper {
			if err := x.do(); err != nil {
				t.Fatalf("%s: %v", x.name, err)
			}
			var got []string
			for _, f := range wrong(r.audit(t, Filter{})) {
				got = append(got, f.Account+" "+f.Region+" "+f.Resource+": "+strings.TrimSuffix(f.Reason, "; CloudFormation says CURRENT"))
			}
			if diff := cmp.Diff([]string{shopProd + " " + tokyo + " " + x.want}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", x.name, diff)
			}
			r.mustRollout(t)
			r.mustBeClean(t)
		}

		// Off takes the remediation and its role away, and the rule stays.
		r.cfg = parseConfig(t, strings.Replace(rulesConfig, "ssh-restricted: true", "ssh-restricted: {remediation: \"off\"}", 1))
		r.mustRollout(t)
		r.mustBeClean(t)
		got, err := c.DescribeRemediationConfigurations(t.Context(), &configservice.DescribeRemediationConfigurationsInput{ConfigRuleNames: []string{"orgguard-ssh-restricted"}})
		if err != nil || len(got.RemediationConfigurations) != 0 {
			t.Errorf("with the remediation off there is %+v, %v", got, err)
		}
	})
}

// What a rollout deploys with the Config rules on, to be read by people.
func TestRenderedConfigRules(t *testing.T) {
	b, err := resolveSmall(t, "aws", "baseline: {ssh-restricted: true, default-sg-closed: true}\n")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, tmpl := range b.Templates() {
		if tmpl.Name == "orgguard-rules" || tmpl.Name == "orgguard-roles" {
			seen++
			golden(t, filepath.Join("testdata", "golden", "rules", tmpl.Name+".yaml"), tmpl.Body)
		}
	}
	if seen != 2 {
		t.Errorf("%d templates; want those of rules and roles", seen)
	}
}
