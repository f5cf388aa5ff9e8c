package sim

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// checkAliasName refuses names that are not for customers.
func checkAliasName(name string) error {
	switch {
	case !strings.HasPrefix(name, "alias/") || len(name) == len("alias/"):
		return apiError("ValidationException", "Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html")
	case strings.HasPrefix(name, "alias/aws/"):
		return apiError("NotAuthorizedException", "The alias name %s is reserved for AWS.", name)
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-") != "" || len(name) > 256:
		return apiError("InvalidAliasNameException", "The alias name %s is not valid.", name)
	}
	return nil
}

// noAlias is the error for an alias that does not exist.
func noAlias(c *call, name string) error {
	return apiError("NotFoundException", "Alias %s is not found.", c.arn("kms", name))
}

func createAlias(c *call, in *kms.CreateAliasInput) (*kms.CreateAliasOutput, error) {
	name := aws.ToString(in.AliasName)
	if err := checkAliasName(name); err != nil {
		return nil, err
	}
	s := &c.here().KMS
	if s.Aliases[name] != nil {
		return nil, apiError("AlreadyExistsException", "An alias with the name %s already exists", c.arn("kms", name))
	}
	if strings.Contains(aws.ToString(in.TargetKeyId), "alias/") {
		return nil, apiError("ValidationException", "Aliases must refer to keys. Not aliases")
	}
	k, _, err := keyForChange(c, in.TargetKeyId)
	if err != nil {
		return nil, err
	}
	if s.Aliases == nil {
		s.Aliases = map[string]*kmsAlias{}
	}
	s.Aliases[name] = &kmsAlias{Key: k.ID, Created: c.now, Updated: c.now}
	return &kms.CreateAliasOutput{}, nil
}

func updateAlias(c *call, in *kms.UpdateAliasInput) (*kms.UpdateAliasOutput, error) {
	name := aws.ToString(in.AliasName)
	a := c.here().KMS.Aliases[name]
	if a == nil {
		return nil, noAlias(c, name)
	}
	k, _, err := keyForChange(c, in.TargetKeyId)
	if err != nil {
		return nil, err
	}
	a.Key, a.Updated = k.ID, c.now
	return &kms.UpdateAliasOutput{}, nil
}

func deleteAlias(c *call, in *kms.DeleteAliasInput) (*kms.DeleteAliasOutput, error) {
	name := aws.ToString(in.AliasName)
	s := &c.here().KMS
	if s.Aliases[name] == nil {
		return nil, noAlias(c, name)
	}
	if _, _, err := keyFor(c, in.AliasName); err != nil {
		return nil, err
	}
	delete(s.Aliases, name)
	return &kms.DeleteAliasOutput{}, nil
}

func listAliases(c *call, in *kms.ListAliasesInput) (*kms.ListAliasesOutput, error) {
	s := &c.here().KMS
	names := slices.Sorted(maps.Keys(s.Aliases))
	if in.KeyId != nil {
		k, _ := c.w.findKey(c.caller.Account, c.region, *in.KeyId)
		if k == nil {
			return nil, apiError("NotFoundException", "Key '%s' does not exist", *in.KeyId)
		}
		names = slices.DeleteFunc(names, func(n string) bool { return s.Aliases[n].Key != k.ID })
	}
	page, next, ok := pageOf(c, names, kmsLimit(in.Limit, 50, 100), in.Marker)
	if !ok {
		return nil, apiError("InvalidMarkerException", "The marker is not valid.")
	}
	out := &kms.ListAliasesOutput{Aliases: []types.AliasListEntry{}, NextMarker: next, Truncated: next != nil}
	for _, n := range page {
		a := s.Aliases[n]
		out.Aliases = append(out.Aliases, types.AliasListEntry{
			AliasName: aws.String(n), AliasArn: aws.String(c.arn("kms", n)), TargetKeyId: aws.String(a.Key),
			CreationDate: aws.Time(a.Created), LastUpdatedDate: aws.Time(a.Updated),
		})
	}
	return out, nil
}

func kmsTagResource(c *call, in *kms.TagResourceInput) (*kms.TagResourceOutput, error) {
	k, _, err := keyForChange(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	tags := maps.Clone(k.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	for _, t := range in.Tags {
		tags[aws.ToString(t.TagKey)] = aws.ToString(t.TagValue)
	}
	if len(tags) > maxTags {
		return nil, apiError("LimitExceededException", "Too many tags.")
	}
	k.Tags = tags
	return &kms.TagResourceOutput{}, nil
}

func kmsUntagResource(c *call, in *kms.UntagResourceInput) (*kms.UntagResourceOutput, error) {
	k, _, err := keyForChange(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(k.Tags, key)
	}
	return &kms.UntagResourceOutput{}, nil
}

func listResourceTags(c *call, in *kms.ListResourceTagsInput) (*kms.ListResourceTagsOutput, error) {
	k, _, err := keyFor(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	page, next, ok := pageOf(c, slices.Sorted(maps.Keys(k.Tags)), kmsLimit(in.Limit, 50, 50), in.Marker)
	if !ok {
		return nil, apiError("InvalidMarkerException", "The marker is not valid.")
	}
	out := &kms.ListResourceTagsOutput{Tags: []types.Tag{}, NextMarker: next, Truncated: next != nil}
	for _, t := range page {
		out.Tags = append(out.Tags, types.Tag{TagKey: aws.String(t), TagValue: aws.String(k.Tags[t])})
	}
	return out, nil
}
