package sim

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

func configRules(ctx context.Context, s *script) {
	c := configservice.NewFromConfig(s.in("shop", "eu-west-1"))
	rule := func(name, identifier string) *configservice.PutConfigRuleInput {
		return &configservice.PutConfigRuleInput{ConfigRule: &types.ConfigRule{
			ConfigRuleName: aws.String(name), Scope: &types.Scope{ComplianceResourceTypes: []string{"AWS::EC2::SecurityGroup"}},
			Source: &types.Source{Owner: types.OwnerAws, SourceIdentifier: aws.String(identifier)},
		}}
	}
	s.did("a rule without a recorder")(c.PutConfigRule(ctx, rule("ssh", "INCOMING_SSH_DISABLED")))
	s.did("a role")(iam.NewFromConfig(s.in("shop", "us-east-1")).CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: aws.String("recorder"), AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"config.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
	}))
	s.did("a recorder")(c.PutConfigurationRecorder(ctx, &configservice.PutConfigurationRecorderInput{ConfigurationRecorder: &types.ConfigurationRecorder{
		Name: aws.String("default"), RoleARN: aws.String("arn:aws:iam::" + s.ids["shop"] + ":role/recorder"), RecordingGroup: &types.RecordingGroup{AllSupported: true},
	}}))
	s.did("a rule")(c.PutConfigRule(ctx, rule("ssh", "INCOMING_SSH_DISABLED")))
	s.did("another rule")(c.PutConfigRule(ctx, rule("default-groups", "VPC_DEFAULT_SECURITY_GROUP_CLOSED")))
	s.did("a rule that AWS does not have")(c.PutConfigRule(ctx, rule("nonsense", "NO_SUCH_RULE")))
	describe := func(step string, names ...string) {
		see(s, step, func(o *configservice.DescribeConfigRulesOutput) any {
			out := []any{}
			for _, r := range o.ConfigRules {
				out = append(out, []any{r.ConfigRuleName, r.Source.Owner, r.Source.SourceIdentifier, r.ConfigRuleState, r.Scope.ComplianceResourceTypes})
			}
			return out
		})(c.DescribeConfigRules(ctx, &configservice.DescribeConfigRulesInput{ConfigRuleNames: names}))
	}
	describe("both rules")
	describe("one rule", "ssh")
	describe("a rule that is not there", "ssh", "nothing")
	s.did("delete a rule")(c.DeleteConfigRule(ctx, &configservice.DeleteConfigRuleInput{ConfigRuleName: aws.String("default-groups")}))
	s.did("delete it again")(c.DeleteConfigRule(ctx, &configservice.DeleteConfigRuleInput{ConfigRuleName: aws.String("default-groups")}))
	describe("what is left")

	remediation := func(rule string, change func(*types.RemediationConfiguration)) *configservice.PutRemediationConfigurationsInput {
		m := types.RemediationConfiguration{
			ConfigRuleName: aws.String(rule), TargetType: types.RemediationTargetTypeSsmDocument, TargetId: aws.String("AWS-DisableIncomingSSHOnPort22"),
			Automatic: true, MaximumAutomaticAttempts: aws.Int32(5), RetryAttemptSeconds: aws.Int64(60),
			Parameters: map[string]types.RemediationParameterValue{
				"AutomationAssumeRole": {StaticValue: &types.StaticValue{Values: []string{"arn:aws:iam::" + s.ids["shop"] + ":role/recorder"}}},
				"SecurityGroupIds":     {ResourceValue: &types.ResourceValue{Value: types.ResourceValueTypeResourceId}},
			},
		}
		change(&m)
		return &configservice.PutRemediationConfigurationsInput{RemediationConfigurations: []types.RemediationConfiguration{m}}
	}
	s.did("a remediation")(c.PutRemediationConfigurations(ctx, remediation("ssh", func(*types.RemediationConfiguration) {})))
	s.did("one of no rule")(c.PutRemediationConfigurations(ctx, remediation("nothing", func(*types.RemediationConfiguration) {})))
	s.did("an automatic one without a role")(c.PutRemediationConfigurations(ctx, remediation("ssh", func(m *types.RemediationConfiguration) { delete(m.Parameters, "AutomationAssumeRole") })))
	see(s, "it says", func(o *configservice.DescribeRemediationConfigurationsOutput) any {
		m := o.RemediationConfigurations[0]
		return []any{m.ConfigRuleName, m.TargetId, m.Automatic, m.MaximumAutomaticAttempts, m.RetryAttemptSeconds}
	})(c.DescribeRemediationConfigurations(ctx, &configservice.DescribeRemediationConfigurationsInput{ConfigRuleNames: []string{"ssh"}}))
	s.did("delete the rule under it")(c.DeleteConfigRule(ctx, &configservice.DeleteConfigRuleInput{ConfigRuleName: aws.String("ssh")}))
	s.did("delete the remediation")(c.DeleteRemediationConfiguration(ctx, &configservice.DeleteRemediationConfigurationInput{ConfigRuleName: aws.String("ssh")}))
}
