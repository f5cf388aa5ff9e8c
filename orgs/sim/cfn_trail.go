package sim

import (
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	trailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	watchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudtrail-trail.html
var cfnTrail = resourceType{
	name: "TrailName", nameLength: 128,
	required: []string{"IsLogging"},
	properties: []string{
		"AdvancedEventSelectors", "CloudWatchLogsLogGroupArn", "CloudWatchLogsRoleArn", "EnableLogFileValidation", "EventSelectors", "IncludeGlobalServiceEvents",
		"IsMultiRegionTrail", "IsOrganizationTrail", "KMSKeyId", "S3BucketName", "S3KeyPrefix",
	},
	replace: []string{"TrailName"},
	attrs:   []string{"Arn", "SnsTopicArn"},
	tagged:  true,
	create:  createCFNTrail,
	update:  updateCFNTrail,
	delete: func(p *provision) error {
		err := try(p, "CloudTrail", "DeleteTrail", &cloudtrail.DeleteTrailInput{Name: &p.res.Physical})
		return ignore(err, "TrailNotFoundException")
	},
	read: func(p *provision) (map[string]any, error) {
		trail, err := perform[cloudtrail.GetTrailOutput](p, "CloudTrail", "GetTrail", &cloudtrail.GetTrailInput{Name: &p.res.Physical})
		if err != nil {
			return nil, err
		}
		status, err := perform[cloudtrail.GetTrailStatusOutput](p, "CloudTrail", "GetTrailStatus", &cloudtrail.GetTrailStatusInput{Name: &p.res.Physical})
		if err != nil {
			return nil, err
		}
		t := trail.Trail
		return map[string]any{
			"IsLogging": aws.ToBool(status.IsLogging), "EnableLogFileValidation": aws.ToBool(t.LogFileValidationEnabled), "IsMultiRegionTrail": aws.ToBool(t.IsMultiRegionTrail),
			"IsOrganizationTrail": aws.ToBool(t.IsOrganizationTrail), "S3BucketName": aws.ToString(t.S3BucketName),
		}, nil
	},
}

func trailTags(p *provision) []trailtypes.Tag {
	return tagsOf(p.tags(), func(k, v *string) trailtypes.Tag { return trailtypes.Tag{Key: k, Value: v} })
}

func createCFNTrail(p *provision) error {
	name, q := p.generateName(), p.props
	in := &cloudtrail.CreateTrailInput{
		Name: &name, S3BucketName: q.opt("S3BucketName"), S3KeyPrefix: q.opt("S3KeyPrefix"), KmsKeyId: q.opt("KMSKeyId"), CloudWatchLogsLogGroupArn: q.opt("CloudWatchLogsLogGroupArn"),
		CloudWatchLogsRoleArn: q.opt("CloudWatchLogsRoleArn"), EnableLogFileValidation: aws.Bool(q.boolean("EnableLogFileValidation")),
		IncludeGlobalServiceEvents: aws.Bool(!q.has("IncludeGlobalServiceEvents") || q.boolean("IncludeGlobalServiceEvents")),
		IsMultiRegionTrail:         aws.Bool(q.boolean("IsMultiRegionTrail")), IsOrganizationTrail: aws.Bool(q.boolean("IsOrganizationTrail")), TagsList: trailTags(p),
	}
	out, err := perform[cloudtrail.CreateTrailOutput](p, "CloudTrail", "CreateTrail", in)
	if hasCode(err, "TrailAlreadyExistsException") {
		return p.alreadyExists(name)
	}
	if err != nil {
		return err
	}
	// In the account of a delegated administrator the name alone would not do.
	p.res.Physical = name
	if aws.ToString(out.TrailARN) != p.arn("cloudtrail", "trail/"+name) {
		p.res.Physical = aws.ToString(out.TrailARN)
	}
	p.set("Arn", aws.ToString(out.TrailARN))
	return setTrail(p)
}

// setTrail sets what CreateTrail and UpdateTrail do not.
func setTrail(p *provision) error {
	if p.changed("EventSelectors") || p.changed("AdvancedEventSelectors") {
		in := &cloudtrail.PutEventSelectorsInput{TrailName: &p.res.Physical}
		if err := bind(p.props["EventSelectors"], &in.EventSelectors); err != nil {
			return err
		}
		if err := bind(p.props["AdvancedEventSelectors"], &in.AdvancedEventSelectors); err != nil {
			return err
		}
		if len(in.EventSelectors)+len(in.AdvancedEventSelectors) == 0 {
			in.EventSelectors = defaultSelectors()
		}
		if err := try(p, "CloudTrail", "PutEventSelectors", in); err != nil {
			return err
		}
	}
	switch want, had := p.props.boolean("IsLogging"), p.old.boolean("IsLogging"); {
	case want && !had:
		return try(p, "CloudTrail", "StartLogging", &cloudtrail.StartLoggingInput{Name: &p.res.Physical})
	case !want && had:
		return try(p, "CloudTrail", "StopLogging", &cloudtrail.StopLoggingInput{Name: &p.res.Physical})
	}
	return nil
}

func updateCFNTrail(p *provision) error {
	q := p.props
	clear := func(name string) *string { return aws.String(q.text(name)) } // "" takes it away
	in := &cloudtrail.UpdateTrailInput{
		Name: &p.res.Physical, S3BucketName: q.opt("S3BucketName"), S3KeyPrefix: clear("S3KeyPrefix"), KmsKeyId: clear("KMSKeyId"),
		CloudWatchLogsLogGroupArn: clear("CloudWatchLogsLogGroupArn"), CloudWatchLogsRoleArn: clear("CloudWatchLogsRoleArn"),
		EnableLogFileValidation: aws.Bool(q.boolean("EnableLogFileValidation")), IsMultiRegionTrail: aws.Bool(q.boolean("IsMultiRegionTrail")),
		IncludeGlobalServiceEvents: aws.Bool(!q.has("IncludeGlobalServiceEvents") || q.boolean("IncludeGlobalServiceEvents")), IsOrganizationTrail: aws.Bool(q.boolean("IsOrganizationTrail")),
	}
	if err := try(p, "CloudTrail", "UpdateTrail", in); err != nil {
		return err
	}
	if err := try(p, "CloudTrail", "AddTags", &cloudtrail.AddTagsInput{ResourceId: aws.String(p.res.Attrs["Arn"]), TagsList: trailTags(p)}); err != nil {
		return err
	}
	return setTrail(p)
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-logs-loggroup.html
var cfnLogGroup = resourceType{
	name: "LogGroupName", nameLength: 512,
	properties: []string{"DeletionProtectionEnabled", "KmsKeyId", "LogGroupClass", "RetentionInDays"},
	replace:    []string{"LogGroupName"},
	attrs:      []string{"Arn"},
	tagged:     true,
	create: func(p *provision) error {
		name := p.generateName()
		err := try(p, "CloudWatch Logs", "CreateLogGroup", &cloudwatchlogs.CreateLogGroupInput{
			LogGroupName: &name, KmsKeyId: p.props.opt("KmsKeyId"), LogGroupClass: logstypes.LogGroupClass(p.props.text("LogGroupClass")), Tags: p.tags(),
			DeletionProtectionEnabled: aws.Bool(p.props.boolean("DeletionProtectionEnabled")),
		})
		if hasCode(err, "ResourceAlreadyExistsException") {
			return p.alreadyExists(name)
		}
		if err != nil {
			return err
		}
		p.res.Physical = name
		p.set("Arn", p.arn("logs", "log-group:"+name+":*"))
		return retainGroup(p)
	},
	update: func(p *provision) error {
		if err := errors.Join(retainGroup(p), encryptGroup(p)); err != nil {
			return err
		}
		return try(p, "CloudWatch Logs", "TagResource", &cloudwatchlogs.TagResourceInput{ResourceArn: aws.String(strings.TrimSuffix(p.res.Attrs["Arn"], ":*")), Tags: p.tags()})
	},
	delete: func(p *provision) error {
		err := try(p, "CloudWatch Logs", "DeleteLogGroup", &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &p.res.Physical})
		return ignore(err, "ResourceNotFoundException")
	},
	read: func(p *provision) (map[string]any, error) {
		out, err := perform[cloudwatchlogs.DescribeLogGroupsOutput](p, "CloudWatch Logs", "DescribeLogGroups", &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &p.res.Physical})
		if err != nil {
			return nil, err
		}
		for _, g := range out.LogGroups {
			if aws.ToString(g.LogGroupName) == p.res.Physical {
				live := map[string]any{}
				if g.RetentionInDays != nil {
					live["RetentionInDays"] = float64(*g.RetentionInDays)
				}
				if g.KmsKeyId != nil {
					live["KmsKeyId"] = *g.KmsKeyId
				}
				return live, nil
			}
		}
		return nil, &logstypes.ResourceNotFoundException{Message: aws.String("The specified log group does not exist.")}
	},
}

func encryptGroup(p *provision) error {
	switch {
	case !p.changed("KmsKeyId"):
		return nil
	case !p.props.has("KmsKeyId"):
		return try(p, "CloudWatch Logs", "DisassociateKmsKey", &cloudwatchlogs.DisassociateKmsKeyInput{LogGroupName: &p.res.Physical})
	}
	return try(p, "CloudWatch Logs", "AssociateKmsKey", &cloudwatchlogs.AssociateKmsKeyInput{LogGroupName: &p.res.Physical, KmsKeyId: p.props.opt("KmsKeyId")})
}

func retainGroup(p *provision) error {
	if !p.changed("RetentionInDays") {
		return nil
	}
	if !p.props.has("RetentionInDays") {
		return try(p, "CloudWatch Logs", "DeleteRetentionPolicy", &cloudwatchlogs.DeleteRetentionPolicyInput{LogGroupName: &p.res.Physical})
	}
	in := &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: &p.res.Physical}
	if err := bind(p.props["RetentionInDays"], &in.RetentionInDays); err != nil {
		return err
	}
	return try(p, "CloudWatch Logs", "PutRetentionPolicy", in)
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-logs-metricfilter.html
var cfnMetricFilter = resourceType{
	name: "FilterName", nameLength: 512,
	required:   []string{"FilterPattern", "LogGroupName", "MetricTransformations"},
	properties: []string{"ApplyOnTransformedLogs"},
	replace:    []string{"FilterName", "LogGroupName"},
	create: func(p *provision) error {
		name := p.generateName()
		out, err := perform[cloudwatchlogs.DescribeMetricFiltersOutput](p, "CloudWatch Logs", "DescribeMetricFilters", &cloudwatchlogs.DescribeMetricFiltersInput{
			LogGroupName: p.props.opt("LogGroupName"), FilterNamePrefix: &name,
		})
		if err != nil {
			return err
		}
		for _, f := range out.MetricFilters {
			if aws.ToString(f.FilterName) == name {
				return p.alreadyExists(name)
			}
		}
		if err := putCFNMetricFilter(p, name); err != nil {
			return err
		}
		p.res.Physical = name
		return nil
	},
	update: func(p *provision) error { return putCFNMetricFilter(p, p.res.Physical) },
	delete: func(p *provision) error {
		err := try(p, "CloudWatch Logs", "DeleteMetricFilter", &cloudwatchlogs.DeleteMetricFilterInput{LogGroupName: p.props.opt("LogGroupName"), FilterName: &p.res.Physical})
		return ignore(err, "ResourceNotFoundException")
	},
}

func putCFNMetricFilter(p *provision, name string) error {
	in := &cloudwatchlogs.PutMetricFilterInput{FilterName: &name, LogGroupName: p.props.opt("LogGroupName"), FilterPattern: p.props.opt("FilterPattern")}
	for _, v := range p.props.list("MetricTransformations") {
		q := asProps(v)
		t := logstypes.MetricTransformation{MetricName: q.opt("MetricName"), MetricNamespace: q.opt("MetricNamespace"), MetricValue: q.opt("MetricValue"), Unit: logstypes.StandardUnit(q.text("Unit"))}
		if err := bind(q["DefaultValue"], &t.DefaultValue); err != nil {
			return err
		}
		for _, d := range q.list("Dimensions") {
			if t.Dimensions == nil {
				t.Dimensions = map[string]string{}
			}
			t.Dimensions[asProps(d).text("Key")] = asProps(d).text("Value")
		}
		in.MetricTransformations = append(in.MetricTransformations, t)
	}
	return try(p, "CloudWatch Logs", "PutMetricFilter", in)
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudwatch-alarm.html
var cfnAlarm = resourceType{
	name: "AlarmName", nameLength: 255,
	required: []string{"ComparisonOperator", "EvaluationPeriods"},
	properties: []string{
		"ActionsEnabled", "AlarmActions", "AlarmDescription", "DatapointsToAlarm", "Dimensions", "InsufficientDataActions", "MetricName", "Metrics", "Namespace", "OKActions",
		"Period", "Statistic", "Threshold", "TreatMissingData",
	},
	replace: []string{"AlarmName"},
	attrs:   []string{"Arn"},
	tagged:  true,
	create: func(p *provision) error {
		name := p.generateName()
		out, err := perform[cloudwatch.DescribeAlarmsOutput](p, "CloudWatch", "DescribeAlarms", &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}})
		if err != nil {
			return err
		}
		if len(out.MetricAlarms) > 0 {
			return p.alreadyExists(name)
		}
		if err := putCFNAlarm(p, name); err != nil {
			return err
		}
		p.res.Physical = name
		p.set("Arn", p.arn("cloudwatch", "alarm:"+name))
		return nil
	},
	update: func(p *provision) error { return putCFNAlarm(p, p.res.Physical) },
	delete: func(p *provision) error {
		return try(p, "CloudWatch", "DeleteAlarms", &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{p.res.Physical}})
	},
}

func putCFNAlarm(p *provision, name string) error {
	q := p.props
	in := &cloudwatch.PutMetricAlarmInput{
		AlarmName: &name, AlarmDescription: q.opt("AlarmDescription"), ComparisonOperator: watchtypes.ComparisonOperator(q.text("ComparisonOperator")),
		TreatMissingData: q.opt("TreatMissingData"), Namespace: q.opt("Namespace"), MetricName: q.opt("MetricName"), Statistic: watchtypes.Statistic(q.text("Statistic")),
		AlarmActions: q.texts("AlarmActions"), OKActions: q.texts("OKActions"), InsufficientDataActions: q.texts("InsufficientDataActions"),
		ActionsEnabled: aws.Bool(!q.has("ActionsEnabled") || q.boolean("ActionsEnabled")),
		Tags:           tagsOf(p.tags(), func(k, v *string) watchtypes.Tag { return watchtypes.Tag{Key: k, Value: v} }),
	}
	for property, into := range map[string]any{
		"EvaluationPeriods": &in.EvaluationPeriods, "DatapointsToAlarm": &in.DatapointsToAlarm, "Threshold": &in.Threshold, "Period": &in.Period,
		"Metrics": &in.Metrics, "Dimensions": &in.Dimensions,
	} {
		if err := bind(q[property], into); err != nil {
			return err
		}
	}
	return try(p, "CloudWatch", "PutMetricAlarm", in)
}
