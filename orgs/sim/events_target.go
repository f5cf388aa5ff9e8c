package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/orgguard/orgguard/orgs/eventpattern"
)

// sortedNames returns the keys of a map in order: nothing a world does may
// depend on the order of a map.
func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// putTargets adds targets to a rule or replaces those with the same ids. It
// refuses the whole call when one target is malformed; failed entries are, in
// AWS, the work of concurrent calls, which a world does not have.
func putTargets(c *call, in *eventbridge.PutTargetsInput) (*eventbridge.PutTargetsOutput, error) {
	b, r, err := ruleFor(c, in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(r.Targets)
	if next == nil {
		next = map[string]types.Target{}
	}
	seen := map[string]bool{}
	for _, t := range in.Targets {
		id := aws.ToString(t.Id)
		if seen[id] {
			return nil, apiError("ValidationException", "Target Id %s is duplicated.", id)
		}
		seen[id] = true
		if err := checkTarget(b, t); err != nil {
			return nil, err
		}
		if err := c.passRole(aws.ToString(t.RoleArn)); err != nil {
			return nil, err
		}
		next[id] = detach(t)
	}
	if len(next) > maxTargets {
		return nil, eventsLimit()
	}
	r.Targets = next
	return &eventbridge.PutTargetsOutput{FailedEntries: []types.PutTargetsResultEntry{}}, nil
}

// checkTarget refuses targets that EventBridge would refuse. It does not look
// at whether the target exists: EventBridge does not either.
func checkTarget(b foundBus, t types.Target) error {
	id := aws.ToString(t.Id)
	refuse := func(format string, args ...any) error { return apiError("ValidationException", format, args...) }
	if !eventsName.MatchString(id) {
		return refuse("1 validation error detected: Value '%s' at 'targets.1.member.id' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+", id)
	}
	service, region, account, resource, ok := arnParts(aws.ToString(t.Arn))
	if !ok || service == "" || resource == "" {
		return refuse("Parameter %s is not valid. Reason: Provided Arn is not in correct format.", aws.ToString(t.Arn))
	}
	if err := checkInput(t); err != nil {
		return err
	}
	role, here := aws.ToString(t.RoleArn), account == b.account && region == b.region
	if role != "" {
		if s, _, _, res, ok := arnParts(role); !ok || s != "iam" || !strings.HasPrefix(res, "role/") {
			return refuse("Parameter %s is not valid. Reason: Provided RoleArn is not in correct format.", role)
		}
	}
	switch service {
	case "events":
		switch {
		case resource == "event-bus/"+b.Name && here:
			return refuse("Parameter %s is not valid. Reason: the source and the target event bus must not be the same.", *t.Arn)
		case role == "" && !here: // since March 2023 for other accounts
			return refuse("RoleArn is required for target %s.", *t.Arn)
		}
	case "states":
		if role == "" {
			return refuse("RoleArn is required for target %s.", *t.Arn)
		}
	case "sns", "sqs":
		switch {
		case region != b.region:
			return refuse("Parameter %s is not valid. Reason: the target must be in the Region of the rule.", *t.Arn)
		case account != b.account && role == "":
			return refuse("RoleArn is required for target %s.", *t.Arn)
		case strings.HasSuffix(resource, ".fifo") && service == "sqs" && (t.SqsParameters == nil || aws.ToString(t.SqsParameters.MessageGroupId) == ""):
			return refuse("Parameter(s) SqsParameters must be specified for target: %s.", id)
		}
	}
	if t.DeadLetterConfig != nil {
		if s, r, _, q, ok := arnParts(aws.ToString(t.DeadLetterConfig.Arn)); !ok || s != "sqs" || r != b.region || strings.HasSuffix(q, ".fifo") {
			return refuse("Parameter DeadLetterConfig is not valid for target %s. Reason: the dead-letter queue must be a standard queue in the Region of the rule.", id)
		}
	}
	if p := t.RetryPolicy; p != nil {
		if n := aws.ToInt32(p.MaximumRetryAttempts); n < 0 || n > 185 {
			return refuse("Parameter MaximumRetryAttempts is not valid for target %s. Reason: must be between 0 and 185.", id)
		}
		if p.MaximumEventAgeInSeconds != nil && (*p.MaximumEventAgeInSeconds < 60 || *p.MaximumEventAgeInSeconds > 86400) {
			return refuse("Parameter MaximumEventAgeInSeconds is not valid for target %s. Reason: must be between 60 and 86400.", id)
		}
	}
	return nil
}

// checkInput refuses a target that says twice what it is to be sent, or badly.
func checkInput(t types.Target) error {
	id, given := aws.ToString(t.Id), 0
	for _, has := range []bool{t.Input != nil, t.InputPath != nil, t.InputTransformer != nil} {
		if has {
			given++
		}
	}
	switch {
	case given > 1:
		return apiError("ValidationException", "Only one of Input, InputPath, or InputTransformer must be provided for target %s.", id)
	case t.Input != nil && (!json.Valid([]byte(*t.Input)) || len(*t.Input) > 8192):
		return apiError("ValidationException", "JSON syntax error in input for target %s", id)
	case t.InputPath != nil:
		if _, err := eventpattern.Select(*t.InputPath, nil); err != nil {
			return apiError("ValidationException", "Invalid InputPath for target %s : [%v]", id, err)
		}
	case t.InputTransformer != nil:
		if err := eventpattern.CheckTransformer(t.InputTransformer.InputPathsMap, aws.ToString(t.InputTransformer.InputTemplate)); err != nil {
			return apiError("ValidationException", "Invalid InputTemplate for target %s : [%v]", id, err)
		}
	}
	return nil
}

// removeTargets removes targets; ids that are not there are no error.
func removeTargets(c *call, in *eventbridge.RemoveTargetsInput) (*eventbridge.RemoveTargetsOutput, error) {
	_, r, err := ruleFor(c, in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	for _, id := range in.Ids {
		delete(r.Targets, id)
	}
	return &eventbridge.RemoveTargetsOutput{FailedEntries: []types.RemoveTargetsResultEntry{}}, nil
}

func listTargetsByRule(c *call, in *eventbridge.ListTargetsByRuleInput) (*eventbridge.ListTargetsByRuleOutput, error) {
	_, r, err := ruleFor(c, in.EventBusName, in.Rule)
	if err != nil {
		return nil, err
	}
	page, next, ok := pageOf(c, sortedNames(r.Targets), eventsPage(in.Limit), in.NextToken)
	if !ok {
		return nil, invalidEventsToken()
	}
	out := &eventbridge.ListTargetsByRuleOutput{Targets: []types.Target{}, NextToken: next}
	for _, id := range page {
		out.Targets = append(out.Targets, detach(r.Targets[id]))
	}
	return out, nil
}

func listRuleNamesByTarget(c *call, in *eventbridge.ListRuleNamesByTargetInput) (*eventbridge.ListRuleNamesByTargetOutput, error) {
	b, err := busFor(c, in.EventBusName)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range sortedNames(b.Rules) {
		for _, t := range b.Rules[name].Targets {
			if aws.ToString(t.Arn) == aws.ToString(in.TargetArn) {
				names = append(names, name)
				break
			}
		}
	}
	page, next, ok := pageOf(c, names, eventsPage(in.Limit), in.NextToken)
	if !ok {
		return nil, invalidEventsToken()
	}
	return &eventbridge.ListRuleNamesByTargetOutput{RuleNames: append([]string{}, page...), NextToken: next}, nil
}
