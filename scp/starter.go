package scp

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Starter says what a first case file is about. The zero value makes a file
// about an example organization and the policy that protects AWS Config.
type Starter struct {
	Org        Org       // the path to attach to; with an account at its end
	PolicyName string    // how the policy is called in results
	PolicyFile string    // where it is, relative to the case file; "" writes it into the file
	Document   *Document // the policy under test
}

const examplePolicy = `{"Version":"2012-10-17","Statement":[{"Sid":"DenyConfigRecorderTampering","Effect":"Deny",` +
	`"Action":["config:StopConfigurationRecorder","config:DeleteConfigurationRecorder"],"Resource":"*",` +
	`"Condition":{"ArnNotLike":{"aws:PrincipalArn":["arn:aws:iam::*:role/OrgAdmin"]}}}]}`

// StarterCases returns a YAML case file for a user's own organization and
// policy. Its expectations are what the policy says now, so it passes at once,
// and a later change of the policy shows.
func StarterCases(s Starter) ([]byte, error) {
	if s.Document == nil {
		d, err := Parse("example", []byte(examplePolicy))
		if err != nil {
			return nil, err
		}
		s.Document, s.PolicyName, s.PolicyFile = d, "deny-config-tamper", ""
	}
	if s.PolicyName == "" || s.PolicyName == "FullAWSAccess" {
		s.PolicyName = "policy" // a case file that names FullAWSAccess means AWS's
	}
	s.Org = s.path()
	var b bytes.Buffer
	b.WriteString(`# Tests for service control policies. Run them with: orgguard scp test --file THIS_FILE
#
# Only id, org, principal, request and expected.decision are required. In
# expected, kind (ALLOWED, EXPLICIT_DENY, IMPLICIT_DENY, EXEMPT, UNKNOWN),
# exemption, decidingStatements and levelsWithoutAllow are checked if given.
# A policy has a document, or a file relative to this one; FullAWSAccess needs
# neither. A key listed under request.unknown may have any value, and a decision
# that turns on it is UNKNOWN. A context key that is null is absent.
cases:
`)
	used := map[string]int{}
	for _, c := range s.cases() {
		// Sids may repeat, but for their letter case too.
		if used[c.id]++; used[c.id] > 1 {
			c.id = fmt.Sprintf("%s-%d", c.id, used[c.id])
		}
		if err := s.write(&b, c); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// path is the organization's path with the policy on the level above the
// account, where a first policy should go, and FullAWSAccess where a level
// would have nothing.
func (s *Starter) path() Org {
	full, err := Parse("FullAWSAccess", []byte(fullAccess))
	if err != nil {
		panic(err) // a constant of this file
	}
	org := s.Org
	org.Path = slices.Clone(org.Path)
	if org.ManagementAccountID == "" {
		org.ManagementAccountID = "999988887777"
	}
	if len(org.Path) == 0 {
		org.Path = []Level{{Type: LevelRoot, ID: "r-ab12", Name: "Root"}, {Type: LevelOU, ID: "ou-ab12-11111111", Name: "Workloads"}}
	}
	if org.Path[len(org.Path)-1].Type != LevelAccount {
		org.Path = append(org.Path, Level{Type: LevelAccount, ID: "111122223333", Name: "my-account"})
	}
	at := max(len(org.Path)-2, 0)
	for i := range org.Path {
		l := &org.Path[i]
		l.Policies = slices.Clone(l.Policies)
		if len(l.Policies) == 0 {
			l.Policies = []Policy{{ID: "p-FullAWSAccess", Name: "FullAWSAccess", Document: full}}
		}
		if i == at && !slices.ContainsFunc(l.Policies, func(p Policy) bool { return p.Name == s.PolicyName }) {
			l.Policies = append(l.Policies, Policy{Name: s.PolicyName, Document: s.Document})
		}
	}
	return org
}

type starterCase struct {
	id, note string
	request  Request
}

// cases asks what every author should know of a policy: whom it stops, whom
// not, and that it leaves the rest alone.
func (s *Starter) cases() []starterCase {
	account := s.Org.Path[len(s.Org.Path)-1].ID
	role := func(account, path string) Principal {
		name := path[strings.LastIndexByte(path, '/')+1:]
		return Principal{Type: PrincipalRole, AccountID: account, RoleARN: "arn:aws:iam::" + account + ":role/" + path,
			ARN: "arn:aws:sts::" + account + ":assumed-role/" + name + "/session"}
	}
	var out []starterCase
	first := "s3:ListAllMyBuckets"
	for i, st := range s.Document.Statements() {
		actions := slices.DeleteFunc(slices.Clone(st.Actions), func(a string) bool { return strings.ContainsAny(a, "*?") })
		if st.Effect != Deny || len(actions) == 0 {
			continue
		}
		if first == "s3:ListAllMyBuckets" {
			first = actions[0]
		}
		name := strings.ToLower(firstOf(st.Sid, fmt.Sprintf("statement-%d", i)))
		for _, a := range actions[:min(len(actions), 2)] {
			out = append(out, starterCase{name + "-stops-" + strings.ToLower(a[strings.IndexByte(a, ':')+1:]), "an ordinary role of the account", Request{Principal: role(account, "developer"), Action: a}})
		}
		for _, c := range st.Conditions {
			for _, v := range c.Values {
				_, path, ok := strings.Cut(v, ":role/")
				if !ok || !strings.EqualFold(c.Key, "aws:PrincipalArn") || strings.ContainsAny(path, "*?$") {
					continue
				}
				out = append(out, starterCase{name + "-and-" + strings.ToLower(path[strings.LastIndexByte(path, '/')+1:]), "a role the condition names", Request{Principal: role(account, path), Action: actions[0]}})
			}
		}
	}
	return append(out,
		starterCase{"other-actions-stay", "what the policy is not about", Request{Principal: role(account, "developer"), Action: "sts:GetSessionToken"}},
		starterCase{"root-user", "the root user of a member account is affected", Request{Action: first,
			Principal: Principal{Type: PrincipalRoot, AccountID: account, ARN: "arn:aws:iam::" + account + ":root"}}},
		starterCase{"management-account", "is never affected", Request{Principal: role(s.Org.ManagementAccountID, "developer"), Action: first}},
		starterCase{"service-linked-role", "is never affected", Request{Action: first, Principal: Principal{Type: PrincipalServiceLinkedRole, AccountID: account,
			ARN:     "arn:aws:sts::" + account + ":assumed-role/AWSServiceRoleForConfig/session",
			RoleARN: "arn:aws:iam::" + account + ":role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"}}},
	)
}

func (s *Starter) write(b *bytes.Buffer, c starterCase) error {
	e, err := Compile(s.Org)
	if err != nil {
		return err
	}
	c.request.Context = c.request.Principal.Context()
	c.request.Context["aws:RequestedRegion"] = []string{"eu-west-1"}
	got := e.Evaluate(&c.request)
	q := func(v string) string {
		var out bytes.Buffer
		writeString(&out, v)
		return out.String()
	}
	fmt.Fprintf(b, "  - id: %s\n    note: %s\n    org:\n      managementAccountId: %s\n      path:\n", q(c.id), q(c.note), q(s.Org.ManagementAccountID))
	for _, l := range s.Org.Path {
		fmt.Fprintf(b, "        - type: %s\n          id: %s\n          name: %s\n          policies:\n", l.Type, q(l.ID), q(l.Name))
		for _, p := range l.Policies {
			switch {
			case p.Name == "FullAWSAccess":
				b.WriteString("            - FullAWSAccess\n")
			case p.Name == s.PolicyName && s.PolicyFile != "":
				fmt.Fprintf(b, "            - {\"name\": %s, \"file\": %s}\n", q(p.Name), q(s.PolicyFile))
			default:
				fmt.Fprintf(b, "            - {\"name\": %s, \"document\": %s}\n", q(p.Name), p.Document.minified)
			}
		}
	}
	p := c.request.Principal
	fmt.Fprintf(b, "    principal: {\"type\": %s, \"arn\": %s, \"roleArn\": %s, \"accountId\": %s}\n", q(string(p.Type)), q(p.ARN), q(p.RoleARN), q(p.AccountID))
	fmt.Fprintf(b, "    request: {\"action\": %s, \"resource\": \"*\", \"context\": {\"aws:RequestedRegion\": \"eu-west-1\"}}\n", q(c.request.Action))
	fmt.Fprintf(b, "    expected: {\"decision\": %s, \"kind\": %s}\n", q(string(got.Decision)), q(string(got.Kind)))
	return nil
}
