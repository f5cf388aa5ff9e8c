package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// vpc is a VPC with what belongs to it alone.
type vpc struct {
	ID         string           `json:"id"`
	CIDR       string           `json:"cidr"`
	Default    bool             `json:"default,omitempty"`
	DHCP       string           `json:"dhcp"`
	RouteTable string           `json:"route_table"` // the main one
	ACL        string           `json:"acl"`         // the default one
	Subnets    []*vpcSubnet     `json:"subnets,omitempty"`
	Interfaces []*vpcInterface  `json:"interfaces,omitempty"`
	Endpoints  []*vpcEndpoint   `json:"endpoints,omitempty"`
	Groups     []*securityGroup `json:"groups,omitempty"`

	Tags map[string]string `json:"tags,omitempty"`
}

type vpcSubnet struct {
	ID      string `json:"id"`
	Zone    string `json:"zone"`
	CIDR    string `json:"cidr"`
	Default bool   `json:"default,omitempty"`
}

type vpcInterface struct {
	ID       string `json:"id"`
	Subnet   string `json:"subnet"`
	Instance string `json:"instance,omitempty"`
}

type vpcEndpoint struct {
	ID      string `json:"id"`
	Service string `json:"service"`
}

type vpcGateway struct {
	ID  string `json:"id"`
	VPC string `json:"vpc,omitempty"` // "" when detached
}

type vpcInstance struct {
	ID         string `json:"id"`
	VPC        string `json:"vpc"`
	Subnet     string `json:"subnet"`
	Terminated bool   `json:"terminated,omitempty"`
}

type vpcPeering struct {
	ID        string `json:"id"`
	Requester string `json:"requester"`
	Accepter  string `json:"accepter"`
}

// ec2 is EC2 where the call is made, with the default VPC that every account has
// in every Region.
func (c *call) ec2() *ec2State {
	s := &c.here().EC2
	if !s.Born {
		s.Born = true
		s.addDefaultVPC(c, "")
	}
	return s
}

// addDefaultVPC makes a default VPC as AWS does: a subnet in each Availability
// Zone, an internet gateway, a main route table, a default network ACL and a
// default security group. Its ids are made of the place, not taken from the
// world's counter: looking at a VPC must not change what comes after.
// https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc-components.html
func (s *ec2State) addDefaultVPC(c *call, generation string) *vpc {
	id := func(prefix string) string {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%s/%s/%s", c.w.state.Seed, c.caller.Account, c.region, prefix, generation))
		return prefix + "-" + hex.EncodeToString(sum[:])[:17]
	}
	v := &vpc{ID: id("vpc"), CIDR: "172.31.0.0/16", Default: true, DHCP: id("dopt"), RouteTable: id("rtb"), ACL: id("acl")}
	for i, zone := range []string{"a", "b", "c"} {
		v.Subnets = append(v.Subnets, &vpcSubnet{
			ID: id("subnet") + zone, Zone: c.region + zone, CIDR: fmt.Sprintf("172.31.%d.0/20", 16*i), Default: true,
		})
	}
	v.Groups = []*securityGroup{newDefaultGroup(id("sg"), c.caller.Account)}
	s.VPCs = append(s.VPCs, v)
	s.Gateways = append(s.Gateways, &vpcGateway{ID: id("igw"), VPC: v.ID})
	return v
}

func (s *ec2State) vpc(id string) *vpc {
	i := slices.IndexFunc(s.VPCs, func(v *vpc) bool { return v.ID == id })
	if i < 0 {
		return nil
	}
	return s.VPCs[i]
}

// subnet finds a subnet and its VPC.
func (s *ec2State) subnet(id string) (*vpc, *vpcSubnet) {
	for _, v := range s.VPCs {
		for _, sn := range v.Subnets {
			if sn.ID == id {
				return v, sn
			}
		}
	}
	return nil, nil
}

func noVPC(id string) error {
	return apiError("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
}

func noSubnet(id string) error {
	return apiError("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
}

func noGateway(id string) error {
	return apiError("InvalidInternetGatewayID.NotFound", "The internetGateway ID '%s' does not exist", id)
}

func describeVpcs(c *call, in *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) {
	yes := func(b bool) []string { return []string{fmt.Sprint(b)} }
	page, next, err := listing[*vpc]{
		ids: in.VpcIds, missing: noVPC, filters: in.Filters, max: in.MaxResults, token: in.NextToken,
		id: func(v *vpc) string { return v.ID },
		values: func(v *vpc) map[string][]string {
			if v == nil {
				v = &vpc{}
			}
			return map[string][]string{"vpc-id": {v.ID}, "is-default": yes(v.Default), "isDefault": yes(v.Default), "cidr": {v.CIDR}, "state": {"available"}}
		},
	}.of(c, c.ec2().VPCs)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeVpcsOutput{Vpcs: []types.Vpc{}, NextToken: next}
	for _, v := range page {
		out.Vpcs = append(out.Vpcs, v.describe(c))
	}
	return out, nil
}

// createTags puts tags on VPCs, the only things here that have them.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html
func createTags(c *call, in *ec2.CreateTagsInput) (*ec2.CreateTagsOutput, error) {
	for _, id := range in.Resources {
		if c.ec2().vpc(id) == nil {
			return nil, noVPC(id)
		}
	}
	for _, id := range in.Resources {
		v := c.ec2().vpc(id)
		if v.Tags == nil {
			v.Tags = map[string]string{}
		}
		for _, t := range in.Tags {
			v.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
		}
	}
	return &ec2.CreateTagsOutput{}, nil
}

func (v *vpc) describe(c *call) types.Vpc {
	var tags []types.Tag
	for _, k := range slices.Sorted(maps.Keys(v.Tags)) {
		tags = append(tags, types.Tag{Key: aws.String(k), Value: aws.String(v.Tags[k])})
	}
	return types.Vpc{
		Tags:  tags,
		VpcId: aws.String(v.ID), CidrBlock: aws.String(v.CIDR), IsDefault: aws.Bool(v.Default), DhcpOptionsId: aws.String(v.DHCP),
		OwnerId: aws.String(c.caller.Account), State: types.VpcStateAvailable, InstanceTenancy: types.TenancyDefault,
	}
}

// inVPC is a thing of a VPC, for the listings that filter by VPC.
type inVPC[T any] struct {
	vpc   *vpc
	thing T
}

// within lists things of VPCs. values gives the filters besides vpc-id.
func within[T any](c *call, ids []string, missing func(string) error, filters []types.Filter, limit *int32, token *string,
	things func(*vpc) []T, id func(T) string, values func(T) map[string][]string,
) ([]inVPC[T], *string, error) {
	var all []inVPC[T]
	for _, v := range c.ec2().VPCs {
		for _, t := range things(v) {
			all = append(all, inVPC[T]{v, t})
		}
	}
	return listing[inVPC[T]]{
		ids: ids, missing: missing, filters: filters, max: limit, token: token,
		id: func(t inVPC[T]) string { return id(t.thing) },
		values: func(t inVPC[T]) map[string][]string {
			out := map[string][]string{"vpc-id": nil}
			if t.vpc != nil {
				out["vpc-id"] = []string{t.vpc.ID}
			}
			if values != nil {
				for k, x := range values(t.thing) {
					out[k] = x
				}
			}
			return out
		},
	}.of(c, all)
}

func describeSubnets(c *call, in *ec2.DescribeSubnetsInput) (*ec2.DescribeSubnetsOutput, error) {
	page, next, err := within(c, in.SubnetIds, noSubnet, in.Filters, in.MaxResults, in.NextToken,
		func(v *vpc) []*vpcSubnet { return v.Subnets }, func(s *vpcSubnet) string { return s.ID }, nil)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeSubnetsOutput{Subnets: []types.Subnet{}, NextToken: next}
	for _, s := range page {
		out.Subnets = append(out.Subnets, types.Subnet{
			SubnetId: aws.String(s.thing.ID), VpcId: aws.String(s.vpc.ID), CidrBlock: aws.String(s.thing.CIDR), AvailabilityZone: aws.String(s.thing.Zone),
			DefaultForAz: aws.Bool(s.thing.Default), MapPublicIpOnLaunch: aws.Bool(s.thing.Default), OwnerId: aws.String(c.caller.Account), State: types.SubnetStateAvailable,
		})
	}
	return out, nil
}

func describeRouteTables(c *call, in *ec2.DescribeRouteTablesInput) (*ec2.DescribeRouteTablesOutput, error) {
	page, next, err := within(c, in.RouteTableIds, func(id string) error {
		return apiError("InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist", id)
	}, in.Filters, in.MaxResults, in.NextToken, func(v *vpc) []string { return []string{v.RouteTable} }, func(id string) string { return id }, nil)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeRouteTablesOutput{RouteTables: []types.RouteTable{}, NextToken: next}
	for _, t := range page {
		out.RouteTables = append(out.RouteTables, types.RouteTable{
			RouteTableId: aws.String(t.thing), VpcId: aws.String(t.vpc.ID), OwnerId: aws.String(c.caller.Account),
			Associations: []types.RouteTableAssociation{{Main: aws.Bool(true), RouteTableId: aws.String(t.thing)}},
			Routes:       []types.Route{{DestinationCidrBlock: aws.String(t.vpc.CIDR), GatewayId: aws.String("local")}},
		})
	}
	return out, nil
}

func describeNetworkAcls(c *call, in *ec2.DescribeNetworkAclsInput) (*ec2.DescribeNetworkAclsOutput, error) {
	page, next, err := within(c, in.NetworkAclIds, func(id string) error {
		return apiError("InvalidNetworkAclID.NotFound", "The networkAcl ID '%s' does not exist", id)
	}, in.Filters, in.MaxResults, in.NextToken, func(v *vpc) []string { return []string{v.ACL} }, func(id string) string { return id }, nil)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeNetworkAclsOutput{NetworkAcls: []types.NetworkAcl{}, NextToken: next}
	for _, t := range page {
		out.NetworkAcls = append(out.NetworkAcls, types.NetworkAcl{
			NetworkAclId: aws.String(t.thing), VpcId: aws.String(t.vpc.ID), OwnerId: aws.String(c.caller.Account), IsDefault: aws.Bool(true),
		})
	}
	return out, nil
}

func describeNetworkInterfaces(c *call, in *ec2.DescribeNetworkInterfacesInput) (*ec2.DescribeNetworkInterfacesOutput, error) {
	page, next, err := within(c, in.NetworkInterfaceIds, func(id string) error {
		return apiError("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", id)
	}, in.Filters, in.MaxResults, in.NextToken, func(v *vpc) []*vpcInterface { return v.Interfaces }, func(i *vpcInterface) string { return i.ID }, nil)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: []types.NetworkInterface{}, NextToken: next}
	for _, t := range page {
		out.NetworkInterfaces = append(out.NetworkInterfaces, t.thing.describe(c, t.vpc))
	}
	return out, nil
}

func (i *vpcInterface) describe(c *call, v *vpc) types.NetworkInterface {
	ni := types.NetworkInterface{
		NetworkInterfaceId: aws.String(i.ID), VpcId: aws.String(v.ID), SubnetId: aws.String(i.Subnet), OwnerId: aws.String(c.caller.Account),
		Status: types.NetworkInterfaceStatusAvailable, InterfaceType: types.NetworkInterfaceTypeInterface,
	}
	if i.Instance != "" {
		ni.Status = types.NetworkInterfaceStatusInUse
		ni.Attachment = &types.NetworkInterfaceAttachment{InstanceId: aws.String(i.Instance)}
	}
	return ni
}

func describeVpcEndpoints(c *call, in *ec2.DescribeVpcEndpointsInput) (*ec2.DescribeVpcEndpointsOutput, error) {
	page, next, err := within(c, in.VpcEndpointIds, func(id string) error {
		return apiError("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '%s' does not exist", id)
	}, in.Filters, in.MaxResults, in.NextToken, func(v *vpc) []*vpcEndpoint { return v.Endpoints }, func(e *vpcEndpoint) string { return e.ID }, nil)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeVpcEndpointsOutput{VpcEndpoints: []types.VpcEndpoint{}, NextToken: next}
	for _, t := range page {
		out.VpcEndpoints = append(out.VpcEndpoints, types.VpcEndpoint{VpcEndpointId: aws.String(t.thing.ID), VpcId: aws.String(t.vpc.ID), ServiceName: aws.String(t.thing.Service), State: types.StateAvailable})
	}
	return out, nil
}

func describeInternetGateways(c *call, in *ec2.DescribeInternetGatewaysInput) (*ec2.DescribeInternetGatewaysOutput, error) {
	page, next, err := listing[*vpcGateway]{
		ids: in.InternetGatewayIds, missing: noGateway, filters: in.Filters, max: in.MaxResults, token: in.NextToken,
		id: func(g *vpcGateway) string { return g.ID },
		values: func(g *vpcGateway) map[string][]string {
			if g == nil {
				g = &vpcGateway{}
			}
			return map[string][]string{"internet-gateway-id": {g.ID}, "attachment.vpc-id": {g.VPC}}
		},
	}.of(c, c.ec2().Gateways)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeInternetGatewaysOutput{InternetGateways: []types.InternetGateway{}, NextToken: next}
	for _, g := range page {
		ig := types.InternetGateway{InternetGatewayId: aws.String(g.ID), OwnerId: aws.String(c.caller.Account)}
		if g.VPC != "" {
			ig.Attachments = []types.InternetGatewayAttachment{{VpcId: aws.String(g.VPC), State: "available"}}
		}
		out.InternetGateways = append(out.InternetGateways, ig)
	}
	return out, nil
}

func describeInstances(c *call, in *ec2.DescribeInstancesInput) (*ec2.DescribeInstancesOutput, error) {
	page, next, err := listing[*vpcInstance]{
		ids: in.InstanceIds, filters: in.Filters, max: in.MaxResults, token: in.NextToken,
		missing: func(id string) error {
			return apiError("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
		},
		id: func(i *vpcInstance) string { return i.ID },
		values: func(i *vpcInstance) map[string][]string {
			if i == nil {
				i = &vpcInstance{}
			}
			return map[string][]string{"vpc-id": {i.VPC}, "instance-state-name": {string(i.state().Name)}}
		},
	}.of(c, c.ec2().Instances)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeInstancesOutput{Reservations: []types.Reservation{}, NextToken: next}
	for _, i := range page {
		out.Reservations = append(out.Reservations, types.Reservation{OwnerId: aws.String(c.caller.Account), Instances: []types.Instance{i.describe()}})
	}
	return out, nil
}

func (i *vpcInstance) state() *types.InstanceState {
	if i.Terminated {
		return &types.InstanceState{Name: types.InstanceStateNameTerminated, Code: aws.Int32(48)}
	}
	return &types.InstanceState{Name: types.InstanceStateNameRunning, Code: aws.Int32(16)}
}

func (i *vpcInstance) describe() types.Instance {
	out := types.Instance{InstanceId: aws.String(i.ID), State: i.state()}
	if !i.Terminated { // a terminated instance is in no VPC
		out.VpcId, out.SubnetId = aws.String(i.VPC), aws.String(i.Subnet)
	}
	return out
}

func describeVpcPeerings(c *call, in *ec2.DescribeVpcPeeringConnectionsInput) (*ec2.DescribeVpcPeeringConnectionsOutput, error) {
	page, next, err := listing[*vpcPeering]{
		ids: in.VpcPeeringConnectionIds, filters: in.Filters, max: in.MaxResults, token: in.NextToken,
		missing: func(id string) error {
			return apiError("InvalidVpcPeeringConnectionID.NotFound", "The vpcPeeringConnection ID '%s' does not exist", id)
		},
		id: func(p *vpcPeering) string { return p.ID },
		values: func(p *vpcPeering) map[string][]string {
			if p == nil {
				p = &vpcPeering{}
			}
			return map[string][]string{"requester-vpc-info.vpc-id": {p.Requester}, "accepter-vpc-info.vpc-id": {p.Accepter}, "status-code": {"active"}}
		},
	}.of(c, c.ec2().Peerings)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeVpcPeeringConnectionsOutput{VpcPeeringConnections: []types.VpcPeeringConnection{}, NextToken: next}
	for _, p := range page {
		out.VpcPeeringConnections = append(out.VpcPeeringConnections, p.describe())
	}
	return out, nil
}

func (p *vpcPeering) describe() types.VpcPeeringConnection {
	return types.VpcPeeringConnection{
		VpcPeeringConnectionId: aws.String(p.ID), RequesterVpcInfo: &types.VpcPeeringConnectionVpcInfo{VpcId: aws.String(p.Requester)},
		AccepterVpcInfo: &types.VpcPeeringConnectionVpcInfo{VpcId: aws.String(p.Accepter)},
		Status:          &types.VpcPeeringConnectionStateReason{Code: types.VpcPeeringConnectionStateReasonCodeActive},
	}
}

// describeVpnGateways answers for an account without any: they are not modelled.
func describeVpnGateways(_ *call, in *ec2.DescribeVpnGatewaysInput) (*ec2.DescribeVpnGatewaysOutput, error) {
	if _, err := passes(in.Filters, map[string][]string{"attachment.vpc-id": nil, "attachment.state": nil, "state": nil}); err != nil {
		return nil, err
	}
	return &ec2.DescribeVpnGatewaysOutput{VpnGateways: []types.VpnGateway{}}, nil
}

func createDefaultVpc(c *call, _ *ec2.CreateDefaultVpcInput) (*ec2.CreateDefaultVpcOutput, error) {
	s := c.ec2()
	if slices.ContainsFunc(s.VPCs, func(v *vpc) bool { return v.Default }) {
		return nil, apiError("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region.")
	}
	out := s.addDefaultVPC(c, c.w.id(8)).describe(c)
	return &ec2.CreateDefaultVpcOutput{Vpc: &out}, nil
}

func createNetworkInterface(c *call, in *ec2.CreateNetworkInterfaceInput) (*ec2.CreateNetworkInterfaceOutput, error) {
	v, sn := c.ec2().subnet(aws.ToString(in.SubnetId))
	if sn == nil {
		return nil, noSubnet(aws.ToString(in.SubnetId))
	}
	i := &vpcInterface{ID: "eni-" + c.w.id(17), Subnet: sn.ID}
	v.Interfaces = append(v.Interfaces, i)
	out := i.describe(c, v)
	return &ec2.CreateNetworkInterfaceOutput{NetworkInterface: &out}, nil
}

func createVpcEndpoint(c *call, in *ec2.CreateVpcEndpointInput) (*ec2.CreateVpcEndpointOutput, error) {
	v := c.ec2().vpc(aws.ToString(in.VpcId))
	if v == nil {
		return nil, noVPC(aws.ToString(in.VpcId))
	}
	e := &vpcEndpoint{ID: "vpce-" + c.w.id(17), Service: aws.ToString(in.ServiceName)}
	v.Endpoints = append(v.Endpoints, e)
	return &ec2.CreateVpcEndpointOutput{VpcEndpoint: &types.VpcEndpoint{VpcEndpointId: aws.String(e.ID), VpcId: aws.String(v.ID), ServiceName: aws.String(e.Service), State: types.StateAvailable}}, nil
}

// createVpcPeering connects two VPCs of one account and Region; it needs nobody's
// acceptance here.
func createVpcPeering(c *call, in *ec2.CreateVpcPeeringConnectionInput) (*ec2.CreateVpcPeeringConnectionOutput, error) {
	s := c.ec2()
	if s.vpc(aws.ToString(in.VpcId)) == nil {
		return nil, noVPC(aws.ToString(in.VpcId))
	}
	p := &vpcPeering{ID: "pcx-" + c.w.id(17), Requester: aws.ToString(in.VpcId), Accepter: aws.ToString(in.PeerVpcId)}
	s.Peerings = append(s.Peerings, p)
	out := p.describe()
	return &ec2.CreateVpcPeeringConnectionOutput{VpcPeeringConnection: &out}, nil
}

// runInstances launches into the subnet that is given, or into a default one.
func runInstances(c *call, in *ec2.RunInstancesInput) (*ec2.RunInstancesOutput, error) {
	s := c.ec2()
	v, sn := s.subnet(aws.ToString(in.SubnetId))
	switch {
	case sn != nil:
	case in.SubnetId != nil:
		return nil, noSubnet(*in.SubnetId)
	default:
		for _, d := range s.VPCs {
			if d.Default && len(d.Subnets) > 0 {
				v, sn = d, d.Subnets[0]
			}
		}
		if sn == nil {
			return nil, apiError("VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.")
		}
	}
	out := &ec2.RunInstancesOutput{OwnerId: aws.String(c.caller.Account)}
	for range max(1, int(aws.ToInt32(in.MinCount))) {
		i := &vpcInstance{ID: "i-" + c.w.id(17), VPC: v.ID, Subnet: sn.ID}
		s.Instances = append(s.Instances, i)
		v.Interfaces = append(v.Interfaces, &vpcInterface{ID: "eni-" + c.w.id(17), Subnet: sn.ID, Instance: i.ID})
		out.Instances = append(out.Instances, i.describe())
	}
	return out, nil
}

func terminateInstances(c *call, in *ec2.TerminateInstancesInput) (*ec2.TerminateInstancesOutput, error) {
	s := c.ec2()
	out := &ec2.TerminateInstancesOutput{}
	for _, i := range s.Instances {
		if !slices.Contains(in.InstanceIds, i.ID) {
			continue
		}
		before := i.state()
		i.Terminated = true
		if v := s.vpc(i.VPC); v != nil {
			v.Interfaces = slices.DeleteFunc(v.Interfaces, func(n *vpcInterface) bool { return n.Instance == i.ID })
		}
		out.TerminatingInstances = append(out.TerminatingInstances, types.InstanceStateChange{InstanceId: aws.String(i.ID), PreviousState: before, CurrentState: i.state()})
	}
	return out, nil
}

// deleteVpc refuses a VPC that still has anything but what AWS makes with every
// VPC and takes away with it: the main route table, the default network ACL and
// the default security group.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVpc.html
func deleteVpc(c *call, in *ec2.DeleteVpcInput) (*ec2.DeleteVpcOutput, error) {
	s := c.ec2()
	v := s.vpc(aws.ToString(in.VpcId))
	if v == nil {
		return nil, noVPC(aws.ToString(in.VpcId))
	}
	attached := slices.ContainsFunc(s.Gateways, func(g *vpcGateway) bool { return g.VPC == v.ID })
	peered := slices.ContainsFunc(s.Peerings, func(p *vpcPeering) bool { return p.Requester == v.ID })
	if attached || peered || len(v.Subnets)+len(v.Interfaces)+len(v.Endpoints) > 0 || len(v.Groups) > 1 {
		return nil, apiError("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted.", v.ID)
	}
	s.VPCs = slices.DeleteFunc(s.VPCs, func(x *vpc) bool { return x == v })
	return &ec2.DeleteVpcOutput{}, nil
}

func deleteSubnet(c *call, in *ec2.DeleteSubnetInput) (*ec2.DeleteSubnetOutput, error) {
	v, sn := c.ec2().subnet(aws.ToString(in.SubnetId))
	if sn == nil {
		return nil, noSubnet(aws.ToString(in.SubnetId))
	}
	if slices.ContainsFunc(v.Interfaces, func(i *vpcInterface) bool { return i.Subnet == sn.ID }) {
		return nil, apiError("DependencyViolation", "The subnet '%s' has dependencies and cannot be deleted.", sn.ID)
	}
	v.Subnets = slices.DeleteFunc(v.Subnets, func(x *vpcSubnet) bool { return x == sn })
	return &ec2.DeleteSubnetOutput{}, nil
}

func (s *ec2State) gateway(id string) *vpcGateway {
	i := slices.IndexFunc(s.Gateways, func(g *vpcGateway) bool { return g.ID == id })
	if i < 0 {
		return nil
	}
	return s.Gateways[i]
}

func detachInternetGateway(c *call, in *ec2.DetachInternetGatewayInput) (*ec2.DetachInternetGatewayOutput, error) {
	g := c.ec2().gateway(aws.ToString(in.InternetGatewayId))
	switch {
	case g == nil:
		return nil, noGateway(aws.ToString(in.InternetGatewayId))
	case g.VPC == "" || g.VPC != aws.ToString(in.VpcId):
		return nil, apiError("Gateway.NotAttached", "resource %s is not attached to network %s", g.ID, aws.ToString(in.VpcId))
	}
	g.VPC = ""
	return &ec2.DetachInternetGatewayOutput{}, nil
}

func deleteInternetGateway(c *call, in *ec2.DeleteInternetGatewayInput) (*ec2.DeleteInternetGatewayOutput, error) {
	s := c.ec2()
	g := s.gateway(aws.ToString(in.InternetGatewayId))
	switch {
	case g == nil:
		return nil, noGateway(aws.ToString(in.InternetGatewayId))
	case g.VPC != "":
		return nil, apiError("DependencyViolation", "The internetGateway '%s' has dependencies and cannot be deleted.", g.ID)
	}
	s.Gateways = slices.DeleteFunc(s.Gateways, func(x *vpcGateway) bool { return x == g })
	return &ec2.DeleteInternetGatewayOutput{}, nil
}
