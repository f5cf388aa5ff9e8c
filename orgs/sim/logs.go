package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/logpattern"
)

// logsState is CloudWatch Logs in one account × Region. Log streams are not modelled
// as resources: an event names its stream.
type logsState struct {
	Groups map[string]*logGroup `json:"groups,omitempty"` // by name
}

type logGroup struct {
	Name      string                   `json:"name"`
	Created   time.Time                `json:"created"`
	Retention int32                    `json:"retention,omitempty"` // days; 0: for ever
	Key       string                   `json:"key,omitempty"`
	Class     types.LogGroupClass      `json:"class,omitempty"`
	Protected bool                     `json:"protected,omitempty"`
	Tags      map[string]string        `json:"tags,omitempty"`
	Filters   map[string]*metricFilter `json:"filters,omitempty"`
	Events    []logEvent               `json:"events,omitempty"` // the newest, oldest first
}

type metricFilter struct {
	Filter   types.MetricFilter `json:"filter"`
	compiled *logpattern.Pattern
}

type logEvent struct {
	Time    time.Time `json:"time"`
	Stream  string    `json:"stream"`
	Message string    `json:"message"`
}

// logRoom is how many events a group keeps here.
const logRoom = 200

// maxMetricFilters is how many metric filters a log group may have.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
const maxMetricFilters = 100

var logsOps = map[string]operation{
	"CreateLogGroup":        onGroup(op(write, createLogGroup), func(in *cloudwatchlogs.CreateLogGroupInput) *string { return in.LogGroupName }),
	"DeleteLogGroup":        onGroup(op(write, deleteLogGroup), func(in *cloudwatchlogs.DeleteLogGroupInput) *string { return in.LogGroupName }),
	"DescribeLogGroups":     op(read, describeLogGroups),
	"PutRetentionPolicy":    onGroup(op(write, putRetention), func(in *cloudwatchlogs.PutRetentionPolicyInput) *string { return in.LogGroupName }),
	"DeleteRetentionPolicy": onGroup(op(write, deleteRetention), func(in *cloudwatchlogs.DeleteRetentionPolicyInput) *string { return in.LogGroupName }),
	"AssociateKmsKey":       onGroup(op(write, associateLogKey), func(in *cloudwatchlogs.AssociateKmsKeyInput) *string { return in.LogGroupName }),
	"DisassociateKmsKey":    onGroup(op(write, disassociateLogKey), func(in *cloudwatchlogs.DisassociateKmsKeyInput) *string { return in.LogGroupName }),
	"PutMetricFilter":       onGroup(op(write, putMetricFilter), func(in *cloudwatchlogs.PutMetricFilterInput) *string { return in.LogGroupName }),
	"DeleteMetricFilter":    onGroup(op(write, deleteMetricFilter), func(in *cloudwatchlogs.DeleteMetricFilterInput) *string { return in.LogGroupName }),
	"DescribeMetricFilters": onGroup(op(read, describeMetricFilters), func(in *cloudwatchlogs.DescribeMetricFiltersInput) *string { return in.LogGroupName }),
	"TestMetricFilter":      op(read, testMetricFilter),
	"FilterLogEvents":       onGroup(op(read, filterLogEvents), func(in *cloudwatchlogs.FilterLogEventsInput) *string { return in.LogGroupName }),
	"TagResource":           op(write, tagLogGroup),
	"ListTagsForResource":   op(read, listLogTags),
}

// onGroup makes an operation on a log group.
func onGroup[I any](o operation, name func(*I) *string) operation {
	return on(o, func(c *call, in *I) string { return c.arn("logs", "log-group:"+aws.ToString(name(in))+":*") })
}

// logGroup finds a log group; nil when there is none.
func (w *World) logGroup(account, region, name string) *logGroup {
	a := w.account(account)
	if a == nil || a.Regions[region] == nil {
		return nil
	}
	return a.Regions[region].Logs.Groups[name]
}

// groupAt finds a log group by its ARN, which may end in ":*"; nil when there is none.
func (w *World) groupAt(arn string) (g *logGroup, account, region string) {
	service, region, account, resource, _ := arnParts(strings.TrimSuffix(arn, ":*"))
	if name, ok := strings.CutPrefix(resource, "log-group:"); ok && service == "logs" {
		g = w.logGroup(account, region, name)
	}
	return g, account, region
}

// group finds the log group of a call.
func (c *call) group(name *string) (*logGroup, error) {
	g := c.w.logGroup(c.caller.Account, c.region, aws.ToString(name))
	if g == nil {
		return nil, &types.ResourceNotFoundException{Message: aws.String("The specified log group does not exist.")}
	}
	return g, nil
}

func logsInvalid(why string) error {
	return &types.InvalidParameterException{Message: aws.String(why)}
}

// groupName is what a log group may be called.
var groupName = orgs.NewPattern(`^[.\-_/#A-Za-z0-9]{1,512}$`)

func createLogGroup(c *call, in *cloudwatchlogs.CreateLogGroupInput) (*cloudwatchlogs.CreateLogGroupOutput, error) {
	name := aws.ToString(in.LogGroupName)
	switch {
	case !groupName.MatchString(name):
		return nil, logsInvalid("1 validation error detected: Value at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+")
	case c.w.logGroup(c.caller.Account, c.region, name) != nil:
		return nil, &types.ResourceAlreadyExistsException{Message: aws.String("The specified log group already exists")}
	}
	if err := c.logKey(name, aws.ToString(in.KmsKeyId)); err != nil {
		return nil, err
	}
	s := &c.here().Logs
	if s.Groups == nil {
		s.Groups = map[string]*logGroup{}
	}
	g := &logGroup{Name: name, Created: c.now, Key: aws.ToString(in.KmsKeyId), Class: in.LogGroupClass, Protected: aws.ToBool(in.DeletionProtectionEnabled), Tags: map[string]string{}}
	if g.Class == "" {
		g.Class = types.LogGroupClassStandard
	}
	maps.Copy(g.Tags, in.Tags)
	s.Groups[name] = g
	return &cloudwatchlogs.CreateLogGroupOutput{}, nil
}

func deleteLogGroup(c *call, in *cloudwatchlogs.DeleteLogGroupInput) (*cloudwatchlogs.DeleteLogGroupOutput, error) {
	g, err := c.group(in.LogGroupName)
	if err != nil {
		return nil, err
	}
	if g.Protected {
		return nil, &types.ValidationException{Message: aws.String("The log group has deletion protection.")}
	}
	delete(c.here().Logs.Groups, g.Name)
	return &cloudwatchlogs.DeleteLogGroupOutput{}, nil
}

func describeLogGroups(c *call, in *cloudwatchlogs.DescribeLogGroupsInput) (*cloudwatchlogs.DescribeLogGroupsOutput, error) {
	groups := c.here().Logs.Groups
	var all []types.LogGroup
	for _, name := range sortedKeys(groups) {
		g := groups[name]
		if !strings.HasPrefix(name, aws.ToString(in.LogGroupNamePrefix)) || !strings.Contains(name, aws.ToString(in.LogGroupNamePattern)) {
			continue
		}
		out := types.LogGroup{
			LogGroupName: aws.String(name), CreationTime: aws.Int64(g.Created.UnixMilli()), LogGroupClass: g.Class, MetricFilterCount: aws.Int32(int32(len(g.Filters))),
			Arn: aws.String(c.arn("logs", "log-group:"+name+":*")), LogGroupArn: aws.String(c.arn("logs", "log-group:"+name)), DeletionProtectionEnabled: aws.Bool(g.Protected),
		}
		if g.Retention > 0 {
			out.RetentionInDays = aws.Int32(g.Retention)
		}
		if g.Key != "" {
			out.KmsKeyId = aws.String(g.Key)
		}
		all = append(all, out)
	}
	limit := 50
	if n := aws.ToInt32(in.Limit); n > 0 {
		limit = int(n)
	}
	page, next, ok := pageOf(c, all, min(limit, 50), in.NextToken)
	if !ok {
		return nil, logsInvalid("The specified nextToken is invalid.")
	}
	return &cloudwatchlogs.DescribeLogGroupsOutput{LogGroups: page, NextToken: next}, nil
}

// retentions are the days that a log group may keep its events.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
var retentions = []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

func putRetention(c *call, in *cloudwatchlogs.PutRetentionPolicyInput) (*cloudwatchlogs.PutRetentionPolicyOutput, error) {
	g, err := c.group(in.LogGroupName)
	if err != nil {
		return nil, err
	}
	days := aws.ToInt32(in.RetentionInDays)
	if !slices.Contains(retentions, days) {
		return nil, logsInvalid("Invalid retention value: " + strconv.Itoa(int(days)))
	}
	g.Retention = days
	return &cloudwatchlogs.PutRetentionPolicyOutput{}, nil
}

// logKey refuses a key that CloudWatch Logs may not use for the log group, or that it
// does not know by what it is called: it takes ARNs of keys and no aliases.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
func (c *call) logKey(group, arn string) error {
	if arn == "" {
		return nil
	}
	service, ctx := "logs."+c.region+"."+c.w.urlSuffix(), map[string][]string{"kms:EncryptionContext:aws:logs:arn": {c.arn("logs", "log-group:"+group)}}
	if !strings.Contains(arn, ":key/") || !c.w.keyAdmits(arn, servicePrincipal(service, c.caller.Account), ctx) {
		return logsInvalid("The specified KMS key does not exist or is not allowed to be used with Arn '" + c.arn("logs", "log-group:"+group) + "'")
	}
	return nil
}

// associateLogKey gives a log group a key, by which what comes in is encrypted.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_AssociateKmsKey.html
func associateLogKey(c *call, in *cloudwatchlogs.AssociateKmsKeyInput) (*cloudwatchlogs.AssociateKmsKeyOutput, error) {
	g, err := c.group(in.LogGroupName)
	if err != nil {
		return nil, err
	}
	if err := c.logKey(g.Name, aws.ToString(in.KmsKeyId)); err != nil {
		return nil, err
	}
	g.Key = aws.ToString(in.KmsKeyId)
	return &cloudwatchlogs.AssociateKmsKeyOutput{}, nil
}

func disassociateLogKey(c *call, in *cloudwatchlogs.DisassociateKmsKeyInput) (*cloudwatchlogs.DisassociateKmsKeyOutput, error) {
	g, err := c.group(in.LogGroupName)
	if err != nil {
		return nil, err
	}
	g.Key = ""
	return &cloudwatchlogs.DisassociateKmsKeyOutput{}, nil
}

func deleteRetention(c *call, in *cloudwatchlogs.DeleteRetentionPolicyInput) (*cloudwatchlogs.DeleteRetentionPolicyOutput, error) {
	g, err := c.group(in.LogGroupName)
	if err != nil {
		return nil, err
	}
	g.Retention = 0
	return &cloudwatchlogs.DeleteRetentionPolicyOutput{}, nil
}

// pattern is the filter's pattern, compiled once. An empty one, and one that is not for
// JSON, match nothing here.
func (f *metricFilter) pattern() *logpattern.Pattern {
	if f.compiled == nil {
		p, err := logpattern.Compile(aws.ToString(f.Filter.FilterPattern))
		if err != nil {
			return nil
		}
		f.compiled = p
	}
	return f.compiled
}

// putMetricFilter makes a filter or replaces it.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutMetricFilter.html
func putMetricFilter(c *call, in *cloudwatchlogs.PutMetricFilterInput) (*cloudwatchlogs.PutMetricFilterOutput, error) {
	g, err := c.group(in.LogGroupName)
	if err != nil {
		return nil, err
	}
	name, text := aws.ToString(in.FilterName), aws.ToString(in.FilterPattern)
	switch {
	case name == "" || strings.ContainsAny(name, ":*"):
		return nil, logsInvalid("The filter name is invalid.")
	case len(in.MetricTransformations) != 1:
		return nil, logsInvalid("A metric filter has exactly one metric transformation.")
	case g.Class == types.LogGroupClassInfrequentAccess:
		return nil, &types.ValidationException{Message: aws.String("Metric filters are not supported by the log class.")}
	case g.Filters[name] == nil && len(g.Filters) >= maxMetricFilters:
		return nil, &types.LimitExceededException{Message: aws.String("Resource limit exceeded.")}
	}
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		if _, err := logpattern.Compile(text); err != nil {
			return nil, logsInvalid("Invalid metric filter pattern: " + err.Error())
		}
	}
	t := in.MetricTransformations[0]
	switch {
	case aws.ToString(t.MetricName) == "" || aws.ToString(t.MetricNamespace) == "" || aws.ToString(t.MetricValue) == "":
		return nil, logsInvalid("A metric transformation has a name, a namespace and a value.")
	case len(t.Dimensions) > 3:
		return nil, logsInvalid("A metric filter has three dimensions at most.")
	case len(t.Dimensions) > 0 && t.DefaultValue != nil:
		return nil, logsInvalid("A metric filter with dimensions has no default value.")
	}
	if g.Filters == nil {
		g.Filters = map[string]*metricFilter{}
	}
	g.Filters[name] = &metricFilter{Filter: types.MetricFilter{
		FilterName: aws.String(name), FilterPattern: aws.String(text), LogGroupName: aws.String(g.Name), CreationTime: aws.Int64(c.now.UnixMilli()),
		MetricTransformations: detach(in.MetricTransformations),
	}}
	return &cloudwatchlogs.PutMetricFilterOutput{}, nil
}

func deleteMetricFilter(c *call, in *cloudwatchlogs.DeleteMetricFilterInput) (*cloudwatchlogs.DeleteMetricFilterOutput, error) {
	g, err := c.group(in.LogGroupName)
	if err != nil {
		return nil, err
	}
	if g.Filters[aws.ToString(in.FilterName)] == nil {
		return nil, &types.ResourceNotFoundException{Message: aws.String("The specified metric filter does not exist.")}
	}
	delete(g.Filters, aws.ToString(in.FilterName))
	return &cloudwatchlogs.DeleteMetricFilterOutput{}, nil
}

func describeMetricFilters(c *call, in *cloudwatchlogs.DescribeMetricFiltersInput) (*cloudwatchlogs.DescribeMetricFiltersOutput, error) {
	g, err := c.group(in.LogGroupName)
	if err != nil {
		return nil, err
	}
	var all []types.MetricFilter
	for _, name := range sortedKeys(g.Filters) {
		if strings.HasPrefix(name, aws.ToString(in.FilterNamePrefix)) {
			all = append(all, detach(g.Filters[name].Filter))
		}
	}
	page, next, ok := pageOf(c, all, 50, in.NextToken)
	if !ok {
		return nil, logsInvalid("The specified nextToken is invalid.")
	}
	return &cloudwatchlogs.DescribeMetricFiltersOutput{MetricFilters: page, NextToken: next}, nil
}

func testMetricFilter(_ *call, in *cloudwatchlogs.TestMetricFilterInput) (*cloudwatchlogs.TestMetricFilterOutput, error) {
	p, err := logpattern.Compile(aws.ToString(in.FilterPattern))
	if err != nil {
		return nil, logsInvalid("Invalid metric filter pattern: " + err.Error())
	}
	out := &cloudwatchlogs.TestMetricFilterOutput{Matches: []types.MetricFilterMatchRecord{}}
	for i, message := range in.LogEventMessages {
		if p.Match(message) {
			out.Matches = append(out.Matches, types.MetricFilterMatchRecord{EventMessage: aws.String(message), EventNumber: int64(i + 1)})
		}
	}
	return out, nil
}

func filterLogEvents(c *call, in *cloudwatchlogs.FilterLogEventsInput) (*cloudwatchlogs.FilterLogEventsOutput, error) {
	g, err := c.group(in.LogGroupName)
	if err != nil {
		return nil, err
	}
	var p *logpattern.Pattern
	if text := aws.ToString(in.FilterPattern); text != "" {
		if p, err = logpattern.Compile(text); err != nil {
			return nil, logsInvalid("Invalid filter pattern: " + err.Error())
		}
	}
	var all []types.FilteredLogEvent
	for _, e := range g.Events {
		if p == nil || p.Match(e.Message) {
			all = append(all, types.FilteredLogEvent{LogStreamName: aws.String(e.Stream), Message: aws.String(e.Message), Timestamp: aws.Int64(e.Time.UnixMilli())})
		}
	}
	page, next, ok := pageOf(c, all, 10_000, in.NextToken)
	if !ok {
		return nil, logsInvalid("The specified nextToken is invalid.")
	}
	return &cloudwatchlogs.FilterLogEventsOutput{Events: page, NextToken: next}, nil
}

// taggedGroup finds a log group by its ARN.
func (c *call) taggedGroup(arn *string) (*logGroup, error) {
	if g, account, _ := c.w.groupAt(aws.ToString(arn)); g != nil && account == c.caller.Account {
		return g, nil
	}
	return nil, &types.ResourceNotFoundException{Message: aws.String("The specified resource does not exist.")}
}

func tagLogGroup(c *call, in *cloudwatchlogs.TagResourceInput) (*cloudwatchlogs.TagResourceOutput, error) {
	g, err := c.taggedGroup(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	if g.Tags == nil {
		g.Tags = map[string]string{}
	}
	maps.Copy(g.Tags, in.Tags)
	return &cloudwatchlogs.TagResourceOutput{}, nil
}

func listLogTags(c *call, in *cloudwatchlogs.ListTagsForResourceInput) (*cloudwatchlogs.ListTagsForResourceOutput, error) {
	g, err := c.taggedGroup(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &cloudwatchlogs.ListTagsForResourceOutput{Tags: detach(g.Tags)}, nil
}

// logTo delivers a record to the log groups of trails: one stream for each account of
// the organization that the trail is about.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/send-cloudtrail-events-to-cloudwatch-logs.html
func (w *World) logTo(trails []*trail, account, region string, record map[string]any, now time.Time) {
	source, _ := record["eventSource"].(string)
	readOnly, _ := record["readOnly"].(bool)
	for _, t := range trails {
		if t.Settings.CloudWatchLogsLogGroupArn == nil || !t.selects(source, readOnly) {
			continue
		}
		if why := w.logsRefused(t, now); why != "" {
			t.LogsError = why
			continue
		}
		t.LogsError, t.Delivered = "", now
		g, owner, home := w.groupAt(*t.Settings.CloudWatchLogsLogGroupArn)
		text, err := json.Marshal(record)
		if err != nil {
			continue // parameters made it of plain values; there is nothing to fail
		}
		g.Events = append(g.Events, logEvent{Time: now, Stream: t.stream(w, account, region), Message: string(text)})
		if extra := len(g.Events) - logRoom; extra > 0 {
			g.Events = append(g.Events[:0], g.Events[extra:]...)
		}
		var event any // decoded once for all filters
		if len(g.Filters) == 0 || json.Unmarshal(text, &event) != nil {
			continue
		}
		for _, name := range sortedKeys(g.Filters) {
			w.count(owner, home, g.Filters[name], event, now)
		}
	}
}

// stream is the log stream to which a trail's events of an account go.
func (t *trail) stream(w *World, account, region string) string {
	if aws.ToBool(t.Settings.IsOrganizationTrail) {
		return w.state.Org.ID + "_" + account + "_CloudTrail_" + region
	}
	return account + "_CloudTrail_" + region
}

// logsRefused is why a trail's events do not reach its log group: "" when they do. The
// role must trust CloudTrail and let it write to the trail's streams.
func (w *World) logsRefused(t *trail, now time.Time) string {
	group, role := aws.ToString(t.Settings.CloudWatchLogsLogGroupArn), aws.ToString(t.Settings.CloudWatchLogsRoleArn)
	if why := w.assumable(role, trailService, t.Account, t.arn(), now); why != "" {
		return why
	}
	g, _, region := w.groupAt(group)
	if g == nil {
		return "the log group does not exist"
	}
	c := &call{w: w, service: "CloudWatch Logs", op: "PutLogEvents", caller: w.sessionOf(role, "CLOUDWATCH_LOGS_DELIVERY_SESSION"), region: region, now: now}
	stream := strings.TrimSuffix(group, ":*") + ":log-stream:" + t.stream(w, t.Account, t.Home)
	for _, action := range []string{"logs:CreateLogStream", "logs:PutLogEvents"} {
		if w.authorize(c, action, stream) != nil {
			return "the role " + role + " may not do " + action
		}
	}
	return ""
}

// count is a metric filter at work on one log event.
func (w *World) count(account, region string, f *metricFilter, event any, now time.Time) {
	p := f.pattern()
	if p == nil || !p.MatchValue(event) {
		return
	}
	t := f.Filter.MetricTransformations[0]
	value, err := strconv.ParseFloat(aws.ToString(t.MetricValue), 64)
	if err != nil {
		found, _ := logpattern.Select(aws.ToString(t.MetricValue), event)
		if value, err = strconv.ParseFloat(found, 64); err != nil {
			return
		}
	}
	dimensions := map[string]string{}
	for name, selector := range t.Dimensions {
		v, ok := logpattern.Select(selector, event)
		if !ok {
			return // an event without the dimension counts for no metric
		}
		dimensions[name] = v
	}
	w.measure(account, region, aws.ToString(t.MetricNamespace), aws.ToString(t.MetricName), dimensions, value, now, filterHours)
}
