package sim

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// What CloudTrail refuses when a trail of the organization is made, until everything it
// needs is there.
func TestAnOrganizationTrailNeedsItsPolicies(t *testing.T) {
	w := newTestWorld(t, "demo")
	w.state.Trails, w.state.Org.Services = nil, nil
	ctx, cfg := t.Context(), w.ManagementConfig("us-east-1")
	trails, buckets, keys := cloudtrail.NewFromConfig(cfg), s3.NewFromConfig(cfg), kms.NewFromConfig(cfg)
	in := &cloudtrail.CreateTrailInput{Name: aws.String("org"), S3BucketName: aws.String("logs-of-the-org"), IsOrganizationTrail: aws.Bool(true), IsMultiRegionTrail: aws.Bool(true)}
	refused := func(want string) {
		t.Helper()
		if _, err := trails.CreateTrail(ctx, in); errorCode(err) != want {
			t.Fatalf("%v; want %s", err, want)
		}
	}
	refused("CloudTrailAccessNotEnabledException")
	if _, err := cloudtrail.NewFromConfig(w.Config("us-east-1", w.RolePrincipal(shopProd, "Admin", "alice"))).CreateTrail(ctx, in); errorCode(err) != "NotOrganizationMasterAccountException" {
		t.Fatalf("a member account: %v", err)
	}
	if _, err := organizations.NewFromConfig(cfg).EnableAWSServiceAccess(ctx, &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(trailService)}); err != nil {
		t.Fatal(err)
	}
	refused("S3BucketDoesNotExistException")
	if _, err := buckets.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: in.S3BucketName}); err != nil {
		t.Fatal(err)
	}
	refused("InsufficientS3BucketPolicyException")
	arn := "arn:aws:cloudtrail:us-east-1:" + w.state.Org.ManagementAccount + ":trail/org"
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":["s3:GetBucketAcl","s3:PutObject"],
"Resource":["arn:aws:s3:::logs-of-the-org","arn:aws:s3:::logs-of-the-org/AWSLogs/*"],"Condition":{"StringEquals":{"aws:SourceArn":"` + arn + `"}}}]}`
	for _, p := range []string{strings.Replace(policy, "trail/org", "trail/other", 1), policy} {
		if _, err := buckets.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: in.S3BucketName, Policy: aws.String(p)}); err != nil {
			t.Fatal(err)
		}
		if p != policy {
			refused("InsufficientS3BucketPolicyException") // it admits another trail
		}
	}
	key, err := keys.CreateKey(ctx, &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	in.KmsKeyId = key.KeyMetadata.Arn
	refused("InsufficientEncryptionPolicyException")
	in.KmsKeyId = nil
	if _, err := trails.CreateTrail(ctx, in); err != nil {
		t.Fatal(err)
	}
	if len(w.loggingTrails(shopProd, "eu-west-1")) > 0 {
		t.Error("a trail logs before it is started")
	}
	if _, err := trails.StartLogging(ctx, &cloudtrail.StartLoggingInput{Name: in.Name}); err != nil {
		t.Fatal(err)
	}
	if len(w.loggingTrails(shopProd, "eu-west-1")) == 0 {
		t.Error("a member account is not in the trail of the organization")
	}
	status, err := trails.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: in.Name})
	if err != nil || !*status.IsLogging || status.LatestDeliveryError != nil {
		t.Errorf("%+v, %v", status, err)
	}
	if _, err := buckets.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: in.S3BucketName}); err != nil {
		t.Fatal(err)
	}
	if status, err = trails.GetTrailStatus(ctx, &cloudtrail.GetTrailStatusInput{Name: in.Name}); err != nil || aws.ToString(status.LatestDeliveryError) != "AccessDenied" {
		t.Errorf("without the bucket's policy: %v, %v", aws.ToString(status.LatestDeliveryError), err)
	}
}

func TestAlarmsOnQueries(t *testing.T) {
	w := newTestWorld(t, "demo")
	c := cloudwatch.NewFromConfig(w.ManagementConfig("us-east-1"))
	for query, want := range map[string]string{
		`SELECT SUM(Refused) FROM SCHEMA("x", Account) GROUP BY Account ORDER BY SUM() DESC`: "",
		`SELECT SUM(Refused) FROM "x"`:                                                      "",
		`SELECT SUM(Refused) FROM SCHEMA("x", Account) GROUP BY Account`:                    "ValidationError", // no ORDER BY
		`SELECT SUM(Refused) FROM SCHEMA("x", Region) GROUP BY Account ORDER BY SUM() DESC`: "ValidationError",
		`SELEKT SUM(Refused) FROM "x"`:                                                      "ValidationError",
	} {
		_, err := c.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{
			AlarmName: aws.String("a"), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold, EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1),
			Metrics: []types.MetricDataQuery{{Id: aws.String("q"), Expression: aws.String(query), Period: aws.Int32(300)}},
		})
		if errorCode(err) != want {
			t.Errorf("%s: %v; want %q", query, err, want)
		}
	}
}
