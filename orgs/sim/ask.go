package sim

import (
	"context"
)

// Ask answers one call of an operation, named as the SDK names it, from an account
// × Region. decode fills the operation's typed input. It is for whoever puts a
// wire in front of a world: no SDK client, signature or fault is in between, and
// the caller is an administrator of the account.
func (w *World) Ask(ctx context.Context, account, region, serviceID, operation string, decode func(input any) error) (any, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &call{ctx: ctx, w: w, service: serviceID, op: operation, caller: w.rolePrincipal(account, "OrgAdmin", "orgguard"), region: region, now: w.now()}
	if account != w.state.Org.ManagementAccount {
		c.caller = w.rolePrincipal(account, "OrganizationAccountAccessRole", "orgguard")
	}
	var in any
	if o, ok := w.services[serviceID].ops[operation]; ok {
		in = o.input()
		if err := decode(in); err != nil {
			return nil, apiError("SerializationException", "%v", err)
		}
	}
	w.settle(c)
	return w.invoke(c, in) // which refuses what it does not know
}

// ActionPrefix is a service's prefix in IAM actions, e.g. "config", by the SDK's
// service id; "" for a service that the world does not have.
func ActionPrefix(serviceID string) string { return services[serviceID].prefix }
