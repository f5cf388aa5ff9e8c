package orgs

import (
	"context"
	"errors"
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
