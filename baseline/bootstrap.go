package baseline

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/plan"
)

// AccessStack is the name of the stack set, and in the management account of the
// stack, that holds orgguard's own roles.
const AccessStack = "orgguard-access"

// externalIDParam is the parameter that plans never show, jobAccountParam the one that
// says whose scheduled audit may enter the accounts.
const (
	externalIDParam = "ExternalId"
	jobAccountParam = "JobAccount"
)

// AccessRole is a role that orgguard enters accounts with.
type AccessRole struct {
	Name        string
	Description string
	Policy      any // the permissions policy, as it is written to JSON
	// Job says that the scheduled audit enters accounts with it.
	Job bool
}

// Access is what `orgguard bootstrap` deploys: roles that every account has, that
// one account may assume, with an external id.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html
type Access struct {
	Roles      []AccessRole
	Trusted    orgs.AccountID // whose principals may assume them
	ExternalID string         // "" keeps the one that is deployed
	// JobAccount is the account whose scheduled audit may assume the role that is for
	// it, although it is not the trusted account; "" for none.
	JobAccount orgs.AccountID
}

// jobTrust is what the trust policy says of the scheduled audit: its role and no other
// principal of its account, which need not be there yet.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
func jobTrust(principal, role, externalID any) map[string]any {
	return map[string]any{
		"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"AWS": principal},
		"Condition": map[string]any{"StringEquals": map[string]any{"sts:ExternalId": externalID}, "ArnEquals": map[string]any{"aws:PrincipalArn": role}},
	}
}

// trustPolicy is a role's trust policy, of one account's principals with one external
// id. In the template both are parameters: what plans show and diff of a template
// must not hold the id.
func trustPolicy(principal, externalID any, more ...any) map[string]any {
	return map[string]any{"Version": "2012-10-17", "Statement": append([]any{map[string]any{
		"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"AWS": principal},
		"Condition": map[string]any{"StringEquals": map[string]any{"sts:ExternalId": externalID}},
	}}, more...)}
}

// Trust is a role's trust policy, with the external id left open.
func (a Access) Trust(partition orgs.Partition, r AccessRole) any {
	const open = "(the external id)"
	arn := func(account orgs.AccountID, who string) string {
		return fmt.Sprintf("arn:%s:iam::%s:%s", partition.ID, account, who)
	}
	var more []any
	if r.Job && a.JobAccount != "" {
		more = append(more, jobTrust(arn(a.JobAccount, "root"), arn(a.JobAccount, "role/"+JobName), open))
	}
	return trustPolicy(arn(a.Trusted, "root"), open, more...)
}

// Template is the stack's template. JSON is YAML.
func (a Access) Template() (string, error) {
	resources := map[string]any{}
	id, account := map[string]any{"Ref": externalIDParam}, map[string]any{"Ref": jobAccountParam}
	root, role := map[string]any{"Fn::Sub": "arn:${AWS::Partition}:iam::${" + jobAccountParam + "}:root"}, map[string]any{"Fn::Sub": "arn:${AWS::Partition}:iam::${" + jobAccountParam + "}:role/" + JobName}
	for _, r := range a.Roles {
		var more []any
		if r.Job {
			more = append(more, map[string]any{"Fn::If": []any{"HasJob", jobTrust(root, role, id), map[string]any{"Ref": "AWS::NoValue"}}})
		}
		resources[r.Name] = map[string]any{"Type": "AWS::IAM::Role", "Properties": map[string]any{
			"RoleName": r.Name, "Description": r.Description, "AssumeRolePolicyDocument": trustPolicy(map[string]any{"Fn::Sub": "arn:${AWS::Partition}:iam::${TrustedAccount}:root"}, id, more...),
			"Policies": []any{map[string]any{"PolicyName": "orgguard", "PolicyDocument": r.Policy}},
		}}
	}
	b, err := json.MarshalIndent(map[string]any{
		"AWSTemplateFormatVersion": "2010-09-09",
		"Description":              "orgguard: the roles that orgguard enters the account with",
		"Parameters": map[string]any{
			"TrustedAccount": map[string]any{"Type": "String", "Description": "The account that may assume the roles"},
			externalIDParam:  map[string]any{"Type": "String", "Description": "What AssumeRole has to bring along"},
			jobAccountParam:  map[string]any{"Type": "String", "Description": "The account whose scheduled audit may assume the role for audits; empty for none", "Default": ""},
		},
		"Conditions": map[string]any{"HasJob": map[string]any{"Fn::Not": []any{map[string]any{"Fn::Equals": []any{account, ""}}}}},
		"Resources":  resources,
	}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write the template of %s: %w", AccessStack, err)
	}
	return string(b) + "\n", nil
}

// AccessLook is what is deployed of the roles.
type AccessLook struct {
	look *Look
	unit *composed
}

// ExternalID is the deployed external id; "" when nothing is deployed.
func (l *AccessLook) ExternalID() string { return l.parameter(externalIDParam) }

// JobAccount is the account whose scheduled audit the deployed roles trust; "" for none.
func (l *AccessLook) JobAccount() orgs.AccountID { return orgs.AccountID(l.parameter(jobAccountParam)) }

// Trusted is the account that the deployed roles trust; "" when nothing is deployed.
func (l *AccessLook) Trusted() orgs.AccountID { return orgs.AccountID(l.parameter("TrustedAccount")) }

func (l *AccessLook) parameter(name string) string {
	if value := l.look.Sets[l.unit.ID].Params[name]; value != "" {
		return value
	}
	for _, o := range l.look.stacks {
		return o.Value.Params[name]
	}
	return ""
}

// LookAccess reads what is deployed of the roles: from CloudFormation alone, for
// there may be no other way into the accounts yet.
func (b *Baseline) LookAccess(ctx context.Context, pool *access.Pool) (*AccessLook, error) {
	c := b.cloud(pool)
	l := &AccessLook{
		look: &Look{Sets: StackSets{}, stacks: map[string]orgs.Outcome[stackState]{}},
		unit: &composed{
			unit:     unit{ID: "access", Stack: AccessStack, Description: "orgguard: the roles that orgguard enters accounts with", place: homeOfEach, stage: plan.Roles},
			controls: []string{"access"},
		},
	}
	desc, err := pool.CloudFormation.DescribeOrganizationsAccess(ctx, &cloudformation.DescribeOrganizationsAccessInput{CallAs: c.as}, c.at.CloudFormation)
	if err != nil {
		return nil, fmt.Errorf("ask whether StackSets may act in the organization: %w", err)
	}
	l.look.TrustedAccess = desc.Status == types.OrganizationStatusEnabled
	if l.look.Sets[l.unit.ID], err = c.load(ctx, AccessStack, nil); err != nil {
		return nil, err
	}
	if mgmt := b.Org.ManagementAccount; b.ownsManagement(pool) {
		st, err := observeStack(ctx, b.site(pool, mgmt, b.Home), AccessStack)
		if err != nil {
			return nil, err
		}
		l.look.stacks[stackKey(l.unit, mgmt, b.Home)] = orgs.Outcome[stackState]{Value: st}
	}
	return l, nil
}

// ownsManagement says whether the caller can deploy in the management account.
func (b *Baseline) ownsManagement(pool *access.Pool) bool {
	return pool.Caller().Account == b.Org.ManagementAccount
}

// ProposeAccess compares the wanted roles with what is deployed. The roles are not
// deployed in waves: nothing depends on them yet.
func (b *Baseline) ProposeAccess(l *AccessLook, a Access, pool *access.Pool) (Proposal, error) {
	var err error
	if l.unit.body, err = a.Template(); err != nil {
		return Proposal{}, err
	}
	l.unit.params = map[string]string{"TrustedAccount": string(a.Trusted), externalIDParam: a.ExternalID, jobAccountParam: string(a.JobAccount)}
	at := *b
	at.waves = waves{of: map[orgs.AccountID]int{}}
	p := &proposer{Baseline: &at, look: l.look, pool: pool, skipped: map[plan.Skip]bool{}}
	p.access()
	var views []view
	for _, acct := range b.Accounts {
		// What is in the account nobody has looked at: CloudFormation knows.
		v := view{unit: l.unit, account: acct, region: b.Home}
		switch {
		case acct.Excluded != "":
			p.skip(skipOf(acct, b.Home, "access", "left out: "+acct.Excluded, false))
		case acct.State != orgs.StateActive:
			p.skip(skipOf(acct, b.Home, "access", fmt.Sprintf("the account is %s", acct.State), false))
		case acct.ID != b.Org.ManagementAccount:
			views = append(views, v)
		case b.ownsManagement(pool):
			p.plainStack(v)
		default:
			p.skip(skipOf(acct, b.Home, "access", "only the management account itself can deploy there", false))
		}
	}
	p.stackSet(l.unit, views)
	plan.SortTasks(p.Proposal.Tasks)
	return p.Proposal, nil
}

// VerifyAccess enters every account with every role, by pools made for them, and
// tells where that does not work.
func (b *Baseline) VerifyAccess(ctx context.Context, pools map[string]*access.Pool, workers int) []plan.Failure {
	type entry struct {
		role    string
		account orgs.Selected
	}
	var todo []entry
	for _, role := range sortedKeys(pools) {
		for _, a := range b.Accounts {
			if a.Excluded == "" && a.State == orgs.StateActive && a.ID != pools[role].Caller().Account {
				todo = append(todo, entry{role, a})
			}
		}
	}
	var out []plan.Failure
	for i, o := range orgs.ForEach(ctx, todo, workers, func(ctx context.Context, e entry) (struct{}, error) {
		pool := pools[e.role]
		return struct{}{}, pool.AssumeError(ctx, pool.In(b.Org.Partition, e.account.ID, b.Home))
	}) {
		if o.Err != nil {
			out = append(out, plan.Failure{
				Account: string(todo[i].account.ID), AccountName: todo[i].account.Name, Region: b.Home, Status: "CANNOT ENTER", Reason: orgs.Reason(o.Err),
				Fix: "orgguard bootstrap",
			})
		}
	}
	slices.SortStableFunc(out, func(a, b plan.Failure) int { return strings.Compare(a.Account, b.Account) })
	return out
}
