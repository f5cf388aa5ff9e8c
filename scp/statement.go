package scp

import "strings"

// text is a string of the source with its offset.
type text struct {
	value string
	off   int
}

// Effect is what a statement does.
type Effect string

// The effects.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// statement is a parsed and compiled statement. Nothing in it changes after
// Parse, so that any number of evaluators may share it.
type statement struct {
	index        int
	off          int
	sid          text
	hasSid       bool
	effect       Effect
	effectOff    int
	actions      []text
	notAction    bool
	actionOff    int
	resources    []text
	notResource  bool
	resourceOff  int
	conditions   []condition
	conditionOff int

	actionPatterns   []string // lower case, wildcards marked
	resourcePatterns []resourcePattern
	anyAction        bool // Action holds *
	anyResource      bool // Resource holds *
}

// resourcePattern is one entry of Resource or NotResource.
type resourcePattern struct {
	tmpl template
	// dead marks an entry that can match nothing: a variable stands before
	// the fifth colon, where variables have no value.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-where
	dead bool
}

// compile fills the patterns. vars says whether the policy's version has
// policy variables.
func (s *statement) compile(vars bool) {
	for _, a := range s.actions {
		p := wildcards(strings.ToLower(a.value))
		s.actionPatterns = append(s.actionPatterns, p)
		s.anyAction = s.anyAction || !s.notAction && onlyStars(p)
	}
	for _, res := range s.resources {
		t := parseTemplate(res.value, templateMode{wild: true, vars: vars})
		p := resourcePattern{tmpl: t}
		if t.parts != nil {
			p.dead = t.parts[0].key != nil || strings.Count(t.parts[0].lit, ":") < 5
		}
		s.resourcePatterns = append(s.resourcePatterns, p)
		s.anyResource = s.anyResource || !s.notResource && t.parts == nil && onlyStars(t.text)
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		for _, w := range c.written {
			c.values = append(c.values, compileTest(c.op, w.value, vars))
		}
	}
}

func (s *statement) matchAction(action string) bool {
	if s.anyAction {
		return true
	}
	for _, p := range s.actionPatterns {
		if globMatch(p, action, foldCase) {
			return !s.notAction
		}
	}
	return s.notAction
}

func (s *statement) matchResource(resource string, r *Request) truth {
	if s.anyResource {
		return yes
	}
	result := no
	for i := range s.resourcePatterns {
		if result = max(result, s.resourcePatterns[i].match(resource, r)); result == yes {
			break
		}
	}
	if s.notResource {
		return result.not()
	}
	return result
}

func (p *resourcePattern) match(resource string, r *Request) truth {
	switch {
	case p.dead:
		return no
	case p.tmpl.parts == nil:
		return truthOf(resourceMatch(p.tmpl.text, resource))
	}
	var room [256]byte
	pattern, e, _ := p.tmpl.expand(room[:0], r)
	switch e {
	case valueless:
		return no
	case uncertain:
		return maybeIf(resourceMatch(string(pattern), resource))
	}
	return truthOf(resourceMatch(string(pattern), resource))
}

func (s *statement) matchConditions(r *Request) truth {
	result := yes
	for i := range s.conditions {
		if result = min(result, s.conditions[i].eval(r)); result == no {
			break
		}
	}
	return result
}
