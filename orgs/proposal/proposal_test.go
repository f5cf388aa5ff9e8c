package proposal

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/orgs/survey"
)

func known[T any](v T) survey.Answer[T] { return survey.Answer[T]{Value: v, Asked: true} }

// found is an organization with four accounts in which nothing special is.
func found() *survey.Survey {
	org := orgs.New("o-test", "100000000000", orgs.PartitionOf("us-east-1"),
		[]orgs.OU{{ID: "r-1", Name: "Root"}, {ID: "ou-1", Name: "Prod", Parent: "r-1"}, {ID: "ou-2", Name: "Core", Parent: "r-1"}},
		[]orgs.Account{
			{ID: "100000000000", Name: "management", State: orgs.StateActive, Parent: "r-1"}, {ID: "200000000000", Name: "shop", State: orgs.StateActive, Parent: "ou-1"},
			{ID: "300000000000", Name: "core", State: orgs.StateActive, Parent: "ou-2"}, {ID: "400000000000", Name: "Logs", State: orgs.StateActive, Parent: "ou-2"},
		})
	s := &survey.Survey{Org: org, Position: survey.Management, Delegates: known(map[orgs.AccountID][]string{}), LandingZone: known[*survey.LandingZone](nil), Trails: known([]survey.Trail(nil))}
	for _, a := range org.Accounts {
		s.Accounts = append(s.Accounts, survey.Account{Account: a, Regions: known([]string{"eu-west-1", "us-east-1"})})
	}
	return s
}

func recorder(s *survey.Survey, i int, region, name string) {
	s.Accounts[i].Cells = append(s.Accounts[i].Cells, survey.Cell{Region: region, Recorders: known([]survey.Recorder{{Name: name}}), Channel: known(name)})
}

func TestWhatIsProposed(t *testing.T) {
	for _, tc := range []struct {
		name    string
		change  func(*survey.Survey, *Given)
		regions []string
		home    string
		account orgs.AccountID
		waves   []string
		says    string
	}{
		{"nothing to go by", func(*survey.Survey, *Given) {}, []string{"us-east-1"}, "us-east-1", "", nil, "Left to the management account"},
		{"recorders tell the Regions, and the most of them the home", func(s *survey.Survey, _ *Given) {
			recorder(s, 1, "eu-west-1", "default")
			recorder(s, 2, "eu-west-1", "default")
			recorder(s, 2, "eu-west-3", "default")
		}, []string{"eu-west-1", "eu-west-3", "us-east-1"}, "eu-west-1", "", nil, `200000000000 "shop" has recorder "default" in eu-west-1.`},
		{"service-linked recorders tell nothing", func(s *survey.Survey, _ *Given) {
			s.Accounts[1].Cells = []survey.Cell{{Region: "eu-west-1", Recorders: known([]survey.Recorder{{Name: "x", Service: "x.amazonaws.com"}}), Channel: known("")}}
		}, []string{"us-east-1"}, "us-east-1", "", nil, "No recorder of anybody else was found."},
		{"the AWS configuration's Region", func(_ *survey.Survey, g *Given) { g.Fallback = "eu-north-1" }, []string{"eu-north-1", "us-east-1"}, "eu-north-1", "", nil, "the Region of the AWS configuration"},
		{"what was asked for wins", func(s *survey.Survey, g *Given) {
			g.Fallback, g.Home = "eu-north-1", "ap-northeast-1"
			recorder(s, 1, "eu-west-1", "default")
		}, []string{"ap-northeast-1", "eu-west-1", "us-east-1"}, "ap-northeast-1", "", nil, "as asked for"},
		{"Control Tower knows most", func(s *survey.Survey, _ *Given) {
			s.LandingZone = known(&survey.LandingZone{Home: "eu-west-1", Version: "3.3", Regions: []string{"eu-west-1", "eu-west-2"}, Audit: "300000000000"})
			recorder(s, 1, "eu-west-1", "aws-controltower-BaselineConfigRecorder")
		}, []string{"eu-west-1", "eu-west-2", "us-east-1"}, "eu-west-1", "300000000000", nil, "its own recorder in 1 accounts"},
		{"a delegated administrator is the security account", func(s *survey.Survey, _ *Given) {
			s.Accounts[3].Name = "security"
			s.Delegates = known(map[orgs.AccountID][]string{"300000000000": {"guardduty.amazonaws.com"}})
		}, []string{"us-east-1"}, "us-east-1", "300000000000", nil, "delegated administrator for guardduty.amazonaws.com"},
		{"a name tells, if nothing else does", func(s *survey.Survey, _ *Given) { s.Accounts[3].Name = "Acme-Audit" }, []string{"us-east-1"}, "us-east-1", "400000000000", nil, `it is called "Acme-Audit"`},
		{"an account that cannot be entered is not the security account", func(s *survey.Survey, _ *Given) {
			s.Accounts[3].Name, s.Accounts[3].Enter = "security", errors.New("no such role")
		}, []string{"us-east-1"}, "us-east-1", "", nil, `exclude: [{account: "400000000000", reason: "…"}]`},
		{"an OU for trials is the canary", func(s *survey.Survey, _ *Given) {
			s.Org.OUs["ou-2"] = orgs.OU{ID: "ou-2", Name: "Sandbox", Parent: "r-1"}
		}, []string{"us-east-1"}, "us-east-1", "", []string{"Root/Sandbox", "root"}, `"Root/Sandbox" with 2 accounts goes first`},
		{"an OU whose name cannot stand in a file goes by its id", func(s *survey.Survey, _ *Given) {
			s.Org.OUs["ou-2"] = orgs.OU{ID: "ou-2", Name: "Sandbox\x1b[2J", Parent: "r-1"}
		}, []string{"us-east-1"}, "us-east-1", "", []string{"ou-2", "root"}, "goes first"},
		{"an empty OU is no canary", func(s *survey.Survey, _ *Given) {
			s.Org.OUs["ou-3"] = orgs.OU{ID: "ou-3", Name: "Sandbox", Parent: "r-1"}
		}, []string{"us-east-1"}, "us-east-1", "", nil, "All at once"},
		{"a trail of the organization", func(s *survey.Survey, _ *Given) {
			s.Trails = known([]survey.Trail{{Name: "all", Home: "eu-west-1"}})
		}, []string{"us-east-1"}, "us-east-1", "", nil, `"all" of eu-west-1 logs`},
		{"hostile names stay in their comments", func(s *survey.Survey, _ *Given) {
			s.Accounts[1].Name = "x\nregions: [mars-1]\n# \u202e" + strings.Repeat("a b", 200)
			s.Accounts[1].Enter = errors.New("line\nversion: 2")
			s.Accounts[2].Name = "\"}]\nversion: 3"
			recorder(s, 2, "us-east-1", "default\n- x: y")
		}, []string{"us-east-1"}, "us-east-1", "", nil, "could not be entered"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, g := found(), Given{AccessRole: "OrganizationAccountAccessRole"}
			tc.change(s, &g)
			text := Propose(s, g).YAML()
			cfg, err := spec.Parse("proposal.yaml", text, spec.Known{})
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if diff := cmp.Diff(tc.regions, cfg.Regions.List); diff != "" {
				t.Error(diff)
			}
			if cfg.HomeRegion != tc.home || cfg.SecurityAccount != string(tc.account) {
				t.Errorf("home %s, security %s", cfg.HomeRegion, cfg.SecurityAccount)
			}
			var waves []string
			for _, w := range cfg.Rollout.Waves {
				waves = append(waves, w...)
			}
			if diff := cmp.Diff(tc.waves, waves); diff != "" {
				t.Error(diff)
			}
			flat := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "#", " ")), " ")
			if !strings.Contains(flat, tc.says) {
				t.Errorf("it does not say %q:\n%s", tc.says, text)
			}
			for i, line := range strings.Split(string(text), "\n") {
				if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x202e }) {
					t.Errorf("line %d has control characters: %q", i+1, line)
				}
			}
		})
	}
}
