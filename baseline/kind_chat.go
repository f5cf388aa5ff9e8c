package baseline

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/chatbot"

	"github.com/orgguard/orgguard/orgs/access"
)

// chatState is a chat channel's configuration in Amazon Q Developer in chat
// applications.
type chatState struct {
	ARN        string   `json:"arn"`
	Channel    []string `json:"channel"` // workspace and channel, or tenant, team and channel
	Role       string   `json:"role"`
	Guardrails []string `json:"guardrails"`
	Topics     []string `json:"topics"`
	// State is DISABLED where a policy of the organization forbids chat.
	State, Reason string
}

// chatRegion is where the service's endpoint is that is asked: its configurations
// have no Region, and it has endpoints in four.
// https://docs.aws.amazon.com/general/latest/gr/chatbot.html
const chatRegion = "us-east-2"

func (s site) chatAt() access.At { return s.at.InRegion(chatRegion) }

const channelARN = "arn:{partition}:chatbot::{account}:chat-configuration/"

var (
	slackKind = kind{
		noun: "Slack channel", nameProp: "ConfigurationName", global: true, attributes: map[string]string{"Ref": channelARN + "slack-channel/{name}"},
		observe: observeSlack, compare: compareChat, repair: repairSlack,
	}
	teamsKind = kind{
		noun: "Teams channel", nameProp: "ConfigurationName", global: true, attributes: map[string]string{"Ref": channelARN + "microsoft-teams-channel/{name}"},
		observe: observeTeams, compare: compareChat, repair: repairTeams,
	}
)

func observeSlack(ctx context.Context, s site, r Resource) (any, error) {
	pages := chatbot.NewDescribeSlackChannelConfigurationsPaginator(s.Chatbot, &chatbot.DescribeSlackChannelConfigurationsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, s.chatAt().Chatbot)
		if err != nil {
			return nil, fmt.Errorf("describe Slack channels: %w", err)
		}
		for _, c := range page.SlackChannelConfigurations {
			if aws.ToString(c.ConfigurationName) == r.str("ConfigurationName") {
				return chatState{
					ARN: aws.ToString(c.ChatConfigurationArn), Channel: []string{aws.ToString(c.SlackTeamId), aws.ToString(c.SlackChannelId)}, Role: aws.ToString(c.IamRoleArn),
					Guardrails: sorted(c.GuardrailPolicyArns), Topics: sorted(c.SnsTopicArns), State: aws.ToString(c.State), Reason: aws.ToString(c.StateReason),
				}, nil
			}
		}
	}
	return nil, nil
}

func observeTeams(ctx context.Context, s site, r Resource) (any, error) {
	pages := chatbot.NewListMicrosoftTeamsChannelConfigurationsPaginator(s.Chatbot, &chatbot.ListMicrosoftTeamsChannelConfigurationsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, s.chatAt().Chatbot)
		if err != nil {
			return nil, fmt.Errorf("list Teams channels: %w", err)
		}
		for _, c := range page.TeamChannelConfigurations {
			if aws.ToString(c.ConfigurationName) == r.str("ConfigurationName") {
				return chatState{
					ARN: aws.ToString(c.ChatConfigurationArn), Channel: []string{aws.ToString(c.TenantId), aws.ToString(c.TeamId), aws.ToString(c.ChannelId)}, Role: aws.ToString(c.IamRoleArn),
					Guardrails: sorted(c.GuardrailPolicyArns), Topics: sorted(c.SnsTopicArns), State: aws.ToString(c.State), Reason: aws.ToString(c.StateReason),
				}, nil
			}
		}
	}
	return nil, nil
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// wantChannel is the channel of a template.
func wantChannel(r Resource) chatState {
	channel := []string{r.str("SlackWorkspaceId"), r.str("SlackChannelId")}
	if r.Type == "AWS::Chatbot::MicrosoftTeamsChannelConfiguration" {
		channel = []string{r.str("TeamsTenantId"), r.str("TeamId"), r.str("TeamsChannelId")}
	}
	return chatState{Channel: channel, Role: r.str("IamRoleArn"), Guardrails: sorted(toStrings(r.list("GuardrailPolicies"))), Topics: sorted(toStrings(r.list("SnsTopicArns")))}
}

// compareChat takes further topics of a channel for drift too: what they say has
// the channel's trust.
func compareChat(r Resource, state any) []Mismatch {
	have, want := state.(chatState), wantChannel(r)
	var out []Mismatch
	for _, x := range []struct {
		reason     string
		want, have any
	}{
		{"alerts go to another channel", want.Channel, have.Channel},
		{"the channel has another role", want.Role, have.Role},
		{"the channel has other guardrails", want.Guardrails, have.Guardrails},
		{"the channel hears other topics", want.Topics, have.Topics},
	} {
		if compact(x.want) != compact(x.have) {
			out = append(out, Mismatch{Reason: x.reason, Expected: x.want, Actual: x.have})
		}
	}
	if have.State == "DISABLED" {
		out = append(out, Mismatch{
			Reason: "the channel is disabled: " + have.Reason, Expected: "ENABLED", Actual: have.State,
			Manual: "change the organization's chat applications policy: it forbids this channel",
		})
	}
	return out
}

// repairSlack makes the channel's configuration or changes it. A workspace cannot be
// changed: the configuration is made anew.
func repairSlack(ctx context.Context, s site, r Resource, state any) error {
	want, at := wantChannel(r), s.chatAt().Chatbot
	if have, ok := state.(chatState); ok {
		if have.Channel[0] == want.Channel[0] {
			_, err := s.Chatbot.UpdateSlackChannelConfiguration(ctx, &chatbot.UpdateSlackChannelConfigurationInput{
				ChatConfigurationArn: aws.String(have.ARN), SlackChannelId: aws.String(want.Channel[1]), IamRoleArn: aws.String(want.Role),
				GuardrailPolicyArns: want.Guardrails, SnsTopicArns: want.Topics, LoggingLevel: aws.String(r.str("LoggingLevel")),
			}, at)
			if err != nil {
				return fmt.Errorf("update Slack channel %s: %w", r.str("ConfigurationName"), err)
			}
			return nil
		}
		if _, err := s.Chatbot.DeleteSlackChannelConfiguration(ctx, &chatbot.DeleteSlackChannelConfigurationInput{ChatConfigurationArn: aws.String(have.ARN)}, at); err != nil {
			return fmt.Errorf("delete Slack channel %s: %w", r.str("ConfigurationName"), err)
		}
	}
	_, err := s.Chatbot.CreateSlackChannelConfiguration(ctx, &chatbot.CreateSlackChannelConfigurationInput{
		ConfigurationName: aws.String(r.str("ConfigurationName")), SlackTeamId: aws.String(want.Channel[0]), SlackChannelId: aws.String(want.Channel[1]),
		IamRoleArn: aws.String(want.Role), GuardrailPolicyArns: want.Guardrails, SnsTopicArns: want.Topics, LoggingLevel: aws.String(r.str("LoggingLevel")),
	}, at)
	if err != nil {
		return fmt.Errorf("create Slack channel %s: %w", r.str("ConfigurationName"), err)
	}
	return nil
}

// repairTeams is repairSlack for Microsoft Teams, where tenant and team cannot be
// changed.
func repairTeams(ctx context.Context, s site, r Resource, state any) error {
	want, at := wantChannel(r), s.chatAt().Chatbot
	if have, ok := state.(chatState); ok {
		if slices.Equal(have.Channel[:2], want.Channel[:2]) {
			_, err := s.Chatbot.UpdateMicrosoftTeamsChannelConfiguration(ctx, &chatbot.UpdateMicrosoftTeamsChannelConfigurationInput{
				ChatConfigurationArn: aws.String(have.ARN), ChannelId: aws.String(want.Channel[2]), IamRoleArn: aws.String(want.Role),
				GuardrailPolicyArns: want.Guardrails, SnsTopicArns: want.Topics, LoggingLevel: aws.String(r.str("LoggingLevel")),
			}, at)
			if err != nil {
				return fmt.Errorf("update Teams channel %s: %w", r.str("ConfigurationName"), err)
			}
			return nil
		}
		_, err := s.Chatbot.DeleteMicrosoftTeamsChannelConfiguration(ctx, &chatbot.DeleteMicrosoftTeamsChannelConfigurationInput{ChatConfigurationArn: aws.String(have.ARN)}, at)
		if err != nil {
			return fmt.Errorf("delete Teams channel %s: %w", r.str("ConfigurationName"), err)
		}
	}
	_, err := s.Chatbot.CreateMicrosoftTeamsChannelConfiguration(ctx, &chatbot.CreateMicrosoftTeamsChannelConfigurationInput{
		ConfigurationName: aws.String(r.str("ConfigurationName")), TenantId: aws.String(want.Channel[0]), TeamId: aws.String(want.Channel[1]), ChannelId: aws.String(want.Channel[2]),
		IamRoleArn: aws.String(want.Role), GuardrailPolicyArns: want.Guardrails, SnsTopicArns: want.Topics, LoggingLevel: aws.String(r.str("LoggingLevel")),
	}, at)
	if err != nil {
		return fmt.Errorf("create Teams channel %s: %w", r.str("ConfigurationName"), err)
	}
	return nil
}
