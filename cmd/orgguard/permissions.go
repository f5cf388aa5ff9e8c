package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
	"github.com/orgguard/orgguard/orgs/survey"
)

// grant is what a command needs of one identity. The tests run the command with
// exactly these rights on the simulated organization, and check that every one of
// them is used.
type grant struct {
	// caller are actions of whoever runs orgguard, in the management account.
	caller []string
	// member are actions of the access role in every account.
	member []string
	// roles are assumed beside those of the configuration.
	roles []string
	// baseline says that the command looks at the baseline, and so needs what the
	// controls that are on need.
	baseline bool
	// tells says that the command tells the channels of the notices, and told are the
	// rights for those that are configured.
	tells bool
	told  []policyStatement
}

var (
	readOrganization = []string{
		"organizations:DescribeOrganization", "organizations:ListAccounts", "organizations:ListAccountsForParent",
		"organizations:ListOrganizationalUnitsForParent", "organizations:ListRoots",
	}
	readSCP = []string{"organizations:DescribePolicy", "organizations:ListPolicies", "organizations:ListTargetsForPolicy"}
	readUse = []string{"cloudtrail:LookupEvents", "iam:GetAccountAuthorizationDetails"}
	// checkSCP is for --verify-aws and --validate-aws. A call of --probe needs no
	// right: AWS says of an explicit deny in an SCP whatever IAM permits.
	checkSCP      = []string{"access-analyzer:ValidatePolicy", "iam:SimulateCustomPolicy"}
	readStackSets = []string{"cloudformation:DescribeStackSet", "cloudformation:ListStackInstances"}
	readBaseline  = []string{
		"account:ListRegions",
		"config:DescribeConfigurationRecorderStatus", "config:DescribeConfigurationRecorders", "config:DescribeDeliveryChannelStatus", "config:DescribeDeliveryChannels",
		"events:DescribeEventBus", "events:DescribeRule", "events:ListRules", "events:ListTargetsByRule",
		"iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies",
		"kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
		"s3:GetBucketOwnershipControls", "s3:GetBucketPolicy", "s3:GetBucketPublicAccessBlock", "s3:GetBucketVersioning", "s3:GetEncryptionConfiguration",
		"sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic",
		"sqs:GetQueueAttributes",
		"states:DescribeStateMachine",
	}
	// readAggregator is for the account that has the aggregator.
	readAggregator = []string{"config:BatchGetAggregateResourceConfig", "config:DescribeConfigurationAggregatorSourcesStatus", "config:DescribeConfigurationAggregators", "config:SelectAggregateResourceConfig"}
	readStacks     = []string{"cloudformation:DescribeStacks", "cloudformation:GetTemplate"}

	// writeStacks and writeResources are for the plain stacks, which
	// CloudFormation deploys with the rights of whoever asks it to, rollbacks
	// included, and for repairs.
	writeStacks = []string{
		"cloudformation:CreateStack", "cloudformation:DeleteStack", "cloudformation:DescribeStackEvents", "cloudformation:UpdateStack",
	}
	writeResources = []string{
		"config:PutConfigurationRecorder", "config:PutDeliveryChannel", "config:StartConfigurationRecorder",
		"events:CreateEventBus", "events:DeleteEventBus", "events:DeleteRule", "events:PutPermission", "events:PutRule", "events:PutTargets",
		"events:RemovePermission", "events:RemoveTargets", "events:TagResource",
		"iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:PassRole",
		"iam:PutRolePolicy", "iam:TagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
		"kms:CancelKeyDeletion", "kms:CreateAlias", "kms:CreateKey", "kms:DeleteAlias", "kms:EnableKey", "kms:EnableKeyRotation", "kms:ListKeys",
		"kms:ListResourceTags", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UpdateAlias",
		"s3:CreateBucket", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutBucketTagging",
		"s3:PutBucketVersioning", "s3:PutEncryptionConfiguration",
		"sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:Unsubscribe",
		"sqs:CreateQueue", "sqs:DeleteQueue", "sqs:GetQueueUrl", "sqs:SetQueueAttributes", "sqs:TagQueue",
		"states:CreateStateMachine", "states:DeleteStateMachine", "states:TagResource", "states:UpdateStateMachine",
	}
	// lookJob and writeJob are for the scheduled audit: its stack, with rollbacks and
	// updates, and what is in its bucket.
	lookJob  = []string{"cloudformation:DescribeStacks", "cloudformation:GetTemplate", "s3:GetBucketTagging"}
	writeJob = []string{
		"cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource",
		"events:CreateEventBus", "events:DeleteEventBus", "events:DeleteRule", "events:DescribeEventBus", "events:DescribeRule", "events:ListTargetsByRule", "events:PutPermission", "events:PutRule",
		"events:PutTargets", "events:RemovePermission", "events:RemoveTargets", "events:TagResource", "lambda:AddPermission", "lambda:RemovePermission",
		"iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:GetRole", "iam:PassRole", "iam:PutRolePolicy", "iam:TagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
		"lambda:CreateFunction", "lambda:DeleteFunction", "lambda:DeleteFunctionConcurrency", "lambda:DeleteFunctionEventInvokeConfig", "lambda:GetFunction",
		"lambda:GetFunctionEventInvokeConfig", "lambda:PutFunctionConcurrency", "lambda:PutFunctionEventInvokeConfig", "lambda:TagResource", "lambda:UntagResource",
		"lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration",
		"logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DescribeLogGroups", "logs:PutRetentionPolicy", "logs:TagResource",
		"s3:CreateBucket", "s3:GetObject", "s3:ListBucket", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutBucketTagging",
		"s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration", "s3:PutObject",
		"scheduler:CreateSchedule", "scheduler:DeleteSchedule", "scheduler:GetSchedule", "scheduler:UpdateSchedule",
		"sns:CreateTopic", "sns:DeleteTopic", "sns:GetTopicAttributes", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:Unsubscribe",
		"sqs:CreateQueue", "sqs:DeleteQueue", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SetQueueAttributes", "sqs:TagQueue",
		"states:CreateStateMachine", "states:DeleteStateMachine", "states:DescribeStateMachine", "states:TagResource", "states:UpdateStateMachine",
	}
	lookJobState = []string{"cloudwatch:DescribeAlarms", "events:DescribeEventBus", "events:DescribeRule", "events:ListTargetsByRule", "lambda:GetFunction", "scheduler:GetSchedule", "sqs:GetQueueAttributes"}
	readHistory  = []string{"s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket"}
	runJob       = []string{"lambda:InvokeFunction", "scheduler:GetSchedule", "sqs:GetQueueAttributes", "states:DescribeExecution", "states:StartExecution"}
	// sendLiveTest is for every account that sends a test event, and for that of the topic.
	sendLiveTest = []string{
		"events:PutEvents", "sns:Subscribe", "sns:Unsubscribe",
		"sqs:CreateQueue", "sqs:DeleteMessage", "sqs:DeleteQueue", "sqs:GetQueueUrl", "sqs:ListQueues", "sqs:ReceiveMessage", "sqs:TagQueue",
	}
	// delegate is for the security account, from where the scheduled audit asks.
	delegate = []string{
		"cloudformation:ActivateOrganizationsAccess", "cloudformation:DescribeOrganizationsAccess", "iam:CreateServiceLinkedRole", "organizations:EnableAWSServiceAccess",
		"organizations:ListDelegatedServicesForAccount", "organizations:RegisterDelegatedAdministrator",
	}
	// removeJob is for schedule remove, --delete-history included.
	removeJob = []string{
		"cloudformation:DeleteStack", "cloudformation:DescribeStackEvents", "cloudwatch:DeleteAlarms", "events:DeleteEventBus", "events:DeleteRule", "events:DescribeEventBus", "events:ListTargetsByRule",
		"events:RemovePermission", "events:RemoveTargets", "iam:DeleteRole", "iam:DeleteRolePolicy", "lambda:RemovePermission",
		"lambda:DeleteFunction", "lambda:DeleteFunctionEventInvokeConfig", "logs:DeleteLogGroup", "s3:DeleteBucket", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ListBucketVersions",
		"scheduler:DeleteSchedule", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Unsubscribe", "sqs:DeleteQueue", "sqs:SetQueueAttributes", "states:DeleteStateMachine",
	}
	// undoJob is for undo of the two.
	undoJob = []string{"organizations:DeregisterDelegatedAdministrator", "organizations:ListDelegatedServicesForAccount", "s3:DeleteObject", "s3:GetObjectVersion"}
	// takeAway is for undo and teardown.
	takeAway = []string{"cloudformation:DeleteStackSet", "config:StopConfigurationRecorder"}
	// deleteHistory is for --delete-history.
	deleteHistory = []string{
		"config:DeleteConfigurationRecorder", "config:DeleteDeliveryChannel", "config:StopConfigurationRecorder", "s3:DeleteBucket", "s3:ListBucket",
	}
	// keepJournal is for journal.bucket, in the security account.
	keepJournal = []string{"s3:GetObject", "s3:ListBucket", "s3:PutObject"}
	// tellNotices is for all channels of the notices. grantFor leaves those that are
	// configured, on what they name.
	tellNotices = []string{
		"events:PutEvents", "kms:Decrypt", "kms:GenerateDataKey", "secretsmanager:GetSecretValue", "securityhub:BatchImportFindings", "sns:Publish", "ssm:GetParameter",
	}
	// lookNotices is for looking at channels without sending anything, from the account
	// that sends; readSecrets is for the caller, where that is the one. lookRights leaves
	// what is configured.
	lookNotices = []string{"events:DescribeEventBus", "securityhub:GetEnabledStandards", "sns:GetTopicAttributes", "ssm:DescribeParameters"}
	readSecrets = []string{"secretsmanager:GetSecretValue", "ssm:GetParameter"}
	// writeLock is for the lock in the management account; a delegated
	// administrator needs it of the access role there.
	writeLock         = []string{"ssm:DeleteParameter", "ssm:GetParameter", "ssm:PutParameter"}
	writeOrganization = []string{
		"cloudformation:ActivateOrganizationsAccess", "cloudformation:CreateStackInstances", "cloudformation:CreateStackSet",
		"cloudformation:DeleteStackInstances", "cloudformation:DescribeStackSetOperation", "cloudformation:ListStackSetOperationResults",
		"cloudformation:ListStackSetOperations", "cloudformation:TagResource",
		"cloudformation:UpdateStackSet",
		// Of accounts that overrides reach.
		"cloudformation:DescribeStackInstance", "cloudformation:UpdateStackInstances",
		"iam:CreateServiceLinkedRole",
		// DeletePolicy and DetachPolicy take back a wave of the SCP that failed.
		"organizations:AttachPolicy", "organizations:CreatePolicy", "organizations:DeletePolicy", "organizations:DetachPolicy",
		"organizations:EnableAWSServiceAccess", "organizations:EnablePolicyType", "organizations:TagResource", "organizations:UpdatePolicy",
	}
)

// readSurvey is what doctor and init ask of the organization and of every
// account, whatever is or is not deployed.
var (
	readSurvey = []string{
		"cloudformation:DescribeOrganizationsAccess", "controltower:GetLandingZone", "controltower:ListEnabledBaselines", "controltower:ListLandingZones",
		"organizations:ListAWSServiceAccessForOrganization", "organizations:ListDelegatedAdministrators",
		"organizations:ListDelegatedServicesForAccount", "organizations:ListPolicies", "organizations:ListTargetsForPolicy",
	}
	readAccount = []string{"account:ListRegions", "config:DescribeDeliveryChannels", "config:ListConfigurationRecorders"}
)

// grants are the rights each command needs whatever is configured; grantFor adds
// those of the controls that are on.
var grants = map[string]grant{
	"audit": {
		baseline: true,
		// ListTagsForResource is for --tag.
		caller: join(readOrganization, readSCP, readStackSets, readBaseline, []string{"organizations:ListTagsForResource"}),
		member: readBaseline,
	},
	"doctor": {
		caller: join(readOrganization, readSurvey, readAccount, []string{"config:DescribeConfigurationAggregators", "iam:GetRole", "iam:SimulatePrincipalPolicy"}, readStacks, lookJobState, readHistory, lookNotices, readSecrets),
		member: join(readAccount, []string{"config:DescribeConfigurationAggregators", "iam:SimulatePrincipalPolicy"}, readStacks, lookJobState, lookNotices),
	},
	"audit --stackset-drift": {
		baseline: true,
		caller: join(readOrganization, readSCP, readStackSets, readBaseline, []string{
			"cloudformation:DescribeStackSetOperation", "cloudformation:DetectStackSetDrift", "cloudformation:ListStackInstanceResourceDrifts",
			"cloudformation:ListStackSetOperationResults", "cloudformation:ListStackSetOperations",
		}),
		member: readBaseline,
	},
	"audit --sweep": {
		baseline: true,
		caller:   join(readOrganization, readSCP, readStackSets, readBaseline, readAggregator),
		member:   join(readBaseline, readAggregator),
	},
	"audit --notify": {
		baseline: true, tells: true,
		caller: join(readOrganization, readSCP, readStackSets, readBaseline, tellNotices, []string{"organizations:ListTagsForResource"}),
		member: readBaseline,
	},
	"notices test": {caller: tellNotices, tells: true},
	"alerts test --live": {
		baseline: true,
		caller:   join(readOrganization, readBaseline, sendLiveTest),
		member:   join(readBaseline, sendLiveTest),
	},
	"init": {
		caller: join(readOrganization, readSurvey, readAccount, []string{"cloudtrail:DescribeTrails"}),
		member: readAccount,
	},
	"bootstrap": {
		caller: join(readOrganization, readStackSets, readStacks, []string{
			"cloudformation:ActivateOrganizationsAccess", "cloudformation:CreateStack", "cloudformation:CreateStackInstances", "cloudformation:CreateStackSet",
			"cloudformation:DescribeOrganizationsAccess", "cloudformation:DescribeStackSetOperation", "cloudformation:ListStackSetOperationResults",
			"cloudformation:ListStackSetOperations", "cloudformation:TagResource", "cloudformation:UpdateStack", "cloudformation:UpdateStackSet",
			"iam:CreateRole", "iam:CreateServiceLinkedRole", "iam:GetRole", "iam:PutRolePolicy", "iam:TagRole", "organizations:EnableAWSServiceAccess",
			// For changes, and where something fails.
			"cloudformation:DeleteStack", "cloudformation:DescribeStackEvents", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
		}),
		roles: []string{auditRole, rolloutRole},
	},
	"plan": {
		baseline: true,
		caller:   join(readOrganization, readSCP, readStackSets, readBaseline, readStacks, []string{"cloudformation:DescribeOrganizationsAccess"}),
		member:   join(readBaseline, readStacks),
	},
	"rollout": {
		baseline: true,
		caller: join(readOrganization, readSCP, readStackSets, readBaseline, readStacks, []string{"cloudformation:DescribeOrganizationsAccess"},
			writeStacks, writeResources, writeOrganization, writeLock),
		member: join(readBaseline, readStacks, writeStacks, writeResources),
	},
	"undo": {
		baseline: true,
		caller: join(readOrganization, readSCP, readStackSets, readBaseline, readStacks, []string{"cloudformation:DescribeOrganizationsAccess"},
			writeStacks, writeResources, writeOrganization, writeLock, takeAway, lookJob, writeJob, undoJob),
		member: join(readBaseline, readStacks, writeStacks, writeResources, []string{"config:StopConfigurationRecorder"}, lookJob, writeJob, undoJob),
	},
	"teardown": {
		baseline: true,
		caller: join(readOrganization, readSCP, readStackSets, readBaseline, readStacks, []string{"cloudformation:DescribeOrganizationsAccess"},
			writeStacks, writeResources, writeOrganization, writeLock, takeAway, deleteHistory),
		member: join(readBaseline, readStacks, writeStacks, writeResources, deleteHistory),
	},
	"schedule install": {
		caller: join(readOrganization, readStackSets, readStacks, delegate, writeLock, lookJob, writeStacks, writeJob),
		member: join(lookJob, writeStacks, writeJob),
	},
	"schedule remove": {
		caller: join(readOrganization, writeLock, lookJob, removeJob),
		member: join(lookJob, removeJob),
	},
	// The history and the job's configuration are read by the caller, whom the bucket's
	// policy lets in.
	"schedule status": {
		caller: join(readOrganization, readStacks, lookJobState, readHistory),
		member: join(readStacks, lookJobState),
	},
	"schedule run": {
		caller: join(readOrganization, runJob, readHistory),
		member: runJob,
	},
	"scp preview": {caller: join(readOrganization, readSCP, checkSCP), member: readUse},
	// DeletePolicy takes back a policy that was made for a run that is undone, or
	// whose first wave failed.
	"scp apply": {
		caller: join(readOrganization, readSCP, []string{
			"organizations:AttachPolicy", "organizations:CreatePolicy", "organizations:DeletePolicy", "organizations:DetachPolicy",
			"organizations:TagResource", "organizations:UpdatePolicy",
		}, writeLock),
		member: readUse,
	},
	"scp remove": {
		caller: join(readOrganization, readSCP, []string{"organizations:AttachPolicy", "organizations:DetachPolicy"}, writeLock), member: readUse,
	},
}

// grantFor is what a command needs with a configuration; false when there is no
// such command.
func grantFor(command string, cfg *spec.Config) (grant, bool) {
	g, ok := grants[command]
	if !ok {
		return grant{}, false
	}
	if g.tells {
		g.caller = slices.DeleteFunc(slices.Clone(g.caller), func(a string) bool { return slices.Contains(tellNotices, a) })
		g.told = tellStatements(cfg)
	}
	if cfg.Journal.Bucket != "" && journals[command] {
		g.caller, g.member = join(g.caller, keepJournal), join(g.member, keepJournal)
	}
	if cfg.Journal.Bucket != "" && command == "doctor" {
		g.caller, g.member = join(g.caller, []string{"s3:ListBucket"}), join(g.member, []string{"s3:ListBucket"})
	}
	if command == "doctor" {
		g = g.lookRights(cfg)
		reads := baseline.ServiceReads(cfg)
		g.caller, g.member = join(g.caller, reads), join(g.member, reads)
	}
	if !g.baseline {
		return g, true
	}
	actions, writes, undoes := baseline.Actions(cfg)
	switch command {
	case "rollout":
		actions = append(actions, writes...)
	case "undo", "teardown":
		actions = append(actions, undoes...)
	}
	if command == "plan" && len(cfg.Overrides) > 0 {
		g.caller = join(g.caller, []string{"cloudformation:DescribeStackInstance"})
	}
	g.caller, g.member = join(g.caller, actions), join(g.member, actions)
	return g, true
}

func join(lists ...[]string) []string {
	var out []string
	for _, l := range lists {
		out = append(out, l...)
	}
	return sorted(out)
}

// policyDocument is an IAM policy.
type policyDocument struct {
	Version   string
	Statement []policyStatement
}

type policyStatement struct {
	Sid      string
	Effect   string
	Action   []string
	Resource any
	// Condition is by operator, then key; nil for none.
	Condition map[string]map[string]string `json:",omitempty"`
}

// callerPolicy is the policy for whoever runs the command.
func (g grant) callerPolicy(cfg *spec.Config, partition orgs.Partition) policyDocument {
	var arns []string
	for _, role := range append([]string{cfg.Organization.AccessRole, cfg.Organization.AuditRole}, g.roles...) {
		if arn := fmt.Sprintf("arn:%s:iam::*:role/%s", partition.ID, strings.TrimPrefix(role, "/")); role != "" && !slices.Contains(arns, arn) {
			arns = append(arns, arn)
		}
	}
	var enter any = arns
	if len(arns) == 1 {
		enter = arns[0]
	}
	doc := policyDocument{"2012-10-17", []policyStatement{}}
	if len(g.caller) > 0 { // otherwise it only tells, and enters no account
		doc.Statement = append(doc.Statement, policyStatement{"Orgguard", "Allow", g.caller, "*", nil},
			policyStatement{"EnterMemberAccounts", "Allow", []string{"sts:AssumeRole"}, enter, nil})
	}
	doc.Statement = append(doc.Statement, g.told...)
	return doc
}

// memberPolicy is the policy for the access role in every account. What changes
// something is allowed on what orgguard calls its own, where the name tells.
func (g grant) memberPolicy(cfg *spec.Config, partition orgs.Partition) policyDocument {
	doc := policyDocument{"2012-10-17", []policyStatement{}}
	by := map[string][]string{}
	for _, action := range g.member {
		by[scopeOf(action)] = append(by[scopeOf(action)], action)
	}
	for _, name := range sortedKeys(by) {
		if name == "" {
			doc.Statement = append(doc.Statement, policyStatement{"Orgguard", "Allow", by[name], "*", nil})
			continue
		}
		var arns []string
		for _, resource := range scopes[name] {
			arns = append(arns, "arn:"+partition.ID+":"+resource)
		}
		if bucket := baseline.BucketSetting(cfg); name == "s3" && bucket != "" {
			arns = append(arns, "arn:"+partition.ID+":s3:::"+bucket)
		}
		if j := cfg.Journal; name == "s3" && j.Bucket != "" {
			arns = append(arns, "arn:"+partition.ID+":s3:::"+j.Bucket+"/"+j.Prefix+"*")
		}
		doc.Statement = append(doc.Statement, policyStatement{"Orgguard" + strings.ToUpper(name[:1]) + name[1:], "Allow", by[name], arns, nil})
	}
	return doc
}

// journals are the commands whose runs have a journal.
var journals = map[string]bool{"rollout": true, "undo": true, "teardown": true, "scp apply": true, "scp remove": true, "schedule install": true, "schedule remove": true}

// readCommands are the commands that change nothing in AWS.
var readCommands = map[string]bool{"audit": true, "plan": true, "doctor": true, "init": true, "schedule status": true}

// scopes are the resources of orgguard's own, by service: everything it makes is
// called orgguard-something. Keys of KMS have no names, and a recorder that is
// adopted keeps its own.
var scopes = map[string][]string{
	"cloudformation": {"cloudformation:*:*:stack/orgguard-*", "cloudformation:*:*:stack/StackSet-orgguard-*"},
	"bus":            {"events:*:*:event-bus/default"},
	"events":         {"events:*:*:event-bus/orgguard-*", "events:*:*:rule/orgguard-*", "events:*:*:rule/*/orgguard-*"},
	"iam":            {"iam::*:role/orgguard-*"},
	// A recorder that has AWS Config's own role keeps it.
	"passed":    {"iam::*:role/orgguard-*", "iam::*:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"},
	"lambda":    {"lambda:*:*:function:orgguard-*"},
	"scheduler": {"scheduler:*:*:schedule/default/orgguard-*"},
	"s3":        {"s3:::orgguard-*"},
	"sns":       {"sns:*:*:orgguard-*"},
	"sqs":       {"sqs:*:*:orgguard-*"},
	"states":    {"states:*:*:stateMachine:orgguard-*"}, // starting an execution is a matter of its machine
}

// unscoped are actions that IAM evaluates without a resource.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
var unscoped = []string{
	"events:PutPermission", "events:RemovePermission", "iam:CreateServiceLinkedRole", "sns:Unsubscribe",
	// Settings of the account itself.
	"iam:DeleteAccountPasswordPolicy", "iam:UpdateAccountPasswordPolicy", "s3:PutAccountPublicAccessBlock",
}

// scopeOf is the scope of an action; "" for what is allowed on everything.
func scopeOf(action string) string {
	service, verb, _ := strings.Cut(action, ":")
	if action == "s3:GetObject" || action == "s3:GetObjectVersion" {
		return service // what is in a bucket is no setting of it
	}
	if action == "iam:PassRole" {
		return "passed"
	}
	if action == "events:PutEvents" {
		return "bus" // test events begin where AWS's own do
	}
	for _, reading := range []string{"Get", "List", "Describe", "Simulate", "Select", "Lookup", "BatchGet"} {
		if strings.HasPrefix(verb, reading) {
			return ""
		}
	}
	if slices.Contains(unscoped, action) || scopes[service] == nil {
		return ""
	}
	return service
}

// questions are what the simulator is asked about the actions: each on a resource
// of the kind that its policy names, since it would deny them on all.
func questions(actions []string, partition orgs.Partition, home string) []survey.Question {
	by := map[string][]string{}
	for _, action := range actions {
		by[scopeOf(action)] = append(by[scopeOf(action)], action)
	}
	var out []survey.Question
	for _, name := range sortedKeys(by) {
		q := survey.Question{Actions: by[name], Resource: "*"}
		if name != "" {
			q.Resource = "arn:" + partition.ID + ":" + scopes[name][0]
			q.Resource = strings.NewReplacer(":*:*:", ":"+home+":${Account}:", "::*:", "::${Account}:", "orgguard-*", "orgguard-example").Replace(q.Resource)
		}
		out = append(out, q)
	}
	return out
}

func newPermissionsCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "permissions",
		Usage: "print the IAM policies that a command needs, for the caller and for the role in the accounts",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "command", Usage: "the `COMMAND`: " + strings.Join(sortedKeys(grants), ", "), Value: "audit"},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			cfg, err := (&session{globals: g, streams: s}).loadConfig(c.Context)
			if err != nil {
				return err
			}
			need, ok := grantFor(c.String("command"), cfg)
			if !ok {
				return noGrant(c.String("command"))
			}
			b, err := json.MarshalIndent(map[string]policyDocument{
				"caller": need.callerPolicy(cfg, orgs.PartitionOf(cfg.HomeRegion)), "member_role": need.memberPolicy(cfg, orgs.PartitionOf(cfg.HomeRegion)),
			}, "", "  ")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(s.out, string(b))
			return err
		},
	}
}

func sorted(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// noGrant says which commands there are whose rights are known.
func noGrant(command string) error {
	known := sortedKeys(grants)
	text := fmt.Sprintf("unknown command %q;", command)
	if near := orgs.Nearest(command, known); len(near) > 0 {
		text += " did you mean " + strconv.Quote(near[0]) + "?"
	}
	return usage("%s", text+" there are "+strings.Join(known, ", "))
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
