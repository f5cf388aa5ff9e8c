package sim

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	analyzertypes "github.com/aws/aws-sdk-go-v2/service/accessanalyzer/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/google/go-cmp/cmp"
)

// lookupClient calls as the account's own administrator, and never again when refused.
func lookupClient(w *World, region string) *cloudtrail.Client {
	cfg := w.Config(region, w.RolePrincipal(legacyLab, "Admin", "alice"))
	cfg.RetryMaxAttempts = 1
	return cloudtrail.NewFromConfig(cfg)
}

func byName(name string) []types.LookupAttribute {
	return []types.LookupAttribute{{AttributeKey: types.LookupAttributeKeyEventName, AttributeValue: &name}}
}

func TestLookupEventsFindsWhatWasDone(t *testing.T) {
	w := newTestWorld(t, "demo")
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	w.SetClock(func() time.Time { return now })
	for range 60 {
		now = now.Add(time.Second)
		if err := stopRecorder(t.Context(), w, w.RolePrincipal(legacyLab, "Admin", "mallory"), "legacy-recorder"); err != nil {
			t.Fatal(err)
		}
	}
	count := func(region string, in *cloudtrail.LookupEventsInput) (pages []int) {
		p := cloudtrail.NewLookupEventsPaginator(lookupClient(w, region), in)
		for p.HasMorePages() {
			page, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, len(page.Events))
		}
		return pages
	}
	for name, tt := range map[string]struct {
		region string
		in     *cloudtrail.LookupEventsInput
		want   []int
	}{
		"fifty on a page":          {"ap-northeast-1", &cloudtrail.LookupEventsInput{LookupAttributes: byName("StopConfigurationRecorder")}, []int{50, 10}},
		"another name":             {"ap-northeast-1", &cloudtrail.LookupEventsInput{LookupAttributes: byName("DeleteConfigurationRecorder")}, []int{0}},
		"another Region":           {"us-east-1", &cloudtrail.LookupEventsInput{LookupAttributes: byName("StopConfigurationRecorder")}, []int{0}},
		"the last ten seconds":     {"ap-northeast-1", &cloudtrail.LookupEventsInput{StartTime: aws.Time(now.Add(-9 * time.Second))}, []int{10}},
		"until before all of them": {"ap-northeast-1", &cloudtrail.LookupEventsInput{EndTime: aws.Time(now.Add(-time.Hour))}, []int{0}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, count(tt.region, tt.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
	now = now.AddDate(0, 0, 91)
	if got := count("ap-northeast-1", &cloudtrail.LookupEventsInput{}); !cmp.Equal(got, []int{0}) {
		t.Errorf("events older than 90 days: %v", got)
	}
}

func TestLookupEventsRefuses(t *testing.T) {
	w := newTestWorld(t, "demo")
	for name, tt := range map[string]struct {
		in   cloudtrail.LookupEventsInput
		want string
	}{
		"two attributes":            {cloudtrail.LookupEventsInput{LookupAttributes: append(byName("a"), byName("b")...)}, "InvalidLookupAttributesException"},
		"a page of 51":              {cloudtrail.LookupEventsInput{MaxResults: aws.Int32(51)}, "InvalidMaxResultsException"},
		"an end before a start":     {cloudtrail.LookupEventsInput{StartTime: aws.Time(specTime.Add(time.Hour)), EndTime: aws.Time(specTime)}, "InvalidTimeRangeException"},
		"a token of its own making": {cloudtrail.LookupEventsInput{NextToken: aws.String("x")}, "InvalidNextTokenException"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := lookupClient(w, "us-east-1").LookupEvents(t.Context(), &tt.in)
			if got := errorCode(err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLookupEventsHasTwoCallsASecond(t *testing.T) {
	w := newTestWorld(t, "demo")
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	w.SetClock(func() time.Time { return now })
	w.SetTiming(Timing{LookupRate: true})
	ask := func(region string) string {
		_, err := lookupClient(w, region).LookupEvents(t.Context(), &cloudtrail.LookupEventsInput{})
		return errorCode(err)
	}
	got := []string{ask("us-east-1"), ask("us-east-1"), ask("us-east-1"), ask("ap-northeast-1")}
	now = now.Add(time.Second / 2)
	got = append(got, ask("us-east-1"), ask("us-east-1"))
	if diff := cmp.Diff([]string{"", "", "ThrottlingException", "", "", "ThrottlingException"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAuthorizationDetailsHoldAllOfAnAccount(t *testing.T) {
	w := newTestWorld(t, "demo")
	client := iam.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(legacyLab, "Admin", "alice")))
	var roles, policies []string
	p := iam.NewGetAccountAuthorizationDetailsPaginator(client, &iam.GetAccountAuthorizationDetailsInput{MaxItems: aws.Int32(2)})
	for p.HasMorePages() {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.RoleDetailList {
			roles = append(roles, *r.RoleName)
		}
		for _, x := range page.Policies {
			policies = append(policies, *x.PolicyName)
		}
	}
	if diff := cmp.Diff([]string{"AWSServiceRoleForConfig", "Admin", "OrganizationAccountAccessRole"}, roles); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"AdministratorAccess", "AWSConfigServiceRolePolicy"}, policies); diff != "" {
		t.Error(diff)
	}
}

func TestTheSimulatorKnowsServiceControlPolicies(t *testing.T) {
	w := newTestWorld(t, "demo")
	client := iam.NewFromConfig(w.ManagementConfig("us-east-1"))
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	level := func(docs ...string) iamtypes.OrderedOrganizationPolicyType {
		return iamtypes.OrderedOrganizationPolicyType{ServiceControlPolicyInputList: docs}
	}
	for name, tt := range map[string]struct {
		caller string
		levels []iamtypes.OrderedOrganizationPolicyType
		want   string
	}{
		"allowed on all levels":       {"Admin", []iamtypes.OrderedOrganizationPolicyType{level(allow), level(allow)}, "allowed"},
		"denied on one":               {"Admin", []iamtypes.OrderedOrganizationPolicyType{level(allow), level(allow, testDenyStop)}, "explicitDeny"},
		"spared":                      {"Exempt", []iamtypes.OrderedOrganizationPolicyType{level(allow), level(allow, testDenyStop)}, "allowed"},
		"a level that allows nothing": {"Admin", []iamtypes.OrderedOrganizationPolicyType{level(allow), level(testDenyStop)}, "explicitDeny"},
		"an empty level":              {"Admin", []iamtypes.OrderedOrganizationPolicyType{level(allow), level()}, "implicitDeny"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := client.SimulateCustomPolicy(t.Context(), &iam.SimulateCustomPolicyInput{
				ActionNames: []string{"config:StopConfigurationRecorder"}, PolicyInputList: []string{allow},
				CallerArn: aws.String("arn:aws:iam::300000000001:role/" + tt.caller), OrderedOrganizationPolicyInputList: tt.levels,
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(out.EvaluationResults[0].EvalDecision); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	_, err := client.SimulateCustomPolicy(t.Context(), &iam.SimulateCustomPolicyInput{
		ActionNames: []string{"s3:GetObject"}, PolicyInputList: []string{allow}, CallerArn: aws.String("arn:aws:sts::300000000001:assumed-role/Admin/alice"),
	})
	if got := errorCode(err); got != "InvalidInput" {
		t.Errorf("the session of a role as caller: %q", got)
	}
}

func TestAccessAnalyzerValidates(t *testing.T) {
	w := newTestWorld(t, "demo")
	client := accessanalyzer.NewFromConfig(w.ManagementConfig("us-east-1"))
	for policy, want := range map[string]int{testDenyStop: 0, `{"Version":"2012-10-17"}`: 1} {
		out, err := client.ValidatePolicy(t.Context(), &accessanalyzer.ValidatePolicyInput{PolicyDocument: &policy, PolicyType: analyzertypes.PolicyTypeServiceControlPolicy})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Findings) != want {
			t.Errorf("%s: %d findings, want %d", policy, len(out.Findings), want)
		}
	}
}
