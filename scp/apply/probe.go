package apply

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/smithy-go"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/scp"
	"github.com/orgguard/orgguard/scp/preview"
)

// Probe asks AWS itself: a call that the policy denies is made in an account of the
// wave, and must be denied. Only calls that change nothing where they are not
// denied are made: on a name that nobody has. An alert on calls to AWS Config, such
// as orgguard's own, tells of them.
type Probe struct {
	// Pool assumes the role in the accounts.
	Pool *access.Pool
	// Role is the role's name, with its path if it has one.
	Role   string
	Region string
}

// harmless are the calls of which one is made. Nothing has the name they are made
// on, so that without a denial the service answers that there is no such thing.
var harmless = []struct {
	action   string
	resource string // ${Name}, ${Account}, ${Partition} and ${Region} are filled in
	call     func(ctx context.Context, p *access.Pool, at access.At, name string) error
}{
	{"config:StopConfigurationRecorder", "arn:${Partition}:config:${Region}:${Account}:configuration-recorder/${Name}/0000000000000000",
		func(ctx context.Context, p *access.Pool, at access.At, name string) error {
			_, err := p.Config.StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String(name)}, at.Config)
			return err
		}},
	{"events:DisableRule", "arn:${Partition}:events:${Region}:${Account}:rule/${Name}",
		func(ctx context.Context, p *access.Pool, at access.At, name string) error {
			_, err := p.Events.DisableRule(ctx, &eventbridge.DisableRuleInput{Name: aws.String(name)}, at.Events)
			return err
		}},
	{"iam:DeleteRole", "arn:${Partition}:iam::${Account}:role/${Name}",
		func(ctx context.Context, p *access.Pool, at access.At, name string) error {
			_, err := p.IAM.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: aws.String(name)}, at.IAM)
			return err
		}},
}

// notThere are the answers of services that would have done what was asked.
var notThere = []string{"NoSuchConfigurationRecorderException", "ResourceNotFoundException", "NoSuchEntity", "NoSuchEntityException"}

const probeID = "probe"

// maxProbed is how many accounts are tried until one can be entered.
const maxProbed = 3

// probe makes a call that must be denied in an account of the wave. A call that
// goes through is an error; a call that could not be made is a warning.
func (r *Runner) probe(ctx context.Context, w Wave) (preview.Check, error) {
	accounts := r.newlyBound(w)
	if len(accounts) == 0 {
		return preview.Check{ID: probeID, Status: preview.CheckOK, Text: "no probe: the wave binds no further account"}, nil
	}
	now, err := r.attached(ctx)
	if err != nil {
		return preview.Check{ID: probeID, Status: preview.CheckError, Text: err.Error()}, err
	}
	warning := preview.Check{ID: probeID, Status: preview.CheckWarning}
	for _, a := range accounts[:min(maxProbed, len(accounts))] {
		if err := r.opts.Probe.Pool.AssumeError(ctx, r.opts.Probe.Pool.In(r.opts.Org.Partition, a.ID, r.opts.Probe.Region)); err != nil {
			warning.Text = "no probe: " + err.Error()
			continue
		}
		return r.probeIn(ctx, a, now)
	}
	return warning, nil
}

// newlyBound are accounts that a wave attaches the policy to, or edits it on.
func (r *Runner) newlyBound(w Wave) []orgs.Account {
	var out []orgs.Account
	for _, c := range w.Changes {
		_, after, err := sides(c)
		switch {
		case err != nil:
		case c.Verb == plan.Attach:
			out = append(out, Affected(r.opts.Org, after.Target)...)
		case c.Verb == plan.Update:
			for _, t := range r.want.Targets {
				out = append(out, Affected(r.opts.Org, t)...)
			}
		}
	}
	return out
}

// probeIn makes the call in one account.
func (r *Runner) probeIn(ctx context.Context, a orgs.Account, now preview.Attachments) (preview.Check, error) {
	p := r.opts.Probe
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	name := "orgguard-probe-" + hex.EncodeToString(random[:])
	where := fmt.Sprintf("%s as %s in %s (%s)", p.Region, p.Role, a.Name, a.ID)
	for _, h := range harmless {
		resource := strings.NewReplacer("${Partition}", r.opts.Org.Partition.ID, "${Region}", p.Region, "${Account}", string(a.ID), "${Name}", name).Replace(h.resource)
		answer, err := preview.Answer(r.opts.Judge, now, a, p.Role, h.action, resource, p.Region)
		if err != nil {
			return preview.Check{ID: probeID, Status: preview.CheckError, Text: err.Error()}, err
		}
		if answer.Decision != scp.DecisionDeny {
			continue
		}
		deadline := time.Now().Add(r.opts.Patience)
		for pause := time.Second; ; pause = min(2*pause, 10*time.Second) {
			check, through := judgeProbe(h.call(ctx, p.Pool, p.Pool.In(r.opts.Org.Partition, a.ID, p.Region), name), h.action+" in "+where)
			if !through {
				return check, nil
			}
			if !time.Now().Add(pause).Before(deadline) || orgs.Pause(ctx, pause) != nil {
				return check, errors.New(check.Text)
			}
		}
	}
	var tried []string
	for _, h := range harmless {
		tried = append(tried, h.action)
	}
	return preview.Check{
		ID: probeID, Status: preview.CheckWarning,
		Text: fmt.Sprintf("no probe: none of the harmless calls (%s) is denied in %s", strings.Join(tried, ", "), where),
		Fix:  "name a role that the policy does not spare: --probe-role",
	}, nil
}

// judgeProbe says what an answer means; through when the call was not denied.
func judgeProbe(err error, what string) (check preview.Check, through bool) {
	check = preview.Check{ID: probeID, Status: preview.CheckWarning}
	var api smithy.APIError
	switch {
	case err == nil:
		check.Status, check.Text = preview.CheckError, what+" was allowed and is to be denied"
		return check, true
	case !errors.As(err, &api):
		check.Text = what + ": " + err.Error()
	case slices.Contains(notThere, api.ErrorCode()):
		check.Status, check.Text = preview.CheckError, what+" was not denied: AWS says "+api.ErrorCode()
		return check, true
	// That a policy of the organization denied, and not IAM, stands in the text alone.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
	case strings.Contains(api.ErrorMessage(), "service control policy"):
		check.Status, check.Text = preview.CheckOK, what+" was denied by a service control policy"
	case orgs.Denied(err):
		check.Text = what + " was denied, and AWS does not say that a service control policy did it"
	default:
		check.Text = what + ": " + err.Error()
	}
	return check, false
}
