package baseline

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// logGroupState is a log group of CloudWatch Logs.
type logGroupState struct {
	Days int // that it keeps events; 0: for ever
	// Key is the ARN of its key, and Wanted that of orgguard's, looked for only where
	// the group is to have it; "" for none.
	Key, Wanted string
}

var logGroupKind = kind{
	noun:     "log group",
	nameProp: "LogGroupName",
	attributes: map[string]string{
		"Ref": "{name}",
		"Arn": "arn:{partition}:logs:{region}:{account}:log-group:{name}:*",
	},
	observe: observeLogGroup,
	compare: compareLogGroup,
	repair:  repairLogGroup,
}

func compareLogGroup(r Resource, state any) []Mismatch {
	st := state.(logGroupState)
	var out []Mismatch
	if want, have := r.str("RetentionInDays"), strconv.Itoa(st.Days); want != "" && want != have {
		m := Mismatch{Reason: "the log group keeps events for another time", Expected: map[string]any{"days": want}, Actual: map[string]any{"days": have}}
		if have == "0" {
			m.Reason, m.Actual = "the log group keeps events for ever", nil
		}
		out = append(out, m)
	}
	if r.str("KmsKeyId") != "" && (st.Key == "" || st.Key != st.Wanted) {
		out = append(out, Mismatch{Reason: "the log group is not encrypted with its key", Expected: trailLogKeyAlias, Actual: cmp.Or(st.Key, "CloudWatch Logs' own key")})
	}
	return out
}

func observeLogGroup(ctx context.Context, s site, r Resource) (any, error) {
	name := r.str("LogGroupName")
	pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(s.Logs, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: aws.String(name)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, s.at.Logs)
		if err != nil {
			return nil, fmt.Errorf("describe log group %s: %w", name, err)
		}
		for _, g := range page.LogGroups {
			if aws.ToString(g.LogGroupName) == name {
				st := logGroupState{Days: int(aws.ToInt32(g.RetentionInDays)), Key: aws.ToString(g.KmsKeyId)}
				if r.str("KmsKeyId") != "" {
					st.Wanted, err = s.trailLogKey(ctx)
				}
				return st, err
			}
		}
	}
	return nil, nil
}

// trailLogKey is the ARN of the key of the trail's log group; "" where there is none.
func (s site) trailLogKey(ctx context.Context) (string, error) {
	meta, err := s.behindAlias(ctx, trailLogKeyAlias)
	if meta == nil || err != nil {
		return "", err
	}
	return aws.ToString(meta.Arn), nil
}

func repairLogGroup(ctx context.Context, s site, r Resource, state any) error {
	name := aws.String(r.str("LogGroupName"))
	if state == nil {
		tags := map[string]string{}
		for _, t := range tagsAs(r, func(k, v *string) [2]string { return [2]string{*k, *v} }) {
			tags[t[0]] = t[1]
		}
		_, err := s.Logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: name, Tags: tags}, s.at.Logs)
		if err != nil && !alreadyThere(err) {
			return fmt.Errorf("create log group %s: %w", *name, err)
		}
	}
	if r.str("KmsKeyId") != "" {
		key, err := s.trailLogKey(ctx) // which was put right before
		if err == nil {
			_, err = s.Logs.AssociateKmsKey(ctx, &cloudwatchlogs.AssociateKmsKeyInput{LogGroupName: name, KmsKeyId: aws.String(key)}, s.at.Logs)
		}
		if err != nil {
			return fmt.Errorf("encrypt log group %s with %s: %w", *name, trailLogKeyAlias, err)
		}
	}
	days, err := strconv.ParseInt(r.str("RetentionInDays"), 10, 32)
	if err != nil {
		return fmt.Errorf("retention of log group %s: %w", *name, err)
	}
	_, err = s.Logs.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: name, RetentionInDays: aws.Int32(int32(days))}, s.at.Logs)
	if err != nil {
		return fmt.Errorf("put retention of log group %s: %w", *name, err)
	}
	return nil
}

// metricFilterState is a metric filter of a log group.
type metricFilterState struct {
	Pattern string
	Metric  metricOf
}

// metricOf is the metric that a filter feeds, as findings show it.
type metricOf struct {
	Namespace  string            `json:"namespace"`
	Name       string            `json:"name"`
	Value      string            `json:"value"`
	Dimensions map[string]string `json:"dimensions,omitempty"`
}

var metricFilterKind = kind{
	noun:       "metric filter",
	nameProp:   "FilterName",
	attributes: map[string]string{"Ref": "{name}"},
	observe:    observeMetricFilter,
	compare: func(r Resource, state any) []Mismatch {
		st := state.(metricFilterState)
		var out []Mismatch
		if want := r.str("FilterPattern"); want != st.Pattern {
			out = append(out, Mismatch{Reason: "the metric filter's pattern differs", Expected: want, Actual: st.Pattern})
		}
		if want := r.metric(); compact(want) != compact(st.Metric) {
			out = append(out, Mismatch{Reason: "the metric filter counts into another metric", Expected: want, Actual: st.Metric})
		}
		return out
	},
	repair: repairMetricFilter,
}

// transformation is a metric filter's one transformation.
func (r Resource) transformation() Resource { return r.sole("MetricTransformations") }

// metric is the metric that a template's filter feeds.
func (r Resource) metric() metricOf {
	t := r.transformation()
	m := metricOf{Namespace: t.str("MetricNamespace"), Name: t.str("MetricName"), Value: t.str("MetricValue")}
	for _, v := range t.list("Dimensions") {
		if d, ok := v.(map[string]any); ok {
			if m.Dimensions == nil {
				m.Dimensions = map[string]string{}
			}
			m.Dimensions[fmt.Sprint(d["Key"])] = fmt.Sprint(d["Value"])
		}
	}
	return m
}

func observeMetricFilter(ctx context.Context, s site, r Resource) (any, error) {
	name := r.str("FilterName")
	pages := cloudwatchlogs.NewDescribeMetricFiltersPaginator(s.Logs, &cloudwatchlogs.DescribeMetricFiltersInput{
		LogGroupName: aws.String(r.str("LogGroupName")), FilterNamePrefix: aws.String(name),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, s.at.Logs)
		if notFound(err) {
			return nil, nil // there is no such log group
		}
		if err != nil {
			return nil, fmt.Errorf("describe metric filter %s: %w", name, err)
		}
		for _, f := range page.MetricFilters {
			if aws.ToString(f.FilterName) != name {
				continue
			}
			st := metricFilterState{Pattern: aws.ToString(f.FilterPattern)}
			for _, t := range f.MetricTransformations { // there is one
				st.Metric = metricOf{Namespace: aws.ToString(t.MetricNamespace), Name: aws.ToString(t.MetricName), Value: aws.ToString(t.MetricValue), Dimensions: t.Dimensions}
			}
			return st, nil
		}
	}
	return nil, nil
}

func repairMetricFilter(ctx context.Context, s site, r Resource, _ any) error {
	m := r.metric()
	_, err := s.Logs.PutMetricFilter(ctx, &cloudwatchlogs.PutMetricFilterInput{
		FilterName: aws.String(r.str("FilterName")), LogGroupName: aws.String(r.str("LogGroupName")), FilterPattern: aws.String(r.str("FilterPattern")),
		MetricTransformations: []types.MetricTransformation{{
			MetricNamespace: aws.String(m.Namespace), MetricName: aws.String(m.Name), MetricValue: aws.String(m.Value), Dimensions: m.Dimensions,
			Unit: types.StandardUnit(r.transformation().str("Unit")),
		}},
	}, s.at.Logs)
	if err != nil {
		return fmt.Errorf("put metric filter %s: %w", r.str("FilterName"), err)
	}
	return nil
}
