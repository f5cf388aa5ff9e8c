package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/doctor"
	"github.com/orgguard/orgguard/orgs/spec"
)

// noticeDoctor looks at the channels of the notices as far as that sends nothing, from the
// account that sends.
type noticeDoctor struct {
	*session
	sender orgs.AccountID
	out    []doctor.Check
}

// tryNotices is what shows more than a look: it sends something.
const tryNotices = "orgguard notices test"

// noticeChecks judge the channels of the notices for the doctor.
func (s *session) noticeChecks(ctx context.Context, sender orgs.AccountID) []doctor.Check {
	n, d := s.cfg.Notices, &noticeDoctor{session: s, sender: sender}
	if !n.Any() {
		d.add(doctor.Info, "give it a block notices", "the configuration names nobody to tell what changed")
	}
	if n.MailTopic != "" {
		d.topic(ctx, "mail", n.MailTopic)
	}
	if n.ChatTopic != "" {
		d.topic(ctx, "chat", n.ChatTopic)
	}
	if n.EventBus != "" {
		d.bus(ctx, n.EventBus)
	}
	for _, w := range n.Webhooks {
		if d.sender == d.pool.Caller().Account {
			d.webhook(ctx, w)
		} else {
			d.webhookElsewhere(ctx, w)
		}
	}
	if n.SecurityHub {
		d.hub(ctx)
	}
	return d.out
}

func (d *noticeDoctor) add(severity doctor.Severity, fix, format string, args ...any) {
	d.out = append(d.out, doctor.About("notices", severity, fmt.Sprintf(format, args...), fix))
}

// unseen is an error of a look: of rights that lack, or of what was looked for.
func (d *noticeDoctor) unseen(what string, err error) {
	if orgs.Denied(err) {
		d.add(doctor.Unknown, "orgguard permissions --command doctor", "%s: %s", what, orgs.Reason(err))
		return
	}
	d.add(doctor.Warning, cmp.Or(hintOf(err), tryNotices), "%s: %s", what, orgs.Reason(err))
}

// at is the sender in the Region of an ARN, or at home.
func (d *noticeDoctor) at(arn string) access.At {
	return d.pool.In(d.org.Partition, d.sender, regionOf(arn, d.base.Home))
}

func (d *noticeDoctor) topic(ctx context.Context, channel, arn string) {
	got, err := d.pool.SNS.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &arn}, d.at(arn).SNS)
	switch {
	case err != nil:
		d.unseen(channel+", "+arn, err)
	case got.Attributes["SubscriptionsConfirmed"] == "0":
		d.add(doctor.Warning, "subscribe an address, and click the link in the mail that SNS sends", "%s: nobody has confirmed a subscription of %s", channel, arn)
	default:
		d.add(doctor.OK, "", "%s: %s confirmed subscriptions of %s", channel, got.Attributes["SubscriptionsConfirmed"], arn)
	}
}

func (d *noticeDoctor) bus(ctx context.Context, name string) {
	if _, err := d.pool.Events.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: &name}, d.at(name).Events); err != nil {
		d.unseen("event-bus, "+name, err)
		return
	}
	d.add(doctor.OK, "", "event-bus: %s is there, as seen from account %s", name, d.sender)
}

// webhook resolves the address and the key as sending does, and shows nothing of them but
// the host.
func (d *noticeDoctor) webhook(ctx context.Context, w spec.Webhook) {
	t, err := d.newTeller(ctx, "")
	var h hook
	if err == nil {
		h, err = t.hook(ctx, w)
	}
	if err != nil {
		d.unseen("webhook "+w.Name, err)
		return
	}
	host, signed := "", "; what it gets is not signed"
	if u, err := url.Parse(h.url); err == nil { // an address of a webhook is one
		host = u.Host
	}
	if h.key != nil {
		signed = ", and so is the key of its signature"
	}
	d.add(doctor.Info, tryNotices, "webhook %s: its address, at %s, is there and in order%s; whether it answers is seen when something is sent", w.Name, host, signed)
}

// webhookElsewhere looks for the parameters where another account reads them. What they
// hold is that account's affair: nobody's rights to look are rights to read secrets there.
func (d *noticeDoctor) webhookElsewhere(ctx context.Context, w spec.Webhook) {
	at := d.at("")
	for _, source := range []string{w.URLFrom, w.SecretFrom} {
		name, ok := strings.CutPrefix(source, "ssm:")
		if !ok {
			continue
		}
		there, err := d.parameter(ctx, at, name)
		switch {
		case err != nil:
			d.unseen("webhook "+w.Name+", parameter "+name, err)
			return
		case !there:
			d.add(doctor.Warning, "put it there as a SecureString", "webhook %s: there is no parameter %s in account %s %s, where the scheduled audit reads it", w.Name, name, at.Account, at.Region)
			return
		}
	}
	d.add(doctor.Info, "orgguard notices test, with credentials of that account",
		"webhook %s: the scheduled audit of account %s sends it; what a secret holds there is not read from here, and whether the address answers is seen when something is sent", w.Name, at.Account)
}

// parameter says whether there is a parameter, without reading it.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeParameters.html
func (d *noticeDoctor) parameter(ctx context.Context, at access.At, name string) (bool, error) {
	pages := ssm.NewDescribeParametersPaginator(d.pool.SSM, &ssm.DescribeParametersInput{
		ParameterFilters: []types.ParameterStringFilter{{Key: aws.String("Name"), Option: aws.String("Equals"), Values: []string{name}}},
	})
	for pages.HasMorePages() { // AWS may send pages with nothing in them before the one
		page, err := pages.NextPage(ctx, at.SSM)
		if err != nil {
			return false, err
		}
		if len(page.Parameters) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// hub asks for the standards, which Security Hub answers where it is on.
func (d *noticeDoctor) hub(ctx context.Context) {
	at := d.at("")
	_, err := d.pool.SecurityHub.GetEnabledStandards(ctx, &securityhub.GetEnabledStandardsInput{}, at.SecurityHub)
	switch {
	case orgs.Code(err) == "InvalidAccessException":
		d.add(doctor.Warning, "switch Security Hub on there, or take security_hub out of the notices", "security-hub: Security Hub is off in account %s %s, and takes no finding", at.Account, at.Region)
	case err != nil:
		d.unseen("security-hub", err)
	default:
		d.add(doctor.OK, "", "security-hub: Security Hub is on in account %s %s", at.Account, at.Region)
	}
}
