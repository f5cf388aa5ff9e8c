package sim

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/smithy-go"
)

// recorderServices are the services that may have a service-linked recorder.
// https://docs.aws.amazon.com/config/latest/developerguide/stop-start-recorder.html
var recorderServices = []string{
	"agent-registry.amazonaws.com", "network-security-director.amazonaws.com", "observabilityadmin.amazonaws.com",
	"securityhub.amazonaws.com", "telemetry-enablement.observabilityadmin.amazonaws.com",
}

// errorParts returns the code and the message of an API error; nothing of nil.
func errorParts(err error) (code, message string) {
	if err == nil {
		return "", ""
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode(), api.ErrorMessage()
	}
	return "InternalFailure", err.Error()
}

// putServiceLinkedRecorder makes the recorder of an AWS service, which lives
// beside the customer managed one and cannot be stopped.
func putServiceLinkedRecorder(c *call, in *configservice.PutServiceLinkedConfigurationRecorderInput) (*configservice.PutServiceLinkedConfigurationRecorderOutput, error) {
	s := &c.here().Config
	principal := aws.ToString(in.ServicePrincipal)
	if !slices.Contains(recorderServices, principal) {
		return nil, apiError("ValidationException", "The service principal '%s' is not valid.", principal)
	}
	name := serviceLinkedPrefix
	for part := range strings.FieldsFuncSeq(strings.TrimSuffix(principal, ".amazonaws.com"), func(r rune) bool { return r == '.' || r == '-' }) {
		name += strings.ToUpper(part[:1]) + part[1:]
	}
	if s.Recorders[name] != nil {
		return nil, apiError("ConflictException", "A service-linked configuration recorder for '%s' exists already.", principal)
	}
	r := &configRecorder{
		Name: name, ID: c.w.id(16), Scope: types.RecordingScopeInternal, ServicePrincipal: principal, Recording: true, Started: c.now,
		RoleARN: "arn:" + c.w.state.Partition + ":iam::" + c.caller.Account + ":role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig",
		Group: types.RecordingGroup{
			ResourceTypes:            []types.ResourceType{},
			ExclusionByResourceTypes: &types.ExclusionByResourceTypes{ResourceTypes: []types.ResourceType{}},
			RecordingStrategy:        &types.RecordingStrategy{UseOnly: types.RecordingStrategyTypeInclusionByResourceTypes},
		},
		Mode: types.RecordingMode{RecordingFrequency: types.RecordingFrequencyContinuous},
		Tags: map[string]string{},
	}
	for _, t := range in.Tags {
		r.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	if s.Recorders == nil {
		s.Recorders = map[string]*configRecorder{}
	}
	s.Recorders[name] = r
	return &configservice.PutServiceLinkedConfigurationRecorderOutput{Arn: aws.String(recorderARN(c, r)), Name: aws.String(name)}, nil
}

func deleteServiceLinkedRecorder(c *call, in *configservice.DeleteServiceLinkedConfigurationRecorderInput) (*configservice.DeleteServiceLinkedConfigurationRecorderOutput, error) {
	s := &c.here().Config
	if (in.Arn == nil) == (in.ServicePrincipal == nil) {
		return nil, apiError("ValidationException", "Specify either Arn or ServicePrincipal.")
	}
	found, err := selectRecorders(c, nil, in.Arn, in.ServicePrincipal)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 || found[0].ServicePrincipal == "" {
		return nil, noSuchRecorder(aws.ToString(in.ServicePrincipal) + aws.ToString(in.Arn))
	}
	r := found[0]
	delete(s.Recorders, r.Name)
	return &configservice.DeleteServiceLinkedConfigurationRecorderOutput{Arn: aws.String(recorderARN(c, r)), Name: aws.String(r.Name)}, nil
}

// typesOf returns the list that Associate and Disassociate edit: what is
// recorded, or what is excluded. Recorders of all supported types have none.
func (r *configRecorder) typesOf() (list *[]types.ResourceType, excluded bool, err error) {
	switch r.Group.RecordingStrategy.UseOnly {
	case types.RecordingStrategyTypeInclusionByResourceTypes:
		return &r.Group.ResourceTypes, false, nil
	case types.RecordingStrategyTypeExclusionByResourceTypes:
		return &r.Group.ExclusionByResourceTypes.ResourceTypes, true, nil
	}
	return nil, false, apiError("ValidationException", "The recording strategy of the configuration recorder '%s' does not allow to associate or disassociate resource types.", r.Name)
}

// editTypes puts resource types into the scope of a recorder or out of it:
// with exclusions, what is put into the scope leaves the list.
func editTypes(c *call, arn *string, want []types.ResourceType, record bool) (*types.ConfigurationRecorder, error) {
	found, err := selectRecorders(c, nil, arn, nil)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, noSuchRecorder(aws.ToString(arn))
	}
	r := found[0]
	if err := knownResourceTypes(want); err != nil {
		return nil, err
	}
	list, excluded, err := r.typesOf()
	if err != nil {
		return nil, err
	}
	listed := record != excluded // whether the types shall be in the list
	for _, t := range want {
		if slices.Contains(*list, t) == listed {
			return nil, apiError("ValidationException", "The resource type %s is already associated or disassociated with the configuration recorder '%s'.", t, r.Name)
		}
	}
	next := slices.Clone(*list)
	if listed {
		next = append(next, want...)
	} else {
		next = slices.DeleteFunc(next, func(t types.ResourceType) bool { return slices.Contains(want, t) })
	}
	*list = next
	out := r.describe(c)
	return &out, nil
}

func associateResourceTypes(c *call, in *configservice.AssociateResourceTypesInput) (*configservice.AssociateResourceTypesOutput, error) {
	r, err := editTypes(c, in.ConfigurationRecorderArn, in.ResourceTypes, true)
	if err != nil {
		return nil, err
	}
	return &configservice.AssociateResourceTypesOutput{ConfigurationRecorder: r}, nil
}

func disassociateResourceTypes(c *call, in *configservice.DisassociateResourceTypesInput) (*configservice.DisassociateResourceTypesOutput, error) {
	r, err := editTypes(c, in.ConfigurationRecorderArn, in.ResourceTypes, false)
	if err != nil {
		return nil, err
	}
	return &configservice.DisassociateResourceTypesOutput{ConfigurationRecorder: r}, nil
}

// The retention configuration is one number, always called "default".

func putRetentionConfiguration(c *call, in *configservice.PutRetentionConfigurationInput) (*configservice.PutRetentionConfigurationOutput, error) {
	days := aws.ToInt32(in.RetentionPeriodInDays)
	if days < 30 || days > 2557 {
		return nil, apiError("InvalidParameterValueException", "The retention period must be between 30 and 2557 days, not %d.", days)
	}
	c.here().Config.RetentionDays = days
	return &configservice.PutRetentionConfigurationOutput{RetentionConfiguration: retention(days)}, nil
}

func retention(days int32) *types.RetentionConfiguration {
	return &types.RetentionConfiguration{Name: aws.String(defaultName), RetentionPeriodInDays: aws.Int32(days)}
}

func noSuchRetention(name string) error {
	return apiError("NoSuchRetentionConfigurationException", "Cannot find retention configuration with the specified name '%s'.", name)
}

func describeRetentionConfigurations(c *call, in *configservice.DescribeRetentionConfigurationsInput) (*configservice.DescribeRetentionConfigurationsOutput, error) {
	days := c.here().Config.RetentionDays
	if in.NextToken != nil {
		return nil, invalidConfigToken()
	}
	for _, name := range in.RetentionConfigurationNames {
		if days == 0 || name != defaultName {
			return nil, noSuchRetention(name)
		}
	}
	out := &configservice.DescribeRetentionConfigurationsOutput{RetentionConfigurations: []types.RetentionConfiguration{}}
	if days > 0 {
		out.RetentionConfigurations = append(out.RetentionConfigurations, *retention(days))
	}
	return out, nil
}

func deleteRetentionConfiguration(c *call, in *configservice.DeleteRetentionConfigurationInput) (*configservice.DeleteRetentionConfigurationOutput, error) {
	s := &c.here().Config
	if name := aws.ToString(in.RetentionConfigurationName); s.RetentionDays == 0 || name != defaultName {
		return nil, noSuchRetention(name)
	}
	s.RetentionDays = 0
	return &configservice.DeleteRetentionConfigurationOutput{}, nil
}

// tagged finds the recorder of a tag operation. Config has other resources
// with tags; the world has none of them.
func configTagged(c *call, arn *string) (*configRecorder, error) {
	s := &c.here().Config
	for _, r := range s.Recorders {
		if recorderARN(c, r) == aws.ToString(arn) {
			return r, nil
		}
	}
	return nil, apiError("ResourceNotFoundException", "Resource %s does not exist.", aws.ToString(arn))
}

func configTagResource(c *call, in *configservice.TagResourceInput) (*configservice.TagResourceOutput, error) {
	r, err := configTagged(c, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags := maps.Clone(r.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	for _, t := range in.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	if len(tags) > maxTags {
		return nil, apiError("TooManyTagsException", "You have reached the limit of %d tags for a resource.", maxTags)
	}
	r.Tags = tags
	return &configservice.TagResourceOutput{}, nil
}

func configUntagResource(c *call, in *configservice.UntagResourceInput) (*configservice.UntagResourceOutput, error) {
	r, err := configTagged(c, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(r.Tags, k)
	}
	return &configservice.UntagResourceOutput{}, nil
}

func configListTags(c *call, in *configservice.ListTagsForResourceInput) (*configservice.ListTagsForResourceOutput, error) {
	r, err := configTagged(c, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	limit := 50
	if in.Limit > 0 && int(in.Limit) < limit {
		limit = int(in.Limit)
	}
	page, next, ok := pageOf(c, slices.Sorted(maps.Keys(r.Tags)), limit, in.NextToken)
	if !ok {
		return nil, invalidConfigToken()
	}
	out := &configservice.ListTagsForResourceOutput{Tags: []types.Tag{}, NextToken: next}
	for _, k := range page {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(k), Value: aws.String(r.Tags[k])})
	}
	return out, nil
}

// maxTags is how many tags AWS allows on one resource.
const maxTags = 50
