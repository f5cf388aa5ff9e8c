package scp

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func lintIDs(findings []LintFinding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, f.Rule)
	}
	return out
}

// TestRuleExamples runs the examples of the documentation: a bad one is
// reported by its rule, and a good one has nothing at all to report.
func TestRuleExamples(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rules() {
		t.Run(r.ID, func(t *testing.T) {
			if seen[r.ID] || !regexp.MustCompile(`^SCP[12]\d\d$`).MatchString(r.ID) || (r.ID[3] == '1') != (r.Severity == SeverityError) {
				t.Errorf("bad id %s", r.ID)
			}
			seen[r.ID] = true
			if r.Title == "" || r.Why == "" || r.Fix == "" || !strings.HasPrefix(r.Link, "https://docs.aws.amazon.com/") {
				t.Error("the documentation has gaps")
			}
			bad := LintSource("bad.json", []byte(r.Bad), r.Options)
			i := slices.IndexFunc(bad, func(f LintFinding) bool { return f.Rule == r.ID })
			if i < 0 {
				t.Fatalf("the bad example is not reported: %v", bad)
			}
			if f := bad[i]; f.Line != 1 || f.Column < 1 || f.Message == "" || f.Fix == "" || f.Severity != r.Severity || f.File != "bad.json" {
				t.Errorf("got %+v", f)
			}
			for _, f := range bad {
				if f.Rule != r.ID {
					t.Errorf("the bad example also breaks %s: %s", f.Rule, f.Message)
				}
			}
			options := r.Options
			if r.ID == ruleAttached {
				options.Attached = 10
			}
			if good := LintSource("good.json", []byte(r.Good), options); len(good) > 0 {
				t.Errorf("the good example is reported: %+v", good)
			}
			options = r.Options
			options.Disable = []string{r.ID}
			if slices.Contains(lintIDs(LintSource("bad.json", []byte(r.Bad), options)), r.ID) {
				t.Error("disabling the rule does not silence it")
			}
		})
	}
}

// TestEveryRuleIsDocumented finds rule ids in the sources that have no entry.
func TestEveryRuleIsDocumented(t *testing.T) {
	src, err := os.ReadFile("lintrules.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"(SCP\d\d\d)"`).FindAllStringSubmatch(string(src), -1) {
		if _, ok := ruleByID(m[1]); !ok {
			t.Errorf("%s is not documented", m[1])
		}
	}
}

func TestLintFindsMore(t *testing.T) {
	for name, tc := range map[string]struct {
		src  string
		want string // rule and the start of its message
	}{
		"service slip":            {on(`"Action": "cloudtrial:StopLogging", "Resource": "*"`), `SCP201 no service has the prefix "cloudtrial"`},
		"wildcard that is nobody": {on(`"Action": "s3:Zap*", "Resource": "*"`), `SCP202 no known action matches "s3:Zap*"`},
		"resource not reached":    {on(`"Action": "s3:ListAllMyBuckets", "NotResource": "arn:aws:s3:::x"`), `SCP220 "s3:ListAllMyBuckets" has no resource-level permissions, so NotResource`},
		"stray bits":              {deny(`"IpAddress": {"aws:SourceIp": "203.0.113.9/24"}`), `SCP113 "203.0.113.9/24" has bits set`},
		"bad date":                {deny(`"DateLessThan": {"aws:CurrentTime": "2026-13-01"}`), `SCP113 "2026-13-01" is no date`},
		"bad bool":                {deny(`"Bool": {"aws:SecureTransport": "no"}`), `SCP113 "no" is no boolean`},
		"bad null":                {deny(`"Null": {"aws:PrincipalTag/a": "yes"}`), `SCP113 "yes" is no boolean`},
		"template brace":          {on(`"Action": "s3:PutObject", "Resource": "arn:${Partition}:s3:::x"`), `SCP110 ${Partition} is not a policy variable`},
		"template angle":          {deny(`"IpAddress": {"aws:SourceIp": "<cidr>"}`), `SCP110 "<cidr>" looks like a placeholder`},
		"template curly":          {deny(`"StringEquals": {"aws:PrincipalTag/a": "{{ team }}"}`), `SCP110 "{{ team }}" looks like`},
		"short account":           {on(`"Action": "iam:DeleteRole", "Resource": "arn:aws:iam::12345:role/x"`), `SCP111 the resource "arn:aws:iam::12345:role/x" has an account id of 5 digits`},
		"ARN in condition":        {deny(`"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam:*:role/x"}`), `SCP111 the value "arn:aws:iam:*:role/x" has 5 of the 6 parts`},
		"empty variable":          {on(`"Action": "s3:PutObject", "Resource": "arn:aws:s3:::${}"`), `SCP119 ${} names no key`},
		"unquoted default":        {on(`"Action": "s3:PutObject", "Resource": "arn:aws:s3:::${aws:username, x}"`), `SCP119 the default of`},
		"key slip":                {deny(`"StringEquals": {"aws:PrincipalOrgId2": "o-1"}`), `SCP203 there is no global condition key "aws:PrincipalOrgId2"`},
		"service key slip":        {deny(`"StringEquals": {"s3:x-amz-acll": "private"}`), `SCP203 there is no condition key "s3:x-amz-acll"`},
		"key prefix slip":         {deny(`"StringEquals": {"s33:x-amz-acl": "private"}`), `SCP203 no service has condition keys that begin with "s33":`},
		"date as text":            {deny(`"StringEquals": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}`), `SCP222 StringEquals does not fit aws:CurrentTime`},
		"tag keys escape":         {deny(`"ForAllValues:StringNotEquals": {"aws:TagKeys": ["env"]}`), `SCP207 one listed value`},
		"region by list":          {on(`"Action": ["iam:*", "ec2:*"], "Resource": "*", "Condition": {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}`), `SCP211 calls to iam run in us-east-1`},
		"repeated resource":       {on(`"Action": "s3:PutObject", "Resource": ["arn:aws:s3:::x", "arn:aws:s3:::x"]`), `SCP218 the resource "arn:aws:s3:::x" is listed again`},
		"covered action":          {on(`"Action": ["s3:Put*", "s3:PutObject"], "Resource": "*"`), `SCP218 the action "s3:PutObject" is already covered by "s3:Put*"`},
		"shadowed NotAction":      {wrap(`"Sid": "A", "Effect": "Deny", "NotAction": "iam:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}`, `"Sid": "B", "Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}`), `SCP216 statement "A" already applies`},
		"twins":                   {wrap(`"Sid": "A", "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"`, `"Sid": "B", "Effect": "Deny", "Action": "S3:putobject", "Resource": "*"`), `SCP216 statement "A" already applies`},
		"no values":               {deny(`"StringEquals": {"aws:PrincipalTag/a": []}`), `SCP219 StringEquals of`},
		"empty condition":         {deny(``), `SCP219 the Condition is empty`},
		"no statements":           {`{"Version": "2012-10-17", "Statement": []}`, `SCP219 the policy has no statements`},
	} {
		var got []string
		for _, f := range LintSource("p.json", []byte(tc.src), LintOptions{}) {
			got = append(got, f.Rule+" "+f.Message)
		}
		if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, tc.want) }) {
			t.Errorf("%s: missing %q in %q", name, tc.want, got)
		}
	}
}

func TestLintIsQuietOnGoodPolicies(t *testing.T) {
	for name, src := range map[string]string{
		"full access":     wrap(`"Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "*"`),
		"default policy":  examplePolicy,
		"data perimeter":  on(`"Action": "*", "Resource": "*", "Condition": {"StringNotEqualsIfExists": {"aws:ResourceOrgID": "${aws:PrincipalOrgID}", "aws:PrincipalTag/resource-perimeter-exception": "true"}, "ForAllValues:StringNotEquals": {"aws:CalledVia": ["dataexchange.amazonaws.com"]}}`),
		"break glass":     deny(`"StringNotEquals": {"aws:PrincipalTag/breakglass": "true"}`),
		"user agent":      deny(`"StringEquals": {"aws:UserAgent": "what?"}`),
		"federated key":   deny(`"StringEquals": {"token.actions.githubusercontent.com:sub": "repo:a/b:ref:refs/heads/main"}`),
		"tag of resource": deny(`"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}`),
	} {
		for _, f := range LintSource(name, []byte(src), LintOptions{}) {
			t.Errorf("%s: %s %s", name, f.Rule, f.Message)
		}
	}
}

func TestReference(t *testing.T) {
	ref, err := LoadReference()
	if err != nil {
		t.Fatal(err)
	}
	if len(ref.Services()) < 400 || !regexp.MustCompile(`^\d{4}-\d\d-\d\d$`).MatchString(ref.Date) || ref.Version == "" {
		t.Errorf("%d services of %s", len(ref.Services()), ref.Date)
	}
	if got := ref.Expand("CONFIG:*configurationrecorder"); !slices.Contains(got, "config:StopConfigurationRecorder") || !slices.IsSorted(got) {
		t.Errorf("got %v", got)
	}
	if got := ref.Expand("*"); len(got) < 20000 {
		t.Errorf("%d actions", len(got))
	}
	if got := ref.AccessLevel("config:StopConfigurationRecorder"); got != "Write" {
		t.Errorf("got %q", got)
	}
	if got := ref.ResourceARNs("config:StopConfigurationRecorder"); len(got) != 1 || !strings.Contains(got[0], ":configuration-recorder/") {
		t.Errorf("got %v", got)
	}
	if len(ref.ResourceARNs("s3:ListAllMyBuckets")) != 0 || len(ref.Actions("config")) < 80 || ref.Actions("nosuch") != nil {
		t.Error("actions or resources are wrong")
	}
	for key, want := range map[string]string{"aws:TagKeys": "ArrayOfString", "aws:principaltag/x": "String", "AWS:SourceIP": "IPAddress", "s3:max-keys": "Numeric", "kms:EncryptionContext:x": "String", "nosuch:key": "", "aws:nosuch": ""} {
		if got := ref.keyType(key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}
