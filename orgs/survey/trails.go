package survey

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
)

// trails lists the organization's trails, as they show in the caller's account:
// one of the whole organization shows in all of its accounts, and one of all
// Regions in all of those.
func (v viewer) trails(ctx context.Context) ([]Trail, error) {
	out, err := v.pool.CloudTrail.DescribeTrails(ctx, &cloudtrail.DescribeTrailsInput{IncludeShadowTrails: aws.Bool(true)}, v.pool.Home(v.o.Home).CloudTrail)
	if err != nil {
		return nil, fmt.Errorf("list the trails: %w", err)
	}
	var trails []Trail
	for _, t := range out.TrailList {
		if aws.ToBool(t.IsOrganizationTrail) {
			trails = append(trails, Trail{
				Name: aws.ToString(t.Name), Home: aws.ToString(t.HomeRegion), Bucket: aws.ToString(t.S3BucketName), MultiRegion: aws.ToBool(t.IsMultiRegionTrail),
			})
		}
	}
	return trails, nil
}
