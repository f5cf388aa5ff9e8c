package baseline

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// Control is one thing that must hold in the organization.
type Control struct {
	ID       string           `json:"id"`
	Title    string           `json:"title"`
	Severity finding.Severity `json:"severity"` // of its drift
	Scope    string           `json:"scope"`    // where it holds, in words
	Default  bool             `json:"default"`  // on when the configuration is silent

	// parts are the units the control contributes to. A part's template is
	// templates/<control>.<unit>.yaml, or for local alerts <unit>-local.
	parts []part
	// needs are the controls without which this one cannot hold.
	needs []string
	// settings returns the control's settings with their defaults, to be
	// decoded into; nil when it takes none.
	settings func() any
	// params turns settings into template parameters.
	params func(settings any, b *Baseline) map[string]string
	// extend adds to a fragment what no template can say; nil for most.
	extend func(f *fragment, b *Baseline)
}

// part is a control's contribution to a unit.
type part struct {
	unit string
	mode spec.AlertMode // "" when the same in both modes
	file string         // variant of the file name: "" or "-local"
}

// RecorderSettings are the settings of config-recorder.
type RecorderSettings struct {
	// Recording is "continuous" or "daily".
	Recording string `yaml:"recording"`
	// GlobalTypesRegion also records the global IAM types. "" means the home
	// Region.
	GlobalTypesRegion string `yaml:"global_types_region"`
	// Existing says what becomes of a recorder that somebody else made:
	// "adopt" brings it in line and keeps its name, "keep" leaves it alone
	// and audits it.
	Existing string `yaml:"existing"`
}

// Validate reports settings that make no sense.
func (s *RecorderSettings) Validate(report func(key, message string)) {
	if good := []string{"continuous", "daily"}; !slices.Contains(good, s.Recording) {
		report("recording", spec.NotOneOf("recording", s.Recording, good))
	}
	if good := []string{"adopt", "keep"}; !slices.Contains(good, s.Existing) {
		report("existing", spec.NotOneOf("setting", s.Existing, good))
	}
}

// DeliverySettings are the settings of config-delivery.
type DeliverySettings struct {
	// Bucket is the log bucket's name. "" means orgguard-config-<security
	// account>-<home Region>.
	Bucket string `yaml:"bucket"`
	// Snapshot is how often a snapshot is delivered.
	Snapshot string `yaml:"snapshot"`
}

var snapshotFrequencies = []string{"One_Hour", "Three_Hours", "Six_Hours", "Twelve_Hours", "TwentyFour_Hours"}

// Validate reports settings that make no sense.
func (s *DeliverySettings) Validate(report func(key, message string)) {
	if !slices.Contains(snapshotFrequencies, s.Snapshot) {
		report("snapshot", "want One_Hour, Three_Hours, Six_Hours, Twelve_Hours or TwentyFour_Hours")
	}
	if s.Bucket != "" && (len(s.Bucket) < 3 || len(s.Bucket) > 63) {
		report("bucket", "a bucket's name has 3 to 63 characters")
	}
}

// controls is every control of this package, in the order of reports that are
// not sorted by account.
var controls = []Control{
	{
		ID: "config-recorder", Title: "AWS Config records every resource type", Severity: finding.High,
		Scope: "every account × Region", Default: true,
		parts:    []part{{unit: "roles"}, {unit: "recorder"}},
		needs:    []string{"config-delivery"}, // a recorder without a channel cannot be started
		settings: func() any { return &RecorderSettings{Recording: "continuous", Existing: "adopt"} },
		params: func(s any, b *Baseline) map[string]string {
			r := s.(*RecorderSettings)
			frequency := map[string]string{"continuous": "CONTINUOUS", "daily": "DAILY"}[r.Recording]
			region := r.GlobalTypesRegion
			if region == "" {
				region = b.Home
			}
			return map[string]string{"RecordingFrequency": frequency, "GlobalTypesRegion": region}
		},
	},
	{
		ID: "config-delivery", Title: "AWS Config delivers to the organization's log bucket", Severity: finding.High,
		Scope: "every account × Region, and the log bucket in the security account", Default: true,
		parts:    []part{{unit: "central"}, {unit: "recorder"}},
		needs:    []string{"config-recorder"}, // AWS refuses a channel without a recorder
		settings: func() any { return &DeliverySettings{Snapshot: "TwentyFour_Hours"} },
		params: func(s any, b *Baseline) map[string]string {
			return map[string]string{"SnapshotFrequency": s.(*DeliverySettings).Snapshot}
		},
	},
	{
		ID: "alert-topic", Title: "Alerts have a way to people", Severity: finding.High,
		Scope: "the security account (central alerts) or every account × Region (local alerts)", Default: true,
		parts: []part{
			{unit: "central", mode: spec.Central}, {unit: "management", mode: spec.Central}, {unit: "roles", mode: spec.Central},
			{unit: "topic", mode: spec.Local},
		},
		extend: subscribe,
	},
	{
		ID: "config-change-alert", Title: "Somebody is told when AWS Config itself is changed", Severity: finding.High,
		Scope: "every account × Region", Default: true,
		needs: []string{"alert-topic"},
		parts: []part{{unit: "central", mode: spec.Central}, {unit: "alerts", mode: spec.Central}, {unit: "alerts", mode: spec.Local, file: "-local"}},
	},
	{
		ID: "root-signin-alert", Title: "Somebody is told when a root user signs in", Severity: finding.High,
		Scope: "every account, in the partition's global Region", Default: true,
		needs: []string{"alert-topic"},
		parts: []part{{unit: "central", mode: spec.Central}, {unit: "signin", mode: spec.Central}, {unit: "signin", mode: spec.Local, file: "-local"}},
	},
}

// Controls returns what this package's controls are, without what they do.
func Controls() []Control { return slices.Clone(controls) }

// Known tells the configuration what it may say about controls.
func Known() spec.Known {
	k := spec.Known{Settings: func(id string) any {
		i := slices.IndexFunc(controls, func(c Control) bool { return c.ID == id })
		if i < 0 || controls[i].settings == nil {
			return nil
		}
		return controls[i].settings()
	}}
	for _, c := range controls {
		k.Controls = append(k.Controls, c.ID)
	}
	return k
}

// subscribe adds a subscription for each mail address: CloudFormation templates
// have no loops.
func subscribe(f *fragment, b *Baseline) {
	resources := get(f.root, "Resources")
	if resources == nil || get(resources, "AlertTopic") == nil {
		return
	}
	text := func(tag, v string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v} }
	for i, address := range b.Config.Alerts.Email {
		props := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		set(props, "TopicArn", text("!Ref", "AlertTopic"))
		set(props, "Protocol", text("!!str", "email"))
		set(props, "Endpoint", text("!!str", address))
		body := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		set(body, "Type", text("!!str", "AWS::SNS::Subscription"))
		set(body, "Properties", props)
		set(resources, "EmailSubscription"+string(rune('A'+i%26))+suffix(i/26), body)
	}
}

// suffix keeps logical ids apart when there are more than 26 addresses.
func suffix(n int) string {
	if n == 0 {
		return ""
	}
	return string(rune('A' + (n-1)%26))
}
