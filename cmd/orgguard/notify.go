package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"golang.org/x/sync/errgroup"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/reports/history"
	"github.com/orgguard/orgguard/reports/notice"
)

// notifying says whether an audit tells people what changed.
type notifying int

const (
	tellNobody     notifying = iota
	tellConfigured           // whoever the configuration names, if anybody
	tellAsked                // the same, and it has to name somebody
)

const (
	// tellTime is how long one channel may take.
	tellTime = 45 * time.Second
	// tellPause is how often it is looked whether another run is done with a channel.
	tellPause = 2 * time.Second
	// maxSummed is how many runs a message sums up at most: the newest.
	maxSummed = 200
)

// tidings is what one channel is sent.
type tidings struct {
	notice notice.Notice
	id     string // the same when the same is sent again
	audit  reports.Audit
	full   bool // everything that is open is wanted
}

// noticeChannel is a place where notices go.
type noticeChannel struct {
	name string // in the record, in messages and in --channel
	// keeps says that it keeps what is open. It is given no number of messages an hour:
	// what is sent twice there is there once.
	keeps bool
	send  func(context.Context, tidings) error
	// show is what would be sent, for people to read.
	show func(tidings) (string, error)
}

// wants says whether there is something for the channel in a notice. What was accepted
// is no news, but not open any more either.
func (c noticeChannel) wants(n notice.Notice) bool {
	return n.News() || c.keeps && len(n.Changes) > 0
}

// teller tells channels.
type teller struct {
	s      *session
	cfg    spec.Notices
	aws    aws.Config
	home   string
	render *notice.Renderer
	// report is how a report of a history is read, by its number.
	report func(run int64) string
	now    func() time.Time
	pause  func(context.Context, time.Duration) error
}

// newTeller prepares for telling the channels of the configuration. It calls nobody.
func (s *session) newTeller(ctx context.Context, historyName string) (*teller, error) {
	cfg, err := s.sdk(ctx)
	if err != nil {
		return nil, err
	}
	t := &teller{s: s, cfg: s.cfg.Notices, aws: cfg, home: s.cfg.HomeRegion, now: time.Now, pause: orgs.Pause}
	if t.home == "" {
		t.home = cfg.Region
	}
	own := map[string]string{}
	for _, x := range t.cfg.Templates.All() {
		own[x.Key] = x.Text
	}
	if t.render, err = notice.NewRenderer(t.cfg.Language, own); err != nil {
		return nil, badInput(err)
	}
	t.report = func(run int64) string {
		switch {
		case t.cfg.ReportURL != "":
			return strings.ReplaceAll(t.cfg.ReportURL, "{run}", fmt.Sprint(run))
		case historyName == "":
			return ""
		}
		return fmt.Sprintf("orgguard report show --history %s --run %d", historyName, run)
	}
	return t, nil
}

// in is the SDK's configuration in the Region of an ARN, or at home.
func (t *teller) in(arn string) aws.Config {
	cfg := t.aws.Copy()
	cfg.Region = regionOf(arn, t.home)
	return cfg
}

// regionOf is the Region of an ARN; of a bare name it is home.
func regionOf(arn, home string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 && parts[0] == "arn" {
		return parts[3]
	}
	return home
}

// channels are those of the configuration, those that people read first.
func (t *teller) channels() []noticeChannel {
	var out []noticeChannel
	if arn := t.cfg.MailTopic; arn != "" {
		out = append(out, noticeChannel{name: "mail", send: t.sendMail, show: func(d tidings) (string, error) {
			m, err := t.render.Mail(d.notice)
			return "Subject: " + m.Subject + "\n\n" + m.Text, err
		}})
	}
	if arn := t.cfg.ChatTopic; arn != "" {
		out = append(out, noticeChannel{name: "chat", send: t.sendChat, show: func(d tidings) (string, error) {
			m, err := t.render.Chat(d.notice, d.id)
			return m.Content.Title + "\n\n" + m.Content.Description, err
		}})
	}
	for _, w := range t.cfg.Webhooks {
		out = append(out, noticeChannel{
			name: "webhook:" + w.Name, send: func(ctx context.Context, d tidings) error { return t.sendWebhook(ctx, w, d) },
			show: func(d tidings) (string, error) { return indented(t.render.Webhook(d.notice, d.id)) },
		})
	}
	if t.cfg.EventBus != "" {
		out = append(out, noticeChannel{name: "event-bus", send: t.sendEvent, show: func(d tidings) (string, error) {
			return indented(t.render.Event(d.notice, d.id))
		}})
	}
	if t.cfg.SecurityHub {
		out = append(out, noticeChannel{name: "security-hub", keeps: true, send: t.sendHub, show: t.showHub})
	}
	return out
}

func indented(b []byte, err error) (string, error) {
	var v any
	if len(b) == 0 || json.Unmarshal(b, &v) != nil {
		return string(b), err
	}
	pretty, err2 := json.MarshalIndent(v, "", "  ")
	return string(pretty), errors.Join(err, err2)
}

// builtInInstead says that a text of the configuration could not be used. The message
// goes out all the same.
func (t *teller) builtInInstead(err error) {
	if err != nil {
		report(t.s.err, fmt.Errorf("a template of the notices failed, and the built-in text was sent: %w", err))
	}
}

func (t *teller) sendMail(ctx context.Context, d tidings) error {
	m, err := t.render.Mail(d.notice)
	t.builtInInstead(err)
	return t.publish(ctx, t.cfg.MailTopic, m.Text, aws.String(m.Subject))
}

func (t *teller) sendChat(ctx context.Context, d tidings) error {
	m, err := t.render.Chat(d.notice, d.id)
	t.builtInInstead(err)
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return t.publish(ctx, t.cfg.ChatTopic, string(b), nil)
}

func (t *teller) publish(ctx context.Context, topic, text string, subject *string) error {
	_, err := sns.NewFromConfig(t.in(topic)).Publish(ctx, &sns.PublishInput{TopicArn: &topic, Message: &text, Subject: subject})
	if err != nil {
		return &orgs.Hinted{Err: fmt.Errorf("publish to %s: %w", topic, err), Next: "orgguard permissions --command audit prints the rights; the topic's policy and its key have to admit the caller too"}
	}
	return nil
}

// What events of orgguard say of themselves.
const (
	eventSource     = "orgguard"
	eventDetailType = "Audit Completed"
	eventTestType   = "Notice Test"
)

func (t *teller) sendEvent(ctx context.Context, d tidings) error {
	detail, err := t.render.Event(d.notice, d.id)
	if err != nil {
		return err
	}
	kind := eventDetailType
	if d.notice.Test {
		kind = eventTestType
	}
	out, err := eventbridge.NewFromConfig(t.in(t.cfg.EventBus)).PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &t.cfg.EventBus, Source: aws.String(eventSource), DetailType: &kind, Detail: aws.String(string(detail)),
	}}})
	if err != nil {
		return fmt.Errorf("put an event on the bus %s: %w", t.cfg.EventBus, err)
	}
	for _, e := range out.Entries {
		if e.ErrorCode != nil {
			return fmt.Errorf("put an event on the bus %s: %s: %s", t.cfg.EventBus, *e.ErrorCode, aws.ToString(e.ErrorMessage))
		}
	}
	return nil
}

// announce tells the channels of the configuration what changed since they were last told.
// The error says that there was something to tell and nobody could be told, or that
// nothing could be written down about it. A channel that fails while others do not is
// told on stderr, and gets what it missed with the next message.
func (s *session) announce(ctx context.Context, h history.History, a reports.Audit, o auditOptions) error {
	if o.notify == tellNobody || !s.cfg.Notices.Any() {
		return nil
	}
	t, err := s.newTeller(ctx, o.history)
	if err != nil {
		return err
	}
	// What an interrupted audit found is told too.
	return t.tell(context.WithoutCancel(ctx), h, a)
}

// telling is one run that tells its channels.
type telling struct {
	*teller
	h     history.History
	a     reports.Audit
	owner string
	// notices are what there is to tell by the last run that a channel knows of.
	notices map[int64]notice.Notice
	told    notice.Told // as it was when the turns were taken

	news, sent bool
	failures   []error
}

func (t *teller) tell(ctx context.Context, h history.History, a reports.Audit) error {
	g := &telling{teller: t, h: h, a: a, owner: rand.Text(), notices: map[int64]notice.Notice{}}
	channels := t.channels()
	for deadline := g.now().Add(notice.Patience + tellTime); len(channels) > 0; {
		turns, err := g.take(ctx, channels)
		if err != nil {
			return &orgs.Hinted{Err: fmt.Errorf("nobody was told what changed: %w", err), Next: "orgguard notices show prints the message"}
		}
		if err := g.all(ctx, channels, turns); err != nil {
			return err
		}
		var busy []noticeChannel
		for i, turn := range turns {
			if turn.Busy {
				busy = append(busy, channels[i])
			}
		}
		if channels = busy; len(busy) == 0 {
			break
		}
		if g.now().After(deadline) {
			return fmt.Errorf("other audits were telling what changed all the time: the next one tells what this one found")
		}
		if err := t.pause(ctx, tellPause); err != nil {
			return err
		}
	}
	for _, err := range g.failures {
		report(t.s.err, err)
	}
	if g.news && !g.sent && len(g.failures) > 0 {
		return &orgs.Hinted{Err: errors.New("something changed, and nobody could be told"), Next: "orgguard notices test tries the channels; the next audit tells what this one could not"}
	}
	return nil
}

func (g *telling) key(c noticeChannel) string { return g.a.Organization.ID + "/" + c.name }

// take asks for the channels' turns.
func (g *telling) take(ctx context.Context, channels []noticeChannel) ([]notice.Turn, error) {
	n := notice.Of(g.a)
	var before int64
	if g.a.Since != nil {
		before = g.a.Since.Run
	}
	turns := make([]notice.Turn, len(channels))
	err := g.h.Memo(ctx, func(old []byte) ([]byte, error) {
		told, err := notice.ReadTold(old)
		if err != nil {
			return nil, err
		}
		for i, c := range channels {
			turns[i] = told.Take(notice.Claim{Key: g.key(c), Run: g.a.Run, Before: before, Quiet: !c.wants(n), Keeps: c.keeps && !g.a.Scope.Narrowed}, g.owner, g.now(), g.cfg.PerHour)
		}
		g.told = told
		return told.Bytes()
	})
	return turns, err
}

// all tells the channels whose turn it is, side by side, and writes down what came of
// it.
func (g *telling) all(ctx context.Context, channels []noticeChannel, turns []notice.Turn) error {
	outcomes := make([]notice.Outcome, len(channels))
	var group errgroup.Group
	for i, c := range channels {
		if !turns[i].Go {
			continue
		}
		n, err := g.since(ctx, turns[i].After)
		if err != nil {
			outcomes[i] = notice.Outcome{Key: g.key(c), To: g.a.Run, Err: err}
			continue
		}
		n.Unreached = g.unreached(c)
		group.Go(func() error {
			outcomes[i] = g.one(ctx, c, turns[i], n)
			return nil
		})
	}
	_ = group.Wait() // what went wrong is in the outcomes
	settle := false
	for i, out := range outcomes {
		if out.Key == "" {
			continue
		}
		settle = true
		g.sent = g.sent || out.Sent
		g.news = g.news || out.Sent || out.Err != nil
		switch {
		case out.Err != nil:
			g.failures = append(g.failures, fmt.Errorf("could not tell %s what changed: %w", channels[i].name, out.Err))
		case out.Held:
			g.s.note("%s has had its %d messages of this hour: what changed is in the next one", channels[i].name, g.cfg.PerHour)
		case out.Sent:
			g.s.note("told %s what changed", channels[i].name)
		}
	}
	if !settle {
		return nil
	}
	err := g.h.Memo(ctx, func(old []byte) ([]byte, error) {
		told, err := notice.ReadTold(old)
		if err != nil {
			return nil, err
		}
		for _, out := range outcomes {
			if out.Key != "" {
				told.Settle(out, g.owner, g.now())
			}
		}
		return told.Bytes()
	})
	if err != nil {
		return fmt.Errorf("write down who was told what changed (it may be told again): %w", err)
	}
	return nil
}

// one tells one channel.
func (g *telling) one(ctx context.Context, c noticeChannel, turn notice.Turn, n notice.Notice) notice.Outcome {
	out := notice.Outcome{Key: g.key(c), To: g.a.Run, Full: turn.Full}
	switch {
	case !c.wants(n) && !turn.Full:
		return out
	case !c.keeps && turn.Free <= 0:
		out.Held = true
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	out.Err = c.send(ctx, tidings{n, n.ID(c.name), g.a, turn.Full})
	out.Sent = out.Err == nil
	return out
}

// since is what changed after a run.
func (g *telling) since(ctx context.Context, after int64) (notice.Notice, error) {
	n, ok := g.notices[after]
	if ok {
		return n, nil
	}
	var sum notice.Sum
	skipped := 0
	if g.a.Since != nil && after < g.a.Since.Run || after < g.a.Run-1 {
		between, err := g.between(ctx, after)
		if err != nil {
			return n, err
		}
		if skipped = max(0, len(between)-maxSummed); skipped > 0 {
			between = between[skipped:]
		}
		for _, r := range between {
			a, err := g.h.Audit(ctx, r.Run)
			if err != nil {
				return n, err
			}
			sum.Add(a)
		}
	}
	sum.Add(g.a)
	n = sum.Notice()
	n.Skipped, n.Report = skipped, g.report(g.a.Run)
	g.notices[after] = n
	return n, nil
}

// between are the runs of the organization after one and before this one.
func (g *telling) between(ctx context.Context, after int64) ([]reports.Run, error) {
	all, err := g.h.Runs(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r reports.Run) bool {
		return r.Organization != g.a.Organization.ID || r.Run <= after || r.Run >= g.a.Run
	})
	slices.SortFunc(all, func(a, b reports.Run) int { return int(a.Run - b.Run) })
	return all, nil
}

// unreached are the other channels that could not be told something before.
func (g *telling) unreached(c noticeChannel) []string {
	var out []string
	for _, other := range g.channels() {
		ch := g.told[g.key(other)]
		if other.name != c.name && ch.Failures > 0 {
			out = append(out, fmt.Sprintf("%s, since %s: %s", other.name, ch.FailedSince.UTC().Format("2006-01-02 15:04 UTC"), ch.Error))
		}
	}
	return out
}
