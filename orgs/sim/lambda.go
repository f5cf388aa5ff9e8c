package sim

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
)

// Function is a function of AWS Lambda whose code is Go. The world has no API for
// functions: whoever made the world gives it some, and tasks of state machines can
// invoke them.
type Function struct {
	Role string // the ARN of the role that the code works with
	// Code is the function's: it is given the identity that it has in the world. The
	// type of its error is the name that the caller sees, as with aws-lambda-go.
	Code func(ctx context.Context, as Principal, event []byte) ([]byte, error)
}

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

// invokeFunction is the integration lambda:invoke. The world goes on while the code
// runs: it makes calls of its own.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html
func invokeFunction(c *call, p Principal, _ string, parameters any) (any, error) {
	m, _ := parameters.(map[string]any)
	arn, _ := m["FunctionName"].(string)
	if err := c.w.authorize(c.sub(p, "SFN"), "lambda:InvokeFunction", arn); err != nil {
		return nil, err
	}
	f, ok := c.w.functions[arn]
	if !ok {
		return nil, apiError("ResourceNotFoundException", "Function not found: %s", arn)
	}
	_, _, account, _, _ := arnParts(arn)
	if why := c.w.assumable(f.Role, lambdaService, account, arn, c.now); why != "" {
		return nil, apiError("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.")
	}
	as := c.w.sessionOf(f.Role, arn[strings.LastIndexByte(arn, ':')+1:])
	c.w.mu.Unlock()
	out, err := f.Code(c.ctx, as, []byte(encodeJSON(m["Payload"])))
	c.w.mu.Lock()
	if err != nil {
		kind := reflect.TypeOf(err)
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		cause, _ := json.Marshal(map[string]string{"errorMessage": err.Error(), "errorType": kind.Name()}) // text always marshals
		return nil, &stateFailure{kind.Name(), string(cause)}
	}
	return map[string]any{"ExecutedVersion": "$LATEST", "StatusCode": json.Number("200"), "Payload": decodeJSON(string(out))}, nil
}
