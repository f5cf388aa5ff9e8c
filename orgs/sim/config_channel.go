package sim

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"

	"github.com/orgguard/orgguard/scp"
)

const configService = "config.amazonaws.com"

func putDeliveryChannel(c *call, in *configservice.PutDeliveryChannelInput) (*configservice.PutDeliveryChannelOutput, error) {
	s := &c.here().Config
	want := in.DeliveryChannel
	name := orDefault(want.Name, defaultName)
	if len(name) > maxConfigName {
		return nil, tooLong(name, "deliveryChannel.name")
	}
	if s.customerRecorder() == nil {
		return nil, apiError("NoAvailableConfigurationRecorderException", "Configuration recorder is not available to put delivery channel.")
	}
	if s.Channel != nil && s.Channel.Name != name {
		return nil, apiError("MaxNumberOfDeliveryChannelsExceededException",
			"Failed to put delivery channel '%s' because the maximum number of delivery channels: 1 is reached.", name)
	}
	ch := &configChannel{
		Name: name, Bucket: aws.ToString(want.S3BucketName), Prefix: aws.ToString(want.S3KeyPrefix),
		KMSKey: aws.ToString(want.S3KmsKeyArn), Topic: aws.ToString(want.SnsTopicARN),
	}
	if p := want.ConfigSnapshotDeliveryProperties; p != nil {
		ch.Frequency = p.DeliveryFrequency
	}
	if strings.HasPrefix(ch.Prefix, "/") || strings.Contains(ch.Prefix, "AWSLogs") {
		return nil, apiError("InvalidS3KeyPrefixException", "The specified S3 key prefix '%s' is not valid.", ch.Prefix)
	}
	if err := c.w.canDeliver(c.caller.Account, c.region, ch, c.now); err != nil {
		return nil, err
	}
	s.Channel = ch
	return &configservice.PutDeliveryChannelOutput{}, nil
}

// canDeliver says whether Config can write to the bucket, and publish to the
// topic, of a channel. It writes a file to find out, first as the recorder's
// role and then as itself.
//
// https://docs.aws.amazon.com/config/latest/developerguide/s3-bucket-policy.html
func (w *World) canDeliver(account, region string, ch *configChannel, now time.Time) error {
	b := w.state.Buckets[ch.Bucket]
	if b == nil {
		return apiError("NoSuchBucketException", "Cannot find a S3 bucket with an empty bucket name or with the name '%s'.", ch.Bucket)
	}
	if ch.Topic != "" && w.topicByARN(ch.Topic) == nil {
		return apiError("InvalidSNSTopicARNException", "The specified SNS topic ARN '%s' is not valid.", ch.Topic)
	}
	key := ch.KMSKey
	if key != "" && w.kmsKeyByARN(key) == nil {
		return apiError("InvalidS3KmsKeyArnException", "The specified Amazon KMS Key ARN '%s' is not valid.", key)
	}
	if key == "" {
		key = w.defaultKey(b)
	}
	prefix := ""
	if ch.Prefix != "" {
		prefix = strings.TrimSuffix(ch.Prefix, "/") + "/"
	}
	object := "arn:" + w.state.Partition + ":s3:::" + ch.Bucket + "/" + prefix + "AWSLogs/" + account + "/Config/ConfigWritabilityCheckFile"
	if !w.writesAsRole(account, region, b, object, now) && !w.writesAsService(account, region, b, object, now) ||
		!w.keyAdmitsService(key, configService, account, "arn:"+w.state.Partition+":config:"+region+":"+account+":*", now) {
		return apiError("InsufficientDeliveryPolicyException",
			"Insufficient delivery policy to s3 bucket: %s, unable to write to bucket, provided s3 key prefix is '%s', provided kms key is '%s'.",
			ch.Bucket, orNull(ch.Prefix), orNull(ch.KMSKey))
	}
	return nil
}

// orNull prints a string as Config's error messages do.
func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return s
}

// deliveryContext adds what Config says when it writes: the object belongs to
// the owner of the bucket.
func deliveryContext(ctx map[string][]string) map[string][]string {
	ctx["s3:x-amz-acl"] = []string{"bucket-owner-full-control"}
	return ctx
}

// writesAsService: the bucket's policy admits Config itself.
func (w *World) writesAsService(account, region string, b *bucketState, object string, now time.Time) bool {
	source := "arn:" + w.state.Partition + ":config:" + region + ":" + account + ":*"
	ctx := deliveryContext(w.serviceContext(configService, account, source, now))
	return w.judge(b.Policy, policyRequest{servicePrincipal(configService, account), "s3:PutObject", object, ctx}) == allows
}

// writesAsRole: the recorder's role may write to the bucket by its own
// policies, and the bucket of another account admits it. Service-linked
// roles may not, whatever the bucket says.
func (w *World) writesAsRole(account, region string, b *bucketState, object string, now time.Time) bool {
	r := w.region(account, region).Config.customerRecorder()
	if r == nil || w.assumable(r.RoleARN, configService, account, "", now) != "" {
		return false
	}
	owner, role := w.roleByARN(r.RoleARN)
	p := w.sessionOf(r.RoleARN, "AWSConfig-BucketConfigCheck")
	ctx := map[string][]string{"aws:CurrentTime": {now.UTC().Format(time.RFC3339)}, "aws:SecureTransport": {"true"}, "aws:RequestedRegion": {region}}
	w.principalContext(p, ctx)
	deliveryContext(ctx)
	allowed, _ := w.layerDecision(w.identityPolicies(owner, role), &scp.Request{
		Principal: scp.Principal{Type: p.Type, ARN: p.ARN, RoleARN: p.RoleARN, AccountID: p.Account},
		Action:    "s3:PutObject", Resource: object, Context: ctx,
	})
	v := w.judge(b.Policy, policyRequest{p, "s3:PutObject", object, ctx})
	return allowed && v != denies && (v == allows || b.Owner == account)
}

func noSuchChannel(name string) error {
	return apiError("NoSuchDeliveryChannelException", "Cannot find delivery channel with specified name '%s'.", name)
}

// selectChannel is the selection of the Describe operations.
func selectChannel(c *call, names []string) (*configChannel, error) {
	ch := c.here().Config.Channel
	for _, name := range names {
		if ch == nil || ch.Name != name {
			return nil, noSuchChannel(name)
		}
	}
	return ch, nil
}

func describeDeliveryChannels(c *call, in *configservice.DescribeDeliveryChannelsInput) (*configservice.DescribeDeliveryChannelsOutput, error) {
	ch, err := selectChannel(c, in.DeliveryChannelNames)
	if err != nil {
		return nil, err
	}
	out := &configservice.DescribeDeliveryChannelsOutput{DeliveryChannels: []types.DeliveryChannel{}}
	if ch == nil {
		return out, nil
	}
	d := types.DeliveryChannel{Name: aws.String(ch.Name), S3BucketName: aws.String(ch.Bucket)}
	if ch.Prefix != "" {
		d.S3KeyPrefix = aws.String(ch.Prefix)
	}
	if ch.KMSKey != "" {
		d.S3KmsKeyArn = aws.String(ch.KMSKey)
	}
	if ch.Topic != "" {
		d.SnsTopicARN = aws.String(ch.Topic)
	}
	if ch.Frequency != "" {
		d.ConfigSnapshotDeliveryProperties = &types.ConfigSnapshotDeliveryProperties{DeliveryFrequency: ch.Frequency}
	}
	out.DeliveryChannels = append(out.DeliveryChannels, d)
	return out, nil
}

// historyEvery is how often Config delivers the history of changed resources.
const historyEvery = 6 * time.Hour

// describeDeliveryChannelStatus tells how the last deliveries went. The world
// delivers nothing; it answers as if it had just tried.
func describeDeliveryChannelStatus(c *call, in *configservice.DescribeDeliveryChannelStatusInput) (*configservice.DescribeDeliveryChannelStatusOutput, error) {
	ch, err := selectChannel(c, in.DeliveryChannelNames)
	if err != nil {
		return nil, err
	}
	out := &configservice.DescribeDeliveryChannelStatusOutput{DeliveryChannelsStatus: []types.DeliveryChannelStatus{}}
	if ch == nil {
		return out, nil
	}
	st := types.DeliveryChannelStatus{
		Name:                       aws.String(ch.Name),
		ConfigHistoryDeliveryInfo:  &types.ConfigExportDeliveryInfo{},
		ConfigSnapshotDeliveryInfo: &types.ConfigExportDeliveryInfo{},
		ConfigStreamDeliveryInfo:   &types.ConfigStreamDeliveryInfo{LastStatus: types.DeliveryStatusNotApplicable},
	}
	r := c.here().Config.customerRecorder()
	if r != nil && !r.Started.IsZero() {
		last := r.Started.Add(c.now.Sub(r.Started).Truncate(historyEvery))
		failure := c.w.canDeliver(c.caller.Account, c.region, ch, c.now)
		st.ConfigHistoryDeliveryInfo = exportInfo(failure, last)
		st.ConfigHistoryDeliveryInfo.NextDeliveryTime = aws.Time(last.Add(historyEvery))
		if ch.Frequency != "" {
			st.ConfigSnapshotDeliveryInfo = exportInfo(failure, last)
		}
		if ch.Topic != "" {
			st.ConfigStreamDeliveryInfo = c.w.streamInfo(c, ch, last)
		}
	}
	out.DeliveryChannelsStatus = append(out.DeliveryChannelsStatus, st)
	return out, nil
}

func exportInfo(failure error, at time.Time) *types.ConfigExportDeliveryInfo {
	info := &types.ConfigExportDeliveryInfo{LastAttemptTime: aws.Time(at), LastStatus: types.DeliveryStatusSuccess, LastSuccessfulTime: aws.Time(at)}
	if failure != nil {
		code, message := errorParts(failure)
		if code == "InsufficientDeliveryPolicyException" {
			code = "AccessDenied" // S3's own code is what the status shows
		}
		info.LastStatus, info.LastSuccessfulTime = types.DeliveryStatusFailure, nil
		info.LastErrorCode, info.LastErrorMessage = aws.String(strings.TrimSuffix(code, "Exception")), aws.String(message)
	}
	return info
}

// streamInfo tells how the last notification to the channel's topic went.
func (w *World) streamInfo(c *call, ch *configChannel, at time.Time) *types.ConfigStreamDeliveryInfo {
	info := &types.ConfigStreamDeliveryInfo{LastStatus: types.DeliveryStatusSuccess, LastStatusChangeTime: aws.Time(at)}
	t := w.topicByARN(ch.Topic)
	source := c.arn("config", "*")
	ok := t != nil && w.topicAdmitsService(t, ch.Topic, configService, c.caller.Account, source, c.now) == ""
	if t != nil && !ok { // a topic of the same account also accepts the recorder's role
		ok = arnAccount(ch.Topic) == c.caller.Account && !strings.Contains(c.here().Config.customerRecorder().RoleARN, "/aws-service-role/")
	}
	if !ok {
		info.LastStatus = types.DeliveryStatusFailure
		info.LastErrorCode, info.LastErrorMessage = aws.String("AuthorizationError"), aws.String("AWS Config cannot publish to "+ch.Topic+".")
	}
	return info
}

func deleteDeliveryChannel(c *call, in *configservice.DeleteDeliveryChannelInput) (*configservice.DeleteDeliveryChannelOutput, error) {
	s := &c.here().Config
	name := aws.ToString(in.DeliveryChannelName)
	if s.Channel == nil || s.Channel.Name != name {
		return nil, noSuchChannel(name)
	}
	if r := s.customerRecorder(); r != nil && r.Recording {
		return nil, apiError("LastDeliveryChannelDeleteFailedException",
			"Failed to delete last specified delivery channel with name '%s', because there is a running configuration recorder.", name)
	}
	s.Channel = nil
	return &configservice.DeleteDeliveryChannelOutput{}, nil
}

func deliverConfigSnapshot(c *call, in *configservice.DeliverConfigSnapshotInput) (*configservice.DeliverConfigSnapshotOutput, error) {
	s := &c.here().Config
	name := aws.ToString(in.DeliveryChannelName)
	r := s.customerRecorder()
	switch {
	case s.Channel == nil || s.Channel.Name != name:
		return nil, noSuchChannel(name)
	case r == nil:
		return nil, apiError("NoAvailableConfigurationRecorderException", "Configuration recorder is not available to deliver a snapshot.")
	case !r.Recording:
		return nil, apiError("NoRunningConfigurationRecorderException", "There is no configuration recorder running.")
	}
	return &configservice.DeliverConfigSnapshotOutput{ConfigSnapshotId: aws.String(c.w.uuid())}, nil
}
