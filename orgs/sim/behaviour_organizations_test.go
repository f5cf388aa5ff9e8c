package sim

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
)

func unitNames(list []types.OrganizationalUnit) []string {
	names := []string{}
	for _, u := range list {
		names = append(names, aws.ToString(u.Name))
	}
	slices.Sort(names)
	return names
}

func organizationTree(ctx context.Context, s *script) {
	c := organizations.NewFromConfig(s.management)
	root := aws.String(s.ids["root"])
	units := func(step string, parent *string) {
		see(s, step, func(o *organizations.ListOrganizationalUnitsForParentOutput) any {
			return unitNames(o.OrganizationalUnits)
		})(
			c.ListOrganizationalUnitsForParent(ctx, &organizations.ListOrganizationalUnitsForParentInput{ParentId: parent}))
	}
	accounts := func(step string, parent *string) {
		see(s, step, func(o *organizations.ListAccountsForParentOutput) any {
			ids := []string{}
			for _, a := range o.Accounts {
				ids = append(ids, s.name(*a.Id))
			}
			slices.Sort(ids)
			return ids
		})(
			c.ListAccountsForParent(ctx, &organizations.ListAccountsForParentInput{ParentId: parent}))
	}
	parent := func(step, child string) {
		see(s, step, func(o *organizations.ListParentsOutput) any { return []any{o.Parents[0].Type, o.Parents[0].Id} })(
			c.ListParents(ctx, &organizations.ListParentsInput{ChildId: &child}))
	}
	move := func(step, account, from, to string) {
		s.did(step)(c.MoveAccount(ctx, &organizations.MoveAccountInput{AccountId: &account, SourceParentId: &from, DestinationParentId: &to}))
	}
	id := func(name string) *string { return aws.String(s.ids[name]) }

	see(s, "the organization", func(o *organizations.DescribeOrganizationOutput) any {
		return []any{o.Organization.FeatureSet, o.Organization.MasterAccountId}
	})(c.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{}))
	see(s, "the root", func(o *organizations.ListRootsOutput) any {
		return []any{len(o.Roots), o.Roots[0].Name, len(o.Roots[0].PolicyTypes)}
	})(
		c.ListRoots(ctx, &organizations.ListRootsInput{}))
	units("OUs under the root", root)
	units("OUs under Workloads", id("Workloads"))
	units("OUs under a leaf", id("Prod"))
	accounts("accounts under the root", root)
	accounts("accounts under Prod", id("Prod"))
	accounts("accounts under Workloads, not below it", id("Workloads"))
	for _, kind := range []types.ChildType{types.ChildTypeAccount, types.ChildTypeOrganizationalUnit} {
		see(s, "children of Workloads: "+string(kind), func(o *organizations.ListChildrenOutput) any {
			ids := []string{}
			for _, child := range o.Children {
				ids = append(ids, s.name(*child.Id))
			}
			slices.Sort(ids)
			return ids
		})(c.ListChildren(ctx, &organizations.ListChildrenInput{ParentId: id("Workloads"), ChildType: kind}))
	}
	parent("parent of an account", s.ids["shop"])
	parent("parent of an OU", s.ids["Prod"])
	parent("parent of an OU under the root", s.ids["Workloads"])

	see(s, "an account's name and state", func(o *organizations.DescribeAccountOutput) any {
		return []any{o.Account.Name, o.Account.Email, o.Account.State, o.Account.JoinedMethod}
	})(c.DescribeAccount(ctx, &organizations.DescribeAccountInput{AccountId: id("shop")}))
	see(s, "an account's paths", func(o *organizations.DescribeAccountOutput) any { return o.Account.Paths })(
		c.DescribeAccount(ctx, &organizations.DescribeAccountInput{AccountId: id("shop")}))
	see(s, "how the management account joined", func(o *organizations.DescribeAccountOutput) any { return o.Account.JoinedMethod })(
		c.DescribeAccount(ctx, &organizations.DescribeAccountInput{AccountId: aws.String("123456789012")}))
	see(s, "an OU", func(o *organizations.DescribeOrganizationalUnitOutput) any { return o.OrganizationalUnit.Name })(
		c.DescribeOrganizationalUnit(ctx, &organizations.DescribeOrganizationalUnitInput{OrganizationalUnitId: id("Prod")}))
	s.did("an account that does not exist")(c.DescribeAccount(ctx, &organizations.DescribeAccountInput{AccountId: aws.String("999999999999")}))
	s.did("an OU that does not exist")(c.DescribeOrganizationalUnit(ctx, &organizations.DescribeOrganizationalUnitInput{OrganizationalUnitId: aws.String("ou-none-12345678")}))
	s.did("parents of an account that does not exist")(c.ListParents(ctx, &organizations.ListParentsInput{ChildId: aws.String("999999999999")}))
	s.did("OUs under a parent that does not exist")(
		c.ListOrganizationalUnitsForParent(ctx, &organizations.ListOrganizationalUnitsForParentInput{ParentId: aws.String("ou-none-12345678")}))

	made, err := c.CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{ParentId: root, Name: aws.String("New")})
	s.note("a new OU", "done", err)
	if err != nil {
		return
	}
	s.know("New", *made.OrganizationalUnit.Id)
	s.did("its new name")(c.UpdateOrganizationalUnit(ctx, &organizations.UpdateOrganizationalUnitInput{OrganizationalUnitId: id("New"), Name: aws.String("Newer")}))
	units("OUs with the new one", root)
	move("an account moves", s.ids["lab"], s.ids["Dev"], s.ids["New"])
	parent("its new parent", s.ids["lab"])
	accounts("nothing is left behind", id("Dev"))
	move("it moves back", s.ids["lab"], s.ids["New"], s.ids["Dev"])
	s.did("an empty OU is deleted")(c.DeleteOrganizationalUnit(ctx, &organizations.DeleteOrganizationalUnitInput{OrganizationalUnitId: id("New")}))
	s.did("it is gone")(c.DescribeOrganizationalUnit(ctx, &organizations.DescribeOrganizationalUnitInput{OrganizationalUnitId: id("New")}))
	s.did("an OU in a parent that does not exist")(
		c.CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{ParentId: aws.String("ou-none-12345678"), Name: aws.String("Lost")}))
	s.did("an OU with its sibling's name")(c.CreateOrganizationalUnit(ctx, &organizations.CreateOrganizationalUnitInput{ParentId: id("Workloads"), Name: aws.String("Prod")}))
	move("an account that does not exist moves", "999999999999", s.ids["root"], s.ids["Prod"])
	move("to a parent that does not exist", s.ids["lab"], s.ids["Dev"], "ou-none-12345678")
	move("from where it is not", s.ids["spare-01"], s.ids["Security"], s.ids["Spare"])
	s.did("an OU with accounts in it is deleted")(c.DeleteOrganizationalUnit(ctx, &organizations.DeleteOrganizationalUnitInput{OrganizationalUnitId: id("Prod")}))

	s.did("an account is closed")(c.CloseAccount(ctx, &organizations.CloseAccountInput{AccountId: id("spare-02")}))
	see(s, "a closed account's state", func(o *organizations.DescribeAccountOutput) any { return o.Account.State })(
		c.DescribeAccount(ctx, &organizations.DescribeAccountInput{AccountId: id("spare-02")}))
	s.did("it is closed again")(c.CloseAccount(ctx, &organizations.CloseAccountInput{AccountId: id("spare-02")}))
}

func organizationPaging(ctx context.Context, s *script) {
	c := organizations.NewFromConfig(s.management)
	count := func(step string, size *int32) {
		sizes, seen := []int{}, map[string]bool{}
		p := organizations.NewListAccountsPaginator(c, &organizations.ListAccountsInput{MaxResults: size})
		for p.HasMorePages() {
			page, err := p.NextPage(ctx)
			if err != nil {
				s.note(step, nil, err)
				return
			}
			sizes = append(sizes, len(page.Accounts))
			for _, a := range page.Accounts {
				seen[*a.Id] = true
			}
		}
		s.note(step, map[string]any{"pages": sizes, "accounts": len(seen)}, nil)
	}
	count("accounts, seven a page", aws.Int32(7))
	count("accounts, twenty a page", aws.Int32(20))
	count("accounts, as many as come", nil)
	s.did("twenty-one a page")(c.ListAccounts(ctx, &organizations.ListAccountsInput{MaxResults: aws.Int32(21)}))
	s.did("a token of one's own making")(c.ListAccounts(ctx, &organizations.ListAccountsInput{NextToken: aws.String("2")}))

	sizes, p := []int{}, organizations.NewListAccountsForParentPaginator(c, &organizations.ListAccountsForParentInput{ParentId: aws.String(s.ids["Spare"]), MaxResults: aws.Int32(8)})
	for p.HasMorePages() {
		sizes = append(sizes, len(must(p.NextPage(ctx))(s.t).Accounts))
	}
	s.note("accounts of an OU, eight a page", sizes, nil)
	see(s, "children, eight a page", func(o *organizations.ListChildrenOutput) any { return []any{len(o.Children), o.NextToken != nil} })(
		c.ListChildren(ctx, &organizations.ListChildrenInput{ParentId: aws.String(s.ids["Spare"]), ChildType: types.ChildTypeAccount, MaxResults: aws.Int32(8)}))
	see(s, "OUs, two a page", func(o *organizations.ListOrganizationalUnitsForParentOutput) any {
		return []any{len(o.OrganizationalUnits), o.NextToken != nil}
	})(c.ListOrganizationalUnitsForParent(ctx, &organizations.ListOrganizationalUnitsForParentInput{ParentId: aws.String(s.ids["root"]), MaxResults: aws.Int32(2)}))
}

func organizationTags(ctx context.Context, s *script) {
	c := organizations.NewFromConfig(s.management)
	tag := func(step, id string, pairs ...string) {
		var tags []types.Tag
		for i := 0; i < len(pairs); i += 2 {
			tags = append(tags, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
		}
		s.did(step)(c.TagResource(ctx, &organizations.TagResourceInput{ResourceId: &id, Tags: tags}))
	}
	list := func(step, id string) {
		see(s, step, func(o *organizations.ListTagsForResourceOutput) any {
			m := map[string]string{}
			for _, t := range o.Tags {
				m[*t.Key] = *t.Value
			}
			return m
		})(c.ListTagsForResource(ctx, &organizations.ListTagsForResourceInput{ResourceId: &id}))
	}
	list("an account without tags", s.ids["shop"])
	tag("two tags on an account", s.ids["shop"], "team", "shop", "stage", "prod")
	list("they are listed", s.ids["shop"])
	tag("another value", s.ids["shop"], "stage", "test")
	list("the value is replaced", s.ids["shop"])
	list("another account has none", s.ids["pay"])
	s.did("a tag is taken away")(c.UntagResource(ctx, &organizations.UntagResourceInput{ResourceId: aws.String(s.ids["shop"]), TagKeys: []string{"stage"}}))
	list("one is left", s.ids["shop"])
	tag("tags on an OU", s.ids["Prod"], "stage", "prod")
	list("an OU's tags", s.ids["Prod"])
	tag("tags on the root", s.ids["root"], "owner", "platform")
	list("the root's tags", s.ids["root"])
	tag("tags on an account that does not exist", "999999999999", "a", "b")
	list("tags of an account that does not exist", "999999999999")
	tag("the same key in two cases", s.ids["lab"], "Owner", "a", "owner", "b")
}

const (
	denyStop   = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"config:StopConfigurationRecorder","Resource":"*"}]}`
	denyDelete = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"config:DeleteConfigurationRecorder","Resource":"*"}]}`
)

func organizationPolicies(ctx context.Context, s *script) {
	c := organizations.NewFromConfig(s.management)
	const scpType = types.PolicyTypeServiceControlPolicy
	create := func(step, name, content string) string {
		out, err := c.CreatePolicy(ctx, &organizations.CreatePolicyInput{Name: &name, Description: aws.String("a test"), Content: &content, Type: scpType})
		s.note(step, "done", err)
		if err != nil {
			return "p-00000000"
		}
		s.know(name, *out.Policy.PolicySummary.Id)
		return *out.Policy.PolicySummary.Id
	}
	attach := func(step, policy, target string) {
		s.did(step)(c.AttachPolicy(ctx, &organizations.AttachPolicyInput{PolicyId: &policy, TargetId: &target}))
	}
	detach := func(step, policy, target string) {
		s.did(step)(c.DetachPolicy(ctx, &organizations.DetachPolicyInput{PolicyId: &policy, TargetId: &target}))
	}
	on := func(step, target string) {
		see(s, step, func(o *organizations.ListPoliciesForTargetOutput) any {
			names := []string{}
			for _, p := range o.Policies {
				names = append(names, *p.Name)
			}
			slices.Sort(names)
			return names
		})(c.ListPoliciesForTarget(ctx, &organizations.ListPoliciesForTargetInput{TargetId: &target, Filter: scpType}))
	}
	targets := func(step, policy string) {
		see(s, step, func(o *organizations.ListTargetsForPolicyOutput) any {
			list := []string{}
			for _, x := range o.Targets {
				list = append(list, string(x.Type)+" "+s.name(*x.TargetId))
			}
			slices.Sort(list)
			return list
		})(c.ListTargetsForPolicy(ctx, &organizations.ListTargetsForPolicyInput{PolicyId: &policy}))
	}
	root := aws.String(s.ids["root"])

	early := create("a policy before the type is enabled", "early", denyStop)
	see(s, "enable service control policies", func(o *organizations.EnablePolicyTypeOutput) any { return o.Root.Id })(
		c.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: root, PolicyType: scpType}))
	see(s, "the root says so", func(o *organizations.ListRootsOutput) any {
		list := []string{}
		for _, p := range o.Roots[0].PolicyTypes {
			list = append(list, string(p.Type)+" "+string(p.Status))
		}
		return list
	})(c.ListRoots(ctx, &organizations.ListRootsInput{}))
	s.did("enable them again")(c.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: root, PolicyType: scpType}))
	s.did("enable them in a root that does not exist")(c.EnablePolicyType(ctx, &organizations.EnablePolicyTypeInput{RootId: aws.String("r-none"), PolicyType: scpType}))

	stop := create("a policy", "stop", denyStop)
	create("a second one of the same name", "stop", denyDelete)
	see(s, "all policies", func(o *organizations.ListPoliciesOutput) any {
		list := []string{}
		for _, p := range o.Policies {
			managed := ""
			if p.AwsManaged {
				managed = " of AWS"
			}
			list = append(list, *p.Name+managed)
		}
		slices.Sort(list)
		return list
	})(c.ListPolicies(ctx, &organizations.ListPoliciesInput{Filter: scpType}))
	see(s, "the policy's text", func(o *organizations.DescribePolicyOutput) any {
		return []any{o.Policy.Content, o.Policy.PolicySummary.Description, o.Policy.PolicySummary.Type}
	})(c.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: &stop}))
	see(s, "FullAWSAccess", func(o *organizations.DescribePolicyOutput) any {
		return []any{o.Policy.PolicySummary.Name, o.Policy.PolicySummary.AwsManaged}
	})(c.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: aws.String("p-FullAWSAccess")}))
	s.did("a policy that does not exist")(c.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: aws.String("p-00000000")}))
	see(s, "its new text", func(o *organizations.UpdatePolicyOutput) any { return o.Policy.Content })(
		c.UpdatePolicy(ctx, &organizations.UpdatePolicyInput{PolicyId: &stop, Content: aws.String(denyDelete)}))
	s.did("a new text for one that does not exist")(c.UpdatePolicy(ctx, &organizations.UpdatePolicyInput{PolicyId: aws.String("p-00000000"), Content: aws.String(denyDelete)}))

	attach("attach it to the root", stop, *root)
	attach("attach it to an OU", stop, s.ids["Prod"])
	attach("attach it to an account", stop, s.ids["lab"])
	attach("attach it to nothing", stop, "999999999999")
	attach("attach nothing", "p-00000000", *root)
	on("policies of the root", *root)
	on("policies of the OU", s.ids["Prod"])
	on("policies of an account below it", s.ids["shop"])
	on("policies of the account", s.ids["lab"])
	on("policies of nothing", "999999999999")
	targets("targets of the policy", stop)
	s.did("delete it while it is attached")(c.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: &stop}))
	for _, target := range []string{"root", "Prod", "lab"} {
		detach("detach it from "+target, stop, s.ids[target])
	}
	targets("no targets are left", stop)
	s.did("delete it")(c.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: &stop}))
	s.did("it is gone")(c.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: &stop}))
	s.did("delete it again")(c.DeletePolicy(ctx, &organizations.DeletePolicyInput{PolicyId: &stop}))

	create("a policy that is no JSON", "garbage", "garbage")
	create("a policy that is too long", "long", strings.Replace(denyStop, `"*"`, `"`+strings.Repeat("x", 11_000)+`"`, 1))
	second := create("another policy", "second", denyStop)
	attach("attach that", second, s.ids["Dev"])
	attach("attach it twice", second, s.ids["Dev"])
	detach("detach it from where it is not", second, s.ids["Security"])
	detach("detach the last policy of an account", "p-FullAWSAccess", s.ids["pay"])
	s.did("change FullAWSAccess")(c.UpdatePolicy(ctx, &organizations.UpdatePolicyInput{PolicyId: aws.String("p-FullAWSAccess"), Content: aws.String(denyDelete)}))
	s.did("disable the type")(c.DisablePolicyType(ctx, &organizations.DisablePolicyTypeInput{RootId: root, PolicyType: scpType}))
	targets("nothing is attached any more", second)
	attach("attach a policy of a type that is off", early, s.ids["Security"])
	s.did("disable it again")(c.DisablePolicyType(ctx, &organizations.DisablePolicyTypeInput{RootId: root, PolicyType: scpType}))
}

func organizationServices(ctx context.Context, s *script) {
	c := organizations.NewFromConfig(s.management)
	const service = "config-multiaccountsetup.amazonaws.com"
	security := aws.String(s.ids["security"])
	trusted := func(step string) {
		see(s, step, func(o *organizations.ListAWSServiceAccessForOrganizationOutput) any {
			list := []string{}
			for _, p := range o.EnabledServicePrincipals {
				list = append(list, *p.ServicePrincipal)
			}
			return list
		})(c.ListAWSServiceAccessForOrganization(ctx, &organizations.ListAWSServiceAccessForOrganizationInput{}))
	}
	delegates := func(step string, service *string) {
		see(s, step, func(o *organizations.ListDelegatedAdministratorsOutput) any {
			list := []string{}
			for _, a := range o.DelegatedAdministrators {
				list = append(list, *a.Name)
			}
			return list
		})(c.ListDelegatedAdministrators(ctx, &organizations.ListDelegatedAdministratorsInput{ServicePrincipal: service}))
	}
	register := func(step, account, service string) {
		s.did(step)(c.RegisterDelegatedAdministrator(ctx, &organizations.RegisterDelegatedAdministratorInput{AccountId: &account, ServicePrincipal: &service}))
	}
	trusted("services trusted at first")
	s.did("trust a service")(c.EnableAWSServiceAccess(ctx, &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(service)}))
	trusted("it is trusted")
	s.did("trust it again")(c.EnableAWSServiceAccess(ctx, &organizations.EnableAWSServiceAccessInput{ServicePrincipal: aws.String(service)}))
	register("delegate it", *security, service)
	delegates("who is a delegate", nil)
	delegates("a delegate of this service", aws.String(service))
	see(s, "what is delegated to the account", func(o *organizations.ListDelegatedServicesForAccountOutput) any {
		list := []string{}
		for _, d := range o.DelegatedServices {
			list = append(list, *d.ServicePrincipal)
		}
		return list
	})(c.ListDelegatedServicesForAccount(ctx, &organizations.ListDelegatedServicesForAccountInput{AccountId: security}))
	register("delegate it again", *security, service)
	register("delegate it to the management account", "123456789012", service)
	register("delegate it to a stranger", "999999999999", service)

	delegate := organizations.NewFromConfig(s.in("security", "us-east-1"))
	member := organizations.NewFromConfig(s.in("shop", "us-east-1"))
	see(s, "a delegate lists accounts", func(o *organizations.ListAccountsOutput) any { return len(o.Accounts) })(delegate.ListAccounts(ctx, &organizations.ListAccountsInput{}))
	see(s, "a member lists accounts", func(o *organizations.ListAccountsOutput) any { return len(o.Accounts) })(member.ListAccounts(ctx, &organizations.ListAccountsInput{}))
	see(s, "a member describes the organization", func(o *organizations.DescribeOrganizationOutput) any {
		return []any{o.Organization.Id, o.Organization.MasterAccountId}
	})(member.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{}))
	s.did("a member makes a policy")(member.CreatePolicy(ctx, &organizations.CreatePolicyInput{
		Name: aws.String("mine"), Description: aws.String(""), Content: aws.String(denyStop), Type: types.PolicyTypeServiceControlPolicy,
	}))

	s.did("take the delegation back")(c.DeregisterDelegatedAdministrator(ctx, &organizations.DeregisterDelegatedAdministratorInput{AccountId: security, ServicePrincipal: aws.String(service)}))
	delegates("nobody is a delegate", nil)
	s.did("take it back again")(c.DeregisterDelegatedAdministrator(ctx, &organizations.DeregisterDelegatedAdministratorInput{AccountId: security, ServicePrincipal: aws.String(service)}))
	s.did("trust it no more")(c.DisableAWSServiceAccess(ctx, &organizations.DisableAWSServiceAccessInput{ServicePrincipal: aws.String(service)}))
	trusted("nothing is trusted")
	register("delegate what AWS Config does", *security, "config.amazonaws.com")
}
