package preview

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/smithy-go"
	"golang.org/x/time/rate"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
)

// Lookup says what to look for in the event histories.
type Lookup struct {
	Accounts []orgs.Account
	Regions  []string
	Actions  []string // IAM actions
	From, To time.Time
	Workers  int
	Cache    *Cache // nil for none
	// MaxPages bounds one query, for actions that are called all day.
	MaxPages int
	Done     func() // called after each account × Region
}

// LookupRate is what AWS admits of LookupEvents, for each account and Region.
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
const LookupRate = 2

// cell is an account × Region with what to ask there.
type cell struct {
	account orgs.Account
	region  string
	queries []query
}

// query is one LookupEvents, with all its pages.
type query struct {
	key   types.LookupAttributeKey // "" for everything
	value string
}

func (q query) String() string {
	if q.key == "" {
		return "all events"
	}
	return string(q.key) + "=" + q.value
}

// maxNames is how many event names are asked for one by one. Beyond that it is
// quicker to read all events of a service, or of the account.
const (
	maxNames   = 120
	maxSources = 4
)

// queries plans what to ask about actions.
func queries(actions []string) []query {
	var names, sources []string
	for _, a := range actions {
		if invisible(a) != "" {
			continue
		}
		names = append(names, eventNames(a)...)
		prefix, _, _ := strings.Cut(a, ":")
		sources = append(sources, sourceOf(prefix))
	}
	names, sources = slices.Compact(sorted(names)), slices.Compact(sorted(sources))
	var out []query
	switch {
	case len(names) <= maxNames:
		for _, n := range names {
			out = append(out, query{types.LookupAttributeKeyEventName, n})
		}
	case len(sources) <= maxSources:
		for _, s := range sources {
			out = append(out, query{types.LookupAttributeKeyEventSource, s})
		}
	default:
		out = append(out, query{})
	}
	return out
}

// sourceOf is the event source of an IAM prefix.
func sourceOf(prefix string) string {
	for source, p := range sourcePrefixes {
		if p == prefix && source != prefix && (prefix == "cloudwatch" || prefix == "ses" || prefix == "tag") {
			return source + ".amazonaws.com"
		}
	}
	return prefix + ".amazonaws.com"
}

// recordedGlobally are the services whose events are in the partition's global
// Region, whichever Region was called.
var recordedGlobally = []string{"iam", "organizations", "cloudfront", "route53", "account", "support"}

// cells plans the lookups.
func (l Lookup) cells(global string) []cell {
	var regional, worldwide []string
	for _, a := range l.Actions {
		prefix, _, _ := strings.Cut(a, ":")
		if slices.Contains(recordedGlobally, prefix) {
			worldwide = append(worldwide, a)
		} else {
			regional = append(regional, a)
		}
	}
	var out []cell
	for _, region := range l.regions(global) {
		actions := slices.Clone(regional)
		if !slices.Contains(l.Regions, region) {
			actions = nil
		}
		if region == global {
			actions = append(actions, worldwide...)
		}
		qs := queries(actions)
		if len(qs) == 0 {
			continue
		}
		for _, a := range l.Accounts {
			out = append(out, cell{a, region, qs})
		}
	}
	return out
}

// regions are those asked for, and the global one when global services matter.
func (l Lookup) regions(global string) []string {
	out := slices.Clone(l.Regions)
	if slices.ContainsFunc(l.Actions, func(a string) bool {
		prefix, _, _ := strings.Cut(a, ":")
		return slices.Contains(recordedGlobally, prefix)
	}) {
		out = append(out, global)
	}
	return slices.Compact(sorted(out))
}

// Cells is how many accounts × Regions a lookup asks.
func (l Lookup) Cells(org *orgs.Organization) int { return len(l.cells(org.Partition.GlobalRegion)) }

// ReadEvents looks the actions up in the event history of every account and
// Region. What could not be read is in the coverage.
func ReadEvents(ctx context.Context, pool *access.Pool, org *orgs.Organization, l Lookup) ([]Event, Coverage) {
	cells := l.cells(org.Partition.GlobalRegion)
	c := Coverage{Asked: true, From: l.From.UTC(), To: l.To.UTC(), Regions: l.regions(org.Partition.GlobalRegion), Wanted: len(cells), Accounts: len(l.Accounts), Missing: []Gap{}}
	read := orgs.ForEach(ctx, cells, l.Workers, func(ctx context.Context, x cell) ([]Event, error) {
		defer l.Done()
		return l.readCell(ctx, pool, org, x)
	})
	var events []Event
	failed := map[orgs.AccountID]bool{}
	for i, o := range read {
		events = append(events, o.Value...) // of a cell that failed halfway too
		if o.Err == nil {
			c.Read++
			continue
		}
		failed[cells[i].account.ID] = true
		c.Missing = append(c.Missing, Gap{Account: string(cells[i].account.ID), AccountName: cells[i].account.Name, Region: cells[i].region, Reason: o.Err.Error()})
	}
	c.AccountsRead = c.Accounts - len(failed)
	events = MergeEvents(events)
	for _, e := range events {
		c.Records += e.Count
	}
	return events, c
}

func (l Lookup) readCell(ctx context.Context, pool *access.Pool, org *orgs.Organization, x cell) ([]Event, error) {
	at := pool.In(org.Partition, x.account.ID, x.region)
	if err := pool.AssumeError(ctx, at); err != nil {
		return nil, err
	}
	limiter := rate.NewLimiter(rate.Inf, 1)
	if pool.RateLimits() {
		limiter = rate.NewLimiter(LookupRate, LookupRate)
	}
	var out []Event
	for _, q := range x.queries {
		from, kept := l.Cache.get(x, q, l.From)
		fresh, err := l.read(ctx, pool, at, limiter, q, from)
		out = append(append(out, kept...), fresh...)
		if err != nil {
			if off(err) && org.Partition.NeedsOptIn(x.region) {
				return nil, nil // nobody did anything in a Region that is off
			}
			return out, fmt.Errorf("look up %s in %s: %w", q, x.region, err)
		}
		if err := l.Cache.put(x, q, l.From, l.To, append(kept, fresh...)); err != nil {
			return out, err
		}
	}
	wanted := map[string]bool{}
	for _, a := range l.Actions {
		wanted[strings.ToLower(a)] = true
	}
	return slices.DeleteFunc(out, func(e Event) bool { return !wanted[strings.ToLower(e.action())] }), nil
}

// read reads all pages of one query.
func (l Lookup) read(ctx context.Context, pool *access.Pool, at access.At, limiter *rate.Limiter, q query, from time.Time) ([]Event, error) {
	in := &cloudtrail.LookupEventsInput{StartTime: aws.Time(from), EndTime: aws.Time(l.To), MaxResults: aws.Int32(50)}
	if q.key != "" {
		in.LookupAttributes = []types.LookupAttribute{{AttributeKey: q.key, AttributeValue: aws.String(q.value)}}
	}
	var out []Event
	p := cloudtrail.NewLookupEventsPaginator(pool.CloudTrail, in)
	for pages := 0; p.HasMorePages(); pages++ {
		if l.MaxPages > 0 && pages == l.MaxPages {
			return out, fmt.Errorf("more than %s events; the older ones were not read", thousands(50*pages))
		}
		if err := limiter.Wait(ctx); err != nil {
			return out, err
		}
		page, err := p.NextPage(ctx, at.CloudTrail)
		if err != nil {
			return out, err
		}
		for _, e := range page.Events {
			event, ok, err := DecodeEvent([]byte(aws.ToString(e.CloudTrailEvent)), string(at.Account))
			if err != nil {
				return out, fmt.Errorf("event %s: %w", aws.ToString(e.EventId), err)
			}
			if ok {
				out = append(out, event)
			}
		}
	}
	return out, nil
}

// off recognises the answer of a Region that is not enabled in an account.
func off(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains([]string{"UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure"}, api.ErrorCode())
}
