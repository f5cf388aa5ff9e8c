package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs"
)

// Job is an audit that is to run by itself.
type Job struct {
	// Name is the job's, and begins the names of its resources.
	Name string
	// Every is the time between two runs, Minute the minute of the hour at
	// which they begin; see Spread.
	Every  Interval
	Minute int
	// Config is the configuration file where the job runs, as an absolute path
	// or, for CI systems, as a path in the repository.
	Config string
	// Partition and Region of the caller, e.g. "aws", "ap-northeast-1".
	Partition, Region string
	// AuditRole is the role assumed in the accounts, by name with its path.
	AuditRole string
	// Actions are the IAM actions that an audit needs where it is called from.
	Actions []string
	// Notify says that the job tells people what changed, and NotifyRights what it needs
	// for that.
	Notify       bool
	NotifyRights []Right
	// Emails are told when the job does not run any more, where AWS runs it.
	Emails []string
	// Host is the GitLab that runs the pipeline, e.g. "gitlab.com".
	Host string
	// Shards is how many parts an array job has, 2 to 10,000.
	// https://docs.aws.amazon.com/batch/latest/userguide/array_jobs.html
	Shards int
	// Image is a container image with orgguard in it, for clusters.
	Image string
	// Version of orgguard that wrote the files.
	Version string
}

// Right is a statement of an IAM policy that allows something.
type Right struct {
	Sid       string
	Actions   []string
	Resources []string
	// ViaService is the pattern of the service in whose name keys may be used; "" for
	// what is about no key.
	ViaService string
}

var (
	namePattern   = orgs.NewPattern(`^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`)
	regionPattern = orgs.NewPattern(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)
	rolePattern   = orgs.NewPattern(`^([A-Za-z0-9+=,.@_-]+/)*[A-Za-z0-9+=,.@_-]{1,64}$`)
	// imagePattern is a reference to an image as registries take it: host, path,
	// and a tag, a digest or both.
	imagePattern = orgs.NewPattern(`^[a-z0-9][a-zA-Z0-9._:/-]*(@sha256:[0-9a-f]{64})?$`)
	hostPattern  = orgs.NewPattern(`^[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$`)
	pathPattern  = orgs.NewPattern(`^[A-Za-z0-9._/@+-]+$`)
)

// Validate reports everything in the job that an engine could not say.
func (j Job) Validate() error {
	var problems []error
	bad := func(what, value, want string) {
		problems = append(problems, fmt.Errorf("%s %q: want %s", what, value, want))
	}
	if !namePattern.MatchString(j.Name) {
		bad("name", j.Name, "up to 40 lower-case letters, digits and hyphens, a letter first")
	}
	if j.Minute < 0 || j.Minute > 59 {
		bad("minute", fmt.Sprint(j.Minute), "0 to 59")
	}
	if j.Shards != 0 && (j.Shards < 2 || j.Shards > 10_000) {
		bad("shards", fmt.Sprint(j.Shards), "2 to 10000")
	}
	if !pathPattern.MatchString(j.Config) || path.Clean(j.Config) != j.Config {
		bad("configuration file", j.Config, "a plain path of letters, digits and ._/@+-")
	}
	if !regionPattern.MatchString(j.Region) {
		bad("region", j.Region, "a Region such as eu-west-1")
	}
	if !rolePattern.MatchString(j.AuditRole) {
		bad("role", j.AuditRole, "a role's name, with its path if it has one")
	}
	if !hostPattern.MatchString(j.Host) {
		bad("host", j.Host, "a host name such as gitlab.com")
	}
	if j.Image != "" && (!imagePattern.MatchString(j.Image) || len(j.Image) > 255) {
		bad("image", j.Image, "an image such as registry.example.com/orgguard:1.2.3")
	}
	return errors.Join(problems...)
}

// Cron is the job's schedule as a line of cron has it.
func (j Job) Cron() string { return j.Every.Cron(j.Minute) }

// SchedulerCron is the job's schedule as EventBridge Scheduler has it: with a year, a
// question mark for the day that does not matter, and days of the week from 1, Sunday.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
func (j Job) SchedulerCron() string {
	f := strings.Fields(j.Cron())
	if f[4] == "1" { // Mondays
		return fmt.Sprintf("cron(%s %s ? * 2 *)", f[0], f[1])
	}
	return fmt.Sprintf("cron(%s %s * * ? *)", f[0], f[1])
}

// Beat is how an alarm of CloudWatch looks back: so many periods of so many seconds.
type Beat struct{ Period, Periods int }

// Heartbeat looks back two intervals, and a week at most: CloudWatch does not look
// further, and beyond a day in hours at least.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
func (j Job) Heartbeat() Beat {
	back, period := min(2*j.Every.Duration(), 7*24*time.Hour), 5*time.Minute
	if back > 2*time.Hour {
		period = time.Hour
	}
	return Beat{int(period / time.Second), int(back / period)}
}

// Role is the ARN of the audit role in every account.
func (j Job) Role() string {
	return "arn:" + j.Partition + ":iam::*:role/" + strings.TrimPrefix(j.AuditRole, "/")
}

// quote is a string for YAML, shell-free: JSON's quoting is YAML's too.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // strings always marshal
	}
	return string(b)
}

// GlobalRegion is where AWS Organizations records its calls.
func (j Job) GlobalRegion() string { return orgs.PartitionOf(j.Region).GlobalRegion }
