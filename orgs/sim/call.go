package sim

import (
	"context"
	"time"
)

// call is one API call being answered. Handlers run with w.mu held.
type call struct {
	ctx     context.Context
	w       *World
	service string // SDK service id, e.g. "Config Service"
	op      string // operation name, e.g. "PutConfigurationRecorder"
	caller  Principal
	policy  string // session policy, "" for none
	region  string
	now     time.Time
	// via is the service that makes the call for the caller, e.g.
	// "cloudformation.amazonaws.com"; "" for a direct call.
	via string
	// serviceRole says that via works with a role of its own, such as a stack
	// set's execution role, and does not forward the session of its caller.
	serviceRole bool
	// keyVia is the service that uses a KMS key for the caller, as
	// kms:ViaService gives it, e.g. "sns.us-east-1.amazonaws.com".
	keyVia string
	// boundary is what iam:PermissionsBoundary says; "" when it is not there.
	boundary string
	// trails are those that were logging when the call was made: they log the one
	// that stops them.
	trails []*trail
}

// account is the account whose resources the call acts on.
func (c *call) account() *accountState { return c.w.state.Accounts[c.caller.Account] }

// here is the account × Region the call acts on.
func (c *call) here() *regionState { return c.w.region(c.caller.Account, c.region) }

// arn makes an ARN in the call's account and Region.
func (c *call) arn(service, resource string) string {
	return "arn:" + c.w.state.Partition + ":" + service + ":" + c.region + ":" + c.caller.Account + ":" + resource
}

// globalRegion is where events of global services appear.
func (w *World) globalRegion() string {
	switch w.state.Partition {
	case "aws-cn":
		return "cn-north-1"
	case "aws-us-gov":
		return "us-gov-west-1"
	default:
		return "us-east-1"
	}
}

// invoke answers one call with w.mu held: it asks the policies, runs the
// operation, and tells CloudTrail. CloudFormation's resource providers call it
// too, as the execution role, so that SCPs stop them as they would in AWS.
func (w *World) invoke(c *call, in any) (any, error) {
	svc, ok := w.services[c.service]
	if !ok {
		return nil, apiError("UnknownService", "the sandbox has no service %q", c.service)
	}
	o, ok := svc.ops[c.op]
	if !ok {
		return nil, apiError("UnknownOperationException", "the sandbox has no operation %s:%s", svc.prefix, c.op)
	}
	w.calls[svc.prefix+":"+c.op]++
	action, resource := svc.prefix+":"+c.op, "*"
	if o.action != "" {
		action = o.action
	}
	if o.resource != nil {
		resource = o.resource(c, in)
	}
	c.boundary = c.boundaryKey(in)
	c.trails = w.loggingTrails(c.caller.Account, w.eventRegion(c, svc))
	err := w.authorize(c, action, resource)
	var out any
	if err == nil {
		changed := func() {}
		if o.access == write {
			changed = w.changing(c, resource)
		}
		if out, err = o.run(c, in); err == nil {
			changed()
		}
	}
	if o.access == write {
		w.writes++
	}
	if c.recorded(o.access, err) {
		w.dirty()
		w.record(c, svc, o.access, in, out, err) // CloudTrail, and with it EventBridge
	}
	return out, err
}

// sub is a call that a principal makes through a service, for asking its policies.
func (c *call) sub(p Principal, service string) *call {
	return &call{ctx: c.ctx, w: c.w, service: service, caller: p, region: c.region, now: c.now, via: c.via}
}

// as makes a call by another principal in the same world: what a service does
// on a caller's behalf.
func (c *call) as(p Principal, region, service, op string, in any) (any, error) {
	sub := c.sub(p, service)
	sub.op, sub.region = op, region
	if p == c.caller {
		sub.policy = c.policy // forward access sessions keep the caller's session policy
	}
	return c.w.invoke(sub, in)
}
