package stub_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/sim/stub"
)

const (
	management = "100000000001"
	security   = "200000000001"
	model      = "300000000000"
	region     = "us-east-1"
	role       = "OrganizationAccountAccessRole"
)

func newWorld(t *testing.T) *sim.World {
	t.Helper()
	w, err := sim.New(sim.Spec{
		Seed: "stub", Regions: []string{region, "eu-west-1"}, Management: sim.AccountSpec{ID: management, Name: "management"},
		Organization: sim.OrganizationSpec{PolicyTypes: []string{"SERVICE_CONTROL_POLICY"}, TrustedAccess: []string{"member.org.stacksets.cloudformation.amazonaws.com"}},
		Accounts:     []sim.AccountSpec{{ID: security, Name: "security"}},
		OUs: []sim.OUSpec{{Name: "Workloads", Accounts: []sim.AccountSpec{
			{ID: model, Name: "model <&>", Recorders: []sim.RecorderSpec{{Region: region, Name: "default", Recording: true}}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// serve puts the stub in front of a world, and gives the configuration of a
// caller in one of its accounts.
func serve(t *testing.T, w *sim.World, change ...func(*stub.Options)) (*stub.Stub, func(id string) aws.Config) {
	t.Helper()
	o := stub.Options{Management: management, Security: security, Model: model, Accounts: 30}
	for _, f := range change {
		f(&o)
	}
	s, err := stub.New(t.Context(), w, o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, func(id string) aws.Config {
		return aws.Config{
			Region: region, BaseEndpoint: aws.String(srv.URL), Credentials: credentials.NewStaticCredentialsProvider(stub.AccessKey(id), "stub", ""),
			HTTPClient: access.PlainBodies(srv.Client()),
		}
	}
}

// must is for setting the scene up.
func must[T any](out T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["events.amazonaws.com","states.amazonaws.com"]},"Action":"sts:AssumeRole"}]}`

// furnish puts something of each kind into an account and returns the reads that
// find it, as functions of a configuration.
func furnish(t *testing.T, cfg aws.Config) map[string]func(context.Context, aws.Config) (any, error) {
	t.Helper()
	ctx := t.Context()
	name := aws.String("stub-<&>-test")
	plain := aws.String("stub-test")
	events, iams, keys := eventbridge.NewFromConfig(cfg), iam.NewFromConfig(cfg), kms.NewFromConfig(cfg)
	must(events.PutRule(ctx, &eventbridge.PutRuleInput{Name: plain, EventPattern: aws.String(`{"source":["aws.config"],"detail":{"x":[{"anything-but":["<&>"]}]}}`)}))(t)
	must(events.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: plain, Targets: []eventtypes.Target{{
		Id: aws.String("one"), Arn: aws.String("arn:aws:sqs:us-east-1:300000000000:stub-test"),
		InputTransformer: &eventtypes.InputTransformer{InputPathsMap: map[string]string{"who": "$.account"}, InputTemplate: aws.String(`"<who> did it"`)},
	}}}))(t)
	must(iams.CreateRole(ctx, &iam.CreateRoleInput{RoleName: plain, AssumeRolePolicyDocument: aws.String(trust), Description: name}))(t)
	must(iams.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: plain, PolicyName: plain, PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)}))(t)
	must(iams.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: plain, PolicyArn: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")}))(t)
	key := must(keys.CreateKey(ctx, &kms.CreateKeyInput{}))(t).KeyMetadata.KeyId
	must(sqs.NewFromConfig(cfg).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: plain}))(t)
	queue := must(sqs.NewFromConfig(cfg).GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: plain}))(t).QueueUrl
	topic := must(sns.NewFromConfig(cfg).CreateTopic(ctx, &sns.CreateTopicInput{Name: plain}))(t).TopicArn
	must(sns.NewFromConfig(cfg).Subscribe(ctx, &sns.SubscribeInput{TopicArn: topic, Protocol: aws.String("email"), Endpoint: aws.String("a@example.com")}))(t)
	bucket := aws.String("stub-test-bucket")
	must(s3.NewFromConfig(cfg).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}))(t)
	must(s3.NewFromConfig(cfg).PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:DeleteBucket","Resource":"arn:aws:s3:::stub-test-bucket"}]}`)}))(t)
	machineRole := "arn:aws:iam::" + model + ":role/stub-test"
	machine := must(sfn.NewFromConfig(cfg).CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: plain, RoleArn: &machineRole, Type: "EXPRESS",
		Definition: aws.String(`{"StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}`)}))(t).StateMachineArn

	return map[string]func(context.Context, aws.Config) (any, error){
		"recorders": func(ctx context.Context, c aws.Config) (any, error) {
			return configservice.NewFromConfig(c).DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{})
		},
		"recorder status": func(ctx context.Context, c aws.Config) (any, error) {
			return configservice.NewFromConfig(c).DescribeConfigurationRecorderStatus(ctx, &configservice.DescribeConfigurationRecorderStatusInput{ConfigurationRecorderNames: []string{"default"}})
		},
		"channels": func(ctx context.Context, c aws.Config) (any, error) {
			return configservice.NewFromConfig(c).DescribeDeliveryChannels(ctx, &configservice.DescribeDeliveryChannelsInput{})
		},
		"channel status": func(ctx context.Context, c aws.Config) (any, error) {
			return configservice.NewFromConfig(c).DescribeDeliveryChannelStatus(ctx, &configservice.DescribeDeliveryChannelStatusInput{})
		},
		"a recorder that is not there": func(ctx context.Context, c aws.Config) (any, error) {
			return configservice.NewFromConfig(c).DescribeConfigurationRecorderStatus(ctx, &configservice.DescribeConfigurationRecorderStatusInput{ConfigurationRecorderNames: []string{"none"}})
		},
		"rule": func(ctx context.Context, c aws.Config) (any, error) {
			return eventbridge.NewFromConfig(c).DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: plain})
		},
		"targets": func(ctx context.Context, c aws.Config) (any, error) {
			return eventbridge.NewFromConfig(c).ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: plain})
		},
		"a rule that is not there": func(ctx context.Context, c aws.Config) (any, error) {
			return eventbridge.NewFromConfig(c).DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: aws.String("none")})
		},
		"role": func(ctx context.Context, c aws.Config) (any, error) {
			return iam.NewFromConfig(c).GetRole(ctx, &iam.GetRoleInput{RoleName: plain})
		},
		"a role that is not there": func(ctx context.Context, c aws.Config) (any, error) {
			return iam.NewFromConfig(c).GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String("none")})
		},
		"role policy": func(ctx context.Context, c aws.Config) (any, error) {
			return iam.NewFromConfig(c).GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: plain, PolicyName: plain})
		},
		"role policies": func(ctx context.Context, c aws.Config) (any, error) {
			return iam.NewFromConfig(c).ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: plain, MaxItems: aws.Int32(5)})
		},
		"attached policies": func(ctx context.Context, c aws.Config) (any, error) {
			return iam.NewFromConfig(c).ListAttachedRolePolicies(ctx, &iam.ListAttachedRolePoliciesInput{RoleName: plain})
		},
		"key": func(ctx context.Context, c aws.Config) (any, error) {
			return kms.NewFromConfig(c).DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: key})
		},
		"key policy": func(ctx context.Context, c aws.Config) (any, error) {
			return kms.NewFromConfig(c).GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: key})
		},
		"queue": func(ctx context.Context, c aws.Config) (any, error) {
			return sqs.NewFromConfig(c).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: queue, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
		},
		"topic": func(ctx context.Context, c aws.Config) (any, error) {
			return sns.NewFromConfig(c).GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: topic})
		},
		"subscriptions": func(ctx context.Context, c aws.Config) (any, error) {
			return sns.NewFromConfig(c).ListSubscriptionsByTopic(ctx, &sns.ListSubscriptionsByTopicInput{TopicArn: topic})
		},
		"bucket policy": func(ctx context.Context, c aws.Config) (any, error) {
			return s3.NewFromConfig(c).GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket})
		},
		"bucket encryption": func(ctx context.Context, c aws.Config) (any, error) {
			return s3.NewFromConfig(c).GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: bucket})
		},
		"bucket ownership": func(ctx context.Context, c aws.Config) (any, error) {
			return s3.NewFromConfig(c).GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: bucket})
		},
		"public access": func(ctx context.Context, c aws.Config) (any, error) {
			return s3.NewFromConfig(c).GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: bucket})
		},
		"a bucket that is not there": func(ctx context.Context, c aws.Config) (any, error) {
			return s3.NewFromConfig(c).GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: aws.String("none")})
		},
		"state machine": func(ctx context.Context, c aws.Config) (any, error) {
			return sfn.NewFromConfig(c).DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: machine})
		},
		"Regions": func(ctx context.Context, c aws.Config) (any, error) {
			return account.NewFromConfig(c).ListRegions(ctx, &account.ListRegionsInput{MaxResults: aws.Int32(50)})
		},
	}
}

// What goes over the wire is what the world says, field by field and error by
// error: SDK clients cannot tell the stub from the world behind it.
func TestTheWireSaysWhatTheWorldSays(t *testing.T) {
	w := newWorld(t)
	direct := w.Config(region, w.RolePrincipal(model, role, "test"))
	reads := furnish(t, direct)
	_, wire := serve(t, w)
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			want, wantErr := read(t.Context(), direct)
			got, err := read(t.Context(), wire(model))
			if orgs.Code(err) != orgs.Code(wantErr) {
				t.Fatalf("got %v, the world says %v", err, wantErr)
			}
			if err != nil {
				return
			}
			opts := []cmp.Option{
				cmpopts.IgnoreTypes(middleware.Metadata{}), cmpopts.EquateEmpty(),
				cmp.Exporter(func(reflect.Type) bool { return true }), cmpopts.EquateApproxTime(time.Second),
			}
			if diff := cmp.Diff(want, got, opts...); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnotherMemberIsTheModelUnderAnotherNumber(t *testing.T) {
	w := newWorld(t)
	reads := furnish(t, w.Config(region, w.RolePrincipal(model, role, "test")))
	_, wire := serve(t, w)
	out, err := reads["role"](t.Context(), wire("300000000017"))
	if err != nil {
		t.Fatal(err)
	}
	if arn := aws.ToString(out.(*iam.GetRoleOutput).Role.Arn); arn != "arn:aws:iam::300000000017:role/stub-test" {
		t.Errorf("got %s", arn)
	}
}

func TestAllAccountsAreListedOnce(t *testing.T) {
	w := newWorld(t)
	_, wire := serve(t, w, func(o *stub.Options) { o.Accounts, o.Denied, o.Suspended = 47, 3, 2 })
	client := organizations.NewFromConfig(wire(management))
	org, err := orgs.Load(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	suspended := 0
	for _, a := range org.Accounts {
		ids = append(ids, string(a.ID))
		if a.State == orgs.AccountState(orgtypes.AccountStateSuspended) {
			suspended++
		}
		if a.Parent == "" {
			t.Errorf("%s is in no OU", a.ID)
		}
	}
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != 47 || suspended != 2 {
		t.Errorf("%d accounts, %d suspended", n, suspended)
	}
}

func TestWhoIsLetIn(t *testing.T) {
	w := newWorld(t)
	s, wire := serve(t, w, func(o *stub.Options) { o.Accounts, o.Denied, o.Suspended = 10, 2, 1 })
	client := sts.NewFromConfig(wire(management))
	for id, want := range map[string]string{
		model: "", security: "", "300000000001": "", "300000000004": "",
		"300000000005": "AccessDenied", "300000000006": "AccessDenied", // denied
		"300000000007": "AccessDenied", // suspended
		"300000000008": "AccessDenied", // no such account
	} {
		out, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + id + ":role/" + role), RoleSessionName: aws.String("test")})
		if orgs.Code(err) != want {
			t.Errorf("%s: got %v, want %q", id, err, want)
		}
		if err == nil && aws.ToString(out.Credentials.AccessKeyId) != stub.AccessKey(id) {
			t.Errorf("%s: got the key %s", id, aws.ToString(out.Credentials.AccessKeyId))
		}
	}
	if st := s.Stats(); st.Calls["sts:AssumeRole"] != 8 || st.Failed != 4 || st.Throttled != 0 {
		t.Errorf("counted %+v", st)
	}
}

func TestRatesHoldForEachAccountAndRegion(t *testing.T) {
	w := newWorld(t)
	s, wire := serve(t, w, func(o *stub.Options) { o.Rates = true })
	ask := func(id, region string) error {
		_, err := account.NewFromConfig(wire(id), func(o *account.Options) { o.Retryer, o.Region = aws.NopRetryer{}, region }).ListRegions(t.Context(), &account.ListRegionsInput{})
		return err
	}
	throttled := 0
	for range 20 { // at once: the rate is 5 a second
		if err := ask("300000000001", region); err != nil {
			if orgs.Code(err) != "TooManyRequestsException" {
				t.Fatal(err)
			}
			throttled++
		}
	}
	if throttled == 0 || throttled > 15 {
		t.Errorf("%d of 20 were throttled, want up to 15", throttled)
	}
	if err := errors.Join(ask("300000000002", region), ask("300000000001", "eu-west-1")); err != nil {
		t.Errorf("another account or Region has a bucket of its own: %v", err)
	}
	if st := s.Stats(); st.Throttled != int64(throttled) {
		t.Errorf("counted %d throttled, want %d", st.Throttled, throttled)
	}
}

func TestAStackSetHasInstancesInEveryMember(t *testing.T) {
	w := newWorld(t)
	cfg := w.ManagementConfig(region)
	cfn := cloudformation.NewFromConfig(cfg)
	must(cfn.ActivateOrganizationsAccess(t.Context(), &cloudformation.ActivateOrganizationsAccessInput{}))(t)
	must(cfn.CreateStackSet(t.Context(), &cloudformation.CreateStackSetInput{StackSetName: aws.String("s"), PermissionModel: "SERVICE_MANAGED",
		TemplateBody:   aws.String(`{"Resources":{"T":{"Type":"AWS::SNS::Topic","Properties":{"TopicName":"t"}}}}`),
		AutoDeployment: &cfntypes.AutoDeployment{Enabled: aws.Bool(true), RetainStacksOnAccountRemoval: aws.Bool(true)}}))(t)
	root := must(organizations.NewFromConfig(cfg).ListRoots(t.Context(), &organizations.ListRootsInput{}))(t).Roots[0].Id
	must(cfn.CreateStackInstances(t.Context(), &cloudformation.CreateStackInstancesInput{StackSetName: aws.String("s"), Regions: []string{region, "eu-west-1"},
		DeploymentTargets: &cfntypes.DeploymentTargets{OrganizationalUnitIds: []string{*root}}}))(t)
	_, wire := serve(t, w, func(o *stub.Options) { o.Accounts = 123 })
	client := cloudformation.NewFromConfig(wire(management))
	for _, tc := range []struct {
		name string
		in   cloudformation.ListStackInstancesInput
		want int
	}{
		{"all", cloudformation.ListStackInstancesInput{}, 122 * 2},
		{"of a Region", cloudformation.ListStackInstancesInput{StackInstanceRegion: aws.String("eu-west-1")}, 122},
		{"of an account", cloudformation.ListStackInstancesInput{StackInstanceAccount: aws.String("300000000042")}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.in.StackSetName = aws.String("s")
			seen := map[string]bool{}
			pages := cloudformation.NewListStackInstancesPaginator(client, &tc.in)
			for pages.HasMorePages() {
				page, err := pages.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range page.Summaries {
					seen[*i.Account+*i.Region] = true
					if i.Status != "CURRENT" {
						t.Errorf("%s in %s is %s", *i.Account, *i.Region, i.Status)
					}
				}
			}
			if len(seen) != tc.want {
				t.Errorf("%d instances, want %d", len(seen), tc.want)
			}
		})
	}
}
