package baseline

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/spec"
)

// What somebody does to the baseline itself begins an audit of the account where it was
// done. The events are those that the baseline's own alerts tell of, and they are taken
// where those come together: on the alerts' bus, in the security account's home Region,
// which is the job's. The patterns are made of the alerts' own templates.
//
// The rules are in a stack of their own. The bus is a rollout's, and may be made after
// the job and taken away before it: CloudFormation deletes no bus that has rules, so a
// teardown takes this stack along.

// aboutTampering are the alerts about what the baseline stands on.
var aboutTampering = []Control{configChangeAlert, trailChangeAlert}

const tamperDescription = "orgguard: audits the account in which somebody touches AWS Config or CloudTrail"

// alertBus is the bus to which all accounts send what their alerts are about.
const alertBus = "orgguard-alerts"

// tamperWish says whether the configuration lets tampering be told on a central bus;
// why not is "" where it does.
func (b *Baseline) tamperWish() (alerts []Control, whyNot string) {
	if b.Config.Alerts.Mode != spec.Central {
		return nil, "alerts are local, and no bus has the events of all accounts: alerts: {mode: central}, rollout, then schedule install"
	}
	for _, c := range aboutTampering {
		if slices.ContainsFunc(b.controls, func(o Control) bool { return o.ID == c.ID }) {
			alerts = append(alerts, c)
		}
	}
	if len(alerts) == 0 {
		return nil, "config-change-alert and trail-change-alert are off: switch one on, rollout, then schedule install"
	}
	return alerts, ""
}

// tamperBus says whether the alerts' bus is there.
func (b *Baseline) tamperBus(ctx context.Context, pool *access.Pool) (bool, error) {
	name := alertBus
	out, err := b.jobSite(pool).describeBus(ctx, &name)
	return out != nil, err
}

const noAlertBus = "there is no bus " + alertBus + " yet: rollout, then schedule install"

// TamperTemplate is the template of the stack with those rules, for a job of the name; its
// parameters hold for the organization of the baseline. whyNot says why there is none.
func (b *Baseline) TamperTemplate(job string) (t Template, whyNot string, err error) {
	alerts, why := b.tamperWish()
	if why != "" {
		return Template{}, tamperUntold(why), nil
	}
	t = Template{Name: job + tamperSuffix, Parameters: b.tamperParams()}
	t.Body, err = b.tamperBody(job, alerts)
	return t, "", err
}

// managementParam is the stack's parameter for the management account, where
// CloudFormation works as whoever began a rollout.
const managementParam = "ManagementAccount"

func (b *Baseline) tamperParams() map[string]string {
	return map[string]string{managementParam: string(b.Org.ManagementAccount)}
}

// tamperBody is that template with the rules for these alerts.
func (b *Baseline) tamperBody(job string, alerts []Control) (string, error) {
	parameters, err := parseNode(fmt.Sprintf(`
Parameters:
  %s:
    Type: String
    Description: The organization's management account, where CloudFormation works as whoever began a rollout, and begins no audit
    AllowedPattern: '^[0-9]{12}$'
`, managementParam))
	if err != nil {
		return "", err
	}
	parts := []template{{root: parameters}}
	for _, c := range alerts {
		f, err := loadFragment(c.ID, "", "rule")
		if err != nil {
			return "", err
		}
		if err := b.auditing(job, f); err != nil {
			return "", fmt.Errorf("template of %s: %w", c.ID, err)
		}
		parts = append(parts, f.template)
	}
	t, err := mergeTemplates(tamperDescription, parts)
	return t.body(), err
}

// auditing makes of an alert's rule one of the alerts' bus that begins the job's function,
// and lets it.
func (b *Baseline) auditing(job string, f fragment) error {
	resources := get(f.root, "Resources")
	if resources == nil || len(resources.Content) != 2 {
		return fmt.Errorf("want exactly one rule")
	}
	id, rule := resources.Content[0], resources.Content[1]
	props := get(rule, "Properties")
	name, description, pattern := get(props, "Name"), get(props, "Description"), get(props, "EventPattern")
	name.Value = job + strings.TrimPrefix(name.Value, ownName)
	description.Value += ": audits the account"
	insertAfter(props, "Description", "EventBusName", text("!!str", alertBus))
	unrestrict(pattern)
	if err := b.exceptRollouts(pattern); err != nil {
		return err
	}
	id.Value = strings.TrimSuffix(id.Value, "Rule") + "Audit"
	permission, err := parseNode(fmt.Sprintf(`
Type: AWS::Lambda::Permission
Properties:
  Action: lambda:InvokeFunction
  FunctionName: %s
  Principal: events.amazonaws.com
  SourceArn: !GetAtt %s.Arn
`, job, id.Value))
	if err != nil {
		return err
	}
	set(resources, id.Value+"Permission", permission)
	return setTarget(props, fmt.Sprintf(`
Id: audit
Arn: !Sub arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:%[1]s
RetryPolicy: {MaximumRetryAttempts: 3, MaximumEventAgeInSeconds: 3600}
DeadLetterConfig: {Arn: !Sub "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:%[1]s-dlq"}
`, job), map[string]string{"account": "$.account", "time": "$.time"}, `{"orgguard": "audit", "accounts": [<account>], "after": <time>}`)
}

// exceptRollouts leaves out what begins no audit: calls that were refused, and those of
// whoever deploys a baseline to ten thousand accounts. StackSets works in each with a
// role stacksets-exec-…, services with roles that are linked to them; orgguard's own
// calls have the access role and the session name orgguard. In the management account
// CloudFormation works as whoever began the rollout. Whoever else may call himself one of
// these is told of all the same, and the next run of the schedule finds what he did.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
func (b *Baseline) exceptRollouts(pattern *yaml.Node) error {
	own := ":assumed-role/" + path.Base(b.Config.Organization.AccessRole) + "/" + access.DefaultSessionName
	node, err := parseNode(fmt.Sprintf(`
detail:
  errorCode: [{exists: false}]
  userIdentity:
    # A rollout begins no audit of each account that it reaches.
    arn: [{anything-but: {suffix: [%q]}}]
    sessionContext:
      sessionIssuer:
        userName:
          - exists: false
          - anything-but: {prefix: [stacksets-exec-, AWSServiceRoleFor]}
$or:
  - account: [{anything-but: [!Ref %s]}]
  - detail: {userIdentity: {invokedBy: [{exists: false}]}}
`, own, managementParam))
	if err != nil {
		return err
	}
	detail := get(pattern, "detail")
	detail.Content = append(detail.Content, get(node, "detail").Content...)
	set(pattern, "$or", get(node, "$or"))
	return nil
}

// tamper proposes the stack with the rules, where there is a bus for them.
func (p *proposer) tamper(l *JobLook) {
	alerts, why := p.tamperWish()
	if why == "" && !l.bus {
		why = noAlertBus
	}
	if why != "" {
		p.Proposal.Notes = append(p.Proposal.Notes, tamperUntold(why))
		p.dropBeside(jobTamper, l.tamper, "there is nothing any more that its rules could hear")
		return
	}
	body, err := p.tamperBody(JobName, alerts)
	if err != nil {
		p.skipJob("stack "+jobTamperStack, err.Error(), true)
		return
	}
	p.putBeside(jobTamper, l.tamper, body)
}

// lookTamper says whether tampering begins an audit.
func (b *Baseline) lookTamper(ctx context.Context, pool *access.Pool) (Trigger, error) {
	alerts, why := b.tamperWish()
	if why != "" {
		return Trigger{Why: why}, nil
	}
	there, err := b.tamperBus(ctx, pool)
	switch {
	case err != nil:
		return Trigger{}, err
	case !there:
		return Trigger{Why: noAlertBus}, nil
	}
	body, err := b.tamperBody(JobName, alerts)
	if err != nil {
		return Trigger{}, err
	}
	return b.lookTrigger(ctx, pool, jobTamper, body)
}

// tamperUntold is what people are told of tampering that begins no audit, because nobody wants
// it to.
func tamperUntold(why string) string {
	return "tampering with an account begins no audit of it, which waits for the next run: " + why
}
