package survey

import (
	"slices"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
)

// Position is what the caller's account is in the organization.
type Position string

// The positions.
const (
	Management Position = "management account"
	Delegated  Position = "delegated administrator"
	Member     Position = "member account"
)

// Answer is what one question gave: a value, or why there is none. Asked is
// false for a question that did not arise.
type Answer[T any] struct {
	Value T
	Err   error
	Asked bool
}

// Known says whether the question was asked and answered.
func (a Answer[T]) Known() bool { return a.Asked && a.Err == nil }

func answer[T any](v T, err error) Answer[T] { return Answer[T]{Value: v, Err: err, Asked: true} }

// Survey is what was found.
type Survey struct {
	Caller   access.Caller
	Position Position
	Org      *orgs.Organization
	// Skew is how far the local clock is ahead of AWS's.
	Skew Answer[time.Duration]
	// Services are the service principals with trusted access.
	Services Answer[[]string]
	// Delegates are the delegated administrators with the services they are for.
	Delegates Answer[map[orgs.AccountID][]string]
	// StackSets says whether StackSets may act in the organization.
	StackSets Answer[bool]
	// Policies are the service control policies with what they are attached to.
	Policies Answer[[]Policy]
	// LandingZone is AWS Control Tower's; nil when there is none.
	LandingZone Answer[*LandingZone]
	// Trails are the organization's trails.
	Trails   Answer[[]Trail]
	Accounts []Account // active ones that are not left out, by number
}

// Policy is a service control policy.
type Policy struct {
	ID, Name string
	Targets  []string // ids of roots, OUs and accounts
}

// Guardrail says that Control Tower made the policy, as far as the name tells.
// https://docs.aws.amazon.com/controltower/latest/userguide/scp-effects.html
func (p Policy) Guardrail() bool { return strings.HasPrefix(p.Name, "aws-guardrails-") }

// LandingZone is AWS Control Tower's.
type LandingZone struct {
	Home, Version, Latest string
	Drifted               bool
	Status                string
	Regions               []string // governed
	LogArchive, Audit     orgs.AccountID
	// Enrolled are the OUs with a baseline of Control Tower's.
	Enrolled []orgs.NodeID
}

// Trail is a trail of the whole organization.
type Trail struct {
	Name, Home, Bucket string
	MultiRegion        bool
}

// Account is what was found in one account.
type Account struct {
	orgs.Account
	// Enter says why the account cannot be entered; nil when it can.
	Enter error
	// Regions are those that are on.
	Regions Answer[[]string]
	Cells   []Cell // the Regions looked at, sorted
	// Rights are what the access role may do here.
	Rights Answer[Rights]
}

// Governed says that Control Tower has a recorder in the account: its guardrail then
// lets nobody else change recorders and channels there.
func (a Account) Governed() bool {
	return slices.ContainsFunc(a.Cells, func(c Cell) bool { return c.Customer().Owner() == ControlTower })
}

// Cell is one account × Region.
type Cell struct {
	Region    string
	Recorders Answer[[]Recorder]
	Channel   Answer[string] // the delivery channel's name; "" for none
}

// Recorder is a configuration recorder.
type Recorder struct {
	Name string
	// Service is the service principal of a service-linked recorder.
	Service string
}

// Owner says whose a recorder or a delivery channel is.
type Owner string

// The owners, as far as names and service principals tell.
const (
	Nobody        Owner = "none"
	Ours          Owner = "ours"
	ControlTower  Owner = "Control Tower"
	Foreign       Owner = "foreign"
	ServiceLinked Owner = "service-linked"
)

// ownName is what orgguard calls the recorders and channels it makes.
const ownName = "orgguard"

// Names that Control Tower gives in an account that it governs.
// https://docs.aws.amazon.com/controltower/latest/userguide/config-costs.html
const (
	towerRecorder = "aws-controltower-BaselineConfigRecorder"
	towerChannel  = "aws-controltower-BaselineConfigDeliveryChannel"
)

// Owner says whose the recorder is.
func (r Recorder) Owner() Owner {
	if r.Service != "" {
		return ServiceLinked
	}
	return ownerOf(r.Name)
}

// ownerOf is the owner of a customer managed recorder or channel of this name.
func ownerOf(name string) Owner {
	switch name {
	case "":
		return Nobody
	case ownName:
		return Ours
	case towerRecorder, towerChannel:
		return ControlTower
	}
	return Foreign
}

// ChannelOwner says whose the delivery channel is.
func (c Cell) ChannelOwner() Owner { return ownerOf(c.Channel.Value) }

// Customer is the customer managed recorder, of which there is one at most; the
// zero Recorder when there is none.
func (c Cell) Customer() Recorder {
	for _, r := range c.Recorders.Value {
		if r.Service == "" {
			return r
		}
	}
	return Recorder{}
}

// Rights are the actions that a simulation refused a principal.
type Rights struct {
	Principal string   // ARN of the role or user that was simulated
	Denied    []Denial // by action
}

// Denial is a refused action.
type Denial struct {
	Action string
	// Explicit says that a policy denies it; otherwise none allows it.
	Explicit bool
	// Organization says that the SCPs refuse it.
	Organization bool
}
