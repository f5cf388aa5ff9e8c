package sim

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func TestConditionalWrites(t *testing.T) {
	ctx := t.Context()
	_, c := s3Client(t)
	b := aws.String("logs")
	must(c.CreateBucket(ctx, inTokyo("logs")))(t)
	put := func(key, body, match, none string) (*s3.PutObjectOutput, error) {
		return c.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: &key, Body: strings.NewReader(body), IfMatch: optional(match), IfNoneMatch: optional(none)})
	}
	first := must(put("a", "1", "", "*"))(t)
	for _, tt := range []struct {
		name, key, match, none, want string
	}{
		{"what is there already", "a", "", "*", "PreconditionFailed"},
		{"another content", "a", `"0123"`, "", "PreconditionFailed"},
		{"nothing to replace", "b", `"0123"`, "", "NoSuchKey"},
		{"only if it is not this one", "a", "", `"0123"`, "NotImplemented"},
		{"the content that was read", "a", *first.ETag, "", ""},
		{"the content that was read, once more", "a", *first.ETag, "", "PreconditionFailed"},
	} {
		if _, err := put(tt.key, "2", tt.match, tt.none); errorCode(err) != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: aws.String("a"), IfMatch: first.ETag}); errorCode(err) != "PreconditionFailed" {
		t.Errorf("delete another content: %v", err)
	}
	if _, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: aws.String("a"), IfMatch: first.ETag}); errorCode(err) != "PreconditionFailed" {
		t.Errorf("read another content: %v", err)
	}
	now := must(c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: b, Key: aws.String("a")}))(t)
	if _, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: aws.String("a"), IfNoneMatch: now.ETag}); errorCode(err) != "NotModified" {
		t.Errorf("read what is known: %v", err)
	}
	must(c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: aws.String("a")}))(t)
	must(put("a", "3", "", "*"))(t)
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html
func TestVersions(t *testing.T) {
	ctx := t.Context()
	w, c := s3Client(t)
	b, key := aws.String("logs"), aws.String("a")
	must(c.CreateBucket(ctx, inTokyo("logs")))(t)
	version := func(status types.BucketVersioningStatus) {
		must(c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: b, VersioningConfiguration: &types.VersioningConfiguration{Status: status}}))(t)
	}
	put := func(body string) string {
		return aws.ToString(must(c.PutObject(ctx, &s3.PutObjectInput{Bucket: b, Key: key, Body: strings.NewReader(body)}))(t).VersionId)
	}
	read := func(version *string) string {
		out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: key, VersionId: version})
		if err != nil {
			return errorCode(err)
		}
		return string(must(io.ReadAll(out.Body))(t))
	}
	if v := put("before"); v != "" {
		t.Errorf("a version %q in a bucket without versions", v)
	}
	version(types.BucketVersioningStatusEnabled)
	one, two := put("one"), put("two")
	gone := must(c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: key}))(t)
	if !aws.ToBool(gone.DeleteMarker) || read(nil) != "NoSuchKey" || read(gone.VersionId) != "MethodNotAllowed" {
		t.Errorf("deleted: %+v, reads %s and %s", gone, read(nil), read(gone.VersionId))
	}
	if must(c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: b}))(t).Contents != nil {
		t.Error("a deleted object is listed")
	}
	if got := []string{read(aws.String("null")), read(&one), read(&two), read(aws.String("never"))}; cmp.Diff([]string{"before", "one", "two", "NoSuchVersion"}, got) != "" {
		t.Errorf("versions %v", got)
	}
	// The null version is one: a suspended bucket writes it over.
	version(types.BucketVersioningStatusSuspended)
	if v := put("suspended"); v != "null" {
		t.Errorf("version %q of a suspended bucket", v)
	}
	list := func(size int32) (out []string) {
		p := s3.NewListObjectVersionsPaginator(c, &s3.ListObjectVersionsInput{Bucket: b, MaxKeys: &size})
		for p.HasMorePages() {
			page := must(p.NextPage(ctx))(t)
			for _, v := range page.Versions {
				out = append(out, fmt.Sprint(read(v.VersionId), *v.IsLatest))
			}
			for _, m := range page.DeleteMarkers {
				out = append(out, fmt.Sprint("marker", *m.IsLatest))
			}
		}
		return out
	}
	for size, want := range map[int32][]string{1: {"suspendedtrue", "markerfalse", "twofalse", "onefalse"}, 100: {"suspendedtrue", "twofalse", "onefalse", "markerfalse"}} {
		if diff := cmp.Diff(want, list(size)); diff != "" {
			t.Errorf("%d at a time (-want +got):\n%s", size, diff)
		}
	}
	// For good, and what was before comes back.
	must(c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: key, VersionId: aws.String("null")}))(t)
	must(c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: key, VersionId: gone.VersionId}))(t)
	if got := read(nil); got != "two" {
		t.Errorf("the latest is %s", got)
	}
	must(c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: b, Key: key}))(t)
	if _, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: b}); errorCode(err) != "BucketNotEmpty" {
		t.Errorf("a bucket with versions was deleted: %v", err)
	}
	// Versions have rights of their own, which a policy for objects does not give.
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + shopProd + `:root"},"Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::logs/*"}]}`
	must(c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: b, Policy: &policy}))(t)
	other := s3.NewFromConfig(adminConfig(w, shopProd, tokyo))
	if _, err := other.GetObject(ctx, &s3.GetObjectInput{Bucket: b, Key: key, VersionId: &one}); errorCode(err) != "AccessDenied" {
		t.Errorf("a version without the right: %v", err)
	}
}
