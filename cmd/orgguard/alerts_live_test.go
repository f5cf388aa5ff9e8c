package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/reports"
)

// interrupter presses Ctrl-C while the answer to the n-th call is on its way: what the
// call did is done, and whoever waits for it does not hear of it.
type interrupter struct {
	mu    sync.Mutex
	left  int
	press context.CancelFunc
}

func (i *interrupter) count() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.left--; i.left == 0 && i.press != nil {
		i.press()
	}
}

func (i *interrupter) option(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("interrupter", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, md, err := next.HandleInitialize(ctx, in)
		i.count()
		if err == nil && ctx.Err() != nil {
			return middleware.InitializeOutput{}, md, ctx.Err()
		}
		return out, md, err
	}), middleware.Before)
}

// left is what is there of live tests at the topics of an account: queues and
// subscriptions.
func left(t *testing.T, w *sim.World, account string, regions ...string) (out []string) {
	t.Helper()
	for _, region := range regions {
		cfg := w.Config(region, w.RolePrincipal(account, "OrganizationAccountAccessRole", "looker"))
		queues, err := sqs.NewFromConfig(cfg).ListQueues(t.Context(), &sqs.ListQueuesInput{QueueNamePrefix: aws.String(liveQueue)})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, queues.QueueUrls...)
		subs, err := sns.NewFromConfig(cfg).ListSubscriptionsByTopic(t.Context(), &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String("arn:aws:sns:" + region + ":" + account + ":orgguard-alerts")})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range subs.Subscriptions {
			if aws.ToString(s.Protocol) == "sqs" {
				out = append(out, aws.ToString(s.Endpoint))
			}
		}
	}
	return out
}

// Whenever somebody presses Ctrl-C, no queue and no subscription stays, and the exit code
// says that it was not finished.
func TestCtrlCLeavesNothingOfALiveTest(t *testing.T) {
	const shop = "300000000001"
	lw := newLimitedWorld(t, "local")
	lw.grant(everything)
	lw.rollout()
	var i interrupter
	cfg := lw.w.Config("ap-northeast-1", lw.w.RolePrincipal("100000000001", limited, "orgguard"))
	cfg.APIOptions = append(cfg.APIOptions, i.option)
	s := lw.session(writes)
	var err error
	if s.pool, err = access.New(t.Context(), cfg, access.Options{Role: limited, NoRateLimits: true}); err != nil {
		t.Fatal(err)
	}
	try := func(at int) error {
		ctx, press := context.WithCancel(t.Context())
		defer press()
		i.mu.Lock()
		i.left, i.press = at, press
		i.mu.Unlock()
		s.out, s.err = &bytes.Buffer{}, &bytes.Buffer{}
		err := runAlertsLive(ctx, s, liveOptions{filter: baseline.Filter{Accounts: []string{"shop-prod"}}, wait: 10 * time.Millisecond, yes: true, format: reports.JSON})
		if left := left(t, lw.w, shop, "ap-northeast-1", "us-east-1"); len(left) > 0 {
			t.Errorf("Ctrl-C at call %d leaves %q\n%s", at, left, s.err)
		}
		if ctx.Err() != nil && !unfinished(err) {
			t.Errorf("Ctrl-C at call %d: %v", at, err)
		}
		return err
	}
	const never = 1 << 20
	if err := try(never); err != nil {
		t.Fatal(err)
	}
	calls := never - i.left
	if calls < 12 {
		t.Fatalf("only %d calls", calls)
	}
	for at := 1; at <= calls; at++ {
		_ = try(at) // it has looked at the exit code
	}

	// What cannot be taken away is told, and not called finished.
	lw.grant(grant{caller: []string{"*"}, member: slices.DeleteFunc(lw.need("alerts test --live").member, func(a string) bool { return a == "sqs:DeleteQueue" })})
	err = runLive(t, s)
	if text := s.err.(*bytes.Buffer).String(); !unfinished(err) || strings.Count(text, "not taken away: aws sqs delete-queue") != 2 {
		t.Errorf("%v: %s", err, text)
	}
}

// unfinished says whether an error ends the process with exitIncomplete.
func unfinished(err error) bool {
	code, other := codeOf(err)
	return code == exitIncomplete || errors.Is(other, context.Canceled)
}

func runLive(t *testing.T, s *session) error {
	t.Helper()
	s.out, s.err = &bytes.Buffer{}, &bytes.Buffer{}
	return runAlertsLive(t.Context(), s, liveOptions{filter: baseline.Filter{Accounts: []string{"shop-prod"}}, wait: 10 * time.Millisecond, yes: true, format: reports.JSON})
}

func TestWhyALetterIsDead(t *testing.T) {
	attributes := func(pairs ...string) map[string]sqstypes.MessageAttributeValue {
		m := map[string]sqstypes.MessageAttributeValue{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = sqstypes.MessageAttributeValue{StringValue: aws.String(pairs[i+1])}
		}
		return m
	}
	for _, tt := range []struct {
		name string
		m    sqstypes.Message
		want string
	}{
		{"EventBridge says why, and where to", sqstypes.Message{MessageAttributes: attributes("ERROR_CODE", "NO_PERMISSIONS", "ERROR_MESSAGE", "no", "TARGET_ARN", "arn:x")}, "NO_PERMISSIONS: no (to arn:x)"},
		{"EventBridge says a code alone", sqstypes.Message{MessageAttributes: attributes("ERROR_CODE", "NO_RESOURCE")}, "NO_RESOURCE"},
		{"the state machine could not publish", sqstypes.Message{Body: aws.String(`{"title":"x","publishError":{"Error":"SNS.KMSAccessDeniedException","Cause":"the key"}}`)}, "the state machine could not publish: SNS.KMSAccessDeniedException: the key"},
		{"the state machine could not start the chat one", sqstypes.Message{Body: aws.String(`{"chatError":{"Error":"States.TaskFailed"}}`)}, "the state machine could not start the chat one: States.TaskFailed"},
		{"anything else", sqstypes.Message{Body: aws.String("{")}, "it does not say why"},
	} {
		if got := letter(tt.m); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
