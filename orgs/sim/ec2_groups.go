package sim

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// securityGroup is a security group with its rules, each about one source or
// destination.
type securityGroup struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Rules       []groupRule `json:"rules,omitempty"`
}

// groupRule is one rule of a security group. Peer is a CIDR block or a group.
type groupRule struct {
	Egress   bool   `json:"egress,omitempty"`
	Protocol string `json:"protocol"`
	From     int32  `json:"from"`
	To       int32  `json:"to"`
	Peer     string `json:"peer"`
	Kind     string `json:"kind"` // "ipv4", "ipv6", "prefix-list" or "group"
}

// newDefaultGroup is a VPC's default security group: its members reach each other,
// and everything outside.
// https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html
func newDefaultGroup(id, account string) *securityGroup {
	return &securityGroup{ID: id, Name: "default", Description: "default VPC security group", Rules: []groupRule{
		{Protocol: "-1", Peer: id + "/" + account, Kind: "group"},
		{Egress: true, Protocol: "-1", Peer: "0.0.0.0/0", Kind: "ipv4"},
	}}
}

func noGroup(id string) error {
	return apiError("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
}

func (s *ec2State) group(id string) *securityGroup {
	for _, v := range s.VPCs {
		for _, g := range v.Groups {
			if g.ID == id {
				return g
			}
		}
	}
	return nil
}

func describeSecurityGroups(c *call, in *ec2.DescribeSecurityGroupsInput) (*ec2.DescribeSecurityGroupsOutput, error) {
	page, next, err := within(c, in.GroupIds, noGroup, in.Filters, in.MaxResults, in.NextToken,
		func(v *vpc) []*securityGroup { return v.Groups }, func(g *securityGroup) string { return g.ID },
		func(g *securityGroup) map[string][]string {
			if g == nil {
				g = &securityGroup{}
			}
			return map[string][]string{"group-name": {g.Name}, "group-id": {g.ID}}
		})
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeSecurityGroupsOutput{SecurityGroups: []types.SecurityGroup{}, NextToken: next}
	for _, g := range page {
		out.SecurityGroups = append(out.SecurityGroups, types.SecurityGroup{
			GroupId: aws.String(g.thing.ID), GroupName: aws.String(g.thing.Name), Description: aws.String(g.thing.Description),
			VpcId: aws.String(g.vpc.ID), OwnerId: aws.String(c.caller.Account), SecurityGroupArn: aws.String(c.arn("ec2", "security-group/"+g.thing.ID)),
			IpPermissions: permissionsOf(g.thing.Rules, false), IpPermissionsEgress: permissionsOf(g.thing.Rules, true),
		})
	}
	return out, nil
}

// rulesOf takes permissions apart into rules.
func rulesOf(permissions []types.IpPermission, egress bool) []groupRule {
	var out []groupRule
	for _, p := range permissions {
		r := groupRule{Egress: egress, Protocol: aws.ToString(p.IpProtocol), From: aws.ToInt32(p.FromPort), To: aws.ToInt32(p.ToPort)}
		add := func(kind, peer string) { r.Kind, r.Peer = kind, peer; out = append(out, r) }
		for _, x := range p.IpRanges {
			add("ipv4", aws.ToString(x.CidrIp))
		}
		for _, x := range p.Ipv6Ranges {
			add("ipv6", aws.ToString(x.CidrIpv6))
		}
		for _, x := range p.PrefixListIds {
			add("prefix-list", aws.ToString(x.PrefixListId))
		}
		for _, x := range p.UserIdGroupPairs {
			add("group", aws.ToString(x.GroupId)+"/"+aws.ToString(x.UserId))
		}
	}
	return out
}

// permissionsOf puts rules together by protocol and ports, as EC2 describes them.
func permissionsOf(rules []groupRule, egress bool) []types.IpPermission {
	out := []types.IpPermission{}
	for _, r := range rules {
		if r.Egress != egress {
			continue
		}
		i := slices.IndexFunc(out, func(p types.IpPermission) bool {
			return aws.ToString(p.IpProtocol) == r.Protocol && aws.ToInt32(p.FromPort) == r.From && aws.ToInt32(p.ToPort) == r.To
		})
		if i < 0 {
			p := types.IpPermission{IpProtocol: aws.String(r.Protocol)}
			if r.Protocol != "-1" {
				p.FromPort, p.ToPort = aws.Int32(r.From), aws.Int32(r.To)
			}
			out = append(out, p)
			i = len(out) - 1
		}
		switch r.Kind {
		case "ipv4":
			out[i].IpRanges = append(out[i].IpRanges, types.IpRange{CidrIp: aws.String(r.Peer)})
		case "ipv6":
			out[i].Ipv6Ranges = append(out[i].Ipv6Ranges, types.Ipv6Range{CidrIpv6: aws.String(r.Peer)})
		case "prefix-list":
			out[i].PrefixListIds = append(out[i].PrefixListIds, types.PrefixListId{PrefixListId: aws.String(r.Peer)})
		case "group":
			id, owner := r.Peer[:len(r.Peer)-13], r.Peer[len(r.Peer)-12:] // id/account
			out[i].UserIdGroupPairs = append(out[i].UserIdGroupPairs, types.UserIdGroupPair{GroupId: aws.String(id), UserId: aws.String(owner)})
		}
	}
	return out
}

func createSecurityGroup(c *call, in *ec2.CreateSecurityGroupInput) (*ec2.CreateSecurityGroupOutput, error) {
	s := c.ec2()
	v := s.vpc(aws.ToString(in.VpcId))
	if in.VpcId == nil {
		for _, x := range s.VPCs {
			if x.Default {
				v = x
			}
		}
	}
	if v == nil {
		return nil, noVPC(aws.ToString(in.VpcId))
	}
	name := aws.ToString(in.GroupName)
	if slices.ContainsFunc(v.Groups, func(g *securityGroup) bool { return g.Name == name }) {
		return nil, apiError("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, v.ID)
	}
	g := &securityGroup{
		ID: "sg-" + c.w.id(17), Name: name, Description: aws.ToString(in.Description),
		Rules: []groupRule{{Egress: true, Protocol: "-1", Peer: "0.0.0.0/0", Kind: "ipv4"}},
	}
	v.Groups = append(v.Groups, g)
	return &ec2.CreateSecurityGroupOutput{GroupId: aws.String(g.ID), SecurityGroupArn: aws.String(c.arn("ec2", "security-group/"+g.ID))}, nil
}

func authorizeIngress(c *call, in *ec2.AuthorizeSecurityGroupIngressInput) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	g := c.ec2().group(aws.ToString(in.GroupId))
	if g == nil {
		return nil, noGroup(aws.ToString(in.GroupId))
	}
	permissions := in.IpPermissions
	if in.CidrIp != nil {
		permissions = append(permissions, types.IpPermission{
			IpProtocol: in.IpProtocol, FromPort: in.FromPort, ToPort: in.ToPort, IpRanges: []types.IpRange{{CidrIp: in.CidrIp}},
		})
	}
	for _, r := range rulesOf(permissions, false) {
		if r.Kind == "group" && r.Peer[len(r.Peer)-1] == '/' {
			r.Peer += c.caller.Account
		}
		if slices.Contains(g.Rules, r) {
			return nil, apiError("InvalidPermission.Duplicate", "the specified rule \"peer: %s, %s, from port: %d, to port: %d, ALLOW\" already exists", r.Peer, r.Protocol, r.From, r.To)
		}
		g.Rules = append(g.Rules, r)
	}
	c.evaluateRules() // what is recorded is evaluated
	return &ec2.AuthorizeSecurityGroupIngressOutput{Return: aws.Bool(true)}, nil
}

// revoke takes rules away, all of which must be there.
func revoke(c *call, group *string, rules []groupRule) error {
	g := c.ec2().group(aws.ToString(group))
	if g == nil {
		return noGroup(aws.ToString(group))
	}
	for _, r := range rules {
		if !slices.Contains(g.Rules, r) {
			return apiError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
	}
	g.Rules = slices.DeleteFunc(g.Rules, func(r groupRule) bool { return slices.Contains(rules, r) })
	return nil
}

func revokeIngress(c *call, in *ec2.RevokeSecurityGroupIngressInput) (*ec2.RevokeSecurityGroupIngressOutput, error) {
	permissions := in.IpPermissions
	if in.CidrIp != nil {
		permissions = append(permissions, types.IpPermission{
			IpProtocol: in.IpProtocol, FromPort: in.FromPort, ToPort: in.ToPort, IpRanges: []types.IpRange{{CidrIp: in.CidrIp}},
		})
	}
	if err := revoke(c, in.GroupId, rulesOf(permissions, false)); err != nil {
		return nil, err
	}
	return &ec2.RevokeSecurityGroupIngressOutput{Return: aws.Bool(true)}, nil
}

func revokeEgress(c *call, in *ec2.RevokeSecurityGroupEgressInput) (*ec2.RevokeSecurityGroupEgressOutput, error) {
	if err := revoke(c, in.GroupId, rulesOf(in.IpPermissions, true)); err != nil {
		return nil, err
	}
	return &ec2.RevokeSecurityGroupEgressOutput{Return: aws.Bool(true)}, nil
}

// openTo says whether a rule lets anybody on the internet in on a port.
func (r groupRule) openTo(port int32) bool {
	return !r.Egress && (r.Peer == "0.0.0.0/0" || r.Peer == "::/0") &&
		(r.Protocol == "-1" || (r.Protocol == "tcp" || r.Protocol == "6") && r.From <= port && port <= r.To)
}
