package access

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/configservice"

	"github.com/orgguard/orgguard/orgs"
)

// benchPlaces are where the benchmarks call from, in turn.
func benchPlaces() (accounts []orgs.AccountID, regions []string) {
	return []orgs.AccountID{"200000000001", shopProd, "310000000001", legacyLab}, partition.Default
}

// BenchmarkCall is a call through the pool: one client, and credentials and Region
// as options of the call.
func BenchmarkCall(b *testing.B) {
	p := newPool(b, demo(b).ManagementConfig("us-east-1"))
	accounts, regions := benchPlaces()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at := p.In(partition, accounts[i%len(accounts)], regions[i%len(regions)])
		if _, err := p.Config.DescribeConfigurationRecorders(b.Context(), &configservice.DescribeConfigurationRecordersInput{}, at.Config); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkCallWithItsOwnClient is the same call from a client made for it, with
// the same credentials, as a client for each account × Region × service would be.
func BenchmarkCallWithItsOwnClient(b *testing.B) {
	p := newPool(b, demo(b).ManagementConfig("us-east-1"))
	accounts, regions := benchPlaces()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		at := p.In(partition, accounts[i%len(accounts)], regions[i%len(regions)])
		cfg := p.base.Copy()
		cfg.Region, cfg.Credentials = at.Region, at.creds
		if _, err := configservice.NewFromConfig(cfg).DescribeConfigurationRecorders(b.Context(), &configservice.DescribeConfigurationRecordersInput{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
