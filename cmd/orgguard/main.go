// Command orgguard rolls a security baseline out to every account of an AWS
// Organization, keeps it from being switched off, and reports where it drifted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"

	"github.com/orgguard/orgguard/reports"
)

// version is set when a release is built.
var version = "dev"

// Exit codes. 3 beats 1: what nobody could look at may hide drift.
const (
	exitOK         = 0 // in sync, or done
	exitDrift      = 1 // drift, pending changes, failed tests
	exitUsage      = 2 // bad flags or configuration
	exitIncomplete = 3 // could not finish: accounts not assessed, APIs that kept failing
)

// streams are the process's three streams. Data goes to out, talk to err.
type streams struct {
	in       io.Reader
	out, err io.Writer
	// outTTY and errTTY say whether people read the stream right now; inTTY
	// whether somebody can answer.
	inTTY, outTTY, errTTY bool
}

func main() {
	// A variable that is empty, as CI systems leave them, is one that is not set.
	for _, kv := range os.Environ() {
		if name, value, _ := strings.Cut(kv, "="); value == "" && strings.HasPrefix(name, "ORGGUARD_") {
			os.Unsetenv(name) //nolint:errcheck // the name comes from the environment itself
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	endAtSecond(ctx, stop)
	if api := os.Getenv("AWS_LAMBDA_RUNTIME_API"); api != "" && len(os.Args) == 1 {
		serveLambda(ctx)
	}
	tty := func(f *os.File) bool { return isatty.IsTerminal(f.Fd()) }
	code := run(ctx, os.Args, streams{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inTTY: tty(os.Stdin), outTTY: tty(os.Stdout), errTTY: tty(os.Stderr),
	})
	stop()
	os.Exit(code)
}

// echo is how long after a signal the same one again means nothing new: timeout(1), and
// whoever else signals a process and then its group, sends every signal twice.
const echo = time.Second

// endAtSecond lets a second Ctrl-C end the process at once, as it does by itself when
// nobody listens for it any more.
func endAtSecond(ctx context.Context, stop func()) {
	context.AfterFunc(ctx, func() { time.AfterFunc(echo, stop) })
}

// run is the whole program: it returns the exit code instead of exiting.
func run(ctx context.Context, args []string, s streams) int {
	err := newApp(s).RunContext(ctx, args)
	if err == nil {
		return exitOK
	}
	var status *exitError
	if errors.As(err, &status) && status.err == nil {
		return status.code
	}
	code := exitIncomplete
	if status != nil {
		code = status.code
	}
	report(s.err, err)
	return code
}

// exitError ends a command with a code. Without an error there is nothing more to
// say: the data on stdout says it.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}
func (e *exitError) Unwrap() error { return e.err }

// usage is an error of the person who typed.
func usage(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// badInput marks an error as one of the input.
func badInput(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitUsage, err: err}
}

// status ends the command with a code and no more words; nil for exitOK.
func status(code int) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}

// report prints an error and what to do next. Error texts may quote names and
// policies that others chose.
func report(w io.Writer, err error) {
	fmt.Fprintln(w, "orgguard: "+safeLines(err.Error()))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintln(w, "  next: "+reports.Safe(hint))
	}
}

// hintOf is what an error says to do next; "" when it says nothing.
func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}
