package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/reports/history"
	"github.com/orgguard/orgguard/reports/notice"
)

func newNoticesCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:        "notices",
		Usage:       "who is told what changed: preview messages, try the channels, see who has been told",
		Subcommands: []*cli.Command{newNoticesShowCommand(s), newNoticesTestCommand(s), newNoticesStatusCommand(s)},
	}
}

func channelFlag() *cli.StringSliceFlag {
	return &cli.StringSliceFlag{Name: "channel", Usage: "only this `CHANNEL`: mail, chat, webhook:NAME, event-bus or security-hub; repeatable"}
}

// chosenChannels are the channels of the configuration that a flag leaves.
func (t *teller) chosenChannels(names []string) ([]noticeChannel, error) {
	all := t.channels()
	var known []string
	for _, c := range all {
		known = append(known, c.name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, badInput(&orgs.UnknownError{Kind: "channel", Name: name, Near: known})
		}
	}
	if len(all) == 0 {
		return nil, badInput(&orgs.Hinted{Err: errors.New("the configuration names nobody to tell"), Next: "give it a block notices, with mail_topic or another channel"})
	}
	if len(names) > 0 {
		all = slices.DeleteFunc(all, func(c noticeChannel) bool { return !slices.Contains(names, c.name) })
	}
	return all, nil
}

// withChannels is an action with the channels of the configuration.
func withChannels(s streams, fn func(*cli.Context, *teller, []noticeChannel) error) cli.ActionFunc {
	return talking(s, func(c *cli.Context, t *session) error {
		var err error
		if t.cfg, err = t.loadConfig(c.Context); err != nil {
			return err
		}
		teller, err := t.newTeller(c.Context, c.String("history"))
		if err != nil {
			return err
		}
		channels, err := teller.chosenChannels(c.StringSlice("channel"))
		if err != nil {
			return err
		}
		return fn(c, teller, channels)
	})
}

func newNoticesShowCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "show",
		Usage: "print what the channels are told of a run, compared with the one before; sends nothing",
		Flags: []cli.Flag{
			historyFlag(), channelFlag(),
			&cli.StringFlag{Name: "run", Usage: "the `RUN` of the history: a number, or 0 for the latest, -1 for the one before", Value: "0"},
		},
		Action: withChannels(s, func(c *cli.Context, t *teller, channels []noticeChannel) error {
			a, _, err := t.s.oneAudit(c, "", c.String("run"))
			if err != nil {
				return err
			}
			n := notice.Of(a)
			n.Report = t.report(a.Run)
			if !n.News() {
				t.s.note("nothing changed in this run: nothing is sent")
				return nil
			}
			var b bytes.Buffer
			for i, ch := range channels {
				text, err := ch.show(tidings{notice: n, id: n.ID(ch.name), audit: a})
				if text == "" && err != nil {
					return err
				}
				t.builtInInstead(err)
				if i > 0 {
					fmt.Fprintln(&b)
				}
				fmt.Fprintf(&b, "== %s ==\n%s\n", ch.name, text)
			}
			_, err = s.out.Write(b.Bytes())
			return err
		}),
	}
}

func newNoticesTestCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "test",
		Usage: "send a test message to the channels now",
		Flags: []cli.Flag{channelFlag()},
		Action: withChannels(s, func(c *cli.Context, t *teller, channels []noticeChannel) error {
			n := notice.Notice{Test: true, GeneratedAt: time.Now()}
			failed := 0
			for _, ch := range channels {
				ctx, cancel := context.WithTimeout(c.Context, tellTime)
				err := ch.send(ctx, tidings{notice: n, id: n.ID(ch.name)})
				cancel()
				if err != nil {
					failed++
					report(s.err, fmt.Errorf("%s: %w", ch.name, err))
					continue
				}
				fmt.Fprintf(s.out, "%s: sent\n", ch.name)
			}
			if failed > 0 {
				return status(exitIncomplete)
			}
			return nil
		}),
	}
}

func newNoticesStatusCommand(s streams) *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "print who has been told of which run, and who could not be",
		Flags: []cli.Flag{historyFlag(), formatFlag(reports.ChannelsFormats())},
		Action: talking(s, func(c *cli.Context, t *session) error {
			format, err := formatAmong(c.String("format"), "who was told", reports.ChannelsFormats())
			if err != nil {
				return err
			}
			return t.withHistory(c, func(ctx context.Context, h history.History) error {
				var told notice.Told
				err := h.Memo(ctx, func(old []byte) (_ []byte, err error) {
					told, err = notice.ReadTold(old)
					return old, err
				})
				if err != nil {
					return err
				}
				if err := reports.WriteChannels(s.out, format, t.style(), told.List()); err != nil {
					return err
				}
				for _, ch := range told {
					if ch.Failures > 0 {
						return status(exitIncomplete)
					}
				}
				return nil
			})
		}),
	}
}
