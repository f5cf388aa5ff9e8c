package preview

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

// newPolicy stands for the id of a policy that is not in Organizations yet.
const newPolicy = "(new)"

// fullAccess is AWS's own FullAWSAccess, which enabling the policy type attaches
// everywhere.
const fullAccess = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// fullAccessID is the id of AWS's own FullAWSAccess.
const fullAccessID = "p-FullAWSAccess"

// side is the policies before or after the change.
type side struct {
	on   map[string][]string // policy ids by node
	docs map[string]scp.Policy
}

// world is the tree with both sides.
type world struct {
	in            *Input
	before, after side
	id            string // of the changed policy
	old, doc      *scp.Document
	// changed are the nodes where something changes.
	changed map[string]bool
	groups  []*group
	// widened says that the policy is attached to or taken off a node, so that
	// all of its statements matter, and not only those that were edited.
	widened bool
}

// group is the active accounts whose paths carry the same policies.
type group struct {
	accounts      []orgs.Account
	before, after *scp.Evaluator
}

// InputError is something about the change that cannot be judged: a mistake of
// whoever asked.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

func badInput(format string, args ...any) error {
	return &InputError{fmt.Errorf(format, args...)}
}

// newWorld applies the change to the snapshot.
func newWorld(in *Input) (*world, error) {
	w := &world{in: in, id: in.Change.Existing, changed: map[string]bool{}}
	if w.id == "" {
		w.id = newPolicy
	}
	if err := w.documents(); err != nil {
		return nil, err
	}
	if err := w.attach(); err != nil {
		return nil, err
	}
	return w, w.compile()
}

// documents parses what is there and what would be.
func (w *world) documents() error {
	c := w.in.Change
	w.before = sideOf(w.in.Attached)
	if w.in.Org.SCPStatus != orgs.PolicyTypeEnabled {
		w.enable()
	}
	w.after = side{on: map[string][]string{}, docs: map[string]scp.Policy{}}
	for id, p := range w.before.docs {
		w.after.docs[id] = p
	}
	for node, ids := range w.before.on {
		w.after.on[node] = ids
	}
	if c.Existing != "" {
		p, ok := w.in.Attached.Policies[c.Existing]
		if !ok {
			return badInput("policy %s is not in the organization", c.Existing)
		}
		w.old = p.Document
		if c.Kind != Attach && p.Document == nil {
			return badInput("policy %s (%s), as it is in Organizations, cannot be judged: %s", p.Name, p.ID, p.Problem)
		}
	}
	switch {
	case c.Kind == Detach:
		return nil
	case c.Source == nil && c.Existing != "":
		w.doc = w.old
		return nil
	}
	doc, err := scp.Parse(c.File, c.Source)
	if err != nil {
		return &InputError{err}
	}
	w.doc = doc
	w.after.docs[w.id] = scp.Policy{ID: w.id, Name: c.Name, Document: doc}
	return nil
}

// sideOf is a snapshot as a side.
func sideOf(a Attachments) side {
	s := side{on: map[string][]string{}, docs: map[string]scp.Policy{}}
	for id, p := range a.Policies {
		if p.Document != nil {
			s.docs[id] = scp.Policy{ID: id, Name: p.Name, Document: p.Document}
		}
	}
	for node, ids := range a.On {
		s.on[node] = slices.Clone(ids)
	}
	return s
}

// enable is what enabling the policy type does: FullAWSAccess everywhere.
func (w *world) enable() {
	doc, err := scp.Parse("FullAWSAccess", []byte(fullAccess))
	if err != nil {
		return // it parses
	}
	w.before.docs[fullAccessID] = scp.Policy{ID: fullAccessID, Name: "FullAWSAccess", Document: doc}
	for id := range w.in.Org.OUs {
		w.before.on[string(id)] = []string{fullAccessID}
	}
	for _, a := range w.in.Org.Accounts {
		w.before.on[string(a.ID)] = []string{fullAccessID}
	}
}

// attach changes the attachments.
func (w *world) attach() error {
	c := w.in.Change
	for _, t := range c.Targets {
		if _, ok := w.node(t); !ok {
			return badInput("target %s is not in the organization", t)
		}
	}
	switch c.Kind {
	case Attach, Replace:
		for _, t := range c.Targets {
			if slices.Contains(w.before.on[t], w.id) {
				continue
			}
			w.after.on[t] = sorted(append(slices.Clone(w.before.on[t]), w.id))
			w.changed[t], w.widened = true, true
		}
		if c.Existing != "" && w.old != w.doc && !sameStatements(w.old, w.doc) {
			for node, ids := range w.before.on {
				if slices.Contains(ids, w.id) {
					w.changed[node] = true
				}
			}
		}
	case Detach:
		for _, t := range c.Targets {
			i := slices.Index(w.before.on[t], w.id)
			if i < 0 {
				return badInput("policy %s is not attached to %s itself; it is attached to %s", c.Name, w.nameOf(t), w.listed(w.holders()))
			}
			w.after.on[t] = slices.Delete(slices.Clone(w.before.on[t]), i, i+1)
			w.changed[t], w.widened = true, true
		}
	default:
		return badInput("unknown kind of change %q", c.Kind)
	}
	return nil
}

// holders are the nodes the policy is attached to now.
func (w *world) holders() []string {
	var out []string
	for node, ids := range w.before.on {
		if slices.Contains(ids, w.id) {
			out = append(out, node)
		}
	}
	return sorted(out)
}

func (w *world) listed(nodes []string) string {
	if len(nodes) == 0 {
		return "nothing"
	}
	names := make([]string, 0, len(nodes))
	for _, n := range nodes[:min(len(nodes), 5)] {
		names = append(names, w.nameOf(n))
	}
	out := strings.Join(names, ", ")
	if more := len(nodes) - 5; more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}

// node finds a root, OU or account by its id.
func (w *world) node(id string) (Node, bool) { return nodeOf(w.in.Org, id) }

func nodeOf(o *orgs.Organization, id string) (Node, bool) {
	if ou, ok := o.OUs[orgs.NodeID(id)]; ok {
		kind := "ou"
		if ou.ID == o.Root {
			kind = "root"
		}
		return Node{ID: id, Name: ou.Name, Path: o.PathName(ou.ID), Kind: kind}, true
	}
	if a, ok := o.Account(orgs.AccountID(id)); ok {
		return Node{ID: id, Name: a.Name, Path: o.PathName(a.Parent) + "/" + a.Name, Kind: "account"}, true
	}
	return Node{}, false
}

// nameOf is a node as people read it.
func (w *world) nameOf(id string) string {
	n, ok := w.node(id)
	if !ok {
		return id
	}
	return fmt.Sprintf("%s (%s)", n.Path, n.ID)
}

// pathIDs are the nodes from the root to an account.
func (w *world) pathIDs(a orgs.Account) []string {
	var out []string
	for _, ou := range w.in.Org.Path(a.Parent) {
		out = append(out, string(ou.ID))
	}
	return append(out, string(a.ID))
}

// reached says whether the change arrives at an account's path.
func (w *world) reached(a orgs.Account) bool {
	return slices.ContainsFunc(w.pathIDs(a), func(id string) bool { return w.changed[id] })
}

// affected says that SCPs bind the account and that it is in use.
func (w *world) affected(a orgs.Account) bool {
	return a.ID != w.in.Org.ManagementAccount && a.State == orgs.StateActive
}

// accountLevel is what the last level of a path is called: accounts share
// evaluators, so it has no id.
const accountLevel = "the account itself"

// compile makes an evaluator for every distinct path that is reached.
func (w *world) compile() error {
	byKey := map[string]*group{}
	var keys []string
	var problems []error
	for _, a := range w.in.Org.Accounts {
		if !w.affected(a) || !w.reached(a) {
			continue
		}
		own := string(a.ID)
		key := string(a.Parent) + " " + strings.Join(w.before.on[own], ",") + " " + strings.Join(w.after.on[own], ",")
		g := byKey[key]
		if g == nil {
			var err error
			if g, err = w.newGroup(a); err != nil {
				problems = append(problems, err)
				continue
			}
			byKey[key] = g
			keys = append(keys, key)
		}
		g.accounts = append(g.accounts, a)
	}
	sort.Strings(keys)
	for _, k := range keys {
		w.groups = append(w.groups, byKey[k])
	}
	return errors.Join(problems...)
}

func (w *world) newGroup(a orgs.Account) (*group, error) {
	before, err := w.evaluator(w.before, a)
	if err != nil {
		return nil, err
	}
	after, err := w.evaluator(w.after, a)
	if err != nil {
		return nil, err
	}
	return &group{before: before, after: after}, nil
}

func (w *world) evaluator(s side, a orgs.Account) (*scp.Evaluator, error) {
	org := scp.Org{ManagementAccountID: string(w.in.Org.ManagementAccount)}
	for i, id := range w.pathIDs(a) {
		// Every level is an OU to the evaluator: one for an account answers for
		// no other, and this one is shared.
		l := scp.Level{Type: scp.LevelOU, ID: w.nameOf(id)}
		switch {
		case i == 0:
			l.Type = scp.LevelRoot
		case id == string(a.ID):
			l.ID = accountLevel
		}
		for _, policy := range s.on[id] {
			p, ok := s.docs[policy]
			if !ok {
				known := w.in.Attached.Policies[policy]
				return nil, fmt.Errorf("policy %s (%s) on %s cannot be evaluated: %s", known.Name, policy, w.nameOf(id), firstOf(known.Problem, "it was not read"))
			}
			l.Policies = append(l.Policies, p)
		}
		org.Path = append(org.Path, l)
	}
	return scp.Compile(org)
}

// statement is a statement that the change adds or takes away.
type statement struct {
	scp.Statement
	added bool
}

// changedStatements are those whose coming or going can change an answer.
func (w *world) changedStatements() []statement {
	var out []statement
	add := func(doc, other *scp.Document, added bool) {
		if doc == nil {
			return
		}
		var have map[string]bool
		if other != nil && !w.widened {
			have = canonicalSet(other)
		}
		for _, s := range doc.Statements() {
			if !have[canonical(s)] {
				out = append(out, statement{s, added})
			}
		}
	}
	if w.in.Change.Kind == Detach {
		add(w.old, nil, false)
		return out
	}
	if w.old != nil && w.old != w.doc {
		add(w.old, w.doc, false)
	}
	add(w.doc, w.old, true)
	return out
}

func canonicalSet(d *scp.Document) map[string]bool {
	out := map[string]bool{}
	for _, s := range d.Statements() {
		out[canonical(s)] = true
	}
	return out
}

// canonical is what a statement says, whatever the order of its lists.
func canonical(s scp.Statement) string {
	for _, list := range []*[]string{&s.Actions, &s.NotActions, &s.Resources, &s.NotResources} {
		*list = sorted(*list)
	}
	conditions := make([]string, len(s.Conditions))
	for i, c := range s.Conditions {
		conditions[i] = c.Operator + " " + strings.ToLower(c.Key) + " " + strings.Join(sorted(c.Values), "\x00")
	}
	slices.Sort(conditions)
	b, err := json.Marshal([]any{s.Effect, s.Actions, s.NotActions, s.Resources, s.NotResources, conditions})
	if err != nil {
		return s.Sid // strings always marshal
	}
	return string(b)
}

// sameStatements says whether two policies say the same.
func sameStatements(a, b *scp.Document) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := canonicalSet(a), canonicalSet(b)
	if len(x) != len(y) || a.Version() != b.Version() {
		return false
	}
	for k := range x {
		if !y[k] {
			return false
		}
	}
	return true
}

// diff compares the policy with what is in Organizations.
func (w *world) diff() []DiffLine {
	out := []DiffLine{}
	if w.in.Change.Kind == Detach {
		for _, s := range w.old.Statements() {
			out = append(out, diffLine("-", s))
		}
		return out
	}
	var old []scp.Statement
	if w.old != nil {
		old = w.old.Statements()
	}
	gone := make([]bool, len(old))
	match := func(same func(scp.Statement) bool) int {
		for i, o := range old {
			if !gone[i] && same(o) {
				gone[i] = true
				return i
			}
		}
		return -1
	}
	statements := w.doc.Statements()
	lines := make([]DiffLine, len(statements))
	for i, s := range statements {
		if match(func(o scp.Statement) bool { return canonical(o) == canonical(s) }) >= 0 {
			lines[i] = diffLine("=", s)
		}
	}
	for i, s := range statements {
		if lines[i].Sign != "" {
			continue
		}
		sign := "+"
		if s.Sid != "" && match(func(o scp.Statement) bool { return o.Sid == s.Sid }) >= 0 {
			sign = "~"
		}
		lines[i] = diffLine(sign, s)
	}
	out = append(out, lines...)
	for i, o := range old {
		if !gone[i] {
			out = append(out, diffLine("-", o))
		}
	}
	if w.old == w.doc || w.in.Change.Existing == "" {
		for i := range out {
			out[i].Sign = "+" // nothing of it is on the target yet
		}
	}
	return out
}

func diffLine(sign string, s scp.Statement) DiffLine {
	l := DiffLine{Sign: sign, Sid: s.Sid, Index: s.Index, Effect: string(s.Effect), Condition: []string{}}
	what := strings.Join(s.Actions, ", ")
	if s.NotActions != nil {
		what = "everything but " + strings.Join(s.NotActions, ", ")
	}
	on := strings.Join(s.Resources, ", ")
	if s.NotResources != nil {
		on = "everything but " + strings.Join(s.NotResources, ", ")
	}
	l.Summary = fmt.Sprintf("%s %s on %s", s.Effect, what, on)
	for _, c := range s.Conditions {
		l.Condition = append(l.Condition, conditionText(c.Key, c.Operator, c.Values))
	}
	return l
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
