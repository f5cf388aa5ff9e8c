package sim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/orgguard/orgguard/orgs"
)

// watchState is CloudWatch in one account × Region: alarms, and the custom metrics
// that metric filters feed. Actions of alarms are not modelled; what an alarm tells
// EventBridge is.
type watchState struct {
	Alarms  map[string]*alarm  `json:"alarms,omitempty"`  // by name
	Metrics map[string]*metric `json:"metrics,omitempty"` // by namespace, name and dimensions
}

type metric struct {
	Namespace  string            `json:"namespace"`
	Name       string            `json:"name"`
	Dimensions map[string]string `json:"dimensions,omitempty"`
	Points     []point           `json:"points,omitempty"` // of the last hours, oldest first
}

type point struct {
	Time  time.Time `json:"time"`
	Value float64   `json:"value"`
}

// How long points are kept, in hours: of what metric filters count, for no alarm looks at
// older ones, and of what happens rarely, where alarms look back a week for what did not.
const (
	filterHours = 3
	rareHours   = 7 * 24
)

type alarm struct {
	Settings types.MetricAlarm           `json:"settings"` // as DescribeAlarms gives them
	Tags     map[string]string           `json:"tags,omitempty"`
	States   map[string]*contributorMark `json:"states,omitempty"` // by contributor
}

// contributorMark is the state of one time series of an alarm.
type contributorMark struct {
	ID         string            `json:"id"`
	Attributes map[string]string `json:"attributes"`
	Alarm      bool              `json:"alarm"`
	Reason     string            `json:"reason"`
	Since      time.Time         `json:"since"`
}

var cloudwatchOps = map[string]operation{
	"PutMetricAlarm":            onAlarm(op(write, putMetricAlarm), func(in *cloudwatch.PutMetricAlarmInput) *string { return in.AlarmName }),
	"DescribeAlarms":            op(read, describeAlarms),
	"DescribeAlarmContributors": onAlarm(op(read, describeContributors), func(in *cloudwatch.DescribeAlarmContributorsInput) *string { return in.AlarmName }),
	"DeleteAlarms":              op(write, deleteAlarms),
	"EnableAlarmActions":        op(write, enableAlarmActions),
	"DisableAlarmActions":       op(write, disableAlarmActions),
	"TagResource":               op(write, tagAlarm),
}

// onAlarm makes an operation on an alarm.
func onAlarm[I any](o operation, name func(*I) *string) operation {
	return on(o, func(c *call, in *I) string { return c.arn("cloudwatch", "alarm:"+aws.ToString(name(in))) })
}

func watchInvalid(format string, args ...any) error {
	return apiError("ValidationError", format, args...)
}

// insights is a query of Metrics Insights as alarms use it. WHERE and math over queries
// are not modelled.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-metrics-insights-querylanguage.html
type insights struct {
	statistic, namespace, name string
	dimensions                 []string // that the schema names
	groups                     []string
}

var (
	insightsQuery = regexp.MustCompile(`(?i)^\s*SELECT\s+(SUM|MAX|MIN|AVG|COUNT)\(\s*"?([^")]+)"?\s*\)\s+FROM\s+(?:SCHEMA\(\s*"([^"]+)"\s*((?:,\s*"?[^",)]+"?\s*)*)\)|"([^"]+)")` +
		`(?:\s+GROUP\s+BY\s+("?[\w]+"?(?:\s*,\s*"?[\w]+"?)*))?(?:\s+ORDER\s+BY\s+(?:SUM|MAX|MIN|AVG|COUNT)\(\)\s+(?:ASC|DESC))?(?:\s+LIMIT\s+\d+)?\s*$`)
	insightsOrder = orgs.NewPattern(`(?i)\sORDER\s+BY\s`)
)

func parseInsights(query string) (*insights, error) {
	m := insightsQuery.FindStringSubmatch(query)
	if m == nil {
		return nil, watchInvalid("Error in expression 'q': the query cannot be read: %s", query)
	}
	names := func(list string) []string {
		var out []string
		for f := range strings.SplitSeq(list, ",") {
			if f = strings.Trim(strings.TrimSpace(f), `"`); f != "" {
				out = append(out, f)
			}
		}
		return out
	}
	q := &insights{statistic: strings.ToUpper(m[1]), name: strings.TrimSpace(m[2]), namespace: cmp.Or(m[3], m[5]), dimensions: names(m[4]), groups: names(m[6])}
	switch {
	case len(q.groups) > 0 && !insightsOrder.MatchString(query):
		return nil, watchInvalid("A Metrics Insights query with GROUP BY must have ORDER BY to be used in an alarm.")
	case m[3] != "" && slices.ContainsFunc(q.groups, func(g string) bool { return !slices.Contains(q.dimensions, g) }):
		return nil, watchInvalid("GROUP BY names a dimension that the schema does not have.")
	}
	return q, nil
}

// reads says whether the query is about a metric, and of which contributor.
func (q *insights) reads(m *metric) (key string, attributes map[string]string, ok bool) {
	if m.Namespace != q.namespace || m.Name != q.name {
		return "", nil, false
	}
	if len(q.dimensions) > 0 {
		if len(m.Dimensions) != len(q.dimensions) || slices.ContainsFunc(q.dimensions, func(d string) bool { _, has := m.Dimensions[d]; return !has }) {
			return "", nil, false
		}
	}
	attributes = map[string]string{}
	for _, g := range q.groups {
		v, has := m.Dimensions[g]
		if !has {
			return "", nil, false
		}
		attributes[g] = v
		key += g + "=" + v + "\n"
	}
	return key, attributes, true
}

// query is what an alarm watches.
func (a *alarm) query() (*insights, error) {
	s := a.Settings
	if len(s.Metrics) == 0 {
		q := &insights{statistic: strings.ToUpper(string(s.Statistic)), namespace: aws.ToString(s.Namespace), name: aws.ToString(s.MetricName)}
		if q.statistic == "AVERAGE" {
			q.statistic = "AVG"
		}
		return q, nil
	}
	if len(s.Metrics) != 1 || aws.ToString(s.Metrics[0].Expression) == "" {
		return nil, watchInvalid("The sandbox knows alarms on one metric and on one Metrics Insights query.")
	}
	return parseInsights(*s.Metrics[0].Expression)
}

func (a *alarm) period() time.Duration {
	if len(a.Settings.Metrics) == 1 && a.Settings.Metrics[0].Period != nil {
		return time.Duration(*a.Settings.Metrics[0].Period) * time.Second
	}
	return time.Duration(aws.ToInt32(a.Settings.Period)) * time.Second
}

// putMetricAlarm makes an alarm or replaces its settings; its state stays.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
func putMetricAlarm(c *call, in *cloudwatch.PutMetricAlarmInput) (*cloudwatch.PutMetricAlarmOutput, error) {
	name := aws.ToString(in.AlarmName)
	a := &alarm{States: map[string]*contributorMark{}, Tags: map[string]string{}, Settings: detach(types.MetricAlarm{
		AlarmName: in.AlarmName, AlarmDescription: in.AlarmDescription, ActionsEnabled: aws.Bool(in.ActionsEnabled == nil || *in.ActionsEnabled),
		AlarmActions: in.AlarmActions, OKActions: in.OKActions, InsufficientDataActions: in.InsufficientDataActions,
		ComparisonOperator: in.ComparisonOperator, EvaluationPeriods: in.EvaluationPeriods, DatapointsToAlarm: in.DatapointsToAlarm, Threshold: in.Threshold,
		TreatMissingData: in.TreatMissingData, Metrics: in.Metrics, Namespace: in.Namespace, MetricName: in.MetricName, Statistic: in.Statistic, Period: in.Period,
		Dimensions: in.Dimensions, StateValue: types.StateValueInsufficientData, StateReason: aws.String("Unchecked: Initial alarm creation"),
		StateUpdatedTimestamp: aws.Time(c.now), AlarmArn: aws.String(c.arn("cloudwatch", "alarm:"+name)), AlarmConfigurationUpdatedTimestamp: aws.Time(c.now),
	})}
	switch {
	case name == "" || len(name) > 255:
		return nil, watchInvalid("AlarmName must have 1 to 255 characters.")
	case len(in.Metrics) > 0 && (in.MetricName != nil || in.Namespace != nil || in.Period != nil || in.Statistic != ""):
		return nil, watchInvalid("Metrics list parameter excludes MetricName, Namespace, Period and Statistic.")
	case len(in.Metrics) == 0 && (in.MetricName == nil || in.Namespace == nil || in.Period == nil):
		return nil, watchInvalid("Exactly one of the alarm's metric and its Metrics list must be given.")
	case in.Threshold == nil:
		return nil, watchInvalid("The alarm must have a threshold.")
	case aws.ToInt32(in.EvaluationPeriods) < 1 || aws.ToInt32(in.DatapointsToAlarm) > aws.ToInt32(in.EvaluationPeriods):
		return nil, watchInvalid("EvaluationPeriods must be at least 1, and DatapointsToAlarm no more than that.")
	case a.period() <= 0 || a.period()%time.Minute != 0:
		return nil, watchInvalid("Period must be a multiple of 60.")
	}
	if _, err := a.query(); err != nil {
		return nil, err
	}
	s := &c.here().Watch
	if s.Alarms == nil {
		s.Alarms = map[string]*alarm{}
	}
	if old := s.Alarms[name]; old != nil {
		a.States = old.States
		maps.Copy(a.Tags, old.Tags)
		a.Settings.StateValue, a.Settings.StateReason, a.Settings.StateUpdatedTimestamp = old.Settings.StateValue, old.Settings.StateReason, old.Settings.StateUpdatedTimestamp
	}
	for _, t := range in.Tags {
		a.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	s.Alarms[name] = a
	return &cloudwatch.PutMetricAlarmOutput{}, nil
}

func describeAlarms(c *call, in *cloudwatch.DescribeAlarmsInput) (*cloudwatch.DescribeAlarmsOutput, error) {
	s := &c.here().Watch
	for _, name := range sortedKeys(s.Alarms) {
		c.w.evaluateAlarm(c.caller.Account, c.region, s, s.Alarms[name], c.now)
	}
	var all []types.MetricAlarm
	for _, name := range sortedKeys(s.Alarms) {
		if (len(in.AlarmNames) == 0 || slices.Contains(in.AlarmNames, name)) && strings.HasPrefix(name, aws.ToString(in.AlarmNamePrefix)) &&
			(in.StateValue == "" || in.StateValue == s.Alarms[name].Settings.StateValue) {
			all = append(all, detach(s.Alarms[name].Settings))
		}
	}
	limit := 50
	if n := aws.ToInt32(in.MaxRecords); n > 0 {
		limit = min(int(n), 100)
	}
	page, next, ok := pageOf(c, all, limit, in.NextToken)
	if !ok {
		return nil, apiError("InvalidNextToken", "The next token specified is invalid.")
	}
	return &cloudwatch.DescribeAlarmsOutput{MetricAlarms: page, NextToken: next}, nil
}

func (c *call) alarm(name *string) (*alarm, error) {
	if a := c.here().Watch.Alarms[aws.ToString(name)]; a != nil {
		return a, nil
	}
	return nil, &types.ResourceNotFoundException{Message: aws.String("The alarm " + aws.ToString(name) + " does not exist.")}
}

func describeContributors(c *call, in *cloudwatch.DescribeAlarmContributorsInput) (*cloudwatch.DescribeAlarmContributorsOutput, error) {
	a, err := c.alarm(in.AlarmName)
	if err != nil {
		return nil, err
	}
	c.w.evaluateAlarm(c.caller.Account, c.region, &c.here().Watch, a, c.now)
	out := &cloudwatch.DescribeAlarmContributorsOutput{AlarmContributors: []types.AlarmContributor{}}
	for _, key := range sortedKeys(a.States) {
		if s := a.States[key]; s.Alarm {
			out.AlarmContributors = append(out.AlarmContributors, types.AlarmContributor{
				ContributorId: aws.String(s.ID), ContributorAttributes: maps.Clone(s.Attributes), StateReason: aws.String(s.Reason), StateTransitionedTimestamp: aws.Time(s.Since),
			})
		}
	}
	return out, nil
}

func deleteAlarms(c *call, in *cloudwatch.DeleteAlarmsInput) (*cloudwatch.DeleteAlarmsOutput, error) {
	for _, name := range in.AlarmNames {
		delete(c.here().Watch.Alarms, name) // of names that do not exist CloudWatch says nothing
	}
	return &cloudwatch.DeleteAlarmsOutput{}, nil
}

func enableAlarmActions(c *call, in *cloudwatch.EnableAlarmActionsInput) (*cloudwatch.EnableAlarmActionsOutput, error) {
	c.setAlarmActions(in.AlarmNames, true)
	return &cloudwatch.EnableAlarmActionsOutput{}, nil
}

func disableAlarmActions(c *call, in *cloudwatch.DisableAlarmActionsInput) (*cloudwatch.DisableAlarmActionsOutput, error) {
	c.setAlarmActions(in.AlarmNames, false)
	return &cloudwatch.DisableAlarmActionsOutput{}, nil
}

// setAlarmActions passes over names that do not exist, as CloudWatch does.
func (c *call) setAlarmActions(names []string, enabled bool) {
	for _, name := range names {
		if a := c.here().Watch.Alarms[name]; a != nil {
			a.Settings.ActionsEnabled = aws.Bool(enabled)
		}
	}
}

func tagAlarm(c *call, in *cloudwatch.TagResourceInput) (*cloudwatch.TagResourceOutput, error) {
	_, _, _, resource, _ := arnParts(aws.ToString(in.ResourceARN))
	name := strings.TrimPrefix(resource, "alarm:")
	a, err := c.alarm(&name)
	if err != nil {
		return nil, err
	}
	if a.Tags == nil {
		a.Tags = map[string]string{}
	}
	for _, t := range in.Tags {
		a.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return &cloudwatch.TagResourceOutput{}, nil
}

// measure adds a point to a metric and has the alarms look at it at once; CloudWatch
// does it every minute.
func (w *World) measure(account, region, namespace, name string, dimensions map[string]string, value float64, now time.Time, hours int) {
	s := &w.region(account, region).Watch
	key := namespace + "\n" + name
	for _, d := range sortedKeys(dimensions) {
		key += "\n" + d + "=" + dimensions[d]
	}
	if s.Metrics == nil {
		s.Metrics = map[string]*metric{}
	}
	m := s.Metrics[key]
	if m == nil {
		m = &metric{Namespace: namespace, Name: name, Dimensions: dimensions}
		s.Metrics[key] = m
	}
	m.Points = slices.DeleteFunc(m.Points, func(p point) bool { return now.Sub(p.Time) > time.Duration(hours)*time.Hour })
	m.Points = append(m.Points, point{now, value})
	for _, alarm := range sortedKeys(s.Alarms) {
		w.evaluateAlarm(account, region, s, s.Alarms[alarm], now)
	}
}

// embedded takes the metrics out of a log: lines of JSON in the embedded metric format.
// Values that are lists, and units, are not modelled.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func (w *World) embedded(account, region string, log []byte) {
	for line := range bytes.Lines(log) {
		var head struct {
			AWS struct {
				Timestamp         int64
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name string }
				}
			} `json:"_aws"`
		}
		var values map[string]any
		if json.Unmarshal(line, &head) != nil || head.AWS.Timestamp == 0 || json.Unmarshal(line, &values) != nil {
			continue
		}
		at := time.UnixMilli(head.AWS.Timestamp)
		for _, d := range head.AWS.CloudWatchMetrics {
			for _, names := range d.Dimensions {
				dimensions := map[string]string{}
				for _, name := range names {
					dimensions[name], _ = values[name].(string)
				}
				for _, m := range d.Metrics {
					if v, ok := values[m.Name].(float64); ok {
						w.measure(account, region, d.Namespace, m.Name, dimensions, v, at, rareHours)
					}
				}
			}
		}
	}
}

// evaluateAlarm compares what an alarm watches with its threshold, and tells
// EventBridge what changed: a contributor's state, and the alarm's own.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
func (w *World) evaluateAlarm(account, region string, s *watchState, a *alarm, now time.Time) {
	q, err := a.query()
	if err != nil {
		return // it was checked when it was put
	}
	window := a.period() * time.Duration(max(1, aws.ToInt32(a.Settings.EvaluationPeriods)))
	values := map[string][]float64{}
	attributes := map[string]map[string]string{}
	if len(a.Settings.Metrics) == 0 {
		attributes[""] = nil // the one metric, with points or without
	}
	if v, ok := w.depth(account, region, a.Settings); ok {
		values[""] = []float64{v}
	}
	for _, key := range sortedKeys(s.Metrics) {
		group, attrs, ok := q.reads(s.Metrics[key])
		if !ok || len(a.Settings.Metrics) == 0 && !sameDimensions(a.Settings.Dimensions, s.Metrics[key].Dimensions) {
			continue
		}
		attributes[group] = attrs
		for _, p := range s.Metrics[key].Points {
			if now.Sub(p.Time) < window {
				values[group] = append(values[group], p.Value)
			}
		}
	}
	if a.States == nil { // a file leaves empty maps out
		a.States = map[string]*contributorMark{}
	}
	before := string(a.Settings.StateValue)
	inAlarm := 0
	for _, group := range sortedKeys(attributes) {
		mark := a.States[group]
		if mark == nil {
			mark = &contributorMark{ID: w.id(16), Attributes: attributes[group], Since: now}
			a.States[group] = mark
		}
		v := q.statistics(values[group])
		breach := len(values[group]) > 0 && compares(a.Settings.ComparisonOperator, v, aws.ToFloat64(a.Settings.Threshold))
		if len(values[group]) == 0 {
			breach = aws.ToString(a.Settings.TreatMissingData) == "breaching"
		}
		if breach {
			inAlarm++
		}
		if breach == mark.Alarm {
			continue
		}
		mark.Alarm, mark.Since = breach, now
		mark.Reason = fmt.Sprintf("Threshold Crossed: 1 datapoint [%.1f (%s)] was %s the threshold (%.1f).", v, now.UTC().Format("02/01/06 15:04:05"),
			map[bool]string{true: "", false: "not "}[breach]+operatorWords[a.Settings.ComparisonOperator], aws.ToFloat64(a.Settings.Threshold))
		if len(q.groups) > 0 {
			w.tellAlarm(account, region, a, mark, "", now)
		}
	}
	state := types.StateValueOk
	switch {
	case inAlarm > 0:
		state = types.StateValueAlarm
	case len(values) == 0 && a.Settings.StateValue == types.StateValueInsufficientData && aws.ToString(a.Settings.TreatMissingData) != "notBreaching":
		state = types.StateValueInsufficientData
	}
	if state == a.Settings.StateValue {
		return
	}
	a.Settings.StateValue, a.Settings.StateUpdatedTimestamp = state, aws.Time(now)
	a.Settings.StateReason = aws.String(fmt.Sprintf("%d out of %d time series evaluated to ALARM", inAlarm, len(attributes)))
	w.tellAlarm(account, region, a, nil, before, now)
}

// sameDimensions says whether a metric is the one that an alarm names: all of its
// dimensions count.
func sameDimensions(want []types.Dimension, have map[string]string) bool {
	return len(want) == len(have) && !slices.ContainsFunc(want, func(d types.Dimension) bool { return have[aws.ToString(d.Name)] != aws.ToString(d.Value) })
}

// depth is how many messages are in the queue that an alarm watches. Queues keep no
// points: what counts is what is in them.
func (w *World) depth(account, region string, s types.MetricAlarm) (float64, bool) {
	if aws.ToString(s.Namespace) != "AWS/SQS" || aws.ToString(s.MetricName) != "ApproximateNumberOfMessagesVisible" || len(s.Dimensions) != 1 {
		return 0, false
	}
	q := w.region(account, region).SQS.Queues[aws.ToString(s.Dimensions[0].Value)]
	if q == nil {
		return 0, false
	}
	return float64(len(q.Messages)), true
}

// tellAlarm is an event of CloudWatch: of a contributor, or, where that is nil, of the
// alarm as a whole.
func (w *World) tellAlarm(account, region string, a *alarm, of *contributorMark, before string, now time.Time) {
	const stamp = "2006-01-02T15:04:05.000+0000"
	detail := map[string]any{"alarmName": aws.ToString(a.Settings.AlarmName)}
	configuration := map[string]any{"description": aws.ToString(a.Settings.AlarmDescription)}
	var metrics []any
	for _, m := range a.Settings.Metrics {
		metrics = append(metrics, map[string]any{
			"id": aws.ToString(m.Id), "expression": aws.ToString(m.Expression), "returnData": m.ReturnData == nil || *m.ReturnData, "period": float64(aws.ToInt32(m.Period)),
		})
	}
	configuration["metrics"] = metrics
	detail["configuration"] = configuration
	kind, value, reason := "CloudWatch Alarm State Change", string(a.Settings.StateValue), aws.ToString(a.Settings.StateReason)
	if of != nil {
		attributes := map[string]any{}
		for k, v := range of.Attributes {
			attributes[k] = v
		}
		kind, value, reason = "CloudWatch Alarm Contributor State Change", string(types.StateValueOk), of.Reason
		if of.Alarm {
			value = string(types.StateValueAlarm)
		}
		detail["alarmContributor"] = map[string]any{"id": of.ID, "attributes": attributes}
	} else {
		detail["previousState"] = map[string]any{"value": before, "timestamp": now.UTC().Format(stamp)}
	}
	detail["state"] = map[string]any{"value": value, "reason": reason, "timestamp": now.UTC().Format(stamp)}
	w.deliver(account, region, map[string]any{
		"version": "0", "id": w.uuid(), "detail-type": kind, "source": "aws.cloudwatch", "account": account, "region": region,
		"time": now.UTC().Format(time.RFC3339), "resources": []any{aws.ToString(a.Settings.AlarmArn)}, "detail": detail,
	})
}

func (q *insights) statistics(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	switch {
	case len(values) == 0:
		return 0
	case q.statistic == "MAX" || q.statistic == "MAXIMUM":
		return slices.Max(values)
	case q.statistic == "MIN" || q.statistic == "MINIMUM":
		return slices.Min(values)
	case q.statistic == "AVG":
		return sum / float64(len(values))
	case q.statistic == "COUNT" || q.statistic == "SAMPLECOUNT":
		return float64(len(values))
	}
	return sum
}

var operatorWords = map[types.ComparisonOperator]string{
	types.ComparisonOperatorGreaterThanThreshold: "greater than", types.ComparisonOperatorGreaterThanOrEqualToThreshold: "greater than or equal to",
	types.ComparisonOperatorLessThanThreshold: "less than", types.ComparisonOperatorLessThanOrEqualToThreshold: "less than or equal to",
}

func compares(operator types.ComparisonOperator, v, threshold float64) bool {
	switch operator {
	case types.ComparisonOperatorGreaterThanThreshold:
		return v > threshold
	case types.ComparisonOperatorLessThanThreshold:
		return v < threshold
	case types.ComparisonOperatorLessThanOrEqualToThreshold:
		return v <= threshold
	}
	return v >= threshold
}
