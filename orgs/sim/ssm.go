package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/orgguard/orgguard/orgs"
)

// maxParameter is how long a standard parameter may be.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
const maxParameter = 4096

var parameterName = orgs.NewPattern(`^[a-zA-Z0-9_.\-/]+$`)

// ssmState is Parameter Store in one account × Region.
type ssmState struct {
	Parameters map[string]*parameterState `json:"parameters,omitempty"`
	// Secrets are those of Secrets Manager, by name. It has no API here: Parameter Store
	// hands them out.
	Secrets map[string]secretState `json:"secrets,omitempty"`
}

type secretState struct {
	Suffix string `json:"suffix"` // six characters that end its ARN
	Value  string `json:"value"`
}

// referencePrefix begins the names under which Parameter Store hands out secrets.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/integration-ps-secretsmanager.html
const referencePrefix = "/aws/reference/secretsmanager/"

// PutSecret puts a secret into Secrets Manager.
func (w *World) PutSecret(account, region, name, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.region(account, region).SSM
	if s.Secrets == nil {
		s.Secrets = map[string]secretState{}
	}
	s.Secrets[name] = secretState{Suffix: w.id(6), Value: value}
	w.dirty()
}

// getSecret is a secret as a parameter: with the caller's own rights to it, and only
// decrypted.
func getSecret(c *call, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
	name := aws.ToString(in.Name)
	secret, ok := c.here().SSM.Secrets[strings.TrimPrefix(name, referencePrefix)]
	switch {
	case !aws.ToBool(in.WithDecryption):
		return nil, apiError("ValidationException", "WithDecryption flag must be True for retrieving a Secret Manager secret.")
	case !ok:
		return nil, noParameter(name)
	}
	if err := c.w.authorize(c, "secretsmanager:GetSecretValue", c.arn("secretsmanager", "secret:"+strings.TrimPrefix(name, referencePrefix)+"-"+secret.Suffix)); err != nil {
		return nil, err
	}
	return &ssm.GetParameterOutput{Parameter: &types.Parameter{
		ARN: aws.String(c.parameterARN(in.Name)), Name: aws.String(name), Value: aws.String(secret.Value), Type: types.ParameterTypeSecureString, DataType: aws.String("text"),
	}}, nil
}

type parameterState struct {
	Value    string    `json:"value"`
	Type     string    `json:"type"`
	Version  int64     `json:"version"`
	Modified time.Time `json:"modified"`
}

var ssmOps = map[string]operation{
	"PutParameter":    on(op(write, putParameter), func(c *call, in *ssm.PutParameterInput) string { return c.parameterARN(in.Name) }),
	"GetParameter":    on(op(read, getParameter), func(c *call, in *ssm.GetParameterInput) string { return c.parameterARN(in.Name) }),
	"DeleteParameter": on(op(write, deleteParameter), func(c *call, in *ssm.DeleteParameterInput) string { return c.parameterARN(in.Name) }),
	// IAM knows no resource for it.
	"DescribeParameters": op(read, describeParameters),
}

func (c *call) parameterARN(name *string) string {
	return c.arn("ssm", "parameter/"+strings.TrimPrefix(aws.ToString(name), "/"))
}

// putParameter creates a parameter, or with Overwrite writes its next version.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
func putParameter(c *call, in *ssm.PutParameterInput) (*ssm.PutParameterOutput, error) {
	name, value := aws.ToString(in.Name), aws.ToString(in.Value)
	s := &c.here().SSM
	old := s.Parameters[name]
	switch {
	case !parameterName.MatchString(name) || len(name) > 1011 || strings.HasPrefix(strings.TrimPrefix(strings.ToLower(name), "/"), "aws") || strings.HasPrefix(strings.TrimPrefix(strings.ToLower(name), "/"), "ssm"):
		return nil, apiError("ValidationException", "Parameter name %s is not valid.", name)
	case len(value) > maxParameter || value == "":
		return nil, apiError("ValidationException", "Standard tier parameters support a maximum parameter value of %d characters.", maxParameter)
	case old != nil && !aws.ToBool(in.Overwrite):
		return nil, apiError("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case old == nil && in.Type == "":
		return nil, apiError("ValidationException", "A parameter type is required when you create a parameter.")
	}
	p := &parameterState{Value: value, Type: string(in.Type), Version: 1, Modified: c.now}
	if old != nil {
		p.Version = old.Version + 1
		if p.Type == "" {
			p.Type = old.Type
		}
	}
	if s.Parameters == nil {
		s.Parameters = map[string]*parameterState{}
	}
	s.Parameters[name] = p
	return &ssm.PutParameterOutput{Version: p.Version, Tier: types.ParameterTierStandard}, nil
}

func getParameter(c *call, in *ssm.GetParameterInput) (*ssm.GetParameterOutput, error) {
	name := aws.ToString(in.Name)
	if strings.HasPrefix(name, referencePrefix) {
		return getSecret(c, in)
	}
	p := c.here().SSM.Parameters[name]
	if p == nil {
		return nil, noParameter(name)
	}
	return &ssm.GetParameterOutput{Parameter: &types.Parameter{
		ARN: aws.String(c.parameterARN(in.Name)), Name: aws.String(name), Value: aws.String(p.Value), Type: types.ParameterType(p.Type),
		Version: p.Version, LastModifiedDate: aws.Time(p.Modified), DataType: aws.String("text"),
	}}, nil
}

// describeParameters lists parameters without their values; of the filters it knows that by
// name.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeParameters.html
func describeParameters(c *call, in *ssm.DescribeParametersInput) (*ssm.DescribeParametersOutput, error) {
	here := c.here().SSM.Parameters
	names := slices.Sorted(maps.Keys(here))
	for _, f := range in.ParameterFilters {
		if aws.ToString(f.Key) != "Name" || aws.ToString(f.Option) != "Equals" || len(f.Values) == 0 {
			return nil, apiError("InvalidFilterOption", "the simulated organization filters parameters by Name Equals only")
		}
		names = slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(f.Values, n) })
	}
	limit := 50
	if n := int(aws.ToInt32(in.MaxResults)); n > 0 {
		limit = min(limit, n)
	}
	page, next, ok := pageOf(c, names, limit, in.NextToken)
	if !ok {
		return nil, apiError("InvalidNextToken", "The specified token is not valid.")
	}
	out := &ssm.DescribeParametersOutput{NextToken: next}
	for _, n := range page {
		p := here[n]
		out.Parameters = append(out.Parameters, types.ParameterMetadata{
			ARN: aws.String(c.parameterARN(&n)), Name: aws.String(n), Type: types.ParameterType(p.Type), Version: p.Version,
			LastModifiedDate: aws.Time(p.Modified), DataType: aws.String("text"), Tier: types.ParameterTierStandard,
		})
	}
	return out, nil
}

func deleteParameter(c *call, in *ssm.DeleteParameterInput) (*ssm.DeleteParameterOutput, error) {
	name := aws.ToString(in.Name)
	s := &c.here().SSM
	if s.Parameters[name] == nil {
		return nil, noParameter(name)
	}
	delete(s.Parameters, name)
	return &ssm.DeleteParameterOutput{}, nil
}

func noParameter(name string) error {
	return apiError("ParameterNotFound", "Parameter %s not found.", name)
}
