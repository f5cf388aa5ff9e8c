package sim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/controltower"
	towerdoc "github.com/aws/aws-sdk-go-v2/service/controltower/document"
	"github.com/aws/aws-sdk-go-v2/service/controltower/types"
)

// controltowerOps are the reads that tell what a landing zone governs. Setting
// one up, and enrolling OUs in it, is the scenario's.
var controltowerOps = map[string]operation{
	"ListLandingZones":     op(read, listLandingZones),
	"GetLandingZone":       op(read, getLandingZone),
	"ListEnabledBaselines": op(read, listEnabledBaselines),
}

// Names that AWS Control Tower gives.
// https://docs.aws.amazon.com/controltower/latest/userguide/roles-how.html
const (
	controlTowerService   = "controltower.amazonaws.com"
	controlTowerRole      = "AWSControlTowerExecution"
	controlTowerRecorder  = "aws-controltower-BaselineConfigRecorder"
	controlTowerChannel   = "aws-controltower-BaselineConfigDeliveryChannel"
	controlTowerBaseline  = "17BSJV3IGJ2QSGA2" // AWSControlTowerBaseline
	controlTowerGuardrail = `{"Version":"2012-10-17","Statement":[{"Sid":"GRCONFIGENABLED","Effect":"Deny","Action":[` +
		`"config:DeleteConfigurationRecorder","config:DeleteDeliveryChannel","config:DeleteRetentionConfiguration","config:PutConfigurationRecorder",` +
		`"config:PutDeliveryChannel","config:PutRetentionConfiguration","config:StopConfigurationRecorder"],"Resource":["*"],` +
		`"Condition":{"ArnNotLike":{"aws:PrincipalARN":"arn:*:iam::*:role/AWSControlTowerExecution"}}}]}`
)

// landingZone is the organization's landing zone.
type landingZone struct {
	ID         string   `json:"id"`
	Version    string   `json:"version"`
	Latest     string   `json:"latest"`
	Home       string   `json:"home"`
	Regions    []string `json:"regions"`
	LogArchive string   `json:"log_archive"`
	Audit      string   `json:"audit"`
	Units      []string `json:"units"` // enrolled OUs
}

func (w *World) landingZoneARN(z *landingZone) string {
	return "arn:" + w.state.Partition + ":controltower:" + z.Home + ":" + w.state.Org.ManagementAccount + ":landingzone/" + z.ID
}

// zone is the landing zone as the caller may see it: in its home Region, from
// the management account.
func (c *call) zone() (*landingZone, error) {
	if c.caller.Account != c.w.state.Org.ManagementAccount {
		return nil, accessDenied("AWS Control Tower could not complete the operation: call it from the management account.")
	}
	if z := c.w.state.Org.LandingZone; z != nil && z.Home == c.region {
		return z, nil
	}
	return nil, nil
}

func listLandingZones(c *call, _ *controltower.ListLandingZonesInput) (*controltower.ListLandingZonesOutput, error) {
	z, err := c.zone()
	if err != nil {
		return nil, err
	}
	out := &controltower.ListLandingZonesOutput{LandingZones: []types.LandingZoneSummary{}}
	if z != nil {
		out.LandingZones = append(out.LandingZones, types.LandingZoneSummary{Arn: aws.String(c.w.landingZoneARN(z))})
	}
	return out, nil
}

// getLandingZone describes the landing zone.
// https://docs.aws.amazon.com/controltower/latest/APIReference/API_GetLandingZone.html
func getLandingZone(c *call, in *controltower.GetLandingZoneInput) (*controltower.GetLandingZoneOutput, error) {
	z, err := c.zone()
	switch {
	case err != nil:
		return nil, err
	case z == nil || aws.ToString(in.LandingZoneIdentifier) != c.w.landingZoneARN(z):
		return nil, &types.ResourceNotFoundException{Message: aws.String("The landing zone does not exist.")}
	}
	return &controltower.GetLandingZoneOutput{LandingZone: &types.LandingZoneDetail{
		Arn: in.LandingZoneIdentifier, Version: aws.String(z.Version), LatestAvailableVersion: aws.String(z.Latest), Status: types.LandingZoneStatusActive,
		DriftStatus: &types.LandingZoneDriftStatusSummary{Status: types.LandingZoneDriftStatusInSync},
		Manifest: towerdoc.NewLazyDocument(map[string]any{
			"governedRegions":    z.Regions,
			"centralizedLogging": map[string]any{"accountId": z.LogArchive, "enabled": true},
			"securityRoles":      map[string]any{"accountId": z.Audit},
			"accessManagement":   map[string]any{"enabled": true},
		}),
	}}, nil
}

func listEnabledBaselines(c *call, in *controltower.ListEnabledBaselinesInput) (*controltower.ListEnabledBaselinesOutput, error) {
	z, err := c.zone()
	if err != nil {
		return nil, err
	}
	all := []types.EnabledBaselineSummary{}
	if z != nil {
		arn := "arn:" + c.w.state.Partition + ":controltower:" + z.Home + ":" + c.w.state.Org.ManagementAccount + ":enabledbaseline/"
		for _, unit := range z.Units {
			all = append(all, types.EnabledBaselineSummary{
				Arn: aws.String(arn + "XO" + lastSegment(unit)), BaselineIdentifier: aws.String("arn:" + c.w.state.Partition + ":controltower:" + z.Home + "::baseline/" + controlTowerBaseline),
				BaselineVersion: aws.String("4.0"), TargetIdentifier: aws.String(c.w.orgARN("ou", unit)),
				StatusSummary: &types.EnablementStatusSummary{Status: types.EnablementStatusSucceeded},
			})
		}
	}
	limit := 100
	if in.MaxResults != nil {
		limit = int(*in.MaxResults)
	}
	page, next, ok := pageOf(c, all, limit, in.NextToken)
	if !ok {
		return nil, &types.ValidationException{Message: aws.String("Invalid NextToken")}
	}
	return &controltower.ListEnabledBaselinesOutput{EnabledBaselines: page, NextToken: next}, nil
}

// LandingZoneSpec is AWS Control Tower as it was set up before: its landing zone,
// and in the accounts of the enrolled OUs its execution role, its recorder with
// channel in every governed Region, and its guardrail on AWS Config.
type LandingZoneSpec struct {
	Version    string   `yaml:"version"`     // "3.3" unless given
	Latest     string   `yaml:"latest"`      // the version unless given
	HomeRegion string   `yaml:"home_region"` // the first of Regions unless given
	Regions    []string `yaml:"regions"`     // governed
	LogArchive string   `yaml:"log_archive"` // account by name or id
	Audit      string   `yaml:"audit"`
	Enrolled   []string `yaml:"enrolled"` // OUs by their path from the root
}

// landing sets the landing zone up.
func (b *specBuilder) landing() error {
	s := b.spec.ControlTower
	if s == nil {
		return nil
	}
	if len(s.Regions) == 0 {
		return fmt.Errorf("control_tower: give the regions it governs")
	}
	w, o := b.w, &b.w.state.Org
	z := &landingZone{
		ID: "1A2B" + w.id(8), Version: cmp.Or(s.Version, "3.3"), Home: cmp.Or(s.HomeRegion, s.Regions[0]), Regions: slices.Clone(s.Regions),
	}
	z.Latest = cmp.Or(s.Latest, z.Version)
	var err error
	for _, a := range []struct {
		name string
		into *string
	}{{s.LogArchive, &z.LogArchive}, {s.Audit, &z.Audit}} {
		if *a.into, err = b.target(a.name); err != nil {
			return fmt.Errorf("control_tower: %w", err)
		}
	}
	guardrail := &orgPolicy{
		ID: "p-" + w.id(8), Name: "aws-guardrails-" + w.id(6), Description: "AWS Control Tower", Content: controlTowerGuardrail, Type: "SERVICE_CONTROL_POLICY",
	}
	o.putPolicy(guardrail)
	for _, path := range s.Enrolled {
		unit, err := b.target(path)
		if err != nil {
			return fmt.Errorf("control_tower: enrolled: %w", err)
		}
		z.Units = append(z.Units, unit)
	}
	for _, id := range slices.Sorted(maps.Keys(o.Accounts)) {
		if a := o.Accounts[id]; slices.Contains(z.Units, a.Parent) && a.State == "ACTIVE" {
			if err := b.enroll(id, z); err != nil {
				return fmt.Errorf("control_tower: account %s: %w", id, err)
			}
		}
	}
	o.LandingZone = z
	w.setTrustedAccess(controlTowerService, true, b.now)
	w.enableType("SERVICE_CONTROL_POLICY") // Control Tower does so
	for _, unit := range z.Units {
		o.attach(guardrail.ID, unit)
	}
	w.orgChanged()
	return nil
}

// enroll puts into an account what Control Tower's baseline does.
func (b *specBuilder) enroll(account string, z *landingZone) error {
	w := b.w
	w.putRole(account, &role{
		Name: controlTowerRole, Path: "/", Trust: w.trustOf(w.state.Org.ManagementAccount), Created: b.now,
		Attached: []string{"arn:" + w.state.Partition + ":iam::aws:policy/AdministratorAccess"},
	})
	for _, region := range z.Regions {
		if err := b.recorder(account, RecorderSpec{Region: region, Name: controlTowerRecorder, Channel: controlTowerChannel, Recording: true, GlobalTypes: region == z.Home}); err != nil {
			return fmt.Errorf("%s: %w", region, err)
		}
	}
	return nil
}
