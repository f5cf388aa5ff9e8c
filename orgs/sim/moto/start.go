package moto

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/orgguard/orgguard/orgs/access"
)

const (
	program = "moto_server"
	install = "pip install 'moto[server]==5.2.1'"

	startTimeout = time.Minute // Python on a busy machine takes its time
	startTries   = 3           // another process may take the port before moto does
)

// Start runs moto_server on a free port of the loopback address until the test
// ends, and returns its URL. Every server is an AWS of its own.
//
// Without moto_server the test is skipped, with a word that says so; where CI is
// set it fails, because there a skipped second opinion would pass for a good one.
func Start(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") != "" {
			tb.Fatalf("%s is not installed, and CI does not go without it: %s", program, install)
		}
		tb.Skipf("SKIPPED: %s is not installed (%s)", program, install)
	}
	for try := 1; ; try++ {
		url, err := start(tb, path)
		if err == nil {
			return url
		}
		if try == startTries {
			tb.Fatalf("start %s: %v", program, err)
		}
		tb.Logf("start %s, try %d: %v", program, try, err)
	}
}

// start runs one server and waits until it answers.
func start(tb testing.TB, path string) (string, error) {
	port, err := freePort()
	if err != nil {
		return "", err
	}
	// moto leaves files in its working directory.
	dir := tb.TempDir()
	logPath := filepath.Join(dir, "moto.log")
	log, err := os.Create(logPath)
	if err != nil {
		return "", err
	}
	defer func() { _ = log.Close() }() // the server has its own descriptor

	cmd := command(path, "-H", "127.0.0.1", "-p", strconv.Itoa(port))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	// The server ends when this pipe does: a test binary that is killed, or
	// panics, runs no cleanup.
	alive, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended does not matter, its log tells why
		close(exited)
	}()
	stop := func() {
		_ = alive.Close()
		kill(cmd)
		<-exited
	}

	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	if err := waitFor(tb.Context(), url, exited); err != nil {
		stop()
		out, _ := os.ReadFile(logPath)
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	tb.Cleanup(stop)
	return url, nil
}

// freePort asks the system for a port that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// waitFor returns when the server answers, or with why it does not.
func waitFor(ctx context.Context, url string, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout,
		fmt.Errorf("no answer from %s within %s", url, startTimeout))
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		if answers(ctx, client, url) {
			// Whoever took the port answers too. Ours does not live then.
			select {
			case <-exited:
			default:
				return nil
			}
		}
		select {
		case <-exited:
			return errors.New("it ended before it answered")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-poll.C:
		}
	}
}

func answers(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/moto-api/", nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Config returns a configuration with which clients of the SDK talk to the server
// at url, as its default account, 123456789012.
func Config(tb testing.TB, url, region string) aws.Config {
	tb.Helper()
	client := awshttp.NewBuildableClient().
		WithTimeout(time.Minute).
		WithTransportOptions(func(t *http.Transport) {
			// moto answers each request on a connection of its own, and a
			// connection kept for nothing is a goroutine that looks like a leak.
			t.DisableKeepAlives = true
			t.Proxy = nil
		})
	return aws.Config{
		Region:       region,
		BaseEndpoint: aws.String(url),
		Credentials:  credentials.NewStaticCredentialsProvider("AKIAORGGUARDTEST0000", "secret", ""),
		HTTPClient:   access.PlainBodies(client),
		// One attempt, see the package's comment.
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}
