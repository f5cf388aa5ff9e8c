package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/urfave/cli/v2"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/bucket"
	"github.com/orgguard/orgguard/reports"
	"github.com/orgguard/orgguard/reports/history"
)

// What a function is asked to do.
const (
	jobAudit  = "audit"  // of everything, or of single accounts
	jobShards = "shards" // say how many parts the audit has
	jobShard  = "shard"  // audit one part
	jobMerge  = "merge"  // put the parts together
)

// job is what schedules and state machines hand to the function.
type job struct {
	Orgguard string `json:"orgguard"`
	// Run names an audit that is made in parts, the same for all of them.
	Run string `json:"run,omitempty"`
	// At is the time of that audit's report.
	At       string   `json:"at,omitempty"`
	Shard    int      `json:"shard,omitempty"`
	Of       int      `json:"of,omitempty"`
	Accounts []string `json:"accounts,omitempty"`
	// After is when something happened in the accounts that an event is about: the audit
	// has to begin after it, and whose audit it is makes no difference. See turns.
	After string `json:"after,omitempty"`
}

// done is what the function answers.
type done struct {
	// Code is the exit code that the command would have had.
	Code        int            `json:"code"`
	Drift       int            `json:"drift"`
	NotAssessed int            `json:"not_assessed"`
	Accounts    int            `json:"accounts"`
	Interrupted bool           `json:"interrupted,omitempty"`
	Changes     *reports.Tally `json:"changes,omitempty"` // since the run before
	// Of is the number of parts, and Shards are theirs: for a job that asks for them.
	Of     int   `json:"of,omitempty"`
	Shards []int `json:"shards,omitempty"`
	// Audits is how many were made, for a job that an event began, and Skipped says why
	// there was none.
	Audits  int    `json:"audits,omitempty"`
	Skipped string `json:"skipped,omitempty"`
}

// BadEvent is an event that the function cannot make anything of. Trying it again does
// not help; state machines know it by this name.
type BadEvent struct{ text string }

func (e *BadEvent) Error() string { return e.text }

// BadConfiguration is the function's own settings, or the configuration file. Trying
// again does not help until somebody changes it.
type BadConfiguration struct{ text string }

func (e *BadConfiguration) Error() string { return e.text }

// AuditFailed is an audit that could not be made or kept; trying again may help.
type AuditFailed struct{ text string }

func (e *AuditFailed) Error() string { return e.text }

func badEvent(format string, args ...any) error {
	return &BadEvent{fmt.Sprintf(format, args...)}
}

var (
	runPattern     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`) // as Step Functions names executions
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
)

// maxJobAccounts bounds the accounts that a job names.
const maxJobAccounts = 100

// readJob reads the function's event: a job, what EventBridge Scheduler sends when it
// was given nothing to send, or an event about an account.
func readJob(event []byte) (job, error) {
	var kind struct {
		Orgguard *string `json:"orgguard"`
		Source   string  `json:"source"`
	}
	if err := json.Unmarshal(event, &kind); err != nil {
		return job{}, badEvent("the event is no JSON object: %v", err)
	}
	switch {
	case kind.Orgguard != nil:
	case kind.Source == "aws.scheduler":
		return job{Orgguard: jobAudit}, nil
	case kind.Source != "":
		return jobOfEvent(event)
	default:
		return job{}, badEvent(`the event does not say what to do: want {"orgguard": "audit"}, or an event of EventBridge`)
	}
	var j job
	dec := json.NewDecoder(bytes.NewReader(event))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil {
		return job{}, badEvent("the event is no job: %v", err)
	}
	return j, j.check()
}

// check refuses what does not fit together.
func (j job) check() error {
	parts := j.Orgguard == jobShard || j.Orgguard == jobMerge
	_, timeErr := time.Parse(time.RFC3339, j.At)
	_, afterErr := time.Parse(time.RFC3339, j.After)
	switch {
	case j.Orgguard != jobAudit && j.Orgguard != jobShards && !parts:
		return badEvent("orgguard %q: want %s, %s, %s or %s", j.Orgguard, jobAudit, jobShards, jobShard, jobMerge)
	case parts && !runPattern.MatchString(j.Run):
		return badEvent("run %q: want the name of an execution, of letters, digits, hyphens and underscores", j.Run)
	case parts && timeErr != nil:
		return badEvent("at %q: want a time such as 2027-03-31T06:00:00Z", j.At)
	case j.Orgguard == jobShard && (j.Of < 1 || j.Of > maxShards || j.Shard < 1 || j.Shard > j.Of):
		return badEvent("shard %d of %d: want a part from 1 to the number of parts, and at most %d parts", j.Shard, j.Of, maxShards)
	case len(j.Accounts) > 0 && j.Orgguard != jobAudit:
		return badEvent("accounts go with %s, not with %s", jobAudit, j.Orgguard)
	case j.After != "" && (afterErr != nil || len(j.Accounts) == 0):
		return badEvent("after %q: want a time such as 2027-03-31T06:00:00Z, and accounts", j.After)
	case len(j.Accounts) > maxJobAccounts:
		return badEvent("%d accounts: want %d at most", len(j.Accounts), maxJobAccounts)
	}
	for _, a := range j.Accounts {
		if !accountPattern.MatchString(a) {
			return badEvent("account %q: want twelve digits", a)
		}
	}
	return nil
}

// jobOfEvent is the audit of the account that an event of EventBridge is about: the one
// that joined or moved, by CloudTrail's record of the call to Organizations, and for all
// other events the one that they come from.
// https://docs.aws.amazon.com/organizations/latest/userguide/orgs_cloudtrail-integration.html
func jobOfEvent(event []byte) (job, error) {
	var e struct {
		Source  string `json:"source"`
		Account string `json:"account"`
		Time    string `json:"time"`
		Detail  struct {
			RequestParameters struct {
				AccountID string `json:"accountId"`
			} `json:"requestParameters"`
			ServiceEventDetails json.RawMessage `json:"serviceEventDetails"`
			UserIdentity        struct {
				AccountID string `json:"accountId"`
			} `json:"userIdentity"`
			EventName string `json:"eventName"`
		} `json:"detail"`
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return job{}, badEvent("the event is none of EventBridge: %v", err)
	}
	account := e.Account
	if e.Source == "aws.organizations" {
		switch d := e.Detail; d.EventName {
		case "CreateAccountResult":
			var of struct {
				CreateAccountStatus struct {
					State     string `json:"state"`
					AccountID string `json:"accountId"`
				} `json:"createAccountStatus"`
			}
			if err := json.Unmarshal(d.ServiceEventDetails, &of); err != nil || of.CreateAccountStatus.State != "SUCCEEDED" {
				return job{}, badEvent("no account was created: %s", of.CreateAccountStatus.State)
			}
			account = of.CreateAccountStatus.AccountID
		case "AccountJoinedOrganization":
			account = otherAccount(d.ServiceEventDetails, e.Account)
		case "AcceptHandshake": // by the account that was invited
			account = d.UserIdentity.AccountID
		default:
			account = d.RequestParameters.AccountID
		}
	}
	if !accountPattern.MatchString(account) {
		return job{}, badEvent("the event of %s is about no account", e.Source)
	}
	return job{Orgguard: jobAudit, Accounts: []string{account}, After: afterOf(e.Time)}, nil
}

// otherAccount is the one account beside the management account that the details of an
// event name. AWS says that they tell how and when an account joined, and publishes no
// example that says where the account stands.
// https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateAccount.html
func otherAccount(details []byte, management string) string {
	var found []string
	dec := json.NewDecoder(bytes.NewReader(details))
	for {
		t, err := dec.Token()
		if err != nil {
			break
		}
		if text, ok := t.(string); ok && accountPattern.MatchString(text) && text != management && !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// function is orgguard as a function of AWS Lambda.
type function struct {
	globals globals
	streams streams
	state   string // s3://bucket/prefix of histories and parts
	keep    history.Keep
	// margin is how long before its time is up an audit stops, so that what it knows
	// is kept.
	margin time.Duration
	// settle is how long after an event its audit begins at the earliest.
	settle time.Duration
	// log is the function's log, where CloudWatch finds its metric.
	log io.Writer
	// name is the function's, in that metric.
	name string
}

// stateVariable names the place for the history and for the parts of audits.
const stateVariable = "ORGGUARD_STATE"

// newFunction reads the function's settings from its environment.
func newFunction(g globals, getenv func(string) string, st streams) (*function, error) {
	f := &function{globals: g, streams: st, state: strings.TrimSuffix(getenv(stateVariable), "/"), margin: 20 * time.Second, settle: settleTime, log: st.out, name: getenv("AWS_LAMBDA_FUNCTION_NAME")}
	place, err := bucket.ParseURL(f.state)
	if err != nil {
		return nil, &BadConfiguration{fmt.Sprintf("%s: %v", stateVariable, err)}
	}
	if f.state = place.String(); place.Prefix == "" {
		return nil, &BadConfiguration{fmt.Sprintf("%s %s: want a prefix in the bucket", stateVariable, f.state)}
	}
	if f.keep, err = history.ParseKeep(getenv("ORGGUARD_KEEP")); err != nil {
		return nil, &BadConfiguration{fmt.Sprintf("ORGGUARD_KEEP: %v", err)}
	}
	return f, nil
}

// globalsOfEnvironment are the global flags as the environment of the process sets them.
func globalsOfEnvironment(ctx context.Context) (g globals, err error) {
	app := &cli.App{Flags: globalFlags(), Writer: io.Discard, ErrWriter: io.Discard, ExitErrHandler: func(*cli.Context, error) {}, Action: func(c *cli.Context) (err error) {
		g, err = readGlobals(c)
		return err
	}}
	if err := app.RunContext(ctx, []string{"orgguard"}); err != nil {
		return g, &BadConfiguration{err.Error()}
	}
	return g, nil
}

// serveLambda answers the runtime API's events until the environment is shut down. A
// function that is set up badly says so to whoever invokes it.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func serveLambda(ctx context.Context) {
	var f *function
	g, err := globalsOfEnvironment(ctx)
	if err == nil {
		f, err = newFunction(g, os.Getenv, streams{in: strings.NewReader(""), out: os.Stdout, err: os.Stderr})
	}
	lambda.StartWithOptions(func(ctx context.Context, event json.RawMessage) (done, error) {
		if err != nil {
			return done{}, err
		}
		return f.handle(ctx, event)
	}, lambda.WithContext(ctx))
}

// handle does one job. Drift and accounts that were not assessed are results, not
// errors.
func (f *function) handle(ctx context.Context, event []byte) (done, error) {
	j, err := readJob(event)
	if err != nil {
		return done{}, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-f.margin))
		defer cancel()
	}
	o := auditOptions{history: f.state + "/history", keep: f.keep, failOn: "any", notify: tellConfigured}
	o.at, _ = time.Parse(time.RFC3339, j.At) // checked
	switch j.Orgguard {
	case jobShards:
		return f.shards(ctx)
	case jobMerge:
		return f.merge(ctx, j, o)
	case jobShard:
		o.shard, o.history, o.keep = shard{j.Shard, j.Of}, "", history.Keep{}
		o.outputs = []string{fmt.Sprintf("%s/%05d.json", f.parts(j.Run), j.Shard)}
	}
	audit := func(ctx context.Context, accounts []string) (done, error) {
		o.filter.Accounts = accounts
		a, err := auditOnce(ctx, f.globals, f.quiet(), o)
		if len(accounts) == 0 && j.Orgguard == jobAudit {
			f.beat(err)
		}
		return answer(a, err)
	}
	if j.After != "" {
		o.idle = f.idle
		return f.inTurn(ctx, j, audit)
	}
	return audit(ctx, j.Accounts)
}

// quiet are the function's streams for an audit: its log is for what goes wrong.
func (f *function) quiet() streams {
	st := f.streams
	st.out = io.Discard
	return st
}

// idle says in the function's log why an event begins no audit of an account.
func (f *function) idle(a orgs.Selected, why string) {
	if f.log != nil {
		fmt.Fprintln(f.log, "orgguard: no audit of account "+reports.Safe(fmt.Sprintf("%s (%s), in which something happened: %s", a.ID, a.Name, why)))
	}
}

// beat counts an audit of everything that came to its end, whatever it found: the alarm
// on the job's silence watches that. CloudWatch makes a metric of such a line of a log.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func (f *function) beat(err error) {
	if _, err := codeOf(err); err != nil {
		return
	}
	line, err := json.Marshal(map[string]any{
		"_aws": map[string]any{
			"Timestamp": time.Now().UnixMilli(),
			"CloudWatchMetrics": []any{map[string]any{
				"Namespace": "orgguard", "Dimensions": [][]string{{"Job"}}, "Metrics": []any{map[string]any{"Name": "WholeAudits", "Unit": "Count"}},
			}},
		},
		"Job": f.name, "WholeAudits": 1,
	})
	if err == nil && f.log != nil {
		fmt.Fprintln(f.log, string(line))
	}
}

// parts is where the parts of an audit are.
func (f *function) parts(run string) string { return f.state + "/parts/" + run }

func (f *function) merge(ctx context.Context, j job, o auditOptions) (done, error) {
	s := &session{globals: f.globals, streams: f.quiet(), now: time.Now}
	a, err := s.merge(ctx, []string{f.parts(j.Run)}, true, o)
	err = errors.Join(err, s.close())
	f.beat(err)
	return answer(&a, err)
}

// shardAccounts is how many accounts a part has at most: an audit of so many is over
// long before a function's quarter of an hour is.
const shardAccounts = 100

// shards counts the accounts.
func (f *function) shards(ctx context.Context) (done, error) {
	var out done
	err := withSession(ctx, f.globals, f.quiet(), reads, func(_ context.Context, s *session) error {
		out.Accounts = len(s.base.Accounts)
		return nil
	})
	if err != nil {
		return done{}, failed(err)
	}
	out.Of = min(max(1, (out.Accounts+shardAccounts-1)/shardAccounts), maxShards)
	for i := range out.Of {
		out.Shards = append(out.Shards, i+1)
	}
	return out, nil
}

// answer is what the function says of an audit.
func answer(a *reports.Audit, err error) (done, error) {
	code, err := codeOf(err)
	if err != nil {
		return done{}, failed(err)
	}
	if a == nil {
		return done{Skipped: "nothing of the baseline holds in the accounts: the log says why"}, nil
	}
	d := done{Code: code, Drift: a.Summary.Drift, NotAssessed: a.Summary.NotAssessed, Accounts: a.Organization.Accounts, Interrupted: a.Interrupted}
	if a.Since != nil {
		d.Changes = &a.Since.Changes
	}
	return d, nil
}

// failed is an error by whether trying again may help.
func failed(err error) error {
	text := safeLines(err.Error())
	if hint := hintOf(err); hint != "" {
		text += " (next: " + reports.Safe(hint) + ")"
	}
	var input *exitError
	var unknown *orgs.UnknownError
	if errors.As(err, &input) && input.code == exitUsage || errors.As(err, &unknown) {
		return &BadConfiguration{text}
	}
	return &AuditFailed{text}
}
