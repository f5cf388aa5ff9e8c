package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	configtypes "github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim/moto"
	"github.com/orgguard/orgguard/reports"
)

// The program over the real wire: ordinary AWS credentials and AWS_ENDPOINT_URL,
// with moto behind a proxy that writes down what is asked.

// wireTime is how long one command may take. moto answers what it has not
// implemented with HTTP 500, which is tried again; nothing may hang over that.
const wireTime = time.Minute

// wire is moto with an organization in it, and what was sent there.
type wire struct {
	ids map[string]string // account numbers by name

	mu       sync.Mutex
	accounts map[string]string // account names by access key
	calls    []wireCall
}

// wireCall is one request with what came of it.
type wireCall struct {
	Service, Op, Account, Region string
	Status                       int
}

func (c wireCall) String() string {
	return strings.Join([]string{c.Service, c.Op, c.Account, c.Region}, " ")
}

// newWire makes an organization by way of AWS's API: accounts in OUs, one of them
// suspended; recorders in one account, stopped in one Region; a stack set of
// orgguard's with another template.
func newWire(t *testing.T) *wire {
	t.Helper()
	upstream := moto.Start(t)
	w := &wire{ids: map[string]string{"management": "123456789012"}, accounts: map[string]string{}}
	w.populate(t, moto.Config(t, upstream, "us-east-1"))

	proxy := httptest.NewServer(keepForm(w.proxy(t, upstream)))
	t.Cleanup(proxy.Close)
	useEndpoint(t, proxy.URL)
	return w
}

// useEndpoint gives the program an endpoint and credentials by way of its
// environment, and nothing of this machine's.
func useEndpoint(t *testing.T, endpoint string) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "AKIAORGGUARDTEST0000", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "",
		"AWS_REGION": "eu-west-1", "AWS_PROFILE": "", "AWS_CONFIG_FILE": filepath.Join(t.TempDir(), "none"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(t.TempDir(), "none"),
		"AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1", "HTTP_PROXY": "", "http_proxy": "",
	} {
		t.Setenv(name, value)
	}
}

func (w *wire) populate(t *testing.T, cfg aws.Config) {
	t.Helper()
	ctx := t.Context()
	c := organizations.NewFromConfig(cfg)
	need(c.CreateOrganization(ctx, &organizations.CreateOrganizationInput{FeatureSet: types.OrganizationFeatureSetAll}))(t)
	root := need(c.ListRoots(ctx, &organizations.ListRootsInput{}))(t).Roots[0].Id
	for _, ou := range []struct {
		name     string
		accounts []string
	}{{"Security", []string{"security"}}, {"Prod", []string{"shop", "pay", "gone"}}} {
		unit := need(c.CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{ParentId: root, Name: &ou.name}))(t).OrganizationalUnit.Id
		for _, name := range ou.accounts {
			id := need(c.CreateAccount(ctx, &organizations.CreateAccountInput{AccountName: &name, Email: aws.String(name + "@example.com")}))(t).CreateAccountStatus.AccountId
			need(c.MoveAccount(ctx, &organizations.MoveAccountInput{AccountId: id, SourceParentId: root, DestinationParentId: unit}))(t)
			w.ids[name] = *id
		}
	}
	need(c.CloseAccount(ctx, &organizations.CloseAccountInput{AccountId: aws.String(w.ids["gone"])}))(t)

	// A stack set of ours that somebody has begun.
	cfg.Region = "eu-west-1"
	need(cloudformation.NewFromConfig(cfg).CreateStackSet(ctx, &cloudformation.CreateStackSetInput{
		StackSetName: aws.String("orgguard-signin"), PermissionModel: cfntypes.PermissionModelsServiceManaged,
		TemplateBody: aws.String("Resources: {Topic: {Type: AWS::SNS::Topic}}"),
	}))(t)

	// As the baseline wants it in us-east-1, where global types are not recorded.
	w.record(t, cfg, "shop", "us-east-1", true)
	w.record(t, cfg, "shop", "eu-west-1", false)
}

// record makes a recorder with its channel.
func (w *wire) record(t *testing.T, cfg aws.Config, account, region string, recording bool) {
	t.Helper()
	ctx := t.Context()
	assume := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), "arn:aws:iam::"+w.ids[account]+":role/OrganizationAccountAccessRole")
	cfg = cfg.Copy()
	cfg.Region, cfg.Credentials = region, aws.NewCredentialsCache(assume)

	in := &s3.CreateBucketInput{Bucket: aws.String("logs-" + region)}
	if region != "us-east-1" {
		in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}
	}
	need(s3.NewFromConfig(cfg).CreateBucket(ctx, in))(t)
	c := configservice.NewFromConfig(cfg)
	need(c.PutConfigurationRecorder(ctx, &configservice.PutConfigurationRecorderInput{ConfigurationRecorder: &configtypes.ConfigurationRecorder{
		Name: aws.String("default"), RoleARN: aws.String("arn:aws:iam::" + w.ids[account] + ":role/orgguard-config-recorder"),
		RecordingGroup: &configtypes.RecordingGroup{AllSupported: true, IncludeGlobalResourceTypes: region != "us-east-1"},
	}}))(t)
	need(c.PutDeliveryChannel(ctx, &configservice.PutDeliveryChannelInput{DeliveryChannel: &configtypes.DeliveryChannel{Name: aws.String("default"), S3BucketName: in.Bucket}}))(t)
	need(c.StartConfigurationRecorder(ctx, &configservice.StartConfigurationRecorderInput{ConfigurationRecorderName: aws.String("default")}))(t)
	if !recording {
		need(c.StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String("default")}))(t)
	}
}

// need fails a test on an error of a call that has to work.
func need[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// proxy passes requests on and writes them down.
func (w *wire) proxy(t *testing.T, upstream string) http.Handler {
	t.Helper()
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		// moto answers each request on a connection of its own.
		Transport:      &http.Transport{DisableKeepAlives: true},
		ModifyResponse: w.write,
	}
}

var (
	scopePattern = regexp.MustCompile(`Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request`)
	keyPattern   = regexp.MustCompile(`<AccessKeyId>([^<]+)</AccessKeyId>`)
)

// write notes a request and its answer. What the request is about is in its
// signature's scope, and where the protocol has it: in a header, in a form, or in
// method and path.
func (w *wire) write(resp *http.Response) error {
	req := resp.Request
	c := wireCall{Status: resp.StatusCode, Op: req.Method + " " + req.URL.Path}
	scope := scopePattern.FindStringSubmatch(req.Header.Get("Authorization"))
	if scope == nil {
		return fmt.Errorf("unsigned: %s", c.Op)
	}
	c.Region, c.Service = scope[2], scope[3]
	form, _ := req.Context().Value(formKey{}).(url.Values)
	if t := req.Header.Get("X-Amz-Target"); t != "" {
		_, c.Op, _ = strings.Cut(t, ".")
	} else if op := form.Get("Action"); op != "" {
		c.Op = op
	}
	for name, id := range w.ids {
		if form.Get("StackInstanceAccount") == id {
			c.Op += " of " + name
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c.Account = "management"
	if a := w.accounts[scope[1]]; a != "" {
		c.Account = a
	}
	if c.Op == "AssumeRole" {
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(body))
		for name, id := range w.ids {
			if key := keyPattern.FindSubmatch(body); key != nil && strings.Contains(form.Get("RoleArn"), ":"+id+":") {
				w.accounts[string(key[1])] = name
				c.Op += " in " + name
			}
		}
	}
	w.calls = append(w.calls, c)
	return nil
}

// formKey holds a request's form in its context: the proxy has sent the body by the
// time the answer comes.
type formKey struct{}

// keepForm reads the forms of the query protocol.
func keepForm(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(rw, err.Error(), http.StatusBadGateway)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			if form, err := url.ParseQuery(string(body)); err == nil {
				r = r.WithContext(context.WithValue(r.Context(), formKey{}, form))
			}
		}
		next.ServeHTTP(rw, r)
	})
}

// run runs the program and returns its exit code, its output, and the calls it sent.
func (w *wire) run(t *testing.T, args ...string) (code int, stdout []byte, calls []wireCall) {
	t.Helper()
	return w.runWith(t, "", args...)
}

// runWith is run with more in the configuration.
func (w *wire) runWith(t *testing.T, more string, args ...string) (code int, stdout []byte, calls []wireCall) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "orgguard.yaml")
	text := fmt.Sprintf("version: 1\nregions: [eu-west-1, us-east-1]\nhome_region: eu-west-1\nsecurity_account: %q\nalerts:\n  email: [security@example.com]\naudit: {grace: 0s}\n", w.ids["security"]) + more // all its accounts are seconds old
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.calls = nil
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), wireTime)
	defer cancel()
	var out, talk bytes.Buffer
	code = run(ctx, append([]string{"orgguard"}, append(args, "--config", config)...), streams{in: strings.NewReader(""), out: &out, err: &talk})
	if ctx.Err() != nil {
		t.Fatalf("%v: not done within %s", args, wireTime)
	}
	if talk.Len() > 0 {
		t.Logf("%v: %s", args, talk.String())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return code, out.Bytes(), w.calls
}

// unanswered are the account × Regions in which moto had no answer, with what was
// asked there.
func unanswered(calls []wireCall) map[string]string {
	out := map[string]string{}
	for _, c := range calls {
		if c.Status >= 500 {
			out[c.Account+" "+c.Region] = c.Op
		}
	}
	return out
}

// onlyReads fails when a call was sent that changes something.
func onlyReads(t *testing.T, calls []wireCall) {
	t.Helper()
	for _, c := range calls {
		if !slices.ContainsFunc([]string{"Describe", "List", "Get", "HEAD ", "GET ", "AssumeRole", "POST /standards/get"}, func(p string) bool { return strings.HasPrefix(c.Op, p) }) {
			t.Errorf("not a read: %s", c)
		}
	}
}

// incomplete is the report of an audit that only read, and could not look everywhere.
func incomplete(t *testing.T, code int, out []byte, calls []wireCall) (a reports.Audit) {
	t.Helper()
	if code != exitIncomplete {
		t.Errorf("exit code %d, want %d", code, exitIncomplete)
	}
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	onlyReads(t, calls)
	return a
}

func TestTheProgramOverTheWire(t *testing.T) {
	if testing.Short() {
		t.Skip("other processes do the work")
	}
	w := newWire(t)

	t.Run("audit", func(t *testing.T) {
		code, out, calls := w.run(t, "audit", "--format", "json", "--all")
		a := incomplete(t, code, out, calls)
		if a.Organization.Accounts != len(w.ids) || a.Organization.ManagementAccount != w.ids["management"] {
			t.Errorf("organization %+v", a.Organization)
		}
		// One line for each finding, without what may change with every new control.
		got := map[string][]string{}
		for _, f := range a.Findings {
			key := strings.Join([]string{f.AccountName, f.Region, f.Control}, " ")
			got[key] = append(got[key], string(f.Status)+": "+f.Reason)
		}
		for key, want := range map[string]string{
			"shop eu-west-1 config-recorder":     "drift: the recorder is stopped",
			"shop us-east-1 config-recorder":     "in_sync: as configured",
			"pay eu-west-1 config-recorder":      "drift: missing: recorder orgguard",
			"pay us-east-1 config-delivery":      "drift: missing: delivery channel orgguard",
			"pay us-east-1 config-change-alert":  "drift: missing: rule orgguard-config-change",
			"pay us-east-1 root-signin-alert":    "drift: missing: rule orgguard-root-signin",
			"pay global config-recorder":         "drift: missing: role orgguard-config-recorder",
			"security eu-west-1 alert-topic":     "drift: missing: topic orgguard-alerts",
			"security eu-west-1 config-delivery": "drift: missing: bucket orgguard-config-" + w.ids["security"] + "-eu-west-1",
			"pay global scp-protect-config":      "drift: service control policies are not enabled in the organization: none has any effect",
			"gone eu-west-1 config-recorder":     "not_applicable: the account is SUSPENDED",
		} {
			if !slices.Contains(got[key], want) {
				t.Errorf("%s: want %q in %q", key, want, got[key])
			}
		}
		if n := len(got["shop us-east-1 config-recorder"]); n != 1 {
			t.Errorf("%d findings about a recorder in sync", n)
		}
		// moto does not know how deliveries went.
		for _, region := range []string{"eu-west-1", "us-east-1"} {
			fs := got["shop "+region+" config-delivery"]
			if len(fs) != 1 || !strings.HasPrefix(fs[0], "not_assessed: describe the delivery channel's status") {
				t.Errorf("shop %s config-delivery: %q", region, fs)
			}
		}
		lost := unanswered(calls)
		if lost["shop eu-west-1"] == "" {
			t.Error("moto answered everything: this test does not test what it should")
		}
		for place, op := range lost {
			account, region, _ := strings.Cut(place, " ")
			if !slices.ContainsFunc(a.Findings, func(f finding.Finding) bool {
				return f.Status == finding.NotAssessed && f.AccountName == account && (f.Region == region || f.Region == finding.Global)
			}) {
				t.Errorf("%s was not answered in %s, and nothing there is reported as not assessed", op, place)
			}
		}
	})

	t.Run("plan", func(t *testing.T) {
		code, out, calls := w.run(t, "plan", "--format", "json")
		if code != exitIncomplete {
			t.Errorf("exit code %d, want %d", code, exitIncomplete)
		}
		var p plan.Plan
		if err := json.Unmarshal(out, &p); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		onlyReads(t, calls)
		var changes, blocked []string
		for _, c := range p.Changes {
			changes = append(changes, string(c.Verb)+" "+c.Resource)
		}
		for _, want := range []string{
			"create stack orgguard-central", "create stack set orgguard-roles", "create stack set orgguard-recorder", "create stack orgguard-recorder",
			"create stack set orgguard-alerts", "update stack set orgguard-signin", "create policy orgguard-protect-config",
		} {
			if !slices.Contains(changes, want) {
				t.Errorf("no %q in %q", want, changes)
			}
		}
		for _, s := range p.Skipped {
			if s.Blocked {
				blocked = append(blocked, s.AccountName+" "+s.Region+": "+s.Reason)
			}
		}
		for _, want := range []string{
			"master global: ask whether StackSets may act in the organization",
			"shop eu-west-1: describe the delivery channel's status",
			"shop us-east-1: describe the delivery channel's status",
		} {
			if !slices.ContainsFunc(blocked, func(s string) bool { return strings.HasPrefix(s, want) }) {
				t.Errorf("no %q in %q", want, blocked)
			}
		}
	})

	// moto has no IAM Access Analyzer and nothing of Security Hub V2, does not know the
	// policy type SECURITYHUB_POLICY, and of Security Hub CSPM has neither the list of
	// administrators nor the standards: an audit says of each that it could not look, and
	// none of them holds up another. What moto has of them is in the behaviour suite
	// (orgs/sim).
	t.Run("audit of services that moto does not have", func(t *testing.T) {
		controls := []string{"access-analyzer", "securityhub", "securityhub-policy"}
		args := []string{"audit", "--format", "json"}
		for _, c := range controls {
			args = append(args, "--control", c)
		}
		code, out, calls := w.runWith(t, "baseline: {access-analyzer: true, securityhub: true, securityhub-policy: true}\n", args...)
		a := incomplete(t, code, out, calls)
		for _, want := range []string{
			"management eu-west-1 securityhub", "security us-east-1 securityhub", "shop us-east-1 securityhub", "security eu-west-1 access-analyzer",
			"management eu-west-1 securityhub-policy", "management global securityhub-policy", "pay us-east-1 securityhub-policy",
		} {
			account, rest, _ := strings.Cut(want, " ")
			if !slices.ContainsFunc(a.Findings, func(f finding.Finding) bool {
				return f.Status == finding.NotAssessed && f.Account == w.ids[account] && f.Region+" "+f.Control == rest
			}) {
				t.Errorf("%s is not reported as not assessed", want)
			}
		}
	})

	narrow := map[string]struct {
		args []string
		code int
		want map[string]int // calls but those that read the organization
	}{
		"one control in one account × Region": {
			[]string{"--control", "config-recorder", "--account", "shop", "--region", "eu-west-1"}, exitDrift,
			map[string]int{
				"sts AssumeRole in shop management eu-west-1": 1, "config DescribeConfigurationRecorders shop eu-west-1": 1,
				"config DescribeConfigurationRecorderStatus shop eu-west-1": 1, "cloudformation DescribeStackSet management eu-west-1": 2,
			},
		},
		"one control in one account": {
			[]string{"--control", "root-signin-alert", "--account", "pay"}, exitDrift,
			map[string]int{
				"sts AssumeRole in pay management eu-west-1": 1, "events DescribeRule pay us-east-1": 1, "cloudformation DescribeStackSet management eu-west-1": 2, // and its second part, since moto has no instance there
				"cloudformation ListStackInstances of pay management eu-west-1": 1,
			},
		},
		"what an account has in no Region": {
			[]string{"--control", "config-recorder", "--region", "global", "--account", "pay"}, exitDrift,
			map[string]int{
				"sts AssumeRole in pay management eu-west-1": 1, "iam GetRole pay eu-west-1": 1, "cloudformation DescribeStackSet management eu-west-1": 2,
			},
		},
		"the policy alone": {
			[]string{"--control", "scp-protect-config"}, exitDrift, map[string]int{},
		},
		"a suspended account": {
			[]string{"--control", "config-recorder", "--account", "gone"}, exitOK,
			map[string]int{"cloudformation DescribeStackSet management eu-west-1": 2},
		},
		"a name that does not exist": {
			[]string{"--account", "shopp"}, exitUsage, map[string]int{},
		},
	}
	for _, name := range slices.Sorted(maps.Keys(narrow)) {
		tt := narrow[name]
		t.Run("audit of "+name, func(t *testing.T) {
			code, out, calls := w.run(t, append([]string{"audit", "--format", "json"}, tt.args...)...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d\n%s", code, tt.code, out)
			}
			got := map[string]int{}
			for _, c := range calls {
				if c.Service != "organizations" && c.Op != "GetCallerIdentity" {
					got[c.String()]++
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("calls (-want +got)\n%s", diff)
			}
		})
	}
}

// An endpoint that is not AWS's and answers everything with a page of HTML.
func TestAnEndpointThatAnswersNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("other processes do the work")
	}
	for _, command := range []string{"audit", "plan"} {
		t.Run(command, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "text/html")
				rw.WriteHeader(http.StatusInternalServerError)
				_, _ = io.WriteString(rw, "<html>no</html>") // nobody reads it who could complain
			}))
			defer server.Close()
			useEndpoint(t, server.URL)
			t.Chdir(t.TempDir())
			ctx, cancel := context.WithTimeout(t.Context(), wireTime)
			defer cancel()
			var out, talk bytes.Buffer
			code := run(ctx, []string{"orgguard", command}, streams{in: strings.NewReader(""), out: &out, err: &talk})
			if ctx.Err() != nil {
				t.Fatalf("not done within %s", wireTime)
			}
			if code != exitIncomplete || out.Len() > 0 {
				t.Errorf("exit code %d, want %d; stdout %q", code, exitIncomplete, out.String())
			}
			for _, want := range []string{"find out who is calling", "StatusCode: 500", "next: "} {
				if !strings.Contains(talk.String(), want) {
					t.Errorf("no %q in %q", want, talk.String())
				}
			}
		})
	}
}
