package eventpattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits of EventBridge on one input transformer.
const (
	MaxPaths    = 100
	MaxTemplate = 8192
)

// Meta is what EventBridge knows about a delivery besides the event.
type Meta struct {
	RuleName, RuleARN string
	// Ingested is when EventBridge received the event.
	Ingested time.Time
}

// placeholder is a variable in a template.
var placeholder = regexp.MustCompile(`<([A-Za-z0-9_.-]+)>`)

// pathName is what a variable of an InputPathsMap may be called.
var pathName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// CheckTransformer returns what PutTargets would refuse in an input
// transformer; nil when nothing. It does not look at whether the paths lead
// anywhere: EventBridge does not either.
func CheckTransformer(paths map[string]string, template string) error {
	var errs []error
	if len(paths) > MaxPaths {
		errs = append(errs, fmt.Errorf("%d input paths; at most %d are allowed", len(paths), MaxPaths))
	}
	for _, name := range sortedKeys(paths) {
		switch {
		case !pathName.MatchString(name):
			errs = append(errs, fmt.Errorf("input path name %q: only letters, digits, _ and - are allowed", name))
		case strings.HasPrefix(strings.ToLower(name), "aws"):
			errs = append(errs, fmt.Errorf("input path name %q: names that start with AWS are reserved", name))
		}
		if _, err := parsePath(paths[name]); err != nil {
			errs = append(errs, fmt.Errorf("input path %s: %w", name, err))
		}
	}
	switch n := len([]rune(template)); {
	case strings.TrimSpace(template) == "":
		errs = append(errs, errors.New("the input template is empty"))
	case n > MaxTemplate:
		errs = append(errs, fmt.Errorf("the input template has %d characters; at most %d are allowed", n, MaxTemplate))
	default:
		probe := fill(template, func(string) (any, bool) { return "x", true })
		if err := checkFilled(template, probe); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// isText tells a template of quoted lines from a JSON template.
func isText(template string) bool { return strings.HasPrefix(strings.TrimSpace(template), `"`) }

// checkFilled says whether a filled template is what its kind must be: JSON,
// or lines each of which is a JSON string.
func checkFilled(template, filled string) error {
	if !isText(template) {
		if !json.Valid([]byte(filled)) {
			return errors.New("the input template is not JSON: an object, or a text of which every line is in double quotes")
		}
		return nil
	}
	for i, line := range strings.Split(strings.TrimSpace(filled), "\n") {
		line = strings.TrimSpace(line)
		if line != "" && (line[0] != '"' || !json.Valid([]byte(line))) {
			return fmt.Errorf("line %d of the input template is not a text in double quotes", i+1)
		}
	}
	return nil
}

// Transform rewrites an event as a target's input transformer does.
//
// A template of one or more lines in double quotes is a text; the quotes stay
// in the output, as subscribers of a topic can see. Anything else is JSON and
// leaves minified. Inside quotes a variable is put in as text, and its own
// quotes are not escaped: in JSON that makes the result invalid, which is the
// error here and a failed invocation in EventBridge. Outside quotes a variable
// is put in as a JSON value. An object inside quotes loses its quotes. A
// variable whose path leads nowhere is empty.
//
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
func Transform(paths map[string]string, template string, event map[string]any, meta Meta) (string, error) {
	parsed := map[string]path{}
	for name, text := range paths {
		p, err := parsePath(text)
		if err != nil {
			return "", fmt.Errorf("input path %s: %w", name, err)
		}
		parsed[name] = p
	}
	out := fill(template, func(name string) (any, bool) {
		switch name {
		case "aws.events.rule-name":
			return meta.RuleName, true
		case "aws.events.rule-arn":
			return meta.RuleARN, true
		case "aws.events.event.ingestion-time":
			return meta.Ingested.UTC().Format(time.RFC3339), true
		case "aws.events.event":
			return envelope{event, true}, true
		case "aws.events.event.json":
			return envelope{event, false}, true
		}
		p, ok := parsed[name]
		if !ok {
			return nil, false
		}
		return p.find(event)
	})
	if isText(template) {
		return strings.TrimSpace(out), nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(out)); err != nil {
		return "", fmt.Errorf("the transformed input is not JSON: %w", err)
	}
	return b.String(), nil
}

// Select is a target's InputPath: the part of the event it is sent, as JSON;
// "" when there is no such part.
func Select(jsonPath string, event map[string]any) (string, error) {
	v, ok, err := Lookup(jsonPath, event)
	if err != nil || !ok {
		return "", err
	}
	if m, isObject := v.(map[string]any); isObject && jsonPath == "$" {
		return string(Marshal(m)), nil
	}
	text, err := encode(v)
	return string(text), err
}

// Lookup follows a path in the subset of JSONPath that EventBridge takes. ok is
// false when it leads nowhere, err says that it is not such a path.
func Lookup(jsonPath string, value any) (found any, ok bool, err error) {
	p, err := parsePath(jsonPath)
	if err != nil {
		return nil, false, err
	}
	found, ok = p.find(value)
	return found, ok, nil
}

// fill replaces the variables of a template, following the double quotes.
func fill(template string, value func(name string) (any, bool)) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(template); {
		c := template[i]
		switch {
		case c == '\\' && quoted && i+1 < len(template):
			b.WriteString(template[i : i+2])
			i += 2
			continue
		case c == '"':
			quoted = !quoted
		case c == '<':
			if m := placeholder.FindStringSubmatch(template[i:]); m != nil && strings.HasPrefix(template[i:], m[0]) {
				v, ok := value(m[1])
				b.WriteString(render(v, ok, quoted))
				i += len(m[0])
				continue
			}
		}
		b.WriteByte(c)
		i++
	}
	return b.String()
}

// render is a variable's value as it stands in the output.
func render(v any, found, quoted bool) string {
	switch {
	case !found && quoted:
		return ""
	case !found:
		return `""` // anything less would not be JSON
	}
	if s := scalarText(v); quoted && s != nil {
		return *s
	}
	var text []byte
	if e, ok := v.(envelope); ok {
		text = e.json()
	} else {
		var err error
		if text, err = encode(v); err != nil {
			return `""`
		}
	}
	if quoted {
		return strings.ReplaceAll(string(text), `"`, "")
	}
	return string(text)
}

// scalarText is the text of a value that is no object and no array.
func scalarText(v any) *string {
	switch v.(type) {
	case map[string]any, []any, []string, envelope:
		return nil
	}
	text := scalarOf(v).text
	return &text
}

// envelope is the event as a predefined variable: with or without its detail.
type envelope struct {
	event         map[string]any
	withoutDetail bool
}

func (e envelope) json() []byte {
	if !e.withoutDetail {
		return Marshal(e.event)
	}
	rest := make(map[string]any, len(e.event))
	for k, v := range e.event {
		if k != "detail" {
			rest[k] = v
		}
	}
	return Marshal(rest)
}

// envelopeOrder is the order in which EventBridge writes an event's fields.
var envelopeOrder = []string{"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}

// Marshal writes an event as EventBridge sends it to a target without a
// transformer: minified, the envelope's fields in their usual order.
func Marshal(event map[string]any) []byte {
	names := make([]string, 0, len(event))
	for _, name := range envelopeOrder {
		if has(event, name) {
			names = append(names, name)
		}
	}
	for _, name := range sortedKeys(event) {
		if !slices.Contains(envelopeOrder, name) {
			names = append(names, name)
		}
	}
	b := []byte{'{'}
	for i, name := range names {
		key, _ := encode(name) // a string always encodes
		text, err := encode(event[name])
		if err != nil {
			text = []byte("null")
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, key...), ':'), text...)
	}
	return append(b, '}')
}
