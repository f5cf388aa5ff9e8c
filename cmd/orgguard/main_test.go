package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// timeout(1) signals its child and then the child's group, so every signal comes twice.
func TestTheEchoOfASignalIsNoSecondOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, signal := context.WithCancel(t.Context())
		var stopped atomic.Bool
		endAtSecond(ctx, func() { stopped.Store(true) })
		signal()
		time.Sleep(echo / 2)
		if synctest.Wait(); stopped.Load() {
			t.Error("a signal that comes again at once ends the process, with its lock held")
		}
		time.Sleep(echo)
		if synctest.Wait(); !stopped.Load() {
			t.Error("a second Ctrl-C does not end the process")
		}
	})
}

func TestAQuestionCanBeAnsweredWithAnInterrupt(t *testing.T) {
	keyboard, typed := io.Pipe()
	defer typed.Close() //nolint:errcheck // ends what still reads
	ctx, interrupt := context.WithCancel(t.Context())
	var talk strings.Builder
	s := &session{streams: streams{in: until(ctx, keyboard), err: &talk}}
	go io.WriteString(typed, "yes\n") //nolint:errcheck // a pipe that is read
	if err := s.agree("Go?"); err != nil {
		t.Errorf("yes is %v", err)
	}
	time.AfterFunc(10*time.Millisecond, interrupt)
	if err := s.agree("Go on?"); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupt is %v", err)
	}
	if !strings.HasSuffix(talk.String(), "nothing was changed\n") {
		t.Errorf("said %q", &talk)
	}
}

func TestFilesAreReplacedWhereTheyAre(t *testing.T) {
	dir := t.TempDir()
	published, link := filepath.Join(dir, "published.html"), filepath.Join(dir, "latest.html")
	if err := os.WriteFile(published, []byte("old"), 0o644); err != nil { //nolint:gosec // readable by all is the point
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Base(published), link); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{link, published} {
		if err := writeFile(name, []byte(name)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(published); err != nil || string(got) != name {
			t.Errorf("written to %s, %s says %q (%v)", name, published, got, err)
		}
		if info, err := os.Stat(published); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("who may read %s has changed: %v (%v)", published, info.Mode(), err)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("%s is no link any more: %v (%v)", link, info.Mode(), err)
	}
	fresh := filepath.Join(dir, "fresh.json")
	if err := writeFile(fresh, nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(fresh); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a new file is for its owner alone: %v (%v)", info.Mode(), err)
	}
}

func TestTheProseOfLintRulesFitsATerminal(t *testing.T) {
	var out strings.Builder
	if code := run(t.Context(), []string{"orgguard", "scp", "lint", "--rules"}, streams{out: &out, err: &out}); code != exitOK {
		t.Fatalf("exit code %d: %s", code, &out)
	}
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		example := strings.HasPrefix(line, "    bad: ") || strings.HasPrefix(line, "    good: ") || strings.HasPrefix(line, "    see: ")
		if strings.HasPrefix(line, "    ") && !example && utf8.RuneCountInString(line) > helpWidth {
			t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
}
