package sim

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/orgguard/orgguard/scp"
)

// World is one simulated AWS: an organization with its accounts, Regions and
// everything in them. It is safe for concurrent use. A World made by New lives
// in memory; one made by Open also lives in a file between commands.
type World struct {
	mu    sync.Mutex // guards everything below
	state *State

	sessions   map[string]session                    // by access key id; never saved
	evaluators map[string]*scp.Evaluator             // by account id; dropped when the organization changes
	identity   map[string]*scp.Evaluator             // by identity-policy digest
	functions  map[string]Function                   // by ARN; never saved
	program    Program                               // what functions run that CloudFormation made; never saved
	batch      func(context.Context, BatchJob) error // what runs jobs of AWS Batch; never saved
	busy       bool                                  // with what waits for functions
	faults     Faults
	timing     Timing
	now        func() time.Time
	calls      map[string]int      // "config:PutConfigurationRecorder" -> calls that reached the service
	late       map[string]lateItem // by ARN: what an aggregator has not heard of; never saved
	writes     int                 // writes so far in this process, for CrashAtWrite

	// services is the registry. It is a field, and not read from the package
	// variable by invoke, because handlers call invoke and Go refuses a
	// variable whose initial value depends on itself.
	services map[string]service

	process // inject.go

	templates map[string]*template // CloudFormation templates, parsed, by digest; made on demand

	file *file // nil when in memory only
}

// Timing says how long asynchronous work takes in the simulated world. The
// zero value does everything at once.
type Timing struct {
	// StackInstance is how long one wave of stack instances of an operation
	// takes; an operation takes as many waves as MaxConcurrent demands.
	StackInstance time.Duration
	// Queue is how long an operation stays QUEUED before it runs.
	Queue time.Duration
	// PolicyType is how long enabling a policy type stays pending.
	PolicyType time.Duration
	// HubPolicy is how long Security Hub policies take to reach the accounts.
	HubPolicy time.Duration
	// Recorder is how long a configuration recorder stays Pending after it
	// was started.
	Recorder time.Duration
	// LookupRate holds LookupEvents to AWS's two calls a second for each
	// account and Region.
	LookupRate bool
}

// session is what an access key stands for.
type session struct {
	principal Principal
	expires   time.Time // zero: never
	policy    string    // session policy given to AssumeRole; "" for none
}

// Principal is who makes a call.
type Principal struct {
	Type    scp.PrincipalType
	Account string
	// ARN is the caller's own ARN (for a role session the assumed-role ARN);
	// RoleARN is the role behind it, which is what aws:PrincipalArn holds.
	ARN, RoleARN string
}

// newWorld wraps a state.
func newWorld(s *State) *World {
	return &World{
		state:      s,
		sessions:   map[string]session{},
		evaluators: map[string]*scp.Evaluator{},
		identity:   map[string]*scp.Evaluator{},
		calls:      map[string]int{},
		now:        time.Now,
		services:   services,
	}
}

// Config returns an SDK configuration whose clients talk to this world as the
// given principal: pass it to any service's NewFromConfig. Signing, retries,
// pagination and input validation are the SDK's own; only the wire is missing.
func (w *World) Config(region string, p Principal) aws.Config {
	creds := w.credentials(p, "", time.Time{})
	return aws.Config{
		Region:      region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil }),
		APIOptions:  w.APIOptions(),
	}
}

// ManagementConfig is Config for the management account's administrator role,
// from where orgguard is usually run.
func (w *World) ManagementConfig(region string) aws.Config {
	w.mu.Lock()
	p := w.rolePrincipal(w.state.Org.ManagementAccount, "OrgAdmin", "orgguard")
	w.mu.Unlock()
	return w.Config(region, p)
}

// RolePrincipal is a session of the named role in an account, without asking
// whether the role exists or trusts anybody.
func (w *World) RolePrincipal(account, role, sessionName string) Principal {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rolePrincipal(account, role, sessionName)
}

func (w *World) rolePrincipal(account, role, sessionName string) Principal {
	path := ""
	if a := w.state.Accounts[account]; a != nil {
		if r := a.IAM.Roles[role]; r != nil && r.Path != "/" {
			path = r.Path[1:]
		}
	}
	return Principal{
		Type:    scp.PrincipalType("role"),
		Account: account,
		ARN:     fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s", w.state.Partition, account, role, sessionName),
		RoleARN: fmt.Sprintf("arn:%s:iam::%s:role/%s%s", w.state.Partition, account, path, role),
	}
}

// credentials mints an access key for a principal.
func (w *World) credentials(p Principal, policy string, expires time.Time) aws.Credentials {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mint(p, policy, expires)
}

// mint is credentials with w.mu held.
func (w *World) mint(p Principal, policy string, expires time.Time) aws.Credentials {
	key := fmt.Sprintf("ASIASIM%013d", len(w.sessions)+1)
	w.sessions[key] = session{principal: p, policy: policy, expires: expires}
	return aws.Credentials{
		AccessKeyID:     key,
		SecretAccessKey: "simulated",
		SessionToken:    "simulated",
		AccountID:       p.Account,
		CanExpire:       !expires.IsZero(),
		Expires:         expires,
		Source:          "orgguard sandbox",
	}
}

// Calls returns how many calls reached each operation, keyed
// "prefix:Operation", since the world was made or opened. Calls that SCPs
// refused are counted; calls that a fault swallowed are too.
func (w *World) Calls() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[string]int, len(w.calls))
	for k, v := range w.calls {
		out[k] = v
	}
	return out
}

// Writes is the number of calls since the world was made or opened that
// changed something.
func (w *World) Writes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

// SetTiming replaces the world's timing.
func (w *World) SetTiming(t Timing) { w.mu.Lock(); w.timing = t; w.mu.Unlock() }

// SetFaults replaces the world's faults; see Faults.
func (w *World) SetFaults(f Faults) { w.mu.Lock(); w.faults = f; w.mu.Unlock() }

// SetClock replaces the world's clock.
func (w *World) SetClock(now func() time.Time) { w.mu.Lock(); w.now = now; w.mu.Unlock() }
