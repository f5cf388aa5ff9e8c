package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/sync/errgroup"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/orgs/sim/stub"
)

// runStub serves until its input ends.
func runStub(args []string) error {
	f := flag.NewFlagSet("stub", flag.ContinueOnError)
	o := stub.Options{Management: management, Security: security, Model: model, Rates: true}
	world := f.String("world", "", "sandbox file of a rolled out organization")
	f.IntVar(&o.Accounts, "accounts", 100, "how many accounts")
	f.IntVar(&o.Denied, "denied", 0, "how many let nobody in")
	f.IntVar(&o.Suspended, "suspended", 0, "how many are suspended")
	f.DurationVar(&o.Latency, "latency", 40*time.Millisecond, "of every answer")
	f.Float64Var(&o.Throttle, "throttle", 0, "share of throttled answers")
	if err := f.Parse(args); err != nil {
		return err
	}
	w, err := sim.Open(*world)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := stub.New(ctx, w, o)
	if err != nil {
		return errors.Join(err, w.Close())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, w.Close())
	}
	fmt.Println("http://" + l.Addr().String())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent
		cancel()
	}()
	return errors.Join(s.Serve(ctx, l), w.Close())
}

// settings are the Regions of a configuration file of this program's making.
func settings(file string) (regions []string, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(b), "\nregions: [")
	list, _, ok := strings.Cut(rest, "]")
	if !ok {
		return nil, fmt.Errorf("%s names no Regions", file)
	}
	return strings.Split(list, ", "), nil
}

// runLoop is what a person would write who knows Go and AWS well: clients made
// once, connections kept, one bounded group over everything, a short backoff.
func runLoop(args []string) error {
	f := flag.NewFlagSet("loop", flag.ContinueOnError)
	concurrency := f.Int("concurrency", 64, "")
	reads := f.String("reads", "", "")
	file := f.String("config", "", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	regions, err := settings(*file)
	if err != nil {
		return err
	}
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(access.PlainBodies(awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = *concurrency }))),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 12, 100*time.Millisecond })
		}))
	if err != nil {
		return err
	}
	var accounts []string
	pages := organizations.NewListAccountsPaginator(organizations.NewFromConfig(cfg), &organizations.ListAccountsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, a := range page.Accounts {
			if a.State == types.AccountStateActive {
				accounts = append(accounts, aws.ToString(a.Id))
			}
		}
	}
	l := loop{reads: strings.Split(*reads, ","), config: configservice.NewFromConfig(cfg), events: eventbridge.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg)}
	tokens := sts.NewFromConfig(cfg)
	creds := make([]aws.CredentialsProvider, len(accounts))
	var g errgroup.Group
	g.SetLimit(*concurrency)
	for i, id := range accounts {
		g.Go(func() error {
			if id == management {
				creds[i] = cfg.Credentials
				return nil
			}
			out, err := tokens.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + id + ":role/OrganizationAccountAccessRole"), RoleSessionName: aws.String("loop")})
			if err != nil {
				return err
			}
			creds[i] = credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i := range accounts {
		for _, region := range regions {
			for _, read := range l.of(region) {
				g.Go(func() error { return read(ctx, region, creds[i]) })
			}
		}
	}
	return g.Wait()
}

// loop is the reads of a hand-written audit.
type loop struct {
	reads  []string
	config *configservice.Client
	events *eventbridge.Client
	iam    *iam.Client
}

type read func(ctx context.Context, region string, c aws.CredentialsProvider) error

// of are the reads that are asked for in a Region, the minimal ones for what they
// find out.
func (l loop) of(region string) []read {
	configAt := func(region string, c aws.CredentialsProvider) func(*configservice.Options) {
		return func(o *configservice.Options) { o.Region, o.Credentials = region, c }
	}
	rule := func(name string) []read {
		return []read{
			func(ctx context.Context, region string, c aws.CredentialsProvider) error {
				_, err := l.events.DescribeRule(ctx, &eventbridge.DescribeRuleInput{Name: aws.String(name)}, func(o *eventbridge.Options) { o.Region, o.Credentials = region, c })
				return err
			},
			func(ctx context.Context, region string, c aws.CredentialsProvider) error {
				_, err := l.events.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{Rule: aws.String(name)}, func(o *eventbridge.Options) { o.Region, o.Credentials = region, c })
				return err
			},
		}
	}
	role := func(name, policy string) []read {
		in := func(c aws.CredentialsProvider) func(*iam.Options) {
			return func(o *iam.Options) { o.Region, o.Credentials = "us-east-1", c }
		}
		return []read{
			func(ctx context.Context, _ string, c aws.CredentialsProvider) error {
				_, err := l.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String(name)}, in(c))
				return err
			},
			func(ctx context.Context, _ string, c aws.CredentialsProvider) error {
				_, err := l.iam.ListAttachedRolePolicies(ctx, &iam.ListAttachedRolePoliciesInput{RoleName: aws.String(name)}, in(c))
				return err
			},
			func(ctx context.Context, _ string, c aws.CredentialsProvider) error {
				_, err := l.iam.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: aws.String(name)}, in(c))
				return err
			},
			func(ctx context.Context, _ string, c aws.CredentialsProvider) error {
				_, err := l.iam.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: aws.String(name), PolicyName: aws.String(policy)}, in(c))
				return err
			},
		}
	}
	var out []read
	for _, name := range l.reads {
		switch name {
		case "recorder":
			out = append(out, func(ctx context.Context, region string, c aws.CredentialsProvider) error {
				_, err := l.config.DescribeConfigurationRecorders(ctx, &configservice.DescribeConfigurationRecordersInput{}, configAt(region, c))
				return err
			})
		case "recorder-status":
			out = append(out, func(ctx context.Context, region string, c aws.CredentialsProvider) error {
				_, err := l.config.DescribeConfigurationRecorderStatus(ctx, &configservice.DescribeConfigurationRecorderStatusInput{}, configAt(region, c))
				return err
			})
		case "channel":
			out = append(out, func(ctx context.Context, region string, c aws.CredentialsProvider) error {
				_, err := l.config.DescribeDeliveryChannels(ctx, &configservice.DescribeDeliveryChannelsInput{}, configAt(region, c))
				return err
			})
		case "channel-status":
			out = append(out, func(ctx context.Context, region string, c aws.CredentialsProvider) error {
				_, err := l.config.DescribeDeliveryChannelStatus(ctx, &configservice.DescribeDeliveryChannelStatusInput{}, configAt(region, c))
				return err
			})
		case "rule":
			out = append(out, rule("orgguard-config-change")[0])
		case "targets":
			out = append(out, rule("orgguard-config-change")[1])
		}
		if region != "us-east-1" {
			continue
		}
		switch name {
		case "signin":
			out = append(out, rule("orgguard-root-signin")...)
		case "recorder-role":
			out = append(out, role("orgguard-config-recorder", "deliver")...)
		case "roles":
			out = append(append(out, role("orgguard-config-recorder", "deliver")...), role("orgguard-event-forwarder", "forward")...)
		}
	}
	return out
}

// runPool makes one read a cell with orgguard's own clients and fan-out.
func runPool(args []string) error {
	f := flag.NewFlagSet("pool", flag.ContinueOnError)
	concurrency := f.Int("concurrency", 64, "")
	file := f.String("config", "", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	regions, err := settings(*file)
	if err != nil {
		return err
	}
	ctx := context.Background()
	cfg, err := access.LoadConfig(ctx, "", "us-east-1")
	if err != nil {
		return err
	}
	pool, err := access.New(ctx, cfg, access.Options{Role: "OrganizationAccountAccessRole", ReadOnly: true, InFlight: *concurrency, NoRateLimits: true})
	if err != nil {
		return err
	}
	org, err := orgs.Load(ctx, pool.Organizations)
	if err != nil {
		return err
	}
	type cell struct {
		id     orgs.AccountID
		region string
	}
	var cells []cell
	for _, a := range org.Accounts {
		if a.State == orgs.StateActive {
			for _, region := range regions {
				cells = append(cells, cell{a.ID, region})
			}
		}
	}
	recording := orgs.ForEach(ctx, cells, 4**concurrency, func(ctx context.Context, c cell) (bool, error) {
		out, err := pool.Config.DescribeConfigurationRecorderStatus(ctx, &configservice.DescribeConfigurationRecorderStatusInput{}, pool.In(org.Partition, c.id, c.region).Config)
		return err == nil && len(out.ConfigurationRecordersStatus) == 1 && out.ConfigurationRecordersStatus[0].Recording, err
	})
	if i := slices.IndexFunc(recording, func(o orgs.Outcome[bool]) bool { return o.Err != nil || !o.Value }); i >= 0 {
		return fmt.Errorf("%v: recording %v, %w", cells[i], recording[i].Value, recording[i].Err)
	}
	return nil
}
