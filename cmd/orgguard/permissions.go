package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
)

// grant is what a command needs of one identity. The tests run the command with
// exactly these rights on the simulated organization, and check that every one of
// them is used.
type grant struct {
	// caller are actions of whoever runs orgguard, in the management account.
	caller []string
	// member are actions of the access role in every account.
	member []string
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
		"events:DescribeEventBus", "events:DescribeRule", "events:ListTargetsByRule",
		"iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies",
		"kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
		"s3:GetBucketOwnershipControls", "s3:GetBucketPolicy", "s3:GetBucketPublicAccessBlock", "s3:GetBucketVersioning", "s3:GetEncryptionConfiguration",
		"sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic",
		"sqs:GetQueueAttributes",
		"states:DescribeStateMachine",
	}
	readStacks = []string{"cloudformation:DescribeStacks", "cloudformation:GetTemplate"}

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
	// takeAway is for undo and teardown.
	takeAway = []string{"cloudformation:DeleteStackSet", "config:StopConfigurationRecorder", "organizations:DeletePolicy", "organizations:DetachPolicy"}
	// deleteHistory is for --delete-history.
	deleteHistory = []string{
		"config:DeleteConfigurationRecorder", "config:DeleteDeliveryChannel", "config:StopConfigurationRecorder", "s3:DeleteBucket", "s3:ListBucket",
	}
	// writeLock is for the lock in the management account; a delegated
	// administrator needs it of the access role there.
	writeLock         = []string{"ssm:DeleteParameter", "ssm:GetParameter", "ssm:PutParameter"}
	writeOrganization = []string{
		"cloudformation:ActivateOrganizationsAccess", "cloudformation:CreateStackInstances", "cloudformation:CreateStackSet",
		"cloudformation:DeleteStackInstances", "cloudformation:DescribeStackSetOperation", "cloudformation:ListStackSetOperationResults",
		"cloudformation:ListStackSetOperations", "cloudformation:TagResource",
		"cloudformation:UpdateStackSet",
		"iam:CreateServiceLinkedRole",
		"organizations:AttachPolicy", "organizations:CreatePolicy", "organizations:EnableAWSServiceAccess", "organizations:EnablePolicyType",
		"organizations:ListPoliciesForTarget", "organizations:TagResource", "organizations:UpdatePolicy",
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
		// ListTagsForResource is for --tag.
		caller: join(readOrganization, readSCP, readStackSets, readBaseline, []string{"organizations:ListTagsForResource"}),
		member: readBaseline,
	},
	"doctor": {
		caller: join(readOrganization, readSurvey, readAccount, []string{"iam:GetRole", "iam:SimulatePrincipalPolicy"}),
		member: join(readAccount, []string{"iam:SimulatePrincipalPolicy"}),
	},
	"audit --stackset-drift": {
		caller: join(readOrganization, readSCP, readStackSets, readBaseline, []string{
			"cloudformation:DescribeStackSetOperation", "cloudformation:DetectStackSetDrift", "cloudformation:ListStackInstanceResourceDrifts",
			"cloudformation:ListStackSetOperationResults", "cloudformation:ListStackSetOperations",
		}),
		member: readBaseline,
	},
	"init": {
		caller: join(readOrganization, readSurvey, readAccount, []string{"cloudtrail:DescribeTrails"}),
		member: readAccount,
	},
	"plan": {
		caller: join(readOrganization, readSCP, readStackSets, readBaseline, readStacks, []string{"cloudformation:DescribeOrganizationsAccess"}),
		member: join(readBaseline, readStacks),
	},
	"rollout": {
		caller: join(readOrganization, readSCP, readStackSets, readBaseline, readStacks, []string{"cloudformation:DescribeOrganizationsAccess"},
			writeStacks, writeResources, writeOrganization, writeLock),
		member: join(readBaseline, readStacks, writeStacks, writeResources),
	},
	"undo": {
		caller: join(readOrganization, readSCP, readStackSets, readBaseline, readStacks, []string{"cloudformation:DescribeOrganizationsAccess"},
			writeStacks, writeResources, writeOrganization, writeLock, takeAway),
		member: join(readBaseline, readStacks, writeStacks, writeResources, []string{"config:StopConfigurationRecorder"}),
	},
	"teardown": {
		caller: join(readOrganization, readSCP, readStackSets, readBaseline, readStacks, []string{"cloudformation:DescribeOrganizationsAccess"},
			writeStacks, writeResources, writeOrganization, writeLock, takeAway, deleteHistory),
		member: join(readBaseline, readStacks, writeStacks, writeResources, deleteHistory),
	},
	"scp preview": {caller: join(readOrganization, readSCP, checkSCP), member: readUse},
	// DeletePolicy takes back a policy that was made for a run that is undone, or
	// whose first wave failed.
	"scp apply": {
		caller: join(readOrganization, readSCP, []string{
			"organizations:AttachPolicy", "organizations:CreatePolicy", "organizations:DeletePolicy", "organizations:DetachPolicy",
			"organizations:TagResource", "organizations:UpdatePolicy",
		}),
		member: readUse,
	},
	"scp remove": {
		caller: join(readOrganization, readSCP, []string{"organizations:AttachPolicy", "organizations:DetachPolicy"}), member: readUse,
	},
}

// grantFor is what a command needs with a configuration; false when there is no
// such command.
func grantFor(command string, cfg *spec.Config) (grant, bool) {
	g, ok := grants[command]
	if !ok {
		return grant{}, false
	}
	if strings.HasPrefix(command, "scp ") {
		return g, true // controls do not matter to it
	}
	actions, writes := baseline.Actions(cfg)
	if command == "rollout" {
		actions = append(actions, writes...)
	}
	return grant{caller: join(g.caller, actions), member: join(g.member, actions)}, true
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
}

// callerPolicy is the policy for whoever runs the command.
func (g grant) callerPolicy(cfg *spec.Config, partition orgs.Partition) policyDocument {
	return policyDocument{"2012-10-17", []policyStatement{
		{"Orgguard", "Allow", g.caller, "*"},
		{"EnterMemberAccounts", "Allow", []string{"sts:AssumeRole"}, fmt.Sprintf("arn:%s:iam::*:role/%s", partition.ID, cfg.Organization.AccessRole)},
	}}
}

// memberPolicy is the policy for the access role in every account.
func (g grant) memberPolicy() policyDocument {
	return policyDocument{"2012-10-17", []policyStatement{{"Orgguard", "Allow", g.member, "*"}}}
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
			cfg, err := (&session{globals: g, streams: s}).loadConfig()
			if err != nil {
				return err
			}
			need, ok := grantFor(c.String("command"), cfg)
			if !ok {
				return usage("unknown command %q; there are %v", c.String("command"), sortedKeys(grants))
			}
			b, err := json.MarshalIndent(map[string]policyDocument{
				"caller": need.callerPolicy(cfg, orgs.PartitionOf(cfg.HomeRegion)), "member_role": need.memberPolicy(),
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

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
