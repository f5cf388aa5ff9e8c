package survey

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/sim"
)

// world is the demo organization with Control Tower, delegated administrators
// and a service-linked recorder.
func world(t *testing.T) *sim.World {
	t.Helper()
	spec, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	spec.ControlTower = &sim.LandingZoneSpec{
		Latest: "4.0", HomeRegion: "eu-west-1", Regions: []string{"ap-northeast-1", "us-east-1"}, LogArchive: "log-archive", Audit: "security", Enrolled: []string{"Workloads/Prod"},
	}
	spec.DelegatedAdministrators = []sim.DelegateSpec{{Account: "security", Services: []string{"guardduty.amazonaws.com", "member.org.stacksets.cloudformation.amazonaws.com"}}}
	w, err := sim.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	linked := configservice.NewFromConfig(w.Config("us-east-1", w.RolePrincipal("400000000001", "OrganizationAccountAccessRole", "x")))
	if _, err := linked.PutServiceLinkedConfigurationRecorder(t.Context(), &configservice.PutServiceLinkedConfigurationRecorderInput{ServicePrincipal: aws.String("securityhub.amazonaws.com")}); err != nil {
		t.Fatal(err)
	}
	return w
}

func look(t *testing.T, cfg aws.Config, o Options) *Survey {
	t.Helper()
	ctx := context.Background()
	pool, err := access.New(ctx, cfg, access.Options{Role: "OrganizationAccountAccessRole", ReadOnly: true, NoRateLimits: true})
	if err != nil {
		t.Fatal(err)
	}
	org, err := orgs.Load(ctx, pool.Organizations)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range org.Accounts {
		if a.State == orgs.StateActive {
			o.Accounts = append(o.Accounts, a.ID)
		}
	}
	o.Workers = 8
	return Look(ctx, pool, org, o)
}

func (s *Survey) account(t *testing.T, id orgs.AccountID) Account {
	t.Helper()
	for _, a := range s.Accounts {
		if a.ID == id {
			return a
		}
	}
	t.Fatalf("account %s was not looked at", id)
	return Account{}
}

func TestASurveyFindsWhatIsThere(t *testing.T) {
	s := look(t, world(t).ManagementConfig("ap-northeast-1"), Options{
		Home: "ap-northeast-1", Regions: []string{"ap-east-1", "ap-northeast-1", "us-east-1"},
		Caller: []Question{{[]string{"organizations:ListRoots"}, "*"}}, Role: []Question{{[]string{"config:StopConfigurationRecorder", "config:ListConfigurationRecorders"}, "*"}},
	})
	if s.Position != Management {
		t.Errorf("position: %s", s.Position)
	}
	if s.Skew.Asked {
		t.Error("the simulated organization says what time it is")
	}
	zone := s.LandingZone.Value
	if zone == nil || zone.Home != "eu-west-1" || zone.LogArchive != "200000000002" || zone.Audit != "200000000001" || len(zone.Regions) != 2 {
		t.Fatalf("landing zone: %+v (%v)", zone, s.LandingZone.Err)
	}
	if len(zone.Enrolled) != 1 || s.Org.PathName(zone.Enrolled[0]) != "Root/Workloads/Prod" {
		t.Errorf("enrolled: %v", zone.Enrolled)
	}
	if diff := cmp.Diff(map[orgs.AccountID][]string{"200000000001": {"guardduty.amazonaws.com", "member.org.stacksets.cloudformation.amazonaws.com"}}, s.Delegates.Value); diff != "" {
		t.Error(diff)
	}
	if s.account(t, "300000000003").Enter == nil {
		t.Error("data-prod can be entered")
	}
	for id, want := range map[orgs.AccountID][2]Owner{ // ap-northeast-1, us-east-1
		"300000000001": {ControlTower, ControlTower}, "500000000003": {Foreign, Nobody}, "400000000001": {Nobody, Nobody},
	} {
		a := s.account(t, id)
		if len(a.Cells) != 2 { // ap-east-1 is off
			t.Fatalf("%s: %d cells", id, len(a.Cells))
		}
		for i, c := range a.Cells {
			if got := c.Customer().Owner(); got != want[i] {
				t.Errorf("%s %s: %s, want %s", id, c.Region, got, want[i])
			}
		}
	}
	if linked := s.account(t, "400000000001").Cells[1].Recorders.Value; len(linked) != 1 || linked[0].Owner() != ServiceLinked {
		t.Errorf("service-linked: %v", linked)
	}
	denied := s.account(t, "300000000001").Rights.Value.Denied
	if diff := cmp.Diff([]Denial{{Action: "config:StopConfigurationRecorder", Explicit: true, Organization: true}}, denied); diff != "" {
		t.Error(diff)
	}
	if r := s.account(t, "100000000001").Rights; r.Value.Principal != "arn:aws:iam::100000000001:role/OrgAdmin" || len(r.Value.Denied) > 0 {
		t.Errorf("the caller's rights: %+v", r)
	}
}

func TestWhoeverAsksIsSaidWhoTheyAre(t *testing.T) {
	w := world(t)
	s := look(t, w.Config("ap-northeast-1", w.RolePrincipal("200000000001", "OrganizationAccountAccessRole", "x")), Options{Home: "ap-northeast-1", Regions: []string{"us-east-1"}})
	if s.Position != Delegated {
		t.Errorf("position: %s (%v)", s.Position, s.Delegates.Err)
	}
	if s.LandingZone.Asked {
		t.Error("Control Tower was asked by somebody whom it does not answer")
	}
}

func TestOneRefusalHidesNothingElse(t *testing.T) {
	w := world(t)
	w.SetFaults(sim.Faults{Errors: []sim.Fault{
		{Service: "config", Account: "300000000001", Code: "AccessDeniedException"}, {Service: "controltower", Code: "AccessDeniedException"},
		{Service: "iam", Operation: "SimulatePrincipalPolicy", Code: "AccessDenied"},
	}})
	s := look(t, w.ManagementConfig("ap-northeast-1"), Options{Home: "ap-northeast-1", Regions: []string{"us-east-1"}, Caller: []Question{{[]string{"iam:GetRole"}, "*"}}, Role: []Question{{[]string{"iam:GetRole"}, "*"}}})
	if s.LandingZone.Err == nil || s.account(t, "300000000001").Cells[0].Recorders.Err == nil || s.account(t, "400000000001").Rights.Err == nil {
		t.Error("a refusal is not in the survey")
	}
	if !s.account(t, "400000000001").Cells[0].Recorders.Known() || !s.account(t, "300000000001").Regions.Known() {
		t.Error("a refusal hides something else")
	}
}
