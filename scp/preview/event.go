package preview

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/scp"
)

// Event is one or more calls of a kind that CloudTrail recorded: by the same
// principal, in the same way, with the same outcome.
type Event struct {
	Account string `json:"account"` // the caller's
	Region  string `json:"region"`
	Source  string `json:"source"` // "config.amazonaws.com"
	Name    string `json:"name"`

	Type      scp.PrincipalType `json:"type"`
	ARN       string            `json:"arn"`      // of the caller: a role's session
	RoleARN   string            `json:"role_arn"` // of the role
	ErrorCode string            `json:"error_code,omitempty"`

	SourceIP  string            `json:"source_ip,omitempty"`
	UserAgent string            `json:"user_agent,omitempty"`
	MFA       string            `json:"mfa,omitempty"` // "true", "false", "" for absent
	VPCE      string            `json:"vpce,omitempty"`
	Via       string            `json:"via,omitempty"` // the service that called for the caller
	TLS       bool              `json:"tls,omitempty"`
	Resources []string          `json:"resources,omitempty"` // ARNs
	Params    map[string]string `json:"params,omitempty"`    // request parameters that name resources

	Count int       `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	ID    string    `json:"id"` // of the last
}

// resourceParams are the request parameters from which ARNs are made.
var resourceParams = []string{
	"roleName", "path", "userName", "name", "rule", "eventBusName", "topicArn", "queueUrl", "bucketName", "stackName", "stateMachineArn", "resourceArn", "policyArn",
}

// DecodeEvent reads a CloudTrail record as the caller's account has it. ok is
// false for records of calls that no service control policy binds by design of
// the record: those of AWS services, and of callers from other accounts, whose
// own account's policies count and whose own history has a copy.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
func DecodeEvent(record []byte, account string) (e Event, ok bool, err error) {
	var r struct {
		EventTime    time.Time `json:"eventTime"`
		EventSource  string    `json:"eventSource"`
		EventName    string    `json:"eventName"`
		AWSRegion    string    `json:"awsRegion"`
		SourceIP     string    `json:"sourceIPAddress"`
		UserAgent    string    `json:"userAgent"`
		ErrorCode    string    `json:"errorCode"`
		EventID      string    `json:"eventID"`
		VPCE         string    `json:"vpcEndpointId"`
		TLS          any       `json:"tlsDetails"`
		UserIdentity struct {
			Type      string `json:"type"`
			ARN       string `json:"arn"`
			AccountID string `json:"accountId"`
			InvokedBy string `json:"invokedBy"`
			Session   struct {
				Issuer struct {
					Type string `json:"type"`
					ARN  string `json:"arn"`
				} `json:"sessionIssuer"`
				Attributes struct {
					MFA string `json:"mfaAuthenticated"`
				} `json:"attributes"`
			} `json:"sessionContext"`
		} `json:"userIdentity"`
		Request   map[string]any `json:"requestParameters"`
		Resources []struct {
			ARN string `json:"ARN"`
		} `json:"resources"`
	}
	if err := json.Unmarshal(record, &r); err != nil {
		return e, false, err
	}
	u := r.UserIdentity
	e = Event{
		Account: u.AccountID, Region: r.AWSRegion, Source: r.EventSource, Name: r.EventName, ARN: u.ARN, ErrorCode: r.ErrorCode,
		SourceIP: r.SourceIP, UserAgent: r.UserAgent, MFA: u.Session.Attributes.MFA, VPCE: r.VPCE, TLS: r.TLS != nil,
		Count: 1, First: r.EventTime, Last: r.EventTime, ID: r.EventID,
	}
	switch u.Type {
	case "Root":
		e.Type = scp.PrincipalRoot
	case "IAMUser":
		e.Type = scp.PrincipalUser
	case "AssumedRole":
		e.Type, e.RoleARN = scp.PrincipalRole, u.Session.Issuer.ARN
		if u.Session.Issuer.Type == "Root" { // sts:AssumeRoot
			e.Type, e.RoleARN = scp.PrincipalRoot, ""
		}
	case "FederatedUser":
		e.Type = scp.PrincipalFederatedUser
		if u.Session.Issuer.ARN != "" {
			e.ARN = u.Session.Issuer.ARN // aws:PrincipalArn of a federated session is its user's
		}
	default: // AWSService, AWSAccount, unauthenticated callers of STS, Directory, Unknown
		return e, false, nil
	}
	if e.Account == "" {
		e.Account = account
	}
	if e.Account != account {
		return e, false, nil
	}
	if u.InvokedBy != "" && !strings.HasPrefix(u.InvokedBy, "AWS Internal") {
		e.Via = u.InvokedBy
	} else if strings.HasSuffix(r.SourceIP, ".amazonaws.com") {
		e.Via = r.SourceIP
	}
	for _, x := range r.Resources {
		if x.ARN != "" {
			e.Resources = append(e.Resources, x.ARN)
		}
	}
	for _, k := range resourceParams {
		if v, isText := r.Request[k].(string); isText && v != "" {
			if e.Params == nil {
				e.Params = map[string]string{}
			}
			e.Params[k] = v
		}
	}
	return e, true, nil
}

// key is what makes two records one Event.
func (e Event) key() string {
	c := e
	c.Count, c.First, c.Last, c.ID = 0, time.Time{}, time.Time{}, ""
	c.UserAgent = ""
	if c.Type == scp.PrincipalRole {
		c.ARN = "" // sessions of a role are alike
	}
	b, err := json.Marshal(c)
	if err != nil {
		return e.ID // strings always marshal
	}
	return string(b)
}

// MergeEvents puts records of the same kind together, in a fixed order.
func MergeEvents(events []Event) []Event {
	byKey := map[string]int{}
	var out []Event
	for _, e := range events {
		k := e.key()
		i, ok := byKey[k]
		if !ok {
			byKey[k] = len(out)
			out = append(out, e)
			continue
		}
		have := &out[i]
		have.Count += e.Count
		if e.First.Before(have.First) {
			have.First = e.First
		}
		if e.Last.After(have.Last) {
			have.Last, have.ID, have.UserAgent, have.ARN = e.Last, e.ID, e.UserAgent, e.ARN
		}
	}
	slices.SortStableFunc(out, func(a, b Event) int {
		return strings.Compare(a.Account+a.Region+a.Source+a.Name+a.RoleARN+a.ARN+a.ID, b.Account+b.Region+b.Source+b.Name+b.RoleARN+b.ARN+b.ID)
	})
	return out
}

// sourcePrefixes are the IAM prefixes of event sources that have another name.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-aws-service-specific-topics.html
var sourcePrefixes = map[string]string{
	"monitoring": "cloudwatch", "email": "ses", "application-autoscaling": "application-autoscaling", "elasticloadbalancing": "elasticloadbalancing",
	"tagging": "tag", "apigateway": "apigateway", "bedrock-runtime": "bedrock", "cloudcontrolapi": "cloudformation", "resource-explorer-2": "resource-explorer-2",
	"signin": "signin", "models.lex": "lex", "runtime.lex": "lex", "elasticfilesystem": "elasticfilesystem", "codestar-connections": "codestar-connections",
}

// eventActions are the actions of events that have another name, by IAM prefix
// and event name.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html
var eventActions = map[string]string{
	"s3:HeadObject": "s3:GetObject", "s3:HeadBucket": "s3:ListBucket", "s3:ListObjects": "s3:ListBucket", "s3:ListObjectsV2": "s3:ListBucket",
	"s3:ListObjectVersions": "s3:ListBucketVersions", "s3:ListBuckets": "s3:ListAllMyBuckets", "s3:DeleteObjects": "s3:DeleteObject",
	"s3:PutBucketLifecycle": "s3:PutLifecycleConfiguration", "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
	"s3:DeleteBucketLifecycle": "s3:PutLifecycleConfiguration", "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
	"s3:DeleteBucketEncryption": "s3:PutEncryptionConfiguration", "s3:PutBucketReplication": "s3:PutReplicationConfiguration",
	"s3:DeleteBucketReplication": "s3:PutReplicationConfiguration", "s3:PutBucketCors": "s3:PutBucketCORS", "s3:DeleteBucketCors": "s3:PutBucketCORS",
	"s3:DeleteBucketTagging": "s3:PutBucketTagging", "s3:DeletePublicAccessBlock": "s3:PutBucketPublicAccessBlock",
	"s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock", "s3:DeleteBucketPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
	"s3:CreateMultipartUpload": "s3:PutObject", "s3:UploadPart": "s3:PutObject", "s3:CompleteMultipartUpload": "s3:PutObject", "s3:CopyObject": "s3:PutObject",
	"lambda:Invoke": "lambda:InvokeFunction", "ses:SendTemplatedEmail": "ses:SendTemplatedEmail",
}

// apiVersion is the date that some services put behind event names.
var apiVersion = regexp.MustCompile(`\d{8}(v\d+)?$`)

// prefixOf is the IAM prefix of an event source.
func prefixOf(source string) string {
	p := strings.TrimSuffix(strings.TrimSuffix(source, ".cn"), ".amazonaws.com")
	if known := sourcePrefixes[p]; known != "" {
		return known
	}
	return p
}

// action is the IAM action of an event.
func (e Event) action() string {
	name := e.Name
	if i := apiVersion.FindStringIndex(name); i != nil && i[0] > 0 {
		name = name[:i[0]]
	}
	a := prefixOf(e.Source) + ":" + name
	if other := eventActions[a]; other != "" {
		return other
	}
	return a
}

// eventNames are the names under which CloudTrail has an action.
func eventNames(action string) []string {
	prefix, name, _ := strings.Cut(action, ":")
	var out []string
	for event, a := range eventActions {
		if strings.EqualFold(a, action) {
			_, n, _ := strings.Cut(event, ":")
			out = append(out, n)
		}
	}
	switch {
	case eventActions[action] != "":
	case prefix == "lambda" && versionedLambda[name] != "":
		out = append(out, name, versionedLambda[name])
	default:
		out = append(out, name)
	}
	return slices.Compact(sorted(out))
}

// versionedLambda are event names of Lambda's older operations.
// https://docs.aws.amazon.com/lambda/latest/dg/logging-using-cloudtrail.html
var versionedLambda = map[string]string{
	"AddPermission": "AddPermission20150331v2", "CreateFunction": "CreateFunction20150331", "CreateEventSourceMapping": "CreateEventSourceMapping20150331",
	"DeleteEventSourceMapping": "DeleteEventSourceMapping20150331", "DeleteFunction": "DeleteFunction20150331", "RemovePermission": "RemovePermission20150331v2",
	"UpdateEventSourceMapping": "UpdateEventSourceMapping20150331", "UpdateFunctionCode": "UpdateFunctionCode20150331v2",
	"UpdateFunctionConfiguration": "UpdateFunctionConfiguration20150331v2",
}

// invisible says why the event history never has an action; "" when it can.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html
func invisible(action string) string {
	if strings.EqualFold(action, "iam:PassRole") {
		return "no call of its own"
	}
	prefix, name, _ := strings.Cut(action, ":")
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(name, p) })
	}
	data := false
	switch prefix {
	case "s3":
		data = has("Object", "Multipart")
	case "dynamodb":
		data = has("Item", "Query", "Scan", "PartiQL")
	case "lambda":
		data = has("Invoke")
	case "sqs":
		data = has("SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")
	case "sns":
		data = has("Publish")
	case "events":
		data = name == "PutEvents"
	case "kinesis":
		data = has("PutRecord", "GetRecords")
	}
	if data {
		return "data event"
	}
	return ""
}

// refusals are the error codes with which services refuse for want of rights.
var refusals = []string{
	"AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation", "UnauthorizedOperation", "AuthorizationError", "AuthorizationErrorException",
	"NotAuthorized", "NotAuthorizedException", "UnauthorizedException", "Forbidden", "ForbiddenException",
}

// refused says that the call was refused when it was made.
func (e Event) refused() bool { return slices.Contains(refusals, e.ErrorCode) }

// principal is who made the calls.
func (e Event) principal() scp.Principal {
	return scp.Principal{Type: e.Type, ARN: e.ARN, RoleARN: e.RoleARN, AccountID: e.Account}
}

// arn is what aws:PrincipalArn held.
func (e Event) arn() string {
	if e.RoleARN != "" {
		return e.RoleARN
	}
	return e.ARN
}

// request is the call as the policies would see it if it were made again. The
// time is not known: it will be another.
func (e Event) request(org *orgs.Organization, account orgs.Account, id *Identity) *scp.Request {
	p := e.principal()
	r := &scp.Request{Principal: p, Action: e.action(), Context: p.Context()}
	principalContext(r.Context, org, account)
	set := func(k, v string) { r.Context[k] = []string{v} }
	absent := absentFor(e.Type)
	set("aws:RequestedRegion", e.Region)
	switch {
	case e.Via != "":
		set("aws:ViaAWSService", "true")
		set("aws:CalledVia", e.Via)
		set("aws:CalledViaLast", e.Via)
		absent = append(absent, "aws:SourceIp")
	default:
		set("aws:ViaAWSService", "false")
		absent = append(absent, "aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast")
	}
	if _, err := netip.ParseAddr(e.SourceIP); err == nil {
		if e.VPCE != "" {
			set("aws:VpcSourceIp", e.SourceIP) // aws:SourceIp is absent through an endpoint
			absent = append(absent, "aws:SourceIp")
		} else {
			set("aws:SourceIp", e.SourceIP)
			absent = append(absent, "aws:VpcSourceIp")
		}
	}
	if e.VPCE != "" {
		set("aws:SourceVpce", e.VPCE)
	} else {
		absent = append(absent, "aws:SourceVpce", "aws:SourceVpc", "aws:SourceVpcArn", "aws:VpceAccount", "aws:VpceOrgID", "aws:VpceOrgPaths")
	}
	if e.MFA != "" {
		set("aws:MultiFactorAuthPresent", e.MFA)
	} else if e.Type == scp.PrincipalUser {
		absent = append(absent, "aws:MultiFactorAuthPresent", "aws:MultiFactorAuthAge", "aws:TokenIssueTime")
	}
	if e.TLS {
		set("aws:SecureTransport", "true")
	}
	if e.Type == scp.PrincipalUser {
		set("aws:username", e.ARN[strings.LastIndexByte(e.ARN, '/')+1:])
	}
	fixed := id != nil && id.TagsFixed
	if fixed {
		for k, v := range id.Tags {
			set("aws:PrincipalTag/"+k, v)
		}
	}
	r.Unknown = func(key string) bool {
		if fixed && hasPrefixFold(key, "aws:PrincipalTag/") {
			return false
		}
		return !slices.Contains(absent, key)
	}
	return r
}

// resources are the ARNs the call acted on, as far as the record tells them.
// known is false when it does not: a recorder's name, for one, is not its ARN.
func (e Event) resources(partition string, roles map[string]string) (arns []string, known bool) {
	arn := func(service, region, rest string) []string {
		return []string{"arn:" + partition + ":" + service + ":" + region + ":" + e.Account + ":" + rest}
	}
	p := e.Params
	switch prefix := prefixOf(e.Source); {
	case prefix == "iam" && p["roleName"] != "":
		if e.Name == "CreateRole" {
			return arn("iam", "", "role"+firstOf(p["path"], "/")+p["roleName"]), true
		}
		if full, ok := roles[p["roleName"]]; ok {
			return []string{full}, true
		}
		return nil, false // its path is not known
	case prefix == "events" && (p["name"] != "" || p["rule"] != ""):
		name := firstOf(p["rule"], p["name"])
		if strings.Contains(e.Name, "EventBus") || strings.Contains(e.Name, "Permission") {
			return nil, false
		}
		if bus := p["eventBusName"]; bus != "" && bus != "default" {
			if strings.HasPrefix(bus, "arn:") {
				bus = bus[strings.LastIndexByte(bus, '/')+1:]
			}
			name = bus + "/" + name
		}
		return arn("events", e.Region, "rule/"+name), true
	case prefix == "sns" && p["topicArn"] != "":
		return []string{p["topicArn"]}, true
	case prefix == "sns" && e.Name == "CreateTopic" && p["name"] != "":
		return arn("sns", e.Region, p["name"]), true
	case prefix == "sqs" && p["queueUrl"] != "":
		return arn("sqs", e.Region, p["queueUrl"][strings.LastIndexByte(p["queueUrl"], '/')+1:]), true
	case prefix == "s3" && p["bucketName"] != "" && len(e.Resources) == 0:
		return []string{"arn:" + partition + ":s3:::" + p["bucketName"]}, true
	case p["stateMachineArn"] != "":
		return []string{p["stateMachineArn"]}, true
	case strings.HasPrefix(p["stackName"], "arn:"):
		return []string{p["stackName"]}, true
	case len(e.Resources) > 0:
		return e.Resources, true
	}
	return nil, false
}
