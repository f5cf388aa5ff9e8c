package sim

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
)

// cloudformationVia is who calls when CloudFormation works on a stack.
const cloudformationVia = "cloudformation.amazonaws.com"

// stackType is the resource type of a stack's own events.
const stackType = "AWS::CloudFormation::Stack"

// deployment is one operation on one stack, being carried out.
type deployment struct {
	c *call // CloudFormation's, with the permissions it was given
	s *stack
	t *template // what the stack is to be

	params   map[string]string // of t
	imports  map[string]bool
	retain   []string                  // resources DeleteStack was told to keep
	force    bool                      // keep what cannot be deleted
	replaced map[string]*stackResource // what an update put something else in the place of
	updated  map[string]bool           // what an update changed in place, or tried to
}

// newDeployment starts the work noted in a stack.
func (w *World) newDeployment(c *call, s *stack, t *template, params map[string]string) *deployment {
	return &deployment{
		c: w.cloudformationCall(c, s, s.Work.As, s.Work.Policy), s: s, t: t, params: params, retain: s.Work.Retain, force: s.Work.Force,
		imports: map[string]bool{}, replaced: map[string]*stackResource{}, updated: map[string]bool{},
	}
}

// cloudformationCall is CloudFormation at work on a stack, with somebody's
// permissions.
func (w *World) cloudformationCall(c *call, s *stack, as Principal, policy string) *call {
	return &call{
		ctx: c.ctx, w: w, service: "CloudFormation", op: c.op, caller: as, policy: policy, region: stackRegion(s.ID), now: c.now,
		via: cloudformationVia, serviceRole: s.RoleARN != "" || c.via == stackSetsVia,
	}
}

// stackRegion reads the Region out of a stack id.
func stackRegion(id string) string {
	_, region, _, _, _ := arnParts(id)
	return region
}

// event adds a line to the stack's history.
func (d *deployment) event(logical, physical, typ, status, reason string) {
	d.s.Events = append(d.s.Events, stackEvent{
		ID: d.c.w.id(8), Time: d.c.now, Logical: logical, Physical: physical, Type: typ, Status: status, Reason: reason,
	})
}

// to puts the stack into a state.
func (d *deployment) to(status, reason string) {
	d.s.Status, d.s.Reason = status, reason
	d.event(d.s.Name, d.s.ID, stackType, status, reason)
}

// mark puts a resource into a state.
func (d *deployment) mark(name, status, reason string) {
	r := d.s.Resources[name]
	r.Status, r.Reason, r.Updated = status, reason, d.c.now
	d.event(name, r.Physical, r.Type, status, reason)
}

// scope is what a template's functions see in this stack.
func (d *deployment) scope(t *template, params map[string]string) *scope {
	return d.c.w.stackScope(d.c, d.s, t, params, d.imports)
}

func (w *World) stackScope(c *call, s *stack, t *template, params map[string]string, imports map[string]bool) *scope {
	arns := []any{}
	for _, a := range s.NotifyARNs {
		arns = append(arns, a)
	}
	return &scope{
		t: t, params: params, imports: imports,
		pseudo: map[string]any{
			"AWS::AccountId": c.caller.Account, "AWS::Region": c.region, "AWS::Partition": w.state.Partition,
			"AWS::StackName": s.Name, "AWS::StackId": s.ID, "AWS::URLSuffix": w.urlSuffix(), "AWS::NotificationARNs": arns,
		},
		resource: func(name string) *stackResource {
			if r := s.Resources[name]; r != nil && r.Physical != "" {
				return r
			}
			return nil
		},
		export: func(name string) (string, bool) {
			for _, other := range w.liveStacks(c.caller.Account, c.region) {
				for _, o := range other.Outputs {
					if o.Export == name {
						return o.Value, true
					}
				}
			}
			return "", false
		},
	}
}

// provision makes the work on one resource: its evaluated properties under a
// scope, to be applied to res.
func (d *deployment) provision(name string, decl *resourceDecl, s *scope, res *stackResource) (*provision, error) {
	p := &provision{c: d.c, region: d.c.region, stack: d.s, logical: name, typ: resourceTypes[decl.typ], res: res, props: props{}}
	v, err := s.eval(decl.properties)
	if err != nil {
		return p, err
	}
	p.props = asProps(v)
	return p, nil
}

// steps carries out one step per resource in dependency order. Resources that
// wait for others are tried again as long as anything else moves; when nothing
// does, the first of them fails for the reason it waited, which is
// CloudFormation's time-out without the half hour.
type steps struct {
	order []string
	deps  map[string][]string
	begin func(name string) // before the steps that start together; may be nil
	step  func(name string) error
	all   bool // go on after a failure with what does not depend on it

	failed  map[string]error
	waiting map[string]error
	done    map[string]bool
}

func (s *steps) run() {
	s.failed, s.waiting, s.done = map[string]error{}, map[string]error{}, map[string]bool{}
	for {
		moved := s.round()
		if len(s.failed) > 0 && !s.all {
			return
		}
		if moved {
			continue
		}
		if len(s.waiting) == 0 {
			return
		}
		name := slices.MinFunc(sortedKeys(s.waiting), func(a, b string) int {
			return cmp.Compare(slices.Index(s.order, a), slices.Index(s.order, b))
		})
		s.failed[name] = s.waiting[name]
		delete(s.waiting, name)
	}
}

// round does the step of every resource that is ready, all of which
// CloudFormation starts at the same time, and says whether anything changed.
func (s *steps) round() bool {
	var ready []string
	for _, name := range s.order {
		if !s.done[name] && s.failed[name] == nil && allIn(s.deps[name], s.done) {
			ready = append(ready, name)
		}
	}
	if s.begin != nil {
		for _, name := range ready {
			s.begin(name)
		}
	}
	moved := false
	for _, name := range ready {
		err := s.step(name)
		var wait waiting
		switch {
		case err == nil:
			s.done[name], moved = true, true
			delete(s.waiting, name)
		case errors.As(err, &wait):
			moved = moved || s.waiting[name] == nil
			s.waiting[name] = err
		default:
			s.failed[name], moved = err, true
			delete(s.waiting, name)
		}
	}
	return moved
}

// create carries out a CreateStack.
func (d *deployment) create() {
	scope := d.scope(d.t, d.params)
	g, err := scope.resolve()
	if err != nil {
		d.createFailed(nil, d.c.w.resourceReason(err))
		return
	}
	d.s.Resources = map[string]*stackResource{}
	run := &steps{order: g.order, deps: g.deps, begin: d.beginResource, step: func(name string) error { return d.createResource(name, scope) }}
	run.run()
	if failed := d.markFailed(run, "CREATE_FAILED", "Resource creation cancelled"); len(failed) > 0 {
		d.createFailed(failed, "The following resource(s) failed to create: ["+strings.Join(failed, ", ")+"].")
		return
	}
	if err := d.finish(scope); err != nil {
		d.createFailed(nil, d.c.w.resourceReason(err))
		return
	}
	d.to("CREATE_COMPLETE", "")
}

// beginResource adds a resource to the stack, as one being created.
func (d *deployment) beginResource(name string) {
	if r := d.s.Resources[name]; r == nil || r.Status == "DELETE_COMPLETE" {
		d.s.Resources[name] = &stackResource{Type: d.t.resources[name].typ}
		d.mark(name, "CREATE_IN_PROGRESS", "")
	}
}

// createResource makes one resource, or goes on making it.
func (d *deployment) createResource(name string, s *scope) error {
	d.beginResource(name)
	r := d.s.Resources[name]
	p, err := d.provision(name, d.t.resources[name], s, r)
	if err == nil {
		err = p.checkProperties()
	}
	if err != nil {
		return err
	}
	known := r.Physical != ""
	err = p.typ.create(p)
	if !known && r.Physical != "" {
		d.mark(name, "CREATE_IN_PROGRESS", "Resource creation Initiated")
	}
	if err == nil {
		d.mark(name, "CREATE_COMPLETE", "")
	}
	return err
}

// markFailed notes what failed and what that stopped, and returns the names.
func (d *deployment) markFailed(run *steps, status, cancelled string) []string {
	failed := slices.DeleteFunc(slices.Clone(run.order), func(n string) bool { return run.failed[n] == nil })
	for _, name := range failed {
		if d.s.Resources[name] == nil {
			d.s.Resources[name] = &stackResource{Type: d.t.resources[name].typ}
		}
		d.mark(name, status, d.c.w.resourceReason(run.failed[name]))
	}
	if len(failed) > 0 {
		for _, name := range sortedKeys(run.waiting) {
			d.mark(name, status, cancelled)
			failed = append(failed, name)
		}
	}
	return failed
}

// createFailed does what the caller wanted to happen to a stack that could not
// be created; to roll it back, unless told otherwise.
func (d *deployment) createFailed(failed []string, reason string) {
	switch d.s.OnFailure {
	case "DO_NOTHING":
		d.to("CREATE_FAILED", reason)
	case "DELETE":
		d.to("CREATE_FAILED", reason)
		d.to("DELETE_IN_PROGRESS", "Delete requested by "+d.s.ID)
		d.deleteAll("DELETE_COMPLETE", "DELETE_FAILED", true)
	default:
		if len(failed) > 0 || !strings.HasSuffix(reason, "Rollback requested by user.") {
			reason = strings.TrimSpace(reason) + " Rollback requested by user."
		}
		d.to("ROLLBACK_IN_PROGRESS", reason)
		d.deleteAll("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", true)
	}
}

// deleteAll deletes the stack's resources and puts the stack into a final
// state. rollback says that the stack never was complete.
func (d *deployment) deleteAll(complete, incomplete string, rollback bool) {
	failed := d.deleteResources(sortedKeys(d.s.Resources), d.t, d.params, rollback)
	if len(failed) > 0 && !d.force {
		d.to(incomplete, "The following resource(s) failed to delete: ["+strings.Join(failed, ", ")+"]. ")
		return
	}
	d.s.Outputs, d.s.Imports = nil, nil
	d.to(complete, "")
	if complete == "DELETE_COMPLETE" {
		d.s.Deleted = d.c.now
		d.s.Resources = nil
	}
}

// deleteResources deletes resources, dependants first, and returns those that
// could not be deleted. What another resource still needs stays as well.
func (d *deployment) deleteResources(names []string, t *template, params map[string]string, rollback bool) []string {
	scope := d.scope(t, params)
	run := &steps{all: true, deps: map[string][]string{}}
	g, err := scope.resolve()
	if err != nil {
		g = &graph{} // the template no longer resolves: take the resources as they come
	}
	run.order = slices.DeleteFunc(slices.Clone(g.order), func(n string) bool { return !slices.Contains(names, n) })
	slices.Reverse(run.order)
	for _, n := range names {
		if !slices.Contains(run.order, n) {
			run.order = append(run.order, n)
		}
		for _, dep := range g.deps[n] {
			if slices.Contains(names, dep) {
				run.deps[dep] = append(run.deps[dep], n) // dep goes after n
			}
		}
	}
	run.step = func(name string) error { return d.deleteResource(name, t, scope, rollback) }
	run.run()
	return d.markFailed(run, "DELETE_FAILED", "")
}

func (d *deployment) deleteResource(name string, t *template, s *scope, rollback bool) error {
	r := d.s.Resources[name]
	if r == nil || r.Status == "DELETE_COMPLETE" || r.Status == "DELETE_SKIPPED" {
		return nil
	}
	if r.Physical == "" { // its creation failed before there was anything
		d.mark(name, "DELETE_COMPLETE", "")
		return nil
	}
	decl := t.resources[name]
	if decl == nil {
		decl = &resourceDecl{typ: r.Type}
	}
	keep := decl.deletionPolicy == "Retain" || decl.deletionPolicy == "RetainExceptOnCreate" && !rollback
	if keep || slices.Contains(d.retain, name) {
		d.mark(name, "DELETE_SKIPPED", "")
		return nil
	}
	if r.Status != "DELETE_IN_PROGRESS" {
		d.mark(name, "DELETE_IN_PROGRESS", "")
	}
	// Properties that no longer evaluate do not keep a resource alive.
	p, err := d.provision(name, decl, s, r)
	if err != nil {
		p.props = props{}
	}
	if err := p.typ.delete(p); err != nil {
		return err
	}
	d.mark(name, "DELETE_COMPLETE", "")
	return nil
}

// finish evaluates the outputs and takes on the exports.
func (d *deployment) finish(s *scope) error {
	outputs, err := d.outputs(s)
	if err != nil {
		return err
	}
	w := d.c.w
	exported := map[string]string{}
	for _, o := range outputs {
		if o.Export == "" {
			continue
		}
		exported[o.Export] = o.Value
		for _, other := range w.liveStacks(d.c.caller.Account, d.c.region) {
			if other != d.s && slices.ContainsFunc(other.Outputs, func(x stackOutput) bool { return x.Export == o.Export }) {
				return validationError("Export with name %s is already exported by stack %s. Rollback requested by user.", o.Export, other.Name)
			}
		}
	}
	for _, o := range d.s.Outputs {
		if now, still := exported[o.Export]; o.Export != "" && (!still || now != o.Value) {
			if user := w.importer(d.c, o.Export); user != "" {
				return validationError("Export %s cannot be updated as it is in use by %s", o.Export, user)
			}
		}
	}
	d.s.Outputs, d.s.Imports = outputs, sortedKeys(d.imports)
	return nil
}

// outputs evaluates the outputs whose conditions hold.
func (d *deployment) outputs(s *scope) ([]stackOutput, error) {
	var out []stackOutput
	for _, name := range sortedKeys(s.t.outputs) {
		decl := s.t.outputs[name]
		yes, err := s.named(decl.condition)
		if err != nil {
			return nil, err
		}
		if !yes {
			continue
		}
		v, err := s.eval(decl.value)
		if err != nil {
			return nil, err
		}
		if !isScalar(v) {
			return nil, validationError("Template format error: Output %s is malformed. The Value field of every Outputs member must evaluate to a String.", name)
		}
		export, err := s.eval(decl.export)
		if err != nil {
			return nil, err
		}
		out = append(out, stackOutput{Key: name, Value: scalarText(v), Description: decl.description, Export: scalarText(export)})
	}
	return out, nil
}

// importer is the name of a stack that uses an export; "" when none does.
func (w *World) importer(c *call, export string) string {
	for _, s := range w.liveStacks(c.caller.Account, c.region) {
		if slices.Contains(s.Imports, export) {
			return s.Name
		}
	}
	return ""
}

// liveStacks is the stacks of an account × Region that were not deleted, by name.
func (w *World) liveStacks(account, region string) []*stack {
	var out []*stack
	for s := range maps.Values(w.region(account, region).Stacks.Stacks) {
		if s.Status != "DELETE_COMPLETE" {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *stack) int { return strings.Compare(a.Name, b.Name) })
	return out
}
