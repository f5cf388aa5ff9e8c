package sim

import (
	"slices"
	"strings"
	"time"
)

// The limits of stack sets.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
const (
	maxStackSets         = 1_000
	maxStackInstances    = 100_000
	maxTargetUnits       = 50
	maxDependencies      = 10
	maxQueuedOperations  = 10_000
	stackSetsPrincipal   = "member.org.stacksets.cloudformation.amazonaws.com"
	stackSetsAdmin       = "stacksets.cloudformation.amazonaws.com" // owner of the management account's service-linked role
	defaultAdminRole     = "AWSCloudFormationStackSetAdministrationRole"
	defaultExecutionRole = "AWSCloudFormationStackSetExecutionRole"
	serviceManaged       = "SERVICE_MANAGED"
	selfManaged          = "SELF_MANAGED"
	administratorAccess  = "AdministratorAccess"
	executionRolePrefix  = "stacksets-exec-"
	notOrgAdministrator  = "You must be the management account or delegated admin account of an organization before operating a service managed stack set"
)

// stackSetsState is every stack set of the world, and the template bodies that
// stacks and stack sets share.
type stackSetsState struct {
	// Access is whether ActivateOrganizationsAccess was called:
	// "" (never), "ENABLED" or "DISABLED".
	Access    string            `json:"access,omitempty"`
	Sets      []*stackSet       `json:"sets,omitempty"`      // oldest first, deleted ones too
	Templates map[string]string `json:"templates,omitempty"` // body by digest
	// Active names the operations that are not finished, oldest first, and
	// Busy the stacks with work to do, so that nothing else has to be looked
	// at when time passes.
	Active []operationRef `json:"active,omitempty"`
	Busy   []string       `json:"busy,omitempty"`
}

// operationRef names an operation of a stack set.
type operationRef struct {
	Set       string `json:"set"` // stack set id
	Operation string `json:"operation"`
}

// stackSet is a stack set. A service-managed one belongs to the management
// account, also when a delegated administrator made it.
type stackSet struct {
	stackSetDefinition
	ID      string `json:"id"` // name:uuid
	Name    string `json:"name"`
	Account string `json:"account"`
	Region  string `json:"region"`
	Model   string `json:"model"`  // SERVICE_MANAGED or SELF_MANAGED
	Status  string `json:"status"` // ACTIVE or DELETED
	Token   string `json:"token,omitempty"`
	// Targets is the Regions instances were asked for, by root or OU: what
	// auto-deployment keeps up.
	Targets    map[string][]string `json:"targets,omitempty"`
	Instances  []*stackInstance    `json:"instances,omitempty"`  // by account and Region
	Operations []*setOperation     `json:"operations,omitempty"` // oldest first
	Drift      *setDrift           `json:"drift,omitempty"`
}

// stackSetDefinition is what UpdateStackSet can change.
type stackSetDefinition struct {
	Description   string            `json:"description,omitempty"`
	Template      string            `json:"template"` // digest
	Parameters    map[string]string `json:"parameters,omitempty"`
	Tags          map[string]string `json:"tags,omitempty"`
	Capabilities  []string          `json:"capabilities,omitempty"`
	AdminRole     string            `json:"admin_role,omitempty"` // ARN; SELF_MANAGED only
	ExecutionRole string            `json:"execution_role,omitempty"`
	Managed       bool              `json:"managed,omitempty"` // managed execution
	Auto          autoDeployment    `json:"auto,omitzero"`
}

// autoDeployment is what happens when accounts come and go.
type autoDeployment struct {
	Enabled   bool     `json:"enabled,omitempty"`
	Retain    bool     `json:"retain,omitempty"`
	DependsOn []string `json:"depends_on,omitempty"` // stack set ARNs
}

// stackInstance is a reference to a stack in an account × Region, whether or
// not the stack could be created.
type stackInstance struct {
	Account       string            `json:"account"`
	Region        string            `json:"region"`
	Unit          string            `json:"unit,omitempty"` // the targeted root or OU
	StackID       string            `json:"stack_id,omitempty"`
	Status        string            `json:"status"`   // CURRENT, OUTDATED or INOPERABLE
	Detailed      string            `json:"detailed"` // PENDING, RUNNING, SUCCEEDED, ...
	Reason        string            `json:"reason,omitempty"`
	Overrides     map[string]string `json:"overrides,omitempty"`
	LastOperation string            `json:"last_operation,omitempty"`
	Drift         string            `json:"drift,omitempty"` // "" is NOT_CHECKED
	DriftChecked  time.Time         `json:"drift_checked,omitzero"`
	Drifted       []resourceDrift   `json:"drifted,omitempty"`
}

// resourceDrift is one resource that is not as its template says.
type resourceDrift struct {
	Logical    string   `json:"logical"`
	Status     string   `json:"status"`               // MODIFIED or DELETED
	Properties []string `json:"properties,omitempty"` // that differ
}

// setDrift is the outcome of the last finished drift detection of a stack set.
type setDrift struct {
	Status  string    `json:"status"` // COMPLETED, PARTIAL_SUCCESS, FAILED or STOPPED
	Checked time.Time `json:"checked"`
	Drifted int       `json:"drifted"`
	InSync  int       `json:"in_sync"`
	Failed  int       `json:"failed"`
	Total   int       `json:"total"`
}

// setOperation is an operation on a stack set.
type setOperation struct {
	ID        string            `json:"id"`
	Action    string            `json:"action"` // CREATE, UPDATE, DELETE or DETECT_DRIFT
	Status    string            `json:"status"`
	Reason    string            `json:"reason,omitempty"`
	Created   time.Time         `json:"created"`
	Ended     time.Time         `json:"ended,omitzero"`
	Next      time.Time         `json:"next"` // when it can start, or the running wave ends
	Prefs     *preferences      `json:"prefs,omitempty"`
	Targets   *setTargets       `json:"targets,omitempty"` // as the caller gave them
	Retain    bool              `json:"retain,omitempty"`
	Auto      bool              `json:"auto,omitempty"` // started by auto-deployment
	WaitsFor  []operationRef    `json:"waits_for,omitempty"`
	NeedsAll  bool              `json:"needs_all,omitempty"` // those it waits for must succeed
	Items     []*operationItem  `json:"items,omitempty"`     // Region after Region
	Segments  []*regionSegment  `json:"segments,omitempty"`
	Exceeded  bool              `json:"exceeded,omitempty"` // the failure tolerance was
	Overrides map[string]string `json:"overrides,omitempty"`
	// Override says that Overrides replace the instances' own.
	Override bool `json:"override,omitempty"`
	// Definition is what UpdateStackSet makes of the set when it starts.
	Definition *stackSetDefinition `json:"definition,omitempty"`
}

// operationItem is one account × Region of an operation.
type operationItem struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	Unit    string `json:"unit,omitempty"`
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"`
}

// regionSegment is the items of one Region and how far the operation is with
// them.
type regionSegment struct {
	Region   string `json:"region"`
	From     int    `json:"from"`
	To       int    `json:"to"`
	Next     int    `json:"next"`    // first item that is still pending
	Running  int    `json:"running"` // items before Next that are under way
	Failures int    `json:"failures"`
}

// setTargets is where an operation was asked to act.
type setTargets struct {
	Units    []string `json:"units,omitempty"`
	Accounts []string `json:"accounts,omitempty"`
	Filter   string   `json:"filter,omitempty"`
	URL      string   `json:"url,omitempty"`
	Regions  []string `json:"regions,omitempty"`
}

// preferences is how an operation goes about it.
type preferences struct {
	MaxConcurrentCount   *int32   `json:"max_concurrent_count,omitempty"`
	MaxConcurrentPercent *int32   `json:"max_concurrent_percent,omitempty"`
	ToleranceCount       *int32   `json:"tolerance_count,omitempty"`
	TolerancePercent     *int32   `json:"tolerance_percent,omitempty"`
	Concurrency          string   `json:"concurrency,omitempty"`        // STRICT_ or SOFT_FAILURE_TOLERANCE
	RegionConcurrency    string   `json:"region_concurrency,omitempty"` // SEQUENTIAL or PARALLEL
	RegionOrder          []string `json:"region_order,omitempty"`
}

// arn is the stack set's ARN.
func (s *stackSet) arn(w *World) string { return w.cfnARN(s.Region, s.Account, "stackset/"+s.ID) }

// find returns where an account × Region is, or belongs, among the instances.
func (s *stackSet) find(account, region string) (int, bool) {
	return slices.BinarySearchFunc(s.Instances, account+"/"+region, func(i *stackInstance, key string) int {
		return strings.Compare(i.Account+"/"+i.Region, key)
	})
}

// instance returns the stack instance of an account × Region; nil when there
// is none.
func (s *stackSet) instance(account, region string) *stackInstance {
	if i, ok := s.find(account, region); ok {
		return s.Instances[i]
	}
	return nil
}

// sortInstances restores the order after instances were appended.
func (s *stackSet) sortInstances() {
	slices.SortFunc(s.Instances, func(a, b *stackInstance) int {
		return strings.Compare(a.Account+"/"+a.Region, b.Account+"/"+b.Region)
	})
}

// remove drops an instance.
func (s *stackSet) remove(account, region string) {
	if i, ok := s.find(account, region); ok {
		s.Instances = slices.Delete(s.Instances, i, i+1)
	}
}

// operation finds an operation by id.
func (s *stackSet) operation(id string) *setOperation {
	for i := len(s.Operations) - 1; i >= 0; i-- {
		if s.Operations[i].ID == id {
			return s.Operations[i]
		}
	}
	return nil
}

// active says whether an operation is not finished.
func (o *setOperation) active() bool {
	return o.Status == "QUEUED" || o.Status == "RUNNING" || o.Status == "STOPPING"
}

// activeOperations is the unfinished operations of a stack set, oldest first.
func (w *World) activeOperations(s *stackSet) []*setOperation {
	var out []*setOperation
	for _, ref := range w.state.StackSets.Active {
		if ref.Set == s.ID {
			if o := s.operation(ref.Operation); o != nil {
				out = append(out, o)
			}
		}
	}
	return out
}

// stackSetByID finds a stack set by its id; nil when there is none.
func (w *World) stackSetByID(id string) *stackSet {
	for _, s := range w.state.StackSets.Sets {
		if s.ID == id {
			return s
		}
	}
	return nil
}
