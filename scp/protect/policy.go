package protect

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/scp"
)

// Control is the id of the control that this package is.
const Control = "scp-protect-config"

// PolicyName is the name of the policy in AWS Organizations.
const PolicyName = "orgguard-protect-config"

// Options say what the policy denies, and to whom it does not.
type Options struct {
	Partition string // as in ARNs
	// Strict denies, besides stopping and deleting the recorder, the other
	// actions that silence AWS Config or the alerts about it.
	Strict       bool
	ExtraActions []string // denied too
	// Exempt are role names, with * and with a path if they have one: the
	// roles that must go on working.
	Exempt []string
}

// DefaultExempt are the roles without which nobody could repair or deploy:
// those of StackSets and Control Tower, and orgguard's own. Their names are
// protected by the policy, for a role's name is all that an exemption looks at.
var DefaultExempt = []string{
	// StackSets does its work in a member account as an ordinary role of this
	// name; a service-linked role manages it.
	"stacksets-exec-*",
	"AWSControlTowerExecution",
	"OrgGuardRollout",
}

// ownRoles are roles of orgguard's that need no exemption, because they only
// read, but that nobody else may make or change.
var ownRoles = []string{"OrgGuardAudit"}

// The actions. Each was checked to exist in the service's model; those on AWS
// Config have no resource type in part, so they are denied on everything.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsconfig.html
var (
	stopActions   = []string{"config:DeleteConfigurationRecorder", "config:StopConfigurationRecorder"}
	silentActions = []string{
		"config:AssociateResourceTypes", "config:DeleteDeliveryChannel", "config:DeleteRetentionConfiguration",
		"config:DeleteServiceLinkedConfigurationRecorder", "config:DisassociateResourceTypes", "config:PutConfigurationRecorder",
		"config:PutDeliveryChannel", "config:PutRetentionConfiguration",
	}
	alertActions = []string{
		// PutPermission and RemovePermission take no resource: denied for our
		// bus they would be denied for every bus. The audit watches its policy.
		"events:DeleteEventBus", "events:DeleteRule", "events:DisableRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets",
		"events:UpdateEventBus",
		"sns:AddPermission", "sns:DeleteTopic", "sns:RemovePermission", "sns:SetTopicAttributes", "sns:Unsubscribe",
		"sqs:AddPermission", "sqs:DeleteQueue", "sqs:PurgeQueue", "sqs:RemovePermission", "sqs:SetQueueAttributes",
		"states:DeleteStateMachine", "states:UpdateStateMachine",
	}
	stackActions = []string{
		"cloudformation:CancelUpdateStack", "cloudformation:ContinueUpdateRollback", "cloudformation:CreateChangeSet", "cloudformation:DeleteStack",
		"cloudformation:ExecuteChangeSet", "cloudformation:RollbackStack", "cloudformation:SetStackPolicy", "cloudformation:UpdateStack",
		"cloudformation:UpdateTerminationProtection",
	}
	bucketActions = []string{
		"s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketAcl", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock",
		"s3:PutBucketVersioning", "s3:PutLifecycleConfiguration",
	}
	// roleActions make a role of a given name, or change what it may do and who
	// may be it.
	roleActions = []string{
		"iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePermissionsBoundary", "iam:DeleteRolePolicy",
		"iam:DetachRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
	}
)

type statement struct {
	Sid       string
	Effect    string
	Action    any
	Resource  any
	Condition map[string]map[string]any `json:",omitempty"`
}

type document struct {
	Version   string
	Statement []statement
}

// Policy returns the policy as it is sent to AWS: without spaces, because AWS
// counts them.
func Policy(o Options) ([]byte, error) {
	arns := make([]string, len(o.Exempt))
	names := make([]string, 0, len(o.Exempt)+1)
	for i, role := range o.Exempt {
		arns[i] = o.roleARN(role)
		names = append(names, arns[i])
	}
	unless := map[string]map[string]any{"ArnNotLike": {"aws:PrincipalArn": arns}}
	deny := func(sid string, actions []string, resources ...string) statement {
		return statement{Sid: sid, Effect: "Deny", Action: actions, Resource: resources, Condition: unless}
	}
	actions := slices.Concat(stopActions, o.ExtraActions)
	if o.Strict {
		actions = slices.Concat(stopActions, silentActions, o.ExtraActions)
	}
	slices.Sort(actions)
	doc := document{Version: "2012-10-17", Statement: []statement{deny("ProtectConfig", slices.Compact(actions), "*")}}
	if o.Strict {
		arn := func(format string) string { return "arn:" + o.Partition + ":" + format }
		doc.Statement = append(doc.Statement,
			deny("ProtectAlerts", alertActions,
				arn("events:*:*:rule/orgguard-*"), arn("events:*:*:rule/*/orgguard-*"), arn("events:*:*:event-bus/orgguard-*"),
				arn("sns:*:*:orgguard-*"), arn("sqs:*:*:orgguard-*"), arn("states:*:*:stateMachine:orgguard-*")),
			deny("ProtectLogBucket", bucketActions, arn("s3:::orgguard-*")),
			deny("ProtectStacks", stackActions, arn("cloudformation:*:*:stack/StackSet-orgguard-*"), arn("cloudformation:*:*:stack/orgguard-*")),
		)
		names = append(names, o.roleARN("orgguard-*"))
	}
	for _, role := range ownRoles {
		names = append(names, o.roleARN(role))
	}
	doc.Statement = append(doc.Statement, deny("ProtectExemptNames", roleActions, slices.Compact(names)...))
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("write policy %s: %w", PolicyName, err)
	}
	if err := checkExempt(b, o); err != nil {
		return nil, err
	}
	return b, nil
}

func (o Options) roleARN(role string) string {
	return "arn:" + o.Partition + ":iam::*:role/" + strings.TrimPrefix(role, "/")
}

// probe is an account number that no account has; the policy names none.
const probe = "123456789012"

// checkExempt proves, with the evaluator, that the policy leaves the exempt roles
// what they need and takes the rest from an ordinary administrator. It is the
// guard against locking ourselves out.
func checkExempt(policy []byte, o Options) error {
	e, err := compile(policy)
	if err != nil {
		return err
	}
	for _, action := range stopActions {
		if d := e.Decide(request("role/Admin", action, "*", o.Partition)); d != scp.DecisionDeny {
			return fmt.Errorf("policy %s would not deny %s to an administrator: an exemption is too wide (%s)", PolicyName, action, strings.Join(o.Exempt, ", "))
		}
	}
	for _, role := range o.Exempt {
		name := strings.ReplaceAll(strings.TrimPrefix(role, "/"), "*", "x")
		for _, action := range slices.Concat(stopActions, silentActions, []string{"config:StartConfigurationRecorder"}) {
			if d := e.Decide(request("role/"+name, action, "*", o.Partition)); d != scp.DecisionAllow {
				return fmt.Errorf("policy %s would deny %s to the exempt role %s", PolicyName, action, role)
			}
		}
	}
	return nil
}

// compile evaluates the policy alone, beside FullAWSAccess.
func compile(policy []byte) (*scp.Evaluator, error) {
	doc, err := scp.Parse(PolicyName, policy)
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", PolicyName, err)
	}
	return scp.Compile(scp.Org{
		ManagementAccountID: "000000000000",
		Path: []scp.Level{{Type: scp.LevelAccount, ID: probe, Policies: []scp.Policy{
			{Name: "FullAWSAccess", Document: fullAccess()}, {Name: PolicyName, Document: doc},
		}}},
	})
}

// fullAccess is AWS's own FullAWSAccess.
func fullAccess() *scp.Document {
	doc, err := scp.Parse("FullAWSAccess", []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`))
	if err != nil {
		return nil // it parses
	}
	return doc
}

// request is an action of a role in the probe account.
func request(role, action, resource, partition string) *scp.Request {
	arn := "arn:" + partition + ":iam::" + probe + ":" + role
	return &scp.Request{
		Principal: scp.Principal{Type: scp.PrincipalRole, ARN: arn, RoleARN: arn, AccountID: probe},
		Action:    action, Resource: resource,
		Context: map[string][]string{"aws:PrincipalArn": {arn}, "aws:PrincipalAccount": {probe}},
	}
}
