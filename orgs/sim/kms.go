package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// kmsState is AWS KMS in one account × Region.
type kmsState struct {
	Keys    map[string]*kmsKey   `json:"keys,omitempty"`    // by key id
	Aliases map[string]*kmsAlias `json:"aliases,omitempty"` // by name, "alias/..."
}

// kmsAlias is a second name of a key.
type kmsAlias struct {
	Key     string    `json:"key"` // key id
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// kmsKey is a customer managed key. Keys that AWS manages (alias/aws/...) are
// not modelled; no service can use them for a caller of another account.
type kmsKey struct {
	ID          string             `json:"id"`
	Description string             `json:"description,omitempty"`
	Policy      string             `json:"policy"`
	Usage       types.KeyUsageType `json:"usage"`
	Spec        types.KeySpec      `json:"spec"`
	MultiRegion bool               `json:"multi_region,omitempty"`
	Enabled     bool               `json:"enabled"`
	Rotation    int32              `json:"rotation,omitempty"` // period in days; 0: off
	Created     time.Time          `json:"created"`
	Deletion    time.Time          `json:"deletion,omitzero"` // pending deletion until then
	Window      int32              `json:"window,omitempty"`  // days between the request and Deletion
	Tags        map[string]string  `json:"tags,omitempty"`
}

// onKey gives an operation the key it acts on as its resource.
func onKey[I any](o operation, id func(*I) *string) operation {
	return on(o, func(c *call, in *I) string { return c.w.keyARN(c.caller.Account, c.region, aws.ToString(id(in))) })
}

var kmsOps = map[string]operation{
	"CreateKey":            op(write, createKey),
	"ListKeys":             op(read, listKeys),
	"ListAliases":          op(read, listAliases),
	"DescribeKey":          onKey(op(read, describeKey), func(in *kms.DescribeKeyInput) *string { return in.KeyId }),
	"GetKeyPolicy":         onKey(op(read, getKeyPolicy), func(in *kms.GetKeyPolicyInput) *string { return in.KeyId }),
	"PutKeyPolicy":         onKey(op(write, putKeyPolicy), func(in *kms.PutKeyPolicyInput) *string { return in.KeyId }),
	"CreateAlias":          onKey(op(write, createAlias), func(in *kms.CreateAliasInput) *string { return in.TargetKeyId }),
	"UpdateAlias":          onKey(op(write, updateAlias), func(in *kms.UpdateAliasInput) *string { return in.TargetKeyId }),
	"DeleteAlias":          onKey(op(write, deleteAlias), func(in *kms.DeleteAliasInput) *string { return in.AliasName }),
	"EnableKey":            onKey(op(write, enableKey), func(in *kms.EnableKeyInput) *string { return in.KeyId }),
	"DisableKey":           onKey(op(write, disableKey), func(in *kms.DisableKeyInput) *string { return in.KeyId }),
	"UpdateKeyDescription": onKey(op(write, updateKeyDescription), func(in *kms.UpdateKeyDescriptionInput) *string { return in.KeyId }),
	"EnableKeyRotation":    onKey(op(write, enableKeyRotation), func(in *kms.EnableKeyRotationInput) *string { return in.KeyId }),
	"DisableKeyRotation":   onKey(op(write, disableKeyRotation), func(in *kms.DisableKeyRotationInput) *string { return in.KeyId }),
	"GetKeyRotationStatus": onKey(op(read, getKeyRotationStatus), func(in *kms.GetKeyRotationStatusInput) *string { return in.KeyId }),
	"ScheduleKeyDeletion":  onKey(op(write, scheduleKeyDeletion), func(in *kms.ScheduleKeyDeletionInput) *string { return in.KeyId }),
	"CancelKeyDeletion":    onKey(op(write, cancelKeyDeletion), func(in *kms.CancelKeyDeletionInput) *string { return in.KeyId }),
	"TagResource":          onKey(op(write, kmsTagResource), func(in *kms.TagResourceInput) *string { return in.KeyId }),
	"UntagResource":        onKey(op(write, kmsUntagResource), func(in *kms.UntagResourceInput) *string { return in.KeyId }),
	"ListResourceTags":     onKey(op(read, listResourceTags), func(in *kms.ListResourceTagsInput) *string { return in.KeyId }),
}

// findKey finds a key by what may name it: its id or ARN, or an alias by name
// or ARN. Names without an account and a Region are of the given ones.
func (w *World) findKey(account, region, ref string) (key *kmsKey, arn string) {
	name := ref
	if service, r, a, resource, ok := arnParts(ref); ok {
		if service != "kms" || w.account(a) == nil {
			return nil, ""
		}
		account, region, name = a, r, strings.TrimPrefix(resource, "key/")
	}
	if w.account(account) == nil {
		return nil, ""
	}
	s := &w.region(account, region).KMS
	if alias := s.Aliases[name]; alias != nil {
		name = alias.Key
	}
	k := s.Keys[name]
	if k == nil || (!k.Deletion.IsZero() && w.now().After(k.Deletion)) {
		return nil, ""
	}
	return k, "arn:" + w.state.Partition + ":kms:" + region + ":" + account + ":key/" + k.ID
}

// keyARN is the ARN of the key that a name stands for. Of a key that does not
// exist it is made of the name, so that policies have something to look at.
func (w *World) keyARN(account, region, ref string) string {
	if _, arn := w.findKey(account, region, ref); arn != "" {
		return arn
	}
	if strings.HasPrefix(ref, "arn:") {
		return ref
	}
	kind := "key/"
	if strings.HasPrefix(ref, "alias/") {
		kind = ""
	}
	return "arn:" + w.state.Partition + ":kms:" + region + ":" + account + ":" + kind + ref
}

// keyFor finds the key of a call and asks its policy: unlike other resource
// policies a key policy has to allow even callers of its own account.
//
// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html
func keyFor(c *call, id *string) (*kmsKey, string, error) {
	ref := aws.ToString(id)
	k, arn := c.w.findKey(c.caller.Account, c.region, ref)
	if k == nil {
		if strings.HasPrefix(ref, "alias/") {
			return nil, "", apiError("NotFoundException", "Alias %s is not found.", c.w.keyARN(c.caller.Account, c.region, ref))
		}
		return nil, "", apiError("NotFoundException", "Key '%s' does not exist", c.w.keyARN(c.caller.Account, c.region, ref))
	}
	action := "kms:" + c.op
	if c.w.judge(k.Policy, policyRequest{c.caller, action, arn, c.w.requestContext(c, arn)}) != allows {
		return nil, "", notAuthorized(c, action, arn, "because no resource-based policy allows the "+action+" action")
	}
	return k, arn, nil
}

// usable refuses a key that is pending deletion.
func (k *kmsKey) usable(arn string) error {
	if !k.Deletion.IsZero() {
		return apiError("KMSInvalidStateException", "%s is pending deletion.", arn)
	}
	return nil
}

// keyForChange is keyFor for operations that keys pending deletion refuse.
func keyForChange(c *call, id *string) (*kmsKey, string, error) {
	k, arn, err := keyFor(c, id)
	if err == nil {
		err = k.usable(arn)
	}
	return k, arn, err
}

// keyAdmitsService says whether a service may encrypt with a key for one of an
// account's resources. "" is no key, or one that needs no permission. Keys
// that AWS manages admit nobody: their policies cannot be changed.
//
// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
func (w *World) keyAdmitsService(ref, service, account, sourceARN string, now time.Time) bool {
	return ref == "" || w.keyAdmits(ref, servicePrincipal(service, account), w.serviceContext(service, account, sourceARN, now))
}

// keyAdmitsPublisher says whether a service may encrypt what it publishes to a topic. SNS
// binds the data key to the topic. Of EventBridge a key's policy sees no keys against the
// confused deputy: AWS documents that they are not supported there, and with one of them
// nothing is published.
//
// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
func (w *World) keyAdmitsPublisher(ref, topicARN, service, account, sourceARN string, now time.Time) bool {
	ctx := w.serviceContext(service, account, sourceARN, now)
	if service == eventsService {
		maps.DeleteFunc(ctx, func(key string, _ []string) bool { return strings.HasPrefix(key, "aws:Source") })
	}
	ctx[topicContext] = []string{topicARN}
	return w.keyAdmits(ref, servicePrincipal(service, account), ctx)
}

// topicContext is the encryption context of what rests in a topic.
const topicContext = "kms:EncryptionContext:aws:sns:topicArn"

func (w *World) keyAdmits(ref string, who Principal, ctx map[string][]string) bool {
	_, region, owner, _, ok := arnParts(ref)
	if !ok || strings.Contains(ref, "alias/aws/") {
		return false
	}
	k, arn := w.findKey(owner, region, ref)
	if k == nil || !k.Enabled || !k.Deletion.IsZero() {
		return false
	}
	for _, action := range []string{"kms:GenerateDataKey", "kms:Decrypt"} {
		if w.judge(k.Policy, policyRequest{who, action, arn, ctx}) != allows {
			return false
		}
	}
	return true
}

// kmsKeyByARN finds a key by the ARN of the key or of an alias.
func (w *World) kmsKeyByARN(arn string) *kmsKey {
	if !strings.HasPrefix(arn, "arn:") {
		return nil
	}
	k, _ := w.findKey("", "", arn)
	return k
}

// useKey refuses a caller who may not encrypt with the key of a resource that
// he sends to: his own policies and the key's have to allow it. Keys that AWS
// manages admit everybody in their account.
func (c *call) useKey(owner, ref string, refuse func(arn string) error) error {
	if ref == "" || c.caller.Type == principalService {
		return nil
	}
	if strings.Contains(ref, "alias/aws/") {
		if owner == c.caller.Account {
			return nil
		}
		return refuse(c.w.keyARN(owner, c.region, ref))
	}
	k, arn := c.w.findKey(owner, c.region, ref)
	if k == nil || !k.Enabled || !k.Deletion.IsZero() {
		return refuse(c.w.keyARN(owner, c.region, ref))
	}
	sub := *c
	sub.keyVia = c.w.services[c.service].prefix + "." + c.region + "." + c.w.urlSuffix()
	for _, action := range []string{"kms:GenerateDataKey", "kms:Decrypt"} {
		if c.w.authorize(&sub, action, arn) != nil ||
			c.w.judge(k.Policy, policyRequest{c.caller, action, arn, c.w.requestContext(&sub, arn)}) != allows {
			return refuse(arn)
		}
	}
	return nil
}

func createKey(c *call, in *kms.CreateKeyInput) (*kms.CreateKeyOutput, error) {
	policy := aws.ToString(in.Policy)
	if policy == "" {
		policy = c.w.defaultKeyPolicy(c.caller.Account)
	}
	arn := c.arn("kms", "key/*")
	if err := c.w.checkKeyPolicy(c, policy, arn, in.BypassPolicyLockoutSafetyCheck); err != nil {
		return nil, err
	}
	k := &kmsKey{
		ID: c.w.uuid(), Description: aws.ToString(in.Description), Policy: policy, Usage: in.KeyUsage, Spec: in.KeySpec,
		MultiRegion: aws.ToBool(in.MultiRegion), Enabled: true, Created: c.now, Tags: map[string]string{},
	}
	if k.MultiRegion {
		k.ID = "mrk-" + c.w.id(32)
	}
	if k.Usage == "" {
		k.Usage = types.KeyUsageTypeEncryptDecrypt
	}
	if k.Spec == "" {
		k.Spec = types.KeySpecSymmetricDefault
	}
	for _, t := range in.Tags {
		k.Tags[aws.ToString(t.TagKey)] = aws.ToString(t.TagValue)
	}
	s := &c.here().KMS
	if s.Keys == nil {
		s.Keys = map[string]*kmsKey{}
	}
	s.Keys[k.ID] = k
	return &kms.CreateKeyOutput{KeyMetadata: k.metadata(c.caller.Account, c.arn("kms", "key/"+k.ID))}, nil
}

// defaultKeyPolicy leaves the key to the account's own policies.
func (w *World) defaultKeyPolicy(account string) string {
	root, _ := json.Marshal("arn:" + w.state.Partition + ":iam::" + account + ":root") // a string always encodes
	return `{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow","Principal":{"AWS":` +
		string(root) + `},"Action":"kms:*","Resource":"*"}]}`
}

// checkKeyPolicy refuses broken policies, roles that do not exist, and, unless
// told otherwise, policies that would lock the caller out.
func (w *World) checkKeyPolicy(c *call, policy, arn string, bypass bool) error {
	if err := checkResourcePolicy(policy); err != nil {
		return apiError("MalformedPolicyDocumentException", "The new key policy is not valid: %v", err)
	}
	if who := w.strangePrincipal(policy); who != "" {
		return apiError("MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals.")
	}
	if !bypass && w.judge(policy, policyRequest{c.caller, "kms:PutKeyPolicy", arn, w.requestContext(c, arn)}) != allows {
		return apiError("MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.")
	}
	return nil
}

// metadata is a key as KMS describes it.
func (k *kmsKey) metadata(account, arn string) *types.KeyMetadata {
	m := &types.KeyMetadata{
		KeyId: aws.String(k.ID), Arn: aws.String(arn), AWSAccountId: aws.String(account), CreationDate: aws.Time(k.Created),
		Description: aws.String(k.Description), Enabled: k.Enabled && k.Deletion.IsZero(), KeyManager: types.KeyManagerTypeCustomer,
		KeySpec: k.Spec, KeyState: types.KeyStateEnabled, KeyUsage: k.Usage,
		MultiRegion: aws.Bool(k.MultiRegion), Origin: types.OriginTypeAwsKms,
	}
	if k.Spec == types.KeySpecSymmetricDefault {
		m.EncryptionAlgorithms = []types.EncryptionAlgorithmSpec{types.EncryptionAlgorithmSpecSymmetricDefault}
	}
	switch {
	case !k.Deletion.IsZero():
		m.KeyState, m.DeletionDate = types.KeyStatePendingDeletion, aws.Time(k.Deletion)
	case !k.Enabled:
		m.KeyState = types.KeyStateDisabled
	}
	return m
}

func describeKey(c *call, in *kms.DescribeKeyInput) (*kms.DescribeKeyOutput, error) {
	k, arn, err := keyFor(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	return &kms.DescribeKeyOutput{KeyMetadata: k.metadata(arnAccount(arn), arn)}, nil
}

func getKeyPolicy(c *call, in *kms.GetKeyPolicyInput) (*kms.GetKeyPolicyOutput, error) {
	k, _, err := keyFor(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	return &kms.GetKeyPolicyOutput{Policy: aws.String(k.Policy), PolicyName: aws.String(defaultName)}, nil
}

func putKeyPolicy(c *call, in *kms.PutKeyPolicyInput) (*kms.PutKeyPolicyOutput, error) {
	k, arn, err := keyForChange(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	if err := c.w.checkKeyPolicy(c, aws.ToString(in.Policy), arn, in.BypassPolicyLockoutSafetyCheck); err != nil {
		return nil, err
	}
	k.Policy = *in.Policy
	return &kms.PutKeyPolicyOutput{}, nil
}

func enableKey(c *call, in *kms.EnableKeyInput) (*kms.EnableKeyOutput, error) {
	k, _, err := keyForChange(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	k.Enabled = true
	return &kms.EnableKeyOutput{}, nil
}

func disableKey(c *call, in *kms.DisableKeyInput) (*kms.DisableKeyOutput, error) {
	k, _, err := keyForChange(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	k.Enabled = false
	return &kms.DisableKeyOutput{}, nil
}

func updateKeyDescription(c *call, in *kms.UpdateKeyDescriptionInput) (*kms.UpdateKeyDescriptionOutput, error) {
	k, _, err := keyForChange(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	k.Description = aws.ToString(in.Description)
	return &kms.UpdateKeyDescriptionOutput{}, nil
}

func enableKeyRotation(c *call, in *kms.EnableKeyRotationInput) (*kms.EnableKeyRotationOutput, error) {
	k, arn, err := keyForChange(c, in.KeyId)
	switch days := aws.ToInt32(in.RotationPeriodInDays); {
	case err != nil:
		return nil, err
	case !k.Enabled:
		return nil, apiError("DisabledException", "%s is disabled.", arn)
	case k.Spec != types.KeySpecSymmetricDefault:
		return nil, apiError("UnsupportedOperationException", "%s: only symmetric encryption keys rotate.", arn)
	case days == 0:
		k.Rotation = 365
	case days < 90 || days > 2560:
		return nil, apiError("ValidationException", "The rotation period must be between 90 and 2560 days.")
	default:
		k.Rotation = days
	}
	return &kms.EnableKeyRotationOutput{}, nil
}

func disableKeyRotation(c *call, in *kms.DisableKeyRotationInput) (*kms.DisableKeyRotationOutput, error) {
	k, _, err := keyForChange(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	k.Rotation = 0
	return &kms.DisableKeyRotationOutput{}, nil
}

func getKeyRotationStatus(c *call, in *kms.GetKeyRotationStatusInput) (*kms.GetKeyRotationStatusOutput, error) {
	k, arn, err := keyForChange(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	out := &kms.GetKeyRotationStatusOutput{KeyId: aws.String(arn), KeyRotationEnabled: k.Rotation > 0}
	if k.Rotation > 0 {
		out.RotationPeriodInDays = aws.Int32(k.Rotation)
		out.NextRotationDate = aws.Time(k.Created.AddDate(0, 0, int(k.Rotation)))
	}
	return out, nil
}

func scheduleKeyDeletion(c *call, in *kms.ScheduleKeyDeletionInput) (*kms.ScheduleKeyDeletionOutput, error) {
	k, arn, err := keyForChange(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	days := int32(30)
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	if days < 7 || days > 30 {
		return nil, apiError("ValidationException", "PendingWindowInDays must be between 7 and 30.")
	}
	k.Deletion, k.Window, k.Enabled = c.now.AddDate(0, 0, int(days)), days, false
	return &kms.ScheduleKeyDeletionOutput{KeyId: aws.String(arn), KeyState: types.KeyStatePendingDeletion, DeletionDate: aws.Time(k.Deletion), PendingWindowInDays: aws.Int32(days)}, nil
}

// cancelKeyDeletion leaves the key disabled, as AWS does.
func cancelKeyDeletion(c *call, in *kms.CancelKeyDeletionInput) (*kms.CancelKeyDeletionOutput, error) {
	k, arn, err := keyFor(c, in.KeyId)
	if err != nil {
		return nil, err
	}
	if k.Deletion.IsZero() {
		return nil, apiError("KMSInvalidStateException", "%s is not pending deletion.", arn)
	}
	k.Deletion, k.Window = time.Time{}, 0
	return &kms.CancelKeyDeletionOutput{KeyId: aws.String(arn)}, nil
}

func listKeys(c *call, in *kms.ListKeysInput) (*kms.ListKeysOutput, error) {
	s := &c.here().KMS
	page, next, ok := pageOf(c, slices.Sorted(maps.Keys(s.Keys)), kmsLimit(in.Limit, 100, 1000), in.Marker)
	if !ok {
		return nil, apiError("InvalidMarkerException", "The marker is not valid.")
	}
	out := &kms.ListKeysOutput{Keys: []types.KeyListEntry{}, NextMarker: next, Truncated: next != nil}
	for _, id := range page {
		out.Keys = append(out.Keys, types.KeyListEntry{KeyId: aws.String(id), KeyArn: aws.String(c.arn("kms", "key/"+id))})
	}
	return out, nil
}

// kmsLimit is a page size: the default, or what was asked for.
func kmsLimit(asked *int32, usual, most int) int {
	if n := int(aws.ToInt32(asked)); n > 0 {
		return min(n, most)
	}
	return usual
}
