package access

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// EC2 is the operations of EC2 that orgguard calls. They are its client's methods
// one by one: a client within reach of reflection keeps every operation it has in
// the program, and EC2 has 700, a fifth of the program's size.
type EC2 struct {
	DescribeVpcs                   call[ec2.DescribeVpcsInput, ec2.DescribeVpcsOutput]
	DescribeSubnets                call[ec2.DescribeSubnetsInput, ec2.DescribeSubnetsOutput]
	DescribeInternetGateways       call[ec2.DescribeInternetGatewaysInput, ec2.DescribeInternetGatewaysOutput]
	DescribeNetworkInterfaces      call[ec2.DescribeNetworkInterfacesInput, ec2.DescribeNetworkInterfacesOutput]
	DescribeInstances              call[ec2.DescribeInstancesInput, ec2.DescribeInstancesOutput]
	DescribeVpcEndpoints           call[ec2.DescribeVpcEndpointsInput, ec2.DescribeVpcEndpointsOutput]
	DescribeVpcPeeringConnections  call[ec2.DescribeVpcPeeringConnectionsInput, ec2.DescribeVpcPeeringConnectionsOutput]
	DescribeRouteTables            call[ec2.DescribeRouteTablesInput, ec2.DescribeRouteTablesOutput]
	DescribeNetworkAcls            call[ec2.DescribeNetworkAclsInput, ec2.DescribeNetworkAclsOutput]
	DescribeSecurityGroups         call[ec2.DescribeSecurityGroupsInput, ec2.DescribeSecurityGroupsOutput]
	DescribeVpnGateways            call[ec2.DescribeVpnGatewaysInput, ec2.DescribeVpnGatewaysOutput]
	DeleteSubnet                   call[ec2.DeleteSubnetInput, ec2.DeleteSubnetOutput]
	DetachInternetGateway          call[ec2.DetachInternetGatewayInput, ec2.DetachInternetGatewayOutput]
	DeleteInternetGateway          call[ec2.DeleteInternetGatewayInput, ec2.DeleteInternetGatewayOutput]
	DeleteVpc                      call[ec2.DeleteVpcInput, ec2.DeleteVpcOutput]
	GetEbsEncryptionByDefault      call[ec2.GetEbsEncryptionByDefaultInput, ec2.GetEbsEncryptionByDefaultOutput]
	EnableEbsEncryptionByDefault   call[ec2.EnableEbsEncryptionByDefaultInput, ec2.EnableEbsEncryptionByDefaultOutput]
	GetInstanceMetadataDefaults    call[ec2.GetInstanceMetadataDefaultsInput, ec2.GetInstanceMetadataDefaultsOutput]
	ModifyInstanceMetadataDefaults call[ec2.ModifyInstanceMetadataDefaultsInput, ec2.ModifyInstanceMetadataDefaultsOutput]
}

// call is an operation of EC2.
type call[In, Out any] = func(context.Context, *In, ...func(*ec2.Options)) (*Out, error)

func newEC2(cfg aws.Config) EC2 {
	c := ec2.NewFromConfig(cfg)
	return EC2{
		DescribeVpcs:                   c.DescribeVpcs,
		DescribeSubnets:                c.DescribeSubnets,
		DescribeInternetGateways:       c.DescribeInternetGateways,
		DescribeNetworkInterfaces:      c.DescribeNetworkInterfaces,
		DescribeInstances:              c.DescribeInstances,
		DescribeVpcEndpoints:           c.DescribeVpcEndpoints,
		DescribeVpcPeeringConnections:  c.DescribeVpcPeeringConnections,
		DescribeRouteTables:            c.DescribeRouteTables,
		DescribeNetworkAcls:            c.DescribeNetworkAcls,
		DescribeSecurityGroups:         c.DescribeSecurityGroups,
		DescribeVpnGateways:            c.DescribeVpnGateways,
		DeleteSubnet:                   c.DeleteSubnet,
		DetachInternetGateway:          c.DetachInternetGateway,
		DeleteInternetGateway:          c.DeleteInternetGateway,
		DeleteVpc:                      c.DeleteVpc,
		GetEbsEncryptionByDefault:      c.GetEbsEncryptionByDefault,
		EnableEbsEncryptionByDefault:   c.EnableEbsEncryptionByDefault,
		GetInstanceMetadataDefaults:    c.GetInstanceMetadataDefaults,
		ModifyInstanceMetadataDefaults: c.ModifyInstanceMetadataDefaults,
	}
}
