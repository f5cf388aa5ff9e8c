package access

import (
	"context"
	"errors"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

func TestNoMoreRequestsThanAllowedAreOnTheWire(t *testing.T) {
	for _, tc := range []struct {
		name            string
		inFlight, calls int
		want            int
	}{
		{"three at once", 3, 20, 3},
		{"one at once, though a call needs a role too", 1, 5, 1},
		{"64 unless said otherwise", 0, 80, 64},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var now, most atomic.Int32
				gate := make(chan struct{})
				p := newPool(t, wire{func(ctx context.Context, _, _ string) (int, string) {
					n := now.Add(1)
					defer now.Add(-1)
					for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
					}
					select {
					case <-gate:
					case <-ctx.Done():
					}
					return http.StatusOK, `{}`
				}}.config(), func(o *Options) { o.InFlight = tc.inFlight })
				accounts := []orgs.AccountID{management, shopProd, legacyLab}
				var g sync.WaitGroup
				for i := range tc.calls {
					g.Go(func() {
						if _, err := recorders(t.Context(), p, p.In(partition, accounts[i%3], "us-east-1")); err != nil {
							t.Error(err)
						}
					})
				}
				for left := tc.calls; left > 0; left-- {
					synctest.Wait() // all who may be on the wire are
					if got, want := int(now.Load()), min(tc.want, left); got != want {
						t.Fatalf("with %d left, %d are on the wire, want %d", left, got, want)
					}
					gate <- struct{}{}
				}
				g.Wait()
				if int(most.Load()) != tc.want {
					t.Errorf("%d at once, want %d", most.Load(), tc.want)
				}
			})
		})
	}
}

func TestAFailedRequestGivesItsPlaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, wire{func(context.Context, string, string) (int, string) {
			return http.StatusBadRequest, `{"__type":"ValidationException","message":"no"}`
		}}.config(), func(o *Options) { o.InFlight = 1 })
		for range 3 {
			if _, err := recorders(t.Context(), p, p.Home("us-east-1")); code(err) != "ValidationException" {
				t.Fatal(err)
			}
		}
	})
}

func listOUs(t *testing.T, p *Pool, n int) time.Duration {
	t.Helper()
	begin := time.Now()
	var g sync.WaitGroup
	for range n {
		g.Go(func() {
			if _, err := p.Organizations.ListOrganizationalUnitsForParent(t.Context(), &organizations.ListOrganizationalUnitsForParentInput{ParentId: aws.String("r-demo")}, p.Home("us-east-1").Organizations); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	return time.Since(begin)
}

func TestSlowAPIsAreHeldToTheirRates(t *testing.T) {
	limited := func(o *Options) { o.NoRateLimits = false }
	t.Run("what the bucket holds goes at once and the rest at the rate", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, demo(t).ManagementConfig("us-east-1"), limited)
			if !p.RateLimits() {
				t.Error("the pool does not say that it keeps the rates")
			}
			if took := listOUs(t, p, 8); took != 0 {
				t.Errorf("8 calls took %s, and the bucket holds 8", took)
			}
			if took := listOUs(t, p, 10); took.Round(time.Millisecond) != 2*time.Second {
				t.Errorf("10 more took %s, want 2s at 5 a second", took)
			}
		})
	})
	t.Run("without rates nothing waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, demo(t).ManagementConfig("us-east-1"))
			if p.RateLimits() {
				t.Error("the pool says that it keeps the rates")
			}
			if took := listOUs(t, p, 100); took != 0 {
				t.Errorf("took %s", took)
			}
		})
	})
	t.Run("operations of other rows have buckets of their own", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, demo(t).ManagementConfig("us-east-1"), limited)
			listOUs(t, p, 8)
			begin := time.Now()
			for range 12 {
				if _, err := p.Organizations.ListAccounts(t.Context(), &organizations.ListAccountsInput{}, p.Home("us-east-1").Organizations); err != nil {
					t.Fatal(err)
				}
			}
			if took := time.Since(begin); took != 0 {
				t.Errorf("took %s", took)
			}
		})
	})
	t.Run("operations of one row share a bucket", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, demo(t).ManagementConfig("us-east-1"), limited)
			home := p.Home("us-east-1").Organizations
			begin := time.Now()
			// The bucket holds 3 at 2 a second; that the calls fail is no matter.
			_, _ = p.Organizations.DeletePolicy(t.Context(), &organizations.DeletePolicyInput{PolicyId: aws.String("p-00000001")}, home)
			_, _ = p.Organizations.AttachPolicy(t.Context(), &organizations.AttachPolicyInput{PolicyId: aws.String("p-00000001"), TargetId: aws.String("r-demo")}, home)
			_, _ = p.Organizations.DetachPolicy(t.Context(), &organizations.DetachPolicyInput{PolicyId: aws.String("p-00000001"), TargetId: aws.String("r-demo")}, home)
			if took := time.Since(begin); took != 0 {
				t.Errorf("the first three took %s", took)
			}
			_, _ = p.Organizations.DeletePolicy(t.Context(), &organizations.DeletePolicyInput{PolicyId: aws.String("p-00000001")}, home)
			if took := time.Since(begin); took.Round(time.Millisecond) != 500*time.Millisecond {
				t.Errorf("the fourth came after %s, want 500ms", took)
			}
		})
	})
	t.Run("who waits for a rate holds no place", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPool(t, demo(t).ManagementConfig("us-east-1"), limited, func(o *Options) { o.InFlight = 1 })
			var g sync.WaitGroup
			g.Go(func() { listOUs(t, p, 20) })
			synctest.Wait() // 12 of them wait
			begin := time.Now()
			if _, err := recorders(t.Context(), p, p.Home("us-east-1")); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took != 0 {
				t.Errorf("another call waited for %s", took)
			}
			g.Wait()
		})
	})
}

func TestQuotasNameRealOperations(t *testing.T) {
	client := reflect.TypeFor[*organizations.Client]()
	seen := map[string]bool{}
	for _, q := range Quotas {
		if q.Service != "organizations" || q.PerSecond <= 0 || q.Burst < 1 || !strings.HasPrefix(q.Source, "https://docs.aws.amazon.com/") {
			t.Errorf("got %+v", q)
		}
		for _, op := range q.Operations {
			if _, ok := client.MethodByName(op); !ok {
				t.Errorf("Organizations has no %s", op)
			}
			if seen[op] {
				t.Errorf("%s has two rates", op)
			}
			seen[op] = true
		}
	}
}

// fill sets everything in a request that the SDK's validation may want.
func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		if depth > 0 {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			fill(v.Elem(), depth-1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), depth-1)
			}
		}
	case reflect.Slice:
		if depth > 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			fill(v.Index(0), depth-1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.String:
		v.SetString("x")
	}
}

// noAction are operations without an action that the reference data know: newer
// than these are, with two actions, or of features that orgguard has no use for.
// One that orgguard comes to use belongs into actionNames.
var noAction = []string{
	"cloudtrail:ListInsightsMetricData", "cloudwatch:*DatasetKmsKey", "cloudwatch:*ResourceMetricsConfiguration", "cloudwatch:DescribeAlarmContributors",
	"cloudwatch:UpdateOTelEnrichment", "logs:GetLogObject", "ec2:*CapacityReservationDateChangeQuote*", "ec2:*ClientVpnEndpointAuthorizationPolicy",
	"ec2:*TransitGatewayAttachmentNatConfiguration", "ec2:GetCapacityManagerSupportabilityScores", "ec2:GetImageFindings", "iam:AcquireRole", "iam:UpdateDelegationRequest", "kms:Decapsulate", "kms:Encapsulate", "kms:ReEncrypt",
	"lambda:GetLayerVersionByArn", "lambda:InvokeWithResponseStream", "s3:*Accelerate*", "s3:*Analytics*", "s3:*Cors", "s3:*IntelligentTiering*", "s3:*Inventory*", "s3:*Metadata*", "s3:*Metrics*", "s3:*Multipart*",
	"s3:*Part*", "s3:CopyObject", "s3:CreateSession", "s3:ListDirectoryBuckets", "s3:RenameObject", "s3:SelectObjectContent", "s3:WriteGetObjectResponse",
}

// Every operation of every client is begun, and ends before anything is sent.
func TestEveryOperationHasAnActionThatIAMKnows(t *testing.T) {
	ref, err := scp.LoadReference()
	if err != nil {
		t.Fatal(err)
	}
	cfg := demo(t).ManagementConfig("us-east-1")
	p := newPool(t, cfg)
	enough := errors.New("enough")
	stop := func(s *middleware.Stack) error {
		return s.Initialize.Add(middleware.InitializeMiddlewareFunc("Stop", func(context.Context, middleware.InitializeInput, middleware.InitializeHandler) (out middleware.InitializeOutput, meta middleware.Metadata, err error) {
			return out, meta, enough
		}), middleware.After)
	}
	pool, clients, operations := reflect.ValueOf(p).Elem(), 0, 0
	var skipped []string
	for i := range pool.NumField() {
		field := pool.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		clients++
		client := pool.Field(i)
		var unknown []string
		for j := range client.NumMethod() {
			name, m := client.Type().Method(j).Name, client.Method(j)
			if m.Type().NumIn() != 3 || !m.Type().IsVariadic() || m.Type().NumOut() != 2 {
				continue // Options, and what the SDK adds to a client
			}
			before := p.Used()
			options := m.Type().In(2).Elem().In(0)
			stopping := reflect.MakeFunc(reflect.FuncOf([]reflect.Type{options}, nil, false), func(args []reflect.Value) []reflect.Value {
				f := args[0].Elem().FieldByName("APIOptions")
				f.Set(reflect.Append(f, reflect.ValueOf(stop)))
				return nil
			})
			in := reflect.New(m.Type().In(1).Elem())
			fill(in, 10)
			result := m.Call([]reflect.Value{reflect.ValueOf(t.Context()), in, stopping})
			var got []string
			for action, n := range p.Used() {
				if n != before[action] {
					got = append(got, action)
				}
			}
			var invalid smithy.InvalidParamsError
			if err, _ := result[1].Interface().(error); errors.As(err, &invalid) {
				skipped = append(skipped, name) // fill does not know enough of it
				continue
			}
			operations++
			if len(got) != 1 {
				t.Errorf("%s.%s used %q: %v", field.Name, name, got, result[1])
				continue
			}
			known := func(pattern string) bool { ok, _ := path.Match(pattern, got[0]); return ok }
			if len(ref.Expand(got[0])) == 0 && !slices.ContainsFunc(noAction, known) {
				unknown = append(unknown, got[0])
			}
		}
		if len(unknown) > 0 {
			t.Errorf("%s: IAM has no %s", field.Name, strings.Join(unknown, ", "))
		}
	}
	if clients < 12 || operations < 700 || len(skipped) > 40 {
		t.Errorf("%d operations of %d clients were looked at, but not %q", operations, clients, skipped)
	}
}

func TestUsedActionsOfS3HaveTheirOwnNames(t *testing.T) {
	w := demo(t)
	p := newPool(t, w.ManagementConfig("us-east-1"))
	bucket, at := aws.String("a-bucket-of-this-test"), p.Home("us-east-1")
	ctx := t.Context()
	// That the calls fail is no matter: there is no such bucket.
	_, _ = p.S3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: bucket}, at.S3)
	_, _ = p.S3.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: bucket}, at.S3)
	_, _ = p.S3.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: bucket}, at.S3)
	_, _ = p.S3.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: bucket}, at.S3)
	_, _ = p.S3.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket}, at.S3)
	_, _ = p.S3.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket}, at.S3)
	_, _ = p.S3.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket}, at.S3)
	_, _ = p.S3.ListBuckets(ctx, &s3.ListBucketsInput{}, at.S3)
	want := map[string]int{
		"sts:GetCallerIdentity": 1, "s3:ListBucket": 1, "s3:GetEncryptionConfiguration": 1, "s3:GetBucketPublicAccessBlock": 1,
		"s3:PutBucketPublicAccessBlock": 1, "s3:GetLifecycleConfiguration": 1, "s3:GetBucketPolicy": 2, "s3:ListAllMyBuckets": 1,
	}
	if diff := cmp.Diff(want, p.Used()); diff != "" {
		t.Error(diff)
	}
	actions := p.UsedActions()
	if !slices.IsSorted(actions) || len(actions) != len(want) {
		t.Errorf("got %q", actions)
	}
	p.Used()["s3:Nonsense"] = 1
	if len(p.Used()) != len(want) {
		t.Error("the record can be changed from outside")
	}
}
