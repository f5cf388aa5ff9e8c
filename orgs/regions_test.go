package orgs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
)

// sdkPartition is a partition in the SDK's endpoint metadata.
type sdkPartition struct {
	ID          string `json:"id"`
	RegionRegex string `json:"regionRegex"`
	Outputs     struct {
		DNSSuffix string `json:"dnsSuffix"`
	} `json:"outputs"`
	Regions map[string]any `json:"regions"`
}

// sdkPartitions reads the metadata from the SDK's own source, which go test has
// at hand, since it compiled it; there is no exported way.
func sdkPartitions(t *testing.T) map[string]sdkPartition {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2").Output()
	if err != nil {
		t.Skipf("NOT CHECKED against the SDK's metadata: %v", err)
	}
	src, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "internal/endpoints/awsrulesfn/partitions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Partitions []sdkPartition `json:"partitions"`
	}
	if err := json.Unmarshal(src, &file); err != nil {
		t.Fatal(err)
	}
	out := map[string]sdkPartition{}
	for _, p := range file.Partitions {
		out[p.ID] = p
	}
	return out
}

func TestRegionsAreThoseOfTheSDK(t *testing.T) {
	sdk := sdkPartitions(t)
	for _, id := range []string{"aws", "aws-cn", "aws-us-gov"} {
		t.Run(id, func(t *testing.T) {
			p := orgs.PartitionOf("arn:" + id + ":organizations::100000000001:organization/o-demo0guard")
			var want []string
			for r := range sdk[id].Regions {
				if !strings.HasSuffix(r, "-global") {
					want = append(want, r)
				}
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, p.All()); diff != "" {
				t.Errorf("Regions (- in the SDK, + here): %s", diff)
			}
			if p.ID != id || p.DNSSuffix != sdk[id].Outputs.DNSSuffix {
				t.Errorf("got %s with suffix %s, want %s with %s", p.ID, p.DNSSuffix, id, sdk[id].Outputs.DNSSuffix)
			}
			if !p.Has(p.GlobalRegion) || p.NeedsOptIn(p.GlobalRegion) {
				t.Errorf("the global Region %s must be on in every account", p.GlobalRegion)
			}
			pattern := regexp.MustCompile(sdk[id].RegionRegex)
			for _, r := range p.All() {
				if !pattern.MatchString(r) {
					t.Errorf("%s is not named like a Region of %s", r, id)
				}
			}
		})
	}
}

func TestEndpointsOfARegionEndInItsPartitionsSuffix(t *testing.T) {
	for _, id := range []string{"aws", "aws-cn", "aws-us-gov"} {
		p := orgs.PartitionOf("arn:" + id + ":iam::1:root")
		for _, r := range p.All() {
			e, err := configservice.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), configservice.EndpointParameters{Region: aws.String(r)})
			if err != nil {
				t.Fatal(err)
			}
			if want := "config." + r + "." + p.DNSSuffix; e.URI.Host != want {
				t.Errorf("%s: got %s, want %s", r, e.URI.Host, want)
			}
		}
	}
}

func TestPartitionOf(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"an ARN", "arn:aws:organizations::100000000001:organization/o-a", "aws"},
		{"an ARN of China", "arn:aws-cn:organizations::100000000001:organization/o-a", "aws-cn"},
		{"an ARN of GovCloud", "arn:aws-us-gov:organizations::100000000001:organization/o-a", "aws-us-gov"},
		{"a Region", "ap-northeast-1", "aws"},
		{"a Region of China", "cn-northwest-1", "aws-cn"},
		{"a Region of GovCloud", "us-gov-east-1", "aws-us-gov"},
		{"a Region of China too new for the table", "cn-south-9", "aws-cn"},
		{"a Region of GovCloud too new for the table", "us-gov-central-1", "aws-us-gov"},
		{"a Region too new for the table", "eu-west-9", "aws"},
		{"an ARN that names a Region of China in passing", "arn:aws:s3:::cn-north-1", "aws"},
		{"an unknown partition", "arn:aws-mars:iam::1:root", "aws"},
		{"nothing", "", "aws"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := orgs.PartitionOf(tc.in).ID; got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestWhichRegionsAccountsMustOptInto(t *testing.T) {
	p := orgs.PartitionOf("aws")
	if len(p.Default) != 17 || len(p.OptIn) != 17 {
		t.Errorf("%d Regions are on by default and %d are not, want 17 and 17", len(p.Default), len(p.OptIn))
	}
	for region, want := range map[string]bool{
		"us-east-1": false, "ap-northeast-1": false, "ap-northeast-3": false, "sa-east-1": false,
		// The first Region after March 2019, and one that nobody knows yet.
		"ap-east-1": true, "me-south-1": true, "mx-central-1": true, "eu-west-9": true,
	} {
		if got := p.NeedsOptIn(region); got != want {
			t.Errorf("%s: got %v, want %v", region, got, want)
		}
	}
	for _, r := range p.Default {
		if slices.Contains(p.OptIn, r) {
			t.Errorf("%s is in both lists", r)
		}
	}
}

func TestAllDoesNotChangeThePartition(t *testing.T) {
	p := orgs.PartitionOf("aws")
	p.All()[0] = "changed"
	if p.All()[0] == "changed" || p.Default[0] == "changed" {
		t.Error("the table was changed through All")
	}
}

func TestOldRegionsRecordIAM(t *testing.T) {
	p := orgs.PartitionOf("aws")
	for _, r := range p.Default {
		if !orgs.RecordsIAM(r) {
			t.Errorf("%s is older than 2022 and records the global IAM types", r)
		}
	}
	for _, r := range []string{"me-central-1", "eu-central-2", "il-central-1"} {
		if !p.Has(r) || orgs.RecordsIAM(r) {
			t.Errorf("%s is newer than February 2022 and does not record the global IAM types", r)
		}
	}
}
