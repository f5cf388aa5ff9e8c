package sim

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func buckets(ctx context.Context, s *script) {
	c, other := s3.NewFromConfig(s.in("security", "eu-west-1")), s3.NewFromConfig(s.in("pay", "eu-west-1"))
	const name = "orgguard-config-logs"
	here := &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraintEuWest1}
	bucket, nothing := aws.String(name), aws.String("orgguard-no-such-bucket")

	s.did("a bucket")(c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket, CreateBucketConfiguration: here}))
	s.did("the same again")(c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket, CreateBucketConfiguration: here}))
	s.did("the same by another account")(other.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket, CreateBucketConfiguration: here}))
	s.did("a name that is none")(c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("Not_A_Bucket"), CreateBucketConfiguration: here}))
	s.did("it is there")(c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: bucket}))
	s.did("one that is not")(c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: nothing}))
	see(s, "where it is", func(o *s3.GetBucketLocationOutput) any { return o.LocationConstraint })(c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: bucket}))
	s.did("where nothing is")(c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: nothing}))

	s.did("no policy")(c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket}))
	policy := `{"Version":"2012-10-17","Statement":[{"Sid":"config","Effect":"Allow","Principal":{"Service":"config.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::` + name +
		`/*","Condition":{"StringEquals":{"aws:SourceOrgID":"` + s.ids["organization"] + `"}}}]}`
	s.did("a policy")(c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: &policy}))
	see(s, "it says", func(o *s3.GetBucketPolicyOutput) any { return document(o.Policy) })(c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket}))
	s.did("a policy of another bucket")(c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: aws.String(strings.ReplaceAll(policy, name, "elsewhere"))}))
	s.did("a policy that is no JSON")(c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: aws.String("garbage")}))
	s.did("a policy on nothing")(c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: nothing, Policy: &policy}))

	encryption := func(step string) {
		see(s, step, func(o *s3.GetBucketEncryptionOutput) any {
			rule := o.ServerSideEncryptionConfiguration.Rules[0]
			return []any{rule.ApplyServerSideEncryptionByDefault.SSEAlgorithm, rule.ApplyServerSideEncryptionByDefault.KMSMasterKeyID, aws.ToBool(rule.BucketKeyEnabled)}
		})(c.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: bucket}))
	}
	encryption("encrypted from the start")
	s.did("encrypt with a key")(c.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: bucket, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
		Rules: []types.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: aws.String("alias/logs")}, BucketKeyEnabled: aws.Bool(true),
		}},
	}}))
	encryption("encrypted with the key")

	block := func(step string) {
		see(s, step, func(o *s3.GetPublicAccessBlockOutput) any {
			b := o.PublicAccessBlockConfiguration
			return []bool{aws.ToBool(b.BlockPublicAcls), aws.ToBool(b.IgnorePublicAcls), aws.ToBool(b.BlockPublicPolicy), aws.ToBool(b.RestrictPublicBuckets)}
		})(c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: bucket}))
	}
	block("closed to the public from the start")
	s.did("open it a little")(c.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: bucket, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
		BlockPublicAcls: aws.Bool(true), IgnorePublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(false), RestrictPublicBuckets: aws.Bool(false),
	}}))
	block("how open it is")
	s.did("say nothing about it")(c.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: bucket}))
	block("nothing is said")

	see(s, "no versioning", func(o *s3.GetBucketVersioningOutput) any { return o.Status })(c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bucket}))
	s.did("versioning")(c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}))
	see(s, "it is on", func(o *s3.GetBucketVersioningOutput) any { return o.Status })(c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bucket}))
	s.did("no lifecycle")(c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket}))
	s.did("no tags")(c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: bucket}))
	see(s, "who owns its objects", func(o *s3.GetBucketOwnershipControlsOutput) any { return o.OwnershipControls.Rules[0].ObjectOwnership })(
		c.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: bucket}))
	s.did("take the policy away")(c.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: bucket}))
	s.did("it is gone")(c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket}))

	s.did("an empty bucket")(c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("orgguard-empty"), CreateBucketConfiguration: here}))
	s.did("an object")(c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("orgguard-empty"), Key: aws.String("k"), Body: strings.NewReader("v")}))
	s.did("delete a bucket with something in it")(c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("orgguard-empty")}))
	s.did("delete the object")(c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("orgguard-empty"), Key: aws.String("k")}))
	s.did("delete the bucket")(c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("orgguard-empty")}))
	s.did("delete it again")(c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("orgguard-empty")}))
	s.did("an object in nothing")(c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("none")}))
	s.did("another account's bucket")(other.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket}))
}

func roles(ctx context.Context, s *script) {
	c := iam.NewFromConfig(s.in("shop", "us-east-1"))
	role, none := aws.String("guard"), aws.String("none")
	const allow = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"events:PutEvents","Resource":"*"}]}`

	see(s, "a role", func(o *iam.CreateRoleOutput) any { return []any{o.Role.Arn, o.Role.Path} })(
		c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: role, AssumeRolePolicyDocument: aws.String(trusting("events.amazonaws.com"))}))
	s.did("the same again")(c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: role, AssumeRolePolicyDocument: aws.String(trusting("events.amazonaws.com"))}))
	see(s, "a role with a path", func(o *iam.CreateRoleOutput) any { return o.Role.Arn })(
		c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("deep"), Path: aws.String("/orgguard/"), AssumeRolePolicyDocument: aws.String(trusting("events.amazonaws.com"))}))
	s.did("a trust policy that is no JSON")(c.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("bad"), AssumeRolePolicyDocument: aws.String("garbage")}))
	see(s, "whom it trusts", func(o *iam.GetRoleOutput) any {
		doc, err := url.PathUnescape(*o.Role.AssumeRolePolicyDocument)
		if err != nil {
			return err.Error()
		}
		return document(&doc)
	})(c.GetRole(ctx, &iam.GetRoleInput{RoleName: role}))
	see(s, "the document is URL-encoded", func(o *iam.GetRoleOutput) any { return !strings.Contains(*o.Role.AssumeRolePolicyDocument, "{") })(c.GetRole(ctx, &iam.GetRoleInput{RoleName: role}))
	s.did("a role that does not exist")(c.GetRole(ctx, &iam.GetRoleInput{RoleName: none}))
	s.did("it trusts another")(c.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: role, PolicyDocument: aws.String(trusting("config.amazonaws.com"))}))
	s.did("another that is no JSON")(c.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: role, PolicyDocument: aws.String("garbage")}))
	see(s, "roles below a path", func(o *iam.ListRolesOutput) any {
		names := []string{}
		for _, r := range o.Roles {
			names = append(names, *r.RoleName)
		}
		slices.Sort(names)
		return names
	})(c.ListRoles(ctx, &iam.ListRolesInput{PathPrefix: aws.String("/orgguard/")}))

	s.did("an inline policy")(c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: role, PolicyName: aws.String("forward"), PolicyDocument: aws.String(allow)}))
	s.did("one of no role")(c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: none, PolicyName: aws.String("forward"), PolicyDocument: aws.String(allow)}))
	s.did("one that is no JSON")(c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: role, PolicyName: aws.String("bad"), PolicyDocument: aws.String("garbage")}))
	see(s, "the inline policies", func(o *iam.ListRolePoliciesOutput) any { return o.PolicyNames })(c.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: role}))
	see(s, "what it says", func(o *iam.GetRolePolicyOutput) any {
		doc, err := url.PathUnescape(*o.PolicyDocument)
		if err != nil {
			return err.Error()
		}
		return document(&doc)
	})(c.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: role, PolicyName: aws.String("forward")}))
	s.did("an inline policy that does not exist")(c.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: role, PolicyName: none}))

	arn := aws.String("arn:aws:iam::" + s.ids["shop"] + ":policy/own")
	see(s, "a managed policy", func(o *iam.CreatePolicyOutput) any { return o.Policy.Arn })(c.CreatePolicy(ctx, &iam.CreatePolicyInput{PolicyName: aws.String("own"), PolicyDocument: aws.String(allow)}))
	s.did("attach it")(c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: arn}))
	s.did("attach it twice")(c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: arn}))
	see(s, "the managed policies", func(o *iam.ListAttachedRolePoliciesOutput) any {
		list := []string{}
		for _, p := range o.AttachedPolicies {
			list = append(list, *p.PolicyArn)
		}
		return list
	})(c.ListAttachedRolePolicies(ctx, &iam.ListAttachedRolePoliciesInput{RoleName: role}))
	s.did("attach one that does not exist")(c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: role, PolicyArn: aws.String(*arn + "-none")}))
	s.did("delete a role with policies")(c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: role}))
	s.did("detach it")(c.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: role, PolicyArn: arn}))
	s.did("detach it twice")(c.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: role, PolicyArn: arn}))
	s.did("take the inline policy away")(c.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: role, PolicyName: aws.String("forward")}))
	s.did("delete the role")(c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: role}))
	s.did("delete it again")(c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: role}))
	see(s, "the role of AWS Config itself", func(o *iam.CreateServiceLinkedRoleOutput) any { return o.Role.Arn })(
		c.CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: aws.String("config.amazonaws.com")}))
	s.did("once more")(c.CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: aws.String("config.amazonaws.com")}))
	s.did("attach the policy to another role")(c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("deep"), PolicyArn: arn}))
	s.did("delete a policy that is attached")(c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: arn}))
	s.did("attach a policy of AWS's")(c.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("deep"), PolicyArn: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")}))
}

func keys(ctx context.Context, s *script) {
	c := kms.NewFromConfig(s.in("security", "eu-west-1"))
	made, err := c.CreateKey(ctx, &kms.CreateKeyInput{Description: aws.String("logs")})
	if err != nil {
		s.t.Fatal(err)
	}
	key := made.KeyMetadata.KeyId
	s.words[*key] = "<key>"
	none := aws.String("00000000-0000-0000-0000-000000000000")
	describe := func(step string, id *string) {
		see(s, step, func(o *kms.DescribeKeyOutput) any {
			m := o.KeyMetadata
			return []any{m.Arn, m.Enabled, m.KeyState, m.KeySpec, m.Description}
		})(c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: id}))
	}
	describe("a key", key)
	see(s, "what it is for", func(o *kms.DescribeKeyOutput) any { return o.KeyMetadata.KeyUsage })(c.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: key}))
	describe("a key that does not exist", none)
	s.did("an alias")(c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/logs"), TargetKeyId: key}))
	s.did("the same alias again")(c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/logs"), TargetKeyId: key}))
	s.did("a name that is no alias")(c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("logs"), TargetKeyId: key}))
	s.did("an alias of nothing")(c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/lost"), TargetKeyId: none}))
	describe("the key by its alias", aws.String("alias/logs"))
	describe("an alias that does not exist", aws.String("alias/none"))
	see(s, "aliases of the key", func(o *kms.ListAliasesOutput) any {
		list := []string{}
		for _, a := range o.Aliases {
			list = append(list, *a.AliasName)
		}
		return list
	})(c.ListAliases(ctx, &kms.ListAliasesInput{KeyId: key}))
	see(s, "who may use it", func(o *kms.GetKeyPolicyOutput) any { return document(o.Policy) })(c.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: key, PolicyName: aws.String("default")}))
	policy := `{"Version":"2012-10-17","Statement":[{"Sid":"root","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + s.ids["security"] + `:root"},"Action":"kms:*","Resource":"*"},` +
		`{"Sid":"config","Effect":"Allow","Principal":{"Service":"config.amazonaws.com"},"Action":"kms:GenerateDataKey","Resource":"*"}]}`
	s.did("AWS Config may too")(c.PutKeyPolicy(ctx, &kms.PutKeyPolicyInput{KeyId: key, PolicyName: aws.String("default"), Policy: &policy}))
	see(s, "the policy is there", func(o *kms.GetKeyPolicyOutput) any { return document(o.Policy) })(c.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: key, PolicyName: aws.String("default")}))
	s.did("the policy of nothing")(c.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: none, PolicyName: aws.String("default")}))
	rotation := func(step string) {
		see(s, step, func(o *kms.GetKeyRotationStatusOutput) any { return o.KeyRotationEnabled })(c.GetKeyRotationStatus(ctx, &kms.GetKeyRotationStatusInput{KeyId: key}))
	}
	rotation("it is not rotated")
	s.did("rotate it")(c.EnableKeyRotation(ctx, &kms.EnableKeyRotationInput{KeyId: key}))
	rotation("it is rotated")
	s.did("disable it")(c.DisableKey(ctx, &kms.DisableKeyInput{KeyId: key}))
	describe("a key that is disabled", key)
	s.did("enable it")(c.EnableKey(ctx, &kms.EnableKeyInput{KeyId: key}))
	see(s, "delete it in a week", func(o *kms.ScheduleKeyDeletionOutput) any { return o.PendingWindowInDays })(
		c.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: key, PendingWindowInDays: aws.Int32(7)}))
	describe("a key to be deleted", key)
	s.did("keep it")(c.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: key}))
	describe("a key that was kept", key)
	s.did("keep what nobody deletes")(c.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: key}))
	s.did("an alias in the name of AWS")(c.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String("alias/aws/logs"), TargetKeyId: key}))
	s.did("delete it tomorrow")(c.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: key, PendingWindowInDays: aws.Int32(1)}))
}
