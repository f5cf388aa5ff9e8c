package notice

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/orgguard/orgguard/orgs/chat"
)

//go:embed templates/*.tmpl
var builtIn embed.FS

// The keys of templates.
const (
	KeySubject   = "subject"
	KeyMail      = "mail"
	KeyChatTitle = "chat_title"
	KeyChat      = "chat"
)

// CheckTemplate says what is wrong with a template of one's own.
func CheckTemplate(key, text string) error {
	_, err := parseTemplate(key, text)
	return err
}

// Renderer makes messages in a language.
type Renderer struct {
	lang       string
	own, house map[string]*textTemplate
}

// NewRenderer makes a renderer. Templates that are empty are the built-in ones.
func NewRenderer(lang string, own map[string]string) (*Renderer, error) {
	r := &Renderer{lang: lang, own: map[string]*textTemplate{}, house: map[string]*textTemplate{}}
	for _, key := range []string{KeySubject, KeyMail, KeyChatTitle, KeyChat} {
		text, err := builtIn.ReadFile("templates/" + lang + "." + key + ".tmpl")
		if err != nil {
			return nil, fmt.Errorf("no texts in the language %q", lang)
		}
		if r.house[key], err = parseTemplate(key, strings.TrimSuffix(string(text), "\n")); err != nil {
			return nil, err
		}
		if own[key] == "" {
			continue
		}
		if r.own[key], err = parseTemplate(key, own[key]); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// text renders a template with as many lines as fit into limit, counted as size
// counts. The error says why one's own template was not used.
func (r *Renderer) text(key string, n Notice, safe defuse, limit int, size func(string) int) (string, error) {
	var failed error
	for _, t := range []*textTemplate{r.own[key], r.house[key]} {
		if t == nil {
			continue
		}
		var out string
		var err error
		for _, lines := range []int{50, 25, 10, 5, 2, 1, 0} {
			if out, err = t.run(n.viewOf(r.lang, safe, lines)); err == nil && size(out) <= limit {
				return out, failed
			}
		}
		if err == nil {
			return cut(out, limit, size), failed
		}
		failed = errors.Join(failed, err)
	}
	return "", failed
}

// cut shortens a text that is too long whatever is left out of it.
func cut(s string, limit int, size func(string) int) string {
	for size(s) > limit-len("…") {
		over := max(1, (size(s)-limit)/2)
		runes := []rune(s)
		s = string(runes[:max(0, len(runes)-over)])
	}
	return s + "…"
}

func bytesOf(s string) int { return len(s) }

// Mail is a message for a topic whose subscribers read it as it is.
type Mail struct{ Subject, Text string }

// maxMail is the length of a mail in bytes: SNS takes 256 KiB and bills by 64 KB.
// https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-overview.html
const maxMail = 60_000

// Mail makes a mail. With an error the message is good all the same, with a built-in
// text in place of one's own.
func (r *Renderer) Mail(n Notice) (Mail, error) {
	head, err1 := r.text(KeySubject, n, forMail, maxMail, bytesOf)
	text, err2 := r.text(KeyMail, n, forMail, maxMail, bytesOf)
	return Mail{subject(head), text}, errors.Join(err1, err2)
}

// Chat makes a custom notification. An error is as in Mail.
func (r *Renderer) Chat(n Notice, id string) (chat.Message, error) {
	title, err1 := r.text(KeyChatTitle, n, forChat, chat.MaxTitle, utf8.RuneCountInString)
	text, err2 := r.text(KeyChat, n, forChat, chat.MaxDescription, utf8.RuneCountInString)
	m := chat.Message{Version: chat.Version, Source: chat.Source, ID: id}
	m.Content = chat.Content{TextType: chat.TextType, Title: strings.TrimSpace(title), Description: text, Keywords: []string{"orgguard"}}
	if strings.TrimSpace(text) == "" { // the service drops a message without one
		m.Content.Description = n.headline()
	}
	return m, errors.Join(err1, err2)
}

// DocumentSchema names the JSON format of a notice.
const DocumentSchema = "orgguard.dev/notice/v1"

// Document is a notice for programs: what webhooks and event buses get.
type Document struct {
	Schema string `json:"schema"`
	// ID is the same whenever the same is sent again.
	ID           string    `json:"id"`
	Test         bool      `json:"test,omitempty"`
	Organization string    `json:"organization"`
	Run          int64     `json:"run"`
	Runs         int       `json:"runs"`
	Skipped      int       `json:"skipped,omitempty"`
	GeneratedAt  time.Time `json:"generated_at"`
	Since        time.Time `json:"since,omitzero"`
	Accounts     int       `json:"accounts"`
	Narrowed     bool      `json:"narrowed,omitempty"`
	Interrupted  bool      `json:"interrupted,omitempty"`
	Counts       Counts    `json:"counts"`
	Drift        int       `json:"drift"`
	NotAssessed  int       `json:"not_assessed"`
	Report       string    `json:"report,omitempty"`
	// Text says it all for people. Chat systems' own webhooks show it.
	Text     string `json:"text,omitempty"`
	New      []Line `json:"new"`
	Worse    []Line `json:"worse"`
	Resolved []Line `json:"resolved"`
	// Left is how many lines did not fit, of each kind.
	Left Left `json:"left"`
}

// Left is what did not fit into a document.
type Left struct {
	New      int `json:"new"`
	Worse    int `json:"worse"`
	Resolved int `json:"resolved"`
}

const (
	// maxDocument bounds what a webhook gets, in bytes.
	maxDocument = 256_000
	// maxDetail bounds the detail of an event: an entry of PutEvents may have 256 KiB
	// with everything.
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
	maxDetail = 240_000
)

// Webhook is the body for a webhook. An error is as in Mail.
func (r *Renderer) Webhook(n Notice, id string) ([]byte, error) {
	m, err := r.Chat(n, id)
	text := m.Content.Title + "\n" + m.Content.Description
	body, err2 := document(n, id, text, maxDocument)
	return body, errors.Join(err, err2)
}

// Event is the detail of an event.
func (r *Renderer) Event(n Notice, id string) ([]byte, error) { return document(n, id, "", maxDetail) }

func document(n Notice, id, text string, limit int) ([]byte, error) {
	var b []byte
	for _, lines := range []int{100, 50, 25, 10, 1, 0} {
		v := n.viewOf("", forMail, lines)
		d := Document{
			Schema: DocumentSchema, ID: id, Test: n.Test, Organization: v.Organization, Run: n.Run, Runs: n.Runs, Skipped: n.Skipped, GeneratedAt: n.GeneratedAt.UTC().Truncate(time.Second),
			Since: n.Since.UTC().Truncate(time.Second), Accounts: n.Accounts, Narrowed: n.Narrowed, Interrupted: n.Interrupted, Counts: v.Counts, Drift: n.Drift, NotAssessed: n.NotAssessed,
			Report: v.Report, Text: text, New: list(v.New), Worse: list(v.Worse), Resolved: list(v.Resolved), Left: Left{v.MoreNew, v.MoreWorse, v.MoreResolved},
		}
		if n.Since.IsZero() {
			d.Since = time.Time{}
		}
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		if err := enc.Encode(d); err != nil {
			return nil, err
		}
		if b = bytes.TrimSpace(buf.Bytes()); len(b) <= limit {
			return b, nil
		}
	}
	return nil, fmt.Errorf("the message has %d bytes without any finding; want at most %d", len(b), limit)
}

// list is a list that JSON has as one, even when it is empty.
func list(ls []Line) []Line {
	if ls == nil {
		return []Line{}
	}
	return ls
}
