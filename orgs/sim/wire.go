package sim

import (
	"context"
	"fmt"
	"strings"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// inputKey holds the operation's typed input in the stack's context.
type inputKey struct{}

// APIOptions puts the world behind SDK clients: the typed input is kept at the
// start of the Initialize step and answered at the end of the Finalize step,
// after retry and signing, in place of the wire.
func (w *World) APIOptions() []func(*middleware.Stack) error {
	keep := middleware.InitializeMiddlewareFunc("SandboxInput",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			return next.HandleInitialize(middleware.WithStackValue(ctx, inputKey{}, in.Parameters), in)
		})
	answer := middleware.FinalizeMiddlewareFunc("SandboxAnswer",
		func(ctx context.Context, in middleware.FinalizeInput, _ middleware.FinalizeHandler) (out middleware.FinalizeOutput, meta middleware.Metadata, err error) {
			req, ok := in.Request.(*smithyhttp.Request)
			if !ok {
				return out, meta, fmt.Errorf("sandbox: unexpected request %T", in.Request)
			}
			out.Result, err = w.answer(ctx, req)
			return out, meta, err
		})
	return []func(*middleware.Stack) error{func(s *middleware.Stack) error {
		if err := s.Initialize.Add(keep, middleware.After); err != nil {
			return err
		}
		return s.Finalize.Add(answer, middleware.After)
	}}
}

// answer answers one attempt of one call.
func (w *World) answer(ctx context.Context, req *smithyhttp.Request) (any, error) {
	serviceID, opName, region := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx), awsmiddleware.GetRegion(ctx)
	w.mu.Lock()
	latency := w.faults.Latency
	w.mu.Unlock()
	if latency > 0 {
		t := time.NewTimer(latency)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-t.C:
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	s, ok := w.sessions[accessKey(req)]
	if !ok {
		return nil, apiError(codesOf(serviceID).token, "The security token included in the request is invalid.")
	}
	if !s.expires.IsZero() && now.After(s.expires) {
		return nil, apiError(codesOf(serviceID).expired(), "The security token included in the request is expired")
	}
	c := &call{ctx: ctx, w: w, service: serviceID, op: opName, caller: s.principal, policy: s.policy, region: region, now: now}
	if err := w.inject(c); err != nil {
		return nil, err
	}
	w.settle(c)
	out, err := w.invoke(c, middleware.GetStackValue(ctx, inputKey{}))
	if len(w.state.Later) > 0 {
		w.runWaiting(c)
	}
	if crash := w.crashDue(c); crash != nil {
		crash()
	}
	return out, err
}

// accessKey reads the access key id from the signature.
func accessKey(req *smithyhttp.Request) string {
	_, rest, ok := strings.Cut(req.Header.Get("Authorization"), "Credential=")
	if !ok {
		return ""
	}
	key, _, _ := strings.Cut(rest, "/")
	return key
}
