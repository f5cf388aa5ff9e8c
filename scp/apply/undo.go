package apply

import (
	"errors"
	"fmt"
	"slices"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp"
	"github.com/orgguard/orgguard/scp/preview"
)

// ConflictError is something that somebody else has changed since the run that is
// to be undone.
type ConflictError struct{ Problems []error }

func (e *ConflictError) Error() string {
	return errors.Join(e.Problems...).Error()
}

// Undo works out what takes a run back: from what is there now to what was there
// before the run's first write, of what the run wrote and nothing else. A write
// that failed, or of which nobody knows, counts as one that may have been made.
// What is as it was already makes no change. A policy whose text is neither what the run
// made nor what was there before is somebody else's work: a *ConflictError.
func Undo(org *orgs.Organization, l journal.Log, have Policy, control string) ([]Wave, error) {
	m := maker{org: org, policy: have.Name, control: control}
	var targets []string
	was, is := map[string]bool{}, map[string]bool{} // attached before the run, and after it
	var first *Side                                 // the text before the run
	var texts []string                              // texts that the run wrote
	for _, c := range Made(l) {
		before, after, err := sides(c)
		if err != nil {
			return nil, err
		}
		if before.Policy != have.Name {
			return nil, fmt.Errorf("the run is about policy %s as well as %s", before.Policy, have.Name)
		}
		if target := before.Target; target != "" {
			if _, known := was[target]; !known {
				was[target] = before.Attached
				targets = append(targets, target)
			}
			is[target] = after.Attached
			continue
		}
		if first == nil {
			first = &before
		}
		texts = append(texts, after.Content)
	}
	var changes []plan.Change
	for _, t := range slices.Backward(targets) {
		on := slices.Contains(have.Targets, t)
		switch {
		case on == was[t]:
		case on:
			changes = append(changes, m.detach(t, "was not attached before the run"))
		default:
			changes = append(changes, m.attach(t, "was attached before the run"))
		}
	}
	text, err := undoText(m, first, texts, have, was)
	if err != nil {
		return nil, err
	}
	if text != nil && text.Verb == plan.Create {
		changes = append([]plan.Change{*text}, changes...) // what is attached must be there
	} else if text != nil {
		changes = append(changes, *text)
	}
	if len(changes) == 0 {
		return nil, nil
	}
	n := 0
	for _, c := range changes {
		n = max(n, c.Cells)
	}
	return []Wave{{Number: 1, Name: "undo", Accounts: n, Changes: changes}}, nil
}

// alreadyNote is what the journal says of a change that had nothing to do.
const alreadyNote = "already so"

// Made are the changes of this package that a run made, or may have made. What it
// found as it was to be is not the run's to take back.
func Made(l journal.Log) []plan.Change {
	var out []plan.Change
	for _, e := range l.Entries {
		switch e.Phase {
		case journal.Begin:
			// The policy type stays on: taking it back would detach every policy.
			if e.Change.Kind == Kind && e.Change.Verb != plan.Enable {
				out = append(out, *e.Change)
			}
		case journal.Note:
			var name string
			if e.Text != alreadyNote || journal.Decode(e.Result, &name) != nil {
				continue
			}
			for i, c := range slices.Backward(out) {
				if nameOf(c) == name {
					out = slices.Delete(out, i, i+1)
					break
				}
			}
		}
	}
	return out
}

// nameOf is how a change is called in the journal's notes.
func nameOf(c plan.Change) string { return string(c.Verb) + " " + c.Resource }

// undoText is the change that brings the text back; nil when it is as it was.
func undoText(m maker, first *Side, texts []string, have Policy, was map[string]bool) (*plan.Change, error) {
	if first == nil {
		return nil, nil
	}
	same := func(text string) bool {
		return have.ID == "" && text == "" || have.ID != "" && text != "" && Same([]byte(have.Content), []byte(text))
	}
	if same(first.Content) {
		return nil, nil
	}
	if !slices.ContainsFunc(texts, same) {
		return nil, &ConflictError{[]error{fmt.Errorf("policy %s was edited, or made again, by somebody else since: it is neither what the run made nor what was there before", have.Name)}}
	}
	var c plan.Change
	switch {
	case first.Content == "":
		for _, t := range have.Targets {
			if _, ours := was[t]; !ours {
				return nil, &ConflictError{[]error{fmt.Errorf("policy %s, which the run made, was attached to %s by somebody else since", have.Name, NodeName(m.org, t))}}
			}
		}
		c = m.remove(have.Content, "did not exist before the run")
	case have.ID == "":
		c = m.create(first.Content, "existed before the run")
	default:
		c = m.update(have.Content, first.Content, fmt.Sprintf("the text before the run; the edit changes all its %d targets at once", len(have.Targets)), 1)
	}
	return &c, nil
}

// VerifiedWaves are the waves that a run has brought to their end.
func VerifiedWaves(l journal.Log) []int {
	var out []int
	for _, e := range l.Entries {
		var n int
		if e.Phase == journal.Note && e.Text == verifiedNote && journal.Decode(e.Result, &n) == nil {
			out = append(out, n)
		}
	}
	return out
}

// Rewind is a snapshot with a policy as it was before a run, so that guarded roles
// are compared with that again when the run goes on.
func Rewind(now preview.Attachments, was Policy) (preview.Attachments, error) {
	out := preview.Attachments{TakenAt: now.TakenAt, Policies: map[string]preview.Policy{}, On: map[string][]string{}}
	id := was.ID
	for k, p := range now.Policies {
		if p.Name != was.Name {
			out.Policies[k] = p
		} else if id == "" || id == k {
			id = k
		}
	}
	for node, ids := range now.On {
		if left := slices.DeleteFunc(slices.Clone(ids), func(p string) bool { return p == id }); len(left) > 0 {
			out.On[node] = left
		}
	}
	if was.ID == "" {
		return out, nil
	}
	doc, err := scp.Parse(was.Name, []byte(was.Content))
	if err != nil {
		return out, err
	}
	out.Policies[was.ID] = preview.Policy{ID: was.ID, Name: was.Name, Content: was.Content, Document: doc}
	for _, t := range was.Targets {
		out.On[t] = sorted(append(out.On[t], was.ID))
	}
	return out, nil
}
