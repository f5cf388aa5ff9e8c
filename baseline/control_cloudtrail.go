package baseline

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// TrailSettings are the settings of cloudtrail.
type TrailSettings struct {
	Existing string `yaml:"existing" doc:"an organization trail that somebody else made: adopt brings it in line, keep only audits it; there is never a second one"`
	Account  string `yaml:"account" doc:"where the trail is made: management, or security, which becomes a delegated administrator of CloudTrail if it is none; other ones stay"`
	Region   string `yaml:"region" doc:"the trail's home Region; empty is the home Region, and of a trail to adopt it is that trail's"`
	Bucket   string `yaml:"bucket" doc:"the trail's bucket; empty is orgguard-trail-<security account>-<home Region>"`
	LogGroup string `yaml:"log_group" doc:"the log group that a trail to adopt delivers to; orgguard-trail is orgguard's own"`
	LogDays  int    `yaml:"log_days" doc:"for how many days orgguard's own log group keeps events; the bucket keeps them for good"`
	// EncryptLogs is for those who are held to it, by AWS Config's rule
	// cloudwatch-log-group-encrypted for one.
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
	EncryptLogs bool `yaml:"encrypt_logs" doc:"a KMS key for orgguard's own log group, USD 1 a month, where CloudWatch Logs' own is not enough; switched off again the key goes, and with it what the group holds: the bucket has all of it"`
}

// The choices.
var (
	existingTrail = []string{"adopt", "keep"}
	trailAccounts = []string{"management", "security"}
	// logDays are those that CloudWatch Logs takes.
	// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
	logDays = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

	logGroupName = orgs.NewPattern(`^[.\-_/#A-Za-z0-9]{1,512}$`)
)

// Validate reports settings that make no sense.
func (s *TrailSettings) Validate(report func(key, message string)) {
	if !slices.Contains(existingTrail, s.Existing) {
		report("existing", spec.NotOneOf("existing", s.Existing, existingTrail))
	}
	if !slices.Contains(trailAccounts, s.Account) {
		report("account", spec.NotOneOf("account", s.Account, trailAccounts))
	}
	if s.Bucket != "" && (len(s.Bucket) < 3 || len(s.Bucket) > 63) {
		report("bucket", "a bucket's name has 3 to 63 characters")
	}
	if s.EncryptLogs && s.LogGroup != ownLogGroup {
		report("encrypt_logs", "it is for orgguard's own log group, and log_group names another one")
	}
	if !logGroupName.MatchString(s.LogGroup) {
		report("log_group", "a log group's name has 1 to 512 letters, digits and any of . - _ / #")
	}
	if !slices.Contains(logDays, s.LogDays) {
		report("log_days", "want one of "+joinAnd(mapped(logDays, strconv.Itoa)))
	}
}

func mapped[A, B any](list []A, f func(A) B) []B {
	out := make([]B, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}

// ownTrail is the name of the trail that orgguard makes, ownLogGroup that of its log
// group.
const (
	ownTrail    = "orgguard"
	ownLogGroup = "orgguard-trail"
)

// cloudtrail: every call in the organization is recorded, where no member account can
// get at it. It is off by default: it costs, and whether there is a trail is decided
// for the organization. An organization trail that exists is adopted whatever it is
// called: the second copy of management events is what CloudTrail charges for.
//
// The bucket and the key are in the security account and the trail is not, so both
// policies name the trail's ARN (aws:SourceArn), and the bucket's the organization too.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/creating-trail-organization.html
//
// With account: security the security account makes the trail, as a delegated
// administrator of CloudTrail; the trail is the management account's all the same, in
// name and ARN. AWS allows three such administrators, so that those that exist are no
// hindrance and are left alone.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-delegated-administrator.html
var cloudtrailControl = Control{
	ID: "cloudtrail", Title: "Every call in the organization is recorded in a trail", Severity: finding.High,
	about: About{
		Why: "Without a trail nobody can tell who did what, and EventBridge hears of no calls: no alert about one fires. The log files are in an account that nobody " +
			"works in, encrypted, versioned, and with digests that show when one was changed.",
		Cost: "the first copy of management events is free, a second one USD 2.00 for 100,000; storage in S3; one KMS key, USD 1, and another one with encrypt_logs; CloudWatch Logs USD 0.50 for each GB that comes in " +
			"(an event has 1 to 2 KB), and USD 0.03 for each GB it keeps",
		Example: `cloudtrail: {log_days: 30}`,
	},
	parts: []part{{unit: "trail-access"}, {unit: "trail-store"}, {unit: "trail-logs"}, {unit: "trail"}},
	settings: func() any {
		return &TrailSettings{Existing: "adopt", Account: "management", LogGroup: ownLogGroup, LogDays: 90}
	},
	params: func(s any, b *Baseline) map[string]string {
		t := s.(*TrailSettings)
		return map[string]string{
			"TrailArn":          fmt.Sprintf("arn:%s:cloudtrail:%s:%s:trail/%s", b.Org.Partition.ID, b.trailRegion(), b.Org.ManagementAccount, ownTrail),
			"TrailBucketName":   b.trailBucket(),
			"TrailKeyArn":       fmt.Sprintf("arn:%s:kms:%s:%s:alias/orgguard-trail", b.Org.Partition.ID, b.Home, b.Security),
			"TrailLogGroupName": t.LogGroup,
			"TrailLogDays":      strconv.Itoa(t.LogDays),
			"TrailLogEncrypted": strconv.FormatBool(t.EncryptLogs),
			"TrailAccount":      t.Account,
		}
	},
	Reads: []string{
		"cloudtrail:DescribeTrails", "cloudtrail:GetEventSelectors", "cloudtrail:GetTrailStatus", "logs:DescribeLogGroups",
		"organizations:ListAWSServiceAccessForOrganization",
	},
	Writes: []string{
		"cloudtrail:AddTags", "cloudtrail:CreateTrail", "cloudtrail:DeleteTrail", "cloudtrail:PutEventSelectors", "cloudtrail:StartLogging", "cloudtrail:UpdateTrail",
		"logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:TagResource", "organizations:EnableAWSServiceAccess",
	},
	more: func(s any) (a actions) {
		if s.(*TrailSettings).EncryptLogs {
			a.writes = []string{"logs:AssociateKmsKey", "logs:DisassociateKmsKey"}
			a.undoes = a.writes
		}
		if s.(*TrailSettings).Account == "security" { // as CloudTrail's delegated administrator
			a.reads = []string{"organizations:ListDelegatedAdministrators"}
			a.writes = slices.Concat(a.writes, []string{"cloudtrail:RegisterOrganizationDelegatedAdmin"}, appointing)
			a.undoes = slices.Concat(a.undoes, []string{"cloudtrail:DeregisterOrganizationDelegatedAdmin"}, dismissing)
		}
		return a
	},
}

// trailSettings are the settings of cloudtrail, its defaults where it is off.
func (b *Baseline) trailSettings() *TrailSettings {
	if s, ok := b.settings[cloudtrailID].(*TrailSettings); ok {
		return s
	}
	return &TrailSettings{Account: "management"}
}

// cloudtrailID is the control's id, for those that the control's own value refers to.
const cloudtrailID = "cloudtrail"

// trailRegion is the trail's home Region.
func (b *Baseline) trailRegion() string {
	if r := b.trailSettings().Region; r != "" {
		return r
	}
	return b.Home
}

// trailAccount is the account in which the trail is made.
func (b *Baseline) trailAccount() orgs.AccountID {
	if b.trailSettings().Account == "security" {
		return b.Security
	}
	return b.Org.ManagementAccount
}

// trailBucket is the name of the trail's bucket.
func (b *Baseline) trailBucket() string {
	if s := b.trailSettings(); s.Bucket != "" {
		return s.Bucket
	}
	return fmt.Sprintf("orgguard-trail-%s-%s", b.Security, b.Home)
}

// checkTrail reports a Region for the trail in which nothing else of the baseline is:
// there would be no topic for its alerts.
func (b *Baseline) checkTrail() error {
	region := b.trailRegion()
	if region == b.Home || region == b.Org.Partition.GlobalRegion || slices.Contains(b.candidates(), region) {
		return nil
	}
	return fmt.Errorf("baseline: cloudtrail: region %s is none of the baseline's (%s)", region, joinAnd(b.Regions))
}
