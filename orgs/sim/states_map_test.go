package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// tripped is an error whose type callers see by name.
type tripped struct{}

func (tripped) Error() string { return "it tripped" }

func TestMapsRetriesAndFunctions(t *testing.T) {
	const arn = "arn:aws:lambda:ap-northeast-1:" + security + ":function:f"
	ctx := t.Context()
	w, c, _ := machineWorld(t)
	calls := map[string]int{}
	function := makeRole(t, w, security, "function", "lambda.amazonaws.com", `{"Version":"2012-10-17","Statement":[]}`)
	w.SetFunction(arn, Function{Role: function, Code: func(ctx context.Context, as Principal, event []byte) ([]byte, error) {
		text := string(event)
		calls[text]++
		// The code may call the world that runs it.
		who, err := sts.NewFromConfig(w.Config(tokyo, as)).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return nil, err
		}
		switch {
		case strings.Contains(text, `"once"`) && calls[text] == 1, strings.Contains(text, `"always"`):
			return nil, tripped{}
		case strings.Contains(text, `"plain"`):
			return nil, errors.New("no name")
		}
		return fmt.Appendf(nil, `{"was":%s,"who":%q}`, text, aws.ToString(who.Arn)), nil
	}})
	may := makeRole(t, w, security, "may", "states.amazonaws.com",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["lambda:InvokeFunction","states:StartExecution"],"Resource":["`+arn+`","arn:aws:states:*:*:stateMachine:*"]}]}`)
	mayNot := makeRole(t, w, security, "maynot", "states.amazonaws.com", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"`+arn+`"}]}`)
	invoke := func(rest string) string {
		return `{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"` + arn + `","Payload.$":"$"},"OutputPath":"$.Payload.was"` + rest + `,"End":true}`
	}
	each := func(task, rest string) string {
		return oneState(`{"Type":"Map","ItemsPath":"$.items","ItemSelector":{"v.$":"$$.Map.Item.Value","i.$":"$$.Map.Item.Index","n.$":"$.n"},"ItemProcessor":{` + rest + `"StartAt":"T","States":{"T":` + task + `}},"End":true}`)
	}
	const far = `"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"},`
	tolerant := func(percent string) string {
		return strings.Replace(each(invoke(""), far), `"Type":"Map"`, `"Type":"Map","ToleratedFailurePercentage":`+percent, 1)
	}
	for _, tt := range []struct {
		name, role, definition, input, output string
		calls                                 int
	}{
		{"a function", may, oneState(invoke("")), `{"a":1}`, `{"a":1}`, 1},
		{"an error that is tried again", may, oneState(invoke(`,"Retry":[{"ErrorEquals":["tripped"],"MaxAttempts":2}]`)), `{"a":"once"}`, `{"a":"once"}`, 2},
		{"an error that stays", may, oneState(invoke(`,"Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":2}]`)), `{"a":"always"}`, "tripped", 3},
		{"the first that matches decides", may, oneState(invoke(`,"Retry":[{"ErrorEquals":["tripped"],"MaxAttempts":0},{"ErrorEquals":["States.ALL"]}]`)), `{"b":"always"}`, "tripped", 1},
		{"another error", may, oneState(invoke(`,"Retry":[{"ErrorEquals":["tripped"]}]`)), `{"a":"plain"}`, "errorString", 1},
		{"a map", may, each(invoke(""), ""), `{"n":9,"items":["x","y"]}`, `[{"i":0,"n":9,"v":"x"},{"i":1,"n":9,"v":"y"}]`, 2},
		{"a map of nothing", may, each(invoke(""), far), `{"n":9,"items":[]}`, `[]`, 0},
		{"a map of no list", may, each(invoke(""), far), `{"n":9,"items":{}}`, "States.Runtime", 0},
		{"a distributed map", may, each(invoke(""), far), `{"n":1,"items":["x"]}`, `[{"i":0,"n":1,"v":"x"}]`, 1},
		{"without the right to begin executions", mayNot, each(invoke(""), far), `{"n":2,"items":["x"]}`, "StepFunctions.AccessDeniedException", 0},
		{"an item that fails", may, each(invoke(""), ""), `{"n":3,"items":["x","always","y"]}`, "tripped", 2},
		{"too many failures", may, tolerant("25"), `{"n":4,"items":["x","always","y"]}`, "States.ExceedToleratedFailureThreshold", 2},
		{"as many as are tolerated", may, tolerant("50"), `{"n":5,"items":["x","always","y"]}`, `[{"i":0,"n":5,"v":"x"},{"i":2,"n":5,"v":"y"}]`, 3},
		{"all of them", may, tolerant("100"), `{"n":6,"items":["always"]}`, `[]`, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clear(calls)
			name := strings.ReplaceAll(tt.name, " ", "-")
			m := must(c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: &name, Definition: &tt.definition, RoleArn: &tt.role}))(t)
			e := must(c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: m.StateMachineArn, Input: &tt.input}))(t)
			out := must(c.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: e.ExecutionArn}))(t)
			if got := aws.ToString(out.Output) + aws.ToString(out.Error); got != tt.output {
				t.Errorf("%s, want %s (%s)", got, tt.output, aws.ToString(out.Cause))
			}
			n := 0
			for _, k := range calls {
				n += k
			}
			if n != tt.calls {
				t.Errorf("%d calls, want %d: %v", n, tt.calls, calls)
			}
		})
	}
	for name, definition := range map[string]string{
		"a map without a processor":               oneState(`{"Type":"Map","End":true}`),
		"a processor that begins nowhere":         oneState(`{"Type":"Map","End":true,"ItemProcessor":{"StartAt":"X","States":{"Y":{"Type":"Succeed"}}}}`),
		"a processor whose state leads out of it": oneState(`{"Type":"Map","End":true,"ItemProcessor":{"StartAt":"X","States":{"X":{"Type":"Pass","Next":"S"}}}}`),
		"a distributed map of no type":            oneState(`{"Type":"Map","End":true,"ItemProcessor":{"ProcessorConfig":{"Mode":"DISTRIBUTED"},"StartAt":"X","States":{"X":{"Type":"Succeed"}}}}`),
	} {
		if _, err := c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("bad"), Definition: &definition, RoleArn: &may}); errorCode(err) != "InvalidDefinition" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
