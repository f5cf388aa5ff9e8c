package sim

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

const topicTemplate = `
Parameters: {Word: {Type: String, Default: first}}
Resources:
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: guard, DisplayName: !Ref Word}}
Outputs:
  Topic: {Value: !Ref Topic}
  Name: {Value: !GetAtt Topic.TopicName}
  Text: {Value: !Sub "${AWS::AccountId} ${AWS::Region} ${Word}"}
`

// topicWord is the display name of the topic that topicTemplate makes.
func topicWord(ctx context.Context, s *script, step, account, region string) {
	see(s, step, func(o *sns.GetTopicAttributesOutput) any { return o.Attributes["DisplayName"] })(
		sns.NewFromConfig(s.in(account, region)).GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String("arn:aws:sns:" + region + ":" + s.ids[account] + ":guard")}))
}

func stacks(ctx context.Context, s *script) {
	c := cloudformation.NewFromConfig(s.in("security", "eu-west-1"))
	name, body := aws.String("guard"), aws.String(topicTemplate)
	word := func(v string) []types.Parameter {
		return []types.Parameter{{ParameterKey: aws.String("Word"), ParameterValue: &v}}
	}
	describe := func(step string) {
		see(s, step, func(o *cloudformation.DescribeStacksOutput) any {
			st := o.Stacks[0]
			outputs, params := map[string]string{}, map[string]string{}
			for _, out := range st.Outputs {
				outputs[*out.OutputKey] = *out.OutputValue
			}
			for _, p := range st.Parameters {
				params[*p.ParameterKey] = *p.ParameterValue
			}
			return []any{st.StackStatus, params, outputs}
		})(c.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: name}))
	}
	describe("no stack")
	s.did("a stack")(c.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: name, TemplateBody: body}))
	describe("it is complete")
	s.did("the same again")(c.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: name, TemplateBody: body}))
	topicWord(ctx, s, "its topic", "security", "eu-west-1")
	see(s, "its resources", func(o *cloudformation.ListStackResourcesOutput) any {
		list := []string{}
		for _, r := range o.StackResourceSummaries {
			list = append(list, *r.LogicalResourceId+" "+*r.ResourceType+" "+string(r.ResourceStatus)+" "+s.name(*r.PhysicalResourceId))
		}
		return list
	})(c.ListStackResources(ctx, &cloudformation.ListStackResourcesInput{StackName: name}))
	see(s, "its template", func(o *cloudformation.GetTemplateOutput) any { return *o.TemplateBody == topicTemplate })(
		c.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: name, TemplateStage: types.TemplateStageOriginal}))
	s.did("another parameter")(c.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: name, TemplateBody: body, Parameters: word("second")}))
	describe("it is updated")
	topicWord(ctx, s, "and so is its topic", "security", "eu-west-1")
	s.did("an update of nothing")(c.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: name, TemplateBody: body, Parameters: word("second")}))
	s.did("a parameter that the template does not have")(c.CreateStack(ctx, &cloudformation.CreateStackInput{
		StackName: aws.String("bad"), TemplateBody: body, Parameters: []types.Parameter{{ParameterKey: aws.String("Colour"), ParameterValue: aws.String("red")}},
	}))
	s.did("an update of no stack")(c.UpdateStack(ctx, &cloudformation.UpdateStackInput{StackName: aws.String("none"), TemplateBody: body}))
	s.did("the template of no stack")(c.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: aws.String("none")}))
	s.did("delete it")(c.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: name}))
	describe("it is gone")
	topicWord(ctx, s, "its topic is gone", "security", "eu-west-1")
	s.did("delete it again")(c.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: name}))
	s.did("a template without resources")(c.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("void"), TemplateBody: aws.String("Description: nothing\n")}))
	s.did("a role without the capability")(c.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("role"), TemplateBody: aws.String(
		"Resources: {R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: " + trusting("config.amazonaws.com") + "}}}")}))
	s.did("a type that does not exist")(c.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: aws.String("moon"), TemplateBody: aws.String("Resources: {R: {Type: Foo::Bar::Baz}}")}))
}

func stackSets(ctx context.Context, s *script) {
	c := cloudformation.NewFromConfig(s.in("management", "eu-west-1"))
	name, body := aws.String("guard"), aws.String(topicTemplate)
	create := func(step string, change func(*cloudformation.CreateStackSetInput)) {
		in := &cloudformation.CreateStackSetInput{
			StackSetName: name, TemplateBody: body, PermissionModel: types.PermissionModelsServiceManaged,
			AutoDeployment: &types.AutoDeployment{Enabled: aws.Bool(true), RetainStacksOnAccountRemoval: aws.Bool(false)},
		}
		change(in)
		s.did(step)(c.CreateStackSet(ctx, in))
	}
	operation := func(step string, id *string, err error) {
		if err != nil {
			s.note(step, nil, err)
			return
		}
		see(s, step, func(o *cloudformation.DescribeStackSetOperationOutput) any {
			return []any{o.StackSetOperation.Action, o.StackSetOperation.Status}
		})(c.DescribeStackSetOperation(ctx, &cloudformation.DescribeStackSetOperationInput{StackSetName: name, OperationId: id}))
	}
	// instances are those of an account; "" is all of them.
	instances := func(step, account string) {
		see(s, step, func(o *cloudformation.ListStackInstancesOutput) any {
			list := []string{}
			for _, i := range o.Summaries {
				if account == "" || *i.Account == s.ids[account] {
					list = append(list, s.name(*i.Account)+" "+*i.Region+" "+string(i.Status))
				}
			}
			slices.Sort(list)
			return list
		})(c.ListStackInstances(ctx, &cloudformation.ListStackInstancesInput{StackSetName: name, MaxResults: aws.Int32(100)}))
	}
	deploy := func(step string, ou string, regions ...string) *string {
		out, err := c.CreateStackInstances(ctx, &cloudformation.CreateStackInstancesInput{
			StackSetName: name, Regions: regions, DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: []string{s.ids[ou]}},
		})
		if err != nil {
			s.note(step, nil, err)
			return nil
		}
		operation(step, out.OperationId, nil)
		return out.OperationId
	}

	create("a stack set without trusted access", func(in *cloudformation.CreateStackSetInput) { in.StackSetName = aws.String("early") })
	see(s, "trusted access", func(o *cloudformation.DescribeOrganizationsAccessOutput) any { return o.Status })(
		c.DescribeOrganizationsAccess(ctx, &cloudformation.DescribeOrganizationsAccessInput{}))
	s.did("activate it")(c.ActivateOrganizationsAccess(ctx, &cloudformation.ActivateOrganizationsAccessInput{}))
	see(s, "a stack set that does not exist", func(o *cloudformation.DescribeStackSetOutput) any { return o.StackSet.Status })(
		c.DescribeStackSet(ctx, &cloudformation.DescribeStackSetInput{StackSetName: name}))
	create("a stack set", func(*cloudformation.CreateStackSetInput) {})
	see(s, "what it is", func(o *cloudformation.DescribeStackSetOutput) any {
		return []any{o.StackSet.Status, o.StackSet.PermissionModel, *o.StackSet.TemplateBody == topicTemplate}
	})(c.DescribeStackSet(ctx, &cloudformation.DescribeStackSetInput{StackSetName: name}))
	see(s, "its deployment by itself", func(o *cloudformation.DescribeStackSetOutput) any {
		if o.StackSet.AutoDeployment == nil {
			return nil
		}
		return aws.ToBool(o.StackSet.AutoDeployment.Enabled)
	})(c.DescribeStackSet(ctx, &cloudformation.DescribeStackSetInput{StackSetName: name}))
	instances("no instances", "")

	first := deploy("deploy to an OU", "Prod", "eu-west-1", "us-east-1")
	instances("its instances", "")
	see(s, "how many, asked for one account", func(o *cloudformation.ListStackInstancesOutput) any { return len(o.Summaries) })(
		c.ListStackInstances(ctx, &cloudformation.ListStackInstancesInput{StackSetName: name, StackInstanceAccount: aws.String(s.ids["shop"])}))
	see(s, "three a page", func(o *cloudformation.ListStackInstancesOutput) any {
		return []any{len(o.Summaries), o.NextToken != nil}
	})(
		c.ListStackInstances(ctx, &cloudformation.ListStackInstancesInput{StackSetName: name, MaxResults: aws.Int32(3)}))
	topicWord(ctx, s, "a topic in an account", "shop", "eu-west-1")
	topicWord(ctx, s, "a topic in the other Region of another", "pay", "us-east-1")
	topicWord(ctx, s, "no topic in another OU", "lab", "eu-west-1")
	if first != nil {
		see(s, "the results of the operation", func(o *cloudformation.ListStackSetOperationResultsOutput) any {
			list := []string{}
			for _, r := range o.Summaries {
				list = append(list, s.name(*r.Account)+" "+*r.Region+" "+string(r.Status))
			}
			slices.Sort(list)
			return list
		})(c.ListStackSetOperationResults(ctx, &cloudformation.ListStackSetOperationResultsInput{StackSetName: name, OperationId: first}))
	}
	s.did("an operation that does not exist")(c.DescribeStackSetOperation(ctx, &cloudformation.DescribeStackSetOperationInput{StackSetName: name, OperationId: aws.String("none")}))
	s.did("an instance that does not exist")(c.DescribeStackInstance(ctx, &cloudformation.DescribeStackInstanceInput{
		StackSetName: name, StackInstanceAccount: aws.String(s.ids["lab"]), StackInstanceRegion: aws.String("eu-west-1"),
	}))
	s.did("delete a set that has instances")(c.DeleteStackSet(ctx, &cloudformation.DeleteStackSetInput{StackSetName: name}))
	deploy("deploy to an OU with OUs in it", "Workloads", "eu-west-1")
	instances("the OU below it is in", "lab")
	update, err := c.UpdateStackSet(ctx, &cloudformation.UpdateStackSetInput{
		StackSetName: name, UsePreviousTemplate: aws.Bool(true), Parameters: []types.Parameter{{ParameterKey: aws.String("Word"), ParameterValue: aws.String("second")}},
	})
	if err == nil {
		operation("another parameter", update.OperationId, nil)
	} else {
		operation("another parameter", nil, err)
	}
	topicWord(ctx, s, "the topic has changed", "shop", "eu-west-1")
	deploy("deploy to the root", "root", "eu-west-1")
	instances("never to the management account", "management")
	instances("but to the others", "spare-20")
	create("a set of the same name", func(*cloudformation.CreateStackSetInput) {})

	deleted, err := c.DeleteStackInstances(ctx, &cloudformation.DeleteStackInstancesInput{
		StackSetName: name, Regions: []string{"eu-west-1", "us-east-1"}, RetainStacks: aws.Bool(false), DeploymentTargets: &types.DeploymentTargets{OrganizationalUnitIds: []string{s.ids["Prod"]}},
	})
	if err == nil {
		operation("take it away from an OU", deleted.OperationId, nil)
	} else {
		operation("take it away from an OU", nil, err)
	}
	topicWord(ctx, s, "its topic is gone", "shop", "eu-west-1")
}
