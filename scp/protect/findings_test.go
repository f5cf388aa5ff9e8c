package protect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/spec"
)

// guard is the default configuration, attached to the given OUs of testOrg.
func guard(t *testing.T, attach ...string) *Guard {
	t.Helper()
	cfg := spec.Default()
	if attach != nil {
		cfg.SCP.ProtectConfig.Attach = attach
	}
	g, err := New(cfg, testOrg("aws"))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// selection is every account, some of them excluded.
func selection(t *testing.T, g *Guard, excluded ...orgs.AccountID) []orgs.Selected {
	t.Helper()
	all, err := g.Org.Select(orgs.Selector{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if slices.Contains(excluded, all[i].ID) {
			all[i].Excluded = "closed soon"
		}
	}
	return all
}

func TestFindings(t *testing.T) {
	const (
		mgmt    = "100000000000 not_applicable: service control policies never affect the management account"
		old     = "900000000000 not_applicable: the account is SUSPENDED"
		ok      = " in_sync: attached, as configured, and effective"
		missing = " drift: the policy does not exist"
	)
	live := func(g *Guard, targets ...string) State {
		return State{TypeEnabled: true, Exists: true, ID: "p-1", Content: string(g.Policy), Targets: targets}
	}
	toothless := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"config:Stop*","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}}}]}`
	shorter := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["config:StopConfigurationRecorder","config:DeleteConfigurationRecorder"],"Resource":"*"}]}`
	cases := []struct {
		name     string
		attach   []string
		state    func(*Guard) State
		err      error
		excluded []orgs.AccountID
		want     []string
	}{
		{"attached to the root", nil, func(g *Guard) State { return live(g, "r-root") }, nil, nil, []string{mgmt, "200000000000" + ok, "300000000000" + ok, "400000000000" + ok, old}},
		{"the same text in another order and with spaces", nil, func(g *Guard) State {
			s := live(g, "r-root")
			s.Content = "\n " + s.Content + " "
			return s
		}, nil, nil, []string{mgmt, "200000000000" + ok, "300000000000" + ok, "400000000000" + ok, old}},
		{"attached to an OU of two that are wanted", []string{"Work", "None"}, func(g *Guard) State { return live(g, "ou-root-work") }, nil, nil, []string{
			mgmt, "200000000000" + ok, "300000000000" + ok, "400000000000 not_applicable: the configuration attaches the policy to other OUs", old,
			"100000000000 drift: the policy is not attached to this OU, which has no account yet",
		}},
		{"attached to a lower OU only", []string{"Work"}, func(g *Guard) State { return live(g, "ou-root-prod") }, nil, nil, []string{
			mgmt, "200000000000" + ok, "300000000000 drift: the policy is not attached to Root/Work (ou-root-work), so this account can switch AWS Config off",
			"400000000000 not_applicable: the configuration attaches the policy to other OUs", old,
		}},
		{"attached to an account itself", []string{"Work"}, func(g *Guard) State { return live(g, "300000000000") }, nil, nil, []string{
			mgmt, "200000000000 drift: the policy is not attached to Root/Work (ou-root-work), so this account can switch AWS Config off", "300000000000" + ok,
			"400000000000 not_applicable: the configuration attaches the policy to other OUs", old,
		}},
		{"attached higher than configured", []string{"Work"}, func(g *Guard) State { return live(g, "r-root") }, nil, nil, []string{
			mgmt, "200000000000" + ok, "300000000000" + ok, "400000000000 not_applicable: the configuration attaches the policy to other OUs", old,
		}},
		{"does not exist", nil, func(*Guard) State { return State{TypeEnabled: true} }, nil, nil, []string{mgmt, "200000000000" + missing, "300000000000" + missing, "400000000000" + missing, old}},
		{"the policy type is off", []string{"Prod"}, func(g *Guard) State { s := live(g, "ou-root-prod"); s.TypeEnabled = false; return s }, nil, nil, []string{
			mgmt, "200000000000 drift: service control policies are not enabled in the organization: none has any effect",
			"300000000000 not_applicable: the configuration attaches the policy to other OUs", "400000000000 not_applicable: the configuration attaches the policy to other OUs", old,
		}},
		{"the policy denies nothing that matters", []string{"Prod"}, func(g *Guard) State { s := live(g, "ou-root-prod"); s.Content = toothless; return s }, nil, []orgs.AccountID{"300000000000"}, []string{
			mgmt, "200000000000 drift: the attached policy does not stop an administrator from switching AWS Config off",
			"300000000000 exempt: excluded by the configuration: closed soon", "400000000000 not_applicable: the configuration attaches the policy to other OUs", old,
		}},
		{"the policy is no policy", []string{"Prod"}, func(g *Guard) State { s := live(g, "ou-root-prod"); s.Content = "nonsense"; return s }, nil, nil, []string{
			mgmt, "200000000000 drift: the attached policy does not stop an administrator from switching AWS Config off",
			"300000000000 not_applicable: the configuration attaches the policy to other OUs", "400000000000 not_applicable: the configuration attaches the policy to other OUs", old,
		}},
		{"the policy works and says something else", []string{"Prod"}, func(g *Guard) State { s := live(g, "ou-root-prod"); s.Content = shorter; return s }, nil, nil, []string{
			mgmt, "200000000000 drift: the policy differs from the configuration",
			"300000000000 not_applicable: the configuration attaches the policy to other OUs", "400000000000 not_applicable: the configuration attaches the policy to other OUs", old,
		}},
		{"nobody could look", nil, func(*Guard) State { return State{} }, errors.New("no way"), []orgs.AccountID{"400000000000"}, []string{
			mgmt, "200000000000 not_assessed: no way", "300000000000 not_assessed: no way", "400000000000 exempt: excluded by the configuration: closed soon", old,
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := guard(t, c.attach...)
			var got []string
			for _, f := range g.Findings(c.state(g), c.err, selection(t, g, c.excluded...)) {
				got = append(got, fmt.Sprintf("%s %s: %s", f.Account, f.Status, f.Reason))
				if f.Control != Control || f.Region != finding.Global || f.AccountName == "" || f.OUPath == "" || f.Severity == "" {
					t.Errorf("something is missing in %+v", f)
				}
				if f.Status == finding.Drift && (f.Fix == "" || f.Expected == nil) {
					t.Errorf("no expectation or advice in %+v", f)
				}
				if f.Status == finding.NotAssessed && f.Fix == "" {
					t.Errorf("no advice in %+v", f)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheNextStepFitsWhyNobodyLooked(t *testing.T) {
	g := guard(t)
	for _, c := range []struct {
		name   string
		err    error
		reason string
		fix    string
	}{
		{"interrupted", fmt.Errorf("list policies: %w", &aws.RequestCanceledError{Err: context.Canceled}), "interrupted: list policies: ", "run the audit again"},
		{"out of time", fmt.Errorf("list policies: %w", context.DeadlineExceeded), "interrupted: list policies: ", "run the audit again"},
		{"not allowed", &smithy.GenericAPIError{Code: "AccessDeniedException"}, "", "read SCPs from the management account or a delegated administrator for Organizations"},
		{"AWS is slow", &smithy.GenericAPIError{Code: "TooManyRequestsException"}, "", "run the audit again; if it stays, see the reason"},
	} {
		t.Run(c.name, func(t *testing.T) {
			looked := 0
			for _, f := range g.Findings(State{}, c.err, selection(t, g)) {
				if f.Status != finding.NotAssessed {
					continue
				}
				if looked++; f.Fix != c.fix || !strings.HasPrefix(f.Reason, c.reason) {
					t.Errorf("%q, fix %q; want %q and fix %q", f.Reason, f.Fix, c.reason, c.fix)
				}
			}
			if looked == 0 {
				t.Error("nothing was left unassessed")
			}
		})
	}
}

// A report about one account says nothing about OUs without accounts.
func TestFindingsOfOneAccount(t *testing.T) {
	g := guard(t, "Work", "None")
	s := State{TypeEnabled: true, Exists: true, Content: string(g.Policy), Targets: []string{"ou-root-work"}}
	fs := g.Findings(s, nil, selection(t, g)[1:2])
	if len(fs) != 1 || fs[0].Status != finding.InSync {
		t.Errorf("findings %+v", fs)
	}
}

func TestProposals(t *testing.T) {
	cases := []struct {
		name   string
		attach []string
		state  func(*Guard) State
		want   []string
	}{
		{"all is well", nil, func(g *Guard) State {
			return State{TypeEnabled: true, Exists: true, ID: "p-1", Content: string(g.Policy), Targets: []string{"r-root"}}
		}, nil},
		{"nothing is there", nil, func(*Guard) State { return State{} }, []string{
			"prerequisites enable policy type SERVICE_CONTROL_POLICY (1): service control policies have no effect without it",
			"guardrail create policy orgguard-protect-config (1): does not exist",
			"guardrail attach policy orgguard-protect-config to Root (r-root) (3): not attached; reaches 3 accounts",
		}},
		{"one attachment is missing, and there is one too many", []string{"Work", "None"}, func(g *Guard) State {
			return State{TypeEnabled: true, Exists: true, ID: "p-1", Content: string(g.Policy), Targets: []string{"ou-root-none", "ou-root-prod"}}
		}, []string{"guardrail attach policy orgguard-protect-config to Root/Work (ou-root-work) (2): not attached; reaches 2 accounts, 1 of them for the first time"}},
		{"an OU without active accounts", []string{"None"}, func(g *Guard) State {
			return State{TypeEnabled: true, Exists: true, ID: "p-1", Content: string(g.Policy)}
		}, []string{"guardrail attach policy orgguard-protect-config to Root/None (ou-root-none) (0): not attached; reaches 0 accounts"}},
		{"another text", nil, func(g *Guard) State {
			return State{TypeEnabled: true, Exists: true, ID: "p-1", Content: `{"Version":"2012-10-17","Statement":[]}`, Targets: []string{"ou-root-work", "r-root"}}
		}, []string{"guardrail update policy orgguard-protect-config (3): another text; the edit changes all its 2 targets (3 accounts) at once"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := guard(t, c.attach...)
			tasks, skipped := g.Propose(c.state(g), nil, anyPool(t))
			var got []string
			for _, task := range tasks {
				got = append(got, fmt.Sprintf("%s %s %s (%d): %s", task.Stage, task.Verb, task.Resource, task.Cells, task.Why))
				if task.Undo == "" || task.After == nil || task.Account != "100000000000" || task.AccountName != "management" || task.Control != Control {
					t.Errorf("something is missing in %+v", task.Change)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("tasks (-want +got):\n%s", diff)
			}
			if len(skipped) > 0 {
				t.Errorf("skipped %+v", skipped)
			}
		})
	}
}

func TestWhatCannotBeReadIsNotChanged(t *testing.T) {
	g := guard(t)
	tasks, skipped := g.Propose(State{}, errors.New("no way"), anyPool(t))
	if len(tasks) != 0 || len(skipped) != 1 || !skipped[0].Blocked || !strings.Contains(skipped[0].Reason, "no way") {
		t.Errorf("tasks %+v, skipped %+v", plan.Changes(tasks), skipped)
	}
}
