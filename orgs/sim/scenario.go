package sim

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/goccy/go-yaml"

	"github.com/orgguard/orgguard/scp"
)

//go:embed scenarios/*.yaml
var scenarioFiles embed.FS

// Spec describes an organization to simulate. Its YAML is what the files in
// scenarios/ hold and what `sandbox create --spec` reads; unknown keys are
// errors.
type Spec struct {
	Description string `yaml:"description"`
	Partition   string `yaml:"partition"` // "aws" unless given
	// Seed decides every identifier that is not given.
	Seed         string           `yaml:"seed"`
	Organization OrganizationSpec `yaml:"organization"`
	Management   AccountSpec      `yaml:"management"`
	// Regions the organization works in: those of them that need opting in
	// are on in every account.
	Regions  []string      `yaml:"regions"`
	Accounts []AccountSpec `yaml:"accounts"` // directly under the root
	OUs      []OUSpec      `yaml:"ous"`
	Policies []PolicySpec  `yaml:"policies"`
	// DelegatedAdministrators have trusted access enabled for their services.
	DelegatedAdministrators []DelegateSpec `yaml:"delegated_administrators"`
	// Aggregators are AWS Config's, of the whole organization.
	Aggregators []AggregatorSpec `yaml:"aggregators"`
	// TrailLogging says whether an organization trail is logging.
	TrailLogging bool `yaml:"trail_logging"`
	// ControlTower is the organization's landing zone, if it has one.
	ControlTower *LandingZoneSpec `yaml:"control_tower"`
}

// OrganizationSpec is the organization itself.
type OrganizationSpec struct {
	ID            string   `yaml:"id"`             // "o-" and 10 to 32 characters
	RootID        string   `yaml:"root_id"`        // "r-" and 4 to 32 characters
	FeatureSet    string   `yaml:"feature_set"`    // "ALL" unless given, or "CONSOLIDATED_BILLING"
	PolicyTypes   []string `yaml:"policy_types"`   // that are enabled
	TrustedAccess []string `yaml:"trusted_access"` // service principals
	NoPaths       bool     `yaml:"no_paths"`       // the API of before March 2026
	StatusOnly    bool     `yaml:"status_only"`    // the API of before September 2025
}

// OUSpec is an OU with what is in it.
type OUSpec struct {
	Name     string            `yaml:"name"`
	Tags     map[string]string `yaml:"tags"`
	Accounts []AccountSpec     `yaml:"accounts"`
	OUs      []OUSpec          `yaml:"ous"`
}

// AccountSpec is an account.
type AccountSpec struct {
	ID    string `yaml:"id"` // 12 digits; made up unless given
	Name  string `yaml:"name"`
	Email string `yaml:"email"` // made of the name unless given
	State string `yaml:"state"` // "ACTIVE" unless given
	// Invited accounts joined by invitation; the others were created.
	Invited bool `yaml:"invited"`
	// AccessRole says what became of OrganizationAccountAccessRole: "" for
	// as it was created, "missing", or "foreign" when it trusts an account
	// outside the organization instead.
	AccessRole string            `yaml:"access_role"`
	Roles      []RoleSpec        `yaml:"roles"`
	Regions    []string          `yaml:"regions"` // opt-in Regions that are on
	Tags       map[string]string `yaml:"tags"`
	Recorders  []RecorderSpec    `yaml:"recorders"`
}

// RoleSpec is a further role with administrator rights.
type RoleSpec struct {
	Name       string `yaml:"name"`
	Path       string `yaml:"path"`
	Trusts     string `yaml:"trusts"` // account id; the account itself unless given
	ExternalID string `yaml:"external_id"`
}

// RecorderSpec is a configuration recorder that was there before, with its
// delivery channel and bucket.
type RecorderSpec struct {
	Region    string `yaml:"region"`
	Name      string `yaml:"name"`
	Channel   string `yaml:"channel"` // the delivery channel's name; the recorder's unless given
	Recording bool   `yaml:"recording"`
	// Types are the resource types it records; none for all of them.
	Types []string `yaml:"types"`
	// GlobalTypes has it record IAM's types too.
	GlobalTypes bool `yaml:"global_types"`
}

// PolicySpec is an organization policy.
type PolicySpec struct {
	Name        string            `yaml:"name"`
	Type        string            `yaml:"type"` // SERVICE_CONTROL_POLICY unless given
	Description string            `yaml:"description"`
	Content     string            `yaml:"content"` // JSON
	Tags        map[string]string `yaml:"tags"`
	// Attach names targets: "root", an OU by its path from the root
	// ("Workloads/Prod"), or an account by name or id.
	Attach []string `yaml:"attach"`
}

// DelegateSpec makes an account a delegated administrator.
type DelegateSpec struct {
	Account  string   `yaml:"account"` // name or id
	Services []string `yaml:"services"`
}

// AggregatorSpec is an organization aggregator of AWS Config. Its account is the
// management account or a delegated administrator for config.amazonaws.com.
type AggregatorSpec struct {
	Account string   `yaml:"account"` // name or id
	Region  string   `yaml:"region"`
	Name    string   `yaml:"name"`
	Regions []string `yaml:"regions"` // that it collects from; all unless given
}

// ParseSpec reads a specification. The error shows the place in the file.
func ParseSpec(src []byte) (Spec, error) {
	var s Spec
	if err := yaml.NewDecoder(bytes.NewReader(src), yaml.Strict()).Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return Spec{}, err
	}
	return s, nil
}

// Scenario returns an embedded specification by name.
func Scenario(name string) (Spec, error) {
	src, err := scenarioFiles.ReadFile("scenarios/" + name + ".yaml")
	if err != nil {
		return Spec{}, fmt.Errorf("unknown scenario %q; there are %s", name, strings.Join(Scenarios(), ", "))
	}
	s, err := ParseSpec(src)
	if err != nil {
		return Spec{}, fmt.Errorf("scenario %s: %w", name, err)
	}
	return s, nil
}

// Scenarios returns the names of the embedded specifications, sorted.
func Scenarios() []string {
	entries, err := scenarioFiles.ReadDir("scenarios")
	if err != nil {
		return nil // the folder is part of the program
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(path.Base(e.Name()), ".yaml"))
	}
	return out
}

// Generate describes an organization of any size, for benchmarks and for
// finding out what breaks first: the accounts are spread over the OUs, and the
// OUs are nested up to AWS's limit of five. More than 17 Regions include
// Regions that need opting in.
func Generate(accounts, ous, regions int) Spec {
	s := Spec{
		Description:  fmt.Sprintf("%d accounts in %d OUs, %d Regions", accounts, ous, regions),
		Seed:         fmt.Sprintf("generated-%d-%d-%d", accounts, ous, regions),
		Management:   AccountSpec{ID: "100000000000", Name: "management", Email: "management@example.com"},
		TrailLogging: true,
	}
	all := regionsOf("aws")
	s.Regions = all[:max(1, min(regions, len(all)))]

	// OU i lies in OU (i-1)/fan, which makes a tree that is as broad as it must be.
	fan := 3
	for depthOf(ous, fan) > maxUnitDepth {
		fan++
	}
	units := make([]OUSpec, ous)
	for i := range units {
		units[i].Name = fmt.Sprintf("ou-%04d", i)
	}
	for i := 1; i < accounts; i++ {
		a := AccountSpec{ID: fmt.Sprintf("2%011d", i), Name: fmt.Sprintf("account-%05d", i), Email: fmt.Sprintf("account-%05d@example.com", i)}
		if ous == 0 {
			s.Accounts = append(s.Accounts, a)
		} else {
			units[i%ous].Accounts = append(units[i%ous].Accounts, a)
		}
	}
	for i := ous - 1; i >= 0; i-- {
		if i < fan {
			s.OUs = append([]OUSpec{units[i]}, s.OUs...)
		} else {
			parent := i/fan - 1
			units[parent].OUs = append([]OUSpec{units[i]}, units[parent].OUs...)
		}
	}
	return s
}

// depthOf is how deep Generate's tree is: OUs 0 to fan-1 are under the root,
// and OU i has the OUs fan*(i+1) to fan*(i+1)+fan-1.
func depthOf(ous, fan int) int {
	depth := 0
	for i := ous - 1; i >= 0; i = i/fan - 1 {
		depth++
	}
	return depth
}

// specTime is when everything a specification describes was set up: a fixed
// time, so that the same specification always gives the same world.
var specTime = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// New makes a world in memory.
func New(s Spec) (*World, error) {
	if problems := s.problems(); len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	s.Accounts, s.OUs = slices.Clone(s.Accounts), cloneOUs(s.OUs) // building gives ids to those without
	b := &specBuilder{spec: &s, now: specTime, names: map[string]string{}}
	if err := b.build(); err != nil {
		return nil, err
	}
	return b.w, nil
}

func cloneOUs(ous []OUSpec) []OUSpec {
	out := slices.Clone(ous)
	for i := range out {
		out[i].Accounts, out[i].OUs = slices.Clone(out[i].Accounts), cloneOUs(out[i].OUs)
	}
	return out
}

// problems checks what can be checked without building.
func (s *Spec) problems() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	partition := cmp.Or(s.Partition, "aws")
	known := partitionRegions[partition]
	if known == nil {
		bad("partition %q is unknown; use %s", s.Partition, strings.Join(slices.Sorted(maps.Keys(partitionRegions)), ", "))
	}
	checkRegion := func(what, region string) {
		if _, ok := known[region]; known != nil && !ok {
			bad("%s: unknown region %q in partition %s", what, region, partition)
		}
	}
	for _, r := range s.Regions {
		checkRegion("regions", r)
	}
	if s.Management.Name == "" {
		bad("management: an organization has a management account; give its name")
	}
	ids := map[string]string{}
	s.eachAccount(func(a *AccountSpec) {
		what := fmt.Sprintf("account %q", a.Name)
		if a.Name == "" {
			bad("account %s has no name", a.ID)
		}
		if a.ID != "" {
			if len(a.ID) != 12 || strings.Trim(a.ID, "0123456789") != "" {
				bad("%s: id %q is not 12 digits", what, a.ID)
			}
			if other, ok := ids[a.ID]; ok {
				bad("%s: id %s is that of account %q", what, a.ID, other)
			}
			ids[a.ID] = a.Name
		}
		if a.State != "" && !slices.Contains(types.AccountState("").Values(), types.AccountState(a.State)) {
			bad("%s: unknown state %q; use ACTIVE, SUSPENDED, PENDING_CLOSURE, PENDING_ACTIVATION or CLOSED", what, a.State)
		}
		if !slices.Contains([]string{"", "missing", "foreign"}, a.AccessRole) {
			bad("%s: unknown access_role %q; use missing or foreign", what, a.AccessRole)
		}
		for _, r := range a.Regions {
			checkRegion(what, r)
		}
		for _, r := range a.Recorders {
			checkRegion(what+" recorder", r.Region)
		}
	})
	for _, t := range s.Organization.PolicyTypes {
		if !knownPolicyType(types.PolicyType(t)) {
			bad("organization: unknown policy type %q", t)
		}
	}
	if f := s.Organization.FeatureSet; f != "" && !slices.Contains(types.OrganizationFeatureSet("").Values(), types.OrganizationFeatureSet(f)) {
		bad("organization: unknown feature_set %q; use ALL or CONSOLIDATED_BILLING", f)
	}
	for _, p := range s.Policies {
		t := types.PolicyType(cmp.Or(p.Type, string(types.PolicyTypeServiceControlPolicy)))
		if !knownPolicyType(t) {
			bad("policy %q: unknown type %q", p.Name, p.Type)
			continue
		}
		if t == types.PolicyTypeServiceControlPolicy {
			if _, err := scp.Parse(p.Name, []byte(p.Content)); err != nil {
				bad("policy %q: %w", p.Name, err)
			}
		}
	}
	return errs
}

// eachAccount calls f for every account, the management account first.
func (s *Spec) eachAccount(f func(*AccountSpec)) {
	f(&s.Management)
	for i := range s.Accounts {
		f(&s.Accounts[i])
	}
	var walk func([]OUSpec)
	walk = func(ous []OUSpec) {
		for i := range ous {
			for j := range ous[i].Accounts {
				f(&ous[i].Accounts[j])
			}
			walk(ous[i].OUs)
		}
	}
	walk(s.OUs)
}
