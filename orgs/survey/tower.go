package survey

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/controltower"
	"github.com/aws/aws-sdk-go-v2/service/controltower/types"

	"github.com/orgguard/orgguard/orgs"
)

// towerService is Control Tower's service principal.
const towerService = "controltower.amazonaws.com"

// landingZone looks for Control Tower's landing zone. Only its home Region tells:
// ours is asked first, and the others only where Control Tower has trusted access.
func (v viewer) landingZone(ctx context.Context, trusted bool) (*LandingZone, error) {
	regions := []string{v.o.Home}
	if trusted {
		for _, r := range v.org.Partition.Default {
			if r != v.o.Home {
				regions = append(regions, r)
			}
		}
	}
	var first error
	for _, found := range orgs.ForEach(ctx, regions, len(regions), v.zoneIn) {
		if found.Err == nil && found.Value != nil {
			return found.Value, nil
		}
		if first == nil {
			first = found.Err
		}
	}
	return nil, first
}

// zoneIn is the landing zone whose home is this Region.
func (v viewer) zoneIn(ctx context.Context, region string) (*LandingZone, error) {
	at := v.pool.Home(region)
	list, err := v.pool.ControlTower.ListLandingZones(ctx, &controltower.ListLandingZonesInput{}, at.ControlTower)
	if err != nil {
		return nil, fmt.Errorf("list AWS Control Tower's landing zone in %s: %w", region, err)
	}
	if len(list.LandingZones) == 0 {
		return nil, nil
	}
	arn := list.LandingZones[0].Arn
	got, err := v.pool.ControlTower.GetLandingZone(ctx, &controltower.GetLandingZoneInput{LandingZoneIdentifier: arn}, at.ControlTower)
	if err != nil {
		return nil, fmt.Errorf("read AWS Control Tower's landing zone: %w", err)
	}
	z, err := zoneOf(region, got.LandingZone)
	if err != nil {
		return nil, err
	}
	p := controltower.NewListEnabledBaselinesPaginator(v.pool.ControlTower, &controltower.ListEnabledBaselinesInput{})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, at.ControlTower)
		if err != nil {
			return nil, fmt.Errorf("list AWS Control Tower's enrolled OUs: %w", err)
		}
		for _, b := range page.EnabledBaselines {
			// Baselines lie on accounts too; an OU's ARN ends in its id.
			target := aws.ToString(b.TargetIdentifier)
			id := orgs.NodeID(target[strings.LastIndexByte(target, '/')+1:])
			if _, ok := v.org.OUs[id]; ok && !slices.Contains(z.Enrolled, id) {
				z.Enrolled = append(z.Enrolled, id)
			}
		}
	}
	slices.Sort(z.Enrolled)
	return z, nil
}

// manifest is the part of a landing zone's manifest that matters here.
// https://docs.aws.amazon.com/controltower/latest/userguide/lz-api-launch.html
type manifest struct {
	Regions []string `json:"governedRegions"`
	Logging struct {
		Account string `json:"accountId"`
	} `json:"centralizedLogging"`
	Security struct {
		Account string `json:"accountId"`
	} `json:"securityRoles"`
}

func zoneOf(region string, d *types.LandingZoneDetail) (*LandingZone, error) {
	z := &LandingZone{
		Home: region, Version: aws.ToString(d.Version), Latest: aws.ToString(d.LatestAvailableVersion), Status: string(d.Status),
		Drifted: d.DriftStatus != nil && d.DriftStatus.Status == types.LandingZoneDriftStatusDrifted,
	}
	var m manifest
	if d.Manifest != nil {
		// By way of JSON: documents that were made and not received cannot be
		// read into a struct directly.
		b, err := d.Manifest.MarshalSmithyDocument()
		if err == nil {
			err = json.Unmarshal(b, &m)
		}
		if err != nil {
			return nil, fmt.Errorf("read the manifest of AWS Control Tower's landing zone: %w", err)
		}
	}
	z.Regions, z.LogArchive, z.Audit = m.Regions, orgs.AccountID(m.Logging.Account), orgs.AccountID(m.Security.Account)
	slices.Sort(z.Regions)
	return z, nil
}

// counter counts what goroutines have done.
type counter struct{ n atomic.Int64 }

func (c *counter) next() int { return int(c.n.Add(1)) }
