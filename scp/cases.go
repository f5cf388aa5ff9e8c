package scp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Case is one test of what the policies of a path say to a request.
type Case struct {
	ID       string
	Note     string
	File     string // the case file, as it was named
	Position Position
	Org      Org
	Request  Request
	// UnknownKeys are the condition keys whose values the case leaves open;
	// "*" stands for every key the case does not give.
	UnknownKeys []string
	Expected    Expected
}

// Expected is what a case demands. Only Decision is required; what is nil is
// not checked.
type Expected struct {
	Decision           Decision
	Kind               *Kind
	Exemption          *string // "" for none
	Deciding           *[]ExpectedStatement
	LevelsWithoutAllow *[]string
}

// ExpectedStatement names a statement; what is nil may be anything.
type ExpectedStatement struct {
	Level, Policy, Sid *string
	Index              *int
}

func (x ExpectedStatement) matches(s StatementRef) bool {
	return (x.Level == nil || *x.Level == s.Level) && (x.Policy == nil || *x.Policy == s.Policy) &&
		(x.Sid == nil || *x.Sid == s.Sid) && (x.Index == nil || *x.Index == s.Index)
}

func (x ExpectedStatement) String() string {
	part := func(s *string) string {
		if s == nil {
			return "(any)"
		}
		return *s
	}
	out := part(x.Level) + " / " + part(x.Policy)
	if x.Sid != nil && *x.Sid != "" {
		return out + " / " + *x.Sid
	}
	if x.Index != nil {
		return fmt.Sprintf("%s / statement %d", out, *x.Index)
	}
	return out
}

// fullAccess stands in for AWS's managed policy, which a case may name without
// writing it out.
const fullAccess = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// fields reads an object and notes keys that look like slips.
type fields struct {
	l    *caseLoader
	n    *node
	what string
}

func (l *caseLoader) fields(n *node, what string, known ...string) fields {
	f := fields{l: l, n: n, what: what}
	if n.kind != nodeObject {
		l.fail(n.off, "%s must be an object, this is %s", what, n.kind)
		return f
	}
	for _, m := range n.members {
		if slices.Contains(known, m.key) {
			continue
		}
		// Other keys are the file's own business; only near misses are not.
		for _, k := range known {
			if len(k) > 3 && editDistance(strings.ToLower(m.key), strings.ToLower(k)) <= 1 {
				l.fail(m.keyOff, "unknown key %s in %s; did you mean %s?", show(m.key), what, k)
			}
		}
	}
	return f
}

// get returns a member, or nil if it is missing or null.
func (f fields) get(key string) *node {
	for _, m := range f.n.members {
		if m.key == key && m.value.kind != nodeNull {
			return m.value
		}
	}
	return nil
}

func (f fields) has(key string) bool {
	return slices.ContainsFunc(f.n.members, func(m member) bool { return m.key == key })
}

// str reads a string; numbers and booleans count as written, so that YAML
// account ids need no quotation marks.
func (f fields) str(key string) string {
	n := f.get(key)
	if n == nil {
		return ""
	}
	if n.kind == nodeArray || n.kind == nodeObject {
		f.l.fail(n.off, "%s of %s must be a string, this is %s", key, f.what, n.kind)
	}
	return n.text
}

func (f fields) need(key string) *node {
	n := f.get(key)
	if n == nil && f.n.kind == nodeObject {
		f.l.fail(f.n.off, "%s has no %s", f.what, key)
	}
	return n
}

func (f fields) list(key string) []*node {
	n := f.get(key)
	switch {
	case n == nil:
		return nil
	case n.kind == nodeArray:
		return n.elems
	case n.kind == nodeObject:
		f.l.fail(n.off, "%s of %s must be a list, this is %s", key, f.what, n.kind)
		return nil
	}
	return []*node{n}
}

func (l *caseLoader) caseOf(n *node) Case {
	c := Case{File: l.path, Position: l.src.position(n.off)}
	f := l.fields(n, "the case", "id", "org", "principal", "request", "expected", "note", "name", "category", "tags", "certainty")
	if n.kind != nodeObject {
		return c
	}
	c.ID, c.Note = firstOf(f.str("id"), f.str("name")), f.str("note")
	if c.ID == "" {
		l.fail(n.off, "the case has no id")
	}
	if org := f.need("org"); org != nil {
		c.Org = l.org(org)
	}
	if p := f.need("principal"); p != nil {
		c.Request.Principal = l.principal(p)
	}
	if r := f.need("request"); r != nil {
		l.request(r, &c)
	}
	if x := f.need("expected"); x != nil {
		c.Expected = l.expected(x)
	}
	return c
}

func (l *caseLoader) org(n *node) Org {
	f := l.fields(n, "org", "managementAccountId", "path")
	org := Org{ManagementAccountID: f.str("managementAccountId")}
	f.need("path")
	levels := f.list("path")
	for i, e := range levels {
		lf := l.fields(e, "the level", "type", "id", "name", "policies")
		if e.kind != nodeObject {
			continue
		}
		level := Level{Type: LevelType(lf.str("type")), ID: lf.str("id"), Name: lf.str("name")}
		switch level.Type {
		case LevelRoot, LevelOU:
		case LevelAccount:
			if i != len(levels)-1 {
				l.fail(e.off, "an account can only be the last level of the path")
			}
		default:
			l.fail(e.off, "unknown level type %s; use ROOT, ORGANIZATIONAL_UNIT or ACCOUNT", show(string(level.Type)))
		}
		if level.ID == "" {
			l.fail(e.off, "the level has no id")
		}
		for _, p := range lf.list("policies") {
			level.Policies = append(level.Policies, l.policy(p))
		}
		org.Path = append(org.Path, level)
	}
	return org
}

func (l *caseLoader) policy(n *node) Policy {
	if n.kind == nodeString {
		n = &node{kind: nodeObject, off: n.off, members: []member{{key: "name", keyOff: n.off, value: n}}}
	}
	f := l.fields(n, "the policy", "id", "name", "document", "file", "awsManaged")
	p := Policy{ID: f.str("id"), Name: f.str("name")}
	doc, file := f.get("document"), f.str("file")
	var err error
	switch {
	case n.kind != nodeObject:
		return p
	case doc != nil && file != "":
		l.fail(n.off, "the policy has both document and file")
	case doc != nil && doc.kind == nodeString:
		p.Document, err = Parse("document", []byte(doc.text))
	case doc != nil:
		p.Document = l.document(doc, firstOf(p.Name, p.ID))
	case file != "":
		p.Document, err = l.policyFile(file)
	case p.Name == "FullAWSAccess" || p.ID == "p-FullAWSAccess":
		p.Document, err = Parse("FullAWSAccess", []byte(fullAccess))
	default:
		l.fail(n.off, "the policy %s has neither document nor file", show(firstOf(p.Name, p.ID)))
	}
	if err != nil {
		l.fail(n.off, "policy %s: %s", show(firstOf(p.Name, p.ID)), strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return p
}

// document builds a policy written inside the case file, with its positions in
// that file.
func (l *caseLoader) document(n *node, name string) *Document {
	var raw bytes.Buffer
	n.json(&raw)
	d := &Document{name: l.path, raw: raw.Bytes(), source: l.src}
	var problems []offsetProblem
	if n.kind != nodeObject {
		problems = append(problems, offsetProblem{off: n.off, msg: "a policy is an object, this is " + n.kind.String()})
	}
	var bad *ParseError
	if err := d.build(n, problems); errors.As(err, &bad) {
		for _, p := range bad.Problems {
			l.fail(l.offset(p.Line, p.Column), "policy %s: %s", show(name), p.Message)
		}
		return nil
	}
	return d
}

var principalTypes = []string{string(PrincipalRoot), string(PrincipalUser), string(PrincipalRole), string(PrincipalServiceLinkedRole),
	string(PrincipalAWSService), string(PrincipalFederatedUser), string(PrincipalAnonymous)}

func (l *caseLoader) principal(n *node) Principal {
	f := l.fields(n, "principal", "type", "arn", "roleArn", "accountId")
	p := Principal{Type: PrincipalType(f.str("type")), ARN: f.str("arn"), RoleARN: f.str("roleArn"), AccountID: f.str("accountId")}
	if n.kind == nodeObject && !slices.Contains(principalTypes, string(p.Type)) {
		l.fail(n.off, "unknown principal type %s; use one of %s", show(string(p.Type)), strings.Join(principalTypes, ", "))
	}
	return p
}

func (l *caseLoader) request(n *node, c *Case) {
	f := l.fields(n, "request", "action", "resource", "resources", "context", "unknown")
	if n.kind != nodeObject {
		return
	}
	c.Request.Action, c.Request.Resource = f.str("action"), f.str("resource")
	if !strings.Contains(c.Request.Action, ":") {
		l.fail(n.off, `the request's action %s is not of the form service:name`, show(c.Request.Action))
	}
	for _, e := range f.list("resources") {
		c.Request.Resources = append(c.Request.Resources, e.text)
	}
	for _, e := range f.list("unknown") {
		c.UnknownKeys = append(c.UnknownKeys, e.text)
	}
	c.Request.Context = map[string][]string{}
	dropped := map[string]bool{}
	if ctx := f.get("context"); ctx != nil && ctx.kind == nodeObject {
		for _, m := range ctx.members {
			if m.value.kind == nodeNull { // written out as absent
				dropped[strings.ToLower(m.key)] = true
				continue
			}
			c.Request.Context[m.key] = l.contextValues(m)
		}
	} else if ctx != nil {
		l.fail(ctx.off, "context must be an object, this is %s", ctx.kind)
	}
	l.signedKeys(c, dropped)
}

// signedKeys adds the two keys that every signed request has and that follow
// from the principal, unless the case says otherwise: null leaves a key out.
func (l *caseLoader) signedKeys(c *Case, dropped map[string]bool) {
	given := func(key string) bool {
		if dropped[strings.ToLower(key)] {
			return true
		}
		for k := range c.Request.Context {
			if strings.EqualFold(k, key) {
				return true
			}
		}
		return slices.ContainsFunc(c.UnknownKeys, func(k string) bool { return strings.EqualFold(k, key) })
	}
	derived := c.Request.Principal.Context()
	for _, key := range []string{"aws:PrincipalArn", "aws:PrincipalAccount"} {
		if v := derived[key]; v != nil && !given(key) {
			c.Request.Context[key] = v
		}
	}
}

func (l *caseLoader) contextValues(m member) []string {
	list := []*node{m.value}
	if m.value.kind == nodeArray {
		list = m.value.elems
	}
	out := make([]string, 0, len(list))
	for _, e := range list {
		if e.kind == nodeArray || e.kind == nodeObject || e.kind == nodeNull {
			l.fail(e.off, "the context key %s takes strings, this is %s", show(m.key), e.kind)
			continue
		}
		out = append(out, e.text)
	}
	return out
}

func (l *caseLoader) expected(n *node) Expected {
	f := l.fields(n, "expected", "decision", "kind", "exemption", "decidingStatements", "levelsWithoutAllow")
	x := Expected{Decision: Decision(f.str("decision"))}
	if n.kind != nodeObject {
		return x
	}
	if !slices.Contains([]Decision{DecisionAllow, DecisionDeny, DecisionUnknown}, x.Decision) {
		l.fail(n.off, "expected.decision is %s; use ALLOW, DENY or UNKNOWN", show(string(x.Decision)))
	}
	if f.get("kind") != nil {
		k := Kind(f.str("kind"))
		if !slices.Contains([]Kind{KindAllowed, KindExplicitDeny, KindImplicitDeny, KindExempt, KindUnknown}, k) {
			l.fail(f.get("kind").off, "unknown kind %s; use ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY, EXEMPT or UNKNOWN", show(string(k)))
		}
		x.Kind = &k
	}
	if f.has("exemption") {
		s := f.str("exemption")
		x.Exemption = &s
	}
	if f.get("levelsWithoutAllow") != nil {
		levels := []string{}
		for _, e := range f.list("levelsWithoutAllow") {
			levels = append(levels, e.text)
		}
		x.LevelsWithoutAllow = &levels
	}
	if f.get("decidingStatements") != nil {
		deciding := []ExpectedStatement{}
		for _, e := range f.list("decidingStatements") {
			deciding = append(deciding, l.expectedStatement(e))
		}
		x.Deciding = &deciding
	}
	return x
}

func (l *caseLoader) expectedStatement(n *node) ExpectedStatement {
	f := l.fields(n, "the deciding statement", "level", "policy", "sid", "index")
	var x ExpectedStatement
	for key, to := range map[string]**string{"level": &x.Level, "policy": &x.Policy, "sid": &x.Sid} {
		if f.has(key) {
			s := f.str(key)
			*to = &s
		}
	}
	if i := f.get("index"); i != nil {
		var v int
		if _, err := fmt.Sscanf(i.text, "%d", &v); err != nil || v < 0 {
			l.fail(i.off, "index must be a number from zero, this is %s", show(i.text))
		}
		x.Index = &v
	}
	return x
}

// duplicates reports ids used twice, which would make a report ambiguous.
func (l *caseLoader) duplicates(cases []Case) {
	seen := map[string]Position{}
	for _, c := range cases {
		if first, dup := seen[c.ID]; dup && c.ID != "" {
			l.fail(l.offset(c.Position.Line, c.Position.Column), "the id %s is already used on line %d", show(c.ID), first.Line)
			continue
		}
		seen[c.ID] = c.Position
	}
}
