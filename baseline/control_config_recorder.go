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
	// Role is "orgguard", a role of its own, or "service-linked", AWS Config's.
	Role string `yaml:"role" doc:"what AWS Config records with: orgguard (a role of its own) or service-linked (AWS Config's, as Security Hub's Config.1 wants it)"`
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
	if good := []string{ownRole, linkedRole}; !slices.Contains(good, s.Role) {
		report("role", spec.NotOneOf("role", s.Role, good))
	}
	if good := []string{"adopt", "keep", "replace"}; !slices.Contains(good, s.Existing) {
		report("existing", spec.NotOneOf("setting", s.Existing, good))
	}
}

// The roles that a recorder may have. Security Hub's Config.1 calls any but the
// service-linked one a critical finding, in every account and Region, unless the newer
// Security Hub is on too. It is not the default: a recorder of an account that
// auto-deployment reaches before a rollout does would find no such role.
// https://docs.aws.amazon.com/securityhub/latest/userguide/config-controls.html#config-1
const (
	ownRole    = "orgguard"
	linkedRole = "service-linked"
)

// configRecorder: AWS Config records everywhere.
var configRecorder = Control{
	ID: "config-recorder", Title: "AWS Config records every resource type", Severity: finding.High,
	Default: true,
	about: About{
		Why:     "What is not recorded cannot be searched, compared or proved later, and every rule of AWS Config needs it.",
		Cost:    "USD 0.003 for each recorded change, or 0.012 for each daily record",
		Example: `config-recorder: {recording: daily}`,
	},
	// orgguard's role stays where the recorder is switched off: a recorder outlives its
	// stack, and goes on recording with it.
	parts:    []part{{unit: "roles", stays: true}, {unit: "linked-role"}, {unit: "recorder"}},
	needs:    []string{"config-delivery"}, // a recorder without a channel cannot be started
	settings: func() any { return &RecorderSettings{Recording: "continuous", Role: ownRole, Existing: "adopt"} },
	params: func(s any, b *Baseline) map[string]string {
		r := s.(*RecorderSettings)
		frequency := map[string]string{"continuous": "CONTINUOUS", "daily": "DAILY"}[r.Recording]
		region := r.GlobalTypesRegion
		if region == "" {
			region = b.Home
		}
		return map[string]string{"RecordingFrequency": frequency, "GlobalTypesRegion": region, "RecorderRoleChoice": r.Role}
	},
	more: func(s any) (a actions) {
		r := s.(*RecorderSettings)
		if r.Existing == "replace" {
			a.writes, a.undoes = slices.Clone(replaceActions), replaceActions
		}
		if r.Role == linkedRole {
			a.writes = append(a.writes, "iam:CreateServiceLinkedRole")
		}
		return a
	},
}

// noteRecorderRole says what Security Hub makes of recorders with a role of their own.
func (b *Baseline) noteRecorderRole() {
	s, ok := b.settings[configRecorder.ID].(*RecorderSettings)
	if on := b.Controls(); !ok || s.Role != ownRole || !slices.Contains(on, securityHubControl.ID) || slices.Contains(on, hubPolicyControl.ID) {
		return
	}
	b.Notes = append(b.Notes, "Security Hub's Config.1 is a critical finding in every account × Region whose recorder has another role than AWS Config's own: config-recorder: {role: service-linked} gives it that one")
}
