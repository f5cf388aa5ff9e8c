package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// machineWorld has a role for state machines in the security account and an
// alert topic with a mailbox.
func machineWorld(t *testing.T) (w *World, c *sfn.Client, role string) {
	t.Helper()
	ctx := t.Context()
	w = newTestWorld(t, "demo")
	w.SetClock(func() time.Time { return noon })
	role = makeRole(t, w, security, "machine", "states.amazonaws.com",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sns:Publish","sts:AssumeRole"],"Resource":"*"}]}`)
	topics := sns.NewFromConfig(adminConfig(w, security, tokyo))
	must(topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("alerts")}))(t)
	must(topics.Subscribe(ctx, &sns.SubscribeInput{TopicArn: aws.String(centralTopic), Protocol: aws.String("email"), Endpoint: aws.String(mailbox)}))(t)
	w.ConfirmSubscriptions(mailbox)
	return w, sfn.NewFromConfig(adminConfig(w, security, tokyo)), role
}

// oneState is a machine of one state.
func oneState(state string) string {
	return `{"StartAt":"S","States":{"S":` + state + `}}`
}

func TestExecutions(t *testing.T) {
	tests := []struct {
		name, definition, input string
		output                  string // or the error's name
	}{
		{"a pass state passes its input", oneState(`{"Type":"Pass","End":true}`), `{"a":1.50}`, `{"a":1.50}`},
		{"a fixed result", oneState(`{"Type":"Pass","Result":{"x":"y"},"End":true}`), `{}`, `{"x":"y"}`},
		{"a result put into the input", oneState(`{"Type":"Pass","Result":7,"ResultPath":"$.b.c","End":true}`), `{"a":1}`, `{"a":1,"b":{"c":7}}`},
		{"a dropped result", oneState(`{"Type":"Pass","Result":7,"ResultPath":null,"End":true}`), `{"a":1}`, `{"a":1}`},
		{"input and output paths", oneState(`{"Type":"Pass","InputPath":"$.a","OutputPath":"$.b","End":true}`), `{"a":{"b":[1,2]}}`, `[1,2]`},
		{"parameters", oneState(`{"Type":"Pass","Parameters":{"k":"v","n.$":"$.a[1]","all.$":"$","name.$":"$$.StateMachine.Name","list":[{"e.$":"$.a[0]"}]},"End":true}`), `{"a":["x","y"]}`,
			`{"all":{"a":["x","y"]},"k":"v","list":[{"e":"x"}],"n":"y","name":"m"}`},
		{"a path that leads nowhere", oneState(`{"Type":"Pass","Parameters":{"x.$":"$.none"},"End":true}`), `{}`, "States.ParameterPathFailure"},
		{"formatting", oneState(`{"Type":"Pass","Parameters":{"t.$":"States.Format('it\\'s {} and \\{{}\\}', $.a, $.b)"},"End":true}`), `{"a":"one","b":2}`, `{"t":"it's one and {2}"}`},
		{"nested functions", oneState(`{"Type":"Pass","Parameters":{"t.$":"States.Format('{}', States.ArrayGetItem($.a, 1))","j.$":"States.JsonToString($.o)"},"End":true}`), `{"a":[1,2],"o":{"x":"<y>"}}`,
			`{"j":"{\"x\":\"<y>\"}","t":"2"}`},
		{"too few arguments", oneState(`{"Type":"Pass","Parameters":{"t.$":"States.Format('{} {}', $.a)"},"End":true}`), `{"a":1}`, "States.IntrinsicFailure"},
		{"failing", oneState(`{"Type":"Fail","Error":"MyError","Cause":"c"}`), `{}`, "MyError"},
		{"succeeding", oneState(`{"Type":"Succeed","OutputPath":"$.a"}`), `{"a":[]}`, `[]`},
		{"choosing by text", `{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.k","StringEquals":"x","Next":"X"},{"And":[{"Variable":"$.n","IsPresent":true},{"Not":{"Variable":"$.n","NumericLessThan":10}}],"Next":"Y"},` +
			`{"Variable":"$.k","StringMatches":"arn:*/s?ot*","Next":"Y"}],"Default":"Z"},"X":{"Type":"Pass","Result":"X","End":true},"Y":{"Type":"Pass","Result":"Y","End":true},"Z":{"Type":"Pass","Result":"Z","End":true}}}`,
			`{"k":"x"}`, `"X"`},
		{"choosing by number", `{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"And":[{"Variable":"$.n","IsPresent":true},{"Not":{"Variable":"$.n","NumericLessThan":10}}],"Next":"Y"}],"Default":"Z"},"Y":{"Type":"Succeed"},"Z":{"Type":"Fail","Error":"Z"}}}`,
			`{"n":10}`, `{"n":10}`},
		{"the default of a choice", `{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.k","StringMatches":"a*?","Next":"Y"}],"Default":"Z"},"Y":{"Type":"Succeed"},"Z":{"Type":"Fail","Error":"Z"}}}`, `{"k":"a/b/c"}`, "Z"},
		{"no choice", `{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{"Variable":"$.k","BooleanEquals":true,"Next":"Y"}]},"Y":{"Type":"Succeed"}}}`, `{"k":false}`, "States.NoChoiceMatched"},
		{"a circle", `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"A"}}}`, `{}`, "States.Runtime"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			_, c, role := machineWorld(t)
			arn := must(c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("m"), Type: types.StateMachineTypeExpress, Definition: &tt.definition, RoleArn: &role}))(t).StateMachineArn
			out := must(c.StartSyncExecution(ctx, &sfn.StartSyncExecutionInput{StateMachineArn: arn, Input: &tt.input}))(t)
			got := aws.ToString(out.Output)
			if out.Status == types.SyncExecutionStatusFailed {
				got = aws.ToString(out.Error)
			}
			if got != tt.output {
				t.Errorf("got %s (%s), want %s", got, aws.ToString(out.Cause), tt.output)
			}
		})
	}
}

func TestMachineDefinitions(t *testing.T) {
	_, c, role := machineWorld(t)
	for _, tt := range []struct {
		name, definition, role, want string
	}{
		{"not JSON", `{`, role, "InvalidDefinition"},
		{"without states", `{"StartAt":"A"}`, role, "InvalidDefinition"},
		{"a start that does not exist", `{"StartAt":"B","States":{"A":{"Type":"Succeed"}}}`, role, "InvalidDefinition"},
		{"a next that does not exist", `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"}}}`, role, "InvalidDefinition"},
		{"neither next nor end", `{"StartAt":"A","States":{"A":{"Type":"Pass"}}}`, role, "InvalidDefinition"},
		{"an unknown type", `{"StartAt":"A","States":{"A":{"Type":"Dance"}}}`, role, "InvalidDefinition"},
		{"a role that does not trust Step Functions", oneState(`{"Type":"Succeed"}`), "arn:aws:iam::" + security + ":role/Admin", "AccessDeniedException"},
		{"a good one", oneState(`{"Type":"Succeed"}`), role, ""},
		{"the same again", oneState(`{"Type":"Succeed"}`), role, ""},
		{"another of the same name", oneState(`{"Type":"Pass","End":true}`), role, "StateMachineAlreadyExists"},
	} {
		_, err := c.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{Name: aws.String("m"), Definition: &tt.definition, RoleArn: &tt.role})
		if got := errorCode(err); got != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// lookUpAndTell asks Organizations for an account's name, as a role of the
// management account, and publishes it; when that fails it publishes without.
const lookUpAndTell = `{"StartAt":"LookUp","States":{
  "LookUp":{"Type":"Task","Resource":"arn:aws:states:::aws-sdk:organizations:describeAccount","Parameters":{"AccountId.$":"$.account"},
    "Credentials":{"RoleArn":"arn:aws:iam::100000000001:role/reader"},"ResultSelector":{"name.$":"$.Account.Name"},"ResultPath":"$.found","Next":"Tell",
    "Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.error","Next":"TellAnyway"}]},
  "Tell":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","End":true,"Parameters":{"TopicArn":"` + centralTopic + `",
    "Subject.$":"States.Format('AWS Config: {}', $.detail.eventName)","Message.$":"States.Format('{} in {} ({})', $.detail.eventName, $.found.name, $.account)"}},
  "TellAnyway":{"Type":"Task","Resource":"arn:aws:states:::sns:publish","End":true,"Parameters":{"TopicArn":"` + centralTopic + `","Message":{"account.$":"$.account","error.$":"$.error.Error"}}}}}`

func TestMachineAsTargetOfARule(t *testing.T) {
	ctx := t.Context()
	setUp := func(t *testing.T, trust string) *World {
		w, c, role := machineWorld(t)
		arn := must(c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("tell"), Type: types.StateMachineTypeExpress, Definition: aws.String(lookUpAndTell), RoleArn: &role}))(t).StateMachineArn
		mgmt := iam.NewFromConfig(w.ManagementConfig("us-east-1"))
		must(mgmt.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("reader"), AssumeRolePolicyDocument: &trust}))(t)
		must(mgmt.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String("reader"), PolicyName: aws.String("p"),
			PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"organizations:DescribeAccount","Resource":"*"}]}`)}))(t)
		starter := makeRole(t, w, security, "starter", "events.amazonaws.com", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"states:StartExecution","Resource":"*"}]}`)
		eb := eventbridge.NewFromConfig(adminConfig(w, security, tokyo))
		must(eb.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"source":["aws.config"]}`)}))(t)
		must(eb.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: aws.String("r"), Targets: []ebtypes.Target{{Id: aws.String("m"), Arn: arn, RoleArn: &starter}}}))(t)
		w.mu.Lock()
		w.deliver(security, tokyo, map[string]any{"source": "aws.config", "account": shopProd, "detail": map[string]any{"eventName": "StopConfigurationRecorder"}})
		w.mu.Unlock()
		return w
	}
	trust := func(principal string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"}]}`
	}
	t.Run("with the name of the account", func(t *testing.T) {
		got := alerts(setUp(t, trust("arn:aws:iam::"+security+":role/machine")))
		if len(got) != 1 || got[0].Subject != "AWS Config: StopConfigurationRecorder" || got[0].Message != "StopConfigurationRecorder in shop-prod ("+shopProd+")" {
			t.Errorf("mails %+v", got)
		}
	})
	t.Run("a role that trusts somebody else is caught", func(t *testing.T) {
		got := alerts(setUp(t, trust("arn:aws:iam::"+shopProd+":root")))
		if len(got) != 1 || got[0].Message != `{"account":"`+shopProd+`","error":"States.TaskFailed"}` {
			t.Errorf("mails %+v", got)
		}
	})
}

func TestTaskErrorsAreNamedAfterTheirService(t *testing.T) {
	ctx := t.Context()
	_, c, role := machineWorld(t)
	definition := oneState(`{"Type":"Task","Resource":"arn:aws:states:::sns:publish","End":true,"Parameters":{"TopicArn":"` + strings.Replace(centralTopic, ":alerts", ":none", 1) + `","Message":"x"}}`)
	arn := must(c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("m"), Definition: &definition, RoleArn: &role}))(t).StateMachineArn
	started := must(c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: arn, Name: aws.String("e")}))(t)
	got := must(c.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: started.ExecutionArn}))(t)
	if got.Status != types.ExecutionStatusFailed || aws.ToString(got.Error) != "SNS.NotFoundException" {
		t.Errorf("status %s, error %s: %s", got.Status, aws.ToString(got.Error), aws.ToString(got.Cause))
	}
	if _, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: arn, Name: aws.String("e")}); errorCode(err) != "ExecutionAlreadyExists" {
		t.Errorf("the same name: %v", err)
	}
	if _, err := c.StartSyncExecution(ctx, &sfn.StartSyncExecutionInput{StateMachineArn: arn}); errorCode(err) != "StateMachineTypeNotSupported" {
		t.Errorf("a standard machine, synchronously: %v", err)
	}
	if list := must(c.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: arn}))(t).Executions; len(list) != 1 {
		t.Errorf("executions %v", list)
	}
}
