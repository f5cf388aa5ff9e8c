package baseline

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/sim"
)

// securityAccount is where fixtures live; it is one of the demo organization.
const securityAccount = "200000000001"

// kindScope is where the fixtures' templates are evaluated.
func kindScope(region string) scope {
	return scope{
		account: securityAccount, region: region, partition: "aws", suffix: "amazonaws.com",
		params: map[string]string{
			"OrganizationId": "o-demo0guard", "ManagementAccountId": "100000000001", "SecurityAccountId": securityAccount,
			"LogBucketName": "orgguard-logs-test", "GlobalTypesRegion": "us-east-1",
			"AlertBusArn": "arn:aws:events:us-east-1:" + securityAccount + ":event-bus/orgguard-alerts", "AlertTopicEncrypted": "false",
		},
	}
}

// templateResource is one resource of a real template, evaluated.
func templateResource(t *testing.T, file, logicalID, region string) Resource {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("templates", file))
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := parseTemplate(file, src)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := tmpl.resources(kindScope(region))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(rs, func(r Resource) bool { return r.LogicalID == logicalID })
	if i < 0 {
		t.Fatalf("%s has no resource %s", file, logicalID)
	}
	return rs[i]
}

// compareCase is one state of a resource and what there is to say about it.
type compareCase struct {
	name  string
	state any
	want  []Mismatch
}

func testCompare(t *testing.T, r Resource, cases []compareCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, kinds[r.Type].compare(r, c.state)); diff != "" {
				t.Errorf("mismatches (-want +got):\n%s", diff)
			}
		})
	}
}

// simSite is the security account in a Region of a simulated organization.
func simSite(t *testing.T, region string) site {
	t.Helper()
	spec, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	w, err := sim.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := access.New(t.Context(), w.ManagementConfig(region), access.Options{Role: "OrganizationAccountAccessRole", NoRateLimits: true})
	if err != nil {
		t.Fatal(err)
	}
	return site{Pool: pool, at: pool.In(orgs.PartitionOf(region), securityAccount, region)}
}

// tampering is what somebody does to a resource, and the reasons it is found by.
type tampering struct {
	name   string
	tamper func(t *testing.T, s site) error
	want   []string
	gone   bool // the resource does not exist afterwards
}

// testLifecycle repairs a resource from nothing, and again after each tampering.
func testLifecycle(t *testing.T, s site, r Resource, cases []tampering) {
	t.Helper()
	k := kinds[r.Type]
	state, err := k.observe(t.Context(), s, r)
	if state != nil || err != nil {
		t.Fatalf("observe before there is anything = %v, %v; want nothing", state, err)
	}
	mustRepair(t, s, r)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := c.tamper(t, s); err != nil {
				t.Fatal(err)
			}
			state, err := k.observe(t.Context(), s, r)
			if err != nil {
				t.Fatal(err)
			}
			if gone := state == nil; gone != c.gone {
				t.Fatalf("observe = %v; gone should be %v", state, c.gone)
			}
			if !c.gone {
				if diff := cmp.Diff(c.want, reasons(k.compare(r, state))); diff != "" {
					t.Errorf("reasons (-want +got):\n%s", diff)
				}
			}
			mustRepair(t, s, r)
		})
	}
}

func reasons(ms []Mismatch) []string {
	var out []string
	for _, m := range ms {
		out = append(out, m.Reason)
	}
	return out
}

// mustRepair repairs a resource, twice, and expects that nothing differs then.
func mustRepair(t *testing.T, s site, rs ...Resource) {
	t.Helper()
	for _, r := range rs {
		k := kinds[r.Type]
		for range 2 {
			state, err := k.observe(t.Context(), s, r)
			if err != nil {
				t.Fatalf("observe %s: %v", r.label(), err)
			}
			if err := k.repair(t.Context(), s, r, state); err != nil {
				t.Fatalf("repair %s: %v", r.label(), err)
			}
		}
		state, err := k.observe(t.Context(), s, r)
		if state == nil || err != nil {
			t.Fatalf("observe %s after repair = %v, %v", r.label(), state, err)
		}
		if ms := k.compare(r, state); len(ms) > 0 {
			t.Fatalf("%s after repair: %+v", r.label(), ms)
		}
	}
}

// TestTemplatesUseOnlyPropertiesThatKindsLookAt keeps a new template from asking
// for something that the audit would not notice missing.
func TestTemplatesUseOnlyPropertiesThatKindsLookAt(t *testing.T) {
	looked := map[string]string{ // in brackets: set when the resource is made, and nobody's business later
		"AWS::Events::EventBus":            "Name [Tags]",
		"AWS::Events::EventBusPolicy":      "EventBusName StatementId Statement",
		"AWS::SNS::Topic":                  "TopicName DisplayName KmsMasterKeyId [Tags]",
		"AWS::SNS::TopicPolicy":            "Topics PolicyDocument",
		"AWS::SNS::Subscription":           "TopicArn Protocol Endpoint",
		"AWS::SQS::Queue":                  "QueueName MessageRetentionPeriod SqsManagedSseEnabled [Tags]",
		"AWS::SQS::QueuePolicy":            "Queues PolicyDocument",
		"AWS::S3::Bucket":                  "BucketName BucketEncryption VersioningConfiguration OwnershipControls PublicAccessBlockConfiguration [Tags]",
		"AWS::S3::BucketPolicy":            "Bucket PolicyDocument",
		"AWS::IAM::Role":                   "RoleName AssumeRolePolicyDocument ManagedPolicyArns MaxSessionDuration PermissionsBoundary Policies [Description] [Tags]",
		"AWS::KMS::Key":                    "KeyPolicy EnableKeyRotation [Description] [Tags]",
		"AWS::KMS::Alias":                  "AliasName TargetKeyId",
		"AWS::StepFunctions::StateMachine": "StateMachineName StateMachineType RoleArn DefinitionString [Tags]",
		"AWS::CloudTrail::Trail": "TrailName IsLogging IsOrganizationTrail IsMultiRegionTrail IncludeGlobalServiceEvents EnableLogFileValidation S3BucketName KMSKeyId " +
			"CloudWatchLogsLogGroupArn EventSelectors [CloudWatchLogsRoleArn] [Tags]",
		"AWS::Logs::LogGroup":     "KmsKeyId LogGroupName RetentionInDays [Tags]",
		"AWS::Logs::MetricFilter": "FilterName LogGroupName FilterPattern MetricTransformations",
		"AWS::CloudWatch::Alarm":  "AlarmName ActionsEnabled ComparisonOperator Threshold EvaluationPeriods TreatMissingData Metrics [AlarmDescription] [DatapointsToAlarm] [Tags]",
	}
	files, err := filepath.Glob("templates/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := parseTemplate(file, src)
		if err != nil {
			t.Fatal(err)
		}
		resources := get(tmpl.root, "Resources")
		for i := 0; i+1 < len(resources.Content); i += 2 {
			id, body := resources.Content[i].Value, resources.Content[i+1]
			typ, props := get(body, "Type").Value, get(body, "Properties")
			known := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(looked[typ]))
			if len(known) == 0 {
				continue // another kind's test
			}
			for j := 0; j+1 < len(props.Content); j += 2 {
				if p := props.Content[j].Value; !slices.Contains(known, p) {
					t.Errorf("%s: %s has %s, at which the kind of %s does not look", file, id, p, typ)
				}
			}
			switch typ {
			case "AWS::KMS::Key":
				if keys[id] = true; keyAliases[id] == "" {
					t.Errorf("%s: key %s: there is no alias to find it by", file, id)
				}
			case "AWS::KMS::Alias":
				if name, of := get(props, "AliasName").Value, get(props, "TargetKeyId").Value; name != keyAliases[of] {
					t.Errorf("%s: alias %s: key %s is found by %s", file, name, of, keyAliases[of])
				}
			}
		}
	}
	if len(keys) != len(keyAliases) {
		t.Errorf("the templates have the keys %v; want those of %v", slices.Sorted(maps.Keys(keys)), keyAliases)
	}
}
