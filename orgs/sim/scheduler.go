package sim

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/orgguard/orgguard/orgs"
)

// schedulerState is EventBridge Scheduler in one account × Region. Time passes in the
// world between commands only, and no schedule begins anything by itself.
type schedulerState struct {
	Schedules map[string]*clockSchedule `json:"schedules,omitempty"` // by name, all in the default group
}

type clockSchedule struct {
	Settings scheduler.GetScheduleOutput `json:"settings"`
}

const schedulerService = "scheduler.amazonaws.com"

var (
	scheduleName = orgs.NewPattern(`^[0-9a-zA-Z-_.]{1,64}$`)
	// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
	scheduleExpression = orgs.NewPattern(`^(rate\([1-9][0-9]* (minutes?|hours?|days?)\)|at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)|cron\(\S+ \S+ \S+ \S+ \S+ \S+\))$`)
)

var schedulerOps = map[string]operation{
	"CreateSchedule": onSchedule(op(write, createSchedule), func(in *scheduler.CreateScheduleInput) *string { return in.Name }),
	"GetSchedule":    onSchedule(op(read, getSchedule), func(in *scheduler.GetScheduleInput) *string { return in.Name }),
	"UpdateSchedule": onSchedule(op(write, updateSchedule), func(in *scheduler.UpdateScheduleInput) *string { return in.Name }),
	"DeleteSchedule": onSchedule(op(write, deleteSchedule), func(in *scheduler.DeleteScheduleInput) *string { return in.Name }),
}

func onSchedule[I any](o operation, name func(*I) *string) operation {
	return on(o, func(c *call, in *I) string { return c.arn("scheduler", "schedule/default/"+aws.ToString(name(in))) })
}

func badSchedule(message string) error { return &types.ValidationException{Message: &message} }

func (c *call) schedule(name *string) (*clockSchedule, error) {
	if s := c.here().Scheduler.Schedules[aws.ToString(name)]; s != nil {
		return s, nil
	}
	return nil, &types.ResourceNotFoundException{Message: aws.String("Schedule " + aws.ToString(name) + " does not exist.")}
}

// putSchedule checks a schedule and puts it in place.
func putSchedule(c *call, s scheduler.GetScheduleOutput, created *time.Time) error {
	t := s.Target
	switch {
	case !scheduleName.MatchString(aws.ToString(s.Name)):
		return badSchedule("The name of the schedule is not valid.")
	case aws.ToString(s.GroupName) != "" && *s.GroupName != "default":
		return &types.ResourceNotFoundException{Message: aws.String("Schedule group " + *s.GroupName + " does not exist.")}
	case !scheduleExpression.MatchString(aws.ToString(s.ScheduleExpression)):
		return badSchedule("Invalid Schedule Expression " + aws.ToString(s.ScheduleExpression) + ".")
	case s.FlexibleTimeWindow == nil || s.FlexibleTimeWindow.Mode == types.FlexibleTimeWindowModeFlexible && s.FlexibleTimeWindow.MaximumWindowInMinutes == nil:
		return badSchedule("FlexibleTimeWindow must have a mode, and a window unless it is OFF.")
	case t == nil || !strings.HasPrefix(aws.ToString(t.Arn), "arn:"):
		return badSchedule("Provided Arn is not in correct format.")
	}
	if err := c.passRole(aws.ToString(t.RoleArn)); err != nil {
		return err
	}
	arn := c.arn("scheduler", "schedule/default/"+*s.Name)
	if why := c.w.assumable(aws.ToString(t.RoleArn), schedulerService, c.caller.Account, arn, c.now); why != "" {
		return badSchedule("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.")
	}
	s.Arn, s.GroupName, s.CreationDate, s.LastModificationDate = &arn, aws.String("default"), created, aws.Time(c.now)
	if s.State == "" {
		s.State = types.ScheduleStateEnabled
	}
	if s.ScheduleExpressionTimezone == nil {
		s.ScheduleExpressionTimezone = aws.String("UTC")
	}
	all := &c.here().Scheduler
	if all.Schedules == nil {
		all.Schedules = map[string]*clockSchedule{}
	}
	all.Schedules[*s.Name] = &clockSchedule{detach(s)}
	return nil
}

func createSchedule(c *call, in *scheduler.CreateScheduleInput) (*scheduler.CreateScheduleOutput, error) {
	if c.here().Scheduler.Schedules[aws.ToString(in.Name)] != nil {
		return nil, &types.ConflictException{Message: aws.String("Schedule " + aws.ToString(in.Name) + " already exists.")}
	}
	err := putSchedule(c, scheduler.GetScheduleOutput{
		Name: in.Name, GroupName: in.GroupName, Description: in.Description, ScheduleExpression: in.ScheduleExpression, ScheduleExpressionTimezone: in.ScheduleExpressionTimezone,
		FlexibleTimeWindow: in.FlexibleTimeWindow, State: in.State, Target: in.Target, StartDate: in.StartDate, EndDate: in.EndDate,
	}, aws.Time(c.now))
	if err != nil {
		return nil, err
	}
	return &scheduler.CreateScheduleOutput{ScheduleArn: aws.String(c.arn("scheduler", "schedule/default/"+*in.Name))}, nil
}

func getSchedule(c *call, in *scheduler.GetScheduleInput) (*scheduler.GetScheduleOutput, error) {
	s, err := c.schedule(in.Name)
	if err != nil {
		return nil, err
	}
	settings := detach(s.Settings)
	return &settings, nil
}

// updateSchedule replaces all settings: those that are not given get their defaults.
// https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
func updateSchedule(c *call, in *scheduler.UpdateScheduleInput) (*scheduler.UpdateScheduleOutput, error) {
	s, err := c.schedule(in.Name)
	if err != nil {
		return nil, err
	}
	err = putSchedule(c, scheduler.GetScheduleOutput{
		Name: in.Name, GroupName: in.GroupName, Description: in.Description, ScheduleExpression: in.ScheduleExpression, ScheduleExpressionTimezone: in.ScheduleExpressionTimezone,
		FlexibleTimeWindow: in.FlexibleTimeWindow, State: in.State, Target: in.Target, StartDate: in.StartDate, EndDate: in.EndDate,
	}, s.Settings.CreationDate)
	if err != nil {
		return nil, err
	}
	return &scheduler.UpdateScheduleOutput{ScheduleArn: s.Settings.Arn}, nil
}

func deleteSchedule(c *call, in *scheduler.DeleteScheduleInput) (*scheduler.DeleteScheduleOutput, error) {
	if _, err := c.schedule(in.Name); err != nil {
		return nil, err
	}
	delete(c.here().Scheduler.Schedules, *in.Name)
	return &scheduler.DeleteScheduleOutput{}, nil
}
