package baseline

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/journal"
)

// kind is what orgguard knows about a resource type, CloudFormation's or one of
// its own: how to look
// at such a resource with the service's own API, how to compare it with what a
// template says, and how to put it right.
type kind struct {
	// noun is how people call it, e.g. "rule".
	noun string
	// nameProp is the property that holds the resource's name; "" when it
	// has none of its own.
	nameProp string
	// attributes gives Ref and attributes by format: {name}, {account}, …
	attributes map[string]string
	// global says that the resource has no Region.
	global bool

	// observe returns the resource's live state; nil when it does not exist.
	observe func(ctx context.Context, s site, r Resource) (any, error)
	// compare is pure. It is not called for a resource that does not exist.
	compare func(r Resource, state any) []Mismatch
	// item reads the state out of an item of AWS Config; nil for what only the
	// accounts are asked about.
	item *itemReader
	// repair makes the resource as the template says, whatever it is now.
	repair func(ctx context.Context, s site, r Resource, state any) error
	// finish does what can only be done when the other resources of the cell
	// are in place; nil for most.
	finish func(ctx context.Context, s site, r Resource) error
	// undo is the command of the AWS CLI that takes a repair back; nil where
	// the plan's before says it all.
	undo func(s scope, r Resource, state any) string
	// writes is how many calls a repair makes, where it is not one and one more
	// to finish; nil for most.
	writes func(r Resource, state any) int
	// final is what of a repair, or of making it with a stack, nothing takes
	// back; nil for most.
	final func(r Resource) string
	// revert takes a repair back, where that is orgguard's own work; nil for
	// kinds that leave it to the command.
	revert *reverter
}

// reverter takes back what a repair of a setting of the organization did. States
// are the kind's.
type reverter struct {
	// decode reads a state out of a journal.
	decode func(raw any) (any, error)
	// says is pure: what taking back does, or why it is not done.
	says func(r Resource, was, now any) (why, not string)
	// apply makes it what it was.
	apply func(ctx context.Context, s site, r Resource, was any) error
	// mine says, without a journal, whether what is there is orgguard's own
	// making, and what there was before.
	mine func(ctx context.Context, s site, r Resource, now any) (was any, yes bool, err error)
}

// decoded reads a state of a type out of a journal.
func decoded[S any](raw any) (any, error) {
	var st S
	err := journal.Decode(raw, &st)
	return st, err
}

// site is where a resource is looked at or put right.
type site struct {
	*access.Pool
	at access.At
	// rules are the rules of the default bus by name, where somebody lists them
	// for several resources at once; nil where each is asked for.
	rules func() orgs.Outcome[map[string]rule]
	// base is the baseline, for what is about the organization and not about
	// the account alone.
	base *Baseline
}

// in is another account in the same Region.
func (s site) in(id orgs.AccountID) site { return s.base.site(s.Pool, id, s.at.Region) }

func (b *Baseline) site(pool *access.Pool, id orgs.AccountID, region string) site {
	return site{Pool: pool, at: pool.In(b.Org.Partition, id, region), base: b}
}

// Mismatch is one way in which a resource is not as its template says.
type Mismatch struct {
	Reason   string
	Expected any
	Actual   any
	// Manual is what a person must do, where no API call of orgguard's can
	// put it right; "" when a rollout does.
	Manual string
	// Waits says that nothing went wrong and it is a person's turn, as with a
	// subscription that nobody has confirmed yet.
	Waits bool
	// Verb is the plan's word for putting it right; "" means repair.
	Verb string
	// Account is the account that it is about, where that is another one than
	// the one that was looked at: a member of what an administrator manages.
	Account orgs.AccountID
	// Stays says that what a rollout does about it stays so when it is taken back: an
	// undo does not show it as changing.
	Stays bool
	// Shut says that Account is one which nobody can enter: of the account itself that
	// is told besides.
	Shut bool
}

// mendable says whether a rollout mends any of the mismatches.
func mendable(ms []Mismatch) bool {
	return slices.ContainsFunc(ms, func(m Mismatch) bool { return m.Manual == "" })
}

// label is how findings and plans call a resource: "rule orgguard-config-change".
func (r Resource) label() string {
	k := kinds[r.Type]
	name := r.LogicalID
	if k.nameProp != "" {
		name = r.str(k.nameProp)
		if i := strings.LastIndexAny(name, ":/"); i >= 0 && strings.HasPrefix(name, "arn:") {
			name = name[i+1:]
		}
	}
	return k.noun + " " + name
}

// kinds are the resource types that controls may deploy.
var kinds map[string]kind

func init() {
	// Set here and not where it is declared: the functions of a kind read the
	// table themselves, which Go takes for a cycle of initialisation.
	kinds = map[string]kind{
		"AWS::Config::ConfigurationRecorder":    recorderKind,
		"AWS::Config::DeliveryChannel":          channelKind,
		"AWS::Config::ConfigRule":               configRuleKind,
		"AWS::Config::ConformancePack":          packKind,
		"AWS::Config::RemediationConfiguration": remediationKind,
		"AWS::Events::Rule":                     ruleKind,
		"AWS::Events::EventBus":                 busKind,
		"AWS::Events::EventBusPolicy":           busPolicyKind,
		"AWS::SNS::Topic":                       topicKind,
		"AWS::SNS::TopicPolicy":                 topicPolicyKind,
		"AWS::SNS::Subscription":                subscriptionKind,
		"AWS::SQS::Queue":                       queueKind,
		"AWS::SQS::QueuePolicy":                 queuePolicyKind,
		"AWS::S3::Bucket":                       bucketKind,
		"AWS::S3::BucketPolicy":                 bucketPolicyKind,
		"AWS::IAM::Role":                        roleKind,
		"AWS::IAM::ManagedPolicy":               policyKind,
		"AWS::KMS::Key":                         keyKind,
		"AWS::KMS::Alias":                       aliasKind,
		"AWS::StepFunctions::StateMachine":      stateMachineKind,
		"AWS::CloudTrail::Trail":                trailKind,
		"AWS::Logs::LogGroup":                   logGroupKind,
		"AWS::Logs::MetricFilter":               metricFilterKind,
		"AWS::CloudWatch::Alarm":                alarmKind,

		"AWS::Chatbot::SlackChannelConfiguration":          slackKind,
		"AWS::Chatbot::MicrosoftTeamsChannelConfiguration": teamsKind,

		// Settings that CloudFormation does not have; see unit.direct.
		"OrgGuard::S3::AccountPublicAccessBlock":  publicBlockKind,
		"OrgGuard::IAM::PasswordPolicy":           passwordKind,
		"OrgGuard::IAM::ServiceLinkedRole":        linkedRoleKind,
		"OrgGuard::EC2::EbsEncryptionByDefault":   ebsKind,
		"OrgGuard::EC2::InstanceMetadataDefaults": metadataKind,
		"OrgGuard::EC2::NoDefaultVpc":             defaultVPCKind,
		"OrgGuard::Organizations::TrustedAccess":  trustedAccessKind,

		// Settings of the organization.
		"OrgGuard::Organizations::ServiceAdministrator":  administratorKind,
		"OrgGuard::GuardDuty::Organization":              guardDutyKind,
		"OrgGuard::SecurityHub::Organization":            securityHubKind,
		"OrgGuard::SecurityHub::FindingAggregator":       aggregatorKind,
		"OrgGuard::SecurityHub::Standards":               hubStandardsKind,
		"OrgGuard::SecurityHub::HubV2":                   hubV2Kind,
		"OrgGuard::Organizations::SecurityHubPolicy":     hubPolicyKind,
		"OrgGuard::AccessAnalyzer::OrganizationAnalyzer": analyzerKind,
	}
}

// notFound says whether an error means that a thing does not exist. Services
// have a code each.
func notFound(err error) bool {
	switch orgs.Code(err) {
	case "ResourceNotFoundException", "NotFoundException", "NotFound", "NoSuchEntity", "NoSuchEntityException", "NoSuchBucket", "NoSuchBucketPolicy",
		"NoSuchPublicAccessBlockConfiguration", "ServerSideEncryptionConfigurationNotFoundError", "OwnershipControlsNotFoundError",
		"NoSuchConfigurationRecorderException", "NoSuchConfigRuleException", "NoSuchConformancePackException", "NoSuchDeliveryChannelException", "QueueDoesNotExist",
		"AWS.SimpleQueueService.NonExistentQueue", "InvalidSubnetID.NotFound", "InvalidInternetGatewayID.NotFound", "InvalidVpcID.NotFound", "Gateway.NotAttached", "StateMachineDoesNotExist", "StackSetNotFoundException":
		return true
	}
	return false
}

// sameJSON compares a policy or pattern as AWS gives it (text, perhaps reordered)
// with one of a template. Lists of strings are sets in policies and patterns
// alike, and a list of one string means the string.
func sameJSON(want any, got string) bool {
	var have any
	if json.Unmarshal([]byte(got), &have) != nil {
		return false
	}
	return reflect.DeepEqual(normal(want), normal(have))
}

// compact is a value as JSON without spaces.
func compact(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// fromJSON is a value as it appears in a finding: decoded when it is JSON, the
// text itself when it is not.
func fromJSON(s string) any {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return s
	}
	return v
}
