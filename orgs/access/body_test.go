package access

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// lateReader keeps the body of a request, to look at it again when the SDK is done
// with it, as net/http does when the answer comes early.
type lateReader struct{ body io.ReadCloser }

func (l *lateReader) Do(r *http.Request) (*http.Response, error) {
	l.body = r.Body
	const answer = `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111111111111</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`
	if _, err := io.CopyN(io.Discard, r.Body, r.ContentLength); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(answer)), Header: http.Header{}}, nil
}

func TestABodyThatTheSDKHasClosedIsAtItsEnd(t *testing.T) {
	var l lateReader
	c := sts.NewFromConfig(aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("AKIAORGGUARDTEST0000", "secret", ""),
		HTTPClient: PlainBodies(&l),
	})
	if _, err := c.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, l.body); n != 0 || err != nil {
		t.Errorf("%d bytes more, %v; net/http would close the connection under the answer", n, err)
	}
}
