package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// A template is read into plain values: map[string]any, []any, string, bool,
// json.Number and nil. Numbers keep their spelling, because CloudFormation
// hands "1.0" or "0700" to a string property as it was written. YAML's short
// forms become the long ones, so that one evaluator serves both syntaxes.

// decodeTemplate reads a template body of either syntax.
func decodeTemplate(body string) (map[string]any, error) {
	var v any
	var err error
	if strings.HasPrefix(strings.TrimSpace(body), "{") {
		v, err = decodeJSONTemplate(body)
	} else {
		v, err = decodeYAMLTemplate(body)
	}
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, validationError("Template format error: unsupported structure.")
	}
	return m, nil
}

func decodeJSONTemplate(body string) (any, error) {
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	if err == nil {
		if _, extra := d.Token(); extra == io.EOF {
			return v, nil
		}
		err = errors.New("trailing data")
	}
	// A YAML flow mapping starts with a brace too, but its first key is
	// rarely quoted.
	if first := strings.TrimSpace(strings.TrimSpace(body)[1:]); first != "" && first[0] != '"' {
		if y, yamlErr := decodeYAMLTemplate(body); yamlErr == nil {
			return y, nil
		}
	}
	offset := int(d.InputOffset())
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = int(syntax.Offset)
	}
	offset = min(max(offset, 0), len(body))
	line := strings.Count(body[:offset], "\n") + 1
	column := offset - (strings.LastIndex(body[:offset], "\n") + 1)
	return nil, validationError("Template format error: JSON not well-formed. (line %d, column %d)", line, column)
}

func decodeYAMLTemplate(body string) (any, error) {
	f, err := parser.ParseBytes([]byte(body), 0)
	if err != nil {
		return nil, validationError("Template format error: YAML not well-formed. (%s)", yamlPosition(err))
	}
	if len(f.Docs) != 1 || f.Docs[0].Body == nil {
		return nil, validationError("Template format error: unsupported structure.")
	}
	return yamlValue(f.Docs[0].Body)
}

// yamlPosition turns the parser's "[line:column] ..." into CloudFormation's wording.
func yamlPosition(err error) string {
	text, ok := strings.CutPrefix(err.Error(), "[")
	if pos, _, found := strings.Cut(text, "]"); ok && found {
		if line, column, found := strings.Cut(pos, ":"); found {
			return "line " + line + ", column " + column
		}
	}
	return "line 1, column 1"
}

// yamlValue makes a plain value of a YAML node.
func yamlValue(n ast.Node) (any, error) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return yamlMap(n.Values)
	case *ast.MappingValueNode:
		return yamlMap([]*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		list := make([]any, 0, len(n.Values))
		for _, e := range n.Values {
			v, err := yamlValue(e)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case *ast.TagNode:
		return yamlTag(n)
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.NullNode, nil:
		return nil, nil
	case *ast.IntegerNode:
		text := n.GetToken().Value
		if _, err := strconv.ParseInt(text, 10, 64); err == nil {
			return json.Number(strings.TrimPrefix(text, "+")), nil
		}
		raw, err := json.Marshal(n.Value) // hexadecimal, octal, 1_000
		return json.Number(raw), err
	case *ast.FloatNode:
		text := n.GetToken().Value
		if json.Valid([]byte(text)) {
			return json.Number(text), nil
		}
		raw, err := json.Marshal(n.Value)
		return json.Number(raw), err
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
		return nil, validationError("Template error: YAML aliases are not allowed in CloudFormation templates")
	default:
		return n.GetToken().Value, nil
	}
}

func yamlMap(values []*ast.MappingValueNode) (any, error) {
	m := make(map[string]any, len(values))
	for _, e := range values {
		if _, merge := e.Key.(*ast.MergeKeyNode); merge {
			return nil, validationError("Template error: YAML aliases are not allowed in CloudFormation templates")
		}
		v, err := yamlValue(e.Value)
		if err != nil {
			return nil, err
		}
		m[e.Key.GetToken().Value] = v
	}
	return m, nil
}

// yamlShort is the functions that have a short form in YAML.
var yamlShort = map[string]string{
	"!Ref": "Ref", "!Condition": "Condition",
	"!Sub": "Fn::Sub", "!GetAtt": "Fn::GetAtt", "!If": "Fn::If", "!Join": "Fn::Join", "!Select": "Fn::Select",
	"!Split": "Fn::Split", "!FindInMap": "Fn::FindInMap", "!Equals": "Fn::Equals", "!Not": "Fn::Not",
	"!And": "Fn::And", "!Or": "Fn::Or", "!Base64": "Fn::Base64", "!ImportValue": "Fn::ImportValue",
	"!GetAZs": "Fn::GetAZs", "!Cidr": "Fn::Cidr", "!Transform": "Fn::Transform",
	"!Length": "Fn::Length", "!ToJsonString": "Fn::ToJsonString",
}

func yamlTag(n *ast.TagNode) (any, error) {
	v, err := yamlValue(n.Value)
	if err != nil {
		return nil, err
	}
	tag := n.Start.Value
	switch tag {
	case "!!str":
		return scalarText(v), nil
	case "!!int", "!!float", "!!bool", "!!map", "!!seq", "!!null":
		return v, nil
	}
	name, ok := yamlShort[tag]
	if !ok {
		return nil, validationError("Template format error: YAML tag %s is not supported", tag)
	}
	if text, isText := v.(string); isText && name == "Fn::GetAtt" {
		resource, attribute, _ := strings.Cut(text, ".")
		v = []any{resource, attribute}
	}
	return map[string]any{name: v}, nil
}

// scalarText is a scalar as text, which is how CloudFormation passes every
// scalar to Fn::Sub, Fn::Join and string properties.
func scalarText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	case nil:
		return ""
	default:
		return jsonText(v)
	}
}

func isScalar(v any) bool {
	switch v.(type) {
	case string, bool, json.Number:
		return true
	}
	return false
}

// jsonText is a value as JSON with sorted keys and without HTML escapes:
// policies and state machine definitions are compared as text by the services.
func jsonText(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}
