package sim

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
)

// configAggregator is an organization aggregator. Aggregators of single accounts
// are left out.
type configAggregator struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Regions []string  `json:"regions,omitempty"` // none: all
	Created time.Time `json:"created"`
}

// Aggregation is how an aggregator differs from what it aggregates: it is always
// behind, and may not hear of an account at all.
type Aggregation struct {
	// Lag is how long the start and the stop of a recorder, and changes of rules and
	// roles, take to arrive. What was deleted is gone at once.
	Lag time.Duration `json:"lag,omitempty"`
	// Missing are the "account/Region" pairs of which it has no rows.
	Missing []string `json:"missing,omitempty"`
	// Failed are those from which the last collection failed: their rows are old.
	Failed []string `json:"failed,omitempty"`
}

func putConfigurationAggregator(c *call, in *configservice.PutConfigurationAggregatorInput) (*configservice.PutConfigurationAggregatorOutput, error) {
	src := in.OrganizationAggregationSource
	if src == nil {
		return nil, apiError("InvalidParameterValueException", "the sandbox has organization aggregators only")
	}
	if !c.w.trustedAccess("config.amazonaws.com") {
		return nil, apiError("OrganizationAccessDeniedException", "AWS Config has no access to the organization: enable all features and trusted access.")
	}
	if _, delegate := c.w.state.Org.Delegated[c.caller.Account]["config.amazonaws.com"]; !delegate && c.caller.Account != c.w.state.Org.ManagementAccount {
		return nil, apiError("OrganizationAccessDeniedException", "This account is neither the management account nor a delegated administrator of AWS Config.")
	}
	if src.AllAwsRegions == (len(src.AwsRegions) > 0) {
		return nil, apiError("InvalidParameterValueException", "Specify either all Regions or some.")
	}
	s := &c.here().Config
	if s.Aggregators == nil {
		s.Aggregators = map[string]*configAggregator{}
	}
	a := &configAggregator{Name: aws.ToString(in.ConfigurationAggregatorName), Role: aws.ToString(src.RoleArn), Regions: slices.Clone(src.AwsRegions), Created: c.now}
	s.Aggregators[a.Name] = a
	out := a.describe(c)
	return &configservice.PutConfigurationAggregatorOutput{ConfigurationAggregator: &out}, nil
}

func (a *configAggregator) describe(c *call) types.ConfigurationAggregator {
	return types.ConfigurationAggregator{
		ConfigurationAggregatorName: aws.String(a.Name), ConfigurationAggregatorArn: aws.String(c.arn("config", "config-aggregator/"+a.Name)),
		CreationTime: aws.Time(a.Created), LastUpdatedTime: aws.Time(a.Created),
		OrganizationAggregationSource: &types.OrganizationAggregationSource{RoleArn: aws.String(a.Role), AllAwsRegions: len(a.Regions) == 0, AwsRegions: slices.Clone(a.Regions)},
	}
}

func describeConfigurationAggregators(c *call, in *configservice.DescribeConfigurationAggregatorsInput) (*configservice.DescribeConfigurationAggregatorsOutput, error) {
	s := &c.here().Config
	names := in.ConfigurationAggregatorNames
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(s.Aggregators))
	}
	out := &configservice.DescribeConfigurationAggregatorsOutput{ConfigurationAggregators: []types.ConfigurationAggregator{}}
	for _, name := range names {
		a, err := s.aggregator(name)
		if err != nil {
			return nil, err
		}
		out.ConfigurationAggregators = append(out.ConfigurationAggregators, a.describe(c))
	}
	return out, nil
}

func (s *configState) aggregator(name string) (*configAggregator, error) {
	if a := s.Aggregators[name]; a != nil {
		return a, nil
	}
	return nil, apiError("NoSuchConfigurationAggregatorException", "The configuration aggregator does not exist. Check the configuration aggregator name and try again.")
}

// sourcesStatus gives the sources by the status of their last collection.
func sourcesStatus(c *call, in *configservice.DescribeConfigurationAggregatorSourcesStatusInput) (*configservice.DescribeConfigurationAggregatorSourcesStatusOutput, error) {
	a, err := c.here().Config.aggregator(aws.ToString(in.ConfigurationAggregatorName))
	if err != nil {
		return nil, err
	}
	var all []types.AggregatedSourceStatus
	for _, at := range c.w.aggregated(a) {
		status := types.AggregatedSourceStatusTypeSucceeded
		if slices.Contains(c.w.faults.Aggregation.Failed, at.account+"/"+at.region) {
			status = types.AggregatedSourceStatusTypeFailed
		}
		if len(in.UpdateStatus) == 0 || slices.Contains(in.UpdateStatus, status) {
			all = append(all, types.AggregatedSourceStatus{SourceId: aws.String(at.account), SourceType: types.AggregatedSourceTypeAccount, AwsRegion: aws.String(at.region), LastUpdateStatus: status, LastUpdateTime: aws.Time(c.now)})
		}
	}
	page, next, ok := pageOf(c, all, 100, in.NextToken)
	if !ok {
		return nil, invalidConfigToken()
	}
	return &configservice.DescribeConfigurationAggregatorSourcesStatusOutput{AggregatedSourceStatusList: append([]types.AggregatedSourceStatus{}, page...), NextToken: next}, nil
}

// accountRegion is a source of an aggregator.
type accountRegion struct{ account, region string }

// aggregated are the sources of an aggregator that have anything in AWS Config.
func (w *World) aggregated(a *configAggregator) []accountRegion {
	var out []accountRegion
	for _, id := range slices.Sorted(maps.Keys(w.state.Org.Accounts)) {
		if w.accountInState(id) != "ACTIVE" || w.state.Accounts[id] == nil {
			continue
		}
		for _, region := range slices.Sorted(maps.Keys(w.state.Accounts[id].Regions)) {
			if len(a.Regions) == 0 || slices.Contains(a.Regions, region) {
				out = append(out, accountRegion{id, region})
			}
		}
	}
	return out
}

// unheard says that an aggregator has no rows of an account × Region.
func (w *World) unheard(at accountRegion) bool {
	return slices.Contains(w.faults.Aggregation.Missing, at.account+"/"+at.region)
}

// selectPattern is what the sandbox understands of the query language: properties,
// and equalities and lists of values joined by AND.
// https://docs.aws.amazon.com/config/latest/developerguide/query-components.html
var (
	selectPattern = regexp.MustCompile(`(?is)^\s*SELECT\s+(.+?)\s+WHERE\s+(.+?)\s*$`)
	equalPattern  = regexp.MustCompile(`^\s*([\w.]+)\s*=\s*'([^']*)'\s*$`)
	inPattern     = regexp.MustCompile(`(?i)^\s*([\w.]+)\s+IN\s*\(\s*('[^']*'(?:\s*,\s*'[^']*')*)\s*\)\s*$`)
	valuePattern  = regexp.MustCompile(`'([^']*)'`)
	andPattern    = regexp.MustCompile(`(?i)\s+AND\s+`)
)

const maxExpression = 4096

func selectAggregate(c *call, in *configservice.SelectAggregateResourceConfigInput) (*configservice.SelectAggregateResourceConfigOutput, error) {
	a, err := c.here().Config.aggregator(aws.ToString(in.ConfigurationAggregatorName))
	if err != nil {
		return nil, err
	}
	bad := func() error {
		return apiError("InvalidExpressionException", "The syntax of the query is incorrect, or the sandbox does not know it.")
	}
	m := selectPattern.FindStringSubmatch(aws.ToString(in.Expression))
	if m == nil || len(*in.Expression) > maxExpression {
		return nil, bad()
	}
	where := map[string][]string{}
	for _, term := range andPattern.Split(m[2], -1) {
		eq := equalPattern.FindStringSubmatch(term)
		list := inPattern.FindStringSubmatch(term)
		switch {
		case eq != nil:
			where[eq[1]] = []string{eq[2]}
		case list != nil:
			for _, v := range valuePattern.FindAllStringSubmatch(list[2], -1) {
				where[list[1]] = append(where[list[1]], v[1])
			}
		default:
			return nil, bad()
		}
	}
	limit := 100
	if n := int(in.Limit); n > 0 && n < limit {
		limit = n
	}
	var fields []string
	info := &types.QueryInfo{}
	for f := range strings.SplitSeq(m[1], ",") {
		f = strings.TrimSpace(f)
		fields = append(fields, f)
		info.SelectFields = append(info.SelectFields, types.FieldInfo{Name: aws.String(f)})
	}
	rows := []string{}
	for _, at := range c.w.aggregated(a) {
		for _, item := range c.w.rows(at, c.now, where["resourceType"]) {
			if row, ok := project(item, fields, where); ok {
				rows = append(rows, row)
			}
		}
	}
	page, next, ok := pageOf(c, rows, limit, in.NextToken)
	if !ok {
		return nil, invalidConfigToken()
	}
	return &configservice.SelectAggregateResourceConfigOutput{QueryInfo: info, Results: append([]string{}, page...), NextToken: next}, nil
}

// rows are what queries see of an account × Region: its recorders, and the rules and
// roles that these record. Other types the sandbox does not keep.
func (w *World) rows(at accountRegion, now time.Time, of []string) []map[string]any {
	if w.unheard(at) {
		return nil
	}
	out := w.recorderItems(at, now)
	if slices.Equal(of, []string{recorderType}) {
		return out // the others are dear to make
	}
	for _, item := range w.items(at, now) {
		out = append(out, item.row(at.account))
	}
	return out
}

const recorderType = "AWS::Config::ConfigurationRecorder"

// recorderItems are the configuration items of an account × Region's recorders as
// an aggregator has them.
// https://docs.aws.amazon.com/config/latest/developerguide/stop-start-recorder.html
func (w *World) recorderItems(at accountRegion, now time.Time) []map[string]any {
	var out []map[string]any
	recorders := w.region(at.account, at.region).Config.Recorders
	for _, name := range slices.Sorted(maps.Keys(recorders)) {
		r := recorders[name]
		recording, captured := r.Recording, r.Started
		if r.Stopped.After(captured) {
			captured = r.Stopped
		}
		if captured.After(now.Add(-w.faults.Aggregation.Lag)) && !r.Stopped.IsZero() {
			recording = !recording // the last start or stop has not arrived
			captured = r.Started
			if r.Recording {
				captured = r.Stopped
			}
		}
		out = append(out, map[string]any{
			"resourceType": recorderType, "resourceId": r.Name, "resourceName": r.Name,
			"accountId": at.account, "awsRegion": at.region, "configurationItemCaptureTime": captured.UTC().Format("2006-01-02T15:04:05.000Z"),
			"configuration": map[string]any{
				"Name": r.Name, "RoleARN": r.RoleARN, "Recording": recording,
				"RecordingGroup": r.Group, "RecordingMode": r.Mode,
			},
		})
	}
	return out
}

// project gives the fields of an item as a row, if it is as where says.
func project(item map[string]any, fields []string, where map[string][]string) (string, bool) {
	for k, want := range where {
		from := item
		path := strings.Split(k, ".")
		for _, p := range path[:len(path)-1] {
			from, _ = from[p].(map[string]any)
		}
		if v, _ := from[path[len(path)-1]].(string); !slices.Contains(want, v) {
			return "", false
		}
	}
	out := map[string]any{}
	for _, f := range fields {
		from, to := item, out
		parts := strings.Split(f, ".")
		for _, p := range parts[:len(parts)-1] {
			from, _ = from[p].(map[string]any)
			next, ok := to[p].(map[string]any)
			if !ok {
				next = map[string]any{}
				to[p] = next
			}
			to = next
		}
		if v, ok := from[parts[len(parts)-1]]; ok {
			to[parts[len(parts)-1]] = v
		}
	}
	b, err := json.Marshal(out)
	return string(b), err == nil
}
