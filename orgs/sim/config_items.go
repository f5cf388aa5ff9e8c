package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
)

// configItem is a configuration item of a recorded resource: a rule of EventBridge
// or a role. They are made of what is there when somebody asks, and kept only where
// that is something else: while a recorder is stopped, and for what is on its way.
// https://docs.aws.amazon.com/config/latest/developerguide/config-concepts.html
type configItem struct {
	Type          types.ResourceType       `json:"type"`
	ID            string                   `json:"id"`
	Name          string                   `json:"name"`
	ARN           string                   `json:"arn"`
	Region        string                   `json:"region"` // "global" for a role
	Captured      time.Time                `json:"captured"`
	Frequency     types.RecordingFrequency `json:"frequency"`
	Configuration map[string]any           `json:"configuration"`
}

const (
	ruleItem = types.ResourceType("AWS::Events::Rule")
	roleItem = types.ResourceTypeRole
	// globalItems is where the items of resources without a Region say that they are.
	globalItems = "global"
)

// records says whether the recorder records a type of resources that the sandbox
// has items of, and how often.
func (r *configRecorder) records(t types.ResourceType) (types.RecordingFrequency, bool) {
	frequency := r.Mode.RecordingFrequency
	for _, o := range r.Mode.RecordingModeOverrides {
		if slices.Contains(o.ResourceTypes, t) {
			frequency = o.RecordingFrequency
		}
	}
	switch {
	case t == roleItem && r.Group.AllSupported:
		return frequency, r.Group.IncludeGlobalResourceTypes
	case r.Group.AllSupported:
		return frequency, true
	case r.Group.ExclusionByResourceTypes != nil && len(r.Group.ExclusionByResourceTypes.ResourceTypes) > 0:
		return frequency, !slices.Contains(r.Group.ExclusionByResourceTypes.ResourceTypes, t)
	}
	return frequency, slices.Contains(r.Group.ResourceTypes, t)
}

// items are the configuration items of an account × Region: of what its recorder
// records, as it was when the recorder was last on.
func (w *World) items(at accountRegion, now time.Time) []configItem {
	s := &w.region(at.account, at.region).Config
	r := s.customerRecorder()
	switch {
	case r == nil || r.Started.IsZero():
		return nil
	case !r.Recording:
		return s.Frozen
	}
	var out []configItem
	add := func(item configItem, changed time.Time) {
		if late, ok := w.late[item.ARN]; ok && now.Before(late.arrives) {
			item.Configuration, item.Captured = late.configuration, r.Started
		} else if item.Captured = r.Started; changed.After(item.Captured) {
			item.Captured = changed
		}
		if item.Configuration != nil {
			out = append(out, item)
		}
	}
	if frequency, ok := r.records(ruleItem); ok {
		buses := w.region(at.account, at.region).Events.Buses
		for _, name := range slices.Sorted(maps.Keys(buses)) {
			for _, rule := range sortedNames(buses[name].Rules) {
				arn := w.ruleARN(at.account, at.region, name, rule)
				add(configItem{
					Type: ruleItem, ID: arn, Name: rule, ARN: arn, Region: at.region, Frequency: frequency,
					Configuration: ruleConfiguration(arn, name, buses[name].Rules[rule]),
				}, buses[name].Rules[rule].Changed)
			}
		}
	}
	if frequency, ok := r.records(roleItem); ok {
		roles := w.account(at.account).IAM.Roles
		for _, name := range sortedNames(roles) {
			arn := w.roleARN(at.account, roles[name])
			add(configItem{
				Type: roleItem, ID: roles[name].ID, Name: name, ARN: arn, Region: globalItems, Frequency: frequency,
				Configuration: roleConfiguration(arn, roles[name]),
			}, roles[name].Changed)
		}
	}
	return out
}

// ruleConfiguration is what an item has of a rule: what CloudFormation has of it.
func ruleConfiguration(arn, bus string, r *eventRule) map[string]any {
	out := map[string]any{"Arn": arn, "Id": r.Name, "Name": r.Name, "EventBusName": bus, "State": r.State}
	if r.Pattern != "" {
		out["EventPattern"] = json.RawMessage(r.Pattern)
	}
	if r.Schedule != "" {
		out["ScheduleExpression"] = r.Schedule
	}
	if r.Description != "" {
		out["Description"] = r.Description
	}
	targets := []any{}
	for _, id := range sortedNames(r.Targets) {
		targets = append(targets, detach(r.Targets[id]))
	}
	out["Targets"] = targets
	return out
}

// roleConfiguration is what an item has of a role: what
// GetAccountAuthorizationDetails says of it.
func roleConfiguration(arn string, r *role) map[string]any {
	inline, managed := []any{}, []any{}
	for _, name := range sortedNames(r.Inline) {
		inline = append(inline, map[string]any{"policyName": name, "policyDocument": encodePolicy(r.Inline[name])})
	}
	for _, policy := range r.Attached {
		managed = append(managed, map[string]any{"policyName": lastSegment(policy), "policyArn": policy})
	}
	out := map[string]any{
		"arn": arn, "roleName": r.Name, "roleId": r.ID, "path": r.Path, "createDate": r.Created.UTC().Format(time.RFC3339),
		"assumeRolePolicyDocument": encodePolicy(r.Trust), "rolePolicyList": inline, "attachedManagedPolicies": managed,
		"instanceProfileList": []any{}, "permissionsBoundary": nil,
	}
	if r.Boundary != "" {
		out["permissionsBoundary"] = map[string]any{"permissionsBoundaryArn": r.Boundary, "permissionsBoundaryType": "PermissionsBoundaryPolicy"}
	}
	return out
}

// unqueried are the properties that a query neither finds nor returns: documents and
// what is free in its form.
// https://github.com/awslabs/aws-config-resource-schema
var unqueried = map[types.ResourceType][]string{
	ruleItem: {"EventPattern", "Targets"},
	roleItem: {"assumeRolePolicyDocument", "rolePolicyList"},
}

// row is an item as queries see it.
func (i configItem) row(account string) map[string]any {
	configuration := maps.Clone(i.Configuration)
	for _, property := range unqueried[i.Type] {
		delete(configuration, property)
	}
	return map[string]any{
		"resourceType": string(i.Type), "resourceId": i.ID, "resourceName": i.Name, "arn": i.ARN, "accountId": account, "awsRegion": i.Region,
		"configurationItemCaptureTime": i.Captured.UTC().Format("2006-01-02T15:04:05.000Z"), "configuration": configuration,
	}
}

// lateItem is a resource as it was before a change that an aggregator has not heard
// of yet.
type lateItem struct {
	configuration map[string]any // nil: it was not there
	arrives       time.Time
}

// changing is called before a write to a resource, and what it returns after it: it
// remembers when a rule or a role was changed, and what it was where that is slow to
// arrive.
func (w *World) changing(c *call, resource string) func() {
	was, _ := w.recordable(resource)
	return func() {
		_, changed := w.recordable(resource)
		if changed == nil {
			return
		}
		*changed = c.now
		if lag := w.faults.Aggregation.Lag; lag > 0 {
			if w.late == nil {
				w.late = map[string]lateItem{}
			}
			w.late[resource] = lateItem{was, c.now.Add(lag)}
		}
	}
}

// recordable finds the rule or role with an ARN: what an item has of it while changes
// are slow to arrive, and when it was changed last. Both are nil of everything else,
// and of what is not there.
func (w *World) recordable(arn string) (configuration map[string]any, changed *time.Time) {
	service, region, account, resource, ok := arnParts(arn)
	if !ok || w.account(account) == nil {
		return nil, nil
	}
	late := w.faults.Aggregation.Lag > 0
	kind, path, _ := strings.Cut(resource, "/")
	name := lastSegment(path)
	switch {
	case service == "events" && kind == "rule":
		bus := defaultName
		if b, _, ok := strings.Cut(path, "/"); ok {
			bus = b
		}
		b := w.bus(account, region, bus)
		if b == nil || b.Rules[name] == nil {
			return nil, nil
		}
		if late {
			configuration = ruleConfiguration(arn, bus, b.Rules[name])
		}
		return configuration, &b.Rules[name].Changed
	case service == "iam" && kind == "role":
		r := w.account(account).IAM.Roles[name]
		if r == nil {
			return nil, nil
		}
		if late {
			configuration = roleConfiguration(arn, r)
		}
		return configuration, &r.Changed
	}
	return nil, nil
}

// maxBatch is how many resources one call asks for.
const maxBatch = 100

// batchGetAggregate gives whole items of resources that an aggregator has; of the
// others it says that they were not processed.
// https://docs.aws.amazon.com/config/latest/APIReference/API_BatchGetAggregateResourceConfig.html
func batchGetAggregate(c *call, in *configservice.BatchGetAggregateResourceConfigInput) (*configservice.BatchGetAggregateResourceConfigOutput, error) {
	a, err := c.here().Config.aggregator(aws.ToString(in.ConfigurationAggregatorName))
	if err != nil {
		return nil, err
	}
	if n := len(in.ResourceIdentifiers); n == 0 || n > maxBatch {
		return nil, apiError("ValidationException", "1 validation error detected: Value at 'resourceIdentifiers' failed to satisfy constraint: Member must have length between 1 and %d", maxBatch)
	}
	type key struct {
		account, region, id string
		kind                types.ResourceType
	}
	asked := map[string]bool{}
	for _, id := range in.ResourceIdentifiers {
		asked[aws.ToString(id.SourceAccountId)] = true
	}
	have := map[key]configItem{}
	for _, at := range c.w.aggregated(a) {
		if !asked[at.account] || c.w.unheard(at) {
			continue
		}
		for _, item := range c.w.items(at, c.now) {
			have[key{at.account, item.Region, item.ID, item.Type}] = item
		}
	}
	out := &configservice.BatchGetAggregateResourceConfigOutput{BaseConfigurationItems: []types.BaseConfigurationItem{}, UnprocessedResourceIdentifiers: []types.AggregateResourceIdentifier{}}
	for _, id := range in.ResourceIdentifiers {
		item, ok := have[key{aws.ToString(id.SourceAccountId), aws.ToString(id.SourceRegion), aws.ToString(id.ResourceId), id.ResourceType}]
		if !ok {
			out.UnprocessedResourceIdentifiers = append(out.UnprocessedResourceIdentifiers, id)
			continue
		}
		text, err := json.Marshal(item.Configuration)
		if err != nil {
			return nil, err
		}
		out.BaseConfigurationItems = append(out.BaseConfigurationItems, types.BaseConfigurationItem{
			AccountId: id.SourceAccountId, AwsRegion: aws.String(item.Region), Arn: aws.String(item.ARN), Configuration: aws.String(string(text)),
			ConfigurationItemCaptureTime: aws.Time(item.Captured), ConfigurationItemStatus: types.ConfigurationItemStatusOk, RecordingFrequency: item.Frequency,
			ResourceId: aws.String(item.ID), ResourceName: aws.String(item.Name), ResourceType: item.Type, Version: aws.String("1.3"),
		})
	}
	return out, nil
}
