package sim

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// stackSetOwner is the account whose stack sets a caller sees: their own, or,
// as a delegated administrator, the management account's.
func (c *call) stackSetOwner(as types.CallAs) (string, error) {
	if as != types.CallAsDelegatedAdmin {
		return c.caller.Account, nil
	}
	if !c.w.isDelegatedAdmin(c.caller.Account, stackSetsPrincipal) {
		return "", validationError("Account used is not a delegated administrator")
	}
	return c.w.state.Org.ManagementAccount, nil
}

// stackSet finds the stack set a request names, by name or id.
func (c *call) stackSet(name *string, as types.CallAs) (*stackSet, error) {
	owner, err := c.stackSetOwner(as)
	if err != nil {
		return nil, err
	}
	n := aws.ToString(name)
	if _, id, ok := strings.Cut(n, ":stackset/"); ok && strings.HasPrefix(n, "arn:") {
		n = id
	}
	for _, s := range c.w.state.StackSets.Sets {
		visible := s.Account == owner && s.Region == c.region && (as != types.CallAsDelegatedAdmin || s.Model == serviceManaged)
		if visible && (s.ID == n || s.Name == n && s.Status == "ACTIVE") {
			return s, nil
		}
	}
	return nil, apiError("StackSetNotFoundException", "StackSet %s not found", aws.ToString(name))
}

// activeStackSet is stackSet for operations that change it.
func (c *call) activeStackSet(name *string, as types.CallAs) (*stackSet, error) {
	s, err := c.stackSet(name, as)
	if err != nil {
		return nil, err
	}
	if s.Status != "ACTIVE" {
		return nil, apiError("StackSetNotFoundException", "StackSet %s not found", aws.ToString(name))
	}
	if s.Model == serviceManaged {
		return s, c.mayManage(as)
	}
	return s, nil
}

// mayManage says whether the caller may operate service-managed stack sets.
func (c *call) mayManage(as types.CallAs) error {
	if _, err := c.stackSetOwner(as); err != nil {
		return err
	}
	if as != types.CallAsDelegatedAdmin && c.caller.Account != c.w.state.Org.ManagementAccount {
		return validationError(notOrgAdministrator)
	}
	if !c.w.stackSetsActivated() {
		return validationError("You must enable organizations access to operate a service managed stack set")
	}
	return nil
}

// stackSetsActivated says whether StackSets can work in the organization.
// Trusted access alone is not enough: it is ActivateOrganizationsAccess that
// makes StackSets notice.
func (w *World) stackSetsActivated() bool {
	return w.state.StackSets.Access == "ENABLED" && w.trustedAccess(stackSetsPrincipal)
}

func stackSetARN(c *call, name *string) string {
	n := aws.ToString(name)
	if strings.HasPrefix(n, "arn:") {
		return n
	}
	for _, s := range c.w.state.StackSets.Sets {
		if s.Region == c.region && (s.ID == n || s.Name == n && s.Status == "ACTIVE") {
			return s.arn(c.w)
		}
	}
	return c.arn("cloudformation", "stackset/"+n+":*")
}

func createStackSet(c *call, in *cloudformation.CreateStackSetInput) (*cloudformation.CreateStackSetOutput, error) {
	name := aws.ToString(in.StackSetName)
	if !stackName.MatchString(name) {
		return nil, validationError("1 validation error detected: Value '%s' at 'stackSetName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name)
	}
	model := string(in.PermissionModel)
	if model == "" {
		model = selfManaged
	}
	owner := c.caller.Account
	if model == serviceManaged {
		if err := c.mayManage(in.CallAs); err != nil {
			return nil, err
		}
		owner = c.w.state.Org.ManagementAccount
		if in.AutoDeployment == nil {
			return nil, validationError("AutoDeployment must be specified for stack sets with SERVICE_MANAGED permission model")
		}
		if in.AdministrationRoleARN != nil || in.ExecutionRoleName != nil {
			return nil, validationError("StackSets with SERVICE_MANAGED permission model cannot have AdministrationRoleARN or ExecutionRoleName specified")
		}
	} else if in.AutoDeployment != nil || in.CallAs == types.CallAsDelegatedAdmin {
		return nil, validationError("StackSets with SELF_MANAGED permission model cannot have AutoDeployment or CallAs specified")
	}
	count := 0
	for _, s := range c.w.state.StackSets.Sets {
		if s.Account != owner || s.Region != c.region || s.Status != "ACTIVE" {
			continue
		}
		if count++; s.Name != name {
			continue
		}
		if in.ClientRequestToken != nil && s.Token == *in.ClientRequestToken {
			return &cloudformation.CreateStackSetOutput{StackSetId: aws.String(s.ID)}, nil
		}
		return nil, apiError("NameAlreadyExistsException", "StackSet %s already exists", name)
	}
	if count >= maxStackSets {
		return nil, apiError("LimitExceededException", "You have reached the limit of %d stack sets", maxStackSets)
	}
	def := stackSetDefinition{Description: aws.ToString(in.Description), Managed: in.ManagedExecution != nil && aws.ToBool(in.ManagedExecution.Active)}
	err := c.define(&def, templateInput{body: in.TemplateBody, url: in.TemplateURL}, in.Parameters, in.Capabilities, nil)
	if err != nil {
		return nil, err
	}
	if def.Tags, err = stackTags(in.Tags); err != nil {
		return nil, err
	}
	if in.AutoDeployment != nil {
		if def.Auto, err = c.autoDeployment(in.AutoDeployment, ""); err != nil {
			return nil, err
		}
	}
	if model == selfManaged {
		def.setRoles(c, in.AdministrationRoleARN, in.ExecutionRoleName)
	}
	s := &stackSet{stackSetDefinition: def, ID: name + ":" + c.w.uuid(), Name: name, Account: owner, Region: c.region, Model: model, Status: "ACTIVE", Token: aws.ToString(in.ClientRequestToken)}
	c.w.state.StackSets.Sets = append(c.w.state.StackSets.Sets, s)
	return &cloudformation.CreateStackSetOutput{StackSetId: aws.String(s.ID)}, nil
}

// define sets a definition's template, parameters and capabilities. Resource
// types are not looked at: whether one exists shows in each Region.
func (c *call) define(def *stackSetDefinition, in templateInput, parameters []types.Parameter, capabilities []types.Capability, previous map[string]string) error {
	digest, t, err := c.loadTemplate(in)
	if err != nil {
		return err
	}
	given, err := parametersOf(parameters, previous)
	if err != nil {
		return err
	}
	if def.Parameters, err = t.resolveParameters(given); err != nil {
		return err
	}
	def.Template, def.Capabilities = digest, capabilityNames(capabilities)
	return t.admit(def.Capabilities)
}

func (d *stackSetDefinition) setRoles(c *call, admin, execution *string) {
	d.AdminRole, d.ExecutionRole = aws.ToString(admin), aws.ToString(execution)
	if d.AdminRole == "" {
		d.AdminRole = "arn:" + c.w.state.Partition + ":iam::" + c.caller.Account + ":role/" + defaultAdminRole
	}
	if d.ExecutionRole == "" {
		d.ExecutionRole = defaultExecutionRole
	}
}

// autoDeployment checks a stack set's auto-deployment. self is its ARN.
func (c *call) autoDeployment(in *types.AutoDeployment, self string) (autoDeployment, error) {
	a := autoDeployment{Enabled: aws.ToBool(in.Enabled), Retain: aws.ToBool(in.RetainStacksOnAccountRemoval), DependsOn: slices.Clone(in.DependsOn)}
	if !a.Enabled && (in.RetainStacksOnAccountRemoval != nil || len(a.DependsOn) > 0) {
		return a, validationError("RetainStacksOnAccountRemoval and DependsOn can be specified only if AutoDeployment is enabled")
	}
	if len(a.DependsOn) > maxDependencies {
		return a, apiError("LimitExceededException", "A stack set can depend on at most %d stack sets", maxDependencies)
	}
	for _, arn := range a.DependsOn {
		other := c.stackSetByARN(arn)
		if other == nil || other.Model != serviceManaged {
			return a, validationError("StackSet dependency %s does not exist or is not a SERVICE_MANAGED stack set", arn)
		}
		if self != "" && (arn == self || c.dependsOn(other, self, map[string]bool{})) {
			return a, validationError("Circular dependency between stack sets: %s", arn)
		}
	}
	return a, nil
}

func (c *call) stackSetByARN(arn string) *stackSet {
	_, id, _ := strings.Cut(arn, ":stackset/")
	if s := c.w.stackSetByID(id); s != nil && s.Status == "ACTIVE" && s.arn(c.w) == arn {
		return s
	}
	return nil
}

// dependsOn says whether a stack set depends on another, directly or not.
func (c *call) dependsOn(s *stackSet, arn string, seen map[string]bool) bool {
	if seen[s.ID] {
		return false
	}
	seen[s.ID] = true
	for _, d := range s.Auto.DependsOn {
		other := c.stackSetByARN(d)
		if d == arn || other != nil && c.dependsOn(other, arn, seen) {
			return true
		}
	}
	return false
}

func updateStackSet(c *call, in *cloudformation.UpdateStackSetInput) (*cloudformation.UpdateStackSetOutput, error) {
	s, err := c.activeStackSet(in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	if in.PermissionModel != "" && string(in.PermissionModel) != s.Model {
		return nil, apiError("InvalidOperationException", "The permission model of a stack set cannot be changed here")
	}
	targeted := in.DeploymentTargets != nil || len(in.Accounts) > 0 || len(in.Regions) > 0
	if in.AutoDeployment != nil && targeted {
		return nil, validationError("Cannot specify AutoDeployment together with DeploymentTargets or Regions")
	}
	def := c.w.upcoming(s)
	input := templateInput{body: in.TemplateBody, url: in.TemplateURL}
	if aws.ToBool(in.UsePreviousTemplate) {
		input.previous = def.Template
	}
	if err := c.define(&def, input, in.Parameters, in.Capabilities, def.Parameters); err != nil {
		return nil, err
	}
	if in.Description != nil {
		def.Description = *in.Description
	}
	if in.Tags != nil {
		if def.Tags, err = stackTags(in.Tags); err != nil {
			return nil, err
		}
	}
	if s.Model == selfManaged && (in.AdministrationRoleARN != nil || in.ExecutionRoleName != nil) {
		def.setRoles(c, in.AdministrationRoleARN, in.ExecutionRoleName)
	}
	if in.AutoDeployment != nil {
		if def.Auto, err = c.autoDeployment(in.AutoDeployment, s.arn(c.w)); err != nil {
			return nil, err
		}
	}
	if in.ManagedExecution != nil && aws.ToBool(in.ManagedExecution.Active) != s.Managed {
		if len(c.w.activeOperations(s)) > 0 {
			return nil, apiError("InvalidOperationException", "ManagedExecution cannot be modified while operations of the stack set are running or queued")
		}
		def.Managed = aws.ToBool(in.ManagedExecution.Active)
	}
	o, err := c.newOperation(s, "UPDATE", in.OperationId, in.OperationPreferences)
	if err != nil {
		return nil, err
	}
	o.Definition = &def
	if o.Items, o.Targets, err = c.existingItems(s, in.DeploymentTargets, in.Accounts, in.Regions, targeted); err != nil {
		return nil, err
	}
	c.w.enqueue(c, s, o)
	return &cloudformation.UpdateStackSetOutput{OperationId: aws.String(o.ID)}, nil
}

// upcoming is the definition a stack set will have once the updates that are
// queued have run.
func (w *World) upcoming(s *stackSet) stackSetDefinition {
	def := s.stackSetDefinition
	for _, o := range w.activeOperations(s) {
		if o.Definition != nil {
			def = *o.Definition
		}
	}
	return detach(def)
}

func deleteStackSet(c *call, in *cloudformation.DeleteStackSetInput) (*cloudformation.DeleteStackSetOutput, error) {
	s, err := c.activeStackSet(in.StackSetName, in.CallAs)
	if hasCode(err, "StackSetNotFoundException") {
		return &cloudformation.DeleteStackSetOutput{}, nil // deleting what is not there succeeds
	}
	if err != nil {
		return nil, err
	}
	if active := c.w.activeOperations(s); len(active) > 0 {
		return nil, inProgress(active[0])
	}
	if len(s.Instances) > 0 {
		return nil, apiError("StackSetNotEmptyException", "StackSet is not empty")
	}
	s.Status, s.Targets = "DELETED", nil
	return &cloudformation.DeleteStackSetOutput{}, nil
}

func inProgress(o *setOperation) error {
	return apiError("OperationInProgressException", "Another Operation on StackSet is in progress: %s", o.ID)
}

func describeStackSet(c *call, in *cloudformation.DescribeStackSetInput) (*cloudformation.DescribeStackSetOutput, error) {
	s, err := c.stackSet(in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	t, _ := c.w.parsedTemplate(s.Template)
	regions := map[string]bool{}
	for _, i := range s.Instances {
		regions[i.Region] = true
	}
	out := &types.StackSet{
		StackSetName: aws.String(s.Name), StackSetId: aws.String(s.ID), StackSetARN: aws.String(s.arn(c.w)), Status: types.StackSetStatus(s.Status),
		PermissionModel: types.PermissionModels(s.Model), TemplateBody: aws.String(c.w.state.StackSets.Templates[s.Template]),
		Parameters: apiParameters(t, s.Parameters), Tags: apiTags(s.Tags), ManagedExecution: &types.ManagedExecution{Active: aws.Bool(s.Managed)},
		AutoDeployment: s.apiAuto(), OrganizationalUnitIds: sortedKeys(s.Targets), Regions: sortedKeys(regions),
		StackSetDriftDetectionDetails: s.Drift.api(),
	}
	if s.Description != "" {
		out.Description = aws.String(s.Description)
	}
	for _, c := range s.Capabilities {
		out.Capabilities = append(out.Capabilities, types.Capability(c))
	}
	if s.Model == selfManaged {
		out.AdministrationRoleARN, out.ExecutionRoleName = aws.String(s.AdminRole), aws.String(s.ExecutionRole)
	}
	return &cloudformation.DescribeStackSetOutput{StackSet: out}, nil
}

func (s *stackSet) apiAuto() *types.AutoDeployment {
	if s.Model != serviceManaged {
		return nil
	}
	a := &types.AutoDeployment{Enabled: aws.Bool(s.Auto.Enabled), DependsOn: slices.Clone(s.Auto.DependsOn)}
	if s.Auto.Enabled {
		a.RetainStacksOnAccountRemoval = aws.Bool(s.Auto.Retain)
	}
	return a
}

// api is the drift of a stack set as DescribeStackSet shows it.
func (d *setDrift) api() *types.StackSetDriftDetectionDetails {
	if d == nil {
		return &types.StackSetDriftDetectionDetails{DriftStatus: types.StackSetDriftStatusNotChecked}
	}
	status := types.StackSetDriftStatusInSync
	if d.Drifted > 0 {
		status = types.StackSetDriftStatusDrifted
	} else if d.InSync == 0 && d.Total > 0 {
		status = types.StackSetDriftStatusNotChecked
	}
	return &types.StackSetDriftDetectionDetails{
		DriftStatus: status, DriftDetectionStatus: types.StackSetDriftDetectionStatus(d.Status), LastDriftCheckTimestamp: aws.Time(d.Checked),
		DriftedStackInstancesCount: aws.Int32(int32(d.Drifted)), InSyncStackInstancesCount: aws.Int32(int32(d.InSync)),
		FailedStackInstancesCount: aws.Int32(int32(d.Failed)), InProgressStackInstancesCount: aws.Int32(0), TotalStackInstancesCount: aws.Int32(int32(d.Total)),
	}
}

func listStackSets(c *call, in *cloudformation.ListStackSetsInput) (*cloudformation.ListStackSetsOutput, error) {
	owner, err := c.stackSetOwner(in.CallAs)
	if err != nil {
		return nil, err
	}
	var all []*stackSet
	for _, s := range c.w.state.StackSets.Sets {
		if s.Account == owner && s.Region == c.region && (in.CallAs != types.CallAsDelegatedAdmin || s.Model == serviceManaged) &&
			(in.Status == "" || s.Status == string(in.Status)) {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b *stackSet) int { return strings.Compare(a.ID, b.ID) })
	from, to, next, err := cfnPageOf("stack-sets", in.NextToken, in.MaxResults, len(all), func(i int) string { return all[i].ID })
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListStackSetsOutput{NextToken: next}
	for _, s := range all[from:to] {
		sum := types.StackSetSummary{
			StackSetName: aws.String(s.Name), StackSetId: aws.String(s.ID), Status: types.StackSetStatus(s.Status), PermissionModel: types.PermissionModels(s.Model),
			AutoDeployment: s.apiAuto(), ManagedExecution: &types.ManagedExecution{Active: aws.Bool(s.Managed)}, DriftStatus: types.StackDriftStatusNotChecked,
		}
		if s.Description != "" {
			sum.Description = aws.String(s.Description)
		}
		if s.Drift != nil {
			sum.DriftStatus, sum.LastDriftCheckTimestamp = types.StackDriftStatus(s.Drift.api().DriftStatus), aws.Time(s.Drift.Checked)
		}
		out.Summaries = append(out.Summaries, sum)
	}
	return out, nil
}
