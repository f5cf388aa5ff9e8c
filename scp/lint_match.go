package scp

import (
	"strconv"
	"strings"
)

// actions checks Action and NotAction against the reference data.
func (l *linter) actions(s *statement) {
	seen := map[string]string{}
	for i, a := range s.actions {
		lower := strings.ToLower(a.value)
		if first, dup := seen[lower]; dup {
			how := "again"
			if first != a.value {
				how = "again as " + show(first) + ", in other letter case"
			}
			l.report(ruleRepeated, a.off, s, "", "the action %s is listed %s", show(a.value), how)
			continue
		}
		seen[lower] = a.value
		for j, other := range s.actions[:min(len(s.actions), maxCompared)] {
			if i >= maxCompared {
				break
			}
			if i != j && !strings.EqualFold(other.value, a.value) && covers(s.actionPatterns[j], s.actionPatterns[i]) {
				l.report(ruleRepeated, a.off, s, "", "the action %s is already covered by %s", show(a.value), show(other.value))
				break
			}
		}
		l.knownAction(s, a)
	}
}

func (l *linter) knownAction(s *statement, a text) {
	service, name, ok := strings.Cut(a.value, ":")
	if l.ref == nil || !ok {
		return
	}
	if !strings.ContainsAny(service, "*?") && l.ref.services[strings.ToLower(service)] == nil {
		l.report(ruleUnknownService, a.off, s, didYouMean(service, l.ref.names), "no service has the prefix %s (data of %s), so %s never matches", show(service), l.ref.Date, show(a.value))
		return
	}
	if len(l.ref.Expand(a.value)) > 0 {
		return
	}
	if known := l.ref.services[strings.ToLower(service)]; known != nil && !strings.ContainsAny(name, "*?") {
		names := make([]string, len(known.actions))
		for i, k := range known.actions {
			names[i] = k.name
		}
		l.report(ruleUnknownAction, a.off, s, didYouMean(name, names), "%s has no action %s (data of %s), so it never matches", known.prefix, show(name), l.ref.Date)
		return
	}
	l.report(ruleUnknownAction, a.off, s, "", "no known action matches %s (data of %s)", show(a.value), l.ref.Date)
}

func didYouMean(name string, candidates []string) string {
	if n := nearest(name, candidates); n != "" {
		return "did you mean " + n + "?"
	}
	return ""
}

// covers reports whether every text that q matches is matched by p; it may
// miss some such patterns, never claim one wrongly. A * of q can stand for
// anything, so only a * of p may take it.
func covers(p, q string) bool {
	if p == q {
		return true
	}
	if strings.IndexByte(p, anyByte) >= 0 && strings.IndexByte(q, starByte) >= 0 {
		return false
	}
	return globMatch(p, q, exactCase)
}

// resources checks the entries of Resource and NotResource.
func (l *linter) resources(s *statement) {
	seen := map[string]bool{}
	for i, r := range s.resources {
		p := &s.resourcePatterns[i]
		if p.tmpl.parts == nil && onlyStars(p.tmpl.text) {
			continue
		}
		switch {
		case p.dead:
			l.report(ruleVariablePlace, r.off, s, "", "%s has a variable before the fifth colon, where variables have no value; it matches nothing", show(r.value))
		default:
			l.arn(s, r, "resource")
		}
		if seen[r.value] {
			l.report(ruleRepeated, r.off, s, "", "the resource %s is listed again", show(r.value))
		}
		seen[r.value] = true
	}
	l.resourceLevel(s)
}

// arn checks the form of an ARN pattern.
func (l *linter) arn(s *statement, t text, what string) {
	parts := strings.SplitN(maskVariables(t.value), ":", 6)
	switch {
	case len(parts) < 6:
		l.report(ruleARN, t.off, s, "", "the %s %s has %d of the 6 parts of an ARN, so it matches nothing", what, show(t.value), len(parts))
	case parts[0] != "arn" && !strings.ContainsAny(parts[0], "*?"):
		l.report(ruleARN, t.off, s, "", "the %s %s does not begin with arn:", what, show(t.value))
	case parts[1] == "" || !strings.ContainsAny(parts[1], "*?$") && !strings.HasPrefix(parts[1], "aws"):
		l.report(ruleARN, t.off, s, "use aws, aws-cn, aws-us-gov or *", "the %s %s has no known partition", what, show(t.value))
	case parts[2] == "":
		l.report(ruleARN, t.off, s, "", "the %s %s names no service", what, show(t.value))
	case parts[4] != "" && !strings.ContainsAny(parts[4], "*?$") && parts[4] != "aws" && (len(parts[4]) != 12 || !digitsOnly(parts[4])):
		// Some ARNs of AWS itself have words such as "aws" or "cloudfront" here.
		if digitsOnly(parts[4]) {
			l.report(ruleARN, t.off, s, "account ids have 12 digits", "the %s %s has an account id of %d digits", what, show(t.value), len(parts[4]))
		}
	case parts[5] == "":
		l.report(ruleARN, t.off, s, "end it with * to mean all", "the %s %s ends after the fifth colon", what, show(t.value))
	}
}

// maskVariables replaces the variables of a string, whose colons do not part
// an ARN.
func maskVariables(s string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			return b.String() + s
		}
		end := variableEnd(s[i:])
		if end < 0 {
			return b.String() + s
		}
		b.WriteString(s[:i] + "$")
		s = s[i+end+1:]
	}
}

// resourceLevel finds statements whose resources and actions cannot meet: an
// action without resource-level permissions is evaluated with the resource *,
// which no ARN matches.
func (l *linter) resourceLevel(s *statement) {
	if l.ref == nil || s.notAction || len(s.resources) == 0 {
		return
	}
	for i := range s.resourcePatterns {
		if p := &s.resourcePatterns[i]; p.tmpl.parts == nil && onlyStars(p.tmpl.text) {
			return
		}
	}
	for _, a := range s.actions {
		known, without := 0, 0
		l.ref.match(a.value, func(_ *service, r *refAction) {
			known++
			if len(r.types) == 0 {
				without++
			}
		})
		if known == 0 || without < known {
			continue
		}
		if s.notResource {
			if s.effect == Deny {
				l.report(ruleResourceLevel, a.off, s, "limit the actions to those that take a resource", "%s has no resource-level permissions, so NotResource never excludes it: it is denied always", show(a.value))
			}
			continue
		}
		l.report(ruleResourceLevel, a.off, s, `use "Resource": "*" for it`, "%s has no resource-level permissions, so with these resources the statement never matches it", show(a.value))
	}
}

// redundant finds statements that another statement of the same effect makes
// needless: it applies whenever they do.
func (l *linter) redundant() {
	statements := l.doc.statements[:min(len(l.doc.statements), maxCompared)]
	for i, s := range statements {
		for j, o := range statements {
			if i == j || s.effect != o.effect || !o.implies(s) || i < j && s.implies(o) {
				continue
			}
			l.report(ruleRedundant, s.off, s, "", "statement %s already applies whenever this one does", o.label())
			break
		}
	}
}

func (s *statement) label() string {
	if s.sid.value != "" {
		return show(s.sid.value)
	}
	return "number " + strconv.Itoa(s.index)
}

// implies reports whether o applies whenever s does, as far as can be told
// without knowing all actions and resources.
func (o *statement) implies(s *statement) bool {
	switch {
	case o.anyAction:
	case o.notAction && s.notAction:
		if !allCovered(s.actionPatterns, o.actionPatterns) {
			return false
		}
	case o.notAction || s.notAction || len(s.actions) == 0 || !allCovered(o.actionPatterns, s.actionPatterns):
		return false
	}
	switch {
	case o.anyResource:
	case o.notResource && s.notResource:
		if !subset(o.resources, s.resources) {
			return false
		}
	case o.notResource || s.notResource || len(s.resources) == 0 || !subset(s.resources, o.resources):
		return false
	}
	for i := range o.conditions {
		found := false
		for j := range s.conditions {
			found = found || sameCondition(&o.conditions[i], &s.conditions[j])
		}
		if !found {
			return false
		}
	}
	return true
}

// allCovered reports whether every pattern of qs is covered by one of ps.
func allCovered(ps, qs []string) bool {
	for _, q := range qs {
		found := false
		for _, p := range ps {
			found = found || covers(p, q)
		}
		if !found {
			return false
		}
	}
	return true
}

func subset(small, large []text) bool {
	in := map[string]bool{}
	for _, t := range large {
		in[t.value] = true
	}
	for _, t := range small {
		if !in[t.value] {
			return false
		}
	}
	return true
}

func sameTexts(a, b []text) bool { return subset(a, b) && subset(b, a) }

func sameCondition(a, b *condition) bool {
	return a.op.name == b.op.name && a.key.lower == b.key.lower && sameTexts(a.written, b.written)
}
