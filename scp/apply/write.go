package apply

import (
	"context"
	"errors"
	"fmt"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/orgpolicy"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp/preview"
)

// writer makes changes to one policy. Each can be made again: what is there
// already is left as it is.
type writer struct {
	scps        orgpolicy.Service
	policy      string // its name
	description string
	id          string // "" as long as nobody knows it
}

// ReadPolicy reads a policy by its name: a listing of the policies, and two calls
// more for the one that has it. One that is not there has no ID.
func ReadPolicy(ctx context.Context, pool *access.Pool, org *orgs.Organization, name string) (Policy, error) {
	return preview.SCPs(pool, org).Read(ctx, name)
}

// make makes a change. already says that there was nothing to do: it is not ours
// to take back.
func (w *writer) make(ctx context.Context, org *orgs.Organization, c plan.Change) (already bool, err error) {
	before, after, err := sides(c)
	if err != nil {
		return false, err
	}
	what := nameOf(c)
	if c.Verb == plan.Create {
		return w.create(ctx, org, what, after.Content)
	}
	if w.id == "" {
		have, err := w.scps.Read(ctx, w.policy)
		if err != nil {
			return false, fmt.Errorf("%s: %w", what, err)
		}
		if w.id = have.ID; w.id == "" {
			if c.Verb == plan.Delete || c.Verb == plan.Detach {
				return true, nil
			}
			return false, fmt.Errorf("%s: there is no policy of that name", what)
		}
	}
	switch c.Verb {
	case plan.Update:
		err = w.scps.Update(ctx, w.id, after.Content)
	case plan.Attach:
		already, err = w.scps.Attach(ctx, w.id, after.Target)
	case plan.Detach:
		already, err = w.scps.Detach(ctx, w.id, before.Target)
	case plan.Delete:
		already, err = w.remove(ctx, org, before.Content)
	default:
		return false, fmt.Errorf("%s: not a change to a policy", what)
	}
	if already {
		return true, nil
	}
	if err != nil {
		return false, w.scps.Explain(what, err)
	}
	return false, nil
}

// create makes the policy, or takes the one of that name when it says the same.
func (w *writer) create(ctx context.Context, org *orgs.Organization, what, content string) (already bool, err error) {
	id, err := w.scps.Create(ctx, w.policy, w.description, content)
	if orgs.Code(err) == "DuplicatePolicyException" {
		have, readErr := w.scps.Read(ctx, w.policy)
		if readErr == nil && have.ID != "" && Same([]byte(have.Content), []byte(content)) {
			w.id = have.ID
			return true, nil
		}
		return false, &orgs.Hinted{Err: fmt.Errorf("%s: there is one of that name by now, with another text: %w", what, errors.Join(err, readErr)), Next: "run it again: it looks at what is there first"}
	}
	if err != nil {
		return false, w.scps.Explain(what, err)
	}
	w.id = id
	return false, nil
}

// remove deletes a policy that is attached to nothing and says what it said when
// it was made: another text is somebody else's work.
func (w *writer) remove(ctx context.Context, org *orgs.Organization, content string) (already bool, err error) {
	have, err := w.scps.Read(ctx, w.policy)
	switch {
	case err != nil:
		return false, err
	case have.ID == "":
		return true, nil
	case len(have.Targets) > 0:
		return false, fmt.Errorf("it is attached to %s", NodeName(org, have.Targets[0]))
	case !Same([]byte(have.Content), []byte(content)):
		return false, errors.New("it was edited since")
	}
	err = w.scps.Delete(ctx, have.ID)
	w.id = ""
	return false, err
}
