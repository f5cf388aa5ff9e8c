package sim

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
)

// functionSettings is the properties of a function that are parameters of the same
// name.
var functionSettings = []string{"Description", "Environment", "EphemeralStorage", "Handler", "LoggingConfig", "MemorySize", "Role", "Runtime", "Timeout", "TracingConfig"}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html
var cfnFunction = resourceType{
	name: "FunctionName", nameLength: 64,
	required:   []string{"Code", "Role"},
	properties: []string{"Architectures", "Description", "Environment", "EphemeralStorage", "Handler", "LoggingConfig", "MemorySize", "ReservedConcurrentExecutions", "Runtime", "Timeout", "TracingConfig"},
	replace:    []string{"FunctionName"},
	attrs:      []string{"Arn"},
	tagged:     true,
	create:     createCFNFunction,
	update:     updateCFNFunction,
	delete: func(p *provision) error {
		err := try(p, "Lambda", "DeleteFunction", &lambda.DeleteFunctionInput{FunctionName: &p.res.Physical})
		return ignore(err, "ResourceNotFoundException")
	},
	read: func(p *provision) (map[string]any, error) {
		out, err := perform[lambda.GetFunctionOutput](p, "Lambda", "GetFunction", &lambda.GetFunctionInput{FunctionName: &p.res.Physical})
		if err != nil {
			return nil, err
		}
		f := out.Configuration
		live := map[string]any{
			"Role": aws.ToString(f.Role), "Handler": aws.ToString(f.Handler), "Runtime": string(f.Runtime), "Timeout": aws.ToInt32(f.Timeout), "MemorySize": aws.ToInt32(f.MemorySize),
			"Description": aws.ToString(f.Description),
		}
		if out.Concurrency != nil {
			live["ReservedConcurrentExecutions"] = aws.ToInt32(out.Concurrency.ReservedConcurrentExecutions)
		}
		if f.Environment != nil {
			live["Environment"] = map[string]any{"Variables": f.Environment.Variables}
		}
		return live, nil
	},
}

// bindAll binds properties to the fields of the same names.
func bindAll(q props, names []string, into any) error {
	chosen := map[string]any{}
	for _, n := range names {
		if q.has(n) {
			chosen[n] = q[n]
		}
	}
	return bind(chosen, into)
}

func createCFNFunction(p *provision) error {
	name := p.generateName()
	in := &lambda.CreateFunctionInput{FunctionName: &name, Tags: p.tags()}
	if err := bindAll(p.props, append([]string{"Architectures", "Code"}, functionSettings...), in); err != nil {
		return err
	}
	out, err := perform[lambda.CreateFunctionOutput](p, "Lambda", "CreateFunction", in)
	if err != nil {
		return err
	}
	p.res.Physical = name
	p.set("Arn", aws.ToString(out.FunctionArn))
	if err := reserve(p); err != nil {
		return err
	}
	// The handler waits until the function is active.
	return try(p, "Lambda", "GetFunction", &lambda.GetFunctionInput{FunctionName: &name})
}

// reserve sets the function's reserved concurrency, or takes it away.
func reserve(p *provision) error {
	const name = "ReservedConcurrentExecutions"
	switch {
	case p.props.has(name):
		in := &lambda.PutFunctionConcurrencyInput{FunctionName: &p.res.Physical}
		if err := bindAll(p.props, []string{name}, in); err != nil {
			return err
		}
		return try(p, "Lambda", "PutFunctionConcurrency", in)
	case p.old.has(name):
		return try(p, "Lambda", "DeleteFunctionConcurrency", &lambda.DeleteFunctionConcurrencyInput{FunctionName: &p.res.Physical})
	}
	return nil
}

func updateCFNFunction(p *provision) error {
	differs := func(names ...string) bool {
		for _, n := range names {
			if jsonText(p.old[n]) != jsonText(p.props[n]) {
				return true
			}
		}
		return false
	}
	if differs("Architectures", "Code") {
		code := p.props.obj("Code")
		in := &lambda.UpdateFunctionCodeInput{FunctionName: &p.res.Physical, S3Bucket: code.opt("S3Bucket"), S3Key: code.opt("S3Key"), S3ObjectVersion: code.opt("S3ObjectVersion")}
		if err := bindAll(p.props, []string{"Architectures"}, in); err != nil {
			return err
		}
		if err := try(p, "Lambda", "UpdateFunctionCode", in); err != nil {
			return err
		}
	}
	if differs(functionSettings...) {
		in := &lambda.UpdateFunctionConfigurationInput{FunctionName: &p.res.Physical}
		if err := bindAll(p.props, functionSettings, in); err != nil {
			return err
		}
		if err := try(p, "Lambda", "UpdateFunctionConfiguration", in); err != nil {
			return err
		}
	}
	if differs("ReservedConcurrentExecutions") {
		if err := reserve(p); err != nil {
			return err
		}
	}
	arn := aws.String(p.res.Attrs["Arn"])
	if gone := p.goneTags(); len(gone) > 0 {
		if err := try(p, "Lambda", "UntagResource", &lambda.UntagResourceInput{Resource: arn, TagKeys: gone}); err != nil {
			return err
		}
	}
	return try(p, "Lambda", "TagResource", &lambda.TagResourceInput{Resource: arn, Tags: p.tags()})
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-eventinvokeconfig.html
var cfnInvokeConfig = resourceType{
	required:   []string{"FunctionName", "Qualifier"},
	properties: []string{"DestinationConfig", "MaximumEventAgeInSeconds", "MaximumRetryAttempts"},
	replace:    []string{"FunctionName", "Qualifier"},
	create: func(p *provision) error {
		_, err := perform[lambda.GetFunctionEventInvokeConfigOutput](p, "Lambda", "GetFunctionEventInvokeConfig", &lambda.GetFunctionEventInvokeConfigInput{FunctionName: p.props.opt("FunctionName")})
		if err == nil {
			return p.alreadyExists(p.props.text("FunctionName") + "|" + p.props.text("Qualifier"))
		}
		if err := putCFNInvokeConfig(p); err != nil {
			return err
		}
		p.res.Physical = p.props.text("FunctionName") + "|" + p.props.text("Qualifier")
		return nil
	},
	update: putCFNInvokeConfig,
	delete: func(p *provision) error {
		name, _, _ := strings.Cut(p.res.Physical, "|")
		err := try(p, "Lambda", "DeleteFunctionEventInvokeConfig", &lambda.DeleteFunctionEventInvokeConfigInput{FunctionName: &name})
		return ignore(err, "ResourceNotFoundException")
	},
	read: func(p *provision) (map[string]any, error) {
		out, err := perform[lambda.GetFunctionEventInvokeConfigOutput](p, "Lambda", "GetFunctionEventInvokeConfig", &lambda.GetFunctionEventInvokeConfigInput{FunctionName: p.props.opt("FunctionName")})
		if err != nil {
			return nil, err
		}
		return map[string]any{"MaximumRetryAttempts": aws.ToInt32(out.MaximumRetryAttempts), "MaximumEventAgeInSeconds": aws.ToInt32(out.MaximumEventAgeInSeconds)}, nil
	},
}

func putCFNInvokeConfig(p *provision) error {
	in := &lambda.PutFunctionEventInvokeConfigInput{}
	if err := bindAll(p.props, []string{"DestinationConfig", "FunctionName", "MaximumEventAgeInSeconds", "MaximumRetryAttempts"}, in); err != nil {
		return err
	}
	return try(p, "Lambda", "PutFunctionEventInvokeConfig", in)
}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-permission.html
var cfnPermission = resourceType{
	required:   []string{"Action", "FunctionName", "Principal"},
	properties: []string{"SourceAccount", "SourceArn"},
	create: func(p *provision) error {
		in := &lambda.AddPermissionInput{StatementId: aws.String(p.generateName())}
		if err := bindAll(p.props, []string{"Action", "FunctionName", "Principal", "SourceAccount", "SourceArn"}, in); err != nil {
			return err
		}
		if err := try(p, "Lambda", "AddPermission", in); err != nil {
			return err
		}
		p.res.Physical = *in.StatementId
		return nil
	},
	delete: func(p *provision) error {
		err := try(p, "Lambda", "RemovePermission", &lambda.RemovePermissionInput{FunctionName: p.props.opt("FunctionName"), StatementId: &p.res.Physical})
		return ignore(err, "ResourceNotFoundException")
	},
}

// scheduleSettings is the properties of a schedule, all of which are parameters.
var scheduleSettings = []string{"Description", "EndDate", "FlexibleTimeWindow", "GroupName", "KmsKeyArn", "ScheduleExpression", "ScheduleExpressionTimezone", "StartDate", "State", "Target"}

// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-scheduler-schedule.html
var cfnSchedule = resourceType{
	name: "Name", nameLength: 64,
	required:   []string{"FlexibleTimeWindow", "ScheduleExpression", "Target"},
	properties: scheduleSettings,
	replace:    []string{"Name"},
	attrs:      []string{"Arn"},
	create: func(p *provision) error {
		in := &scheduler.CreateScheduleInput{Name: aws.String(p.generateName())}
		if err := bindAll(p.props, scheduleSettings, in); err != nil {
			return err
		}
		out, err := perform[scheduler.CreateScheduleOutput](p, "Scheduler", "CreateSchedule", in)
		if err != nil {
			return err
		}
		p.res.Physical = *in.Name
		p.set("Arn", aws.ToString(out.ScheduleArn))
		return nil
	},
	update: func(p *provision) error {
		in := &scheduler.UpdateScheduleInput{Name: &p.res.Physical}
		if err := bindAll(p.props, scheduleSettings, in); err != nil {
			return err
		}
		return try(p, "Scheduler", "UpdateSchedule", in)
	},
	delete: func(p *provision) error {
		err := try(p, "Scheduler", "DeleteSchedule", &scheduler.DeleteScheduleInput{Name: &p.res.Physical})
		return ignore(err, "ResourceNotFoundException")
	},
	read: func(p *provision) (map[string]any, error) {
		out, err := perform[scheduler.GetScheduleOutput](p, "Scheduler", "GetSchedule", &scheduler.GetScheduleInput{Name: &p.res.Physical})
		if err != nil {
			return nil, err
		}
		return map[string]any{"ScheduleExpression": aws.ToString(out.ScheduleExpression), "State": string(out.State), "Description": aws.ToString(out.Description)}, nil
	},
}
