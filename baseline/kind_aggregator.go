package baseline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"

	"github.com/orgguard/orgguard/orgs"
)

// aggregatorState is where the findings of the organization are gathered. An account
// has one aggregator at most, in the Region where it was made.
// https://docs.aws.amazon.com/securityhub/latest/userguide/finding-aggregation.html
type aggregatorState struct {
	appointment
	On      bool     `json:"on"`            // Security Hub, in the Region where it is asked
	ARN     string   `json:"arn,omitempty"` // "" for none
	Region  string   `json:"region,omitempty"`
	Mode    string   `json:"mode,omitempty"`
	Regions []string `json:"regions,omitempty"`
}

const linkSpecified = "SPECIFIED_REGIONS"

var aggregatorKind = kind{
	noun:    "organization setting",
	observe: observeAggregator, compare: compareAggregator, repair: repairAggregator, undo: undoAggregator,
	writes: func(Resource, any) int { return 2 }, // Security Hub must be on
	revert: &reverter{decode: decoded[aggregatorState], says: saysAggregator, apply: revertAggregator, mine: aggregatorByUs},
}

func observeAggregator(ctx context.Context, s site, _ Resource) (any, error) {
	by, err := s.administrator(ctx, securityHubPrincipal)
	if err != nil {
		return nil, err
	}
	st := aggregatorState{appointment: by}
	if by.Admin == "" {
		return st, nil
	}
	s = s.in(by.Admin)
	out, err := s.SecurityHub.ListFindingAggregators(ctx, &securityhub.ListFindingAggregatorsInput{}, s.at.SecurityHub)
	if hubIsOff(err) {
		return st, nil
	}
	st.On = true
	if err == nil && len(out.FindingAggregators) == 0 {
		return st, nil
	}
	if err == nil {
		st.ARN = aws.ToString(out.FindingAggregators[0].FindingAggregatorArn)
		err = st.read(ctx, s)
	}
	if err != nil {
		return nil, fmt.Errorf("look where account %s gathers findings: %w", by.Admin, err)
	}
	return st, nil
}

func (st *aggregatorState) read(ctx context.Context, s site) error {
	if parts := strings.Split(st.ARN, ":"); len(parts) > 3 {
		st.Region = parts[3]
	}
	at := s.at.InRegion(st.Region)
	got, err := s.SecurityHub.GetFindingAggregator(ctx, &securityhub.GetFindingAggregatorInput{FindingAggregatorArn: aws.String(st.ARN)}, at.SecurityHub)
	if err != nil {
		return err
	}
	st.Mode, st.Regions = aws.ToString(got.RegionLinkingMode), slices.Sorted(slices.Values(got.Regions))
	return nil
}

// lacks are the wanted Regions whose findings are not gathered.
func (st aggregatorState) lacks(r Resource) []string {
	var out []string
	for _, region := range r.names("Regions") {
		var linked bool
		switch st.Mode {
		case "ALL_REGIONS":
			linked = true
		case "ALL_REGIONS_EXCEPT_SPECIFIED":
			linked = !slices.Contains(st.Regions, region)
		case linkSpecified:
			linked = slices.Contains(st.Regions, region)
		}
		if region != st.Region && !linked {
			out = append(out, region)
		}
	}
	return out
}

func compareAggregator(r Resource, state any) []Mismatch {
	st, want := state.(aggregatorState), orgs.AccountID(r.str("Account"))
	lacking := st.lacks(r)
	if st.ARN != "" && len(lacking) == 0 {
		return nil
	}
	m := Mismatch{Reason: "findings of Security Hub are not gathered in one Region", Expected: r.str("Regions"), Actual: "no aggregator", Verb: "create"}
	if st.ARN != "" {
		m = Mismatch{
			Reason: "findings of " + joinAnd(lacking) + " are not gathered in " + st.Region, Expected: r.str("Regions"),
			Actual: strings.TrimSpace(st.Mode + " " + strings.Join(st.Regions, ",")), Verb: "update",
		}
		if st.Mode != linkSpecified {
			m.Manual = "somebody chose so: change the aggregator in account " + string(st.Admin) + ", " + st.Region + ", or say aggregate: false"
		}
	}
	if other := st.other(want); other != "" {
		m.Manual = respect("Security Hub", other, want)
	}
	return []Mismatch{m}
}

func repairAggregator(ctx context.Context, s site, r Resource, _ any) error {
	want := orgs.AccountID(r.str("Account"))
	seen, err := observeAggregator(ctx, s, r)
	if st, _ := seen.(aggregatorState); err == nil && st.Admin == want && !st.On {
		// Where Security Hub is off it does not tell of an aggregator in another Region.
		if err := enableHub(ctx, s); err != nil {
			return err
		}
		seen, err = observeAggregator(ctx, s, r)
	}
	if err != nil {
		return err
	}
	st := seen.(aggregatorState)
	switch {
	case st.Admin != want:
		return notAppointed("Security Hub", st.appointment, want)
	case st.ARN != "" && (st.Mode != linkSpecified || len(st.lacks(r)) == 0):
		return nil // it is adopted, whoever made it
	case st.ARN != "":
		return st.link(ctx, s, linkSpecified, append(slices.Clone(st.Regions), st.lacks(r)...))
	}
	_, err = s.SecurityHub.CreateFindingAggregator(ctx, &securityhub.CreateFindingAggregatorInput{
		RegionLinkingMode: aws.String(linkSpecified), Regions: r.names("Regions"),
	}, s.at.SecurityHub)
	if err != nil {
		return fmt.Errorf("gather the findings of all Regions: %w", err)
	}
	return nil
}

// link changes which Regions are gathered, where the aggregator is.
func (st aggregatorState) link(ctx context.Context, s site, mode string, regions []string) error {
	slices.Sort(regions)
	_, err := s.SecurityHub.UpdateFindingAggregator(ctx, &securityhub.UpdateFindingAggregatorInput{
		FindingAggregatorArn: aws.String(st.ARN), RegionLinkingMode: aws.String(mode), Regions: regions,
	}, s.at.InRegion(st.Region).SecurityHub)
	if err != nil {
		return fmt.Errorf("change which Regions' findings are gathered: %w", err)
	}
	return nil
}

func undoAggregator(s scope, _ Resource, state any) string {
	st, _ := state.(aggregatorState)
	if st.ARN == "" {
		return fmt.Sprintf("aws securityhub delete-finding-aggregator --region %s --finding-aggregator-arn ARN (aws securityhub list-finding-aggregators shows it)", s.region)
	}
	return fmt.Sprintf("aws securityhub update-finding-aggregator --region %s --finding-aggregator-arn %s --region-linking-mode %s --regions %s",
		st.Region, st.ARN, st.Mode, strings.Join(st.Regions, " "))
}

// own says whether an aggregator is as orgguard makes it: it has no tags to tell by.
func (st aggregatorState) own(s site, r Resource) bool {
	wanted := slices.Sorted(slices.Values(r.names("Regions")))
	return st.Admin == orgs.AccountID(r.str("Account")) && st.ARN != "" && st.Region == s.at.Region && st.Mode == linkSpecified && slices.Equal(st.Regions, wanted)
}

// aggregatorByUs: the appointment's mark covers what stands on it, as long as it is as
// orgguard made it.
func aggregatorByUs(ctx context.Context, s site, r Resource, now any) (any, bool, error) {
	if !now.(aggregatorState).own(s, r) {
		return aggregatorState{}, false, nil
	}
	yes, err := s.marked(ctx, securityHubPrincipal, orgs.AccountID(r.str("Account")))
	return aggregatorState{}, yes, err
}

func saysAggregator(r Resource, was, now any) (why, not string) {
	w, st := was.(aggregatorState), now.(aggregatorState)
	switch {
	case st.Admin != orgs.AccountID(r.str("Account")) || st.ARN == "":
		return "", "it is gone already"
	case w.ARN == "":
		return "findings are in their own Regions again; none is lost", ""
	case w.ARN != st.ARN || st.Mode != linkSpecified:
		return "", "somebody has changed it since"
	}
	return "it gathers from " + joinAnd(w.Regions) + " again", ""
}

func revertAggregator(ctx context.Context, s site, r Resource, was any) error {
	w := was.(aggregatorState)
	seen, err := observeAggregator(ctx, s, r)
	if err != nil {
		return err
	}
	st := seen.(aggregatorState)
	if st.Admin != orgs.AccountID(r.str("Account")) || st.ARN == "" {
		return nil // somebody did it already
	}
	if w.ARN != "" {
		return st.link(ctx, s, w.Mode, slices.Clone(w.Regions))
	}
	_, err = s.SecurityHub.DeleteFindingAggregator(ctx, &securityhub.DeleteFindingAggregatorInput{FindingAggregatorArn: aws.String(st.ARN)}, s.at.InRegion(st.Region).SecurityHub)
	if err != nil && !notFound(err) {
		return fmt.Errorf("stop gathering findings in one Region: %w", err)
	}
	return nil
}
