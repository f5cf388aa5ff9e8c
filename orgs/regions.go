package orgs

import (
	"slices"
	"strings"
)

// Partition is a group of AWS Regions with its own ARNs and endpoints.
type Partition struct {
	ID string // as in ARNs: "aws", "aws-cn", "aws-us-gov"
	// GlobalRegion is where events of global services (IAM, sign-in,
	// Organizations) are recorded, and where the Organizations endpoint is.
	GlobalRegion string
	DNSSuffix    string
	// Regions that are on in every account. All other Regions of the
	// partition must be opted into, account by account.
	// https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
	Default []string
	// OptIn are the Regions that an account must enable first.
	OptIn []string
}

// Partitions are the partitions orgguard works in.
var partitions = []Partition{
	{
		ID: "aws", GlobalRegion: "us-east-1", DNSSuffix: "amazonaws.com",
		Default: []string{
			"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
			"ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3",
			"sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
		},
		OptIn: []string{
			"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
			"ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1",
			"me-central-1", "me-south-1", "mx-central-1",
		},
	},
	{ID: "aws-cn", GlobalRegion: "cn-north-1", DNSSuffix: "amazonaws.com.cn", Default: []string{"cn-north-1", "cn-northwest-1"}},
	{ID: "aws-us-gov", GlobalRegion: "us-gov-west-1", DNSSuffix: "amazonaws.com", Default: []string{"us-gov-east-1", "us-gov-west-1"}},
}

// PartitionOf returns the partition of an ARN or a Region; aws when unknown.
func PartitionOf(arnOrRegion string) Partition {
	if rest, ok := strings.CutPrefix(arnOrRegion, "arn:"); ok {
		id, _, _ := strings.Cut(rest, ":")
		for _, p := range partitions {
			if p.ID == id {
				return p
			}
		}
	}
	for _, p := range partitions {
		if p.Has(arnOrRegion) {
			return p
		}
	}
	switch {
	case strings.HasPrefix(arnOrRegion, "cn-"):
		return partitions[1]
	case strings.HasPrefix(arnOrRegion, "us-gov-"):
		return partitions[2]
	}
	return partitions[0]
}

// Has says whether the Region is one of the partition's known Regions.
func (p Partition) Has(region string) bool {
	return slices.Contains(p.Default, region) || slices.Contains(p.OptIn, region)
}

// NeedsOptIn says whether accounts must enable the Region before it can be
// used. A Region too new for this table is treated as one that must be.
func (p Partition) NeedsOptIn(region string) bool { return !slices.Contains(p.Default, region) }

// All returns every Region of the partition that this table knows, sorted.
func (p Partition) All() []string {
	all := slices.Concat(p.Default, p.OptIn)
	slices.Sort(all)
	return all
}

// iamTypesNotRecordable are the Regions, all added after February 2022, where
// AWS Config cannot record the global IAM types.
// https://docs.aws.amazon.com/config/latest/developerguide/select-resources.html
var iamTypesNotRecordable = []string{
	"ap-south-2", "ap-southeast-4", "ap-southeast-5", "ap-southeast-7", "ca-west-1", "eu-south-2", "eu-central-2",
	"il-central-1", "mx-central-1", "me-central-1",
}

// RecordsIAM says whether AWS Config in the Region can record IAM users,
// groups, roles and policies.
func RecordsIAM(region string) bool { return !slices.Contains(iamTypesNotRecordable, region) }
