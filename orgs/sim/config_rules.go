package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// configRule is an AWS Config rule with what it last found.
type configRule struct {
	Rule types.ConfigRule  `json:"rule"`
	Tags map[string]string `json:"tags,omitempty"`
	// Results are the verdicts by resource id.
	Results map[string]types.ComplianceType `json:"results,omitempty"`
}

// securityGroupRules are the managed rules that the world evaluates: whether a
// security group is as they want it. Groups that a rule is not about are no
// business of it.
// https://docs.aws.amazon.com/config/latest/developerguide/managed-rules-by-aws-config.html
var securityGroupRules = map[string]func(g *securityGroup) (compliant, applies bool){
	"INCOMING_SSH_DISABLED": func(g *securityGroup) (bool, bool) {
		return !slices.ContainsFunc(g.Rules, func(r groupRule) bool { return r.openTo(22) }), true
	},
	"VPC_DEFAULT_SECURITY_GROUP_CLOSED": func(g *securityGroup) (bool, bool) { return len(g.Rules) == 0, g.Name == "default" },
}

// managedRules are further identifiers that PutConfigRule takes. They are kept
// and never evaluated.
var managedRules = []string{
	"ENCRYPTED_VOLUMES", "RDS_INSTANCE_PUBLIC_ACCESS_CHECK", "RDS_SNAPSHOTS_PUBLIC_PROHIBITED", "RDS_STORAGE_ENCRYPTED", "RESTRICTED_INCOMING_TRAFFIC",
	"ROOT_ACCOUNT_MFA_ENABLED", "S3_BUCKET_PUBLIC_READ_PROHIBITED", "S3_BUCKET_PUBLIC_WRITE_PROHIBITED", "S3_BUCKET_VERSIONING_ENABLED",
	"EBS_OPTIMIZED_INSTANCE", "EC2_VOLUME_INUSE_CHECK", "IAM_USER_MFA_ENABLED", "MFA_ENABLED_FOR_IAM_CONSOLE_ACCESS",
}

const maxConfigRules = 1000

func configRuleARN(c *call, name string) string {
	id := "*"
	if r := c.here().Config.Rules[name]; r != nil {
		id = aws.ToString(r.Rule.ConfigRuleId)
	}
	return c.arn("config", "config-rule/"+id)
}

func noSuchRule(name string) error {
	return apiError("NoSuchConfigRuleException", "The ConfigRule '%s' provided in the request is invalid. Please check the configRule name", name)
}

func invalidRule(format string, args ...any) error {
	return apiError("InvalidParameterValueException", format, args...)
}

// putConfigRule makes a rule or changes it, and has it evaluated.
// https://docs.aws.amazon.com/config/latest/APIReference/API_PutConfigRule.html
func putConfigRule(c *call, in *configservice.PutConfigRuleInput) (*configservice.PutConfigRuleOutput, error) {
	s := &c.here().Config
	want := detach(*in.ConfigRule)
	name := aws.ToString(want.ConfigRuleName)
	switch {
	case s.customerRecorder() == nil:
		return nil, apiError("NoAvailableConfigurationRecorderException", "Configuration Recorder is not available, please configure the configuration recorder first.")
	case name == "":
		return nil, invalidRule("ConfigRuleName must be provided for a new rule.")
	case want.Source == nil || aws.ToString(want.Source.SourceIdentifier) == "":
		return nil, invalidRule("The source of the rule must have an identifier.")
	case want.Source.Owner == types.OwnerAws && securityGroupRules[*want.Source.SourceIdentifier] == nil && !slices.Contains(managedRules, *want.Source.SourceIdentifier):
		return nil, invalidRule("The sourceIdentifier %s is invalid. Please refer to the documentation for a list of valid sourceIdentifiers that can be used when AWS is the Owner.", *want.Source.SourceIdentifier)
	}
	r := s.Rules[name]
	if err := r.ofAPack(c); err != nil {
		return nil, err
	}
	if r == nil {
		if len(s.Rules) >= maxConfigRules {
			return nil, apiError("MaxNumberOfConfigRulesExceededException", "Failed to put the config rule '%s' because the maximum number of config rules: %d is reached.", name, maxConfigRules)
		}
		r = &configRule{Tags: map[string]string{}}
		r.Rule.ConfigRuleId = aws.String("config-rule-" + c.w.id(6))
		for _, t := range in.Tags {
			r.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
		if s.Rules == nil {
			s.Rules = map[string]*configRule{}
		}
		s.Rules[name] = r
	}
	want.ConfigRuleId = r.Rule.ConfigRuleId
	want.ConfigRuleArn = aws.String(c.arn("config", "config-rule/"+*want.ConfigRuleId))
	want.ConfigRuleState = types.ConfigRuleStateActive
	r.Rule = want
	c.evaluateRules(name)
	return &configservice.PutConfigRuleOutput{}, nil
}

func describeConfigRules(c *call, in *configservice.DescribeConfigRulesInput) (*configservice.DescribeConfigRulesOutput, error) {
	s := &c.here().Config
	names := in.ConfigRuleNames
	for _, name := range names {
		if s.Rules[name] == nil {
			return nil, noSuchRule(name)
		}
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(s.Rules))
	}
	page, next, ok := pageOf(c, names, 25, in.NextToken)
	if !ok {
		return nil, invalidConfigToken()
	}
	out := &configservice.DescribeConfigRulesOutput{ConfigRules: []types.ConfigRule{}, NextToken: next}
	for _, name := range page {
		out.ConfigRules = append(out.ConfigRules, detach(s.Rules[name].Rule))
	}
	return out, nil
}

func deleteConfigRule(c *call, in *configservice.DeleteConfigRuleInput) (*configservice.DeleteConfigRuleOutput, error) {
	s := &c.here().Config
	name := aws.ToString(in.ConfigRuleName)
	switch {
	case s.Rules[name] == nil:
		return nil, noSuchRule(name)
	case s.Remediations[name] != nil:
		return nil, apiError("ResourceInUseException", "The rule '%s' has a remediation action associated with it. Delete the remediation action before deleting the rule.", name)
	}
	if err := s.Rules[name].ofAPack(c); err != nil {
		return nil, err
	}
	delete(s.Rules, name)
	return &configservice.DeleteConfigRuleOutput{}, nil
}

func startConfigRulesEvaluation(c *call, in *configservice.StartConfigRulesEvaluationInput) (*configservice.StartConfigRulesEvaluationOutput, error) {
	for _, name := range in.ConfigRuleNames {
		if c.here().Config.Rules[name] == nil {
			return nil, noSuchRule(name)
		}
	}
	c.evaluateRules(in.ConfigRuleNames...)
	return &configservice.StartConfigRulesEvaluationOutput{}, nil
}

func getComplianceDetails(c *call, in *configservice.GetComplianceDetailsByConfigRuleInput) (*configservice.GetComplianceDetailsByConfigRuleOutput, error) {
	r := c.here().Config.Rules[aws.ToString(in.ConfigRuleName)]
	if r == nil {
		return nil, noSuchRule(aws.ToString(in.ConfigRuleName))
	}
	limit := 10
	if in.Limit > 0 {
		limit = int(in.Limit)
	}
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(r.Results)) {
		if len(in.ComplianceTypes) == 0 || slices.Contains(in.ComplianceTypes, r.Results[id]) {
			ids = append(ids, id)
		}
	}
	page, next, ok := pageOf(c, ids, limit, in.NextToken)
	if !ok {
		return nil, invalidConfigToken()
	}
	out := &configservice.GetComplianceDetailsByConfigRuleOutput{EvaluationResults: []types.EvaluationResult{}, NextToken: next}
	for _, id := range page {
		out.EvaluationResults = append(out.EvaluationResults, types.EvaluationResult{
			ComplianceType: r.Results[id], ResultRecordedTime: aws.Time(c.now),
			EvaluationResultIdentifier: &types.EvaluationResultIdentifier{EvaluationResultQualifier: &types.EvaluationResultQualifier{
				ConfigRuleName: r.Rule.ConfigRuleName, ResourceType: aws.String("AWS::EC2::SecurityGroup"), ResourceId: aws.String(id),
			}},
		})
	}
	return out, nil
}

// evaluateRules has rules look at the security groups of their account × Region; no
// names means all rules. Nothing is evaluated while nothing is recorded. A verdict
// that changed is an event, and a resource that does not comply is remediated where
// the rule does that by itself.
func (c *call) evaluateRules(names ...string) {
	s := &c.here().Config
	if recorder := s.customerRecorder(); recorder == nil || !recorder.Recording {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.Rules)) {
		r := s.Rules[name]
		check := securityGroupRules[aws.ToString(r.Rule.Source.SourceIdentifier)]
		if check == nil || len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		for _, v := range c.ec2().VPCs {
			for _, g := range v.Groups {
				compliant, applies := check(g)
				if !applies {
					continue
				}
				c.verdict(r, g.ID, compliant)
				if !compliant && c.remediate(s.Remediations[name], g) {
					compliant, _ = check(g)
					c.verdict(r, g.ID, compliant)
				}
			}
		}
	}
}

// verdict notes what a rule found, and tells EventBridge when it is another verdict
// than before.
// https://docs.aws.amazon.com/config/latest/developerguide/monitor-config-with-cloudwatchevents.html
func (c *call) verdict(r *configRule, id string, compliant bool) {
	now := types.ComplianceTypeNonCompliant
	if compliant {
		now = types.ComplianceTypeCompliant
	}
	before := r.Results[id]
	if before == now {
		return
	}
	if r.Results == nil {
		r.Results = map[string]types.ComplianceType{}
	}
	r.Results[id] = now
	c.w.dirty()
	result := func(t types.ComplianceType) any {
		if t == "" {
			return nil
		}
		return map[string]any{
			"complianceType": string(t), "resultRecordedTime": c.now.UTC().Format(time.RFC3339),
			"evaluationResultIdentifier": map[string]any{"evaluationResultQualifier": map[string]any{
				"configRuleName": aws.ToString(r.Rule.ConfigRuleName), "resourceType": "AWS::EC2::SecurityGroup", "resourceId": id,
			}},
		}
	}
	if c.w.deliveries >= maxDeliveries {
		return
	}
	c.w.deliveries++
	defer func() { c.w.deliveries-- }()
	c.w.deliver(c.caller.Account, c.region, map[string]any{
		"version": "0", "id": c.w.uuid(), "detail-type": "Config Rules Compliance Change", "source": "aws.config",
		"account": c.caller.Account, "time": c.now.UTC().Format(time.RFC3339), "region": c.region, "resources": []any{},
		"detail": map[string]any{
			"recordVersion": "1.0", "messageType": "ComplianceChangeNotification", "notificationCreationTime": c.now.UTC().Format(time.RFC3339),
			"configRuleName": aws.ToString(r.Rule.ConfigRuleName), "configRuleARN": aws.ToString(r.Rule.ConfigRuleArn),
			"awsAccountId": c.caller.Account, "awsRegion": c.region, "resourceType": "AWS::EC2::SecurityGroup", "resourceId": id,
			"newEvaluationResult": result(now), "oldEvaluationResult": result(before),
		},
	})
}

// remediate runs a rule's runbook on a security group, if the rule does that by
// itself, with the role that the remediation names: a role that does not exist, does
// not trust Systems Manager or may not do it remediates nothing. It says whether
// anything was done.
func (c *call) remediate(m *types.RemediationConfiguration, g *securityGroup) bool {
	if m == nil || !m.Automatic {
		return false
	}
	role := ""
	if v := m.Parameters["AutomationAssumeRole"].StaticValue; v != nil && len(v.Values) == 1 {
		role = v.Values[0]
	}
	account, r := c.w.roleByARN(role)
	if r == nil || account != c.caller.Account || !strings.Contains(r.Trust, "ssm.amazonaws.com") {
		return false
	}
	var gone []groupRule
	for _, rule := range g.Rules {
		if run := runbooks[aws.ToString(m.TargetId)]; run != nil && run(rule) {
			gone = append(gone, rule)
		}
	}
	if len(gone) == 0 {
		return false
	}
	runner := c.w.rolePrincipal(account, r.Name, "automation")
	sub := *c
	sub.via, sub.policy = "", ""
	do := func(op string, in any) bool {
		_, err := sub.as(runner, c.region, "EC2", op, in)
		return err == nil
	}
	done := false
	if in := permissionsOf(gone, false); len(in) > 0 {
		done = do("RevokeSecurityGroupIngress", &ec2.RevokeSecurityGroupIngressInput{GroupId: aws.String(g.ID), IpPermissions: in})
	}
	if out := permissionsOf(gone, true); len(out) > 0 {
		done = do("RevokeSecurityGroupEgress", &ec2.RevokeSecurityGroupEgressInput{GroupId: aws.String(g.ID), IpPermissions: out}) || done
	}
	return done
}

// runbooks are the Systems Manager runbooks that the world can run: which rules of
// a security group each takes away.
// https://docs.aws.amazon.com/systems-manager-automation-runbooks/latest/userguide/automation-runbook-reference.html
var runbooks = map[string]func(groupRule) bool{
	"AWS-DisableIncomingSSHOnPort22":                          func(r groupRule) bool { return r.opens(22) },
	"AWS-DisablePublicAccessForSecurityGroup":                 func(r groupRule) bool { return r.opens(22) || r.opens(3389) },
	"AWSConfigRemediation-RemoveVPCDefaultSecurityGroupRules": func(groupRule) bool { return true },
}

// opens says whether a rule opens just this port to the internet.
func (r groupRule) opens(port int32) bool { return r.openTo(port) && r.From == port && r.To == port }

// Remediations --------------------------------------------------------------

// putRemediations makes or replaces remediations, each of which a rule has one of.
// https://docs.aws.amazon.com/config/latest/APIReference/API_PutRemediationConfigurations.html
func putRemediations(c *call, in *configservice.PutRemediationConfigurationsInput) (*configservice.PutRemediationConfigurationsOutput, error) {
	s := &c.here().Config
	for _, m := range in.RemediationConfigurations {
		name := aws.ToString(m.ConfigRuleName)
		switch {
		case s.Rules[name] == nil:
			return nil, noSuchRule(name)
		case m.TargetType != types.RemediationTargetTypeSsmDocument:
			return nil, invalidRule("The target type %s is not valid.", m.TargetType)
		case m.Automatic && (m.MaximumAutomaticAttempts == nil || m.RetryAttemptSeconds == nil):
			return nil, invalidRule("MaximumAutomaticAttempts and RetryAttemptSeconds are required when Automatic is true.")
		case m.Automatic && m.Parameters["AutomationAssumeRole"].StaticValue == nil:
			return nil, invalidRule("AutomationAssumeRole must be provided for automatic remediation.")
		case m.MaximumAutomaticAttempts != nil && (*m.MaximumAutomaticAttempts < 1 || *m.MaximumAutomaticAttempts > 25):
			return nil, invalidRule("MaximumAutomaticAttempts must be between 1 and 25.")
		case m.RetryAttemptSeconds != nil && (*m.RetryAttemptSeconds < 1 || *m.RetryAttemptSeconds > 2_678_000):
			return nil, invalidRule("RetryAttemptSeconds must be between 1 and 2678000.")
		}
	}
	for _, m := range in.RemediationConfigurations {
		kept := detach(m)
		name := aws.ToString(m.ConfigRuleName)
		kept.Arn = aws.String(c.arn("config", "remediation-configuration/"+name+"/"+c.w.uuid()))
		if s.Remediations == nil {
			s.Remediations = map[string]*types.RemediationConfiguration{}
		}
		s.Remediations[name] = &kept
		c.evaluateRules(name)
	}
	return &configservice.PutRemediationConfigurationsOutput{}, nil
}

func describeRemediations(c *call, in *configservice.DescribeRemediationConfigurationsInput) (*configservice.DescribeRemediationConfigurationsOutput, error) {
	out := &configservice.DescribeRemediationConfigurationsOutput{RemediationConfigurations: []types.RemediationConfiguration{}}
	for _, name := range in.ConfigRuleNames {
		if m := c.here().Config.Remediations[name]; m != nil {
			out.RemediationConfigurations = append(out.RemediationConfigurations, detach(*m))
		}
	}
	return out, nil
}

func deleteRemediation(c *call, in *configservice.DeleteRemediationConfigurationInput) (*configservice.DeleteRemediationConfigurationOutput, error) {
	s := &c.here().Config
	name := aws.ToString(in.ConfigRuleName)
	if s.Remediations[name] == nil {
		return nil, apiError("NoSuchRemediationConfigurationException", "No RemediationConfiguration for rule %s exists.", name)
	}
	delete(s.Remediations, name)
	return &configservice.DeleteRemediationConfigurationOutput{}, nil
}
