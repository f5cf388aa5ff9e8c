package scp

import "testing"

func TestStarterCasesPass(t *testing.T) {
	region := mustParse(t, `{"Version":"2012-10-17","Statement":[{"Sid":"Regions","Effect":"Deny","NotAction":["iam:*"],"Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":"eu-west-1"}}},
		{"Effect":"Deny","Action":["cloudtrail:StopLogging","s3:Put*"],"Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":["arn:aws:iam::*:role/ops/break \"glass\"","arn:aws:iam::*:role/x*"]}}}]}`)
	for name, s := range map[string]Starter{
		"nothing given": {},
		"own":           {Document: region, PolicyName: "regions", Org: Org{ManagementAccountID: "1", Path: defaultPath(t).Path[:3]}},
		"own file":      {Document: region, PolicyFile: "regions.json", Org: defaultPath(t)},
	} {
		t.Run(name, func(t *testing.T) {
			src, err := StarterCases(s)
			if err != nil {
				t.Fatal(err)
			}
			cases, err := parseCases("starter.yaml", src, func(string) ([]byte, error) { return region.Source(), nil })
			if err != nil {
				t.Fatalf("%v\n%s", err, src)
			}
			report := RunCases(cases)
			if report.Failed > 0 || report.Passed < 5 {
				t.Errorf("%s\n%s", report.Summary(), src)
			}
			denied := 0
			for _, r := range report.Results {
				if r.Got.Kind == KindExplicitDeny {
					denied++
				}
			}
			if denied == 0 {
				t.Error("no case shows a denial")
			}
		})
	}
}
