package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/bucket"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/reports/history"
)

// sdk is the SDK's configuration of the session: that of its pool, or where nobody was
// called yet, one made now.
func (s *session) sdk(ctx context.Context) (aws.Config, error) {
	if s.aws.Region != "" {
		return s.aws, nil
	}
	var err error
	s.aws, err = s.awsConfig(ctx)
	return s.aws, err
}

// bucketAt opens the place that a URL such as s3://bucket/prefix names.
func (s *session) bucketAt(ctx context.Context, url string) (*bucket.Bucket, error) {
	place, err := bucket.ParseURL(url)
	if err != nil {
		return nil, badInput(err)
	}
	return s.bucketOf(ctx, place)
}

func (s *session) bucketOf(ctx context.Context, place bucket.Place) (*bucket.Bucket, error) {
	cfg, err := s.sdk(ctx)
	if err != nil {
		return nil, err
	}
	return bucket.Open(ctx, cfg, place)
}

// openHistory opens the history that --history names: a file, or a place in S3. One that
// is only read must be there.
func (s *session) openHistory(ctx context.Context, name string, m mode) (history.History, error) {
	if !bucket.IsURL(name) {
		if m == reads {
			h, err := history.OpenExisting(ctx, name)
			return h, badInput(err)
		}
		return history.Open(ctx, name)
	}
	b, err := s.bucketAt(ctx, name)
	if err != nil {
		return nil, err
	}
	if m == reads {
		return history.OpenExistingRemote(ctx, b)
	}
	return history.OpenRemote(ctx, b)
}

// objectAt opens the place that holds the object which a URL names, and names the object
// in it.
func (s *session) objectAt(ctx context.Context, url string) (*bucket.Bucket, string, error) {
	place, err := bucket.ParseURL(url)
	if err != nil {
		return nil, "", badInput(err)
	}
	folder, object := place.Split()
	b, err := s.bucketOf(ctx, folder)
	return b, object, err
}

// writeAt writes what a command puts out to a file or to an object.
func (s *session) writeAt(ctx context.Context, name string, data []byte) error {
	if !bucket.IsURL(name) {
		return writeFile(name, data)
	}
	b, object, err := s.objectAt(ctx, name)
	if err != nil {
		return err
	}
	return b.Write(ctx, object, data)
}

// readAt reads an object that a flag names.
func (s *session) readAt(ctx context.Context, url string) ([]byte, error) {
	b, object, err := s.objectAt(ctx, url)
	if err != nil {
		return nil, err
	}
	return readObject(ctx, b, object)
}

// readObject reads an object that somebody named, or that is listed.
func readObject(ctx context.Context, b *bucket.Bucket, object string) ([]byte, error) {
	body, _, err := b.Get(ctx, object)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, badInput(fmt.Errorf("there is no %s/%s", b, object))
	}
	return body, err
}

// readParts reads the parts of an audit: a file or an object, or all audits below a
// place in S3.
func (s *session) readParts(ctx context.Context, name string) ([]reports.Part, error) {
	if !bucket.IsURL(name) || strings.HasSuffix(name, ".json") {
		a, err := s.readAudit(ctx, name)
		return []reports.Part{{Name: name, Audit: a}}, err
	}
	b, err := s.bucketAt(ctx, name)
	if err != nil {
		return nil, err
	}
	names, err := b.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []reports.Part
	for _, n := range names {
		if path.Ext(n) != ".json" {
			continue
		}
		url := b.String() + "/" + n
		body, err := readObject(ctx, b, n)
		if err != nil {
			return nil, err
		}
		a, err := parseAudit(url, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		out = append(out, reports.Part{Name: url, Audit: a})
	}
	if len(out) == 0 {
		return nil, badInput(&orgs.Hinted{Err: fmt.Errorf("there is no audit below %s", b), Next: "orgguard audit --shard 1/8 --output " + b.String() + "/1.json writes one"})
	}
	return out, nil
}
