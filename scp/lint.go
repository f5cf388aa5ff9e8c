package scp

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Severity is how much a finding matters: an error is something AWS refuses,
// or that does harm as soon as the policy is attached; a warning is something
// that most likely does not do what its author thinks.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// LintFinding is one thing the linter has to say about a policy.
type LintFinding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Position
	Message   string `json:"message"`
	Fix       string `json:"fix"`
	Statement int    `json:"statement"` // index, or -1 for the whole policy
	Sid       string `json:"sid,omitempty"`
}

// LintOptions are what the linter is told besides the policy. The zero value
// is fine.
type LintOptions struct {
	// Limits override the known quotas.
	Limits Limits
	// Attached is how many policies the fullest target would have with this
	// one; 0 if not known.
	Attached int
	// Alone says that a target would have no other policy than this one.
	Alone bool
	// Reference replaces the embedded reference data.
	Reference *Reference
	// Disable names rules to leave out.
	Disable []string
}

// maxCompared is how many statements of a policy, and actions of a statement, are
// compared with one another. Ten times as many as fit into the quota would take
// minutes, and ten times as many are reported for their size.
const maxCompared = 1000

// linter checks one document.
type linter struct {
	doc      *Document
	opts     LintOptions
	ref      *Reference
	vars     bool
	findings []LintFinding
}

// LintSource lints a policy from its source, so that what the parser refuses
// is reported like everything else. A document that cannot be parsed has only
// the parser's findings.
func LintSource(name string, src []byte, opts LintOptions) []LintFinding {
	d, err := Parse(name, src)
	if err == nil {
		return Lint(d, opts)
	}
	var bad *ParseError
	if !errors.As(err, &bad) {
		return []LintFinding{{Rule: ruleSyntax, Severity: SeverityError, File: name, Position: Position{1, 1}, Message: err.Error(), Statement: -1}}
	}
	var out []LintFinding
	for _, p := range bad.Problems {
		if r, ok := ruleByID(p.Rule); ok && !slices.Contains(opts.Disable, p.Rule) {
			out = append(out, LintFinding{Rule: r.ID, Severity: r.Severity, File: name, Position: p.Position, Message: p.Message, Fix: r.Fix, Statement: -1})
		}
	}
	return out
}

// Lint checks a policy. The findings are in the order of the source; the same
// policy and options give the same findings.
func Lint(doc *Document, opts LintOptions) []LintFinding {
	l := &linter{doc: doc, opts: opts, ref: opts.Reference, vars: doc.Version() == Version2012}
	if l.ref == nil {
		// The embedded data are covered by a test; without them the rules
		// that need them are silent.
		l.ref, _ = LoadReference()
	}
	l.opts.Limits = opts.Limits.orDefault()
	l.document()
	for _, s := range doc.statements {
		l.statement(s)
		l.actions(s)
		l.resources(s)
		l.conditions(s)
	}
	l.redundant()
	slices.SortStableFunc(l.findings, func(a, b LintFinding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
	})
	l.findings = slices.CompactFunc(l.findings, func(a, b LintFinding) bool { return a == b })
	return l.findings
}

// report adds a finding. An empty fix stands for the rule's own.
func (l *linter) report(rule string, off int, s *statement, fix, format string, args ...any) {
	r, ok := ruleByID(rule)
	if !ok || slices.Contains(l.opts.Disable, rule) {
		return
	}
	f := LintFinding{
		Rule: rule, Severity: r.Severity, File: l.doc.name, Position: l.doc.source.position(off),
		Message: fmt.Sprintf(format, args...), Fix: firstOf(fix, r.Fix), Statement: -1,
	}
	if s != nil {
		f.Statement, f.Sid = s.index, s.sid.value
	}
	l.findings = append(l.findings, f)
}

// document checks what concerns the policy as a whole.
func (l *linter) document() {
	d := l.doc
	limit := l.opts.Limits.PolicyCharacters
	if n := d.Size().Counted(); n > limit.Value {
		fix := "split the policy; even without white space it has " + fmt.Sprint(d.MinifiedSize().Counted())
		if m := d.MinifiedSize().Counted(); m <= limit.Value {
			fix = fmt.Sprintf("send it without white space: it has %d characters then", m)
		}
		l.report(ruleSize, 0, nil, fix, "the policy has %d characters as written, %d are allowed (quota of %s)", n, limit.Value, limit.Date)
	}
	if limit := l.opts.Limits.PoliciesPerNode; l.opts.Attached > limit.Value {
		l.report(ruleAttached, 0, nil, "", "a target would have %d policies attached, %d are allowed (quota of %s)", l.opts.Attached, limit.Value, limit.Date)
	}
	if l.opts.Alone && !slices.ContainsFunc(d.statements, func(s *statement) bool { return s.effect == Allow }) {
		l.report(ruleNoAllow, 0, nil, "", "the policy would be the only one at a target and allows nothing, so everything below is denied")
	}
	if len(d.statements) == 0 {
		l.report(ruleEmpty, 0, nil, "", "the policy has no statements")
	}
	l.version()
	seen := map[string]int{}
	for _, s := range d.statements {
		if s.sid.value == "" {
			continue
		}
		if first, dup := seen[s.sid.value]; dup {
			l.report(ruleDuplicateSid, s.sid.off, s, "", "the Sid %s is already that of statement %d", show(s.sid.value), first)
			continue
		}
		seen[s.sid.value] = s.index
	}
}

func (l *linter) version() {
	if l.vars {
		return
	}
	at, what := 0, "the policy has no Version"
	if l.doc.hasVersion {
		at, what = l.doc.version.off, "Version is "+Version2008
	}
	for _, s := range l.doc.statements {
		for _, t := range s.texts() {
			if strings.Contains(t.value, "${") {
				l.report(ruleVersion, t.off, s, "", "%s, and so %s is literal text, not a policy variable", what, show(t.value))
			}
		}
	}
	if !l.doc.hasVersion {
		l.report(ruleNoVersion, at, nil, "", "the policy has no Version, which means %s", Version2008)
	}
}

// texts returns every string of a statement that may hold variables.
func (s *statement) texts() []text {
	out := slices.Concat(s.actions, s.resources)
	for _, c := range s.conditions {
		out = append(out, c.written...)
	}
	return out
}

// statement checks a statement's shape.
func (l *linter) statement(s *statement) {
	switch {
	case s.sid.value == "":
		l.report(ruleNoSid, s.off, s, "", "the statement has no Sid; when it denies a call, only its number tells it apart")
	case strings.TrimFunc(s.sid.value, alphanumeric) != "" || strings.ContainsFunc(s.sid.value, func(r rune) bool { return !alphanumeric(r) }):
		l.report(ruleSidCharacters, s.sid.off, s, "", "the Sid %s holds more than letters and digits", show(s.sid.value))
	}
	if s.effect == Allow && s.notAction {
		l.report(ruleAllowNotAction, s.actionOff, s, "", "Allow with NotAction allows every action there will ever be, except the listed")
	}
	if s.effect == Deny && s.anyAction && s.anyResource && len(s.conditions) == 0 {
		l.report(ruleDenyAll, s.off, s, "", "the statement denies every action on everything to everybody it reaches")
	}
	if len(s.actions) == 0 {
		l.report(ruleEmpty, s.actionOff, s, "", "the list of actions is empty")
	}
	if len(s.resources) == 0 {
		l.report(ruleEmpty, s.resourceOff, s, "", "the list of resources is empty")
	}
	if s.conditionOff >= 0 && len(s.conditions) == 0 {
		l.report(ruleEmpty, s.conditionOff, s, "", "the Condition is empty, so the statement always applies")
	}
	for _, t := range s.texts() {
		l.placeholder(s, t)
		if l.vars {
			l.variables(s, t)
		}
	}
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// placeholder finds what a template engine should have replaced. A policy
// variable always names a key with a colon, so ${Account} is none.
func (l *linter) placeholder(s *statement, t text) {
	for rest := t.value; ; {
		i := strings.Index(rest, "${")
		if i < 0 {
			break
		}
		end := variableEnd(rest[i:])
		if end < 0 {
			break
		}
		body := rest[i+2 : i+end]
		rest = rest[i+end+1:]
		name, _, _ := strings.Cut(body, ",")
		if body != "*" && body != "?" && body != "$" && strings.TrimSpace(name) != "" && !strings.Contains(name, ":") {
			l.report(rulePlaceholder, t.off, s, "", "${%s} is not a policy variable but a placeholder that was not filled in", strings.Trim(show(body), `"`))
		}
	}
	for _, b := range [][2]string{{"{{", "}}"}, {"<", ">"}, {"[", "]"}, {"%", "%"}} {
		_, inner, ok := strings.Cut(t.value, b[0])
		if !ok {
			continue
		}
		word, _, ok := strings.Cut(inner, b[1])
		if ok && len(word) > 1 && strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_- .") == "" && strings.ContainsFunc(word, func(r rune) bool { return r >= 'A' }) {
			l.report(rulePlaceholder, t.off, s, "", "%s looks like a placeholder that was not filled in", show(b[0]+word+b[1]))
		}
	}
}

// variables checks the form of policy variables.
func (l *linter) variables(s *statement, t text) {
	for rest := t.value; ; {
		i := strings.Index(rest, "${")
		if i < 0 {
			return
		}
		end := variableEnd(rest[i:])
		if end < 0 {
			l.report(ruleVariable, t.off, s, "close it with }, or write ${$}{ for the characters", "%s opens a variable that is never closed", show(t.value))
			return
		}
		body := rest[i+2 : i+end]
		rest = rest[i+end+1:]
		name, def, has := strings.Cut(body, ",")
		def = strings.TrimSpace(def)
		switch {
		case body == "":
			l.report(ruleVariable, t.off, s, "name a condition key", "${} names no key")
		case strings.TrimSpace(name) != name:
			l.report(ruleVariable, t.off, s, "remove the spaces", "%s has spaces around the key", show("${"+body+"}"))
		case has && (len(def) < 2 || def[0] != '\'' || def[len(def)-1] != '\''):
			l.report(ruleVariable, t.off, s, "write ${key, 'value'}", "the default of %s must stand in single quotes", show("${"+body+"}"))
		}
	}
}
