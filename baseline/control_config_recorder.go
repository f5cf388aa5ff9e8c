package baseline

import (
	"slices"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// RecorderSettings are the settings of config-recorder.
type RecorderSettings struct {
	// Recording is "continuous" or "daily".
	Recording string `yaml:"recording" doc:"continuous or daily"`
	// GlobalTypesRegion also records the global IAM types. "" means the home
	// Region.
	GlobalTypesRegion string `yaml:"global_types_region" doc:"the Region that also records IAM; empty is the home Region"`
	// Existing says what becomes of a recorder that somebody else made:
	// "adopt" brings it in line and keeps its name, "keep" leaves it alone
	// and audits it, "replace" deletes it and makes orgguard's in its place.
	Existing string `yaml:"existing" doc:"a recorder that somebody else made: adopt, keep or replace"`
}

// Validate reports settings that make no sense.
func (s *RecorderSettings) Validate(report func(key, message string)) {
	if good := []string{"continuous", "daily"}; !slices.Contains(good, s.Recording) {
		report("recording", spec.NotOneOf("recording", s.Recording, good))
	}
	if good := []string{"adopt", "keep", "replace"}; !slices.Contains(good, s.Existing) {
		report("existing", spec.NotOneOf("setting", s.Existing, good))
	}
}

// configRecorder: AWS Config records everywhere.
var configRecorder = Control{
	ID: "config-recorder", Title: "AWS Config records every resource type", Severity: finding.High,
	Scope: "every account × Region", Default: true,
	about: About{
		Why:     "What is not recorded cannot be searched, compared or proved later, and every rule of AWS Config needs it.",
		Cost:    "USD 0.003 for each recorded change, or 0.012 for each daily record",
		Example: `config-recorder: {recording: daily}`,
	},
	// The role stays where the recorder is switched off: a recorder outlives its
	// stack, and goes on recording with it.
	parts:    []part{{unit: "roles", stays: true}, {unit: "recorder"}},
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
}
