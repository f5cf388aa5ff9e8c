package main

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/baseline/schedule"
	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/spec"
)

func newScheduleCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "schedule",
		Usage:       "the audit that runs by itself",
		Subcommands: []*cli.Command{newScheduleInstallCommand(s), newScheduleStatusCommand(s), newScheduleRunCommand(s), newScheduleRemoveCommand(s), newScheduleRenderCommand(s)},
	}
}

// scheduleOptions are the flags of schedule render.
type scheduleOptions struct {
	target, every, name, configPath, image, host string
	shards                                       int
}

func newScheduleRenderCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "render",
		Usage: "print what an engine needs to run the audit again and again; needs no credentials",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "for", Usage: "the engine: `" + strings.Join(schedule.Names(), "|") + "`", Required: true},
			&cli.StringFlag{Name: "every", Usage: "run once in this `TIME`: 30m, 6h, 1d, …", Value: "6h"},
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the job", Value: "orgguard-audit"},
			&cli.StringFlag{Name: "config-path", Usage: "`PATH` of the configuration where the job runs (default: orgguard.yaml in a repository, /etc/orgguard/orgguard.yaml elsewhere)"},
			&cli.StringFlag{Name: "image", Usage: "container `IMAGE` with orgguard in it, for clusters"},
			&cli.IntFlag{Name: "shards", Usage: "parts of an array job, `N` from 2 to 10000; a part of 100 accounts is a good one", Value: 8},
			&cli.StringFlag{Name: "gitlab-host", Usage: "the GitLab that runs the pipeline", Value: "gitlab.com"},
			&cli.StringFlag{Name: "output-dir", Usage: "write files into `DIR` instead"},
		},
		Action: func(c *cli.Context) error {
			g, err := readGlobals(c)
			if err != nil {
				return err
			}
			o := scheduleOptions{
				target: c.String("for"), every: c.String("every"), name: c.String("name"), configPath: c.String("config-path"),
				image: c.String("image"), host: c.String("gitlab-host"), shards: c.Int("shards"),
			}
			files, err := runScheduleRender(c.Context, &session{globals: g, streams: s}, o)
			if err != nil {
				return badInput(err)
			}
			return writeRendered(s.out, c.String("output-dir"), files)
		},
	}
}

// runScheduleRender makes the files of an engine from the configuration.
func runScheduleRender(ctx context.Context, s *session, o scheduleOptions) ([]rendered, error) {
	cfg, err := s.loadConfig(ctx)
	if err != nil {
		return nil, err
	}
	files, err := s.renderSchedule(cfg, o)
	if err != nil || !schedule.IsFunction(o.target) {
		return files, err
	}
	base, err := s.offline(ctx)
	if err != nil {
		return nil, err
	}
	tamper, whyNot, err := base.TamperTemplate(o.name)
	switch {
	case err != nil:
		return nil, err
	case whyNot != "":
		s.note("%s", whyNot)
		return files, nil
	}
	return append(files, rendered{tamper.Name + ".yaml", []byte(tamper.Body)}), nil
}

// renderSchedule is runScheduleRender for a configuration.
func (s *session) renderSchedule(cfg *spec.Config, o scheduleOptions) ([]rendered, error) {
	s.cfg = cfg
	rights, _ := grantFor("audit", cfg) // there is such a command
	j := schedule.Job{
		Name: o.name, Config: o.configPath, Region: cfg.HomeRegion, AuditRole: s.roleFor("audit"), Actions: rights.caller,
		Image: o.image, Host: o.host, Shards: o.shards, Version: version,
	}
	j.Emails = cfg.Alerts.Email
	if slices.Contains([]string{"lambda", "stepfunctions", "batch"}, o.target) {
		// The function looks at its own account with its own role.
		j.Actions = join(rights.caller, rights.member)
	}
	var err error
	j.Notify = cfg.Notices.Any()
	if j.NotifyRights, err = notifyRights(cfg, o.target); err != nil {
		return nil, err
	}
	if j.Region == "" {
		j.Region = s.region
	}
	if j.Region == "" {
		j.Region = orgs.PartitionOf("").GlobalRegion
	}
	j.Partition = orgs.PartitionOf(j.Region).ID
	if j.Config == "" {
		j.Config = "/etc/orgguard/orgguard.yaml"
		if slices.Contains([]string{"github-actions", "gitlab"}, o.target) {
			j.Config = "orgguard.yaml"
		}
	}
	if j.Every, err = schedule.ParseInterval(o.every); err != nil {
		return nil, err
	}
	j.Minute = schedule.Spread(j.Name + cfg.SecurityAccount)
	files, err := schedule.Render(o.target, j)
	if err != nil {
		return nil, err
	}
	out := make([]rendered, len(files))
	for i, f := range files {
		out[i] = rendered{f.Name, f.Text}
	}
	return out, nil
}
