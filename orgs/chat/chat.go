// Package chat is a custom notification: what Amazon Q Developer in chat applications
// shows in a channel of Slack or Microsoft Teams when it is published to a topic that
// the channel hears. Any other text is dropped there.
//
// It is plain data, shared by what deploys alerts and by what tells of audits.
package chat

// Message is a custom notification.
// https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
type Message struct {
	Version string  `json:"version"`
	Source  string  `json:"source"`
	ID      string  `json:"id,omitempty"`
	Content Content `json:"content"`
}

// Content is what people see.
type Content struct {
	TextType    string   `json:"textType"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Keywords    []string `json:"keywords"`
}

// What every custom notification says of itself.
const (
	Version  = "1.0"
	Source   = "custom"
	TextType = "client-markdown"
)

// The lengths of a custom notification, in characters.
const (
	MaxTitle       = 250
	MaxDescription = 8000
)
