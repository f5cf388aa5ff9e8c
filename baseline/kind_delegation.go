package baseline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
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
	name      string
	appointed func(context.Context, site) (orgs.AccountID, error) // nil for services with one administrator for all Regions
	appoint   func(context.Context, site, orgs.AccountID) error
	dismiss   func(context.Context, site, orgs.AccountID) error
}

// delegates are the services by their principals.
var delegates = map[string]delegate{
	guardDutyPrincipal: {"GuardDuty", guardDutyAdmin, appointGuardDuty, dismissGuardDuty},
}

const guardDutyPrincipal = "guardduty.amazonaws.com"

// management is the management account, from where Organizations is asked.
func (s site) management() access.At { return s.in(s.base.Org.ManagementAccount).at }

// administrator asks who administers a service, in the site's Region.
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
	p := organizations.NewListDelegatedAdministratorsPaginator(s.Organizations, &organizations.ListDelegatedAdministratorsInput{ServicePrincipal: aws.String(service)})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, s.management().Organizations)
		if err != nil {
			return appointment{}, fmt.Errorf("ask who administers %s: %w", d.name, err)
		}
		for _, a := range page.DelegatedAdministrators {
			if d.appointed == nil {
				return appointment{Admin: orgs.AccountID(aws.ToString(a.Id))}, nil
			}
			return appointment{Elsewhere: orgs.AccountID(aws.ToString(a.Id))}, nil
		}
	}
	if d.appointed == nil && s.base.Security == s.base.Org.ManagementAccount {
		return appointment{Admin: s.base.Security}, nil // needs nobody's permission
	}
	return appointment{}, nil
}

var administratorKind = kind{
	noun: "organization setting",
	observe: func(ctx context.Context, s site, r Resource) (any, error) {
		return s.administrator(ctx, r.str("Service"))
	},
	compare: compareAdministrator, repair: appointAdministrator, undo: undoAdministrator,
	writes: func(_ Resource, state any) int {
		if state.(appointment).Elsewhere != "" {
			return 1
		}
		return 2 // it is noted, too
	},
	revert: &reverter{decode: decoded[appointment], says: saysDismissal, apply: dismissAdministrator, mine: appointedByUs},
}

func compareAdministrator(r Resource, state any) []Mismatch {
	st, want, name := state.(appointment), orgs.AccountID(r.str("Account")), delegates[r.str("Service")].name
	other := st.other(want)
	switch {
	case st.Admin == want:
		return nil
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
	return "orgguard:" + name
}

const markValue = "delegated by orgguard"

func appointAdministrator(ctx context.Context, s site, r Resource, _ any) error {
	service, want := r.str("Service"), orgs.AccountID(r.str("Account"))
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
	if err := d.appoint(ctx, s, want); err != nil {
		return fmt.Errorf("make account %s the administrator of %s: %w", want, d.name, err)
	}
	if st.Elsewhere == want {
		return nil // somebody, or an earlier Region, has registered it
	}
	_, err = s.Organizations.TagResource(ctx, &organizations.TagResourceInput{
		ResourceId: aws.String(string(want)), Tags: []orgtypes.Tag{{Key: aws.String(markOf(service)), Value: aws.String(markValue)}},
	}, s.management().Organizations)
	if err != nil {
		return fmt.Errorf("note on account %s that orgguard made it the administrator of %s: %w", want, d.name, err)
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
	want := orgs.AccountID(r.str("Account"))
	if now.(appointment).Admin != want {
		return appointment{}, false, nil
	}
	yes, err := s.marked(ctx, r.str("Service"), want)
	return appointment{}, yes, err
}

func saysDismissal(r Resource, was, now any) (why, not string) {
	want := orgs.AccountID(r.str("Account"))
	switch {
	case now.(appointment).Admin != want:
		return "", "account " + string(want) + " does not administer it any more"
	case was.(appointment).Admin != "":
		return "", "there was an administrator before"
	}
	return "there was no administrator before; trusted access stays on", ""
}

// dismissAdministrator takes the appointment back in the Region, and when no Region
// is left that knows of it, with Organizations too, where orgguard registered it.
func dismissAdministrator(ctx context.Context, s site, r Resource, _ any) error {
	service, id := r.str("Service"), orgs.AccountID(r.str("Account"))
	d := delegates[service]
	if d.dismiss != nil {
		if err := d.dismiss(ctx, s, id); err != nil {
			return fmt.Errorf("take %s from account %s: %w", d.name, id, err)
		}
	}
	yes, err := s.marked(ctx, service, id)
	if err != nil || !yes {
		return err
	}
	if d.appointed != nil {
		regions := slices.Concat(s.base.Org.Partition.Default, s.base.Regions)
		slices.Sort(regions)
		for _, region := range slices.Compact(regions) {
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
		_, err = s.Organizations.DeregisterDelegatedAdministrator(ctx, &organizations.DeregisterDelegatedAdministratorInput{AccountId: aws.String(string(id)), ServicePrincipal: aws.String(service)}, s.management().Organizations)
		if err != nil && orgs.Code(err) != "AccountNotRegisteredException" {
			return fmt.Errorf("deregister account %s as the administrator of %s: %w", id, d.name, err)
		}
	}
	if _, err = s.Organizations.UntagResource(ctx, &organizations.UntagResourceInput{ResourceId: aws.String(string(id)), TagKeys: []string{markOf(service)}}, s.management().Organizations); err != nil {
		return fmt.Errorf("take orgguard's note off account %s: %w", id, err)
	}
	return nil
}

func undoAdministrator(s scope, r Resource, _ any) string {
	name, _, _ := strings.Cut(r.str("Service"), ".")
	return fmt.Sprintf("aws %s disable-organization-admin-account --region %s --admin-account-id %s (after its members were deleted)", name, s.region, r.str("Account"))
}

// policiesOf are the names of the organization's policies of a type that are
// attached to anything: they decide what a service's API would otherwise.
func (s site) policiesOf(ctx context.Context, kind orgtypes.PolicyType) ([]string, error) {
	var names []string
	p := organizations.NewListPoliciesPaginator(s.Organizations, &organizations.ListPoliciesInput{Filter: kind})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx, s.management().Organizations)
		if orgs.Code(err) == "InvalidInputException" {
			return nil, nil // the partition has no such type
		}
		if err != nil {
			return nil, fmt.Errorf("list the organization's policies of type %s: %w", kind, err)
		}
		for _, policy := range page.Policies {
			out, err := s.Organizations.ListTargetsForPolicy(ctx, &organizations.ListTargetsForPolicyInput{PolicyId: policy.Id}, s.management().Organizations)
			if err != nil {
				return nil, fmt.Errorf("list what policy %s is attached to: %w", aws.ToString(policy.Name), err)
			}
			if len(out.Targets) > 0 {
				names = append(names, aws.ToString(policy.Name))
			}
		}
	}
	slices.Sort(names)
	return names, nil
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
