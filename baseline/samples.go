package baseline

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/eventpattern"
	"github.com/orgguard/orgguard/orgs/spec"
)

// Samples are events as AWS documents them: samples/events has one of each kind,
// samples/<control>.yaml what is changed in it and whether the control's rule must
// fire, and of some the exact message.
//
//go:embed samples/*.yaml samples/events/*.json
var sampleFiles embed.FS

// Sample is one event and what must come of it.
type Sample struct {
	Control string
	Name    string
	Event   map[string]any
	Fires   bool
	// Defaults: only with the control's default settings.
	Defaults bool
	// Central and Local are the messages in the two alert modes; "" where
	// nobody wrote one down.
	Central, Local string
}

// sampleFile is a file of samples.
type sampleFile struct {
	Event   string         `yaml:"event"` // file in samples/events
	Set     map[string]any `yaml:"set"`   // for all of its samples
	Samples []struct {
		Name     string         `yaml:"name"`
		Set      map[string]any `yaml:"set"`
		Fires    bool           `yaml:"fires"`
		Defaults bool           `yaml:"defaults"`
		Central  string         `yaml:"central"`
		Local    string         `yaml:"local"`
	} `yaml:"samples"`
}

// samplesOf reads a control's samples.
func samplesOf(control string) ([]Sample, error) {
	name := "samples/" + control + ".yaml"
	src, err := sampleFiles.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("samples of %s: %w", control, err)
	}
	var file sampleFile
	d := yaml.NewDecoder(bytes.NewReader(src))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	base, err := sampleFiles.ReadFile("samples/events/" + file.Event + ".json")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var out []Sample
	for _, s := range file.Samples {
		event, err := ParseEvent(base)
		if err != nil {
			return nil, fmt.Errorf("%s: event %s: %w", name, file.Event, err)
		}
		for _, changes := range []map[string]any{file.Set, s.Set} {
			for _, path := range sortedKeys(changes) {
				// A copy: the next sample changes its own.
				value, err := plain(changes[path])
				if err == nil {
					err = setPath(event, strings.Split(path, "."), value)
				}
				if err != nil {
					return nil, fmt.Errorf("%s: %s: set %s: %w", name, s.Name, path, err)
				}
			}
		}
		out = append(out, Sample{Control: control, Name: s.Name, Event: event, Fires: s.Fires, Defaults: s.Defaults, Central: s.Central, Local: s.Local})
	}
	return out, nil
}

// plain is a copy of a value as JSON decodes it.
func plain(v any) (any, error) {
	src, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// setPath sets a value in an event; a number in a path is an index.
func setPath(in any, path []string, value any) error {
	switch at := in.(type) {
	case map[string]any:
		if len(path) == 1 {
			at[path[0]] = value
			return nil
		}
		return setPath(at[path[0]], path[1:], value)
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i >= len(at) || len(path) == 1 {
			return fmt.Errorf("no element %s", path[0])
		}
		return setPath(at[i], path[1:], value)
	}
	return fmt.Errorf("no %s there", path[0])
}

// maxEvent is the size of an event that EventBridge takes, in bytes.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
const maxEvent = 1 << 20

// ParseEvent reads an event of EventBridge: one JSON object. Numbers stay as they
// are written, as EventBridge compares them.
func ParseEvent(src []byte) (map[string]any, error) {
	if len(src) > maxEvent {
		return nil, fmt.Errorf("more than %d bytes, which is what EventBridge takes", maxEvent)
	}
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	var event map[string]any
	if err := d.Decode(&event); err != nil {
		return nil, fmt.Errorf("not an event: %w", err)
	}
	if event == nil {
		return nil, errors.New("not an event: want a JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not an event: there is more behind the JSON object")
	}
	return event, nil
}

// Told is what one alert rule makes of an event.
type Told struct {
	Control string
	Rule    string
	Fires   bool
	// Mail is the message, if it fires.
	Mail Mail
	// Chat is the message to the chat channels; nil where there are none.
	Chat *ChatMessage
	// Lost says why EventBridge could make no message of it: the event would go
	// to the dead-letter queue.
	Lost string
}

// accountName stands in messages for the account's name, which the state machine
// looks up.
const accountName = "account-name"

// tell evaluates a control's rules for an event, as they are deployed where the
// event says that it happened.
func (b *Baseline) tell(c Control, event map[string]any) (Told, error) {
	account, region := fmt.Sprint(event["account"]), fmt.Sprint(event["region"])
	out := Told{Control: c.ID}
	rules := map[string]Resource{}
	machines := map[string]Resource{} // by name
	for _, u := range b.units {
		s := b.scope(orgs.AccountID(account), region)
		if u.ID == "central" {
			s = b.scope(b.Security, b.Home)
		}
		rs, err := u.resources(s)
		if err != nil {
			return out, err
		}
		for _, r := range rs {
			switch {
			case r.Type == "AWS::StepFunctions::StateMachine":
				machines[r.str("StateMachineName")] = r
			case r.Type == "AWS::Events::Rule" && r.Control == c.ID:
				rules[u.ID] = r
			}
		}
	}
	if len(rules) == 0 {
		return out, fmt.Errorf("control %s has no rule", c.ID)
	}
	out.Fires = b.at(orgs.AccountID(account)).on[c.ID]
	var last Resource // the rule that makes the message
	for _, id := range sortedKeys(rules) {
		r := rules[id]
		p, err := eventpattern.Parse([]byte(compact(r.Props["EventPattern"])))
		if err != nil {
			return out, fmt.Errorf("rule %s: %w", r.str("Name"), err)
		}
		out.Fires = out.Fires && r.str("State") != "DISABLED" && p.MatchValue(event)
		if out.Rule = r.str("Name"); r.wantTargets()[0].Template != "" {
			last = r
		}
	}
	if !out.Fires {
		return out, nil
	}
	target := last.wantTargets()[0]
	message, err := eventpattern.Transform(target.Paths, target.Template, event, eventpattern.Meta{RuleName: out.Rule})
	if err != nil {
		out.Lost = err.Error()
		return out, nil
	}
	out.Mail.Text = message
	if b.Config.Alerts.Mode == spec.Central {
		var in map[string]any
		if in, err = b.machineInput(message); err == nil {
			out.Mail, err = mailOf(machines["orgguard-alert"].str("DefinitionString"), in)
		}
		if err == nil && b.chats() {
			out.Chat, err = chatOf(machines["orgguard-alert-chat"].str("DefinitionString"), in)
		}
	}
	return out, err
}

// machineInput is the input of the state machines once the account's name is looked
// up.
func (b *Baseline) machineInput(input string) (map[string]any, error) {
	var in map[string]any
	if err := json.Unmarshal([]byte(input), &in); err != nil {
		return nil, fmt.Errorf("input of the alert state machine: %w", err)
	}
	name := accountName
	if a, ok := b.Org.Account(orgs.AccountID(fmt.Sprint(in["account"]))); ok {
		name = a.Name
	}
	in["lookup"] = map[string]any{"name": name}
	return in, nil
}

// mailOf is what the state machine publishes for an input.
func mailOf(definition string, in map[string]any) (Mail, error) {
	subject, text, err := publishOf(definition)
	if err != nil {
		return Mail{}, err
	}
	var m Mail
	if m.Subject, err = format(subject, in); err != nil {
		return m, err
	}
	m.Text, err = format(text, in)
	return m, err
}

// Tell says what each alert rule of the configuration makes of an event. It looks
// at nothing.
func (b *Baseline) Tell(event map[string]any) ([]Told, error) {
	var out []Told
	for _, c := range b.controls {
		if c.alert == nil {
			continue
		}
		t, err := b.tell(c, event)
		if err != nil {
			return nil, err
		}
		t.Fires = t.Fires && b.livesIn(c, fmt.Sprint(event["region"]))
		out = append(out, t)
	}
	return out, nil
}

// livesIn says whether a control has its rule in a Region.
func (b *Baseline) livesIn(c Control, region string) bool {
	return slices.ContainsFunc(b.units, func(u *composed) bool {
		return (u.everywhere() || u.place == trailOwner) && slices.Contains(u.controls, c.ID) && slices.Contains(b.unitRegions(u.unit, b.candidates()), region)
	})
}

// SampleResult is how a sample went.
type SampleResult struct {
	Control, Name string
	// Want and Got say whether the rule fires, WantMail and GotMail what it
	// says; WantMail is "" where nobody wrote it down.
	Want, Got         bool
	WantMail, GotMail string
	// Skipped says why the sample says nothing about this configuration.
	Skipped string
	// Err says why it could not be tried.
	Err error
}

// Passed says whether the rule did what it must.
func (r SampleResult) Passed() bool {
	return r.Skipped == "" && r.Err == nil && r.Want == r.Got && (r.WantMail == "" || r.WantMail == r.GotMail)
}

// String is a message as a file of samples has it: with its subject, if it has one
// of its own.
func (m Mail) String() string {
	text := strings.TrimRight(m.Text, "\n")
	if m.Subject != "" {
		text = "Subject: " + m.Subject + "\n\n" + text
	}
	return text
}

// TrySamples runs the samples of the alert controls that are on, of all or of the
// named ones, through the rules of the configuration.
func (b *Baseline) TrySamples(only []string) ([]SampleResult, error) {
	if err := b.knowsAlerts(only); err != nil {
		return nil, err
	}
	var out []SampleResult
	for _, c := range b.controls {
		if c.alert == nil || len(only) > 0 && !slices.Contains(only, c.ID) {
			continue
		}
		samples, err := samplesOf(c.ID)
		if err != nil {
			return nil, err
		}
		for _, s := range samples {
			out = append(out, b.try(c, s))
		}
	}
	return out, nil
}

// knowsAlerts reports names that are no alert control, or one that is off.
func (b *Baseline) knowsAlerts(names []string) error {
	var known []string
	for _, c := range controls {
		if c.alert != nil {
			known = append(known, c.ID)
		}
	}
	var problems []error
	for _, name := range names {
		switch {
		case !slices.Contains(known, name):
			problems = append(problems, &orgs.UnknownError{Kind: "alert control", Name: name, Near: orgs.Nearest(name, known)})
		case !slices.Contains(b.Controls(), name):
			problems = append(problems, fmt.Errorf("control %s is off in the configuration", name))
		}
	}
	return errors.Join(problems...)
}

func (b *Baseline) try(c Control, s Sample) SampleResult {
	r := SampleResult{Control: c.ID, Name: s.Name, Want: s.Fires}
	if s.Defaults && c.settings != nil && !reflect.DeepEqual(c.settings(), b.settings[c.ID]) {
		r.Skipped = "the control has settings of its own"
		return r
	}
	t, err := b.tell(c, s.Event)
	if r.Got, r.Err = t.Fires, err; err != nil {
		return r
	}
	if t.Lost != "" {
		r.Err = errors.New(t.Lost)
		return r
	}
	if t.Fires {
		r.GotMail = t.Mail.String()
		r.WantMail = strings.TrimRight(s.Central, "\n")
		if b.Config.Alerts.Mode == spec.Local {
			r.WantMail = strings.TrimRight(s.Local, "\n")
		}
	}
	return r
}
