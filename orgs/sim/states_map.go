package sim

import (
	"encoding/json"
	"maps"
	"strconv"
)

// eachItem runs a Map state. What a distributed Map runs are executions of their own,
// which the machine's role has to be allowed to begin.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/state-map.html
func (x *execution) eachItem(s *aslState, input any) (any, *stateFailure) {
	path := s.ItemsPath
	if path == "" {
		path = "$"
	}
	found, f := x.value(path, input)
	if f != nil {
		return nil, f
	}
	items, ok := found.([]any)
	if !ok {
		return nil, failed("States.Runtime", "Reference path %s must point to an array.", path)
	}
	distributed := s.ItemProcessor.ProcessorConfig.Mode == "DISTRIBUTED"
	arn := x.c.arn("states", "stateMachine:"+x.machine.Name)
	if distributed {
		if err := x.asRole("states:StartExecution", arn); err != nil {
			return nil, taskFailure("StepFunctions", err)
		}
	}
	results := []any{}
	broken := 0
	for i, item := range items {
		output, f := x.item(s, input, i, item, distributed)
		if f == nil {
			results = append(results, output)
			continue
		}
		if broken++; !distributed {
			return nil, f
		}
		if share := float64(broken) * 100 / float64(len(items)); share > s.ToleratedFailurePercentage && broken > s.ToleratedFailureCount {
			return nil, failed("States.ExceedToleratedFailureThreshold", "The specified tolerated failure threshold was exceeded")
		}
	}
	return results, nil
}

// item runs the processor on one item.
func (x *execution) item(s *aslState, input any, i int, item any, distributed bool) (any, *stateFailure) {
	context := maps.Clone(x.context)
	context["Map"] = map[string]any{"Item": map[string]any{"Index": json.Number(strconv.Itoa(i)), "Value": item}}
	child := &execution{c: x.c, machine: x.machine, states: s.ItemProcessor.States, context: context}
	if s.ItemSelector != nil {
		var f *stateFailure
		if item, f = child.template(s.ItemSelector, input); f != nil {
			return nil, f
		}
	}
	if distributed { // an execution of its own, which knows nothing of this one's
		id := x.c.w.uuid()
		context["Execution"] = map[string]any{
			"Id": x.c.arn("states", "execution:"+x.machine.Name+"/"+id+":"+id), "Input": item, "Name": id, "RoleArn": x.machine.RoleARN,
			"StartTime": x.context["Execution"].(map[string]any)["StartTime"],
		}
		delete(context, "Map")
	}
	return child.walk(s.ItemProcessor.StartAt, item)
}

// asRole asks whether the machine's role may do something.
func (x *execution) asRole(action, resource string) error {
	return x.c.w.authorize(x.c.sub(x.c.w.sessionOf(x.machine.RoleARN, "StepFunctions"), "SFN"), action, resource)
}
