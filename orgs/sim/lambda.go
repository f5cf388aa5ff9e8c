package sim

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/orgguard/orgguard/orgs"
)

// lambdaState is AWS Lambda in one account × Region. Of functions there is one version,
// $LATEST, and no alias; packages come from S3.
type lambdaState struct {
	Functions map[string]*lambdaFunction `json:"functions,omitempty"` // by name
}

// lambdaFunction is a function as somebody made it. What it runs is the program of the
// world (World.SetProgram).
type lambdaFunction struct {
	Settings types.FunctionConfiguration `json:"settings"`
	Tags     map[string]string           `json:"tags,omitempty"`
	// Reserved is the reserved concurrency; nil for none.
	Reserved *int32 `json:"reserved,omitempty"`
	// Async is how events are handled that nobody waits for; nil for the defaults.
	Async *invokeConfig `json:"async,omitempty"`
	// Grants are the statements of the function's policy, by their ids.
	Grants map[string]json.RawMessage `json:"grants,omitempty"`
}

// invokeConfig is how events are handled that nobody waits for.
type invokeConfig struct {
	Attempts  int32  `json:"attempts"` // after the first
	Age       int32  `json:"age"`      // in seconds
	OnFailure string `json:"on_failure,omitempty"`
}

// The defaults, and the limits of numbers.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const (
	defaultAttempts = 2
	defaultAge      = 21600
	defaultTimeout  = 3
	defaultMemory   = 128
)

var (
	functionName = orgs.NewPattern(`^[a-zA-Z0-9-_]{1,64}$`)
	statementID  = orgs.NewPattern(`^[a-zA-Z0-9-_]{1,100}$`)
)

var lambdaOps = map[string]operation{
	"CreateFunction":                  onFunction(op(write, createFunction), func(in *lambda.CreateFunctionInput) *string { return in.FunctionName }),
	"GetFunction":                     onFunction(op(read, getFunction), func(in *lambda.GetFunctionInput) *string { return in.FunctionName }),
	"UpdateFunctionCode":              onFunction(op(write, updateFunctionCode), func(in *lambda.UpdateFunctionCodeInput) *string { return in.FunctionName }),
	"UpdateFunctionConfiguration":     onFunction(op(write, updateFunctionConfiguration), func(in *lambda.UpdateFunctionConfigurationInput) *string { return in.FunctionName }),
	"DeleteFunction":                  onFunction(op(write, deleteFunction), func(in *lambda.DeleteFunctionInput) *string { return in.FunctionName }),
	"PutFunctionConcurrency":          onFunction(op(write, putFunctionConcurrency), func(in *lambda.PutFunctionConcurrencyInput) *string { return in.FunctionName }),
	"DeleteFunctionConcurrency":       onFunction(op(write, deleteFunctionConcurrency), func(in *lambda.DeleteFunctionConcurrencyInput) *string { return in.FunctionName }),
	"PutFunctionEventInvokeConfig":    onFunction(op(write, putInvokeConfig), func(in *lambda.PutFunctionEventInvokeConfigInput) *string { return in.FunctionName }),
	"GetFunctionEventInvokeConfig":    onFunction(op(read, getInvokeConfig), func(in *lambda.GetFunctionEventInvokeConfigInput) *string { return in.FunctionName }),
	"DeleteFunctionEventInvokeConfig": onFunction(op(write, deleteInvokeConfig), func(in *lambda.DeleteFunctionEventInvokeConfigInput) *string { return in.FunctionName }),
	"AddPermission":                   onFunction(op(write, addGrant), func(in *lambda.AddPermissionInput) *string { return in.FunctionName }),
	"RemovePermission":                onFunction(op(write, removeGrant), func(in *lambda.RemovePermissionInput) *string { return in.FunctionName }),
	"GetPolicy":                       onFunction(op(read, getFunctionPolicy), func(in *lambda.GetPolicyInput) *string { return in.FunctionName }),
	"TagResource":                     on(op(write, tagFunction), func(_ *call, in *lambda.TagResourceInput) string { return aws.ToString(in.Resource) }),
	"UntagResource":                   on(op(write, untagFunction), func(_ *call, in *lambda.UntagResourceInput) string { return aws.ToString(in.Resource) }),
	// Invocations are data events, which CloudTrail does not record by default.
	"Invoke": invokeAction(onFunction(op(read, invokeByName), func(in *lambda.InvokeInput) *string { return in.FunctionName })),
}

func invokeAction(o operation) operation { o.action = "lambda:InvokeFunction"; return o }

// onFunction gives an operation the function it acts on as its resource. Functions are
// named by name, by ARN, or by a part of the ARN.
func onFunction[I any](o operation, name func(*I) *string) operation {
	return on(o, func(c *call, in *I) string { return c.functionARN(aws.ToString(name(in))) })
}

func (c *call) functionARN(name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return c.arn("lambda", "function:"+name[strings.LastIndexByte(name, ':')+1:])
}

// functionAt finds a function by its ARN.
func (w *World) functionAt(arn string) *lambdaFunction {
	service, region, account, resource, ok := arnParts(arn)
	if a := w.account(account); !ok || service != "lambda" || a == nil || a.Regions[region] == nil {
		return nil
	}
	return w.region(account, region).Lambda.Functions[strings.TrimPrefix(resource, "function:")]
}

func noFunction(arn string) error {
	return &types.ResourceNotFoundException{Message: aws.String("Function not found: " + arn), Type: aws.String("User")}
}

func badParameter(message string) error {
	return &types.InvalidParameterValueException{Message: &message, Type: aws.String("User")}
}

// function finds the function of a call. Other accounts' are out of reach here but for
// invoking them.
func (c *call) function(name *string) (*lambdaFunction, error) {
	arn := c.functionARN(aws.ToString(name))
	if f := c.w.functionAt(arn); f != nil && arnAccount(arn) == c.caller.Account {
		return f, nil
	}
	return nil, noFunction(arn)
}

// checkFunction refuses what Lambda would refuse, and a role that it cannot assume.
func checkFunction(c *call, f *types.FunctionConfiguration) error {
	timeout, memory := aws.ToInt32(f.Timeout), aws.ToInt32(f.MemorySize)
	switch {
	case !functionName.MatchString(aws.ToString(f.FunctionName)):
		return apiError("ValidationException", "1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint", aws.ToString(f.FunctionName))
	case timeout < 1 || timeout > 900:
		return apiError("ValidationException", "1 validation error detected: Value '%d' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900", timeout)
	case memory < 128 || memory > 10240:
		return apiError("ValidationException", "1 validation error detected: Value '%d' at 'memorySize' failed to satisfy constraint", memory)
	case f.Runtime == "" || aws.ToString(f.Handler) == "":
		return badParameter("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	}
	if err := c.passRole(aws.ToString(f.Role)); err != nil {
		return err
	}
	if why := c.w.assumable(aws.ToString(f.Role), lambdaService, c.caller.Account, aws.ToString(f.FunctionArn), c.now); why != "" {
		return badParameter("The role defined for the function cannot be assumed by Lambda.")
	}
	return nil
}

// packageOf fetches a package with the rights of the caller, and gives its hash as
// Lambda does.
func packageOf(c *call, bucket, key, version *string) (sum string, size int64, err error) {
	in := &s3.HeadObjectInput{Bucket: bucket, Key: key, VersionId: version}
	out, err := c.as(c.caller, c.region, "S3", "HeadObject", in)
	if err != nil {
		_, message := errorParts(err)
		return "", 0, badParameter("Error occurred while GetObject. S3 Error Message: " + message)
	}
	o := c.w.state.Buckets[aws.ToString(bucket)].Objects[aws.ToString(key)]
	if o == nil {
		return "", 0, badParameter("Error occurred while GetObject. S3 Error Code: NoSuchKey.")
	}
	digest, err := hex.DecodeString(o.sum())
	if err != nil {
		return "", 0, err
	}
	return base64.StdEncoding.EncodeToString(digest), aws.ToInt64(out.(*s3.HeadObjectOutput).ContentLength), nil
}

func createFunction(c *call, in *lambda.CreateFunctionInput) (*lambda.CreateFunctionOutput, error) {
	name := aws.ToString(in.FunctionName)
	if c.here().Lambda.Functions[name] != nil {
		return nil, &types.ResourceConflictException{Message: aws.String("Function already exist: " + name), Type: aws.String("User")}
	}
	f := types.FunctionConfiguration{
		FunctionName: in.FunctionName, FunctionArn: aws.String(c.functionARN(name)), Role: in.Role, Runtime: in.Runtime, Handler: in.Handler, Description: in.Description,
		Timeout: aws.Int32(cmp.Or(aws.ToInt32(in.Timeout), defaultTimeout)), MemorySize: aws.Int32(cmp.Or(aws.ToInt32(in.MemorySize), defaultMemory)),
		EphemeralStorage: in.EphemeralStorage, Architectures: in.Architectures, LoggingConfig: in.LoggingConfig, PackageType: types.PackageTypeZip,
		Version: aws.String("$LATEST"), State: types.StateActive, LastUpdateStatus: types.LastUpdateStatusSuccessful, LastModified: stamp(c),
	}
	if len(f.Architectures) == 0 {
		f.Architectures = []types.Architecture{types.ArchitectureX8664}
	}
	setEnvironment(&f, in.Environment, in.TracingConfig)
	if err := checkFunction(c, &f); err != nil {
		return nil, err
	}
	if in.Code == nil || in.Code.S3Bucket == nil {
		return nil, badParameter("Please provide a source for function code.")
	}
	if len(in.Tags) > 0 {
		if err := c.w.authorize(c, "lambda:TagResource", c.functionARN(name)); err != nil {
			return nil, err
		}
	}
	sum, size, err := packageOf(c, in.Code.S3Bucket, in.Code.S3Key, in.Code.S3ObjectVersion)
	if err != nil {
		return nil, err
	}
	f.CodeSha256, f.CodeSize = &sum, size
	all := &c.here().Lambda
	if all.Functions == nil {
		all.Functions = map[string]*lambdaFunction{}
	}
	all.Functions[name] = &lambdaFunction{Settings: detach(f), Tags: maps.Clone(in.Tags)}
	return &lambda.CreateFunctionOutput{FunctionName: f.FunctionName, FunctionArn: f.FunctionArn, CodeSha256: f.CodeSha256, State: f.State}, nil
}

// stamp is the time as Lambda writes it.
func stamp(c *call) *string { return aws.String(c.now.UTC().Format("2006-01-02T15:04:05.000+0000")) }

func setEnvironment(f *types.FunctionConfiguration, e *types.Environment, t *types.TracingConfig) {
	f.Environment, f.TracingConfig = nil, &types.TracingConfigResponse{Mode: types.TracingModePassThrough}
	if e != nil {
		f.Environment = &types.EnvironmentResponse{Variables: maps.Clone(e.Variables)}
	}
	if t != nil {
		f.TracingConfig.Mode = t.Mode
	}
}

func getFunction(c *call, in *lambda.GetFunctionInput) (*lambda.GetFunctionOutput, error) {
	f, err := c.function(in.FunctionName)
	if err != nil {
		return nil, err
	}
	settings := detach(f.Settings)
	out := &lambda.GetFunctionOutput{Configuration: &settings, Tags: maps.Clone(f.Tags), Code: &types.FunctionCodeLocation{RepositoryType: aws.String("S3")}}
	if f.Reserved != nil {
		out.Concurrency = &types.Concurrency{ReservedConcurrentExecutions: aws.Int32(*f.Reserved)}
	}
	return out, nil
}

func updateFunctionCode(c *call, in *lambda.UpdateFunctionCodeInput) (*lambda.UpdateFunctionCodeOutput, error) {
	f, err := c.function(in.FunctionName)
	if err != nil {
		return nil, err
	}
	sum, size, err := packageOf(c, in.S3Bucket, in.S3Key, in.S3ObjectVersion)
	if err != nil {
		return nil, err
	}
	f.Settings.CodeSha256, f.Settings.CodeSize, f.Settings.LastModified = &sum, size, stamp(c)
	if len(in.Architectures) > 0 {
		f.Settings.Architectures = slices.Clone(in.Architectures)
	}
	return &lambda.UpdateFunctionCodeOutput{FunctionName: in.FunctionName, CodeSha256: &sum}, nil
}

func updateFunctionConfiguration(c *call, in *lambda.UpdateFunctionConfigurationInput) (*lambda.UpdateFunctionConfigurationOutput, error) {
	f, err := c.function(in.FunctionName)
	if err != nil {
		return nil, err
	}
	next := detach(f.Settings)
	for _, s := range []struct{ from, to **string }{{&in.Role, &next.Role}, {&in.Handler, &next.Handler}, {&in.Description, &next.Description}} {
		if *s.from != nil {
			*s.to = *s.from
		}
	}
	for _, s := range []struct{ from, to **int32 }{{&in.Timeout, &next.Timeout}, {&in.MemorySize, &next.MemorySize}} {
		if *s.from != nil {
			*s.to = *s.from
		}
	}
	next.Runtime = cmp.Or(in.Runtime, next.Runtime)
	if in.Environment != nil {
		setEnvironment(&next, in.Environment, in.TracingConfig)
	}
	if in.LoggingConfig != nil {
		next.LoggingConfig = in.LoggingConfig
	}
	if in.EphemeralStorage != nil {
		next.EphemeralStorage = in.EphemeralStorage
	}
	next.LastModified = stamp(c)
	if err := checkFunction(c, &next); err != nil {
		return nil, err
	}
	f.Settings = detach(next)
	return &lambda.UpdateFunctionConfigurationOutput{FunctionName: in.FunctionName}, nil
}

func deleteFunction(c *call, in *lambda.DeleteFunctionInput) (*lambda.DeleteFunctionOutput, error) {
	f, err := c.function(in.FunctionName)
	if err != nil {
		return nil, err
	}
	delete(c.here().Lambda.Functions, aws.ToString(f.Settings.FunctionName))
	return &lambda.DeleteFunctionOutput{}, nil
}

func putFunctionConcurrency(c *call, in *lambda.PutFunctionConcurrencyInput) (*lambda.PutFunctionConcurrencyOutput, error) {
	f, err := c.function(in.FunctionName)
	if err != nil {
		return nil, err
	}
	f.Reserved = aws.Int32(aws.ToInt32(in.ReservedConcurrentExecutions))
	return &lambda.PutFunctionConcurrencyOutput{ReservedConcurrentExecutions: in.ReservedConcurrentExecutions}, nil
}

func deleteFunctionConcurrency(c *call, in *lambda.DeleteFunctionConcurrencyInput) (*lambda.DeleteFunctionConcurrencyOutput, error) {
	f, err := c.function(in.FunctionName)
	if err != nil {
		return nil, err
	}
	f.Reserved = nil
	return &lambda.DeleteFunctionConcurrencyOutput{}, nil
}

func putInvokeConfig(c *call, in *lambda.PutFunctionEventInvokeConfigInput) (*lambda.PutFunctionEventInvokeConfigOutput, error) {
	f, err := c.function(in.FunctionName)
	if err != nil {
		return nil, err
	}
	conf := &invokeConfig{Attempts: defaultAttempts, Age: defaultAge}
	if in.MaximumRetryAttempts != nil {
		conf.Attempts = *in.MaximumRetryAttempts
	}
	if in.MaximumEventAgeInSeconds != nil {
		conf.Age = *in.MaximumEventAgeInSeconds
	}
	if d := in.DestinationConfig; d != nil && d.OnFailure != nil {
		conf.OnFailure = aws.ToString(d.OnFailure.Destination)
	}
	switch {
	case conf.Attempts < 0 || conf.Attempts > 2 || conf.Age < 60 || conf.Age > defaultAge:
		return nil, badParameter("MaximumRetryAttempts must be 0 to 2, and MaximumEventAgeInSeconds 60 to 21600.")
	case strings.Contains(conf.OnFailure, ":sqs:"):
		// Lambda asks the function's role, not the caller.
		role := c.w.sessionOf(aws.ToString(f.Settings.Role), aws.ToString(f.Settings.FunctionName))
		if c.w.authorize(c.sub(role, "SQS"), "sqs:SendMessage", conf.OnFailure) != nil {
			return nil, badParameter("The function's execution role does not have permissions to call SendMessage on " + conf.OnFailure)
		}
	}
	f.Async = conf
	return &lambda.PutFunctionEventInvokeConfigOutput{FunctionArn: f.Settings.FunctionArn}, nil
}

func (f *lambdaFunction) async() invokeConfig {
	if f.Async == nil {
		return invokeConfig{Attempts: defaultAttempts, Age: defaultAge}
	}
	return *f.Async
}

func (c *call) asyncOf(name *string) (*lambdaFunction, error) {
	f, err := c.function(name)
	if err == nil && f.Async == nil {
		err = &types.ResourceNotFoundException{Message: aws.String("The function " + c.functionARN(*name) + ":$LATEST doesn't have an EventInvokeConfig"), Type: aws.String("User")}
	}
	return f, err
}

func getInvokeConfig(c *call, in *lambda.GetFunctionEventInvokeConfigInput) (*lambda.GetFunctionEventInvokeConfigOutput, error) {
	f, err := c.asyncOf(in.FunctionName)
	if err != nil {
		return nil, err
	}
	out := &lambda.GetFunctionEventInvokeConfigOutput{
		FunctionArn: f.Settings.FunctionArn, MaximumRetryAttempts: aws.Int32(f.Async.Attempts), MaximumEventAgeInSeconds: aws.Int32(f.Async.Age),
		DestinationConfig: &types.DestinationConfig{OnFailure: &types.OnFailure{}},
	}
	if f.Async.OnFailure != "" {
		out.DestinationConfig.OnFailure.Destination = aws.String(f.Async.OnFailure)
	}
	return out, nil
}

func deleteInvokeConfig(c *call, in *lambda.DeleteFunctionEventInvokeConfigInput) (*lambda.DeleteFunctionEventInvokeConfigOutput, error) {
	f, err := c.asyncOf(in.FunctionName)
	if err != nil {
		return nil, err
	}
	f.Async = nil
	return &lambda.DeleteFunctionEventInvokeConfigOutput{}, nil
}

// addGrant adds a statement to the function's policy. Statements for services are
// all there is here.
// https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html
func addGrant(c *call, in *lambda.AddPermissionInput) (*lambda.AddPermissionOutput, error) {
	f, err := c.function(in.FunctionName)
	if err != nil {
		return nil, err
	}
	id := aws.ToString(in.StatementId)
	principal := map[string]string{"Service": aws.ToString(in.Principal)}
	if !strings.HasSuffix(principal["Service"], ".amazonaws.com") {
		principal = map[string]string{"AWS": principal["Service"]}
	}
	switch {
	case !statementID.MatchString(id):
		return nil, apiError("ValidationException", "1 validation error detected: Value '%s' at 'statementId' failed to satisfy constraint", id)
	case f.Grants[id] != nil:
		return nil, &types.ResourceConflictException{Message: aws.String("The statement id (" + id + ") provided already exists. Please provide a new statement id, or remove the existing statement."), Type: aws.String("User")}
	}
	statement := map[string]any{"Sid": id, "Effect": "Allow", "Principal": principal, "Action": aws.ToString(in.Action), "Resource": aws.ToString(f.Settings.FunctionArn)}
	condition := map[string]any{}
	if in.SourceArn != nil {
		condition["ArnLike"] = map[string]string{"AWS:SourceArn": *in.SourceArn}
	}
	if in.SourceAccount != nil {
		condition["StringEquals"] = map[string]string{"AWS:SourceAccount": *in.SourceAccount}
	}
	if len(condition) > 0 {
		statement["Condition"] = condition
	}
	text := jsonText(statement)
	if f.Grants == nil {
		f.Grants = map[string]json.RawMessage{}
	}
	f.Grants[id] = json.RawMessage(text)
	return &lambda.AddPermissionOutput{Statement: &text}, nil
}

func removeGrant(c *call, in *lambda.RemovePermissionInput) (*lambda.RemovePermissionOutput, error) {
	f, err := c.function(in.FunctionName)
	if err != nil {
		return nil, err
	}
	if f.Grants[aws.ToString(in.StatementId)] == nil {
		return nil, &types.ResourceNotFoundException{Message: aws.String("Statement " + aws.ToString(in.StatementId) + " is not found in resource policy."), Type: aws.String("User")}
	}
	delete(f.Grants, *in.StatementId)
	return &lambda.RemovePermissionOutput{}, nil
}

// policy is the function's policy; "" when it has none.
func (f *lambdaFunction) policy() string {
	if len(f.Grants) == 0 {
		return ""
	}
	var statements []json.RawMessage
	for _, id := range sortedNames(f.Grants) {
		statements = append(statements, f.Grants[id])
	}
	return jsonText(map[string]any{"Version": "2012-10-17", "Id": "default", "Statement": statements})
}

func getFunctionPolicy(c *call, in *lambda.GetPolicyInput) (*lambda.GetPolicyOutput, error) {
	f, err := c.function(in.FunctionName)
	if err != nil {
		return nil, err
	}
	if f.policy() == "" {
		return nil, &types.ResourceNotFoundException{Message: aws.String("The resource you requested does not exist."), Type: aws.String("User")}
	}
	return &lambda.GetPolicyOutput{Policy: aws.String(f.policy())}, nil
}

func tagFunction(c *call, in *lambda.TagResourceInput) (*lambda.TagResourceOutput, error) {
	f, err := c.function(in.Resource)
	if err != nil {
		return nil, err
	}
	if f.Tags == nil {
		f.Tags = map[string]string{}
	}
	maps.Copy(f.Tags, in.Tags)
	return &lambda.TagResourceOutput{}, nil
}

func untagFunction(c *call, in *lambda.UntagResourceInput) (*lambda.UntagResourceOutput, error) {
	f, err := c.function(in.Resource)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(f.Tags, k)
	}
	return &lambda.UntagResourceOutput{}, nil
}
