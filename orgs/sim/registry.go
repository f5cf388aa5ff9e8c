package sim

import (
	"fmt"

	"github.com/aws/smithy-go"
)

// access says whether an operation changes anything.
type access bool

const (
	read  access = false
	write access = true
)

// service is one AWS service as the world knows it.
type service struct {
	prefix string // IAM action prefix and CloudTrail event source, e.g. "config"
	source string // CloudTrail event source without its domain, when it is not prefix
	global bool   // one endpoint for all Regions: events appear in the partition's global Region
	ops    map[string]operation
}

// operation is one API operation. run is given the SDK's typed input and
// returns the SDK's typed output or an error with an API error code.
type operation struct {
	access   access
	resource func(c *call, in any) string // ARN the call acts on, for policies; nil: "*"
	action   string                       // IAM action when it is not prefix:Operation
	input    func() any                   // an empty input
	run      func(c *call, in any) (any, error)
}

// op makes an operation of a typed function.
func op[I, O any](a access, run func(*call, *I) (*O, error)) operation {
	return operation{access: a, input: func() any { return new(I) }, run: func(c *call, in any) (any, error) {
		typed, ok := in.(*I)
		if !ok {
			return nil, fmt.Errorf("sandbox: %s:%s got %T", c.service, c.op, in)
		}
		out, err := run(c, typed)
		if err != nil {
			return nil, err // a typed nil in an interface would look like a result
		}
		return out, nil
	}}
}

// on gives the operation the resource it acts on.
func on[I any](o operation, resource func(*call, *I) string) operation {
	o.resource = func(c *call, in any) string { return resource(c, in.(*I)) }
	return o
}

// services is every service the world has, by the SDK's service id.
var services = map[string]service{
	"Organizations":  {prefix: "organizations", global: true, ops: organizationsOps},
	"STS":            {prefix: "sts", ops: stsOps},
	"IAM":            {prefix: "iam", global: true, ops: iamOps},
	"Account":        {prefix: "account", global: true, ops: accountOps},
	"CloudFormation": {prefix: "cloudformation", ops: cloudformationOps},
	"Config Service": {prefix: "config", ops: configOps},
	"EventBridge":    {prefix: "events", ops: eventsOps},
	"SNS":            {prefix: "sns", ops: snsOps},
	"SQS":            {prefix: "sqs", ops: sqsOps},
	"S3":             {prefix: "s3", ops: s3Ops},
	"KMS":            {prefix: "kms", ops: kmsOps},
	"SFN":            {prefix: "states", ops: statesOps},
	"CloudTrail":     {prefix: "cloudtrail", ops: cloudtrailOps},
	"SSM":            {prefix: "ssm", ops: ssmOps},
	"AccessAnalyzer": {prefix: "access-analyzer", ops: accessanalyzerOps},
	"chatbot":        {prefix: "chatbot", ops: chatbotOps},
	"ControlTower":   {prefix: "controltower", ops: controltowerOps},
	"EC2":            {prefix: "ec2", ops: ec2Ops},
	"S3 Control":     {prefix: "s3", ops: s3controlOps},

	"CloudWatch":      {prefix: "cloudwatch", source: "monitoring", ops: cloudwatchOps},
	"CloudWatch Logs": {prefix: "logs", ops: logsOps},
	"GuardDuty":       {prefix: "guardduty", ops: guarddutyOps},
	"SecurityHub":     {prefix: "securityhub", ops: securityhubOps},
	"Lambda":          {prefix: "lambda", ops: lambdaOps},
	"Scheduler":       {prefix: "scheduler", ops: schedulerOps},
}

// apiError is an error with an AWS error code, as the SDK would have decoded it.
func apiError(code, format string, args ...any) error {
	return &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}

// accessDenied is the refusal of a caller.
func accessDenied(format string, args ...any) error {
	return apiError("AccessDeniedException", format, args...)
}
