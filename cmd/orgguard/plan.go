package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/orgguard/orgguard/baseline"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/scp/protect"
)

func newPlanCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "plan",
		Usage: "show what rollout would change, without changing anything",
		Flags: []cli.Flag{
			formatFlag(reports.PlanFormats()),
			onlyFlag(),
			acceptBlindFlag(),
			&cli.StringFlag{Name: "out", Usage: "save the plan as JSON to `FILE`"},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			format, err := parsePlanFormat(c.String("format"))
			if err != nil {
				return err
			}
			if err := checkFolder("out", c.String("out")); err != nil {
				return err
			}
			only := c.StringSlice("only")
			if _, err := parseOnly(only); err != nil {
				return err
			}
			blind, err := readBlind(c)
			if err != nil {
				return err
			}
			return withSession(c.Context, g, s, reads, func(ctx context.Context, s *session) error {
				s.blind = blind
				made, err := planOf(ctx, s, only)
				if err != nil {
					return err
				}
				p := made.Plan
				// A plan that could not be saved is shown all the same.
				var saved error
				if file := c.String("out"); file != "" {
					if saved = savePlan(file, p); saved == nil {
						s.note("wrote %s", file)
					}
				}
				if err := errors.Join(saved, reports.WritePlan(s.out, format, s.style(), p)); err != nil {
					return err
				}
				return status(planCode(p, ctx.Err() != nil))
			})
		},
	}
}

// savePlan writes a plan to a file, for rollout --plan.
func savePlan(file string, p plan.Plan) error {
	var b bytes.Buffer
	if err := reports.WritePlan(&b, reports.JSON, reports.Style{}, p); err != nil {
		return err
	}
	return writeFile(file, b.Bytes())
}

// parsePlanFormat reads the format of a plan before anything is looked at.
func parsePlanFormat(name string) (reports.Format, error) {
	f, err := reports.ParseFormat(name)
	if err == nil && !slices.Contains(reports.PlanFormats(), f) {
		err = reports.WritePlan(io.Discard, f, reports.Style{}, plan.Plan{}) // says which there are
	}
	return f, badInput(err)
}

// planCode is the exit code of a plan.
func planCode(p plan.Plan, interrupted bool) int {
	switch {
	case interrupted || p.Blocked() > 0:
		return exitIncomplete
	case len(p.Changes) > 0:
		return exitDrift
	}
	return exitOK
}

// madePlan is a plan with what carries it out.
type madePlan struct {
	plan.Plan
	tasks []plan.Task    // the plan's changes, in the same order
	look  *baseline.Look // what it was made of; nil when only the SCP was asked for
}

// makePlan is planOf for everything.
func makePlan(ctx context.Context, s *session) (plan.Plan, []plan.Task, error) {
	made, err := planOf(ctx, s, nil)
	return made.Plan, made.tasks, err
}

// planOf looks at the organization and says what to do. only narrows it.
func planOf(ctx context.Context, s *session, only []string) (madePlan, error) {
	if !s.org.AllFeatures {
		return madePlan{}, &orgs.Hinted{
			Err:  errConsolidated,
			Next: "enable all features: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_org_support-all-features.html",
		}
	}
	n, err := s.narrow(only)
	if err != nil {
		return madePlan{}, err
	}
	var look *baseline.Look
	var state protect.State
	var stateErr error // a finding of its own, not the plan's end
	var g errgroup.Group
	if n.base != nil {
		g.Go(func() (err error) {
			progress := newProgress(s)
			defer progress.clear()
			look, err = s.base.LookAt(ctx, s.pool, *n.base, s.workers(), progress.cells)
			return badFilter(err)
		})
	}
	if s.guard != nil && n.guardToo {
		g.Go(func() error {
			state, stateErr = protect.Observe(ctx, s.pool, s.org)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return madePlan{}, err
	}
	proposal := baseline.Proposal{}
	if look != nil {
		proposal = s.base.Propose(look, s.pool)
	}
	tasks := proposal.Tasks
	var losses []plan.Loss
	if s.guard != nil && n.guardToo {
		more, skipped := s.guard.Propose(state, stateErr, s.pool)
		more, held := s.withhold(look, more)
		tasks = append(tasks, more...)
		proposal.Skipped = append(proposal.Skipped, append(skipped, held...)...)
		if stateErr == nil && len(held) == 0 {
			if losses, err = s.guard.Losses(state); err != nil {
				proposal.Notes = append(proposal.Notes, "the blast radius lacks what the SCP denies: "+err.Error())
			}
		}
	}
	plan.SortTasks(tasks)
	p := s.planFor(tasks, proposal.Skipped, proposal.Notes)
	p.Only, p.Waves = n.only, s.base.Waves()
	s.measure(&p, losses)
	return madePlan{p, tasks, look}, nil
}

// measure works out what carrying a plan out takes and touches.
func (s *session) measure(p *plan.Plan, losses []plan.Loss) {
	if len(p.Changes) == 0 {
		return
	}
	e := plan.EstimateOf(p.Changes, s.concurrency)
	active := 0
	for _, a := range s.org.Accounts {
		if a.State == orgs.StateActive {
			active++
		}
	}
	r := plan.ReachOf(p.Changes, losses, active, func(id string) string {
		a, ok := s.org.Account(orgs.AccountID(id))
		if !ok {
			return ""
		}
		return s.org.PathName(a.Parent)
	})
	p.Estimate, p.Reach = &e, &r
}

// withhold takes the policy out of a plan where more accounts than are tolerated do not
// let anybody in: it protects a baseline, and nobody has seen one there. A plan of the
// policy alone is somebody's own word.
func (s *session) withhold(look *baseline.Look, tasks []plan.Task) ([]plan.Task, []plan.Skip) {
	attaches := func(t plan.Task) bool { return t.Stage == plan.Guardrail && t.Verb == plan.Attach }
	if look == nil || s.blind == baseline.Accepted || !slices.ContainsFunc(tasks, attaches) {
		return tasks, nil
	}
	why, named := s.base.Unprotectable(look, func(a orgs.Account) bool {
		return slices.ContainsFunc(s.guard.Attach, func(ou orgs.OU) bool { return s.org.Under(a.Parent, ou.ID) })
	})
	if why == "" {
		return tasks, nil
	}
	const most = 10
	if more := len(named) - most; more > 0 {
		named = append(named[:most], fmt.Sprintf("and %d more", more))
	}
	mgmt, _ := s.org.Account(s.org.ManagementAccount)
	return slices.DeleteFunc(tasks, func(t plan.Task) bool { return t.Stage == plan.Guardrail }), []plan.Skip{{
		Account: string(mgmt.ID), AccountName: mgmt.Name, Region: finding.Global, Control: protect.Control, Blocked: true,
		Reason: "policy " + protect.PolicyName + " is not attached: " + why + " (" + strings.Join(named, ", ") + ")",
	}}
}

// badFilter marks a name that the organization does not have as bad input.
func badFilter(err error) error {
	var unknown *orgs.UnknownError
	if errors.As(err, &unknown) {
		return badInput(err)
	}
	return err
}

// covered is how many accounts the baseline is for.
func covered(b *baseline.Baseline) int {
	n := 0
	for _, a := range b.Accounts {
		if a.Excluded == "" && a.State == orgs.StateActive {
			n++
		}
	}
	return n
}
