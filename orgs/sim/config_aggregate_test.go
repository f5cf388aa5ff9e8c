package sim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/sim"
)

const recorderQuery = "SELECT accountId, awsRegion, configuration.Recording, configuration.RecordingGroup WHERE resourceType = 'AWS::Config::ConfigurationRecorder'"

// aggregatedWorld has recorders in two accounts × two Regions and an aggregator in
// a delegated administrator's account.
func aggregatedWorld(t *testing.T) (*sim.World, *configservice.Client) {
	t.Helper()
	recorders := []sim.RecorderSpec{{Region: "us-east-1", Name: "default", Recording: true}, {Region: "eu-west-1", Name: "default", Recording: true}}
	w, err := sim.New(sim.Spec{
		Seed: "aggregate", Regions: []string{"us-east-1", "eu-west-1"}, Management: sim.AccountSpec{ID: "100000000001", Name: "management"},
		Organization: sim.OrganizationSpec{TrustedAccess: []string{"config.amazonaws.com"}},
		Accounts: []sim.AccountSpec{
			{ID: "200000000001", Name: "security"},
			{ID: "300000000001", Name: "one", Recorders: recorders}, {ID: "300000000002", Name: "two", Recorders: recorders},
		},
		DelegatedAdministrators: []sim.DelegateSpec{{Account: "security", Services: []string{"config.amazonaws.com"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	client := configservice.NewFromConfig(w.Config("us-east-1", w.RolePrincipal("200000000001", "OrganizationAccountAccessRole", "test")))
	if _, err := client.PutConfigurationAggregator(t.Context(), putAggregator()); err != nil {
		t.Fatal(err)
	}
	return w, client
}

func putAggregator() *configservice.PutConfigurationAggregatorInput {
	return &configservice.PutConfigurationAggregatorInput{
		ConfigurationAggregatorName:   aws.String("org"),
		OrganizationAggregationSource: &types.OrganizationAggregationSource{RoleArn: aws.String("arn:aws:iam::200000000001:role/a"), AllAwsRegions: true},
	}
}

// aggregatedRows gives "account/Region recording" of all pages.
func aggregatedRows(t *testing.T, client *configservice.Client, query string) []string {
	t.Helper()
	out := []string{}
	pages := configservice.NewSelectAggregateResourceConfigPaginator(client, &configservice.SelectAggregateResourceConfigInput{
		ConfigurationAggregatorName: aws.String("org"), Expression: aws.String(query), Limit: 3,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range page.Results {
			var r struct {
				AccountID     string `json:"accountId"`
				AwsRegion     string
				Configuration struct {
					Recording      bool
					RecordingGroup struct{ AllSupported bool }
				}
			}
			if err := json.Unmarshal([]byte(row), &r); err != nil {
				t.Fatal(err)
			}
			if !r.Configuration.RecordingGroup.AllSupported {
				t.Errorf("%s: the recording group is not in the row", row)
			}
			out = append(out, fmt.Sprintf("%s/%s %v", r.AccountID, r.AwsRegion, r.Configuration.Recording))
		}
	}
	return out
}

func TestAnAggregatorHasTheRecordersOfAllAccounts(t *testing.T) {
	w, client := aggregatedWorld(t)
	all := []string{"300000000001/eu-west-1 true", "300000000001/us-east-1 true", "300000000002/eu-west-1 true", "300000000002/us-east-1 true"}
	if diff := cmp.Diff(all, aggregatedRows(t, client, recorderQuery)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(all[1:2], aggregatedRows(t, client, recorderQuery+" and awsRegion = 'us-east-1' AND accountId = '300000000001'")); diff != "" {
		t.Error(diff)
	}
	w.SetFaults(sim.Faults{Aggregation: sim.Aggregation{Missing: []string{"300000000002/eu-west-1"}, Failed: []string{"300000000001/us-east-1"}}})
	if diff := cmp.Diff(slices.Delete(slices.Clone(all), 2, 3), aggregatedRows(t, client, recorderQuery)); diff != "" {
		t.Errorf("with a source missing: %s", diff)
	}
	out, err := client.DescribeConfigurationAggregatorSourcesStatus(t.Context(), &configservice.DescribeConfigurationAggregatorSourcesStatusInput{
		ConfigurationAggregatorName: aws.String("org"), UpdateStatus: []types.AggregatedSourceStatusType{types.AggregatedSourceStatusTypeFailed},
	})
	if err != nil || len(out.AggregatedSourceStatusList) != 1 || *out.AggregatedSourceStatusList[0].SourceId != "300000000001" {
		t.Errorf("failed sources: %+v, %v", out, err)
	}
}

func TestAnAggregatorIsBehind(t *testing.T) {
	w, client := aggregatedWorld(t)
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	w.SetClock(func() time.Time { return now })
	w.SetFaults(sim.Faults{Aggregation: sim.Aggregation{Lag: time.Hour}})
	member := configservice.NewFromConfig(w.Config("us-east-1", w.RolePrincipal("300000000001", "OrganizationAccountAccessRole", "test")))
	if _, err := member.StopConfigurationRecorder(t.Context(), &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String("default")}); err != nil {
		t.Fatal(err)
	}
	here := recorderQuery + " AND awsRegion = 'us-east-1' AND accountId = '300000000001'"
	for _, tc := range []struct {
		after time.Duration
		want  string
	}{{time.Minute, "300000000001/us-east-1 true"}, {2 * time.Hour, "300000000001/us-east-1 false"}} {
		now = now.Add(tc.after)
		if diff := cmp.Diff([]string{tc.want}, aggregatedRows(t, client, here)); diff != "" {
			t.Errorf("after %s: %s", tc.after, diff)
		}
	}
}

func TestWhatAnAggregatorRefuses(t *testing.T) {
	w, client := aggregatedWorld(t)
	code := func(err error) string {
		var api smithy.APIError
		if errors.As(err, &api) {
			return api.ErrorCode()
		}
		return fmt.Sprint(err)
	}
	ask := func(name, query string) error {
		_, err := client.SelectAggregateResourceConfig(t.Context(), &configservice.SelectAggregateResourceConfigInput{ConfigurationAggregatorName: &name, Expression: &query})
		return err
	}
	for query, want := range map[string]string{
		"SELECT": "InvalidExpressionException", "SELECT accountId WHERE x > 3": "InvalidExpressionException", "DROP TABLE x": "InvalidExpressionException",
		"SELECT accountId WHERE x IN ('a', b)": "InvalidExpressionException",
	} {
		if got := code(ask("org", query)); got != want {
			t.Errorf("%q: got %s, want %s", query, got, want)
		}
	}
	for _, n := range []int{0, 101} {
		_, err := client.BatchGetAggregateResourceConfig(t.Context(), &configservice.BatchGetAggregateResourceConfigInput{
			ConfigurationAggregatorName: aws.String("org"), ResourceIdentifiers: slices.Repeat([]types.AggregateResourceIdentifier{{
				ResourceId: aws.String("x"), ResourceType: types.ResourceTypeRole, SourceAccountId: aws.String("300000000001"), SourceRegion: aws.String("us-east-1"),
			}}, n),
		})
		if got := code(err); got != "ValidationException" {
			t.Errorf("%d items: got %s", n, got)
		}
	}
	if got := code(ask("none", recorderQuery)); got != "NoSuchConfigurationAggregatorException" {
		t.Errorf("no such aggregator: got %s", got)
	}
	member := configservice.NewFromConfig(w.Config("us-east-1", w.RolePrincipal("300000000001", "OrganizationAccountAccessRole", "test")))
	if _, err := member.PutConfigurationAggregator(t.Context(), putAggregator()); code(err) != "OrganizationAccessDeniedException" {
		t.Errorf("a member that is no delegate: %v", err)
	}
}

// recordedWorld is aggregatedWorld with a rule and a role that the recorders record,
// and a client of the account that has them.
func recordedWorld(t *testing.T) (*sim.World, *configservice.Client, func(region string) aws.Config) {
	t.Helper()
	w, client := aggregatedWorld(t)
	member := func(region string) aws.Config {
		return w.Config(region, w.RolePrincipal("300000000001", "OrganizationAccountAccessRole", "test"))
	}
	c := configservice.NewFromConfig(member("us-east-1"))
	have, err := c.DescribeConfigurationRecorders(t.Context(), &configservice.DescribeConfigurationRecordersInput{})
	if err != nil {
		t.Fatal(err)
	}
	r := have.ConfigurationRecorders[0]
	r.RecordingGroup.IncludeGlobalResourceTypes = true
	if _, err := c.PutConfigurationRecorder(t.Context(), &configservice.PutConfigurationRecorderInput{ConfigurationRecorder: &r}); err != nil {
		t.Fatal(err)
	}
	_, err = eventbridge.NewFromConfig(member("us-east-1")).PutRule(t.Context(), &eventbridge.PutRuleInput{Name: aws.String("watch"), EventPattern: aws.String(`{"source":["aws.config"]}`)})
	if err != nil {
		t.Fatal(err)
	}
	return w, client, member
}

// asked gives the rows of a query for what rules and roles are called, as
// "account Region id".
func asked(t *testing.T, client *configservice.Client, where string) []types.AggregateResourceIdentifier {
	t.Helper()
	var out []types.AggregateResourceIdentifier
	page, err := client.SelectAggregateResourceConfig(t.Context(), &configservice.SelectAggregateResourceConfigInput{
		ConfigurationAggregatorName: aws.String("org"), Expression: aws.String("SELECT accountId, awsRegion, resourceId, resourceType, configuration WHERE " + where),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range page.Results {
		var row struct {
			AccountID, AwsRegion, ResourceID, ResourceType string
			Configuration                                  map[string]any
		}
		if err := json.Unmarshal([]byte(text), &row); err != nil {
			t.Fatal(err)
		}
		for _, hidden := range []string{"EventPattern", "assumeRolePolicyDocument"} {
			if row.Configuration[hidden] != nil {
				t.Errorf("a query sees %s", hidden)
			}
		}
		out = append(out, types.AggregateResourceIdentifier{
			SourceAccountId: aws.String(row.AccountID), SourceRegion: aws.String(row.AwsRegion), ResourceId: aws.String(row.ResourceID), ResourceType: types.ResourceType(row.ResourceType),
		})
	}
	return out
}

// whole gives the configurations that a batch returns, and how many it does not.
func whole(t *testing.T, client *configservice.Client, ids []types.AggregateResourceIdentifier) (items []string, unprocessed int) {
	t.Helper()
	out, err := client.BatchGetAggregateResourceConfig(t.Context(), &configservice.BatchGetAggregateResourceConfigInput{ConfigurationAggregatorName: aws.String("org"), ResourceIdentifiers: ids})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range out.BaseConfigurationItems {
		items = append(items, *item.Configuration)
	}
	return items, len(out.UnprocessedResourceIdentifiers)
}

func TestAnAggregatorHasRulesAndRoles(t *testing.T) {
	_, client, member := recordedWorld(t)
	rules := asked(t, client, "resourceType = 'AWS::Events::Rule' AND awsRegion = 'us-east-1' AND configuration.Name IN ('watch', 'other')")
	roles := asked(t, client, "resourceType = 'AWS::IAM::Role' AND configuration.roleName IN ('OrganizationAccountAccessRole')")
	if len(rules) != 1 || len(roles) != 1 || *roles[0].SourceRegion != "global" {
		t.Fatalf("rules %v, roles %v", rules, roles)
	}
	none := rules[0]
	none.ResourceId = aws.String("none")
	items, unprocessed := whole(t, client, append(rules, roles[0], none))
	if len(items) != 2 || unprocessed != 1 || !strings.Contains(items[0], `"EventPattern":{"source":["aws.config"]}`) || !strings.Contains(items[1], `"assumeRolePolicyDocument":"%7B`) {
		t.Errorf("items %q, %d unprocessed", items, unprocessed)
	}

	// A recorder that is stopped keeps what it recorded last.
	events, config := eventbridge.NewFromConfig(member("us-east-1")), configservice.NewFromConfig(member("us-east-1"))
	steps := []struct {
		name string
		do   func() error
		want string
	}{
		{"stopped", func() error {
			_, err := config.StopConfigurationRecorder(t.Context(), &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String("default")})
			return err
		}, `"State":"ENABLED"`},
		{"changed", func() error {
			_, err := events.DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String("watch")})
			return err
		}, `"State":"ENABLED"`},
		{"started", func() error {
			_, err := config.StartConfigurationRecorder(t.Context(), &configservice.StartConfigurationRecorderInput{ConfigurationRecorderName: aws.String("default")})
			return err
		}, `"State":"DISABLED"`},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if items, _ := whole(t, client, rules); len(items) != 1 || !strings.Contains(items[0], s.want) {
			t.Errorf("%s: %q, want %s", s.name, items, s.want)
		}
	}
}

func TestAnAggregatorIsBehindWithRules(t *testing.T) {
	w, client, member := recordedWorld(t)
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	w.SetClock(func() time.Time { return now })
	w.SetFaults(sim.Faults{Aggregation: sim.Aggregation{Lag: time.Hour}})
	rules := asked(t, client, "resourceType = 'AWS::Events::Rule' AND configuration.Name IN ('watch')")
	if _, err := eventbridge.NewFromConfig(member("us-east-1")).DisableRule(t.Context(), &eventbridge.DisableRuleInput{Name: aws.String("watch")}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		after time.Duration
		want  string
	}{{time.Minute, "ENABLED"}, {2 * time.Hour, "DISABLED"}} {
		now = now.Add(tc.after)
		if items, _ := whole(t, client, rules); len(items) != 1 || !strings.Contains(items[0], `"State":"`+tc.want+`"`) {
			t.Errorf("after %s: %q, want %s", tc.after, items, tc.want)
		}
	}
}
