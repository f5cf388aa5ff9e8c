package sim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/account/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
)

// admin is the service's administrator of a Region; "" for none.
func (w *World) admin(service, region string) string { return w.state.Org.Admins[service][region] }

// setAdmin makes an account the service's administrator of a Region; "" takes it
// back.
func (w *World) setAdmin(service, region, account string) {
	o := &w.state.Org
	if account == "" {
		delete(o.Admins[service], region)
		return
	}
	if o.Admins == nil {
		o.Admins = map[string]map[string]string{}
	}
	if o.Admins[service] == nil {
		o.Admins[service] = map[string]string{}
	}
	o.Admins[service][region] = account
}

// appoint makes an account the administrator of a service in the call's Region:
// only the management account may, only one of the organization, and in every
// Region the same. It enables trusted access and registers the account with
// Organizations, with the caller's rights. refuse makes the service's own error.
func (c *call) appoint(service, account string, refuse func(string) error) error {
	o := &c.w.state.Org
	switch {
	case c.caller.Account != o.ManagementAccount:
		return accessDenied("You are not authorized: only the organization's management account may designate a delegated administrator.")
	case o.Accounts[account] == nil:
		return refuse("the account is not a member of the organization.")
	case c.w.admin(service, c.region) != "" && c.w.admin(service, c.region) != account:
		return refuse("another account is already the delegated administrator of the organization.")
	}
	for other := range o.Delegated {
		if other != account && c.w.isDelegatedAdmin(other, service) {
			return refuse("another account is already the delegated administrator of the organization in other Regions.")
		}
	}
	for _, elsewhere := range o.Admins[service] {
		if elsewhere != account {
			return refuse("another account is already the delegated administrator of the organization in other Regions.")
		}
	}
	if err := c.trust(service, account); err != nil {
		return err
	}
	c.w.setAdmin(service, c.region, account)
	return nil
}

// trust does what a service does with Organizations when the management account
// appoints its administrator, with that caller's rights.
func (c *call) trust(service, account string) error {
	if _, err := c.as(c.caller, c.region, "Organizations", "EnableAWSServiceAccess", &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(service)}); err != nil {
		return err
	}
	if account == c.w.state.Org.ManagementAccount || c.w.isDelegatedAdmin(account, service) {
		return nil
	}
	_, err := c.as(c.caller, c.region, "Organizations", "RegisterDelegatedAdministrator",
		&organizations.RegisterDelegatedAdministratorInput{AccountId: aws.String(account), ServicePrincipal: aws.String(service)})
	return err
}

// regionIsOn says whether a Region is on in an account.
func (w *World) regionIsOn(account, region string) bool {
	s := w.regionStatus(account, region)
	return s == types.RegionOptStatusEnabled || s == types.RegionOptStatusEnabledByDefault
}
