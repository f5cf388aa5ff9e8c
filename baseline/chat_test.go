package baseline

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/chatbot"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/spec"
)

// chatConfig is demoConfig with a Slack and a Teams channel.
var chatConfig = strings.Replace(demoConfig, "[security@example.com]", "[security@example.com]"+channels(spec.Central, "aws"), 1)

func TestWhereChatIs(t *testing.T) {
	slack := "alerts: {mode: central, slack: {workspace_id: T0123ABCD, channel_id: C0456EFGH}}\n"
	for _, tt := range []struct {
		name, partition, config string
		on                      bool
		want                    string // in the error or the notes
	}{
		{"without channels there is none", "aws", "alerts: {mode: central}\n", false, ""},
		{"a channel turns it on", "aws", slack, true, ""},
		{"it can be off although there is a channel", "aws", slack + "baseline: {chat-alert: false}\n", false, ""},
		{"it goes with the alerts", "aws", slack + "baseline: {alert-topic: false}\n", false, ""},
		{"it is on without a channel, which is said", "aws", "alerts: {mode: central}\nbaseline: {chat-alert: true}\n", true, "alerts names no channel"},
		{"local alerts cannot have it", "aws", strings.Replace(slack, "central", "local", 1), false, "need mode: central"},
		{"local alerts with chat off are fine", "aws", strings.Replace(slack, "central", "local", 1) + "baseline: {chat-alert: false}\n", false, ""},
		{"a partition without the service", "aws-cn", slack, false, "aws-cn has no Amazon Q Developer"},
		{"no override switches it", "aws", slack + "overrides: [{account: \"200000000001\", reason: x, baseline: {chat-alert: false}}]\n", true, "chat-alert"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doc, err := spec.Parse("orgguard.yaml", []byte("version: 1\nsecurity_account: \"200000000001\"\n"+tt.config), Known())
			if err != nil {
				if tt.want == "" || !strings.Contains(err.Error(), tt.want) {
					t.Fatal(err)
				}
				return
			}
			org := smallOrg(tt.partition)
			b, err := Resolve(doc, org, org.Partition.GlobalRegion)
			if err != nil {
				if tt.want == "" || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error %v; want %q", err, tt.want)
				}
				return
			}
			if b.chats() != tt.on {
				t.Errorf("chats = %v; want %v", b.chats(), tt.on)
			}
			if notes := strings.Join(b.Notes, "\n"); tt.want != "" && !strings.Contains(notes, tt.want) {
				t.Errorf("notes %q; want %q", notes, tt.want)
			}
		})
	}
}

// What is sent arrives in the mail and in both channels; whoever breaks chat breaks
// no mail; and names that a channel would act on stay out of it.
func TestChatIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, chatConfig)
		r.mustRollout(t)
		r.w.SetClock(func() time.Time { return time.Date(2026, 11, 22, 12, 34, 56, 0, time.UTC) })
		told := func() (mails, chats []sim.Mail) {
			before := len(r.w.Outbox())
			r.w.SignIn(shopProd, true, false, true)
			for _, m := range alerts(r.w.Outbox()[before:]) {
				if m.Protocol == "email" {
					mails = append(mails, m)
				} else {
					chats = append(chats, m)
				}
			}
			return mails, chats
		}
		block := func(account string) string {
			return "```\nEvent:     ConsoleLogin\nTime:      2026-11-22T12:34:56Z\nAccount:   " + account + " (" + shopProd + ")\nRegion:    us-east-1\n" +
				"Source IP: 203.0.113.17\nBy:        arn:aws:iam::300000000001:root\nResult:    Success, MFA used: No\n```"
		}
		mails, chats := told()
		if len(mails) != 1 || len(chats) != 2 {
			t.Fatalf("%d mails, %d chat messages; want 1 and 2; dead letters: %q", len(mails), len(chats), deadLetters(t, r))
		}
		for i, channel := range []string{"19%3aab12cd%40thread.tacv2", "C0456EFGH"} {
			got := []string{chats[i].Topic, chats[i].Endpoint, chats[i].Subject, chats[i].Message}
			if diff := cmp.Diff([]string{"arn:aws:sns:ap-northeast-1:200000000001:orgguard-alerts-chat", "chat channel " + channel, "The root user signed in.", block("shop-prod")}, got); diff != "" {
				t.Errorf("chat message (-want +got):\n%s", diff)
			}
		}

		topics := sns.NewFromConfig(r.member(securityAccount, tokyo))
		if _, err := topics.DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: aws.String("arn:aws:sns:ap-northeast-1:200000000001:orgguard-alerts-chat")}); err != nil {
			t.Fatal(err)
		}
		mails, chats = told()
		if len(mails) != 1 || len(chats) != 0 {
			t.Errorf("without the chat topic: %d mails, %d chat messages; want 1 and 0", len(mails), len(chats))
		}
		if dead := strings.Join(deadLetters(t, r), "\n"); !strings.Contains(dead, "publishError") {
			t.Errorf("dead letters: %q; want the message that chat did not get", dead)
		}

		machines := sfn.NewFromConfig(r.member(securityAccount, tokyo))
		if _, err := machines.DeleteStateMachine(t.Context(), &sfn.DeleteStateMachineInput{StateMachineArn: aws.String("arn:aws:states:ap-northeast-1:200000000001:stateMachine:orgguard-alert-chat")}); err != nil {
			t.Fatal(err)
		}
		mails, chats = told()
		if len(mails) != 1 || len(chats) != 0 {
			t.Errorf("without the chat state machine: %d mails, %d chat messages; want 1 and 0", len(mails), len(chats))
		}
		if dead := strings.Join(deadLetters(t, r), "\n"); !strings.Contains(dead, "chatError") {
			t.Errorf("dead letters: %q; want the alert that chat did not get", dead)
		}
	})
}

// The definition that is deployed keeps out of chat what Slack or Teams act on, and
// nothing breaks out of the message.
func TestNamesInChat(t *testing.T) {
	machine := chatResource(t, "ChatStateMachine").str("DefinitionString")
	for _, tt := range []struct {
		name, account, resource string
		account2, resource2     string
	}{
		{"ordinary names", "shop & sons", "sg-1", "shop & sons", "sg-1"},
		{"quotes, braces and line breaks are text", `a"},"x":{"{}'`, "a\n\\", `a"},"x":{"{}'`, "a\n\\"},
		{"a mention", "<!channel>", "sg-1", "see the mail", "see the mail"},
		{"a link", "shop", "[x](https://example.com)", "see the mail", "see the mail"},
		{"the end of the block", "shop", "```\n@here", "see the mail", "see the mail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := map[string]any{
				"title": "A title.", "event": "E", "time": "T", "account": "300000000001", "region": "us-east-1", "more": "By:        x", "label": "\nResource:  ",
				"resource": tt.resource, "text": "free text <x>", "lookup": map[string]any{"name": tt.account},
			}
			m, err := chatOf(machine, in)
			if err != nil {
				t.Fatal(err)
			}
			want := "```\nEvent:     E\nTime:      T\nAccount:   " + tt.account2 + " (300000000001)\nRegion:    us-east-1\nBy:        x\nResource:  " + tt.resource2 + "\n```"
			if diff := cmp.Diff(want, m.Content.Description); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestACustomNotification(t *testing.T) {
	ok := `{"version":"1.0","source":"custom","content":{"textType":"client-markdown","title":"t","description":"` + "```\\nx\\n```" + `"}}`
	for _, tt := range []struct{ name, text, want string }{
		{"one as the service takes it", ok, ""},
		{"another version", strings.Replace(ok, "1.0", "2.0", 1), "no custom notification"},
		{"no text", strings.Replace(ok, "```\\nx\\n```", "", 1), "0 characters"},
		{"a long text", strings.Replace(ok, "x\\n", strings.Repeat("x", 8000)+"\\n", 1), "8008 characters"},
		{"a long title", strings.Replace(ok, `"t"`, `"`+strings.Repeat("t", 251)+`"`, 1), "251 characters"},
		{"a mention", strings.Replace(ok, "x\\n", "<!here>\\n", 1), "link or a mention"},
		{"a link in the title", strings.Replace(ok, `"t"`, `"[t](x)"`, 1), "link or a mention"},
		{"text outside the block", strings.Replace(ok, "x\\n```", "x", 1), "breaks out"},
	} {
		var m ChatMessage
		if err := json.Unmarshal([]byte(tt.text), &m); err != nil {
			t.Fatal(err)
		}
		if err := checkChatMessage(m); tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v; want %q", tt.name, err, tt.want)
		}
	}
}

func TestCompareChat(t *testing.T) {
	r := chatResource(t, "SlackChannel")
	good := wantChannel(r)
	with := func(change func(*chatState)) chatState {
		st := good
		change(&st)
		return st
	}
	testCompare(t, r, []compareCase{
		{"a channel as the template says is in sync", good, nil},
		{"another channel", with(func(st *chatState) { st.Channel = []string{"T0123ABCD", "C9"} }), []Mismatch{
			{Reason: "alerts go to another channel", Expected: good.Channel, Actual: []string{"T0123ABCD", "C9"}},
		}},
		{"a further topic is drift", with(func(st *chatState) { st.Topics = append([]string{"arn:x"}, good.Topics...) }), []Mismatch{
			{Reason: "the channel hears other topics", Expected: good.Topics, Actual: append([]string{"arn:x"}, good.Topics...)},
		}},
		{"no guardrail and another role", with(func(st *chatState) { st.Guardrails, st.Role = nil, "arn:aws:iam::1:role/admin" }), []Mismatch{
			{Reason: "the channel has another role", Expected: good.Role, Actual: "arn:aws:iam::1:role/admin"},
			{Reason: "the channel has other guardrails", Expected: good.Guardrails, Actual: []string(nil)},
		}},
		{"a policy of the organization forbids it", with(func(st *chatState) { st.State, st.Reason = "DISABLED", "by policy" }), []Mismatch{{
			Reason: "the channel is disabled: by policy", Expected: "ENABLED", Actual: "DISABLED",
			Manual: "change the organization's chat applications policy: it forbids this channel",
		}}},
	})
}

// chatResource is a resource of chat-alert, with both channels.
func chatResource(t *testing.T, logicalID string) Resource {
	t.Helper()
	b, err := resolveSmall(t, "aws", "regions: [us-east-1]\nalerts: {mode: central"+channels(spec.Central, "aws")+"}\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range b.units {
		if u.ID != "central" {
			continue
		}
		rs, err := u.resources(b.scope(b.Security, b.Home))
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(rs, func(r Resource) bool { return r.LogicalID == logicalID }); i >= 0 {
			return rs[i]
		}
	}
	t.Fatalf("there is no resource %s", logicalID)
	return Resource{}
}

func TestChannelsAreRepaired(t *testing.T) {
	s := simSite(t, "us-east-1")
	mustRepair(t, s, chatResource(t, "ChannelRole"))
	for _, r := range []Resource{chatResource(t, "SlackChannel"), chatResource(t, "TeamsChannel")} {
		t.Run(r.LogicalID, func(t *testing.T) {
			arn := aws.String(s.attribute(r, "Ref"))
			change := func(channel *string, guardrails []string) func(*testing.T, site) error {
				return func(t *testing.T, s site) error {
					if r.LogicalID == "TeamsChannel" {
						_, err := s.Chatbot.UpdateMicrosoftTeamsChannelConfiguration(t.Context(), &chatbot.UpdateMicrosoftTeamsChannelConfigurationInput{
							ChatConfigurationArn: arn, ChannelId: channel, GuardrailPolicyArns: guardrails,
						}, s.chatAt().Chatbot)
						return err
					}
					_, err := s.Chatbot.UpdateSlackChannelConfiguration(t.Context(), &chatbot.UpdateSlackChannelConfigurationInput{
						ChatConfigurationArn: arn, SlackChannelId: channel, GuardrailPolicyArns: guardrails,
					}, s.chatAt().Chatbot)
					return err
				}
			}
			testLifecycle(t, s, r, []tampering{
				{"the guardrail is changed", change(aws.String(wantChannel(r).Channel[len(wantChannel(r).Channel)-1]), []string{"arn:aws:iam::aws:policy/AdministratorAccess"}), []string{"the channel has other guardrails"}, false},
				{"the channel is changed", change(aws.String("C9"), nil), []string{"alerts go to another channel"}, false},
				{"the configuration is deleted", func(t *testing.T, s site) error {
					if r.LogicalID == "TeamsChannel" {
						_, err := s.Chatbot.DeleteMicrosoftTeamsChannelConfiguration(t.Context(), &chatbot.DeleteMicrosoftTeamsChannelConfigurationInput{ChatConfigurationArn: arn}, s.chatAt().Chatbot)
						return err
					}
					_, err := s.Chatbot.DeleteSlackChannelConfiguration(t.Context(), &chatbot.DeleteSlackChannelConfigurationInput{ChatConfigurationArn: arn}, s.chatAt().Chatbot)
					return err
				}, nil, true},
			})
			// What cannot be changed is made anew.
			moved := r
			moved.Props = maps.Clone(r.Props)
			moved.Props["SlackWorkspaceId"], moved.Props["TeamId"] = "T9", "t9"
			mustRepair(t, s, moved)
		})
	}
}
