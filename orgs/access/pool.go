package access

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	"github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/chatbot"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/controltower"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"github.com/orgguard/orgguard/orgs"
)

// DefaultSessionName is how sessions are called that Options give no name.
const DefaultSessionName = "orgguard"

// Options say how member accounts are entered.
type Options struct {
	// Role is assumed in every account but the caller's own: a role name, with
	// its path if it has one ("orgguard/OrgGuardAudit").
	Role string
	// ExternalID is handed to AssumeRole when it is not empty.
	ExternalID string
	// SessionName appears in the members' CloudTrail.
	SessionName string
	// Duration of a session; 0 means one hour, which is also the most that a
	// chained role may ask for.
	Duration time.Duration
	// ReadOnly adds a session policy to every assumed role that allows reads
	// of what orgguard audits and nothing else, whatever the role may do.
	ReadOnly bool
	// InFlight bounds the requests on the wire; 0 means DefaultInFlight. Fewer
	// are sent where more would not bring more answers; see gate.
	InFlight int
	// NoRateLimits leaves out the published rates of slow APIs, for endpoints
	// that have none, until such an endpoint throttles.
	NoRateLimits bool
}

// DefaultInFlight is the most requests on the wire unless Options say otherwise.
const DefaultInFlight = 256

// Pool hands out credentials per account and clients per service. It is safe
// for concurrent use.
type Pool struct {
	Organizations  *organizations.Client
	STS            *sts.Client
	Account        *account.Client
	CloudFormation *cloudformation.Client
	Config         *configservice.Client
	Events         *eventbridge.Client
	SNS            *sns.Client
	SQS            *sqs.Client
	S3             *s3.Client
	IAM            *iam.Client
	KMS            *kms.Client
	StepFunctions  *sfn.Client
	CloudTrail     *cloudtrail.Client
	SSM            *ssm.Client
	AccessAnalyzer *accessanalyzer.Client
	Chatbot        *chatbot.Client
	ControlTower   *controltower.Client
	EC2            EC2
	S3Control      S3Control
	CloudWatch     *cloudwatch.Client
	Logs           *cloudwatchlogs.Client
	GuardDuty      *guardduty.Client
	Lambda         *lambda.Client
	Scheduler      *scheduler.Client
	SecurityHub    SecurityHub

	opts   Options
	base   aws.Config
	plain  aws.Config // as it was given
	caller Caller
	skew   *time.Duration
	meter  *meter

	mu    sync.Mutex
	creds map[orgs.AccountID]aws.CredentialsProvider
}

// Caller is who orgguard runs as.
type Caller struct {
	Account orgs.AccountID
	ARN     string
}

// LoadConfig reads the SDK's ordinary configuration: environment, profiles,
// instance roles. region is used where nothing else gives one.
func LoadConfig(ctx context.Context, profile, region string) (aws.Config, error) {
	client := awshttp.NewBuildableClient().WithTimeout(2 * time.Minute).WithTransportOptions(func(t *http.Transport) {
		// One host per service and Region, and many accounts behind each:
		// Go's default of two idle connections a host would dial anew all
		// the time.
		// As many are kept as may be in use.
		t.MaxIdleConns = 4096
		t.MaxIdleConnsPerHost = 4096
		t.IdleConnTimeout = 90 * time.Second
	})
	opts := []func(*config.LoadOptions) error{config.WithHTTPClient(client), config.WithDefaultRegion(region), config.WithLogger(logging.Nop{})}
	if profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return aws.Config{}, &orgs.Hinted{Err: fmt.Errorf("read the AWS configuration: %w", err), Next: "check AWS_PROFILE and ~/.aws/config; `aws sts get-caller-identity` must work"}
	}
	return cfg, nil
}

// New makes a pool over an SDK configuration and asks STS who the caller is.
func New(ctx context.Context, cfg aws.Config, opts Options) (*Pool, error) {
	if opts.InFlight <= 0 {
		opts.InFlight = DefaultInFlight
	}
	if opts.SessionName == "" {
		opts.SessionName = DefaultSessionName
	}
	if opts.Duration == 0 {
		opts.Duration = time.Hour
	}
	p := &Pool{opts: opts, plain: cfg, meter: newMeter(opts), creds: map[orgs.AccountID]aws.CredentialsProvider{}}
	cfg = cfg.Copy()
	if cfg.HTTPClient != nil {
		cfg.HTTPClient = PlainBodies(cfg.HTTPClient)
	}
	retryer := newRetryer()
	cfg.Retryer = func() aws.Retryer { return retryer }
	cfg.APIOptions = append(cfg.APIOptions[:len(cfg.APIOptions):len(cfg.APIOptions)], p.meter.addTo)
	p.base = cfg
	p.Organizations = organizations.NewFromConfig(cfg)
	p.STS = sts.NewFromConfig(cfg)
	p.Account = account.NewFromConfig(cfg)
	p.CloudFormation = cloudformation.NewFromConfig(cfg)
	p.Config = configservice.NewFromConfig(cfg)
	p.Events = eventbridge.NewFromConfig(cfg)
	p.SNS = sns.NewFromConfig(cfg)
	p.SQS = sqs.NewFromConfig(cfg)
	p.S3 = s3.NewFromConfig(cfg)
	p.IAM = iam.NewFromConfig(cfg)
	p.KMS = kms.NewFromConfig(cfg)
	p.StepFunctions = sfn.NewFromConfig(cfg)
	p.SSM = ssm.NewFromConfig(cfg)
	p.CloudTrail = cloudtrail.NewFromConfig(cfg)
	p.AccessAnalyzer = accessanalyzer.NewFromConfig(cfg)
	p.Chatbot = chatbot.NewFromConfig(cfg)
	p.ControlTower = controltower.NewFromConfig(cfg)
	p.EC2 = newEC2(cfg)
	p.S3Control = newS3Control(cfg)
	p.CloudWatch = cloudwatch.NewFromConfig(cfg)
	p.Logs = cloudwatchlogs.NewFromConfig(cfg)
	p.GuardDuty = guardduty.NewFromConfig(cfg)
	p.Lambda = lambda.NewFromConfig(cfg)
	p.Scheduler = scheduler.NewFromConfig(cfg)
	p.SecurityHub = newSecurityHub(cfg)

	who, err := p.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, &orgs.Hinted{
			Err:  fmt.Errorf("find out who is calling: %w", err),
			Next: "give AWS credentials of the management account or a delegated administrator (AWS_PROFILE, --profile), or try the simulated organization: orgguard sandbox create",
		}
	}
	p.caller = Caller{Account: orgs.AccountID(aws.ToString(who.Account)), ARN: aws.ToString(who.Arn)}
	p.skew = skewOf(who.ResultMetadata)
	return p, nil
}

// skewOf is how far the local clock is ahead of AWS's, by the Date header of an
// answer; nil when the answer had none.
func skewOf(meta middleware.Metadata) *time.Duration {
	server, ok := awsmiddleware.GetServerTime(meta)
	local, ok2 := awsmiddleware.GetResponseAt(meta)
	if !ok || !ok2 || server.IsZero() {
		return nil
	}
	skew := local.Sub(server).Truncate(time.Second) // the header knows no fractions
	return &skew
}

// ClockSkew is how far the local clock is ahead of AWS's, to a second; known is
// false where no answer said what time it is. AWS refuses requests that are signed
// more than five minutes off.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/signing-elements.html
func (p *Pool) ClockSkew() (skew time.Duration, known bool) {
	if p.skew == nil {
		return 0, false
	}
	return *p.skew, true
}

// As is a pool of the same caller that enters accounts with another role.
func (p *Pool) As(ctx context.Context, role, externalID string) (*Pool, error) {
	opts := p.opts
	opts.Role, opts.ExternalID = role, externalID
	return New(ctx, p.plain, opts)
}

// Caller returns who orgguard runs as.
func (p *Pool) Caller() Caller { return p.caller }

// Region is the configuration's own Region; "" when it has none.
func (p *Pool) Region() string { return p.base.Region }

// ReadOnly says whether sessions in member accounts can only read.
func (p *Pool) ReadOnly() bool { return p.opts.ReadOnly }

// RateLimits says whether the published rates of APIs are kept.
func (p *Pool) RateLimits() bool { return !p.opts.NoRateLimits }

// Role is the role assumed in member accounts.
func (p *Pool) Role() string { return p.opts.Role }

// In returns the place from where calls into an account × Region are made. It
// asks nothing of AWS: the role is assumed by the first call that needs it, and
// then once for all Regions of the account.
func (p *Pool) In(partition orgs.Partition, id orgs.AccountID, region string) At {
	return At{Account: id, Region: region, creds: p.credentials(partition, id)}
}

// Home is In for the caller's own account.
func (p *Pool) Home(region string) At {
	return At{Account: p.caller.Account, Region: region, creds: p.base.Credentials}
}

func (p *Pool) credentials(partition orgs.Partition, id orgs.AccountID) aws.CredentialsProvider {
	if id == p.caller.Account {
		return p.base.Credentials
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.creds[id]
	if !ok {
		arn := fmt.Sprintf("arn:%s:iam::%s:role/%s", partition.ID, id, p.opts.Role)
		c = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(p.STS, arn, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = p.opts.SessionName
			o.Duration = p.opts.Duration
			if p.opts.ExternalID != "" {
				o.ExternalID = aws.String(p.opts.ExternalID)
			}
			if p.opts.ReadOnly {
				o.Policy = aws.String(readOnlyPolicy)
			}
		}), func(o *aws.CredentialsCacheOptions) {
			// A long fan-out must not meet an expired session between
			// two calls.
			o.ExpiryWindow = 5 * time.Minute
			o.ExpiryWindowJitterFrac = 0.5
		})
		p.creds[id] = c
	}
	return c
}

// RoleError says that an account could not be entered.
type RoleError struct {
	Role    string
	Account orgs.AccountID
	Err     error
}

func (e *RoleError) Error() string {
	return fmt.Sprintf("assume role %s in %s: %v", e.Role, e.Account, e.Err)
}

// Unwrap returns what AWS said.
func (e *RoleError) Unwrap() error { return e.Err }

// AssumeError gives the error of entering an account, a *RoleError, and nil when it
// can be entered. The session is kept for later calls.
func (p *Pool) AssumeError(ctx context.Context, at At) error {
	if _, err := at.creds.Retrieve(ctx); err != nil {
		return &RoleError{Role: p.opts.Role, Account: at.Account, Err: err}
	}
	return nil
}
