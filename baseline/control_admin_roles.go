package baseline

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/finding"
	"github.com/orgguard/orgguard/orgs/spec"
)

// AdminRolesSettings are the settings of admin-roles.
type AdminRolesSettings struct {
	// Trusted are accounts and IAM users, by number and ARN.
	Trusted []string `yaml:"trusted" doc:"accounts (their IAM users) and ARNs of IAM users who may take the roles on, with MFA; none at all is the security account"`
	// TrustedRoles are ARNs of roles; * stands for any characters.
	TrustedRoles []string `yaml:"trusted_roles" doc:"ARNs of roles that may take them on, * for any characters; where people get such a role MFA must be asked for, since AWS does not pass it on"`
	// Roles are those that are made.
	Roles []string `yaml:"roles" doc:"which of the four roles there are"`
	// SessionHours is how long a session lasts at most.
	SessionHours int `yaml:"session_hours" doc:"how long a session lasts at most, 1 to 12 hours"`
}

// adminRoleNames are the roles in the order of the template; each is called
// orgguard-<name> in IAM.
var adminRoleNames = []string{"SysAdmin", "IAMAdmin", "InstanceOps", "ReadOnlyAdmin"}

// The names that IAM allows, and * in those of roles.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
var (
	accountNumber = orgs.NewPattern(`^[0-9]{12}$`)
	userARN       = orgs.NewPattern(`^arn:aws[a-z-]*:iam::[0-9]{12}:user/[A-Za-z0-9+=,.@_/-]{1,512}$`)
	roleARN       = orgs.NewPattern(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/*-]{1,512}$`)
)

// Validate reports settings that make no sense.
func (s *AdminRolesSettings) Validate(report func(key, message string)) {
	for i, who := range s.Trusted {
		key := fmt.Sprintf("trusted[%d]", i)
		switch {
		case roleARN.MatchString(who):
			report(key, "a role's session does not say whether MFA was used: name roles under trusted_roles")
		case !accountNumber.MatchString(who) && !userARN.MatchString(who):
			report(key, "want an account's number or the ARN of an IAM user")
		}
	}
	for i, who := range s.TrustedRoles {
		if !roleARN.MatchString(who) {
			report(fmt.Sprintf("trusted_roles[%d]", i), "want the ARN of a role, with the account's number in full")
		}
	}
	if s.size() > 2048 {
		report("trusted", "more than a role's trust policy holds: name accounts, or use * in trusted_roles")
	}
	if len(s.Roles) == 0 {
		report("roles", "want at least one of "+strings.Join(adminRoleNames, ", "))
	}
	for i, name := range s.Roles {
		if !slices.Contains(adminRoleNames, name) {
			report(fmt.Sprintf("roles[%d]", i), spec.NotOneOf("role", name, adminRoleNames))
		}
	}
	if s.SessionHours < 1 || s.SessionHours > 12 {
		report("session_hours", "want 1 to 12")
	}
}

// size is at most how many characters the trust policy has: IAM takes 2,048.
func (s *AdminRolesSettings) size() int {
	n := 600 // three statements without their principals
	for _, who := range slices.Concat(s.Trusted, s.TrustedRoles) {
		n += len(`"arn:aws-us-gov:iam::111111111111:root",`)
		if !accountNumber.MatchString(who) {
			n += len(who) + 3
		}
	}
	return n
}

// adminRoles: people administer accounts with roles that do not reach what
// orgguard has put there. They are off by default: who has a way of their own into
// the accounts needs no other.
//
// The boundary is what counts. It forbids changes of AWS Config and of orgguard's
// own, and lets IAM be changed under the path /delegated/ alone, where everything
// has the boundary in turn. A path, because IAM knows the condition key
// iam:PermissionsBoundary for some actions only: not for UpdateAssumeRolePolicy,
// CreateAccessKey or PassRole, with each of which one becomes somebody else.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
var adminRoles = Control{
	ID: "admin-roles", Title: "People administer accounts with roles that cannot take the baseline away", Severity: finding.Medium,
	about: About{
		Why:     "Who administers an account with AdministratorAccess can take away whatever the SCP does not name. These roles have a boundary that they can neither change nor shake off.",
		Cost:    "nothing",
		Example: `admin-roles: {trusted: ["111111111111"], trusted_roles: ["arn:aws:iam::222222222222:role/Platform*"], roles: [SysAdmin, ReadOnlyAdmin]}`,
	},
	parts:    []part{{unit: "admins"}},
	settings: func() any { return &AdminRolesSettings{Roles: slices.Clone(adminRoleNames), SessionHours: 4} },
	params: func(s any, _ *Baseline) map[string]string {
		return map[string]string{"AdminSessionSeconds": strconv.Itoa(s.(*AdminRolesSettings).SessionHours * 3600)}
	},
	extend: func(f *fragment, b *Baseline) {
		s := b.settings["admin-roles"].(*AdminRolesSettings)
		trust := s.trust(b)
		resources := get(f.root, "Resources")
		for _, name := range adminRoleNames {
			if slices.Contains(s.Roles, name) {
				*f.at("Resources", name, "Properties", "AssumeRolePolicyDocument", "Statement") = *trust
				continue
			}
			i := slices.IndexFunc(resources.Content, func(n *yaml.Node) bool { return n.Value == name })
			resources.Content = slices.Delete(resources.Content, i, i+2)
		}
	},
	Reads: []string{"iam:GetPolicy", "iam:GetPolicyVersion"},
	Writes: []string{
		"iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:ListPolicyVersions", "iam:PutRolePermissionsBoundary",
	},
}

// trust is who may take the roles on. Principals are accounts, and who in them is
// a condition: IAM refuses the ARN of a principal that does not exist, and turns it
// into an id once it is deleted.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
func (s *AdminRolesSettings) trust(b *Baseline) *yaml.Node {
	var accounts, users []string
	for _, who := range s.Trusted {
		if accountNumber.MatchString(who) {
			accounts = append(accounts, who)
		} else {
			users = append(users, who)
		}
	}
	if len(s.Trusted)+len(s.TrustedRoles) == 0 {
		accounts = []string{string(b.Security)}
	}
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	add := func(sid string, accounts, arns []string, mfa bool) {
		if len(accounts) == 0 {
			return
		}
		conditions := object()
		if mfa {
			set(conditions, "Bool", object("aws:MultiFactorAuthPresent", quoted("true")))
		}
		if len(arns) > 0 {
			set(conditions, "ArnLike", object("aws:PrincipalArn", texts(arns)))
		}
		roots := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, id := range accounts {
			roots.Content = append(roots.Content, text("!Sub", "arn:${AWS::Partition}:iam::"+id+":root"))
		}
		list.Content = append(list.Content, object("Sid", text("!!str", sid), "Effect", text("!!str", "Allow"), "Principal", object("AWS", roots),
			"Action", text("!!str", "sts:AssumeRole"), "Condition", conditions))
	}
	add("Accounts", accounts, nil, true)
	add("Users", accountsOf(users), users, true)
	add("Roles", accountsOf(s.TrustedRoles), s.TrustedRoles, false)
	return list
}

// accountsOf are the accounts of ARNs, each once.
func accountsOf(arns []string) []string {
	var out []string
	for _, arn := range arns {
		if id := strings.Split(arn, ":")[4]; !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// object is a mapping of keys and nodes, in their order.
func object(pairs ...any) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i+1 < len(pairs); i += 2 {
		set(m, pairs[i].(string), pairs[i+1].(*yaml.Node))
	}
	return m
}

// texts is a list of texts.
func texts(values []string) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	setStrings(list, values)
	return list
}
