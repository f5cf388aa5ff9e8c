package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// s3PublicAccess: no bucket of an account can be opened to the public, whatever its
// own settings say. It costs nothing. It is off by default because it takes a public
// website that is served from a bucket off the air.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/configuring-block-public-access-account.html
var s3PublicAccess = Control{
	ID: "s3-public-access", Title: "S3 blocks public access for the whole account", Severity: finding.High,
	about: About{
		Why:     "One wrong bucket policy makes data public; this outweighs every one of them.",
		Cost:    "nothing",
		Example: `s3-public-access: true`,
	},
	parts:  []part{{unit: "account"}},
	Reads:  []string{"s3:GetAccountPublicAccessBlock"},
	Writes: []string{"s3:PutAccountPublicAccessBlock"},
}
