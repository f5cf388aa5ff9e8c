package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/accessanalyzer"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/guardduty/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/sim"
)

// tamperGuardDuty switches something of GuardDuty off, as its administrator: members
// can only be let go once auto-enable has ended.
func tamperGuardDuty(ctx context.Context, s streams, w *sim.World, what, region string, a orgs.Account) error {
	admins, err := guardduty.NewFromConfig(w.ManagementConfig(region)).ListOrganizationAdminAccounts(ctx, &guardduty.ListOrganizationAdminAccountsInput{})
	if err != nil {
		return err
	}
	if len(admins.AdminAccounts) == 0 {
		return usage("GuardDuty has no delegated administrator in %s", region)
	}
	admin := aws.ToString(admins.AdminAccounts[0].AdminAccountId)
	c := guardduty.NewFromConfig(operator(w, orgs.AccountID(admin), region))
	list, err := c.ListDetectors(ctx, &guardduty.ListDetectorsInput{})
	if err != nil || len(list.DetectorIds) == 0 {
		return err
	}
	detector := aws.String(list.DetectorIds[0])
	_, err = c.UpdateOrganizationConfiguration(ctx, &guardduty.UpdateOrganizationConfigurationInput{DetectorId: detector, AutoEnableOrganizationMembers: types.AutoEnableMembersNone})
	if err != nil || what == "guardduty-auto-enable-off" {
		return told(s, err, "ended GuardDuty's auto-enable in %s", region)
	}
	var left []types.UnprocessedAccount
	if what == "guardduty-member-removed" {
		out, rerr := c.DisassociateMembers(ctx, &guardduty.DisassociateMembersInput{DetectorId: detector, AccountIds: []string{string(a.ID)}})
		if err = rerr; err == nil {
			left = out.UnprocessedAccounts
		}
	} else {
		out, serr := c.StopMonitoringMembers(ctx, &guardduty.StopMonitoringMembersInput{DetectorId: detector, AccountIds: []string{string(a.ID)}})
		if err = serr; err == nil {
			left = out.UnprocessedAccounts
		}
	}
	if len(left) > 0 {
		return usage("account %s: %s", a.ID, aws.ToString(left[0].Result))
	}
	return told(s, err, "GuardDuty does not watch %s (%s) any more in %s", a.ID, a.Name, region)
}

// tamperAnalyzer deletes the analyzer that orgguard made of external access.
func tamperAnalyzer(ctx context.Context, s streams, w *sim.World, region string) error {
	const service, name = "access-analyzer.amazonaws.com", "orgguard-external-access"
	admins, err := organizations.NewFromConfig(w.ManagementConfig(region)).ListDelegatedAdministrators(ctx, &organizations.ListDelegatedAdministratorsInput{ServicePrincipal: aws.String(service)})
	if err != nil {
		return err
	}
	if len(admins.DelegatedAdministrators) == 0 {
		return usage("IAM Access Analyzer has no delegated administrator")
	}
	admin := aws.ToString(admins.DelegatedAdministrators[0].Id)
	_, err = accessanalyzer.NewFromConfig(operator(w, orgs.AccountID(admin), region)).DeleteAnalyzer(ctx, &accessanalyzer.DeleteAnalyzerInput{AnalyzerName: aws.String(name)})
	return told(s, err, "deleted analyzer %s in %s, %s", name, admin, region)
}

// tamperSecurityHub switches something of Security Hub off: what is the organization's as
// its administrator, a standard as somebody of the account.
func tamperSecurityHub(ctx context.Context, s streams, w *sim.World, what, region string, a orgs.Account) error {
	if what == "securityhub-standard-off" {
		c := securityhub.NewFromConfig(operator(w, a.ID, region))
		out, err := c.GetEnabledStandards(ctx, &securityhub.GetEnabledStandardsInput{})
		if err != nil {
			return err
		}
		if len(out.StandardsSubscriptions) == 0 {
			return usage("account %s has no standard of Security Hub in %s", a.ID, region)
		}
		first := out.StandardsSubscriptions[0]
		_, err = c.BatchDisableStandards(ctx, &securityhub.BatchDisableStandardsInput{StandardsSubscriptionArns: []string{aws.ToString(first.StandardsSubscriptionArn)}})
		return told(s, err, "disabled standard %s in %s (%s), %s", aws.ToString(first.StandardsArn), a.ID, a.Name, region)
	}
	admins, err := securityhub.NewFromConfig(w.ManagementConfig(region)).ListOrganizationAdminAccounts(ctx, &securityhub.ListOrganizationAdminAccountsInput{})
	if err != nil {
		return err
	}
	if len(admins.AdminAccounts) == 0 {
		return usage("Security Hub has no delegated administrator in %s", region)
	}
	c := securityhub.NewFromConfig(operator(w, orgs.AccountID(aws.ToString(admins.AdminAccounts[0].AccountId)), region))
	if what == "securityhub-auto-enable-off" {
		_, err := c.UpdateOrganizationConfiguration(ctx, &securityhub.UpdateOrganizationConfigurationInput{AutoEnable: aws.Bool(false)})
		return told(s, err, "ended Security Hub's auto-enable in %s", region)
	}
	_, err = c.DisassociateMembers(ctx, &securityhub.DisassociateMembersInput{AccountIds: []string{string(a.ID)}})
	return told(s, err, "Security Hub of %s (%s) reports to nobody any more in %s", a.ID, a.Name, region)
}
