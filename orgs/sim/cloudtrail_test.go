package sim

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// trailOf returns an account's event history, decoded.
func trailOf(t *testing.T, w *World, account string) []map[string]any {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []map[string]any
	for _, e := range w.account(account).Trail {
		var detail map[string]any
		if err := json.Unmarshal(e.Detail, &detail); err != nil {
			t.Fatal(err)
		}
		out = append(out, detail)
	}
	return out
}

func TestWritesAreRecorded(t *testing.T) {
	w := newTestWorld(t, "demo")
	w.SetClock(func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) })
	if err := stopRecorder(t.Context(), w, w.RolePrincipal(legacyLab, "Admin", "mallory"), "legacy-recorder"); err != nil {
		t.Fatal(err)
	}
	events := trailOf(t, w, legacyLab)
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	want := map[string]any{
		"eventVersion": "1.11",
		"userIdentity": map[string]any{
			"type":      "AssumedRole",
			"arn":       "arn:aws:sts::500000000003:assumed-role/Admin/mallory",
			"accountId": "500000000003",
			"sessionContext": map[string]any{
				"attributes": map[string]any{"creationDate": "2026-11-22T12:00:00Z", "mfaAuthenticated": "false"},
				"sessionIssuer": map[string]any{
					"type": "Role", "arn": "arn:aws:iam::500000000003:role/Admin", "accountId": "500000000003", "userName": "Admin",
				},
			},
		},
		"eventTime":          "2026-11-22T12:00:00Z",
		"eventSource":        "config.amazonaws.com",
		"eventName":          "StopConfigurationRecorder",
		"awsRegion":          "ap-northeast-1",
		"sourceIPAddress":    "203.0.113.17",
		"userAgent":          "aws-sdk-go-v2",
		"requestParameters":  map[string]any{"configurationRecorderName": "legacy-recorder"},
		"responseElements":   nil,
		"readOnly":           false,
		"eventType":          "AwsApiCall",
		"managementEvent":    true,
		"recipientAccountId": "500000000003",
		"eventCategory":      "Management",
	}
	ignored := cmpopts.IgnoreMapEntries(func(k string, _ any) bool { return k == "eventID" || k == "requestID" || k == "principalId" })
	if diff := cmp.Diff(want, events[0], ignored); diff != "" {
		t.Error(diff)
	}
}

func TestRefusalsAreRecorded(t *testing.T) {
	w := newTestWorld(t, "demo")
	ctx, c := t.Context(), orgClient(w)
	if err := enableSCPs(ctx, c); err != nil {
		t.Fatal(err)
	}
	if err := attachTo(ctx, c, createSCP(ctx, c, "deny-stop", testDenyStop).id, legacyLab); err != nil {
		t.Fatal(err)
	}
	if err := stopRecorder(ctx, w, w.RolePrincipal(legacyLab, "Admin", "mallory"), "legacy-recorder"); err == nil {
		t.Fatal("not refused")
	}
	events := trailOf(t, w, legacyLab)
	if len(events) != 1 || events[0]["errorCode"] != "AccessDenied" || events[0]["errorMessage"] == "" {
		t.Errorf("got %v", events)
	}
	for _, e := range trailOf(t, w, "100000000001") {
		if e["awsRegion"] != "us-east-1" || e["eventSource"] != "organizations.amazonaws.com" {
			t.Errorf("an event of a global service: %v in %v", e["eventSource"], e["awsRegion"])
		}
	}
}

func TestSignIn(t *testing.T) {
	w := newTestWorld(t, "demo")
	w.SignIn(shopProd, true, false, true)
	events := trailOf(t, w, shopProd)
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	got := map[string]any{}
	for _, k := range []string{"eventName", "eventSource", "eventType", "awsRegion", "responseElements"} {
		got[k] = events[0][k]
	}
	got["type"] = events[0]["userIdentity"].(map[string]any)["type"]
	want := map[string]any{
		"eventName": "ConsoleLogin", "eventSource": "signin.amazonaws.com", "eventType": "AwsConsoleSignIn", "awsRegion": "us-east-1",
		"responseElements": map[string]any{"ConsoleLogin": "Success"}, "type": "Root",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheHistoryIsBounded(t *testing.T) {
	w := newTestWorld(t, "demo")
	for range trailPerAccount + 50 {
		w.SignIn(shopProd, true, true, true)
	}
	if n := len(trailOf(t, w, shopProd)); n != trailPerAccount {
		t.Errorf("%d events kept, want %d", n, trailPerAccount)
	}
}

func TestEventBridgeSeesCallsWhileATrailIsLogging(t *testing.T) {
	for _, logging := range []bool{true, false} {
		w := newTestWorld(t, "demo")
		for _, trail := range w.state.Trails {
			trail.Logging = logging
		}
		ctx, cfg := t.Context(), w.Config("ap-northeast-1", w.RolePrincipal(legacyLab, "Admin", "alice"))
		queues, events := sqs.NewFromConfig(cfg), eventbridge.NewFromConfig(cfg)
		const arn = "arn:aws:sqs:ap-northeast-1:500000000003:alarms"
		q, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("alarms"), Attributes: map[string]string{
			"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"` + arn + `"}]}`,
		}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := events.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("alarm"), EventPattern: aws.String(`{"source":["aws.config"]}`)}); err != nil {
			t.Fatal(err)
		}
		if _, err := events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("alarm"), Targets: []eventtypes.Target{{Id: aws.String("q"), Arn: aws.String(arn)}}}); err != nil {
			t.Fatal(err)
		}
		if err := stopRecorder(ctx, w, w.RolePrincipal(legacyLab, "Admin", "mallory"), "legacy-recorder"); err != nil {
			t.Fatal(err)
		}
		got, err := queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.QueueUrl, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		if !logging {
			if len(got.Messages) != 0 {
				t.Errorf("without a trail: %v", *got.Messages[0].Body)
			}
			continue
		}
		if len(got.Messages) != 1 {
			t.Fatalf("%d messages", len(got.Messages))
		}
		var event map[string]any
		if err := json.Unmarshal([]byte(*got.Messages[0].Body), &event); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.config", "account": legacyLab,
			"region": "ap-northeast-1", "resources": []any{},
		}
		ignored := cmpopts.IgnoreMapEntries(func(k string, _ any) bool { return k == "id" || k == "time" || k == "detail" })
		if diff := cmp.Diff(want, event, ignored); diff != "" {
			t.Error(diff)
		}
		if detail := event["detail"].(map[string]any); detail["eventName"] != "StopConfigurationRecorder" {
			t.Errorf("the record: %v", detail)
		}
	}
}
