package scp

import "testing"

func TestExemptions(t *testing.T) {
	deny := mustParse(t, `{"Version":"2012-10-17","Statement":[{"Sid":"All","Effect":"Deny","Action":"*","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	e := mustCompile(t, Org{ManagementAccountID: "999988887777", Path: []Level{
		{Type: LevelRoot, ID: "r-ab12", Policies: []Policy{{Name: "deny", Document: deny}}},
		{Type: LevelAccount, ID: "111122223333", Policies: []Policy{{Name: "deny", Document: deny}}},
	}})
	for name, tc := range map[string]struct {
		p      Principal
		action string
		want   string
	}{
		"role":                               {p: Principal{Type: PrincipalRole, RoleARN: "arn:aws:iam::111122223333:role/x"}},
		"root user of a member":              {p: Principal{Type: PrincipalRoot, ARN: "arn:aws:iam::111122223333:root", AccountID: "111122223333"}},
		"federated user":                     {p: Principal{Type: PrincipalFederatedUser, ARN: "arn:aws:sts::111122223333:federated-user/x"}},
		"nothing known of the principal":     {},
		"management account by id":           {p: Principal{Type: PrincipalRole, AccountID: "999988887777"}, want: ExemptManagementAccount},
		"management account by ARN":          {p: Principal{Type: PrincipalUser, ARN: "arn:aws:iam::999988887777:user/x"}, want: ExemptManagementAccount},
		"service-linked by type":             {p: Principal{Type: PrincipalServiceLinkedRole, AccountID: "111122223333"}, want: ExemptServiceLinkedRole},
		"service-linked by path":             {p: Principal{Type: PrincipalRole, RoleARN: "arn:aws-cn:iam::111122223333:role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"}, want: ExemptServiceLinkedRole},
		"service-linked by name only":        {p: Principal{Type: PrincipalRole, RoleARN: "arn:aws:iam::111122223333:role/AWSServiceRoleForConfig"}},
		"path that only begins alike":        {p: Principal{Type: PrincipalRole, RoleARN: "arn:aws:iam::111122223333:role/aws-service-role-x/y"}},
		"user with that path":                {p: Principal{Type: PrincipalUser, ARN: "arn:aws:iam::111122223333:user/aws-service-role/x"}},
		"service-linked in management":       {p: Principal{Type: PrincipalServiceLinkedRole, AccountID: "999988887777"}, want: ExemptManagementAccount},
		"service principal":                  {p: Principal{Type: PrincipalAWSService, ARN: "config.amazonaws.com"}, want: ExemptAWSService},
		"other account":                      {p: Principal{Type: PrincipalRole, AccountID: "222233334444"}, want: ExemptOutsidePath},
		"anonymous":                          {p: Principal{Type: PrincipalAnonymous}, want: ExemptOutsidePath},
		"who am I":                           {p: Principal{Type: PrincipalRole, AccountID: "111122223333"}, action: "STS:getCallerIdentity", want: ExemptAction},
		"mechanical turk as root":            {p: Principal{Type: PrincipalRoot, AccountID: "111122223333"}, action: "mechanicalturk:CreateHIT", want: ExemptRootTask},
		"mechanical turk as role":            {p: Principal{Type: PrincipalRole, AccountID: "111122223333"}, action: "mechanicalturk:CreateHIT"},
		"ARN cut short":                      {p: Principal{Type: PrincipalRole, ARN: "arn:aws:iam"}},
		"role session of a role in the path": {p: Principal{Type: PrincipalRole, ARN: "arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForConfig/s"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Request{Principal: tc.p, Action: firstOf(tc.action, "s3:GetObject")}
			got := e.Evaluate(r)
			if got.Exemption != tc.want {
				t.Errorf("got exemption %q, want %q", got.Exemption, tc.want)
			}
			want := DecisionDeny
			if tc.want != "" {
				want = DecisionAllow
				if got.Kind != KindExempt || len(got.Deciding) != 0 || len(got.WouldMatchDeny) != 2 || got.Policies != KindExplicitDeny {
					t.Errorf("got %+v", got)
				}
			}
			if got.Decision != want || e.Decide(r) != want {
				t.Errorf("got %s and %s, want %s", got.Decision, e.Decide(r), want)
			}
		})
	}
}

func TestNoLevels(t *testing.T) {
	e := mustCompile(t, Org{})
	for _, r := range []*Request{{}, {Action: "s3:GetObject"}, {Unknown: func(string) bool { return true }}} {
		if got := e.Evaluate(r); got.Decision != DecisionUnknown || e.Decide(r) != DecisionUnknown {
			t.Errorf("got %+v", got)
		}
	}
}

func TestLevelWithoutPolicies(t *testing.T) {
	org := defaultPath(t)
	org.Path[1].Policies = nil
	e := mustCompile(t, org)
	r := defaultRequest("config:StopConfigurationRecorder", "x")
	got := e.Evaluate(r)
	if got.Kind != KindExplicitDeny || len(got.LevelsWithoutAllow) != 1 || got.LevelsWithoutAllow[0] != "ou-ab12-11111111" {
		t.Errorf("got %+v", got)
	}
	r = defaultRequest("s3:GetObject", "x")
	if got := e.Evaluate(r); got.Kind != KindImplicitDeny || e.Decide(r) != DecisionDeny {
		t.Errorf("got %+v", got)
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, org := range map[string]Org{
		"no document":         {Path: []Level{{Type: LevelRoot, ID: "r", Policies: []Policy{{Name: "p"}}}}},
		"unknown type":        {Path: []Level{{Type: "OU", ID: "ou"}}},
		"account in the path": {Path: []Level{{Type: LevelAccount, ID: "1"}, {Type: LevelOU, ID: "ou"}}},
	} {
		if _, err := Compile(org); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDependsOn(t *testing.T) {
	org := defaultPath(t)
	org.Path[0].Policies = append(org.Path[0].Policies, Policy{Name: "glass", Document: mustParse(t, `{"Version":"2012-10-17","Statement":[
		{"Sid":"Glass","Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"StringNotEquals":{"AWS:principaltag/BreakGlass":"true"},"Bool":{"aws:ViaAWSService":"false"}}},
		{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team}/*","Condition":{"StringEquals":{"aws:RequestedRegion":"${s3:x}"}}}]}`)})
	e := mustCompile(t, org)
	r := defaultRequest("s3:GetObject", "x")
	r.Resource = "arn:aws:s3:::b/k"
	var asked []string
	r.Unknown = func(key string) bool {
		asked = append(asked, key)
		return true
	}
	got := e.Evaluate(r)
	if got.Decision != DecisionUnknown || got.Kind != KindUnknown || len(got.Deciding) != 2 {
		t.Fatalf("got %+v", got)
	}
	want := []string{"aws:PrincipalTag/BreakGlass StringNotEquals", "aws:PrincipalTag/team Resource", "s3:x StringEquals"}
	for i, d := range got.DependsOn {
		if s := d.Key + " " + d.Operator; i >= len(want) || s != want[i] {
			t.Errorf("dependency %d is %s", i, s)
		}
	}
	if len(got.DependsOn) != len(want) {
		t.Errorf("%d dependencies", len(got.DependsOn))
	}
	if len(asked) == 0 || asked[0] != "aws:PrincipalTag/BreakGlass" {
		t.Errorf("asked about %v", asked)
	}
	r.Context["aws:principaltag/breakglass"] = []string{"no"}
	if got := e.Evaluate(r); got.Decision != DecisionDeny || len(got.Deciding) != 1 {
		t.Errorf("got %+v", got)
	}
}
