package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// timeout(1) signals its child and then the child's group, so every signal comes twice.
func TestTheEchoOfASignalIsNoSecondOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, signal := context.WithCancel(t.Context())
		stopped := false
		endAtSecond(ctx, func() { stopped = true })
		signal()
		time.Sleep(echo / 2)
		if synctest.Wait(); stopped {
			t.Error("a signal that comes again at once ends the process, with its lock held")
		}
		time.Sleep(echo)
		if synctest.Wait(); !stopped {
			t.Error("a second Ctrl-C does not end the process")
		}
	})
}
