package preview

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	analyzertypes "github.com/aws/aws-sdk-go-v2/service/accessanalyzer/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/scp"
)

// Question is a request with the answer that this package predicts after the
// change, for AWS's own simulator to answer too.
type Question struct {
	Principal, Action, Resource string
	Context                     map[string][]string
	Levels                      [][]string // documents, the root's first
	Want                        scp.Decision
}

// maxQuestions bounds how often the simulator is asked.
const maxQuestions = 24

// Questions are requests that matter, every key that the policies ask about
// filled in, for a few principals of every group of accounts. A key that is not
// known gets a value, the same for the evaluator and for AWS: AWS's simulator
// takes a key it was not given for absent, and for SCPs does not even say so.
func Questions(in Input) ([]Question, error) {
	w, err := newWorld(&in)
	if err != nil {
		return nil, err
	}
	ref, err := scp.LoadReference()
	if err != nil {
		return nil, err
	}
	e := &engine{in: &in, world: w, ref: ref, arns: map[string][]string{}, scopes: map[string][]string{}}
	if len(w.changed) > 0 {
		e.tried = e.trials()
	}
	var out []Question
	for round := 0; len(out) < maxQuestions; round++ {
		n := len(out)
		for _, g := range w.groups {
			for _, t := range e.tried {
				if round < len(t.actions) && len(out) < maxQuestions {
					out = append(out, e.questions(g, t, t.actions[round])...)
				}
			}
		}
		if len(out) == n {
			break
		}
	}
	return out, nil
}

// questions ask about one action: by an administrator nobody names, and by
// somebody whom the statement spares.
func (e *engine) questions(g *group, t trial, action string) []Question {
	a := g.accounts[0]
	region := e.in.Org.Partition.GlobalRegion
	if len(e.in.Regions) > 0 {
		region = e.regionsFor(action)[0]
	}
	principals := []Identity{e.probeAdmin(a)}
	for _, c := range t.statement.Conditions {
		if !strings.EqualFold(c.Key, "aws:PrincipalArn") {
			continue
		}
		if _, name, ok := rolePattern(c.Values[0]); ok {
			spared, _, _ := e.roleLike(a, name)
			principals = append(principals, spared)
		}
	}
	var levels [][]string
	for _, id := range e.world.pathIDs(a) {
		docs := []string{}
		for _, p := range e.world.after.on[id] {
			docs = append(docs, string(e.world.after.docs[p].Document.Minified()))
		}
		levels = append(levels, docs)
	}
	var out []Question
	for _, id := range principals {
		r := requestOf(e.in.Org, a, id, action, e.resources(t, action, a, region)[0])
		r.Context["aws:RequestedRegion"] = []string{region}
		for _, key := range e.keys() {
			if _, known := lookupFold(r.Context, key); !known {
				r.Context[key] = []string{sampleValue(key)}
			}
		}
		r.Unknown = nil // what is not given is absent, to both
		out = append(out, Question{Principal: id.ARN, Action: action, Resource: r.Resource, Context: r.Context, Levels: levels, Want: g.after.Decide(r)})
	}
	return out
}

// keys are the condition keys of all policies on the paths.
func (e *engine) keys() []string {
	var out []string
	for _, p := range e.world.after.docs {
		for _, s := range p.Document.Statements() {
			for _, c := range s.Conditions {
				out = append(out, c.Key)
			}
		}
	}
	return slices.Compact(sorted(out))
}

func lookupFold(m map[string][]string, key string) ([]string, bool) {
	for _, k := range sortedKeys(m) {
		if strings.EqualFold(k, key) {
			return m[k], true
		}
	}
	return nil, false
}

// sampleValue is a value of a key's type.
func sampleValue(key string) string {
	lower := strings.ToLower(key)
	switch contextType(key) {
	case types.ContextKeyTypeEnumBoolean:
		return "false"
	case types.ContextKeyTypeEnumIp:
		return "192.0.2.1"
	case types.ContextKeyTypeEnumNumeric:
		return "1"
	case types.ContextKeyTypeEnumDate:
		return "2026-01-01T00:00:00Z"
	}
	if strings.HasSuffix(lower, "arn") {
		return "arn:aws:iam::111122223333:role/" + unknownPart
	}
	return unknownPart
}

// contextType is the type by which the simulator is told a key.
func contextType(key string) types.ContextKeyTypeEnum {
	switch strings.ToLower(key) {
	case "aws:multifactorauthpresent", "aws:principalisawsservice", "aws:securetransport", "aws:viaawsservice", "aws:assumedroot":
		return types.ContextKeyTypeEnumBoolean
	case "aws:sourceip", "aws:vpcsourceip":
		return types.ContextKeyTypeEnumIp
	case "aws:multifactorauthage":
		return types.ContextKeyTypeEnumNumeric
	case "aws:currenttime", "aws:tokenissuetime", "aws:epochtime":
		return types.ContextKeyTypeEnumDate
	case "aws:principalorgpaths", "aws:calledvia", "aws:tagkeys", "aws:resourceorgpaths":
		return types.ContextKeyTypeEnumStringList
	}
	return types.ContextKeyTypeEnumString
}

// VerifyAWS asks iam:SimulateCustomPolicy the same questions. It reads nothing
// of the organization: the policies go with the call.
func VerifyAWS(ctx context.Context, pool *access.Pool, org *orgs.Organization, questions []Question) Check {
	check := Check{ID: "verify-aws", Status: CheckOK, Source: "iam:SimulateCustomPolicy"}
	agreed := 0
	var differ []string
	for _, q := range questions {
		got, err := simulate(ctx, pool, org, q)
		switch {
		case err != nil:
			check.Status, check.Text = CheckWarning, "AWS's simulator could not be asked: "+err.Error()
			return check
		case got == q.Want:
			agreed++
		default:
			differ = append(differ, fmt.Sprintf("%s by %s: AWS says %s, predicted %s", q.Action, q.Principal, got, q.Want))
		}
	}
	check.Text = fmt.Sprintf("AWS's simulator agrees on %d of %d requests", agreed, len(questions))
	if len(differ) > 0 {
		check.Status = CheckWarning
		check.Text += "; it does not on " + fewOf(differ, 3)
		check.Fix = "do not rely on this preview where they differ; please report it"
	}
	return check
}

func simulate(ctx context.Context, pool *access.Pool, org *orgs.Organization, q Question) (scp.Decision, error) {
	in := &iam.SimulateCustomPolicyInput{
		ActionNames: []string{q.Action}, ResourceArns: []string{q.Resource}, PolicyInputList: []string{fullAccess},
		CallerArn: aws.String(q.Principal),
	}
	for _, docs := range q.Levels {
		in.OrderedOrganizationPolicyInputList = append(in.OrderedOrganizationPolicyInputList, types.OrderedOrganizationPolicyType{ServiceControlPolicyInputList: docs})
	}
	for _, k := range sortedKeys(q.Context) {
		in.ContextEntries = append(in.ContextEntries, types.ContextEntry{ContextKeyName: aws.String(k), ContextKeyType: contextType(k), ContextKeyValues: q.Context[k]})
	}
	out, err := pool.IAM.SimulateCustomPolicy(ctx, in, pool.Home(org.Partition.GlobalRegion).IAM)
	if err != nil {
		return "", fmt.Errorf("simulate %s: %w", q.Action, err)
	}
	if len(out.EvaluationResults) != 1 {
		return "", fmt.Errorf("simulate %s: %d results for one request", q.Action, len(out.EvaluationResults))
	}
	if out.EvaluationResults[0].EvalDecision == types.PolicyEvaluationDecisionTypeAllowed {
		return scp.DecisionAllow, nil
	}
	return scp.DecisionDeny, nil
}

// ValidateAWS asks IAM Access Analyzer about the policy's text.
func ValidateAWS(ctx context.Context, pool *access.Pool, region string, policy []byte) []Check {
	in := &accessanalyzer.ValidatePolicyInput{PolicyDocument: aws.String(string(policy)), PolicyType: analyzertypes.PolicyTypeServiceControlPolicy}
	out := []Check{}
	p := accessanalyzer.NewValidatePolicyPaginator(pool.AccessAnalyzer, in)
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, pool.Home(region).AccessAnalyzer)
		if err != nil {
			return []Check{{ID: "validate-aws", Status: CheckWarning, Text: "Access Analyzer could not be asked: " + err.Error(), Source: "access-analyzer:ValidatePolicy"}}
		}
		for _, f := range page.Findings {
			c := Check{
				ID: "validate-aws", Status: CheckWarning, Source: "access-analyzer:ValidatePolicy",
				Text: fmt.Sprintf("%s %s%s: %s", f.FindingType, aws.ToString(f.IssueCode), place(f.Locations), aws.ToString(f.FindingDetails)), Fix: aws.ToString(f.LearnMoreLink),
			}
			if f.FindingType == analyzertypes.ValidatePolicyFindingTypeError {
				c.Status = CheckError
			}
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		out = append(out, Check{ID: "validate-aws", Status: CheckOK, Text: "Access Analyzer has no findings", Source: "access-analyzer:ValidatePolicy"})
	}
	slices.SortStableFunc(out, func(a, b Check) int { return cmp.Compare(a.Text, b.Text) })
	return out
}

func place(ls []analyzertypes.Location) string {
	if len(ls) == 0 || ls[0].Span == nil || ls[0].Span.Start == nil {
		return ""
	}
	s := ls[0].Span.Start
	return " at " + strconv.Itoa(int(aws.ToInt32(s.Line))) + ":" + strconv.Itoa(int(aws.ToInt32(s.Column)))
}
