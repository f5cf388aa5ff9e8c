package sim

import (
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
)

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-config-configrule.html
var cfnConfigRule = resourceType{
	name: "ConfigRuleName", nameLength: 128,
	required:   []string{"Source"},
	properties: []string{"Compliance", "Description", "EvaluationModes", "InputParameters", "MaximumExecutionFrequency", "Scope"},
	replace:    []string{"ConfigRuleName"},
	attrs:      []string{"Arn", "Compliance.Type", "ConfigRuleId"},
	create:     createConfigRule,
	update:     putCfnConfigRule,
	delete: func(p *provision) error {
		err := try(p, "Config Service", "DeleteConfigRule", &configservice.DeleteConfigRuleInput{ConfigRuleName: &p.res.Physical})
		return ignore(err, "NoSuchConfigRuleException")
	},
}

func createConfigRule(p *provision) error {
	name := p.generateName()
	_, err := perform[configservice.DescribeConfigRulesOutput](p, "Config Service", "DescribeConfigRules", &configservice.DescribeConfigRulesInput{ConfigRuleNames: []string{name}})
	if err == nil {
		return p.alreadyExists(name)
	}
	if !hasCode(err, "NoSuchConfigRuleException") {
		return err
	}
	p.set("name", name)
	if err := putCfnConfigRule(p); err != nil {
		return err
	}
	p.res.Physical = name
	return nil
}

func putCfnConfigRule(p *provision) error {
	name := p.res.Physical
	if name == "" {
		name = p.res.Attrs["name"]
	}
	r, err := configRuleOf(p.props)
	if err != nil {
		return err
	}
	r.ConfigRuleName = &name
	if err := try(p, "Config Service", "PutConfigRule", &configservice.PutConfigRuleInput{ConfigRule: r}); err != nil {
		return err
	}
	out, err := perform[configservice.DescribeConfigRulesOutput](p, "Config Service", "DescribeConfigRules", &configservice.DescribeConfigRulesInput{ConfigRuleNames: []string{name}})
	if err != nil {
		return err
	}
	p.set("Arn", aws.ToString(out.ConfigRules[0].ConfigRuleArn))
	p.set("ConfigRuleId", aws.ToString(out.ConfigRules[0].ConfigRuleId))
	return nil
}

// configRuleOf is the rule that the properties of a template's resource describe.
func configRuleOf(p props) (*types.ConfigRule, error) {
	r := &types.ConfigRule{
		ConfigRuleName: p.opt("ConfigRuleName"), Description: p.opt("Description"),
		MaximumExecutionFrequency: types.MaximumExecutionFrequency(p.text("MaximumExecutionFrequency")),
	}
	if p.has("InputParameters") {
		r.InputParameters = aws.String(p.document("InputParameters"))
	}
	for property, into := range map[string]any{"Source": &r.Source, "Scope": &r.Scope, "EvaluationModes": &r.EvaluationModes} {
		if err := asJSON(p[property], into); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// asJSON fills an SDK value with a property's, by way of JSON: the names are the
// same.
func asJSON(v, into any) error {
	if v == nil {
		return nil
	}
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return validationError("Properties validation failed: %v", err)
	}
	return nil
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-config-remediationconfiguration.html
var cfnRemediation = resourceType{
	required: []string{"ConfigRuleName", "TargetId", "TargetType"},
	properties: []string{
		"Automatic", "ExecutionControls", "MaximumAutomaticAttempts", "Parameters", "ResourceType", "RetryAttemptSeconds", "TargetVersion",
	},
	replace: []string{"ConfigRuleName"},
	create: func(p *provision) error {
		if err := putCfnRemediation(p); err != nil {
			return err
		}
		p.res.Physical = p.props.text("ConfigRuleName")
		return nil
	},
	update: putCfnRemediation,
	delete: func(p *provision) error {
		err := try(p, "Config Service", "DeleteRemediationConfiguration", &configservice.DeleteRemediationConfigurationInput{ConfigRuleName: &p.res.Physical})
		return ignore(err, "NoSuchRemediationConfigurationException")
	},
}

func putCfnRemediation(p *provision) error {
	m := types.RemediationConfiguration{
		ConfigRuleName: p.props.opt("ConfigRuleName"), TargetId: p.props.opt("TargetId"), TargetVersion: p.props.opt("TargetVersion"),
		TargetType: types.RemediationTargetType(p.props.text("TargetType")), ResourceType: p.props.opt("ResourceType"), Automatic: p.props.boolean("Automatic"),
	}
	for property, into := range map[string]any{"MaximumAutomaticAttempts": &m.MaximumAutomaticAttempts, "RetryAttemptSeconds": &m.RetryAttemptSeconds} {
		if err := bind(p.props[property], into); err != nil {
			return err
		}
	}
	for property, into := range map[string]any{"Parameters": &m.Parameters, "ExecutionControls": &m.ExecutionControls} {
		if err := asJSON(p.props[property], into); err != nil {
			return err
		}
	}
	return try(p, "Config Service", "PutRemediationConfigurations", &configservice.PutRemediationConfigurationsInput{RemediationConfigurations: []types.RemediationConfiguration{m}})
}
