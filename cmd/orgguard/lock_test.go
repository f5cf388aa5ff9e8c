package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Two processes at the lock in AWS: while one of them is at work, the other one is told
// who it is, and changes nothing.
func TestTheSecondProcessIsToldWhoIsAtWork(t *testing.T) {
	if testing.Short() {
		t.Skip("other processes do the work")
	}
	newWire(t)
	upstream, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL"))
	if err != nil {
		t.Fatal(err)
	}
	reached, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	proxy := httputil.NewSingleHostReverseProxy(upstream)
	slow := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.Header.Get("X-Amz-Target"), ".CreatePolicy") {
			once.Do(func() { close(reached) })
			<-release
		}
		proxy.ServeHTTP(rw, req)
	}))
	defer slow.Close()

	rollout := func(endpoint string) (*exec.Cmd, *bytes.Buffer) {
		ctx, cancel := context.WithTimeout(t.Context(), wireTime)
		t.Cleanup(cancel)
		cmd := exec.CommandContext(ctx, "orgguard", "rollout", "--only", "control:scp-protect-config", "--yes")
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+endpoint)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		return cmd, &said
	}
	first, said := rollout(slow.URL)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- first.Wait() }()
	select {
	case <-reached:
	case err := <-ended:
		t.Fatalf("the first one ended without a change: %v\n%s", err, said)
	}
	second, told := rollout(upstream.String())
	if err := second.Run(); second.ProcessState.ExitCode() != exitIncomplete || !strings.Contains(told.String(), "--break-lock") {
		t.Errorf("the second one: %v\n%s", err, told)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Logf("the first one: %v", err) // moto may not show what was attached
	}
	if !strings.Contains(said.String(), "create policy orgguard-protect-config") {
		t.Errorf("the first one: %s", said)
	}
	third, told := rollout(upstream.String())
	if err := third.Run(); err != nil {
		t.Logf("the third one: %v", err)
	}
	if strings.Contains(told.String(), "--break-lock") {
		t.Errorf("the lock is still held:\n%s", told)
	}
}
