package access

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	configtypes "github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/sim"
)

const (
	management orgs.AccountID = "100000000001"
	shopProd   orgs.AccountID = "300000000001"
	foreign    orgs.AccountID = "300000000003" // its access role trusts somebody else
	legacyLab  orgs.AccountID = "500000000003" // has a recorder in ap-northeast-1
)

func recorders(ctx context.Context, p *Pool, at At) ([]string, error) {
	out, err := p.Config.DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{}, at.Config)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range out.ConfigurationRecorders {
		names = append(names, aws.ToString(r.Name))
	}
	return names, nil
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func TestARoleIsAssumedOncePerAccount(t *testing.T) {
	w := demo(t)
	var roles assumed
	cfg := w.ManagementConfig("us-east-1")
	cfg.APIOptions = append(cfg.APIOptions, roles.watch)
	p := newPool(t, cfg)
	accounts := []orgs.AccountID{"200000000001", shopProd, "310000000001", legacyLab}
	var g sync.WaitGroup
	for range 5 {
		for _, id := range accounts {
			for _, region := range []string{"us-east-1", "ap-northeast-1", "eu-west-1"} {
				g.Go(func() {
					got, err := recorders(t.Context(), p, p.In(partition, id, region))
					if want := id == legacyLab && region == "ap-northeast-1"; err != nil || len(got) != 0 != want {
						t.Errorf("%s in %s: got %q, %v", id, region, got, err)
					}
				})
			}
		}
	}
	g.Wait()
	if _, err := recorders(t.Context(), p, p.In(partition, shopProd, "us-east-1").InRegion("us-west-2")); err != nil {
		t.Error(err)
	}
	var arns []string
	for _, in := range roles.inputs {
		arns = append(arns, aws.ToString(in.RoleArn))
	}
	slices.Sort(arns)
	var want []string
	for _, id := range accounts {
		want = append(want, "arn:aws:iam::"+string(id)+":role/"+accessRole)
	}
	if diff := cmp.Diff(want, arns); diff != "" {
		t.Error(diff)
	}
	if got := w.Calls()["config:DescribeConfigurationRecorders"]; got != 61 {
		t.Errorf("%d calls, want 61", got)
	}
}

func TestWhatAssumeRoleIsAskedFor(t *testing.T) {
	for _, tc := range []struct {
		name string
		opts Options
		part orgs.Partition
		want sts.AssumeRoleInput
	}{
		{
			"the defaults", Options{Role: accessRole}, partition,
			sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::300000000001:role/" + accessRole), RoleSessionName: aws.String("orgguard"), DurationSeconds: aws.Int32(3600)},
		},
		{
			"everything", Options{Role: "orgguard/Audit", ExternalID: "secret-17", SessionName: "nightly", Duration: 15 * time.Minute, ReadOnly: true}, partition,
			sts.AssumeRoleInput{
				RoleArn: aws.String("arn:aws:iam::300000000001:role/orgguard/Audit"), RoleSessionName: aws.String("nightly"), DurationSeconds: aws.Int32(900),
				ExternalId: aws.String("secret-17"), Policy: aws.String(readOnlyPolicy),
			},
		},
		{
			"another partition", Options{Role: accessRole}, orgs.PartitionOf("cn-north-1"),
			sts.AssumeRoleInput{RoleArn: aws.String("arn:aws-cn:iam::300000000001:role/" + accessRole), RoleSessionName: aws.String("orgguard"), DurationSeconds: aws.Int32(3600)},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var roles assumed
			cfg := wire{}.config()
			cfg.APIOptions = append(cfg.APIOptions, roles.watch)
			p := newPool(t, cfg, func(o *Options) { *o = tc.opts })
			if err := p.AssumeError(t.Context(), p.In(tc.part, shopProd, "us-east-1")); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]*sts.AssumeRoleInput{&tc.want}, roles.inputs, cmpopts.IgnoreUnexported(sts.AssumeRoleInput{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheExternalIDOpensTheRoleThatAsksForIt(t *testing.T) {
	w := demo(t, func(s *sim.Spec) {
		s.Accounts = append(s.Accounts, sim.AccountSpec{ID: "600000000001", Name: "guarded", Roles: []sim.RoleSpec{
			{Name: "Audit", Path: "/orgguard/", Trusts: string(management), ExternalID: "secret-17"},
		}})
	})
	for _, tc := range []struct {
		name, externalID string
		want             string
	}{
		{"the right one", "secret-17", ""},
		{"a wrong one", "secret-18", "AccessDenied"},
		{"none", "", "AccessDenied"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPool(t, w.ManagementConfig("us-east-1"), func(o *Options) { o.Role, o.ExternalID = "orgguard/Audit", tc.externalID })
			if err := p.AssumeError(t.Context(), p.In(partition, "600000000001", "us-east-1")); code(err) != tc.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTheCallersOwnAccountIsNotAssumed(t *testing.T) {
	w := demo(t)
	// A session policy or a missing role must not get in its way either.
	p := newPool(t, w.ManagementConfig("us-east-1"), func(o *Options) { o.Role, o.ReadOnly = "NoSuchRole", true })
	if got := p.Caller(); got.Account != management || got.ARN != "arn:aws:sts::100000000001:assumed-role/OrgAdmin/orgguard" {
		t.Errorf("the caller is %v", got)
	}
	for name, at := range map[string]At{"In": p.In(partition, management, "eu-west-1"), "Home": p.Home("eu-west-1")} {
		if at.Account != management || at.Region != "eu-west-1" {
			t.Errorf("%s: got %s in %s", name, at.Account, at.Region)
		}
		if err := p.AssumeError(t.Context(), at); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := recorders(t.Context(), p, at); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := w.Calls()["sts:AssumeRole"]; got != 0 {
		t.Errorf("%d roles were assumed", got)
	}
}

func TestARoleThatCannotBeAssumed(t *testing.T) {
	w := demo(t)
	p := newPool(t, w.ManagementConfig("us-east-1"))
	at := p.In(partition, foreign, "us-east-1")
	err := p.AssumeError(t.Context(), at)
	if code(err) != "AccessDenied" || !strings.HasPrefix(err.Error(), "assume role OrganizationAccountAccessRole in 300000000003: ") {
		t.Errorf("got %v", err)
	}
	if _, err := recorders(t.Context(), p, at); code(err) != "AccessDenied" {
		t.Errorf("got %v", err)
	}
	if got := w.Calls()["config:DescribeConfigurationRecorders"]; got != 0 {
		t.Error("a call was made without credentials of the account")
	}
	if err := p.AssumeError(t.Context(), p.In(partition, shopProd, "us-east-1")); err != nil {
		t.Errorf("another account does not suffer: %v", err)
	}
}

func TestOneCallersCancelDoesNotTakeTheSessionFromOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := demo(t)
		p := newPool(t, w.ManagementConfig("us-east-1"))
		w.SetFaults(sim.Faults{Latency: time.Second})
		at := p.In(partition, shopProd, "us-east-1")
		ctx, cancel := context.WithCancel(t.Context())
		var first, second error
		var g sync.WaitGroup
		g.Go(func() { first = p.AssumeError(ctx, at) })
		synctest.Wait() // the first caller's AssumeRole is under way
		g.Go(func() { second = p.AssumeError(t.Context(), at) })
		synctest.Wait()
		cancel()
		g.Wait()
		if !errors.Is(first, context.Canceled) {
			t.Errorf("who cancelled got %v", first)
		}
		if second != nil {
			t.Errorf("who did not got %v", second)
		}
		if got := w.Calls()["sts:AssumeRole"]; got != 1 {
			t.Errorf("%d roles were assumed", got)
		}
	})
}

func TestASessionIsRenewedBeforeItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := demo(t)
		p := newPool(t, w.ManagementConfig("us-east-1"), func(o *Options) { o.Duration = 15 * time.Minute })
		at := p.In(partition, shopProd, "us-east-1")
		var got []int
		for range 3 {
			if _, err := recorders(t.Context(), p, at); err != nil {
				t.Fatal(err)
			}
			got = append(got, w.Calls()["sts:AssumeRole"])
			time.Sleep(7 * time.Minute) // the bubble's clock
		}
		if diff := cmp.Diff([]int{1, 1, 2}, got); diff != "" {
			t.Errorf("roles assumed after 0, 7 and 14 minutes: %s", diff)
		}
	})
}

func TestReadOnlySessionsRefuseWrites(t *testing.T) {
	ctx := t.Context()
	writes := []struct {
		name string
		call func(*Pool, At) error
	}{
		{"config:StopConfigurationRecorder", func(p *Pool, at At) error {
			_, err := p.Config.StopConfigurationRecorder(ctx, &configservice.StopConfigurationRecorderInput{ConfigurationRecorderName: aws.String("legacy-recorder")}, at.Config)
			return err
		}},
		{"config:PutConfigurationRecorder", func(p *Pool, at At) error {
			_, err := p.Config.PutConfigurationRecorder(ctx, &configservice.PutConfigurationRecorderInput{ConfigurationRecorder: &configtypes.ConfigurationRecorder{Name: aws.String("legacy-recorder"), RoleARN: aws.String("arn:aws:iam::500000000003:role/r")}}, at.Config)
			return err
		}},
		{"events:PutRule", func(p *Pool, at At) error {
			_, err := p.Events.PutRule(ctx, &eventbridge.PutRuleInput{Name: aws.String("r"), EventPattern: aws.String(`{"source":["aws.config"]}`)}, at.Events)
			return err
		}},
		{"sns:CreateTopic", func(p *Pool, at At) error {
			_, err := p.SNS.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("topic")}, at.SNS)
			return err
		}},
		{"sqs:CreateQueue", func(p *Pool, at At) error {
			_, err := p.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("queue")}, at.SQS)
			return err
		}},
		{"s3:CreateBucket", func(p *Pool, at At) error {
			_, err := p.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("a-bucket-of-this-test")}, at.InRegion("us-east-1").S3)
			return err
		}},
		{"iam:CreateRole", func(p *Pool, at At) error {
			_, err := p.IAM.CreateRole(ctx, &iam.CreateRoleInput{
				RoleName:                 aws.String("r"),
				AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"config.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
			}, at.IAM)
			return err
		}},
		{"kms:CreateKey", func(p *Pool, at At) error {
			_, err := p.KMS.CreateKey(ctx, &kms.CreateKeyInput{}, at.KMS)
			return err
		}},
	}
	t.Run("read only", func(t *testing.T) {
		w := demo(t)
		p := newPool(t, w.ManagementConfig("us-east-1"), func(o *Options) { o.ReadOnly = true })
		at := p.In(partition, legacyLab, "ap-northeast-1")
		if !p.ReadOnly() {
			t.Error("the pool does not say that it only reads")
		}
		if got, err := recorders(ctx, p, at); err != nil || !cmp.Equal(got, []string{"legacy-recorder"}) {
			t.Fatalf("reading: got %q, %v", got, err)
		}
		for _, c := range writes {
			err := c.call(p, at)
			if !strings.Contains(code(err), "AccessDenied") && !strings.Contains(code(err), "AuthorizationError") {
				t.Errorf("%s: got %v", c.name, err)
			} else if !strings.Contains(err.Error(), c.name) {
				t.Errorf("%s was refused for another reason: %v", c.name, err)
			}
			if p.Used()[c.name] != 1 {
				t.Errorf("%s was sent %d times: a refusal is not retried", c.name, w.Calls()[c.name])
			}
		}
	})
	t.Run("the same calls otherwise", func(t *testing.T) {
		w := demo(t)
		p := newPool(t, w.ManagementConfig("us-east-1"))
		for _, c := range writes {
			if err := c.call(p, p.In(partition, legacyLab, "ap-northeast-1")); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	})
}

func TestTheReadOnlyPolicy(t *testing.T) {
	if n := len(readOnlyPolicy); n > 2048 {
		t.Errorf("%d characters; STS takes 2,048", n)
	}
	var doc struct {
		Version   string
		Statement []struct {
			Effect   string
			Action   []string
			Resource string
		}
	}
	if err := json.Unmarshal([]byte(readOnlyPolicy), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Statement) != 1 || doc.Statement[0].Effect != "Allow" || doc.Version != "2012-10-17" {
		t.Errorf("got %+v", doc)
	}
	for _, a := range doc.Statement[0].Action {
		_, op, _ := strings.Cut(a, ":")
		if !slices.ContainsFunc([]string{"BatchGet", "Describe", "Get", "List", "Lookup", "Select", "Simulate", "TestEventPattern"}, func(verb string) bool { return strings.HasPrefix(op, verb) }) {
			t.Errorf("%s is no read", a)
		}
		// What is stored in a bucket or a queue is not orgguard's business.
		if slices.Contains([]string{"s3:GetObject", "s3:Get*", "s3:*", "sqs:ReceiveMessage"}, a) {
			t.Errorf("%s reads data", a)
		}
	}
}

func TestNewSaysWhatToDoWithoutCredentials(t *testing.T) {
	w := demo(t)
	cfg := w.ManagementConfig("us-east-1")
	cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no EC2 IMDS role found")
	})
	_, err := New(t.Context(), cfg, Options{Role: accessRole})
	var hinted interface{ Hint() string }
	if err == nil || !strings.HasPrefix(err.Error(), "find out who is calling: ") || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "AWS_PROFILE") {
		t.Errorf("got %v", err)
	}
}

func TestNewLeavesItsConfigurationAlone(t *testing.T) {
	cfg := demo(t).ManagementConfig("eu-west-1")
	cfg.APIOptions = slices.Grow(cfg.APIOptions, 8)
	n := len(cfg.APIOptions)
	p := newPool(t, cfg)
	if len(cfg.APIOptions) != n || cfg.APIOptions[:n+1][n] != nil || cfg.Retryer != nil {
		t.Error("the caller's configuration was changed")
	}
	if p.Region() != "eu-west-1" || p.Role() != accessRole {
		t.Errorf("got %s, %s", p.Region(), p.Role())
	}
}

func TestLoadConfig(t *testing.T) {
	for _, v := range []string{"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(v, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	cfg, err := LoadConfig(t.Context(), "", "ap-northeast-1")
	if err != nil || cfg.Region != "ap-northeast-1" {
		t.Errorf("got %q, %v, want the Region given", cfg.Region, err)
	}
	t.Setenv("AWS_REGION", "eu-west-1")
	if cfg, err = LoadConfig(t.Context(), "", "ap-northeast-1"); err != nil || cfg.Region != "eu-west-1" {
		t.Errorf("got %q, %v, want the environment's Region", cfg.Region, err)
	}
	_, err = LoadConfig(t.Context(), "no-such-profile", "ap-northeast-1")
	var hinted interface{ Hint() string }
	if err == nil || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "AWS_PROFILE") {
		t.Errorf("got %v", err)
	}
}
