package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

func TestKeys(t *testing.T) {
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	now := noon
	w.SetClock(func() time.Time { return now })
	c := kms.NewFromConfig(adminConfig(w, shopProd, tokyo))
	key := must(c.CreateKey(ctx, &kms.CreateKeyInput{Description: aws.String("d"), Tags: []types.Tag{{TagKey: aws.String("k"), TagValue: aws.String("v")}}}))(t).KeyMetadata
	if key.KeyState != types.KeyStateEnabled || key.KeyManager != types.KeyManagerTypeCustomer || !strings.HasPrefix(*key.Arn, "arn:aws:kms:ap-northeast-1:"+shopProd+":key/") {
		t.Errorf("key %+v", key)
	}
	alias := aws.String("alias/logs")
	must(c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: alias, TargetKeyId: key.KeyId}))(t)
	for name, tt := range map[string]struct{ alias, want string }{
		"again":           {"alias/logs", "AlreadyExistsException"},
		"without prefix":  {"logs", "ValidationException"},
		"reserved for us": {"alias/aws/logs", "NotAuthorizedException"},
	} {
		if _, err := c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &tt.alias, TargetKeyId: key.KeyId}); errorCode(err) != tt.want {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	if got := must(c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: alias}))(t).KeyMetadata; *got.KeyId != *key.KeyId {
		t.Errorf("alias leads to %s", *got.KeyId)
	}
	must(c.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: key.KeyId}))(t)
	if got := must(c.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: key.KeyId}))(t); !got.KeyRotationEnabled || *got.RotationPeriodInDays != 365 {
		t.Errorf("rotation %+v", got)
	}
	must(c.DisableKey(ctx, &kms.DisableKeyInput{KeyId: key.KeyId}))(t)
	if got := must(c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: key.KeyId}))(t).KeyMetadata; got.Enabled || got.KeyState != types.KeyStateDisabled {
		t.Errorf("disabled key %+v", got)
	}
	must(c.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: aws.Int32(7)}))(t)
	if _, err := c.EnableKey(ctx, &kms.EnableKeyInput{KeyId: key.KeyId}); errorCode(err) != "KMSInvalidStateException" {
		t.Errorf("a key pending deletion: %v", err)
	}
	must(c.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: key.KeyId}))(t)
	must(c.EnableKey(ctx, &kms.EnableKeyInput{KeyId: key.KeyId}))(t)
	must(c.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: aws.Int32(7)}))(t)
	now = now.AddDate(0, 0, 8)
	if _, err := c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: key.KeyId}); errorCode(err) != "NotFoundException" {
		t.Errorf("a key that was deleted: %v", err)
	}
}

func TestKeyPolicies(t *testing.T) {
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	c := kms.NewFromConfig(adminConfig(w, shopProd, tokyo))
	key := must(c.CreateKey(ctx, &kms.CreateKeyInput{}))(t).KeyMetadata
	put := func(policy string) string {
		_, err := c.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &policy})
		return errorCode(err)
	}
	only := func(principal string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"kms:*","Resource":"*"}]}`
	}
	if got := put(only("arn:aws:iam::" + security + ":root")); got != "MalformedPolicyDocumentException" {
		t.Errorf("locking oneself out: %q", got)
	}
	if got := put(only("arn:aws:iam::" + shopProd + ":role/nobody")); got != "MalformedPolicyDocumentException" {
		t.Errorf("a role that does not exist: %q", got)
	}
	if got := put(only("arn:aws:iam::" + shopProd + ":role/Admin")); got != "" {
		t.Errorf("one role: %q", got)
	}
	// The account's other administrators are shut out: a key policy has to allow.
	createAdmin(t, w, shopProd, "Second")
	second := kms.NewFromConfig(w.Config(tokyo, w.RolePrincipal(shopProd, "Second", "bob")))
	if _, err := second.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: key.KeyId}); errorCode(err) != "AccessDeniedException" {
		t.Errorf("another administrator: %v", err)
	}

	topics := sns.NewFromConfig(adminConfig(w, shopProd, tokyo))
	arn := must(topics.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("secret"), Attributes: map[string]string{"KmsMasterKeyId": *key.Arn}}))(t).TopicArn
	must(topics.Publish(ctx, &sns.PublishInput{TopicArn: arn, Message: aws.String("x")}))(t)
	_, err := sns.NewFromConfig(w.Config(tokyo, w.RolePrincipal(shopProd, "Second", "bob"))).Publish(ctx, &sns.PublishInput{TopicArn: arn, Message: aws.String("x")})
	if errorCode(err) != "KMSAccessDenied" {
		t.Errorf("publishing without the key: %v", err)
	}
}

// CloudWatch Logs takes a key by its ARN, if the key's policy lets it encrypt for the
// log group.
func TestTheKeyOfALogGroup(t *testing.T) {
	ctx := t.Context()
	w := newTestWorld(t, "demo")
	c, logs := kms.NewFromConfig(adminConfig(w, shopProd, tokyo)), cloudwatchlogs.NewFromConfig(adminConfig(w, shopProd, tokyo))
	keyFor := func(group string) *types.KeyMetadata {
		return must(c.CreateKey(ctx, &kms.CreateKeyInput{Policy: aws.String(`{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + shopProd + `:root"},"Action":"kms:*","Resource":"*"},
			{"Effect":"Allow","Principal":{"Service":"logs.` + tokyo + `.amazonaws.com"},"Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"*",
			 "Condition":{"ArnEquals":{"kms:EncryptionContext:aws:logs:arn":"arn:aws:logs:` + tokyo + `:` + shopProd + `:log-group:` + group + `"}}}]}`)}))(t).KeyMetadata
	}
	good, bad := keyFor("audit"), keyFor("other")
	must(c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/audit"), TargetKeyId: good.KeyId}))(t)
	must(logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("audit")}))(t)
	for name, tt := range map[string]struct{ key, want string }{
		"the group's key":         {*good.Arn, ""},
		"another group's key":     {*bad.Arn, "InvalidParameterException"},
		"the key by its alias":    {strings.Replace(*good.Arn, "key/"+*good.KeyId, "alias/audit", 1), "InvalidParameterException"},
		"a key that is not there": {strings.Replace(*good.Arn, *good.KeyId, "00000000-0000-0000-0000-000000000000", 1), "InvalidParameterException"},
	} {
		_, err := logs.AssociateKmsKey(ctx, &cloudwatchlogs.AssociateKmsKeyInput{LogGroupName: aws.String("audit"), KmsKeyId: &tt.key})
		if errorCode(err) != tt.want {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
	key := func() string {
		return aws.ToString(must(logs.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{}))(t).LogGroups[0].KmsKeyId)
	}
	if key() != *good.Arn {
		t.Errorf("the log group has the key %q", key())
	}
	must(logs.DisassociateKmsKey(ctx, &cloudwatchlogs.DisassociateKmsKeyInput{LogGroupName: aws.String("audit")}))(t)
	if key() != "" {
		t.Errorf("after it was taken off the log group has the key %q", key())
	}
	if _, err := logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String("third"), KmsKeyId: bad.Arn}); errorCode(err) != "InvalidParameterException" {
		t.Errorf("a group with another one's key: %v", err)
	}
}
