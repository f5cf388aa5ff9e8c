package baseline

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/orgguard/orgguard/orgs"
)

// keyAliases are the aliases of the keys that templates make, by logical id. KMS gives
// keys their ids, so the alias is how a key is found, and a key without it does not
// count as there. A test holds the templates to it.
var keyAliases = map[string]string{"AlertKey": alertKeyAlias, "TrailKey": "alias/orgguard-trail", "TrailLogKey": trailLogKeyAlias}

// alertKeyAlias is the alias of the key of the alert topic.
const alertKeyAlias = "alias/orgguard-alerts"

// trailLogKeyAlias is the alias of the key of the trail's log group.
const trailLogKeyAlias = "alias/orgguard-trail-logs"

// keyAlias is the alias of a template's key.
func (r Resource) keyAlias() string { return keyAliases[r.LogicalID] }

// keyState is the customer managed key behind the alias.
type keyState struct {
	ID      string
	State   string // "Enabled", "Disabled", "PendingDeletion", …
	Policy  string
	Rotates bool
}

// Ref and Arn are marks and no key's: aliases and log groups refer to the key by them,
// and no API is asked about them.
var keyKind = kind{
	noun:       "key",
	attributes: map[string]string{"Ref": "{account}:key", "Arn": "{account}:key"},
	observe:    observeKey,
	compare:    compareKey,
	repair:     repairKey,
}

// behindAlias describes the key that an alias points to; nil when there is no
// such alias.
func (s site) behindAlias(ctx context.Context, alias string) (*types.KeyMetadata, error) {
	out, err := s.KMS.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(alias)}, s.at.KMS)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("describe the key of %s: %w", alias, err)
	}
	return out.KeyMetadata, nil
}

func observeKey(ctx context.Context, s site, r Resource) (any, error) {
	meta, err := s.behindAlias(ctx, r.keyAlias())
	if meta == nil || err != nil {
		return nil, err
	}
	st := keyState{ID: aws.ToString(meta.KeyId), State: string(meta.KeyState)}
	// Unlike DescribeKey, the others do not take an alias.
	policy, err := s.KMS.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: meta.KeyId}, s.at.KMS)
	if err != nil {
		return nil, fmt.Errorf("get policy of key %s: %w", st.ID, err)
	}
	st.Policy = aws.ToString(policy.Policy)
	if meta.KeyState == types.KeyStatePendingDeletion {
		return st, nil // it does not rotate, and it may be too late to ask
	}
	rotation, err := s.KMS.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: meta.KeyId}, s.at.KMS)
	if err != nil {
		return nil, fmt.Errorf("get rotation of key %s: %w", st.ID, err)
	}
	st.Rotates = rotation.KeyRotationEnabled
	return st, nil
}

func compareKey(r Resource, state any) []Mismatch {
	st := state.(keyState)
	var out []Mismatch
	if st.State != string(types.KeyStateEnabled) {
		out = append(out, Mismatch{
			Reason: "the key is " + keyStateWords(st.State), Verb: "enable",
			Expected: string(types.KeyStateEnabled), Actual: st.State,
		})
	}
	if want := r.Props["KeyPolicy"]; !sameJSON(want, st.Policy) {
		out = append(out, Mismatch{Reason: "the key's policy differs", Expected: want, Actual: fromJSON(st.Policy)})
	}
	if want, _ := r.Props["EnableKeyRotation"].(bool); want && !st.Rotates && st.State != string(types.KeyStatePendingDeletion) {
		out = append(out, Mismatch{Reason: "the key is not rotated", Expected: map[string]any{"rotation": true}, Actual: map[string]any{"rotation": false}})
	}
	return out
}

// keyStateWords is a key's state as it reads in a sentence.
func keyStateWords(state string) string {
	switch types.KeyState(state) {
	case types.KeyStateDisabled:
		return "disabled"
	case types.KeyStatePendingDeletion:
		return "about to be deleted"
	}
	return "not enabled"
}

// repairKey makes the key and its alias in one go: a key that is not found by
// its alias would be made again by the next rollout.
func repairKey(ctx context.Context, s site, r Resource, state any) error {
	st, exists := state.(keyState)
	if !exists {
		id, err := s.keyToName(ctx, r)
		if err != nil {
			return err
		}
		_, err = s.KMS.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String(r.keyAlias()), TargetKeyId: aws.String(id)}, s.at.KMS)
		if err != nil {
			return fmt.Errorf("create %s for key %s: %w", r.keyAlias(), id, err)
		}
		if state, err = observeKey(ctx, s, r); err != nil {
			return err
		}
		if st, exists = state.(keyState); !exists {
			return fmt.Errorf("%s was just created and is not there", r.keyAlias())
		}
	}
	if err := s.enableKey(ctx, st); err != nil {
		return err
	}
	if want := r.Props["KeyPolicy"]; !sameJSON(want, st.Policy) {
		_, err := s.KMS.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: aws.String(st.ID), Policy: aws.String(compact(want))}, s.at.KMS)
		if err != nil {
			return fmt.Errorf("put policy of key %s: %w", st.ID, err)
		}
	}
	if want, _ := r.Props["EnableKeyRotation"].(bool); want && !st.Rotates {
		if _, err := s.KMS.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: aws.String(st.ID)}, s.at.KMS); err != nil {
			return fmt.Errorf("enable rotation of key %s: %w", st.ID, err)
		}
	}
	return nil
}

// enableKey makes a disabled key usable again, and one that somebody sentenced
// to deletion too, which AWS leaves disabled when it is pardoned.
func (s site) enableKey(ctx context.Context, st keyState) error {
	id := aws.String(st.ID)
	switch types.KeyState(st.State) {
	case types.KeyStatePendingDeletion:
		if _, err := s.KMS.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: id}, s.at.KMS); err != nil {
			return fmt.Errorf("cancel deletion of key %s: %w", st.ID, err)
		}
	case types.KeyStateDisabled:
	default:
		return nil
	}
	if _, err := s.KMS.EnableKey(ctx, &kms.EnableKeyInput{KeyId: id}, s.at.KMS); err != nil {
		return fmt.Errorf("enable key %s: %w", st.ID, err)
	}
	return nil
}

// keyToName returns the key that lost its alias, known by the template's tags,
// or else a new one.
func (s site) keyToName(ctx context.Context, r Resource) (string, error) {
	tags := tagsAs(r, func(k, v *string) types.Tag { return types.Tag{TagKey: k, TagValue: v} })
	if len(tags) > 0 {
		if id, err := s.taggedKey(ctx, tags); id != "" || err != nil {
			return id, err
		}
	}
	in := &kms.CreateKeyInput{Policy: aws.String(compact(r.Props["KeyPolicy"])), Tags: tags}
	if d := r.str("Description"); d != "" {
		in.Description = aws.String(d)
	}
	out, err := s.KMS.CreateKey(ctx, in, s.at.KMS)
	if err != nil {
		return "", fmt.Errorf("create key: %w", err)
	}
	return aws.ToString(out.KeyMetadata.KeyId), nil
}

// taggedKey finds a living key with all of the tags; "" when there is none.
func (s site) taggedKey(ctx context.Context, tags []types.Tag) (string, error) {
	pages := kms.NewListKeysPaginator(s.KMS, &kms.ListKeysInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, s.at.KMS)
		if err != nil {
			return "", fmt.Errorf("list keys: %w", err)
		}
		for _, k := range page.Keys {
			ours, err := s.ownKey(ctx, k.KeyId, tags)
			if err != nil {
				return "", err
			}
			if ours {
				return aws.ToString(k.KeyId), nil
			}
		}
	}
	return "", nil
}

// ownKey says whether a key has the tags and is not on its way out.
func (s site) ownKey(ctx context.Context, id *string, tags []types.Tag) (bool, error) {
	out, err := s.KMS.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: id}, s.at.KMS)
	if orgs.Code(err) == "AccessDeniedException" {
		return false, nil // the policy of a key of ours lets the account in
	}
	if err != nil {
		return false, fmt.Errorf("list tags of key %s: %w", *id, err)
	}
	for _, want := range tags {
		if !slices.ContainsFunc(out.Tags, func(t types.Tag) bool {
			return aws.ToString(t.TagKey) == *want.TagKey && aws.ToString(t.TagValue) == *want.TagValue
		}) {
			return false, nil
		}
	}
	meta, err := s.behindAlias(ctx, *id)
	if meta == nil || err != nil {
		return false, err
	}
	return meta.KeyManager == types.KeyManagerTypeCustomer && meta.KeyState != types.KeyStatePendingDeletion, nil
}

// aliasState is an alias with what the key behind it is good for. Which key that
// is does not matter: its policy and rotation are compared by keyKind.
type aliasState struct {
	KeyState string
	Customer bool // a customer managed key
}

var aliasKind = kind{
	noun:       "key alias",
	nameProp:   "AliasName",
	attributes: map[string]string{"Ref": "{name}"},
	observe:    observeAlias,
	compare:    compareAlias,
	repair:     repairAlias,
}

func observeAlias(ctx context.Context, s site, r Resource) (any, error) {
	meta, err := s.behindAlias(ctx, r.str("AliasName"))
	if meta == nil || err != nil {
		return nil, err
	}
	return aliasState{KeyState: string(meta.KeyState), Customer: meta.KeyManager == types.KeyManagerTypeCustomer}, nil
}

func compareAlias(_ Resource, state any) []Mismatch {
	st := state.(aliasState)
	var out []Mismatch
	if st.KeyState != string(types.KeyStateEnabled) {
		out = append(out, Mismatch{
			Reason: "the alias points to a key that is " + keyStateWords(st.KeyState), Verb: "enable",
			Expected: string(types.KeyStateEnabled), Actual: st.KeyState,
		})
	}
	if !st.Customer {
		out = append(out, Mismatch{
			Reason: "the alias points to a key that is not the account's own", Expected: string(types.KeyManagerTypeCustomer), Actual: string(types.KeyManagerTypeAws),
			Manual: "delete the alias; the next rollout makes it with a key of its own",
		})
	}
	return out
}

// repairAlias has nothing to do: keyKind finds the key by this alias, makes both
// and puts both right, and comes first because the alias refers to the key. It
// only makes sure that this is so.
func repairAlias(ctx context.Context, s site, r Resource, _ any) error {
	state, err := observeAlias(ctx, s, r)
	if err != nil {
		return err
	}
	if state == nil {
		return errors.New("there is no " + r.str("AliasName") + ": it is made with its key, which has to be repaired first")
	}
	return nil
}
