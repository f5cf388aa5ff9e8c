package orgs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/smithy-go"
)

// Code returns the AWS error code of an error; "" when it has none. Codes are
// what callers branch on: texts change.
func Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// Denied says whether an API refused a call for want of a right, in any of AWS's
// words for it: EC2's is UnauthorizedOperation and SNS's AuthorizationError.
func Denied(err error) bool {
	c := Code(err)
	return strings.Contains(c, "AccessDenied") || c == "UnauthorizedOperation" || c == "AuthorizationError"
}

// Reason shortens an SDK error to what an operator needs: what was done, AWS's
// code and AWS's words.
func Reason(err error) string {
	text := err.Error()
	if c := Code(err); c != "" {
		what, _, _ := strings.Cut(text, ": operation error")
		what, _, _ = strings.Cut(what, ": failed to refresh cached credentials")
		_, words, ok := strings.Cut(text, c+": ")
		if !ok {
			words = ""
		}
		return strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", what, c, words), ": ")
	}
	return text
}

// Pause waits between two looks at something that takes its time, or returns why
// ctx has ended.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
