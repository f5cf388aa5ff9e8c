package bucket

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs/sim"
)

func TestParseURL(t *testing.T) {
	for url, want := range map[string]Place{
		"s3://logs":            {"logs", ""},
		"s3://logs/":           {"logs", ""},
		"s3://logs/a/b":        {"logs", "a/b"},
		"s3://logs/a/b/":       {"logs", "a/b"},
		"s3://my.logs-1/x.yml": {"my.logs-1", "x.yml"},
	} {
		if got, err := ParseURL(url); err != nil || got != want {
			t.Errorf("%s: %+v, %v", url, got, err)
		}
	}
	for _, url := range []string{"", "s3://", "s3:/logs", "s3://LOGS", "s3://lo", "s3://logs//a", "s3://logs/a//b", "s3://logs/a?versionId=1", "s3://logs/a b", "s3://logs/a\nb", "s3://logs/%2e", "https://logs", "s3://logs/" + strings.Repeat("a", 600), "s3://a_b"} {
		if got, err := ParseURL(url); err == nil {
			t.Errorf("%q is %+v", url, got)
		}
	}
	folder, name := Place{"logs", "a/b/c.json"}.Split()
	if folder.String() != "s3://logs/a/b" || name != "c.json" {
		t.Errorf("%s and %s", folder, name)
	}
	if folder, name = (Place{"logs", "c.json"}).Split(); folder.String() != "s3://logs" || name != "c.json" {
		t.Errorf("%s and %s", folder, name)
	}
}

// open is a place in a bucket of the simulated organization, which is in another Region
// than the caller.
func open(t *testing.T, prefix string) *Bucket {
	t.Helper()
	spec, err := sim.Scenario("demo")
	if err != nil {
		t.Fatal(err)
	}
	w, err := sim.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	cfg := w.ManagementConfig("us-east-1")
	c := s3.NewFromConfig(cfg)
	in := func(o *s3.Options) { o.Region = "ap-northeast-1" }
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("state"), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "ap-northeast-1"}}, in); err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), cfg, Place{"state", prefix})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), cfg, Place{"elsewhere", prefix}); err == nil || !strings.Contains(err.Error(), "no bucket elsewhere") {
		t.Errorf("a bucket that is not there: %v", err)
	}
	return b
}

func TestObjects(t *testing.T) {
	for _, prefix := range []string{"", "audits/o-1"} {
		b, ctx := open(t, prefix), t.Context()
		if _, _, err := b.Get(ctx, "x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an object that is not there: %v", err)
		}
		if err := b.Replace(ctx, "x", []byte("1"), `"0"`); !errors.Is(err, fs.ErrExist) {
			t.Errorf("replace what is gone: %v", err)
		}
		if err := b.Create(ctx, "x", []byte("1")); err != nil {
			t.Fatal(err)
		}
		if err := b.Create(ctx, "x", []byte("2")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("create what is there: %v", err)
		}
		body, tag, err := b.Get(ctx, "x")
		if err != nil || string(body) != "1" || tag == "" {
			t.Fatalf("%q %q %v", body, tag, err)
		}
		if err := b.Replace(ctx, "x", []byte("3"), tag); err != nil {
			t.Error(err)
		}
		if err := b.Replace(ctx, "x", []byte("4"), tag); !errors.Is(err, fs.ErrExist) {
			t.Errorf("replace what somebody else has replaced: %v", err)
		}
		if err := b.Write(ctx, "y/z", []byte("5")); err != nil {
			t.Error(err)
		}
		names, err := b.List(ctx)
		if diff := cmp.Diff([]string{"x", "y/z"}, names); diff != "" || err != nil {
			t.Errorf("(-want +got):\n%s%v", diff, err)
		}
		if body, _, _ := b.Get(ctx, "x"); string(body) != "3" {
			t.Errorf("x is %q", body)
		}
		if err := errors.Join(b.Delete(ctx, "x"), b.Delete(ctx, "x")); err != nil {
			t.Error(err)
		}
	}
}

func TestManyObjectsAreAllListed(t *testing.T) {
	b := open(t, "p")
	for i := range 1003 { // more than a page
		if err := b.Write(t.Context(), fmt.Sprintf("%04d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := b.List(t.Context()); err != nil || len(names) != 1003 {
		t.Errorf("%d objects, %v", len(names), err)
	}
}
