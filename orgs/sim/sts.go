package sim

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

// stsOps is the Security Token Service. CloudTrail counts AssumeRole as a read.
var stsOps = map[string]operation{
	"GetCallerIdentity": op(read, getCallerIdentity),
	"AssumeRole":        on(op(read, assumeRole), func(_ *call, in *sts.AssumeRoleInput) string { return aws.ToString(in.RoleArn) }),
}

const (
	minSession     = 900
	defaultSession = 3600
	maxSession     = 43_200
	// A session of a role cannot be had for longer by a session of a role.
	// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
	maxChained = 3600
	// maxSessionPolicy is the length of all session policies together, before
	// STS packs them.
	maxSessionPolicy = 2048
)

func getCallerIdentity(c *call, _ *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
	return &sts.GetCallerIdentityOutput{
		Account: aws.String(c.caller.Account),
		Arn:     aws.String(c.caller.ARN),
		UserId:  aws.String(c.w.userID(c.caller)),
	}, nil
}

// userID is the unique id of a principal: aws:userid.
func (w *World) userID(p Principal) string {
	if _, r := w.roleByARN(p.RoleARN); r != nil {
		return r.ID + ":" + lastSegment(p.ARN)
	}
	return p.Account
}

var sessionNamePattern = orgs.NewPattern(`^[\w+=,.@-]{2,64}$`)

// assumeRole gives credentials for a role, if its trust policy says so. The
// refusal is the same whether the role does not exist, trusts somebody else or
// asks for another external id: AWS does not tell strangers what roles there
// are.
func assumeRole(c *call, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
	arn, name := aws.ToString(in.RoleArn), aws.ToString(in.RoleSessionName)
	if !strings.HasPrefix(arn, "arn:") || len(strings.SplitN(arn, ":", 6)) != 6 {
		return nil, stsValidation("%s is invalid", arn)
	}
	if !sessionNamePattern.MatchString(name) {
		return nil, stsValidation("1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*", name)
	}
	seconds := int32(defaultSession)
	if in.DurationSeconds != nil {
		seconds = *in.DurationSeconds
	}
	if seconds < minSession || seconds > maxSession {
		return nil, stsValidation("1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: Member must have value between %d and %d", seconds, minSession, maxSession)
	}
	account, r := c.w.roleByARN(arn)
	if r == nil || !c.w.mayAssume(c, r, arn, in) {
		return nil, notAuthorized(c, "sts:AssumeRole", arn, "")
	}
	// A role of a closed account still exists, and is out of reach.
	if state := c.w.accountInState(account); state != "" && state != "ACTIVE" {
		return nil, notAuthorized(c, "sts:AssumeRole", arn, "")
	}
	if c.caller.Type == principalRole && seconds > maxChained {
		return nil, stsValidation("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	if in.DurationSeconds != nil && seconds > r.MaxSession {
		return nil, stsValidation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	policy, err := c.w.sessionPolicy(account, in)
	if err != nil {
		return nil, err
	}
	p := c.w.sessionOf(arn, name)
	expires := c.now.Add(time.Duration(seconds) * time.Second)
	creds := c.w.mint(p, policy, expires)
	return &sts.AssumeRoleOutput{
		AssumedRoleUser: &types.AssumedRoleUser{Arn: aws.String(p.ARN), AssumedRoleId: aws.String(r.ID + ":" + name)},
		Credentials: &types.Credentials{
			AccessKeyId: aws.String(creds.AccessKeyID), SecretAccessKey: aws.String(creds.SecretAccessKey),
			SessionToken: aws.String(creds.SessionToken), Expiration: aws.Time(expires),
		},
	}, nil
}

// mayAssume evaluates the role's trust policy for the caller.
func (w *World) mayAssume(c *call, r *role, arn string, in *sts.AssumeRoleInput) bool {
	ctx := w.requestContext(c, arn)
	ctx["sts:RoleSessionName"] = []string{aws.ToString(in.RoleSessionName)}
	if in.ExternalId != nil {
		ctx["sts:ExternalId"] = []string{*in.ExternalId}
	}
	if in.SourceIdentity != nil {
		ctx["sts:SourceIdentity"] = []string{*in.SourceIdentity}
	}
	return w.judge(r.Trust, policyRequest{c.caller, "sts:AssumeRole", arn, ctx}) == allows
}

// sessionPolicy makes one document of the session policies of a request: what
// any of them allows is allowed, what any denies is denied.
func (w *World) sessionPolicy(account string, in *sts.AssumeRoleInput) (string, error) {
	var documents []string
	if in.Policy != nil {
		documents = append(documents, *in.Policy)
	}
	for _, p := range in.PolicyArns {
		doc, ok := w.policyDocument(account, aws.ToString(p.Arn))
		if !ok {
			return "", &types.MalformedPolicyDocumentException{Message: aws.String("The policy " + aws.ToString(p.Arn) + " does not exist or is not attachable.")}
		}
		documents = append(documents, doc)
	}
	length := 0
	var statements []json.RawMessage
	for _, doc := range documents {
		length += len(doc)
		if _, err := scp.Parse("session policy", []byte(doc)); err != nil {
			return "", &types.MalformedPolicyDocumentException{Message: aws.String("The policy is not in the valid JSON format.")}
		}
		var parsed struct{ Statement json.RawMessage }
		if err := json.Unmarshal([]byte(doc), &parsed); err != nil {
			return "", &types.MalformedPolicyDocumentException{Message: aws.String("The policy is not in the valid JSON format.")}
		}
		var list []json.RawMessage
		if json.Unmarshal(parsed.Statement, &list) != nil {
			list = []json.RawMessage{parsed.Statement}
		}
		statements = append(statements, list...)
	}
	switch {
	case len(documents) == 0:
		return "", nil
	case length > maxSessionPolicy:
		return "", &types.PackedPolicyTooLargeException{Message: aws.String("Packed size of session policies exceeds the limit.")}
	case len(documents) == 1:
		return documents[0], nil
	}
	merged, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		return "", fmt.Errorf("session policies: %w", err)
	}
	return string(merged), nil
}

// stsValidation is the answer of STS to bad input.
func stsValidation(format string, args ...any) error {
	return apiError("ValidationError", format, args...)
}
