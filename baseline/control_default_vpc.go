package baseline

import "github.com/orgguard/orgguard/orgs/finding"

// defaultVpc: no account has a default VPC, into which things are launched by
// mistake and with public addresses. A rollout removes those that are truly empty;
// one that anything is in is a finding and stays. It is off by default because it
// deletes, and because tools may count on a default VPC.
// https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc.html
var defaultVpc = Control{
	ID: "default-vpc", Title: "There is no default VPC", Severity: finding.Low,
	about: About{
		Why:     "Things are launched into a default VPC by mistake, and with public addresses.",
		Cost:    "nothing",
		Example: `default-vpc: true`,
	},
	parts: []part{{unit: "region"}},
	Reads: []string{
		"ec2:DescribeInstances", "ec2:DescribeInternetGateways", "ec2:DescribeNetworkAcls", "ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables",
		"ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcEndpoints", "ec2:DescribeVpcPeeringConnections", "ec2:DescribeVpcs",
		"ec2:DescribeVpnGateways",
	},
	Writes: []string{"ec2:DeleteInternetGateway", "ec2:DeleteSubnet", "ec2:DeleteVpc", "ec2:DetachInternetGateway"},
}
