package sim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/chatbot"
)

// chatRegion is where CloudFormation finds the service, whatever the stack's Region.
const chatRegion = "us-east-2"

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-chatbot-slackchannelconfiguration.html
var cfnSlackChannel = resourceType{
	required:   []string{"ConfigurationName", "IamRoleArn", "SlackChannelId", "SlackWorkspaceId"},
	properties: []string{"CustomizationResourceArns", "GuardrailPolicies", "LoggingLevel", "SnsTopicArns", "UserRoleRequired"},
	replace:    []string{"ConfigurationName", "SlackWorkspaceId"},
	attrs:      []string{"Arn"},
	create: func(p *provision) error {
		out, err := performIn[chatbot.CreateSlackChannelConfigurationOutput](p, chatRegion, "chatbot", "CreateSlackChannelConfiguration", &chatbot.CreateSlackChannelConfigurationInput{
			ConfigurationName: p.props.opt("ConfigurationName"), SlackTeamId: p.props.opt("SlackWorkspaceId"), SlackChannelId: p.props.opt("SlackChannelId"),
			IamRoleArn: p.props.opt("IamRoleArn"), GuardrailPolicyArns: p.props.texts("GuardrailPolicies"), SnsTopicArns: p.props.texts("SnsTopicArns"), LoggingLevel: p.props.opt("LoggingLevel"),
		})
		if err != nil {
			return err
		}
		p.res.Physical = aws.ToString(out.ChannelConfiguration.ChatConfigurationArn)
		p.set("Arn", p.res.Physical)
		return nil
	},
	update: func(p *provision) error {
		_, err := performIn[chatbot.UpdateSlackChannelConfigurationOutput](p, chatRegion, "chatbot", "UpdateSlackChannelConfiguration", &chatbot.UpdateSlackChannelConfigurationInput{
			ChatConfigurationArn: &p.res.Physical, SlackChannelId: p.props.opt("SlackChannelId"),
			IamRoleArn: p.props.opt("IamRoleArn"), GuardrailPolicyArns: p.props.texts("GuardrailPolicies"), SnsTopicArns: p.props.texts("SnsTopicArns"), LoggingLevel: p.props.opt("LoggingLevel"),
		})
		return err
	},
	delete: func(p *provision) error {
		_, err := performIn[chatbot.DeleteSlackChannelConfigurationOutput](p, chatRegion, "chatbot", "DeleteSlackChannelConfiguration", &chatbot.DeleteSlackChannelConfigurationInput{ChatConfigurationArn: &p.res.Physical})
		return ignore(err, "ResourceNotFoundException")
	},
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-chatbot-microsoftteamschannelconfiguration.html
var cfnTeamsChannel = resourceType{
	required:   []string{"ConfigurationName", "IamRoleArn", "TeamId", "TeamsChannelId", "TeamsTenantId"},
	properties: []string{"CustomizationResourceArns", "GuardrailPolicies", "LoggingLevel", "SnsTopicArns", "TeamsChannelName", "UserRoleRequired"},
	replace:    []string{"ConfigurationName", "TeamId", "TeamsTenantId"},
	attrs:      []string{"Arn"},
	create: func(p *provision) error {
		out, err := performIn[chatbot.CreateMicrosoftTeamsChannelConfigurationOutput](p, chatRegion, "chatbot", "CreateMicrosoftTeamsChannelConfiguration", &chatbot.CreateMicrosoftTeamsChannelConfigurationInput{
			ConfigurationName: p.props.opt("ConfigurationName"), TenantId: p.props.opt("TeamsTenantId"), TeamId: p.props.opt("TeamId"), ChannelId: p.props.opt("TeamsChannelId"),
			IamRoleArn: p.props.opt("IamRoleArn"), GuardrailPolicyArns: p.props.texts("GuardrailPolicies"), SnsTopicArns: p.props.texts("SnsTopicArns"), LoggingLevel: p.props.opt("LoggingLevel"),
		})
		if err != nil {
			return err
		}
		p.res.Physical = aws.ToString(out.ChannelConfiguration.ChatConfigurationArn)
		p.set("Arn", p.res.Physical)
		return nil
	},
	update: func(p *provision) error {
		_, err := performIn[chatbot.UpdateMicrosoftTeamsChannelConfigurationOutput](p, chatRegion, "chatbot", "UpdateMicrosoftTeamsChannelConfiguration", &chatbot.UpdateMicrosoftTeamsChannelConfigurationInput{
			ChatConfigurationArn: &p.res.Physical, ChannelId: p.props.opt("TeamsChannelId"),
			IamRoleArn: p.props.opt("IamRoleArn"), GuardrailPolicyArns: p.props.texts("GuardrailPolicies"), SnsTopicArns: p.props.texts("SnsTopicArns"), LoggingLevel: p.props.opt("LoggingLevel"),
		})
		return err
	},
	delete: func(p *provision) error {
		_, err := performIn[chatbot.DeleteMicrosoftTeamsChannelConfigurationOutput](p, chatRegion, "chatbot", "DeleteMicrosoftTeamsChannelConfiguration", &chatbot.DeleteMicrosoftTeamsChannelConfigurationInput{ChatConfigurationArn: &p.res.Physical})
		return ignore(err, "ResourceNotFoundException")
	},
}
