package sim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// template fills a payload template (Parameters, ResultSelector, Credentials):
// the value of a field whose name ends in ".$" is a path or an intrinsic
// function.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-inputpath-params.html
func (x *execution) template(t, data any) (any, *stateFailure) {
	switch t := t.(type) {
	case map[string]any:
		out := make(map[string]any, len(t))
		for _, name := range sortedNames(t) {
			field, dynamic := strings.CutSuffix(name, ".$")
			if !dynamic {
				v, f := x.template(t[name], data)
				if f != nil {
					return nil, f
				}
				out[name] = v
				continue
			}
			expression, ok := t[name].(string)
			if !ok {
				return nil, failed("States.Runtime", "The value for the field '%s' must be a valid JSONPath or a valid intrinsic function call", name)
			}
			v, f := x.expression(expression, data)
			if f != nil {
				if f.name == "States.Runtime" {
					f = failed("States.ParameterPathFailure", "The JSONPath '%s' specified for the field '%s' could not be found in the input '%s'", expression, name, encodeJSON(data))
				}
				return nil, f
			}
			out[field] = v
		}
		return out, nil
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			v, f := x.template(e, data)
			if f != nil {
				return nil, f
			}
			out[i] = v
		}
		return out, nil
	}
	return t, nil
}

// expression evaluates a path or an intrinsic function.
func (x *execution) expression(text string, data any) (any, *stateFailure) {
	if !strings.HasPrefix(text, "States.") {
		return x.value(text, data)
	}
	p := &intrinsic{x: x, text: text, data: data}
	v, f := p.argument()
	if f == nil && strings.TrimSpace(p.text[p.at:]) != "" {
		f = p.fault("unexpected text after the call")
	}
	return v, f
}

// intrinsic reads and evaluates a call of an intrinsic function.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html
type intrinsic struct {
	x    *execution
	text string
	at   int
	data any
}

func (p *intrinsic) fault(why string) *stateFailure {
	return failed("States.IntrinsicFailure", "%s: %s", p.text, why)
}

func (p *intrinsic) space() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

// argument is a call, a path, a text in single quotes, a number, true, false
// or null.
func (p *intrinsic) argument() (any, *stateFailure) {
	p.space()
	rest := p.text[p.at:]
	switch {
	case strings.HasPrefix(rest, "States."):
		return p.call()
	case strings.HasPrefix(rest, "'"):
		return p.quoted()
	}
	end := p.wordEnd()
	word := strings.TrimSpace(p.text[p.at:end])
	p.at = end
	if strings.HasPrefix(word, "$") {
		return p.x.value(word, p.data)
	}
	if v := decodeJSON(word); v != nil || word == "null" {
		return v, nil
	}
	return nil, p.fault("cannot read the argument " + strconv.Quote(word))
}

// wordEnd is where an argument without quotes ends: at a comma or parenthesis
// that is not inside the brackets of a path.
func (p *intrinsic) wordEnd() int {
	depth := 0
	for i := p.at; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case depth == 0 && (c == ',' || c == ')'):
			return i
		}
	}
	return len(p.text)
}

// quoted reads a text in single quotes, in which \' \\ \{ \} are escapes. The
// backslash of braces stays for States.Format.
func (p *intrinsic) quoted() (any, *stateFailure) {
	var b strings.Builder
	for i := p.at + 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '\\' && i+1 < len(p.text):
			i++
			if p.text[i] == '{' || p.text[i] == '}' {
				b.WriteByte('\\')
			}
			b.WriteByte(p.text[i])
		case c == '\'':
			p.at = i + 1
			return b.String(), nil
		default:
			b.WriteByte(c)
		}
	}
	return nil, p.fault("a text without its closing quote")
}

// call reads name(argument, ...) and applies the function.
func (p *intrinsic) call() (any, *stateFailure) {
	open := strings.IndexByte(p.text[p.at:], '(')
	if open < 0 {
		return nil, p.fault("a function without arguments")
	}
	name := strings.TrimSpace(p.text[p.at : p.at+open])
	p.at += open + 1
	var args []any
	for {
		p.space()
		if p.at < len(p.text) && p.text[p.at] == ')' {
			p.at++
			break
		}
		v, f := p.argument()
		if f != nil {
			return nil, f
		}
		args = append(args, v)
		p.space()
		if p.at >= len(p.text) || (p.text[p.at] != ',' && p.text[p.at] != ')') {
			return nil, p.fault("expected , or )")
		}
		if p.text[p.at] == ',' {
			p.at++
		}
	}
	return p.apply(name, args)
}

func (p *intrinsic) apply(name string, args []any) (any, *stateFailure) {
	wrong := func() (any, *stateFailure) { return nil, p.fault("wrong arguments for " + name) }
	first := func() any {
		if len(args) == 0 {
			return nil
		}
		return args[0]
	}
	text, isText := first().(string)
	list, isList := first().([]any)
	switch name {
	case "States.Format":
		if !isText {
			return wrong()
		}
		return p.format(text, args[1:])
	case "States.JsonToString":
		if len(args) != 1 {
			return wrong()
		}
		return encodeJSON(args[0]), nil
	case "States.StringToJson":
		if len(args) != 1 || !isText || !json.Valid([]byte(text)) {
			return wrong()
		}
		return decodeJSON(text), nil
	case "States.Array":
		return append([]any{}, args...), nil
	case "States.ArrayLength":
		if len(args) != 1 || !isList {
			return wrong()
		}
		return json.Number(strconv.Itoa(len(list))), nil
	case "States.ArrayGetItem":
		if len(args) != 2 || !isList {
			return wrong()
		}
		i, err := strconv.Atoi(textOf(args[1]))
		if err != nil || i < 0 || i >= len(list) {
			return nil, p.fault("the index is out of range")
		}
		return list[i], nil
	case "States.ArrayContains":
		if len(args) != 2 || !isList {
			return wrong()
		}
		want := encodeJSON(args[1])
		return slices.ContainsFunc(list, func(v any) bool { return encodeJSON(v) == want }), nil
	case "States.StringSplit":
		if len(args) != 2 || !isText {
			return wrong()
		}
		out := []any{}
		for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(textOf(args[1]), r) }) {
			out = append(out, part)
		}
		return out, nil
	case "States.UUID":
		return p.x.c.w.uuid(), nil
	}
	return nil, p.fault("the sandbox does not have the function " + name)
}

// format replaces every {} by the next argument; \{ and \} are braces.
func (p *intrinsic) format(text string, args []any) (any, *stateFailure) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case strings.HasPrefix(text[i:], "{}"):
			if len(args) == 0 {
				return nil, p.fault("more {} than arguments")
			}
			b.WriteString(textOf(args[0]))
			args = args[1:]
			i++
		default:
			b.WriteByte(text[i])
		}
	}
	if len(args) > 0 {
		return nil, p.fault("more arguments than {}")
	}
	return b.String(), nil
}
