package bucket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/orgguard/orgguard/orgs"
)

// scheme begins the URLs that S3's own tools take.
const scheme = "s3://"

// maxObject bounds an object that is read, in bytes.
const maxObject = 1 << 30

var (
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
	bucketPattern = orgs.NewPattern(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	// Keys of characters that need no encoding anywhere.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
	keyPattern = orgs.NewPattern(`^[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*$`)
)

// IsURL says whether a flag's value names a place in S3, however badly.
func IsURL(s string) bool { return strings.HasPrefix(s, scheme) }

// Place is a prefix in a bucket; without a prefix, the bucket.
type Place struct{ Bucket, Prefix string }

// ParseURL reads s3://bucket/prefix. A slash at the end changes nothing.
func ParseURL(s string) (Place, error) {
	name, prefix, _ := strings.Cut(strings.TrimPrefix(s, scheme), "/")
	prefix = strings.TrimSuffix(prefix, "/")
	if !IsURL(s) || !bucketPattern.MatchString(name) || prefix != "" && !keyPattern.MatchString(prefix) || len(prefix) > 512 {
		return Place{}, fmt.Errorf("%q: want s3://BUCKET/PREFIX, of letters, digits and ._-", s)
	}
	return Place{name, prefix}, nil
}

// String is the place as a URL.
func (p Place) String() string { return strings.TrimSuffix(scheme+p.Bucket+"/"+p.Prefix, "/") }

// Split is the place that holds the last part of the prefix, and that part: an
// object's folder and name.
func (p Place) Split() (Place, string) {
	i := strings.LastIndexByte(p.Prefix, '/')
	return Place{p.Bucket, p.Prefix[:max(i, 0)]}, p.Prefix[i+1:]
}

func (p Place) key(name string) string { return strings.TrimPrefix(p.Prefix+"/"+name, "/") }

type api interface {
	GetBucketLocation(context.Context, *s3.GetBucketLocationInput, ...func(*s3.Options)) (*s3.GetBucketLocationOutput, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
}

// Bucket is a place that can be read and written.
type Bucket struct {
	Place
	api    api
	region string
}

// Open finds out in which Region the bucket is, and so whether it can be reached.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
func Open(ctx context.Context, cfg aws.Config, p Place) (*Bucket, error) {
	b := &Bucket{Place: p, api: s3.NewFromConfig(cfg)}
	out, err := b.api.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: &p.Bucket})
	if err != nil {
		return nil, b.failed("reach", "", err)
	}
	switch b.region = string(out.LocationConstraint); b.region {
	case "":
		b.region = "us-east-1"
	case "EU": // as the oldest buckets there say it
		b.region = "eu-west-1"
	}
	return b, nil
}

func (b *Bucket) at(o *s3.Options) { o.Region = b.region }

// Get reads an object, and the tag that says which content it is. An object that is
// not there is fs.ErrNotExist.
func (b *Bucket) Get(ctx context.Context, name string) (body []byte, tag string, err error) {
	out, err := b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.Bucket, Key: aws.String(b.key(name))}, b.at)
	if err != nil {
		return nil, "", b.failed("read", name, err)
	}
	defer out.Body.Close()
	body, err = io.ReadAll(io.LimitReader(out.Body, maxObject+1))
	switch {
	case err != nil:
		return nil, "", b.failed("read", name, err)
	case len(body) > maxObject:
		return nil, "", b.failed("read", name, fmt.Errorf("it has more than %d bytes", maxObject))
	}
	return body, aws.ToString(out.ETag), nil
}

// Create writes an object that must not be there. One that is, or comes meanwhile, is
// fs.ErrExist. An answer that got lost makes the SDK ask again: then the object that
// is in the way may be the caller's own.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (b *Bucket) Create(ctx context.Context, name string, body []byte) error {
	return b.put(ctx, &s3.PutObjectInput{Key: &name, Body: bytes.NewReader(body), IfNoneMatch: aws.String("*")})
}

// Replace writes an object in place of the content with a tag. Where there is another
// content, or none, the error is fs.ErrExist.
func (b *Bucket) Replace(ctx context.Context, name string, body []byte, tag string) error {
	return b.put(ctx, &s3.PutObjectInput{Key: &name, Body: bytes.NewReader(body), IfMatch: &tag})
}

// Write writes an object, whatever is there.
func (b *Bucket) Write(ctx context.Context, name string, body []byte) error {
	return b.put(ctx, &s3.PutObjectInput{Key: &name, Body: bytes.NewReader(body)})
}

func (b *Bucket) put(ctx context.Context, in *s3.PutObjectInput) error {
	name := *in.Key
	in.Bucket, in.Key = &b.Bucket, aws.String(b.key(name))
	_, err := b.api.PutObject(ctx, in, b.at)
	// 412; 409 when another write was faster while this one went on; 404 when the
	// object that was to be replaced has been deleted.
	if in.IfMatch != nil && is(err, "NoSuchKey") || is(err, "PreconditionFailed", "ConditionalRequestConflict") {
		return fmt.Errorf("write %s/%s: somebody else has written it: %w", b.Place, name, fs.ErrExist)
	}
	if err != nil {
		return b.failed("write", name, err)
	}
	return nil
}

// Delete deletes an object; one that is not there is deleted. A bucket with versions
// keeps them.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if _, err := b.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.Bucket, Key: aws.String(b.key(name))}, b.at); err != nil {
		return b.failed("delete", name, err)
	}
	return nil
}

// List names the objects below the prefix, sorted.
func (b *Bucket) List(ctx context.Context) ([]string, error) {
	prefix := ""
	if b.Prefix != "" {
		prefix = b.Prefix + "/"
	}
	var out []string
	pages := s3.NewListObjectsV2Paginator(b.api, &s3.ListObjectsV2Input{Bucket: &b.Bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, b.at)
		if err != nil {
			return nil, b.failed("list", "", err)
		}
		for _, o := range page.Contents {
			out = append(out, strings.TrimPrefix(aws.ToString(o.Key), prefix))
		}
	}
	slices.Sort(out)
	return out, nil
}

func is(err error, codes ...string) bool { return err != nil && slices.Contains(codes, orgs.Code(err)) }

// failed says what did not work, and what to do about it.
func (b *Bucket) failed(verb, name string, err error) error {
	what := b.String()
	if name != "" {
		what += "/" + name
	}
	switch {
	case is(err, "NoSuchKey"):
		return fmt.Errorf("%s %s: %w", verb, what, fs.ErrNotExist)
	case is(err, "NoSuchBucket"):
		return &orgs.Hinted{Err: fmt.Errorf("%s %s: there is no bucket %s", verb, what, b.Bucket), Next: "orgguard schedule status names the bucket of the scheduled audit"}
	case is(err, "AccessDenied", "AllAccessDisabled", "Forbidden"):
		return &orgs.Hinted{Err: fmt.Errorf("%s %s: %w", verb, what, err), Next: "both the caller's policies and the bucket's have to allow it, and those of a key that encrypts the bucket"}
	}
	return fmt.Errorf("%s %s: %w", verb, what, err)
}
