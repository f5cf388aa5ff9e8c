package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Function is a function of AWS Lambda whose code is Go and that no API made: whoever
// made the world gives it some.
type Function struct {
	Role string // the ARN of the role that the code works with
	// Code is the function's: it is given the identity that it has in the world. The
	// type of its error is the name that the caller sees, as with aws-lambda-go.
	Code func(ctx context.Context, as Principal, event []byte) ([]byte, error)
}

// Program is what functions run that were made by the API or by CloudFormation: the
// world cannot run what is in their packages. It is given the function's environment
// and the identity that it has in the world; ctx ends when the function's time is up. What
// it writes to log is read for metrics, as CloudWatch reads a function's log.
type Program func(ctx context.Context, as Principal, env map[string]string, event []byte, log io.Writer) ([]byte, error)

const lambdaService = "lambda.amazonaws.com"

// SetFunction puts a function into the world, by its ARN.
func (w *World) SetFunction(arn string, f Function) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.functions == nil {
		w.functions = map[string]Function{}
	}
	w.functions[arn] = f
}

// SetProgram says what functions run that were made by the API.
func (w *World) SetProgram(p Program) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.program = p
}

// functionError is what a function answered instead of a result.
type functionError struct{ name, message string }

func (e *functionError) Error() string { return e.name + ": " + e.message }

// cause is the error as the payload of an answer has it.
func (e *functionError) cause() string {
	return jsonText(map[string]string{"errorMessage": e.message, "errorType": e.name})
}

// runFunction runs a function once on an event. The world goes on while the code runs:
// it makes calls of its own. Invocations and Errors count in CloudWatch.
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
func (c *call) runFunction(arn string, event []byte) ([]byte, error) {
	w := c.w
	name := arn[strings.LastIndexByte(arn, ':')+1:]
	own, given := w.functions[arn]
	f := w.functionAt(arn)
	role, ctx := own.Role, c.ctx
	var env map[string]string
	switch {
	case given:
	case f == nil:
		return nil, noFunction(arn)
	case f.Reserved != nil && *f.Reserved == 0:
		return nil, &types.TooManyRequestsException{Message: aws.String("Rate Exceeded."), Reason: types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded}
	case w.program == nil:
		return nil, apiError("ServiceException", "The sandbox has no program for functions.")
	default:
		role = aws.ToString(f.Settings.Role)
		_, region, _, _, _ := arnParts(arn)
		env = map[string]string{"AWS_REGION": region, "AWS_LAMBDA_FUNCTION_NAME": name}
		if f.Settings.Environment != nil {
			maps.Copy(env, f.Settings.Environment.Variables)
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(aws.ToInt32(f.Settings.Timeout))*time.Second)
		defer cancel()
	}
	_, region, account, _, _ := arnParts(arn)
	if why := w.assumable(role, lambdaService, account, arn, c.now); why != "" {
		return nil, apiError("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.")
	}
	as, program := w.sessionOf(role, name), w.program
	var log bytes.Buffer
	w.mu.Unlock()
	var out []byte
	var err error
	if given {
		out, err = own.Code(ctx, as, event)
	} else {
		out, err = program(ctx, as, env, event, &log)
	}
	w.mu.Lock()
	dimensions := map[string]string{"FunctionName": name}
	w.measure(account, region, "AWS/Lambda", "Invocations", dimensions, 1, w.now(), rareHours)
	w.embedded(account, region, log.Bytes())
	w.dirty()
	if err != nil {
		w.measure(account, region, "AWS/Lambda", "Errors", dimensions, 1, w.now(), rareHours)
		kind := reflect.TypeOf(err)
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		return nil, &functionError{kind.Name(), err.Error()}
	}
	return out, nil
}

// invokeByName is the API's Invoke. An event that nobody waits for is handled at once
// here, retries included, and what fails in the end goes to the destination for
// failures.
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
func invokeByName(c *call, in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
	arn := c.functionARN(aws.ToString(in.FunctionName))
	event := in.Payload
	if len(event) == 0 {
		event = []byte("null")
	}
	if !json.Valid(event) {
		return nil, &types.InvalidRequestContentException{Message: aws.String("Could not parse request body into json"), Type: aws.String("User")}
	}
	f := c.w.functionAt(arn)
	if f == nil || arnAccount(arn) != c.caller.Account {
		return nil, noFunction(arn)
	}
	switch in.InvocationType {
	case types.InvocationTypeDryRun:
		return &lambda.InvokeOutput{StatusCode: 204}, nil
	case types.InvocationTypeEvent:
		c.runLater(arn, f, event)
		return &lambda.InvokeOutput{StatusCode: 202}, nil
	}
	out, err := c.runFunction(arn, event)
	if failure := (*functionError)(nil); errors.As(err, &failure) {
		return &lambda.InvokeOutput{StatusCode: 200, ExecutedVersion: aws.String("$LATEST"), FunctionError: aws.String("Unhandled"), Payload: []byte(failure.cause())}, nil
	}
	if err != nil {
		return nil, err
	}
	return &lambda.InvokeOutput{StatusCode: 200, ExecutedVersion: aws.String("$LATEST"), Payload: out}, nil
}

// runLater handles an event that nobody waits for.
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
func (c *call) runLater(arn string, f *lambdaFunction, event []byte) {
	conf := f.async()
	var err error
	for range conf.Attempts + 1 {
		if _, err = c.runFunction(arn, event); err == nil {
			return
		}
	}
	if conf.OnFailure == "" {
		return
	}
	service, region, account, name, _ := arnParts(conf.OnFailure)
	if service != "sqs" {
		return // other destinations are not modelled
	}
	response := map[string]any{"errorMessage": err.Error()}
	if failure := (*functionError)(nil); errors.As(err, &failure) {
		response = map[string]any{"errorMessage": failure.message, "errorType": failure.name}
	}
	body := jsonText(map[string]any{
		"version": "1.0", "timestamp": c.now.UTC().Format("2006-01-02T15:04:05.000Z"),
		"requestContext": map[string]any{"requestId": c.w.uuid(), "functionArn": arn + ":$LATEST", "condition": "RetriesExhausted", "approximateInvokeCount": conf.Attempts + 1},
		"requestPayload": json.RawMessage(event), "responseContext": map[string]any{"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
		"responsePayload": response,
	})
	url := c.w.queueURL(account, region, name)
	role := c.w.sessionOf(aws.ToString(f.Settings.Role), aws.ToString(f.Settings.FunctionName))
	// The role that may not send loses the event, as in AWS.
	_, _ = c.as(role, region, "SQS", "SendMessage", &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
}

// laterEvent is an event that a service handed to a function, and that waits until the
// call that caused it is answered: the function makes calls of its own.
type laterEvent struct {
	Function string `json:"function"`
	Event    string `json:"event"`
}

// maxLater bounds what waits, and so what functions can set off by what they do.
const maxLater = 1000

// invokeLater is an event of EventBridge for a function, whose policy has to let it in.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
func (w *World) invokeLater(d delivery, arn, payload string) (code, why string) {
	f := w.functionAt(arn)
	if f == nil {
		return failNoResource, "the function " + arn + " does not exist"
	}
	request := policyRequest{servicePrincipal(eventsService, d.account), "lambda:InvokeFunction", arn, w.serviceContext(eventsService, d.account, d.ruleARN, d.now)}
	if w.judge(f.policy(), request) != allows {
		return failNoPermission, "the policy of the function does not admit EventBridge"
	}
	if len(w.state.Later) < maxLater {
		w.state.Later = append(w.state.Later, laterEvent{arn, payload})
	}
	w.dirty()
	return "", ""
}

// runWaiting handles what waits for functions. A world without a program for them, as
// tools have it that only set something up, leaves it to the next one that has.
func (w *World) runWaiting(c *call) {
	if w.busy || w.program == nil {
		return
	}
	w.busy = true
	defer func() { w.busy = false }()
	for range maxLater {
		if len(w.state.Later) == 0 {
			return
		}
		e := w.state.Later[0]
		w.state.Later = slices.Clone(w.state.Later[1:])
		if f := w.functionAt(e.Function); f != nil {
			sub := *c
			sub.ctx, sub.now = context.WithoutCancel(c.ctx), w.now()
			sub.runLater(e.Function, f, []byte(e.Event))
		}
	}
}

// invokeFunction is the integration lambda:invoke.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html
func invokeFunction(c *call, p Principal, _ string, parameters any) (any, error) {
	m, _ := parameters.(map[string]any)
	arn, _ := m["FunctionName"].(string)
	if err := c.w.authorize(c.sub(p, "SFN"), "lambda:InvokeFunction", arn); err != nil {
		return nil, err
	}
	out, err := c.runFunction(arn, []byte(encodeJSON(m["Payload"])))
	if failure := (*functionError)(nil); errors.As(err, &failure) {
		return nil, &stateFailure{failure.name, failure.cause()}
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{"ExecutedVersion": "$LATEST", "StatusCode": json.Number("200"), "Payload": decodeJSON(string(out))}, nil
}
