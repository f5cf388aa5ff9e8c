package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/reports"
)

// The roles of bootstrap. The SCP knows their names.
const (
	auditRole   = "OrgGuardAudit"
	rolloutRole = "OrgGuardRollout"
)

// bootstrapOptions are bootstrap's own flags.
type bootstrapOptions struct {
	format     reports.Format
	yes, show  bool
	schedule   bool // the scheduled audit may enter
	externalID string
}

func newBootstrapCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "bootstrap",
		Usage: "create the least-privilege roles " + auditRole + " and " + rolloutRole + " in every account: plan, ask, deploy, verify",
		Flags: []cli.Flag{
			formatFlag(reports.PlanFormats()),
			&cli.BoolFlag{Name: "show", Usage: "print the roles' trust and permissions policies, and do nothing"},
			&cli.StringFlag{Name: "external-id", Usage: "what AssumeRole has to bring along, as `ID` (the configuration's, else the deployed one, else a new one)"},
			&cli.BoolFlag{Name: "for-schedule", Usage: "let the scheduled audit of the security account enter with " + auditRole + " (once said, it stays so)"},
			&cli.BoolFlag{Name: "yes", Usage: "do not ask (for scripts)", EnvVars: []string{"ORGGUARD_YES"}},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			o := bootstrapOptions{yes: c.Bool("yes"), show: c.Bool("show"), schedule: c.Bool("for-schedule"), externalID: c.String("external-id")}
			if o.format, err = parsePlanFormat(c.String("format")); err != nil {
				return err
			}
			if !o.yes && !o.show && !s.inTTY {
				return usage("bootstrap changes AWS and nobody can be asked here: read `orgguard bootstrap --show`, then give --yes")
			}
			return withSession(c.Context, g, s, writes, func(ctx context.Context, s *session) error { return runBootstrap(ctx, s, o) })
		},
	}
}

// accessRoles are the two roles with the rights that `orgguard permissions`
// prints: one for every command that only reads, one for all.
func (s *session) accessRoles() baseline.Access {
	var all, look grant
	for _, name := range sortedKeys(grants) {
		need, _ := grantFor(name, s.cfg)
		all.member = join(all.member, need.member)
		if readCommands[name] {
			look.member = join(look.member, need.member)
		}
	}
	return baseline.Access{Trusted: s.pool.Caller().Account, Roles: []baseline.AccessRole{
		{Name: auditRole, Description: "orgguard: audit, plan, doctor and init; reads only", Policy: look.memberPolicy(s.cfg, s.org.Partition), Job: true},
		{Name: rolloutRole, Description: "orgguard: rollout", Policy: all.memberPolicy(s.cfg, s.org.Partition)},
	}}
}

// externalID decides on the external id. AWS: it is no secret, but nobody should
// be able to guess it.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html
func externalID(given, configured, deployed string) string {
	for _, id := range []string{given, configured, deployed} {
		if id != "" {
			return id
		}
	}
	return "orgguard-" + rand.Text()
}

// runBootstrap shows the plan, carries it out and verifies it.
func runBootstrap(ctx context.Context, s *session, o bootstrapOptions) error {
	roles := s.accessRoles()
	if o.schedule {
		roles.JobAccount = s.base.Security
	}
	if o.show {
		return s.showRoles(roles)
	}
	if !s.org.AllFeatures {
		return errConsolidated
	}
	look, err := s.base.LookAccess(ctx, s.pool)
	if err != nil {
		return err
	}
	roles.ExternalID = externalID(o.externalID, s.cfg.Organization.ExternalID, look.ExternalID())
	roles.JobAccount = cmp.Or(roles.JobAccount, look.JobAccount())
	proposal, err := s.base.ProposeAccess(look, roles, s.pool)
	if err != nil {
		return err
	}
	p := s.planFor(proposal.Tasks, proposal.Skipped, []string{"orgguard bootstrap --show prints what the roles may do and who may assume them"})
	p.Regions = []string{s.base.Home}
	s.measure(&p, nil)
	shown, format := s.shown(o.format)
	if err := reports.WritePlan(shown, format, s.style(), p); err != nil {
		return err
	}
	if len(p.Changes) > 0 {
		if err := s.confirm(o.yes, len(p.Changes)); err != nil {
			return err
		}
		res := plan.Execute(ctx, proposal.Tasks, s.concurrency, s.say)
		if err := reports.WriteResult(s.out, o.format, s.style(), res); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return &exitError{code: exitIncomplete, err: errors.New("interrupted: run the bootstrap again to go on")}
		}
		if res.Failed() > 0 {
			return status(exitIncomplete)
		}
	}
	return s.verifyRoles(ctx, roles)
}

// showRoles prints the exact policies.
func (s *session) showRoles(roles baseline.Access) error {
	type shown struct {
		Trust  any `json:"trust"`
		Policy any `json:"policy"`
	}
	out := map[string]shown{}
	for _, r := range roles.Roles {
		out[r.Name] = shown{roles.Trust(s.org.Partition, r), r.Policy}
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, string(b))
	return err
}

// verifyRoles enters every account with both roles, and says what to write into
// the configuration.
func (s *session) verifyRoles(ctx context.Context, roles baseline.Access) error {
	pools := map[string]*access.Pool{}
	for _, r := range roles.Roles {
		pool, err := s.pool.As(ctx, r.Name, roles.ExternalID)
		if err != nil {
			return err
		}
		pools[r.Name] = pool
	}
	failures := s.base.VerifyAccess(ctx, pools, s.workers())
	for _, f := range failures {
		s.note("account %s %s: %s", f.Account, f.AccountName, f.Reason)
	}
	if len(failures) > 0 {
		s.note("%d of the entries that were tried failed: IAM may need some seconds more, or somebody changed the roles", len(failures))
		return status(exitIncomplete)
	}
	s.note("both roles were assumed in every account that is not left out; the configuration wants:\norganization:\n  access_role: %s\n  audit_role: %s\n  external_id: %q", rolloutRole, auditRole, roles.ExternalID)
	return nil
}
