package baseline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
)

// Drift is what CloudFormation's own drift detection says of a stack set.
type Drift struct {
	Instances int // that it looked at
	Drifted   int
	Failed    int // that it could not look at
	// Resources are the states of the resources of instances that drifted, by
	// instanceKey and logical id: IN_SYNC, MODIFIED, DELETED, NOT_CHECKED.
	Resources map[string]map[string]string
	Err       error // why it could not be asked
}

// unchecked are the types of the baseline that drift detection does not support. It
// calls them NOT_CHECKED, whatever has become of them.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resource-import-supported-resources.html
var unchecked = []string{"AWS::Config::ConfigurationRecorder", "AWS::Config::DeliveryChannel"}

// DetectDrift has CloudFormation compare the stack sets' instances with their
// templates, waits, and reads what it found into the sets. It changes nothing that is
// deployed, but each stack set gets an operation in its list; one that is running
// already is waited for instead.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-drift.html
func (b *Baseline) DetectDrift(ctx context.Context, pool *access.Pool, sets StackSets) {
	c := b.cloud(pool)
	var units []*composed // those of shards have the shard's name
	for _, u := range b.units {
		if sets[u.ID] == nil || sets[u.ID].Err != nil {
			continue
		}
		for i, s := range sets[u.ID].all() {
			if s.Exists && !s.empty() {
				units = append(units, u.shard(i+1))
			}
		}
	}
	found := orgs.ForEach(ctx, units, 8, func(ctx context.Context, u *composed) (*Drift, error) { return c.detect(ctx, b, u.Stack) })
	for i, o := range found {
		d := o.Value
		if d == nil {
			d = &Drift{}
		}
		d.Err = o.Err
		set := sets[units[i].ID]
		set.Drift = set.Drift.with(d)
	}
}

// with is what drift detection says of two stack sets of one unit.
func (d *Drift) with(other *Drift) *Drift {
	if d == nil {
		return other
	}
	sum := &Drift{
		Instances: d.Instances + other.Instances, Drifted: d.Drifted + other.Drifted, Failed: d.Failed + other.Failed,
		Resources: map[string]map[string]string{}, Err: errors.Join(d.Err, other.Err),
	}
	maps.Copy(sum.Resources, d.Resources)
	maps.Copy(sum.Resources, other.Resources)
	return sum
}

// detect runs one drift detection, or waits for the one that runs, and reads it.
func (c cloud) detect(ctx context.Context, b *Baseline, name string) (*Drift, error) {
	operation, err := c.detecting(ctx, name)
	if err == nil && operation == "" {
		operation, err = c.submit(ctx, name, func() (*string, error) {
			out, err := c.pool.CloudFormation.DetectStackSetDrift(ctx, &cloudformation.DetectStackSetDriftInput{
				StackSetName: aws.String(name), CallAs: c.as,
				// However many accounts it cannot look at, it goes on with the others.
				OperationPreferences: &types.StackSetOperationPreferences{
					RegionConcurrencyType: types.RegionConcurrencyTypeParallel, ConcurrencyMode: types.ConcurrencyModeSoftFailureTolerance,
					MaxConcurrentPercentage: aws.Int32(100), FailureTolerancePercentage: aws.Int32(100),
				},
			}, c.at.CloudFormation)
			if err != nil {
				return nil, err
			}
			return out.OperationId, nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("detect drift of stack set %s: %w", name, err)
	}
	ended, err := c.ended(ctx, name, operation)
	if err != nil {
		return nil, err
	}
	if ended.Status == types.StackSetOperationStatusStopped {
		return nil, fmt.Errorf("the drift detection of stack set %s was stopped: somebody did not want it to go on", name)
	}
	failed, err := c.failures(ctx, b, name, operation)
	if err != nil {
		return nil, err
	}
	d := &Drift{Failed: len(failed), Resources: map[string]map[string]string{}}
	return d, c.readDrift(ctx, name, operation, d)
}

// detecting is the drift detection that is running; "" when none is.
func (c cloud) detecting(ctx context.Context, name string) (string, error) {
	ids, err := c.active(ctx, name)
	if err != nil {
		return "", err
	}
	for _, id := range ids {
		out, err := c.pool.CloudFormation.DescribeStackSetOperation(ctx, &cloudformation.DescribeStackSetOperationInput{
			StackSetName: aws.String(name), OperationId: aws.String(id), CallAs: c.as,
		}, c.at.CloudFormation)
		if err != nil {
			return "", err
		}
		if out.StackSetOperation.Action == types.StackSetOperationActionDetectDrift {
			return id, nil
		}
	}
	return "", nil
}

// readDrift reads the instances' drift, and the resources of those that drifted.
func (c cloud) readDrift(ctx context.Context, name, operation string, d *Drift) error {
	p := cloudformation.NewListStackInstancesPaginator(c.pool.CloudFormation, &cloudformation.ListStackInstancesInput{
		StackSetName: aws.String(name), CallAs: c.as, MaxResults: aws.Int32(100),
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, c.at.CloudFormation)
		if err != nil {
			return fmt.Errorf("list instances of stack set %s: %w", name, err)
		}
		for _, i := range page.Summaries {
			d.Instances++
			if i.DriftStatus != types.StackDriftStatusDrifted {
				continue
			}
			d.Drifted++
			resources, err := c.resourceDrifts(ctx, name, operation, i)
			if err != nil {
				return err
			}
			d.Resources[instanceKey(orgs.AccountID(aws.ToString(i.Account)), aws.ToString(i.Region))] = resources
		}
	}
	return nil
}

func (c cloud) resourceDrifts(ctx context.Context, name, operation string, i types.StackInstanceSummary) (map[string]string, error) {
	out := map[string]string{}
	in := &cloudformation.ListStackInstanceResourceDriftsInput{
		StackSetName: aws.String(name), OperationId: aws.String(operation), StackInstanceAccount: i.Account, StackInstanceRegion: i.Region, CallAs: c.as,
	}
	for { // the SDK has no paginator for this call
		page, err := c.pool.CloudFormation.ListStackInstanceResourceDrifts(ctx, in, c.at.CloudFormation)
		if err != nil {
			return nil, fmt.Errorf("list drifted resources of stack set %s in %s, %s: %w", name, aws.ToString(i.Account), aws.ToString(i.Region), err)
		}
		for _, r := range page.Summaries {
			out[aws.ToString(r.LogicalResourceId)] = string(r.StackResourceDriftStatus)
		}
		if in.NextToken = page.NextToken; aws.ToString(in.NextToken) == "" {
			return out, nil
		}
	}
}

// drifted is what drift detection says of a resource: "" when it was not asked, or could
// not be.
func (s StackSets) drifted(in Inspection) string {
	if in.unit == nil || s[in.unit.ID] == nil || s[in.unit.ID].Drift == nil || s[in.unit.ID].Drift.Err != nil {
		return ""
	}
	key := instanceKey(in.Account.ID, in.Region)
	if _, ok := s[in.unit.ID].instance(in.Account.ID, in.Region); !ok {
		return ""
	}
	if slices.Contains(unchecked, in.Resource.Type) {
		return string(types.StackResourceDriftStatusNotChecked)
	}
	if status := s[in.unit.ID].Drift.Resources[key][in.Resource.LogicalID]; status != "" {
		return status
	}
	return string(types.StackResourceDriftStatusInSync)
}

// against is what CloudFormation says against a drift that the account shows; "" when it
// says nothing against it.
func (s StackSets) against(in Inspection) string {
	if s.says(in) != "CURRENT" {
		return ""
	}
	switch d := s.drifted(in); d {
	case "":
		return "CURRENT"
	case string(types.StackResourceDriftStatusModified), string(types.StackResourceDriftStatusDeleted):
		return "" // it agrees
	default:
		return "CURRENT, drift detection " + d
	}
}

// driftFindings are the resources that drift detection finds changed although the account
// holds what the baseline wants.
func (b *Baseline) driftFindings(inspected []Inspection, sets StackSets) []finding.Finding {
	var out []finding.Finding
	for _, in := range inspected {
		d := sets.drifted(in)
		if d != string(types.StackResourceDriftStatusModified) && d != string(types.StackResourceDriftStatusDeleted) {
			continue
		}
		if in.Account.Excluded != "" || in.Off != "" || in.Waived != "" || in.Err != nil || len(in.Mismatches) > 0 {
			continue
		}
		out = append(out, finding.Finding{
			Account: string(in.Account.ID), AccountName: in.Account.Name, OUPath: in.Account.OUPath, Region: label(in.Resource, in.Region),
			Control: in.Resource.Control, Resource: in.Resource.label(), Severity: finding.Low, Status: finding.Drift,
			Reason:   "CloudFormation's drift detection says " + d + " although it is as the baseline wants it",
			Expected: "IN_SYNC", Actual: d, CloudFormation: d, Fix: "look at the stack of " + in.unit.Stack + " in that account and Region: it was changed past CloudFormation",
		})
	}
	return out
}

// undetected are the stack sets that drift detection could not look at.
func (b *Baseline) undetected(sets StackSets) []finding.Finding {
	var out []finding.Finding
	mgmt, _ := b.Org.Account(b.Org.ManagementAccount)
	for _, u := range b.units {
		s := sets[u.ID]
		if s == nil || s.Drift == nil || s.Drift.Err == nil {
			continue
		}
		out = append(out, finding.Finding{
			Account: string(mgmt.ID), AccountName: mgmt.Name, OUPath: b.Org.PathName(mgmt.Parent), Region: b.Home, Control: u.controls[0],
			Resource: "drift detection of " + u.Stack, Severity: finding.Low, Status: finding.NotAssessed, Reason: orgs.Reason(s.Drift.Err),
			Fix: "let the caller detect drift (`orgguard permissions --command \"audit --stackset-drift\"`), or audit without --stackset-drift",
		})
	}
	return out
}

// DriftNote says what drift detection looked at and what it cannot see; "" when nobody
// asked it.
func (s StackSets) DriftNote() string {
	var sets, instances, drifted, failed int
	asked := false
	for _, id := range sortedKeys(s) {
		d := s[id].Drift
		switch {
		case d == nil:
		case d.Err != nil:
			asked = true
		default:
			asked = true
			sets, instances, drifted, failed = sets+1, instances+d.Instances, drifted+d.Drifted, failed+d.Failed
		}
	}
	if !asked {
		return ""
	}
	return fmt.Sprintf("StackSet drift detection: %d of %d instances of %d stack sets drifted, %d could not be looked at. It cannot see recorders and delivery channels "+
		"(%s are NOT_CHECKED), nor changes made by CloudFormation itself: the accounts were asked about those", drifted, instances, sets, failed, joinAnd(unchecked))
}
