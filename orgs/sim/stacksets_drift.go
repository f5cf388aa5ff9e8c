package sim

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

func detectStackSetDrift(c *call, in *cloudformation.DetectStackSetDriftInput) (*cloudformation.DetectStackSetDriftOutput, error) {
	s, err := c.activeStackSet(in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	o, err := c.newOperation(s, "DETECT_DRIFT", in.OperationId, in.OperationPreferences)
	if err != nil {
		return nil, err
	}
	for _, i := range s.Instances {
		o.Items = append(o.Items, &operationItem{Account: i.Account, Region: i.Region, Unit: i.Unit, Status: "PENDING"})
	}
	c.w.enqueue(c, s, o)
	return &cloudformation.DetectStackSetDriftOutput{OperationId: aws.String(o.ID)}, nil
}

// detectDrift compares the resources of an instance's stack with its template.
// It finds changes to the resources only: a stack that was updated past its
// stack set does not count as drifted. Types without drift detection, AWS
// Config's recorder and channel among them, are not checked.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-drift.html
func (w *World) detectDrift(c *call, as Principal, inst *stackInstance) error {
	st := w.stackByID(inst.StackID)
	if st == nil || st.Status == "DELETE_COMPLETE" {
		return validationError("Stack instance for account %s and Region %s has no stack", inst.Account, inst.Region)
	}
	if !slices.Contains([]string{"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"}, st.Status) {
		return validationError("Drift detection cannot be performed on stack [%s] in state %s", st.ID, st.Status)
	}
	t, err := w.parsedTemplate(st.Template)
	if err != nil {
		return err
	}
	d := &deployment{c: w.cloudformationCall(c, st, as, ""), s: st, t: t, params: st.Parameters}
	d.c.serviceRole = true
	drifted, err := d.drift()
	if err != nil {
		return err
	}
	inst.Drifted, inst.DriftChecked, inst.Drift = drifted, c.now, "IN_SYNC"
	if len(drifted) > 0 {
		inst.Drift = "DRIFTED"
	}
	return nil
}

// drift is the resources of a stack that are not as the template says.
func (d *deployment) drift() ([]resourceDrift, error) {
	scope := d.scope(d.t, d.params)
	var out []resourceDrift
	for _, name := range sortedKeys(d.s.Resources) {
		r, decl := d.s.Resources[name], d.t.resources[name]
		if decl == nil || resourceTypes[r.Type].read == nil {
			continue
		}
		p, err := d.provision(name, decl, scope, r.clone())
		if err != nil {
			return nil, err
		}
		live, err := p.typ.read(p)
		switch {
		case hasCode(err, goneCodes...):
			out = append(out, resourceDrift{Logical: name, Status: "DELETED"})
		case err != nil:
			return nil, err
		default:
			if changed := driftOf(p.props, live); len(changed) > 0 {
				out = append(out, resourceDrift{Logical: name, Status: "MODIFIED", Properties: changed})
			}
		}
	}
	return out, nil
}

// goneCodes is how the services say that a resource is not there.
var goneCodes = append([]string{"ResourceNotFoundException", "NotFound", "NotFoundException", "NoSuchEntity", "NoSuchBucket", "NoSuchBucketPolicy", "StateMachineDoesNotExist"}, cfnNoQueue...)

// noteDrift sums a finished drift detection up for the stack set.
func (s *stackSet) noteDrift(o *setOperation) {
	d := &setDrift{Checked: o.Ended, Total: len(o.Items), Failed: o.failures(), Status: "COMPLETED"}
	for _, item := range o.Items {
		if i := s.instance(item.Account, item.Region); i != nil && item.Status == "SUCCEEDED" {
			if i.Drift == "DRIFTED" {
				d.Drifted++
			} else {
				d.InSync++
			}
		}
	}
	switch {
	case o.Status != "SUCCEEDED":
		d.Status = o.Status // FAILED or STOPPED
	case d.Failed > 0:
		d.Status = "PARTIAL_SUCCESS"
	}
	s.Drift = d
}

func listStackInstanceResourceDrifts(c *call, in *cloudformation.ListStackInstanceResourceDriftsInput) (*cloudformation.ListStackInstanceResourceDriftsOutput, error) {
	s, err := c.stackSet(in.StackSetName, in.CallAs)
	if err != nil {
		return nil, err
	}
	inst := s.instance(aws.ToString(in.StackInstanceAccount), aws.ToString(in.StackInstanceRegion))
	if inst == nil {
		return nil, noInstance(in.StackInstanceAccount, in.StackInstanceRegion)
	}
	if o := s.operation(aws.ToString(in.OperationId)); o == nil || o.Action != "DETECT_DRIFT" {
		return nil, apiError("OperationNotFoundException", "Operation %s not found", aws.ToString(in.OperationId))
	}
	var all []types.StackInstanceResourceDriftsSummary
	st := c.w.stackByID(inst.StackID)
	if st != nil && !inst.DriftChecked.IsZero() {
		for _, name := range sortedKeys(st.Resources) {
			sum := resourceDriftOf(st, inst, name)
			if len(in.StackInstanceResourceDriftStatuses) == 0 || slices.Contains(in.StackInstanceResourceDriftStatuses, sum.StackResourceDriftStatus) {
				all = append(all, sum)
			}
		}
	}
	from, to, next, err := cfnPageOf("drifts", in.NextToken, in.MaxResults, len(all), func(i int) string { return *all[i].LogicalResourceId })
	if err != nil {
		return nil, err
	}
	return &cloudformation.ListStackInstanceResourceDriftsOutput{Summaries: all[from:to], NextToken: next}, nil
}

func resourceDriftOf(st *stack, inst *stackInstance, name string) types.StackInstanceResourceDriftsSummary {
	r := st.Resources[name]
	sum := types.StackInstanceResourceDriftsSummary{
		LogicalResourceId: aws.String(name), PhysicalResourceId: aws.String(r.Physical), ResourceType: aws.String(r.Type), StackId: aws.String(st.ID),
		StackResourceDriftStatus: types.StackResourceDriftStatusInSync, Timestamp: aws.Time(inst.DriftChecked),
	}
	if resourceTypes[r.Type].read == nil {
		sum.StackResourceDriftStatus = types.StackResourceDriftStatusNotChecked
	}
	for _, d := range inst.Drifted {
		if d.Logical != name {
			continue
		}
		sum.StackResourceDriftStatus = types.StackResourceDriftStatus(d.Status)
		for _, p := range d.Properties {
			sum.PropertyDifferences = append(sum.PropertyDifferences, types.PropertyDifference{
				PropertyPath: aws.String("/" + p), DifferenceType: types.DifferenceTypeNotEqual, ExpectedValue: aws.String(""), ActualValue: aws.String("")})
		}
	}
	return sum
}

func noInstance(account, region *string) error {
	return apiError("StackInstanceNotFoundException", "Stack instance for account %s and Region %s not found", aws.ToString(account), aws.ToString(region))
}
