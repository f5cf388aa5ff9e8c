package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/reports"
)

// Plans go to pull requests, mails and artifact stores. What must not be read there:
// the external id, tags of other people's things, tokens of SNS, credentials.
func TestNoPlanShowsASecret(t *testing.T) {
	const inTag, externalID = "hunter2-in-a-tag", "external-id-secret-42"
	w := demoWorld(t, func(scenario *sim.Spec) {
		for i := range scenario.OUs {
			scenario.OUs[i].Tags = map[string]string{"password": inTag}
			for j := range scenario.OUs[i].Accounts {
				scenario.OUs[i].Accounts[j].Tags = map[string]string{"password": inTag}
			}
		}
	})
	tagDefaultVPC(t, w, inTag)
	parse := func(text string) *spec.Config {
		cfg, err := spec.Parse("test.yaml", []byte(text), baseline.Known())
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	cfg := parse(strings.Replace(bootstrappedConfig, "id-42", externalID, 1) + "baseline: {default-vpc: true}\n")
	open := func(m mode) *session {
		t.Helper()
		s := &session{globals: globals{concurrency: 8, quiet: true}, streams: streams{out: io.Discard, err: io.Discard}, cfg: cfg, now: time.Now, world: w}
		var err error
		if s.pool, err = s.newPool(t.Context(), w.Config("ap-northeast-1", w.RolePrincipal("100000000001", "OrgAdmin", "orgguard")), m); err != nil {
			t.Fatal(err)
		}
		if err := s.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s
	}
	var shown bytes.Buffer
	show := func(p plan.Plan) {
		t.Helper()
		for _, f := range reports.PlanFormats() {
			if err := reports.WritePlan(&shown, f, reports.Style{}, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The roles: made, and found changed.
	s := open(writes)
	s.out, s.err = &shown, &shown
	if err := runBootstrap(t.Context(), s, bootstrapOptions{yes: true, format: reports.Markdown}); err != nil {
		t.Fatal(err)
	}
	told := shown.String()
	if strings.Count(told, externalID) > 1 || strings.Contains(before(told, "external_id:"), externalID) {
		t.Error("bootstrap says the external id elsewhere than in the configuration that it asks for")
	}
	shown.Reset()
	// The baseline: made, found drifted, and taken back.
	first := open(writes)
	made, err := planOf(t.Context(), first, nil)
	if err != nil {
		t.Fatal(err)
	}
	show(made.Plan)
	if !strings.Contains(shown.String(), "password") {
		t.Error("the plan does not say that the default VPC has tags")
	}
	res := plan.Execute(t.Context(), made.tasks, 8, nil)
	for _, f := range reports.PlanFormats() {
		if err := reports.WriteResult(&shown, f, reports.Style{}, res); err != nil {
			t.Fatal(err)
		}
	}
	tokens := tokensOf(t, w)
	again, _, err := makePlan(t.Context(), open(reads)) // subscriptions are pending
	if err != nil {
		t.Fatal(err)
	}
	show(again)
	a, err := runAudit(t.Context(), open(reads), auditOptions{all: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range reports.Formats() {
		if err := reports.Write(&shown, f, reports.Style{}, a); err != nil {
			t.Fatal(err)
		}
	}
	for _, secret := range append(tokens, inTag, externalID, "ASIASIM", "SecretAccessKey") {
		if i := strings.Index(shown.String(), secret); i >= 0 {
			t.Errorf("%s is shown: …%s", secret, shown.String()[max(0, i-200):i+len(secret)])
		}
	}
}

// before is what comes before a text, or all when it does not come.
func before(s, text string) string {
	head, _, _ := strings.Cut(s, text)
	return head
}

// tagDefaultVPC puts a tag on the default VPC of an account.
func tagDefaultVPC(t *testing.T, w *sim.World, value string) {
	t.Helper()
	c := ec2.NewFromConfig(w.Config("us-east-1", w.RolePrincipal("300000000001", "OrganizationAccountAccessRole", "alice")))
	out, err := c.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
	if err != nil || len(out.Vpcs) == 0 {
		t.Fatalf("no VPC: %v", err)
	}
	if _, err := c.CreateTags(t.Context(), &ec2.CreateTagsInput{
		Resources: []string{aws.ToString(out.Vpcs[0].VpcId)}, Tags: []ec2types.Tag{{Key: aws.String("password"), Value: aws.String(value)}},
	}); err != nil {
		t.Fatal(err)
	}
}

// tokensOf are the tokens in the mails that ask for a confirmation.
func tokensOf(t *testing.T, w *sim.World) []string {
	t.Helper()
	var out []string
	for _, m := range w.Outbox() {
		if _, rest, ok := strings.Cut(m.Message, "&Token="); ok {
			out = append(out, rest[:32])
		}
	}
	if len(out) == 0 {
		t.Fatal("no subscription waits for a click")
	}
	return out
}
