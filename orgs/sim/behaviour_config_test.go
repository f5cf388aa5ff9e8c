package sim

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// recording is AWS Config in one account × Region, with what it needs: a role it
// may assume and a bucket it may write to.
type recording struct {
	*script
	*configservice.Client
	role string
}

func newRecording(ctx context.Context, s *script, account, region string) recording {
	cfg := s.in(account, region)
	made := must(iam.NewFromConfig(cfg).CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("config"), AssumeRolePolicyDocument: aws.String(trusting("config.amazonaws.com"))}))(s.t)
	buckets := s3.NewFromConfig(cfg)
	must(buckets.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket: aws.String("config-logs"), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)},
	}))(s.t)
	must(buckets.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: aws.String("config-logs"), Policy: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"config.amazonaws.com"},"Action":["s3:GetBucketAcl","s3:ListBucket"],"Resource":"arn:aws:s3:::config-logs"},` +
			`{"Effect":"Allow","Principal":{"Service":"config.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::config-logs/*"}]}`)}))(s.t)
	return recording{s, configservice.NewFromConfig(cfg), *made.Role.Arn}
}

func trusting(service string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`
}

func (r recording) put(ctx context.Context, step, name, role string, group *types.RecordingGroup) {
	r.did(step)(r.PutConfigurationRecorder(ctx, &configservice.PutConfigurationRecorderInput{
		ConfigurationRecorder: &types.ConfigurationRecorder{Name: optional(name), RoleARN: optional(role), RecordingGroup: group},
	}))
}

func (r recording) channel(ctx context.Context, step, name, bucket string) {
	r.did(step)(r.PutDeliveryChannel(ctx, &configservice.PutDeliveryChannelInput{DeliveryChannel: &types.DeliveryChannel{
		Name: &name, S3BucketName: optional(bucket),
		ConfigSnapshotDeliveryProperties: &types.ConfigSnapshotDeliveryProperties{DeliveryFrequency: types.MaximumExecutionFrequencySixHours},
	}}))
}

func (r recording) start(ctx context.Context, step, name string) {
	r.did(step)(r.StartConfigurationRecorder(ctx, &configservice.StartConfigurationRecorderInput{ConfigurationRecorderName: &name}))
}

func (r recording) stop(ctx context.Context, step, name string) {
	r.did(step)(r.StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: &name}))
}

func (r recording) drop(ctx context.Context, step, name string) {
	r.did(step)(r.DeleteConfigurationRecorder(ctx, &configservice.DeleteConfigurationRecorderInput{ConfigurationRecorderName: &name}))
}

// state is who records, by DescribeConfigurationRecorderStatus.
func (r recording) state(ctx context.Context, step string) {
	see(r.script, step, func(o *configservice.DescribeConfigurationRecorderStatusOutput) any {
		m := map[string]bool{}
		for _, st := range o.ConfigurationRecordersStatus {
			m[*st.Name] = st.Recording
		}
		return m
	})(r.DescribeConfigurationRecorderStatus(ctx, &configservice.DescribeConfigurationRecorderStatusInput{}))
}

func configRecorderStates(ctx context.Context, s *script) {
	r := newRecording(ctx, s, "shop", "eu-west-1")
	everything := &types.RecordingGroup{AllSupported: true, IncludeGlobalResourceTypes: true}
	describe := func(step string, part func(types.ConfigurationRecorder) any) {
		see(s, step, func(o *configservice.DescribeConfigurationRecordersOutput) any {
			list := []any{}
			for _, rec := range o.ConfigurationRecorders {
				list = append(list, part(rec))
			}
			return list
		})(r.DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{}))
	}
	status := func(step string, part func(types.ConfigurationRecorderStatus) any) {
		see(s, step, func(o *configservice.DescribeConfigurationRecorderStatusOutput) any {
			return part(o.ConfigurationRecordersStatus[0])
		})(r.DescribeConfigurationRecorderStatus(ctx, &configservice.DescribeConfigurationRecorderStatusInput{}))
	}
	name := func(rec types.ConfigurationRecorder) any { return rec.Name }

	describe("no recorder", name)
	r.state(ctx, "no status")
	r.start(ctx, "start what is not there", "default")
	r.stop(ctx, "stop what is not there", "default")
	r.drop(ctx, "delete what is not there", "default")
	s.did("describe what is not there")(r.DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{ConfigurationRecorderNames: []string{"default"}}))
	s.did("the status of what is not there")(r.DescribeConfigurationRecorderStatus(ctx, &configservice.DescribeConfigurationRecorderStatusInput{ConfigurationRecorderNames: []string{"default"}}))

	r.put(ctx, "a recorder without a role", "default", "", nil)
	r.put(ctx, "a group with nothing in it", "default", r.role, &types.RecordingGroup{})
	r.put(ctx, "all types and a list of types", "default", r.role, &types.RecordingGroup{AllSupported: true, ResourceTypes: []types.ResourceType{types.ResourceTypeRole}})
	r.put(ctx, "global types without all types", "default", r.role, &types.RecordingGroup{IncludeGlobalResourceTypes: true, ResourceTypes: []types.ResourceType{types.ResourceTypeRole}})
	r.put(ctx, "a type that does not exist", "default", r.role, &types.RecordingGroup{ResourceTypes: []types.ResourceType{"AWS::Moon::Base"}})
	r.put(ctx, "a name that is too long", strings.Repeat("x", 257), r.role, everything)
	describe("none of these was made", name)

	r.put(ctx, "a recorder of everything", "default", r.role, everything)
	describe("what it records", func(rec types.ConfigurationRecorder) any {
		return []any{rec.Name, rec.RoleARN, rec.RecordingGroup.AllSupported, rec.RecordingGroup.IncludeGlobalResourceTypes, rec.RecordingGroup.ResourceTypes}
	})
	describe("its strategy", func(rec types.ConfigurationRecorder) any {
		if rec.RecordingGroup.RecordingStrategy == nil {
			return nil
		}
		return rec.RecordingGroup.RecordingStrategy.UseOnly
	})
	describe("its ARN and mode", func(rec types.ConfigurationRecorder) any {
		mode := ""
		if rec.RecordingMode != nil {
			mode = string(rec.RecordingMode.RecordingFrequency)
		}
		return []any{rec.Arn != nil, mode, rec.RecordingScope}
	})
	r.state(ctx, "it does not record yet")
	r.start(ctx, "start it without a channel", "default")
	r.put(ctx, "a second recorder", "second", r.role, everything)
	r.put(ctx, "the same again", "default", r.role, everything)
	r.put(ctx, "the same with two types only", "default", r.role, &types.RecordingGroup{ResourceTypes: []types.ResourceType{types.ResourceTypeInstance, types.ResourceTypeRole}})
	describe("it has changed", func(rec types.ConfigurationRecorder) any {
		return []any{rec.RecordingGroup.AllSupported, rec.RecordingGroup.IncludeGlobalResourceTypes, rec.RecordingGroup.ResourceTypes}
	})

	r.channel(ctx, "a channel", "default", "config-logs")
	r.start(ctx, "start it", "default")
	r.state(ctx, "it records")
	status("when it started and stopped", func(st types.ConfigurationRecorderStatus) any {
		return []bool{st.LastStartTime != nil, st.LastStopTime != nil}
	})
	status("its last status", func(st types.ConfigurationRecorderStatus) any { return st.LastStatus })
	r.start(ctx, "start it twice", "default")
	r.stop(ctx, "stop another", "other")
	r.stop(ctx, "stop it", "default")
	r.state(ctx, "it is stopped")
	status("when it was stopped", func(st types.ConfigurationRecorderStatus) any {
		return []bool{st.LastStartTime != nil, st.LastStopTime != nil}
	})
	r.stop(ctx, "stop it twice", "default")
	r.start(ctx, "start it again", "default")
	r.drop(ctx, "delete it while it records", "default")
	describe("it is gone", name)
	r.put(ctx, "another in its place", "mine", r.role, everything)
	describe("there is that one", name)
	r.put(ctx, "a recorder without a name beside it", "", r.role, everything)
	see(s, "list the recorders", func(o *configservice.ListConfigurationRecordersOutput) any {
		return len(o.ConfigurationRecorderSummaries)
	})(
		r.ListConfigurationRecorders(ctx, &configservice.ListConfigurationRecordersInput{}))

	for _, place := range [][2]string{{"shop", "us-east-1"}, {"pay", "eu-west-1"}} {
		other := recording{s, configservice.NewFromConfig(s.in(place[0], place[1])), ""}
		other.state(ctx, "nothing of it in "+place[0]+", "+place[1])
	}
	recording{s, configservice.NewFromConfig(s.in("lab", "eu-west-1")), ""}.put(ctx, "a role that is none", "default", "config", everything)
}

func configChannelStates(ctx context.Context, s *script) {
	r := newRecording(ctx, s, "shop", "eu-west-1")
	everything := &types.RecordingGroup{AllSupported: true}
	describe := func(step string) {
		see(s, step, func(o *configservice.DescribeDeliveryChannelsOutput) any {
			list := []any{}
			for _, c := range o.DeliveryChannels {
				frequency := ""
				if p := c.ConfigSnapshotDeliveryProperties; p != nil {
					frequency = string(p.DeliveryFrequency)
				}
				list = append(list, []any{c.Name, c.S3BucketName, frequency})
			}
			return list
		})(r.DescribeDeliveryChannels(ctx, &configservice.DescribeDeliveryChannelsInput{}))
	}
	remove := func(step, name string) {
		s.did(step)(r.DeleteDeliveryChannel(ctx, &configservice.DeleteDeliveryChannelInput{DeliveryChannelName: &name}))
	}
	describe("no channel")
	s.did("describe what is not there")(r.DescribeDeliveryChannels(ctx, &configservice.DescribeDeliveryChannelsInput{DeliveryChannelNames: []string{"default"}}))
	remove("delete what is not there", "default")
	r.channel(ctx, "a channel without a recorder", "default", "config-logs")
	r.put(ctx, "a recorder", "default", r.role, everything)
	r.channel(ctx, "a channel without a bucket", "default", "")
	r.channel(ctx, "a name that is too long", strings.Repeat("x", 257), "config-logs")
	r.channel(ctx, "a channel", "default", "config-logs")
	describe("how it delivers")
	see(s, "its status", func(o *configservice.DescribeDeliveryChannelStatusOutput) any {
		return o.DeliveryChannelsStatus[0].Name
	})(
		r.DescribeDeliveryChannelStatus(ctx, &configservice.DescribeDeliveryChannelStatusInput{}))
	r.channel(ctx, "a second channel", "second", "config-logs")
	r.channel(ctx, "the same again", "default", "config-logs")
	r.start(ctx, "record", "default")
	remove("delete it while the recorder records", "default")
	r.stop(ctx, "stop recording", "default")
	remove("delete it then", "default")
	describe("it is gone")
	r.start(ctx, "record without it", "default")
	s.did("a snapshot of nothing")(r.DeliverConfigSnapshot(ctx, &configservice.DeliverConfigSnapshotInput{DeliveryChannelName: aws.String("default")}))
	r.channel(ctx, "a bucket that does not exist", "default", "no-such-bucket-anywhere")
}
