package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/doctor"
)

// jobChecks judge the scheduled audit for the doctor. It stops no rollout, whatever is
// wrong with it.
func (s *session) jobChecks(ctx context.Context) []doctor.Check {
	const id = "scheduled-audit"
	r, err := s.scheduleStatus(ctx, jobFlags{})
	switch {
	case err != nil:
		return []doctor.Check{doctor.About(id, doctor.Unknown, orgs.Reason(err), "orgguard permissions --command doctor")}
	case !r.Installed:
		return []doctor.Check{doctor.About(id, doctor.Info, "no scheduled audit is installed: audits are made when somebody makes them", "orgguard schedule install")}
	}
	var out []doctor.Check
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
	return out
}

// noticeChecks look at the channels of the notices as far as that sends nothing and
// reads no secret.
func (s *session) noticeChecks(ctx context.Context) []doctor.Check {
	const id, try = "notices", "orgguard notices test"
	n := s.cfg.Notices
	if !n.Any() {
		return []doctor.Check{doctor.About(id, doctor.Info, "the configuration names nobody to tell what changed", "give it a block notices")}
	}
	var out []doctor.Check
	add := func(severity doctor.Severity, fix, format string, args ...any) {
		out = append(out, doctor.About(id, severity, fmt.Sprintf(format, args...), fix))
	}
	unseen := func(what string, err error) {
		if orgs.Denied(err) {
			add(doctor.Unknown, "orgguard permissions --command doctor", "%s: %s", what, orgs.Reason(err))
			return
		}
		add(doctor.Warning, try, "%s: %s", what, orgs.Reason(err))
	}
	for _, t := range []struct{ channel, arn string }{{"mail", n.MailTopic}, {"chat", n.ChatTopic}} {
		if t.arn == "" {
			continue
		}
		at := s.pool.Home(regionOf(t.arn, s.base.Home))
		got, err := s.pool.SNS.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &t.arn}, at.SNS)
		switch {
		case err != nil:
			unseen(t.channel+", "+t.arn, err)
		case got.Attributes["SubscriptionsConfirmed"] == "0":
			add(doctor.Warning, "subscribe an address, and click the link in the mail that SNS sends", "%s: nobody has confirmed a subscription of %s", t.channel, t.arn)
		default:
			add(doctor.OK, "", "%s: %s confirmed subscriptions of %s", t.channel, got.Attributes["SubscriptionsConfirmed"], t.arn)
		}
	}
	if n.EventBus != "" {
		region := regionOf(n.EventBus, s.base.Home)
		if _, err := s.pool.Events.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: aws.String(n.EventBus)}, s.pool.Home(region).Events); err != nil {
			unseen("event-bus, "+n.EventBus, err)
		} else {
			add(doctor.OK, "", "event-bus: %s is there, as seen from account %s", n.EventBus, s.pool.Caller().Account)
		}
	}
	for _, w := range n.Webhooks {
		for _, source := range []string{w.URLFrom, w.SecretFrom} {
			if name, ok := strings.CutPrefix(source, "env:"); ok && strings.TrimSpace(os.Getenv(name)) == "" {
				add(doctor.Warning, "set it where the audit runs", "webhook %s: the environment has no %s", w.Name, name)
			}
		}
		add(doctor.Info, try, "webhook %s: whether it answers is seen when something is sent", w.Name)
	}
	if n.SecurityHub {
		add(doctor.Info, try, "security-hub: whether it takes findings is seen when some are sent")
	}
	return out
}
