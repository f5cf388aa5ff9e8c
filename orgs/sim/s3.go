package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// bucketState is one S3 bucket. Names are global in a partition; the owner and
// the Region are therefore part of the bucket.
type bucketState struct {
	Name       string                                   `json:"name"`
	Owner      string                                   `json:"owner"` // account
	Region     string                                   `json:"region"`
	Created    time.Time                                `json:"created"`
	Policy     string                                   `json:"policy,omitempty"`
	Encryption *types.ServerSideEncryptionConfiguration `json:"encryption,omitempty"`
	Versioning types.BucketVersioningStatus             `json:"versioning,omitempty"`
	Lifecycle  []types.LifecycleRule                    `json:"lifecycle,omitempty"`
	Public     *types.PublicAccessBlockConfiguration    `json:"public,omitempty"`
	Ownership  types.ObjectOwnership                    `json:"ownership,omitempty"`
	Tags       map[string]string                        `json:"tags,omitempty"`
	Objects    map[string]*objectState                  `json:"objects,omitempty"` // the current ones, by key
	Older      map[string][]*objectState                `json:"older,omitempty"`   // versions before, and delete markers, oldest first
	// Lock is how new objects are locked; nil when Object Lock is off. It is only what
	// it asks of who writes.
	Lock *types.ObjectLockConfiguration `json:"lock,omitempty"`
}

// onBucket makes an operation on a bucket, whose IAM action is seldom called
// like the operation.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
func onBucket[I any](o operation, action string, bucket func(*I) *string) operation {
	o.action = "s3:" + action
	return on(o, func(c *call, in *I) string { return c.w.bucketARN(aws.ToString(bucket(in))) })
}

var s3Ops = map[string]operation{
	"ListBuckets": {access: read, action: "s3:ListAllMyBuckets", run: op(read, listBuckets).run},

	"CreateBucket":                    onBucket(op(write, createBucket), "CreateBucket", func(in *s3.CreateBucketInput) *string { return in.Bucket }),
	"HeadBucket":                      onBucket(op(read, headBucket), "ListBucket", func(in *s3.HeadBucketInput) *string { return in.Bucket }),
	"DeleteBucket":                    onBucket(op(write, deleteBucket), "DeleteBucket", func(in *s3.DeleteBucketInput) *string { return in.Bucket }),
	"GetBucketLocation":               onBucket(op(read, getBucketLocation), "GetBucketLocation", func(in *s3.GetBucketLocationInput) *string { return in.Bucket }),
	"GetBucketPolicy":                 onBucket(op(read, getBucketPolicy), "GetBucketPolicy", func(in *s3.GetBucketPolicyInput) *string { return in.Bucket }),
	"PutBucketPolicy":                 onBucket(op(write, putBucketPolicy), "PutBucketPolicy", func(in *s3.PutBucketPolicyInput) *string { return in.Bucket }),
	"DeleteBucketPolicy":              onBucket(op(write, deleteBucketPolicy), "DeleteBucketPolicy", func(in *s3.DeleteBucketPolicyInput) *string { return in.Bucket }),
	"GetBucketPolicyStatus":           onBucket(op(read, getBucketPolicyStatus), "GetBucketPolicyStatus", func(in *s3.GetBucketPolicyStatusInput) *string { return in.Bucket }),
	"GetBucketEncryption":             onBucket(op(read, getBucketEncryption), "GetEncryptionConfiguration", func(in *s3.GetBucketEncryptionInput) *string { return in.Bucket }),
	"PutBucketEncryption":             onBucket(op(write, putBucketEncryption), "PutEncryptionConfiguration", func(in *s3.PutBucketEncryptionInput) *string { return in.Bucket }),
	"DeleteBucketEncryption":          onBucket(op(write, deleteBucketEncryption), "PutEncryptionConfiguration", func(in *s3.DeleteBucketEncryptionInput) *string { return in.Bucket }),
	"GetBucketVersioning":             onBucket(op(read, getBucketVersioning), "GetBucketVersioning", func(in *s3.GetBucketVersioningInput) *string { return in.Bucket }),
	"PutBucketVersioning":             onBucket(op(write, putBucketVersioning), "PutBucketVersioning", func(in *s3.PutBucketVersioningInput) *string { return in.Bucket }),
	"GetBucketLifecycleConfiguration": onBucket(op(read, getBucketLifecycle), "GetLifecycleConfiguration", func(in *s3.GetBucketLifecycleConfigurationInput) *string { return in.Bucket }),
	"PutBucketLifecycleConfiguration": onBucket(op(write, putBucketLifecycle), "PutLifecycleConfiguration", func(in *s3.PutBucketLifecycleConfigurationInput) *string { return in.Bucket }),
	"DeleteBucketLifecycle":           onBucket(op(write, deleteBucketLifecycle), "PutLifecycleConfiguration", func(in *s3.DeleteBucketLifecycleInput) *string { return in.Bucket }),
	"GetPublicAccessBlock":            onBucket(op(read, getPublicAccessBlock), "GetBucketPublicAccessBlock", func(in *s3.GetPublicAccessBlockInput) *string { return in.Bucket }),
	"PutPublicAccessBlock":            onBucket(op(write, putPublicAccessBlock), "PutBucketPublicAccessBlock", func(in *s3.PutPublicAccessBlockInput) *string { return in.Bucket }),
	"DeletePublicAccessBlock":         onBucket(op(write, deletePublicAccessBlock), "PutBucketPublicAccessBlock", func(in *s3.DeletePublicAccessBlockInput) *string { return in.Bucket }),
	"GetBucketOwnershipControls":      onBucket(op(read, getBucketOwnership), "GetBucketOwnershipControls", func(in *s3.GetBucketOwnershipControlsInput) *string { return in.Bucket }),
	"PutBucketOwnershipControls":      onBucket(op(write, putBucketOwnership), "PutBucketOwnershipControls", func(in *s3.PutBucketOwnershipControlsInput) *string { return in.Bucket }),
	"DeleteBucketOwnershipControls":   onBucket(op(write, deleteBucketOwnership), "PutBucketOwnershipControls", func(in *s3.DeleteBucketOwnershipControlsInput) *string { return in.Bucket }),
	"GetBucketTagging":                onBucket(op(read, getBucketTagging), "GetBucketTagging", func(in *s3.GetBucketTaggingInput) *string { return in.Bucket }),
	"PutBucketTagging":                onBucket(op(write, putBucketTagging), "PutBucketTagging", func(in *s3.PutBucketTaggingInput) *string { return in.Bucket }),
	"DeleteBucketTagging":             onBucket(op(write, deleteBucketTagging), "PutBucketTagging", func(in *s3.DeleteBucketTaggingInput) *string { return in.Bucket }),
	"ListObjectsV2":                   onBucket(op(read, listObjects), "ListBucket", func(in *s3.ListObjectsV2Input) *string { return in.Bucket }),
	"ListObjectVersions":              onBucket(op(read, listVersions), "ListBucketVersions", func(in *s3.ListObjectVersionsInput) *string { return in.Bucket }),

	// Objects are data events and so are no writes here.
	"PutObjectLockConfiguration": onBucket(op(write, putObjectLock), "PutBucketObjectLockConfiguration", func(in *s3.PutObjectLockConfigurationInput) *string { return in.Bucket }),
	"GetObjectLockConfiguration": onBucket(op(read, getObjectLock), "GetBucketObjectLockConfiguration", func(in *s3.GetObjectLockConfigurationInput) *string { return in.Bucket }),

	"PutObject":    onObject(op(read, putObject), "PutObject", func(in *s3.PutObjectInput) (*string, *string) { return in.Bucket, in.Key }),
	"GetObject":    onObject(op(read, getObject), "GetObject", func(in *s3.GetObjectInput) (*string, *string) { return in.Bucket, in.Key }),
	"HeadObject":   onObject(op(read, headObject), "GetObject", func(in *s3.HeadObjectInput) (*string, *string) { return in.Bucket, in.Key }),
	"DeleteObject": onObject(op(read, deleteObject), "DeleteObject", func(in *s3.DeleteObjectInput) (*string, *string) { return in.Bucket, in.Key }),
}

func (w *World) bucketARN(name string) string { return "arn:" + w.state.Partition + ":s3:::" + name }

// defaultKey is the ARN of the key that objects are encrypted with by default;
// "" when S3 encrypts them with keys of its own.
func (w *World) defaultKey(b *bucketState) string {
	if b.Encryption == nil {
		return ""
	}
	for _, r := range b.Encryption.Rules {
		if d := r.ApplyServerSideEncryptionByDefault; d != nil && d.SSEAlgorithm != types.ServerSideEncryptionAes256 {
			return w.keyARN(b.Owner, b.Region, orDefault(d.KMSMasterKeyID, "alias/aws/s3"))
		}
	}
	return ""
}

// bucketFor finds the bucket of a call and asks its policy. action is the IAM
// action. A bucket answers at its own Region's endpoint only.
func bucketFor(c *call, name *string, action, object string) (*bucketState, error) {
	b := c.w.state.Buckets[aws.ToString(name)]
	if b == nil {
		return nil, &types.NoSuchBucket{Message: aws.String("The specified bucket does not exist")}
	}
	if b.Region != c.region && c.op != "GetBucketLocation" {
		return nil, apiError("PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.")
	}
	resource := c.w.bucketARN(b.Name)
	if object != "" {
		resource += "/" + object
	}
	if !c.admitted(b.Policy, b.Owner, "s3:"+action, resource) {
		return nil, notAuthorized(c, "s3:"+action, resource, "because no resource-based policy allows the s3:"+action+" action")
	}
	return b, nil
}

// validBucketName checks the rules for general purpose buckets.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func validBucketName(name string) bool {
	const edge = "abcdefghijklmnopqrstuvwxyz0123456789"
	return len(name) >= 3 && len(name) <= 63 && strings.Trim(name, edge+".-") == "" && !strings.Contains(name, "..") &&
		strings.ContainsRune(edge, rune(name[0])) && strings.ContainsRune(edge, rune(name[len(name)-1])) &&
		!strings.HasPrefix(name, "xn--") && !strings.HasSuffix(name, "-s3alias")
}

func createBucket(c *call, in *s3.CreateBucketInput) (*s3.CreateBucketOutput, error) {
	name := aws.ToString(in.Bucket)
	if !validBucketName(name) {
		return nil, apiError("InvalidBucketName", "The specified bucket is not valid.")
	}
	location, tags := "", []types.Tag(nil)
	if in.CreateBucketConfiguration != nil {
		location, tags = string(in.CreateBucketConfiguration.LocationConstraint), in.CreateBucketConfiguration.Tags
	}
	switch {
	case location == "" && c.region != "us-east-1":
		return nil, apiError("IllegalLocationConstraintException", "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.")
	case location != "" && location != c.region:
		return nil, apiError("IllegalLocationConstraintException", "The %s location constraint is incompatible for the region specific endpoint this request was sent to.", location)
	}
	if b := c.w.state.Buckets[name]; b != nil {
		switch {
		case b.Owner != c.caller.Account:
			return nil, &types.BucketAlreadyExists{Message: aws.String("The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.")}
		case c.region != "us-east-1" || b.Region != "us-east-1": // the oldest Region is lenient to the owner
			return nil, &types.BucketAlreadyOwnedByYou{Message: aws.String("Your previous request to create the named bucket succeeded and you already own it.")}
		}
		return &s3.CreateBucketOutput{Location: aws.String("/" + name), BucketArn: aws.String(c.w.bucketARN(name))}, nil
	}
	// Since 2023 a new bucket blocks public access and ACLs.
	b := &bucketState{
		Name: name, Owner: c.caller.Account, Region: c.region, Created: c.now, Ownership: types.ObjectOwnershipBucketOwnerEnforced,
		Public: &types.PublicAccessBlockConfiguration{
			BlockPublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(true), IgnorePublicAcls: aws.Bool(true), RestrictPublicBuckets: aws.Bool(true),
		},
		Tags: map[string]string{},
	}
	if aws.ToBool(in.ObjectLockEnabledForBucket) {
		b.Lock, b.Versioning = &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled}, types.BucketVersioningStatusEnabled
	}
	if in.ObjectOwnership != "" {
		b.Ownership = in.ObjectOwnership
	}
	for _, t := range tags {
		b.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	if c.w.state.Buckets == nil {
		c.w.state.Buckets = map[string]*bucketState{}
	}
	c.w.state.Buckets[name] = b
	return &s3.CreateBucketOutput{Location: aws.String("/" + name), BucketArn: aws.String(c.w.bucketARN(name))}, nil
}

// headBucket has no body to put an error into: its codes come from the status.
func headBucket(c *call, in *s3.HeadBucketInput) (*s3.HeadBucketOutput, error) {
	b, err := bucketFor(c, in.Bucket, "ListBucket", "")
	if err != nil {
		switch code, _ := errorParts(err); code {
		case "NoSuchBucket":
			return nil, &types.NotFound{Message: aws.String("Not Found")}
		case "PermanentRedirect":
			return nil, apiError("MovedPermanently", "Moved Permanently")
		default:
			return nil, apiError("Forbidden", "Forbidden")
		}
	}
	return &s3.HeadBucketOutput{BucketRegion: aws.String(b.Region), BucketArn: aws.String(c.w.bucketARN(b.Name)), AccessPointAlias: aws.Bool(false)}, nil
}

func deleteBucket(c *call, in *s3.DeleteBucketInput) (*s3.DeleteBucketOutput, error) {
	b, err := bucketFor(c, in.Bucket, "DeleteBucket", "")
	if err != nil {
		return nil, err
	}
	if len(b.Objects)+len(b.Older) > 0 {
		return nil, apiError("BucketNotEmpty", "The bucket you tried to delete is not empty")
	}
	delete(c.w.state.Buckets, b.Name)
	return &s3.DeleteBucketOutput{}, nil
}

// listBuckets lists the buckets of the account in all Regions; it pages only
// when asked to.
func listBuckets(c *call, in *s3.ListBucketsInput) (*s3.ListBucketsOutput, error) {
	var names []string
	for name, b := range c.w.state.Buckets {
		if b.Owner == c.caller.Account && strings.HasPrefix(name, aws.ToString(in.Prefix)) && (in.BucketRegion == nil || *in.BucketRegion == b.Region) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	limit := 10000
	if n := int(aws.ToInt32(in.MaxBuckets)); n > 0 {
		limit = min(n, limit)
	}
	page, next, ok := pageOf(c, names, limit, in.ContinuationToken)
	if !ok {
		return nil, apiError("InvalidArgument", "The continuation token provided is incorrect")
	}
	out := &s3.ListBucketsOutput{Buckets: []types.Bucket{}, ContinuationToken: next, Owner: &types.Owner{ID: aws.String(c.caller.Account)}}
	for _, name := range page {
		b := c.w.state.Buckets[name]
		out.Buckets = append(out.Buckets, types.Bucket{Name: aws.String(name), BucketArn: aws.String(c.w.bucketARN(name)), BucketRegion: aws.String(b.Region), CreationDate: aws.Time(b.Created)})
	}
	return out, nil
}

// getBucketLocation: us-east-1 has no name here, for reasons of history.
func getBucketLocation(c *call, in *s3.GetBucketLocationInput) (*s3.GetBucketLocationOutput, error) {
	b, err := bucketFor(c, in.Bucket, "GetBucketLocation", "")
	if err != nil {
		return nil, err
	}
	if b.Region == "us-east-1" {
		return &s3.GetBucketLocationOutput{}, nil
	}
	return &s3.GetBucketLocationOutput{LocationConstraint: types.BucketLocationConstraint(b.Region)}, nil
}

func getBucketPolicy(c *call, in *s3.GetBucketPolicyInput) (*s3.GetBucketPolicyOutput, error) {
	b, err := bucketFor(c, in.Bucket, "GetBucketPolicy", "")
	if err != nil {
		return nil, err
	}
	if b.Policy == "" {
		return nil, apiError("NoSuchBucketPolicy", "The bucket policy does not exist")
	}
	return &s3.GetBucketPolicyOutput{Policy: aws.String(b.Policy)}, nil
}

// strangeResource says whether a bucket policy, which parses, is about another
// bucket. S3 refuses that: https://repost.aws/knowledge-center/s3-bucket-policy-error
func strangeResource(policy, bucket string) bool {
	statements, err := parseResourcePolicy(policy)
	if err != nil {
		return true
	}
	for _, st := range statements {
		var list stringList
		if raw := st.rest["Resource"]; raw != nil && json.Unmarshal(raw, &list) != nil {
			return true
		}
		for _, arn := range list {
			_, _, _, resource, _ := arnParts(arn)
			name, _, _ := strings.Cut(resource, "/")
			if arn != "*" && !strings.ContainsAny(name, "*?") && name != bucket {
				return true
			}
		}
	}
	return false
}

func putBucketPolicy(c *call, in *s3.PutBucketPolicyInput) (*s3.PutBucketPolicyOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutBucketPolicy", "")
	if err != nil {
		return nil, err
	}
	policy := aws.ToString(in.Policy)
	if err := checkResourcePolicy(policy); err != nil {
		return nil, apiError("MalformedPolicy", "%v", err)
	}
	if strangeResource(policy, aws.ToString(in.Bucket)) {
		return nil, apiError("MalformedPolicy", "Policy has invalid resource")
	}
	if who := c.w.strangePrincipal(policy); who != "" {
		return nil, apiError("MalformedPolicy", "Invalid principal in policy")
	}
	if len(policy) > 20*1024 {
		return nil, apiError("PolicyTooLarge", "The policy exceeds the maximum allowed document size of 20 KB.")
	}
	if b.Public != nil && aws.ToBool(b.Public.BlockPublicPolicy) && publicPolicy(policy) {
		return nil, notAuthorized(c, "s3:PutBucketPolicy", c.w.bucketARN(b.Name), "because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.")
	}
	b.Policy = policy
	return &s3.PutBucketPolicyOutput{}, nil
}

// narrowingKeys make a policy for everybody non-public when it compares them
// with fixed values.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
var narrowingKeys = []string{
	"aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:sourceaccount", "aws:sourcearn",
	"aws:sourceip", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpce", "aws:userid", "s3:dataaccesspointaccount",
}

// publicPolicy says whether a policy allows something to everybody.
func publicPolicy(policy string) bool {
	statements, err := parseResourcePolicy(policy)
	if err != nil {
		return false
	}
	for _, s := range statements {
		var effect string
		if json.Unmarshal(s.rest["Effect"], &effect) != nil || effect != "Allow" || s.principal == nil {
			continue
		}
		nobody := Principal{Type: principalUser, Account: noAccount, ARN: "arn:aws:iam::" + noAccount + ":user/nobody"}
		if !principalMatches(s.principal, nobody) {
			continue
		}
		narrow := false
		var conditions map[string]map[string]json.RawMessage
		if json.Unmarshal(s.rest["Condition"], &conditions) == nil {
			for _, keys := range conditions {
				for key := range keys {
					narrow = narrow || slices.Contains(narrowingKeys, strings.ToLower(key))
				}
			}
		}
		if !narrow {
			return true
		}
	}
	return false
}

func deleteBucketPolicy(c *call, in *s3.DeleteBucketPolicyInput) (*s3.DeleteBucketPolicyOutput, error) {
	b, err := bucketFor(c, in.Bucket, "DeleteBucketPolicy", "")
	if err != nil {
		return nil, err
	}
	b.Policy = ""
	return &s3.DeleteBucketPolicyOutput{}, nil
}

func getBucketPolicyStatus(c *call, in *s3.GetBucketPolicyStatusInput) (*s3.GetBucketPolicyStatusOutput, error) {
	b, err := bucketFor(c, in.Bucket, "GetBucketPolicyStatus", "")
	if err != nil {
		return nil, err
	}
	if b.Policy == "" {
		return nil, apiError("NoSuchBucketPolicy", "The bucket policy does not exist")
	}
	return &s3.GetBucketPolicyStatusOutput{PolicyStatus: &types.PolicyStatus{IsPublic: aws.Bool(publicPolicy(b.Policy))}}, nil
}

func getBucketTagging(c *call, in *s3.GetBucketTaggingInput) (*s3.GetBucketTaggingOutput, error) {
	b, err := bucketFor(c, in.Bucket, "GetBucketTagging", "")
	if err != nil {
		return nil, err
	}
	if len(b.Tags) == 0 {
		return nil, apiError("NoSuchTagSet", "The TagSet does not exist")
	}
	out := &s3.GetBucketTaggingOutput{}
	for _, k := range slices.Sorted(maps.Keys(b.Tags)) {
		out.TagSet = append(out.TagSet, types.Tag{Key: aws.String(k), Value: aws.String(b.Tags[k])})
	}
	return out, nil
}

// putBucketTagging replaces all tags; S3 has no other way.
func putBucketTagging(c *call, in *s3.PutBucketTaggingInput) (*s3.PutBucketTaggingOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutBucketTagging", "")
	if err != nil {
		return nil, err
	}
	b.Tags = map[string]string{}
	for _, t := range in.Tagging.TagSet {
		b.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return &s3.PutBucketTaggingOutput{}, nil
}

func deleteBucketTagging(c *call, in *s3.DeleteBucketTaggingInput) (*s3.DeleteBucketTaggingOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutBucketTagging", "")
	if err != nil {
		return nil, err
	}
	b.Tags = nil
	return &s3.DeleteBucketTaggingOutput{}, nil
}
