package apply

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/plan"
)

// Kind is the kind of the changes of this package.
const Kind = "scp"

// Side is what a change has as its Before and its After: enough to make the one
// out of the other again. A policy is known by its name, which is unique in an
// organization; ids are gone with what they named.
type Side struct {
	Policy string `json:"policy"`
	// Content is the policy's text; "" where there is no policy, or where the
	// change is not about the text.
	Content string `json:"content,omitempty"`
	// Target and Attached are for attachments.
	Target   string `json:"target,omitempty"`
	Attached bool   `json:"attached,omitempty"`
}

// sides reads what a change was and is to be, also when it has been through a
// file.
func sides(c plan.Change) (before, after Side, err error) {
	if err = journal.Decode(c.Before, &before); err == nil {
		err = journal.Decode(c.After, &after)
	}
	if err != nil {
		return before, after, fmt.Errorf("%s %s: %w", c.Verb, c.Resource, err)
	}
	return before, after, nil
}

// maker makes changes of one policy.
type maker struct {
	org     *orgs.Organization
	policy  string
	control string
}

func (m maker) change(verb plan.Verb, resource, why string, cells int, before, after Side) plan.Change {
	mgmt, _ := m.org.Account(m.org.ManagementAccount)
	return plan.Change{
		Kind: Kind, Stage: plan.Guardrail, Verb: verb, Control: m.control, Account: string(mgmt.ID), AccountName: mgmt.Name, Region: finding.Global,
		Resource: resource, Why: why, Cells: cells, Before: before, After: after, Effort: plan.Effort{Writes: 1},
	}
}

func (m maker) attach(target, why string) plan.Change {
	off, on := Side{Policy: m.policy, Target: target}, Side{Policy: m.policy, Target: target, Attached: true}
	c := m.change(plan.Attach, "policy "+m.policy+" to "+NodeName(m.org, target), why, len(Affected(m.org, target)), off, on)
	c.Undo = "aws organizations detach-policy --policy-id <id> --target-id " + target
	return c
}

func (m maker) detach(target, why string) plan.Change {
	off, on := Side{Policy: m.policy, Target: target}, Side{Policy: m.policy, Target: target, Attached: true}
	c := m.change(plan.Detach, "policy "+m.policy+" from "+NodeName(m.org, target), why, len(Affected(m.org, target)), on, off)
	c.Undo = "aws organizations attach-policy --policy-id <id> --target-id " + target
	return c
}

func (m maker) create(content, why string) plan.Change {
	c := m.change(plan.Create, "policy "+m.policy, why, 1, Side{Policy: m.policy}, Side{Policy: m.policy, Content: content})
	c.Undo = "aws organizations delete-policy, when it is detached"
	return c
}

func (m maker) update(old, content, why string, cells int) plan.Change {
	c := m.change(plan.Update, "policy "+m.policy, why, cells, Side{Policy: m.policy, Content: old}, Side{Policy: m.policy, Content: content})
	c.Undo = "aws organizations update-policy with what was there (before)"
	return c
}

func (m maker) remove(content, why string) plan.Change {
	c := m.change(plan.Delete, "policy "+m.policy, why, 1, Side{Policy: m.policy, Content: content}, Side{Policy: m.policy})
	c.Undo = "aws organizations create-policy with what was there (before)"
	return c
}

// inverse is the change that takes another one back.
func (m maker) inverse(c plan.Change) (plan.Change, error) {
	before, after, err := sides(c)
	if err != nil {
		return c, err
	}
	const why = "taken back"
	switch c.Verb {
	case plan.Attach:
		return m.detach(after.Target, why), nil
	case plan.Detach:
		return m.attach(before.Target, why), nil
	case plan.Create:
		return m.remove(after.Content, why), nil
	case plan.Delete:
		return m.create(before.Content, why), nil
	case plan.Update:
		return m.update(after.Content, before.Content, why, c.Cells), nil
	}
	return c, fmt.Errorf("%s %s: nobody knows how to take it back", c.Verb, c.Resource)
}

// NodeName is a root, OU or account as people read it.
func NodeName(org *orgs.Organization, id string) string {
	if ou, ok := org.OUs[orgs.NodeID(id)]; ok {
		return fmt.Sprintf("%s (%s)", org.PathName(ou.ID), id)
	}
	if a, ok := org.Account(orgs.AccountID(id)); ok {
		return fmt.Sprintf("%s/%s (%s)", org.PathName(a.Parent), a.Name, id)
	}
	return id
}

// Affected are the accounts at or below a node that service control policies
// bind: those in use, and never the management account.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
func Affected(org *orgs.Organization, node string) []orgs.Account {
	var out []orgs.Account
	for _, a := range org.Accounts {
		if a.ID != org.ManagementAccount && a.State == orgs.StateActive && (string(a.ID) == node || org.Under(a.Parent, orgs.NodeID(node))) {
			out = append(out, a)
		}
	}
	return out
}

// covers says whether a node is at or below another one.
func covers(org *orgs.Organization, top, node string) bool {
	if top == node {
		return true
	}
	if a, ok := org.Account(orgs.AccountID(node)); ok {
		return org.Under(a.Parent, orgs.NodeID(top))
	}
	return org.Under(orgs.NodeID(node), orgs.NodeID(top))
}

// Same compares policy texts by what they say.
func Same(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return bytes.Equal(a, b)
	}
	return reflect.DeepEqual(x, y)
}

func sorted(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
