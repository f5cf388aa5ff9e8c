package sim

import (
	"encoding/json"
	"path"
	"strings"
)

// choose finds the state a Choice state leads to.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/state-choice.html
func (x *execution) choose(s *aslState, input any) (next string, output any, f *stateFailure) {
	if output, f = x.filter(s.OutputPath, input); f != nil {
		return "", nil, f
	}
	for _, rule := range s.Choices {
		holds, f := x.holds(rule, input)
		if f != nil {
			return "", nil, f
		}
		if holds {
			to, _ := rule["Next"].(string)
			return to, output, nil
		}
	}
	if s.Default == "" {
		return "", nil, failed("States.NoChoiceMatched", "No choice rule matched and the state has no default.")
	}
	return s.Default, output, nil
}

// holds evaluates a choice rule: a comparison, or And, Or and Not of others.
func (x *execution) holds(rule map[string]any, input any) (bool, *stateFailure) {
	if list, ok := rule["And"].([]any); ok {
		for _, r := range list {
			if holds, f := x.holdsAny(r, input); f != nil || !holds {
				return false, f
			}
		}
		return true, nil
	}
	if list, ok := rule["Or"].([]any); ok {
		for _, r := range list {
			if holds, f := x.holdsAny(r, input); f != nil || holds {
				return holds, f
			}
		}
		return false, nil
	}
	if r, ok := rule["Not"]; ok {
		holds, f := x.holdsAny(r, input)
		return !holds, f
	}
	variable, _ := rule["Variable"].(string)
	v, missing := x.value(variable, input)
	for name, want := range rule {
		switch name {
		case "Variable", "Next", "Comment", "Assign":
			continue
		case "IsPresent":
			return (missing == nil) == (want == true), nil
		}
		if missing != nil {
			return false, missing
		}
		if base, ok := strings.CutSuffix(name, "Path"); ok {
			at, _ := want.(string)
			other, f := x.value(at, input)
			if f != nil {
				return false, f
			}
			name, want = base, other
		}
		return compareAs(name, v, want)
	}
	return false, failed("States.Runtime", "A choice rule without a comparison.")
}

func (x *execution) holdsAny(rule, input any) (bool, *stateFailure) {
	m, ok := rule.(map[string]any)
	if !ok {
		return false, failed("States.Runtime", "A choice rule is an object.")
	}
	return x.holds(m, input)
}

// compareAs applies a comparison operator. Values of the wrong type do not
// match.
func compareAs(operator string, v, want any) (bool, *stateFailure) {
	switch operator {
	case "IsNull":
		return (v == nil) == (want == true), nil
	case "IsString":
		_, is := v.(string)
		return is == (want == true), nil
	case "IsNumeric":
		_, is := v.(json.Number)
		return is == (want == true), nil
	case "IsBoolean":
		_, is := v.(bool)
		return is == (want == true), nil
	case "BooleanEquals":
		have, ok := v.(bool)
		return ok && have == want, nil
	case "StringMatches":
		have, ok := v.(string)
		pattern, _ := want.(string)
		return ok && starMatch(pattern, have), nil
	}
	if relation, ok := strings.CutPrefix(operator, "String"); ok {
		have, isText := v.(string)
		other, otherText := want.(string)
		return relate(relation, strings.Compare(have, other), isText && otherText)
	}
	if relation, ok := strings.CutPrefix(operator, "Numeric"); ok {
		have, isNumber := v.(json.Number)
		other, otherNumber := want.(json.Number)
		a, errA := have.Float64()
		b, errB := other.Float64()
		order := 0
		if a < b {
			order = -1
		} else if a > b {
			order = 1
		}
		return relate(relation, order, isNumber && otherNumber && errA == nil && errB == nil)
	}
	return false, failed("States.Runtime", "The sandbox does not have the comparison %s.", operator)
}

// relate says whether an order of two values is the one that is asked for.
func relate(relation string, order int, fit bool) (bool, *stateFailure) {
	var holds bool
	switch relation {
	case "Equals":
		holds = order == 0
	case "LessThan":
		holds = order < 0
	case "LessThanEquals":
		holds = order <= 0
	case "GreaterThan":
		holds = order > 0
	case "GreaterThanEquals":
		holds = order >= 0
	default:
		return false, failed("States.Runtime", "The sandbox does not have the comparison %s.", relation)
	}
	return fit && holds, nil
}

// starMatch matches a text with a pattern in which * stands for anything and
// \* for itself.
func starMatch(pattern, text string) bool {
	// path.Match stops at slashes, has more metacharacters than wanted, and is
	// right in everything else.
	quote := strings.NewReplacer("?", `\?`, "[", `\[`, "/", "\x00")
	ok, err := path.Match(quote.Replace(pattern), strings.ReplaceAll(text, "/", "\x00"))
	return err == nil && ok
}
