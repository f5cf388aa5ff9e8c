package baseline

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
)

// SingleAccount is a control, with all that it needs, as one template for an account
// without an organization: alerts go to a topic of the account's own, and nothing
// is asked of anybody else. It is for one Region: roles and the log bucket exist
// once. What is about the global Region, such as sign-ins, is deployed there.
func SingleAccount(cfg *spec.Config, org *orgs.Organization, control, fallbackRegion string) (Template, error) {
	if !slices.ContainsFunc(controls, func(c Control) bool { return c.ID == control }) {
		return Template{}, &orgs.UnknownError{Kind: "control", Name: control}
	}
	local := *cfg
	local.Alerts.Mode = spec.Local
	local.Overrides = nil
	local.SecurityAccount = ""
	local.Baseline = map[string]spec.Control{}
	wanted := needed(control)
	for _, c := range controls {
		entry := cfg.Baseline[c.ID] // with its settings
		entry.Enabled = slices.Contains(wanted, c.ID)
		local.Baseline[c.ID] = entry
	}
	b, err := Resolve(&local, org, fallbackRegion)
	if err != nil {
		return Template{}, err
	}
	u := unit{ID: "single", Stack: "orgguard-" + control, Description: "orgguard: " + control + ", for an account without an organization"}
	var fragments []fragment
	for _, c := range b.controls {
		for _, p := range c.parts {
			f, ok, err := b.singlePart(c, p)
			if err != nil {
				return Template{}, err
			}
			if ok {
				f.unit = u.ID
				fragments = append(fragments, f)
			}
		}
	}
	t, err := compose(u, fragments, b.values())
	switch {
	case err != nil:
		return Template{}, err
	case t == nil:
		return Template{}, fmt.Errorf("control %s deploys nothing that an account without an organization could have", control)
	}
	t.waitFor("Recorder", "RecorderRole", "LogBucketPolicy")
	t.waitFor("DeliveryChannel", "LogBucketPolicy")
	return Template{Name: u.Stack, Body: t.template.body(), Parameters: t.params, Controls: wanted}, nil
}

// needed is a control with all that it needs, and what these need.
func needed(control string) []string {
	out := []string{control}
	for i := 0; i < len(out); i++ {
		for _, c := range controls {
			if c.ID != out[i] {
				continue
			}
			for _, need := range c.needs {
				if !slices.Contains(out, need) {
					out = append(out, need)
				}
			}
		}
	}
	return out
}

// singlePart is a part for an account without an organization; ok is false where
// there is none. What lives once in an organization has one if there is a template
// <control>.bucket-single.yaml: so far only the log bucket has.
func (b *Baseline) singlePart(c Control, p part) (f fragment, ok bool, err error) {
	switch u, _ := unitOf(p.unit); {
	case p.mode == spec.Central || u.direct:
		return f, false, nil
	case u.everywhere():
		f, err = b.fragment(c, p)
		return f, err == nil, err
	}
	f, err = loadFragment(c.ID, p.unit, "bucket-single")
	if errors.Is(err, fs.ErrNotExist) {
		return f, false, nil
	}
	return f, err == nil, err
}

// waitFor makes a resource of the template wait for others of it: in one stack
// nothing else says which comes first.
func (c *composed) waitFor(id string, others ...string) {
	resources := get(c.root, "Resources")
	r := get(resources, id)
	if r == nil {
		return
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for _, o := range others {
		if get(resources, o) != nil {
			list.Content = append(list.Content, text("!!str", o))
		}
	}
	if len(list.Content) > 0 {
		insertAfter(r, "Type", "DependsOn", list)
	}
}
