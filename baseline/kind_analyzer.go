package baseline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer/types"

	"github.com/orgguard/orgguard/orgs"
)

const analyzerPrincipal = "access-analyzer.amazonaws.com"

// analyzerState are the organization's analyzers of one kind in a Region: those of
// the administrator and of the management account, either of which will do.
type analyzerState struct {
	appointment
	Analyzers []analyzer `json:"analyzers,omitempty"`
}

// analyzer is an analyzer of the organization.
type analyzer struct {
	Account orgs.AccountID `json:"account"`
	Name    string         `json:"name"`
	Status  string         `json:"status"`
	Ours    bool           `json:"ours"`           // has orgguard's tag
	Days    int            `json:"days,omitempty"` // of unused access
	// Organization says that it is about the organization, and not an account.
	Organization bool `json:"organization"`
}

var analyzerKind = kind{
	noun: "analyzer", nameProp: "Name",
	observe: observeAnalyzers, compare: compareAnalyzers, repair: createAnalyzer, undo: undoAnalyzer,
	revert: &reverter{decode: decoded[analyzerState], says: saysAnalyzer, apply: deleteAnalyzer, mine: analyzerByUs},
}

func observeAnalyzers(ctx context.Context, s site, r Resource) (any, error) {
	by, err := s.administrator(ctx, analyzerPrincipal)
	if err != nil {
		return nil, err
	}
	st := analyzerState{appointment: by}
	accounts := []orgs.AccountID{s.base.Org.ManagementAccount}
	if by.Admin != "" && by.Admin != accounts[0] {
		accounts = append(accounts, by.Admin)
	}
	for _, id := range accounts {
		found, err := analyzersOf(ctx, s.in(id), types.Type(r.str("Kind")))
		if err != nil {
			return nil, err
		}
		st.Analyzers = append(st.Analyzers, found...)
	}
	return st, nil
}

// analyzersOf are an account's analyzers of a kind in the site's Region.
func analyzersOf(ctx context.Context, s site, kind types.Type) ([]analyzer, error) {
	var out []analyzer
	p := accessanalyzer.NewListAnalyzersPaginator(s.AccessAnalyzer, &accessanalyzer.ListAnalyzersInput{Type: kind})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, s.at.AccessAnalyzer)
		if err != nil {
			return nil, fmt.Errorf("list the analyzers of account %s: %w", s.at.Account, err)
		}
		for _, a := range page.Analyzers {
			found := analyzer{
				Account: s.at.Account, Name: aws.ToString(a.Name), Status: string(a.Status),
				Ours: a.Tags["managed-by"] == "orgguard", Organization: strings.HasPrefix(string(a.Type), "ORGANIZATION"),
			}
			if c, ok := a.Configuration.(*types.AnalyzerConfigurationMemberUnusedAccess); ok {
				found.Days = int(aws.ToInt32(c.Value.UnusedAccessAge))
			}
			out = append(out, found)
		}
	}
	return out, nil
}

// works says whether an analyzer analyzes, or is about to.
func (a analyzer) works() bool { return a.Status == "ACTIVE" || a.Status == "CREATING" }

// looksFor is what the analyzers of a kind look for, in words.
func looksFor(r Resource) string {
	if r.number("Days") > 0 {
		return "access that nobody uses"
	}
	return "what the organization opens to the outside"
}

func compareAnalyzers(r Resource, state any) []Mismatch {
	st, want := state.(analyzerState), orgs.AccountID(r.str("Account"))
	if i := slices.IndexFunc(st.Analyzers, analyzer.works); i >= 0 {
		return st.Analyzers[i].waits(r)
	}
	m := Mismatch{Reason: "no analyzer looks for " + looksFor(r), Expected: "an active one", Actual: "none", Verb: "create"}
	if len(st.Analyzers) > 0 {
		a := st.Analyzers[0]
		m.Actual = fmt.Sprintf("%s in account %s is %s", a.Name, a.Account, a.Status)
		m.Manual = "look why analyzer " + a.Name + " does not work, or delete it, with all that it found; then a rollout makes another"
	}
	if other := st.other(want); other != "" {
		m.Manual = respect("IAM Access Analyzer", other, want)
	}
	return []Mismatch{m}
}

// waits compares orgguard's own analyzer with its setting: how long an analyzer waits
// until it calls access unused cannot be changed any more.
// https://docs.aws.amazon.com/access-analyzer/latest/APIReference/API_UpdateAnalyzer.html
func (a analyzer) waits(r Resource) []Mismatch {
	if want := r.number("Days"); a.Ours && a.Days != want {
		return []Mismatch{{
			Reason: "the analyzer of unused access waits another number of days", Expected: want, Actual: a.Days,
			Manual: fmt.Sprintf("delete analyzer %s in account %s, with all that it found; then a rollout makes another", a.Name, a.Account),
		}}
	}
	return nil
}

func createAnalyzer(ctx context.Context, s site, r Resource, _ any) error {
	seen, err := observeAnalyzers(ctx, s, r)
	if err != nil {
		return err
	}
	st, want := seen.(analyzerState), orgs.AccountID(r.str("Account"))
	switch {
	case len(st.Analyzers) > 0:
		return nil // it is adopted, whoever made it
	case st.Admin != want:
		return notAppointed("IAM Access Analyzer", st.appointment, want)
	}
	in := &accessanalyzer.CreateAnalyzerInput{
		AnalyzerName: aws.String(r.str("Name")), Type: types.Type(r.str("Kind")), Tags: map[string]string{"managed-by": "orgguard"},
	}
	if days := r.number("Days"); days > 0 {
		in.Configuration = &types.AnalyzerConfigurationMemberUnusedAccess{Value: types.UnusedAccessConfiguration{UnusedAccessAge: small(days)}}
	}
	if _, err := s.AccessAnalyzer.CreateAnalyzer(ctx, in, s.at.AccessAnalyzer); err != nil {
		return fmt.Errorf("create analyzer %s: %w", r.str("Name"), err)
	}
	return nil
}

func undoAnalyzer(s scope, r Resource, _ any) string {
	return fmt.Sprintf("aws accessanalyzer delete-analyzer --region %s --analyzer-name %s", s.region, r.str("Name"))
}

// own is orgguard's analyzer of a resource; false when it is not there, or not
// orgguard's.
func (st analyzerState) own(r Resource) bool {
	return st.Admin == orgs.AccountID(r.str("Account")) && slices.ContainsFunc(st.Analyzers, func(a analyzer) bool {
		return a.Account == st.Admin && a.Name == r.str("Name") && a.Ours
	})
}

func analyzerByUs(_ context.Context, _ site, r Resource, now any) (any, bool, error) {
	return analyzerState{}, now.(analyzerState).own(r), nil
}

func saysAnalyzer(r Resource, _, now any) (why, not string) {
	if !now.(analyzerState).own(r) {
		return "", "it is gone, or not orgguard's any more"
	}
	return "it is orgguard's own; what it found goes with it", ""
}

func deleteAnalyzer(ctx context.Context, s site, r Resource, _ any) error {
	_, err := s.AccessAnalyzer.DeleteAnalyzer(ctx, &accessanalyzer.DeleteAnalyzerInput{AnalyzerName: aws.String(r.str("Name"))}, s.at.AccessAnalyzer)
	if err != nil && !notFound(err) {
		return fmt.Errorf("delete analyzer %s: %w", r.str("Name"), err)
	}
	return nil
}

// appointAnalyzer registers the administrator: the service has no call of its own.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-delegated-administrator-add.html
func appointAnalyzer(ctx context.Context, s site, id orgs.AccountID) error {
	return s.register(ctx, analyzerPrincipal, id)
}

// dismissAnalyzer refuses while the account has analyzers of the organization: they
// would stop working.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-settings.html
func dismissAnalyzer(ctx context.Context, s site, id orgs.AccountID) error {
	for _, region := range s.base.mayBeOn() {
		left, err := analyzersOf(ctx, s.base.site(s.Pool, id, region), "")
		if orgs.Code(err) == "AccessDeniedException" && !slices.Contains(s.base.Regions, region) {
			continue // a Region that an SCP closes, as the baseline does not name it
		}
		if err != nil {
			return err
		}
		for _, a := range left {
			if a.Organization {
				return &orgs.Hinted{
					Err:  fmt.Errorf("analyzer %s in %s is of the organization, and would stop working", a.Name, region),
					Next: "it is not orgguard's: delete it if nobody needs it, then run this again",
				}
			}
		}
	}
	return nil
}
