package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	configtypes "github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
)

// specBuilder builds a world out of a specification.
type specBuilder struct {
	spec  *Spec
	w     *World
	now   time.Time
	names map[string]string // ids by name of accounts and path of OUs; "" where a name is taken twice
}

// foreignAccount is an account outside every organization.
const foreignAccount = "999999999999"

func (b *specBuilder) build() error {
	s := b.spec
	state := &State{
		Version:   stateVersion,
		Partition: cmp.Or(s.Partition, "aws"),
		Seed:      cmp.Or(s.Seed, "orgguard"),
		Accounts:  map[string]*accountState{},
	}
	b.w = newWorld(state)
	w, o := b.w, &state.Org
	b.ids()
	o.ID = cmp.Or(s.Organization.ID, "o-"+w.id(10))
	o.RootID = cmp.Or(s.Organization.RootID, "r-"+w.id(4))
	o.FeatureSet = types.OrganizationFeatureSet(cmp.Or(s.Organization.FeatureSet, string(types.OrganizationFeatureSetAll)))
	o.NoPaths, o.StatusOnly = s.Organization.NoPaths, s.Organization.StatusOnly
	o.ManagementAccount = s.Management.ID
	if o.FeatureSet == types.OrganizationFeatureSetAll {
		p := fullAccess[types.PolicyTypeServiceControlPolicy]
		o.putPolicy(&p)
	}
	b.names["root"] = o.RootID

	b.account(s.Management, o.RootID)
	for _, a := range s.Accounts {
		b.account(a, o.RootID)
	}
	b.units(s.OUs, o.RootID, "")
	for _, t := range s.Organization.PolicyTypes {
		w.enableType(types.PolicyType(t))
	}
	for _, service := range s.Organization.TrustedAccess {
		w.setTrustedAccess(service, true, b.now)
	}
	w.orgChanged()
	if err := b.policies(); err != nil {
		return err
	}
	if err := b.delegates(); err != nil {
		return err
	}
	if err := b.landing(); err != nil {
		return err
	}
	if err := b.aggregators(); err != nil {
		return err
	}
	if err := b.recorders(); err != nil {
		return err
	}
	// What led here is not part of the story.
	if s.TrailLogging {
		w.seedTrail(b.now)
	}
	state.Outbox = nil
	for _, a := range state.Accounts {
		a.Trail = nil
	}
	w.writes = 0
	clear(w.calls)
	return nil
}

// enableType turns a policy type on, as if it always had been.
func (w *World) enableType(t types.PolicyType) {
	o := &w.state.Org
	if o.Types == nil {
		o.Types = map[types.PolicyType]*policyTypeState{}
	}
	w.finishEnabling(t)
}

// ids gives every account an id that has none.
func (b *specBuilder) ids() {
	taken := map[string]bool{}
	b.spec.eachAccount(func(a *AccountSpec) { taken[a.ID] = true })
	b.spec.eachAccount(func(a *AccountSpec) {
		for a.ID == "" {
			if id := b.w.newAccountID(); !taken[id] {
				a.ID, taken[id] = id, true
			}
		}
	})
}

// account adds an account under a parent.
func (b *specBuilder) account(a AccountSpec, parent string) {
	w, o := b.w, &b.w.state.Org
	member := &orgAccount{
		ID: a.ID, Name: a.Name, Email: cmp.Or(a.Email, "aws+"+a.ID+"@example.com"), Parent: parent,
		State: types.AccountState(cmp.Or(a.State, string(types.AccountStateActive))), Method: types.AccountJoinedMethodCreated,
		Joined: b.now.AddDate(-1, 0, 0), // no account of a scenario is a new one
	}
	// The management account counts as invited: it joined its own organization.
	if a.Invited || a.ID == o.ManagementAccount {
		member.Method = types.AccountJoinedMethodInvited
	}
	access := accessRole
	if a.AccessRole == "missing" {
		access = ""
	}
	w.addAccount(member, access, b.now)
	if a.AccessRole == "foreign" {
		w.account(a.ID).IAM.Roles[accessRole].Trust = w.trustOf(foreignAccount)
	}
	for _, r := range a.Roles {
		trust := w.trustOf(cmp.Or(r.Trusts, a.ID))
		if r.ExternalID != "" {
			id, err := json.Marshal(r.ExternalID)
			if err != nil {
				continue // a string is always JSON
			}
			trust = strings.TrimSuffix(trust, "}]}") + `,"Condition":{"StringEquals":{"sts:ExternalId":` + string(id) + `}}}]}`
		}
		w.putRole(a.ID, &role{
			Name: r.Name, Path: cmp.Or(r.Path, "/"), Trust: trust, Created: b.now,
			Attached: []string{"arn:" + w.state.Partition + ":iam::aws:policy/AdministratorAccess"},
		})
	}
	on := w.account(a.ID)
	for _, region := range slices.Concat(b.spec.Regions, a.Regions) {
		if partitionRegions[w.state.Partition][region] {
			if on.OptIn == nil {
				on.OptIn = map[string]string{}
			}
			on.OptIn[region] = "ENABLED"
		}
	}
	b.tags(a.ID, a.Tags)
	if _, twice := b.names[a.Name]; twice {
		b.names[a.Name] = ""
	} else {
		b.names[a.Name] = a.ID
	}
}

// tags sets tags as they are, valid or not: real ones were once set by APIs
// that checked less.
func (b *specBuilder) tags(id string, tags map[string]string) {
	if len(tags) == 0 {
		return
	}
	o := &b.w.state.Org
	if o.Tags == nil {
		o.Tags = map[string]map[string]string{}
	}
	o.Tags[id] = maps.Clone(tags)
}

// units adds OUs and what is in them.
func (b *specBuilder) units(ous []OUSpec, parent, prefix string) {
	for _, u := range ous {
		id := b.w.addUnit(u.Name, parent)
		b.tags(id, u.Tags)
		b.names[prefix+u.Name] = id
		for _, a := range u.Accounts {
			b.account(a, id)
		}
		b.units(u.OUs, id, prefix+u.Name+"/")
	}
}

// target finds a root, OU or account by what a specification calls it.
func (b *specBuilder) target(name string) (string, error) {
	if b.w.state.Org.targetExists(name) {
		return name, nil
	}
	id, ok := b.names[name]
	switch {
	case !ok:
		return "", fmt.Errorf("there is no OU or account %q", name)
	case id == "":
		return "", fmt.Errorf("several accounts are called %q; give the id", name)
	}
	return id, nil
}

func (b *specBuilder) policies() error {
	o := &b.w.state.Org
	for _, s := range b.spec.Policies {
		p := &orgPolicy{
			ID: "p-" + b.w.id(8), Name: s.Name, Description: s.Description, Content: strings.TrimSpace(s.Content),
			Type: types.PolicyType(cmp.Or(s.Type, string(types.PolicyTypeServiceControlPolicy))),
		}
		o.putPolicy(p)
		b.tags(p.ID, s.Tags)
		if len(s.Attach) > 0 && !o.typeEnabled(p.Type) {
			return fmt.Errorf("policy %q: it is attached, but policy type %s is not enabled; add it to organization.policy_types", p.Name, p.Type)
		}
		for _, name := range s.Attach {
			target, err := b.target(name)
			if err != nil {
				return fmt.Errorf("policy %q: attach: %w", p.Name, err)
			}
			o.attach(p.ID, target)
		}
	}
	b.w.orgChanged()
	return nil
}

func (b *specBuilder) delegates() error {
	o := &b.w.state.Org
	for _, s := range b.spec.DelegatedAdministrators {
		id, err := b.target(s.Account)
		if err != nil {
			return fmt.Errorf("delegated administrator: %w", err)
		}
		if o.Delegated == nil {
			o.Delegated = map[string]map[string]time.Time{}
		}
		if o.Delegated[id] == nil {
			o.Delegated[id] = map[string]time.Time{}
		}
		for _, service := range s.Services {
			b.w.setTrustedAccess(service, true, b.now)
			o.Delegated[id][service] = b.now
			if err := b.appointed(service, id); err != nil {
				return fmt.Errorf("delegated administrator of %s: %w", service, err)
			}
		}
	}
	return nil
}

// appointed makes a delegated administrator of GuardDuty or Security Hub that of each
// Region, as the management account did: other services have one for all Regions.
func (b *specBuilder) appointed(service, id string) error {
	ctx := context.Background()
	for _, region := range b.spec.Regions {
		var err error
		switch service {
		case guardDutyPrincipal:
			_, err = guardduty.NewFromConfig(b.w.ManagementConfig(region)).EnableOrganizationAdminAccount(ctx, &guardduty.EnableOrganizationAdminAccountInput{AdminAccountId: &id})
		case securityHubPrincipal:
			_, err = securityhub.NewFromConfig(b.w.ManagementConfig(region)).EnableOrganizationAdminAccount(ctx, &securityhub.EnableOrganizationAdminAccountInput{AdminAccountId: &id})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// aggregators sets up the aggregators that were there before.
func (b *specBuilder) aggregators() error {
	for _, s := range b.spec.Aggregators {
		id, err := b.target(s.Account)
		if err != nil {
			return fmt.Errorf("aggregator: %w", err)
		}
		c := b.admin(id, s.Region)
		if _, err := c.as(c.caller, s.Region, "Config Service", "PutConfigurationAggregator", &configservice.PutConfigurationAggregatorInput{
			ConfigurationAggregatorName: aws.String(s.Name),
			OrganizationAggregationSource: &configtypes.OrganizationAggregationSource{
				RoleArn: aws.String("arn:" + b.w.state.Partition + ":iam::" + id + ":role/ConfigAggregator"), AllAwsRegions: len(s.Regions) == 0, AwsRegions: s.Regions,
			},
		}); err != nil {
			return fmt.Errorf("aggregator %s of account %s in %s: %w", s.Name, s.Account, s.Region, err)
		}
	}
	return nil
}

// admin is the administrator of an account at work in a Region.
func (b *specBuilder) admin(account, region string) *call {
	return &call{ctx: context.Background(), w: b.w, caller: b.w.rolePrincipal(account, "Admin", "alice"), region: region, now: b.now}
}

// recorders sets up the recorders that were there before, as the accounts'
// administrators did: by calls.
func (b *specBuilder) recorders() error {
	var err error
	b.spec.eachAccount(func(a *AccountSpec) {
		for _, r := range a.Recorders {
			if err == nil {
				if err = b.recorder(a.ID, r); err != nil {
					err = fmt.Errorf("account %q: recorder %s in %s: %w", a.Name, r.Name, r.Region, err)
				}
			}
		}
	})
	return err
}

func (b *specBuilder) recorder(account string, r RecorderSpec) error {
	w := b.w
	c := b.admin(account, r.Region)
	const service = "config.amazonaws.com"
	linked := w.linkedRole(service, "")
	if w.account(account).IAM.Roles[linked.Name] == nil {
		if _, err := c.as(c.caller, r.Region, "IAM", "CreateServiceLinkedRole", &iam.CreateServiceLinkedRoleInput{AWSServiceName: aws.String(service)}); err != nil {
			return err
		}
	}
	bucket := "config-bucket-" + account + "-" + r.Region
	create := &s3.CreateBucketInput{Bucket: &bucket}
	if r.Region != "us-east-1" {
		create.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(r.Region)}
	}
	group := &configtypes.RecordingGroup{AllSupported: true, IncludeGlobalResourceTypes: r.GlobalTypes}
	if len(r.Types) > 0 {
		group = &configtypes.RecordingGroup{RecordingStrategy: &configtypes.RecordingStrategy{UseOnly: configtypes.RecordingStrategyTypeInclusionByResourceTypes}}
		for _, t := range r.Types {
			group.ResourceTypes = append(group.ResourceTypes, configtypes.ResourceType(t))
		}
	}
	name := cmp.Or(r.Name, "default")
	calls := []struct {
		service, op string
		in          any
	}{
		{"S3", "CreateBucket", create},
		{"S3", "PutBucketPolicy", &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: aws.String(deliveryPolicy(w.state.Partition, bucket, account))}},
		{"Config Service", "PutConfigurationRecorder", &configservice.PutConfigurationRecorderInput{ConfigurationRecorder: &configtypes.ConfigurationRecorder{
			Name: &name, RoleARN: aws.String(w.roleARN(account, linked)), RecordingGroup: group,
		}}},
		{"Config Service", "PutDeliveryChannel", &configservice.PutDeliveryChannelInput{DeliveryChannel: &configtypes.DeliveryChannel{Name: aws.String(cmp.Or(r.Channel, name)), S3BucketName: &bucket}}},
	}
	if r.Recording {
		calls = append(calls, struct {
			service, op string
			in          any
		}{"Config Service", "StartConfigurationRecorder", &configservice.StartConfigurationRecorderInput{ConfigurationRecorderName: &name}})
	}
	for _, call := range calls {
		if _, err := c.as(c.caller, r.Region, call.service, call.op, call.in); err != nil {
			return fmt.Errorf("%s: %w", call.op, err)
		}
	}
	return nil
}

// deliveryPolicy is the bucket policy of AWS's guide for delivery by AWS
// Config to a bucket of the same account.
// https://docs.aws.amazon.com/config/latest/developerguide/s3-bucket-policy.html
func deliveryPolicy(partition, bucket, account string) string {
	arn := "arn:" + partition + ":s3:::" + bucket
	statement := func(sid, action, resource, condition string) string {
		return `{"Sid":"` + sid + `","Effect":"Allow","Principal":{"Service":"config.amazonaws.com"},"Action":"` + action +
			`","Resource":"` + resource + `","Condition":{"StringEquals":{"AWS:SourceAccount":"` + account + `"` + condition + `}}}`
	}
	return `{"Version":"2012-10-17","Statement":[` +
		statement("AWSConfigBucketPermissionsCheck", "s3:GetBucketAcl", arn, "") + "," +
		statement("AWSConfigBucketExistenceCheck", "s3:ListBucket", arn, "") + "," +
		statement("AWSConfigBucketDelivery", "s3:PutObject", arn+"/AWSLogs/"+account+"/Config/*", `,"s3:x-amz-acl":"bucket-owner-full-control"`) + `]}`
}
