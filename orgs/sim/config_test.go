package sim

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	logArchive = "200000000002"
	shopRole   = "arn:aws:iam::" + shopProd + ":role/config"

	logBucketPolicy = `{"Version":"2012-10-17","Statement":[
	  {"Effect":"Allow","Principal":{"Service":"config.amazonaws.com"},"Action":["s3:GetBucketAcl","s3:ListBucket"],"Resource":"arn:aws:s3:::config-logs","Condition":{"StringEquals":{"aws:SourceOrgID":"o-demo0guard"}}},
	  {"Effect":"Allow","Principal":{"Service":"config.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::config-logs/*/AWSLogs/*/Config/*",
	   "Condition":{"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control","aws:SourceOrgID":"o-demo0guard"}}}]}`
)

// configWorld has a bucket for AWS Config in the log archive and a role for it
// in shop-prod, where nothing records yet.
func configWorld(t *testing.T) (*World, *configservice.Client) {
	t.Helper()
	w := newTestWorld(t, "demo")
	w.SetClock(func() time.Time { return noon })
	buckets := s3.NewFromConfig(adminConfig(w, logArchive, tokyo))
	must(buckets.CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket: aws.String("config-logs"), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: tokyo},
	}))(t)
	must(buckets.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: aws.String("config-logs"), Policy: aws.String(logBucketPolicy)}))(t)
	makeRole(t, w, shopProd, "config", "config.amazonaws.com", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}]}`)
	return w, configservice.NewFromConfig(adminConfig(w, shopProd, tokyo))
}

func recorderPut(name, role string, g *types.RecordingGroup) func(context.Context, *configservice.Client) error {
	return func(ctx context.Context, c *configservice.Client) error {
		r := &types.ConfigurationRecorder{RoleARN: optional(role), RecordingGroup: g, Name: optional(name)}
		_, err := c.PutConfigurationRecorder(ctx, &configservice.PutConfigurationRecorderInput{ConfigurationRecorder: r})
		return err
	}
}

func channelPut(name, bucket, prefix string) func(context.Context, *configservice.Client) error {
	return func(ctx context.Context, c *configservice.Client) error {
		_, err := c.PutDeliveryChannel(ctx, &configservice.PutDeliveryChannelInput{DeliveryChannel: &types.DeliveryChannel{
			Name: optional(name), S3BucketName: optional(bucket), S3KeyPrefix: optional(prefix),
		}})
		return err
	}
}

func recorderStart(name string) func(context.Context, *configservice.Client) error {
	return func(ctx context.Context, c *configservice.Client) error {
		_, err := c.StartConfigurationRecorder(ctx, &configservice.StartConfigurationRecorderInput{ConfigurationRecorderName: &name})
		return err
	}
}

func recorderStop(name string) func(context.Context, *configservice.Client) error {
	return func(ctx context.Context, c *configservice.Client) error {
		_, err := c.StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: &name})
		return err
	}
}

func recorderDelete(name string) func(context.Context, *configservice.Client) error {
	return func(ctx context.Context, c *configservice.Client) error {
		_, err := c.DeleteConfigurationRecorder(ctx, &configservice.DeleteConfigurationRecorderInput{ConfigurationRecorderName: &name})
		return err
	}
}

func channelDelete(name string) func(context.Context, *configservice.Client) error {
	return func(ctx context.Context, c *configservice.Client) error {
		_, err := c.DeleteDeliveryChannel(ctx, &configservice.DeleteDeliveryChannelInput{DeliveryChannelName: &name})
		return err
	}
}

func TestRecorderAndChannel(t *testing.T) {
	type step struct {
		do   func(context.Context, *configservice.Client) error
		want string // error code
	}
	recorder, channel := recorderPut("", shopRole, nil), channelPut("", "config-logs", "org")
	tests := []struct {
		name  string
		steps []step
	}{
		{"recorder, channel, start, stop, delete", []step{{recorder, ""}, {channel, ""}, {recorderStart("default"), ""}, {recorderStop("default"), ""}, {recorderDelete("default"), ""}, {channelDelete("default"), ""}}},
		{"a channel needs a recorder", []step{{channel, "NoAvailableConfigurationRecorderException"}}},
		{"starting needs a channel", []step{{recorder, ""}, {recorderStart("default"), "NoAvailableDeliveryChannelException"}}},
		{"starting needs the recorder of that name", []step{{recorder, ""}, {channel, ""}, {recorderStart("other"), "NoSuchConfigurationRecorderException"}}},
		{"starting and stopping twice is no error", []step{{recorder, ""}, {channel, ""}, {recorderStart("default"), ""}, {recorderStart("default"), ""}, {recorderStop("default"), ""}, {recorderStop("default"), ""}}},
		{"a second recorder", []step{{recorder, ""}, {recorderPut("second", shopRole, nil), "MaxNumberOfConfigurationRecordersExceededException"}}},
		{"a second channel", []step{{recorder, ""}, {channel, ""}, {channelPut("second", "config-logs", "org"), "MaxNumberOfDeliveryChannelsExceededException"}}},
		{"the same recorder again", []step{{recorder, ""}, {recorder, ""}}},
		{"the channel of a recorder that records", []step{{recorder, ""}, {channel, ""}, {recorderStart("default"), ""}, {channelDelete("default"), "LastDeliveryChannelDeleteFailedException"}}},
		{"a channel that does not exist", []step{{channelDelete("x"), "NoSuchDeliveryChannelException"}}},
		{"a recorder that does not exist", []step{{recorderDelete("x"), "NoSuchConfigurationRecorderException"}, {recorderStop("x"), "NoSuchConfigurationRecorderException"}}},
		{"deleting a recorder that records", []step{{recorder, ""}, {channel, ""}, {recorderStart("default"), ""}, {recorderDelete("default"), ""}}},
		{"a bucket that does not exist", []step{{recorder, ""}, {channelPut("", "nowhere", "org"), "NoSuchBucketException"}}},
		{"a bucket whose policy wants another prefix", []step{{recorder, ""}, {channelPut("", "config-logs", ""), "InsufficientDeliveryPolicyException"}}},
		{"a recorder without a role", []step{{recorderPut("", "", nil), "InvalidRoleException"}}},
		{"a role that is none", []step{{recorderPut("", "config", nil), "InvalidRoleException"}}},
		{"the name of a service-linked recorder", []step{{recorderPut("AWSConfigurationRecorderForX", shopRole, nil), "InvalidConfigurationRecorderNameException"}}},
		{"all types and a list of types", []step{{recorderPut("", shopRole, &types.RecordingGroup{AllSupported: true, ResourceTypes: []types.ResourceType{types.ResourceTypeRole}}), "InvalidRecordingGroupException"}}},
		{"all types and the exclusion strategy", []step{{recorderPut("", shopRole, &types.RecordingGroup{AllSupported: true, RecordingStrategy: &types.RecordingStrategy{UseOnly: types.RecordingStrategyTypeExclusionByResourceTypes}}), "InvalidRecordingGroupException"}}},
		{"a group with nothing in it", []step{{recorderPut("", shopRole, &types.RecordingGroup{}), "InvalidRecordingGroupException"}}},
		{"global types without all types", []step{{recorderPut("", shopRole, &types.RecordingGroup{IncludeGlobalResourceTypes: true, ResourceTypes: []types.ResourceType{types.ResourceTypeRole}}), "InvalidRecordingGroupException"}}},
		{"a type that does not exist", []step{{recorderPut("", shopRole, &types.RecordingGroup{ResourceTypes: []types.ResourceType{"AWS::Moon::Base"}}), "ValidationException"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, c := configWorld(t)
			for i, s := range tt.steps {
				if got := errorCode(s.do(t.Context(), c)); got != s.want {
					t.Errorf("step %d: error %q, want %q", i+1, got, s.want)
				}
			}
		})
	}
}

var ignoreSDK = cmpopts.IgnoreUnexported(
	types.ConfigurationRecorder{}, types.RecordingGroup{}, types.RecordingMode{}, types.RecordingStrategy{}, types.ExclusionByResourceTypes{},
	types.ConfigurationRecorderStatus{}, types.DeliveryChannel{}, types.DeliveryChannelStatus{}, types.ConfigExportDeliveryInfo{}, types.ConfigStreamDeliveryInfo{},
)

func TestRecorderIsReturnedCompleted(t *testing.T) {
	_, c := configWorld(t)
	if err := recorderPut("", shopRole, nil)(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	got := must(c.DescribeConfigurationRecorders(t.Context(), &configservice.DescribeConfigurationRecordersInput{}))(t)
	want := []types.ConfigurationRecorder{{
		Name: aws.String("default"), RoleARN: aws.String(shopRole), RecordingScope: types.RecordingScopePaid,
		RecordingGroup: &types.RecordingGroup{
			AllSupported: true, ResourceTypes: []types.ResourceType{}, ExclusionByResourceTypes: &types.ExclusionByResourceTypes{ResourceTypes: []types.ResourceType{}},
			RecordingStrategy: &types.RecordingStrategy{UseOnly: types.RecordingStrategyTypeAllSupportedResourceTypes},
		},
		RecordingMode: &types.RecordingMode{RecordingFrequency: types.RecordingFrequencyContinuous, RecordingModeOverrides: []types.RecordingModeOverride{}},
	}}
	if diff := cmp.Diff(want, got.ConfigurationRecorders, ignoreSDK, cmpopts.IgnoreFields(types.ConfigurationRecorder{}, "Arn")); diff != "" {
		t.Errorf("recorders (-want +got):\n%s", diff)
	}
	_, _, _, resource, _ := arnParts(aws.ToString(got.ConfigurationRecorders[0].Arn))
	if len(resource) != len("configuration-recorder/default/")+16 {
		t.Errorf("ARN %s", aws.ToString(got.ConfigurationRecorders[0].Arn))
	}
}

func TestRecorderStatus(t *testing.T) {
	ctx := t.Context()
	w, c := configWorld(t)
	w.SetTiming(Timing{Recorder: time.Minute})
	for _, do := range []func(context.Context, *configservice.Client) error{recorderPut("", shopRole, nil), channelPut("", "config-logs", "org")} {
		if err := do(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	status := func() types.ConfigurationRecorderStatus {
		return must(c.DescribeConfigurationRecorderStatus(ctx, &configservice.DescribeConfigurationRecorderStatusInput{}))(t).ConfigurationRecordersStatus[0]
	}
	if s := status(); s.Recording || s.LastStatus != "" {
		t.Errorf("before the start: recording %v, last status %q", s.Recording, s.LastStatus)
	}
	if err := recorderStart("default")(ctx, c); err != nil {
		t.Fatal(err)
	}
	if s := status(); !s.Recording || s.LastStatus != types.RecorderStatusPending || !s.LastStartTime.Equal(noon) {
		t.Errorf("after the start: %+v", s)
	}
	w.SetClock(func() time.Time { return noon.Add(time.Hour) })
	if s := status(); s.LastStatus != types.RecorderStatusSuccess {
		t.Errorf("later: last status %s", s.LastStatus)
	}
	roles := iam.NewFromConfig(adminConfig(w, shopProd, "us-east-1"))
	must(roles.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String("config"), PolicyName: aws.String("p")}))(t)
	must(roles.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String("config")}))(t)
	if s := status(); !s.Recording || s.LastStatus != types.RecorderStatusFailure || aws.ToString(s.LastErrorCode) != "AccessDenied" {
		t.Errorf("without its role: %+v", s)
	}
	if err := recorderStop("default")(ctx, c); err != nil {
		t.Fatal(err)
	}
	if s := status(); s.Recording || s.LastStopTime == nil {
		t.Errorf("after the stop: %+v", s)
	}
}

func TestDeliveryStatusFollowsTheBucket(t *testing.T) {
	ctx := t.Context()
	w, c := configWorld(t)
	status := func() *types.ConfigExportDeliveryInfo {
		return must(c.DescribeDeliveryChannelStatus(ctx, &configservice.DescribeDeliveryChannelStatusInput{}))(t).DeliveryChannelsStatus[0].ConfigHistoryDeliveryInfo
	}
	for _, do := range []func(context.Context, *configservice.Client) error{recorderPut("", shopRole, nil), channelPut("", "config-logs", "org")} {
		if err := do(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if s := status(); s.LastStatus != "" {
		t.Errorf("before recording: %s", s.LastStatus)
	}
	if err := recorderStart("default")(ctx, c); err != nil {
		t.Fatal(err)
	}
	if s := status(); s.LastStatus != types.DeliveryStatusSuccess || !s.NextDeliveryTime.Equal(noon.Add(6*time.Hour)) {
		t.Errorf("recording: %+v", s)
	}
	buckets := s3.NewFromConfig(adminConfig(w, logArchive, tokyo))
	must(buckets.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: aws.String("config-logs")}))(t)
	if s := status(); s.LastStatus != types.DeliveryStatusFailure || aws.ToString(s.LastErrorCode) != "AccessDenied" || s.LastSuccessfulTime != nil {
		t.Errorf("without the bucket's policy: %+v", s)
	}
	must(buckets.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("config-logs")}))(t)
	if s := status(); s.LastStatus != types.DeliveryStatusFailure || aws.ToString(s.LastErrorCode) != "NoSuchBucket" {
		t.Errorf("without the bucket: %+v", s)
	}
}

func TestOwnBucketTakesTheRecordersRole(t *testing.T) {
	ctx := t.Context()
	w, c := configWorld(t)
	must(s3.NewFromConfig(adminConfig(w, shopProd, tokyo)).CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket: aws.String("own"), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: tokyo},
	}))(t)
	if err := recorderPut("", shopRole, nil)(ctx, c); err != nil {
		t.Fatal(err)
	}
	if got := errorCode(channelPut("", "own", "")(ctx, c)); got != "InsufficientDeliveryPolicyException" {
		t.Errorf("a role without rights: error %q", got)
	}
	must(iam.NewFromConfig(adminConfig(w, shopProd, "us-east-1")).PutRolePolicy(ctx, &iam.PutRolePolicyInput{
		RoleName: aws.String("config"), PolicyName: aws.String("s3"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::own/*"}]}`),
	}))(t)
	if err := channelPut("", "own", "")(ctx, c); err != nil {
		t.Errorf("a role with rights: %v", err)
	}
}

func TestResourceTypesAndServiceLinkedRecorders(t *testing.T) {
	ctx := t.Context()
	_, c := configWorld(t)
	exclusion := &types.RecordingGroup{
		ExclusionByResourceTypes: &types.ExclusionByResourceTypes{ResourceTypes: []types.ResourceType{types.ResourceTypeRole, types.ResourceTypeUser}},
		RecordingStrategy:        &types.RecordingStrategy{UseOnly: types.RecordingStrategyTypeExclusionByResourceTypes},
	}
	if err := recorderPut("", shopRole, exclusion)(ctx, c); err != nil {
		t.Fatal(err)
	}
	linked := must(c.PutServiceLinkedConfigurationRecorder(ctx, &configservice.PutServiceLinkedConfigurationRecorderInput{ServicePrincipal: aws.String("observabilityadmin.amazonaws.com")}))(t)

	described := must(c.DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{}))(t)
	if len(described.ConfigurationRecorders) != 1 {
		t.Fatalf("Describe without a name returned %d recorders", len(described.ConfigurationRecorders))
	}
	arn := described.ConfigurationRecorders[0].Arn
	associated := must(c.AssociateResourceTypes(ctx, &configservice.AssociateResourceTypesInput{ConfigurationRecorderArn: arn, ResourceTypes: []types.ResourceType{types.ResourceTypeRole}}))(t)
	if diff := cmp.Diff([]types.ResourceType{types.ResourceTypeUser}, associated.ConfigurationRecorder.RecordingGroup.ExclusionByResourceTypes.ResourceTypes); diff != "" {
		t.Errorf("exclusions after associating a type (-want +got):\n%s", diff)
	}
	_, err := c.AssociateResourceTypes(ctx, &configservice.AssociateResourceTypesInput{ConfigurationRecorderArn: arn, ResourceTypes: []types.ResourceType{types.ResourceTypeRole}})
	if errorCode(err) != "ValidationException" {
		t.Errorf("associating it again: %v", err)
	}

	var names []string
	list := configservice.NewListConfigurationRecordersPaginator(c, &configservice.ListConfigurationRecordersInput{MaxResults: aws.Int32(1)})
	for list.HasMorePages() {
		for _, s := range must(list.NextPage(ctx))(t).ConfigurationRecorderSummaries {
			names = append(names, aws.ToString(s.Name)+" "+string(s.RecordingScope))
		}
	}
	if diff := cmp.Diff([]string{"AWSConfigurationRecorderForObservabilityadmin INTERNAL", "default PAID"}, names); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if got := errorCode(recorderStop(*linked.Name)(ctx, c)); got != "UnmodifiableEntityException" {
		t.Errorf("stopping a service-linked recorder: error %q", got)
	}
	_, err = c.ListConfigurationRecorders(ctx, &configservice.ListConfigurationRecordersInput{NextToken: aws.String("bogus")})
	if errorCode(err) != "InvalidNextTokenException" {
		t.Errorf("bad token: %v", err)
	}
}

func TestRetentionAndTags(t *testing.T) {
	ctx := t.Context()
	_, c := configWorld(t)
	_, err := c.PutRetentionConfiguration(ctx, &configservice.PutRetentionConfigurationInput{RetentionPeriodInDays: aws.Int32(7)})
	if errorCode(err) != "InvalidParameterValueException" {
		t.Errorf("7 days: %v", err)
	}
	must(c.PutRetentionConfiguration(ctx, &configservice.PutRetentionConfigurationInput{RetentionPeriodInDays: aws.Int32(365)}))(t)
	got := must(c.DescribeRetentionConfigurations(ctx, &configservice.DescribeRetentionConfigurationsInput{}))(t)
	if len(got.RetentionConfigurations) != 1 || *got.RetentionConfigurations[0].RetentionPeriodInDays != 365 {
		t.Errorf("retention %+v", got.RetentionConfigurations)
	}
	must(c.DeleteRetentionConfiguration(ctx, &configservice.DeleteRetentionConfigurationInput{RetentionConfigurationName: aws.String("default")}))(t)
	_, err = c.DeleteRetentionConfiguration(ctx, &configservice.DeleteRetentionConfigurationInput{RetentionConfigurationName: aws.String("default")})
	if errorCode(err) != "NoSuchRetentionConfigurationException" {
		t.Errorf("deleting it again: %v", err)
	}

	must(c.PutConfigurationRecorder(ctx, &configservice.PutConfigurationRecorderInput{
		ConfigurationRecorder: &types.ConfigurationRecorder{RoleARN: aws.String(shopRole)}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}},
	}))(t)
	arn := must(c.DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{}))(t).ConfigurationRecorders[0].Arn
	must(c.TagResource(ctx, &configservice.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("b"), Value: aws.String("2")}}}))(t)
	must(c.UntagResource(ctx, &configservice.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a"}}))(t)
	tags := must(c.ListTagsForResource(ctx, &configservice.ListTagsForResourceInput{ResourceArn: arn}))(t).Tags
	if len(tags) != 1 || *tags[0].Key != "b" || *tags[0].Value != "2" {
		t.Errorf("tags %+v", tags)
	}
}
