package sim

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/orgguard/orgguard/orgs"
)

var tagPattern = orgs.NewPattern(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// checkTags checks tags that come on top of those a resource has.
func checkTags(tags []types.Tag, have map[string]string) error {
	seen := map[string]bool{}
	total := len(have)
	for _, t := range tags {
		key, value := aws.ToString(t.Key), aws.ToString(t.Value)
		switch {
		case seen[key]:
			return invalidInput(types.InvalidInputExceptionReasonDuplicateTagKey, "You provided the same tag key twice.")
		case key == "" || utf8.RuneCountInString(key) > 128 || utf8.RuneCountInString(value) > 256 || !tagPattern.MatchString(key) || !tagPattern.MatchString(value):
			return invalidInput(types.InvalidInputExceptionReasonInvalidPattern, "You provided a tag that doesn't match the required pattern.")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return invalidInput(types.InvalidInputExceptionReasonInvalidSystemTagsParameter, "You specified a tag key that is a system tag. System tags can't be added.")
		}
		seen[key] = true
		if _, ok := have[key]; !ok {
			total++
		}
	}
	if total > maxPolicyTags {
		return constraint(types.ConstraintViolationExceptionReasonMaxTagLimitExceeded, "You have exceeded the number of tags allowed on this resource.")
	}
	return nil
}

// setOrgTags adds tags to a root, OU, account or policy.
func (w *World) setOrgTags(id string, tags []types.Tag) error {
	o := &w.state.Org
	if err := checkTags(tags, o.Tags[id]); err != nil || len(tags) == 0 {
		return err
	}
	if o.Tags == nil {
		o.Tags = map[string]map[string]string{}
	}
	if o.Tags[id] == nil {
		o.Tags[id] = map[string]string{}
	}
	for _, t := range tags {
		o.Tags[id][aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return nil
}

// taggable says whether an id names something with tags.
func (o *orgState) taggable(id string) bool { return o.targetExists(id) || o.Policies[id] != nil }

func tagOrgResource(c *call, in *organizations.TagResourceInput) (*organizations.TagResourceOutput, error) {
	id := aws.ToString(in.ResourceId)
	if !c.w.state.Org.taggable(id) {
		return nil, targetNotFound()
	}
	if err := c.w.setOrgTags(id, in.Tags); err != nil {
		return nil, err
	}
	return &organizations.TagResourceOutput{}, nil
}

func untagOrgResource(c *call, in *organizations.UntagResourceInput) (*organizations.UntagResourceOutput, error) {
	o, id := &c.w.state.Org, aws.ToString(in.ResourceId)
	if !o.taggable(id) {
		return nil, targetNotFound()
	}
	for _, key := range in.TagKeys {
		delete(o.Tags[id], key)
	}
	return &organizations.UntagResourceOutput{}, nil
}

// listOrgTags has no page size of its own: a resource has 50 tags at most.
func listOrgTags(c *call, in *organizations.ListTagsForResourceInput) (*organizations.ListTagsForResourceOutput, error) {
	o, id := &c.w.state.Org, aws.ToString(in.ResourceId)
	if !o.taggable(id) {
		return nil, targetNotFound()
	}
	all := []types.Tag{}
	for _, key := range slices.Sorted(maps.Keys(o.Tags[id])) {
		all = append(all, types.Tag{Key: aws.String(key), Value: aws.String(o.Tags[id][key])})
	}
	page, next, ok := pageOf(c, all, maxPolicyTags, in.NextToken)
	if !ok {
		return nil, invalidInput(types.InvalidInputExceptionReasonInvalidPaginationToken, "You specified an invalid value for NextToken.")
	}
	return &organizations.ListTagsForResourceOutput{Tags: page, NextToken: next}, nil
}
