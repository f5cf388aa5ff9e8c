package sim

import (
	"slices"
	"strings"
)

// awsManaged is a policy that AWS maintains, with the statements that matter
// here. They are short forms: AWS's own documents are up to 6,144 characters
// of single actions and change every few weeks.
type awsManaged struct {
	path      string // between "policy" and the name: "/", "/service-role/", ...
	statement string // the Statement element
}

const (
	// readActions is the read side of every service this world has.
	readActions = `"account:Get*","account:List*","cloudformation:Describe*","cloudformation:Get*","cloudformation:List*",` +
		`"config:BatchGet*","config:Describe*","config:Get*","config:List*","config:Select*","events:Describe*","events:List*","events:TestEventPattern",` +
		`"iam:Get*","iam:List*","kms:Describe*","kms:Get*","kms:List*","organizations:Describe*","organizations:List*",` +
		`"s3:Get*","s3:List*","s3:HeadBucket","sns:Get*","sns:List*","sns:Check*","sqs:Get*","sqs:List*","sqs:Receive*",` +
		`"states:Describe*","states:Get*","states:List*","sts:GetAccessKeyInfo","sts:GetCallerIdentity","sts:GetSessionToken"`
	allowAll  = `[{"Effect":"Allow","Action":"*","Resource":"*"}]`
	allowRead = `[{"Effect":"Allow","Action":[` + readActions + `],"Resource":"*"}]`
)

// awsManagedPolicies is by name.
var awsManagedPolicies = map[string]awsManaged{
	"AdministratorAccess": {"/", allowAll},
	"PowerUserAccess": {"/", `[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},` +
		`{"Effect":"Allow","Action":["account:GetAccountInformation","account:GetPrimaryEmail","account:ListRegions","iam:CreateServiceLinkedRole",` +
		`"iam:DeleteServiceLinkedRole","iam:ListRoles","organizations:DescribeOrganization"],"Resource":"*"}]`},
	"ReadOnlyAccess": {"/", allowRead},
	"SecurityAudit":  {"/", allowRead},
	"ViewOnlyAccess": {"/job-function/", allowRead},
	"AWSConfigUserAccess": {"/", `[{"Effect":"Allow","Action":["config:Get*","config:Describe*","config:Deliver*","config:List*","config:Select*",` +
		`"tag:GetResources","tag:GetTagKeys","cloudtrail:DescribeTrails","cloudtrail:GetTrailStatus","cloudtrail:LookupEvents"],"Resource":"*"}]`},
	"AWS_ConfigRole":                                    {"/service-role/", allowRead},
	"AWSConfigServiceRolePolicy":                        {"/aws-service-role/", allowRead},
	"AWSOrganizationsReadOnlyAccess":                    {"/", `[{"Effect":"Allow","Action":["organizations:Describe*","organizations:List*","account:Get*","account:List*"],"Resource":"*"}]`},
	"AWSOrganizationsFullAccess":                        {"/", `[{"Effect":"Allow","Action":["organizations:*","account:*"],"Resource":"*"}]`},
	"IAMFullAccess":                                     {"/", `[{"Effect":"Allow","Action":["iam:*","organizations:Describe*","organizations:List*"],"Resource":"*"}]`},
	"IAMReadOnlyAccess":                                 {"/", `[{"Effect":"Allow","Action":["iam:Get*","iam:List*","iam:Simulate*","iam:Generate*"],"Resource":"*"}]`},
	"AmazonSNSFullAccess":                               {"/", `[{"Effect":"Allow","Action":"sns:*","Resource":"*"}]`},
	"AmazonSNSReadOnlyAccess":                           {"/", `[{"Effect":"Allow","Action":["sns:Get*","sns:List*"],"Resource":"*"}]`},
	"AmazonSQSFullAccess":                               {"/", `[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]`},
	"AmazonS3FullAccess":                                {"/", `[{"Effect":"Allow","Action":["s3:*","s3-object-lambda:*"],"Resource":"*"}]`},
	"AmazonS3ReadOnlyAccess":                            {"/", `[{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Describe*"],"Resource":"*"}]`},
	"AmazonEventBridgeFullAccess":                       {"/", `[{"Effect":"Allow","Action":["events:*","schemas:*","scheduler:*","pipes:*"],"Resource":"*"}]`},
	"AmazonEventBridgeReadOnlyAccess":                   {"/", `[{"Effect":"Allow","Action":["events:Describe*","events:List*","events:TestEventPattern"],"Resource":"*"}]`},
	"AWSCloudFormationFullAccess":                       {"/", `[{"Effect":"Allow","Action":"cloudformation:*","Resource":"*"}]`},
	"AWSCloudFormationReadOnlyAccess":                   {"/", `[{"Effect":"Allow","Action":["cloudformation:Describe*","cloudformation:Get*","cloudformation:List*","cloudformation:Validate*","cloudformation:Detect*"],"Resource":"*"}]`},
	"AWSStepFunctionsFullAccess":                        {"/", `[{"Effect":"Allow","Action":"states:*","Resource":"*"}]`},
	"AWSDenyAll":                                        {"/", `[{"Effect":"Deny","Action":"*","Resource":"*"}]`},
	"AmazonSSMManagedInstanceCore":                      {"/", `[{"Effect":"Allow","Action":["ssm:*","ssmmessages:*","ec2messages:*"],"Resource":"*"}]`},
	"AmazonSSMAutomationRole":                           {"/service-role/", `[{"Effect":"Allow","Action":["ec2:*","cloudformation:*","ssm:*","sns:Publish"],"Resource":"*"}]`},
	"AWSLambdaBasicExecutionRole":                       {"/service-role/", `[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]`},
	"CloudFormationStackSetsOrgAdminServiceRolePolicy":  {"/aws-service-role/", allowRead},
	"CloudFormationStackSetsOrgMemberServiceRolePolicy": {"/aws-service-role/", `[{"Effect":"Allow","Action":"iam:*","Resource":"arn:*:iam::*:role/stacksets-exec-*"}]`},
}

// awsManagedDocument returns the document of an AWS managed policy by its ARN.
func awsManagedDocument(partition, arn string) (string, bool) {
	rest, ok := strings.CutPrefix(arn, "arn:"+partition+":iam::aws:policy")
	if !ok {
		return "", false
	}
	i := strings.LastIndex(rest, "/")
	if i < 0 {
		return "", false
	}
	p, ok := awsManagedPolicies[rest[i+1:]]
	if !ok || p.path != rest[:i+1] {
		return "", false
	}
	return `{"Version":"2012-10-17","Statement":` + p.statement + `}`, true
}

// awsManagedARNs returns the ARNs of the AWS managed policies we know, sorted.
func awsManagedARNs(partition string) []string {
	out := make([]string, 0, len(awsManagedPolicies))
	for name, p := range awsManagedPolicies {
		out = append(out, "arn:"+partition+":iam::aws:policy"+p.path+name)
	}
	slices.Sort(out)
	return out
}
