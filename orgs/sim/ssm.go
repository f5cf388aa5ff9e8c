package sim

import (
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
	p := c.here().SSM.Parameters[name]
	if p == nil {
		return nil, noParameter(name)
	}
	return &ssm.GetParameterOutput{Parameter: &types.Parameter{
		ARN: aws.String(c.parameterARN(in.Name)), Name: aws.String(name), Value: aws.String(p.Value), Type: types.ParameterType(p.Type),
		Version: p.Version, LastModifiedDate: aws.Time(p.Modified), DataType: aws.String("text"),
	}}, nil
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
