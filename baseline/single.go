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
	own := 0 // of the control itself, and not of what it needs
	for _, c := range b.controls {
		for _, p := range c.parts {
			f, ok, err := b.singlePart(c, p)
			if err != nil {
				return Template{}, err
			}
			if ok {
				if c.ID == control {
					own++
				}
				f.unit = u.ID
				fragments = append(fragments, f)
			}
		}
	}
	t, err := compose(u, fragments, b.values())
	switch {
	case err != nil:
		return Template{}, err
	case t == nil || own == 0:
		return Template{}, nothingAlone(control)
	}
	t.waitFor("Recorder", "RecorderRole", "LogBucketPolicy")
	t.waitFor("DeliveryChannel", "LogBucketPolicy")
	t.waitFor("Trail", "TrailBucketPolicy")
	t.waitFor("UnauthorizedFilter", "TrailLogGroup")
	return Template{Name: u.Stack, Body: t.template.body(), Parameters: t.params, Controls: wanted}, nil
}

// nothingAlone says why there is no template of a control for an account without an
// organization.
func nothingAlone(control string) error {
	c, _ := controlOf(control)
	err := fmt.Errorf("control %s deploys nothing that an account without an organization could have", control)
	if slices.ContainsFunc(c.parts, func(p part) bool { u, _ := unitOf(p.unit); return u.direct }) {
		return &orgs.Hinted{Err: err, Next: "it is set by API calls, and no template can: `orgguard render --control " + control + "` prints what is set"}
	}
	return err
}

// singleTemplates are those of what lives once in an organization, for an account without
// one, by unit: <control>.<name>.yaml.
var singleTemplates = map[string]string{"central": "bucket-single", trailUnit: "trail-single"}

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
// there is none. What lives once in an organization has one if there is a template for
// it, as the log bucket and the trail have; what counts in the trail's log group is the
// same.
func (b *Baseline) singlePart(c Control, p part) (f fragment, ok bool, err error) {
	switch u, _ := unitOf(p.unit); {
	case p.mode == spec.Central || u.direct:
		return f, false, nil
	case u.everywhere() || u.ID == "trail-alerts":
		f, err = b.fragment(c, p)
		return f, err == nil, err
	}
	f, err = loadFragment(c.ID, p.unit, singleTemplates[p.unit])
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
