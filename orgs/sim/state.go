package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	s3controltypes "github.com/aws/aws-sdk-go-v2/service/s3control/types"
)

// State is everything the simulated world remembers. It is plain data: a
// sandbox file is its JSON. Every service owns one struct in it, defined in
// the service's own file.
type State struct {
	Version   int    `json:"version"`
	Partition string `json:"partition"`
	Seed      string `json:"seed"`
	NextID    int    `json:"next_id"`

	Org       orgState                 `json:"org"`
	Accounts  map[string]*accountState `json:"accounts"`
	StackSets stackSetsState           `json:"stack_sets"`
	Buckets   map[string]*bucketState  `json:"buckets"` // bucket names are global in a partition

	// Trails are the CloudTrail trails of all accounts, by ARN.
	Trails map[string]*trail `json:"trails,omitempty"`
	// Outbox is every message a topic delivered to a mailbox, oldest first.
	Outbox []Mail `json:"outbox"`
	// Later is what functions are still to be given, oldest first.
	Later []laterEvent `json:"later,omitempty"`
	// Faults are kept with the state so that `sandbox tamper` can set them
	// for later commands.
	Faults Faults `json:"faults"`
	Timing Timing `json:"timing"`
}

// accountState is one account's global state and its Regions.
type accountState struct {
	ID      string                  `json:"id"`
	IAM     iamState                `json:"iam"`
	Regions map[string]*regionState `json:"regions"`
	// OptIn holds the opt-in status of Regions that are not on by default
	// ("ENABLED", "DISABLED").
	OptIn map[string]string `json:"opt_in"`
	// Trail is the account's CloudTrail event history, oldest first; see
	// cloudtrail.go.
	Trail []trailEvent `json:"trail,omitempty"`
	// Chat is the configurations of chat channels, by ARN.
	Chat map[string]*chatChannel `json:"chat,omitempty"`
	// PublicAccess is the account's S3 public access block; nil for none.
	PublicAccess *s3controltypes.PublicAccessBlockConfiguration `json:"public_access,omitempty"`
}

// regionState is one account × Region.
type regionState struct {
	Config configState `json:"config"`
	Events eventsState `json:"events"`
	SNS    snsState    `json:"sns"`
	SQS    sqsState    `json:"sqs"`
	KMS    kmsState    `json:"kms"`
	States statesState `json:"states"`
	Stacks stacksState `json:"stacks"`
	EC2    ec2State    `json:"ec2,omitzero"`
	SSM    ssmState    `json:"ssm,omitzero"`
	Logs   logsState   `json:"logs,omitzero"`
	Watch  watchState  `json:"cloudwatch,omitzero"`

	GuardDuty   guardDutyState   `json:"guardduty,omitzero"`
	SecurityHub securityHubState `json:"securityhub,omitzero"`
	Analyzers   []*analyzerState `json:"analyzers,omitempty"`
	// HubFindings are those that were imported into Security Hub, by product and id.
	HubFindings map[string]hubFinding `json:"hub_findings,omitempty"`
	Lambda      lambdaState           `json:"lambda,omitzero"`
	Scheduler   schedulerState        `json:"scheduler,omitzero"`
}

// Mail is one message that reached an endpoint of a topic.
type Mail struct {
	Time     time.Time `json:"time"`
	Topic    string    `json:"topic"` // ARN
	Protocol string    `json:"protocol"`
	Endpoint string    `json:"endpoint"`
	Subject  string    `json:"subject,omitempty"`
	Message  string    `json:"message"`
}

// account returns an account's state; nil when there is none.
func (w *World) account(id string) *accountState { return w.state.Accounts[id] }

// region returns the state of an account × Region, making it when it is new.
// The account must exist.
func (w *World) region(account, region string) *regionState {
	a := w.state.Accounts[account]
	if a.Regions == nil {
		a.Regions = map[string]*regionState{}
	}
	r := a.Regions[region]
	if r == nil {
		r = &regionState{}
		a.Regions[region] = r
	}
	return r
}

// id returns a new identifier of n lower-case hexadecimal digits. The same
// world asked the same things in the same order gives the same identifiers.
func (w *World) id(n int) string {
	w.state.NextID++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", w.state.Seed, w.state.NextID))
	return hex.EncodeToString(sum[:])[:n]
}

// uuid returns a new identifier in the form of a UUID.
func (w *World) uuid() string {
	h := w.id(32)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
