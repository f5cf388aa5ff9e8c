package sim

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// objectState is one version of an object, or a delete marker.
type objectState struct {
	Body     []byte            `json:"body"`
	Type     string            `json:"type,omitempty"`
	ETag     string            `json:"etag"`
	Modified time.Time         `json:"modified"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Version  string            `json:"version,omitempty"` // "": the null version
	Deleted  bool              `json:"deleted,omitempty"` // a delete marker
	// Large is what is kept of a body that is larger than keptObject.
	Large *largeBody `json:"large,omitempty"`
}

// largeBody is what is known of a body that is not kept.
type largeBody struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // in hexadecimal
}

// keptObject bounds the bodies that are kept: the world is a file. Larger ones, such as
// the packages of functions, can be written, and be used by services that ask for no
// more than which one it is; they cannot be read back.
const (
	keptObject = 8 << 20
	maxObject  = 256 << 20
)

// size of the body in bytes.
func (o *objectState) size() int64 {
	if o.Large != nil {
		return o.Large.Size
	}
	return int64(len(o.Body))
}

// sum is the SHA-256 of the body, in hexadecimal.
func (o *objectState) sum() string {
	if o.Large != nil {
		return o.Large.SHA256
	}
	sum := sha256.Sum256(o.Body)
	return hex.EncodeToString(sum[:])
}

// onObject makes an operation on an object.
func onObject[I any](o operation, action string, object func(*I) (bucket, key *string)) operation {
	o.action = "s3:" + action
	return on(o, func(c *call, in *I) string {
		bucket, key := object(in)
		return c.w.bucketARN(aws.ToString(bucket)) + "/" + aws.ToString(key)
	})
}

func putObject(c *call, in *s3.PutObjectInput) (*s3.PutObjectOutput, error) {
	b, err := bucketFor(c, in.Bucket, "PutObject", aws.ToString(in.Key))
	if err == nil {
		err = cmp.Or(b.expected(in.ExpectedBucketOwner), b.locks(in))
	}
	if err != nil {
		return nil, err
	}
	refuse := func(key string) error {
		return notAuthorized(c, "kms:GenerateDataKey", key, "because no resource-based policy allows the kms:GenerateDataKey action")
	}
	if err := c.useKey(b.Owner, c.w.defaultKey(b), refuse); err != nil {
		return nil, err
	}
	var body []byte
	if in.Body != nil {
		if s, ok := in.Body.(io.Seeker); ok { // an earlier attempt, or the checksum, may have read it
			if _, err := s.Seek(0, io.SeekStart); err != nil {
				return nil, err
			}
		}
		if body, err = io.ReadAll(io.LimitReader(in.Body, maxObject+1)); err != nil {
			return nil, err
		}
	}
	if len(body) > maxObject {
		return nil, apiError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
	}
	key := aws.ToString(in.Key)
	if err := preconditions(b.Objects[key], in.IfMatch, in.IfNoneMatch); err != nil {
		return nil, err
	}
	o := &objectState{Body: body, Type: orDefault(in.ContentType, "application/octet-stream"), ETag: `"` + *md5Hex(string(body)) + `"`, Modified: c.now, Metadata: maps.Clone(in.Metadata)}
	if len(body) > keptObject {
		o.Large = &largeBody{int64(len(body)), o.sum()}
		o.Body = nil
	}
	b.put(c, key, o)
	c.w.dirty()
	return &s3.PutObjectOutput{ETag: aws.String(o.ETag), VersionId: b.versionID(o), ServerSideEncryption: b.algorithm()}, nil
}

// expected refuses a bucket that belongs to another account than the request says.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
func (b *bucketState) expected(owner *string) error {
	if owner != nil && *owner != b.Owner {
		return apiError("AccessDenied", "Access Denied")
	}
	return nil
}

// locks refuses an object without a checksum where Object Lock retains it. One that
// the SDK computes on the way is not in the input, and so does not count here.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
func (b *bucketState) locks(in *s3.PutObjectInput) error {
	if b.Lock == nil || b.Lock.Rule == nil || in.ChecksumSHA256 != nil || in.ChecksumCRC32 != nil || in.ContentMD5 != nil {
		return nil
	}
	return apiError("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
}

// algorithm is how new objects are encrypted.
func (b *bucketState) algorithm() types.ServerSideEncryption {
	if d := b.encryption().Rules[0].ApplyServerSideEncryptionByDefault; d != nil {
		return d.SSEAlgorithm
	}
	return types.ServerSideEncryptionAes256
}

// objectBucket is bucketFor for an operation that needs another right for a version:
// the caller's policies have been asked for the one that the operation has without.
func objectBucket(c *call, bucket, key *string, action string) (*bucketState, error) {
	if strings.HasSuffix(action, "Version") {
		if err := c.w.authorize(c, "s3:"+action, c.w.bucketARN(aws.ToString(bucket))+"/"+aws.ToString(key)); err != nil {
			return nil, err
		}
	}
	return bucketFor(c, bucket, action, aws.ToString(key))
}

// objectFor is the object of a call that reads, in the version that is asked for.
func objectFor(c *call, bucket, key, version, owner *string) (*bucketState, *objectState, error) {
	action := "GetObject"
	if version != nil {
		action = "GetObjectVersion"
	}
	b, err := objectBucket(c, bucket, key, action)
	if err == nil {
		err = b.expected(owner)
	}
	if err != nil {
		return nil, nil, err
	}
	if version == nil {
		if o := b.Objects[aws.ToString(key)]; o != nil {
			return b, o, nil
		}
		return nil, nil, &types.NoSuchKey{Message: aws.String("The specified key does not exist.")}
	}
	for _, o := range b.versions(aws.ToString(key)) {
		switch {
		case *nullable(o.Version) != *version:
		case o.Deleted:
			return nil, nil, apiError("MethodNotAllowed", "The specified method is not allowed against this resource.")
		default:
			return b, o, nil
		}
	}
	return nil, nil, apiError("NoSuchVersion", "The specified version does not exist.")
}

func getObject(c *call, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	b, o, err := objectFor(c, in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if err := unmodified(o, in.IfMatch, in.IfNoneMatch); err != nil {
		return nil, err
	}
	if o.Large != nil {
		return nil, apiError("NotImplemented", "The sandbox does not keep the %d bytes of this object.", o.size())
	}
	return &s3.GetObjectOutput{
		VersionId: b.versionID(o),
		Body:      io.NopCloser(bytes.NewReader(bytes.Clone(o.Body))), ContentLength: aws.Int64(o.size()), ContentType: aws.String(o.Type),
		ETag: aws.String(o.ETag), LastModified: aws.Time(o.Modified), Metadata: maps.Clone(o.Metadata), ServerSideEncryption: b.algorithm(),
	}, nil
}

func headObject(c *call, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	b, o, err := objectFor(c, in.Bucket, in.Key, in.VersionId, in.ExpectedBucketOwner)
	if err != nil {
		if code, _ := errorParts(err); code == "NoSuchKey" || code == "NoSuchBucket" {
			return nil, &types.NotFound{Message: aws.String("Not Found")}
		}
		return nil, err
	}
	if err := unmodified(o, in.IfMatch, in.IfNoneMatch); err != nil {
		return nil, err
	}
	return &s3.HeadObjectOutput{
		VersionId:     b.versionID(o),
		ContentLength: aws.Int64(o.size()), ContentType: aws.String(o.Type), ETag: aws.String(o.ETag),
		LastModified: aws.Time(o.Modified), Metadata: maps.Clone(o.Metadata), ServerSideEncryption: b.algorithm(),
	}, nil
}

// deleteObject: an object that does not exist is deleted all the same. Without a
// version, a bucket with versions keeps the object and marks it deleted.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
func deleteObject(c *call, in *s3.DeleteObjectInput) (*s3.DeleteObjectOutput, error) {
	action := "DeleteObject"
	if in.VersionId != nil {
		action = "DeleteObjectVersion"
	}
	b, err := objectBucket(c, in.Bucket, in.Key, action)
	if err != nil {
		return nil, err
	}
	key := aws.ToString(in.Key)
	if err := preconditions(b.Objects[key], in.IfMatch, nil); err != nil {
		return nil, err
	}
	out := &s3.DeleteObjectOutput{}
	if in.VersionId != nil {
		if gone := b.drop(key, *in.VersionId); gone != nil {
			out.VersionId = nullable(gone.Version)
			if gone.Deleted {
				out.DeleteMarker = aws.Bool(true)
			}
		}
	} else if marker := b.hide(c, key); marker != nil {
		out.DeleteMarker, out.VersionId = aws.Bool(true), nullable(marker.Version)
	}
	c.w.dirty()
	return out, nil
}

func listObjects(c *call, in *s3.ListObjectsV2Input) (*s3.ListObjectsV2Output, error) {
	b, err := bucketFor(c, in.Bucket, "ListBucket", "")
	if err == nil {
		err = b.expected(in.ExpectedBucketOwner)
	}
	if err != nil {
		return nil, err
	}
	prefix, delimiter := aws.ToString(in.Prefix), aws.ToString(in.Delimiter)
	// An entry is a key, or what several keys have in common up to the delimiter.
	var entries []string
	for _, key := range slices.Sorted(maps.Keys(b.Objects)) {
		if !strings.HasPrefix(key, prefix) || key <= aws.ToString(in.StartAfter) && in.StartAfter != nil {
			continue
		}
		if delimiter != "" {
			if i := strings.Index(key[len(prefix):], delimiter); i >= 0 {
				key = key[:len(prefix)+i+len(delimiter)]
			}
		}
		if len(entries) == 0 || entries[len(entries)-1] != key {
			entries = append(entries, key)
		}
	}
	limit := 1000
	if in.MaxKeys != nil {
		limit = max(0, min(int(*in.MaxKeys), limit))
	}
	page, next, ok := pageOf(c, entries, limit, in.ContinuationToken)
	if !ok {
		return nil, apiError("InvalidArgument", "The continuation token provided is incorrect")
	}
	out := &s3.ListObjectsV2Output{
		Name: aws.String(b.Name), Prefix: in.Prefix, Delimiter: in.Delimiter, MaxKeys: aws.Int32(int32(limit)),
		KeyCount: aws.Int32(int32(len(page))), IsTruncated: aws.Bool(next != nil), NextContinuationToken: next, ContinuationToken: in.ContinuationToken,
	}
	for _, key := range page {
		o := b.Objects[key]
		if o == nil || delimiter != "" && strings.HasSuffix(key, delimiter) && key != prefix {
			out.CommonPrefixes = append(out.CommonPrefixes, types.CommonPrefix{Prefix: aws.String(key)})
			continue
		}
		out.Contents = append(out.Contents, types.Object{
			Key: aws.String(key), ETag: aws.String(o.ETag), Size: aws.Int64(o.size()), LastModified: aws.Time(o.Modified), StorageClass: types.ObjectStorageClassStandard,
		})
	}
	return out, nil
}
