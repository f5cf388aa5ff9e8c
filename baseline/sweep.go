package baseline

import (
	"context"
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

// Source says whom an audit asks: the accounts, or the organization's aggregator of
// AWS Config, which knows of all accounts what their recorders recorded. An
// aggregator answers for recorders, alert rules and the roles of both. A delivery
// channel is no configuration item, and what lives once is asked there: all that is
// asked in the accounts whatever the source.
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

// sweep is what an aggregator says of recorders, rules and roles.
type sweep struct {
	name    string
	account orgs.AccountID
	region  string
	covers  func(region string) bool
	both    bool

	recorders *subject
	items     []*subject
	behind    map[settledKey]string     // what AWS Config says against its own data
	global    map[orgs.AccountID]string // the Region whose recorder, as configured, records the account's roles

	mu     sync.Mutex
	counts map[verdict]map[string]int // by the noun of what it is about
	failed error                      // why there are no rules and roles
}

// subject is something that the baseline wants in many accounts: a rule or a role of
// a name, or a recorder, whatever its name.
type subject struct {
	kind, name string
	units      []*composed // that have it
	regions    []string    // of the cells where it is wanted
	fine       map[settledKey]int64
	odd        map[settledKey]sighting
}

func newSubject(kind, name string) *subject {
	return &subject{kind: kind, name: name, fine: map[settledKey]int64{}, odd: map[settledKey]sighting{}}
}

// of is the subject that a resource is one of; nil when an aggregator is not asked
// about it.
func (s *sweep) of(in Inspection) *subject {
	r := in.Resource
	if r.Type == recorderItem {
		return s.recorders
	}
	for _, x := range s.items {
		if x.kind == r.Type && slices.Contains(x.units, in.unit) && x.name == r.str(kinds[r.Type].nameProp) {
			return x
		}
	}
	return nil
}

// sighting is what the aggregator has of a resource that is not as the baseline
// wants it.
type sighting struct {
	says  string // what is not, in a few words
	since int64  // when it was last changed, as far as AWS Config knows; Unix seconds
}

// since says when a resource was last changed.
func since(unix int64) string { return "since " + time.Unix(unix, 0).UTC().Format(time.RFC3339) }

// verdict is what an aggregator's word about a resource is worth.
type verdict int

const (
	trusted    verdict = iota // it is as configured
	missing                   // there is no such resource
	different                 // it is something else
	late                      // AWS Config itself says that its data is old
	uncovered                 // the aggregator does not cover the Region
	unrecorded                // the recorder that keeps the item is not known to be as configured
)

// doubts are why accounts are asked all the same.
var doubts = []struct {
	verdict
	text string
}{
	{missing, "not in the aggregator"}, {different, "different there"}, {late, "in data that AWS Config calls failed or outdated"},
	{uncovered, "in Regions that the aggregator does not cover"}, {unrecorded, "recorded by a recorder that is not known to be as configured"},
}

// sweepFor decides whether the aggregator is asked, and asks it. It is nil when
// only the accounts are; note says why if somebody may wonder.
func (b *Baseline) sweepFor(ctx context.Context, pool *access.Pool, f Filter, r resolved) (s *sweep, note string, err error) {
	if f.From == FromAccounts || !slices.Contains(b.Controls(), configRecorder.ID) {
		return nil, "", nil
	}
	regions, cells := b.sweepable(r)
	if f.From == FromEither && cells < sweepFrom {
		return nil, "", nil
	}
	items, err := b.subjects(r)
	if err != nil || len(items) == 0 && len(r.controls) > 0 && !slices.Contains(r.controls, configRecorder.ID) {
		return nil, "", err
	}
	s, err = b.findAggregator(ctx, pool)
	if err == nil {
		s.both, s.items = f.From == FromBoth, items
		err = b.readAggregator(ctx, pool, s, regions, r)
	}
	switch {
	case err == nil:
		return s, "", nil
	case ctx.Err() != nil:
		return nil, "", nil // every cell says that it was interrupted
	case f.From == FromEither:
		return nil, "every account was asked about everything, since there is no aggregator to ask: " + orgs.Reason(err), nil
	}
	return nil, "", &SweepError{err}
}

// sweepable are the Regions that an audit would ask an aggregator about, and how many
// accounts × Regions that makes.
func (b *Baseline) sweepable(r resolved) (regions []string, cells int) {
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
	return regions, cells
}

// SweepError says that the aggregator could not be asked although somebody insisted.
type SweepError struct{ Err error }

func (e *SweepError) Error() string { return "sweep the organization: " + e.Err.Error() }

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
	blind := false
	for _, id := range accounts {
		at := b.site(pool, id, region)
		found, err := at.aggregators(ctx)
		if err != nil {
			blind = true
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
				covers:    func(region string) bool { return source.AllAwsRegions || slices.Contains(source.AwsRegions, region) },
				recorders: newSubject(recorderItem, ""), behind: map[settledKey]string{}, global: map[orgs.AccountID]string{},
				counts: map[verdict]map[string]int{},
			}, nil
		}
		what := "no aggregator of the organization"
		if b.Config.Audit.Aggregator.Name != "" {
			what += " called " + b.Config.Audit.Aggregator.Name
		}
		problems = append(problems, fmt.Errorf("account %s has %s in %s", id, what, region))
	}
	none := errors.Join(problems...)
	if !blind {
		none = &noAggregator{none}
	}
	return nil, &orgs.Hinted{
		Err:  none,
		Next: "name the aggregator in the configuration (audit.aggregator: {account, region, name}), or ask every account: --direct",
	}
}

// noAggregator says that there is none, and that everybody who may have one was asked.
type noAggregator struct{ error }

// Sweeping is whether an audit of everything would ask an aggregator.
type Sweeping struct {
	// Cells are the accounts × Regions of the baseline; from From on an audit asks an
	// aggregator by itself.
	Cells, From int
	Aggregator  string // where it is; "" when there is none
	Err         error  // why nobody could look
}

// Sweeping looks for the aggregator that an audit would ask.
func (b *Baseline) Sweeping(ctx context.Context, pool *access.Pool) Sweeping {
	_, cells := b.sweepable(resolved{})
	out := Sweeping{Cells: cells, From: sweepFrom}
	s, err := b.findAggregator(ctx, pool)
	var none *noAggregator
	switch {
	case err == nil:
		out.Aggregator = s.where()
	case !errors.As(err, &none):
		out.Err = err
	}
	return out
}

// where says which aggregator it is.
func (s *sweep) where() string {
	return fmt.Sprintf("aggregator %s of account %s in %s", s.name, s.account, s.region)
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

// answers says what is known of a resource without asking its account; "" when the
// account is to be asked.
func (s *sweep) answers(in Inspection) string {
	if s == nil {
		return ""
	}
	x := s.of(in)
	if x == nil {
		return ""
	}
	v, unix := s.verdict(x, in)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts[v] == nil {
		s.counts[v] = map[string]int{}
	}
	s.counts[v][kinds[x.kind].noun]++
	if v != trusted || s.both {
		return ""
	}
	return "as configured, says aggregator " + s.name + ": unchanged " + since(unix)
}

// verdict says what the aggregator's word about a resource is worth, and since when
// it is as configured. What a recorder keeps is worth something while the recorder
// is as configured itself: one that was stopped keeps the past.
func (s *sweep) verdict(x *subject, in Inspection) (v verdict, unix int64) {
	recorder := in.Region
	if kinds[x.kind].global {
		if recorder = s.global[in.Account.ID]; recorder == "" {
			return unrecorded, 0
		}
	}
	where, _ := settledKeyOf(in.Account.ID, recorder)
	k, _ := settledKeyOf(in.Account.ID, in.Region)
	unix, fine := x.fine[k]
	_, odd := x.odd[k]
	_, recorded := s.recorders.fine[where]
	switch {
	case !s.covers(recorder):
		return uncovered, 0
	case s.behind[where] != "":
		return late, 0
	case !recorded && x != s.recorders:
		return unrecorded, 0
	case odd:
		return different, 0
	case !fine:
		return missing, 0
	}
	return trusted, unix
}

// disagreement is a finding where the account, which was asked, says something
// else than the aggregator. Of a rule or a role that is one where the aggregator has
// it as configured: AWS Config does not record these in every Region, and what it
// has of one may lack something that the service itself says.
func (b *Baseline) disagreement(s *sweep, in Inspection) (finding.Finding, bool) {
	if s == nil || in.Account.Excluded != "" || in.Off != "" || in.Waived != "" || in.Err != nil || in.Swept != "" {
		return finding.Finding{}, false
	}
	x := s.of(in)
	if x == nil {
		return finding.Finding{}, false
	}
	v, unix := s.verdict(x, in)
	if v == uncovered || x != s.recorders && v != trusted {
		return finding.Finding{}, false
	}
	k, _ := settledKeyOf(in.Account.ID, in.Region)
	_, fine := x.fine[k]
	seen, odd := x.odd[k]
	noun := kinds[x.kind].noun
	account, aggregator := "as configured", "no "+noun
	if len(in.Mismatches) > 0 {
		account = in.Mismatches[0].Reason
	} else if in.Absent {
		account = aggregator
	}
	switch {
	case fine == (len(in.Mismatches) == 0 && !in.Absent) && (fine || odd) || !fine && !odd && in.Absent:
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
		Region: label(in.Resource, in.Region), Control: c.ID, Severity: finding.Low, Status: finding.Drift,
		Resource: "aggregator " + s.name,
		Reason:   "the aggregator says something else of the " + noun + " than the account itself",
		Expected: account, Actual: aggregator,
		Fix: fmt.Sprintf("aws configservice describe-configuration-aggregator-sources-status --configuration-aggregator-name %s --region %s, in account %s; what changed in the last minutes comes by itself", s.name, s.region, s.account),
	}, true
}

// counted says how many of each kind: "26 recorders and 1 rule"; "none" of nothing.
func (s *sweep) counted(verdicts ...verdict) string {
	var list []string
	for _, kind := range sweptKinds {
		noun, n := kinds[kind].noun, 0
		for _, v := range verdicts {
			n += s.counts[v][noun]
		}
		switch n {
		case 0:
		case 1:
			list = append(list, "1 "+noun)
		default:
			list = append(list, fmt.Sprintf("%d %ss", n, noun))
		}
	}
	return joinAnd(list)
}

// note says what the sweep was worth.
func (s *sweep) note() string {
	if s == nil {
		return ""
	}
	text := s.where() + " has " + s.counted(trusted) + " as configured"
	var asked []verdict
	var why []string
	for _, r := range doubts {
		asked = append(asked, r.verdict)
		n := 0
		for _, m := range s.counts[r.verdict] {
			n += m
		}
		if n > 0 {
			why = append(why, fmt.Sprintf("%d %s", n, r.text))
		}
	}
	if s.both {
		text += "; every account was asked as well"
	} else {
		text += "; asked in the accounts: " + s.counted(asked...)
	}
	if len(why) > 0 {
		text += " (" + strings.Join(why, ", ") + ")"
	}
	if s.failed != nil {
		text += "; it did not say what is recorded of rules and roles: " + orgs.Reason(s.failed)
	}
	return text + ". An aggregator is minutes behind the accounts; what it does not know was asked there"
}
