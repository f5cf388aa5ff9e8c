package sim

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

func s3Client(t *testing.T) (*World, *s3.Client) {
	t.Helper()
	w := newTestWorld(t, "demo")
	w.SetClock(func() time.Time { return noon })
	return w, s3.NewFromConfig(adminConfig(w, logArchive, tokyo))
}

func inTokyo(name string) *s3.CreateBucketInput {
	return &s3.CreateBucketInput{Bucket: &name, CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: tokyo}}
}

func TestCreateBucket(t *testing.T) {
	ctx := t.Context()
	w, c := s3Client(t)
	must(c.CreateBucket(ctx, inTokyo("logs")))(t)
	other := s3.NewFromConfig(adminConfig(w, shopProd, tokyo))
	virginia := s3.NewFromConfig(adminConfig(w, logArchive, "us-east-1"))
	must(virginia.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("old")}))(t)
	for _, tt := range []struct {
		name string
		c    *s3.Client
		in   *s3.CreateBucketInput
		want string
	}{
		{"again", c, inTokyo("logs"), "BucketAlreadyOwnedByYou"},
		{"again in the oldest Region", virginia, &s3.CreateBucketInput{Bucket: aws.String("old")}, ""},
		{"by another account", other, inTokyo("logs"), "BucketAlreadyExists"},
		{"without a location", c, &s3.CreateBucketInput{Bucket: aws.String("new")}, "IllegalLocationConstraintException"},
		{"in another place", virginia, inTokyo("new"), "IllegalLocationConstraintException"},
		{"with capitals", c, inTokyo("Logs"), "InvalidBucketName"},
	} {
		if _, err := tt.c.CreateBucket(ctx, tt.in); errorCode(err) != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	var names []string
	for _, b := range must(c.ListBuckets(ctx, &s3.ListBucketsInput{}))(t).Buckets {
		names = append(names, *b.Name+" "+*b.BucketRegion)
	}
	if diff := cmp.Diff([]string{"logs ap-northeast-1", "old us-east-1"}, names); diff != "" {
		t.Errorf("buckets (-want +got):\n%s", diff)
	}
	if _, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: aws.String("old")}); errorCode(err) != "PermanentRedirect" {
		t.Errorf("a bucket of another Region: %v", err)
	}
	_, err := c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("none")})
	var missing *types.NotFound
	if !errors.As(err, &missing) {
		t.Errorf("a bucket that does not exist: %v", err)
	}
	if _, err := other.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("logs")}); errorCode(err) != "Forbidden" {
		t.Errorf("somebody else's bucket: %v", err)
	}
	if got := must(c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: aws.String("logs")}))(t).LocationConstraint; got != tokyo {
		t.Errorf("location %q", got)
	}
}

func TestBucketSettings(t *testing.T) {
	ctx := t.Context()
	_, c := s3Client(t)
	b := aws.String("logs")
	must(c.CreateBucket(ctx, inTokyo("logs")))(t)

	rule := must(c.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: b}))(t).ServerSideEncryptionConfiguration.Rules[0]
	if rule.ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAes256 {
		t.Errorf("default encryption %+v", rule)
	}
	block := must(c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: b}))(t).PublicAccessBlockConfiguration
	if !*block.BlockPublicAcls || !*block.BlockPublicPolicy || !*block.IgnorePublicAcls || !*block.RestrictPublicBuckets {
		t.Errorf("a new bucket does not block public access: %+v", block)
	}
	owner := must(c.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: b}))(t)
	if owner.OwnershipControls.Rules[0].ObjectOwnership != types.ObjectOwnershipBucketOwnerEnforced {
		t.Errorf("ownership %+v", owner.OwnershipControls)
	}
	for name, call := range map[string]func() error{
		"NoSuchBucketPolicy": func() error { _, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: b}); return err },
		"NoSuchLifecycleConfiguration": func() error {
			_, err := c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: b})
			return err
		},
		"NoSuchTagSet": func() error { _, err := c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: b}); return err },
	} {
		if got := errorCode(call()); got != name {
			t.Errorf("error %q, want %q", got, name)
		}
	}
	if got := must(c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: b}))(t).Status; got != "" {
		t.Errorf("versioning %q", got)
	}
	must(c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: b, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}))(t)
	if got := must(c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: b}))(t).Status; got != types.BucketVersioningStatusEnabled {
		t.Errorf("versioning %q", got)
	}
	must(c.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: b, LifecycleConfiguration: &types.BucketLifecycleConfiguration{
		Rules: []types.LifecycleRule{{Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")}, Expiration: &types.LifecycleExpiration{Days: aws.Int32(365)}}},
	}}))(t)
	rules := must(c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: b}))(t).Rules
	if len(rules) != 1 || *rules[0].Expiration.Days != 365 || aws.ToString(rules[0].ID) == "" {
		t.Errorf("lifecycle %+v", rules)
	}
	must(c.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: b, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}}))(t)
	if got := must(c.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: b}))(t).TagSet; len(got) != 1 {
		t.Errorf("tags %+v", got)
	}
}

func TestBucketPolicies(t *testing.T) {
	ctx := t.Context()
	w, c := s3Client(t)
	b := aws.String("config-logs")
	must(c.CreateBucket(ctx, inTokyo("config-logs")))(t)
	statement := func(principal, condition string) *string {
		return aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":` + principal + `,"Action":"s3:*","Resource":["arn:aws:s3:::config-logs","arn:aws:s3:::config-logs/*"]` + condition + `}]}`)
	}
	orgOnly := `,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-demo0guard"}}`
	for _, tt := range []struct {
		name   string
		policy *string
		want   string
	}{
		{"everybody", statement(`"*"`, ""), "AccessDenied"},
		{"everybody of the organization", statement(`"*"`, orgOnly), ""},
		{"a role that does not exist", statement(`{"AWS":"arn:aws:iam::`+shopProd+`:role/nobody"}`, ""), "MalformedPolicy"},
		{"not JSON", aws.String("{"), "MalformedPolicy"},
		{"a service", aws.String(logBucketPolicy), ""},
		{"the organization", statement(`{"AWS":"*"}`, orgOnly), ""},
	} {
		if _, err := c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: b, Policy: tt.policy}); errorCode(err) != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	other := s3.NewFromConfig(adminConfig(w, shopProd, tokyo))
	must(other.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: aws.String("a/1"), Body: strings.NewReader("hello")}))(t)
	got := must(other.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: aws.String("a/1")}))(t)
	if body := must(io.ReadAll(got.Body))(t); string(body) != "hello" {
		t.Errorf("body %q", body)
	}
	if _, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: b}); errorCode(err) != "BucketNotEmpty" {
		t.Errorf("a bucket with objects: %v", err)
	}
	must(c.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: b}))(t)
	if _, err := other.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: aws.String("a/1")}); errorCode(err) != "AccessDenied" {
		t.Errorf("without the policy: %v", err)
	}
}

func TestListObjects(t *testing.T) {
	ctx := t.Context()
	_, c := s3Client(t)
	must(c.CreateBucket(ctx, inTokyo("logs")))(t)
	for _, key := range []string{"a/1", "a/2", "b/1", "top"} {
		must(c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("logs"), Key: &key, Body: strings.NewReader(key)}))(t)
	}
	list := func(in *s3.ListObjectsV2Input) (out []string) {
		in.Bucket = aws.String("logs")
		for p := s3.NewListObjectsV2Paginator(c, in); p.HasMorePages(); {
			page := must(p.NextPage(ctx))(t)
			for _, o := range page.Contents {
				out = append(out, *o.Key)
			}
			for _, p := range page.CommonPrefixes {
				out = append(out, *p.Prefix)
			}
		}
		return out
	}
	for _, tt := range []struct {
		name string
		in   s3.ListObjectsV2Input
		want []string
	}{
		{"all, two at a time", s3.ListObjectsV2Input{MaxKeys: aws.Int32(2)}, []string{"a/1", "a/2", "b/1", "top"}},
		{"a prefix", s3.ListObjectsV2Input{Prefix: aws.String("a/")}, []string{"a/1", "a/2"}},
		{"a delimiter", s3.ListObjectsV2Input{Delimiter: aws.String("/")}, []string{"top", "a/", "b/"}},
		{"after a key", s3.ListObjectsV2Input{StartAfter: aws.String("a/2")}, []string{"b/1", "top"}},
	} {
		if diff := cmp.Diff(tt.want, list(&tt.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	must(c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("logs"), Key: aws.String("top")}))(t)
	_, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("logs"), Key: aws.String("top")})
	var missing *types.NoSuchKey
	if !errors.As(err, &missing) {
		t.Errorf("an object that is gone: %v", err)
	}
}
