package baseline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/configservice/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
)

// Source says whom an audit asks about the recorders: the accounts, or the
// organization's aggregator of AWS Config, which knows the recorders of all
// accounts.
//
// It is only the recorders that an aggregator can answer for. A delivery channel is
// no configuration item; of an EventBridge rule an advanced query sees neither the
// pattern nor the message, and of a role not what its policies say. All that is
// asked in the accounts whatever the source.
// https://github.com/awslabs/aws-config-resource-schema
type Source int

const (
	// FromEither asks the aggregator where there is one and asking everybody
	// would take long (sweepFrom), and the accounts otherwise.
	FromEither Source = iota
	// FromAggregator insists on the aggregator. What it does not say is as it
	// should be is asked in the account.
	FromAggregator
	// FromAccounts asks every account.
	FromAccounts
	// FromBoth asks both and finds where they disagree.
	FromBoth
)

// sweepFrom is from how many accounts × Regions on FromEither asks the aggregator:
// direct reads of as many recorders take a quarter of a minute.
const sweepFrom = 10_000

// recorderItem is the resource type of a recorder's configuration item, which AWS
// Config keeps by itself in every Region, at no charge.
// https://docs.aws.amazon.com/config/latest/developerguide/stop-start-recorder.html
const recorderItem = "AWS::Config::ConfigurationRecorder"

// sweep is what an aggregator says of the recorders.
type sweep struct {
	name    string
	account orgs.AccountID
	region  string
	covers  func(region string) bool
	both    bool
	fine    map[settledKey]int64    // as configured: since when, as Unix seconds
	odd     map[settledKey]sighting // all others
	behind  map[settledKey]string   // what AWS Config says against its own data

	mu     sync.Mutex
	counts sweepCounts
}

// sighting is what the aggregator has of a recorder that is not as the baseline
// wants it.
type sighting struct {
	says  string // what is not, in a few words
	since int64  // when the recorder was last changed, as far as AWS Config knows; Unix seconds
}

// since says when a recorder was last changed.
func since(unix int64) string { return "since " + time.Unix(unix, 0).UTC().Format(time.RFC3339) }

// sweepCounts are for the note on a sweep.
type sweepCounts struct{ trusted, missing, different, behind, uncovered int }

// sweepFor decides whether the aggregator is asked, and asks it. It is nil when
// only the accounts are; note says why if somebody may wonder.
func (b *Baseline) sweepFor(ctx context.Context, pool *access.Pool, f Filter, r resolved) (s *sweep, note string, err error) {
	if f.From == FromAccounts || len(r.controls) > 0 && !slices.Contains(r.controls, configRecorder.ID) || !slices.Contains(b.Controls(), configRecorder.ID) {
		return nil, "", nil
	}
	var regions []string
	cells := 0
	for _, region := range b.candidates() {
		if len(r.regions) == 0 || slices.Contains(r.regions, region) {
			regions = append(regions, region)
		}
	}
	for _, a := range b.Accounts {
		if r.reaches(a.ID) {
			cells += len(regions)
		}
	}
	if f.From == FromEither && cells < sweepFrom {
		return nil, "", nil
	}
	s, err = b.findAggregator(ctx, pool)
	if err == nil {
		s.both = f.From == FromBoth
		err = b.readAggregator(ctx, pool, s, regions, r)
	}
	switch {
	case err == nil:
		return s, "", nil
	case ctx.Err() != nil:
		return nil, "", nil // every cell says that it was interrupted
	case f.From == FromEither:
		return nil, "every account was asked about its recorder, since there is no aggregator to ask: " + orgs.Reason(err), nil
	}
	return nil, "", &SweepError{err}
}

// SweepError says that the aggregator could not be asked although somebody insisted.
type SweepError struct{ Err error }

func (e *SweepError) Error() string { return "sweep the recorders: " + e.Err.Error() }

func (e *SweepError) Unwrap() error { return e.Err }

// findAggregator looks for an aggregator of the whole organization: the one that
// the configuration names, or else in the home Region of the security account and
// of the management account.
func (b *Baseline) findAggregator(ctx context.Context, pool *access.Pool) (*sweep, error) {
	accounts, region := []orgs.AccountID{b.Security}, b.Home
	if b.Org.ManagementAccount != b.Security {
		accounts = append(accounts, b.Org.ManagementAccount)
	}
	if b.Config.Audit.Aggregator.Account != "" {
		accounts = []orgs.AccountID{orgs.AccountID(b.Config.Audit.Aggregator.Account)}
	}
	if b.Config.Audit.Aggregator.Region != "" {
		region = b.Config.Audit.Aggregator.Region
	}
	var problems []error
	for _, id := range accounts {
		at := b.site(pool, id, region)
		found, err := at.aggregators(ctx)
		if err != nil {
			problems = append(problems, fmt.Errorf("list the aggregators of account %s in %s: %w", id, region, err))
			continue
		}
		for _, a := range found {
			source := a.OrganizationAggregationSource
			if source == nil || b.Config.Audit.Aggregator.Name != "" && b.Config.Audit.Aggregator.Name != aws.ToString(a.ConfigurationAggregatorName) {
				continue
			}
			return &sweep{
				name: aws.ToString(a.ConfigurationAggregatorName), account: id, region: region,
				covers: func(region string) bool { return source.AllAwsRegions || slices.Contains(source.AwsRegions, region) },
				fine:   map[settledKey]int64{}, odd: map[settledKey]sighting{}, behind: map[settledKey]string{},
			}, nil
		}
		what := "no aggregator of the organization"
		if b.Config.Audit.Aggregator.Name != "" {
			what += " called " + b.Config.Audit.Aggregator.Name
		}
		problems = append(problems, fmt.Errorf("account %s has %s in %s", id, what, region))
	}
	return nil, &orgs.Hinted{
		Err:  errors.Join(problems...),
		Next: "name the aggregator in the configuration (audit.aggregator: {account, region, name}), or ask every account: --direct",
	}
}

// aggregators lists the aggregators of an account × Region, those of all Regions
// first.
func (s site) aggregators(ctx context.Context) ([]types.ConfigurationAggregator, error) {
	var out []types.ConfigurationAggregator
	p := configservice.NewDescribeConfigurationAggregatorsPaginator(s.Config, &configservice.DescribeConfigurationAggregatorsInput{})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, s.at.Config)
		if err != nil {
			return nil, err
		}
		out = append(out, page.ConfigurationAggregators...)
	}
	all := func(a types.ConfigurationAggregator) int {
		if o := a.OrganizationAggregationSource; o != nil && o.AllAwsRegions {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(out, func(x, y types.ConfigurationAggregator) int { return all(x) - all(y) })
	return out, nil
}

// readAggregator asks the aggregator for the recorders of the Regions, side by side,
// and compares each with what the baseline wants of it as it comes in.
func (b *Baseline) readAggregator(ctx context.Context, pool *access.Pool, s *sweep, regions []string, r resolved) error {
	at := b.site(pool, s.account, s.region)
	known := make(map[string]orgs.AccountID, len(b.Accounts))
	for _, a := range b.Accounts {
		if r.reaches(a.ID) {
			known[string(a.ID)] = a.ID
		}
	}
	for _, o := range orgs.ForEach(ctx, append([]string{""}, regions...), 8, func(ctx context.Context, region string) (struct{}, error) {
		if region == "" {
			return struct{}{}, s.readStatus(ctx, at)
		}
		if !s.covers(region) {
			return struct{}{}, nil
		}
		return struct{}{}, s.eachItem(ctx, at, region, func(item recorderRow) error {
			if id, ok := known[item.Account]; ok {
				return b.sight(s, id, region, item)
			}
			return nil
		})
	}) {
		if o.Err != nil {
			return o.Err
		}
	}
	return nil
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

// eachItem goes through the recorders of a Region.
func (s *sweep) eachItem(ctx context.Context, at site, region string, take func(recorderRow) error) error {
	p := configservice.NewSelectAggregateResourceConfigPaginator(at.Config, &configservice.SelectAggregateResourceConfigInput{
		ConfigurationAggregatorName: aws.String(s.name), Limit: 100,
		Expression: aws.String("SELECT accountId, configurationItemCaptureTime, configuration WHERE resourceType = '" + recorderItem + "' AND awsRegion = '" + region + "'"),
	})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, at.at.Config)
		if err != nil {
			return fmt.Errorf("ask aggregator %s for the recorders in %s: %w", s.name, region, err)
		}
		for _, text := range page.Results {
			var row recorderRow
			if err := json.Unmarshal([]byte(text), &row); err != nil {
				continue // what cannot be read is missing, and so a suspect
			}
			if strings.HasPrefix(row.Configuration.Name, serviceLinked) {
				continue
			}
			if err := take(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// sight compares an item with what the baseline wants there, and keeps the verdict:
// the items of a large organization would be most of an audit's memory.
func (b *Baseline) sight(s *sweep, id orgs.AccountID, region string, item recorderRow) error {
	k, ok := settledKeyOf(id, region)
	if !ok {
		return nil
	}
	seen := sighting{says: "nothing is wanted there", since: item.Captured.Unix()}
	serves := func(u *composed) bool { return slices.Contains(u.controls, configRecorder.ID) }
	if err := b.wanted(id, region, serves, func(_ *composed, r Resource, off bool) {
		if r.Type != recorderItem || off {
			return
		}
		seen.says = ""
		if wrong := compareRecorder(r, item.state()); len(wrong) > 0 {
			seen.says = wrong[0].Reason
		}
	}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, fine := s.fine[k]
	_, odd := s.odd[k]
	switch {
	case fine || odd:
		delete(s.fine, k)
		s.odd[k] = sighting{"there are several recorders", seen.since}
	case seen.says == "":
		s.fine[k] = seen.since
	default:
		s.odd[k] = seen
	}
	return nil
}

// answers says what is known of a resource without asking its account; "" when the
// account is to be asked.
func (s *sweep) answers(in Inspection) string {
	if s == nil || in.Resource.Type != recorderItem {
		return ""
	}
	k, _ := settledKeyOf(in.Account.ID, in.Region)
	unix, fine := s.fine[k]
	_, odd := s.odd[k]
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.covers(in.Region):
		s.counts.uncovered++
	case s.behind[k] != "":
		s.counts.behind++
	case odd:
		s.counts.different++
	case !fine:
		s.counts.missing++
	default:
		s.counts.trusted++
		if !s.both {
			return "as configured, says aggregator " + s.name + ": unchanged " + since(unix)
		}
	}
	return ""
}

// disagreement is a finding where the account, which was asked, says something
// else than the aggregator.
func (b *Baseline) disagreement(s *sweep, in Inspection) (finding.Finding, bool) {
	if s == nil || in.Resource.Type != recorderItem || in.Account.Excluded != "" || in.Off != "" || in.Waived != "" || in.Err != nil || in.Swept != "" || !s.covers(in.Region) {
		return finding.Finding{}, false
	}
	k, _ := settledKeyOf(in.Account.ID, in.Region)
	unix, fine := s.fine[k]
	seen, odd := s.odd[k]
	account, aggregator := "as configured", "no recorder"
	if len(in.Mismatches) > 0 {
		account = in.Mismatches[0].Reason
	}
	switch {
	case fine == (len(in.Mismatches) == 0) && (fine || odd) || !fine && !odd && in.Absent:
		return finding.Finding{}, false // they agree
	case fine:
		aggregator = "as configured, " + since(unix)
	case odd:
		aggregator = seen.says + ", " + since(seen.since)
	}
	if behind := s.behind[k]; behind != "" {
		aggregator += " (its data of the account: " + behind + ")"
	}
	c := b.control(in.Resource.Control)
	return finding.Finding{
		Account: string(in.Account.ID), AccountName: in.Account.Name, OUPath: in.Account.OUPath,
		Region: in.Region, Control: c.ID, Severity: finding.Low, Status: finding.Drift,
		Resource: "aggregator " + s.name,
		Reason:   "the aggregator says something else of the recorder than the account itself",
		Expected: account, Actual: aggregator,
		Fix: fmt.Sprintf("aws configservice describe-configuration-aggregator-sources-status --configuration-aggregator-name %s --region %s, in account %s; what changed in the last minutes comes by itself", s.name, s.region, s.account),
	}, true
}

// note says what the sweep was worth.
func (s *sweep) note() string {
	if s == nil {
		return ""
	}
	c := s.counts
	text := fmt.Sprintf("recorders by aggregator %s of account %s in %s: %d are as configured there", s.name, s.account, s.region, c.trusted)
	if s.both {
		text += "; every account was asked as well"
	} else {
		text += fmt.Sprintf(", %d were asked in their accounts", c.missing+c.different+c.behind+c.uncovered)
	}
	var why []string
	for _, x := range []struct {
		n    int
		what string
	}{
		{c.missing, "not in the aggregator"}, {c.different, "different there"}, {c.behind, "in data that AWS Config calls failed or outdated"},
		{c.uncovered, "in Regions that the aggregator does not cover"},
	} {
		if x.n > 0 {
			why = append(why, fmt.Sprintf("%d %s", x.n, x.what))
		}
	}
	if len(why) > 0 {
		text += " (" + strings.Join(why, ", ") + ")"
	}
	return text + ". An aggregator is minutes behind the accounts; it knows recorders, and all else was asked in the accounts"
}
