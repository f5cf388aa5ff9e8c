//go:build unix

package moto

import (
	"bufio"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestTheServerAnswersUntilTheTestEnds(t *testing.T) {
	var url string
	t.Run("during the test", func(t *testing.T) {
		url = Start(t)
		who, err := sts.NewFromConfig(Config(t, url, "us-east-1")).GetCallerIdentity(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := aws.ToString(who.Account); got != "123456789012" {
			t.Errorf("account %s", got)
		}
	})
	if url == "" {
		t.Skip("no server was started")
	}
	if answers(t.Context(), http.DefaultClient, url) {
		t.Errorf("%s still answers", url)
	}
}

// recorder is a test that is watched: it takes what Start says of it.
type recorder struct {
	testing.TB
	said string
}

type stopped struct{}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(string, ...any) {
	r.said = "skipped"
	panic(stopped{})
}

func (r *recorder) Fatalf(string, ...any) {
	r.said = "failed"
	panic(stopped{})
}

func TestWithoutTheServer(t *testing.T) {
	for ci, want := range map[string]string{"": "skipped", "true": "failed"} {
		t.Setenv("PATH", t.TempDir())
		t.Setenv("CI", ci)
		r := &recorder{TB: t}
		func() {
			defer func() {
				if _, ok := recover().(stopped); !ok {
					t.Errorf("CI=%q: Start went on", ci)
				}
			}()
			Start(r)
		}()
		if r.said != want {
			t.Errorf("CI=%q: the test is %q, want %q", ci, r.said, want)
		}
	}
}

// The server must not outlive a test binary that was killed.
func TestTheServerEndsWithItsParent(t *testing.T) {
	cmd := command("/bin/sh", "-c", "echo started; exec sleep 60")
	alive, err := cmd.StdinPipe()
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
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); err != nil || line != "started\n" {
		t.Fatalf("%q, %v", line, err)
	}
	begin := time.Now()
	if err := alive.Close(); err != nil {
		t.Fatal(err)
	}
	// The pipe is at its end when the last process that can write to it is gone.
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed, as it should be
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it went on for %s", took)
	}
}
