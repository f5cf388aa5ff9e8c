package baseline

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// bucketState is an S3 bucket without its policy.
type bucketState struct {
	Public     map[string]bool // the public access block, by property
	Encryption string          // default algorithm; "" for none
	Key        string          // the KMS key, where the algorithm has one
	Versioning string          // "Enabled", "Suspended" or "" for never
	Ownership  string          // "" for none, which means ObjectWriter
}

var bucketKind = kind{
	noun:     "bucket",
	nameProp: "BucketName",
	attributes: map[string]string{
		"Ref": "{name}",
		"Arn": "arn:{partition}:s3:::{name}",
	},
	observe: observeBucket,
	compare: compareBucket,
	repair:  repairBucket,
}

// owner goes with every call about a bucket. Bucket names are for everybody: a
// bucket of that name in another account must not pass for ours.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
func (s site) owner() *string { return aws.String(string(s.at.Account)) }

func observeBucket(ctx context.Context, s site, r Resource) (any, error) {
	name := aws.String(r.str("BucketName"))
	versioning, err := s.S3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: name, ExpectedBucketOwner: s.owner()}, s.at.S3)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get versioning of bucket %s: %w", *name, err)
	}
	st := bucketState{Versioning: string(versioning.Status)}
	for _, read := range []func(context.Context, site, *string, *bucketState) error{readPublicAccess, readEncryption, readOwnership} {
		// What was never set is an error of S3's and means no.
		if err := read(ctx, s, name, &st); err != nil && !notFound(err) {
			return nil, err
		}
	}
	return st, nil
}

func readPublicAccess(ctx context.Context, s site, bucket *string, st *bucketState) error {
	out, err := s.S3.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: bucket, ExpectedBucketOwner: s.owner()}, s.at.S3)
	if err != nil {
		return fmt.Errorf("get public access block of bucket %s: %w", *bucket, err)
	}
	if b := out.PublicAccessBlockConfiguration; b != nil {
		st.Public = map[string]bool{
			"BlockPublicAcls": aws.ToBool(b.BlockPublicAcls), "IgnorePublicAcls": aws.ToBool(b.IgnorePublicAcls),
			"BlockPublicPolicy": aws.ToBool(b.BlockPublicPolicy), "RestrictPublicBuckets": aws.ToBool(b.RestrictPublicBuckets),
		}
	}
	return nil
}

func readEncryption(ctx context.Context, s site, bucket *string, st *bucketState) error {
	out, err := s.S3.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: bucket, ExpectedBucketOwner: s.owner()}, s.at.S3)
	if err != nil {
		return fmt.Errorf("get encryption of bucket %s: %w", *bucket, err)
	}
	if c := out.ServerSideEncryptionConfiguration; c != nil && len(c.Rules) > 0 { // S3 takes no more than one
		if d := c.Rules[0].ApplyServerSideEncryptionByDefault; d != nil {
			st.Encryption, st.Key = string(d.SSEAlgorithm), aws.ToString(d.KMSMasterKeyID)
		}
	}
	return nil
}

func readOwnership(ctx context.Context, s site, bucket *string, st *bucketState) error {
	out, err := s.S3.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: bucket, ExpectedBucketOwner: s.owner()}, s.at.S3)
	if err != nil {
		return fmt.Errorf("get ownership controls of bucket %s: %w", *bucket, err)
	}
	if c := out.OwnershipControls; c != nil && len(c.Rules) > 0 { // S3 takes no more than one
		st.Ownership = string(c.Rules[0].ObjectOwnership)
	}
	return nil
}

// first returns the first of a list of mappings, somewhere below a property.
func (r Resource) first(prop, list string) Resource {
	items := Resource{Props: r.object(prop)}.list(list)
	if len(items) == 0 {
		return Resource{}
	}
	m, _ := items[0].(map[string]any)
	return Resource{Props: m}
}

// bucketEncryption is the default encryption a template asks for.
func (r Resource) bucketEncryption() (algorithm, key string) {
	d := Resource{Props: r.first("BucketEncryption", "ServerSideEncryptionConfiguration").object("ServerSideEncryptionByDefault")}
	return d.str("SSEAlgorithm"), d.str("KMSMasterKeyID")
}

// versioning is the versioning status a template asks for; "" when it says
// nothing about it.
func (r Resource) versioning() string {
	return Resource{Props: r.object("VersioningConfiguration")}.str("Status")
}

// ownership is the object ownership a template asks for.
func (r Resource) ownership() string {
	return r.first("OwnershipControls", "Rules").str("ObjectOwnership")
}

// publicReasons say what it means that a part of the public access block is off.
var publicReasons = map[string]string{
	"BlockPublicAcls":       "the bucket lets public ACLs in",
	"BlockPublicPolicy":     "the bucket lets a public policy in",
	"IgnorePublicAcls":      "the bucket obeys public ACLs",
	"RestrictPublicBuckets": "the bucket does not restrict what a public policy opens",
}

func compareBucket(r Resource, state any) []Mismatch {
	st := state.(bucketState)
	var out []Mismatch
	block := r.object("PublicAccessBlockConfiguration")
	for _, part := range sortedKeys(publicReasons) {
		if want, _ := block[part].(bool); want && !st.Public[part] {
			out = append(out, Mismatch{Reason: publicReasons[part], Expected: map[string]any{part: true}, Actual: map[string]any{part: false}})
		}
	}
	if algorithm, key := r.bucketEncryption(); algorithm != "" && (algorithm != st.Encryption || key != "" && key != st.Key) {
		m := Mismatch{Reason: "the bucket's default encryption differs", Expected: encryptionValue(algorithm, key), Actual: encryptionValue(st.Encryption, st.Key)}
		if st.Encryption == "" {
			m.Reason, m.Actual = "the bucket has no default encryption", nil
		}
		out = append(out, m)
	}
	if want := r.versioning(); want != "" && want != st.Versioning {
		out = append(out, Mismatch{Reason: "the bucket's versioning is not " + strings.ToLower(want), Expected: want, Actual: orNothing(st.Versioning)})
	}
	if want := r.ownership(); want != "" && want != st.Ownership {
		out = append(out, Mismatch{Reason: "the bucket's object ownership differs", Expected: want, Actual: orNothing(st.Ownership)})
	}
	return out
}

func encryptionValue(algorithm, key string) map[string]any {
	out := map[string]any{"algorithm": algorithm}
	if key != "" {
		out["key"] = key
	}
	return out
}

// orNothing is a text as a finding shows it: null when it is empty.
func orNothing(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func repairBucket(ctx context.Context, s site, r Resource, state any) error {
	if state == nil {
		if err := createBucket(ctx, s, r); err != nil {
			return err
		}
	}
	bucket := aws.String(r.str("BucketName"))
	for _, write := range []func(context.Context, site, *string, Resource) error{writePublicAccess, writeOwnership, writeEncryption, writeVersioning} {
		if err := write(ctx, s, bucket, r); err != nil {
			return err
		}
	}
	return nil
}

func writePublicAccess(ctx context.Context, s site, bucket *string, r Resource) error {
	block := r.object("PublicAccessBlockConfiguration")
	if block == nil {
		return nil
	}
	on := func(part string) *bool { b, _ := block[part].(bool); return aws.Bool(b) }
	_, err := s.S3.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{
		Bucket: bucket, ExpectedBucketOwner: s.owner(),
		PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
			BlockPublicAcls: on("BlockPublicAcls"), IgnorePublicAcls: on("IgnorePublicAcls"),
			BlockPublicPolicy: on("BlockPublicPolicy"), RestrictPublicBuckets: on("RestrictPublicBuckets"),
		},
	}, s.at.S3)
	if err != nil {
		return fmt.Errorf("put public access block of bucket %s: %w", *bucket, err)
	}
	return nil
}

func writeOwnership(ctx context.Context, s site, bucket *string, r Resource) error {
	ownership := r.ownership()
	if ownership == "" {
		return nil
	}
	_, err := s.S3.PutBucketOwnershipControls(ctx, &s3.PutBucketOwnershipControlsInput{
		Bucket: bucket, ExpectedBucketOwner: s.owner(),
		OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: types.ObjectOwnership(ownership)}}},
	}, s.at.S3)
	if err != nil {
		return fmt.Errorf("put ownership controls of bucket %s: %w", *bucket, err)
	}
	return nil
}

func writeEncryption(ctx context.Context, s site, bucket *string, r Resource) error {
	algorithm, key := r.bucketEncryption()
	if algorithm == "" {
		return nil
	}
	d := &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryption(algorithm)}
	if key != "" {
		d.KMSMasterKeyID = aws.String(key)
	}
	_, err := s.S3.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{
		Bucket: bucket, ExpectedBucketOwner: s.owner(),
		ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
			Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: d}},
		},
	}, s.at.S3)
	if err != nil {
		return fmt.Errorf("put encryption of bucket %s: %w", *bucket, err)
	}
	return nil
}

func writeVersioning(ctx context.Context, s site, bucket *string, r Resource) error {
	status := r.versioning()
	if status == "" {
		return nil
	}
	_, err := s.S3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: bucket, ExpectedBucketOwner: s.owner(),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatus(status)},
	}, s.at.S3)
	if err != nil {
		return fmt.Errorf("put versioning of bucket %s: %w", *bucket, err)
	}
	return nil
}

// createBucket makes the bucket and tags it.
func createBucket(ctx context.Context, s site, r Resource) error {
	name := aws.String(r.str("BucketName"))
	in := &s3.CreateBucketInput{Bucket: name}
	// us-east-1 is the one Region that must not be named.
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucketConfiguration.html
	if s.at.Region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(s.at.Region)}
	}
	if _, err := s.S3.CreateBucket(ctx, in, s.at.S3); err != nil && !alreadyThere(err) {
		return fmt.Errorf("create bucket %s: %w", *name, err)
	}
	tags := tagsAs(r, func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} })
	if len(tags) == 0 {
		return nil
	}
	_, err := s.S3.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: name, ExpectedBucketOwner: s.owner(), Tagging: &types.Tagging{TagSet: tags}}, s.at.S3)
	if err != nil {
		return fmt.Errorf("tag bucket %s: %w", *name, err)
	}
	return nil
}

var bucketPolicyKind = kind{
	noun:     "bucket policy",
	nameProp: "Bucket",
	observe:  observeBucketPolicy,
	compare: func(r Resource, state any) []Mismatch {
		doc := state.(string)
		if sameJSON(r.Props["PolicyDocument"], doc) {
			return nil
		}
		return []Mismatch{{Reason: "the bucket's policy differs", Expected: r.Props["PolicyDocument"], Actual: fromJSON(doc)}}
	},
	repair: func(ctx context.Context, s site, r Resource, _ any) error {
		_, err := s.S3.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{
			Bucket: aws.String(r.str("Bucket")), ExpectedBucketOwner: s.owner(), Policy: aws.String(compact(r.Props["PolicyDocument"])),
		}, s.at.S3)
		if err != nil {
			return fmt.Errorf("put policy of bucket %s: %w", r.str("Bucket"), err)
		}
		return nil
	},
}

func observeBucketPolicy(ctx context.Context, s site, r Resource) (any, error) {
	out, err := s.S3.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: aws.String(r.str("Bucket")), ExpectedBucketOwner: s.owner()}, s.at.S3)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get policy of bucket %s: %w", r.str("Bucket"), err)
	}
	return aws.ToString(out.Policy), nil
}
