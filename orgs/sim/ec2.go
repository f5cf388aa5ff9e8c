package sim

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// ec2State is EC2 in one account × Region: the account's defaults, and as much of
// VPCs as it takes to say whether one is in use.
type ec2State struct {
	EncryptByDefault bool                                    `json:"encrypt_by_default,omitempty"`
	Metadata         *types.InstanceMetadataDefaultsResponse `json:"metadata,omitempty"` // nil: no preferences
	// Born says that the default VPC was made, which every account gets in
	// every Region. It is made when somebody first looks.
	Born      bool           `json:"born,omitempty"`
	VPCs      []*vpc         `json:"vpcs,omitempty"`
	Gateways  []*vpcGateway  `json:"gateways,omitempty"`
	Instances []*vpcInstance `json:"instances,omitempty"`
	Peerings  []*vpcPeering  `json:"peerings,omitempty"`
}

// ec2Ops are the operations of EC2. The launch of an instance is there to make a
// VPC one that is in use.
//
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
var ec2Ops = map[string]operation{
	"GetEbsEncryptionByDefault":     op(read, getEbsEncryption),
	"EnableEbsEncryptionByDefault":  op(write, enableEbsEncryption),
	"DisableEbsEncryptionByDefault": op(write, disableEbsEncryption),

	"GetInstanceMetadataDefaults":    op(read, getMetadataDefaults),
	"ModifyInstanceMetadataDefaults": op(write, modifyMetadataDefaults),

	"DescribeVpcs":                  op(read, describeVpcs),
	"DescribeSubnets":               op(read, describeSubnets),
	"DescribeInternetGateways":      op(read, describeInternetGateways),
	"DescribeRouteTables":           op(read, describeRouteTables),
	"DescribeNetworkAcls":           op(read, describeNetworkAcls),
	"DescribeNetworkInterfaces":     op(read, describeNetworkInterfaces),
	"DescribeInstances":             op(read, describeInstances),
	"DescribeVpcEndpoints":          op(read, describeVpcEndpoints),
	"DescribeVpcPeeringConnections": op(read, describeVpcPeerings),
	"DescribeVpnGateways":           op(read, describeVpnGateways),

	"CreateDefaultVpc":           op(write, createDefaultVpc),
	"CreateTags":                 op(write, createTags),
	"CreateNetworkInterface":     op(write, createNetworkInterface),
	"CreateVpcEndpoint":          op(write, createVpcEndpoint),
	"CreateVpcPeeringConnection": op(write, createVpcPeering),
	"RunInstances":               op(write, runInstances),
	"TerminateInstances":         op(write, terminateInstances),
	"DeleteVpc":                  on(op(write, deleteVpc), func(c *call, in *ec2.DeleteVpcInput) string { return c.arn("ec2", "vpc/"+aws.ToString(in.VpcId)) }),
	"DeleteSubnet": on(op(write, deleteSubnet), func(c *call, in *ec2.DeleteSubnetInput) string {
		return c.arn("ec2", "subnet/"+aws.ToString(in.SubnetId))
	}),
	"DetachInternetGateway": on(op(write, detachInternetGateway), func(c *call, in *ec2.DetachInternetGatewayInput) string {
		return c.arn("ec2", "internet-gateway/"+aws.ToString(in.InternetGatewayId))
	}),
	"DeleteInternetGateway": on(op(write, deleteInternetGateway), func(c *call, in *ec2.DeleteInternetGatewayInput) string {
		return c.arn("ec2", "internet-gateway/"+aws.ToString(in.InternetGatewayId))
	}),

	"DescribeSecurityGroups": op(read, describeSecurityGroups),
	"CreateSecurityGroup":    op(write, createSecurityGroup),
	"AuthorizeSecurityGroupIngress": on(op(write, authorizeIngress), func(c *call, in *ec2.AuthorizeSecurityGroupIngressInput) string {
		return c.arn("ec2", "security-group/"+aws.ToString(in.GroupId))
	}),
	"RevokeSecurityGroupIngress": on(op(write, revokeIngress), func(c *call, in *ec2.RevokeSecurityGroupIngressInput) string {
		return c.arn("ec2", "security-group/"+aws.ToString(in.GroupId))
	}),
	"RevokeSecurityGroupEgress": on(op(write, revokeEgress), func(c *call, in *ec2.RevokeSecurityGroupEgressInput) string {
		return c.arn("ec2", "security-group/"+aws.ToString(in.GroupId))
	}),
}

func getEbsEncryption(c *call, _ *ec2.GetEbsEncryptionByDefaultInput) (*ec2.GetEbsEncryptionByDefaultOutput, error) {
	return &ec2.GetEbsEncryptionByDefaultOutput{EbsEncryptionByDefault: aws.Bool(c.here().EC2.EncryptByDefault)}, nil
}

func enableEbsEncryption(c *call, _ *ec2.EnableEbsEncryptionByDefaultInput) (*ec2.EnableEbsEncryptionByDefaultOutput, error) {
	c.here().EC2.EncryptByDefault = true
	return &ec2.EnableEbsEncryptionByDefaultOutput{EbsEncryptionByDefault: aws.Bool(true)}, nil
}

func disableEbsEncryption(c *call, _ *ec2.DisableEbsEncryptionByDefaultInput) (*ec2.DisableEbsEncryptionByDefaultOutput, error) {
	c.here().EC2.EncryptByDefault = false
	return &ec2.DisableEbsEncryptionByDefaultOutput{EbsEncryptionByDefault: aws.Bool(false)}, nil
}

// getMetadataDefaults gives an empty answer where nobody has a preference.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetInstanceMetadataDefaults.html
func getMetadataDefaults(c *call, _ *ec2.GetInstanceMetadataDefaultsInput) (*ec2.GetInstanceMetadataDefaultsOutput, error) {
	level := types.InstanceMetadataDefaultsResponse{ManagedBy: types.ManagedByAccount}
	if m := c.here().EC2.Metadata; m != nil {
		level = detach(*m)
	}
	return &ec2.GetInstanceMetadataDefaultsOutput{AccountLevel: &level}, nil
}

// modifyMetadataDefaults changes what the call names; "no-preference" and a hop
// limit of -1 take a preference back. Where a declarative policy of the
// organization manages the defaults, the account cannot.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyInstanceMetadataDefaults.html
func modifyMetadataDefaults(c *call, in *ec2.ModifyInstanceMetadataDefaultsInput) (*ec2.ModifyInstanceMetadataDefaultsOutput, error) {
	s := &c.here().EC2
	m := types.InstanceMetadataDefaultsResponse{ManagedBy: types.ManagedByAccount}
	if s.Metadata != nil {
		m = *s.Metadata
	}
	if m.ManagedBy == types.ManagedByDeclarativePolicy {
		return nil, apiError("DeclarativePolicyViolation", "This functionality has been disabled by a Declarative Policy. %s", aws.ToString(m.ManagedExceptionMessage))
	}
	if hops := in.HttpPutResponseHopLimit; hops != nil {
		switch {
		case *hops == -1:
			m.HttpPutResponseHopLimit = nil
		case *hops < 1 || *hops > 64:
			return nil, apiError("InvalidParameterValue", "Value (%d) for parameter HttpPutResponseHopLimit is invalid.", *hops)
		default:
			m.HttpPutResponseHopLimit = aws.Int32(*hops)
		}
	}
	prefer(in.HttpTokens, &m.HttpTokens)
	prefer(in.HttpTokensEnforced, &m.HttpTokensEnforced)
	prefer(in.HttpEndpoint, &m.HttpEndpoint)
	prefer(in.InstanceMetadataTags, &m.InstanceMetadataTags)
	if m.HttpTokensEnforced == types.HttpTokensEnforcedStateEnabled && m.HttpTokens != types.HttpTokensStateRequired {
		return nil, apiError("InvalidParameterCombination", "HttpTokensEnforced can be enabled only with HttpTokens required.")
	}
	s.Metadata = &m
	return &ec2.ModifyInstanceMetadataDefaultsOutput{Return: aws.Bool(true)}, nil
}

// prefer sets a preference, or takes it back.
func prefer[A, B ~string](want A, have *B) {
	switch want {
	case "":
	case "no-preference":
		*have = ""
	default:
		*have = B(want)
	}
}

// passes says whether a thing passes the filters of a Describe call. values gives
// the thing's values of the filters that the call knows.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Filter.html
func passes(filters []types.Filter, values map[string][]string) (bool, error) {
	for _, f := range filters {
		have, known := values[aws.ToString(f.Name)]
		if !known {
			return false, apiError("InvalidParameterValue", "The filter '%s' is invalid", aws.ToString(f.Name))
		}
		if !slices.ContainsFunc(f.Values, func(v string) bool { return slices.Contains(have, v) }) {
			return false, nil
		}
	}
	return true, nil
}

// listing is what every Describe call of EC2 does: it takes those with the given
// ids, all of which must exist, and of these those that pass the filters.
type listing[T any] struct {
	ids     []string
	missing func(id string) error
	filters []types.Filter
	max     *int32
	token   *string

	id     func(T) string
	values func(T) map[string][]string
}

func (l listing[T]) of(c *call, all []T) (page []T, next *string, err error) {
	for _, id := range l.ids {
		if !slices.ContainsFunc(all, func(t T) bool { return l.id(t) == id }) {
			return nil, nil, l.missing(id)
		}
	}
	kept := []T{}
	for _, t := range all {
		if len(l.ids) > 0 && !slices.Contains(l.ids, l.id(t)) {
			continue
		}
		ok, err := passes(l.filters, l.values(t))
		if err != nil {
			return nil, nil, err
		}
		if ok {
			kept = append(kept, t)
		}
	}
	if len(all) == 0 { // an unknown filter is one even where there is nothing to filter
		var none T
		if _, err := passes(l.filters, l.values(none)); err != nil {
			return nil, nil, err
		}
	}
	limit := 1000
	if l.max != nil {
		limit = int(*l.max)
	}
	page, next, ok := pageOf(c, kept, limit, l.token)
	if !ok {
		return nil, nil, apiError("InvalidNextToken", "The token '%s' is invalid", aws.ToString(l.token))
	}
	return page, next, nil
}
