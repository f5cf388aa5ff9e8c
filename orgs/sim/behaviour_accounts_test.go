package sim

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Every account × Region is a world of its own, and entering one needs a role that
// is there and trusts the caller.
func assumeRoleIsolation(ctx context.Context, s *script) {
	identity := func(step, account string) {
		see(s, step, func(o *sts.GetCallerIdentityOutput) any { return []any{o.Account, o.Arn} })(
			sts.NewFromConfig(s.in(account, "eu-west-1")).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
	}
	list := func(step, account, region string) {
		see(s, step, func(o *sns.ListTopicsOutput) any {
			names := []string{}
			for _, t := range o.Topics {
				names = append(names, *t.TopicArn)
			}
			return names
		})(sns.NewFromConfig(s.in(account, region)).ListTopics(ctx, &sns.ListTopicsInput{}))
	}
	identity("who one is in shop", "shop")
	identity("who one is in pay", "pay")
	see(s, "a topic in shop, eu-west-1", func(o *sns.CreateTopicOutput) any { return o.TopicArn })(
		sns.NewFromConfig(s.in("shop", "eu-west-1")).CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("here")}))
	list("it is there", "shop", "eu-west-1")
	list("not in another Region", "shop", "us-east-1")
	list("not in another account", "pay", "eu-west-1")
	list("not in the management account", "management", "eu-west-1")

	c := sts.NewFromConfig(s.management)
	assume := func(step string, change func(*sts.AssumeRoleInput)) {
		in := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + s.ids["shop"] + ":role/OrganizationAccountAccessRole"), RoleSessionName: aws.String("test")}
		change(in)
		see(s, step, func(o *sts.AssumeRoleOutput) any { return o.AssumedRoleUser.Arn })(c.AssumeRole(ctx, in))
	}
	assume("assume the role", func(*sts.AssumeRoleInput) {})
	assume("for a quarter of an hour", func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(900) })
	assume("with an external id that nobody asks for", func(in *sts.AssumeRoleInput) { in.ExternalId = aws.String("x1") })
	assume("with a session policy", func(in *sts.AssumeRoleInput) {
		in.Policy = aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sns:List*","Resource":"*"}]}`)
	})
	assume("for a second", func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(1) })
	assume("a role that does not exist", func(in *sts.AssumeRoleInput) {
		in.RoleArn = aws.String("arn:aws:iam::" + s.ids["shop"] + ":role/NoSuchRole")
	})
	assume("in an account that does not exist", func(in *sts.AssumeRoleInput) {
		in.RoleArn = aws.String("arn:aws:iam::999999999999:role/OrganizationAccountAccessRole")
	})
	assume("what is no role", func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("this-is-not-the-arn-of-a-role") })
	assume("under a name with a space", func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String("two words") })
	assume("with a session policy that is none", func(in *sts.AssumeRoleInput) { in.Policy = aws.String("garbage") })

	s.did("close an account")(organizations.NewFromConfig(s.management).CloseAccount(ctx, &organizations.CloseAccountInput{AccountId: aws.String(s.ids["lab"])}))
	assume("in a closed account", func(in *sts.AssumeRoleInput) {
		in.RoleArn = aws.String("arn:aws:iam::" + s.ids["lab"] + ":role/OrganizationAccountAccessRole")
	})
}
