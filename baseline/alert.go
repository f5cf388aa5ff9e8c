package baseline

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs/spec"
)

// alert is how people are told of an event. What it is about, the event pattern, is
// in the control's one template, templates/<control>.rule.yaml; the rules that are
// deployed are made of it: one in every account that forwards, one on the central
// bus that tells people, and one that tells an account's own topic. So the three
// cannot differ.
type alert struct {
	// call: the event is a call of an API that CloudTrail recorded.
	call bool
	// title is the first line of the mail: what happened, as a sentence.
	title string
	// event says what happened in a word or two, with variables; "" means the
	// name of the API call. subject is the same for a mail's subject, which SNS
	// ends after 100 characters; "" means event.
	event, subject string
	// time is the path of when it happened; "" means that of an API call.
	time string
	// lines follow event, time, account and Region, with variables.
	lines []string
	// paths are where the variables of the above are found in the event.
	paths map[string]string
	// resource and text are the paths of what somebody else wrote, which may
	// hold quotes and line breaks; "" when there is none. They must be in every
	// event.
	resource, text string
}

// apiCall is an alert about a call that CloudTrail recorded.
func apiCall(title string, paths map[string]string, more ...string) *alert {
	a := &alert{
		call: true, title: title,
		lines: slices.Concat([]string{"Source IP: <ip>", "By:        <who>"}, more, []string{"Refused:   <error>"}),
		paths: map[string]string{"ip": "$.detail.sourceIPAddress", "who": "$.detail.userIdentity.arn", "error": "$.detail.errorCode"},
	}
	maps.Copy(a.paths, paths)
	return a
}

// alertParts are the parts of an alert control whose rule lives in the unit.
func alertParts(unit string) []part {
	return []part{
		{unit: "central", mode: spec.Central, rule: onCentralBus},
		{unit: unit, mode: spec.Central, rule: forwarded},
		{unit: unit, mode: spec.Local, rule: toOwnTopic},
	}
}

// derive makes a rule of a control's bare one.
type derive func(rule *yaml.Node, f *fragment, a *alert) error

// onCentralBus makes the rule of the central bus, which starts the state machine
// that names the account and sends the mail.
func onCentralBus(rule *yaml.Node, _ *fragment, a *alert) error {
	props := get(rule, "Properties")
	description := get(props, "Description")
	description.Value += ", in any account"
	unrestrict(get(props, "EventPattern"))
	insertAfter(rule, "Type", "DependsOn", text("!!str", "AlertStateMachine"))
	insertAfter(props, "Description", "EventBusName", text("!Ref", "AlertBus"))
	return setTarget(props, `
Id: orgguard
Arn: !Sub arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:stateMachine:orgguard-alert
RoleArn: !GetAtt StarterRole.Arn
DeadLetterConfig:
  Arn: !GetAtt DeadLetters.Arn
`, a.variables(), a.centralInput())
}

// forwarded makes the rule of an account that sends events to the central bus.
func forwarded(rule *yaml.Node, f *fragment, _ *alert) error {
	params, err := parseNode("AlertBusArn: {Type: String, Description: The security account's alert bus}")
	if err != nil {
		return err
	}
	params.Content[1].Style = 0
	insertAfter(f.root, "Description", "Parameters", params)
	return setTarget(get(rule, "Properties"), `
Id: orgguard
Arn: !Ref AlertBusArn
RoleArn: !Sub arn:${AWS::Partition}:iam::${AWS::AccountId}:role/orgguard-event-forwarder
`, nil, "")
}

// toOwnTopic makes the rule of an account that tells its own topic.
func toOwnTopic(rule *yaml.Node, _ *fragment, a *alert) error {
	return setTarget(get(rule, "Properties"), `
Id: orgguard
Arn: !Sub arn:${AWS::Partition}:sns:${AWS::Region}:${AWS::AccountId}:orgguard-alerts
DeadLetterConfig:
  Arn: !Sub arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:orgguard-alerts-dlq
`, a.variables(), a.localText())
}

// exceptRoot leaves the calls of root users to root-activity-alert. An event that
// two rules of an account forward arrives twice, and each of the two rules of the
// central bus would tell of both.
func exceptRoot(pattern *yaml.Node) error {
	node, err := parseNode(`
userIdentity:
  # What the root user does is told by root-activity-alert.
  $or:
    - type: [{anything-but: [Root]}]
    - invokedBy: [{exists: true}]
`)
	if err != nil {
		return err
	}
	detail := get(pattern, "detail")
	detail.Content = append(detail.Content, node.Content...)
	return nil
}

// ownRule applies a part's derivation to the control's bare rule.
func (b *Baseline) ownRule(c Control, p part, f *fragment) error {
	resources := get(f.root, "Resources")
	if resources == nil || len(resources.Content) != 2 {
		return fmt.Errorf("template of %s: want exactly one rule", f.control)
	}
	rule := resources.Content[1]
	if c.alert.call && c.ID != rootActivityAlert.ID && b.hearsRoot(c) {
		if err := exceptRoot(f.at("Resources", resources.Content[0].Value, "Properties", "EventPattern")); err != nil {
			return fmt.Errorf("template of %s: %w", f.control, err)
		}
	}
	if err := p.rule(rule, f, c.alert); err != nil {
		return fmt.Errorf("template of %s: %w", f.control, err)
	}
	return nil
}

// hearsRoot says whether root-activity-alert has a rule wherever the control has
// one.
func (b *Baseline) hearsRoot(c Control) bool {
	on := slices.ContainsFunc(b.controls, func(o Control) bool { return o.ID == rootActivityAlert.ID })
	everywhere := b.AllEnabled || slices.Contains(b.Regions, b.Org.Partition.GlobalRegion)
	return on && (everywhere || !slices.ContainsFunc(c.parts, func(p part) bool { return p.unit == "signin" }))
}

// unrestrict takes out of a pattern what only an account can ask of its own events:
// values that are references to the account or its Region. An administrator of
// GuardDuty or Security Hub gets the findings of its members too, and they would
// be told twice.
func unrestrict(pattern *yaml.Node) {
	for i := 0; i+1 < len(pattern.Content); {
		value := pattern.Content[i+1]
		own := value.Kind == yaml.SequenceNode && slices.ContainsFunc(value.Content, func(n *yaml.Node) bool { return n.Tag == "!Ref" })
		if value.Kind == yaml.MappingNode {
			unrestrict(value)
			own = len(value.Content) == 0
		}
		if own {
			pattern.Content = slices.Delete(pattern.Content, i, i+2)
			continue
		}
		i += 2
	}
}

// setTarget gives a rule its one target, with an input transformer if there is a
// template.
func setTarget(props *yaml.Node, target string, paths map[string]string, template string) error {
	node, err := parseNode(target)
	if err != nil {
		return err
	}
	if template != "" {
		m := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, k := range variableOrder(paths) {
			set(m, k, text("!!str", paths[k]))
		}
		transformer := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		set(transformer, "InputPathsMap", m)
		body := text("!!str", template)
		body.Style = yaml.LiteralStyle
		set(transformer, "InputTemplate", body)
		set(node, "InputTransformer", transformer)
	}
	set(props, "Targets", &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{node}})
	return nil
}

// usual are the variables that every message has, in their order.
var usual = []string{"event", "time", "account", "region"}

// variableOrder puts the usual variables first.
func variableOrder(paths map[string]string) []string {
	rest := slices.DeleteFunc(sortedKeys(paths), func(k string) bool { return slices.Contains(usual, k) })
	return append(slices.DeleteFunc(slices.Clone(usual), func(k string) bool { return paths[k] == "" }), rest...)
}

// variables are all paths of the alert's messages.
func (a *alert) variables() map[string]string {
	out := map[string]string{"time": "$.detail.eventTime", "account": "$.account", "region": "$.region"}
	if a.time != "" {
		out["time"] = a.time
	}
	if a.event == "" {
		out["event"] = "$.detail.eventName"
	}
	for name, path := range map[string]string{"resource": a.resource, "text": a.text} {
		if path != "" {
			out[name] = path
		}
	}
	maps.Copy(out, a.paths)
	return out
}

func (a *alert) what() (event, subject string) {
	event = a.event
	if event == "" {
		event = "<event>"
	}
	if subject = a.subject; subject == "" {
		subject = event
	}
	return event, subject
}

// centralInput is what the state machine gets. Variables inside quotes are put in
// as they are, so only what AWS makes of letters, digits and dashes may stand
// there; a text that people wrote is put in as a JSON value of its own.
func (a *alert) centralInput() string {
	event, subject := a.what()
	label, resource, free := "", `""`, `""`
	if a.resource != "" {
		label, resource = `\nResource:  `, "<resource>"
	}
	if a.text != "" {
		free = "<text>"
	}
	return fmt.Sprintf(`{
  "title": %q,
  "subject": %q,
  "event": %q, "time": "<time>", "account": "<account>", "region": "<region>",
  "more": "%s",
  "label": "%s", "resource": %s,
  "text": %s
}`, a.title, subject, event, strings.Join(a.lines, `\n`), label, resource, free)
}

// localText is what subscribers of an account's own topic get: EventBridge itself
// writes it.
func (a *alert) localText() string {
	event, _ := a.what()
	lines := slices.Concat([]string{a.title, "Event:     " + event, "Time:      <time>", "Account:   <account>", "Region:    <region>"}, a.lines)
	if a.resource != "" {
		lines = append(lines, "Resource:  <resource>")
	}
	if a.text != "" {
		lines = append(lines, "<text>")
	}
	return `"` + strings.Join(lines, "\"\n\"") + `"`
}

// Mail is a message as people get it. Subject is empty where SNS gives it one.
type Mail struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// publishOf reads from the state machine's definition what it publishes, so that
// there is one text of a mail.
func publishOf(definition string) (subject, message string, err error) {
	var d struct {
		States struct {
			Publish struct {
				Parameters map[string]string
			}
		}
	}
	if err := json.Unmarshal([]byte(definition), &d); err != nil {
		return "", "", fmt.Errorf("definition of the alert state machine: %w", err)
	}
	p := d.States.Publish.Parameters
	return p["Subject.$"], p["Message.$"], nil
}

// format evaluates the one form of intrinsic function that the state machine
// uses: States.Format('text with {}', $.path, …).
func format(expression string, input map[string]any) (string, error) {
	inner, ok := strings.CutPrefix(expression, "States.Format('")
	inner, closed := strings.CutSuffix(inner, ")")
	pattern, args, found := strings.Cut(inner, "', ")
	if !ok || !closed || !found {
		return "", fmt.Errorf("cannot read %q", expression)
	}
	out := pattern
	for arg := range strings.SplitSeq(args, ", ") {
		v, ok := lookup(arg, input)
		if !ok {
			return "", fmt.Errorf("the input has no %s", arg)
		}
		before, after, ok := strings.Cut(out, "{}")
		if !ok {
			return "", fmt.Errorf("%q has fewer {} than arguments", expression)
		}
		// What was put in is not looked into again.
		out = before + strings.ReplaceAll(fmt.Sprint(v), "{}", "\x00") + after
	}
	return strings.ReplaceAll(out, "\x00", "{}"), nil
}

// lookup follows a path such as $.lookup.name.
func lookup(path string, input map[string]any) (v any, ok bool) {
	v = input
	for key := range strings.SplitSeq(strings.TrimPrefix(path, "$."), ".") {
		m, _ := v.(map[string]any)
		if v, ok = m[key]; !ok {
			return nil, false
		}
	}
	return v, true
}

// text is a scalar node.
func text(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

// quoted is a text that stands in double quotes.
func quoted(value string) *yaml.Node {
	n := text("!!str", value)
	n.Style = yaml.DoubleQuotedStyle
	return n
}

// setStrings makes a list of a pattern hold these values.
func setStrings(list *yaml.Node, values []string) {
	list.Content = nil
	for _, v := range values {
		list.Content = append(list.Content, text("!!str", v))
	}
}

// at follows keys from the top of a template that is known to have them.
func (t template) at(keys ...string) *yaml.Node {
	n := t.root
	for _, k := range keys {
		n = get(n, k)
	}
	return n
}

// parseNode reads a piece of a template.
func parseNode(src string) (*yaml.Node, error) {
	t, err := parseTemplate("piece", []byte(src))
	return t.root, err
}

// insertAfter puts a key behind another one of a mapping.
func insertAfter(m *yaml.Node, after, key string, value *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == after {
			m.Content = slices.Insert(m.Content, i+2, text("!!str", key), value)
			return
		}
	}
	set(m, key, value)
}
