package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs/eventpattern"
)

// machine is a definition in the Amazon States Language with JSONPath: Pass,
// Task, Choice, Map, Succeed and Fail states. Wait states pass at once, retries are
// made at once, and the items of a Map one after the other; Parallel states and
// timeouts are not modelled.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-states-language.html
type machine struct {
	StartAt       string
	QueryLanguage string
	States        map[string]*aslState
}

// aslState is a state of any type.
type aslState struct {
	Type     string
	Next     string
	End      bool
	Resource string

	InputPath      json.RawMessage // a path; null is an empty input
	Parameters     any
	Result         any
	ResultSelector any
	ResultPath     json.RawMessage // a path; null drops the result
	OutputPath     json.RawMessage
	Credentials    any
	Retry          []retrier
	Catch          []catcher
	Choices        []map[string]any
	Default        string

	Error, Cause, ErrorPath, CausePath string
	QueryLanguage                      string

	// Of a Map state.
	ItemsPath                  string
	ItemSelector               any
	ItemProcessor              *processor
	ToleratedFailurePercentage float64
	ToleratedFailureCount      int
}

// processor is what a Map state does with each item.
// https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
type processor struct {
	ProcessorConfig struct{ Mode, ExecutionType string }
	StartAt         string
	States          map[string]*aslState
}

// retrier is one entry of a Retry field.
type retrier struct {
	ErrorEquals []string
	MaxAttempts *int // 3 when it is left out
}

// catcher is one entry of a Catch field.
type catcher struct {
	ErrorEquals []string
	Next        string
	ResultPath  json.RawMessage
}

// stateFailure is how an execution or a state fails.
type stateFailure struct{ name, cause string }

func (f *stateFailure) Error() string { return f.name + ": " + f.cause }

func failed(name, format string, args ...any) *stateFailure {
	return &stateFailure{name, fmt.Sprintf(format, args...)}
}

// stateTypes says of each type whether the world runs it.
var stateTypes = map[string]bool{"Pass": true, "Task": true, "Choice": true, "Succeed": true, "Fail": true, "Wait": true, "Map": true, "Parallel": false}

// parseMachine reads a definition and checks that it holds together.
func parseMachine(definition string) (*machine, error) {
	d := json.NewDecoder(strings.NewReader(definition))
	d.UseNumber()
	var m machine
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("INVALID_JSON_DESCRIPTION: %w", err)
	}
	v := validation{machine: &m}
	v.states("", m.StartAt, m.States)
	return &m, errors.Join(v.errs...)
}

// validation collects what is wrong with a machine.
type validation struct {
	machine *machine
	errs    []error
}

func (v *validation) fault(at, format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf("SCHEMA_VALIDATION_FAILED: %s at %s", fmt.Sprintf(format, args...), at))
}

// states checks the states of the machine or of a Map state, which root names.
func (v *validation) states(root, start string, states map[string]*aslState) {
	if start == "" || len(states) == 0 {
		v.fault(root+"/", "StartAt and States are required")
	} else if states[start] == nil {
		v.fault(root+"/StartAt", "MISSING_TRANSITION_TARGET: missing 'Next' target: %s", start)
	}
	for _, name := range sortedNames(states) {
		s, at := states[name], root+"/States/"+name
		if s == nil {
			v.fault(at, "a state is an object")
			continue
		}
		v.state(at, s, states)
	}
}

// state checks a state; states are those that it may go on to.
func (v *validation) state(at string, s *aslState, states map[string]*aslState) {
	runs, known := stateTypes[s.Type]
	switch {
	case !known:
		v.fault(at+"/Type", "%q is no type of state", s.Type)
	case !runs:
		v.fault(at+"/Type", "the sandbox does not run %s states", s.Type)
	case s.QueryLanguage == "JSONata" || v.machine.QueryLanguage == "JSONata":
		v.fault(at, "the sandbox does not run JSONata, only JSONPath")
	}
	nexts := []string{s.Next, s.Default}
	for _, c := range s.Catch {
		nexts = append(nexts, c.Next)
	}
	for _, c := range s.Choices {
		next, _ := c["Next"].(string)
		nexts = append(nexts, next)
		if next == "" {
			v.fault(at+"/Choices", "a choice needs Next")
		}
	}
	for _, next := range nexts {
		if next != "" && states[next] == nil {
			v.fault(at, "MISSING_TRANSITION_TARGET: missing 'Next' target: %s", next)
		}
	}
	if slices.Contains([]string{"Pass", "Task", "Wait", "Map"}, s.Type) && (s.Next == "") == !s.End {
		v.fault(at, "either Next or End is required")
	}
	if s.Type == "Choice" && len(s.Choices) == 0 {
		v.fault(at, "a Choice state needs Choices")
	}
	if s.Type == "Map" {
		switch p := s.ItemProcessor; {
		case p == nil:
			v.fault(at, "a Map state needs an ItemProcessor")
		case p.ProcessorConfig.Mode == "DISTRIBUTED" && p.ProcessorConfig.ExecutionType == "":
			v.fault(at+"/ItemProcessor/ProcessorConfig", "a distributed Map needs an ExecutionType")
		default:
			v.states(at+"/ItemProcessor", p.StartAt, p.States)
		}
	}
	if s.Type == "Task" {
		if _, _, _, _, ok := arnParts(s.Resource); !ok {
			v.fault(at+"/Resource", "%q is no ARN", s.Resource)
		}
	}
}

// maxTransitions ends an execution that goes in circles; AWS counts 25,000
// history entries, of which a state makes several.
const maxTransitions = 5000

// execution is a running execution.
type execution struct {
	c       *call
	machine *stateMachine
	states  map[string]*aslState
	context map[string]any // what $$ stands for
}

// run executes a machine and returns its output as JSON.
func (c *call) run(m *stateMachine, name, arn, input string) (string, *stateFailure) {
	definition, err := parseMachine(m.Definition)
	if err != nil {
		return "", failed("States.Runtime", "%v", err)
	}
	if why := c.w.assumable(m.RoleARN, statesService, c.caller.Account, c.arn("states", "stateMachine:"+m.Name), c.now); why != "" {
		return "", failed("States.Runtime", "%s", why)
	}
	data := decodeJSON(input)
	started := c.now.UTC().Format(time.RFC3339)
	x := &execution{c: c, machine: m, states: definition.States, context: map[string]any{
		"Execution":    map[string]any{"Id": arn, "Input": data, "Name": name, "RoleArn": m.RoleARN, "StartTime": started},
		"StateMachine": map[string]any{"Id": c.arn("states", "stateMachine:"+m.Name), "Name": m.Name},
	}}
	output, f := x.walk(definition.StartAt, data)
	if f != nil {
		return "", f
	}
	return encodeJSON(output), nil
}

// walk goes from state to state to the end.
func (x *execution) walk(at string, data any) (any, *stateFailure) {
	for range maxTransitions {
		s := x.states[at]
		next, output, f := x.attempt(at, s, data)
		if f != nil {
			caught := s.catches(f)
			if caught == nil {
				return nil, f
			}
			report := map[string]any{"Error": f.name, "Cause": f.cause}
			if output, f = putResult(caught.ResultPath, data, report); f != nil {
				return nil, f
			}
			next = caught.Next
		}
		if next == "" {
			return output, nil
		}
		at, data = next, output
	}
	return nil, failed("States.Runtime", "The execution reached the maximum number of history events.")
}

// attempt runs a state as often as its retriers say. The first one that an error
// matches decides about it.
func (x *execution) attempt(name string, s *aslState, data any) (next string, output any, f *stateFailure) {
	tries := make([]int, len(s.Retry))
	for {
		x.context["State"] = map[string]any{"Name": name, "EnteredTime": x.c.now.UTC().Format(time.RFC3339)}
		if next, output, f = x.step(s, data); f == nil {
			return next, output, nil
		}
		i := slices.IndexFunc(s.Retry, func(r retrier) bool { return s.matches(r.ErrorEquals, f) })
		if i < 0 {
			return "", nil, f
		}
		most := 3
		if s.Retry[i].MaxAttempts != nil {
			most = *s.Retry[i].MaxAttempts
		}
		if tries[i]++; tries[i] > most {
			return "", nil, f
		}
	}
}

// catches finds the catcher of a failure.
func (s *aslState) catches(f *stateFailure) *catcher {
	for i, c := range s.Catch {
		if s.matches(c.ErrorEquals, f) {
			return &s.Catch[i]
		}
	}
	return nil
}

// matches says whether a failure is one of the names. States.ALL is not what went
// wrong with the machine itself.
func (s *aslState) matches(names []string, f *stateFailure) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return name == f.name || name == "States.ALL" && f.name != "States.Runtime" ||
			name == "States.TaskFailed" && s.Type == "Task" && !strings.HasPrefix(f.name, "States.")
	})
}

// step runs one state. next is "" at the end of the execution.
func (x *execution) step(s *aslState, raw any) (next string, output any, f *stateFailure) {
	input, f := x.filter(s.InputPath, raw)
	if f != nil {
		return "", nil, f
	}
	switch s.Type {
	case "Fail":
		return "", nil, x.fail(s, input)
	case "Choice":
		return x.choose(s, input)
	case "Succeed", "Wait":
		output, f = x.filter(s.OutputPath, input)
		return s.Next, output, f
	}
	effective := input
	if s.Parameters != nil {
		if effective, f = x.template(s.Parameters, input); f != nil {
			return "", nil, f
		}
	}
	result := effective
	switch {
	case s.Type == "Map":
		if result, f = x.eachItem(s, input); f != nil {
			return "", nil, f
		}
	case s.Type == "Task":
		if result, f = x.task(s, input, effective); f != nil {
			return "", nil, f
		}
	case s.Result != nil:
		result = s.Result
	}
	if s.ResultSelector != nil {
		if result, f = x.template(s.ResultSelector, result); f != nil {
			return "", nil, f
		}
	}
	if output, f = putResult(s.ResultPath, raw, result); f != nil {
		return "", nil, f
	}
	output, f = x.filter(s.OutputPath, output)
	return s.Next, output, f
}

// fail is the failure a Fail state stands for.
func (x *execution) fail(s *aslState, input any) *stateFailure {
	out := stateFailure{s.Error, s.Cause}
	for _, p := range []struct {
		path string
		into *string
	}{{s.ErrorPath, &out.name}, {s.CausePath, &out.cause}} {
		if p.path == "" {
			continue
		}
		v, f := x.value(p.path, input)
		if f != nil {
			return f
		}
		*p.into = textOf(v)
	}
	return &out
}

// filter applies InputPath or OutputPath: nothing is everything, null is {}.
func (x *execution) filter(raw json.RawMessage, data any) (any, *stateFailure) {
	if raw == nil {
		return data, nil
	}
	var path *string
	if json.Unmarshal(raw, &path) != nil {
		return nil, failed("States.Runtime", "%s is not a path", raw)
	}
	if path == nil {
		return map[string]any{}, nil
	}
	return x.value(*path, data)
}

// putResult puts a result where ResultPath says: nothing or $ replaces the
// input, null drops the result, a path inserts it.
func putResult(raw json.RawMessage, input, result any) (any, *stateFailure) {
	if raw == nil {
		return result, nil
	}
	var path *string
	if json.Unmarshal(raw, &path) != nil {
		return nil, failed("States.Runtime", "%s is not a path", raw)
	}
	switch {
	case path == nil:
		return input, nil
	case *path == "$":
		return result, nil
	}
	names := strings.Split(strings.TrimPrefix(*path, "$."), ".")
	if !strings.HasPrefix(*path, "$.") || slices.Contains(names, "") {
		return nil, failed("States.ResultPathMatchFailure", "Unable to apply ReferencePath %s to input %s", *path, encodeJSON(input))
	}
	root, ok := decodeJSON(encodeJSON(input)).(map[string]any)
	if !ok {
		return nil, failed("States.ResultPathMatchFailure", "Unable to apply ReferencePath %s to input %s", *path, encodeJSON(input))
	}
	at := root
	for _, name := range names[:len(names)-1] {
		child, has := at[name]
		if !has {
			child = map[string]any{}
			at[name] = child
		}
		if at, ok = child.(map[string]any); !ok {
			return nil, failed("States.ResultPathMatchFailure", "Unable to apply ReferencePath %s to input %s", *path, encodeJSON(input))
		}
	}
	at[names[len(names)-1]] = result
	return root, nil
}

// value evaluates a path on the data, or on the context object when it starts
// with $$.
func (x *execution) value(path string, data any) (any, *stateFailure) {
	if rest, ok := strings.CutPrefix(path, "$$"); ok {
		path, data = "$"+rest, x.context
	}
	v, found, err := eventpattern.Lookup(path, data)
	switch {
	case err != nil:
		return nil, failed("States.Runtime", "Invalid path '%s': %v", path, err)
	case !found:
		return nil, failed("States.Runtime", "Invalid path '%s' : No results for path: %s", path, path)
	}
	return v, nil
}

// decodeJSON reads JSON that was checked before, keeping numbers as written.
func decodeJSON(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

// encodeJSON writes data as Step Functions does: minified and without the
// escapes of HTML.
func encodeJSON(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return "null"
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// textOf is a value as text: strings as they are, anything else as JSON.
func textOf(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return encodeJSON(v)
}
