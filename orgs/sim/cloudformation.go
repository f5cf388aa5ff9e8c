package sim

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
)

// cfnPage is how many stacks, stack sets, operations or resources one page of
// a CloudFormation listing holds at most.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListStackInstances.html
const cfnPage = 100

// cloudformationOps is every operation of CloudFormation the world answers.
// Stack sets are in stacksets*.go, stacks in stacks*.go, and what happens
// inside a stack in cfn_*.go.
var cloudformationOps = map[string]operation{
	"CreateStack": on(op(write, createStack), func(c *call, in *cloudformation.CreateStackInput) string { return stackResourceARN(c, in.StackName) }),
	"UpdateStack": on(op(write, updateStack), func(c *call, in *cloudformation.UpdateStackInput) string { return stackResourceARN(c, in.StackName) }),
	"DeleteStack": on(op(write, deleteStack), func(c *call, in *cloudformation.DeleteStackInput) string { return stackResourceARN(c, in.StackName) }),
	"UpdateTerminationProtection": on(op(write, updateTerminationProtection), func(c *call, in *cloudformation.UpdateTerminationProtectionInput) string {
		return stackResourceARN(c, in.StackName)
	}),
	"DescribeStacks": on(op(read, describeStacks), func(c *call, in *cloudformation.DescribeStacksInput) string { return stackResourceARN(c, in.StackName) }),
	"DescribeStackEvents": on(op(read, describeStackEvents), func(c *call, in *cloudformation.DescribeStackEventsInput) string {
		return stackResourceARN(c, in.StackName)
	}),
	"DescribeStackResources": on(op(read, describeStackResources), func(c *call, in *cloudformation.DescribeStackResourcesInput) string {
		return stackResourceARN(c, in.StackName)
	}),
	"ListStackResources": on(op(read, listStackResources), func(c *call, in *cloudformation.ListStackResourcesInput) string {
		return stackResourceARN(c, in.StackName)
	}),
	"GetTemplate":        on(op(read, getTemplate), func(c *call, in *cloudformation.GetTemplateInput) string { return stackResourceARN(c, in.StackName) }),
	"ListStacks":         op(read, listStacks),
	"ListExports":        op(read, listExports),
	"ValidateTemplate":   op(read, validateTemplate),
	"GetTemplateSummary": op(read, getTemplateSummary),

	"CreateStackSet": on(op(write, createStackSet), func(c *call, in *cloudformation.CreateStackSetInput) string { return stackSetARN(c, in.StackSetName) }),
	"UpdateStackSet": on(op(write, updateStackSet), func(c *call, in *cloudformation.UpdateStackSetInput) string { return stackSetARN(c, in.StackSetName) }),
	"DeleteStackSet": on(op(write, deleteStackSet), func(c *call, in *cloudformation.DeleteStackSetInput) string { return stackSetARN(c, in.StackSetName) }),
	"CreateStackInstances": on(op(write, createStackInstances), func(c *call, in *cloudformation.CreateStackInstancesInput) string {
		return stackSetARN(c, in.StackSetName)
	}),
	"UpdateStackInstances": on(op(write, updateStackInstances), func(c *call, in *cloudformation.UpdateStackInstancesInput) string {
		return stackSetARN(c, in.StackSetName)
	}),
	"DeleteStackInstances": on(op(write, deleteStackInstances), func(c *call, in *cloudformation.DeleteStackInstancesInput) string {
		return stackSetARN(c, in.StackSetName)
	}),
	"DetectStackSetDrift": on(op(write, detectStackSetDrift), func(c *call, in *cloudformation.DetectStackSetDriftInput) string {
		return stackSetARN(c, in.StackSetName)
	}),
	"StopStackSetOperation": on(op(write, stopStackSetOperation), func(c *call, in *cloudformation.StopStackSetOperationInput) string {
		return stackSetARN(c, in.StackSetName)
	}),
	"DescribeStackSet": on(op(read, describeStackSet), func(c *call, in *cloudformation.DescribeStackSetInput) string { return stackSetARN(c, in.StackSetName) }),
	"DescribeStackInstance": on(op(read, describeStackInstance), func(c *call, in *cloudformation.DescribeStackInstanceInput) string {
		return stackSetARN(c, in.StackSetName)
	}),
	"DescribeStackSetOperation": on(op(read, describeStackSetOperation), func(c *call, in *cloudformation.DescribeStackSetOperationInput) string {
		return stackSetARN(c, in.StackSetName)
	}),
	"ListStackInstances": on(op(read, listStackInstances), func(c *call, in *cloudformation.ListStackInstancesInput) string {
		return stackSetARN(c, in.StackSetName)
	}),
	"ListStackInstanceResourceDrifts": on(op(read, listStackInstanceResourceDrifts), func(c *call, in *cloudformation.ListStackInstanceResourceDriftsInput) string {
		return stackSetARN(c, in.StackSetName)
	}),
	"ListStackSetOperations": on(op(read, listStackSetOperations), func(c *call, in *cloudformation.ListStackSetOperationsInput) string {
		return stackSetARN(c, in.StackSetName)
	}),
	"ListStackSetOperationResults": on(op(read, listStackSetOperationResults), func(c *call, in *cloudformation.ListStackSetOperationResultsInput) string {
		return stackSetARN(c, in.StackSetName)
	}),
	"ListStackSetAutoDeploymentTargets": on(op(read, listStackSetAutoDeploymentTargets), func(c *call, in *cloudformation.ListStackSetAutoDeploymentTargetsInput) string {
		return stackSetARN(c, in.StackSetName)
	}),
	"ListStackSets":                 op(read, listStackSets),
	"ActivateOrganizationsAccess":   op(write, activateOrganizationsAccess),
	"DeactivateOrganizationsAccess": op(write, deactivateOrganizationsAccess),
	"DescribeOrganizationsAccess":   op(read, describeOrganizationsAccess),
}

// validationError is CloudFormation's answer to a request it cannot accept.
// The query API names it ValidationError, without "Exception".
func validationError(format string, args ...any) error {
	return apiError("ValidationError", format, args...)
}

// cfnToken makes a page's NextToken of the place in the listing where the next
// page starts, and of what was there.
func cfnToken(scope, key string, at int) *string {
	return aws.String(base64.RawURLEncoding.EncodeToString([]byte(scope + "\x00" + strconv.Itoa(at) + "\x00" + key)))
}

// cfnTokenPlace reads a NextToken back; scope ties it to one listing.
func cfnTokenPlace(scope string, token *string) (key string, at int, err error) {
	if token == nil {
		return "", 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*token)
	parts := strings.SplitN(string(raw), "\x00", 3)
	if err == nil && len(parts) == 3 && parts[0] == scope {
		if at, err = strconv.Atoi(parts[1]); err == nil && at > 0 {
			return parts[2], at, nil
		}
	}
	return "", 0, validationError("NextToken is invalid")
}

// cfnPageOf cuts one page out of n things that are sorted by key(i). limit is
// the caller's MaxResults, at most cfnPage.
func cfnPageOf(scope string, token *string, limit *int32, n int, key func(int) string) (from, to int, next *string, err error) {
	start, at, err := cfnTokenPlace(scope, token)
	if err != nil {
		return 0, 0, nil, err
	}
	size := cfnPage
	if limit != nil {
		if *limit < 1 || *limit > cfnPage {
			return 0, 0, nil, validationError("1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to %d", *limit, cfnPage)
		}
		size = int(*limit)
	}
	// The listing may have grown or shrunk since the last page.
	if from = min(at, n); at > 0 && (at >= n || key(at) != start) {
		for i := range n {
			if key(i) == start {
				from = i
			}
		}
	}
	to = min(from+size, n)
	if to < n {
		next = cfnToken(scope, key(to), to)
	}
	return from, to, next, nil
}

// cfnARN is the ARN of something of CloudFormation's in an account × Region.
func (w *World) cfnARN(region, account, resource string) string {
	return fmt.Sprintf("arn:%s:cloudformation:%s:%s:%s", w.state.Partition, region, account, resource)
}

// urlSuffix is the domain of the world's partition, which AWS::URLSuffix gives.
func (w *World) urlSuffix() string {
	if w.state.Partition == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}
