package baseline

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestCompareBucket(t *testing.T) {
	r := templateResource(t, "config-delivery.central.yaml", "LogBucket", "us-east-1")
	closed := map[string]bool{"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true}
	good := bucketState{Public: closed, Encryption: "AES256", Versioning: "Enabled", Ownership: "BucketOwnerEnforced"}
	with := func(change func(*bucketState)) bucketState {
		st := good
		change(&st)
		return st
	}
	part := func(name string, on bool) map[string]any { return map[string]any{name: on} }
	testCompare(t, r, []compareCase{
		{"a bucket as the template says is in sync", good, nil},
		{"one part of the public access block is off", with(func(st *bucketState) {
			st.Public = map[string]bool{"BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true}
		}), []Mismatch{
			{Reason: "the bucket lets public ACLs in", Expected: part("BlockPublicAcls", true), Actual: part("BlockPublicAcls", false)},
		}},
		{"without a public access block all of it is off", with(func(st *bucketState) { st.Public = nil }), []Mismatch{
			{Reason: "the bucket lets public ACLs in", Expected: part("BlockPublicAcls", true), Actual: part("BlockPublicAcls", false)},
			{Reason: "the bucket lets a public policy in", Expected: part("BlockPublicPolicy", true), Actual: part("BlockPublicPolicy", false)},
			{Reason: "the bucket obeys public ACLs", Expected: part("IgnorePublicAcls", true), Actual: part("IgnorePublicAcls", false)},
			{Reason: "the bucket does not restrict what a public policy opens", Expected: part("RestrictPublicBuckets", true), Actual: part("RestrictPublicBuckets", false)},
		}},
		{"another encryption differs", with(func(st *bucketState) { st.Encryption, st.Key = "aws:kms", "alias/x" }), []Mismatch{{
			Reason:   "the bucket's default encryption differs",
			Expected: map[string]any{"algorithm": "AES256"}, Actual: map[string]any{"algorithm": "aws:kms", "key": "alias/x"},
		}}},
		{"no encryption at all", with(func(st *bucketState) { st.Encryption = "" }), []Mismatch{
			{Reason: "the bucket has no default encryption", Expected: map[string]any{"algorithm": "AES256"}},
		}},
		{"suspended versioning", with(func(st *bucketState) { st.Versioning = "Suspended" }), []Mismatch{
			{Reason: "the bucket's versioning is not enabled", Expected: "Enabled", Actual: "Suspended"},
		}},
		{"versioning and ownership that were never set", with(func(st *bucketState) { st.Versioning, st.Ownership = "", "" }), []Mismatch{
			{Reason: "the bucket's versioning is not enabled", Expected: "Enabled"},
			{Reason: "the bucket's object ownership differs", Expected: "BucketOwnerEnforced"},
		}},
	})
}

func TestCompareBucketPolicy(t *testing.T) {
	r := templateResource(t, "config-delivery.central.yaml", "LogBucketPolicy", "us-east-1")
	want := r.Props["PolicyDocument"]
	testCompare(t, r, []compareCase{
		{"the template's policy is in sync", compact(want), nil},
		{"another policy differs", `{"Statement":[]}`, []Mismatch{
			{Reason: "the bucket's policy differs", Expected: want, Actual: map[string]any{"Statement": []any{}}},
		}},
	})
}

func TestBucketIsRepaired(t *testing.T) {
	for _, region := range []string{"us-east-1", "ap-northeast-1"} {
		t.Run("in "+region, func(t *testing.T) { testBucketLifecycle(t, region) })
	}
}

func testBucketLifecycle(t *testing.T, region string) {
	s := simSite(t, region)
	r := templateResource(t, "config-delivery.central.yaml", "LogBucket", region)
	name := aws.String("orgguard-logs-test")
	testLifecycle(t, s, r, []tampering{
		{"the public access block is taken away", func(t *testing.T, s site) error {
			_, err := s.S3.DeletePublicAccessBlock(t.Context(), &s3.DeletePublicAccessBlockInput{Bucket: name}, s.at.S3)
			return err
		}, []string{
			"the bucket lets public ACLs in", "the bucket lets a public policy in",
			"the bucket obeys public ACLs", "the bucket does not restrict what a public policy opens",
		}, false},
		{"the versioning is suspended", func(t *testing.T, s site) error {
			_, err := s.S3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
				Bucket: name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended},
			}, s.at.S3)
			return err
		}, []string{"the bucket's versioning is not enabled"}, false},
		{"ACLs are allowed again", func(t *testing.T, s site) error {
			_, err := s.S3.PutBucketOwnershipControls(t.Context(), &s3.PutBucketOwnershipControlsInput{
				Bucket: name, OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: types.ObjectOwnershipObjectWriter}}},
			}, s.at.S3)
			return err
		}, []string{"the bucket's object ownership differs"}, false},
	})
	location, err := s.S3.GetBucketLocation(t.Context(), &s3.GetBucketLocationInput{Bucket: name}, s.at.S3)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(location.LocationConstraint); got != region && (region != "us-east-1" || got != "") {
		t.Errorf("the bucket is in %q", got)
	}
}

func TestBucketPolicyIsRepaired(t *testing.T) {
	s := simSite(t, "us-east-1")
	mustRepair(t, s, templateResource(t, "config-delivery.central.yaml", "LogBucket", "us-east-1"))
	r := templateResource(t, "config-delivery.central.yaml", "LogBucketPolicy", "us-east-1")
	testLifecycle(t, s, r, []tampering{
		{"a statement is taken away", func(t *testing.T, s site) error {
			_, err := s.S3.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{
				Bucket: aws.String(r.str("Bucket")),
				Policy: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"config.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::orgguard-logs-test/*"}]}`),
			}, s.at.S3)
			return err
		}, []string{"the bucket's policy differs"}, false},
		{"the policy is deleted", func(t *testing.T, s site) error {
			_, err := s.S3.DeleteBucketPolicy(t.Context(), &s3.DeleteBucketPolicyInput{Bucket: aws.String(r.str("Bucket"))}, s.at.S3)
			return err
		}, nil, true},
	})
}
