package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/orgguard/orgguard/orgs"
)

var operationIDPattern = orgs.NewPattern(`^[a-zA-Z0-9][-a-zA-Z0-9]{0,127}$`)

// newOperation makes an operation of a request, or refuses it: an operation id
// works once, and without managed execution there is one operation at a time.
func (c *call) newOperation(s *stackSet, action string, id *string, prefs *types.StackSetOperationPreferences) (*setOperation, error) {
	o := &setOperation{ID: aws.ToString(id), Action: action, Created: c.now, Next: c.now}
	if o.ID == "" {
		o.ID = c.w.uuid()
	}
	if !operationIDPattern.MatchString(o.ID) {
		return nil, validationError("1 validation error detected: Value '%s' at 'operationId' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9][-a-zA-Z0-9]*", o.ID)
	}
	if old := s.operation(o.ID); old != nil {
		if old != s.Operations[len(s.Operations)-1] {
			return nil, apiError("StaleRequestException", "Another operation has been performed on StackSet %s since operation %s was requested", s.Name, o.ID)
		}
		return nil, apiError("OperationIdAlreadyExistsException", "The specified operation ID already exists: %s", o.ID)
	}
	active := c.w.activeOperations(s)
	for _, other := range active {
		if !s.Managed || action == "DETECT_DRIFT" && other.Action == action {
			return nil, inProgress(other)
		}
	}
	if len(active) >= maxQueuedOperations {
		return nil, apiError("LimitExceededException", "The stack set has %d queued operations", len(active))
	}
	var err error
	o.Prefs, err = preferencesOf(prefs)
	return o, err
}

// preferencesOf checks and copies operation preferences.
func preferencesOf(in *types.StackSetOperationPreferences) (*preferences, error) {
	if in == nil {
		return nil, nil
	}
	if in.MaxConcurrentCount != nil && in.MaxConcurrentPercentage != nil {
		return nil, validationError("Only one of MaxConcurrentCount or MaxConcurrentPercentage can be specified")
	}
	if in.FailureToleranceCount != nil && in.FailureTolerancePercentage != nil {
		return nil, validationError("Only one of FailureToleranceCount or FailureTolerancePercentage can be specified")
	}
	for name, v := range map[string]*int32{"maxConcurrentCount": in.MaxConcurrentCount, "maxConcurrentPercentage": in.MaxConcurrentPercentage} {
		if v != nil && *v < 1 {
			return nil, validationError("1 validation error detected: Value '%d' at 'operationPreferences.%s' failed to satisfy constraint: Member must have value greater than or equal to 1", *v, name)
		}
	}
	for name, v := range map[string]*int32{"maxConcurrentPercentage": in.MaxConcurrentPercentage, "failureTolerancePercentage": in.FailureTolerancePercentage} {
		if v != nil && (*v < 0 || *v > 100) {
			return nil, validationError("1 validation error detected: Value '%d' at 'operationPreferences.%s' failed to satisfy constraint: Member must have value less than or equal to 100", *v, name)
		}
	}
	if in.FailureToleranceCount != nil && *in.FailureToleranceCount < 0 {
		return nil, validationError("1 validation error detected: Value '%d' at 'operationPreferences.failureToleranceCount' failed to satisfy constraint: Member must have value greater than or equal to 0", *in.FailureToleranceCount)
	}
	return detach(&preferences{
		MaxConcurrentCount: in.MaxConcurrentCount, MaxConcurrentPercent: in.MaxConcurrentPercentage,
		ToleranceCount: in.FailureToleranceCount, TolerancePercent: in.FailureTolerancePercentage,
		Concurrency: string(in.ConcurrencyMode), RegionConcurrency: string(in.RegionConcurrencyType), RegionOrder: in.RegionOrder,
	}), nil
}

// tolerance is how many accounts of a Region may fail; percentages round down.
func (p *preferences) tolerance(accounts int) int {
	switch {
	case p == nil:
		return 0
	case p.ToleranceCount != nil:
		return int(*p.ToleranceCount)
	case p.TolerancePercent != nil:
		return accounts * int(*p.TolerancePercent) / 100
	}
	return 0
}

// concurrency is how many accounts of a Region are worked on at once. In the
// strict mode it never lets more fail than the tolerance and one, and shrinks
// with every failure.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/concurrency-modes.html
func (p *preferences) concurrency(accounts, failures int) int {
	n := 1
	switch {
	case p == nil:
	case p.MaxConcurrentCount != nil:
		n = int(*p.MaxConcurrentCount)
	case p.MaxConcurrentPercent != nil:
		n = accounts * int(*p.MaxConcurrentPercent) / 100
	}
	if p == nil || p.Concurrency != string(types.ConcurrencyModeSoftFailureTolerance) {
		n = min(n, p.tolerance(accounts)-failures+1)
	}
	return max(n, 1)
}

// enqueue adds an operation to its stack set and starts it, or lets it wait
// for those it conflicts with.
func (w *World) enqueue(c *call, s *stackSet, o *setOperation) {
	o.segment()
	o.Status = "QUEUED"
	if s.Managed && !o.Auto {
		o.Next = c.now.Add(w.timing.Queue)
	}
	for _, other := range w.activeOperations(s) {
		if !s.Managed || conflict(o, other) {
			o.WaitsFor = append(o.WaitsFor, operationRef{s.ID, other.ID})
		}
	}
	s.Operations = append(s.Operations, o)
	w.state.StackSets.Active = append(w.state.StackSets.Active, operationRef{s.ID, o.ID})
	for _, i := range o.Items {
		if inst := s.instance(i.Account, i.Region); inst != nil && o.Action != "DETECT_DRIFT" {
			inst.Detailed, inst.Reason = "PENDING", ""
		}
	}
	w.settleStackSets(c)
}

// conflict says whether two operations cannot run at the same time: they
// touch the same instance, or one of them changes the stack set itself.
func conflict(a, b *setOperation) bool {
	if a.Definition != nil || b.Definition != nil {
		return true
	}
	touched := map[[2]string]bool{}
	for _, i := range a.Items {
		touched[[2]string{i.Account, i.Region}] = true
	}
	return slices.ContainsFunc(b.Items, func(i *operationItem) bool { return touched[[2]string{i.Account, i.Region}] })
}

// segment puts the items Region after Region: the preferred order first, then
// the order they came in.
func (o *setOperation) segment() {
	var order []string
	if o.Prefs != nil {
		order = slices.Clone(o.Prefs.RegionOrder)
	}
	for _, i := range o.Items {
		if !slices.Contains(order, i.Region) {
			order = append(order, i.Region)
		}
	}
	slices.SortStableFunc(o.Items, func(a, b *operationItem) int {
		return slices.Index(order, a.Region) - slices.Index(order, b.Region)
	})
	o.Segments = nil
	for n, i := range o.Items {
		if k := len(o.Segments); k == 0 || o.Segments[k-1].Region != i.Region {
			o.Segments = append(o.Segments, &regionSegment{Region: i.Region, From: n, Next: n})
		}
		o.Segments[len(o.Segments)-1].To = n + 1
	}
}

// settleStackSets lets stacks and stack set operations go on to c.now, one
// thing after the other in the order of their times.
func (w *World) settleStackSets(c *call) {
	st := &w.state.StackSets
	for len(st.Active) > 0 || len(st.Busy) > 0 {
		if !w.settleNext(c) {
			return
		}
		w.dirty()
	}
}

// settleNext does the earliest thing that is due and says whether there was one.
func (w *World) settleNext(c *call) bool {
	var due time.Time
	var next func(*call)
	consider := func(t time.Time, do func(*call)) {
		if !t.After(c.now) && (next == nil || t.Before(due)) {
			due, next = t, do
		}
	}
	for _, ref := range w.state.StackSets.Active {
		s := w.stackSetByID(ref.Set)
		o := s.operation(ref.Operation)
		if t, ready := w.readyAt(o); ready {
			consider(t, func(at *call) { w.advance(at, s, o) })
		}
	}
	for _, id := range w.state.StackSets.Busy {
		s := w.stackByID(id)
		switch {
		case s == nil || s.Work == nil:
			consider(time.Time{}, func(*call) { w.notBusy(id) })
		default:
			consider(s.Work.Due, func(at *call) {
				w.notBusy(id)
				w.carryOut(at, s)
			})
		}
	}
	if next == nil {
		return false
	}
	at := *c
	if !due.IsZero() {
		at.now = due
	}
	next(&at)
	return true
}

// stackByID finds a stack in any account × Region by its ARN.
func (w *World) stackByID(id string) *stack {
	_, region, account, _, ok := arnParts(id)
	if !ok || w.account(account) == nil {
		return nil
	}
	return w.region(account, region).Stacks.Stacks[id]
}

func (w *World) notBusy(id string) {
	busy := &w.state.StackSets.Busy
	*busy = slices.DeleteFunc(*busy, func(b string) bool { return b == id })
}

// readyAt says when an operation has something to do next; ready is false
// while it waits for others.
func (w *World) readyAt(o *setOperation) (at time.Time, ready bool) {
	at = o.Next
	if o.Status != "QUEUED" {
		return at, true
	}
	for _, ref := range o.WaitsFor {
		other := w.operationAt(ref)
		if other == nil {
			continue
		}
		if other.active() {
			return at, false
		}
		if other.Ended.After(at) {
			at = other.Ended
		}
	}
	return at, true
}

func (w *World) operationAt(ref operationRef) *setOperation {
	if s := w.stackSetByID(ref.Set); s != nil {
		return s.operation(ref.Operation)
	}
	return nil
}

// advance starts an operation, or ends its running wave and starts the next.
func (w *World) advance(c *call, s *stackSet, o *setOperation) {
	if o.Status == "QUEUED" {
		if !w.start(c, s, o) {
			return
		}
	} else {
		w.endWave(c, s, o)
	}
	if o.Status == "STOPPING" {
		o.cancelRest(s, "Cancelled since the operation was stopped by the user")
		w.end(c, s, o, "STOPPED")
		return
	}
	if !w.startWave(s, o) {
		status := "SUCCEEDED"
		if o.Exceeded {
			status = "FAILED"
		}
		w.end(c, s, o, status)
		return
	}
	o.Next = c.now.Add(w.timing.StackInstance)
}

// start turns a queued operation into a running one. It returns false when a
// stack set it depends on could not be deployed.
func (w *World) start(c *call, s *stackSet, o *setOperation) bool {
	if o.NeedsAll {
		for _, ref := range o.WaitsFor {
			if other := w.operationAt(ref); ref.Set != s.ID && other != nil && other.Status != "SUCCEEDED" {
				o.Reason = "Operation " + other.ID + " of a stack set this one depends on did not succeed"
				o.cancelRest(s, o.Reason)
				w.end(c, s, o, "FAILED")
				return false
			}
		}
	}
	o.Status = "RUNNING"
	if d := o.Definition; d != nil {
		outdated := d.Template != s.Template || !maps.Equal(d.Parameters, s.Parameters) || !maps.Equal(d.Tags, s.Tags)
		s.stackSetDefinition, o.Definition = *d, nil
		for _, i := range s.Instances {
			if outdated && i.Status != "INOPERABLE" {
				i.Status, i.Detailed = "OUTDATED", "PENDING"
			}
		}
	}
	for _, item := range o.Items {
		if i := s.instance(item.Account, item.Region); i != nil {
			i.LastOperation = o.ID
			if o.Override {
				i.Overrides = maps.Clone(o.Overrides) // the list takes the place of the old one
			}
		}
	}
	return true
}

// startWave marks the next items as running and says whether there are any.
func (w *World) startWave(s *stackSet, o *setOperation) bool {
	parallel := o.Prefs != nil && o.Prefs.RegionConcurrency == string(types.RegionConcurrencyTypeParallel)
	started := false
	for _, seg := range o.Segments {
		if seg.Next >= seg.To {
			continue
		}
		n := min(o.Prefs.concurrency(seg.To-seg.From, seg.Failures), seg.To-seg.Next)
		for _, item := range o.Items[seg.Next : seg.Next+n] {
			item.Status = "RUNNING"
			if i := s.instance(item.Account, item.Region); i != nil && o.Action != "DETECT_DRIFT" {
				i.Detailed = "RUNNING"
			}
		}
		seg.Next, seg.Running, started = seg.Next+n, n, true
		if !parallel {
			break
		}
	}
	return started
}

// endWave does the work of the running items. When more accounts of a Region
// failed than the tolerance allows, the rest of the Region is cancelled, and
// with it the Regions that were to follow.
func (w *World) endWave(c *call, s *stackSet, o *setOperation) {
	for _, seg := range o.Segments {
		for _, item := range o.Items[seg.Next-seg.Running : seg.Next] {
			w.work(c, s, o, item)
			if item.Status == "FAILED" {
				seg.Failures++
			}
		}
		seg.Running = 0
	}
	const reason = "Cancelled since failure tolerance has exceeded"
	parallel := o.Prefs != nil && o.Prefs.RegionConcurrency == string(types.RegionConcurrencyTypeParallel)
	for _, seg := range o.Segments {
		if seg.Failures <= o.Prefs.tolerance(seg.To-seg.From) {
			continue
		}
		o.Exceeded = true
		o.cancel(s, seg, reason)
		if !parallel {
			o.cancelRest(s, reason)
			return
		}
	}
}

// cancel gives up the pending items of a Region.
func (o *setOperation) cancel(s *stackSet, seg *regionSegment, reason string) {
	for _, item := range o.Items[seg.Next:seg.To] {
		item.Status, item.Reason = "CANCELLED", reason
		if i := s.instance(item.Account, item.Region); i != nil && o.Action != "DETECT_DRIFT" {
			i.Detailed, i.Reason = "CANCELLED", reason
		}
	}
	seg.Next = seg.To
}

func (o *setOperation) cancelRest(s *stackSet, reason string) {
	for _, seg := range o.Segments {
		o.cancel(s, seg, reason)
	}
}

// end finishes an operation.
func (w *World) end(c *call, s *stackSet, o *setOperation, status string) {
	o.Status, o.Ended = status, c.now
	active := &w.state.StackSets.Active
	*active = slices.DeleteFunc(*active, func(r operationRef) bool { return r.Set == s.ID && r.Operation == o.ID })
	if o.Action == "DETECT_DRIFT" {
		s.noteDrift(o)
	}
}

// failures is how many instances the operation failed for.
func (o *setOperation) failures() int {
	n := 0
	for _, i := range o.Items {
		if i.Status == "FAILED" {
			n++
		}
	}
	return n
}
