package baseline

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
)

// analyzerNames are the analyzers of an account × Region.
func (r *rig) analyzerNames(t *testing.T, account, region string) []string {
	t.Helper()
	out, err := accessanalyzer.NewFromConfig(r.member(account, region)).ListAnalyzers(t.Context(), &accessanalyzer.ListAnalyzersInput{})
	noError(t, err)
	names := []string{}
	for _, a := range out.Analyzers {
		names = append(names, aws.ToString(a.Name)+" "+string(a.Status))
	}
	slices.Sort(names) // they may be made side by side
	return names
}

func TestAnalyzersFromAuditToTeardown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, only("access-analyzer: {unused_access_days: 90}"))
		if diff := cmp.Diff([]string{
			"100000000001 ap-northeast-1 IAM Access Analyzer has no delegated administrator: none, want 200000000001",
			"200000000001 ap-northeast-1 no analyzer looks for what the organization opens to the outside: none, want an active one",
			"200000000001 ap-northeast-1 no analyzer looks for access that nobody uses: none, want an active one",
			"200000000001 us-east-1 no analyzer looks for what the organization opens to the outside: none, want an active one",
		}, lines(r.audit(t, Filter{}))); diff != "" {
			t.Errorf("before (-want +got):\n%s", diff)
		}
		records := recorded(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)
		if got := r.analyzerNames(t, securityAccount, tokyo); !slices.Equal(got, []string{"orgguard-external-access ACTIVE", "orgguard-unused-access ACTIVE"}) {
			t.Errorf("analyzers %v", got)
		}

		// Somebody deletes one.
		_, err := accessanalyzer.NewFromConfig(r.member(securityAccount, virginia)).DeleteAnalyzer(t.Context(), &accessanalyzer.DeleteAnalyzerInput{AnalyzerName: aws.String("orgguard-external-access")})
		noError(t, err)
		if got := lines(r.audit(t, Filter{})); len(got) != 1 {
			t.Errorf("findings %v", got)
		}
		mustDo(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)

		b := r.open(t)
		mustDo(t, b.Undo(t.Context(), b.pool, records).Tasks)
		r.mustBeGone(t, analyzerPrincipal, "orgguard:access-analyzer")
		if got := r.analyzerNames(t, securityAccount, tokyo); len(got) > 0 {
			t.Errorf("analyzers after the undo: %v", got)
		}
		mustDo(t, r.plan(t).Tasks)

		// The administrator stays while it has an analyzer of somebody's.
		o := accessanalyzer.NewFromConfig(r.member(securityAccount, tokyo))
		_, err = o.CreateAnalyzer(t.Context(), &accessanalyzer.CreateAnalyzerInput{AnalyzerName: aws.String("theirs"), Type: types.TypeOrganizationInternalAccess})
		noError(t, err)
		res := plan.Execute(t.Context(), b.Teardown(t.Context(), b.pool, KeepHistory, 4).Tasks, 4, nil)
		if res.Failed() != 1 || !slices.Equal(r.analyzerNames(t, securityAccount, tokyo), []string{"theirs ACTIVE"}) {
			t.Errorf("%+v", res)
		}
		_, err = o.DeleteAnalyzer(t.Context(), &accessanalyzer.DeleteAnalyzerInput{AnalyzerName: aws.String("theirs")})
		noError(t, err)
		mustDo(t, b.Teardown(t.Context(), b.pool, KeepHistory, 4).Tasks)
		r.mustBeGone(t, analyzerPrincipal, "orgguard:access-analyzer")
	})
}

func TestCompareAnalyzers(t *testing.T) {
	r := Resource{Type: "OrgGuard::AccessAnalyzer::OrganizationAnalyzer", Props: map[string]any{
		"Account": securityAccount, "Name": "orgguard-unused-access", "Kind": "ORGANIZATION_UNUSED_ACCESS", "Days": 90,
	}}
	st := func(admin orgs.AccountID, as ...analyzer) analyzerState {
		return analyzerState{appointment: appointment{Admin: admin}, Analyzers: as}
	}
	ours := analyzer{Account: securityAccount, Name: "orgguard-unused-access", Status: "ACTIVE", Ours: true, Days: 90, Organization: true}
	with := func(change func(*analyzer)) analyzer {
		a := ours
		change(&a)
		return a
	}
	none := Mismatch{Reason: "no analyzer looks for access that nobody uses", Expected: "an active one", Actual: "none", Verb: "create"}
	respected, disabled := none, none
	respected.Manual = respect("IAM Access Analyzer", shopProd, securityAccount)
	disabled.Actual = "orgguard-unused-access in account 200000000001 is DISABLED"
	disabled.Manual = "look why analyzer orgguard-unused-access does not work, or delete it, with all that it found; then a rollout makes another"
	testCompare(t, r, []compareCase{
		{"ours, as wanted", st(securityAccount, ours), nil},
		{"about to be", st(securityAccount, with(func(a *analyzer) { a.Status = "CREATING" })), nil},
		{"none", st(securityAccount), []Mismatch{none}},
		{"none, and another administrator", st(shopProd), []Mismatch{respected}},
		{"of the management account, which waits less", st(securityAccount, with(func(a *analyzer) { a.Account, a.Ours, a.Days = management, false, 30 })), nil},
		{"one works, another does not", st(securityAccount, with(func(a *analyzer) { a.Status = "FAILED" }), ours), nil},
		{"disabled", st(securityAccount, with(func(a *analyzer) { a.Status = "DISABLED" })), []Mismatch{disabled}},
		{"ours waits another time", st(securityAccount, with(func(a *analyzer) { a.Days = 30 })), []Mismatch{{
			Reason: "the analyzer of unused access waits another number of days", Expected: 90, Actual: 30,
			Manual: "delete analyzer orgguard-unused-access in account 200000000001, with all that it found; then a rollout makes another",
		}}},
	})
}

// An analyzer of the organization that is there is adopted and never deleted; so is
// an administrator.
func TestAnalyzersOfOthersAreAdopted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := demoRig(t, only("access-analyzer: true"))
		_, err := organizations.NewFromConfig(r.w.ManagementConfig(virginia)).EnableAWSServiceAccess(t.Context(), &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(analyzerPrincipal)})
		noError(t, err)
		_, err = accessanalyzer.NewFromConfig(r.w.ManagementConfig(tokyo)).CreateAnalyzer(t.Context(), &accessanalyzer.CreateAnalyzerInput{AnalyzerName: aws.String("company"), Type: types.TypeOrganization})
		noError(t, err)
		mustDo(t, r.plan(t).Tasks)
		r.mustBeQuiet(t)
		if got := r.analyzerNames(t, securityAccount, tokyo); len(got) > 0 {
			t.Errorf("made %v although there is one", got)
		}
		b := r.open(t)
		mustDo(t, b.Teardown(t.Context(), b.pool, KeepHistory, 4).Tasks)
		if got := r.analyzerNames(t, management, tokyo); !slices.Equal(got, []string{"company ACTIVE"}) {
			t.Errorf("left %v", got)
		}

		s, err := sim.Scenario("demo")
		noError(t, err)
		s.DelegatedAdministrators = []sim.DelegateSpec{{Account: "log-archive", Services: []string{analyzerPrincipal}}}
		r = newRig(t, s, only("access-analyzer: true"))
		for _, f := range wrong(r.audit(t, Filter{})) {
			if f.Fix == "orgguard rollout" {
				t.Errorf("%s: %s", f.Reason, f.Fix)
			}
		}
		for _, task := range r.plan(t).Tasks {
			if task.Kind == settingChange {
				t.Errorf("%s %s", task.Verb, task.Resource)
			}
		}
	})
}
