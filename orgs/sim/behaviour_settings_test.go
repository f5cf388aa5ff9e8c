package sim

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// What an account has from the beginning, and what is set in it by API calls.
func accountSettings(ctx context.Context, s *script) {
	e := ec2.NewFromConfig(s.in("shop", "eu-west-1"))
	encrypted := func(step string, c *ec2.Client) {
		see(s, step, func(o *ec2.GetEbsEncryptionByDefaultOutput) any { return aws.ToBool(o.EbsEncryptionByDefault) })(
			c.GetEbsEncryptionByDefault(ctx, &ec2.GetEbsEncryptionByDefaultInput{}))
	}
	encrypted("volumes are not encrypted", e)
	s.did("encrypt volumes")(e.EnableEbsEncryptionByDefault(ctx, &ec2.EnableEbsEncryptionByDefaultInput{}))
	encrypted("volumes are encrypted", e)
	encrypted("not in another Region", ec2.NewFromConfig(s.in("shop", "us-east-1")))
	encrypted("not in another account", ec2.NewFromConfig(s.in("pay", "eu-west-1")))

	i := iam.NewFromConfig(s.in("shop", "us-east-1"))
	passwords := func(step string) {
		see(s, step, func(o *iam.GetAccountPasswordPolicyOutput) any {
			p := o.PasswordPolicy
			return []any{
				aws.ToInt32(p.MinimumPasswordLength), aws.ToInt32(p.PasswordReusePrevention), aws.ToInt32(p.MaxPasswordAge),
				p.ExpirePasswords, p.RequireNumbers, p.RequireSymbols, p.AllowUsersToChangePassword,
			}
		})(i.GetAccountPasswordPolicy(ctx, &iam.GetAccountPasswordPolicyInput{}))
	}
	passwords("no password policy")
	s.did("none to delete")(i.DeleteAccountPasswordPolicy(ctx, &iam.DeleteAccountPasswordPolicyInput{}))
	s.did("a password policy")(i.UpdateAccountPasswordPolicy(ctx, &iam.UpdateAccountPasswordPolicyInput{
		MinimumPasswordLength: aws.Int32(14), PasswordReusePrevention: aws.Int32(24), MaxPasswordAge: aws.Int32(90), RequireNumbers: true, AllowUsersToChangePassword: true,
	}))
	passwords("it says")
	s.did("another in its place")(i.UpdateAccountPasswordPolicy(ctx, &iam.UpdateAccountPasswordPolicyInput{RequireSymbols: true}))
	passwords("what was left out has its default")
	s.did("a length of five")(i.UpdateAccountPasswordPolicy(ctx, &iam.UpdateAccountPasswordPolicyInput{MinimumPasswordLength: aws.Int32(5)}))
	s.did("the policy is deleted")(i.DeleteAccountPasswordPolicy(ctx, &iam.DeleteAccountPasswordPolicyInput{}))
	passwords("there is none again")

	filter := func(name, value string) []ec2types.Filter {
		return []ec2types.Filter{{Name: aws.String(name), Values: []string{value}}}
	}
	var vpc, subnet *string
	see(s, "a default VPC", func(o *ec2.DescribeVpcsOutput) any {
		if len(o.Vpcs) != 1 {
			return len(o.Vpcs)
		}
		vpc = o.Vpcs[0].VpcId
		return []any{aws.ToString(o.Vpcs[0].CidrBlock), aws.ToBool(o.Vpcs[0].IsDefault)}
	})(e.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: filter("is-default", "true")}))
	if vpc == nil {
		return
	}
	see(s, "a subnet in each zone", func(o *ec2.DescribeSubnetsOutput) any {
		blocks := []any{}
		for _, n := range o.Subnets {
			subnet = n.SubnetId
			blocks = append(blocks, []any{aws.ToString(n.AvailabilityZone), aws.ToString(n.CidrBlock), aws.ToBool(n.DefaultForAz), aws.ToBool(n.MapPublicIpOnLaunch)})
		}
		return blocks
	})(e.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: filter("vpc-id", *vpc)}))
	see(s, "its security groups", func(o *ec2.DescribeSecurityGroupsOutput) any {
		names := []any{}
		for _, g := range o.SecurityGroups {
			names = append(names, []any{aws.ToString(g.GroupName), aws.ToString(g.Description), len(g.IpPermissions), len(g.IpPermissionsEgress)})
		}
		return names
	})(e.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: filter("vpc-id", *vpc)}))
	see(s, "its internet gateways", func(o *ec2.DescribeInternetGatewaysOutput) any { return len(o.InternetGateways) })(
		e.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{Filters: filter("attachment.vpc-id", *vpc)}))
	see(s, "its interfaces", func(o *ec2.DescribeNetworkInterfacesOutput) any { return len(o.NetworkInterfaces) })(
		e.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: filter("vpc-id", *vpc)}))
	s.did("it is deleted while there are subnets")(e.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: vpc}))
	s.did("a filter that is none")(e.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: filter("no-such-filter", "x")}))

	s.did("an interface")(e.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet}))
	see(s, "the interface shows", func(o *ec2.DescribeNetworkInterfacesOutput) any { return len(o.NetworkInterfaces) })(
		e.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: filter("vpc-id", *vpc)}))
	s.did("its subnet is deleted")(e.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: subnet}))
	s.did("a subnet that is none")(e.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: aws.String("subnet-0123456789abcdef0")}))
	s.did("a second default VPC")(e.CreateDefaultVpc(ctx, &ec2.CreateDefaultVpcInput{}))
}
