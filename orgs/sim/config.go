package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
)

// configState is AWS Config in one account × Region.
type configState struct {
	// Recorders holds the customer managed recorder, of which there is at
	// most one, and any service-linked ones, by name.
	Recorders map[string]*configRecorder `json:"recorders,omitempty"`
	// Channel is the delivery channel, of which there is at most one.
	Channel *configChannel `json:"channel,omitempty"`
	// RetentionDays is the retention configuration; 0 when there is none.
	RetentionDays int32 `json:"retention_days,omitempty"`
	// Rules and Remediations are by the name of the rule.
	Rules        map[string]*configRule                     `json:"rules,omitempty"`
	Remediations map[string]*types.RemediationConfiguration `json:"remediations,omitempty"`
	// Packs are conformance packs by name.
	Packs map[string]*conformancePack `json:"packs,omitempty"`

	// Frozen are the items of what was recorded until the recorder was stopped.
	Frozen []configItem `json:"frozen,omitempty"`
	// Aggregators are those of the account × Region, by name.
	Aggregators map[string]*configAggregator `json:"aggregators,omitempty"`
}

// configRecorder is a configuration recorder with its status.
type configRecorder struct {
	Name             string               `json:"name"`
	ID               string               `json:"id"` // the last part of its ARN
	RoleARN          string               `json:"role_arn"`
	Group            types.RecordingGroup `json:"group"`
	Mode             types.RecordingMode  `json:"mode"`
	Scope            types.RecordingScope `json:"scope"`
	ServicePrincipal string               `json:"service_principal,omitempty"` // of a service-linked recorder
	Recording        bool                 `json:"recording"`
	Started          time.Time            `json:"started,omitzero"`
	Stopped          time.Time            `json:"stopped,omitzero"`
	Tags             map[string]string    `json:"tags,omitempty"`
}

// configChannel is a delivery channel.
type configChannel struct {
	Name      string                          `json:"name"`
	Bucket    string                          `json:"bucket"`
	Prefix    string                          `json:"prefix,omitempty"`
	KMSKey    string                          `json:"kms_key,omitempty"`
	Topic     string                          `json:"topic,omitempty"`
	Frequency types.MaximumExecutionFrequency `json:"frequency,omitempty"`
}

// configOps are the operations of AWS Config. Recorder operations have the
// recorder as their resource; those of delivery channels and the retention
// configuration have none in IAM and are evaluated with "*".
//
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsconfig.html
var configOps = map[string]operation{
	"PutConfigurationRecorder": on(op(write, putConfigurationRecorder), func(c *call, in *configservice.PutConfigurationRecorderInput) string {
		name := defaultName
		if in.ConfigurationRecorder != nil {
			name = orDefault(in.ConfigurationRecorder.Name, defaultName)
		}
		return recorderResource(c, name)
	}),
	"DescribeConfigurationRecorders":      op(read, describeConfigurationRecorders),
	"DescribeConfigurationRecorderStatus": op(read, describeConfigurationRecorderStatus),
	"ListConfigurationRecorders":          op(read, listConfigurationRecorders),
	"StartConfigurationRecorder": on(op(write, startConfigurationRecorder), func(c *call, in *configservice.StartConfigurationRecorderInput) string {
		return recorderResource(c, aws.ToString(in.ConfigurationRecorderName))
	}),
	"StopConfigurationRecorder": on(op(write, stopConfigurationRecorder), func(c *call, in *configservice.StopConfigurationRecorderInput) string {
		return recorderResource(c, aws.ToString(in.ConfigurationRecorderName))
	}),
	"DeleteConfigurationRecorder": on(op(write, deleteConfigurationRecorder), func(c *call, in *configservice.DeleteConfigurationRecorderInput) string {
		return recorderResource(c, aws.ToString(in.ConfigurationRecorderName))
	}),
	"AssociateResourceTypes": on(op(write, associateResourceTypes), func(_ *call, in *configservice.AssociateResourceTypesInput) string {
		return aws.ToString(in.ConfigurationRecorderArn)
	}),
	"DisassociateResourceTypes": on(op(write, disassociateResourceTypes), func(_ *call, in *configservice.DisassociateResourceTypesInput) string {
		return aws.ToString(in.ConfigurationRecorderArn)
	}),
	"PutServiceLinkedConfigurationRecorder":    op(write, putServiceLinkedRecorder),
	"DeleteServiceLinkedConfigurationRecorder": op(write, deleteServiceLinkedRecorder),

	"PutDeliveryChannel":              op(write, putDeliveryChannel),
	"DescribeDeliveryChannels":        op(read, describeDeliveryChannels),
	"DescribeDeliveryChannelStatus":   op(read, describeDeliveryChannelStatus),
	"DeleteDeliveryChannel":           op(write, deleteDeliveryChannel),
	"DeliverConfigSnapshot":           op(write, deliverConfigSnapshot),
	"PutRetentionConfiguration":       op(write, putRetentionConfiguration),
	"DescribeRetentionConfigurations": op(read, describeRetentionConfigurations),
	"DeleteRetentionConfiguration":    op(write, deleteRetentionConfiguration),

	"PutConfigRule": on(op(write, putConfigRule), func(c *call, in *configservice.PutConfigRuleInput) string {
		return configRuleARN(c, aws.ToString(in.ConfigRule.ConfigRuleName))
	}),
	"DescribeConfigRules": op(read, describeConfigRules),
	"DeleteConfigRule": on(op(write, deleteConfigRule), func(c *call, in *configservice.DeleteConfigRuleInput) string {
		return configRuleARN(c, aws.ToString(in.ConfigRuleName))
	}),
	"StartConfigRulesEvaluation":       op(write, startConfigRulesEvaluation),
	"GetComplianceDetailsByConfigRule": op(read, getComplianceDetails),
	"PutConformancePack": on(op(write, putConformancePack), func(c *call, in *configservice.PutConformancePackInput) string {
		return packARN(c, aws.ToString(in.ConformancePackName))
	}),
	"DescribeConformancePacks":      op(read, describePacks),
	"DescribeConformancePackStatus": op(read, describePackStatus),
	"DescribeConformancePackCompliance": on(op(read, describePackCompliance), func(c *call, in *configservice.DescribeConformancePackComplianceInput) string {
		return packARN(c, aws.ToString(in.ConformancePackName))
	}),
	"DeleteConformancePack": on(op(write, deleteConformancePack), func(c *call, in *configservice.DeleteConformancePackInput) string {
		return packARN(c, aws.ToString(in.ConformancePackName))
	}),
	"PutRemediationConfigurations":      op(write, putRemediations),
	"DescribeRemediationConfigurations": op(read, describeRemediations),
	"DeleteRemediationConfiguration":    op(write, deleteRemediation),

	"PutConfigurationAggregator":                   op(write, putConfigurationAggregator),
	"DescribeConfigurationAggregators":             op(read, describeConfigurationAggregators),
	"DescribeConfigurationAggregatorSourcesStatus": op(read, sourcesStatus),
	"SelectAggregateResourceConfig":                op(read, selectAggregate),
	"BatchGetAggregateResourceConfig":              op(read, batchGetAggregate),

	"TagResource": on(op(write, configTagResource), func(_ *call, in *configservice.TagResourceInput) string {
		return aws.ToString(in.ResourceArn)
	}),
	"UntagResource": on(op(write, configUntagResource), func(_ *call, in *configservice.UntagResourceInput) string {
		return aws.ToString(in.ResourceArn)
	}),
	"ListTagsForResource": on(op(read, configListTags), func(_ *call, in *configservice.ListTagsForResourceInput) string {
		return aws.ToString(in.ResourceArn)
	}),
}

// defaultName is the name Config gives to what has none.
const defaultName = "default"

// serviceLinkedPrefix starts the names of service-linked recorders.
const serviceLinkedPrefix = "AWSConfigurationRecorderFor"

// orDefault is a string an SDK user may have left out.
func orDefault(s *string, fallback string) string {
	if aws.ToString(s) == "" {
		return fallback
	}
	return *s
}

// recorderResource is the ARN a recorder operation is authorized with. The
// last part is not known for a recorder that does not exist.
func recorderResource(c *call, name string) string {
	id := "*"
	if r := c.here().Config.Recorders[name]; r != nil {
		id = r.ID
	}
	return c.arn("config", "configuration-recorder/"+name+"/"+id)
}

func recorderARN(c *call, r *configRecorder) string {
	return c.arn("config", "configuration-recorder/"+r.Name+"/"+r.ID)
}

// customerRecorder is the one recorder that is not service-linked; nil when
// there is none.
func (s *configState) customerRecorder() *configRecorder {
	for _, name := range slices.Sorted(maps.Keys(s.Recorders)) {
		if r := s.Recorders[name]; r.ServicePrincipal == "" {
			return r
		}
	}
	return nil
}

func noSuchRecorder(name string) error {
	return apiError("NoSuchConfigurationRecorderException", "Cannot find configuration recorder with the specified name '%s'.", name)
}

// named finds a customer managed recorder to start, stop or delete.
func (s *configState) named(name, verb string) (*configRecorder, error) {
	r := s.Recorders[name]
	switch {
	case r == nil:
		return nil, noSuchRecorder(name)
	case r.ServicePrincipal != "":
		return nil, apiError("UnmodifiableEntityException", "The service-linked configuration recorder '%s' cannot be %s with this operation.", name, verb)
	}
	return r, nil
}

// maxConfigName is the length of a recorder's and of a channel's name. The service
// checks lengths before it looks at names.
// https://docs.aws.amazon.com/config/latest/APIReference/API_ConfigurationRecorder.html
const maxConfigName = 256

func tooLong(value, where string) error {
	return apiError("ValidationException", "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must have length less than or equal to %d",
		value, where, maxConfigName)
}

func putConfigurationRecorder(c *call, in *configservice.PutConfigurationRecorderInput) (*configservice.PutConfigurationRecorderOutput, error) {
	s := &c.here().Config
	want := in.ConfigurationRecorder
	name := orDefault(want.Name, defaultName)
	switch {
	case len(name) > maxConfigName:
		return nil, tooLong(name, "configurationRecorder.name")
	case strings.HasPrefix(name, serviceLinkedPrefix):
		return nil, apiError("InvalidConfigurationRecorderNameException", "The configuration recorder name '%s' is not valid.", name)
	case want.ServicePrincipal != nil:
		return nil, apiError("UnmodifiableEntityException", "A service-linked configuration recorder cannot be created with this operation.")
	}
	if service, _, _, resource, ok := arnParts(aws.ToString(want.RoleARN)); !ok || service != "iam" || !strings.HasPrefix(resource, "role/") {
		return nil, apiError("InvalidRoleException", "The role ARN '%s' is not a valid ARN of an IAM role.", aws.ToString(want.RoleARN))
	}
	if err := c.passRole(*want.RoleARN); err != nil {
		return nil, err
	}
	group, err := recordingGroup(want.RecordingGroup)
	if err != nil {
		return nil, err
	}
	mode, err := recordingMode(want.RecordingMode)
	if err != nil {
		return nil, err
	}
	r := s.customerRecorder()
	if r != nil && r.Name != name {
		return nil, apiError("MaxNumberOfConfigurationRecordersExceededException",
			"Failed to put configuration recorder '%s' because the maximum number of configuration recorders: 1 is reached.", name)
	}
	if r == nil {
		r = &configRecorder{Name: name, ID: c.w.id(16), Scope: types.RecordingScopePaid, Tags: map[string]string{}}
		for _, t := range in.Tags { // tags count at creation only
			r.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
		if s.Recorders == nil {
			s.Recorders = map[string]*configRecorder{}
		}
		s.Recorders[name] = r
	}
	r.RoleARN, r.Group, r.Mode = *want.RoleARN, group, mode
	return &configservice.PutConfigurationRecorderOutput{}, nil
}

// recordingGroup checks a recording group and completes it as Config returns
// it: all fields set, and no group at all meaning all supported types.
//
// https://docs.aws.amazon.com/config/latest/APIReference/API_RecordingGroup.html
func recordingGroup(in *types.RecordingGroup) (types.RecordingGroup, error) {
	refuse := func(why string) (types.RecordingGroup, error) {
		return types.RecordingGroup{}, apiError("InvalidRecordingGroupException", "%s", why)
	}
	g := types.RecordingGroup{AllSupported: true}
	if in != nil {
		g = detach(*in)
	}
	var excluded []types.ResourceType
	if g.ExclusionByResourceTypes != nil {
		excluded = g.ExclusionByResourceTypes.ResourceTypes
	}
	var strategy types.RecordingStrategyType
	if g.RecordingStrategy != nil {
		strategy = g.RecordingStrategy.UseOnly
	}
	if strategy == "" {
		switch {
		case g.AllSupported:
			strategy = types.RecordingStrategyTypeAllSupportedResourceTypes
		case len(excluded) > 0:
			return refuse("To exclude resource types, set the useOnly field of recordingStrategy to EXCLUSION_BY_RESOURCE_TYPES.")
		case len(g.ResourceTypes) > 0:
			strategy = types.RecordingStrategyTypeInclusionByResourceTypes
		default:
			return refuse("The recording group provided is not valid: every parameter is either null, false, or empty.")
		}
	}
	all := strategy == types.RecordingStrategyTypeAllSupportedResourceTypes
	exclusion := strategy == types.RecordingStrategyTypeExclusionByResourceTypes
	switch {
	case all != g.AllSupported:
		return refuse("The allSupported field must be true with, and only with, the recording strategy ALL_SUPPORTED_RESOURCE_TYPES.")
	case (all || exclusion) && len(g.ResourceTypes) > 0:
		return refuse("You cannot list resource types to record with the recording strategy " + string(strategy) + ".")
	case !exclusion && len(excluded) > 0:
		return refuse("You cannot exclude resource types with the recording strategy " + string(strategy) + ".")
	case exclusion && len(excluded) == 0:
		return refuse("The recording strategy EXCLUSION_BY_RESOURCE_TYPES needs resource types to exclude.")
	case strategy == types.RecordingStrategyTypeInclusionByResourceTypes && len(g.ResourceTypes) == 0:
		return refuse("The recording strategy INCLUSION_BY_RESOURCE_TYPES needs resource types to record.")
	case strategy == types.RecordingStrategyTypeInclusionByResourceTypes && g.IncludeGlobalResourceTypes:
		return refuse("The includeGlobalResourceTypes field can be true only if allSupported is.")
	}
	if err := knownResourceTypes(slices.Concat(g.ResourceTypes, excluded)); err != nil {
		return types.RecordingGroup{}, err
	}
	return types.RecordingGroup{
		AllSupported:               g.AllSupported,
		IncludeGlobalResourceTypes: g.IncludeGlobalResourceTypes,
		ResourceTypes:              append([]types.ResourceType{}, g.ResourceTypes...),
		ExclusionByResourceTypes:   &types.ExclusionByResourceTypes{ResourceTypes: append([]types.ResourceType{}, excluded...)},
		RecordingStrategy:          &types.RecordingStrategy{UseOnly: strategy},
	}, nil
}

// knownResourceTypes refuses what is not in the API's enumeration.
func knownResourceTypes(list []types.ResourceType) error {
	for _, t := range list {
		if !slices.Contains(t.Values(), t) {
			return apiError("ValidationException", "1 validation error detected: Value '%s' at 'resourceTypes' failed to satisfy constraint: Member must satisfy enum value set", t)
		}
	}
	return nil
}

// onlyContinuous are the types that cannot be recorded daily.
// https://docs.aws.amazon.com/config/latest/APIReference/API_RecordingMode.html
var onlyContinuous = []types.ResourceType{
	types.ResourceTypeResourceCompliance, types.ResourceTypeConformancePackCompliance, types.ResourceType("AWS::Config::ConfigurationRecorder"),
}

// recordingMode checks a recording mode; without one it is continuous.
func recordingMode(in *types.RecordingMode) (types.RecordingMode, error) {
	m := types.RecordingMode{RecordingFrequency: types.RecordingFrequencyContinuous}
	if in != nil {
		m = detach(*in)
	}
	refuse := func(format string, args ...any) (types.RecordingMode, error) {
		return types.RecordingMode{}, apiError("ValidationException", format, args...)
	}
	if !slices.Contains(m.RecordingFrequency.Values(), m.RecordingFrequency) {
		return refuse("1 validation error detected: Value '%s' at 'configurationRecorder.recordingMode.recordingFrequency' failed to satisfy constraint: Member must satisfy enum value set", m.RecordingFrequency)
	}
	if len(m.RecordingModeOverrides) > 1 {
		return refuse("1 validation error detected: Value at 'configurationRecorder.recordingMode.recordingModeOverrides' failed to satisfy constraint: Member must have length less than or equal to 1")
	}
	for _, o := range m.RecordingModeOverrides {
		if len(o.ResourceTypes) == 0 {
			return refuse("A recording mode override needs resource types.")
		}
		if err := knownResourceTypes(o.ResourceTypes); err != nil {
			return types.RecordingMode{}, err
		}
		for _, t := range o.ResourceTypes {
			if o.RecordingFrequency == types.RecordingFrequencyDaily && slices.Contains(onlyContinuous, t) {
				return refuse("The resource type %s does not support daily recording.", t)
			}
		}
	}
	m.RecordingModeOverrides = append([]types.RecordingModeOverride{}, m.RecordingModeOverrides...)
	return m, nil
}

// selectRecorders is the selection of the Describe operations: at most one
// recorder, and without a selector the customer managed one.
func selectRecorders(c *call, names []string, arn, principal *string) ([]*configRecorder, error) {
	s := &c.here().Config
	selectors := len(names)
	for _, p := range []*string{arn, principal} {
		if p != nil {
			selectors++
		}
	}
	if selectors > 1 {
		return nil, apiError("ValidationException", "You can specify only one configuration recorder.")
	}
	switch {
	case len(names) == 1:
		if r := s.Recorders[names[0]]; r != nil {
			return []*configRecorder{r}, nil
		}
		return nil, noSuchRecorder(names[0])
	case arn != nil:
		for _, r := range s.Recorders {
			if recorderARN(c, r) == *arn {
				return []*configRecorder{r}, nil
			}
		}
		return nil, noSuchRecorder(*arn)
	case principal != nil:
		if !slices.Contains(recorderServices, *principal) {
			return nil, apiError("ValidationException", "The service principal '%s' is not valid.", *principal)
		}
		for _, r := range s.Recorders {
			if r.ServicePrincipal == *principal {
				return []*configRecorder{r}, nil
			}
		}
		return nil, nil
	}
	if r := s.customerRecorder(); r != nil {
		return []*configRecorder{r}, nil
	}
	return nil, nil
}

// describe is a recorder as Config returns it.
func (r *configRecorder) describe(c *call) types.ConfigurationRecorder {
	group, mode := detach(r.Group), detach(r.Mode)
	out := types.ConfigurationRecorder{
		Arn: aws.String(recorderARN(c, r)), Name: aws.String(r.Name), RoleARN: aws.String(r.RoleARN),
		RecordingGroup: &group, RecordingMode: &mode, RecordingScope: r.Scope,
	}
	if r.ServicePrincipal != "" {
		out.ServicePrincipal = aws.String(r.ServicePrincipal)
	}
	return out
}

func describeConfigurationRecorders(c *call, in *configservice.DescribeConfigurationRecordersInput) (*configservice.DescribeConfigurationRecordersOutput, error) {
	found, err := selectRecorders(c, in.ConfigurationRecorderNames, in.Arn, in.ServicePrincipal)
	if err != nil {
		return nil, err
	}
	out := &configservice.DescribeConfigurationRecordersOutput{ConfigurationRecorders: []types.ConfigurationRecorder{}}
	for _, r := range found {
		out.ConfigurationRecorders = append(out.ConfigurationRecorders, r.describe(c))
	}
	return out, nil
}

func startConfigurationRecorder(c *call, in *configservice.StartConfigurationRecorderInput) (*configservice.StartConfigurationRecorderOutput, error) {
	s := &c.here().Config
	r, err := s.named(aws.ToString(in.ConfigurationRecorderName), "started")
	if err != nil {
		return nil, err
	}
	if s.Channel == nil {
		return nil, apiError("NoAvailableDeliveryChannelException", "Delivery channel is not available to start configuration recorder.")
	}
	if !r.Recording {
		r.Recording, r.Started, s.Frozen = true, c.now, nil
	}
	return &configservice.StartConfigurationRecorderOutput{}, nil
}

func stopConfigurationRecorder(c *call, in *configservice.StopConfigurationRecorderInput) (*configservice.StopConfigurationRecorderOutput, error) {
	s := &c.here().Config
	r, err := s.named(aws.ToString(in.ConfigurationRecorderName), "stopped")
	if err != nil {
		return nil, err
	}
	if r.Recording {
		s.Frozen = c.w.items(accountRegion{c.caller.Account, c.region}, c.now)
		r.Recording, r.Stopped = false, c.now
	}
	return &configservice.StopConfigurationRecorderOutput{}, nil
}

// deleteConfigurationRecorder deletes a recorder, recording or not. What it
// recorded stays, and so does the delivery channel.
func deleteConfigurationRecorder(c *call, in *configservice.DeleteConfigurationRecorderInput) (*configservice.DeleteConfigurationRecorderOutput, error) {
	s := &c.here().Config
	r, err := s.named(aws.ToString(in.ConfigurationRecorderName), "deleted")
	if err != nil {
		return nil, err
	}
	delete(s.Recorders, r.Name)
	s.Frozen = nil
	return &configservice.DeleteConfigurationRecorderOutput{}, nil
}

func describeConfigurationRecorderStatus(c *call, in *configservice.DescribeConfigurationRecorderStatusInput) (*configservice.DescribeConfigurationRecorderStatusOutput, error) {
	found, err := selectRecorders(c, in.ConfigurationRecorderNames, in.Arn, in.ServicePrincipal)
	if err != nil {
		return nil, err
	}
	out := &configservice.DescribeConfigurationRecorderStatusOutput{ConfigurationRecordersStatus: []types.ConfigurationRecorderStatus{}}
	for _, r := range found {
		out.ConfigurationRecordersStatus = append(out.ConfigurationRecordersStatus, r.status(c))
	}
	return out, nil
}

// status is the state of a recorder and of the last thing it did: pending
// after the start, then success, or failure when it cannot use its role.
func (r *configRecorder) status(c *call) types.ConfigurationRecorderStatus {
	out := types.ConfigurationRecorderStatus{Arn: aws.String(recorderARN(c, r)), Name: aws.String(r.Name), Recording: r.Recording}
	if r.ServicePrincipal != "" {
		// These have no channel to deliver to, and nobody starts them.
		out.ServicePrincipal, out.LastStatus = aws.String(r.ServicePrincipal), types.RecorderStatusNotApplicable
		return out
	}
	if !r.Started.IsZero() {
		out.LastStartTime = aws.Time(r.Started)
		out.LastStatusChangeTime = aws.Time(r.Started)
		out.LastStatus = types.RecorderStatusPending
		ready := r.Started.Add(c.w.timing.Recorder)
		if !c.now.Before(ready) {
			out.LastStatus, out.LastStatusChangeTime = types.RecorderStatusSuccess, aws.Time(ready)
		}
		if why := c.w.assumable(r.RoleARN, "config.amazonaws.com", c.caller.Account, "", c.now); why != "" && r.Recording {
			out.LastStatus = types.RecorderStatusFailure
			out.LastErrorCode, out.LastErrorMessage = aws.String("AccessDenied"), aws.String("AWS Config cannot record: "+why+".")
		}
	}
	if !r.Stopped.IsZero() {
		out.LastStopTime = aws.Time(r.Stopped)
	}
	return out
}

func listConfigurationRecorders(c *call, in *configservice.ListConfigurationRecordersInput) (*configservice.ListConfigurationRecordersOutput, error) {
	s := &c.here().Config
	limit := 20
	if n := int(aws.ToInt32(in.MaxResults)); n > 0 && n < limit {
		limit = n
	}
	var all []types.ConfigurationRecorderSummary
	for _, name := range slices.Sorted(maps.Keys(s.Recorders)) {
		r := s.Recorders[name]
		keep := true
		for _, f := range in.Filters {
			keep = keep && (f.FilterName != types.ConfigurationRecorderFilterNameRecordingScope || slices.Contains(f.FilterValue, string(r.Scope)))
		}
		if !keep {
			continue
		}
		sum := types.ConfigurationRecorderSummary{Arn: aws.String(recorderARN(c, r)), Name: aws.String(r.Name), RecordingScope: r.Scope}
		if r.ServicePrincipal != "" {
			sum.ServicePrincipal = aws.String(r.ServicePrincipal)
		}
		all = append(all, sum)
	}
	page, next, ok := pageOf(c, all, limit, in.NextToken)
	if !ok {
		return nil, invalidConfigToken()
	}
	return &configservice.ListConfigurationRecordersOutput{ConfigurationRecorderSummaries: append([]types.ConfigurationRecorderSummary{}, page...), NextToken: next}, nil
}

func invalidConfigToken() error {
	return apiError("InvalidNextTokenException", "The specified next token is not valid. Specify the nextToken string that was returned in the previous response to get the next page of results.")
}
