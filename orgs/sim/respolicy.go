package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/orgguard/orgguard/scp"
)

// verdict is what a resource-based policy says about a request.
type verdict int

const (
	silent verdict = iota // no statement matches
	allows
	denies
)

// policyRequest is a request as a resource-based policy sees it.
type policyRequest struct {
	principal        Principal
	action, resource string
	context          map[string][]string
}

// resourceStatement is one statement of a resource-based policy: who it is
// about, and the rest, which has the grammar of the other policy types.
type resourceStatement struct {
	principal    json.RawMessage
	notPrincipal json.RawMessage
	rest         map[string]json.RawMessage
}

// parseResourcePolicy reads a resource-based policy: a topic's, queue's,
// bus's, bucket's or key's, or a role's trust policy.
func parseResourcePolicy(document string) ([]resourceStatement, error) {
	var doc struct {
		Version   string
		Statement json.RawMessage
	}
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		return nil, fmt.Errorf("syntax errors in policy: %w", err)
	}
	var raw []map[string]json.RawMessage
	if err := json.Unmarshal(doc.Statement, &raw); err != nil {
		var one map[string]json.RawMessage
		if err := json.Unmarshal(doc.Statement, &one); err != nil {
			return nil, fmt.Errorf("the policy has no statements")
		}
		raw = append(raw, one)
	}
	if len(raw) == 0 {
		return nil, fmt.Errorf("the policy has no statements")
	}
	out := make([]resourceStatement, len(raw))
	for i, m := range raw {
		s := resourceStatement{principal: m["Principal"], notPrincipal: m["NotPrincipal"], rest: map[string]json.RawMessage{}}
		if (s.principal == nil) == (s.notPrincipal == nil) {
			return nil, fmt.Errorf("statement %d must have Principal or NotPrincipal", i+1)
		}
		if p := s.principal; p != nil && !json.Valid(p) || p != nil && !principalForm(p) {
			return nil, fmt.Errorf("statement %d has an invalid Principal", i+1)
		}
		for k, v := range m {
			switch k {
			case "Principal", "NotPrincipal", "Sid": // a Sid may have characters here that others may not
			default:
				s.rest[k] = v
			}
		}
		if s.rest["Resource"] == nil && s.rest["NotResource"] == nil {
			s.rest["Resource"] = json.RawMessage(`"*"`) // as in a trust policy, whose resource is the role
		}
		out[i] = s
	}
	return out, nil
}

// checkResourcePolicy says in words what is wrong with a resource-based
// policy; the services have codes of their own for that.
func checkResourcePolicy(document string) error {
	statements, err := parseResourcePolicy(document)
	if err != nil {
		return err
	}
	_, err = compileStatements(scp.Version2012, statements)
	return err
}

// principalForm says whether a Principal element is "*" or an object of
// strings and lists of strings.
func principalForm(raw json.RawMessage) bool {
	var star string
	if json.Unmarshal(raw, &star) == nil {
		return star == "*"
	}
	var byKind map[string]stringList
	return json.Unmarshal(raw, &byKind) == nil && len(byKind) > 0
}

// stringList is a JSON string or list of strings.
type stringList []string

func (l *stringList) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = stringList{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// compileStatements makes an evaluator of statements whose principals were
// matched already. What is left has the grammar of an SCP, and one level of
// SCPs decides as a policy does.
func compileStatements(version string, statements []resourceStatement) (*scp.Evaluator, error) {
	rest := make([]map[string]json.RawMessage, len(statements))
	for i, s := range statements {
		rest[i] = s.rest
	}
	if version == "" {
		version = scp.Version2008
	}
	text, err := json.Marshal(map[string]any{"Version": version, "Statement": rest})
	if err != nil {
		return nil, err
	}
	doc, err := scp.Parse("policy", text)
	if err != nil {
		return nil, err
	}
	return scp.Compile(scp.Org{
		ManagementAccountID: noAccount,
		Path:                []scp.Level{{Type: scp.LevelRoot, ID: "policy", Name: "policy", Policies: []scp.Policy{{ID: "policy", Name: "policy", Document: doc}}}},
	})
}

// judge evaluates a resource-based policy for real: principals, actions,
// resources and conditions. An empty or broken policy is silent.
func (w *World) judge(document string, r policyRequest) verdict {
	if document == "" {
		return silent
	}
	statements, err := parseResourcePolicy(document)
	if err != nil {
		return silent
	}
	var about []resourceStatement
	key := "resource policy"
	for i, s := range statements {
		if s.appliesTo(r.principal) {
			about = append(about, s)
			key += "," + strconv.Itoa(i)
		}
	}
	if len(about) == 0 {
		return silent
	}
	key += "\n" + document
	e := w.identity[key]
	if e == nil {
		var doc struct{ Version string }
		if err := json.Unmarshal([]byte(document), &doc); err != nil {
			return silent
		}
		if e, err = compileStatements(doc.Version, about); err != nil {
			return silent
		}
		w.identity[key] = e
	}
	// The principal was matched above. A role or service of its own type
	// would be exempt from SCPs, and this is none.
	result := e.Evaluate(&scp.Request{
		Principal: scp.Principal{Type: scp.PrincipalUser, ARN: "arn:aws:iam::111111111111:user/matched", AccountID: "111111111111"},
		Action:    r.action, Resource: r.resource, Context: r.context,
	})
	switch {
	case result.Decision == scp.DecisionAllow:
		return allows
	case result.Kind == scp.KindExplicitDeny:
		return denies
	}
	return silent
}

// appliesTo says whether a statement is about a principal.
func (s resourceStatement) appliesTo(p Principal) bool {
	if s.notPrincipal != nil {
		return !principalMatches(s.notPrincipal, p)
	}
	return principalMatches(s.principal, p)
}

// principalMatches evaluates a Principal element. An account stands for all of
// its principals, a role for its sessions, and "*" for everybody, AWS services
// included. No wildcards are possible within an ARN.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
func principalMatches(raw json.RawMessage, p Principal) bool {
	var star string
	if json.Unmarshal(raw, &star) == nil {
		return star == "*"
	}
	var byKind map[string]stringList
	if json.Unmarshal(raw, &byKind) != nil {
		return false
	}
	if slices.Contains(byKind["AWS"], "*") {
		return true
	}
	if p.Type == principalService {
		return slices.Contains(byKind["Service"], p.ARN)
	}
	for _, who := range byKind["AWS"] {
		switch {
		case who == p.Account, who == p.ARN, who == p.RoleARN && who != "":
			return true
		case strings.HasSuffix(who, ":root") && arnAccount(who) == p.Account:
			return true
		}
	}
	return false
}

// strangePrincipal returns the first role that a policy names and that does
// not exist in an account of this world; "" when there is none. S3, SNS and
// KMS refuse to store such a policy. Of other accounts nothing is known.
func (w *World) strangePrincipal(document string) string {
	statements, err := parseResourcePolicy(document)
	if err != nil {
		return ""
	}
	for _, s := range statements {
		for _, raw := range []json.RawMessage{s.principal, s.notPrincipal} {
			var byKind map[string]stringList
			if raw == nil || json.Unmarshal(raw, &byKind) != nil {
				continue
			}
			for _, who := range byKind["AWS"] {
				if account, r := w.roleByARN(who); r == nil && strings.Contains(who, ":role/") && w.account(account) != nil {
					return who
				}
			}
		}
	}
	return ""
}

// servicePrincipal is an AWS service that acts for a resource of an account.
func servicePrincipal(name, account string) Principal {
	return Principal{Type: principalService, Account: account, ARN: name}
}

// serviceContext is the request context of a service that acts for a resource:
// the keys against the confused deputy, and who that service is.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
func (w *World) serviceContext(service, account, sourceARN string, now time.Time) map[string][]string {
	ctx := map[string][]string{
		"aws:SourceAccount":             {account},
		"aws:PrincipalIsAWSService":     {"true"},
		"aws:PrincipalServiceName":      {service},
		"aws:SecureTransport":           {"true"},
		"aws:CurrentTime":               {now.UTC().Format(time.RFC3339)},
		"aws:EpochTime":                 {strconv.FormatInt(now.Unix(), 10)},
		"aws:PrincipalServiceNamesList": {service},
	}
	if sourceARN != "" {
		ctx["aws:SourceArn"] = []string{sourceARN}
	}
	if w.state.Org.Accounts[account] != nil {
		ctx["aws:SourceOrgID"] = []string{w.state.Org.ID}
		ctx["aws:SourceOrgPaths"] = []string{w.principalOrgPath(account)}
	}
	return ctx
}

// admitted decides about a caller whose own policies allow an action already:
// within the account the resource's policy only must not deny it, from another
// account it has to allow it.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
func (c *call) admitted(document, owner, action, resource string) bool {
	ctx := c.w.requestContext(c, resource)
	if c.caller.Type != principalService {
		ctx["aws:SourceOwner"] = []string{c.caller.Account} // what the default policy of a topic asks for
	}
	switch c.w.judge(document, policyRequest{c.caller, action, resource, ctx}) {
	case allows:
		return true
	case denies:
		return false
	}
	return c.caller.Account == owner
}

// passRole asks whether the caller may hand a role to a service.
func (c *call) passRole(roleARN string) error {
	if roleARN == "" {
		return nil
	}
	return c.w.authorize(c, "iam:PassRole", roleARN)
}

// assumable says why a service cannot assume a role: "" when it can. The role
// must exist and trust the service; the trust policy's conditions see the
// account and the resource the service acts for.
func (w *World) assumable(roleARN, service, account, sourceARN string, now time.Time) string {
	owner, r := w.roleByARN(roleARN)
	if r == nil {
		return "the role " + roleARN + " does not exist"
	}
	ctx := w.serviceContext(service, account, sourceARN, now)
	if w.judge(r.Trust, policyRequest{servicePrincipal(service, owner), "sts:AssumeRole", roleARN, ctx}) != allows {
		return "the role " + roleARN + " does not trust " + service
	}
	return ""
}

// sessionOf is a session of a role, as a service or another role gets it.
func (w *World) sessionOf(roleARN, session string) Principal {
	account, r := w.roleByARN(roleARN)
	if r == nil {
		return Principal{Type: principalRole, Account: arnAccount(roleARN), RoleARN: roleARN}
	}
	p := w.rolePrincipal(account, r.Name, session)
	if r.serviceLinked() {
		p.Type = principalServiceLinked
	}
	return p
}

// arnParts splits an ARN; ok is false when it is none.
func arnParts(arn string) (service, region, account, resource string, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" {
		return "", "", "", "", false
	}
	return parts[2], parts[3], parts[4], parts[5], true
}

// detach returns a copy of plain data that shares nothing with it: SDK values
// go into the state and come out of it through here.
func detach[T any](v T) T {
	var out T
	text, err := json.Marshal(v)
	if err != nil || json.Unmarshal(text, &out) != nil {
		return v
	}
	return out
}
