package main

import (
	"context"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/doctor"
)

// jobChecks judge the scheduled audit for the doctor. It stops no rollout, whatever is
// wrong with it. sender is the account that tells people what an audit found: the job's,
// or the caller's where there is none.
func (s *session) jobChecks(ctx context.Context) (out []doctor.Check, sender orgs.AccountID) {
	const id = "scheduled-audit"
	sender = s.pool.Caller().Account
	r, err := s.scheduleStatus(ctx, jobFlags{})
	switch {
	case err != nil:
		return []doctor.Check{doctor.About(id, doctor.Unknown, orgs.Reason(err), "orgguard permissions --command doctor")}, sender
	case !r.Installed:
		return []doctor.Check{doctor.About(id, doctor.Info, "no scheduled audit is installed: audits are made when somebody makes them", "orgguard schedule install")}, sender
	}
	for _, u := range r.Unseen {
		out = append(out, doctor.About(id, doctor.Unknown, "of the scheduled audit, "+u, "orgguard permissions --command doctor"))
	}
	for _, p := range r.Problems {
		what, fix, found := strings.Cut(p, ": orgguard ")
		if found {
			fix = "orgguard " + fix
		} else {
			fix = "orgguard schedule status"
		}
		out = append(out, doctor.About(id, doctor.Warning, what, fix))
	}
	if len(out) == 0 {
		what := "the scheduled audit is as configured"
		if r.Last != nil {
			what += ", and last ran " + r.Last.GeneratedAt.UTC().Format(time.RFC3339)
		}
		out = append(out, doctor.About(id, doctor.OK, what, ""))
	}
	return out, s.base.Security
}
