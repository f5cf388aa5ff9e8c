package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/orgguard/orgguard/orgs/journal"
	"github.com/orgguard/orgguard/orgs/sim"
	"github.com/orgguard/orgguard/reports"
)

// scriptCommands are what scripts can do besides testscript's own commands.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"exits": cmdExits,

	"executable": cmdExecutable,
	"normal":     cmdNormal,
	"harmless":   cmdHarmless,
	"document":   cmdDocument,
	"sandbox":    cmdSandbox,
	"longest":    cmdLongest,
	"lastrun":    cmdLastRun,
	"bucket":     cmdBucket,
}

// cmdExits runs a program and holds it to its exit code: exits 3 orgguard audit.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitCode(ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// exitCode is the exit code behind what os/exec says of a process; -1 when a
// signal ended it or it never began.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

var (
	datePattern = regexp.MustCompile(`20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( UTC|Z|\+00:00)`)
	hashPattern = regexp.MustCompile(`sha256:[0-9a-f]{64}`)
	tookPattern = regexp.MustCompile(`( +| in )\d+(\.\d+)?(ms|s)\b`)
)

// normalText replaces what two runs never share, the clock, and digests, which change
// with every template.
func normalText(s string) string {
	s = hashPattern.ReplaceAllString(s, "<digest>")
	return tookPattern.ReplaceAllString(datePattern.ReplaceAllString(s, "<time>"), " <took>")
}

// cmdNormal writes a file or a stream without its times to another file:
// normal stdout got.txt.
func cmdNormal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: normal file to")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(normalText(ts.ReadFile(args[0]))), 0o600))
}

// cmdHarmless refuses texts with characters that act on a terminal or deceive the
// eye: controls but line breaks, C1, bidirectional overrides and everything else
// that is there and cannot be seen. With -markdown, the one that orgguard itself
// puts into Markdown, against mentions and bare links, is let through.
func cmdHarmless(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: harmless [-markdown] file...")
	}
	own := "\r\n" // CSV ends its lines so
	if args[0] == "-markdown" {
		own, args = "\u200b", args[1:]
	}
	for _, name := range args {
		text := strings.ReplaceAll(ts.ReadFile(name), own, strings.Trim(own, "\r\u200b"))
		if problem := harm(text); problem != "" {
			ts.Fatalf("%s: %s", name, problem)
		}
	}
}

func harm(s string) string {
	if !utf8.ValidString(s) {
		return "is not UTF-8"
	}
	for i, r := range s {
		if r != '\n' && (unicode.Is(unicode.C, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)) {
			from := strings.LastIndexByte(s[:i], '\n') + 1
			line, _, _ := strings.Cut(s[from:], "\n")
			return fmt.Sprintf("%U in line %q", r, line)
		}
	}
	return ""
}

// cmdDocument checks a JSON document against the published schema that it names
// in its member "schema", and its members against their order in the promise:
// document audit.json orgguard.dev/audit/v1.
func cmdDocument(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: document file schema")
	}
	ts.Check(checkDocument([]byte(ts.ReadFile(args[0])), args[1]))
}

func checkDocument(doc []byte, name string) error {
	src, err := reports.JSONSchema(name)
	if err != nil {
		return err
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(src))
	if err != nil {
		return err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", parsed); err != nil {
		return err
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return err
	}
	if err := schema.Validate(value); err != nil {
		return err
	}
	if m, ok := value.(map[string]any); !ok || m["schema"] != name {
		return fmt.Errorf("the document does not say that its schema is %s", name)
	}
	return nil
}

// cmdSandbox changes a sandbox file, or looks into it:
//
//	sandbox faults FILE JSON    what fails from now on
//	sandbox same FILE FILE      two sandboxes hold the same organization
func cmdSandbox(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: sandbox faults file json | sandbox same file file")
	}
	switch args[0] {
	case "faults":
		ts.Check(setFaults(ts.MkAbs(args[1]), args[2]))
	case "same":
		a, b := worldOf(ts, args[1]), worldOf(ts, args[2])
		if diff := cmp.Diff(a, b); diff != "" {
			ts.Fatalf("the organizations differ (-%s +%s):\n%s", args[1], args[2], diff)
		}
	default:
		ts.Fatalf("unknown: sandbox %s", args[0])
	}
}

// setFaults puts faults into a sandbox file.
func setFaults(file, faults string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var state map[string]json.RawMessage
	if err := json.Unmarshal(raw, &state); err != nil {
		return err
	}
	if !json.Valid([]byte(faults)) {
		return fmt.Errorf("not JSON: %s", faults)
	}
	state["faults"] = json.RawMessage(faults)
	if raw, err = json.Marshal(state); err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o600)
}

// worldOf is the organization in a sandbox file: everything but the faults, which
// are not part of it.
func worldOf(ts *testscript.TestScript, file string) map[string]any {
	var state map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &state))
	delete(state, "faults")
	state = prune(state).(map[string]any)
	if len(state) < 5 {
		ts.Fatalf("%s holds no organization, only %v", file, slices.Sorted(maps.Keys(state)))
	}
	return state
}

// prune takes away what looking alone leaves behind: an account × Region that was
// looked at has an empty entry and its default bus.
func prune(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	for k, x := range m {
		switch x := prune(x).(type) {
		case nil:
			delete(m, k)
		case map[string]any:
			if len(x) == 0 || len(x) == 1 && x["name"] == "default" {
				delete(m, k)
			}
		}
	}
	return m
}

// cmdLongest refuses lines that are longer: longest 100 stdout.
func cmdLongest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: longest columns file")
	}
	limit, err := strconv.Atoi(args[0])
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > limit {
			ts.Fatalf("%s: a line of %d characters: %s", args[1], n, line)
		}
	}
}

// cmdLastRun puts the id of the newest run of which a folder has a journal into
// $RUN: lastrun .orgguard/journal.
func cmdLastRun(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lastrun folder")
	}
	runs, err := journal.List(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(runs) == 0 || runs[0].Problem != "" {
		ts.Fatalf("journals in %s: %+v", args[0], runs)
	}
	ts.Setenv("RUN", runs[0].Run)
}

// cmdBucket makes a bucket with Object Lock in an account of the simulated
// organization, or lets nobody write to it: bucket make|close name account region.
func cmdBucket(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: bucket make|close name account region")
	}
	w, err := sim.Open(ts.MkAbs(".orgguard/sandbox.json"))
	ts.Check(err)
	c := s3.NewFromConfig(w.Config(args[3], w.RolePrincipal(args[2], "OrganizationAccountAccessRole", "somebody")))
	if args[0] == "make" {
		_, err = c.CreateBucket(context.Background(), &s3.CreateBucketInput{
			Bucket: aws.String(args[1]), ObjectLockEnabledForBucket: aws.Bool(true),
			CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(args[3])},
		})
	} else {
		_, err = c.PutBucketPolicy(context.Background(), &s3.PutBucketPolicyInput{Bucket: aws.String(args[1]), Policy: aws.String(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::` + args[1] + `/*"}]}`)})
	}
	ts.Check(err)
	ts.Check(w.Close())
}

// cmdExecutable writes an executable for a function: executable FILE TEXT.
func cmdExecutable(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: executable FILE TEXT")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), executable(args[1]), 0o755)) //nolint:gosec // an executable
}
