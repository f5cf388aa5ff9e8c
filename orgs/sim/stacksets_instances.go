package sim

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// overridesOf checks an operation's parameter overrides; nil is none given,
// which leaves the instances' own alone.
func (c *call) overridesOf(s *stackSet, list []types.Parameter) (map[string]string, bool, error) {
	if list == nil {
		return nil, false, nil
	}
	given, err := parametersOf(list, s.Parameters)
	if err != nil {
		return nil, false, err
	}
	t, err := c.w.parsedTemplate(s.Template)
	if err != nil {
		return nil, false, err
	}
	for _, k := range sortedKeys(given) {
		d := t.parameters[k]
		if d == nil {
			return nil, false, validationError("Parameters: [%s] do not exist in the template", k)
		}
		if err := d.checkValue(k, given[k]); err != nil {
			return nil, false, err
		}
	}
	return given, true, nil
}

func createStackInstances(c *call, in *cloudformation.CreateStackInstancesInput) (*cloudformation.CreateStackInstancesOutput, error) {
	s, err := c.activeStackSet(in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	o, err := c.newOperation(s, "CREATE", in.OperationId, in.OperationPreferences)
	if err != nil {
		return nil, err
	}
	if o.Items, o.Targets, err = c.newItems(s, in.DeploymentTargets, in.Accounts, in.Regions); err != nil {
		return nil, err
	}
	if o.Overrides, o.Override, err = c.overridesOf(s, in.ParameterOverrides); err != nil {
		return nil, err
	}
	s.addInstances(o)
	// Auto-deployment keeps up whole OUs; it does not know account filters.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-orgs-manage-auto-deployment.html
	for _, u := range o.Targets.Units {
		if s.Targets == nil {
			s.Targets = map[string][]string{}
		}
		for _, r := range in.Regions {
			if !slices.Contains(s.Targets[u], r) {
				s.Targets[u] = append(s.Targets[u], r)
			}
		}
		slices.Sort(s.Targets[u])
	}
	c.w.enqueue(c, s, o)
	return &cloudformation.CreateStackInstancesOutput{OperationId: aws.String(o.ID)}, nil
}

// addInstances adds the instances an operation creates; there from the start,
// they are OUTDATED until their stack is.
func (s *stackSet) addInstances(o *setOperation) {
	var fresh []*stackInstance
	for _, i := range o.Items {
		if s.instance(i.Account, i.Region) == nil {
			fresh = append(fresh, &stackInstance{Account: i.Account, Region: i.Region, Unit: i.Unit, Status: "OUTDATED", Detailed: "PENDING", LastOperation: o.ID})
		}
	}
	s.Instances = append(s.Instances, fresh...)
	s.sortInstances()
}

func updateStackInstances(c *call, in *cloudformation.UpdateStackInstancesInput) (*cloudformation.UpdateStackInstancesOutput, error) {
	s, err := c.activeStackSet(in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	o, err := c.newOperation(s, "UPDATE", in.OperationId, in.OperationPreferences)
	if err != nil {
		return nil, err
	}
	if o.Items, o.Targets, err = c.existingItems(s, in.DeploymentTargets, in.Accounts, in.Regions, true); err != nil {
		return nil, err
	}
	if o.Overrides, o.Override, err = c.overridesOf(s, in.ParameterOverrides); err != nil {
		return nil, err
	}
	c.w.enqueue(c, s, o)
	return &cloudformation.UpdateStackInstancesOutput{OperationId: aws.String(o.ID)}, nil
}

func deleteStackInstances(c *call, in *cloudformation.DeleteStackInstancesInput) (*cloudformation.DeleteStackInstancesOutput, error) {
	s, err := c.activeStackSet(in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	o, err := c.newOperation(s, "DELETE", in.OperationId, in.OperationPreferences)
	if err != nil {
		return nil, err
	}
	o.Retain = aws.ToBool(in.RetainStacks)
	if o.Items, o.Targets, err = c.doomedItems(s, in.DeploymentTargets, in.Accounts, in.Regions); err != nil {
		return nil, err
	}
	if filter := types.AccountFilterType(o.Targets.Filter); filter == "" || filter == types.AccountFilterTypeNone {
		for _, u := range o.Targets.Units {
			s.Targets[u] = slices.DeleteFunc(s.Targets[u], func(r string) bool { return slices.Contains(in.Regions, r) })
			if len(s.Targets[u]) == 0 {
				delete(s.Targets, u)
			}
		}
	}
	c.w.enqueue(c, s, o)
	return &cloudformation.DeleteStackInstancesOutput{OperationId: aws.String(o.ID)}, nil
}

func listStackInstances(c *call, in *cloudformation.ListStackInstancesInput) (*cloudformation.ListStackInstancesOutput, error) {
	s, err := c.stackSet(in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	all := s.Instances
	if in.StackInstanceAccount != nil || in.StackInstanceRegion != nil || len(in.Filters) > 0 {
		all = nil
		for _, i := range s.Instances {
			if (in.StackInstanceAccount == nil || *in.StackInstanceAccount == i.Account) && (in.StackInstanceRegion == nil || *in.StackInstanceRegion == i.Region) && i.passes(in.Filters) {
				all = append(all, i)
			}
		}
	}
	from, to, next, err := cfnPageOf("instances/"+s.ID, in.NextToken, in.MaxResults, len(all), func(i int) string { return all[i].Account + "/" + all[i].Region })
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListStackInstancesOutput{NextToken: next}
	for _, i := range all[from:to] {
		api := i.api(s)
		out.Summaries = append(out.Summaries, types.StackInstanceSummary{
			Account: api.Account, Region: api.Region, StackId: api.StackId, StackSetId: api.StackSetId, OrganizationalUnitId: api.OrganizationalUnitId,
			Status: api.Status, StatusReason: api.StatusReason, StackInstanceStatus: api.StackInstanceStatus, LastOperationId: api.LastOperationId,
			DriftStatus: api.DriftStatus, LastDriftCheckTimestamp: api.LastDriftCheckTimestamp,
		})
	}
	return out, nil
}

func (i *stackInstance) passes(filters []types.StackInstanceFilter) bool {
	for _, f := range filters {
		have := i.Detailed
		switch f.Name {
		case types.StackInstanceFilterNameLastOperationId:
			have = i.LastOperation
		case types.StackInstanceFilterNameDriftStatus:
			have = i.driftStatus()
		}
		if have != aws.ToString(f.Values) {
			return false
		}
	}
	return true
}

func (i *stackInstance) driftStatus() string {
	if i.Drift == "" {
		return "NOT_CHECKED"
	}
	return i.Drift
}

func (i *stackInstance) api(s *stackSet) types.StackInstance {
	out := types.StackInstance{
		Account: aws.String(i.Account), Region: aws.String(i.Region), StackSetId: aws.String(s.ID), Status: types.StackInstanceStatus(i.Status),
		StackInstanceStatus: &types.StackInstanceComprehensiveStatus{DetailedStatus: types.StackInstanceDetailedStatus(i.Detailed)},
		DriftStatus:         types.StackDriftStatus(i.driftStatus()), ParameterOverrides: apiParameters(nil, i.Overrides), LastOperationId: aws.String(i.LastOperation),
	}
	for value, field := range map[string]**string{i.StackID: &out.StackId, i.Unit: &out.OrganizationalUnitId, i.Reason: &out.StatusReason} {
		if value != "" {
			*field = aws.String(value)
		}
	}
	if !i.DriftChecked.IsZero() {
		out.LastDriftCheckTimestamp = aws.Time(i.DriftChecked)
	}
	return out
}

func describeStackInstance(c *call, in *cloudformation.DescribeStackInstanceInput) (*cloudformation.DescribeStackInstanceOutput, error) {
	s, err := c.stackSet(in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	i := s.instance(aws.ToString(in.StackInstanceAccount), aws.ToString(in.StackInstanceRegion))
	if i == nil {
		return nil, noInstance(in.StackInstanceAccount, in.StackInstanceRegion)
	}
	api := i.api(s)
	return &cloudformation.DescribeStackInstanceOutput{StackInstance: &api}, nil
}

// findOperation finds an operation of a stack set by a request's names.
func (c *call) findOperation(set, id *string, as types.CallAs) (*stackSet, *setOperation, error) {
	s, err := c.stackSet(set, as)
	if err != nil {
		return nil, nil, err
	}
	o := s.operation(aws.ToString(id))
	if o == nil {
		return nil, nil, apiError("OperationNotFoundException", "Operation %s not found", aws.ToString(id))
	}
	return s, o, nil
}

func describeStackSetOperation(c *call, in *cloudformation.DescribeStackSetOperationInput) (*cloudformation.DescribeStackSetOperationOutput, error) {
	s, o, err := c.findOperation(in.StackSetName, in.OperationId, in.CallAs)
	if err != nil {
		return nil, err
	}
	sum := o.summary()
	out := &types.StackSetOperation{
		OperationId: sum.OperationId, StackSetId: aws.String(s.ID), Action: sum.Action, Status: sum.Status, StatusReason: sum.StatusReason,
		StatusDetails: sum.StatusDetails, CreationTimestamp: sum.CreationTimestamp, EndTimestamp: sum.EndTimestamp,
		OperationPreferences: sum.OperationPreferences, DeploymentTargets: o.Targets.api(),
	}
	if o.Action == "DELETE" {
		out.RetainStacks = aws.Bool(o.Retain)
	}
	if s.Model == selfManaged {
		out.AdministrationRoleARN, out.ExecutionRoleName = aws.String(s.AdminRole), aws.String(s.ExecutionRole)
	}
	if o.Action == "DETECT_DRIFT" {
		if out.StackSetDriftDetectionDetails = s.Drift.api(); o.active() {
			out.StackSetDriftDetectionDetails = &types.StackSetDriftDetectionDetails{DriftDetectionStatus: types.StackSetDriftDetectionStatusInProgress, DriftStatus: types.StackSetDriftStatusNotChecked}
		}
	}
	return &cloudformation.DescribeStackSetOperationOutput{StackSetOperation: out}, nil
}

func (t *setTargets) api() *types.DeploymentTargets {
	if t == nil {
		return nil
	}
	out := &types.DeploymentTargets{OrganizationalUnitIds: slices.Clone(t.Units), Accounts: slices.Clone(t.Accounts), AccountFilterType: types.AccountFilterType(t.Filter)}
	if t.URL != "" {
		out.AccountsUrl = aws.String(t.URL)
	}
	return out
}

func (p *preferences) api() *types.StackSetOperationPreferences {
	if p == nil {
		return &types.StackSetOperationPreferences{RegionOrder: []string{}}
	}
	q := detach(*p)
	return &types.StackSetOperationPreferences{
		MaxConcurrentCount: q.MaxConcurrentCount, MaxConcurrentPercentage: q.MaxConcurrentPercent,
		FailureToleranceCount: q.ToleranceCount, FailureTolerancePercentage: q.TolerancePercent,
		ConcurrencyMode: types.ConcurrencyMode(q.Concurrency), RegionConcurrencyType: types.RegionConcurrencyType(q.RegionConcurrency), RegionOrder: q.RegionOrder,
	}
}

func (o *setOperation) summary() types.StackSetOperationSummary {
	out := types.StackSetOperationSummary{
		OperationId: aws.String(o.ID), Action: types.StackSetOperationAction(o.Action), Status: types.StackSetOperationStatus(o.Status),
		StatusDetails:     &types.StackSetOperationStatusDetails{FailedStackInstancesCount: aws.Int32(int32(o.failures()))},
		CreationTimestamp: aws.Time(o.Created), OperationPreferences: o.Prefs.api(),
	}
	if o.Reason != "" {
		out.StatusReason = aws.String(o.Reason)
	}
	if !o.Ended.IsZero() {
		out.EndTimestamp = aws.Time(o.Ended)
	}
	return out
}

func listStackSetOperations(c *call, in *cloudformation.ListStackSetOperationsInput) (*cloudformation.ListStackSetOperationsOutput, error) {
	s, err := c.stackSet(in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	all := slices.Clone(s.Operations)
	slices.Reverse(all) // newest first
	from, to, next, err := cfnPageOf("operations/"+s.ID, in.NextToken, in.MaxResults, len(all), func(i int) string { return all[i].ID })
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListStackSetOperationsOutput{NextToken: next}
	for _, o := range all[from:to] {
		out.Summaries = append(out.Summaries, o.summary())
	}
	return out, nil
}

func listStackSetOperationResults(c *call, in *cloudformation.ListStackSetOperationResultsInput) (*cloudformation.ListStackSetOperationResultsOutput, error) {
	_, o, err := c.findOperation(in.StackSetName, in.OperationId, in.CallAs)
	if err != nil {
		return nil, err
	}
	all := o.Items
	if len(in.Filters) > 0 {
		all = nil
		for _, i := range o.Items {
			if !slices.ContainsFunc(in.Filters, func(f types.OperationResultFilter) bool { return aws.ToString(f.Values) != i.Status }) {
				all = append(all, i)
			}
		}
	}
	from, to, next, err := cfnPageOf("results/"+o.ID, in.NextToken, in.MaxResults, len(all), func(i int) string { return all[i].Account + "/" + all[i].Region })
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListStackSetOperationResultsOutput{NextToken: next}
	for _, i := range all[from:to] {
		r := types.StackSetOperationResultSummary{
			Account: aws.String(i.Account), Region: aws.String(i.Region), Status: types.StackSetOperationResultStatus(i.Status),
			AccountGateResult: c.w.noGate(i),
		}
		if i.Unit != "" {
			r.OrganizationalUnitId = aws.String(i.Unit)
		}
		if i.Reason != "" {
			r.StatusReason = aws.String(i.Reason)
		}
		out.Summaries = append(out.Summaries, r)
	}
	return out, nil
}

// noGate is the result of the account gate, a function nobody has.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-account-gating.html
func (w *World) noGate(i *operationItem) *types.AccountGateResult {
	arn := "arn:" + w.state.Partition + ":lambda:" + i.Region + ":" + i.Account + ":function:AWSCloudFormationStackSetAccountGate"
	return &types.AccountGateResult{Status: types.AccountGateStatusSkipped, StatusReason: aws.String("Function not found: " + arn)}
}

// stopStackSetOperation stops an operation after the instances it is working on.
func stopStackSetOperation(c *call, in *cloudformation.StopStackSetOperationInput) (*cloudformation.StopStackSetOperationOutput, error) {
	s, o, err := c.findOperation(in.StackSetName, in.OperationId, in.CallAs)
	if err != nil {
		return nil, err
	}
	switch o.Status {
	case "QUEUED":
		o.cancelRest(s, "Cancelled since the operation was stopped by the user")
		c.w.end(c, s, o, "STOPPED")
	case "RUNNING":
		o.Status = "STOPPING"
	default:
		return nil, apiError("InvalidOperationException", "Operation %s is in state %s and cannot be stopped", o.ID, strings.ToLower(o.Status))
	}
	return &cloudformation.StopStackSetOperationOutput{}, nil
}

func listStackSetAutoDeploymentTargets(c *call, in *cloudformation.ListStackSetAutoDeploymentTargetsInput) (*cloudformation.ListStackSetAutoDeploymentTargetsOutput, error) {
	s, err := c.stackSet(in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	units := sortedKeys(s.Targets)
	from, to, next, err := cfnPageOf("targets/"+s.ID, in.NextToken, in.MaxResults, len(units), func(i int) string { return units[i] })
	if err != nil {
		return nil, err
	}
	out := &cloudformation.ListStackSetAutoDeploymentTargetsOutput{NextToken: next}
	for _, u := range units[from:to] {
		out.Summaries = append(out.Summaries, types.StackSetAutoDeploymentTargetSummary{OrganizationalUnitId: aws.String(u), Regions: slices.Clone(s.Targets[u])})
	}
	return out, nil
}
