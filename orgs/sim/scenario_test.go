package sim

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/google/go-cmp/cmp"
)

func TestEveryScenarioMakesTheSameWorldTwice(t *testing.T) {
	if diff := cmp.Diff([]string{"demo", "empty", "hostile"}, Scenarios()); diff != "" {
		t.Error(diff)
	}
	for _, name := range Scenarios() {
		first, second := stateText(t, newTestWorld(t, name)), stateText(t, newTestWorld(t, name))
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestTheDemo(t *testing.T) {
	w := newTestWorld(t, "demo")
	if n := len(w.state.Org.Accounts); n != 14 {
		t.Errorf("%d accounts", n)
	}
	if w.Writes() != 0 || len(w.Calls()) != 0 {
		t.Errorf("%d writes and calls %v before anybody came", w.Writes(), w.Calls())
	}
	out, err := configservice.NewFromConfig(w.Config("ap-northeast-1", w.RolePrincipal(legacyLab, "Admin", "alice"))).
		DescribeConfigurationRecorderStatus(t.Context(), &configservice.DescribeConfigurationRecorderStatusInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.ConfigurationRecordersStatus) != 1 || aws.ToString(out.ConfigurationRecordersStatus[0].Name) != "legacy-recorder" || !out.ConfigurationRecordersStatus[0].Recording {
		t.Errorf("the old recorder: %v", out.ConfigurationRecordersStatus)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.trustedAccess("member.org.stacksets.cloudformation.amazonaws.com") || w.state.Org.Types != nil || len(w.loggingTrails(w.state.Org.ManagementAccount, "eu-west-1")) == 0 {
		t.Error("the rollout has nothing left to enable")
	}
	if got := w.accountInState("900000000001"); got != "SUSPENDED" {
		t.Errorf("old-project is %s", got)
	}
}

func TestGenerate(t *testing.T) {
	tests := map[string]struct{ accounts, ous, regions int }{
		"one account": {1, 0, 1},
		"no OUs":      {30, 0, 2},
		"one OU":      {5, 1, 17},
		"a deep tree": {100, 60, 20},
		"more OUs than a tree of threes has room for": {2000, 1500, 34},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := Generate(tt.accounts, tt.ous, tt.regions)
			w, err := New(s)
			if err != nil {
				t.Fatal(err)
			}
			o := &w.state.Org
			if len(o.Accounts) != tt.accounts || len(o.Units) != tt.ous || len(s.Regions) != tt.regions {
				t.Errorf("%d accounts, %d OUs, %d Regions", len(o.Accounts), len(o.Units), len(s.Regions))
			}
			for id := range o.Units {
				if depth := len(w.orgPath(id)); depth > maxUnitDepth {
					t.Fatalf("OU %s is %d deep", id, depth)
				}
			}
			for _, r := range s.Regions {
				if got := w.regionStatus(o.ManagementAccount, r); got == regionDisabled || got == regionUnknown {
					t.Errorf("%s is %q", r, got)
				}
			}
		})
	}
}

func TestSpecificationsWithMistakes(t *testing.T) {
	const head = "management: {name: m}\n"
	tests := map[string]struct{ yaml, want string }{
		"an unknown key":                 {head + "acounts: []\n", `unknown field "acounts"`},
		"no management account":          {"seed: x\n", "an organization has a management account"},
		"a bad account id":               {head + "accounts: [{name: a, id: '12'}]\n", `account "a": id "12" is not 12 digits`},
		"an id twice":                    {head + "accounts: [{name: a, id: '111111111111'}, {name: b, id: '111111111111'}]\n", `id 111111111111 is that of account "a"`},
		"an unknown state":               {head + "accounts: [{name: a, state: GONE}]\n", `unknown state "GONE"`},
		"an unknown Region":              {head + "regions: [mars-1]\n", `unknown region "mars-1" in partition aws`},
		"an unknown partition":           {head + "partition: aws-mars\n", `partition "aws-mars" is unknown`},
		"a policy that is none":          {head + "policies: [{name: p, content: '{}'}]\n", `policy "p"`},
		"a target that is none":          {head + "organization: {policy_types: [SERVICE_CONTROL_POLICY]}\npolicies: [{name: p, attach: [Nowhere], content: '" + testDenyStop + "'}]\n", `there is no OU or account "Nowhere"`},
		"a policy of a type that is off": {head + "policies: [{name: p, attach: [root], content: '" + testDenyStop + "'}]\n", "policy type SERVICE_CONTROL_POLICY is not enabled"},
		"an ambiguous account":           {head + "accounts: [{name: a}, {name: a}]\ndelegated_administrators: [{account: a, services: [config.amazonaws.com]}]\n", `several accounts are called "a"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := ParseSpec([]byte(tt.yaml))
			if err == nil {
				_, err = New(s)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	_, err := Scenario("nope")
	if err == nil || !strings.Contains(err.Error(), "demo, empty, hostile") {
		t.Errorf("an unknown scenario: %v", err)
	}
}
