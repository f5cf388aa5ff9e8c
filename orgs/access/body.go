package access

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// PlainBodies returns a client that sends what it is given through c, with bodies
// that can be read and no more.
//
// The SDK closes a request's body as soon as it has the answer, while net/http may
// still be making sure that nothing follows the body's last byte. That look uses
// the body's WriterTo, which after the close says io.EOF where it should say
// nothing; net/http takes this for a failed write and closes the connection under
// the answer that is being read. It happens when the answer comes before the
// writing goroutine runs again: with a near endpoint and a busy processor.
func PlainBodies(c aws.HTTPClient) aws.HTTPClient { return plainBodies{c} }

type plainBodies struct{ aws.HTTPClient }

func (c plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body} // hides WriterTo
	}
	return c.HTTPClient.Do(r)
}
