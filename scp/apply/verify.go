package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp/preview"
)

// verify looks whether a wave is what it should be: the policy attached to what it
// should be and to nothing else that this run took it off, its text as it was sent,
// and the roles without which nobody could repair or deploy still able to work,
// over the policies that are really attached now.
func (r *Runner) verify(ctx context.Context, w Wave) ([]preview.Check, error) {
	checks := []preview.Check{}
	say := func(id string, err error, text string) {
		c := preview.Check{ID: id, Status: preview.CheckOK, Text: text}
		if err != nil {
			c.Status, c.Text = preview.CheckError, err.Error()
		}
		checks = append(checks, c)
	}
	have, err := r.settled(ctx)
	say("in-place", err, r.inPlace(have))
	if err != nil {
		return checks, err
	}
	if len(r.opts.Judge.Guards) > 0 {
		text, err := r.guards(ctx)
		say("guarded-roles", err, text)
		if err != nil {
			return checks, err
		}
	}
	if r.opts.Probe != nil {
		check, err := r.probe(ctx, w)
		checks = append(checks, check)
		if err != nil {
			return checks, err
		}
	}
	return checks, nil
}

// settled waits until AWS shows what was written.
func (r *Runner) settled(ctx context.Context) (Policy, error) {
	deadline := time.Now().Add(r.opts.Patience)
	for pause := 500 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		have, err := ReadPolicy(ctx, r.opts.Pool, r.opts.Org, r.opts.Policy.Name)
		if err != nil {
			return have, err
		}
		wrong := r.wrong(have)
		if wrong == "" {
			return have, nil
		}
		if !time.Now().Add(pause).Before(deadline) {
			return have, errors.New(wrong)
		}
		if err := orgs.Pause(ctx, pause); err != nil {
			return have, fmt.Errorf("%s: %w", wrong, err)
		}
	}
}

// wrong says what is not as the writes should have made it.
func (r *Runner) wrong(have Policy) string {
	name := func(list []string) string {
		var out []string
		for _, id := range list[:min(3, len(list))] {
			out = append(out, NodeName(r.opts.Org, id))
		}
		if more := len(list) - len(out); more > 0 {
			out = append(out, fmt.Sprintf("%d more", more))
		}
		return strings.Join(out, ", ")
	}
	missing := slices.DeleteFunc(slices.Clone(r.want.Targets), func(t string) bool { return slices.Contains(have.Targets, t) })
	// Where somebody else has attached it meanwhile is not this run's affair.
	extra := slices.DeleteFunc(slices.Clone(have.Targets), func(t string) bool { return !r.off[t] })
	switch {
	case r.want.Content == "" && have.ID == "":
		return ""
	case r.want.Content == "":
		return "the policy is still there after it was deleted"
	case have.ID == "":
		return "the policy is not there"
	case !Same([]byte(have.Content), []byte(r.want.Content)):
		return "AWS holds another text of the policy than was sent"
	case len(missing) > 0:
		return "the policy is not attached to " + name(missing) + " after it was"
	case len(extra) > 0:
		return "the policy is still attached to " + name(extra)
	}
	return ""
}

func (r *Runner) inPlace(have Policy) string {
	if have.ID == "" {
		return "the policy is gone, as it should be"
	}
	return fmt.Sprintf("attached to what it should be (%d targets), with the text that was sent", len(have.Targets))
}

// attached reads what is attached now, with the texts that decide about the change.
func (r *Runner) attached(ctx context.Context) (preview.Attachments, error) {
	now, err := preview.ReadAttachments(ctx, r.opts.Pool, r.opts.Org, r.opts.Judge.GeneratedAt)
	if err != nil {
		return now, err
	}
	read := r.opts.Judge.Change
	read.Existing = r.w.id
	return now, now.ReadDocuments(ctx, r.opts.Pool, r.opts.Org, read)
}

// guards judges the guarded roles over what is attached now.
func (r *Runner) guards(ctx context.Context) (string, error) {
	now, err := r.attached(ctx)
	if err != nil {
		return "", err
	}
	found, err := preview.Recheck(r.opts.Judge, now)
	if err != nil {
		return "", err
	}
	able, open := 0, []string{}
	var lost []string
	for _, g := range found {
		switch g.Status {
		case preview.GuardLoses:
			by := "no Allow is left"
			if len(g.Deciding) > 0 {
				by = g.Deciding[0].String()
			}
			lost = append(lost, fmt.Sprintf("%s cannot do %s in %d accounts, by %s", g.Role, g.Lost[0], len(g.Accounts), by))
		case preview.GuardDepends:
			open = append(open, g.Role)
		case preview.GuardAbsent:
		default:
			able++
		}
	}
	if len(lost) > 0 {
		return "", errors.New("a role that must go on working is locked out: " + strings.Join(lost, "; "))
	}
	text := fmt.Sprintf("%d guarded roles can do what they need", able)
	if len(open) > 0 {
		text += "; it depends for " + strings.Join(open, ", ")
	}
	return text, nil
}
