package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/chatbot"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	hubtypes "github.com/aws/aws-sdk-go-v2/service/securityhub/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/reports/history"
	"github.com/orgguard/orgguard/reports/notice"
)

const noticesConfig = `
version: 1
home_region: us-east-1
regions: [us-east-1]
notices:
  mail_topic: arn:aws:sns:us-east-1:100000000001:audits
  chat_topic: arn:aws:sns:us-east-1:100000000001:audits-chat
  webhooks: [{name: pager, url_from: "ssm:/hook", secret_from: "ssm:/key"}]
  security_hub: true
  event_bus: default
  per_hour: 2
`

// noticeWorld is an organization with everything that can be told something.
type noticeWorld struct {
	t     *testing.T
	w     *sim.World
	cfg   aws.Config
	s     *session
	said  bytes.Buffer
	h     history.History
	queue *string
	seen  int // messages that were counted

	mu    sync.Mutex
	posts []string
	code  int // of the webhook's answers
	now   time.Time
}

func newNoticeWorld(t *testing.T) *noticeWorld {
	t.Helper()
	w := demoWorld(t)
	nw := &noticeWorld{t: t, w: w, cfg: w.ManagementConfig("us-east-1"), code: http.StatusOK, now: time.Date(2027, 3, 31, 6, 0, 0, 0, time.UTC)}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		nw.mu.Lock()
		defer nw.mu.Unlock()
		if nw.code == http.StatusOK {
			nw.posts = append(nw.posts, string(b))
		}
		rw.WriteHeader(nw.code)
	}))
	t.Cleanup(server.Close)
	ctx := t.Context()
	for name, value := range map[string]string{"/hook": server.URL + "/in?token=hunter2", "/key": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} {
		must(ssm.NewFromConfig(nw.cfg).PutParameter(ctx, &ssm.PutParameterInput{Name: &name, Value: &value, Type: ssmtypes.ParameterTypeSecureString}))(t)
	}
	must(securityhub.NewFromConfig(nw.cfg).EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{}))(t)
	topics := sns.NewFromConfig(nw.cfg)
	for _, name := range []string{"audits", "audits-chat"} {
		must(topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name}))(t)
	}
	must(topics.Subscribe(ctx, &sns.SubscribeInput{TopicArn: aws.String("arn:aws:sns:us-east-1:100000000001:audits"), Protocol: aws.String("email"), Endpoint: aws.String("a@example.com")}))(t)
	w.ConfirmSubscriptions("")
	must(iam.NewFromConfig(nw.cfg).CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("chat"), AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"chatbot.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)}))(t)
	must(chatbot.NewFromConfig(nw.cfg).CreateSlackChannelConfiguration(ctx, &chatbot.CreateSlackChannelConfigurationInput{
		ConfigurationName: aws.String("audits"), SlackTeamId: aws.String("T1"), SlackChannelId: aws.String("C0456EFGH"), IamRoleArn: aws.String("arn:aws:iam::100000000001:role/chat"),
		SnsTopicArns: []string{"arn:aws:sns:us-east-1:100000000001:audits-chat"},
	}))(t)
	queue := must(sqs.NewFromConfig(nw.cfg).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("events"), Attributes: map[string]string{
		"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}`,
	}}))(t)
	nw.queue = queue.QueueUrl
	events := eventbridge.NewFromConfig(nw.cfg)
	must(events.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("audits"), EventPattern: aws.String(`{"source":["orgguard"],"detail-type":["Audit Completed"]}`)}))(t)
	must(events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("audits"), Targets: []types.Target{{Id: aws.String("q"), Arn: aws.String("arn:aws:sqs:us-east-1:100000000001:events")}}}))(t)

	cfg, err := spec.Parse("test.yaml", []byte(noticesConfig), baseline.Known())
	if err != nil {
		t.Fatal(err)
	}
	nw.s = &session{globals: globals{quiet: true}, streams: streams{out: io.Discard, err: &nw.said}, cfg: cfg, aws: nw.cfg, now: time.Now}
	if nw.h, err = history.Open(ctx, filepath.Join(t.TempDir(), "h.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nw.h.Close() }) //nolint:errcheck // of a test
	return nw
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// record keeps an audit in which some accounts have drifted, an hour after the one
// before.
func (nw *noticeWorld) record(accounts ...string) reports.Audit {
	nw.t.Helper()
	nw.now = nw.now.Add(time.Hour)
	a := reports.Audit{
		GeneratedAt: nw.now, Organization: reports.Organization{ID: "o-example", ManagementAccount: "100000000001", Accounts: 3, Regions: []string{"us-east-1"}},
		Scope: reports.Scope{Controls: []string{"config-recorder"}},
	}
	for _, account := range accounts {
		a.Findings = append(a.Findings, finding.Finding{
			Account: strings.Repeat(account, 12), AccountName: "shop-" + account, Region: "us-east-1", Control: "config-recorder", Resource: "default", Status: finding.Drift,
			Severity: finding.High, Reason: "the recorder is stopped",
		})
	}
	a.Summary = finding.Summarize(a.Findings)
	kept, err := nw.h.Record(nw.t.Context(), a, history.Keep{})
	if err != nil {
		nw.t.Fatal(err)
	}
	return kept
}

// tell tells the channels of an audit at a time.
func (nw *noticeWorld) tell(a reports.Audit) error {
	nw.t.Helper()
	t, err := nw.s.newTeller(nw.t.Context(), "h.db")
	if err != nil {
		nw.t.Fatal(err)
	}
	t.now = func() time.Time { return nw.now }
	t.pause = func(_ context.Context, d time.Duration) error { nw.now = nw.now.Add(d); return nil }
	return t.tell(nw.t.Context(), nw.h, a)
}

// got is how many messages each channel has got since the last time, and what it has.
func (nw *noticeWorld) got() string {
	nw.t.Helper()
	var out []string
	count := map[string]int{}
	mails := nw.w.Outbox()
	for _, m := range mails[nw.seen:] {
		switch {
		case m.Protocol == "email" && strings.HasPrefix(m.Subject, "[orgguard] "):
			count["mail"]++
		case m.Endpoint == "chat channel C0456EFGH":
			count["chat"]++
		}
	}
	nw.seen = len(mails)
	nw.mu.Lock()
	count["webhook"], nw.posts = len(nw.posts), nil
	nw.mu.Unlock()
	for {
		in := must(sqs.NewFromConfig(nw.cfg).ReceiveMessage(nw.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: nw.queue, MaxNumberOfMessages: 10}))(nw.t)
		if len(in.Messages) == 0 {
			break
		}
		for _, m := range in.Messages {
			count["event"]++
			must(sqs.NewFromConfig(nw.cfg).DeleteMessage(nw.t.Context(), &sqs.DeleteMessageInput{QueueUrl: nw.queue, ReceiptHandle: m.ReceiptHandle}))(nw.t)
		}
	}
	for _, name := range []string{"mail", "chat", "webhook", "event"} {
		if count[name] > 0 {
			out = append(out, fmt.Sprintf("%s %d", name, count[name]))
		}
	}
	for state, n := range nw.hub() {
		out = append(out, fmt.Sprintf("%s %d", state, n))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// hub counts the findings in Security Hub by their state.
func (nw *noticeWorld) hub() map[string]int {
	nw.t.Helper()
	count := map[string]int{}
	out := must(securityhub.NewFromConfig(nw.cfg).GetFindings(nw.t.Context(), &securityhub.GetFindingsInput{}))(nw.t)
	for _, f := range out.Findings {
		count[string(f.RecordState)]++
	}
	return count
}

func TestEveryChannelIsToldOnce(t *testing.T) {
	nw := newNoticeWorld(t)
	for i, step := range []struct {
		drifted string
		want    string
	}{
		{"1", "ACTIVE 1"}, // the first run has no news; Security Hub keeps what is open
		{"1", "ACTIVE 1"},
		{"12", "ACTIVE 2, chat 1, event 1, mail 1, webhook 1"},
		{"12", "ACTIVE 2"},
		{"1", "ACTIVE 1, ARCHIVED 1, chat 1, event 1, mail 1, webhook 1"},
		{"12", "ACTIVE 2, chat 1, event 1, mail 1, webhook 1"}, // it comes back
	} {
		a := nw.record(strings.Split(step.drifted, "")...)
		for range 2 { // a second time changes nothing
			if err := nw.tell(a); err != nil {
				t.Fatalf("%d: %v\n%s", i, err, nw.said.String())
			}
		}
		if got := nw.got(); got != step.want {
			t.Errorf("%d: %s, want %s", i, got, step.want)
		}
	}
	if nw.said.Len() > 0 {
		t.Errorf("said %s", nw.said.String())
	}
	out := must(securityhub.NewFromConfig(nw.cfg).GetFindings(t.Context(), &securityhub.GetFindingsInput{Filters: &hubtypes.AwsSecurityFindingFilters{RecordState: []hubtypes.StringFilter{{Value: aws.String("ACTIVE"), Comparison: "EQUALS"}}}}))(t)
	if f := out.Findings[0]; *f.AwsAccountId != "100000000001" || len(f.ProductFields["orgguard/Account"]) != 12 || f.Compliance.Status != hubtypes.ComplianceStatusFailed {
		t.Errorf("%+v", f)
	}
}

func TestWhatARunCouldNotTellTheNextOneTells(t *testing.T) {
	t.Run("it died before it told anybody", func(t *testing.T) {
		nw := newNoticeWorld(t)
		first := nw.record()
		if err := nw.tell(first); err != nil {
			t.Fatal(err)
		}
		nw.record("1")
		again := nw.record("1") // as Lambda tries it again
		if err := nw.tell(again); err != nil {
			t.Fatal(err)
		}
		if got := nw.got(); got != "ACTIVE 1, chat 1, event 1, mail 1, webhook 1" {
			t.Error(got)
		}
	})
	t.Run("it died while it told them", func(t *testing.T) {
		nw := newNoticeWorld(t)
		if err := nw.tell(nw.record()); err != nil {
			t.Fatal(err)
		}
		a := nw.record("1")
		if err := nw.h.Memo(t.Context(), func(old []byte) ([]byte, error) {
			told := must(notice.ReadTold(old))(t)
			told.Take(notice.Claim{Key: "o-example/mail", Run: a.Run, Before: 1}, "dead", nw.now, 2)
			return told.Bytes()
		}); err != nil {
			t.Fatal(err)
		}
		began := nw.now
		if err := nw.tell(a); err != nil {
			t.Fatal(err)
		}
		if got := nw.got(); got != "ACTIVE 1, chat 1, event 1, mail 1, webhook 1" || nw.now.Sub(began) < notice.Patience {
			t.Error(got, nw.now.Sub(began))
		}
	})
	t.Run("a channel failed", func(t *testing.T) {
		nw := newNoticeWorld(t)
		if err := nw.tell(nw.record()); err != nil {
			t.Fatal(err)
		}
		nw.code = http.StatusForbidden
		for _, drifted := range []string{"1", "2"} {
			if err := nw.tell(nw.record(drifted)); err != nil {
				t.Errorf("the others were told: %v", err)
			}
		}
		said := nw.said.String()
		if !strings.Contains(said, "could not tell webhook:pager what changed") || !strings.Contains(said, "403") || strings.Contains(said, "hunter2") {
			t.Error(said)
		}
		mails := nw.w.Outbox()
		if last := mails[len(mails)-1]; !strings.Contains(last.Message, "Could not be told before: webhook:pager") && !strings.Contains(mails[len(mails)-2].Message, "Could not be told before: webhook:pager") {
			t.Errorf("%+v", last)
		}
		nw.got()
		nw.code = http.StatusOK
		if err := nw.tell(nw.record("2")); err != nil {
			t.Fatal(err)
		}
		nw.mu.Lock()
		var d notice.Document
		if err := json.Unmarshal([]byte(nw.posts[0]), &d); err != nil {
			t.Fatal(err)
		}
		nw.mu.Unlock()
		// 1 came and went, 2 is new.
		if diff := cmp.Diff(notice.Counts{New: 1, Resolved: 1}, d.Counts); diff != "" || d.Runs != 3 {
			t.Errorf("%s, %d runs", diff, d.Runs)
		}
		if got := nw.got(); got != "ACTIVE 1, ARCHIVED 1, webhook 1" {
			t.Error(got)
		}
	})
	t.Run("there were too many messages in an hour", func(t *testing.T) {
		nw := newNoticeWorld(t)
		for _, drifted := range []string{"", "1", "12", "123"} {
			a := nw.record(strings.Split(drifted, "")...)
			if drifted == "" {
				a = nw.record()
			}
			nw.now = nw.now.Add(-50 * time.Minute)
			if err := nw.tell(a); err != nil {
				t.Fatal(err)
			}
		}
		if got := nw.got(); !strings.Contains(got, "mail 2") || !strings.Contains(got, "ACTIVE 3") {
			t.Error(got)
		}
	})
}

func TestWhatSecurityHubDoesNotTakeIsTold(t *testing.T) {
	texts := func(n int) []json.RawMessage {
		var out []json.RawMessage
		for i := range n {
			out = append(out, json.RawMessage(fmt.Sprintf(`{"Id":"orgguard/%d"}`, i)))
		}
		return out
	}
	calls := 0
	err := importBatches(t.Context(), func(_ context.Context, in *securityhub.BatchImportFindingsInput, _ ...func(*securityhub.Options)) (*securityhub.BatchImportFindingsOutput, error) {
		switch calls++; calls {
		case 1:
			return nil, errors.New("throttled")
		case 2:
			return &securityhub.BatchImportFindingsOutput{FailedFindings: []hubtypes.ImportFindingsError{{Id: in.Findings[1].Id, ErrorCode: aws.String("InvalidInput"), ErrorMessage: aws.String("bad")}}}, nil
		}
		return &securityhub.BatchImportFindingsOutput{}, nil
	}, [][]json.RawMessage{texts(3), texts(2), texts(1)})
	if err == nil || calls != 3 || !strings.Contains(err.Error(), "4 of 6 findings") || !strings.Contains(err.Error(), "orgguard/1: InvalidInput: bad") || !strings.Contains(err.Error(), "throttled") {
		t.Errorf("%v after %d calls", err, calls)
	}
	off := &hubtypes.InvalidAccessException{}
	err = importBatches(t.Context(), func(context.Context, *securityhub.BatchImportFindingsInput, ...func(*securityhub.Options)) (*securityhub.BatchImportFindingsOutput, error) {
		return nil, off
	}, [][]json.RawMessage{texts(1), texts(1)})
	if !errors.As(err, &off) || hintOf(err) == "" {
		t.Errorf("%v", err)
	}
}

func TestASecurityHubThatIsOffIsSaid(t *testing.T) {
	nw := newNoticeWorld(t)
	must(securityhub.NewFromConfig(nw.cfg).DisableSecurityHub(t.Context(), &securityhub.DisableSecurityHubInput{}))(t)
	if err := nw.tell(nw.record("1")); err == nil || !strings.Contains(nw.said.String(), "switch Security Hub on in the account that runs the audit") {
		t.Errorf("%v, said %s", err, nw.said.String())
	}
	// The others are told, and told of it.
	if err := nw.tell(nw.record("12")); err != nil {
		t.Error(err)
	}
	if mails := nw.w.Outbox(); !strings.Contains(mails[len(mails)-1].Message+mails[len(mails)-2].Message, "Could not be told before: security-hub") {
		t.Errorf("%+v", mails)
	}
}

func TestATestMessageReachesEveryChannel(t *testing.T) {
	nw := newNoticeWorld(t)
	tl, err := nw.s.newTeller(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range tl.channels() {
		if err := c.send(t.Context(), tidings{notice: notice.Notice{Test: true, GeneratedAt: nw.now}, id: "i"}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// The event is of another kind, so that nothing acts on it.
	if got := nw.got(); got != "ARCHIVED 1, chat 1, mail 1, webhook 1" {
		t.Error(got)
	}
}

// Each channel takes the rights of its own statements, and no channel another's.
func TestChannelsNeedExactlyTheRightsTheyPrint(t *testing.T) {
	lw := newLimitedWorld(t, "central")
	ctx := t.Context()
	somebody := lw.w.Config("ap-northeast-1", lw.w.RolePrincipal("100000000001", "OrgAdmin", "setup"))
	key := must(kms.NewFromConfig(somebody).CreateKey(ctx, &kms.CreateKeyInput{}))(t)
	must(securityhub.NewFromConfig(somebody).EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{}))(t)
	topics := sns.NewFromConfig(somebody)
	for _, name := range []string{"audits", "audits-chat"} {
		must(topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: &name, Attributes: map[string]string{"KmsMasterKeyId": *key.KeyMetadata.Arn}}))(t)
	}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	must(ssm.NewFromConfig(somebody).PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("/hook"), Value: aws.String(server.URL), Type: ssmtypes.ParameterTypeSecureString}))(t)
	lw.cfg.Notices = spec.Notices{
		Language: "en", PerHour: 6, MailTopic: "arn:aws:sns:ap-northeast-1:100000000001:audits", ChatTopic: "arn:aws:sns:ap-northeast-1:100000000001:audits-chat",
		Webhooks: []spec.Webhook{{Name: "a", URLFrom: "ssm:/hook"}}, SecurityHub: true, EventBus: "default",
	}
	send := func(g grant) (refused []string) {
		t.Helper()
		lw.grant(g)
		s := &session{
			globals: globals{quiet: true}, streams: streams{out: io.Discard, err: io.Discard}, cfg: lw.cfg,
			aws: lw.w.Config("ap-northeast-1", lw.w.RolePrincipal("100000000001", limited, "orgguard")),
		}
		tl, err := s.newTeller(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range tl.channels() {
			if err := c.send(ctx, tidings{notice: notice.Notice{Test: true, GeneratedAt: time.Now()}, id: "i"}); err != nil {
				refused = append(refused, c.name)
			}
		}
		return refused
	}
	for _, command := range []string{"notices test", "audit --notify"} {
		g := lw.need(command)
		if refused := send(g); len(refused) > 0 {
			t.Errorf("%s: %v are refused", command, refused)
		}
	}
	whole := lw.need("notices test")
	for i, st := range whole.told {
		less := whole
		less.told = slices.Delete(slices.Clone(whole.told), i, i+1)
		want := map[string]string{
			"TellTopics": "mail chat", "EncryptForTopics": "mail chat", "ReadWebhookSecrets": "webhook:a", "KeepFindings": "security-hub", "TellEventBus": "event-bus",
		}[st.Sid]
		if got := strings.Join(send(less), " "); got != want || want == "" {
			t.Errorf("without %s, %q are refused, want %q", st.Sid, got, want)
		}
	}
	// An audit that tells nobody gets nothing of it.
	for _, st := range lw.need("audit").callerPolicy(lw.cfg, orgs.PartitionOf("us-east-1")).Statement {
		if slices.ContainsFunc(st.Action, func(a string) bool { return a == "sns:Publish" || a == "events:PutEvents" }) {
			t.Errorf("%+v", st)
		}
	}
}

func TestRightsAreForWhatIsConfigured(t *testing.T) {
	cfg := &spec.Config{HomeRegion: "cn-north-1", Notices: spec.Notices{
		Webhooks: []spec.Webhook{{Name: "a", URLFrom: "secretsmanager:x/y", SecretFrom: "env:A"}, {Name: "b", SecretFrom: "ssm:/k"}}, EventBus: "arn:aws-cn:events:cn-north-1:200000000001:event-bus/audits",
	}}
	b, err := json.Marshal(tellStatements(cfg))
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"Sid":"ReadWebhookSecrets","Effect":"Allow","Action":["ssm:GetParameter"],"Resource":["arn:aws-cn:ssm:cn-north-1:*:parameter/aws/reference/secretsmanager/x/y","arn:aws-cn:ssm:cn-north-1:*:parameter/k"]},` +
		`{"Sid":"ReadSecretsManager","Effect":"Allow","Action":["secretsmanager:GetSecretValue"],"Resource":["arn:aws-cn:secretsmanager:cn-north-1:*:secret:x/y-??????"]},` +
		`{"Sid":"TellEventBus","Effect":"Allow","Action":["events:PutEvents"],"Resource":["arn:aws-cn:events:cn-north-1:200000000001:event-bus/audits"]}]`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
}

// The state machine of the rendered template, with the rights of its role and no other:
// people are told by its last step, once, whatever is tried again.
func TestTheScheduledAuditTellsPeople(t *testing.T) {
	const account, region = "100000000000", "us-east-1"
	w, err := sim.New(sim.Generate(5, 3, 1))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2027, 3, 31, 6, 0, 0, 0, time.UTC)
	w.SetClock(func() time.Time { return now })
	c := &cloud{t: t, w: w, account: account, region: region}
	ctx := t.Context()
	key := must(kms.NewFromConfig(c.admin()).CreateKey(ctx, &kms.CreateKeyInput{}))(t)
	must(securityhub.NewFromConfig(c.admin()).EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{}))(t)
	topics := sns.NewFromConfig(c.admin())
	must(topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("audits"), Attributes: map[string]string{"KmsMasterKeyId": *key.KeyMetadata.Arn}}))(t)
	must(topics.Subscribe(ctx, &sns.SubscribeInput{TopicArn: aws.String("arn:aws:sns:us-east-1:" + account + ":audits"), Protocol: aws.String("email"), Endpoint: aws.String("a@example.com")}))(t)
	w.ConfirmSubscriptions("")
	const config = bigConfig + "notices: {mail_topic: 'arn:aws:sns:us-east-1:100000000000:audits', security_hub: true, event_bus: default}\n"
	c.deploy(config)
	mails := func() (out []sim.Mail) {
		for _, m := range w.Outbox() {
			if strings.HasPrefix(m.Subject, "[orgguard]") {
				out = append(out, m)
			}
		}
		return out
	}
	var last []byte
	run := func(name string) done {
		t.Helper()
		now = now.Add(6 * time.Hour)
		d, err := c.execute(name)
		if err != nil {
			t.Fatal(err)
		}
		last = []byte(c.events[len(c.events)-1])
		return d
	}
	if run("first"); len(mails()) != 0 {
		t.Errorf("the first run told %+v", mails())
	}
	if run("second"); len(mails()) != 0 {
		t.Errorf("nothing changed, and it told %+v", mails())
	}
	changed := strings.Replace(config, "config-change-alert: false", "config-change-alert: true", 1)
	must(s3.NewFromConfig(c.admin()).PutObject(ctx, &s3.PutObjectInput{Bucket: &c.bucket, Key: aws.String("orgguard.yaml"), Body: strings.NewReader(changed)}))(t)
	d := run("third")
	if got := mails(); len(got) != 1 || !strings.Contains(got[0].Subject, fmt.Sprintf("%d new", d.Changes.New)) || d.Changes.New == 0 ||
		!strings.Contains(got[0].Message, "orgguard report show --history s3://"+c.bucket+"/orgguard/history --run 3") {
		t.Errorf("%+v %+v", d, got)
	}
	// Lambda tries the last step again.
	if _, err := c.run(ctx, w.RolePrincipal(account, "orgguard-audit", "x"), last); err != nil {
		t.Fatal(err)
	}
	if got := mails(); len(got) != 1 {
		t.Errorf("told %d times", len(got))
	}
	// Nobody can be told: the step fails, so that somebody hears of it, and the next run
	// tells it.
	must(topics.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: aws.String("arn:aws:sns:us-east-1:" + account + ":audits"), AttributeName: aws.String("KmsMasterKeyId"), AttributeValue: aws.String("alias/none")}))(t)
	only := bigConfig + "notices: {mail_topic: 'arn:aws:sns:us-east-1:100000000000:audits'}\n"
	must(s3.NewFromConfig(c.admin()).PutObject(ctx, &s3.PutObjectInput{Bucket: &c.bucket, Key: aws.String("orgguard.yaml"), Body: strings.NewReader(strings.Replace(only, "[us-east-1]", "[us-east-1, us-west-2]", 1))}))(t)
	now = now.Add(6 * time.Hour)
	var failed *AuditFailed
	out, err := c.f.withIdentity(w, "arn:aws:iam::"+account+":role/orgguard-audit").handle(ctx, fmt.Appendf(nil, `{"orgguard":"audit","at":%q}`, now.Format(time.RFC3339)))
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "nobody could be told") {
		t.Errorf("%+v %v", out, err)
	}
	must(topics.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: aws.String("arn:aws:sns:us-east-1:" + account + ":audits"), AttributeName: aws.String("KmsMasterKeyId"), AttributeValue: key.KeyMetadata.Arn}))(t)
	now = now.Add(6 * time.Hour)
	must(c.f.withIdentity(w, "arn:aws:iam::"+account+":role/orgguard-audit").handle(ctx, fmt.Appendf(nil, `{"orgguard":"audit","at":%q}`, now.Format(time.RFC3339))))(t)
	if got := mails(); len(got) != 2 || !strings.Contains(got[1].Message, "sums up 2 runs") {
		t.Errorf("%d mails: %+v", len(got), got[len(got)-1])
	}
}

// The key of a webhook that is in Secrets Manager is read by way of Parameter Store, with
// the rights that an audit prints, and not without one of them.
func TestASecretOfSecretsManager(t *testing.T) {
	lw := newLimitedWorld(t, "central")
	lw.cfg.HomeRegion = "us-east-1"
	lw.cfg.Notices = spec.Notices{Language: "en", Webhooks: []spec.Webhook{{Name: "a", URL: "https://example.com/", SecretFrom: "secretsmanager:hooks/a"}}}
	lw.w.PutSecret("100000000001", "us-east-1", "hooks/a", "s3cret")
	lw.w.PutSecret("100000000001", "us-east-1", "hooks/other", "no")
	read := func(source string) (string, error) {
		as := lw.w.RolePrincipal("100000000001", limited, "orgguard")
		s := &session{globals: globals{quiet: true, within: &within{lw.w, as}}, cfg: lw.cfg, now: time.Now}
		tell, err := s.newTeller(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		return tell.secret(t.Context(), source)
	}
	need, _ := grantFor("notices test", lw.cfg)
	lw.grant(need)
	if got, err := read("secretsmanager:hooks/a"); err != nil || got != "s3cret" {
		t.Errorf("%q %v", got, err)
	}
	if got, err := read("secretsmanager:hooks/other"); !orgs.Denied(err) {
		t.Errorf("another secret: %q %v", got, err)
	}
	need.told = slices.DeleteFunc(slices.Clone(need.told), func(st policyStatement) bool { return st.Sid == "ReadSecretsManager" })
	lw.grant(need)
	if got, err := read("secretsmanager:hooks/a"); !orgs.Denied(err) {
		t.Errorf("without a right to the secret itself: %q %v", got, err)
	}
}
