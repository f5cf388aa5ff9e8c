package spec

import (
	"fmt"

	"github.com/orgguard/orgguard/orgs"
	"slices"
	"strings"
)

// Notices says who is told what changed from one audit of a history to the next.
// Everything is sent by whoever runs the audit, with its own rights.
type Notices struct {
	Language string `yaml:"language"` // of built-in texts: "en", the default, or "ja"
	// MailTopic is the ARN of an SNS topic whose subscribers get a text, by mail say.
	MailTopic string `yaml:"mail_topic"`
	// ChatTopic is the ARN of an SNS topic that a channel of Slack or Teams hears
	// through Amazon Q Developer in chat applications.
	ChatTopic string    `yaml:"chat_topic"`
	Webhooks  []Webhook `yaml:"webhooks"`
	// SecurityHub says that findings are kept in the caller's account, in the home
	// Region.
	SecurityHub bool `yaml:"security_hub"`
	// EventBus is the name or ARN of a bus that gets an event.
	EventBus string `yaml:"event_bus"`
	// ReportURL is where people can read a report; {run} stands for its number.
	ReportURL string `yaml:"report_url"`
	// PerHour is the greatest number of messages that a channel gets in an hour; what
	// they leave out is in the next. Default 6.
	PerHour   int             `yaml:"per_hour"`
	Templates NoticeTemplates `yaml:"templates"`
}

// Webhook is an address that gets a message as JSON.
type Webhook struct {
	Name string `yaml:"name"` // what the record of messages calls it
	URL  string `yaml:"url"`
	// URLFrom and SecretFrom say where the address, if it is a secret itself, and the
	// key of the signature come from: env:NAME, ssm:PARAMETER or secretsmanager:SECRET.
	URLFrom    string `yaml:"url_from"`
	SecretFrom string `yaml:"secret_from"`
}

// NoticeTemplates are Go templates that replace built-in texts; "" leaves one as it is.
type NoticeTemplates struct {
	Subject   string `yaml:"subject"` // of mail
	Mail      string `yaml:"mail"`
	ChatTitle string `yaml:"chat_title"`
	Chat      string `yaml:"chat"`
}

// Any says whether somebody is to be told.
func (n Notices) Any() bool {
	return n.MailTopic != "" || n.ChatTopic != "" || len(n.Webhooks) > 0 || n.SecurityHub || n.EventBus != ""
}

// The languages of the built-in texts.
var noticeLanguages = []string{"en", "ja"}

const (
	// A topic's name; those of FIFO topics end otherwise, and no mailbox or chat
	// channel can hear one.
	// https://docs.aws.amazon.com/sns/latest/dg/sns-fifo-topics.html
	topicPattern = `^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$`
	// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
	busPattern = `^(arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/)?[A-Za-z0-9._/-]{1,256}$`

	webhookPattern = `^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`
	// There is no place for a user and a password in these.
	httpsPattern    = `^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~:/?#@!$&'()*+,;=%{}-]*)?$`
	loopbackPattern = `^http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?(/[A-Za-z0-9._~:/?#@!$&'()*+,;=%{}-]*)?$`
	// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
	// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
	sourcePattern = `^(env:[A-Za-z_][A-Za-z0-9_]{0,99}|ssm:/?[A-Za-z0-9_./-]{1,1000}|secretsmanager:[A-Za-z0-9_/+=.@-]{1,512})$`

	maxURL      = 2048
	maxTemplate = 16384
	maxPerHour  = 60
)

var (
	topicShape    = orgs.NewPattern(topicPattern)
	busShape      = orgs.NewPattern(busPattern)
	webhookShape  = orgs.NewPattern(webhookPattern)
	httpsShape    = orgs.NewPattern(httpsPattern)
	loopbackShape = orgs.NewPattern(loopbackPattern)
	sourceShape   = orgs.NewPattern(sourcePattern)
)

// IsWebhookURL says whether an address may get messages: https, or http on the machine
// itself.
func IsWebhookURL(s string) bool {
	return len(s) <= maxURL && (httpsShape.MatchString(s) || loopbackShape.MatchString(s))
}

func (n *Notices) validate(v *checker, path string) {
	if !slices.Contains(noticeLanguages, n.Language) {
		v.problem(path+".language", "%s", NotOneOf("language", n.Language, noticeLanguages))
	}
	for _, x := range []struct{ key, arn string }{{"mail_topic", n.MailTopic}, {"chat_topic", n.ChatTopic}} {
		if x.arn != "" && !topicShape.MatchString(x.arn) {
			v.problem(path+"."+x.key, "%s is not the ARN of a standard topic; want one such as arn:aws:sns:us-east-1:222222222222:orgguard-alerts", quote(x.arn))
		}
	}
	if n.MailTopic != "" && n.MailTopic == n.ChatTopic {
		v.problem(path+".chat_topic", "chat_topic is mail_topic; mail would show what is written for the chat service, which in turn drops mail's text")
	}
	if n.EventBus != "" && !busShape.MatchString(n.EventBus) {
		v.problem(path+".event_bus", "%s is neither the name nor the ARN of an event bus; default is the account's own", quote(n.EventBus))
	}
	if n.ReportURL != "" && (len(n.ReportURL) > maxURL || !httpsShape.MatchString(n.ReportURL)) {
		v.problem(path+".report_url", "%s is not an address that begins with https://", quote(n.ReportURL))
	}
	if n.PerHour < 1 || n.PerHour > maxPerHour {
		v.problem(path+".per_hour", "%d messages an hour: want 1 to %d", n.PerHour, maxPerHour)
	}
	names := map[string]bool{}
	for i, w := range n.Webhooks {
		if v.full() {
			return
		}
		at := fmt.Sprintf("%s.webhooks[%d]", path, i)
		w.validate(v, at)
		if names[w.Name] && w.Name != "" {
			v.problem(at+".name", "there are two webhooks called %s", quote(w.Name))
		}
		names[w.Name] = true
	}
	for _, t := range n.Templates.All() {
		at := path + ".templates." + t.Key
		switch {
		case len(t.Text) > maxTemplate:
			v.problem(at, "the template has %d bytes; want at most %d", len(t.Text), maxTemplate)
		case t.Text != "" && v.known.Template != nil:
			if err := v.known.Template(t.Key, t.Text); err != nil {
				v.problem(at, "%s", err)
			}
		}
	}
}

// NoticeTemplate is a template by its key.
type NoticeTemplate struct{ Key, Text string }

// All are the templates, in the order of the file.
func (t NoticeTemplates) All() []NoticeTemplate {
	return []NoticeTemplate{{"subject", t.Subject}, {"mail", t.Mail}, {"chat_title", t.ChatTitle}, {"chat", t.Chat}}
}

func (w *Webhook) validate(v *checker, path string) {
	if !v.says(path + ".name") {
		v.problem(path+".name", "name is missing; the record of what was sent goes by it")
	} else if !webhookShape.MatchString(w.Name) {
		v.problem(path+".name", "%s is not a name; want up to 32 of a-z 0-9 -", quote(w.Name))
	}
	url, from := v.says(path+".url"), v.says(path+".url_from")
	switch {
	case url && from:
		v.problem(path, "url and url_from are both given; want exactly one of them")
	case !url && !from:
		v.problem(path, "url or url_from is missing; want exactly one of them")
	}
	// The value is not repeated: it may have a token in it.
	if url && !IsWebhookURL(w.URL) {
		v.problem(path+".url", "url is not an address that begins with https:// and a host (or http://127.0.0.1), without a user and a password")
	}
	for _, x := range []struct{ key, value string }{{"url_from", w.URLFrom}, {"secret_from", w.SecretFrom}} {
		if v.says(path+"."+x.key) && !sourceShape.MatchString(x.value) {
			kind, _, _ := strings.Cut(x.value, ":")
			v.problem(path+"."+x.key, "%s does not name a source (it begins with %s); want env:NAME, ssm:PARAMETER or secretsmanager:SECRET, and never the secret itself", x.key, quote(kind[:min(len(kind), 4)]+"…"))
		}
	}
}
