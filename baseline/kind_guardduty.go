package baseline

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/guardduty/types"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgguard/orgguard/orgs"
)

// guardDutyState is GuardDuty of the organization in a Region, as its delegated
// administrator sees it.
type guardDutyState struct {
	appointment
	Detector   string            `json:"detector"` // the administrator's own; "" for none
	On         bool              `json:"on"`
	AutoEnable string            `json:"auto_enable"`
	Plans      map[string]string `json:"plans"` // auto-enable by protection plan
	Own        map[string]bool   `json:"own"`   // the administrator's own plans
	Missing    []absentee        `json:"missing,omitempty"`
	Lacking    []lacking         `json:"lacking,omitempty"`
	// Policies of the organization that decide instead; looked for only where
	// something is not as wanted.
	Policies []string `json:"policies,omitempty"`
}

// lacking is a member in which a protection plan is off.
type lacking struct {
	Account orgs.AccountID `json:"account"`
	Plan    string         `json:"plan"`
	// Unknown is why nobody knows, of any plan.
	Unknown string `json:"unknown,omitempty"`
}

// absentee is an account that a service does not reach as a member.
type absentee struct {
	Account orgs.AccountID `json:"account"`
	Status  string         `json:"status"` // by the administrator; "" for no member
	// Unknown is why nobody knows whether the Region is on in the account.
	Unknown string `json:"unknown,omitempty"`
	// Shut is why nobody can enter the account, where that is needed to make it a
	// member.
	Shut string `json:"shut,omitempty"`
}

// actual is what a finding says of it.
func (a absentee) actual() string {
	if a.Status == "" {
		return "no member"
	}
	return strings.ToLower(a.Status)
}

// absent are the wanted accounts that are not among a service's members: those that
// are active, not excluded, and have the Region on. members gives the status of
// each, on whether that is a good one, enters whether an account has to be entered to
// become a member.
func (s site) absent(ctx context.Context, admin orgs.AccountID, members map[orgs.AccountID]string, on func(status string) bool, enters func(orgs.AccountID) bool) []absentee {
	var without []orgs.AccountID
	for _, a := range s.base.Accounts {
		if a.ID != admin && a.Excluded == "" && a.State == orgs.StateActive && !on(members[a.ID]) {
			without = append(without, a.ID)
		}
	}
	optIn := s.base.Org.Partition.NeedsOptIn(s.at.Region)
	asked := orgs.ForEach(ctx, without, besides, func(ctx context.Context, id orgs.AccountID) (absentee, error) {
		missing := absentee{Account: id, Status: members[id]}
		if !optIn {
			if enters(id) {
				missing.Shut = reasonOf(s.AssumeError(ctx, s.in(id).at))
			}
			return missing, nil
		}
		switch e := s.base.enter(ctx, s.Pool, s.in(id).at); {
		case e.err != nil || e.regionsErr != nil:
			missing.Unknown = reasonOf(cmp.Or(e.err, e.regionsErr))
		case !e.on[s.at.Region]:
			missing.Account = "" // there is nothing to be a member with
		}
		return missing, nil
	})
	var out []absentee
	for i, o := range asked {
		switch {
		case o.Err != nil: // interrupted before its turn
			out = append(out, absentee{Account: without[i], Status: members[without[i]], Unknown: reasonOf(o.Err)})
		case o.Value.Account != "":
			out = append(out, o.Value)
		}
	}
	return out
}

// besides is how many other accounts looking at one account's resource asks at a time.
const besides = 8

// reasonOf is why; "" where nothing went wrong.
func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return orgs.Reason(err)
}

// closed says whether a rollout cannot make the account a member.
func (a absentee) closed() bool { return a.Unknown != "" || a.Shut != "" }

// ifUnknown is what people do about an account of which nobody knows.
func (a absentee) ifUnknown() string {
	if a.Unknown == "" {
		return ""
	}
	return "find out whether the Region is on in the account: " + a.Unknown
}

// ifShut is what people do about an account that nobody can enter, or else.
func (a absentee) ifShut(or string) string {
	if a.Shut == "" {
		return ""
	}
	return "orgguard may not enter the account: let it in and run a rollout; or " + or
}

var guardDutyKind = kind{
	noun:    "organization setting",
	observe: observeGuardDuty, compare: compareGuardDuty, repair: repairGuardDuty, undo: undoGuardDuty,
	writes: func(_ Resource, state any) int {
		st := state.(guardDutyState)
		return 3 + len(st.Missing)/atOnce + min(len(st.Lacking), 1) // its detector, its settings, its members, their plans
	},
	final: func(Resource) string {
		return "accounts that GuardDuty is enabled in keep their detectors: an undo lets them go and blinds nobody"
	},
	revert: &reverter{decode: decoded[guardDutyState], says: saysGuardDuty, apply: revertGuardDuty, mine: guardDutyByUs},
}

func observeGuardDuty(ctx context.Context, s site, r Resource) (any, error) {
	by, err := s.administrator(ctx, guardDutyPrincipal)
	if err != nil {
		return nil, err
	}
	st := guardDutyState{appointment: by, Plans: map[string]string{}, Own: map[string]bool{}}
	if by.Admin == "" {
		return st, nil
	}
	if err := st.read(ctx, s.in(by.Admin), r.names("Plans")); err != nil {
		return nil, fmt.Errorf("look at GuardDuty's administrator %s: %w", by.Admin, err)
	}
	if len(compareGuardDuty(r, st)) > 0 {
		st.Policies, err = s.policiesOf(ctx, orgtypes.PolicyTypeGuarddutyPolicy)
	}
	return st, err
}

// read asks the administrator, about each member too where there are plans that every
// one of them must have.
func (st *guardDutyState) read(ctx context.Context, s site, plans []string) error {
	list, err := s.GuardDuty.ListDetectors(ctx, &guardduty.ListDetectorsInput{}, s.at.GuardDuty)
	if err != nil || len(list.DetectorIds) == 0 {
		return err
	}
	st.Detector = list.DetectorIds[0] // there is one at most
	d, err := s.GuardDuty.GetDetector(ctx, &guardduty.GetDetectorInput{DetectorId: aws.String(st.Detector)}, s.at.GuardDuty)
	if err != nil {
		return err
	}
	st.On = d.Status == types.DetectorStatusEnabled
	for _, f := range d.Features {
		st.Own[string(f.Name)] = f.Status == types.FeatureStatusEnabled
	}
	p := guardduty.NewDescribeOrganizationConfigurationPaginator(s.GuardDuty, &guardduty.DescribeOrganizationConfigurationInput{DetectorId: aws.String(st.Detector)})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, s.at.GuardDuty)
		if err != nil {
			return err
		}
		st.AutoEnable = string(page.AutoEnableOrganizationMembers)
		for _, f := range page.Features {
			st.Plans[string(f.Name)] = string(f.AutoEnable)
		}
	}
	members, err := guardDutyMembers(ctx, s, st.Detector)
	if err != nil {
		return err
	}
	enabled := func(status string) bool { return strings.EqualFold(status, "enabled") }
	// Its administrator makes members of all but the management account by itself.
	st.Missing = s.absent(ctx, st.Admin, members, enabled, func(id orgs.AccountID) bool { return id == s.base.Org.ManagementAccount })
	var watched []string
	for _, a := range s.base.Accounts {
		if a.Excluded == "" && a.State == orgs.StateActive && enabled(members[a.ID]) {
			watched = append(watched, string(a.ID))
		}
	}
	st.Lacking, err = lackingPlans(ctx, s, st.Detector, watched, plans)
	return err
}

// lackingPlans are the plans that are off in members, account by account. The
// organization's own settings do not tell: they say what GuardDuty turns on when an
// account joins, or when they are made, and not what became of it.
func lackingPlans(ctx context.Context, s site, detector string, members, plans []string) ([]lacking, error) {
	if len(plans) == 0 {
		return nil, nil
	}
	var out []lacking
	for some := range slices.Chunk(members, atOnce) {
		got, err := s.GuardDuty.GetMemberDetectors(ctx, &guardduty.GetMemberDetectorsInput{DetectorId: aws.String(detector), AccountIds: some}, s.at.GuardDuty)
		if err != nil {
			return nil, err
		}
		for _, m := range got.MemberDataSourceConfigurations {
			on := map[string]bool{}
			for _, f := range m.Features {
				on[string(f.Name)] = f.Status == types.FeatureStatusEnabled
			}
			for _, plan := range plans {
				if !on[plan] {
					out = append(out, lacking{Account: orgs.AccountID(aws.ToString(m.AccountId)), Plan: plan})
				}
			}
		}
		for _, u := range got.UnprocessedAccounts {
			out = append(out, lacking{Account: orgs.AccountID(aws.ToString(u.AccountId)), Unknown: cmp.Or(aws.ToString(u.Result), "GuardDuty does not say")})
		}
	}
	slices.SortStableFunc(out, func(a, b lacking) int { return cmp.Compare(a.Account, b.Account) })
	return out, nil
}

// guardDutyMembers are all members with their status, those that were disassociated
// too.
func guardDutyMembers(ctx context.Context, s site, detector string) (map[orgs.AccountID]string, error) {
	out := map[orgs.AccountID]string{}
	p := guardduty.NewListMembersPaginator(s.GuardDuty, &guardduty.ListMembersInput{DetectorId: aws.String(detector), MaxResults: aws.Int32(atOnce), OnlyAssociated: aws.String("false")})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, s.at.GuardDuty)
		if err != nil {
			return nil, err
		}
		for _, m := range page.Members {
			out[orgs.AccountID(aws.ToString(m.AccountId))] = aws.ToString(m.RelationshipStatus)
		}
	}
	return out, nil
}

// atOnce is how many accounts a call about members takes, and a page of them has.
const atOnce = 50

// plansToSet are the plans that are not turned on by themselves as wanted, with how they
// must be. One for new accounts that is on for all of them is left alone.
func (st guardDutyState) plansToSet(r Resource) map[string]string {
	out := map[string]string{}
	for _, plan := range r.names("Plans") {
		if st.Plans[plan] != r.str("AutoEnable") {
			out[plan] = r.str("AutoEnable")
		}
	}
	for _, plan := range r.names("NewPlans") {
		if have := orNone(st.Plans[plan]); have == string(types.OrgFeatureStatusNone) {
			out[plan] = string(types.OrgFeatureStatusNew)
		}
	}
	return out
}

func compareGuardDuty(r Resource, state any) []Mismatch {
	st, want := state.(guardDutyState), r.str("AutoEnable")
	if st.Admin == "" {
		m := Mismatch{Reason: "GuardDuty does not watch the organization", Expected: "an administrator, and auto-enable " + want, Actual: "no administrator", Verb: "enable"}
		if st.Elsewhere != "" {
			m.Actual = "an administrator in other Regions: " + string(st.Elsewhere)
		}
		return []Mismatch{st.decided(r, m)}
	}
	var out []Mismatch
	add := func(m Mismatch) { out = append(out, st.decided(r, m)) }
	if !st.On {
		actual := "suspended"
		if st.Detector == "" {
			actual = "no detector"
		}
		add(Mismatch{Reason: "the administrator's own detector is off", Expected: "on", Actual: actual, Verb: "enable", Stays: true})
	}
	if st.Detector == "" {
		return out
	}
	if st.AutoEnable != want {
		add(Mismatch{Reason: "GuardDuty does not enable every account by itself", Expected: want, Actual: st.AutoEnable, Verb: "update"})
	}
	set := st.plansToSet(r)
	for _, plan := range r.names("Plans") {
		if set[plan] != "" {
			add(Mismatch{Reason: "protection plan " + plan + " is not enabled in every account", Expected: want, Actual: orNone(st.Plans[plan]), Verb: "update"})
		}
		if !st.Own[plan] {
			add(Mismatch{Reason: "protection plan " + plan + " is off in the administrator's account", Expected: true, Actual: false, Verb: "enable", Stays: true})
		}
	}
	for _, plan := range r.names("NewPlans") {
		if set[plan] != "" {
			add(Mismatch{Reason: "protection plan " + plan + " is not enabled in accounts that join", Expected: set[plan], Actual: orNone(st.Plans[plan]), Verb: "update"})
		}
	}
	for _, l := range st.Lacking {
		m := Mismatch{Reason: "protection plan " + l.Plan + " is off in the account", Account: l.Account, Expected: "on", Actual: "off", Verb: "enable", Stays: true}
		if l.Unknown != "" {
			m.Reason, m.Actual, m.Manual = "nobody knows which protection plans are on in the account", "unknown", "ask GuardDuty's administrator: "+l.Unknown
		}
		add(m)
	}
	for _, a := range st.Missing {
		add(Mismatch{Reason: "GuardDuty is not on in the account", Account: a.Account, Expected: "an enabled member", Actual: a.actual(), Verb: "enable", Manual: cmp.Or(a.ifUnknown(), a.ifShut("have GuardDuty enabled there by somebody who can")), Shut: a.closed(), Stays: true})
	}
	return out
}

func orNone(s string) string { return cmp.Or(s, "NONE") }

// decided leaves a mismatch to people where somebody else decides.
func (st guardDutyState) decided(r Resource, m Mismatch) Mismatch {
	if want := orgs.AccountID(r.str("Account")); st.other(want) != "" {
		m.Manual = respect("GuardDuty", st.other(want), want)
	} else if len(st.Policies) > 0 {
		m.Manual = "change the organization's GuardDuty policy (" + joinAnd(st.Policies) + "): it decides here, and orgguard does not work against it"
	}
	return m
}

// repairGuardDuty makes what is not as wanted so, as it is now: by the time of the
// plan there may not have been an administrator yet.
func repairGuardDuty(ctx context.Context, s site, r Resource, _ any) error {
	seen, err := observeGuardDuty(ctx, s, r)
	if err != nil {
		return err
	}
	st, want := seen.(guardDutyState), orgs.AccountID(r.str("Account"))
	if st.Admin != want {
		return notAppointed("GuardDuty", st.appointment, want)
	}
	if len(st.Policies) > 0 {
		return nil // they decide
	}
	if err := st.detector(ctx, s, r); err != nil {
		return err
	}
	var features []types.OrganizationFeatureConfiguration
	set := st.plansToSet(r)
	for _, plan := range sortedKeys(set) {
		features = append(features, types.OrganizationFeatureConfiguration{Name: types.OrgFeature(plan), AutoEnable: types.OrgFeatureStatus(set[plan])})
	}
	if st.AutoEnable != r.str("AutoEnable") || len(features) > 0 {
		_, err := s.GuardDuty.UpdateOrganizationConfiguration(ctx, &guardduty.UpdateOrganizationConfigurationInput{
			DetectorId: aws.String(st.Detector), AutoEnableOrganizationMembers: types.AutoEnableMembers(r.str("AutoEnable")), Features: features,
		}, s.at.GuardDuty)
		if err != nil {
			return fmt.Errorf("let GuardDuty enable every account: %w", err)
		}
	}
	if err := st.enrol(ctx, s); err != nil || len(r.names("Plans")) == 0 {
		return err
	}
	return enablePlans(ctx, s, r)
}

// enablePlans turns the plans on in members in which they are off, those too that were
// just enrolled: by itself GuardDuty takes up to a day.
func enablePlans(ctx context.Context, s site, r Resource) error {
	seen, err := observeGuardDuty(ctx, s, r)
	if err != nil {
		return err
	}
	off := map[string][]string{} // accounts, by plan
	for _, l := range seen.(guardDutyState).Lacking {
		if l.Unknown == "" {
			off[l.Plan] = append(off[l.Plan], string(l.Account))
		}
	}
	for _, plan := range sortedKeys(off) {
		if err := inBatches(off[plan], "turn protection plan "+plan+" on", func(some []string) ([]types.UnprocessedAccount, error) {
			out, err := s.GuardDuty.UpdateMemberDetectors(ctx, &guardduty.UpdateMemberDetectorsInput{
				DetectorId: aws.String(seen.(guardDutyState).Detector), AccountIds: some,
				Features: []types.MemberFeaturesConfiguration{{Name: types.OrgFeature(plan), Status: types.FeatureStatusEnabled}},
			}, s.at.GuardDuty)
			if err != nil {
				return nil, err
			}
			return out.UnprocessedAccounts, nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// notAppointed is the error of a change that waits for its administrator.
func notAppointed(name string, by appointment, want orgs.AccountID) error {
	if other := by.other(want); other != "" {
		return &orgs.Hinted{Err: fmt.Errorf("%s was given to account %s meanwhile", name, other), Next: "nothing was changed; make a new plan"}
	}
	return &orgs.Hinted{
		Err:  fmt.Errorf("account %s does not administer %s yet", want, name),
		Next: "the management account appoints it: do not narrow the rollout to accounts without that one",
	}
}

// detector makes the administrator's own detector, or switches it on, with the plans.
func (st *guardDutyState) detector(ctx context.Context, s site, r Resource) error {
	if st.Detector == "" {
		id, err := createDetector(ctx, s)
		if err != nil {
			return fmt.Errorf("create a detector: %w", err)
		}
		st.Detector = id
		if err := st.read(ctx, s, nil); err != nil {
			return err
		}
	}
	in := &guardduty.UpdateDetectorInput{DetectorId: aws.String(st.Detector)}
	if !st.On {
		in.Enable = aws.Bool(true)
	}
	for _, plan := range r.names("Plans") {
		if !st.Own[plan] {
			in.Features = append(in.Features, types.DetectorFeatureConfiguration{Name: types.DetectorFeature(plan), Status: types.FeatureStatusEnabled})
		}
	}
	if in.Enable == nil && len(in.Features) == 0 {
		return nil
	}
	if _, err := s.GuardDuty.UpdateDetector(ctx, in, s.at.GuardDuty); err != nil {
		return fmt.Errorf("switch the detector on: %w", err)
	}
	return nil
}

// enrol makes members of the accounts that are missing, at once: by itself GuardDuty
// takes up to a day. The management account must have a detector of its own before.
func (st *guardDutyState) enrol(ctx context.Context, s site) error {
	var paused []string
	var others []types.AccountDetail
	for _, a := range st.Missing {
		account, _ := s.base.Org.Account(a.Account)
		switch {
		case a.closed():
		case strings.EqualFold(a.Status, "paused"):
			paused = append(paused, string(a.Account))
		default:
			if a.Account == s.base.Org.ManagementAccount {
				if err := ownDetector(ctx, s.in(a.Account)); err != nil {
					return err
				}
			}
			others = append(others, types.AccountDetail{AccountId: aws.String(string(a.Account)), Email: aws.String(account.Email)})
		}
	}
	if err := inBatches(paused, "start monitoring members", func(some []string) ([]types.UnprocessedAccount, error) {
		out, err := s.GuardDuty.StartMonitoringMembers(ctx, &guardduty.StartMonitoringMembersInput{DetectorId: aws.String(st.Detector), AccountIds: some}, s.at.GuardDuty)
		if err != nil {
			return nil, err
		}
		return out.UnprocessedAccounts, nil
	}); err != nil {
		return err
	}
	if err := inBatches(others, "make members", func(some []types.AccountDetail) ([]types.UnprocessedAccount, error) {
		out, err := s.GuardDuty.CreateMembers(ctx, &guardduty.CreateMembersInput{DetectorId: aws.String(st.Detector), AccountDetails: some}, s.at.GuardDuty)
		if err != nil {
			return nil, err
		}
		return out.UnprocessedAccounts, nil
	}); err != nil {
		return err
	}
	return nil
}

func createDetector(ctx context.Context, s site) (string, error) {
	out, err := s.GuardDuty.CreateDetector(ctx, &guardduty.CreateDetectorInput{Enable: aws.Bool(true), Tags: map[string]string{"managed-by": "orgguard"}}, s.at.GuardDuty)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.DetectorId), nil
}

// ownDetector gives an account a detector unless it has one.
func ownDetector(ctx context.Context, s site) error {
	list, err := s.GuardDuty.ListDetectors(ctx, &guardduty.ListDetectorsInput{}, s.at.GuardDuty)
	if err == nil && len(list.DetectorIds) == 0 {
		_, err = createDetector(ctx, s)
	}
	if err != nil {
		return fmt.Errorf("give account %s a detector: %w", s.at.Account, err)
	}
	return nil
}

// inBatches makes a call about accounts, with as many at once as it takes. Accounts
// that GuardDuty leaves out are an error too.
func inBatches[T any](accounts []T, what string, call func([]T) ([]types.UnprocessedAccount, error)) error {
	return batches(accounts, what, func(some []T) ([]string, error) {
		unprocessed, err := call(some)
		var texts []string
		for _, a := range unprocessed {
			texts = append(texts, aws.ToString(a.AccountId)+": "+aws.ToString(a.Result))
		}
		return texts, err
	})
}

// batches is inBatches for any service; call says what was left out and why.
func batches[T any](accounts []T, what string, call func([]T) ([]string, error)) error {
	for some := range slices.Chunk(accounts, atOnce) {
		texts, err := call(some)
		if err == nil {
			err = leftOut(texts)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

// leftOut is the error of accounts that a service left out, with its reasons; of many
// a few are enough.
func leftOut(texts []string) error {
	const enough = 5
	slices.Sort(texts)
	switch {
	case len(texts) == 0:
		return nil
	case len(texts) > enough:
		texts = append(texts[:enough:enough], fmt.Sprintf("and %d more", len(texts)-enough))
	}
	return fmt.Errorf("accounts were left out: %s", strings.Join(texts, "; "))
}

func undoGuardDuty(s scope, _ Resource, state any) string {
	st, _ := state.(guardDutyState)
	return fmt.Sprintf("aws guardduty update-organization-configuration --region %s --detector-id %s --auto-enable-organization-members %s (detectors stay on)",
		s.region, cmp.Or(st.Detector, "DETECTOR"), orNone(st.AutoEnable))
}

// guardDutyByUs: the appointment's mark covers what stands on it.
func guardDutyByUs(ctx context.Context, s site, r Resource, now any) (any, bool, error) {
	want := orgs.AccountID(r.str("Account"))
	st := now.(guardDutyState)
	if st.Admin != want || st.Detector == "" {
		return guardDutyState{}, false, nil
	}
	yes, err := s.marked(ctx, guardDutyPrincipal, want)
	return guardDutyState{}, yes, err
}

func saysGuardDuty(r Resource, was, now any) (why, not string) {
	w, st, want := was.(guardDutyState), now.(guardDutyState), orgs.AccountID(r.str("Account"))
	switch {
	case st.Admin != want || st.Detector == "":
		return "", "account " + string(want) + " does not administer it any more"
	case w.Admin == "":
		return "auto-enable ends and members are let go; detectors stay on in every account (aws guardduty delete-detector in each ends what they cost)", ""
	case w.AutoEnable == "" || w.AutoEnable == st.AutoEnable && samePlans(w.Plans, st.Plans):
		return "", "put back what somebody had switched off: undoing it would switch it off again"
	}
	return "auto-enable becomes " + w.AutoEnable + " again; accounts that were enabled stay so", ""
}

func samePlans(a, b map[string]string) bool {
	for _, k := range sortedKeys(b) {
		if orNone(a[k]) != orNone(b[k]) {
			return false
		}
	}
	return true
}

// revertGuardDuty puts the organization's settings back. Where there was no
// administrator before, it lets the members go too: GuardDuty takes no
// administrator away that has any. Nobody's detector is switched off: what watches
// an account goes on watching it.
// https://docs.aws.amazon.com/guardduty/latest/ug/change-guardduty-delegated-admin.html
func revertGuardDuty(ctx context.Context, s site, r Resource, was any) error {
	w := was.(guardDutyState)
	seen, err := observeGuardDuty(ctx, s, r)
	if err != nil {
		return err
	}
	st := seen.(guardDutyState)
	if st.Admin != orgs.AccountID(r.str("Account")) || st.Detector == "" {
		return nil // somebody did it already
	}
	in := &guardduty.UpdateOrganizationConfigurationInput{DetectorId: aws.String(st.Detector), AutoEnableOrganizationMembers: types.AutoEnableMembers(orNone(w.AutoEnable))}
	for _, plan := range sortedKeys(st.Plans) {
		if before := orNone(w.Plans[plan]); before != orNone(st.Plans[plan]) {
			in.Features = append(in.Features, types.OrganizationFeatureConfiguration{Name: types.OrgFeature(plan), AutoEnable: types.OrgFeatureStatus(before)})
		}
	}
	if _, err := s.GuardDuty.UpdateOrganizationConfiguration(ctx, in, s.at.GuardDuty); err != nil {
		return fmt.Errorf("put GuardDuty's auto-enable back: %w", err)
	}
	if w.Admin != "" {
		return nil
	}
	members, err := guardDutyMembers(ctx, s, st.Detector)
	if err != nil {
		return fmt.Errorf("list GuardDuty's members: %w", err)
	}
	var bound, all []string
	for id, status := range members {
		if all = append(all, string(id)); !strings.EqualFold(status, "removed") {
			bound = append(bound, string(id))
		}
	}
	slices.Sort(bound)
	slices.Sort(all)
	if err := inBatches(bound, "let members go", func(some []string) ([]types.UnprocessedAccount, error) {
		out, err := s.GuardDuty.DisassociateMembers(ctx, &guardduty.DisassociateMembersInput{DetectorId: aws.String(st.Detector), AccountIds: some}, s.at.GuardDuty)
		if err != nil {
			return nil, err
		}
		return out.UnprocessedAccounts, nil
	}); err != nil {
		return err
	}
	if err := inBatches(all, "forget members", func(some []string) ([]types.UnprocessedAccount, error) {
		out, err := s.GuardDuty.DeleteMembers(ctx, &guardduty.DeleteMembersInput{DetectorId: aws.String(st.Detector), AccountIds: some}, s.at.GuardDuty)
		if err != nil {
			return nil, err
		}
		return out.UnprocessedAccounts, nil
	}); err != nil {
		return err
	}
	return nil
}
