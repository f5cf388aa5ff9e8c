package baseline

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
)

// allOn is a baseline with every control on, in a partition.
func allOn(t *testing.T, mode spec.AlertMode, partition string) *Baseline {
	t.Helper()
	region := orgs.PartitionOf("arn:" + partition + ":").GlobalRegion
	cfg := parseConfig(t, "version: 1\nregions: ["+region+"]\nalerts: {mode: "+string(mode)+", email: [a@example.com]"+channels(mode, partition)+"}\n")
	for _, c := range controls {
		cfg.Baseline[c.ID] = spec.Control{Enabled: true}
	}
	b, err := Resolve(cfg, smallOrg(partition), region)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// channels are chat channels of a configuration, where there can be any.
func channels(mode spec.AlertMode, partition string) string {
	if mode != spec.Central || partition != "aws" {
		return ""
	}
	return `, slack: {workspace_id: T0123ABCD, channel_id: C0456EFGH}, teams: {tenant_id: 1a2b3c4d-0000-1111-2222-333344445555, team_id: 1a2b3c4d-0000-1111-2222-333344445556, channel_id: "19%3aab12cd%40thread.tacv2"}`
}

// statements finds the policy statements in a value, however deep.
func statements(v any, found func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		if v["Effect"] != nil && (v["Action"] != nil || v["NotAction"] != nil) {
			found(v)
			return
		}
		for _, k := range sortedKeys(v) {
			statements(v[k], found)
		}
	case []any:
		for _, x := range v {
			statements(x, found)
		}
	}
}

func listOf(v any) []string {
	if list, ok := v.([]any); ok {
		return toStrings(list)
	}
	if v == nil {
		return nil
	}
	return []string{fmt.Sprint(v)}
}

// anyResource are the actions that may have the resource *, each with the reason.
var anyResource = map[string]string{
	"organizations:DescribeAccount": "its role is for nothing else, and accounts have no name to tell them by",
	"ec2:DescribeSecurityGroups":    "describe calls take no resource",
	"kms:*":                         "in a key policy * is the key itself",

	"kms:Decrypt":                         "in a key policy * is the key itself",
	"kms:DescribeKey":                     "in a key policy * is the key itself",
	"kms:GenerateDataKey":                 "in a key policy * is the key itself",
	"kms:GenerateDataKeyWithoutPlaintext": "in a key policy * is the key itself",
}

// Nothing that orgguard deploys can do more than it must, or be used by everybody.
func TestPoliciesInTemplates(t *testing.T) {
	for _, partition := range []string{"aws", "aws-cn", "aws-us-gov"} {
		for _, mode := range []spec.AlertMode{spec.Central, spec.Local} {
			b := allOn(t, mode, partition)
			n := 0
			for _, u := range b.units {
				if u.direct {
					continue
				}
				rs, err := u.resources(b.scope(b.Security, b.Home))
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range rs {
					where := u.ID + " " + r.LogicalID
					statements(r.Props, func(s map[string]any) {
						n++
						if r.Control == "admin-roles" && s["Principal"] == nil {
							return // roles for people, who administer; control_admin_roles.go says what bounds them
						}
						for _, problem := range statementProblems(r, s) {
							t.Errorf("%s, %s: %s", where, s["Sid"], problem)
						}
					})
					text, err := json.Marshal(r.Props)
					if err != nil {
						t.Fatal(err)
					}
					if partition != "aws" && strings.Contains(string(text), "arn:aws:") {
						t.Errorf("%s: an ARN is of partition aws in %s", where, partition)
					}
				}
			}
			if n < 10 {
				t.Errorf("%s, %s: only %d statements were looked at", partition, mode, n)
			}
		}
	}
}

func statementProblems(r Resource, s map[string]any) []string {
	var out []string
	actions, conditions := listOf(s["Action"]), compact(s["Condition"])
	principal := compact(s["Principal"])
	denies := s["Effect"] == "Deny"
	if s["NotAction"] != nil || s["NotResource"] != nil || s["NotPrincipal"] != nil {
		out = append(out, "says what is not meant instead of what is")
	}
	for _, a := range actions {
		if strings.HasSuffix(a, "*") && !denies && (r.Type != "AWS::KMS::Key" || a != "kms:*") {
			out = append(out, "allows "+a)
		}
		reason := anyResource[a]
		if strings.HasPrefix(a, "kms:") && r.Type != "AWS::KMS::Key" {
			reason = ""
		}
		if slices.Contains(listOf(s["Resource"]), "*") && reason == "" && !denies {
			out = append(out, "allows "+a+" on *: narrow it, or say in anyResource why not")
		}
	}
	everybody := principal == `"*"` || principal == `{"AWS":"*"}`
	if everybody && !denies && !strings.Contains(conditions, "aws:PrincipalOrgID") {
		out = append(out, "lets everybody in, without a condition on the organization")
	}
	// A service acts for whoever asks it to: the condition says for whom, or, where a
	// key's policy cannot ask that, for which topic. With a role that has no rights it
	// can do nothing.
	if r.Type == "AWS::IAM::Role" && r.Props["RoleName"] != nil && r.Props["Policies"] == nil && r.Props["ManagedPolicyArns"] == nil {
		return out
	}
	if strings.Contains(principal, `"Service"`) && !denies && !strings.Contains(conditions, "aws:Source") && !strings.Contains(conditions, "kms:EncryptionContext:aws:sns:topicArn") {
		out = append(out, "lets a service in for anybody: want a condition on aws:SourceAccount, SourceArn or SourceOrgID, or on the topic")
	}
	return out
}

func TestWhatAPolicyLintFinds(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    map[string]any
		want int
	}{
		{"all actions", map[string]any{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:x"}, 1},
		{"every resource without a reason", map[string]any{"Effect": "Allow", "Action": []any{"s3:GetObject"}, "Resource": "*"}, 1},
		{"every key", map[string]any{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}, 1},
		{"everybody", map[string]any{"Effect": "Allow", "Action": "sns:Publish", "Resource": "arn:x", "Principal": "*"}, 1},
		{"a service for anybody", map[string]any{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"Service": "x"}}, 1},
		{"everything but", map[string]any{"Effect": "Allow", "NotAction": "s3:*", "Resource": "arn:x"}, 1},
		{"a denial of everybody", map[string]any{"Effect": "Deny", "Action": "s3:*", "Resource": "arn:x", "Principal": "*"}, 0},
	} {
		if got := statementProblems(Resource{Type: "AWS::IAM::Role"}, tt.s); len(got) != tt.want {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

// What orgguard makes is found by its name and its tag.
func TestResourcesAreNamedAndTagged(t *testing.T) {
	tagged := []string{"AWS::IAM::Role", "AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Events::EventBus", "AWS::StepFunctions::StateMachine", "AWS::CloudTrail::Trail", "AWS::Logs::LogGroup", "AWS::CloudWatch::Alarm"}
	for _, mode := range []spec.AlertMode{spec.Central, spec.Local} {
		b := allOn(t, mode, "aws")
		for _, u := range b.units {
			rs, err := u.resources(b.scope(b.Security, b.Home))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rs {
				name := kinds[r.Type].nameProp
				own := slices.ContainsFunc([]string{"Bucket", "Topics", "Queues", "Topic", "TopicArn", "EventBusName", "Endpoint", "ServicePrincipal"}, func(k string) bool { return k == name })
				if name != "" && !own && !strings.Contains(r.str(name), "orgguard") {
					t.Errorf("%s %s is called %q", u.ID, r.LogicalID, r.str(name))
				}
				if slices.Contains(tagged, r.Type) && !strings.Contains(compact(r.Props["Tags"]), `"orgguard"`) {
					t.Errorf("%s %s has no tag orgguard", u.ID, r.LogicalID)
				}
			}
		}
	}
}

func TestTemplatesAreNotTooLong(t *testing.T) {
	for _, mode := range []spec.AlertMode{spec.Central, spec.Local} {
		for _, tmpl := range allOn(t, mode, "aws").Templates() {
			if len(tmpl.Body) > maxTemplate {
				t.Errorf("%s has %d bytes", tmpl.Name, len(tmpl.Body))
			}
		}
	}
	var many []string
	for i := range 600 {
		many = append(many, fmt.Sprintf("somebody-with-a-long-name-%d@example.com", i))
	}
	cfg := parseConfig(t, "version: 1\nregions: [us-east-1]\nalerts: {email: ["+strings.Join(many, ", ")+"]}\n")
	_, err := Resolve(cfg, smallOrg("aws"), "us-east-1")
	var hinted *orgs.Hinted
	if !errors.As(err, &hinted) || !strings.Contains(err.Error(), "CloudFormation takes 51200") {
		t.Errorf("got %v", err)
	}
}
