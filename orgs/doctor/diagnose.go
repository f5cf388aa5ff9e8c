package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/survey"
)

// NoCredentials are the checks when nobody knows who is calling.
func NoCredentials(err error, fix string) []Check {
	return []Check{{ID: "credentials", Severity: Unknown, What: orgs.Reason(err), Why: why("credentials"), Fix: fix}}
}

// NoOrganization are the checks when the organization cannot be read.
func NoOrganization(caller string, err error, fix string) []Check {
	severity := Unknown
	if orgs.Code(err) == "AWSOrganizationsNotInUseException" || orgs.Denied(err) {
		severity = Blocker // nothing is unclear about it
	}
	return []Check{
		{ID: "credentials", Severity: OK, What: "calling as " + caller, Why: why("credentials")},
		{ID: "organization", Severity: severity, What: orgs.Reason(err), Why: why("organization"), Fix: fix},
	}
}

// NoFit are the checks when the configuration does not fit the organization.
func NoFit(caller string, org *orgs.Organization, err error) []Check {
	return []Check{
		{ID: "configuration", Severity: Blocker, What: err.Error(), Why: why("configuration"), Fix: "correct the configuration, or let orgguard write one: orgguard init --out FILE"},
		{ID: "credentials", Severity: OK, What: "calling as " + caller, Why: why("credentials")},
		{ID: "organization", Severity: OK, What: "organization " + org.ID + " can be read", Why: why("organization")},
	}
}

// Diagnose judges a survey.
func Diagnose(s *survey.Survey, in Intent) []Check {
	d := &diagnosis{s: s, in: in}
	d.add("credentials", OK, "calling as %s", s.Caller.ARN)
	d.clock()
	d.organization()
	d.position()
	d.trustedAccess()
	d.scpType()
	d.scpQuota()
	d.controlTower()
	d.access()
	d.regions()
	d.recorders()
	d.stackSets()
	d.aggregator()
	d.services()
	d.schedule()
	d.journal()
	d.permissions()
	Sort(d.checks)
	return d.checks
}

// diagnosis collects checks.
type diagnosis struct {
	s      *survey.Survey
	in     Intent
	checks []Check
}

// add adds a check about the whole organization and returns it.
func (d *diagnosis) add(id string, severity Severity, format string, args ...any) *Check {
	d.checks = append(d.checks, Check{ID: id, Severity: severity, What: fmt.Sprintf(format, args...), Why: why(id)})
	return &d.checks[len(d.checks)-1]
}

// at adds a check about one account.
func (d *diagnosis) at(id string, severity Severity, a orgs.Account, format string, args ...any) *Check {
	c := d.add(id, severity, format, args...)
	c.Account, c.AccountName, c.OUPath = string(a.ID), a.Name, d.s.Org.PathName(a.Parent)
	return c
}

// blind adds that nobody could look.
func (d *diagnosis) blind(id string, err error) {
	c := d.add(id, Unknown, "%s", orgs.Reason(err))
	if orgs.Denied(err) {
		c.Fix = "orgguard permissions --command doctor"
	}
}

// journal judges the bucket where the journal is kept. What S3 says of the bucket
// itself comes with advice; anything else may pass.
func (d *diagnosis) journal() {
	j := d.in.Journal
	var h *orgs.Hinted
	switch {
	case j.Bucket == "":
		d.add("journal", OK, "the journal is kept where orgguard runs, and in no bucket")
	case j.Err == nil:
		d.add("journal", OK, "the journal is kept in %s too, which can be read", j.Bucket)
	case errors.As(j.Err, &h):
		d.add("journal", Blocker, "%s: %s", j.Bucket, orgs.Reason(j.Err)).Fix = h.Next
	default:
		d.add("journal", Unknown, "%s: %s", j.Bucket, orgs.Reason(j.Err))
	}
}

func (d *diagnosis) clock() {
	skew := d.s.Skew
	switch {
	case !skew.Known():
		d.add("clock", Info, "no answer said what time it is")
	case !survey.Tolerable(skew.Value):
		d.add("clock", Warning, "the local clock is %s off AWS's", skew.Value.Abs()).Fix = "set the clock (chronyc makestep, or w32tm /resync)"
	default:
		d.add("clock", OK, "the local clock is right to %s", max(skew.Value.Abs(), time.Second))
	}
}

func (d *diagnosis) organization() {
	active := 0
	for _, a := range d.s.Org.Accounts {
		if a.State == orgs.StateActive {
			active++
		}
	}
	d.add("organization", OK, "organization %s has %d accounts (%d active) in %d OUs", d.s.Org.ID, len(d.s.Org.Accounts), active, len(d.s.Org.OUs)-1)
	if d.s.Org.AllFeatures {
		d.add("features", OK, "all features are enabled")
		return
	}
	d.add("features", Blocker, "the organization has consolidated billing only").Fix = "aws organizations enable-all-features"
}

// stackSetsService is what a delegated administrator must be registered for.
const stackSetsService = "member.org.stacksets.cloudformation.amazonaws.com"

func (d *diagnosis) position() {
	switch who := d.s.Caller.Account; d.s.Position {
	case survey.Management:
		d.add("position", OK, "%s is the management account", who)
	case survey.Delegated:
		services := d.s.Delegates.Value[who]
		if slices.Contains(services, stackSetsService) {
			d.add("position", Info, "%s is a delegated administrator: the SCP, trusted access and the management account's own stacks need the management account, or a resource policy that delegates them", who)
			return
		}
		d.add("position", Blocker, "%s is a delegated administrator for %s, but not for StackSets", who, list(services, 3)).Fix =
			fmt.Sprintf("aws organizations register-delegated-administrator --account-id %s --service-principal %s", who, stackSetsService)
	default:
		if d.s.Delegates.Err != nil {
			d.blind("position", d.s.Delegates.Err)
			return
		}
		d.add("position", Blocker, "%s is an ordinary member account", who).Fix = "run orgguard with credentials of the management account " + string(d.s.Org.ManagementAccount)
	}
}

const activate = "aws cloudformation activate-organizations-access"

func (d *diagnosis) trustedAccess() {
	switch a := d.s.StackSets; {
	case a.Err != nil:
		d.blind("trusted-access", a.Err)
	case a.Value:
		d.add("trusted-access", OK, "StackSets may act in the organization")
	case d.s.Position == survey.Management && d.s.Org.AllFeatures:
		d.add("trusted-access", Info, "StackSets may not act in the organization yet: a rollout activates it").Fix = "orgguard rollout"
	default:
		d.add("trusted-access", Blocker, "StackSets may not act in the organization, and only the management account can change that").Fix = activate
	}
}

func (d *diagnosis) scpType() {
	if d.in.Policy.Name == "" {
		return
	}
	switch status := d.s.Org.SCPStatus; {
	case status == orgs.PolicyTypeEnabled:
		d.add("scp-type", OK, "service control policies are enabled")
	case status == orgs.PolicyTypePendingDisable:
		d.add("scp-type", Blocker, "somebody is disabling service control policies right now").Fix =
			"aws organizations enable-policy-type --policy-type SERVICE_CONTROL_POLICY --root-id " + string(d.s.Org.Root)
	case d.s.Position == survey.Management:
		d.add("scp-type", Info, "service control policies are not enabled yet: a rollout enables them").Fix = "orgguard rollout"
	default:
		d.add("scp-type", Blocker, "service control policies are not enabled, and only the management account can change that").Fix =
			"aws organizations enable-policy-type --policy-type SERVICE_CONTROL_POLICY --root-id " + string(d.s.Org.Root)
	}
}

// scpQuota counts the policies on every node that ours goes to, with those of
// Control Tower told apart, and checks our own length.
func (d *diagnosis) scpQuota() {
	p := d.in.Policy
	if p.Name == "" {
		d.add("scp-quota", Info, "the SCP is off in the configuration")
		return
	}
	if q := d.in.Size; p.Characters > q.Value {
		d.add("scp-size", Blocker, "policy %s has %d characters and AWS takes %d", p.Name, p.Characters, q.Value).Fix = "name fewer exempt_roles, or cover several with one pattern"
	} else {
		d.add("scp-size", OK, "policy %s has %d of %d characters", p.Name, p.Characters, q.Value)
	}
	d.checks[len(d.checks)-1].Source = source(d.in.Size)
	if d.s.Policies.Err != nil {
		d.blind("scp-quota", d.s.Policies.Err)
		return
	}
	for _, node := range p.Nodes {
		var names []string
		ours, tower := false, 0
		for _, have := range d.s.Policies.Value {
			if !slices.Contains(have.Targets, string(node)) {
				continue
			}
			names = append(names, have.Name)
			ours = ours || have.Name == p.Name
			if have.Guardrail() {
				tower++
			}
		}
		need := len(names)
		if !ours {
			need++
		}
		what := fmt.Sprintf("%s (%s): %d of %d policies", d.s.Org.PathName(node), node, len(names), d.in.PerNode.Value)
		if tower > 0 {
			what += fmt.Sprintf(", %d of them AWS Control Tower's", tower)
		}
		c := d.add("scp-quota", OK, "%s", what)
		c.Source = source(d.in.PerNode)
		switch {
		case need > d.in.PerNode.Value:
			c.Severity, c.What = Blocker, what+", and ours needs a place: "+strings.Join(names, ", ")
			c.Fix = fmt.Sprintf("merge two of them, or detach one: aws organizations detach-policy --target-id %s --policy-id ID", node)
		case ours:
			c.What += ", ours among them"
		}
	}
}

func source(q Quota) string { return q.Source + " (read " + q.Date + ")" }

func (d *diagnosis) controlTower() {
	switch z := d.s.LandingZone; {
	case !z.Asked:
		d.add("control-tower", Info, "only the management account can ask AWS Control Tower; recorders that it made are known by their names")
	case z.Err != nil:
		d.blind("control-tower", z.Err)
	case z.Value == nil:
		d.add("control-tower", OK, "there is no landing zone")
	default:
		d.landingZone(z.Value)
	}
}

func (d *diagnosis) landingZone(z *survey.LandingZone) {
	var names []string
	for _, id := range z.Enrolled {
		names = append(names, d.s.Org.PathName(id))
	}
	slices.Sort(names)
	d.add("control-tower", Info, "landing zone %s in %s governs %s in %s: there its recorder stays, and orgguard audits it", z.Version, z.Home, list(names, 8), strings.Join(z.Regions, ", "))
	if z.Drifted {
		d.add("control-tower", Warning, "the landing zone has drifted").Fix = "aws controltower reset-landing-zone --landing-zone-identifier ARN"
	}
	if z.Status != "" && z.Status != "ACTIVE" {
		d.add("control-tower", Warning, "the landing zone is %s: its accounts may change while a rollout is under way", z.Status).Fix = "wait until it is ACTIVE"
	}
	if z.Latest != "" && z.Latest != z.Version {
		d.add("control-tower", Info, "landing zone %s is behind %s", z.Version, z.Latest)
	}
	if d.in.Security != "" && z.Audit != "" && z.Audit != d.in.Security {
		d.add("control-tower", Warning, "the security account is %s, and AWS Control Tower's audit account %s", d.in.Security, z.Audit).Fix =
			fmt.Sprintf("think about security_account: %q", z.Audit)
	}
}

func (d *diagnosis) access() {
	entered := 0
	for _, a := range d.s.Accounts {
		if a.Enter == nil {
			entered++
			continue
		}
		d.at("account-access", Blocker, a.Account, "%s", orgs.Reason(a.Enter)).Fix =
			"orgguard bootstrap   # or leave the account out: organization.exclude, with a reason"
	}
	if entered > 0 {
		d.add("account-access", OK, "%d of %d accounts can be entered as %s", entered, len(d.s.Accounts), d.in.Role)
	}
}

// regions compares the Regions that the baseline covers with those that are on:
// CloudFormation deploys to a Region only where the account and the management
// account both have it enabled.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-opt-in-regions.html
func (d *diagnosis) regions() {
	home, known := map[string]bool{}, false
	for _, a := range d.s.Accounts {
		if a.ID == d.s.Org.ManagementAccount && a.Regions.Known() {
			known = true
			for _, r := range a.Regions.Value {
				home[r] = true
			}
		}
	}
	bad := len(d.checks)
	behind := map[string]int{} // opt-in Regions that members have and the management account has not
	for _, a := range d.s.Accounts {
		switch {
		case a.Enter != nil:
		case a.Regions.Err != nil:
			c := d.at("regions", Unknown, a.Account, "%s", orgs.Reason(a.Regions.Err))
			c.Fix = "orgguard permissions --command doctor"
		default:
			d.regionsOf(a)
			for _, r := range a.Regions.Value {
				if known && !home[r] && (d.in.AllEnabled || slices.Contains(d.in.Regions, r)) {
					behind[r]++
				}
			}
		}
	}
	for _, r := range slices.Sorted(maps.Keys(behind)) {
		c := d.add("regions", Blocker, "%s is enabled in %d member accounts and not in the management account: StackSets deploys nothing there", r, behind[r])
		c.Region, c.Fix = r, fmt.Sprintf("aws account enable-region --region-name %s   # in the management account", r)
	}
	if len(d.checks) == bad {
		what := strings.Join(d.in.Regions, ", ")
		if d.in.AllEnabled {
			what = "the Regions of the baseline"
		}
		d.add("regions", OK, "%s are on in every account that can be entered", what)
	}
}

func (d *diagnosis) regionsOf(a survey.Account) {
	var off []string
	for _, r := range d.in.Regions {
		if !slices.Contains(a.Regions.Value, r) {
			off = append(off, r)
		}
	}
	switch {
	case len(off) == 0:
	case slices.Contains(off, d.in.Home):
		c := d.at("regions", Blocker, a.Account, "the home Region %s is off: the account's roles are made there", d.in.Home)
		c.Region, c.Fix = d.in.Home, fmt.Sprintf("aws account enable-region --account-id %s --region-name %s", a.ID, d.in.Home)
	default:
		d.at("regions", Info, a.Account, "%s is off and will be left out", strings.Join(off, ", "))
	}
}

// recorders tells whose the recorders and channels are that are there already.
func (d *diagnosis) recorders() {
	counts := map[survey.Owner]int{}
	cells := 0
	for _, a := range d.s.Accounts {
		cells += len(a.Cells)
		d.recordersOf(a, counts)
	}
	if cells == 0 {
		return
	}
	var parts []string
	for _, o := range []survey.Owner{survey.Nobody, survey.Ours, survey.ControlTower, survey.Foreign, survey.ServiceLinked} {
		if n := counts[o]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, o))
		}
	}
	d.add("recorders", OK, "recorders in %d accounts × Regions: %s", cells, strings.Join(parts, ", "))
}

func (d *diagnosis) recordersOf(a survey.Account, counts map[survey.Owner]int) {
	type kind struct{ owner, name string }
	regions := map[kind][]string{}
	for _, c := range a.Cells {
		if err := cmp.Or(c.Recorders.Err, c.Channel.Err); err != nil {
			check := d.at("recorders", Unknown, a.Account, "%s", orgs.Reason(err))
			check.Region = c.Region
			if orgs.Denied(err) {
				check.Fix = "orgguard permissions --command doctor"
			}
			continue
		}
		customer := c.Customer()
		owner := customer.Owner()
		counts[owner]++
		for _, r := range c.Recorders.Value {
			if r.Service != "" {
				counts[survey.ServiceLinked]++
			}
		}
		switch name := customer.Name; {
		case owner == survey.Foreign || owner == survey.ControlTower:
			k := kind{string(owner), "recorder " + name}
			regions[k] = append(regions[k], c.Region)
		case owner == survey.Nobody && c.Channel.Value != "":
			k := kind{string(c.ChannelOwner()), "delivery channel " + c.Channel.Value + " without a recorder"}
			regions[k] = append(regions[k], c.Region)
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(regions), func(a, b kind) int { return strings.Compare(a.name, b.name) }) {
		what := k.name + " in " + strings.Join(regions[k], ", ")
		switch {
		case k.owner == string(survey.ControlTower):
			d.at("recorders", Info, a.Account, "%s is AWS Control Tower's: it is audited, not touched", what)
		case d.in.Existing == "keep" || d.in.Existing == "":
			d.at("recorders", Info, a.Account, "%s was there before: it is left alone", what)
		case d.in.Existing == "adopt":
			d.at("recorders", Warning, a.Account, "%s was there before: a rollout adopts it, which changes its settings", what).Fix =
				"orgguard plan   # shows what changes; baseline.config-recorder: {existing: keep} leaves it alone"
		case d.in.Existing == "replace":
			d.at("recorders", Warning, a.Account, "%s was there before: a rollout deletes it and puts orgguard's in its place", what).Fix =
				"orgguard plan   # shows what is deleted; baseline.config-recorder: {existing: adopt} brings it in line instead, {existing: keep} leaves it alone"
		default:
			d.at("recorders", Warning, a.Account, "%s was there before (existing: %s)", what, d.in.Existing).Fix = "orgguard plan   # shows what becomes of it"
		}
	}
}

func (d *diagnosis) stackSets() {
	for _, s := range d.in.StackSets {
		c := d.add("stackset-size", OK, "stack set %s: %d of %d instances", s.Name, s.Instances, MaxInstances.Value)
		c.Source = source(MaxInstances)
		switch {
		case s.Instances > MaxInstances.Value:
			c.Severity = Info
			c.What += fmt.Sprintf(": a rollout shares them out among at least %d stack sets, %s-2 and so on, Region by Region, and what has its place stays there", (s.Instances*10+MaxInstances.Value*9-1)/(MaxInstances.Value*9), s.Name)
		case s.Instances*10 > MaxInstances.Value*9:
			c.Severity = Warning
			c.Fix = "ask AWS Support for more stack instances in a stack set before the next accounts join"
		}
	}
}

// services tells what a rollout leaves to others.
func (d *diagnosis) services() {
	for _, s := range d.in.Services {
		a, _ := d.s.Org.Account(s.Account)
		if s.Err != nil {
			c := d.at("services", Unknown, a, "%s: %s", s.Control, orgs.Reason(s.Err))
			c.Region = list(s.Regions, 3)
			if orgs.Denied(s.Err) {
				c.Fix = "orgguard permissions --command doctor"
			}
			continue
		}
		c := d.at("services", Warning, a, "%s: %s", s.Control, s.What)
		c.Region, c.Fix = list(s.Regions, 3), s.Next
	}
	if len(d.in.Services) == 0 {
		d.add("services", OK, "nobody else decides about the services that are on")
	}
}

// aggregator says whether audits have an aggregator to ask, where they would.
func (d *diagnosis) aggregator() {
	s := d.in.Sweep
	large := s.Cells >= s.From
	switch {
	case s.Aggregator != "" && large:
		d.add("aggregator", OK, "audits of these %d accounts × Regions ask %s, and the accounts where it is not sure", s.Cells, s.Aggregator)
	case s.Aggregator != "":
		d.add("aggregator", OK, "%s is there; audits of these %d accounts × Regions ask it with --sweep, and by themselves from %d on", s.Aggregator, s.Cells, s.From)
	case s.Err != nil && large:
		d.blind("aggregator", s.Err)
	case !large:
		d.add("aggregator", OK, "audits of these %d accounts × Regions ask the accounts, which is soon done", s.Cells)
	default:
		c := d.add("aggregator", Warning, "no aggregator of the organization is in account %s or in the management account in %s: audits ask each of %d accounts × Regions about everything", d.in.Security, d.in.Home, s.Cells)
		c.Fix = "aws configservice put-configuration-aggregator, with an organization aggregation source of all Regions, in account " + string(d.in.Security) + "; or name the one there is in audit.aggregator"
		c.Source = "https://docs.aws.amazon.com/config/latest/developerguide/aggregate-data.html"
	}
}

// schedule says which engine the scheduled audit has, and why.
func (d *diagnosis) schedule() {
	switch {
	case d.in.Schedule == "":
	case d.in.Overdone:
		c := d.add("schedule", Warning, "%s", d.in.Schedule)
		c.Fix = "orgguard schedule install --engine stepfunctions   # or schedule: {engine: auto} in the configuration"
		c.Source = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"
	default:
		d.add("schedule", OK, "%s", d.in.Schedule)
	}
}

// list names a few things and counts the rest.
func list(names []string, most int) string {
	switch {
	case len(names) == 0:
		return "nothing"
	case len(names) <= most:
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
