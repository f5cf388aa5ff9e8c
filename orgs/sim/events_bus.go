package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/orgguard/orgguard/orgs"
)

// busName is what a custom bus may be called.
var busName = orgs.NewPattern(`^[/.\-_A-Za-z0-9]{1,256}$`)

func createEventBus(c *call, in *eventbridge.CreateEventBusInput) (*eventbridge.CreateEventBusOutput, error) {
	name := aws.ToString(in.Name)
	s := &c.here().Events
	switch {
	case !busName.MatchString(name) || strings.Contains(name, "/"): // only partner buses have a slash
		return nil, apiError("ValidationException", "Parameter Name is not valid. Reason: Event bus name %s is not valid.", name)
	case name == defaultName || s.Buses[name] != nil:
		return nil, apiError("ResourceAlreadyExistsException", "Event bus %s already exists.", name)
	case len(s.Buses) > maxBuses: // the default bus may be among them
		return nil, eventsLimit()
	}
	b := &eventBus{
		Name: name, Description: aws.ToString(in.Description), KMSKey: aws.ToString(in.KmsKeyIdentifier), Log: detach(in.LogConfig),
		Tags: map[string]string{}, Created: c.now, Modified: c.now,
	}
	if in.DeadLetterConfig != nil {
		b.DeadLetter = aws.ToString(in.DeadLetterConfig.Arn)
	}
	for _, t := range in.Tags {
		b.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	if s.Buses == nil {
		s.Buses = map[string]*eventBus{}
	}
	s.Buses[name] = b
	return &eventbridge.CreateEventBusOutput{
		EventBusArn: aws.String(c.w.busARN(c.caller.Account, c.region, name)), Description: optional(b.Description),
		KmsKeyIdentifier: optional(b.KMSKey), DeadLetterConfig: b.deadLetter(), LogConfig: detach(b.Log),
	}, nil
}

func (b *eventBus) deadLetter() *types.DeadLetterConfig {
	if b.DeadLetter == "" {
		return nil
	}
	return &types.DeadLetterConfig{Arn: aws.String(b.DeadLetter)}
}

// moment is a time as AWS returns it: not at all when there is none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func describeEventBus(c *call, in *eventbridge.DescribeEventBusInput) (*eventbridge.DescribeEventBusOutput, error) {
	b, err := busFor(c, in.Name)
	if err != nil {
		return nil, err
	}
	return &eventbridge.DescribeEventBusOutput{
		Arn: aws.String(c.w.busARN(b.account, b.region, b.Name)), Name: aws.String(b.Name), Description: optional(b.Description), Policy: optional(b.Policy),
		KmsKeyIdentifier: optional(b.KMSKey), DeadLetterConfig: b.deadLetter(), LogConfig: detach(b.Log), CreationTime: moment(b.Created), LastModifiedTime: moment(b.Modified),
	}, nil
}

// updateEventBus replaces all settings of a bus: what is not said is removed.
func updateEventBus(c *call, in *eventbridge.UpdateEventBusInput) (*eventbridge.UpdateEventBusOutput, error) {
	b, err := busFor(c, in.Name)
	if err != nil {
		return nil, err
	}
	b.Description, b.KMSKey, b.Log, b.DeadLetter = aws.ToString(in.Description), aws.ToString(in.KmsKeyIdentifier), detach(in.LogConfig), ""
	if in.DeadLetterConfig != nil {
		b.DeadLetter = aws.ToString(in.DeadLetterConfig.Arn)
	}
	b.Modified = c.now
	return &eventbridge.UpdateEventBusOutput{
		Arn: aws.String(c.w.busARN(b.account, b.region, b.Name)), Name: aws.String(b.Name), Description: optional(b.Description),
		KmsKeyIdentifier: optional(b.KMSKey), DeadLetterConfig: b.deadLetter(), LogConfig: detach(b.Log),
	}, nil
}

// deleteEventBus deletes a bus without rules; one that does not exist is no
// error.
func deleteEventBus(c *call, in *eventbridge.DeleteEventBusInput) (*eventbridge.DeleteEventBusOutput, error) {
	account, region, name := busNamed(c, in.Name)
	if name == defaultName {
		return nil, apiError("ValidationException", "Cannot delete event bus default.")
	}
	b := c.w.bus(account, region, name)
	if b == nil || account != c.caller.Account || region != c.region {
		return &eventbridge.DeleteEventBusOutput{}, nil
	}
	if len(b.Rules) > 0 {
		return nil, apiError("ValidationException", "Event bus %s can't be deleted since it has rules.", name)
	}
	delete(c.here().Events.Buses, name)
	return &eventbridge.DeleteEventBusOutput{}, nil
}

func listEventBuses(c *call, in *eventbridge.ListEventBusesInput) (*eventbridge.ListEventBusesOutput, error) {
	c.w.bus(c.caller.Account, c.region, defaultName)
	buses := c.here().Events.Buses
	names := slices.DeleteFunc(sortedNames(buses), func(n string) bool { return !strings.HasPrefix(n, aws.ToString(in.NamePrefix)) })
	page, next, ok := pageOf(c, names, eventsPage(in.Limit), in.NextToken)
	if !ok {
		return nil, invalidEventsToken()
	}
	out := &eventbridge.ListEventBusesOutput{EventBuses: []types.EventBus{}, NextToken: next}
	for _, n := range page {
		b := buses[n]
		out.EventBuses = append(out.EventBuses, types.EventBus{
			Arn: aws.String(c.w.busARN(c.caller.Account, c.region, n)), Name: aws.String(n), Description: optional(b.Description),
			Policy: optional(b.Policy), CreationTime: moment(b.Created), LastModifiedTime: moment(b.Modified),
		})
	}
	return out, nil
}

// busPolicy is a bus policy with its statements kept as they are written.
type busPolicy struct {
	Version   string            `json:"Version"`
	Statement []json.RawMessage `json:"Statement"`
}

// statements reads the policy of a bus and finds the statement with an id; -1
// when there is none.
func (b *eventBus) statements(id string) (p busPolicy, at int) {
	p.Version = "2012-10-17"
	if b.Policy != "" && json.Unmarshal([]byte(b.Policy), &p) != nil {
		var one struct{ Statement json.RawMessage } // a single statement need not be in a list
		if json.Unmarshal([]byte(b.Policy), &one) == nil {
			p.Statement = []json.RawMessage{one.Statement}
		}
	}
	for i, raw := range p.Statement {
		var s struct{ Sid string }
		if json.Unmarshal(raw, &s) == nil && s.Sid == id {
			return p, i
		}
	}
	return p, -1
}

// putPermission sets the policy of a bus as a whole, or one statement of it in
// the older form with an action, a principal and a condition.
//
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPermission.html
func putPermission(c *call, in *eventbridge.PutPermissionInput) (*eventbridge.PutPermissionOutput, error) {
	b, err := busFor(c, in.EventBusName)
	if err != nil {
		return nil, err
	}
	policy := aws.ToString(in.Policy)
	if policy == "" {
		if policy, err = addStatement(c, b, in); err != nil {
			return nil, err
		}
	} else if in.Action != nil || in.Principal != nil || in.StatementId != nil || in.Condition != nil {
		return nil, apiError("ValidationException", "Policy cannot be used together with StatementId, Action, Principal or Condition.")
	}
	if err := checkResourcePolicy(policy); err != nil {
		return nil, apiError("ValidationException", "Invalid policy document: %v", err)
	}
	if len([]rune(policy)) > maxBusPolicy {
		return nil, apiError("PolicyLengthExceededException", "The event bus policy is too long. The maximum size is %d characters.", maxBusPolicy)
	}
	b.Policy, b.Modified = policy, c.now
	return &eventbridge.PutPermissionOutput{}, nil
}

// accountID is an AWS account id.
var accountID = orgs.NewPattern(`^[0-9]{12}$`)

// addStatement is the policy of a bus with a statement added or replaced.
func addStatement(c *call, b foundBus, in *eventbridge.PutPermissionInput) (string, error) {
	action, principal, id := aws.ToString(in.Action), aws.ToString(in.Principal), aws.ToString(in.StatementId)
	switch {
	case action == "" || principal == "" || id == "":
		return "", apiError("ValidationException", "Parameter(s) Action, Principal and StatementId must be specified.")
	case action != "events:PutEvents":
		return "", apiError("ValidationException", "Provided value in parameter 'action' is not supported.")
	case principal != "*" && !accountID.MatchString(principal):
		return "", apiError("ValidationException", "Provided value in parameter 'principal' is not valid.")
	case in.Condition != nil && (aws.ToString(in.Condition.Type) != "StringEquals" || aws.ToString(in.Condition.Key) != "aws:PrincipalOrgID" || principal != "*"):
		return "", apiError("ValidationException", "The condition must be StringEquals on aws:PrincipalOrgID with the principal *.")
	}
	statement := map[string]any{
		"Sid": id, "Effect": "Allow", "Principal": any("*"), "Action": action, "Resource": c.w.busARN(b.account, b.region, b.Name),
	}
	if principal != "*" {
		statement["Principal"] = map[string]string{"AWS": "arn:" + c.w.state.Partition + ":iam::" + principal + ":root"}
	}
	if in.Condition != nil {
		statement["Condition"] = map[string]any{"StringEquals": map[string]string{"aws:PrincipalOrgID": aws.ToString(in.Condition.Value)}}
	}
	raw, err := json.Marshal(statement)
	if err != nil {
		return "", err
	}
	p, at := b.statements(id)
	if at >= 0 {
		p.Statement[at] = raw
	} else {
		p.Statement = append(p.Statement, raw)
	}
	text, err := json.Marshal(p)
	return string(text), err
}

func removePermission(c *call, in *eventbridge.RemovePermissionInput) (*eventbridge.RemovePermissionOutput, error) {
	b, err := busFor(c, in.EventBusName)
	if err != nil {
		return nil, err
	}
	if b.Policy == "" {
		return nil, apiError("ResourceNotFoundException", "EventBus does not have a policy.")
	}
	if in.RemoveAllPermissions {
		b.Policy, b.Modified = "", c.now
		return &eventbridge.RemovePermissionOutput{}, nil
	}
	p, at := b.statements(aws.ToString(in.StatementId))
	if at < 0 || in.StatementId == nil {
		return nil, apiError("ResourceNotFoundException", "Statement with the provided id does not exist.")
	}
	p.Statement = slices.Delete(p.Statement, at, at+1)
	b.Policy, b.Modified = "", c.now
	if len(p.Statement) > 0 {
		text, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		b.Policy = string(text)
	}
	return &eventbridge.RemovePermissionOutput{}, nil
}

// putEvents puts events of an application onto a bus. Sources that start with
// "aws." are for AWS.
func putEvents(c *call, in *eventbridge.PutEventsInput) (*eventbridge.PutEventsOutput, error) {
	if n := len(in.Entries); n == 0 || n > 10 {
		return nil, apiError("ValidationException", "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and 10")
	}
	out := &eventbridge.PutEventsOutput{}
	for _, e := range in.Entries {
		id, code, message := putEvent(c, e)
		if code != "" {
			out.FailedEntryCount++
			out.Entries = append(out.Entries, types.PutEventsResultEntry{ErrorCode: aws.String(code), ErrorMessage: aws.String(message)})
			continue
		}
		out.Entries = append(out.Entries, types.PutEventsResultEntry{EventId: aws.String(id)})
	}
	return out, nil
}

func putEvent(c *call, e types.PutEventsRequestEntry) (id, code, message string) {
	source, detailType := aws.ToString(e.Source), aws.ToString(e.DetailType)
	for _, p := range []struct{ name, value string }{{"Source", source}, {"DetailType", detailType}, {"Detail", aws.ToString(e.Detail)}} {
		if p.value == "" {
			return "", "InvalidArgument", "Parameter " + p.name + " is not valid. Reason: " + p.name + " is a required argument."
		}
	}
	if strings.HasPrefix(source, "aws.") {
		return "", "NotAuthorizedForSourceException", "Not authorized for the source."
	}
	d := json.NewDecoder(strings.NewReader(*e.Detail))
	d.UseNumber()
	var detail map[string]any
	if d.Decode(&detail) != nil || detail == nil {
		return "", "MalformedDetail", "Detail is malformed."
	}
	b, err := busFor(c, e.EventBusName)
	if err != nil {
		code, message := errorParts(err)
		return "", code, message
	}
	at := c.now
	if e.Time != nil {
		at = *e.Time
	}
	resources := make([]any, len(e.Resources))
	for i, r := range e.Resources {
		resources[i] = r
	}
	id = c.w.uuid()
	c.w.route(b.account, b.region, b.Name, map[string]any{
		"version": "0", "id": id, "detail-type": detailType, "source": source, "account": c.caller.Account,
		"time": at.UTC().Format(time.RFC3339), "region": c.region, "resources": resources, "detail": detail,
	}, journey{foreign: b.account != c.caller.Account})
	return id, "", ""
}

// eventsTags finds the tags of a rule or a bus.
func eventsTags(c *call, arn *string) (*map[string]string, error) {
	missing := apiError("ResourceNotFoundException", "Resource %s does not exist.", aws.ToString(arn))
	service, region, account, resource, ok := arnParts(aws.ToString(arn))
	if !ok || service != "events" {
		return nil, apiError("ValidationException", "Parameter ResourceARN is not valid.")
	}
	if region != c.region || account != c.caller.Account {
		return nil, missing
	}
	kind, name, _ := strings.Cut(resource, "/")
	bus := defaultName
	if kind == "event-bus" {
		bus = name
	} else if b, rule, custom := strings.Cut(name, "/"); custom {
		bus, name = b, rule
	}
	b := c.w.bus(account, region, bus)
	switch {
	case b == nil:
		return nil, missing
	case kind == "event-bus":
		return &b.Tags, nil
	case kind == "rule" && b.Rules[name] != nil:
		return &b.Rules[name].Tags, nil
	}
	return nil, missing
}

func eventsTagResource(c *call, in *eventbridge.TagResourceInput) (*eventbridge.TagResourceOutput, error) {
	tags, err := eventsTags(c, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(*tags)
	if next == nil {
		next = map[string]string{}
	}
	for _, t := range in.Tags {
		next[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	if len(next) > maxTags {
		return nil, eventsLimit()
	}
	*tags = next
	return &eventbridge.TagResourceOutput{}, nil
}

func eventsUntagResource(c *call, in *eventbridge.UntagResourceInput) (*eventbridge.UntagResourceOutput, error) {
	tags, err := eventsTags(c, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(*tags, k)
	}
	return &eventbridge.UntagResourceOutput{}, nil
}

func eventsListTags(c *call, in *eventbridge.ListTagsForResourceInput) (*eventbridge.ListTagsForResourceOutput, error) {
	tags, err := eventsTags(c, in.ResourceARN)
	if err != nil {
		return nil, err
	}
	out := &eventbridge.ListTagsForResourceOutput{Tags: []types.Tag{}}
	for _, k := range sortedNames(*tags) {
		out.Tags = append(out.Tags, types.Tag{Key: aws.String(k), Value: aws.String((*tags)[k])})
	}
	return out, nil
}
