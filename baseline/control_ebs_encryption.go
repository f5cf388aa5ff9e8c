package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// ebsEncryption: new EBS volumes are encrypted. It costs nothing and leaves volumes
// alone that exist. It is off by default because volumes and snapshots under AWS's
// own key cannot be shared with other accounts, which image pipelines may do.
// https://docs.aws.amazon.com/ebs/latest/userguide/encryption-by-default.html
var ebsEncryption = Control{
	ID: "ebs-encryption", Title: "New EBS volumes are encrypted by default", Severity: finding.Medium,
	about: About{
		Why:     "A volume that nobody thought of encrypting cannot be encrypted later without a copy.",
		Cost:    "nothing with AWS's own key",
		Example: `ebs-encryption: true`,
	},
	parts:  []part{{unit: "region"}},
	Reads:  []string{"ec2:GetEbsEncryptionByDefault"},
	Writes: []string{"ec2:EnableEbsEncryptionByDefault"},
}
