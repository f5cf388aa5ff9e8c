package sim

import (
	"slices"
	"strings"
)

// referenceKind says what a reference in a template points at.
type referenceKind int

const (
	refName      referenceKind = iota // Ref or ${Name}: parameter, pseudo parameter or resource
	refAttribute                      // Fn::GetAtt or ${Name.Attribute}
	refCondition                      // the first argument of Fn::If
)

type reference struct {
	kind            referenceKind
	name, attribute string
}

// walkReferences visits every reference in a value. With a scope it follows
// only the branch of Fn::If that is taken, as a reference in the other one
// makes no dependency; without, it follows both.
func walkReferences(v any, s *scope, visit func(reference) error) error {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if err := walkReferences(e, s, visit); err != nil {
				return err
			}
		}
	case map[string]any:
		if name, arg, ok := functionCall(v); ok {
			return walkCall(name, arg, s, visit)
		}
		// {"Condition": "Name"} is a reference among condition functions
		// only; in a policy statement it is a key like any other.
		for _, k := range sortedKeys(v) {
			if err := walkReferences(v[k], s, visit); err != nil {
				return err
			}
		}
	}
	return nil
}

func walkCall(name string, arg any, s *scope, visit func(reference) error) error {
	switch name {
	case "Ref":
		return visit(reference{kind: refName, name: scalarText(arg)})
	case "Fn::GetAtt":
		resource, attribute, err := attributeOf(arg)
		if err != nil {
			return err
		}
		return visit(reference{refAttribute, resource, attribute})
	case "Fn::Sub":
		return walkSub(arg, s, visit)
	case "Fn::If":
		return walkIf(arg, s, visit)
	case "Fn::And", "Fn::Or", "Fn::Not":
		list, _ := arg.([]any)
		for _, e := range list {
			if m, ok := e.(map[string]any); ok && len(m) == 1 && m["Condition"] != nil {
				if err := visit(reference{kind: refCondition, name: scalarText(m["Condition"])}); err != nil {
					return err
				}
			}
		}
	}
	return walkReferences(arg, s, visit)
}

func walkIf(arg any, s *scope, visit func(reference) error) error {
	list, _ := arg.([]any)
	if len(list) != 3 {
		return validationError("Template error: Fn::If requires a list argument with three elements")
	}
	if name, ok := list[0].(string); ok {
		if err := visit(reference{kind: refCondition, name: name}); err != nil {
			return err
		}
	}
	if s == nil {
		return walkReferences(list[1:], nil, visit)
	}
	yes, err := s.condition(list[0])
	if err != nil {
		return err
	}
	if yes {
		return walkReferences(list[1], s, visit)
	}
	return walkReferences(list[2], s, visit)
}

func walkSub(arg any, s *scope, visit func(reference) error) error {
	text, vars, err := subParts(arg)
	if err != nil {
		return err
	}
	for _, m := range subVariable.FindAllStringSubmatch(text, -1) {
		name := m[1]
		if _, own := vars[name]; own || strings.HasPrefix(name, "!") {
			continue
		}
		r := reference{kind: refName, name: name}
		if resource, attribute, dotted := strings.Cut(name, "."); dotted {
			r = reference{refAttribute, resource, attribute}
		}
		if err := visit(r); err != nil {
			return err
		}
	}
	return walkReferences(vars, s, visit)
}

// graph is the resources a stack will have and what each depends on.
type graph struct {
	order []string            // dependencies first; sorted by name where they leave a choice
	deps  map[string][]string // by resource, sorted
}

// resolve decides which resources the template makes under the scope's
// parameters, and in which order.
func (s *scope) resolve() (*graph, error) {
	g := &graph{deps: map[string][]string{}}
	for _, name := range sortedKeys(s.t.resources) {
		yes, err := s.named(s.t.resources[name].condition)
		if err != nil {
			return nil, err
		}
		if yes {
			g.deps[name] = nil
		}
	}
	missing := map[string]bool{}
	for _, name := range sortedKeys(g.deps) {
		needs, err := s.needs(name, g.deps, missing)
		if err != nil {
			return nil, err
		}
		g.deps[name] = needs
	}
	if len(missing) > 0 {
		return nil, unresolved(missing, "Resources")
	}
	return g, g.sort()
}

// needs is the resources a resource depends on. A DependsOn to a resource
// whose condition is false is ignored; a reference to one is an error.
func (s *scope) needs(name string, active map[string][]string, missing map[string]bool) ([]string, error) {
	d := s.t.resources[name]
	set := map[string]bool{}
	for _, other := range d.dependsOn {
		if _, ok := active[other]; ok {
			set[other] = true
		}
	}
	err := walkReferences(d.properties, s, func(r reference) error {
		if r.kind == refCondition || s.t.resources[r.name] == nil {
			return nil
		}
		if _, ok := active[r.name]; !ok {
			missing[r.name] = true
		}
		set[r.name] = true
		return nil
	})
	return sortedKeys(set), err
}

// sort puts the resources in order, or names those that depend on each other.
func (g *graph) sort() error {
	done := map[string]bool{}
	for len(done) < len(g.deps) {
		before := len(done)
		for _, name := range sortedKeys(g.deps) {
			if !done[name] && allIn(g.deps[name], done) {
				done[name] = true
				g.order = append(g.order, name)
			}
		}
		if len(done) == before {
			return validationError("Circular dependency between resources: [%s]", strings.Join(g.cycle(done), ", "))
		}
	}
	return nil
}

// cycle is what is left when everything outside a cycle is taken away: first
// what could be created, then, again and again, what nothing else waits for.
func (g *graph) cycle(done map[string]bool) []string {
	left := slices.DeleteFunc(sortedKeys(g.deps), func(n string) bool { return done[n] })
	for {
		wanted := map[string]bool{}
		for _, n := range left {
			for _, d := range g.deps[n] {
				wanted[d] = true
			}
		}
		rest := slices.DeleteFunc(slices.Clone(left), func(n string) bool { return !wanted[n] })
		if len(rest) == len(left) {
			return left
		}
		left = rest
	}
}

func allIn(names []string, set map[string]bool) bool {
	for _, n := range names {
		if !set[n] {
			return false
		}
	}
	return true
}
