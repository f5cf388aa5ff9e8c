package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/doctor"
	"github.com/orgguard/orgguard/orgs/spec"
)

// The doctor sends nothing, and says of each channel what can be known without; what is
// secret is not in what it says.
func TestTheDoctorLooksAtTheChannelsOfNotices(t *testing.T) {
	const home, token = "ap-northeast-1", "hunter2-in-a-url"
	w := demoWorld(t)
	principal := func(account, role string) aws.Config {
		return w.Config(home, w.RolePrincipal(account, role, "somebody"))
	}
	management, security := principal("100000000001", "OrgAdmin"), principal("200000000001", "OrganizationAccountAccessRole")
	s := &session{globals: globals{concurrency: 8, quiet: true}, streams: streams{out: io.Discard, err: io.Discard}, now: time.Now, world: w, cfg: spec.Default()}
	s.cfg.HomeRegion, s.cfg.SecurityAccount = home, "200000000001"
	var err error
	if s.pool, err = s.newPool(t.Context(), management, reads); err != nil {
		t.Fatal(err)
	}
	if err := s.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	put := func(cfg aws.Config, name, value string) {
		t.Helper()
		if _, err := ssm.NewFromConfig(cfg).PutParameter(t.Context(), &ssm.PutParameterInput{Name: &name, Value: &value, Type: ssmtypes.ParameterTypeSecureString, Overwrite: aws.Bool(true)}); err != nil {
			t.Fatal(err)
		}
	}
	put(management, "/orgguard/pager", "https://hooks.example.com/"+token)
	put(management, "/orgguard/plain", "http://hooks.example.com/"+token)
	put(management, "/orgguard/badkey", "whsec_!"+token)
	put(security, "/orgguard/theirs", "https://hooks.example.com/"+token)
	w.PutSecret("100000000001", home, "orgguard/key", token)
	t.Setenv("PAGER_KEY", token)
	hook := func(url, secret string) spec.Notices {
		return spec.Notices{Webhooks: []spec.Webhook{{Name: "pager", URLFrom: url, SecretFrom: secret}}}
	}
	for _, c := range []struct {
		name    string
		notices spec.Notices
		sender  orgs.AccountID
		want    doctor.Severity
		what    string
	}{
		{"an address and a key", hook("ssm:/orgguard/pager", "secretsmanager:orgguard/key"), "100000000001", doctor.Info, "its address, at hooks.example.com, is there and in order, and so is the key"},
		{"a key of the environment", hook("ssm:/orgguard/pager", "env:PAGER_KEY"), "100000000001", doctor.Info, "is there and in order, and so is the key"},
		{"no key", hook("ssm:/orgguard/pager", ""), "100000000001", doctor.Info, "what it gets is not signed"},
		{"an address that is none for a webhook", hook("ssm:/orgguard/plain", ""), "100000000001", doctor.Warning, "is not an address that begins with https://"},
		{"a key that is none", hook("ssm:/orgguard/pager", "ssm:/orgguard/badkey"), "100000000001", doctor.Warning, "is no key: whsec_ has to be followed by base64"},
		{"a parameter that is not there", hook("ssm:/orgguard/theirs", ""), "100000000001", doctor.Warning, "ParameterNotFound"},
		{"a variable that is not there", hook("env:NOWHERE", ""), "100000000001", doctor.Warning, "the environment has no NOWHERE"},
		{"a parameter of the job's account", hook("ssm:/orgguard/theirs", ""), "200000000001", doctor.Info, "the scheduled audit of account 200000000001 sends it; what a secret holds there is not read"},
		{"one that the job's account has not", hook("ssm:/orgguard/theirs", "ssm:/orgguard/pager"), "200000000001", doctor.Warning, "there is no parameter /orgguard/pager in account 200000000001 ap-northeast-1"},
		{"Security Hub where it is off", spec.Notices{SecurityHub: true}, "200000000001", doctor.Warning, "Security Hub is off in account 200000000001 ap-northeast-1"},
		{"nobody", spec.Notices{}, "100000000001", doctor.Info, "names nobody to tell"},
	} {
		s.cfg.Notices = c.notices
		s.cfg.Notices.Language = "en"
		got := s.noticeChecks(t.Context(), c.sender)
		if len(got) != 1 || got[0].Severity != c.want || !strings.Contains(got[0].What, c.what) {
			t.Errorf("%s: %+v, want %s %q", c.name, got, c.want, c.what)
		}
		for _, g := range got {
			if strings.Contains(g.What+g.Fix, token) {
				t.Errorf("%s: it shows the secret: %+v", c.name, g)
			}
		}
	}
	if _, err := securityhub.NewFromConfig(security).EnableSecurityHub(t.Context(), &securityhub.EnableSecurityHubInput{}); err != nil {
		t.Fatal(err)
	}
	s.cfg.Notices = spec.Notices{SecurityHub: true}
	if got := s.noticeChecks(t.Context(), "200000000001"); len(got) != 1 || got[0].Severity != doctor.OK {
		t.Errorf("Security Hub is on: %+v", got)
	}
	// Of an account that lets nobody in, nothing is known.
	if got := s.noticeChecks(t.Context(), "300000000003"); len(got) != 1 || got[0].Severity != doctor.Unknown {
		t.Errorf("an account that lets nobody in: %+v", got)
	}
}
