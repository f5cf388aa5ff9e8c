package scp

import "testing"

// defaultPath is the path the target speed is stated for: five levels with
// FullAWSAccess, and the default policy on one of them.
func defaultPath(tb testing.TB) Org {
	tb.Helper()
	full := mustParse(tb, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	protect := mustParse(tb, `{"Version":"2012-10-17","Statement":[{"Sid":"DenyConfigRecorderTampering","Effect":"Deny",
		"Action":["config:StopConfigurationRecorder","config:DeleteConfigurationRecorder"],"Resource":"*",
		"Condition":{"ArnNotLike":{"aws:PrincipalArn":["arn:aws:iam::*:role/OrgAdmin"]}}}]}`)
	org := Org{ManagementAccountID: "999988887777"}
	for i, id := range []string{"r-ab12", "ou-ab12-11111111", "ou-ab12-22222222", "ou-ab12-33333333", "111122223333"} {
		l := Level{Type: LevelOU, ID: id, Policies: []Policy{{ID: "p-FullAWSAccess", Name: "FullAWSAccess", Document: full}}}
		switch i {
		case 0:
			l.Type = LevelRoot
		case 2:
			l.Policies = append(l.Policies, Policy{ID: "p-12345678", Name: "deny-config-tamper", Document: protect})
		case 4:
			l.Type = LevelAccount
		}
		org.Path = append(org.Path, l)
	}
	return org
}

func mustParse(tb testing.TB, src string) *Document {
	tb.Helper()
	d, err := Parse("test.json", []byte(src))
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func mustCompile(tb testing.TB, org Org) *Evaluator {
	tb.Helper()
	e, err := Compile(org)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func defaultRequest(action, role string) *Request {
	return &Request{
		Principal: Principal{Type: PrincipalRole, ARN: "arn:aws:sts::111122223333:assumed-role/" + role + "/s", RoleARN: "arn:aws:iam::111122223333:role/" + role, AccountID: "111122223333"},
		Action:    action,
		Resource:  "arn:aws:config:eu-west-1:111122223333:configuration-recorder/default/abcd1234",
		Context: map[string][]string{
			"aws:PrincipalArn": {"arn:aws:iam::111122223333:role/" + role}, "aws:PrincipalAccount": {"111122223333"},
			"aws:PrincipalOrgID": {"o-exampleorg1"}, "aws:RequestedRegion": {"eu-west-1"}, "aws:SecureTransport": {"true"},
			"aws:SourceIp": {"203.0.113.25"}, "aws:CurrentTime": {"2026-11-20T12:00:00Z"}, "aws:ViaAWSService": {"false"},
			"aws:PrincipalIsAWSService": {"false"}, "aws:PrincipalType": {"AssumedRole"},
		},
	}
}

func BenchmarkDecide(b *testing.B) {
	e := mustCompile(b, defaultPath(b))
	for _, bc := range []struct {
		name, action, role string
		want               Decision
	}{
		{"denied", "config:StopConfigurationRecorder", "ci-runner", DecisionDeny},
		{"exempt-role", "config:StopConfigurationRecorder", "OrgAdmin", DecisionAllow},
		{"other-action", "s3:GetObject", "ci-runner", DecisionAllow},
	} {
		b.Run(bc.name, func(b *testing.B) {
			r := defaultRequest(bc.action, bc.role)
			b.ReportAllocs()
			for b.Loop() {
				if got := e.Decide(r); got != bc.want {
					b.Fatalf("got %s, want %s", got, bc.want)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "evals/s")
		})
	}
}

// BenchmarkDecideUnknown is the slow road: the key the policy turns on is not
// known, so completions are tried.
func BenchmarkDecideUnknown(b *testing.B) {
	e := mustCompile(b, defaultPath(b))
	r := defaultRequest("config:StopConfigurationRecorder", "ci-runner")
	delete(r.Context, "aws:PrincipalArn")
	r.Unknown = func(key string) bool { return key == "aws:PrincipalArn" }
	b.ReportAllocs()
	for b.Loop() {
		if got := e.Decide(r); got != DecisionUnknown {
			b.Fatal(got)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "evals/s")
}

func BenchmarkCompile(b *testing.B) {
	org := defaultPath(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(org); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvaluate(b *testing.B) {
	e := mustCompile(b, defaultPath(b))
	r := defaultRequest("config:StopConfigurationRecorder", "ci-runner")
	b.ReportAllocs()
	for b.Loop() {
		e.Evaluate(r)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "evals/s")
}

func TestDecideDoesNotAllocate(t *testing.T) {
	e := mustCompile(t, defaultPath(t))
	for _, role := range []string{"ci-runner", "OrgAdmin"} {
		r := defaultRequest("config:StopConfigurationRecorder", role)
		if n := testing.AllocsPerRun(100, func() { e.Decide(r) }); n != 0 {
			t.Errorf("Decide for %s allocates %v times", role, n)
		}
	}
}
