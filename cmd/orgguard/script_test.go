package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the files that cmp compares in testdata/script")

// TestMain makes orgguard itself a program on PATH: scripts and tests run it as a
// process, with streams, signals and an exit code of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"orgguard": main})
}

// TestScripts runs every script in testdata/script. A script begins in an empty
// folder with an environment that has no AWS in it.
func TestScripts(t *testing.T) {
	const dir = "testdata/script"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".txtar" {
			t.Errorf("%s/%s is no script and would never run", dir, e.Name())
		}
	}
	p := testscript.Params{
		Dir:                 dir,
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                scriptCommands,
		Setup: func(e *testscript.Env) error {
			e.Setenv("ESC", "\x1b") // which a script's text cannot hold
			return nil
		},
	}
	if testing.Short() {
		p.Dir, p.Files = "", short
	}
	testscript.Run(t, p)
}

// short are the scripts of a short run, which is one with the race detector: those
// that do the most at once.
var short = []string{
	"testdata/script/demo.txtar", "testdata/script/every.txtar", "testdata/script/shards.txtar", "testdata/script/sweep.txtar",
}
