package sim

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
)

// resourceType is how CloudFormation provides resources of one type. Adding a
// type to the world is adding one entry to resourceTypes.
type resourceType struct {
	name       string   // the property that names the resource; "" when there is none
	nameLength int      // the service's limit for names; generated ones are cut to it
	lowerCase  bool     // generated names have lower-case letters only
	required   []string // properties that must be there
	properties []string // every other property the type has here
	replace    []string // properties whose change replaces the resource
	attrs      []string // what Fn::GetAtt gives
	tagged     bool     // takes Tags and is given the stack's tags
	iam        bool     // needs CAPABILITY_IAM

	// create makes the resource and sets res.Physical as soon as there is
	// something to delete. It returns waiting when another resource of the
	// stack has to come first, and is called again later.
	create func(*provision) error
	// update changes the resource in place; nil when every change replaces it.
	update func(*provision) error
	delete func(*provision) error
	// read is the properties the resource has now, for drift detection; nil
	// when CloudFormation cannot detect drift of the type.
	read func(*provision) (map[string]any, error)
}

// resourceTypes is every resource type the world's CloudFormation knows.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
var resourceTypes = map[string]resourceType{
	"AWS::Chatbot::MicrosoftTeamsChannelConfiguration": cfnTeamsChannel,
	"AWS::Chatbot::SlackChannelConfiguration":          cfnSlackChannel,

	"AWS::CloudFormation::WaitConditionHandle": waitConditionHandle,
	"AWS::CloudTrail::Trail":                   cfnTrail,
	"AWS::CloudWatch::Alarm":                   cfnAlarm,
	"AWS::Config::ConfigRule":                  cfnConfigRule,
	"AWS::Config::ConfigurationRecorder":       cfnRecorder,
	"AWS::Config::ConformancePack":             cfnConformancePack,
	"AWS::Config::DeliveryChannel":             cfnChannel,
	"AWS::Config::RemediationConfiguration":    cfnRemediation,
	"AWS::Events::EventBus":                    cfnEventBus,
	"AWS::Events::EventBusPolicy":              cfnEventBusPolicy,
	"AWS::Events::Rule":                        cfnEventRule,
	"AWS::IAM::ManagedPolicy":                  cfnManagedPolicy,
	"AWS::IAM::Role":                           cfnRole,
	"AWS::IAM::RolePolicy":                     cfnRolePolicy,
	"AWS::IAM::ServiceLinkedRole":              cfnServiceLinkedRole,
	"AWS::KMS::Alias":                          cfnKeyAlias,
	"AWS::KMS::Key":                            cfnKey,
	"AWS::Lambda::EventInvokeConfig":           cfnInvokeConfig,
	"AWS::Lambda::Function":                    cfnFunction,
	"AWS::Lambda::Permission":                  cfnPermission,
	"AWS::Logs::LogGroup":                      cfnLogGroup,
	"AWS::Logs::MetricFilter":                  cfnMetricFilter,
	"AWS::S3::Bucket":                          cfnBucket,
	"AWS::S3::BucketPolicy":                    cfnBucketPolicy,
	"AWS::SNS::Subscription":                   cfnSubscription,
	"AWS::SNS::Topic":                          cfnTopic,
	"AWS::SNS::TopicPolicy":                    cfnTopicPolicy,
	"AWS::SQS::Queue":                          cfnQueue,
	"AWS::SQS::QueuePolicy":                    cfnQueuePolicy,
	"AWS::Scheduler::Schedule":                 cfnSchedule,
	"AWS::StepFunctions::StateMachine":         cfnStateMachine,
}

// waitConditionHandle is a resource that makes nothing but a URL; templates use
// it where they need a resource and have none.
var waitConditionHandle = resourceType{
	create: func(p *provision) error {
		p.res.Physical = "https://cloudformation-waitcondition-" + p.region + ".s3.amazonaws.com/" + p.c.w.id(32)
		return nil
	},
	delete: func(*provision) error { return nil },
}

// provision is the work on one resource of a stack.
type provision struct {
	c       *call // CloudFormation's, with the permissions it was given
	region  string
	stack   *stack
	logical string
	typ     resourceType
	props   props // as the template wants them now
	old     props // as they were, in an update
	res     *stackResource
}

// waiting says that a resource cannot get further until another one of the
// same stack is there, or gone. If nothing else is left to do, cause is why the
// resource fails, as it would after CloudFormation's time-out.
type waiting struct{ cause error }

func (e waiting) Error() string { return e.cause.Error() }
func (e waiting) Unwrap() error { return e.cause }

// waitOn makes an error with one of the codes a waiting one.
func waitOn(err error, codes ...string) error {
	if hasCode(err, codes...) {
		return waiting{err}
	}
	return err
}

// ignore drops an error with one of the codes: deleting what is gone is done.
func ignore(err error, codes ...string) error {
	if hasCode(err, codes...) {
		return nil
	}
	return err
}

// hasCode says whether an error is an API error with one of the codes.
func hasCode(err error, codes ...string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}

// perform makes an API call for a resource.
func perform[O any](p *provision, service, op string, in any) (*O, error) {
	return performIn[O](p, p.region, service, op, in)
}

// performIn is perform in another Region than the stack's.
func performIn[O any](p *provision, region, service, op string, in any) (*O, error) {
	out, err := p.invoke(region, service, op, in)
	if err != nil {
		return nil, err
	}
	typed, ok := out.(*O)
	if !ok {
		return nil, apiError("InternalFailure", "Internal Failure")
	}
	return typed, nil
}

// try is perform for calls whose output does not matter.
func try(p *provision, service, op string, in any) error {
	_, err := p.invoke(p.region, service, op, in)
	return err
}

// invoke makes a call as CloudFormation makes it for the stack: with the
// principal, the session policy and all.
func (p *provision) invoke(region, service, op string, in any) (any, error) {
	sub := *p.c
	sub.service, sub.op, sub.region = service, op, region
	err := p.c.w.fault(&sub, p.c.w.services[service].prefix, true)
	var out any
	if err == nil {
		out, err = p.c.w.invoke(&sub, in)
	}
	if err != nil {
		return nil, &resourceCallError{service: service, err: err}
	}
	return out, nil
}

// resourceCallError is a refusal by the service behind a resource.
type resourceCallError struct {
	service string
	err     error
}

func (e *resourceCallError) Error() string { return e.err.Error() }
func (e *resourceCallError) Unwrap() error { return e.err }

// resourceReason is an error as CloudFormation shows it in ResourceStatusReason.
// Resource types on the registry report through their handler; AWS::Config's
// recorder and channel are older and quote the service's exception, for which
// people look by its code.
func (w *World) resourceReason(err error) string {
	var wait waiting
	if errors.As(err, &wait) {
		err = wait.cause
	}
	var call *resourceCallError
	var api smithy.APIError
	switch {
	case !errors.As(err, &api):
		return err.Error()
	case !errors.As(err, &call):
		return api.ErrorMessage()
	case call.service == "Config Service":
		return api.ErrorMessage() + " (Service: AmazonConfig; Status Code: 400; Error Code: " + api.ErrorCode() + "; Request ID: " + w.uuid() + "; Proxy: null)"
	}
	return `Resource handler returned message: "` + api.ErrorMessage() + " (Service: " + call.service + ", Status Code: " + statusCode(api) +
		", Request ID: " + w.uuid() + `)" (RequestToken: ` + w.uuid() + ", HandlerErrorCode: " + handlerCode(api) + ")"
}

func statusCode(api smithy.APIError) string {
	switch handlerCode(api) {
	case "AccessDenied":
		return "403"
	case "NotFound":
		return "404"
	case "AlreadyExists":
		return "409"
	}
	return "400"
}

// handlerCode maps a service's error code to the registry's.
// https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html
func handlerCode(api smithy.APIError) string {
	code := api.ErrorCode()
	switch {
	case strings.Contains(code, "AccessDenied") || code == "AuthorizationError" || strings.HasPrefix(code, "UnauthorizedOperation"):
		return "AccessDenied"
	case strings.Contains(code, "AlreadyExists") || strings.Contains(code, "BucketAlready"):
		return "AlreadyExists"
	case strings.Contains(code, "NotFound") || strings.HasPrefix(code, "NoSuch") || strings.Contains(code, "NonExistent"):
		return "NotFound"
	case strings.Contains(code, "LimitExceeded"):
		return "ServiceLimitExceeded"
	case strings.Contains(code, "Throttl") || strings.Contains(code, "TooManyRequests"):
		return "Throttling"
	case strings.HasPrefix(code, "Invalid") || strings.Contains(code, "Validation") || strings.HasPrefix(code, "Malformed"):
		return "InvalidRequest"
	}
	return "GeneralServiceException"
}

// alreadyExists is the registry's refusal to take over what it did not make.
func (p *provision) alreadyExists(id string) error {
	return apiError("AlreadyExists", "Resource of type '%s' with identifier '%s' already exists.", p.res.Type, id)
}

// checkProperties refuses properties the type does not have.
func (p *provision) checkProperties() error {
	known := slices.Concat(p.typ.required, p.typ.properties)
	if p.typ.name != "" {
		known = append(known, p.typ.name)
	}
	if p.typ.tagged {
		known = append(known, "Tags")
	}
	if bad := unknownKeys(p.props, known); len(bad) > 0 {
		return validationError("Properties validation failed for resource %s with message: #: extraneous key [%s] is not permitted", p.logical, bad[0])
	}
	for _, name := range p.typ.required {
		if p.props[name] == nil {
			return validationError("Properties validation failed for resource %s with message: #: required key [%s] not found", p.logical, name)
		}
	}
	return nil
}

// replaces says whether the change from old to props needs a new resource.
func (p *provision) replaces() bool {
	if p.typ.update == nil {
		return true
	}
	return slices.ContainsFunc(p.typ.replace, func(name string) bool { return jsonText(p.old[name]) != jsonText(p.props[name]) })
}

// named says whether the template itself names the resource.
func (p *provision) named() bool { return p.typ.name != "" && p.props.text(p.typ.name) != "" }

// generateName is the resource's name: the one in the template, or
// stack-logical-RANDOM, cut to what the service takes.
func (p *provision) generateName() string {
	if p.named() {
		return p.props.text(p.typ.name)
	}
	random := strings.ToUpper(p.c.w.id(12))
	stackPart, logicalPart := p.stack.Name, p.logical
	if limit := p.typ.nameLength; limit > 0 {
		room := limit - len(random) - 2
		if len(stackPart)+len(logicalPart) > room {
			logicalPart = logicalPart[:min(len(logicalPart), room/2)]
			stackPart = strings.TrimRight(stackPart[:min(len(stackPart), room-len(logicalPart))], "-")
		}
	}
	name := stackPart + "-" + logicalPart + "-" + random
	if p.typ.lowerCase {
		name = strings.ToLower(name)
	}
	return name
}

// tags is what the resource is tagged with: the stack's tags, the resource's
// own, and those that tell which stack it belongs to.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-resource-tags.html
func (p *provision) tags() map[string]string {
	out := maps.Clone(p.stack.Tags)
	if out == nil {
		out = map[string]string{}
	}
	for _, t := range p.props.list("Tags") {
		tag := asProps(t)
		out[tag.text("Key")] = tag.text("Value")
	}
	out["aws:cloudformation:stack-name"] = p.stack.Name
	out["aws:cloudformation:stack-id"] = p.stack.ID
	out["aws:cloudformation:logical-id"] = p.logical
	return out
}

// tagsOf makes an SDK's tag list, sorted by key.
func tagsOf[T any](tags map[string]string, tag func(key, value *string) T) []T {
	out := make([]T, 0, len(tags))
	for _, k := range sortedKeys(tags) {
		key, value := k, tags[k]
		out = append(out, tag(&key, &value))
	}
	return out
}

// goneTags is the keys of tags that an update takes away.
func (p *provision) goneTags() []string {
	now := p.tags()
	var gone []string
	for _, t := range p.old.list("Tags") {
		if key := asProps(t).text("Key"); key != "" {
			if _, still := now[key]; !still {
				gone = append(gone, key)
			}
		}
	}
	slices.Sort(gone)
	return gone
}

// set notes an attribute for Fn::GetAtt.
func (p *provision) set(attribute, value string) {
	if p.res.Attrs == nil {
		p.res.Attrs = map[string]string{}
	}
	p.res.Attrs[attribute] = value
}

// arn makes an ARN in the stack's account and Region.
func (p *provision) arn(service, resource string) string {
	return "arn:" + p.c.w.state.Partition + ":" + service + ":" + p.region + ":" + p.c.caller.Account + ":" + resource
}
