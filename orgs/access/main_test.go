package access

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	"go.uber.org/goleak"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/sim"
)

// The tests run in synctest's bubbles: the clock there moves when nothing else
// does, so that backoffs and rates are exact and take no time.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const accessRole = "OrganizationAccountAccessRole"

var partition = orgs.PartitionOf("aws")

// demo is the simulated organization of the demo, changed.
func demo(t testing.TB, change ...func(*sim.Spec)) *sim.World {
	t.Helper()
	s, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&s)
	}
	w, err := sim.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// newPool makes a pool over a configuration, by default without the published
// rates.
func newPool(t testing.TB, cfg aws.Config, change ...func(*Options)) *Pool {
	t.Helper()
	opts := Options{Role: accessRole, NoRateLimits: true}
	for _, f := range change {
		f(&opts)
	}
	p, err := New(t.Context(), cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// assumed keeps what AssumeRole was asked for, once per call of the API.
type assumed struct {
	mu     sync.Mutex
	inputs []*sts.AssumeRoleInput
}

func (a *assumed) watch(s *middleware.Stack) error {
	return s.Initialize.Add(middleware.InitializeMiddlewareFunc("WatchAssumeRole",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			if role, ok := in.Parameters.(*sts.AssumeRoleInput); ok {
				a.mu.Lock()
				a.inputs = append(a.inputs, role)
				a.mu.Unlock()
			}
			return next.HandleInitialize(ctx, in)
		}), middleware.After)
}

// wire is an AWS at the end of the wire: answer gets the account whose
// credentials signed the request and the operation, and gives a status and a
// body.
type wire struct {
	answer func(ctx context.Context, account, operation string) (int, string)
}

// RoundTrip answers STS itself, so that every account has credentials of its own.
func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	_, key, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	account, _, _ := strings.Cut(strings.TrimPrefix(key, "KEY"), "/")
	reply := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
	if _, op, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return reply(w.answer(r.Context(), account, op))
	}
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	switch r.PostForm.Get("Action") {
	case "GetCallerIdentity":
		return reply(http.StatusOK, `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>`+account+`</Account><Arn>arn:aws:sts::`+account+`:assumed-role/A/a</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	case "AssumeRole":
		member := strings.Split(r.PostForm.Get("RoleArn"), ":")[4]
		return reply(http.StatusOK, fmt.Sprintf(`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>KEY%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, member))
	}
	return nil, fmt.Errorf("unexpected %s", r.URL)
}

// config is that of the management account over a wire.
func (w wire) config() aws.Config {
	return aws.Config{
		Region:      "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("KEY100000000001", "s", ""),
		HTTPClient:  &http.Client{Transport: w},
	}
}
