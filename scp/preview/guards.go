package preview

// deployNeeds are what StackSets does with its execution role in a member
// account, for the stacks that orgguard deploys.
var deployNeeds = []Need{
	{Action: "config:PutConfigurationRecorder"}, {Action: "config:StartConfigurationRecorder"}, {Action: "config:StopConfigurationRecorder"},
	{Action: "config:DeleteConfigurationRecorder"}, {Action: "config:DescribeConfigurationRecorders"}, {Action: "config:DescribeConfigurationRecorderStatus"},
	{Action: "config:PutDeliveryChannel"}, {Action: "config:DeleteDeliveryChannel"}, {Action: "config:DescribeDeliveryChannels"},
	{"events:PutRule", "arn:${Partition}:events:${Region}:${Account}:rule/orgguard-config-change"},
	{"events:PutTargets", "arn:${Partition}:events:${Region}:${Account}:rule/orgguard-config-change"},
	{"events:RemoveTargets", "arn:${Partition}:events:${Region}:${Account}:rule/orgguard-config-change"},
	{"events:DeleteRule", "arn:${Partition}:events:${Region}:${Account}:rule/orgguard-config-change"},
	{"sns:CreateTopic", "arn:${Partition}:sns:${Region}:${Account}:orgguard-alerts"},
	{"sns:SetTopicAttributes", "arn:${Partition}:sns:${Region}:${Account}:orgguard-alerts"},
	{"sns:Subscribe", "arn:${Partition}:sns:${Region}:${Account}:orgguard-alerts"},
	{"sns:DeleteTopic", "arn:${Partition}:sns:${Region}:${Account}:orgguard-alerts"},
	{"sqs:CreateQueue", "arn:${Partition}:sqs:${Region}:${Account}:orgguard-dlq"},
	{"sqs:SetQueueAttributes", "arn:${Partition}:sqs:${Region}:${Account}:orgguard-dlq"},
	{"iam:CreateRole", "arn:${Partition}:iam::${Account}:role/orgguard-config-recorder"},
	{"iam:PutRolePolicy", "arn:${Partition}:iam::${Account}:role/orgguard-config-recorder"},
	{"iam:AttachRolePolicy", "arn:${Partition}:iam::${Account}:role/orgguard-config-recorder"},
	{"iam:DeleteRole", "arn:${Partition}:iam::${Account}:role/orgguard-config-recorder"},
	{"iam:PassRole", "arn:${Partition}:iam::${Account}:role/orgguard-config-recorder"},
	{Action: "cloudformation:CreateStack"}, {Action: "cloudformation:UpdateStack"}, {Action: "cloudformation:DeleteStack"}, {Action: "cloudformation:DescribeStacks"},
}

// controlTowerNeeds are what AWS Control Tower does with its role in an account
// when it enrolls it, updates it, or lets it go.
// https://docs.aws.amazon.com/controltower/latest/userguide/roles-how.html
var controlTowerNeeds = []Need{
	{Action: "config:PutConfigurationRecorder"}, {Action: "config:StartConfigurationRecorder"}, {Action: "config:StopConfigurationRecorder"},
	{Action: "config:DeleteConfigurationRecorder"}, {Action: "config:DescribeConfigurationRecorders"},
	{Action: "config:PutDeliveryChannel"}, {Action: "config:DeleteDeliveryChannel"}, {Action: "config:PutConfigurationAggregator"},
	{Action: "config:PutAggregationAuthorization"}, {Action: "config:DeleteAggregationAuthorization"},
	{Action: "cloudformation:CreateStack"}, {Action: "cloudformation:UpdateStack"}, {Action: "cloudformation:DeleteStack"},
	{"iam:CreateRole", "arn:${Partition}:iam::${Account}:role/aws-controltower-ConfigRecorderRole"},
	{"iam:AttachRolePolicy", "arn:${Partition}:iam::${Account}:role/aws-controltower-ConfigRecorderRole"},
	{"iam:DeleteRole", "arn:${Partition}:iam::${Account}:role/aws-controltower-ConfigRecorderRole"},
	{"sns:CreateTopic", "arn:${Partition}:sns:${Region}:${Account}:aws-controltower-SecurityNotifications"},
	{"sns:SetTopicAttributes", "arn:${Partition}:sns:${Region}:${Account}:aws-controltower-SecurityNotifications"},
	{"events:PutRule", "arn:${Partition}:events:${Region}:${Account}:rule/aws-controltower-ConfigComplianceChangeEventRule"},
	{"events:PutTargets", "arn:${Partition}:events:${Region}:${Account}:rule/aws-controltower-ConfigComplianceChangeEventRule"},
	{Action: "cloudtrail:CreateTrail"}, {Action: "cloudtrail:StartLogging"}, {Action: "lambda:CreateFunction"}, {Action: "logs:CreateLogGroup"},
}

// recorderNeeds are what AWS Config does with a recorder's role that is not
// service-linked: such a role is bound by service control policies.
// https://docs.aws.amazon.com/config/latest/developerguide/iamrole-permissions.html
var recorderNeeds = []Need{
	{Action: "s3:PutObject"}, {Action: "s3:GetBucketAcl"}, {Action: "sns:Publish"},
	{Action: "ec2:DescribeInstances"}, {Action: "ec2:DescribeSecurityGroups"}, {Action: "iam:GetAccountAuthorizationDetails"}, {Action: "iam:ListRoles"},
	{Action: "s3:ListAllMyBuckets"}, {Action: "rds:DescribeDBInstances"}, {Action: "kms:ListKeys"},
}

// DefaultGuards are the roles without which nobody could repair or deploy:
// orgguard's own with the actions it needs, those of StackSets, Control Tower
// and AWS Config, and the ones that people use when all else is broken.
func DefaultGuards(accessRole string, actions, breakGlass []string) []Guard {
	own := Guard{Role: accessRole, Why: "orgguard works in the accounts with it", Standing: true}
	for _, a := range actions {
		own.Needs = append(own.Needs, Need{Action: a, Resource: ownResource(a)})
	}
	out := []Guard{
		own,
		{Role: "stacksets-exec-*", Why: "StackSets deploys with it", Needs: deployNeeds, Standing: true},
		{Role: "AWSControlTowerExecution", Why: "AWS Control Tower works with it", Needs: controlTowerNeeds},
		{Role: "orgguard-config-recorder", Why: "AWS Config records with it", Needs: recorderNeeds, Standing: true},
		{Role: "aws-controltower-ConfigRecorderRole", Why: "AWS Config records with it under Control Tower", Needs: recorderNeeds},
	}
	for _, b := range breakGlass {
		out = append(out, Guard{Role: b, Why: "break glass", All: true, Standing: true})
	}
	return out
}

// ownResource is what orgguard needs an action on where it does not need it
// everywhere: it touches IAM roles of its own name only.
func ownResource(action string) string {
	if hasPrefixFold(action, "iam:") && !hasPrefixFold(action, "iam:Get") && !hasPrefixFold(action, "iam:List") {
		return "arn:${Partition}:iam::${Account}:role/orgguard-config-recorder"
	}
	return ""
}
