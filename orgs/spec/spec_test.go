package spec

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/orgguard/orgguard/orgs"
)

// recorder stands for the settings of a control.
type recorder struct {
	Recording string        `yaml:"recording"`
	Region    string        `yaml:"global_types_region"`
	Days      int           `yaml:"days"`
	Small     uint8         `yaml:"small"`
	Wait      time.Duration `yaml:"wait"`
	Skip      *bool         `yaml:"skip"`
	Tags      map[string]string
	Labels    map[string]int `yaml:"labels"`
	Rules     []rule         `yaml:"rules"`
	Since     Date           `yaml:"since"`
}

type rule struct {
	Name string `yaml:"name"`
}

func (r *recorder) Validate(report func(key, message string)) {
	if modes := []string{"continuous", "daily"}; r.Recording != modes[0] && r.Recording != modes[1] {
		report("recording", NotOneOf("recording", r.Recording, modes))
	}
	for i, rule := range r.Rules {
		if rule.Name == "" {
			report("rules["+string(rune('0'+i))+"].name", "name is empty")
		}
	}
}

// picky has a setting without a default.
type picky struct {
	Topic string `yaml:"topic"`
}

func (p *picky) Validate(report func(key, message string)) {
	if p.Topic == "" {
		report("topic", "topic is missing")
	}
}

var known = Known{
	Controls: []string{"alert-topic", "config-change-alert", "config-delivery", "config-recorder", "root-signin-alert", "chat-alert"},
	Settings: func(id string) any {
		switch id {
		case "config-recorder":
			return &recorder{Recording: "continuous", Days: 30}
		case "chat-alert":
			return &picky{}
		}
		return nil
	},
	Once: func(id string, mode AlertMode) (bool, []string) {
		return id == "alert-topic" && mode == Central, map[string][]string{"config-recorder": {"days"}}[id]
	},
	Template: func(key, text string) error {
		if text == "bad" {
			return errors.New(key + ": it is bad")
		}
		return nil
	},
}

var sameConfig = cmp.Options{cmpopts.IgnoreUnexported(Control{}), cmpopts.EquateEmpty()}

func TestEverythingInTheFileIsRead(t *testing.T) {
	got, err := Parse("orgguard.yaml", Example(), known)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Version: 1,
		Organization: Organization{
			AccessRole: "OrganizationAccountAccessRole",
			Exclude: []Exclusion{
				{Account: "111111111111", Reason: "closed next month"},
				{OU: "Root/Suspended", Reason: "quarantine: nothing runs here"},
			},
		},
		Regions:         Regions{List: []string{"ap-northeast-1", "us-east-1"}},
		HomeRegion:      "ap-northeast-1",
		SecurityAccount: "222222222222",
		Alerts: Alerts{
			Mode:  Central,
			Email: []string{"security@example.com"},
			Slack: Slack{WorkspaceID: "T0123ABCD", ChannelID: "C0456EFGH"},
			Teams: Teams{TenantID: "", TeamID: "", ChannelID: ""},
		},
		Baseline: map[string]Control{
			"config-recorder": {Enabled: true}, "config-delivery": {Enabled: true}, "config-change-alert": {Enabled: true},
			"alert-topic": {Enabled: true}, "root-signin-alert": {Enabled: true},
		},
		Overrides: []Override{
			{
				OU: "Sandbox", Reason: "people try things out here, and are told by the sandbox's own guard",
				Baseline: map[string]Control{"config-recorder": {Enabled: true}, "root-signin-alert": {}},
			},
			{
				Account: "333333333333", Reason: "auditors want every change here",
				Baseline: map[string]Control{"config-recorder": {Enabled: true}},
			},
		},
		SCP: SCP{ProtectConfig: ProtectConfig{
			Enabled: true, Attach: []string{"root"}, Strict: true,
			ExemptRoles: []string{"platform/ConfigPipeline-*"}, BreakGlassRoles: []string{"BreakGlassAdmin"},
			ExtraActions: []string{"config:DeleteConfigRule"},
		}},
		Rollout: Rollout{Waves: [][]string{{"Sandbox"}, {"Workloads/Dev"}, {"root"}}, FailureTolerance: "5%", MaxConcurrent: "100%"},
		Journal: Journal{Bucket: "example-orgguard-journal", Prefix: "orgguard/journal/"}, Schedule: Schedule{Every: "6h", Engine: "auto"},
		Notices: Notices{
			Language: "en", MailTopic: "arn:aws:sns:ap-northeast-1:222222222222:orgguard-alerts", ChatTopic: "arn:aws:sns:ap-northeast-1:222222222222:orgguard-alerts-chat",
			Webhooks: []Webhook{
				{Name: "pager", URL: "https://hooks.example.com/orgguard", SecretFrom: "ssm:/orgguard/pager"},
				{Name: "chat-bot", URLFrom: "secretsmanager:orgguard/chat-bot"},
			},
			SecurityHub: true, EventBus: "default", ReportURL: "https://audits.example.com/{run}", PerHour: 6,
			Templates: NoticeTemplates{Subject: "[orgguard] {{.Counts.New}} new, {{.Counts.Resolved}} resolved"},
		},
		Audit: Audit{Grace: 4 * time.Hour, Aggregator: Aggregator{Account: "222222222222", Region: "ap-northeast-1", Name: "organization"}, Exemptions: []Exemption{{
			Account: "333333333333", Region: "*", Control: "config-recorder", Owner: "network-team",
			Reason: "vendor appliance brings its own recorder until the migration",
			Until:  Date{time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC)},
		}}},
		File: "orgguard.yaml",
	}
	if diff := cmp.Diff(want, got, sameConfig); diff != "" {
		t.Errorf("the example reads differently (-want +got):\n%s", diff)
	}
}

func TestWhatTheFileDoesNotSayIsTheDefault(t *testing.T) {
	got, err := Parse("", []byte("version: 1\nscp: {protect-config: {strict: false}}\n"), Known{})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.SCP.ProtectConfig.Strict = false
	if diff := cmp.Diff(want, got, sameConfig); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	Default().SCP.ProtectConfig.Attach[0] = "changed"
	if Default().SCP.ProtectConfig.Attach[0] != "root" {
		t.Error("two defaults share memory")
	}
	item, err := Parse("", []byte("version: 1\naudit: {exemptions: [{account: '*', control: '*', reason: x, until: 2027-01-01}]}\n"), Known{})
	if err != nil {
		t.Fatal(err)
	}
	if region := item.Audit.Exemptions[0].Region; region != "*" {
		t.Errorf("an exemption without a Region holds in %q, want *", region)
	}
}

func TestBareNumbersAreNumbersOfAccounts(t *testing.T) {
	got, err := Parse("", []byte("version: 1\nrollout: {failure_tolerance: 0, max_concurrent: 25}\n"), Known{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Rollout.FailureTolerance != "0" || got.Rollout.MaxConcurrent != "25" {
		t.Errorf("got %+v", got.Rollout)
	}
}

func TestControlsDecodeTheirOwnBlocks(t *testing.T) {
	const text = `version: 1
baseline:
  config-recorder:
    enabled: false
    recording: daily
    small: 255
    wait: 90m
    skip: true
    labels: {a: 1}
    rules: [{name: x}]
    since: 2026-01-02
  config-delivery: false
  alert-topic: {}
`
	c, err := Parse("f.yaml", []byte(text), known)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{"config-recorder": false, "config-delivery": false, "alert-topic": true} {
		if got := c.Baseline[id].Enabled; got != want {
			t.Errorf("%s: enabled %v, want %v", id, got, want)
		}
	}
	got := recorder{Recording: "continuous", Days: 30, Labels: map[string]int{"b": 2}, Rules: []rule{{"old"}}}
	if problems := c.Baseline["config-recorder"].Decode(&got); problems != nil {
		t.Fatal(problems)
	}
	yes := true
	want := recorder{
		Recording: "daily", Days: 30, Small: 255, Wait: 90 * time.Minute, Skip: &yes, Labels: map[string]int{"a": 1, "b": 2},
		Rules: []rule{{"x"}}, Since: Date{time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	var other struct {
		Recording bool `yaml:"recording"`
	}
	problems := c.Baseline["config-recorder"].Decode(&other)
	if len(problems) < 2 || problems[0].String() != `f.yaml:5:16: recording: want true or false, found the string "daily"` {
		t.Errorf("a block that does not fit decodes with %v", problems)
	}
	if problems := (Control{Enabled: true}).Decode(&got); problems.Err() != nil {
		t.Errorf("a control that no file mentions: %v", problems)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "orgguard.yaml")
	_, err := Load(path, known)
	var hinted *orgs.Hinted
	if !errors.Is(err, os.ErrNotExist) || !errors.As(err, &hinted) {
		t.Fatalf("a missing file is %v", err)
	}
	if !strings.Contains(hinted.Hint(), "--config") {
		t.Errorf("the hint %q does not name --config", hinted.Hint())
	}
	if _, err := Load(dir, known); err == nil || errors.As(err, &hinted) {
		t.Errorf("a folder instead of a file is %v", err)
	}
	if err := os.WriteFile(path, []byte("version: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Load(path, known)
	var problems Problems
	if want := path + ":1:10: unknown version 2; this orgguard reads version 1"; !errors.As(err, &problems) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := os.WriteFile(path, Example(), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, known)
	if err != nil || c.File != path {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestDateLastsUntilMidnightUTC(t *testing.T) {
	day := Date{time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC)}
	tokyo := time.FixedZone("JST", 9*60*60)
	for _, tt := range []struct {
		now  time.Time
		over bool
	}{
		{time.Date(2027, 3, 31, 23, 59, 59, 0, time.UTC), false},
		{time.Date(2027, 4, 1, 8, 59, 59, 0, tokyo), false},
		{time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC), true},
	} {
		if got := day.Over(tt.now); got != tt.over {
			t.Errorf("%s is over at %s: %v", day, tt.now, got)
		}
	}
	if day.String() != "2027-03-31" {
		t.Errorf("got %s", day)
	}
}

func TestProblemsStayFew(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: 1\n")
	for i := range 3 * maxProblems {
		b.WriteString("key" + strings.Repeat("x", i%40) + time.Duration(i).String() + ": 1\n")
	}
	_, err := Parse("f", []byte(b.String()), known)
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != maxProblems+1 || problems[0].Message != "more than 1000 problems; the rest is left out" {
		t.Errorf("got %d problems, the first %v", len(problems), problems[0])
	}
}

func TestExampleNamesEveryKey(t *testing.T) {
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Slice:
			walk(typ.Elem())
		case reflect.Struct:
			for _, f := range fields(typ) {
				if !strings.Contains(string(Example()), f.key+":") {
					t.Errorf("the example does not show %s", f.key)
				}
				walk(typ.Field(f.index).Type)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	if !json.Valid(Schema()) {
		t.Error("the schema is no JSON")
	}
}
