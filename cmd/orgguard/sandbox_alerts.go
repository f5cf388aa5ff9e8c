package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/sim"
)

// liveTestRule is the rule that test events fire.
const liveTestRule = "orgguard-live-test"

// tamperAlerts breaks the way of the alerts at one place: the rule of an account × Region,
// its target, the central bus or the central topic.
func tamperAlerts(ctx context.Context, s streams, w *sim.World, what, region string, a orgs.Account) error {
	cfg := operator(w, a.ID, region)
	events := eventbridge.NewFromConfig(cfg)
	switch what {
	case "live-rule-disabled":
		_, err := events.DisableRule(ctx, &eventbridge.DisableRuleInput{Name: aws.String(liveTestRule)})
		return told(s, err, "disabled rule %s in %s (%s), %s", liveTestRule, a.ID, a.Name, region)
	case "live-target-removed":
		_, err := events.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: aws.String(liveTestRule), Ids: []string{"orgguard"}})
		return told(s, err, "removed the target of rule %s in %s (%s), %s", liveTestRule, a.ID, a.Name, region)
	case "alert-bus-closed":
		_, err := events.RemovePermission(ctx, &eventbridge.RemovePermissionInput{EventBusName: aws.String("orgguard-alerts"), RemoveAllPermissions: true})
		return told(s, err, "bus orgguard-alerts of %s (%s), %s, takes events from nobody else any more", a.ID, a.Name, region)
	}
	topic := fmt.Sprintf("arn:aws:sns:%s:%s:orgguard-alerts", region, a.ID)
	_, err := sns.NewFromConfig(cfg).SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{
		TopicArn: aws.String(topic), AttributeName: aws.String("Policy"),
		AttributeValue: aws.String(`{"Version":"2012-10-17","Statement":[{"Sid":"nobody","Effect":"Deny","Principal":"*","Action":"sns:Publish","Resource":"` + topic + `"}]}`),
	})
	return told(s, err, "topic orgguard-alerts of %s (%s), %s, takes messages from nobody any more", a.ID, a.Name, region)
}
