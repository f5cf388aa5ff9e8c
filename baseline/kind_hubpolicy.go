package baseline

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/orgpolicy"
)

// hubPolicyState is what decides about Security Hub V2 in the organization, as the
// management account sees it.
type hubPolicyState struct {
	// Trusted says that the service may act in the organization.
	Trusted bool `json:"trusted"`
	// Type is the state of the policy type in the root; "" for off.
	Type string `json:"type,omitempty"`
	// ID, Text and Targets are of the policy that has orgguard's name; Ours says that it
	// carries its tag, too.
	ID      string   `json:"id,omitempty"`
	Text    string   `json:"text,omitempty"`
	Targets []string `json:"targets,omitempty"`
	Ours    bool     `json:"ours,omitempty"`
	// Others are the policies of others that are attached to anything.
	Others []hubPolicyOf `json:"-"`
	// Left are the accounts below the targets in which the policies leave Regions out.
	// It and Reach are none of what an undo needs.
	Left []hubPolicyGap `json:"-"`
	// Reach says how many accounts each target has below it, and which of them are not
	// orgguard's to look after.
	Reach map[string]string `json:"-"`
	// all says that everything of the policy goes, whoever attached it: a teardown.
	all bool
}

// hubPolicyOf is somebody else's policy.
type hubPolicyOf struct {
	Name    string
	Targets []string
}

// hubPolicyGap is an account in which the policies, taken together, leave Regions out.
type hubPolicyGap struct {
	Account orgs.AccountID
	Regions []string
	Path    []string // the account and what it lies in, the root last
	By      []string // the policies of others on the path
}

var hubPolicyKind = kind{
	noun: "Security Hub policy", nameProp: "Name", global: true,
	observe: observeHubPolicy, compare: compareHubPolicy, repair: repairHubPolicy, undo: undoHubPolicy,
	writes: func(r Resource, state any) int {
		st, n := state.(hubPolicyState), 0
		for _, missing := range []bool{!st.Trusted, st.Type == "", st.ID == "" || st.Text != hubPolicyText(r)} {
			if missing {
				n++
			}
		}
		return n + len(st.lacks(r))
	},
	final: func(Resource) string {
		return "what a Security Hub policy switched on stays on when the policy goes; the policy type and trusted access stay on, too"
	},
	revert: &reverter{decode: decoded[hubPolicyState], says: saysHubPolicy, apply: revertHubPolicy, mine: hubPolicyByUs},
}

// hubPolicyDescription is the policy's in AWS Organizations.
const hubPolicyDescription = "orgguard: keeps Security Hub on"

// hubPolicyText is what the policy says.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_security_hub_syntax.html
func hubPolicyText(r Resource) string {
	assign := func(list []string) map[string]any { return map[string]any{"@@assign": list} }
	return compact(map[string]any{"securityhub": map[string]any{
		"enable_in_regions": assign(r.names("Regions")), "disable_in_regions": assign([]string{}), // both must be there
	}})
}

// hubPolicies is the API for Security Hub policies, as the management account calls it.
func (s site) hubPolicies() orgpolicy.Service {
	return orgpolicy.Of(s.Pool, s.management(), orgtypes.PolicyTypeSecurityhubPolicy)
}

func observeHubPolicy(ctx context.Context, s site, r Resource) (any, error) {
	org, api := s.base.Org, s.hubPolicies()
	st := hubPolicyState{Reach: map[string]string{}}
	trusted, err := trustedAccessKind.observe(ctx, s.in(org.ManagementAccount), Resource{Props: map[string]any{"ServicePrincipal": securityHubPrincipal}})
	if err != nil {
		return nil, err
	}
	st.Trusted = trusted.(bool)
	status, err := api.Status(ctx, org.Root)
	if err != nil {
		return nil, err
	}
	st.Type = string(status)
	all, err := api.Attached(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		switch {
		case p.Name != r.str("Name"):
			if len(p.Targets) > 0 {
				st.Others = append(st.Others, hubPolicyOf{p.Name, p.Targets})
			}
		default:
			st.ID, st.Targets = p.ID, p.Targets
			if st.Text, err = api.Text(ctx, p); err != nil {
				return nil, err
			}
			if st.Ours, err = api.Ours(ctx, p); err != nil {
				return nil, err
			}
		}
	}
	return st, st.read(ctx, s, r)
}

// read finds out which accounts below the targets the policies leave out. Accounts that
// have the same policies on their paths are asked about once.
func (st *hubPolicyState) read(ctx context.Context, s site, r Resource) error {
	attached := map[string][]string{} // names of policies, by what they are attached to
	note := func(name string, targets []string) {
		for _, t := range targets {
			attached[t] = append(attached[t], name)
		}
	}
	for _, o := range st.Others {
		note(o.Name, o.Targets)
	}
	note(r.str("Name"), st.Targets)
	counts, excluded := map[string]int{}, map[string][]string{}
	said := map[string]hubRegions{}
	for _, a := range s.base.Accounts {
		path := pathOf(s.base.Org, a.Account)
		target := hubTargetOf(path, r)
		if target == "" || a.State != orgs.StateActive {
			continue
		}
		if counts[target]++; a.Excluded != "" {
			excluded[target] = append(excluded[target], string(a.ID))
			continue
		}
		var by, all []string
		for _, node := range path {
			for _, name := range attached[node] {
				all = append(all, node+"/"+name)
				if name != r.str("Name") && !slices.Contains(by, name) {
					by = append(by, name)
				}
			}
		}
		key := strings.Join(all, "\n")
		if _, known := said[key]; !known && key != "" && st.Type == string(orgtypes.PolicyTypeStatusEnabled) {
			text, err := s.hubPolicies().Effective(ctx, a.ID)
			if err != nil {
				return err
			}
			if said[key], err = hubRegionsIn(text); err != nil {
				return fmt.Errorf("read the effective Security Hub policy of account %s: %w", a.ID, err)
			}
		}
		if missing := said[key].lacks(r.names("Regions")); len(missing) > 0 {
			st.Left = append(st.Left, hubPolicyGap{Account: a.ID, Regions: missing, Path: path, By: by})
		}
	}
	for _, target := range r.names("Attach") {
		st.Reach[target] = fmt.Sprintf("%s, %d accounts", s.base.Org.PathName(orgs.NodeID(target)), counts[target])
		if some := excluded[target]; len(some) > 0 {
			st.Reach[target] += ", those excluded here among them: " + joinAnd(some)
		}
	}
	return nil
}

// pathOf is an account and what it lies in, the root last.
func pathOf(org *orgs.Organization, a orgs.Account) []string {
	path := []string{string(a.ID)}
	for _, ou := range slices.Backward(org.Path(a.Parent)) {
		path = append(path, string(ou.ID))
	}
	return path
}

// hubTargetOf is the nearest target on a path; "" for none.
func hubTargetOf(path []string, r Resource) string {
	targets := r.names("Attach")
	if i := slices.IndexFunc(path, func(node string) bool { return slices.Contains(targets, node) }); i >= 0 {
		return path[i]
	}
	return ""
}

// hubRegions are the two lists of an effective policy.
type hubRegions struct {
	Enable  []string `json:"enable_in_regions"`
	Disable []string `json:"disable_in_regions"`
}

// hubRegionsIn reads an effective policy; "" is none.
func hubRegionsIn(text string) (hubRegions, error) {
	var out struct {
		SecurityHub hubRegions `json:"securityhub"`
	}
	if text == "" {
		return out.SecurityHub, nil
	}
	err := json.Unmarshal([]byte(text), &out)
	return out.SecurityHub, err
}

// lacks are the Regions that are not enabled. What is in both lists is disabled.
func (h hubRegions) lacks(wanted []string) []string {
	var out []string
	for _, region := range wanted {
		on := slices.Contains(h.Enable, region) || slices.Contains(h.Enable, allSupported)
		off := slices.Contains(h.Disable, region) || slices.Contains(h.Disable, allSupported)
		if region == allSupported {
			off = len(h.Disable) > 0
		}
		if !on || off {
			out = append(out, region)
		}
	}
	return out
}

// under are the accounts with a gap below a target.
func (st hubPolicyState) under(target string) []hubPolicyGap {
	return slices.DeleteFunc(slices.Clone(st.Left), func(g hubPolicyGap) bool { return !slices.Contains(g.Path, target) })
}

// decide are the policies of others on the way from the root down to a target: what
// orgguard would attach there would work against them.
func (st hubPolicyState) decide(target string) []string {
	var out []string
	for _, g := range st.under(target) {
		above := g.Path[slices.Index(g.Path, target):]
		for _, o := range st.Others {
			if slices.ContainsFunc(o.Targets, func(t string) bool { return slices.Contains(above, t) }) {
				out = append(out, o.Name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lacks are the targets to attach the policy to. Where the policies of others enable
// it for every account below, nothing is added.
func (st hubPolicyState) lacks(r Resource) []string {
	return slices.DeleteFunc(r.names("Attach"), func(t string) bool {
		return slices.Contains(st.Targets, t) || len(st.under(t)) == 0 || len(st.decide(t)) > 0
	})
}

// leave is what people do where a policy of others decides.
func leave(by []string) string {
	return "change the organization's Security Hub policy (" + joinAnd(by) + "): it decides here, and orgguard does not work against it"
}

func compareHubPolicy(r Resource, state any) []Mismatch {
	st, name, want := state.(hubPolicyState), r.str("Name"), "Security Hub V2 on in "+joinAnd(r.names("Regions"))
	var out []Mismatch
	if !st.Trusted {
		out = append(out, Mismatch{Reason: securityHubPrincipal + " may not act in the organization", Expected: "trusted access", Actual: "none", Verb: "enable", Stays: true})
	}
	if st.Type != string(orgtypes.PolicyTypeStatusEnabled) {
		out = append(out, Mismatch{Reason: "the root does not have the policy type SECURITYHUB_POLICY", Expected: "ENABLED", Actual: orNone(st.Type), Verb: "enable", Stays: true})
	}
	foreign := st.ID != "" && !st.Ours
	if foreign && len(st.Left) > 0 {
		return append(out, Mismatch{
			Reason: "a policy of orgguard's name is somebody else's", Expected: want, Actual: fromJSON(st.Text),
			Manual: "rename policy " + name + ", or give it the tag managed-by=orgguard if orgguard is to write it",
		})
	}
	if st.Ours && !sameJSON(fromJSON(hubPolicyText(r)), st.Text) {
		out = append(out, Mismatch{Reason: "policy " + name + " says something else", Expected: fromJSON(hubPolicyText(r)), Actual: fromJSON(st.Text), Verb: "update"})
	}
	for _, target := range r.names("Attach") {
		gaps := st.under(target)
		if by := st.decide(target); len(by) > 0 && !slices.Contains(st.Targets, target) {
			out = append(out, Mismatch{
				Reason: "the Security Hub policies of " + target + " do not enable it everywhere", Expected: want,
				Actual: fmt.Sprintf("%d accounts are left out, e.g. %s in %s", len(gaps), gaps[0].Account, joinAnd(gaps[0].Regions)), Manual: leave(by),
			})
			continue
		}
		if slices.Contains(st.lacks(r), target) {
			m := Mismatch{Reason: "policy " + name + " is not attached to " + target, Expected: want + " (" + st.Reach[target] + ")", Actual: "not attached", Verb: "attach"}
			if st.ID == "" {
				m.Verb = "create"
			}
			out = append(out, m)
		}
		for _, g := range gaps {
			switch {
			case len(g.By) > 0:
				out = append(out, Mismatch{
					Reason: "a policy nearer to the account does not enable Security Hub V2", Account: g.Account, Expected: want, Actual: "not in " + joinAnd(g.Regions), Manual: leave(g.By),
				})
			case slices.Contains(st.Targets, target) && st.Ours && st.Type == string(orgtypes.PolicyTypeStatusEnabled) && sameJSON(fromJSON(hubPolicyText(r)), st.Text):
				out = append(out, Mismatch{
					Reason: "the policy is not effective in the account", Account: g.Account, Expected: want, Actual: "not in " + joinAnd(g.Regions), Verb: "update",
				})
			}
		}
	}
	return out
}

// hubPolicyPatience is how long a policy may take until it is effective.
const hubPolicyPatience = 2 * time.Minute

// repairHubPolicy makes what is not as wanted so, as it is now, and waits until AWS
// says that it is effective.
func repairHubPolicy(ctx context.Context, s site, r Resource, _ any) error {
	seen, err := observeHubPolicy(ctx, s, r)
	if err != nil {
		return err
	}
	st, api, name := seen.(hubPolicyState), s.hubPolicies(), r.str("Name")
	if !st.Trusted {
		if err := trustedAccessKind.repair(ctx, s.in(s.base.Org.ManagementAccount), Resource{Props: map[string]any{"ServicePrincipal": securityHubPrincipal}}, nil); err != nil {
			return err
		}
	}
	if st.Type != string(orgtypes.PolicyTypeStatusEnabled) {
		if err := api.Enable(ctx, s.base.Org.Root); err != nil {
			return err
		}
		// What was attached while the type was off counts from now on.
		if err := st.again(ctx, s, r); err != nil {
			return err
		}
	}
	lacking := st.lacks(r)
	switch {
	case st.ID != "" && !st.Ours:
		return nil // somebody else's
	case st.ID != "" && !sameJSON(fromJSON(hubPolicyText(r)), st.Text):
		if err := api.Update(ctx, st.ID, hubPolicyText(r)); err != nil {
			return api.Explain("update policy "+name, err)
		}
	case st.ID == "" && len(lacking) > 0:
		if st.ID, err = api.Create(ctx, name, hubPolicyDescription, hubPolicyText(r)); err != nil {
			return api.Explain("create policy "+name, err)
		}
	}
	for _, target := range lacking {
		if _, err := api.Attach(ctx, st.ID, target); err != nil {
			return api.Explain("attach policy "+name+" to "+target, err)
		}
	}
	return st.settled(ctx, s, r)
}

// again looks again.
func (st *hubPolicyState) again(ctx context.Context, s site, r Resource) error {
	seen, err := observeHubPolicy(ctx, s, r)
	if err == nil {
		*st = seen.(hubPolicyState)
	}
	return err
}

// settled waits until nothing is left that a rollout mends.
func (st *hubPolicyState) settled(ctx context.Context, s site, r Resource) error {
	deadline := time.Now().Add(hubPolicyPatience)
	for pause := 500 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		if err := st.again(ctx, s, r); err != nil || !mendable(compareHubPolicy(r, *st)) || !time.Now().Add(pause).Before(deadline) {
			return err // whoever called looks once more, and says what is left
		}
		if err := orgs.Pause(ctx, pause); err != nil {
			return fmt.Errorf("stopped waiting until the policy is effective: %w", err)
		}
	}
}

func undoHubPolicy(s scope, r Resource, state any) string {
	st, _ := state.(hubPolicyState)
	id := st.ID
	if id == "" {
		id = "ID (aws organizations list-policies --filter SECURITYHUB_POLICY shows it)"
	}
	var commands []string
	for _, target := range st.lacks(r) {
		commands = append(commands, fmt.Sprintf("aws organizations detach-policy --policy-id %s --target-id %s", id, target))
	}
	switch {
	case st.ID == "":
		commands = append(commands, "aws organizations delete-policy --policy-id "+id)
	case st.Text != hubPolicyText(r):
		commands = append(commands, fmt.Sprintf("aws organizations update-policy --policy-id %s --content '%s'", id, strings.ReplaceAll(st.Text, "'", `'\''`)))
	}
	return strings.Join(commands, "; ") + " (Security Hub V2 stays on in the accounts)"
}

// hubPolicyByUs: the tag says whose the policy is.
func hubPolicyByUs(_ context.Context, _ site, _ Resource, now any) (any, bool, error) {
	st := now.(hubPolicyState)
	return hubPolicyState{all: true}, st.ID != "" && st.Ours, nil
}

// taken are the targets that a policy is taken off to be as it was.
func (st hubPolicyState) taken(r Resource, was hubPolicyState) []string {
	return slices.DeleteFunc(slices.Clone(st.Targets), func(t string) bool {
		return slices.Contains(was.Targets, t) || !was.all && !slices.Contains(r.names("Attach"), t)
	})
}

func saysHubPolicy(r Resource, was, now any) (why, not string) {
	w, st, name := was.(hubPolicyState), now.(hubPolicyState), r.str("Name")
	taken := st.taken(r, w)
	switch {
	case st.ID == "":
		return "", "policy " + name + " is gone already, or never had to be made"
	case !st.Ours || w.ID != "" && w.ID != st.ID:
		return "", "policy " + name + " is somebody else's by now"
	case w.ID == "" && len(taken) < len(st.Targets):
		return "", "policy " + name + " was attached to something else since"
	case !w.all && st.Text != w.Text && !sameJSON(fromJSON(hubPolicyText(r)), st.Text):
		return "", "policy " + name + " was edited since"
	case w.ID == "":
		return fmt.Sprintf("it is taken off %s and deleted; Security Hub V2 stays on in every account (aws securityhub disable-security-hub-v2 in each ends what it costs), and the policy type and trusted access stay on", orNone(strings.Join(taken, ", "))), ""
	case len(taken) == 0 && st.Text == w.Text:
		return "", "it was so before"
	}
	return fmt.Sprintf("it is as it was before, and taken off %s; Security Hub V2 stays on in every account", orNone(strings.Join(taken, ", "))), ""
}

func revertHubPolicy(ctx context.Context, s site, r Resource, was any) error {
	w := was.(hubPolicyState)
	seen, err := observeHubPolicy(ctx, s, r)
	if err != nil {
		return err
	}
	st, api, name := seen.(hubPolicyState), s.hubPolicies(), r.str("Name")
	if _, not := saysHubPolicy(r, w, st); not != "" {
		return nil // somebody did it already, or has taken it over
	}
	for _, target := range st.taken(r, w) {
		if _, err := api.Detach(ctx, st.ID, target); err != nil {
			return api.Explain("detach policy "+name+" from "+target, err)
		}
	}
	switch {
	case w.ID == "":
		if err := api.Delete(ctx, st.ID); err != nil && orgs.Code(err) != "PolicyNotFoundException" {
			return api.Explain("delete policy "+name, err)
		}
	case st.Text != w.Text:
		if err := api.Update(ctx, st.ID, w.Text); err != nil {
			return api.Explain("put the text of policy "+name+" back", err)
		}
	}
	return nil
}

// hubPolicyLookup remembers what decides about Security Hub V2: every account × Region
// where it is off would ask the same.
type hubPolicyLookup struct {
	mu  sync.Mutex
	ask func() orgs.Outcome[hubPolicyState]
}

func (l *hubPolicyLookup) of(ctx context.Context, s site, r Resource) orgs.Outcome[hubPolicyState] {
	l.mu.Lock()
	if l.ask == nil {
		l.ask = shared(func() orgs.Outcome[hubPolicyState] {
			seen, err := observeHubPolicy(ctx, s, r)
			st, _ := seen.(hubPolicyState)
			return orgs.Outcome[hubPolicyState]{Value: st, Err: err}
		})
	}
	ask := l.ask
	l.mu.Unlock()
	return ask()
}
