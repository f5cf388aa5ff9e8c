package scp

// outcome is what the policies say about a request, exemptions aside.
type outcome struct {
	kind         Kind
	denies       []StatementRef // certain
	mayDeny      []StatementRef // uncertain
	allows       []StatementRef
	withoutAllow []string
	mayLack      []string // levels that might have no Allow
	dependsOn    []Dependency
}

// Evaluate answers a request with all its reasons.
func (e *Evaluator) Evaluate(r *Request) Result {
	o := e.explain(r)
	res := Result{
		Policies:           o.kind,
		Deciding:           o.denies,
		LevelsWithoutAllow: o.withoutAllow,
		MatchedAllow:       o.allows,
		DependsOn:          []Dependency{},
	}
	if why := e.exemption(r); why != "" {
		res.Decision, res.Kind, res.Exemption = DecisionAllow, KindExempt, why
		res.WouldMatchDeny, res.Deciding, res.LevelsWithoutAllow = o.denies, []StatementRef{}, []string{}
		return res
	}
	res.Kind = o.kind
	switch o.kind {
	case KindAllowed:
		res.Decision = DecisionAllow
	case KindUnknown:
		res.Decision = DecisionUnknown
		res.Deciding, res.DependsOn = o.mayDeny, o.dependsOn
	default:
		res.Decision = DecisionDeny
	}
	return res
}

func (e *Evaluator) explain(r *Request) outcome {
	o := outcome{kind: KindAllowed, denies: []StatementRef{}, mayDeny: []StatementRef{}, allows: []StatementRef{}, withoutAllow: []string{}}
	uncertain := len(e.levels) == 0
	for i := range e.levels {
		l := &e.levels[i]
		covered := l.allows(r)
		for j := range l.entries {
			s := &l.entries[j]
			ref := StatementRef{Level: l.id, Policy: s.policy, Sid: s.sid.value, Index: s.index}
			switch m := s.matchSome(r); {
			case m == no:
			case m == maybe:
				if s.effect == Deny {
					uncertain = true
					o.mayDeny = append(o.mayDeny, ref)
				}
				if s.effect == Deny || covered == maybe {
					o.dependsOn = append(o.dependsOn, s.dependencies(r, ref)...)
				}
			case s.effect == Deny:
				o.denies = append(o.denies, ref)
			default:
				o.allows = append(o.allows, ref)
			}
		}
		switch covered {
		case no:
			o.withoutAllow = append(o.withoutAllow, l.id)
		case maybe:
			uncertain = true
			o.mayLack = append(o.mayLack, l.id)
		}
	}
	switch {
	case len(o.denies) > 0:
		o.kind = KindExplicitDeny
	case len(o.withoutAllow) > 0:
		o.kind = KindImplicitDeny
	case uncertain:
		o.kind = KindUnknown
		if len(e.levels) > 0 {
			o.settle(e.refine(r))
		}
	}
	return o
}

// settle takes over what refining an uncertain outcome showed. Statements that
// only together leave no way out are all named.
func (o *outcome) settle(f refinement) {
	switch f.decision {
	case yes:
		o.kind = KindAllowed
	case no:
		o.kind = f.kind
		o.denies = o.mayDeny
		if f.kind == KindImplicitDeny && len(o.mayLack) > 0 {
			o.withoutAllow = o.mayLack
		}
	}
}

// dependencies lists what keeps a statement from being decided.
func (s *statement) dependencies(r *Request, ref StatementRef) []Dependency {
	var out []Dependency
	element := "Resource"
	if s.notResource {
		element = "NotResource"
	}
	for i := range s.resourcePatterns {
		p := &s.resourcePatterns[i]
		undecided := false
		for n := range r.resources() {
			undecided = undecided || p.match(r.resource(n), r) == maybe
		}
		if !undecided {
			continue
		}
		p.tmpl.variables(func(k *keyRef) {
			if _, known := k.lookup(r); known == keyUnknown {
				out = append(out, Dependency{Key: k.name, Operator: element, Values: []string{s.resources[i].value}, Statement: ref})
			}
		})
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		if c.eval(r) != maybe {
			continue
		}
		if _, known := c.key.lookup(r); known == keyUnknown {
			out = append(out, Dependency{Key: c.key.name, Operator: c.op.name, Values: values(c.written), Statement: ref})
			continue
		}
		seen := map[string]bool{}
		for j := range c.values {
			c.values[j].tmpl.variables(func(k *keyRef) {
				if _, known := k.lookup(r); known == keyUnknown && !seen[k.lower] {
					seen[k.lower] = true
					out = append(out, Dependency{Key: k.name, Operator: c.op.name, Values: values(c.written), Statement: ref})
				}
			})
		}
	}
	return out
}
