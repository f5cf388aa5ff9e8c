package sim

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgguard/orgguard/scp"
)

// orgState is the organization: its tree, its policies and its integrations.
type orgState struct {
	ID                string                       `json:"id"`
	RootID            string                       `json:"root_id"`
	ManagementAccount string                       `json:"management_account"`
	FeatureSet        types.OrganizationFeatureSet `json:"feature_set"`

	Units    map[string]*orgUnit    `json:"units"`    // by OU id
	Accounts map[string]*orgAccount `json:"accounts"` // by account id
	Policies map[string]*orgPolicy  `json:"policies"` // by policy id; AWS managed ones are here too
	// Attached holds the ids of the policies attached to a root, OU or
	// account, sorted, by the target's id.
	Attached map[string][]string `json:"attached"`
	// Types holds the policy types that are on or on their way; a type that
	// is off has no entry, as in ListRoots.
	Types map[types.PolicyType]*policyTypeState `json:"types"`
	// Services is trusted access: when it was enabled, by service principal.
	Services map[string]time.Time `json:"services"`
	// Delegated holds delegated administrators: when each was registered,
	// by account id and service principal.
	Delegated map[string]map[string]time.Time `json:"delegated"`
	// Admins holds the administrators of services that have one in each Region,
	// by service principal and Region.
	Admins map[string]map[string]string `json:"admins,omitempty"`
	// HubPolicySince is when a Security Hub policy was changed last.
	HubPolicySince time.Time `json:"hub_policy_since,omitzero"`
	// LandingZone is AWS Control Tower's, if there is one.
	LandingZone *landingZone                 `json:"landing_zone,omitempty"`
	Tags        map[string]map[string]string `json:"tags"` // by id of a root, OU, account or policy
	Created     map[string]*accountCreation  `json:"created"`
	// ResourcePolicy is the organization's delegation policy; "" for none.
	ResourcePolicy string `json:"resource_policy,omitempty"`

	// NoPaths makes the API that of before March 2026, without Account.Paths
	// and OrganizationalUnit.Path; StatusOnly that of before September 2025,
	// with Account.Status and without Account.State.
	NoPaths    bool `json:"no_paths,omitempty"`
	StatusOnly bool `json:"status_only,omitempty"`

	index *orgIndex // made on demand; dropped by orgChanged
}

// orgUnit is an organizational unit.
type orgUnit struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Parent string `json:"parent"` // root or OU id
}

// orgAccount is an account as a member of the organization.
type orgAccount struct {
	ID     string                    `json:"id"`
	Name   string                    `json:"name"`
	Email  string                    `json:"email"`
	Parent string                    `json:"parent"` // root or OU id
	State  types.AccountState        `json:"state"`
	Method types.AccountJoinedMethod `json:"method"`
	Joined time.Time                 `json:"joined"`
}

// orgPolicy is a policy of any type.
type orgPolicy struct {
	ID          string           `json:"id"`
	Name        string           `json:"name"`
	Description string           `json:"description,omitempty"`
	Type        types.PolicyType `json:"type"`
	Content     string           `json:"content"`
	AWSManaged  bool             `json:"aws_managed,omitempty"`
}

// policyTypeState is a policy type in the root. Enabling and disabling are
// asynchronous: a pending state becomes final at Ready.
type policyTypeState struct {
	Status types.PolicyTypeStatus `json:"status"`
	Ready  time.Time              `json:"ready,omitzero"`
}

// accountCreation is one CreateAccount request.
type accountCreation struct {
	ID        string                           `json:"id"`
	Name      string                           `json:"name"`
	AccountID string                           `json:"account_id,omitempty"`
	Requested time.Time                        `json:"requested"`
	Failure   types.CreateAccountFailureReason `json:"failure,omitempty"`
}

// orgIndex is what would be slow to find out again for every page of a
// listing of ten thousand accounts.
type orgIndex struct {
	accounts []string                // all account ids, sorted
	children map[string][]string     // account ids directly under a root or OU, sorted
	units    map[string][]string     // OU ids directly under a root or OU, sorted
	targets  map[string][]string     // what a policy is attached to, sorted
	scps     map[string][]scp.Policy // a target's SCPs, parsed, on demand
}

// orgChanged forgets everything derived from the organization. Every write to
// it calls this.
func (w *World) orgChanged() {
	w.state.Org.index = nil
	clear(w.evaluators)
}

// orgIndex returns the index of the organization, making it when needed.
func (w *World) orgIndex() *orgIndex {
	o := &w.state.Org
	if o.index != nil {
		return o.index
	}
	x := &orgIndex{
		accounts: slices.Sorted(maps.Keys(o.Accounts)),
		children: map[string][]string{},
		units:    map[string][]string{},
		targets:  map[string][]string{},
		scps:     map[string][]scp.Policy{},
	}
	for _, id := range x.accounts {
		parent := o.Accounts[id].Parent
		x.children[parent] = append(x.children[parent], id)
	}
	for _, id := range slices.Sorted(maps.Keys(o.Units)) {
		parent := o.Units[id].Parent
		x.units[parent] = append(x.units[parent], id)
	}
	for _, target := range slices.Sorted(maps.Keys(o.Attached)) {
		for _, policy := range o.Attached[target] {
			x.targets[policy] = append(x.targets[policy], target)
		}
	}
	o.index = x
	return x
}

// orgPath returns the nodes from the root down to the parent of an account or
// OU: the root's id, then OU ids. It is nil for what is not in the
// organization, and for the root itself.
func (w *World) orgPath(id string) []string {
	o := &w.state.Org
	var up []string
	for node := w.orgParent(id); node != ""; node = w.orgParent(node) {
		up = append(up, node)
		if node == o.RootID {
			slices.Reverse(up)
			return up
		}
	}
	return nil
}

// orgParent returns the id of the root or OU that holds an account or OU; ""
// when there is none.
func (w *World) orgParent(id string) string {
	if a := w.state.Org.Accounts[id]; a != nil {
		return a.Parent
	}
	if u := w.state.Org.Units[id]; u != nil {
		return u.Parent
	}
	return ""
}

// accountsUnder returns the ids of all accounts in a root or OU and the OUs
// below it, sorted. An account's own id gives that account.
func (w *World) accountsUnder(node string) []string {
	if w.state.Org.Accounts[node] != nil {
		return []string{node}
	}
	x := w.orgIndex()
	var out []string
	var walk func(string)
	walk = func(n string) {
		out = append(out, x.children[n]...)
		for _, unit := range x.units[n] {
			walk(unit)
		}
	}
	walk(node)
	slices.Sort(out)
	return out
}

// accountInState returns the state of an account ("ACTIVE", "SUSPENDED", ...);
// "" when it is not in the organization.
func (w *World) accountInState(id string) string {
	if a := w.state.Org.Accounts[id]; a != nil {
		return string(a.State)
	}
	return ""
}

// isDelegatedAdmin says whether an account is a delegated administrator for a
// service; with "" for any service.
func (w *World) isDelegatedAdmin(account, servicePrincipal string) bool {
	services := w.state.Org.Delegated[account]
	if servicePrincipal == "" {
		return len(services) > 0
	}
	_, ok := services[servicePrincipal]
	return ok
}

// trustedAccess says whether a service has trusted access to the organization.
func (w *World) trustedAccess(servicePrincipal string) bool {
	_, ok := w.state.Org.Services[servicePrincipal]
	return ok
}

// setTrustedAccess turns trusted access of a service on or off.
// ActivateOrganizationsAccess of CloudFormation does this too.
func (w *World) setTrustedAccess(servicePrincipal string, on bool, now time.Time) {
	o := &w.state.Org
	if !on {
		delete(o.Services, servicePrincipal)
		return
	}
	if _, already := o.Services[servicePrincipal]; already {
		return
	}
	if o.Services == nil {
		o.Services = map[string]time.Time{}
	}
	o.Services[servicePrincipal] = now
}

// nodeExists says whether id is the root or an OU.
func (o *orgState) nodeExists(id string) bool {
	return id == o.RootID || o.Units[id] != nil
}

// targetExists says whether id is something policies and tags attach to.
func (o *orgState) targetExists(id string) bool {
	return o.nodeExists(id) || o.Accounts[id] != nil
}

// typeEnabled says whether a policy type is on, not counting pending ones.
func (o *orgState) typeEnabled(t types.PolicyType) bool {
	s := o.Types[t]
	return s != nil && s.Status == types.PolicyTypeStatusEnabled
}

// attachedOf returns the ids of a target's policies of one type, sorted.
func (o *orgState) attachedOf(target string, t types.PolicyType) []string {
	var out []string
	for _, id := range o.Attached[target] {
		if p := o.Policies[id]; p != nil && p.Type == t {
			out = append(out, id)
		}
	}
	return out
}

// attach attaches a policy to a target; attaching it twice changes nothing.
func (o *orgState) attach(policy, target string) {
	if o.Attached == nil {
		o.Attached = map[string][]string{}
	}
	list := o.Attached[target]
	if i, found := slices.BinarySearch(list, policy); !found {
		o.Attached[target] = slices.Insert(list, i, policy)
	}
}

// detach detaches a policy from a target and says whether it was attached.
func (o *orgState) detach(policy, target string) bool {
	list := o.Attached[target]
	i, found := slices.BinarySearch(list, policy)
	if !found {
		return false
	}
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(o.Attached, target)
	} else {
		o.Attached[target] = list
	}
	return true
}

// policiesAt returns a target's SCPs for the evaluator, named by their ids. A stored policy was
// parsed when it was created, so parsing it again cannot fail; one edited by
// hand in a sandbox file might, and then counts as absent.
func (w *World) policiesAt(target string) []scp.Policy {
	o, x := &w.state.Org, w.orgIndex()
	out, ok := x.scps[target]
	if ok {
		return out
	}
	for _, id := range o.attachedOf(target, types.PolicyTypeServiceControlPolicy) {
		p := o.Policies[id]
		if doc, err := scp.Parse(p.Name, []byte(p.Content)); err == nil {
			out = append(out, scp.Policy{ID: p.ID, Document: doc})
		}
	}
	x.scps[target] = out
	return out
}

// organizationPath is the path of an account or OU in the form of
// Account.Paths: organization, root, OUs and the thing itself.
func (w *World) organizationPath(id string) string {
	nodes := append([]string{w.state.Org.ID}, w.orgPath(id)...)
	return strings.Join(append(nodes, id), "/") + "/"
}

// principalOrgPath is an account's aws:PrincipalOrgPaths: like
// organizationPath but ending with the account's parent.
func (w *World) principalOrgPath(account string) string {
	return strings.Join(append([]string{w.state.Org.ID}, w.orgPath(account)...), "/") + "/"
}

// orgARN makes the ARN of something in the organization. They all name the
// management account, whoever asks.
func (w *World) orgARN(kind, id string) string {
	o := &w.state.Org
	arn := "arn:" + w.state.Partition + ":organizations::" + o.ManagementAccount + ":" + kind + "/" + o.ID
	if id != "" {
		arn += "/" + id
	}
	return arn
}

// policyARN makes a policy's ARN. AWS managed policies belong to no
// organization: arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess.
func (w *World) policyARN(p *orgPolicy) string {
	kind := strings.ToLower(string(p.Type))
	if p.AWSManaged {
		return "arn:" + w.state.Partition + ":organizations::aws:policy/" + kind + "/" + p.ID
	}
	return w.orgARN("policy", kind+"/"+p.ID)
}

// sortedBy sorts a slice by a string key and returns it.
func sortedBy[T any](items []T, key func(T) string) []T {
	slices.SortFunc(items, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	return items
}
