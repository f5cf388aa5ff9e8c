package preview

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

func TestDecodeEvent(t *testing.T) {
	const session = `"sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::300000000001:role/ops/Admin"},"attributes":{"mfaAuthenticated":"true"}}`
	tests := map[string]struct {
		record string
		ok     bool
		typ    scp.PrincipalType
		arn    string // what aws:PrincipalArn held
		action string
		keys   map[string]string // "" for known to be absent
	}{
		"a role's session counts as the role, its path included": {
			`{"eventSource":"config.amazonaws.com","eventName":"StopConfigurationRecorder","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.17","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::300000000001:assumed-role/Admin/alice","accountId":"300000000001",` + session + `}}`,
			true, scp.PrincipalRole, "arn:aws:iam::300000000001:role/ops/Admin", "config:StopConfigurationRecorder",
			map[string]string{"aws:PrincipalArn": "arn:aws:iam::300000000001:role/ops/Admin", "aws:SourceIp": "203.0.113.17", "aws:MultiFactorAuthPresent": "true", "aws:RequestedRegion": "eu-west-1", "aws:ViaAWSService": "false", "aws:SourceVpce": "", "aws:username": ""},
		},
		"a service that calls for somebody has no address of theirs": {
			`{"eventSource":"s3.amazonaws.com","eventName":"HeadBucket","awsRegion":"eu-west-1","sourceIPAddress":"cloudformation.amazonaws.com","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::300000000001:assumed-role/Admin/alice","accountId":"300000000001","invokedBy":"cloudformation.amazonaws.com",` + session + `}}`,
			true, scp.PrincipalRole, "arn:aws:iam::300000000001:role/ops/Admin", "s3:ListBucket",
			map[string]string{"aws:SourceIp": "", "aws:ViaAWSService": "true", "aws:CalledVia": "cloudformation.amazonaws.com"},
		},
		"a call through an endpoint": {
			`{"eventSource":"monitoring.amazonaws.com","eventName":"PutMetricAlarm","awsRegion":"eu-west-1","sourceIPAddress":"10.0.0.4","vpcEndpointId":"vpce-1","userIdentity":{"type":"Root","arn":"arn:aws:iam::300000000001:root","accountId":"300000000001"}}`,
			true, scp.PrincipalRoot, "arn:aws:iam::300000000001:root", "cloudwatch:PutMetricAlarm",
			map[string]string{"aws:SourceVpce": "vpce-1", "aws:VpcSourceIp": "10.0.0.4", "aws:SourceIp": ""},
		},
		"a user with long-term keys has no MFA key at all": {
			`{"eventSource":"lambda.amazonaws.com","eventName":"UpdateFunctionCode20150331v2","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.17","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::300000000001:user/bob","accountId":"300000000001"}}`,
			true, scp.PrincipalUser, "arn:aws:iam::300000000001:user/bob", "lambda:UpdateFunctionCode",
			map[string]string{"aws:MultiFactorAuthPresent": "", "aws:username": "bob"},
		},
		"an AWS service is bound by no policy":    {record: `{"eventSource":"config.amazonaws.com","eventName":"X","userIdentity":{"type":"AWSService","invokedBy":"config.amazonaws.com"}}`},
		"a caller of another account has its own": {record: `{"eventSource":"s3.amazonaws.com","eventName":"PutBucketPolicy","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::300000000002:assumed-role/x/y","accountId":"300000000002",` + session + `}}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e, ok, err := DecodeEvent([]byte(tt.record), shop)
			if err != nil || ok != tt.ok {
				t.Fatalf("%v, %v", ok, err)
			}
			if !ok {
				return
			}
			if e.Type != tt.typ || e.arn() != tt.arn || e.action() != tt.action {
				t.Errorf("got %s %s %s", e.Type, e.arn(), e.action())
			}
			org := testOrg()
			account, _ := org.Account(shop)
			r := e.request(org, account, nil)
			for k, want := range tt.keys {
				got := r.Context[k]
				if want == "" && (got != nil || r.Unknown(k)) || want != "" && !cmp.Equal(got, []string{want}) {
					t.Errorf("%s is %v (unknown: %v), want %q", k, got, r.Unknown(k), want)
				}
			}
			// The call will be made at another time, by a session with other tags.
			for _, k := range []string{"aws:CurrentTime", "aws:PrincipalTag/x", "aws:ResourceTag/x"} {
				if r.Context[k] != nil || !r.Unknown(k) {
					t.Errorf("%s is taken for known", k)
				}
			}
		})
	}
}

func TestActionsAndEventNames(t *testing.T) {
	for action, want := range map[string][]string{
		"config:StopConfigurationRecorder": {"StopConfigurationRecorder"},
		"s3:PutBucketPublicAccessBlock":    {"DeleteBucketPublicAccessBlock", "DeletePublicAccessBlock", "PutBucketPublicAccessBlock", "PutPublicAccessBlock"},
		"lambda:UpdateFunctionCode":        {"UpdateFunctionCode", "UpdateFunctionCode20150331v2"},
	} {
		if diff := cmp.Diff(want, eventNames(action)); diff != "" {
			t.Errorf("%s: %s", action, diff)
		}
	}
	for _, action := range []string{"iam:PassRole", "s3:GetObject", "sqs:SendMessage", "dynamodb:PutItem"} {
		if invisible(action) == "" {
			t.Errorf("%s is expected in the event history", action)
		}
	}
	if invisible("iam:CreateRole") != "" {
		t.Error("iam:CreateRole is not expected in the event history")
	}
}

func TestTheCacheGoesOnWhereItWas(t *testing.T) {
	file := filepath.Join(t.TempDir(), "use", "cache.jsonl")
	x := cell{account: orgs.Account{ID: shop}, region: "eu-west-1"}
	q := query{"EventName", "StopConfigurationRecorder"}
	open := func() *Cache {
		c, err := OpenCache(file, "o-test")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	from := testTime.AddDate(0, 0, -90)
	old, fresh := stopped(shop, "a"), stopped(shop, "b")
	fresh.First, fresh.Last = testTime.Add(-time.Minute), testTime.Add(-time.Minute)
	c := open()
	if at, kept := c.get(x, q, from); !at.Equal(from) || kept != nil {
		t.Errorf("an empty cache gives %v from %s", kept, at)
	}
	if err := c.put(x, q, from, testTime, []Event{old, fresh}); err != nil {
		t.Fatal(err)
	}
	// A crash in the middle of a line loses that line only.
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"org":"o-test","account":"3000`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	// What may still be on its way to CloudTrail is asked for again.
	at, kept := open().get(x, q, from)
	if !at.Equal(testTime.Add(-settled)) {
		t.Errorf("goes on at %s", at)
	}
	if diff := cmp.Diff([]Event{old}, kept); diff != "" {
		t.Error(diff)
	}
	// A window that begins earlier than what is kept has to be read whole.
	if at, kept := open().get(x, q, from.Add(-time.Hour)); !at.Equal(from.Add(-time.Hour)) || kept != nil {
		t.Errorf("an earlier window gives %v from %s", kept, at)
	}
	// Another organization's file says nothing.
	other, err := OpenCache(file, "o-other")
	if err != nil {
		t.Fatal(err)
	}
	if _, kept := other.get(x, q, from); kept != nil {
		t.Error("another organization's events")
	}
	if err := open().put(x, query{"EventName", "B"}, from, testTime, nil); err != nil {
		t.Fatal(err)
	}
	if _, kept := open().get(x, q, from); len(kept) != 1 {
		t.Error("a line after a broken one breaks the file")
	}
}
