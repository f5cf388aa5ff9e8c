package sim

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/orgguard/orgguard/orgs"
)

// maxStacks is how many stacks an account may have in a Region.
const maxStacks = 2000

// stackSetsVia is who calls when StackSets works on a stack instance. Its
// calls are carried out at once: StackSets itself takes the time.
const stackSetsVia = "stacksets.cloudformation.amazonaws.com"

var stackName = orgs.NewPattern(`^[A-Za-z][A-Za-z0-9-]{0,127}$`)

// stackResourceARN is the ARN an operation on a stack asks permission for.
func stackResourceARN(c *call, name *string) string {
	n := aws.ToString(name)
	if strings.HasPrefix(n, "arn:") {
		return n
	}
	if s := c.stackNamed(n); s != nil {
		return s.ID
	}
	return c.arn("cloudformation", "stack/"+n+"/*")
}

// stackNamed finds a stack by name, which deleted ones have lost, or by id;
// nil when there is none.
func (c *call) stackNamed(name string) *stack {
	stacks := c.here().Stacks.Stacks
	if s := stacks[name]; s != nil {
		return s
	}
	for _, s := range stacks {
		if s.Name == name && s.Status != "DELETE_COMPLETE" {
			return s
		}
	}
	return nil
}

func parametersOf(list []types.Parameter, previous map[string]string) (map[string]string, error) {
	out := map[string]string{}
	for _, p := range list {
		key := aws.ToString(p.ParameterKey)
		if _, twice := out[key]; twice {
			return nil, validationError("Duplicate parameter key '%s'", key)
		}
		if !aws.ToBool(p.UsePreviousValue) {
			out[key] = aws.ToString(p.ParameterValue)
			continue
		}
		if p.ParameterValue != nil {
			return nil, validationError("Invalid input for parameter key %s. Cannot specify usePreviousValue as true and non empty value for a parameter", key)
		}
		value, ok := previous[key]
		if !ok {
			return nil, validationError("Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key not in the previous template", key)
		}
		out[key] = value
	}
	return out, nil
}

func stackTags(list []types.Tag) (map[string]string, error) {
	if len(list) > 50 {
		return nil, validationError("1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50")
	}
	out := map[string]string{}
	for _, t := range list {
		key := aws.ToString(t.Key)
		if strings.HasPrefix(key, "aws:") {
			return nil, validationError("aws: prefixed tag key names are not allowed for external use.")
		}
		out[key] = aws.ToString(t.Value)
	}
	return out, nil
}

func capabilityNames(list []types.Capability) []string {
	out := make([]string, 0, len(list))
	for _, c := range list {
		out = append(out, string(c))
	}
	return out
}

// checkStack is what CloudFormation checks of a template and its parameters
// before it accepts a stack operation.
func (c *call) checkStack(t *template, given map[string]string, capabilities []string) (map[string]string, error) {
	if unknown := t.unknownTypes(); len(unknown) > 0 {
		return nil, validationError("Template format error: Unrecognized resource types: [%s]", strings.Join(unknown, ", "))
	}
	params, err := t.resolveParameters(given)
	if err != nil {
		return nil, err
	}
	if err := t.admit(capabilities); err != nil {
		return nil, err
	}
	probe := c.w.stackScope(c, &stack{}, t, params, nil)
	_, err = probe.resolve()
	return params, err
}

// actor is whose permissions CloudFormation uses: the role's it is given, or
// the caller's own.
func (c *call) actor(roleARN string) (Principal, error) {
	if roleARN == "" {
		return c.caller, nil
	}
	if err := c.passRole(roleARN); err != nil {
		return Principal{}, err
	}
	if why := c.w.assumable(roleARN, cloudformationVia, c.caller.Account, "", c.now); why != "" || arnAccount(roleARN) != c.caller.Account {
		return Principal{}, validationError("Role %s is invalid or cannot be assumed", roleARN)
	}
	return c.w.sessionOf(roleARN, "AWSCloudFormation"), nil
}

func createStack(c *call, in *cloudformation.CreateStackInput) (*cloudformation.CreateStackOutput, error) {
	name := aws.ToString(in.StackName)
	if !stackName.MatchString(name) {
		return nil, validationError("1 validation error detected: Value '%s' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name)
	}
	if old := c.stackNamed(name); old != nil {
		if in.ClientRequestToken != nil && old.Token == *in.ClientRequestToken {
			return &cloudformation.CreateStackOutput{StackId: &old.ID}, nil
		}
		return nil, apiError("AlreadyExistsException", "Stack [%s] already exists", name)
	}
	if in.DisableRollback != nil && in.OnFailure != "" {
		return nil, validationError("Only one of DisableRollback or OnFailure can be specified")
	}
	if len(c.w.liveStacks(c.caller.Account, c.region)) >= maxStacks {
		return nil, apiError("LimitExceededException", "Limit for stack has been exceeded")
	}
	digest, t, err := c.loadTemplate(templateInput{body: in.TemplateBody, url: in.TemplateURL})
	if err != nil {
		return nil, err
	}
	given, err := parametersOf(in.Parameters, nil)
	if err != nil {
		return nil, err
	}
	params, err := c.checkStack(t, given, capabilityNames(in.Capabilities))
	if err != nil {
		return nil, err
	}
	tags, err := stackTags(in.Tags)
	if err != nil {
		return nil, err
	}
	actor, err := c.actor(aws.ToString(in.RoleARN))
	if err != nil {
		return nil, err
	}
	onFailure := string(in.OnFailure)
	if aws.ToBool(in.DisableRollback) {
		onFailure = "DO_NOTHING"
	}
	s := &stack{
		ID: c.arn("cloudformation", "stack/"+name+"/"+c.w.uuid()), Name: name, Description: t.description,
		Template: digest, Parameters: params, Tags: tags, Capabilities: capabilityNames(in.Capabilities),
		NotifyARNs: slices.Clone(in.NotificationARNs), RoleARN: aws.ToString(in.RoleARN), Created: c.now,
		Protected: aws.ToBool(in.EnableTerminationProtection), OnFailure: onFailure, Token: aws.ToString(in.ClientRequestToken),
	}
	stacks := &c.here().Stacks
	if stacks.Stacks == nil {
		stacks.Stacks = map[string]*stack{}
	}
	stacks.Stacks[s.ID] = s
	c.w.begin(c, s, stackWork{Action: "CREATE", As: actor, Template: digest, Parameters: params, Tags: tags})
	return &cloudformation.CreateStackOutput{StackId: &s.ID}, nil
}

func updateStack(c *call, in *cloudformation.UpdateStackInput) (*cloudformation.UpdateStackOutput, error) {
	name := aws.ToString(in.StackName)
	s := c.stackNamed(name)
	if s == nil || s.Status == "DELETE_COMPLETE" {
		return nil, validationError("Stack [%s] does not exist", name)
	}
	if !slices.Contains([]string{"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"}, s.Status) {
		return nil, validationError("Stack:%s is in %s state and can not be updated.", s.ID, s.Status)
	}
	input := templateInput{body: in.TemplateBody, url: in.TemplateURL}
	if aws.ToBool(in.UsePreviousTemplate) {
		input.previous = s.Template
	}
	digest, t, err := c.loadTemplate(input)
	if err != nil {
		return nil, err
	}
	given, err := parametersOf(in.Parameters, s.Parameters)
	if err != nil {
		return nil, err
	}
	params, err := c.checkStack(t, given, capabilityNames(in.Capabilities))
	if err != nil {
		return nil, err
	}
	if err := sameTypes(s, t); err != nil {
		return nil, err
	}
	tags := s.Tags
	if in.Tags != nil {
		if tags, err = stackTags(in.Tags); err != nil {
			return nil, err
		}
	}
	if in.RoleARN != nil {
		s.RoleARN = *in.RoleARN
	}
	actor, err := c.actor(s.RoleARN)
	if err != nil {
		return nil, err
	}
	work := stackWork{Action: "UPDATE", As: actor, Template: digest, Parameters: params, Tags: tags}
	s.Work = &work
	old, err := c.w.parsedTemplate(s.Template)
	if err != nil {
		s.Work = nil
		return nil, err
	}
	changes, err := c.w.newDeployment(c, s, t, params).changes(old, s.Parameters)
	s.Work = nil
	if err != nil {
		return nil, err
	}
	if !changes {
		return nil, validationError("No updates are to be performed.")
	}
	s.Token, s.Updated, s.Capabilities = aws.ToString(in.ClientRequestToken), c.now, capabilityNames(in.Capabilities)
	c.w.begin(c, s, work)
	return &cloudformation.UpdateStackOutput{StackId: &s.ID}, nil
}

// sameTypes refuses to turn a resource into one of another type.
func sameTypes(s *stack, t *template) error {
	var changed []string
	for name, r := range s.Resources {
		if decl := t.resources[name]; decl != nil && decl.typ != r.Type {
			changed = append(changed, name)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	slices.Sort(changed)
	return validationError("Update of resource type is not permitted. The new template modifies resource type of the following resources: [%s]", strings.Join(changed, ", "))
}

func deleteStack(c *call, in *cloudformation.DeleteStackInput) (*cloudformation.DeleteStackOutput, error) {
	s := c.stackNamed(aws.ToString(in.StackName))
	if s == nil || s.Status == "DELETE_COMPLETE" {
		return &cloudformation.DeleteStackOutput{}, nil // deleting what is not there succeeds
	}
	if s.Protected {
		return nil, validationError("Stack [%s] cannot be deleted while TerminationProtection is enabled", s.Name)
	}
	force := in.DeletionMode == types.DeletionModeForceDeleteStack
	if (len(in.RetainResources) > 0 || force) && s.Status != "DELETE_FAILED" {
		return nil, validationError("Invalid operation on stack [%s]. Resources can be retained only when the stack is in the DELETE_FAILED state", s.ID)
	}
	for _, name := range in.RetainResources {
		if r := s.Resources[name]; r == nil || r.Status != "DELETE_FAILED" {
			return nil, validationError("The specified resources to retain must be in a valid state for deletion: [%s]", name)
		}
	}
	if in.RoleARN != nil {
		s.RoleARN = *in.RoleARN
	}
	actor, err := c.actor(s.RoleARN)
	if err != nil {
		return nil, err
	}
	c.w.begin(c, s, stackWork{Action: "DELETE", As: actor, Retain: slices.Clone(in.RetainResources), Force: force})
	return &cloudformation.DeleteStackOutput{}, nil
}

func updateTerminationProtection(c *call, in *cloudformation.UpdateTerminationProtectionInput) (*cloudformation.UpdateTerminationProtectionOutput, error) {
	name := aws.ToString(in.StackName)
	s := c.stackNamed(name)
	if s == nil || s.Status == "DELETE_COMPLETE" {
		return nil, validationError("Stack [%s] does not exist", name)
	}
	s.Protected = aws.ToBool(in.EnableTerminationProtection)
	return &cloudformation.UpdateTerminationProtectionOutput{StackId: &s.ID}, nil
}

// begin starts an operation on a stack. It is carried out now, or once the
// world's time for it has passed.
func (w *World) begin(c *call, s *stack, work stackWork) {
	work.Due = c.now
	if work.As == c.caller {
		work.Policy = c.policy
	}
	s.Work = &work
	d := w.newDeployment(c, s, nil, nil)
	d.to(work.Action+"_IN_PROGRESS", "User Initiated")
	if w.timing.StackInstance == 0 || c.via == stackSetsVia {
		w.carryOut(c, s)
		return
	}
	s.Work.Due = c.now.Add(w.timing.StackInstance)
	if busy := &w.state.StackSets.Busy; !slices.Contains(*busy, s.ID) {
		*busy = append(*busy, s.ID)
	}
}

// carryOut does the operation noted in a stack.
func (w *World) carryOut(c *call, s *stack) {
	work := s.Work
	if work == nil {
		return
	}
	from, err := w.parsedTemplate(s.Template)
	to := from
	if err == nil && work.Template != "" {
		to, err = w.parsedTemplate(work.Template)
	}
	params := s.Parameters
	if work.Parameters != nil {
		params = maps.Clone(work.Parameters)
	}
	d := w.newDeployment(c, s, to, params)
	switch {
	case err != nil: // a template edited by hand in a sandbox file
		d.to(work.Action+"_FAILED", err.Error())
	case work.Action == "CREATE":
		d.create()
	case work.Action == "UPDATE":
		d.update(from, s.Parameters)
	case work.Action == "DELETE":
		d.deleteStack()
	}
	s.Work = nil
}

// deleteStack carries out a DeleteStack.
func (d *deployment) deleteStack() {
	for _, o := range d.s.Outputs {
		if o.Export == "" {
			continue
		}
		if user := d.c.w.importer(d.c, o.Export); user != "" {
			d.to("DELETE_FAILED", "Export "+o.Export+" cannot be deleted as it is in use by "+user)
			return
		}
	}
	d.deleteAll("DELETE_COMPLETE", "DELETE_FAILED", false)
}
