package baseline

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// alarmState is a CloudWatch alarm on a query: what it watches, as text, so that it
// compares with what a template says.
type alarmState struct {
	Watches map[string]string
	Actions bool
}

var alarmKind = kind{
	noun:       "alarm",
	nameProp:   "AlarmName",
	attributes: map[string]string{"Ref": "{name}", "Arn": "arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}"},
	observe:    observeAlarm,
	compare: func(r Resource, state any) []Mismatch {
		st := state.(alarmState)
		var out []Mismatch
		want := r.alarm()
		for _, key := range sortedKeys(want) {
			if want[key] != st.Watches[key] {
				out = append(out, Mismatch{Reason: "the alarm's " + key + " differs", Expected: want[key], Actual: orNothing(st.Watches[key])})
			}
		}
		if on, _ := r.Props["ActionsEnabled"].(bool); on && !st.Actions {
			out = append(out, Mismatch{Reason: "the alarm's actions are disabled", Verb: "enable", Expected: map[string]any{"enabled": true}, Actual: map[string]any{"enabled": false}})
		}
		return out
	},
	repair: repairAlarm,
}

// query is the one query that a template's alarm watches.
func (r Resource) query() Resource { return r.sole("Metrics") }

// alarm is what a template's alarm watches.
func (r Resource) alarm() map[string]string {
	return map[string]string{
		"query": r.query().str("Expression"), "period": r.query().str("Period"), "threshold": r.str("Threshold"), "comparison": r.str("ComparisonOperator"),
		"evaluation periods": r.str("EvaluationPeriods"), "treatment of missing data": r.str("TreatMissingData"),
	}
}

func observeAlarm(ctx context.Context, s site, r Resource) (any, error) {
	name := r.str("AlarmName")
	out, err := s.CloudWatch.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm}}, s.at.CloudWatch)
	if err != nil {
		return nil, fmt.Errorf("describe alarm %s: %w", name, err)
	}
	if len(out.MetricAlarms) == 0 {
		return nil, nil
	}
	a := out.MetricAlarms[0]
	st := alarmState{Actions: aws.ToBool(a.ActionsEnabled), Watches: map[string]string{
		"threshold": strconv.FormatFloat(aws.ToFloat64(a.Threshold), 'f', -1, 64), "comparison": string(a.ComparisonOperator),
		"evaluation periods": strconv.Itoa(int(aws.ToInt32(a.EvaluationPeriods))), "treatment of missing data": aws.ToString(a.TreatMissingData),
	}}
	if len(a.Metrics) == 1 {
		st.Watches["query"], st.Watches["period"] = aws.ToString(a.Metrics[0].Expression), strconv.Itoa(int(aws.ToInt32(a.Metrics[0].Period)))
	}
	return st, nil
}

// repairAlarm writes the whole alarm: PutMetricAlarm takes no parts, and leaves its
// state as it is.
func repairAlarm(ctx context.Context, s site, r Resource, state any) error {
	name, q := r.str("AlarmName"), r.query()
	threshold, err := strconv.ParseFloat(r.str("Threshold"), 64)
	if err != nil {
		return fmt.Errorf("threshold of alarm %s: %w", name, err)
	}
	numbers := map[string]int32{}
	for key, text := range map[string]string{"period": q.str("Period"), "periods": r.str("EvaluationPeriods"), "points": r.str("DatapointsToAlarm")} {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return fmt.Errorf("%s of alarm %s: %w", key, name, err)
		}
		numbers[key] = int32(n)
	}
	in := &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String(name), AlarmDescription: aws.String(r.str("AlarmDescription")), ActionsEnabled: aws.Bool(true),
		ComparisonOperator: types.ComparisonOperator(r.str("ComparisonOperator")), Threshold: aws.Float64(threshold), TreatMissingData: aws.String(r.str("TreatMissingData")),
		EvaluationPeriods: aws.Int32(numbers["periods"]), DatapointsToAlarm: aws.Int32(numbers["points"]),
		Metrics: []types.MetricDataQuery{{Id: aws.String(q.str("Id")), Expression: aws.String(q.str("Expression")), Period: aws.Int32(numbers["period"]), ReturnData: aws.Bool(true)}},
	}
	if state == nil { // tags of an alarm that exists are not changed by it
		in.Tags = tagsAs(r, func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} })
	}
	if _, err := s.CloudWatch.PutMetricAlarm(ctx, in, s.at.CloudWatch); err != nil {
		return fmt.Errorf("put alarm %s: %w", name, err)
	}
	return nil
}
