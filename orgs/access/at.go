package access

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	"github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/chatbot"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/controltower"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/orgguard/orgguard/orgs"
)

// At is an account × Region from where calls are made. Its methods are the
// option functions of the SDK's operations:
//
//	pool.Config.DescribeDeliveryChannels(ctx, in, at.Config)
type At struct {
	Account orgs.AccountID
	Region  string
	creds   aws.CredentialsProvider
}

// InRegion is the same account in another Region.
func (a At) InRegion(region string) At { a.Region = region; return a }

// Organizations makes a call of AWS Organizations from here.
func (a At) Organizations(o *organizations.Options) { o.Region, o.Credentials = a.Region, a.creds }

// AccountManagement makes a call of AWS Account Management from here.
func (a At) AccountManagement(o *account.Options) { o.Region, o.Credentials = a.Region, a.creds }

// CloudFormation makes a call of CloudFormation from here.
func (a At) CloudFormation(o *cloudformation.Options) { o.Region, o.Credentials = a.Region, a.creds }

// Config makes a call of AWS Config from here.
func (a At) Config(o *configservice.Options) { o.Region, o.Credentials = a.Region, a.creds }

// Events makes a call of EventBridge from here.
func (a At) Events(o *eventbridge.Options) { o.Region, o.Credentials = a.Region, a.creds }

// SNS makes a call of SNS from here.
func (a At) SNS(o *sns.Options) { o.Region, o.Credentials = a.Region, a.creds }

// SQS makes a call of SQS from here.
func (a At) SQS(o *sqs.Options) { o.Region, o.Credentials = a.Region, a.creds }

// S3 makes a call of S3 from here.
func (a At) S3(o *s3.Options) { o.Region, o.Credentials = a.Region, a.creds }

// IAM makes a call of IAM from here.
func (a At) IAM(o *iam.Options) { o.Region, o.Credentials = a.Region, a.creds }

// KMS makes a call of KMS from here.
func (a At) KMS(o *kms.Options) { o.Region, o.Credentials = a.Region, a.creds }

// StepFunctions makes a call of Step Functions from here.
func (a At) StepFunctions(o *sfn.Options) { o.Region, o.Credentials = a.Region, a.creds }

// SSM makes a call of Systems Manager from here.
func (a At) SSM(o *ssm.Options) { o.Region, o.Credentials = a.Region, a.creds }

// CloudTrail makes a call of CloudTrail from here.
func (a At) CloudTrail(o *cloudtrail.Options) { o.Region, o.Credentials = a.Region, a.creds }

// Chatbot makes a call of Amazon Q Developer in chat applications from here.
func (a At) Chatbot(o *chatbot.Options) { o.Region, o.Credentials = a.Region, a.creds }

// AccessAnalyzer makes a call of IAM Access Analyzer from here.
func (a At) AccessAnalyzer(o *accessanalyzer.Options) { o.Region, o.Credentials = a.Region, a.creds }

// ControlTower makes a call of AWS Control Tower from here.
func (a At) ControlTower(o *controltower.Options) { o.Region, o.Credentials = a.Region, a.creds }

// CloudWatch makes a call of CloudWatch from here.
func (a At) CloudWatch(o *cloudwatch.Options) { o.Region, o.Credentials = a.Region, a.creds }

// Logs makes a call of CloudWatch Logs from here.
func (a At) Logs(o *cloudwatchlogs.Options) { o.Region, o.Credentials = a.Region, a.creds }

// EC2 makes a call of EC2 from here.
func (a At) EC2(o *ec2.Options) { o.Region, o.Credentials = a.Region, a.creds }

// S3Control makes a call about the account's own S3 settings from here.
func (a At) S3Control(o *s3control.Options) { o.Region, o.Credentials = a.Region, a.creds }

// GuardDuty makes a call of GuardDuty from here.
func (a At) GuardDuty(o *guardduty.Options) { o.Region, o.Credentials = a.Region, a.creds }

// Lambda makes a call of AWS Lambda from here.
func (a At) Lambda(o *lambda.Options) { o.Region, o.Credentials = a.Region, a.creds }

// Scheduler makes a call of EventBridge Scheduler from here.
func (a At) Scheduler(o *scheduler.Options) { o.Region, o.Credentials = a.Region, a.creds }

// SecurityHub makes a call of Security Hub from here.
func (a At) SecurityHub(o *securityhub.Options) { o.Region, o.Credentials = a.Region, a.creds }
