package sim

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The limits of one template.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const (
	maxTemplateBody       = 51_200  // bytes in a request
	maxTemplateObject     = 1 << 20 // bytes in Amazon S3
	maxTemplateResources  = 500
	maxTemplateParameters = 200
	maxTemplateOutputs    = 200
	maxParameterValue     = 4_096
)

// template is a parsed template whose structure and references were checked.
type template struct {
	description string
	parameters  map[string]*parameterDecl
	mappings    map[string]any
	conditions  map[string]any
	resources   map[string]*resourceDecl
	outputs     map[string]*outputDecl
	transforms  []string
	metadata    any
}

// resourceDecl is a member of Resources.
type resourceDecl struct {
	typ                 string
	condition           string
	dependsOn           []string
	properties          map[string]any
	deletionPolicy      string
	updateReplacePolicy string
}

// outputDecl is a member of Outputs.
type outputDecl struct {
	condition   string
	description string
	value       any
	export      any
}

var (
	alphanumeric   = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	pseudoNames    = []string{"AWS::AccountId", "AWS::NoValue", "AWS::NotificationARNs", "AWS::Partition", "AWS::Region", "AWS::StackId", "AWS::StackName", "AWS::URLSuffix"}
	topLevel       = []string{"AWSTemplateFormatVersion", "Conditions", "Description", "Mappings", "Metadata", "Outputs", "Parameters", "Resources", "Rules", "Transform"}
	resourceFields = []string{"Condition", "CreationPolicy", "DeletionPolicy", "DependsOn", "Metadata", "Properties", "Type", "UpdatePolicy", "UpdateReplacePolicy", "Version"}
	outputFields   = []string{"Condition", "Description", "Export", "Value"}
)

// parseTemplate reads a template and refuses what CloudFormation refuses
// before it touches any resource.
func parseTemplate(body string) (*template, error) {
	raw, err := decodeTemplate(body)
	if err != nil {
		return nil, err
	}
	if bad := unknownKeys(raw, topLevel); len(bad) > 0 {
		return nil, validationError("Invalid template property or properties [%s]", strings.Join(bad, ", "))
	}
	if v, ok := raw["AWSTemplateFormatVersion"]; ok && scalarText(v) != "2010-09-09" {
		return nil, validationError("Template format error: unsupported value for AWSTemplateFormatVersion.")
	}
	t := &template{metadata: raw["Metadata"], transforms: textList(raw["Transform"])}
	if t.description, err = templateDescription(raw["Description"]); err != nil {
		return nil, err
	}
	if t.parameters, err = parseParameters(raw["Parameters"]); err != nil {
		return nil, err
	}
	if t.mappings, err = section(raw, "Mappings"); err != nil {
		return nil, err
	}
	if t.conditions, err = section(raw, "Conditions"); err != nil {
		return nil, err
	}
	if t.resources, err = parseResources(raw); err != nil {
		return nil, err
	}
	if t.outputs, err = parseOutputs(raw); err != nil {
		return nil, err
	}
	return t, t.check()
}

func templateDescription(v any) (string, error) {
	text, ok := v.(string)
	if v != nil && !ok {
		return "", validationError("Template format error: Description must be a string.")
	}
	if len(text) > 1024 {
		return "", validationError("Template format error: 'Description' length is greater than 1024.")
	}
	return text, nil
}

// section is a top-level map of the template; nil when there is none.
func section(raw map[string]any, name string) (map[string]any, error) {
	v, ok := raw[name]
	if !ok || v == nil {
		return nil, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, validationError("Template format error: %s must be a map.", name)
	}
	for _, key := range sortedKeys(m) {
		if !alphanumeric.MatchString(key) {
			return nil, validationError("Template format error: %s name '%s' is non alphanumeric.", name, key)
		}
	}
	return m, nil
}

func parseResources(raw map[string]any) (map[string]*resourceDecl, error) {
	m, err := section(raw, "Resources")
	if err != nil {
		return nil, err
	}
	if len(m) == 0 {
		return nil, validationError("Template format error: At least one Resources member must be defined.")
	}
	if len(m) > maxTemplateResources {
		return nil, validationError("Template format error: Number of resources, %d, is greater than maximum allowed, %d", len(m), maxTemplateResources)
	}
	out := make(map[string]*resourceDecl, len(m))
	for _, name := range sortedKeys(m) {
		if out[name], err = parseResource(name, m[name]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func parseResource(name string, v any) (*resourceDecl, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, validationError("Template format error: [/Resources/%s] Every Resources member must be a map.", name)
	}
	if bad := unknownKeys(m, resourceFields); len(bad) > 0 {
		return nil, validationError("Invalid template resource property '%s'", bad[0])
	}
	d := &resourceDecl{deletionPolicy: "Delete", updateReplacePolicy: "Delete", dependsOn: textList(m["DependsOn"])}
	if d.typ, ok = m["Type"].(string); !ok || d.typ == "" {
		return nil, validationError("Template format error: [/Resources/%s] Every Resources object must contain a Type member.", name)
	}
	if c, ok := m["Condition"]; ok {
		if d.condition, ok = c.(string); !ok {
			return nil, validationError("Template format error: Every Condition member must be a string.")
		}
	}
	if p := m["Properties"]; p != nil {
		if d.properties, ok = p.(map[string]any); !ok {
			return nil, validationError("Template format error: [/Resources/%s/Properties] Every Properties member must be a map.", name)
		}
	}
	for field, into := range map[string]*string{"DeletionPolicy": &d.deletionPolicy, "UpdateReplacePolicy": &d.updateReplacePolicy} {
		p, ok := m[field]
		if !ok {
			continue
		}
		*into, _ = p.(string)
		if !slices.Contains([]string{"Delete", "Retain", "RetainExceptOnCreate", "Snapshot"}, *into) {
			return nil, validationError("Template error: Unrecognized %s %s for resource %s", field, scalarText(p), name)
		}
	}
	return d, nil
}

func parseOutputs(raw map[string]any) (map[string]*outputDecl, error) {
	m, err := section(raw, "Outputs")
	if err != nil {
		return nil, err
	}
	if len(m) > maxTemplateOutputs {
		return nil, validationError("Template format error: Number of outputs, %d, is greater than maximum allowed, %d", len(m), maxTemplateOutputs)
	}
	out := make(map[string]*outputDecl, len(m))
	for _, name := range sortedKeys(m) {
		o, ok := m[name].(map[string]any)
		if !ok || o["Value"] == nil {
			return nil, validationError("Template format error: Every Outputs member must contain a Value object")
		}
		if bad := unknownKeys(o, outputFields); len(bad) > 0 {
			return nil, validationError("Invalid template output property '%s'", bad[0])
		}
		d := &outputDecl{value: o["Value"], description: scalarText(o["Description"])}
		d.condition, _ = o["Condition"].(string)
		if e, ok := o["Export"].(map[string]any); ok {
			d.export = e["Name"]
		}
		out[name] = d
	}
	return out, nil
}

// check verifies that everything the template refers to exists.
func (t *template) check() error {
	for _, name := range sortedKeys(t.resources) {
		if t.parameters[name] != nil {
			return validationError("Template format error: Resource name %s is the name of a parameter too; logical ids must be unique.", name)
		}
	}
	for _, name := range sortedKeys(t.conditions) {
		if err := t.checkCondition(t.conditions[name]); err != nil {
			return err
		}
	}
	missing := map[string]bool{}
	for _, name := range sortedKeys(t.resources) {
		r := t.resources[name]
		if err := t.checkConditionName(r.condition); err != nil {
			return err
		}
		for _, d := range r.dependsOn {
			if t.resources[d] == nil {
				missing[d] = true
			}
		}
		if err := t.checkValue(r.properties, missing); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return unresolved(missing, "Resources")
	}
	for _, name := range sortedKeys(t.outputs) {
		o := t.outputs[name]
		if err := t.checkConditionName(o.condition); err != nil {
			return err
		}
		if err := t.checkValue([]any{o.value, o.export}, missing); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return unresolved(missing, "Outputs")
	}
	return nil
}

func unresolved(names map[string]bool, block string) error {
	return validationError("Template format error: Unresolved resource dependencies [%s] in the %s block of the template",
		strings.Join(sortedKeys(names), ", "), block)
}

func (t *template) checkConditionName(name string) error {
	if name == "" {
		return nil
	}
	if _, ok := t.conditions[name]; !ok {
		return validationError("Template format error: Unresolved condition dependency %s in the Conditions block of the template", name)
	}
	return nil
}

// checkCondition verifies the references of a condition, which may use
// parameters, mappings and other conditions but no resources.
func (t *template) checkCondition(v any) error {
	missing := map[string]bool{}
	err := walkReferences(v, nil, func(r reference) error {
		switch {
		case r.kind == refCondition:
			return t.checkConditionName(r.name)
		case t.parameters[r.name] == nil && !slices.Contains(pseudoNames, r.name):
			missing[r.name] = true
		}
		return nil
	})
	if err == nil && len(missing) > 0 {
		return validationError("Template format error: Unresolved dependencies [%s]. Cannot reference resources in the Conditions block of the template", strings.Join(sortedKeys(missing), ", "))
	}
	return err
}

// checkValue verifies the references of a property or output and adds the
// names nothing in the template has to missing.
func (t *template) checkValue(v any, missing map[string]bool) error {
	return walkReferences(v, nil, func(r reference) error {
		switch r.kind {
		case refCondition:
			return t.checkConditionName(r.name)
		case refAttribute:
			d := t.resources[r.name]
			if d == nil {
				return validationError("Template error: instance of Fn::GetAtt references undefined resource %s", r.name)
			}
			p, known := resourceTypes[d.typ]
			if known && !slices.Contains(p.attrs, r.attribute) {
				return validationError("Template error: resource %s does not support attribute type %s in Fn::GetAtt", r.name, r.attribute)
			}
		case refName:
			if t.resources[r.name] == nil && t.parameters[r.name] == nil && !slices.Contains(pseudoNames, r.name) {
				missing[r.name] = true
			}
		}
		return nil
	})
}

// unknownTypes is the resource types CloudFormation does not have.
func (t *template) unknownTypes() []string {
	set := map[string]bool{}
	for _, r := range t.resources {
		if _, ok := resourceTypes[r.typ]; !ok {
			set[r.typ] = true
		}
	}
	return sortedKeys(set)
}

// resourceTypesUsed is the template's resource types, each once.
func (t *template) resourceTypesUsed() []string {
	set := map[string]bool{}
	for _, r := range t.resources {
		set[r.typ] = true
	}
	return sortedKeys(set)
}

// capabilities is what the caller has to acknowledge, and why.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/control-access-with-iam.html#using-iam-capabilities
func (t *template) capabilities() (capability, reason string) {
	types := map[string]bool{}
	for _, r := range t.resources {
		p := resourceTypes[r.typ]
		if !p.iam {
			continue
		}
		types[r.typ] = true
		if capability == "" {
			capability = "CAPABILITY_IAM"
		}
		if _, named := r.properties[p.name]; named && p.name != "" {
			capability = "CAPABILITY_NAMED_IAM"
		}
	}
	if capability == "" {
		return "", ""
	}
	return capability, "The following resource(s) require capabilities: [" + strings.Join(sortedKeys(types), ", ") + "]"
}

// admit refuses a template the caller did not acknowledge.
func (t *template) admit(capabilities []string) error {
	if len(t.transforms) > 0 {
		return validationError("Template error: transforms and macros are not supported: [%s]", strings.Join(t.transforms, ", "))
	}
	need, _ := t.capabilities()
	if need == "" || slices.Contains(capabilities, "CAPABILITY_NAMED_IAM") || slices.Contains(capabilities, need) {
		return nil
	}
	return apiError("InsufficientCapabilitiesException", "Requires capabilities : [%s]", need)
}

func unknownKeys(m map[string]any, known []string) []string {
	var bad []string
	for _, k := range sortedKeys(m) {
		if !slices.Contains(known, k) {
			bad = append(bad, k)
		}
	}
	return bad
}

// textList is a string or a list of strings.
func textList(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			out = append(out, scalarText(e))
		}
		return out
	default:
		return []string{scalarText(v)}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
