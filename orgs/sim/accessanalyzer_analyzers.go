package sim

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer/types"
)

const analyzerPrincipal = "access-analyzer.amazonaws.com"

// analyzerState is an analyzer of an account × Region. What it finds is not modelled.
type analyzerState struct {
	Name    string            `json:"name"`
	Type    types.Type        `json:"type"`
	Days    int32             `json:"days,omitempty"` // of unused access
	Tags    map[string]string `json:"tags,omitempty"`
	Created time.Time         `json:"created"`
}

// ofOrganization says whether an analyzer looks at the organization.
func (a *analyzerState) ofOrganization() bool {
	return strings.HasPrefix(string(a.Type), "ORGANIZATION")
}

// mayAnalyze says whether an account may have analyzers of the organization: the
// management account may, and the delegated administrator.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-settings.html
func (w *World) mayAnalyze(account string) bool {
	return w.trustedAccess(analyzerPrincipal) && (account == w.state.Org.ManagementAccount || w.isDelegatedAdmin(account, analyzerPrincipal))
}

// maxOrganizationAnalyzers is how many analyzers of the organization an account may
// have of one type in a Region; of internal access, the organization has one, and of
// those of an account it has one of each type.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-quotas.html
const maxOrganizationAnalyzers = 5

// analyzerName is what a name may be.
// https://docs.aws.amazon.com/access-analyzer/latest/APIReference/API_CreateAnalyzer.html
var analyzerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,254}$`)

func createAnalyzer(c *call, in *accessanalyzer.CreateAnalyzerInput) (*accessanalyzer.CreateAnalyzerOutput, error) {
	r, name := c.here(), aws.ToString(in.AnalyzerName)
	a := &analyzerState{Name: name, Type: in.Type, Tags: maps.Clone(in.Tags), Created: c.now}
	if u, ok := in.Configuration.(*types.AnalyzerConfigurationMemberUnusedAccess); ok {
		a.Days = aws.ToInt32(u.Value.UnusedAccessAge)
	}
	if a.Days == 0 && strings.HasSuffix(string(in.Type), "UNUSED_ACCESS") {
		a.Days = 90
	}
	switch {
	case !analyzerName.MatchString(name):
		return nil, &types.ValidationException{Message: aws.String("Value at 'analyzerName' failed to satisfy constraint: Member must satisfy regular expression pattern: " + analyzerName.String())}
	case !slices.Contains(in.Type.Values(), in.Type):
		return nil, &types.ValidationException{Message: aws.String("Invalid analyzer type")}
	case a.ofOrganization() && !c.w.mayAnalyze(c.caller.Account):
		return nil, &types.ValidationException{Message: aws.String("You must enable trusted access and be the management account or a delegated administrator to create an analyzer with the organization as zone of trust.")}
	case slices.ContainsFunc(r.Analyzers, func(have *analyzerState) bool { return have.Name == name }):
		return nil, &types.ConflictException{Message: aws.String("Analyzer already exists"), ResourceId: in.AnalyzerName, ResourceType: aws.String("ANALYZER")}
	case a.Days < 0 || a.Days > 365, a.Days != 0 && !strings.HasSuffix(string(a.Type), "UNUSED_ACCESS"):
		return nil, &types.ValidationException{Message: aws.String("Invalid analyzer configuration")}
	case r.analyzers(in.Type) >= mostAnalyzers(in.Type), in.Type == types.TypeOrganizationInternalAccess && c.internalAnalyzers() > 0:
		return nil, &types.ServiceQuotaExceededException{Message: aws.String("The maximum number of analyzers was reached"), ResourceId: in.AnalyzerName, ResourceType: aws.String("ANALYZER")}
	}
	c.w.ensureLinkedRole(c, c.caller.Account, analyzerPrincipal)
	r.Analyzers = append(r.Analyzers, a)
	return &accessanalyzer.CreateAnalyzerOutput{Arn: aws.String(c.arn("access-analyzer", "analyzer/"+name))}, nil
}

// analyzers counts the account's analyzers of a type.
func (r *regionState) analyzers(kind types.Type) int {
	n := 0
	for _, a := range r.Analyzers {
		if a.Type == kind {
			n++
		}
	}
	return n
}

func mostAnalyzers(kind types.Type) int {
	if kind == types.TypeOrganization || kind == types.TypeOrganizationUnusedAccess {
		return maxOrganizationAnalyzers
	}
	return 1
}

// internalAnalyzers counts the organization's analyzers of internal access.
func (c *call) internalAnalyzers() int {
	n := 0
	for account := range c.w.state.Accounts {
		n += c.w.region(account, c.region).analyzers(types.TypeOrganizationInternalAccess)
	}
	return n
}

func deleteAnalyzer(c *call, in *accessanalyzer.DeleteAnalyzerInput) (*accessanalyzer.DeleteAnalyzerOutput, error) {
	r := c.here()
	i := slices.IndexFunc(r.Analyzers, func(a *analyzerState) bool { return a.Name == aws.ToString(in.AnalyzerName) })
	if i < 0 {
		return nil, noAnalyzer(in.AnalyzerName)
	}
	r.Analyzers = slices.Delete(r.Analyzers, i, i+1)
	return &accessanalyzer.DeleteAnalyzerOutput{}, nil
}

// listAnalyzers shows analyzers of the organization as disabled whose account may
// not have them any more.
func listAnalyzers(c *call, in *accessanalyzer.ListAnalyzersInput) (*accessanalyzer.ListAnalyzersOutput, error) {
	all := []types.AnalyzerSummary{}
	for _, a := range c.here().Analyzers {
		if in.Type != "" && in.Type != a.Type {
			continue
		}
		all = append(all, c.apiAnalyzer(a))
	}
	limit := 100
	if in.MaxResults != nil {
		limit = int(*in.MaxResults)
	}
	page, next, ok := pageOf(c, all, limit, in.NextToken)
	if !ok {
		return nil, &types.ValidationException{Message: aws.String("Invalid NextToken")}
	}
	return &accessanalyzer.ListAnalyzersOutput{Analyzers: page, NextToken: next}, nil
}

func noAnalyzer(name *string) error {
	return &types.ResourceNotFoundException{Message: aws.String("Analyzer not found"), ResourceId: name, ResourceType: aws.String("ANALYZER")}
}

// apiAnalyzer is an analyzer as the API shows it.
func (c *call) apiAnalyzer(a *analyzerState) types.AnalyzerSummary {
	s := types.AnalyzerSummary{
		Arn: aws.String(c.arn("access-analyzer", "analyzer/"+a.Name)), Name: aws.String(a.Name), Type: a.Type, Status: types.AnalyzerStatusActive,
		CreatedAt: aws.Time(a.Created), Tags: maps.Clone(a.Tags),
	}
	if a.ofOrganization() && !c.w.mayAnalyze(c.caller.Account) {
		s.Status = types.AnalyzerStatusDisabled
	}
	if a.Days > 0 {
		s.Configuration = &types.AnalyzerConfigurationMemberUnusedAccess{Value: types.UnusedAccessConfiguration{UnusedAccessAge: aws.Int32(a.Days)}}
	}
	return s
}

func getAnalyzer(c *call, in *accessanalyzer.GetAnalyzerInput) (*accessanalyzer.GetAnalyzerOutput, error) {
	for _, a := range c.here().Analyzers {
		if a.Name == aws.ToString(in.AnalyzerName) {
			s := c.apiAnalyzer(a)
			return &accessanalyzer.GetAnalyzerOutput{Analyzer: &s}, nil
		}
	}
	return nil, noAnalyzer(in.AnalyzerName)
}
