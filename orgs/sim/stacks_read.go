package sim

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// noEcho is what CloudFormation shows of a NoEcho parameter.
const noEcho = "****"

func describeStacks(c *call, in *cloudformation.DescribeStacksInput) (*cloudformation.DescribeStacksOutput, error) {
	if name := aws.ToString(in.StackName); name != "" {
		s := c.stackNamed(name)
		if s == nil {
			return nil, validationError("Stack with id %s does not exist", name)
		}
		return &cloudformation.DescribeStacksOutput{Stacks: []types.Stack{c.w.apiStack(s)}}, nil
	}
	all := c.stacksByAge(func(s *stack) bool { return s.Status != "DELETE_COMPLETE" })
	from, to, next, err := cfnPageOf("stacks", in.NextToken, nil, len(all), func(i int) string { return all[i].ID })
	if err != nil {
		return nil, err
	}
	out := &cloudformation.DescribeStacksOutput{NextToken: next}
	for _, s := range all[from:to] {
		out.Stacks = append(out.Stacks, c.w.apiStack(s))
	}
	return out, nil
}

// stacksByAge is the stacks of the call's account × Region, newest first.
func (c *call) stacksByAge(keep func(*stack) bool) []*stack {
	var out []*stack
	for _, s := range c.here().Stacks.Stacks {
		if keep(s) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *stack) int {
		if n := b.Created.Compare(a.Created); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

func (w *World) apiStack(s *stack) types.Stack {
	out := types.Stack{
		StackId: aws.String(s.ID), StackName: aws.String(s.Name), StackStatus: types.StackStatus(s.Status), CreationTime: aws.Time(s.Created),
		DisableRollback: aws.Bool(s.OnFailure == "DO_NOTHING"), EnableTerminationProtection: aws.Bool(s.Protected),
		DriftInformation: &types.StackDriftInformation{StackDriftStatus: types.StackDriftStatusNotChecked},
		NotificationARNs: slices.Clone(s.NotifyARNs), Tags: apiTags(s.Tags),
	}
	if s.Description != "" {
		out.Description = aws.String(s.Description)
	}
	if s.Reason != "" {
		out.StackStatusReason = aws.String(s.Reason)
	}
	if s.RoleARN != "" {
		out.RoleARN = aws.String(s.RoleARN)
	}
	if !s.Updated.IsZero() {
		out.LastUpdatedTime = aws.Time(s.Updated)
	}
	if !s.Deleted.IsZero() {
		out.DeletionTime = aws.Time(s.Deleted)
	}
	for _, c := range s.Capabilities {
		out.Capabilities = append(out.Capabilities, types.Capability(c))
	}
	t, _ := w.parsedTemplate(s.Template)
	out.Parameters = apiParameters(t, s.Parameters)
	for _, o := range s.Outputs {
		api := types.Output{OutputKey: aws.String(o.Key), OutputValue: aws.String(o.Value)}
		if o.Description != "" {
			api.Description = aws.String(o.Description)
		}
		if o.Export != "" {
			api.ExportName = aws.String(o.Export)
		}
		out.Outputs = append(out.Outputs, api)
	}
	return out
}

func apiTags(tags map[string]string) []types.Tag {
	return tagsOf(tags, func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} })
}

// apiParameters shows parameters, except the values of those with NoEcho.
func apiParameters(t *template, params map[string]string) []types.Parameter {
	out := make([]types.Parameter, 0, len(params))
	for _, k := range sortedKeys(params) {
		value := params[k]
		if t != nil && t.parameters[k] != nil && t.parameters[k].noEcho {
			value = noEcho
		}
		out = append(out, types.Parameter{ParameterKey: aws.String(k), ParameterValue: aws.String(value)})
	}
	return out
}

func listStacks(c *call, in *cloudformation.ListStacksInput) (*cloudformation.ListStacksOutput, error) {
	all := c.stacksByAge(func(s *stack) bool {
		return len(in.StackStatusFilter) == 0 || slices.Contains(in.StackStatusFilter, types.StackStatus(s.Status))
	})
	from, to, next, err := cfnPageOf("list-stacks", in.NextToken, nil, len(all), func(i int) string { return all[i].ID })
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListStacksOutput{NextToken: next}
	for _, s := range all[from:to] {
		api := c.w.apiStack(s)
		out.StackSummaries = append(out.StackSummaries, types.StackSummary{
			StackId: api.StackId, StackName: api.StackName, StackStatus: api.StackStatus, StackStatusReason: api.StackStatusReason,
			CreationTime: api.CreationTime, LastUpdatedTime: api.LastUpdatedTime, DeletionTime: api.DeletionTime, TemplateDescription: api.Description,
			DriftInformation: &types.StackDriftInformationSummary{StackDriftStatus: types.StackDriftStatusNotChecked},
		})
	}
	return out, nil
}

// existing is stackNamed for operations that need the stack.
func (c *call) existing(name *string) (*stack, error) {
	if s := c.stackNamed(aws.ToString(name)); s != nil {
		return s, nil
	}
	return nil, validationError("Stack with id %s does not exist", aws.ToString(name))
}

func getTemplate(c *call, in *cloudformation.GetTemplateInput) (*cloudformation.GetTemplateOutput, error) {
	s, err := c.existing(in.StackName)
	if err != nil {
		return nil, err
	}
	return &cloudformation.GetTemplateOutput{
		TemplateBody:    aws.String(c.w.state.StackSets.Templates[s.Template]),
		StagesAvailable: []types.TemplateStage{types.TemplateStageOriginal, types.TemplateStageProcessed},
	}, nil
}

func describeStackEvents(c *call, in *cloudformation.DescribeStackEventsInput) (*cloudformation.DescribeStackEventsOutput, error) {
	if in.StackName == nil {
		return nil, validationError("1 validation error detected: Value null at 'stackName' failed to satisfy constraint: Member must not be null")
	}
	s := c.stackNamed(*in.StackName)
	if s == nil {
		return nil, validationError("Stack [%s] does not exist", *in.StackName)
	}
	events := slices.Clone(s.Events)
	slices.Reverse(events) // newest first
	from, to, next, err := cfnPageOf("events", in.NextToken, nil, len(events), func(i int) string { return events[i].ID })
	if err != nil {
		return nil, err
	}
	out := &cloudformation.DescribeStackEventsOutput{NextToken: next}
	for _, e := range events[from:to] {
		api := types.StackEvent{
			EventId: aws.String(e.Logical + "-" + e.Status + "-" + e.ID), StackId: aws.String(s.ID), StackName: aws.String(s.Name), Timestamp: aws.Time(e.Time),
			LogicalResourceId: aws.String(e.Logical), PhysicalResourceId: aws.String(e.Physical), ResourceType: aws.String(e.Type),
			ResourceStatus: types.ResourceStatus(e.Status),
		}
		if e.Reason != "" {
			api.ResourceStatusReason = aws.String(e.Reason)
		}
		out.StackEvents = append(out.StackEvents, api)
	}
	return out, nil
}

// describeStackResources gives at most 100 resources and has no pages, as in
// AWS; ListStackResources has them all.
func describeStackResources(c *call, in *cloudformation.DescribeStackResourcesInput) (*cloudformation.DescribeStackResourcesOutput, error) {
	var s *stack
	switch {
	case in.StackName != nil:
		var err error
		if s, err = c.existing(in.StackName); err != nil {
			return nil, err
		}
	case in.PhysicalResourceId != nil:
		for _, other := range c.stacksByAge(func(s *stack) bool { return s.Status != "DELETE_COMPLETE" }) {
			for _, r := range other.Resources {
				if r.Physical == *in.PhysicalResourceId {
					s = other
				}
			}
		}
		if s == nil {
			return nil, validationError("Stack for %s does not exist", *in.PhysicalResourceId)
		}
	default:
		return nil, validationError("Either StackName or PhysicalResourceId must be specified.")
	}
	out := &cloudformation.DescribeStackResourcesOutput{}
	for _, name := range sortedKeys(s.Resources) {
		r := s.Resources[name]
		if in.LogicalResourceId != nil && *in.LogicalResourceId != name || len(out.StackResources) == cfnPage {
			continue
		}
		api := types.StackResource{
			StackId: aws.String(s.ID), StackName: aws.String(s.Name), LogicalResourceId: aws.String(name), PhysicalResourceId: aws.String(r.Physical),
			ResourceType: aws.String(r.Type), ResourceStatus: types.ResourceStatus(r.Status), Timestamp: aws.Time(r.Updated),
			DriftInformation: &types.StackResourceDriftInformation{StackResourceDriftStatus: types.StackResourceDriftStatusNotChecked},
		}
		if r.Reason != "" {
			api.ResourceStatusReason = aws.String(r.Reason)
		}
		out.StackResources = append(out.StackResources, api)
	}
	return out, nil
}

func listStackResources(c *call, in *cloudformation.ListStackResourcesInput) (*cloudformation.ListStackResourcesOutput, error) {
	s, err := c.existing(in.StackName)
	if err != nil {
		return nil, err
	}
	names := sortedKeys(s.Resources)
	from, to, next, err := cfnPageOf("resources", in.NextToken, nil, len(names), func(i int) string { return names[i] })
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListStackResourcesOutput{NextToken: next}
	for _, name := range names[from:to] {
		r := s.Resources[name]
		api := types.StackResourceSummary{
			LogicalResourceId: aws.String(name), PhysicalResourceId: aws.String(r.Physical), ResourceType: aws.String(r.Type),
			ResourceStatus: types.ResourceStatus(r.Status), LastUpdatedTimestamp: aws.Time(r.Updated),
			DriftInformation: &types.StackResourceDriftInformationSummary{StackResourceDriftStatus: types.StackResourceDriftStatusNotChecked},
		}
		if r.Reason != "" {
			api.ResourceStatusReason = aws.String(r.Reason)
		}
		out.StackResourceSummaries = append(out.StackResourceSummaries, api)
	}
	return out, nil
}

func listExports(c *call, in *cloudformation.ListExportsInput) (*cloudformation.ListExportsOutput, error) {
	var all []types.Export
	for _, s := range c.w.liveStacks(c.caller.Account, c.region) {
		for _, o := range s.Outputs {
			if o.Export != "" {
				all = append(all, types.Export{ExportingStackId: aws.String(s.ID), Name: aws.String(o.Export), Value: aws.String(o.Value)})
			}
		}
	}
	slices.SortFunc(all, func(a, b types.Export) int { return strings.Compare(*a.Name, *b.Name) })
	from, to, next, err := cfnPageOf("exports", in.NextToken, nil, len(all), func(i int) string { return *all[i].Name })
	if err != nil {
		return nil, err
	}
	return &cloudformation.ListExportsOutput{Exports: all[from:to], NextToken: next}, nil
}

func validateTemplate(c *call, in *cloudformation.ValidateTemplateInput) (*cloudformation.ValidateTemplateOutput, error) {
	_, t, err := c.loadTemplate(templateInput{body: in.TemplateBody, url: in.TemplateURL})
	if err != nil {
		return nil, err
	}
	if unknown := t.unknownTypes(); len(unknown) > 0 {
		return nil, validationError("Template format error: Unrecognized resource types: [%s]", strings.Join(unknown, ", "))
	}
	out := &cloudformation.ValidateTemplateOutput{Description: aws.String(t.description), DeclaredTransforms: slices.Clone(t.transforms)}
	for _, name := range sortedKeys(t.parameters) {
		p := t.parameters[name]
		out.Parameters = append(out.Parameters, types.TemplateParameter{
			ParameterKey: aws.String(name), DefaultValue: p.value, Description: aws.String(p.description), NoEcho: aws.Bool(p.noEcho)})
	}
	if capability, reason := t.capabilities(); capability != "" {
		out.Capabilities, out.CapabilitiesReason = []types.Capability{types.Capability(capability)}, aws.String(reason)
	}
	return out, nil
}

func getTemplateSummary(c *call, in *cloudformation.GetTemplateSummaryInput) (*cloudformation.GetTemplateSummaryOutput, error) {
	input := templateInput{body: in.TemplateBody, url: in.TemplateURL}
	switch {
	case in.StackName != nil:
		s, err := c.existing(in.StackName)
		if err != nil {
			return nil, err
		}
		input.previous = s.Template
	case in.StackSetName != nil:
		s, err := c.stackSet(in.StackSetName, in.CallAs)
		if err != nil {
			return nil, err
		}
		input.previous = s.Template
	}
	_, t, err := c.loadTemplate(input)
	if err != nil {
		return nil, err
	}
	out := &cloudformation.GetTemplateSummaryOutput{
		Description: aws.String(t.description), Version: aws.String("2010-09-09"), DeclaredTransforms: slices.Clone(t.transforms), ResourceTypes: t.resourceTypesUsed(),
	}
	if t.metadata != nil {
		out.Metadata = aws.String(jsonText(t.metadata))
	}
	for _, name := range sortedKeys(t.parameters) {
		p := t.parameters[name]
		d := types.ParameterDeclaration{
			ParameterKey: aws.String(name), ParameterType: aws.String(p.typ), DefaultValue: p.value, Description: aws.String(p.description), NoEcho: aws.Bool(p.noEcho),
			ParameterConstraints: &types.ParameterConstraints{AllowedValues: slices.Clone(p.allowed)},
		}
		out.Parameters = append(out.Parameters, d)
	}
	if capability, reason := t.capabilities(); capability != "" {
		out.Capabilities, out.CapabilitiesReason = []types.Capability{types.Capability(capability)}, aws.String(reason)
	}
	return out, nil
}
