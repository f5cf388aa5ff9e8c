package sim

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	accounttypes "github.com/aws/aws-sdk-go-v2/service/account/types"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/orgguard/orgguard/scp"
)

// The kinds of principals the world has.
const (
	principalRoot          = scp.PrincipalRoot
	principalUser          = scp.PrincipalUser
	principalRole          = scp.PrincipalRole
	principalServiceLinked = scp.PrincipalServiceLinkedRole
	principalService       = scp.PrincipalAWSService
)

// callerAddress is where people's calls come from: a documentation address
// (RFC 5737).
const callerAddress = "203.0.113.17"

// authorize decides on a call as AWS does: the account has to be alive and the
// Region on in it; then the SCPs on the way from the root to the caller's
// account, if SCPs are on; then the session policy, the permissions boundary
// and the identity-based policies. Resource-based policies are the business of
// the service that has them.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
func (w *World) authorize(c *call, action, resource string) error {
	if err := w.admit(c); err != nil {
		return err
	}
	// AWS services act on their own authority, and nothing can deny
	// GetCallerIdentity.
	if c.caller.Type == principalService || action == "sts:GetCallerIdentity" {
		return nil
	}
	req := &scp.Request{
		Principal: scp.Principal{
			Type: c.caller.Type, ARN: c.caller.ARN, RoleARN: c.caller.RoleARN, AccountID: c.caller.Account,
		},
		Action:   action,
		Resource: resource,
		Context:  w.requestContext(c, resource),
	}
	if why := w.deniedByOrganization(c.caller, req); why != "" {
		return notAuthorized(c, action, resource, why)
	}
	if why := w.deniedByIdentity(c, req); why != "" {
		return notAuthorized(c, action, resource, why)
	}
	return nil
}

// admit refuses calls that never get as far as policies: to Regions that do
// not exist or are off in the account, by accounts that are closed, and with
// sessions of roles that were deleted.
func (w *World) admit(c *call) error {
	svc := w.services[c.service]
	if !svc.global {
		switch w.regionStatus(c.caller.Account, c.region) {
		case regionUnknown:
			// The SDK makes the endpoint's name of the Region, and DNS knows no such host.
			host := svc.prefix + "." + c.region + ".amazonaws.com"
			return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
		case regionDisabled:
			return apiError(codesOf(c.service).token, "The security token included in the request is invalid.")
		}
	}
	if w.account(c.caller.Account) == nil {
		return apiError(codesOf(c.service).token, "The security token included in the request is invalid.")
	}
	if state := w.accountInState(c.caller.Account); state != "" && state != string(orgtypes.AccountStateActive) && c.caller.Type != principalService {
		return denied(c.service, "The account %s is not active: its state is %s.", c.caller.Account, state)
	}
	if c.caller.Type == principalRole || c.caller.Type == principalServiceLinked {
		if _, r := w.roleByARN(c.caller.RoleARN); r == nil {
			return apiError(codesOf(c.service).token, "The security token included in the request is invalid.")
		}
	}
	return nil
}

// deniedByOrganization says why SCPs refuse a request; "" when they do not.
// They bind every principal of a member account but service-linked roles, the
// root user included, and none of the management account.
func (w *World) deniedByOrganization(p Principal, req *scp.Request) string {
	o := &w.state.Org
	if p.Account == o.ManagementAccount || p.Type == principalServiceLinked || p.Type == principalService ||
		o.Accounts[p.Account] == nil || !o.typeEnabled(orgtypes.PolicyTypeServiceControlPolicy) {
		return ""
	}
	e, err := w.evaluator(p.Account)
	if err != nil {
		return "because its service control policies cannot be evaluated: " + err.Error()
	}
	if e.Decide(req) == scp.DecisionAllow {
		return ""
	}
	if result := e.Evaluate(req); result.Kind == scp.KindExplicitDeny {
		for _, ref := range result.Deciding {
			if policy := o.Policies[ref.Policy]; policy != nil {
				// Since January 2026 the message names the policy to callers in the same organization.
				// https://aws.amazon.com/blogs/security/enhanced-access-denied-error-messages-with-policy-arns
				return "with an explicit deny in a service control policy: " + w.policyARN(policy)
			}
		}
		return "with an explicit deny in a service control policy"
	}
	return "because no service control policy allows the " + req.Action + " action"
}

// evaluator returns the compiled SCPs of an account. Accounts with the same
// parent and the same policies of their own share one.
func (w *World) evaluator(account string) (*scp.Evaluator, error) {
	o := &w.state.Org
	path := w.orgPath(account)
	if path == nil {
		return nil, fmt.Errorf("account %s is not in the organization", account)
	}
	own := o.attachedOf(account, orgtypes.PolicyTypeServiceControlPolicy)
	key := path[len(path)-1] + " " + strings.Join(own, " ")
	if e := w.evaluators[key]; e != nil {
		return e, nil
	}
	// The account's own level goes in as an OU: an evaluator for an account
	// answers for no other, and this one is shared.
	org := scp.Org{ManagementAccountID: o.ManagementAccount}
	for _, node := range append(path, account) {
		org.Path = append(org.Path, scp.Level{Type: scp.LevelOU, ID: node, Policies: w.policiesAt(node)})
	}
	org.Path[0].Type = scp.LevelRoot
	e, err := scp.Compile(org)
	if err != nil {
		return nil, err
	}
	w.evaluators[key] = e
	return e, nil
}

// layer is one kind of policies that all have to allow a request.
type layer struct {
	kind     string // as in AWS's error message
	article  string
	policies []identityPolicy
}

// deniedByIdentity says why the caller's own policies refuse a request; ""
// when they do not. Root users and service-linked roles have none: the former
// may do everything in their account, what the latter may do is AWS's affair.
// IAM users are not modelled and count as administrators.
func (w *World) deniedByIdentity(c *call, req *scp.Request) string {
	var layers []layer
	if account, r := w.roleByARN(c.caller.RoleARN); c.caller.Type == principalRole && r != nil {
		layers = append(layers, layer{"identity-based policy", "an", w.identityPolicies(account, r)})
		if r.Boundary != "" {
			doc, _ := w.policyDocument(account, r.Boundary)
			layers = append(layers, layer{"permissions boundary", "a", []identityPolicy{{name: r.Boundary, document: doc}}})
		}
	}
	if c.policy != "" {
		layers = append(layers, layer{"session policy", "a", []identityPolicy{{document: c.policy}}})
	}
	for _, l := range layers {
		switch allowed, by := w.layerDecision(l.policies, req); {
		case allowed:
		case by == nil:
			return "because no " + l.kind + " allows the " + req.Action + " action"
		case strings.HasPrefix(by.name, "arn:"):
			return "with an explicit deny in " + l.article + " " + l.kind + ": " + by.name
		default:
			return "with an explicit deny in " + l.article + " " + l.kind
		}
	}
	return ""
}

// layerDecision evaluates policies that are alternatives to each other. by is
// the policy that denied; nil when none allowed.
func (w *World) layerDecision(policies []identityPolicy, req *scp.Request) (allowed bool, by *identityPolicy) {
	e, err := w.layerEvaluator(policies)
	if err != nil || e == nil {
		return false, nil
	}
	if e.Decide(req) == scp.DecisionAllow {
		return true, nil
	}
	if result := e.Evaluate(req); result.Kind == scp.KindExplicitDeny {
		for _, ref := range result.Deciding {
			if i, err := strconv.Atoi(ref.Policy); err == nil && i < len(policies) {
				return false, &policies[i]
			}
		}
	}
	return false, nil
}

// layerEvaluator compiles identity-based policies: they have the grammar of
// SCPs, and one level of them decides as one level of SCPs does.
func (w *World) layerEvaluator(policies []identityPolicy) (*scp.Evaluator, error) {
	if len(policies) == 0 {
		return nil, nil
	}
	var key strings.Builder
	for _, p := range policies {
		// AWS managed policies do not change within a world: the name will do.
		key.WriteString(p.name)
		key.WriteByte('\n')
		if !strings.Contains(p.name, ":iam::aws:policy/") {
			key.WriteString(p.document)
			key.WriteByte('\n')
		}
	}
	if e := w.identity[key.String()]; e != nil {
		return e, nil
	}
	level := scp.Level{Type: scp.LevelRoot, ID: "identity"}
	for i, p := range policies {
		doc, err := scp.Parse(p.name, []byte(p.document))
		if err != nil {
			return nil, err
		}
		level.Policies = append(level.Policies, scp.Policy{ID: strconv.Itoa(i), Document: doc})
	}
	e, err := scp.Compile(scp.Org{ManagementAccountID: noAccount, Path: []scp.Level{level}})
	if err != nil {
		return nil, err
	}
	if len(w.identity) > 10_000 {
		clear(w.identity) // policies keep changing; their evaluators must not pile up
	}
	w.identity[key.String()] = e
	return e, nil
}

// noAccount is an account id that nobody has, for evaluators in which there is
// no management account.
const noAccount = "000000000000"

// requestContext is the request context: the keys AWS fills in for every
// request, and iam:PermissionsBoundary. Other keys of single services and tags of
// resources and requests are not there; a policy that asks for them finds them
// missing.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
func (w *World) requestContext(c *call, resource string) map[string][]string {
	o := &w.state.Org
	region := c.region
	if w.services[c.service].global {
		region = w.globalRegion()
	}
	now := c.now.UTC()
	ctx := map[string][]string{
		"aws:CurrentTime":     {now.Format(time.RFC3339)},
		"aws:EpochTime":       {strconv.FormatInt(now.Unix(), 10)},
		"aws:RequestedRegion": {region},
		"aws:SecureTransport": {"true"},
		"aws:UserAgent":       {"aws-sdk-go-v2"},
		"aws:ViaAWSService":   {strconv.FormatBool(c.via != "" && !c.serviceRole)},
	}
	if c.via != "" && !c.serviceRole {
		ctx["aws:CalledVia"] = []string{c.via}
		ctx["aws:CalledViaFirst"] = []string{c.via}
		ctx["aws:CalledViaLast"] = []string{c.via}
	} else if c.via == "" && c.caller.Type != principalService {
		// Present on direct calls only: a service that calls for somebody has no address of theirs.
		ctx["aws:SourceIp"] = []string{callerAddress}
	}
	if c.keyVia != "" {
		ctx["kms:ViaService"] = []string{c.keyVia}
		ctx["kms:CallerAccount"] = []string{c.caller.Account}
	}
	if c.boundary != "" {
		ctx["iam:PermissionsBoundary"] = []string{c.boundary}
	}
	w.principalContext(c.caller, ctx)
	if account := arnAccount(resource); account != "" {
		ctx["aws:ResourceAccount"] = []string{account}
	} else {
		ctx["aws:ResourceAccount"] = []string{c.caller.Account}
	}
	if owner := ctx["aws:ResourceAccount"][0]; o.Accounts[owner] != nil {
		ctx["aws:ResourceOrgID"] = []string{o.ID}
		ctx["aws:ResourceOrgPaths"] = []string{w.principalOrgPath(owner)}
	}
	return ctx
}

// principalContext adds the keys that tell who calls.
func (w *World) principalContext(p Principal, ctx map[string][]string) {
	if p.Type == principalService {
		ctx["aws:PrincipalIsAWSService"] = []string{"true"}
		ctx["aws:PrincipalServiceName"] = []string{p.ARN}
		return
	}
	ctx["aws:PrincipalIsAWSService"] = []string{"false"}
	ctx["aws:PrincipalAccount"] = []string{p.Account}
	switch p.Type {
	case principalRoot:
		ctx["aws:PrincipalType"] = []string{"Account"}
		ctx["aws:PrincipalArn"] = []string{p.ARN}
		ctx["aws:userid"] = []string{p.Account}
	case principalUser:
		ctx["aws:PrincipalType"] = []string{"User"}
		ctx["aws:PrincipalArn"] = []string{p.ARN}
		ctx["aws:username"] = []string{p.ARN[strings.LastIndex(p.ARN, "/")+1:]}
	default:
		ctx["aws:PrincipalType"] = []string{"AssumedRole"}
		ctx["aws:PrincipalArn"] = []string{p.RoleARN}
		ctx["aws:MultiFactorAuthPresent"] = []string{"false"}
		if _, r := w.roleByARN(p.RoleARN); r != nil {
			ctx["aws:userid"] = []string{r.ID + ":" + p.ARN[strings.LastIndex(p.ARN, "/")+1:]}
			for k, v := range r.Tags {
				ctx["aws:PrincipalTag/"+k] = []string{v}
			}
		}
	}
	if o := &w.state.Org; o.Accounts[p.Account] != nil {
		ctx["aws:PrincipalOrgID"] = []string{o.ID}
		ctx["aws:PrincipalOrgPaths"] = []string{w.principalOrgPath(p.Account)}
		ctx["aws:PrincipalOrgMasterAccountId"] = []string{o.ManagementAccount}
	}
}

// arnAccount returns the account of an ARN; "" when it has none.
func arnAccount(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || len(parts[4]) != 12 {
		return ""
	}
	return parts[4]
}

// notAuthorized is the refusal of a call by policies, in AWS's words.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
func notAuthorized(c *call, action, resource, why string) error {
	text := fmt.Sprintf("User: %s is not authorized to perform: %s", c.caller.ARN, action)
	if resource != "" && resource != "*" {
		text += " on resource: " + resource
	}
	if why != "" {
		text += " " + why
	}
	return denied(c.service, "%s", text)
}

// errorCodes are the codes with which a service refuses before it looks at the
// request.
type errorCodes struct {
	denied, token, throttled string
	// typed makes the SDK's own error of a denial, for services whose model
	// has one.
	typed func(message *string) error
}

// serviceCodes is by SDK service id. The services that once spoke the query
// protocol kept its codes.
var serviceCodes = map[string]errorCodes{
	"Organizations": {"AccessDeniedException", "UnrecognizedClientException", "TooManyRequestsException",
		func(m *string) error { return &orgtypes.AccessDeniedException{Message: m} }},
	"Account": {"AccessDeniedException", "UnrecognizedClientException", "TooManyRequestsException",
		func(m *string) error { return &accounttypes.AccessDeniedException{Message: m} }},
	"SNS": {"AuthorizationError", "InvalidClientTokenId", "Throttling",
		func(m *string) error { return &snstypes.AuthorizationErrorException{Message: m} }},
	"STS":            {"AccessDenied", "InvalidClientTokenId", "Throttling", nil},
	"IAM":            {"AccessDenied", "InvalidClientTokenId", "Throttling", nil},
	"CloudFormation": {"AccessDenied", "InvalidClientTokenId", "Throttling", nil},
	"SQS":            {"AccessDenied", "InvalidClientTokenId", "RequestThrottled", nil},
	"S3":             {"AccessDenied", "InvalidToken", "SlowDown", nil},
	"S3 Control":     {"AccessDenied", "InvalidToken", "SlowDown", nil},
	"CloudWatch":     {"AccessDenied", "InvalidClientTokenId", "Throttling", nil},
	"EC2":            {"UnauthorizedOperation", "AuthFailure", "RequestLimitExceeded", nil},
}

// codesOf returns a service's codes; services without a row speak JSON.
func codesOf(service string) errorCodes {
	if codes, ok := serviceCodes[service]; ok {
		return codes
	}
	return errorCodes{"AccessDeniedException", "UnrecognizedClientException", "ThrottlingException", nil}
}

// expired is the code for a session that ended.
func (e errorCodes) expired() string {
	switch e.token {
	case "UnrecognizedClientException":
		return "ExpiredTokenException"
	case "AuthFailure":
		return "RequestExpired"
	}
	return "ExpiredToken"
}

// denied is a service's refusal of a caller.
func denied(service, format string, args ...any) error {
	codes, text := codesOf(service), fmt.Sprintf(format, args...)
	if codes.typed != nil {
		return codes.typed(&text)
	}
	return apiError(codes.denied, "%s", text)
}
