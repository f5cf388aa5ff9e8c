package baseline

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/plan"
	"github.com/orgguard/orgguard/orgs/sim"
)

// clean is a look at an organization in which everything is as it should be.
func clean(t *testing.T, b *Baseline) *Look {
	t.Helper()
	l := &Look{TrustedAccess: true, Sets: StackSets{}, stacks: map[string]orgs.Outcome[stackState]{}}
	for c, err := range b.cells(resolved{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.parts {
			in := Inspection{Account: c.account, Region: c.region, Resource: p.Resource, unit: p.unit}
			if c.account.State != orgs.StateActive {
				in.Off = fmt.Sprintf("the account is %s", c.account.State)
			}
			l.Inspected = append(l.Inspected, in)
			if c.account.State != orgs.StateActive || c.account.Excluded != "" {
				continue
			}
			if p.unit.everywhere() && c.account.ID != b.Org.ManagementAccount {
				set := l.Sets[p.unit.ID]
				if set == nil {
					set = &StackSet{Exists: true, Body: p.unit.body, Params: p.unit.params, Instances: map[string]Instance{}}
					l.Sets[p.unit.ID] = set
				}
				set.Instances[instanceKey(c.account.ID, c.region)] = Instance{Account: c.account.ID, Region: c.region, Status: "CURRENT", Detailed: "SUCCEEDED"}
				continue
			}
			l.stacks[stackKey(p.unit, c.account.ID, c.region)] = orgs.Outcome[stackState]{Value: stackState{Exists: true, Status: "CREATE_COMPLETE", Body: p.unit.body, Params: p.unit.params}}
		}
	}
	return l
}

// where changes what was inspected in an account × Region; "" means any.
func (l *Look) where(unit, account, region string, change func(*Inspection)) {
	for i := range l.Inspected {
		in := &l.Inspected[i]
		if (unit == "" || in.unit.ID == unit) && (account == "" || string(in.Account.ID) == account) && (region == "" || in.Region == region) {
			change(in)
		}
	}
}

func absent(in *Inspection) {
	in.Absent = true
	in.Mismatches = []Mismatch{{Reason: "missing: " + in.Resource.label(), Verb: "create"}}
}

// foreignRecorder puts somebody else's recorder and channel into a cell of the
// recorder unit.
func foreignRecorder(recorder, channel string) func(*Inspection) {
	return func(in *Inspection) {
		in.Mismatches = []Mismatch{{Reason: "the " + kinds[in.Resource.Type].noun + " differs"}}
		if in.Resource.Type == "AWS::Config::DeliveryChannel" {
			in.State = channelState{Name: channel, Settings: `{"Name":"` + channel + `"}`}
			return
		}
		in.State = recorderState{Name: recorder, Recording: true, Settings: `{"Name":"` + recorder + `"}`}
	}
}

// forget removes a cell's stack instance, or the whole stack set.
func (l *Look) forget(unit, account, region string) {
	delete(l.Sets[unit].Instances, account+"/"+region)
}

// summary is a proposal in words: what is done where, and what is skipped.
func summary(p Proposal) []string {
	var out []string
	for _, t := range p.Tasks {
		where := t.Account + " " + t.Region
		if t.Kind == "stack-set" {
			where = strings.Join(t.Targets, " ")
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s: %s %s: %s: %s", t.Stage, t.Verb, t.Resource, where, t.Why)))
	}
	for _, s := range p.Skipped {
		word := "skip"
		if s.Blocked {
			word = "BLOCKED"
		}
		out = append(out, fmt.Sprintf("%s %s %s %s: %s", word, s.Account, s.Region, s.Control, s.Reason))
	}
	return out
}

// proposeOrg is an organization of four accounts, one of them suspended.
func proposeOrg() *orgs.Organization {
	return orgs.New("o-plan000000", "100000000000", orgs.PartitionOf("us-east-1"),
		[]orgs.OU{{ID: "r-plan", Name: "Root"}, {ID: "ou-plan-aaaaaaaa", Name: "A", Parent: "r-plan"}, {ID: "ou-plan-bbbbbbbb", Name: "B", Parent: "r-plan"}},
		[]orgs.Account{
			{ID: "100000000000", Name: "management", State: orgs.StateActive, Parent: "r-plan"},
			{ID: "200000000000", Name: "security", State: orgs.StateActive, Parent: "ou-plan-aaaaaaaa"},
			{ID: "300000000000", Name: "shop", State: orgs.StateActive, Parent: "ou-plan-bbbbbbbb"},
			{ID: "900000000000", Name: "old", State: orgs.StateSuspended, Parent: "ou-plan-bbbbbbbb"},
		})
}

const proposeConfig = "version: 1\nregions: [eu-west-1, us-east-1]\nhome_region: eu-west-1\nsecurity_account: \"200000000000\"\n"

func TestPropose(t *testing.T) {
	const (
		shop, security, mgmt = "300000000000", "200000000000", "100000000000"
		eu, us               = "eu-west-1", "us-east-1"
		old                  = "skip 900000000000 global all: the account is SUSPENDED"
	)
	denied := &access.RoleError{Role: "OrganizationAccountAccessRole", Account: shop, Err: errors.New("no")}
	cases := []struct {
		name, config string
		change       func(*Look, *Baseline)
		want         []string
	}{
		{"nothing to do", "", func(*Look, *Baseline) {}, []string{old}},
		{
			"trusted access is off", "", func(l *Look, _ *Baseline) { l.TrustedAccess = false },
			[]string{"prerequisites: enable trusted access of CloudFormation StackSets: 100000000000 global: service-managed stack sets need it", old},
		},
		{
			"nobody can say whether trusted access is on", "", func(l *Look, _ *Baseline) { l.TrustedAccess, l.TrustedAccessErr = false, errors.New("no idea") },
			[]string{"BLOCKED 100000000000 global all: no idea", old},
		},
		{
			"a stack set is missing", "", func(l *Look, _ *Baseline) {
				l.Sets["signin"] = &StackSet{}
				l.where("signin", shop, "", absent)
				l.where("signin", security, "", absent)
			},
			[]string{"baseline: create stack set orgguard-signin: 200000000000/us-east-1 300000000000/us-east-1: does not exist", old},
		},
		{
			"an instance is missing", "", func(l *Look, _ *Baseline) {
				l.forget("alerts", shop, us)
				l.where("alerts", shop, us, absent)
			},
			[]string{"baseline: update stack set orgguard-alerts: 300000000000/us-east-1: 1 account × Region have no instance", old},
		},
		{
			"an instance is missing and what it would deploy is there", "", func(l *Look, _ *Baseline) { l.forget("alerts", shop, us) },
			[]string{old},
		},
		{
			"an instance failed", "", func(l *Look, _ *Baseline) {
				l.Sets["recorder"].Instances[shop+"/"+us] = Instance{Account: shop, Region: us, Status: "OUTDATED", Detailed: "FAILED"}
			},
			[]string{"baseline: update stack set orgguard-recorder: 300000000000/us-east-1: 1 instances are not CURRENT", old},
		},
		{
			"the template differs, which updates all instances", "", func(l *Look, _ *Baseline) { l.Sets["alerts"].Body = "Resources: {}" },
			[]string{"baseline: update stack set orgguard-alerts: 200000000000/eu-west-1 200000000000/us-east-1 300000000000/eu-west-1 300000000000/us-east-1: template or parameters differ: 4 instances are updated", old},
		},
		{
			"a parameter differs", "", func(l *Look, _ *Baseline) {
				set := l.Sets["roles"]
				set.Params = maps.Clone(set.Params)
				set.Params["LogBucketName"] = "another"
			},
			[]string{"roles: update stack set orgguard-roles: 200000000000/eu-west-1 300000000000/eu-west-1: template or parameters differ: 2 instances are updated", old},
		},
		{
			"a stack set cannot be read", "", func(l *Look, _ *Baseline) { l.Sets["alerts"] = &StackSet{Err: errors.New("no way")} },
			[]string{old, "BLOCKED 100000000000 eu-west-1 config-change-alert: no way"},
		},
		{
			"a stack is missing in the management account", "", func(l *Look, b *Baseline) {
				l.stacks["signin/"+mgmt+"/"+us] = orgs.Outcome[stackState]{}
				l.where("signin", mgmt, us, absent)
			},
			[]string{"baseline: create stack orgguard-signin: 100000000000 us-east-1: does not exist", old},
		},
		{
			"the central stack differs", "", func(l *Look, b *Baseline) {
				l.stacks["central/"+security+"/"+eu] = orgs.Outcome[stackState]{Value: stackState{Exists: true, Status: "UPDATE_COMPLETE", Body: "Resources: {}"}}
			},
			[]string{"central: update stack orgguard-central: 200000000000 eu-west-1: template or parameters differ", old},
		},
		{
			"the central stack is the remains of a creation", "", func(l *Look, b *Baseline) {
				o := l.stacks["central/"+security+"/"+eu]
				o.Value.Status = "ROLLBACK_COMPLETE"
				l.stacks["central/"+security+"/"+eu] = o
			},
			[]string{"central: update stack orgguard-central: 200000000000 eu-west-1: its creation failed before (ROLLBACK_COMPLETE): it is deleted and made anew", old},
		},
		{
			"CloudFormation is still at work on the central stack", "", func(l *Look, b *Baseline) {
				o := l.stacks["central/"+security+"/"+eu]
				o.Value.Status = "CREATE_IN_PROGRESS"
				l.stacks["central/"+security+"/"+eu] = o
				l.where("central", security, eu, absent)
			},
			[]string{"central: update stack orgguard-central: 200000000000 eu-west-1: CloudFormation is at work on it (CREATE_IN_PROGRESS): waits for that first", old},
		},
		{
			"a stack cannot be read", "", func(l *Look, b *Baseline) {
				l.stacks["central/"+security+"/"+eu] = orgs.Outcome[stackState]{Err: errors.New("no way")}
			},
			[]string{"BLOCKED 200000000000 eu-west-1 config-delivery,alert-topic,config-change-alert,root-signin-alert: no way", old},
		},
		{
			"something drifted", "", func(l *Look, _ *Baseline) {
				l.where("alerts", shop, us, func(in *Inspection) {
					in.Mismatches = []Mismatch{{Reason: "the rule is disabled", Verb: "enable"}}
				})
			},
			[]string{"repairs: enable rule orgguard-config-change: 300000000000 us-east-1: the rule is disabled", old},
		},
		{
			"something drifted that only people can mend", "", func(l *Look, _ *Baseline) {
				l.where("alerts", shop, us, func(in *Inspection) {
					in.Mismatches = []Mismatch{{Reason: "a target too many", Manual: "remove it"}}
				})
			},
			[]string{old, "skip 300000000000 us-east-1 config-change-alert: rule orgguard-config-change: a target too many; remove it"},
		},
		{
			"a foreign recorder is adopted", "", func(l *Look, _ *Baseline) {
				l.forget("recorder", shop, us)
				l.where("recorder", shop, us, foreignRecorder("theirs", "default"))
			},
			[]string{"repairs: repair recorder orgguard, delivery channel orgguard: 300000000000 us-east-1: adopts recorder theirs: the recorder differs; the delivery channel differs", old},
		},
		{
			"a foreign recorder is adopted where an instance failed on it while nobody could look", "", func(l *Look, _ *Baseline) {
				l.Sets["recorder"].Instances[shop+"/"+us] = Instance{Account: shop, Region: us, Status: "OUTDATED", Detailed: "FAILED"}
				l.where("recorder", shop, us, foreignRecorder("theirs", "default"))
			},
			[]string{
				"baseline: update stack set orgguard-recorder: 300000000000/us-east-1: 1 account × Region lose an instance that cannot succeed: a recorder that somebody else made is there, and stays",
				"repairs: repair recorder orgguard, delivery channel orgguard: 300000000000 us-east-1: adopts recorder theirs: the recorder differs; the delivery channel differs", old,
			},
		},
		{
			"a foreign recorder is kept", "baseline: {config-recorder: {existing: keep}}\n", func(l *Look, _ *Baseline) {
				l.forget("recorder", shop, us)
				l.where("recorder", shop, us, foreignRecorder("theirs", "default"))
			},
			[]string{old, "skip 300000000000 us-east-1 config-recorder,config-delivery: recorder theirs is kept as it is (existing: keep): audited, not touched"},
		},
		{
			"a foreign recorder is replaced", "baseline: {config-recorder: {existing: replace}}\n", func(l *Look, _ *Baseline) {
				l.forget("recorder", shop, us)
				l.where("recorder", shop, us, foreignRecorder("theirs", "default"))
			},
			[]string{"repairs: replace recorder theirs, delivery channel default: 300000000000 us-east-1: somebody else made it, and the configuration says existing: replace: it is stopped and deleted, orgguard's is made and started in its place", old},
		},
		{
			"so is a channel without a recorder, which stands in the way as well", "baseline: {config-recorder: {existing: replace}}\n", func(l *Look, _ *Baseline) {
				l.forget("recorder", shop, us)
				l.where("recorder", shop, us, func(in *Inspection) {
					if absent(in); in.Resource.Type == "AWS::Config::DeliveryChannel" {
						foreignRecorder("", "default")(in)
						in.Absent = false
					}
				})
			},
			[]string{"repairs: replace delivery channel default: 300000000000 us-east-1: somebody else made it, and the configuration says existing: replace: it is stopped and deleted, orgguard's is made and started in its place", old},
		},
		{
			"one that came while orgguard's stack says CURRENT is replaced too", "baseline: {config-recorder: {existing: replace}}\n", func(l *Look, _ *Baseline) {
				l.where("recorder", shop, us, foreignRecorder("theirs", "default"))
			},
			[]string{"repairs: replace recorder theirs, delivery channel default: 300000000000 us-east-1: somebody else made it, and the configuration says existing: replace: it is stopped and deleted, orgguard's is made and started in its place", old},
		},
		{
			"orgguard's own is not replaced", "baseline: {config-recorder: {existing: replace}}\n", func(l *Look, _ *Baseline) {
				l.forget("recorder", shop, us)
				l.where("recorder", shop, us, foreignRecorder(ownName, ownName))
			},
			[]string{"repairs: repair recorder orgguard, delivery channel orgguard: 300000000000 us-east-1: the recorder differs; the delivery channel differs", old},
		},
		{
			"Control Tower's recorder is not replaced", "baseline: {config-recorder: {existing: replace}}\n", func(l *Look, _ *Baseline) {
				l.forget("recorder", shop, us)
				l.where("recorder", shop, us, foreignRecorder(controlTowerRecorder, "aws-controltower-BaselineConfigDeliveryChannel"))
			},
			[]string{old, "skip 300000000000 us-east-1 config-recorder,config-delivery: recorder aws-controltower-BaselineConfigRecorder belongs to Control Tower: audited, not touched"},
		},
		{
			"Control Tower's recorder is left alone", "", func(l *Look, _ *Baseline) {
				l.forget("recorder", shop, us)
				l.where("recorder", shop, us, foreignRecorder(controlTowerRecorder, "aws-controltower-BaselineConfigDeliveryChannel"))
			},
			[]string{old, "skip 300000000000 us-east-1 config-recorder,config-delivery: recorder aws-controltower-BaselineConfigRecorder belongs to Control Tower: audited, not touched"},
		},
		{
			"a foreign recorder in the management account is adopted", "", func(l *Look, _ *Baseline) {
				l.stacks["recorder/"+mgmt+"/"+us] = orgs.Outcome[stackState]{}
				l.where("recorder", mgmt, us, foreignRecorder("theirs", "default"))
			},
			[]string{"repairs: repair recorder orgguard, delivery channel orgguard: 100000000000 us-east-1: adopts recorder theirs: the recorder differs; the delivery channel differs", old},
		},
		{
			"a blind account that has everything", "", func(l *Look, _ *Baseline) {
				l.where("", shop, "", func(in *Inspection) { in.Err = denied })
			},
			[]string{old, "BLOCKED 300000000000 global all: " + denied.Error()},
		},
		{
			"a blind account without anything", "", func(l *Look, _ *Baseline) {
				l.where("", shop, "", func(in *Inspection) { in.Err = denied })
				l.forget("signin", shop, us)
			},
			[]string{
				"baseline: update stack set orgguard-signin: 300000000000/us-east-1: 1 account × Region have no instance", old,
				"BLOCKED 300000000000 global all: " + denied.Error(),
				"BLOCKED 300000000000 global all: " + denied.Error() + "; StackSets deploys there all the same, and nobody can verify it",
			},
		},
		{
			"a blind security account", "", func(l *Look, _ *Baseline) {
				l.where("", security, "", func(in *Inspection) { in.Err = errors.New("no way in") })
			},
			[]string{
				"BLOCKED 200000000000 eu-west-1 all: no way in", old, "BLOCKED 200000000000 us-east-1 all: no way in",
			},
		},
		{
			"a Region that is off in an account", "", func(l *Look, _ *Baseline) {
				l.where("", shop, us, func(in *Inspection) { in.Off = "the Region is not enabled in the account" })
				for _, u := range []string{"recorder", "alerts", "signin"} {
					l.forget(u, shop, us)
				}
			},
			[]string{old, "skip 300000000000 us-east-1 all: the Region is not enabled in the account"},
		},
		{
			"the same accounts with different Regions are different operations", "", func(l *Look, _ *Baseline) {
				l.forget("alerts", shop, us)
				l.forget("alerts", shop, eu)
				l.forget("alerts", security, us)
				l.where("alerts", shop, "", absent)
				l.where("alerts", security, us, absent)
			},
			[]string{"baseline: update stack set orgguard-alerts: 200000000000/us-east-1 300000000000/eu-west-1 300000000000/us-east-1: 3 account × Region have no instance", old},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, err := Resolve(firstControls(parseConfig(t, proposeConfig+c.config)), proposeOrg(), "us-east-1")
			if err != nil {
				t.Fatal(err)
			}
			l := clean(t, b)
			c.change(l, b)
			pool := anyPool(t)
			if diff := cmp.Diff(c.want, summary(b.Propose(l, pool))); diff != "" {
				t.Errorf("proposal (-want +got):\n%s", diff)
			}
		})
	}
}

// anyPool is a pool for code that is proposed and not carried out.
func anyPool(t *testing.T) *access.Pool {
	t.Helper()
	w, err := sim.New(sim.Spec{Management: sim.AccountSpec{ID: "100000000000", Name: "management"}})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := access.New(t.Context(), w.ManagementConfig("us-east-1"), access.Options{Role: "R", NoRateLimits: true})
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func TestProposeWhereTheManagementAccountIsTheSecurityAccount(t *testing.T) {
	b, err := Resolve(parseConfig(t, "version: 1\nregions: [us-east-1]\n"), proposeOrg(), "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	l := clean(t, b)
	l.stacks = map[string]orgs.Outcome[stackState]{}
	l.where("", "100000000000", "", absent)
	var got []string
	p := b.Propose(l, anyPool(t))
	for _, task := range p.Tasks {
		got = append(got, fmt.Sprintf("%s %s %s %s", task.Stage, task.Verb, task.Resource, task.Account))
	}
	want := []string{
		"central create stack orgguard-central 100000000000", "central create stack orgguard-management 100000000000",
		"roles create stack orgguard-roles 100000000000", "baseline create stack orgguard-recorder 100000000000",
		"baseline create stack orgguard-alerts 100000000000", "baseline create stack orgguard-signin 100000000000",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	if len(p.Notes) == 0 || !strings.Contains(p.Notes[0], "management account 100000000000") {
		t.Errorf("notes %q; want one about the security account", p.Notes)
	}
}

// wideOrg has n OUs with two accounts each below the root.
func wideOrg(n int) *orgs.Organization {
	ous := []orgs.OU{{ID: "r-wide", Name: "Root"}}
	accounts := []orgs.Account{{ID: "100000000000", Name: "management", State: orgs.StateActive, Parent: "r-wide"}}
	for i := range n {
		id := orgs.NodeID(fmt.Sprintf("ou-wide-%08d", i))
		ous = append(ous, orgs.OU{ID: id, Name: fmt.Sprintf("ou-%d", i), Parent: "r-wide"})
		for j := range 2 {
			accounts = append(accounts, orgs.Account{ID: orgs.AccountID(fmt.Sprintf("2%010d%d", i, j)), Name: fmt.Sprintf("a-%d-%d", i, j), State: orgs.StateActive, Parent: id})
		}
	}
	return orgs.New("o-wide000000", "100000000000", orgs.PartitionOf("us-east-1"), ous, accounts)
}

func TestTargets(t *testing.T) {
	all := func(b *Baseline, regions ...string) map[orgs.AccountID][]string {
		cells := map[orgs.AccountID][]string{}
		for _, a := range b.Accounts {
			if a.ID != b.Org.ManagementAccount && a.Excluded == "" && a.State == orgs.StateActive {
				cells[a.ID] = slices.Clone(regions)
			}
		}
		return cells
	}
	cases := []struct {
		name, exclude string
		ous           int
		change        func(map[orgs.AccountID][]string)
		want          []string
	}{
		{"all accounts are the root", "", 3, nil, []string{"[r-wide] NONE [] [eu-west-1 us-east-1] 12"}},
		{
			"most accounts are the root but some", "", 3, func(m map[orgs.AccountID][]string) { delete(m, "200000000001") },
			[]string{"[r-wide] DIFFERENCE [200000000001] [eu-west-1 us-east-1] 10"},
		},
		{
			"few accounts are named", "", 3, func(m map[orgs.AccountID][]string) {
				maps.DeleteFunc(m, func(id orgs.AccountID, _ []string) bool { return id != "200000000001" })
			},
			[]string{"[r-wide] INTERSECTION [200000000001] [eu-west-1 us-east-1] 2"},
		},
		{
			"accounts with different Regions go apart", "", 3, func(m map[orgs.AccountID][]string) { m["200000000001"] = []string{"us-east-1"} },
			[]string{"[r-wide] DIFFERENCE [200000000001] [eu-west-1 us-east-1] 10", "[r-wide] INTERSECTION [200000000001] [us-east-1] 1"},
		},
		{
			"an excluded OU is not named, nor the root above it", "{ou: ou-1, reason: x}", 3, nil,
			[]string{"[ou-wide-00000000 ou-wide-00000002] NONE [] [eu-west-1 us-east-1] 8"},
		},
		{
			"an excluded account is left out of the root", "{account: \"200000000001\", reason: x}", 3, nil,
			[]string{"[r-wide] DIFFERENCE [200000000001] [eu-west-1 us-east-1] 10"},
		},
		{"nothing at all", "", 3, func(m map[orgs.AccountID][]string) { clear(m) }, nil},
		{
			"more OUs than an operation takes", "{ou: ou-0, reason: x}", 121, nil,
			[]string{"50 nodes NONE [] [eu-west-1 us-east-1] 200", "50 nodes NONE [] [eu-west-1 us-east-1] 200", "20 nodes NONE [] [eu-west-1 us-east-1] 80"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			config := "version: 1\nregions: [eu-west-1, us-east-1]\n"
			if c.exclude != "" {
				config += "organization: {exclude: [" + c.exclude + "]}\n"
			}
			b, err := Resolve(parseConfig(t, config), wideOrg(c.ous), "us-east-1")
			if err != nil {
				t.Fatal(err)
			}
			cells := all(b, "us-east-1", "eu-west-1")
			if c.change != nil {
				c.change(cells)
			}
			var got []string
			for _, x := range b.targets(cells) {
				nodes := fmt.Sprint(x.nodes)
				if len(x.nodes) > 5 {
					nodes = fmt.Sprintf("%d nodes", len(x.nodes))
				}
				got = append(got, fmt.Sprintf("%s %s %v %v %d", nodes, x.filter, x.accounts, x.regions, x.cells))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
		})
	}
}

// Accounts directly under a node that cannot be named as a whole are picked.
func TestTargetsBesideAnExcludedOU(t *testing.T) {
	org := proposeOrg()
	org.Accounts = append(org.Accounts, orgs.Account{ID: "400000000000", Name: "loose", State: orgs.StateActive, Parent: "r-plan"})
	org = orgs.New(org.ID, org.ManagementAccount, org.Partition, []orgs.OU{org.OUs["r-plan"], org.OUs["ou-plan-aaaaaaaa"], org.OUs["ou-plan-bbbbbbbb"]}, org.Accounts)
	b, err := Resolve(firstControls(parseConfig(t, proposeConfig+"organization: {exclude: [{ou: B, reason: x}]}\n")), org, "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range b.targets(map[orgs.AccountID][]string{"200000000000": {"us-east-1"}, "400000000000": {"us-east-1"}}) {
		if slices.Contains(x.nodes, "r-plan") && (x.filter != "INTERSECTION" || !slices.Equal(x.accounts, []string{"400000000000"})) {
			t.Errorf("the root is named as more than its own accounts: %+v", x)
		}
		if slices.Contains(x.nodes, "ou-plan-bbbbbbbb") {
			t.Errorf("the excluded OU is named: %+v", x)
		}
	}
}

func TestSavedPlansNameEverything(t *testing.T) {
	b, err := Resolve(firstControls(parseConfig(t, proposeConfig)), proposeOrg(), "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	l := clean(t, b)
	l.TrustedAccess = false
	l.Sets = StackSets{}
	for _, u := range b.units {
		l.Sets[u.ID] = &StackSet{}
	}
	l.stacks = map[string]orgs.Outcome[stackState]{}
	l.where("", "", "", func(in *Inspection) {
		if in.Off == "" {
			absent(in)
		}
	})
	p := b.Propose(l, anyPool(t))
	last := plan.Stage(0)
	for _, task := range p.Tasks {
		if task.Stage < last {
			t.Errorf("%s comes after stage %s", task.Resource, last)
		}
		last = task.Stage
		if task.Kind == "" || task.Verb == "" || task.Control == "" || task.Account == "" || task.AccountName == "" || task.Region == "" || task.Resource == "" || task.Why == "" || task.Cells == 0 || task.Undo == "" || task.After == nil {
			t.Errorf("something is missing in %+v", task.Change)
		}
		if task.Region != finding.Global && len(task.Targets) != task.Cells {
			t.Errorf("%s: %d targets and %d cells", task.Resource, len(task.Targets), task.Cells)
		}
	}
}
