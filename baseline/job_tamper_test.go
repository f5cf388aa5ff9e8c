package baseline

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/orgguard/orgguard/orgs/eventpattern"
)

// What begins an audit of an account, and what does not.
func TestWhatBeginsAnAudit(t *testing.T) {
	b, err := resolveSmall(t, "aws", "organization: {access_role: ops/OrgGuardRollout}\nalerts: {email: [a@example.com]}\n")
	if err != nil {
		t.Fatal(err)
	}
	tamper, why, err := b.TamperTemplate(JobName)
	if why != "" || err != nil {
		t.Fatal(why, err)
	}
	if strings.Contains(tamper.Body, string(b.Org.ManagementAccount)) {
		t.Error("the template is one for this organization alone")
	}
	x := b.besides()[jobTamper]
	x.body = tamper.Body
	rules, err := b.rulesOf(x)
	if err != nil {
		t.Fatal(err)
	}
	var patterns []*eventpattern.Pattern
	for _, r := range rules {
		text, err := json.Marshal(r.Props["EventPattern"])
		if err != nil || len(text) > 2048 {
			t.Fatalf("%d characters, %v", len(text), err)
		}
		p, err := eventpattern.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		patterns = append(patterns, p)
	}
	if len(patterns) != 2 {
		t.Fatalf("%d rules in %s", len(patterns), tamper.Body)
	}
	const (
		session = `"type":"AssumedRole","arn":"arn:aws:sts::333333333333:assumed-role/%s/%s","sessionContext":{"sessionIssuer":{"type":"Role","userName":"%s"}}`
		user    = `"type":"IAMUser","arn":"arn:aws:iam::333333333333:user/alice"`
	)
	as := func(role, name string) string {
		return strings.NewReplacer("%s/%s", role+"/"+name, "%s", role).Replace(session)
	}
	management := string(b.Org.ManagementAccount)
	for _, c := range []struct {
		name, account, source, event, identity, more string
		want                                         bool
	}{
		{"a user", "333333333333", "config", "StopConfigurationRecorder", user, "", true},
		{"the root user", "333333333333", "config", "DeleteDeliveryChannel", `"type":"Root","arn":"arn:aws:iam::333333333333:root"`, "", true},
		{"a role", "333333333333", "config", "PutConfigurationRecorder", as("Admin", "alice"), "", true},
		{"the access role, by hand", "333333333333", "config", "StopConfigurationRecorder", as("OrgGuardRollout", "alice"), "", true},
		{"a role that is called like it", "333333333333", "config", "StopConfigurationRecorder", as("NotOrgGuardRollout", "orgguard"), "", true},
		{"a member's administrator by way of CloudFormation", "333333333333", "config", "StopConfigurationRecorder", as("Admin", "alice") + `,"invokedBy":"cloudformation.amazonaws.com"`, "", true},
		{"somebody who stops the trail", management, "cloudtrail", "StopLogging", as("Admin", "alice"), "", true},
		{"what was refused", "333333333333", "config", "StopConfigurationRecorder", user, `,"errorCode":"AccessDenied"`, false},
		{"an evaluation", "333333333333", "config", "PutEvaluations", user, "", false},
		{"a trail that is only looked at", management, "cloudtrail", "CreateTrail", user, "", false},
		{"StackSets", "333333333333", "config", "PutConfigurationRecorder", as("stacksets-exec-0123456789abcdef", "AWSCloudFormation") + `,"invokedBy":"cloudformation.amazonaws.com"`, "", false},
		{"orgguard", "333333333333", "config", "StopConfigurationRecorder", as("OrgGuardRollout", "orgguard"), "", false},
		{"a conformance pack", "333333333333", "config", "PutConfigRule", as("AWSServiceRoleForConfigConforms", "AWSConfig"), "", false},
		{"a service", "333333333333", "config", "PutConfigRule", `"type":"AWSService","invokedBy":"config.amazonaws.com"`, "", false},
		{"a rollout's stack of the management account", management, "config", "PutConfigurationRecorder", as("OrgAdmin", "me") + `,"invokedBy":"cloudformation.amazonaws.com"`, "", false},
	} {
		event := `{"source":"aws.` + c.source + `","detail-type":"AWS API Call via CloudTrail","account":"` + c.account + `","detail":{"eventSource":"` + c.source +
			`.amazonaws.com","eventName":"` + c.event + `","readOnly":false,"userIdentity":{` + c.identity + `}` + c.more + `}}`
		if !json.Valid([]byte(event)) {
			t.Fatal(event)
		}
		got := 0
		for _, p := range patterns {
			if p.Match([]byte(event)) {
				got++
			}
		}
		if (got == 1) != c.want || got > 1 {
			t.Errorf("%s begins %d audits, want %v", c.name, got, c.want)
		}
	}
}

func TestWhyTamperingBeginsNoAudit(t *testing.T) {
	for config, want := range map[string]string{
		"alerts: {mode: local, email: [a@example.com]}\n":                                                       "alerts: {mode: central}",
		"alerts: {email: [a@example.com]}\nbaseline: {config-change-alert: false, trail-change-alert: false}\n": "are off",
	} {
		b, err := resolveSmall(t, "aws", config)
		if err != nil {
			t.Fatal(err)
		}
		if _, why := b.tamperWish(); !strings.Contains(why, want) {
			t.Errorf("%s: %q, want %q", config, why, want)
		}
	}
}
