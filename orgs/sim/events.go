package sim

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/eventpattern"
)

// eventsState is EventBridge in one account × Region.
type eventsState struct {
	// Buses by name. Every account × Region has a bus called "default",
	// stored here once something on it was changed.
	Buses map[string]*eventBus `json:"buses,omitempty"`
}

// eventBus is an event bus ("classic", as AWS calls it since September 2026)
// with its rules and its resource policy.
type eventBus struct {
	Name        string                `json:"name"`
	Description string                `json:"description,omitempty"`
	KMSKey      string                `json:"kms_key,omitempty"`
	DeadLetter  string                `json:"dead_letter,omitempty"` // queue ARN
	Log         *types.LogConfig      `json:"log,omitempty"`
	Policy      string                `json:"policy,omitempty"`
	Rules       map[string]*eventRule `json:"rules,omitempty"`
	Tags        map[string]string     `json:"tags,omitempty"`
	Created     time.Time             `json:"created,omitzero"`
	Modified    time.Time             `json:"modified,omitzero"`
}

// eventRule is a rule of a bus with its targets.
type eventRule struct {
	Name        string                  `json:"name"`
	Description string                  `json:"description,omitempty"`
	Pattern     string                  `json:"pattern,omitempty"`
	Schedule    string                  `json:"schedule,omitempty"`
	State       types.RuleState         `json:"state"`
	RoleARN     string                  `json:"role_arn,omitempty"`
	CreatedBy   string                  `json:"created_by,omitempty"`
	Targets     map[string]types.Target `json:"targets,omitempty"` // by target id
	Tags        map[string]string       `json:"tags,omitempty"`
	Changed     time.Time               `json:"changed,omitzero"`

	parsed *eventpattern.Pattern // of Pattern; made on demand
}

// onRule gives an operation the rule it acts on as its resource.
func onRule[I any](o operation, rule func(*I) (bus, name *string)) operation {
	return on(o, func(c *call, in *I) string {
		bus, name := rule(in)
		account, region, busName := busNamed(c, bus)
		return c.w.ruleARN(account, region, busName, aws.ToString(name))
	})
}

// onBus gives an operation the event bus it acts on as its resource.
func onBus[I any](o operation, bus func(*I) *string) operation {
	return on(o, func(c *call, in *I) string {
		account, region, name := busNamed(c, bus(in))
		return c.w.busARN(account, region, name)
	})
}

// eventsOps are the operations of EventBridge.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
var eventsOps = map[string]operation{
	"PutRule":      onRule(op(write, putRule), func(in *eventbridge.PutRuleInput) (*string, *string) { return in.EventBusName, in.Name }),
	"DescribeRule": onRule(op(read, describeRule), func(in *eventbridge.DescribeRuleInput) (*string, *string) { return in.EventBusName, in.Name }),
	"EnableRule":   onRule(op(write, enableRule), func(in *eventbridge.EnableRuleInput) (*string, *string) { return in.EventBusName, in.Name }),
	"DisableRule":  onRule(op(write, disableRule), func(in *eventbridge.DisableRuleInput) (*string, *string) { return in.EventBusName, in.Name }),
	"DeleteRule":   onRule(op(write, deleteRule), func(in *eventbridge.DeleteRuleInput) (*string, *string) { return in.EventBusName, in.Name }),
	"ListRules":    op(read, listRules),

	"PutTargets":            onRule(op(write, putTargets), func(in *eventbridge.PutTargetsInput) (*string, *string) { return in.EventBusName, in.Rule }),
	"RemoveTargets":         onRule(op(write, removeTargets), func(in *eventbridge.RemoveTargetsInput) (*string, *string) { return in.EventBusName, in.Rule }),
	"ListTargetsByRule":     onRule(op(read, listTargetsByRule), func(in *eventbridge.ListTargetsByRuleInput) (*string, *string) { return in.EventBusName, in.Rule }),
	"ListRuleNamesByTarget": op(read, listRuleNamesByTarget),

	"CreateEventBus":   onBus(op(write, createEventBus), func(in *eventbridge.CreateEventBusInput) *string { return in.Name }),
	"DescribeEventBus": onBus(op(read, describeEventBus), func(in *eventbridge.DescribeEventBusInput) *string { return in.Name }),
	"UpdateEventBus":   onBus(op(write, updateEventBus), func(in *eventbridge.UpdateEventBusInput) *string { return in.Name }),
	"DeleteEventBus":   onBus(op(write, deleteEventBus), func(in *eventbridge.DeleteEventBusInput) *string { return in.Name }),
	"ListEventBuses":   op(read, listEventBuses),
	"PutPermission":    onBus(op(write, putPermission), func(in *eventbridge.PutPermissionInput) *string { return in.EventBusName }),
	"RemovePermission": onBus(op(write, removePermission), func(in *eventbridge.RemovePermissionInput) *string { return in.EventBusName }),

	"TestEventPattern": op(read, testEventPattern),
	// Events are data, which CloudTrail does not record by default.
	"PutEvents": onBus(op(read, putEvents), func(in *eventbridge.PutEventsInput) *string {
		if len(in.Entries) == 0 {
			return nil
		}
		return in.Entries[0].EventBusName
	}),

	"TagResource":         on(op(write, eventsTagResource), func(_ *call, in *eventbridge.TagResourceInput) string { return aws.ToString(in.ResourceARN) }),
	"UntagResource":       on(op(write, eventsUntagResource), func(_ *call, in *eventbridge.UntagResourceInput) string { return aws.ToString(in.ResourceARN) }),
	"ListTagsForResource": on(op(read, eventsListTags), func(_ *call, in *eventbridge.ListTagsForResourceInput) string { return aws.ToString(in.ResourceARN) }),
}

func (w *World) busARN(account, region, bus string) string {
	return "arn:" + w.state.Partition + ":events:" + region + ":" + account + ":event-bus/" + bus
}

func (w *World) ruleARN(account, region, bus, rule string) string {
	if bus != defaultName {
		rule = bus + "/" + rule
	}
	return "arn:" + w.state.Partition + ":events:" + region + ":" + account + ":rule/" + rule
}

// busNamed says where the bus of a call is: a name stands for a bus of the
// caller's, an ARN for any, nothing for the default bus.
func busNamed(c *call, ref *string) (account, region, name string) {
	text := orDefault(ref, defaultName)
	if service, r, a, resource, ok := arnParts(text); ok && service == "events" {
		if name, ok := strings.CutPrefix(resource, "event-bus/"); ok {
			return a, r, name
		}
	}
	return c.caller.Account, c.region, text
}

// bus returns a bus; nil when there is none.
func (w *World) bus(account, region, name string) *eventBus {
	if w.account(account) == nil {
		return nil
	}
	s := &w.region(account, region).Events
	if s.Buses[name] == nil && name == defaultName {
		if s.Buses == nil {
			s.Buses = map[string]*eventBus{}
		}
		s.Buses[defaultName] = &eventBus{Name: defaultName}
	}
	return s.Buses[name]
}

// foundBus is a bus with its place.
type foundBus struct {
	*eventBus
	account, region string
}

// busFor finds the bus of a call. The bus of another account has to admit the
// caller.
func busFor(c *call, ref *string) (foundBus, error) {
	account, region, name := busNamed(c, ref)
	b := c.w.bus(account, region, name)
	if b == nil || region != c.region {
		return foundBus{}, apiError("ResourceNotFoundException", "Event bus %s does not exist.", name)
	}
	if account != c.caller.Account {
		arn, action := c.w.busARN(account, region, name), "events:"+c.op
		if !c.admitted(b.Policy, account, action, arn) {
			return foundBus{}, notAuthorized(c, action, arn, "because no resource-based policy allows the "+action+" action")
		}
	}
	return foundBus{b, account, region}, nil
}

// ruleFor finds the rule of a call.
func ruleFor(c *call, bus, name *string) (foundBus, *eventRule, error) {
	b, err := busFor(c, bus)
	if err != nil {
		return b, nil, err
	}
	r := b.Rules[aws.ToString(name)]
	if r == nil {
		return b, nil, apiError("ResourceNotFoundException", "Rule %s does not exist on EventBus %s.", aws.ToString(name), b.Name)
	}
	return b, r, nil
}

// eventsName is what rules and targets may be called.
var eventsName = orgs.NewPattern(`^[.\-_A-Za-z0-9]{1,64}$`)

// schedule is a schedule expression; what is inside cron() is not looked at.
var schedule = regexp.MustCompile(`^(rate\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\)|cron\(\S+( \S+){5}\))$`)

// Quotas of a bus.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
const (
	maxRules         = 300
	maxWildcardRules = 30
	maxTargets       = 5
	maxBuses         = 100
	maxBusPolicy     = 10240
)

func eventsLimit() error {
	return apiError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
}

// putRule creates or replaces a rule. A replaced rule keeps its targets and its
// tags, and nothing else that is not said again.
func putRule(c *call, in *eventbridge.PutRuleInput) (*eventbridge.PutRuleOutput, error) {
	b, err := busFor(c, in.EventBusName)
	if err != nil {
		return nil, err
	}
	name := aws.ToString(in.Name)
	if !eventsName.MatchString(name) {
		return nil, apiError("ValidationException", "1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+", name)
	}
	r := &eventRule{
		Name: name, Description: aws.ToString(in.Description), Pattern: aws.ToString(in.EventPattern), Schedule: aws.ToString(in.ScheduleExpression),
		State: in.State, RoleARN: aws.ToString(in.RoleArn), CreatedBy: c.caller.Account,
	}
	if r.State == "" {
		r.State = types.RuleStateEnabled
	}
	if err := checkRule(b, r); err != nil {
		return nil, err
	}
	if err := c.passRole(r.RoleARN); err != nil {
		return nil, err
	}
	if old := b.Rules[name]; old != nil {
		r.Targets, r.Tags, r.CreatedBy = old.Targets, old.Tags, old.CreatedBy
	} else {
		if len(b.Rules) >= maxRules {
			return nil, eventsLimit()
		}
		r.Tags = map[string]string{}
		for _, t := range in.Tags {
			r.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
	}
	if r.parsed != nil && r.parsed.Wildcards() > 0 {
		n := 1
		for _, other := range b.Rules {
			if p := other.pattern(); other.Name != name && p != nil && p.Wildcards() > 0 {
				n++
			}
		}
		if n > maxWildcardRules {
			return nil, eventsLimit()
		}
	}
	if b.Rules == nil {
		b.Rules = map[string]*eventRule{}
	}
	b.Rules[name] = r
	return &eventbridge.PutRuleOutput{RuleArn: aws.String(c.w.ruleARN(b.account, b.region, b.Name, name))}, nil
}

// checkRule refuses a rule without or with a bad pattern or schedule.
func checkRule(b foundBus, r *eventRule) error {
	switch {
	case r.Pattern == "" && r.Schedule == "":
		return apiError("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
	case r.Schedule != "" && b.Name != defaultName:
		return apiError("ValidationException", "ScheduleExpression is supported only on the default event bus.")
	case r.Schedule != "" && !schedule.MatchString(r.Schedule):
		return apiError("ValidationException", "Parameter ScheduleExpression is not valid.")
	case !slices.Contains(r.State.Values(), r.State):
		return apiError("ValidationException", "1 validation error detected: Value '%s' at 'state' failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED, ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS]", r.State)
	case r.Pattern == "":
		return nil
	case len([]rune(r.Pattern)) > eventpattern.MaxLength:
		return apiError("ValidationException", "1 validation error detected: Value at 'eventPattern' failed to satisfy constraint: Member must have length less than or equal to %d", eventpattern.MaxLength)
	case len([]rune(r.Pattern)) > eventpattern.DefaultQuota:
		return eventsLimit()
	}
	p, err := eventpattern.Parse([]byte(r.Pattern))
	if err != nil {
		return apiError("InvalidEventPatternException", "Event pattern is not valid. Reason: %v", err)
	}
	r.parsed = p
	return nil
}

// pattern is the rule's parsed pattern; nil for a rule on a schedule.
func (r *eventRule) pattern() *eventpattern.Pattern {
	if r.parsed == nil && r.Pattern != "" {
		r.parsed, _ = eventpattern.Parse([]byte(r.Pattern)) // was valid when it was put
	}
	return r.parsed
}

// optional is a string as AWS returns it: not at all when it is empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func describeRule(c *call, in *eventbridge.DescribeRuleInput) (*eventbridge.DescribeRuleOutput, error) {
	b, r, err := ruleFor(c, in.EventBusName, in.Name)
	if err != nil {
		return nil, err
	}
	return &eventbridge.DescribeRuleOutput{
		Arn: aws.String(c.w.ruleARN(b.account, b.region, b.Name, r.Name)), Name: aws.String(r.Name), EventBusName: aws.String(b.Name), State: r.State,
		Description: optional(r.Description), EventPattern: optional(r.Pattern), ScheduleExpression: optional(r.Schedule), RoleArn: optional(r.RoleARN),
		CreatedBy: optional(r.CreatedBy),
	}, nil
}

func enableRule(c *call, in *eventbridge.EnableRuleInput) (*eventbridge.EnableRuleOutput, error) {
	_, r, err := ruleFor(c, in.EventBusName, in.Name)
	if err != nil {
		return nil, err
	}
	if r.State == types.RuleStateDisabled { // a rule that also gets read-only events keeps doing so
		r.State = types.RuleStateEnabled
	}
	return &eventbridge.EnableRuleOutput{}, nil
}

func disableRule(c *call, in *eventbridge.DisableRuleInput) (*eventbridge.DisableRuleOutput, error) {
	_, r, err := ruleFor(c, in.EventBusName, in.Name)
	if err != nil {
		return nil, err
	}
	r.State = types.RuleStateDisabled
	return &eventbridge.DisableRuleOutput{}, nil
}

// deleteRule deletes a rule without targets; one that does not exist is no
// error.
func deleteRule(c *call, in *eventbridge.DeleteRuleInput) (*eventbridge.DeleteRuleOutput, error) {
	b, err := busFor(c, in.EventBusName)
	if err != nil {
		return nil, err
	}
	r := b.Rules[aws.ToString(in.Name)]
	if r != nil && len(r.Targets) > 0 {
		return nil, apiError("ValidationException", "Rule can't be deleted since it has targets.")
	}
	delete(b.Rules, aws.ToString(in.Name))
	return &eventbridge.DeleteRuleOutput{}, nil
}

// eventsPage is the page size of the listings: 100 unless fewer were asked for.
func eventsPage(limit *int32) int {
	if n := int(aws.ToInt32(limit)); n > 0 && n < 100 {
		return n
	}
	return 100
}

func invalidEventsToken() error {
	return apiError("ValidationException", "The value for the parameter NextToken is invalid.")
}

func listRules(c *call, in *eventbridge.ListRulesInput) (*eventbridge.ListRulesOutput, error) {
	b, err := busFor(c, in.EventBusName)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(b.Rules)), func(n string) bool { return !strings.HasPrefix(n, aws.ToString(in.NamePrefix)) })
	page, next, ok := pageOf(c, names, eventsPage(in.Limit), in.NextToken)
	if !ok {
		return nil, invalidEventsToken()
	}
	out := &eventbridge.ListRulesOutput{Rules: []types.Rule{}, NextToken: next}
	for _, n := range page {
		r := b.Rules[n]
		out.Rules = append(out.Rules, types.Rule{
			Arn: aws.String(c.w.ruleARN(b.account, b.region, b.Name, n)), Name: aws.String(n), EventBusName: aws.String(b.Name), State: r.State,
			Description: optional(r.Description), EventPattern: optional(r.Pattern), ScheduleExpression: optional(r.Schedule), RoleArn: optional(r.RoleARN),
		})
	}
	return out, nil
}

// mandatory are the fields an event needs to be tested against a pattern.
var mandatory = []string{"id", "account", "source", "time", "region", "resources", "detail-type"}

func testEventPattern(_ *call, in *eventbridge.TestEventPatternInput) (*eventbridge.TestEventPatternOutput, error) {
	p, err := eventpattern.Parse([]byte(aws.ToString(in.EventPattern)))
	if err != nil {
		return nil, apiError("InvalidEventPatternException", "Event pattern is not valid. Reason: %v", err)
	}
	var event map[string]any
	if err := json.Unmarshal([]byte(aws.ToString(in.Event)), &event); err != nil {
		return nil, apiError("ValidationException", "Parameter Event is not valid.")
	}
	for _, name := range mandatory {
		if _, ok := event[name]; !ok {
			return nil, apiError("ValidationException", "Parameter Event is not valid. Reason: the field %s is missing.", name)
		}
	}
	return &eventbridge.TestEventPatternOutput{Result: p.Match([]byte(*in.Event))}, nil
}
