package preview

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

const (
	management = "100000000001"
	shop       = "300000000001"
	pay        = "300000000002"
	lab        = "500000000003"
	closed     = "900000000001"

	denyStop = `{"Version":"2012-10-17","Statement":[{"Sid":"NoStop","Effect":"Deny","Action":["config:StopConfigurationRecorder","config:DeleteConfigurationRecorder"],"Resource":"*"}]}`
	// denyStopUnless spares one role, whose name it does not protect.
	denyStopUnless = `{"Version":"2012-10-17","Statement":[{"Sid":"NoStop","Effect":"Deny","Action":"config:StopConfigurationRecorder","Resource":"*",` +
		`"Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/OrgAdmin"}}}]}`
	admin = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	none  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}]}`
)

var testTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// testOrg has two OUs with accounts: Workloads (shop, pay) and Lab (lab, and one
// that is suspended), and the management account under the root.
func testOrg() *orgs.Organization {
	p := orgs.PartitionOf("us-east-1")
	return orgs.New("o-test", management, p,
		[]orgs.OU{{ID: "r-root", Name: "Root"}, {ID: "ou-work", Name: "Workloads", Parent: "r-root"}, {ID: "ou-lab", Name: "Lab", Parent: "r-root"}},
		[]orgs.Account{
			{ID: management, Name: "management", State: orgs.StateActive, Parent: "r-root"},
			{ID: shop, Name: "shop", State: orgs.StateActive, Parent: "ou-work"},
			{ID: pay, Name: "pay", State: orgs.StateActive, Parent: "ou-work"},
			{ID: lab, Name: "lab", State: orgs.StateActive, Parent: "ou-lab"},
			{ID: closed, Name: "closed", State: orgs.StateSuspended, Parent: "ou-lab"},
		})
}

// input has FullAWSAccess everywhere and changes nothing yet.
func input(t *testing.T) Input {
	t.Helper()
	in := Input{
		Org: testOrg(), Attached: Attachments{TakenAt: testTime, Policies: map[string]Policy{}, On: map[string][]string{}},
		Inventory: map[orgs.AccountID]Inventory{}, GeneratedAt: testTime, Regions: []string{"eu-west-1"}, Command: "orgguard scp preview",
	}
	have(t, &in, fullAccessID, "FullAWSAccess", fullAccess, "r-root", "ou-work", "ou-lab", management, shop, pay, lab, closed)
	return in
}

// have puts a policy into Organizations.
func have(t *testing.T, in *Input, id, name, content string, on ...string) {
	t.Helper()
	doc, err := scp.Parse(name, []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	in.Attached.Policies[id] = Policy{ID: id, Name: name, Content: content, Document: doc, AWSManaged: id == fullAccessID}
	for _, n := range on {
		in.Attached.On[n] = sorted(append(in.Attached.On[n], id))
	}
}

// role adds a role to the inventory of an account.
func role(in *Input, account orgs.AccountID, name, policy string) {
	inv := in.Inventory[account]
	inv.Identities = append(inv.Identities, Identity{ARN: "arn:aws:iam::" + string(account) + ":role/" + name, Type: scp.PrincipalRole, Policies: []string{policy}, TagsFixed: true})
	in.Inventory[account] = inv
}

func attach(policy string, targets ...string) Change {
	return Change{Kind: Attach, Name: "new", File: "new.json", Source: []byte(policy), Targets: targets}
}

func run(t *testing.T, in Input) Preview {
	t.Helper()
	p, err := New(in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stopped is a call of StopConfigurationRecorder by a role.
func stopped(account, role string) Event {
	return Event{
		Account: account, Region: "eu-west-1", Source: "config.amazonaws.com", Name: "StopConfigurationRecorder", Type: scp.PrincipalRole,
		ARN: "arn:aws:sts::" + account + ":assumed-role/" + role + "/alice", RoleARN: "arn:aws:iam::" + account + ":role/" + role,
		SourceIP: "203.0.113.17", Count: 2, First: testTime.Add(-48 * time.Hour), Last: testTime.Add(-24 * time.Hour), ID: "e-1",
	}
}

// told is what an effect says, short enough to compare.
type told struct {
	Direction Direction
	Strength  Strength
	Principal string
	Accounts  []string
	Actions   []string
	Depends   []string
}

func effectsOf(p Preview) []told {
	var out []told
	for _, f := range p.Effects {
		x := told{f.Direction, f.Strength, f.Principal, nil, f.Actions, f.Depends}
		for _, a := range f.Accounts {
			x.Accounts = append(x.Accounts, a.Name)
		}
		out = append(out, x)
	}
	return out
}

var stop = []string{"config:StopConfigurationRecorder"}

func TestEffects(t *testing.T) {
	tests := map[string]struct {
		given func(*testing.T, *Input)
		want  []told
	}{
		"a call that was made, and would be denied": {
			func(_ *testing.T, in *Input) {
				in.Change = attach(denyStopUnless, "ou-work")
				role(in, shop, "tuner", none)
				role(in, pay, "nobody", none)
				in.Events = []Event{stopped(shop, "tuner"), stopped(lab, "tuner")}
			},
			[]told{
				{Loses, Used, "role/tuner", []string{"shop"}, stop, []string{}},
				{Loses, Permitted, "root user", []string{"shop", "pay"}, stop, []string{}},
			},
		},
		"the spared role keeps it": {
			func(_ *testing.T, in *Input) {
				in.Change = attach(denyStopUnless, "ou-lab")
				role(in, lab, "OrgAdmin", admin)
				role(in, lab, "Admin", admin)
				in.Events = []Event{stopped(lab, "OrgAdmin")}
			},
			[]told{
				{Loses, Permitted, "role/Admin", []string{"lab"}, stop, []string{}},
				{Loses, Permitted, "root user", []string{"lab"}, stop, []string{}},
			},
		},
		"a call that was refused when it was made is no breakage": {
			func(_ *testing.T, in *Input) {
				in.Change = attach(denyStopUnless, "ou-lab")
				role(in, lab, "x", none)
				e := stopped(lab, "x")
				e.ErrorCode = "AccessDenied"
				in.Events = []Event{e}
			},
			[]told{{Loses, Permitted, "root user", []string{"lab"}, stop, []string{}}},
		},
		"an account whose IAM was not read": {
			func(_ *testing.T, in *Input) { in.Change = attach(denyStopUnless, "ou-lab") },
			[]told{{Loses, Possible, "whoever IAM permits it", []string{"lab"}, stop, []string{`denied unless aws:PrincipalArn matches "arn:aws:iam::*:role/OrgAdmin"`}}},
		},
		"a key that CloudTrail does not have": {
			func(_ *testing.T, in *Input) {
				in.Change = attach(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"config:StopConfigurationRecorder","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalTag/glass":"broken"}}}]}`, "ou-lab")
				in.Events = []Event{stopped(lab, "tuner")}
				in.Inventory[lab] = Inventory{Identities: []Identity{{ARN: "arn:aws:iam::" + lab + ":role/tuner", Type: scp.PrincipalRole, Policies: []string{none}}}}
			},
			[]told{
				{Loses, Used, "role/tuner", []string{"lab"}, stop, []string{`denied unless aws:PrincipalTag/glass is "broken"`}},
				{Loses, Permitted, "root user", []string{"lab"}, stop, []string{`denied unless aws:PrincipalTag/glass is "broken"`}},
			},
		},
		"what is denied already is not lost again": {
			func(t *testing.T, in *Input) {
				have(t, in, "p-guard", "aws-guardrails-x1", denyStop, "r-root")
				in.Change = attach(denyStop, "ou-lab")
				role(in, lab, "Admin", admin)
				in.Events = []Event{stopped(lab, "Admin")}
			},
			nil,
		},
		"a detachment gives back": {
			func(t *testing.T, in *Input) {
				have(t, in, "p-1", "deny", denyStopUnless, "ou-lab")
				in.Change = Change{Kind: Detach, Name: "deny", Existing: "p-1", Targets: []string{"ou-lab"}}
				role(in, lab, "Admin", admin)
				e := stopped(lab, "Admin")
				e.ErrorCode = "AccessDenied"
				in.Events = []Event{e}
			},
			[]told{
				{Gains, Used, "role/Admin", []string{"lab"}, stop, []string{}},
				{Gains, Permitted, "root user", []string{"lab"}, stop, []string{}},
			},
		},
		"an edit changes only what was edited, at all its targets": {
			func(t *testing.T, in *Input) {
				have(t, in, "p-1", "deny", denyStopUnless, "ou-lab", "ou-work")
				in.Change = Change{Kind: Replace, Name: "deny", Existing: "p-1", File: "deny.json", Source: []byte(denyStop)}
				role(in, lab, "OrgAdmin", admin)
				role(in, lab, "Admin", admin)
				role(in, shop, "Admin", none)
				role(in, pay, "Admin", none)
			},
			[]told{
				{Loses, Permitted, "root user", []string{"shop", "pay", "lab"}, []string{"config:DeleteConfigurationRecorder"}, []string{}},
				{Loses, Permitted, "role/Admin", []string{"lab"}, []string{"config:DeleteConfigurationRecorder"}, []string{}},
				{Loses, Permitted, "role/OrgAdmin", []string{"lab"}, []string{"config:DeleteConfigurationRecorder", "config:StopConfigurationRecorder"}, []string{}},
			},
		},
		"an Allow beside FullAWSAccess changes nothing": {
			func(_ *testing.T, in *Input) {
				in.Change = attach(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`, "ou-lab")
				role(in, lab, "Admin", admin)
			},
			nil,
		},
		"a denial of some resources only is on those": {
			func(_ *testing.T, in *Input) {
				in.Change = attach(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"iam:CreateRole","Resource":"arn:aws:iam::*:role/stacksets-exec-*"}]}`, "ou-lab")
				role(in, lab, "Admin", admin)
				role(in, lab, "Reader", none)
				made := Event{Account: lab, Region: "us-east-1", Source: "iam.amazonaws.com", Name: "CreateRole", Type: scp.PrincipalRole,
					ARN: "arn:aws:sts::" + lab + ":assumed-role/Admin/a", RoleARN: "arn:aws:iam::" + lab + ":role/Admin", Count: 1, First: testTime, Last: testTime,
					Params: map[string]string{"roleName": "app"}}
				in.Events = []Event{made}
			},
			[]told{
				{Loses, Permitted, "role/Admin", []string{"lab"}, []string{"iam:CreateRole"}, []string{}},
				{Loses, Permitted, "root user", []string{"lab"}, []string{"iam:CreateRole"}, []string{}},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := input(t)
			tt.given(t, &in)
			if diff := cmp.Diff(tt.want, effectsOf(run(t, in))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	full := Coverage{Asked: true, From: testTime.AddDate(0, 0, -90), To: testTime, Wanted: 1, Read: 1, Missing: []Gap{}}
	short := full
	short.Wanted = 2
	short.Missing = []Gap{{Account: pay, Region: "eu-west-1", Reason: "denied"}}
	tests := map[string]struct {
		given func(*Input)
		word  VerdictWord
		code  int
	}{
		"nothing seen": {func(in *Input) { in.Change = attach(denyStopUnless, "ou-lab") }, NoneSeen, 0},
		"observed use": {func(in *Input) {
			in.Change = attach(denyStopUnless, "ou-lab")
			in.Events = []Event{stopped(lab, "x")}
		}, WouldBreak, 1},
		"observed use beats evidence that is missing": {func(in *Input) {
			in.Change = attach(denyStopUnless, "ou-lab")
			in.Events = []Event{stopped(lab, "x")}
			in.Evidence.CloudTrail = short
		}, WouldBreak, 1},
		"evidence that is missing": {func(in *Input) {
			in.Change = attach(denyStopUnless, "ou-lab")
			in.Evidence.CloudTrail = short
		}, Incomplete, 3},
		"a lock-out": {func(in *Input) {
			in.Change = attach(denyStopUnless, "ou-lab")
			in.Guards = DefaultGuards("OrgAdmin", nil, nil)
		}, Refused, 1},
		"an error of the linter": {func(in *Input) {
			in.Change = attach(`{"Version":"2012-10-17","Statement":[{"Sid":"All","Effect":"Deny","Action":"*","Resource":"*"}]}`, "ou-lab")
		}, NotValid, 1},
		"a quota": {func(in *Input) {
			in.Change = attach(denyStopUnless, "ou-lab")
			in.Limits.PoliciesPerNode = scp.Limit{Value: 1, Source: "test", Date: "now"}
		}, NotValid, 1},
		"nothing at all": {func(in *Input) {
			in.Change = attach(`{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Allow","Action":"s3:*","Resource":"*"}]}`, "ou-lab")
			in.Inventory[lab] = Inventory{}
		}, NoChange, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := input(t)
			in.Evidence = Evidence{CloudTrail: full, IAM: full}
			tt.given(&in)
			v := run(t, in).Verdict
			if v.Word != tt.word || v.ExitCode != tt.code || v.Text == "" {
				t.Errorf("got %+v, want %s (%d)", v, tt.word, tt.code)
			}
		})
	}
}

func TestGuards(t *testing.T) {
	const stopNeed = "config:StopConfigurationRecorder"
	guard := Guard{Role: "Repair", Why: "test", Needs: []Need{{Action: stopNeed}}}
	standing, glass := guard, guard
	standing.Standing = true
	glass.Needs, glass.All, glass.Standing = nil, true, true
	tagged := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"config:*","Resource":"*","Condition":{"Null":{"aws:PrincipalTag/x":"true"}}}]}`
	elsewhere := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"config:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"us-west-2"}}}]}`
	tests := map[string]struct {
		guard  Guard
		policy string
		given  func(*testing.T, *Input)
		want   GuardStatus
		lost   []string
	}{
		"a role that is there":                        {guard, denyStop, func(_ *testing.T, in *Input) { role(in, lab, "Repair", admin) }, GuardLoses, []string{stopNeed}},
		"one that is not there":                       {guard, denyStop, func(_ *testing.T, in *Input) { role(in, lab, "Other", admin) }, GuardAbsent, []string{}},
		"one that somebody will make":                 {standing, denyStop, func(_ *testing.T, in *Input) { role(in, lab, "Other", admin) }, GuardLoses, []string{stopNeed}},
		"an account whose IAM was not read":           {guard, denyStop, func(*testing.T, *Input) {}, GuardLoses, []string{stopNeed}},
		"break glass must not lose anything":          {glass, denyStop, func(*testing.T, *Input) {}, GuardLoses, []string{"config:DeleteConfigurationRecorder", stopNeed}},
		"another Region than those in use":            {guard, elsewhere, func(*testing.T, *Input) {}, GuardKeeps, []string{}},
		"a tag that nobody knows":                     {guard, tagged, func(*testing.T, *Input) {}, GuardDepends, []string{}},
		"a tag that the role has":                     {guard, tagged, func(_ *testing.T, in *Input) { tagRole(in, "x") }, GuardKeeps, []string{}},
		"a tag that the role lacks":                   {guard, tagged, func(_ *testing.T, in *Input) { tagRole(in, "y") }, GuardLoses, []string{stopNeed}},
		"what it could not do before is not lost now": {guard, denyStop, func(t *testing.T, in *Input) { have(t, in, "p-1", "old", denyStop, "r-root") }, GuardKeeps, []string{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := input(t)
			in.Change = attach(tt.policy, "ou-lab")
			in.Guards = []Guard{tt.guard}
			tt.given(t, &in)
			g := run(t, in).Guards[0]
			if g.Status != tt.want {
				t.Errorf("status %s, want %s", g.Status, tt.want)
			}
			if diff := cmp.Diff(tt.lost, g.Lost); diff != "" {
				t.Error(diff)
			}
			if g.Status == GuardLoses && (len(g.Deciding) != 1 || g.Deciding[0].Policy != "new") {
				t.Errorf("the statement that takes it is not named: %v", g.Deciding)
			}
		})
	}
}

func tagRole(in *Input, tag string) {
	role(in, lab, "Repair", admin)
	in.Inventory[lab].Identities[0].Tags = map[string]string{tag: "1"}
}

func TestExemptions(t *testing.T) {
	protected := `{"Version":"2012-10-17","Statement":[` +
		`{"Sid":"A","Effect":"Deny","Action":"config:*","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/OrgAdmin"}}},` +
		`{"Sid":"Names","Effect":"Deny","Action":["iam:CreateRole","iam:UpdateAssumeRolePolicy"],"Resource":"arn:aws:iam::*:role/OrgAdmin","Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/OrgAdmin"}}}]}`
	all := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"config:*","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}}}]}`
	sso := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"config:*","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*"}}}]}`
	type short struct {
		Present, Looked, Missing, Forgeable int
		ForgedBy                            []string
		Protected                           bool
		TooWide                             string
	}
	for name, tt := range map[string]struct {
		policy string
		want   short
	}{
		"members can make one of that name": {denyStopUnless, short{1, 2, 1, 2, []string{"iam:CreateRole", "iam:UpdateAssumeRolePolicy"}, false, ""}},
		"the name is protected":             {protected, short{1, 2, 1, 0, []string{}, true, ""}},
		"a path nobody can write to":        {sso, short{0, 2, 2, 0, []string{}, false, ""}},
		"everybody is spared":               {all, short{2, 2, 0, 2, []string{"iam:CreateRole", "iam:UpdateAssumeRolePolicy"}, false, "spares every role"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(t)
			in.Change = attach(tt.policy, "ou-work")
			role(&in, shop, "OrgAdmin", admin)
			role(&in, pay, "Admin", admin)
			p := run(t, in)
			if len(p.Exemptions) != 1 {
				t.Fatalf("%d exemptions", len(p.Exemptions))
			}
			x := p.Exemptions[0]
			got := short{x.Present, x.Looked, len(x.Missing), len(x.Forgeable), x.ForgedBy, len(x.ProtectedBy) > 0, x.TooWide}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Control Tower's guardrail denies to everybody but its own role what a policy
// without exemptions would deny to that role too, and to nobody else.
func TestControlTowerIsTold(t *testing.T) {
	in := input(t)
	have(t, &in, "p-ct", "aws-guardrails-x1", `{"Version":"2012-10-17","Statement":[{"Sid":"GRCONFIGENABLED","Effect":"Deny","Action":["config:StopConfigurationRecorder","config:DeleteConfigurationRecorder"],"Resource":"*",`+
		`"Condition":{"ArnNotLike":{"aws:PrincipalARN":"arn:aws:iam::*:role/AWSControlTowerExecution"}}}]}`, "r-root")
	in.Change = attach(denyStop, "ou-lab")
	in.Guards = DefaultGuards("OrganizationAccountAccessRole", []string{"config:StopConfigurationRecorder"}, nil)
	role(&in, lab, "AWSControlTowerExecution", admin)
	role(&in, lab, "Admin", admin)
	p := run(t, in)
	if p.Verdict.Word != Refused {
		t.Errorf("verdict %+v", p.Verdict)
	}
	for _, g := range p.Guards {
		if want := g.Role == "AWSControlTowerExecution"; (g.Status == GuardLoses) != want {
			t.Errorf("%s: %s", g.Role, g.Status)
		}
	}
	if len(p.Redundant) != 1 || len(p.Redundant[0].By) != 1 || p.Redundant[0].By[0].Sid != "GRCONFIGENABLED" ||
		!cmp.Equal(p.Redundant[0].Except, []string{`denied unless aws:PrincipalArn matches "arn:aws:iam::*:role/AWSControlTowerExecution"`}) {
		t.Errorf("redundant %+v", p.Redundant)
	}
	var principals []string
	for _, f := range p.Effects {
		principals = append(principals, f.Principal)
	}
	if diff := cmp.Diff([]string{"role/AWSControlTowerExecution"}, principals); diff != "" {
		t.Error(diff)
	}
	if len(p.Gaps) != len(silencers)-2 {
		t.Errorf("%d gaps", len(p.Gaps))
	}
}

func TestChecks(t *testing.T) {
	tests := map[string]struct {
		given func(*testing.T, *Input)
		id    string
		want  CheckStatus
	}{
		"a size within the quota": {func(_ *testing.T, in *Input) { in.Change = attach(denyStopUnless, "ou-lab") }, "quota-size", CheckOK},
		"a size above one's quota": {func(_ *testing.T, in *Input) {
			in.Change = attach(denyStopUnless, "ou-lab")
			in.Limits.PolicyCharacters.Value = 50
		}, "quota-size", CheckError},
		"room for another policy": {func(_ *testing.T, in *Input) { in.Change = attach(denyStopUnless, "ou-lab") }, "quota-attached", CheckOK},
		"no room for another policy": {func(_ *testing.T, in *Input) {
			in.Change = attach(denyStopUnless, "ou-lab")
			in.Limits.PoliciesPerNode.Value = 1
		}, "quota-attached", CheckError},
		"the last policy":          {detachFull, "quota-attached", CheckError},
		"a level without an Allow": {detachFull, "allow", CheckError},
		"a name that is taken": {func(t *testing.T, in *Input) {
			have(t, in, "p-1", "new", denyStop)
			in.Change = attach(denyStopUnless, "ou-lab")
		}, "name", CheckError},
		"AWS's own policy": {func(_ *testing.T, in *Input) {
			in.Change = Change{Kind: Replace, Existing: fullAccessID, Name: "FullAWSAccess", Source: []byte(none)}
		}, "aws-managed", CheckError},
		"the policy type is off": {func(_ *testing.T, in *Input) { in.Org.SCPStatus = ""; in.Change = attach(denyStopUnless, "ou-lab") }, "policy-type", CheckWarning},
		"what the linter warns about": {func(_ *testing.T, in *Input) {
			in.Change = attach(`{"Version":"2012-10-17","Statement":[{"Sid":"A","Effect":"Deny","Action":"config:StopConfigurationRecoder","Resource":"*"}]}`, "ou-lab")
		}, "SCP202", CheckWarning},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := input(t)
			tt.given(t, &in)
			for _, c := range run(t, in).Checks {
				if c.ID == tt.id {
					if c.Status != tt.want {
						t.Errorf("%+v, want %s", c, tt.want)
					}
					return
				}
			}
			t.Errorf("no check %s", tt.id)
		})
	}
}

func detachFull(_ *testing.T, in *Input) {
	in.Change = Change{Kind: Detach, Existing: fullAccessID, Name: "FullAWSAccess", Targets: []string{"ou-lab"}}
}

func TestReach(t *testing.T) {
	in := input(t)
	in.Change = attach(denyStop, "r-root")
	r := run(t, in).Reach
	if r.Accounts != 3 || r.Total != 5 || r.Suspended != 1 || !r.Management || r.Groups != 2 {
		t.Errorf("%+v", r)
	}
	in.Change = attach(denyStop, shop)
	if r := run(t, in).Reach; r.Accounts != 1 || r.Suspended != 0 || r.Management {
		t.Errorf("%+v", r)
	}
}

// The fingerprint is that of the snapshot and the change, and of nothing else.
func TestTheFingerprintChangesWithTheOrganization(t *testing.T) {
	in := input(t)
	in.Change = attach(denyStop, "ou-lab")
	first := run(t, in).Fingerprint
	in.GeneratedAt = testTime.Add(time.Hour)
	in.Events = []Event{stopped(lab, "x")}
	if got := run(t, in).Fingerprint; got != first {
		t.Error("it changes with the time or the evidence")
	}
	have(t, &in, "p-9", "more", denyStop, "r-root")
	if run(t, in).Fingerprint == first {
		t.Error("another policy on the path leaves it as it was")
	}
}

func TestMistakes(t *testing.T) {
	for name, c := range map[string]Change{
		"a target that is not there":               attach(denyStop, "ou-none"),
		"a policy that is not there":               {Kind: Detach, Existing: "p-none", Targets: []string{"ou-lab"}},
		"a detachment from where it is not":        {Kind: Detach, Existing: "p-1", Name: "deny", Targets: []string{"ou-work"}},
		"a policy that AWS would not parse either": attach(`{"Version":"2012-10-17"}`, "ou-lab"),
	} {
		t.Run(name, func(t *testing.T) {
			in := input(t)
			have(t, &in, "p-1", "deny", denyStop, "ou-lab")
			in.Change = c
			_, err := New(in)
			var bad *InputError
			if !errors.As(err, &bad) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Ten thousand accounts take seconds, not minutes.
func BenchmarkTenThousandAccounts(b *testing.B) {
	in := Input{Attached: Attachments{Policies: map[string]Policy{}, On: map[string][]string{}}, Inventory: map[orgs.AccountID]Inventory{}, Regions: []string{"eu-west-1", "us-east-1"}}
	doc, err := scp.Parse("FullAWSAccess", []byte(fullAccess))
	if err != nil {
		b.Fatal(err)
	}
	in.Attached.Policies[fullAccessID] = Policy{ID: fullAccessID, Name: "FullAWSAccess", Document: doc}
	ous := []orgs.OU{{ID: "r-root", Name: "Root"}}
	for i := range 100 {
		ous = append(ous, orgs.OU{ID: orgs.NodeID(fmt.Sprintf("ou-%d", i)), Name: fmt.Sprint(i), Parent: "r-root"})
	}
	var accounts []orgs.Account
	for i := range 10_000 {
		id := orgs.AccountID(fmt.Sprintf("%012d", i+1))
		accounts = append(accounts, orgs.Account{ID: id, Name: fmt.Sprint(i), State: orgs.StateActive, Parent: ous[1+i%100].ID})
		in.Attached.On[string(id)] = []string{fullAccessID}
		for _, r := range []string{"Admin", "OrgAdmin", "Deploy", "Reader"} {
			policy := admin
			if r == "Reader" {
				policy = none
			}
			role(&in, id, r, policy)
		}
	}
	for _, ou := range ous {
		in.Attached.On[string(ou.ID)] = []string{fullAccessID}
	}
	in.Org = orgs.New("o-big", "999999999999", orgs.PartitionOf("us-east-1"), ous, accounts)
	in.Guards = DefaultGuards("OrganizationAccountAccessRole", []string{"config:StopConfigurationRecorder"}, []string{"BreakGlass"})
	in.Change = attach(denyStopUnless, "r-root")
	b.ReportAllocs()
	for b.Loop() {
		if p, err := New(in); err != nil || p.Reach.Accounts != 10_000 {
			b.Fatal(err, p.Reach.Accounts)
		}
	}
}
