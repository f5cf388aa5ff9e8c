package sim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
)

// AWS::Config::ConfigurationRecorder and AWS::Config::DeliveryChannel wait for
// each other: the channel cannot be put before there is a recorder, and the
// recorder cannot be started before there is a channel. CloudFormation makes
// both at once, and starts the recorder as soon as the channel is there; a
// DependsOn between them, in either direction, never finishes.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-config-configurationrecorder.html
//
// Neither type supports drift detection, so they have no read.
var cfnRecorder = resourceType{
	name: "Name", nameLength: 256,
	required:   []string{"RoleARN"},
	properties: []string{"RecordingGroup", "RecordingMode"},
	replace:    []string{"Name"},
	create:     createRecorder,
	update:     putRecorder,
	delete:     deleteRecorder,
}

var cfnChannel = resourceType{
	name: "Name", nameLength: 256,
	required:   []string{"S3BucketName"},
	properties: []string{"ConfigSnapshotDeliveryProperties", "S3KeyPrefix", "S3KmsKeyArn", "SnsTopicARN"},
	replace:    []string{"Name"},
	create:     createChannel,
	update:     putChannel,
	delete:     deleteChannel,
}

func createRecorder(p *provision) error {
	if p.res.Physical == "" {
		p.res.Attrs = map[string]string{"name": p.generateName()}
		if err := putRecorder(p); err != nil {
			return err
		}
		p.res.Physical = p.res.Attrs["name"]
	}
	err := try(p, "Config Service", "StartConfigurationRecorder", &configservice.StartConfigurationRecorderInput{ConfigurationRecorderName: &p.res.Physical})
	return waitOn(err, "NoAvailableDeliveryChannelException")
}

func putRecorder(p *provision) error {
	name := p.res.Physical
	if name == "" {
		name = p.res.Attrs["name"]
	}
	r := &types.ConfigurationRecorder{Name: &name, RoleARN: p.props.opt("RoleARN")}
	if err := bind(p.props["RecordingGroup"], &r.RecordingGroup); err != nil {
		return err
	}
	if err := bind(p.props["RecordingMode"], &r.RecordingMode); err != nil {
		return err
	}
	return try(p, "Config Service", "PutConfigurationRecorder", &configservice.PutConfigurationRecorderInput{ConfigurationRecorder: r})
}

func deleteRecorder(p *provision) error {
	const gone = "NoSuchConfigurationRecorderException"
	err := try(p, "Config Service", "StopConfigurationRecorder", &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: &p.res.Physical})
	if ignore(err, gone) != nil {
		return err
	}
	err = try(p, "Config Service", "DeleteConfigurationRecorder", &configservice.DeleteConfigurationRecorderInput{ConfigurationRecorderName: &p.res.Physical})
	return ignore(err, gone)
}

func createChannel(p *provision) error {
	if p.res.Attrs == nil {
		p.res.Attrs = map[string]string{"name": p.generateName()}
	}
	// With a recorder in the same stack, the recorder is put first. That is
	// why an account that has both already reports the recorder.
	for _, r := range p.stack.Resources {
		if r.Type == "AWS::Config::ConfigurationRecorder" && r.Status == "CREATE_IN_PROGRESS" && r.Physical == "" {
			return waiting{&resourceCallError{service: "Config Service", err: apiError("NoAvailableConfigurationRecorderException", "Configuration recorder is not available to put delivery channel.")}}
		}
	}
	if err := putChannel(p); err != nil {
		return waitOn(err, "NoAvailableConfigurationRecorderException")
	}
	p.res.Physical = p.res.Attrs["name"]
	return nil
}

func putChannel(p *provision) error {
	ch := &types.DeliveryChannel{
		Name:         aws.String(p.res.Attrs["name"]),
		S3BucketName: p.props.opt("S3BucketName"),
		S3KeyPrefix:  p.props.opt("S3KeyPrefix"),
		S3KmsKeyArn:  p.props.opt("S3KmsKeyArn"),
		SnsTopicARN:  p.props.opt("SnsTopicARN"),
	}
	if err := bind(p.props["ConfigSnapshotDeliveryProperties"], &ch.ConfigSnapshotDeliveryProperties); err != nil {
		return err
	}
	return try(p, "Config Service", "PutDeliveryChannel", &configservice.PutDeliveryChannelInput{DeliveryChannel: ch})
}

// deleteChannel waits for a recorder of the same stack to stop: AWS Config
// keeps the last channel while a recorder runs.
func deleteChannel(p *provision) error {
	err := try(p, "Config Service", "DeleteDeliveryChannel", &configservice.DeleteDeliveryChannelInput{DeliveryChannelName: &p.res.Physical})
	return ignore(waitOn(err, "LastDeliveryChannelDeleteFailedException"), "NoSuchDeliveryChannelException")
}
