package baseline

import (
	"strconv"

	"github.com/orgguard/orgguard/orgs/finding"
)

// MetadataSettings are the settings of imds-v2.
type MetadataSettings struct {
	// HopLimit is how far a token may travel: 1, or 2 for containers. 0 leaves
	// it as it is.
	HopLimit int `yaml:"hop_limit" doc:"how far a token may travel: 1, or 2 for containers; 0 leaves it as it is"`
	// Enforce refuses launches that ask for IMDSv1 themselves.
	Enforce bool `yaml:"enforce" doc:"refuse launches that ask for IMDSv1 themselves"`
}

// Validate reports settings that make no sense.
func (s *MetadataSettings) Validate(report func(key, message string)) {
	if s.HopLimit < 0 || s.HopLimit > 64 {
		report("hop_limit", "want 1 to 64, or 0 to leave it as it is")
	}
}

// imdsV2: new instances answer IMDSv2 only, unless their launch says otherwise. It
// costs nothing and leaves instances alone that exist. It is off by default because
// old software on a new instance may know IMDSv1 only.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-IMDS-new-instances.html
var imdsV2 = Control{
	ID: "imds-v2", Title: "New instances answer IMDSv2 only", Severity: finding.Medium,
	about: About{
		Why:     "With IMDSv1 one forged request of a web server is enough for the credentials of its role.",
		Cost:    "nothing",
		Example: `imds-v2: {hop_limit: 2, enforce: true}`,
	},
	parts:    []part{{unit: "region"}},
	settings: func() any { return &MetadataSettings{} },
	params: func(s any, _ *Baseline) map[string]string {
		m := s.(*MetadataSettings)
		enforced := ""
		if m.Enforce {
			enforced = "enabled"
		}
		return map[string]string{"MetadataHopLimit": strconv.Itoa(m.HopLimit), "MetadataEnforced": enforced}
	},
	Reads:  []string{"ec2:GetInstanceMetadataDefaults"},
	Writes: []string{"ec2:ModifyInstanceMetadataDefaults"},
}
