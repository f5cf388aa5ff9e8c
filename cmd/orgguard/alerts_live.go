package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/reports"
)

// liveOptions are what `alerts test --live` is told.
type liveOptions struct {
	filter baseline.Filter
	wait   time.Duration
	yes    bool
	format reports.Format
}

// liveQueue begins the names of the queues in which the messages are awaited, so that
// what is left behind is found.
const liveQueue = "orgguard-live-test-"

// spot is an account × Region.
type spot struct {
	account orgs.AccountID
	region  string
}

// liveTest tries the alerts: events go in at one end, and come out of the topics at the
// other, where a queue of its own listens.
type liveTest struct {
	*session
	run       string // the marker of all events
	cells     []spot
	listeners map[spot]*listener // by where a topic is
}

// listener is a queue that gets what a topic sends.
type listener struct {
	at           access.At
	begun        bool   // something may have been made
	queue        string // URL
	subscription string // ARN
	err          error
}

// topicARN and queueARN are the listener's topic at a place, and its queue of a name.
func topicARN(partition string, p spot) string {
	return fmt.Sprintf("arn:%s:sns:%s:%s:orgguard-alerts", partition, p.region, p.account)
}

func queueARN(partition string, p spot, name string) string {
	return fmt.Sprintf("arn:%s:sqs:%s:%s:%s", partition, p.region, p.account, name)
}

// runAlertsLive sends a harmless event from every chosen account × Region, waits for
// the messages, and says of what did not arrive where it got stuck.
func runAlertsLive(ctx context.Context, s *session, o liveOptions) error {
	if !slices.Contains(s.base.Controls(), baseline.LiveTestID) {
		return badInput(&orgs.Hinted{
			Err:  errors.New("no rule lets test events through: " + baseline.LiveTestID + " is off"),
			Next: "write `baseline: {" + baseline.LiveTestID + ": true}` and run a rollout",
		})
	}
	t, err := s.newLiveTest(ctx, o.filter)
	if err != nil {
		return err
	}
	s.note("sends %d test events; everybody who gets alerts gets a message for each", len(t.cells))
	s.note("until they have arrived, a queue %s* listens at %d topics; it is deleted after", liveQueue, len(t.listeners))
	if !o.yes {
		if err := s.agree(fmt.Sprintf("Send %d test events?", len(t.cells))); err != nil {
			return err
		}
	}
	t.listen(ctx)
	results := t.collect(ctx, t.send(ctx), o.wait)
	t.explain(ctx, results)
	// What was made goes again, Ctrl-C or not.
	left := t.cleanUp(context.WithoutCancel(ctx))
	if err := reports.WriteLiveTests(s.out, o.format, s.style(), results); err != nil {
		return err
	}
	return status(liveCode(results, ctx.Err() != nil || left > 0))
}

// liveCode is the exit code: what could not be tried, or taken away again, beats what did
// not arrive.
func liveCode(results []reports.LiveTest, unfinished bool) int {
	code := exitOK
	for _, r := range results {
		switch {
		case r.Error != "" || unfinished:
			return exitIncomplete
		case !r.Arrived:
			code = exitDrift
		}
	}
	return code
}

func (s *session) newLiveTest(ctx context.Context, f baseline.Filter) (*liveTest, error) {
	accounts, err := s.accountsOf(f)
	if err != nil {
		return nil, badInput(err)
	}
	for _, region := range f.Regions {
		if !slices.Contains(s.base.Regions, region) {
			return nil, usage("Region %s is none of the baseline's: %s", region, strings.Join(s.base.Regions, ", "))
		}
	}
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	t := &liveTest{session: s, run: liveQueue + hex.EncodeToString(id), listeners: map[spot]*listener{}}
	accounts = slices.DeleteFunc(slices.Clone(accounts), func(a orgs.Selected) bool { return a.Excluded != "" || a.State != orgs.StateActive })
	enabled := orgs.ForEach(ctx, accounts, s.workers(), func(ctx context.Context, a orgs.Selected) ([]string, error) {
		return s.base.EnabledIn(ctx, s.pool, a.ID)
	})
	for i, a := range accounts {
		regions := enabled[i].Value
		if enabled[i].Err != nil { // nobody knows: what cannot be entered is told of each Region
			regions = s.base.Regions
		}
		for _, region := range regions {
			if len(f.Regions) > 0 && !slices.Contains(f.Regions, region) {
				continue
			}
			cell := spot{a.ID, region}
			t.cells = append(t.cells, cell)
			t.listeners[t.topicOf(cell)] = &listener{}
		}
	}
	if len(t.cells) == 0 {
		return nil, usage("no account × Region is left to send an event from")
	}
	return t, nil
}

// topicOf is where the messages of an account × Region come out.
func (t *liveTest) topicOf(cell spot) spot {
	if t.cfg.Alerts.Mode == spec.Local {
		return cell
	}
	return spot{t.base.Security, t.base.Home}
}

func (t *liveTest) at(p spot) access.At { return t.pool.In(t.org.Partition, p.account, p.region) }

// marker is what a message is known by.
func (t *liveTest) marker(cell spot) string {
	return t.run + "/" + string(cell.account) + "/" + cell.region
}

// listen makes a queue at every topic.
func (t *liveTest) listen(ctx context.Context) {
	places := t.topics()
	for i, o := range orgs.ForEach(ctx, places, t.workers(), func(ctx context.Context, p spot) (struct{}, error) {
		l := t.listeners[p]
		l.at = t.at(p)
		return struct{}{}, l.open(ctx, t.pool, t.org.Partition.ID, p, t.run)
	}) {
		t.listeners[places[i]].err = o.Err // of those too that were not begun
	}
	for _, p := range places {
		l := t.listeners[p]
		if l.err != nil {
			continue
		}
		old, err := t.pool.SQS.ListQueues(ctx, &sqs.ListQueuesInput{QueueNamePrefix: aws.String(liveQueue)}, l.at.SQS)
		if err != nil {
			continue // it is a courtesy
		}
		for _, url := range old.QueueUrls {
			if url != l.queue {
				t.note("left behind by another test, or still in use by one: aws sqs delete-queue --region %s --queue-url %s", p.region, url)
			}
		}
	}
}

// topics are where topics are, in a lasting order.
func (t *liveTest) topics() []spot {
	var out []spot
	for _, cell := range t.cells {
		if p := t.topicOf(cell); !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// making is how long a call that makes something may go on after Ctrl-C: cut off, it may
// have made what nobody knows of.
const making = 10 * time.Second

// open makes the queue, lets the topic send to it, and subscribes it.
func (l *listener) open(ctx context.Context, pool *access.Pool, partition string, p spot, name string) error {
	topic, arn := topicARN(partition, p), queueARN(partition, p, name)
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
		"Condition": map[string]any{"ArnEquals": map[string]string{"aws:SourceArn": topic}},
	}}})
	if err != nil {
		return err
	}
	l.begun = true
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), making)
	defer cancel()
	made, err := pool.SQS.CreateQueue(whole, &sqs.CreateQueueInput{
		QueueName: aws.String(name), Tags: map[string]string{"orgguard": baseline.LiveTestID},
		Attributes: map[string]string{"Policy": string(policy), "MessageRetentionPeriod": "3600", "SqsManagedSseEnabled": "true"},
	}, l.at.SQS)
	if err != nil {
		return fmt.Errorf("make a queue to listen with: %w", err)
	}
	l.queue = aws.ToString(made.QueueUrl)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	sub, err := pool.SNS.Subscribe(whole, &sns.SubscribeInput{
		TopicArn: aws.String(topic), Protocol: aws.String("sqs"), Endpoint: aws.String(arn), ReturnSubscriptionArn: true,
		Attributes: map[string]string{"RawMessageDelivery": "true"},
	}, l.at.SNS)
	if err != nil {
		return fmt.Errorf("listen at topic orgguard-alerts: %w", err)
	}
	l.subscription = aws.ToString(sub.SubscriptionArn)
	return nil
}

// cleanUp takes away what listen made, and tells of what it could not take away: how
// many queues and subscriptions.
func (t *liveTest) cleanUp(ctx context.Context) (left int) {
	done := orgs.ForEach(ctx, t.topics(), t.workers(), func(ctx context.Context, p spot) ([]string, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return t.listeners[p].close(ctx, t.pool, t.org.Partition.ID, p, t.run), nil
	})
	for _, o := range done {
		for _, text := range o.Value {
			left++
			fmt.Fprintln(t.err, "orgguard: "+safeLines("not taken away: "+text)) // --quiet or not
		}
	}
	return left
}

// close takes the subscription and the queue away. It says what to do about what it could
// not.
func (l *listener) close(ctx context.Context, pool *access.Pool, partition string, p spot, name string) (left []string) {
	if !l.begun {
		return nil
	}
	if l.subscription == "" || l.queue == "" {
		// A call that makes something failed: it may have made it all the same.
		if err := l.find(ctx, pool, partition, p, name); err != nil {
			left = append(left, fmt.Sprintf("perhaps queue %s in account %s, %s, and its subscription to topic orgguard-alerts: %s", name, p.account, p.region, orgs.Reason(err)))
		}
	}
	if l.subscription != "" {
		if _, err := pool.SNS.Unsubscribe(ctx, &sns.UnsubscribeInput{SubscriptionArn: aws.String(l.subscription)}, l.at.SNS); err != nil {
			left = append(left, fmt.Sprintf("aws sns unsubscribe --region %s --subscription-arn %s: %s", p.region, l.subscription, orgs.Reason(err)))
		}
	}
	if l.queue != "" {
		if _, err := pool.SQS.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: aws.String(l.queue)}, l.at.SQS); err != nil {
			left = append(left, fmt.Sprintf("aws sqs delete-queue --region %s --queue-url %s: %s", p.region, l.queue, orgs.Reason(err)))
		}
	}
	return left
}

// find looks for the queue and the subscription by their names.
func (l *listener) find(ctx context.Context, pool *access.Pool, partition string, p spot, name string) error {
	queues, err := pool.SQS.ListQueues(ctx, &sqs.ListQueuesInput{QueueNamePrefix: aws.String(name)}, l.at.SQS)
	if err != nil {
		return err
	}
	if len(queues.QueueUrls) > 0 {
		l.queue = queues.QueueUrls[0]
	}
	in := &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(topicARN(partition, p))}
	for {
		page, err := pool.SNS.ListSubscriptionsByTopic(ctx, in, l.at.SNS)
		var gone *snstypes.NotFoundException
		if errors.As(err, &gone) {
			return nil // no topic, no subscription
		}
		if err != nil {
			return err
		}
		for _, s := range page.Subscriptions {
			if aws.ToString(s.Endpoint) == queueARN(partition, p, name) {
				l.subscription = aws.ToString(s.SubscriptionArn)
			}
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return nil
		}
	}
}

// sent is an event that is on its way.
type sent struct {
	spot
	at  time.Time
	err error
}

// send puts an event onto the default bus of every cell whose topic is listened to.
func (t *liveTest) send(ctx context.Context) []sent {
	out := orgs.ForEach(ctx, t.cells, t.workers(), func(ctx context.Context, cell spot) (time.Time, error) {
		if err := t.listeners[t.topicOf(cell)].err; err != nil {
			return time.Time{}, err
		}
		detail, err := json.Marshal(map[string]string{"marker": t.marker(cell)})
		if err != nil {
			return time.Time{}, err
		}
		began := t.now()
		put, err := t.pool.Events.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []eventtypes.PutEventsRequestEntry{{
			Source: aws.String(baseline.LiveTestSource), DetailType: aws.String(baseline.LiveTestDetailType), Detail: aws.String(string(detail)),
		}}}, t.at(cell).Events)
		switch {
		case err != nil:
			return began, fmt.Errorf("put the event: %w", err)
		case put.FailedEntryCount > 0:
			return began, fmt.Errorf("put the event: %s: %s", aws.ToString(put.Entries[0].ErrorCode), aws.ToString(put.Entries[0].ErrorMessage))
		}
		return began, nil
	})
	all := make([]sent, len(out))
	for i, o := range out {
		all[i] = sent{t.cells[i], o.Value, o.Err}
	}
	return all
}

// collect waits for the messages, as long as it may.
func (t *liveTest) collect(ctx context.Context, all []sent, wait time.Duration) []reports.LiveTest {
	results := make([]reports.LiveTest, len(all))
	for i, s := range all {
		a, _ := t.org.Account(s.account)
		results[i] = reports.LiveTest{Account: string(s.account), AccountName: a.Name, Region: s.region}
		if s.err != nil {
			results[i].Error = orgs.Reason(s.err)
		}
	}
	deadline, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	orgs.ForEach(ctx, t.topics(), t.workers(), func(ctx context.Context, p spot) (struct{}, error) {
		// Each cell has one topic: nobody else writes its result.
		var mine []int
		for i, s := range all {
			if t.topicOf(s.spot) == p && s.err == nil {
				mine = append(mine, i)
			}
		}
		for len(mine) > 0 && ctx.Err() == nil {
			bodies, err := t.receive(ctx, t.listeners[p])
			if err != nil && ctx.Err() == nil {
				for _, i := range mine {
					results[i].Error = "listen: " + orgs.Reason(err)
				}
				break
			}
			mine = slices.DeleteFunc(mine, func(i int) bool {
				here := slices.ContainsFunc(bodies, func(body string) bool { return hasMarker(body, t.marker(all[i].spot)) })
				if here {
					results[i].Arrived, results[i].Millis = true, t.now().Sub(all[i].at).Milliseconds()
				}
				return here
			})
			if len(bodies) == 0 && deadline.Err() != nil {
				break // what had arrived by then has been taken out
			}
		}
		return struct{}{}, nil
	})
	return results
}

// hasMarker looks for a marker that does not go on: us-east-1 is in us-east-10 as well.
func hasMarker(body, marker string) bool {
	for {
		_, rest, found := strings.Cut(body, marker)
		if !found {
			return false
		}
		if rest == "" || strings.ContainsAny(rest[:1], "\"\n\\ ") {
			return true
		}
		body = rest
	}
}

// receive waits for messages and takes them out of the queue.
func (t *liveTest) receive(ctx context.Context, l *listener) ([]string, error) {
	out, err := t.pool.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String(l.queue), MaxNumberOfMessages: 10, WaitTimeSeconds: 2, VisibilityTimeout: 300}, l.at.SQS)
	if err != nil || len(out.Messages) == 0 {
		return nil, err
	}
	var bodies []string
	var done []sqstypes.DeleteMessageBatchRequestEntry
	for i, m := range out.Messages {
		bodies = append(bodies, aws.ToString(m.Body))
		done = append(done, sqstypes.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
	}
	// One that is not deleted comes back, when nobody waits for it any more.
	_, _ = t.pool.SQS.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(l.queue), Entries: done}, l.at.SQS)
	return bodies, nil
}

// explain says of what did not arrive where it got stuck: as an audit of its way sees it,
// and what EventBridge or the state machine wrote on the event that they put aside.
func (t *liveTest) explain(ctx context.Context, results []reports.LiveTest) {
	accounts, regions := []string{string(t.base.Security)}, []string{t.base.Home}
	for _, r := range results {
		if !r.Arrived && r.Error == "" {
			accounts, regions = append(accounts, r.Account), append(regions, r.Region)
		}
	}
	if len(accounts) == 1 || ctx.Err() != nil {
		return
	}
	t.readLetters(ctx, results)
	f := baseline.Filter{Controls: []string{baseline.LiveTestID, "alert-topic"}, Accounts: compacted(accounts), Regions: compacted(regions)}
	audit, err := t.base.Audit(ctx, t.pool, f, t.workers(), true, nil)
	for i := range results {
		r := &results[i]
		if r.Arrived || r.Error != "" {
			continue
		}
		if err != nil {
			r.Stuck = "somewhere; an audit of its way failed: " + orgs.Reason(err)
			continue
		}
		out := t.topicOf(spot{orgs.AccountID(r.Account), r.Region})
		if found := stuckAt(audit.Findings, *r, out); found != nil {
			r.Stuck, r.Fix = found.Resource+": "+found.Reason, found.Fix
			continue
		}
		r.Stuck, r.Fix = "an audit finds its way as it should be", "it may be late: try a longer --wait"
		if r.Undelivered != "" {
			r.Fix = "mend what refused it; nothing of orgguard's does"
		}
	}
}

// deadLetters is the queue in which lies what could not be delivered at a topic.
const deadLetters = "orgguard-alerts-dlq"

// A queue of dead letters may be full of others: so many calls of ten letters each are
// looked through. What they took is back in the queue after lookedAt seconds.
const (
	letterCalls = 20
	lookedAt    = 30
)

// readLetters looks for the events that did not arrive among the dead letters, where the
// topics are. Those of this test are taken out; all others stay.
func (t *liveTest) readLetters(ctx context.Context, results []reports.LiveTest) {
	orgs.ForEach(ctx, t.topics(), t.workers(), func(ctx context.Context, p spot) (struct{}, error) {
		var mine []*reports.LiveTest
		for i := range results {
			if r := &results[i]; !r.Arrived && r.Error == "" && t.topicOf(spot{orgs.AccountID(r.Account), r.Region}) == p {
				mine = append(mine, r)
			}
		}
		if len(mine) == 0 {
			return struct{}{}, nil
		}
		if err := t.lettersAt(ctx, p, mine); err != nil && ctx.Err() == nil {
			for _, r := range mine {
				if r.Undelivered == "" {
					r.Undelivered = "nobody knows: its queue of dead letters cannot be read: " + orgs.Reason(err)
				}
			}
		}
		return struct{}{}, nil
	})
}

// lettersAt reads the dead letters of a place until there are no more, or the ones that
// are looked for are found.
func (t *liveTest) lettersAt(ctx context.Context, p spot, mine []*reports.LiveTest) error {
	at := t.at(p)
	url, err := t.pool.SQS.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(deadLetters)}, at.SQS)
	var none *sqstypes.QueueDoesNotExist
	if errors.As(err, &none) {
		return nil // the audit says so
	}
	if err != nil {
		return err
	}
	waiting := len(mine)
	for range letterCalls {
		out, err := t.pool.SQS.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: url.QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, VisibilityTimeout: lookedAt, MessageAttributeNames: []string{"All"},
		}, at.SQS)
		if err != nil {
			return err
		}
		var taken []sqstypes.DeleteMessageBatchRequestEntry
		for i, m := range out.Messages {
			for _, r := range mine {
				if !hasMarker(aws.ToString(m.Body), t.marker(spot{orgs.AccountID(r.Account), r.Region})) {
					continue
				}
				if r.Undelivered == "" {
					waiting--
				}
				r.Undelivered = letter(m)
				taken = append(taken, sqstypes.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)), ReceiptHandle: m.ReceiptHandle})
			}
		}
		if len(taken) > 0 { // one that stays does no harm: it says that it is a test
			_, _ = t.pool.SQS.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: url.QueueUrl, Entries: taken}, at.SQS)
		}
		if len(out.Messages) == 0 || waiting == 0 {
			return nil
		}
	}
	return nil
}

// letter is why a dead letter was not delivered, as EventBridge writes it on the event,
// or the state machine into what it was given.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
func letter(m sqstypes.Message) string {
	of := func(name string) string { return aws.ToString(m.MessageAttributes[name].StringValue) }
	if code := of("ERROR_CODE"); code != "" {
		text := code
		if why := of("ERROR_MESSAGE"); why != "" {
			text += ": " + why
		}
		if target := of("TARGET_ARN"); target != "" {
			text += " (to " + target + ")"
		}
		return text
	}
	var body struct {
		PublishError, ChatError struct{ Error, Cause string }
	}
	if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &body); err == nil {
		for _, failed := range []struct {
			what, code, why string
		}{{"the state machine could not publish", body.PublishError.Error, body.PublishError.Cause}, {"the state machine could not start the chat one", body.ChatError.Error, body.ChatError.Cause}} {
			if failed.code != "" {
				return strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", failed.what, failed.code, failed.why), ": ")
			}
		}
	}
	return "it does not say why"
}

// stuckAt is the first thing that is wrong on an event's way: in its own account before
// where it comes out.
func stuckAt(fs []finding.Finding, r reports.LiveTest, out spot) *finding.Finding {
	for _, at := range []spot{{orgs.AccountID(r.Account), r.Region}, out} {
		for i, f := range fs {
			// Whether people confirmed theirs makes no difference to the queue's subscription.
			theirs := strings.HasPrefix(f.Resource, "subscription ")
			if f.Account == string(at.account) && (f.Region == at.region || f.Region == "global") && f.Status == finding.Drift && !theirs {
				return &fs[i]
			}
		}
	}
	return nil
}

func compacted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
