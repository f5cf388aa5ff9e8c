package sim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// The settings of a bucket besides its policy and its tags.

// encryption is a bucket's default encryption: with S3's own keys unless it
// was set otherwise.
func (b *bucketState) encryption() *types.ServerSideEncryptionConfiguration {
	if b.Encryption != nil {
		return detach(b.Encryption)
	}
	return &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{
		ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256},
		BucketKeyEnabled:                   aws.Bool(false),
	}}}
}

func getBucketEncryption(c *call, in *s3.GetBucketEncryptionInput) (*s3.GetBucketEncryptionOutput, error) {
	b, err := bucketFor(c, in.Bucket, "GetEncryptionConfiguration", "")
	if err != nil {
		return nil, err
	}
	return &s3.GetBucketEncryptionOutput{ServerSideEncryptionConfiguration: b.encryption()}, nil
}

func putBucketEncryption(c *call, in *s3.PutBucketEncryptionInput) (*s3.PutBucketEncryptionOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutEncryptionConfiguration", "")
	if err != nil {
		return nil, err
	}
	conf := detach(in.ServerSideEncryptionConfiguration)
	if len(conf.Rules) != 1 {
		return nil, apiError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	if d := conf.Rules[0].ApplyServerSideEncryptionByDefault; d != nil && d.SSEAlgorithm == types.ServerSideEncryptionAes256 && d.KMSMasterKeyID != nil {
		return nil, apiError("InvalidArgument", "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse")
	}
	if conf.Rules[0].BucketKeyEnabled == nil {
		conf.Rules[0].BucketKeyEnabled = aws.Bool(false)
	}
	b.Encryption = conf
	return &s3.PutBucketEncryptionOutput{}, nil
}

func deleteBucketEncryption(c *call, in *s3.DeleteBucketEncryptionInput) (*s3.DeleteBucketEncryptionOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutEncryptionConfiguration", "")
	if err != nil {
		return nil, err
	}
	b.Encryption = nil
	return &s3.DeleteBucketEncryptionOutput{}, nil
}

func getBucketVersioning(c *call, in *s3.GetBucketVersioningInput) (*s3.GetBucketVersioningOutput, error) {
	b, err := bucketFor(c, in.Bucket, "GetBucketVersioning", "")
	if err != nil {
		return nil, err
	}
	return &s3.GetBucketVersioningOutput{Status: b.Versioning}, nil
}

func putBucketVersioning(c *call, in *s3.PutBucketVersioningInput) (*s3.PutBucketVersioningOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutBucketVersioning", "")
	if err != nil {
		return nil, err
	}
	switch s := in.VersioningConfiguration.Status; s {
	case types.BucketVersioningStatusEnabled, types.BucketVersioningStatusSuspended:
		b.Versioning = s
	default:
		return nil, apiError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	return &s3.PutBucketVersioningOutput{}, nil
}

func getBucketLifecycle(c *call, in *s3.GetBucketLifecycleConfigurationInput) (*s3.GetBucketLifecycleConfigurationOutput, error) {
	b, err := bucketFor(c, in.Bucket, "GetLifecycleConfiguration", "")
	if err != nil {
		return nil, err
	}
	if len(b.Lifecycle) == 0 {
		return nil, apiError("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
	}
	return &s3.GetBucketLifecycleConfigurationOutput{
		Rules: detach(b.Lifecycle), TransitionDefaultMinimumObjectSize: types.TransitionDefaultMinimumObjectSizeAllStorageClasses128k,
	}, nil
}

func putBucketLifecycle(c *call, in *s3.PutBucketLifecycleConfigurationInput) (*s3.PutBucketLifecycleConfigurationOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutLifecycleConfiguration", "")
	if err != nil {
		return nil, err
	}
	if in.LifecycleConfiguration == nil || len(in.LifecycleConfiguration.Rules) == 0 || len(in.LifecycleConfiguration.Rules) > 1000 {
		return nil, apiError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	rules := detach(in.LifecycleConfiguration.Rules)
	seen := map[string]bool{}
	for i := range rules {
		if aws.ToString(rules[i].ID) == "" {
			rules[i].ID = aws.String(c.w.uuid()) // S3 names what has no name
		}
		if seen[*rules[i].ID] {
			return nil, apiError("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
		}
		seen[*rules[i].ID] = true
	}
	b.Lifecycle = rules
	return &s3.PutBucketLifecycleConfigurationOutput{}, nil
}

func deleteBucketLifecycle(c *call, in *s3.DeleteBucketLifecycleInput) (*s3.DeleteBucketLifecycleOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutLifecycleConfiguration", "")
	if err != nil {
		return nil, err
	}
	b.Lifecycle = nil
	return &s3.DeleteBucketLifecycleOutput{}, nil
}

func getPublicAccessBlock(c *call, in *s3.GetPublicAccessBlockInput) (*s3.GetPublicAccessBlockOutput, error) {
	b, err := bucketFor(c, in.Bucket, "GetBucketPublicAccessBlock", "")
	if err != nil {
		return nil, err
	}
	if b.Public == nil {
		return nil, apiError("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
	}
	return &s3.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: detach(b.Public)}, nil
}

func putPublicAccessBlock(c *call, in *s3.PutPublicAccessBlockInput) (*s3.PutPublicAccessBlockOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutBucketPublicAccessBlock", "")
	if err != nil {
		return nil, err
	}
	p := in.PublicAccessBlockConfiguration
	b.Public = &types.PublicAccessBlockConfiguration{ // what is left out is false
		BlockPublicAcls: aws.Bool(aws.ToBool(p.BlockPublicAcls)), BlockPublicPolicy: aws.Bool(aws.ToBool(p.BlockPublicPolicy)),
		IgnorePublicAcls: aws.Bool(aws.ToBool(p.IgnorePublicAcls)), RestrictPublicBuckets: aws.Bool(aws.ToBool(p.RestrictPublicBuckets)),
	}
	return &s3.PutPublicAccessBlockOutput{}, nil
}

func deletePublicAccessBlock(c *call, in *s3.DeletePublicAccessBlockInput) (*s3.DeletePublicAccessBlockOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutBucketPublicAccessBlock", "")
	if err != nil {
		return nil, err
	}
	b.Public = nil
	return &s3.DeletePublicAccessBlockOutput{}, nil
}

func getBucketOwnership(c *call, in *s3.GetBucketOwnershipControlsInput) (*s3.GetBucketOwnershipControlsOutput, error) {
	b, err := bucketFor(c, in.Bucket, "GetBucketOwnershipControls", "")
	if err != nil {
		return nil, err
	}
	if b.Ownership == "" {
		return nil, apiError("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
	}
	return &s3.GetBucketOwnershipControlsOutput{OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: b.Ownership}}}}, nil
}

func putBucketOwnership(c *call, in *s3.PutBucketOwnershipControlsInput) (*s3.PutBucketOwnershipControlsOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutBucketOwnershipControls", "")
	if err != nil {
		return nil, err
	}
	if len(in.OwnershipControls.Rules) != 1 {
		return nil, apiError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	b.Ownership = in.OwnershipControls.Rules[0].ObjectOwnership
	return &s3.PutBucketOwnershipControlsOutput{}, nil
}

func deleteBucketOwnership(c *call, in *s3.DeleteBucketOwnershipControlsInput) (*s3.DeleteBucketOwnershipControlsOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutBucketOwnershipControls", "")
	if err != nil {
		return nil, err
	}
	b.Ownership = ""
	return &s3.DeleteBucketOwnershipControlsOutput{}, nil
}

// putObjectLock: Object Lock needs versioning, and once on it stays on.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLockConfiguration.html
func putObjectLock(c *call, in *s3.PutObjectLockConfigurationInput) (*s3.PutObjectLockConfigurationOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutBucketObjectLockConfiguration", "")
	if err != nil {
		return nil, err
	}
	switch {
	case in.ObjectLockConfiguration == nil || in.ObjectLockConfiguration.ObjectLockEnabled != types.ObjectLockEnabledEnabled:
		return nil, apiError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	case b.Versioning != types.BucketVersioningStatusEnabled:
		return nil, apiError("InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
	}
	b.Lock = detach(in.ObjectLockConfiguration)
	return &s3.PutObjectLockConfigurationOutput{}, nil
}

func getObjectLock(c *call, in *s3.GetObjectLockConfigurationInput) (*s3.GetObjectLockConfigurationOutput, error) {
	b, err := bucketFor(c, in.Bucket, "GetBucketObjectLockConfiguration", "")
	if err != nil {
		return nil, err
	}
	if b.Lock == nil {
		return nil, apiError("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
	}
	return &s3.GetObjectLockConfigurationOutput{ObjectLockConfiguration: detach(b.Lock)}, nil
}
