package baseline

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs/chat"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// chatAlert: alerts reach a Slack or Teams channel too, by Amazon Q Developer in
// chat applications (AWS Chatbot until 2025).
//
// That service shows events of AWS services as it knows them, and of other messages
// only custom notifications: a text is dropped. So chat has a topic of its own,
// which mail knows nothing of, and a state machine of its own before it, which that of
// the mail starts: a second target of every rule of the central bus would be more than
// a template may hold. The state machine builds the message as an object and writes it as JSON at the end (States.JsonToString), so
// nothing that somebody called something can break out of it, as it could where an
// input transformer puts it between quotes. Free text of others is left to the
// mail, and so is a name with characters that Slack or Teams act on (links and
// mentions): the language has no function that could take them out.
//
// There is none with local alerts: a person would have to authorize the workspace
// in each account, in its console.
// https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
var chatAlert = Control{
	ID: "chat-alert", Title: "Alerts reach a chat channel too", Severity: finding.Medium,
	about: About{
		Why:     "Who is on call reads chat before mail. The channel can do nothing in the account: its role has no rights, and its guardrail denies all.",
		Cost:    "nothing for the channel; another run of a state machine for each alert, USD 1 for a million",
		Example: `chat-alert: true`,
	},
	needs:   []string{"alert-topic"},
	central: true,
	parts:   []part{{unit: "central", mode: spec.Central}},
	params: func(_ any, b *Baseline) map[string]string {
		a := b.Config.Alerts
		return map[string]string{
			"SlackWorkspaceId": a.Slack.WorkspaceID, "SlackChannelId": a.Slack.ChannelID,
			"TeamsTenantId": a.Teams.TenantID, "TeamsTeamId": a.Teams.TeamID, "TeamsChannelId": a.Teams.ChannelID,
		}
	},
	// CloudFormation takes no empty parameters where a type has a pattern: what is
	// not configured is left out.
	extend: func(f *fragment, b *Baseline) {
		drop := func(section string, names ...string) {
			m := get(f.root, section)
			for _, name := range names {
				for i := 0; i+1 < len(m.Content); i += 2 {
					if m.Content[i].Value == name {
						m.Content = append(m.Content[:i:i], m.Content[i+2:]...)
						break
					}
				}
			}
		}
		if b.Config.Alerts.Slack.ChannelID == "" {
			drop("Resources", "SlackChannel")
			drop("Parameters", "SlackWorkspaceId", "SlackChannelId")
		}
		if b.Config.Alerts.Teams.ChannelID == "" {
			drop("Resources", "TeamsChannel")
			drop("Parameters", "TeamsTenantId", "TeamsTeamId", "TeamsChannelId")
		}
	},
	Reads: []string{"chatbot:DescribeSlackChannelConfigurations", "chatbot:ListMicrosoftTeamsChannelConfigurations"},
	Writes: []string{
		"chatbot:CreateMicrosoftTeamsChannelConfiguration", "chatbot:CreateSlackChannelConfiguration", "chatbot:DeleteMicrosoftTeamsChannelConfiguration",
		"chatbot:DeleteSlackChannelConfiguration", "chatbot:UpdateMicrosoftTeamsChannelConfiguration", "chatbot:UpdateSlackChannelConfiguration",
	},
}

// chats says whether alerts go to chat.
func (b *Baseline) chats() bool {
	return slices.Contains(b.Controls(), chatAlert.ID) && b.Config.Alerts.Mode == spec.Central
}

// checkChat reports channels that nothing could ever be sent to, and notes a control
// that has none.
func (b *Baseline) checkChat() error {
	on := !b.says(chatAlert.ID) || chatAlert.on(b.Config)
	switch {
	case on && b.Config.Alerts.Chat() && b.Config.Alerts.Mode == spec.Local:
		return errors.New("alerts: slack and teams need mode: central; with local alerts somebody would have to authorize the workspace in the console of each account")
	case on && b.Config.Alerts.Chat() && b.Org.Partition.ID != "aws":
		return fmt.Errorf("alerts: the partition %s has no Amazon Q Developer in chat applications: take slack and teams out", b.Org.Partition.ID)
	case b.says(chatAlert.ID) && on && !b.Config.Alerts.Chat():
		b.Notes = append(b.Notes, "chat-alert is on, and alerts names no channel: give it slack or teams")
	}
	return nil
}

// startChat has the alert state machine start the chat one before it sends the mail.
// What goes wrong there is put beside the dead letters, and the mail goes out.
func startChat(f *fragment) {
	policy := get(f.at("Resources", "AlertRole", "Properties", "Policies").Content[0], "PolicyDocument")
	start := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, kv := range [][2]string{{"Sid", "Chat"}, {"Effect", "Allow"}, {"Action", "states:StartExecution"}} {
		set(start, kv[0], text("!!str", kv[1]))
	}
	set(start, "Resource", text("!Sub", "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:stateMachine:orgguard-alert-chat"))
	list := get(policy, "Statement")
	list.Content = append(list.Content, start)

	machine := f.at("Resources", "AlertStateMachine", "Properties", "DefinitionString")
	states := strings.ReplaceAll(machine.Value, `"Next": "Publish"`, `"Next": "Chat"`)
	machine.Value = strings.Replace(states, `    "Publish": {`, chatStates+`    "Publish": {`, 1)
}

// chatStates stand before the state Publish of the alert state machine.
const chatStates = `    "Chat": {
      "Type": "Task",
      "Resource": "arn:${AWS::Partition}:states:::states:startExecution",
      "Parameters": {"StateMachineArn": "${ChatStateMachine}", "Input.$": "$"},
      "ResultPath": null,
      "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2, "BackoffRate": 2}],
      "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.chatError", "Next": "NoChat"}],
      "Next": "Publish"
    },
    "NoChat": {
      "Type": "Task",
      "Resource": "arn:${AWS::Partition}:states:::sqs:sendMessage",
      "Parameters": {"QueueUrl": "${DeadLetters}", "MessageBody.$": "States.JsonToString($)"},
      "ResultPath": null,
      "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": null, "Next": "Publish"}],
      "Next": "Publish"
    },
`

// ChatMessage is a custom notification.
type ChatMessage = chat.Message

// checkChatMessage reports what the service would drop, or what would do something in a
// channel.
func checkChatMessage(m ChatMessage) error {
	c := m.Content
	switch {
	case m.Version != chat.Version || m.Source != chat.Source || c.TextType != chat.TextType:
		return errors.New("the chat message is no custom notification")
	case c.Description == "" || utf8.RuneCountInString(c.Description) > chat.MaxDescription:
		return fmt.Errorf("the chat message's text has %d characters; want 1 to %d", utf8.RuneCountInString(c.Description), chat.MaxDescription)
	case utf8.RuneCountInString(c.Title) > chat.MaxTitle:
		return fmt.Errorf("the chat message's title has %d characters; want at most %d", utf8.RuneCountInString(c.Title), chat.MaxTitle)
	}
	body, ok := strings.CutPrefix(c.Description, "```\n")
	body, closed := strings.CutSuffix(body, "\n```")
	if !ok || !closed || strings.ContainsAny(body+c.Title, "<`") || strings.Contains(body+c.Title, "](") {
		return errors.New("the chat message has a link or a mention, or breaks out of its block")
	}
	return nil
}

// chatMachine is the part of the chat state machine's definition that says what is
// sent.
type chatMachine struct {
	States struct {
		Guard struct {
			Choices []struct {
				Or []struct{ Variable, StringMatches string }
			}
		}
		MuteName, MuteResource struct{ Result any }
		Compose                struct{ Parameters map[string]any }
	}
}

// chatOf is what the state machine sends for an input, with the account's name
// looked up: the same definition that is deployed, read here.
func chatOf(definition string, in map[string]any) (*ChatMessage, error) {
	var d chatMachine
	if err := json.Unmarshal([]byte(definition), &d); err != nil {
		return nil, fmt.Errorf("definition of the chat state machine: %w", err)
	}
	s := d.States
	for _, choice := range s.Guard.Choices {
		for _, rule := range choice.Or {
			v, _ := lookup(rule.Variable, in)
			if text, ok := v.(string); ok && strings.Contains(text, strings.Trim(rule.StringMatches, "*")) {
				in["lookup"], in["resource"] = s.MuteName.Result, s.MuteResource.Result
			}
		}
	}
	filled, err := fill(s.Compose.Parameters, in)
	if err != nil {
		return nil, err
	}
	var m ChatMessage
	if err := json.Unmarshal([]byte(compact(filled)), &m); err != nil {
		return nil, fmt.Errorf("chat message: %w", err)
	}
	return &m, checkChatMessage(m)
}

// fill evaluates the parameters of a state: keys that end in .$ are expressions.
func fill(v any, in map[string]any) (any, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return v, nil
	}
	out := map[string]any{}
	for key, x := range m {
		name, expression := strings.CutSuffix(key, ".$")
		var err error
		if expression {
			out[name], err = format(fmt.Sprint(x), in)
		} else {
			out[name], err = fill(x, in)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
