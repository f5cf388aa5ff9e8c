package sim

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Versions of objects.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html

// put makes an object the current one. A bucket with versions keeps the one before;
// one whose versioning is suspended writes the null version, of which there is one.
func (b *bucketState) put(c *call, key string, o *objectState) {
	switch b.Versioning {
	case types.BucketVersioningStatusEnabled:
		o.Version = c.w.id(32)
		b.retire(key)
	case types.BucketVersioningStatusSuspended:
		b.drop(key, "null")
		b.retire(key)
	}
	if b.Objects == nil {
		b.Objects = map[string]*objectState{}
	}
	b.Objects[key] = o
}

// retire makes the current object one of the older versions.
func (b *bucketState) retire(key string) {
	o := b.Objects[key]
	if o == nil {
		return
	}
	b.keep(key, o)
	delete(b.Objects, key)
}

func (b *bucketState) keep(key string, o *objectState) {
	if b.Older == nil {
		b.Older = map[string][]*objectState{}
	}
	b.Older[key] = append(b.Older[key], o)
}

// hide deletes an object without deleting a version; it returns the delete marker,
// nil in a bucket that never had versions.
func (b *bucketState) hide(c *call, key string) *objectState {
	if b.Versioning == "" {
		delete(b.Objects, key)
		return nil
	}
	marker := &objectState{Deleted: true, Modified: c.now}
	if b.Versioning == types.BucketVersioningStatusEnabled {
		marker.Version = c.w.id(32)
	} else {
		b.drop(key, "null")
	}
	b.retire(key)
	b.keep(key, marker)
	return marker
}

// drop deletes a version for good. When it was the latest, the one before is.
func (b *bucketState) drop(key, version string) (gone *objectState) {
	if o := b.Objects[key]; o != nil && *nullable(o.Version) == version {
		delete(b.Objects, key)
		gone = o
	} else if i := slices.IndexFunc(b.Older[key], func(o *objectState) bool { return *nullable(o.Version) == version }); i >= 0 {
		gone = b.Older[key][i]
		b.Older[key] = slices.Delete(b.Older[key], i, i+1)
	}
	if n := len(b.Older[key]); n > 0 && b.Objects[key] == nil && !b.Older[key][n-1].Deleted {
		b.Objects[key] = b.Older[key][n-1]
		b.Older[key] = b.Older[key][:n-1]
	}
	if len(b.Older[key]) == 0 {
		delete(b.Older, key)
	}
	return gone
}

// versions are all versions of an object, the oldest first.
func (b *bucketState) versions(key string) []*objectState {
	all := slices.Clone(b.Older[key])
	if o := b.Objects[key]; o != nil {
		all = append(all, o)
	}
	return all
}

// nullable is a version's id: the one without an id is called null.
func nullable(version string) *string {
	if version == "" {
		version = "null"
	}
	return &version
}

// versionID is what answers about an object say of its version: nothing where the
// bucket never had versions.
func (b *bucketState) versionID(o *objectState) *string {
	if b.Versioning == "" {
		return nil
	}
	return nullable(o.Version)
}

// tagged says whether the object has the ETag that a condition names, or any with "*".
func (o *objectState) tagged(tag string) bool {
	return tag == "*" || strings.Trim(tag, `"`) == strings.Trim(o.ETag, `"`)
}

func preconditionFailed() error {
	return apiError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

// preconditions checks a conditional write against the object that is there, nil for
// none.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func preconditions(o *objectState, match, none *string) error {
	switch {
	case none != nil && *none != "*":
		return apiError("NotImplemented", "A header you provided implies functionality that is not implemented")
	case none != nil && o != nil:
		return preconditionFailed()
	case match != nil && o == nil:
		return &types.NoSuchKey{Message: aws.String("The specified key does not exist.")}
	case match != nil && !o.tagged(*match):
		return preconditionFailed()
	}
	return nil
}

// unmodified checks a conditional read.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-reads.html
func unmodified(o *objectState, match, none *string) error {
	switch {
	case match != nil && !o.tagged(*match):
		return preconditionFailed()
	case none != nil && o.tagged(*none):
		return apiError("NotModified", "Not Modified")
	}
	return nil
}

// listVersions lists versions by key, the newest of each first.
func listVersions(c *call, in *s3.ListObjectVersionsInput) (*s3.ListObjectVersionsOutput, error) {
	b, err := bucketFor(c, in.Bucket, "ListBucketVersions", "")
	if err != nil {
		return nil, err
	}
	if in.Delimiter != nil {
		return nil, apiError("NotImplemented", "The sandbox lists versions without a delimiter")
	}
	type entry struct {
		key    string
		latest bool
		*objectState
	}
	keys := slices.Collect(maps.Keys(b.Objects))
	for key := range b.Older {
		if b.Objects[key] == nil {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	var entries []entry
	after := aws.ToString(in.KeyMarker)
	for _, key := range keys {
		if !strings.HasPrefix(key, aws.ToString(in.Prefix)) || key < after || key == after && in.VersionIdMarker == nil && in.KeyMarker != nil {
			continue
		}
		all := b.versions(key)
		slices.Reverse(all)
		passed := key != after || in.VersionIdMarker == nil
		for i, o := range all {
			if passed {
				entries = append(entries, entry{key, i == 0, o})
			}
			passed = passed || *nullable(o.Version) == *in.VersionIdMarker
		}
	}
	limit := 1000
	if in.MaxKeys != nil {
		limit = max(0, min(int(*in.MaxKeys), limit))
	}
	out := &s3.ListObjectVersionsOutput{
		Name: aws.String(b.Name), Prefix: in.Prefix, MaxKeys: aws.Int32(int32(limit)), KeyMarker: in.KeyMarker, VersionIdMarker: in.VersionIdMarker,
		IsTruncated: aws.Bool(len(entries) > limit),
	}
	for i, e := range entries[:min(limit, len(entries))] {
		if e.Deleted {
			out.DeleteMarkers = append(out.DeleteMarkers, types.DeleteMarkerEntry{Key: aws.String(e.key), VersionId: nullable(e.Version), IsLatest: aws.Bool(e.latest), LastModified: aws.Time(e.Modified)})
		} else {
			out.Versions = append(out.Versions, types.ObjectVersion{
				Key: aws.String(e.key), VersionId: nullable(e.Version), IsLatest: aws.Bool(e.latest), LastModified: aws.Time(e.Modified),
				ETag: aws.String(e.ETag), Size: aws.Int64(e.size()), StorageClass: types.ObjectVersionStorageClassStandard,
			})
		}
		if i == limit-1 && len(entries) > limit {
			out.NextKeyMarker, out.NextVersionIdMarker = aws.String(e.key), nullable(e.Version)
		}
	}
	return out, nil
}
