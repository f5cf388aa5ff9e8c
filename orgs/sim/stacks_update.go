package sim

import (
	"maps"
	"slices"
	"strings"
)

// change is what an update does to a resource that exists.
type change struct {
	before *stackResource // as it was
	old    props
	tags   bool // the stack's tags changed
}

// update carries out an UpdateStack: it changes resources in dependency order,
// then deletes what is no longer wanted; on failure it goes back.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks.html
func (d *deployment) update(from *template, fromParams map[string]string) {
	oldTags, oldOutputs := d.s.Tags, d.s.Outputs
	retag := !maps.Equal(d.s.Tags, d.s.Work.Tags)
	olds := d.evaluateAll(from, fromParams)
	before := map[string]*stackResource{}
	for n, r := range d.s.Resources {
		before[n] = r.clone()
	}
	d.s.Tags = d.s.Work.Tags

	scope := d.scope(d.t, d.params)
	g, err := scope.resolve()
	var touched []string
	reason := ""
	if err == nil {
		run := &steps{order: g.order, deps: g.deps, begin: d.beginResource, step: func(name string) error {
			if !slices.Contains(touched, name) {
				touched = append(touched, name)
			}
			return d.updateResource(name, scope, change{before: before[name], old: olds[name], tags: retag})
		}}
		run.run()
		if failed := d.markFailed(run, "UPDATE_FAILED", "Resource update cancelled"); len(failed) > 0 {
			reason = "The following resource(s) failed to update: [" + strings.Join(failed, ", ") + "]. "
		}
	} else {
		reason = d.c.w.resourceReason(err)
	}
	if reason == "" {
		if err := d.finish(scope); err != nil {
			reason = d.c.w.resourceReason(err)
		}
	}
	if reason != "" {
		d.to("UPDATE_ROLLBACK_IN_PROGRESS", reason)
		d.s.Tags, d.s.Outputs = oldTags, oldOutputs
		d.rollBack(from, fromParams, touched, before)
		return
	}
	d.to("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "")
	d.cleanUp(from, fromParams, g)
	d.s.Template, d.s.Parameters, d.s.Description = d.s.Work.Template, d.params, d.t.description
	d.to("UPDATE_COMPLETE", "")
}

func (r *stackResource) clone() *stackResource {
	c := *r
	c.Attrs = maps.Clone(r.Attrs)
	return &c
}

// evaluateAll is the properties of every resource the stack has, as its
// current template gives them.
func (d *deployment) evaluateAll(t *template, params map[string]string) map[string]props {
	s := d.scope(t, params)
	out := map[string]props{}
	for name, r := range d.s.Resources {
		if decl := t.resources[name]; decl != nil && r.Physical != "" {
			if v, err := s.eval(decl.properties); err == nil {
				out[name] = asProps(v)
			}
		}
	}
	return out
}

// updateResource brings one resource to the new template: makes it, leaves
// it, changes it in place, or puts a new one in its place.
func (d *deployment) updateResource(name string, s *scope, ch change) error {
	r := d.s.Resources[name]
	if ch.before == nil || r == nil || ch.before.Physical == "" || ch.before.Status == "DELETE_COMPLETE" {
		return d.createResource(name, s)
	}
	if d.replaced[name] != nil { // a replacement that waited for another resource
		return d.createResource(name, s)
	}
	p, err := d.provision(name, d.t.resources[name], s, r)
	if err != nil {
		return err
	}
	p.old = ch.old
	if jsonText(p.old) == jsonText(p.props) && (!ch.tags || !p.typ.tagged) {
		return nil
	}
	if err := p.checkProperties(); err != nil {
		return err
	}
	if !p.replaces() {
		d.updated[name] = true
		d.mark(name, "UPDATE_IN_PROGRESS", "")
		if err := p.typ.update(p); err != nil {
			return err
		}
		d.mark(name, "UPDATE_COMPLETE", "")
		return nil
	}
	if p.named() && p.old.text(p.typ.name) == p.props.text(p.typ.name) {
		return validationError("CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename %s and update the stack again.", p.props.text(p.typ.name))
	}
	d.mark(name, "UPDATE_IN_PROGRESS", "Requested update requires the creation of a new physical resource; hence creating one.")
	d.replaced[name] = ch.before
	d.s.Resources[name] = &stackResource{Type: p.res.Type, Status: "UPDATE_IN_PROGRESS"}
	return d.createResource(name, s)
}

// cleanUp deletes what a complete update left behind. What cannot be deleted
// stays in the account and leaves the stack, as in AWS.
func (d *deployment) cleanUp(from *template, fromParams map[string]string, g *graph) {
	d.deleteReplaced(from, fromParams, d.replaced)
	var gone []string
	for _, name := range sortedKeys(d.s.Resources) {
		if _, still := g.deps[name]; !still {
			gone = append(gone, name)
		}
	}
	d.deleteResources(gone, from, fromParams, false)
	for _, name := range gone {
		delete(d.s.Resources, name)
	}
}

// deleteReplaced deletes the physical resources that others took the place of.
func (d *deployment) deleteReplaced(t *template, params map[string]string, olds map[string]*stackResource) {
	s := d.scope(t, params)
	names := sortedKeys(olds)
	slices.Reverse(names)
	for _, name := range names {
		old, decl := olds[name], t.resources[name]
		if old.Physical == "" || decl == nil {
			continue
		}
		if decl.updateReplacePolicy != "Delete" {
			d.event(name, old.Physical, old.Type, "DELETE_SKIPPED", "")
			continue
		}
		d.event(name, old.Physical, old.Type, "DELETE_IN_PROGRESS", "")
		p, err := d.provision(name, decl, s, old)
		if err == nil {
			err = p.typ.delete(p)
		}
		if err != nil {
			d.event(name, old.Physical, old.Type, "DELETE_FAILED", d.c.w.resourceReason(err))
			continue
		}
		d.event(name, old.Physical, old.Type, "DELETE_COMPLETE", "")
	}
}

// rollBack undoes a failed update, last change first.
func (d *deployment) rollBack(from *template, fromParams map[string]string, touched []string, before map[string]*stackResource) {
	scope := d.scope(from, fromParams)
	failed := []string{}
	created, replacements := []string{}, map[string]*stackResource{}
	slices.Reverse(touched)
	for _, name := range touched {
		r, was := d.s.Resources[name], before[name]
		switch {
		case was == nil:
			created = append(created, name)
		case d.replaced[name] != nil:
			replacements[name] = r
			d.s.Resources[name] = was
			d.mark(name, "UPDATE_COMPLETE", "")
		case d.updated[name]:
			if err := d.restore(name, from, scope); err != nil {
				d.mark(name, "UPDATE_FAILED", d.c.w.resourceReason(err))
				failed = append(failed, name)
			}
		}
	}
	if len(failed) > 0 {
		d.to("UPDATE_ROLLBACK_FAILED", "The following resource(s) failed to update: ["+strings.Join(failed, ", ")+"]. ")
		return
	}
	d.to("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "")
	d.deleteReplaced(d.t, d.params, replacements)
	d.deleteResources(created, d.t, d.params, true)
	for _, name := range created {
		delete(d.s.Resources, name)
	}
	d.to("UPDATE_ROLLBACK_COMPLETE", "")
}

// restore gives a resource the properties of the old template again.
func (d *deployment) restore(name string, from *template, s *scope) error {
	r := d.s.Resources[name]
	decl := from.resources[name]
	if decl == nil || r.Physical == "" {
		return nil
	}
	d.mark(name, "UPDATE_IN_PROGRESS", "")
	p, err := d.provision(name, decl, s, r)
	if err != nil {
		return err
	}
	if now := d.t.resources[name]; now != nil {
		if v, err := d.scope(d.t, d.params).eval(now.properties); err == nil {
			p.old = asProps(v)
		}
	}
	if p.typ.update != nil {
		if err := p.typ.update(p); err != nil {
			return err
		}
	}
	d.mark(name, "UPDATE_COMPLETE", "")
	return nil
}

// changes says whether an update would do anything: CloudFormation refuses one
// that does not.
func (d *deployment) changes(from *template, fromParams map[string]string) (bool, error) {
	scope := d.scope(d.t, d.params)
	g, err := scope.resolve()
	if err != nil {
		return false, err
	}
	if !maps.Equal(d.s.Tags, d.s.Work.Tags) {
		return true, nil
	}
	olds := d.evaluateAll(from, fromParams)
	if len(g.deps) != len(d.s.Resources) {
		return true, nil
	}
	for _, name := range g.order {
		old, ok := olds[name]
		if !ok {
			return true, nil
		}
		// A reference that cannot be evaluated yet is a reference to
		// something new.
		v, err := scope.eval(d.t.resources[name].properties)
		if err != nil || jsonText(asProps(v)) != jsonText(old) {
			return true, nil
		}
	}
	outputs, err := d.outputs(scope)
	return err != nil || !slices.Equal(outputs, d.s.Outputs), nil
}
