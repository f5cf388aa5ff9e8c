package baseline

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/plan"
)

const securityHubPrincipal = "securityhub.amazonaws.com"

// securityHubState is Security Hub of the organization in a Region, as its delegated
// administrator sees it.
type securityHubState struct {
	appointment
	On          bool   `json:"on"` // the administrator's own
	AutoEnable  bool   `json:"auto_enable"`
	NewAccounts string `json:"auto_enable_standards"`
	// Central says that configuration policies of Security Hub decide.
	Central bool       `json:"central,omitempty"`
	Missing []absentee `json:"missing,omitempty"`
}

var securityHubKind = kind{
	noun:    "organization setting",
	observe: observeSecurityHub, compare: compareSecurityHub, repair: repairSecurityHub, undo: undoSecurityHub,
	writes: func(_ Resource, state any) int {
		n := len(state.(securityHubState).Missing)
		return 2 + n + n/atOnce // its own, its settings, those of the accounts, and they become members
	},
	final: func(Resource) string {
		return "accounts that Security Hub is enabled in keep it: an undo lets them go and blinds nobody"
	},
	revert: &reverter{decode: decoded[securityHubState], says: saysSecurityHub, apply: revertSecurityHub, mine: securityHubByUs},
}

func observeSecurityHub(ctx context.Context, s site, _ Resource) (any, error) {
	by, err := s.administrator(ctx, securityHubPrincipal)
	if err != nil {
		return nil, err
	}
	st := securityHubState{appointment: by}
	if by.Admin == "" {
		return st, nil
	}
	if err := st.read(ctx, s.in(by.Admin)); err != nil {
		return nil, fmt.Errorf("look at Security Hub's administrator %s: %w", by.Admin, err)
	}
	return st, nil
}

// hubIsOff says whether an error means that Security Hub is off in the account.
func hubIsOff(err error) bool { return orgs.Code(err) == "InvalidAccessException" }

// organization asks the administrator for its settings.
func (st *securityHubState) organization(ctx context.Context, s site) error {
	out, err := s.SecurityHub.DescribeOrganizationConfiguration(ctx, &securityhub.DescribeOrganizationConfigurationInput{}, s.at.SecurityHub)
	if hubIsOff(err) {
		return nil
	}
	if err != nil {
		return err
	}
	st.On, st.AutoEnable, st.NewAccounts = true, aws.ToBool(out.AutoEnable), string(out.AutoEnableStandards)
	st.Central = out.OrganizationConfiguration != nil && out.OrganizationConfiguration.ConfigurationType == types.OrganizationConfigurationConfigurationTypeCentral
	return nil
}

// read asks the administrator for its settings and its members.
func (st *securityHubState) read(ctx context.Context, s site) error {
	if err := st.organization(ctx, s); err != nil || !st.On {
		return err
	}
	members := map[orgs.AccountID]string{}
	in := &securityhub.ListMembersInput{MaxResults: aws.Int32(atOnce), OnlyAssociated: aws.Bool(false)}
	err := eachPage(&in.NextToken, func() (*string, error) {
		out, err := s.SecurityHub.ListMembers(ctx, in, s.at.SecurityHub)
		if err != nil {
			return nil, err
		}
		for _, m := range out.Members {
			members[orgs.AccountID(aws.ToString(m.AccountId))] = aws.ToString(m.MemberStatus)
		}
		return out.NextToken, nil
	})
	st.Missing = s.absent(ctx, st.Admin, members, func(status string) bool { return strings.EqualFold(status, "enabled") }, func(orgs.AccountID) bool { return true })
	return err
}

// byHand is what people do to make a member of an account that orgguard cannot enter.
func byHand(admin, account orgs.AccountID) string {
	return fmt.Sprintf("make it a member without (aws securityhub create-members --account-details AccountId=%s in account %s and this Region), which turns AWS's default standards on there", account, admin)
}

func compareSecurityHub(r Resource, state any) []Mismatch {
	st := state.(securityHubState)
	if st.Admin == "" {
		m := Mismatch{Reason: "Security Hub does not watch the organization", Expected: "an administrator, and auto-enable", Actual: "no administrator", Verb: "enable"}
		if st.Elsewhere != "" {
			m.Actual = "an administrator in other Regions: " + string(st.Elsewhere)
		}
		return []Mismatch{st.decided(r, m)}
	}
	if !st.On {
		return []Mismatch{st.decided(r, Mismatch{Reason: "the administrator's own Security Hub is off", Expected: "on", Actual: "off", Verb: "enable", Stays: true})}
	}
	var out []Mismatch
	if !st.AutoEnable && !st.Central {
		out = append(out, st.decided(r, Mismatch{Reason: "Security Hub does not enable new accounts by itself", Expected: true, Actual: false, Verb: "update"}))
	}
	if want := r.str("NewAccounts"); want != "" && st.NewAccounts != want && !st.Central {
		out = append(out, st.decided(r, Mismatch{Reason: "new accounts do not get the default standards", Expected: want, Actual: orNone(st.NewAccounts), Verb: "update"}))
	}
	for _, a := range st.Missing {
		out = append(out, st.decided(r, Mismatch{
			Reason: "Security Hub of the account does not report to the administrator", Account: a.Account,
			Expected: "an enabled member", Actual: a.actual(), Verb: "enable", Manual: cmp.Or(a.ifUnknown(), a.ifShut(byHand(st.Admin, a.Account))), Shut: a.closed(), Stays: true,
		}))
	}
	return out
}

// centrally is what people do where configuration policies decide.
func centrally(admin orgs.AccountID) string {
	return "change Security Hub's configuration policies in account " + string(admin) + ": they decide here, and orgguard does not work against them"
}

// decided leaves a mismatch to people where somebody else decides.
func (st securityHubState) decided(r Resource, m Mismatch) Mismatch {
	if want := orgs.AccountID(r.str("Account")); st.other(want) != "" {
		m.Manual = respect("Security Hub", st.other(want), want)
	} else if st.Central {
		m.Manual = centrally(st.Admin)
	}
	return m
}

// repairSecurityHub makes what is not as wanted so, as it is now: by the time of the
// plan there may not have been an administrator yet.
func repairSecurityHub(ctx context.Context, s site, r Resource, planned any) error {
	seen, err := observeSecurityHub(ctx, s, r)
	if err != nil {
		return err
	}
	st, want := seen.(securityHubState), orgs.AccountID(r.str("Account"))
	if st.Admin != want {
		return notAppointed("Security Hub", st.appointment, want)
	}
	if !st.On {
		if err := enableHub(ctx, s); err != nil {
			return err
		}
		if err := st.read(ctx, s); err != nil {
			return err
		}
	}
	if st.Central {
		return nil // they decide
	}
	standards := r.str("NewAccounts")
	if !st.AutoEnable || standards != "" && st.NewAccounts != standards {
		if standards == "" && st.AutoEnable {
			standards = st.NewAccounts
		}
		_, err := s.SecurityHub.UpdateOrganizationConfiguration(ctx, &securityhub.UpdateOrganizationConfigurationInput{
			AutoEnable: aws.Bool(true), AutoEnableStandards: types.AutoEnableStandards(orNone(standards)),
		}, s.at.SecurityHub)
		if err != nil {
			return fmt.Errorf("let Security Hub enable new accounts: %w", err)
		}
	}
	var told []orgs.AccountID
	if was, ok := planned.(securityHubState); ok {
		for _, a := range was.Missing {
			if a.closed() {
				told = append(told, a.Account)
			}
		}
	}
	return st.enlist(ctx, s, told)
}

// enableHub switches an account's own Security Hub on unless it is, without the
// standards that AWS would turn on by itself: which ones are wanted is a setting.
func enableHub(ctx context.Context, s site) error {
	_, err := s.SecurityHub.EnableSecurityHub(ctx, &securityhub.EnableSecurityHubInput{
		EnableDefaultStandards: aws.Bool(false), Tags: map[string]string{"managed-by": "orgguard"},
	}, s.at.SecurityHub)
	if err != nil && orgs.Code(err) != "ResourceConflictException" { // it is on
		return fmt.Errorf("enable Security Hub in account %s: %w", s.at.Account, err)
	}
	return nil
}

// enlist makes members of the accounts that are missing. Each has its own Security Hub
// switched on before: the management account must, and the others would get AWS's
// default standards. One account that cannot be entered does not stop the others; of
// those of which the plan has told, nothing is said again.
func (st *securityHubState) enlist(ctx context.Context, s site, told []orgs.AccountID) error {
	missing := slices.DeleteFunc(slices.Clone(st.Missing), absentee.closed)
	ready := orgs.ForEach(ctx, missing, besides, func(ctx context.Context, a absentee) (types.AccountDetails, error) {
		account, _ := s.base.Org.Account(a.Account)
		return types.AccountDetails{AccountId: aws.String(string(a.Account)), Email: aws.String(account.Email)}, enableHub(ctx, s.in(a.Account))
	})
	var accounts []types.AccountDetails
	var left leftBehind
	for _, a := range st.Missing {
		if a.Shut != "" && !slices.Contains(told, a.Account) {
			left = append(left, plan.Failure{Account: string(a.Account), Reason: a.Shut, Fix: a.ifShut(byHand(st.Admin, a.Account))})
		}
	}
	for i, o := range ready {
		if o.Err != nil {
			left = append(left, plan.Failure{Account: string(missing[i].Account), Reason: orgs.Reason(o.Err)})
		} else {
			accounts = append(accounts, o.Value)
		}
	}
	err := batches(accounts, "make members", func(some []types.AccountDetails) ([]string, error) {
		out, err := s.SecurityHub.CreateMembers(ctx, &securityhub.CreateMembersInput{AccountDetails: some}, s.at.SecurityHub)
		if err != nil {
			return nil, err
		}
		var texts []string
		for _, a := range out.UnprocessedAccounts {
			texts = append(texts, aws.ToString(a.AccountId)+": "+aws.ToString(a.ProcessingResult))
		}
		return texts, nil
	})
	if err != nil {
		return err
	}
	return left.orNil()
}

func undoSecurityHub(s scope, _ Resource, state any) string {
	st, _ := state.(securityHubState)
	flag := "--no-auto-enable"
	if st.AutoEnable {
		flag = "--auto-enable"
	}
	return fmt.Sprintf("aws securityhub update-organization-configuration --region %s %s --auto-enable-standards %s (Security Hub stays on in the accounts)",
		s.region, flag, orNone(st.NewAccounts))
}

// securityHubByUs: the appointment's mark covers what stands on it.
func securityHubByUs(ctx context.Context, s site, r Resource, now any) (any, bool, error) {
	want := orgs.AccountID(r.str("Account"))
	if st := now.(securityHubState); st.Admin != want || !st.On {
		return securityHubState{}, false, nil
	}
	yes, err := s.marked(ctx, securityHubPrincipal, want)
	return securityHubState{}, yes, err
}

func saysSecurityHub(r Resource, was, now any) (why, not string) {
	w, st, want := was.(securityHubState), now.(securityHubState), orgs.AccountID(r.str("Account"))
	switch {
	case st.Admin != want || !st.On:
		return "", "account " + string(want) + " does not administer it any more"
	case st.Central:
		return "", "configuration policies of Security Hub decide by now"
	case w.Admin == "":
		return "auto-enable ends; Security Hub stays on in every account (aws securityhub disable-security-hub in each ends what it costs)", ""
	case w.AutoEnable == st.AutoEnable && w.NewAccounts == st.NewAccounts:
		return "", "it was so before, but for accounts that were missing: they stay"
	}
	return fmt.Sprintf("auto-enable becomes %t again, with standards %s; accounts that were enabled stay so", w.AutoEnable, orNone(w.NewAccounts)), ""
}

// revertSecurityHub puts the organization's settings back. The members are let go with
// the appointment.
func revertSecurityHub(ctx context.Context, s site, r Resource, was any) error {
	w := was.(securityHubState)
	st := securityHubState{}
	by, err := s.administrator(ctx, securityHubPrincipal)
	if err != nil {
		return err
	}
	if by.Admin != orgs.AccountID(r.str("Account")) {
		return nil // somebody did it already
	}
	if err := st.organization(ctx, s); err != nil || !st.On || st.Central {
		return err
	}
	if st.AutoEnable == w.AutoEnable && st.NewAccounts == orNone(w.NewAccounts) {
		return nil
	}
	_, err = s.SecurityHub.UpdateOrganizationConfiguration(ctx, &securityhub.UpdateOrganizationConfigurationInput{
		AutoEnable: aws.Bool(w.AutoEnable), AutoEnableStandards: types.AutoEnableStandards(orNone(w.NewAccounts)),
	}, s.at.SecurityHub)
	if err != nil {
		return fmt.Errorf("put Security Hub's auto-enable back: %w", err)
	}
	return nil
}

func securityHubAdmin(ctx context.Context, s site) (orgs.AccountID, error) {
	return hubAdmin(ctx, s, "") // which is understood where there is no Security Hub V2, too
}

// hubAdmin is the administrator of Security Hub V2, or of Security Hub CSPM where no
// feature is named.
func hubAdmin(ctx context.Context, s site, feature types.SecurityHubFeature) (orgs.AccountID, error) {
	out, err := s.SecurityHub.ListOrganizationAdminAccounts(ctx, &securityhub.ListOrganizationAdminAccountsInput{Feature: feature}, s.at.SecurityHub)
	if err != nil || len(out.AdminAccounts) == 0 {
		return "", err
	}
	return orgs.AccountID(aws.ToString(out.AdminAccounts[0].AccountId)), nil
}

func appointSecurityHub(ctx context.Context, s site, id orgs.AccountID) error {
	_, err := s.SecurityHub.EnableOrganizationAdminAccount(ctx, &securityhub.EnableOrganizationAdminAccountInput{AdminAccountId: aws.String(string(id))}, s.at.SecurityHub)
	return err
}

func dismissSecurityHub(ctx context.Context, s site, id orgs.AccountID) error {
	_, err := s.SecurityHub.DisableOrganizationAdminAccount(ctx, &securityhub.DisableOrganizationAdminAccountInput{AdminAccountId: aws.String(string(id))}, s.at.SecurityHub)
	return err
}

// What each account checks itself by ----------------------------------------

// hubStandardsState are the standards of an account × Region.
type hubStandardsState struct {
	On        bool                `json:"on"`
	Standards map[string]standard `json:"standards,omitempty"` // by ARN
	// Decides is the administrator whose configuration policies decide; looked for only
	// where something is not as wanted.
	Decides orgs.AccountID `json:"decides,omitempty"`
}

type standard struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

var hubStandardsKind = kind{
	noun:    "Region setting",
	observe: observeStandards, compare: compareStandards, repair: enableStandards, undo: undoStandards,
	writes: func(_ Resource, state any) int {
		if state.(hubStandardsState).On {
			return 1
		}
		return 2
	},
}

// standardARNs are the standards of a resource. The oldest one has no Region.
func standardARNs(r Resource, partition, region string) []string {
	var out []string
	for _, name := range r.names("Standards") {
		switch name {
		case oldestCIS:
			out = append(out, fmt.Sprintf("arn:%s:securityhub:::ruleset/%s", partition, name))
		default:
			out = append(out, fmt.Sprintf("arn:%s:securityhub:%s::standards/%s", partition, region, name))
		}
	}
	return out
}

// standardName is a standard's name from its ARN.
func standardName(arn string) string {
	_, name, _ := strings.Cut(arn[strings.LastIndex(arn, ":")+1:], "/")
	return name
}

func observeStandards(ctx context.Context, s site, r Resource) (any, error) {
	st := hubStandardsState{On: true, Standards: map[string]standard{}}
	for _, arn := range standardARNs(r, s.base.Org.Partition.ID, s.at.Region) {
		st.Standards[arn] = standard{} // unless it is there
	}
	in := &securityhub.GetEnabledStandardsInput{}
	err := eachPage(&in.NextToken, func() (*string, error) {
		out, err := s.SecurityHub.GetEnabledStandards(ctx, in, s.at.SecurityHub)
		if err != nil {
			return nil, err
		}
		for _, x := range out.StandardsSubscriptions {
			now := standard{Status: string(x.StandardsStatus)}
			if x.StandardsStatusReason != nil {
				now.Reason = string(x.StandardsStatusReason.StatusReasonCode)
			}
			if _, wanted := st.Standards[aws.ToString(x.StandardsArn)]; wanted {
				st.Standards[aws.ToString(x.StandardsArn)] = now
			}
		}
		return out.NextToken, nil
	})
	switch {
	case hubIsOff(err):
		st.On = false
	case err != nil:
		return nil, fmt.Errorf("list Security Hub's standards: %w", err)
	}
	if mendable(compareStandards(r, st)) {
		of := s.base.hubs.of(ctx, s)
		if of.Err != nil {
			return nil, of.Err
		}
		if of.Value.Central {
			st.Decides = of.Value.Admin
		}
	}
	return st, nil
}

// hubLookups remember, for each Region, how Security Hub is administered: every account
// of it would ask the same.
type hubLookups struct {
	mu  sync.Mutex
	all map[string]func() orgs.Outcome[securityHubState]
}

func (l *hubLookups) of(ctx context.Context, s site) orgs.Outcome[securityHubState] {
	l.mu.Lock()
	ask, ok := l.all[s.at.Region]
	if !ok {
		ask = shared(func() orgs.Outcome[securityHubState] {
			by, err := s.administrator(ctx, securityHubPrincipal)
			st := securityHubState{appointment: by}
			if err == nil && by.Admin != "" {
				err = st.organization(ctx, s.in(by.Admin))
			}
			return orgs.Outcome[securityHubState]{Value: st, Err: err}
		})
		l.all[s.at.Region] = ask
	}
	l.mu.Unlock()
	return ask()
}

func compareStandards(_ Resource, state any) []Mismatch {
	st := state.(hubStandardsState)
	decided := func(m Mismatch) Mismatch {
		if st.Decides != "" {
			m.Manual = centrally(st.Decides)
		}
		return m
	}
	if !st.On {
		return []Mismatch{decided(Mismatch{Reason: "Security Hub is off", Expected: "on", Actual: "off", Verb: "enable"})}
	}
	var out []Mismatch
	for _, arn := range sortedKeys(st.Standards) {
		now, name := st.Standards[arn], standardName(arn)
		switch {
		case now.Status == "" || now.Status == "DELETING":
			out = append(out, decided(Mismatch{Reason: "standard " + name + " is off", Expected: "on", Actual: strings.ToLower(orNone(now.Status)), Verb: "enable"}))
		case now.Reason == string(types.StatusReasonCodeNoAvailableConfigurationRecorder):
			out = append(out, Mismatch{
				Reason: "standard " + name + " cannot check: AWS Config does not record", Expected: "READY", Actual: now.Status,
				Manual: "let AWS Config record here, see what the audit says of config-recorder; the standard goes on by itself",
			})
		case now.Status != "READY" && now.Status != "PENDING":
			out = append(out, Mismatch{
				Reason: "standard " + name + " is not complete", Expected: "READY", Actual: strings.TrimSpace(now.Status + " " + now.Reason),
				Manual: "look at the standard in Security Hub's console of the account",
			})
		}
	}
	return out
}

func enableStandards(ctx context.Context, s site, r Resource, _ any) error {
	seen, err := observeStandards(ctx, s, r)
	if err != nil {
		return err
	}
	st := seen.(hubStandardsState)
	if st.Decides != "" {
		return nil // they decide
	}
	if !st.On {
		if err := enableHub(ctx, s); err != nil {
			return err
		}
	}
	in := &securityhub.BatchEnableStandardsInput{}
	for _, arn := range sortedKeys(st.Standards) {
		if now := st.Standards[arn].Status; now == "" || now == "DELETING" {
			in.StandardsSubscriptionRequests = append(in.StandardsSubscriptionRequests, types.StandardsSubscriptionRequest{StandardsArn: aws.String(arn)})
		}
	}
	if len(in.StandardsSubscriptionRequests) == 0 {
		return nil
	}
	if _, err := s.SecurityHub.BatchEnableStandards(ctx, in, s.at.SecurityHub); err != nil {
		return fmt.Errorf("enable Security Hub's standards: %w", err)
	}
	return nil
}

func undoStandards(s scope, r Resource, state any) string {
	st, _ := state.(hubStandardsState)
	if !st.On {
		return "aws securityhub disable-security-hub --region " + s.region
	}
	var arns []string
	for _, arn := range sortedKeys(st.Standards) {
		if st.Standards[arn].Status == "" {
			arns = append(arns, fmt.Sprintf("arn:%s:securityhub:%s:%s:subscription/%s", s.partition, s.region, s.account, standardName(arn)))
		}
	}
	return "aws securityhub batch-disable-standards --region " + s.region + " --standards-subscription-arns " + strings.Join(arns, " ")
}
