package sim

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	configtypes "github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
)

// Every resource type is created, read back without drift, updated in place,
// read back again, and deleted.
func TestEveryResourceType(t *testing.T) {
	ctx := t.Context()
	w, c := setsWorld(ctx, t)
	body := cfnFile(t, "everything.yaml")
	parsed, err := parseTemplate(*body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sortedKeys(resourceTypes), parsed.resourceTypesUsed()); diff != "" {
		t.Fatalf("the template should have every type: %s", diff)
	}
	createSet(ctx, t, c, setInput("all", body))
	target := []string{unit(t, w, "Network")}
	const account = "400000000001"
	admin := cfnAdmin(w, account)
	packages(t, w, account, "code/first.zip", "code/second.zip")
	check := func(t *testing.T, id string) {
		t.Helper()
		s := deployed(ctx, t, w, account)
		if o := operationNow(ctx, t, c, "all", id); *o.StatusDetails.FailedStackInstancesCount != 0 {
			t.Fatalf("%s: %q", s.StackStatus, failures(ctx, t, admin, *s.StackName))
		}
		out, err := c.DetectStackSetDrift(ctx, &cloudformation.DetectStackSetDriftInput{StackSetName: aws.String("all")})
		if err != nil {
			t.Fatal(err)
		}
		if got := resultsNow(ctx, t, c, "all", *out.OperationId); got[0] != account+" "+cfnRegion+" SUCCEEDED" {
			t.Fatalf("%v", got)
		}
		drifts, err := c.ListStackInstanceResourceDrifts(ctx, &cloudformation.ListStackInstanceResourceDriftsInput{
			StackSetName: aws.String("all"), OperationId: out.OperationId, StackInstanceAccount: aws.String(account), StackInstanceRegion: aws.String(cfnRegion),
			StackInstanceResourceDriftStatuses: []types.StackResourceDriftStatus{types.StackResourceDriftStatusModified, types.StackResourceDriftStatusDeleted}})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range drifts.Summaries {
			t.Errorf("%s is %s: %s", *d.LogicalResourceId, d.StackResourceDriftStatus, *d.PropertyDifferences[0].PropertyPath)
		}
	}
	check(t, createInstances(ctx, t, c, instancesIn("all", target, cfnRegion)))
	ids := physicalIDs(t, admin, *deployed(ctx, t, w, account).StackName)

	up, err := c.UpdateStackSet(ctx, &cloudformation.UpdateStackSetInput{StackSetName: aws.String("all"), UsePreviousTemplate: aws.Bool(true),
		Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam}, Parameters: []types.Parameter{{ParameterKey: aws.String("Turn"), ParameterValue: aws.String("second")}}})
	if err != nil {
		t.Fatal(err)
	}
	check(t, *up.OperationId)
	if diff := cmp.Diff(ids, physicalIDs(t, admin, *deployed(ctx, t, w, account).StackName)); diff != "" {
		t.Errorf("the update replaced something: %s", diff)
	}

	cfg := w.Config(cfnRegion, w.RolePrincipal(account, "Admin", "test"))
	t.Run("the second turn arrived at the services", func(t *testing.T) {
		got := map[string]string{}
		queue, err := sqs.NewFromConfig(cfg).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: aws.String(ids["Queue"]), AttributeNames: []sqstypes.QueueAttributeName{"All"}})
		if err != nil {
			t.Fatal(err)
		}
		got["queue visibility"], got["queue retention"] = queue.Attributes["VisibilityTimeout"], queue.Attributes["MessageRetentionPeriod"]
		got["queue redrive"] = queue.Attributes["RedrivePolicy"]
		recorder, err := configservice.NewFromConfig(cfg).DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{})
		if err != nil {
			t.Fatal(err)
		}
		r := recorder.ConfigurationRecorders[0]
		got["recorder"] = string(r.RecordingGroup.RecordingStrategy.UseOnly) + " " + string(r.RecordingMode.RecordingModeOverrides[0].RecordingFrequency)
		machine, err := sfn.NewFromConfig(cfg).DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: aws.String(ids["Machine"])})
		if err != nil {
			t.Fatal(err)
		}
		got["machine"] = *machine.Definition
		role, err := iam.NewFromConfig(cfg).ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: aws.String("guard")})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range role.PolicyNames {
			got["role policy "+name] = "there"
		}
		bus, err := eventbridge.NewFromConfig(cfg).DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: aws.String("guard")})
		if err != nil {
			t.Fatal(err)
		}
		got["bus"] = aws.ToString(bus.Description)
		if _, err = s3.NewFromConfig(cfg).GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: aws.String(ids["Bucket"])}); err != nil {
			got["lifecycle"] = "none"
		}
		want := map[string]string{
			"queue visibility": "60", "queue retention": "345600", "queue redrive": "",
			"recorder": string(configtypes.RecordingStrategyTypeExclusionByResourceTypes) + " DAILY",
			"machine":  `{"StartAt":"Say","States":{"Say":{"Type":"Pass","Result":"second","End":true}}}`,
			"bus":      "second", "role policy second": "there", "role policy extra": "there", "lifecycle": "none",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	out, err := c.DeleteStackInstances(ctx, &cloudformation.DeleteStackInstancesInput{StackSetName: aws.String("all"), Regions: []string{cfnRegion}, RetainStacks: aws.Bool(false), DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: target}})
	if err != nil {
		t.Fatal(err)
	}
	if o := operationNow(ctx, t, c, "all", *out.OperationId); o.Status != types.StackSetOperationStatusSucceeded {
		t.Errorf("%s: %q", o.Status, failures(ctx, t, admin, *deployed(ctx, t, w, account).StackName))
	}
	roles, err := iam.NewFromConfig(cfg).ListRoles(ctx, &iam.ListRolesInput{PathPrefix: aws.String("/guard/")})
	if err != nil || len(roles.Roles) != 0 {
		t.Errorf("roles left: %v, %v", roles, err)
	}
}

// packages puts packages for functions into a bucket of an account.
func packages(t *testing.T, w *World, account string, keys ...string) {
	t.Helper()
	c, name := s3.NewFromConfig(w.Config(cfnRegion, w.RolePrincipal(account, "Admin", "test"))), aws.String("packages-of-guard")
	in := &s3.CreateBucketInput{Bucket: name, CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: cfnRegion}}
	if _, err := c.CreateBucket(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: name, Key: &key, Body: strings.NewReader(key)}); err != nil {
			t.Fatal(err)
		}
	}
}

// physicalIDs is the physical id of every resource of a stack.
func physicalIDs(t *testing.T, c *cloudformation.Client, name string) map[string]string {
	t.Helper()
	ids := map[string]string{}
	p := cloudformation.NewListStackResourcesPaginator(c, &cloudformation.ListStackResourcesInput{StackName: &name})
	for p.HasMorePages() {
		page, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.StackResourceSummaries {
			ids[*r.LogicalResourceId] = *r.PhysicalResourceId
		}
	}
	return ids
}
