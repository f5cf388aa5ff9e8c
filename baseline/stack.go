package baseline

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/orgguard/orgguard/orgs"
)

// stackState is a plain stack as CloudFormation describes it.
type stackState struct {
	Exists bool
	Ours   bool // has the tag of what orgguard makes
	Status string
	Body   string
	Params map[string]string
}

// failedCreation says whether the stack is the remains of a creation that
// failed, which CloudFormation lets nobody update.
func (s stackState) failedCreation() bool {
	return s.Status == string(types.StackStatusRollbackComplete) || s.Status == string(types.StackStatusRollbackFailed) || s.Status == string(types.StackStatusCreateFailed)
}

// inProgress says whether CloudFormation works on the stack: an earlier run may
// have been stopped, and its work goes on. A stack in review waits for somebody.
func (s stackState) inProgress() bool {
	return strings.HasSuffix(s.Status, "_IN_PROGRESS") && s.Status != string(types.StackStatusReviewInProgress)
}

// is says whether the stack has the unit's template and parameters.
func (s stackState) is(u *composed) bool {
	return s.Exists && strings.TrimSpace(s.Body) == strings.TrimSpace(u.body) && equalParams(s.Params, u.params)
}

// observeStack reads a stack.
func observeStack(ctx context.Context, s site, name string) (stackState, error) {
	out, err := s.CloudFormation.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(name)}, s.at.CloudFormation)
	if orgs.Code(err) == "ValidationError" && strings.Contains(err.Error(), "does not exist") { // the API has no code of its own for it
		return stackState{}, nil
	}
	if err != nil {
		return stackState{}, fmt.Errorf("describe stack %s: %w", name, err)
	}
	if len(out.Stacks) == 0 {
		return stackState{}, nil
	}
	st := stackState{Exists: true, Ours: ours(out.Stacks[0].Tags), Status: string(out.Stacks[0].StackStatus), Params: map[string]string{}}
	for _, p := range out.Stacks[0].Parameters {
		st.Params[aws.ToString(p.ParameterKey)] = aws.ToString(p.ParameterValue)
	}
	t, err := s.CloudFormation.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: aws.String(name), TemplateStage: types.TemplateStageOriginal}, s.at.CloudFormation)
	if err != nil {
		return stackState{}, fmt.Errorf("get the template of stack %s: %w", name, err)
	}
	st.Body = aws.ToString(t.TemplateBody)
	return st, nil
}

// putStack creates or updates a stack and waits until it is done.
func putStack(ctx context.Context, s site, u *composed, st stackState) error {
	if st.inProgress() {
		var err error
		if st, err = settled(ctx, s, u.Stack); err != nil || st.is(u) && !st.failedCreation() {
			return err
		}
	}
	if st.Exists && st.failedCreation() {
		if err := dropStack(ctx, s, u.Stack); err != nil {
			return err
		}
		st.Exists = false
	}
	var err error
	if st.Exists {
		_, err = s.CloudFormation.UpdateStack(ctx, &cloudformation.UpdateStackInput{
			StackName: aws.String(u.Stack), TemplateBody: aws.String(u.body), Parameters: u.parameterList(), Capabilities: capabilities, Tags: tags,
		}, s.at.CloudFormation)
		if orgs.Code(err) == "ValidationError" && strings.Contains(err.Error(), "No updates are to be performed") {
			return nil
		}
	} else {
		_, err = s.CloudFormation.CreateStack(ctx, &cloudformation.CreateStackInput{
			StackName: aws.String(u.Stack), TemplateBody: aws.String(u.body), Parameters: u.parameterList(), Capabilities: capabilities, Tags: tags,
		}, s.at.CloudFormation)
	}
	if err != nil && orgs.Code(err) != "AlreadyExistsException" {
		return fmt.Errorf("deploy stack %s in %s %s: %w", u.Stack, s.at.Account, s.at.Region, err)
	}
	return waitStack(ctx, s, u.Stack, false)
}

// settled waits until nothing is in progress in a stack, whatever comes of it, and
// reads it.
func settled(ctx context.Context, s site, name string) (stackState, error) {
	for pause := 100 * time.Millisecond; ; pause = min(pause*3/2, 5*time.Second) {
		st, err := observeStack(ctx, s, name)
		if err != nil || !st.inProgress() {
			return st, err
		}
		if err := orgs.Pause(ctx, pause); err != nil {
			return st, fmt.Errorf("stopped waiting for stack %s, which goes on: %w", name, err)
		}
	}
}

// waitStack waits until what was begun in a stack has succeeded.
func waitStack(ctx context.Context, s site, name string, gone bool) error {
	for pause := 100 * time.Millisecond; ; pause = min(pause*3/2, 5*time.Second) {
		out, err := s.CloudFormation.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(name)}, s.at.CloudFormation)
		if err != nil {
			if gone && orgs.Code(err) == "ValidationError" {
				return nil
			}
			return fmt.Errorf("describe stack %s: %w", name, err)
		}
		if len(out.Stacks) > 0 {
			switch status := out.Stacks[0].StackStatus; {
			case strings.HasSuffix(string(status), "_IN_PROGRESS"):
			case status == types.StackStatusCreateComplete || status == types.StackStatusUpdateComplete:
				if !gone {
					return nil
				}
			case gone && status == types.StackStatusDeleteComplete:
				return nil
			default:
				return &orgs.Hinted{
					Err:  fmt.Errorf("stack %s in %s %s ended %s: %s", name, s.at.Account, s.at.Region, status, stackReason(ctx, s, name, aws.ToString(out.Stacks[0].StackStatusReason))),
					Next: "mend the cause and run the rollout again",
				}
			}
		}
		if err := orgs.Pause(ctx, pause); err != nil {
			return fmt.Errorf("stopped waiting for stack %s, which goes on: %w", name, err)
		}
	}
}

// stackReason finds the event that began the failure: the oldest failed one that
// is not merely a consequence.
func stackReason(ctx context.Context, s site, name, otherwise string) string {
	out, err := s.CloudFormation.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: aws.String(name)}, s.at.CloudFormation)
	if err != nil {
		return strings.TrimSpace(otherwise + " (its events could not be read: " + orgs.Reason(err) + ")")
	}
	reason := otherwise
	for _, e := range out.StackEvents { // newest first
		if r := aws.ToString(e.ResourceStatusReason); strings.HasSuffix(string(e.ResourceStatus), "_FAILED") && r != "" && !strings.Contains(r, "ancelled") {
			reason = aws.ToString(e.LogicalResourceId) + ": " + r
		}
	}
	return reason
}

// dropStack deletes a stack, by name or ARN, and waits until it is gone. One that is
// not there is what was wanted.
func dropStack(ctx context.Context, s site, name string) error {
	if _, err := s.CloudFormation.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: aws.String(name)}, s.at.CloudFormation); err != nil {
		return fmt.Errorf("delete stack %s in %s %s: %w", name, s.at.Account, s.at.Region, err)
	}
	return waitStack(ctx, s, name, true)
}
