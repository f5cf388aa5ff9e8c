package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/sim/moto"
)

// The behaviour suite: the same scenarios, through the same SDK clients, on the
// simulated organization and on moto over the real wire. A scenario is a script
// of calls, and what it saw is a list of steps with their outcomes.
//
// The simulated organization must do what AWS does: its outcomes are kept in
// testdata/behaviour, to be read against AWS's documentation. moto must do the
// same, but for the differences in the table of behaviour_differences_test.go.

// scenarios is the suite.
var scenarios = []struct {
	name string
	run  func(context.Context, *script)
}{
	{"security-hub", securityHub},
	{"organization-tree", organizationTree},
	{"organization-paging", organizationPaging},
	{"organization-tags", organizationTags},
	{"organization-policies", organizationPolicies},
	{"organization-services", organizationServices},
	{"assume-role", assumeRoleIsolation},
	{"config-recorder", configRecorderStates},
	{"config-channel", configChannelStates},
	{"event-rules", eventRules},
	{"event-patterns", eventPatterns},
	{"event-inputs", eventInputs},
	{"event-forwarding", eventForwarding},
	{"topics", topics},
	{"queues", queues},
	{"buckets", buckets},
	{"roles", roles},
	{"keys", keys},
	{"config-rules", configRules},
	{"account-settings", accountSettings},
	{"stacks", stacks},
	{"stack-sets", stackSets},
}

// absent are scenarios of what moto 5.2.1 does not have at all: IAM Access Analyzer; of
// Security Hub the standards, the finding aggregator, the list of administrators and
// taking one back, letting members go; and the whole of Security Hub V2. They run on the
// simulated organization alone, against what AWS documents.
var absent = []struct {
	name string
	run  func(context.Context, *script)
}{
	{"access-analyzer", analyzers},
	{"security-hub-rules", securityHubRules},
	{"security-hub-v2", securityHubV2},
}

// behaviourSpec is the organization in which every scenario begins, in both
// worlds. The spare accounts make it longer than a page.
func behaviourSpec() Spec {
	s := Spec{
		Seed:         "behaviour",
		Organization: OrganizationSpec{ID: "o-behaviour0", RootID: "r-behv"},
		// moto's own account number.
		Management: AccountSpec{ID: "123456789012", Name: "management", Email: "management@example.com"},
		Regions:    []string{"eu-west-1", "us-east-1"},
		OUs: []OUSpec{
			{Name: "Security", Accounts: []AccountSpec{{Name: "security"}}},
			{Name: "Workloads", OUs: []OUSpec{
				{Name: "Prod", Accounts: []AccountSpec{{Name: "shop"}, {Name: "pay"}}},
				{Name: "Dev", Accounts: []AccountSpec{{Name: "lab"}}},
			}},
			{Name: "Spare"},
		},
	}
	for i := range 20 {
		name := fmt.Sprintf("spare-%02d", i+1)
		s.OUs[2].Accounts = append(s.OUs[2].Accounts, AccountSpec{Name: name})
	}
	s.eachAccount(func(a *AccountSpec) {
		if a.Email == "" {
			a.Email = a.Name + "@example.com"
		}
	})
	return s
}

// script is one scenario under way in one world.
type script struct {
	t          *testing.T
	management aws.Config        // the management account's administrator, us-east-1
	ids        map[string]string // of accounts and OUs, the root and the organization, by name
	words      map[string]string // what to write for identifiers that differ between the worlds
	steps      []seen
}

// seen is a step with its outcome.
type seen struct{ step, outcome string }

// newScript learns the organization's identifiers, so that outcomes can name them.
func newScript(t *testing.T, management aws.Config) *script {
	t.Helper()
	ctx := t.Context()
	s := &script{t: t, management: management, ids: map[string]string{}, words: map[string]string{}}
	c := organizations.NewFromConfig(management)
	org := must(c.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{}))(t).Organization
	s.know("organization", *org.Id)
	root := aws.ToString(must(c.ListRoots(ctx, &organizations.ListRootsInput{}))(t).Roots[0].Id)
	s.know("root", root)
	for queue := []string{root}; len(queue) > 0; queue = queue[1:] {
		out := must(c.ListOrganizationalUnitsForParent(ctx, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &queue[0]}))(t)
		for _, u := range out.OrganizationalUnits {
			s.know(*u.Name, *u.Id)
			queue = append(queue, *u.Id)
		}
	}
	pages := organizations.NewListAccountsPaginator(c, &organizations.ListAccountsInput{})
	for pages.HasMorePages() {
		for _, a := range must(pages.NextPage(ctx))(t).Accounts {
			s.know(*a.Name, *a.Id)
		}
	}
	s.know("management", *org.MasterAccountId) // moto calls it "master"
	return s
}

// know gives an identifier a name that is the same in both worlds.
func (s *script) know(name, id string) {
	s.ids[name] = id
	s.words[id] = "<" + name + ">"
}

// in is an account × Region, entered through the role that AWS Organizations makes
// in accounts it creates.
func (s *script) in(account, region string) aws.Config {
	cfg := s.management.Copy()
	cfg.Region = region
	if account == "management" {
		return cfg
	}
	role := "arn:aws:iam::" + s.ids[account] + ":role/OrganizationAccountAccessRole"
	cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(s.management), role,
		func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = "behaviour" }))
	return cfg
}

// note writes down what a step gave.
func (s *script) note(step string, value any, err error) {
	s.t.Helper()
	if slices.ContainsFunc(s.steps, func(o seen) bool { return o.step == step }) {
		s.t.Fatalf("two steps are called %q", step)
	}
	if err != nil {
		s.steps = append(s.steps, seen{step, s.name(failure(err))})
		return
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		s.t.Fatalf("%s: %v", step, err)
	}
	s.steps = append(s.steps, seen{step, s.name(strings.TrimSpace(b.String()))})
}

// did is note for a call of which only the success matters: s.did("x")(c.Call(…)).
func (s *script) did(step string) func(any, error) {
	s.t.Helper()
	return func(_ any, err error) { s.t.Helper(); s.note(step, "done", err) }
}

// see is note for a part of a call's output: see(s, "x", part)(c.Call(…)).
func see[O any](s *script, step string, part func(O) any) func(O, error) {
	s.t.Helper()
	return func(out O, err error) {
		s.t.Helper()
		if err != nil {
			s.note(step, nil, err)
			return
		}
		s.note(step, part(out), nil)
	}
}

// name replaces identifiers by their names.
func (s *script) name(text string) string {
	var pairs []string
	for id, word := range s.words {
		pairs = append(pairs, id, word)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// failure is an error as AWS documents it: its code, and the reason of those that
// have one. What is no answer of AWS's at all is its HTTP status.
func failure(err error) string {
	var api smithy.APIError
	var wire *smithyhttp.ResponseError
	switch {
	case errors.As(err, &api) && api.ErrorCode() != "UnknownError":
		return "error " + strings.TrimSpace(errorCode(err))
	case errors.As(err, &wire):
		return fmt.Sprintf("no answer: HTTP %d", wire.HTTPStatusCode())
	}
	return "error: " + err.Error()
}

// simulated runs a scenario on the simulated organization.
func simulated(t *testing.T, run func(context.Context, *script)) []seen {
	t.Helper()
	w, err := New(behaviourSpec())
	if err != nil {
		t.Fatal(err)
	}
	cfg := w.ManagementConfig("us-east-1")
	// One attempt, as with moto: an error that the SDK would try again is an outcome.
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	s := newScript(t, cfg)
	run(t.Context(), s)
	return s.steps
}

// onMoto runs a scenario on moto, from a clean slate.
func onMoto(t *testing.T, url string, run func(context.Context, *script)) []seen {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/moto-api/reset", nil)
	if err != nil {
		t.Fatal(err)
	}
	// A connection that is kept would be a goroutine that looks like a leak.
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("reset moto: %s", resp.Status)
	}
	cfg := moto.Config(t, url, "us-east-1")
	populate(t, organizations.NewFromConfig(cfg), behaviourSpec())
	s := newScript(t, cfg)
	run(t.Context(), s)
	return s.steps
}

// populate makes the organization of a specification by way of the API.
func populate(t *testing.T, c *organizations.Client, spec Spec) {
	t.Helper()
	ctx := t.Context()
	must(c.CreateOrganization(ctx, &organizations.CreateOrganizationInput{FeatureSet: types.OrganizationFeatureSetAll}))(t)
	root := must(c.ListRoots(ctx, &organizations.ListRootsInput{}))(t).Roots[0].Id
	var below func(parent *string, accounts []AccountSpec, units []OUSpec)
	below = func(parent *string, accounts []AccountSpec, units []OUSpec) {
		for _, a := range accounts {
			made := must(c.CreateAccount(ctx, &organizations.CreateAccountInput{AccountName: &a.Name, Email: &a.Email}))(t)
			if *parent != *root {
				must(c.MoveAccount(ctx, &organizations.MoveAccountInput{AccountId: made.CreateAccountStatus.AccountId, SourceParentId: root, DestinationParentId: parent}))(t)
			}
		}
		for _, u := range units {
			made := must(c.CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{ParentId: parent, Name: &u.Name}))(t)
			below(made.OrganizationalUnit.Id, u.Accounts, u.OUs)
		}
	}
	below(root, spec.Accounts, spec.OUs)
}

var updateBehaviour = flag.Bool("update-behaviour", false, "write testdata/behaviour/*.golden anew; read the difference against AWS's documentation")

func TestBehaviour(t *testing.T) {
	for _, sc := range slices.Concat(scenarios, absent) {
		t.Run(sc.name, func(t *testing.T) {
			var b strings.Builder
			for _, o := range simulated(t, sc.run) {
				fmt.Fprintf(&b, "%s: %s\n", o.step, o.outcome)
			}
			path := filepath.Join("testdata", "behaviour", sc.name+".golden")
			if *updateBehaviour {
				if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
				t.Errorf("(-%s +now)\n%s", path, diff)
			}
		})
	}
}

func TestBehaviourOnMoto(t *testing.T) {
	if testing.Short() {
		t.Skip("another program answers, one request after the other")
	}
	url := moto.Start(t)
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			for _, problem := range compareWorlds(sc.name, simulated(t, sc.run), onMoto(t, url, sc.run), differences) {
				t.Error(problem)
			}
		})
	}
}

// What moto is not asked about it does not have: as soon as it has, this fails.
func TestMotoHasNotWhatItIsNotAskedAbout(t *testing.T) {
	if testing.Short() {
		t.Skip("another program answers")
	}
	cfg := moto.Config(t, moto.Start(t), "eu-west-1")
	_, analyzers := accessanalyzer.NewFromConfig(cfg).ListAnalyzers(t.Context(), &accessanalyzer.ListAnalyzersInput{})
	hub := securityhub.NewFromConfig(cfg)
	_, standards := hub.GetEnabledStandards(t.Context(), &securityhub.GetEnabledStandardsInput{})
	_, admins := hub.ListOrganizationAdminAccounts(t.Context(), &securityhub.ListOrganizationAdminAccountsInput{})
	_, v2 := hub.DescribeSecurityHubV2(t.Context(), &securityhub.DescribeSecurityHubV2Input{})
	for name, err := range map[string]error{"IAM Access Analyzer": analyzers, "standards of Security Hub": standards, "administrators of Security Hub": admins, "Security Hub V2": v2} {
		if err == nil || !strings.HasPrefix(failure(err), "no answer: HTTP ") {
			t.Errorf("moto answers for %s by now: %v", name, err)
		}
	}
}

// compareWorlds compares what a scenario saw in the two worlds, with the known
// differences. It reports differences that nobody knows, and known ones that are
// none any more.
func compareWorlds(scenario string, here, there []seen, known []difference) []string {
	var problems []string
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	steps := func(list []seen) []string {
		var out []string
		for _, o := range list {
			out = append(out, o.step)
		}
		return out
	}
	if diff := cmp.Diff(steps(here), steps(there)); diff != "" {
		bad("the two worlds went different ways (-simulated +moto):\n%s", diff)
		return problems
	}
	used := map[string]bool{}
	for i, o := range here {
		j := slices.IndexFunc(known, func(d difference) bool { return d.scenario == scenario && d.step == o.step })
		switch other := there[i].outcome; {
		case j < 0 && o.outcome != other:
			bad("%s: an unknown difference\n simulated: %s\n moto:      %s", o.step, o.outcome, other)
		case j < 0:
		case o.outcome == other:
			bad("%s: the table of differences is out of date, both give %s", o.step, other)
		default:
			if o.outcome != known[j].aws {
				bad("%s: the simulated organization does not do what the table says of AWS\n got:  %s\n want: %s", o.step, o.outcome, known[j].aws)
			}
			if other != known[j].moto {
				bad("%s: moto does not do what the table says of it\n got:  %s\n want: %s", o.step, other, known[j].moto)
			}
		}
		used[o.step] = true
	}
	for _, d := range known {
		if d.scenario == scenario && !used[d.step] {
			bad("%s: the table of differences has a step that the scenario does not have", d.step)
		}
	}
	return problems
}

func TestTheTableOfDifferencesStaysTrue(t *testing.T) {
	known := []difference{{scenario: "s", step: "a", moto: "2", aws: "1"}}
	tests := map[string]struct {
		here, there []seen
		want        int // problems
	}{
		"as the table says":              {[]seen{{"a", "1"}, {"b", "1"}}, []seen{{"a", "2"}, {"b", "1"}}, 0},
		"a difference nobody knows":      {[]seen{{"a", "1"}, {"b", "1"}}, []seen{{"a", "2"}, {"b", "2"}}, 1},
		"a difference that is gone":      {[]seen{{"a", "1"}}, []seen{{"a", "1"}}, 1},
		"moto does a third thing":        {[]seen{{"a", "1"}}, []seen{{"a", "3"}}, 1},
		"the simulation does another":    {[]seen{{"a", "3"}}, []seen{{"a", "2"}}, 1},
		"a row for a step that is none":  {[]seen{{"b", "1"}}, []seen{{"b", "1"}}, 1},
		"one world has a step more":      {[]seen{{"a", "1"}, {"b", "1"}}, []seen{{"a", "2"}}, 1},
		"steps in another order":         {[]seen{{"a", "1"}, {"b", "1"}}, []seen{{"b", "1"}, {"a", "2"}}, 1},
		"both changed to the same thing": {[]seen{{"a", "2"}}, []seen{{"a", "2"}}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := compareWorlds("s", tt.here, tt.there, known); len(got) != tt.want {
				t.Errorf("%d problems, want %d: %q", len(got), tt.want, got)
			}
		})
	}
	names := map[string]bool{}
	for _, sc := range scenarios {
		names[sc.name] = true
	}
	rows := map[string]bool{}
	for _, d := range differences {
		if !names[d.scenario] || d.source == "" || rows[d.scenario+"/"+d.step] {
			t.Errorf("%s, %s: no such scenario, no source, or twice in the table", d.scenario, d.step)
		}
		rows[d.scenario+"/"+d.step] = true
	}
}
