package sim

import (
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// parameterDecl is a member of Parameters.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
type parameterDecl struct {
	typ         string
	value       *string // Default
	allowed     []string
	pattern     string
	minLength   *big.Rat
	maxLength   *big.Rat
	minValue    *big.Rat
	maxValue    *big.Rat
	noEcho      bool
	description string
	constraint  string // ConstraintDescription
}

var parameterFields = []string{"AllowedPattern", "AllowedValues", "ConstraintDescription", "Default", "Description", "MaxLength", "MaxValue", "MinLength", "MinValue", "NoEcho", "Type"}

func parseParameters(v any) (map[string]*parameterDecl, error) {
	m, err := section(map[string]any{"Parameters": v}, "Parameters")
	if err != nil {
		return nil, err
	}
	if len(m) > maxTemplateParameters {
		return nil, validationError("Template format error: Number of parameters, %d, is greater than maximum allowed, %d", len(m), maxTemplateParameters)
	}
	out := make(map[string]*parameterDecl, len(m))
	for _, name := range sortedKeys(m) {
		if out[name], err = parseParameter(name, m[name]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func parseParameter(name string, v any) (*parameterDecl, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, validationError("Template format error: [/Parameters/%s] Every Parameters member must be a map.", name)
	}
	if bad := unknownKeys(m, parameterFields); len(bad) > 0 {
		return nil, validationError("Invalid template parameter property '%s'", bad[0])
	}
	d := &parameterDecl{
		allowed:     textList(m["AllowedValues"]),
		noEcho:      strings.EqualFold(scalarText(m["NoEcho"]), "true"),
		description: scalarText(m["Description"]),
		constraint:  scalarText(m["ConstraintDescription"]),
		pattern:     scalarText(m["AllowedPattern"]),
	}
	if d.typ, _ = m["Type"].(string); d.typ == "" {
		return nil, validationError("Template format error: Every Parameters object must contain a Type member.")
	}
	if !knownParameterType(d.typ) {
		return nil, validationError("Template format error: Unrecognized parameter type: %s", d.typ)
	}
	if dv, ok := m["Default"]; ok {
		if !isScalar(dv) {
			return nil, validationError("Template format error: Every Default member must be a string.")
		}
		text := scalarText(dv)
		d.value = &text
	}
	for field, into := range map[string]**big.Rat{"MinLength": &d.minLength, "MaxLength": &d.maxLength, "MinValue": &d.minValue, "MaxValue": &d.maxValue} {
		b, ok := m[field]
		if !ok {
			continue
		}
		if *into, ok = new(big.Rat).SetString(scalarText(b)); !ok {
			return nil, validationError("Template format error: %s must be a number.", field)
		}
	}
	if d.pattern != "" {
		if _, err := regexp.Compile(anchored(d.pattern)); err != nil {
			return nil, validationError("Template error: Parameter %s has an invalid AllowedPattern %s", name, d.pattern)
		}
	}
	if d.value != nil {
		if err := d.checkValue(name, *d.value); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// knownParameterType accepts the basic types and AWS-specific ones; the types
// that read Systems Manager parameters are out, as the world has none.
func knownParameterType(typ string) bool {
	switch typ {
	case "String", "Number", "CommaDelimitedList", "List<Number>", "List<String>":
		return true
	}
	typ = strings.TrimSuffix(strings.TrimPrefix(typ, "List<"), ">")
	return strings.HasPrefix(typ, "AWS::EC2::") || strings.HasPrefix(typ, "AWS::Route53::")
}

// anchored makes AllowedPattern match the whole value, as Java's matches does.
func anchored(pattern string) string { return `^(?:` + pattern + `)$` }

func (d *parameterDecl) isList() bool {
	return d.typ == "CommaDelimitedList" || strings.HasPrefix(d.typ, "List<")
}

// items splits a list value; CloudFormation trims each member.
func (d *parameterDecl) items(value string) []string {
	if !d.isList() {
		return []string{value}
	}
	if value == "" {
		return nil
	}
	parts := strings.Split(value, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

// checkValue applies the declaration's constraints to one value.
func (d *parameterDecl) checkValue(name, value string) error {
	if len(value) > maxParameterValue {
		return validationError("Parameter '%s' must not exceed %d bytes", name, maxParameterValue)
	}
	for _, item := range d.items(value) {
		if err := d.checkItem(name, item); err != nil {
			return err
		}
	}
	return nil
}

func (d *parameterDecl) checkItem(name, value string) error {
	if len(d.allowed) > 0 && !slices.Contains(d.allowed, value) {
		return d.violated(name, "Parameter '%s' must be one of AllowedValues", name)
	}
	if d.pattern != "" {
		re, err := regexp.Compile(anchored(d.pattern))
		if err != nil || !re.MatchString(value) {
			return d.violated(name, "Parameter '%s' must match pattern %s", name, d.pattern)
		}
	}
	length := big.NewRat(int64(utf8.RuneCountInString(value)), 1)
	if d.minLength != nil && length.Cmp(d.minLength) < 0 {
		return d.violated(name, "Parameter '%s' must contain at least %s characters", name, d.minLength.RatString())
	}
	if d.maxLength != nil && length.Cmp(d.maxLength) > 0 {
		return d.violated(name, "Parameter '%s' must contain at most %s characters", name, d.maxLength.RatString())
	}
	if d.typ != "Number" && d.typ != "List<Number>" {
		return nil
	}
	n, ok := new(big.Rat).SetString(value)
	if !ok || !json.Valid([]byte(value)) {
		return validationError("Parameter '%s' must be a number", name)
	}
	if d.minValue != nil && n.Cmp(d.minValue) < 0 {
		return d.violated(name, "Parameter '%s' must be a number not less than %s", name, d.minValue.RatString())
	}
	if d.maxValue != nil && n.Cmp(d.maxValue) > 0 {
		return d.violated(name, "Parameter '%s' must be a number not greater than %s", name, d.maxValue.RatString())
	}
	return nil
}

// violated is the message of a broken constraint; the author's own
// ConstraintDescription takes its place.
func (d *parameterDecl) violated(name, format string, args ...any) error {
	if d.constraint != "" {
		return validationError("Parameter %s failed to satisfy constraint: %s", name, d.constraint)
	}
	return validationError(format, args...)
}

// resolveParameters completes the given values with the defaults and checks
// all of them: unknown names, missing values, constraints.
func (t *template) resolveParameters(given map[string]string) (map[string]string, error) {
	var unknown, missing []string
	for _, name := range sortedKeys(given) {
		if t.parameters[name] == nil {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return nil, validationError("Parameters: [%s] do not exist in the template", strings.Join(unknown, ", "))
	}
	out := make(map[string]string, len(t.parameters))
	for _, name := range sortedKeys(t.parameters) {
		d := t.parameters[name]
		value, ok := given[name]
		switch {
		case ok:
			if err := d.checkValue(name, value); err != nil {
				return nil, err
			}
		case d.value != nil:
			value = *d.value
		default:
			missing = append(missing, name)
			continue
		}
		out[name] = value
	}
	if len(missing) > 0 {
		return nil, validationError("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	return out, nil
}
