package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Template bodies are kept once, by digest: a stack set's instances all have
// the same one.

// templateDigest names a template body.
func templateDigest(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:16])
}

// keepTemplate stores a template body under its digest.
func (w *World) keepTemplate(digest, body string, t *template) {
	if w.state.StackSets.Templates == nil {
		w.state.StackSets.Templates = map[string]string{}
	}
	if w.templates == nil {
		w.templates = map[string]*template{}
	}
	w.state.StackSets.Templates[digest], w.templates[digest] = body, t
}

// parsedTemplate is the template of a digest, parsed once per process.
func (w *World) parsedTemplate(digest string) (*template, error) {
	if t := w.templates[digest]; t != nil {
		return t, nil
	}
	body := w.state.StackSets.Templates[digest]
	t, err := parseTemplate(body)
	if err == nil {
		w.keepTemplate(digest, body, t)
	}
	return t, err
}

// templateInput is the ways a request gives a template.
type templateInput struct {
	body, url *string
	previous  string // digest of the template to use again; "" when not asked for
}

// loadTemplate reads a request's template, keeps it and parses it.
func (c *call) loadTemplate(in templateInput) (digest string, t *template, err error) {
	given := 0
	for _, is := range []bool{in.body != nil, in.url != nil, in.previous != ""} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		return "", nil, validationError("Either Template URL or Template Body must be specified.")
	case given > 1:
		return "", nil, validationError("Only one of Template URL, Template Body or Use Previous Template can be specified.")
	case in.previous != "":
		t, err = c.w.parsedTemplate(in.previous)
		return in.previous, t, err
	}
	body := aws.ToString(in.body)
	if in.url != nil {
		if body, err = c.fetchTemplate(*in.url); err != nil {
			return "", nil, err
		}
	} else if len(body) > maxTemplateBody {
		return "", nil, validationError("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to %d", maxTemplateBody)
	}
	if body == "" {
		return "", nil, validationError("1 validation error detected: Value '' at 'templateBody' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	digest = templateDigest(body)
	if t := c.w.templates[digest]; t != nil {
		return digest, t, nil // a stack set's instances bring it again and again
	}
	if t, err = parseTemplate(body); err != nil {
		return "", nil, err
	}
	c.w.keepTemplate(digest, body, t)
	return digest, t, nil
}

// fetchTemplate reads a template from a bucket, with the caller's permissions.
func (c *call) fetchTemplate(address string) (string, error) {
	bucket, key, ok := bucketAndKey(address)
	if !ok {
		return "", validationError("TemplateURL must reference a valid S3 object to which you have access.")
	}
	region := c.region
	if b := c.w.state.Buckets[bucket]; b != nil {
		region = b.Region // the bucket may be in another one
	}
	out, err := c.as(c.caller, region, "S3", "GetObject", &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return "", validationError("S3 error: %s", c.w.resourceReason(err))
	}
	object, ok := out.(*s3.GetObjectOutput)
	if !ok || object.Body == nil {
		return "", validationError("TemplateURL must reference a valid S3 object to which you have access.")
	}
	defer object.Body.Close()
	body, err := io.ReadAll(io.LimitReader(object.Body, maxTemplateObject+1))
	if err != nil {
		return "", validationError("S3 error: %s", err.Error())
	}
	if len(body) > maxTemplateObject {
		return "", validationError("Template may not exceed %d bytes in size.", maxTemplateObject)
	}
	return string(body), nil
}

// bucketAndKey reads the two forms of an object's address:
// bucket.s3.region.amazonaws.com/key and s3.region.amazonaws.com/bucket/key.
func bucketAndKey(address string) (bucket, key string, ok bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || !strings.Contains(u.Host, ".amazonaws.com") {
		return "", "", false
	}
	path := strings.TrimPrefix(u.Path, "/")
	if strings.HasPrefix(u.Host, "s3.") || strings.HasPrefix(u.Host, "s3-") {
		bucket, key, ok = strings.Cut(path, "/")
		return bucket, key, ok && key != ""
	}
	for _, mark := range []string{".s3.", ".s3-"} {
		if i := strings.LastIndex(u.Host, mark); i > 0 {
			return u.Host[:i], path, path != ""
		}
	}
	return "", "", false
}
