package sim

import (
	"cmp"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/smithy-go"
)

// trailEvent is one CloudTrail record in an account's event history.
type trailEvent struct {
	Time   time.Time       `json:"time"`
	Region string          `json:"region"`
	Source string          `json:"source"` // "config.amazonaws.com"
	Name   string          `json:"name"`   // "StopConfigurationRecorder"
	Detail json.RawMessage `json:"detail"`
}

// trailRoom bounds the history: an account keeps its newest events, fewer when
// there are many accounts.
const (
	trailPerAccount = 300
	trailPerWorld   = 20_000
)

// maxDeliveries bounds how deep one call's event may cause another: a rule
// that matches what its own target does loops for ever in AWS, at AWS's pace.
const maxDeliveries = 8

// dataEvents are writes that CloudTrail counts as data events, which trails do
// not log unless told to and EventBridge does not get as API calls.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html
var dataEvents = map[string]bool{
	"sns:Publish": true, "sns:PublishBatch": true,
	"sqs:SendMessage": true, "sqs:SendMessageBatch": true, "sqs:ReceiveMessage": true, "sqs:DeleteMessage": true,
	"sqs:DeleteMessageBatch": true, "sqs:ChangeMessageVisibility": true,
	"s3:PutObject": true, "s3:DeleteObject": true, "s3:DeleteObjects": true,
	"events:PutEvents":          true,
	"states:StartSyncExecution": true,
}

// record is CloudTrail: it notes a call in the caller's event history, and when a
// trail is logging tells EventBridge, and CloudWatch Logs when the trail does.
// Reads that were not refused are left out: there would be nothing else.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
func (w *World) record(c *call, svc service, kind access, in, out any, err error) {
	if dataEvents[svc.prefix+":"+c.op] {
		return
	}
	region := w.eventRegion(c, svc)
	event := map[string]any{
		"eventVersion":       "1.11",
		"userIdentity":       w.userIdentity(c),
		"eventTime":          c.now.UTC().Format(time.RFC3339),
		"eventSource":        cmp.Or(svc.source, svc.prefix) + ".amazonaws.com",
		"eventName":          c.op,
		"awsRegion":          region,
		"sourceIPAddress":    callerAddress,
		"userAgent":          "aws-sdk-go-v2",
		"requestParameters":  parameters(in),
		"responseElements":   nil,
		"requestID":          w.uuid(),
		"eventID":            w.uuid(),
		"readOnly":           kind == read,
		"eventType":          "AwsApiCall",
		"managementEvent":    true,
		"recipientAccountId": c.caller.Account,
		"eventCategory":      "Management",
	}
	if c.via != "" {
		event["sourceIPAddress"], event["userAgent"] = c.via, c.via
	} else if c.caller.Type == principalService {
		event["sourceIPAddress"], event["userAgent"] = c.caller.ARN, c.caller.ARN
	}
	if err != nil {
		event["errorCode"], event["errorMessage"] = trailError(c, err)
	} else {
		event["responseElements"] = parameters(out)
	}
	w.keep(c.caller.Account, region, event, c.now)
	w.emit(c.trails, c.caller.Account, region, "AWS API Call via CloudTrail", "aws."+cmp.Or(svc.source, svc.prefix), event, c.now)
}

// recorded says whether CloudTrail is told of a call: of writes, and where somebody
// reads a trail in CloudWatch Logs, of reads that were refused.
func (c *call) recorded(kind access, err error) bool {
	return kind == write || err != nil && refused(err) && slices.ContainsFunc(c.trails, func(t *trail) bool { return t.Settings.CloudWatchLogsLogGroupArn != nil })
}

// refused says whether an error is the refusal of a caller.
func refused(err error) bool {
	code, _ := errorParts(err)
	return strings.HasPrefix(code, "AccessDenied") || code == "UnauthorizedOperation" || code == "AuthorizationError"
}

// eventRegion is the Region of a call's events.
func (w *World) eventRegion(c *call, svc service) string {
	if svc.global {
		return w.globalRegion()
	}
	return c.region
}

// trailError is an error as CloudTrail writes it: refusals by policies have
// one code whatever the service's protocol calls them.
func trailError(c *call, err error) (code, message string) {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return "InternalFailure", err.Error()
	}
	switch code = api.ErrorCode(); {
	case code == "UnauthorizedOperation":
		code = "Client." + code // EC2 says whose fault it is
	case code == codesOf(c.service).denied:
		code = "AccessDenied"
	}
	return code, api.ErrorMessage()
}

// userIdentity is the element that tells who made a call.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
func (w *World) userIdentity(c *call) map[string]any {
	p := c.caller
	id := map[string]any{"accountId": p.Account, "arn": p.ARN}
	switch p.Type {
	case principalService:
		return map[string]any{"type": "AWSService", "invokedBy": p.ARN}
	case principalRoot:
		id["type"], id["principalId"] = "Root", p.Account
	case principalUser:
		id["type"], id["userName"] = "IAMUser", lastSegment(p.ARN)
	default:
		id["type"] = "AssumedRole"
		issuer := map[string]any{"type": "Role", "arn": p.RoleARN, "accountId": p.Account, "userName": lastSegment(p.RoleARN)}
		if _, r := w.roleByARN(p.RoleARN); r != nil {
			issuer["principalId"] = r.ID
			id["principalId"] = r.ID + ":" + lastSegment(p.ARN)
		}
		id["sessionContext"] = map[string]any{
			"sessionIssuer": issuer,
			"attributes":    map[string]any{"creationDate": c.now.UTC().Format(time.RFC3339), "mfaAuthenticated": "false"},
		}
	}
	if c.via != "" {
		id["invokedBy"] = c.via
	}
	return id
}

// lastSegment is what follows the last slash of an ARN.
func lastSegment(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// keep adds a record to an account's event history.
func (w *World) keep(account, region string, event map[string]any, now time.Time) {
	a := w.account(account)
	if a == nil {
		return
	}
	detail, err := json.Marshal(event)
	if err != nil {
		return // parameters made it of plain values; there is nothing to fail
	}
	source, _ := event["eventSource"].(string)
	name, _ := event["eventName"].(string)
	a.Trail = append(a.Trail, trailEvent{Time: now, Region: region, Source: source, Name: name, Detail: detail})
	room := max(10, min(trailPerAccount, trailPerWorld/len(w.state.Accounts)))
	if extra := len(a.Trail) - room; extra > 0 {
		a.Trail = append(a.Trail[:0], a.Trail[extra:]...)
	}
}

// emit delivers a record to the trails' log groups, and in EventBridge's envelope to
// EventBridge: without a trail that is logging it sees no API calls.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
func (w *World) emit(trails []*trail, account, region, detailType, source string, detail map[string]any, now time.Time) {
	if len(trails) == 0 || w.deliveries >= maxDeliveries {
		return
	}
	w.deliveries++
	defer func() { w.deliveries-- }()
	w.logTo(trails, account, region, detail, now)
	w.deliver(account, region, map[string]any{
		"version":     "0",
		"id":          w.uuid(),
		"detail-type": detailType,
		"source":      source,
		"account":     account,
		"time":        now.UTC().Format(time.RFC3339),
		"region":      region,
		"resources":   []any{},
		"detail":      detail,
	})
}

// serviceEvent is an event that a service records of itself, which no call caused or
// which tells what became of one: CloudTrail and EventBridge get it as one of the account
// that it happened in.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/non-api-aws-service-events.html
func (w *World) serviceEvent(account, region, service, name string, details map[string]any, now time.Time) {
	source := service + ".amazonaws.com"
	event := map[string]any{
		"eventVersion":        "1.11",
		"userIdentity":        map[string]any{"accountId": account, "invokedBy": source},
		"eventTime":           now.UTC().Format(time.RFC3339),
		"eventSource":         source,
		"eventName":           name,
		"awsRegion":           region,
		"sourceIPAddress":     source,
		"userAgent":           source,
		"requestParameters":   nil,
		"responseElements":    nil,
		"eventID":             w.uuid(),
		"readOnly":            false,
		"eventType":           "AwsServiceEvent",
		"managementEvent":     true,
		"recipientAccountId":  account,
		"serviceEventDetails": details,
		"eventCategory":       "Management",
	}
	w.keep(account, region, event, now)
	w.emit(w.loggingTrails(account, region), account, region, "AWS Service Event via CloudTrail", "aws."+service, event, now)
}

// Happen is an event of an AWS service that the world does not model, such as a
// finding: it arrives at the default bus of the account and Region that it names.
func (w *World) Happen(event map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	account, _ := event["account"].(string)
	region, _ := event["region"].(string)
	if w.account(account) == nil {
		return
	}
	w.dirty()
	w.deliver(account, region, event)
}

// SignIn is somebody signing in to the console of an account: as the root user
// or as an IAM user. The event is recorded in us-east-1, wherever the person
// is.
//
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-aws-console-sign-in-events.html
func (w *World) SignIn(account string, root bool, mfa, success bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.account(account) == nil {
		return
	}
	now, region := w.now(), w.globalRegion()
	prefix := "arn:" + w.state.Partition + ":iam::" + account + ":"
	identity := map[string]any{"type": "IAMUser", "principalId": w.uniqueID("AIDA"), "arn": prefix + "user/alice", "accountId": account, "userName": "alice"}
	if root {
		identity = map[string]any{"type": "Root", "principalId": account, "arn": prefix + "root", "accountId": account, "accessKeyId": ""}
	}
	used, result := "No", "Failure"
	if mfa {
		used = "Yes"
	}
	event := map[string]any{
		"eventVersion":        "1.11",
		"userIdentity":        identity,
		"eventTime":           now.UTC().Format(time.RFC3339),
		"eventSource":         "signin.amazonaws.com",
		"eventName":           "ConsoleLogin",
		"awsRegion":           region,
		"sourceIPAddress":     callerAddress,
		"userAgent":           "Mozilla/5.0",
		"requestParameters":   nil,
		"additionalEventData": map[string]any{"LoginTo": "https://console.aws.amazon.com/", "MobileVersion": "No", "MFAUsed": used},
		"eventID":             w.uuid(),
		"readOnly":            false,
		"eventType":           "AwsConsoleSignIn",
		"managementEvent":     true,
		"recipientAccountId":  account,
		"eventCategory":       "Management",
	}
	if success {
		result = "Success"
	} else {
		event["errorMessage"] = "Failed authentication"
	}
	event["responseElements"] = map[string]any{"ConsoleLogin": result}
	w.dirty()
	w.keep(account, region, event, now)
	w.emit(w.loggingTrails(account, region), account, region, "AWS Console Sign In via CloudTrail", "aws.signin", event, now)
}

// parameters turns an SDK input or output into the JSON value CloudTrail
// records: members in lower camel case, absent ones left out, nil for nothing.
// CloudTrail lowers the first letter and no more, hence names like
// "kMSMasterKeyId".
func parameters(v any) any {
	out, ok := jsonValue(reflect.ValueOf(v)).(map[string]any)
	if !ok || len(out) == 0 {
		return nil
	}
	return out
}

// jsonValue copies a value of the SDK into plain JSON values; nil for what is
// absent.
func jsonValue(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return jsonValue(v.Elem())
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return t.UTC().Format(time.RFC3339)
		}
		return jsonObject(v)
	case reflect.Map:
		if v.IsNil() {
			return nil
		}
		out := make(map[string]any, v.Len())
		for it := v.MapRange(); it.Next(); {
			out[it.Key().String()] = jsonValue(it.Value())
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return "HIDDEN_DUE_TO_SECURITY_REASONS" // blobs are not logged
		}
		out := make([]any, v.Len())
		for i := range out {
			out[i] = jsonValue(v.Index(i))
		}
		return out
	case reflect.String:
		if v.Len() == 0 {
			return nil // an enumeration that was not given
		}
		return v.String()
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int32, reflect.Int64:
		return float64(v.Int()) // as if it had been JSON
	case reflect.Float32, reflect.Float64:
		return v.Float()
	default:
		return nil // readers and documents
	}
}

func jsonObject(v reflect.Value) map[string]any {
	out := map[string]any{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Name == "ResultMetadata" || f.Anonymous {
			continue
		}
		if value := jsonValue(v.Field(i)); value != nil {
			out[lowerFirst(f.Name)] = value
		}
	}
	return out
}

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}
