package sim

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// taskCall is a service integration: the call a Task state makes.
type taskCall struct {
	errors string // what the names of its errors start with
	run    func(c *call, p Principal, region string, parameters any) (any, error)
}

// integration makes a taskCall of an operation. texts are the parameters that
// take text and turn JSON into it.
func integration[I any](prefix, service, op string, texts ...string) taskCall {
	return taskCall{prefix, func(c *call, p Principal, region string, parameters any) (any, error) {
		if m, ok := parameters.(map[string]any); ok {
			for _, name := range texts {
				if v, has := m[name]; has {
					m[name] = textOf(v)
				}
			}
		}
		in := new(I)
		d := json.NewDecoder(strings.NewReader(encodeJSON(parameters)))
		d.DisallowUnknownFields()
		if err := d.Decode(in); err != nil {
			return nil, failed("States.Runtime", "The parameters of the task are not valid: %v", err)
		}
		out, err := c.as(p, region, service, op, in)
		if err != nil {
			return nil, err
		}
		return sent(decodeJSON(encodeJSON(out))), nil
	}}
}

// sent removes from an SDK result what the service did not send.
func sent(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "ResultMetadata")
		for k, e := range v {
			if e = sent(e); e == nil || e == "" {
				delete(v, k)
			} else {
				v[k] = e
			}
		}
	case []any:
		for i := range v {
			v[i] = sent(v[i])
		}
	}
	return v
}

// taskCalls are the integrations by the resource of the Task state, without
// its partition.
// https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html
var taskCalls = map[string]taskCall{
	"lambda:invoke":                         {"Lambda", invokeFunction},
	"batch:submitJob.sync":                  {"Batch", submitBatchJob},
	"sns:publish":                           integration[sns.PublishInput]("SNS", "SNS", "Publish", "Message"),
	"sqs:sendMessage":                       integration[sqs.SendMessageInput]("SQS", "SQS", "SendMessage", "MessageBody"),
	"states:startExecution":                 integration[sfn.StartExecutionInput]("StepFunctions", "SFN", "StartExecution", "Input"),
	"aws-sdk:sns:publish":                   integration[sns.PublishInput]("Sns", "SNS", "Publish"),
	"aws-sdk:sqs:sendMessage":               integration[sqs.SendMessageInput]("Sqs", "SQS", "SendMessage"),
	"aws-sdk:organizations:describeAccount": integration[organizations.DescribeAccountInput]("Organizations", "Organizations", "DescribeAccount"),
}

// task makes the call of a Task state, as the machine's role or, with
// Credentials, as a role that trusts it.
func (x *execution) task(s *aslState, input, parameters any) (any, *stateFailure) {
	_, _, _, resource, _ := arnParts(s.Resource)
	service, _, _, _, _ := arnParts(s.Resource)
	integrated, ok := taskCalls[resource]
	if service != "states" || !ok {
		return nil, failed("States.Runtime", "The sandbox does not have the task %s.", s.Resource)
	}
	p := x.c.w.sessionOf(x.machine.RoleARN, "StepFunctions")
	if s.Credentials != nil {
		var f *stateFailure
		if p, f = x.assume(s.Credentials, input, p); f != nil {
			return nil, f
		}
	}
	out, err := integrated.run(x.c, p, x.c.region, parameters)
	if err != nil {
		return nil, taskFailure(integrated.errors, err)
	}
	return out, nil
}

// assume gives a task the role that its Credentials name. The role has to
// trust the machine's, and the machine's has to be allowed to assume it.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-access-cross-acct-resources.html
func (x *execution) assume(credentials, input any, p Principal) (Principal, *stateFailure) {
	filled, f := x.template(credentials, input)
	if f != nil {
		return p, f
	}
	m, _ := filled.(map[string]any)
	role, _ := m["RoleArn"].(string)
	in := &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("StepFunctions")}
	if _, err := x.c.as(p, x.c.region, "STS", "AssumeRole", in); err != nil {
		_, message := errorParts(err)
		return p, failed("States.TaskFailed", "The role %s is not authorized to assume the task state's role, %s: %s", p.RoleARN, role, message)
	}
	return x.c.w.sessionOf(role, "StepFunctions"), nil
}

// taskFailure names an error as Step Functions does: Service.CodeException.
func taskFailure(prefix string, err error) *stateFailure {
	var f *stateFailure
	if errors.As(err, &f) {
		return f
	}
	code, message := errorParts(err)
	code = code[strings.LastIndexByte(code, '.')+1:]
	if !strings.HasSuffix(code, "Exception") {
		code += "Exception"
	}
	return &stateFailure{prefix + "." + code, message}
}
