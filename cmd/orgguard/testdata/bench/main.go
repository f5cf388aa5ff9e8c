// Command bench measures an audit over HTTP: it starts an endpoint with latency
// (package stub) and orgguard as processes of their own, so that orgguard's time,
// processor and memory are measured alone, and beside them a loop that a person
// would write for the same calls.
//
//	go run ./cmd/orgguard/testdata/bench -orgguard bin/orgguard [-parts cells,main,…|default|all]
//
// It prints a table and writes it with -json to a file. Each part is a process
// with a number of accounts × Regions behind 40 ms of latency; "bound" is calls ×
// latency ÷ concurrency, below which no client can be.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/orgguard/orgguard/orgs"
	"github.com/orgguard/orgguard/orgs/access"
	"github.com/orgguard/orgguard/orgs/sim/stub"
)

const (
	management = "100000000001"
	security   = "200000000001"
	model      = "300000000000"
	latency    = 40 * time.Millisecond
)

// part is one measurement.
type part struct {
	Name              string   `json:"name"`
	What              string   `json:"what"`
	Accounts          int      `json:"accounts"`
	Regions           int      `json:"regions"`
	Concurrency       int      `json:"concurrency"` // 0: orgguard's own choice
	Throttle          float64  `json:"throttle,omitempty"`
	Denied, Suspended int      `json:",omitempty"`
	Args              []string `json:"args,omitempty"` // of orgguard audit
	Loop              []string `json:"loop,omitempty"` // the reads of the loop
	Pool              bool     `json:"pool,omitempty"` // orgguard's own clients instead of an audit
	huge              bool
	exit              int // orgguard's exit code
}

// reads of a cell, and of an account, by which a loop is told what to send.
var (
	recorderReads = []string{"recorder", "recorder-status"}
	allReads      = []string{"recorder", "recorder-status", "channel", "channel-status", "rule", "targets", "signin", "roles"}
)

// mainJob are the controls of the main job, as flags of an audit.
var mainJob = []string{
	"--control", "config-recorder", "--control", "config-delivery", "--control", "alert-topic", "--control", "config-change-alert",
	"--control", "root-signin-alert", "--control", "scp-protect-config",
}

var parts = []part{
	{Name: "cell", What: "one read a cell, orgguard's clients", Accounts: 100, Regions: 4, Concurrency: 64, Loop: []string{"recorder-status"}, Pool: true},
	{Name: "control", What: "audit --control config-recorder", Accounts: 100, Regions: 4, Concurrency: 64, Args: []string{"--control", "config-recorder"}, Loop: append(slices.Clone(recorderReads), "recorder-role")},
	{Name: "main", What: "audit, main job", Accounts: 100, Regions: 4, Args: mainJob, Loop: allReads},
	{Name: "main64", What: "audit, main job, 64 in flight", Accounts: 100, Regions: 4, Concurrency: 64, Args: mainJob, Loop: allReads},
	{Name: "throttled", What: "audit, main job, 20% throttled", Accounts: 100, Regions: 4, Concurrency: 64, Throttle: 0.2, Args: mainJob, Loop: allReads},
	{Name: "refused", What: "audit, 10 accounts denied, 10 suspended", Accounts: 100, Regions: 4, Denied: 10, Suspended: 10, Args: mainJob, exit: 3},
	{Name: "sweep", What: "audit --sweep, main job", Accounts: 100, Regions: 4, Args: append([]string{"--sweep"}, mainJob...)},
	{Name: "sweep64", What: "audit --sweep, main job, 64 in flight", Accounts: 100, Regions: 4, Concurrency: 64, Args: append([]string{"--sweep"}, mainJob...)},
	{Name: "large", What: "audit --direct, main job", Accounts: 1000, Regions: 17, Args: append([]string{"--direct"}, mainJob...)},
	{Name: "largesweep", What: "audit --sweep, main job", Accounts: 1000, Regions: 17, Args: append([]string{"--sweep"}, mainJob...)},
	{Name: "recorders", What: "audit --sweep, recorders and the SCP", Accounts: 10_000, Regions: 34, Args: []string{"--sweep", "--control", "config-recorder", "--control", "scp-protect-config"}},
	{Name: "huge", What: "audit, main job (sweeps by itself)", Accounts: 10_000, Regions: 34, Args: mainJob, huge: true},
}

// result is what a part showed.
type result struct {
	part
	Seconds   float64    `json:"seconds"`
	CPU       float64    `json:"cpu_seconds"`
	OwnMB     float64    `json:"own_mb"`     // most memory that it had of its own: heap and stacks
	ProgramMB float64    `json:"program_mb"` // most pages of the program's file, which the kernel shares and can drop
	PeakMB    float64    `json:"peak_mb"`    // most of both
	LoopTime  float64    `json:"loop_seconds,omitempty"`
	LoopCalls int64      `json:"loop_calls,omitempty"`
	Ratio     float64    `json:"ratio_to_loop,omitempty"`
	Bound     float64    `json:"bound_seconds"`
	Published float64    `json:"published_rates_seconds"` // that the rates of the caller's own APIs take
	Stats     stub.Stats `json:"stats"`
	Summary   string     `json:"summary,omitempty"`
}

func main() {
	if len(os.Args) > 1 {
		if run, ok := map[string]func([]string) error{"stub": runStub, "loop": runLoop, "pool": runPool}[os.Args[1]]; ok {
			exitOn(run(os.Args[2:]))
			return
		}
	}
	exitOn(measure())
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure() error {
	binary := flag.String("orgguard", "bin/orgguard", "the program to measure")
	names := flag.String("parts", "default", "parts by name, or default, or all")
	out := flag.String("json", "", "write the results to this file")
	repeat := flag.Int("repeat", 1, "measure each part so often and keep the fastest, of the loop too")
	flag.Parse()
	b := bench{orgguard: *binary, worlds: map[int]string{}}
	var err error
	if b.orgguard, err = filepath.Abs(b.orgguard); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "orgguard-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // a folder in /tmp
	var results []result
	fmt.Printf("%d processors, latency %s, %s; both processes on one machine\n", runtime.NumCPU(), latency, time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	fmt.Printf("%-11s %-44s %11s %9s %8s %6s %7s %7s %7s %7s %7s %7s %6s\n", "part", "what", "acct×Region", "calls", "MB", "dials", "seconds", "CPU s", "own MB", "peak MB", "bound", "loop", "ratio")
	known := 0
	for _, p := range parts {
		if *names != "all" && (*names != "default" || p.huge) && !slices.Contains(strings.Split(*names, ","), p.Name) {
			continue
		}
		known++
		best, err := b.run(p)
		for n := 1; n < *repeat && err == nil; n++ {
			var again result
			if again, err = b.run(p); err == nil {
				loop := min(best.LoopTime, again.LoopTime)
				if again.Seconds < best.Seconds {
					best = again
				}
				best.LoopTime = loop
				if loop > 0 {
					best.Ratio = best.Seconds / loop
				}
			}
		}
		if err != nil {
			return fmt.Errorf("part %s: %w", p.Name, err)
		}
		best.print()
		results = append(results, best)
	}
	if known == 0 {
		return fmt.Errorf("no part %q", *names)
	}
	if *out == "" {
		return nil
	}
	text, err := json.MarshalIndent(map[string]any{"processors": runtime.NumCPU(), "latency_ms": latency.Milliseconds(), "time": time.Now().UTC(), "parts": results}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*out, append(text, '\n'), 0o600)
}

func (r result) print() {
	loop, ratio := "", ""
	if r.LoopTime > 0 {
		loop, ratio = fmt.Sprintf("%.2f", r.LoopTime), fmt.Sprintf("%.2f", r.Ratio)
	}
	fmt.Printf("%-11s %-44s %6d × %2d %9d %8.1f %6d %7.2f %7.2f %7.0f %7.0f %7.2f %7s %6s\n", r.Name, r.What, r.Accounts, r.Regions, r.Stats.Total,
		float64(r.Stats.Received+r.Stats.Sent)/1e6, r.Stats.Dials, r.Seconds, r.CPU, r.OwnMB, r.PeakMB, max(r.Bound, r.Published), loop, ratio)
	fmt.Printf("            throttled %d, other errors %d; published rates %.1f s; %.0f calls a second; %.0f MB of the program's file; %s\n",
		r.Stats.Throttled, r.Stats.Failed, r.Published, float64(r.Stats.Total)/r.Seconds, r.ProgramMB, r.Summary)
	var calls []string
	for _, k := range slices.SortedFunc(keys(r.Stats.Calls), func(a, b string) int {
		if d := r.Stats.Calls[b] - r.Stats.Calls[a]; d != 0 {
			return int(d)
		}
		return strings.Compare(a, b)
	}) {
		calls = append(calls, fmt.Sprintf("%s %d", k, r.Stats.Calls[k]))
	}
	fmt.Printf("            %s\n", strings.Join(calls, ", "))
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// bench is one run of the measurements.
type bench struct {
	orgguard, dir string
	worlds        map[int]string // by number of Regions: the folder
}

// world makes a small organization and rolls it out; the stub multiplies it.
func (b *bench) world(regions int) (string, error) {
	if dir, ok := b.worlds[regions]; ok {
		return dir, nil
	}
	dir := filepath.Join(b.dir, strconv.Itoa(regions))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	partition := orgs.PartitionOf("aws")
	all := append(slices.Clone(partition.Default), slices.DeleteFunc(slices.Clone(partition.All()), func(r string) bool { return slices.Contains(partition.Default, r) })...)
	slices.SortFunc(all, func(x, y string) int { // us-east-1 belongs to every choice
		return strings.Compare(strings.Replace(x, "us-east-1", "", 1), strings.Replace(y, "us-east-1", "", 1))
	})
	if regions <= len(partition.Default) {
		all = slices.DeleteFunc(all, partition.NeedsOptIn)
	}
	list := strings.Join(all[:regions], ", ")
	spec := fmt.Sprintf(`
description: the model of a large organization
seed: bench
management: {id: %q, name: management, email: m@example.com}
regions: [%s]
trail_logging: true
organization: {policy_types: [SERVICE_CONTROL_POLICY], trusted_access: [config.amazonaws.com]}
ous:
  - {name: Security, accounts: [{id: %q, name: security, email: s@example.com}]}
  - {name: Workloads, accounts: [{id: %q, name: model, email: w@example.com}]}
  - {name: Sandbox, accounts: [{id: "400000000000", name: other, email: o@example.com}]}
delegated_administrators: [{account: security, services: [config.amazonaws.com]}]
aggregators: [{account: security, region: us-east-1, name: organization}]
`, management, list, security, model)
	config := fmt.Sprintf(`
version: 1
regions: [%s]
home_region: us-east-1
security_account: %q
alerts: {mode: central, email: [security@example.com]}
`, list, security)
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "spec.yaml"), []byte(spec), 0o600), os.WriteFile(filepath.Join(dir, "orgguard.yaml"), []byte(config), 0o600)); err != nil {
		return "", err
	}
	inSandbox := []string{"--sandbox", "--sandbox-file", "world.json", "--config", "orgguard.yaml", "--quiet"}
	for _, step := range []struct {
		exit int
		args []string
	}{
		{0, []string{"sandbox", "create", "--spec", "spec.yaml", "--sandbox-file", "world.json"}},
		{1, append(slices.Clone(inSandbox), "rollout", "--yes")}, // the subscription is not confirmed
		{0, []string{"sandbox", "confirm", "--sandbox-file", "world.json"}},
		{0, append(slices.Clone(inSandbox), "audit")},
	} {
		if step.exit == 1 { // create wrote a configuration of its own
			if err := os.WriteFile(filepath.Join(dir, "orgguard.yaml"), []byte(config), 0o600); err != nil {
				return "", err
			}
		}
		if _, err := timed(append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true"), dir, step.exit, b.orgguard, step.args...); err != nil {
			return "", err
		}
	}
	b.worlds[regions] = dir
	return dir, nil
}

// endpoint starts the stub as a process.
func (b *bench) endpoint(p part, dir string) (url string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(self, "stub", "-world", filepath.Join(dir, "world.json"), "-accounts", strconv.Itoa(p.Accounts), //nolint:gosec // this program
		"-denied", strconv.Itoa(p.Denied), "-suspended", strconv.Itoa(p.Suspended), "-latency", latency.String(), "-throttle", fmt.Sprint(p.Throttle))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = in.Close(); _ = cmd.Wait() } // it ends with its input
	line := make([]byte, 64)
	n, err := out.Read(line)
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the stub did not start: %w", err)
	}
	return strings.TrimSpace(string(line[:n])), stop, nil
}

func (b *bench) run(p part) (result, error) {
	dir, err := b.world(p.Regions)
	if err != nil {
		return result{}, err
	}
	r := result{part: p}
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	concurrency := p.Concurrency
	if len(p.Loop) > 0 {
		url, stop, err := b.endpoint(p, dir)
		if err != nil {
			return r, err
		}
		n := concurrency
		if n == 0 {
			n = 64
		}
		m, err := timed(environment(url), dir, 0, self, "loop", "-concurrency", strconv.Itoa(n), "-reads", strings.Join(p.Loop, ","), "-config", filepath.Join(dir, "orgguard.yaml"))
		if err == nil {
			var st stub.Stats
			st, err = stats(url)
			r.LoopTime, r.LoopCalls = m.seconds, st.Total
		}
		stop()
		if err != nil {
			return r, fmt.Errorf("the loop: %w", err)
		}
	}
	url, stop, err := b.endpoint(p, dir)
	if err != nil {
		return r, err
	}
	defer stop()
	var m measured
	if p.Pool {
		m, err = timed(environment(url), dir, 0, self, "pool", "-concurrency", strconv.Itoa(concurrency), "-config", filepath.Join(dir, "orgguard.yaml"))
	} else {
		args := append([]string{"audit", "--config", filepath.Join(dir, "orgguard.yaml"), "--quiet", "--format", "json"}, p.Args...)
		if concurrency > 0 {
			args = append(args, "--concurrency", strconv.Itoa(concurrency))
		}
		m, err = timed(environment(url), dir, p.exit, b.orgguard, args...)
	}
	if err != nil {
		return r, err
	}
	if r.Stats, err = stats(url); err != nil {
		return r, err
	}
	r.Seconds, r.CPU, r.PeakMB, r.OwnMB, r.ProgramMB = m.seconds, m.cpu, m.peakMB, m.ownMB, m.programMB
	if concurrency == 0 {
		concurrency = access.DefaultInFlight
	}
	r.Bound = float64(r.Stats.Total) * latency.Seconds() / float64(concurrency)
	r.Published = published(r.Stats)
	if r.LoopTime > 0 {
		r.Ratio = r.Seconds / r.LoopTime
	}
	if !p.Pool {
		r.Summary, err = p.check(m.out)
	}
	return r, err
}

// check holds a report to what the organization is: nothing lost, nothing wrong.
// One thing never applies: a service control policy to the management account.
func (p part) check(report []byte) (string, error) {
	var a struct {
		Organization struct {
			Accounts int `json:"accounts"`
		} `json:"organization"`
		Summary struct {
			InSync        int `json:"in_sync"`
			Drift         int `json:"drift"`
			NotAssessed   int `json:"not_assessed"`
			NotApplicable int `json:"not_applicable"`
		} `json:"summary"`
		Findings []json.RawMessage `json:"findings"`
	}
	if err := json.Unmarshal(report, &a); err != nil {
		return "", fmt.Errorf("the report: %w", err)
	}
	s := a.Summary
	text := fmt.Sprintf("report: %d accounts, %d in sync, %d drift, %d not assessed, %d not applicable", a.Organization.Accounts, s.InSync, s.Drift, s.NotAssessed, s.NotApplicable)
	if a.Organization.Accounts != p.Accounts || s.Drift != 0 || (s.NotAssessed == 0) != (p.Denied == 0) || (s.NotApplicable < 2) != (p.Suspended == 0) {
		var b bytes.Buffer
		for _, f := range a.Findings[:min(3, len(a.Findings))] {
			fmt.Fprintf(&b, "\n%s", f)
		}
		return text, fmt.Errorf("not what the organization is: %s%s", text, b.String())
	}
	return text, nil
}

// published is how long the caller's own APIs take at their published rates.
func published(s stub.Stats) float64 {
	longest := 0.0
	for _, q := range access.Quotas {
		n := int64(0)
		for _, op := range q.Operations {
			n += s.Calls[q.Service+":"+op]
		}
		longest = max(longest, float64(n-int64(q.Burst))/q.PerSecond)
	}
	return max(longest, float64(s.Calls["sts:AssumeRole"]-600)/600)
}

func environment(url string) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + url, "AWS_ACCESS_KEY_ID=" + stub.AccessKey(management), "AWS_SECRET_ACCESS_KEY=stub", "AWS_REGION=us-east-1",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "HOME=/nonexistent", "PATH=" + os.Getenv("PATH"),
	}
}

type measured struct {
	seconds, cpu, peakMB, ownMB, programMB float64
	out                                    []byte
}

// timed runs a program and measures it alone.
func timed(env []string, dir string, exit int, program string, args ...string) (measured, error) {
	cmd := exec.Command(program, args...) //nolint:gosec // the program to measure
	cmd.Env, cmd.Dir = env, dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return measured{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var m measured
	var err error
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		select {
		case err = <-ended:
			running = false
		case <-tick.C:
			m.peakMB = max(m.peakMB, held(cmd.Process.Pid, "VmHWM:"))
			m.ownMB, m.programMB = max(m.ownMB, held(cmd.Process.Pid, "RssAnon:")), max(m.programMB, held(cmd.Process.Pid, "RssFile:"))
		}
	}
	m.seconds = time.Since(begin).Seconds()
	m.cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	m.out = out.Bytes()
	if code := cmd.ProcessState.ExitCode(); code != exit {
		text := out.String()
		return m, fmt.Errorf("%s %s: exit code %d, want %d, %w\n%s%.2000s", program, strings.Join(args, " "), code, exit, err, errs.String(), text)
	}
	return m, nil
}

// held is a line of a process's status in MB: VmHWM is the most memory that it has
// held, RssFile what of it is the program's own file.
func held(pid int, line string) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), line)
	kb, err := strconv.ParseFloat(strings.TrimSpace(strings.SplitN(rest, "kB", 2)[0]), 64)
	if err != nil {
		return 0
	}
	return kb / 1024
}

func stats(url string) (stub.Stats, error) {
	var s stub.Stats
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+stub.StatsPath, nil)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(b, &s)
}
