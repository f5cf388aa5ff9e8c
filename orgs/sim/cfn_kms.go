package sim

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

var cfnKey = resourceType{
	properties: []string{"BypassPolicyLockoutSafetyCheck", "Description", "EnableKeyRotation", "Enabled", "KeyPolicy", "KeySpec", "KeyUsage", "MultiRegion", "PendingWindowInDays", "RotationPeriodInDays"},
	replace:    []string{"KeySpec", "KeyUsage", "MultiRegion"},
	attrs:      []string{"Arn", "KeyId"},
	tagged:     true,
	create:     createCFNKey,
	update:     updateCFNKey,
	delete:     deleteCFNKey,
	read: func(p *provision) (map[string]any, error) {
		policy, err := perform[kms.GetKeyPolicyOutput](p, "KMS", "GetKeyPolicy", &kms.GetKeyPolicyInput{KeyId: &p.res.Physical})
		if err != nil {
			return nil, err
		}
		rotation, err := perform[kms.GetKeyRotationStatusOutput](p, "KMS", "GetKeyRotationStatus", &kms.GetKeyRotationStatusInput{KeyId: &p.res.Physical})
		if err != nil {
			return nil, err
		}
		return map[string]any{"KeyPolicy": aws.ToString(policy.Policy), "EnableKeyRotation": strconv.FormatBool(rotation.KeyRotationEnabled)}, nil
	},
}

func keyTags(tags map[string]string) []types.Tag {
	return tagsOf(tags, func(k, v *string) types.Tag { return types.Tag{TagKey: k, TagValue: v} })
}

func createCFNKey(p *provision) error {
	in := &kms.CreateKeyInput{Description: p.props.opt("Description"), Tags: keyTags(p.tags()), BypassPolicyLockoutSafetyCheck: p.props.boolean("BypassPolicyLockoutSafetyCheck")}
	for name, into := range map[string]any{"KeySpec": &in.KeySpec, "KeyUsage": &in.KeyUsage, "MultiRegion": &in.MultiRegion} {
		if err := bind(p.props[name], into); err != nil {
			return err
		}
	}
	if p.props.has("KeyPolicy") {
		in.Policy = aws.String(p.props.document("KeyPolicy"))
	}
	out, err := perform[kms.CreateKeyOutput](p, "KMS", "CreateKey", in)
	if err != nil {
		return err
	}
	p.res.Physical = aws.ToString(out.KeyMetadata.KeyId)
	p.set("Arn", aws.ToString(out.KeyMetadata.Arn))
	p.set("KeyId", p.res.Physical)
	if err := rotateKey(p); err != nil {
		return err
	}
	return enableKeyAsWanted(p)
}

func rotateKey(p *provision) error {
	if p.props.boolean("EnableKeyRotation") {
		in := &kms.EnableKeyRotationInput{KeyId: &p.res.Physical}
		if err := bind(p.props["RotationPeriodInDays"], &in.RotationPeriodInDays); err != nil {
			return err
		}
		return try(p, "KMS", "EnableKeyRotation", in)
	}
	if p.old.boolean("EnableKeyRotation") {
		return try(p, "KMS", "DisableKeyRotation", &kms.DisableKeyRotationInput{KeyId: &p.res.Physical})
	}
	return nil
}

func enableKeyAsWanted(p *provision) error {
	off := func(q props) bool { return q.has("Enabled") && !q.boolean("Enabled") }
	switch {
	case off(p.props) && !off(p.old):
		return try(p, "KMS", "DisableKey", &kms.DisableKeyInput{KeyId: &p.res.Physical})
	case !off(p.props) && off(p.old):
		return try(p, "KMS", "EnableKey", &kms.EnableKeyInput{KeyId: &p.res.Physical})
	}
	return nil
}

func updateCFNKey(p *provision) error {
	if p.changed("KeyPolicy") && p.props.has("KeyPolicy") {
		in := &kms.PutKeyPolicyInput{KeyId: &p.res.Physical, Policy: aws.String(p.props.document("KeyPolicy")), BypassPolicyLockoutSafetyCheck: p.props.boolean("BypassPolicyLockoutSafetyCheck")}
		if err := try(p, "KMS", "PutKeyPolicy", in); err != nil {
			return err
		}
	}
	if p.changed("Description") {
		if err := try(p, "KMS", "UpdateKeyDescription", &kms.UpdateKeyDescriptionInput{KeyId: &p.res.Physical, Description: aws.String(p.props.text("Description"))}); err != nil {
			return err
		}
	}
	if p.changed("EnableKeyRotation") || p.changed("RotationPeriodInDays") {
		if err := rotateKey(p); err != nil {
			return err
		}
	}
	if err := enableKeyAsWanted(p); err != nil {
		return err
	}
	if gone := p.goneTags(); len(gone) > 0 {
		if err := try(p, "KMS", "UntagResource", &kms.UntagResourceInput{KeyId: &p.res.Physical, TagKeys: gone}); err != nil {
			return err
		}
	}
	return try(p, "KMS", "TagResource", &kms.TagResourceInput{KeyId: &p.res.Physical, Tags: keyTags(p.tags())})
}

// deleteCFNKey schedules the key's deletion: KMS deletes no key at once.
func deleteCFNKey(p *provision) error {
	in := &kms.ScheduleKeyDeletionInput{KeyId: &p.res.Physical}
	if err := bind(p.props["PendingWindowInDays"], &in.PendingWindowInDays); err != nil {
		return err
	}
	return ignore(try(p, "KMS", "ScheduleKeyDeletion", in), "NotFoundException", "KMSInvalidStateException")
}

var cfnKeyAlias = resourceType{
	required: []string{"AliasName", "TargetKeyId"},
	replace:  []string{"AliasName"},
	create: func(p *provision) error {
		if err := try(p, "KMS", "CreateAlias", &kms.CreateAliasInput{AliasName: p.props.opt("AliasName"), TargetKeyId: p.props.opt("TargetKeyId")}); err != nil {
			return err
		}
		p.res.Physical = p.props.text("AliasName")
		return nil
	},
	update: func(p *provision) error {
		return try(p, "KMS", "UpdateAlias", &kms.UpdateAliasInput{AliasName: &p.res.Physical, TargetKeyId: p.props.opt("TargetKeyId")})
	},
	delete: func(p *provision) error {
		return ignore(try(p, "KMS", "DeleteAlias", &kms.DeleteAliasInput{AliasName: &p.res.Physical}), "NotFoundException")
	},
}
