package baseline

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs/spec"
)

// atRest are the properties by which a resource type in which data rests gets a KMS
// key; the types of our templates in which none does have no property.
var atRest = map[string][]string{
	"AWS::SNS::Topic":                  {"KmsMasterKeyId"},
	"AWS::SQS::Queue":                  {"KmsMasterKeyId"},
	"AWS::S3::Bucket":                  {"BucketEncryption", "ServerSideEncryptionConfiguration", "ServerSideEncryptionByDefault", "KMSMasterKeyID"},
	"AWS::Logs::LogGroup":              {"KmsKeyId"},
	"AWS::CloudTrail::Trail":           {"KMSKeyId"},
	"AWS::Events::EventBus":            {"KmsKeyIdentifier"},
	"AWS::StepFunctions::StateMachine": {"EncryptionConfiguration", "KmsKeyId"},
	"AWS::Lambda::Function":            {"KmsKeyArn"},
	"AWS::Config::DeliveryChannel":     {"S3KmsKeyArn"},
	"AWS::Scheduler::Schedule":         {"KmsKeyArn"},

	"AWS::Chatbot::MicrosoftTeamsChannelConfiguration": nil,
	"AWS::Chatbot::SlackChannelConfiguration":          nil,
	"AWS::CloudWatch::Alarm":                           nil,
	"AWS::Config::ConfigRule":                          nil,
	"AWS::Config::ConfigurationRecorder":               nil,
	"AWS::Config::ConformancePack":                     nil,
	"AWS::Config::RemediationConfiguration":            nil,
	"AWS::Events::EventBusPolicy":                      nil,
	"AWS::Events::Rule":                                nil,
	"AWS::IAM::ManagedPolicy":                          nil,
	"AWS::IAM::Role":                                   nil,
	"AWS::KMS::Alias":                                  nil,
	"AWS::KMS::Key":                                    nil,
	"AWS::Logs::MetricFilter":                          nil,
	"AWS::S3::BucketPolicy":                            nil,
	"AWS::SNS::Subscription":                           nil,
	"AWS::SNS::TopicPolicy":                            nil,
	"AWS::SQS::QueuePolicy":                            nil,
}

// withoutKey is why something in which data rests has no KMS key of orgguard's, by
// logical id in the templates of the baseline and by type in those of the scheduled
// audit. What the services do by themselves is encryption too, with keys of theirs.
var withoutKey = map[string]string{
	"LogBucket":         "SSE-S3: every account's AWS Config writes there and auditors of several teams read it; a key would have to let in each of them, and costs a request for each of the files of thousands of accounts",
	"DeliveryChannel":   "as its bucket",
	"TrailBucket":       "the trail names its key for what it delivers; SSE-S3 is for what else gets there",
	"DeadLetters":       "SSE-SQS: EventBridge could not write there with the key that AWS manages for SQS, and with no letter in it there is nothing to protect",
	"AlertBus":          "a key that EventBridge owns: a bus hands events on and keeps none, for there is no archive",
	"AlertStateMachine": "a key that Step Functions owns: Express without a log keeps nothing of an execution",
	"ChatStateMachine":  "a key that Step Functions owns: Express without a log keeps nothing of an execution",

	"AWS::S3::Bucket":                  "SSE-S3: reports, which people get by presigned links and mail",
	"AWS::SNS::Topic":                  "what SNS does by itself: it says that an audit failed, and no more",
	"AWS::SQS::Queue":                  "SSE-SQS: events that say that an account joined, or a run that failed",
	"AWS::Logs::LogGroup":              "a key that CloudWatch Logs owns: progress, without findings",
	"AWS::Events::EventBus":            "a key that EventBridge owns: it keeps no events",
	"AWS::StepFunctions::StateMachine": "a key that Step Functions owns: shard numbers and where the reports are",
	"AWS::Lambda::Function":            "a key that Lambda owns: its environment holds names, no secrets",
	"AWS::Scheduler::Schedule":         "a key that the scheduler owns: its input is the command line",
}

// hasKey says whether a resource names a KMS key in the property.
func hasKey(resource *yaml.Node, path []string) bool {
	n := get(resource, "Properties")
	for _, key := range path {
		if n != nil && n.Kind == yaml.SequenceNode && len(n.Content) == 1 {
			n = n.Content[0]
		}
		if n == nil || n.Kind != yaml.MappingNode {
			return false
		}
		n = get(n, key)
	}
	return n != nil
}

// Whatever is turned on, data that rests does so under a KMS key, or there is a reason
// why not.
func TestWhatRestsIsEncrypted(t *testing.T) {
	used, keys := map[string]bool{}, 0
	look := func(t *testing.T, file string, src []byte, name func(id, typ string) string) {
		t.Helper()
		tmpl, err := parseTemplate(file, src)
		if err != nil {
			t.Fatal(err)
		}
		resources := get(tmpl.root, "Resources")
		if resources == nil {
			return // an OU of nothing
		}
		for i := 0; i+1 < len(resources.Content); i += 2 {
			id, body := resources.Content[i].Value, resources.Content[i+1]
			typ := get(body, "Type").Value
			path, known := atRest[typ]
			if !known && name("", typ) == "" {
				t.Errorf("%s: %s is a %s: does data rest in it?", file, id, typ)
			}
			switch {
			case path == nil:
			case hasKey(body, path):
				keys++
			case withoutKey[name(id, typ)] == "":
				t.Errorf("%s: data rests in %s (%s) without a KMS key, and nobody says why", file, id, typ)
			default:
				used[name(id, typ)] = true
			}
		}
	}
	byID := func(id, _ string) string { return id }
	for _, partition := range []string{"aws", "aws-cn"} {
		for _, mode := range []spec.AlertMode{spec.Central, spec.Local} {
			for _, tmpl := range allOn(t, mode, partition).Templates() {
				look(t, tmpl.Name, []byte(tmpl.Body), byID)
			}
		}
	}
	for _, c := range controls {
		cfg := parseConfig(t, "version: 1\nregions: [us-east-1]\n")
		if tmpl, err := SingleAccount(cfg, smallOrg("aws"), c.ID, "us-east-1"); err == nil {
			look(t, tmpl.Name, []byte(tmpl.Body), byID)
		}
	}
	files, err := filepath.Glob("schedule/testdata/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("templates of the scheduled audit: %v, %v", files, err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(src), "AWSTemplateFormatVersion") {
			look(t, file, src, func(_, typ string) string { return typ })
		}
	}
	if keys < 6 {
		t.Errorf("only %d resources with a key were met", keys)
	}
	for _, name := range sortedKeys(withoutKey) {
		if !used[name] {
			t.Errorf("%s needs no reason: it is not there, or has a key", name)
		}
	}
	for _, b := range []string{"LogBucket", "TrailBucket"} {
		if !slices.ContainsFunc(bucketsWithSSE(t), func(id string) bool { return id == b }) {
			t.Errorf("%s is said to have SSE-S3, and does not ask for it", b)
		}
	}
}

// bucketsWithSSE are the buckets of the baseline that ask for SSE-S3.
func bucketsWithSSE(t *testing.T) []string {
	t.Helper()
	var out []string
	b := allOn(t, spec.Central, "aws")
	for _, u := range b.units {
		rs, err := u.resources(b.scope(b.Security, b.Home))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if r.Type == "AWS::S3::Bucket" && strings.Contains(compact(r.Props["BucketEncryption"]), `"SSEAlgorithm":"AES256"`) {
				out = append(out, r.LogicalID)
			}
		}
	}
	return out
}

// EventBridge may encrypt for the one topic and for nothing else, and its policy says
// nothing that AWS does not support there.
func TestTheKeyOfALocalTopic(t *testing.T) {
	for _, partition := range []string{"aws", "aws-cn", "aws-us-gov"} {
		b := allOn(t, spec.Local, partition)
		u := b.units[slices.IndexFunc(b.units, func(c *composed) bool { return c.ID == "topic" })]
		rs, err := u.resources(b.scope(shopProd, b.Home))
		if err != nil {
			t.Fatal(err)
		}
		key := rs[slices.IndexFunc(rs, func(r Resource) bool { return r.LogicalID == "AlertKey" })]
		topic := rs[slices.IndexFunc(rs, func(r Resource) bool { return r.LogicalID == "AlertTopic" })]
		if topic.str("KmsMasterKeyId") != key.keyAlias() {
			t.Errorf("%s: the topic's key is %q", partition, topic.str("KmsMasterKeyId"))
		}
		services := 0
		statements(key.Props["KeyPolicy"], func(s map[string]any) {
			if strings.Contains(compact(s["Principal"]), `"Service"`) {
				services++
				want := `{"StringEquals":{"kms:EncryptionContext:aws:sns:topicArn":"arn:` + partition + `:sns:` + b.Home + `:` + shopProd + `:orgguard-alerts"}}`
				if got := compact(s["Condition"]); got != want || compact(s["Action"]) != `["kms:GenerateDataKey","kms:Decrypt"]` {
					t.Errorf("%s: %s under %s", partition, compact(s["Action"]), got)
				}
			}
		})
		if services != 1 {
			t.Errorf("%s: %d services may use the key", partition, services)
		}
	}
}

func TestEncryptOfTheAlertTopic(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		keys         int // in one account × Region
		note, err    string
	}{
		{"local alerts have a key by default, and the plan says what that costs", "alerts: {mode: local}\n", 1, "USD 1 a month each", ""},
		{"whoever wants it is not told again", "alerts: {mode: local}\nbaseline: {alert-topic: {encrypt: true}}\n", 1, "", ""},
		{"without", "alerts: {mode: local}\nbaseline: {alert-topic: {encrypt: false}}\n", 0, "", ""},
		{"an override", "alerts: {mode: local}\nbaseline: {alert-topic: {encrypt: true}}\noverrides: [{account: security, reason: cheap, baseline: {alert-topic: {encrypt: false}}}]\n", 0, "", ""},
		{"central alerts have theirs", "alerts: {mode: central}\nbaseline: {alert-topic: {encrypt: false}}\n", 0, "", "encrypt: false is for local alerts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := resolveSmall(t, "aws", tt.config)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v; want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			u := b.units[slices.IndexFunc(b.units, func(c *composed) bool { return c.ID == "topic" })]
			rs, err := u.resources(b.scope(securityAccount, b.Home))
			if err != nil {
				t.Fatal(err)
			}
			keys := slices.DeleteFunc(slices.Clone(rs), func(r Resource) bool { return r.Type != "AWS::KMS::Key" })
			topic := rs[slices.IndexFunc(rs, func(r Resource) bool { return r.LogicalID == "AlertTopic" })]
			if len(keys) != tt.keys || (topic.str("KmsMasterKeyId") != "") != (tt.keys == 1) {
				t.Errorf("%d keys, and the topic has %q", len(keys), topic.str("KmsMasterKeyId"))
			}
			if notes := strings.Join(b.Notes, "\n"); strings.Contains(notes, "KMS key") != (tt.note != "") || !strings.Contains(notes, tt.note) {
				t.Errorf("notes: %s", notes)
			}
		})
	}
}
