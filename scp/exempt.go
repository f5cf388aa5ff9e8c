package scp

import "strings"

// Why service control policies do not apply to a request.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html#not-restricted-by-scp
const (
	ExemptManagementAccount = "management-account"
	ExemptServiceLinkedRole = "service-linked-role"
	ExemptAWSService        = "aws-service"
	ExemptOutsidePath       = "principal-not-in-this-path"
	// ExemptAction is for sts:GetCallerIdentity, which no policy can deny.
	// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
	ExemptAction = "action-cannot-be-denied"
	// ExemptRootTask is for the services whose tasks as root user are not
	// restricted. The other root tasks of the guide (support plans, CloudFront
	// trusted signers, reverse DNS) are not calls with an IAM action, so no
	// request can ask about them.
	ExemptRootTask = "root-user-task"
)

// exemption says why the policies of the path do not apply to a request, or
// "". The order is that of the guide: a service-linked role in the management
// account is exempt because of the account.
func (e *Evaluator) exemption(r *Request) string {
	p := &r.Principal
	account := p.account()
	switch {
	case account != "" && account == e.org.ManagementAccountID:
		return ExemptManagementAccount
	case p.Type == PrincipalServiceLinkedRole || p.Type != PrincipalAWSService && (isServiceLinked(p.RoleARN) || isServiceLinked(p.ARN)):
		return ExemptServiceLinkedRole
	case p.Type == PrincipalAWSService:
		return ExemptAWSService
	case p.Type == PrincipalAnonymous:
		return ExemptOutsidePath
	case account != "" && e.account != "" && account != e.account:
		return ExemptOutsidePath
	case strings.EqualFold(r.Action, "sts:GetCallerIdentity"):
		return ExemptAction
	case p.Type == PrincipalRoot && hasPrefixFold(r.Action, "mechanicalturk:"):
		return ExemptRootTask
	}
	return ""
}

// account is the principal's account: as given, else from its ARNs.
func (p *Principal) account() string {
	if p.AccountID != "" {
		return p.AccountID
	}
	for _, arn := range [...]string{p.RoleARN, p.ARN} {
		if id := arnSegment(arn, 4); id != "" {
			return id
		}
	}
	return ""
}

// arnSegment returns a segment of an ARN, counted from zero, or "".
func arnSegment(arn string, n int) string {
	if !strings.HasPrefix(arn, "arn:") {
		return ""
	}
	for range n {
		i := strings.IndexByte(arn, ':')
		if i < 0 {
			return ""
		}
		arn = arn[i+1:]
	}
	if i := strings.IndexByte(arn, ':'); i >= 0 {
		return arn[:i]
	}
	return ""
}

// isServiceLinked goes by the role's path, which AWS reserves; anybody may
// give a role the name AWSServiceRoleForConfig. A session's ARN has no path.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html
func isServiceLinked(arn string) bool {
	if arnSegment(arn, 2) != "iam" {
		return false
	}
	rest := arn
	for range 5 {
		rest = rest[strings.IndexByte(rest, ':')+1:]
	}
	return strings.HasPrefix(rest, "role/aws-service-role/")
}

// Context returns the condition keys that every signed request of the
// principal carries, so that a caller who knows only the principal need not
// spell them out.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principal-properties
func (p *Principal) Context() map[string][]string {
	c := map[string][]string{}
	arn := p.ARN
	if p.RoleARN != "" {
		arn = p.RoleARN // aws:PrincipalArn holds the role, never the session
	}
	if arn != "" && p.Type != PrincipalAWSService && p.Type != PrincipalAnonymous {
		c["aws:PrincipalArn"] = []string{arn}
	}
	if id := p.account(); id != "" {
		c["aws:PrincipalAccount"] = []string{id}
	}
	switch p.Type {
	case PrincipalRoot:
		c["aws:PrincipalType"] = []string{"Account"}
	case PrincipalUser:
		c["aws:PrincipalType"] = []string{"User"}
	case PrincipalRole, PrincipalServiceLinkedRole:
		c["aws:PrincipalType"] = []string{"AssumedRole"}
	case PrincipalFederatedUser:
		c["aws:PrincipalType"] = []string{"FederatedUser"}
	case PrincipalAnonymous:
		c["aws:PrincipalType"] = []string{"Anonymous"}
	}
	return c
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
