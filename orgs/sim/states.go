package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// statesState is AWS Step Functions in one account × Region.
type statesState struct {
	Machines map[string]*stateMachine `json:"machines,omitempty"` // by name
}

// stateMachine is a state machine with its last standard executions; express
// executions leave nothing behind.
type stateMachine struct {
	Name       string                      `json:"name"`
	Type       types.StateMachineType      `json:"type"`
	Definition string                      `json:"definition"`
	RoleARN    string                      `json:"role_arn"`
	Revision   string                      `json:"revision,omitempty"`
	Logging    *types.LoggingConfiguration `json:"logging,omitempty"`
	Tracing    bool                        `json:"tracing,omitempty"`
	Created    time.Time                   `json:"created"`
	Tags       map[string]string           `json:"tags,omitempty"`
	Executions []*stateExecution           `json:"executions,omitempty"` // oldest first
}

// stateExecution is one execution of a state machine.
type stateExecution struct {
	Name    string                `json:"name"`
	Status  types.ExecutionStatus `json:"status"`
	Input   string                `json:"input"`
	Output  string                `json:"output,omitempty"`
	Error   string                `json:"error,omitempty"`
	Cause   string                `json:"cause,omitempty"`
	Started time.Time             `json:"started"`
	Stopped time.Time             `json:"stopped"`
}

const statesService = "states.amazonaws.com"

// maxExecutions is how many executions of a machine are kept.
const maxExecutions = 200

// onMachine gives an operation the state machine it acts on as its resource.
func onMachine[I any](o operation, arn func(*I) *string) operation {
	return on(o, func(_ *call, in *I) string { return aws.ToString(arn(in)) })
}

var statesOps = map[string]operation{
	"CreateStateMachine": on(op(write, createStateMachine), func(c *call, in *sfn.CreateStateMachineInput) string {
		return c.arn("states", "stateMachine:"+aws.ToString(in.Name))
	}),
	"UpdateStateMachine":   onMachine(op(write, updateStateMachine), func(in *sfn.UpdateStateMachineInput) *string { return in.StateMachineArn }),
	"DescribeStateMachine": onMachine(op(read, describeStateMachine), func(in *sfn.DescribeStateMachineInput) *string { return in.StateMachineArn }),
	"DeleteStateMachine":   onMachine(op(write, deleteStateMachine), func(in *sfn.DeleteStateMachineInput) *string { return in.StateMachineArn }),
	"ListStateMachines":    op(read, listStateMachines),
	"StartExecution":       onMachine(op(write, startExecution), func(in *sfn.StartExecutionInput) *string { return in.StateMachineArn }),
	"StartSyncExecution":   onMachine(op(write, startSyncExecution), func(in *sfn.StartSyncExecutionInput) *string { return in.StateMachineArn }),
	"DescribeExecution":    onMachine(op(read, describeExecution), func(in *sfn.DescribeExecutionInput) *string { return in.ExecutionArn }),
	"ListExecutions":       onMachine(op(read, listExecutions), func(in *sfn.ListExecutionsInput) *string { return in.StateMachineArn }),
	"TagResource":          onMachine(op(write, statesTagResource), func(in *sfn.TagResourceInput) *string { return in.ResourceArn }),
	"UntagResource":        onMachine(op(write, statesUntagResource), func(in *sfn.UntagResourceInput) *string { return in.ResourceArn }),
	"ListTagsForResource":  onMachine(op(read, statesListTags), func(in *sfn.ListTagsForResourceInput) *string { return in.ResourceArn }),
}

// machineFor finds the state machine of a call. Step Functions has no
// resource-based policies: other accounts' machines are out of reach.
func machineFor(c *call, arn *string) (*stateMachine, error) {
	service, region, account, resource, ok := arnParts(aws.ToString(arn))
	name, isMachine := strings.CutPrefix(resource, "stateMachine:")
	if !ok || service != "states" || !isMachine {
		return nil, apiError("InvalidArn", "Invalid Arn: '%s'", aws.ToString(arn))
	}
	if account != c.caller.Account {
		return nil, notAuthorized(c, "states:"+c.op, *arn, "because no resource-based policy allows the states:"+c.op+" action")
	}
	m := c.here().States.Machines[name]
	if m == nil || region != c.region {
		return nil, apiError("StateMachineDoesNotExist", "State Machine Does Not Exist: '%s'", *arn)
	}
	return m, nil
}

// checkMachine refuses a definition that does not hold together and a role
// that Step Functions cannot assume.
func checkMachine(c *call, definition, role string) error {
	if _, err := parseMachine(definition); err != nil {
		return apiError("InvalidDefinition", "Invalid State Machine Definition: '%v'", err)
	}
	if service, _, _, resource, ok := arnParts(role); !ok || service != "iam" || !strings.HasPrefix(resource, "role/") {
		return apiError("InvalidArn", "Invalid Role Arn: '%s'", role)
	}
	if err := c.passRole(role); err != nil {
		return err
	}
	if why := c.w.assumable(role, statesService, c.caller.Account, "", c.now); why != "" {
		return accessDenied("Neither the global service principal %s, nor the regional one is authorized to assume the provided role.", statesService)
	}
	return nil
}

func createStateMachine(c *call, in *sfn.CreateStateMachineInput) (*sfn.CreateStateMachineOutput, error) {
	name := aws.ToString(in.Name)
	if name == "" || len(name) > 80 || strings.ContainsAny(name, " <>{}[]?*\"#%\\^|~`$&,;:/") {
		return nil, apiError("InvalidName", "Invalid Name: '%s'", name)
	}
	definition, role := aws.ToString(in.Definition), aws.ToString(in.RoleArn)
	if err := checkMachine(c, definition, role); err != nil {
		return nil, err
	}
	kind := in.Type
	if kind == "" {
		kind = types.StateMachineTypeStandard
	}
	s := &c.here().States
	arn := c.arn("states", "stateMachine:"+name)
	if m := s.Machines[name]; m != nil {
		if m.Definition != definition || m.RoleARN != role || m.Type != kind {
			return nil, apiError("StateMachineAlreadyExists", "State Machine Already Exists: '%s'", arn)
		}
		return &sfn.CreateStateMachineOutput{StateMachineArn: aws.String(arn), CreationDate: aws.Time(m.Created)}, nil
	}
	m := &stateMachine{
		Name: name, Type: kind, Definition: definition, RoleARN: role, Logging: detach(in.LoggingConfiguration), Created: c.now, Tags: map[string]string{},
		Tracing: in.TracingConfiguration != nil && in.TracingConfiguration.Enabled,
	}
	for _, t := range in.Tags {
		m.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	if s.Machines == nil {
		s.Machines = map[string]*stateMachine{}
	}
	s.Machines[name] = m
	return &sfn.CreateStateMachineOutput{StateMachineArn: aws.String(arn), CreationDate: aws.Time(c.now)}, nil
}

func updateStateMachine(c *call, in *sfn.UpdateStateMachineInput) (*sfn.UpdateStateMachineOutput, error) {
	m, err := machineFor(c, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	if in.Definition == nil && in.RoleArn == nil && in.LoggingConfiguration == nil && in.TracingConfiguration == nil {
		return nil, apiError("MissingRequiredParameter", "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified")
	}
	definition, role := orDefault(in.Definition, m.Definition), orDefault(in.RoleArn, m.RoleARN)
	if err := checkMachine(c, definition, role); err != nil {
		return nil, err
	}
	m.Definition, m.RoleARN, m.Revision = definition, role, c.w.uuid()
	if in.LoggingConfiguration != nil {
		m.Logging = detach(in.LoggingConfiguration)
	}
	if in.TracingConfiguration != nil {
		m.Tracing = in.TracingConfiguration.Enabled
	}
	return &sfn.UpdateStateMachineOutput{UpdateDate: aws.Time(c.now), RevisionId: aws.String(m.Revision)}, nil
}

func describeStateMachine(c *call, in *sfn.DescribeStateMachineInput) (*sfn.DescribeStateMachineOutput, error) {
	m, err := machineFor(c, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	logging := detach(m.Logging)
	if logging == nil {
		logging = &types.LoggingConfiguration{Level: types.LogLevelOff}
	}
	return &sfn.DescribeStateMachineOutput{
		StateMachineArn: aws.String(*in.StateMachineArn), Name: aws.String(m.Name), Type: m.Type, Definition: aws.String(m.Definition),
		RoleArn: aws.String(m.RoleARN), Status: types.StateMachineStatusActive, CreationDate: aws.Time(m.Created), RevisionId: optional(m.Revision),
		LoggingConfiguration: logging, TracingConfiguration: &types.TracingConfiguration{Enabled: m.Tracing},
	}, nil
}

// deleteStateMachine: a machine that does not exist is no error.
func deleteStateMachine(c *call, in *sfn.DeleteStateMachineInput) (*sfn.DeleteStateMachineOutput, error) {
	m, err := machineFor(c, in.StateMachineArn)
	if code, _ := errorParts(err); err != nil && code == "StateMachineDoesNotExist" {
		return &sfn.DeleteStateMachineOutput{}, nil
	}
	if err != nil {
		return nil, err
	}
	delete(c.here().States.Machines, m.Name)
	return &sfn.DeleteStateMachineOutput{}, nil
}

// statesPage is the page size of the listings.
func statesPage(asked int32) int {
	if asked > 0 {
		return int(min(asked, 1000))
	}
	return 100
}

func listStateMachines(c *call, in *sfn.ListStateMachinesInput) (*sfn.ListStateMachinesOutput, error) {
	machines := c.here().States.Machines
	page, next, ok := pageOf(c, sortedNames(machines), statesPage(in.MaxResults), in.NextToken)
	if !ok {
		return nil, apiError("InvalidToken", "Invalid Token")
	}
	out := &sfn.ListStateMachinesOutput{StateMachines: []types.StateMachineListItem{}, NextToken: next}
	for _, name := range page {
		m := machines[name]
		out.StateMachines = append(out.StateMachines, types.StateMachineListItem{
			Name: aws.String(name), StateMachineArn: aws.String(c.arn("states", "stateMachine:"+name)), Type: m.Type, CreationDate: aws.Time(m.Created),
		})
	}
	return out, nil
}

// execute runs a machine on an input, at once.
func execute(c *call, m *stateMachine, name, arn, input string) (*stateExecution, error) {
	if input == "" {
		input = "{}"
	}
	if !json.Valid([]byte(input)) {
		return nil, apiError("InvalidExecutionInput", "Invalid State Machine Execution Input: 'the input is not JSON'")
	}
	e := &stateExecution{Name: name, Input: input, Started: c.now, Stopped: c.now, Status: types.ExecutionStatusSucceeded}
	output, failure := c.run(m, name, arn, input)
	metric := "ExecutionsSucceeded"
	if failure != nil {
		e.Status, e.Error, e.Cause = types.ExecutionStatusFailed, failure.name, failure.cause
		metric = "ExecutionsFailed"
	} else {
		e.Output = output
	}
	c.w.measure(c.caller.Account, c.region, "AWS/States", metric, map[string]string{"StateMachineArn": c.arn("states", "stateMachine:"+m.Name)}, 1, c.w.now(), rareHours)
	return e, nil
}

func startExecution(c *call, in *sfn.StartExecutionInput) (*sfn.StartExecutionOutput, error) {
	m, err := machineFor(c, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	name := orDefault(in.Name, "")
	if name == "" {
		name = c.w.uuid()
	}
	if m.Type == types.StateMachineTypeExpress {
		arn := c.arn("states", "express:"+m.Name+":"+name+":"+c.w.uuid())
		if _, err := execute(c, m, name, arn, aws.ToString(in.Input)); err != nil {
			return nil, err
		}
		return &sfn.StartExecutionOutput{ExecutionArn: aws.String(arn), StartDate: aws.Time(c.now)}, nil
	}
	arn := c.arn("states", "execution:"+m.Name+":"+name)
	if slices.ContainsFunc(m.Executions, func(e *stateExecution) bool { return e.Name == name }) {
		return nil, apiError("ExecutionAlreadyExists", "Execution Already Exists: '%s'", arn)
	}
	e, err := execute(c, m, name, arn, aws.ToString(in.Input))
	if err != nil {
		return nil, err
	}
	m.Executions = append(m.Executions, e)
	if extra := len(m.Executions) - maxExecutions; extra > 0 {
		m.Executions = slices.Clone(m.Executions[extra:])
	}
	return &sfn.StartExecutionOutput{ExecutionArn: aws.String(arn), StartDate: aws.Time(c.now)}, nil
}

func startSyncExecution(c *call, in *sfn.StartSyncExecutionInput) (*sfn.StartSyncExecutionOutput, error) {
	m, err := machineFor(c, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	if m.Type != types.StateMachineTypeExpress {
		return nil, apiError("StateMachineTypeNotSupported", "This operation is not supported by this type of state machine")
	}
	name := orDefault(in.Name, "")
	if name == "" {
		name = c.w.uuid()
	}
	arn := c.arn("states", "express:"+m.Name+":"+name+":"+c.w.uuid())
	e, err := execute(c, m, name, arn, aws.ToString(in.Input))
	if err != nil {
		return nil, err
	}
	return &sfn.StartSyncExecutionOutput{
		ExecutionArn: aws.String(arn), StateMachineArn: aws.String(*in.StateMachineArn), Name: aws.String(name), StartDate: aws.Time(e.Started), StopDate: aws.Time(e.Stopped),
		Status: types.SyncExecutionStatus(e.Status), Input: aws.String(e.Input), Output: optional(e.Output), Error: optional(e.Error), Cause: optional(e.Cause),
	}, nil
}

// describeExecution knows standard executions only, as in AWS.
func describeExecution(c *call, in *sfn.DescribeExecutionInput) (*sfn.DescribeExecutionOutput, error) {
	_, _, account, resource, ok := arnParts(aws.ToString(in.ExecutionArn))
	parts := strings.Split(resource, ":")
	if !ok || len(parts) != 3 || parts[0] != "execution" {
		return nil, apiError("InvalidArn", "Invalid Arn: '%s'", aws.ToString(in.ExecutionArn))
	}
	if m := c.here().States.Machines[parts[1]]; m != nil && account == c.caller.Account {
		for _, e := range m.Executions {
			if e.Name == parts[2] {
				return &sfn.DescribeExecutionOutput{
					ExecutionArn: aws.String(*in.ExecutionArn), StateMachineArn: aws.String(c.arn("states", "stateMachine:"+m.Name)), Name: aws.String(e.Name), Status: e.Status,
					StartDate: aws.Time(e.Started), StopDate: aws.Time(e.Stopped), Input: aws.String(e.Input), Output: optional(e.Output), Error: optional(e.Error), Cause: optional(e.Cause),
				}, nil
			}
		}
	}
	return nil, apiError("ExecutionDoesNotExist", "Execution Does Not Exist: '%s'", *in.ExecutionArn)
}

// listExecutions lists standard executions, newest first.
func listExecutions(c *call, in *sfn.ListExecutionsInput) (*sfn.ListExecutionsOutput, error) {
	m, err := machineFor(c, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	if m.Type == types.StateMachineTypeExpress {
		return nil, apiError("StateMachineTypeNotSupported", "This operation is not supported by this type of state machine")
	}
	var all []types.ExecutionListItem
	for _, e := range slices.Backward(m.Executions) {
		if in.StatusFilter == "" || in.StatusFilter == e.Status {
			all = append(all, types.ExecutionListItem{
				ExecutionArn: aws.String(c.arn("states", "execution:"+m.Name+":"+e.Name)), StateMachineArn: aws.String(*in.StateMachineArn),
				Name: aws.String(e.Name), Status: e.Status, StartDate: aws.Time(e.Started), StopDate: aws.Time(e.Stopped),
			})
		}
	}
	page, next, ok := pageOf(c, all, statesPage(in.MaxResults), in.NextToken)
	if !ok {
		return nil, apiError("InvalidToken", "Invalid Token")
	}
	return &sfn.ListExecutionsOutput{Executions: append([]types.ExecutionListItem{}, page...), NextToken: next}, nil
}

// taggedMachine finds the machine of a tag operation, which has an error of
// its own for a machine that does not exist.
func taggedMachine(c *call, arn *string) (*stateMachine, error) {
	m, err := machineFor(c, arn)
	if code, _ := errorParts(err); err != nil && code == "StateMachineDoesNotExist" {
		return nil, apiError("ResourceNotFound", "Resource not found: '%s'", *arn)
	}
	return m, err
}

func statesTagResource(c *call, in *sfn.TagResourceInput) (*sfn.TagResourceOutput, error) {
	m, err := taggedMachine(c, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags := maps.Clone(m.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	for _, t := range in.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	if len(tags) > maxTags {
		return nil, apiError("TooManyTags", "You have exceeded the limit of %d tags.", maxTags)
	}
	m.Tags = tags
	return &sfn.TagResourceOutput{}, nil
}

func statesUntagResource(c *call, in *sfn.UntagResourceInput) (*sfn.UntagResourceOutput, error) {
	m, err := taggedMachine(c, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(m.Tags, k)
	}
	return &sfn.UntagResourceOutput{}, nil
}

func statesListTags(c *call, in *sfn.ListTagsForResourceInput) (*sfn.ListTagsForResourceOutput, error) {
	m, err := taggedMachine(c, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out := &sfn.ListTagsForResourceOutput{Tags: []types.Tag{}}
	for _, k := range sortedNames(m.Tags) {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(k), Value: aws.String(m.Tags[k])})
	}
	return out, nil
}
