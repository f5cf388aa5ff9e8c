package baseline

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

func TestCompareKey(t *testing.T) {
	r := templateResource(t, "alert-topic.central.yaml", "AlertKey", "us-east-1")
	want := r.Props["KeyPolicy"]
	testCompare(t, r, []compareCase{
		{"a key as the template says is in sync", keyState{State: "Enabled", Policy: compact(want), Rotates: true}, nil},
		{"a disabled key", keyState{State: "Disabled", Policy: compact(want), Rotates: true}, []Mismatch{
			{Reason: "the key is disabled", Verb: "enable", Expected: "Enabled", Actual: "Disabled"},
		}},
		{"a key about to be deleted is not also accused of not rotating", keyState{State: "PendingDeletion", Policy: compact(want)}, []Mismatch{
			{Reason: "the key is about to be deleted", Verb: "enable", Expected: "Enabled", Actual: "PendingDeletion"},
		}},
		{"another policy and no rotation are two mismatches", keyState{State: "Enabled", Policy: "{}"}, []Mismatch{
			{Reason: "the key's policy differs", Expected: want, Actual: map[string]any{}},
			{Reason: "the key is not rotated", Expected: map[string]any{"rotation": true}, Actual: map[string]any{"rotation": false}},
		}},
	})
}

func TestCompareAlias(t *testing.T) {
	r := templateResource(t, "alert-topic.central.yaml", "AlertKeyAlias", "us-east-1")
	testCompare(t, r, []compareCase{
		{"an alias of an enabled key of the account's own is in sync, whichever key it is", aliasState{KeyState: "Enabled", Customer: true}, nil},
		{"a disabled key", aliasState{KeyState: "Disabled", Customer: true}, []Mismatch{
			{Reason: "the alias points to a key that is disabled", Verb: "enable", Expected: "Enabled", Actual: "Disabled"},
		}},
		{"a key of AWS", aliasState{KeyState: "Enabled"}, []Mismatch{{
			Reason: "the alias points to a key that is not the account's own", Expected: "CUSTOMER", Actual: "AWS",
			Manual: "delete the alias; the next rollout makes it with a key of its own",
		}}},
	})
}

func TestKeyIsRepaired(t *testing.T) {
	s := simSite(t, "us-east-1")
	r := templateResource(t, "alert-topic.central.yaml", "AlertKey", "us-east-1")
	id := func(t *testing.T) *string {
		state, err := observeKey(t.Context(), s, r)
		if state == nil || err != nil {
			t.Fatalf("observe = %v, %v", state, err)
		}
		return aws.String(state.(keyState).ID)
	}
	var first *string
	testLifecycle(t, s, r, []tampering{
		{"the key is disabled", func(t *testing.T, s site) error {
			first = id(t)
			_, err := s.KMS.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: first}, s.at.KMS)
			return err
		}, []string{"the key is disabled"}, false},
		{"the key is sentenced to deletion", func(t *testing.T, s site) error {
			_, err := s.KMS.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: first}, s.at.KMS)
			return err
		}, []string{"the key is about to be deleted"}, false},
		{"the rotation is switched off", func(t *testing.T, s site) error {
			_, err := s.KMS.DisableKeyRotation(t.Context(), &kms.DisableKeyRotationInput{KeyId: first}, s.at.KMS)
			return err
		}, []string{"the key is not rotated"}, false},
		{"the policy is changed", func(t *testing.T, s site) error {
			_, err := s.KMS.PutKeyPolicy(t.Context(), &kms.PutKeyPolicyInput{KeyId: first, Policy: aws.String(
				`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*"}]}`)}, s.at.KMS)
			return err
		}, []string{"the key's policy differs"}, false},
		{"the alias is deleted", func(t *testing.T, s site) error {
			_, err := s.KMS.DeleteAlias(t.Context(), &kms.DeleteAliasInput{AliasName: aws.String(alertKeyAlias)}, s.at.KMS)
			return err
		}, nil, true},
	})
	if again := id(t); *again != *first {
		t.Errorf("a key that lost its alias was replaced: %s became %s", *first, *again)
	}
}

func TestAliasIsRepairedWithItsKey(t *testing.T) {
	s := simSite(t, "us-east-1")
	key := templateResource(t, "alert-topic.central.yaml", "AlertKey", "us-east-1")
	alias := templateResource(t, "alert-topic.central.yaml", "AlertKeyAlias", "us-east-1")
	if err := repairAlias(t.Context(), s, alias, nil); err == nil {
		t.Error("an alias was made without a key")
	}
	mustRepair(t, s, key, alias)
	state, err := observeKey(t.Context(), s, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.KMS.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: aws.String(state.(keyState).ID)}, s.at.KMS); err != nil {
		t.Fatal(err)
	}
	if state, err = observeAlias(t.Context(), s, alias); err != nil {
		t.Fatal(err)
	}
	if got := reasons(compareAlias(alias, state)); len(got) != 1 || got[0] != "the alias points to a key that is disabled" {
		t.Errorf("reasons = %v", got)
	}
	mustRepair(t, s, key, alias)
}
