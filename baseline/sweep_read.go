package baseline

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"golang.org/x/sync/errgroup"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
)

// sweptKinds are the resource types that an aggregator is asked about, as notes name
// them.
var sweptKinds = []string{recorderItem, "AWS::Events::Rule", "AWS::IAM::Role"}

// itemReader reads configuration items of AWS Config. What an item lacks, or has in
// another form than expected, makes the resource a suspect whose account is asked: a
// reader need not be right about everything, but it must not fill gaps.
type itemReader struct {
	// property is the one by which queries find the resource's name.
	property string
	// read returns the name of the resource and its state, as the kind's observe
	// returns it; an empty name when it is none of the baseline's.
	read func(configuration string) (name string, state func(Resource) any)
}

// subjects are the rules and roles that the baseline wants in every account and that
// the filter leaves.
func (b *Baseline) subjects(r resolved) ([]*subject, error) {
	var out []*subject
	for _, u := range b.units {
		if !u.everywhere() {
			continue
		}
		seen := map[int]bool{} // an account of each profile shows all that there is
		for _, a := range b.Accounts {
			if !r.reaches(a.ID) || !b.has(u.unit, a.ID) || seen[u.profileOf[a.ID]] {
				continue
			}
			seen[u.profileOf[a.ID]] = true
			for _, region := range b.unitRegions(u.unit, b.candidates()) {
				resources, err := u.resources(b.scope(a.ID, region))
				if err != nil {
					return nil, err
				}
				for _, res := range resources {
					if k := kinds[res.Type]; k.item == nil || !r.wants(res, region) || res.str("EventBusName") != "" {
						continue
					}
					out = noted(out, res, u, region)
				}
			}
		}
	}
	return out, nil
}

// noted is the list of subjects with a resource of a unit in a Region.
func noted(list []*subject, r Resource, u *composed, region string) []*subject {
	name := r.str(kinds[r.Type].nameProp)
	i := slices.IndexFunc(list, func(x *subject) bool { return x.kind == r.Type && x.name == name })
	if i < 0 {
		i = len(list)
		list = append(list, newSubject(r.Type, name))
	}
	x := list[i]
	if !slices.Contains(x.units, u) {
		x.units = append(x.units, u)
	}
	if !slices.Contains(x.regions, region) {
		x.regions = append(x.regions, region)
	}
	return list
}

// reading is how many queries are under way at a time.
const reading = 16

// readAggregator asks the aggregator for the recorders of the Regions, and for the
// rules and roles, side by side, and compares each with what the baseline wants of
// it as it comes in. What cannot be read of rules and roles is asked in the accounts.
func (b *Baseline) readAggregator(ctx context.Context, pool *access.Pool, s *sweep, regions []string, r resolved) error {
	at := b.site(pool, s.account, s.region)
	known := make(map[string]orgs.AccountID, len(b.Accounts))
	for _, a := range b.Accounts {
		if r.reaches(a.ID) {
			known[string(a.ID)] = a.ID
		}
	}
	tasks := []func(context.Context) error{func(ctx context.Context) error { return s.readStatus(ctx, at) }}
	for _, region := range regions {
		if s.covers(region) {
			tasks = append(tasks, func(ctx context.Context) error { return b.readRecorders(ctx, at, s, region, known) })
		}
	}
	for _, kind := range sweptKinds {
		for _, region := range s.regionsOf(kind, regions) {
			tasks = append(tasks, func(ctx context.Context) error {
				if err := b.readItems(ctx, at, s, kind, region, known); err != nil {
					s.mu.Lock()
					s.failed = cmp.Or(s.failed, err)
					s.mu.Unlock()
				}
				return nil
			})
		}
	}
	for _, o := range orgs.ForEach(ctx, tasks, reading, func(ctx context.Context, task func(context.Context) error) (struct{}, error) {
		return struct{}{}, task(ctx)
	}) {
		if o.Err != nil {
			return o.Err
		}
	}
	return nil
}

// regionsOf are the Regions where items of a kind are looked for; of what has no
// Region it is asked once.
func (s *sweep) regionsOf(kind string, regions []string) []string {
	var out []string
	for _, x := range s.items {
		switch {
		case x.kind != kind:
		case kinds[kind].global:
			return []string{finding.Global}
		default:
			out = append(out, x.regions...)
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(region string) bool { return !slices.Contains(regions, region) || !s.covers(region) })
}

// readStatus asks which sources the aggregator could not collect lately.
func (s *sweep) readStatus(ctx context.Context, at site) error {
	p := configservice.NewDescribeConfigurationAggregatorSourcesStatusPaginator(at.Config, &configservice.DescribeConfigurationAggregatorSourcesStatusInput{
		ConfigurationAggregatorName: aws.String(s.name),
		UpdateStatus:                []types.AggregatedSourceStatusType{types.AggregatedSourceStatusTypeFailed, types.AggregatedSourceStatusTypeOutdated},
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, at.at.Config)
		if err != nil {
			return fmt.Errorf("ask aggregator %s for the status of its sources: %w", s.name, err)
		}
		s.mu.Lock()
		for _, source := range page.AggregatedSourceStatusList {
			k, ok := settledKeyOf(orgs.AccountID(aws.ToString(source.SourceId)), aws.ToString(source.AwsRegion))
			if !ok {
				continue // the organization itself
			}
			s.behind[k] = strings.TrimSpace(strings.ToLower(string(source.LastUpdateStatus)) + " " + aws.ToString(source.LastErrorCode))
			if source.LastUpdateTime != nil {
				s.behind[k] += ", last collected " + source.LastUpdateTime.UTC().Format(time.RFC3339)
			}
		}
		s.mu.Unlock()
	}
	return nil
}

// recorderRow is a row of the query: a recorder's configuration item.
type recorderRow struct {
	Account       string    `json:"accountId"`
	Captured      time.Time `json:"configurationItemCaptureTime"`
	Configuration struct {
		Name           string
		RoleARN        string
		Recording      bool
		RecordingGroup struct {
			AllSupported               bool
			IncludeGlobalResourceTypes bool
			ResourceTypes              []string
			ExclusionByResourceTypes   struct{ ResourceTypes []string }
		}
		RecordingMode struct {
			RecordingFrequency     string
			RecordingModeOverrides []json.RawMessage
		}
	} `json:"configuration"`
}

// state is the item as observeRecorder would have it.
func (r recorderRow) state() recorderState {
	c := r.Configuration
	st := recorderState{
		Name: c.Name, Role: c.RoleARN, Recording: c.Recording, Frequency: c.RecordingMode.RecordingFrequency, Overrides: len(c.RecordingMode.RecordingModeOverrides),
		All: c.RecordingGroup.AllSupported, GlobalTypes: c.RecordingGroup.IncludeGlobalResourceTypes,
		Only: c.RecordingGroup.ResourceTypes, Except: c.RecordingGroup.ExclusionByResourceTypes.ResourceTypes,
	}
	if st.Frequency == "" {
		st.Frequency = string(types.RecordingFrequencyContinuous)
	}
	return st
}

// serviceLinked is how the names of recorders begin that belong to an AWS service
// and are nobody else's business.
const serviceLinked = "AWSConfigurationRecorderFor"

// query goes through the pages of a query.
func (s *sweep) query(ctx context.Context, at site, what, expression string, take func(rows []string) error) error {
	p := configservice.NewSelectAggregateResourceConfigPaginator(at.Config, &configservice.SelectAggregateResourceConfigInput{
		ConfigurationAggregatorName: aws.String(s.name), Limit: 100, Expression: aws.String(expression),
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, at.at.Config)
		if err != nil {
			return fmt.Errorf("ask aggregator %s for %s: %w", s.name, what, err)
		}
		if err := take(page.Results); err != nil {
			return err
		}
	}
	return nil
}

// readRecorders goes through the recorders of a Region.
func (b *Baseline) readRecorders(ctx context.Context, at site, s *sweep, region string, known map[string]orgs.AccountID) error {
	expression := "SELECT accountId, configurationItemCaptureTime, configuration WHERE resourceType = '" + recorderItem + "' AND awsRegion = '" + region + "'"
	return s.query(ctx, at, "the recorders in "+region, expression, func(rows []string) error {
		for _, text := range rows {
			var row recorderRow
			if err := json.Unmarshal([]byte(text), &row); err != nil {
				continue // what cannot be read is missing, and so a suspect
			}
			id, ok := known[row.Account]
			if !ok || strings.HasPrefix(row.Configuration.Name, serviceLinked) {
				continue
			}
			if err := b.sightRecorder(s, id, region, row); err != nil {
				return err
			}
		}
		return nil
	})
}

// sightRecorder compares an item with what the baseline wants there, and keeps the
// verdict: the items of a large organization would be most of an audit's memory.
func (b *Baseline) sightRecorder(s *sweep, id orgs.AccountID, region string, item recorderRow) error {
	seen := sighting{says: "nothing is wanted there", since: item.Captured.Unix()}
	serves := func(u *composed) bool { return slices.Contains(u.controls, configRecorder.ID) }
	if err := b.wanted(id, region, serves, func(_ *composed, r Resource, off bool) {
		if r.Type == recorderItem && !off {
			seen.says = firstReason(compareRecorder(r, item.state()))
		}
	}); err != nil {
		return err
	}
	s.keep(s.recorders, id, region, seen, "there are several recorders")
	if seen.says == "" && item.Configuration.RecordingGroup.IncludeGlobalResourceTypes {
		s.mu.Lock()
		s.global[id] = region
		s.mu.Unlock()
	}
	return nil
}

func firstReason(ms []Mismatch) string {
	if len(ms) == 0 {
		return ""
	}
	return ms[0].Reason
}

// keep keeps what was seen. What is seen twice is as configured when neither is
// otherwise; unless there may only be one of it.
func (s *sweep) keep(x *subject, id orgs.AccountID, region string, seen sighting, several string) {
	k, ok := settledKeyOf(id, region)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, fine := x.fine[k]
	_, odd := x.odd[k]
	if (fine || odd) && several != "" {
		seen.says = several
	}
	switch {
	case odd && several == "":
	case seen.says == "":
		x.fine[k] = max(x.fine[k], seen.since)
	default:
		delete(x.fine, k)
		x.odd[k] = seen
	}
}

// maxNames is how many names of 64 characters fit into the 4,096 of a query.
const maxNames = 50

// readItems looks for the rules or roles of a Region, and gets what was found whole,
// a hundred at a time: queries see neither the pattern and the message of a rule nor
// what the policies of a role say.
// https://github.com/awslabs/aws-config-resource-schema
func (b *Baseline) readItems(ctx context.Context, at site, s *sweep, kind, region string, known map[string]orgs.AccountID) error {
	byName := map[string]*subject{}
	for _, x := range s.items {
		if x.kind == kind && (kinds[kind].global || slices.Contains(x.regions, region)) {
			byName[x.name] = x
		}
	}
	what := kinds[kind].noun + "s"
	where := "resourceType = '" + kind + "'"
	if !kinds[kind].global {
		what, where = what+" in "+region, where+" AND awsRegion = '"+region+"'"
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4) // pages whose items are on their way while the next is asked for
	for names := range slices.Chunk(sortedKeys(byName), maxNames) {
		expression := "SELECT accountId, awsRegion, resourceId WHERE " + where + " AND " + kinds[kind].item.property + " IN ('" + strings.Join(names, "', '") + "')"
		if err := s.query(ctx, at, "the "+what, expression, func(rows []string) error {
			ids := identifiers(kind, rows, known)
			if len(ids) > 0 {
				g.Go(func() error { return b.getItems(ctx, at, s, what, ids, byName, known) })
			}
			return nil
		}); err != nil {
			_ = g.Wait()
			return err
		}
	}
	return g.Wait()
}

// identifiers are the resources in the rows of a query, of accounts that are known,
// each once: what has no Region may be recorded in several.
func identifiers(kind string, rows []string, known map[string]orgs.AccountID) []types.AggregateResourceIdentifier {
	type resource struct{ AccountID, AwsRegion, ResourceID string }
	var out []types.AggregateResourceIdentifier
	seen := map[resource]bool{}
	for _, text := range rows {
		var row resource
		if err := json.Unmarshal([]byte(text), &row); err != nil || known[row.AccountID] == "" || row.AwsRegion == "" || row.ResourceID == "" || seen[row] {
			continue
		}
		seen[row] = true
		out = append(out, types.AggregateResourceIdentifier{
			SourceAccountId: aws.String(row.AccountID), SourceRegion: aws.String(row.AwsRegion), ResourceType: types.ResourceType(kind), ResourceId: aws.String(row.ResourceID),
		})
	}
	return out
}

// getItems gets items whole and compares each with what the baseline wants of it.
// What the aggregator does not return is a suspect.
// https://docs.aws.amazon.com/config/latest/APIReference/API_BatchGetAggregateResourceConfig.html
func (b *Baseline) getItems(ctx context.Context, at site, s *sweep, what string, ids []types.AggregateResourceIdentifier, byName map[string]*subject, known map[string]orgs.AccountID) error {
	out, err := at.Config.BatchGetAggregateResourceConfig(ctx, &configservice.BatchGetAggregateResourceConfigInput{
		ConfigurationAggregatorName: aws.String(s.name), ResourceIdentifiers: ids,
	}, at.at.Config)
	if err != nil {
		return fmt.Errorf("get the %s of aggregator %s: %w", what, s.name, err)
	}
	for _, item := range out.BaseConfigurationItems {
		kind := string(item.ResourceType)
		id, ok := known[aws.ToString(item.AccountId)]
		if !ok || kinds[kind].item == nil {
			continue
		}
		name, state := kinds[kind].item.read(aws.ToString(item.Configuration))
		x := byName[name]
		if x == nil || x.kind != kind {
			continue
		}
		regions := x.regions
		if !kinds[kind].global {
			regions = []string{aws.ToString(item.AwsRegion)}
		}
		for _, region := range regions {
			if err := b.sightItem(s, x, id, region, item, state); err != nil {
				return err
			}
		}
	}
	return nil
}

// sightItem compares an item with what the baseline wants there, and keeps the
// verdict. What is recorded once a day may be a day old.
func (b *Baseline) sightItem(s *sweep, x *subject, id orgs.AccountID, region string, item types.BaseConfigurationItem, state func(Resource) any) error {
	seen := sighting{says: "nothing is wanted there"}
	if t := item.ConfigurationItemCaptureTime; t != nil {
		seen.since = t.Unix()
	}
	serves := func(u *composed) bool { return slices.Contains(x.units, u) }
	if err := b.wanted(id, region, serves, func(_ *composed, r Resource, off bool) {
		switch k := kinds[r.Type]; {
		case r.Type != x.kind || r.str(k.nameProp) != x.name || off:
		case item.RecordingFrequency == types.RecordingFrequencyDaily:
			seen.says = "it is recorded once a day"
		case item.ConfigurationItemStatus != types.ConfigurationItemStatusOk && item.ConfigurationItemStatus != types.ConfigurationItemStatusResourceDiscovered:
			seen.says = "its item is " + string(item.ConfigurationItemStatus)
		default:
			seen.says = firstReason(k.compare(r, state(r)))
		}
	}); err != nil {
		return err
	}
	s.keep(x, id, region, seen, "")
	return nil
}
