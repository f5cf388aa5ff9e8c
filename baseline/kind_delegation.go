package baseline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/orgpolicy"
)

// appointing and dismissing are the IAM actions that every service needs of the
// management account for its delegated administrator, beside its own.
var (
	appointing = []string{"iam:CreateServiceLinkedRole", "organizations:EnableAWSServiceAccess", "organizations:RegisterDelegatedAdministrator", "organizations:TagResource"}
	dismissing = []string{"organizations:DeregisterDelegatedAdministrator", "organizations:ListTagsForResource", "organizations:UntagResource"}
)

// appointment is who administers a service for the organization.
type appointment struct {
	// Admin is the account that administers it in the Region; "" for none.
	Admin orgs.AccountID `json:"admin"`
	// Elsewhere is the account that is registered with Organizations, where
	// none is appointed in the Region.
	Elsewhere orgs.AccountID `json:"elsewhere,omitempty"`
	// Full says that the service has as many administrators as AWS allows, none of
	// which is the wanted one.
	Full bool `json:"full,omitempty"`
	// noted says that no Region is left of an appointment, while orgguard's mark is
	// still there: whoever took it back was killed before the end.
	noted bool
}

// other is the account that administers the service instead of the wanted one; ""
// when none does.
func (a appointment) other(want orgs.AccountID) orgs.AccountID {
	who := a.Admin
	if who == "" {
		who = a.Elsewhere
	}
	if who == want {
		return ""
	}
	return who
}

// respect is what people do about another administrator than the wanted one.
func respect(name string, other, want orgs.AccountID) string {
	return fmt.Sprintf("account %s administers %s already and orgguard replaces nobody: mend it there, name that account security_account, or move %s to %s by hand", other, name, name, want)
}

// delegate is how a service's delegated administrator is appointed. Calls are made
// by the management account in the site's Region.
type delegate struct {
	name string
	// several is how many administrators there may be, where it is more than one:
	// then those that exist are no reason not to appoint another.
	several int
	// writes is how many calls it takes to appoint one, with orgguard's note.
	writes    int
	appointed func(context.Context, site) (orgs.AccountID, error) // nil for services with one administrator for all Regions
	appoint   func(context.Context, site, orgs.AccountID) error
	dismiss   func(context.Context, site, orgs.AccountID) error
	// follows says whether the account is the administrator because it is another
	// service's, so that there is nothing to take back; nil for most.
	follows func(context.Context, site, orgs.AccountID) (bool, error)
}

// delegates are the services by their principals, and with a slash and the feature
// behind where a service has several administrators.
var delegates = map[string]delegate{
	guardDutyPrincipal:     {name: "GuardDuty", writes: 2, appointed: guardDutyAdmin, appoint: appointGuardDuty, dismiss: dismissGuardDuty},
	securityHubPrincipal:   {name: "Security Hub", writes: 2, appointed: securityHubAdmin, appoint: appointSecurityHub, dismiss: dismissSecurityHub},
	securityHubV2Principal: {name: "Security Hub V2", writes: 2, appointed: hubV2Admin, appoint: appointHubV2, dismiss: dismissHubV2, follows: hubV2Follows},
	// Its role, trusted access, the registration.
	analyzerPrincipal: {name: "IAM Access Analyzer", writes: 4, appoint: appointAnalyzer, dismiss: dismissAnalyzer},
	trailPrincipal:    {name: "CloudTrail", several: 3, writes: 2, appoint: appointTrail, dismiss: dismissTrail},
}

// service is the key of delegates that a resource is about.
func (r Resource) service() string {
	if feature := r.str("Feature"); feature != "" {
		return r.str("Service") + "/" + feature
	}
	return r.str("Service")
}

// principalOf is a service as Organizations knows it.
func principalOf(service string) string {
	principal, _, _ := strings.Cut(service, "/")
	return principal
}

const guardDutyPrincipal = "guardduty.amazonaws.com"

// management is the management account, from where Organizations is asked.
func (s site) management() access.At { return s.in(s.base.Org.ManagementAccount).at }

// administrator asks who administers a service, in the site's Region. Of a service that
// may have several it is the security account, if that is among them.
func (s site) administrator(ctx context.Context, service string) (appointment, error) {
	d := delegates[service]
	if d.appointed != nil {
		id, err := d.appointed(ctx, s.in(s.base.Org.ManagementAccount))
		if err != nil {
			return appointment{}, fmt.Errorf("ask who administers %s: %w", d.name, err)
		}
		if id != "" {
			return appointment{Admin: id}, nil
		}
	}
	var others []orgs.AccountID
	p := organizations.NewListDelegatedAdministratorsPaginator(s.Organizations, &organizations.ListDelegatedAdministratorsInput{ServicePrincipal: aws.String(principalOf(service))})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, s.management().Organizations)
		if err != nil {
			return appointment{}, fmt.Errorf("ask who administers %s: %w", d.name, err)
		}
		for _, a := range page.DelegatedAdministrators {
			id := orgs.AccountID(aws.ToString(a.Id))
			switch {
			case d.appointed != nil:
				return appointment{Elsewhere: id}, nil
			case d.several == 0 || id == s.base.Security:
				return appointment{Admin: id}, nil
			}
			others = append(others, id)
		}
	}
	if d.several > 0 && len(others) >= d.several {
		return appointment{Admin: slices.Min(others), Full: true}, nil
	}
	if d.appointed == nil && s.base.Security == s.base.Org.ManagementAccount {
		return appointment{Admin: s.base.Security}, nil // needs nobody's permission
	}
	return appointment{}, nil
}

var administratorKind = kind{
	noun: "organization setting",
	observe: func(ctx context.Context, s site, r Resource) (any, error) {
		return s.administrator(ctx, r.service())
	},
	compare: compareAdministrator, repair: appointAdministrator, undo: undoAdministrator,
	writes: func(r Resource, state any) int {
		if state.(appointment).Elsewhere != "" {
			return 1 // it is not noted
		}
		return delegates[r.service()].writes
	},
	revert: &reverter{decode: decoded[appointment], says: saysDismissal, apply: dismissAdministrator, mine: appointedByUs},
}

func compareAdministrator(r Resource, state any) []Mismatch {
	st, want, name := state.(appointment), orgs.AccountID(r.str("Account")), delegates[r.service()].name
	other := st.other(want)
	switch {
	case st.Admin == want:
		return nil
	case st.Full:
		return []Mismatch{{
			Reason:   fmt.Sprintf("%s has %d delegated administrators, which is all that AWS allows, and the wanted one is none of them", name, delegates[r.service()].several),
			Expected: string(want), Actual: string(other), Manual: makeRoom,
		}}
	case r.str("Never") == string(want):
		return []Mismatch{{
			Reason: name + " has no delegated administrator", Expected: "an account that is not the management account", Actual: cmp.Or(string(other), "none"),
			Manual: "AWS does not let the management account administer " + name + ": name another security_account",
		}}
	case other != "":
		return []Mismatch{{
			Reason: name + " is administered by another account", Expected: string(want), Actual: string(other), Manual: respect(name, other, want),
		}}
	}
	return []Mismatch{{Reason: name + " has no delegated administrator", Expected: string(want), Actual: "none", Verb: "enable"}}
}

// markOf is the tag that the security account gets when orgguard was the one who
// made it the administrator of a service: nothing else could tell a teardown.
func markOf(service string) string {
	name, _, _ := strings.Cut(service, ".")
	if _, feature, some := strings.Cut(service, "/"); some {
		name += "-" + strings.ToLower(feature)
	}
	return "orgguard:" + name
}

const markValue = "delegated by orgguard"

func appointAdministrator(ctx context.Context, s site, r Resource, _ any) error {
	service, want := r.service(), orgs.AccountID(r.str("Account"))
	d := delegates[service]
	st, err := s.administrator(ctx, service)
	switch {
	case err != nil:
		return err
	case st.Admin == want:
		return nil
	case st.other(want) != "":
		return notAppointed(d.name, st, want)
	}
	first := st.Elsewhere != want // else somebody, or an earlier Region, has registered it
	if first {
		// Before it is so: a rollout that is killed between the two must not leave an
		// appointment that nobody knows to be orgguard's.
		_, err = s.Organizations.TagResource(ctx, &organizations.TagResourceInput{
			ResourceId: aws.String(string(want)), Tags: []orgtypes.Tag{{Key: aws.String(markOf(service)), Value: aws.String(markValue)}},
		}, s.management().Organizations)
		if err != nil {
			return fmt.Errorf("note on account %s that orgguard makes it the administrator of %s: %w", want, d.name, err)
		}
	}
	if err := d.appoint(ctx, s, want); err != nil {
		if first {
			err = errors.Join(err, s.unmark(ctx, service, want))
		}
		return fmt.Errorf("make account %s the administrator of %s: %w", want, d.name, err)
	}
	return nil
}

// unmark takes orgguard's mark off an account.
func (s site) unmark(ctx context.Context, service string, id orgs.AccountID) error {
	_, err := s.Organizations.UntagResource(ctx, &organizations.UntagResourceInput{ResourceId: aws.String(string(id)), TagKeys: []string{markOf(service)}}, s.management().Organizations)
	if err != nil {
		return fmt.Errorf("take orgguard's note off account %s: %w", id, err)
	}
	return nil
}

// marked says whether orgguard's mark is on an account.
func (s site) marked(ctx context.Context, service string, id orgs.AccountID) (bool, error) {
	p := organizations.NewListTagsForResourcePaginator(s.Organizations, &organizations.ListTagsForResourceInput{ResourceId: aws.String(string(id))})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, s.management().Organizations)
		if err != nil {
			return false, fmt.Errorf("list the tags of account %s: %w", id, err)
		}
		if slices.ContainsFunc(page.Tags, func(t orgtypes.Tag) bool {
			return aws.ToString(t.Key) == markOf(service) && aws.ToString(t.Value) == markValue
		}) {
			return true, nil
		}
	}
	return false, nil
}

func appointedByUs(ctx context.Context, s site, r Resource, now any) (any, bool, error) {
	want, st := orgs.AccountID(r.str("Account")), now.(appointment)
	gone := st.Admin == "" && st.other(want) == "" && s.at.Region == s.base.Home // of all Regions, one is enough
	if st.Admin != want && !gone {
		return appointment{}, false, nil
	}
	yes, err := s.marked(ctx, r.service(), want)
	return appointment{noted: gone}, yes, err
}

func saysDismissal(r Resource, was, now any) (why, not string) {
	want := orgs.AccountID(r.str("Account"))
	switch {
	case was.(appointment).noted:
		return "it is taken back already, but for the registration or orgguard's note on the account", ""
	case now.(appointment).Admin != want:
		return "", "account " + string(want) + " does not administer it any more"
	case was.(appointment).Admin != "":
		return "", "there was an administrator before"
	}
	return "there was no administrator before; trusted access stays on", ""
}

// dismissAdministrator takes the appointment back in the Region, and when no Region
// is left that knows of it, with Organizations too, where orgguard registered it.
func dismissAdministrator(ctx context.Context, s site, r Resource, was any) error {
	service, id := r.service(), orgs.AccountID(r.str("Account"))
	d := delegates[service]
	if d.follows != nil {
		if yes, err := d.follows(ctx, s, id); err != nil {
			return fmt.Errorf("ask who administers %s: %w", d.name, err)
		} else if yes {
			return s.unmark(ctx, service, id)
		}
	}
	if d.dismiss != nil && !was.(appointment).noted {
		if err := d.dismiss(ctx, s, id); err != nil {
			return fmt.Errorf("take %s from account %s: %w", d.name, id, err)
		}
	}
	yes, err := s.marked(ctx, service, id)
	if err != nil || !yes {
		return err
	}
	if d.appointed != nil {
		for _, region := range s.base.mayBeOn() {
			left, err := d.appointed(ctx, s.base.site(s.Pool, s.at.Account, region))
			if err != nil {
				return fmt.Errorf("ask who administers %s in %s: %w", d.name, region, err)
			}
			if left == id {
				return nil
			}
		}
	}
	if id != s.base.Org.ManagementAccount {
		_, err = s.Organizations.DeregisterDelegatedAdministrator(ctx, &organizations.DeregisterDelegatedAdministratorInput{AccountId: aws.String(string(id)), ServicePrincipal: aws.String(principalOf(service))}, s.management().Organizations)
		if err != nil && orgs.Code(err) != "AccountNotRegisteredException" {
			return fmt.Errorf("deregister account %s as the administrator of %s: %w", id, d.name, err)
		}
	}
	return s.unmark(ctx, service, id)
}

func undoAdministrator(s scope, r Resource, _ any) string {
	name, _, _ := strings.Cut(r.service(), ".")
	if r.service() == trailPrincipal {
		return "aws cloudtrail deregister-organization-delegated-admin --delegated-admin-account-id " + r.str("Account")
	}
	if delegates[r.service()].appointed == nil {
		return fmt.Sprintf("aws organizations deregister-delegated-administrator --account-id %s --service-principal %s", r.str("Account"), r.service())
	}
	if r.str("Feature") != "" {
		return fmt.Sprintf("aws %s disable-organization-admin-account --region %s --admin-account-id %s --feature SecurityHub%s (unless Security Hub CSPM is administered by the same account: it ends with that)", name, s.region, r.str("Account"), r.str("Feature"))
	}
	return fmt.Sprintf("aws %s disable-organization-admin-account --region %s --admin-account-id %s (after its members were let go)", name, s.region, r.str("Account"))
}

// mayBeOn are the Regions in which a service may have been set up, by orgguard or
// anybody else: the baseline's own, and all that need no opting in.
func (b *Baseline) mayBeOn() []string {
	regions := slices.Concat(b.Org.Partition.Default, b.Regions)
	slices.Sort(regions)
	return slices.Compact(regions)
}

// register appoints the administrator of a service that leaves it to Organizations,
// as the service's console does: its role, trusted access, the registration.
func (s site) register(ctx context.Context, service string, id orgs.AccountID) error {
	m := s.management()
	if err := makeLinkedRole(ctx, s.Pool, m, service); err != nil {
		return err
	}
	if _, err := s.Organizations.EnableAWSServiceAccess(ctx, &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(principalOf(service))}, m.Organizations); err != nil {
		return fmt.Errorf("let %s act in the organization: %w", service, err)
	}
	if id == s.base.Org.ManagementAccount {
		return nil // needs nobody's permission
	}
	_, err := s.Organizations.RegisterDelegatedAdministrator(ctx, &organizations.RegisterDelegatedAdministratorInput{AccountId: aws.String(string(id)), ServicePrincipal: aws.String(principalOf(service))}, m.Organizations)
	if orgs.Code(err) == "AccountAlreadyRegisteredException" {
		return nil
	}
	return err
}

// policiesOf are the names of the organization's policies of a type that are
// attached to anything: they decide what a service's API would otherwise.
func (s site) policiesOf(ctx context.Context, kind orgtypes.PolicyType) ([]string, error) {
	all, err := orgpolicy.Of(s.Pool, s.management(), kind).Attached(ctx)
	if orgs.Code(err) == "InvalidInputException" {
		return nil, nil // the partition has no such type
	}
	var names []string
	for _, p := range all {
		if len(p.Targets) > 0 {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names, err
}

func guardDutyAdmin(ctx context.Context, s site) (orgs.AccountID, error) {
	out, err := s.GuardDuty.ListOrganizationAdminAccounts(ctx, &guardduty.ListOrganizationAdminAccountsInput{}, s.at.GuardDuty)
	if err != nil || len(out.AdminAccounts) == 0 {
		return "", err
	}
	return orgs.AccountID(aws.ToString(out.AdminAccounts[0].AdminAccountId)), nil
}

func appointGuardDuty(ctx context.Context, s site, id orgs.AccountID) error {
	_, err := s.GuardDuty.EnableOrganizationAdminAccount(ctx, &guardduty.EnableOrganizationAdminAccountInput{AdminAccountId: aws.String(string(id))}, s.at.GuardDuty)
	return err
}

func dismissGuardDuty(ctx context.Context, s site, id orgs.AccountID) error {
	_, err := s.GuardDuty.DisableOrganizationAdminAccount(ctx, &guardduty.DisableOrganizationAdminAccountInput{AdminAccountId: aws.String(string(id))}, s.at.GuardDuty)
	return err
}

const trailPrincipal = "cloudtrail.amazonaws.com"

// makeRoom is what people do where CloudTrail has all the administrators that AWS allows.
const makeRoom = "orgguard replaces nobody: take one of CloudTrail's administrators back by hand (aws organizations list-delegated-administrators --service-principal " + trailPrincipal +
	"), or have the trail made by the management account (cloudtrail: {account: management})"

// trailUnits are those that are of no use without a trail.
var trailUnits = []string{"trail-store", "trail-logs", trailUnit, "trail-alerts"}

// roomless leaves to people what is missing of a trail that the security account was to
// make: while CloudTrail has all the administrators that AWS allows, no rollout can.
func (b *Baseline) roomless(ctx context.Context, s site, u unit, in Inspection) []Mismatch {
	if !slices.Contains(trailUnits, u.ID) || !in.Absent || b.trailAccount() == b.Org.ManagementAccount {
		return in.Mismatches
	}
	st, err := s.administrator(ctx, trailPrincipal)
	if err != nil || !st.Full || st.other(b.Security) == "" {
		return in.Mismatches // the finding about the administrator says why nobody knows
	}
	out := slices.Clone(in.Mismatches)
	for i := range out {
		out[i].Manual = makeRoom
	}
	return out
}

// appointTrail has CloudTrail itself register the account, which makes its roles too.
// https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_RegisterOrganizationDelegatedAdmin.html
func appointTrail(ctx context.Context, s site, id orgs.AccountID) error {
	_, err := s.CloudTrail.RegisterOrganizationDelegatedAdmin(ctx, &cloudtrail.RegisterOrganizationDelegatedAdminInput{MemberAccountId: aws.String(string(id))}, s.management().CloudTrail)
	if orgs.Code(err) == "AccountRegisteredException" {
		return nil
	}
	return err
}

func dismissTrail(ctx context.Context, s site, id orgs.AccountID) error {
	_, err := s.CloudTrail.DeregisterOrganizationDelegatedAdmin(ctx, &cloudtrail.DeregisterOrganizationDelegatedAdminInput{DelegatedAdminAccountId: aws.String(string(id))}, s.management().CloudTrail)
	if orgs.Code(err) == "AccountNotRegisteredException" {
		return nil
	}
	return err
}
