package baseline

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
)

// join lets an account be created and moved to an OU, as a person does.
func (r *rig) join(t *testing.T, name, ou string) orgs.AccountID {
	t.Helper()
	c := organizations.NewFromConfig(r.w.ManagementConfig(virginia))
	out, err := c.CreateAccount(t.Context(), &organizations.CreateAccountInput{AccountName: aws.String(name), Email: aws.String(name + "@example.com")})
	noError(t, err)
	id := out.CreateAccountStatus.AccountId
	for id == nil {
		time.Sleep(time.Second)
		status, err := c.DescribeCreateAccountStatus(t.Context(), &organizations.DescribeCreateAccountStatusInput{CreateAccountRequestId: out.CreateAccountStatus.Id})
		noError(t, err)
		id = status.CreateAccountStatus.AccountId
	}
	r.move(t, aws.ToString(id), ou)
	return orgs.AccountID(aws.ToString(id))
}

// In a new account AWS activates one service after the other, auto-deployment fails
// there without a second try, and what is set by API needs a rollout.
func TestANewAccountGetsItsTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), everyoneConfig+"baseline: {ebs-encryption: true}\n")
		r.mustRollout(t)
		r.w.SetFaults(sim.Faults{Errors: []sim.Fault{{
			InStacks: true, Service: "config", Operation: "PutConfigurationRecorder", Code: "OptInRequired", Message: "The AWS Access Key Id needs a subscription for the service",
		}}})
		id := r.join(t, "fresh", "Sandbox")
		verdicts := func(strict bool) map[finding.Status]int {
			t.Helper()
			b := r.open(t)
			b.At, b.Strict = time.Now(), strict
			a, err := b.Audit(t.Context(), b.pool, Filter{}, r.workers, true, nil)
			noError(t, err)
			out := map[finding.Status]int{}
			for _, f := range a.Findings {
				switch {
				case f.Account == string(id):
					out[f.Status]++
				case f.Status == finding.Drift:
					t.Errorf("another account: %+v", f)
				}
				if f.Account == string(id) && f.Status == finding.Exempt && !strings.Contains(f.Reason, "the account joined") {
					t.Errorf("nobody knows why it is accepted: %s", f.Reason)
				}
			}
			return out
		}
		waiting := verdicts(false)
		if waiting[finding.Drift] != 0 || waiting[finding.Exempt] < 4 {
			t.Fatalf("right after it joined: %v", waiting)
		}
		if now := verdicts(true); now[finding.Drift] != waiting[finding.Exempt] {
			t.Errorf("after a rollout has been there: %v; before: %v", now, waiting)
		}

		// A rollout says who failed and why, and that it is the account's age.
		b := r.open(t)
		b.At = time.Now()
		l, err := b.LookAt(t.Context(), b.pool, Filter{New: true}, r.workers, nil)
		noError(t, err)
		p := b.Propose(l, b.pool)
		if len(p.Tasks) == 0 {
			t.Fatal("nothing is planned for the new account")
		}
		failures := 0
		for _, o := range plan.Execute(t.Context(), p.Tasks, 8, nil).Outcomes {
			for _, f := range o.Failures {
				failures++
				if f.Account != string(id) || !strings.Contains(f.Fix, "--only new") {
					t.Errorf("%+v", f)
				}
			}
		}
		if failures == 0 {
			t.Error("no failure was told")
		}

		// What somebody made otherwise is drift from the first minute on.
		r.w.SetFaults(sim.Faults{})
		r.mustRollout(t)
		r.mustBeClean(t)
		stopRecorder(t, r, string(id), tokyo)
		if now := verdicts(false); now[finding.Drift] != 1 || now[finding.Exempt] != 0 {
			t.Errorf("a stopped recorder: %v", now)
		}

		// The time runs out.
		r.mustRollout(t)
		r.w.SetFaults(sim.Faults{Errors: []sim.Fault{{InStacks: true, Service: "config", Operation: "PutConfigurationRecorder", Code: "OptInRequired", Message: "not yet"}}})
		id = r.join(t, "late", "Sandbox")
		time.Sleep(r.cfg.Audit.Grace)
		if now := verdicts(false); now[finding.Exempt] != 0 || now[finding.Drift] != waiting[finding.Exempt] {
			t.Errorf("after the grace: %v", now)
		}
		b = r.open(t)
		b.At = time.Now()
		if a, err := b.Chosen(Filter{New: true}); err != nil || len(a) != 0 {
			t.Errorf("--only new takes what is not new: %+v, %v", a, err)
		}
	})
}

// Auto-deployment knows neither filters nor overrides: a new account of an OU with an
// override gets what the others have, which is drift until a rollout has been there, and
// an excluded account that moves into an OU is deployed to all the same, and named.
func TestAutoDeploymentKnowsNoOverridesAndNoExclusions(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, handful(t), everyoneConfig+"organization: {exclude: [{account: legacy-lab, reason: belongs to another company}]}\n"+
			"overrides: [{ou: Sandbox, reason: people try things out, baseline: {config-recorder: {recording: daily}}}]\n")
		r.mustRollout(t)
		r.mustBeClean(t)
		fresh := string(r.join(t, "fresh", "Sandbox"))
		found := wrong(r.audit(t, Filter{}))
		if len(found) == 0 {
			t.Error("auto-deployment has heard of the override")
		}
		for _, f := range found {
			if f.Account != fresh || !strings.Contains(f.Reason, "frequency differs") {
				t.Errorf("%+v", f)
			}
		}
		p := r.plan(t)
		if len(p.Tasks) != 1 || p.Tasks[0].Resource != "stack set orgguard-recorder" {
			t.Errorf("the plan: %+v", p.Tasks)
		}
		r.mustRollout(t)
		r.mustBeClean(t)

		r.move(t, legacy, "Workloads/Prod")
		for _, task := range r.plan(t).Tasks {
			t.Errorf("the plan: %+v", task)
		}
		named := false
		for _, s := range r.plan(t).Skipped {
			named = named || s.Account == legacy && strings.Contains(s.Reason, "stack set orgguard-recorder is deployed there all the same")
		}
		if !named {
			t.Error("nobody is told what the excluded account got")
		}
	})
}

// move moves an account to an OU, as a person does.
func (r *rig) move(t *testing.T, account, ou string) {
	t.Helper()
	org := r.open(t).Org
	a, _ := org.Account(orgs.AccountID(account))
	to, err := org.FindOU(ou)
	noError(t, err)
	_, err = organizations.NewFromConfig(r.w.ManagementConfig(virginia)).MoveAccount(t.Context(), &organizations.MoveAccountInput{
		AccountId: aws.String(account), SourceParentId: aws.String(string(a.Parent)), DestinationParentId: aws.String(string(to.ID)),
	})
	noError(t, err)
}
