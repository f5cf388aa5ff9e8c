package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
)

// cloudtrailOps are the operations on trails and on the event history.
var cloudtrailOps = map[string]operation{
	"AddTags":                              onTrail(op(write, addTrailTags), func(in *cloudtrail.AddTagsInput) *string { return in.ResourceId }),
	"CreateTrail":                          onTrail(op(write, createTrail), func(in *cloudtrail.CreateTrailInput) *string { return in.Name }),
	"DeleteTrail":                          onTrail(op(write, deleteTrail), func(in *cloudtrail.DeleteTrailInput) *string { return in.Name }),
	"DeregisterOrganizationDelegatedAdmin": op(write, deregisterTrailAdmin),
	"RegisterOrganizationDelegatedAdmin":   op(write, registerTrailAdmin),
	"DescribeTrails":                       op(read, describeTrails),
	"GetEventSelectors":                    onTrail(op(read, getEventSelectors), func(in *cloudtrail.GetEventSelectorsInput) *string { return in.TrailName }),
	"GetTrail":                             onTrail(op(read, getTrail), func(in *cloudtrail.GetTrailInput) *string { return in.Name }),
	"GetTrailStatus":                       onTrail(op(read, getTrailStatus), func(in *cloudtrail.GetTrailStatusInput) *string { return in.Name }),
	"ListTags":                             op(read, listTrailTags),
	"ListTrails":                           op(read, listTrails),
	"LookupEvents":                         op(read, lookupEvents),
	"PutEventSelectors":                    onTrail(op(write, putEventSelectors), func(in *cloudtrail.PutEventSelectorsInput) *string { return in.TrailName }),
	"RemoveTags":                           onTrail(op(write, removeTrailTags), func(in *cloudtrail.RemoveTagsInput) *string { return in.ResourceId }),
	"StartLogging":                         onTrail(op(write, startLogging), func(in *cloudtrail.StartLoggingInput) *string { return in.Name }),
	"StopLogging":                          onTrail(op(write, stopLogging), func(in *cloudtrail.StopLoggingInput) *string { return in.Name }),
	"UpdateTrail":                          onTrail(op(write, updateTrail), func(in *cloudtrail.UpdateTrailInput) *string { return in.Name }),
}

// onTrail makes an operation on a trail, which its name or its ARN names.
func onTrail[I any](o operation, name func(*I) *string) operation {
	return on(o, func(c *call, in *I) string {
		ref := aws.ToString(name(in))
		if !strings.HasPrefix(ref, "arn:") {
			ref = c.arn("cloudtrail", "trail/"+ref)
		}
		return ref
	})
}

// Bounds of LookupEvents.
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
const (
	historyDays    = 90
	lookupPage     = 50
	lookupBurst    = 2
	lookupPerEvery = time.Second / 2
)

// lookupEvents answers from the event history of the caller's account in one
// Region: management events of the last 90 days, the newest first. Like AWS it
// takes one attribute at most; a second is refused and not ignored.
func lookupEvents(c *call, in *cloudtrail.LookupEventsInput) (*cloudtrail.LookupEventsOutput, error) {
	if !c.lookupAdmitted() {
		return nil, apiError(codesOf(c.service).throttled, "Rate exceeded")
	}
	limit := lookupPage
	if in.MaxResults != nil {
		limit = int(*in.MaxResults)
	}
	switch {
	case limit < 1 || limit > lookupPage:
		return nil, &types.InvalidMaxResultsException{Message: aws.String(fmt.Sprintf("MaxResults must be between 1 and %d.", lookupPage))}
	case len(in.LookupAttributes) > 1:
		return nil, &types.InvalidLookupAttributesException{Message: aws.String("You can only specify one lookup attribute.")}
	case in.StartTime != nil && in.EndTime != nil && in.StartTime.After(*in.EndTime):
		return nil, &types.InvalidTimeRangeException{Message: aws.String("The start time must be before the end time.")}
	}
	from := c.now.Add(-historyDays * 24 * time.Hour)
	if in.StartTime != nil && in.StartTime.After(from) {
		from = *in.StartTime
	}
	var found []types.Event
	for _, e := range slices.Backward(c.account().Trail) {
		// AWS compares whole seconds; both ends are inclusive.
		if e.Region != c.region || e.Time.Before(from.Truncate(time.Second)) || in.EndTime != nil && e.Time.After(in.EndTime.Add(time.Second)) {
			continue
		}
		event, ok := apiEvent(e)
		if ok && (len(in.LookupAttributes) == 0 || matchesLookup(event, in.LookupAttributes[0])) {
			found = append(found, event)
		}
	}
	page, next, ok := pageOf(c, found, limit, in.NextToken)
	if !ok {
		return nil, &types.InvalidNextTokenException{Message: aws.String("Invalid NextToken.")}
	}
	return &cloudtrail.LookupEventsOutput{Events: page, NextToken: next}, nil
}

// lookupAdmitted keeps AWS's rate of two calls a second for each account and
// Region, when the world was told to (Timing.LookupRate).
func (c *call) lookupAdmitted() bool {
	w := c.w
	if !w.timing.LookupRate {
		return true
	}
	if w.lookups == nil {
		w.lookups = map[string]time.Time{}
	}
	// The time at which the bucket is full again, as in the generic cell rate
	// algorithm: one number for each account and Region.
	key := c.caller.Account + "/" + c.region
	full := w.lookups[key]
	if full.Before(c.now) {
		full = c.now
	}
	if full.Sub(c.now) > (lookupBurst-1)*lookupPerEvery {
		return false
	}
	w.lookups[key] = full.Add(lookupPerEvery)
	return true
}

// apiEvent is a kept record as LookupEvents gives it.
func apiEvent(e trailEvent) (types.Event, bool) {
	var detail struct {
		EventID      string `json:"eventID"`
		ReadOnly     bool   `json:"readOnly"`
		UserIdentity struct {
			ARN      string `json:"arn"`
			UserName string `json:"userName"`
		} `json:"userIdentity"`
	}
	if json.Unmarshal(e.Detail, &detail) != nil {
		return types.Event{}, false // record wrote it
	}
	user := detail.UserIdentity.UserName
	if user == "" {
		user = lastSegment(detail.UserIdentity.ARN)
	}
	out := types.Event{
		EventId: aws.String(detail.EventID), EventName: aws.String(e.Name), EventSource: aws.String(e.Source), EventTime: aws.Time(e.Time),
		ReadOnly: aws.String(strconv.FormatBool(detail.ReadOnly)), CloudTrailEvent: aws.String(string(e.Detail)),
	}
	if user != "" {
		out.Username = aws.String(user)
	}
	return out, true
}

// matchesLookup compares one attribute. Those of resources are not modelled
// and match nothing.
func matchesLookup(e types.Event, a types.LookupAttribute) bool {
	want := aws.ToString(a.AttributeValue)
	switch a.AttributeKey {
	case types.LookupAttributeKeyEventName:
		return aws.ToString(e.EventName) == want
	case types.LookupAttributeKeyEventSource:
		return aws.ToString(e.EventSource) == want
	case types.LookupAttributeKeyEventId:
		return aws.ToString(e.EventId) == want
	case types.LookupAttributeKeyReadOnly:
		return aws.ToString(e.ReadOnly) == want
	case types.LookupAttributeKeyUsername:
		return aws.ToString(e.Username) == want
	}
	return false
}
