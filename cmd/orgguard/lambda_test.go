package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/baseline/schedule"
	"github.com/orgguard/orgguard/orgs/eventpattern"
	"github.com/orgguard/orgguard/orgs/sim"
)

// invocation is an event and what the function made of it.
type invocation struct {
	event, response string
	failure         struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}
}

// runtimeAPI is Lambda's runtime API: it hands out events one after the other and keeps
// the answers.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type runtimeAPI struct {
	t      *testing.T
	mu     sync.Mutex
	events []invocation
	next   int
	over   chan struct{}   // closed when everything is answered
	end    <-chan struct{} // closed when nobody waits for an event any more
}

func (r *runtimeAPI) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	const root = "/2018-06-01/runtime/"
	what, found := strings.CutPrefix(req.URL.Path, root)
	r.mu.Lock()
	defer r.mu.Unlock()
	if found && what == "invocation/next" {
		if r.next == len(r.events) {
			close(r.over)
			r.mu.Unlock()
			<-r.end
			r.mu.Lock()
			return
		}
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", strconv.Itoa(r.next))
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(15*time.Minute).UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:ap-northeast-1:200000000001:function:orgguard-audit")
		_, _ = io.WriteString(w, r.events[r.next].event)
		r.next++
		return
	}
	parts := strings.Split(what, "/")
	body, err := io.ReadAll(req.Body)
	if err != nil || len(parts) != 3 || parts[0] != "invocation" || parts[1] != strconv.Itoa(r.next-1) {
		r.t.Errorf("%s %s: %s %v", req.Method, req.URL.Path, body, err)
		http.Error(w, "no such thing", http.StatusNotFound)
		return
	}
	v := &r.events[r.next-1]
	if parts[2] == "response" {
		v.response = string(body)
	} else if err := json.Unmarshal(body, &v.failure); err != nil {
		r.t.Error(err)
	}
	w.WriteHeader(http.StatusAccepted)
}

// asLambda runs the real program with a runtime API that has these events.
func asLambda(t *testing.T, env map[string]string, events ...string) []invocation {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	end := make(chan struct{})
	api := &runtimeAPI{t: t, over: make(chan struct{}), end: end}
	for _, e := range events {
		api.events = append(api.events, invocation{event: e})
	}
	server := httptest.NewServer(api)
	defer server.Close()
	defer close(end) // after the function has ended: until then it waits for an event
	cmd := exec.CommandContext(ctx, "orgguard")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(), "AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(server.URL, "http://")}
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var said bytes.Buffer
	cmd.Stderr, cmd.Stdout = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-api.over:
	case err := <-ended:
		t.Fatalf("the function ended by itself: %v\n%s", err, said.String())
	case <-ctx.Done():
		t.Fatalf("the function took too long\n%s", said.String())
	}
	stop() // as Lambda ends an environment
	if err := <-ended; err == nil {
		t.Error("the function ended by itself")
	}
	return api.events
}

func lambdaEnv(sh shell) map[string]string {
	return map[string]string{
		"ORGGUARD_SANDBOX": "true", "ORGGUARD_SANDBOX_FILE": sh.file, "ORGGUARD_STATE": "s3://org-state/orgguard", "ORGGUARD_CONFIG": "s3://org-state/orgguard.yaml", "ORGGUARD_QUIET": "true",
	}
}

func TestTheProgramIsALambdaFunction(t *testing.T) {
	sh := newShell(t)
	sh.put("org-state", "orgguard.yaml", "version: 1\nhome_region: ap-northeast-1\nregions: [ap-northeast-1]\nalerts: {email: [a@example.com]}\n")
	const part = `"run":"6f0f-1","at":"2027-03-31T06:00:00.123Z"`
	got := asLambda(t, lambdaEnv(sh),
		`{"orgguard":"audit"}`,
		`{"version":"0","id":"x","source":"aws.scheduler","detail-type":"Scheduled Event","account":"200000000001","detail":"{}"}`,
		`{"orgguard":"shards"}`,
		`{"orgguard":"shard","shard":1,"of":3,`+part+`}`,
		`{"orgguard":"shard","shard":3,"of":3,`+part+`}`,
		`{"orgguard":"merge",`+part+`}`,
		`{"orgguard":"audit","accounts":["300000000002"]}`,
		`{"orgguard":"dance"}`,
		`[1]`,
		`{"orgguard":"audit","account":"300000000001"}`,
		`{"orgguard":"merge","run":"never","at":"2027-03-31T06:00:00Z"}`,
		`{"orgguard":"audit","accounts":["999999999999"]}`,
		`{"orgguard":"audit"}`,
	)
	answers := make([]done, len(got))
	for i, v := range got {
		if v.response != "" {
			if err := json.Unmarshal([]byte(v.response), &answers[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	whole := answers[0]
	if whole.Code != exitIncomplete || whole.Drift == 0 || whole.Accounts < 5 || whole.Changes != nil {
		t.Errorf("the first audit: %+v %+v", whole, got[0].failure)
	}
	if again := answers[1]; again.Drift != whole.Drift || again.Changes == nil || again.Changes.New != 0 {
		t.Errorf("what the scheduler begins: %+v %+v", again, got[1].failure)
	}
	if s := answers[2]; s.Of != 1 || len(s.Shards) != 1 || s.Accounts != whole.Accounts {
		t.Errorf("parts: %+v %+v", s, got[2].failure)
	}
	if a, b := answers[3], answers[4]; a.Accounts+b.Accounts >= whole.Accounts || a.Accounts == 0 || b.Accounts == 0 {
		t.Errorf("two parts of three: %+v and %+v, %v", a, b, got[3].failure)
	}
	if m := answers[5]; m.Accounts != whole.Accounts || m.NotAssessed <= whole.NotAssessed || m.Code != exitIncomplete || m.Changes == nil {
		t.Errorf("merged without the second: %+v %+v", m, got[5].failure)
	}
	if one := answers[6]; one.Accounts != 1 {
		t.Errorf("one account: %+v %+v", one, got[6].failure)
	}
	for i, want := range map[int][2]string{
		7: {"BadEvent", `orgguard "dance": want audit`}, 8: {"BadEvent", "no JSON"}, 9: {"BadEvent", `unknown field "account"`},
		10: {"BadConfiguration", "no audit below s3://org-state/orgguard/parts/never"}, 11: {"BadConfiguration", "999999999999"},
	} {
		if f := got[i].failure; f.Type != want[0] || !strings.Contains(f.Message, want[1]) {
			t.Errorf("%s: %q %q, want %q", got[i].event, f.Type, f.Message, want)
		}
	}
	if last := answers[12]; last.Drift != whole.Drift {
		t.Errorf("after all that it does not work any more: %+v %+v", last, got[12].failure)
	}
	out, _ := sh.run(exitOK, "report", "list", "--format", "json", "--history", "s3://org-state/orgguard/history")
	if n := strings.Count(out, `"run":`); n != 5 {
		t.Errorf("%d runs in the history: %s", n, out)
	}
	sh.world(func(w *sim.World) {
		for op := range maps.Keys(w.Calls()) {
			if !strings.HasPrefix(op, "s3:") {
				t.Errorf("the organization was asked when nobody asked for anything: %s", op)
			}
		}
	})
}

func TestAFunctionThatIsSetUpBadlySaysSo(t *testing.T) {
	sh := newShell(t)
	sh.put("org-state", "orgguard.yaml", "version: 1\nhome: mars\n")
	for name, c := range map[string]struct {
		change func(map[string]string)
		want   string
	}{
		"no state":          {func(e map[string]string) { delete(e, "ORGGUARD_STATE") }, "ORGGUARD_STATE"},
		"a whole bucket":    {func(e map[string]string) { e["ORGGUARD_STATE"] = "s3://org-state/" }, "want a prefix"},
		"a bad keep":        {func(e map[string]string) { e["ORGGUARD_KEEP"] = "forever" }, "ORGGUARD_KEEP"},
		"a bad flag":        {func(e map[string]string) { e["ORGGUARD_CONCURRENCY"] = "0" }, "--concurrency 0"},
		"a bad file":        {func(map[string]string) {}, "s3://org-state/orgguard.yaml:2:1"},
		"a file that lacks": {func(e map[string]string) { e["ORGGUARD_CONFIG"] = "s3://org-state/other.yaml" }, "there is no s3://org-state/other.yaml"},
	} {
		env := lambdaEnv(sh)
		c.change(env)
		got := asLambda(t, env, `{"orgguard":"audit"}`)[0]
		if got.failure.Type != "BadConfiguration" || !strings.Contains(got.failure.Message, c.want) {
			t.Errorf("%s: %+v %s", name, got.failure, got.response)
		}
	}
}

func TestReadJob(t *testing.T) {
	event := func(source, name, rest string) string {
		return `{"version":"0","source":"` + source + `","account":"100000000001","region":"us-east-1","detail":{"eventName":"` + name + `"` + rest + `}}`
	}
	for text, want := range map[string]string{
		event("aws.organizations", "MoveAccount", `,"requestParameters":{"accountId":"300000000001","destinationParentId":"ou-1"}`):                                                                                           "300000000001",
		event("aws.organizations", "CreateAccountResult", `,"serviceEventDetails":{"createAccountStatus":{"state":"SUCCEEDED","accountId":"300000000002"}}`):                                                                  "300000000002",
		event("aws.organizations", "AcceptHandshake", `,"userIdentity":{"accountId":"300000000003"}`):                                                                                                                         "300000000003",
		event("aws.organizations", "AccountJoinedOrganization", `,"serviceEventDetails":{"managementAccountId":"100000000001","account":{"id":"300000000004"},"joinedMethod":"Invited","joinedTime":"2027-03-31T06:00:00Z"}`): "300000000004",
		event("aws.organizations", "AccountJoinedOrganization", `,"serviceEventDetails":{"accountId":"300000000005"}`):                                                                                                        "300000000005",
		event("aws.organizations", "AccountJoinedOrganization", `,"serviceEventDetails":{"a":"300000000005","b":"300000000006"}`):                                                                                             "",
		event("aws.organizations", "AccountJoinedOrganization", ``):                                                                                                                                                           "",
		event("aws.config", "StopConfigurationRecorder", ``):                                                                                                                                                                  "100000000001",
		event("aws.organizations", "CreateAccountResult", `,"serviceEventDetails":{"createAccountStatus":{"state":"FAILED"}}`):                                                                                                "",
		event("aws.organizations", "CreateOrganizationalUnit", ``):                                                                                                                                                            "",
		`{"source":"aws.s3","account":"../../x"}`:                                                                                                                                                                             "",
		`{}`:      "",
		`null`:    "",
		`"audit"`: "",
		`{"orgguard":"shard","run":"a/b","at":"2027-03-31T06:00:00Z","shard":1,"of":2}`:                  "",
		`{"orgguard":"shard","run":"a","at":"2027-03-31T06:00:00Z","shard":3,"of":2}`:                    "",
		`{"orgguard":"shard","run":"a","at":"now","shard":1,"of":2}`:                                     "",
		`{"orgguard":"audit","accounts":["1"]}`:                                                          "",
		`{"orgguard":"merge","run":"a","at":"2027-03-31T06:00:00Z","accounts":["300000000001"]}`:         "",
		`{"orgguard":"audit","accounts":[` + strings.Repeat(`"300000000001",`, 100) + `"300000000001"]}`: "",
	} {
		j, err := readJob([]byte(text))
		var bad *BadEvent
		if want == "" && !errors.As(err, &bad) || want != "" && (err != nil || !slices.Equal(j.Accounts, []string{want}) || j.Orgguard != jobAudit) {
			t.Errorf("%s: %+v, %v", text, j, err)
		}
	}
}

func FuzzReadJob(f *testing.F) {
	f.Add([]byte(`{"orgguard":"shard","run":"a","at":"2027-03-31T06:00:00Z","shard":1,"of":2}`))
	f.Add([]byte(`{"source":"aws.organizations","detail":{"eventName":"MoveAccount","requestParameters":{"accountId":"300000000001"}}}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		j, err := readJob(event)
		if err == nil && j.check() != nil {
			t.Errorf("%q was taken: %+v", event, j)
		}
	})
}

// Before its time is up, the function stops and keeps what it knows.
func TestAFunctionWhoseTimeIsUpKeepsWhatItKnows(t *testing.T) {
	synctest.Test(t, timeIsUp)
}

func timeIsUp(t *testing.T) {
	w := demoWorld(t)
	bucketName := "org-state"
	if _, err := s3.NewFromConfig(w.ManagementConfig("us-east-1")).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucketName}); err != nil {
		t.Fatal(err)
	}
	w.SetFaults(sim.Faults{Latency: 100 * time.Millisecond})
	as := w.RolePrincipal("100000000001", "OrgAdmin", "orgguard")
	f := &function{
		globals: globals{config: "orgguard.yaml", concurrency: 1, quiet: true, within: &within{w, as}}, streams: streams{out: io.Discard, err: io.Discard},
		state: "s3://org-state/orgguard", margin: time.Minute,
	}
	ctx, stop := context.WithTimeout(t.Context(), f.margin+5*time.Second)
	defer stop()
	d, err := f.handle(ctx, []byte(`{"orgguard":"audit"}`))
	if err != nil || !d.Interrupted || d.Code != exitIncomplete {
		t.Fatalf("%+v, %v", d, err)
	}
	s := &session{globals: f.globals, streams: f.streams, now: time.Now}
	h, err := s.openHistory(t.Context(), f.state+"/history", reads)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close() //nolint:errcheck // only read
	if runs, err := h.Runs(t.Context()); err != nil || len(runs) != 1 || !runs[0].Interrupted {
		t.Errorf("%+v %v", runs, err)
	}
}

// What AWS Organizations tells of an account that is created, is invited or moves passes
// one of the rules, and the function reads the account from it.
func TestEventsAboutAccountsBeginAudits(t *testing.T) {
	w := demoWorld(t)
	files, err := schedule.Render("lambda", schedule.Job{
		Name: "orgguard-audit", Every: schedule.Intervals[0], Config: "orgguard.yaml", Partition: "aws", Region: "us-east-1", AuditRole: "A", Host: "gitlab.com", Version: "v1",
	})
	if err != nil {
		t.Fatal(err)
	}
	var stack struct {
		Resources map[string]struct {
			Properties map[string]any `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(files[1].Text, &stack); err != nil {
		t.Fatal(err)
	}
	patterns := map[string]*eventpattern.Pattern{}
	for id, r := range stack.Resources {
		if r.Properties["EventPattern"] == nil {
			continue
		}
		text, err := json.Marshal(r.Properties["EventPattern"])
		if err != nil {
			t.Fatal(err)
		}
		if patterns[id], err = eventpattern.Parse(text); err != nil {
			t.Fatal(err)
		}
	}
	cfg := w.ManagementConfig("us-east-1")
	client, trail := organizations.NewFromConfig(cfg), cloudtrail.NewFromConfig(cfg)
	seen := map[string]bool{}
	// told are the accounts of which audits begin, by rule, since the last time.
	told := func() map[string]string {
		out := map[string]string{}
		pages := cloudtrail.NewLookupEventsPaginator(trail, &cloudtrail.LookupEventsInput{})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Events {
				if seen[*e.EventId] {
					continue
				}
				seen[*e.EventId] = true
				event := `{"source":"aws.organizations","detail-type":"AWS API Call via CloudTrail","account":"100000000001","time":"2027-03-31T06:00:00Z","detail":` + *e.CloudTrailEvent + `}`
				if strings.Contains(*e.CloudTrailEvent, `"AwsServiceEvent"`) {
					event = strings.Replace(event, "AWS API Call", "AWS Service Event", 1)
				}
				for id, p := range patterns {
					if p.Match([]byte(event)) {
						j, err := readJob([]byte(event))
						if err != nil || len(j.Accounts) != 1 || j.After != "2027-03-31T06:00:00Z" {
							t.Errorf("%s: %+v %v", event, j, err)
							continue
						}
						out[id] = j.Accounts[0]
					}
				}
			}
		}
		return out
	}
	told()
	made, err := client.CreateAccount(t.Context(), &organizations.CreateAccountInput{AccountName: aws.String("new"), Email: aws.String("new@example.com")})
	if err != nil {
		t.Fatal(err)
	}
	status, err := client.DescribeCreateAccountStatus(t.Context(), &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: made.CreateAccountStatus.Id})
	if err != nil {
		t.Fatal(err)
	}
	created := *status.CreateAccountStatus.AccountId
	if got := told(); !maps.Equal(got, map[string]string{"Created": created, "Joined": created}) {
		t.Errorf("created: %v, want %s", got, created)
	}
	invited, err := w.Invite("old", "old@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if got := told(); !maps.Equal(got, map[string]string{"Joined": invited}) {
		t.Errorf("invited: %v, want %s", got, invited)
	}
	if _, err := client.CreateAccount(t.Context(), &organizations.CreateAccountInput{AccountName: aws.String("twice"), Email: aws.String("new@example.com")}); err != nil {
		t.Fatal(err)
	}
	if got := told(); len(got) > 0 {
		t.Errorf("an account that could not be created: %v", got)
	}
	root, err := client.ListRoots(t.Context(), &organizations.ListRootsInput{})
	if err != nil {
		t.Fatal(err)
	}
	units, err := client.ListOrganizationalUnitsForParent(t.Context(), &organizations.ListOrganizationalUnitsForParentInput{ParentId: root.Roots[0].Id})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.MoveAccount(t.Context(), &organizations.MoveAccountInput{AccountId: &created, SourceParentId: root.Roots[0].Id, DestinationParentId: units.OrganizationalUnits[0].Id}); err != nil {
		t.Fatal(err)
	}
	if got := told(); !maps.Equal(got, map[string]string{"Moved": created}) {
		t.Errorf("moved: %v, want %s", got, created)
	}
}
