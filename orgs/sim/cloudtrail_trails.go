package sim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
)

// describeTrails shows the organization's trail, when one is logging, as every
// account of the organization sees it.
func describeTrails(c *call, in *cloudtrail.DescribeTrailsInput) (*cloudtrail.DescribeTrailsOutput, error) {
	out := &cloudtrail.DescribeTrailsOutput{TrailList: []types.Trail{}}
	o := &c.w.state.Org
	const name = "organization-trail"
	home := c.w.globalRegion()
	shadow := c.region != home || c.caller.Account != o.ManagementAccount
	if !c.w.state.TrailLogging || shadow && in.IncludeShadowTrails != nil && !*in.IncludeShadowTrails {
		return out, nil
	}
	out.TrailList = append(out.TrailList, types.Trail{
		Name: aws.String(name), HomeRegion: aws.String(home), IsMultiRegionTrail: aws.Bool(true), IsOrganizationTrail: aws.Bool(true),
		IncludeGlobalServiceEvents: aws.Bool(true), S3BucketName: aws.String("aws-cloudtrail-logs-" + o.ManagementAccount),
		TrailARN: aws.String("arn:" + c.w.state.Partition + ":cloudtrail:" + home + ":" + o.ManagementAccount + ":trail/" + name),
	})
	return out, nil
}
