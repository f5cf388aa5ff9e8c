package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/chatbot"
	"github.com/aws/aws-sdk-go-v2/service/chatbot/types"
	"github.com/orgguard/orgguard/orgs"
)

// chatChannel is a channel's configuration in Amazon Q Developer in chat
// applications, of Slack or of Microsoft Teams.
type chatChannel struct {
	Name       string   `json:"name"`
	Teams      bool     `json:"teams,omitempty"`
	Tenant     string   `json:"tenant,omitempty"` // of Teams
	Team       string   `json:"team"`             // or Slack's workspace
	Channel    string   `json:"channel"`
	Role       string   `json:"role"`
	Guardrails []string `json:"guardrails,omitempty"`
	Topics     []string `json:"topics,omitempty"`
	Logging    string   `json:"logging"`
}

// chatbotOps are configurations of channels. Every workspace and team counts as
// authorized, which in AWS a person has to do in the console. The service has
// endpoints in four Regions and keeps its configurations in none.
//
// https://docs.aws.amazon.com/chatbot/latest/APIReference/API_Operations.html
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awschatbot.html
var chatbotOps = map[string]operation{
	"CreateSlackChannelConfiguration":          op(write, createSlackChannel),
	"UpdateSlackChannelConfiguration":          op(write, updateSlackChannel),
	"DeleteSlackChannelConfiguration":          op(write, deleteSlackChannel),
	"DescribeSlackChannelConfigurations":       op(read, describeSlackChannels),
	"CreateMicrosoftTeamsChannelConfiguration": op(write, createTeamsChannel),
	"UpdateMicrosoftTeamsChannelConfiguration": op(write, updateTeamsChannel),
	"DeleteMicrosoftTeamsChannelConfiguration": op(write, deleteTeamsChannel),
	"ListMicrosoftTeamsChannelConfigurations":  op(read, listTeamsChannels),
}

var chatName = orgs.NewPattern(`^[A-Za-z0-9_-]{1,128}$`)

func chatARN(c *call, ch *chatChannel) string {
	kind := "slack-channel"
	if ch.Teams {
		kind = "microsoft-teams-channel"
	}
	return "arn:" + c.w.state.Partition + ":chatbot::" + c.caller.Account + ":chat-configuration/" + kind + "/" + ch.Name
}

func chatInvalid(format string, args ...any) error {
	return apiError("InvalidRequestException", format, args...)
}

// putChannel makes a channel's configuration, and has the service subscribe to its
// topics.
func (c *call) putChannel(ch *chatChannel) error {
	a := c.account()
	switch same := a.Chat[chatARN(c, ch)]; {
	case !chatName.MatchString(ch.Name):
		return chatInvalid("Invalid configuration name %s", ch.Name)
	case ch.Team == "" || ch.Channel == "" || ch.Teams && ch.Tenant == "":
		return chatInvalid("the channel is not given")
	case same != nil:
		return apiError("ConflictException", "Configuration with name %s already exists", ch.Name)
	}
	for _, other := range a.Chat {
		if other.Teams == ch.Teams && other.Team == ch.Team && other.Channel == ch.Channel {
			return apiError("ConflictException", "The channel %s is already configured", ch.Channel)
		}
	}
	if a.Chat == nil {
		a.Chat = map[string]*chatChannel{}
	}
	if err := c.checkChannel(ch); err != nil {
		return err
	}
	a.Chat[chatARN(c, ch)] = ch
	return nil
}

func (c *call) checkChannel(ch *chatChannel) error {
	if owner, r := c.w.roleByARN(ch.Role); r == nil || owner != c.caller.Account {
		return chatInvalid("The role %s does not exist", ch.Role)
	}
	for _, topic := range ch.Topics {
		if service, _, account, _, ok := arnParts(topic); !ok || service != "sns" || account != c.caller.Account {
			return chatInvalid("%s is not a topic of the account", topic)
		}
	}
	return nil
}

// channelOf finds a configuration by its ARN.
func (c *call) channelOf(arn *string, teams bool) (*chatChannel, error) {
	ch := c.account().Chat[aws.ToString(arn)]
	if ch == nil || ch.Teams != teams {
		return nil, apiError("ResourceNotFoundException", "Configuration %s does not exist", aws.ToString(arn))
	}
	return ch, nil
}

// channels are the account's, in the order of their ARNs.
func (c *call) channels(teams bool) []*chatChannel {
	var out []*chatChannel
	for _, arn := range slices.Sorted(maps.Keys(c.account().Chat)) {
		if ch := c.account().Chat[arn]; ch.Teams == teams {
			out = append(out, ch)
		}
	}
	return out
}

// change gives a channel what is not nil.
func (c *call) change(ch *chatChannel, channel, role, logging *string, guardrails, topics []string) error {
	next := *ch
	for into, v := range map[*string]*string{&next.Channel: channel, &next.Role: role, &next.Logging: logging} {
		if v != nil {
			*into = *v
		}
	}
	if guardrails != nil {
		next.Guardrails = guardrails
	}
	if topics != nil {
		next.Topics = topics
	}
	if err := c.checkChannel(&next); err != nil {
		return err
	}
	*ch = next
	return nil
}

func createSlackChannel(c *call, in *chatbot.CreateSlackChannelConfigurationInput) (*chatbot.CreateSlackChannelConfigurationOutput, error) {
	ch := &chatChannel{
		Name: aws.ToString(in.ConfigurationName), Team: aws.ToString(in.SlackTeamId), Channel: aws.ToString(in.SlackChannelId), Role: aws.ToString(in.IamRoleArn),
		Guardrails: in.GuardrailPolicyArns, Topics: in.SnsTopicArns, Logging: orDefault(in.LoggingLevel, "NONE"),
	}
	if err := c.putChannel(ch); err != nil {
		return nil, err
	}
	out := apiSlack(c, ch)
	return &chatbot.CreateSlackChannelConfigurationOutput{ChannelConfiguration: &out}, nil
}

func updateSlackChannel(c *call, in *chatbot.UpdateSlackChannelConfigurationInput) (*chatbot.UpdateSlackChannelConfigurationOutput, error) {
	ch, err := c.channelOf(in.ChatConfigurationArn, false)
	if err == nil {
		err = c.change(ch, in.SlackChannelId, in.IamRoleArn, in.LoggingLevel, in.GuardrailPolicyArns, in.SnsTopicArns)
	}
	if err != nil {
		return nil, err
	}
	out := apiSlack(c, ch)
	return &chatbot.UpdateSlackChannelConfigurationOutput{ChannelConfiguration: &out}, nil
}

func deleteSlackChannel(c *call, in *chatbot.DeleteSlackChannelConfigurationInput) (*chatbot.DeleteSlackChannelConfigurationOutput, error) {
	if _, err := c.channelOf(in.ChatConfigurationArn, false); err != nil {
		return nil, err
	}
	delete(c.account().Chat, *in.ChatConfigurationArn)
	return &chatbot.DeleteSlackChannelConfigurationOutput{}, nil
}

func apiSlack(c *call, ch *chatChannel) types.SlackChannelConfiguration {
	return types.SlackChannelConfiguration{
		ConfigurationName: aws.String(ch.Name), ChatConfigurationArn: aws.String(chatARN(c, ch)), SlackTeamId: aws.String(ch.Team), SlackTeamName: aws.String(ch.Team),
		SlackChannelId: aws.String(ch.Channel), SlackChannelName: aws.String(ch.Channel), IamRoleArn: aws.String(ch.Role),
		GuardrailPolicyArns: slices.Clone(ch.Guardrails), SnsTopicArns: slices.Clone(ch.Topics), LoggingLevel: aws.String(ch.Logging), State: aws.String("ENABLED"),
	}
}

func describeSlackChannels(c *call, in *chatbot.DescribeSlackChannelConfigurationsInput) (*chatbot.DescribeSlackChannelConfigurationsOutput, error) {
	page, next, ok := pageOf(c, c.channels(false), 10, in.NextToken)
	if !ok {
		return nil, chatInvalid("Invalid NextToken")
	}
	out := &chatbot.DescribeSlackChannelConfigurationsOutput{NextToken: next, SlackChannelConfigurations: []types.SlackChannelConfiguration{}}
	for _, ch := range page {
		out.SlackChannelConfigurations = append(out.SlackChannelConfigurations, apiSlack(c, ch))
	}
	return out, nil
}

func createTeamsChannel(c *call, in *chatbot.CreateMicrosoftTeamsChannelConfigurationInput) (*chatbot.CreateMicrosoftTeamsChannelConfigurationOutput, error) {
	ch := &chatChannel{
		Teams: true, Name: aws.ToString(in.ConfigurationName), Tenant: aws.ToString(in.TenantId), Team: aws.ToString(in.TeamId), Channel: aws.ToString(in.ChannelId),
		Role: aws.ToString(in.IamRoleArn), Guardrails: in.GuardrailPolicyArns, Topics: in.SnsTopicArns, Logging: orDefault(in.LoggingLevel, "NONE"),
	}
	if err := c.putChannel(ch); err != nil {
		return nil, err
	}
	out := apiTeams(c, ch)
	return &chatbot.CreateMicrosoftTeamsChannelConfigurationOutput{ChannelConfiguration: &out}, nil
}

func updateTeamsChannel(c *call, in *chatbot.UpdateMicrosoftTeamsChannelConfigurationInput) (*chatbot.UpdateMicrosoftTeamsChannelConfigurationOutput, error) {
	ch, err := c.channelOf(in.ChatConfigurationArn, true)
	if err == nil {
		err = c.change(ch, in.ChannelId, in.IamRoleArn, in.LoggingLevel, in.GuardrailPolicyArns, in.SnsTopicArns)
	}
	if err != nil {
		return nil, err
	}
	out := apiTeams(c, ch)
	return &chatbot.UpdateMicrosoftTeamsChannelConfigurationOutput{ChannelConfiguration: &out}, nil
}

func deleteTeamsChannel(c *call, in *chatbot.DeleteMicrosoftTeamsChannelConfigurationInput) (*chatbot.DeleteMicrosoftTeamsChannelConfigurationOutput, error) {
	if _, err := c.channelOf(in.ChatConfigurationArn, true); err != nil {
		return nil, err
	}
	delete(c.account().Chat, *in.ChatConfigurationArn)
	return &chatbot.DeleteMicrosoftTeamsChannelConfigurationOutput{}, nil
}

func apiTeams(c *call, ch *chatChannel) types.TeamsChannelConfiguration {
	return types.TeamsChannelConfiguration{
		ConfigurationName: aws.String(ch.Name), ChatConfigurationArn: aws.String(chatARN(c, ch)), TenantId: aws.String(ch.Tenant), TeamId: aws.String(ch.Team),
		ChannelId: aws.String(ch.Channel), IamRoleArn: aws.String(ch.Role),
		GuardrailPolicyArns: slices.Clone(ch.Guardrails), SnsTopicArns: slices.Clone(ch.Topics), LoggingLevel: aws.String(ch.Logging), State: aws.String("ENABLED"),
	}
}

func listTeamsChannels(c *call, in *chatbot.ListMicrosoftTeamsChannelConfigurationsInput) (*chatbot.ListMicrosoftTeamsChannelConfigurationsOutput, error) {
	page, next, ok := pageOf(c, c.channels(true), 10, in.NextToken)
	if !ok {
		return nil, chatInvalid("Invalid NextToken")
	}
	out := &chatbot.ListMicrosoftTeamsChannelConfigurationsOutput{NextToken: next, TeamChannelConfigurations: []types.TeamsChannelConfiguration{}}
	for _, ch := range page {
		out.TeamChannelConfigurations = append(out.TeamChannelConfigurations, apiTeams(c, ch))
	}
	return out, nil
}

// toChat puts a topic's message into the outbox for each channel that hears the
// topic, if it is a custom notification: the service drops other texts.
//
// https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
func (w *World) toChat(topic, text string, now time.Time) {
	var m struct {
		Version, Source string
		Content         struct{ Title, Description string }
	}
	if json.Unmarshal([]byte(text), &m) != nil || m.Version != "1.0" || m.Source != "custom" || m.Content.Description == "" {
		return
	}
	_, _, account, _, _ := arnParts(topic)
	a := w.state.Accounts[account]
	if a == nil {
		return
	}
	for _, arn := range slices.Sorted(maps.Keys(a.Chat)) {
		if ch := a.Chat[arn]; slices.Contains(ch.Topics, topic) {
			w.post(Mail{Time: now, Topic: topic, Protocol: "https", Endpoint: "chat channel " + strings.TrimSpace(ch.Channel), Subject: m.Content.Title, Message: m.Content.Description})
		}
	}
}
