package stub

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/aws/smithy-go"
)

// protocol is how a service is spoken to.
type protocol int

const (
	jsonTarget protocol = iota // operation in X-Amz-Target
	restJSON                   // operation in the path
	query                      // operation in the form, answer in XML
	s3REST
)

// serviceOf is a service by the name that signatures have for it.
type serviceOf struct {
	id       string // the SDK's service id
	protocol protocol
	// throttled is the code of its throttling.
	throttled string
}

var signedAs = map[string]serviceOf{
	"organizations":  {"Organizations", jsonTarget, "TooManyRequestsException"},
	"config":         {"Config Service", jsonTarget, "ThrottlingException"},
	"events":         {"EventBridge", jsonTarget, "ThrottlingException"},
	"kms":            {"KMS", jsonTarget, "ThrottlingException"},
	"sqs":            {"SQS", jsonTarget, "RequestThrottled"},
	"states":         {"SFN", jsonTarget, "ThrottlingException"},
	"account":        {"Account", restJSON, "TooManyRequestsException"},
	"sts":            {"STS", query, "Throttling"},
	"iam":            {"IAM", query, "Throttling"},
	"cloudformation": {"CloudFormation", query, "Throttling"},
	"sns":            {"SNS", query, "Throttling"},
	"s3":             {"S3", s3REST, "SlowDown"},
}

// s3Operations are the reads of a bucket by the name of their subresource.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html
var s3Operations = map[string]string{
	"policy": "GetBucketPolicy", "versioning": "GetBucketVersioning", "publicAccessBlock": "GetPublicAccessBlock",
	"encryption": "GetBucketEncryption", "ownershipControls": "GetBucketOwnershipControls",
}

// request is a call as it came over the wire.
type request struct {
	service   serviceOf
	account   string
	region    string
	operation string
	body      []byte     // JSON
	form      url.Values // query
	bucket    string     // S3
}

// keyPrefix begins the access keys that stand for accounts.
const keyPrefix = "ASIASTUB"

// AccessKey is an access key of an account.
func AccessKey(account string) string { return keyPrefix + account }

// readRequest reads who calls from the signature, and what is called.
func readRequest(r *http.Request, body []byte) (request, error) {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	scope, _, _ = strings.Cut(scope, ",")
	part := strings.Split(scope, "/") // key, day, Region, service, aws4_request
	if len(part) != 5 || !strings.HasPrefix(part[0], keyPrefix) {
		return request{}, fmt.Errorf("no signature of an account of this stub: %q", scope)
	}
	q := request{account: strings.TrimPrefix(part[0], keyPrefix), region: part[2], body: body}
	var ok bool
	if q.service, ok = signedAs[part[3]]; !ok {
		return q, fmt.Errorf("no service %q", part[3])
	}
	switch q.service.protocol {
	case jsonTarget:
		_, q.operation, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	case restJSON:
		if name := strings.TrimPrefix(r.URL.Path, "/"); name != "" {
			q.operation = strings.ToUpper(name[:1]) + name[1:]
		}
	case query:
		var err error
		if q.form, err = url.ParseQuery(string(body)); err != nil {
			return q, err
		}
		q.operation = q.form.Get("Action")
	case s3REST:
		q.bucket = strings.Trim(r.URL.Path, "/")
		for name := range r.URL.Query() {
			if op, ok := s3Operations[name]; ok && r.Method == http.MethodGet {
				q.operation = op
			}
		}
	}
	return q, nil
}

// decode fills an operation's typed input.
func (q request) decode(in any) error {
	switch q.service.protocol {
	case query:
		return formInto(q.form, "", reflect.ValueOf(in).Elem())
	case s3REST:
		reflect.ValueOf(in).Elem().FieldByName("Bucket").Set(reflect.ValueOf(&q.bucket))
		return nil
	}
	if len(q.body) == 0 {
		return nil
	}
	return json.Unmarshal(q.body, in) // names match but for the case of their first letter
}

// formInto reads a structure from a form: Name, Name.member.1, Name.Field.
func formInto(form url.Values, prefix string, v reflect.Value) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		if err := formField(form, prefix+f.Name, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

func formField(form url.Values, key string, v reflect.Value) error {
	text, given := form.Get(key), form.Has(key)
	switch v.Kind() {
	case reflect.Pointer:
		if !given && !hasPrefix(form, key+".") {
			return nil
		}
		v.Set(reflect.New(v.Type().Elem()))
		return formField(form, key, v.Elem())
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(text == "true")
	case reflect.Int32, reflect.Int64:
		if !given {
			return nil
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		v.SetInt(n)
	case reflect.Slice:
		for n := 1; ; n++ {
			member := key + ".member." + strconv.Itoa(n)
			if !form.Has(member) && !hasPrefix(form, member+".") {
				return nil
			}
			v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
			if err := formField(form, member, v.Index(n-1)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		return formInto(form, key+".", v)
	}
	return nil
}

func hasPrefix(form url.Values, prefix string) bool {
	for k := range form {
		if strings.HasPrefix(k, prefix) {
			return true
		}
	}
	return false
}

// answer is what goes back over the wire.
type answer struct {
	status int
	kind   string // content type
	body   []byte
}

const (
	typeJSON = "application/x-amz-json-1.1"
	typeXML  = "text/xml"
)

// failure is an error on the wire.
func (s serviceOf) failure(err error) answer {
	code, message := "InternalFailure", err.Error()
	var api smithy.APIError
	if errors.As(err, &api) {
		code, message = api.ErrorCode(), api.ErrorMessage()
	}
	status := http.StatusBadRequest
	switch {
	case strings.Contains(code, "AccessDenied"):
		status = http.StatusForbidden
	case code == "SlowDown":
		status = http.StatusServiceUnavailable
	case s.protocol == restJSON && code == s.throttled:
		status = http.StatusTooManyRequests
	case s.protocol == s3REST || strings.HasPrefix(code, "NoSuchEntity"):
		status = http.StatusNotFound
	}
	switch s.protocol {
	case query:
		return answer{status, typeXML, fmt.Appendf(nil, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>stub</RequestId></ErrorResponse>`, escape(code), escape(message))}
	case s3REST:
		return answer{status, typeXML, fmt.Appendf(nil, `<Error><Code>%s</Code><Message>%s</Message><RequestId>stub</RequestId></Error>`, escape(code), escape(message))}
	}
	body, err := json.Marshal(map[string]string{"__type": code, "message": message})
	if err != nil {
		body = []byte(`{"__type":"InternalFailure"}`)
	}
	return answer{status, typeJSON, body}
}
