package sim

import "slices"

// accountMoved tells StackSets that an account came into the organization,
// moved in it from one root or OU to another, or left it. Stack sets with
// auto-deployment then deploy to it, or take away what their targets no longer
// cover. Account filters and parameter overrides play no part.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-orgs-manage-auto-deployment.html
func (w *World) accountMoved(c *call, account, _, _ string) {
	if !w.stackSetsActivated() || account == w.state.Org.ManagementAccount {
		return
	}
	if state := w.accountInState(account); state != "" && state != "ACTIVE" {
		return // a closed account is out of reach; it leaves the organization after 90 days
	}
	started := map[string]operationRef{} // by stack set ARN
	for _, s := range w.autoDeployed() {
		covered := w.coveringTargets(s, account)
		if o := w.leaving(c, s, account, covered); o != nil {
			w.enqueue(c, s, o)
		}
		o := w.joining(c, s, account, covered)
		if o == nil {
			continue
		}
		for _, arn := range s.Auto.DependsOn {
			if ref, ok := started[arn]; ok {
				o.WaitsFor, o.NeedsAll = append(o.WaitsFor, ref), true
			}
		}
		started[s.arn(w)] = operationRef{s.ID, o.ID}
		s.addInstances(o)
		w.enqueue(c, s, o)
	}
}

// autoDeployed is the stack sets with auto-deployment, each after those it
// depends on.
func (w *World) autoDeployed() []*stackSet {
	var out []*stackSet
	placed := map[string]bool{}
	var place func(s *stackSet)
	place = func(s *stackSet) {
		if placed[s.ID] || s.Status != "ACTIVE" || s.Model != serviceManaged || !s.Auto.Enabled {
			return
		}
		placed[s.ID] = true
		for _, other := range w.state.StackSets.Sets {
			if slices.Contains(s.Auto.DependsOn, other.arn(w)) {
				place(other)
			}
		}
		out = append(out, s)
	}
	for _, s := range w.state.StackSets.Sets {
		place(s)
	}
	return out
}

// coveringTargets is, by Region, the target of a stack set that covers an
// account: the nearest root or OU above it.
func (w *World) coveringTargets(s *stackSet, account string) map[string]string {
	out := map[string]string{}
	for _, node := range w.orgPath(account) { // from the root down
		for _, region := range s.Targets[node] {
			out[region] = node
		}
	}
	return out
}

func (w *World) autoOperation(c *call, action string) *setOperation {
	return &setOperation{ID: w.uuid(), Action: action, Created: c.now, Next: c.now, Auto: true}
}

// joining is the operation that deploys to an account that a target covers now.
func (w *World) joining(c *call, s *stackSet, account string, covered map[string]string) *setOperation {
	o := w.autoOperation(c, "CREATE")
	for _, region := range sortedKeys(covered) {
		if i := s.instance(account, region); i != nil {
			i.Unit = covered[region]
			continue
		}
		o.Items = append(o.Items, &operationItem{Account: account, Region: region, Unit: covered[region], Status: "PENDING"})
	}
	if len(o.Items) == 0 {
		return nil
	}
	return o
}

// leaving is the operation that takes away, or only forgets, the stacks of an
// account that no target covers any more.
func (w *World) leaving(c *call, s *stackSet, account string, covered map[string]string) *setOperation {
	o := w.autoOperation(c, "DELETE")
	o.Retain = s.Auto.Retain
	for _, i := range s.Instances {
		if _, still := covered[i.Region]; i.Account == account && !still {
			o.Items = append(o.Items, &operationItem{Account: account, Region: i.Region, Unit: i.Unit, Status: "PENDING"})
		}
	}
	if len(o.Items) == 0 {
		return nil
	}
	return o
}
