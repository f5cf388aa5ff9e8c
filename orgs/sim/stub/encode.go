package stub

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// success is an output on the wire.
func (q request) success(out any) (answer, error) {
	switch q.service.protocol {
	case query:
		var b bytes.Buffer
		fmt.Fprintf(&b, "<%sResponse><%sResult>", q.operation, q.operation)
		xmlFields(&b, reflect.ValueOf(out).Elem(), false)
		fmt.Fprintf(&b, "</%sResult><ResponseMetadata><RequestId>stub</RequestId></ResponseMetadata></%sResponse>", q.operation, q.operation)
		return answer{http.StatusOK, typeXML, b.Bytes()}, nil
	case s3REST:
		return s3Answer(out)
	}
	body, err := q.json(out)
	return answer{http.StatusOK, typeJSON, body}, err
}

// json writes an output as JSON. Where the SDK has a schema of it, the schema
// says the names; it writes requests, and an output is as good as one.
func (q request) json(out any) ([]byte, error) {
	v, ok := out.(smithy.Serializable)
	if !ok {
		return json.Marshal(plain(reflect.ValueOf(out), q.service.id == "SFN"))
	}
	schema := smithy.NewSchema(smithy.ShapeID{Name: "stub"}, smithy.ShapeTypeStructure, 0)
	req, ok := smithyhttp.NewStackRequest().(*smithyhttp.Request)
	if !ok {
		return nil, fmt.Errorf("the SDK's request is a %T", req)
	}
	err := awsjson.New11(&smithy.ServiceSchema{Schema: schema}).SerializeRequest(context.Background(), smithy.NewOperationSchema(schema, schema, schema), v, req)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(req.GetStream())
}

// plain is an output as maps and lists. The members of Step Functions begin with
// a small letter, those of other services with a capital.
func plain(v reflect.Value, small bool) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem(), small)
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return float64(t.Unix())
		}
		out := map[string]any{}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() || f.Name == "ResultMetadata" {
				continue
			}
			name := f.Name
			if small {
				name = strings.ToLower(name[:1]) + name[1:]
			}
			if x := plain(v.Field(i), small); x != nil {
				out[name] = x
			}
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		out := make([]any, v.Len())
		for i := range out {
			out[i] = plain(v.Index(i), small)
		}
		return out
	case reflect.String:
		if v.Len() == 0 {
			return nil
		}
		return v.String()
	}
	return v.Interface()
}

func escape(s string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return ""
	}
	return b.String()
}

// xmlFields writes the members of a structure. Lists hold members, or, flat, are
// their elements one after another under a name in the singular.
func xmlFields(b *bytes.Buffer, v reflect.Value, flat bool) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.IsExported() && f.Name != "ResultMetadata" {
			xmlElement(b, f.Name, v.Field(i), flat)
		}
	}
}

func xmlElement(b *bytes.Buffer, name string, v reflect.Value, flat bool) {
	text := func(s string) { fmt.Fprintf(b, "<%s>%s</%s>", name, escape(s), name) }
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			xmlElement(b, name, v.Elem(), flat)
		}
	case reflect.String:
		if v.Len() > 0 {
			text(v.String())
		}
	case reflect.Bool:
		text(strconv.FormatBool(v.Bool()))
	case reflect.Int32, reflect.Int64:
		text(strconv.FormatInt(v.Int(), 10))
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			text(t.UTC().Format(time.RFC3339))
			return
		}
		fmt.Fprintf(b, "<%s>", name)
		xmlFields(b, v, flat)
		fmt.Fprintf(b, "</%s>", name)
	case reflect.Slice:
		if v.IsNil() {
			return
		}
		if flat {
			for i := range v.Len() {
				xmlElement(b, strings.TrimSuffix(name, "s"), v.Index(i), flat)
			}
			return
		}
		fmt.Fprintf(b, "<%s>", name)
		for i := range v.Len() {
			xmlElement(b, "member", v.Index(i), flat)
		}
		fmt.Fprintf(b, "</%s>", name)
	case reflect.Map:
		fmt.Fprintf(b, "<%s>", name)
		for it := v.MapRange(); it.Next(); {
			b.WriteString("<entry>")
			xmlElement(b, "key", it.Key(), flat)
			xmlElement(b, "value", it.Value(), flat)
			b.WriteString("</entry>")
		}
		fmt.Fprintf(b, "</%s>", name)
	}
}

// s3Answer writes S3's outputs, whose bodies have names of their own.
func s3Answer(out any) (answer, error) {
	var b bytes.Buffer
	root := func(name string, v any) (answer, error) {
		xmlElement(&b, name, reflect.ValueOf(v), true)
		return answer{http.StatusOK, typeXML, b.Bytes()}, nil
	}
	switch out := out.(type) {
	case *s3.GetBucketPolicyOutput:
		return answer{http.StatusOK, "application/json", []byte(*out.Policy)}, nil
	case *s3.GetBucketVersioningOutput:
		return root("VersioningConfiguration", out)
	case *s3.GetPublicAccessBlockOutput:
		return root("PublicAccessBlockConfiguration", out.PublicAccessBlockConfiguration)
	case *s3.GetBucketEncryptionOutput:
		return root("ServerSideEncryptionConfiguration", out.ServerSideEncryptionConfiguration)
	case *s3.GetBucketOwnershipControlsOutput:
		return root("OwnershipControls", out.OwnershipControls)
	}
	return answer{}, fmt.Errorf("no wire form of %T", out)
}
