package baseline

import (
	"slices"

	"github.com/orgguard/orgguard/orgs/finding"
)

// DeliverySettings are the settings of config-delivery.
type DeliverySettings struct {
	// Bucket is the log bucket's name. "" means orgguard-config-<security
	// account>-<home Region>.
	Bucket string `yaml:"bucket" doc:"the log bucket; empty is orgguard-config-<security account>-<home Region>"`
	// Snapshot is how often a snapshot is delivered.
	Snapshot string `yaml:"snapshot" doc:"how often a snapshot is delivered: One_Hour to TwentyFour_Hours"`
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

// configDelivery: what AWS Config records reaches the log bucket.
var configDelivery = Control{
	ID: "config-delivery", Title: "AWS Config delivers to the organization's log bucket", Severity: finding.High,
	Default: true,
	about: About{
		Why:     "A record that stays in its account is lost with the account; the log bucket is out of its reach.",
		Cost:    "storage in S3",
		Example: `config-delivery: {snapshot: Six_Hours}`,
	},
	parts:    []part{{unit: "central"}, {unit: "recorder"}},
	needs:    []string{"config-recorder"}, // AWS refuses a channel without a recorder
	once:     []string{"bucket"},
	settings: func() any { return &DeliverySettings{Snapshot: "TwentyFour_Hours"} },
	params: func(s any, b *Baseline) map[string]string {
		return map[string]string{"SnapshotFrequency": s.(*DeliverySettings).Snapshot}
	},
}
