package sim

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// Accounts of the demo scenario that the CloudFormation tests use.
const (
	cfnAccount = "500000000001" // sandbox-1
	cfnRegion  = "ap-northeast-1"
)

func cfnFile(t *testing.T, name string) *string {
	t.Helper()
	body, err := os.ReadFile("testdata/cfn/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return aws.String(string(body))
}

// cfnAdmin is CloudFormation as a member account's administrator.
func cfnAdmin(w *World, account string) *cloudformation.Client {
	return cloudformation.NewFromConfig(w.Config(cfnRegion, w.RolePrincipal(account, "Admin", "test")))
}

// codeAndText is an error as "Code: message"; "" for none.
func codeAndText(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.ErrorCode() + ": " + api.ErrorMessage()
	}
	return err.Error()
}

func stackNow(ctx context.Context, t *testing.T, c *cloudformation.Client, name string) types.Stack {
	t.Helper()
	out, err := c.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return out.Stacks[0]
}

func outputsOf(s types.Stack) map[string]string {
	out := map[string]string{}
	for _, o := range s.Outputs {
		out[*o.OutputKey] = *o.OutputValue
	}
	return out
}

func TestIntrinsicFunctions(t *testing.T) {
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	c := cfnAdmin(w, cfnAccount)
	if _, err := c.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("fn"), TemplateBody: cfnFile(t, "intrinsics.yaml")}); err != nil {
		t.Fatal(err)
	}
	s := stackNow(ctx, t, c, "fn")
	if s.StackStatus != types.StackStatusCreateComplete {
		t.Fatalf("%s: %s", s.StackStatus, aws.ToString(s.StackStatusReason))
	}
	queue := "arn:aws:sqs:ap-northeast-1:500000000001:alerts-queue"
	want := map[string]string{
		"Ref":        "alerts",
		"SubPlain":   "alerts in ap-northeast-1 of 500000000001: " + queue,
		"SubLiteral": "${Name} is alerts",
		"SubMap":     "x+y-alerts",
		"GetAtt":     "alerts-queue",
		"GetAttList": queue,
		"Join":       "a@example.com,b@example.com",
		"Select":     "b@example.com",
		"Split":      "1",
		"FindInMap":  "large",
		"Number":     "32",
		"IfBoth":     "both",
		"IfEither":   "either",
		"Base64":     "aGVsbG8=",
		"AZ":         "ap-northeast-1a",
		"Pseudo":     "aws amazonaws.com fn",
		"Exported":   "3",
	}
	if diff := cmp.Diff(want, outputsOf(s)); diff != "" {
		t.Error(diff)
	}
	for _, p := range s.Parameters {
		if *p.ParameterKey == "Secret" && *p.ParameterValue != "****" {
			t.Errorf("a NoEcho parameter is shown as %q", *p.ParameterValue)
		}
	}
	exports, err := c.ListExports(ctx, &cloudformation.ListExportsInput{})
	if err != nil || len(exports.Exports) != 1 || *exports.Exports[0].Name != "fn-count" {
		t.Fatalf("exports: %v, %v", exports, err)
	}

	t.Run("an export is used, and then cannot go", func(t *testing.T) {
		body := `{"Resources":{"H":{"Type":"AWS::CloudFormation::WaitConditionHandle"}},
			"Outputs":{"N":{"Value":{"Fn::Join":["",["n=",{"Fn::ImportValue":"fn-count"}]]}}}}`
		if _, err := c.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("user"), TemplateBody: &body}); err != nil {
			t.Fatal(err)
		}
		if got := outputsOf(stackNow(ctx, t, c, "user"))["N"]; got != "n=3" {
			t.Errorf("got %q", got)
		}
		if _, err := c.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: aws.String("fn")}); err != nil {
			t.Fatal(err)
		}
		s := stackNow(ctx, t, c, "fn")
		if want := "Export fn-count cannot be deleted as it is in use by user"; s.StackStatus != types.StackStatusDeleteFailed || aws.ToString(s.StackStatusReason) != want {
			t.Errorf("%s: %s", s.StackStatus, aws.ToString(s.StackStatusReason))
		}
	})
}

func TestTemplatesAreRefusedInAWSWords(t *testing.T) {
	handle := "\n    Type: AWS::CloudFormation::WaitConditionHandle\n"
	resources := "Resources:\n  H:" + handle
	tests := map[string]struct {
		body   string
		params map[string]string
		want   string
	}{
		"an empty Resources section": {body: "Resources: {}", want: "ValidationError: Template format error: At least one Resources member must be defined."},
		"broken JSON":                {body: "{\n  \"Resources\": {,}\n}", want: "ValidationError: Template format error: JSON not well-formed. (line 2, column 17)"},
		"broken YAML":                {body: "Resources: [", want: "ValidationError: Template format error: YAML not well-formed. (line 1, column 12)"},
		"a scalar":                   {body: "hello", want: "ValidationError: Template format error: unsupported structure."},
		"an unknown section":         {body: resources + "Resource: {}\n", want: "ValidationError: Invalid template property or properties [Resource]"},
		"a YAML alias":               {body: "Metadata: &x {a: 1}\nMappings: *x\n" + resources, want: "ValidationError: Template error: YAML aliases are not allowed in CloudFormation templates"},
		"a transform":                {body: "Transform: AWS::Serverless-2016-10-31\n" + resources, want: "ValidationError: Template error: transforms and macros are not supported: [AWS::Serverless-2016-10-31]"},
		"unknown resource types": {
			body: "Resources:\n  A: {Type: Foo::Bar::Baz}\n  B: {Type: AWS::Nope::Nope}\n",
			want: "ValidationError: Template format error: Unrecognized resource types: [AWS::Nope::Nope, Foo::Bar::Baz]",
		},
		"a resource without Type": {body: "Resources:\n  A: {Properties: {}}\n", want: "ValidationError: Template format error: [/Resources/A] Every Resources object must contain a Type member."},
		"a bad logical id":        {body: "Resources:\n  my-topic: {Type: AWS::SNS::Topic}\n", want: "ValidationError: Template format error: Resources name 'my-topic' is non alphanumeric."},
		"a Ref to nothing": {
			body: "Resources:\n  T: {Type: AWS::SNS::Topic, Properties: {TopicName: !Ref Nope, DisplayName: !Sub '${Nada}'}}\n",
			want: "ValidationError: Template format error: Unresolved resource dependencies [Nada, Nope] in the Resources block of the template",
		},
		"a Ref to nothing in Outputs": {
			body: resources + "Outputs: {O: {Value: !Ref Nope}}\n",
			want: "ValidationError: Template format error: Unresolved resource dependencies [Nope] in the Outputs block of the template",
		},
		"a GetAtt of nothing": {
			body: resources + "Outputs: {O: {Value: !GetAtt T.Arn}}\n",
			want: "ValidationError: Template error: instance of Fn::GetAtt references undefined resource T",
		},
		"a GetAtt of an attribute the type lacks": {
			body: "Resources:\n  T: {Type: AWS::SNS::Topic}\nOutputs: {O: {Value: !GetAtt T.Arn}}\n",
			want: "ValidationError: Template error: resource T does not support attribute type Arn in Fn::GetAtt",
		},
		"a Ref to a resource whose condition is false": {
			body: "Conditions: {No: !Equals [a, b]}\nResources:\n  A: {Type: AWS::SNS::Topic, Condition: No}\n  B: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref A}}\n",
			want: "ValidationError: Template format error: Unresolved resource dependencies [A] in the Resources block of the template",
		},
		"a circle of references": {
			body: "Resources:\n  A: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref B}}\n  B: {Type: AWS::SNS::Topic, DependsOn: C}\n  C: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Sub '${A.TopicName}'}}\n  D: {Type: AWS::SNS::Topic, DependsOn: A}\n",
			want: "ValidationError: Circular dependency between resources: [A, B, C]",
		},
		"missing parameters": {
			body: "Parameters: {A: {Type: String}, B: {Type: String}}\n" + resources,
			want: "ValidationError: Parameters: [A, B] must have values",
		},
		"unknown parameters": {
			body: resources, params: map[string]string{"X": "1"},
			want: "ValidationError: Parameters: [X] do not exist in the template",
		},
		"a value that is not allowed": {
			body: "Parameters: {A: {Type: String, AllowedValues: [x, y]}}\n" + resources, params: map[string]string{"A": "z"},
			want: "ValidationError: Parameter 'A' must be one of AllowedValues",
		},
		"a value that does not match": {
			body: "Parameters: {A: {Type: String, AllowedPattern: '[a-z]*'}}\n" + resources, params: map[string]string{"A": "a1"},
			want: "ValidationError: Parameter 'A' must match pattern [a-z]*",
		},
		"the author's own words": {
			body: "Parameters: {A: {Type: String, MinLength: 3, ConstraintDescription: three letters or more}}\n" + resources, params: map[string]string{"A": "a"},
			want: "ValidationError: Parameter A failed to satisfy constraint: three letters or more",
		},
		"text for a number": {
			body: "Parameters: {A: {Type: Number}}\n" + resources, params: map[string]string{"A": "many"},
			want: "ValidationError: Parameter 'A' must be a number",
		},
		"too small a number": {
			body: "Parameters: {A: {Type: Number, MinValue: 3}}\n" + resources, params: map[string]string{"A": "2"},
			want: "ValidationError: Parameter 'A' must be a number not less than 3",
		},
		"a parameter type there is not": {
			body: "Parameters: {A: {Type: Text}}\n" + resources,
			want: "ValidationError: Template format error: Unrecognized parameter type: Text",
		},
		"an IAM role without capabilities": {
			body: "Resources:\n  R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}\n",
			want: "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_IAM]",
		},
		"a named IAM role without capabilities": {
			body: "Resources:\n  R: {Type: AWS::IAM::Role, Properties: {RoleName: r, AssumeRolePolicyDocument: {}}}\n",
			want: "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_NAMED_IAM]",
		},
		"501 resources": {
			body: "Resources:\n" + strings.Repeat("  X%:"+handle, 501),
			want: "ValidationError: Template format error: Number of resources, 501, is greater than maximum allowed, 500",
		},
		"51,201 bytes": {
			body: resources + "#" + strings.Repeat("x", 51_201-len(resources)-1),
			want: "ValidationError: 1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200",
		},
	}
	ctx := t.Context()
	c := cfnAdmin(newTestWorld(t, "demo"), cfnAccount)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for i := 0; strings.Contains(tt.body, "X%"); i++ {
				tt.body = strings.Replace(tt.body, "X%", "X"+strings.Repeat("i", i%26+1)+string(rune('a'+i/26)), 1)
			}
			in := &cloudformation.CreateStackInput{StackName: aws.String("s"), TemplateBody: &tt.body}
			for k, v := range tt.params {
				in.Parameters = append(in.Parameters, types.Parameter{ParameterKey: &k, ParameterValue: &v})
			}
			_, err := c.CreateStack(ctx, in)
			if diff := cmp.Diff(tt.want, codeAndText(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTemplateSummary(t *testing.T) {
	ctx := t.Context()
	c := cfnAdmin(newTestWorld(t, "demo"), cfnAccount)
	sum, err := c.GetTemplateSummary(ctx, &cloudformation.GetTemplateSummaryInput{TemplateBody: cfnFile(t, "intrinsics.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"AWS::CloudFormation::WaitConditionHandle", "AWS::SQS::Queue"}, sum.ResourceTypes); diff != "" {
		t.Error(diff)
	}
	if n := len(sum.Parameters); n != 4 {
		t.Errorf("%d parameters", n)
	}
	body := "Resources:\n  R: {Type: AWS::IAM::Role, Properties: {RoleName: r, AssumeRolePolicyDocument: {}}}\n"
	v, err := c.ValidateTemplate(ctx, &cloudformation.ValidateTemplateInput{TemplateBody: &body})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]types.Capability{types.CapabilityCapabilityNamedIam}, v.Capabilities); diff != "" {
		t.Error(diff)
	}
}
