package protect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/scp"
	"github.com/orgguard/orgguard/scp/apply"
)

// Findings compares what AWS Organizations holds with what should be, for every
// account of the selection. err is why it could not be read, if it could not. It
// is pure.
func (g *Guard) Findings(s State, err error, accounts []orgs.Selected) []finding.Finding {
	var out []finding.Finding
	verdicts := map[string]verdict{} // by attachments on the path: accounts of one OU share theirs
	for _, a := range accounts {
		f := finding.Finding{
			Account: string(a.ID), AccountName: a.Name, OUPath: a.OUPath, Region: finding.Global, Control: Control,
			Resource: "policy " + PolicyName, Severity: finding.Critical,
		}
		ou, wanted := g.wants(a.Account)
		switch {
		case a.ID == g.Org.ManagementAccount:
			f.Status, f.Reason = finding.NotApplicable, "service control policies never affect the management account"
		case a.Excluded != "":
			f.Status, f.Reason = finding.Exempt, "excluded by the configuration: "+a.Excluded
		case a.State != orgs.StateActive:
			f.Status, f.Reason = finding.NotApplicable, fmt.Sprintf("the account is %s", a.State)
		case !wanted:
			f.Status, f.Reason = finding.NotApplicable, "the configuration attaches the policy to other OUs"
		case err != nil:
			f.Status, f.Resource = finding.NotAssessed, ""
			f.Reason, f.Fix = whyNot(err)
		default:
			on := g.attachedOn(s, a.Account)
			key := strings.Join(on, ",")
			v, ok := verdicts[key]
			if !ok {
				v = g.judge(s, on)
				verdicts[key] = v
			}
			f.Status, f.Reason, f.Expected, f.Actual = v.status, v.reason, v.expected, v.actual
			if v.status == finding.Drift {
				f.Fix = "orgguard rollout"
				if len(on) == 0 && s.Exists && s.TypeEnabled {
					f.Reason = "the policy is not attached to " + g.name(ou) + ", so this account can switch AWS Config off"
				}
			}
		}
		out = append(out, f)
	}
	return append(out, g.emptyTargets(s, err, accounts)...)
}

// whyNot is why the policies could not be read, and the next step.
func whyNot(err error) (reason, fix string) {
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return "interrupted: " + err.Error(), "run the audit again"
	case orgs.Denied(err):
		return err.Error(), "read SCPs from the management account or a delegated administrator for Organizations"
	}
	return err.Error(), "run the audit again; if it stays, see the reason"
}

// emptyTargets are OUs without an account below them that the policy is missing
// from: the next account that moves in would be unprotected.
func (g *Guard) emptyTargets(s State, err error, accounts []orgs.Selected) []finding.Finding {
	if err != nil || !s.Exists || !s.TypeEnabled || len(accounts) < len(g.Org.Accounts) {
		return nil
	}
	var out []finding.Finding
	for _, ou := range g.Attach {
		covered := slices.ContainsFunc(g.Org.Path(ou.ID), func(up orgs.OU) bool { return slices.Contains(s.Targets, string(up.ID)) })
		inhabited := slices.ContainsFunc(accounts, func(a orgs.Selected) bool {
			return a.ID != g.Org.ManagementAccount && a.State == orgs.StateActive && g.Org.Under(a.Parent, ou.ID)
		})
		if covered || inhabited {
			continue
		}
		mgmt, _ := g.Org.Account(g.Org.ManagementAccount)
		out = append(out, finding.Finding{
			Account: string(mgmt.ID), AccountName: mgmt.Name, OUPath: g.Org.PathName(mgmt.Parent), Region: finding.Global, Control: Control,
			Resource: "OU " + g.name(ou), Status: finding.Drift, Severity: finding.Medium,
			Reason: "the policy is not attached to this OU, which has no account yet", Expected: "attached", Actual: "not attached", Fix: "orgguard rollout",
		})
	}
	return out
}

// attachedOn are the nodes of the account's path, and the account itself, that
// the policy is attached to.
func (g *Guard) attachedOn(s State, a orgs.Account) []string {
	var on []string
	for _, ou := range g.Org.Path(a.Parent) {
		if slices.Contains(s.Targets, string(ou.ID)) {
			on = append(on, string(ou.ID))
		}
	}
	if slices.Contains(s.Targets, string(a.ID)) {
		on = append(on, string(a.ID))
	}
	return on
}

type verdict struct {
	status           finding.Status
	reason           string
	expected, actual any
}

// judge decides whether the policy, attached on the given nodes of a path, does
// what it is there for.
func (g *Guard) judge(s State, on []string) verdict {
	drift := func(reason string, expected, actual any) verdict {
		return verdict{finding.Drift, reason, expected, actual}
	}
	switch {
	case !s.TypeEnabled:
		return drift("service control policies are not enabled in the organization: none has any effect", "ENABLED", string(g.Org.SCPStatus))
	case !s.Exists:
		return drift("the policy does not exist", PolicyName, nil)
	case len(on) == 0:
		return drift("the policy is not attached", "attached", "not attached")
	}
	if denied := g.denies(s); len(denied) < len(stopActions) {
		return drift("the attached policy does not stop an administrator from switching AWS Config off", stopActions, denied)
	}
	if !apply.Same(g.Policy, []byte(s.Content)) {
		return drift("the policy differs from the configuration", decode(g.Policy), decode([]byte(s.Content)))
	}
	return verdict{status: finding.InSync, reason: "attached, as configured, and effective", expected: nil, actual: nil}
}

// denies are the actions that the live policy takes from an administrator, as the
// evaluator sees it.
func (g *Guard) denies(s State) []string {
	e, err := compile([]byte(s.Content))
	if err != nil {
		return nil
	}
	var out []string
	for _, action := range stopActions {
		if e.Decide(request("role/Admin", action, "*", g.Org.Partition.ID)) == scp.DecisionDeny {
			out = append(out, action)
		}
	}
	return out
}

func decode(b []byte) any {
	var v any
	if json.Unmarshal(b, &v) != nil {
		return string(b)
	}
	return v
}
