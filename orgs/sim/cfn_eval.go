package sim

import (
	"encoding/base64"
	"fmt"

	"github.com/orgguard/orgguard/orgs"
	"regexp"
	"slices"
	"strings"
)

// noValue is what AWS::NoValue stands for: the property or list element that
// holds it is not there.
type noValue struct{}

// scope is what a template's functions can see while a stack is deployed.
type scope struct {
	t        *template
	params   map[string]string
	pseudo   map[string]any
	resource func(name string) *stackResource // nil: not created
	export   func(name string) (string, bool) // of the account × Region
	imports  map[string]bool                  // exports that were used

	decided map[string]bool // conditions evaluated so far
	open    []string        // conditions being evaluated
}

// eval evaluates a value: every function in it is replaced by its result.
func (s *scope) eval(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		if name, arg, ok := functionCall(v); ok {
			return s.call(name, arg)
		}
		out := make(map[string]any, len(v))
		for _, k := range sortedKeys(v) {
			e, err := s.eval(v[k])
			if err != nil {
				return nil, err
			}
			if _, gone := e.(noValue); !gone {
				out[k] = e
			}
		}
		return out, nil
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			r, err := s.eval(e)
			if err != nil {
				return nil, err
			}
			if _, gone := r.(noValue); !gone {
				out = append(out, r)
			}
		}
		return out, nil
	default:
		return v, nil
	}
}

// functionCall recognises a map that is an intrinsic function.
func functionCall(m map[string]any) (name string, arg any, ok bool) {
	if len(m) != 1 {
		return "", nil, false
	}
	for name, arg = range m {
		if name == "Ref" || strings.HasPrefix(name, "Fn::") {
			return name, arg, true
		}
	}
	return "", nil, false
}

// call evaluates one intrinsic function.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
func (s *scope) call(name string, arg any) (any, error) {
	switch name {
	case "Ref":
		return s.ref(scalarText(arg))
	case "Fn::GetAtt":
		return s.getAtt(arg)
	case "Fn::If":
		return s.ifElse(arg)
	}
	if name == "Fn::Sub" {
		return s.sub(arg)
	}
	// The arguments of the others are evaluated first. A condition function
	// outside Conditions is only allowed as the first argument of Fn::If.
	arg, err := s.eval(arg)
	if err != nil {
		return nil, err
	}
	list, _ := arg.([]any)
	switch name {
	case "Fn::Join":
		return join(list)
	case "Fn::Split":
		return split(list)
	case "Fn::Select":
		return pick(list)
	case "Fn::FindInMap":
		return s.findInMap(list)
	case "Fn::Base64":
		return base64.StdEncoding.EncodeToString([]byte(scalarText(arg))), nil
	case "Fn::GetAZs":
		region := scalarText(arg)
		if region == "" {
			region = scalarText(s.pseudo["AWS::Region"])
		}
		return []any{region + "a", region + "b", region + "c"}, nil
	case "Fn::ImportValue":
		export := scalarText(arg)
		value, ok := s.export(export)
		if !ok {
			return nil, validationError("No export named %s found.", export)
		}
		if s.imports != nil {
			s.imports[export] = true
		}
		return value, nil
	case "Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or":
		return nil, validationError("Template error: %s cannot be used outside of Conditions", name)
	default:
		return nil, validationError("Template error: intrinsic function %s is not supported", name)
	}
}

func (s *scope) ref(name string) (any, error) {
	if name == "AWS::NoValue" {
		return noValue{}, nil
	}
	if v, ok := s.pseudo[name]; ok {
		return v, nil
	}
	if d := s.t.parameters[name]; d != nil {
		if !d.isList() {
			return s.params[name], nil
		}
		items := []any{}
		for _, item := range d.items(s.params[name]) {
			items = append(items, item)
		}
		return items, nil
	}
	r := s.resource(name)
	if r == nil {
		return nil, unresolved(map[string]bool{name: true}, "Resources")
	}
	if r.Ref != "" {
		return r.Ref, nil
	}
	return r.Physical, nil
}

func (s *scope) getAtt(arg any) (any, error) {
	name, attribute, err := attributeOf(arg)
	if err != nil {
		return nil, err
	}
	r := s.resource(name)
	if r == nil {
		return nil, unresolved(map[string]bool{name: true}, "Resources")
	}
	value, ok := r.Attrs[attribute]
	if !ok {
		return nil, validationError("Template error: resource %s does not support attribute type %s in Fn::GetAtt", name, attribute)
	}
	return value, nil
}

// attributeOf reads Fn::GetAtt's argument: a list of two, or "Name.Attribute".
func attributeOf(arg any) (name, attribute string, err error) {
	parts := textList(arg)
	if len(parts) == 1 {
		name, attribute, _ = strings.Cut(parts[0], ".")
	} else if len(parts) >= 2 {
		name, attribute = parts[0], strings.Join(parts[1:], ".")
	}
	if name == "" || attribute == "" {
		return "", "", validationError("Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute")
	}
	return name, attribute, nil
}

func (s *scope) ifElse(arg any) (any, error) {
	list, _ := arg.([]any)
	if len(list) != 3 {
		return nil, validationError("Template error: Fn::If requires a list argument with three elements")
	}
	yes, err := s.condition(list[0])
	if err != nil {
		return nil, err
	}
	if yes {
		return s.eval(list[1])
	}
	return s.eval(list[2])
}

// subVariable is ${Name}, ${Name.Attribute}, and ${!Literal}.
var subVariable = regexp.MustCompile(`\$\{([^}]*)\}`)
var subName = orgs.NewPattern(`^[A-Za-z0-9_.:]+$`)

func (s *scope) sub(arg any) (any, error) {
	text, vars, err := subParts(arg)
	if err != nil {
		return nil, err
	}
	var failed error
	out := subVariable.ReplaceAllStringFunc(text, func(found string) string {
		name := found[2 : len(found)-1]
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			return "${" + literal + "}"
		}
		v, err := s.subValue(name, vars)
		if err != nil && failed == nil {
			failed = err
		}
		return v
	})
	return out, failed
}

func (s *scope) subValue(name string, vars map[string]any) (string, error) {
	var v any
	var err error
	if own, ok := vars[name]; ok {
		v, err = s.eval(own)
	} else if resource, _, dotted := strings.Cut(name, "."); dotted && s.t.resources[resource] != nil {
		v, err = s.getAtt(name)
	} else {
		v, err = s.ref(name)
	}
	if err != nil {
		return "", err
	}
	if !isScalar(v) {
		return "", validationError("Template error: variable %s in Fn::Sub expression does not resolve to a string", name)
	}
	return scalarText(v), nil
}

// subParts reads Fn::Sub's argument: a string, or a string and a map.
func subParts(arg any) (text string, vars map[string]any, err error) {
	switch a := arg.(type) {
	case string:
		text = a
	case []any:
		if len(a) == 2 {
			var isText, isMap bool
			text, isText = a[0].(string)
			vars, isMap = a[1].(map[string]any)
			if isText && isMap {
				break
			}
		}
		return "", nil, subShape()
	default:
		return "", nil, subShape()
	}
	for _, m := range subVariable.FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(m[1], "!") && !subName.MatchString(m[1]) {
			return "", nil, validationError("Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons")
		}
	}
	return text, vars, nil
}

func subShape() error {
	return validationError("Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. " +
		"Specify a string as first argument, and an optional second argument to specify a mapping of values to replace in the string")
}

func join(list []any) (any, error) {
	shape := validationError("Template error: every Fn::Join object requires two parameters, (1) a string delimiter and " +
		"(2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.")
	if len(list) != 2 {
		return nil, shape
	}
	delimiter, ok := list[0].(string)
	values, isList := list[1].([]any)
	if !ok || !isList {
		return nil, shape
	}
	parts := make([]string, 0, len(values))
	for _, v := range values {
		if !isScalar(v) {
			return nil, shape
		}
		parts = append(parts, scalarText(v))
	}
	return strings.Join(parts, delimiter), nil
}

func split(list []any) (any, error) {
	if len(list) == 2 && isScalar(list[0]) && isScalar(list[1]) && scalarText(list[0]) != "" {
		out := []any{}
		for part := range strings.SplitSeq(scalarText(list[1]), scalarText(list[0])) {
			out = append(out, part)
		}
		return out, nil
	}
	return nil, validationError("Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split.")
}

// pick is Fn::Select.
func pick(list []any) (any, error) {
	if len(list) == 2 {
		values, ok := list[1].([]any)
		var i int
		if _, err := fmt.Sscanf(scalarText(list[0]), "%d", &i); ok && err == nil {
			if i < 0 || i >= len(values) {
				return nil, validationError("Template error: Fn::Select cannot select nonexistent value at index %d", i)
			}
			return values[i], nil
		}
	}
	return nil, validationError("Template error: Fn::Select requires a list argument with two elements: an integer index and a list")
}

func (s *scope) findInMap(list []any) (any, error) {
	if len(list) != 3 {
		return nil, validationError("Template error: FindInMap object requires a list argument with three elements: the map name, the top-level key and the second-level key")
	}
	name, top, second := scalarText(list[0]), scalarText(list[1]), scalarText(list[2])
	m, ok := s.t.mappings[name].(map[string]any)
	if !ok {
		return nil, validationError("Template error: Mapping named '%s' is not present in the 'Mappings' section of template.", name)
	}
	row, _ := m[top].(map[string]any)
	v, ok := row[second]
	if !ok {
		return nil, validationError("Template error: Unable to get mapping for %s::%s::%s", name, top, second)
	}
	return v, nil
}

// condition evaluates a condition: its name, {"Condition": name}, or one of
// the condition functions.
func (s *scope) condition(v any) (bool, error) {
	if name, ok := v.(string); ok {
		return s.named(name)
	}
	m, _ := v.(map[string]any)
	if name, ok := m["Condition"].(string); ok && len(m) == 1 {
		return s.named(name)
	}
	name, arg, ok := functionCall(m)
	if !ok {
		return false, validationError("Template format error: Conditions can only be boolean operations on parameters and other conditions")
	}
	list, _ := arg.([]any)
	switch {
	case name == "Fn::Equals" && len(list) == 2:
		a, err := s.eval(list[0])
		if err != nil {
			return false, err
		}
		b, err := s.eval(list[1])
		return err == nil && scalarText(a) == scalarText(b), err
	case name == "Fn::Not" && len(list) == 1:
		yes, err := s.condition(list[0])
		return !yes, err
	case (name == "Fn::And" || name == "Fn::Or") && len(list) >= 2 && len(list) <= 10:
		for _, e := range list {
			yes, err := s.condition(e)
			if err != nil {
				return false, err
			}
			if yes == (name == "Fn::Or") {
				return yes, nil
			}
		}
		return name == "Fn::And", nil
	}
	return false, validationError("Template error: %s has the wrong number of arguments", name)
}

// named is a condition by name; "" is a resource without condition.
func (s *scope) named(name string) (bool, error) {
	if name == "" {
		return true, nil
	}
	if yes, ok := s.decided[name]; ok {
		return yes, nil
	}
	def, ok := s.t.conditions[name]
	if !ok {
		return false, s.t.checkConditionName(name)
	}
	if slices.Contains(s.open, name) {
		return false, validationError("Template error: Found circular condition dependency between conditions: [%s]", strings.Join(s.open, ", "))
	}
	s.open = append(s.open, name)
	yes, err := s.condition(def)
	s.open = s.open[:len(s.open)-1]
	if err != nil {
		return false, err
	}
	if s.decided == nil {
		s.decided = map[string]bool{}
	}
	s.decided[name] = yes
	return yes, nil
}
