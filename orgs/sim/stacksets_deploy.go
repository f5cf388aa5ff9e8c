package sim

import (
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// work does one account × Region of an operation and notes how it went.
func (w *World) work(c *call, s *stackSet, o *setOperation, item *operationItem) {
	inst := s.instance(item.Account, item.Region)
	if inst == nil { // deleted by an operation that ran before
		item.Status = "SUCCEEDED"
		return
	}
	if o.Action == "DELETE" && o.Retain {
		s.remove(item.Account, item.Region) // nothing to do in the account
		item.Status = "SUCCEEDED"
		return
	}
	// Suspended accounts are skipped, and do not count as failures.
	// https://aws.amazon.com/about-aws/whats-new/2023/06/aws-cloudformation-stacksets-suspended-accounts-deployments/
	if state := w.accountInState(item.Account); state != "" && state != "ACTIVE" {
		item.Status, item.Reason = "CANCELLED", "Skipped since the account is suspended"
		if o.Action != "DETECT_DRIFT" {
			inst.Detailed, inst.Reason = "SKIPPED_SUSPENDED_ACCOUNT", item.Reason
		}
		return
	}
	err := w.workAs(c, s, o, inst)
	if err == nil {
		item.Status = "SUCCEEDED"
		if o.Action == "CREATE" || o.Action == "UPDATE" {
			inst.Status, inst.Detailed, inst.Reason = "CURRENT", "SUCCEEDED", ""
		}
		return
	}
	item.Status, item.Reason = "FAILED", w.resourceReason(err)
	switch o.Action {
	case "DELETE":
		inst.Status, inst.Detailed, inst.Reason = "INOPERABLE", "INOPERABLE", item.Reason
	case "DETECT_DRIFT":
	default:
		inst.Status, inst.Detailed, inst.Reason = "OUTDATED", "FAILED", item.Reason
	}
}

// workAs gets a session of the execution role and works with it.
func (w *World) workAs(c *call, s *stackSet, o *setOperation, inst *stackInstance) error {
	if w.account(inst.Account) == nil {
		return validationError("Account %s should have '%s' role with trust relationship to Role '%s'.", inst.Account, s.ExecutionRole, s.AdminRole[strings.LastIndex(s.AdminRole, "/")+1:])
	}
	// The Region has to be on in the account and in the management account.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-opt-in-regions.html
	for _, account := range []string{inst.Account, s.Account} {
		if w.regionStatus(account, inst.Region) == regionDisabled {
			return validationError("Region %s is not enabled in account %s", inst.Region, account)
		}
	}
	var as Principal
	var err error
	if s.Model == selfManaged {
		as, err = w.selfManagedRole(c, s, inst.Account, inst.Region)
	} else {
		if !w.stackSetsActivated() {
			return validationError("You must enable organizations access to operate a service managed stack set")
		}
		as, err = w.executionRole(c, inst.Account)
	}
	if err != nil {
		return err
	}
	switch o.Action {
	case "DELETE":
		if err := w.deleteInstance(c, as, inst); err != nil {
			return err
		}
		s.remove(inst.Account, inst.Region)
		return nil
	case "DETECT_DRIFT":
		return w.detectDrift(c, as, inst)
	default:
		return w.deployInstance(c, s, as, inst)
	}
}

// member makes a CloudFormation call in a member account as the execution role.
func (w *World) member(c *call, as Principal, region, op string, in any) (any, error) {
	sub := &call{ctx: c.ctx, w: w, service: "CloudFormation", op: op, caller: as, region: region, now: c.now, via: stackSetsVia, serviceRole: true}
	return w.invoke(sub, in)
}

// deployInstance creates or updates the stack of an instance. An instance may
// be without a stack, because its creation failed or somebody deleted it in the
// account; then the stack is made anew.
func (w *World) deployInstance(c *call, s *stackSet, as Principal, inst *stackInstance) error {
	st := w.stackByID(inst.StackID)
	if st != nil && st.Status != "DELETE_COMPLETE" && neverComplete(st.Status) {
		// What a failed creation left cannot be updated; it makes place.
		if err := w.deleteInstance(c, as, inst); err != nil {
			return err
		}
	}
	if st == nil || st.Status == "DELETE_COMPLETE" {
		return w.createInstance(c, s, as, inst)
	}
	_, err := w.member(c, as, inst.Region, "UpdateStack", &cloudformation.UpdateStackInput{
		StackName: &inst.StackID, TemplateBody: aws.String(w.state.StackSets.Templates[s.Template]), Parameters: instanceParameters(s, inst),
		Capabilities: instanceCapabilities(s), Tags: apiTags(s.Tags),
	})
	if err != nil {
		if strings.Contains(err.Error(), "No updates are to be performed.") {
			return nil
		}
		return err
	}
	return w.stackOutcome(st, "UPDATE_COMPLETE")
}

// neverComplete says whether a stack's state is that of a creation that failed.
func neverComplete(status string) bool {
	switch status {
	case "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED":
		return true
	}
	return false
}

func (w *World) createInstance(c *call, s *stackSet, as Principal, inst *stackInstance) error {
	body := w.state.StackSets.Templates[s.Template]
	in := &cloudformation.CreateStackInput{
		StackName: aws.String("StackSet-" + s.Name + "-" + w.uuid()), TemplateBody: &body, Parameters: instanceParameters(s, inst),
		Capabilities: instanceCapabilities(s), Tags: apiTags(s.Tags),
	}
	out, err := w.member(c, as, inst.Region, "CreateStack", in)
	if err != nil {
		return err
	}
	if created, ok := out.(*cloudformation.CreateStackOutput); ok {
		inst.StackID = aws.ToString(created.StackId)
	}
	return w.stackOutcome(w.stackByID(inst.StackID), "CREATE_COMPLETE")
}

// instanceParameters is the stack set's parameters with the instance's
// overrides.
func instanceParameters(s *stackSet, inst *stackInstance) []types.Parameter {
	values := maps.Clone(s.Parameters)
	for k, v := range inst.Overrides {
		if _, ok := values[k]; ok {
			values[k] = v
		}
	}
	return apiParameters(nil, values)
}

func instanceCapabilities(s *stackSet) []types.Capability {
	out := make([]types.Capability, 0, len(s.Capabilities))
	for _, c := range s.Capabilities {
		out = append(out, types.Capability(c))
	}
	return out
}

// deleteInstance deletes the stack of an instance, if there is one.
func (w *World) deleteInstance(c *call, as Principal, inst *stackInstance) error {
	st := w.stackByID(inst.StackID)
	if st == nil || st.Status == "DELETE_COMPLETE" {
		return nil
	}
	if _, err := w.member(c, as, inst.Region, "DeleteStack", &cloudformation.DeleteStackInput{StackName: &inst.StackID}); err != nil {
		return err
	}
	return w.stackOutcome(st, "DELETE_COMPLETE")
}

// stackOutcome is nil when a stack is in the wanted state. Otherwise it is the
// reason as StackSets gives it: the first resource that failed.
func (w *World) stackOutcome(st *stack, want string) error {
	if st == nil || st.Status == want {
		return nil
	}
	from := len(st.Events) - 1 // the operation's first event is the stack's own IN_PROGRESS, initiated by the user
	for from > 0 && (st.Events[from].Type != stackType || st.Events[from].Reason != "User Initiated") {
		from--
	}
	for _, e := range st.Events[max(from, 0):] {
		if strings.HasSuffix(e.Status, "_FAILED") && e.Type != stackType {
			return validationError("ResourceLogicalId:%s, ResourceType:%s, ResourceStatusReason:%s.", e.Logical, e.Type, strings.TrimSuffix(e.Reason, "."))
		}
	}
	return validationError("Stack %s is in %s state. %s", st.ID, st.Status, st.Reason)
}
