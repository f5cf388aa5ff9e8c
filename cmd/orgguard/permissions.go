package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

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
	readSCP       = []string{"organizations:DescribePolicy", "organizations:ListPolicies", "organizations:ListTargetsForPolicy"}
	readStackSets = []string{"cloudformation:DescribeStackSet", "cloudformation:ListStackInstances"}
	readBaseline  = []string{
		"account:ListRegions",
		"config:DescribeConfigurationRecorderStatus", "config:DescribeConfigurationRecorders", "config:DescribeDeliveryChannelStatus", "config:DescribeDeliveryChannels",
		"events:DescribeEventBus", "events:DescribeRule", "events:ListTargetsByRule",
		"iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies",
		"kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
		"s3:GetBucketOwnershipControls", "s3:GetBucketPolicy", "s3:GetBucketPublicAccessBlock", "s3:GetBucketVersioning", "s3:GetEncryptionConfiguration",
		"sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic",
		"sqs:GetQueueAttributes", "sqs:GetQueueUrl",
		"states:DescribeStateMachine",
	}
	readStacks = []string{"cloudformation:DescribeStacks", "cloudformation:GetTemplate"}
)

// grants are the rights each command needs.
var grants = map[string]grant{
	"audit": {caller: join(readOrganization, readSCP, readStackSets, readBaseline), member: readBaseline},
	"plan": {
		caller: join(readOrganization, readSCP, readStackSets, readBaseline, readStacks, []string{"cloudformation:DescribeOrganizationsAccess"}),
		member: join(readBaseline, readStacks),
	},
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
			&cli.StringFlag{Name: "command", Usage: "`audit|plan|rollout`", Value: "audit"},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			need, ok := grants[c.String("command")]
			if !ok {
				return usage("unknown command %q; there are %v", c.String("command"), sortedKeys(grants))
			}
			cfg, err := (&session{globals: g, streams: s}).loadConfig()
			if err != nil {
				return err
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
