package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/journal"
)

type api interface {
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
}

// Copy keeps the journals of an organization in a bucket. It is a journal.Copy.
type Copy struct {
	API api
	At  func(*s3.Options) // the account × Region
	// Name is the bucket's, Owner the account that it must belong to: a bucket of
	// somebody else's is refused by S3.
	Name  string
	Owner orgs.AccountID
	// Prefix is what keys begin with: "" or something that ends with a slash.
	Prefix       string
	Organization string
}

var _ journal.Copy = Copy{}

// maxEntry bounds what is read of an object: a journal's own bound.
const maxEntry = 64 << 20

// parallel is how many objects are read at once.
const parallel = 16

func (c Copy) root() string { return c.Prefix + c.Organization + "/" }

func (c Copy) key(run string, seq int) string {
	return fmt.Sprintf("%s%s/%08d.json", c.root(), run, seq)
}

// Where is the bucket and the prefix as aws s3 takes them.
func (c Copy) Where() string { return "s3://" + c.Name + "/" + c.root() }

// Put adds an entry.
func (c Copy) Put(ctx context.Context, run string, seq int, line []byte) error {
	key, sum := c.key(run, seq), sha256.Sum256(line)
	_, err := c.API.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(c.Name), Key: aws.String(key), ExpectedBucketOwner: aws.String(string(c.Owner)),
		Body: bytes.NewReader(line), ContentType: aws.String("application/json"),
		IfNoneMatch: aws.String("*"), ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	}, c.At)
	if orgs.Code(err) != "PreconditionFailed" {
		return c.explained(err)
	}
	// A retry whose first try got through finds its own entry.
	there, gerr := c.get(ctx, key)
	switch {
	case gerr != nil:
		return fmt.Errorf("there is an entry already and it cannot be read: %w", gerr)
	case !bytes.Equal(there, line):
		return &orgs.Hinted{
			Err:  fmt.Errorf("s3://%s/%s is there already and tells something else", c.Name, key),
			Next: "another machine went on with this run: look at who, and begin a new one",
		}
	}
	return nil
}

// explained says what to do about an error of S3's that is about the bucket.
func (c Copy) explained(err error) error {
	next := ""
	switch orgs.Code(err) {
	case "NoSuchBucket":
		next = fmt.Sprintf("make it in account %s (Object Lock can be had from the beginning): aws s3api create-bucket --bucket %s --object-lock-enabled-for-bucket", c.Owner, c.Name)
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		next = fmt.Sprintf("the bucket %s is in another Region: it has to be in the home Region", c.Name)
	case "AccessDenied":
		next = fmt.Sprintf("the bucket %s must belong to account %s, and the access role there needs what orgguard permissions prints", c.Name, c.Owner)
	default:
		return err
	}
	return &orgs.Hinted{Err: err, Next: next}
}

func (c Copy) get(ctx context.Context, key string) ([]byte, error) {
	out, err := c.API.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(c.Name), Key: aws.String(key), ExpectedBucketOwner: aws.String(string(c.Owner))}, c.At)
	if err != nil {
		return nil, c.explained(err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(io.LimitReader(out.Body, maxEntry+1))
	if err == nil && len(body) > maxEntry {
		err = fmt.Errorf("larger than %d MiB", maxEntry>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("read s3://%s/%s: %w", c.Name, key, err)
	}
	return body, nil
}

// keys are the entries under a prefix, in the order of their keys: by run, and then
// by number. What is no entry is left out.
func (c Copy) keys(ctx context.Context, prefix string) ([]entry, error) {
	var out []entry
	p := s3.NewListObjectsV2Paginator(c.API, &s3.ListObjectsV2Input{Bucket: aws.String(c.Name), Prefix: aws.String(prefix), ExpectedBucketOwner: aws.String(string(c.Owner))})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, c.At)
		if err != nil {
			return nil, fmt.Errorf("list s3://%s/%s: %w", c.Name, prefix, c.explained(err))
		}
		for _, o := range page.Contents {
			if e, ok := c.entry(aws.ToString(o.Key)); ok {
				out = append(out, e)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	return out, nil
}

// entry is an object that holds one.
type entry struct {
	key, run string
	seq      int
}

func (c Copy) entry(key string) (entry, bool) {
	run, name, ok := strings.Cut(strings.TrimPrefix(key, c.root()), "/")
	digits, json := strings.CutSuffix(name, ".json")
	seq, err := strconv.Atoi(digits)
	e := entry{key, run, seq}
	return e, ok && json && err == nil && c.key(run, seq) == key
}

func (c Copy) read(ctx context.Context, keys []string) ([][]byte, error) {
	out := make([][]byte, len(keys))
	for i, o := range orgs.ForEach(ctx, keys, parallel, c.get) {
		if o.Err != nil {
			return nil, o.Err
		}
		out[i] = o.Value
	}
	return out, nil
}

// Get returns the entries of a run.
func (c Copy) Get(ctx context.Context, run string) ([]byte, error) {
	found, err := c.keys(ctx, c.root()+run+"/")
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(found))
	for i, e := range found {
		keys[i] = e.key
	}
	lines, err := c.read(ctx, keys)
	return bytes.Join(lines, nil), err
}

// Reach says why the bucket cannot be read; nil when it can. Whether it can be written
// shows when something is.
func (c Copy) Reach(ctx context.Context) error {
	_, err := c.API.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: aws.String(c.Name), Prefix: aws.String(c.root()), MaxKeys: aws.Int32(1), ExpectedBucketOwner: aws.String(string(c.Owner)),
	}, c.At)
	return c.explained(err)
}

// Runs returns every run of the organization.
func (c Copy) Runs(ctx context.Context) ([]journal.Copied, error) {
	found, err := c.keys(ctx, c.root())
	if err != nil {
		return nil, err
	}
	var out []journal.Copied
	var keys []string
	for i, e := range found {
		if i == 0 || found[i-1].run != e.run {
			out = append(out, journal.Copied{Run: e.run})
			keys = append(keys, e.key, e.key)
		}
		out[len(out)-1].Entries, keys[len(keys)-1] = e.seq, e.key
	}
	lines, err := c.read(ctx, keys)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].First, out[i].Last = lines[2*i], lines[2*i+1]
	}
	return out, nil
}
