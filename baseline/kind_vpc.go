package baseline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/orgguard/orgguard/orgs"
)

// defaultVPC is the default VPC of an account × Region: enough to see that nothing
// uses it, and to build it again.
// https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html
type defaultVPC struct {
	ID   string `json:"id"`
	CIDR string `json:"cidr"`
	DHCP string `json:"dhcp_options"`
	// Tags are the keys alone: plans go to pull requests and mails, and people
	// keep in tags what should not be read there.
	Tags     []string    `json:"tags,omitempty"`
	Subnets  []vpcSubnet `json:"subnets"`
	Gateways []string    `json:"internet_gateways"`
	// InUse is what somebody put into it, e.g. "interface eni-1".
	InUse []string `json:"in_use,omitempty"`
}

// vpcSubnet is a subnet of a default VPC.
type vpcSubnet struct {
	ID   string `json:"id"`
	Zone string `json:"zone"`
	CIDR string `json:"cidr"`
}

// vpcState is the default VPC; nil when there is none, which is what the control
// wants.
type vpcState struct{ *defaultVPC }

var defaultVPCKind = kind{
	noun:    "network",
	observe: observeDefaultVPC, compare: compareDefaultVPC, repair: removeDefaultVPC, undo: undoDefaultVPC,
	writes: func(_ Resource, state any) int {
		v := state.(vpcState).defaultVPC
		return len(v.Subnets) + 2*len(v.Gateways) + 1
	},
	final: func(Resource) string {
		return "a default VPC that is made again has other ids, as have its subnets and its gateway"
	},
}

// filter is a filter of EC2's Describe calls.
func filter(name string, values ...string) []types.Filter {
	return []types.Filter{{Name: aws.String(name), Values: values}}
}

func observeDefaultVPC(ctx context.Context, s site, _ Resource) (any, error) {
	out, err := s.EC2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{Filters: filter("is-default", "true")}, s.at.EC2)
	if err != nil {
		return nil, fmt.Errorf("describe the default VPC: %w", err)
	}
	if len(out.Vpcs) == 0 {
		return vpcState{}, nil
	}
	v := out.Vpcs[0]
	d := &defaultVPC{ID: aws.ToString(v.VpcId), CIDR: aws.ToString(v.CidrBlock), DHCP: aws.ToString(v.DhcpOptionsId)}
	for _, t := range v.Tags {
		d.Tags = append(d.Tags, aws.ToString(t.Key))
	}
	slices.Sort(d.Tags)
	for _, part := range vpcParts {
		if err := part.list(ctx, s, d); err != nil {
			return nil, fmt.Errorf("look for %s in default VPC %s: %w", part.what, d.ID, err)
		}
	}
	return vpcState{d}, nil
}

// used notes something that somebody put into the VPC. Of a busy VPC a few names
// are enough.
func (d *defaultVPC) used(what, id string) {
	const enough = 20
	switch {
	case len(d.InUse) < enough:
		d.InUse = append(d.InUse, what+" "+id)
	case len(d.InUse) == enough:
		d.InUse = append(d.InUse, "and more")
	}
}

// vpcParts are everything that can be in a VPC. What AWS itself makes with a
// default VPC is described, and everything else means that it is in use. Load
// balancers, NAT gateways, databases and the like show as interfaces.
var vpcParts = []struct {
	what string
	list func(context.Context, site, *defaultVPC) error
}{
	{"subnets", func(ctx context.Context, s site, d *defaultVPC) error {
		in := &ec2.DescribeSubnetsInput{Filters: filter("vpc-id", d.ID)}
		return eachPage(&in.NextToken, func() (*string, error) {
			o, err := s.EC2.DescribeSubnets(ctx, in, s.at.EC2)
			if err != nil {
				return nil, err
			}
			for _, n := range o.Subnets {
				if !aws.ToBool(n.DefaultForAz) {
					d.used("subnet", aws.ToString(n.SubnetId))
				}
				d.Subnets = append(d.Subnets, vpcSubnet{ID: aws.ToString(n.SubnetId), Zone: aws.ToString(n.AvailabilityZone), CIDR: aws.ToString(n.CidrBlock)})
			}
			return o.NextToken, nil
		})
	}},
	{"internet gateways", func(ctx context.Context, s site, d *defaultVPC) error {
		in := &ec2.DescribeInternetGatewaysInput{Filters: filter("attachment.vpc-id", d.ID)}
		return eachPage(&in.NextToken, func() (*string, error) {
			o, err := s.EC2.DescribeInternetGateways(ctx, in, s.at.EC2)
			if err != nil {
				return nil, err
			}
			for _, g := range o.InternetGateways {
				d.Gateways = append(d.Gateways, aws.ToString(g.InternetGatewayId))
			}
			return o.NextToken, nil
		})
	}},
	{"interfaces", func(ctx context.Context, s site, d *defaultVPC) error {
		in := &ec2.DescribeNetworkInterfacesInput{Filters: filter("vpc-id", d.ID)}
		return eachPage(&in.NextToken, func() (*string, error) {
			o, err := s.EC2.DescribeNetworkInterfaces(ctx, in, s.at.EC2)
			if err != nil {
				return nil, err
			}
			for _, n := range o.NetworkInterfaces {
				d.used("interface", aws.ToString(n.NetworkInterfaceId))
			}
			return o.NextToken, nil
		})
	}},
	{"instances", func(ctx context.Context, s site, d *defaultVPC) error {
		in := &ec2.DescribeInstancesInput{Filters: filter("vpc-id", d.ID)}
		return eachPage(&in.NextToken, func() (*string, error) {
			o, err := s.EC2.DescribeInstances(ctx, in, s.at.EC2)
			if err != nil {
				return nil, err
			}
			for _, r := range o.Reservations {
				for _, i := range r.Instances {
					if i.State == nil || i.State.Name != types.InstanceStateNameTerminated {
						d.used("instance", aws.ToString(i.InstanceId))
					}
				}
			}
			return o.NextToken, nil
		})
	}},
	{"endpoints", func(ctx context.Context, s site, d *defaultVPC) error {
		in := &ec2.DescribeVpcEndpointsInput{Filters: filter("vpc-id", d.ID)}
		return eachPage(&in.NextToken, func() (*string, error) {
			o, err := s.EC2.DescribeVpcEndpoints(ctx, in, s.at.EC2)
			if err != nil {
				return nil, err
			}
			for _, e := range o.VpcEndpoints {
				d.used("endpoint", aws.ToString(e.VpcEndpointId))
			}
			return o.NextToken, nil
		})
	}},
	{"peering connections", func(ctx context.Context, s site, d *defaultVPC) error {
		for _, side := range []string{"requester-vpc-info.vpc-id", "accepter-vpc-info.vpc-id"} {
			in := &ec2.DescribeVpcPeeringConnectionsInput{Filters: filter(side, d.ID)}
			err := eachPage(&in.NextToken, func() (*string, error) {
				o, err := s.EC2.DescribeVpcPeeringConnections(ctx, in, s.at.EC2)
				if err != nil {
					return nil, err
				}
				for _, p := range o.VpcPeeringConnections {
					if gone := []types.VpcPeeringConnectionStateReasonCode{"deleted", "rejected", "expired", "failed"}; p.Status == nil || !slices.Contains(gone, p.Status.Code) {
						d.used("peering connection", aws.ToString(p.VpcPeeringConnectionId))
					}
				}
				return o.NextToken, nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}},
	{"route tables", func(ctx context.Context, s site, d *defaultVPC) error {
		in := &ec2.DescribeRouteTablesInput{Filters: filter("vpc-id", d.ID)}
		return eachPage(&in.NextToken, func() (*string, error) {
			o, err := s.EC2.DescribeRouteTables(ctx, in, s.at.EC2)
			if err != nil {
				return nil, err
			}
			for _, t := range o.RouteTables {
				main := slices.ContainsFunc(t.Associations, func(a types.RouteTableAssociation) bool { return aws.ToBool(a.Main) })
				if !main {
					d.used("route table", aws.ToString(t.RouteTableId))
				}
			}
			return o.NextToken, nil
		})
	}},
	{"network ACLs", func(ctx context.Context, s site, d *defaultVPC) error {
		in := &ec2.DescribeNetworkAclsInput{Filters: filter("vpc-id", d.ID)}
		return eachPage(&in.NextToken, func() (*string, error) {
			o, err := s.EC2.DescribeNetworkAcls(ctx, in, s.at.EC2)
			if err != nil {
				return nil, err
			}
			for _, a := range o.NetworkAcls {
				if !aws.ToBool(a.IsDefault) {
					d.used("network ACL", aws.ToString(a.NetworkAclId))
				}
			}
			return o.NextToken, nil
		})
	}},
	{"security groups", func(ctx context.Context, s site, d *defaultVPC) error {
		in := &ec2.DescribeSecurityGroupsInput{Filters: filter("vpc-id", d.ID)}
		return eachPage(&in.NextToken, func() (*string, error) {
			o, err := s.EC2.DescribeSecurityGroups(ctx, in, s.at.EC2)
			if err != nil {
				return nil, err
			}
			for _, g := range o.SecurityGroups {
				if aws.ToString(g.GroupName) != "default" {
					d.used("security group", aws.ToString(g.GroupId))
				}
			}
			return o.NextToken, nil
		})
	}},
	{"VPN gateways", func(ctx context.Context, s site, d *defaultVPC) error {
		out, err := s.EC2.DescribeVpnGateways(ctx, &ec2.DescribeVpnGatewaysInput{Filters: filter("attachment.vpc-id", d.ID)}, s.at.EC2)
		if err != nil {
			return err
		}
		for _, g := range out.VpnGateways {
			if slices.ContainsFunc(g.VpcAttachments, func(a types.VpcAttachment) bool {
				return aws.ToString(a.VpcId) == d.ID && a.State != types.AttachmentStatusDetached
			}) {
				d.used("VPN gateway", aws.ToString(g.VpnGatewayId))
			}
		}
		return nil
	}},
}

// eachPage reads a listing of EC2 to its end: next reads a page and returns the
// token of the one after it.
func eachPage(token **string, next func() (*string, error)) error {
	for {
		after, err := next()
		if err != nil || aws.ToString(after) == "" {
			return err
		}
		*token = after
	}
}

func compareDefaultVPC(_ Resource, state any) []Mismatch {
	v := state.(vpcState).defaultVPC
	if v == nil {
		return nil
	}
	m := Mismatch{Reason: "default VPC " + v.ID + " is there and empty", Expected: "no default VPC", Actual: v, Verb: "delete"}
	if len(v.InUse) > 0 {
		m.Reason = "default VPC " + v.ID + " is in use: " + strings.Join(v.InUse[:min(3, len(v.InUse))], ", ")
		if len(v.InUse) > 3 {
			m.Reason += " and more"
		}
		m.Manual = "move what uses it to a VPC of its own; a rollout removes the default VPC once it is empty"
	}
	return []Mismatch{m}
}

// removeDefaultVPC looks again and removes the VPC if it is still empty. The
// subnets go first: EC2 refuses to delete one that was taken into use meanwhile,
// before anything is cut off.
func removeDefaultVPC(ctx context.Context, s site, r Resource, _ any) error {
	state, err := observeDefaultVPC(ctx, s, r)
	if err != nil {
		return err
	}
	v := state.(vpcState).defaultVPC
	switch {
	case v == nil:
		return nil
	case len(v.InUse) > 0:
		return &orgs.Hinted{
			Err:  fmt.Errorf("default VPC %s was taken into use meanwhile: %s", v.ID, strings.Join(v.InUse, ", ")),
			Next: "nothing was deleted; make a new plan",
		}
	}
	gone := func(what, id string, err error) error {
		if err == nil || notFound(err) {
			return nil
		}
		return fmt.Errorf("%s %s of default VPC %s: %w", what, id, v.ID, err)
	}
	for _, n := range v.Subnets {
		_, err := s.EC2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: aws.String(n.ID)}, s.at.EC2)
		if err := gone("delete subnet", n.ID, err); err != nil {
			return err
		}
	}
	for _, id := range v.Gateways {
		_, err := s.EC2.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: aws.String(id), VpcId: aws.String(v.ID)}, s.at.EC2)
		if err := gone("detach internet gateway", id, err); err != nil {
			return err
		}
		_, err = s.EC2.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: aws.String(id)}, s.at.EC2)
		if err := gone("delete internet gateway", id, err); err != nil {
			return err
		}
	}
	_, err = s.EC2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: aws.String(v.ID)}, s.at.EC2)
	if orgs.Code(err) == "DependencyViolation" {
		return &orgs.Hinted{
			Err:  fmt.Errorf("delete default VPC %s: %w", v.ID, err),
			Next: "something holds on to it that no listing shows; its subnets and gateway are in the plan under before",
		}
	}
	return gone("delete", v.ID, err)
}

func undoDefaultVPC(s scope, _ Resource, _ any) string {
	return "aws ec2 create-default-vpc --region " + s.region + " (the ids are new; what there was is in this plan under before)"
}
