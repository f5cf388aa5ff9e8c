package baseline

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
)

// JobState is the scheduled audit as it was found: what `orgguard schedule status`
// tells. It is data; Problems judges it.
type JobState struct {
	Account   string `json:"account"`
	Region    string `json:"region"`
	Installed bool   `json:"installed"`
	Stack     string `json:"stack"`
	// StackStatus is CloudFormation's word; "" without a stack.
	StackStatus string `json:"stack_status,omitempty"`
	// Differs names what of the stack is not as the configuration wants it.
	Differs string `json:"differs,omitempty"`
	// Engine is what the schedule begins: "lambda" or "stepfunctions".
	Engine     string `json:"engine,omitempty"`
	Expression string `json:"expression,omitempty"` // of the schedule, in UTC
	Enabled    bool   `json:"enabled"`              // the schedule is
	Version    string `json:"version,omitempty"`    // of the program that the function runs
	// Foreign says that the function runs another package than the stack's, Paused
	// that it may not run at all.
	Foreign bool       `json:"foreign_package,omitempty"`
	Paused  bool       `json:"paused,omitempty"`
	Alarms  []JobAlarm `json:"alarms"`
	Dead    int        `json:"dead_letters"` // messages in the queue of what failed
	Bucket  string     `json:"bucket"`
	// Joining is whether an account that is created, joins or moves is audited, and Tamper
	// one that somebody tampers with.
	Joining Trigger `json:"account_trigger"`
	Tamper  Trigger `json:"tamper_trigger"`
	// Unseen are the questions that nobody answered.
	Unseen []string `json:"unseen,omitempty"`

	target string // what the schedule begins, as an ARN
}

// JobAlarm is the state of an alarm that watches the job.
type JobAlarm struct {
	Name  string    `json:"name"`
	State string    `json:"state"` // OK, ALARM, INSUFFICIENT_DATA
	Since time.Time `json:"since,omitzero"`
	Muted bool      `json:"muted,omitempty"` // its actions are off: nobody is told
}

// LookJobState reads how the job is. wanted is the job that the configuration wants,
// without what its function runs, which only an installation knows.
func (b *Baseline) LookJobState(ctx context.Context, pool *access.Pool, wanted Job) (JobState, error) {
	s := b.jobSite(pool)
	j := JobState{Account: string(b.Security), Region: b.Home, Stack: JobName, Bucket: b.JobBucket()}
	st, err := observeStack(ctx, s, JobName)
	if err != nil {
		return j, err
	}
	if !st.Exists {
		return j, nil
	}
	j.Installed, j.StackStatus, j.Version = true, st.Status, st.Params["CodeVersion"]
	want := wanted.composed(st.Params[codeParam], st.Params[originParam])
	for _, k := range []string{"CodeVersion", "Architecture"} {
		want.params[k] = st.Params[k]
	}
	if !st.is(want) {
		j.Differs = differing(st, want)
	}
	look := func(what string, err error) {
		if err != nil {
			j.Unseen = append(j.Unseen, what+": "+orgs.Reason(err))
		}
	}
	look("schedule", j.lookClock(ctx, s))
	look("function", j.lookFunction(ctx, s, st.Params[codeParam]))
	look("alarms", j.lookAlarms(ctx, s))
	look("queue", j.lookQueue(ctx, s))
	j.Joining, err = b.lookTrigger(ctx, pool, jobEvents, wanted.Events)
	look("accounts that join or move", err)
	j.Tamper, err = b.lookTamper(ctx, pool)
	look("tampering", err)
	return j, ctx.Err()
}

func (j *JobState) lookClock(ctx context.Context, s site) error {
	out, err := s.Scheduler.GetSchedule(ctx, &scheduler.GetScheduleInput{Name: aws.String(JobName)}, s.at.Scheduler)
	if notFound(err) {
		return nil // not enabled
	}
	if err != nil {
		return err
	}
	j.Expression, j.Enabled = aws.ToString(out.ScheduleExpression), out.State == "ENABLED"
	if out.Target != nil {
		j.target = aws.ToString(out.Target.Arn)
	}
	switch {
	case strings.Contains(j.target, ":states:"):
		j.Engine = "stepfunctions"
	case strings.Contains(j.target, ":lambda:"):
		j.Engine = "lambda"
	}
	return nil
}

// lookFunction compares the package that the function runs with the one that the stack
// gave it: its key is its hash.
func (j *JobState) lookFunction(ctx context.Context, s site, key string) error {
	out, err := s.Lambda.GetFunction(ctx, &lambda.GetFunctionInput{FunctionName: aws.String(JobName)}, s.at.Lambda)
	if notFound(err) {
		j.Paused = true
		return nil
	}
	if err != nil {
		return err
	}
	sum, err := base64.StdEncoding.DecodeString(aws.ToString(out.Configuration.CodeSha256))
	if err != nil {
		return fmt.Errorf("the hash of its package is none: %w", err)
	}
	j.Foreign = key != "code/"+hex.EncodeToString(sum)+".zip"
	j.Paused = out.Concurrency != nil && aws.ToInt32(out.Concurrency.ReservedConcurrentExecutions) == 0
	return nil
}

func (j *JobState) lookAlarms(ctx context.Context, s site) error {
	pages := cloudwatch.NewDescribeAlarmsPaginator(s.CloudWatch, &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String(JobName + "-")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, s.at.CloudWatch)
		if err != nil {
			return err
		}
		for _, a := range page.MetricAlarms {
			j.Alarms = append(j.Alarms, JobAlarm{
				Name: aws.ToString(a.AlarmName), State: string(a.StateValue), Since: aws.ToTime(a.StateUpdatedTimestamp), Muted: a.ActionsEnabled != nil && !*a.ActionsEnabled,
			})
		}
	}
	return nil
}

func (j *JobState) lookQueue(ctx context.Context, s site) error {
	n, err := jobFailures(ctx, s)
	j.Dead = n
	return err
}

// jobFailures is how many messages are in the queue of what failed; none where there is
// no queue.
func jobFailures(ctx context.Context, s site) (int, error) {
	const depth = "ApproximateNumberOfMessages"
	url := fmt.Sprintf("https://sqs.%s.%s/%s/%s-dlq", s.at.Region, s.base.Org.Partition.DNSSuffix, s.at.Account, JobName)
	attributes, err := s.queueAttributes(ctx, url, depth)
	if err != nil || attributes == nil {
		return 0, err
	}
	return strconv.Atoi(attributes[depth])
}

// sound are the states in which a stack is what somebody wanted.
var sound = map[string]bool{"CREATE_COMPLETE": true, "UPDATE_COMPLETE": true, "IMPORT_COMPLETE": true}

// Untold is what people are told of tampering that begins no audit, where nobody wants it
// to; "" where it does, or should.
func (j JobState) Untold() string {
	if j.Tamper.Wanted || j.Tamper.Why == "" {
		return ""
	}
	return tamperUntold(j.Tamper.Why)
}

// Problems are what keeps the job from being what the configuration wants, each in a
// sentence with what to do. last is when the last whole audit was made, zero for never,
// and every the time between two.
func (j JobState) Problems(now, last time.Time, every time.Duration) []string {
	if !j.Installed {
		return []string{"there is no scheduled audit: orgguard schedule install"}
	}
	var out []string
	add := func(bad bool, format string, args ...any) {
		if bad {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	unseen := func(what string) bool {
		for _, u := range j.Unseen {
			if strings.HasPrefix(u, what+":") {
				return true
			}
		}
		return false
	}
	add(!sound[j.StackStatus], "the stack is %s: look at its events, then orgguard schedule install", j.StackStatus)
	add(j.Differs != "", "the stack is not as the configuration wants it (%s): orgguard schedule install", j.Differs)
	add(!j.Enabled && !unseen("schedule"), "its schedule is off or gone: orgguard schedule remove, then install, or enable it")
	add(j.Paused && !unseen("function"), "its function is gone, or may not run (reserved concurrency 0)")
	add(j.Foreign, "its function runs another package than orgguard gave it: find out who changed it, then orgguard schedule remove and install")
	add(len(j.Alarms) < 2 && !unseen("alarms"), "an alarm that watches it is gone")
	for _, a := range j.Alarms {
		waiting := last.IsZero() && strings.HasSuffix(a.Name, "-silent") // says what the next line says
		add(a.State == "ALARM" && !waiting, "alarm %s is in ALARM", a.Name)
		add(a.Muted, "alarm %s tells nobody: its actions are off", a.Name)
	}
	add(j.Joining.Wanted && !j.Joining.On, "accounts that are created, join or move begin no audit: %s", j.Joining.Why)
	add(j.Tamper.Wanted && !j.Tamper.On, "tampering with an account begins no audit of it: %s", j.Tamper.Why)
	add(j.Dead > 0, "%d of its events could not be handled: they are in the queue %s-dlq, with the reason", j.Dead, JobName)
	add(last.IsZero(), "it has not run yet: orgguard schedule run")
	add(!last.IsZero() && now.Sub(last) > 2*every, "its last whole audit is of %s, more than two intervals ago", last.UTC().Format(time.RFC3339))
	return out
}

// Begun is a run of the job that was begun by hand.
type Begun struct {
	Engine    string
	Execution string // the execution's ARN; "" for a function
	dead      int    // messages in the queue before
}

// RunJob begins a run of the job now, as its schedule would: by what the schedule begins.
func (b *Baseline) RunJob(ctx context.Context, pool *access.Pool) (Begun, error) {
	s, j := b.jobSite(pool), JobState{}
	if err := j.lookClock(ctx, s); err != nil {
		return Begun{}, fmt.Errorf("read the schedule: %w", err)
	}
	dead, err := jobFailures(ctx, s)
	if err != nil {
		return Begun{}, fmt.Errorf("look into the queue of what failed: %w", err)
	}
	out := Begun{Engine: j.Engine, dead: dead}
	switch j.Engine {
	case "lambda":
		_, err = s.Lambda.Invoke(ctx, &lambda.InvokeInput{
			FunctionName: aws.String(JobName), InvocationType: lambdatypes.InvocationTypeEvent, Payload: []byte(`{"orgguard":"audit"}`),
		}, s.at.Lambda)
	case "stepfunctions":
		var begun *sfn.StartExecutionOutput
		if begun, err = s.StepFunctions.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &j.target, Input: aws.String("{}")}, s.at.StepFunctions); err == nil {
			out.Execution = aws.ToString(begun.ExecutionArn)
		}
	default:
		return Begun{}, &orgs.Hinted{Err: fmt.Errorf("there is no scheduled audit in account %s %s", b.Security, b.Home), Next: "orgguard schedule install"}
	}
	if err != nil {
		return Begun{}, fmt.Errorf("begin a run: %w", err)
	}
	return out, nil
}

// RunFailed says whether a run that was begun has failed, with the reason; "" while it has
// not, or has come to a good end.
func (b *Baseline) RunFailed(ctx context.Context, pool *access.Pool, r Begun) (string, error) {
	s := b.jobSite(pool)
	if r.Execution == "" {
		dead, err := jobFailures(ctx, s)
		if err != nil || dead <= r.dead {
			return "", err
		}
		return "its event is in the queue " + JobName + "-dlq, with the reason", nil
	}
	out, err := s.StepFunctions.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &r.Execution}, s.at.StepFunctions)
	if err != nil {
		return "", fmt.Errorf("look at the execution: %w", err)
	}
	if out.Status == "RUNNING" || out.Status == "SUCCEEDED" || out.Status == "PENDING_REDRIVE" {
		return "", nil
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", out.Status, aws.ToString(out.Error), aws.ToString(out.Cause))), nil
}
