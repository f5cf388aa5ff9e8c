package sim

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	configtypes "github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// deploy creates a stack as an account's administrator and returns it.
func deploy(ctx context.Context, t *testing.T, w *World, account, name string, body *string, change ...func(*cloudformation.CreateStackInput)) types.Stack {
	t.Helper()
	in := &cloudformation.CreateStackInput{StackName: &name, TemplateBody: body, Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam}}
	for _, f := range change {
		f(in)
	}
	c := cfnAdmin(w, account)
	if _, err := c.CreateStack(ctx, in); err != nil {
		t.Fatal(err)
	}
	return stackNow(ctx, t, c, name)
}

// failures is a stack's failed events as "logical id STATUS reason", oldest first.
func failures(ctx context.Context, t *testing.T, c *cloudformation.Client, name string) []string {
	t.Helper()
	out, err := c.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: &name})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range out.StackEvents {
		if strings.HasSuffix(string(e.ResourceStatus), "_FAILED") {
			list = append(list, *e.LogicalResourceId+" "+string(e.ResourceStatus)+" "+aws.ToString(e.ResourceStatusReason))
		}
	}
	slices.Reverse(list)
	return list
}

// statusesOf is the status of every resource of a stack.
func statusesOf(ctx context.Context, t *testing.T, c *cloudformation.Client, name string) map[string]string {
	t.Helper()
	out, err := c.DescribeStackResources(ctx, &cloudformation.DescribeStackResourcesInput{StackName: &name})
	if err != nil {
		t.Fatal(err)
	}
	statuses := map[string]string{}
	for _, r := range out.StackResources {
		statuses[*r.LogicalResourceId] = string(r.ResourceStatus)
	}
	return statuses
}

// recorders is "name recording=..." of each recorder of an account.
func recorders(ctx context.Context, t *testing.T, w *World, account string) []string {
	t.Helper()
	c := configservice.NewFromConfig(w.Config(cfnRegion, w.RolePrincipal(account, "Admin", "test")))
	out, err := c.DescribeConfigurationRecorderStatus(ctx, &configservice.DescribeConfigurationRecorderStatusInput{})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, r := range out.ConfigurationRecordersStatus {
		state := " stopped"
		if r.Recording {
			state = " recording"
		}
		list = append(list, *r.Name+state)
	}
	return list
}

func TestStackDeploysTheBaseline(t *testing.T) {
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	c := cfnAdmin(w, cfnAccount)
	s := deploy(ctx, t, w, cfnAccount, "baseline", cfnFile(t, "baseline.yaml"), func(in *cloudformation.CreateStackInput) {
		in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("security")}}
	})
	if s.StackStatus != types.StackStatusCreateComplete {
		t.Fatalf("%s: %q", s.StackStatus, failures(ctx, t, c, "baseline"))
	}
	if diff := cmp.Diff([]string{"guard recording"}, recorders(ctx, t, w, cfnAccount)); diff != "" {
		t.Error(diff)
	}
	cfg := w.Config(cfnRegion, w.RolePrincipal(cfnAccount, "Admin", "test"))
	targets, err := eventbridge.NewFromConfig(cfg).ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: aws.String("guard-config-change")})
	if err != nil {
		t.Fatal(err)
	}
	target := targets.Targets[0]
	if target.RetryPolicy == nil || *target.RetryPolicy.MaximumRetryAttempts != 10 || target.DeadLetterConfig == nil || *target.InputTransformer.InputTemplate != `"<event> was called"` {
		t.Errorf("the target lost something: %+v", target)
	}
	tags, err := sns.NewFromConfig(cfg).ListTagsForResource(ctx, &sns.ListTagsForResourceInput{ResourceArn: aws.String(outputsOf(s)["Topic"])})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, tag := range tags.Tags {
		got[*tag.Key] = *tag.Value
	}
	want := map[string]string{
		"owner": "security", "team": "security", "aws:cloudformation:stack-name": "baseline",
		"aws:cloudformation:stack-id": *s.StackId, "aws:cloudformation:logical-id": "Topic",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	t.Run("an update without changes is refused", func(t *testing.T) {
		_, err := c.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: aws.String("baseline"), UsePreviousTemplate: aws.Bool(true), Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam}})
		if diff := cmp.Diff("ValidationError: No updates are to be performed.", codeAndText(err)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an update changes in place and replaces what is renamed", func(t *testing.T) {
		_, err := c.UpdateStack(ctx, &cloudformation.UpdateStackInput{
			StackName: aws.String("baseline"), UsePreviousTemplate: aws.Bool(true), Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam},
			Parameters: []types.Parameter{{ParameterKey: aws.String("Prefix"), ParameterValue: aws.String("shield")}, {ParameterKey: aws.String("Frequency"), ParameterValue: aws.String("One_Hour")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		s := stackNow(ctx, t, c, "baseline")
		if s.StackStatus != types.StackStatusUpdateComplete {
			t.Fatalf("%s: %q", s.StackStatus, failures(ctx, t, c, "baseline"))
		}
		if got := outputsOf(s)["Topic"]; !strings.HasSuffix(got, ":shield-alerts") {
			t.Errorf("the topic is %s", got)
		}
		topics, err := sns.NewFromConfig(cfg).ListTopics(ctx, &sns.ListTopicsInput{})
		if err != nil || len(topics.Topics) != 1 {
			t.Errorf("the replaced topic is still there: %v, %v", topics.Topics, err)
		}
		rules, err := eventbridge.NewFromConfig(cfg).ListRules(ctx, &eventbridge.ListRulesInput{})
		if err != nil || len(rules.Rules) != 1 || *rules.Rules[0].Name != "shield-config-change" {
			t.Errorf("rules: %v, %v", rules.Rules, err)
		}
		channels, err := configservice.NewFromConfig(cfg).DescribeDeliveryChannels(ctx, &configservice.DescribeDeliveryChannelsInput{})
		if err != nil || channels.DeliveryChannels[0].ConfigSnapshotDeliveryProperties.DeliveryFrequency != configtypes.MaximumExecutionFrequencyOneHour {
			t.Errorf("channels: %v, %v", channels, err)
		}
	})
	t.Run("termination protection keeps it", func(t *testing.T) {
		protect := func(on bool) {
			if _, err := c.UpdateTerminationProtection(ctx, &cloudformation.UpdateTerminationProtectionInput{StackName: aws.String("baseline"), EnableTerminationProtection: &on}); err != nil {
				t.Fatal(err)
			}
		}
		protect(true)
		_, err := c.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: aws.String("baseline")})
		if diff := cmp.Diff("ValidationError: Stack [baseline] cannot be deleted while TerminationProtection is enabled", codeAndText(err)); diff != "" {
			t.Error(diff)
		}
		protect(false)
	})
	t.Run("deleting it stops and deletes the recorder", func(t *testing.T) {
		if _, err := c.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: aws.String("baseline")}); err != nil {
			t.Fatal(err)
		}
		if s := stackNow(ctx, t, c, *s.StackId); s.StackStatus != types.StackStatusDeleteComplete {
			t.Fatalf("%s: %q", s.StackStatus, failures(ctx, t, c, *s.StackId))
		}
		_, err := c.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String("baseline")})
		if diff := cmp.Diff("ValidationError: Stack with id baseline does not exist", codeAndText(err)); diff != "" {
			t.Error(diff)
		}
		if left := recorders(ctx, t, w, cfnAccount); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestConfigPair(t *testing.T) {
	const template = `
Resources:
  Recorder: {Type: AWS::Config::ConfigurationRecorder%s, Properties: {RoleARN: !Sub "arn:aws:iam::${AWS::AccountId}:role/Admin"}}
  Channel: {Type: AWS::Config::DeliveryChannel%s, Properties: {S3BucketName: !Ref Bucket}}
  Bucket: {Type: AWS::S3::Bucket}
`
	build := func(recorder, channel string) *string {
		body := strings.Replace(strings.Replace(template, "%s", recorder, 1), "%s", channel, 1)
		return &body
	}
	tests := map[string]struct {
		account, recorder, channel string
		failed                     string // prefix of the first failure's reason
	}{
		"the channel waiting for the recorder never gets one that runs": {
			account: cfnAccount, channel: ", DependsOn: Recorder",
			failed: "Recorder CREATE_FAILED", // NoAvailableDeliveryChannelException
		},
		"the recorder waiting for the channel never gets a channel": {
			account: cfnAccount, recorder: ", DependsOn: Channel",
			failed: "Channel CREATE_FAILED",
		},
		"a recorder that is there already": {account: legacyLab, failed: "Recorder CREATE_FAILED"},
	}
	codes := map[string]string{
		"the channel waiting for the recorder never gets one that runs": "NoAvailableDeliveryChannelException",
		"the recorder waiting for the channel never gets a channel":     "NoAvailableConfigurationRecorderException",
		"a recorder that is there already":                              "MaxNumberOfConfigurationRecordersExceededException",
	}
	ctx := t.Context()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newTestWorld(t, "demo")
			before := recorders(ctx, t, w, tt.account)
			// The demo's roles do not trust AWS Config; AWS looks at that.
			trustConfig(w, tt.account)
			s := deploy(ctx, t, w, tt.account, "pair", build(tt.recorder, tt.channel))
			if s.StackStatus != types.StackStatusRollbackComplete {
				t.Errorf("status %s", s.StackStatus)
			}
			failed := failures(ctx, t, cfnAdmin(w, tt.account), "pair")
			if len(failed) == 0 || !strings.HasPrefix(failed[0], tt.failed) || !strings.Contains(failed[0], "Error Code: "+codes[name]) {
				t.Errorf("failures: %q", failed)
			}
			if diff := cmp.Diff(before, recorders(ctx, t, w, tt.account)); diff != "" {
				t.Errorf("the rollback left something: %s", diff)
			}
		})
	}
}

// trustConfig lets AWS Config assume an account's Admin role.
func trustConfig(w *World, account string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.account(account).IAM.Roles["Admin"].Trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"config.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
}

const twoTopics = `
Parameters: {Name: {Type: String, Default: second}}
Resources:
  First: {Type: AWS::SNS::Topic, Properties: {TopicName: first, DisplayName: !Ref Name}}
  Second: {Type: AWS::SNS::Topic, DependsOn: First, Properties: {TopicName: !Ref Name}}
`

func TestFailedResourceRollsBack(t *testing.T) {
	ctx := t.Context()
	setUp := func(t *testing.T) (*World, *cloudformation.Client, *sns.Client) {
		w := newTestWorld(t, "demo")
		topics := sns.NewFromConfig(w.Config(cfnRegion, w.RolePrincipal(cfnAccount, "Admin", "test")))
		if _, err := topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("second")}); err != nil {
			t.Fatal(err)
		}
		return w, cfnAdmin(w, cfnAccount), topics
	}
	t.Run("creation: what was made is deleted", func(t *testing.T) {
		w, c, topics := setUp(t)
		s := deploy(ctx, t, w, cfnAccount, "two", aws.String(twoTopics))
		if s.StackStatus != types.StackStatusRollbackComplete {
			t.Errorf("%s", s.StackStatus)
		}
		if diff := cmp.Diff(map[string]string{"First": "DELETE_COMPLETE", "Second": "DELETE_COMPLETE"}, statusesOf(ctx, t, c, "two")); diff != "" {
			t.Error(diff)
		}
		want := []string{"Second CREATE_FAILED Resource of type 'AWS::SNS::Topic' with identifier 'second' already exists."}
		if diff := cmp.Diff(want, failures(ctx, t, c, "two")); diff != "" {
			t.Error(diff)
		}
		if out, _ := topics.ListTopics(ctx, &sns.ListTopicsInput{}); len(out.Topics) != 1 {
			t.Errorf("topics left: %v", out.Topics)
		}
		_, err := c.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: aws.String("two"), UsePreviousTemplate: aws.Bool(true)})
		if got := codeAndText(err); !strings.HasSuffix(got, "is in ROLLBACK_COMPLETE state and can not be updated.") {
			t.Error(got)
		}
	})
	t.Run("creation: kept when rollback is disabled", func(t *testing.T) {
		w, c, _ := setUp(t)
		s := deploy(ctx, t, w, cfnAccount, "two", aws.String(twoTopics), func(in *cloudformation.CreateStackInput) { in.OnFailure = types.OnFailureDoNothing })
		if s.StackStatus != types.StackStatusCreateFailed {
			t.Errorf("%s", s.StackStatus)
		}
		if diff := cmp.Diff(map[string]string{"First": "CREATE_COMPLETE", "Second": "CREATE_FAILED"}, statusesOf(ctx, t, c, "two")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("update: what was changed is changed back", func(t *testing.T) {
		w, c, topics := setUp(t)
		third := []types.Parameter{{ParameterKey: aws.String("Name"), ParameterValue: aws.String("third")}}
		s := deploy(ctx, t, w, cfnAccount, "two", aws.String(twoTopics), func(in *cloudformation.CreateStackInput) { in.Parameters = third })
		if s.StackStatus != types.StackStatusCreateComplete {
			t.Fatalf("%s", s.StackStatus)
		}
		if _, err := c.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: aws.String("two"), UsePreviousTemplate: aws.Bool(true)}); err != nil {
			t.Fatal(err)
		}
		s = stackNow(ctx, t, c, "two")
		if s.StackStatus != types.StackStatusUpdateRollbackComplete {
			t.Errorf("%s: %q", s.StackStatus, failures(ctx, t, c, "two"))
		}
		if diff := cmp.Diff(third, s.Parameters, cmpopts.IgnoreUnexported(types.Parameter{})); diff != "" {
			t.Error(diff)
		}
		first, err := topics.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String("arn:aws:sns:ap-northeast-1:500000000001:first")})
		if err != nil || first.Attributes["DisplayName"] != "third" {
			t.Errorf("%v, %v", first, err)
		}
		if out, _ := topics.ListTopics(ctx, &sns.ListTopicsInput{}); len(out.Topics) != 3 {
			t.Errorf("topics: %v", out.Topics)
		}
	})
	t.Run("a rollback that an SCP refuses is ROLLBACK_FAILED", func(t *testing.T) {
		w, c, _ := setUp(t)
		org := orgClient(w)
		if err := enableSCPs(ctx, org); err != nil {
			t.Fatal(err)
		}
		p := createSCP(ctx, org, "no-delete", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"sns:DeleteTopic","Resource":"*"}]}`)
		if err := attachTo(ctx, org, p.id, cfnAccount); err != nil {
			t.Fatal(err)
		}
		s := deploy(ctx, t, w, cfnAccount, "two", aws.String(twoTopics))
		if want := "The following resource(s) failed to delete: [First]. "; s.StackStatus != types.StackStatusRollbackFailed || aws.ToString(s.StackStatusReason) != want {
			t.Errorf("%s: %s", s.StackStatus, aws.ToString(s.StackStatusReason))
		}
		failed := failures(ctx, t, c, "two")
		if last := failed[len(failed)-2]; !strings.Contains(last, "with an explicit deny in a service control policy") || !strings.Contains(last, "HandlerErrorCode: AccessDenied") {
			t.Errorf("failures: %q", failed)
		}
	})
}

func TestDeletionPolicyRetains(t *testing.T) {
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	c := cfnAdmin(w, cfnAccount)
	body := "Resources:\n  Kept: {Type: AWS::SNS::Topic, DeletionPolicy: Retain}\n  Gone: {Type: AWS::SNS::Topic}\n"
	s := deploy(ctx, t, w, cfnAccount, "keep", &body)
	if _, err := c.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: s.StackId}); err != nil {
		t.Fatal(err)
	}
	topics := sns.NewFromConfig(w.Config(cfnRegion, w.RolePrincipal(cfnAccount, "Admin", "test")))
	out, err := topics.ListTopics(ctx, &sns.ListTopicsInput{})
	if err != nil || len(out.Topics) != 1 || !strings.Contains(*out.Topics[0].TopicArn, ":keep-Kept-") {
		t.Errorf("%v, %v", out.Topics, err)
	}
}

func TestStackTakesItsTime(t *testing.T) {
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	w.SetClock(func() time.Time { return now })
	w.SetTiming(Timing{StackInstance: time.Minute})
	c := cfnAdmin(w, cfnAccount)
	body := "Resources: {T: {Type: AWS::SNS::Topic}}"
	s := deploy(ctx, t, w, cfnAccount, "slow", &body)
	if s.StackStatus != types.StackStatusCreateInProgress {
		t.Fatalf("%s", s.StackStatus)
	}
	_, err := c.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: aws.String("slow"), UsePreviousTemplate: aws.Bool(true)})
	if got := codeAndText(err); !strings.HasSuffix(got, "is in CREATE_IN_PROGRESS state and can not be updated.") {
		t.Error(got)
	}
	now = now.Add(2 * time.Minute)
	if s := stackNow(ctx, t, c, "slow"); s.StackStatus != types.StackStatusCreateComplete {
		t.Errorf("%s", s.StackStatus)
	}
}

// An SCP that spares calls through AWS services spares a person's own stack,
// whose calls carry the person's session, and not what a role of the service's
// does.
func TestWhoCloudFormationCallsFor(t *testing.T) {
	ctx := t.Context()
	w, c := setsWorld(ctx, t)
	org := orgClient(w)
	if err := enableSCPs(ctx, org); err != nil {
		t.Fatal(err)
	}
	p := createSCP(ctx, org, "no-topics", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"sns:CreateTopic","Resource":"*","Condition":{"Bool":{"aws:ViaAWSService":"false"}}}]}`)
	if err := attachTo(ctx, org, p.id, cfnAccount); err != nil {
		t.Fatal(err)
	}
	body := aws.String("Resources: {T: {Type: AWS::SNS::Topic}}")
	if s := deploy(ctx, t, w, cfnAccount, "own", body); s.StackStatus != types.StackStatusCreateComplete {
		t.Errorf("the administrator's stack is %s: %q", s.StackStatus, failures(ctx, t, cfnAdmin(w, cfnAccount), "own"))
	}
	createSet(ctx, t, c, setInput("topics", body))
	createInstances(ctx, t, c, instancesIn("topics", []string{unit(t, w, "Sandbox")}, cfnRegion))
	if got := instancesNow(ctx, t, c, "topics")[cfnAccount]; got != "OUTDATED/FAILED" {
		t.Errorf("the instance is %s", got)
	}
}

func TestStackWithARoleOfItsOwn(t *testing.T) {
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	c := cfnAdmin(w, cfnAccount)
	body := aws.String("Resources: {T: {Type: AWS::SNS::Topic}, Q: {Type: AWS::SQS::Queue}}")
	role := "arn:aws:iam::500000000001:role/Deployer"
	_, err := c.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("s"), TemplateBody: body, RoleARN: &role})
	if diff := cmp.Diff("ValidationError: Role arn:aws:iam::500000000001:role/Deployer is invalid or cannot be assumed", codeAndText(err)); diff != "" {
		t.Error(diff)
	}
	api := iam.NewFromConfig(w.Config(cfnRegion, w.RolePrincipal(cfnAccount, "Admin", "test")))
	if _, err := api.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("Deployer"), AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cloudformation.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String("Deployer"), PolicyName: aws.String("sns"), PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sns:*","Resource":"*"}]}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("s"), TemplateBody: body, RoleARN: &role}); err != nil {
		t.Fatal(err)
	}
	failed := failures(ctx, t, c, "s")
	if len(failed) != 1 || !strings.Contains(failed[0], "assumed-role/Deployer/AWSCloudFormation is not authorized to perform: sqs:") {
		t.Errorf("failures: %q", failed)
	}
}

func TestTemplateFromABucket(t *testing.T) {
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	c := cfnAdmin(w, cfnAccount)
	objects := s3.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(cfnAccount, "Admin", "test")))
	if _, err := objects.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("templates-of-ours")}); err != nil {
		t.Fatal(err)
	}
	// In a bucket a template may be larger than in a request.
	body := "Resources: {T: {Type: AWS::SNS::Topic}}\n#" + strings.Repeat("x", maxTemplateBody)
	if _, err := objects.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("templates-of-ours"), Key: aws.String("a/t.yaml"), Body: strings.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{
		"virtual": "https://templates-of-ours.s3.us-east-1.amazonaws.com/a/t.yaml",
		"path":    "https://s3.amazonaws.com/templates-of-ours/a/t.yaml",
	} {
		if _, err := c.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: &name, TemplateURL: &address}); err != nil {
			t.Fatal(err)
		}
		out, err := c.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &name})
		if err != nil || *out.TemplateBody != body {
			t.Errorf("%s: the template came back changed, %v", name, err)
		}
	}
	_, err := c.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("none"), TemplateURL: aws.String("https://templates-of-ours.s3.amazonaws.com/nope")})
	if got := codeAndText(err); !strings.HasPrefix(got, "ValidationError: S3 error: ") {
		t.Error(got)
	}
	list, err := c.ListStacks(ctx, &cloudformation.ListStacksInput{StackStatusFilter: []types.StackStatus{types.StackStatusCreateComplete}})
	if err != nil || len(list.StackSummaries) != 2 {
		t.Errorf("%v, %v", list, err)
	}
}
